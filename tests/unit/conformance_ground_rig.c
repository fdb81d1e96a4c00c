/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/conformance_grounds.h"

#include "tests/unit/lock_rig.h"

static struct lockspace_engine *ground_engine(void *owner, int node)
{
	return lock_rig_engine(owner, node);
}

static void ground_settle(void *owner)
{
	lock_rig_run(owner);
}

static void ground_kill(void *owner, int node, enum lock_death death)
{
	lock_rig_kill(owner, node, death);
}

static void ground_prove(void *owner, int node, enum lock_death death)
{
	(void)death;
	lock_rig_prove(owner, node);
}

static void ground_revive(void *owner, int node)
{
	lock_rig_revive(owner, node);
}

static void ground_cut(void *owner, int node, bool is_cut)
{
	if (is_cut)
		lock_rig_cut(owner, node);
	else
		lock_rig_heal(owner, node);
}

static void ground_advance(void *owner, uint64_t ns)
{
	lock_rig_advance_ns(owner, ns);
}

struct conformance_ground rig_ground(uint32_t lvb_bytes)
{
	return (struct conformance_ground){
		.name = "rig",
		.lvb_bytes = lvb_bytes,
		.owner = lock_rig_new(CONFORMANCE_NODES),
		.engine = ground_engine,
		.settle = ground_settle,
		.kill = ground_kill,
		.prove = ground_prove,
		.revive = ground_revive,
		.cut = ground_cut,
		.advance = ground_advance,
	};
}

void rig_ground_strike(struct conformance_ground *ground)
{
	lock_rig_free(ground->owner);
}
