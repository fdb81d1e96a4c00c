/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether corosync is quorate, which it tells, and by which votes, which it is asked for in a
 * thread each time it has told of a change.
 */
#include "totem/corosync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <corosync/quorum.h>
#include <corosync/votequorum.h>

#include "base/err.h"
#include "totem/corosync_private.h"

struct corosync_quorum {
	corosync_quorum_fn changed;
	void *owner;
	struct loop *loop;
	struct node_table nodes;
	uint32_t self;
	quorum_handle_t handle;
	votequorum_handle_t votes_handle; /* it tells that others are expected */
	int fd, votes_fd;
	bool is_watched, votes_are_watched, is_quorate;
	uint64_t ring_seq;
	struct count *count; /* that is under way */
	bool wants_count;
	struct corosync_votes votes;
};

/* --- votes ---------------------------------------------------------------------------------- */

struct count {
	struct errand errand;
	struct node_table nodes;
	uint32_t self;
	struct corosync_votes votes;
};

static void take_info(const struct votequorum_info *info, struct corosync_votes *v)
{
	v->is_known = true;
	v->expected = info->node_expected_votes;
	v->highest_expected = info->highest_expected;
	v->total = info->total_votes;
	v->quorum = info->quorum;
	if (info->flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED)
		v->device = info->qdevice_votes;
	v->is_two_node = info->flags & VOTEQUORUM_INFO_TWONODE;
	v->waits_for_all = info->flags & VOTEQUORUM_INFO_WAIT_FOR_ALL;
	v->is_last_man_standing = info->flags & VOTEQUORUM_INFO_LAST_MAN_STANDING;
	v->has_tie_breaker = info->flags & VOTEQUORUM_INFO_AUTO_TIE_BREAKER;
	v->allows_downscale = info->flags & VOTEQUORUM_INFO_ALLOW_DOWNSCALE;
}

static void count_votes(struct errand *errand)
{
	struct count *c = (struct count *)errand;
	struct votequorum_info info;
	votequorum_handle_t handle;

	if (votequorum_initialize(&handle, NULL) != CS_OK)
		return;
	if (votequorum_getinfo(handle, c->self, &info) == CS_OK)
		take_info(&info, &c->votes);
	for (int i = 0; i < c->nodes.count; i++)
		if (votequorum_getinfo(handle, c->nodes.ids[i], &info) == CS_OK)
			c->votes.of[i] = info.node_votes;
	(void)votequorum_finalize(handle);
}

static void forget_count(struct errand *errand)
{
	free(errand);
}

static void count(struct corosync_quorum *q);

static void has_counted(void *owner, struct errand *errand)
{
	struct corosync_quorum *q = owner;

	if (q->count->votes.is_known)
		q->votes = q->count->votes;
	q->count = NULL;
	free(errand);
	if (q->wants_count)
		count(q);
	q->changed(q->owner);
}

/* Without memory, or a thread, they stay as they were: they are for people alone. */
static void count(struct corosync_quorum *q)
{
	struct err ignored = ERR_INIT;

	q->wants_count = q->count != NULL;
	if (q->count)
		return;
	q->count = calloc(1, sizeof(*q->count));
	if (!q->count)
		return;
	q->count->errand.work = count_votes;
	q->count->errand.drop = forget_count;
	q->count->nodes = q->nodes;
	q->count->self = q->self;
	if (errand_start(&q->count->errand, q->loop, has_counted, q, &ignored) < 0)
		q->count = NULL;
}

/* --- what corosync tells ----------------------------------------------------------------------- */

static void set(struct corosync_quorum *q, bool is_quorate, uint64_t ring_seq)
{
	q->is_quorate = is_quorate;
	q->ring_seq = ring_seq;
	q->changed(q->owner);
}

static void notify(quorum_handle_t handle, uint32_t is_quorate, uint64_t ring_seq,
		   uint32_t members, uint32_t *ids)
{
	const void *context = NULL;
	struct corosync_quorum *q;

	(void)members;
	(void)ids;
	if (quorum_context_get(handle, &context) != CS_OK || !context)
		return;
	q = (struct corosync_quorum *)(uintptr_t)context;
	count(q);
	set(q, is_quorate, ring_seq);
}

static void expect_others(votequorum_handle_t handle, uint64_t context, uint32_t votes)
{
	(void)handle;
	(void)votes;
	if (context)
		count((struct corosync_quorum *)(uintptr_t)context);
}

static bool is_over(cs_error_t e, uint32_t events)
{
	return (e != CS_OK && e != CS_ERR_TRY_AGAIN) || events & (POLLHUP | POLLERR);
}

static void dispatch(void *owner, int fd, uint32_t events)
{
	struct corosync_quorum *q = owner;

	if (!is_over(quorum_dispatch(q->handle, CS_DISPATCH_ALL), events))
		return;
	loop_fd_remove(q->loop, fd);
	q->is_watched = false;
	set(q, false, q->ring_seq); /* the group's link tells of the end */
}

static void dispatch_votes(void *owner, int fd, uint32_t events)
{
	struct corosync_quorum *q = owner;

	if (!is_over(votequorum_dispatch(q->votes_handle, CS_DISPATCH_ALL), events))
		return;
	loop_fd_remove(q->loop, fd);
	q->votes_are_watched = false;
}

/* --- life ------------------------------------------------------------------------------------------ */

static const char the_quorum[] = "the quorum";

/* Both connections, and what they are to tell. */
struct meeting {
	struct errand errand;
	struct corosync_quorum *q; /* as a number: nothing of it is touched */
	quorum_handle_t handle;
	votequorum_handle_t votes_handle;
	bool is_open, votes_are_open;
	struct err err;
};

static void close_meeting(struct meeting *m)
{
	if (m->is_open)
		(void)quorum_finalize(m->handle);
	if (m->votes_are_open)
		(void)votequorum_finalize(m->votes_handle);
	free(m);
}

static void give_up(struct errand *errand)
{
	close_meeting((struct meeting *)errand);
}

static cs_error_t track(struct meeting *m)
{
	cs_error_t e = quorum_context_set(m->handle, m->q);

	if (e == CS_OK)
		e = quorum_trackstart(m->handle, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
	if (e == CS_OK)
		e = votequorum_trackstart(m->votes_handle, (uint64_t)(uintptr_t)m->q,
					  CS_TRACK_CHANGES);
	return e;
}

static void meet(struct errand *errand)
{
	struct meeting *m = (struct meeting *)errand;
	quorum_callbacks_t calls = { .quorum_notify_fn = notify };
	votequorum_callbacks_t votes_calls = {
		.votequorum_expectedvotes_notify_fn = expect_others
	};
	uint32_t type = 0;
	cs_error_t e = quorum_initialize(&m->handle, &calls, &type);

	m->is_open = e == CS_OK;
	if (m->is_open && type != QUORUM_SET) {
		err_set(&m->err, -EINVAL,
			"corosync has no quorum provider: say provider: corosync_votequorum in the quorum section of corosync.conf");
		return;
	}
	if (m->is_open) {
		e = votequorum_initialize(&m->votes_handle, &votes_calls);
		m->votes_are_open = e == CS_OK;
	}
	if (m->votes_are_open)
		e = track(m);
	if (e != CS_OK)
		corosync_refusal((int)e, the_quorum, &m->err);
}

static int listen_to(struct corosync_quorum *q, struct err *err)
{
	cs_error_t e = quorum_fd_get(q->handle, &q->fd);

	if (e == CS_OK)
		e = votequorum_fd_get(q->votes_handle, &q->votes_fd);
	if (e != CS_OK)
		return corosync_refusal((int)e, the_quorum, err);
	if (loop_fd_add(q->loop, q->fd, POLLIN, dispatch, q, err) < 0)
		return err->code;
	q->is_watched = true;
	if (loop_fd_add(q->loop, q->votes_fd, POLLIN, dispatch_votes, q, err) < 0)
		return err->code;
	q->votes_are_watched = true;
	return 0;
}

static void stop_listening(struct corosync_quorum *q)
{
	if (q->is_watched)
		loop_fd_remove(q->loop, q->fd);
	if (q->votes_are_watched)
		loop_fd_remove(q->loop, q->votes_fd);
}

/* Closing these asks for no answer. */
static void close_handles(struct corosync_quorum *q)
{
	(void)quorum_finalize(q->handle);
	(void)votequorum_finalize(q->votes_handle);
}

static int open_handles(struct corosync_quorum *q, struct err *err)
{
	struct meeting *m = calloc(1, sizeof(*m));

	if (!m)
		return err_nomem(err, the_quorum);
	m->errand.work = meet;
	m->errand.drop = give_up;
	m->q = q;
	if (corosync_wait(&m->errand, COROSYNC_ANSWER_MS, the_quorum, err) < 0)
		return err->code;
	if (m->err.code < 0) {
		*err = m->err;
		close_meeting(m);
		return err->code;
	}
	q->handle = m->handle;
	q->votes_handle = m->votes_handle;
	free(m);
	if (listen_to(q, err) == 0)
		return 0;
	stop_listening(q);
	close_handles(q);
	return err->code;
}

struct corosync_quorum *corosync_quorum_open(const struct node_table *nodes, uint32_t self,
					     corosync_quorum_fn changed, void *owner,
					     struct loop *loop, struct err *err)
{
	struct corosync_quorum *q = calloc(1, sizeof(*q));

	if (!q) {
		err_nomem(err, the_quorum);
		return NULL;
	}
	q->changed = changed;
	q->owner = owner;
	q->loop = loop;
	q->nodes = *nodes;
	q->self = self;
	if (open_handles(q, err) == 0) {
		count(q);
		return q;
	}
	free(q);
	return NULL;
}

void corosync_quorum_close(struct corosync_quorum *q)
{
	if (!q)
		return;
	if (q->count)
		errand_abandon(&q->count->errand);
	stop_listening(q);
	close_handles(q);
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

const struct corosync_votes *corosync_quorum_votes(const struct corosync_quorum *q)
{
	return &q->votes;
}
