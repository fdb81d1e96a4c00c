/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/quorum/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { MOST_ROUNDS = 40 };

void model_init(struct model *m, int nodes)
{
	memset(m, 0, sizeof(*m));
	m->now = 1000 * MODEL_MS;
	m->count = m->options.nodes.count = nodes;
	m->device_holder = -1;
	m->options.last_man_standing_window_ns = 10000 * MODEL_MS;
	for (int i = 0; i < nodes; i++) {
		m->options.nodes.ids[i] = (uint32_t)i + 1;
		m->options.votes[i] = 1;
		m->nodes[i].boot[0] = 1;
		m->nodes[i].can_reach_device = true;
	}
}

void model_fini(struct model *m)
{
	for (int i = 0; i < m->count; i++)
		quorum_free(m->nodes[i].q);
}

/* --- nodes --------------------------------------------------------------------------------- */

static void save(struct model_node *n)
{
	quorum_memory(n->q, n->memory);
	n->has_memory = true;
}

void model_up(struct model *m, int node)
{
	struct model_node *n = &m->nodes[node];
	struct quorum_options o = m->options;
	struct err err = ERR_INIT;

	if (n->is_up)
		return;
	o.self = node;
	n->q = quorum_new(&o, n->boot, n->has_memory ? n->memory : NULL, &err);
	if (!n->q) {
		fprintf(stderr, "node %d: %s\n", node + 1, err.text);
		abort();
	}
	n->is_up = true;
	n->configured = (struct node_set){ { 0 } };
	quorum_set_device_usable(n->q, n->can_reach_device);
}

void model_down(struct model *m, int node)
{
	struct model_node *n = &m->nodes[node];

	quorum_free(n->q);
	n->q = NULL;
	n->is_up = false;
}

void model_leave(struct model *m, int node)
{
	struct model_node *n = &m->nodes[node];

	if (!n->is_up)
		return;
	quorum_set_leaving(n->q);
	model_settle(m);
	quorum_set_stopped(n->q);
	save(n);
	if (m->device_holder == node)
		m->device_holder = -1;
	model_down(m, node);
}

void model_reboot(struct model *m, int node)
{
	m->nodes[node].boot[0]++;
}

void model_split(struct model *m, int node, int part)
{
	m->nodes[node].part = part;
}

void model_reload(struct model *m)
{
	for (int i = 0; i < m->count; i++)
		if (m->nodes[i].is_up)
			quorum_set_votes(m->nodes[i].q, &m->options);
}

struct node_set model_part(const struct model *m, int node)
{
	struct node_set part = { { 0 } };

	for (int i = 0; i < m->count; i++)
		if (m->nodes[i].is_up && m->nodes[i].part == m->nodes[node].part)
			set_add(&part, i);
	return part;
}

bool model_is_quorate(const struct model *m, int node)
{
	return m->nodes[node].is_up && quorum_is_quorate(m->nodes[node].q, m->now);
}

bool model_has_two(const struct model *m)
{
	int part = -1;

	for (int i = 0; i < m->count; i++) {
		if (!model_is_quorate(m, i))
			continue;
		if (part >= 0 && part != m->nodes[i].part)
			return true;
		part = m->nodes[i].part;
	}
	return false;
}

/* --- configurations ------------------------------------------------------------------------- */

#define EACH(i, set) \
	(int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))

static void tell_all(struct model *m, struct node_set members)
{
	static uint8_t bytes[QUORUM_MEMORY_BYTES];

	for EACH(from, members) {
		size_t length = quorum_tell(m->nodes[from].q, m->now, bytes);

		for EACH(to, members)
			if (quorum_hear(m->nodes[to].q, m->now, from, bytes, length) < 0)
				abort();
	}
}

bool model_round(struct model *m, struct node_set members, struct node_set kept,
		 struct node_set active)
{
	bool must_keep = false;

	for EACH(i, members)
		quorum_begin(m->nodes[i].q, m->now, members);
	tell_all(m, members);
	for EACH(i, members) {
		struct model_node *n = &m->nodes[i];

		if (!quorum_has_heard_all(n->q))
			abort();
		if (quorum_decide(n->q, m->now)) {
			must_keep = true;
			if (set_has(&kept, i))
				save(n);
		}
	}
	if (must_keep && !set_equal(kept, members))
		return true;
	for EACH(i, active) {
		quorum_activate(m->nodes[i].q, m->now);
		m->nodes[i].configured = members;
		m->is_divided |= model_has_two(m);
	}
	return must_keep;
}

void model_scatter(struct model *m)
{
	for (int i = 0; i < m->count; i++) {
		if (m->nodes[i].q)
			quorum_end(m->nodes[i].q);
		m->nodes[i].configured = (struct node_set){ { 0 } };
	}
}

/* What the ring of these nodes would do. True: something happened. */
static bool make_configurations(struct model *m)
{
	bool is_new = false;

	for (int i = 0; i < m->count; i++) /* who is cut off sees that first */
		if (m->nodes[i].is_up && !set_equal(m->nodes[i].configured, model_part(m, i)))
			quorum_end(m->nodes[i].q);
	for (int i = 0; i < m->count; i++) {
		struct node_set part = model_part(m, i);
		bool is_due = false;

		if (!m->nodes[i].is_up || set_next(part, 0) != i)
			continue;
		for EACH(j, part)
			is_due |= !set_equal(m->nodes[j].configured, part) ||
				  quorum_wants_again(m->nodes[j].q);
		if (!is_due)
			continue;
		is_new = true;
		model_round(m, part, part, part);
		for EACH(j, part)
			if (quorum_memory_has_changed(m->nodes[j].q))
				save(&m->nodes[j]);
	}
	return is_new;
}

/* A lease as it should be: one holder, and nobody before its end, whoever held it. */
static bool run_device(struct model *m)
{
	const uint64_t lease = MODEL_DEVICE_LEASE_MS * MODEL_MS;
	bool is_new = false;

	for (int i = 0; i < m->count; i++) {
		struct model_node *n = &m->nodes[i];
		bool is_holder = m->device_holder == i;

		if (!n->is_up)
			continue;
		quorum_set_device_usable(n->q, n->can_reach_device);
		if (is_holder && n->can_reach_device && !quorum_wants_device(n->q)) {
			m->device_holder = -1;
			quorum_set_device(n->q, m->now, 0);
			is_new = true;
		} else if (n->can_reach_device && quorum_wants_device(n->q) &&
			   (is_holder || m->device_holder < 0 || m->now >= m->device_until)) {
			is_new |= !is_holder;
			m->device_holder = i;
			m->device_until = m->now + lease;
			quorum_set_device(n->q, m->now, m->device_until);
		} else if (is_holder && m->now >= m->device_until) {
			m->device_holder = -1;
			quorum_set_device(n->q, m->now, 0);
			is_new = true;
		}
	}
	return is_new;
}

void model_settle(struct model *m)
{
	for (int i = 0; i < MOST_ROUNDS; i++) {
		bool is_new = make_configurations(m);

		is_new |= m->options.device_votes > 0 && run_device(m);
		if (!is_new)
			return;
	}
	if (m->tell)
		m->tell(m->owner, "the configurations do not come to rest");
	m->is_divided = true;
}

void model_wait(struct model *m, uint64_t ms)
{
	for (uint64_t step; ms > 0; ms -= step) {
		step = ms < 500 ? ms : 500;
		m->now += step * MODEL_MS;
		for (int i = 0; i < m->count; i++)
			if (m->nodes[i].is_up)
				quorum_advance(m->nodes[i].q, m->now);
		model_settle(m);
	}
}
