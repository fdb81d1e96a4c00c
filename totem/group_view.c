/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views: who is in a group, as told to its members. One list a node, so that a
 * view is the concatenation over the nodes: the same order everywhere (G3).
 */
#include <assert.h>
#include <stdlib.h>

#include "totem/group_private.h"

/* A change under way: three lists in g->scratch. */
struct lists {
	struct group_member *members, *joined, *left;
	size_t member_count, joined_count, left_count;
};

static size_t total(const struct roster *rosters)
{
	size_t sum = 0;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		sum += rosters[i].count;
	return sum;
}

/* Room for lists of `count`; false: broken. */
static bool reserve(struct group_ring *g, size_t count)
{
	struct group_member *scratch;

	if (g->scratch && count <= g->scratch_room)
		return true;
	count = 2 * count + 1; /* an empty change has lists too */
	scratch = reallocarray(g->scratch, count, 3 * sizeof(*scratch));
	if (!scratch) {
		group_ring_break(g, "has no memory for a change of membership");
		return false;
	}
	g->scratch = scratch;
	g->scratch_room = count;
	return true;
}

static struct lists lists_of(const struct group_ring *g)
{
	return (struct lists){
		.members = g->scratch,
		.joined = g->scratch + g->scratch_room,
		.left = g->scratch + 2 * g->scratch_room,
	};
}

static void put(const struct group_ring *g, struct group_member *list,
		size_t *count, int node, uint32_t handle, enum group_reason reason)
{
	assert(*count < g->scratch_room);
	list[(*count)++] = (struct group_member){
		.node = g->config.nodes.ids[node],
		.handle = handle,
		.reason = reason,
	};
}

static bool is_in(const struct roster *r, const struct roster_entry *e)
{
	const struct roster_entry *found = roster_find(r, e->handle);

	return found && found->name == e->name;
}

static void list_members(const struct group_ring *g, const struct group_name *name,
			 struct lists *l)
{
	for (int node = 0; node < g->config.nodes.count; node++) {
		const struct roster *r = &g->live[node];

		for (size_t i = 0; i < r->count; i++)
			if (r->entries[i].name == name)
				put(g, l->members, &l->member_count, node,
				    r->entries[i].handle, GROUP_MEMBER);
	}
}

/* To our handles in it; one that joins behind this change is no member yet. */
static void tell(struct group_ring *g, const struct group_name *name,
		 const struct lists *l)
{
	const struct group_change change = {
		l->members, l->member_count, l->joined, l->joined_count,
		l->left, l->left_count,
	};
	struct group_handle *h;

	g->stats.changes++;
	for (h = name->handles; h; h = h->beside)
		if (h->is_member && !h->is_abandoned && h->handlers.changed)
			h->handlers.changed(h->owner, &h->base, &change);
}

static struct group_handle *own_handle(const struct group_name *name, uint32_t handle)
{
	struct group_handle *h = name->handles;

	while (h && h->base.handle != handle)
		h = h->beside;
	return h;
}

void group_view_join(struct group_ring *g, int node, uint32_t handle,
		     const uint8_t *bytes, size_t length)
{
	struct group_name *name = group_name_get(&g->names, bytes, length);
	struct group_handle *own;
	struct lists l;

	if (!name || !roster_add(&g->live[node], handle, name)) {
		if (name)
			group_name_put(&g->names, name);
		group_ring_break(g, "has no memory for one more member");
		return;
	}
	own = node == g->self ? own_handle(name, handle) : NULL;
	if (own)
		own->is_member = true;
	if (!name->handles || !reserve(g, total(g->live)))
		return;
	l = lists_of(g);
	list_members(g, name, &l);
	put(g, l.joined, &l.joined_count, node, handle, GROUP_JOIN);
	tell(g, name, &l);
}

void group_view_leave(struct group_ring *g, int node, uint32_t handle,
		      enum group_reason reason)
{
	struct group_name *name = roster_remove(&g->live[node], handle);
	struct group_handle *own = node == g->self ? own_handle(name, handle) : NULL;
	struct lists l;

	if (own && !own->is_leaving) {
		/* its owner still holds it; the others think that it is gone */
		group_ring_break(g, "was told that its own handle left");
		own = NULL;
	} else if (name->handles && reserve(g, total(g->live) + 1)) {
		l = lists_of(g);
		list_members(g, name, &l);
		put(g, l.left, &l.left_count, node, handle, reason);
		tell(g, name, &l);
	}
	/* R5: who could not be told that it is gone still holds it */
	if (own && !group_is_broken(g))
		group_handle_free(g, own);
	group_name_put(&g->names, name);
}

/* What goes from `old` to p for one group. */
static void compare(const struct group_ring *g, const struct group_proposal *p,
		    const struct roster *old, const struct group_name *name,
		    struct lists *l)
{
	for (int node = 0; node < g->config.nodes.count; node++) {
		const struct roster *was = &old[node], *is = &g->live[node];
		bool is_gone = set_has(&p->gone, node);
		size_t i;

		for (i = 0; i < was->count; i++)
			if (was->entries[i].name == name &&
			    (is_gone || !is_in(is, &was->entries[i])))
				put(g, l->left, &l->left_count, node,
				    was->entries[i].handle, GROUP_NODEDOWN);
		for (i = 0; i < is->count; i++)
			if (is->entries[i].name == name &&
			    (is_gone || !is_in(was, &is->entries[i])))
				put(g, l->joined, &l->joined_count, node,
				    is->entries[i].handle, GROUP_JOIN);
	}
}

void group_view_activate(struct group_ring *g, struct group_proposal *p)
{
	struct group_name *name;

	if (!reserve(g, total(g->live) + total(p->rosters)))
		return;
	/* all views first: a callback may look at any; p holds the old ones then */
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		struct roster old = g->live[i];

		g->live[i] = p->rosters[i];
		p->rosters[i] = old;
	}
	g->activated = p->ring;
	for (int b = 0; b < GROUP_BUCKETS; b++) {
		for (name = g->names.buckets[b]; name; name = name->next) {
			struct lists l = lists_of(g);

			if (!name->handles)
				continue;
			compare(g, p, p->rosters, name, &l);
			if (l.joined_count == 0 && l.left_count == 0)
				continue;
			list_members(g, name, &l);
			tell(g, name, &l);
		}
	}
	proposal_clear(p, &g->names);
}
