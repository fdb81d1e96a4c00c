/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rig's steps: what is asked for is applied to the one table, members come, go, are
 * missed, and proven dead. While one is missing only its proof is applied (L5), and who
 * closes does not wait; a proof takes two steps, so that tests reach what lies between.
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

/* --- members --------------------------------------------------------------------------- */

struct rig_member *rig_member_of(struct lock_rig *rig, int node)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].space->node == node)
			return &rig->members[i];
	return NULL;
}

bool lock_rig_is_frozen(const struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].is_missing)
			return true;
	return false;
}

static bool lives(const struct rig_member *m)
{
	return m->space && (!m->is_missing || m->space->rig->nodes[m->space->node].is_cut);
}

static bool has_members(const struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (lives(&rig->members[i]))
			return true;
	return false;
}

/* Nobody who lives has it: so it is nowhere. */
static void forget(struct lock_rig *rig)
{
	lock_table_free(rig->table);
	rig->table = NULL;
	memset(rig->members, 0, sizeof(rig->members));
	for (int i = 1; i <= rig->count; i++)
		rig->nodes[i].last_slot = -1;
}

static void remove_member(struct lock_rig *rig, struct rig_member *m)
{
	rig->nodes[m->space->node].last_slot = (int)(m - rig->members);
	*m = (struct rig_member){ 0 };
}

static void tell_prep(struct lock_rig *rig)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_space *space = rig->members[i].space;

		if (!lives(&rig->members[i]) || space->was_told)
			continue;
		space->was_told = true;
		rig_tell(space, RIG_PREP);
	}
}

static void tell_slot(struct lock_rig *rig, const struct rig_member *dead)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_member *m = &rig->members[i];
		struct rig_event *e =
			m->space && !m->is_missing ? rig_tell(m->space, RIG_SLOT) : NULL;

		if (!e)
			continue;
		e->node = (uint32_t)dead->space->node;
		e->slot = (int)(dead - rig->members);
	}
}

static void go_on(struct lock_rig *rig)
{
	struct lockspace_member members[LOCK_RIG_MAX_NODES];
	size_t count = 0;

	rig->generation++;
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space)
			members[count++] = (struct lockspace_member){
				(uint32_t)rig->members[i].space->node, i };
	for (size_t i = 0; i < count; i++) {
		struct rig_space *space = rig->members[members[i].slot].space;
		struct rig_event *e = rig_tell(space, RIG_GO_ON);

		space->was_told = false;
		if (!e)
			continue;
		memcpy(e->members, members, sizeof(members));
		e->count = count;
		e->slot = members[i].slot;
		e->generation = rig->generation;
	}
}

static bool is_free(const struct lock_rig *rig, int slot, int slots)
{
	return slot >= 0 && slot < slots && !rig->members[slot].space;
}

/* L6. */
static int choose_slot(const struct lock_rig *rig, const struct rig_space *space)
{
	int last = rig->nodes[space->node].last_slot;

	if (is_free(rig, space->wanted_slot, space->slots))
		return space->wanted_slot;
	if (is_free(rig, last, space->slots))
		return last;
	for (int i = 0; i < space->slots; i++)
		if (is_free(rig, i, space->slots))
			return i;
	return -1;
}

static bool has_another_size(const struct lock_rig *rig, const struct rig_space *space)
{
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space &&
		    rig->members[i].space->base.lvb_bytes != space->base.lvb_bytes)
			return true;
	return false;
}

/* --- operations ------------------------------------------------------------------------- */

static void apply_open(struct lock_rig *rig, struct rig_space *space)
{
	int slot = choose_slot(rig, space);
	struct err err = ERR_INIT;

	if (has_another_size(rig, space)) {
		err_set(&err, -EBADR, "its lock values have another size than %u bytes",
			space->base.lvb_bytes);
		rig_put_out(space, RIG_LOST, &err);
		return;
	}
	if (slot < 0) {
		err_set(&err, -ENOSPC, "all of its %d slots are taken", space->slots);
		rig_put_out(space, RIG_LOST, &err);
		return;
	}
	if (!rig->table) {
		rig->table = lock_table_new(space->base.lvb_bytes, &rig_table_ops, rig);
		assert(rig->table);
		lock_table_clock(rig->table, rig->now_ns);
	}
	space->state = RIG_MEMBER;
	rig->members[slot].space = space;
	go_on(rig);
}

static void thaw_next(struct lock_rig *rig)
{
	qb_list_add(&rig_op_new(RIG_THAW, NULL)->link, &rig->queue);
}

/* While all stands still it does not wait: it holds what it had until that is over. */
static void close_frozen(struct lock_rig *rig, struct rig_space *space)
{
	struct rig_member *m = rig_member_of(rig, space->node);
	bool is_member = space->state == RIG_MEMBER;

	rig_put_out(space, RIG_CLOSED, NULL);
	if (!is_member)
		return;
	m->is_missing = m->is_proven = true;
	m->death = LOCK_DEATH_PROCESS;
	if (has_members(rig))
		thaw_next(rig);
	else
		forget(rig);
}

static void apply_close(struct lock_rig *rig, struct rig_space *space)
{
	int r;

	if (lock_rig_is_frozen(rig)) {
		close_frozen(rig, space);
		return;
	}
	r = lock_table_release(rig->table, (uint32_t)space->node, LOCK_RELEASE_PROCESS);
	assert(r == 0);
	remove_member(rig, rig_member_of(rig, space->node));
	rig_put_out(space, RIG_CLOSED, NULL);
	if (!has_members(rig)) {
		forget(rig);
		return;
	}
	go_on(rig);
	lock_table_settle(rig->table);
}

static void apply_lock(struct lock_rig *rig, const struct rig_op *op)
{
	const struct lock_order order = {
		.key = { (uint32_t)op->space->node, op->number },
		.mode = op->mode,
		.flags = op->flags,
		.waiter = op->waiter,
		.name = op->name,
		.name_length = op->name_length,
		.value = op->flags & LOCK_VALBLK ? op->value : NULL,
	};
	int r = lock_table_lock(rig->table, &order);

	assert(r == 0);
}

static void apply_unlock(struct lock_rig *rig, const struct rig_op *op)
{
	const struct lock_key key = { (uint32_t)op->space->node, op->number };
	struct rig_lock *l = rig_lock_find(op->space, op->number);
	int r = lock_table_unlock(rig->table, key, op->flags,
				  op->flags & LOCK_VALBLK ? op->value : NULL);
	struct rig_event *e;

	/* Force and cancel may come too late: it was refused, and is gone. */
	assert(r == 0 || (r == -EBADMSG &&
			  op->flags & (LOCK_FORCEUNLOCK | LOCK_CANCEL)));
	if (!l || !(op->flags & LOCK_FORCEUNLOCK))
		return;
	e = rig_tell(op->space, RIG_DONE);
	if (!e)
		return;
	e->number = op->number;
	e->is_last = true;
	e->result = (struct lock_result){ 0, LOCK_NONE, 0 };
}

static void apply_purge(struct lock_rig *rig, uint32_t node)
{
	int r = lock_table_release(rig->table, node, LOCK_RELEASE_ORPHANS);

	assert(r == 0);
	lock_table_settle(rig->table);
}

static void apply_prove(struct lock_rig *rig, const struct rig_op *op)
{
	struct rig_member *m = rig_member_of(rig, (int)op->node);

	if (!m || !m->is_missing || m->is_proven ||
	    m->space->incarnation > op->incarnation)
		return;
	m->is_proven = true;
	m->death = op->death;
	tell_slot(rig, m);
	thaw_next(rig);
}

static void apply_thaw(struct lock_rig *rig)
{
	int r;

	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++)
		if (rig->members[i].space && rig->members[i].is_missing &&
		    !rig->members[i].is_proven)
			return;
	for (int i = 0; i < LOCKSPACE_MAX_SLOTS; i++) {
		struct rig_member *m = &rig->members[i];

		if (!m->space || !m->is_proven)
			continue;
		r = lock_table_release(rig->table, (uint32_t)m->space->node,
				       m->death == LOCK_DEATH_NODE ?
				       LOCK_RELEASE_NODE : LOCK_RELEASE_PROCESS);
		assert(r == 0);
		remove_member(rig, m);
	}
	if (!rig->table)
		return;
	go_on(rig);
	lock_table_settle(rig->table);
}

static void apply(struct lock_rig *rig, struct rig_op *op)
{
	switch (op->kind) {
	case RIG_OPEN: apply_open(rig, op->space); break;
	case RIG_CLOSE: apply_close(rig, op->space); break;
	case RIG_LOCK: apply_lock(rig, op); break;
	case RIG_UNLOCK: apply_unlock(rig, op); break;
	case RIG_PURGE: apply_purge(rig, op->node); break;
	case RIG_PROVE: apply_prove(rig, op); break;
	case RIG_THAW: apply_thaw(rig); break;
	}
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
	apply(rig, op);
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
	if (!has_members(rig)) {
		forget(rig);
		return;
	}
	tell_prep(rig);
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
	tell_prep(rig);
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
		thaw_next(rig);
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
