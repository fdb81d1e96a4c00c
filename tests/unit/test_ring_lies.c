/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes that have the key and do not keep to the protocol: what a ring believes
 * of them, and that it goes on. Found by fuzz_ring, each of them.
 */
#include "tests/unit/ring_rig.h"

#include "totem/wire.h"

static uint8_t packet[WIRE_MAX_PACKET];
static struct node_table ids = { .ids = { 1, 2, 3, 4 }, .count = 4 };

static struct wire_context voice_of(int node)
{
	return (struct wire_context){ .nodes = &ids, .self = ids.ids[node],
				      .cluster = wire_cluster_hash("sim") };
}

static void say_token(struct sim_world *w, int to, int as, struct wire_token t)
{
	const struct wire_context voice = voice_of(as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_token(&voice, &t, packet));
}

/* n1..`count` on a ring, of four that are configured; they idle. */
static struct sim_world *some_of_four(int count)
{
	struct sim_world *w = ring_rig_cold(4);
	int i;

	for (i = 0; i < count; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, (1ull << count) - 1, 500);
	ring_rig_run(w, 1000);
	return w;
}

/*
 * Only the member before us passes us a token. One of a stranger, with numbers
 * that nobody gave, made a ring of one ask for them for ever, without a pause.
 */
static void a_token_comes_from_the_member_before_us(void **state)
{
	int members, liar;

	(void)state;
	for (members = 1; members <= 3; members++) {
		for (liar = 1; liar < 4; liar++) {
			struct sim_world *w = some_of_four(members);
			const struct wire_token t = {
				.ring = ring_current(w->nodes[0].ring),
				.token_seq = 1ull << 40, .seq = 48,
			};
			uint64_t before = ring_rig_stats(w, 0)->rx_msg_dropped;
			uint64_t events = w->events;

			if (liar == members - 1) {
				ring_rig_free(w);
				continue; /* it may lie: is found stuck, and left */
			}
			say_token(w, 0, liar, t);
			assert_int_equal(ring_rig_stats(w, 0)->rx_msg_dropped,
					 before + 1);
			ring_rig_run(w, 1000);
			assert_in_range(w->events - events, 1,
					150 * (uint64_t)members);
			assert_int_equal(checker_installs(w->checker, 0), 1);
			ring_rig_free(w);
		}
	}
}

static void say_data(struct sim_world *w, int to, int as, struct wire_data d)
{
	const struct wire_context voice = voice_of(as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_data(&voice, &d, packet));
}

/* Who is not on the ring has nothing to say on it, nor in somebody's name. */
static void a_message_comes_from_a_member(void **state)
{
	struct sim_world *w = some_of_four(3);
	struct wire_data d = { .ring = ring_current(w->nodes[0].ring), .seq = 1,
			       .origin = 4 };

	(void)state;
	say_data(w, 0, 3, d); /* from n4, its own */
	d.origin = 2;
	say_data(w, 0, 3, d); /* from n4, of n2 */
	d.origin = 4;
	say_data(w, 0, 1, d); /* from n2, of n4 */
	assert_int_equal(ring_rig_stats(w, 0)->rx_msg_dropped, 3);
	ring_rig_load(w, 10, 100);
	ring_rig_run(w, 1000);
	assert_int_equal(checker_deliveries(w->checker, 0), 30);
	assert_int_equal(checker_installs(w->checker, 0), 1);
	ring_rig_free(w);
}

/*
 * A number that the token has not given: who holds it could neither number its
 * own messages nor take the true one. The ring begins anew.
 */
static void a_message_beyond_the_token_ends_the_ring(void **state)
{
	struct sim_world *w = some_of_four(3);
	const struct wire_data d = { .ring = ring_current(w->nodes[0].ring),
				     .seq = 3, .origin = 2 };

	(void)state;
	w->is_lawless = true; /* n2 lies, others may hold what it never sent */
	say_data(w, 0, 1, d);
	ring_rig_run(w, 1000);
	assert_int_equal(ring_members(w->nodes[0].ring).bits[0], 7);
	assert_true(ring_current(w->nodes[0].ring).seq > d.ring.seq);
	sim_send(w, 0, 10, 100, false);
	sim_send(w, 2, 10, 100, false);
	ring_rig_run(w, 1000);
	assert_int_equal(w->nodes[0].want, 0);
	assert_int_equal(w->nodes[2].want, 0);
	ring_rig_free(w);
}

static void say_commit(struct sim_world *w, int to, int as, struct wire_commit c)
{
	const struct wire_context voice = voice_of(as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_commit(&voice, &c, c.members, packet));
}

/* n1 alone would pass it on to itself. */
static void a_ring_of_one_takes_no_commit_token(void **state)
{
	struct sim_world *w = ring_rig_cold(4);
	const struct wire_commit c = { .ring = { 1, (1 << 16) + 9 }, .token_seq = 1,
				       .members = { { 1 } } };

	(void)state;
	sim_start(w, 0);
	say_commit(w, 0, 1, c);
	assert_int_equal(ring_state(w->nodes[0].ring), RING_GATHER);
	ring_rig_free(w);
}

/* A stranger's is not believed, nor does it keep the true one from being heard. */
static void a_commit_token_comes_from_the_member_before_us(void **state)
{
	struct sim_world *w = ring_rig_cold(4);
	struct wire_commit c = { .ring = { 1, (1 << 16) + 9 },
				 .token_seq = WIRE_MAX_NUMBER,
				 .members = { { 3 } },
				 .entries = { { .is_filled = true } } };
	const struct wire_context voice = voice_of(0);
	const struct wire_join j = { .ring_seq = 1, .incarnation = 1,
				     .proc = { { 3 } } };

	(void)state;
	w->faults.evidence_ppm = 0;
	sim_start(w, 1);
	ring_receive(w->nodes[1].ring, w->now, packet,
		     wire_write_join(&voice, &j, packet)); /* n1 and n2 agree */
	say_commit(w, 1, 2, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_GATHER);
	c.token_seq = 1;
	say_commit(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	ring_rig_free(w);
}

/* n2 has rung alone; n1 says, in the second round, that n2 comes from elsewhere. */
static void what_we_told_of_ourselves_is_not_changed(void **state)
{
	struct sim_world *w = ring_rig_cold(4);
	struct wire_commit c = { .ring = { 1, (1 << 16) + 9 }, .token_seq = 1,
				 .members = { { 3 } },
				 .entries = { { .is_filled = true } } };
	const struct wire_context voice = voice_of(0);
	struct wire_join j = { .incarnation = 1, .proc = { { 3 } } };

	(void)state;
	w->faults.evidence_ppm = 0;
	sim_start(w, 1);
	ring_rig_ms_to_ring(w, 2, 1000);
	c.entries[1] = (struct wire_commit_entry){
		.old_ring = { 9, 9 }, .is_filled = true,
	};
	j.ring_seq = ring_current(w->nodes[1].ring).seq;
	ring_receive(w->nodes[1].ring, w->now, packet,
		     wire_write_join(&voice, &j, packet));
	ring_receive(w->nodes[1].ring, w->now, packet,
		     wire_write_join(&voice, &j, packet)); /* as it is told */
	say_commit(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	c.round = 1;
	c.token_seq = 3;
	say_commit(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_COMMIT);
	c.token_seq = 5;
	c.entries[1].old_ring = ring_current(w->nodes[1].ring);
	say_commit(w, 1, 0, c);
	assert_int_equal(ring_state(w->nodes[1].ring), RING_RECOVERY);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_comes_from_the_member_before_us),
		cmocka_unit_test(a_ring_of_one_takes_no_commit_token),
		cmocka_unit_test(a_commit_token_comes_from_the_member_before_us),
		cmocka_unit_test(what_we_told_of_ourselves_is_not_changed),
		cmocka_unit_test(a_message_comes_from_a_member),
		cmocka_unit_test(a_message_beyond_the_token_ends_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
