/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * P1: how members agree on a configuration.
 *
 * A view is the processes in the group less those that are left out. Whether one is left out
 * is decided in the order: an evict counts for all who have its sender in what they have
 * installed; others cannot know whether the sender had been left out itself. They learn it
 * from hellos. No two contradict: who reads of its own end says no hello any more, and of two
 * that leave each other out one reads of its own end first.
 *
 * A ready names all hellos by their rounds. Its sender has had them all, its own latest among
 * them: so nobody is brought into a configuration by what it said before it knew of a change.
 */
#include "totem/cpg_private.h"

#include <inttypes.h>

#include "base/arith.h"
#include "base/fnv.h"

static uint64_t add_u64(uint64_t hash, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8) {
		const uint8_t byte = (uint8_t)v;

		hash = fnv_add(hash, &byte, 1);
	}
	return hash;
}

static uint64_t add_process(uint64_t hash, struct cpg_process p)
{
	return add_u64(hash, (uint64_t)p.node << 32 | p.pid);
}

static uint64_t view_of(const struct cpg_order *o)
{
	uint64_t hash = FNV_START;

	for (int i = 0; i < o->peer_count; i++)
		if (!o->peers[i].is_excluded)
			hash = add_process(hash, o->peers[i].who);
	return hash;
}

/* All that are in our view see what we see. */
static bool hellos_agree(const struct cpg_order *o)
{
	uint64_t view = view_of(o);
	int last = TOTEM_NO_INDEX;

	for (int i = 0; i < o->peer_count; i++) {
		const struct cpg_peer *p = &o->peers[i];

		if (p->is_excluded)
			continue;
		if (!p->has_hello || p->hello.view != view || p->index == last)
			return false;
		last = p->index; /* two of one node: one of them goes first */
	}
	return true;
}

static uint64_t next_seq(const struct cpg_order *o)
{
	uint64_t seq = 0;

	for (int i = 0; i < o->peer_count; i++)
		if (!o->peers[i].is_excluded)
			seq = max_u64(seq, o->peers[i].hello.high_seq);
	return seq + 1;
}

static uint64_t promise_of(const struct cpg_order *o)
{
	uint64_t hash = FNV_START;

	for (int i = 0; i < o->peer_count; i++) {
		const struct cpg_peer *p = &o->peers[i];

		if (p->is_excluded)
			continue;
		hash = add_u64(add_process(hash, p->who), p->hello.round);
		hash = add_u64(hash, p->hello.incarnation);
	}
	return hash ? hash : 1;
}

/* E5: as ring_save_seq(). */
static bool may_use(struct cpg_order *o, uint64_t seq)
{
	bool may = seq < o->saved_seq + RING_SEQ_STRIDE;

	if (seq <= o->saved_seq + RING_SEQ_STRIDE / 2)
		return may;
	if (o->saving_seq < seq || o->now - o->saving_since >= o->config.silence_ns) {
		o->saving_seq = max_u64(o->saving_seq, seq);
		o->saving_since = o->now;
		o->ops.save_seq(o->owner, o->saving_seq);
	}
	return may;
}

uint64_t cpg_form_promise(struct cpg_order *o)
{
	const struct cpg_peer *self = cpg_peer_find(o, o->config.self);

	if (o->state != CPG_ORDER_FORMING || !hellos_agree(o) || o->wants_hello ||
	    self->hello.round != o->round || !may_use(o, next_seq(o)))
		return 0;
	return promise_of(o);
}

bool cpg_form_owes(struct cpg_order *o, const struct cpg_peer *p)
{
	if (!p->has_hello || p->hello.view != view_of(o))
		return true;
	return hellos_agree(o) && p->promise != promise_of(o);
}

void cpg_form_begin(struct cpg_order *o)
{
	for (int i = 0; i < o->peer_count; i++) {
		struct cpg_peer *p = &o->peers[i];

		p->has_hello = p->is_late = false;
		p->promise = p->owes_since = 0;
	}
	if (o->state == CPG_ORDER_INSTALLED)
		cpg_order_trace(o, "n%" PRIu32 ".%" PRIu64 " ends", o->current.rep,
				o->current.seq);
	o->state = CPG_ORDER_FORMING;
	o->forming_since = o->now;
	o->promised = 0;
	o->wants_hello = true;
	o->wants_again = o->wants_done = false;
}

void cpg_form_fill_hello(struct cpg_order *o, struct cpg_hello *h)
{
	*h = (struct cpg_hello){
		.incarnation = o->config.incarnation,
		.round = o->round + 1,
		.high_seq = o->high_seq,
		.view = view_of(o),
		.installed = o->current,
	};
	/* an outcast has nobody left out: it is */
	for (int i = 0; i < o->peer_count && !o->is_outcast; i++)
		if (o->peers[i].is_excluded)
			h->excluded[h->excluded_count++] = o->peers[i].who;
}

/* --- installing ----------------------------------------------------------------------- */

static bool all_are_ready(const struct cpg_order *o, uint64_t promise)
{
	for (int i = 0; i < o->peer_count; i++)
		if (!o->peers[i].is_excluded && o->peers[i].promise != promise)
			return false;
	return true;
}

/* Whose order was ours from what is installed to here. */
static bool comes_along(const struct cpg_order *o, const struct cpg_peer *p)
{
	return !p->is_excluded && p->is_companion && o->has_installed &&
	       ring_id_equal(p->hello.installed, o->current);
}

static struct node_set end_current(struct cpg_order *o)
{
	struct node_set trans = { { 0 } };
	struct node_set left;

	for (int i = 0; i < o->peer_count; i++)
		if (comes_along(o, &o->peers[i]))
			set_add(&trans, o->peers[i].index);
	if (!o->has_installed)
		return trans;
	left = set_minus(o->members, trans);
	o->ops.configured(o->owner, &(struct ring_configuration){
		.is_transitional = true, .ring = o->current,
		.members = trans, .left = left });
	if (!set_is_empty(left))
		o->ops.torn(o->owner);
	cpg_hold_give_rest(o);
	return trans;
}

/* Nothing of ours is under way in a configuration in which nothing was said. */
static void come_back(struct cpg_order *o)
{
	o->state = CPG_ORDER_JOINING;
	o->peer_count = 0;
	o->ops.rejoin(o->owner);
}

static void install(struct cpg_order *o)
{
	struct node_set trans = end_current(o), before = o->members;
	struct node_set members = { { 0 } };
	uint32_t rep = 0;

	cpg_hold_drop(o);
	o->high_seq = max_u64(o->high_seq, next_seq(o));
	for (int i = o->peer_count - 1; i >= 0; i--) {
		struct cpg_peer *p = &o->peers[i];

		p->is_companion = !p->is_excluded;
		p->acked = p->owes_since = 0;
		p->is_done = p->is_late = false;
		if (p->is_excluded)
			continue;
		set_add(&members, p->index);
		o->incarnations[p->index] = p->hello.incarnation;
		rep = p->who.node; /* the lowest is the last here */
	}
	o->current = (struct ring_id){ rep, next_seq(o) };
	o->members = members;
	o->state = CPG_ORDER_INSTALLED;
	o->is_unplugged = false;
	o->wants_hello = o->wants_done = o->has_ack_out = false;
	o->received = o->acked = o->sure_at = 0;
	o->next_beat = o->now; /* the lease waits for one */
	o->stats.installed++;
	cpg_order_trace(o, "installed n%" PRIu32 ".%" PRIu64 " of %d", rep, o->current.seq,
			set_count(members));
	o->ops.configured(o->owner, &(struct ring_configuration){
		.ring = o->current, .members = members,
		.joined = set_minus(members, trans),
		.left = o->has_installed ? set_minus(before, trans) : (struct node_set){ { 0 } } });
	o->has_installed = true;
	if (o->is_outcast)
		come_back(o);
}

void cpg_form_look(struct cpg_order *o)
{
	if (o->state != CPG_ORDER_FORMING || o->is_broken || !hellos_agree(o))
		return;
	if (all_are_ready(o, promise_of(o)))
		install(o);
}

/* --- what others say ------------------------------------------------------------------ */

static bool leaves_out(const struct cpg_hello *h, struct cpg_process who)
{
	for (int i = 0; i < h->excluded_count; i++)
		if (cpg_process_equal(h->excluded[i], who))
			return true;
	return false;
}

static void exclude(struct cpg_order *o, struct cpg_peer *p)
{
	cpg_order_trace(o, "n%" PRIu32 "/%" PRIu32 " is left out", p->who.node, p->who.pid);
	p->is_excluded = true;
	p->is_companion = p->is_to_go = false;
	o->stats.evicted++;
}

void cpg_form_be_outcast(struct cpg_order *o)
{
	if (o->is_outcast)
		return;
	cpg_order_trace(o, "the others have left us out");
	o->stats.outcast++;
	o->is_outcast = true;
	for (int i = 0; i < o->peer_count; i++) {
		struct cpg_peer *p = &o->peers[i];

		p->is_excluded = !cpg_is_self(o, p->who);
		p->is_companion = p->is_companion && !p->is_excluded;
		p->is_to_go = false;
	}
	cpg_form_begin(o);
}

/* Who was not there when it was decided. */
static void learn_who_is_out(struct cpg_order *o, const struct cpg_peer *from)
{
	const struct cpg_hello h = from->hello;

	for (int i = 0; i < o->peer_count; i++) {
		struct cpg_peer *p = &o->peers[i];

		if (p->is_excluded || p->is_companion || !leaves_out(&h, p->who))
			continue;
		exclude(o, p);
		o->wants_hello = true;
	}
}

/* A later start of this very node is in the group: the earlier one goes. */
static bool is_replaced_by(const struct cpg_order *o, const struct cpg_peer *p)
{
	if (p->index != o->self || cpg_is_self(o, p->who))
		return false;
	if (p->hello.incarnation != o->config.incarnation)
		return p->hello.incarnation > o->config.incarnation;
	return p->who.pid > o->config.self.pid;
}

void cpg_form_hello(struct cpg_order *o, struct cpg_peer *from, const struct cpg_hello *h)
{
	if (o->state == CPG_ORDER_INSTALLED)
		cpg_form_begin(o);
	from->has_hello = true;
	from->hello = *h;
	o->high_seq = max_u64(o->high_seq, h->high_seq);
	if (is_replaced_by(o, from))
		cpg_order_break(o, "is replaced by a later process of the same node");
	else if (leaves_out(h, o->config.self))
		cpg_form_be_outcast(o);
	else
		learn_who_is_out(o, from);
}

void cpg_form_evict(struct cpg_order *o, struct cpg_peer *from, struct cpg_process target)
{
	struct cpg_peer *p = cpg_peer_find(o, target);

	if (!p || p->is_excluded)
		return;
	if (cpg_is_self(o, target)) {
		cpg_form_be_outcast(o);
		return;
	}
	if (from->is_companion || cpg_is_self(o, from->who)) {
		o->ops.evicted(o->owner, p->index, "answer");
		exclude(o, p);
		cpg_form_begin(o);
	}
}
