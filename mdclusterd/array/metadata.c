/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdlib.h>

#include "bitmap/disk.h"

struct metadata *metadata_new(struct disk *(*open)(void *owner, const char *path,
						   struct err *err),
			      void *owner)
{
	struct metadata *md = calloc(1, sizeof(*md));

	if (!md)
		return NULL;
	md->open = open;
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
	case METADATA_CLOSE:
		metadata_close(md);
		return 0;
	case METADATA_OPS:
		break;
	}
	return err_set(&req->err, -EINVAL, "the metadata have no such request");
}

static int check(struct metadata *md, struct metadata_request *req)
{
	if (req->op == METADATA_ASSEMBLE || req->op == METADATA_CLOSE)
		return 0;
	if (md->count == 0)
		return err_set(&req->err, -EINVAL, "no array is assembled");
	if (req->op == METADATA_FAIL && req->role >= METADATA_MAX_DISKS)
		return err_set(&req->err, -EINVAL, "there is no disk %u", req->role);
	if (md->is_loaded ||
	    (req->op != METADATA_READ_SLOT && req->op != METADATA_CLEAR_SLOT))
		return 0;
	/* the last RELOAD failed: whose copies count is not known */
	return metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

static bool gives_view(enum metadata_op op)
{
	return op == METADATA_ASSEMBLE || op == METADATA_RELOAD || op == METADATA_ACTIVATE ||
	       op == METADATA_FAIL;
}

int metadata_run(struct metadata *md, struct metadata_request *req)
{
	int r;

	req->err = (struct err)ERR_INIT;
	r = check(md, req);
	if (r == 0)
		r = dispatch(md, req);
	if (r == 0 && gives_view(req->op))
		metadata_make_view(md, req->view);
	return r;
}
