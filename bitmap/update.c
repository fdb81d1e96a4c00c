/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order of the writes (tests cut the power after each of them):
 *
 *	U1  uuid, before all else: relocate.c
 *	U2  fewer nodes: the bits of all slots are gathered in slot 0, which is
 *	    durable before another is cleared (D3)
 *	U3  more nodes: the new slots are durable on all members before any
 *	    superblock promises them
 *	U4  the superblocks of the slots, last slot first, slot 0 last: md reads
 *	    node count and cluster name from slot 0, and it alone decides
 *	U5  fewer nodes: what remains of the slots that went is erased
 *	U6  name, host: one sector on each member; the mark of a plain array's owner may be torn
 *	    from that, and yields to a name that has a host (owner.h, P2)
 *	U7  marks: resync_offset is 0 on disk before the first bit is set (D11)
 *
 * A torn page cannot harm: the superblock and the first bits share one sector,
 * and in the other sectors bits are only ever set, or cleared after they are
 * durable elsewhere.
 */
#include "bitmap/update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "bitmap/owner.h"
#include "bitmap/relocate.h"

/* Superblocks of all members, one after the other. */
static int store_superblocks(struct md_array *array, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++)
		r = md_member_store(&array->members[i], err);
	return r;
}

/* What every slot operation needs; all members are written. */
struct slots {
	struct md_array *array;
	struct bitmap_copy *copies;
	size_t count;
};

/* U2: the bits of slots [from, end) move to slot 0 */
static int gather_slots(const struct slots *s, uint32_t from, uint32_t end,
			struct err *err)
{
	struct bitmap_slot zero, other;
	uint32_t number;
	int r = md_array_load_slot(s->array, 0, &zero, err);

	/* whoever takes over reads one copy only: they must be alike first */
	if (r == 0)
		r = bitmap_slot_store(&zero, s->copies, s->count, err);
	for (number = from; r == 0 && number < end; number++) {
		r = md_array_load_slot(s->array, number, &other, err);
		if (r == 0)
			r = bitmap_slot_merge(&other, &zero, s->copies, s->count,
					      err);
		bitmap_slot_fini(&other);
	}
	bitmap_slot_fini(&zero);
	return r;
}

static int highest_events_cleared(const struct slots *s, uint32_t count,
				  uint64_t *highest, struct err *err)
{
	struct bitmap_slot slot;
	uint32_t number;
	int r = 0;

	*highest = 0;
	for (number = 0; r == 0 && number < count; number++) {
		r = md_array_load_slot(s->array, number, &slot, err);
		*highest = max_u64(*highest, slot.sb.events_cleared);
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* U3: slots [from, to) come into being, empty */
static int add_slots(const struct slots *s, uint32_t from, uint32_t to,
		     const struct bitmap_sb *sb, struct err *err)
{
	struct bitmap_slot slot;
	uint32_t number;
	int r = bitmap_slot_init(&slot, &md_array_freshest(s->array)->geo, 0,
				 err);

	slot.sb = *sb;
	slot.sb.events = 0;
	slot.sb.state = 0;
	/* a member re-added by a node in this slot may have missed as much as any */
	if (r == 0)
		r = highest_events_cleared(s, from, &slot.sb.events_cleared, err);
	for (number = from; r == 0 && number < to; number++) {
		slot.number = number;
		r = bitmap_slot_store(&slot, s->copies, s->count, err);
	}
	bitmap_slot_fini(&slot);
	return r;
}

/* U4: nodes and cluster name of slots [0, count), the last one first */
static int rewrite_slot_superblocks(const struct slots *s, uint32_t count,
				    const struct bitmap_sb *wanted,
				    struct err *err)
{
	struct bitmap_slot slot;
	int r = 0;

	while (r == 0 && count-- > 0) {
		r = md_array_load_slot(s->array, count, &slot, err);
		if (r == 0) {
			slot.sb.nodes = wanted->nodes;
			memcpy(slot.sb.cluster_name, wanted->cluster_name,
			       sizeof(slot.sb.cluster_name));
			r = bitmap_slot_store_pages(&slot, 0, 1, s->copies,
						    s->count, err);
		}
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* U5 */
static int erase_slots(const struct slots *s, uint32_t from, uint32_t to,
		       struct err *err)
{
	uint64_t slot_bytes = md_array_freshest(s->array)->geo.slot_bytes;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < s->count; i++)
		r = disk_zero_wait(s->copies[i].disk,
				   s->copies[i].start_bytes + from * slot_bytes,
				   (to - from) * slot_bytes, err);
	return r;
}

static int update_slots(struct md_array *array, const struct md_update *update,
			struct err *err)
{
	CLEANUP_FREE struct bitmap_copy *copies =
		calloc(array->count, sizeof(*copies));
	struct bitmap_sb wanted = md_array_freshest(array)->bitmap;
	uint32_t now = md_array_freshest(array)->geo.nodes;
	uint32_t nodes = update->nodes ? update->nodes : now;
	struct slots s = { .array = array, .copies = copies };
	size_t i;
	int r = 0;

	if (!copies)
		return err_nomem(err, "the list of copies");
	s.count = md_array_copies(array, false, copies);
	wanted.nodes = nodes;
	if (update->cluster_name)
		r = bitmap_sb_set_cluster_name(&wanted, update->cluster_name,
					       err);
	/*
	 * Fewer nodes: all, not only those that go. Slot 0 gets bits, and would
	 * lose them to a kernel that finds another slot dirty (B56).
	 */
	if (r == 0 && (update->is_gathered || nodes < now))
		r = gather_slots(&s, 1, now, err);
	if (r == 0 && nodes > now)
		r = add_slots(&s, now, nodes, &wanted, err);
	if (r == 0 && (update->nodes || update->cluster_name))
		r = rewrite_slot_superblocks(&s, nodes < now ? nodes : now,
					     &wanted, err);
	if (r == 0 && nodes < now)
		r = erase_slots(&s, nodes, now, err);
	for (i = 0; r == 0 && i < array->count; i++) {
		array->members[i].bitmap = wanted;
		array->members[i].geo.nodes = nodes;
	}
	return r;
}

static int set_host(struct md_member *m, const char *host, struct err *err)
{
	struct md_owner owner;

	if (!(m->sb.feature_map & MD_FEATURE_CLUSTERED)) {
		(void)md_owner_read(&m->sb, m->block, &owner);
		snprintf(owner.host, sizeof(owner.host), "%s", host);
		(void)md_owner_mark(&m->sb, m->block, &owner);
	}
	return md_owner_rename(&m->sb, host, err);
}

/* U6 */
static int update_name(struct md_array *array, const struct md_update *update,
		       struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < array->count; i++) {
		struct md_member *m = &array->members[i];

		if (update->name)
			r = md_sb_set_name(&m->sb, update->name, err);
		if (r == 0 && update->host)
			r = set_host(m, update->host, err);
	}
	return r < 0 ? r : store_superblocks(array, err);
}

static int clear_all_slots(const struct slots *s, struct err *err)
{
	uint32_t number, nodes = md_array_freshest(s->array)->geo.nodes;
	struct bitmap_slot slot;
	int r = 0;

	for (number = 0; r == 0 && number < nodes; number++) {
		r = md_array_load_slot(s->array, number, &slot, err);
		if (r == 0 && bitmap_slot_dirty_chunks(&slot)) {
			bitmap_slot_fill(&slot, false);
			slot.sb.state &= ~(uint32_t)BITMAP_STATE_KNOWN;
			r = bitmap_slot_store(&slot, s->copies, s->count, err);
		}
		bitmap_slot_fini(&slot);
	}
	return r;
}

/*
 * U7, first half: an array whose resync_offset says "in sync" ignores its bits
 * (D11), and slot 0 may be full of ones that mean nothing, as mdadm leaves it
 * with --assume-clean. They go before resync_offset gives them a meaning.
 */
static int give_bits_a_meaning(const struct slots *s, struct err *err)
{
	struct md_array *array = s->array;
	bool all = true, any = false;
	size_t i;
	int r = 0;

	for (i = 0; i < array->count; i++) {
		struct md_sb *sb = &array->members[i].sb;

		all &= sb->resync_offset == MD_MAX_SECTOR;
		any |= sb->resync_offset != 0; /* hides the bits below it */
		sb->resync_offset = 0;
	}
	if (all)
		r = clear_all_slots(s, err);
	return r == 0 && any ? store_superblocks(array, err) : r;
}

static int set_marks(const struct slots *s, const struct md_update *update,
		     struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < update->mark_count; i++) {
		const struct md_mark *mark = &update->marks[i];
		uint32_t first = bitmap_page_of_chunk(mark->first);
		uint32_t last = bitmap_page_of_chunk(mark->last);
		struct bitmap_slot slot;

		r = md_array_load_slot(s->array, mark->slot, &slot, err);
		if (r == 0) {
			bits_set_range(slot.bits, mark->first, mark->last);
			r = bitmap_slot_store_pages(&slot, first,
						    last - first + 1, s->copies,
						    s->count, err);
		}
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* U7 */
static int update_marks(struct md_array *array, const struct md_update *update,
			struct err *err)
{
	CLEANUP_FREE struct bitmap_copy *copies =
		calloc(array->count, sizeof(*copies));
	struct slots s = { .array = array, .copies = copies };
	int r;

	if (!copies)
		return err_nomem(err, "the list of copies");
	s.count = md_array_copies(array, false, copies);
	r = give_bits_a_meaning(&s, err);
	return r < 0 ? r : set_marks(&s, update, err);
}

static bool is_given(const struct md_array *array, uint32_t dev_number)
{
	size_t i;

	for (i = 0; i < array->count; i++)
		if (array->members[i].sb.dev_number == dev_number)
			return true;
	return false;
}

/*
 * The members that are left out must not come back with their old slots and
 * be believed: first of all they are marked faulty, as md does with a member
 * that fails, and fall behind. In two steps of one event, because members that
 * are one event apart still count as equals.
 */
static int leave_missing_behind(struct md_array *array, struct err *err)
{
	int step, r = 0;
	uint32_t dev;
	size_t i;

	for (step = 0; r == 0 && step < 2; step++) {
		for (i = 0; i < array->count; i++) {
			struct md_sb *sb = &array->members[i].sb;

			sb->events++;
			for (dev = 0; dev < sb->max_dev; dev++)
				if (sb->roles[dev] < MD_ROLE_MAX &&
				    !is_given(array, dev))
					sb->roles[dev] = MD_ROLE_FAULTY;
		}
		r = store_superblocks(array, err);
	}
	return r;
}

int md_update_apply(struct md_array *array, const struct md_update *update,
		    struct err *err)
{
	int r;

	array->policy = update->is_forced ? MD_SLOTS_DIRTY : MD_SLOTS_STRICT;
	r = md_update_check(array, update, err);

	if (r == 0 && md_array_missing(array))
		r = leave_missing_behind(array, err);
	/* first: slots are written alike to all, so they must have one uuid */
	if (r == 0 && update->uuid)
		r = md_relocate(array, update->uuid, err);
	if (r == 0 && (update->nodes || update->cluster_name || update->is_gathered))
		r = update_slots(array, update, err);
	if (r == 0 && (update->name || update->host))
		r = update_name(array, update, err);
	if (r == 0 && update->mark_count)
		r = update_marks(array, update, err);
	return r;
}
