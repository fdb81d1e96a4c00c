/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block devices and files through libaio and O_DIRECT: the engine. How a disk is
 * opened is in disk_open.c, what zeroes and discards in disk_helper.c.
 *
 * A request lives in a slot from the moment it is started until its done() is
 * called; there are AIO_QUEUE_DEPTH slots, and whoever finds none waits in
 * `waiting`, in order, as does what is gathered until disk_start(). Everything
 * comes together in pump:
 *
 *	waiting --+--> ready -> kernel (io_submit) -+--> finished --> done()
 *	          +--> helper.todo -> helper.done --+
 *
 * A write that is to be durable on a file system that forgets RWF_DSYNC goes
 * through ready twice, the second time as an fdsync.
 *
 * Both ways end at one eventfd, so an event loop has one descriptor to watch,
 * and pump waits on that, never in io_getevents, which cannot see the helper.
 * pump empties the eventfd before it collects: a completion that comes in
 * between makes it readable once too often, never once too few.
 *
 * D14 rests on array writes being libaio writes: a killed process is reaped only
 * when those are over. The helper keeps that promise in its own way.
 */
#include "bitmap/disk_aio.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"

enum {
	EVENTS_AT_ONCE = 32,
	/* A disk that has less to do than this is not kept waiting. */
	BUSY_REQUESTS = 4,
	/* So much is enough: behind it come requests that a disk could do meanwhile. */
	GATHER_REQUESTS = 8,
	GATHER_BYTES = 128 << 10,
};

#define NO_DEADLINE UINT64_MAX

static struct aio_disk *aio_of(struct disk *disk)
{
	return container_of(disk, struct aio_disk, disk);
}

void aio_make_readable(const struct aio_disk *aio)
{
	uint64_t one = 1;
	ssize_t n = write(aio->event_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so it is readable */
}

/* Submission */

static void prepare(const struct aio_disk *aio, struct aio_slot *slot)
{
	const struct disk_req *req = slot->req;
	struct iocb *iocb = &slot->iocb;
	long long offset = (long long)req->offset_bytes;

	if (req->op == DISK_READ)
		io_prep_pread(iocb, aio->fd, req->buffer, req->length_bytes,
			      offset);
	else if (req->op == DISK_WRITE)
		io_prep_pwrite(iocb, aio->fd, req->buffer, req->length_bytes,
			       offset);
	else
		io_prep_fdsync(iocb, aio->fd);
	slot->owes_sync = req->is_fua && aio->forgets_fua;
	if (req->is_fua && !aio->forgets_fua)
		iocb->aio_rw_flags = RWF_DSYNC;
	io_set_eventfd(iocb, aio->event_fd);
}

static void finish(struct aio_disk *aio, struct aio_slot *slot, int result)
{
	slot->result = result;
	qb_list_add_tail(&slot->link, &aio->finished);
}

/* The kernel took so many of the first ones, or refused the first. */
static void submitted(struct aio_disk *aio, int r)
{
	struct aio_slot *slot;
	int i;

	for (i = 0; i < r; i++)
		qb_list_del(aio->ready.next);
	if (r > 0) {
		aio->in_kernel += (unsigned int)r;
		return;
	}
	slot = qb_list_first_entry(&aio->ready, struct aio_slot, link);
	qb_list_del(&slot->link);
	finish(aio, slot, r);
	aio_make_readable(aio);
}

/* What waited for its turn, and may not have it any more (disk_guard()). */
static void drop_forbidden(struct aio_disk *aio)
{
	struct aio_slot *slot, *next;

	qb_list_for_each_entry_safe(slot, next, &aio->ready, link) {
		if (!disk_is_forbidden(&aio->disk, slot->req))
			continue;
		qb_list_del(&slot->link);
		finish(aio, slot, -ESHUTDOWN);
		aio_make_readable(aio);
	}
}

/* All at once; what meets EAGAIN stays ready. */
static void submit_ready(struct aio_disk *aio)
{
	struct iocb *iocbs[AIO_QUEUE_DEPTH];
	struct aio_slot *slot;
	int n, r;

	while (!qb_list_empty(&aio->ready)) {
		drop_forbidden(aio);
		n = 0;
		qb_list_for_each_entry(slot, &aio->ready, link)
			iocbs[n++] = &slot->iocb;
		if (n == 0)
			return;
		do {
			r = io_submit(aio->ctx, n, iocbs);
		} while (r == -EINTR);
		if (r == 0 || r == -EAGAIN)
			return; /* 0: took none, gave no reason */
		submitted(aio, r);
	}
}

/* -EAGAIN: not now. */
static int give_slot(struct aio_disk *aio, struct disk_req *req)
{
	struct aio_slot *slot =
		qb_list_first_entry(&aio->free, struct aio_slot, link);
	int r;

	qb_list_del(&slot->link);
	slot->req = req;
	if (req->op != DISK_ZERO && req->op != DISK_DISCARD) {
		prepare(aio, slot);
		qb_list_add_tail(&slot->link, &aio->ready);
		return 0;
	}
	r = aio_helper_submit(aio, slot);
	if (r == -EAGAIN) {
		qb_list_add(&slot->link, &aio->free);
	} else if (r < 0) {
		finish(aio, slot, r);
		aio_make_readable(aio);
	}
	return r == -EAGAIN ? r : 0;
}

/*
 * First come, first served: one that meets EAGAIN holds up those behind it. As
 * long as anything is under way its completion brings us back here; otherwise
 * the kernel is short of memory, and our own eventfd does.
 */
static void start_waiting(struct aio_disk *aio)
{
	bool is_stuck = false;

	aio->gathered = 0;
	aio->gathered_bytes = 0;
	while (!is_stuck && !qb_list_empty(&aio->waiting) &&
	       !qb_list_empty(&aio->free)) {
		struct disk_req *req = qb_list_first_entry(
			&aio->waiting, struct disk_req, link);

		qb_list_del(&req->link);
		is_stuck = give_slot(aio, req) == -EAGAIN;
		if (is_stuck)
			qb_list_add(&req->link, &aio->waiting);
	}
	submit_ready(aio);
	if ((is_stuck || !qb_list_empty(&aio->ready)) && aio->in_kernel == 0)
		aio_make_readable(aio);
}

static bool may_gather_on(const struct aio_disk *aio)
{
	return aio->is_gathering && aio->in_kernel >= BUSY_REQUESTS &&
	       aio->gathered < GATHER_REQUESTS &&
	       aio->gathered_bytes < GATHER_BYTES;
}

static int aio_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	struct aio_disk *aio = aio_of(disk);

	(void)err;
	qb_list_add_tail(&req->link, &aio->waiting);
	aio->gathered++;
	aio->gathered_bytes += req->length_bytes;
	if (!may_gather_on(aio))
		start_waiting(aio);
	return 0;
}

static void aio_gather(struct disk *disk)
{
	aio_of(disk)->is_gathering = true;
}

static void aio_start(struct disk *disk)
{
	struct aio_disk *aio = aio_of(disk);

	if (aio->gathered > 0)
		start_waiting(aio);
}

/* Completion */

static int event_result(const struct aio_slot *slot, const struct io_event *event)
{
	long res = (long)event->res; /* the ABI has it unsigned */
	bool is_sync = slot->iocb.aio_lio_opcode == IO_CMD_FDSYNC;

	if (res < 0)
		return (int)res;
	return (size_t)res == (is_sync ? 0 : slot->req->length_bytes) ? 0 : -EIO;
}

static void completed(struct aio_disk *aio, struct aio_slot *slot, int result)
{
	if (result < 0 || !slot->owes_sync) {
		finish(aio, slot, result);
		return;
	}
	slot->owes_sync = false;
	io_prep_fdsync(&slot->iocb, aio->fd);
	io_set_eventfd(&slot->iocb, aio->event_fd);
	qb_list_add_tail(&slot->link, &aio->ready);
}

static int collect_kernel(struct aio_disk *aio)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event events[EVENTS_AT_ONCE];
	int n, i;

	do {
		n = io_getevents(aio->ctx, 0, EVENTS_AT_ONCE, events, &no_wait);
		for (i = 0; i < n; i++) {
			struct aio_slot *slot = container_of(
				events[i].obj, struct aio_slot, iocb);

			aio->in_kernel--;
			completed(aio, slot, event_result(slot, &events[i]));
		}
	} while (n == EVENTS_AT_ONCE || n == -EINTR);
	return n < 0 ? n : 0;
}

static int collect(struct aio_disk *aio)
{
	uint64_t count;
	ssize_t n = read(aio->event_fd, &count, sizeof(count));

	(void)n; /* EAGAIN: it was empty */
	aio_helper_collect(&aio->helper, &aio->finished);
	return collect_kernel(aio);
}

/* -1 for ever, as poll(2) has it. */
static int ms_until(uint64_t deadline_ns)
{
	uint64_t now = clock_boot_ns();

	if (deadline_ns == NO_DEADLINE)
		return -1;
	if (now >= deadline_ns)
		return 0;
	return (int)min_u64(div_round_up(deadline_ns - now, NS_PER_MS), INT_MAX);
}

/* 1: look again, 0: time is up, or a negative errno. */
static int wait_readable(const struct aio_disk *aio, uint64_t deadline_ns)
{
	struct pollfd pfd = { .fd = aio->event_fd, .events = POLLIN };
	int ms = ms_until(deadline_ns);
	int r = ms == 0 ? 0 : poll(&pfd, 1, ms);

	if (r < 0)
		return errno == EINTR ? 1 : -errno;
	return r;
}

static int wait_finished(struct aio_disk *aio, int timeout_ms)
{
	uint64_t wait_ms = timeout_ms > 0 ? (unsigned int)timeout_ms : 0;
	uint64_t deadline_ns = clock_boot_ns() + wait_ms * NS_PER_MS;
	int r;

	if (timeout_ms < 0)
		deadline_ns = NO_DEADLINE;
	do {
		r = collect(aio);
		if (r < 0 || !qb_list_empty(&aio->finished))
			return r;
		start_waiting(aio);
		r = wait_readable(aio, deadline_ns);
	} while (r > 0);
	return r;
}

/* What done() submits and what finishes meanwhile is for the next time. */
static int deliver(struct aio_disk *aio)
{
	int ran = 0, n = qb_list_length(&aio->finished);

	/* done() may pump as well, and take some away */
	while (ran < n && !qb_list_empty(&aio->finished)) {
		struct aio_slot *slot = qb_list_first_entry(
			&aio->finished, struct aio_slot, link);
		struct disk_req *req = slot->req;

		qb_list_del(&slot->link);
		qb_list_add(&slot->link, &aio->free);
		disk_complete(&aio->disk, req, slot->result);
		ran++;
	}
	return ran;
}

static int aio_pump(struct disk *disk, int timeout_ms)
{
	struct aio_disk *aio = aio_of(disk);
	int r, ran;

	if (disk->in_flight == 0)
		timeout_ms = 0; /* still empties the eventfd */
	r = wait_finished(aio, timeout_ms);
	if (r < 0)
		return r;
	ran = deliver(aio);
	start_waiting(aio);
	if (!qb_list_empty(&aio->finished))
		aio_make_readable(aio);
	return ran;
}

static int aio_poll_fd(const struct disk *disk)
{
	return container_of(disk, struct aio_disk, disk)->event_fd;
}

/* From open to close */

static void aio_close(struct disk *disk)
{
	struct aio_disk *aio = aio_of(disk);

	aio_helper_fini(&aio->helper);
	if (aio->ctx)
		io_destroy(aio->ctx); /* waits for whatever the kernel has */
	if (aio->event_fd >= 0)
		close(aio->event_fd);
	if (aio->claim_fd >= 0)
		close(aio->claim_fd);
	if (aio->fd >= 0)
		close(aio->fd);
	free(disk->name);
	free(aio);
}

static const struct disk_ops aio_ops = {
	.submit = aio_submit,
	.gather = aio_gather,
	.start = aio_start,
	.pump = aio_pump,
	.poll_fd = aio_poll_fd,
	.close = aio_close,
};

static int start_aio(struct aio_disk *aio, struct err *err)
{
	int r;

	aio->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (aio->event_fd < 0)
		return err_set(err, -errno, "%s: eventfd: %s", aio->disk.name,
			       strerror(errno));
	r = io_setup(AIO_QUEUE_DEPTH, &aio->ctx);
	if (r == -EAGAIN)
		return err_set(err, r,
			       "%s: no room for an aio queue: raise the sysctl fs.aio-max-nr",
			       aio->disk.name);
	if (r < 0)
		return err_set(err, r, "%s: io_setup: %s", aio->disk.name,
			       strerror(-r));
	return 0;
}

static struct aio_disk *aio_new(const char *path, enum disk_mode mode)
{
	struct aio_disk *aio = calloc(1, sizeof(*aio));
	size_t i;

	if (!aio)
		return NULL;
	aio->disk.ops = &aio_ops;
	aio->disk.name = strdup(path);
	if (!aio->disk.name) {
		free(aio);
		return NULL;
	}
	aio->disk.is_read_only = mode == DISK_RDONLY;
	aio->fd = -1;
	aio->claim_fd = -1;
	aio->event_fd = -1;
	QB_INIT_LIST_HEAD(&aio->waiting);
	QB_INIT_LIST_HEAD(&aio->ready);
	QB_INIT_LIST_HEAD(&aio->free);
	QB_INIT_LIST_HEAD(&aio->finished);
	aio_helper_init(&aio->helper);
	for (i = 0; i < AIO_QUEUE_DEPTH; i++)
		qb_list_add_tail(&aio->slots[i].link, &aio->free);
	return aio;
}

struct disk *disk_aio_open(const char *path, enum disk_mode mode,
			   struct err *err)
{
	struct aio_disk *aio = aio_new(path, mode);
	int r;

	if (!aio) {
		err_nomem(err, path);
		return NULL;
	}
	r = aio_open(aio, mode, err);
	if (r == 0)
		r = start_aio(aio, err);
	if (r < 0) {
		disk_close(&aio->disk);
		return NULL;
	}
	return &aio->disk;
}
