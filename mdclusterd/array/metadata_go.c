/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * REMOVE, FORGET: a disk goes. Its number is faulty in all superblocks from then on, its own
 * too where it was a spare; so it stays away over any assembly, until it is added again.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>

#include "bitmap/disk.h"

static int check_idle(const struct metadata *md, uint32_t number, struct err *err)
{
	size_t i = metadata_with_number(md, number);
	const struct metadata_member *m = i < md->count ? &md->members[i] : NULL;

	if (metadata_role_of(md, number) >= MD_ROLE_MAX || (m && m->is_candidate) ||
	    (m && m->is_read && m->own_role == MD_ROLE_SPARE))
		return 0;
	return err_set(err, -EBUSY, "%s: number %u is in use: fail it first",
		       m ? m->path : "the array", number);
}

int metadata_remove(struct metadata *md, struct metadata_request *req)
{
	struct metadata_change c;
	const struct md_member *m;
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);

	if (r == 0)
		r = check_idle(md, req->number, &req->err);
	if (r < 0)
		return r;
	metadata_change_init(md, &c, NULL);
	if (metadata_with_number(md, req->number) == md->count &&
	    metadata_role_of(md, req->number) != MD_ROLE_FAULTY)
		return err_set(&req->err, -ENODEV, "number %u is not known here", req->number);
	/* a former member keeps what it says of itself: it may come back */
	m = metadata_member_of(md, req->number);
	if (m && md_sb_role(&m->sb) == MD_ROLE_SPARE)
		c.number = req->number;
	c.wanted.roles[req->number] = MD_ROLE_FAULTY;
	if (!metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		return err_set(&req->err, -ENODEV, "too few disks are there and in sync");
	if (!metadata_is_so(md, &c))
		r = metadata_store(md, &c, &req->err);
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

int metadata_forget_disk(struct metadata *md, struct metadata_request *req)
{
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	size_t i = metadata_with_number(md, req->number);

	if (r == 0 && i < md->count)
		r = check_idle(md, req->number, &req->err);
	if (r == 0 && i < md->count)
		metadata_drop(md, i);
	if (r == 0 && !md->is_loaded)
		r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	return r;
}
