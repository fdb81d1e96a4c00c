/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/array.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(array);

static int disagree(const struct md_member *a, const struct md_member *b,
		    const char *field, uint64_t value_a, uint64_t value_b,
		    struct err *err)
{
	return err_set(err, -EBADMSG,
		       "%s: %s is %" PRIu64 ", but %s has %" PRIu64
		       ": not members of one array",
		       b->disk->name, field, value_b, a->disk->name, value_a);
}

/*
 * Members with different uuids are of one array only if nothing but the uuid
 * tells them apart. (Two arrays made by one script share even the second of
 * their making.)
 */
static bool is_halved_change(const struct md_member *a, const struct md_member *b)
{
	const struct md_sb *x = &a->sb, *y = &b->sb;
	uint64_t apart = x->events > y->events ? x->events - y->events :
						 y->events - x->events;

	return memcmp(x->set_name, y->set_name, sizeof(x->set_name)) == 0 &&
	       x->max_dev == y->max_dev && apart <= 1 &&
	       memcmp(x->roles, y->roles, 2 * x->max_dev) == 0;
}

static int check_uuid(const struct md_member *a, const struct md_member *b,
		      const uint8_t *other_uuid, struct err *err)
{
	char text_a[TEXT_UUID_BYTES], text_b[TEXT_UUID_BYTES];
	bool is_same = memcmp(a->sb.set_uuid, b->sb.set_uuid, 16) == 0;
	bool is_change = other_uuid &&
			 (memcmp(a->sb.set_uuid, other_uuid, 16) == 0 ||
			  memcmp(b->sb.set_uuid, other_uuid, 16) == 0);

	if (is_same || (is_change && is_halved_change(a, b)))
		return 0;
	return err_set(err, -EBADMSG,
		       "%s: superblock set_uuid is %s, but %s has %s: not members of one array%s",
		       b->disk->name, text_uuid(b->sb.set_uuid, text_b),
		       a->disk->name, text_uuid(a->sb.set_uuid, text_a),
		       a->sb.ctime == b->sb.ctime && a->sb.size == b->sb.size ?
			       " (if a change of uuid was interrupted, give the same update --uuid again)" :
			       "");
}

/* What no change in place alters. */
static int check_identity(const struct md_member *a, const struct md_member *b,
		      const uint8_t *other_uuid, struct err *err)
{
	const struct md_sb *x = &a->sb, *y = &b->sb;
	int r = check_uuid(a, b, other_uuid, err);

	if (r < 0)
		return r;
	if (a->minor != b->minor)
		return disagree(a, b, "minor version", a->minor, b->minor, err);
	if (x->level != y->level)
		return disagree(a, b, "level", (uint64_t)(int64_t)x->level,
				(uint64_t)(int64_t)y->level, err);
	if (x->layout != y->layout)
		return disagree(a, b, "layout", x->layout, y->layout, err);
	if (x->chunksize != y->chunksize)
		return disagree(a, b, "chunksize", x->chunksize, y->chunksize,
				err);
	if (x->ctime != y->ctime)
		return disagree(a, b, "ctime", x->ctime, y->ctime, err);
	if (memcmp(x->device_uuid, y->device_uuid, 16) == 0 ||
	    x->dev_number == y->dev_number)
		return err_set(err, -EBADMSG,
			       "%s: it is the same member (dev_number %u) as %s",
			       b->disk->name, y->dev_number, a->disk->name);
	return 0;
}

static int check_size(const struct md_member *a, const struct md_member *b,
		      struct err *err)
{
	if (a->sb.size != b->sb.size)
		return disagree(a, b, "size", a->sb.size, b->sb.size, err);
	if (a->sb.raid_disks != b->sb.raid_disks)
		return disagree(a, b, "raid_disks", a->sb.raid_disks,
				b->sb.raid_disks, err);
	return 0;
}

/* With check_size(): all that mdadm and the kernel require to be equal. */
static int check_pair(const struct md_member *a, const struct md_member *b,
		      const uint8_t *other_uuid, struct err *err)
{
	int r = check_identity(a, b, other_uuid, err);

	return r < 0 ? r : check_size(a, b, err);
}

static bool is_spare(const struct md_sb *sb)
{
	return md_sb_role(sb) >= MD_ROLE_MAX;
}

/*
 * Two that were written last by different nodes, one of whom died amid it, may have the same
 * events: then who says that the other one failed wrote it later.
 */
static bool is_fresher(const struct md_sb *sb, const struct md_sb *best)
{
	if (is_spare(best) != is_spare(sb))
		return is_spare(best);
	if (sb->events != best->events)
		return sb->events > best->events;
	return best->dev_number < sb->max_dev && sb->dev_number < best->max_dev &&
	       sb->roles[best->dev_number] == MD_ROLE_FAULTY &&
	       best->roles[sb->dev_number] != MD_ROLE_FAULTY;
}

static void choose_freshest(struct md_array *array)
{
	size_t i;

	array->freshest = 0;
	for (i = 1; i < array->count; i++)
		if (is_fresher(&array->members[i].sb, &array->members[array->freshest].sb))
			array->freshest = i;
}

/*
 * Slots are written with one geometry to all members: it must be everybody's,
 * or what is a slot here would be data there. Only the node count may differ,
 * after an interrupted change of it; the largest counts, for a node may have
 * used such a slot since.
 */
static int agree_on_slots(struct md_array *array, struct err *err)
{
	const struct md_member *first = &array->members[0];
	uint32_t nodes = 0;
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (memcmp(m->sb.set_uuid, first->sb.set_uuid, 16) != 0 &&
		    strcmp(bitmap_sb_cluster_name(&m->bitmap),
			   bitmap_sb_cluster_name(&first->bitmap)) != 0)
			return err_set(err, -EBADMSG,
				       "%s: bitmap uuid and cluster_name differ from those of %s: not members of one array",
				       m->disk->name, first->disk->name);
		if (m->bitmap.version != first->bitmap.version)
			return disagree(first, m, "bitmap version",
					first->bitmap.version,
					m->bitmap.version, err);
		if (m->geo.chunk_bytes != first->geo.chunk_bytes)
			return disagree(first, m, "bitmap chunksize",
					first->geo.chunk_bytes,
					m->geo.chunk_bytes, err);
		if (m->geo.slot_bytes != first->geo.slot_bytes)
			return disagree(first, m, "bitmap sync_size",
					first->geo.sync_size, m->geo.sync_size,
					err);
		if (m->bitmap.nodes > nodes)
			nodes = m->bitmap.nodes;
	}
	for (i = 0; i < array->count; i++) {
		struct md_member *m = &array->members[i];

		if (md_member_check_area(m, nodes, err) < 0)
			return err_prefix(err, "%s", m->disk->name);
		m->geo.nodes = nodes;
	}
	return 0;
}

int md_array_load(struct md_array *array, struct disk *const *disks,
		  size_t count, const uint8_t *other_uuid, struct err *err)
{
	size_t i, j;
	int r = 0;

	memset(array, 0, sizeof(*array));
	if (count == 0)
		return err_set(err, -EINVAL, "no member is given");
	array->members = calloc(count, sizeof(*array->members));
	if (!array->members)
		return err_nomem(err, "the members");
	for (i = 0; r == 0 && i < count; i++) {
		r = md_member_load(&array->members[i], disks[i], err);
		array->count++;
		for (j = 0; r == 0 && j < i; j++)
			r = check_pair(&array->members[j], &array->members[i],
				       other_uuid, err);
	}
	for (i = 0; r == 0 && i < count; i++)
		r = md_member_load_bitmap(&array->members[i], err);
	if (r == 0)
		r = agree_on_slots(array, err);
	if (r < 0) {
		md_array_fini(array);
		return r;
	}
	choose_freshest(array);
	return 0;
}

/* --- arrays in halves -------------------------------------------------------- */

static bool has_same_bitmap(const struct md_member *a, const struct md_member *b)
{
	if (a->has_bitmap != b->has_bitmap)
		return false;
	return !a->has_bitmap ||
	       (a->bitmap.version == b->bitmap.version &&
		a->geo.chunk_bytes == b->geo.chunk_bytes &&
		a->geo.slot_bytes == b->geo.slot_bytes);
}

bool md_array_is_like_freshest(const struct md_array *array,
			       const struct md_member *member)
{
	const struct md_member *best = md_array_freshest(array);

	return member->sb.size == best->sb.size &&
	       member->sb.raid_disks == best->sb.raid_disks &&
	       has_same_bitmap(member, best);
}

/* What differs from the freshest is older by the one event of the change. */
static int check_halves(struct md_array *array, struct err *err)
{
	const struct md_member *best = md_array_freshest(array);
	size_t i;
	int r;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (md_array_is_like_freshest(array, m))
			continue;
		if (m->sb.events >= best->sb.events ||
		    (!is_spare(&m->sb) && best->sb.events - m->sb.events > 1)) {
			r = check_size(best, m, err);
			return r < 0 ? r :
				       err_set(err, -EBADMSG,
					       "%s: its bitmap is not like that of %s: not members of one array",
					       m->disk->name, best->disk->name);
		}
		array->is_halved = true;
	}
	return 0;
}

static int load_members(struct md_array *array, struct disk *const *disks,
			size_t count, struct err *err)
{
	size_t i, j;
	int r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		r = md_member_load(&array->members[i], disks[i], err);
		array->count++;
		for (j = 0; r == 0 && j < i; j++)
			r = check_identity(&array->members[j], &array->members[i],
					   NULL, err);
		if (r < 0)
			break;
		r = md_member_load_bitmap(&array->members[i], err);
		if (r == -ENOENT) {
			*err = (struct err)ERR_INIT;
			r = 0;
		}
	}
	return r;
}

int md_array_load_halves(struct md_array *array, struct disk *const *disks,
			 size_t count, struct err *err)
{
	int r;

	memset(array, 0, sizeof(*array));
	if (count == 0)
		return err_set(err, -EINVAL, "no member is given");
	array->members = calloc(count, sizeof(*array->members));
	if (!array->members)
		return err_nomem(err, "the members");
	r = load_members(array, disks, count, err);
	if (r == 0) {
		choose_freshest(array);
		r = check_halves(array, err);
	}
	if (r == 0 && !array->is_halved && md_array_freshest(array)->has_bitmap)
		r = agree_on_slots(array, err);
	if (r < 0)
		md_array_fini(array);
	return r;
}

void md_array_fini(struct md_array *array)
{
	size_t i;

	for (i = 0; i < array->count; i++)
		md_member_fini(&array->members[i]);
	free(array->members);
	memset(array, 0, sizeof(*array));
}

const struct md_member *md_array_freshest(const struct md_array *array)
{
	return &array->members[array->freshest];
}

uint16_t md_array_role(const struct md_array *array,
		       const struct md_member *member)
{
	const struct md_sb *sb = &md_array_freshest(array)->sb;

	return member->sb.dev_number < sb->max_dev ?
		       sb->roles[member->sb.dev_number] :
		       (uint16_t)MD_ROLE_SPARE;
}

bool md_array_is_stale(const struct md_array *array,
		       const struct md_member *member)
{
	/* one behind is tolerated: the last update may have been cut short */
	uint64_t freshest = md_array_freshest(array)->sb.events;

	return !is_spare(&member->sb) && member->sb.events < freshest &&
	       freshest - member->sb.events > 1;
}

bool md_array_is_in_sync(const struct md_array *array,
			 const struct md_member *member)
{
	/* a spare that an interrupted update gave a role to does not know of it, and has nothing */
	return md_array_role(array, member) < MD_ROLE_MAX && !is_spare(&member->sb) &&
	       !md_array_is_stale(array, member) &&
	       !(member->sb.feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

uint32_t md_array_missing(const struct md_array *array)
{
	const struct md_sb *sb = &md_array_freshest(array)->sb;
	uint32_t missing = 0, dev;
	size_t i;

	for (dev = 0; dev < sb->max_dev; dev++) {
		if (sb->roles[dev] >= min_u64(sb->raid_disks, MD_ROLE_MAX))
			continue;
		for (i = 0; i < array->count; i++)
			if (array->members[i].sb.dev_number == dev)
				break;
		missing += i == array->count;
	}
	return missing;
}

size_t md_array_copies(const struct md_array *array, bool only_in_sync,
		       struct bitmap_copy *copies)
{
	size_t i, n = 0;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		if (!only_in_sync || md_array_is_in_sync(array, m))
			copies[n++] = md_member_copy(m);
	}
	return n;
}

int md_array_load_slot(const struct md_array *array, uint32_t number,
		       struct bitmap_slot *slot, struct err *err)
{
	struct bitmap_copy *copies = calloc(array->count, sizeof(*copies));
	size_t n;
	int r;

	memset(slot, 0, sizeof(*slot));
	if (!copies)
		return err_nomem(err, "the list of copies");
	n = md_array_copies(array, true, copies);
	r = bitmap_slot_init(slot, &md_array_freshest(array)->geo, number, err);
	if (r == 0)
		r = bitmap_slot_load(slot, copies, n,
				     array->policy != MD_SLOTS_BEST, err);
	if (r < 0 && r != -ENOMEM && slot->image &&
	    array->policy == MD_SLOTS_DIRTY) {
		log_warning("MDC2002", "%s; all of slot %u counts as dirty",
			    err->text, number);
		slot->sb = md_array_freshest(array)->bitmap;
		bitmap_slot_fill(slot, true);
		r = 0;
	}
	free(copies);
	return r;
}
