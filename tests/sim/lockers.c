/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/lockers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lockres/lock_manager.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

enum { SPACES = 2, LOCKS = 6, RESOURCES = 3, DIGESTS = 1 << 14, ROLLS = 64 };

struct office; /* a program of one node in one lockspace */

struct locker {
	struct office *office;
	int resource;
	struct lockres lock;
	bool is_there;         /* init was called */
	enum lock_mode claim;  /* what it may rely on */
	uint64_t asked, answered;
};

struct office {
	struct sim_lockers *all;
	struct sim_node *node;
	int number;            /* of the lockspace */
	struct lockspace *space; /* NULL: not open */
	bool is_member, is_prepped, is_closing;
	uint32_t generation;
	struct locker lockers[LOCKS];
};

struct seen {
	struct ring_id epoch;
	uint64_t operations, digest;
	uint64_t made_on;
	uint32_t made_by, made_as;
};

/* The members that somebody was told of, with a generation. */
struct roll {
	uint64_t made_on;    /* which lockspace */
	uint32_t made_by, made_as, generation;
	struct lockspace_member members[SIM_MAX_NODES];
	size_t count;        /* 0: nobody was told yet */
};

struct sim_lockers {
	struct sim_world *world;
	struct office offices[SIM_MAX_NODES][SPACES];
	/* What processes that died claimed, until somebody is told that they are dead. */
	bool of_dead[SIM_MAX_NODES][SPACES][RESOURCES][LOCK_MODES];
	uint64_t died[SIM_MAX_NODES]; /* incarnation */
	struct seen seen[DIGESTS];
	struct roll rolls[ROLLS];
};

struct sim_lockers *lockers_new(struct sim_world *w)
{
	struct sim_lockers *l = calloc(1, sizeof(*l));

	if (!l)
		abort();
	l->world = w;
	for (int i = 0; i < w->count; i++)
		for (int k = 0; k < SPACES; k++) {
			struct office *o = &l->offices[i][k];

			o->all = l;
			o->node = &w->nodes[i];
			o->number = k;
			for (int j = 0; j < LOCKS; j++) {
				o->lockers[j].office = o;
				o->lockers[j].resource = j % RESOURCES;
				o->lockers[j].claim = LOCK_NONE;
			}
		}
	return l;
}

void lockers_free(struct sim_lockers *l)
{
	free(l);
}

static void remember_claims(struct office *o)
{
	for (int j = 0; j < LOCKS; j++) {
		struct locker *k = &o->lockers[j];

		if (k->claim > LOCK_NL)
			o->all->of_dead[o->node->index][o->number][k->resource][k->claim] =
				true;
		k->claim = LOCK_NONE;
		k->is_there = false;
		k->asked = k->answered = 0;
	}
}

void lockers_node_ended(struct sim_lockers *l, struct sim_node *n)
{
	for (int k = 0; k < SPACES; k++) {
		struct office *o = &l->offices[n->index][k];

		remember_claims(o);
		o->space = NULL;
		o->is_member = o->is_prepped = o->is_closing = false;
		o->generation = 0;
	}
	l->died[n->index] = n->incarnation;
}

/* --- L1 ------------------------------------------------------------------------------- */

static void check_claim(const struct locker *k, const struct locker *other)
{
	struct sim_world *w = k->office->all->world;

	if (other == k || other->resource != k->resource ||
	    lock_modes_compatible(other->claim, k->claim))
		return;
	sim_fail(w, "L1: n%d holds %s of r%d in space %d, and n%d holds %s",
		 k->office->node->index + 1, lock_mode_name(k->claim), k->resource,
		 k->office->number, other->office->node->index + 1,
		 lock_mode_name(other->claim));
}

static void check_dead(const struct locker *k, int node)
{
	const struct sim_lockers *l = k->office->all;
	int space = k->office->number;

	for (int mode = LOCK_CR; mode < LOCK_MODES; mode++)
		if (l->of_dead[node][space][k->resource][mode] &&
		    !lock_modes_compatible((enum lock_mode)mode, k->claim))
			sim_fail(l->world, "D14: n%d is granted %s of r%d in space %d, which the dead n%d held %s",
				 k->office->node->index + 1, lock_mode_name(k->claim),
				 k->resource, space, node + 1,
				 lock_mode_name((enum lock_mode)mode));
}

static void check_all(struct locker *k)
{
	struct sim_lockers *l = k->office->all;

	for (int i = 0; i < l->world->count; i++) {
		struct office *o = &l->offices[i][k->office->number];

		for (int j = 0; j < LOCKS; j++)
			check_claim(k, &o->lockers[j]);
		check_dead(k, i);
	}
}

/* --- locks ---------------------------------------------------------------------------- */

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct locker *k = owner;
	struct office *o = k->office;
	struct sim_world *w = o->all->world;

	(void)lock;
	k->answered++;
	if (k->answered > k->asked)
		sim_fail(w, "L2: n%d is answered twice for lock %d of space %d", o->node->index + 1,
			 (int)(k - o->lockers), o->number);
	if (result->status == 0 && result->mode != LOCK_NONE && o->is_prepped &&
	    !o->is_closing)
		sim_fail(w, "L5: n%d is granted a lock between prep and done", o->node->index + 1);
	k->claim = o->is_closing ? LOCK_NONE : result->mode;
	sim_say(w, o->node->index, "space %d lock %d: %s, has %s", o->number,
		(int)(k - o->lockers), strerror(-result->status),
		lock_mode_name(result->mode));
	if (k->claim > LOCK_NL)
		check_all(k);
}

static void on_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct locker *k = owner;

	if (lock_modes_compatible(lock->mode, wanted))
		sim_fail(k->office->all->world, "L4: n%d is told of %s, and holds %s",
			 k->office->node->index + 1, lock_mode_name(wanted),
			 lock_mode_name(lock->mode));
}

static const struct lockres_handlers lock_handlers = { on_done, on_blocked };

/*
 * A claim ends when its owner asks for less, not when it is told that it has less; from
 * CW to PR and back, both are less in a way.
 */
static void ask(struct locker *k, enum lock_mode mode, uint32_t flags, uint64_t timeout)
{
	enum lock_mode before = k->claim;
	int r;

	if (flags & LOCK_CONVERT && lock_is_down(k->lock.mode, mode))
		k->claim = mode;
	else if (flags & LOCK_CONVERT && !lock_is_down(mode, k->lock.mode))
		k->claim = LOCK_CR;
	if (flags & LOCK_CONVDEADLK)
		k->claim = LOCK_NL;
	r = lockres_lock(&k->lock, mode, flags, timeout);
	sim_say(k->office->all->world, k->office->node->index,
		"space %d lock %d: asks for %s, flags 0x%x: %d", k->office->number,
		(int)(k - k->office->lockers), lock_mode_name(mode), flags, r);
	if (r == 0)
		k->asked++;
	else
		k->claim = before;
}

static void let_go(struct locker *k, uint32_t flags)
{
	bool was_pending = k->lock.is_pending;

	k->claim = LOCK_NONE;
	if (lockres_unlock(&k->lock, flags) == 0 && !was_pending)
		k->asked++;
	sim_say(k->office->all->world, k->office->node->index,
		"space %d lock %d: unlocks, flags 0x%x", k->office->number,
		(int)(k - k->office->lockers), flags);
}

static uint32_t some_flags(struct sim_world *w)
{
	static const uint32_t flags[] = { LOCK_NOQUEUE, LOCK_NOORDER, LOCK_HEADQUE,
					  LOCK_PERSISTENT };

	return (sim_below(w, 2) ? LOCK_VALBLK : 0) |
	       (sim_below(w, 4) ? 0 : flags[sim_below(w, 4)]);
}

static void stir_lock(struct locker *k)
{
	struct sim_world *w = k->office->all->world;
	enum lock_mode mode = (enum lock_mode)sim_below(w, LOCK_MODES);
	uint64_t timeout = sim_below(w, 3) ? 0 : (1 + sim_below(w, 800)) * SIM_MS;
	uint32_t flags = some_flags(w);
	char name[16];

	if (!k->is_there) {
		if (lockres_init(&k->lock, k->office->space, name,
				 (size_t)snprintf(name, sizeof(name), "r%d", k->resource),
				 &lock_handlers, k) < 0)
			return;
		k->is_there = true;
		k->lock.waiter = sim_below(w, 2) ? 1 : 0;
	}
	if (k->lock.is_pending) {
		if (sim_below(w, 6) == 0)
			lockres_unlock(&k->lock, LOCK_CANCEL);
		else if (sim_below(w, 12) == 0)
			let_go(k, LOCK_FORCEUNLOCK);
	} else if (k->lock.mode == LOCK_NONE) {
		ask(k, mode, flags, timeout);
	} else if (sim_below(w, 5) == 0) {
		let_go(k, flags & LOCK_VALBLK);
	} else if (sim_below(w, 20) == 0) {
		k->claim = LOCK_NONE;
		k->is_there = false;
		k->asked = k->answered = 0;
		lockres_fini(&k->lock);
	} else {
		flags |= LOCK_CONVERT | (sim_below(w, 6) ? 0 : LOCK_CONVDEADLK);
		k->lock.value[0]++;
		ask(k, mode, flags, timeout);
	}
}

/* --- lockspaces ----------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	struct office *o = owner;

	(void)space;
	o->is_prepped = true;
	sim_say(o->all->world, o->node->index, "space %d: prep", o->number);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct office *o = owner;

	(void)space;
	sim_say(o->all->world, o->node->index, "space %d: n%u is dead, slot %d", o->number,
		node, slot);
	if (!o->is_prepped)
		sim_fail(o->all->world, "L5: n%d hears of a death without prep",
			 o->node->index + 1);
}

static bool is_same_roll(const struct roll *r, const struct lockspace_member *members,
			 size_t count)
{
	if (r->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (r->members[i].node != members[i].node ||
		    r->members[i].slot != members[i].slot)
			return false;
	return true;
}

/* L5: all see the same slots with a generation. */
static void check_roll(struct office *o, const struct lockspace_member *members,
		       size_t count, uint32_t generation)
{
	struct lockspace_look look;
	struct roll *r;

	for (size_t i = 0; lock_manager_look(o->node->locks, i, &look); i++) {
		if (look.name[6] != '0' + o->number)
			continue;
		r = &o->all->rolls[(look.made_as * 7 + look.made_by * 31 + generation * 2 +
				    (uint32_t)o->number) % ROLLS];
		if (r->count == 0 || r->made_on != look.made_on ||
		    r->made_by != look.made_by || r->made_as != look.made_as ||
		    r->generation != generation) {
			r->made_on = look.made_on;
			r->made_by = look.made_by;
			r->made_as = look.made_as;
			r->generation = generation;
			r->count = count;
			memcpy(r->members, members, count * sizeof(*members));
		} else if (!is_same_roll(r, members, count)) {
			sim_fail(o->all->world, "L5: n%d hears of other members of space "
				 "%d than others, in generation %u", o->node->index + 1,
				 o->number, generation);
		}
	}
}

static void on_recovered(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t count, int our_slot,
			 uint32_t generation)
{
	struct office *o = owner;
	bool is_in = false;

	(void)space;
	o->is_member = true;
	o->is_prepped = false;
	sim_say(o->all->world, o->node->index,
		"space %d: done, %zu members, slot %d, generation %u", o->number, count,
		our_slot, generation);
	if (generation < o->generation)
		sim_fail(o->all->world, "L5: n%d: generation %u after %u",
			 o->node->index + 1, generation, o->generation);
	o->generation = generation;
	check_roll(o, members, count, generation);
	for (size_t i = 0; i < count; i++) {
		is_in |= members[i].node == (uint32_t)o->node->index + 1 &&
			 members[i].slot == our_slot;
		if (i > 0 && members[i].slot <= members[i - 1].slot)
			sim_fail(o->all->world, "L6: two members have a slot");
	}
	if (!is_in)
		sim_fail(o->all->world, "L6: n%d is not where it is told", o->node->index + 1);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct office *o = owner;

	(void)space;
	sim_fail(o->all->world, "n%d lost space %d: it %s", o->node->index + 1, o->number,
		 why->text);
}

static void on_closed(void *owner)
{
	struct office *o = owner;

	sim_say(o->all->world, o->node->index, "space %d: closed", o->number);
	for (int j = 0; j < LOCKS; j++) {
		struct locker *k = &o->lockers[j];

		if (k->is_there && k->asked != k->answered)
			sim_fail(o->all->world, "L2: n%d was not answered before the end",
				 o->node->index + 1);
		if (k->is_there)
			lockres_fini(&k->lock);
		k->is_there = false;
		k->asked = k->answered = 0;
		k->claim = LOCK_NONE;
	}
	o->space = NULL;
	o->is_member = o->is_closing = o->is_prepped = false;
	o->generation = 0;
}

static const struct lockspace_handlers space_handlers = {
	.recover_prep = on_prep,
	.recover_slot = on_slot,
	.recover_done = on_recovered,
	.lost = on_lost,
	.closed = on_closed,
};

static void open_space(struct office *o)
{
	struct lockspace_config config = { .lvb_bytes = LOCK_LARGE_LVB, .wanted_slot = -1 };
	struct err err = ERR_INIT;
	char name[16];

	config.name = name;
	config.name_length = (size_t)snprintf(name, sizeof(name), "space %d", o->number);
	config.slots = o->all->world->count;
	if (lockspace_open(lock_manager_engine(o->node->locks), &config, &space_handlers, o,
			   &o->space, &err) < 0)
		sim_fail(o->all->world, "%s", err.text);
}

static void close_space(struct office *o)
{
	o->is_closing = true;
	for (int j = 0; j < LOCKS; j++)
		o->lockers[j].claim = LOCK_NONE;
	lockspace_close(o->space);
}

static bool is_at_work(const struct sim_node *n)
{
	return n->locks && n->paused_until <= n->world->now;
}

static void stir_office(struct office *o)
{
	struct sim_world *w = o->all->world;

	if (!o->space) {
		open_space(o);
		return;
	}
	if (o->is_closing)
		return;
	if (sim_below(w, 40) == 0) {
		close_space(o);
		return;
	}
	lockspace_begin(o->space);
	for (int j = 0; j < LOCKS; j++)
		if (sim_below(w, 2))
			stir_lock(&o->lockers[j]);
	lockspace_end(o->space);
}

void lockers_stir(struct sim_lockers *l)
{
	for (int i = 0; i < l->world->count; i++)
		for (int k = 0; k < SPACES && is_at_work(&l->world->nodes[i]); k++)
			stir_office(&l->offices[i][k]);
}

/* --- proofs --------------------------------------------------------------------------- */

void lockers_prove(struct sim_lockers *l)
{
	struct sim_world *w = l->world;
	struct sim_node *teller = &w->nodes[sim_below(w, (uint64_t)w->count)];
	struct err err = ERR_INIT;

	for (int i = 0; i < w->count && is_at_work(teller); i++) {
		if (l->died[i] == 0)
			continue;
		if (lockspace_confirm_dead(lock_manager_engine(teller->locks),
					   (uint32_t)i + 1, l->died[i],
					   LOCK_DEATH_PROCESS, &err) < 0)
			sim_fail(w, "%s", err.text);
		memset(l->of_dead[i], 0, sizeof(l->of_dead[i]));
	}
}

/* --- equal states ---------------------------------------------------------------------- */

static uint64_t place_of(const struct seen *s)
{
	uint64_t h = s->operations * UINT64_C(0x9e3779b97f4a7c15);

	h ^= (s->epoch.seq + s->made_on + s->made_as) * UINT64_C(0xff51afd7ed558ccd);	return (h ^ h >> 29) % DIGESTS;
}

void lockers_look(struct sim_lockers *l, struct sim_node *n)
{
	struct lockspace_look look;

	for (size_t i = 0; lock_manager_look(n->locks, i, &look); i++) {
		struct seen now = { look.epoch, look.operations,
				    lock_table_digest(look.table), look.made_on,
				    look.made_by, look.made_as };
		struct seen *before = &l->seen[place_of(&now)];

		if (look.freeze == LOCKSPACE_RUNS &&
		    ring_id_equal(before->epoch, now.epoch) &&
		    before->made_on == now.made_on && before->made_by == now.made_by &&
		    before->made_as == now.made_as &&
		    before->operations == now.operations && before->digest != now.digest)
			sim_fail(l->world, "M1: n%d has another table than others after %" PRIu64 " operations",
				 n->index + 1, now.operations);
		if (look.freeze == LOCKSPACE_RUNS)
			*before = now;
	}
}

/* --- in peace -------------------------------------------------------------------------- */

static void purge(struct office *o)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < o->all->world->count; i++)
		if (lockspace_purge_orphans(o->space, (uint32_t)i + 1, &err) < 0)
			sim_fail(o->all->world, "%s", err.text);
}

static bool let_all_go(struct sim_lockers *l)
{
	bool is_over = true;

	for (int i = 0; i < l->world->count; i++)
		for (int k = 0; k < SPACES; k++) {
			struct office *o = &l->offices[i][k];

			is_over &= o->space && o->is_member && !o->is_prepped;
			if (o->space && !o->is_closing)
				purge(o);
			for (int j = 0; j < LOCKS && o->space; j++) {
				struct locker *x = &o->lockers[j];

				if (!x->is_there)
					continue;
				is_over &= !x->lock.is_pending && x->lock.mode == LOCK_NONE;
				if (!x->lock.is_pending && x->lock.mode != LOCK_NONE)
					let_go(x, 0);
			}
			if (!o->space && o->node->locks)
				open_space(o);
		}
	return is_over;
}

static void expect_equal(struct sim_lockers *l)
{
	struct lockspace_look first, look;

	for (int i = 1; i < l->world->count; i++)
		for (size_t k = 0; k < SPACES; k++) {
			if (!lock_manager_look(l->world->nodes[0].locks, k, &first) ||
			    !lock_manager_look(l->world->nodes[i].locks, k, &look)) {
				sim_fail(l->world, "n%d has no space %zu", i + 1, k);
				return;
			}
			if (first.operations != look.operations ||
			    lock_table_digest(first.table) != lock_table_digest(look.table) ||
			    first.generation != look.generation)
				sim_fail(l->world, "M1: n%d and n1 differ in the end", i + 1);
		}
}

static void expect_no_faults(struct sim_lockers *l)
{
	for (int i = 0; i < l->world->count; i++)
		for (int f = 0; f < LOCK_FAULT_COUNT; f++)
			if (lock_manager_stats(l->world->nodes[i].locks)->faults[f] > 0)
				sim_fail(l->world, "n%d counts a fault of kind %d", i + 1, f);
}

static void show_lock(void *owner, const struct lock_view *v)
{
	struct sim_lockers *l = owner;

	sim_say(l->world, -1, "  n%u lock 0x%x: has %s, wants %s%s", v->key.node,
		v->key.number, lock_mode_name(v->granted), lock_mode_name(v->wanted),
		v->is_orphan ? ", an orphan" : "");
}

static void show_all(struct sim_lockers *l)
{
	struct lockspace_look look;
	char name[16];

	for (size_t i = 0; lock_manager_look(l->world->nodes[0].locks, i, &look); i++)
		for (int r = 0; r < RESOURCES; r++) {
			size_t length = (size_t)snprintf(name, sizeof(name), "r%d", r);

			sim_say(l->world, -1, "%.*s %s, freeze %d", (int)look.name_length,
				look.name, name, look.freeze);
			lock_table_look_locks(look.table, name, length, show_lock, l);
		}
}

static void complain(struct sim_lockers *l)
{
	show_all(l);
	for (int i = 0; i < l->world->count; i++)
		for (int k = 0; k < SPACES; k++) {
			const struct office *o = &l->offices[i][k];

			if (!o->is_member || o->is_prepped)
				sim_fail(l->world, "n%d is not in space %d, without end", i + 1, k);
			for (int j = 0; j < LOCKS; j++)
				if (o->lockers[j].is_there && o->lockers[j].lock.is_pending)
					sim_fail(l->world, "n%d waits for lock %d of space %d without end",
						 i + 1, j, k);
		}
	sim_fail(l->world, "somebody waits without end");
}

void lockers_expect_end(struct sim_lockers *l)
{
	struct sim_world *w = l->world;
	bool is_over = false;

	for (int round = 0; round < 100 && !is_over && !w->failure[0]; round++) {
		lockers_prove(l);
		is_over = let_all_go(l);
		sim_run(w, w->now + 200ull * SIM_MS);
	}
	if (!is_over)
		complain(l);
	sim_run(w, w->now + 1000ull * SIM_MS);
	if (w->failure[0])
		return;
	expect_equal(l);
	expect_no_faults(l);
}
