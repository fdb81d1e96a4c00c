/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The recorder's life, the calls that it passes on, and what the array says. */
#include "mdclusterd/record/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "mdclusterd/record/recorder_private.h"

static void give(struct recorded *r, const void *bytes, size_t length)
{
	int result = r->config.write(r->config.owner, bytes, length);

	r->written += length;
	if (result < 0)
		recorder_end(r, strerror(-result));
}

void recorder_end(struct recorded *r, const char *why)
{
	struct record full = { .kind = RECORD_FULL, .now = r->ops.now(r->owner) };
	uint8_t bytes[1024 + RECORD_TEXT];

	if (r->is_over)
		return;
	r->is_over = true;
	snprintf(full.text, sizeof(full.text), "%s", why);
	r->config.write(r->config.owner, bytes, record_write(&full, bytes, sizeof(bytes)));
	if (r->config.ended)
		r->config.ended(r->config.owner, why);
}

void recorder_put(struct recorded *r, struct record *record)
{
	uint8_t few[2048];
	CLEANUP_FREE uint8_t *many = NULL;
	size_t room = record_room(record);

	if (r->is_over)
		return;
	record->now = r->ops.now(r->owner);
	if (room > sizeof(few)) {
		many = malloc(room);
		if (!many) {
			recorder_end(r, "no memory");
			return;
		}
	}
	if (r->written + room > r->config.max_bytes || room > RECORD_MAX_BYTES) {
		recorder_end(r, "the recording is as long as it may be");
		return;
	}
	give(r, many ? many : few, record_write(record, many ? many : few,
						room > sizeof(few) ? room : sizeof(few)));
}

/* --- what the array says --------------------------------------------------------------- */

static uint64_t pass_now(void *owner)
{
	const struct recorded *r = owner;

	return r->ops.now(r->owner);
}

static void pass_armed(void *owner)
{
	const struct recorded *r = owner;

	if (r->ops.armed)
		r->ops.armed(r->owner);
}

static void pass_event(void *owner, const struct array_event *event)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_EVENT, .event = *event };

	snprintf(record.text, sizeof(record.text), "%s", event->text ? event->text : "");
	recorder_put(r, &record);
	if (r->ops.event)
		r->ops.event(r->owner, event);
}

static bool pass_evict(void *owner, uint32_t node, const char *why)
{
	struct recorded *r = owner;
	bool is_going = r->ops.evict && r->ops.evict(r->owner, node, why);
	struct record record = { .kind = RECORD_EVICTED, .number = node, .flag = is_going };

	recorder_put(r, &record);
	return is_going;
}

static void pass_closed_here(void *owner)
{
	const struct recorded *r = owner;

	if (r->ops.closed_here)
		r->ops.closed_here(r->owner);
}

static void pass_stopped(void *owner)
{
	const struct recorded *r = owner;

	if (r->ops.stopped)
		r->ops.stopped(r->owner);
}

static void pass_slot_known(void *owner, int slot)
{
	const struct recorded *r = owner;

	if (r->ops.slot_known)
		r->ops.slot_known(r->owner, slot);
}

static const struct array_ops passing = {
	.now = pass_now, .armed = pass_armed, .event = pass_event, .evict = pass_evict,
	.closed_here = pass_closed_here, .stopped = pass_stopped, .slot_known = pass_slot_known,
};

/* --- life -------------------------------------------------------------------------------- */

struct recorded *recorded_new(const struct recorder_config *recorder,
			      const struct array_config *config,
			      struct lockspace_engine *locks,
			      struct metadata_runner *metadata, struct plane *plane,
			      const struct array_ops *ops, void *owner, struct err *err)
{
	struct recorded *r = calloc(1, sizeof(*r));
	struct record begin = { .kind = RECORD_BEGIN, .config = config };

	if (!r) {
		err_nomem(err, "a recorder");
		return NULL;
	}
	r->config = *recorder;
	r->real_locks = locks;
	r->real_metadata = metadata;
	r->real_plane = plane;
	r->ops = *ops;
	r->owner = owner;
	qb_list_init(&r->tapped);
	recorder_tap_locks(r);
	recorder_tap_disks(r);
	give(r, RECORD_MAGIC, RECORD_MAGIC_BYTES);
	recorder_put(r, &begin);
	r->array = array_new(config, &r->locks, &r->metadata, &r->plane, &passing, r, err);
	if (!r->array) {
		recorded_free(r);
		return NULL;
	}
	return r;
}

void recorded_free(struct recorded *r)
{
	if (!r)
		return;
	array_free(r->array);
	recorder_untap(r);
	free(r);
}

struct array *recorded_array(struct recorded *r)
{
	return r->array;
}

/* --- calls ------------------------------------------------------------------------------- */

static void put_call(struct recorded *r, enum record_kind kind, bool flag)
{
	struct record record = { .kind = kind, .flag = flag };

	recorder_put(r, &record);
}

void recorded_start(struct recorded *r)
{
	put_call(r, RECORD_START, false);
	array_start(r->array);
}

int recorded_stop(struct recorded *r, struct err *err)
{
	put_call(r, RECORD_STOP, false);
	return array_stop(r->array, err);
}

void recorded_give_up(struct recorded *r, const struct err *why)
{
	struct record record = { .kind = RECORD_GIVE_UP, .result = why->code };

	snprintf(record.text, sizeof(record.text), "%s", why->text);
	recorder_put(r, &record);
	array_give_up(r->array, why);
}

void recorded_set_quorate(struct recorded *r, bool is_quorate)
{
	put_call(r, RECORD_QUORATE, is_quorate);
	array_set_quorate(r->array, is_quorate);
}

void recorded_set_missing(struct recorded *r, uint32_t node, bool is_missing)
{
	struct record record = { .kind = RECORD_MISSING, .number = node, .flag = is_missing };

	recorder_put(r, &record);
	array_set_missing(r->array, node, is_missing);
}

void recorded_advance(struct recorded *r, uint64_t now)
{
	if (now >= array_deadline(r->array))
		put_call(r, RECORD_ADVANCE, false);
	array_advance(r->array, now);
}

int recorded_check(struct recorded *r, bool is_repair, struct err *err)
{
	put_call(r, RECORD_CHECK, is_repair);
	return array_check(r->array, is_repair, err);
}

void recorded_check_cancel(struct recorded *r)
{
	put_call(r, RECORD_CHECK_CANCEL, false);
	array_check_cancel(r->array);
}

void recorded_set_speed(struct recorded *r, uint64_t min_bytes, uint64_t max_bytes)
{
	struct record record = { .kind = RECORD_SPEED, .low = min_bytes, .high = max_bytes };

	recorder_put(r, &record);
	array_set_speed(r->array, min_bytes, max_bytes);
}

int recorded_fail_disk(struct recorded *r, uint32_t role, struct err *err)
{
	struct record record = { .kind = RECORD_FAIL_DISK, .number = role };

	recorder_put(r, &record);
	return array_fail_disk(r->array, role, err);
}

int recorded_change(struct recorded *r, struct array_change *c, struct err *err)
{
	struct record record = {
		.kind = RECORD_CHANGE,
		.op = (uint8_t)c->kind,
		.number = c->number,
		.flag = c->is_forced,
	};

	snprintf(record.text, sizeof(record.text), "%s", c->path ? c->path : "");
	recorder_put(r, &record);
	c->serial = ++r->changes;
	return array_change(r->array, c, err);
}

void recorded_change_forget(struct recorded *r, struct array_change *c)
{
	struct record record = { .kind = RECORD_CHANGE_FORGOTTEN, .number = c->serial };

	recorder_put(r, &record);
	array_change_forget(r->array, c);
}

int recorded_grow(struct recorded *r, struct array_grow *g, struct err *err)
{
	struct record record = {
		.kind = RECORD_GROW,
		.op = (uint8_t)g->grow.bitmap,
		.number = g->grow.raid_disks,
		.low = g->grow.size,
		.flag = g->grow.is_assume_clean,
	};

	snprintf(record.text, sizeof(record.text), "%s", g->name);
	recorder_put(r, &record);
	return array_grow(r->array, g, err);
}
