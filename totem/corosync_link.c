/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two groups of corosync's: the one whose members are ordered, and one for what is said
 * aside of it, by processes that are no members. One handle each.
 */
#include "totem/corosync.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <corosync/corotypes.h>
#include <corosync/cpg.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "totem/corosync_private.h"

enum {
	AT_ONCE = 64,       /* of the group's events before others have their turn */
	JOIN_AGAIN_MS = 50, /* while corosync forms its own ring */
};

struct group_link {
	struct corosync_link *link;
	cpg_handle_t handle;
	struct cpg_name name;
	int fd;
	bool is_open, is_watched, has_joined;
};

struct corosync_link {
	struct corosync_link_ops ops;
	void *owner;
	struct loop *loop;
	struct group_link order, aside;
	struct cpg_process self;
	struct loop_timer *join;
	struct loop_job farewell, rejoin;
	bool is_gone;
};

static void say_farewell(void *owner)
{
	struct corosync_link *l = owner;

	l->ops.gone(l->owner, "corosync has ended, or has closed the connection");
}

static void stop_listening(struct corosync_link *l, struct group_link *g)
{
	if (g->is_watched)
		loop_fd_remove(l->loop, g->fd);
	g->is_watched = false;
}

static void is_gone(struct corosync_link *l)
{
	if (l->is_gone)
		return;
	l->is_gone = true;
	stop_listening(l, &l->order);
	stop_listening(l, &l->aside);
	loop_soon(l->loop, &l->farewell);
}

/* --- what corosync tells ----------------------------------------------------------------- */

static struct corosync_link *link_of(cpg_handle_t handle)
{
	void *context = NULL;

	(void)cpg_context_get(handle, &context);
	return context;
}

static void on_message(cpg_handle_t handle, const struct cpg_name *name, uint32_t node,
		       uint32_t pid, void *bytes, size_t length)
{
	struct corosync_link *l = link_of(handle);

	(void)name;
	if (l && !l->is_gone)
		l->ops.received(l->owner, (struct cpg_process){ node, pid }, bytes, length);
}

static size_t copy(struct cpg_process *to, const struct cpg_address *from, size_t count)
{
	for (size_t i = 0; i < count && i < CPG_MAX_PROCESSES; i++)
		to[i] = (struct cpg_process){ from[i].nodeid, from[i].pid };
	return count < CPG_MAX_PROCESSES ? count : CPG_MAX_PROCESSES;
}

static void on_change(cpg_handle_t handle, const struct cpg_name *name,
		      const struct cpg_address *members, size_t member_count,
		      const struct cpg_address *left, size_t left_count,
		      const struct cpg_address *joined, size_t joined_count)
{
	struct corosync_link *l = link_of(handle);
	struct cpg_process now[CPG_MAX_PROCESSES], went[CPG_MAX_PROCESSES];
	struct cpg_change c = { .members = now, .left = went };

	(void)name;
	(void)joined;
	(void)joined_count;
	c.member_count = copy(now, members, member_count);
	c.left_count = copy(went, left, left_count);
	if (l && !l->is_gone)
		l->ops.changed(l->owner, &c);
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t count,
		    const uint32_t *members)
{
	struct corosync_link *l = link_of(handle);

	(void)count;
	(void)members;
	if (l && !l->is_gone && l->ops.ring)
		l->ops.ring(l->owner, ring.seq);
}

static void on_aside(cpg_handle_t handle, const struct cpg_name *name, uint32_t node,
		     uint32_t pid, void *bytes, size_t length)
{
	struct corosync_link *l = link_of(handle);

	(void)name;
	(void)pid;
	if (l && !l->is_gone && l->ops.aside)
		l->ops.aside(l->owner, node, bytes, length);
}

static void on_aside_change(cpg_handle_t handle, const struct cpg_name *name,
			    const struct cpg_address *members, size_t member_count,
			    const struct cpg_address *left, size_t left_count,
			    const struct cpg_address *joined, size_t joined_count)
{
	(void)handle;
	(void)name;
	(void)members;
	(void)member_count;
	(void)left;
	(void)left_count;
	(void)joined;
	(void)joined_count;
}

static void dispatch(void *owner, int fd, uint32_t events)
{
	struct group_link *g = owner;
	cs_error_t e = CS_OK;

	(void)fd;
	for (int i = 0; i < AT_ONCE && e == CS_OK && !g->link->is_gone; i++)
		e = cpg_dispatch(g->handle, CS_DISPATCH_ONE_NONBLOCKING);
	if ((e != CS_OK && e != CS_ERR_TRY_AGAIN) || events & (POLLHUP | POLLERR))
		is_gone(g->link);
}

/* --- in and out ---------------------------------------------------------------------------- */

static void name_group(struct cpg_name *to, const char *prefix, const char *cluster)
{
	int n = snprintf(to->value, sizeof(to->value), "%s%s", prefix, cluster);

	to->length = n < (int)sizeof(to->value) ? (uint32_t)n : sizeof(to->value);
}

static int open_group(struct group_link *g, cpg_deliver_fn_t message, cpg_confchg_fn_t change,
		      struct corosync_link *l, struct err *err)
{
	cpg_model_v1_data_t model = { .model = CPG_MODEL_V1, .cpg_deliver_fn = message,
				      .cpg_confchg_fn = change,
				      .cpg_totem_confchg_fn = g == &l->order ? on_ring : NULL,
				      .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF };
	cs_error_t e = cpg_model_initialize(&g->handle, CPG_MODEL_V1,
					    (cpg_model_data_t *)&model, l);

	if (e != CS_OK)
		return corosync_refusal((int)e, "the group of the daemons", err);
	g->is_open = true;
	g->link = l;
	e = cpg_fd_get(g->handle, &g->fd);
	if (e != CS_OK)
		return corosync_refusal((int)e, "the group of the daemons", err);
	if (loop_fd_add(l->loop, g->fd, POLLIN, dispatch, g, err) < 0)
		return err->code;
	g->is_watched = true;
	return 0;
}

static void rejoin_now(void *owner);

struct corosync_link *corosync_link_open(const char *cluster,
					 const struct corosync_link_ops *ops, void *owner,
					 struct loop *loop, struct err *err)
{
	struct corosync_link *l = calloc(1, sizeof(*l));
	unsigned int node = 0;
	int r;

	if (!l) {
		err_nomem(err, "the group of the daemons");
		return NULL;
	}
	l->ops = *ops;
	l->owner = owner;
	l->loop = loop;
	l->farewell = (struct loop_job){ .fn = say_farewell, .owner = l };
	l->rejoin = (struct loop_job){ .fn = rejoin_now, .owner = l };
	name_group(&l->order.name, "mdclusterd:", cluster);
	name_group(&l->aside.name, "mdclusterd-aside:", cluster);
	r = open_group(&l->order, on_message, on_change, l, err);
	if (r == 0)
		r = open_group(&l->aside, on_aside, on_aside_change, l, err);
	if (r == 0 && cpg_local_get(l->order.handle, &node) != CS_OK)
		r = err_set(err, -EIO, "corosync does not tell which node this is");
	if (r < 0) {
		corosync_link_close(l);
		return NULL;
	}
	l->self = (struct cpg_process){ node, (uint32_t)getpid() };
	return l;
}

static bool join(struct group_link *g)
{
	cs_error_t e;

	if (g->has_joined)
		return true;
	e = cpg_join(g->handle, &g->name);
	g->has_joined = e == CS_OK || e == CS_ERR_EXIST;
	if (e != CS_OK && e != CS_ERR_EXIST && e != CS_ERR_TRY_AGAIN && e != CS_ERR_BUSY)
		is_gone(g->link);
	return g->has_joined;
}

static void join_again(void *owner);

static void join_both(struct corosync_link *l)
{
	struct err err = ERR_INIT;

	if ((join(&l->aside) && join(&l->order)) || l->is_gone)
		return;
	l->join = loop_timer_start(l->loop, JOIN_AGAIN_MS, join_again, l, &err);
	if (!l->join)
		is_gone(l);
}

static void join_again(void *owner)
{
	struct corosync_link *l = owner;

	l->join = NULL;
	join_both(l);
}

void corosync_link_start(struct corosync_link *l)
{
	join_both(l);
}

static void close_group(struct corosync_link *l, struct group_link *g)
{
	stop_listening(l, g);
	if (g->is_open)
		(void)cpg_finalize(g->handle);
	g->is_open = g->has_joined = false;
}

/* Not from within the handle's own callbacks. */
static void rejoin_now(void *owner)
{
	struct corosync_link *l = owner;
	struct err err = ERR_INIT;

	if (l->is_gone)
		return;
	loop_timer_cancel(l->join);
	l->join = NULL;
	close_group(l, &l->order);
	if (open_group(&l->order, on_message, on_change, l, &err) < 0)
		is_gone(l);
	else
		join_both(l);
}

void corosync_link_rejoin(struct corosync_link *l)
{
	loop_soon(l->loop, &l->rejoin);
}

void corosync_link_close(struct corosync_link *l)
{
	if (!l)
		return;
	loop_timer_cancel(l->join);
	loop_soon_cancel(&l->farewell);
	loop_soon_cancel(&l->rejoin);
	close_group(l, &l->order);
	close_group(l, &l->aside);
	free(l);
}

bool corosync_link_is_pending(const struct corosync_link *l)
{
	struct pollfd p = { .fd = l->order.fd, .events = POLLIN };

	return l->order.is_watched && poll(&p, 1, 0) > 0;
}

struct cpg_process corosync_link_self(const struct corosync_link *l)
{
	return l->self;
}

static int send_to(struct group_link *g, const void *bytes, size_t length)
{
	struct iovec part = { (void *)(uintptr_t)bytes, length };
	cs_error_t e;

	if (g->link->is_gone)
		return -EAGAIN; /* gone() is on its way, and says all there is to say */
	if (!g->has_joined)
		return -EAGAIN;
	e = cpg_mcast_joined(g->handle, CPG_TYPE_AGREED, &part, 1);
	if (e == CS_OK)
		return 0;
	if (e != CS_ERR_TRY_AGAIN)
		is_gone(g->link);
	return -EAGAIN;
}

int corosync_link_send(struct corosync_link *l, const uint8_t *bytes, size_t length)
{
	return send_to(&l->order, bytes, length);
}

int corosync_link_send_aside(struct corosync_link *l, const void *bytes, size_t length)
{
	return send_to(&l->aside, bytes, length);
}

/* --- aside, by itself -------------------------------------------------------------------- */

struct voice {
	const void *bytes;
	size_t length;
	uint32_t node, pid;
	bool is_in, is_heard;
	int others; /* processes on other nodes; of one daemon each */
};

static void voice_message(cpg_handle_t handle, const struct cpg_name *name, uint32_t node,
			  uint32_t pid, void *bytes, size_t length)
{
	void *context = NULL;
	struct voice *v;

	(void)name;
	(void)cpg_context_get(handle, &context);
	v = context;
	if (v && node == v->node && pid == v->pid && length == v->length &&
	    memcmp(bytes, v->bytes, length) == 0)
		v->is_heard = true;
}

static void voice_change(cpg_handle_t handle, const struct cpg_name *name,
			 const struct cpg_address *members, size_t member_count,
			 const struct cpg_address *left, size_t left_count,
			 const struct cpg_address *joined, size_t joined_count)
{
	void *context = NULL;
	struct voice *v;

	(void)name;
	(void)left;
	(void)left_count;
	(void)joined;
	(void)joined_count;
	(void)cpg_context_get(handle, &context);
	v = context;
	if (!v)
		return;
	v->others = 0;
	for (size_t i = 0; i < member_count; i++) {
		v->others += members[i].nodeid != v->node;
		if (members[i].nodeid == v->node && members[i].pid == v->pid)
			v->is_in = true;
	}
}

static uint64_t ms_until(uint64_t until)
{
	uint64_t now = clock_boot_ns();

	return until > now ? (until - now) / NS_PER_MS : 0;
}

/* Dispatches until it has come about, or time is over. */
static cs_error_t wait_for(cpg_handle_t handle, int fd, const bool *what, uint64_t until)
{
	cs_error_t e = CS_OK;

	while (!*what && ms_until(until) > 0 && (e == CS_OK || e == CS_ERR_TRY_AGAIN)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		(void)poll(&p, 1, (int)ms_until(until));
		e = cpg_dispatch(handle, CS_DISPATCH_ALL);
	}
	if (*what)
		return CS_OK;
	return e == CS_OK ? CS_ERR_TIMEOUT : e;
}

static cs_error_t join_and_say(cpg_handle_t handle, const struct cpg_name *name,
			       struct voice *v, uint64_t until)
{
	struct iovec part = { (void *)(uintptr_t)v->bytes, v->length };
	cs_error_t e;
	int fd;

	e = cpg_local_get(handle, &v->node);
	if (e == CS_OK)
		e = cpg_fd_get(handle, &fd);
	if (e != CS_OK)
		return e;
	while ((e = cpg_join(handle, name)) == CS_ERR_TRY_AGAIN && ms_until(until) > 0)
		(void)poll(NULL, 0, 10);
	if (e == CS_OK)
		e = wait_for(handle, fd, &v->is_in, until);
	if (e != CS_OK)
		return e;
	while ((e = cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1)) == CS_ERR_TRY_AGAIN &&
	       ms_until(until) > 0)
		(void)poll(NULL, 0, 10);
	return e == CS_OK ? wait_for(handle, fd, &v->is_heard, until) : e;
}

int corosync_say_aside(const char *cluster, const void *bytes, size_t length,
		       uint32_t limit_ms, struct err *err)
{
	cpg_model_v1_data_t model = { .model = CPG_MODEL_V1, .cpg_deliver_fn = voice_message,
				      .cpg_confchg_fn = voice_change };
	struct voice v = { .bytes = bytes, .length = length, .pid = (uint32_t)getpid() };
	uint64_t until = clock_boot_ns() + limit_ms * NS_PER_MS;
	struct cpg_name name;
	cpg_handle_t handle;
	cs_error_t e;

	name_group(&name, "mdclusterd-aside:", cluster);
	e = cpg_model_initialize(&handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, &v);
	if (e != CS_OK)
		return corosync_refusal((int)e, "an obituary", err);
	e = join_and_say(handle, &name, &v, until);
	(void)cpg_finalize(handle);
	return e == CS_OK ? v.others : corosync_refusal((int)e, "an obituary", err);
}
