/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How an array asks and is answered; what is tried again; time. */
#include "mdclusterd/array/array_private.h"

#include <assert.h>

#include "base/arith.h"

uint64_t array_now(const struct array *a)
{
	return a->ops.now(a->owner);
}

/* --- what is tried again --------------------------------------------------------------- */

bool retry_may(const struct array *a, const struct array_retry *r)
{
	return r->at_ns <= array_now(a);
}

void retry_later(struct array *a, struct array_retry *r)
{
	r->wait_ns = r->wait_ns ? min_u64(2 * r->wait_ns, ARRAY_RETRY_MAX_NS) :
				  ARRAY_RETRY_MIN_NS;
	r->at_ns = array_now(a) + r->wait_ns;
}

void retry_fine(struct array_retry *r)
{
	*r = (struct array_retry){ 0 };
}

void array_retry(struct array *a, struct array_retry *r, const struct err *why)
{
	retry_later(a, r);
	a->why = *why;
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RETRY,
		.text = why->text,
	});
}

/* --- asking ---------------------------------------------------------------------------- */

static void ask_done(void *owner, struct plane_request *req, int result)
{
	struct array_ask *ask = owner;
	struct array *a = ask->array;

	assert(ask->is_out);
	ask->is_out = false;
	a->out--;
	ask->then(a, req, result);
	array_go(a);
}

void array_ask(struct array *a, struct array_ask *ask, enum plane_op op,
	       void (*then)(struct array *a, struct plane_request *req, int result))
{
	assert(!ask->is_out);
	ask->array = a;
	ask->then = then;
	ask->is_out = true;
	ask->req.op = op;
	ask->req.done = ask_done;
	ask->req.owner = ask;
	ask->req.err = (struct err)ERR_INIT;
	a->out++;
	a->plane->ops->submit(a->plane, &ask->req);
}

static void work_done(void *owner, struct metadata_request *req, int result)
{
	struct array_work *work = owner;
	struct array *a = work->array;

	assert(work->is_out);
	work->is_out = false;
	a->out--;
	work->then(a, req, result);
	array_go(a);
}

void array_work(struct array *a, struct array_work *work, enum metadata_op op,
		void (*then)(struct array *a, struct metadata_request *req, int result))
{
	assert(!work->is_out);
	work->array = a;
	work->then = then;
	work->is_out = true;
	work->req.op = op;
	work->req.done = work_done;
	work->req.owner = work;
	work->req.err = (struct err)ERR_INIT;
	a->out++;
	a->metadata->submit(a->metadata, &work->req);
}

bool array_has_plane(const struct array *a)
{
	return a->is_plane_started && !a->is_plane_stopping;
}

bool array_is_over(const struct array *a)
{
	return a->ending || a->is_lost || a->is_broken || a->is_closed;
}

bool array_may_say(const struct array *a)
{
	return a->is_ready && !a->is_lost && !a->is_broken && !a->is_handling;
}

/* --- time ------------------------------------------------------------------------------ */

static void earliest(uint64_t now, uint64_t at_ns, uint64_t *deadline)
{
	if (at_ns > now && at_ns < *deadline)
		*deadline = at_ns;
}

void array_set_deadline(struct array *a)
{
	uint64_t now = array_now(a), before = a->deadline_ns, at = UINT64_MAX;

	if (a->state != ARRAY_DOWN && a->state != ARRAY_FAILED) {
		earliest(now, a->life_retry.at_ns, &at);
		earliest(now, a->d7_retry.at_ns, &at);
		earliest(now, a->tell.retry.at_ns, &at);
		earliest(now, a->resync.retry.at_ns, &at);
		earliest(now, a->resync.pause_until_ns, &at);
		earliest(now, a->reload.retry.at_ns, &at);
		earliest(now, a->fail.retry.at_ns, &at);
		earliest(now, a->change.retry.at_ns, &at);
		earliest(now, a->rebuild.retry.at_ns, &at);
		earliest(now, a->rebuild.refused_until_ns, &at);
		earliest(now, a->leave.until_ns, &at);
		for (size_t i = 0; i < ARRAY_MAX_NODES; i++) {
			earliest(now, a->slots[i].retry.at_ns, &at);
			earliest(now, a->slots[i].suspend_retry.at_ns, &at);
		}
	}
	a->deadline_ns = at;
	if (at < before && a->ops.armed)
		a->ops.armed(a->owner);
}

void array_advance(struct array *a, uint64_t now)
{
	if (now >= a->deadline_ns)
		array_go(a);
}

uint64_t array_deadline(const struct array *a)
{
	return a->deadline_ns;
}
