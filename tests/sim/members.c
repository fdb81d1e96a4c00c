/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/array/array.h"
#include "tests/sim/layout.h"
#include "tests/sim/sim_disks.h"
#include "tests/sim/world.h"

/* What somebody asked a node for; one at a time. */
struct wish {
	struct members *members;
	int node;
	bool is_out;
	char path[16];
	struct array_change change;
	bool is_grow_out;
	struct array_grow grow;
};

struct members {
	struct sim_world *world;
	const struct layout *layout;
	struct sim_disks *disks;
	const int *failed_disk;
	struct array *(*active)(void *owner, int node);
	void *owner;
	struct wish wishes[SIM_MAX_NODES];
};

struct members *members_new(struct sim_world *w, const struct layout *layout,
			    struct sim_disks *disks, const int *failed_disk,
			    struct array *(*active)(void *owner, int node), void *owner)
{
	struct members *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->world = w;
	m->layout = layout;
	m->disks = disks;
	m->failed_disk = failed_disk;
	m->active = active;
	m->owner = owner;
	for (int i = 0; i < SIM_MAX_NODES; i++) {
		m->wishes[i].members = m;
		m->wishes[i].node = i;
	}
	return m;
}

void members_free(struct members *m)
{
	free(m);
}

/* --- what is asked for ------------------------------------------------------------------- */

static void done(void *owner, struct array_change *c, int result)
{
	struct wish *wish = owner;

	wish->is_out = false;
	sim_say(wish->members->world, wish->node, "change %d of disk %u %s: %d%s %s", (int)c->kind,
		c->number, wish->path, result, c->is_re_added ? ", as it was" : "", c->err.text);
}

static void ask(struct members *m, int node, enum array_change_kind kind, int disk,
		uint32_t number)
{
	struct wish *wish = &m->wishes[node];
	struct err err = ERR_INIT;

	if (wish->is_out)
		return;
	wish->path[0] = '\0';
	if (disk >= 0)
		snprintf(wish->path, sizeof(wish->path), "disk%d", disk);
	wish->change = (struct array_change){
		.kind = kind,
		.path = wish->path,
		.number = number,
		.is_forced = true,
		.done = done,
		.owner = wish,
	};
	wish->is_out = true;
	sim_say(m->world, node, "is asked for change %d of %s, disk %u", (int)kind, wish->path,
		number);
	if (array_change(m->active(m->owner, node), &wish->change, &err) < 0)
		wish->is_out = false;
}

/* Of no role. */
static int some_free_disk(const struct members *m)
{
	const struct layout_roles *roles = layout_look(m->layout);
	int count = m->layout->disk_count, first = (int)sim_below(m->world, (uint64_t)count);

	for (int i = 0; i < count; i++) {
		int disk = (first + i) % count;

		if (roles->role[disk] < 0 && disk != *m->failed_disk)
			return disk;
	}
	return -1;
}

static const struct metadata_disk *some_idle(struct members *m, const struct metadata_view *v)
{
	uint32_t first = (uint32_t)sim_below(m->world, v->disk_count);

	for (uint32_t i = 0; i < v->disk_count; i++) {
		const struct metadata_disk *d = &v->disks[(first + i) % v->disk_count];

		if (d->state == METADATA_DISK_FAULTY || d->state == METADATA_DISK_SPARE)
			return d;
	}
	return NULL;
}

static const struct metadata_view *view_of(struct array *a)
{
	static struct array_look look;

	array_look(a, &look);
	return look.view;
}

static void fail_one(struct members *m, struct array *a)
{
	uint32_t role = (uint32_t)sim_below(m->world, view_of(a)->raid_disks);
	struct err err = ERR_INIT;

	if (array_fail_disk(a, role, &err) == 0)
		sim_say(m->world, -1, "role %u is failed", role);
}

static void remove_one(struct members *m, struct array *a, int node)
{
	const struct metadata_disk *d = some_idle(m, view_of(a));

	if (d)
		ask(m, node, ARRAY_REMOVE, -1, d->dev_number);
}

static void add_one(struct members *m, int node)
{
	static const enum array_change_kind kinds[] = { ARRAY_ADD, ARRAY_ADD, ARRAY_RE_ADD,
							ARRAY_ADD_SPARE };
	int disk = some_free_disk(m);

	if (disk >= 0)
		ask(m, node, kinds[sim_below(m->world, 4)], disk, 0);
}

static void grown(void *owner, struct array_grow *g, int result)
{
	struct wish *wish = owner;

	wish->is_grow_out = false;
	sim_say(wish->members->world, wish->node, "grow: %d %s", result, g->err.text);
}

/* Another name: all that a change of size does, but for the disks' model that stays. */
void members_grow(struct members *m)
{
	int node = (int)sim_below(m->world, (uint64_t)m->world->count);
	struct array *a = m->active(m->owner, node);
	struct wish *wish = &m->wishes[node];
	struct err err = ERR_INIT;

	if (!a || wish->is_grow_out)
		return;
	wish->grow = (struct array_grow){ .done = grown, .owner = wish };
	snprintf(wish->grow.name, sizeof(wish->grow.name), "sim:%u",
		 (unsigned int)sim_below(m->world, 1000));
	wish->is_grow_out = true;
	sim_say(m->world, node, "is asked to change the array, %s", wish->grow.name);
	if (array_grow(a, &wish->grow, &err) < 0)
		wish->is_grow_out = false;
}

void members_manage(struct members *m, bool may_fail)
{
	int node = (int)sim_below(m->world, (uint64_t)m->world->count);
	struct array *a = m->active(m->owner, node);

	switch (sim_below(m->world, 8)) {
	case 0:
	case 1:
		if (a && may_fail)
			fail_one(m, a);
		break;
	case 2:
		if (a)
			remove_one(m, a, node);
		break;
	case 3: /* who does not see one when it starts fails it for all */
		sim_disks_hide(m->disks, (int)sim_below(m->world, (uint64_t)m->layout->disk_count),
			       node, may_fail && sim_below(m->world, 2));
		break;
	default:
		if (a)
			add_one(m, node);
		break;
	}
}

void members_calm(struct members *m)
{
	for (int i = 0; i < m->layout->disk_count; i++)
		for (int node = 0; node < m->world->count; node++)
			sim_disks_hide(m->disks, i, node, false);
}

/* --- in the end ----------------------------------------------------------------------------- */

static bool is_somebody_at_it(const struct members *m, const struct metadata_view *v)
{
	for (int i = 0; i < m->world->count; i++)
		if (m->wishes[i].is_out)
			return true;
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (v->disks[i].state == METADATA_DISK_SPARE ||
		    v->disks[i].state == METADATA_DISK_REBUILD)
			return true;
	return false;
}

void members_make_whole(struct members *m)
{
	for (int i = 0; i < m->world->count; i++) {
		struct array *a = m->active(m->owner, i);
		int disk;

		if (!a)
			continue;
		if (view_of(a)->degraded == 0 || is_somebody_at_it(m, view_of(a)))
			return;
		disk = some_free_disk(m);
		if (disk >= 0)
			ask(m, i, ARRAY_ADD, disk, 0);
		return;
	}
}
