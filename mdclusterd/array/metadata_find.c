/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of this node that were not open: one by its device_uuid, or by numbers that lack. */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

enum { MAX_PATHS = 4 * METADATA_MAX_DISKS };

size_t metadata_with_number(const struct metadata *md, uint32_t number)
{
	size_t i = 0;

	while (i < md->count && md->members[i].dev_number != number)
		i++;
	return i;
}

size_t metadata_with_uuid(const struct metadata *md, const uint8_t device_uuid[16])
{
	size_t i = 0;

	while (i < md->count && memcmp(md->members[i].last.device_uuid, device_uuid, 16) != 0)
		i++;
	return i;
}

struct md_member *metadata_member_of(struct metadata *md, uint32_t number)
{
	for (size_t i = 0; i < md->array.count; i++)
		if (md->array.members[i].sb.dev_number == number)
			return &md->array.members[i];
	return NULL;
}

int metadata_check_alike(const struct metadata *md, struct disk *disk, struct err *err)
{
	struct disk *both[] = { md_array_freshest(&md->array)->disk, disk };
	struct md_array array;
	int r = md_array_load(&array, both, 2, NULL, err);

	if (r == 0)
		md_array_fini(&array);
	return r;
}

static bool is_open(const struct metadata *md, const char *path)
{
	for (size_t i = 0; i < md->count; i++)
		if (strcmp(md->members[i].path, path) == 0 && md->members[i].is_read)
			return true;
	return false;
}

/*
 * Opens those of this node's disks that `is_wanted`, as the last of members; each may be asked
 * for more than once, and is kept where it says so.
 */
static void open_wanted(struct metadata *md,
			bool (*is_wanted)(struct metadata *md, size_t index, void *arg),
			void *arg)
{
	const uint8_t *uuid = md_array_freshest(&md->array)->sb.set_uuid;
	char *paths[MAX_PATHS];
	size_t count = md->ops->find(md->owner, uuid, paths, MAX_PATHS);

	for (size_t i = 0; i < count; i++) {
		struct err ignored = ERR_INIT;
		size_t at = md->count;

		if (!is_open(md, paths[i]) && metadata_open(md, paths[i], &ignored) == 0 &&
		    (metadata_try(&md->members[at], &ignored) < 0 ||
		     memcmp(md->members[at].set_uuid, uuid, 16) != 0 ||
		     !is_wanted(md, at, arg)))
			metadata_drop(md, at);
		free(paths[i]);
	}
}

/* A device may have several. */
static bool is_first_path(const struct metadata *md, size_t index)
{
	return metadata_with_uuid(md, md->members[index].last.device_uuid) == index;
}

/* --- numbers that lack ------------------------------------------------------------------------- */

static bool is_there(const struct metadata *md, uint32_t number)
{
	for (size_t i = 0; i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		if (m->dev_number == number &&
		    (m->is_read || m->last.state == METADATA_DISK_IN_SYNC ||
		     m->last.state == METADATA_DISK_REBUILD))
			return true;
	}
	return false;
}

static bool lacks(const struct metadata *md, uint32_t number, uint32_t skip_role)
{
	uint16_t role = metadata_role_of(md, number);

	return role < MD_ROLE_MAX && role != skip_role && !is_there(md, number);
}

/* Since this node looked at its disks, and before it was asked for those that come. */
static bool may_lack_spares(const struct metadata *md)
{
	return md->assembled_events != 0 &&
	       md_array_freshest(&md->array)->sb.events != md->assembled_events;
}

static bool is_lacking_spare(const struct metadata *md, size_t index)
{
	const struct metadata_member *m = &md->members[index];

	return may_lack_spares(md) && m->own_role == MD_ROLE_SPARE &&
	       metadata_role_of(md, m->dev_number) == MD_ROLE_SPARE &&
	       metadata_with_number(md, m->dev_number) == index;
}

/* Which are current is for the next loading to judge. */
static bool is_lacking(struct metadata *md, size_t index, void *arg)
{
	const struct metadata_member *m = &md->members[index];
	uint64_t freshest = md_array_freshest(&md->array)->sb.events;

	if (!is_first_path(md, index) || m->own_events + 1 < freshest)
		return false;
	return is_lacking_spare(md, index) ||
	       (m->own_role < MD_ROLE_MAX && lacks(md, m->dev_number, *(const uint32_t *)arg));
}

bool metadata_look_around(struct metadata *md, uint32_t skip_role)
{
	uint32_t max_dev = md_array_freshest(&md->array)->sb.max_dev;
	size_t before = md->count;
	bool is_any = may_lack_spares(md);

	for (uint32_t number = 0; number < max_dev; number++)
		is_any |= lacks(md, number, skip_role);
	if (!is_any)
		return false;
	open_wanted(md, is_lacking, &skip_role);
	for (size_t i = before; i < md->count; i++)
		log_notice("MDC5311", "%s: it is number %u of its array by now, and is used",
			 md->members[i].path, md->members[i].dev_number);
	return md->count > before;
}

/* --- FIND ------------------------------------------------------------------------------------- */

static bool has_uuid(struct metadata *md, size_t index, void *arg)
{
	return memcmp(md->members[index].last.device_uuid, arg, 16) == 0 &&
	       is_first_path(md, index);
}

static bool is_in_use(const struct metadata *md, size_t index)
{
	const struct metadata_member *m = &md->members[index];

	return !m->is_candidate && m->last.state != METADATA_DISK_FAULTY &&
	       m->last.state != METADATA_DISK_MISSING;
}

void metadata_drop_idle(struct metadata *md, const uint8_t device_uuid[16])
{
	size_t i = 0;

	while (i < md->count) {
		const struct metadata_member *m = &md->members[i];

		if (!is_in_use(md, i) &&
		    (m->is_candidate || memcmp(m->last.device_uuid, device_uuid, 16) == 0))
			metadata_drop(md, i);
		else
			i++;
	}
}

void metadata_drop_former(struct metadata *md, const char *path, const uint8_t device_uuid[16])
{
	size_t i = 0;

	while (i < md->count) {
		const struct metadata_member *m = &md->members[i];

		if (!is_in_use(md, i) && strcmp(m->path, path) == 0 &&
		    memcmp(m->last.device_uuid, device_uuid, 16) != 0)
			metadata_drop(md, i);
		else
			i++;
	}
}

/* A faulty one that had the number before is nobody's any more. */
int metadata_take_number(struct metadata *md, uint32_t number, struct err *err)
{
	size_t i = metadata_with_number(md, number);

	if (i < md->count && is_in_use(md, i))
		return err_set(err, -EEXIST, "%s: it has number %u, which another disk comes with",
			       md->members[i].path, number);
	if (i < md->count)
		metadata_drop(md, i);
	return 0;
}

static int adopt(struct metadata *md, struct metadata_request *req)
{
	struct metadata_member found =
		md->members[metadata_with_uuid(md, req->device_uuid)];
	size_t i;
	int r;

	metadata_drop_former(md, found.path, req->device_uuid);
	i = metadata_with_uuid(md, req->device_uuid);
	/* aside, while the place of its number is made free */
	md->members[i] = md->members[--md->count];
	r = metadata_take_number(md, found.dev_number, &req->err);
	found.is_candidate = true;
	md->members[md->count++] = found;
	req->number = found.dev_number;
	if (r == 0)
		r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r == 0)
		r = metadata_check_alike(md, found.disk, &req->err);
	if (r < 0)
		metadata_drop(md, metadata_with_uuid(md, req->device_uuid));
	return r;
}

int metadata_find(struct metadata *md, struct metadata_request *req)
{
	char text[TEXT_UUID_BYTES];
	size_t i;
	int r;

	metadata_drop_idle(md, req->device_uuid); /* the handle may be of a device that went */
	r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r < 0)
		return r;
	i = metadata_with_uuid(md, req->device_uuid);
	if (i < md->count) {
		req->number = md->members[i].dev_number;
		return 0;
	}
	open_wanted(md, has_uuid, req->device_uuid);
	if (metadata_with_uuid(md, req->device_uuid) == md->count)
		return err_set(&req->err, -ENODEV, "no disk with the uuid %s is seen here",
			       text_uuid(req->device_uuid, text));
	return adopt(md, req);
}
