/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lock on the kernel's DLM, by itself: wishes, writes that come back, results, in
 * every order in which they can cross (lockres/dlm_lock.h, X1..X5).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "lockres/dlm_lock.h"

enum { COOKIE = 7, LKID = 0x1234 };

static struct dlm_lock lock;
static struct dlm_call call;

static int setup(void **state)
{
	(void)state;
	dlm_lock_init(&lock, COOKIE);
	return 0;
}

static void ask(enum lock_mode mode, uint32_t flags)
{
	dlm_lock_ask(&lock, mode, flags, &call);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.mode, mode);
	assert_int_equal(call.flags, flags);
	assert_int_equal(call.cookie, COOKIE);
}

static enum dlm_turn written(enum dlm_call_kind kind, int r)
{
	return dlm_lock_written(&lock, kind, r, &call);
}

static enum dlm_turn hear(int status, uint32_t marks)
{
	struct dlm_result result = { .cookie = COOKIE, .status = status, .marks = marks,
				     .lkid = LKID, .has_value = true };

	memset(result.value, 0x5a, sizeof(result.value));
	return dlm_lock_result(&lock, &result, &call);
}

static void ended_with(enum dlm_turn turn, int status, enum lock_mode mode)
{
	assert_int_equal(turn, DLM_TURN_OVER);
	assert_int_equal(lock.end.status, status);
	assert_int_equal(lock.end.mode, mode);
	assert_int_equal(lock.wish, DLM_WISH_NONE);
}

static void hold(enum lock_mode mode)
{
	ask(mode, 0);
	assert_int_equal(written(DLM_CALL_LOCK, LKID), DLM_TURN_WAIT);
	ended_with(hear(0, 0), 0, mode);
	assert_int_equal(lock.lkid, LKID);
}

static void a_request_ends_with_its_result(void **state)
{
	(void)state;
	hold(LOCK_PR);
	ask(LOCK_EX, LOCK_CONVERT);
	assert_int_equal(call.lkid, LKID);
	assert_int_equal(written(DLM_CALL_LOCK, 0), DLM_TURN_WAIT);
	ended_with(hear(0, 0), 0, LOCK_EX);
}

static void a_result_that_overtakes_its_write_waits_for_it(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_WAIT);
	ended_with(written(DLM_CALL_LOCK, LKID), 0, LOCK_EX);
}

static void a_refused_write_ends_the_wish(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	ended_with(written(DLM_CALL_LOCK, -ENOMEM), -ENOMEM, LOCK_NONE);
	hold(LOCK_PR);
	ask(LOCK_EX, LOCK_CONVERT);
	ended_with(written(DLM_CALL_LOCK, -EINVAL), -EINVAL, LOCK_PR);
}

static void a_request_that_fails_leaves_nothing(void **state)
{
	(void)state;
	ask(LOCK_EX, LOCK_NOQUEUE);
	written(DLM_CALL_LOCK, LKID);
	ended_with(hear(-EAGAIN, 0), -EAGAIN, LOCK_NONE);
	assert_int_equal(lock.lkid, 0);
}

static void a_conversion_that_fails_keeps_what_is_held(void **state)
{
	(void)state;
	hold(LOCK_PR);
	ask(LOCK_EX, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	ended_with(hear(-EDEADLK, 0), -EDEADLK, LOCK_PR);
}

static void an_adoption_ends_with_its_write(void **state)
{
	(void)state;
	ask(LOCK_PW, LOCK_ORPHAN | LOCK_PERSISTENT);
	ended_with(written(DLM_CALL_LOCK, LKID), 0, LOCK_PW);
	assert_int_equal(lock.lkid, LKID);
	assert_false(lock.end.has_value);
}

static void an_adoption_of_nothing_or_of_another_mode_is_refused(void **state)
{
	(void)state;
	ask(LOCK_PW, LOCK_ORPHAN);
	ended_with(written(DLM_CALL_LOCK, -ENOENT), -ENOENT, LOCK_NONE);
	ask(LOCK_PW, LOCK_ORPHAN);
	ended_with(written(DLM_CALL_LOCK, -EAGAIN), -EAGAIN, LOCK_NONE);
}

static void an_unlock_ends_with_nothing_held(void **state)
{
	(void)state;
	hold(LOCK_EX);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_IVVALBLK, &call), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	assert_int_equal(call.flags, LOCK_IVVALBLK);
	assert_int_equal(call.lkid, LKID);
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

static void cancel(bool is_late)
{
	assert_int_equal(dlm_lock_cancel(&lock, is_late, &call), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_CANCEL);
	assert_int_equal(call.flags, LOCK_CANCEL);
}

static void a_cancelled_request_leaves_nothing(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	written(DLM_CALL_LOCK, LKID);
	cancel(false);
	assert_int_equal(written(DLM_CALL_CANCEL, 0), DLM_TURN_WAIT);
	ended_with(hear(DLM_RESULT_CANCELLED, 0), -ECANCELED, LOCK_NONE);
}

static void a_cancelled_conversion_keeps_what_is_held(void **state)
{
	(void)state;
	hold(LOCK_PR);
	ask(LOCK_EX, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	cancel(false);
	written(DLM_CALL_CANCEL, 0);
	ended_with(hear(DLM_RESULT_CANCELLED, 0), -ECANCELED, LOCK_PR);
}

static void a_deadline_says_that_it_was_late(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	written(DLM_CALL_LOCK, LKID);
	cancel(true);
	written(DLM_CALL_CANCEL, 0);
	ended_with(hear(DLM_RESULT_CANCELLED, 0), -ETIMEDOUT, LOCK_NONE);
}

/* B47: what the cancel would meet otherwise is the next conversion. */
static void a_grant_waits_for_the_cancel_that_it_overtook(void **state)
{
	(void)state;
	hold(LOCK_NL);
	ask(LOCK_EX, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	cancel(true);
	assert_int_equal(hear(0, 0), DLM_TURN_WAIT);
	ended_with(written(DLM_CALL_CANCEL, 0), 0, LOCK_EX);
}

static void what_comes_while_a_cancel_is_on_its_way_is_written_again(void **state)
{
	(void)state;
	hold(LOCK_NL);
	ask(LOCK_EX, LOCK_CONVERT);
	assert_int_equal(written(DLM_CALL_LOCK, -EBUSY), DLM_TURN_AGAIN);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.flags, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	ended_with(hear(0, 0), 0, LOCK_EX);
	dlm_lock_unlock(&lock, 0, &call);
	assert_int_equal(written(DLM_CALL_UNLOCK, -EBUSY), DLM_TURN_AGAIN);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
}

static void one_cancel_a_wish(void **state)
{
	(void)state;
	assert_int_equal(dlm_lock_cancel(&lock, false, &call), DLM_TURN_WAIT);
	ask(LOCK_EX, 0);
	cancel(false);
	assert_int_equal(dlm_lock_cancel(&lock, true, &call), DLM_TURN_WAIT);
	written(DLM_CALL_LOCK, LKID);
	written(DLM_CALL_CANCEL, 0);
	ended_with(hear(DLM_RESULT_CANCELLED, 0), -ECANCELED, LOCK_NONE);
	dlm_lock_unlock(&lock, 0, &call);
	assert_int_equal(dlm_lock_cancel(&lock, false, &call), DLM_TURN_WAIT);
}

static void force(void)
{
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK, &call), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	assert_int_equal(call.flags, LOCK_FORCEUNLOCK);
}

static void force_ends_what_waits_once(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	written(DLM_CALL_LOCK, LKID);
	force();
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

static void a_grant_that_crosses_force_is_no_end(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	force();
	assert_int_equal(written(DLM_CALL_LOCK, LKID), DLM_TURN_WAIT);
	assert_int_equal(hear(0, 0), DLM_TURN_WAIT);
	assert_int_equal(hear(DLM_RESULT_UNLOCKED, 0), DLM_TURN_WAIT);
	ended_with(written(DLM_CALL_UNLOCK, 0), 0, LOCK_NONE);
}

static void force_finds_the_request_refused_before(void **state)
{
	(void)state;
	ask(LOCK_EX, LOCK_NOQUEUE);
	written(DLM_CALL_LOCK, LKID);
	force();
	assert_int_equal(hear(-EAGAIN, 0), DLM_TURN_WAIT);
	ended_with(written(DLM_CALL_UNLOCK, -ENOENT), 0, LOCK_NONE);
}

/* The request was at its master when it was written; the kernel tells no more. */
static void force_that_crosses_a_refusal_is_over(void **state)
{
	(void)state;
	ask(LOCK_EX, LOCK_NOQUEUE);
	written(DLM_CALL_LOCK, LKID);
	force();
	assert_int_equal(written(DLM_CALL_UNLOCK, 0), DLM_TURN_WAIT);
	ended_with(hear(-EAGAIN, 0), 0, LOCK_NONE);
}

/* The master has dropped it by then, and an unlock of nothing has no result. */
static void force_behind_a_cancel_waits_for_its_result(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	written(DLM_CALL_LOCK, LKID);
	cancel(false);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK, &call), DLM_TURN_WAIT);
	written(DLM_CALL_CANCEL, 0);
	ended_with(hear(DLM_RESULT_CANCELLED, 0), 0, LOCK_NONE);
}

static void force_behind_a_cancel_that_lost_unlocks(void **state)
{
	(void)state;
	hold(LOCK_PR);
	ask(LOCK_EX, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	cancel(false);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK, &call), DLM_TURN_WAIT);
	written(DLM_CALL_CANCEL, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

static void force_of_an_adoption_unlocks_what_was_adopted(void **state)
{
	(void)state;
	ask(LOCK_PW, LOCK_ORPHAN);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK, &call), DLM_TURN_WAIT);
	assert_int_equal(written(DLM_CALL_LOCK, LKID), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

static void marks_tell_the_mode_that_the_result_does_not(void **state)
{
	(void)state;
	ask(LOCK_EX, LOCK_ALTPR);
	written(DLM_CALL_LOCK, LKID);
	ended_with(hear(0, LOCK_ALTMODE), 0, LOCK_PR);
	ask(LOCK_PW, LOCK_CONVERT | LOCK_ALTCW);
	written(DLM_CALL_LOCK, 0);
	ended_with(hear(0, LOCK_ALTMODE), 0, LOCK_CW);
	ask(LOCK_EX, LOCK_CONVERT | LOCK_CONVDEADLK);
	written(DLM_CALL_LOCK, 0);
	cancel(false);
	written(DLM_CALL_CANCEL, 0);
	ended_with(hear(DLM_RESULT_CANCELLED, LOCK_DEMOTED), -ECANCELED, LOCK_NL);
}

static void a_value_is_taken_where_the_table_returns_one(void **state)
{
	(void)state;
	ask(LOCK_NL, LOCK_VALBLK);
	written(DLM_CALL_LOCK, LKID);
	hear(0, LOCK_VALNOTVALID);
	assert_true(lock.end.has_value);
	assert_int_equal(lock.end.value[31], 0x5a);
	assert_int_equal(lock.end.marks, LOCK_VALNOTVALID);
	ask(LOCK_EX, LOCK_CONVERT); /* no VALBLK */
	written(DLM_CALL_LOCK, 0);
	hear(0, 0);
	assert_false(lock.end.has_value);
	ask(LOCK_PR, LOCK_CONVERT | LOCK_VALBLK); /* writes */
	written(DLM_CALL_LOCK, 0);
	hear(0, 0);
	assert_false(lock.end.has_value);
	ask(LOCK_NL, LOCK_CONVERT | LOCK_VALBLK); /* nothing: the kernel's scratch buffer */
	written(DLM_CALL_LOCK, 0);
	hear(0, 0);
	assert_false(lock.end.has_value);
}

static void a_demoted_lock_reads_as_from_nl(void **state)
{
	(void)state;
	hold(LOCK_PW);
	ask(LOCK_CW, LOCK_CONVERT | LOCK_VALBLK | LOCK_CONVDEADLK);
	written(DLM_CALL_LOCK, 0);
	hear(0, LOCK_DEMOTED);
	assert_true(lock.end.has_value);
	assert_int_equal(lock.end.mode, LOCK_CW);
}

/* X7: Linux 6.1 falls over an orphan that waited, when it is purged. */
static void a_request_that_waits_is_no_orphan_to_be(void **state)
{
	(void)state;
	dlm_lock_ask(&lock, LOCK_PW, LOCK_PERSISTENT | LOCK_VALBLK, &call);
	assert_int_equal(call.flags, LOCK_VALBLK);
	written(DLM_CALL_LOCK, LKID);
	assert_int_equal(hear(0, LOCK_VALNOTVALID), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.mode, LOCK_PW);
	assert_int_equal(call.flags, LOCK_CONVERT | LOCK_PERSISTENT);
	/* It is granted: there is nothing to cancel, and force waits. */
	assert_int_equal(dlm_lock_cancel(&lock, true, &call), DLM_TURN_WAIT);
	assert_int_equal(written(DLM_CALL_LOCK, -EBUSY), DLM_TURN_AGAIN);
	assert_int_equal(call.flags, LOCK_CONVERT | LOCK_PERSISTENT);
	written(DLM_CALL_LOCK, 0);
	ended_with(hear(0, 0), 0, LOCK_PW);
	assert_int_equal(lock.end.marks, LOCK_VALNOTVALID);
	assert_true(lock.end.has_value);
}

static void force_waits_for_what_is_being_made_persistent(void **state)
{
	(void)state;
	dlm_lock_ask(&lock, LOCK_PR, LOCK_PERSISTENT, &call);
	written(DLM_CALL_LOCK, LKID);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK, &call), DLM_TURN_WAIT);
	written(DLM_CALL_LOCK, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

static void unlocked(void)
{
	written(DLM_CALL_UNLOCK, 0);
	ended_with(hear(DLM_RESULT_UNLOCKED, 0), 0, LOCK_NONE);
}

/* The kernel would store what was sent along, for the conversion had VALBLK. */
static void an_unlock_stores_nothing_that_it_was_not_asked_to(void **state)
{
	(void)state;
	hold(LOCK_NL);
	ask(LOCK_EX, LOCK_CONVERT | LOCK_VALBLK);
	written(DLM_CALL_LOCK, 0);
	hear(0, 0);
	assert_int_equal(dlm_lock_unlock(&lock, 0, &call), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.mode, LOCK_EX);
	assert_int_equal(call.flags, LOCK_CONVERT);
	written(DLM_CALL_LOCK, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	assert_int_equal(call.flags, 0);
	unlocked();
}

/* Without VALBLK before it the kernel has no buffer, and drops what unlock sends. */
static void an_unlock_stores_what_it_was_asked_to(void **state)
{
	(void)state;
	hold(LOCK_PW);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_VALBLK, &call), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.mode, LOCK_PW);
	assert_int_equal(call.flags, LOCK_CONVERT | LOCK_VALBLK);
	assert_int_equal(written(DLM_CALL_LOCK, -EBUSY), DLM_TURN_AGAIN);
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	written(DLM_CALL_LOCK, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	assert_int_equal(call.flags, LOCK_VALBLK);
	unlocked();
}

static void an_unlock_that_does_as_it_is_told_is_one_call(void **state)
{
	static const struct { enum lock_mode mode; uint32_t before, flags; } plain[] = {
		{ LOCK_EX, 0, 0 }, { LOCK_EX, LOCK_VALBLK, LOCK_VALBLK },
		{ LOCK_EX, LOCK_VALBLK, LOCK_IVVALBLK }, { LOCK_PR, LOCK_VALBLK, 0 },
		{ LOCK_PR, 0, LOCK_VALBLK },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		ask(plain[i].mode, plain[i].before);
		written(DLM_CALL_LOCK, LKID);
		hear(0, 0);
		dlm_lock_unlock(&lock, plain[i].flags, &call);
		assert_int_equal(call.kind, DLM_CALL_UNLOCK);
		unlocked();
	}
}

static void force_with_a_value_comes_to_rest_first(void **state)
{
	(void)state;
	ask(LOCK_EX, 0);
	assert_int_equal(dlm_lock_unlock(&lock, LOCK_FORCEUNLOCK | LOCK_VALBLK, &call),
			 DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_CANCEL);
	written(DLM_CALL_LOCK, LKID);
	written(DLM_CALL_CANCEL, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL); /* it was granted before */
	assert_int_equal(call.kind, DLM_CALL_LOCK);
	assert_int_equal(call.flags, LOCK_CONVERT | LOCK_VALBLK);
	written(DLM_CALL_LOCK, 0);
	assert_int_equal(hear(0, 0), DLM_TURN_CALL);
	assert_int_equal(call.kind, DLM_CALL_UNLOCK);
	unlocked();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_request_ends_with_its_result, setup),
		cmocka_unit_test_setup(a_result_that_overtakes_its_write_waits_for_it, setup),
		cmocka_unit_test_setup(a_refused_write_ends_the_wish, setup),
		cmocka_unit_test_setup(a_request_that_fails_leaves_nothing, setup),
		cmocka_unit_test_setup(a_conversion_that_fails_keeps_what_is_held, setup),
		cmocka_unit_test_setup(an_adoption_ends_with_its_write, setup),
		cmocka_unit_test_setup(an_adoption_of_nothing_or_of_another_mode_is_refused,
				       setup),
		cmocka_unit_test_setup(an_unlock_ends_with_nothing_held, setup),
		cmocka_unit_test_setup(a_cancelled_request_leaves_nothing, setup),
		cmocka_unit_test_setup(a_cancelled_conversion_keeps_what_is_held, setup),
		cmocka_unit_test_setup(a_deadline_says_that_it_was_late, setup),
		cmocka_unit_test_setup(a_grant_waits_for_the_cancel_that_it_overtook, setup),
		cmocka_unit_test_setup(what_comes_while_a_cancel_is_on_its_way_is_written_again,
				       setup),
		cmocka_unit_test_setup(one_cancel_a_wish, setup),
		cmocka_unit_test_setup(force_ends_what_waits_once, setup),
		cmocka_unit_test_setup(a_grant_that_crosses_force_is_no_end, setup),
		cmocka_unit_test_setup(force_finds_the_request_refused_before, setup),
		cmocka_unit_test_setup(force_that_crosses_a_refusal_is_over, setup),
		cmocka_unit_test_setup(force_behind_a_cancel_waits_for_its_result, setup),
		cmocka_unit_test_setup(force_behind_a_cancel_that_lost_unlocks, setup),
		cmocka_unit_test_setup(force_of_an_adoption_unlocks_what_was_adopted, setup),
		cmocka_unit_test_setup(marks_tell_the_mode_that_the_result_does_not, setup),
		cmocka_unit_test_setup(a_value_is_taken_where_the_table_returns_one, setup),
		cmocka_unit_test_setup(a_request_that_waits_is_no_orphan_to_be, setup),
		cmocka_unit_test_setup(force_waits_for_what_is_being_made_persistent, setup),
		cmocka_unit_test_setup(an_unlock_stores_nothing_that_it_was_not_asked_to, setup),
		cmocka_unit_test_setup(an_unlock_stores_what_it_was_asked_to, setup),
		cmocka_unit_test_setup(an_unlock_that_does_as_it_is_told_is_one_call, setup),
		cmocka_unit_test_setup(force_with_a_value_comes_to_rest_first, setup),
		cmocka_unit_test_setup(a_demoted_lock_reads_as_from_nl, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
