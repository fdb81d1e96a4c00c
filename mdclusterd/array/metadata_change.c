/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CHANGE: what bitmap/grow.h and update.h do to an array that nobody runs, done while all
 * nodes have their planes off. And the end of one that was cut short: whoever activates next
 * has TOKEN as well, and no node has a plane, for each comes by ACTIVATE to have one.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>

#include "base/log.h"
#include "bitmap/disk.h"
#include "bitmap/grow.h"
#include "bitmap/update.h"

LOG_SUBSYSTEM(metadata);

/* Those that take part, and spares: a faulty one is not written any more. */
static size_t choose(const struct metadata *md, struct disk **disks)
{
	size_t count = 0;

	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];

		if (metadata_is_written(md, m) ||
		    md_array_role(&md->array, m) == MD_ROLE_SPARE)
			disks[count++] = m->disk;
	}
	return count;
}

static bool is_farewell(const struct metadata_request *req)
{
	return req->grow->bitmap == MD_BITMAP_NONE || req->grow->bitmap == MD_BITMAP_INTERNAL;
}

static int apply(struct metadata *md, struct md_array *array,
		 const struct metadata_request *req, struct err *err)
{
	const struct md_update update = { .name = req->name };
	struct md_grow grow = *req->grow;
	int r = array->is_halved ? md_grow_finish(array, err) : 0;

	if (r == 0 && is_farewell(req) && md->ops->host)
		r = md->ops->host(md->owner, &grow.host, err);
	if (r == 0)
		r = md_grow_check(array, &grow, err);
	/* first: of an array without slots it would be refused */
	if (r == 0 && req->name)
		r = md_update_apply(array, &update, err);
	return r < 0 ? r : md_grow_apply(array, &grow, err);
}

int metadata_change(struct metadata *md, struct metadata_request *req)
{
	struct disk *disks[METADATA_MAX_DISKS];
	struct md_array array;
	size_t count;
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);

	if (r < 0)
		return r;
	count = choose(md, disks);
	r = md_array_load_halves(&array, disks, count, &req->err);
	if (r == 0) {
		r = apply(md, &array, req, &req->err);
		md_array_fini(&array);
	}
	/* without a bitmap of slots it is none of ours any more: the view is of before */
	if (r == 0 && is_farewell(req))
		return 0;
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

int metadata_finish_change(struct metadata *md, struct err *err)
{
	int r = md_grow_finish(&md->array, err);

	if (metadata_is_disk_fault(r)) {
		log_warning("MDC5341", "%s; the disks that a change of size or bitmap left behind are not used",
			    err->text);
		for (size_t i = 0; i < md->count; i++) {
			struct metadata_member *m = &md->members[i];

			if (m->is_read &&
			    !md_array_is_like_freshest(&md->array,
						       &md->array.members[m->member]))
				m->last.state = METADATA_DISK_STALE;
		}
		r = 0;
	}
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, err);
}
