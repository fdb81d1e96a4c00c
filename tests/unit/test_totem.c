/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One totem by itself: what it tells its owner and an operator. Clusters of them
 * are in the simulator.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "totem/totem.h"
#include "totem/view.h"

struct owner {
	struct totem *totem;
	int wakes, syncs, packets, lates;
	uint32_t refused_node;
	char refused[80];
	const char *broken;
	uint64_t value; /* of the counter that is looked for */
	const char *name;
	size_t counters;
};

static void op_send_one(void *owner, int to, const uint8_t *bytes, size_t length)
{
	(void)to;
	(void)bytes;
	(void)length;
	((struct owner *)owner)->packets++;
}

static void op_send_all(void *owner, struct node_set to, const uint8_t *bytes,
			size_t length)
{
	(void)to;
	(void)bytes;
	(void)length;
	((struct owner *)owner)->packets++;
}

static void op_save_seq(void *owner, uint64_t seq)
{
	(void)owner;
	(void)seq;
}

static void op_wake(void *owner)
{
	((struct owner *)owner)->wakes++;
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	(void)owner;
	(void)c;
}

static void op_synchronised(void *owner)
{
	((struct owner *)owner)->syncs++;
}

static void op_refused(void *owner, uint32_t node, const char *why)
{
	struct owner *o = owner;

	o->refused_node = node;
	(void)snprintf(o->refused, sizeof(o->refused), "%s", why);
}

static void op_late(void *owner, int node, const char *service)
{
	(void)node;
	(void)service;
	((struct owner *)owner)->lates++;
}

static void op_broken(void *owner, const char *why)
{
	((struct owner *)owner)->broken = why;
}

static void stuck_init(void *owner, const struct sync_configuration *c)
{
	(void)owner;
	(void)c;
}

static enum sync_progress stuck_process(void *owner)
{
	(void)owner;
	return SYNC_AGAIN;
}

static void stuck_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	(void)owner;
	(void)from;
	(void)bytes;
	(void)length;
}

static void stuck_event(void *owner)
{
	(void)owner;
}

static const struct sync_service_ops stuck = {
	.init = stuck_init,
	.process = stuck_process,
	.deliver = stuck_deliver,
	.abort = stuck_event,
	.activate = stuck_event,
};

static void make(struct owner *o)
{
	static const struct totem_ops ops = {
		.send_one = op_send_one, .send_all = op_send_all,
		.save_seq = op_save_seq, .wake = op_wake,
		.configured = op_configured, .synchronised = op_synchronised,
		.refused = op_refused, .late = op_late, .evicted = op_late,
		.broken = op_broken,
	};
	const struct totem_config c = {
		.ring = {
			.nodes = { { 1, 2, 7 }, 3 },
			.self = 2,
			.cluster = "test",
			.incarnation = 1,
			.first_ring_seq = RING_SEQ_STRIDE,
			.packet_bytes = 1400,
			.token_ns = NS_PER_S,
		},
		.sync_deadline_ns = NS_PER_S / 10,
	};
	struct err err = ERR_INIT;

	*o = (struct owner){ .totem = totem_new(&c, &ops, o, &err) };
	if (!o->totem)
		fail_msg("%s", err.text);
}

static void start(struct owner *o)
{
	make(o);
	totem_start(o->totem, 1);
}

/* Alone, for as long as it takes. */
static void run(struct owner *o, uint64_t until)
{
	while (totem_deadline(o->totem) <= until)
		totem_advance(o->totem, totem_deadline(o->totem));
}

static void look_for(void *owner, const char *name, uint64_t value)
{
	struct owner *o = owner;

	o->counters++;
	if (strcmp(name, o->name) == 0)
		o->value = value;
}

static uint64_t counter(struct owner *o, const char *name)
{
	o->name = name;
	o->value = UINT64_MAX;
	totem_counters(o->totem, look_for, o);
	assert_true(o->value != UINT64_MAX);
	return o->value;
}

static void an_operator_sees_where_it_stands(void **state)
{
	struct totem_view v;
	struct owner o;

	(void)state;
	start(&o);
	totem_look(o.totem, 5, &v);
	assert_int_equal(v.state, RING_GATHER);
	assert_int_equal(v.continuous_gather, 1);
	assert_false(v.is_synchronised);
	assert_true(v.token_age_ns == 0);
	run(&o, 10 * NS_PER_S);
	totem_look(o.totem, 10 * NS_PER_S, &v);
	assert_int_equal(v.state, RING_OPERATIONAL);
	assert_int_equal(v.ring.rep, 2);
	assert_true(set_equal(v.members, set_of(1)));
	assert_true(v.is_synchronised);
	assert_false(v.is_quorate); /* one of three */
	assert_true(v.epoch.seq == 0);
	assert_int_equal(v.continuous_gather, 0);
	assert_true(v.token_timeout_ns == NS_PER_S);
	assert_true(v.consensus_ns == NS_PER_S / 5 && v.join_ns == NS_PER_S / 40);
	assert_int_equal(o.syncs, 1);
	assert_int_equal(counter(&o, "srp.operational_entered"), 1);
	assert_int_equal(counter(&o, "sync.activations"), 1);
	totem_free(o.totem);
}

/* Rule 5: dropped, counted, and told by name. */
static void what_makes_no_sense_is_told_by_name(void **state)
{
	static const uint8_t junk[64] = "not a packet of any ring, that is for sure";
	static const struct node_table nodes = { { 1, 2, 7 }, 3 };
	const struct wire_context foreign = {
		.nodes = &nodes, .self = 7, .cluster = wire_cluster_hash("other"),
	};
	struct wire_context own = foreign;
	uint8_t packet[WIRE_MAX_PACKET];
	struct owner o;
	size_t length;

	(void)state;
	start(&o);
	totem_receive(o.totem, 2, junk, sizeof(junk));
	assert_string_equal(o.refused, "is no packet of a ring");
	assert_int_equal(o.refused_node, 0);
	length = wire_write_ring(&foreign, WIRE_MERGE, (struct ring_id){ 7, 9 }, packet);
	totem_receive(o.totem, 3, packet, length);
	assert_string_equal(o.refused, "belongs to a cluster of another name");
	own.cluster = wire_cluster_hash("test");
	length = wire_write_ring(&own, WIRE_MERGE, (struct ring_id){ 7, 9 }, packet);
	totem_receive(o.totem, 4, packet, length - 1);
	assert_string_equal(o.refused, "ends before its fields do");
	assert_int_equal(o.refused_node, 7);
	own.self = 2;
	length = wire_write_ring(&own, WIRE_MERGE, (struct ring_id){ 7, 9 }, packet);
	totem_receive(o.totem, 5, packet, length);
	assert_non_null(strstr(o.refused, "our own node id"));
	assert_int_equal(o.refused_node, 2);
	assert_int_equal(counter(&o, "srp.fault.bad_magic"), 1);
	assert_int_equal(counter(&o, "srp.fault.wrong_cluster"), 1);
	assert_int_equal(counter(&o, "srp.fault.short"), 1);
	assert_int_equal(counter(&o, "srp.own_id_rx"), 1);
	totem_free(o.totem);
}

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	(void)group;
	(void)sender;
	assert_int_equal(length, 2);
	assert_memory_equal(message, "hi", 2);
	++*(int *)owner;
}

/* Outside of an event the owner is asked to wake it, and nothing comes from within. */
static void what_is_sent_comes_back_with_the_next_event(void **state)
{
	static const struct group_handlers handlers = { .deliver = on_deliver };
	const struct iovec part = { (void *)(uintptr_t)"hi", 2 };
	struct err err = ERR_INIT;
	struct group *group;
	struct owner o;
	int heard = 0;

	(void)state;
	start(&o);
	assert_ok(group_join(totem_groups(o.totem), "g", 1, &handlers, &heard, &group,
			     &err), err);
	run(&o, 10 * NS_PER_S);
	o.wakes = 0;
	assert_int_equal(group_multicast(group, GROUP_SAFE, &part, 1), 0);
	assert_int_equal(o.wakes, 1);
	assert_int_equal(heard, 0);
	totem_wake(o.totem, 10 * NS_PER_S + 1);
	run(&o, 11 * NS_PER_S);
	assert_int_equal(heard, 1);
	totem_free(o.totem);
}

/* Y5: while a ring is looked for nobody can speak, and nobody is late. */
static void the_sync_deadline_does_not_run_without_a_ring(void **state)
{
	static const struct node_table nodes = { { 1, 2, 7 }, 3 };
	const struct wire_context voice = {
		.nodes = &nodes, .self = 7, .cluster = wire_cluster_hash("test"),
	};
	const struct wire_join join = { .ring_seq = 1, .incarnation = 1,
					.proc = { { 4 } } };
	uint8_t packet[WIRE_MAX_PACKET];
	uint64_t now = 0;
	struct owner o;

	(void)state;
	make(&o);
	sync_register(totem_sync(o.totem), (enum sync_service_id)5, "stuck", &stuck, &o);
	totem_start(o.totem, 1);
	while (ring_state(totem_ring(o.totem)) != RING_OPERATIONAL) {
		now = totem_deadline(o.totem);
		totem_advance(o.totem, now);
	}
	totem_receive(o.totem, now + 1, packet, wire_write_join(&voice, &join, packet));
	assert_int_equal(ring_state(totem_ring(o.totem)), RING_GATHER);
	run(&o, now + NS_PER_S / 7); /* consensus takes a fifth of the token */
	assert_int_equal(ring_state(totem_ring(o.totem)), RING_GATHER);
	assert_int_equal(o.lates, 0);
	run(&o, now + NS_PER_S);
	assert_int_equal(ring_state(totem_ring(o.totem)), RING_OPERATIONAL);
	assert_true(o.lates > 0);
	totem_free(o.totem);
}

/* Who cannot go on leaves; what its programs send is refused from there on. */
static void who_breaks_leaves_the_ring(void **state)
{
	static const struct group_handlers handlers = { 0 };
	const struct iovec part = { (void *)(uintptr_t)"hi", 2 };
	struct err err = ERR_INIT;
	struct group *group;
	struct owner o;

	(void)state;
	start(&o);
	assert_ok(group_join(totem_groups(o.totem), "g", 1, &handlers, NULL, &group, &err),
		  err);
	run(&o, 10 * NS_PER_S);
	sync_break(totem_sync(o.totem), "has no memory");
	assert_null(o.broken);
	o.packets = 0;
	totem_wake(o.totem, 10 * NS_PER_S + 1);
	assert_string_equal(o.broken, "has no memory");
	assert_int_equal(o.packets, 1); /* its leave */
	assert_int_equal(ring_state(totem_ring(o.totem)), RING_STOPPED);
	assert_true(totem_deadline(o.totem) == UINT64_MAX);
	assert_int_equal(group_multicast(group, GROUP_SAFE, &part, 1), -ESHUTDOWN);
	totem_leave(o.totem, 10 * NS_PER_S + 2);
	assert_int_equal(o.packets, 1);
	totem_free(o.totem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operator_sees_where_it_stands),
		cmocka_unit_test(what_makes_no_sense_is_told_by_name),
		cmocka_unit_test(what_is_sent_comes_back_with_the_next_event),
		cmocka_unit_test(the_sync_deadline_does_not_run_without_a_ring),
		cmocka_unit_test(who_breaks_leaves_the_ring),
	};

	return cmocka_run_group_tests_name("totem", tests, NULL, NULL);
}
