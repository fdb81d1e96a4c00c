/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the order of node 1 of three on a group of corosync's, and what members that
 * are out of their minds say in it. What this node says comes back to it, when the input says so.
 *
 *	input:  steps, a byte each (modulo STEP_COUNT), with what they need behind
 *
 * What must hold, for every input:
 *	F1  nothing that others say breaks this node, but that it is told of a later process
 *	    of its own (rule 5 of the design)
 *	F2  numbers of configurations grow, and are covered by what was saved (E5); this
 *	    node is in each
 *	F3  a message is of a member, in the configuration that is installed, and places grow
 *	F4  nothing outside of the buffers is touched (ASan), nothing is left (LSan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "tests/fuzz/expect.h"
#include "totem/cpg_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	COME,        /* who */
	GO,          /* who */
	COME_BACK,   /* who: gone and there again, in one change */
	OWN_TURN,    /* how many: what this node said comes back */
	GREET,       /* who: as it should be, of what this node sees */
	READY,       /* who: what this node promises, if it does */
	SAY,         /* who, kind, numbers: well formed */
	SAY_RAW,     /* who, length, bytes */
	TIME,        /* how much */
	BUSY,        /* corosync takes so many packets, and then none */
	FILL,        /* so many bytes to send */
	SYNCHRONISED,
	AGAIN,
	EVICT,       /* whom */
	SAVED,       /* what was asked to be saved is */
	STEP_COUNT,
};

enum { NODES = 3, PROCESSES = 6, QUEUE = 256, RAW_BYTES = 255, SELF = 0 };

struct sent {
	uint8_t bytes[2048];
	size_t length;
};

static struct {
	struct cpg_order *order;
	uint64_t now;
	bool is_in[PROCESSES];
	struct sent queue[QUEUE];
	size_t first, count;
	unsigned int room; /* packets that corosync takes */
	size_t to_fill;
	bool wants_in, is_broken, may_break;
	struct ring_id current, before; /* as configured */
	struct node_set members;
	uint64_t saved, to_save, place;
	struct cpg_hello own;  /* as it last said */
	uint64_t promise;
} world;

static size_t left(const struct rd *rd)
{
	return rd->failed ? 0 : rd->length - rd->at;
}

/* Two processes of each node. */
static struct cpg_process who(unsigned int i)
{
	i %= PROCESSES;
	return (struct cpg_process){ 1 + i % NODES, 100 + i / NODES };
}

/* --- what the order asks for ------------------------------------------------------------- */

static int op_multicast(void *owner, const uint8_t *bytes, size_t length)
{
	struct sent *s;
	struct cpg_packet p = { 0 };

	(void)owner;
	if (world.room == 0 || world.count == QUEUE)
		return -EAGAIN;
	world.room--;
	s = &world.queue[(world.first + world.count++) % QUEUE];
	EXPECT(length <= sizeof(s->bytes));
	memcpy(s->bytes, bytes, length);
	s->length = length;
	EXPECT(cpg_wire_read(bytes, length, &p) == 0);
	if (p.kind == CPG_HELLO)
		world.own = p.hello;
	if (p.kind == CPG_READY)
		world.promise = p.number;
	return 0;
}

static void op_late(void *owner, int node, const char *what)
{
	(void)owner;
	EXPECT(node >= 0 && node < NODES && what[0]); /* of this node another process */
}

static void op_evicted(void *owner, int node, const char *what)
{
	(void)owner;
	EXPECT(node >= 0 && node < NODES && what[0]);
}

static void op_rejoin(void *owner)
{
	(void)owner;
	world.wants_in = true;
}

static void op_broken(void *owner, const char *why)
{
	(void)owner;
	EXPECT(world.may_break && why[0]); /* F1 */
	world.is_broken = true;
}

static size_t op_fill(void *owner, uint8_t *payload, size_t room, bool is_sync, bool *is_safe)
{
	size_t length = min_u64(world.to_fill, min_u64(room, 512));

	(void)owner;
	memset(payload, is_sync, length);
	*is_safe = length % 2;
	world.to_fill -= length;
	return length;
}

static void op_deliver(void *owner, const struct ring_message *m)
{
	(void)owner;
	EXPECT(ring_id_equal(m->ring, world.current) && m->seq > world.place);
	EXPECT(m->origin >= 1 && m->origin <= NODES &&
	       set_has(&world.members, (int)m->origin - 1));
	world.place = m->seq;
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	(void)owner;
	if (c->is_transitional) {
		EXPECT(ring_id_equal(c->ring, world.current));
		EXPECT(set_is_subset(c->members, world.members));
		return;
	}
	EXPECT(c->ring.seq > world.current.seq); /* F2 */
	EXPECT(c->ring.seq < world.saved + RING_SEQ_STRIDE);
	EXPECT(set_has(&c->members, SELF));
	world.current = c->ring;
	world.members = c->members;
	world.place = 0;
}

static void op_nothing(void *owner)
{
	(void)owner;
}

static void op_save_seq(void *owner, uint64_t seq)
{
	(void)owner;
	world.to_save = max_u64(world.to_save, seq);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void change(int comes, int goes)
{
	struct cpg_process members[PROCESSES], left[1];
	struct cpg_change c = { .members = members, .left = left };

	if (goes >= 0 && world.is_in[goes]) {
		left[c.left_count++] = who((unsigned int)goes);
		world.is_in[goes] = false;
	}
	if (comes >= 0)
		world.is_in[comes] = true;
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (world.is_in[i])
			members[c.member_count++] = who(i);
	cpg_order_changed(world.order, world.now, &c);
}

/* As corosync does: it is out, and nothing of before comes to it any more. */
static void rejoin(void)
{
	if (!world.wants_in || world.is_broken)
		return;
	world.wants_in = false;
	world.count = 0;
	change(SELF, SELF);
}

static void own_turn(unsigned int packets)
{
	while (packets-- > 0 && world.count > 0) {
		struct sent s = world.queue[world.first];

		world.first = (world.first + 1) % QUEUE;
		world.count--;
		cpg_order_received(world.order, world.now, who(SELF), s.bytes, s.length);
		rejoin();
	}
}

static void say(unsigned int from, struct cpg_packet *p, const uint8_t *payload)
{
	static uint8_t bytes[CPG_SMALL_BYTES];
	size_t length;

	if (from % PROCESSES == SELF || !world.is_in[from % PROCESSES])
		return;
	if (p->kind == CPG_DATA) {
		cpg_wire_data(p, bytes);
		memcpy(bytes + CPG_DATA_HEAD_BYTES, payload, p->length);
		length = CPG_DATA_HEAD_BYTES + p->length;
	} else {
		length = cpg_wire_write(p, bytes);
	}
	/* a later process of this very node takes its place */
	if (p->kind == CPG_HELLO && who(from).node == who(SELF).node)
		world.may_break = true;
	cpg_order_received(world.order, world.now, who(from), bytes, length);
}

static void greet(unsigned int from)
{
	struct cpg_packet p = { .kind = CPG_HELLO, .hello = world.own };

	p.hello.incarnation = 5 + from;
	p.hello.round = 1;
	p.hello.excluded_count = 0;
	say(from, &p, NULL);
}

/* Numbers near those that are, and others. */
static uint64_t near(uint8_t byte, uint64_t number)
{
	if (byte < 200)
		return number + byte - 100;
	return byte == 255 ? UINT64_MAX : (uint64_t)1 << (byte - 200);
}

static void say_anything(struct rd *rd)
{
	static const uint8_t payload[64];
	unsigned int from = rd_u8(rd);
	struct cpg_packet p = { .kind = 1 + rd_u8(rd) % (CPG_KIND_END - 1) };
	uint8_t how = rd_u8(rd), number = rd_u8(rd);

	p.config = world.current;
	if (how & 1)
		p.config.seq = near(number, p.config.seq);
	p.number = near(number, p.kind == CPG_READY ? world.promise : world.place);
	p.target = who(how >> 4);
	p.is_safe = how & 2;
	p.is_sync = how & 4;
	p.payload = payload;
	p.length = number % sizeof(payload);
	p.hello = world.own;
	p.hello.round = how;
	p.hello.incarnation = number;
	p.hello.high_seq = near(number, world.current.seq);
	if (how & 8)
		p.hello.view++;
	p.hello.excluded_count = 0;
	if (how & 1)
		p.hello.excluded[p.hello.excluded_count++] = who(number);
	say(from, &p, payload);
}

static void say_raw(struct rd *rd)
{
	unsigned int from = rd_u8(rd) % PROCESSES;
	size_t length = rd_u8(rd);
	uint8_t bytes[RAW_BYTES];

	length = min_u64(length, left(rd));
	rd_bytes(rd, bytes, length);
	if (from == SELF || !world.is_in[from])
		return;
	world.may_break |= who(from).node == who(SELF).node;
	cpg_order_received(world.order, world.now, who(from), bytes, length);
}

static void save(void)
{
	world.saved = max_u64(world.saved, world.to_save);
	cpg_order_seq_saved(world.order, world.now, world.saved);
}

static void step(struct rd *rd)
{
	unsigned int arg;

	switch (rd_u8(rd) % STEP_COUNT) {
	case COME:
		change((int)(rd_u8(rd) % PROCESSES), -1);
		break;
	case GO:
		arg = rd_u8(rd) % PROCESSES;
		if (arg != SELF)
			change(-1, (int)arg);
		break;
	case COME_BACK:
		arg = rd_u8(rd) % PROCESSES;
		if (arg != SELF)
			change((int)arg, (int)arg);
		break;
	case OWN_TURN:
		own_turn(rd_u8(rd));
		break;
	case GREET:
		greet(rd_u8(rd));
		break;
	case READY:
		say(rd_u8(rd), &(struct cpg_packet){ .kind = CPG_READY,
						     .number = world.promise }, NULL);
		break;
	case SAY:
		say_anything(rd);
		break;
	case SAY_RAW:
		say_raw(rd);
		break;
	case TIME:
		world.now += rd_u8(rd) * 10 * NS_PER_MS;
		cpg_order_advance(world.order, world.now);
		break;
	case BUSY:
		world.room = rd_u8(rd);
		break;
	case FILL:
		world.to_fill += rd_u8(rd) * 16u;
		cpg_order_wake(world.order, world.now);
		break;
	case SYNCHRONISED:
		cpg_order_synchronised(world.order, world.now);
		break;
	case AGAIN:
		cpg_order_again(world.order, world.now);
		break;
	case EVICT:
		cpg_order_evict(world.order, world.now, who(rd_u8(rd)).node);
		break;
	case SAVED:
		save();
		break;
	default:
		break;
	}
	rejoin();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cpg_order_ops ops = {
		.multicast = op_multicast, .late = op_late, .evicted = op_evicted,
		.rejoin = op_rejoin, .broken = op_broken, .fill = op_fill,
		.deliver = op_deliver, .configured = op_configured, .torn = op_nothing,
		.unplugged = op_nothing, .save_seq = op_save_seq,
	};
	const struct cpg_order_config config = {
		.nodes = { { 1, 2, 3 }, NODES }, .self = who(SELF), .incarnation = 7,
		.first_ring_seq = 1000, .payload_bytes = 1024, .window_bytes = 4096,
	};
	struct rd rd = rd_over(data, size);
	struct err err = ERR_INIT;

	memset(&world, 0, sizeof(world));
	world.now = NS_PER_S;
	world.room = UINT8_MAX;
	world.saved = config.first_ring_seq;
	world.order = cpg_order_new(&config, &ops, NULL, &err);
	EXPECT(world.order != NULL);
	change(SELF, -1);
	while (left(&rd) > 0 && !world.is_broken)
		step(&rd);
	cpg_order_leave(world.order);
	cpg_order_free(world.order);
	return 0;
}
