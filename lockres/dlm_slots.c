/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table itself: seats, who gets which, and its bytes. What the group says about
 * it is in dlm_seats.c.
 */
#include "lockres/dlm_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/dlm_slots_private.h"

enum { SEAT_BYTES = 4 + 4 + 8 + 1 + 1 + 4 + 8 + 2 };

enum seat_flag { IS_MEMBER = 1, IS_MISSING = 2, IS_PROCESS = 4, IS_ALL = 7 };

static_assert(8 + 2 + 2 + DLM_SLOTS_ENTRIES * SEAT_BYTES + 16 <= DLM_SLOTS_MESSAGE_MAX,
	      "the table fits a message");

void dlm_slots_init(struct dlm_slots *s, uint32_t self, uint64_t incarnation,
		    const struct lockspace_config *config,
		    const struct dlm_slots_ops *ops, void *owner)
{
	*s = (struct dlm_slots){
		.ops = ops,
		.owner = owner,
		.self = self,
		.incarnation = incarnation,
		.slots = config->slots ? config->slots : LOCKSPACE_MAX_SLOTS,
		.wanted = config->wanted_slot,
	};
}

void dlm_slots_fini(struct dlm_slots *s)
{
	free(s->peers);
	s->peers = NULL;
	s->peer_count = 0;
}

struct dlm_seat *dlm_seat_of(struct dlm_slots *s, uint32_t node)
{
	int i;

	for (i = 0; i < s->seat_count; i++)
		if (s->seats[i].node == node)
			return &s->seats[i];
	return NULL;
}

const struct dlm_seat *dlm_slots_find(const struct dlm_slots *s, uint32_t node)
{
	int i;

	for (i = 0; i < s->seat_count; i++)
		if (s->seats[i].node == node)
			return &s->seats[i];
	return NULL;
}

bool dlm_slots_is_missing(const struct dlm_slots *s)
{
	int i;

	for (i = 0; i < s->seat_count; i++)
		if (s->seats[i].is_missing)
			return true;
	return false;
}

static bool is_free(const struct dlm_slots *s, int slot)
{
	int i;

	if (slot < 0 || slot >= s->slots)
		return false;
	for (i = 0; i < s->seat_count; i++)
		if (s->seats[i].is_member && s->seats[i].slot == slot)
			return false;
	return true;
}

static int pick(const struct dlm_slots *s, const struct dlm_seat *before, int wanted)
{
	int slot;

	if (is_free(s, wanted))
		return wanted;
	if (before && is_free(s, before->slot))
		return before->slot;
	for (slot = 0; slot < s->slots; slot++)
		if (is_free(s, slot))
			return slot;
	return -1;
}

/* Nobody remembers for ever: the first that is no member makes room. */
static struct dlm_seat *seat_new(struct dlm_slots *s)
{
	int i;

	if (s->seat_count < DLM_SLOTS_ENTRIES)
		return &s->seats[s->seat_count++];
	for (i = 0; i < s->seat_count; i++)
		if (!s->seats[i].is_member)
			break;
	memmove(&s->seats[i], &s->seats[i + 1],
		(size_t)(s->seat_count - i - 1) * sizeof(s->seats[0]));
	return &s->seats[s->seat_count - 1];
}

void dlm_seat_take(struct dlm_slots *s, const struct dlm_peer *peer)
{
	struct dlm_seat *seat = dlm_seat_of(s, peer->node);
	int slot;

	if (seat && seat->is_missing) {
		seat->next_handle = peer->handle;
		seat->next_incarnation = peer->incarnation;
		seat->next_wanted = peer->wanted;
		return;
	}
	if (seat && seat->is_member)
		return;
	slot = pick(s, seat, peer->wanted);
	if (slot < 0)
		return;
	if (!seat)
		seat = seat_new(s);
	*seat = (struct dlm_seat){
		.node = peer->node,
		.handle = peer->handle,
		.incarnation = peer->incarnation,
		.slot = slot,
		.is_member = true,
	};
	s->version++;
}

void dlm_seat_leave(struct dlm_slots *s, struct dlm_seat *seat)
{
	const struct dlm_peer next = {
		.node = seat->node,
		.handle = seat->next_handle,
		.incarnation = seat->next_incarnation,
		.wanted = seat->next_wanted,
	};

	seat->is_member = seat->is_missing = seat->is_process = false;
	seat->next_handle = 0;
	s->version++;
	if (next.handle)
		dlm_seat_take(s, &next);
}

size_t dlm_slots_members(const struct dlm_slots *s,
			 struct lockspace_member members[LOCKSPACE_MAX_SLOTS], int *our_slot)
{
	size_t count = 0;
	int slot, i;

	*our_slot = -1;
	for (slot = 0; slot < s->slots; slot++)
		for (i = 0; i < s->seat_count; i++) {
			const struct dlm_seat *seat = &s->seats[i];

			if (!seat->is_member || seat->slot != slot)
				continue;
			members[count++] = (struct lockspace_member){ seat->node, slot };
			if (seat->node == s->self && seat->handle == s->handle &&
			    !seat->is_missing)
				*our_slot = slot;
		}
	return count;
}

void dlm_slots_put(const struct dlm_slots *s, struct wr *wr)
{
	int i;

	wr_u64(wr, s->version);
	wr_u16(wr, (uint16_t)s->slots);
	wr_u16(wr, (uint16_t)s->seat_count);
	for (i = 0; i < s->seat_count; i++) {
		const struct dlm_seat *seat = &s->seats[i];

		wr_u32(wr, seat->node);
		wr_u32(wr, seat->handle);
		wr_u64(wr, seat->incarnation);
		wr_u8(wr, (uint8_t)seat->slot);
		wr_u8(wr, (uint8_t)((seat->is_member ? IS_MEMBER : 0) |
				    (seat->is_missing ? IS_MISSING : 0) |
				    (seat->is_process ? IS_PROCESS : 0)));
		wr_u32(wr, seat->next_handle);
		wr_u64(wr, seat->next_incarnation);
		wr_u16(wr, (uint16_t)(seat->next_wanted + 1));
	}
}

static bool take_seat(struct dlm_slots *s, struct rd *rd)
{
	struct dlm_seat seat;
	unsigned int flags;

	seat.node = rd_u32(rd);
	seat.handle = rd_u32(rd);
	seat.incarnation = rd_u64(rd);
	seat.slot = rd_u8(rd);
	flags = rd_u8(rd);
	seat.is_member = flags & IS_MEMBER;
	seat.is_missing = flags & IS_MISSING;
	seat.is_process = flags & IS_PROCESS;
	seat.next_handle = rd_u32(rd);
	seat.next_incarnation = rd_u64(rd);
	seat.next_wanted = (int)rd_u16(rd) - 1;
	if (rd->failed || flags & ~(unsigned int)IS_ALL || dlm_seat_of(s, seat.node) ||
	    (flags & (IS_MISSING | IS_PROCESS) && !seat.is_member) ||
	    seat.slot >= s->slots || (seat.is_member && !is_free(s, seat.slot)))
		return false;
	s->seats[s->seat_count++] = seat;
	return true;
}

int dlm_slots_take(struct dlm_slots *s, struct rd *rd)
{
	uint64_t version = rd_u64(rd);
	int slots = rd_u16(rd), count = rd_u16(rd);

	if (rd->failed || slots < 1 || slots > LOCKSPACE_MAX_SLOTS ||
	    count > DLM_SLOTS_ENTRIES)
		return -EBADMSG;
	s->slots = slots;
	s->seat_count = 0;
	while (count-- > 0)
		if (!take_seat(s, rd))
			return -EBADMSG;
	s->version = version;
	return 0;
}
