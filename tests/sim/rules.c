/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bitmap_sb.h"
#include "bitmap/disk.h"
#include "lockres/lock_manager.h"
#include "tests/sim/layout.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

enum { MAX_SLOTS = BITMAP_MAX_NODES };
/* From the configuration until the gate is shut: two delays of the plane. */
#define GATE_NS (1ull * SIM_MS)

struct range {
	uint64_t low, high; /* sectors */
};

/* Which lockspace it was: a name may come again. */
struct space {
	uint64_t made_on;
	uint32_t made_by, made_as;
};

struct node_rule {
	bool is_started, is_open, is_quorate;
	bool is_condemned; /* it lives, and others have what it had */
	uint32_t slot;
	struct space space;
	uint64_t lease, unquorate_at, started_at;
	uint64_t single_since; /* moment of the oracle's; 0: they are not */
	bool uses[SIM_MAX_DISKS];  /* writes to it, and has its bits on it */
	bool reads[SIM_MAX_DISKS]; /* takes it to be in sync */
	struct range sync;
	struct range suspended[MAX_SLOTS];
	uint64_t proven; /* incarnations up to here */
};

struct slot_rule {
	bool is_held;   /* by this process, that may be dead */
	int node;
	uint64_t incarnation;
	struct space space;
	struct range window; /* of the dead one, until the slot is merged */
	uint64_t died_at;
};

struct rules {
	struct sim_world *world;
	const struct layout *layout;
	struct oracle *oracle;
	const struct rules_ops *ops;
	void *owner;
	struct node_rule nodes[SIM_MAX_NODES];
	struct slot_rule slots[MAX_SLOTS];
};

struct rules *rules_new(struct sim_world *w, const struct layout *layout,
			struct oracle *oracle, const struct rules_ops *ops, void *owner)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->world = w;
	r->layout = layout;
	r->oracle = oracle;
	r->ops = ops;
	r->owner = owner;
	return r;
}

void rules_free(struct rules *r)
{
	free(r);
}

static bool overlaps(struct range a, struct range b)
{
	return a.low < b.high && b.low < a.high;
}

/* --- slots ---------------------------------------------------------------------------------- */

static struct space space_of(const struct rules *r, int node)
{
	const struct lock_manager *locks = r->world->nodes[node].locks;
	struct lockspace_look look;

	if (!locks || !lock_manager_look(locks, 0, &look))
		return (struct space){ 0 };
	return (struct space){ look.made_on, look.made_by, look.made_as };
}

static bool is_same_space(struct space a, struct space b)
{
	return a.made_on == b.made_on && a.made_by == b.made_by && a.made_as == b.made_as;
}

static bool is_alive(const struct rules *r, const struct slot_rule *s)
{
	return sim_is_up(r->world, s->node) &&
	       r->world->nodes[s->node].incarnation == s->incarnation;
}

/* On the same host: nothing of the one before is under way there any more. */
static bool is_back(const struct rules *r, const struct slot_rule *s)
{
	return r->world->nodes[s->node].incarnation > s->incarnation;
}

static bool may_write(const struct rules *r, int node)
{
	const struct node_rule *n = &r->nodes[node];

	return n->is_started && n->is_open && n->lease > sim_clock(&r->world->nodes[node]);
}

/*
 * Its slot may be taken: it is known to be dead, or a later process of its node has taken
 * part since.
 */
static void expect_given_up(struct rules *r, int node, uint32_t slot, const char *what)
{
	const struct slot_rule *s = &r->slots[slot];

	if (!s->is_held || (s->node == node && is_alive(r, s)))
		return;
	if (is_alive(r, s) && r->nodes[s->node].proven >= s->incarnation &&
	    r->nodes[s->node].lease <= sim_clock(&r->world->nodes[s->node])) {
		r->nodes[s->node].is_condemned = true; /* it must never write as it is */
		return;
	}
	if (is_alive(r, s))
		sim_fail(r->world, "D14: n%d %s slot %u of n%d, which lives", node + 1, what, slot,
			 s->node + 1);
	else if (r->nodes[s->node].proven < s->incarnation &&
		 (is_same_space(s->space, space_of(r, node)) || !is_back(r, s)))
		sim_fail(r->world, "D14: n%d %s slot %u of n%d, whose death is not proven",
			 node + 1, what, slot, s->node + 1);
}

void rules_started(struct rules *r, int node, uint32_t slot)
{
	struct node_rule *n = &r->nodes[node];

	expect_given_up(r, node, slot, "takes");
	n->is_started = true;
	n->is_open = n->is_condemned = false;
	n->slot = slot;
	n->space = space_of(r, node);
	n->single_since = 0;
	n->sync = (struct range){ 0 };
	memset(n->suspended, 0, sizeof(n->suspended));
	r->slots[slot] = (struct slot_rule){ true, node, r->world->nodes[node].incarnation,
					     n->space, { 0, 0 }, 0 };
	n->started_at = r->world->now;
}

void rules_stopped(struct rules *r, int node)
{
	struct node_rule *n = &r->nodes[node];

	r->slots[n->slot].is_held = false;
	n->is_started = n->is_open = false;
	memset(n->uses, 0, sizeof(n->uses));
	memset(n->reads, 0, sizeof(n->reads));
}

void rules_ended(struct rules *r, int node)
{
	struct node_rule *n = &r->nodes[node];

	if (n->is_started) {
		r->slots[n->slot].window = n->sync;
		r->slots[n->slot].died_at = r->world->now;
	}
	n->is_started = n->is_open = n->is_quorate = false;
	n->sync = (struct range){ 0 };
	memset(n->uses, 0, sizeof(n->uses));
	memset(n->reads, 0, sizeof(n->reads));
}

void rules_clears(struct rules *r, int node, uint32_t slot)
{
	expect_given_up(r, node, slot, "clears");
}

void rules_merged(struct rules *r, uint32_t slot)
{
	r->slots[slot].window = (struct range){ 0 };
}

void rules_proven(struct rules *r, int node, uint64_t incarnation)
{
	r->nodes[node].proven = max_u64(r->nodes[node].proven, incarnation);
}

/* --- what planes say -------------------------------------------------------------------------- */

void rules_gate(struct rules *r, int node, bool is_open)
{
	r->nodes[node].is_open = is_open;
}

void rules_lease(struct rules *r, int node, uint64_t until)
{
	r->nodes[node].lease = until;
}

void rules_disk(struct rules *r, int node, int disk, bool is_used, bool is_read)
{
	struct node_rule *n = &r->nodes[node];

	if (n->reads[disk] != is_read)
		oracle_other_sources(r->oracle);
	n->uses[disk] = is_used;
	n->reads[disk] = is_read;
}

void rules_met(struct rules *r)
{
	oracle_other_sources(r->oracle);
}

void rules_quorate(struct rules *r, int node, bool is_quorate)
{
	struct node_rule *n = &r->nodes[node];

	if (n->is_quorate && !is_quorate)
		n->unquorate_at = r->world->now;
	n->is_quorate = is_quorate;
}

void rules_suspended(struct rules *r, int node, uint32_t slot, uint64_t low, uint64_t high)
{
	r->nodes[node].suspended[slot] = (struct range){ low, high };
}

void rules_sync(struct rules *r, int node, uint64_t low, uint64_t high)
{
	struct node_rule *n = &r->nodes[node];

	n->sync = (struct range){ low, high };
	for (int i = 0; i < r->world->count; i++) {
		const struct node_rule *other = &r->nodes[i];
		struct range s = other->suspended[n->slot];

		if (i == node || !may_write(r, i))
			continue;
		if (s.low > low || s.high < high)
			sim_fail(r->world, "D6: n%d resyncs %" PRIu64 "..%" PRIu64 ", and n%d has "
				 "suspended %" PRIu64 "..%" PRIu64, node + 1, low, high, i + 1,
				 s.low, s.high);
	}
}

void rules_single_source(struct rules *r, int node, bool is_on)
{
	struct node_rule *n = &r->nodes[node];

	if (!is_on)
		n->single_since = 0;
	else if (n->single_since == 0)
		n->single_since = oracle_moment(r->oracle);
}

uint64_t rules_single_since(const struct rules *r, int node)
{
	uint64_t since = r->nodes[node].single_since;

	return since ? since : UINT64_MAX;
}

void rules_sync_over(struct rules *r, int node)
{
	r->nodes[node].sync = (struct range){ 0 };
}

/* --- what goes to the disks ----------------------------------------------------------------------- */

static void check_lease(const struct rules *r, int node, const char *what)
{
	const struct node_rule *n = &r->nodes[node];
	const struct sim_node *sn = &r->world->nodes[node];

	if (n->lease < sim_clock(sn))
		sim_fail(r->world, "D13: n%d writes %s, and its lease ended %" PRIu64 " us ago",
			 node + 1, what, (sim_clock(sn) - n->lease) / 1000);
}

static void check_gate(const struct rules *r, int node)
{
	const struct node_rule *n = &r->nodes[node];

	if (!n->is_open)
		sim_fail(r->world, "D13: n%d writes while its gate is shut", node + 1);
	else if (!n->is_quorate && r->world->now > n->unquorate_at + GATE_NS)
		sim_fail(r->world, "D13: n%d writes, and is not quorate since %" PRIu64 " us",
			 node + 1, (r->world->now - n->unquorate_at) / 1000);
}

/* A resync makes nothing differ that did not before: any bit will do. */
static void check_bits(const struct rules *r, int node, struct range w)
{
	const struct node_rule *n = &r->nodes[node];
	const struct layout *l = r->layout;

	if (overlaps(w, n->sync))
		return;
	for (uint64_t c = w.low / l->chunk_sectors; c * l->chunk_sectors < w.high; c++)
		for (int i = 0; i < l->disk_count; i++)
			if (n->uses[i] && !layout_is_set(l, i, n->slot, c) &&
			    !r->ops->is_failing(r->owner, node, i))
				sim_fail(r->world, "D1: n%d writes to chunk %" PRIu64
					 ", whose bit is not set on disk%d", node + 1, c, i);
}

static void check_windows(const struct rules *r, int node, struct range w)
{
	const struct node_rule *n = &r->nodes[node];

	for (int i = 0; i < r->world->count; i++)
		if (i != node && overlaps(w, r->nodes[i].sync) && may_write(r, i))
			sim_fail(r->world, "D6: n%d writes %" PRIu64 "..%" PRIu64 ", which n%d "
				 "resyncs", node + 1, w.low, w.high, i + 1);
	for (uint32_t s = 0; s < r->layout->geo.nodes; s++) {
		if (s != n->slot && overlaps(w, n->suspended[s]))
			sim_fail(r->world, "D6: n%d writes %" PRIu64 "..%" PRIu64 ", which it has "
				 "suspended for slot %u", node + 1, w.low, w.high, s);
		/* by who suspended it: who came later, or where all have died, did not */
		if (s != n->slot && overlaps(w, r->slots[s].window) &&
		    n->started_at < r->slots[s].died_at &&
		    is_same_space(n->space, r->slots[s].space))
			sim_fail(r->world, "D5: n%d writes %" PRIu64 "..%" PRIu64 ", which the "
				 "dead one of slot %u resynced", node + 1, w.low, w.high, s);
	}
}

void rules_change(struct rules *r, int node, enum sim_disk_user user, int disk,
		  const struct disk_req *req)
{
	uint64_t at = req->offset_bytes, end = at + req->length_bytes, sector, run;

	if (user == SIM_DISK_PLANE && r->nodes[node].is_condemned)
		sim_fail(r->world, "D14: n%d writes, and was proven dead", node + 1);
	check_lease(r, node, user == SIM_DISK_PLANE ? "data or bits" : "metadata");
	if (user != SIM_DISK_PLANE ||
	    !layout_array_sector(r->layout, disk, at, &sector, &run))
		return;
	check_gate(r, node);
	for (; at < end && layout_array_sector(r->layout, disk, at, &sector, &run);
	     at += run * 512) {
		run = min_u64(run, (end - at) / 512);
		check_bits(r, node, (struct range){ sector, sector + run });
		check_windows(r, node, (struct range){ sector, sector + run });
	}
}

/* --- acknowledged -------------------------------------------------------------------------------- */

/* D9: a disk that does not have it is used by nobody any more. */
static void check_copy(const struct rules *r, int node, uint64_t moment, uint64_t sector,
		       const struct layout_copy *c)
{
	uint8_t bytes[512];
	char why[400];

	sim_disks_peek(r->layout->disks, c->disk, c->offset_bytes, bytes, sizeof(bytes));
	if (oracle_check(r->oracle, moment, bytes, sector, 1, why, sizeof(why)))
		return;
	for (int i = 0; i < r->world->count; i++)
		if (may_write(r, i) && r->nodes[i].reads[c->disk] && !r->ops->is_failing(r->owner, i, c->disk))
			sim_fail(r->world, "D9: n%d's write is acknowledged, n%d uses disk%d, "
				 "which does not have it: %s", node + 1, i + 1, c->disk, why);
}

void rules_acknowledged(struct rules *r, int node, uint64_t moment, uint64_t sector,
			uint64_t count)
{
	struct layout_copy copies[SIM_MAX_DISKS];

	for (uint64_t s = sector; s < sector + count; s += max_u64(1, count - 1))
		for (int k = layout_copies(r->layout, s, copies); k-- > 0;)
			check_copy(r, node, moment, s, &copies[k]);
}

/* --- at any moment --------------------------------------------------------------------------------- */

void rules_check_marks(struct rules *r, const char *when)
{
	const struct layout *l = r->layout;
	bool in_sync[SIM_MAX_DISKS];
	uint64_t at;

	if (layout_in_sync(l, in_sync) == 0)
		sim_fail(r->world, "%s: no disk is in sync any more", when);
	for (uint64_t c = 0; c < l->geo.chunks && !r->world->failure[0]; c++) {
		uint64_t first = c * l->chunk_sectors;

		if (!oracle_is_touched(r->oracle, first,
				       min_u64(l->chunk_sectors, l->array_sectors - first)))
			continue;
		if (!layout_is_equal(l, in_sync, c, &at) && !layout_is_marked(l, in_sync, c))
			sim_fail(r->world, "D3: %s: chunk %" PRIu64 " differs near sector %" PRIu64
				 ", and no bit says so", when, c, at);
	}
}

void rules_check_clean(struct rules *r)
{
	const struct layout *l = r->layout;
	bool in_sync[SIM_MAX_DISKS];
	uint64_t at;

	if (layout_in_sync(l, in_sync) != l->raid_disks)
		sim_fail(r->world, "in the end a disk is not in sync, and none failed");
	for (uint64_t c = 0; c < l->geo.chunks && !r->world->failure[0]; c++) {
		if (!layout_is_equal(l, in_sync, c, &at))
			sim_fail(r->world, "in the end chunk %" PRIu64 " differs near sector %"
				 PRIu64, c, at);
		for (uint32_t s = 0; s < l->geo.nodes; s++)
			for (int i = 0; i < l->disk_count; i++)
				if (in_sync[i] && layout_is_set(l, i, s, c))
					sim_fail(r->world, "in the end chunk %" PRIu64 " is marked "
						 "in slot %u", c, s);
	}
}
