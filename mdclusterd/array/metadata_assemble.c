/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks opened, and judged: what is not a member, or of an array that is not served, is
 * refused by name. A disk that cannot be opened or read counts as missing.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

/* --- reading ------------------------------------------------------------------------------- */

static int try_member(struct disk *disk, struct err *err)
{
	struct md_member m;
	int r = md_member_load(&m, disk, err);

	if (r == 0)
		r = md_member_load_bitmap(&m, err);
	md_member_fini(&m);
	return r;
}

static bool is_asked(const struct metadata_member *m, uint32_t skip_role)
{
	return m->last.state != METADATA_DISK_FAULTY && m->last.state != METADATA_DISK_STALE &&
	       (skip_role == METADATA_NO_ROLE || m->last.role != skip_role);
}

static size_t choose_readable(struct metadata *md, bool *chosen, struct disk **disks,
			      struct err *why)
{
	size_t count = 0;

	for (size_t i = 0; i < md->count; i++) {
		chosen[i] = chosen[i] && try_member(md->members[i].disk, why) == 0;
		if (chosen[i])
			disks[count++] = md->members[i].disk;
	}
	return count;
}

/* Those of `chosen` that can be read; *why: what kept the last one from it. */
static int load(struct metadata *md, bool *chosen, struct err *why, struct err *err)
{
	struct disk *disks[METADATA_MAX_DISKS];
	size_t count, before = SIZE_MAX;
	int r;

	metadata_forget(md);
	for (;;) {
		count = choose_readable(md, chosen, disks, why);
		if (count == 0)
			return err_set(err, why->code ? why->code : -ENOENT, "%s",
				       why->code ? why->text :
						   "no disk of the array can be read");
		r = md_array_load(&md->array, disks, count, NULL, err);
		if (r == 0)
			break;
		if (count == before)
			return r;
		before = count; /* one may have failed since it was tried */
		*err = (struct err)ERR_INIT;
	}
	md->is_loaded = true;
	count = 0;
	for (size_t i = 0; i < md->count; i++)
		if (chosen[i]) {
			md->members[i].is_read = true;
			md->members[i].member = count++;
		}
	return 0;
}

int metadata_reload(struct metadata *md, uint32_t skip_role, struct err *err)
{
	bool chosen[METADATA_MAX_DISKS] = { false };
	struct err why = ERR_INIT;
	bool is_more = false;
	int r;

	for (size_t i = 0; i < md->count; i++)
		chosen[i] = is_asked(&md->members[i], skip_role);
	r = load(md, chosen, &why, err);
	/* one that had failed may have been taken in again since, by another node */
	for (size_t i = 0; r == 0 && i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		if (m->last.state != METADATA_DISK_FAULTY ||
		    metadata_role_of(md, m->dev_number) >= MD_ROLE_MAX)
			continue;
		chosen[i] = is_more = true;
	}
	if (is_more)
		r = load(md, chosen, &why, err);
	if (r < 0) /* the array that was there is gone: RELOAD comes again */
		md->is_loaded = false;
	return r;
}

/* --- judging ------------------------------------------------------------------------------- */

static const char *refusal(const struct md_member *m)
{
	const uint32_t served = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_RECOVERY_OFFSET |
				MD_FEATURE_RECOVERY_BITMAP | MD_FEATURE_CLUSTERED;
	const char *why = md_member_kernel_refusal(m);

	if (why)
		return why;
	if (m->sb.feature_map & ~served)
		return "it is being reshaped, or has features that are not served";
	if (m->sb.raid_disks > METADATA_MAX_DISKS)
		return "it has too many disks";
	return NULL;
}

static int judge(struct metadata *md, const struct metadata_request *req,
		 const struct err *missing, struct err *err)
{
	const struct md_member *f = md_array_freshest(&md->array);
	const char *why = refusal(f);

	if (why)
		return err_set(err, -EOPNOTSUPP, "%s: %s", f->disk->name, why);
	metadata_make_view(md, req->view);
	if (req->cluster && strcmp(req->cluster, req->view->cluster) != 0)
		return err_set(err, -EPERM, "%s: the array is of the cluster \"%s\", this is \"%s\"",
			       f->disk->name, req->view->cluster, req->cluster);
	if (!metadata_is_enough(req->view, METADATA_NO_ROLE))
		return err_set(err, -ENODEV, "%s: too few of its %u disks are there and in sync%s%s",
			       req->view->name, req->view->raid_disks,
			       missing->code ? ": " : "", missing->text);
	return 0;
}

/* Active roles whose disk is not here: none may be, but degraded. */
static int check_all_there(const struct metadata *md, const struct metadata_request *req,
			   const struct err *missing, struct err *err)
{
	uint32_t count = md_array_missing(&md->array);

	if (count == 0 || req->may_start_degraded)
		return 0;
	return err_set(err, -ENODEV,
		       "%s: %u of its %u disks are not here%s%s: it may not start degraded",
		       req->view->name, count, req->view->raid_disks,
		       missing->code ? ": " : "", missing->text);
}

/* --- ASSEMBLE -------------------------------------------------------------------------------- */

static int open_disks(struct metadata *md, const struct metadata_request *req,
		      struct err *missing, struct err *err)
{
	if (req->path_count == 0)
		return err_set(err, -EINVAL, "the array has no disks to look at");
	if (req->path_count > METADATA_MAX_DISKS)
		return err_set(err, -EINVAL, "%zu disks: at most %d are served",
			       req->path_count, METADATA_MAX_DISKS);
	for (size_t i = 0; i < req->path_count; i++) {
		struct metadata_member *m = &md->members[md->count];

		memset(m, 0, sizeof(*m));
		m->disk = md->open(md->owner, req->paths[i], missing);
		if (!m->disk) {
			log_warning("MDC5300", "%s; it counts as missing", missing->text);
			continue;
		}
		snprintf(m->path, sizeof(m->path), "%s", req->paths[i]);
		md->count++;
	}
	return 0;
}

/* Disks that hold no member are closed: nothing here will ask them again. */
static void drop_unread(struct metadata *md)
{
	size_t kept = 0;

	for (size_t i = 0; i < md->count; i++) {
		if (md->members[i].is_read)
			md->members[kept++] = md->members[i];
		else
			disk_close(md->members[i].disk);
	}
	md->count = kept;
}

int metadata_assemble(struct metadata *md, struct metadata_request *req)
{
	bool chosen[METADATA_MAX_DISKS];
	struct err missing = ERR_INIT;
	int r;

	metadata_close(md);
	memset(chosen, true, sizeof(chosen));
	r = open_disks(md, req, &missing, &req->err);
	if (r == 0)
		r = load(md, chosen, &missing, &req->err);
	if (r == 0) {
		drop_unread(md);
		r = judge(md, req, &missing, &req->err);
	}
	if (r == 0)
		r = check_all_there(md, req, &missing, &req->err);
	if (r < 0)
		metadata_close(md);
	return r;
}
