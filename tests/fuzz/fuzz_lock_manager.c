/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the lock managers of nodes 1 and 2 of three, programs that use them, and
 * what node 3 says, in the group and in the sync phase, to both.
 *
 *	input:  a list of steps: enum step, and what it needs
 *
 * What must hold, for every input:
 *	F1  both have the same lockspaces, members and locks after every step
 *	F2  both are broken, or none is
 *	F3  no two of their locks are granted in modes that exclude each other
 *	F4  no request is answered twice
 *	F5  nothing outside of the buffers is touched (ASan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "lockres/manager_private.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	GROUP_BYTES, /* length u8, bytes: as they are */
	SYNC_BYTES,  /* the same, in the sync phase */
	OPEN,        /* of node 3: incarnation u8, name u8, slot u8 */
	CLOSE,       /* space u8 */
	DEAD,        /* node u8, incarnation u8, death u8 */
	BATCH,       /* space u8, serial u8, which u8, number u8, mode u8, flags u32 */
	HEADS,       /* of a node 3 that has nothing */
	CONFIGURE,   /* u8: 1 node 3 is there, 2 it is quorate */
	ACTIVATE,
	ENDING,
	TORN,
	USE,         /* node u8, what u8, which u8, mode u8, flags u32 */
	ADVANCE,     /* ms u8 */
	GRAVE,       /* HEADS, but all have left one: space u8, how new u8 */
	STEPS,
};

enum { MANAGERS = 2, LIAR = 2, SPACES = 2, LOCKS = 4, QUEUE = 256 };

struct message {
	int from;
	size_t length;
	uint8_t *bytes;
};

struct queue {
	struct message messages[QUEUE];
	size_t count;
};

struct world;

struct sync {
	const struct sync_service_ops *ops;
	struct lock_manager *manager;
	struct world *world;
	int self;
	bool is_broken;
};

struct holder {
	struct lockres lock;
	bool is_there;
	long asked, answered;
};

struct program {
	struct lockspace *space;
	struct holder holders[LOCKS];
};

struct node {
	struct sync sync;
	struct group_engine engine;
	struct group group;
	struct program programs[SPACES];
	struct lock_manager *manager;
};

struct world {
	struct node nodes[MANAGERS];
	struct group_handlers handlers;
	struct queue ordered, told;
	struct sync_configuration configuration;
	bool is_telling, is_quorate, is_live;
	uint64_t now;
};

static void queue_add(struct queue *q, int from, const struct iovec *parts, int count)
{
	struct message *m = &q->messages[q->count++];
	size_t at = 0;

	*m = (struct message){ .from = from };
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

/* --- the sync and the group that the managers see ------------------------------------------ */

void sync_register(struct sync *s, enum sync_service_id id, const char *name,
		   const struct sync_service_ops *ops, void *owner)
{
	(void)id;
	(void)name;
	s->ops = ops;
	s->manager = owner;
}

int sync_tell(struct sync *s, enum sync_service_id id, const struct iovec *parts, int count)
{
	(void)id;
	EXPECT(s->world->is_telling);
	if (s->world->told.count == QUEUE)
		return -EAGAIN;
	queue_add(&s->world->told, s->self, parts, count);
	return 0;
}

void sync_go_on(struct sync *s)
{
	(void)s;
}

void sync_break(struct sync *s, const char *why)
{
	EXPECT(!s->is_broken && why != NULL);
	s->is_broken = true;
}

bool sync_is_quorate(const struct sync *s)
{
	return s->world->is_quorate;
}

bool sync_has_service(const struct sync *s, int node, enum sync_service_id id)
{
	(void)s;
	(void)node;
	return id == SYNC_LOCKS;
}

static int engine_join(struct group_engine *engine, const char *name, size_t name_length,
		       const struct group_handlers *handlers, void *owner,
		       struct group **group, struct err *err)
{
	struct node *n = container_of(engine, struct node, engine);

	(void)name;
	(void)name_length;
	(void)owner;
	(void)err;
	n->sync.world->handlers = *handlers;
	n->group.engine = engine;
	*group = &n->group;
	return 0;
}

static int engine_multicast(struct group *group, enum group_order order,
			    const struct iovec *parts, int count)
{
	struct node *n = container_of(group, struct node, group);

	(void)order;
	if (n->sync.world->ordered.count >= QUEUE / 2)
		return -EAGAIN;
	queue_add(&n->sync.world->ordered, n->sync.self, parts, count);
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

/* --- what must hold ------------------------------------------------------------------------- */

static void expect_equal(const struct lockspace_look *a, const struct lockspace_look *b)
{
	EXPECT(a->name_length == b->name_length &&
	       memcmp(a->name, b->name, a->name_length) == 0);
	EXPECT(a->operations == b->operations && a->generation == b->generation);
	EXPECT(ring_id_equal(a->epoch, b->epoch) && a->freeze == b->freeze);
	EXPECT(lock_table_digest(a->table) == lock_table_digest(b->table));
	EXPECT(a->member_count == b->member_count);
	for (size_t i = 0; i < a->member_count; i++)
		EXPECT(a->members[i].node == b->members[i].node &&
		       a->members[i].slot == b->members[i].slot &&
		       a->members[i].is_missing == b->members[i].is_missing);
}

static void check_locks(const struct world *w)
{
	const struct holder *a, *b;

	for (int k = 0; k < SPACES; k++)
		for (int i = 0; i < LOCKS; i++)
			for (int j = 0; j < LOCKS; j++) {
				a = &w->nodes[0].programs[k].holders[i];
				b = &w->nodes[1].programs[k].holders[j];
				if (a->is_there && b->is_there && i % 2 == j % 2 &&
				    !a->lock.is_pending && !b->lock.is_pending)
					EXPECT(lock_modes_compatible(a->lock.mode,
								     b->lock.mode));
			}
}

static void check(const struct world *w)
{
	struct lockspace_look a, b;
	size_t i = 0;

	EXPECT(w->nodes[0].sync.is_broken == w->nodes[1].sync.is_broken);
	if (w->nodes[0].sync.is_broken)
		return;
	for (; lock_manager_look(w->nodes[0].manager, i, &a); i++) {
		EXPECT(lock_manager_look(w->nodes[1].manager, i, &b));
		expect_equal(&a, &b);
	}
	EXPECT(!lock_manager_look(w->nodes[1].manager, i, &b));
	check_locks(w);
}

/* --- the order ------------------------------------------------------------------------------- */

static void deliver(struct world *w, const struct message *m)
{
	const struct group_member sender = { (uint32_t)m->from + 1, 1, GROUP_MEMBER };

	for (int i = 0; i < MANAGERS; i++) {
		struct node *n = &w->nodes[i];
		uint8_t *copy = malloc(m->length + 1);

		EXPECT(copy != NULL);
		memcpy(copy, m->bytes, m->length);
		w->handlers.deliver(n->manager, &n->group, &sender, copy, m->length);
		free(copy);
	}
}

/* Nothing ordinary comes while services synchronise. */
static void deliver_all(struct world *w)
{
	for (int rounds = 0; rounds < 1000 && w->is_live && w->ordered.count > 0; rounds++) {
		struct message m = w->ordered.messages[0];

		memmove(w->ordered.messages, w->ordered.messages + 1,
			--w->ordered.count * sizeof(m));
		deliver(w, &m);
		free(m.bytes);
	}
}

static void hear(struct world *w, const uint8_t *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };

	if (w->is_live && w->ordered.count < QUEUE)
		queue_add(&w->ordered, LIAR, &part, 1);
	deliver_all(w);
}

static void hear_told(struct world *w, int from, const uint8_t *bytes, size_t length)
{
	for (int i = 0; i < MANAGERS && w->is_telling; i++) {
		uint8_t *copy = malloc(length + 1);

		EXPECT(copy != NULL);
		memcpy(copy, bytes, length);
		w->nodes[i].sync.ops->deliver(w->nodes[i].manager, from, copy, length);
		free(copy);
	}
}

static void hear_all_told(struct world *w)
{
	for (size_t i = 0; i < w->told.count; i++)
		hear_told(w, w->told.messages[i].from, w->told.messages[i].bytes,
			  w->told.messages[i].length);
	queue_clear(&w->told);
}

static bool process(struct world *w)
{
	bool is_done = true;

	for (int i = 0; i < MANAGERS; i++)
		is_done &= w->nodes[i].sync.ops->process(w->nodes[i].manager) == SYNC_DONE;
	hear_all_told(w);
	return is_done;
}

static void configure(struct world *w, unsigned int how)
{
	for (int i = 0; i < MANAGERS && w->is_telling; i++)
		w->nodes[i].sync.ops->abort(w->nodes[i].manager);
	queue_clear(&w->told);
	w->is_telling = true;
	w->is_live = false;
	w->is_quorate = how & 2;
	w->configuration.id = (struct ring_id){ 1, w->configuration.id.seq + 1 };
	w->configuration.members.bits[0] = 3 | (how & 1) << LIAR;
	for (int i = 0; i < MANAGERS; i++)
		w->nodes[i].sync.ops->init(w->nodes[i].manager, &w->configuration);
}

static void tell_view(struct world *w)
{
	const struct group_member members[] = { { 1, 1, GROUP_MEMBER },
						{ 2, 1, GROUP_MEMBER },
						{ 3, 1, GROUP_MEMBER } };
	const struct group_change change = {
		.members = members,
		.member_count = set_has(&w->configuration.members, LIAR) ? 3 : 2,
	};

	for (int i = 0; i < MANAGERS; i++)
		w->handlers.changed(w->nodes[i].manager, &w->nodes[i].group, &change);
}

/* Only where all are done, as the barrier has it; node 3 says so anyway. */
static void activate(struct world *w)
{
	bool is_done = false;

	for (int rounds = 0; rounds < 8 && w->is_telling && !is_done; rounds++)
		is_done = process(w);
	if (!is_done)
		return;
	w->is_telling = false;
	w->is_live = true;
	for (int i = 0; i < MANAGERS; i++)
		w->nodes[i].sync.ops->activate(w->nodes[i].manager);
	tell_view(w);
	deliver_all(w);
}

/* --- what node 3 says ------------------------------------------------------------------------ */

static const char names[] = "xy";

static const struct space *some_space(const struct world *w, unsigned int which)
{
	const struct lock_manager *m = w->nodes[0].manager;

	return m->space_count > 0 ? m->spaces[which % m->space_count] : NULL;
}

static void hear_order(struct world *w, const struct manager_order *o)
{
	uint8_t bytes[256];

	hear(w, bytes, manager_order_write(o, bytes, sizeof(bytes)));
}

static void hear_open(struct world *w, struct rd *rd)
{
	struct manager_order o = { .kind = MANAGER_OPEN, .lvb_bytes = LOCK_LARGE_LVB,
				   .slots = 4, .name_length = 1 };

	o.incarnation = rd_u8(rd) % 3;
	o.opening = (uint32_t)o.incarnation;
	o.name = &names[rd_u8(rd) % SPACES];
	o.wanted_slot = rd_u8(rd) % 5 - 1;
	hear_order(w, &o);
}

static uint32_t liars_ticket(const struct space *s)
{
	for (size_t i = 0; i < s->member_count; i++)
		if (s->members[i].node == LIAR + 1)
			return s->members[i].ticket;
	return 0;
}

static void hear_close(struct world *w, struct rd *rd)
{
	const struct space *s = some_space(w, rd_u8(rd));

	if (s)
		hear_order(w, &(struct manager_order){ .kind = MANAGER_CLOSE, .id = s->id,
						       .ticket = liars_ticket(s) });
}

static void hear_dead(struct world *w, struct rd *rd)
{
	struct manager_order o = { .kind = MANAGER_DEAD };

	o.node = rd_u8(rd) % 4 + 1;
	o.incarnation = rd_u8(rd) % 3;
	o.death = (enum lock_death)(rd_u8(rd) % 2);
	hear_order(w, &o);
}

static void hear_batch(struct world *w, struct rd *rd)
{
	static const uint8_t value[LOCK_MAX_LVB] = { 7 };
	const struct space *s = some_space(w, rd_u8(rd));
	struct manager_order o = { .kind = MANAGER_BATCH, .serial = rd_u8(rd) };
	struct manager_op op = { .name_length = 1 };
	uint8_t bytes[512];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	unsigned int number;

	op.op = (enum lock_op)(LOCK_OP_REQUEST + rd_u8(rd) % 4);
	number = rd_u8(rd);
	op.mode = (enum lock_mode)(rd_u8(rd) % LOCK_MODES);
	op.flags = rd_u32(rd);
	if (!s || rd->failed)
		return;
	o.id = s->id;
	o.thaw = s->thaw;
	o.ticket = liars_ticket(s);
	op.number = (o.ticket & 0xfff) << 20 | number % 4;
	op.name = &names[number % 2];
	op.node = number % 4;
	op.value = op.flags & LOCK_VALBLK ? value : NULL;
	wr.at = manager_order_write(&o, bytes, sizeof(bytes));
	manager_op_write(&wr, &op, s->lvb_bytes);
	hear(w, bytes, wr.at);
}

static void hear_heads(struct world *w)
{
	uint8_t bytes[1 + 8 + 2 + 2 + 4] = { 1, 1 };

	if (w->is_telling) {
		(void)process(w);
		hear_told(w, LIAR, bytes, sizeof(bytes));
	}
}

static void hear_grave(struct world *w, struct rd *rd)
{
	const struct space *s = some_space(w, rd_u8(rd));
	uint8_t newer = rd_u8(rd) % 3;
	uint8_t bytes[128];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	if (!s || !w->is_telling)
		return;
	wr_u8(&wr, 1);
	wr_u64(&wr, 1);
	wr_u16(&wr, 0);
	wr_u16(&wr, 1);
	space_id_write(&wr, s->id);
	wr_u32(&wr, s->version.epoch.rep);
	wr_u64(&wr, s->version.epoch.seq + newer - 1);
	wr_u64(&wr, s->version.operations + newer);
	wr_u64(&wr, 0);
	wr_u8(&wr, s->name_length);
	wr_bytes(&wr, s->name, s->name_length);
	wr_u32(&wr, 0);
	(void)process(w);
	hear_told(w, LIAR, bytes, wr.at);
}

/* --- programs --------------------------------------------------------------------------------- */

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct holder *h = owner;

	(void)lock;
	(void)result;
	h->answered++;
	EXPECT(h->answered <= h->asked); /* F4 */
}

static const struct lockres_handlers lock_handlers = { .done = on_done };

static void on_closed(void *owner)
{
	struct program *p = owner;

	EXPECT(p->space != NULL);
	for (int i = 0; i < LOCKS; i++)
		if (p->holders[i].is_there)
			lockres_fini(&p->holders[i].lock);
	memset(p, 0, sizeof(*p));
}

static const struct lockspace_handlers space_handlers = { .closed = on_closed };

static void use_lock(struct holder *h, unsigned int what, enum lock_mode mode,
		     uint32_t flags)
{
	if (what == 0 && !h->lock.is_pending) {
		h->asked += lockres_lock(&h->lock, mode, flags, what) == 0;
	} else if (what == 1) {
		bool was_pending = h->lock.is_pending;

		h->asked += lockres_unlock(&h->lock, flags) == 0 && !was_pending &&
			    !(flags & LOCK_CANCEL);
	} else if (what == 2) {
		h->is_there = false;
		lockres_fini(&h->lock);
	} else if (!h->lock.is_pending) {
		flags |= h->lock.mode == LOCK_NONE ? 0 : LOCK_CONVERT;
		h->asked += lockres_lock(&h->lock, mode, flags, 1000000) == 0;
	}
}

static void use(struct world *w, struct rd *rd)
{
	struct node *n = &w->nodes[rd_u8(rd) % MANAGERS];
	unsigned int what = rd_u8(rd), which = rd_u8(rd);
	enum lock_mode mode = (enum lock_mode)(rd_u8(rd) % LOCK_MODES);
	uint32_t flags = rd_u32(rd);
	struct program *p = &n->programs[which % SPACES];
	struct holder *h = &p->holders[which / SPACES % LOCKS];
	struct lockspace_config config = { .name = &names[which % SPACES],
					   .name_length = 1,
					   .lvb_bytes = LOCK_LARGE_LVB, .slots = 4,
					   .wanted_slot = -1 };
	struct err err = ERR_INIT;

	if (!p->space) {
		if (lockspace_open(&n->manager->base, &config, &space_handlers, p,
				   &p->space, &err) < 0)
			p->space = NULL;
	} else if (what % 8 == 7) {
		lockspace_close(p->space);
	} else if (what % 8 == 6) {
		(void)lockspace_confirm_dead(&n->manager->base, which % 4, 0,
					     (enum lock_death)(mode % 2), &err);
	} else if (!h->is_there) {
		char name = names[which / SPACES % 2];

		h->is_there = lockres_init(&h->lock, p->space, &name, 1, &lock_handlers,
					   h) == 0;
		h->asked = h->answered = 0;
	} else {
		use_lock(h, what % 6, mode, flags);
	}
	deliver_all(w);
}

/* --- steps ------------------------------------------------------------------------------------- */

static void hear_bytes(struct world *w, struct rd *rd, bool is_told)
{
	uint8_t bytes[256];
	uint8_t length = rd_u8(rd);

	rd_bytes(rd, bytes, length);
	if (rd->failed)
		return;
	if (is_told)
		hear_told(w, LIAR, bytes, length);
	else
		hear(w, bytes, length);
}

static void advance(struct world *w, unsigned int ms)
{
	w->now += ms * 1000000ull;
	for (int i = 0; i < MANAGERS; i++)
		lock_manager_advance(w->nodes[i].manager, w->now);
	deliver_all(w);
}

static void take_step(struct world *w, enum step step, struct rd *rd)
{
	switch (step) {
	case GROUP_BYTES:
	case SYNC_BYTES:
		hear_bytes(w, rd, step == SYNC_BYTES);
		break;
	case OPEN:
		hear_open(w, rd);
		break;
	case CLOSE:
		hear_close(w, rd);
		break;
	case DEAD:
		hear_dead(w, rd);
		break;
	case BATCH:
		hear_batch(w, rd);
		break;
	case HEADS:
		hear_heads(w);
		break;
	case CONFIGURE:
		configure(w, rd_u8(rd));
		break;
	case ACTIVATE:
		activate(w);
		break;
	case ENDING:
	case TORN:
		for (int i = 0; i < MANAGERS && w->is_live; i++)
			(step == ENDING ? w->nodes[i].sync.ops->ending :
					  w->nodes[i].sync.ops->torn)(w->nodes[i].manager);
		break;
	case USE:
		use(w, rd);
		break;
	case ADVANCE:
		advance(w, rd_u8(rd));
		break;
	case GRAVE:
		hear_grave(w, rd);
		break;
	case STEPS:
		break;
	}
}

static uint64_t op_now(void *owner)
{
	const struct world *w = owner;

	return w->now;
}

static void world_open(struct world *w)
{
	static const struct lock_manager_ops ops = { .now = op_now };
	struct err err = ERR_INIT;

	for (int i = 0; i < MANAGERS; i++) {
		struct node *n = &w->nodes[i];
		const struct lock_manager_config c = {
			.nodes = { .count = 3, .ids = { 1, 2, 3 } },
			.self = (uint32_t)i + 1,
			.incarnation = 1,
		};

		n->sync.world = w;
		n->sync.self = i;
		n->engine.ops = &engine_ops;
		n->manager = lock_manager_new(&c, &n->sync, &n->engine, &ops, w, &err);
		EXPECT(n->manager != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rd rd = rd_over(data, size);

	EXPECT(w != NULL);
	world_open(w);
	while (rd.at < rd.length && !rd.failed && !w->nodes[0].sync.is_broken) {
		take_step(w, (enum step)(rd_u8(&rd) % STEPS), &rd);
		check(w);
	}
	for (int i = 0; i < MANAGERS; i++)
		lock_manager_free(w->nodes[i].manager);
	queue_clear(&w->ordered);
	queue_clear(&w->told);
	free(w);
	return 0;
}
