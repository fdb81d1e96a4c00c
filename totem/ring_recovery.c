/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recovery: members that come from one old ring bring each other to the same
 * set of its messages, on the new ring, then deliver it and install the new
 * configuration, all in the same way.
 *
 * Who sends what: the commit token told what each member holds, so that every
 * old message that somebody lacks is sent by one holder, the lowest (what is
 * held but found no room in a range, by all who hold it). When the
 * token says that nobody has any left (retrans 0, after all were visited), the
 * messages up to token.seq are the whole exchange: install_seq. It is the same
 * for all, since nobody sends anything new before it has seen the token come
 * round once more with all of them received.
 *
 * Delivery (E3; what counts is known to all alike, from the commit token):
 *
 *	1  in the old regular configuration: the run up to the first hole, or up
 *	   to the first safe message that no member knows to be safe there
 *	2  the transitional configuration
 *	3  the rest in order; behind a hole only what members of the transitional
 *	   configuration sent, for the others may depend on what is missing
 *	4  the new regular configuration
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "totem/ring_private.h"

static bool entry_has(const struct wire_commit_entry *e, uint64_t seq)
{
	int i;

	if (seq <= e->aru)
		return true;
	for (i = 0; i < e->have_count; i++)
		if (seq >= e->have[i].first &&
		    seq - e->have[i].first < e->have[i].count)
			return true;
	return false;
}

/* Visits the entries of the members that come from our old ring. */
struct trans_walk {
	const struct ring *ring;
	int node; /* index */
};

static const struct wire_commit_entry *trans_next(struct trans_walk *w)
{
	const struct wire_commit *c = &w->ring->commit;

	for (;;) {
		w->node = set_next(c->members, w->node + 1);
		if (w->node == TOTEM_NO_INDEX)
			return NULL;
		if (set_has(&w->ring->installed.members, w->node) &&
		    ring_id_equal(c->entries[w->node].old_ring,
				  w->ring->installed.id))
			return &c->entries[w->node];
	}
}

#define TRANS_WALK(ring) { (ring), -1 }

/* The lowest member that told of holding it, or TOTEM_NO_INDEX. */
static int holder_of(const struct ring *ring, uint64_t seq)
{
	struct trans_walk walk = TRANS_WALK(ring);
	const struct wire_commit_entry *e;

	while ((e = trans_next(&walk)) != NULL)
		if (entry_has(e, seq))
			return walk.node;
	return TOTEM_NO_INDEX;
}

static bool all_told(const struct ring *ring, uint64_t seq)
{
	struct trans_walk walk = TRANS_WALK(ring);
	const struct wire_commit_entry *e;

	while ((e = trans_next(&walk)) != NULL)
		if (!entry_has(e, seq))
			return false;
	return true;
}

/* Lists what we are to send: ours by the rule, or held but told by nobody. */
static bool list_resends(struct ring *ring)
{
	struct trans_walk walk = TRANS_WALK(ring);
	const struct wire_commit_entry *e;
	uint64_t low = UINT64_MAX, high = 0, seq;

	ring->trans = (struct node_set){ { 0 } };
	ring->resend_count = ring->resend_next = 0;
	while ((e = trans_next(&walk)) != NULL) {
		set_add(&ring->trans, walk.node);
		low = min_u64(low, e->aru);
		high = max_u64(high, e->high);
	}
	free(ring->resend);
	ring->resend = NULL;
	if (low >= high)
		return true;
	if (high - low > QUEUE_SLOTS)
		high = low + QUEUE_SLOTS; /* nobody can hold more */
	ring->resend = malloc((high - low) * sizeof(*ring->resend));
	if (!ring->resend)
		return false;
	for (seq = low + 1; seq <= high; seq++) {
		int holder = holder_of(ring, seq);

		if (holder != ring->self && holder != TOTEM_NO_INDEX)
			continue;
		if (all_told(ring, seq))
			continue;
		if (queue_get(&ring->installed.queue, seq))
			ring->resend[ring->resend_count++] = seq;
	}
	return true;
}

bool ring_recovery_enter(struct ring *ring)
{
	ring->stats.recovery_entered++;
	ring_move(ring, RING_RECOVERY);
	ring_disarm(ring, TIMER_JOIN);
	ring->was_counted = ring->counts = false;
	ring->is_originated = ring->install_known = false;
	ring->install_seq = 0;
	ring->token_seq = 0;
	ring->round = ring->idle = ring->seen_seq = ring->ask_limit = 0;
	ring->ask_span = ring->ask_pause = 0;
	ring->stuck_since = 0;
	ring->flow_mine = ring->backlog_mine = 0;
	if (!list_resends(ring)) {
		ring_gather_enter(ring, "out of memory");
		return false;
	}
	ring_trace(ring, "recovery: %zu of ours to send again", ring->resend_count);
	return true;
}

/* Steps 1 and 3; returns the number behind the last one looked at. */
static uint64_t deliver_run(struct ring *ring, uint64_t safe)
{
	struct ring_instance *old = &ring->installed;
	const struct queued *m;
	uint64_t seq = old->delivered + 1;

	for (;; seq++) {
		m = queue_get(&old->queue, seq);
		if (!m || ((m->flags & WIRE_DATA_SAFE) && seq > safe))
			return seq;
		ring_data_give(ring, old, m);
		old->delivered = seq;
	}
}

static void deliver_rest(struct ring *ring, uint64_t seq)
{
	struct ring_instance *old = &ring->installed;
	bool is_behind_hole = false;

	for (; seq <= old->queue.high; seq++) {
		const struct queued *m = queue_get(&old->queue, seq);
		int origin;

		if (!m) {
			if (!is_behind_hole && ring->ops.torn)
				ring->ops.torn(ring->owner);
			is_behind_hole = true;
			continue;
		}
		origin = node_index(&ring->config.nodes, m->origin);
		if (!is_behind_hole || set_has(&ring->trans, origin))
			ring_data_give(ring, old, m);
	}
}

static void install(struct ring *ring)
{
	struct ring_instance *old = &ring->installed;
	struct trans_walk walk = TRANS_WALK(ring);
	struct node_set left = set_minus(old->members, ring->trans);
	const struct wire_commit_entry *e;
	uint64_t safe = 0, seq;

	while ((e = trans_next(&walk)) != NULL)
		safe = max_u64(safe, max_u64(e->safe, e->delivered));
	if (ring->has_installed) {
		const struct ring_configuration transitional = {
			.is_transitional = true, .ring = old->id,
			.members = ring->trans, .left = left,
		};

		seq = deliver_run(ring, safe);
		ring->ops.configured(ring->owner, &transitional);
		deliver_rest(ring, seq);
	} else {
		left = (struct node_set){ { 0 } };
	}

	ring_move(ring, RING_OPERATIONAL);
	ring->stats.operational_entered++;
	ring->timing.continuous_gather = 0;
	ring_instance_fini(old);
	*old = ring->forming;
	memset(&ring->forming, 0, sizeof(ring->forming));
	ring->forming.id = old->id; /* burnt ids are compared with it */
	queue_skip(&old->queue, ring->install_seq);
	old->delivered = ring->install_seq;
	ring->is_synchronised = ring->is_unplugged = ring->unplug_seen = false;
	ring->plugged = (struct node_set){ { 0 } };
	ring_gather_installed(ring);
	ring->idle = 0;
	ring_arm(ring, TIMER_MERGE, ring->config.merge_ns);
	ring_trace(ring, "installed ring n%u.%" PRIu64 " of %d", old->id.rep,
		   old->id.seq, set_count(old->members));
	ring->ops.configured(ring->owner,
			     &(struct ring_configuration){
				     .ring = old->id,
				     .members = old->members,
				     .joined = ring->has_installed ?
						       set_minus(old->members,
								 ring->trans) :
						       old->members,
				     .left = left,
			     });
	ring->has_installed = true;
}

/* Before anything is sent: is it over? `token` as it came. */
void ring_recovery_visit(struct ring *ring, struct wire_token *token)
{
	uint64_t n = (uint64_t)set_count(ring->forming.members);

	if (ring->install_known &&
	    ring->forming.stable >= ring->install_seq) {
		install(ring);
		return;
	}
	if (!ring->was_counted) {
		ring->was_counted = true;
		ring->counts = ring->resend_count > 0;
		token->retrans = (uint8_t)(token->retrans + ring->counts);
	}
	if (!ring->install_known && token->token_seq >= n &&
	    token->retrans == 0) {
		ring->install_known = true;
		ring->install_seq = token->seq;
	}
}

/* After this visit's share was sent. */
void ring_recovery_sent(struct ring *ring, struct wire_token *token)
{
	if (ring->counts && ring->resend_next == ring->resend_count) {
		ring->counts = false;
		token->retrans--;
	}
}
