/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's md-cluster requires of an array beyond a sound superblock:
 * drivers/md/md.c, md-bitmap.c, md-cluster.c (join), raid10.c (run).
 */
#include "base/err.h"
#include "bitmap/member.h"

const char *md_member_kind_refusal(const struct md_member *member)
{
	const struct md_sb *sb = &member->sb;
	const uint32_t foreign = MD_FEATURE_JOURNAL | MD_FEATURE_PPL |
				 MD_FEATURE_MULTIPLE_PPLS;

	if (!member->has_bitmap)
		return "it has no bitmap";
	if (member->bitmap.version != BITMAP_VERSION_CLUSTERED)
		return "its bitmap is not a clustered one (version 5)";
	if (member->minor != MD_MINOR_2)
		return "clustered arrays need metadata 1.2";
	if (sb->level != MD_LEVEL_RAID1 && sb->level != MD_LEVEL_RAID10)
		return "its level is neither raid1 nor raid10";
	if (sb->level == MD_LEVEL_RAID10 && !md_sb_is_near_layout(sb))
		return "its layout is not a near one";
	if (sb->feature_map & foreign)
		return "a journal or PPL cannot be combined with a clustered bitmap";
	return NULL;
}

const char *md_member_kernel_refusal(const struct md_member *member)
{
	const char *kind = md_member_kind_refusal(member);
	struct bitmap_geometry wanted;
	struct err ignored = ERR_INIT;

	if (kind)
		return kind;
	if (member->bitmap.nodes < BITMAP_MIN_NODES)
		return "a cluster needs at least two slots (nodes)";
	if (member->bitmap.nodes > BITMAP_MAX_NODES)
		return "its recovery map holds 64 slots (nodes)";
	/*
	 * It takes a sync_size that is off by part of a chunk and corrects it
	 * (mdadm writes such for raid10 on an odd number of disks), but looks
	 * for the slots where its own value puts them.
	 */
	if (bitmap_geometry_init(&wanted, md_sb_sync_size(&member->sb),
				 member->bitmap.chunksize, member->bitmap.nodes,
				 0, &ignored) < 0 ||
	    wanted.slot_bytes != member->geo.slot_bytes)
		return "the bitmap's sync_size does not fit the size of the array, so that the slots would be looked for in other places";
	return NULL;
}
