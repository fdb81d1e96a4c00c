/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/grow_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/create.h"
#include "bitmap/disk.h"
#include "bitmap/grow.h"
#include "bitmap/relocate.h"
#include "bitmap/update.h"

enum {
	SIZE_UNIT_SECTORS = 2,             /* md counts in KiB */
	LARGEST_CHUNK_BYTES = 256u << 20,  /* as far as a chunk grows by itself */
	KEPT_FEATURES = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED,
};

/* --- members ---------------------------------------------------------------- */

/* What a bitmap of slots asks of the array, whatever bitmap it has now. */
static const char *clustered_refusal(const struct md_member *m)
{
	struct md_member as_if = *m;
	const struct md_obstacle *obstacle;
	size_t cursor = 0;

	as_if.has_bitmap = true;
	as_if.bitmap.version = BITMAP_VERSION_CLUSTERED;
	obstacle = md_member_obstacle(&as_if, MD_TAKER_MADE, &cursor);
	return obstacle ? obstacle->sentence : NULL;
}

static int check_kind(const struct md_array *array, const struct md_grow *grow,
		      struct err *err)
{
	bool is_to_clustered = grow->bitmap == MD_BITMAP_CLUSTERED;
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];
		const char *why = is_to_clustered ? clustered_refusal(m) :
						    md_member_kind_refusal(m);

		if (why && is_to_clustered)
			return err_set(err, -EOPNOTSUPP, "%s: cannot be clustered: %s",
				       m->disk->name, why);
		if (why)
			return err_set(err, -EOPNOTSUPP,
				       "%s: not a clustered array: %s (plain arrays are mdadm's)",
				       m->disk->name, why);
		if (m->sb.feature_map & (MD_FEATURE_RECOVERY_OFFSET | MD_FEATURE_REPLACEMENT))
			return err_set(err, -EBUSY,
				       "%s: it is being rebuilt: wait for the end of that",
				       m->disk->name);
	}
	return 0;
}

/* --- size -------------------------------------------------------------------- */

static uint64_t data_room(const struct md_member *m)
{
	uint64_t end = disk_sectors(m->disk);

	return end > m->sb.data_offset ? end - m->sb.data_offset : 0;
}

static uint64_t size_unit(const struct md_sb *sb)
{
	return sb->chunksize ? sb->chunksize : SIZE_UNIT_SECTORS;
}

static uint64_t largest_size(const struct md_array *array)
{
	uint64_t size = UINT64_MAX;
	size_t i;

	for (i = 0; i < array->count; i++)
		size = min_u64(size, data_room(&array->members[i]));
	return round_down(size, size_unit(&md_array_freshest(array)->sb));
}

static int plan_size(const struct md_array *array, const struct md_grow *grow,
		     struct md_grow_plan *plan, struct err *err)
{
	uint64_t was = plan->sb.size, unit = size_unit(&plan->sb);
	uint64_t size = grow->size == MD_GROW_MAX ? max_u64(largest_size(array), was) :
						    grow->size;
	size_t i;

	if (size == 0)
		return 0;
	if (size % unit)
		return err_set(err, -EINVAL,
			       "size: %" PRIu64 " sectors is not a multiple of %" PRIu64
			       ", the unit of this array",
			       size, unit);
	for (i = 0; i < array->count; i++)
		if (size > data_room(&array->members[i]))
			return err_set(err, -ENOSPC,
				       "%s: size: %" PRIu64
				       " sectors of data do not fit, there is room for %" PRIu64,
				       array->members[i].disk->name, size,
				       data_room(&array->members[i]));
	if (size < was && !grow->is_forced)
		return err_set(err, -EINVAL,
			       "size: %" PRIu64 " sectors is less than the %" PRIu64
			       " there are, and what lies beyond would be lost: use --force if nothing does",
			       size, was);
	plan->sb.size = size;
	return 0;
}

/* --- disks ------------------------------------------------------------------- */

static bool has_role(const struct md_sb *sb, uint32_t role)
{
	uint32_t dev;

	for (dev = 0; dev < sb->max_dev; dev++)
		if (sb->roles[dev] == role)
			return true;
	return false;
}

/* Fewer copies: disks whose role goes take one below that no disk has. */
static int close_ranks(struct md_sb *sb, uint32_t raid_disks, struct err *err)
{
	uint32_t dev, role = 0;

	for (dev = 0; dev < sb->max_dev; dev++) {
		if (sb->roles[dev] < raid_disks || sb->roles[dev] >= MD_ROLE_MAX)
			continue;
		while (role < raid_disks && has_role(sb, role))
			role++;
		if (role == raid_disks)
			return err_set(err, -EBUSY,
				       "raid-devices: more than %u disks are active: fail and remove those that shall go first",
				       raid_disks);
		sb->roles[dev] = (uint16_t)role;
	}
	return 0;
}

static int plan_disks(const struct md_grow *grow, struct md_grow_plan *plan,
		      struct err *err)
{
	struct md_sb *sb = &plan->sb;
	uint32_t most = (uint32_t)min_u64(sb->max_dev, MD_ROLE_MAX);

	if (grow->raid_disks == 0 || grow->raid_disks == sb->raid_disks)
		return 0;
	if (sb->level != MD_LEVEL_RAID1)
		return err_set(err, -EOPNOTSUPP,
			       "raid-devices: a raid10 would have to spread its data anew over %u disks (a reshape), which the kernel's md-cluster can, and mdclusterd cannot: `mdcluster migrate --check --to-kernel` says how to go there",
			       grow->raid_disks);
	if (grow->raid_disks < 2 || grow->raid_disks > most)
		return err_set(err, -EINVAL,
			       "raid-devices: %u is outside 2..%u of this array",
			       grow->raid_disks, most);
	if (grow->raid_disks < sb->raid_disks && close_ranks(sb, grow->raid_disks, err) < 0)
		return err->code;
	sb->raid_disks = grow->raid_disks;
	return 0;
}

/* --- the bits there are -------------------------------------------------------- */

static bool is_marked_in_sync(const struct md_array *array)
{
	size_t i;

	for (i = 0; i < array->count; i++)
		if (array->members[i].sb.resync_offset != MD_MAX_SECTOR)
			return false;
	return true;
}

static int is_any_dirty(const struct md_array *array, bool *is_any, struct err *err)
{
	uint32_t n, slots = bitmap_slots(&md_array_freshest(array)->geo);
	struct bitmap_slot slot;
	int r = 0;

	for (n = 0; r == 0 && n < slots && !*is_any; n++) {
		r = md_array_load_slot(array, n, &slot, err);
		*is_any = r == 0 && bitmap_slot_dirty_chunks(&slot) > 0;
		bitmap_slot_fini(&slot);
	}
	return r;
}

/* --- the bitmap ---------------------------------------------------------------- */

static uint64_t home(const struct md_member *m)
{
	return (m->sb.super_offset + BITMAP_OFFSET_SECTORS) * SECTOR_BYTES;
}

/* An empty bad block log goes when it becomes clustered: its place is free by then (grow.c, G1). */
static uint64_t room_end(const struct md_grow_plan *plan, const struct md_member *m)
{
	return md_grow_drops_log(plan, &m->sb) ? m->sb.data_offset * SECTOR_BYTES :
						 md_member_room_end_bytes(m);
}

/* A place on each member that has to move, clear of the bitmap that counts. */
static bool find_places(const struct md_array *array, struct md_grow_plan *plan)
{
	uint64_t bytes = bitmap_slots(&plan->geo) * plan->geo.slot_bytes;
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (plan->place[i] == MD_GROW_STAYS)
			continue;
		plan->place[i] = md_relocate_find_room(
			home(m), room_end(plan, m),
			m->has_bitmap ? m->geo.start_bytes : 0,
			m->has_bitmap ? bitmap_end_bytes(&m->geo) : 0, bytes);
		if (plan->place[i] == UINT64_MAX)
			return false;
	}
	return true;
}

/* The chunk as it is, or the next one with which two bitmaps have room (as mdadm does). */
static int fit_bitmap(const struct md_array *array, struct md_grow_plan *plan,
		      struct err *err)
{
	uint32_t chunk = plan->bitmap.chunksize;
	size_t i;
	int r;

	plan->bitmap.sync_size = md_sb_sync_size(&plan->sb);
	for (;; chunk *= 2) {
		r = bitmap_geometry_init(&plan->geo, plan->bitmap.sync_size, chunk,
					 plan->bitmap.nodes, 0, err);
		for (i = 0; i < array->count; i++)
			plan->place[i] = 0;
		if (r < 0 || find_places(array, plan) || chunk >= LARGEST_CHUNK_BYTES)
			break;
	}
	if (r < 0)
		return r;
	plan->bitmap.chunksize = chunk;
	for (i = 0; i < array->count; i++)
		if (plan->place[i] == UINT64_MAX)
			return err_set(err, -ENOSPC,
				       "%s: a bitmap of %u slots of %" PRIu64
				       " bytes does not fit before data_offset %" PRIu64
				       " sectors beside the one that is there",
				       array->members[i].disk->name,
				       bitmap_slots(&plan->geo), plan->geo.slot_bytes,
				       array->members[i].sb.data_offset);
	plan->is_new_bitmap = true;
	return 0;
}

static int to_none(const struct md_array *array, struct md_grow_plan *plan,
		   struct err *err)
{
	bool is_dirty = false;
	int r = is_marked_in_sync(array) ? 0 : is_any_dirty(array, &is_dirty, err);

	plan->sb.feature_map &= ~(uint32_t)KEPT_FEATURES;
	/* without bits, all of it is what is to be resynced */
	plan->sb.resync_offset = is_dirty ? 0 : MD_MAX_SECTOR;
	plan->has_bitmap = false;
	return r;
}

static int to_internal(const struct md_array *array, struct md_grow_plan *plan,
		       struct err *err)
{
	bool is_dirty = false;
	int r = is_marked_in_sync(array) ? 0 : is_any_dirty(array, &is_dirty, err);

	plan->sb.feature_map &= ~(uint32_t)MD_FEATURE_CLUSTERED;
	plan->sb.resync_offset = is_dirty ? 0 : MD_MAX_SECTOR;
	plan->is_emptied = !is_dirty;
	plan->bitmap.version = BITMAP_VERSION_PLAIN;
	plan->bitmap.nodes = 0;
	memset(plan->bitmap.cluster_name, 0, sizeof(plan->bitmap.cluster_name));
	return r < 0 ? r : fit_bitmap(array, plan, err);
}

static void make_first_bitmap(struct md_grow_plan *plan)
{
	struct bitmap_sb *bm = &plan->bitmap;

	memset(bm, 0, sizeof(*bm));
	memcpy(bm->uuid, plan->sb.set_uuid, sizeof(bm->uuid));
	bm->chunksize = bitmap_default_chunk_bytes(plan->sb.size,
						   md_sb_sync_size(&plan->sb));
	bm->daemon_sleep = MD_DEFAULT_DAEMON_SLEEP_S;
	plan->has_bitmap = true;
}

static int to_clustered(const struct md_array *array, const struct md_grow *grow,
			struct md_grow_plan *plan, struct err *err)
{
	uint32_t nodes = grow->nodes ? grow->nodes : MD_DEFAULT_NODES;
	int r;

	if (nodes < BITMAP_MIN_NODES || nodes > BITMAP_MAX_NODES)
		return err_set(err, -EINVAL, "nodes: %u is outside %d..%d", nodes,
			       BITMAP_MIN_NODES, BITMAP_MAX_NODES);
	if (!grow->cluster_name)
		return err_set(err, -EINVAL,
			       "home-cluster: the name of the cluster is required");
	plan->is_emptied = is_marked_in_sync(array);
	if (!plan->has_bitmap)
		make_first_bitmap(plan);
	r = bitmap_sb_set_cluster_name(&plan->bitmap, grow->cluster_name, err);
	if (r < 0)
		return r;
	plan->bitmap.version = BITMAP_VERSION_CLUSTERED;
	plan->bitmap.nodes = nodes;
	plan->sb.feature_map |= KEPT_FEATURES;
	/* kept in sync, or all that the bits say: also those that a half resync hid (D11) */
	if (!plan->is_emptied)
		plan->sb.resync_offset = 0;
	return fit_bitmap(array, plan, err);
}

static bool is_that_kind(const struct md_member *m, enum md_bitmap_kind kind)
{
	switch (kind) {
	case MD_BITMAP_NONE:
		return !m->has_bitmap;
	case MD_BITMAP_INTERNAL:
		return m->has_bitmap && m->bitmap.version == BITMAP_VERSION_PLAIN;
	case MD_BITMAP_CLUSTERED:
		return m->has_bitmap && m->bitmap.version == BITMAP_VERSION_CLUSTERED;
	case MD_BITMAP_AS_IS:
		break;
	}
	return false;
}

/* A plain array is one host's: which. */
static int plan_owner(const struct md_array *array, const struct md_grow *grow,
		      struct md_grow_plan *plan, struct err *err)
{
	const struct md_member *best = md_array_freshest(array);

	if (!grow->host)
		return 0;
	plan->is_marked = true;
	snprintf(plan->owner.host, sizeof(plan->owner.host), "%s", grow->host);
	memcpy(plan->owner.cluster, bitmap_sb_cluster_name(&best->bitmap),
	       BITMAP_CLUSTER_NAME_BYTES);
	return md_owner_rename(&plan->sb, grow->host, err);
}

static int plan_kind(const struct md_array *array, const struct md_grow *grow,
		     struct md_grow_plan *plan, struct err *err)
{
	int r = 0;

	switch (grow->bitmap) {
	case MD_BITMAP_AS_IS:
		return 0;
	case MD_BITMAP_NONE:
	case MD_BITMAP_INTERNAL:
		r = plan_owner(array, grow, plan, err);
		if (r < 0)
			return r;
		return grow->bitmap == MD_BITMAP_NONE ? to_none(array, plan, err) :
							to_internal(array, plan, err);
	case MD_BITMAP_CLUSTERED:
		return to_clustered(array, grow, plan, err);
	}
	return err_set(err, -EINVAL, "bitmap: there is no such kind");
}

/* What lies beyond the old end: its first chunk may begin before that. */
static int plan_new_chunks(const struct md_array *array, const struct md_grow *grow,
			   struct md_grow_plan *plan, struct err *err)
{
	uint64_t was = plan->bitmap.sync_size;
	int r = fit_bitmap(array, plan, err);

	if (r < 0 || grow->is_assume_clean || plan->geo.sync_size <= was)
		return r;
	if (grow->slot >= plan->bitmap.nodes)
		return err_set(err, -EINVAL, "slot %u is outside 0..%u", grow->slot,
			       plan->bitmap.nodes - 1);
	plan->is_emptied = is_marked_in_sync(array);
	plan->sb.resync_offset = 0;
	plan->slot = grow->slot;
	plan->first_new = was / (plan->geo.chunk_bytes / SECTOR_BYTES);
	plan->end_new = plan->geo.chunks;
	return 0;
}

/* --- all of it ------------------------------------------------------------------- */

static int begin(const struct md_array *array, struct md_grow_plan *plan, struct err *err)
{
	const struct md_member *best = md_array_freshest(array);
	size_t i;

	memset(plan, 0, sizeof(*plan));
	plan->place = calloc(array->count, sizeof(*plan->place));
	if (!plan->place)
		return err_nomem(err, "the places of the bitmap");
	for (i = 0; i < array->count; i++)
		plan->place[i] = MD_GROW_STAYS;
	plan->sb = best->sb;
	plan->has_bitmap = best->has_bitmap;
	plan->bitmap = best->bitmap;
	plan->geo = best->geo;
	return 0;
}

bool md_grow_drops_log(const struct md_grow_plan *plan, const struct md_sb *sb)
{
	return (plan->sb.feature_map & MD_FEATURE_CLUSTERED) && sb->bblog_size &&
	       !(sb->feature_map & MD_FEATURE_BAD_BLOCKS);
}

int md_grow_plan_make(const struct md_array *array, const struct md_grow *grow,
		      struct md_grow_plan *plan, struct err *err)
{
	const struct md_sb *was = &md_array_freshest(array)->sb;
	int r = begin(array, plan, err);

	if (r == 0 && grow->bitmap != MD_BITMAP_AS_IS && (grow->size || grow->raid_disks))
		r = err_set(err, -EINVAL,
			    "bitmap: another kind of bitmap is a change of its own: ask for size and disks before it");
	if (r < 0 || is_that_kind(md_array_freshest(array), grow->bitmap))
		goto out;
	r = check_kind(array, grow, err);
	if (r == 0)
		r = plan_size(array, grow, plan, err);
	if (r == 0)
		r = plan_disks(grow, plan, err);
	if (r == 0 && plan->sb.size != was->size)
		r = plan_new_chunks(array, grow, plan, err);
	if (r == 0)
		r = plan_kind(array, grow, plan, err);
out:
	if (r < 0) {
		md_grow_plan_fini(plan);
		return r;
	}
	plan->is_change = plan->is_new_bitmap ||
			  plan->has_bitmap != md_array_freshest(array)->has_bitmap ||
			  plan->sb.size != was->size ||
			  plan->sb.raid_disks != was->raid_disks;
	plan->sb.events++;
	return 0;
}

int md_grow_plan_rest(const struct md_array *array, struct md_grow_plan *plan,
		      struct err *err)
{
	int r = begin(array, plan, err);
	size_t i;

	if (r < 0)
		return r;
	plan->is_change = true;
	plan->is_new_bitmap = plan->has_bitmap;
	for (i = 0; i < array->count; i++)
		if (!md_array_is_like_freshest(array, &array->members[i]))
			plan->place[i] = 0;
	if (plan->has_bitmap && !find_places(array, plan)) {
		md_grow_plan_fini(plan);
		return err_set(err, -ENOSPC,
			       "the new bitmap does not fit beside the old one on all members");
	}
	return 0;
}

void md_grow_plan_fini(struct md_grow_plan *plan)
{
	free(plan->place);
	plan->place = NULL;
}
