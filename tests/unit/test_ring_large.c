/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As many nodes as there may be, on the smallest packets that they can do with:
 * the commit token goes in parts, and whatever becomes of these is harmless.
 */
#include "tests/unit/ring_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "totem/station.h"
#include "totem/wire.h"

enum { FORTY = 40 };

static enum wire_type type_of(const uint8_t *bytes)
{
	return (enum wire_type)bytes[3];
}

static struct sim_world *small_packets(int count)
{
	struct sim_world *w = ring_rig_cold(count);

	w->config.packet_bytes = ring_packet_min(count);
	return w;
}

static void start_all(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		sim_start(w, i);
}

static bool is_one_ring(const struct sim_world *w)
{
	struct node_set all = { { 0 } };
	int i;

	for (i = 0; i < w->count; i++)
		if (w->nodes[i].ring)
			set_add(&all, i);
	for (i = set_next(all, 0); i != TOTEM_NO_INDEX; i = set_next(all, i + 1))
		if (ring_state(w->nodes[i].ring) != RING_OPERATIONAL ||
		    !set_equal(ring_members(w->nodes[i].ring), all))
			return false;
	return true;
}

static void run_to_one_ring(struct sim_world *w, uint64_t limit_ms)
{
	uint64_t ms;

	for (ms = 0; !is_one_ring(w); ms++) {
		if (ms == limit_ms)
			fail_msg("no ring within %llu ms",
				 (unsigned long long)limit_ms);
		ring_rig_run(w, 1);
	}
}

/* With the timers that everybody has who sets none, and hops of 0.5 to 2 ms. */
static void as_many_as_there_may_be_are_one_ring(void **state)
{
	struct sim_world *w = small_packets(TOTEM_MAX_NODES);
	int i;

	(void)state;
	w->config.token_ns = 0;
	w->faults.delay_min_ns = SIM_MS / 2;
	w->faults.delay_max_ns = 2 * SIM_MS;
	start_all(w);
	run_to_one_ring(w, 2000);
	ring_rig_load(w, 2, 1300);
	ring_rig_run(w, 3000);
	for (i = 0; i < w->count; i++) {
		assert_int_equal(checker_installs(w->checker, i), 1);
		assert_int_equal(checker_deliveries(w->checker, i), 2 * w->count);
	}
	sim_crash(w, 0);
	sim_crash(w, 77);
	run_to_one_ring(w, 3000);
	sim_start(w, 0);
	run_to_one_ring(w, 2000);
	ring_rig_free(w);
}

static uint64_t parts_seen;
static uint64_t parts_lost;

static bool watch_parts(const struct sim_world *w, int from, int to,
			const uint8_t *bytes, size_t length)
{
	(void)w;
	(void)from;
	(void)to;
	(void)length;
	parts_seen += type_of(bytes) == WIRE_COMMIT;
	return false;
}

/* Parts overtake each other, and come again when they are long used. */
static void parts_come_twice_and_out_of_order(void **state)
{
	struct sim_world *w = small_packets(FORTY);
	int i;

	(void)state;
	parts_seen = 0;
	w->is_dropped = watch_parts;
	w->faults.duplicate_ppm = 1000000;
	w->faults.delay_max_ns = 5 * SIM_MS;
	start_all(w);
	run_to_one_ring(w, 3000);
	assert_true(parts_seen >= 2 * FORTY * 5);
	ring_rig_run(w, 2000);
	for (i = 0; i < FORTY; i++)
		assert_int_equal(checker_installs(w->checker, i), 1);
	ring_rig_free(w);
}

static uint64_t token_seq_of(const uint8_t *bytes)
{
	uint64_t seq;

	memcpy(&seq, bytes + WIRE_HEADER_BYTES + 12, sizeof(seq));
	return seq;
}

/* The second part of every eighth token, when it is sent for the first time. */
static bool drop_second_part(const struct sim_world *w, int from, int to,
			     const uint8_t *bytes, size_t length)
{
	static uint8_t sent[4 * FORTY];
	uint64_t seq;

	(void)w;
	(void)from;
	(void)to;
	(void)length;
	if (type_of(bytes) != WIRE_COMMIT)
		return false;
	seq = token_seq_of(bytes);
	if (seq % 8 || sent[seq % (4 * FORTY)]++ != 1)
		return false;
	parts_lost++;
	return true;
}

static void a_lost_part_is_sent_again(void **state)
{
	struct sim_world *w = small_packets(FORTY);
	int i;

	(void)state;
	parts_lost = 0;
	w->is_dropped = drop_second_part;
	w->faults.delay_max_ns = w->faults.delay_min_ns;
	start_all(w);
	run_to_one_ring(w, 1000);
	assert_int_equal(parts_lost, 2 * FORTY / 8);
	for (i = 0; i < FORTY; i++) {
		assert_int_equal(checker_installs(w->checker, i), 1);
		assert_int_equal(ring_rig_stats(w, i)->gather_entered, 1);
	}
	ring_rig_free(w);
}

static void packets_too_small_for_the_nodes_are_refused(void **state)
{
	struct ring_config c = { .self = 1, .cluster = "large",
				 .incarnation = 1 };
	const struct ring_ops none = { 0 };
	int n;

	(void)state;
	assert_int_equal(ring_packet_min(2), 467);
	assert_int_equal(ring_packet_min(TOTEM_MAX_NODES), 1077);
	for (n = 1; n <= TOTEM_MAX_NODES; n++) {
		struct ring *r;

		c.nodes.ids[c.nodes.count++] = (uint32_t)n;
		c.packet_bytes = ring_packet_min(n) - 1;
		assert_null(ring_new(&c, &none, NULL));
		c.packet_bytes++;
		r = ring_new(&c, &none, NULL);
		assert_non_null(r);
		assert_int_equal(ring_payload_room(r),
				 c.packet_bytes - WIRE_DATA_OVERHEAD);
		ring_free(r);
	}
}

/* Sixty-four nodes on links of 576 bytes. */
static void a_station_says_that_its_link_is_too_narrow(void **state)
{
	static struct station_config c = { .cluster = "large", .self = 1,
					   .mtu_bytes = 576 };
	const struct station_ops none = { 0 };
	char path[] = "/tmp/test_ring_large.XXXXXX";
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	struct station *s;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	for (c.nodes.count = 0; c.nodes.count < 64; c.nodes.count++) {
		union transport_address *a = &c.addresses[c.nodes.count];

		c.nodes.ids[c.nodes.count] = (uint32_t)c.nodes.count + 1;
		a->in4.sin_family = AF_INET;
		a->in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a->in4.sin_port = htons((uint16_t)c.nodes.count); /* ours: any */
	}
	c.boot_path = path;
	s = station_open(&c, &none, NULL, loop, &err);
	unlink(path);
	assert_null(s);
	assert_refused(err.code, -EMSGSIZE, err, "64 nodes", "565");
	loop_free(loop);
}

/* --- parts by hand: n2, which n1 and n3 have told that they know all three ------ */

static struct node_table nodes = { .ids = { 1, 2, 3, 4 }, .count = 4 };
static uint8_t packet[WIRE_MAX_PACKET];

static struct sim_world *three_agree(void)
{
	const struct wire_join j = { .ring_seq = 1, .incarnation = 1,
				     .proc = { { 7 } } };
	struct sim_world *w = ring_rig_cold(4);
	uint32_t as;

	w->faults.evidence_ppm = 0;
	sim_start(w, 1);
	for (as = 1; as <= 3; as += 2) {
		const struct wire_context voice = {
			.nodes = &nodes, .self = as,
			.cluster = wire_cluster_hash("sim"),
		};

		ring_receive(w->nodes[1].ring, w->now, packet,
			     wire_write_join(&voice, &j, packet));
	}
	return w;
}

static struct wire_commit token_of(uint64_t ring_seq, uint64_t token_seq)
{
	return (struct wire_commit){ .ring = { 1, ring_seq },
				     .token_seq = token_seq,
				     .members = { { 7 } },
				     .entries = { { .is_filled = true } } };
}

static enum ring_state say_part(struct sim_world *w, struct wire_commit c,
				uint64_t part)
{
	const struct wire_context voice = { .nodes = &nodes, .self = 1,
					    .cluster = wire_cluster_hash("sim") };
	const struct node_set of = { { part } };

	ring_receive(w->nodes[1].ring, w->now, packet,
		     wire_write_commit(&voice, &c, of, packet));
	return ring_state(w->nodes[1].ring);
}

static void parts_make_a_token_in_any_order(void **state)
{
	struct sim_world *w = three_agree();
	struct wire_commit c = token_of((1 << 16) + 9, 1);

	(void)state;
	assert_int_equal(say_part(w, c, 4), RING_GATHER);
	assert_int_equal(say_part(w, c, 1), RING_GATHER);
	assert_int_equal(say_part(w, c, 4), RING_GATHER);
	assert_int_equal(say_part(w, c, 2), RING_COMMIT);
	assert_int_equal(ring_rig_stats(w, 1)->memb_commit_token_tx, 1);
	assert_int_equal(say_part(w, c, 7), RING_COMMIT);
	assert_int_equal(ring_rig_stats(w, 1)->memb_commit_token_tx, 1);
	ring_rig_free(w);
}

/* Of two rings, or of two visits: each part belongs to one token only. */
static void parts_of_different_tokens_are_not_put_together(void **state)
{
	struct sim_world *w = three_agree();
	struct wire_commit c = token_of((1 << 16) + 9, 5);

	(void)state;
	assert_int_equal(say_part(w, c, 3), RING_GATHER);
	assert_int_equal(say_part(w, token_of((1 << 16) + 8, 5), 4), RING_GATHER);
	assert_int_equal(say_part(w, c, 3), RING_GATHER);
	assert_int_equal(say_part(w, token_of((1 << 16) + 9, 6), 4), RING_GATHER);
	/* and what comes late does not undo what has come since */
	assert_int_equal(say_part(w, c, 4), RING_GATHER);
	c.token_seq = 6;
	assert_int_equal(say_part(w, c, 3), RING_COMMIT);
	ring_rig_free(w);
}

static void a_part_is_not_taken_for_the_whole(void **state)
{
	struct sim_world *w = three_agree();
	struct wire_commit c = token_of((1 << 16) + 9, 1);

	(void)state;
	c.members.bits[0] = 0xf; /* our three, and one more */
	assert_int_equal(say_part(w, c, 7), RING_GATHER);
	assert_int_equal(say_part(w, c, 8), RING_GATHER);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_there_may_be_are_one_ring),
		cmocka_unit_test(parts_come_twice_and_out_of_order),
		cmocka_unit_test(a_lost_part_is_sent_again),
		cmocka_unit_test(packets_too_small_for_the_nodes_are_refused),
		cmocka_unit_test(a_station_says_that_its_link_is_too_narrow),
		cmocka_unit_test(parts_make_a_token_in_any_order),
		cmocka_unit_test(parts_of_different_tokens_are_not_put_together),
		cmocka_unit_test(a_part_is_not_taken_for_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
