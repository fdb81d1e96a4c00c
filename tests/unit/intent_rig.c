/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/intent_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bitmap/bits.h"

enum { FOREIGN = 0x5a };

static const uint8_t uuid[16] = "the intent log";

uint64_t start_bytes(uint32_t role)
{
	return 8192 + 4096ull * role;
}

uint64_t data_bytes(const struct intent_rig *rig)
{
	return start_bytes(INTENT_DISKS) + (NODES + 1) * rig->geo.slot_bytes;
}

static uint64_t own_bytes(const struct intent_rig *rig, uint32_t role)
{
	return start_bytes(role) + OWN * rig->geo.slot_bytes;
}

static uint64_t rig_now(void *owner)
{
	const struct intent_rig *rig = owner;

	return disk_world_now_ns(rig->world);
}

static void rig_failed(void *owner, uint32_t role, int error)
{
	struct intent_rig *rig = owner;

	rig->failed[role] = error;
	rig->failures++;
	if (rig->takes_out && disk_world_has_power(rig->world))
		rig_take_out(rig, role);
}

void rig_take_out(struct intent_rig *rig, uint32_t role)
{
	rig->is_out[role] = true;
	rig->is_degraded = true;
	intent_set_degraded(rig->in, true);
	intent_set_disk(rig->in, role, NULL, 0, NULL);
}

static const struct intent_ops ops = { .now = rig_now, .failed = rig_failed };

static void init_slot(struct intent_rig *rig)
{
	struct err err = ERR_INIT;

	assert_ok(bitmap_slot_init(&rig->slot, &rig->geo, OWN, &err), err);
	rig->slot.sb = (struct bitmap_sb){
		.version = BITMAP_VERSION_CLUSTERED,
		.sync_size = rig->geo.sync_size,
		.chunksize = CHUNK,
		.daemon_sleep = 5,
		.nodes = NODES,
		.cluster_name = "alpha",
	};
	memcpy(rig->slot.sb.uuid, uuid, sizeof(uuid));
}

static void fill_foreign(struct intent_rig *rig, uint32_t disk)
{
	uint64_t bytes = data_bytes(rig);
	CLEANUP_FREE uint8_t *pattern = malloc(bytes);

	assert_non_null(pattern);
	memset(pattern, FOREIGN, bytes);
	disk_mem_poke(rig->disks[disk], 0, pattern, bytes);
}

static void init_disk(struct intent_rig *rig, uint32_t disk)
{
	char name[] = "disk0";

	name[4] = (char)('0' + disk);
	rig->disks[disk] = disk_mem_new(rig->world, name, data_bytes(rig) + DATA_BYTES);
	fill_foreign(rig, disk);
	bitmap_sb_emit(&rig->slot.sb, rig->slot.image);
	disk_mem_poke(rig->disks[disk], own_bytes(rig, disk), rig->slot.image,
		      rig->geo.slot_bytes);
}

void intent_rig_init(struct intent_rig *rig, uint64_t seed, uint32_t count,
		     uint64_t chunks)
{
	struct err err = ERR_INIT;
	uint32_t i;

	*rig = (struct intent_rig){ .world = disk_world_new(seed), .count = count,
				    .budget = chunks };
	assert_ok(bitmap_geometry_init(&rig->geo, chunks * (CHUNK / 512) - 1, CHUNK, NODES,
				       0, &err), err);
	init_slot(rig);
	for (i = 0; i < INTENT_DISKS; i++) {
		init_disk(rig, i);
		rig->failed[i] = NEVER_FAILED;
	}
}

void intent_rig_start(struct intent_rig *rig)
{
	struct intent_config config = {
		.slot = &rig->slot,
		.count = INTENT_DISKS,
		.is_degraded = rig->is_degraded,
		.events = rig->events,
		.budget_bytes = rig->budget * CHUNK,
	};
	struct err err = ERR_INIT;
	uint32_t i;

	for (i = 0; i < rig->count; i++) {
		if (rig->is_out[i])
			continue;
		config.copies[i].disk = rig->disks[i];
		config.copies[i].start_bytes = start_bytes(i);
	}
	rig->in = intent_new(&config, &ops, rig, &err);
	if (!rig->in)
		fail_msg("%s", err.text);
}

void intent_rig_stop(struct intent_rig *rig)
{
	intent_free(rig->in);
	rig->in = NULL;
}

void intent_rig_restart(struct intent_rig *rig)
{
	struct bitmap_copy copies[INTENT_DISKS];
	struct err err = ERR_INIT;
	uint32_t i, n = 0;

	intent_rig_stop(rig);
	bitmap_slot_fini(&rig->slot);
	init_slot(rig);
	for (i = 0; i < rig->count; i++)
		if (!rig->is_out[i])
			copies[n++] = (struct bitmap_copy){ rig->disks[i],
							    start_bytes(i), uuid };
	assert_ok(bitmap_slot_load(&rig->slot, copies, n, true, &err), err);
	intent_rig_start(rig);
}

void intent_rig_fini(struct intent_rig *rig)
{
	uint32_t i;

	if (rig->in)
		intent_rig_stop(rig);
	for (i = 0; i < INTENT_DISKS; i++)
		disk_close(rig->disks[i]);
	disk_world_free(rig->world);
	bitmap_slot_fini(&rig->slot);
}

/* --- time ---------------------------------------------------------------------------- */

static bool is_due(const struct intent_rig *rig)
{
	return intent_deadline(rig->in) <= disk_world_now_ns(rig->world);
}

bool intent_rig_step(struct intent_rig *rig)
{
	uint64_t at;
	struct disk *disk;

	while (is_due(rig))
		intent_advance(rig->in, disk_world_now_ns(rig->world));
	disk = disk_world_next(rig->world, &at);
	if (!disk)
		return false;
	disk_world_advance(rig->world, at);
	disk_pump(disk, 0);
	while (is_due(rig))
		intent_advance(rig->in, disk_world_now_ns(rig->world));
	return true;
}

void intent_rig_drain(struct intent_rig *rig)
{
	while (intent_rig_step(rig))
		;
}

void intent_rig_pass(struct intent_rig *rig, uint64_t ns)
{
	uint64_t end = disk_world_now_ns(rig->world) + ns, at, due;

	for (;;) {
		due = intent_deadline(rig->in);
		if (disk_world_next(rig->world, &at) && at <= end && at <= due) {
			intent_rig_step(rig);
			continue;
		}
		if (due > end)
			break;
		if (due > disk_world_now_ns(rig->world))
			disk_world_advance(rig->world, due);
		intent_advance(rig->in, disk_world_now_ns(rig->world));
	}
	disk_world_advance(rig->world, end);
}

/* --- writes -------------------------------------------------------------------------- */

static void write_ready(void *owner, struct intent_write *w)
{
	struct rig_write *rw = owner;

	(void)w;
	rw->calls++;
}

int rig_begin(struct intent_rig *rig, struct rig_write *w, uint64_t first, uint64_t last)
{
	int r;

	*w = (struct rig_write){
		.w = { .first = first, .last = last, .ready = write_ready, .owner = w },
		.rig = rig,
	};
	r = intent_begin(rig->in, &w->w);
	assert_int_equal(w->calls, 0); /* never from within the call */
	return r;
}

void rig_end(struct rig_write *w, bool is_durable)
{
	intent_end(w->rig->in, &w->w, is_durable);
}

void rig_write(struct intent_rig *rig, uint64_t chunk)
{
	struct rig_write w;

	if (rig_begin(rig, &w, chunk, chunk) == INTENT_WAIT)
		while (w.calls == 0)
			assert_true(intent_rig_step(rig));
	rig_end(&w, false);
}

static void request_done(void *owner, struct intent_request *req, int result)
{
	struct rig_request *r = owner;

	(void)req;
	r->calls++;
	r->result = result;
}

struct intent_request *rig_request(struct rig_request *r)
{
	*r = (struct rig_request){ .req = { .done = request_done, .owner = r } };
	return &r->req;
}

/* --- looking ------------------------------------------------------------------------- */

bool rig_bit(const struct intent_rig *rig, uint32_t disk, uint64_t chunk)
{
	uint8_t byte;

	disk_mem_peek(rig->disks[disk],
		      own_bytes(rig, disk) + BITMAP_SB_BYTES + chunk / 8, &byte, 1);
	return byte >> chunk % 8 & 1;
}

void rig_plant_bit(struct intent_rig *rig, uint32_t disk, uint64_t chunk)
{
	uint64_t at = own_bytes(rig, disk) + BITMAP_SB_BYTES + chunk / 8;
	uint8_t byte;

	disk_mem_peek(rig->disks[disk], at, &byte, 1);
	byte |= (uint8_t)(1u << chunk % 8);
	disk_mem_poke(rig->disks[disk], at, &byte, 1);
}

bool rig_bit_everywhere(const struct intent_rig *rig, uint64_t chunk)
{
	uint32_t i;

	for (i = 0; i < rig->count; i++)
		if (!rig->is_out[i] && !rig_bit(rig, i, chunk))
			return false;
	return true;
}

bool rig_bit_anywhere(const struct intent_rig *rig, uint64_t chunk)
{
	uint32_t i;

	for (i = 0; i < rig->count; i++)
		if (!rig->is_out[i] && rig_bit(rig, i, chunk))
			return true;
	return false;
}

struct bitmap_sb rig_sb(const struct intent_rig *rig, uint32_t disk)
{
	uint8_t bytes[BITMAP_SB_BYTES];
	struct err err = ERR_INIT;
	struct bitmap_sb sb;

	disk_mem_peek(rig->disks[disk], own_bytes(rig, disk), bytes, sizeof(bytes));
	assert_ok(bitmap_sb_parse(bytes, &sb, &err), err);
	return sb;
}

struct intent_stats rig_look(const struct intent_rig *rig)
{
	struct intent_stats stats;

	intent_look(rig->in, &stats);
	return stats;
}

void rig_expect_others_untouched(const struct intent_rig *rig)
{
	uint64_t bytes = data_bytes(rig), at, own;
	CLEANUP_FREE uint8_t *all = malloc(bytes);
	uint32_t i;

	assert_non_null(all);
	for (i = 0; i < INTENT_DISKS; i++) {
		disk_mem_peek(rig->disks[i], 0, all, bytes);
		own = own_bytes(rig, i);
		for (at = 0; at < bytes; at++)
			if ((at < own || at >= own + rig->geo.slot_bytes) &&
			    all[at] != FOREIGN)
				fail_msg("disk %u: byte %ju is not the slot's, and changed",
					 i, (uintmax_t)at);
	}
}
