/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/printable.h"

#define QUICK_PAUSE_NS (1 * NS_PER_S)
#define LONG_PAUSE_NS  (60 * NS_PER_S)
#define RETELL_NS      (5 * NS_PER_S) /* what was proven takes its way through the ring */

enum step { DELAY, RUNNING, PAUSE };

struct question {
	uint32_t node;
	uint64_t incarnation, asked_incarnation; /* asked: when the level began (F4) */
	uint64_t proven_incarnation;             /* 0: none (F8) */
	uint32_t proven_by;                      /* number of the level */
	enum step step;
	uint64_t since_ns, next_ns; /* next: end of the step; UINT64_MAX: not by time */
	int level;                  /* index; -1: no level is for it */
	uint32_t device;            /* within the level */
	uint32_t attempts, passes;  /* of the device in this pass; whole passes that failed */
	uint32_t demanded_number;
	bool is_missing, is_stopped, is_demanded;
	uint32_t failed_device, failed_attempt; /* of the last failure, with its: */
	char why[96];
};

struct proof {
	const struct fence_plan *plan;
	struct proof_ops ops;
	void *owner;
	bool is_quorate;
	enum proof_duty duty;
	uint32_t lowest;
	struct question *questions;
	size_t count, room;
};

struct proof *proof_new(const struct fence_plan *plan, const struct proof_ops *ops,
			void *owner)
{
	struct proof *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->plan = plan;
	p->ops = *ops;
	p->owner = owner;
	return p;
}

void proof_free(struct proof *p)
{
	if (!p)
		return;
	free(p->questions);
	free(p);
}

static struct question *find(const struct proof *p, uint32_t node)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->questions[i].node == node)
			return &p->questions[i];
	return NULL;
}

/* --- where it stands ---------------------------------------------------------------------- */

static bool is_wanted(const struct proof *p, const struct question *q)
{
	if (q->is_demanded)
		return p->is_quorate;
	return q->is_missing && p->is_quorate &&
	       p->duty == (q->node == p->lowest ? PROOF_SECOND : PROOF_LOWEST) &&
	       q->incarnation > q->proven_incarnation;
}

static const struct fence_level *level_of(const struct proof *p, const struct question *q)
{
	return q->level < 0 ? NULL : &p->plan->levels[q->level];
}

static const struct fence_device *device_of(const struct proof *p, const struct question *q)
{
	return &p->plan->devices[level_of(p, q)->devices[q->device]];
}

static uint32_t attempt_of(const struct proof *p, const struct question *q)
{
	return q->passes * (device_of(p, q)->retries + 1) + q->attempts;
}

/* --- steps -------------------------------------------------------------------------------- */

static void enter_device(const struct proof *p, struct question *q, uint32_t device,
			 uint64_t from)
{
	q->device = device;
	q->attempts = 0;
	q->next_ns = q->level < 0 ? UINT64_MAX :
		     from + fence_delay_ns(device_of(p, q), q->node); /* F7 */
}

static void enter_level(const struct proof *p, struct question *q, int level, uint64_t from)
{
	q->level = level;
	enter_device(p, q, 0, from);
}

static void begin(const struct proof *p, struct question *q, uint64_t now, uint64_t delay_ns)
{
	int level = q->is_demanded && q->demanded_number
			    ? fence_level_by_number(p->plan, q->demanded_number)
			    : fence_level_from(p->plan, 0, q->node);

	q->step = DELAY;
	q->passes = 0;
	q->why[0] = '\0';
	enter_level(p, q, level, now + delay_ns);
}

static void begin_missing(const struct proof *p, struct question *q, uint64_t now)
{
	q->since_ns = now;
	begin(p, q, now, p->plan->delay_ms * NS_PER_MS);
}

static void stop(const struct proof *p, struct question *q)
{
	if (q->step != RUNNING || q->is_stopped)
		return;
	q->is_stopped = true;
	p->ops.stop(p->owner, q->node);
}

static void run(const struct proof *p, struct question *q, uint64_t now)
{
	const struct fence_level *l = level_of(p, q);
	const struct fence_device *d = device_of(p, q);
	bool is_beginning = q->device == 0 && q->attempts == 0;

	q->step = RUNNING;
	q->next_ns = d->timeout_ms ? now + d->timeout_ms * NS_PER_MS : UINT64_MAX;
	q->is_stopped = false;
	q->attempts++;
	if (is_beginning) {
		q->asked_incarnation = q->incarnation;
		p->ops.level(p->owner, q->node, l->number);
	}
	p->ops.run(p->owner, q->node, q->asked_incarnation, l->number, l->devices[q->device],
		   attempt_of(p, q));
}

static void step(const struct proof *p, struct question *q, uint64_t now)
{
	if (q->step == RUNNING && (now >= q->next_ns || !is_wanted(p, q)))
		stop(p, q);
	else if (q->step != RUNNING && q->level >= 0 && now >= q->next_ns && is_wanted(p, q))
		run(p, q, now);
}

void proof_advance(struct proof *p, uint64_t now)
{
	for (size_t i = 0; i < p->count; i++)
		step(p, &p->questions[i], now);
}

uint64_t proof_deadline(const struct proof *p)
{
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < p->count; i++) {
		const struct question *q = &p->questions[i];

		if (is_wanted(p, q) && q->level >= 0 && !(q->is_stopped && q->step == RUNNING))
			at = min_u64(at, q->next_ns);
	}
	return at;
}

bool proof_is_asking(const struct proof *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->questions[i].is_missing || p->questions[i].is_demanded)
			return true;
	return false;
}

static void end_pass(const struct proof *p, struct question *q, uint32_t number, const char *why)
{
	q->is_demanded = false;
	p->ops.over(p->owner, q->node, number, why);
}

/* --- events ------------------------------------------------------------------------------- */

static bool is_settled(const struct question *q)
{
	return !q->is_missing && !q->is_demanded && q->proven_incarnation == 0;
}

/* Who is back, or proven, is forgotten; an attempt at it is ended first (F3). */
static void forget_settled(struct proof *p, uint64_t now)
{
	for (size_t i = p->count; i > 0; i--) {
		struct question *q = &p->questions[i - 1];

		if (q->is_missing || q->is_demanded)
			continue;
		step(p, q, now);
		if (q->step != RUNNING && is_settled(q))
			*q = p->questions[--p->count];
	}
}

/* NULL: no memory. */
static struct question *add(struct proof *p, uint32_t node, uint64_t incarnation)
{
	struct question *q;

	if (p->count == p->room) {
		q = reallocarray(p->questions, p->room * 2 + 8, sizeof(*q));
		if (!q)
			return NULL;
		p->questions = q;
		p->room = p->room * 2 + 8;
	}
	q = &p->questions[p->count++];
	*q = (struct question){ .node = node, .incarnation = incarnation, .level = -1,
				.next_ns = UINT64_MAX };
	return q;
}

/* F8 */
static void tell_proven(const struct proof *p, struct question *q, uint64_t now)
{
	if (now < q->next_ns)
		return;
	q->next_ns = now + RETELL_NS;
	p->ops.dead(p->owner, q->node, q->proven_incarnation, q->proven_by);
}

static int note(struct proof *p, uint64_t now, const struct proof_missing *m)
{
	struct question *q = find(p, m->node);
	bool is_new = !q || !q->is_missing;

	if (!q)
		q = add(p, m->node, m->incarnation);
	if (!q)
		return -ENOMEM;
	q->is_missing = true;
	if (m->incarnation <= q->proven_incarnation) {
		tell_proven(p, q, now);
		return 0;
	}
	if (q->step != RUNNING && !q->is_demanded && (is_new || m->incarnation > q->incarnation)) {
		q->incarnation = m->incarnation;
		begin_missing(p, q, now);
	} else if (is_new) {
		q->since_ns = now;
	}
	q->incarnation = m->incarnation;
	return 0;
}

static bool is_among(uint32_t node, const struct proof_missing *missing, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (missing[i].node == node)
			return true;
	return false;
}

int proof_set_missing(struct proof *p, uint64_t now, const struct proof_missing *missing,
		      size_t count)
{
	int r = 0;

	for (size_t i = 0; i < p->count; i++)
		if (!is_among(p->questions[i].node, missing, count))
			p->questions[i].is_missing = false;
	for (size_t i = 0; i < count && r == 0; i++)
		r = note(p, now, &missing[i]);
	forget_settled(p, now);
	proof_advance(p, now);
	return r;
}

void proof_is_back(struct proof *p, uint32_t node, uint64_t incarnation)
{
	struct question *q = find(p, node);

	if (q && incarnation <= q->proven_incarnation)
		q->proven_incarnation = 0;
}

void proof_set_duty(struct proof *p, uint64_t now, bool is_quorate, enum proof_duty duty,
		    uint32_t lowest)
{
	p->is_quorate = is_quorate;
	p->duty = duty;
	p->lowest = lowest;
	for (size_t i = 0; i < p->count; i++)
		if (!is_quorate && p->questions[i].is_demanded)
			end_pass(p, &p->questions[i], 0, "there is no quorum any more");
	proof_advance(p, now);
	forget_settled(p, now);
}

void proof_set_plan(struct proof *p, uint64_t now, const struct fence_plan *plan)
{
	p->plan = plan;
	for (size_t i = 0; i < p->count; i++)
		begin(p, &p->questions[i], now, 0); /* F7 */
	proof_advance(p, now);
}

int proof_demand(struct proof *p, uint64_t now, uint32_t node, uint64_t incarnation,
		 uint32_t number)
{
	struct question *q = find(p, node);
	int level = number ? fence_level_by_number(p->plan, number)
			   : fence_level_from(p->plan, 0, node);

	if (level < 0 || !fence_level_is_for(p->plan, &p->plan->levels[level], node))
		return -ENOENT;
	if (!p->is_quorate)
		return -EAGAIN;
	if (q && (q->is_demanded || q->step == RUNNING))
		return -EALREADY;
	if (!q)
		q = add(p, node, incarnation);
	if (!q)
		return -ENOMEM;
	if (!q->is_missing) {
		q->incarnation = incarnation;
		q->since_ns = now;
	}
	q->is_demanded = true;
	q->demanded_number = number;
	begin(p, q, now, 0);
	proof_advance(p, now);
	return 0;
}

/* --- answers -------------------------------------------------------------------------------- */

static void has_proven(struct proof *p, struct question *q, uint64_t now)
{
	uint32_t number = level_of(p, q)->number;

	q->proven_incarnation = q->asked_incarnation;
	q->proven_by = number;
	q->next_ns = now;
	if (q->is_missing)
		tell_proven(p, q, now);
	end_pass(p, q, number, "");
	if (q->incarnation > q->proven_incarnation)
		begin_missing(p, q, now); /* it was of another process */
}

/* F6 */
static void has_failed(struct proof *p, struct question *q, uint64_t now)
{
	bool is_single = q->is_demanded && q->demanded_number;
	int next = is_single ? -1 : fence_level_from(p->plan, (size_t)q->level + 1, q->node);

	if (q->attempts <= device_of(p, q)->retries) {
		q->next_ns = now + QUICK_PAUSE_NS;
		return;
	}
	if (next >= 0) {
		enter_level(p, q, next, now);
		return;
	}
	q->passes++;
	enter_level(p, q, fence_level_from(p->plan, 0, q->node), now + LONG_PAUSE_NS);
	end_pass(p, q, 0, q->why);
}

void proof_answered(struct proof *p, uint64_t now, uint32_t node, bool is_dead,
		    const char *why)
{
	struct question *q = find(p, node);
	bool was_of_another;

	if (!q || q->step != RUNNING)
		return;
	was_of_another = q->is_missing && q->incarnation != q->asked_incarnation;
	q->step = PAUSE;
	if (is_dead && !is_wanted(p, q) && !q->is_missing) {
		/* it is back: what was done to it is no news */
	} else if (is_dead && !p->is_quorate) {
		begin(p, q, now, 0); /* F2: our word does not count; whose does begins anew */
	} else if (is_dead && q->device + 1 < level_of(p, q)->device_count) {
		enter_device(p, q, q->device + 1, now);
		q->step = PAUSE;
	} else if (is_dead) {
		has_proven(p, q, now);
	} else if (was_of_another) {
		begin_missing(p, q, now);
	} else {
		text_printable(why, strlen(why), q->why, sizeof(q->why));
		q->failed_device = level_of(p, q)->devices[q->device];
		q->failed_attempt = attempt_of(p, q);
		has_failed(p, q, now);
	}
	forget_settled(p, now);
	proof_advance(p, now);
}

/* --- looking -------------------------------------------------------------------------------- */

char *proof_waits(const struct proof *p, uint64_t now, uint32_t node, const char *name,
		  char to[PROOF_TEXT_BYTES])
{
	const struct question *q = find(p, node);
	char how[PROOF_TEXT_BYTES] = "", words[FENCE_WORDS_BYTES];

	to[0] = '\0';
	if (!q || !(q->is_missing || q->is_demanded) ||
	    (!q->is_demanded && q->incarnation <= q->proven_incarnation))
		return to;
	if (q->level < 0)
		snprintf(how, sizeof(how), "; `mdcluster confirm-dead %s` once you are certain that it is off",
			 name);
	else if (!is_wanted(p, q))
		snprintf(how, sizeof(how), ": fencing is the affair of the lowest node of a quorum");
	else if (q->step == RUNNING)
		snprintf(how, sizeof(how), ": %s, attempt %" PRIu32,
			 fence_device_words(device_of(p, q), words), attempt_of(p, q));
	else if (q->why[0])
		snprintf(how, sizeof(how), ": %s, attempt %" PRIu32 " failed: %s",
			 fence_device_words(&p->plan->devices[q->failed_device], words),
			 q->failed_attempt, q->why);
	snprintf(to, PROOF_TEXT_BYTES, "proof of death, %" PRIu64 " s%.220s",
		 (uint64_t)((now - q->since_ns) / NS_PER_S), how);
	return to;
}
