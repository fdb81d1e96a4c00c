/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/fencers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "lockres/lock_manager.h"
#include "mdclusterd/fence/guard.h"
#include "mdclusterd/fence/proof.h"
#include "tests/sim/quorum_node.h"
#include "tests/sim/world.h"
#include "totem/ring.h"
#include "totem/totem.h"

enum {
	LOOK_AGAIN_MS = 200,
	DRAIN_MS = 100,
	DOG_MS = 300, /* its timeout */
	PET_MS = 40,
	MAX_DEVICES = 4,
};

enum method { SWITCH, BROKEN, UNSURE, SILENT, WATCHDOG, METHODS };
static const char *const method_names[] = { "switch", "broken", "unsure", "silent", "watchdog" };

/* One of a device at a node; those that nobody waits for any more go on. */
struct attempt {
	struct fencers *all;
	int by, victim;
	uint64_t by_incarnation, incarnation; /* the latter: of whom it is asked */
	enum method method;
	bool is_stopped, is_over, is_dead;
	struct attempt *next;
};

struct fencer {
	struct fencers *all;
	struct sim_node *node; /* NULL: its process is not there */
	struct proof *proof;
	bool is_looking;       /* a look is to come */
	uint64_t armed_at;     /* deadline that is set, on its clock */
	struct node_set members;
	uint64_t configured_at;        /* on its clock */
	uint64_t met[SIM_MAX_NODES];   /* incarnations that were on a ring of ours */
	struct guard guard;
	uint64_t lease;                /* the last that it had */
	uint64_t pets;
	struct attempt *running[SIM_MAX_NODES];
};

struct fencers {
	struct sim_world *world;
	struct fencers_ops ops;
	void *owner;
	uint64_t expiry_ns;
	bool has_watchdogs;
	struct fence_plan plan;
	struct fence_device devices[MAX_DEVICES];
	enum method methods[MAX_DEVICES];
	struct fencer fencers[SIM_MAX_NODES];
	unsigned int acting;      /* switches that are to come yet */
	struct attempt *attempts; /* all that ever were: what was called may call back */
	struct bite { struct fencers *all; int node; uint64_t incarnation, pets; struct bite *next; }
		*bites;
};

static bool is_there(const struct fencers *all, int node, uint64_t incarnation)
{
	const struct sim_node *n = &all->world->nodes[node];

	return all->fencers[node].node && n->incarnation == incarnation;
}

/* --- the plan ------------------------------------------------------------------------------ */

static void add_device(struct fencers *all, enum method method)
{
	size_t i = all->plan.device_count++;
	struct fence_device *d = &all->devices[i];

	all->methods[i] = method;
	d->type = method == WATCHDOG ? FENCE_WATCHDOG : FENCE_COMMAND;
	snprintf(d->name, sizeof(d->name), "%s", method_names[method]);
	if (method == WATCHDOG)
		return;
	d->timeout_ms = 200 + (uint32_t)sim_below(all->world, 3000);
	d->retries = (uint32_t)sim_below(all->world, 3);
	d->delay_ms = (uint32_t)sim_below(all->world, 3) * 100;
}

/* Up to three levels, of a device or two; or none at all. */
static void make_plan(struct fencers *all)
{
	struct fence_plan *p = &all->plan;
	struct sim_world *w = all->world;

	p->devices = all->devices;
	p->delay_ms = (uint32_t)sim_below(w, 500);
	p->level_count = sim_below(w, 4);
	for (size_t i = 0; i < p->level_count; i++) {
		struct fence_level *l = &p->levels[i];

		l->number = (uint32_t)i + 1;
		for (uint64_t k = sim_below(w, 3) ? 1 : 2; k > 0; k--) {
			if (p->device_count == MAX_DEVICES)
				break;
			l->devices[l->device_count++] = (uint32_t)p->device_count;
			add_device(all, sim_below(w, 2) ? SWITCH :
					(enum method)sim_below(w, all->has_watchdogs ? METHODS :
										       WATCHDOG));
		}
		if (l->device_count == 0)
			p->level_count = i;
		for (uint32_t k = 0; k < l->device_count; k++)
			sim_say(w, -1, "level %zu of fencing: %s", i + 1,
				all->devices[l->devices[k]].name);
	}
}

/* --- attempts -------------------------------------------------------------------------------- */

static void arm(struct fencer *f);

/* F2 */
static void take_duty(struct fencer *f)
{
	struct node_set members = totem_order(f->node->totem).members;
	int lowest = set_next(members, 0), self = f->node->index;
	enum proof_duty duty = PROOF_ANY;

	if (lowest == self)
		duty = PROOF_LOWEST;
	else if (lowest >= 0 && set_next(members, lowest + 1) == self)
		duty = PROOF_SECOND;
	proof_set_duty(f->proof, sim_clock(f->node), quorum_node_is_quorate(f->node), duty,
		       (uint32_t)lowest + 1);
}

/* In the time of who asked. */
static void answer(void *owner)
{
	struct attempt *a = owner;
	struct fencer *f = &a->all->fencers[a->by];

	if (a->is_over || f->running[a->victim] != a)
		return;
	a->is_over = true;
	f->running[a->victim] = NULL;
	sim_say(a->all->world, a->by, "the %s %s n%d", method_names[a->method],
		a->is_dead ? "has ended" : "has not ended", a->victim + 1);
	take_duty(f);
	proof_answered(f->proof, sim_clock(f->node), (uint32_t)a->victim + 1, a->is_dead,
		       a->is_dead ? "" : "it did not answer");
	arm(f);
}

static void answer_in(struct attempt *a, uint64_t ns)
{
	if (is_there(a->all, a->by, a->by_incarnation))
		sim_call(a->all->world, a->by, ns, answer, a);
}

static void wait_for_drained(void *owner)
{
	struct attempt *a = owner;

	if (!a->all->ops.is_drained(a->all->owner, a->victim)) {
		sim_call(a->all->world, -1, SIM_MS, wait_for_drained, a);
		return;
	}
	a->is_dead = a->method == SWITCH && !a->is_stopped;
	answer_in(a, SIM_MS);
}

static void act(void *owner)
{
	struct attempt *a = owner;
	struct sim_world *w = a->all->world;

	a->all->acting--;
	if (a->is_stopped && sim_below(w, 2))
		return; /* it was killed before it came to that */
	sim_say(w, a->victim, "is switched off");
	sim_crash(w, a->victim);
	wait_for_drained(a);
}

static void act_later(struct attempt *a)
{
	a->all->acting++;
	sim_call(a->all->world, -1, sim_below(a->all->world, 1500) * SIM_MS, act, a);
}

/* As fence/method_watchdog.c. */
static void wait_for_dog(void *owner)
{
	struct attempt *a = owner;
	struct fencer *f = &a->all->fencers[a->by];
	uint64_t now = sim_clock(f->node);

	if (a->is_stopped)
		return;
	if (!set_has(&f->members, a->victim)) {
		uint64_t at = f->configured_at + a->all->expiry_ns;

		if (now < at) {
			sim_call(a->all->world, a->by, at - now, wait_for_dog, a);
			return;
		}
		a->is_dead = true;
	}
	answer(a);
}

static void begin_dog(struct attempt *a, const struct fencer *f)
{
	if (f->met[a->victim] != a->incarnation || set_has(&f->members, a->victim))
		answer_in(a, 0);
	else
		sim_call(a->all->world, a->by, 0, wait_for_dog, a);
}

static void op_run(void *owner, uint32_t node, uint64_t incarnation, uint32_t number,
		   uint32_t device, uint32_t attempt)
{
	struct fencer *f = owner;
	struct fencers *all = f->all;
	struct sim_world *w = all->world;
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	*a = (struct attempt){ .all = all, .by = f->node->index, .victim = (int)node - 1,
			       .by_incarnation = f->node->incarnation,
			       .incarnation = incarnation, .method = all->methods[device],
			       .next = all->attempts };
	all->attempts = a;
	sim_say(w, a->by, "level %" PRIu32 ": the %s at n%" PRIu32 ", incarnation %" PRIu64
			  ", attempt %" PRIu32, number, method_names[a->method], node,
		incarnation, attempt);
	if (f->running[a->victim])
		sim_fail(w, "F3: n%d makes two attempts at n%" PRIu32, a->by + 1, node);
	if (node == (uint32_t)a->by + 1)
		sim_fail(w, "n%" PRIu32 " fences itself", node);
	if (!quorum_node_is_quorate(f->node))
		sim_fail(w, "F2: n%d fences n%" PRIu32 " without a quorum", a->by + 1, node);
	f->running[a->victim] = a;
	if (a->method == WATCHDOG)
		begin_dog(a, f);
	else if (a->method == BROKEN || (a->method == UNSURE && sim_below(w, 2)))
		answer_in(a, sim_below(w, 300) * SIM_MS);
	else if (a->method != SILENT || sim_below(w, 2))
		act_later(a);
}

static void op_stop(void *owner, uint32_t node)
{
	struct fencer *f = owner;
	struct attempt *a = f->running[node - 1];

	if (!a || a->is_stopped)
		return;
	a->is_stopped = true;
	a->is_dead = false;
	answer_in(a, sim_below(f->all->world, 20) * SIM_MS);
}

static void op_dead(void *owner, uint32_t node, uint64_t incarnation, uint32_t number)
{
	struct fencer *f = owner;
	const struct fencer *of = &f->all->fencers[node - 1];

	/* T2, F8 */
	if (is_there(f->all, (int)node - 1, incarnation) &&
	    sim_clock(of->node) < of->lease + (DRAIN_MS + DOG_MS) * (uint64_t)SIM_MS)
		sim_fail(f->all->world, "D14: n%d says that n%" PRIu32 " is dead, which lives, and had "
			 "a lease %" PRIu64 " ms ago", f->node->index + 1, node,
			 (sim_clock(of->node) - of->lease) / SIM_MS);
	sim_say(f->all->world, f->node->index, "n%" PRIu32 ", incarnation %" PRIu64
		", is dead, by level %" PRIu32, node, incarnation, number);
	f->all->ops.proven(f->all->owner, f->node->index, (int)node - 1, incarnation);
}

static void op_level(void *owner, uint32_t node, uint32_t number)
{
	(void)owner;
	(void)node;
	(void)number;
}

static void op_over(void *owner, uint32_t node, uint32_t number, const char *why)
{
	(void)owner;
	(void)node;
	(void)number;
	(void)why;
}

/* --- who is missing: as the daemon's engine_proof.c --------------------------------------------- */

static size_t note(struct proof_missing *all, size_t count, uint32_t node, uint64_t incarnation)
{
	size_t i;

	for (i = 0; i < count && all[i].node != node; i++)
		;
	if (i == count)
		all[count++] = (struct proof_missing){ node, 0 };
	all[i].incarnation = max_u64(all[i].incarnation, incarnation);
	return count;
}

static void look(struct fencer *f)
{
	struct proof_missing missing[TOTEM_MAX_NODES];
	const struct lock_manager *locks = f->node->locks;
	struct node_set members = totem_order(f->node->totem).members;
	bool speaks = f->all->ops.speaks(f->all->owner);
	struct lock_manager_absent absent;
	static struct lockspace_look space; /* large */
	uint64_t now = sim_clock(f->node);
	size_t count = 0;

	for (size_t i = 0; lock_manager_look(locks, i, &space); i++)
		for (size_t k = 0; k < space.member_count; k++) {
			const struct lockspace_member_look *m = &space.members[k];

			if (m->is_missing && !m->is_proven &&
			    !(speaks && set_has(&members, (int)m->node - 1)))
				count = note(missing, count, m->node, m->incarnation);
		}
	for (size_t i = 0; lock_manager_absent(locks, i, &absent); i++)
		count = note(missing, count, absent.node, absent.incarnation);
	take_duty(f);
	if (proof_set_missing(f->proof, now, missing, count) < 0)
		abort();
	arm(f);
}

static void look_again(void *owner)
{
	struct fencer *f = owner;

	f->is_looking = false;
	look(f);
}

static void time_has_come(void *owner)
{
	struct fencer *f = owner;

	f->armed_at = UINT64_MAX;
	look(f);
}

static void arm(struct fencer *f)
{
	uint64_t at = proof_deadline(f->proof), now = sim_clock(f->node);
	struct sim_world *w = f->all->world;
	int self = f->node->index;

	if (at < f->armed_at) {
		f->armed_at = at;
		sim_call(w, self, max_u64(at, now + SIM_MS) - now, time_has_come, f);
	}
	if (f->is_looking || (!proof_is_asking(f->proof) &&
			      set_count(totem_order(f->node->totem).members) == w->count))
		return;
	f->is_looking = true;
	sim_call(w, self, LOOK_AGAIN_MS * (uint64_t)SIM_MS, look_again, f);
}

/* --- watchdogs ------------------------------------------------------------------------------------ */

static void bite(void *owner)
{
	const struct bite *b = owner;

	if (!is_there(b->all, b->node, b->incarnation) ||
	    b->all->fencers[b->node].pets != b->pets)
		return;
	sim_say(b->all->world, b->node, "is reset by its watchdog");
	sim_crash(b->all->world, b->node);
}

static void pet(struct fencer *f)
{
	struct bite *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	*b = (struct bite){ f->all, f->node->index, f->node->incarnation, ++f->pets,
			    f->all->bites };
	f->all->bites = b;
	sim_call(f->all->world, -1, DOG_MS * (uint64_t)SIM_MS, bite, b);
}

static void feed(void *owner)
{
	struct fencer *f = owner;
	uint64_t now = sim_clock(f->node), lease;
	bool is_idle;

	lease = f->all->ops.lease(f->all->owner, f->node->index, &is_idle);
	f->lease = max_u64(f->lease, lease);
	if (now < guard_until(&f->guard, now, lease, is_idle))
		pet(f);
	sim_call(f->all->world, f->node->index, PET_MS * (uint64_t)SIM_MS, feed, f);
}

/* --- life ------------------------------------------------------------------------------------------- */

struct fencers *fencers_new(struct sim_world *w, bool has_watchdogs, uint64_t lease_ns,
			    const struct fencers_ops *ops, void *owner)
{
	struct fencers *all = calloc(1, sizeof(*all));

	if (!all)
		abort();
	all->world = w;
	all->ops = *ops;
	all->owner = owner;
	all->has_watchdogs = has_watchdogs;
	all->expiry_ns = guard_expiry_ns(lease_ns, DRAIN_MS * (uint64_t)SIM_MS,
					 DOG_MS * (uint64_t)SIM_MS);
	make_plan(all);
	return all;
}

void fencers_free(struct fencers *all)
{
	struct attempt *a;
	struct bite *b;

	if (!all)
		return;
	while ((a = all->attempts)) {
		all->attempts = a->next;
		free(a);
	}
	while ((b = all->bites)) {
		all->bites = b->next;
		free(b);
	}
	free(all);
}

void fencers_started(struct fencers *all, struct sim_node *n)
{
	static const struct proof_ops ops = { .level = op_level, .run = op_run, .stop = op_stop,
					      .dead = op_dead, .over = op_over };
	struct fencer *f = &all->fencers[n->index];

	*f = (struct fencer){ .all = all, .node = n, .armed_at = UINT64_MAX,
			      .guard.drain_ns = DRAIN_MS * (uint64_t)SIM_MS };
	f->proof = proof_new(&all->plan, &ops, f);
	if (!f->proof)
		abort();
	if (all->has_watchdogs)
		sim_call(all->world, n->index, 0, feed, f);
}

void fencers_ended(struct fencers *all, struct sim_node *n)
{
	struct fencer *f = &all->fencers[n->index];

	proof_free(f->proof);
	f->proof = NULL;
	f->node = NULL;
}

void fencers_configured(struct fencers *all, struct sim_node *n,
			const struct ring_configuration *c)
{
	struct fencer *f = &all->fencers[n->index];

	if (c->is_transitional)
		return;
	f->configured_at = sim_clock(n);
	for (int i = set_next(c->joined, 0); i >= 0; i = set_next(c->joined, i + 1))
		proof_is_back(f->proof, (uint32_t)i + 1, all->world->nodes[i].incarnation);
	f->members = c->members;
}

/* Their words on watchdogs are a sync service: who is on the ring has said it (T3). */
void fencers_settled(struct fencers *all, struct sim_node *n)
{
	struct fencer *f = &all->fencers[n->index];

	for (int i = set_next(f->members, 0); i >= 0; i = set_next(f->members, i + 1))
		if (sim_is_up(all->world, i))
			f->met[i] = all->world->nodes[i].incarnation;
	look(f);
}

bool fencers_are_idle(const struct fencers *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (all->fencers[i].node && proof_is_asking(all->fencers[i].proof))
			return false;
	return all->acting == 0;
}
