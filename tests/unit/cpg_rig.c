/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/cpg_rig.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/unit/help.h"

static void note(struct cpg_rig_node *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct cpg_rig_node *n, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = vsnprintf(n->log + n->log_length, CPG_RIG_LOG - n->log_length, format, ap);
	va_end(ap);
	assert_true(r >= 0 && (size_t)r < CPG_RIG_LOG - n->log_length);
	n->log_length += (size_t)r;
}

uint64_t cpg_rig_random(struct cpg_rig *rig, uint64_t below)
{
	rig->seed = rig->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (rig->seed >> 33) % below;
}

static uint64_t bus_random(void *owner, uint64_t below)
{
	return cpg_rig_random(owner, below);
}

static void bus_ready(void *owner, int slot)
{
	(void)owner;
	(void)slot;
}

/* --- the program above ------------------------------------------------------------------- */

static int op_multicast(void *owner, const uint8_t *bytes, size_t length)
{
	struct cpg_rig_node *n = owner;

	return cpg_bus_multicast(n->rig->bus, n->slot, bytes, length);
}

static void op_rejoin(void *owner)
{
	struct cpg_rig_node *n = owner;

	n->wants_in = true;
	n->rejoined++;
}

static void op_late(void *owner, int node, const char *what)
{
	(void)node;
	(void)what;
	((struct cpg_rig_node *)owner)->late++;
}

static void op_evicted(void *owner, int node, const char *what)
{
	(void)node;
	(void)what;
	((struct cpg_rig_node *)owner)->evicted++;
}

static void op_unheard(void *owner, bool is_unheard)
{
	struct cpg_rig_node *n = owner;

	n->unheard += is_unheard;
	n->heard_again += !is_unheard;
}

static void op_broken(void *owner, const char *why)
{
	((struct cpg_rig_node *)owner)->broken = why;
}

static size_t op_fill(void *owner, uint8_t *payload, size_t room, bool is_sync, bool *is_safe)
{
	struct cpg_rig_node *n = owner;
	int r;

	if (is_sync || n->sent == n->to_send)
		return 0;
	*is_safe = n->sent % 2;
	n->sent++;
	r = snprintf((char *)payload, room, "%d:%d", n->slot, n->sent);
	return n->line_bytes ? n->line_bytes : (size_t)r + 1;
}

static void op_deliver(void *owner, const struct ring_message *m)
{
	struct cpg_rig_node *n = owner;

	assert_false(m->is_sync);
	note(n, "%s ", (const char *)m->payload);
}

static void note_set(struct cpg_rig_node *n, struct node_set s)
{
	for (int i = set_next(s, 0); i != TOTEM_NO_INDEX; i = set_next(s, i + 1))
		note(n, "%d", i + 1);
}

static void op_configured(void *owner, const struct ring_configuration *c)
{
	struct cpg_rig_node *n = owner;

	note(n, "%s%" PRIu32 ".%" PRIu64 "=", c->is_transitional ? "t" : "n", c->ring.rep,
	     c->ring.seq);
	note_set(n, c->members);
	note(n, "%s", set_is_empty(c->left) ? "" : "-");
	note_set(n, c->left);
	note(n, " ");
	if (c->is_transitional)
		return;
	assert_true(c->ring.seq > n->last_seq); /* E5 */
	assert_true(c->ring.seq < n->saved + RING_SEQ_STRIDE);
	n->last_seq = c->ring.seq;
	if (!n->holds_plug)
		cpg_order_synchronised(n->order, n->rig->now);
}

static void op_torn(void *owner)
{
	struct cpg_rig_node *n = owner;

	n->torn++;
	note(n, "torn ");
}

static void op_unplugged(void *owner)
{
	((struct cpg_rig_node *)owner)->unplugged++;
}

static void op_save_seq(void *owner, uint64_t seq)
{
	struct cpg_rig_node *n = owner;

	if (n->saves_nothing)
		return;
	n->saved = seq;
	cpg_order_seq_saved(n->order, n->rig->now, seq);
}

/* --- life ---------------------------------------------------------------------------------- */

void cpg_rig_init(struct cpg_rig *rig, int count)
{
	static const struct cpg_bus_ops ops = { bus_ready, bus_random };

	memset(rig, 0, sizeof(*rig));
	rig->count = count;
	rig->seed = 1;
	rig->now = NS_PER_S;
	rig->bus = cpg_bus_new(&ops, rig);
	for (int i = 0; i < count; i++)
		cpg_rig_start(rig, i);
}

void cpg_rig_fini(struct cpg_rig *rig)
{
	for (int i = 0; i < CPG_BUS_SLOTS; i++)
		cpg_order_free(rig->nodes[i].order);
	cpg_bus_free(rig->bus);
}

void cpg_rig_start_at(struct cpg_rig *rig, int slot, int index)
{
	static const struct cpg_order_ops ops = {
		.multicast = op_multicast, .rejoin = op_rejoin, .late = op_late, .evicted = op_evicted,
		.unheard = op_unheard,
		.broken = op_broken, .fill = op_fill, .deliver = op_deliver,
		.configured = op_configured, .torn = op_torn, .unplugged = op_unplugged,
		.save_seq = op_save_seq,
	};
	struct cpg_rig_node *n = &rig->nodes[slot];
	uint64_t saved = n->saved + RING_SEQ_STRIDE;
	struct cpg_order_config c = { .self = { (uint32_t)index + 1, n->pid + 100 },
				      .incarnation = n->incarnation + 10 };
	struct err err = ERR_INIT;

	for (int i = 0; i < CPG_RIG_NODES; i++)
		c.nodes.ids[c.nodes.count++] = (uint32_t)i + 1;
	cpg_order_free(n->order);
	*n = (struct cpg_rig_node){ .rig = rig, .slot = slot, .index = index,
				    .pid = c.self.pid, .incarnation = c.incarnation,
				    .saved = saved, .last_seq = n->last_seq };
	c.first_ring_seq = saved;
	n->order = cpg_order_new(&c, &ops, n, &err);
	if (!n->order)
		fail_msg("%s", err.text);
	cpg_bus_join(rig->bus, slot, c.self);
}

void cpg_rig_start(struct cpg_rig *rig, int slot)
{
	cpg_rig_start_at(rig, slot, slot);
}

void cpg_rig_kill(struct cpg_rig *rig, int slot)
{
	cpg_bus_leave(rig->bus, slot);
	cpg_order_free(rig->nodes[slot].order);
	rig->nodes[slot].order = NULL;
}

void cpg_rig_sides(struct cpg_rig *rig, const char *sides)
{
	int of[CPG_BUS_SLOTS] = { 0 };

	for (int i = 0; sides[i]; i++)
		of[i] = sides[i] - 'a';
	cpg_bus_set_sides(rig->bus, of);
}

void cpg_rig_send(struct cpg_rig *rig, int slot, int lines)
{
	struct cpg_rig_node *n = &rig->nodes[slot];

	n->to_send += lines;
	cpg_order_wake(n->order, rig->now);
}

/* --- time and order --------------------------------------------------------------------------- */

bool cpg_rig_read_one(struct cpg_rig *rig, int slot)
{
	struct cpg_rig_node *n = &rig->nodes[slot];
	struct cpg_event *e;

	if (!n->order || n->is_stopped || n->is_hung)
		return false;
	e = cpg_bus_next(rig->bus, slot);
	if (!e)
		return false;
	if (e->payload)
		cpg_order_received(n->order, rig->now, e->from, e->payload, e->length);
	else
		cpg_order_changed(n->order, rig->now, &(struct cpg_change){
			e->members, e->left, e->member_count, e->left_count });
	cpg_event_free(e);
	if (n->broken && cpg_bus_is_in(rig->bus, slot)) {
		cpg_order_leave(n->order);
		cpg_bus_leave(rig->bus, slot);
	}
	if (n->wants_in) {
		n->wants_in = false;
		cpg_bus_leave(rig->bus, slot);
		cpg_bus_join(rig->bus, slot, (struct cpg_process){ (uint32_t)n->index + 1, n->pid });
	}
	return true;
}

void cpg_rig_read(struct cpg_rig *rig)
{
	bool again = true;

	while (again) {
		again = false;
		for (int i = 0; i < CPG_BUS_SLOTS; i++) {
			if (!rig->nodes[i].is_hung)
				cpg_bus_order(rig->bus, i, SIZE_MAX);
			while (cpg_rig_read_one(rig, i))
				again = true;
		}
	}
}

void cpg_rig_run(struct cpg_rig *rig, uint64_t ms)
{
	cpg_rig_read(rig);
	for (uint64_t end = rig->now + ms * NS_PER_MS; rig->now < end;) {
		rig->now += 10 * NS_PER_MS;
		for (int i = 0; i < CPG_BUS_SLOTS; i++) {
			struct cpg_rig_node *n = &rig->nodes[i];

			if (n->order && !n->is_stopped &&
			    cpg_order_deadline(n->order) <= rig->now)
				cpg_order_advance(n->order, rig->now);
		}
		cpg_rig_read(rig);
	}
}

void cpg_rig_forget(struct cpg_rig *rig)
{
	for (int i = 0; i < CPG_BUS_SLOTS; i++) {
		rig->nodes[i].log[0] = '\0';
		rig->nodes[i].log_length = 0;
		rig->nodes[i].torn = rig->nodes[i].unplugged = 0;
	}
}

bool cpg_rig_are_one(struct cpg_rig *rig, const char *slots)
{
	const struct cpg_order *first = rig->nodes[slots[0] - 'a'].order;
	struct node_set members = { { 0 } };

	for (const char *s = slots; *s; s++)
		set_add(&members, rig->nodes[*s - 'a'].index);
	for (const char *s = slots; *s; s++) {
		const struct cpg_order *o = rig->nodes[*s - 'a'].order;

		if (!o || !cpg_order_is_installed(o) ||
		    !set_equal(cpg_order_members(o), members) ||
		    !ring_id_equal(cpg_order_current(o), cpg_order_current(first)))
			return false;
	}
	return true;
}
