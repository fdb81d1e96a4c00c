/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/apps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/err.h"
#include "tests/sim/world.h"
#include "totem/totem.h"

enum { GROUPS = 3, PROGRAMS = 4 /* a node */, MAX_VIEW = SIM_MAX_NODES * PROGRAMS * 2 };

enum { NO_PLACE = -1 };

/* What comes first in each message; the rest is made from it. */
struct head {
	uint32_t node, handle;
	uint64_t incarnation, number, length;
};

/* One order: what members of a group saw in a configuration, or at its end. */
struct sequence {
	struct ring_id ring;
	struct node_set along; /* transitional: who goes along; empty: regular */
	int group;
	uint64_t *seen; /* a hash of message and view each */
	size_t count, room;
	struct sequence *next;
};

struct viewed {
	uint32_t node, handle;
	bool has_spoken; /* since it is in the view: then no number is left out */
	uint64_t next_number;
};

struct program {
	struct sim_apps *apps;
	struct sim_node *node; /* NULL: there is none in this place */
	struct group *handle;
	int group;
	bool is_member, is_leaving;
	uint64_t sent, got;
	struct viewed view[MAX_VIEW];
	size_t view_count;
	uint64_t view_hash;
	long place; /* in the order under way; NO_PLACE: joined in the middle */
};

/* Where a node is, as its ring tells. */
struct stage {
	struct ring_id ring;
	struct node_set along;
};

struct sim_apps {
	struct sim_world *world;
	struct program programs[SIM_MAX_NODES][PROGRAMS];
	struct stage stages[SIM_MAX_NODES];
	struct sequence *orders;
	uint64_t deliveries;
};

struct sim_apps *apps_new(struct sim_world *w)
{
	struct sim_apps *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->world = w;
	return a;
}

void apps_free(struct sim_apps *a)
{
	while (a->orders) {
		struct sequence *o = a->orders;

		a->orders = o->next;
		free(o->seen);
		free(o);
	}
	free(a);
}

uint64_t apps_deliveries(const struct sim_apps *a)
{
	return a->deliveries;
}

/* --- orders ------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static struct sequence *order_of(struct sim_apps *a, const struct stage *s, int group)
{
	struct sequence *o;

	for (o = a->orders; o; o = o->next)
		if (ring_id_equal(o->ring, s->ring) && set_equal(o->along, s->along) &&
		    o->group == group)
			return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	*o = (struct sequence){ s->ring, s->along, group, NULL, 0, 0, a->orders };
	a->orders = o;
	return o;
}

static void append(struct sequence *o, uint64_t what)
{
	if (o->count == o->room) {
		o->room = o->room ? 2 * o->room : 64;
		o->seen = realloc(o->seen, o->room * sizeof(*o->seen));
		if (!o->seen)
			abort();
	}
	o->seen[o->count++] = what;
}

/* G1, G3: the same message, with the same view, in the same place for all. */
static void check_place(struct program *p, uint64_t what)
{
	struct sim_world *w = p->apps->world;
	struct sequence *o = order_of(p->apps, &p->apps->stages[p->node->index], p->group);

	if (p->place == NO_PLACE) {
		long at = 0;

		while ((size_t)at < o->count && o->seen[at] != what)
			at++;
		if ((size_t)at == o->count)
			return; /* it is ahead of who knows what came before it joined */
		p->place = at;
	}
	if ((size_t)p->place == o->count)
		append(o, what);
	else if (o->seen[p->place] != what)
		sim_fail(w, "G1: n%d.%" PRIu32 " got another message, or has another view, than others at place %ld of g%d in ring %" PRIu32 ".%" PRIu64,
			 p->node->index + 1, p->handle->handle, p->place, p->group,
			 o->ring.rep, o->ring.seq);
	p->place++;
}

/* --- programs ----------------------------------------------------------------------- */

static struct viewed *find(struct program *p, uint32_t node, uint32_t handle)
{
	for (size_t i = 0; i < p->view_count; i++)
		if (p->view[i].node == node && p->view[i].handle == handle)
			return &p->view[i];
	return NULL;
}

static uint8_t filler(const struct head *h, size_t at)
{
	return (uint8_t)(h->number * 31 + h->node * 7 + at);
}

static void check_bytes(struct program *p, const struct head *h, const uint8_t *bytes,
			size_t length)
{
	if (h->length != length) {
		sim_fail(p->apps->world, "G1: a message of %" PRIu64 " bytes came as %zu",
			 h->length, length);
		return;
	}
	for (size_t i = sizeof(*h); i < length; i++) {
		if (bytes[i] == filler(h, i))
			continue;
		sim_fail(p->apps->world, "G1: byte %zu of a message is not what was sent",
			 i);
		return;
	}
}

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct program *p = owner;
	struct sim_world *w = p->apps->world;
	struct viewed *v = find(p, sender->node, sender->handle);
	struct head h;

	(void)group;
	memcpy(&h, message, sizeof(h));
	p->got++;
	p->apps->deliveries++;
	if (!v) {
		sim_fail(w, "G2: n%d.%" PRIu32 " hears n%" PRIu32 ".%" PRIu32 ", which is not in its view",
			 p->node->index + 1, p->handle->handle, sender->node,
			 sender->handle);
		return;
	}
	if (h.node != sender->node || h.handle != sender->handle)
		sim_fail(w, "G2: n%" PRIu32 ".%" PRIu32 " is named as sender of what n%" PRIu32 ".%" PRIu32 " sent",
			 sender->node, sender->handle, h.node, h.handle);
	if (v->has_spoken && h.number != v->next_number)
		sim_fail(w, "G1: n%d.%" PRIu32 " gets message %" PRIu64 " of n%" PRIu32 ".%" PRIu32 " and should get %" PRIu64,
			 p->node->index + 1, p->handle->handle, h.number, h.node,
			 h.handle, v->next_number);
	v->has_spoken = true;
	v->next_number = h.number + 1;
	check_bytes(p, &h, message, length);
	check_place(p, mix(mix(mix(mix(p->view_hash, h.node), h.handle), h.incarnation),
			   h.number));
}

static bool is_listed(const struct group_member *list, size_t count, uint32_t node,
		      uint32_t handle)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].node == node && list[i].handle == handle)
			return true;
	return false;
}

/* What was there and did not leave stays; what was not there joined. */
static void check_change(struct program *p, const struct group_change *c)
{
	for (size_t i = 0; i < p->view_count; i++) {
		const struct viewed *v = &p->view[i];

		if (!is_listed(c->left, c->left_count, v->node, v->handle) &&
		    !is_listed(c->members, c->member_count, v->node, v->handle))
			sim_fail(p->apps->world, "G3: n%" PRIu32 ".%" PRIu32 " is gone and did not leave",
				 v->node, v->handle);
	}
	for (size_t i = 0; i < c->member_count; i++) {
		const struct group_member *m = &c->members[i];

		if (!is_listed(c->joined, c->joined_count, m->node, m->handle) &&
		    !find(p, m->node, m->handle) && p->is_member)
			sim_fail(p->apps->world, "G3: n%" PRIu32 ".%" PRIu32 " is there and did not join",
				 m->node, m->handle);
	}
}

static void take_view(struct program *p, const struct group_change *c)
{
	struct viewed old[MAX_VIEW];
	size_t old_count = p->view_count, k;

	memcpy(old, p->view, sizeof(old));
	p->view_count = 0;
	p->view_hash = 1;
	for (size_t i = 0; i < c->member_count && i < MAX_VIEW; i++) {
		const struct group_member *m = &c->members[i];
		struct viewed *v = &p->view[p->view_count++];

		*v = (struct viewed){ .node = m->node, .handle = m->handle };
		p->view_hash = mix(mix(p->view_hash, m->node), m->handle);
		if (is_listed(c->joined, c->joined_count, m->node, m->handle))
			continue;
		for (k = 0; k < old_count; k++)
			if (old[k].node == m->node && old[k].handle == m->handle)
				*v = old[k];
	}
}

static void on_changed(void *owner, struct group *group, const struct group_change *c)
{
	struct program *p = owner;
	uint32_t self = (uint32_t)p->node->index + 1;
	uint32_t handle = group->handle;

	check_change(p, c);
	take_view(p, c);
	if (is_listed(c->left, c->left_count, self, handle) &&
	    !is_listed(c->members, c->member_count, self, handle)) {
		if (!p->is_leaving)
			sim_fail(p->apps->world, "G3: n%" PRIu32 ".%" PRIu32 " is told that it left, and stays",
				 self, handle);
		p->node = NULL; /* the handle goes when this returns */
		return;
	}
	if (!p->is_member)
		p->place = NO_PLACE;
	p->is_member = true;
}

static void start_program(struct sim_apps *a, struct sim_node *n, struct program *p)
{
	static const struct group_handlers handlers = { .deliver = on_deliver,
							.changed = on_changed };
	struct err err = ERR_INIT;
	char name[16];

	*p = (struct program){ .apps = a, .node = n, .place = NO_PLACE };
	p->group = (int)sim_below(a->world, GROUPS);
	(void)snprintf(name, sizeof(name), "g%d", p->group);
	if (group_join(totem_groups(n->totem), name, strlen(name), &handlers, p,
		       &p->handle, &err) < 0)
		p->node = NULL; /* the node is on its way out */
}

void apps_node_started(struct sim_apps *a, struct sim_node *n)
{
	a->stages[n->index] = (struct stage){ .ring = { 0 } };
	for (int i = 0; i < 2; i++)
		start_program(a, n, &a->programs[n->index][i]);
}

void apps_node_ended(struct sim_apps *a, struct sim_node *n)
{
	for (int i = 0; i < PROGRAMS; i++)
		a->programs[n->index][i].node = NULL;
}

void apps_configured(struct sim_apps *a, struct sim_node *n,
		     const struct ring_configuration *c)
{
	struct stage *s = &a->stages[n->index];

	s->ring = c->ring;
	s->along = c->is_transitional ? c->members : (struct node_set){ { 0 } };
	for (int i = 0; i < PROGRAMS; i++)
		a->programs[n->index][i].place =
			a->programs[n->index][i].is_member ? 0 : NO_PLACE;
}

static bool send(struct program *p, size_t length, enum group_order order)
{
	struct head h = { (uint32_t)p->node->index + 1, p->handle->handle,
			  p->node->incarnation, p->sent, max_u64(length, sizeof(h)) };
	uint8_t *bytes = malloc(h.length);
	/* cut anywhere: parts are no borders */
	size_t cut = sim_below(p->apps->world, h.length + 1);
	struct iovec parts[2] = { { bytes, cut }, { bytes + cut, h.length - cut } };
	int r;

	if (!bytes)
		abort();
	memcpy(bytes, &h, sizeof(h));
	for (size_t i = sizeof(h); i < h.length; i++)
		bytes[i] = filler(&h, i);
	r = group_multicast(p->handle, order, parts, 2);
	free(bytes);
	if (r == 0)
		p->sent++;
	else if (r != -EAGAIN && r != -ESHUTDOWN)
		sim_fail(p->apps->world, "a message is refused: %s", strerror(-r));
	return r == 0;
}

static void stir_program(struct sim_apps *a, struct sim_node *n, struct program *p)
{
	struct sim_world *w = a->world;
	uint64_t what = sim_below(w, 20);

	if (!p->node) {
		if (what < 3)
			start_program(a, n, p);
		return;
	}
	if (p->is_leaving)
		return;
	if (what == 0) {
		p->is_leaving = true;
		group_leave(p->handle);
	} else if (what == 1) {
		group_abandon(p->handle);
		p->node = NULL; /* it hears no more */
	} else if (what < 12) {
		enum group_order order = what % 2 ? GROUP_AGREED : GROUP_SAFE;
		uint64_t count = sim_below(w, 6);

		while (count-- > 0 && send(p, what == 11 ? sim_below(w, 30000) :
						  sim_below(w, 400), order))
			;
	}
}

void apps_stir(struct sim_apps *a)
{
	for (int i = 0; i < a->world->count; i++) {
		struct sim_node *n = &a->world->nodes[i];

		/* a paused process does nothing */
		if (!n->totem || n->paused_until > a->world->now)
			continue;
		for (int k = 0; k < PROGRAMS; k++)
			stir_program(a, n, &a->programs[i][k]);
	}
}

/* --- in peace ----------------------------------------------------------------------- */

typedef void (*program_fn)(struct sim_apps *a, struct program *p);

static void for_all(struct sim_apps *a, program_fn fn)
{
	for (int i = 0; i < a->world->count; i++)
		for (int k = 0; k < PROGRAMS; k++)
			if (a->programs[i][k].node && !a->programs[i][k].is_leaving)
				fn(a, &a->programs[i][k]);
}

static size_t living(const struct sim_apps *a, int group)
{
	size_t count = 0;

	for (int i = 0; i < a->world->count; i++)
		for (int k = 0; k < PROGRAMS; k++)
			count += a->programs[i][k].node &&
				 a->programs[i][k].group == group;
	return count;
}

/* G4: no ghosts. */
static void expect_view(struct sim_apps *a, struct program *p)
{
	if (!p->is_member)
		sim_fail(a->world, "n%d.%" PRIu32 " is no member yet", p->node->index + 1,
			 p->handle->handle);
	else if (p->view_count != living(a, p->group))
		sim_fail(a->world, "G4: n%d.%" PRIu32 " sees %zu members of g%d, and %zu live",
			 p->node->index + 1, p->handle->handle, p->view_count, p->group,
			 living(a, p->group));
}

static void say_one(struct sim_apps *a, struct program *p)
{
	(void)a;
	p->got = 0;
	(void)send(p, 100, GROUP_SAFE);
}

static void expect_one_of_each(struct sim_apps *a, struct program *p)
{
	if (p->got != p->view_count)
		sim_fail(a->world, "n%d.%" PRIu32 " got %" PRIu64 " messages of %zu",
			 p->node->index + 1, p->handle->handle, p->got, p->view_count);
}

void apps_expect_order(struct sim_apps *a)
{
	for_all(a, expect_view);
	for_all(a, say_one);
	if (sim_run(a->world, a->world->now + 1000ull * SIM_MS))
		for_all(a, expect_one_of_each);
}
