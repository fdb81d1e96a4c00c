/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people see, and why there is no quorum. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mdclusterd/quorum/quorum_private.h"

struct words {
	char *to;
	const struct quorum *q;
	const char *(*name)(void *owner, uint32_t id);
	void *owner;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
	size_t at = strlen(w->to);
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->to + at, QUORUM_WHY_BYTES - at, fmt, args);
	va_end(args);
}

static void say_node(struct words *w, uint32_t id, bool *is_first)
{
	if (w->name)
		say(w, "%s%s", *is_first ? "" : ", ", w->name(w->owner, id));
	else
		say(w, "%s%" PRIu32, *is_first ? "" : ", ", id);
	*is_first = false;
}

/* Voters of the basis that are not there. */
static void say_missing(struct words *w, const struct basis *b)
{
	bool is_first = true;

	for (uint32_t i = 0; i < b->count; i++) {
		int index = node_index(&w->q->options.nodes, b->ids[i]);

		if (b->votes[i] == 0 || (index != TOTEM_NO_INDEX && set_has(&w->q->members, index)))
			continue;
		if (is_first)
			say(w, "; missing: ");
		say_node(w, b->ids[i], &is_first);
	}
}

static void say_device(struct words *w)
{
	const struct quorum_verdict *v = &w->q->verdict;

	if (w->q->options.device_votes == 0 || !v->would_win_by_device)
		return;
	if (v->device_taker == TOTEM_NO_INDEX)
		say(w, "; no node here can use the tie-breaker disk");
	else
		say(w, "; the tie-breaker disk's lease is being taken");
}

static void explain(struct words *w)
{
	const struct quorum_verdict *v = &w->q->verdict;
	const struct basis *b = &v->basis;
	struct basis configured;

	if (w->q->phase < PHASE_ACTIVE) {
		say(w, "a new configuration of the ring is being made");
		return;
	}
	if (w->q->is_device_late) {
		say(w, "the lease of the tie-breaker disk is over");
		return;
	}
	if (!v->is_released) {
		basis_of_options(&w->q->options, &configured);
		say(w, "wait_for_all: not all nodes were there at once yet");
		say_missing(w, &configured);
		return;
	}
	for (int i = 0; i < v->known.candidate_count; i++)
		if (!basis_holds(&v->known.candidates[i], &w->q->options.nodes, w->q->members,
				 false, false))
			b = &v->known.candidates[i];
	say(w, "%" PRIu32 " of %" PRIu32 " votes, %" PRIu32 " are needed",
	    basis_votes(b, &w->q->options.nodes, w->q->members,
			v->device_holder != TOTEM_NO_INDEX),
	    b->expected, basis_quorum(b, w->q->options.is_two_node));
	if (b->number > 0)
		say(w, " of those who %s the last quorum",
		    b == &v->basis ? "were in" : "may have been in");
	say_missing(w, b);
	say_device(w);
}

void quorum_look(const struct quorum *q, uint64_t now,
		 const char *(*name)(void *owner, uint32_t id), void *owner,
		 struct quorum_look *look)
{
	const struct quorum_verdict *v = &q->verdict;
	struct words w = { look->why, q, name, owner };
	struct basis configured;
	const struct basis *b = &v->basis;

	memset(look, 0, sizeof(*look));
	if (q->phase < PHASE_DECIDED && q->record.formed.number == 0) {
		basis_of_options(&q->options, &configured);
		b = &configured;
	} else if (q->phase < PHASE_DECIDED) {
		b = &q->record.formed;
	}
	look->is_quorate = quorum_is_quorate(q, now);
	look->waits_for_all = q->waits;
	look->has_device = q->device_until > now;
	look->counts_device = v->counts_device;
	look->votes = v->votes;
	look->expected = b->expected;
	look->highest_expected = v->highest_expected > b->expected ? v->highest_expected :
								     b->expected;
	look->quorum = basis_quorum(b, q->options.is_two_node);
	look->basis = b->number;
	look->candidates = q->record.candidate_count;
	look->members = q->members;
	for (int i = 0; i < q->options.nodes.count; i++) {
		look->node_votes[i] = q->options.votes[i];
		if (basis_find(b, q->options.nodes.ids[i]) >= 0)
			set_add(&look->in_basis, i);
	}
	if (!look->is_quorate)
		explain(&w);
}

const struct quorum_options *quorum_settings(const struct quorum *q)
{
	return &q->options;
}
