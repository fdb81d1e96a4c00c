/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proofs of death: F1..F8 of proof.h, as stories. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mdclusterd/fence/proof.h"

#define MS NS_PER_MS
#define S NS_PER_S

struct scene {
	struct proof *proof;
	const struct fence_plan *plan;
	bool tells_over;
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

static void on_level(void *owner, uint32_t node, uint32_t number)
{
	struct scene *s = owner;

	if (s->plan->level_count > 1)
		add(s, "level %u of %u\n", number, node);
}

static void on_run(void *owner, uint32_t node, uint64_t incarnation, uint32_t number,
		   uint32_t device, uint32_t attempt)
{
	struct scene *s = owner;

	(void)number;
	add(s, s->plan->device_count > 1 ? "run %u.%u %s #%u\n" : "run %u.%u%.0s #%u\n", node,
	    (unsigned)incarnation, s->plan->devices[device].name, attempt);
}

static void on_stop(void *owner, uint32_t node)
{
	add(owner, "stop %u\n", node);
}

static void on_dead(void *owner, uint32_t node, uint64_t incarnation, uint32_t number)
{
	(void)number;
	add(owner, "dead %u.%u\n", node, (unsigned)incarnation);
}

static void on_over(void *owner, uint32_t node, uint32_t number, const char *why)
{
	struct scene *s = owner;

	if (s->tells_over)
		add(s, "over %u: %u %s\n", node, number, why);
}

static struct fence_device command = { .name = "command", .type = FENCE_COMMAND,
				       .timeout_ms = 10000, .retries = 1 };
static const struct fence_plan with_command = {
	.delay_ms = 1000, .devices = &command, .device_count = 1,
	.levels = { { .number = 1, .device_count = 1 } }, .level_count = 1,
};
static const struct fence_plan without = { .delay_ms = 1000 };

/* By IPMI, else by both of its power supplies; node 5 has no IPMI. */
static char agent[] = "/usr/sbin/fence_apc";
static struct fence_target of_ipmi[] = { { .node = 3, .delay_ms = 2000 }, { .node = 4 } };
static struct fence_device devices[] = {
	{ .name = "ipmi", .type = FENCE_COMMAND, .timeout_ms = 10000, .targets = of_ipmi,
	  .target_count = 2 },
	{ .name = "pdu-a", .type = FENCE_AGENT, .program = agent, .timeout_ms = 10000,
	  .retries = 1 },
	{ .name = "pdu-b", .type = FENCE_AGENT, .program = agent, .timeout_ms = 10000,
	  .delay_ms = 500 },
};
static const struct fence_plan topology = {
	.devices = devices, .device_count = 3,
	.levels = { { .number = 1, .devices = { 0 }, .device_count = 1 },
		    { .number = 5, .devices = { 1, 2 }, .device_count = 2 } },
	.level_count = 2,
};

static void set_duty(struct scene *s, bool is_quorate, enum proof_duty duty)
{
	proof_set_duty(s->proof, s->now, is_quorate, duty, 1);
}

static struct scene *scene_new(const struct fence_plan *plan)
{
	static const struct proof_ops ops = { on_level, on_run, on_stop, on_dead, on_over };
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->now = 100 * S;
	s->plan = plan;
	s->proof = proof_new(plan, &ops, s);
	assert_non_null(s->proof);
	set_duty(s, true, PROOF_LOWEST);
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
	set_duty(s, true, PROOF_ANY);
	missing(s, 3, 7);
	pass(s, 60 * S);
	expect(s, "");
	assert_int_equal(proof_deadline(s->proof), UINT64_MAX);
	assert_non_null(strstr(waits(s, 3), "lowest node of a quorum"));
	set_duty(s, true, PROOF_LOWEST); /* who had it is gone */
	expect(s, "run 3.7 #1\n");
	set_duty(s, false, PROOF_ANY); /* the quorum is lost: its word would not count */
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

/* It has started anew, and nobody speaks for what it was: the second does it. */
static void nobody_fences_itself(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 1, 7);
	pass(s, 20 * S);
	expect(s, "");
	set_duty(s, true, PROOF_ANY);
	pass(s, 20 * S);
	expect(s, "");
	set_duty(s, true, PROOF_SECOND);
	pass(s, 0);
	expect(s, "run 1.7 #1\n");
	answer(s, 1, true);
	expect(s, "dead 1.7\n");
	missing(s, 3, 7); /* which is the affair of the lowest */
	pass(s, 20 * S);
	expect(s, "");
	scene_free(s);
}

/* Its watchdog, say, had seen that nothing of it was under way. */
static void who_was_proven_dead_and_is_back_is_asked_about_anew(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	missing(s, 3, 7);
	pass(s, 1 * S);
	expect(s, "run 3.7 #1\n");
	answer(s, 3, true);
	expect(s, "dead 3.7\n");
	missing(s, 0, 0);
	proof_is_back(s->proof, 3, 8); /* another process: of the one before it is still true */
	missing(s, 3, 7);
	pass(s, 20 * S);
	missing(s, 3, 7);
	expect(s, "dead 3.7\n");
	missing(s, 0, 0);
	proof_is_back(s->proof, 3, 7);
	missing(s, 3, 7);
	expect(s, "");
	pass(s, 1 * S);
	expect(s, "run 3.7 #1\n");
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

static void the_next_level_is_tried_when_one_fails_for_good(void **state)
{
	struct scene *s = scene_new(&topology);

	(void)state;
	missing(s, 4, 7);
	expect(s, "level 1 of 4\nrun 4.7 ipmi #1\n");
	answer(s, 4, false);
	expect(s, "level 5 of 4\nrun 4.7 pdu-a #1\n");
	assert_non_null(strstr(waits(s, 4), ": fence agent fence_apc (pdu-a), attempt 1"));
	answer(s, 4, false);
	pass(s, 1 * S);
	expect(s, "run 4.7 pdu-a #2\n");
	answer(s, 4, true);
	pass(s, 500 * MS);
	expect(s, "run 4.7 pdu-b #1\n");
	answer(s, 4, true);
	expect(s, "dead 4.7\n");
	scene_free(s);
}

/* F6: one power supply that is off proves nothing, today or in the next pass. */
static void a_level_proves_nothing_without_all_of_its_devices(void **state)
{
	struct scene *s = scene_new(&topology);

	(void)state;
	s->tells_over = true;
	missing(s, 5, 7); /* which level 1 is not for */
	expect(s, "level 5 of 5\nrun 5.7 pdu-a #1\n");
	answer(s, 5, true);
	pass(s, 500 * MS);
	expect(s, "run 5.7 pdu-b #1\n");
	answer(s, 5, false);
	expect(s, "over 5: 0 no power switch??[2J\n");
	pass(s, 60 * S);
	expect(s, "level 5 of 5\nrun 5.7 pdu-a #3\n");
	answer(s, 5, true);
	pass(s, 500 * MS);
	answer(s, 5, true);
	expect(s, "run 5.7 pdu-b #2\ndead 5.7\nover 5: 5 \n");
	scene_free(s);
}

/* F7: of two that miss each other, one shoots later. */
static void a_nodes_delay_holds_before_the_first_attempt(void **state)
{
	struct scene *s = scene_new(&topology);

	(void)state;
	missing(s, 3, 7);
	pass(s, 2 * S - 1);
	expect(s, "");
	pass(s, 1);
	expect(s, "level 1 of 3\nrun 3.7 ipmi #1\n");
	scene_free(s);
}

static void another_plan_begins_anew(void **state)
{
	struct scene *s = scene_new(&topology);

	(void)state;
	missing(s, 5, 7);
	answer(s, 5, true); /* of pdu-a */
	expect(s, "level 5 of 5\nrun 5.7 pdu-a #1\n");
	s->plan = &with_command;
	proof_set_plan(s->proof, s->now, &with_command);
	expect(s, "run 5.7 #1\n");
	s->plan = &without;
	proof_set_plan(s->proof, s->now, &without);
	pass(s, 100 * S);
	expect(s, "");
	assert_non_null(strstr(waits(s, 5), "confirm-dead node3"));
	scene_free(s);
}

/* F1, F8: it is switched off first, and missed then. */
static void who_is_fenced_on_demand_is_dead_as_soon_as_it_is_missing(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	s->tells_over = true;
	set_duty(s, true, PROOF_ANY); /* whom a person told, does it */
	assert_int_equal(proof_demand(s->proof, s->now, 3, 7, 0), 0);
	expect(s, "run 3.7 #1\n");
	assert_int_equal(proof_demand(s->proof, s->now, 3, 7, 0), -EALREADY);
	answer(s, 3, true);
	expect(s, "over 3: 1 \n");
	missing(s, 3, 7);
	expect(s, "dead 3.7\n");
	assert_string_equal(waits(s, 3), "");
	pass(s, 4 * S);
	missing(s, 3, 7);
	expect(s, ""); /* it is on its way */
	pass(s, 1 * S);
	missing(s, 3, 7);
	expect(s, "dead 3.7\n");
	missing(s, 0, 0);
	missing(s, 3, 8); /* of whom nothing was proven */
	expect(s, "");
	set_duty(s, true, PROOF_LOWEST);
	pass(s, 1 * S);
	expect(s, "run 3.8 #1\n");
	scene_free(s);
}

static void a_demand_is_one_pass_of_what_was_demanded(void **state)
{
	struct scene *s = scene_new(&topology);

	(void)state;
	s->tells_over = true;
	assert_int_equal(proof_demand(s->proof, s->now, 4, 7, 9), -ENOENT);
	assert_int_equal(proof_demand(s->proof, s->now, 5, 7, 1), -ENOENT);
	assert_int_equal(proof_demand(s->proof, s->now, 4, 7, 1), 0);
	expect(s, "level 1 of 4\nrun 4.7 ipmi #1\n");
	answer(s, 4, false);
	expect(s, "over 4: 0 no power switch??[2J\n");
	pass(s, 100 * S);
	expect(s, "");
	assert_false(proof_is_asking(s->proof));
	scene_free(s);
}

static void a_demand_ends_with_the_quorum(void **state)
{
	struct scene *s = scene_new(&with_command);

	(void)state;
	s->tells_over = true;
	assert_int_equal(proof_demand(s->proof, s->now, 3, 7, 0), 0);
	set_duty(s, false, PROOF_ANY);
	expect(s, "run 3.7 #1\nover 3: 0 there is no quorum any more\nstop 3\n");
	assert_int_equal(proof_demand(s->proof, s->now, 4, 7, 0), -EAGAIN);
	answer(s, 3, true);
	set_duty(s, true, PROOF_LOWEST);
	pass(s, 100 * S);
	expect(s, "");
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
		cmocka_unit_test(nobody_fences_itself),
		cmocka_unit_test(who_was_proven_dead_and_is_back_is_asked_about_anew),
		cmocka_unit_test(nodes_are_asked_about_each_by_itself),
		cmocka_unit_test(the_next_level_is_tried_when_one_fails_for_good),
		cmocka_unit_test(a_level_proves_nothing_without_all_of_its_devices),
		cmocka_unit_test(a_nodes_delay_holds_before_the_first_attempt),
		cmocka_unit_test(another_plan_begins_anew),
		cmocka_unit_test(who_is_fenced_on_demand_is_dead_as_soon_as_it_is_missing),
		cmocka_unit_test(a_demand_is_one_pass_of_what_was_demanded),
		cmocka_unit_test(a_demand_ends_with_the_quorum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
