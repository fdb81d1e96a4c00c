/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cluster side does to superblocks and slots: what is judged, what is written,
 * and what a power cut between any two writes leaves behind.
 */
#include "tests/unit/disk_lend.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "bitmap/grow.h"
#include "mdclusterd/array/metadata.h"

enum { SECTORS = 32768, SEEDS = 8, NODES = 3 };

struct bench {
	struct rig rig;
	struct metadata *md;
	struct metadata_view view;
	bool is_gone[RIG_MAX_DISKS]; /* cannot be opened */
	int leave; /* so many changes more; -1: any number */
};

static bool may_change(void *owner)
{
	struct bench *b = owner;

	return b->leave < 0 || b->leave-- > 0;
}

static struct disk *on_open(void *owner, const char *path, struct err *err)
{
	struct bench *b = owner;

	for (size_t i = 0; i < b->rig.count; i++)
		if (strcmp(b->rig.disks[i]->name, path) == 0 && !b->is_gone[i]) {
			struct disk *disk = disk_lend(b->rig.disks[i]);

			disk_guard(disk, may_change, b);
			return disk;
		}
	err_set(err, -ENOENT, "%s: no such disk", path);
	return NULL;
}

static size_t on_find(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	(void)owner, (void)set_uuid, (void)paths, (void)room;
	return 0;
}

static const struct metadata_ops ops = { .open = on_open, .find = on_find };

static void set_up(struct bench *b, uint64_t seed, size_t disks, int level, bool is_clean)
{
	struct md_create_params p;

	memset(b, 0, sizeof(*b));
	b->leave = -1;
	rig_init(&b->rig, seed, disks, SECTORS);
	p = rig_params(&b->rig);
	p.nodes = NODES;
	p.is_assume_clean = is_clean;
	p.level = level;
	if (level == MD_LEVEL_RAID10)
		p.chunk_sectors = 128;
	rig_create(&b->rig, &p);
	b->md = metadata_new(&ops, b);
	assert_non_null(b->md);
}

static void tear_down(struct bench *b)
{
	metadata_free(b->md);
	rig_fini(&b->rig);
}

static int run(struct bench *b, struct metadata_request *req)
{
	req->view = &b->view;
	return metadata_run(b->md, req);
}

static int assemble_as(struct bench *b, const char *cluster, bool may_be_degraded,
		       struct err *err)
{
	const char *paths[RIG_MAX_DISKS];
	struct metadata_request req = { .op = METADATA_ASSEMBLE, .cluster = cluster,
					.may_start_degraded = may_be_degraded };
	int r;

	for (size_t i = 0; i < b->rig.count; i++)
		paths[i] = b->rig.disks[i]->name;
	req.paths = paths;
	req.path_count = b->rig.count;
	r = run(b, &req);
	*err = req.err;
	return r;
}

static void assemble(struct bench *b)
{
	struct err err = ERR_INIT;

	assert_ok(assemble_as(b, "alpha", false, &err), err);
}

static int ask(struct bench *b, enum metadata_op op, uint32_t role, struct err *err)
{
	struct metadata_request req = { .op = op, .role = role };
	int r = run(b, &req);

	*err = req.err;
	return r;
}

static void asked(struct bench *b, enum metadata_op op, uint32_t role)
{
	struct err err = ERR_INIT;

	assert_ok(ask(b, op, role, &err), err);
}

/* --- superblocks behind everybody's back ------------------------------------------------------ */

static struct md_sb sb_of(struct bench *b, size_t disk)
{
	struct md_member m;
	struct err err = ERR_INIT;
	struct md_sb sb;

	assert_ok(md_member_load(&m, b->rig.disks[disk], &err), err);
	sb = m.sb;
	md_member_fini(&m);
	return sb;
}

static void store_sb(struct bench *b, size_t disk, const struct md_sb *sb)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, b->rig.disks[disk], &err), err);
	m.sb = *sb;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

static void set_resync_offset(struct bench *b, uint64_t offset)
{
	for (size_t i = 0; i < b->rig.count; i++) {
		struct md_sb sb = sb_of(b, i);

		sb.resync_offset = offset;
		store_sb(b, i, &sb);
	}
}

static uint64_t writes(const struct bench *b)
{
	return disk_world_writes(b->rig.world);
}

/* --- ASSEMBLE -------------------------------------------------------------------------------- */

static void superblocks_are_told_as_they_are(void **state)
{
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	assemble(&b);
	assert_string_equal(b.view.name, "host:web");
	assert_string_equal(b.view.cluster, "alpha");
	assert_int_equal(b.view.level, MD_LEVEL_RAID1);
	assert_int_equal(b.view.raid_disks, 2);
	assert_int_equal(b.view.disk_count, 2);
	assert_int_equal(b.view.degraded, 0);
	assert_int_equal(b.view.geo.nodes, NODES);
	assert_int_equal(b.view.created_s, sb_of(&b, 0).ctime & MD_SB_SECONDS);
	assert_int_equal(b.view.updated_s, sb_of(&b, 0).utime & MD_SB_SECONDS);
	assert_true(b.view.created_s > 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct md_sb sb = sb_of(&b, i);

		assert_int_equal(b.view.disks[i].state, METADATA_DISK_IN_SYNC);
		assert_int_equal(b.view.disks[i].role, i);
		assert_string_equal(b.view.disks[i].path, b.rig.disks[i]->name);
		assert_int_equal(b.view.disks[i].data_offset, sb.data_offset);
		assert_int_equal(b.view.disks[i].bitmap_start_bytes,
				 (sb.super_offset + 8) * 512);
	}
	tear_down(&b);
}

static void another_cluster_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	assert_refused(assemble_as(&b, "beta", false, &err), -EPERM, err, "alpha", "beta");
	assert_ok(assemble_as(&b, NULL, false, &err), err);
	tear_down(&b);
}

static void a_missing_disk_is_named_and_asked_for(void **state)
{
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	b.is_gone[1] = true;
	assert_refused(assemble_as(&b, "alpha", false, &err), -ENODEV, err, "b", "degraded");
	assert_ok(assemble_as(&b, "alpha", true, &err), err);
	assert_int_equal(b.view.degraded, 1);
	assert_int_equal(b.view.disks[0].state, METADATA_DISK_IN_SYNC);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_MISSING);
	b.is_gone[0] = true;
	assert_int_not_equal(assemble_as(&b, "alpha", true, &err), 0);
	tear_down(&b);
}

static void a_stale_disk_is_not_used(void **state)
{
	struct err err = ERR_INIT;
	struct md_sb sb;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	sb = sb_of(&b, 0);
	sb.events += 2;
	store_sb(&b, 0, &sb);
	assert_ok(assemble_as(&b, "alpha", true, &err), err);
	assert_int_equal(b.view.disks[0].state, METADATA_DISK_IN_SYNC);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_STALE);
	assert_int_equal(b.view.degraded, 1);
	/* once in use it is faulty, so that it cannot come back as an equal */
	asked(&b, METADATA_ACTIVATE, 0);
	sb = sb_of(&b, 0);
	assert_int_equal(sb.roles[1], MD_ROLE_FAULTY);
	tear_down(&b);
}

static void a_disk_one_event_behind_is_used(void **state)
{
	struct md_sb sb;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	sb = sb_of(&b, 0);
	sb.events += 1;
	store_sb(&b, 0, &sb);
	assemble(&b);
	assert_int_equal(b.view.degraded, 0);
	asked(&b, METADATA_ACTIVATE, 0);
	assert_int_equal(sb_of(&b, 0).events, sb_of(&b, 1).events);
	tear_down(&b);
}

static void a_disk_under_repair_is_told_so(void **state)
{
	struct md_sb sb;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	sb = sb_of(&b, 1);
	sb.feature_map |= MD_FEATURE_RECOVERY_OFFSET;
	sb.recovery_offset = 4096;
	store_sb(&b, 1, &sb);
	assemble(&b);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_REBUILD);
	assert_int_equal(b.view.disks[1].recovery_offset, 4096);
	assert_int_equal(b.view.degraded, 1);
	tear_down(&b);
}

static void kinds_that_are_not_served_are_refused(void **state)
{
	static const struct {
		uint32_t feature;
		uint8_t devflags;
		const char *words;
	} kinds[] = {
		{ MD_FEATURE_RESHAPE_ACTIVE, 0, "reshape is under way: have the kernel finish it" },
		{ MD_FEATURE_NEW_OFFSET, 0, "reshape" },
		{ MD_FEATURE_REPLACEMENT, 0, "is being replaced" },
		{ MD_FEATURE_JOURNAL, 0, "journal" },
		{ 0, 1, "write-mostly" },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t first = 0; first < 2; first++) { /* of all disks, of one alone */
			struct err err = ERR_INIT;
			struct bench b;

			set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
			for (size_t i = first; i < 2; i++) {
				struct md_sb sb = sb_of(&b, i);

				sb.feature_map |= kinds[k].feature;
				sb.devflags = kinds[k].devflags;
				store_sb(&b, i, &sb);
			}
			assert_refused(assemble_as(&b, "alpha", false, &err), -EOPNOTSUPP, err,
				       kinds[k].words);
			tear_down(&b);
		}
}

static void raid10_needs_one_disk_of_each_pair(void **state)
{
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up(&b, 1, 4, MD_LEVEL_RAID10, false);
	b.is_gone[0] = b.is_gone[3] = true;
	assert_ok(assemble_as(&b, "alpha", true, &err), err);
	assert_int_equal(b.view.degraded, 2);
	b.is_gone[3] = false;
	b.is_gone[1] = true;
	assert_refused(assemble_as(&b, "alpha", true, &err), -ENODEV, err, "too few");
	tear_down(&b);
}

/* --- ACTIVATE: D11 ----------------------------------------------------------------------------- */

static void bits_that_meant_nothing_are_cleared_before_they_mean_something(void **state)
{
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	rig_plant(&b.rig, 0, 0, 50); /* as mdadm leaves slot 0 with --assume-clean */
	assemble(&b);
	asked(&b, METADATA_ACTIVATE, 0);
	assert_int_equal(b.view.resync_offset, 0);
	assert_int_equal(rig_dirty(&b.rig, 0), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(sb_of(&b, i).resync_offset, 0);
	tear_down(&b);
}

static void an_array_in_use_is_not_written(void **state)
{
	struct bench b;
	uint64_t before;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	assemble(&b);
	asked(&b, METADATA_ACTIVATE, 0);
	before = writes(&b);
	rig_plant(&b.rig, 1, 3, 4);
	asked(&b, METADATA_ACTIVATE, 0);
	assert_int_equal(writes(&b), before);
	assert_int_equal(rig_dirty(&b.rig, 1), 2);
	tear_down(&b);
}

/* Who wrote a resync_offset in the middle may have set bits below it since. */
static void bits_below_a_resync_offset_in_the_middle_stay(void **state)
{
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	rig_plant(&b.rig, 2, 0, 5);
	set_resync_offset(&b, 1024);
	assemble(&b);
	asked(&b, METADATA_ACTIVATE, 0);
	assert_int_equal(b.view.resync_offset, 0);
	assert_int_equal(rig_dirty(&b.rig, 2), 6);
	tear_down(&b);
}

static void a_start_without_a_disk_leaves_it_behind(void **state)
{
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, false);
	b.is_gone[1] = true;
	assert_ok(assemble_as(&b, "alpha", true, &err), err);
	asked(&b, METADATA_ACTIVATE, 0);
	b.is_gone[1] = false;
	assert_ok(assemble_as(&b, "alpha", true, &err), err);
	assert_int_equal(b.view.disks[0].state, METADATA_DISK_IN_SYNC);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_MISSING);
	assert_int_equal(b.view.disk_count, 2);
	tear_down(&b);
}

/* --- slots: D12, D3 ---------------------------------------------------------------------------- */

static int read_slot(struct bench *b, uint32_t slot, struct metadata_request *req)
{
	*req = (struct metadata_request){ .op = METADATA_READ_SLOT, .slot = slot,
					  .role = METADATA_NO_ROLE };
	return run(b, req);
}

/* One copy alone gets the bits. */
static void plant_one(struct bench *b, size_t disk, uint32_t slot, uint64_t first,
		      uint64_t last)
{
	uint64_t at = b->view.disks[disk].bitmap_start_bytes +
		      slot * b->view.geo.slot_bytes + BITMAP_SB_BYTES;
	size_t length = b->view.geo.slot_bytes - BITMAP_SB_BYTES;
	uint8_t *bits = calloc(1, length);

	disk_mem_peek(b->rig.disks[disk], at, bits, length);
	bits_set_range(bits, first, last);
	disk_mem_poke(b->rig.disks[disk], at, bits, length);
	free(bits);
}

static void a_slot_is_what_any_copy_says(void **state)
{
	struct metadata_request req;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	plant_one(&b, 0, 1, 0, 0);
	plant_one(&b, 1, 1, 7, 9);
	assert_ok(read_slot(&b, 1, &req), req.err);
	assert_int_equal(req.dirty, 4);
	assert_true(bits_test(req.bits, 0) && bits_test(req.bits, 7));
	free(req.bits);
	tear_down(&b);
}

static void clearing_leaves_other_bits_and_other_slots(void **state)
{
	struct metadata_request req;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	rig_plant(&b.rig, 0, 5, 6);
	rig_plant(&b.rig, 1, 0, 9);
	rig_plant(&b.rig, 2, 5, 6);
	plant_one(&b, 1, 1, 20, 20);
	assert_ok(read_slot(&b, 1, &req), req.err);
	bits_clear_range(req.bits, 5, b.view.geo.chunks - 1);
	req.op = METADATA_CLEAR_SLOT;
	assert_ok(run(&b, &req), req.err);
	free(req.bits);
	assert_int_equal(rig_dirty(&b.rig, 0), 2);
	assert_int_equal(rig_dirty(&b.rig, 1), 6); /* 5..9, 20 */
	assert_int_equal(rig_dirty(&b.rig, 2), 2);
	tear_down(&b);
}

static void set_state(struct bench *b, uint32_t slot, uint8_t bits)
{
	for (size_t i = 0; i < b->rig.count; i++)
		disk_mem_poke(b->rig.disks[i],
			      b->view.disks[i].bitmap_start_bytes +
				      slot * b->view.geo.slot_bytes + 48,
			      &bits, 1);
}

/* B41 */
static void a_stale_slot_reads_as_ones_and_is_not_written_for_that(void **state)
{
	struct metadata_request req;
	struct bench b;
	uint64_t before, chunks;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	chunks = b.view.geo.chunks;
	set_state(&b, 1, BITMAP_STATE_STALE);
	before = writes(&b);
	assert_ok(read_slot(&b, 1, &req), req.err);
	assert_int_equal(req.dirty, chunks);
	assert_int_equal(writes(&b), before);
	/* a share of it: the rest stands in bits from then on */
	bits_clear_range(req.bits, 10, chunks - 1);
	req.op = METADATA_CLEAR_SLOT;
	assert_ok(run(&b, &req), req.err);
	free(req.bits);
	assert_int_equal(rig_dirty(&b.rig, 1), chunks - 10);
	tear_down(&b);
}

static void a_copy_that_cannot_be_read_is_told_and_not_written_over(void **state)
{
	struct metadata_request req;
	struct bench b;
	uint64_t before;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	rig_plant(&b.rig, 1, 3, 3);
	disk_mem_set_fault(b.rig.disks[1], DISK_MEM_FAIL_READS,
			   b.view.disks[1].bitmap_start_bytes + b.view.geo.slot_bytes, 4096);
	assert_int_equal(read_slot(&b, 1, &req), -EIO);
	assert_int_equal(req.role, 1);
	before = writes(&b);
	req = (struct metadata_request){ .op = METADATA_CLEAR_SLOT, .slot = 1,
					 .bits = calloc(1, bits_bytes(b.view.geo.chunks)) };
	bits_set_range(req.bits, 3, 3);
	assert_int_equal(run(&b, &req), -EIO);
	free(req.bits);
	assert_int_equal(writes(&b), before);
	/* without that disk all goes on */
	asked(&b, METADATA_FAIL, 1);
	assert_ok(read_slot(&b, 1, &req), req.err);
	assert_int_equal(req.dirty, 1);
	free(req.bits);
	tear_down(&b);
}

static void the_last_copy_that_cannot_be_read_is_all_dirty(void **state)
{
	struct metadata_request req;
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	asked(&b, METADATA_FAIL, 1);
	disk_mem_set_fault(b.rig.disks[0], DISK_MEM_FAIL_READS,
			   b.view.disks[0].bitmap_start_bytes + b.view.geo.slot_bytes, 4096);
	assert_ok(read_slot(&b, 1, &req), req.err);
	assert_int_equal(req.dirty, b.view.geo.chunks);
	free(req.bits);
	tear_down(&b);
}

/* --- FAIL ---------------------------------------------------------------------------------------- */

static void a_failed_disk_is_faulty_for_all_others_and_is_written_no_more(void **state)
{
	struct md_sb old, left, failed;
	struct bench b;

	(void)state;
	set_up(&b, 1, 3, MD_LEVEL_RAID1, true);
	assemble(&b);
	old = sb_of(&b, 1);
	asked(&b, METADATA_FAIL, 1);
	assert_int_equal(b.view.degraded, 1);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_MISSING);
	assert_int_equal(b.view.disks[3].state, METADATA_DISK_FAULTY);
	left = sb_of(&b, 2);
	failed = sb_of(&b, 1);
	assert_int_equal(left.events, old.events + 1);
	assert_int_equal(left.roles[1], MD_ROLE_FAULTY);
	assert_int_equal(failed.events, old.events);
	assert_int_equal(sb_of(&b, 0).events, left.events);
	tear_down(&b);
}

static void failing_twice_writes_once(void **state)
{
	struct bench b;
	uint64_t before;

	(void)state;
	set_up(&b, 1, 3, MD_LEVEL_RAID1, true);
	assemble(&b);
	asked(&b, METADATA_FAIL, 1);
	before = writes(&b);
	asked(&b, METADATA_FAIL, 1);
	assert_int_equal(writes(&b), before);
	tear_down(&b);
}

static void the_last_disk_of_a_set_never_fails(void **state)
{
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up(&b, 1, 4, MD_LEVEL_RAID10, true);
	assemble(&b);
	asked(&b, METADATA_FAIL, 0);
	assert_refused(ask(&b, METADATA_FAIL, 1, &err), -EBUSY, err, "last");
	asked(&b, METADATA_FAIL, 2);
	assert_refused(ask(&b, METADATA_FAIL, 3, &err), -EBUSY, err, "last");
	assert_int_equal(sb_of(&b, 3).roles[3], 3);
	tear_down(&b);
}

static void a_second_disk_that_fails_meanwhile_is_faulty_too(void **state)
{
	struct md_sb left;
	struct bench b;

	(void)state;
	set_up(&b, 1, 3, MD_LEVEL_RAID1, true);
	assemble(&b);
	disk_mem_set_fault(b.rig.disks[2], DISK_MEM_FAIL_WRITES, 0, SECTORS * 512ull);
	asked(&b, METADATA_FAIL, 1);
	left = sb_of(&b, 0);
	assert_int_equal(left.roles[1], MD_ROLE_FAULTY);
	assert_int_equal(left.roles[2], MD_ROLE_FAULTY);
	assert_int_equal(b.view.degraded, 2);
	tear_down(&b);
}

static void a_failed_disk_cannot_hide_what_others_failed(void **state)
{
	struct bench b, other;

	(void)state;
	set_up(&b, 1, 3, MD_LEVEL_RAID1, true);
	assemble(&b);
	other = b;
	other.md = metadata_new(&ops, &other);
	assemble(&other);
	asked(&b, METADATA_FAIL, 1);
	asked(&other, METADATA_RELOAD, 0);
	assert_int_equal(other.view.disks[1].state, METADATA_DISK_MISSING);
	assert_int_equal(other.view.events, b.view.events);
	metadata_free(other.md);
	tear_down(&b);
}

static void a_disk_that_cannot_be_read_this_time_is_what_it_was(void **state)
{
	struct bench b;

	(void)state;
	set_up(&b, 1, 2, MD_LEVEL_RAID1, true);
	assemble(&b);
	disk_mem_set_fault(b.rig.disks[1], DISK_MEM_FAIL_READS, 0, SECTORS * 512ull);
	asked(&b, METADATA_RELOAD, 0);
	assert_int_equal(b.view.disks[1].state, METADATA_DISK_IN_SYNC);
	disk_mem_set_fault(b.rig.disks[0], DISK_MEM_FAIL_READS, 0, SECTORS * 512ull);
	struct err err = ERR_INIT;
	assert_int_not_equal(ask(&b, METADATA_RELOAD, 0, &err), 0);
	disk_mem_set_fault(b.rig.disks[0], DISK_MEM_NO_FAULT, 0, 0);
	asked(&b, METADATA_RELOAD, 0);
	assert_int_equal(b.view.disks[0].state, METADATA_DISK_IN_SYNC);
	tear_down(&b);
}

/* --- power cuts ------------------------------------------------------------------------------------ */

enum cut_op { CUT_ACTIVATE, CUT_CLEAR, CUT_FAIL, CUT_OPS };

static void prepare(struct bench *b, enum cut_op op, uint64_t seed)
{
	set_up(b, seed, 3, MD_LEVEL_RAID1, true);
	assemble(b);
	if (op == CUT_ACTIVATE)
		rig_plant(&b->rig, 0, 0, 99); /* they mean nothing */
	if (op == CUT_CLEAR) {
		set_resync_offset(b, 0);
		rig_plant(&b->rig, 0, 2, 3);
		rig_plant(&b->rig, 1, 0, 9);
		rig_plant(&b->rig, 2, 5, 5);
	}
	assemble(b);
	for (size_t i = 0; i < b->rig.count; i++)
		disk_mem_settle(b->rig.disks[i]);
}

static int do_it(struct bench *b, enum cut_op op)
{
	struct metadata_request req = { .op = METADATA_CLEAR_SLOT, .slot = 1 };
	struct err err = ERR_INIT;
	int r;

	if (op == CUT_ACTIVATE)
		return ask(b, METADATA_ACTIVATE, 0, &err);
	if (op == CUT_FAIL)
		return ask(b, METADATA_FAIL, 1, &err);
	req.bits = calloc(1, bits_bytes(b->view.geo.chunks));
	bits_set_range(req.bits, 0, 4);
	r = run(b, &req);
	free(req.bits);
	return r;
}

/* D11: where one superblock gives bits a meaning, none is left that had none. */
static void check_meaning(struct bench *b)
{
	bool is_any = false;

	for (size_t i = 0; i < b->rig.count; i++)
		is_any |= sb_of(b, i).resync_offset == 0;
	if (is_any)
		assert_int_equal(rig_dirty(&b->rig, 0), 0);
}

static void check_cut(struct bench *b, enum cut_op op)
{
	struct err err = ERR_INIT;

	assert_ok(assemble_as(b, "alpha", true, &err), err);
	if (op == CUT_ACTIVATE)
		check_meaning(b);
	if (op == CUT_CLEAR) {
		assert_true(rig_dirty(&b->rig, 1) >= 5);
		assert_int_equal(rig_dirty(&b->rig, 0), 2);
		assert_int_equal(rig_dirty(&b->rig, 2), 1);
	}
	/* again, and it is done */
	assert_int_equal(do_it(b, op), 0);
	if (op == CUT_ACTIVATE)
		assert_int_equal(b->view.resync_offset, 0);
	if (op == CUT_CLEAR)
		assert_int_equal(rig_dirty(&b->rig, 1), 5);
	if (op == CUT_FAIL) {
		assert_int_equal(b->view.disks[1].state, METADATA_DISK_MISSING);
		assert_int_equal(sb_of(b, 0).events, sb_of(b, 2).events);
	}
}

static void a_power_cut_at_any_write_loses_nothing(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			for (uint64_t cut = 0;; cut++) {
				struct bench b;
				uint64_t before;
				bool is_over;

				prepare(&b, op, seed);
				before = writes(&b);
				disk_world_cut_power_after(b.rig.world, cut);
				is_over = do_it(&b, op) == 0 &&
					  writes(&b) - before < cut;
				metadata_free(b.md);
				disk_world_cut_power(b.rig.world);
				disk_world_restore_power(b.rig.world);
				b.md = metadata_new(&ops, &b);
				check_cut(&b, op);
				tear_down(&b);
				if (is_over)
					break;
			}
}

/* The lease ends amid a request: it is a cut, and no disk's fault. */
static void nothing_is_written_without_leave_and_no_disk_is_to_blame(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (int leave = 0;; leave++) {
			struct bench b;
			int r;

			prepare(&b, op, 1);
			b.leave = leave;
			r = do_it(&b, op);
			assert_true(r == 0 || r == -ESHUTDOWN);
			b.leave = -1;
			check_cut(&b, op);
			for (uint32_t i = 0; i < b.rig.count; i++)
				if (op != CUT_FAIL || i != 1)
					assert_int_equal(b.view.disks[i].state,
							 METADATA_DISK_IN_SYNC);
			tear_down(&b);
			if (r == 0)
				break;
		}
}

/* True: it was over before the power went. */
static bool cut_activate(struct bench *b, uint64_t cut)
{
	uint64_t before = writes(b);
	bool is_over;

	disk_world_cut_power_after(b->rig.world, cut);
	is_over = do_it(b, CUT_ACTIVATE) == 0 && writes(b) - before < cut;
	metadata_free(b->md);
	disk_world_cut_power(b->rig.world);
	disk_world_restore_power(b->rig.world);
	b->md = metadata_new(&ops, b);
	assemble(b);
	return is_over;
}

/* Each leaves a disk one event behind; two events behind would be stale. */
static void two_cuts_leave_no_disk_behind(void **state)
{
	bool is_first_over = false, is_second_over;

	(void)state;
	for (uint64_t first = 0; !is_first_over; first++)
		for (uint64_t second = 0;; second++) {
			struct bench b;

			prepare(&b, CUT_ACTIVATE, 1);
			is_first_over = cut_activate(&b, first);
			is_second_over = cut_activate(&b, second);
			assert_int_equal(do_it(&b, CUT_ACTIVATE), 0);
			for (size_t i = 0; i < b.rig.count; i++)
				assert_int_equal(b.view.disks[i].state, METADATA_DISK_IN_SYNC);
			tear_down(&b);
			if (is_second_over)
				break;
		}
}

/* --- CHANGE ----------------------------------------------------------------------------- */

static int change(struct bench *b, const struct md_grow *grow, struct err *err)
{
	struct metadata_request req = { .op = METADATA_CHANGE, .grow = grow, .name = "host:big" };
	int r = run(b, &req);

	*err = req.err;
	return r;
}

/* Half of the disk at first, so that there is something to grow into. */
static void set_up_small(struct bench *b, uint64_t seed, size_t disks, int level)
{
	struct md_create_params p;

	memset(b, 0, sizeof(*b));
	b->leave = -1;
	rig_init(&b->rig, seed, disks, SECTORS);
	p = rig_params(&b->rig);
	p.nodes = NODES;
	p.size_sectors = SECTORS / 2;
	p.level = level;
	if (level == MD_LEVEL_RAID10)
		p.chunk_sectors = 128;
	rig_create(&b->rig, &p);
	b->md = metadata_new(&ops, b);
	assert_non_null(b->md);
}

static void a_change_is_read_in_the_view(void **state)
{
	const struct md_grow grow = { .size = MD_GROW_MAX, .raid_disks = 3, .slot = 1 };
	struct err err = ERR_INIT;
	struct bench b;
	uint64_t events;

	(void)state;
	set_up_small(&b, 1, 2, MD_LEVEL_RAID1);
	assemble(&b);
	events = b.view.events;
	assert_ok(change(&b, &grow, &err), err);
	assert_int_equal(b.view.events, events + 1);
	assert_int_equal(b.view.raid_disks, 3);
	assert_int_equal(b.view.disks[2].state, METADATA_DISK_MISSING);
	assert_true(b.view.member_sectors > SECTORS / 2);
	assert_int_equal(b.view.sync_size, b.view.member_sectors);
	assert_string_equal(b.view.name, "host:big");
	tear_down(&b);
}

/*
 * The node that changes dies at any write of it: who activates next finishes it, or finds
 * nothing of it; all disks are members, whichever level, and none is degraded.
 */
static void a_change_that_is_cut_short_is_finished_by_the_next_activate(void **state)
{
	const struct md_grow grow = { .size = MD_GROW_MAX };
	const int levels[] = { MD_LEVEL_RAID1, MD_LEVEL_RAID10 };
	struct err err = ERR_INIT;
	uint64_t sizes[2] = { 0 };

	(void)state;
	for (size_t l = 0; l < 2; l++)
		for (int writes = 0; writes < 60; writes++) {
			struct bench b;

			set_up_small(&b, (uint64_t)writes + 1, 4, levels[l]);
			assemble(&b);
			asked(&b, METADATA_ACTIVATE, 0);
			b.leave = writes;
			(void)change(&b, &grow, &err);
			b.leave = -1;
			metadata_free(b.md);
			b.md = metadata_new(&ops, &b);
			assemble(&b);
			asked(&b, METADATA_ACTIVATE, 0);
			assert_int_equal(b.view.degraded, 0);
			assert_int_equal(b.view.geo.sync_size, b.view.sync_size);
			assert_int_equal(b.view.sync_size, b.view.array_sectors);
			sizes[b.view.member_sectors > SECTORS / 2]++;
			tear_down(&b);
		}
	assert_true(sizes[0] > 0 && sizes[1] > 0);
}

/* It was faulty as the array grew: that its size is another does not make it a stranger. */
static void a_disk_that_failed_before_the_change_does_not_stop_a_start(void **state)
{
	const struct md_grow grow = { .size = MD_GROW_MAX };
	struct err err = ERR_INIT;
	struct bench b;

	(void)state;
	set_up_small(&b, 1, 2, MD_LEVEL_RAID1);
	assemble(&b);
	asked(&b, METADATA_ACTIVATE, 0);
	asked(&b, METADATA_FAIL, 1);
	assert_ok(change(&b, &grow, &err), err);
	metadata_free(b.md);
	b.md = metadata_new(&ops, &b);
	assert_ok(assemble_as(&b, NULL, true, &err), err);
	assert_true(b.view.member_sectors > SECTORS / 2);
	assert_int_equal(b.view.degraded, 1);
	tear_down(&b);
}

static void an_array_whose_clustered_days_are_over_is_refused(void **state)
{
	const struct md_grow kinds[] = { { .bitmap = MD_BITMAP_NONE },
					 { .bitmap = MD_BITMAP_INTERNAL } };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bench b;

		set_up_small(&b, 1, 2, MD_LEVEL_RAID1);
		assemble(&b);
		assert_ok(change(&b, &kinds[i], &err), err);
		assert_refused(assemble_as(&b, NULL, false, &err), -EOPNOTSUPP, err, "bitmap");
		tear_down(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(superblocks_are_told_as_they_are),
		cmocka_unit_test(another_cluster_is_refused),
		cmocka_unit_test(a_missing_disk_is_named_and_asked_for),
		cmocka_unit_test(a_stale_disk_is_not_used),
		cmocka_unit_test(a_disk_one_event_behind_is_used),
		cmocka_unit_test(a_disk_under_repair_is_told_so),
		cmocka_unit_test(kinds_that_are_not_served_are_refused),
		cmocka_unit_test(raid10_needs_one_disk_of_each_pair),
		cmocka_unit_test(
			bits_that_meant_nothing_are_cleared_before_they_mean_something),
		cmocka_unit_test(an_array_in_use_is_not_written),
		cmocka_unit_test(bits_below_a_resync_offset_in_the_middle_stay),
		cmocka_unit_test(a_start_without_a_disk_leaves_it_behind),
		cmocka_unit_test(a_slot_is_what_any_copy_says),
		cmocka_unit_test(clearing_leaves_other_bits_and_other_slots),
		cmocka_unit_test(a_stale_slot_reads_as_ones_and_is_not_written_for_that),
		cmocka_unit_test(a_copy_that_cannot_be_read_is_told_and_not_written_over),
		cmocka_unit_test(the_last_copy_that_cannot_be_read_is_all_dirty),
		cmocka_unit_test(
			a_failed_disk_is_faulty_for_all_others_and_is_written_no_more),
		cmocka_unit_test(failing_twice_writes_once),
		cmocka_unit_test(the_last_disk_of_a_set_never_fails),
		cmocka_unit_test(a_second_disk_that_fails_meanwhile_is_faulty_too),
		cmocka_unit_test(a_failed_disk_cannot_hide_what_others_failed),
		cmocka_unit_test(a_disk_that_cannot_be_read_this_time_is_what_it_was),
		cmocka_unit_test(a_change_is_read_in_the_view),
		cmocka_unit_test(
			a_change_that_is_cut_short_is_finished_by_the_next_activate),
		cmocka_unit_test(a_disk_that_failed_before_the_change_does_not_stop_a_start),
		cmocka_unit_test(an_array_whose_clustered_days_are_over_is_refused),
		cmocka_unit_test(a_power_cut_at_any_write_loses_nothing),
		cmocka_unit_test(nothing_is_written_without_leave_and_no_disk_is_to_blame),
		cmocka_unit_test(two_cuts_leave_no_disk_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
