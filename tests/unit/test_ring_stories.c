/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three common stories of a ring, told by its own trace: time in ms, who, what.
 * One seed, so that the story is always the same; hops take 0.2 ms, exactly.
 *
 * When a change of the ring makes a story change, read it: if it is the better
 * story, `test_ring_stories --tell` prints it anew.
 */
#include "tests/unit/ring_rig.h"

#include <stdlib.h>
#include <string.h>

struct story {
	struct sim_world *w;
	char *told;
	size_t length;
	FILE *trace;
	size_t from; /* where the part begins that is compared */
};

static bool is_telling;

/* Three nodes, not started; token 1000 ms. */
static void story_init(struct story *s)
{
	s->w = ring_rig_cold(3);
	s->w->faults.delay_min_ns = s->w->faults.delay_max_ns = SIM_MS / 5;
	s->told = NULL;
	s->trace = open_memstream(&s->told, &s->length);
	assert_non_null(s->trace);
	s->w->trace = s->trace;
	s->from = 0;
}

static void story_start(struct story *s)
{
	int i;

	for (i = 0; i < 3; i++)
		sim_start(s->w, i);
	ring_rig_run(s->w, 100);
	fflush(s->trace);
	s->from = s->length;
}

static void story_expect(struct story *s, const char *expected)
{
	fflush(s->trace);
	if (is_telling)
		printf("%s\n", s->told + s->from);
	else
		assert_string_equal(s->told + s->from, expected);
	s->w->trace = NULL;
	ring_rig_free(s->w);
	fclose(s->trace);
	free(s->told);
}

static void three_nodes_form_a_ring(void **state)
{
	struct story s;
	int i;

	(void)state;
	story_init(&s);
	for (i = 0; i < 3; i++)
		sim_start(s.w, i);
	ring_rig_run(s.w, 100);
	story_expect(&s,
		"[    0.000] n1 starts, incarnation 1\n"
		"[    0.000] n1 gather: start\n"
		"[    0.000] n1 stopped -> gather\n"
		"[    0.000] n2 starts, incarnation 1\n"
		"[    0.000] n2 gather: start\n"
		"[    0.000] n2 stopped -> gather\n"
		"[    0.000] n3 starts, incarnation 1\n"
		"[    0.000] n3 gather: start\n"
		"[    0.000] n3 stopped -> gather\n"
		"[    6.450] n1 gather -> commit\n"
		"[    6.450] n1 commit ring n1.65537\n"
		"[    6.650] n2 gather -> commit\n"
		"[    6.650] n2 commit ring n1.65537\n"
		"[    6.850] n3 gather -> commit\n"
		"[    6.850] n3 commit ring n1.65537\n"
		"[    7.050] n1 commit -> recovery\n"
		"[    7.050] n1 recovery: 0 of ours to send again\n"
		"[    7.250] n2 commit -> recovery\n"
		"[    7.250] n2 recovery: 0 of ours to send again\n"
		"[    7.450] n3 commit -> recovery\n"
		"[    7.450] n3 recovery: 0 of ours to send again\n"
		"[    8.850] n1 recovery -> operational\n"
		"[    8.850] n1 installed ring n1.65537 of 3\n"
		"[    8.850] n1 regular n1.65537 members 7 joined 7 left 0\n"
		"[    9.050] n2 recovery -> operational\n"
		"[    9.050] n2 installed ring n1.65537 of 3\n"
		"[    9.050] n2 regular n1.65537 members 7 joined 7 left 0\n"
		"[    9.250] n3 recovery -> operational\n"
		"[    9.250] n3 installed ring n1.65537 of 3\n"
		"[    9.250] n3 regular n1.65537 members 7 joined 7 left 0\n"
		"[    9.250] n3 unplugged\n"
		"[    9.450] n1 unplugged\n"
		"[    9.650] n2 unplugged\n");
}

static void one_is_killed_and_its_host_says_so(void **state)
{
	struct story s;

	(void)state;
	story_init(&s);
	story_start(&s);
	sim_send(s.w, 1, 1, 100, true);
	sim_crash(s.w, 2);
	ring_rig_run(s.w, 100);
	story_expect(&s,
		"[  100.000] n3 crashes\n"
		"[  100.800] n2 n3 convicted: evidence\n"
		"[  100.800] n2 gather: evidence\n"
		"[  100.800] n2 operational -> gather\n"
		"[  101.000] n1 gather: join\n"
		"[  101.000] n1 operational -> gather\n"
		"[  101.000] n1 gather -> commit\n"
		"[  101.000] n1 commit ring n1.65538\n"
		"[  101.200] n2 gather -> commit\n"
		"[  101.200] n2 commit ring n1.65538\n"
		"[  101.400] n1 commit -> recovery\n"
		"[  101.400] n1 recovery: 0 of ours to send again\n"
		"[  101.600] n2 commit -> recovery\n"
		"[  101.600] n2 recovery: 0 of ours to send again\n"
		"[  102.600] n1 transitional n1.65537 members 3 joined 0 left 4\n"
		"[  102.600] n1 recovery -> operational\n"
		"[  102.600] n1 installed ring n1.65538 of 2\n"
		"[  102.600] n1 regular n1.65538 members 3 joined 0 left 4\n"
		"[  102.800] n2 transitional n1.65537 members 3 joined 0 left 4\n"
		"[  102.800] n2 recovery -> operational\n"
		"[  102.800] n2 installed ring n1.65538 of 2\n"
		"[  102.800] n2 regular n1.65538 members 3 joined 0 left 4\n"
		"[  102.800] n2 unplugged\n"
		"[  103.000] n1 unplugged\n");
}

static void a_partition_heals(void **state)
{
	struct story s;
	int i;

	(void)state;
	story_init(&s);
	story_start(&s);
	for (i = 0; i < 2; i++) {
		sim_cut(s.w, i, 2, true);
		sim_cut(s.w, 2, i, true);
	}
	ring_rig_run(s.w, 1500);
	sim_heal(s.w);
	ring_rig_run(s.w, 400);
	story_expect(&s,
		"[ 1061.650] n3 gather: token lost\n"
		"[ 1061.650] n3 operational -> gather\n"
		"[ 1111.850] n1 gather: token lost\n"
		"[ 1111.850] n1 operational -> gather\n"
		"[ 1112.050] n2 gather: token lost\n"
		"[ 1112.050] n2 operational -> gather\n"
		"[ 1261.650] n3 n1 does not agree\n"
		"[ 1261.650] n3 n2 does not agree\n"
		"[ 1261.650] n3 gather -> commit\n"
		"[ 1261.650] n3 commit ring n3.65538\n"
		"[ 1261.650] n3 commit -> recovery\n"
		"[ 1261.650] n3 recovery: 0 of ours to send again\n"
		"[ 1261.650] n3 transitional n1.65537 members 4 joined 0 left 3\n"
		"[ 1261.650] n3 recovery -> operational\n"
		"[ 1261.650] n3 installed ring n3.65538 of 1\n"
		"[ 1261.650] n3 regular n3.65538 members 4 joined 0 left 3\n"
		"[ 1261.650] n3 unplugged\n"
		"[ 1311.850] n1 n3 does not agree\n"
		"[ 1312.050] n2 n3 does not agree\n"
		"[ 1315.375] n1 gather -> commit\n"
		"[ 1315.375] n1 commit ring n1.65538\n"
		"[ 1315.575] n2 gather -> commit\n"
		"[ 1315.575] n2 commit ring n1.65538\n"
		"[ 1315.775] n1 commit -> recovery\n"
		"[ 1315.775] n1 recovery: 0 of ours to send again\n"
		"[ 1315.975] n2 commit -> recovery\n"
		"[ 1315.975] n2 recovery: 0 of ours to send again\n"
		"[ 1316.975] n1 transitional n1.65537 members 3 joined 0 left 4\n"
		"[ 1316.975] n1 recovery -> operational\n"
		"[ 1316.975] n1 installed ring n1.65538 of 2\n"
		"[ 1316.975] n1 regular n1.65538 members 3 joined 0 left 4\n"
		"[ 1317.175] n2 transitional n1.65537 members 3 joined 0 left 4\n"
		"[ 1317.175] n2 recovery -> operational\n"
		"[ 1317.175] n2 installed ring n1.65538 of 2\n"
		"[ 1317.175] n2 regular n1.65538 members 3 joined 0 left 4\n"
		"[ 1317.175] n2 unplugged\n"
		"[ 1317.375] n1 unplugged\n"
		"[ 1600.000] all faults end\n"
		"[ 1661.850] n1 gather: foreign ring\n"
		"[ 1661.850] n1 operational -> gather\n"
		"[ 1661.850] n2 gather: foreign ring\n"
		"[ 1661.850] n2 operational -> gather\n"
		"[ 1662.050] n3 gather: join\n"
		"[ 1662.050] n3 operational -> gather\n"
		"[ 1665.375] n1 gather -> commit\n"
		"[ 1665.375] n1 commit ring n1.65539\n"
		"[ 1665.575] n2 gather -> commit\n"
		"[ 1665.575] n2 commit ring n1.65539\n"
		"[ 1665.775] n3 gather -> commit\n"
		"[ 1665.775] n3 commit ring n1.65539\n"
		"[ 1665.975] n1 commit -> recovery\n"
		"[ 1665.975] n1 recovery: 0 of ours to send again\n"
		"[ 1666.175] n2 commit -> recovery\n"
		"[ 1666.175] n2 recovery: 0 of ours to send again\n"
		"[ 1666.375] n3 commit -> recovery\n"
		"[ 1666.375] n3 recovery: 0 of ours to send again\n"
		"[ 1667.775] n1 transitional n1.65538 members 3 joined 0 left 0\n"
		"[ 1667.775] n1 recovery -> operational\n"
		"[ 1667.775] n1 installed ring n1.65539 of 3\n"
		"[ 1667.775] n1 regular n1.65539 members 7 joined 4 left 0\n"
		"[ 1667.975] n2 transitional n1.65538 members 3 joined 0 left 0\n"
		"[ 1667.975] n2 recovery -> operational\n"
		"[ 1667.975] n2 installed ring n1.65539 of 3\n"
		"[ 1667.975] n2 regular n1.65539 members 7 joined 4 left 0\n"
		"[ 1668.175] n3 transitional n3.65538 members 4 joined 0 left 0\n"
		"[ 1668.175] n3 recovery -> operational\n"
		"[ 1668.175] n3 installed ring n1.65539 of 3\n"
		"[ 1668.175] n3 regular n1.65539 members 7 joined 3 left 0\n"
		"[ 1668.175] n3 unplugged\n"
		"[ 1668.375] n1 unplugged\n"
		"[ 1668.575] n2 unplugged\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_nodes_form_a_ring),
		cmocka_unit_test(one_is_killed_and_its_host_says_so),
		cmocka_unit_test(a_partition_heals),
	};

	is_telling = argc > 1 && strcmp(argv[1], "--tell") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
