/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit: a token goes round the members that agreed, twice. On the first round
 * each member fills in where it stands on its old ring; on the second all learn
 * of all, and enter recovery. When it is back at the representative, the first
 * token of the new ring starts.
 *
 * The token of a large ring goes in several packets. Each stands for itself, so
 * that they may come in any order and more than once; the token has come when
 * the entries of all members have. If one is lost, all are sent again.
 */
#include <inttypes.h>
#include <string.h>

#include "base/arith.h"
#include "totem/ring_private.h"

static void fill_entry(struct ring *ring, struct wire_commit_entry *e)
{
	const struct ring_instance *old = &ring->installed;

	*e = (struct wire_commit_entry){
		.old_ring = old->id,
		.aru = old->queue.aru,
		.high = old->queue.high,
		.delivered = old->delivered,
		.safe = min_u64(old->stable, old->queue.aru),
		.is_filled = true,
	};
	e->have_count = (uint8_t)queue_held(&old->queue, e->have, WIRE_MAX_HAVE);
}

/* As many of the members from `first` on as fit one packet; one at least. */
static struct node_set next_part(const struct ring *ring, int first)
{
	const struct wire_commit *c = &ring->commit;
	size_t bytes = WIRE_COMMIT_OVERHEAD;
	struct node_set part = { { 0 } };
	int i;

	for (i = first; i != TOTEM_NO_INDEX; i = set_next(c->members, i + 1)) {
		bytes += wire_entry_bytes(c, i);
		if (bytes > ring->config.packet_bytes)
			break;
		set_add(&part, i);
	}
	return part;
}

void ring_commit_send(struct ring *ring)
{
	const struct wire_commit *c = &ring->commit;
	int to = ring_successor(ring, c->members);
	struct node_set left = c->members;

	while (!set_is_empty(left)) {
		struct node_set part = next_part(ring, set_next(left, 0));
		size_t length = wire_write_commit(&ring->context, c, part,
						  ring->packet);

		ring->ops.send_one(ring->owner, to, ring->packet, length);
		left = set_minus(left, part);
	}
	ring_arm_retransmit(ring);
}

static void forward(struct ring *ring)
{
	ring->commit.token_seq++;
	ring->is_commit_out = true;
	ring->stats.memb_commit_token_tx++;
	ring_arm(ring, TIMER_TOKEN_LOSS, ring->config.token_ns);
	ring_commit_send(ring);
}

/* Takes the new ring's identity: from here on it is burnt, come what may. */
static bool enter(struct ring *ring)
{
	ring->stats.commit_entered++;
	ring_move(ring, RING_COMMIT);
	/* joins go on: somebody may lack ours, and would find us silent */
	ring_disarm(ring, TIMER_CONSENSUS);
	ring_seen_seq(ring, ring->commit.ring.seq);
	ring_instance_fini(&ring->forming);
	if (!ring_instance_init(&ring->forming, ring->commit.ring,
				ring->commit.members)) {
		ring_gather_enter(ring, "out of memory");
		return false;
	}
	ring_trace(ring, "commit ring n%u.%" PRIu64, ring->commit.ring.rep,
		   ring->commit.ring.seq);
	fill_entry(ring, &ring->commit.entries[ring->self]);
	return true;
}

static uint64_t next_ring_seq(const struct ring *ring)
{
	return 1 + max_u64(ring->high_ring_seq,
			   max_u64(ring->installed.id.seq,
				   ring->forming.id.seq));
}

void ring_commit_begin(struct ring *ring)
{
	uint64_t seq = next_ring_seq(ring);

	if (seq >= ring->saved_seq + RING_SEQ_STRIDE) {
		/* E5: not before the disk knows of it */
		ring->wants_commit = true;
		ring_save_seq(ring, seq);
		return;
	}
	memset(&ring->commit, 0, sizeof(ring->commit));
	ring->commit.ring = (struct ring_id){ ring->config.self, seq };
	ring->commit.members = set_minus(ring->proc, ring->failed);
	if (!enter(ring))
		return;
	if (set_count(ring->commit.members) > 1) {
		forward(ring);
		return;
	}
	ring->commit.round = 1;
	if (ring_recovery_enter(ring))
		ring_token_first(ring);
}

static void accept_first(struct ring *ring, const struct wire_commit *c)
{
	struct node_set them = set_minus(ring->proc, ring->failed);

	if (c->round != 0 || !set_equal(c->members, them) ||
	    !set_has(&c->members, ring->self) ||
	    c->ring.seq <= ring->installed.id.seq ||
	    c->ring.seq <= ring->forming.id.seq)
		return;
	ring_seen_seq(ring, c->ring.seq);
	if (c->ring.seq >= ring->saved_seq + RING_SEQ_STRIDE)
		return; /* E5: it comes again, when the disk knows of it */
	ring->commit = *c;
	if (enter(ring))
		forward(ring);
}

static bool is_representative(const struct ring *ring)
{
	return ring->commit.ring.rep == ring->config.self;
}

static bool all_filled(const struct wire_commit *c)
{
	int i;

	for (i = set_next(c->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(c->members, i + 1))
		if (!c->entries[i].is_filled)
			return false;
	return true;
}

/* Whoever changed it would have us install a ring to which we do not come along. */
static bool is_own_entry_kept(const struct ring *ring, const struct wire_commit *c)
{
	return ring_id_equal(c->entries[ring->self].old_ring, ring->installed.id);
}

/* Adds a part to what has come of the token. True: that is all of it. */
static bool collect(struct ring *ring, const struct wire_commit *part)
{
	struct wire_commit *c = &ring->incoming;
	bool is_same_ring = ring_id_equal(c->ring, part->ring);
	int i;

	if (is_same_ring && part->token_seq < c->token_seq) {
		ring->stats.rx_msg_dropped++;
		return false;
	}
	if (!is_same_ring || part->token_seq != c->token_seq ||
	    part->round != c->round || part->total != c->total) {
		*c = *part;
	} else {
		for (i = set_next(part->members, 0); i != TOTEM_NO_INDEX;
		     i = set_next(part->members, i + 1))
			c->entries[i] = part->entries[i];
		c->members = set_union(c->members, part->members);
	}
	return set_count(c->members) == c->total;
}

/* Of the ring that we are to be on; a stranger's part would spoil the others. */
static bool is_from_predecessor(const struct ring *ring, int from)
{
	struct node_set them = ring->state == RING_GATHER ?
				       set_minus(ring->proc, ring->failed) :
				       ring->forming.members;

	return ring_is_predecessor(ring, them, from);
}

void ring_commit_part(struct ring *ring, int from, const struct wire_commit *part)
{
	const struct wire_commit *c = &ring->incoming;

	if (!is_from_predecessor(ring, from)) {
		ring->stats.rx_msg_dropped++;
		return;
	}
	if (!collect(ring, part))
		return;
	ring->stats.memb_commit_token_rx++;
	if (ring->state == RING_GATHER) {
		accept_first(ring, c);
		return;
	}
	if ((ring->state != RING_COMMIT && ring->state != RING_RECOVERY) ||
	    !ring_id_equal(c->ring, ring->forming.id) ||
	    !set_equal(c->members, ring->forming.members) ||
	    c->token_seq <= ring->commit.token_seq || !is_own_entry_kept(ring, c)) {
		ring->stats.rx_msg_dropped++;
		return;
	}
	if (ring->state == RING_COMMIT && is_representative(ring) &&
	    c->round == 0 && all_filled(c)) {
		ring->commit = *c;
		ring->commit.round = 1;
		if (ring_recovery_enter(ring))
			forward(ring);
	} else if (ring->state == RING_COMMIT && !is_representative(ring) &&
		   c->round == 1) {
		ring->commit = *c;
		if (ring_recovery_enter(ring))
			forward(ring);
	} else if (ring->state == RING_RECOVERY && is_representative(ring) &&
		   c->round == 1 && !ring->is_originated) {
		ring->commit.token_seq = c->token_seq;
		ring_token_first(ring);
	}
}
