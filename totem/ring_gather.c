/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gather: finding out who is there. Each node tells its two sets, proc (known)
 * and failed (of these), in a join, again and again; when all of proc - failed
 * tell the same two sets, they agree, and the lowest of them starts the commit.
 * The sets only grow within one gather, so it ends.
 *
 * When consensus does not come in time, the silent are failed; if nobody was
 * silent, those who tell other sets than we are. Evidence and leaves convict at
 * once. Convictions are believed from companions, the members of our own old
 * ring (Totem paper, §5); a stranger's only of strangers, so that a newcomer
 * that cannot hear one of us does not cost us that one, but itself.
 *
 * Quarantine: a node that hears us but is not heard, or the reverse, would be
 * let in and found silent for ever, each time breaking a healthy ring. Who was
 * left out of a ring twice in short order is neither listened to nor talked to
 * for a while, twice as long each time, at most 64 tokens. It ends when the time
 * is over, when the node starts anew, or when others bring it along; while it
 * lasts nothing can prolong it, so that it delays E6 but never prevents it.
 *
 * Who is evicted is in quarantine from the first time on, and its past is long
 * remembered: who is slow to fail at its part would be back each time as if
 * nothing had been. The joins tell who is, and all agree on it, for quarantine
 * keeps nobody out that one of us lets in. The evicted one goes: if it convicted
 * in turn who does not want it, those would be lost who hear it first.
 */
#include "base/arith.h"
#include "totem/ring_private.h"

enum {
	SHORT_ORDER_TOKENS = 10,
	MAX_SPAN_TOKENS = 64,
	EVICTED_ORDER_TOKENS = 1000,
	JOIN_GAP = 8,  /* of join_ns: as close may joins follow each other */
};

static struct node_set alive(const struct ring *ring)
{
	return set_minus(ring->proc, ring->failed);
}

/* Whoever is in a gather with us is listened to, whatever we hold against it. */
static bool is_quarantined(const struct ring *ring, int node)
{
	const struct node_set with_us = alive(ring);

	return ring->suspicion[node].until_ns > ring->now &&
	       !(ring->state == RING_GATHER && set_has(&with_us, node));
}

/* All that are configured, but us and who is in quarantine. */
struct node_set ring_gather_audience(const struct ring *ring)
{
	struct node_set all = { { 0 } };
	int i;

	for (i = 0; i < ring->config.nodes.count; i++)
		if (i != ring->self && !is_quarantined(ring, i))
			set_add(&all, i);
	return all;
}

void ring_gather_send_join(struct ring *ring, bool is_leave)
{
	/* who commits still tells the others, as from before: see is_news() */
	const struct wire_join join = {
		.ring_seq = ring->state == RING_COMMIT ?
				    ring->forming.id.seq - 1 :
				    ring->high_ring_seq,
		.incarnation = ring->config.incarnation,
		.is_leave = is_leave,
		.proc = ring->proc,
		.failed = ring->failed,
		.evicted = ring->evicted,
	};
	size_t length = wire_write_join(&ring->context, &join, ring->packet);

	ring->ops.send_all(ring->owner, ring_gather_audience(ring), ring->packet,
			   length);
	ring->stats.memb_join_tx++;
	ring->join_after = ring->now + ring->config.join_ns / JOIN_GAP;
	ring_arm(ring, TIMER_JOIN, ring->config.join_ns);
}

/* The sets have grown, or we begin: everybody must agree anew. */
static void start_over(struct ring *ring)
{
	ring->agreed = set_of(ring->self);
	ring->wants_commit = false;
	ring_disarm(ring, TIMER_TOKEN_LOSS);
	ring_arm(ring, TIMER_CONSENSUS, ring->config.consensus_ns);
	/* many that start at once would each answer each: n^3 packets */
	if (ring->now >= ring->join_after)
		ring_gather_send_join(ring, false);
	else
		ring_arm(ring, TIMER_JOIN, ring->join_after - ring->now);
}

/* From operation the sets begin anew: our members, less who is convicted. */
static void begin(struct ring *ring, const char *why, struct node_set known,
		  struct node_set convicted)
{
	enum ring_state from = ring->state;

	ring->stats.gather_entered++;
	ring->timing.continuous_gather++;
	ring_trace(ring, "gather: %s", why);
	ring_move(ring, RING_GATHER);
	ring_disarm(ring, TIMER_RETRANSMIT);
	ring_disarm(ring, TIMER_HOLD);
	ring_disarm(ring, TIMER_MERGE);
	ring->is_parked = false;
	if (from == RING_OPERATIONAL) {
		ring->proc = ring->installed.members;
		ring->failed = (struct node_set){ { 0 } };
	}
	ring->proc = set_union(ring->proc, known);
	ring->failed = set_union(ring->failed, convicted);
	ring->heard = set_of(ring->self);
	/* the id of a ring that was being formed stays burnt (E5) */
	ring_seen_seq(ring, ring->forming.id.seq);
	start_over(ring);
	if (ring->lonely_until > ring->now && set_count(alive(ring)) == 1)
		ring_arm(ring, TIMER_CONSENSUS, ring->lonely_until - ring->now);
}

void ring_gather_enter(struct ring *ring, const char *why)
{
	const struct node_set nobody = { { 0 } };

	begin(ring, why, nobody, nobody);
	ring_gather_check(ring);
}

void ring_gather_alone(struct ring *ring, const char *why)
{
	struct node_set others = set_minus(set_union(ring->installed.members,
						     ring->proc),
					   set_of(ring->self));

	ring_gather_send_join(ring, true);
	begin(ring, why, others, others);
	ring_gather_check(ring);
}

static void suspect(struct ring *ring, int node)
{
	struct suspicion *s = &ring->suspicion[node];
	bool is_evicted = set_has(&ring->evicted, node);
	uint64_t token = ring->config.token_ns;
	uint64_t order = is_evicted ? EVICTED_ORDER_TOKENS : SHORT_ORDER_TOKENS;

	if (s->until_ns > ring->now)
		return;
	if (!s->until_ns || ring->now - s->until_ns >= order * token)
		s->span_ns = is_evicted ? token : 0;
	else
		s->span_ns = min_u64(s->span_ns ? 2 * s->span_ns : token,
				     MAX_SPAN_TOKENS * token);
	s->until_ns = ring->now + s->span_ns;
}

/* All members suspect alike: they have the same failed set. */
void ring_gather_installed(struct ring *ring)
{
	const struct node_set *members = &ring->installed.members;
	int i;

	/* whom others have brought along is one of us */
	for (i = set_next(*members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(*members, i + 1))
		ring->suspicion[i].until_ns = min_u64(ring->suspicion[i].until_ns,
						      ring->now);
	for (i = set_next(ring->failed, 0); i != TOTEM_NO_INDEX;
	     i = set_next(ring->failed, i + 1))
		suspect(ring, i);
	ring->proc = *members;
	ring->failed = ring->evicted = (struct node_set){ { 0 } };
}

void ring_gather_check(struct ring *ring)
{
	struct node_set them = alive(ring);

	if (ring->state != RING_GATHER || !set_is_subset(them, ring->agreed))
		return;
	if (set_count(them) == 1 && ring->now < ring->lonely_until)
		return;
	if (set_next(them, 0) == ring->self) {
		ring_commit_begin(ring);
		return;
	}
	/* the commit token must come: it has as long as any other token */
	if (ring->due[TIMER_TOKEN_LOSS] == UINT64_MAX)
		ring_arm(ring, TIMER_TOKEN_LOSS, ring->config.token_ns);
	ring_disarm(ring, TIMER_CONSENSUS);
}

void ring_gather_consensus_timeout(struct ring *ring)
{
	struct node_set silent = set_minus(alive(ring), ring->heard);
	int i;

	if (ring->state != RING_GATHER)
		return;
	ring->stats.consensus_timeouts++;
	if (set_is_empty(silent))
		silent = set_minus(alive(ring), ring->agreed);
	for (i = set_next(silent, 0); i != TOTEM_NO_INDEX;
	     i = set_next(silent, i + 1))
		ring_trace(ring, "n%u does not agree",
			   ring->config.nodes.ids[i]);
	ring->failed = set_union(ring->failed, silent);
	ring->heard = set_of(ring->self);
	start_over(ring);
	ring_gather_check(ring);
}

/* Is it one of us, as far as we know by now? */
static bool is_with_us(const struct ring *ring, int node)
{
	const struct node_set us = ring->state == RING_OPERATIONAL ?
					   ring->installed.members :
					   alive(ring);

	return set_has(&us, node);
}

void ring_gather_convict(struct ring *ring, int node, const char *why)
{
	const struct node_set nobody = { { 0 } };

	if (!is_with_us(ring, node))
		return;
	ring_trace(ring, "n%u convicted: %s", ring->config.nodes.ids[node], why);
	begin(ring, why, nobody, set_of(node));
	ring_gather_check(ring);
}

void ring_gather_evict(struct ring *ring, int node)
{
	if (!is_with_us(ring, node))
		return;
	ring->stats.evicted++;
	set_add(&ring->evicted, node);
	ring_gather_convict(ring, node, "evicted");
}

void ring_gather_evidence(struct ring *ring, int node)
{
	/* of its earlier life, which ended just before this one began */
	if (ring->started_at[node] &&
	    ring->now - ring->started_at[node] < ring->config.join_ns)
		return;
	ring_gather_convict(ring, node, "evidence");
}

/* Another ring is out there, and this node is on it. */
void ring_gather_foreign(struct ring *ring, int from, struct ring_id id)
{
	const struct ring_instance *own = &ring->installed;
	const struct node_set nobody = { { 0 } };

	/* who cannot be let in would call to gather again and again */
	if (ring_id_equal(id, own->id) || set_has(&ring->illegible, from))
		return;
	if (is_quarantined(ring, from)) {
		ring->stats.quarantined_rx++;
		return;
	}
	/* of an earlier ring of one of ours: stale */
	if (set_has(&own->members, from) && id.seq < own->id.seq)
		return;
	if (ring->state == RING_OPERATIONAL) {
		begin(ring, "foreign ring", set_of(from), nobody);
	} else if (ring->state == RING_GATHER && !set_has(&ring->proc, from)) {
		set_add(&ring->proc, from);
		start_over(ring);
	}
}

static bool tells_the_same(const struct ring *ring, const struct wire_join *j)
{
	return set_equal(j->proc, ring->proc) &&
	       set_equal(j->failed, ring->failed) &&
	       set_equal(j->evicted, ring->evicted);
}

/* What a join means for the sets; the letters are those of the Totem paper. */
static void process(struct ring *ring, int from, const struct wire_join *j)
{
	const struct node_set *companions = &ring->installed.members;
	struct node_set proc = set_union(ring->proc, j->proc);
	struct node_set failed = j->failed, evicted;

	if (set_has(&ring->failed, from)) /* (c) */
		return;
	set_add(&ring->heard, from);
	if (tells_the_same(ring, j)) {
		set_add(&ring->agreed, from); /* (a) */
		ring_gather_check(ring);
		return;
	}
	set_add(&proc, from);
	if (set_has(&j->evicted, ring->self)) {
		ring_gather_alone(ring, "we are evicted");
		return;
	}
	if (set_has(&j->failed, ring->self))
		failed = set_of(from); /* it does not want us: without it */
	else if (!set_has(companions, from))
		failed = set_minus(failed, *companions);
	evicted = set_and(j->evicted, failed);
	if (set_equal(proc, ring->proc) && set_is_subset(failed, ring->failed) &&
	    set_is_subset(evicted, ring->evicted))
		return; /* (b) it knows less: our next join tells it */
	ring->proc = proc; /* (d) */
	ring->failed = set_union(ring->failed, failed);
	ring->evicted = set_union(ring->evicted, evicted);
	start_over(ring);
	/* its join may be what we have come to */
	if (tells_the_same(ring, j))
		set_add(&ring->agreed, from);
	ring_gather_check(ring);
}

/* Whose join is it? False: of a dead process, or sent before our last ring. */
static bool is_current(struct ring *ring, int from, const struct wire_join *j)
{
	if (j->incarnation < ring->incarnation[from]) {
		ring->stats.old_incarnation_rx++;
		return false;
	}
	if (j->incarnation > ring->incarnation[from]) {
		/* it has started anew: what we held against it is over */
		ring->incarnation[from] = j->incarnation;
		ring->started_at[from] = ring->now;
		ring->suspicion[from] = (struct suspicion){ 0 };
	}
	return !set_has(&ring->installed.members, from) ||
	       j->ring_seq >= ring->installed.id.seq;
}

/* While a ring is formed: only news from its members stop that. */
static bool is_news(const struct ring *ring, int from, const struct wire_join *j)
{
	if (!set_has(&ring->forming.members, from))
		return false;
	/* it was on the forming ring, and has given it up ... */
	if (j->ring_seq >= ring->forming.id.seq)
		return true;
	/* ... or refuses the commit token, for it has learnt more since */
	return !set_is_subset(j->proc, ring->proc) ||
	       !set_is_subset(j->failed, ring->failed);
}

/* In operation: a stranger comes, or a companion looks for others. */
static void join_in_operation(struct ring *ring, int from,
			      const struct wire_join *j)
{
	const struct node_set nobody = { { 0 } };
	bool is_companion = set_has(&ring->installed.members, from);

	if (!set_has(&j->failed, ring->self))
		begin(ring, "join", set_of(from), nobody);
	else if (is_companion && set_has(&j->evicted, ring->self))
		ring_gather_alone(ring, "we are evicted");
	else if (is_companion)
		ring_gather_convict(ring, from, "it goes without us");
	/* else: a stranger that has turned away from us already (A.14, 7) */
}

void ring_gather_join(struct ring *ring, int from, const struct wire_join *j)
{
	const struct node_set nobody = { { 0 } };

	ring->stats.memb_join_rx++;
	if (!is_current(ring, from, j))
		return;
	if (j->is_leave) {
		ring->stats.leave_rx++;
		ring_gather_convict(ring, from, "left");
		return;
	}
	if (is_quarantined(ring, from)) {
		ring->stats.quarantined_rx++;
		return;
	}
	ring_seen_seq(ring, j->ring_seq);
	if (ring->state == RING_OPERATIONAL)
		join_in_operation(ring, from, j);
	else if (ring->state != RING_GATHER && is_news(ring, from, j))
		begin(ring, "join of a member", nobody, nobody);
	if (ring->state == RING_GATHER)
		process(ring, from, j);
}
