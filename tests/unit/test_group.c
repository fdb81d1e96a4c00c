/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ordered groups, over a bus that stands for the ring: a list of packets that all
 * read in order, at their own pace, and configurations that the test decides. G1
 * to G5 are the promises of totem/group.h, R1 to R5 of group_ring.h; rows are
 * those of corosync's bugs (spec/totem.md A.14).
 *
 * What a handle saw is a line of text: "+n1.1" joined, "-n2.1/nodedown" left,
 * "=2" members after a change, "n1.1:hello" a message.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "totem/group_ring.h"

enum { NODES = 5, ROOM = 1200, MAX_LOGS = 16, MAX_PACKETS = 20000, MIB = 1 << 20 };

struct packet {
	uint32_t origin;
	bool is_safe, is_sync;
	size_t length;
	uint8_t *bytes;
};

/* One ring's order. */
struct log {
	struct ring_id id;
	struct node_set members, synced;
	struct packet packets[MAX_PACKETS];
	size_t count, sync_end;
};

struct node {
	struct bus *bus;
	struct sync *sync;
	struct group_ring *g;
	struct log *log;
	size_t read;
	bool is_unplugged;
	int wakes;
	const char *broken;
};

struct bus {
	struct node nodes[NODES];
	struct log *logs[MAX_LOGS];
	int log_count;
};

/* A process with one handle. */
struct app {
	struct node *node;
	struct group *group;
	char trace[4096];
	uint32_t messages, opened;
	uint64_t digest;     /* over all messages, of any size */
	bool is_silent;      /* the digest only */
	struct app *joins;   /* on the first change it sees, for reentrancy */
};

static void on_wake(void *owner)
{
	((struct node *)owner)->wakes++;
}

static void on_synchronised(void *owner)
{
	struct node *n = owner;
	struct log *l = n->log;

	set_add(&l->synced, (int)(n - n->bus->nodes));
	if (set_equal(l->synced, l->members))
		l->sync_end = l->count;
}

static void on_broken(void *owner, const char *why)
{
	((struct node *)owner)->broken = why;
}

static void on_late(void *owner, int node, const char *service)
{
	(void)owner;
	fail_msg("node %d is late with its %s", node, service);
}

static bool on_is_quorate(void *owner, struct node_set members)
{
	(void)owner;
	(void)members;
	return true;
}

static void start(struct bus *bus, int i)
{
	static const struct sync_ops ops = {
		on_wake, on_synchronised, on_broken, on_late, on_late, on_is_quorate,
	};
	struct node *n = &bus->nodes[i];
	struct sync_config sync = { .self = (uint32_t)i + 1 };
	struct group_ring_config config = {
		.self = (uint32_t)i + 1, .wake = on_wake, .owner = n,
	};
	struct err err = ERR_INIT;

	for (int k = 0; k < NODES; k++)
		config.nodes.ids[k] = (uint32_t)k + 1;
	config.nodes.count = NODES;
	sync.nodes = config.nodes;
	*n = (struct node){ .bus = bus };
	n->sync = config.sync = sync_new(&sync, &ops, n, &err);
	if (!n->sync)
		fail_msg("%s", err.text);
	n->g = group_ring_new(&config, &err);
	if (!n->g)
		fail_msg("%s", err.text);
}

static void crash(struct bus *bus, int i)
{
	group_ring_free(bus->nodes[i].g);
	sync_free(bus->nodes[i].sync);
	bus->nodes[i] = (struct node){ .bus = bus };
}

static struct bus *bus_new(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	assert_non_null(bus);
	for (int i = 0; i < NODES; i++)
		start(bus, i);
	return bus;
}

static void bus_free(struct bus *bus)
{
	for (int i = 0; i < NODES; i++) {
		assert_null(bus->nodes[i].broken);
		crash(bus, i);
	}
	while (bus->log_count > 0) {
		struct log *l = bus->logs[--bus->log_count];

		while (l->count > 0)
			free(l->packets[--l->count].bytes);
		free(l);
	}
	free(bus);
}

static void unplug(struct node *n)
{
	if (n->is_unplugged)
		return;
	n->is_unplugged = true;
	sync_unplugged(n->sync);
}

/* One packet, if there is one, and the end of the sync phase where it is due. */
static bool read_one(struct node *n)
{
	struct log *l = n->log;
	bool any = n->read < l->count;

	if (any) {
		const struct packet *p = &l->packets[n->read++];
		int from = (int)p->origin - 1;

		if (p->is_sync) {
			sync_deliver(n->sync, l->id, from, p->bytes, p->length);
		} else {
			unplug(n);
			group_ring_deliver(n->g, l->id, from, p->bytes, p->length);
		}
	}
	return any;
}

static bool poll_unplug(struct node *n)
{
	if (n->is_unplugged || !set_equal(n->log->synced, n->log->members) ||
	    n->read < n->log->sync_end)
		return false;
	unplug(n);
	return true;
}

static bool send_one(struct node *n)
{
	struct log *l = n->log;
	uint8_t bytes[ROOM];
	struct packet p = { .origin = (uint32_t)(n - n->bus->nodes) + 1,
			    .is_sync = !n->is_unplugged };

	p.length = p.is_sync ? sync_fill(n->sync, bytes, ROOM, &p.is_safe) :
			       group_ring_fill(n->g, bytes, ROOM, &p.is_safe);
	if (p.length == 0)
		return false;
	p.bytes = malloc(p.length);
	assert_non_null(p.bytes);
	memcpy(p.bytes, bytes, p.length);
	assert_true(l->count < MAX_PACKETS);
	l->packets[l->count++] = p;
	return true;
}

/* A packet of each of the first `count` nodes, read by them: greetings, then state. */
static void tell_stage(struct bus *bus, int count)
{
	for (int i = 0; i < count; i++)
		send_one(&bus->nodes[i]);
	for (int i = 0; i < count; i++)
		while (read_one(&bus->nodes[i]))
			;
}

/* Until nothing more happens; the nodes before `first` are asleep. */
static void run_from(struct bus *bus, int first)
{
	bool any = true;

	while (any) {
		any = false;
		for (int i = first; i < NODES; i++) {
			struct node *n = &bus->nodes[i];

			if (!n->log)
				continue;
			any |= send_one(n);
			for (int k = 0; k < NODES + 1; k++)
				any |= read_one(n);
			any |= poll_unplug(n);
		}
	}
}

static void run(struct bus *bus)
{
	run_from(bus, 0);
}

static struct node_set set_from(const char *digits)
{
	struct node_set s = { { 0 } };

	while (*digits)
		set_add(&s, *digits++ - '1');
	return s;
}

/* The old order to its end, as extended virtual synchrony has it; then the new. */
static void go_over(struct node *n, struct log *l, struct node_set trans)
{
	struct log *old = n->log;
	struct node_set left = { { 0 } };

	if (old) {
		size_t half = n->read + (old->count - n->read) / 2;

		left = set_minus(old->members, trans);
		while (n->read < half)
			(void)read_one(n);
		sync_ending(n->sync);
		while (read_one(n))
			;
	}
	n->log = l;
	n->read = 0;
	n->is_unplugged = false;
	n->wakes = 0;
	sync_configured(n->sync, 0, &(struct sync_configuration){
		.id = l->id, .members = l->members,
		.joined = set_minus(l->members, trans), .left = left });
	assert_true(n->wakes > 0);
}

/* "123": nodes 1, 2 and 3 are a ring now. The old rings' orders are as they are. */
static void configure(struct bus *bus, const char *nodes)
{
	struct log *l = calloc(1, sizeof(*l)), *old[NODES];
	int i, k;

	assert_non_null(l);
	assert_true(bus->log_count < MAX_LOGS);
	bus->logs[bus->log_count++] = l;
	l->members = set_from(nodes);
	l->id = (struct ring_id){ (uint32_t)set_next(l->members, 0) + 1,
				  (uint64_t)bus->log_count * 4 };
	for (i = 0; i < NODES; i++)
		old[i] = bus->nodes[i].log;
	for (i = 0; i < NODES; i++) {
		struct node_set trans = set_of(i);

		if (!set_has(&l->members, i))
			continue;
		for (k = 0; k < NODES; k++)
			if (set_has(&l->members, k) && old[i] && old[k] == old[i])
				set_add(&trans, k);
		go_over(&bus->nodes[i], l, trans);
	}
}

/* --- processes ------------------------------------------------------------------- */

static void note(struct app *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void note(struct app *a, const char *fmt, ...)
{
	size_t at = strlen(a->trace);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->trace + at, sizeof(a->trace) - at, fmt, ap);
	va_end(ap);
	assert_true(strlen(a->trace) < sizeof(a->trace) - 1);
}

static void join(struct app *a, struct bus *bus, int node, const char *name);

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct app *a = owner;
	const uint8_t *b = message;

	assert_ptr_equal(group, a->group);
	a->messages++;
	a->digest = (a->digest ^ sender->node) * 1099511628211u;
	for (size_t i = 0; i < length; i++)
		a->digest = (a->digest ^ b[i]) * 1099511628211u;
	if (!a->is_silent)
		note(a, "n%u.%u:%.*s ", sender->node, sender->handle, (int)length,
		     (const char *)message);
}

static void on_changed(void *owner, struct group *group,
		       const struct group_change *c)
{
	struct app *a = owner, *joins = a->joins;
	size_t i;

	assert_ptr_equal(group, a->group);
	for (i = 0; i < c->joined_count; i++)
		note(a, "+n%u.%u ", c->joined[i].node, c->joined[i].handle);
	for (i = 0; i < c->left_count; i++)
		note(a, "-n%u.%u/%s ", c->left[i].node, c->left[i].handle,
		     group_reason_name(c->left[i].reason));
	note(a, "=%zu ", c->member_count);
	for (i = 1; i < c->member_count; i++)
		assert_true(c->members[i - 1].node < c->members[i].node ||
			    (c->members[i - 1].node == c->members[i].node &&
			     c->members[i - 1].handle < c->members[i].handle));
	if (joins) {
		a->joins = NULL;
		join(joins, a->node->bus, (int)(a->node - a->node->bus->nodes), "g");
	}
}

static void on_credit(void *owner, struct group *group)
{
	struct app *a = owner;

	assert_ptr_equal(group, a->group);
	a->opened++;
}

static void join(struct app *a, struct bus *bus, int node, const char *name)
{
	static const struct group_handlers handlers = { on_deliver, on_changed, on_credit };
	struct err err = ERR_INIT;

	a->node = &bus->nodes[node];
	assert_ok(group_join(group_ring_engine(a->node->g), name, strlen(name),
			     &handlers, a, &a->group, &err), err);
}

static int say_as(struct app *a, enum group_order order, const char *text)
{
	const struct iovec part = { (void *)(uintptr_t)text, strlen(text) };

	return group_multicast(a->group, order, &part, 1);
}

static void say(struct app *a, const char *text)
{
	assert_int_equal(say_as(a, GROUP_AGREED, text), 0);
}

static void saw(struct app *a, const char *expected)
{
	assert_string_equal(a->trace, expected);
	a->trace[0] = '\0';
}

/* apps[i] on node i, in group "g", all in one ring. */
static struct bus *together(struct app *apps, int count)
{
	static const char *const digits[] = { "", "1", "12", "123", "1234", "12345" };
	struct bus *bus = bus_new();

	memset(apps, 0, (size_t)count * sizeof(*apps));
	configure(bus, digits[count]);
	run(bus);
	for (int i = 0; i < count; i++) {
		join(&apps[i], bus, i, "g");
		run(bus);
	}
	for (int i = 0; i < count; i++)
		apps[i].trace[0] = '\0';
	return bus;
}

/* --- stories --------------------------------------------------------------------- */

/* G1 */
static void all_see_joins_messages_and_leaves_in_one_order(void **state)
{
	struct app a = { 0 }, b = { 0 };
	struct bus *bus = bus_new();

	(void)state;
	configure(bus, "12");
	run(bus);
	join(&a, bus, 0, "g");
	say(&a, "early"); /* behind its own join */
	run(bus);
	saw(&a, "+n1.1 =1 n1.1:early ");
	join(&b, bus, 1, "g");
	run(bus);
	say(&b, "two");
	say(&a, "one");
	run(bus);
	assert_string_equal(b.trace, "+n2.1 =2 n1.1:one n2.1:two ");
	assert_string_equal(a.trace, b.trace);
	a.trace[0] = b.trace[0] = '\0';
	group_leave(a.group);
	assert_int_equal(say_as(&a, GROUP_AGREED, "x"), -ESHUTDOWN);
	run(bus);
	saw(&a, "-n1.1/leave =1 ");
	saw(&b, "-n1.1/leave =1 ");
	say(&b, "alone");
	run(bus);
	saw(&a, "");
	saw(&b, "n2.1:alone ");
	bus_free(bus);
}

/* G2 */
static void two_groups_do_not_see_each_other(void **state)
{
	struct app a[2] = { 0 }, b[2] = { 0 };
	struct bus *bus = bus_new();

	(void)state;
	configure(bus, "12");
	for (int i = 0; i < 2; i++) {
		join(&a[i], bus, i, "a");
		join(&b[i], bus, i, "ab");
	}
	run(bus);
	a[0].trace[0] = a[1].trace[0] = b[0].trace[0] = b[1].trace[0] = '\0';
	say(&a[0], "for a");
	say(&b[1], "for ab");
	group_leave(b[0].group);
	run(bus);
	saw(&a[0], "n1.1:for a ");
	saw(&a[1], "n1.1:for a ");
	assert_non_null(strstr(b[1].trace, "n2.2:for ab "));
	assert_non_null(strstr(b[1].trace, "-n1.2/leave =1 "));
	bus_free(bus);
}

static void a_process_that_died_is_procdown(void **state)
{
	struct app a[2];
	struct bus *bus = together(a, 2);

	(void)state;
	say(&a[0], "last words");
	group_abandon(a[0].group);
	run(bus);
	saw(&a[0], "");
	saw(&a[1], "n1.1:last words -n1.1/procdown =1 ");
	group_leave(a[1].group);
	group_abandon(a[1].group); /* it was quicker to die than to leave */
	run(bus);
	saw(&a[1], "");
	assert_int_equal(group_ring_stats(bus->nodes[0].g)->faults[GROUP_FAULT_HANDLE], 0);
	bus_free(bus);
}

static void a_node_that_vanishes_is_nodedown(void **state)
{
	struct app a[3];
	struct bus *bus = together(a, 3);

	(void)state;
	say(&a[2], "still heard");
	send_one(&bus->nodes[2]);
	say(&a[2], "never sent");
	crash(bus, 2);
	configure(bus, "12");
	run(bus);
	saw(&a[0], "n3.1:still heard -n3.1/nodedown =2 ");
	saw(&a[1], "n3.1:still heard -n3.1/nodedown =2 ");
	bus_free(bus);
}

/* G3: one change with both, for who was away and for who was never told. */
static void a_node_that_restarts_between_goes_and_comes_in_one_change(void **state)
{
	struct app a[2], again = { 0 };
	struct bus *bus = together(a, 2);

	(void)state;
	crash(bus, 1);
	start(bus, 1);
	join(&again, bus, 1, "g");
	configure(bus, "2"); /* which node 1 never hears of */
	run(bus);
	again.trace[0] = '\0';
	configure(bus, "12");
	run(bus);
	saw(&a[0], "+n2.1 -n2.1/nodedown =2 ");
	saw(&again, "+n1.1 =2 ");
	bus_free(bus);
}

/* G3 */
static void halves_part_and_merge_and_have_one_view(void **state)
{
	struct app a[4], e = { 0 };
	struct bus *bus = together(a, 4);

	(void)state;
	configure(bus, "12");
	configure(bus, "34");
	say(&a[0], "low");
	say(&a[3], "high");
	run(bus);
	saw(&a[0], "-n3.1/nodedown -n4.1/nodedown =2 n1.1:low ");
	saw(&a[1], "-n3.1/nodedown -n4.1/nodedown =2 n1.1:low ");
	saw(&a[2], "-n1.1/nodedown -n2.1/nodedown =2 n4.1:high ");
	saw(&a[3], "-n1.1/nodedown -n2.1/nodedown =2 n4.1:high ");
	say(&a[3], "to all"); /* queued in its half, seen in the whole: G2 */
	configure(bus, "1234");
	run(bus);
	saw(&a[0], "+n3.1 +n4.1 =4 n4.1:to all ");
	saw(&a[1], "+n3.1 +n4.1 =4 n4.1:to all ");
	saw(&a[2], "+n1.1 +n2.1 =4 n4.1:to all ");
	saw(&a[3], "+n1.1 +n2.1 =4 n4.1:to all ");
	/* 3 goes and 4 with it, comes back alone, and node 5 too: both lists */
	join(&e, bus, 4, "g");
	configure(bus, "5");
	run(bus);
	configure(bus, "1235");
	run(bus);
	assert_string_equal(a[0].trace, "+n5.1 -n4.1/nodedown =4 ");
	assert_string_equal(a[2].trace, a[0].trace);
	for (int i = 0; i < 3; i++)
		a[i].trace[0] = '\0';
	bus->nodes[4].log = NULL;
	bus_free(bus);
}

/* Row 1, G4, R2: told everything, and was gone before it counted. */
static void a_node_that_dies_before_the_end_leaves_no_ghost(void **state)
{
	(void)state;
	for (int sent = 0; sent <= 3; sent++) {
		struct app a[2], c = { 0 };
		struct bus *bus = together(a, 2);

		join(&c, bus, 2, "g");
		configure(bus, "3");
		run(bus);
		configure(bus, "123");
		tell_stage(bus, 3);
		for (int i = 2; i > 2 - sent; i--)
			send_one(&bus->nodes[i]);
		for (int i = 0; i < 3; i++) /* heard by all, synchronised nowhere */
			while (read_one(&bus->nodes[i]))
				;
		assert_int_equal(set_count(sync_waiting_for(bus->nodes[0].sync)),
				 3 - sent);
		crash(bus, 2);
		configure(bus, "12");
		run(bus);
		saw(&a[0], "");
		saw(&a[1], "");
		say(&a[0], "we two");
		run(bus);
		saw(&a[1], "n1.1:we two ");
		assert_int_equal(sync_stats(bus->nodes[0].sync)->aborts, 1);
		bus_free(bus);
	}
}

/* R3: one node was told that all are synchronised, the other was not. */
static void what_one_node_activated_the_others_activate_too(void **state)
{
	struct app a[2], c = { 0 };
	struct bus *bus = together(a, 2);

	(void)state;
	join(&c, bus, 2, "g");
	configure(bus, "3");
	run(bus);
	configure(bus, "123");
	tell_stage(bus, 3);
	tell_stage(bus, 3);
	assert_true(poll_unplug(&bus->nodes[0]));
	assert_true(group_ring_is_active(bus->nodes[0].g));
	assert_false(group_ring_is_active(bus->nodes[1].g));
	crash(bus, 2);
	/* and one more that comes to nothing in between */
	configure(bus, "12");
	configure(bus, "12");
	run(bus);
	saw(&a[0], "+n3.1 =3 -n3.1/nodedown =2 ");
	saw(&a[1], "+n3.1 =3 -n3.1/nodedown =2 ");
	bus_free(bus);
}

/* G3: who left before an interrupted change has left after it, too. */
static void who_left_in_an_interrupted_change_is_not_forgotten(void **state)
{
	(void)state;
	for (int told = 0; told < 3; told++) {
		struct app a[3], again = { 0 };
		struct bus *bus = together(a, 3);

		crash(bus, 2);
		configure(bus, "12");
		for (int k = 0; k < told; k++)
			tell_stage(bus, 2);
		start(bus, 2);
		join(&again, bus, 2, "g");
		configure(bus, "3");
		run_from(bus, 2);
		configure(bus, "123");
		run(bus);
		saw(&a[0], "+n3.1 -n3.1/nodedown =3 ");
		saw(&a[1], "+n3.1 -n3.1/nodedown =3 ");
		bus_free(bus);
	}
}

/* Row 3, R1 */
static void what_waited_before_the_change_goes_behind_the_sync_messages(void **state)
{
	struct app a[2];
	struct bus *bus = together(a, 2);
	char *large = calloc(1, 50001);
	struct log *l;
	bool is_safe;
	uint8_t packet[ROOM];

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 50000);
	a[0].is_silent = a[1].is_silent = true;
	say(&a[0], large);
	for (int i = 0; i < 10; i++)
		send_one(&bus->nodes[0]); /* half of it is out */
	configure(bus, "12");
	assert_int_equal(group_ring_backlog(bus->nodes[0].g), 0);
	assert_int_equal(group_ring_fill(bus->nodes[0].g, packet, ROOM, &is_safe), 0);
	assert_true(sync_backlog(bus->nodes[0].sync) > 0);
	run(bus);
	l = bus->nodes[0].log;
	/* greetings and states first */
	for (int i = 0; i < 4; i++)
		assert_true(l->packets[i].is_sync);
	assert_false(l->packets[4].is_sync);
	/* R4, row 2: again from its start, once, whole */
	assert_int_equal(a[1].messages, 1);
	assert_int_equal(a[0].digest, a[1].digest);
	assert_int_equal(group_ring_stats(bus->nodes[1].g)->pack.faults[PACK_ORPHAN], 0);
	assert_int_equal(group_ring_stats(bus->nodes[1].g)->pack.faults[PACK_CUT], 0);
	free(large);
	bus_free(bus);
}

/* Row 2, R4: its last part comes only with the recovered messages. */
static void a_message_whose_end_is_recovered_is_whole(void **state)
{
	(void)state;
	for (int read = 0; read < 9; read++) {
		struct app a[2];
		struct bus *bus = together(a, 2);
		char large[8001];

		memset(large, 'y', 8000);
		large[8000] = '\0';
		a[0].is_silent = a[1].is_silent = true;
		say(&a[0], large);
		while (send_one(&bus->nodes[0]))
			;
		for (int i = 0; i < read; i++)
			(void)read_one(&bus->nodes[1]);
		configure(bus, "12");
		run(bus);
		assert_int_equal(a[0].messages, 1);
		assert_int_equal(a[1].messages, 1);
		assert_int_equal(a[0].digest, a[1].digest);
		bus_free(bus);
	}
}

/* G1 */
static void safe_and_agreed_keep_their_senders_order(void **state)
{
	struct app a[2];
	struct bus *bus = together(a, 2);
	struct log *l = bus->nodes[0].log;
	size_t i, before = l->count, safe = 0;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(say_as(&a[0], i % 3 ? GROUP_AGREED : GROUP_SAFE,
					(const char *[]){ "0", "1", "2", "3", "4",
							  "5", "6", "7" }[i]), 0);
	run(bus);
	assert_string_equal(a[0].trace, "n1.1:0 n1.1:1 n1.1:2 n1.1:3 n1.1:4 "
					"n1.1:5 n1.1:6 n1.1:7 ");
	assert_string_equal(a[0].trace, a[1].trace);
	for (i = before; i < l->count; i++)
		safe += l->packets[i].is_safe;
	assert_int_equal(l->count - before, 6);
	assert_int_equal(safe, 3);
	bus_free(bus);
}

static void a_mebibyte_from_everybody_at_once(void **state)
{
	struct app a[NODES];
	struct bus *bus = together(a, NODES);
	char *large = malloc(MIB + 1);
	struct iovec parts[2] = { { large, MIB }, { large, 1 } };

	(void)state;
	assert_non_null(large);
	for (int i = 0; i < NODES; i++) {
		a[i].is_silent = true;
		for (size_t k = 0; k < MIB; k++)
			large[k] = (char)(k * 7 + (size_t)i);
		assert_int_equal(group_multicast(a[i].group, GROUP_SAFE, parts, 1), 0);
		assert_int_equal(group_multicast(a[i].group, GROUP_SAFE, parts, 2),
				 -EMSGSIZE);
	}
	run(bus);
	for (int i = 0; i < NODES; i++) {
		assert_int_equal(a[i].messages, NODES);
		assert_int_equal(a[i].digest, a[0].digest);
		assert_int_equal(a[i].opened, 0);
	}
	free(large);
	bus_free(bus);
}

/* G5 */
static void credit_goes_to_zero_and_opens_again(void **state)
{
	struct app a[2];
	struct bus *bus = together(a, 2);
	const struct group_engine *engine = group_ring_engine(bus->nodes[0].g);
	char kilo[1025];
	size_t taken = 0, before = group_credit(engine);

	(void)state;
	memset(kilo, 'k', 1024);
	kilo[1024] = '\0';
	a[0].is_silent = a[1].is_silent = true;
	assert_int_equal(before, GROUP_MAX_MESSAGE);
	while (say_as(&a[0], GROUP_AGREED, kilo) == 0)
		assert_true(++taken <= 4096);
	assert_true(taken > 3500 && group_credit(engine) < 1024);
	/* leaving and joining need none */
	group_leave(a[0].group);
	assert_int_equal(a[0].opened, 0);
	assert_int_equal(say_as(&a[1], GROUP_AGREED, "other node"), 0);
	run(bus);
	assert_int_equal(a[1].messages, taken + 1);
	assert_int_equal(a[0].opened, 0); /* it is leaving */
	assert_int_equal(group_credit(engine), before);

	/* nodes that are synchronising take no more, either */
	taken = 0;
	configure(bus, "12");
	while (say_as(&a[1], GROUP_AGREED, kilo) == 0)
		assert_true(++taken <= 4096);
	assert_int_equal(say_as(&a[1], GROUP_AGREED, kilo), -EAGAIN);
	assert_int_equal(a[1].opened, 0);
	run(bus);
	assert_int_equal(a[1].opened, 1);
	assert_int_equal(say_as(&a[1], GROUP_AGREED, kilo), 0);
	run(bus);
	assert_int_equal(a[1].opened, 1);
	bus_free(bus);
}

static void a_handle_may_join_from_within_a_change(void **state)
{
	struct app a[2], inner = { 0 };
	struct bus *bus = together(a, 2);

	(void)state;
	a[0].joins = &inner;
	group_leave(a[1].group);
	run(bus);
	saw(&a[0], "-n2.1/leave =1 +n1.2 =2 ");
	saw(&inner, "+n1.2 =2 ");
	bus_free(bus);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
	static const struct group_handlers none = { 0 };
	struct app a[1];
	struct bus *bus = together(a, 1);
	struct group_engine *engine = group_ring_engine(bus->nodes[0].g);
	char name[65] = "";
	struct group *g = NULL;
	struct err err = ERR_INIT;
	int n = 1;

	(void)state;
	assert_refused(group_join(engine, "", 0, &none, NULL, &g, &err), -EINVAL, err,
		       "name", "64");
	assert_refused(group_join(engine, name, 65, &none, NULL, &g, &err), -EINVAL, err,
		       "name", "65");
	assert_int_equal(group_join(engine, name, 64, &none, NULL, &g, &err), 0);
	while (group_join(engine, "x", 1, &none, NULL, &g, &err) == 0)
		n++;
	assert_int_equal(n + 1, GROUP_MAX_HANDLES);
	assert_int_equal(err.code, -EAGAIN);
	run(bus);
	configure(bus, "1"); /* the largest state there is goes through */
	run(bus);
	assert_true(group_ring_is_active(bus->nodes[0].g));
	bus_free(bus);
}

/* Rule 5 of the design: from a member that has the key, and is out of its mind. */
static void hostile_messages_change_nothing(void **state)
{
	static const struct {
		enum group_fault fault;
		size_t length;
		uint8_t bytes[16];
	} cases[] = {
		{ GROUP_FAULT_MESSAGE, 0, { 0 } },
		{ GROUP_FAULT_MESSAGE, 4, { 1, 1, 0, 0 } },
		{ GROUP_FAULT_MESSAGE, 6, { 9, 1, 0, 0, 0, 'x' } },
		{ GROUP_FAULT_HANDLE, 6, { 1, 77, 0, 0, 0, 'x' } },
		{ GROUP_FAULT_HANDLE, 6, { 2, 1, 0, 0, 0, 'g' } },
		{ GROUP_FAULT_MESSAGE, 5, { 2, 5, 0, 0, 0 } },
		{ GROUP_FAULT_HANDLE, 6, { 3, 77, 0, 0, 0, GROUP_LEAVE } },
		{ GROUP_FAULT_MESSAGE, 6, { 3, 1, 0, 0, 0, GROUP_NODEDOWN } },
		{ GROUP_FAULT_MESSAGE, 5, { 3, 1, 0, 0, 0 } },
		{ GROUP_FAULT_MESSAGE, 5, { 4, 1, 0, 0, 0 } },
	};
	struct app a[2];
	struct bus *bus = together(a, 2);
	struct node *n = &bus->nodes[0];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = group_ring_stats(n->g)->faults[cases[i].fault];
		uint8_t packet[32] = { 0x51, (uint8_t)(cases[i].length << 2 | 1) };
		size_t length = 5 + cases[i].length;

		memcpy(packet + 5, cases[i].bytes, cases[i].length);
		group_ring_deliver(n->g, n->log->id, 1, packet, length);
		assert_int_equal(group_ring_stats(n->g)->faults[cases[i].fault],
				 before + 1);
		before = group_ring_stats(n->g)->faults[GROUP_FAULT_STRANGER];
		/* not in the ring, not configured */
		group_ring_deliver(n->g, n->log->id, i % 2 ? 2 : TOTEM_NO_INDEX, packet,
				   length);
		assert_int_equal(group_ring_stats(n->g)->faults[GROUP_FAULT_STRANGER],
				 before + 1);
	}
	saw(&a[0], "");
	bus_free(bus);
}

static void hostile_states_are_not_believed(void **state)
{
	static const struct {
		size_t length;
		uint8_t bytes[40]; /* behind kind and ring */
	} cases[] = {
		{ 3, { 0 } },
		{ 4, { 1 } },
		{ 4, { 1, 16, 0, 0 } },                          /* 4097 */
		{ 10, { 1, 0, 0, 0, 1, 0, 0, 0, 2, 'g' } },
		{ 9, { 1, 0, 0, 0, 1, 0, 0, 0, 0 } },
		{ 5, { 0, 0, 0, 0, 'x' } },
		{ 16, { 2, 0, 0, 0, 1, 0, 0, 0, 1, 'g', 1, 0, 0, 0, 1, 'h' } },
	};
	struct app a[2];
	struct bus *bus = together(a, 2);
	struct node *n = &bus->nodes[0];
	struct node_set waiting;

	(void)state;
	configure(bus, "12");
	tell_stage(bus, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t packet[64] = { 0x51, (uint8_t)((14 + cases[i].length) << 2 | 1),
				       0, 0, 0, 2, SYNC_GROUPS };

		memcpy(packet + 19, cases[i].bytes, cases[i].length);
		sync_deliver(n->sync, n->log->id, 1, packet, 19 + cases[i].length);
		assert_int_equal(group_ring_stats(n->g)->faults[GROUP_FAULT_MESSAGE],
				 i + 1);
		waiting = sync_waiting_for(n->sync);
		assert_true(set_has(&waiting, 1));
	}
	run(bus); /* and the true one still comes */
	assert_true(group_ring_is_active(n->g));
	saw(&a[0], "");
	bus_free(bus);
}

/* R5 */
static void who_is_told_to_begin_too_early_stops(void **state)
{
	struct app a[2];
	struct bus *bus = together(a, 2);
	struct node *n = &bus->nodes[0];

	(void)state;
	configure(bus, "12");
	sync_unplugged(n->sync);
	assert_non_null(n->broken);
	assert_int_equal(say_as(&a[0], GROUP_AGREED, "x"), -ESHUTDOWN);
	assert_int_equal(sync_backlog(n->sync), 0);
	assert_false(send_one(n));
	n->broken = NULL;
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_see_joins_messages_and_leaves_in_one_order),
		cmocka_unit_test(two_groups_do_not_see_each_other),
		cmocka_unit_test(a_process_that_died_is_procdown),
		cmocka_unit_test(a_node_that_vanishes_is_nodedown),
		cmocka_unit_test(a_node_that_restarts_between_goes_and_comes_in_one_change),
		cmocka_unit_test(halves_part_and_merge_and_have_one_view),
		cmocka_unit_test(a_node_that_dies_before_the_end_leaves_no_ghost),
		cmocka_unit_test(what_one_node_activated_the_others_activate_too),
		cmocka_unit_test(who_left_in_an_interrupted_change_is_not_forgotten),
		cmocka_unit_test(what_waited_before_the_change_goes_behind_the_sync_messages),
		cmocka_unit_test(a_message_whose_end_is_recovered_is_whole),
		cmocka_unit_test(safe_and_agreed_keep_their_senders_order),
		cmocka_unit_test(a_mebibyte_from_everybody_at_once),
		cmocka_unit_test(credit_goes_to_zero_and_opens_again),
		cmocka_unit_test(a_handle_may_join_from_within_a_change),
		cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
		cmocka_unit_test(hostile_messages_change_nothing),
		cmocka_unit_test(hostile_states_are_not_believed),
		cmocka_unit_test(who_is_told_to_begin_too_early_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
