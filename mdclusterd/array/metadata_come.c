/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PREPARE, ADD, UNPREPARE: a disk comes, and other nodes are asked between the steps whether
 * they see it. Until ADD no superblock but its own knows of it, and that one says faulty.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdio.h>
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

/*
 * Is it in use, by what it says of itself and the others of it? This node may not have it open, and
 * other nodes write to it.
 */
static bool is_in_use(const struct metadata *md, const struct md_member *x)
{
	uint16_t own = md_sb_role(&x->sb), role = metadata_role_of(md, x->sb.dev_number);
	size_t known = metadata_with_number(md, x->sb.dev_number);

	if (metadata_with_uuid(md, x->sb.device_uuid) < md->count)
		return true;
	if (known < md->count && md->members[known].is_read)
		return false; /* another one has its number by now */
	if (role == MD_ROLE_SPARE)
		return own == MD_ROLE_SPARE;
	return role < MD_ROLE_MAX && own < MD_ROLE_MAX && !md_array_is_stale(&md->array, x);
}

/* is_member: it is, or was, one of this array; -EEXIST: it is. */
static int identify(struct metadata *md, struct disk *disk, bool *is_member, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct md_member x;
	int r = md_member_load(&x, disk, &ignored);

	*is_member = r == 0 && memcmp(x.sb.set_uuid, md_array_freshest(&md->array)->sb.set_uuid,
				      16) == 0;
	/* no superblock, or none that counts: whether it may be overwritten others say */
	if (r == -ENOENT || r == -EBADMSG || r == -EOPNOTSUPP)
		r = 0;
	else if (r < 0)
		err_set(err, r, "%s", ignored.text);
	if (*is_member) {
		metadata_drop_idle(md, x.sb.device_uuid);
		r = md->is_loaded ? 0 : metadata_reload(md, METADATA_NO_ROLE, err);
	}
	if (*is_member && r == 0 && is_in_use(md, &x))
		r = err_set(err, -EEXIST, "%s: it is number %u of this array, and in use",
			    disk->name, x.sb.dev_number);
	md_member_fini(&x);
	return r;
}

static int number_of(struct disk *disk, uint32_t *number, struct err *err)
{
	struct md_member x;
	int r = md_member_load(&x, disk, err);

	*number = x.sb.dev_number;
	md_member_fini(&x);
	return r;
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
		return number_of(disk, &req->number, &req->err);
	}
	if (r != -ESTALE || wants_re_add)
		return r;
	req->err = (struct err)ERR_INIT;
	r = choose_number(md, &req->number, &req->err);
	return r < 0 ? r : metadata_write_newcomer(md, req, disk, is_member);
}

/* `disk` is the members' from here on. */
static int become_candidate(struct metadata *md, struct metadata_request *req, struct disk *disk)
{
	static const uint8_t nobody[16];
	struct metadata_member *m;
	int r;

	metadata_drop_former(md, req->path, nobody);
	r = metadata_take_number(md, req->number, &req->err);
	if (r == 0 && md->count == METADATA_MAX_DISKS)
		r = err_set(&req->err, -ENOSPC, "%s: the array has %d disks, more are not served",
			    req->path, METADATA_MAX_DISKS);
	if (r < 0) {
		disk_close(disk);
		return r;
	}
	m = &md->members[md->count++];
	*m = (struct metadata_member){ .disk = disk, .is_candidate = true,
				       .is_new = !req->is_re_add };
	(void)snprintf(m->path, sizeof(m->path), "%s", req->path);
	r = metadata_try(m, &req->err);
	memcpy(req->device_uuid, m->last.device_uuid, 16);
	if (r == 0)
		r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r < 0)
		metadata_drop(md, metadata_with_uuid(md, req->device_uuid));
	return r;
}

int metadata_prepare(struct metadata *md, struct metadata_request *req)
{
	static const uint8_t nobody[16];
	struct disk *disk;
	bool is_member;
	int r;

	metadata_drop_idle(md, nobody);
	r = metadata_reload(md, METADATA_NO_ROLE, &req->err);
	if (r < 0)
		return r;
	disk = md->ops->open(md->owner, req->path, &req->err);
	if (!disk)
		return req->err.code;
	r = identify(md, disk, &is_member, &req->err);
	if (r == 0)
		r = write_candidate(md, req, disk, is_member);
	if (r == 0)
		return become_candidate(md, req, disk);
	disk_close(disk);
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
	struct metadata_member *m = &md->members[i];
	struct err ignored = ERR_INIT;
	int r = 0;

	if (i == md->count)
		return 0;
	/* its own superblock knows it first hand: ADD may have been done, and not been read */
	if (!m->is_candidate ||
	    (m->is_new && metadata_try(m, &ignored) == 0 && m->own_role != MD_ROLE_FAULTY))
		return err_set(&req->err, -EBUSY, "%s: number %u is of the array by now",
			       m->path, req->number);
	if (m->is_new)
		r = metadata_erase_newcomer(m->disk, &req->err);
	metadata_drop(md, i);
	return r;
}
