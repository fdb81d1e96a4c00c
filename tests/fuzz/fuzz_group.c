/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: groups and sync services of node 1 of three, and what members that
 * have the key and are out of their minds tell it. Its own packets come back to it.
 *
 *	input:  steps, a byte each (modulo STEP_COUNT), with what they need behind
 *
 * What must hold, for every input:
 *	F1  nothing that others say breaks this node (rule 5 of the design)
 *	F2  changes agree with each other: nobody is there twice, and who goes was
 *	    there
 *	F3  a message is of a member that is in the view
 *	F4  nothing outside of the buffers is touched (ASan), nothing is left (LSan)
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "tests/fuzz/expect.h"
#include "totem/group_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	CONFIGURE,    /* members */
	OWN_TURN,     /* what it has to say comes back */
	GREET,        /* from: as it should be */
	FINISH,       /* from: its groups are done */
	UNPLUG,       /* if all are done */
	SAY_SYNC,     /* from, length, bytes: a message */
	SAY_ORDINARY, /* from, length, bytes: a message */
	SAY_RAW,      /* from, length, bytes: a packet, of the phase that is */
	JOIN,         /* which name */
	LEAVE,        /* which handle */
	SEND,         /* which handle */
	END,          /* the configuration nears its end */
	STEP_COUNT,
};

enum { NODES = 3, SELF = 0, HANDLES = 4, ROOM = 600, MAX_VIEW = 3 * GROUP_MAX_HANDLES };

struct member {
	uint32_t node, handle;
};

struct process {
	struct group *handle; /* NULL: none */
	bool is_leaving;
	struct member *view;
	size_t count;
};

static struct {
	struct sync *sync;
	struct group_ring *groups;
	struct ring_id id;
	struct node_set members;
	struct process processes[HANDLES];
} world;

static const struct node_table table = { { 1, 2, 3 }, NODES };

/* --- what must hold ---------------------------------------------------------------- */

static bool is_in(const struct group_member *list, size_t count, struct member m)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].node == m.node && list[i].handle == m.handle)
			return true;
	return false;
}

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct process *p = owner;
	bool is_there = false;
	volatile uint8_t last = 0;

	(void)group;
	for (size_t i = 0; i < p->count; i++)
		is_there |= p->view[i].node == sender->node &&
			    p->view[i].handle == sender->handle;
	EXPECT(is_there); /* F3 */
	if (length > 0)
		last = ((const uint8_t *)message)[length - 1];
	(void)last;
}

/* F2 */
static void on_changed(void *owner, struct group *group, const struct group_change *c)
{
	struct process *p = owner;
	const struct member self = { table.ids[SELF], group->handle };

	for (size_t i = 1; i < c->member_count; i++) {
		const struct group_member *a = &c->members[i - 1], *b = a + 1;

		EXPECT(a->node < b->node || (a->node == b->node && a->handle < b->handle));
	}
	for (size_t i = 0; i < p->count; i++)
		EXPECT(is_in(c->members, c->member_count, p->view[i]) ||
		       is_in(c->left, c->left_count, p->view[i]));
	EXPECT(c->member_count <= MAX_VIEW);
	p->count = c->member_count;
	p->view = realloc(p->view, (p->count + 1) * sizeof(*p->view));
	EXPECT(p->view);
	for (size_t i = 0; i < p->count; i++)
		p->view[i] = (struct member){ c->members[i].node, c->members[i].handle };
	if (is_in(c->members, c->member_count, self))
		return;
	EXPECT(p->is_leaving);
	free(p->view);
	*p = (struct process){ 0 };
}

static void on_broken(void *owner, const char *why)
{
	(void)owner;
	fprintf(stderr, "broken: it %s\n", why);
	EXPECT(false); /* F1 */
}

/* --- the world ------------------------------------------------------------------------ */

static void on_event(void *owner)
{
	(void)owner;
}

static void on_named(void *owner, int node, const char *service)
{
	(void)owner;
	(void)node;
	EXPECT(service[0] != '\0');
}

static bool on_is_quorate(void *owner, struct node_set members)
{
	(void)owner;
	return set_count(members) > 1;
}

static void begin(void)
{
	static const struct sync_ops ops = { on_event, on_event, on_broken, on_named,
					     on_named, on_is_quorate };
	const struct sync_config sync = { .nodes = table, .self = table.ids[SELF] };
	struct group_ring_config config = { .nodes = table, .self = table.ids[SELF],
					    .wake = on_event };
	struct err err = ERR_INIT;

	memset(&world, 0, sizeof(world));
	world.sync = config.sync = sync_new(&sync, &ops, NULL, &err);
	EXPECT(world.sync);
	world.groups = group_ring_new(&config, &err);
	EXPECT(world.groups);
}

static void end(void)
{
	group_ring_free(world.groups);
	sync_free(world.sync);
	for (int i = 0; i < HANDLES; i++)
		free(world.processes[i].view);
}

static void configure(uint8_t members)
{
	struct sync_configuration c = { .members = { { (members & 7) | 1 << SELF } } };

	c.joined = set_minus(c.members, world.members);
	c.left = set_minus(world.members, c.members);
	world.members = c.members;
	c.id = world.id = (struct ring_id){ 1, world.id.seq + 4 };
	sync_configured(world.sync, 0, &c);
}

static void own_turn(void)
{
	uint8_t packet[ROOM];
	size_t length;
	bool is_safe;

	while ((length = sync_fill(world.sync, packet, ROOM, &is_safe)) > 0)
		sync_deliver(world.sync, world.id, SELF, packet, length);
	while ((length = group_ring_fill(world.groups, packet, ROOM, &is_safe)) > 0)
		group_ring_deliver(world.groups, world.id, SELF, packet, length);
}

static void say(bool is_sync, int from, const uint8_t *packet, size_t length)
{
	if (is_sync)
		sync_deliver(world.sync, world.id, from, packet, length);
	else
		group_ring_deliver(world.groups, world.id, from, packet, length);
}

static void say_message(bool is_sync, int from, const uint8_t *bytes, size_t length)
{
	uint8_t packet[5 + 255] = { 0x51, (uint8_t)(length << 2 | 1),
				    (uint8_t)(length >> 6) };

	memcpy(packet + 5, bytes, length);
	say(is_sync, from, packet, 5 + length);
}

static void greet(int from)
{
	static const uint8_t greeting[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					    1, SYNC_GROUPS };

	say_message(true, from, greeting, sizeof(greeting));
}

static void finish(int from)
{
	static const uint8_t done[] = { 3, SYNC_GROUPS };

	say_message(true, from, done, sizeof(done));
}

static void unplug(void)
{
	if (world.id.seq > 0 && set_is_empty(sync_waiting_for(world.sync)))
		sync_unplugged(world.sync);
}

static void join(uint8_t which)
{
	static const struct group_handlers handlers = { on_deliver, on_changed, NULL };
	struct process *p = &world.processes[which % HANDLES];
	struct err err = ERR_INIT;

	if (!p->handle)
		EXPECT(group_join(group_ring_engine(world.groups),
				  which & 128 ? "g" : "h", 1, &handlers, p, &p->handle,
				  &err) == 0);
}

static void leave(uint8_t which)
{
	struct process *p = &world.processes[which % HANDLES];

	if (!p->handle)
		return;
	p->is_leaving = true;
	group_leave(p->handle);
}

static void send(uint8_t which)
{
	static uint8_t bytes[255 * 16];
	const struct iovec part = { bytes, which * 16u };
	struct process *p = &world.processes[which % HANDLES];

	if (p->handle)
		(void)group_multicast(p->handle, which & 4 ? GROUP_SAFE : GROUP_AGREED,
				      &part, 1);
}

static void step(struct rd *rd)
{
	enum step what = (enum step)(rd_u8(rd) % STEP_COUNT);
	uint8_t argument = what == OWN_TURN || what == UNPLUG || what == END ? 0 : rd_u8(rd);
	int from = 1 + argument % (NODES - 1); /* nobody speaks in our name: seal.h */
	size_t length;

	switch (what) {
	case CONFIGURE:
		configure(argument);
		break;
	case OWN_TURN:
		own_turn();
		break;
	case GREET:
		greet(from);
		break;
	case FINISH:
		finish(from);
		break;
	case UNPLUG:
		unplug();
		break;
	case SAY_SYNC:
	case SAY_ORDINARY:
	case SAY_RAW:
		length = min_u64(rd_u8(rd), rd->length - rd->at);
		if (what == SAY_RAW)
			say(!sync_is_active(world.sync), from, rd->base + rd->at, length);
		else
			say_message(what == SAY_SYNC, from, rd->base + rd->at, length);
		rd_seek(rd, rd->at + length);
		break;
	case JOIN:
		join(argument);
		break;
	case LEAVE:
		leave(argument);
		break;
	case SEND:
		send(argument);
		break;
	case END:
		sync_ending(world.sync);
		break;
	case STEP_COUNT:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);

	begin();
	while (rd.at < rd.length && !rd.failed)
		step(&rd);
	/* whatever was said: in peace it goes on */
	configure(1 << SELF);
	own_turn();
	unplug();
	EXPECT(group_ring_is_active(world.groups));
	own_turn();
	end();
	return 0;
}
