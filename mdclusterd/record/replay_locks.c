/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lockspace engine that answers as the recording says, and never by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lockres/engine.h"
#include "mdclusterd/record/replay_private.h"

static struct replay *of(struct lockspace *space)
{
	return qb_list_entry(space, struct replay, space);
}

static struct replay_lock *state_of(const struct lockres *lock)
{
	return lock->engine_state;
}

static int do_open(struct lockspace_engine *engine, const struct lockspace_config *config,
		   const struct lockspace_handlers *handlers, void *owner,
		   struct lockspace **space, struct err *err)
{
	struct replay *p = qb_list_entry(engine, struct replay, locks);
	struct record answer;

	if (!replay_answer(p, RECORD_OPENED, &answer)) {
		replay_differs(p, "opens its lockspace, and did not then");
		answer = (struct record){ .flag = true };
	}
	if (answer.result < 0)
		return err_set(err, answer.result, "%s", answer.text);
	p->space = (struct lockspace){ .engine = engine, .lvb_bytes = config->lvb_bytes,
				       .is_ordered = answer.flag };
	p->space_handlers = handlers;
	p->space_owner = owner;
	p->is_open = true;
	*space = &p->space;
	return 0;
}

/* It is over when the recording says so. */
static void do_close(struct lockspace *space)
{
	(void)space;
}

static int do_confirm_dead(struct lockspace_engine *engine, uint32_t node,
			   uint64_t incarnation, enum lock_death death, struct err *err)
{
	(void)engine, (void)node, (void)incarnation, (void)death, (void)err;
	return 0;
}

static int do_purge(struct lockspace *space, uint32_t node, struct err *err)
{
	(void)space, (void)node, (void)err;
	return 0;
}

static void do_nothing(struct lockspace *space)
{
	(void)space;
}

static int do_add(struct lockspace *space, struct lockres *lock)
{
	struct replay *p = of(space);
	int r = replay_refusal(p, lock, LOCKSPACE_ADD);
	struct replay_lock *l = r < 0 ? NULL : calloc(1, sizeof(*l));

	if (!l)
		return r < 0 ? r : -ENOMEM;
	l->lock = lock;
	lock->engine_state = l;
	qb_list_add_tail(&l->link, &p->lock_list);
	return 0;
}

static void do_remove(struct lockres *lock)
{
	struct replay_lock *l = state_of(lock);

	if (!l)
		return;
	qb_list_del(&l->link);
	free(l);
	lock->engine_state = NULL;
}

static int do_lock(struct lockres *lock, enum lock_mode mode, uint32_t flags,
		   uint64_t timeout_ns)
{
	int r = replay_refusal(of(lock->space), lock, LOCKSPACE_LOCK);

	(void)mode, (void)flags, (void)timeout_ns;
	if (r == 0)
		state_of(lock)->asked = ++of(lock->space)->asked;
	return r;
}

static int do_unlock(struct lockres *lock, uint32_t flags)
{
	int r = replay_refusal(of(lock->space), lock, LOCKSPACE_UNLOCK);

	(void)flags;
	if (r == 0)
		state_of(lock)->asked = ++of(lock->space)->asked;
	return r;
}

static size_t do_blockers(const struct lockres *lock, uint32_t *nodes, size_t room)
{
	const struct record *r = of(lock->space)->lock_answer;

	for (size_t i = 0; r && i < r->blocker_count && i < room; i++)
		nodes[i] = r->blockers[i];
	return r ? r->blocker_count : 0;
}

static const struct lockspace_engine_ops ops = {
	.open = do_open, .close = do_close, .confirm_dead = do_confirm_dead,
	.purge_orphans = do_purge, .begin = do_nothing, .end = do_nothing, .add = do_add,
	.remove = do_remove, .lock = do_lock, .unlock = do_unlock, .blockers = do_blockers,
};

void replay_locks_init(struct replay *p)
{
	p->locks.ops = &ops;
	qb_list_init(&p->lock_list);
}

void replay_locks_fini(struct replay *p)
{
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &p->lock_list)
		free(qb_list_entry(at, struct replay_lock, link));
}

/* The lock of that name; of several the one that asked first. NULL: none. */
static struct lockres *find(const struct replay *p, const struct record *r, bool is_pending)
{
	const struct replay_lock *found = NULL;
	struct qb_list_head *at;

	qb_list_for_each(at, &p->lock_list) {
		const struct replay_lock *l = qb_list_entry(at, struct replay_lock, link);

		if (l->lock->name_length == r->lock_name_length &&
		    memcmp(l->lock->name, r->lock_name, r->lock_name_length) == 0 &&
		    (!is_pending || l->lock->is_pending) &&
		    (!found || l->asked < found->asked))
			found = l;
	}
	return found ? found->lock : NULL;
}

static void feed_answer(struct replay *p, const struct record *r)
{
	struct lockres *lock = find(p, r, true);

	if (!lock) {
		replay_differs(p, "has asked nothing of lock %.*s, and did then",
			       r->lock_name_length, r->lock_name);
		return;
	}
	p->lock_answer = r;
	lockres_complete(lock, &r->lock,
			 r->value && r->value_length >= p->space.lvb_bytes ? r->value : NULL);
	p->lock_answer = NULL;
}

static void feed_blocked(struct replay *p, const struct record *r)
{
	struct lockres *lock = find(p, r, false);

	if (lock)
		lockres_tell_blocked(lock, (enum lock_mode)r->number);
	else
		replay_differs(p, "has no lock %.*s, and had then", r->lock_name_length,
			       r->lock_name);
}

static void feed_closed(struct replay *p)
{
	void (*closed)(void *owner) = p->space_handlers->closed;

	p->is_open = false;
	if (closed)
		closed(p->space_owner);
}

static void feed_lost(struct replay *p, const struct record *r)
{
	struct err why = ERR_INIT;

	err_set(&why, r->result, "%s", r->text);
	if (p->space_handlers->lost)
		p->space_handlers->lost(p->space_owner, &p->space, &why);
}

void replay_feed_lock(struct replay *p, const struct record *r)
{
	const struct lockspace_handlers *h = p->space_handlers;

	if (!p->is_open) {
		replay_differs(p, "has no lockspace open, and had then (%s)",
			       record_kind_name(r->kind));
		return;
	}
	if (r->kind == RECORD_PREP && h->recover_prep)
		h->recover_prep(p->space_owner, &p->space);
	else if (r->kind == RECORD_SLOT && h->recover_slot)
		h->recover_slot(p->space_owner, &p->space, (uint32_t)r->number, r->slot);
	else if (r->kind == RECORD_DONE && h->recover_done)
		h->recover_done(p->space_owner, &p->space, r->members, r->member_count,
				r->slot, (uint32_t)r->number);
	else if (r->kind == RECORD_LOST)
		feed_lost(p, r);
	else if (r->kind == RECORD_CLOSED)
		feed_closed(p);
	else if (r->kind == RECORD_LOCK)
		feed_answer(p, r);
	else if (r->kind == RECORD_BLOCKED)
		feed_blocked(p, r);
}
