/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rig from outside: its queue and steps, what goes wrong, time, life. What the steps
 * do is in lock_rig_apply.c.
 */
#include "tests/unit/lock_rig_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

enum { MANY_STEPS = 1000000 };

/* --- the queue -------------------------------------------------------------------------- */

struct rig_op *rig_op_new(enum rig_op_kind kind, struct rig_space *space)
{
	struct rig_op *op = calloc(1, sizeof(*op));

	assert(op);
	op->kind = kind;
	op->space = space;
	return op;
}

void rig_queue(struct lock_rig *rig, struct rig_op *op)
{
	qb_list_add_tail(&op->link, &rig->queue);
}

static void drop_list(struct qb_list_head *list, const struct rig_space *space)
{
	struct rig_op *op, *next;

	qb_list_for_each_entry_safe(op, next, list, link)
		if (!space || op->space == space) {
			qb_list_del(&op->link);
			free(op);
		}
}

void rig_drop_ops(struct lock_rig *rig, struct rig_space *space)
{
	drop_list(&rig->queue, space);
	drop_list(&space->held, NULL);
}

/* --- steps ------------------------------------------------------------------------------ */

static bool is_of_a_lock(const struct rig_op *op)
{
	return op->kind == RIG_LOCK || op->kind == RIG_UNLOCK;
}

/* May `op` be applied before `before`, which was asked for earlier? */
static bool may_overtake(const struct rig_op *op, const struct rig_op *before)
{
	if (op->space != before->space)
		return true;
	return is_of_a_lock(op) && is_of_a_lock(before) && op->number != before->number;
}

static bool may_be_next(const struct lock_rig *rig, const struct rig_op *op)
{
	const struct rig_op *before;

	if (rig->nodes[op->space->node].is_cut)
		return false;
	qb_list_for_each_entry(before, &rig->queue, link) {
		if (before == op)
			break;
		if (!may_overtake(op, before))
			return false;
	}
	return true;
}

/* The same until the next step. */
uint64_t rig_draw(const struct lock_rig *rig)
{
	uint64_t x = rig->shuffle * UINT64_C(0x9e3779b97f4a7c15) + rig->steps;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct rig_op *any_op(struct lock_rig *rig)
{
	struct rig_op *op, *chosen = NULL;
	uint64_t draw = rig_draw(rig), count = 0;

	qb_list_for_each_entry(op, &rig->queue, link)
		if (may_be_next(rig, op) && draw % ++count == 0)
			chosen = op;
	return chosen;
}

static struct rig_op *next_op(struct lock_rig *rig)
{
	bool is_frozen = lock_rig_is_frozen(rig);
	struct rig_op *op;

	qb_list_for_each_entry(op, &rig->queue, link) {
		if (op->kind == RIG_PROVE || op->kind == RIG_THAW)
			return op;
		if (is_frozen && op->kind == RIG_CLOSE &&
		    !rig->nodes[op->space->node].is_cut)
			return op;
		if (rig->shuffle || is_frozen)
			continue;
		if (!rig->nodes[op->space->node].is_cut)
			return op;
	}
	return rig->shuffle && !is_frozen ? any_op(rig) : NULL;
}

static bool has_news(const struct lock_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		if (!rig->nodes[i].is_deaf && !qb_list_empty(&rig->nodes[i].inbox))
			return true;
	return false;
}

static void describe(const struct rig_op *op, char *to, size_t size)
{
	static const char *const words[] = { "open", "close", "lock", "unlock", "purge",
					     "prove", "thaw" };
	const char *word = words[op->kind];
	char name[LOCK_MAX_NAME + 1];

	text_printable(op->name, op->name_length, name, sizeof(name));
	if (op->kind == RIG_THAW)
		snprintf(to, size, "%s", word);
	else if (op->kind == RIG_PROVE)
		snprintf(to, size, "%s %u", word, op->node);
	else if (op->kind == RIG_LOCK)
		snprintf(to, size, "%d %s %s %s", op->space->node,
			 op->flags & LOCK_CONVERT ? "convert" : word,
			 lock_mode_name(op->mode), name);
	else
		snprintf(to, size, "%d %s", op->space->node,
			 op->flags & LOCK_CANCEL ? "cancel" : word);
}

const char *lock_rig_next(struct lock_rig *rig)
{
	const struct rig_op *op = next_op(rig);

	rig->next[0] = '\0';
	if (has_news(rig))
		snprintf(rig->next, sizeof(rig->next), "callbacks");
	else if (op)
		describe(op, rig->next, sizeof(rig->next));
	return rig->next;
}

bool lock_rig_step(struct lock_rig *rig)
{
	struct rig_op *op;

	if (rig->has_trace && *lock_rig_next(rig))
		fprintf(stderr, "rig %4u: %s\n", rig->steps + 1, rig->next);
	if (rig_deliver(rig)) {
		rig->steps++;
		return true;
	}
	op = next_op(rig);
	if (!op)
		return false;
	qb_list_del(&op->link);
	rig_apply(rig, op);
	free(op);
	rig->steps++;
	rig_deliver(rig);
	return true;
}

void lock_rig_run(struct lock_rig *rig)
{
	for (int i = 0; lock_rig_step(rig); i++)
		assert(i < MANY_STEPS);
}

unsigned int lock_rig_steps(const struct lock_rig *rig)
{
	return rig->steps;
}

/* --- trouble ---------------------------------------------------------------------------- */

void lock_rig_kill(struct lock_rig *rig, int node, enum lock_death death)
{
	struct rig_node *n = &rig->nodes[node];
	struct rig_member *m = rig_member_of(rig, node);

	if (!n->is_alive)
		return;
	n->is_alive = false;
	n->is_cut = false;
	n->death = death;
	rig_drop_events(n);
	if (n->space) {
		rig_drop_ops(rig, n->space);
		n->space->state = RIG_OUT;
		n->space = NULL;
	}
	if (!m)
		return;
	m->is_missing = true;
	if (!rig_has_members(rig)) {
		rig_forget(rig);
		return;
	}
	rig_tell_prep(rig);
	rig_deliver(rig);
}

void lock_rig_prove(struct lock_rig *rig, int node)
{
	struct rig_op *op = rig_op_new(RIG_PROVE, NULL);

	op->node = (uint32_t)node;
	op->incarnation = UINT64_MAX;
	op->death = rig->nodes[node].is_cut ? LOCK_DEATH_PROCESS : rig->nodes[node].death;
	rig_queue(rig, op);
}

void lock_rig_revive(struct lock_rig *rig, int node)
{
	assert(!rig->nodes[node].is_alive);
	rig->nodes[node].is_alive = true;
	rig->nodes[node].is_deaf = false;
	rig->nodes[node].incarnation++;
}

void lock_rig_replace(struct lock_rig *rig, int node, enum lock_death death)
{
	lock_rig_kill(rig, node, death);
	lock_rig_prove(rig, node);
	lock_rig_run(rig);
	lock_rig_revive(rig, node);
}

void lock_rig_cut(struct lock_rig *rig, int node)
{
	struct rig_member *m = rig_member_of(rig, node);

	if (!rig->nodes[node].is_alive || rig->nodes[node].is_cut)
		return;
	rig->nodes[node].is_cut = true;
	if (!m || m->space != rig->nodes[node].space)
		return;
	m->is_missing = true;
	rig_tell_prep(rig);
	rig_deliver(rig);
}

void lock_rig_heal(struct lock_rig *rig, int node)
{
	struct rig_member *m = rig_member_of(rig, node);
	struct rig_space *space = rig->nodes[node].space;
	struct err err = ERR_INIT;

	if (!rig->nodes[node].is_cut)
		return;
	rig->nodes[node].is_cut = false;
	if (!space || space->state != RIG_MEMBER)
		return;
	if (m && m->space == space && !m->is_proven) {
		m->is_missing = false;
		rig_thaw_next(rig);
		return;
	}
	err_set(&err, -ESTALE, "node %d was taken for dead while it was away", node);
	rig_put_out(space, RIG_LOST, &err);
	rig_deliver(rig);
}

void lock_rig_deafen(struct lock_rig *rig, int node, bool is_deaf)
{
	rig->nodes[node].is_deaf = is_deaf;
}

void lock_rig_shuffle(struct lock_rig *rig, uint64_t seed)
{
	rig->shuffle = seed;
}

void lock_rig_refuse(struct lock_rig *rig, int node, int r)
{
	rig->nodes[node].refusal = r;
}

/* --- time ------------------------------------------------------------------------------- */

static struct rig_lock *first_late(const struct lock_rig *rig)
{
	struct rig_lock *first = NULL;

	for (int i = 1; i <= rig->count; i++) {
		struct rig_lock *l;

		if (!rig->nodes[i].space)
			continue;
		qb_list_for_each_entry(l, &rig->nodes[i].space->locks, link)
			if (l->deadline_ns != UINT64_MAX &&
			    (!first || l->deadline_ns < first->deadline_ns))
				first = l;
	}
	return first;
}

uint64_t lock_rig_deadline_ns(const struct lock_rig *rig)
{
	const struct rig_lock *l = first_late(rig);

	return l ? l->deadline_ns : UINT64_MAX;
}

static void set_clock(struct lock_rig *rig, uint64_t now_ns)
{
	rig->now_ns = now_ns;
	if (rig->table)
		lock_table_clock(rig->table, now_ns);
}

void lock_rig_advance_ns(struct lock_rig *rig, uint64_t ns)
{
	uint64_t end_ns = rig->now_ns + ns;

	for (struct rig_lock *l; (l = first_late(rig)) && l->deadline_ns <= end_ns;) {
		struct rig_op *op = rig_op_new(RIG_UNLOCK, l->space);

		set_clock(rig, l->deadline_ns);
		op->number = l->number;
		op->flags = LOCK_CANCEL;
		l->is_late = true;
		l->deadline_ns = UINT64_MAX;
		rig_queue(rig, op);
	}
	set_clock(rig, end_ns);
}

uint64_t lock_rig_now_ns(const struct lock_rig *rig)
{
	return rig->now_ns;
}

/* --- life ------------------------------------------------------------------------------- */

struct lock_rig *lock_rig_new(int nodes)
{
	struct lock_rig *rig = calloc(1, sizeof(*rig));

	assert(rig && nodes >= 1 && nodes <= LOCK_RIG_MAX_NODES);
	rig->count = nodes;
	rig->has_trace = getenv("LOCK_RIG_TRACE");
	qb_list_init(&rig->spaces);
	qb_list_init(&rig->queue);
	for (int i = 1; i <= nodes; i++) {
		rig->nodes[i] = (struct rig_node){
			.engine = { &rig_engine_ops },
			.rig = rig,
			.id = i,
			.incarnation = 1,
			.is_alive = true,
			.last_slot = -1,
		};
		qb_list_init(&rig->nodes[i].inbox);
	}
	return rig;
}

static void free_space(struct rig_space *space)
{
	struct rig_lock *l, *next;

	qb_list_for_each_entry_safe(l, next, &space->locks, link) {
		qb_list_del(&l->link);
		free(l);
	}
	drop_list(&space->held, NULL);
	qb_list_del(&space->link);
	free(space);
}

void lock_rig_free(struct lock_rig *rig)
{
	struct rig_space *space, *next;

	drop_list(&rig->queue, NULL);
	for (int i = 1; i <= rig->count; i++)
		rig_drop_events(&rig->nodes[i]);
	qb_list_for_each_entry_safe(space, next, &rig->spaces, link)
		free_space(space);
	lock_table_free(rig->table);
	free(rig);
}

struct lockspace_engine *lock_rig_engine(struct lock_rig *rig, int node)
{
	assert(node >= 1 && node <= rig->count);
	return &rig->nodes[node].engine;
}

const struct lock_table *lock_rig_table(const struct lock_rig *rig)
{
	return rig->table;
}

int lock_rig_slot(const struct lock_rig *rig, int node)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].space->node == node)
			return i;
	return -1;
}
