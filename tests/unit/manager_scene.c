/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/manager_scene.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* --- the cluster -------------------------------------------------------------------------- */

struct scene *scene_new(int nodes)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->world = sim_new(1, nodes, getenv("RING_TRACE") ? stderr : NULL);
	s->world->faults.delay_min_ns = SIM_MS / 5;
	s->world->faults.delay_max_ns = 2 * SIM_MS / 5;
	sim_use_totems(s->world);
	sim_use_locks(s->world);
	for (int i = 0; i < nodes; i++)
		sim_start(s->world, i);
	scene_run(s, SCENE_RING_MS);
	return s;
}

void scene_free(struct scene *s)
{
	assert_string_equal(s->world->failure, "");
	sim_free(s->world);
	free(s);
}

void scene_run(struct scene *s, uint64_t ms)
{
	sim_run(s->world, s->world->now + ms * SIM_MS);
}

void scene_cut_off(struct scene *s, int node)
{
	for (int i = 0; i < s->world->count; i++) {
		if (i == node - 1)
			continue;
		sim_cut(s->world, i, node - 1, true);
		sim_cut(s->world, node - 1, i, true);
	}
}

void scene_heal(struct scene *s)
{
	sim_heal(s->world);
	s->world->faults.delay_min_ns = SIM_MS / 5;
	s->world->faults.delay_max_ns = 2 * SIM_MS / 5;
	scene_run(s, SCENE_RING_MS);
}

void scene_crash(struct scene *s, int node)
{
	sim_crash(s->world, node - 1);
	scene_run(s, SCENE_RING_MS);
}

void scene_start(struct scene *s, int node)
{
	sim_start(s->world, node - 1);
	scene_run(s, SCENE_RING_MS);
}

uint64_t scene_incarnation(const struct scene *s, int node)
{
	return s->world->nodes[node - 1].incarnation;
}

struct lock_manager *scene_manager(struct scene *s, int node)
{
	return s->world->nodes[node - 1].locks;
}

struct lockspace_look scene_look(struct scene *s, int node, size_t index)
{
	struct lockspace_look look;

	assert_true(lock_manager_look(scene_manager(s, node), index, &look));
	return look;
}

uint64_t scene_faults(struct scene *s, int node, enum lock_manager_fault fault)
{
	return lock_manager_stats(scene_manager(s, node))->faults[fault];
}

void scene_prove(struct scene *s, int teller, int dead, uint64_t incarnation,
		 enum lock_death death)
{
	struct err err = ERR_INIT;

	assert_ok(lockspace_confirm_dead(lock_manager_engine(scene_manager(s, teller)),
					 (uint32_t)dead, incarnation, death, &err), err);
}

void scene_expect_equal(struct scene *s)
{
	struct lockspace_look first, look;

	for (int i = 2; i <= s->world->count; i++)
		for (size_t k = 0; lock_manager_look(scene_manager(s, 1), k, &first); k++) {
			assert_true(lock_manager_look(scene_manager(s, i), k, &look));
			assert_int_equal(look.operations, first.operations);
			assert_int_equal(look.generation, first.generation);
			assert_int_equal(look.member_count, first.member_count);
			assert_int_equal(lock_table_digest(look.table),
					 lock_table_digest(first.table));
		}
}

/* --- programs ----------------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	struct guest *g = owner;

	(void)space;
	g->is_prepped = true;
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct guest *g = owner;

	(void)space;
	g->dead_node = node;
	g->dead_slot = slot;
}

static void on_recovered(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t count, int our_slot,
			 uint32_t generation)
{
	struct guest *g = owner;

	(void)space;
	(void)members;
	g->is_prepped = false;
	g->dones++;
	g->members = count;
	g->slot = our_slot;
	g->generation = generation;
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct guest *g = owner;

	(void)space;
	g->losses++;
	g->lost = why->code;
}

static void on_closed(void *owner)
{
	struct guest *g = owner;

	g->closes++;
	g->space = NULL;
}

static const struct lockspace_handlers guest_handlers = {
	.recover_prep = on_prep,
	.recover_slot = on_slot,
	.recover_done = on_recovered,
	.lost = on_lost,
	.closed = on_closed,
};

void guest_ask(struct guest *g, struct scene *s, int node, const char *name, int slots)
{
	const struct lockspace_config config = { .name = name, .name_length = strlen(name),
						 .lvb_bytes = LOCK_LARGE_LVB,
						 .slots = slots, .wanted_slot = -1 };
	struct err err = ERR_INIT;

	*g = (struct guest){ .scene = s, .node = node, .slot = -1, .dead_slot = -1 };
	assert_ok(lockspace_open(lock_manager_engine(scene_manager(s, node)), &config,
				 &guest_handlers, g, &g->space, &err), err);
}

void guest_open(struct guest *g, struct scene *s, int node, const char *name)
{
	guest_ask(g, s, node, name, 0);
	scene_run(s, SCENE_QUIET_MS);
	assert_true(g->dones > 0);
}

void guest_close(struct guest *g)
{
	lockspace_close(g->space);
	scene_run(g->scene, SCENE_QUIET_MS);
}

/* --- locks -------------------------------------------------------------------------------- */

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct claim *c = owner;

	(void)lock;
	c->answers++;
	c->result = *result;
}

static void on_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct claim *c = owner;

	(void)lock;
	c->blocks++;
	c->wanted = wanted;
}

static const struct lockres_handlers claim_handlers = { on_done, on_blocked };

void claim_init(struct claim *c, struct guest *g, const char *name)
{
	*c = (struct claim){ .wanted = LOCK_NONE };
	assert_int_equal(lockres_init(&c->lock, g->space, name, strlen(name),
				      &claim_handlers, c), 0);
}

void claim_ask(struct claim *c, enum lock_mode mode, uint32_t flags)
{
	assert_int_equal(lockres_lock(&c->lock, mode, flags, 0), 0);
}

void claim_take(struct claim *c, struct guest *g, const char *name, enum lock_mode mode,
		uint32_t flags)
{
	claim_init(c, g, name);
	claim_ask(c, mode, flags);
	scene_run(g->scene, SCENE_QUIET_MS);
	assert_int_equal(c->answers, 1);
	assert_int_equal(c->result.status, 0);
	assert_int_equal(c->lock.mode, mode);
}
