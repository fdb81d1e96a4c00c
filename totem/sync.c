/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

enum sync_kind { KIND_GREETING = 1, KIND_STATE, KIND_DONE };

enum { STATE_HEAD_BYTES = 2, GREETING_BYTES = 1 + 4 + 8 + 1 };

enum { DEFAULT_DEADLINE_S = 30 };

enum phase {
	PHASE_IDLE, /* before the first configuration */
	PHASE_GREETING,
	PHASE_PROCESSING,
	PHASE_ACTIVE,
};

struct service {
	const char *name; /* NULL: there is none of this number */
	const struct sync_service_ops *ops;
	void *owner;
	bool is_done;
};

/* What a member told of itself in this configuration. */
struct peer {
	bool has_greeted;
	struct ring_id epoch;
	uint32_t services, done; /* a bit each */
};

struct sync {
	struct sync_config config;
	struct sync_ops ops;
	void *owner;
	int self;
	struct sync_stats stats;

	struct service services[SYNC_SERVICE_LIMIT];
	struct peer peers[TOTEM_MAX_NODES];
	struct pack_queue queue;
	struct pack_assembly in[TOTEM_MAX_NODES];

	enum phase phase;
	struct sync_configuration now_in;
	bool needs_greeting;
	bool is_ending;
	bool is_broken;
	bool is_quorate; /* what is active */
	struct ring_id epoch;

	uint64_t half_ns;
	uint64_t due_at;   /* what comes next: late, the deadline, evictions */
	unsigned halves;   /* of the deadline that are over */
};

struct sync *sync_new(const struct sync_config *config, const struct sync_ops *ops,
		      void *owner, struct err *err)
{
	int self = node_index(&config->nodes, config->self);
	struct sync *s;

	if (self == TOTEM_NO_INDEX) {
		err_set(err, -EINVAL, "node %u is not among the configured nodes",
			config->self);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		err_nomem(err, "sync services");
		return NULL;
	}
	s->config = *config;
	s->ops = *ops;
	s->owner = owner;
	s->self = self;
	s->epoch = config->epoch;
	s->half_ns = (config->deadline_ns ? config->deadline_ns :
					    DEFAULT_DEADLINE_S * NS_PER_S) / 2;
	s->due_at = UINT64_MAX;
	pack_queue_init(&s->queue, 0);
	return s;
}

static void forget_messages(struct sync *s)
{
	pack_queue_fini(&s->queue);
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		pack_assembly_drop(&s->in[i]);
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	forget_messages(s);
	free(s);
}

void sync_register(struct sync *s, enum sync_service_id id, const char *name,
		   const struct sync_service_ops *ops, void *owner)
{
	s->services[id] = (struct service){ .name = name, .ops = ops, .owner = owner };
}

void sync_break(struct sync *s, const char *why)
{
	if (s->is_broken)
		return;
	s->is_broken = true;
	s->due_at = UINT64_MAX;
	s->ops.broken(s->owner, why);
}

bool sync_is_broken(const struct sync *s)
{
	return s->is_broken;
}

static bool is_under_way(const struct sync *s)
{
	return s->phase == PHASE_GREETING || s->phase == PHASE_PROCESSING;
}

/* --- telling ----------------------------------------------------------------------- */

static void append(struct sync *s, struct pack_message *m)
{
	if (m)
		pack_queue_append(&s->queue, m);
	else
		sync_break(s, "has no memory to synchronise");
}

static void greet(struct sync *s)
{
	uint8_t bytes[GREETING_BYTES + SYNC_SERVICE_LIMIT], count = 0;
	struct wr wr = wr_over(bytes, sizeof(bytes));
	int i;

	s->needs_greeting = false;
	for (i = 0; i < SYNC_SERVICE_LIMIT; i++)
		if (s->services[i].name)
			count++;
	wr_u8(&wr, KIND_GREETING);
	wr_u32(&wr, s->epoch.rep);
	wr_u64(&wr, s->epoch.seq);
	wr_u8(&wr, count);
	for (i = 0; i < SYNC_SERVICE_LIMIT; i++)
		if (s->services[i].name)
			wr_u8(&wr, (uint8_t)i);
	append(s, pack_message_new(bytes, wr.at, NULL, 0, false));
}

int sync_tell(struct sync *s, enum sync_service_id id, const struct iovec *parts,
	      int count)
{
	const uint8_t head[STATE_HEAD_BYTES] = { KIND_STATE, (uint8_t)id };
	struct pack_message *m;
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > SYNC_MAX_MESSAGE - length)
			return -EMSGSIZE;
		length += parts[i].iov_len;
	}
	if (pack_cost(length + sizeof(head)) > pack_credit(&s->queue))
		return -EAGAIN;
	m = pack_message_new(head, sizeof(head), parts, count, false);
	if (!m)
		return -ENOMEM;
	pack_queue_append(&s->queue, m);
	return 0;
}

static void finish(struct sync *s, int id)
{
	const uint8_t bytes[] = { KIND_DONE, (uint8_t)id };

	s->services[id].is_done = true;
	append(s, pack_message_new(bytes, sizeof(bytes), NULL, 0, false));
}

/* Every service that has more to tell, as far as the queue has room. */
static void process(struct sync *s)
{
	for (int id = 0; id < SYNC_SERVICE_LIMIT && !s->is_broken; id++) {
		struct service *v = &s->services[id];

		if (v->name && !v->is_done && v->ops->process(v->owner) == SYNC_DONE)
			finish(s, id);
	}
}

void sync_go_on(struct sync *s)
{
	if (s->is_broken || s->phase != PHASE_PROCESSING)
		return;
	process(s);
	s->ops.wake(s->owner);
}

size_t sync_fill(struct sync *s, uint8_t *payload, size_t room, bool *is_safe)
{
	if (s->needs_greeting && !s->is_broken)
		greet(s);
	if (s->phase == PHASE_PROCESSING && pack_credit(&s->queue) >= s->queue.limit / 2)
		process(s);
	return s->is_broken ? 0 : pack_queue_fill(&s->queue, payload, room, is_safe);
}

size_t sync_backlog(const struct sync *s)
{
	if (s->is_broken)
		return 0;
	return s->queue.unsent + (s->needs_greeting ? PACK_MIN_ROOM : 0);
}

/* --- configurations ---------------------------------------------------------------- */

/* Y2 */
static void abort_all(struct sync *s)
{
	s->stats.aborts++;
	for (int id = 0; id < SYNC_SERVICE_LIMIT; id++)
		if (s->services[id].name)
			s->services[id].ops->abort(s->services[id].owner);
}

void sync_configured(struct sync *s, uint64_t now, const struct sync_configuration *c)
{
	if (s->is_broken)
		return;
	if (is_under_way(s))
		abort_all(s);
	forget_messages(s);
	memset(s->peers, 0, sizeof(s->peers));
	s->now_in = *c;
	s->phase = PHASE_GREETING;
	s->is_ending = false;
	s->halves = 0;
	s->due_at = now + s->half_ns;
	for (int id = 0; id < SYNC_SERVICE_LIMIT; id++) { /* Y1 */
		struct service *v = &s->services[id];

		v->is_done = false;
		if (v->name && !s->is_broken)
			v->ops->init(v->owner, c);
	}
	s->needs_greeting = true;
	s->ops.wake(s->owner);
}

void sync_ending(struct sync *s)
{
	s->is_ending = true;
}

void sync_unplugged(struct sync *s)
{
	if (s->is_broken || !is_under_way(s))
		return;
	if (!set_is_empty(sync_waiting_for(s))) {
		/* somebody is ahead of the order: no state of ours would be true */
		sync_break(s, "was told that all are synchronised, and it is not");
		return;
	}
	s->phase = PHASE_ACTIVE;
	s->due_at = UINT64_MAX;
	s->is_quorate = s->ops.is_quorate(s->owner, s->now_in.members);
	if (s->is_quorate)
		s->epoch = s->now_in.id;
	s->stats.activations++;
	forget_messages(s);
	for (int id = 0; id < SYNC_SERVICE_LIMIT && !s->is_broken; id++)
		if (s->services[id].name)
			s->services[id].ops->activate(s->services[id].owner);
}

/* --- hearing ------------------------------------------------------------------------- */

struct source {
	struct sync *s;
	int from;
};

static void fault(struct sync *s, enum sync_fault what)
{
	s->stats.faults[what]++;
}

static void look_whether_all_are_done(struct sync *s)
{
	if (!s->is_ending && !s->is_broken && set_is_empty(sync_waiting_for(s)))
		s->ops.synchronised(s->owner);
}

static void take_greeting(struct sync *s, struct peer *p, struct rd *rd)
{
	struct ring_id epoch = { .rep = rd_u32(rd) };
	uint32_t services = 0;
	uint8_t count;

	epoch.seq = rd_u64(rd);
	count = rd_u8(rd);
	for (int i = 0; i < count; i++) {
		uint8_t id = rd_u8(rd);

		if (id >= SYNC_SERVICE_LIMIT)
			rd->failed = true;
		else
			services |= 1u << id;
	}
	if (rd->failed || rd->at != rd->length) {
		fault(s, SYNC_FAULT_MESSAGE);
		return;
	}
	if (p->has_greeted) {
		fault(s, SYNC_FAULT_ORDER);
		return;
	}
	*p = (struct peer){ .has_greeted = true, .epoch = epoch, .services = services };
	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1))
		if (!s->peers[i].has_greeted)
			return;
	s->phase = PHASE_PROCESSING; /* Y6 */
	sync_go_on(s);
	look_whether_all_are_done(s); /* nobody has any service */
}

/* It has the service, and has not said that it is done. */
static bool may_speak(const struct sync *s, const struct peer *p, uint8_t id)
{
	return s->phase == PHASE_PROCESSING && id < SYNC_SERVICE_LIMIT &&
	       ((p->services & ~p->done) >> id & 1);
}

static void take_state(struct sync *s, int from, struct rd *rd)
{
	const struct peer *p = &s->peers[from];
	uint8_t id = rd_u8(rd);

	if (rd->failed)
		fault(s, SYNC_FAULT_MESSAGE);
	else if (!may_speak(s, p, id))
		fault(s, SYNC_FAULT_ORDER);
	else if (!s->services[id].name)
		fault(s, SYNC_FAULT_SERVICE);
	else
		s->services[id].ops->deliver(s->services[id].owner, from,
					     rd->base + rd->at, rd->length - rd->at);
}

static void take_done(struct sync *s, struct peer *p, struct rd *rd)
{
	uint8_t id = rd_u8(rd);

	if (rd->failed || rd->at != rd->length) {
		fault(s, SYNC_FAULT_MESSAGE);
		return;
	}
	if (!may_speak(s, p, id)) {
		fault(s, SYNC_FAULT_ORDER);
		return;
	}
	p->done |= 1u << id;
	look_whether_all_are_done(s);
}

static void take(void *source, const uint8_t *message, size_t length)
{
	const struct source *from = source;
	struct sync *s = from->s;
	struct rd rd = rd_over(message, length);
	uint8_t kind = rd_u8(&rd);

	if (s->is_broken)
		return;
	if (kind == KIND_GREETING)
		take_greeting(s, &s->peers[from->from], &rd);
	else if (kind == KIND_STATE)
		take_state(s, from->from, &rd);
	else if (kind == KIND_DONE)
		take_done(s, &s->peers[from->from], &rd);
	else
		fault(s, SYNC_FAULT_MESSAGE);
}

void sync_deliver(struct sync *s, struct ring_id id, int from, const uint8_t *payload,
		  size_t length)
{
	struct source source = { s, from };

	if (s->is_broken)
		return;
	if (from < 0 || !set_has(&s->now_in.members, from) ||
	    !ring_id_equal(id, s->now_in.id))
		fault(s, SYNC_FAULT_STRANGER); /* Y4 */
	else if (!is_under_way(s))
		fault(s, SYNC_FAULT_ORDER);
	else if (pack_receive(&s->in[from], payload, length, &s->stats.pack, take,
			      &source) == PACK_NO_MEMORY)
		sync_break(s, "has no memory for what others tell");
}

/* --- Y5 ------------------------------------------------------------------------------ */

/* For people: what of this member is awaited. */
static const char *awaited(const struct sync *s, int node)
{
	uint32_t unfinished = sync_unfinished(s, node);
	const char *name;

	if (!s->peers[node].has_greeted)
		return "greeting";
	name = unfinished ? sync_service_name(s, __builtin_ctz(unfinished)) : NULL;
	return name ? name : "service unknown here";
}

static void tell_late(struct sync *s, struct node_set late)
{
	for (int i = set_next(late, 0); i != TOTEM_NO_INDEX; i = set_next(late, i + 1)) {
		s->stats.late++;
		s->ops.late(s->owner, i, awaited(s, i));
	}
}

/* Who does not see its own deadline is helped along. */
static void evict(struct sync *s, struct node_set late)
{
	for (int i = set_next(late, 0); i != TOTEM_NO_INDEX; i = set_next(late, i + 1)) {
		s->stats.evicted++;
		s->ops.evict(s->owner, i, awaited(s, i));
	}
}

void sync_advance(struct sync *s, uint64_t now)
{
	struct node_set late;

	if (now < s->due_at)
		return;
	s->due_at = now + s->half_ns;
	s->halves++;
	late = sync_waiting_for(s);
	if (s->halves == 1 || set_equal(late, s->now_in.members))
		tell_late(s, late); /* again, as long as nobody holds up another */
	else if (set_has(&late, s->self))
		sync_break(s, "did not finish synchronising its services in time");
	else if (s->halves > 2)
		evict(s, late);
}

uint64_t sync_deadline(const struct sync *s)
{
	return s->due_at;
}

/* --- looking ------------------------------------------------------------------------- */

static int compare_ids(struct ring_id a, struct ring_id b)
{
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return a.rep < b.rep ? -1 : a.rep > b.rep;
}

struct ring_id sync_epoch_of(const struct sync *s, int node)
{
	return s->peers[node].epoch;
}

struct node_set sync_winners(const struct sync *s)
{
	struct node_set winners = { { 0 } };
	struct ring_id best = { 0 };

	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1)) {
		int order = compare_ids(s->peers[i].epoch, best);

		if (order > 0) {
			best = s->peers[i].epoch;
			winners = set_of(i);
		} else if (order == 0) {
			set_add(&winners, i);
		}
	}
	return winners;
}

bool sync_is_quorate(const struct sync *s)
{
	return s->phase == PHASE_ACTIVE && s->is_quorate;
}

bool sync_is_active(const struct sync *s)
{
	return s->phase == PHASE_ACTIVE;
}

struct ring_id sync_epoch(const struct sync *s)
{
	return s->epoch;
}

const struct sync_stats *sync_stats(const struct sync *s)
{
	return &s->stats;
}

bool sync_has_greeted(const struct sync *s, int node)
{
	return s->peers[node].has_greeted;
}

uint32_t sync_unfinished(const struct sync *s, int node)
{
	return s->peers[node].services & ~s->peers[node].done;
}

struct node_set sync_waiting_for(const struct sync *s)
{
	struct node_set late = { { 0 } };

	if (!is_under_way(s))
		return late;
	for (int i = set_next(s->now_in.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->now_in.members, i + 1))
		if (!s->peers[i].has_greeted || sync_unfinished(s, i))
			set_add(&late, i);
	return late;
}

const char *sync_service_name(const struct sync *s, int id)
{
	return id >= 0 && id < SYNC_SERVICE_LIMIT ? s->services[id].name : NULL;
}
