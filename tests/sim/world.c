/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "tests/sim/apps.h"
#include "tests/sim/checker.h"
#include "tests/sim/clerks.h"
#include "tests/sim/cpg_node.h"
#include "tests/sim/lock_node.h"
#include "tests/sim/lockers.h"
#include "tests/sim/talkers.h"
#include "tests/sim/totem_node.h"
#include "lockres/lock_manager.h"
#include "totem/totem.h"

enum { SOCKET_BYTES = 1 << 18 };

enum sim_event_kind {
	EVENT_PACKET,
	EVENT_TIMER,
	EVENT_EVIDENCE,
	EVENT_SAVED,
	EVENT_SYNCHRONISED,
	EVENT_EVICT,
	EVENT_WAKE,
	EVENT_POKE,
	EVENT_CALL,
};

struct sim_event {
	uint64_t at, number; /* ties in the order of their making */
	enum sim_event_kind kind;
	int node;
	uint64_t incarnation; /* of the node: what was for an earlier one is gone */
	uint64_t value;       /* EVIDENCE: about whom; TIMER: set to; else a
			       * ring seq */
	size_t length;
	uint8_t *bytes;       /* owned */
	void (*call)(void *owner);
	void *owner;
};

/* splitmix64 */
uint64_t sim_random(struct sim_world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_world *w, uint64_t limit)
{
	return sim_random(w) % limit;
}

bool sim_is_up(const struct sim_world *w, int node)
{
	return w->nodes[node].ring || w->nodes[node].totem;
}

static bool chance(struct sim_world *w, uint32_t ppm)
{
	return ppm && sim_below(w, 1000000) < ppm;
}

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failure[0] || w->is_lawless)
		return; /* the first one counts */
	w->failed_at = w->now;
	va_start(ap, fmt);
	(void)vsnprintf(w->failure, sizeof(w->failure), fmt, ap);
	va_end(ap);
}

void sim_say(struct sim_world *w, int node, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	fprintf(w->trace, "[%9.3f] ", (double)w->now / SIM_MS);
	if (node >= 0)
		fprintf(w->trace, "n%d ", node + 1);
	va_start(ap, fmt);
	vfprintf(w->trace, fmt, ap);
	va_end(ap);
	fputc('\n', w->trace);
}

/* --- the heap ---------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
	struct sim_event t = *a;

	*a = *b;
	*b = t;
}

static void push(struct sim_world *w, struct sim_event e)
{
	size_t i = w->heap_count;

	if (w->heap_count == w->heap_room) {
		w->heap_room = w->heap_room ? 2 * w->heap_room : 1024;
		w->heap = realloc(w->heap, w->heap_room * sizeof(*w->heap));
		if (!w->heap)
			abort();
	}
	e.number = w->event_number++;
	w->heap[w->heap_count++] = e;
	while (i > 0 && is_before(&w->heap[i], &w->heap[(i - 1) / 2])) {
		swap(&w->heap[i], &w->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static struct sim_event pop(struct sim_world *w)
{
	struct sim_event first = w->heap[0];
	size_t i = 0;

	w->heap[0] = w->heap[--w->heap_count];
	for (;;) {
		size_t left = 2 * i + 1, least = i;

		if (left < w->heap_count &&
		    is_before(&w->heap[left], &w->heap[least]))
			least = left;
		if (left + 1 < w->heap_count &&
		    is_before(&w->heap[left + 1], &w->heap[least]))
			least = left + 1;
		if (least == i)
			return first;
		swap(&w->heap[i], &w->heap[least]);
		i = least;
	}
}

/* --- the network --------------------------------------------------------------- */

static void deliver_later(struct sim_world *w, int to, const uint8_t *bytes,
			  size_t length)
{
	const struct sim_faults *f = &w->faults;
	struct sim_event e = {
		.at = w->now + f->delay_min_ns +
		      sim_below(w, f->delay_max_ns - f->delay_min_ns + 1),
		.kind = EVENT_PACKET,
		.node = to,
		.length = length,
		.bytes = malloc(length),
	};

	if (!e.bytes)
		abort();
	memcpy(e.bytes, bytes, length);
	if (w->is_lawless && chance(w, f->corrupt_ppm))
		e.bytes[sim_below(w, length)] ^= (uint8_t)(1 << sim_below(w, 8));
	if (w->is_lawless && chance(w, f->corrupt_ppm / 4))
		e.length = sim_below(w, length);
	push(w, e);
}

static void transmit(struct sim_node *from, int to, const uint8_t *bytes,
		     size_t length)
{
	struct sim_world *w = from->world;

	if (length > w->config.packet_bytes)
		sim_fail(w, "n%d sends a packet of %zu bytes", from->index + 1,
			 length);
	if (w->cut[from->index][to] || chance(w, w->faults.loss_ppm) ||
	    (w->is_dropped && w->is_dropped(w, from->index, to, bytes, length)))
		return;
	/* sealed packets that were damaged die before they are read */
	if (!w->is_lawless && chance(w, w->faults.corrupt_ppm))
		return;
	if (!sim_is_up(w, to)) {
		if (!w->cut[to][from->index] && chance(w, w->faults.evidence_ppm))
			push(w, (struct sim_event){
					.at = w->now + 2 * w->faults.delay_min_ns,
					.kind = EVENT_EVIDENCE,
					.node = from->index,
					.incarnation = from->incarnation,
					.value = (uint64_t)to + 1 });
		return;
	}
	deliver_later(w, to, bytes, length);
	if (chance(w, w->faults.duplicate_ppm))
		deliver_later(w, to, bytes, length);
}

static void op_send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	transmit(owner, to, bytes, length);
}

static void op_send_all(void *owner, struct node_set to, const uint8_t *bytes,
			size_t length)
{
	const struct sim_node *from = owner;
	bool is_to_all = from->world->has_group && set_count(to) > 1;
	int i;

	for (i = 0; i < from->world->count; i++)
		if (is_to_all ? i != from->index : set_has(&to, i))
			transmit(owner, i, bytes, length);
}

/* --- what a node's application does ----------------------------------------------- */

static size_t op_backlog(void *owner, bool is_sync)
{
	struct sim_node *n = owner;

	return is_sync ? n->sync_want * 16 : (size_t)n->want * n->want_bytes;
}

/* An id says who sent it, in which life, and as which. */
static uint64_t next_id(struct sim_node *n)
{
	return ((uint64_t)n->index + 1) << 48 | n->incarnation << 32 | ++n->sent;
}

bool sim_is_sent(const struct sim_world *w, uint64_t id)
{
	uint64_t node = (id >> 48) - 1, incarnation = id >> 32 & 0xffff;

	if (node >= (uint64_t)w->count)
		return false;
	return incarnation <= w->nodes[node].incarnation &&
	       (id & 0xffffffff) <= w->nodes[node].sent;
}

static size_t op_fill(void *owner, uint8_t *payload, size_t room, bool is_sync,
		      bool *is_safe)
{
	struct sim_node *n = owner;
	uint32_t *want = is_sync ? &n->sync_want : &n->want;
	size_t length = is_sync ? 16 : min_u64(max_u64(n->want_bytes, 16), room);
	uint64_t id;

	if (*want == 0)
		return 0;
	--*want;
	id = next_id(n);
	memset(payload, (uint8_t)id, length);
	memcpy(payload, &id, sizeof(id));
	*is_safe = n->want_safe;
	checker_sent(n->world->checker, n->index, id);
	return length;
}

static void op_deliver(void *owner, const struct ring_message *m)
{
	struct sim_node *n = owner;

	checker_delivered(n->world->checker, n->index, m);
}

/* Services send a little and take their time, if the scenario says so. */
static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct sim_node *n = owner;
	struct sim_world *w = n->world;

	checker_configured(w->checker, n->index, c);
	if (c->is_transitional)
		return;
	n->sync_want = 0;
	if (w->evict_ns)
		push(w, (struct sim_event){ .at = w->now + w->evict_ns +
						  sim_below(w, w->evict_ns / 4),
					    .kind = EVENT_EVICT,
					    .node = n->index,
					    .incarnation = n->incarnation,
					    .value = c->ring.seq });
	if (n->is_stuck)
		return;
	if (w->sync_ns == 0) {
		checker_synchronised(w->checker, n->index);
		ring_synchronised(n->ring, sim_clock(n));
		return;
	}
	n->sync_want = (uint32_t)sim_below(w, 4);
	push(w, (struct sim_event){ .at = w->now + sim_below(w, w->sync_ns),
				    .kind = EVENT_SYNCHRONISED,
				    .node = n->index,
				    .incarnation = n->incarnation,
				    .value = c->ring.seq });
}

static void op_unplugged(void *owner)
{
	struct sim_node *n = owner;

	checker_unplugged(n->world->checker, n->index);
}

static void op_save_seq(void *owner, uint64_t seq)
{
	struct sim_node *n = owner;

	push(n->world, (struct sim_event){
			       .at = n->world->now + SIM_MS +
				     sim_below(n->world, n->world->save_ns),
			       .kind = EVENT_SAVED,
			       .node = n->index,
			       .incarnation = n->incarnation,
			       .value = seq });
}

static void op_trace(void *owner, const char *line)
{
	struct sim_node *n = owner;

	sim_say(n->world, n->index, "%s", line);
}

/* --- people ------------------------------------------------------------------------ */

struct sim_world *sim_new(uint64_t seed, int nodes, FILE *trace)
{
	struct sim_world *w = calloc(1, sizeof(*w));
	int i;

	if (!w)
		abort();
	w->seed = w->random = seed;
	w->count = nodes;
	w->trace = trace;
	w->save_ns = 5 * SIM_MS;
	w->config = (struct ring_config){
		.cluster = "sim",
		.token_ns = 300ull * SIM_MS,
		.window_bytes = 64 << 10,
		.visit_bytes = 16 << 10,
		.ahead_bytes = 4 << 10,
		.packet_bytes = 1400,
	};
	w->faults = (struct sim_faults){ .delay_min_ns = SIM_MS / 2,
					 .delay_max_ns = 2 * SIM_MS,
					 .evidence_ppm = 500000 };
	for (i = 0; i < nodes; i++) {
		w->nodes[i].world = w;
		w->nodes[i].index = i;
	}
	w->checker = checker_new(w);
	return w;
}

void sim_use_corosync(struct sim_world *w)
{
	w->cpg = sim_cpg_new(w);
}

void sim_use_totems(struct sim_world *w)
{
	w->apps = apps_new(w);
	w->probes = probes_new();
	w->clerks = clerks_new(w);
}

void sim_use_locks(struct sim_world *w)
{
	w->has_locks = true;
}

void sim_use_lockers(struct sim_world *w)
{
	sim_use_locks(w);
	w->lockers = lockers_new(w);
}

void sim_use_talkers(struct sim_world *w)
{
	sim_use_locks(w);
	w->talkers = talkers_new(w);
}

/* Its process is gone. */
static void end_node(struct sim_node *n)
{
	if (n->totem)
		totem_node_end(n);
	ring_free(n->ring);
	n->ring = NULL;
}

void sim_free(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++) {
		end_node(&w->nodes[i]);
		lock_node_forget(&w->nodes[i]);
		free(w->nodes[i].quorum_memory);
	}
	if (w->apps) {
		apps_free(w->apps);
		probes_free(w->probes);
		clerks_free(w->clerks);
	}
	if (w->lockers)
		lockers_free(w->lockers);
	if (w->talkers)
		talkers_free(w->talkers);
	if (w->rider_ops)
		w->rider_ops->free(w->rider);
	while (w->heap_count > 0)
		free(w->heap[--w->heap_count].bytes);
	free(w->heap);
	sim_cpg_free(w->cpg);
	checker_free(w->checker);
	free(w);
}

static void arm(struct sim_world *w, struct sim_node *n)
{
	uint64_t at = n->totem ? totem_deadline(n->totem) :
		      n->ring  ? ring_deadline(n->ring) :
				 UINT64_MAX;

	if (n->locks)
		at = min_u64(at, lock_manager_deadline(n->locks));
	if (n->totem && w->rider_ops)
		at = min_u64(at, w->rider_ops->deadline(w->rider, n));
	if (at == UINT64_MAX || at >= n->armed_at)
		return;
	n->armed_at = at;
	push(w, (struct sim_event){ .at = max_u64(at, sim_clock(n)) - n->clock_ahead,
				    .kind = EVENT_TIMER,
				    .node = n->index,
				    .incarnation = n->incarnation,
				    .value = at });
}

void sim_start(struct sim_world *w, int node)
{
	static const struct ring_ops ops = {
		.send_one = op_send_one,
		.send_all = op_send_all,
		.fill = op_fill,
		.backlog = op_backlog,
		.deliver = op_deliver,
		.configured = op_configured,
		.unplugged = op_unplugged,
		.save_seq = op_save_seq,
		.trace = op_trace,
	};
	struct sim_node *n = &w->nodes[node];
	struct ring_ops with = ops;
	struct ring_config config = w->config;
	int i;

	if (sim_is_up(w, node))
		return;
	for (i = 0; i < w->count; i++)
		config.nodes.ids[config.nodes.count++] = (uint32_t)i + 1;
	config.self = (uint32_t)node + 1;
	config.is_multicast = w->has_group;
	config.incarnation = ++n->incarnation;
	/* durable before the ring starts */
	n->disk_seq += RING_SEQ_STRIDE;
	config.first_ring_seq = n->disk_seq;
	if (!w->trace)
		with.trace = NULL;
	n->want = n->sync_want = 0;
	n->armed_at = UINT64_MAX;
	n->paused_until = 0;
	sim_say(w, node, "starts, incarnation %" PRIu64, n->incarnation);
	if (w->apps) {
		totem_node_start(n, &config, &with);
	} else {
		checker_started(w->checker, node);
		n->ring = ring_new(&config, &with, n);
		if (!n->ring)
			abort();
		ring_start(n->ring, sim_clock(n));
	}
	arm(w, n);
}

void sim_crash(struct sim_world *w, int node)
{
	struct sim_node *n = &w->nodes[node];

	if (!sim_is_up(w, node))
		return;
	sim_say(w, node, "crashes");
	checker_crashed(w->checker, node);
	end_node(n);
}

void sim_lose_disk(struct sim_world *w, int node)
{
	/* a new disk is set up with a seq beyond any: time since 1970, say */
	w->nodes[node].disk_seq += RING_SEQ_STRIDE * 1000;
	free(w->nodes[node].quorum_memory);
	w->nodes[node].quorum_memory = NULL;
}

void sim_leave(struct sim_world *w, int node)
{
	struct sim_node *n = &w->nodes[node];

	if (!sim_is_up(w, node))
		return;
	sim_say(w, node, "leaves");
	if (n->totem)
		totem_leave(n->totem, sim_clock(n));
	else
		ring_leave(n->ring, sim_clock(n));
	checker_crashed(w->checker, node);
	end_node(n);
}

void sim_pause(struct sim_world *w, int node, uint64_t for_ns)
{
	sim_say(w, node, "is paused for %" PRIu64 " ms", for_ns / SIM_MS);
	w->nodes[node].paused_until = w->now + for_ns;
}

void sim_jump(struct sim_world *w, int node, uint64_t by_ns)
{
	struct sim_node *n = &w->nodes[node];

	sim_say(w, node, "finds its clock %" PRIu64 " ms later", by_ns / SIM_MS);
	n->clock_ahead += by_ns;
	n->armed_at = UINT64_MAX; /* what was to come is due, or nearer */
	arm(w, n);
}

void sim_cut(struct sim_world *w, int from, int to, bool is_cut)
{
	w->cut[from][to] = is_cut;
	if (w->cpg)
		sim_cpg_cut(w->cpg);
}

void sim_heal(struct sim_world *w)
{
	memset(w->cut, 0, sizeof(w->cut));
	if (w->cpg)
		sim_cpg_cut(w->cpg);
	w->faults.loss_ppm = 0;
	w->faults.duplicate_ppm = 0;
	w->faults.corrupt_ppm = 0;
	sim_say(w, -1, "all faults end");
}

void sim_send(struct sim_world *w, int node, uint32_t count, uint32_t bytes,
	      bool is_safe)
{
	struct sim_node *n = &w->nodes[node];

	if (!n->ring)
		return;
	n->want += count;
	n->want_bytes = bytes;
	n->want_safe = is_safe;
	if (n->paused_until <= w->now) {
		ring_wake(n->ring, sim_clock(n));
		arm(w, n);
	}
}

void sim_wake(struct sim_world *w, int node)
{
	push(w, (struct sim_event){ .at = w->now,
				    .kind = EVENT_WAKE,
				    .node = node,
				    .incarnation = w->nodes[node].incarnation });
}

void sim_poke(struct sim_world *w, int node, uint64_t after_ns)
{
	push(w, (struct sim_event){ .at = w->now + after_ns,
				    .kind = EVENT_POKE,
				    .node = node,
				    .incarnation = w->nodes[node].incarnation });
}

void sim_call(struct sim_world *w, int node, uint64_t after_ns, void (*call)(void *owner),
	      void *owner)
{
	push(w, (struct sim_event){
			.at = w->now + after_ns,
			.kind = EVENT_CALL,
			.node = node,
			.incarnation = node < 0 ? 0 : w->nodes[node].incarnation,
			.call = call,
			.owner = owner });
}

/* A paused process finds its packets and timers when it goes on. */
static bool postpone(struct sim_world *w, struct sim_event *e)
{
	if (e->node < 0 || w->nodes[e->node].paused_until <= w->now)
		return false;
	e->at = w->nodes[e->node].paused_until;
	push(w, *e);
	return true;
}

/* Enough is enough: the others go on without who is not synchronised. */
static void evict_late(struct sim_node *n)
{
	struct node_set late = ring_waiting_for(n->ring);
	int i;

	for (i = set_next(late, 0); i != TOTEM_NO_INDEX; i = set_next(late, i + 1))
		ring_evict(n->ring, sim_clock(n), (uint32_t)i + 1);
}

static void happen_to_ring(struct sim_world *w, struct sim_node *n,
			   const struct sim_event *e)
{
	switch (e->kind) {
	case EVENT_PACKET:
		ring_receive(n->ring, sim_clock(n), e->bytes, e->length);
		break;
	case EVENT_TIMER:
		ring_advance(n->ring, sim_clock(n));
		break;
	case EVENT_EVIDENCE:
		ring_evidence(n->ring, sim_clock(n), (uint32_t)e->value);
		break;
	case EVENT_SAVED:
		ring_seq_saved(n->ring, sim_clock(n), e->value);
		break;
	case EVENT_SYNCHRONISED:
		if (ring_current(n->ring).seq != e->value)
			break; /* another configuration has come since */
		n->sync_want = 0;
		checker_synchronised(w->checker, n->index);
		ring_synchronised(n->ring, sim_clock(n));
		break;
	case EVENT_EVICT:
		if (ring_current(n->ring).seq == e->value)
			evict_late(n);
		break;
	case EVENT_CALL:
		e->call(e->owner);
		break;
	case EVENT_WAKE:
	case EVENT_POKE:
		break; /* of totems */
	}
}

static void happen_to_totem(struct sim_node *n, const struct sim_event *e)
{
	switch (e->kind) {
	case EVENT_PACKET:
		totem_receive(n->totem, sim_clock(n), e->bytes, e->length);
		break;
	case EVENT_TIMER:
		totem_advance(n->totem, sim_clock(n));
		break;
	case EVENT_EVIDENCE:
		totem_evidence(n->totem, sim_clock(n), (uint32_t)e->value);
		break;
	case EVENT_SAVED:
		totem_seq_saved(n->totem, sim_clock(n), e->value);
		break;
	case EVENT_WAKE:
		totem_wake(n->totem, sim_clock(n));
		break;
	case EVENT_POKE:
		probe_go_on(&n->probe);
		break;
	case EVENT_CALL:
		e->call(e->owner);
		break;
	case EVENT_SYNCHRONISED:
	case EVENT_EVICT:
		break; /* of bare rings */
	}
	if (n->locks && !n->is_broken)
		lock_node_advance(n);
	if (n->world->rider_ops && !n->is_broken)
		n->world->rider_ops->look(n->world->rider, n);
	if (n->is_broken)
		end_node(n);
}

static void happen(struct sim_world *w, struct sim_event *e)
{
	struct sim_node *n = &w->nodes[e->node < 0 ? 0 : e->node];
	bool is_stale = e->kind != EVENT_PACKET && e->incarnation != n->incarnation;

	if (e->node < 0) {
		e->call(e->owner);
		return;
	}
	if (e->kind == EVENT_SAVED && !is_stale)
		n->disk_seq = max_u64(n->disk_seq, e->value);
	if (!sim_is_up(w, e->node) || is_stale)
		return;
	if (e->kind == EVENT_TIMER) {
		if (e->value != n->armed_at)
			return; /* an earlier one was set since, and went off */
		n->armed_at = UINT64_MAX;
	}
	if (n->totem)
		happen_to_totem(n, e);
	else
		happen_to_ring(w, n, e);
	arm(w, n);
}

bool sim_run(struct sim_world *w, uint64_t until)
{
	while (w->heap_count > 0 && w->heap[0].at <= until && !w->failure[0]) {
		struct sim_event e = pop(w);

		w->now = max_u64(w->now, e.at);
		w->events++;
		if (postpone(w, &e))
			continue;
		happen(w, &e);
		free(e.bytes);
	}
	w->now = until;
	return !w->failure[0];
}
