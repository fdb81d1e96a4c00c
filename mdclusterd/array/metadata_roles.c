/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Superblocks written: ACTIVATE, FAIL. With TOKEN, so nobody else writes them. What they shall
 * say is found first; then all members that take part get it, one after the other, with one
 * event more than the freshest had. A cut between two leaves some with the new events, who
 * then are the freshest, and the same request finishes it: members that differ are reason
 * enough to write. A member that does not take it is made faulty with the rest, where there
 * are enough without it (section 1.7).
 *
 * D11: bits that meant nothing are cleared, durably, before the first superblock gives
 * them a meaning.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

static struct md_member *member_of(struct metadata *md, uint32_t dev_number)
{
	for (size_t i = 0; i < md->array.count; i++)
		if (md->array.members[i].sb.dev_number == dev_number)
			return &md->array.members[i];
	return NULL;
}

/* Roles whose disk is not here, could not be read, or is stale: they miss what comes. */
static bool leave_behind(struct metadata *md, struct md_sb *wanted)
{
	bool is_any = false;

	for (uint32_t dev = 0; dev < wanted->max_dev; dev++) {
		const struct md_member *m = member_of(md, dev);

		if (wanted->roles[dev] >= MD_ROLE_MAX || (m && metadata_is_written(md, m)))
			continue;
		wanted->roles[dev] = MD_ROLE_FAULTY;
		is_any = true;
	}
	return is_any;
}

static bool is_like(const struct md_sb *a, const struct md_sb *b)
{
	return a->events == b->events && a->resync_offset == b->resync_offset &&
	       a->feature_map == b->feature_map && a->max_dev == b->max_dev &&
	       memcmp(a->roles, b->roles, 2 * (size_t)a->max_dev) == 0;
}

static struct md_sb make(const struct md_member *m, const struct md_sb *wanted)
{
	struct md_sb sb = m->sb;

	sb.events = wanted->events;
	sb.resync_offset = wanted->resync_offset;
	sb.feature_map |= MD_FEATURE_CLUSTERED;
	memcpy(sb.roles, wanted->roles, sizeof(sb.roles));
	return sb;
}

/* All that take part say what is wanted already. */
static bool is_so(const struct metadata *md, const struct md_sb *wanted)
{
	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];
		struct md_sb sb = make(m, wanted);

		if (metadata_is_written(md, m) && !is_like(&sb, &m->sb))
			return false;
	}
	return true;
}

static bool is_enough_without(struct metadata *md, const struct md_sb *wanted,
			      uint32_t role)
{
	struct metadata_view view;

	metadata_make_view(md, &view);
	for (uint32_t r = 0; r < view.raid_disks; r++) {
		bool is_there = false;

		for (uint32_t dev = 0; dev < wanted->max_dev; dev++)
			is_there |= wanted->roles[dev] == r;
		if (!is_there)
			view.disks[r].state = METADATA_DISK_MISSING;
	}
	return metadata_is_enough(&view, role);
}

/*
 * Who an interrupted update left one event behind gets what the freshest says, first: else
 * a second interruption leaves it two behind, which is stale. Who does not take it meets
 * its fate in store_all().
 */
static void level(struct metadata *md)
{
	const struct md_sb freshest = md_array_freshest(&md->array)->sb;

	for (size_t i = 0; i < md->array.count; i++) {
		struct md_member *m = &md->array.members[i];
		struct err ignored = ERR_INIT;

		if (!metadata_is_written(md, m) || m->sb.events == freshest.events)
			continue;
		m->sb = make(m, &freshest);
		(void)md_member_store(m, &ignored);
	}
}

static int store_all(struct metadata *md, struct md_sb *wanted, struct err *err)
{
	size_t i = 0;

	level(md);
	wanted->events++;
	while (i < md->array.count) {
		struct md_member *m = &md->array.members[i];
		uint32_t dev = m->sb.dev_number;
		int r;

		if (dev >= wanted->max_dev || wanted->roles[dev] >= MD_ROLE_MAX) {
			i++;
			continue;
		}
		m->sb = make(m, wanted);
		r = md_member_store(m, err);
		if (r == 0) {
			i++;
			continue;
		}
		if (!metadata_is_disk_fault(r) || !is_enough_without(md, wanted, wanted->roles[dev]))
			return r;
		log_warning("MDC5301", "%s; it is made faulty", err->text);
		wanted->roles[dev] = MD_ROLE_FAULTY;
		wanted->events++;
		i = 0;
	}
	return 0;
}

/* --- ACTIVATE --------------------------------------------------------------------------------- */

static bool are_bits_meaningless(const struct metadata *md)
{
	for (size_t i = 0; i < md->array.count; i++)
		if (metadata_is_written(md, &md->array.members[i]) &&
		    md->array.members[i].sb.resync_offset != MD_MAX_SECTOR)
			return false;
	return true;
}

int metadata_activate(struct metadata *md, struct err *err)
{
	struct md_sb wanted;
	int r = metadata_reload(md, METADATA_NO_ROLE, err);

	if (r < 0)
		return r;
	wanted = md_array_freshest(&md->array)->sb;
	wanted.resync_offset = 0;
	if (!leave_behind(md, &wanted) && is_so(md, &wanted))
		return 0;
	if (!is_enough_without(md, &wanted, METADATA_NO_ROLE))
		return err_set(err, -ENODEV, "too few disks are there and in sync");
	if (are_bits_meaningless(md))
		r = metadata_clear_all(md, err);
	if (r == 0)
		r = store_all(md, &wanted, err);
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, err);
}

/* --- FAIL -------------------------------------------------------------------------------------- */

int metadata_fail(struct metadata *md, struct metadata_request *req)
{
	struct md_sb wanted;
	int r = metadata_reload(md, req->role, &req->err);

	if (r < 0)
		return r;
	wanted = md_array_freshest(&md->array)->sb;
	if (!is_enough_without(md, &wanted, req->role))
		return err_set(&req->err, -EBUSY, "disk %u is the last one in sync of its set",
			       req->role);
	for (uint32_t dev = 0; dev < wanted.max_dev; dev++)
		if (wanted.roles[dev] == req->role)
			wanted.roles[dev] = MD_ROLE_FAULTY;
	(void)leave_behind(md, &wanted);
	if (!is_so(md, &wanted))
		r = store_all(md, &wanted, &req->err);
	return r < 0 ? r : metadata_reload(md, req->role, &req->err);
}
