/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tie-breaker disk's lease: T1 for every interleaving of two hosts' steps up to so many,
 * and for long random ones of three: what each does, when what it wrote gets to the disk, when
 * it hears of it, errors, any pauses between. A host that is not given a step is one that
 * is stopped. TIE_STEPS and TIE_SEEDS say how far, for a soak.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/quorum/tie_breaker.h"

enum { MOST_HOSTS = 3, KEPT_BYTES = 64, TABLE_BITS = 23 };
#define TIMEOUT 1000ull
#define MARGIN 500ull

/* Of a sector what counts; the rest is zero. */
typedef uint8_t kept_sector[KEPT_BYTES];

struct host {
	struct tie_breaker t;
	enum tie_breaker_action under_way;
	bool has_landed;
	kept_sector written;
	kept_sector read[MOST_HOSTS];
};

struct world {
	uint64_t now;
	int hosts;
	kept_sector disk[MOST_HOSTS];
	struct host host[MOST_HOSTS];
	int failures, pauses; /* so far, where these are bounded */
};

enum what { STEP, LAND, FINISH, FAIL, WANT, CHOICES_OF_HOST };
enum { SHORT_TIME = MOST_HOSTS * CHOICES_OF_HOST, LONG_TIME, CHOICES };

static void begin(struct world *w, int hosts)
{
	memset(w, 0, sizeof(*w));
	w->now = 100000;
	w->hosts = hosts;
	for (int i = 0; i < hosts; i++) {
		const struct tie_breaker_config c = {
			.nodes = hosts, .self = i, .id = (uint32_t)i + 1, .generation = 7,
			.io_timeout_ns = TIMEOUT, .margin_ns = MARGIN,
		};

		tie_breaker_init(&w->host[i].t, &c);
		tie_breaker_want(&w->host[i].t, w->now, true);
	}
}

static int believers(const struct world *w)
{
	int count = 0;

	for (int i = 0; i < w->hosts; i++)
		count += tie_breaker_until(&w->host[i].t) > w->now;
	return count;
}

/* --- what can happen --------------------------------------------------------------------- */

static bool step(struct world *w, struct host *h)
{
	static uint8_t sector[TIE_SECTOR_BYTES];

	if (h->under_way != TIE_NOTHING || w->now < tie_breaker_deadline(&h->t))
		return false;
	h->under_way = tie_breaker_next(&h->t, w->now, sector);
	h->has_landed = false;
	if (h->under_way == TIE_WRITE)
		memcpy(h->written, sector, KEPT_BYTES);
	return true;
}

/* What was written is on the disk; what is read is what was there then. */
static bool land(struct world *w, struct host *h)
{
	if (h->under_way == TIE_NOTHING || h->has_landed)
		return false;
	h->has_landed = true;
	if (h->under_way == TIE_WRITE)
		memcpy(w->disk[h - w->host], h->written, KEPT_BYTES);
	else
		memcpy(h->read, w->disk, sizeof(h->read));
	return true;
}

static bool finish(struct world *w, struct host *h, int result)
{
	static uint8_t sectors[MOST_HOSTS * TIE_SECTOR_BYTES];
	enum tie_breaker_action what = h->under_way;

	if (what == TIE_NOTHING || (result == 0 && !h->has_landed))
		return false;
	h->under_way = TIE_NOTHING;
	for (int i = 0; i < w->hosts; i++)
		memcpy(sectors + i * TIE_SECTOR_BYTES, h->read[i], KEPT_BYTES);
	if (what == TIE_READ)
		tie_breaker_has_read(&h->t, w->now, result, result < 0 ? NULL : sectors);
	else
		tie_breaker_has_written(&h->t, w->now, result);
	return true;
}

/* False: it cannot happen here. */
static bool apply(struct world *w, int choice)
{
	struct host *h = &w->host[choice / CHOICES_OF_HOST];

	if (choice >= SHORT_TIME) {
		w->now += choice == LONG_TIME ? 7 * TIMEOUT + MARGIN : TIMEOUT;
		return true;
	}
	if (choice / CHOICES_OF_HOST >= w->hosts)
		return false;
	switch ((enum what)(choice % CHOICES_OF_HOST)) {
	case STEP:
		return step(w, h);
	case LAND:
		return land(w, h);
	case FINISH:
		return finish(w, h, 0);
	case FAIL:
		return finish(w, h, -EIO);
	case WANT:
		tie_breaker_want(&h->t, w->now, !h->t.is_wanted);
		return true;
	default:
		return false;
	}
}

static void name_choice(int choice, char *to, size_t room)
{
	static const char *const names[] = { "steps", "lands", "finishes", "fails", "wants or not" };

	if (choice >= SHORT_TIME)
		snprintf(to, room, "%s", choice == LONG_TIME ? "a long time" : "a time-out");
	else
		snprintf(to, room, "host %d %s", choice / CHOICES_OF_HOST + 1,
			 names[choice % CHOICES_OF_HOST]);
}

/* --- all of them, for two hosts --------------------------------------------------------------- */

struct search {
	int steps, path[64];
	uint64_t *table; /* hashes of states, with the depth at which they were met */
	uint64_t states;
};

static uint64_t hash_of(const struct world *w)
{
	const uint8_t *bytes = (const uint8_t *)w;
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(*w); i += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, sizeof(*w) - i < 8 ? sizeof(*w) - i : 8);
		hash = (hash ^ word) * 0x100000001b3ull;
		hash ^= hash >> 29;
	}
	return hash;
}

/* True: with as many steps left at least, or more, it was there before. */
static bool is_known(struct search *s, const struct world *w, int depth)
{
	uint64_t key = hash_of(w) & ~0xffull, at = key >> (64 - TABLE_BITS);

	for (;; at = (at + 1) & ((1u << TABLE_BITS) - 1)) {
		if (s->table[at] == 0) {
			assert_true(s->states++ < (1u << TABLE_BITS) * 9ull / 10);
			s->table[at] = key | (uint64_t)(depth + 1);
			return false;
		}
		if ((s->table[at] & ~0xffull) != key)
			continue;
		if ((s->table[at] & 0xff) <= (uint64_t)(depth + 1))
			return true;
		s->table[at] = key | (uint64_t)(depth + 1);
		return false;
	}
}

static void tell_path(const int *path, int count)
{
	char text[64];

	for (int i = 0; i < count; i++) {
		name_choice(path[i], text, sizeof(text));
		print_error("%s\n", text);
	}
}

static void go_on(struct search *s, const struct world *w, int depth)
{
	if (believers(w) > 1) {
		tell_path(s->path, depth);
		fail_msg("T1: two believe that they have the lease");
	}
	if (depth == s->steps || is_known(s, w, depth))
		return;
	for (int choice = 0; choice < CHOICES; choice++) {
		struct world next = *w;
		int what = choice < SHORT_TIME ? choice % CHOICES_OF_HOST : -1;

		next.failures += what == FAIL;
		next.pauses += what < 0;
		if (what == WANT || next.failures > 1 || next.pauses > 3 ||
		    !apply(&next, choice))
			continue;
		if (what == FINISH || what == FAIL) /* what waits here waits as well behind */
			step(&next, &next.host[choice / CHOICES_OF_HOST]);
		s->path[depth] = choice;
		go_on(s, &next, depth + 1);
	}
}

static int from_environment(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text ? atoi(text) : otherwise;
}

static void search(const struct world *from, int steps)
{
	struct search s = { .steps = from_environment("TIE_STEPS", steps) };

	s.table = calloc(1u << TABLE_BITS, sizeof(*s.table));
	assert_non_null(s.table);
	go_on(&s, from, 0);
	print_message("%d steps: %llu states\n", s.steps, (unsigned long long)s.states);
	free(s.table);
}

/* It steps, and all it does is done at once, until it has it. */
static void let_hold(struct world *w, int host)
{
	for (int i = 0; i < 200 && tie_breaker_until(&w->host[host].t) <= w->now; i++) {
		if (!apply(w, host * CHOICES_OF_HOST + STEP))
			w->now += TIMEOUT;
		apply(w, host * CHOICES_OF_HOST + LAND);
		apply(w, host * CHOICES_OF_HOST + FINISH);
	}
	assert_true(tie_breaker_until(&w->host[host].t) > w->now);
}

static void two_hosts_that_both_begin_never_both_have_it(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2);
	search(&w, 16);
}

static void a_holder_and_who_waits_for_its_end_never_both_have_it(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2);
	let_hold(&w, 0);
	search(&w, 16);
	/* and with a renewal that is on its way */
	w.now += TIMEOUT;
	assert_true(apply(&w, STEP));
	search(&w, 16);
}

/* --- long ones, at random ------------------------------------------------------------------------ */

static uint64_t random_of(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Disks do their part for who is stopped, too. */
static void at_random(struct world *w, uint64_t *seed, uint64_t running)
{
	int host = (int)(random_of(seed) % 3), what = (int)(random_of(seed) % 8);

	if (what >= CHOICES_OF_HOST)
		w->now += random_of(seed) % (TIMEOUT / 12);
	else if (what == LAND)
		apply(w, host * CHOICES_OF_HOST + LAND);
	else if ((running >> host & 1) && (what < FAIL || random_of(seed) % 32 == 0))
		apply(w, host * CHOICES_OF_HOST + what);
}

static void three_hosts_at_random_never_have_it_at_once(void **state)
{
	uint64_t held = 0, seeds = (uint64_t)from_environment("TIE_SEEDS", 1000);

	(void)state;
	for (uint64_t i = 1; i <= seeds; i++) {
		uint64_t seed = i * 0x9e3779b97f4a7c15ull;
		uint64_t running = 7;
		struct world w;

		begin(&w, 3);
		for (int k = 0; k < 3000; k++) {
			if (random_of(&seed) % 200 == 0) /* the others are stopped */
				running = random_of(&seed) % 8;
			at_random(&w, &seed, running);
			if (believers(&w) > 1)
				fail_msg("T1: seed %d, step %d: two have it", (int)i, k);
			held += (uint64_t)believers(&w);
		}
	}
	assert_true(held > seeds); /* it is had at all */
}

/* --- what is lost otherwise ------------------------------------------------------------------------- */

/* All of a host's part, as long as it has one. */
static void run_host(struct world *w, int host)
{
	for (int i = 0; i < 4; i++) {
		apply(w, host * CHOICES_OF_HOST + STEP);
		apply(w, host * CHOICES_OF_HOST + LAND);
		apply(w, host * CHOICES_OF_HOST + FINISH);
	}
}

static void a_free_lease_is_had_at_once_and_a_dead_ones_after_its_time(void **state)
{
	struct world w;
	uint64_t died;

	(void)state;
	begin(&w, 2);
	run_host(&w, 0);
	assert_true(tie_breaker_until(&w.host[0].t) > w.now);
	for (died = w.now; tie_breaker_until(&w.host[1].t) <= w.now; w.now += TIMEOUT / 10) {
		run_host(&w, 1);
		assert_true(w.now < died + 20 * TIMEOUT);
	}
	assert_true(w.now >= died + TIE_DEAD_TIMEOUTS * TIMEOUT + MARGIN);
	/* the dead one wakes up: it does not believe any more, and stays out */
	assert_true(tie_breaker_until(&w.host[0].t) <= w.now);
	for (int i = 0; i < 100; i++, w.now += TIMEOUT / 10) {
		run_host(&w, 0);
		run_host(&w, 1);
		assert_true(tie_breaker_until(&w.host[0].t) <= w.now);
		assert_true(tie_breaker_until(&w.host[1].t) > w.now);
	}
}

/* Host 1: its next read or write, which takes so long. */
static void slow(struct world *w, uint64_t ns)
{
	assert_true(apply(w, STEP));
	w->now += ns;
	assert_true(apply(w, LAND));
	assert_true(apply(w, FINISH));
}

static void a_lease_counts_from_the_beginning_of_what_took_it(void **state)
{
	struct world w;
	uint64_t began;

	(void)state;
	begin(&w, 2);
	slow(&w, 0);       /* it looks */
	began = w.now;
	slow(&w, TIMEOUT); /* it raises its flag, and checks */
	slow(&w, 3 * TIMEOUT);
	assert_true(tie_breaker_until(&w.host[0].t) == began + TIE_LEASE_TIMEOUTS * TIMEOUT);
	began = w.now;
	slow(&w, TIMEOUT / 2);
	assert_true(tie_breaker_until(&w.host[0].t) == began + TIE_LEASE_TIMEOUTS * TIMEOUT);
	w.now += TIMEOUT;
	slow(&w, TIE_LEASE_TIMEOUTS * TIMEOUT); /* a renewal that ends too late is none */
	assert_int_equal(tie_breaker_until(&w.host[0].t), 0);

	begin(&w, 2);
	slow(&w, 0);
	slow(&w, TIMEOUT);
	slow(&w, TIE_LEASE_TIMEOUTS * TIMEOUT); /* and so is a check */
	assert_int_equal(tie_breaker_until(&w.host[0].t), 0);
}

static void what_is_given_up_is_free_when_nobody_relies_on_it_any_more(void **state)
{
	struct world w;
	uint64_t given_up;

	(void)state;
	begin(&w, 2);
	run_host(&w, 0);
	tie_breaker_want(&w.host[0].t, w.now, false);
	assert_int_equal(tie_breaker_until(&w.host[0].t), 0);
	for (given_up = w.now; tie_breaker_until(&w.host[1].t) <= w.now; w.now += 50) {
		run_host(&w, 0);
		run_host(&w, 1);
		assert_true(w.now < given_up + MARGIN + 3 * TIMEOUT);
	}
	assert_true(w.now >= given_up + MARGIN); /* T4 */
}

static void two_that_want_it_at_the_same_instant_come_to_an_end(void **state)
{
	struct world w;
	int i;

	(void)state;
	begin(&w, 2);
	for (i = 0; i < 400 && believers(&w) == 0; i++) {
		for (int what = STEP; what <= FINISH; what++)
			for (int host = 0; host < 2; host++)
				apply(&w, host * CHOICES_OF_HOST + what);
		w.now += TIMEOUT / 10;
	}
	assert_int_equal(believers(&w), 1);
}

static void a_holder_whose_disk_fails_gives_up_in_time_and_says_so(void **state)
{
	struct world w;
	uint64_t until;

	(void)state;
	begin(&w, 2);
	let_hold(&w, 0);
	until = tie_breaker_until(&w.host[0].t);
	for (; w.now < until; w.now += TIMEOUT / 10) {
		apply(&w, STEP);
		apply(&w, FAIL);
		assert_true(tie_breaker_until(&w.host[0].t) <= until);
	}
	apply(&w, STEP);
	apply(&w, FAIL);
	assert_true(tie_breaker_until(&w.host[0].t) <= w.now);
	assert_false(tie_breaker_is_usable(&w.host[0].t));
}

static void a_sector_that_makes_no_sense_is_of_somebody_alive(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2);
	for (int i = 0; i < 40; i++, w.now += TIMEOUT) {
		w.disk[1][40] = (uint8_t)(i + 1); /* written all the time */
		run_host(&w, 0);
		assert_int_equal(believers(&w), 0);
	}
	for (int i = 0; i < 40 && believers(&w) == 0; i++, w.now += TIMEOUT)
		run_host(&w, 0); /* it stays as it is: dead */
	assert_int_equal(believers(&w), 1);
}

static void a_disk_that_is_none_or_anothers_is_told(void **state)
{
	static uint8_t sector[TIE_SECTOR_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(tie_breaker_check(sector, "alpha", &err), -ENOENT);
	err = (struct err)ERR_INIT;
	tie_breaker_format(sector, "alpha");
	assert_int_equal(tie_breaker_check(sector, "alpha", &err), 0);
	assert_int_equal(tie_breaker_check(sector, NULL, &err), 0);
	assert_int_equal(tie_breaker_check(sector, "beta", &err), -EBADMSG);
	assert_non_null(strstr(err.text, "another cluster, 'alpha'"));
	sector[30] ^= 1;
	assert_int_equal(tie_breaker_check(sector, "alpha", &err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_free_lease_is_had_at_once_and_a_dead_ones_after_its_time),
		cmocka_unit_test(a_lease_counts_from_the_beginning_of_what_took_it),
		cmocka_unit_test(what_is_given_up_is_free_when_nobody_relies_on_it_any_more),
		cmocka_unit_test(two_that_want_it_at_the_same_instant_come_to_an_end),
		cmocka_unit_test(a_holder_whose_disk_fails_gives_up_in_time_and_says_so),
		cmocka_unit_test(a_sector_that_makes_no_sense_is_of_somebody_alive),
		cmocka_unit_test(a_disk_that_is_none_or_anothers_is_told),
		cmocka_unit_test(two_hosts_that_both_begin_never_both_have_it),
		cmocka_unit_test(a_holder_and_who_waits_for_its_end_never_both_have_it),
		cmocka_unit_test(three_hosts_at_random_never_have_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
