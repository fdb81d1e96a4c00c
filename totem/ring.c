/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lifecycle, events in, timers; each state's steps are in files of their own. */
#include "totem/ring.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "totem/ring_private.h"

const char *ring_state_name(enum ring_state state)
{
	static const char *const names[RING_STATE_COUNT] = {
		"stopped", "gather", "commit", "recovery", "operational"
	};

	return names[state];
}

/* What may follow what; everything may stop. */
static bool is_allowed(enum ring_state from, enum ring_state to)
{
	static const uint8_t allowed[RING_STATE_COUNT] = {
		[RING_STOPPED] = 1 << RING_GATHER,
		[RING_GATHER] = 1 << RING_COMMIT | 1 << RING_GATHER,
		[RING_COMMIT] = 1 << RING_RECOVERY | 1 << RING_GATHER,
		[RING_RECOVERY] = 1 << RING_OPERATIONAL | 1 << RING_GATHER,
		[RING_OPERATIONAL] = 1 << RING_GATHER,
	};

	return to == RING_STOPPED || (allowed[from] >> to & 1);
}

void ring_move(struct ring *ring, enum ring_state to)
{
	if (!is_allowed(ring->state, to))
		abort(); /* our own invariant; no packet can bring this about */
	ring_trace(ring, "%s -> %s", ring_state_name(ring->state),
		   ring_state_name(to));
	ring->state = to;
}

void ring_trace(struct ring *ring, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!ring->ops.trace)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ring->ops.trace(ring->owner, line);
}

void ring_arm(struct ring *ring, enum ring_timer timer, uint64_t after_ns)
{
	ring->due[timer] = ring->now + after_ns;
}

void ring_disarm(struct ring *ring, enum ring_timer timer)
{
	ring->due[timer] = UINT64_MAX;
}

/* Once; and again when nothing came of it for long, for disks may fail. */
void ring_save_seq(struct ring *ring, uint64_t seq)
{
	if (ring->saving_seq >= seq &&
	    ring->now - ring->saving_since < ring->config.token_ns)
		return;
	ring->saving_seq = max_u64(ring->saving_seq, seq);
	ring->saving_since = ring->now;
	ring->ops.save_seq(ring->owner, ring->saving_seq);
}

/* E5: long before the saved stride is used up, the next one is asked for. */
void ring_seen_seq(struct ring *ring, uint64_t seq)
{
	if (seq > ring->high_ring_seq)
		ring->high_ring_seq = seq;
	if (ring->high_ring_seq > ring->saved_seq + RING_SEQ_STRIDE / 2)
		ring_save_seq(ring, ring->high_ring_seq);
}

bool ring_instance_init(struct ring_instance *i, struct ring_id id,
			struct node_set members)
{
	memset(i, 0, sizeof(*i));
	i->id = id;
	i->members = members;
	return queue_init(&i->queue);
}

void ring_instance_fini(struct ring_instance *i)
{
	queue_fini(&i->queue);
	memset(i, 0, sizeof(*i));
}

/* The next member round the ring; ourselves if there is no other. */
int ring_successor(const struct ring *ring, struct node_set members)
{
	int next = set_next(members, ring->self + 1);

	return next == TOTEM_NO_INDEX ? set_next(members, 0) : next;
}

bool ring_is_predecessor(const struct ring *ring, struct node_set members, int node)
{
	int next = set_next(members, node + 1);

	return set_has(&members, node) &&
	       (next == TOTEM_NO_INDEX ? set_next(members, 0) : next) == ring->self;
}

/* While a ring is formed others wait for consensus_ns only: be quick. */
void ring_arm_retransmit(struct ring *ring)
{
	ring_arm(ring, TIMER_RETRANSMIT,
		 ring->state == RING_OPERATIONAL ? ring->config.retransmit_ns :
						   2 * ring->config.join_ns);
}

void ring_send_token_packet(struct ring *ring, int to, size_t length)
{
	ring->is_commit_out = false;
	ring->resend_to = to;
	ring->resend_bytes = length;
	ring->ops.send_one(ring->owner, to, ring->last_sent, length);
	ring_arm_retransmit(ring);
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
	return value ? value : fallback;
}

static void fill_in_defaults(struct ring_config *c)
{
	c->token_ns = or_default(c->token_ns, 1000000000);
	c->retransmit_ns = or_default(c->retransmit_ns, c->token_ns / 5);
	c->join_ns = or_default(c->join_ns, c->token_ns / 40);
	c->consensus_ns = or_default(c->consensus_ns, c->token_ns / 5);
	c->merge_ns = or_default(c->merge_ns, c->token_ns / 5);
	c->hold_ns = or_default(c->hold_ns, c->token_ns / 20);
	c->packet_bytes = (size_t)or_default(c->packet_bytes, 1400);
	c->window_bytes = (uint32_t)or_default(c->window_bytes, 1 << 20);
	c->visit_bytes = (uint32_t)or_default(c->visit_bytes, 256 << 10);
	/* three quarters: more makes bursts of two nodes meet, for little */
	c->ahead_bytes = (uint32_t)or_default(c->ahead_bytes, 192 << 10);
}

/* The token with all it asks for, a join with two full sets. */
size_t ring_packet_min(int nodes)
{
	return max_u64(WIRE_MAX_TOKEN, WIRE_JOIN_OVERHEAD + 2 * 4 * (uint64_t)nodes);
}

struct ring *ring_new(const struct ring_config *config,
		      const struct ring_ops *ops, void *owner)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int self = node_index(&config->nodes, config->self);
	int t;

	if (!ring)
		return NULL;
	ring->config = *config;
	fill_in_defaults(&ring->config);
	ring->ops = *ops;
	ring->owner = owner;
	ring->self = self;
	ring->context = (struct wire_context){
		.nodes = &ring->config.nodes,
		.self = config->self,
		.cluster = wire_cluster_hash(config->cluster),
	};
	ring->last_sent = malloc(WIRE_MAX_PACKET);
	ring->packet = malloc(WIRE_MAX_PACKET);
	for (t = 0; t < TIMER_COUNT; t++)
		ring->due[t] = UINT64_MAX;
	if (self == TOTEM_NO_INDEX || config->self == 0 || !ring->last_sent ||
	    !ring->packet ||
	    ring->config.packet_bytes < ring_packet_min(config->nodes.count) ||
	    ring->config.packet_bytes > WIRE_MAX_PACKET ||
	    !ring_instance_init(&ring->installed,
				(struct ring_id){ config->self,
						  config->first_ring_seq },
				set_of(self))) {
		ring_free(ring);
		return NULL;
	}
	ring->saved_seq = config->first_ring_seq;
	ring->high_ring_seq = config->first_ring_seq;
	ring->incarnation[self] = config->incarnation;
	return ring;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	ring_instance_fini(&ring->installed);
	ring_instance_fini(&ring->forming);
	free(ring->resend);
	free(ring->last_sent);
	free(ring->packet);
	free(ring);
}

void ring_start(struct ring *ring, uint64_t now)
{
	ring->now = now;
	/* others may be there: they get time to answer before we ring alone */
	ring->lonely_until = now + 4 * ring->config.join_ns;
	ring->proc = set_of(ring->self);
	ring_gather_enter(ring, "start");
}

static void refused(const struct ring *ring, int from, const char *why)
{
	if (ring->ops.refused)
		ring->ops.refused(ring->owner,
				  from < 0 ? 0 : ring->config.nodes.ids[from], why);
}

static enum wire_fault dispatch(struct ring *ring, enum wire_type type, int from,
				const uint8_t *bytes, size_t length)
{
	enum wire_fault fault;
	union {
		struct wire_token token;
		struct wire_data data;
		struct wire_join join;
		struct wire_commit commit;
		struct ring_id id;
	} u;

	switch (type) {
	case WIRE_TOKEN:
		fault = wire_read_token(bytes, length, &u.token);
		if (fault == WIRE_OK)
			ring_token_received(ring, from, &u.token);
		break;
	case WIRE_DATA:
		fault = wire_read_data(&ring->context, bytes, length, &u.data);
		if (fault == WIRE_OK)
			ring_data_received(ring, from, &u.data);
		break;
	case WIRE_JOIN:
		fault = wire_read_join(&ring->context, bytes, length, &u.join);
		set_put(&ring->illegible, from, fault == WIRE_UNKNOWN_NODE);
		if (fault == WIRE_OK)
			ring_gather_join(ring, from, &u.join);
		break;
	case WIRE_COMMIT:
		fault = wire_read_commit(&ring->context, bytes, length,
					 &u.commit);
		if (fault == WIRE_OK)
			ring_commit_part(ring, from, &u.commit);
		break;
	case WIRE_MERGE:
		ring->stats.memb_merge_detect_rx++;
		fault = wire_read_ring(bytes, length, &u.id);
		if (fault == WIRE_OK)
			ring_gather_foreign(ring, from, u.id);
		break;
	case WIRE_HOLD_CANCEL:
		ring->stats.token_hold_cancel_rx++;
		fault = wire_read_ring(bytes, length, &u.id);
		if (fault == WIRE_OK && ring->is_parked &&
		    ring_id_equal(u.id, ring->installed.id)) {
			ring->idle = 0;
			ring_token_unpark(ring);
		}
		break;
	default:
		fault = WIRE_BAD_TYPE;
		break;
	}
	return fault;
}

void ring_receive(struct ring *ring, uint64_t now, const uint8_t *bytes,
		  size_t length)
{
	enum wire_type type;
	enum wire_fault fault;
	int from = TOTEM_NO_INDEX;

	if (ring->state == RING_STOPPED)
		return;
	ring->now = now;
	fault = wire_open(&ring->context, bytes, length, &type, &from);
	if (fault == WIRE_OK && from == ring->self) {
		ring->stats.own_id_rx++;
		refused(ring, from, "is from our own node id, but not from us");
		return;
	}
	if (fault == WIRE_OK)
		fault = dispatch(ring, type, from, bytes, length);
	ring->stats.faults[fault]++;
	if (fault != WIRE_OK)
		refused(ring, from, wire_fault_text(fault));
}

static void token_lost(struct ring *ring)
{
	switch (ring->state) {
	case RING_OPERATIONAL:
		ring->stats.operational_token_lost++;
		break;
	case RING_RECOVERY:
		ring->stats.recovery_token_lost++;
		break;
	case RING_COMMIT:
		ring->stats.commit_token_lost++;
		break;
	default:
		ring->stats.gather_token_lost++;
		break;
	}
	ring_gather_enter(ring, "token lost");
}

static void merge_detect(struct ring *ring)
{
	struct node_set others = set_minus(ring_gather_audience(ring),
					   ring->installed.members);
	size_t length;

	ring_arm(ring, TIMER_MERGE, ring->config.merge_ns);
	if (set_is_empty(others))
		return;
	length = wire_write_ring(&ring->context, WIRE_MERGE, ring->installed.id,
				 ring->packet);
	ring->ops.send_all(ring->owner, others, ring->packet, length);
	ring->stats.memb_merge_detect_tx++;
}

static void send_again(struct ring *ring)
{
	if (ring->is_commit_out) {
		ring_commit_send(ring);
		return;
	}
	ring->ops.send_one(ring->owner, ring->resend_to, ring->last_sent,
			   ring->resend_bytes);
	ring_arm_retransmit(ring);
}

static void fire(struct ring *ring, enum ring_timer timer)
{
	ring_disarm(ring, timer);
	switch (timer) {
	case TIMER_TOKEN_LOSS:
		token_lost(ring);
		break;
	case TIMER_RETRANSMIT:
		send_again(ring);
		break;
	case TIMER_HOLD:
		ring_token_unpark(ring);
		break;
	case TIMER_JOIN:
		ring_gather_send_join(ring, false);
		break;
	case TIMER_CONSENSUS:
		ring_gather_consensus_timeout(ring);
		break;
	case TIMER_MERGE:
		merge_detect(ring);
		break;
	default:
		break;
	}
}

void ring_advance(struct ring *ring, uint64_t now)
{
	int t;

	ring->now = now;
	for (t = 0; t < TIMER_COUNT && ring->state != RING_STOPPED; t++)
		if (ring->due[t] <= now)
			fire(ring, (enum ring_timer)t);
}

uint64_t ring_deadline(const struct ring *ring)
{
	uint64_t first = UINT64_MAX;
	int t;

	for (t = 0; t < TIMER_COUNT && ring->state != RING_STOPPED; t++)
		first = min_u64(first, ring->due[t]);
	return first;
}

void ring_evidence(struct ring *ring, uint64_t now, uint32_t node)
{
	int index = node_index(&ring->config.nodes, node);

	if (ring->state == RING_STOPPED || index == TOTEM_NO_INDEX ||
	    index == ring->self)
		return;
	ring->now = now;
	ring->stats.evidence_rx++;
	ring_gather_evidence(ring, index);
}

void ring_evict(struct ring *ring, uint64_t now, uint32_t node)
{
	int index = node_index(&ring->config.nodes, node);

	if (ring->state == RING_STOPPED || index == TOTEM_NO_INDEX ||
	    index == ring->self)
		return;
	ring->now = now;
	ring_gather_evict(ring, index);
}

void ring_again(struct ring *ring, uint64_t now)
{
	if (ring->state != RING_OPERATIONAL)
		return;
	ring->now = now;
	ring_gather_enter(ring, "again");
}

void ring_wake(struct ring *ring, uint64_t now)
{
	int rep = set_next(ring->installed.members, 0);
	size_t length;

	if (ring->state != RING_OPERATIONAL)
		return;
	ring->now = now;
	if (ring->is_running) {
		ring->idle = 0; /* from within: the visit goes on to it */
	} else if (ring->is_parked) {
		ring->idle = 0;
		ring_token_unpark(ring);
	} else if (ring->idle > 1 && rep != ring->self) {
		ring->idle = 0; /* once is enough until the token was here */
		length = wire_write_ring(&ring->context, WIRE_HOLD_CANCEL,
					 ring->installed.id, ring->packet);
		ring->ops.send_one(ring->owner, rep, ring->packet, length);
		ring->stats.token_hold_cancel_tx++;
	}
}

void ring_synchronised(struct ring *ring, uint64_t now)
{
	ring->is_synchronised = true;
	ring_wake(ring, now);
}

void ring_seq_saved(struct ring *ring, uint64_t now, uint64_t seq)
{
	ring->now = now;
	if (seq > ring->saved_seq)
		ring->saved_seq = seq;
	if (ring->wants_commit && ring->state == RING_GATHER) {
		ring->wants_commit = false;
		ring_gather_check(ring);
	}
}

void ring_leave(struct ring *ring, uint64_t now)
{
	int t;

	if (ring->state == RING_STOPPED)
		return;
	ring->now = now;
	ring_gather_send_join(ring, true);
	ring_move(ring, RING_STOPPED);
	for (t = 0; t < TIMER_COUNT; t++)
		ring->due[t] = UINT64_MAX;
}

enum ring_state ring_state(const struct ring *ring)
{
	return ring->state;
}

struct ring_id ring_current(const struct ring *ring)
{
	return ring->installed.id;
}

struct node_set ring_members(const struct ring *ring)
{
	return ring->installed.members;
}

struct ring_timing ring_timing(const struct ring *ring)
{
	return ring->timing;
}

const struct ring_config *ring_settings(const struct ring *ring)
{
	return &ring->config;
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
	return &ring->stats;
}

struct node_set ring_waiting_for(const struct ring *ring)
{
	struct node_set waiting = { { 0 } };
	int i, position = 0;

	if (ring->is_unplugged)
		return waiting;
	for (i = set_next(ring->installed.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(ring->installed.members, i + 1))
		if (!set_has(&ring->plugged, position++))
			set_add(&waiting, i);
	return waiting;
}

size_t ring_payload_room(const struct ring *ring)
{
	return ring->config.packet_bytes - WIRE_DATA_OVERHEAD;
}
