/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Q1 for all that can happen to a few nodes, up to so many steps, with each set of options.
 * A step: the nodes that are up fall into any parts, and each part comes to a configuration;
 * one of them may be broken off at any point (only some have made durable what they were to;
 * only some have seen its end), or is told something first: that the window of
 * last_man_standing is over, that a node leaves, that votes have changed. Or a node dies; or
 * starts, on the same host or on one that has started anew. Every state that was reached is
 * gone on from once.
 *
 * QUORUM_NODES (3..5) and QUORUM_STEPS say how far, for a soak.
 */
#include "tests/unit/help.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdclusterd/quorum/quorum_private.h"
#include "tests/quorum/model.h"

enum { MOST_NODES = 5, TABLE_BITS = 22 };

/* What a node is between two steps: nobody is in a configuration then. */
struct kept_node {
	uint8_t is_up, boot, has_memory, waits, has_new_votes;
	uint16_t memory_bytes, life_bytes; /* within bytes[] */
};

/* A state, as bytes: compared, hashed, gone on from. */
struct state {
	const struct state *parent;
	char how[80]; /* the step that led to it */
	uint16_t length;
	uint8_t depth;
	uint8_t bytes[];
};

struct search {
	struct quorum_options options;
	struct quorum_options new_votes; /* after a reload */
	bool has_reload;
	int count, steps;
	struct state **table, **queue;
	size_t queued, room;
	uint64_t configurations;
	char how[80];                    /* the step that is tried */
	struct model m;
	const struct state *from;
};

/* --- states -------------------------------------------------------------------------------- */

static uint16_t used_bytes(const uint8_t *memory)
{
	uint16_t n = QUORUM_MEMORY_BYTES;

	while (n > 0 && memory[n - 1] == 0)
		n--;
	return n;
}

static struct state *save_state(struct search *s, uint8_t depth)
{
	static uint8_t bytes[MOST_NODES * (sizeof(struct kept_node) + 2 * QUORUM_MEMORY_BYTES)];
	static uint8_t life[QUORUM_MEMORY_BYTES];
	struct state *state;
	size_t at = 0;

	for (int i = 0; i < s->count; i++) {
		struct model_node *n = &s->m.nodes[i];
		struct kept_node k = { .is_up = n->is_up, .boot = n->boot[0],
				       .has_memory = n->has_memory };

		if (n->is_up) {
			const struct quorum_memory m = { .record = n->q->record };

			quorum_put_memory(life, &m);
			k.life_bytes = used_bytes(life);
			k.waits = n->q->waits;
			k.has_new_votes = quorum_origin(&n->q->options) !=
					  quorum_origin(&n->q->first);
		}
		if (n->has_memory)
			k.memory_bytes = used_bytes(n->memory);
		memcpy(bytes + at, &k, sizeof(k));
		at += sizeof(k);
		memcpy(bytes + at, n->memory, k.memory_bytes);
		at += k.memory_bytes;
		memcpy(bytes + at, life, k.life_bytes);
		at += k.life_bytes;
	}
	state = malloc(sizeof(*state) + at);
	assert_non_null(state);
	state->length = (uint16_t)at;
	state->depth = depth;
	state->parent = depth > 0 ? s->from : NULL;
	memcpy(state->how, s->how, sizeof(state->how));
	memcpy(state->bytes, bytes, at);
	return state;
}

static void load_state(struct search *s, const struct state *state)
{
	static uint8_t life[QUORUM_MEMORY_BYTES];
	size_t at = 0;

	for (int i = 0; i < s->count; i++) {
		struct model_node *n = &s->m.nodes[i];
		struct kept_node k;

		memcpy(&k, state->bytes + at, sizeof(k));
		at += sizeof(k);
		model_down(&s->m, i);
		n->boot[0] = k.boot;
		n->has_memory = k.has_memory;
		memset(n->memory, 0, sizeof(n->memory));
		memcpy(n->memory, state->bytes + at, k.memory_bytes);
		at += k.memory_bytes;
		if (k.is_up) {
			struct quorum_memory m;

			n->has_memory = false;
			model_up(&s->m, i);
			n->has_memory = k.has_memory;
			memset(life, 0, sizeof(life));
			memcpy(life, state->bytes + at, k.life_bytes);
			assert_true(quorum_get_memory(life, &m));
			n->q->record = m.record;
			n->q->waits = k.waits;
			if (k.has_new_votes)
				quorum_set_votes(n->q, &s->new_votes);
		}
		at += k.life_bytes;
	}
	s->m.is_divided = false;
	s->m.now = 1000 * MODEL_MS;
}

static void note(struct search *s, uint8_t depth)
{
	struct state *state = save_state(s, depth);
	uint64_t hash = 0xcbf29ce484222325ull;
	size_t at;

	for (size_t i = 0; i < state->length; i++)
		hash = (hash ^ state->bytes[i]) * 0x100000001b3ull;
	for (at = hash >> (64 - TABLE_BITS); s->table[at];
	     at = (at + 1) & ((1u << TABLE_BITS) - 1))
		if (s->table[at]->length == state->length &&
		    memcmp(s->table[at]->bytes, state->bytes, state->length) == 0) {
			free(state);
			return;
		}
	s->table[at] = state;
	if (s->queued == s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		assert_true(s->room < 1u << TABLE_BITS);
		s->queue = reallocarray(s->queue, s->room, sizeof(struct state *));
		assert_non_null(s->queue);
	}
	s->queue[s->queued++] = state;
}

/* --- steps ---------------------------------------------------------------------------------- */

static struct node_set of_mask(unsigned int mask)
{
	return (struct node_set){ { mask } };
}

/* Each part to its end, but for one that is broken off. */
struct trial {
	unsigned int part_of[MOST_NODES]; /* masks */
	int parts;
	int broken;                       /* the part, -1: none */
	unsigned int kept, active;        /* of the broken one's */
	int told;                         /* the part that is told something, -1: none */
	char what;                        /* 'w' window, 'v' votes, 'l' its lowest node leaves */
};

static void tell_first(struct search *s, const struct trial *t, struct node_set members)
{
	int lowest = set_next(members, 0);

	for (int i = lowest; i != TOTEM_NO_INDEX; i = set_next(members, i + 1)) {
		struct quorum *q = s->m.nodes[i].q;

		if (t->what == 'v')
			quorum_set_votes(q, &s->new_votes);
		q->window_of = members;
		q->is_window_over = t->what == 'w';
		q->is_leaving = t->what == 'l' && i == lowest;
	}
}

static void forget_told(struct search *s, struct node_set members)
{
	for (int i = set_next(members, 0); i != TOTEM_NO_INDEX; i = set_next(members, i + 1)) {
		s->m.nodes[i].q->is_window_over = s->m.nodes[i].q->is_leaving = false;
		s->m.nodes[i].q->window_of = (struct node_set){ { 0 } };
	}
}

static void describe(struct search *s, const struct trial *t, bool is_saved)
{
	size_t at = 0;

	for (int p = 0; p < t->parts; p++) {
		for (int i = 0; i < s->count; i++)
			if (t->part_of[p] >> i & 1)
				at += (size_t)snprintf(s->how + at, sizeof(s->how) - at, "%d",
						       i + 1);
		if (p == t->told)
			at += (size_t)snprintf(s->how + at, sizeof(s->how) - at, "%c", t->what);
		if (p == t->broken)
			at += (size_t)snprintf(s->how + at, sizeof(s->how) - at,
					       " kept %x active %x", t->kept, t->active);
		at += (size_t)snprintf(s->how + at, sizeof(s->how) - at, "|");
	}
	snprintf(s->how + at, sizeof(s->how) - at, "%s", is_saved ? "" : " its end not kept");
}

static void tell_story(const struct search *s)
{
	const struct quorum_options *o = &s->options;

	for (const struct state *at = s->from; at->parent; at = at->parent)
		print_error("before that: %s\n", at->how);
	fail_msg("two parts are quorate: %s; tie %d, wait_for_all %d, last_man_standing %d, allow_downscale %d",
		 s->how, (int)o->tie, o->waits_for_all, o->is_last_man_standing,
		 o->allows_downscale);
}

/* True: there was something to be kept. */
static bool try_it(struct search *s, const struct trial *t, bool is_saved)
{
	bool must_keep = false;

	describe(s, t, is_saved);
	load_state(s, s->from);
	for (int p = 0; p < t->parts; p++)
		for (int i = 0; i < s->count; i++)
			if (t->part_of[p] >> i & 1)
				model_split(&s->m, i, p);
	for (int p = 0; p < t->parts; p++) {
		struct node_set all = of_mask(t->part_of[p]);
		bool is_broken = p == t->broken, kept;

		if (p == t->told)
			tell_first(s, t, all);
		kept = model_round(&s->m, all, is_broken ? of_mask(t->kept) : all,
				   is_broken ? of_mask(t->active) : all);
		must_keep |= kept && (p == t->told || t->told < 0);
		s->configurations++;
		for (int i = 0; i < s->count && is_saved; i++)
			if (!is_broken && t->part_of[p] >> i & 1 &&
			    quorum_memory_has_changed(s->m.nodes[i].q)) {
				quorum_memory(s->m.nodes[i].q, s->m.nodes[i].memory);
				s->m.nodes[i].has_memory = true;
			}
		if (p == t->told)
			forget_told(s, all);
	}
	if (s->m.is_divided)
		tell_story(s);
	model_scatter(&s->m);
	note(s, (uint8_t)(s->from->depth + 1));
	return must_keep;
}

/* All ways to break off one part, where it has something to keep. */
static void break_off(struct search *s, struct trial t, int part)
{
	unsigned int all = t.part_of[part];

	t.broken = part;
	t.active = 0;
	for (t.kept = (all - 1) & all; t.kept > 0; t.kept = (t.kept - 1) & all)
		try_it(s, &t, true);
	try_it(s, &t, true);
	t.kept = all;
	for (t.active = (all - 1) & all; t.active > 0; t.active = (t.active - 1) & all)
		try_it(s, &t, true);
	try_it(s, &t, true);
}

static void try_parts(struct search *s, const struct trial *parts)
{
	struct trial t = *parts;
	static const char whats[] = "wlv";

	t.broken = t.told = -1;
	t.what = 0;
	try_it(s, &t, false); /* the end was not made durable */
	if (try_it(s, &t, true)) {
		for (int p = 0; p < t.parts; p++)
			break_off(s, t, p);
	}
	for (t.told = 0; t.told < t.parts; t.told++)
		for (const char *what = whats; *what; what++) {
			if ((*what == 'w' && !s->options.is_last_man_standing) ||
			    (*what == 'l' && !s->options.allows_downscale) ||
			    (*what == 'v' && !s->has_reload))
				continue;
			t.what = *what;
			t.broken = -1;
			try_it(s, &t, false);
			if (try_it(s, &t, true))
				break_off(s, t, t.told);
		}
}

static void each_parts(struct search *s, struct trial *t, int node)
{
	while (node < s->count && !s->m.nodes[node].is_up)
		node++;
	if (node >= s->count) {
		if (t->parts > 0)
			try_parts(s, t);
		load_state(s, s->from); /* who is up is asked again */
		return;
	}
	for (int p = 0; p <= t->parts; p++) {
		bool is_new = p == t->parts;

		if (is_new) {
			t->parts++;
			t->part_of[p] = 0;
		}
		t->part_of[p] |= 1u << node;
		each_parts(s, t, node + 1);
		t->part_of[p] &= ~(1u << node);
		if (is_new) {
			t->parts--;
			break;
		}
	}
}

static void die_and_start(struct search *s)
{
	for (int i = 0; i < s->count; i++) {
		load_state(s, s->from);
		if (s->m.nodes[i].is_up) {
			model_down(&s->m, i);
			snprintf(s->how, sizeof(s->how), "%d dies", i + 1);
			note(s, (uint8_t)(s->from->depth + 1));
		}
		snprintf(s->how, sizeof(s->how), "%d starts anew", i + 1);
		model_up(&s->m, i);
		model_scatter(&s->m);
		note(s, (uint8_t)(s->from->depth + 1));
		load_state(s, s->from);
		model_down(&s->m, i);
		if (s->m.nodes[i].boot[0] > 1)
			continue;
		model_reboot(&s->m, i);
		snprintf(s->how, sizeof(s->how), "%d starts on a new boot", i + 1);
		model_up(&s->m, i);
		note(s, (uint8_t)(s->from->depth + 1));
	}
}

static uint64_t search(const struct search *what)
{
	struct search s = *what;
	struct trial t = { .parts = 0 };

	model_init(&s.m, s.count);
	s.m.options = s.options;
	s.table = calloc(1u << TABLE_BITS, sizeof(struct state *));
	assert_non_null(s.table);
	for (int i = 0; i < s.count; i++)
		model_up(&s.m, i);
	note(&s, 0);
	for (size_t i = 0; i < s.queued; i++) {
		s.from = s.queue[i];
		if (s.from->depth >= s.steps)
			break;
		load_state(&s, s.from);
		each_parts(&s, &t, 0);
		die_and_start(&s);
	}
	for (size_t i = 0; i < s.queued; i++)
		free(s.queue[i]);
	free(s.queue);
	free(s.table);
	model_fini(&s.m);
	print_message("%d nodes, %d steps: %zu states, %" PRIu64 " configurations\n", s.count,
		      s.steps, s.queued, s.configurations);
	return s.configurations;
}

/* --- options ----------------------------------------------------------------------------------- */

static void set_nodes(struct search *s, int count)
{
	s->count = s->options.nodes.count = count;
	s->options.last_man_standing_window_ns = 1;
	for (int i = 0; i < count; i++) {
		s->options.nodes.ids[i] = (uint32_t)i + 1;
		s->options.votes[i] = 1;
	}
	s->new_votes = s->options;
	s->new_votes.votes[0] = 3;
}

static int from_environment(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text ? atoi(text) : otherwise;
}

/* Bits of `which`: what is on. */
static void with(int nodes, int steps, unsigned int which, enum quorum_tie tie)
{
	struct search s = { .steps = from_environment("QUORUM_STEPS", steps) };

	nodes = from_environment("QUORUM_NODES", nodes);
	set_nodes(&s, nodes);
	s.options.waits_for_all = which & 1;
	s.options.is_last_man_standing = which & 2;
	s.options.allows_downscale = which & 4;
	s.has_reload = which & 8;
	s.options.tie = tie;
	if (tie == QUORUM_TIE_LIST) {
		s.options.tie_nodes[0] = 2;
		s.options.tie_nodes[1] = 1;
		s.options.tie_count = 2;
	}
	s.new_votes.waits_for_all = s.options.waits_for_all;
	search(&s);
}

static void three_nodes_with_each_set_of_options(void **state)
{
	(void)state;
	for (unsigned int which = 0; which < 16; which++)
		for (int tie = QUORUM_TIE_NONE; tie <= QUORUM_TIE_LIST; tie++)
			with(3, 2, which, (enum quorum_tie)tie);
	with(3, 3, 2, QUORUM_TIE_LOWEST);
}

static void four_nodes_that_shrink_and_break_ties(void **state)
{
	(void)state;
	with(4, 2, 2, QUORUM_TIE_LOWEST);
	for (int tie = QUORUM_TIE_NONE; tie <= QUORUM_TIE_LIST; tie++)
		with(4, 1, 15, (enum quorum_tie)tie);
}

static void five_nodes_that_shrink_and_break_ties(void **state)
{
	(void)state;
	for (int tie = QUORUM_TIE_NONE; tie <= QUORUM_TIE_LIST; tie++)
		with(5, 1, 15, (enum quorum_tie)tie);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_nodes_with_each_set_of_options),
		cmocka_unit_test(four_nodes_that_shrink_and_break_ties),
		cmocka_unit_test(five_nodes_that_shrink_and_break_ties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
