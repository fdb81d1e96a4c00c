/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: rings of nodes that hear each other through a network which loses,
 * doubles, changes and invents packets. Three nodes run, five are configured:
 * whoever speaks for the other two lies.
 *
 *	input:  byte 0  enum flag
 *	        then    operations: a byte, enum operation in its low half, `arg`
 *	                in its high half, then what is said at each of them
 *
 * Invented packets are those last seen with some fields changed, so that many of
 * them are believed; the numbers in them are near the true ones, or extreme.
 *
 * What must hold, for every input:
 *	F1  a ring neither crashes nor turns for ever, and calls its owner as
 *	    ring.h says: a node sends to others only, what others can read
 *	F2  of each ring a node delivers ascending numbers; first a transitional,
 *	    then a regular configuration; ring ids grow, and the node is in both
 *	F3  no ring is used before the disk covers its number (E5), which is asked
 *	    as ring.h says
 *	F4  who is cut off afterwards rings alone, and is idle there
 *	F5  memory is bounded by what came; all is freed in the end (ASan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "tests/fuzz/expect.h"
#include "totem/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	COLD = 1,          /* no ring is formed before the operations */
	SMALL_PACKETS = 2,
	SLOW_DISK = 4,     /* SAVED says when a number is durable */
	UNSYNCHRONISED = 8, /* SYNCHRONISED says when services are */
};

enum operation {
	DELIVER,      /* arg + 1 packets of the network */
	LOSE,         /* the next packet */
	TWICE,        /* the next packet is delivered, and stays */
	CHANGE,       /* the next packet: 2 bytes a place, 1 what is added there */
	ADVANCE,      /* to the next deadline of anybody, arg + 1 times */
	SLEEP,        /* arg * 40 ms in which nobody looks at a clock */
	EVIDENCE,     /* of node arg >> 2, at node arg & 3; 3: node 0 evicts it */
	WANT,         /* node arg & 3 wants to send: 1 byte, so many messages */
	SYNCHRONISED, /* node arg & 3 */
	SAVED,        /* node arg & 3; arg >> 2 is 3: what it asked for before */
	RESTART,      /* node arg & 3 leaves; or starts, if it is away */
	RAW,          /* to node arg & 3: 1 byte a length, then so many bytes */
	FORGE_TOKEN,  /* to node arg & 3 from node arg >> 2: see forge_token() */
	FORGE_DATA,
	FORGE_JOIN,
	FORGE_COMMIT,
};

enum {
	NODES = 3,
	CONFIGURED = 5,
	MAX_PACKETS = 256,  /* under way; what is more is lost */
	MAX_OPERATIONS = 512,
	MAX_CALLS = 5000,   /* of ring_advance(), for who is cut off */
	IDLE_CALLS = 100,
	CUT_OFF_STEP_MS = 250,
	CUT_OFF_STEPS = 40, /* ten times the token's time */
	MESSAGE_BYTES = 100,
};

#define MS 1000000ull

struct node {
	struct ring *ring; /* NULL: away */
	int self;
	uint64_t incarnation;
	uint64_t saved_seq;
	uint64_t asked_seq; /* last, at ... */
	uint64_t asked_at;
	uint64_t before_seq; /* asked before it */
	uint32_t messages;  /* to send */
	bool is_configured;
	struct ring_id regular; /* of this life, or of one before */
	struct node_set members; /* of it */
	bool is_transitional; /* the last configuration was */
	struct ring_id delivering;
	uint64_t delivered;
};

struct packet {
	int from, to;
	uint8_t *bytes; /* owned; ends where it ends */
	size_t length;
};

static struct world {
	unsigned int flags;
	uint64_t now;
	struct node nodes[NODES];
	struct packet packets[MAX_PACKETS];
	size_t packet_count;
	/* last seen, to be changed */
	struct wire_token token;
	struct wire_data data;
	struct wire_join join;
	struct wire_commit commit;
} world;

static const struct node_table table = { .ids = { 10, 20, 30, 40, 50 },
					 .count = CONFIGURED };

static struct wire_context context_of(int node)
{
	return (struct wire_context){ .nodes = &table, .self = table.ids[node],
				      .cluster = wire_cluster_hash("fuzz") };
}

/* The network */

static void put_packet(int from, int to, const uint8_t *bytes, size_t length)
{
	struct packet *p = &world.packets[world.packet_count];

	if (world.packet_count == MAX_PACKETS || to >= NODES)
		return;
	*p = (struct packet){ from, to, malloc(max_u64(length, 1)), length };
	EXPECT(p->bytes != NULL);
	memcpy(p->bytes, bytes, length);
	world.packet_count++;
}

static struct packet take_packet(void)
{
	struct packet p = world.packets[0];

	world.packet_count--;
	memmove(world.packets, world.packets + 1,
		world.packet_count * sizeof(world.packets[0]));
	return p;
}

static void lose_all(void)
{
	while (world.packet_count > 0)
		free(take_packet().bytes);
}

/* F3 */
static void check_covered(const struct node *n, struct ring_id ring)
{
	EXPECT(ring.seq < n->saved_seq + RING_SEQ_STRIDE);
}

/* F1, F3: what is sent can be read; it is kept as a model for what is forged. */
static void look_at(const struct node *n, const uint8_t *bytes, size_t length)
{
	struct wire_context context = context_of(n->self);
	enum wire_type type;
	struct ring_id id;
	int from;

	EXPECT(length <= WIRE_MAX_PACKET);
	EXPECT(wire_open(&context, bytes, length, &type, &from) == WIRE_OK);
	EXPECT(from == n->self);
	if (type == WIRE_TOKEN) {
		EXPECT(wire_read_token(bytes, length, &world.token) == WIRE_OK);
		check_covered(n, world.token.ring);
	} else if (type == WIRE_DATA) {
		EXPECT(wire_read_data(&context, bytes, length, &world.data) == WIRE_OK);
		check_covered(n, world.data.ring);
	} else if (type == WIRE_JOIN) {
		EXPECT(wire_read_join(&context, bytes, length, &world.join) == WIRE_OK);
	} else if (type == WIRE_COMMIT) {
		EXPECT(wire_read_commit(&context, bytes, length, &world.commit) ==
		       WIRE_OK);
		check_covered(n, world.commit.ring);
	} else {
		EXPECT(wire_read_ring(bytes, length, &id) == WIRE_OK);
	}
	world.data.payload = NULL; /* was borrowed */
	world.data.length = 0;
}

/* The owner of a ring */

static void send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	const struct node *n = owner;

	EXPECT(to >= 0 && to < CONFIGURED && to != n->self);
	look_at(n, bytes, length);
	put_packet(n->self, to, bytes, length);
}

static void send_all(void *owner, struct node_set to, const uint8_t *bytes, size_t length)
{
	const struct node *n = owner;
	int i;

	EXPECT(!set_has(&to, n->self));
	look_at(n, bytes, length);
	for (i = set_next(to, 0); i != TOTEM_NO_INDEX; i = set_next(to, i + 1)) {
		EXPECT(i < CONFIGURED);
		put_packet(n->self, i, bytes, length);
	}
}

static size_t fill(void *owner, uint8_t *payload, size_t room, bool is_sync, bool *is_safe)
{
	struct node *n = owner;

	EXPECT(room == ring_payload_room(n->ring));
	if (is_sync || n->messages == 0)
		return 0;
	n->messages--;
	*is_safe = n->messages % 2;
	memset(payload, n->self, room);
	return min_u64(room, MESSAGE_BYTES);
}

static size_t backlog(void *owner, bool is_sync)
{
	const struct node *n = owner;

	return is_sync ? 0 : n->messages * (size_t)MESSAGE_BYTES;
}

/* F2 */
static void deliver(void *owner, const struct ring_message *m)
{
	struct node *n = owner;

	EXPECT(n->is_configured && ring_id_equal(m->ring, n->regular));
	if (!ring_id_equal(m->ring, n->delivering))
		n->delivered = 0;
	EXPECT(m->seq > n->delivered);
	n->delivering = m->ring;
	n->delivered = m->seq;
	EXPECT(node_index(&table, m->origin) != TOTEM_NO_INDEX);
	for (size_t i = 0; i < m->length; i++) /* ASan: it is all there */
		EXPECT(m->payload[i] <= UINT8_MAX);
}

/* F2, F3 */
static void configured(void *owner, const struct ring_configuration *c)
{
	struct node *n = owner;

	EXPECT(set_has(&c->members, n->self) && !set_has(&c->left, n->self));
	if (c->is_transitional) {
		EXPECT(set_equal(set_union(c->members, c->left), n->members));
		EXPECT(set_is_empty(set_and(c->members, c->left)));
		EXPECT(n->is_configured && !n->is_transitional);
		EXPECT(ring_id_equal(c->ring, n->regular));
		EXPECT(set_is_empty(c->joined));
		n->is_transitional = true;
		return;
	}
	EXPECT(n->is_transitional == n->is_configured);
	EXPECT(c->ring.seq > n->regular.seq);
	check_covered(n, c->ring);
	EXPECT(set_is_subset(c->joined, c->members));
	/* who has started anew has left, and joined */
	EXPECT(set_is_subset(set_and(c->members, c->left), c->joined));
	n->members = c->members;
	n->is_configured = true;
	n->is_transitional = false;
	n->regular = c->ring;
	if (!(world.flags & UNSYNCHRONISED))
		ring_synchronised(n->ring, world.now);
}

static void unplugged(void *owner)
{
	const struct node *n = owner;

	EXPECT(n->is_configured);
}

/* Asked again, as long as nothing came of it, and after a token's time. */
static void save_seq(void *owner, uint64_t seq)
{
	struct node *n = owner;
	uint64_t token_ns = ring_settings(n->ring)->token_ns;

	EXPECT(seq > n->saved_seq && seq >= n->asked_seq);
	EXPECT(seq > n->asked_seq || world.now - n->asked_at >= token_ns);
	if (seq > n->asked_seq)
		n->before_seq = n->asked_seq;
	n->asked_seq = seq;
	n->asked_at = world.now;
}

static void seq_saved(struct node *n, uint64_t seq)
{
	if (n->saved_seq >= seq)
		return;
	n->saved_seq = seq;
	if (n->ring)
		ring_seq_saved(n->ring, world.now, n->saved_seq);
}

static const struct ring_ops ops = {
	.send_one = send_one, .send_all = send_all, .fill = fill, .backlog = backlog,
	.deliver = deliver, .configured = configured, .unplugged = unplugged,
	.save_seq = save_seq,
};

/* Nodes */

static void start(struct node *n)
{
	struct ring_config config = {
		.nodes = table, .self = table.ids[n->self], .cluster = "fuzz",
		.incarnation = ++n->incarnation,
		.first_ring_seq = n->saved_seq + RING_SEQ_STRIDE,
		.packet_bytes = world.flags & SMALL_PACKETS ?
					ring_packet_min(CONFIGURED) : 1400,
	};

	n->asked_seq = n->before_seq = n->saved_seq = config.first_ring_seq;
	n->is_configured = n->is_transitional = false;
	n->ring = ring_new(&config, &ops, n);
	EXPECT(n->ring != NULL);
	ring_start(n->ring, world.now);
}

static void stop(struct node *n)
{
	if (n->ring)
		ring_leave(n->ring, world.now);
	ring_free(n->ring);
	n->ring = NULL;
}

/* After each event: a fast disk has done what it was asked. */
static void settle(void)
{
	for (int i = 0; i < NODES && !(world.flags & SLOW_DISK); i++)
		seq_saved(&world.nodes[i], world.nodes[i].asked_seq);
}

static void deliver_packet(const struct packet *p)
{
	struct ring *ring = world.nodes[p->to].ring;

	if (ring)
		ring_receive(ring, world.now, p->bytes, p->length);
	settle();
}

static void deliver_next(void)
{
	struct packet p;

	if (world.packet_count == 0)
		return;
	p = take_packet();
	deliver_packet(&p);
	free(p.bytes);
}

static void advance_node(struct node *n)
{
	if (n->ring && ring_deadline(n->ring) <= world.now)
		ring_advance(n->ring, world.now);
	settle();
}

/* To when the first of them is due. */
static void advance(void)
{
	uint64_t due = UINT64_MAX;
	int i;

	for (i = 0; i < NODES; i++)
		if (world.nodes[i].ring)
			due = min_u64(due, ring_deadline(world.nodes[i].ring));
	if (due == UINT64_MAX)
		return;
	world.now = max_u64(world.now, due);
	for (i = 0; i < NODES; i++)
		advance_node(&world.nodes[i]);
}

static bool is_one_ring(void)
{
	for (int i = 0; i < NODES; i++) {
		const struct ring *ring = world.nodes[i].ring;

		if (ring_state(ring) != RING_OPERATIONAL ||
		    set_count(ring_members(ring)) != NODES)
			return false;
	}
	return true;
}

static void begin(unsigned int flags)
{
	int i;

	memset(&world, 0, sizeof(world));
	world.now = 1000 * MS;
	world.flags = flags & ~(unsigned int)SLOW_DISK;
	for (i = 0; i < NODES; i++) {
		world.nodes[i].self = i;
		start(&world.nodes[i]);
	}
	for (i = 0; !(flags & COLD) && !is_one_ring(); i++) {
		EXPECT(i < MAX_CALLS);
		if (world.packet_count > 0)
			deliver_next();
		else
			advance();
	}
	world.flags = flags;
}

static bool is_alone(const struct node *n)
{
	return ring_state(n->ring) == RING_OPERATIONAL &&
	       set_equal(ring_members(n->ring), set_of(n->self));
}

/* Nobody hears it, and it hears nobody. */
static void run_alone(struct node *n, uint64_t for_ms, uint32_t max_calls)
{
	uint64_t limit = world.now + for_ms * MS;
	uint32_t calls = 0;

	while (ring_deadline(n->ring) <= limit) {
		world.now = max_u64(world.now, ring_deadline(n->ring));
		ring_advance(n->ring, world.now);
		seq_saved(n, n->asked_seq);
		lose_all();
		EXPECT(++calls < max_calls);
	}
	world.now = limit;
}

/* F4 */
static void cut_off(struct node *n)
{
	int i;

	if (!n->ring)
		return;
	n->messages = 0;
	for (i = 0; !is_alone(n); i++) {
		EXPECT(i < CUT_OFF_STEPS);
		run_alone(n, CUT_OFF_STEP_MS, MAX_CALLS);
	}
	run_alone(n, CUT_OFF_STEP_MS, IDLE_CALLS); /* its last work */
	run_alone(n, CUT_OFF_STEP_MS, IDLE_CALLS);
	EXPECT(is_alone(n));
}

static void end(void)
{
	lose_all();
	world.flags &= ~(unsigned int)SLOW_DISK;
	settle();
	for (int i = 0; i < NODES; i++)
		cut_off(&world.nodes[i]);
	for (int i = 0; i < NODES; i++)
		stop(&world.nodes[i]);
	lose_all();
}

/* Forged packets */

/* A number that may be believed, or one at an end of its range. */
static uint64_t near(struct rd *rd, uint64_t number)
{
	uint8_t how = rd_u8(rd);

	if (how < 200)
		return number + how - 100;
	switch (how % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - how % 3;
	case 2:
		return number + RING_SEQ_STRIDE;
	case 3:
		return number + UINT32_MAX;
	case 4:
		return (1ull << 63) + how % 3;
	case 5:
		return number + 8192; /* as many as a queue holds */
	case 6:
		return 1ull << 61;
	default:
		return number;
	}
}

static struct node_set some_nodes(struct rd *rd)
{
	return (struct node_set){ { rd_u8(rd) & ((1u << CONFIGURED) - 1) } };
}

static uint32_t some_id(struct rd *rd)
{
	return table.ids[rd_u8(rd) % CONFIGURED];
}

static struct ring_id some_ring(struct rd *rd, const struct node *n)
{
	uint8_t which = rd_u8(rd);

	if (n->ring && which % 4 < 2)
		return ring_current(n->ring);
	if (which % 4 == 2)
		return world.commit.ring;
	return (struct ring_id){ some_id(rd), near(rd, world.commit.ring.seq) };
}

/* A byte says what is changed; some_ring(), near() and others say how. */
static size_t forge_token(struct rd *rd, const struct wire_context *context,
			  const struct node *n, uint8_t *bytes)
{
	uint8_t changes = rd_u8(rd);
	struct wire_token t = world.token;

	t.token_seq++;
	t.ring = changes & 1 ? some_ring(rd, n) : n->ring ? ring_current(n->ring) : t.ring;
	if (changes & 2)
		t.token_seq = near(rd, t.token_seq);
	if (changes & 4)
		t.seq = near(rd, t.seq);
	if (changes & 8)
		t.aru = near(rd, t.seq);
	t.aru = min_u64(t.aru, t.seq);
	if (changes & 16)
		t.aru_node = some_id(rd);
	if (changes & 32) {
		t.flow_bytes = (uint32_t)near(rd, t.flow_bytes);
		t.backlog_bytes = (uint32_t)near(rd, t.backlog_bytes);
		t.retrans = rd_u8(rd) % (TOTEM_MAX_NODES + 1);
	}
	if (changes & 64) {
		t.rtr_count = rd_u8(rd) % (WIRE_MAX_RTR + 1);
		for (int i = 0; i < t.rtr_count; i++) {
			t.rtr[i].first = near(rd, t.seq);
			t.rtr[i].count = rd_u8(rd) % 8;
		}
	}
	if (changes & 128)
		t.plugged = some_nodes(rd);
	return wire_write_token(context, &t, bytes);
}

static size_t forge_data(struct rd *rd, const struct wire_context *context,
			 const struct node *n, uint8_t *bytes)
{
	static const uint8_t payload[UINT8_MAX];
	uint8_t changes = rd_u8(rd);
	struct wire_data d = world.data;

	d.ring = changes & 1 ? some_ring(rd, n) : n->ring ? ring_current(n->ring) : d.ring;
	d.seq = near(rd, changes & 2 ? world.token.seq : d.seq);
	d.origin = changes & 4 ? some_id(rd) : context->self;
	d.flags = changes & 8 ? rd_u8(rd) & WIRE_DATA_FLAGS : d.flags;
	d.old_ring = changes & 16 ? some_ring(rd, n) : d.old_ring;
	d.old_seq = near(rd, d.old_seq);
	d.payload = payload;
	d.length = changes & 32 ? rd_u8(rd) : 1;
	return wire_write_data(context, &d, bytes);
}

static size_t forge_join(struct rd *rd, const struct wire_context *context,
			 const struct node *n, uint8_t *bytes)
{
	uint8_t changes = rd_u8(rd);
	struct wire_join j = world.join;
	enum wire_type type = changes & 64 ? WIRE_HOLD_CANCEL : WIRE_MERGE;

	if (changes & 32)
		return wire_write_ring(context, type, some_ring(rd, n), bytes);
	if (changes & 1)
		j.ring_seq = near(rd, j.ring_seq);
	if (changes & 2)
		j.incarnation = near(rd, j.incarnation);
	if (changes & 4)
		j.proc = some_nodes(rd);
	if (changes & 8)
		j.failed = some_nodes(rd);
	if (changes & 128)
		j.evicted = some_nodes(rd);
	j.evicted = set_and(j.evicted, j.failed);
	j.is_leave = changes & 16;
	return wire_write_join(context, &j, bytes);
}

static void forge_entry(struct rd *rd, const struct node *n, struct wire_commit_entry *e)
{
	e->is_filled = true;
	e->old_ring = some_ring(rd, n);
	e->high = near(rd, e->high);
	e->aru = min_u64(near(rd, e->aru), e->high);
	e->delivered = min_u64(near(rd, e->delivered), e->high);
	e->safe = min_u64(near(rd, e->safe), e->aru);
	e->have_count = rd_u8(rd) % (WIRE_MAX_HAVE + 1);
	for (int i = 0; i < e->have_count; i++) {
		e->have[i].first = e->aru + rd_u8(rd);
		e->have[i].count = rd_u8(rd);
	}
}

static size_t forge_commit(struct rd *rd, const struct wire_context *context,
			   const struct node *n, uint8_t *bytes)
{
	uint8_t changes = rd_u8(rd), which;
	struct wire_commit c = world.commit;
	struct node_set part;

	c.token_seq++;
	if (changes & 1)
		c.ring = some_ring(rd, n);
	if (changes & 2)
		c.ring.seq = near(rd, c.ring.seq);
	if (changes & 4)
		c.token_seq = near(rd, c.token_seq);
	if (changes & 8)
		c.round = rd_u8(rd) % 3;
	if (changes & 16)
		c.members = some_nodes(rd);
	if (changes & 32) {
		which = rd_u8(rd);
		for (int i = 0; i < CONFIGURED; i++)
			if (which >> i & 1)
				forge_entry(rd, n, &c.entries[i]);
	}
	part = changes & 64 ? set_and(some_nodes(rd), c.members) : c.members;
	return wire_write_commit(context, &c, part, bytes);
}

static void forge(enum operation operation, unsigned int arg, struct rd *rd)
{
	static uint8_t bytes[WIRE_MAX_PACKET];
	const int to = (int)(arg % 4) % NODES;
	const struct node *n = &world.nodes[to];
	/* of the others: 0..2 run, 3 and 4 do not */
	const struct wire_context context =
		context_of((to + 1 + (int)(arg >> 2)) % CONFIGURED);
	struct packet p = { .to = to };
	size_t length;

	if (operation == FORGE_TOKEN)
		length = forge_token(rd, &context, n, bytes);
	else if (operation == FORGE_DATA)
		length = forge_data(rd, &context, n, bytes);
	else if (operation == FORGE_JOIN)
		length = forge_join(rd, &context, n, bytes);
	else
		length = forge_commit(rd, &context, n, bytes);
	p.bytes = malloc(length);
	EXPECT(p.bytes != NULL);
	memcpy(p.bytes, bytes, length);
	p.length = length;
	deliver_packet(&p);
	free(p.bytes);
}

static void throw_raw(int to, struct rd *rd)
{
	size_t length = rd_u8(rd);
	struct packet p = { .to = to, .bytes = malloc(max_u64(length, 1)),
			    .length = length };

	EXPECT(p.bytes != NULL);
	rd_bytes(rd, p.bytes, length);
	deliver_packet(&p);
	free(p.bytes);
}

static void change(struct rd *rd)
{
	size_t at = rd_u16(rd);
	uint8_t by = rd_u8(rd);

	if (world.packet_count == 0)
		return;
	world.packets[0].bytes[at % world.packets[0].length] += by;
	deliver_next();
}

static void operate(enum operation operation, unsigned int arg, struct rd *rd)
{
	struct node *n = &world.nodes[arg % 4 % NODES];
	unsigned int i;

	switch (operation) {
	case DELIVER:
		for (i = 0; i <= arg; i++)
			deliver_next();
		break;
	case LOSE:
		if (world.packet_count > 0)
			free(take_packet().bytes);
		break;
	case TWICE:
		if (world.packet_count > 0)
			deliver_packet(&world.packets[0]);
		break;
	case CHANGE:
		change(rd);
		break;
	case ADVANCE:
		for (i = 0; i <= arg; i++)
			advance();
		break;
	case SLEEP:
		world.now += arg * 40 * MS;
		break;
	case EVIDENCE:
		if (n->ring && arg % 4 == 3)
			ring_evict(n->ring, world.now, table.ids[arg >> 2]);
		else if (n->ring)
			ring_evidence(n->ring, world.now, table.ids[arg >> 2]);
		break;
	case WANT:
		n->messages += rd_u8(rd);
		if (n->ring)
			ring_wake(n->ring, world.now);
		break;
	case SYNCHRONISED:
		if (n->ring)
			ring_synchronised(n->ring, world.now);
		break;
	case SAVED:
		seq_saved(n, arg >> 2 == 3 ? n->before_seq : n->asked_seq);
		break;
	case RESTART:
		if (n->ring)
			stop(n);
		else
			start(n);
		break;
	case RAW:
		throw_raw(n->self, rd);
		break;
	default:
		forge(operation, arg, rd);
		break;
	}
	settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	int n;

	begin(rd_u8(&rd));
	for (n = 0; n < MAX_OPERATIONS && rd.at < rd.length && !rd.failed; n++) {
		uint8_t what = rd_u8(&rd);

		operate(what & 15, what >> 4, &rd);
	}
	end();
	return 0;
}
