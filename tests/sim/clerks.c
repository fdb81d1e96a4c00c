/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/clerks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"
#include "totem/totem.h"

/* The last checkpoint is unlinked and emptied now and then: nothing is kept there. */
enum { DRAWERS = 3, KEPT = DRAWERS - 1, MAX_BYTES = 3000 };

/* One node's section in one checkpoint. */
struct drawer {
	struct sim_clerks *clerks;
	struct sim_node *node;
	int number;
	struct checkpoint_handle *handle; /* NULL: to be opened */
	bool is_open, is_busy;
	uint64_t asked;    /* the last value that was asked to be written, ever */
	uint64_t answered; /* the last that was answered with 0, ever */
};

struct digest {
	struct ring_id id;
	uint64_t digest;
	struct digest *next;
};

struct sim_clerks {
	struct sim_world *world;
	struct drawer drawers[SIM_MAX_NODES][DRAWERS];
	struct digest *digests;
};

struct sim_clerks *clerks_new(struct sim_world *w)
{
	struct sim_clerks *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->world = w;
	for (int i = 0; i < w->count; i++)
		for (int k = 0; k < DRAWERS; k++)
			c->drawers[i][k] = (struct drawer){ .clerks = c, .number = k,
							    .node = &w->nodes[i] };
	return c;
}

void clerks_free(struct sim_clerks *c)
{
	while (c->digests) {
		struct digest *d = c->digests;

		c->digests = d->next;
		free(d);
	}
	free(c);
}

void clerks_node_ended(struct sim_clerks *c, struct sim_node *n)
{
	for (int k = 0; k < DRAWERS; k++) {
		struct drawer *d = &c->drawers[n->index][k];

		d->handle = NULL;
		d->is_open = d->is_busy = false;
	}
}

static struct checkpoint_store *store_of(const struct sim_node *n)
{
	return totem_checkpoints(n->totem);
}

/* C1: whoever activates a configuration holds the same. */
void clerks_activated(struct sim_clerks *c, struct sim_node *n)
{
	struct ring_id id = totem_order(n->totem).current;
	uint64_t digest = checkpoint_digest(store_of(n));
	struct digest *d = c->digests;

	while (d && !ring_id_equal(d->id, id))
		d = d->next;
	if (!d) {
		d = malloc(sizeof(*d));
		if (!d)
			abort();
		*d = (struct digest){ id, digest, c->digests };
		c->digests = d;
	} else if (d->digest != digest) {
		sim_fail(c->world, "C1: n%d holds other checkpoints than others at the start of %" PRIu32 ".%" PRIu64,
			 n->index + 1, id.rep, id.seq);
	}
}

/* --- at work ------------------------------------------------------------------------ */

static void on_opened(void *owner, int result)
{
	struct drawer *d = owner;

	d->is_open = result == 0;
	if (result < 0)
		d->handle = NULL; /* gone when this returns */
}

static void on_lost(void *owner)
{
	struct drawer *d = owner;

	d->handle = NULL;
	d->is_open = false;
}

static void on_written(void *owner, int result)
{
	struct drawer *d = owner;

	d->is_busy = false;
	if (result == 0)
		d->answered = d->asked;
}

static bool is_refusal(int r)
{
	return r == -EAGAIN || r == -EROFS || r == -ESHUTDOWN;
}

static size_t name_drawer(const struct drawer *d, char name[16])
{
	return (size_t)snprintf(name, 16, "drawer %d", d->number);
}

static size_t name_section(const struct drawer *d, char name[16])
{
	return (size_t)snprintf(name, 16, "n%d", d->node->index + 1);
}

static void open_drawer(struct drawer *d)
{
	static const struct checkpoint_handlers handlers = { on_opened, on_lost };
	char name[16];
	int r = checkpoint_open(store_of(d->node), name, name_drawer(d, name),
				CHECKPOINT_CREATE, &handlers, d, &d->handle);

	if (r < 0)
		d->handle = NULL;
	if (r < 0 && !is_refusal(r))
		sim_fail(d->clerks->world, "a checkpoint is refused: %s", strerror(-r));
}

static void write_section(struct drawer *d)
{
	struct sim_world *w = d->clerks->world;
	char name[16];
	uint8_t data[MAX_BYTES] = { 0 };
	uint64_t value = d->asked + 1;
	size_t length = sizeof(value) + sim_below(w, MAX_BYTES - sizeof(value));
	int r;

	memcpy(data, &value, sizeof(value));
	d->asked = value;
	d->is_busy = true;
	r = checkpoint_write(d->handle, name, name_section(d, name), data, length,
			     on_written, d);
	if (r < 0) {
		d->is_busy = false;
		d->asked--;
	}
	if (r < 0 && !is_refusal(r))
		sim_fail(w, "a section is refused: %s", strerror(-r));
}

static void stir_drawer(struct drawer *d)
{
	struct sim_world *w = d->clerks->world;
	uint64_t what = sim_below(w, 12);
	char name[16];

	if (!d->handle) {
		open_drawer(d);
	} else if (d->is_open && !d->is_busy && what < 6) {
		write_section(d);
	} else if (d->is_open && !d->is_busy && what == 6) {
		checkpoint_close(d->handle);
		on_lost(d);
	} else if (d->number >= KEPT && what == 7) {
		(void)checkpoint_unlink(store_of(d->node), name, name_drawer(d, name),
					NULL, NULL);
	} else if (d->number >= KEPT && d->is_open && what == 8) {
		(void)checkpoint_delete(d->handle, name, name_section(d, name), NULL,
					NULL);
	}
}

void clerks_stir(struct sim_clerks *c)
{
	for (int i = 0; i < c->world->count; i++) {
		struct sim_node *n = &c->world->nodes[i];

		if (!n->totem || n->paused_until > c->world->now)
			continue;
		for (int k = 0; k < DRAWERS; k++)
			stir_drawer(&c->drawers[i][k]);
	}
}

bool clerks_may_forget(const struct sim_clerks *c)
{
	const struct sim_world *w = c->world;

	for (int i = 0; i < w->count; i++) {
		const struct sim_node *n = &w->nodes[i];

		if (!n->totem || !sync_is_quorate(totem_sync_view(n->totem)) ||
		    set_count(totem_order(n->totem).members) != w->count ||
		    !ring_id_equal(totem_order(n->totem).current,
				   totem_order(w->nodes[0].totem).current))
			return false;
	}
	return true;
}

/* --- in peace ------------------------------------------------------------------------- */

/* 0: there is none. */
static uint64_t value_of(const struct checkpoint_store *s, const struct drawer *d)
{
	struct checkpoint_info info;
	struct checkpoint_section_info section;
	char name[16], own[16];
	size_t length = name_drawer(d, name), own_length = name_section(d, own);
	uint64_t value;

	for (size_t i = 0; checkpoint_at(s, i, &info); i++) {
		if (info.is_unlinked || info.name_length != length ||
		    memcmp(info.name, name, length) != 0)
			continue;
		for (size_t k = 0; checkpoint_section_at(s, info.number, k, &section); k++) {
			if (section.name_length != own_length ||
			    memcmp(section.name, own, own_length) != 0)
				continue;
			memcpy(&value, section.data, sizeof(value));
			return value;
		}
	}
	return 0;
}

/* C4 */
static void expect_kept(struct sim_clerks *c, const struct sim_node *n,
			const struct drawer *d)
{
	uint64_t value = value_of(store_of(n), d);

	if (value < d->answered || value > d->asked)
		sim_fail(c->world, "C4: n%d has %" PRIu64 " in drawer %d of n%d: %" PRIu64 " was answered, %" PRIu64 " asked",
			 n->index + 1, value, d->number, d->node->index + 1, d->answered,
			 d->asked);
}

void clerks_expect_all(struct sim_clerks *c)
{
	struct sim_world *w = c->world;
	uint64_t digest = 0;

	for (int i = 0; i < w->count; i++) {
		const struct sim_node *n = &w->nodes[i];

		if (!n->totem || !checkpoint_is_ready(store_of(n))) {
			sim_fail(w, "n%d is not ready", i + 1);
			return;
		}
		if (i > 0 && checkpoint_digest(store_of(n)) != digest)
			sim_fail(w, "C1: n%d holds other checkpoints than n1", i + 1);
		digest = checkpoint_digest(store_of(n));
		for (int from = 0; from < w->count; from++)
			for (int k = 0; k < KEPT; k++)
				expect_kept(c, n, &c->drawers[from][k]);
	}
}
