/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit: a token goes round the members that agreed, twice. On the first round
 * each member fills in where it stands on its old ring; on the second all learn
 * of all, and enter recovery. When it is back at the representative, the first
 * token of the new ring starts.
 */
#include <inttypes.h>
#include <string.h>

#include "base/arith.h"
#include "totem/ring_private.h"

/* The entry of node `index`, by its position among the members. */
static struct wire_commit_entry *entry_of(struct wire_commit *c, int index)
{
	int i, position = 0;

	for (i = set_next(c->members, 0); i != index; i = set_next(c->members, i + 1))
		position++;
	return &c->entries[position];
}

/* Ranges that an entry may have, for the commit token to fit a packet. */
static int have_room(const struct ring *ring)
{
	int64_t n = set_count(ring->commit.members);
	int64_t left = (int64_t)ring->config.packet_bytes -
		       WIRE_COMMIT_OVERHEAD - n * WIRE_ENTRY_OVERHEAD;

	if (left <= 0)
		return 0;
	return (int)min_u64((uint64_t)(left / (n * WIRE_RANGE_BYTES)),
			    WIRE_MAX_HAVE);
}

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
	e->have_count = (uint8_t)queue_held(&old->queue, e->have,
					    have_room(ring));
}

static void forward(struct ring *ring)
{
	size_t length;

	ring->commit.token_seq++;
	length = wire_write_commit(&ring->context, &ring->commit, ring->last_sent);
	ring->stats.memb_commit_token_tx++;
	ring_arm(ring, TIMER_TOKEN_LOSS, ring->config.token_ns);
	ring_send_token_packet(ring, ring_successor(ring, ring->commit.members),
			       length);
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
	fill_entry(ring, entry_of(&ring->commit, ring->self));
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
		if (ring->saving_seq < seq) {
			ring->saving_seq = seq;
			ring->ops.save_seq(ring->owner, seq);
		}
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
	int i, n = set_count(c->members);

	for (i = 0; i < n; i++)
		if (!c->entries[i].is_filled)
			return false;
	return true;
}

void ring_commit_token(struct ring *ring, const struct wire_commit *c)
{
	ring->stats.memb_commit_token_rx++;
	if (ring->state == RING_GATHER) {
		accept_first(ring, c);
		return;
	}
	if ((ring->state != RING_COMMIT && ring->state != RING_RECOVERY) ||
	    !ring_id_equal(c->ring, ring->forming.id) ||
	    !set_equal(c->members, ring->forming.members) ||
	    c->token_seq <= ring->commit.token_seq) {
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
