/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/proof.h"

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

enum step { DELAY, RUNNING, PAUSE };

struct question {
	uint32_t node;
	uint64_t incarnation, asked_incarnation; /* asked: when the attempt began (F4) */
	enum step step;
	uint64_t since_ns, next_ns; /* next: end of the step */
	uint32_t attempts;
	bool is_missing, is_stopped;
	char why[96]; /* of the last failure */
};

struct proof {
	struct proof_config config;
	struct proof_ops ops;
	void *owner;
	bool is_ours;
	struct question *questions;
	size_t count, room;
};

struct proof *proof_new(const struct proof_config *config, const struct proof_ops *ops,
			void *owner)
{
	struct proof *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = *config;
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

void proof_set_config(struct proof *p, const struct proof_config *config)
{
	p->config = *config;
}

static struct question *find(const struct proof *p, uint32_t node)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->questions[i].node == node)
			return &p->questions[i];
	return NULL;
}

/* --- steps ------------------------------------------------------------------------------- */

static void begin_delay(const struct proof *p, struct question *q, uint64_t now)
{
	q->step = DELAY;
	q->since_ns = now;
	q->next_ns = now + p->config.delay_ns;
	q->attempts = 0;
	q->why[0] = '\0';
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
	q->step = RUNNING;
	q->next_ns = now + p->config.timeout_ns;
	q->asked_incarnation = q->incarnation;
	q->is_stopped = false;
	q->attempts++;
	p->ops.run(p->owner, q->node, q->incarnation, q->attempts);
}

static void step(const struct proof *p, struct question *q, uint64_t now)
{
	if (q->step == RUNNING && (now >= q->next_ns || !q->is_missing || !p->is_ours))
		stop(p, q);
	else if (q->step != RUNNING && now >= q->next_ns && q->is_missing && p->is_ours &&
		 p->config.has_command)
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

	if (!p->is_ours || !p->config.has_command)
		return at;
	for (size_t i = 0; i < p->count; i++)
		if (!p->questions[i].is_stopped || p->questions[i].step != RUNNING)
			at = min_u64(at, p->questions[i].next_ns);
	return at;
}

bool proof_is_asking(const struct proof *p)
{
	return p->count > 0;
}

/* --- events ------------------------------------------------------------------------------- */

/* Who is back, or proven, is forgotten; a command of it is ended first (F3). */
static void forget_settled(struct proof *p, uint64_t now)
{
	for (size_t i = p->count; i > 0; i--) {
		struct question *q = &p->questions[i - 1];

		if (q->is_missing)
			continue;
		step(p, q, now);
		if (q->step != RUNNING)
			*q = p->questions[--p->count];
	}
}

static int note(struct proof *p, uint64_t now, const struct proof_missing *m)
{
	struct question *q = find(p, m->node);

	if (q) {
		if (q->step != RUNNING && m->incarnation > q->incarnation)
			begin_delay(p, q, now);
		q->is_missing = true;
		q->incarnation = m->incarnation;
		return 0;
	}
	if (p->count == p->room) {
		q = reallocarray(p->questions, p->room * 2 + 8, sizeof(*q));
		if (!q)
			return -ENOMEM;
		p->questions = q;
		p->room = p->room * 2 + 8;
	}
	q = &p->questions[p->count++];
	*q = (struct question){ .node = m->node, .incarnation = m->incarnation,
				.is_missing = true };
	begin_delay(p, q, now);
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

void proof_set_duty(struct proof *p, uint64_t now, bool is_ours)
{
	p->is_ours = is_ours;
	proof_advance(p, now);
}

void proof_answered(struct proof *p, uint64_t now, uint32_t node, bool is_dead,
		    const char *why)
{
	struct question *q = find(p, node);
	bool is_quick;

	if (!q || q->step != RUNNING)
		return;
	is_quick = q->attempts % (p->config.retries + 1) != 0;
	q->step = PAUSE;
	q->next_ns = now + (is_quick ? QUICK_PAUSE_NS : LONG_PAUSE_NS);
	if (q->incarnation != q->asked_incarnation)
		begin_delay(p, q, now); /* it was of another process */
	else if (!is_dead)
		text_printable(why, strlen(why), q->why, sizeof(q->why));
	if (is_dead && p->is_ours)
		p->ops.dead(p->owner, node, q->asked_incarnation);
	forget_settled(p, now);
}

/* --- looking -------------------------------------------------------------------------------- */

char *proof_waits(const struct proof *p, uint64_t now, uint32_t node, const char *name,
		  char to[PROOF_TEXT_BYTES])
{
	const struct question *q = find(p, node);
	char how[PROOF_TEXT_BYTES] = "";

	to[0] = '\0';
	if (!q || !q->is_missing)
		return to;
	if (!p->config.has_command)
		snprintf(how, sizeof(how), "; `mdcluster confirm-dead %s` once you are certain that it is off",
			 name);
	else if (!p->is_ours)
		snprintf(how, sizeof(how), ": the fence command is the affair of the lowest node of a quorum");
	else if (q->step == RUNNING)
		snprintf(how, sizeof(how), ": fence command, attempt %" PRIu32, q->attempts);
	else if (q->step == PAUSE)
		snprintf(how, sizeof(how), ": fence command, attempt %" PRIu32 " failed: %s",
			 q->attempts, q->why);
	snprintf(to, PROOF_TEXT_BYTES, "proof of death, %" PRIu64 " s%.200s",
		 (uint64_t)((now - q->since_ns) / NS_PER_S), how);
	return to;
}
