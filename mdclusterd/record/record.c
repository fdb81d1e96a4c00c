/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records' kinds, and writing them. */
#include "mdclusterd/record/record.h"

#include <string.h>

#include "base/codec.h"
#include "bitmap/bits.h"
#include "mdclusterd/record/record_fields.h"

static const struct {
	const char *name;
	uint32_t fields;
} kinds[RECORD_KINDS] = {
	[RECORD_BEGIN] = { "begin", HAS_CONFIG },
	[RECORD_START] = { "start", 0 },
	[RECORD_STOP] = { "stop", 0 },
	[RECORD_GIVE_UP] = { "give_up", HAS_RESULT | HAS_TEXT },
	[RECORD_QUORATE] = { "quorate", HAS_FLAG },
	[RECORD_MISSING] = { "missing", HAS_NUMBER | HAS_FLAG },
	[RECORD_ADVANCE] = { "advance", 0 },
	[RECORD_CHECK] = { "check", HAS_FLAG },
	[RECORD_CHECK_CANCEL] = { "check_cancel", 0 },
	[RECORD_SPEED] = { "speed", HAS_RANGE },
	[RECORD_FAIL_DISK] = { "fail_disk", HAS_NUMBER },
	[RECORD_CHANGE] = { "change", HAS_NUMBER | HAS_FLAG | HAS_OP | HAS_TEXT },
	[RECORD_CHANGE_FORGOTTEN] = { "change_forgotten", HAS_NUMBER },
	[RECORD_GROW] = { "grow", HAS_NUMBER | HAS_FLAG | HAS_OP | HAS_RANGE | HAS_TEXT },
	[RECORD_PREP] = { "recover_prep", 0 },
	[RECORD_SLOT] = { "recover_slot", HAS_NUMBER | HAS_SLOT },
	[RECORD_DONE] = { "recover_done", HAS_NUMBER | HAS_SLOT | HAS_MEMBERS },
	[RECORD_LOST] = { "lost", HAS_RESULT | HAS_TEXT },
	[RECORD_CLOSED] = { "closed", 0 },
	[RECORD_LOCK] = { "lock", HAS_LOCK | HAS_LOCK_RESULT },
	[RECORD_BLOCKED] = { "blocked", HAS_LOCK | HAS_NUMBER },
	[RECORD_METADATA] = { "metadata", HAS_NUMBER | HAS_OP | HAS_RESULT | HAS_SLOT | HAS_TEXT |
			      HAS_VIEW | HAS_BITS | HAS_DISK },
	[RECORD_PLANE] = { "plane", HAS_NUMBER | HAS_OP | HAS_RESULT | HAS_TEXT |
			   HAS_PLANE },
	[RECORD_DISK_FAILED] = { "disk_failed", HAS_NUMBER | HAS_RESULT | HAS_TEXT },
	[RECORD_DIFFERS] = { "differs", HAS_RANGE },
	[RECORD_NEEDS] = { "needs", HAS_NUMBER },
	[RECORD_CORRECTED] = { "corrected", HAS_SLOT | HAS_RANGE | HAS_NUMBER },
	[RECORD_OPENED] = { "opened", HAS_RESULT | HAS_TEXT | HAS_FLAG | HAS_NUMBER },
	[RECORD_EVICTED] = { "evicted", HAS_NUMBER | HAS_FLAG },
	[RECORD_REFUSED] = { "refused", HAS_OP | HAS_RESULT | HAS_LOCK },
	[RECORD_EVENT] = { "event", HAS_EVENT | HAS_TEXT },
	[RECORD_ASKED] = { "asked", HAS_NUMBER | HAS_FLAG | HAS_OP | HAS_SLOT | HAS_RESULT |
			   HAS_RANGE },
	[RECORD_FULL] = { "full", HAS_TEXT },
};

const char *record_kind_name(enum record_kind kind)
{
	return (unsigned int)kind < RECORD_KINDS ? kinds[kind].name : "?";
}

uint32_t record_fields(enum record_kind kind)
{
	return kinds[kind].fields;
}

/* --- writing ------------------------------------------------------------------------- */

static void put_text(struct wr *wr, const char *text)
{
	size_t length = strlen(text);

	if (length > UINT16_MAX)
		length = UINT16_MAX;
	wr_u16(wr, (uint16_t)length);
	wr_bytes(wr, text, length);
}

static void put_config(struct wr *wr, const struct array_config *c)
{
	put_text(wr, c->name);
	put_text(wr, c->cluster);
	wr_u32(wr, c->self);
	wr_u32(wr, (uint32_t)c->wanted_slot);
	wr_u8(wr, c->may_start_degraded);
	wr_u64(wr, c->resync_min_bytes);
	wr_u64(wr, c->resync_max_bytes);
	wr_u32(wr, (uint32_t)c->path_count);
	for (size_t i = 0; i < c->path_count; i++)
		put_text(wr, c->paths[i]);
}

static void put_members(struct wr *wr, const struct record *r)
{
	wr_u32(wr, (uint32_t)r->member_count);
	for (size_t i = 0; i < r->member_count; i++) {
		wr_u32(wr, r->members[i].node);
		wr_u32(wr, (uint32_t)r->members[i].slot);
	}
}

static void put_lock_result(struct wr *wr, const struct record *r)
{
	wr_u32(wr, (uint32_t)r->lock.status);
	wr_u8(wr, (uint8_t)r->lock.mode);
	wr_u32(wr, r->lock.marks);
	wr_u8(wr, r->value ? r->value_length : 0);
	if (r->value)
		wr_bytes(wr, r->value, r->value_length);
	wr_u32(wr, r->blocker_count);
	for (uint32_t i = 0; i < r->blocker_count; i++)
		wr_u32(wr, r->blockers[i]);
}

static void put_view(struct wr *wr, const struct metadata_view *v)
{
	wr_u8(wr, v != NULL);
	if (!v)
		return;
	wr_bytes(wr, v->uuid, sizeof(v->uuid));
	put_text(wr, v->name);
	put_text(wr, v->cluster);
	wr_u32(wr, (uint32_t)v->level);
	wr_u32(wr, v->layout);
	wr_u32(wr, v->chunk_sectors);
	wr_u32(wr, v->raid_disks);
	wr_u64(wr, v->member_sectors);
	wr_u64(wr, v->sync_size);
	wr_u64(wr, v->array_sectors);
	wr_u64(wr, v->events);
	wr_u64(wr, v->resync_offset);
	wr_u32(wr, v->degraded);
	wr_u32(wr, v->geo.chunk_bytes);
	wr_u32(wr, v->geo.nodes);
	wr_u64(wr, v->geo.start_bytes);
	wr_u32(wr, v->disk_count);
	for (uint32_t i = 0; i < v->disk_count; i++) {
		const struct metadata_disk *d = &v->disks[i];

		put_text(wr, d->path);
		wr_u8(wr, (uint8_t)d->state);
		wr_u32(wr, d->role);
		wr_u32(wr, d->dev_number);
		wr_bytes(wr, d->device_uuid, sizeof(d->device_uuid));
		wr_u64(wr, d->data_offset);
		wr_u64(wr, d->recovery_offset);
		wr_u8(wr, d->is_by_bitmap);
		wr_u8(wr, d->is_elsewhere);
		wr_u64(wr, d->bitmap_start_bytes);
	}
}

/* As runs of set bits: a slot is mostly empty, or mostly full. */
static void put_bits(struct wr *wr, const struct record *r)
{
	struct bits_run run = BITS_RUN_START;
	size_t count_at;
	uint32_t count = 0;

	wr_u64(wr, r->dirty);
	wr_u64(wr, r->bits ? r->bit_count : 0);
	count_at = wr->at;
	wr_u32(wr, 0);
	while (r->bits && bits_next_run(r->bits, r->bit_count, &run)) {
		wr_u64(wr, run.first);
		wr_u64(wr, run.last);
		count++;
	}
	if (wr->failed)
		return;
	size_t end = wr->at;

	wr_seek(wr, count_at);
	wr_u32(wr, count);
	wr_seek(wr, end);
}

static void put_plane(struct wr *wr, const struct record_plane *p)
{
	wr_u64(wr, p->low);
	wr_u64(wr, p->high);
	wr_u64(wr, p->position);
	wr_u64(wr, p->copied_sectors);
	wr_u64(wr, p->mismatch_sectors);
	wr_u64(wr, p->took_ns);
	wr_u64(wr, p->write_p99_ns);
	wr_u64(wr, p->needed_chunks);
	wr_u8(wr, p->was_busy);
}

static void put_disk(struct wr *wr, const struct record_disk *d)
{
	wr_u32(wr, d->number);
	wr_bytes(wr, d->device_uuid, sizeof(d->device_uuid));
	wr_u8(wr, d->is_re_add);
}

static void put_event(struct wr *wr, const struct array_event *e)
{
	wr_u8(wr, (uint8_t)e->kind);
	wr_u8(wr, e->is_ours);
	wr_u32(wr, e->node);
	wr_u32(wr, (uint32_t)e->slot);
	wr_u32(wr, e->role);
	wr_u64(wr, e->low);
	wr_u64(wr, e->high);
	wr_u64(wr, e->bytes);
}

size_t record_room(const struct record *r)
{
	size_t room = 1024 + RECORD_TEXT + 8 * r->member_count + r->value_length;
	struct bits_run run = BITS_RUN_START;

	if (r->config)
		for (size_t i = 0; i < r->config->path_count; i++)
			room += 2 + strlen(r->config->paths[i]);
	if (r->view)
		room += r->view->disk_count * (sizeof(struct metadata_disk) + 16);
	while (r->bits && bits_next_run(r->bits, r->bit_count, &run))
		room += 16;
	return room;
}

size_t record_write(const struct record *r, uint8_t *to, size_t room)
{
	uint32_t fields = kinds[r->kind].fields;
	struct wr wr = wr_over(to, room);
	size_t end;

	wr_u32(&wr, 0);
	wr_u8(&wr, (uint8_t)r->kind);
	wr_u64(&wr, r->now);
	if (fields & HAS_FLAG)
		wr_u8(&wr, r->flag);
	if (fields & HAS_OP)
		wr_u8(&wr, r->op);
	if (fields & HAS_RESULT)
		wr_u32(&wr, (uint32_t)r->result);
	if (fields & HAS_SLOT)
		wr_u32(&wr, (uint32_t)r->slot);
	if (fields & HAS_NUMBER)
		wr_u64(&wr, r->number);
	if (fields & HAS_RANGE) {
		wr_u64(&wr, r->low);
		wr_u64(&wr, r->high);
	}
	if (fields & HAS_TEXT)
		put_text(&wr, r->text);
	if (fields & HAS_CONFIG)
		put_config(&wr, r->config);
	if (fields & HAS_MEMBERS)
		put_members(&wr, r);
	if (fields & HAS_LOCK) {
		wr_u8(&wr, r->lock_name_length);
		wr_bytes(&wr, r->lock_name, r->lock_name_length);
	}
	if (fields & HAS_LOCK_RESULT)
		put_lock_result(&wr, r);
	if (fields & HAS_VIEW)
		put_view(&wr, r->view);
	if (fields & HAS_BITS)
		put_bits(&wr, r);
	if (fields & HAS_PLANE)
		put_plane(&wr, &r->plane);
	if (fields & HAS_DISK)
		put_disk(&wr, &r->disk);
	if (fields & HAS_EVENT)
		put_event(&wr, &r->event);
	if (wr.failed)
		return 0;
	end = wr.at;
	wr_seek(&wr, 0);
	wr_u32(&wr, (uint32_t)(end - 4));
	return end;
}

bool record_is_same(const struct record *a, const struct record *b)
{
	uint8_t left[1024 + RECORD_TEXT], right[1024 + RECORD_TEXT];
	struct record l = *a, r = *b;
	size_t length;

	l.now = r.now = 0;
	length = record_write(&l, left, sizeof(left));
	return length && length == record_write(&r, right, sizeof(right)) &&
	       memcmp(left, right, length) == 0;
}

struct record record_of_plane(uint64_t number, const struct plane_request *req)
{
	return (struct record){
		.kind = RECORD_ASKED, .number = number, .flag = true, .op = (uint8_t)req->op,
		.slot = req->op == PLANE_SUSPEND || req->op == PLANE_START ?
				(int32_t)req->slot : 0,
		.result = req->op == PLANE_SYNC ? (int32_t)req->kind :
			  req->op == PLANE_SET_DISK ? (int32_t)req->role : 0,
		.low = req->op == PLANE_SUSPEND || req->op == PLANE_SYNC ||
		       req->op == PLANE_WINDOW ? req->low : 0,
		.high = req->op == PLANE_SUSPEND || req->op == PLANE_SYNC ? req->high :
			req->op == PLANE_WINDOW ? req->bytes : 0,
	};
}

static bool asks_of_role(const struct metadata_request *req)
{
	return req->op == METADATA_FAIL || req->op == METADATA_PROGRESS ||
	       req->op == METADATA_IN_SYNC ||
	       (req->op == METADATA_REBUILD && !req->is_re_add);
}

static bool asks_of_number(enum metadata_op op)
{
	return op == METADATA_ADD || op == METADATA_UNPREPARE || op == METADATA_REBUILD ||
	       op == METADATA_REMOVE || op == METADATA_FORGET;
}

struct record record_of_metadata(uint64_t number, const struct metadata_request *req)
{
	return (struct record){
		.kind = RECORD_ASKED, .number = number, .op = (uint8_t)req->op,
		.slot = req->op == METADATA_READ_SLOT || req->op == METADATA_CLEAR_SLOT ?
				(int32_t)req->slot : 0,
		.result = asks_of_role(req) ? (int32_t)req->role : 0,
		.low = asks_of_number(req->op) ? req->number : 0,
		.high = req->op == METADATA_PROGRESS ? req->position :
			req->op == METADATA_IN_SYNC ? req->slots : 0,
	};
}
