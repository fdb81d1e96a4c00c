/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lockspace, heard. The array opens it by our engine, which hands on to the real one and
 * stands between the handlers; from then on the array's locks are the real engine's own, and
 * the tap hears their answers.
 */
#include <errno.h>
#include <string.h>

#include "mdclusterd/record/recorder_private.h"

static void on_prep(void *owner, struct lockspace *space)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_PREP };

	recorder_put(r, &record);
	if (r->handlers->recover_prep)
		r->handlers->recover_prep(r->handlers_owner, space);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_SLOT, .number = node, .slot = slot };

	recorder_put(r, &record);
	if (r->handlers->recover_slot)
		r->handlers->recover_slot(r->handlers_owner, space, node, slot);
}

static void on_done(void *owner, struct lockspace *space,
		    const struct lockspace_member *members, size_t count, int our_slot,
		    uint32_t generation)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_DONE, .number = generation,
				 .slot = our_slot, .members = members,
				 .member_count = count };

	recorder_put(r, &record);
	if (r->handlers->recover_done)
		r->handlers->recover_done(r->handlers_owner, space, members, count, our_slot,
					  generation);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_LOST, .result = why->code };

	memcpy(record.text, why->text, sizeof(why->text));
	recorder_put(r, &record);
	if (r->handlers->lost)
		r->handlers->lost(r->handlers_owner, space, why);
}

static void on_closed(void *owner)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_CLOSED };

	recorder_put(r, &record);
	if (r->handlers->closed)
		r->handlers->closed(r->handlers_owner);
}

static const struct lockspace_handlers hearing = {
	.recover_prep = on_prep, .recover_slot = on_slot, .recover_done = on_done,
	.lost = on_lost, .closed = on_closed,
};

static void tap_refused(struct lockspace_tap *tap, const struct lockres *lock,
			enum lockspace_call call, int result)
{
	struct recorded *r = qb_list_entry(tap, struct recorded, lock_tap);
	struct record record = { .kind = RECORD_REFUSED, .lock_name = lock->name,
				 .lock_name_length = lock->name_length,
				 .op = (uint8_t)call, .result = result };

	recorder_put(r, &record);
}

static void tap_done(struct lockspace_tap *tap, const struct lockres *lock,
		     const struct lock_result *result, const uint8_t *value)
{
	struct recorded *r = qb_list_entry(tap, struct recorded, lock_tap);
	struct record record = { .kind = RECORD_LOCK, .lock_name = lock->name,
				 .lock_name_length = lock->name_length, .lock = *result,
				 .value = value };

	record.value_length = value ? (uint8_t)lock->space->lvb_bytes : 0;
	if (result->status == -ETIMEDOUT)
		record.blocker_count = (uint32_t)lockres_blockers(lock, record.blockers, 8);
	if (record.blocker_count > 8)
		record.blocker_count = 8;
	recorder_put(r, &record);
}

static void tap_blocked(struct lockspace_tap *tap, const struct lockres *lock,
			enum lock_mode wanted)
{
	struct recorded *r = qb_list_entry(tap, struct recorded, lock_tap);
	struct record record = { .kind = RECORD_BLOCKED, .lock_name = lock->name,
				 .lock_name_length = lock->name_length,
				 .number = (uint64_t)wanted };

	recorder_put(r, &record);
}

static int tap_open(struct lockspace_engine *engine, const struct lockspace_config *config,
		    const struct lockspace_handlers *handlers, void *owner,
		    struct lockspace **space, struct err *err)
{
	struct recorded *r = qb_list_entry(engine, struct recorded, locks);
	struct record record = { .kind = RECORD_OPENED, .number = config->lvb_bytes };
	int result;

	r->handlers = handlers;
	r->handlers_owner = owner;
	result = lockspace_open(r->real_locks, config, &hearing, r, space, err);
	record.result = result;
	if (result < 0) {
		memcpy(record.text, err->text, sizeof(err->text));
	} else {
		(*space)->tap = &r->lock_tap;
		record.flag = (*space)->is_ordered;
	}
	recorder_put(r, &record);
	return result;
}

/* All but open is never called: the lockspace has the real engine. */
static const struct lockspace_engine_ops tapped_ops = { .open = tap_open };

void recorder_tap_locks(struct recorded *r)
{
	r->locks.ops = &tapped_ops;
	r->lock_tap = (struct lockspace_tap){ .refused = tap_refused, .done = tap_done,
					      .blocked = tap_blocked };
}
