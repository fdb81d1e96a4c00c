/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the checkpoint store of node 2 of three, and what the others say, in
 * the group and in the sync phase.
 *
 *	input:  a list of steps: enum step, and what it needs
 *
 * What must hold, for every input:
 *	F1  the state is sound at every step: order, sums, limits, references
 *	F2  our references are our handles, whatever others claim
 *	F3  each request is answered once, or still under way
 *	F4  nothing outside of the buffers is touched (ASan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "totem/checkpoint_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	GROUP_BYTES,  /* from u8, length u8, bytes: others' operation, as it is */
	SYNC_BYTES,   /* the same, in the sync phase */
	OPERATION,    /* from u8, kind u8, which u8: one that is sound */
	HEAD,         /* from u8, epoch u8, operations u8, next u8 */
	CHECKPOINT,   /* from u8, number u8, flags u8: told as it should be */
	SECTION,      /* from u8, number u8, length u8 */
	END,          /* from u8 */
	COUNTS,       /* from u8, number u8, opens u8 */
	INIT,         /* members u8 */
	PROCESS,
	ABORT,
	ACTIVATE,     /* quorate u8 */
	TRANSITIONAL,
	OURS,         /* our messages come back */
	USE,          /* what u8, which u8 */
	STEPS,
};

enum { NODES = 3, SELF = 1, HANDLES = 8, MAX_QUEUE = 64 };

#define EXPECT(cond)                                                         \
	do {                                                                 \
		if (!(cond)) {                                               \
			fprintf(stderr, "%s:%d: %s does not hold\n",         \
				__FILE__, __LINE__, #cond);                  \
			abort();                                             \
		}                                                            \
	} while (0)

struct message {
	size_t length;
	uint8_t *bytes;
};

struct queue {
	struct message messages[MAX_QUEUE];
	size_t count;
};

struct sync {
	const struct sync_service_ops *ops;
	void *owner;
	struct node_set members;
	bool is_telling, is_quorate, is_broken;
	bool is_apart; /* from the first init to an activate: nothing ordinary comes */
	struct ring_id epoch;
	uint64_t ring_seq;
	struct queue told;
};

struct world {
	struct sync sync;
	struct group_engine engine;
	struct group group;
	struct group_handlers handlers;
	struct queue sent;
	struct checkpoint_store *store;
	struct user {
		struct checkpoint_handle *handle;
		bool is_asked, is_open;
	} users[HANDLES];
	long under_way; /* requests without a handle */
};

static void queue_add(struct queue *q, const struct iovec *parts, int count)
{
	struct message *m = &q->messages[q->count++];
	size_t at = 0;

	m->length = 0;
	for (int i = 0; i < count; i++)
		m->length += parts[i].iov_len;
	m->bytes = malloc(m->length + 1);
	EXPECT(m->bytes != NULL);
	for (int i = 0; i < count; at += parts[i++].iov_len)
		if (parts[i].iov_len > 0)
			memcpy(m->bytes + at, parts[i].iov_base, parts[i].iov_len);
}

static void queue_clear(struct queue *q)
{
	while (q->count > 0)
		free(q->messages[--q->count].bytes);
}

/* --- the sync and the group that the store sees --------------------------------- */

void sync_register(struct sync *s, enum sync_service_id id, const char *name,
		   const struct sync_service_ops *ops, void *owner)
{
	(void)id;
	(void)name;
	s->ops = ops;
	s->owner = owner;
}

int sync_tell(struct sync *s, enum sync_service_id id, const struct iovec *parts,
	      int count)
{
	(void)id;
	EXPECT(s->is_telling);
	if (s->told.count == MAX_QUEUE)
		return -EAGAIN;
	queue_add(&s->told, parts, count);
	return 0;
}

void sync_go_on(struct sync *s)
{
	EXPECT(s->is_telling);
	(void)s->ops->process(s->owner);
}

void sync_break(struct sync *s, const char *why)
{
	EXPECT(!s->is_broken && why != NULL);
	s->is_broken = true;
}

struct ring_id sync_epoch_of(const struct sync *s, int node)
{
	return node == SELF ? s->epoch : (struct ring_id){ 0 };
}

struct node_set sync_winners(const struct sync *s)
{
	return s->epoch.seq > 0 ? set_of(SELF) : s->members;
}

bool sync_is_quorate(const struct sync *s)
{
	return s->is_quorate;
}

bool sync_has_service(const struct sync *s, int node, enum sync_service_id id)
{
	(void)s;
	(void)node;
	return id == SYNC_CHECKPOINTS;
}

static int engine_join(struct group_engine *engine, const char *name,
		       size_t name_length, const struct group_handlers *handlers,
		       void *owner, struct group **group, struct err *err)
{
	struct world *w = container_of(engine, struct world, engine);

	(void)name;
	(void)name_length;
	(void)owner;
	(void)err;
	w->handlers = *handlers;
	w->group.engine = engine;
	*group = &w->group;
	return 0;
}

static int engine_multicast(struct group *group, enum group_order order,
			    const struct iovec *parts, int count)
{
	struct world *w = container_of(group, struct world, group);

	EXPECT(order == GROUP_SAFE);
	if (w->sent.count == MAX_QUEUE)
		return -EAGAIN;
	queue_add(&w->sent, parts, count);
	return 0;
}

static void engine_abandon(struct group *group)
{
	(void)group;
}

static const struct group_engine_ops engine_ops = {
	.join = engine_join,
	.multicast = engine_multicast,
	.abandon = engine_abandon,
};

/* --- users ---------------------------------------------------------------------- */

static void on_opened(void *owner, int result)
{
	struct user *u = owner;

	EXPECT(u->is_asked && !u->is_open && result <= 0); /* F3 */
	u->is_asked = false;
	u->is_open = result == 0;
}

static void on_lost(void *owner)
{
	struct user *u = owner;

	EXPECT(u->is_open);
	u->is_open = false;
}

static void on_done(void *owner, int result)
{
	struct world *w = owner;

	EXPECT(w->under_way > 0 && result <= 0);
	w->under_way--;
}

static void use(struct world *w, unsigned int what, unsigned int which)
{
	static const struct checkpoint_handlers handlers = { on_opened, on_lost };
	static const uint8_t data[256] = { 0 };
	struct user *u = &w->users[which % HANDLES];
	char name = (char)('a' + which % 4);
	int r = -EAGAIN;

	if (!u->is_open && !u->is_asked && what % 4 > 0) {
		u->is_asked = checkpoint_open(w->store, &name, 1, what / 4 % 4, &handlers,
					      u, &u->handle) == 0;
	} else if (u->is_open && what % 4 == 1) {
		u->is_open = false;
		checkpoint_close(u->handle);
	} else if (u->is_open && what % 4 == 2) {
		r = checkpoint_write(u->handle, &name, 1, data, what, on_done, w);
	} else if (u->is_open && what % 4 == 3) {
		r = checkpoint_delete(u->handle, &name, 1, on_done, w);
	} else if (what % 4 == 0) {
		r = checkpoint_unlink(w->store, &name, 1, on_done, w);
	}
	w->under_way += r == 0;
}

/* --- what others say ------------------------------------------------------------ */

static void hear_group(struct world *w, int from, const uint8_t *bytes, size_t length)
{
	const struct group_member sender = { (uint32_t)from + 1, 1, GROUP_MEMBER };
	uint8_t *copy = malloc(max_u64(length, 1));

	EXPECT(copy != NULL);
	memcpy(copy, bytes, length);
	if (!w->sync.is_apart)
		w->handlers.deliver(w->store, &w->group, &sender, copy, length);
	free(copy);
}

static void hear_sync(struct world *w, int from, const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(max_u64(length, 1));

	EXPECT(copy != NULL);
	memcpy(copy, bytes, length);
	if (w->sync.is_telling)
		w->sync.ops->deliver(w->store, from, copy, length);
	free(copy);
}

/* Our own come from us alone: a node that speaks as we do is the ring's to notice. */
static int other(struct rd *rd)
{
	return rd_u8(rd) % 2 ? 0 : 2;
}

static struct checkpoint_id some_id(const struct world *w, unsigned int number)
{
	const struct checkpoint *c = checkpoint_tree_numbered(&w->store->live, number);

	return c ? c->id : (struct checkpoint_id){ number, { 1, 1, number } };
}

static void hear_operation(struct world *w, struct rd *rd)
{
	static const uint8_t names[] = "abcd";
	int from = other(rd);
	struct checkpoint_operation o = {
		.kind = (enum checkpoint_kind)(CHECKPOINT_OPEN + rd_u8(rd) % 5),
		.incarnation = 1,
		.serial = 1,
		.flags = CHECKPOINT_CREATE,
	};
	unsigned int which = rd_u8(rd);
	uint8_t head[CHECKPOINT_HEAD_BYTES];

	o.id = some_id(w, which);
	o.name = names + which % 4;
	o.name_length = 1;
	hear_group(w, from, head, checkpoint_operation_write(&o, head));
}

static void hear_told(struct world *w, int from, struct checkpoint_told *m)
{
	uint8_t bytes[CHECKPOINT_HEAD_BYTES + 256] = { 0 };
	size_t length = checkpoint_told_write(m, bytes);

	if (m->kind == CHECKPOINT_TELL_COUNTS)
		memcpy(bytes + length, m->data, m->length);
	hear_sync(w, from, bytes, length + m->length);
}

static void hear_head(struct world *w, struct rd *rd)
{
	int from = other(rd);
	struct checkpoint_told m = { .kind = CHECKPOINT_TELL_HEAD };

	m.head.epoch.seq = rd_u8(rd);
	m.head.operations = rd_u8(rd);
	m.head.next = rd_u8(rd);
	hear_told(w, from, &m);
}

static void hear_checkpoint(struct world *w, struct rd *rd, enum checkpoint_telling kind)
{
	static const uint8_t names[] = "abcdefgh";
	int from = other(rd);
	unsigned int number = rd_u8(rd), more = rd_u8(rd);
	struct checkpoint_told m = { .kind = kind, .id = some_id(w, number) };

	m.is_unlinked = more & 1;
	m.name = names + more / 2 % 8;
	m.name_length = 1;
	m.length = kind == CHECKPOINT_TELL_SECTION ? more : 0;
	hear_told(w, from, &m);
}

static void hear_end(struct world *w, struct rd *rd)
{
	struct checkpoint_told m = {
		.kind = CHECKPOINT_TELL_END,
		.checkpoints = (uint32_t)w->store->temp.count,
		.sections = w->store->phase.sections,
	};

	hear_told(w, other(rd), &m);
}

static void hear_counts(struct world *w, struct rd *rd)
{
	int from = other(rd);
	struct checkpoint_count count = { .id = some_id(w, rd_u8(rd)) };
	uint8_t entry[CHECKPOINT_COUNT_BYTES];
	struct checkpoint_told m = { .kind = CHECKPOINT_TELL_COUNTS };

	count.opens = rd_u8(rd);
	checkpoint_count_write(&count, entry);
	m.data = entry;
	m.length = count.opens > 0 ? sizeof(entry) : 0;
	hear_told(w, from, &m);
}

/* --- the life of a configuration ------------------------------------------------ */

static void end_phase(struct world *w)
{
	w->sync.is_telling = false;
	queue_clear(&w->sync.told);
}

static void init(struct world *w, unsigned int members)
{
	struct sync_configuration c = { .id = { 1, ++w->sync.ring_seq } };

	if (w->sync.is_telling)
		w->sync.ops->abort(w->store);
	end_phase(w);
	c.members.bits[0] = (members & 5) | 1 << SELF;
	w->sync.members = c.members;
	w->sync.is_telling = w->sync.is_apart = true;
	w->sync.ops->init(w->store, &c);
}

static void activate(struct world *w, bool is_quorate)
{
	static const struct group_member all[NODES] = {
		{ 1, 1, GROUP_MEMBER }, { 2, 1, GROUP_MEMBER }, { 3, 1, GROUP_MEMBER } };
	const struct group_change change = { .members = all, .member_count = NODES };

	if (!w->sync.is_telling)
		return;
	end_phase(w);
	w->sync.is_apart = false;
	w->sync.is_quorate = is_quorate;
	if (is_quorate)
		w->sync.epoch = (struct ring_id){ 1, w->sync.ring_seq };
	w->sync.ops->activate(w->store);
	w->handlers.changed(w->store, &w->group, &change);
}

/* All that is queued, but not what comes of it. */
static void ours(struct world *w)
{
	struct queue *q = w->sync.is_telling ? &w->sync.told : &w->sent;
	struct queue now = *q;

	if (w->sync.is_apart && !w->sync.is_telling)
		return;
	q->count = 0;
	for (size_t i = 0; i < now.count; i++) {
		if (w->sync.is_telling)
			hear_sync(w, SELF, now.messages[i].bytes, now.messages[i].length);
		else
			hear_group(w, SELF, now.messages[i].bytes, now.messages[i].length);
	}
	queue_clear(&now);
	if (!w->sync.is_telling)
		w->handlers.credit_opened(w->store, &w->group);
}

/* --- F1, F2 --------------------------------------------------------------------- */

static size_t check_sections(const struct checkpoint *c)
{
	size_t bytes = 0;

	EXPECT(c->count <= c->room && c->count <= CHECKPOINT_MAX_SECTIONS);
	for (size_t i = 0; i < c->count; i++) {
		const struct checkpoint_section *s = c->sections[i];

		EXPECT(s->name_length >= 1 && s->name_length <= CHECKPOINT_MAX_NAME);
		EXPECT(s->length <= CHECKPOINT_MAX_DATA);
		EXPECT(checkpoint_section(c, s->bytes, s->name_length) == s);
		bytes += CHECKPOINT_SECTION_COST + s->name_length + s->length;
	}
	return bytes;
}

static void check_tree(const struct checkpoint_tree *t)
{
	uint32_t opens[NODES] = { 0 };
	size_t bytes = 0, named = 0;
	uint64_t last = 0;

	EXPECT(t->count <= CHECKPOINT_MAX_COUNT);
	for (size_t i = 0; i < t->count; i++) {
		const struct checkpoint *c = t->numbered[i];
		uint32_t sum = 0;

		EXPECT(c->id.number > last && c->id.number < t->next);
		EXPECT(c->name_length >= 1 && c->name_length <= CHECKPOINT_MAX_NAME);
		EXPECT(c->is_unlinked ||
		       checkpoint_tree_named(t, c->name, c->name_length) == c);
		for (int k = 0; k < NODES; k++) {
			opens[k] += c->opens[k];
			sum += c->opens[k];
		}
		EXPECT(sum == c->references);
		named += !c->is_unlinked;
		bytes += check_sections(c);
		last = c->id.number;
	}
	EXPECT(named == t->named_count && bytes == t->bytes &&
	       bytes <= CHECKPOINT_MAX_BYTES);
	for (int k = 0; k < NODES; k++)
		EXPECT(opens[k] == t->opens[k] && opens[k] <= CHECKPOINT_MAX_OPENS);
}

static void check_handles(const struct checkpoint_store *s)
{
	const struct checkpoint_handle *h;
	uint32_t mine = 0;

	qb_list_for_each_entry(h, &s->handles, link)
		mine += h->state != CHECKPOINT_HANDLE_OPENING && !h->is_lost &&
			checkpoint_tree_find(&s->live, &h->id) != NULL;
	EXPECT(mine == s->live.opens[SELF]);
}

static void step(struct world *w, struct rd *rd)
{
	unsigned int what = rd_u8(rd) % STEPS;
	int from;
	size_t length;

	switch (what) {
	case GROUP_BYTES:
	case SYNC_BYTES:
		from = other(rd);
		length = min_u64(rd_u8(rd), rd->length - rd->at);
		if (what == GROUP_BYTES)
			hear_group(w, from, rd->base + rd->at, length);
		else
			hear_sync(w, from, rd->base + rd->at, length);
		rd_seek(rd, rd->at + length);
		break;
	case OPERATION:
		hear_operation(w, rd);
		break;
	case HEAD:
		hear_head(w, rd);
		break;
	case CHECKPOINT:
		hear_checkpoint(w, rd, CHECKPOINT_TELL_CHECKPOINT);
		break;
	case SECTION:
		hear_checkpoint(w, rd, CHECKPOINT_TELL_SECTION);
		break;
	case END:
		hear_end(w, rd);
		break;
	case COUNTS:
		hear_counts(w, rd);
		break;
	case INIT:
		init(w, rd_u8(rd));
		break;
	case PROCESS:
		if (w->sync.is_telling)
			(void)w->sync.ops->process(w->store);
		break;
	case ABORT:
		if (w->sync.is_telling)
			w->sync.ops->abort(w->store);
		end_phase(w);
		break;
	case ACTIVATE:
		activate(w, rd_u8(rd) % 4 > 0);
		break;
	case TRANSITIONAL:
		checkpoint_transitional(w->store);
		break;
	case OURS:
		ours(w);
		break;
	default:
		from = rd_u8(rd);
		use(w, (unsigned int)from, rd_u8(rd));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct checkpoint_store_ops ops = { 0 };
	struct checkpoint_store_config config = {
		.nodes = { .ids = { 1, 2, 3 }, .count = NODES }, .self = SELF + 1,
		.incarnation = 7,
	};
	struct world w = { .engine = { &engine_ops } };
	struct rd rd = rd_over(data, size);
	struct err err = ERR_INIT;

	w.store = checkpoint_store_new(&config, &w.sync, &w.engine, &ops, &w, &err);
	EXPECT(w.store != NULL);
	while (rd.at < rd.length && !rd.failed && !w.sync.is_broken) {
		step(&w, &rd);
		check_tree(&w.store->live);
		check_tree(&w.store->temp);
		if (!w.sync.is_broken)
			check_handles(w.store);
	}
	for (int i = 0; i < HANDLES; i++)
		if (w.sync.is_broken)
			EXPECT(!w.users[i].is_asked); /* F3 */
	EXPECT(!w.sync.is_broken || w.under_way == 0);
	checkpoint_store_free(w.store);
	end_phase(&w);
	queue_clear(&w.sent);
	return 0;
}
