/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/msg_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/table.h"
#include "tests/unit/help.h"

#define SPACE_NAME "5c0b0c4b-d6ae-0359-f266-cacf72232250"

/* --- the owner of a channel ---------------------------------------------------------- */

static void on_ready(void *owner)
{
	struct msg_node *n = owner;

	n->is_ready = true;
	n->readies++;
	if (n->on_ready)
		n->on_ready(n);
}

void msg_rig_handle(struct msg_node *n, enum msg_refusal code, const char *text)
{
	assert_true(n->is_open);
	n->is_open = false;
	msg_handled(n->channel, code, text);
}

/* What is heard is what was said, whole. */
static void check_is_said(const struct msg_rig *rig, const struct msg *m)
{
	for (const struct said *s = rig->said; s; s = s->next)
		if (s->number == m->low) {
			assert_int_equal(s->send.message.sequence, m->sequence);
			assert_int_equal(s->send.message.slot, m->slot);
			assert_int_equal(s->send.message.high, m->high);
			return;
		}
	fail_msg("number %llu was never said", (unsigned long long)m->low);
}

static void on_handle(void *owner, const struct msg *m)
{
	struct msg_node *n = owner;

	assert_true(n->is_ready);
	assert_false(n->is_open);
	assert_true(!n->has_heard || msg_sequence_lead(m->sequence, n->last_sequence) > 0);
	n->has_heard = true;
	n->last_sequence = m->sequence;
	if (m->type == MSG_RESYNCING)
		check_is_said(n->rig, m);
	n->is_open = true;
	n->open = *m;
	assert_true(n->heard_count < MSG_RIG_HEARD);
	n->heard[n->heard_count++] = m->low; /* of a recovery: 0 */
	if (m->type == MSG_METADATA_UPDATED && m->generation)
		n->recoveries_heard++;
	if (n->on_handle)
		n->on_handle(n, m);
	if (!n->is_slow)
		msg_rig_handle(n, n->refusal, n->refusal ? "as the test wants" : NULL);
}

static void on_missed(void *owner, uint32_t count)
{
	struct msg_node *n = owner;

	assert_true(count > 0);
	n->missed += count;
	if (n->on_missed)
		n->on_missed(n);
}

static void on_recover(void *owner)
{
	struct msg_node *n = owner;

	n->recovers++;
	if (n->is_thinking)
		return;
	if (n->is_unable)
		msg_not_recovered(n->channel);
	else
		msg_recovered(n->channel, 7);
}

static bool on_evict(void *owner, uint32_t node, const char *why)
{
	struct msg_node *n = owner;

	assert_true(n->evicted_count < 64);
	n->evicted[n->evicted_count++] = node;
	snprintf(n->why, sizeof(n->why), "%s", why);
	if (n->on_evict)
		n->on_evict(n);
	return n->evicts;
}

static void on_broken(void *owner, const struct err *why)
{
	struct msg_node *n = owner;

	assert_true(why->code < 0 && why->text[0]);
	n->is_broken = true;
}

static void on_moved(void *owner, const char *machine, const char *from, const char *to)
{
	const struct msg_node *n = owner;

	if (getenv("LOCK_RIG_TRACE"))
		fprintf(stderr, "     node %d: %s %s -> %s\n", n->id, machine, from, to);
}

static const struct msg_channel_ops channel_ops = {
	.ready = on_ready,
	.handle = on_handle,
	.missed = on_missed,
	.recover = on_recover,
	.evict = on_evict,
	.broken = on_broken,
	.moved = on_moved,
};

/* --- the owner of a lockspace -------------------------------------------------------- */

static void on_recover_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct msg_node *n = owner;

	(void)space;
	msg_channel_recover_slot(n->channel, node, slot);
}

static void on_recover_done(void *owner, struct lockspace *space,
			    const struct lockspace_member *members, size_t count,
			    int our_slot, uint32_t generation)
{
	struct msg_node *n = owner;

	(void)space;
	msg_channel_recover_done(n->channel, members, count, our_slot, generation);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct msg_node *n = owner;

	(void)space;
	(void)why;
	n->is_lost = true;
	msg_channel_lost(n->channel);
}

static void on_closed(void *owner)
{
	struct msg_node *n = owner;

	n->is_closed = true;
	msg_channel_lost(n->channel);
}

static const struct lockspace_handlers space_handlers = {
	.recover_slot = on_recover_slot,
	.recover_done = on_recover_done,
	.lost = on_lost,
	.closed = on_closed,
};

/* --- life ---------------------------------------------------------------------------- */

struct msg_rig *msg_rig_empty(int nodes)
{
	struct msg_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_true(nodes <= MSG_RIG_NODES);
	rig->count = nodes;
	rig->locks = lock_rig_new(nodes);
	rig->lvb_bytes = LOCK_SMALL_LVB;
	for (int i = 1; i <= nodes; i++) {
		rig->nodes[i].rig = rig;
		rig->nodes[i].id = i;
		rig->is_alive[i] = true;
	}
	return rig;
}

struct msg_rig *msg_rig_new(int nodes)
{
	struct msg_rig *rig = msg_rig_empty(nodes);

	for (int i = 1; i <= nodes; i++)
		msg_rig_join(rig, i);
	msg_rig_run(rig);
	for (int i = 1; i <= nodes; i++)
		assert_true(rig->nodes[i].is_ready);
	return rig;
}

void msg_rig_join(struct msg_rig *rig, int node)
{
	struct msg_node *n = &rig->nodes[node];
	const struct lockspace_config config = {
		.name = SPACE_NAME,
		.name_length = strlen(SPACE_NAME),
		.lvb_bytes = rig->lvb_bytes,
		.wanted_slot = -1,
	};
	const struct msg_channel_config channel = { 0 };
	struct err err = ERR_INIT;

	assert_null(n->channel);
	n->life++;
	n->has_heard = false;
	assert_ok(lockspace_open(lock_rig_engine(rig->locks, node), &config,
				 &space_handlers, n, &n->space, &err), err);
	if (rig->is_unordered)
		n->space->is_ordered = false;
	n->channel = msg_channel_new(n->space, &channel, &channel_ops, n, &err);
	assert_non_null(n->channel);
}

/* What a process forgets as it ends; what it heard is for the test. */
static void forget(struct msg_node *n)
{
	msg_channel_free(n->channel);
	n->channel = NULL;
	n->space = NULL;
	n->is_ready = n->is_open = n->is_lost = n->is_closed = false;
}

/* Its sends end with it: nobody is told. */
static void forget_said(struct msg_rig *rig, int node)
{
	for (struct said *s = rig->said; s; s = s->next)
		if (s->node == node && s->status == PENDING)
			s->status = -ESRCH;
}

void msg_rig_leave(struct msg_rig *rig, int node)
{
	struct msg_node *n = &rig->nodes[node];

	lockspace_close(n->space);
	msg_rig_run(rig);
	assert_true(n->is_closed);
	forget(n);
}

void msg_rig_kill(struct msg_rig *rig, int node)
{
	lock_rig_kill(rig->locks, node, LOCK_DEATH_NODE);
	rig->is_alive[node] = false;
	forget_said(rig, node);
	forget(&rig->nodes[node]);
}

void msg_rig_bury(struct msg_rig *rig, int node)
{
	lock_rig_prove(rig->locks, node);
	msg_rig_run(rig);
}

void msg_rig_revive(struct msg_rig *rig, int node)
{
	lock_rig_revive(rig->locks, node);
	rig->is_alive[node] = true;
}

void msg_rig_run(struct msg_rig *rig)
{
	lock_rig_run(rig->locks);
}

bool msg_rig_rotate(struct msg_rig *rig)
{
	bool was_any = false;

	for (int i = 1; i <= rig->count; i++)
		lock_rig_deafen(rig->locks, i, true);
	while (lock_rig_step(rig->locks))
		was_any = true;
	for (int i = 1; i <= rig->count; i++)
		lock_rig_deafen(rig->locks, i, false);
	if (strcmp(lock_rig_next(rig->locks), "callbacks") == 0)
		lock_rig_step(rig->locks);
	return was_any;
}

void msg_rig_free(struct msg_rig *rig)
{
	struct said *next;

	for (int i = 1; i <= rig->count; i++)
		msg_channel_free(rig->nodes[i].channel);
	for (struct said *s = rig->said; s; s = next) {
		next = s->next;
		assert_true(s->ends <= 1);
		free(s);
	}
	lock_rig_free(rig->locks);
	free(rig);
}

/* --- saying -------------------------------------------------------------------------- */

static void on_done(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct said *s = owner;

	(void)send;
	assert_int_equal(s->status, PENDING);
	s->status = result->status;
	s->result = *result;
	s->ends++;
	assert_true((result->status == 0) == (result->why.text[0] == '\0'));
}

static struct said *new_said(struct msg_rig *rig, int node)
{
	struct said *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->node = node;
	s->number = ++rig->last_number;
	s->status = PENDING;
	s->send.message = (struct msg){ .type = MSG_RESYNCING, .low = s->number,
					.high = s->number + 1 };
	s->send.done = on_done;
	s->send.owner = s;
	for (int i = 1; i <= rig->count; i++)
		s->lives[i] = rig->nodes[i].is_ready ? rig->nodes[i].life : 0;
	s->next = rig->said;
	rig->said = s;
	return s;
}

struct said *msg_rig_say(struct msg_rig *rig, int node)
{
	struct said *s = new_said(rig, node);
	struct err err = ERR_INIT;

	assert_ok(msg_send(rig->nodes[node].channel, &s->send, &err), err);
	return s;
}

static void on_begun(void *owner, struct msg_compound *c, const struct msg_result *result)
{
	struct told_compound *told = owner;

	(void)c;
	assert_int_equal(told->begun, PENDING);
	told->begun = result->status;
}

static void on_ended(void *owner, struct msg_compound *c, int status)
{
	struct told_compound *told = owner;

	(void)c;
	assert_int_equal(told->begun, 0);
	assert_int_equal(told->ended, PENDING);
	told->ended = status;
}

void msg_rig_begin(struct msg_rig *rig, int node, struct told_compound *told)
{
	struct err err = ERR_INIT;

	*told = (struct told_compound){
		.c = { .begun = on_begun, .ended = on_ended, .owner = told },
		.begun = PENDING,
		.ended = PENDING,
	};
	assert_ok(msg_compound_begin(rig->nodes[node].channel, &told->c, &err), err);
}

struct said *msg_rig_say_in(struct msg_rig *rig, int node, struct msg_compound *c)
{
	struct said *s = new_said(rig, node);
	struct err err = ERR_INIT;

	assert_ok(msg_compound_send(rig->nodes[node].channel, c, &s->send, &err), err);
	return s;
}

struct said *msg_rig_said(struct msg_rig *rig, int node, int status)
{
	struct said *s = msg_rig_say(rig, node);

	msg_rig_run(rig);
	if (s->status != status)
		fail_msg("node %d: %d, not %d: %s", node, s->status, status,
			 s->result.why.text);
	return s;
}

/* --- looking ------------------------------------------------------------------------- */

int msg_rig_heard(const struct msg_rig *rig, int node, uint64_t number)
{
	const struct msg_node *n = &rig->nodes[node];
	int times = 0;

	for (size_t i = 0; i < n->heard_count; i++)
		times += n->heard[i] == number;
	return times;
}

bool msg_rig_until(struct msg_rig *rig, const char *next)
{
	while (strcmp(lock_rig_next(rig->locks), next) != 0)
		if (!lock_rig_step(rig->locks))
			return false;
	return true;
}

struct wanted_mode {
	const struct msg_rig *rig;
	enum lock_mode mode;
};

static void check_lock(void *owner, const struct lock_view *lock)
{
	const struct wanted_mode *wanted = owner;

	if (!wanted->rig->nodes[lock->key.node].channel)
		return;
	assert_int_equal(lock->granted, wanted->mode);
	assert_int_equal(lock->wanted, LOCK_NONE);
}

static void check_resource(struct msg_rig *rig, const char *name, enum lock_mode mode)
{
	struct wanted_mode wanted = { rig, mode };

	if (lock_rig_table(rig->locks))
		lock_table_look_locks(lock_rig_table(rig->locks), name, strlen(name),
				      check_lock, &wanted);
}

void msg_rig_check_idle(struct msg_rig *rig)
{
	assert_string_equal(lock_rig_next(rig->locks), "");
	assert_false(lock_rig_is_frozen(rig->locks));
	for (int i = 1; i <= rig->count; i++) {
		struct msg_node *n = &rig->nodes[i];
		struct msg_channel_look look;

		if (!n->channel)
			continue;
		assert_false(n->is_broken);
		msg_channel_look(n->channel, &look);
		assert_true(look.is_ready);
		assert_false(look.is_recovery_owed);
		assert_false(look.is_token_here);
		assert_int_equal(look.sending, MSG_STEP_NONE);
		assert_int_equal(look.receiving, MSG_STEP_NONE);
		assert_int_equal(look.queued, 0);
		assert_int_equal(look.blocker_count, 0);
	}
	for (struct said *s = rig->said; s; s = s->next)
		assert_int_not_equal(s->status, PENDING);
	check_resource(rig, "token", LOCK_NL);
	check_resource(rig, "message", LOCK_NL);
	check_resource(rig, "ack", LOCK_CR);
	check_resource(rig, "nack", LOCK_NL);
}

void msg_rig_check_works(struct msg_rig *rig)
{
	for (int i = 1; i <= rig->count; i++) {
		struct said *s;

		if (!rig->nodes[i].channel)
			continue;
		s = msg_rig_said(rig, i, 0);
		for (int j = 1; j <= rig->count; j++)
			if (rig->nodes[j].channel)
				assert_int_equal(msg_rig_heard(rig, j, s->number), i != j);
	}
	msg_rig_check_idle(rig);
}
