/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order of the writes (tests cut the power after each of them):
 *
 *	G0  members that an interrupted update of another kind left one event behind are
 *	    brought level: in the middle of G2 they would be two behind, which is stale
 *	G1  of one that becomes plain, whose it is then: a mark on all members (owner.h, P3);
 *	    of one that becomes clustered, an empty bad block log is given up on all members
 *	    (mdadm's no-bbl), for the slots may need its place;
 *	    the new slots, all of them, on all members, beside the old ones; flushed
 *	G2  one superblock after the other: size, disks, place and kind of the bitmap, what
 *	    resync_offset must say of it (D11), one event more
 *	G3  the old slots are erased, the mark of one that is clustered again goes, and the
 *	    new slots come home: relocate.c
 *
 * G1 and G2 never touch what a durable superblock points to (R1). Members that have G2
 * behind them carry all that the others need, so who finishes need not know what was asked.
 */
#include "bitmap/grow.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "bitmap/grow_plan.h"
#include "bitmap/relocate.h"
#include "bitmap/update.h"

/* --- G1 ------------------------------------------------------------------------ */

/* A bit of the old chunk says of the new one, which may be larger, that it is dirty. */
static void add_bits(struct bitmap_slot *to, const struct bitmap_slot *from)
{
	uint64_t ratio = to->geo.chunk_bytes / from->geo.chunk_bytes;
	struct bits_run run = BITS_RUN_START;

	while (bits_next_run(from->bits, from->geo.chunks, &run)) {
		uint64_t first = run.first / ratio;

		if (first >= to->geo.chunks)
			break;
		bits_set_range(to->bits, first, min_u64(run.last / ratio,
							to->geo.chunks - 1));
	}
	to->sb.events = max_u64(to->sb.events, from->sb.events);
	to->sb.events_cleared = max_u64(to->sb.events_cleared, from->sb.events_cleared);
}

/* What the old slots [first, end) say, into the new one. */
static int gather(const struct md_array *array, uint32_t first, uint32_t end,
		  const struct md_grow_plan *plan, struct bitmap_slot *to, struct err *err)
{
	struct bitmap_slot from;
	uint32_t number;
	int r = 0;

	for (number = first; r == 0 && number < end; number++) {
		r = md_array_load_slot(array, number, &from, err);
		if (r == 0 && plan->is_emptied)
			bitmap_slot_fill(&from, false);
		if (r == 0)
			add_bits(to, &from);
		bitmap_slot_fini(&from);
	}
	return r;
}

static int fill_slot(const struct md_array *array, const struct md_grow_plan *plan,
		     struct bitmap_slot *slot, struct err *err)
{
	const struct md_member *best = md_array_freshest(array);
	uint32_t number = slot->number, had = bitmap_slots(&best->geo);
	int r = 0;

	slot->sb = plan->bitmap;
	slot->sb.state = 0; /* what was stale is all ones by now */
	slot->sb.events = 0;
	slot->sb.events_cleared = 0;
	if (!best->has_bitmap && number == 0 && !plan->is_emptied)
		bitmap_slot_fill(slot, true);
	else if (best->has_bitmap && plan->bitmap.nodes == 0)
		r = gather(array, 0, had, plan, slot, err);
	else if (best->has_bitmap && number < had)
		r = gather(array, number, number + 1, plan, slot, err);
	if (r == 0 && plan->first_new < plan->end_new && number == plan->slot)
		bits_set_range(slot->bits, plan->first_new, plan->end_new - 1);
	/* md takes a plain bitmap of fewer events than the array's for out of date */
	if (plan->bitmap.nodes == 0)
		slot->sb.events = plan->sb.events;
	/* a member re-added by a node in a slot of no past may have missed as much as any */
	if (number >= had || !best->has_bitmap)
		slot->sb.events_cleared = best->sb.events;
	return r;
}

static int mark(struct md_array *array, const struct md_grow_plan *plan, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_member *m = &array->members[i];

		if (md_owner_mark(&m->sb, m->block, &plan->owner))
			r = md_member_store(m, err);
	}
	return r;
}

static void forget_log(struct md_sb *sb)
{
	sb->bblog_size = 0;
	sb->bblog_offset = 0;
	sb->bblog_shift = 0;
}

static int drop_logs(struct md_array *array, const struct md_grow_plan *plan, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_member *m = &array->members[i];

		if (!md_grow_drops_log(plan, &m->sb))
			continue;
		forget_log(&m->sb);
		r = md_member_store(m, err);
	}
	return r;
}

/* All slots to all members that have a place for them. */
static int write_slots(const struct md_array *from, const struct md_array *to,
		       const struct md_grow_plan *plan, struct err *err)
{
	CLEANUP_FREE struct bitmap_copy *copies = calloc(to->count, sizeof(*copies));
	struct bitmap_slot slot;
	uint32_t number;
	size_t i, n = 0;
	int r = 0;

	if (!copies)
		return err_nomem(err, "the list of copies");
	for (i = 0; i < to->count; i++)
		if (plan->place[i] != MD_GROW_STAYS)
			copies[n++] = (struct bitmap_copy){
				.disk = to->members[i].disk,
				.start_bytes = plan->place[i],
				.set_uuid = plan->sb.set_uuid,
			};
	for (number = 0; r == 0 && number < bitmap_slots(&plan->geo); number++) {
		r = bitmap_slot_init(&slot, &plan->geo, number, err);
		if (r == 0)
			r = fill_slot(from, plan, &slot, err);
		if (r == 0)
			r = bitmap_slot_store(&slot, copies, n, err);
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* --- G0, G2 ---------------------------------------------------------------------- */

static int level(struct md_array *array, struct err *err)
{
	const struct md_sb best = md_array_freshest(array)->sb;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_sb *sb = &array->members[i].sb;

		if (sb->events == best.events)
			continue;
		sb->events = best.events;
		memcpy(sb->roles, best.roles, sizeof(sb->roles));
		r = md_member_store(&array->members[i], err);
	}
	return r;
}

static void alter_superblock(struct md_sb *sb, const struct md_grow_plan *plan,
			     const struct disk *disk, uint64_t place)
{
	const uint32_t bits = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED;

	memcpy(sb->set_name, plan->sb.set_name, sizeof(sb->set_name));
	sb->size = plan->sb.size;
	/* the disk itself may have grown */
	if (sb->size > sb->data_size)
		sb->data_size = disk_sectors(disk) - sb->data_offset;
	sb->raid_disks = plan->sb.raid_disks;
	memcpy(sb->roles, plan->sb.roles, sizeof(sb->roles));
	sb->resync_offset = plan->sb.resync_offset;
	sb->events = plan->sb.events;
	sb->feature_map = (sb->feature_map & ~bits) | (plan->sb.feature_map & bits);
	if (!plan->has_bitmap)
		sb->bitmap_offset = 0;
	else if (place != MD_GROW_STAYS)
		sb->bitmap_offset = (int32_t)(place / SECTOR_BYTES - sb->super_offset);
	if (plan->sb.feature_map & MD_FEATURE_CLUSTERED)
		forget_log(sb);
}

static int change_over(struct md_member *m, const struct md_grow_plan *plan,
		       uint64_t place, struct err *err)
{
	int r;

	alter_superblock(&m->sb, plan, m->disk, place);
	r = md_member_store(m, err);
	if (r < 0)
		return r;
	m->has_bitmap = plan->has_bitmap;
	m->bitmap = plan->bitmap;
	if (place != MD_GROW_STAYS) {
		m->geo = plan->geo;
		m->geo.start_bytes = place;
	}
	return 0;
}

/* --- G3 ---------------------------------------------------------------------------- */

struct area {
	uint64_t start, bytes;
};

static int erase(const struct md_array *array, const struct area *left, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++)
		if (left[i].bytes)
			r = disk_zero_wait(array->members[i].disk, left[i].start,
					   left[i].bytes, err);
	return r;
}

/* Not before it is clustered: a torn write shall leave no plain member without a mark. */
static int unmark(struct md_array *array, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_member *m = &array->members[i];

		if ((m->sb.feature_map & MD_FEATURE_CLUSTERED) &&
		    md_owner_erase(&m->sb, m->block))
			r = md_member_store(m, err);
	}
	return r;
}

/* --- all of it ----------------------------------------------------------------------- */

/* The slots are made from what `from` says, which may be some of the members alone. */
static int carry_out(const struct md_array *from, struct md_array *array,
		     const struct md_grow_plan *plan, struct err *err)
{
	CLEANUP_FREE struct area *left = calloc(array->count, sizeof(*left));
	size_t i;
	int r = 0;

	if (!left)
		return err_nomem(err, "the places of the bitmap");
	if (plan->is_marked)
		r = mark(array, plan, err);
	if (r == 0)
		r = drop_logs(array, plan, err);
	if (r == 0 && plan->is_new_bitmap)
		r = write_slots(from, array, plan, err);
	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_member *m = &array->members[i];
		bool leaves = m->has_bitmap && (plan->place[i] != MD_GROW_STAYS ||
						!plan->has_bitmap);

		if (leaves)
			left[i] = (struct area){
				m->geo.start_bytes,
				bitmap_end_bytes(&m->geo) - m->geo.start_bytes,
			};
		if (m->sb.events != plan->sb.events)
			r = change_over(m, plan, plan->place[i], err);
	}
	if (r == 0)
		r = erase(array, left, err);
	return r < 0 ? r : unmark(array, err);
}

static int come_home(struct md_array *array, struct err *err)
{
	return md_array_freshest(array)->has_bitmap ? md_relocate(array, NULL, err) : 0;
}

int md_grow_check(const struct md_array *array, const struct md_grow *grow,
		  struct err *err)
{
	struct md_grow_plan plan;
	int r = md_update_check_members(array, false, err);

	if (r == 0)
		r = md_grow_plan_make(array, grow, &plan, err);
	if (r < 0)
		return r;
	if (md_array_freshest(array)->has_bitmap)
		r = md_update_check_slots(array, err);
	md_grow_plan_fini(&plan);
	return r;
}

int md_grow_apply(struct md_array *array, const struct md_grow *grow, struct err *err)
{
	struct md_grow_plan plan;
	int r;

	array->policy = MD_SLOTS_STRICT;
	r = md_grow_check(array, grow, err);
	if (r == 0)
		r = level(array, err);
	if (r == 0)
		r = md_grow_plan_make(array, grow, &plan, err);
	if (r < 0)
		return r;
	if (plan.is_change)
		r = carry_out(array, array, &plan, err);
	md_grow_plan_fini(&plan);
	return r < 0 ? r : come_home(array, err);
}

int md_grow_finish(struct md_array *array, struct err *err)
{
	CLEANUP_FREE struct md_member *done = calloc(array->count, sizeof(*done));
	struct md_array from = { .policy = MD_SLOTS_STRICT, .members = done };
	struct md_grow_plan plan;
	size_t i;
	int r;

	if (!done)
		return err_nomem(err, "the members");
	for (i = 0; i < array->count; i++) {
		if (!md_array_is_like_freshest(array, &array->members[i]))
			continue;
		if (i == array->freshest)
			from.freshest = from.count;
		done[from.count++] = array->members[i];
	}
	r = md_grow_plan_rest(array, &plan, err);
	if (r < 0)
		return r;
	r = carry_out(&from, array, &plan, err);
	md_grow_plan_fini(&plan);
	if (r < 0)
		return r;
	array->is_halved = false;
	return come_home(array, err);
}
