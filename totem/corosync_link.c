/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two groups of corosync's: the one whose members are ordered, and one for what is said
 * aside of it, by processes that are no members. One handle each.
 *
 *	K1  Whatever waits for corosync is a passage (corosync_private.h), and the loop goes on
 *	    meanwhile; but for corosync_link_open() and _close(), which wait some seconds at
 *	    most. While a handle is on its passage nothing is sent by it or taken from it.
 *	K2  Of what is sent so many packets are under way at most: a corosync that is stopped
 *	    takes some hundreds, and then libqb waits for it, spinning.
 */
#include "totem/corosync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "totem/corosync_private.h"

enum {
	AT_ONCE = 64,      /* of the group's events before others have their turn */
	UNDER_WAY = 64,    /* K2 */
	FAREWELL_MS = 500, /* the others see that it is gone anyhow */
};

struct group_link {
	struct corosync_link *link;
	struct corosync_seat seat;
	struct corosync_passage *passage; /* NULL: the seat is here */
	int fd;
	bool is_watched;
	unsigned int under_way; /* of ours, in the order's group */
};

struct corosync_link {
	struct corosync_link_ops ops;
	void *owner;
	struct loop *loop;
	struct group_link order, aside;
	struct cpg_process self;
	struct loop_job farewell, rejoin;
	const char *why; /* of the farewell */
	bool is_gone;
};

static void say_farewell(void *owner)
{
	struct corosync_link *l = owner;

	l->ops.gone(l->owner, l->why);
}

static void stop_listening(struct group_link *g)
{
	if (g->is_watched)
		loop_fd_remove(g->link->loop, g->fd);
	g->is_watched = false;
}

static void is_gone(struct corosync_link *l, const char *why)
{
	if (l->is_gone)
		return;
	l->is_gone = true;
	l->why = why;
	stop_listening(&l->order);
	stop_listening(&l->aside);
	loop_soon(l->loop, &l->farewell);
}

static void has_closed(struct corosync_link *l)
{
	is_gone(l, "corosync has ended, or has closed the connection");
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
	if (!l || l->is_gone)
		return;
	if (node == l->self.node && pid == l->self.pid && l->order.under_way > 0)
		l->order.under_way--;
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
		e = cpg_dispatch(g->seat.handle, CS_DISPATCH_ONE_NONBLOCKING);
	if ((e != CS_OK && e != CS_ERR_TRY_AGAIN) || events & (POLLHUP | POLLERR))
		has_closed(g->link);
}

/* --- passages (K1) -------------------------------------------------------------------------- */

static void listen_to(struct group_link *g)
{
	struct err err = ERR_INIT;

	if (cpg_fd_get(g->seat.handle, &g->fd) != CS_OK ||
	    loop_fd_add(g->link->loop, g->fd, POLLIN, dispatch, g, &err) < 0)
		has_closed(g->link);
	else
		g->is_watched = true;
}

static void join(struct group_link *g, bool anew);

static void has_passed(void *owner, struct errand *errand)
{
	struct corosync_passage *p = (struct corosync_passage *)errand;
	struct group_link *g = owner;
	cs_error_t e = p->error;

	g->passage = NULL;
	g->seat = p->seat;
	free(p);
	g->under_way = 0;
	if (g->link->is_gone)
		return;
	if (e == CS_OK)
		listen_to(g);
	else
		is_gone(g->link, "corosync does not let this process into its group");
	/* what is said aside is heard before anything is in the order */
	if (g == &g->link->aside && !g->link->is_gone)
		join(&g->link->order, false);
}

/* anew: by another handle. */
static void join(struct group_link *g, bool anew)
{
	struct corosync_passage *p = corosync_passage_new(&g->seat);
	struct err err = ERR_INIT;

	stop_listening(g);
	g->seat.is_open = g->seat.has_joined = false;
	if (p) {
		p->leaves = p->opens = anew;
		p->joins = true;
		g->passage = p;
	}
	if (!p || errand_start(&p->errand, g->link->loop, has_passed, g, &err) < 0) {
		g->passage = NULL;
		is_gone(g->link, "there is no thread, or no memory, to join corosync's group");
	}
}

void corosync_link_start(struct corosync_link *l)
{
	join(&l->aside, false);
}

/* Not from within the handle's own callbacks. */
static void rejoin_now(void *owner)
{
	struct corosync_link *l = owner;

	if (!l->is_gone && !l->order.passage)
		join(&l->order, true);
}

void corosync_link_rejoin(struct corosync_link *l)
{
	loop_soon(l->loop, &l->rejoin);
}

/* --- life ----------------------------------------------------------------------------------- */

static int connect_group(struct group_link *g, struct err *err)
{
	static const char what[] = "the group of the daemons";
	struct corosync_passage *p = corosync_passage_new(&g->seat);
	cs_error_t e;

	if (!p)
		return err_nomem(err, what);
	p->opens = true;
	if (corosync_wait(&p->errand, COROSYNC_ANSWER_MS, what, err) < 0)
		return err->code;
	g->seat = p->seat;
	e = p->error;
	free(p);
	return e == CS_OK ? 0 : corosync_refusal((int)e, what, err);
}

static void leave(struct group_link *g)
{
	struct corosync_passage *p;
	struct err ignored = ERR_INIT;

	stop_listening(g);
	if (g->passage) {
		atomic_store(&g->passage->is_abandoned, true);
		errand_abandon(&g->passage->errand);
		return;
	}
	p = g->seat.is_open ? corosync_passage_new(&g->seat) : NULL;
	if (!p)
		return; /* the process ends, and its connections with it */
	p->leaves = true;
	if (errand_wait(&p->errand, FAREWELL_MS, &ignored) == 0)
		free(p);
}

struct corosync_link *corosync_link_open(const char *cluster,
					 const struct corosync_link_ops *ops, void *owner,
					 struct loop *loop, struct err *err)
{
	struct corosync_link *l = calloc(1, sizeof(*l));

	if (!l) {
		err_nomem(err, "the group of the daemons");
		return NULL;
	}
	l->ops = *ops;
	l->owner = owner;
	l->loop = loop;
	l->order.link = l->aside.link = l;
	l->farewell = (struct loop_job){ .fn = say_farewell, .owner = l };
	l->rejoin = (struct loop_job){ .fn = rejoin_now, .owner = l };
	l->order.seat = (struct corosync_seat){
		.model = { .model = CPG_MODEL_V1, .cpg_deliver_fn = on_message,
			   .cpg_confchg_fn = on_change, .cpg_totem_confchg_fn = on_ring,
			   .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF },
		.context = l,
	};
	l->aside.seat = (struct corosync_seat){
		.model = { .model = CPG_MODEL_V1, .cpg_deliver_fn = on_aside,
			   .cpg_confchg_fn = on_aside_change },
		.context = l,
	};
	corosync_name_group(&l->order.seat.name, "mdclusterd:", cluster);
	corosync_name_group(&l->aside.seat.name, "mdclusterd-aside:", cluster);
	if (connect_group(&l->order, err) < 0 || connect_group(&l->aside, err) < 0) {
		corosync_link_close(l);
		return NULL;
	}
	l->self = (struct cpg_process){ l->order.seat.node, (uint32_t)getpid() };
	return l;
}

void corosync_link_close(struct corosync_link *l)
{
	if (!l)
		return;
	loop_soon_cancel(&l->farewell);
	loop_soon_cancel(&l->rejoin);
	leave(&l->order);
	leave(&l->aside);
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

/* --- out ------------------------------------------------------------------------------------ */

int corosync_link_send(struct corosync_link *l, const uint8_t *bytes, size_t length)
{
	struct iovec part = { (void *)(uintptr_t)bytes, length };
	struct group_link *g = &l->order;
	cs_error_t e;

	/* gone() is on its way, and says all there is to say */
	if (l->is_gone || !g->seat.has_joined || g->under_way == UNDER_WAY)
		return -EAGAIN;
	e = cpg_mcast_joined(g->seat.handle, CPG_TYPE_AGREED, &part, 1);
	if (e == CS_OK) {
		g->under_way++;
		return 0;
	}
	if (e != CS_ERR_TRY_AGAIN)
		has_closed(l);
	return -EAGAIN;
}
