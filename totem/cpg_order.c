/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events, life, looking, and P4; the promises are in cpg_order.h. */
#include "totem/cpg_order.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "totem/cpg_private.h"

enum {
	DEFAULT_PAYLOAD = 32 << 10,
	DEFAULT_WINDOW = 256 << 10,
	DEFAULT_BEAT_MS = 250,
	DEFAULT_SILENCE_MS = 4000,
};

void cpg_order_trace(struct cpg_order *o, const char *format, ...)
{
	char line[128];
	va_list ap;

	if (!o->ops.trace)
		return;
	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	o->ops.trace(o->owner, line);
}

void cpg_order_break(struct cpg_order *o, const char *why)
{
	if (o->is_broken)
		return;
	o->is_broken = true;
	cpg_order_trace(o, "broken: it %s", why);
	o->ops.broken(o->owner, why);
}

static void enter(struct cpg_order *o, uint64_t now)
{
	o->now = now;
	o->depth++;
}

static bool is_over(const struct cpg_order *o)
{
	return o->is_broken || o->state == CPG_ORDER_LEFT;
}

/* What an event changed is looked at once, at its end. */
static void leave_event(struct cpg_order *o)
{
	if (o->depth == 1 && !is_over(o)) {
		cpg_form_look(o);
		cpg_hold_give(o);
		if (!is_over(o))
			cpg_send(o);
	}
	o->depth--;
}

/* --- who is in the group -------------------------------------------------------------- */

static int compare(struct cpg_process a, struct cpg_process b)
{
	if (a.node != b.node)
		return a.node < b.node ? -1 : 1;
	return a.pid < b.pid ? -1 : a.pid > b.pid;
}

struct cpg_peer *cpg_peer_find(struct cpg_order *o, struct cpg_process who)
{
	for (int i = 0; i < o->peer_count; i++)
		if (cpg_process_equal(o->peers[i].who, who))
			return &o->peers[i];
	return NULL;
}

/* Whether that matters to the view. */
static bool remove_peer(struct cpg_order *o, struct cpg_process who)
{
	struct cpg_peer *p = cpg_peer_find(o, who);
	bool was_seen;

	if (!p)
		return false;
	was_seen = !p->is_excluded;
	memmove(p, p + 1, (size_t)(o->peers + --o->peer_count - p) * sizeof(*p));
	return was_seen;
}

static bool add_peer(struct cpg_order *o, struct cpg_process who)
{
	int index = node_index(&o->config.nodes, who.node), at = 0;

	if (cpg_peer_find(o, who))
		return false;
	if (index == TOTEM_NO_INDEX || o->peer_count == CPG_MAX_PROCESSES) {
		o->stats.stranger++;
		return false;
	}
	while (at < o->peer_count && compare(o->peers[at].who, who) < 0)
		at++;
	memmove(o->peers + at + 1, o->peers + at,
		(size_t)(o->peer_count++ - at) * sizeof(*o->peers));
	/* who is back after it was left out is with itself alone, up to here */
	o->peers[at] = (struct cpg_peer){ .who = who, .index = index,
					  .is_excluded = o->is_outcast,
					  .is_companion = o->has_installed &&
							  cpg_is_self(o, who) };
	return true;
}

void cpg_order_changed(struct cpg_order *o, uint64_t now, const struct cpg_change *c)
{
	bool matters = false;

	if (is_over(o))
		return;
	enter(o, now);
	o->stats.changes++;
	if (o->state == CPG_ORDER_JOINING)
		o->is_outcast = false;
	for (size_t i = 0; i < c->left_count; i++)
		matters |= remove_peer(o, c->left[i]);
	for (size_t i = 0; i < c->member_count; i++)
		matters |= add_peer(o, c->members[i]);
	if (o->state != CPG_ORDER_JOINING && !cpg_peer_find(o, o->config.self))
		cpg_order_break(o, "is no longer in corosync's group");
	else if (matters && cpg_peer_find(o, o->config.self))
		cpg_form_begin(o);
	leave_event(o);
}

/* --- what they say --------------------------------------------------------------------- */

/* Of the configuration that is installed, or ends. */
static void take_of_current(struct cpg_order *o, struct cpg_peer *from,
			    const struct cpg_packet *p)
{
	bool is_in = o->state == CPG_ORDER_INSTALLED;

	if (p->kind == CPG_ACK) {
		o->stats.ack_rx++;
		if (cpg_is_self(o, from->who))
			o->has_ack_out = false;
		if (is_in)
			cpg_hold_ack(o, from, p->number);
	} else if (p->kind == CPG_AGAIN) {
		if (is_in)
			cpg_form_begin(o);
	} else {
		cpg_hold_add(o, from, p);
	}
}

static void set_unheard(struct cpg_order *o, bool is_unheard)
{
	if (o->is_unheard == is_unheard)
		return;
	o->is_unheard = is_unheard;
	if (o->ops.unheard)
		o->ops.unheard(o->owner, is_unheard);
}

static void hear_ourselves(struct cpg_order *o, uint64_t sent)
{
	o->echo_at = sent;
	o->unheard_beats = 0;
	set_unheard(o, false);
}

static void take(struct cpg_order *o, struct cpg_peer *from, const struct cpg_packet *p)
{
	if (p->kind == CPG_BEAT && cpg_is_self(o, from->who))
		hear_ourselves(o, p->number);
	if (p->kind == CPG_HELLO)
		cpg_form_hello(o, from, &p->hello);
	else if (p->kind == CPG_READY)
		from->promise = p->number;
	else if (p->kind == CPG_EVICT)
		cpg_form_evict(o, from, p->target);
	else if (from->is_companion && ring_id_equal(p->config, o->current))
		take_of_current(o, from, p);
	else
		o->stats.foreign++;
}

void cpg_order_received(struct cpg_order *o, uint64_t now, struct cpg_process who,
			const uint8_t *bytes, size_t length)
{
	struct cpg_peer *from = cpg_peer_find(o, who);
	struct cpg_packet p = { 0 };

	if (is_over(o))
		return;
	enter(o, now);
	if (!from)
		o->stats.stranger++;
	else if (from->is_excluded)
		o->stats.excluded_rx++;
	else if (cpg_wire_read(bytes, length, &p) < 0)
		o->stats.malformed++;
	else
		take(o, from, &p);
	leave_event(o);
}

/* --- P4 --------------------------------------------------------------------------------- */

static const char *owes(struct cpg_order *o, const struct cpg_peer *p)
{
	if (p->is_excluded || cpg_is_self(o, p->who))
		return NULL;
	if (o->state == CPG_ORDER_INSTALLED)
		return p->acked < o->received ? "acknowledgement" : NULL;
	return cpg_form_owes(o, p) ? "greeting" : NULL;
}

/* It was silent while we were not: a message of ours came back meanwhile. */
static bool is_silent(const struct cpg_order *o, const struct cpg_peer *p, uint64_t limit)
{
	return o->now - p->owes_since >= limit && o->echo_at > p->owes_since + limit / 2;
}

static void judge(struct cpg_order *o, struct cpg_peer *p)
{
	const char *what = owes(o, p);

	if (!what) {
		p->owes_since = 0;
		p->is_late = false;
	} else if (p->owes_since == 0) {
		p->owes_since = o->now;
	} else if (is_silent(o, p, o->config.silence_ns)) {
		cpg_order_trace(o, "n%" PRIu32 " owes its %s", p->who.node, what);
		p->is_to_go = true;
		p->owes_since = o->now; /* again, should this one not come through */
	} else if (!p->is_late && is_silent(o, p, o->config.silence_ns / 2)) {
		p->is_late = true;
		o->ops.late(o->owner, p->index, what);
	}
}

/* P5. Beats are counted, not time: if we stand still that is one. */
static void listen_for_ourselves(struct cpg_order *o)
{
	if (o->now < o->listen_at)
		return;
	o->listen_at = o->now + o->config.beat_ns;
	if (o->unheard_beats++ * o->config.beat_ns >= o->config.silence_ns)
		set_unheard(o, true);
}

void cpg_order_advance(struct cpg_order *o, uint64_t now)
{
	if (is_over(o) || o->state == CPG_ORDER_JOINING)
		return;
	enter(o, now);
	listen_for_ourselves(o);
	for (int i = 0; i < o->peer_count; i++)
		judge(o, &o->peers[i]);
	if (o->state == CPG_ORDER_FORMING && now - o->hello_at >= o->config.silence_ns / 2)
		o->wants_hello = true; /* whoever missed what the last one was about */
	leave_event(o);
}

void cpg_order_evict(struct cpg_order *o, uint64_t now, uint32_t node)
{
	enter(o, now);
	for (int i = 0; i < o->peer_count; i++) {
		struct cpg_peer *p = &o->peers[i];

		if (p->who.node == node && !p->is_excluded && !cpg_is_self(o, p->who))
			p->is_to_go = true;
	}
	leave_event(o);
}

/* --- other events ------------------------------------------------------------------------ */

void cpg_order_wake(struct cpg_order *o, uint64_t now)
{
	enter(o, now);
	leave_event(o);
}

void cpg_order_synchronised(struct cpg_order *o, uint64_t now)
{
	enter(o, now);
	o->wants_done = o->state == CPG_ORDER_INSTALLED && !o->is_unplugged;
	leave_event(o);
}

void cpg_order_again(struct cpg_order *o, uint64_t now)
{
	enter(o, now);
	o->wants_again = o->state == CPG_ORDER_INSTALLED;
	leave_event(o);
}

void cpg_order_seq_saved(struct cpg_order *o, uint64_t now, uint64_t seq)
{
	enter(o, now);
	o->saved_seq = max_u64(o->saved_seq, seq);
	leave_event(o);
}

void cpg_order_leave(struct cpg_order *o)
{
	o->state = CPG_ORDER_LEFT;
}

/* --- life ---------------------------------------------------------------------------------- */

static void set_defaults(struct cpg_order_config *c)
{
	if (c->payload_bytes == 0)
		c->payload_bytes = DEFAULT_PAYLOAD;
	if (c->window_bytes == 0)
		c->window_bytes = DEFAULT_WINDOW;
	if (c->beat_ns == 0)
		c->beat_ns = DEFAULT_BEAT_MS * NS_PER_MS;
	if (c->silence_ns == 0)
		c->silence_ns = DEFAULT_SILENCE_MS * NS_PER_MS;
}

struct cpg_order *cpg_order_new(const struct cpg_order_config *config,
				const struct cpg_order_ops *ops, void *owner,
				struct err *err)
{
	int self = node_index(&config->nodes, config->self.node);
	struct cpg_order *o;

	if (self == TOTEM_NO_INDEX) {
		err_set(err, -EINVAL, "node %" PRIu32 " is not among the configured nodes",
			config->self.node);
		return NULL;
	}
	o = calloc(1, sizeof(*o));
	if (o) {
		o->config = *config;
		set_defaults(&o->config);
		o->packet = malloc(CPG_DATA_HEAD_BYTES + o->config.payload_bytes);
	}
	if (!o || !o->packet) {
		cpg_order_free(o);
		err_nomem(err, "the order of corosync");
		return NULL;
	}
	o->ops = *ops;
	o->owner = owner;
	o->self = self;
	o->last = &o->first;
	o->retry_at = UINT64_MAX;
	o->high_seq = o->saved_seq = config->first_ring_seq;
	return o;
}

void cpg_order_free(struct cpg_order *o)
{
	if (!o)
		return;
	if (o->last)
		cpg_hold_drop(o);
	free(o->packet);
	free(o);
}

uint64_t cpg_order_deadline(const struct cpg_order *o)
{
	if (is_over(o) || o->state == CPG_ORDER_JOINING)
		return UINT64_MAX;
	return min_u64(o->retry_at, o->retry_at == UINT64_MAX ? o->next_beat : UINT64_MAX);
}

/* --- looking -------------------------------------------------------------------------------- */

enum cpg_order_state cpg_order_state(const struct cpg_order *o)
{
	return o->state;
}

const char *cpg_order_state_name(enum cpg_order_state state)
{
	static const char *const names[] = { "joining", "forming", "installed", "left" };

	return names[state];
}

bool cpg_order_is_installed(const struct cpg_order *o)
{
	return o->state == CPG_ORDER_INSTALLED && !o->is_broken;
}

struct ring_id cpg_order_current(const struct cpg_order *o)
{
	return o->current;
}

struct node_set cpg_order_members(const struct cpg_order *o)
{
	return o->members;
}

uint64_t cpg_order_sure_at(const struct cpg_order *o)
{
	return o->sure_at;
}

bool cpg_order_is_unheard(const struct cpg_order *o)
{
	return o->is_unheard;
}

uint64_t cpg_order_incarnation_of(const struct cpg_order *o, int node)
{
	return o->incarnations[node];
}

const struct cpg_order_stats *cpg_order_stats(const struct cpg_order *o)
{
	return &o->stats;
}
