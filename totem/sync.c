/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life, telling, configurations, the deadline: the promises are in sync.h. */
#include "totem/sync_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

enum { DEFAULT_DEADLINE_S = 30 };

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
	s->services[id] = (struct sync_service){ .name = name, .ops = ops, .owner = owner };
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
	uint8_t bytes[SYNC_GREETING_BYTES + SYNC_SERVICE_LIMIT], count = 0;
	struct wr wr = wr_over(bytes, sizeof(bytes));
	int i;

	s->needs_greeting = false;
	for (i = 0; i < SYNC_SERVICE_LIMIT; i++)
		if (s->services[i].name)
			count++;
	wr_u8(&wr, SYNC_KIND_GREETING);
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
	const uint8_t head[SYNC_STATE_HEAD_BYTES] = { SYNC_KIND_STATE, (uint8_t)id };
	struct pack_message *m;
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > SYNC_MAX_MESSAGE - length)
			return -EMSGSIZE;
		length += parts[i].iov_len;
	}
	if (pack_cost(length + sizeof(head)) > pack_credit(&s->queue)) {
		s->needs_room = true;
		return -EAGAIN;
	}
	m = pack_message_new(head, sizeof(head), parts, count, false);
	if (!m)
		return -ENOMEM;
	pack_queue_append(&s->queue, m);
	return 0;
}

static void finish(struct sync *s, int id)
{
	const uint8_t bytes[] = { SYNC_KIND_DONE, (uint8_t)id };

	s->services[id].is_done = true;
	append(s, pack_message_new(bytes, sizeof(bytes), NULL, 0, false));
}

static void tell_waits(struct sync *s, int id, bool waits)
{
	const uint8_t bytes[] = { SYNC_KIND_WAITS, (uint8_t)id, waits };

	s->services[id].waits = waits;
	append(s, pack_message_new(bytes, sizeof(bytes), NULL, 0, false));
}

static void process_one(struct sync *s, int id)
{
	struct sync_service *v = &s->services[id];
	enum sync_progress progress = v->ops->process(v->owner);

	if (progress == SYNC_DONE)
		finish(s, id);
	else if ((progress == SYNC_WAITS) != v->waits)
		tell_waits(s, id, progress == SYNC_WAITS);
}

/* Every service that has more to tell, as far as the queue has room. */
static void process(struct sync *s)
{
	s->needs_room = false;
	s->is_processing = true;
	for (int id = 0; id < SYNC_SERVICE_LIMIT && !s->is_broken; id++) {
		if (s->services[id].name && !s->services[id].is_done)
			process_one(s, id);
	}
	s->is_processing = false;
}

void sync_go_on(struct sync *s)
{
	if (s->is_broken || s->is_processing || s->phase != SYNC_PHASE_PROCESSING)
		return;
	process(s);
	s->ops.wake(s->owner);
}

size_t sync_fill(struct sync *s, uint8_t *payload, size_t room, bool *is_safe)
{
	if (s->needs_greeting && !s->is_broken)
		greet(s);
	if (s->phase == SYNC_PHASE_PROCESSING && pack_credit(&s->queue) >= s->queue.limit / 2)
		process(s);
	return s->is_broken ? 0 : pack_queue_fill(&s->queue, payload, room, is_safe);
}

size_t sync_backlog(const struct sync *s)
{
	if (s->is_broken)
		return 0;
	return s->queue.unsent + (s->needs_greeting || s->needs_room ? PACK_MIN_ROOM : 0);
}

/* --- configurations ---------------------------------------------------------------- */

/* Y2 */
static void abort_all(struct sync *s)
{
	s->stats.aborts++;
	for (int id = 0; id < SYNC_SERVICE_LIMIT; id++)
		if (s->services[id].name && s->services[id].ops->abort)
			s->services[id].ops->abort(s->services[id].owner);
}

void sync_configured(struct sync *s, uint64_t now, const struct sync_configuration *c)
{
	if (s->is_broken)
		return;
	if (sync_is_under_way(s))
		abort_all(s);
	forget_messages(s);
	memset(s->peers, 0, sizeof(s->peers));
	s->now_in = *c;
	s->phase = SYNC_PHASE_GREETING;
	s->is_ending = false;
	s->halves = 0;
	s->due_at = now + s->half_ns;
	for (int id = 0; id < SYNC_SERVICE_LIMIT; id++) { /* Y1 */
		struct sync_service *v = &s->services[id];

		v->is_done = v->waits = false;
		if (v->name && !s->is_broken)
			v->ops->init(v->owner, c);
	}
	s->needs_greeting = true;
	s->needs_room = false;
	s->ops.wake(s->owner);
}

void sync_ending(struct sync *s)
{
	s->is_ending = true;
	for (int id = 0; id < SYNC_SERVICE_LIMIT && !s->is_broken; id++)
		if (s->services[id].name && s->services[id].ops->ending)
			s->services[id].ops->ending(s->services[id].owner);
}

void sync_torn(struct sync *s)
{
	for (int id = 0; id < SYNC_SERVICE_LIMIT && !s->is_broken; id++)
		if (s->services[id].name && s->services[id].ops->torn)
			s->services[id].ops->torn(s->services[id].owner);
}

void sync_unplugged(struct sync *s)
{
	if (s->is_broken || !sync_is_under_way(s))
		return;
	if (!set_is_empty(sync_waiting_for(s))) {
		/* somebody is ahead of the order: no state of ours would be true */
		sync_break(s, "was told that all are synchronised, and it is not");
		return;
	}
	s->phase = SYNC_PHASE_ACTIVE;
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

/* --- Y5 ------------------------------------------------------------------------------ */

/* For people: what of this member is awaited. */
static const char *awaited(const struct sync *s, int node)
{
	uint32_t unfinished = sync_unfinished(s, node) & ~s->peers[node].waits;
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
	late = sync_blamed(s);
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
