/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What keeps an array from being clustered, by name, and what to do about it. What the
 * kernel's md-cluster requires beyond a sound superblock: drivers/md/md.c, md-bitmap.c,
 * md-cluster.c (join), raid10.c (run). What mdclusterd requires beyond that: it neither goes
 * on with what md has under way (a reshape, a replacement), nor knows of bad blocks, or of
 * disks that are read last.
 */
#include "base/arith.h"
#include "base/err.h"
#include "bitmap/member.h"

enum { DEVFLAG_WRITE_MOSTLY = 1 };

/* --- what any of them needs ----------------------------------------------------------------- */

static bool is_1_0(const struct md_member *m)
{
	return m->minor == MD_MINOR_0;
}

static bool is_1_1(const struct md_member *m)
{
	return m->minor == MD_MINOR_1;
}

static bool is_other_level(const struct md_member *m)
{
	return m->sb.level != MD_LEVEL_RAID1 && m->sb.level != MD_LEVEL_RAID10;
}

/* Bytes of a raid10's layout: near copies, far copies, then whether "far" are offsets. */
static bool is_offset(const struct md_member *m)
{
	return m->sb.level == MD_LEVEL_RAID10 && !md_sb_is_near_layout(&m->sb) &&
	       (m->sb.layout >> 16 & 1);
}

static bool is_far(const struct md_member *m)
{
	return m->sb.level == MD_LEVEL_RAID10 && !md_sb_is_near_layout(&m->sb);
}

static bool has_journal(const struct md_member *m)
{
	return m->sb.feature_map & MD_FEATURE_JOURNAL;
}

static bool has_ppl(const struct md_member *m)
{
	return m->sb.feature_map & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);
}

static bool has_no_bitmap(const struct md_member *m)
{
	return !m->has_bitmap;
}

static bool is_plain(const struct md_member *m)
{
	return m->has_bitmap && m->bitmap.version != BITMAP_VERSION_CLUSTERED;
}

/* --- what the kernel needs besides ------------------------------------------------------------ */

static bool has_one_slot(const struct md_member *m)
{
	return m->bitmap.nodes < BITMAP_MIN_NODES;
}

static bool has_many_slots(const struct md_member *m)
{
	return m->bitmap.nodes > BITMAP_MAX_NODES;
}

/*
 * It takes a sync_size that is off by part of a chunk and corrects it (mdadm writes such for
 * raid10 on an odd number of disks), but looks for the slots where its own value puts them.
 */
static bool has_other_size(const struct md_member *m)
{
	struct bitmap_geometry wanted;
	struct err ignored = ERR_INIT;

	return bitmap_geometry_init(&wanted, md_sb_sync_size(&m->sb), m->bitmap.chunksize,
				    m->bitmap.nodes, 0, &ignored) < 0 ||
	       wanted.slot_bytes != m->geo.slot_bytes;
}

/* --- what mdclusterd needs besides ------------------------------------------------------------ */

static bool is_reshaped(const struct md_member *m)
{
	return m->sb.feature_map & (MD_FEATURE_RESHAPE_ACTIVE | MD_FEATURE_RESHAPE_BACKWARDS |
				    MD_FEATURE_NEW_OFFSET);
}

static bool has_replacement(const struct md_member *m)
{
	return m->sb.feature_map & MD_FEATURE_REPLACEMENT;
}

static bool has_bad_blocks(const struct md_member *m)
{
	return m->sb.feature_map & MD_FEATURE_BAD_BLOCKS;
}

static bool is_write_mostly(const struct md_member *m)
{
	return m->sb.devflags & DEVFLAG_WRITE_MOSTLY;
}

/* --- all of them ------------------------------------------------------------------------------ */

static const struct rule {
	enum md_taker taker;
	bool (*is_broken)(const struct md_member *m);
	struct md_obstacle obstacle;
} rules[] = {
#define RULE(taker, test, kind, what, remedy) \
	{ taker, test, { kind, what, remedy, what ": " remedy } }
	RULE(MD_TAKER_ANY, is_1_0, "metadata",
	     "clustered arrays need metadata 1.2, it has 1.0",
	     "nothing converts them; create a new array and copy its data"),
	RULE(MD_TAKER_ANY, is_1_1, "metadata",
	     "clustered arrays need metadata 1.2, it has 1.1",
	     "nothing converts them; create a new array and copy its data"),
	RULE(MD_TAKER_ANY, is_other_level, "level", "its level is neither raid1 nor raid10",
	     "no other can be clustered; create a new array and copy its data"),
	RULE(MD_TAKER_ANY, is_offset, "layout", "its layout is not a near one, but offset",
	     "no other can be clustered; create a new array and copy its data"),
	RULE(MD_TAKER_ANY, is_far, "layout", "its layout is not a near one, but far",
	     "no other can be clustered; create a new array and copy its data"),
	RULE(MD_TAKER_ANY, has_journal, "journal",
	     "a journal cannot be combined with a clustered bitmap",
	     "have the kernel run it without (mdadm --grow --consistency-policy=resync)"),
	RULE(MD_TAKER_ANY, has_ppl, "ppl", "a PPL cannot be combined with a clustered bitmap",
	     "have the kernel run it without (mdadm --grow --consistency-policy=resync)"),
	RULE(MD_TAKER_ANY, has_no_bitmap, "bitmap", "it has no bitmap on its disks",
	     "mdcluster grow --bitmap=clustered makes one, once nobody runs it (and a bitmap in a file has gone: mdadm --grow --bitmap=none)"),
	RULE(MD_TAKER_ANY, is_plain, "bitmap",
	     "its bitmap is not a clustered one (version 5)",
	     "mdcluster grow --bitmap=clustered changes it, once nobody runs it"),
	RULE(MD_TAKER_KERNEL, has_one_slot, "nodes",
	     "a cluster needs at least two slots (nodes)", "mdcluster update --nodes"),
	RULE(MD_TAKER_KERNEL, has_many_slots, "nodes",
	     "its recovery map holds 64 slots (nodes)", "mdcluster update --nodes=64"),
	RULE(MD_TAKER_KERNEL, has_other_size, "size",
	     "the bitmap's sync_size does not fit the size of the array, so that the slots would be looked for in other places",
	     "have mdcluster grow finish what was begun"),
	RULE(MD_TAKER_US, is_reshaped, "reshape", "a reshape is under way",
	     "have the kernel finish it first"),
	RULE(MD_TAKER_US, has_replacement, "replacement", "a disk is being replaced",
	     "have the kernel finish it first, or remove the replacement"),
	RULE(MD_TAKER_US, has_bad_blocks, "bad-blocks", "it has bad blocks on record",
	     "rewrite them, or replace the disk, where the kernel runs it; then mdadm --assemble --update=no-bbl"),
	RULE(MD_TAKER_US, is_write_mostly, "write-mostly", "it is marked write-mostly",
	     "where the kernel runs it: echo -writemostly > /sys/block/MD/md/dev-DISK/state"),
#undef RULE
};

/* What mdclusterd serves the kernel would take back: its rules are ours, too. */
static bool is_asked(enum md_taker taker, enum md_taker rule)
{
	return rule == MD_TAKER_ANY || rule == taker ||
	       (taker == MD_TAKER_US && rule == MD_TAKER_KERNEL) ||
	       (taker == MD_TAKER_MADE && rule == MD_TAKER_US);
}

const struct md_obstacle *md_member_obstacle(const struct md_member *member,
					     enum md_taker taker, size_t *cursor)
{
	bool is_clustered = member->has_bitmap && !is_plain(member);

	while (*cursor < ARRAY_SIZE(rules)) {
		const struct rule *rule = &rules[(*cursor)++];

		/* far includes offset; of a bitmap without slots nothing more is asked */
		if ((rule->is_broken == is_far && is_offset(member)) ||
		    (rule->taker == MD_TAKER_KERNEL && !is_clustered))
			continue;
		if (is_asked(taker, rule->taker) && rule->is_broken(member))
			return &rule->obstacle;
	}
	return NULL;
}

static const char *first(const struct md_member *member, enum md_taker taker)
{
	size_t cursor = 0;
	const struct md_obstacle *obstacle = md_member_obstacle(member, taker, &cursor);

	return obstacle ? obstacle->sentence : NULL;
}

const char *md_member_kind_refusal(const struct md_member *member)
{
	return first(member, MD_TAKER_ANY);
}

const char *md_member_kernel_refusal(const struct md_member *member)
{
	return first(member, MD_TAKER_KERNEL);
}

const char *md_member_our_refusal(const struct md_member *member)
{
	return first(member, MD_TAKER_US);
}
