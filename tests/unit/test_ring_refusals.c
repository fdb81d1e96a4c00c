/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets that should not be, in a healthy cluster: refused, counted by what is
 * wrong with them, and nobody is disturbed.
 */
#include "tests/unit/ring_rig.h"

static uint8_t packet[WIRE_MAX_PACKET];

/* What node `as` would write with. */
static struct wire_context voice_of(const struct sim_world *w, int as)
{
	static struct node_table nodes;

	for (nodes.count = 0; nodes.count < w->count; nodes.count++)
		nodes.ids[nodes.count] = (uint32_t)nodes.count + 1;
	return (struct wire_context){ .nodes = &nodes,
				      .self = (uint32_t)as + 1,
				      .cluster = wire_cluster_hash("sim") };
}

static void say_join_to(struct sim_world *w, int to, int as, struct wire_join j)
{
	const struct wire_context voice = voice_of(w, as);

	ring_receive(w->nodes[to].ring, w->now, packet,
		     wire_write_join(&voice, &j, packet));
}

static void say_join(struct sim_world *w, int as, struct wire_join j)
{
	say_join_to(w, 0, as, j);
}

static void check_undisturbed(struct sim_world *w)
{
	assert_int_equal(ring_state(w->nodes[0].ring), RING_OPERATIONAL);
	ring_rig_run(w, 3000);
	assert_int_equal(checker_installs(w->checker, 0), 1);
	ring_rig_free(w);
}

/* A.14, 7: a stranger's join that lists us as failed. */
static void a_join_that_rejects_us_does_not_disturb(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

	(void)state;
	say_join(w, 3, (struct wire_join){ .ring_seq = 1ull << 30,
					   .incarnation = 1,
					   .proc = { { 0xf } },
					   .failed = { { 1 } } });
	check_undisturbed(w);
}

static void a_join_from_before_the_ring_does_not_disturb(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();
	uint64_t seq = ring_current(w->nodes[0].ring).seq;

	(void)state;
	say_join(w, 1, (struct wire_join){ .ring_seq = seq - 1,
					   .incarnation = 1,
					   .proc = { { 7 } } });
	say_join(w, 1, (struct wire_join){ .ring_seq = seq - 1,
					   .incarnation = 1,
					   .is_leave = true,
					   .proc = { { 7 } } });
	check_undisturbed(w);
}

static void a_join_of_an_earlier_life_does_not_disturb(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

	(void)state;
	say_join(w, 1, (struct wire_join){ .ring_seq = 1ull << 30,
					   .incarnation = 0,
					   .proc = { { 7 } } });
	assert_int_equal(ring_rig_stats(w, 0)->old_incarnation_rx, 1);
	check_undisturbed(w);
}

static void somebody_with_our_own_id_is_counted_and_ignored(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

	(void)state;
	say_join(w, 0, (struct wire_join){ .incarnation = 9, .proc = { { 1 } } });
	assert_int_equal(ring_rig_stats(w, 0)->own_id_rx, 1);
	check_undisturbed(w);
}

/* What is not of our cluster, version or configuration, or no packet at all. */
static void strangers_are_counted_by_what_is_wrong(void **state)
{
	static const struct {
		int at, to; /* this byte becomes that */
		enum wire_fault fault;
	} wrongs[] = {
		{ 0, 0, WIRE_BAD_MAGIC },      { 2, 2, WIRE_BAD_VERSION },
		{ 3, 77, WIRE_BAD_TYPE },      { 8, 99, WIRE_UNKNOWN_NODE },
		{ 12, 99, WIRE_WRONG_CLUSTER },
	};
	struct sim_world *w = ring_rig_three_of_four();
	const struct wire_context voice = voice_of(w, 3);
	const struct wire_join join = { .ring_seq = 1ull << 30,
					.incarnation = 9,
					.proc = { { 8 } } };
	size_t length, i;

	(void)state;
	for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		length = wire_write_join(&voice, &join, packet);
		packet[wrongs[i].at] = (uint8_t)wrongs[i].to;
		ring_receive(w->nodes[0].ring, w->now, packet, length);
		assert_int_equal(ring_rig_stats(w, 0)->faults[wrongs[i].fault], 1);
	}
	length = wire_write_join(&voice, &join, packet);
	ring_receive(w->nodes[0].ring, w->now, packet, length - 1);
	assert_int_equal(ring_rig_stats(w, 0)->faults[WIRE_SHORT], 1);
	check_undisturbed(w);
}

/* A newcomer that cannot hear n3 costs itself, not n3. */
static void a_stranger_convicts_none_of_us(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

	(void)state;
	say_join(w, 3, (struct wire_join){ .ring_seq = 1ull << 16,
					   .incarnation = 1,
					   .proc = { { 0xf } },
					   .failed = { { 4 } } });
	ring_rig_run(w, 500);
	assert_int_equal(ring_members(w->nodes[0].ring).bits[0], 7);
	assert_int_equal(checker_installs(w->checker, 0), 2);
	assert_int_equal(checker_installs(w->checker, 2), 2);
	ring_rig_free(w);
}

static void evidence_of_an_earlier_life_does_not_convict(void **state)
{
	struct sim_world *w = ring_rig_three_of_four();

	(void)state;
	sim_start(w, 3);
	ring_rig_run(w, 2);
	ring_evidence(w->nodes[0].ring, w->now, 4);
	ring_rig_ms_to_ring(w, 0xf, 100);
	assert_int_equal(checker_installs(w->checker, 0), 2);
	ring_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_join_that_rejects_us_does_not_disturb),
		cmocka_unit_test(a_join_from_before_the_ring_does_not_disturb),
		cmocka_unit_test(a_join_of_an_earlier_life_does_not_disturb),
		cmocka_unit_test(somebody_with_our_own_id_is_counted_and_ignored),
		cmocka_unit_test(strangers_are_counted_by_what_is_wrong),
		cmocka_unit_test(a_stranger_convicts_none_of_us),
		cmocka_unit_test(evidence_of_an_earlier_life_does_not_convict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
