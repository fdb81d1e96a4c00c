/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/corosync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <corosync/corotypes.h>
#include <corosync/quorum.h>

#include "base/err.h"
#include "base/loop.h"
#include "totem/corosync_private.h"

struct corosync_quorum {
	corosync_quorum_fn changed;
	void *owner;
	struct loop *loop;
	quorum_handle_t handle;
	int fd;
	bool is_open, is_watched, is_quorate;
	uint64_t ring_seq;
};

static void set(struct corosync_quorum *q, bool is_quorate, uint64_t ring_seq)
{
	q->is_quorate = is_quorate;
	q->ring_seq = ring_seq;
	q->changed(q->owner);
}

static void notify(quorum_handle_t handle, uint32_t is_quorate, uint64_t ring_seq,
		   uint32_t count, uint32_t *members)
{
	const void *context = NULL;

	(void)count;
	(void)members;
	if (quorum_context_get(handle, &context) == CS_OK && context)
		set((struct corosync_quorum *)(uintptr_t)context, is_quorate, ring_seq);
}

static void dispatch(void *owner, int fd, uint32_t events)
{
	struct corosync_quorum *q = owner;
	cs_error_t e = quorum_dispatch(q->handle, CS_DISPATCH_ALL);

	if ((e == CS_OK || e == CS_ERR_TRY_AGAIN) && !(events & (POLLHUP | POLLERR)))
		return;
	loop_fd_remove(q->loop, fd);
	q->is_watched = false;
	set(q, false, q->ring_seq); /* the group's link tells of the end */
}

struct corosync_quorum *corosync_quorum_open(corosync_quorum_fn changed, void *owner,
					     struct loop *loop, struct err *err)
{
	quorum_callbacks_t calls = { .quorum_notify_fn = notify };
	struct corosync_quorum *q = calloc(1, sizeof(*q));
	uint32_t type = 0;
	cs_error_t e;

	if (!q) {
		err_nomem(err, "corosync's quorum");
		return NULL;
	}
	*q = (struct corosync_quorum){ .changed = changed, .owner = owner, .loop = loop };
	e = quorum_initialize(&q->handle, &calls, &type);
	if (e != CS_OK) {
		corosync_refusal((int)e, "the quorum", err);
		free(q);
		return NULL;
	}
	q->is_open = true;
	if (type != QUORUM_SET)
		err_set(err, -EINVAL,
			"corosync has no quorum provider: say provider: corosync_votequorum in the quorum section of corosync.conf");
	else if ((e = quorum_context_set(q->handle, q)) != CS_OK ||
		 (e = quorum_fd_get(q->handle, &q->fd)) != CS_OK ||
		 (e = quorum_trackstart(q->handle, CS_TRACK_CURRENT | CS_TRACK_CHANGES)) != CS_OK)
		corosync_refusal((int)e, "the quorum", err);
	else if (loop_fd_add(loop, q->fd, POLLIN, dispatch, q, err) == 0)
		q->is_watched = true;
	if (q->is_watched)
		return q;
	corosync_quorum_close(q);
	return NULL;
}

void corosync_quorum_close(struct corosync_quorum *q)
{
	if (!q)
		return;
	if (q->is_watched)
		loop_fd_remove(q->loop, q->fd);
	if (q->is_open)
		(void)quorum_finalize(q->handle);
	free(q);
}

bool corosync_quorum_is_quorate(const struct corosync_quorum *q)
{
	return q->is_quorate;
}

uint64_t corosync_quorum_ring(const struct corosync_quorum *q)
{
	return q->ring_seq;
}
