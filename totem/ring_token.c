/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The token: one visit, in recovery and in operation. The order of the steps
 * matters (spec: Totem paper §4, accelerated ring):
 *
 *	T1  what two visits saw received by all is stable: release it
 *	T2  recovery: is the exchange over?
 *	T3  how much may be sent (flow control, in bytes)
 *	T4  send again what others ask for; ask for our own holes, but only those
 *	    that were surely sent: up to the token.seq of our last visit
 *	T5  number new messages; send the first part of them
 *	T6  tell flow, backlog, aru, plug; pass the token on
 *	T7  send the rest: the successor works already
 *	T8  deliver
 *
 * An idle token is parked at the representative, so that an idle cluster costs
 * next to nothing; whoever has something to send calls it back.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/arith.h"
#include "totem/ring_private.h"

enum {
	IDLE_VISITS = 2,       /* then the token is parked */
	STUCK_TOKENS = 4,      /* as long may our aru hold up the ring */
	MAX_VISIT_MESSAGES = 1024,
	MAX_ASK_SPAN = 15,     /* visits without asking, after asking in vain */
};

static struct ring_instance *current(struct ring *ring)
{
	return ring->state == RING_RECOVERY ? &ring->forming : &ring->installed;
}

static struct node_set others(const struct ring *ring, const struct ring_instance *i)
{
	return set_minus(i->members, set_of(ring->self));
}

/* T1 */
static void learn_stable(struct ring *ring, struct ring_instance *i,
			 const struct wire_token *t)
{
	uint64_t stable = min_u64(i->last_token_aru, t->aru);

	i->last_token_aru = t->aru;
	if (stable > i->stable)
		i->stable = stable;
	/* in recovery all is on its way when it is in its place on the old ring */
	queue_release(&i->queue, ring->state == RING_RECOVERY ?
					 i->stable :
					 min_u64(i->stable, i->delivered));
}

/* T3 */
static uint32_t allowance(const struct ring *ring, const struct ring_instance *i,
			  const struct wire_token *t, uint32_t backlog)
{
	const struct ring_config *c = &ring->config;
	uint64_t others = t->flow_bytes > ring->flow_mine ?
				  t->flow_bytes - ring->flow_mine :
				  0;
	uint64_t allowed = others < c->window_bytes ? c->window_bytes - others : 0;
	uint64_t all = (uint64_t)t->backlog_bytes + backlog;

	all = all > ring->backlog_mine ? all - ring->backlog_mine : backlog;
	/* a fair share when more waits than the window takes */
	if (all > c->window_bytes && backlog > 0)
		allowed = min_u64(allowed,
				  max_u64((uint64_t)c->window_bytes * backlog / all,
					  c->packet_bytes));
	/* in recovery one may hold all that the others lack, and all wait */
	if (ring->state != RING_RECOVERY)
		allowed = min_u64(allowed, c->visit_bytes);
	/* never further ahead of what is released than a queue holds */
	if (t->seq >= i->queue.released + QUEUE_SLOTS - MAX_VISIT_MESSAGES)
		allowed = 0;
	return (uint32_t)allowed;
}

/* Takes [first, first + n) out of the front of entry k; drops it when empty. */
static void trim_rtr(struct wire_token *t, int k, uint32_t n)
{
	int j;

	t->rtr[k].first += n;
	t->rtr[k].count -= n;
	if (t->rtr[k].count > 0)
		return;
	for (j = k + 1; j < t->rtr_count; j++)
		t->rtr[j - 1] = t->rtr[j];
	t->rtr_count--;
}

/*
 * Who asks may not hear us, of all: when we have answered and are asked again,
 * it is for the next one who has it.
 */
static bool is_our_turn(struct queued *m)
{
	m->is_answered = !m->is_answered;
	return m->is_answered;
}

/* T4, first half; returns the bytes that went out. */
static uint32_t answer(struct ring *ring, const struct ring_instance *i,
		       struct wire_token *t, uint32_t allowed)
{
	uint32_t sent = 0;
	int k = 0;

	while (k < t->rtr_count && sent < allowed) {
		struct queued *m = queue_get(&i->queue, t->rtr[k].first);

		if (!m || !is_our_turn(m)) {
			k++; /* somebody else has it */
			continue;
		}
		ring_data_send(ring, i, others(ring, i), m);
		ring->stats.mcast_retx++;
		sent += (uint32_t)m->length + WIRE_DATA_OVERHEAD;
		trim_rtr(t, k, 1);
	}
	return sent;
}

static bool is_asked(const struct wire_token *t, struct seq_range r)
{
	int k;

	for (k = 0; k < t->rtr_count; k++)
		if (r.first >= t->rtr[k].first &&
		    r.first - t->rtr[k].first < t->rtr[k].count)
			return true;
	return false;
}

/*
 * Who asks in vain asks less and less often: one node that cannot receive must
 * not have everybody send the same again on every visit (A.14, 10).
 */
static bool is_ask_due(struct ring *ring, uint64_t aru)
{
	if (aru != ring->asked_aru) {
		ring->asked_aru = aru;
		ring->ask_span = ring->ask_pause = 0;
	}
	if (ring->ask_pause > 0) {
		ring->ask_pause--;
		return false;
	}
	return true;
}

/* T4, second half */
static void ask(struct ring *ring, const struct ring_instance *i,
		struct wire_token *t)
{
	struct seq_range holes[WIRE_MAX_RTR];
	int n, k;

	if (i->queue.aru >= ring->ask_limit || !is_ask_due(ring, i->queue.aru))
		return;
	n = queue_holes(&i->queue, ring->ask_limit, holes, WIRE_MAX_RTR);
	ring->ask_pause = ring->ask_span;
	ring->ask_span = (uint32_t)min_u64(2 * ring->ask_span + 1, MAX_ASK_SPAN);
	for (k = 0; k < n && t->rtr_count < WIRE_MAX_RTR; k++)
		if (!is_asked(t, holes[k]))
			t->rtr[t->rtr_count++] = holes[k];
}

/* Numbers one message and keeps it; it is sent from the queue. */
static bool number(struct ring *ring, struct ring_instance *i,
		   struct wire_token *t, struct wire_data *d)
{
	d->ring = i->id;
	if (!queue_insert(&i->queue, t->seq + 1, d))
		return false;
	t->seq++;
	ring->stats.mcast_tx++;
	return true;
}

/* T5 in recovery: the next of the old messages that are ours to send. */
static uint32_t number_old(struct ring *ring, struct ring_instance *i,
			   struct wire_token *t, uint32_t allowed)
{
	uint32_t sent = 0;

	while (ring->resend_next < ring->resend_count && sent < allowed) {
		uint64_t seq = ring->resend[ring->resend_next];
		const struct queued *m = queue_get(&ring->installed.queue, seq);
		struct wire_data d;

		ring->resend_next++;
		if (!m)
			continue;
		d = (struct wire_data){
			.origin = m->origin,
			.flags = (uint8_t)(m->flags | WIRE_DATA_RECOVERED),
			.old_ring = ring->installed.id,
			.old_seq = seq,
			.payload = m->payload,
			.length = m->length,
		};
		if (!number(ring, i, t, &d)) {
			ring->resend_next--;
			break;
		}
		ring->stats.recovered_tx++;
		sent += (uint32_t)m->length + WIRE_DATA_OVERHEAD;
	}
	return sent;
}

/*
 * What fill() gave must find its place: there is one, and memory, before it is
 * asked. NULL: nothing to send now.
 */
static struct queued *next_message(struct ring *ring, bool is_sync)
{
	size_t room = ring_payload_room(ring);
	struct queued *m = queued_new(room), *fitting;
	bool is_safe = false;

	if (!m)
		return NULL;
	m->length = ring->ops.fill(ring->owner, m->payload, room, is_sync,
				   &is_safe);
	if (m->length == 0) {
		free(m);
		return NULL;
	}
	m->origin = ring->config.self;
	m->flags = (uint8_t)((is_safe ? WIRE_DATA_SAFE : 0) |
			     (is_sync ? WIRE_DATA_SYNC : 0));
	fitting = realloc(m, sizeof(*m) + m->length);
	return fitting ? fitting : m;
}

/* T5 in operation: what the owner has to send. */
static uint32_t number_new(struct ring *ring, struct ring_instance *i,
			   struct wire_token *t, uint32_t allowed)
{
	uint32_t sent = 0, messages = 0;
	bool is_sync = !ring->is_unplugged;

	while (sent < allowed && messages < MAX_VISIT_MESSAGES &&
	       queue_place_of(&i->queue, t->seq + 1) == QUEUE_FREE) {
		struct queued *m = next_message(ring, is_sync);

		if (!m)
			break;
		m->seq = ++t->seq;
		queue_put(&i->queue, m);
		ring->stats.mcast_tx++;
		sent += (uint32_t)m->length + WIRE_DATA_OVERHEAD;
		messages++;
	}
	return sent;
}

/* Sends [*from, last] until `bytes` are out; *from is where to go on. */
static void send_numbered(struct ring *ring, const struct ring_instance *i,
			  struct node_set to, uint64_t *from, uint64_t last, uint64_t bytes)
{
	uint64_t sent = 0;

	for (; *from <= last && sent < bytes; (*from)++) {
		const struct queued *m = queue_get(&i->queue, *from);

		if (!m)
			continue;
		ring_data_send(ring, i, to, m);
		sent += m->length + WIRE_DATA_OVERHEAD;
	}
}

/*
 * T5: the first part. To whom what is left goes when the token is out. Where all fits
 * a packet the successor has it before the token, and may answer in its visit, not a
 * rotation later; the token need not wait for the others. By multicast a packet is for
 * all at once, and follows the token.
 */
static struct node_set send_before_token(struct ring *ring, const struct ring_instance *i,
					 uint64_t *from, uint64_t last, uint32_t fresh)
{
	const struct node_set next = set_of(ring_successor(ring, i->members));
	uint32_t ahead = ring->config.ahead_bytes;
	uint64_t at = *from;

	if (fresh == 0 || fresh > ring->config.packet_bytes || ring->config.is_multicast ||
	    set_has(&next, ring->self)) {
		send_numbered(ring, i, others(ring, i), from, last,
			      fresh > ahead ? fresh - ahead : 0);
		return others(ring, i);
	}
	send_numbered(ring, i, next, &at, last, UINT64_MAX);
	if (set_equal(next, others(ring, i)))
		*from = at;
	return set_minus(others(ring, i), next);
}

/* T6: the lowest aru of all, and whose it is. */
static void tell_aru(struct ring *ring, const struct ring_instance *i,
		     struct wire_token *t)
{
	uint64_t aru = i->queue.aru;

	/* E4: nothing of the new ring is stable before all have installed it */
	if (ring->state == RING_RECOVERY && ring->install_known)
		aru = min_u64(aru, ring->install_seq);
	if (aru < t->aru || t->aru_node == ring->config.self ||
	    t->aru_node == 0) {
		t->aru = aru;
		t->aru_node = aru == t->seq ? 0 : ring->config.self;
	}
}

/* A receiver that never gets what it asks for must not hold the ring up. */
static bool is_stuck(struct ring *ring, const struct wire_token *t)
{
	if (t->aru_node != ring->config.self || t->aru != ring->stuck_aru ||
	    ring->stuck_since == 0) {
		ring->stuck_aru = t->aru;
		ring->stuck_since = ring->now;
		return false;
	}
	return ring->now - ring->stuck_since >
	       STUCK_TOKENS * ring->config.token_ns;
}

/* T6: our bit, by our position among the members. */
static void tell_plug(struct ring *ring, const struct ring_instance *i,
		      struct wire_token *t)
{
	int k, position = 0, n = set_count(i->members);

	if (ring->state != RING_OPERATIONAL)
		return;
	for (k = set_next(i->members, 0); k != ring->self;
	     k = set_next(i->members, k + 1))
		position++;
	if (ring->is_synchronised)
		set_add(&t->plugged, position);
	if (!set_equal(ring->plugged, t->plugged))
		ring->idle = 0;
	ring->plugged = t->plugged;
	if (!ring->unplug_seen && set_count(t->plugged) == n) {
		ring->unplug_seen = true;
		ring->unplug_seq = t->seq;
	}
}

static void pass_on(struct ring *ring, const struct ring_instance *i,
		    struct wire_token *t)
{
	int next = ring_successor(ring, i->members);
	size_t length;

	t->token_seq++;
	if (next == ring->self) {
		/* a ring of one: the token comes back by the clock, or a wake */
		ring->parked = *t;
		ring->is_parked = true;
		ring_disarm(ring, TIMER_TOKEN_LOSS);
		ring_disarm(ring, TIMER_RETRANSMIT);
		return;
	}
	length = wire_write_token(&ring->context, t, ring->last_sent);
	ring->stats.orf_token_tx++;
	ring_arm(ring, TIMER_TOKEN_LOSS, ring->config.token_ns);
	ring_send_token_packet(ring, next, length);
}

static void count_idle(struct ring *ring, const struct ring_instance *i,
		       const struct wire_token *t)
{
	bool is_quiet = ring->state == RING_OPERATIONAL &&
			t->seq == ring->seen_seq && t->rtr_count == 0 &&
			i->stable == t->seq && i->delivered == t->seq &&
			ring->is_unplugged == ring->unplug_seen;

	ring->idle = is_quiet ? ring->idle + 1 : 0;
	ring->seen_seq = t->seq;
}

static void visit(struct ring *ring, struct wire_token *t)
{
	struct ring_instance *i = current(ring);
	uint32_t allowed, resent, fresh, backlog;
	struct node_set to;
	uint64_t from;

	ring->token_seq = t->token_seq;
	ring->round++;
	if (i->queue.high > t->seq) {
		/* a number that was never given: its place cannot be filled */
		ring_gather_enter(ring, "a message beyond the token");
		return;
	}
	learn_stable(ring, i, t);
	if (ring->state == RING_RECOVERY) {
		ring_recovery_visit(ring, t);
		i = current(ring);
	}
	backlog = ring->state == RING_OPERATIONAL ?
			  (uint32_t)min_u64(ring->ops.backlog(ring->owner,
							      !ring->is_unplugged),
					    UINT32_MAX / TOTEM_MAX_NODES) :
			  0;
	allowed = allowance(ring, i, t, backlog);
	resent = answer(ring, i, t, ring->config.visit_bytes);
	ask(ring, i, t);
	from = t->seq + 1;
	allowed -= (uint32_t)min_u64(allowed, resent);
	fresh = ring->state == RING_RECOVERY ? number_old(ring, i, t, allowed) :
					       number_new(ring, i, t, allowed);
	if (ring->state == RING_RECOVERY)
		ring_recovery_sent(ring, t);
	to = send_before_token(ring, i, &from, t->seq, fresh);

	t->flow_bytes += resent + fresh - ring->flow_mine;
	t->backlog_bytes += backlog - ring->backlog_mine;
	ring->flow_mine = resent + fresh;
	ring->backlog_mine = backlog;
	tell_aru(ring, i, t);
	count_idle(ring, i, t);
	tell_plug(ring, i, t);
	ring->ask_limit = t->seq;
	if (is_stuck(ring, t)) {
		/* we are the one who cannot receive: out, and try again later */
		ring->stats.failed_to_receive++;
		ring_gather_alone(ring, "failed to receive");
		return;
	}
	pass_on(ring, i, t);
	send_numbered(ring, i, to, &from, t->seq, UINT64_MAX);
	if (ring->state == RING_OPERATIONAL)
		ring_data_deliver(ring);
}

/* A ring of one works until it has nothing to do; the clock moves it then. */
static void run(struct ring *ring, struct wire_token *t)
{
	int turns = 0;

	ring->is_running = true;
	visit(ring, t);
	while (ring->is_parked && ring->idle < IDLE_VISITS && turns++ < 64) {
		struct wire_token again = ring->parked;

		ring->is_parked = false;
		visit(ring, &again);
	}
	ring->is_running = false;
	if (ring->is_parked)
		ring_arm(ring, TIMER_HOLD,
			 ring->idle < IDLE_VISITS ? 1 : ring->config.hold_ns);
}

void ring_token_first(struct ring *ring)
{
	struct wire_token t = { .ring = ring->forming.id };

	ring->is_originated = true;
	run(ring, &t);
}

/* Means that follow in some 16 tokens. */
static void take_time(struct ring *ring, const struct wire_token *t)
{
	struct ring_timing *timing = &ring->timing;

	if (timing->token_at)
		timing->interval_ns += (ring->now - timing->token_at) / 16 -
				       timing->interval_ns / 16;
	timing->backlog_bytes += t->backlog_bytes / 16 - timing->backlog_bytes / 16;
	timing->previous_at = timing->token_at;
	timing->token_at = ring->now;
}

void ring_token_received(struct ring *ring, int from, const struct wire_token *token)
{
	const struct ring_instance *i = ring_live_instance(ring, token->ring);
	struct wire_token t = *token;
	bool is_representative = set_next(ring->installed.members, 0) ==
				 ring->self;

	ring->stats.orf_token_rx++;
	if (!i || !ring_is_predecessor(ring, i->members, from) ||
	    t.token_seq <= ring->token_seq ||
	    (ring->is_parked && t.token_seq <= ring->parked.token_seq)) {
		ring->stats.rx_msg_dropped++;
		return;
	}
	take_time(ring, &t);
	ring_arm(ring, TIMER_TOKEN_LOSS, ring->config.token_ns);
	ring_disarm(ring, TIMER_RETRANSMIT);
	if (ring->state == RING_OPERATIONAL && is_representative &&
	    ring->idle >= IDLE_VISITS && t.seq == ring->seen_seq &&
	    ring->ops.backlog(ring->owner, false) == 0) {
		ring->parked = t;
		ring->is_parked = true;
		ring_arm(ring, TIMER_HOLD, ring->config.hold_ns);
		return;
	}
	run(ring, &t);
}

void ring_token_unpark(struct ring *ring)
{
	struct wire_token t = ring->parked;

	ring_disarm(ring, TIMER_HOLD);
	if (!ring->is_parked)
		return;
	ring->is_parked = false;
	run(ring, &t);
}
