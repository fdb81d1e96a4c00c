/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may take for ever: who waits for it goes away, and nothing is lost or done twice. */
#include "tests/unit/help.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/errand.h"
#include "base/err.h"
#include "base/loop.h"

/* A call to somebody who answers when we let him. */
struct call {
	struct errand errand;
	bool has_got; /* what drop() has to give back */
};

static sem_t may_answer, is_dropped;
static unsigned int given_back;
static struct loop *loop;

static void ask(struct errand *errand)
{
	struct call *c = (struct call *)errand;

	while (sem_wait(&may_answer) < 0)
		;
	c->has_got = true;
}

static void drop(struct errand *errand)
{
	struct call *c = (struct call *)errand;

	given_back += c->has_got;
	free(c);
	sem_post(&is_dropped);
}

static struct errand *new_call(void)
{
	struct call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->errand.work = ask;
	c->errand.drop = drop;
	return &c->errand;
}

static void await(sem_t *what)
{
	while (sem_wait(what) < 0)
		;
}

static int dropped(void)
{
	int n;

	assert_int_equal(sem_getvalue(&is_dropped, &n), 0);
	return n;
}

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sem_init(&may_answer, 0, 0);
	sem_init(&is_dropped, 0, 0);
	given_back = 0;
	loop = loop_new(&err);
	assert_non_null(loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	sem_destroy(&may_answer);
	sem_destroy(&is_dropped);
	return 0;
}

static void what_is_done_in_time_is_its_owners(void **state)
{
	struct errand *errand = new_call();
	struct err err = ERR_INIT;

	(void)state;
	sem_post(&may_answer);
	assert_int_equal(errand_wait(errand, 60000, &err), 0);
	assert_true(((struct call *)errand)->has_got);
	assert_int_equal(dropped(), 0);
	free(errand);
}

static void nobody_waits_longer_than_the_limit(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(errand_wait(new_call(), 1, &err), -ETIMEDOUT);
	assert_int_equal(dropped(), 0); /* it hangs still */
	sem_post(&may_answer);
	await(&is_dropped);
	assert_int_equal(given_back, 1);
}

static void has_come(void *owner, struct errand *errand)
{
	bool *has = owner;

	assert_true(((struct call *)errand)->has_got);
	free(errand);
	*has = true;
	loop_stop(loop);
}

static void let_it_answer(void *owner)
{
	bool *has = owner;

	assert_false(*has);
	sem_post(&may_answer);
}

static void the_loop_goes_on_while_it_hangs(void **state)
{
	struct err err = ERR_INIT;
	bool has = false;

	(void)state;
	assert_int_equal(errand_start(new_call(), loop, has_come, &has, &err), 0);
	assert_non_null(loop_timer_start(loop, 1, let_it_answer, &has, &err));
	loop_run(loop);
	assert_true(has);
	assert_int_equal(dropped(), 0);
}

static void what_is_abandoned_gives_back_what_it_gets(void **state)
{
	struct errand *errand = new_call();
	struct err err = ERR_INIT;
	bool has = false;

	(void)state;
	assert_int_equal(errand_start(errand, loop, has_come, &has, &err), 0);
	errand_abandon(errand);
	sem_post(&may_answer);
	await(&is_dropped);
	assert_int_equal(given_back, 1);
	assert_false(has);
}

static void stop(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

/* Done, and the loop has not come to it yet. */
static void what_is_abandoned_when_it_is_done_is_dropped_once(void **state)
{
	struct errand *errand = new_call();
	struct err err = ERR_INIT;
	bool has = false, is_done = false;

	(void)state;
	assert_int_equal(errand_start(errand, loop, has_come, &has, &err), 0);
	sem_post(&may_answer);
	while (!is_done) {
		pthread_mutex_lock(&errand->mutex);
		is_done = errand->is_done;
		pthread_mutex_unlock(&errand->mutex);
	}
	errand_abandon(errand);
	assert_int_equal(dropped(), 1);
	assert_int_equal(given_back, 1);
	assert_non_null(loop_timer_start(loop, 1, stop, NULL, &err));
	loop_run(loop);
	assert_false(has);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_done_in_time_is_its_owners, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_longer_than_the_limit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_loop_goes_on_while_it_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_abandoned_gives_back_what_it_gets, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_abandoned_when_it_is_done_is_dropped_once,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
