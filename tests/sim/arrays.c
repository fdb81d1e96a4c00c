/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/arrays.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem.h"
#include "lockres/lock_manager.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/sim/array_node.h"
#include "tests/sim/fencers.h"
#include "tests/sim/layout.h"
#include "tests/sim/members.h"
#include "tests/sim/oracle.h"
#include "tests/sim/quorum_node.h"
#include "tests/sim/rules.h"
#include "tests/sim/sim_disks.h"
#include "tests/sim/world.h"
#include "tests/sim/writers.h"
#include "totem/ring.h"

enum {
	LEASE_MS = 150,
	HANG_MS = 1500,
	OBITUARY_MS = 400,   /* at most, from a supervisor */
	OPERATOR_MS = 8000,  /* at most, where there is none */
	PATIENCE_STEPS = 300,
	STEP_MS = 200,
};

/* Who died, and when somebody will know. */
struct death {
	uint64_t incarnation; /* 0: nobody yet */
	uint64_t proof_at;
};

struct sim_arrays {
	struct sim_world *world;
	struct layout layout;
	struct sim_disks *disks;
	struct oracle *oracle;
	struct rules *rules;
	struct writers *writers;
	struct fencers *fencers; /* NULL: nobody fences */
	struct array_node *nodes[SIM_MAX_NODES]; /* NULL: its process is not there */
	int slots[SIM_MAX_NODES];                /* that they remember */
	struct death deaths[SIM_MAX_NODES];
	uint64_t proven[SIM_MAX_NODES], claimed[SIM_MAX_NODES];
	bool has_obituaries;
	struct fence { struct sim_arrays *all; int node; uint64_t incarnation; }
		fences[SIM_MAX_NODES];
	uint64_t budget_bytes;
	int failed_disk; /* -1: none */
	int spoilt_disk; /* the same */
	uint64_t spoilt_blocks;
	bool has_slow_disks;
	struct members *members;
	bool is_managed; /* the array is whole in the end */
	bool is_cutting; /* the power */
};

/* --- nodes come and go ----------------------------------------------------------------------- */

static void shoot(void *owner)
{
	const struct fence *f = owner;

	if (f->all->world->nodes[f->node].incarnation == f->incarnation)
		sim_crash(f->all->world, f->node);
}

static struct fence *fence_of(struct sim_arrays *all, int node)
{
	struct fence *f = &all->fences[node];

	*f = (struct fence){ all, node, all->world->nodes[node].incarnation };
	return f;
}

/* A fence agent, which may be there. */
static bool on_evict(void *owner, int node)
{
	struct sim_arrays *all = owner;
	struct sim_world *w = all->world;

	if (sim_below(w, 2))
		return false;
	sim_call(w, -1, SIM_MS + sim_below(w, 300 * SIM_MS), shoot, fence_of(all, node));
	return true;
}

static void on_slot_known(void *owner, int node, int slot)
{
	struct sim_arrays *all = owner;

	all->slots[node] = slot;
}

static void on_started(void *rider, struct sim_node *n)
{
	struct sim_arrays *all = rider;
	const struct array_node_config c = {
		.node = n,
		.disks = all->disks,
		.rules = all->rules,
		.plane = { .disks = all->disks, .rules = all->rules,
			   .budget_bytes = all->budget_bytes,
			   .hang_ns = HANG_MS * (uint64_t)SIM_MS },
		.wanted_slot = all->slots[n->index],
		.lease_ns = LEASE_MS * (uint64_t)SIM_MS,
		.is_excused = &all->has_slow_disks,
		.evict = on_evict,
		.slot_known = on_slot_known,
		.owner = all,
	};

	all->nodes[n->index] = array_node_new(&c);
	if (all->fencers)
		fencers_started(all->fencers, n);
}

static void on_ended(void *rider, struct sim_node *n)
{
	struct sim_arrays *all = rider;
	struct sim_world *w = all->world;
	struct death *d = &all->deaths[n->index];
	bool has_obituary = all->fencers ? sim_below(w, 4) == 0 : sim_below(w, 4) != 0;
	uint64_t latest = has_obituary ? OBITUARY_MS : OPERATOR_MS;

	if (all->fencers)
		fencers_ended(all->fencers, n);
	d->incarnation = n->incarnation;
	d->proof_at = w->now + sim_below(w, latest * SIM_MS);
	rules_ended(all->rules, n->index);
	writers_node_ended(all->writers, n);
	sim_disks_node_ended(all->disks, n->index);
	array_node_free(all->nodes[n->index]);
	all->nodes[n->index] = NULL;
	if (!all->is_cutting)
		rules_check_marks(all->rules, "a node died");
}

/*
 * Who is back says that its processes before are dead: on this host nothing of them is in
 * flight any more, or it would not have been started.
 */
static void claim_own_deaths(struct sim_arrays *all, struct sim_node *n)
{
	struct err err = ERR_INIT;

	if (!all->has_obituaries || all->claimed[n->index] == n->incarnation ||
	    n->incarnation < 2)
		return;
	all->claimed[n->index] = n->incarnation;
	rules_proven(all->rules, n->index, n->incarnation - 1);
	if (lockspace_confirm_dead(lock_manager_engine(n->locks), (uint32_t)n->index + 1,
				   n->incarnation - 1, LOCK_DEATH_PROCESS, &err) < 0)
		sim_fail(all->world, "%s", err.text);
}

/* As the daemon: not before it is known what became of the lockspace. */
static void on_configured(void *rider, struct sim_node *n, const struct ring_configuration *c)
{
	struct sim_arrays *all = rider;

	array_node_quorate(all->nodes[n->index], false);
	if (all->fencers)
		fencers_configured(all->fencers, n, c);
}

static void on_synchronised(void *rider, struct sim_node *n)
{
	struct sim_arrays *all = rider;
	bool is_quorate = quorum_node_is_quorate(n);

	if (is_quorate)
		claim_own_deaths(all, n);
	array_node_quorate(all->nodes[n->index], is_quorate);
	if (all->fencers)
		fencers_settled(all->fencers, n);
}

static void on_look(void *rider, struct sim_node *n)
{
	struct sim_arrays *all = rider;

	array_node_advance(all->nodes[n->index]);
}

static uint64_t on_deadline(void *rider, const struct sim_node *n)
{
	const struct sim_arrays *all = rider;

	return array_node_deadline(all->nodes[n->index]);
}

static void on_free(void *rider)
{
	struct sim_arrays *all = rider;

	fencers_free(all->fencers);
	writers_free(all->writers);
	layout_fini(&all->layout);
	members_free(all->members);
	sim_disks_free(all->disks);
	oracle_free(all->oracle);
	rules_free(all->rules);
	free(all);
}

static const struct sim_rider_ops rider_ops = {
	.started = on_started,
	.ended = on_ended,
	.configured = on_configured,
	.synchronised = on_synchronised,
	.look = on_look,
	.deadline = on_deadline,
	.free = on_free,
};

/* --- disks ------------------------------------------------------------------------------------- */

static void on_submitted(void *owner, int node, enum sim_disk_user user, int disk,
			 const struct disk_req *req)
{
	struct sim_arrays *all = owner;

	rules_change(all->rules, node, user, disk, req);
}

static void on_drained(void *owner, int node)
{
	struct sim_arrays *all = owner;

	oracle_node_drained(all->oracle, node);
}

static bool is_failing(void *owner, int node, int disk)
{
	struct sim_arrays *all = owner;

	int role = layout_look(&all->layout)->role[disk];

	return role < 0 ||
	       sim_plane_is_failing(array_node_plane(all->nodes[node]), (uint32_t)role);
}

static struct volume *volume_of(void *owner, int node)
{
	struct sim_arrays *all = owner;

	return all->nodes[node] && !array_node_is_stopped(all->nodes[node]) ?
		       sim_plane_volume(array_node_plane(all->nodes[node])) :
		       NULL;
}

static const struct rules_ops rules_ops = { is_failing };
static const struct sim_disks_ops disks_ops = { on_submitted, on_drained };

static bool is_at_work(const struct sim_arrays *all, int node)
{
	return all->nodes[node] && all->world->nodes[node].paused_until <= all->world->now;
}

static struct array *active_of(void *owner, int node)
{
	struct sim_arrays *all = owner;

	return is_at_work(all, node) && array_node_is_active(all->nodes[node]) ?
		       array_node_array(all->nodes[node]) :
		       NULL;
}

static struct layout_params some_array(struct sim_world *w, int spare_count)
{
	struct layout_params p = {
		.is_raid10 = sim_below(w, 4) == 0,
		.chunk_bytes = 4096u << sim_below(w, 5),
		.unit_sectors = 8u << sim_below(w, 5),
		.nodes = (uint32_t)w->count + (uint32_t)sim_below(w, 2),
		.is_assume_clean = sim_below(w, 3) != 0,
		.spare_count = spare_count,
	};
	uint64_t chunks = 32 + sim_below(w, 100);

	if (w->seed % 16 == 5)
		p.chunk_bytes = 1 << 20; /* so that a resync has many windows */

	p.disk_count = p.is_raid10 ? 3 + (int)sim_below(w, 2) : 2 + (sim_below(w, 6) == 0);
	p.member_sectors = chunks * p.chunk_bytes / 512 + 8 * sim_below(w, 8);
	return p;
}

struct sim_arrays *sim_use_arrays(struct sim_world *w, int spare_count)
{
	struct sim_arrays *all = calloc(1, sizeof(*all));
	struct layout_params p = some_array(w, spare_count);

	if (!all)
		abort();
	sim_use_locks(w);
	all->world = w;
	all->disks = sim_disks_new(w, p.disk_count + spare_count, layout_disk_bytes(&p), &disks_ops, all);
	layout_create(&all->layout, &p, all->disks);
	all->oracle = oracle_new(all->layout.array_sectors);
	all->rules = rules_new(w, &all->layout, all->oracle, &rules_ops, all);
	all->writers = writers_new(w, &all->layout, all->oracle, all->rules, volume_of, all);
	all->members = members_new(w, &all->layout, all->disks, &all->failed_disk, active_of, all);
	all->budget_bytes = (1 + sim_below(w, 12)) * p.chunk_bytes;
	all->has_obituaries = sim_below(w, 3) != 0;
	all->failed_disk = all->spoilt_disk = -1;
	for (int i = 0; i < SIM_MAX_NODES; i++)
		all->slots[i] = -1;
	sim_say(w, -1, "an array of level %d on %d disks: %" PRIu64 " chunks of %u, %u slots%s",
		all->layout.level, p.disk_count, all->layout.geo.chunks, p.chunk_bytes, p.nodes,
		p.is_assume_clean ? ", clean" : "");
	w->rider_ops = &rider_ops;
	w->rider = all;
	return all;
}

/* --- fencing -------------------------------------------------------------------------------------- */

static bool op_is_drained(void *owner, int node)
{
	const struct sim_arrays *all = owner;

	return sim_disks_is_drained(all->disks, node);
}

static uint64_t op_lease(void *owner, int node, bool *is_idle)
{
	const struct sim_arrays *all = owner;

	return array_node_lease(all->nodes[node], is_idle);
}

static void op_proven(void *owner, int by, int node, uint64_t incarnation)
{
	struct sim_arrays *all = owner;
	struct err err = ERR_INIT;

	rules_proven(all->rules, node, incarnation);
	if (lockspace_confirm_dead(lock_manager_engine(all->world->nodes[by].locks),
				   (uint32_t)node + 1, incarnation, LOCK_DEATH_NODE, &err) < 0)
		sim_fail(all->world, "%s", err.text);
}

static bool op_speaks(void *owner)
{
	const struct sim_arrays *all = owner;

	return all->has_obituaries;
}

void arrays_use_fencing(struct sim_arrays *all, bool has_watchdogs)
{
	static const struct fencers_ops ops = { op_is_drained, op_lease, op_proven, op_speaks };

	all->fencers = fencers_new(all->world, has_watchdogs, LEASE_MS * (uint64_t)SIM_MS, &ops,
				   all);
}

/* --- moves ---------------------------------------------------------------------------------------- */

void arrays_stir(struct sim_arrays *all)
{
	struct sim_world *w = all->world;

	for (int i = 0; i < w->count; i++)
		if (is_at_work(all, i) && array_node_array(all->nodes[i]) && sim_below(w, 4))
			writers_stir(all->writers, &w->nodes[i],
				     1 + (unsigned int)sim_below(w, 12));
	rules_check_marks(all->rules, "in passing");
}

void arrays_start(struct sim_arrays *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (sim_disks_is_drained(all->disks, i))
			sim_start(all->world, i);
}

void arrays_tidy(struct sim_arrays *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (is_at_work(all, i) && array_node_may_start(all->nodes[i]))
			array_node_start(all->nodes[i]);
}

static void disks_are_fine(struct sim_arrays *all)
{
	for (int i = 0; i < all->layout.disk_count; i++) {
		sim_disks_hang(all->disks, i, false);
		sim_disks_slow(all->disks, i, 1);
	}
}

void arrays_calm(struct sim_arrays *all)
{
	disks_are_fine(all);
	members_calm(all->members);
	for (int i = 0; i < all->world->count; i++)
		sim_disks_crash_at(all->disks, i, 0);
}

void arrays_leave(struct sim_arrays *all, int node)
{
	if (is_at_work(all, node))
		array_node_stop(all->nodes[node]);
}

void arrays_give_up(struct sim_arrays *all, int node)
{
	for (int i = 0; i < all->world->count; i++)
		if ((node < 0 || node == i) && is_at_work(all, i))
			array_node_give_up(all->nodes[i]);
}

void arrays_crash_writing(struct sim_arrays *all, int node)
{
	if (all->nodes[node])
		sim_disks_crash_at(all->disks, node, 1 + (unsigned int)sim_below(all->world, 20));
}

void arrays_cut_power(struct sim_arrays *all)
{
	struct sim_world *w = all->world;

	sim_say(w, -1, "the power fails");
	all->is_cutting = true;
	for (int i = 0; i < w->count; i++)
		sim_crash(w, i);
	all->is_cutting = false;
	sim_disks_cut_power(all->disks);
	oracle_power_cut(all->oracle);
	rules_check_marks(all->rules, "the power failed");
}

void arrays_fail_disk(struct sim_arrays *all)
{
	struct sim_world *w = all->world;

	if (all->failed_disk >= 0)
		return;
	all->failed_disk = (int)sim_below(w, (uint64_t)all->layout.raid_disks);
	if (all->spoilt_disk >= 0)
		all->failed_disk = all->spoilt_disk;
	oracle_other_sources(all->oracle);
	sim_disks_fail(all->disks, all->failed_disk,
		       sim_below(w, 2) ? DISK_MEM_FAIL_WRITES :
					 DISK_MEM_FAIL_WRITES | DISK_MEM_FAIL_READS);
}

/* Only what the array uses: in a raid10 on a number of disks that is odd the end is not. */
static void spoil_block(struct sim_arrays *all, uint64_t sector)
{
	struct layout_copy copies[SIM_MAX_DISKS];
	int count = layout_copies(&all->layout, sector, copies);

	for (int i = 0; i < count; i++) {
		if (copies[i].disk != all->spoilt_disk)
			continue;
		sim_disks_spoil(all->disks, copies[i].disk, copies[i].offset_bytes, 8 * 512);
		all->spoilt_blocks++;
	}
}

/* What others have is read from there; who has too many places for that is failed. */
void arrays_spoil_disk(struct sim_arrays *all)
{
	struct sim_world *w = all->world;
	const struct layout *l = &all->layout;

	if (all->spoilt_disk < 0)
		all->spoilt_disk = all->failed_disk >= 0 ?
					   all->failed_disk :
					   (int)sim_below(w, (uint64_t)l->raid_disks);
	oracle_other_sources(all->oracle);
	for (uint64_t i = sim_below(w, 3); i < 3; i++) {
		uint64_t sector = 8 * sim_below(w, l->array_sectors / 8);
		uint64_t end = min_u64(sector + 8 * (1 + sim_below(w, 4)), l->array_sectors);

		for (; sector < end; sector += 8)
			spoil_block(all, sector);
	}
}

/* Else the one that hangs might be the last one. */
static bool is_whole(const struct sim_arrays *all)
{
	bool in_sync[SIM_MAX_DISKS];

	return !all->is_managed ||
	       layout_in_sync(&all->layout, in_sync) == all->layout.raid_disks;
}

void arrays_disk_trouble(struct sim_arrays *all)
{
	struct sim_world *w = all->world;
	int disk = (int)sim_below(w, (uint64_t)all->layout.raid_disks);

	all->has_slow_disks = true;
	oracle_other_sources(all->oracle);
	switch (sim_below(w, 4)) {
	case 0:
		if (is_whole(all) && (all->failed_disk < 0 || all->failed_disk == disk) &&
		    (all->spoilt_disk < 0 || all->spoilt_disk == disk)) {
			all->failed_disk = disk; /* it may be too slow, and then it is one */
			sim_disks_hang(all->disks, disk, true);
		}
		break;
	case 1:
		sim_disks_slow(all->disks, disk, 1 + (unsigned int)sim_below(w, 50));
		break;
	default:
		disks_are_fine(all);
		break;
	}
}

void arrays_manage(struct sim_arrays *all, bool may_fail)
{
	all->is_managed = true;
	oracle_other_sources(all->oracle);
	members_manage(all->members, may_fail);
}

void arrays_grow(struct sim_arrays *all)
{
	members_grow(all->members);
}

/* --- proofs ------------------------------------------------------------------------------------------- */

static void say_dead(struct sim_arrays *all, int node)
{
	struct sim_world *w = all->world;
	struct err err = ERR_INIT;
	bool is_heard = false;

	for (int i = 0; i < w->count; i++) {
		if (!is_at_work(all, i))
			continue;
		is_heard = true;
		if (lockspace_confirm_dead(lock_manager_engine(w->nodes[i].locks),
					   (uint32_t)node + 1, all->deaths[node].incarnation,
					   LOCK_DEATH_NODE, &err) < 0)
			sim_fail(w, "%s", err.text);
	}
	if (!is_heard || all->proven[node] == all->deaths[node].incarnation)
		return;
	all->proven[node] = all->deaths[node].incarnation;
	sim_say(w, node, "is said to be dead, incarnation %" PRIu64, all->proven[node]);
	rules_proven(all->rules, node, all->proven[node]);
}

void arrays_prove(struct sim_arrays *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (all->deaths[i].incarnation != 0 &&
		    all->deaths[i].proof_at <= all->world->now &&
		    sim_disks_is_drained(all->disks, i))
			say_dead(all, i);
}

/* --- the end --------------------------------------------------------------------------------------------- */

static bool pass(struct sim_arrays *all, bool (*is_so)(struct sim_arrays *all))
{
	struct sim_world *w = all->world;

	for (int step = 0; step < PATIENCE_STEPS && !w->failure[0]; step++) {
		if (is_so(all))
			return true;
		arrays_prove(all);
		sim_run(w, w->now + STEP_MS * (uint64_t)SIM_MS);
	}
	return false;
}

static bool is_at_rest(const struct sim_arrays *all, int node)
{
	return array_node_is_at_rest(all->nodes[node], all->world->count, all->is_managed);
}

static bool are_at_rest(struct sim_arrays *all)
{
	arrays_start(all);
	arrays_tidy(all);
	if (all->is_managed)
		members_make_whole(all->members);
	for (int i = 0; i < all->world->count; i++)
		if (!all->nodes[i] ||
		    !is_at_rest(all, i))
			return false;
	if (all->fencers && !fencers_are_idle(all->fencers))
		return false;
	return writers_are_idle(all->writers);
}

static bool have_read(struct sim_arrays *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (!writers_have_read(all->writers, &all->world->nodes[i]))
			return false;
	return true;
}

static bool have_stopped(struct sim_arrays *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (!array_node_is_stopped(all->nodes[i]))
			return false;
	return true;
}

static void complain(struct sim_arrays *all, const char *what)
{
	for (int i = 0; i < all->world->count; i++)
		if (all->nodes[i] &&
		    !is_at_rest(all, i))
			array_node_complain(all->nodes[i]);
	sim_fail(all->world, "%s", what);
}

/* As `mdcluster examine` would. */
static void expect_sound(struct sim_arrays *all)
{
	struct disk_world *time = disk_world_new(1);
	struct disk *disks[SIM_MAX_DISKS];
	struct md_array array = { 0 };
	struct err err = ERR_INIT;
	int count = 0;

	for (int i = 0; i < all->layout.disk_count; i++)
		if (layout_look(&all->layout)->role[i] >= 0)
			disks[count++] = disk_mem_clone(sim_disks_store(all->disks, i), time);
	if (md_array_load(&array, disks, (size_t)count, NULL, &err) < 0)
		sim_fail(all->world, "in the end: %s", err.text);
	for (size_t i = 0; i < array.count; i++) {
		const char *why = md_member_kernel_refusal(&array.members[i]);

		if (why)
			sim_fail(all->world, "in the end the kernel would refuse disk%zu: %s", i,
				 why);
	}
	md_array_fini(&array);
	while (count > 0)
		disk_close(disks[--count]);
	disk_world_free(time);
}

/* Too many such places, and it is one that has failed. */
static bool is_spoilt_in_use(struct sim_arrays *all)
{
	bool in_sync[SIM_MAX_DISKS];

	if (all->spoilt_disk < 0 || all->spoilt_disk == all->failed_disk)
		return false;
	layout_in_sync(&all->layout, in_sync);
	if (in_sync[all->spoilt_disk])
		return true;
	if (all->spoilt_blocks <= MIRROR_READ_ERRORS)
		sim_fail(all->world, "disk%d is failed for few bad sectors", all->spoilt_disk);
	all->failed_disk = all->spoilt_disk;
	return false;
}

static bool have_mended(struct sim_arrays *all)
{
	const struct layout *l = &all->layout;

	return are_at_rest(all) &&
	       (!is_spoilt_in_use(all) ||
		sim_disks_spoilt_bytes(all->disks, all->spoilt_disk, l->data_offset * 512,
				       l->member_sectors * 512) == 0);
}

/* A check finds what nobody has read, too. */
static void expect_mended(struct sim_arrays *all)
{
	struct array *array = array_node_array(all->nodes[0]);
	struct err err = ERR_INIT;

	if (all->world->failure[0] || !is_spoilt_in_use(all))
		return;
	if (array_check(array, false, &err) < 0)
		sim_fail(all->world, "in the end: %s", err.text);
	else if (!pass(all, have_mended))
		complain(all, "what cannot be read is not mended");
}

void arrays_expect_end(struct sim_arrays *all)
{
	struct sim_world *w = all->world;

	writers_rest(all->writers);
	if (!pass(all, are_at_rest))
		complain(all, "programs wait without end");
	expect_mended(all);
	for (int i = 0; i < w->count && !w->failure[0]; i++)
		writers_read_all(all->writers, &w->nodes[i]);
	if (!pass(all, have_read))
		complain(all, "somebody cannot read all");
	if (all->is_managed && !pass(all, are_at_rest)) /* a disk was failed late */
		complain(all, "the array does not become whole again");
	for (int i = 0; i < w->count && !w->failure[0]; i++)
		array_node_stop(all->nodes[i]);
	if (!pass(all, have_stopped))
		complain(all, "somebody does not stop");
	if (w->failure[0])
		return;
	rules_check_marks(all->rules, "in the end");
	if (all->failed_disk < 0 || all->is_managed)
		rules_check_clean(all->rules);
	expect_sound(all);
}
