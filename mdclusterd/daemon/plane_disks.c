/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which disks the plane has, by role, and how they come and go. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "bitmap/disk.h"
#include "mdclusterd/daemon/plane_private.h"

LOG_SUBSYSTEM(plane);

static void hear(struct plane_disk *d)
{
	int r = disk_pump(d->disk, 0);

	if (r < 0)
		log_error("MDC5443", "%s: its completions cannot be had: %s", d->disk->name,
			  strerror(-r));
}

static void disk_is_ready(void *owner, int fd, uint32_t events)
{
	struct plane_disk *d = owner;

	(void)fd;
	(void)events;
	hear(d);
	plane_kick(d->work);
}

void plane_disks_hear(struct plane_work *w)
{
	struct plane_disk *d;

	for (uint32_t role = 0; role < METADATA_MAX_DISKS; role++)
		if (w->disks[role])
			hear(w->disks[role]);
	qb_list_for_each_entry(d, &w->leaving, link)
		hear(d);
}

/* D13: what was gathered, or waits for a disk that has enough to do, is begun later. */
static bool may_change(void *work)
{
	return plane_has_lease(work);
}

/* --- which one it is ----------------------------------------------------------------------- */

static void identify(struct plane_disk *d, const struct metadata_disk *m)
{
	struct stat st;

	memcpy(d->device_uuid, m->device_uuid, sizeof(d->device_uuid));
	if (stat(m->path, &st) < 0)
		return;
	d->device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	d->file = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
}

/* By whatever path: a disk that many lead to has its superblock alone. */
static bool is_same(const struct plane_disk *a, const struct plane_disk *b)
{
	static const uint8_t none[16];

	if (a->device == b->device && a->file == b->file)
		return true;
	return memcmp(a->device_uuid, none, sizeof(none)) != 0 &&
	       memcmp(a->device_uuid, b->device_uuid, sizeof(none)) == 0;
}

/* A write that hangs on it could land over what is newer. */
static int check_hangs_not(const struct plane_work *w, const struct plane_disk *d,
			   const struct metadata_disk *m, struct err *err)
{
	const struct plane_disk *left;

	qb_list_for_each_entry(left, &w->leaving, link)
		if (left->disk->in_flight > 0 && is_same(left, d))
			return err_set(err, -EBUSY,
				       "%s: %u requests from before it failed hang on it: it can "
				       "come back when they are back, or this node starts anew",
				       m->path, left->disk->in_flight);
	return 0;
}

int plane_disk_open(struct plane_work *w, uint32_t role, const struct metadata_disk *m,
		    struct err *err)
{
	struct plane_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(err, m->path);
	d->work = w;
	identify(d, m);
	if (check_hangs_not(w, d, m, err) < 0) {
		free(d);
		return err->code;
	}
	d->disk = disk_aio_open(m->path, DISK_SHARED, err);
	if (d->disk && loop_fd_add(w->loop, disk_poll_fd(d->disk), POLLIN, disk_is_ready, d,
				   err) == 0) {
		disk_gather(d->disk);
		disk_guard(d->disk, may_change, w);
		w->disks[role] = d;
		return 0;
	}
	disk_close(d->disk);
	free(d);
	return err->code;
}

void plane_disks_go(struct plane_work *w)
{
	struct plane_disk *d;

	for (uint32_t i = 0; i < METADATA_MAX_DISKS; i++)
		if (w->disks[i])
			disk_start(w->disks[i]->disk);
	qb_list_for_each_entry(d, &w->leaving, link)
		disk_start(d->disk);
}

void plane_disk_leave(struct plane_work *w, uint32_t role)
{
	struct plane_disk *d = w->disks[role];

	if (!d)
		return;
	w->disks[role] = NULL;
	qb_list_add_tail(&d->link, &w->leaving);
	plane_kick(w);
}

void plane_close_leaving(struct plane_work *w)
{
	struct plane_disk *d, *next;

	qb_list_for_each_entry_safe(d, next, &w->leaving, link) {
		if (d->disk->in_flight > 0)
			continue; /* it hangs: to close it would, too */
		qb_list_del(&d->link);
		loop_fd_remove(w->loop, disk_poll_fd(d->disk));
		disk_close(d->disk);
		free(d);
	}
}

bool plane_disk_is_rotational(const char *path)
{
	char name[96], word = '0';
	struct stat st;
	FILE *file;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/queue/rotational",
		 major(st.st_rdev), minor(st.st_rdev));
	file = fopen(name, "re");
	if (!file)
		return false;
	if (fread(&word, 1, 1, file) != 1)
		word = '0';
	(void)fclose(file);
	return word == '1';
}

/* --- a role that changes ------------------------------------------------------------------ */

static enum mirror_disk_state state_of(const struct metadata_disk *m)
{
	if (m->state == METADATA_DISK_IN_SYNC)
		return MIRROR_DISK_IN_SYNC;
	return m->state == METADATA_DISK_REBUILD ? MIRROR_DISK_REBUILD : MIRROR_DISK_MISSING;
}

static void disk_is_set(void *owner, struct mirror_change *c, int result)
{
	struct plane_step *step = owner;
	struct plane_work *w = step->work;

	if (c->state == MIRROR_DISK_MISSING || (c->disk && result < 0))
		plane_disk_leave(w, c->role);
	if (result < 0)
		step->req->err = c->err;
	step->req->needed_chunks = intent_needed_count(w->intent);
	plane_step_done(step, result);
}

void plane_set_disk(struct plane_work *w, struct plane_request *req)
{
	struct plane_step *step = plane_step_new(w, req);
	const struct metadata_disk *m = &req->view->disks[req->role];
	struct mirror_change *c = &step->change;

	*c = (struct mirror_change){
		.role = req->role,
		.state = state_of(m),
		.is_degraded = req->view->degraded > 0,
		.events = req->view->events,
		.data_offset = m->data_offset,
		.bitmap_start_bytes = m->bitmap_start_bytes,
		.is_by_bitmap = m->is_by_bitmap,
		.done = disk_is_set,
		.owner = step,
	};
	if (c->state != MIRROR_DISK_MISSING && !w->disks[req->role]) {
		if (plane_disk_open(w, req->role, m, &req->err) < 0) {
			plane_step_done(step, req->err.code);
			return;
		}
		c->disk = w->disks[req->role]->disk;
		c->is_rotational = plane_disk_is_rotational(m->path);
	}
	mirror_change_disk(w->mirror, c);
	plane_kick(w);
}
