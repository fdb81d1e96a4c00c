/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations of several disks at once, in their thread, and as a method of fencing. */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/pr_job.h"
#include "tests/unit/pr_target.h"

#define KEY1 0x1111111100000001u
#define KEY2 0x1111111100000002u

/* Disks "a", "b", as node 0 sees them; "x" is not there. */
static struct pr_target targets[2];
static struct pr_initiator nodes[2][2]; /* by node, disk */

static int mem_open(const char *path, struct pr_disk *disk, struct err *err)
{
	if (*path == 'x')
		return err_set(err, -ENXIO, "x: is gone");
	*disk = nodes[0][*path - 'a'].disk;
	disk->path = path;
	return 0;
}

static void mem_close(struct pr_disk *disk)
{
	*disk = (struct pr_disk){ 0 };
}

static const struct pr_transport transport = { mem_open, mem_close };

struct scene {
	struct loop *loop;
	struct pr_job *job;
	struct fence_job *attempt;
	const struct pr_job_config *config;
	const struct fence_request *req;
	bool is_done, frees_at_once;
	struct err result;
};

static void begin(struct scene *s)
{
	struct err err = ERR_INIT;

	*s = (struct scene){ 0 };
	s->loop = loop_new(&err);
	assert_non_null(s->loop);
	for (int d = 0; d < 2; d++) {
		pr_target_init(&targets[d]);
		for (int n = 0; n < 2; n++) {
			pr_initiator_init(&nodes[n][d], &targets[d], n);
			assert_int_equal(pr_register(&nodes[n][d].disk, n ? KEY2 : KEY1, &err), 0);
		}
	}
}

static void end(struct scene *s)
{
	loop_free(s->loop);
}

static void job_is_done(void *owner, struct pr_job *job, const struct err *result)
{
	struct scene *s = owner;

	s->result = *result;
	pr_job_free(job);
	loop_stop(s->loop);
}

static void start_job(void *owner)
{
	struct scene *s = owner;
	struct err err = ERR_INIT;

	s->job = pr_job_start(s->loop, s->config, job_is_done, s, &err);
	assert_non_null(s->job);
	if (!s->frees_at_once)
		return;
	pr_job_free(s->job);
	loop_stop(s->loop);
}

static int run(struct scene *s, enum pr_task task, char *const *paths, size_t count)
{
	const struct pr_job_config c = { .task = task, .transport = &transport, .paths = paths,
					 .path_count = count, .key = KEY1, .victim = KEY2,
					 .aborts = true };
	struct err err = ERR_INIT;

	s->config = &c;
	assert_non_null(loop_timer_start(s->loop, 1, start_job, s, &err));
	loop_run(s->loop);
	return s->result.code;
}

static char *const both[] = { (char[]){ "a" }, (char[]){ "b" } };
static char *const one_is_gone[] = { (char[]){ "a" }, (char[]){ "x" }, (char[]){ "b" } };

static void a_key_is_preempted_on_all_disks(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	assert_int_equal(run(&s, PR_TASK_PREEMPT, both, 2), 0);
	assert_false(pr_target_may_write(&targets[0], 1));
	assert_false(pr_target_may_write(&targets[1], 1));
	end(&s);
}

/* It could be written there yet. */
static void a_disk_that_does_not_answer_is_no_proof(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	assert_int_equal(run(&s, PR_TASK_PREEMPT, one_is_gone, 3), -ENXIO);
	assert_string_equal(s.result.text, "x: is gone");
	end(&s);
}

static void that_our_key_is_gone_is_told_whatever_else_fails(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	assert_int_equal(run(&s, PR_TASK_WATCH, both, 2), 0);
	assert_int_equal(run(&s, PR_TASK_WATCH, one_is_gone, 3), -ENXIO);
	assert_int_equal(pr_preempt(&nodes[1][1].disk, KEY2, KEY1, true, &s.result), 0);
	assert_int_equal(run(&s, PR_TASK_WATCH, one_is_gone, 3), -EKEYREVOKED);
	end(&s);
}

static void who_does_not_wait_any_more_is_not_told(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	s.frees_at_once = true;
	assert_int_equal(run(&s, PR_TASK_CHECK, both, 2), 0);
	end(&s);
}

/* --- the method ---------------------------------------------------------------------------- */

static void attempt_is_done(void *owner, struct fence_job *job, bool is_done, const char *why)
{
	struct scene *s = owner;

	s->is_done = is_done;
	snprintf(s->result.text, sizeof(s->result.text), "%s", why);
	job->method->free(job);
	loop_stop(s->loop);
}

static void start_attempt(void *owner)
{
	struct scene *s = owner;

	s->attempt = fence_method_reservation.start(s->loop, s->req, attempt_is_done, s,
						    &s->result);
	if (!s->attempt)
		loop_stop(s->loop);
}

static void attempt(struct scene *s, enum fence_action action, char *const *paths, size_t count,
		    const char *why_not)
{
	static const struct fence_device device = { .type = FENCE_RESERVATION, .aborts = true };
	struct fence_reservation r = { &transport, paths, count, KEY1, KEY2, "" };
	const struct fence_request req = { .device = &device, .action = action, .node = 2,
					   .name = "node2", .reservation = &r };
	struct err err = ERR_INIT;

	snprintf(r.why_not, sizeof(r.why_not), "%s", why_not);
	s->is_done = false;
	s->req = &req;
	assert_non_null(loop_timer_start(s->loop, 1, start_attempt, s, &err));
	loop_run(s->loop);
}

static void fencing_takes_the_nodes_key_and_a_test_takes_nothing(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	attempt(&s, FENCE_TEST, both, 2, "");
	assert_true(s.is_done);
	assert_true(pr_target_may_write(&targets[0], 1));
	attempt(&s, FENCE_KILL, both, 2, "");
	assert_true(s.is_done);
	assert_false(pr_target_may_write(&targets[0], 1));
	end(&s);
}

/* An array that this node has not: its disks cannot be known. */
static void what_this_node_cannot_know_it_does_not_prove(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	attempt(&s, FENCE_KILL, both, 2, "it may write to array web, which is not active here");
	assert_null(s.attempt);
	assert_true(pr_target_may_write(&targets[0], 1));
	s.result = (struct err)ERR_INIT;
	attempt(&s, FENCE_KILL, both, 0, "");
	assert_null(s.attempt);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_preempted_on_all_disks),
		cmocka_unit_test(a_disk_that_does_not_answer_is_no_proof),
		cmocka_unit_test(that_our_key_is_gone_is_told_whatever_else_fails),
		cmocka_unit_test(who_does_not_wait_any_more_is_not_told),
		cmocka_unit_test(fencing_takes_the_nodes_key_and_a_test_takes_nothing),
		cmocka_unit_test(what_this_node_cannot_know_it_does_not_prove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
