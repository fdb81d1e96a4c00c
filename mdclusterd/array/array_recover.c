/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A slot that nobody has: PW -> READ -> share -> NEED, durable here -> the own lock value says
 * that a resync is owed -> CLEAR -> the slot's lock value says who took -> NL. In that order:
 * a power cut between any two loses no bit (D3); who has PW on the slot after us, and finds
 * it empty, then reads in our lock value that its chunks are not equal yet (V4).
 *
 * One slot at a time, so that there is one map in memory; PW on the others is asked for
 * meanwhile, and given back where nothing can begin: who is frozen waits for all, and one of
 * them may be a node that joins, and waits for that very slot. Whatever fails leaves the slot
 * mapped, and comes again (B54). Superblocks are read anew first, where somebody died (D7):
 * they say whose copies count.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"

static struct array_slot *slot_of(struct array *a)
{
	return &a->slots[a->recovery.slot];
}

void recovery_forget(struct array *a)
{
	free(a->recovery.bits);
	memset(&a->recovery, 0, sizeof(a->recovery));
}

static void end(struct array *a, const struct array_value *value)
{
	slot_release(slot_of(a), value);
	recovery_forget(a);
}

static void fail(struct array *a, const struct err *why)
{
	struct array_slot *s = slot_of(a);

	array_retry(a, &s->retry, why);
	end(a, &a->recovery.value);
}

/* This node is done with the slot. Who else took a share says so in its own lock value. */
static void recovered(struct array *a)
{
	struct array_slot *s = slot_of(a);

	s->is_mapped = false;
	s->has_asked = false;
	retry_fine(&s->retry);
	slot_set_window(s, 0, 0);
	members_read_all(a);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_SLOT_RECOVERED,
		.slot = s->number,
		.node = a->config.self,
		.is_ours = s->taken > 0,
		.bytes = s->taken * a->view.geo.chunk_bytes,
	});
	s->taken = 0;
}

/* --- the share ----------------------------------------------------------------------------- */

static uint64_t share_of(const struct array *a, const struct array_slot *s)
{
	const struct array_recovery *rec = &a->recovery;
	uint32_t takers = rec->value.generation == a->generation ? rec->value.takers : 0;
	uint64_t least = max_u64(1, ARRAY_SHARE_BYTES / a->view.geo.chunk_bytes);
	uint64_t left = a->member_count > takers ? a->member_count - takers : 1;

	if (s->has_asked && s->asked_generation == a->generation)
		return rec->dirty; /* the others had time enough */
	return min_u64(rec->dirty, max_u64(least, div_round_up(rec->dirty, left)));
}

/* Leaves the first `take` set bits of the map. */
static void keep_first(uint8_t *bits, uint64_t chunks, uint64_t take)
{
	struct bits_run run = BITS_RUN_START;

	while (take > 0 && bits_next_run(bits, chunks, &run)) {
		uint64_t length = run.last - run.first + 1;

		if (length > take)
			run.next = run.first + take;
		take -= min_u64(take, length);
	}
	if (run.next < chunks)
		bits_clear_range(bits, run.next, chunks - 1);
}

/* --- steps --------------------------------------------------------------------------------- */

static void cleared(struct array *a, struct metadata_request *req, int result)
{
	struct array_recovery *rec = &a->recovery;
	struct array_slot *s = slot_of(a);
	struct array_value v = { .generation = a->generation };

	if (result < 0) {
		if (result == -EIO && req->role != ARRAY_NO_ROLE)
			fail_want(a, req->role, false);
		fail(a, &req->err);
		return;
	}
	v.takers = rec->value.generation == a->generation ? rec->value.takers + 1 : 1;
	s->taken += rec->taken;
	if (rec->taken == rec->dirty) {
		recovered(a);
	} else {
		s->has_asked = true;
		s->asked_generation = a->generation;
		s->retry.at_ns = array_now(a) + ARRAY_ASK_AGAIN_NS;
	}
	end(a, &v);
}

static void clear(struct array *a)
{
	struct array_recovery *rec = &a->recovery;

	rec->step = RECOVERY_CLEAR;
	rec->work.req = (struct metadata_request){
		.slot = (uint32_t)rec->slot,
		.bits = rec->bits,
		.role = ARRAY_NO_ROLE,
	};
	array_work(a, &rec->work, METADATA_CLEAR_SLOT, cleared);
}

static void needed(struct array *a, struct plane_request *req, int result)
{
	if (result < 0) {
		fail(a, &req->err);
		return;
	}
	resync_set_needed(a, req->needed_chunks);
	a->recovery.step = RECOVERY_FLAG;
}

static void was_read(struct array *a, struct metadata_request *req, int result)
{
	struct array_recovery *rec = &a->recovery;

	rec->bits = req->bits;
	rec->dirty = req->dirty;
	if (result < 0) {
		if (result == -EIO && req->role != ARRAY_NO_ROLE)
			fail_want(a, req->role, false);
		fail(a, &req->err);
		return;
	}
	if (!array_has_plane(a) || a->ending) {
		end(a, &rec->value);
		return;
	}
	if (rec->dirty == 0) {
		recovered(a);
		end(a, &rec->value);
		return;
	}
	rec->taken = share_of(a, slot_of(a));
	keep_first(rec->bits, a->view.geo.chunks, rec->taken);
	rec->step = RECOVERY_NEED;
	rec->need.req = (struct plane_request){ .bits = rec->bits };
	array_ask(a, &rec->need, PLANE_NEED, needed);
}

static bool may_begin(const struct array *a)
{
	return array_has_plane(a) && a->is_quorate && !a->ending && !a->is_reload_owed &&
	       a->state != ARRAY_FROZEN;
}

static void begin(struct array *a, struct array_slot *s)
{
	struct array_recovery *rec = &a->recovery;

	rec->step = RECOVERY_READ;
	rec->slot = s->number;
	(void)array_value_decode(s->lock.value, sizeof(s->lock.value), &rec->value);
	rec->value.is_owner = rec->value.owes = false;
	rec->value.low = rec->value.high = 0;
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_SLOT_RECOVERING,
		.slot = s->number,
		.node = a->config.self,
	});
	rec->work.req = (struct metadata_request){
		.slot = (uint32_t)s->number,
		.role = ARRAY_NO_ROLE,
	};
	array_work(a, &rec->work, METADATA_READ_SLOT, was_read);
}

static struct array_slot *next_slot(struct array *a)
{
	for (int i = ARRAY_MAX_NODES - 1; i >= 0; i--)
		if (a->slots[i].lock_state == SLOT_LOCK_HELD && i != a->our_slot)
			return &a->slots[i];
	return NULL;
}

static bool may_go_on(const struct array *a)
{
	return !a->is_lost && !a->is_broken && !a->is_closed;
}

void recovery_go(struct array *a)
{
	struct array_recovery *rec = &a->recovery;
	struct array_slot *s;

	if (rec->step == RECOVERY_FLAG && may_go_on(a)) {
		if (a->ending)
			end(a, &rec->value); /* its bits are here and there: nothing is lost */
		else if (tell_is_stored(a) && a->tell.stored_owes)
			clear(a);
	}
	if (rec->step != RECOVERY_NONE || !may_go_on(a))
		return;
	s = next_slot(a);
	if (!s)
		return;
	if (a->is_reload_owed && reload_is_done(a, a->death_ticket))
		a->is_reload_owed = false;
	if (may_begin(a))
		begin(a, s);
	else if (a->ending || !a->is_quorate || a->state == ARRAY_FROZEN)
		slot_release(s, NULL);
}
