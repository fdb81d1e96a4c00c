/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * May a former member come back as what it was, with only what the bits say copied to it? All
 * that it missed must still stand in some slot: bits are not cleared while its place is empty, and
 * who clears one writes events_cleared first (section 2.5). A kernel asks its own slot alone,
 * and loses what others wrote (vm-lab 4.1); here it is the highest of all slots.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>

#include "base/arith.h"
#include "bitmap/disk.h"

static int stale(const struct md_member *x, const char *why, struct err *err)
{
	return err_set(err, -ESTALE, "%s: it cannot come back as what it was: %s", x->disk->name,
		       why);
}

/* Bits are of the array's past: a disk that was used alone has another one. */
static bool was_used_apart(const struct metadata *md, const struct md_member *x)
{
	if (x->sb.events > md_array_freshest(&md->array)->sb.events)
		return true;
	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];

		if (md_array_is_in_sync(&md->array, m) && m->sb.dev_number < x->sb.max_dev &&
		    x->sb.roles[m->sb.dev_number] == MD_ROLE_FAULTY)
			return true;
	}
	return false;
}

static bool is_taken(const struct metadata *md, uint16_t role, uint32_t number)
{
	size_t i = metadata_with_number(md, number);

	if (i < md->count && md->members[i].is_read &&
	    metadata_role_of(md, number) != MD_ROLE_FAULTY &&
	    md->members[i].own_role != MD_ROLE_FAULTY)
		return true;
	for (i = 0; i < md->array.count; i++)
		if (metadata_is_written(md, &md->array.members[i]) &&
		    md_array_role(&md->array, &md->array.members[i]) == role)
			return true;
	return false;
}

static int check_past(const struct metadata *md, const struct md_member *x, struct err *err)
{
	const uint32_t half = MD_FEATURE_RECOVERY_OFFSET | MD_FEATURE_RECOVERY_BITMAP;
	const struct md_sb *f = &md_array_freshest(&md->array)->sb;
	uint16_t role = md_sb_role(&x->sb);

	if (role >= f->raid_disks || x->sb.dev_number >= f->max_dev)
		return stale(x, "it had no part of the data", err);
	if (is_taken(md, role, x->sb.dev_number))
		return stale(x, "another disk has its place", err);
	if ((x->sb.feature_map & half) == MD_FEATURE_RECOVERY_OFFSET)
		return stale(x, "it was being rebuilt", err);
	if (x->sb.feature_map & ~(half | MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED))
		return stale(x, "it has features that are not served", err);
	if (was_used_apart(md, x))
		return stale(x, "it was in use without the others since", err);
	return 0;
}

static int check_bits(struct metadata *md, const struct md_member *x, struct err *err)
{
	uint32_t nodes = md_array_freshest(&md->array)->geo.nodes;
	uint64_t cleared = 0;
	int r = 0;

	for (uint32_t n = 0; r == 0 && n < nodes; n++) {
		struct bitmap_slot slot;
		uint32_t ignored;

		r = metadata_load_slot(md, n, &slot, &ignored, err);
		if (r == 0)
			cleared = max_u64(cleared, slot.sb.events_cleared);
		bitmap_slot_fini(&slot);
	}
	if (r == 0 && x->sb.events < cleared)
		return stale(x, "bits of what it missed were cleared since", err);
	return r;
}

int metadata_check_return(struct metadata *md, struct disk *disk, struct err *err)
{
	struct err why = ERR_INIT;
	struct md_member x;
	int r = md_member_load(&x, disk, err);

	if (r == 0)
		r = check_past(md, &x, err);
	if (r == 0 && metadata_check_alike(md, disk, &why) < 0)
		r = why.code == -ENOMEM ? err_set(err, -ENOMEM, "%s", why.text) :
					  stale(&x, why.text, err);
	if (r == 0)
		r = check_bits(md, &x, err);
	md_member_fini(&x);
	return r;
}
