/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/totem.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/err.h"
#include "totem/cpg_order.h"

struct totem {
	struct totem_ops ops;
	void *owner;
	struct node_table nodes;
	struct order order;
	struct sync *sync;
	struct group_ring *groups;
	struct checkpoint_store *checkpoints;

	uint64_t now;    /* of the event that is under way */
	unsigned depth;  /* events under way: a wake inside of one needs no other */
	const char *why_broken; /* leave when the event is over; NULL: go on */
	bool has_left;
	struct node_set to_evict; /* when the event is over; then: */
	bool wants_again;
};

static void enter(struct totem *t, uint64_t now)
{
	t->now = now;
	t->depth++;
}

static void evict(struct totem *t)
{
	struct node_set evicted = t->to_evict;

	t->to_evict = (struct node_set){ { 0 } };
	for (int i = set_next(evicted, 0); i != TOTEM_NO_INDEX;
	     i = set_next(evicted, i + 1))
		order_evict(&t->order, t->now, t->nodes.ids[i]);
}

/* What the ring must not be told in the middle of its own event. */
static void leave_event(struct totem *t)
{
	if (t->depth == 1 && !set_is_empty(t->to_evict))
		evict(t);
	if (t->depth == 1 && t->wants_again) {
		t->wants_again = false;
		order_again(&t->order, t->now);
	}
	if (t->depth == 1 && t->why_broken && !t->has_left) {
		t->has_left = true;
		order_leave(&t->order, t->now);
		t->ops.broken(t->owner, t->why_broken);
	}
	t->depth--;
}

/* --- from the ring, upwards ---------------------------------------------------------- */

static void ring_send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	struct totem *t = owner;

	t->ops.send_one(t->owner, to, bytes, length);
}

static void ring_send_all(void *owner, struct node_set to, const uint8_t *bytes,
			  size_t length)
{
	struct totem *t = owner;

	t->ops.send_all(t->owner, to, bytes, length);
}

static size_t ring_fill(void *owner, uint8_t *payload, size_t room, bool is_sync,
			bool *is_safe)
{
	struct totem *t = owner;

	return is_sync ? sync_fill(t->sync, payload, room, is_safe) :
			 group_ring_fill(t->groups, payload, room, is_safe);
}

static size_t ring_backlog(void *owner, bool is_sync)
{
	struct totem *t = owner;

	return is_sync ? sync_backlog(t->sync) : group_ring_backlog(t->groups);
}

static void ring_deliver(void *owner, const struct ring_message *m)
{
	struct totem *t = owner;
	int from = node_index(&t->nodes, m->origin);

	if (m->is_sync)
		sync_deliver(t->sync, m->ring, from, m->payload, m->length);
	else
		group_ring_deliver(t->groups, m->ring, from, m->payload, m->length);
}

static void ring_configured(void *owner, const struct ring_configuration *c)
{
	struct totem *t = owner;

	t->ops.configured(t->owner, c);
	if (c->is_transitional) {
		checkpoint_transitional(t->checkpoints);
		sync_ending(t->sync);
		return;
	}
	sync_configured(t->sync, t->now, &(struct sync_configuration){
		.id = c->ring, .members = c->members,
		.joined = c->joined, .left = c->left });
}

static void ring_torn(void *owner)
{
	struct totem *t = owner;

	sync_torn(t->sync);
}

static void ring_unplugged(void *owner)
{
	struct totem *t = owner;

	sync_unplugged(t->sync);
	if (!t->why_broken)
		t->ops.synchronised(t->owner);
}

static void ring_save_seq(void *owner, uint64_t seq)
{
	struct totem *t = owner;

	t->ops.save_seq(t->owner, seq);
}

static void ring_trace(void *owner, const char *line)
{
	struct totem *t = owner;

	t->ops.trace(t->owner, line);
}

static void ring_refused(void *owner, uint32_t node, const char *why)
{
	struct totem *t = owner;

	t->ops.refused(t->owner, node, why);
}

/* --- from above, downwards ------------------------------------------------------------ */

static void upper_wake(void *owner)
{
	struct totem *t = owner;

	if (t->depth > 0)
		order_wake(&t->order, t->now);
	else
		t->ops.wake(t->owner);
}

static void sync_is_done(void *owner)
{
	struct totem *t = owner;

	order_synchronised(&t->order, t->now);
}

static void sync_is_broken_by(void *owner, const char *why)
{
	struct totem *t = owner;

	t->why_broken = why;
	if (t->depth == 0) /* the owner's next event leaves */
		t->ops.wake(t->owner);
}

static void sync_is_late(void *owner, int node, const char *service)
{
	struct totem *t = owner;

	t->ops.late(t->owner, node, service);
}

static void sync_evicts(void *owner, int node, const char *service)
{
	struct totem *t = owner;

	set_add(&t->to_evict, node);
	t->ops.evicted(t->owner, node, service);
}

static int cpg_multicast(void *owner, const uint8_t *bytes, size_t length)
{
	struct totem *t = owner;

	return t->ops.multicast(t->owner, bytes, length);
}

static void cpg_rejoin(void *owner)
{
	struct totem *t = owner;

	t->ops.rejoin(t->owner);
}

static void cpg_evicted(void *owner, int node, const char *what)
{
	struct totem *t = owner;

	t->ops.evicted(t->owner, node, what);
}

static void cpg_unheard(void *owner, bool is_unheard)
{
	struct totem *t = owner;

	if (t->ops.unheard)
		t->ops.unheard(t->owner, is_unheard);
}

static bool sync_asks_for_quorum(void *owner, struct node_set members)
{
	struct totem *t = owner;

	if (t->ops.is_quorate)
		return t->ops.is_quorate(t->owner, members);
	return 2 * set_count(members) > t->nodes.count;
}

/* --- life ------------------------------------------------------------------------------ */

static int make_ring(struct totem *t, const struct ring_config *config, struct err *err)
{
	static const struct ring_ops ops = {
		.send_one = ring_send_one,
		.send_all = ring_send_all,
		.fill = ring_fill,
		.backlog = ring_backlog,
		.deliver = ring_deliver,
		.configured = ring_configured,
		.torn = ring_torn,
		.unplugged = ring_unplugged,
		.save_seq = ring_save_seq,
		.trace = ring_trace,
		.refused = ring_refused,
	};
	struct ring_ops with = ops;

	if (!t->ops.trace)
		with.trace = NULL;
	if (!t->ops.refused)
		with.refused = NULL;
	t->order.ring = ring_new(config, &with, t);
	return t->order.ring ? 0 : err_nomem(err, "the ring");
}

static int make_cpg(struct totem *t, const struct totem_config *config, struct err *err)
{
	static const struct cpg_order_ops ops = {
		.multicast = cpg_multicast,
		.rejoin = cpg_rejoin,
		.late = sync_is_late,
		.evicted = cpg_evicted,
		.unheard = cpg_unheard,
		.broken = sync_is_broken_by,
		.fill = ring_fill,
		.deliver = ring_deliver,
		.configured = ring_configured,
		.torn = ring_torn,
		.unplugged = ring_unplugged,
		.save_seq = ring_save_seq,
		.trace = ring_trace,
	};
	struct cpg_order_ops with = ops;
	const struct cpg_order_config c = {
		.nodes = config->ring.nodes,
		.self = { config->ring.self, config->cpg.pid },
		.incarnation = config->ring.incarnation,
		.first_ring_seq = config->ring.first_ring_seq,
		.beat_ns = config->cpg.beat_ns,
		.silence_ns = config->cpg.silence_ns,
	};

	if (!t->ops.trace)
		with.trace = NULL;
	t->order.cpg = cpg_order_new(&c, &with, t, err);
	return t->order.cpg ? 0 : err->code;
}

static int make_sync(struct totem *t, const struct totem_config *config, struct err *err)
{
	static const struct sync_ops ops = {
		.wake = upper_wake,
		.synchronised = sync_is_done,
		.broken = sync_is_broken_by,
		.late = sync_is_late,
		.evict = sync_evicts,
		.is_quorate = sync_asks_for_quorum,
	};
	const struct sync_config c = {
		.nodes = config->ring.nodes,
		.self = config->ring.self,
		.deadline_ns = config->sync_deadline_ns,
	};

	t->sync = sync_new(&c, &ops, t, err);
	return t->sync ? 0 : err->code;
}

static int make_groups(struct totem *t, const struct totem_config *config,
		       struct err *err)
{
	const struct group_ring_config c = {
		.nodes = config->ring.nodes,
		.self = config->ring.self,
		.queue_bytes = config->queue_bytes,
		.sync = t->sync,
		.wake = upper_wake,
		.owner = t,
	};

	t->groups = group_ring_new(&c, err);
	return t->groups ? 0 : err->code;
}

static int make_checkpoints(struct totem *t, const struct totem_config *config,
			    struct err *err)
{
	const struct checkpoint_store_config c = {
		.nodes = config->ring.nodes,
		.self = config->ring.self,
		.incarnation = config->ring.incarnation,
	};
	const struct checkpoint_store_ops ops = {
		.opened = t->ops.checkpoints_opened,
		.activated = t->ops.checkpoints_activated,
	};

	t->checkpoints = checkpoint_store_new(&c, t->sync, totem_groups(t), &ops,
					      t->owner, err);
	return t->checkpoints ? 0 : err->code;
}

struct totem *totem_new(const struct totem_config *config, const struct totem_ops *ops,
			void *owner, struct err *err)
{
	struct totem *t = calloc(1, sizeof(*t));
	int r;

	if (!t) {
		err_nomem(err, "the totem");
		return NULL;
	}
	t->ops = *ops;
	t->owner = owner;
	t->nodes = config->ring.nodes;
	r = config->cpg.is_used ? make_cpg(t, config, err) :
				  make_ring(t, &config->ring, err);
	if (r == 0)
		r = make_sync(t, config, err);
	if (r == 0)
		r = make_groups(t, config, err);
	if (r == 0)
		r = make_checkpoints(t, config, err);
	if (r < 0) {
		totem_free(t);
		return NULL;
	}
	return t;
}

void totem_free(struct totem *t)
{
	if (!t)
		return;
	sync_free(t->sync); /* calls nobody any more */
	checkpoint_store_free(t->checkpoints);
	group_ring_free(t->groups);
	order_free(&t->order);
	free(t);
}

/* --- events ---------------------------------------------------------------------------- */

void totem_start(struct totem *t, uint64_t now)
{
	enter(t, now);
	order_start(&t->order, now);
	leave_event(t);
}

void totem_receive(struct totem *t, uint64_t now, const uint8_t *bytes, size_t length)
{
	enter(t, now);
	ring_receive(t->order.ring, now, bytes, length);
	leave_event(t);
}

void totem_cpg_changed(struct totem *t, uint64_t now, const struct cpg_change *change)
{
	enter(t, now);
	cpg_order_changed(t->order.cpg, now, change);
	leave_event(t);
}

void totem_cpg_received(struct totem *t, uint64_t now, struct cpg_process from,
			const uint8_t *bytes, size_t length)
{
	enter(t, now);
	cpg_order_received(t->order.cpg, now, from, bytes, length);
	leave_event(t);
}

/* Elsewhere nobody can speak, and nobody is late. */
static bool is_on_a_ring(const struct totem *t)
{
	return totem_order(t).is_installed;
}

void totem_advance(struct totem *t, uint64_t now)
{
	enter(t, now);
	order_advance(&t->order, now);
	if (is_on_a_ring(t))
		sync_advance(t->sync, now);
	leave_event(t);
}

void totem_evidence(struct totem *t, uint64_t now, uint32_t node)
{
	enter(t, now);
	order_evidence(&t->order, now, node);
	leave_event(t);
}

void totem_evict(struct totem *t, uint64_t now, uint32_t node)
{
	int index = node_index(&t->nodes, node);

	enter(t, now);
	if (index != TOTEM_NO_INDEX)
		set_add(&t->to_evict, index);
	leave_event(t);
}

void totem_again(struct totem *t, uint64_t now)
{
	enter(t, now);
	t->wants_again = true;
	leave_event(t);
}

void totem_wake(struct totem *t, uint64_t now)
{
	enter(t, now);
	order_wake(&t->order, now);
	leave_event(t);
}

void totem_seq_saved(struct totem *t, uint64_t now, uint64_t seq)
{
	enter(t, now);
	order_seq_saved(&t->order, now, seq);
	leave_event(t);
}

void totem_leave(struct totem *t, uint64_t now)
{
	if (t->has_left)
		return;
	t->has_left = true;
	order_leave(&t->order, now);
}

uint64_t totem_deadline(const struct totem *t)
{
	return is_on_a_ring(t) ?
		       min_u64(order_deadline(&t->order), sync_deadline(t->sync)) :
		       order_deadline(&t->order);
}

struct group_engine *totem_groups(struct totem *t)
{
	return group_ring_engine(t->groups);
}

struct checkpoint_store *totem_checkpoints(struct totem *t)
{
	return t->checkpoints;
}

struct sync *totem_sync(struct totem *t)
{
	return t->sync;
}

const struct sync *totem_sync_view(const struct totem *t)
{
	return t->sync;
}

struct order_look totem_order(const struct totem *t)
{
	return order_look(&t->order);
}

const struct ring *totem_ring(const struct totem *t)
{
	return t->order.ring;
}

const struct cpg_order *totem_cpg(const struct totem *t)
{
	return t->order.cpg;
}

const struct group_ring_stats *totem_group_stats(const struct totem *t)
{
	return group_ring_stats(t->groups);
}
