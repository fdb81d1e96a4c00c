/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which state of each lockspace goes on (M4), and who has another than that (M6). */
#include <stdlib.h>
#include <string.h>

#include "lockres/manager_sync.h"

struct candidate *manager_candidate(const struct manager_sync *p, struct space_id id)
{
	for (size_t i = 0; i < p->candidate_count; i++)
		if (space_id_equal(p->candidates[i].head.id, id))
			return &p->candidates[i];
	return NULL;
}

static struct candidate *named_candidate(const struct manager_sync *p,
					 const struct space_head *head)
{
	for (size_t i = 0; i < p->candidate_count; i++) {
		const struct space_head *other = &p->candidates[i].head;

		if (other->name_length == head->name_length &&
		    memcmp(other->name, head->name, head->name_length) == 0)
			return &p->candidates[i];
	}
	return NULL;
}

const struct space_head *manager_head_of(const struct manager_heads *heads,
					  struct space_id id)
{
	for (size_t i = 0; i < heads->count; i++)
		if (space_id_equal(heads->spaces[i].id, id))
			return &heads->spaces[i];
	return NULL;
}

/*
 * By the epoch in which it ran. Within one, a lockspace is made anew when nobody is in the
 * old one any more.
 */
static bool is_newer(const struct space_head *a, const struct space_head *b)
{
	if (a->version.epoch.seq != b->version.epoch.seq)
		return a->version.epoch.seq > b->version.epoch.seq;
	if (a->id.ring_seq != b->id.ring_seq)
		return a->id.ring_seq > b->id.ring_seq;
	if (a->id.count != b->id.count)
		return a->id.count > b->id.count;
	return space_version_compare(&a->version, &b->version) > 0;
}

/* One lockspace a name: the newest; of equal ones that of the lowest index. */
static void propose(struct lock_manager *m, int node, const struct space_head *head)
{
	struct manager_sync *p = &m->phase;
	struct candidate *c = named_candidate(p, head);

	if (!c && p->candidate_count == LOCK_MANAGER_MAX_SPACES) {
		manager_fault(m, LOCK_FAULT_LIMIT); /* together they have too many */
		return;
	}
	if (!c)
		c = &p->candidates[p->candidate_count++];
	else if (!is_newer(head, &c->head))
		return;
	*c = (struct candidate){ .head = *head, .provider = node };
}

/* How many have this state of it, with this digest. */
static int count_equal(const struct manager_sync *p, const struct space_head *head)
{
	int count = 0;

	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *other = manager_head_of(&p->heads[i], head->id);

		count += other && other->digest == head->digest &&
			 space_version_compare(&other->version, &head->version) == 0;
	}
	return count;
}

/*
 * M6: of those who have the newest state, what most have; who has another is named,
 * and this node, if it is the one, leaves.
 */
static void settle_digest(struct lock_manager *m, struct candidate *c)
{
	struct manager_sync *p = &m->phase;
	struct candidate best = *c;
	int most = count_equal(p, &c->head);

	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = manager_head_of(&p->heads[i], c->head.id);

		if (!head || space_version_compare(&head->version, &c->head.version) != 0)
			continue;
		if (count_equal(p, head) > most) {
			most = count_equal(p, head);
			best.head = *head;
			best.provider = i;
		}
	}
	*c = best;
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = manager_head_of(&p->heads[i], c->head.id);
		bool is_same_version =
			head && space_version_compare(&head->version, &c->head.version) == 0;
		bool is_equal = is_same_version && head->digest == c->head.digest;

		c->needs_table |= !is_equal;
		if (!is_same_version || is_equal)
			continue;
		m->stats.diverged++;
		p->is_deviant |= i == m->self;
		manager_tell_diverged(m, i, &c->head);
	}
}

void manager_choose(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	size_t room = 0;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		room += p->heads[i].count;
	p->candidates = calloc(room + 1, sizeof(*p->candidates));
	if (!p->candidates) {
		manager_break(m, "has no memory for others' locks");
		return;
	}
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		for (size_t k = 0; k < p->heads[i].count; k++)
			propose(m, i, &p->heads[i].spaces[k]);
	for (size_t k = 0; k < p->candidate_count; k++) {
		settle_digest(m, &p->candidates[k]);
		set_add(&p->providers, p->candidates[k].provider);
	}
	if (p->is_deviant)
		manager_break(m, "has a lock table that differs from the others'");
}

bool manager_keeps(const struct lock_manager *m, const struct candidate *c)
{
	const struct space_head *own = manager_head_of(&m->phase.heads[m->self], c->head.id);

	return own && own->digest == c->head.digest &&
	       space_version_compare(&own->version, &c->head.version) == 0;
}
