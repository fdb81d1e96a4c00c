/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a sync phase: what was chosen and told becomes the state, all at once. */
#include <string.h>

#include "lockres/manager_sync.h"

bool manager_is_whole(const struct lock_manager *m)
{
	const struct manager_sync *p = &m->phase;

	if (!set_equal(p->heads_of, p->partners) || !set_is_subset(p->providers, p->ended))
		return false;
	for (size_t i = 0; i < p->candidate_count; i++) {
		const struct candidate *c = &p->candidates[i];

		if (!c->temp || (!manager_keeps(m, c) &&
				 lock_table_digest(c->temp->table) != c->head.digest))
			return false;
	}
	return true;
}

static struct space *find_old(struct space *const *old, size_t count, struct space_id id)
{
	for (size_t i = 0; i < count; i++)
		if (old[i] && space_id_equal(old[i]->id, id))
			return old[i];
	return NULL;
}

/* What was told of it, but for the locks: these it has. */
static void update(struct space *old, struct space *told)
{
	struct lock_table *table = old->table;
	struct lock_table *empty = told->table;
	bool is_taken = old->is_taken;

	*old = *told;
	old->is_taken = is_taken;
	old->table = table;
	told->table = empty;
	space_free(told);
}

static void take_over(struct lock_manager *m, struct candidate *c, struct space **old,
		      size_t old_count)
{
	struct space *s = c->temp;
	struct space *own = find_old(old, old_count, s->id);

	c->temp = NULL;
	if (manager_keeps(m, c)) {
		update(own, s);
		for (size_t i = 0; i < old_count; i++)
			old[i] = old[i] == own ? NULL : old[i];
		m->stats.kept++;
		space_insert(m, own);
	} else {
		s->is_taken = true;
		m->stats.taken++;
		space_insert(m, s);
	}
}

static void mark(struct lock_manager *m, const struct space_mark *told)
{
	struct space *s = space_find(m, told->id);
	struct space_member *member = s ? space_member_of(s, told->member.node) : NULL;

	if (!member || member->incarnation != told->member.incarnation ||
	    member->opening != told->member.opening)
		return;
	member->is_gone |= told->member.is_gone;
	if (told->member.is_proven && !member->is_proven)
		member->death = told->member.death;
	member->is_proven |= told->member.is_proven;
	if (told->member.death == LOCK_DEATH_NODE)
		member->death = LOCK_DEATH_NODE;
}

/*
 * A frozen lockspace has no newer state for it that a member is over: what any node knows
 * of that counts.
 */
static void mark_all(struct lock_manager *m)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		for (size_t k = 0; k < m->phase.heads[i].mark_count; k++)
			mark(m, &m->phase.heads[i].marks[k]);
}

static void make_live(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	struct space *old[LOCK_MANAGER_MAX_SPACES];
	size_t count = m->space_count;

	memcpy(old, m->spaces, sizeof(old));
	m->space_count = 0;
	for (size_t i = 0; i < p->candidate_count; i++)
		take_over(m, &p->candidates[i], old, count);
	while (count > 0)
		space_free(old[--count]);
	memcpy(m->graves, p->graves, p->grave_count * sizeof(m->graves[0]));
	m->grave_count = p->grave_count;
	m->ring = p->ring;
	m->made = 0;
	m->members = p->partners;
	roster_go_live(m);
	/* who was said to be dead, and is here as the same process, had lived: it may die yet */
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		if (m->deaths[i].incarnation >= p->heads[i].incarnation)
			m->deaths[i] = (struct death){ 0 };
	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		if (p->heads[i].is_leaving)
			set_remove(&m->members, i);
		m->incarnations[i] = p->heads[i].incarnation;
		m->deaths[i].is_said = false;
	}
}

/* Who is not here as the process that it was. */
static void find_missing(struct lock_manager *m, struct space *s)
{
	for (size_t i = 0; i < s->member_count; i++) {
		struct space_member *member = &s->members[i];
		int node = node_index(&m->config.nodes, member->node);

		member->is_missing = !set_has(&m->members, node) ||
				     m->incarnations[node] != member->incarnation;
	}
}

void handle_prepare(struct handle *h)
{
	const struct notice n = { .kind = NOTICE_PREP, .handle = h };

	if (h->state != HANDLE_MEMBER || h->is_prepped)
		return;
	h->is_prepped = true;
	h->manager->stats.freezes++;
	notice_add(h->manager, &n);
}

static void prepare_if_stopped(struct lock_manager *m, struct handle *h)
{
	bool is_stopped = !sync_is_quorate(m->sync);

	if (!h->space)
		return;
	for (size_t i = 0; i < h->space->member_count; i++)
		is_stopped |= h->space->members[i].is_missing;
	if (is_stopped)
		handle_prepare(h);
}

void manager_go_live(struct lock_manager *m)
{
	struct handle *h;

	make_live(m);
	mark_all(m);
	manager_sync_drop(m);
	m->is_active = m->has_ghosts = true;
	m->is_syncing = false; /* it may be ending already */
	for (size_t i = 0; i < m->space_count; i++)
		find_missing(m, m->spaces[i]);
	qb_list_for_each_entry(h, &m->handles, link) {
		handle_settle(h);
		prepare_if_stopped(m, h);
	}
	m->is_considering = true; /* the groups are told next who is there */
}
