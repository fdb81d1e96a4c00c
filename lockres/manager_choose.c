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

static int compare_names(const struct space_head *a, const struct space_head *b)
{
	return space_compare_names(a->name, a->name_length, b->name, b->name_length);
}

/* The place of its name, or where it belongs. */
static size_t place_of(const struct manager_sync *p, const struct space_head *head)
{
	size_t low = 0, high = p->candidate_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (compare_names(&p->candidates[mid].head, head) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int compare_heads(const void *a, const void *b)
{
	return compare_names(a, b);
}

static const struct space_head *head_named(const struct manager_heads *heads,
					   const struct space_head *as)
{
	return heads->count == 0 ? NULL :
				   bsearch(as, heads->spaces, heads->count,
					   sizeof(*heads->spaces), compare_heads);
}

const struct space_head *manager_head_of(const struct manager_heads *heads,
					 const struct space_head *of)
{
	const struct space_head *head = head_named(heads, of);

	return head && space_id_equal(head->id, of->id) ? head : NULL;
}

bool manager_heads_in_order(const struct space_head *before, const struct space_head *head)
{
	return compare_names(before, head) < 0;
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

/* Graves come first, so that they are all there are yet. */
static bool is_full(const struct manager_sync *p, const struct space_head *head)
{
	return head->is_over ? p->candidate_count == LOCK_MANAGER_MAX_GRAVES :
			       p->candidate_count - p->grave_count == LOCK_MANAGER_MAX_SPACES;
}

/* One a name: the newest; of equal ones that of the lowest index. */
static void propose(struct lock_manager *m, int node, const struct space_head *head)
{
	struct manager_sync *p = &m->phase;
	size_t at = place_of(p, head);
	struct candidate *c = &p->candidates[at];
	bool is_there = at < p->candidate_count && compare_names(&c->head, head) == 0;

	if (is_there && !is_newer(head, &c->head))
		return;
	if ((!is_there || c->head.is_over != head->is_over) && is_full(p, head)) {
		manager_fault(m, LOCK_FAULT_LIMIT); /* together they have too many */
		return;
	}
	if (!is_there) {
		memmove(c + 1, c, (p->candidate_count - at) * sizeof(*c));
		p->candidate_count++;
	} else if (c->head.is_over) {
		p->grave_count--;
	}
	p->grave_count += head->is_over;
	*c = (struct candidate){ .head = *head, .provider = node };
}

/* Who has its newest state; NULL: that node does not. */
struct holders {
	const struct space_head *heads[TOTEM_MAX_NODES];
};

static void find_holders(const struct manager_sync *p, const struct space_head *newest,
			 struct holders *holders)
{
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = manager_head_of(&p->heads[i], newest);

		if (head && space_version_compare(&head->version, &newest->version) == 0)
			holders->heads[i] = head;
	}
}

static int count_equal(const struct holders *holders, uint64_t digest)
{
	int count = 0;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		count += holders->heads[i] && holders->heads[i]->digest == digest;
	return count;
}

/* Of those who have the newest state, what most have. */
static void choose_digest(struct candidate *c, const struct holders *holders)
{
	int most = count_equal(holders, c->head.digest);

	for (int i = 0; i < TOTEM_MAX_NODES; i++) {
		const struct space_head *head = holders->heads[i];

		if (head && head->digest != c->head.digest &&
		    count_equal(holders, head->digest) > most) {
			most = count_equal(holders, head->digest);
			c->head = *head;
			c->provider = i;
		}
	}
}

/* M6: who has another is named, and this node, if it is the one, leaves. */
static void settle_digest(struct lock_manager *m, struct candidate *c)
{
	struct manager_sync *p = &m->phase;
	struct holders holders = { { NULL } };

	find_holders(p, &c->head, &holders);
	choose_digest(c, &holders);
	for (int i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1)) {
		const struct space_head *head = holders.heads[i];

		if (head && head->digest == c->head.digest)
			continue;
		c->needs_table = true;
		if (!head)
			continue;
		m->stats.diverged++;
		p->is_deviant |= i == m->self;
		manager_tell_diverged(m, i, &c->head);
	}
}

static void propose_all(struct lock_manager *m)
{
	const struct manager_sync *p = &m->phase;
	int i;

	for (i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		for (size_t k = 0; k < p->heads[i].grave_count; k++)
			propose(m, i, &p->heads[i].graves[k]);
	for (i = set_next(p->partners, 0); i >= 0; i = set_next(p->partners, i + 1))
		for (size_t k = 0; k < p->heads[i].count; k++)
			if (!roster_is_void(m, &p->heads[i].spaces[k]))
				propose(m, i, &p->heads[i].spaces[k]);
}

/* Who is away may have it; so may who has it and is gone before this phase is over. */
static bool may_come_back(const struct lock_manager *m, const struct space_head *grave)
{
	const struct manager_sync *p = &m->phase;

	for (int i = 0; i < m->config.nodes.count; i++)
		if (!set_has(&p->partners, i) || head_named(&p->heads[i], grave))
			return true;
	return false;
}

/* They are no candidates: nobody tells more of them. */
static void part_graves(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	size_t count = 0;

	p->grave_count = 0;
	for (size_t k = 0; k < p->candidate_count; k++) {
		const struct candidate *c = &p->candidates[k];

		if (!c->head.is_over)
			p->candidates[count++] = *c;
		else if (may_come_back(m, &c->head))
			p->graves[p->grave_count++] = c->head;
	}
	p->candidate_count = count;
}

void manager_choose(struct lock_manager *m)
{
	struct manager_sync *p = &m->phase;
	size_t room = 0;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		room += p->heads[i].count + p->heads[i].grave_count;
	p->candidates = calloc(room + 1, sizeof(*p->candidates));
	p->graves = calloc(LOCK_MANAGER_MAX_GRAVES, sizeof(*p->graves));
	if (!p->candidates || !p->graves) {
		manager_break(m, "has no memory for others' locks");
		return;
	}
	propose_all(m);
	part_graves(m);
	for (size_t k = 0; k < p->candidate_count; k++) {
		settle_digest(m, &p->candidates[k]);
		set_add(&p->providers, p->candidates[k].provider);
	}
	if (p->is_deviant)
		manager_break(m, "has a lock table that differs from the others'");
}

bool manager_keeps(const struct lock_manager *m, const struct candidate *c)
{
	const struct space_head *own = manager_head_of(&m->phase.heads[m->self], &c->head);

	return own && own->digest == c->head.digest &&
	       space_version_compare(&own->version, &c->head.version) == 0;
}
