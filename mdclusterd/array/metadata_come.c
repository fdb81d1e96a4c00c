/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PREPARE, ADD, UNPREPARE: a disk comes, and other nodes are asked between the steps whether
 * they see it. Until ADD no superblock but its own knows of it, and that one says faulty.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <string.h>

#include "bitmap/disk.h"

/* --- PREPARE ------------------------------------------------------------------------------------ */

static bool is_number_free(const struct metadata *md, uint32_t number, uint16_t was)
{
	return metadata_role_of(md, number) == was && metadata_with_number(md, number) == md->count;
}

/* The lowest that nobody had; else the lowest that nobody has. */
static int choose_number(const struct metadata *md, uint32_t *number, struct err *err)
{
	const struct md_sb *sb = &md_array_freshest(&md->array)->sb;
	static const uint16_t was[] = { MD_ROLE_SPARE, MD_ROLE_FAULTY };

	for (size_t i = 0; i < 2; i++)
		for (*number = sb->raid_disks; *number < sb->max_dev; ++*number)
			if (is_number_free(md, *number, was[i]))
				return 0;
	return err_set(err, -ENOSPC, "its superblocks have no number for one disk more: %u are in use",
		       sb->max_dev);
}

/* What the disk is by what stands on it: a member, or a former one, of this array. */
static int identify(struct metadata *md, struct disk *disk, bool *is_member, uint8_t uuid[16],
		    struct err *err)
{
	struct err ignored = ERR_INIT;
	struct md_member x;
	int r = md_member_load(&x, disk, &ignored);

	*is_member = r == 0 && memcmp(x.sb.set_uuid, md_array_freshest(&md->array)->sb.set_uuid,
				      16) == 0;
	memcpy(uuid, x.sb.device_uuid, 16);
	md_member_fini(&x);
	/* no superblock, or none that counts: that it may be overwritten others say */
	return r == 0 || r == -ENOENT || r == -EBADMSG || r == -EOPNOTSUPP ?
		       0 : err_set(err, r, "%s", ignored.text);
}

/* -> req->number, is_re_add; what is due is written. */
static int write_candidate(struct metadata *md, struct metadata_request *req, struct disk *disk,
			   bool is_member)
{
	bool wants_re_add = req->is_re_add;
	int r = -ESTALE;

	req->is_re_add = false;
	if (is_member && !req->is_spare)
		r = metadata_check_return(md, disk, &req->err);
	else if (wants_re_add)
		return err_set(&req->err, -ESTALE, "%s: it is no former disk of this array",
			       req->path);
	if (r == 0) {
		req->is_re_add = true;
		return 0;
	}
	if (r != -ESTALE || wants_re_add)
		return r;
	req->err = (struct err)ERR_INIT;
	r = choose_number(md, &req->number, &req->err);
	return r < 0 ? r : metadata_write_newcomer(md, req, disk, is_member);
}

/* The last of members is opened and not in `array`. */
static int become_candidate(struct metadata *md, struct metadata_request *req)
{
	struct metadata_member m = md->members[--md->count];
	int r = metadata_try(&m, &req->err);

	m.is_candidate = true;
	m.is_new = !req->is_re_add;
	if (r == 0) /* its own place stays out of the way */
		r = metadata_take_number(md, m.dev_number, &req->err);
	md->members[md->count++] = m;
	if (r == 0)
		r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r < 0)
		return r;
	req->number = m.dev_number;
	memcpy(req->device_uuid, m.last.device_uuid, 16);
	return 0;
}

static int prepare_opened(struct metadata *md, struct metadata_request *req, size_t at)
{
	struct metadata_member m = md->members[at];
	uint8_t uuid[16];
	bool is_member;
	size_t known;
	int r = identify(md, m.disk, &is_member, uuid, &req->err);

	if (r < 0)
		return r;
	md->count--; /* set aside while others are closed */
	if (is_member)
		metadata_drop_idle(md, uuid);
	known = is_member ? metadata_with_uuid(md, uuid) : md->count;
	if (known < md->count)
		r = err_set(&req->err, -EEXIST, "%s: it is number %u of this array, and in use",
			    req->path, md->members[known].dev_number);
	if (r == 0 && !md->is_loaded)
		r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r == 0)
		r = write_candidate(md, req, m.disk, is_member);
	md->members[md->count++] = m;
	return r < 0 ? r : become_candidate(md, req);
}

int metadata_prepare(struct metadata *md, struct metadata_request *req)
{
	static const uint8_t nobody[16];
	size_t at;
	int r;

	metadata_drop_idle(md, nobody);
	r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	at = md->count;
	if (r == 0)
		r = metadata_open(md, req->path, &req->err);
	if (r < 0)
		return r;
	r = prepare_opened(md, req, at);
	if (r < 0)
		metadata_drop(md, md->count - 1);
	return r;
}

/* --- ADD, UNPREPARE ------------------------------------------------------------------------------- */

static int check_add(struct metadata *md, uint32_t number, struct err *err)
{
	size_t i = metadata_with_number(md, number);
	const struct metadata_member *m = &md->members[i];

	if (i == md->count || !m->is_read)
		return err_set(err, -ENODEV, "number %u is not open here", number);
	if (!m->is_candidate && metadata_role_of(md, number) != MD_ROLE_SPARE)
		return err_set(err, -EEXIST, "%s: it is number %u of this array, and in use",
			       m->path, number);
	return 0;
}

int metadata_add(struct metadata *md, struct metadata_request *req)
{
	struct metadata_change c;
	int r = metadata_reload(md, METADATA_NO_ROLE, &req->err);

	if (r == 0)
		r = check_add(md, req->number, &req->err);
	if (r < 0)
		return r;
	metadata_change_init(md, &c, NULL);
	c.number = req->number;
	c.wanted.roles[req->number] = MD_ROLE_SPARE;
	if (!metadata_is_enough_with(md, &c.wanted, METADATA_NO_ROLE))
		return err_set(&req->err, -ENODEV, "too few disks are there and in sync");
	if (!metadata_is_so(md, &c))
		r = metadata_store(md, &c, &req->err);
	if (r == 0 && c.wanted.roles[req->number] != MD_ROLE_SPARE)
		return req->err.code;
	return r < 0 ? r : metadata_reload(md, METADATA_NO_ROLE, &req->err);
}

int metadata_unprepare(struct metadata *md, struct metadata_request *req)
{
	size_t i = metadata_with_number(md, req->number);
	int r = 0;

	if (i == md->count)
		return 0;
	if (!md->members[i].is_candidate)
		return err_set(&req->err, -EBUSY, "%s: number %u is of the array by now",
			       md->members[i].path, req->number);
	if (md->members[i].is_new)
		r = metadata_erase_newcomer(md->members[i].disk, &req->err);
	metadata_drop(md, i);
	return r;
}
