/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/array_node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "lockres/lock_manager.h"
#include "mdclusterd/daemon/lease.h"
#include "tests/sim/fiber.h"
#include "tests/sim/quorum_node.h"
#include "tests/sim/rules.h"
#include "tests/sim/sim_disks.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

/* V7, and a little for disks and rotations. */
#define STOP_NS (1500ull * SIM_MS)

struct array_node {
	struct array_node_config config;
	struct sim_node *node;
	struct array *array;
	struct sim_plane *plane;
	bool is_quorate, is_dead, is_stopping, is_closed_here, is_stopped;
	uint64_t stopping_since;
	uint64_t lease_until, renew_at;

	struct metadata *metadata;
	struct metadata_runner runner;
	struct qb_list_head asked;         /* struct metadata_request */
	struct metadata_request *running;
	struct fiber *fiber;
	int result;
};

static struct sim_world *world_of(const struct array_node *a)
{
	return a->node->world;
}

/* --- metadata: one request after the other, in a fiber ------------------------------------------- */

static bool has_lease(void *owner)
{
	const struct array_node *a = owner;

	return sim_clock(a->node) < a->lease_until;
}

static struct disk *open_disk(void *owner, const char *path, struct err *err)
{
	struct array_node *a = owner;
	struct disk *disk;

	if (a->is_dead) { /* its disks have failed; a new one would be awaited for ever */
		err_set(err, -ENODEV, "%s: nobody is here to open it", path);
		return NULL;
	}
	disk = sim_disks_open(a->config.disks, a->node->index, SIM_DISK_METADATA, path, err);
	if (disk)
		disk_guard(disk, has_lease, a);
	return disk;
}

/* Those that it can see: all. */
static size_t find_disks(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	const struct array_node *a = owner;
	size_t count = min_u64((uint64_t)sim_disks_count(a->config.disks), room);

	(void)set_uuid; /* who asks looks at what is on them */
	for (size_t i = 0; i < count; i++)
		if (asprintf(&paths[i], "disk%zu", i) < 0)
			abort();
	return count;
}

static int claim_disk(void *owner, struct disk *disk, bool is_member, bool is_forced,
		      struct err *err)
{
	(void)owner, (void)disk, (void)is_member, (void)is_forced, (void)err;
	return 0;
}

static void random_bytes(void *owner, void *to, size_t bytes)
{
	const struct array_node *a = owner;
	uint8_t *at = to;

	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)sim_below(world_of(a), 256);
}

static const struct metadata_ops metadata_ops = {
	.open = open_disk, .find = find_disks, .claim = claim_disk, .random = random_bytes,
};

static void run(void *arg)
{
	struct array_node *a = arg;

	a->result = metadata_run(a->metadata, a->running);
}

static void run_next(void *owner)
{
	struct array_node *a = owner;

	if (a->fiber || qb_list_empty(&a->asked))
		return;
	a->running = qb_list_first_entry(&a->asked, struct metadata_request, link);
	qb_list_del(&a->running->link);
	if (a->running->op == METADATA_CLEAR_SLOT)
		rules_clears(a->config.rules, a->node->index, a->running->slot);
	a->fiber = fiber_new(run, a);
	fiber_resume(a->fiber);
}

static void op_submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct array_node *a = container_of(runner, struct array_node, runner);

	qb_list_add_tail(&req->link, &a->asked);
	sim_call(world_of(a), a->node->index, sim_below(world_of(a), SIM_MS / 5), run_next, a);
}

static bool is_merge(const struct metadata_request *req)
{
	return req->op == METADATA_CLEAR_SLOT ||
	       (req->op == METADATA_READ_SLOT && req->dirty == 0);
}

static void answer(struct array_node *a)
{
	struct metadata_request *req = a->running;

	fiber_free(a->fiber);
	a->fiber = NULL;
	a->running = NULL;
	if (a->result < 0)
		sim_say(world_of(a), a->node->index, "metadata %d: %s", (int)req->op,
			req->err.text);
	else if (is_merge(req))
		rules_merged(a->config.rules, req->slot);
	req->done(req->owner, req, a->result);
	if (!qb_list_empty(&a->asked))
		sim_call(world_of(a), a->node->index, 0, run_next, a);
}

/* --- what the array says ---------------------------------------------------------------------------- */

static uint64_t op_now(void *owner)
{
	const struct array_node *a = owner;

	return sim_clock(a->node);
}

static void op_armed(void *owner)
{
	(void)owner; /* the world looks after each event */
}

static void op_event(void *owner, const struct array_event *e)
{
	const struct array_node *a = owner;

	sim_say(world_of(a), a->node->index,
		"array: %s%s node %u slot %d role %u %" PRIu64 "..%" PRIu64 " bytes %" PRIu64
		" %s", array_event_name(e->kind), e->is_ours ? "!" : "", e->node, e->slot,
		e->role, e->low, e->high, e->bytes, e->text ? e->text : "");
}

static bool op_evict(void *owner, uint32_t node, const char *why)
{
	const struct array_node *a = owner;

	sim_say(world_of(a), a->node->index, "would evict n%u: %s", node, why);
	return a->config.evict(a->config.owner, (int)node - 1);
}

static void expect_in_time(const struct array_node *a)
{
	if (a->is_stopping && sim_clock(a->node) - a->stopping_since > STOP_NS)
		sim_fail(world_of(a), "V7: n%d stopped after %" PRIu64 " ms",
			 a->node->index + 1, (sim_clock(a->node) - a->stopping_since) / SIM_MS);
}

static void op_closed_here(void *owner)
{
	struct array_node *a = owner;

	sim_say(world_of(a), a->node->index, "array: closed here");
	a->is_closed_here = true;
	expect_in_time(a);
}

static void op_stopped(void *owner)
{
	struct array_node *a = owner;

	sim_say(world_of(a), a->node->index, "array: stopped");
	a->is_stopped = true;
	if (!a->is_closed_here)
		expect_in_time(a);
}

static void op_slot_known(void *owner, int slot)
{
	const struct array_node *a = owner;

	a->config.slot_known(a->config.owner, a->node->index, slot);
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void make_array(struct array_node *a)
{
	static const char *const paths[SIM_MAX_DISKS] = { "disk0", "disk1", "disk2", "disk3",
							  "disk4", "disk5", "disk6", "disk7" };
	static const struct array_ops ops = { .now = op_now, .armed = op_armed,
					      .event = op_event, .evict = op_evict,
					      .closed_here = op_closed_here,
					      .stopped = op_stopped,
					      .slot_known = op_slot_known };
	const struct array_config c = { .name = "array",
					.paths = paths,
					.path_count = (size_t)sim_disks_count(a->config.disks),
					.cluster = "sim",
					.self = (uint32_t)a->node->index + 1,
					.wanted_slot = a->config.wanted_slot,
					.may_start_degraded = true };
	struct err err = ERR_INIT;

	a->plane = sim_plane_new(a->node, &a->config.plane);
	sim_plane_set_lease(a->plane, a->lease_until);
	a->metadata = metadata_new(&metadata_ops, a);
	a->array = array_new(&c, lock_manager_engine(a->node->locks), &a->runner,
			     sim_plane_face(a->plane), &ops, a, &err);
	if (!a->metadata || !a->array) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
}

struct array_node *array_node_new(const struct array_node_config *config)
{
	struct array_node *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->config = *config;
	a->node = config->node;
	a->runner.submit = op_submit;
	QB_INIT_LIST_HEAD(&a->asked);
	a->renew_at = UINT64_MAX;
	array_node_start(a);
	return a;
}

void array_node_start(struct array_node *a)
{
	if (a->array) { /* FAILED, or it runs */
		array_start(a->array);
		return;
	}
	a->is_stopping = a->is_closed_here = a->is_stopped = false;
	make_array(a);
	array_set_quorate(a->array, a->is_quorate);
	array_start(a->array);
}

/* Nobody is told of anything any more. */
static void end_array(struct array_node *a)
{
	while (a->fiber && !fiber_is_over(a->fiber))
		fiber_resume(a->fiber);
	fiber_free(a->fiber);
	a->fiber = NULL;
	if (a->running && a->running->op == METADATA_READ_SLOT)
		free(a->running->bits);
	a->running = NULL;
	QB_INIT_LIST_HEAD(&a->asked);
	sim_plane_end(a->plane);
	metadata_free(a->metadata);
	array_free(a->array);
	a->plane = NULL;
	a->metadata = NULL;
	a->array = NULL;
}

void array_node_free(struct array_node *a)
{
	a->is_dead = true;
	if (a->array)
		end_array(a);
	free(a);
}

void array_node_stop(struct array_node *a)
{
	struct err err = ERR_INIT;

	if (!a->array || a->is_stopping)
		return;
	sim_say(world_of(a), a->node->index, "array: is to stop");
	a->is_stopping = true;
	a->stopping_since = sim_clock(a->node);
	if (array_stop(a->array, &err) < 0)
		sim_fail(world_of(a), "n%d: %s", a->node->index + 1, err.text);
}

void array_node_give_up(struct array_node *a)
{
	struct err why = ERR_INIT;

	if (!a->array || a->is_stopping)
		return;
	sim_say(world_of(a), a->node->index, "array: is given up");
	err_set(&why, -EBUSY, "somebody else writes to its disks");
	array_give_up(a->array, &why);
}

void array_node_quorate(struct array_node *a, bool is_quorate)
{
	a->is_quorate = is_quorate;
	rules_quorate(a->config.rules, a->node->index, is_quorate);
	if (a->array)
		array_set_quorate(a->array, is_quorate);
}

/* As the daemon does; which looks at it every eighth of the lease, as a ring of one has no token. */
static void renew_lease(struct array_node *a)
{
	const struct order_look order = totem_order(a->node->totem);
	const struct lease_facts facts = {
		.is_quorate = a->is_quorate && quorum_node_is_quorate(a->node),
		.is_installed = order.is_installed,
		.is_alone = order.is_sure_alone,
		.now = sim_clock(a->node),
		.previous_token_at = order.sure_at,
		.lease_ns = a->config.lease_ns,
	};
	uint64_t until = lease_until(a->lease_until, &facts);

	a->renew_at = facts.is_quorate && facts.is_alone ? facts.now + facts.lease_ns / 8 :
							    UINT64_MAX;
	if (until == a->lease_until)
		return;
	a->lease_until = until;
	sim_plane_set_lease(a->plane, until);
}

uint64_t array_node_lease(const struct array_node *a, bool *is_idle)
{
	*is_idle = !a->array || (!a->fiber && qb_list_empty(&a->asked) &&
				 sim_plane_is_idle(a->plane));
	return a->lease_until;
}

static void excuse_stop(struct array_node *a)
{
	if (a->is_stopping &&
	    (*a->config.is_excused || a->node->paused_until > a->stopping_since))
		a->stopping_since = sim_clock(a->node);
}

void array_node_advance(struct array_node *a)
{
	if (!a->array)
		return;
	excuse_stop(a);
	renew_lease(a);
	sim_plane_advance(a->plane);
	if (a->fiber && fiber_is_over(a->fiber))
		answer(a);
	if (array_deadline(a->array) <= sim_clock(a->node))
		array_advance(a->array, sim_clock(a->node));
	if (a->is_stopped)
		end_array(a);
}

uint64_t array_node_deadline(const struct array_node *a)
{
	if (!a->array)
		return UINT64_MAX;
	return min_u64(min_u64(array_deadline(a->array), sim_plane_deadline(a->plane)),
		       a->renew_at);
}

/* --- looking ---------------------------------------------------------------------------------------------- */

bool array_node_is_stopped(const struct array_node *a)
{
	return !a->array;
}

static const struct array_look *look_at(const struct array_node *a)
{
	static struct array_look look;

	array_look(a->array, &look);
	return &look;
}

bool array_node_may_start(const struct array_node *a)
{
	return !a->array || look_at(a)->state == ARRAY_FAILED;
}

bool array_node_is_active(const struct array_node *a)
{
	return a->array && !a->is_stopping && look_at(a)->state == ARRAY_ACTIVE;
}

/* What is owed while a disk is missing stays so. */
static bool is_whole(const struct array_look *look, int count)
{
	bool is_degraded = look->view->degraded > 0;

	for (size_t i = 0; i < look->member_count; i++)
		if (look->members[i].is_missing || look->members[i].high != 0 ||
		    (look->members[i].owes_resync && !is_degraded))
			return false;
	return (int)look->member_count == count;
}

bool array_node_is_at_rest(const struct array_node *a, int count, bool must_be_whole)
{
	const struct array_look *look;

	if (!array_node_is_active(a))
		return false;
	look = look_at(a);
	if (must_be_whole && look->view->degraded > 0)
		return false;
	return look->is_gate_open && look->recovery_map == 0 && is_whole(look, count) &&
	       (sim_plane_needed(a->plane) == 0 || look->view->degraded > 0);
}

void array_node_complain(const struct array_node *a)
{
	const struct array_look *look;

	if (!a->array) {
		sim_fail(world_of(a), "n%d has no array", a->node->index + 1);
		return;
	}
	look = look_at(a);
	for (size_t i = 0; i < look->member_count; i++)
		sim_say(world_of(a), a->node->index, "knows n%u, slot %d: missing %d, owes %d, "
			"window %" PRIu64 "..%" PRIu64, look->members[i].node,
			look->members[i].slot, look->members[i].is_missing,
			look->members[i].owes_resync, look->members[i].low,
			look->members[i].high);
	sim_fail(world_of(a), "n%d is %s, gate %d, slot %d, %zu members, map %" PRIx64
		 ", needs %" PRIu64 ", resyncs %s; %s; %s", a->node->index + 1,
		 array_state_name(look->state), look->is_gate_open, look->slot,
		 look->member_count, look->recovery_map, sim_plane_needed(a->plane),
		 look->kind_text ? look->kind_text : "nothing", look->waits, look->why.text);
}

struct sim_plane *array_node_plane(struct array_node *a)
{
	return a->plane;
}

struct array *array_node_array(struct array_node *a)
{
	return a->array;
}
