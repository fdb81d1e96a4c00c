/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fencing by waiting: a node that has said that a watchdog guards it is reset by then (guard.h,
 * T2, T3). There is no way to hurry it, and none to switch a node off that is there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "mdclusterd/fence/method.h"

struct watchdog_job {
	struct fence_job job;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_job answer;
	struct fence_guard guard;
	uint32_t node;
	uint64_t incarnation;
	bool is_fine;
	char why[96];
	fence_done_fn done;
	void *owner;
};

static void say(void *owner)
{
	struct watchdog_job *j = owner;

	j->done(j->owner, &j->job, j->is_fine, j->why);
}

static void answer(struct watchdog_job *j, bool is_fine)
{
	j->is_fine = is_fine;
	loop_soon(j->loop, &j->answer);
}

static uint64_t proven_at(const struct watchdog_job *j)
{
	return j->guard.since_ns + j->guard.expiry_ns;
}

static void wait_on(void *owner);

static int arm(struct watchdog_job *j, struct err *err)
{
	uint64_t now = clock_boot_ns(), at = proven_at(j);
	uint64_t left_ms = at > now ? div_round_up(at - now, NS_PER_MS) : 0;

	j->timer = loop_timer_start(j->loop, (uint32_t)min_u64(left_ms + 1, 60000), wait_on, j, err);
	return j->timer ? 0 : err->code;
}

static void wait_on(void *owner)
{
	struct watchdog_job *j = owner;
	struct err err = ERR_INIT;

	j->timer = NULL;
	if (j->guard.look)
		j->guard.look(j->guard.owner, j->node, j->incarnation, &j->guard);
	if (!j->guard.is_missing || j->guard.expiry_ns == 0) {
		snprintf(j->why, sizeof(j->why), "it was back meanwhile");
		answer(j, false);
	} else if (clock_boot_ns() >= proven_at(j)) {
		answer(j, true);
	} else if (arm(j, &err) < 0) {
		snprintf(j->why, sizeof(j->why), "%.90s", err.text);
		answer(j, false);
	}
}

static int start(struct watchdog_job *j, const struct fence_request *req, struct err *err)
{
	const struct fence_guard *g = req->guard;

	if (!g || req->action == FENCE_REVIVE)
		return err_set(err, -EOPNOTSUPP, "a watchdog switches nothing on");
	if (g->expiry_ns == 0)
		return err_set(err, -ENODEV, "it has not said that a watchdog guards it");
	if (req->action == FENCE_TEST) {
		snprintf(j->why, sizeof(j->why), "its watchdog resets it within %" PRIu64 " s",
			 div_round_up(g->expiry_ns, NS_PER_S));
		answer(j, true);
		return 0;
	}
	if (!g->is_missing)
		return err_set(err, -EBUSY, "it is there: a watchdog resets only who has no lease");
	j->guard = *g;
	j->node = req->node;
	j->incarnation = req->incarnation;
	return arm(j, err);
}

static struct fence_job *watchdog_start(struct loop *loop, const struct fence_request *req,
					fence_done_fn done, void *owner, struct err *err)
{
	struct watchdog_job *j = calloc(1, sizeof(*j));

	if (!j) {
		err_nomem(err, "a watchdog");
		return NULL;
	}
	*j = (struct watchdog_job){ .job.method = &fence_method_watchdog, .loop = loop,
				    .done = done, .owner = owner };
	j->answer = (struct loop_job){ .fn = say, .owner = j };
	if (start(j, req, err) == 0)
		return &j->job;
	free(j);
	return NULL;
}

static void watchdog_stop(struct fence_job *job)
{
	struct watchdog_job *j = (struct watchdog_job *)job;

	loop_timer_cancel(j->timer);
	j->timer = NULL;
	if (!j->answer.is_queued)
		snprintf(j->why, sizeof(j->why), "it was not waited for any more");
	answer(j, j->answer.is_queued && j->is_fine);
}

static void watchdog_free(struct fence_job *job)
{
	struct watchdog_job *j = (struct watchdog_job *)job;

	if (!j)
		return;
	loop_timer_cancel(j->timer);
	loop_soon_cancel(&j->answer);
	free(j);
}

const struct fence_method fence_method_watchdog = { watchdog_start, watchdog_stop, watchdog_free };
