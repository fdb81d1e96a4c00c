/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to disks: sent, counted, timed. One that a disk does not give back in time is
 * lost: whoever waits is told, and its memory stays until the disk gives it back after
 * all. Meanwhile another disk may have the role: what comes back then counts for neither. Here everything that changes a disk is counted, so that a drain (A5) is over only
 * when the last of it is back, lost or not.
 *
 * -ESHUTDOWN: it was not begun, for the lease was over when its turn came (D13). The disk is
 * not to blame, and who waits for the gate waits for it.
 */
#include <errno.h>

#include "base/err.h"
#include "mdclusterd/mirror/mirror_private.h"

static void count_sent(struct mirror_disk *d, const struct disk_req *req)
{
	if (req->op == DISK_READ) {
		d->reads++;
		d->read_bytes += req->length_bytes;
	} else if (disk_req_changes(req)) {
		d->writes++;
		d->written_bytes += req->length_bytes;
	}
}

static void gave_back(struct transfer *t)
{
	struct mirror *m = t->m;
	struct mirror_disk *d = &m->disks[t->role];

	if (t->is_lost)
		d->lost -= t->tenure == d->tenure;
	else
		d->busy--;
	qb_list_del(&t->link);
	if (disk_req_changes(&t->req))
		m->changes_on_disks--;
}

/* The owner last: t may be gone after it, or in use again. */
static void req_done(struct disk_req *req, int result)
{
	struct transfer *t = req->owner;
	struct mirror *m = t->m;
	uint32_t role = t->role;

	mirror_now(m);
	gave_back(t);
	if (result == -ESHUTDOWN)
		m->lease_until_ns = 0; /* the gate is shut, until there is another */
	else if (result < 0 && t->tenure == m->disks[role].tenure)
		m->disks[role].errors++;
	if (t->is_lost)
		t->back(t);
	else
		t->over(t, result);
	disk_check_request(m, role);
	gate_check_drains(m);
	mirror_check_stop(m);
}

void transfer_send(struct mirror *m, struct transfer *t, uint32_t role, enum disk_op op,
		   uint64_t sector, uint64_t sectors, void *buffer, bool is_fua)
{
	struct mirror_disk *d = &m->disks[role];
	struct err err = ERR_INIT;

	t->m = m;
	t->role = (uint8_t)role;
	t->tenure = d->tenure;
	t->is_lost = false;
	t->since_ns = m->now_ns;
	t->req = (struct disk_req){
		.op = op,
		.is_fua = is_fua,
		.length_bytes = sectors << SECTOR_SHIFT,
		.buffer = buffer,
		.done = req_done,
		.owner = t,
	};
	if (op != DISK_FLUSH)
		t->req.offset_bytes = d->start_bytes + (sector << SECTOR_SHIFT);
	d->busy++;
	if (disk_req_changes(&t->req))
		m->changes_on_disks++;
	count_sent(d, &t->req);
	qb_list_add_tail(&t->link, &d->in_flight);
	t->refused = disk_submit(d->disk, &t->req, &err);
	if (t->refused == 0)
		return;
	/* not this disk's fault alone, but what it is asked is what all are asked */
	qb_list_del(&t->link);
	qb_list_add_tail(&t->link, &m->refused);
}

void transfer_deliver_refused(struct mirror *m)
{
	while (!qb_list_empty(&m->refused)) {
		struct transfer *t =
			qb_list_first_entry(&m->refused, struct transfer, link);

		req_done(&t->req, t->refused == -ESHUTDOWN ? -ESHUTDOWN : -EIO);
	}
}

void transfer_give_up(struct transfer *t)
{
	struct mirror_disk *d = &t->m->disks[t->role];

	t->is_lost = true;
	d->busy--;
	d->lost++;
	d->errors++;
	/* off the list of those that are timed; gave_back() takes it off itself */
	qb_list_del(&t->link);
	QB_INIT_LIST_HEAD(&t->link);
	t->over(t, -ETIMEDOUT);
}
