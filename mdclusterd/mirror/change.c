/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk comes, or goes: intent and mirror are told, in the order that both need.
 *
 *	comes   degraded; all of the own slot is on it (D10); then, in one step, writes go to it
 *	        as well and, by bitmap, all that the slot's bits cover is needed; done when
 *	        that is durable and no write is under way without it
 *	goes    the intent first: what waits for a disk that fails goes on without it (I9)
 *
 *	C1  A write that has not gone to a disk that comes has its bits set when the disk
 *	    becomes one that is written, for bits come before data (A1), and nothing is
 *	    cleared since the disk went (I2): what is needed then covers it.
 *	C2  Whatever fails does so before that step, and undoes all: the disk is in neither.
 *	C3  While the slot is written to it no data goes there: if it does not take it, it
 *	    does not come, and that is no failure of a disk in use.
 *	C4  What hangs on the disk that had the role, and was given up (A7), is no reason to wait: it
 *	    may hang for ever. Its memory stays what it is until it is back, and whatever it
 *	    does then it does on that disk, which must be another one than this.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/mirror/mirror_private.h"

static void part_over(struct mirror_change *c, int result)
{
	if (c->result == 0)
		c->result = result;
	if (--c->awaited == 0)
		c->done(c->owner, c, c->result);
}

static void mirror_goes_by_it(void *owner, struct mirror_request *req, int result)
{
	(void)req;
	part_over(owner, result);
}

static void bits_are_needed(void *owner, struct intent_request *req, int result)
{
	(void)req;
	part_over(owner, result);
}

/* done() at the next mirror_advance(). */
static void refuse(struct mirror_change *c, int result)
{
	c->result = result;
	c->awaited = 1;
	mirror_answer(c->m, &c->mirror, result);
}

static void set_mirror(struct mirror_change *c)
{
	mirror_set_disk(c->m, c->role, c->state, c->disk, c->data_offset, &c->mirror);
}

/* --- it comes ------------------------------------------------------------------------------ */

/* C1: no callback, and so no write, comes between the two. */
static int go_to_it(struct mirror_change *c)
{
	int r;

	c->awaited = 1;
	if (c->is_by_bitmap && c->m->intent) {
		c->intent.done = bits_are_needed;
		r = intent_need_all(c->m->intent, &c->intent);
		if (r < 0)
			return r;
		c->awaited = 2;
	}
	set_mirror(c);
	c->m->disks[c->role].is_rotational = c->is_rotational;
	return 0;
}

/* C2 */
static void undo(struct mirror_change *c, int result)
{
	intent_set_disk(c->m->intent, c->role, NULL, 0, NULL);
	err_set(&c->err, result, "%s: write of the bitmap: %s", c->disk->name,
		result == -ETIMEDOUT ? "no answer" : strerror(-result));
	refuse(c, result);
}

static void slot_is_on_it(void *owner, struct intent_request *req, int result)
{
	struct mirror_change *c = owner;

	(void)req;
	mirror_now(c->m);
	c->m->disks[c->role].coming = NULL;
	if (c->error < 0)
		result = c->error;
	if (result == 0)
		result = go_to_it(c);
	if (result < 0)
		undo(c, result);
}

/* C4. Clients were told what blocks there are. */
static int check_fits(struct mirror_change *c)
{
	const struct mirror *m = c->m;

	if (m->disks[c->role].busy > 0)
		return err_set(&c->err, -EBUSY,
			       "%s: requests to the disk that had its role are waited for still",
			       c->disk->name);
	if (c->disk->topology.logical_block_bytes > m->volume.block_bytes)
		return err_set(&c->err, -EINVAL,
			       "%s: its blocks have %" PRIu32 " bytes, the array's %" PRIu32,
			       c->disk->name, c->disk->topology.logical_block_bytes,
			       m->volume.block_bytes);
	return 0;
}

static void come(struct mirror_change *c)
{
	struct mirror *m = c->m;
	int r = check_fits(c);

	if (r == 0 && flush_leave(m, c->role) < 0)
		r = err_nomem(&c->err, c->disk->name);
	if (r < 0) {
		refuse(c, r);
	} else if (!m->intent) {
		(void)go_to_it(c);
	} else {
		m->disks[c->role].coming = c;
		c->intent.done = slot_is_on_it;
		failure_tell_hang(m, c->role, c->state);
		intent_set_disk(m->intent, c->role, c->disk, c->bitmap_start_bytes,
				&c->intent);
	}
}

/* C3 */
bool change_failed(struct mirror *m, uint32_t role, int error)
{
	struct mirror_change *c = m->disks[role].coming;

	if (!c)
		return false;
	if (c->error == 0) {
		c->error = error;
		intent_set_disk(m->intent, role, NULL, 0, NULL);
	}
	return true;
}

/* The superblocks may be older than a failure that this node is still telling (D2). */
static bool is_degraded(const struct mirror *m, const struct mirror_change *c)
{
	uint32_t there = m->writable | 1u << c->role;

	return c->is_degraded || m->unknown != 0 || c->state != MIRROR_DISK_IN_SYNC ||
	       (uint32_t)__builtin_popcount(there) < m->map.disks;
}

void mirror_change_disk(struct mirror *m, struct mirror_change *c)
{
	bool was_missing = m->disks[c->role].state == MIRROR_DISK_MISSING;

	mirror_now(m);
	c->m = m;
	c->result = c->error = 0;
	c->err = (struct err)ERR_INIT;
	c->mirror.done = mirror_goes_by_it;
	c->mirror.owner = c;
	c->intent.owner = c;
	if (m->intent) {
		intent_saw_events(m->intent, c->events);
		intent_set_degraded(m->intent, is_degraded(m, c));
	}
	if (was_missing && c->state != MIRROR_DISK_MISSING) {
		come(c);
		return;
	}
	if (m->intent && c->state == MIRROR_DISK_MISSING)
		intent_set_disk(m->intent, c->role, NULL, 0, NULL);
	c->awaited = 1;
	set_mirror(c);
	if (m->writable == 0) { /* no bits either: who waits for them waits for ever */
		write_fail_waiting(m, -EIO);
		sync_fail_waiting(m);
	}
}
