/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ACTIVATE and FAIL: roles that change where no disk comes.
 *
 * D11: bits that meant nothing are cleared, durably, before the first superblock gives
 * them a meaning.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>

#include "base/arith.h"

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
	struct metadata_change c;
	bool is_left;
	int r = metadata_reload(md, METADATA_NO_ROLE, err);

	if (r == 0 && md->array.is_halved)
		r = metadata_finish_change(md, err);
	if (r < 0)
		return r;
	metadata_change_init(md, &c, &is_left);
	c.wanted.resync_offset = 0;
	if (!is_left && metadata_is_so(md, &c))
		return 0;
	if (!metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		return err_set(err, -ENODEV, "too few disks are there and in sync");
	if (are_bits_meaningless(md))
		r = metadata_clear_all(md, err);
	if (r == 0)
		r = metadata_store(md, &c, err);
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, err);
}

/* --- FAIL -------------------------------------------------------------------------------------- */

/*
 * Of the disks that have this role, by the last view: -> the highest events seen on them. One who
 * died amid a change may have left them an event ahead of all others.
 */
static uint64_t note_failed(const struct metadata *md, uint32_t role, bool *is_failed)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		if (m->is_candidate || m->last.role != role)
			continue;
		is_failed[i] = true;
		seen = max_u64(seen, m->own_events);
	}
	return seen;
}

/* Newer than what the failed ones say; by steps of one, for nobody may be two behind. */
static int store_beyond(struct metadata *md, struct metadata_change *c, uint64_t seen,
			struct err *err)
{
	int r = 0;

	if (metadata_is_so(md, c) && c->wanted.events > seen)
		return 0;
	do
		r = metadata_store(md, c, err);
	while (r == 0 && c->wanted.events <= seen);
	return r;
}

int metadata_fail(struct metadata *md, struct metadata_request *req)
{
	bool is_failed[METADATA_MAX_DISKS] = { false };
	uint64_t seen = note_failed(md, req->role, is_failed);
	struct metadata_change c;
	int r = metadata_reload(md, req->role, &req->err);

	if (r < 0 && r != -ESTALE)
		return r;
	if (r < 0 || !metadata_is_enough_with(md, &md_array_freshest(&md->array)->sb, req->role))
		return err_set(&req->err, -EBUSY, "disk %u is the last one in sync of its set",
			       req->role);
	metadata_change_init(md, &c, NULL);
	for (uint32_t dev = 0; dev < c.wanted.max_dev; dev++)
		if (c.wanted.roles[dev] == req->role)
			c.wanted.roles[dev] = MD_ROLE_FAULTY;
	for (size_t i = 0; i < md->count; i++)
		if (is_failed[i] && md->members[i].dev_number < c.wanted.max_dev)
			c.wanted.roles[md->members[i].dev_number] = MD_ROLE_FAULTY;
	r = store_beyond(md, &c, seen, &req->err);
	return r < 0 ? r : metadata_reload(md, req->role, &req->err);
}
