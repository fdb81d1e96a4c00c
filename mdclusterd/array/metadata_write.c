/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change written to all superblocks, with TOKEN, so nobody else writes them. What they shall
 * say is found first; then all that take part get it, one after the other, with one event more
 * than the freshest had: members in use, and spares, so that they know who failed. A cut between
 * two leaves some with the new events, who then are the freshest, and the same request
 * finishes it: members that differ are reason enough to write. A member that does not take
 * it is made faulty with the rest, where there are enough without it (section 1.7).
 *
 * At no moment is a member in use two events behind another: that would be stale.
 */
#include "mdclusterd/array/metadata_private.h"

#include <string.h>

#include "base/log.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

enum { RECOVERY = MD_FEATURE_RECOVERY_OFFSET | MD_FEATURE_RECOVERY_BITMAP };

/* --- what is wanted ------------------------------------------------------------------------- */

static bool leave_behind(struct metadata *md, struct md_sb *wanted)
{
	bool is_any = false;

	for (uint32_t dev = 0; dev < wanted->max_dev; dev++) {
		const struct md_member *m = metadata_member_of(md, dev);

		if (wanted->roles[dev] >= MD_ROLE_MAX || (m && metadata_is_written(md, m)))
			continue;
		/* a spare that somebody began to give this role to, and did not tell */
		wanted->roles[dev] = m && md_sb_role(&m->sb) == MD_ROLE_SPARE ?
					     (uint16_t)MD_ROLE_SPARE :
					     (uint16_t)MD_ROLE_FAULTY;
		is_any = true;
	}
	return is_any;
}

void metadata_change_init(struct metadata *md, struct metadata_change *c, bool *is_left)
{
	bool is_any;

	*c = (struct metadata_change){ .wanted = md_array_freshest(&md->array)->sb,
				       .number = METADATA_NO_NUMBER };
	is_any = leave_behind(md, &c->wanted);
	if (is_left)
		*is_left = is_any;
}

bool metadata_is_enough_with(struct metadata *md, const struct md_sb *wanted,
			     uint32_t without)
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
	return metadata_is_enough(&view, without);
}

struct md_sb metadata_make(const struct md_member *m, const struct metadata_change *c)
{
	struct md_sb sb = m->sb;

	sb.events = c->wanted.events;
	sb.resync_offset = c->wanted.resync_offset;
	sb.feature_map |= MD_FEATURE_CLUSTERED;
	memcpy(sb.roles, c->wanted.roles, sizeof(sb.roles));
	if (sb.dev_number == c->number) {
		sb.feature_map = (sb.feature_map & ~(uint32_t)RECOVERY) | c->features;
		sb.recovery_offset = c->recovery_offset;
	}
	return sb;
}

/* --- who gets it ------------------------------------------------------------------------------ */

static bool takes(const struct metadata_change *c, const struct md_member *m)
{
	uint32_t dev = m->sb.dev_number;
	uint16_t own = md_sb_role(&m->sb), role;

	if (dev >= c->wanted.max_dev)
		return false;
	if (dev == c->number)
		return true;
	role = c->wanted.roles[dev];
	return role < MD_ROLE_MAX || (role == MD_ROLE_SPARE && own == MD_ROLE_SPARE);
}

static bool is_like(const struct md_sb *a, const struct md_sb *b)
{
	return a->events == b->events && a->resync_offset == b->resync_offset &&
	       a->feature_map == b->feature_map && a->recovery_offset == b->recovery_offset &&
	       a->max_dev == b->max_dev &&
	       memcmp(a->roles, b->roles, 2 * (size_t)a->max_dev) == 0;
}

bool metadata_is_so(const struct metadata *md, const struct metadata_change *c)
{
	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];
		struct md_sb sb = metadata_make(m, c);

		if (takes(c, m) && !is_like(&sb, &m->sb))
			return false;
	}
	return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

/*
 * Who an interrupted update left one event behind gets what the freshest says, first. Who does
 * not take it meets its fate when it is written again.
 */
static void level(struct metadata *md)
{
	const struct metadata_change c = { .wanted = md_array_freshest(&md->array)->sb,
					   .number = METADATA_NO_NUMBER };

	for (size_t i = 0; i < md->array.count; i++) {
		struct md_member *m = &md->array.members[i];
		struct err ignored = ERR_INIT;

		if (!metadata_is_written(md, m) || m->sb.events == c.wanted.events)
			continue;
		m->sb = metadata_make(m, &c);
		(void)md_member_store(m, &ignored);
	}
}

/* 1: it did not take it, and is faulty in what is wanted: all want that, with an event more. */
static int store_one(struct metadata *md, struct metadata_change *c, struct md_member *m,
		     struct err *err)
{
	uint32_t dev = m->sb.dev_number;
	uint16_t role = c->wanted.roles[dev];
	int r;

	m->sb = metadata_make(m, c);
	r = md_member_store(m, err);
	if (r == 0)
		return 0;
	if (role == MD_ROLE_FAULTY && metadata_is_disk_fault(r))
		return 0; /* it goes anyway */
	if (!metadata_is_disk_fault(r) ||
	    !metadata_is_enough_with(md, &c->wanted,
				     role < MD_ROLE_MAX ? role : METADATA_NO_ROLE))
		return r;
	log_warning("MDC5301", "%s; it is made faulty", err->text);
	c->wanted.roles[dev] = MD_ROLE_FAULTY;
	if (dev == c->number)
		c->number = METADATA_NO_NUMBER;
	return 1;
}

static int store_own(struct metadata *md, struct metadata_change *c, struct err *err)
{
	struct md_member *m = metadata_member_of(md, c->number);

	return m ? store_one(md, c, m, err) : 0;
}

static int store_all(struct metadata *md, struct metadata_change *c, struct err *err)
{
	bool is_first = c->is_first;
	int again = is_first ? store_own(md, c, err) : 0;

	for (size_t i = 0; again >= 0 && i < md->array.count; i++) {
		struct md_member *m = &md->array.members[i];
		int r;

		if (m->sb.dev_number == c->number || !takes(c, m))
			continue;
		r = store_one(md, c, m, err);
		again = r < 0 ? r : again | r;
	}
	if (again >= 0 && !is_first) {
		int r = store_own(md, c, err);

		again = r < 0 ? r : again | r;
	}
	return again;
}

int metadata_store(struct metadata *md, struct metadata_change *c, struct err *err)
{
	int again;

	level(md);
	do {
		c->wanted.events++;
		again = store_all(md, c, err);
	} while (again > 0);
	return again;
}
