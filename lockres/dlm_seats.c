/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the group says about the table of slots. Messages, after a byte for the kind:
 *
 *	ASK      incarnation u64, slot wanted + 1 u16, slots u16
 *	TABLE    node u32, handle u32, events since it asked u64, the table
 *	CLAIM    the table: two partitions are one again (N4)
 *	CONFIRM  node u32, incarnation u64, enum lock_death u8
 *
 * All but TABLE count as events, and so do changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/dlm_slots_private.h"
#include "totem/group.h"

enum kind { ASK = 1, TABLE, CLAIM, CONFIRM };

/* --- what is said -------------------------------------------------------------------- */

static void say(struct dlm_slots *s, struct wr *wr)
{
	assert(!wr->failed);
	s->ops->send(s->owner, wr->base, wr->at);
}

static void ask(struct dlm_slots *s)
{
	uint8_t bytes[16];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr_u8(&wr, ASK);
	wr_u64(&wr, s->incarnation);
	wr_u16(&wr, (uint16_t)(s->wanted + 1));
	wr_u16(&wr, (uint16_t)s->slots);
	say(s, &wr);
}

static void claim(struct dlm_slots *s)
{
	uint8_t bytes[DLM_SLOTS_MESSAGE_MAX];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr_u8(&wr, CLAIM);
	dlm_slots_put(s, &wr);
	say(s, &wr);
}

static void tell_table(struct dlm_slots *s, const struct dlm_peer *to)
{
	uint8_t bytes[DLM_SLOTS_MESSAGE_MAX];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr_u8(&wr, TABLE);
	wr_u32(&wr, to->node);
	wr_u32(&wr, to->handle);
	wr_u64(&wr, s->events - to->asked_at);
	dlm_slots_put(s, &wr);
	say(s, &wr);
}

void dlm_slots_confirm(struct dlm_slots *s, uint32_t node, uint64_t incarnation,
		       enum lock_death death)
{
	const struct dlm_seat *seat = dlm_seat_of(s, node);
	uint8_t bytes[16];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	if (!seat || !seat->is_missing || (incarnation && seat->incarnation > incarnation))
		return;
	wr_u8(&wr, CONFIRM);
	wr_u32(&wr, node);
	wr_u64(&wr, seat->incarnation);
	wr_u8(&wr, (uint8_t)death);
	say(s, &wr);
}

/* --- who has a table ------------------------------------------------------------------- */

static struct dlm_peer *peer_of(struct dlm_slots *s, uint32_t node, uint32_t handle)
{
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (s->peers[i].node == node && s->peers[i].handle == handle)
			return &s->peers[i];
	return NULL;
}

static bool is_self(const struct dlm_slots *s, const struct dlm_peer *peer)
{
	return peer->node == s->self && peer->handle == s->handle;
}

static bool is_seated(struct dlm_slots *s, uint32_t node, uint32_t handle)
{
	const struct dlm_seat *seat = dlm_seat_of(s, node);

	return seat && seat->is_member && seat->handle == handle;
}

/* N3: the first of those who have the table gives it to who asked. */
static void provide(struct dlm_slots *s)
{
	size_t i;

	if (!s->has_table || s->is_lost)
		return;
	for (i = 0; i < s->peer_count && !is_self(s, &s->peers[i]); i++)
		if (!s->peers[i].has_asked &&
		    is_seated(s, s->peers[i].node, s->peers[i].handle))
			return;
	for (i = 0; i < s->peer_count; i++)
		if (s->peers[i].has_asked && !is_self(s, &s->peers[i]))
			tell_table(s, &s->peers[i]);
}

static void lose(struct dlm_slots *s, int why)
{
	if (s->is_lost)
		return;
	s->is_lost = true;
	s->ops->lost(s->owner, why);
}

static void check_own_seat(struct dlm_slots *s)
{
	const struct dlm_seat *seat = dlm_seat_of(s, s->self);

	if (is_seated(s, s->self, s->handle))
		s->ops->changed(s->owner);
	else if (!seat || seat->next_handle != s->handle)
		lose(s, seat && seat->is_member ? -EEXIST : -ENOSPC);
}

static struct dlm_peer *next_asker(struct dlm_slots *s, uint64_t after)
{
	struct dlm_peer *next = NULL;
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (s->peers[i].asked_at > after &&
		    (!next || s->peers[i].asked_at < next->asked_at))
			next = &s->peers[i];
	return next;
}

static void found_if_all_asked(struct dlm_slots *s)
{
	struct dlm_peer *peer;
	uint64_t after = 0;
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (!s->peers[i].has_asked)
			return;
	while ((peer = next_asker(s, after))) {
		dlm_seat_take(s, peer);
		after = peer->asked_at;
	}
	s->has_table = true;
	peer_of(s, s->self, s->handle)->has_asked = false;
	check_own_seat(s);
}

/* --- changes ------------------------------------------------------------------------------ */

static int take_view(struct dlm_slots *s, const struct group_change *change)
{
	struct dlm_peer *peers = calloc(change->member_count ? change->member_count : 1,
					sizeof(*peers));
	size_t i;

	if (!peers)
		return -ENOMEM;
	for (i = 0; i < change->member_count; i++) {
		const struct group_member *m = &change->members[i];
		const struct dlm_peer *before = peer_of(s, m->node, m->handle);

		if (before && m->reason == GROUP_MEMBER)
			peers[i] = *before;
		peers[i].node = m->node;
		peers[i].handle = m->handle;
	}
	free(s->peers);
	s->peers = peers;
	s->peer_count = change->member_count;
	return 0;
}

static void take_left(struct dlm_slots *s, const struct group_member *left)
{
	struct dlm_seat *seat = dlm_seat_of(s, left->node);

	if (!seat)
		return;
	if (seat->next_handle == left->handle)
		seat->next_handle = 0;
	if (!is_seated(s, left->node, left->handle) || seat->is_missing)
		return;
	if (left->reason == GROUP_LEAVE) {
		dlm_seat_leave(s, seat);
		return;
	}
	seat->is_missing = true;
	seat->is_process = left->reason == GROUP_PROCDOWN;
	s->ops->missing(s->owner, seat->node, seat->is_process);
}

/* True: it was elsewhere, and may have a table of its own. */
static bool take_joined(struct dlm_slots *s, const struct group_member *joined)
{
	struct dlm_seat *seat = dlm_seat_of(s, joined->node);

	if (!seat || seat->handle != joined->handle ||
	    (joined->node == s->self && joined->handle == s->handle))
		return false;
	seat->is_missing = seat->is_process = false;
	return true;
}

static void change_table(struct dlm_slots *s, const struct group_change *change)
{
	uint64_t version = s->version;
	bool is_merge = false;
	size_t i;

	for (i = 0; i < change->left_count; i++)
		take_left(s, &change->left[i]);
	for (i = 0; i < change->joined_count; i++)
		is_merge |= take_joined(s, &change->joined[i]);
	/* All sides count it, and then have the version of the highest. */
	if (is_merge) {
		s->version++;
		claim(s);
	}
	if (s->version != version)
		s->ops->changed(s->owner);
	provide(s);
}

/* Who asked has no table; of who left without it nobody knows: all ask again. */
static bool has_lost_unknown(struct dlm_slots *s, const struct group_change *change)
{
	size_t i;

	for (i = 0; i < change->left_count; i++) {
		const struct dlm_peer *peer = peer_of(s, change->left[i].node,
						      change->left[i].handle);

		if (!peer || !peer->has_asked)
			return true;
	}
	return false;
}

static bool is_joining(const struct dlm_slots *s, const struct group_change *change)
{
	size_t i;

	for (i = 0; i < change->joined_count; i++)
		if (change->joined[i].node == s->self &&
		    change->joined[i].handle == s->handle)
			return true;
	return false;
}

int dlm_slots_changed(struct dlm_slots *s, uint32_t handle, const struct group_change *change)
{
	bool is_first = s->peer_count == 0, is_asking;
	size_t i;
	int r;

	s->handle = handle;
	s->events++;
	is_asking = !s->has_table && (is_first || has_lost_unknown(s, change) ||
				      is_joining(s, change));
	r = take_view(s, change);
	if (r < 0 || s->is_lost)
		return r;
	if (s->has_table) {
		change_table(s, change);
		return 0;
	}
	if (is_asking) {
		for (i = 0; i < s->peer_count; i++)
			s->peers[i].has_asked = false, s->peers[i].asked_at = 0;
		ask(s);
	} else if (s->peer_count) {
		found_if_all_asked(s);
		provide(s);
	}
	return 0;
}

/* --- messages ------------------------------------------------------------------------------ */

static void take_ask(struct dlm_slots *s, struct dlm_peer *from, struct rd *rd)
{
	uint64_t incarnation = rd_u64(rd), version = s->version;
	int wanted = (int)rd_u16(rd) - 1, slots;

	slots = rd_u16(rd);
	if (rd->failed || wanted >= LOCKSPACE_MAX_SLOTS || slots < 1 ||
	    slots > LOCKSPACE_MAX_SLOTS) {
		s->faults++;
		return;
	}
	s->events++;
	from->has_asked = true;
	from->asked_at = s->events;
	from->wanted = wanted;
	from->incarnation = incarnation;
	if (s->has_table) {
		if (is_self(s, from))
			from->has_asked = false;
		else
			dlm_seat_take(s, from);
		if (s->version != version)
			s->ops->changed(s->owner);
	} else {
		found_if_all_asked(s);
	}
	provide(s);
}

static bool take_table_of(struct dlm_slots *s, struct rd *rd)
{
	if (dlm_slots_take(s, rd) == 0)
		return true;
	/* What is half taken is of no use: as if it had never been there. */
	s->faults++;
	s->seat_count = 0;
	lose(s, -EBADMSG);
	return false;
}

static void take_table(struct dlm_slots *s, struct rd *rd)
{
	uint32_t node = rd_u32(rd), handle;
	struct dlm_peer *peer;
	uint64_t since;

	handle = rd_u32(rd);
	since = rd_u64(rd);
	peer = rd->failed ? NULL : peer_of(s, node, handle);
	if (!peer || !peer->has_asked || since != s->events - peer->asked_at)
		return;
	peer->has_asked = false;
	if (!is_self(s, peer) || s->has_table || !take_table_of(s, rd))
		return;
	s->has_table = true;
	check_own_seat(s);
}

/* Of two that differ at one version all take the same. */
static uint64_t rank(const struct dlm_slots *s)
{
	uint64_t hash = 0xcbf29ce484222325;
	int i;

	for (i = 0; i < s->seat_count; i++) {
		const struct dlm_seat *seat = &s->seats[i];
		const uint32_t words[] = { seat->node, seat->handle,
					   (uint32_t)seat->slot, seat->is_member };
		size_t k;

		for (k = 0; k < 4; k++)
			hash = (hash ^ words[k]) * 0x100000001b3;
	}
	return hash;
}

static bool is_better(const struct dlm_slots *other, const struct dlm_slots *s)
{
	return other->version > s->version ||
	       (other->version == s->version && rank(other) > rank(s));
}

static void take_claim(struct dlm_slots *s, const struct dlm_peer *from, struct rd *rd)
{
	struct dlm_slots *other;

	s->events++;
	if (!s->has_table || is_self(s, from)) {
		provide(s);
		return;
	}
	other = calloc(1, sizeof(*other));
	if (!other || dlm_slots_take(other, rd) < 0) {
		s->faults++;
	} else if (!is_seated(other, s->self, s->handle)) {
		lose(s, -ESTALE);
	} else if (is_better(other, s)) {
		memcpy(s->seats, other->seats, sizeof(s->seats));
		s->seat_count = other->seat_count;
		s->slots = other->slots;
		s->version = other->version;
		s->ops->changed(s->owner);
	}
	free(other);
	provide(s);
}

static void take_confirm(struct dlm_slots *s, struct rd *rd)
{
	uint32_t node = rd_u32(rd);
	uint64_t incarnation = rd_u64(rd);
	struct dlm_seat *seat;
	unsigned int death;

	death = rd_u8(rd);
	if (rd->failed || death > LOCK_DEATH_NODE) {
		s->faults++;
		return;
	}
	s->events++;
	seat = s->has_table ? dlm_seat_of(s, node) : NULL;
	if (seat && seat->is_missing && seat->incarnation == incarnation) {
		int slot = seat->slot;

		dlm_seat_leave(s, seat);
		s->ops->dead(s->owner, node, slot, (enum lock_death)death);
		s->ops->changed(s->owner);
	}
	provide(s);
}

bool dlm_slots_message(struct dlm_slots *s, const struct group_member *sender,
		       const void *message, size_t length)
{
	struct rd rd = rd_over(message, length);
	unsigned int kind = rd_u8(&rd);
	struct dlm_peer *from = peer_of(s, sender->node, sender->handle);

	if (kind < ASK || kind > CONFIRM)
		return false;
	if (!from || s->is_lost) {
		s->faults += !from;
		return true;
	}
	switch (kind) {
	case ASK:
		take_ask(s, from, &rd);
		break;
	case TABLE:
		take_table(s, &rd);
		break;
	case CLAIM:
		take_claim(s, from, &rd);
		break;
	case CONFIRM:
		take_confirm(s, &rd);
		break;
	}
	return true;
}
