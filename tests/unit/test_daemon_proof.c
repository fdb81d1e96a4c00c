/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs of death: F1..F5 of proof.h, as stories. */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mdclusterd/daemon/proof.h"

#define MS NS_PER_MS
#define S NS_PER_S

struct scene {
	struct proof *proof;
	uint64_t now;
	char log[1024];
	char waits[PROOF_TEXT_BYTES];
};

static void add(struct scene *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct scene *s, const char *fmt, ...)
{
	size_t at = strlen(s->log);
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->log + at, sizeof(s->log) - at, fmt, args);
	va_end(args);
}

static void on_run(void *owner, uint32_t node, uint64_t incarnation, uint32_t attempt)
{
	add(owner, "run %u.%u #%u\n", node, (unsigned)incarnation, attempt);
}

static void on_stop(void *owner, uint32_t node)
{
	add(owner, "stop %u\n", node);
}

static void on_dead(void *owner, uint32_t node, uint64_t incarnation)
{
	add(owner, "dead %u.%u\n", node, (unsigned)incarnation);
}

static const struct proof_config with_command = {
	.has_command = true, .delay_ns = 1 * S, .timeout_ns = 10 * S, .retries = 1,
};
static const struct proof_config without = { .delay_ns = 1 * S };

static struct scene *scene_new(const struct proof_config *c)
{
	static const struct proof_ops ops = { on_run, on_stop, on_dead };
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->now = 100 * S;
	s->proof = proof_new(c, &ops, s);
	assert_non_null(s->proof);
	proof_set_duty(s->proof, s->now, true);
	return s;
}

static void scene_free(struct scene *s)
{
	proof_free(s->proof);
	free(s);
}

/* What has happened since the last look. */
static void expect(struct scene *s, const char *wanted)
{
	assert_string_equal(s->log, wanted);
	s->log[0] = '\0';
}

static void missing(struct scene *s, uint32_t node, uint64_t incarnation)
{
	const struct proof_missing m = { node, incarnation };

	assert_int_equal(proof_set_missing(s->proof, s->now, &m, node ? 1 : 0), 0);
}

static void pass(struct scene *s, uint64_t ns)
{
	s->now += ns;
	proof_advance(s->proof, s->now);
}

static void answer(struct scene *s, uint32_t node, bool is_dead)
{
	proof_answered(s->proof, s->now, node, is_dead, "no power switch\n\033[2J");
}

static const char *waits(struct scene *s, uint32_t node)
{
	return proof_waits(s->proof, s->now, node, "node3", s->waits);
}

static void the_command_runs_after_the_delay_and_proves(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	assert_string_equal(waits(s, 3), "");
	missing(s, 3, 7);
	assert_int_equal(proof_deadline(s->proof), s->now + 1 * S);
	pass(s, 1 * S - 1);
	expect(s, "");
	pass(s, 1);
	expect(s, "run 3.7 #1\n");
	pass(s, 2 * S);
	assert_string_equal(waits(s, 3), "proof of death, 3 s: fence command, attempt 1");
	answer(s, 3, true);
	expect(s, "dead 3.7\n");
	missing(s, 0, 0);
	assert_int_equal(proof_deadline(s->proof), UINT64_MAX);
	assert_string_equal(waits(s, 3), "");
	scene_free(s);
}

static void an_obituary_within_the_delay_spares_the_command(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 500 * MS);
	missing(s, 0, 0);
	pass(s, 60 * S);
	expect(s, "");
	scene_free(s);
}

static void what_fails_is_tried_again_and_never_forgotten(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 1 * S);
	expect(s, "run 3.7 #1\n");
	answer(s, 3, false);
	assert_string_equal(waits(s, 3),
			    "proof of death, 1 s: fence command, attempt 1 failed: no power switch??[2J");
	pass(s, 1 * S);
	expect(s, "run 3.7 #2\n");
	answer(s, 3, false);
	pass(s, 59 * S);
	expect(s, "");
	pass(s, 1 * S);
	expect(s, "run 3.7 #3\n");
	answer(s, 3, true);
	expect(s, "dead 3.7\n");
	scene_free(s);
}

static void a_command_that_hangs_is_stopped_before_the_next(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 1 * S);
	expect(s, "run 3.7 #1\n");
	pass(s, 10 * S);
	expect(s, "stop 3\n");
	pass(s, 60 * S);
	expect(s, ""); /* one at a time: it is not over yet */
	answer(s, 3, false);
	pass(s, 1 * S);
	expect(s, "run 3.7 #2\n");
	scene_free(s);
}

static void who_comes_back_is_not_touched(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 1 * S);
	missing(s, 0, 0);
	expect(s, "run 3.7 #1\nstop 3\n");
	/* it goes again, as somebody new, before the command has ended */
	missing(s, 3, 8);
	answer(s, 3, true);
	expect(s, "dead 3.7\n");
	pass(s, 60 * S);
	expect(s, "run 3.8 #1\n");
	scene_free(s);
}

static void a_success_proves_no_more_than_was_asked_for(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 1 * S);
	missing(s, 3, 8); /* it was back and is gone, all while the command ran */
	answer(s, 3, true);
	expect(s, "run 3.7 #1\ndead 3.7\n");
	scene_free(s);
}

static void only_the_lowest_of_a_quorum_runs_it(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	proof_set_duty(s->proof, s->now, false);
	missing(s, 3, 7);
	pass(s, 60 * S);
	expect(s, "");
	assert_int_equal(proof_deadline(s->proof), UINT64_MAX);
	assert_non_null(strstr(waits(s, 3), "lowest node of a quorum"));
	proof_set_duty(s->proof, s->now, true); /* who had it is gone */
	expect(s, "run 3.7 #1\n");
	proof_set_duty(s->proof, s->now, false); /* the quorum is lost: its word would not count */
	expect(s, "stop 3\n");
	answer(s, 3, true);
	expect(s, "");
	scene_free(s);
}

static void without_a_method_it_waits_and_says_what_a_person_can_do(void **state)
{
	struct scene *s = scene_new(&without);

	(void)state;
	missing(s, 3, 7);
	pass(s, 12 * S);
	expect(s, "");
	assert_int_equal(proof_deadline(s->proof), UINT64_MAX);
	assert_string_equal(waits(s, 3),
			    "proof of death, 12 s; `mdcluster confirm-dead node3` once you are certain that it is off");
	scene_free(s);
}

static void nodes_are_asked_about_each_by_itself(void **state)
{
	const struct proof_missing both[] = { { 3, 7 }, { 5, 2 } };
	struct scene *s = scene_new(&with_command);

	(void)state;
	assert_int_equal(proof_set_missing(s->proof, s->now, both, 2), 0);
	pass(s, 1 * S);
	expect(s, "run 3.7 #1\nrun 5.2 #1\n");
	answer(s, 5, true);
	assert_int_equal(proof_set_missing(s->proof, s->now, both, 1), 0);
	answer(s, 3, true);
	expect(s, "dead 5.2\ndead 3.7\n");
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_runs_after_the_delay_and_proves),
		cmocka_unit_test(an_obituary_within_the_delay_spares_the_command),
		cmocka_unit_test(what_fails_is_tried_again_and_never_forgotten),
		cmocka_unit_test(a_command_that_hangs_is_stopped_before_the_next),
		cmocka_unit_test(who_comes_back_is_not_touched),
		cmocka_unit_test(a_success_proves_no_more_than_was_asked_for),
		cmocka_unit_test(only_the_lowest_of_a_quorum_runs_it),
		cmocka_unit_test(without_a_method_it_waits_and_says_what_a_person_can_do),
		cmocka_unit_test(nodes_are_asked_about_each_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
