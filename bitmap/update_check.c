/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether an update can be done, all of it, before the first write: the members,
 * the room, the names, and every slot.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/disk.h"
#include "bitmap/owner.h"
#include "bitmap/relocate.h"
#include "bitmap/update.h"

int md_update_check_members(const struct md_array *array, bool is_forced,
			    struct err *err)
{
	const struct md_member *best = md_array_freshest(array);
	uint32_t missing = md_array_missing(array);
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (m->sb.feature_map & MD_FEATURE_RESHAPE_ACTIVE)
			return err_set(err, -EBUSY,
				       "%s: a reshape is in progress: finish it first",
				       m->disk->name);
		if (md_array_role(array, m) == MD_ROLE_FAULTY)
			return err_set(err, -ESTALE,
				       "%s: %s says that this member is faulty: leave it out",
				       m->disk->name, best->disk->name);
		if (md_array_is_stale(array, m))
			return err_set(err, -ESTALE,
				       "%s: superblock events is %" PRIu64
				       ", but %s has %" PRIu64
				       ": this member is out of date; leave it out and use --force",
				       m->disk->name, m->sb.events,
				       best->disk->name, best->sb.events);
	}
	if (missing && !is_forced)
		return err_set(err, -ENOENT,
			       "%u of %u active members are not given; name them all, or use --force to leave them behind as out of date",
			       missing, best->sb.raid_disks);
	return 0;
}

/* Of a plain array, whose all else is mdadm's. */
static bool is_of_the_name_alone(const struct md_update *u)
{
	return u->host && !u->nodes && !u->cluster_name && !u->uuid && !u->is_gathered &&
	       !u->mark_count;
}

static bool is_plain(const struct md_array *array)
{
	return !(md_array_freshest(array)->sb.feature_map & MD_FEATURE_CLUSTERED);
}

static int check_kind(const struct md_array *array, const struct md_update *update,
		      struct err *err)
{
	size_t i;

	if (is_of_the_name_alone(update) && is_plain(array))
		return 0;
	for (i = 0; i < array->count; i++) {
		const char *refusal = md_member_kind_refusal(&array->members[i]);

		if (refusal)
			return err_set(err, -EOPNOTSUPP,
				       "%s: not a clustered array: %s",
				       array->members[i].disk->name, refusal);
	}
	return 0;
}

static int check_nodes(const struct md_array *array, uint32_t nodes,
		       struct err *err)
{
	size_t i;

	if (nodes < BITMAP_MIN_NODES || nodes > BITMAP_MAX_NODES)
		return err_set(err, -EINVAL, "nodes: %u is outside %d..%d",
			       nodes, BITMAP_MIN_NODES, BITMAP_MAX_NODES);
	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];
		uint64_t fit = bitmap_max_nodes(&m->geo,
						md_member_room_end_bytes(m));

		if (nodes > fit)
			return err_set(err, -ENOSPC,
				       "%s: nodes: %u slots of %" PRIu64
				       " bytes do not fit before data_offset %" PRIu64
				       " sectors; at most %" PRIu64 " nodes fit",
				       m->disk->name, nodes, m->geo.slot_bytes,
				       m->sb.data_offset, fit);
		if (md_member_check_area(m, nodes, err) < 0)
			return err_prefix(err, "%s", m->disk->name);
	}
	return 0;
}

static int check_marks(const struct md_array *array,
		       const struct md_update *update, struct err *err)
{
	const struct bitmap_geometry *geo = &md_array_freshest(array)->geo;
	uint32_t nodes = update->nodes ? update->nodes : geo->nodes;
	size_t i;

	for (i = 0; i < update->mark_count; i++) {
		const struct md_mark *mark = &update->marks[i];

		if (mark->slot >= nodes)
			return err_set(err, -EINVAL,
				       "mark: slot %u is outside 0..%u",
				       mark->slot, nodes - 1);
		if (mark->first > mark->last || mark->last >= geo->chunks)
			return err_set(err, -EINVAL,
				       "mark: chunks %" PRIu64 "-%" PRIu64
				       " are not a range within 0..%" PRIu64,
				       mark->first, mark->last, geo->chunks - 1);
	}
	return 0;
}

int md_update_check_slots(const struct md_array *array, struct err *err)
{
	uint32_t number, slots = bitmap_slots(&md_array_freshest(array)->geo);
	struct bitmap_slot slot;
	int r = 0;

	for (number = 0; r == 0 && number < slots; number++) {
		r = md_array_load_slot(array, number, &slot, err);
		bitmap_slot_fini(&slot);
	}
	return r;
}

int md_update_load(struct md_array *array, struct disk *const *disks, size_t count,
		   const struct md_update *update, struct err *err)
{
	int r;

	if (!is_of_the_name_alone(update))
		return md_array_load(array, disks, count, update->uuid, err);
	r = md_array_load_halves(array, disks, count, err);
	if (r < 0 || !array->is_halved)
		return r;
	md_array_fini(array);
	return err_set(err, -EBADMSG,
		       "a change of size or bitmap was interrupted: finish it with mdcluster grow");
}

int md_update_check(const struct md_array *array, const struct md_update *update,
		    struct err *err)
{
	struct bitmap_sb scratch;
	struct md_sb scratch_sb = md_array_freshest(array)->sb;
	int r = check_kind(array, update, err);

	if (r == 0)
		r = md_update_check_members(array, update->is_forced, err);

	if (r == 0 && update->nodes)
		r = check_nodes(array, update->nodes, err);
	if (r == 0 && update->cluster_name)
		r = bitmap_sb_set_cluster_name(&scratch, update->cluster_name,
					       err);
	if (r == 0 && update->name)
		r = md_sb_set_name(&scratch_sb, update->name, err);
	if (r == 0 && update->host)
		r = md_owner_rename(&scratch_sb, update->host, err);
	if (r == 0 && update->uuid)
		r = md_relocate_check(array, update->uuid, err);
	if (r < 0 || is_plain(array))
		return r;
	r = check_marks(array, update, err);
	return r < 0 ? r : md_update_check_slots(array, err);
}
