/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One hop = all slots written and flushed at a new place of every member that
 * moves, then one superblock after the other changed over. Changing the uuid
 * of an array whose bitmap is where create puts it takes two hops: to a free
 * place with the new uuid, and back home.
 *
 *	R1  nothing that a durable superblock points to is ever overwritten
 *	R2  a superblock is written only after all that it points to is durable
 *	R3  members with the old and with the new uuid carry the same dirty bits
 */
#include "bitmap/relocate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/disk.h"

#define STAYS UINT64_MAX /* in place[]: this member does not move */

uint64_t md_relocate_find_room(uint64_t from, uint64_t limit,
			       uint64_t busy_start, uint64_t busy_end,
			       uint64_t bytes)
{
	uint64_t before_end = min_u64(limit, busy_start);
	uint64_t after = max_u64(from + bytes, round_up(busy_end, BITMAP_PAGE_BYTES));

	if (from < before_end && before_end - from >= bytes)
		return from;
	if (after < limit && limit - after >= bytes)
		return after;
	return UINT64_MAX;
}

static uint64_t bitmap_bytes(const struct md_member *m)
{
	return bitmap_end_bytes(&m->geo) - m->geo.start_bytes;
}

static uint64_t home(const struct md_member *m)
{
	return (m->sb.super_offset + BITMAP_OFFSET_SECTORS) * SECTOR_BYTES;
}

/* Writes all slots, with `uuid`, to place[] of every member that moves. */
static int write_slots(const struct md_array *array, const uint64_t *place,
		       const uint8_t *uuid, struct err *err)
{
	CLEANUP_FREE struct bitmap_copy *copies =
		calloc(array->count, sizeof(*copies));
	uint32_t number, slots = bitmap_slots(&md_array_freshest(array)->geo);
	size_t i, n = 0;
	int r = 0;

	if (!copies)
		return err_nomem(err, "the list of copies");
	for (i = 0; i < array->count; i++)
		if (place[i] != STAYS)
			copies[n++] = (struct bitmap_copy){
				.disk = array->members[i].disk,
				.start_bytes = place[i],
				.set_uuid = uuid,
			};
	for (number = 0; r == 0 && number < slots; number++) {
		struct bitmap_slot slot;

		r = md_array_load_slot(array, number, &slot, err);
		if (r == 0) {
			memcpy(slot.sb.uuid, uuid, sizeof(slot.sb.uuid));
			r = bitmap_slot_store(&slot, copies, n, err);
		}
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* The atomic step of one member (R2: its new slots are durable). */
static int change_over(struct md_member *m, uint64_t place, const uint8_t *uuid,
		       struct err *err)
{
	struct md_sb was = m->sb;
	int r;

	memcpy(m->sb.set_uuid, uuid, sizeof(m->sb.set_uuid));
	m->sb.bitmap_offset = (int32_t)(place / SECTOR_BYTES - m->sb.super_offset);
	r = md_member_store(m, err);
	if (r < 0) {
		m->sb = was;
		return r;
	}
	memcpy(m->bitmap.uuid, uuid, sizeof(m->bitmap.uuid));
	m->geo.start_bytes = place;
	return 0;
}

static int hop(struct md_array *array, const uint64_t *place,
	       const uint8_t *uuid, struct err *err)
{
	size_t i;
	int r = write_slots(array, place, uuid, err);

	for (i = 0; r == 0 && i < array->count; i++)
		if (place[i] != STAYS)
			r = change_over(&array->members[i], place[i], uuid, err);
	return r;
}

/* Where a member goes that lacks the uuid; STAYS, and no error, if it has it. */
static int place_for_uuid(const struct md_member *m, const uint8_t *uuid,
			  uint64_t *place, struct err *err)
{
	uint64_t bytes = bitmap_bytes(m);

	*place = STAYS;
	if (memcmp(m->sb.set_uuid, uuid, 16) == 0)
		return 0;
	*place = md_relocate_find_room(home(m), md_member_room_end_bytes(m),
				       m->geo.start_bytes,
				       bitmap_end_bytes(&m->geo), bytes);
	if (*place == STAYS)
		return err_set(err, -ENOSPC,
			       "%s: a second copy of the bitmap (%" PRIu64
			       " bytes) does not fit before data_offset %" PRIu64
			       " sectors, so the uuid cannot be changed safely",
			       m->disk->name, bytes, m->sb.data_offset);
	return 0;
}

int md_relocate_check(const struct md_array *array, const uint8_t *new_uuid,
		      struct err *err)
{
	uint64_t place;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++)
		r = place_for_uuid(&array->members[i], new_uuid, &place, err);
	return r;
}

/* Chooses where each member that lacks the uuid goes. Returns how many do. */
static int plan_new_uuid(const struct md_array *array, uint64_t *place,
			 const uint8_t *uuid, struct err *err)
{
	int moves = 0, r = 0;
	size_t i;

	for (i = 0; r == 0 && i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		r = place_for_uuid(m, uuid, &place[i], err);
		moves += place[i] != STAYS;
	}
	return r < 0 ? r : moves;
}

static int plan_home(const struct md_array *array, uint64_t *place)
{
	int moves = 0;
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];
		uint64_t to = home(m);
		bool is_apart = to + bitmap_bytes(m) <= m->geo.start_bytes ||
				to >= bitmap_end_bytes(&m->geo);
		bool has_room = to + bitmap_bytes(m) <=
				md_member_room_end_bytes(m);

		/* one that overlaps its home, or has none, is as good where it is */
		place[i] = is_apart && has_room ? to : STAYS;
		moves += place[i] != STAYS;
	}
	return moves;
}

/* Leaves no superblocks of slots about where the bitmap no longer is. */
static int erase_left_behind(const struct md_array *array,
			     const uint64_t *left, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++)
		if (left[i] != STAYS) {
			struct md_member *m = &array->members[i];

			r = disk_zero_wait(m->disk, left[i], bitmap_bytes(m),
					   err);
		}
	return r;
}

/* One hop, and nothing left where the bitmap was. */
static int move(struct md_array *array, const uint64_t *place,
		const uint8_t *uuid, struct err *err)
{
	CLEANUP_FREE uint64_t *left = calloc(array->count, sizeof(*left));
	size_t i;
	int r;

	if (!left)
		return err_nomem(err, "the places of the bitmap");
	for (i = 0; i < array->count; i++)
		left[i] = place[i] == STAYS ? STAYS :
					      array->members[i].geo.start_bytes;
	r = hop(array, place, uuid, err);
	return r < 0 ? r : erase_left_behind(array, left, err);
}

int md_relocate(struct md_array *array, const uint8_t *new_uuid,
		struct err *err)
{
	CLEANUP_FREE uint64_t *place = calloc(array->count, sizeof(*place));
	uint8_t uuid[16];
	int r;

	if (!place)
		return err_nomem(err, "the places of the bitmap");
	memcpy(uuid, new_uuid ? new_uuid : md_array_freshest(array)->sb.set_uuid,
	       sizeof(uuid));
	r = plan_new_uuid(array, place, uuid, err);
	if (r > 0)
		r = move(array, place, uuid, err);
	if (r == 0 && plan_home(array, place) > 0)
		r = move(array, place, uuid, err);
	return r;
}
