/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A watchdog that guards a node: T1..T3 of guard.h, and which devices are trusted. */
#include "tests/unit/help.h"

#include <errno.h>
#include <linux/watchdog.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/guard.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/watchdog.h"

#define S NS_PER_S

/* --- when it is petted ---------------------------------------------------------------------- */

static void it_is_petted_while_the_lease_is_valid_and_a_drain_longer(void **state)
{
	struct guard g = { .drain_ns = 5 * S };

	(void)state;
	assert_int_equal(guard_until(&g, 100 * S, 101 * S, false), 105 * S);
	assert_int_equal(guard_until(&g, 102 * S, 101 * S, false), 105 * S);
	assert_int_equal(guard_until(&g, 200 * S, 101 * S, false), 105 * S);
	assert_int_equal(guard_until(&g, 201 * S, 202 * S, false), 206 * S); /* it is back */
}

static void who_lost_its_quorum_at_once_still_has_the_time_to_drain(void **state)
{
	struct guard g = { .drain_ns = 5 * S };

	(void)state;
	assert_int_equal(guard_until(&g, 100 * S, 110 * S, false), 105 * S);
	assert_int_equal(guard_until(&g, 101 * S, 0, false), 105 * S);
}

static void who_has_nothing_under_way_is_petted_for_ever(void **state)
{
	struct guard g = { .drain_ns = 5 * S };

	(void)state;
	assert_int_equal(guard_until(&g, 100 * S, 0, true), 105 * S);
	assert_int_equal(guard_until(&g, 1000 * S, 0, true), 1005 * S);
	assert_int_equal(guard_until(&g, 1001 * S, 0, false), 1005 * S);
}

/* T2: the last pet is at most lease + drain behind the last token. */
static void expiry_is_behind_any_reset(void **state)
{
	struct guard g = { .drain_ns = 5 * S };
	uint64_t token = 100 * S, lease = 3 * S, timeout = 10 * S, last;

	(void)state;
	last = guard_until(&g, token + lease - 1, token + lease, false);
	assert_true(last + timeout < token + guard_expiry_ns(lease, 5 * S, timeout));
}

/* A healthy host whose timeout was long and whose drain was short was reset. */
static void a_word_holds_until_the_next_one_whatever_is_configured(void **state)
{
	(void)state;
	for (uint64_t timeout_s = 2; timeout_s <= 600; timeout_s++)
		for (uint64_t drain_ms = 100; drain_ms <= 600000; drain_ms += 100) {
			uint64_t period_ms = guard_period_ms(drain_ms, timeout_s * 1000);

			assert_true(period_ms > 0 && 2 * period_ms <= drain_ms);
			assert_true(period_ms <= timeout_s * 1000 / 4); /* a pet's */
		}
}

/* --- devices ----------------------------------------------------------------------------------- */

static struct {
	uint32_t options;
	const char *identity;
	int timeout, least; /* it takes no less */
	char log[256];
} dog;

static void add(const char *word)
{
	strncat(dog.log, word, sizeof(dog.log) - strlen(dog.log) - 1);
}

static int fake_open(const char *path)
{
	add("open ");
	return strcmp(path, "/dev/none") == 0 ? -ENOENT : 5;
}

static int fake_support(int fd, uint32_t *options, char identity[33])
{
	assert_int_equal(fd, 5);
	*options = dog.options;
	snprintf(identity, 33, "%s", dog.identity);
	return dog.identity[0] ? 0 : -ENOTTY;
}

static int fake_set(int fd, int seconds)
{
	(void)fd;
	dog.timeout = seconds < dog.least ? dog.least : seconds;
	return 0;
}

static int fake_get(int fd, int *seconds)
{
	(void)fd;
	*seconds = dog.timeout;
	return 0;
}

static int fake_pet(int fd)
{
	(void)fd;
	add("pet ");
	return 0;
}

static int fake_write(int fd, char byte)
{
	const char word[] = { byte, ' ', '\0' };

	(void)fd;
	add(word);
	return 0;
}

static void fake_close(int fd)
{
	(void)fd;
	add("close");
}

static const struct watchdog_ops fake = { fake_open, fake_support, fake_set, fake_get, fake_pet,
					  fake_write, fake_close };

static struct watchdog *open_dog(const char *path, bool takes_software, struct err *err)
{
	const struct watchdog_config c = { path, 10, takes_software };

	dog.log[0] = '\0';
	*err = (struct err)ERR_INIT;
	return watchdog_open(&fake, &c, err);
}

static void be(const char *identity, uint32_t options, int least)
{
	dog.identity = identity;
	dog.options = options;
	dog.least = least;
}

static void one_that_is_trusted_runs_until_the_magic_close(void **state)
{
	struct watchdog *w;
	struct err err;

	(void)state;
	be("iTCO_wdt", WDIOF_MAGICCLOSE, 0);
	w = open_dog("/dev/watchdog", false, &err);
	assert_non_null(w);
	assert_string_equal(watchdog_identity(w), "iTCO_wdt");
	assert_int_equal(watchdog_pet(w), 0);
	watchdog_close(w, true);
	assert_string_equal(dog.log, "open pet pet V close");
	w = open_dog("/dev/watchdog", false, &err);
	watchdog_close(w, false); /* it bites */
	assert_string_equal(dog.log, "open pet close");
}

static void one_that_cannot_guard_is_refused_and_does_not_bite(void **state)
{
	struct err err;

	(void)state;
	be("iTCO_wdt", 0, 0);
	assert_null(open_dog("/dev/watchdog", true, &err));
	assert_non_null(strstr(err.text, "magic close"));
	assert_string_equal(dog.log, "open V close");
	be("iTCO_wdt", WDIOF_MAGICCLOSE, 30);
	assert_null(open_dog("/dev/watchdog", true, &err));
	assert_non_null(strstr(err.text, "takes 30 s, and not 10"));
	assert_string_equal(dog.log, "open V close");
	be("", 0, 0);
	assert_null(open_dog("/dev/zero", true, &err));
	assert_non_null(strstr(err.text, "is no watchdog"));
	assert_null(open_dog("/dev/none", true, &err));
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(dog.log, "open ");
}

static void software_is_taken_only_where_that_was_said(void **state)
{
	struct watchdog *w;
	struct err err;

	(void)state;
	be("Software Watchdog", WDIOF_MAGICCLOSE, 0);
	assert_null(open_dog("/dev/watchdog", false, &err));
	assert_non_null(strstr(err.text, "software = yes"));
	w = open_dog("/dev/watchdog", true, &err);
	assert_non_null(w);
	watchdog_close(w, true);
}

static void a_file_is_no_watchdog(void **state)
{
	const struct watchdog_config c = { "/dev/null", 10, true };
	struct err err = ERR_INIT;

	(void)state;
	assert_null(watchdog_open(&watchdog_kernel, &c, &err));
	assert_non_null(strstr(err.text, "/dev/null: is no watchdog"));
}

/* --- the method ----------------------------------------------------------------------------------- */

struct scene {
	struct loop *loop;
	struct fence_request req;
	bool is_done;
	uint64_t done_at;
	struct err err;
};

static void done(void *owner, struct fence_job *job, bool is_done, const char *why)
{
	struct scene *s = owner;

	(void)why;
	s->is_done = is_done;
	s->done_at = clock_boot_ns();
	job->method->free(job);
	loop_stop(s->loop);
}

static void start(void *owner)
{
	struct scene *s = owner;

	if (!fence_method_watchdog.start(s->loop, &s->req, done, s, &s->err))
		loop_stop(s->loop);
}

static void run(struct scene *s, const struct fence_guard *g, enum fence_action action)
{
	static const struct fence_device device = { .type = FENCE_WATCHDOG };

	*s = (struct scene){ .loop = loop_new(&s->err) };
	assert_non_null(s->loop);
	s->req = (struct fence_request){ .device = &device, .action = action, .node = 3,
					 .incarnation = 7, .guard = g };
	assert_non_null(loop_timer_start(s->loop, 1, start, s, &s->err));
	loop_run(s->loop);
	loop_free(s->loop);
}

static void who_is_guarded_is_dead_when_its_time_is_over_and_not_before(void **state)
{
	struct fence_guard g = { .is_missing = true, .since_ns = clock_boot_ns(),
				 .expiry_ns = 50 * NS_PER_MS };
	struct scene s;

	(void)state;
	run(&s, &g, FENCE_KILL);
	assert_true(s.is_done);
	assert_true(s.done_at >= g.since_ns + g.expiry_ns);
	run(&s, &g, FENCE_TEST);
	assert_true(s.is_done);
}

/* Another ring was made meanwhile: one of it may have been with the node until then. */
static void made_anew(void *owner, uint32_t node, uint64_t incarnation, struct fence_guard *to)
{
	uint64_t *since = owner;

	assert_int_equal(node, 3);
	assert_int_equal(incarnation, 7);
	if (*since == 0)
		*since = clock_boot_ns();
	to->since_ns = *since;
}

static void came_back(void *owner, uint32_t node, uint64_t incarnation, struct fence_guard *to)
{
	(void)owner;
	(void)node;
	(void)incarnation;
	to->is_missing = false;
}

static void its_time_counts_from_the_last_ring_that_misses_it(void **state)
{
	uint64_t since = 0;
	struct fence_guard g = { .is_missing = true, .since_ns = clock_boot_ns() - NS_PER_S,
				 .expiry_ns = 50 * NS_PER_MS, .look = made_anew, .owner = &since };
	struct scene s;

	(void)state;
	run(&s, &g, FENCE_KILL);
	assert_true(s.is_done);
	assert_true(since != 0 && s.done_at >= since + g.expiry_ns);
	g.look = came_back;
	run(&s, &g, FENCE_KILL);
	assert_false(s.is_done);
}

static void who_has_not_said_so_or_is_there_is_not(void **state)
{
	struct fence_guard g = { .is_missing = true, .since_ns = 1, .expiry_ns = 0 };
	struct scene s;

	(void)state;
	run(&s, &g, FENCE_KILL);
	assert_false(s.is_done);
	assert_int_equal(s.err.code, -ENODEV);
	g = (struct fence_guard){ .is_missing = false, .since_ns = 1, .expiry_ns = 1 };
	run(&s, &g, FENCE_KILL);
	assert_false(s.is_done);
	assert_int_equal(s.err.code, -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_petted_while_the_lease_is_valid_and_a_drain_longer),
		cmocka_unit_test(who_lost_its_quorum_at_once_still_has_the_time_to_drain),
		cmocka_unit_test(who_has_nothing_under_way_is_petted_for_ever),
		cmocka_unit_test(expiry_is_behind_any_reset),
		cmocka_unit_test(a_word_holds_until_the_next_one_whatever_is_configured),
		cmocka_unit_test(one_that_is_trusted_runs_until_the_magic_close),
		cmocka_unit_test(one_that_cannot_guard_is_refused_and_does_not_bite),
		cmocka_unit_test(software_is_taken_only_where_that_was_said),
		cmocka_unit_test(a_file_is_no_watchdog),
		cmocka_unit_test(who_is_guarded_is_dead_when_its_time_is_over_and_not_before),
		cmocka_unit_test(its_time_counts_from_the_last_ring_that_misses_it),
		cmocka_unit_test(who_has_not_said_so_or_is_there_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
