/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the superblocks say, for all who ask: roles by the freshest one, and of each disk
 * whether it may be believed (section 1.5 of the facts: who lags by one event counts, by
 * more does not). A disk that could not be read this time is what it was: whether it
 * failed is for the data path to find out, and for the cluster to agree on.
 */
#include "mdclusterd/array/metadata_private.h"

#include <stdio.h>
#include <string.h>

#include "base/arith.h"

uint16_t metadata_role_of(const struct metadata *md, uint32_t dev_number)
{
	const struct md_sb *sb = &md_array_freshest(&md->array)->sb;

	return dev_number < sb->max_dev ? sb->roles[dev_number] : (uint16_t)MD_ROLE_FAULTY;
}

bool metadata_is_written(const struct metadata *md, const struct md_member *m)
{
	return md_array_role(&md->array, m) < MD_ROLE_MAX &&
	       md_sb_role(&m->sb) < MD_ROLE_MAX && !md_array_is_stale(&md->array, m);
}

/* --- one disk --------------------------------------------------------------------------- */

/* `role`: by the freshest superblock. What its own says it cannot have outgrown by itself. */
static enum metadata_disk_state state_of_read(const struct metadata *md,
					      const struct md_member *m, uint16_t role)
{
	uint16_t own = md_sb_role(&m->sb);

	if (own == MD_ROLE_SPARE && (role == MD_ROLE_SPARE || role < MD_ROLE_MAX))
		return METADATA_DISK_SPARE; /* where it was about to get a role, too */
	if (role >= MD_ROLE_MAX || own >= MD_ROLE_MAX)
		return METADATA_DISK_FAULTY;
	if (md_array_is_stale(&md->array, m))
		return METADATA_DISK_STALE;
	return m->sb.feature_map & MD_FEATURE_RECOVERY_OFFSET ? METADATA_DISK_REBUILD :
								METADATA_DISK_IN_SYNC;
}

static enum metadata_disk_state state_of(const struct metadata *md,
					 const struct metadata_member *m, uint16_t role)
{
	if (m->is_read)
		return state_of_read(md, &md->array.members[m->member], role);
	if (role == MD_ROLE_SPARE)
		return METADATA_DISK_SPARE;
	if (role >= MD_ROLE_MAX)
		return METADATA_DISK_FAULTY;
	return m->last.state == METADATA_DISK_SPARE || m->last.state == METADATA_DISK_FAULTY ?
		       METADATA_DISK_MISSING :
		       m->last.state;
}

static bool has_place(enum metadata_disk_state state)
{
	return state != METADATA_DISK_SPARE && state != METADATA_DISK_FAULTY;
}

/* --- the array ---------------------------------------------------------------------------- */

static void fill_sizes(const struct metadata *md, struct metadata_view *view)
{
	const struct md_member *f = md_array_freshest(&md->array);

	memcpy(view->uuid, f->sb.set_uuid, 16);
	md_sb_name(&f->sb, view->name);
	snprintf(view->cluster, sizeof(view->cluster), "%s",
		 bitmap_sb_cluster_name(&f->bitmap));
	view->level = f->sb.level;
	view->layout = f->sb.layout;
	view->chunk_sectors = f->sb.chunksize;
	view->raid_disks = (uint32_t)min_u64(f->sb.raid_disks, METADATA_MAX_DISKS);
	view->member_sectors = f->sb.size;
	view->geo = f->geo;
	view->sync_size = f->geo.sync_size;
	view->array_sectors = md_sb_sync_size(&f->sb);
	view->events = f->sb.events;
	view->created_s = f->sb.ctime & MD_SB_SECONDS;
	view->updated_s = f->sb.utime & MD_SB_SECONDS;
}

static uint64_t lowest_resync_offset(const struct metadata *md)
{
	uint64_t lowest = MD_MAX_SECTOR;

	for (size_t i = 0; i < md->array.count; i++)
		if (md_array_is_in_sync(&md->array, &md->array.members[i]))
			lowest = min_u64(lowest, md->array.members[i].sb.resync_offset);
	return lowest;
}

static void note_elsewhere(const struct metadata *md, struct metadata_view *view)
{
	const struct md_sb *sb = &md_array_freshest(&md->array)->sb;

	for (uint32_t number = 0; number < sb->max_dev; number++) {
		uint16_t role = sb->roles[number];

		if (role >= view->raid_disks ||
		    view->disks[role].state != METADATA_DISK_MISSING)
			continue;
		view->disks[role].is_elsewhere = true;
		view->disks[role].dev_number = number;
	}
}

void metadata_note_states(struct metadata *md)
{
	for (size_t i = 0; i < md->count; i++)
		if (!md->members[i].is_candidate)
			md->members[i].last.state =
				state_of(md, &md->members[i],
					 metadata_role_of(md, md->members[i].dev_number));
}

void metadata_make_view(struct metadata *md, struct metadata_view *view)
{
	metadata_note_states(md);
	memset(view, 0, sizeof(*view));
	fill_sizes(md, view);
	view->resync_offset = lowest_resync_offset(md);
	view->disk_count = view->raid_disks;
	for (uint32_t role = 0; role < view->raid_disks; role++)
		view->disks[role].role = role;
	for (size_t i = 0; i < md->count; i++) {
		struct metadata_member *m = &md->members[i];
		uint16_t role;
		uint32_t place;

		if (m->is_candidate)
			continue;
		role = metadata_role_of(md, m->dev_number);
		place = role < view->raid_disks && has_place(m->last.state) ? role :
									      view->disk_count;
		if (place >= METADATA_MAX_DISKS)
			continue;
		if (place == view->disk_count)
			view->disk_count++;
		m->last.role = place;
		view->disks[place] = m->last;
	}
	note_elsewhere(md, view);
	for (uint32_t role = 0; role < view->raid_disks; role++)
		view->degraded += view->disks[role].state != METADATA_DISK_IN_SYNC;
}

static bool has(const struct metadata_view *view, uint32_t role, uint32_t without)
{
	return role != without && view->disks[role].state == METADATA_DISK_IN_SYNC;
}

/* As the kernel's raid10 walks its sets; raid1 is one set. */
bool metadata_is_enough(const struct metadata_view *view, uint32_t without)
{
	uint32_t copies = view->level == MD_LEVEL_RAID10 ? view->layout & 0xff :
							   view->raid_disks;
	uint32_t first = 0;

	if (view->raid_disks == 0 || copies == 0)
		return false;
	do {
		bool is_any = false;

		for (uint32_t i = 0; i < copies; i++)
			is_any |= has(view, (first + i) % view->raid_disks, without);
		if (!is_any)
			return false;
		first = (first + copies) % view->raid_disks;
	} while (first != 0);
	return true;
}
