/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/writers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/disk.h"
#include "mdclusterd/volume.h"
#include "tests/sim/layout.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rules.h"
#include "tests/sim/world.h"

enum {
	PROGRAMS = 4,
	SECTOR = 512,
	BUFFER_BYTES = 64 << 10,
	IO_BYTES = 64 << 10,
	HOT_SPOTS = 3,
	THINK_NS = 2 * SIM_MS,
};

struct program {
	struct writers *all;
	struct sim_node *node;
	struct volume_io *io; /* memory for any volume */
	uint8_t *buffer;
	bool is_busy, is_held;
	uint64_t sector, count;
	uint64_t number;      /* of the oracle; 0: a read or a flush */
	uint64_t began;
	bool is_final;        /* reads all, one piece after the other */
	uint64_t next;        /* its sector */
};

struct crew {
	unsigned int todo;
	struct program programs[PROGRAMS];
};

struct writers {
	struct sim_world *world;
	const struct layout *layout;
	struct oracle *oracle;
	struct rules *rules;
	struct volume *(*volume)(void *owner, int node);
	void *owner;
	struct crew crews[SIM_MAX_NODES];
	uint64_t hot[HOT_SPOTS];
};

static void go_on(void *owner);

/* --- what is done --------------------------------------------------------------------------- */

static void expect(const struct program *p, int result)
{
	if (result == 0 || result == -ESHUTDOWN)
		return;
	sim_fail(p->all->world, "n%d: operation %d of sectors %" PRIu64 "+%" PRIu64 ": %s",
		 p->node->index + 1, (int)p->io->op, p->sector, p->count, strerror(-result));
}

static void check_read(const struct program *p)
{
	uint64_t since = rules_single_since(p->all->rules, p->node->index);
	char why[400];

	if (!oracle_check(p->all->oracle, p->began, p->buffer, p->sector, p->count, why,
			  sizeof(why)))
		sim_fail(p->all->world, "n%d reads: %s", p->node->index + 1, why);
	else if (since < p->began &&
		 !oracle_saw(p->all->oracle, since, p->began, p->buffer, p->sector, p->count,
			     why, sizeof(why)))
		sim_fail(p->all->world, "B37: n%d reads: %s", p->node->index + 1, why);
}

static void written(struct program *p, int result)
{
	struct writers *all = p->all;

	if (result != 0) {
		oracle_failed(all->oracle, p->number, p->io->is_held);
		return;
	}
	oracle_acknowledged(all->oracle, p->number, p->io->flags & VOLUME_FUA);
	if (p->io->op != VOLUME_TRIM)
		rules_acknowledged(all->rules, p->node->index, oracle_moment(all->oracle),
				   p->sector, p->count);
}

static void done(struct volume_io *io, int result)
{
	struct program *p = io->owner;
	struct writers *all = p->all;

	if (!p->is_busy)
		return; /* its process is being taken apart */
	p->is_busy = false;
	p->is_held = io->is_held;
	expect(p, result);
	if (p->number != 0)
		written(p, result);
	else if (io->op == VOLUME_FLUSH && result == 0)
		oracle_flushed(all->oracle, p->began);
	else if (result == 0)
		check_read(p);
	if (p->is_final && result == 0)
		p->next = p->sector + p->count;
	sim_call(all->world, p->node->index, sim_below(all->world, THINK_NS), go_on, p);
}

static void released(struct volume_io *io)
{
	struct program *p = io->owner;

	p->is_held = false;
}

/* --- what is begun ---------------------------------------------------------------------------- */

static bool is_others(const struct program *p)
{
	for (int i = 0; i < p->all->world->count; i++)
		for (int k = 0; k < PROGRAMS && i != p->node->index; k++) {
			const struct program *o = &p->all->crews[i].programs[k];

			if ((o->is_busy || o->is_held) && o->number != 0 &&
			    o->sector < p->sector + p->count &&
			    p->sector < o->sector + o->count)
				return true;
		}
	return false;
}

static void choose_place(struct program *p)
{
	struct writers *all = p->all;
	struct sim_world *w = all->world;
	uint64_t sectors = all->layout->array_sectors;
	uint64_t few = sim_below(w, 8) == 0 ? BUFFER_BYTES / SECTOR : 12;

	p->count = 1 + sim_below(w, few);
	if (sim_below(w, 4) == 0)
		p->sector = sim_below(w, sectors);
	else if (sim_below(w, 6) == 0)
		p->sector += p->count; /* a stream */
	else
		p->sector = all->hot[sim_below(w, HOT_SPOTS)] + sim_below(w, 24);
	p->sector = min_u64(p->sector, sectors - 1);
	p->count = min_u64(p->count, sectors - p->sector);
}

static void choose(struct program *p)
{
	static const enum volume_op ops[] = {
		VOLUME_WRITE, VOLUME_WRITE, VOLUME_WRITE, VOLUME_WRITE, VOLUME_WRITE,
		VOLUME_READ, VOLUME_READ, VOLUME_READ, VOLUME_FLUSH, VOLUME_ZERO, VOLUME_TRIM,
	};
	struct sim_world *w = p->all->world;

	choose_place(p);
	p->io->op = ops[sim_below(w, sizeof(ops) / sizeof(ops[0]))];
	if (p->io->op == VOLUME_TRIM && sim_below(w, 4))
		p->io->op = VOLUME_WRITE;
	p->io->flags = p->io->op != VOLUME_READ && p->io->op != VOLUME_FLUSH &&
		       sim_below(w, 3) == 0 ? VOLUME_FUA : 0;
}

static void submit(struct program *p, struct volume *v)
{
	struct volume_io *io = p->io;

	if (v->io_bytes > IO_BYTES)
		abort();
	io->offset_bytes = io->op == VOLUME_FLUSH ? 0 : p->sector * SECTOR;
	io->length_bytes = io->op == VOLUME_FLUSH ? 0 : p->count * SECTOR;
	io->buffer = p->buffer;
	io->done = done;
	io->released = released;
	io->owner = p;
	io->is_held = false;
	p->is_busy = true;
	if (volume_submit(v, io) < 0)
		sim_fail(p->all->world, "n%d: an operation is refused", p->node->index + 1);
}

/* The first one began, of all reads that are under way. */
static uint64_t oldest_read(const struct writers *all)
{
	uint64_t oldest = UINT64_MAX;

	for (int i = 0; i < all->world->count; i++)
		for (int k = 0; k < PROGRAMS; k++) {
			const struct program *p = &all->crews[i].programs[k];

			if (p->is_busy && p->number == 0)
				oldest = min_u64(oldest, p->began);
		}
	return oldest;
}

static void begin(struct program *p, struct volume *v)
{
	struct writers *all = p->all;
	enum volume_op op = p->io->op;

	p->number = 0;
	if (op == VOLUME_WRITE || op == VOLUME_ZERO || op == VOLUME_TRIM) {
		if (is_others(p))
			return;
		oracle_oldest_read(all->oracle, oldest_read(all));
		p->number = oracle_begin(all->oracle, p->node->index,
					 op == VOLUME_WRITE ? ORACLE_WRITE :
					 op == VOLUME_ZERO  ? ORACLE_ZERO :
							      ORACLE_TRIM,
					 p->sector, p->count);
		if (op == VOLUME_WRITE)
			oracle_fill(p->buffer, p->number, p->sector, p->count);
	} else {
		p->began = oracle_moment(all->oracle);
	}
	submit(p, v);
}

/* The next piece of what was ever touched. */
static bool choose_final(struct program *p)
{
	const struct writers *all = p->all;
	uint64_t sectors = all->layout->array_sectors, piece = BUFFER_BYTES / SECTOR;

	while (p->next < sectors) {
		p->sector = p->next;
		p->count = min_u64(piece, sectors - p->next);
		if (oracle_is_touched(all->oracle, p->sector, p->count))
			break;
		p->next += p->count;
	}
	p->io->op = VOLUME_READ;
	p->io->flags = 0;
	return p->next < sectors;
}

static void go_on(void *owner)
{
	struct program *p = owner;
	struct crew *c = &p->all->crews[p->node->index];
	struct volume *v = p->all->volume(p->all->owner, p->node->index);

	if (p->is_busy || p->is_held)
		return;
	if (p->is_final && !v) { /* it is active, and takes clients in a moment */
		sim_call(p->all->world, p->node->index, THINK_NS, go_on, p);
		return;
	}
	if (p->is_final && choose_final(p))
		begin(p, v);
	if (p->is_final || !v)
		return;
	if (c->todo == 0)
		return;
	c->todo--;
	choose(p);
	begin(p, v);
	if (!p->is_busy)
		sim_call(p->all->world, p->node->index, THINK_NS, go_on, p);
}

/* --- crews --------------------------------------------------------------------------------------- */

void writers_stir(struct writers *w, struct sim_node *n, unsigned int count)
{
	struct crew *c = &w->crews[n->index];

	c->todo += count;
	for (int k = 0; k < PROGRAMS; k++)
		sim_call(w->world, n->index, sim_below(w->world, THINK_NS), go_on,
			 &c->programs[k]);
}

void writers_rest(struct writers *w)
{
	for (int i = 0; i < w->world->count; i++)
		w->crews[i].todo = 0;
}

bool writers_are_idle(const struct writers *w)
{
	for (int i = 0; i < w->world->count; i++)
		for (int k = 0; k < PROGRAMS; k++)
			if (w->crews[i].programs[k].is_busy || w->crews[i].programs[k].is_held)
				return false;
	return true;
}

void writers_node_ended(struct writers *w, struct sim_node *n)
{
	struct crew *c = &w->crews[n->index];

	c->todo = 0;
	oracle_node_ended(w->oracle, n->index);
	for (int k = 0; k < PROGRAMS; k++)
		c->programs[k].is_busy = c->programs[k].is_held = c->programs[k].is_final = false;
}

void writers_read_all(struct writers *w, struct sim_node *n)
{
	struct program *p = &w->crews[n->index].programs[0];

	p->is_final = true;
	p->next = 0;
	sim_call(w->world, n->index, 0, go_on, p);
}

bool writers_have_read(const struct writers *w, const struct sim_node *n)
{
	const struct program *p = &w->crews[n->index].programs[0];

	return p->is_final && !p->is_busy && !choose_final((struct program *)p);
}

struct writers *writers_new(struct sim_world *w, const struct layout *layout,
			    struct oracle *oracle, struct rules *rules,
			    struct volume *(*volume)(void *owner, int node), void *owner)
{
	struct writers *all = calloc(1, sizeof(*all));

	if (!all)
		abort();
	all->world = w;
	all->layout = layout;
	all->oracle = oracle;
	all->rules = rules;
	all->volume = volume;
	all->owner = owner;
	for (int i = 0; i < HOT_SPOTS; i++)
		all->hot[i] = sim_below(w, layout->array_sectors);
	for (int i = 0; i < w->count; i++)
		for (int k = 0; k < PROGRAMS; k++) {
			struct program *p = &all->crews[i].programs[k];

			p->all = all;
			p->node = &w->nodes[i];
			p->io = calloc(1, IO_BYTES);
			p->buffer = disk_buffer_new(BUFFER_BYTES);
			if (!p->io || !p->buffer)
				abort();
		}
	return all;
}

void writers_free(struct writers *w)
{
	for (int i = 0; i < w->world->count; i++)
		for (int k = 0; k < PROGRAMS; k++) {
			free(w->crews[i].programs[k].io);
			free(w->crews[i].programs[k].buffer);
		}
	free(w);
}
