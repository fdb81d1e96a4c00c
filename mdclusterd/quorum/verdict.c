/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a configuration comes to, from what its members told and from nothing else: Q1..Q4.
 *
 * Why Q1 holds. A basis is formed where a part S has a quorum of all that might count before,
 * without the device and without two_node, and all of S have made it durable first. A part
 * that knows nothing of it has none of S in it, hence no majority (nor the half with the
 * tie's node) of what S had one of. A part that knows of it needs a majority of it.
 */
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/quorum/quorum_private.h"

#define EACH(i, set) \
	(int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))

/* --- what anybody knows ------------------------------------------------------------------ */

/* False: more than there is room for. */
static bool add_candidate(struct quorum_record *known, const struct basis *b)
{
	for (int i = 0; i < known->candidate_count; i++)
		if (known->candidates[i].number == b->number &&
		    basis_same_content(&known->candidates[i], b))
			return true;
	if (known->candidate_count == QUORUM_MAX_CANDIDATES)
		return false;
	known->candidates[known->candidate_count++] = *b;
	return true;
}

/* What is formed makes all before it void. */
static bool merge(struct node_set members, const struct quorum_told *told,
		  struct quorum_record *known)
{
	bool is_all = true;

	memset(known, 0, sizeof(*known));
	for EACH(i, members)
		if (told[i].record.formed.number > known->formed.number)
			known->formed = told[i].record.formed;
	for EACH(i, members) {
		const struct quorum_record *r = &told[i].record;

		/* by hand on two sides: both count */
		if (r->formed.number > 0 && r->formed.number == known->formed.number &&
		    !basis_same_content(&r->formed, &known->formed))
			is_all &= add_candidate(known, &r->formed);
		for (int c = 0; c < r->candidate_count; c++)
			if (r->candidates[c].number > known->formed.number)
				is_all &= add_candidate(known, &r->candidates[c]);
	}
	return is_all;
}

static uint64_t highest_number(const struct quorum_record *known)
{
	uint64_t number = known->formed.number;

	for (int i = 0; i < known->candidate_count; i++)
		number = max_u64(number, known->candidates[i].number);
	return number;
}

/* The configuration as the members were started with: each knows its own votes best. */
static void first_basis(const struct node_table *nodes, struct node_set members,
			const struct quorum_told *told, struct basis *b)
{
	int first = set_next(members, 0);
	struct quorum_options o;

	quorum_options_by(&told[first].first, nodes, &o);
	basis_of_options(&o, b);
	b->origin = told[first].first_origin;
	for EACH(i, members) {
		b->votes[basis_find(b, nodes->ids[i])] = told[i].first.votes[i];
		if (told[i].first.expected > b->expected)
			b->expected = told[i].first.expected;
		if (told[i].first_origin != b->origin)
			b->origin = 0;
	}
	if (b->expected < basis_sum(b) + b->device_votes)
		b->expected = basis_sum(b) + b->device_votes; /* Q6 */
}

static bool wins(const struct quorum_options *o, struct node_set members,
		 const struct quorum_verdict *v, bool has_device, bool is_two_node)
{
	if (!basis_holds(&v->basis, &o->nodes, members, has_device, is_two_node))
		return false;
	for (int i = 0; i < v->known.candidate_count; i++)
		if (!basis_holds(&v->known.candidates[i], &o->nodes, members, has_device,
				 is_two_node))
			return false;
	return true;
}

/* --- the next basis -------------------------------------------------------------------------- */

static bool all_have_one_origin(struct node_set members, const struct quorum_told *told)
{
	int first = set_next(members, 0);

	for EACH(i, members)
		if (told[i].origin != told[first].origin)
			return false;
	return true;
}

static bool has_all_voters(const struct quorum_options *o, struct node_set members)
{
	for (int i = 0; i < o->nodes.count; i++)
		if (o->votes[i] > 0 && !set_has(&members, i))
			return false;
	return true;
}

/* Who is back counts again. */
static void grow(const struct quorum_options *o, struct node_set members, struct basis *b)
{
	for EACH(i, members)
		basis_add(b, o->nodes.ids[i], o->votes[i]);
	if (b->expected < basis_sum(b) + b->device_votes)
		b->expected = basis_sum(b) + b->device_votes;
}

static void shrink_to(const struct quorum_options *o, struct node_set members, struct basis *b)
{
	for (int at = (int)b->count - 1; at >= 0; at--) {
		int index = node_index(&o->nodes, b->ids[at]);

		if (index == TOTEM_NO_INDEX || !set_has(&members, index))
			basis_remove(b, b->ids[at]);
	}
	b->expected = basis_sum(b) + b->device_votes;
}

static void take_out(const struct quorum_options *o, struct node_set leaving, struct basis *b)
{
	for EACH(i, leaving) {
		int at = basis_find(b, o->nodes.ids[i]);

		if (at < 0)
			continue;
		b->expected -= b->votes[at];
		basis_remove(b, o->nodes.ids[i]);
	}
}

static struct node_set who(struct node_set members, const struct quorum_told *told,
			   bool (*does)(const struct quorum_told *t))
{
	struct node_set found = { { 0 } };

	for EACH(i, members)
		if (does(&told[i]))
			set_add(&found, i);
	return found;
}

static bool is_leaving(const struct quorum_told *t)
{
	return t->is_leaving;
}

static bool has_window_over(const struct quorum_told *t)
{
	return t->is_window_over;
}

static bool can_use_device(const struct quorum_told *t)
{
	return t->can_use_device;
}

static bool has_device(const struct quorum_told *t)
{
	return t->device_left_ns > 0;
}

static bool asks_by_hand(const struct quorum_told *t)
{
	return t->by_hand > 0;
}

/* What the members' configuration, their coming and going make of the basis. */
static void next_basis(const struct quorum_options *o, struct node_set members,
		       const struct quorum_told *told, const struct basis *now,
		       struct basis *next, struct node_set *staying)
{
	struct node_set leaving = who(members, told, is_leaving);
	struct basis configured;
	uint32_t tie;

	*next = *now;
	*staying = members;
	basis_of_options(o, &configured);
	if (all_have_one_origin(members, told) &&
	    (now->origin != configured.origin || has_all_voters(o, members)))
		*next = configured;
	else if (now->number > 0)
		grow(o, members, next);
	if (o->is_last_man_standing && !set_is_empty(who(members, told, has_window_over)))
		shrink_to(o, members, next);
	if (o->allows_downscale) {
		*staying = set_minus(members, leaving);
		take_out(o, leaving, next);
	}
	tie = basis_tie_node(next, o, *staying);
	next->tie_node = tie ? tie : now->tie_node;
}

static void set_candidate(struct quorum_verdict *v, const struct basis *b)
{
	if (v->known.candidate_count == QUORUM_MAX_CANDIDATES)
		return;
	v->candidate = *b;
	v->candidate.number = highest_number(&v->known) + 1;
	v->has_candidate = true;
}

static void choose_candidate(const struct quorum_options *o, struct node_set members,
			     const struct quorum_told *told, struct quorum_verdict *v)
{
	struct node_set staying;
	struct basis next;

	if (!wins(o, members, v, false, false))
		return;
	next_basis(o, members, told, &v->basis, &next, &staying);
	if (basis_same_content(&next, &v->basis) && v->known.candidate_count == 0)
		return;
	if (basis_holds(&next, &o->nodes, staying, false, false))
		set_candidate(v, &next);
}

/* Q1: a person says that nobody else is there. */
static void take_by_hand(const struct quorum_options *o, struct node_set members,
			 uint32_t expected, struct quorum_verdict *v)
{
	struct basis b = { .origin = quorum_origin(o) };

	for EACH(i, members)
		basis_add(&b, o->nodes.ids[i], o->votes[i]);
	b.expected = expected > basis_sum(&b) ? expected : basis_sum(&b);
	b.tie_node = basis_tie_node(&b, o, members);
	if (basis_sum(&b) < basis_quorum(&b, false))
		return;
	v->known.candidate_count = 0; /* whatever there was */
	set_candidate(v, &b);
	v->is_by_hand = v->is_won = v->is_released = true;
	v->would_win_by_device = v->counts_device = false;
}

/* --- the verdict ---------------------------------------------------------------------------- */

/* Q4 */
static bool is_released(const struct quorum_options *o, struct node_set members,
			const struct quorum_told *told, const struct quorum_verdict *v)
{
	uint32_t votes = o->device_votes;

	for EACH(i, members) {
		if (!told[i].waits)
			return true;
		votes += told[i].first.votes[i];
	}
	return votes >= v->highest_expected && has_all_voters(o, members);
}

static void look_at_device(struct node_set members, const struct quorum_told *told,
			   struct quorum_verdict *v)
{
	struct node_set takers = who(members, told, can_use_device);

	v->device_holder = set_next(who(members, told, has_device), 0);
	v->device_taker = v->device_holder != TOTEM_NO_INDEX ? v->device_holder :
			  set_is_empty(takers) ? TOTEM_NO_INDEX : set_next(takers, 0);
}

void quorum_verdict(const struct node_table *nodes, struct node_set members,
		    const struct quorum_told *told, struct quorum_verdict *v)
{
	int by_hand = set_next(who(members, told, asks_by_hand), 0);
	struct quorum_options o;
	bool is_all_known, has_it;

	memset(v, 0, sizeof(*v));
	quorum_options_by(&told[set_next(members, 0)].rules, nodes, &o);
	is_all_known = merge(members, told, &v->known);
	if (v->known.formed.number > 0)
		v->basis = v->known.formed;
	else
		first_basis(nodes, members, told, &v->basis);
	for EACH(i, members)
		if (told[i].first.expected > v->highest_expected)
			v->highest_expected = told[i].first.expected;
	look_at_device(members, told, v);
	has_it = v->device_holder != TOTEM_NO_INDEX;
	v->votes = basis_votes(&v->basis, nodes, members, has_it);
	v->is_released = is_released(&o, members, told, v);
	v->is_won = v->is_released && is_all_known && wins(&o, members, v, has_it, o.is_two_node);
	v->counts_device = v->is_won && !wins(&o, members, v, false, o.is_two_node);
	v->would_win_by_device = !v->is_won && v->is_released && is_all_known &&
				 wins(&o, members, v, true, o.is_two_node);
	if (by_hand != TOTEM_NO_INDEX)
		take_by_hand(&o, members, told[by_hand].by_hand, v);
	else if (v->is_won)
		choose_candidate(&o, members, told, v);
}
