/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdlib.h>

#include "bitmap/disk.h"

struct metadata *metadata_new(const struct metadata_ops *ops, void *owner)
{
	struct metadata *md = calloc(1, sizeof(*md));

	if (!md)
		return NULL;
	md->ops = ops;
	md->owner = owner;
	return md;
}

bool metadata_is_disk_fault(int error)
{
	return error < 0 && error != -ENOMEM && error != -ENODEV && error != -ESHUTDOWN;
}

void metadata_forget(struct metadata *md)
{
	if (md->is_loaded)
		md_array_fini(&md->array);
	md->is_loaded = false;
	for (size_t i = 0; i < md->count; i++)
		md->members[i].is_read = false;
}

void metadata_close(struct metadata *md)
{
	metadata_forget(md);
	for (size_t i = 0; i < md->count; i++)
		disk_close(md->members[i].disk);
	md->count = 0;
	md->known_events = md->assembled_events = 0;
}

void metadata_free(struct metadata *md)
{
	if (!md)
		return;
	metadata_close(md);
	free(md);
}

static int dispatch(struct metadata *md, struct metadata_request *req)
{
	switch (req->op) {
	case METADATA_ASSEMBLE:
		return metadata_assemble(md, req);
	case METADATA_RELOAD:
		return metadata_reload(md, METADATA_NO_ROLE, &req->err);
	case METADATA_ACTIVATE:
		return metadata_activate(md, &req->err);
	case METADATA_READ_SLOT:
		return metadata_read_slot(md, req);
	case METADATA_CLEAR_SLOT:
		return metadata_clear_slot(md, req);
	case METADATA_FAIL:
		return metadata_fail(md, req);
	case METADATA_PREPARE:
		return metadata_prepare(md, req);
	case METADATA_FIND:
		return metadata_find(md, req);
	case METADATA_ADD:
		return metadata_add(md, req);
	case METADATA_UNPREPARE:
		return metadata_unprepare(md, req);
	case METADATA_REBUILD:
		return metadata_rebuild(md, req);
	case METADATA_PROGRESS:
		return metadata_progress(md, req);
	case METADATA_IN_SYNC:
		return metadata_in_sync(md, req);
	case METADATA_REMOVE:
		return metadata_remove(md, req);
	case METADATA_FORGET:
		return metadata_forget_disk(md, req);
	case METADATA_CHANGE:
		return metadata_change(md, req);
	case METADATA_CLOSE:
		metadata_close(md);
		return 0;
	case METADATA_OPS:
		break;
	}
	return err_set(&req->err, -EINVAL, "the metadata have no such request");
}

static bool has_role(const struct metadata_request *req)
{
	return req->op == METADATA_FAIL || req->op == METADATA_PROGRESS ||
	       req->op == METADATA_IN_SYNC ||
	       (req->op == METADATA_REBUILD && !req->is_re_add);
}

static int check(struct metadata *md, struct metadata_request *req)
{
	if (req->op == METADATA_ASSEMBLE || req->op == METADATA_CLOSE)
		return 0;
	if (md->count == 0)
		return err_set(&req->err, -EINVAL, "no array is assembled");
	if (has_role(req) && req->role >= METADATA_MAX_DISKS)
		return err_set(&req->err, -EINVAL, "there is no disk %u", req->role);
	if (req->op != METADATA_READ_SLOT && req->op != METADATA_CLEAR_SLOT)
		return 0;
	if (md->is_loaded && md->array.is_halved)
		return err_set(&req->err, -EAGAIN, "the array is in halves: ACTIVATE comes first");
	if (md->is_loaded)
		return 0;
	/* the last RELOAD failed: whose copies count is not known */
	return metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

bool metadata_gives_view(enum metadata_op op)
{
	switch (op) {
	case METADATA_ASSEMBLE:
	case METADATA_RELOAD:
	case METADATA_ACTIVATE:
	case METADATA_FAIL:
	case METADATA_CHANGE:
	case METADATA_ADD:
	case METADATA_REBUILD:
	case METADATA_IN_SYNC:
	case METADATA_REMOVE:
	case METADATA_FORGET:
		return true;
	case METADATA_READ_SLOT:
	case METADATA_CLEAR_SLOT:
	case METADATA_PREPARE:
	case METADATA_FIND:
	case METADATA_UNPREPARE:
	case METADATA_PROGRESS:
	case METADATA_CLOSE:
	case METADATA_OPS:
		break;
	}
	return false;
}

int metadata_run(struct metadata *md, struct metadata_request *req)
{
	int r;

	req->err = (struct err)ERR_INIT;
	r = check(md, req);
	if (r == 0)
		r = dispatch(md, req);
	if (r == 0 && req->op == METADATA_ACTIVATE)
		md->assembled_events = 0;
	if (r == 0 && metadata_gives_view(req->op))
		metadata_make_view(md, req->view);
	return r;
}
