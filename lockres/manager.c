/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock manager: its life, its group, its clock. */
#include "lockres/lock_manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/err.h"
#include "lockres/manager_private.h"

void manager_break(struct lock_manager *m, const char *why)
{
	if (m->is_broken)
		return;
	m->is_broken = true;
	sync_break(m->sync, why);
}

bool manager_sees_all(const struct lock_manager *m)
{
	return m->is_active && !m->is_syncing && !m->is_broken &&
	       set_is_subset(m->members, m->in_group);
}

bool manager_is_running(const struct lock_manager *m)
{
	return manager_sees_all(m) && sync_is_quorate(m->sync) && !m->is_torn;
}

/* --- events ------------------------------------------------------------------------------ */

void manager_enter(struct lock_manager *m)
{
	m->depth++;
}

/* D14: what is proven is said until all know. */
static void send_deaths(struct lock_manager *m)
{
	for (int i = 0; i < m->config.nodes.count; i++) {
		struct death *d = &m->deaths[i];
		const struct manager_order o = {
			.kind = MANAGER_DEAD,
			.node = m->config.nodes.ids[i],
			.incarnation = d->incarnation,
			.death = d->death,
		};

		if (!d->is_said && manager_is_missing(m, i, d))
			d->is_said = manager_say(m, &o);
	}
}

void manager_leave(struct lock_manager *m)
{
	if (m->depth == 1) {
		notices_tell(m);
		manager_send_all(m);
		if (manager_is_running(m) && !m->is_ending)
			send_deaths(m);
		manager_arm(m);
	}
	m->depth--;
}

void manager_arm(struct lock_manager *m)
{
	uint64_t at = lock_manager_deadline(m);

	if (at < m->armed_at && m->ops.armed) {
		m->armed_at = at;
		m->ops.armed(m->owner);
	}
	m->armed_at = at;
}

uint64_t lock_manager_deadline(const struct lock_manager *m)
{
	if (m->is_broken)
		return UINT64_MAX;
	return m->notice_count > 0 || m->is_considering ? 0 : manager_first_timer(m);
}

void lock_manager_advance(struct lock_manager *m, uint64_t now)
{
	if (now < lock_manager_deadline(m))
		return;
	manager_enter(m);
	if (m->is_considering)
		manager_consider_all(m);
	manager_expire(m, now);
	manager_leave(m);
}

/* --- the group ------------------------------------------------------------------------------ */

void manager_consider_all(struct lock_manager *m)
{
	m->is_considering = false;
	for (size_t i = m->space_count; i > 0; i--) /* it may go as it is considered */
		space_consider(m->spaces[i - 1]);
}

static void on_deliver(void *owner, struct group *group,
		       const struct group_member *sender, const void *message,
		       size_t length)
{
	struct lock_manager *m = owner;
	int node = node_index(&m->config.nodes, sender->node);

	(void)group;
	if (m->is_broken)
		return;
	manager_enter(m);
	if (m->is_considering && !m->is_syncing)
		manager_consider_all(m);
	if (!m->is_active)
		m->stats.faults[LOCK_FAULT_ORDER]++; /* the state is to come */
	else if (m->is_syncing) /* others applied it to what this node is taking */
		manager_break(m, "was given an operation while lockspaces are told");
	else if (node == TOTEM_NO_INDEX || !set_has(&m->members, node))
		m->stats.faults[LOCK_FAULT_STRANGER]++;
	else
		manager_apply(m, node, message, length);
	manager_leave(m);
}

static bool has_lockspace(const struct lock_manager *m, uint32_t node)
{
	for (size_t i = 0; i < m->space_count; i++)
		if (space_member_of(m->spaces[i], node))
			return true;
	return false;
}

/* M8: of their own will, and with nothing left behind. */
static void note_leavers(struct lock_manager *m, const struct group_change *change)
{
	for (size_t i = 0; i < change->left_count; i++) {
		const struct group_member *left = &change->left[i];
		int node = node_index(&m->config.nodes, left->node);

		if (left->reason != GROUP_LEAVE || node == TOTEM_NO_INDEX)
			continue;
		if (manager_is_running(m) && !has_lockspace(m, left->node)) {
			roster_close(m, node, m->incarnations[node]);
			set_remove(&m->members, node); /* and waited for no more */
		}
		if (node == m->self)
			m->group = NULL; /* freed behind this call */
	}
}

static void on_changed(void *owner, struct group *group,
		       const struct group_change *change)
{
	struct lock_manager *m = owner;

	(void)group;
	if (m->is_broken)
		return;
	manager_enter(m);
	note_leavers(m, change);
	m->in_group = (struct node_set){ { 0 } };
	for (size_t i = 0; i < change->member_count; i++) {
		int node = node_index(&m->config.nodes, change->members[i].node);

		if (node != TOTEM_NO_INDEX)
			set_add(&m->in_group, node);
	}
	if (!m->is_syncing)
		manager_consider_all(m);
	manager_leave(m);
	if (!m->group && m->ops.left)
		m->ops.left(m->owner);
}

static void on_credit(void *owner, struct group *group)
{
	(void)group;
	manager_enter(owner);
	manager_leave(owner);
}

static const struct group_handlers handlers = {
	.deliver = on_deliver,
	.changed = on_changed,
	.credit_opened = on_credit,
};

/* --- proofs ------------------------------------------------------------------------------- */

/* Of the node's member, while it is missing, and that it died so is not known; or NULL. */
static const struct space_member *missing_member(const struct space *s, uint32_t node,
						 enum lock_death death)
{
	for (size_t i = 0; i < s->member_count; i++) {
		const struct space_member *member = &s->members[i];

		if (member->node == node)
			return member->is_missing &&
					       (!member->is_proven || member->death < death) ?
				       member :
				       NULL;
	}
	return NULL;
}

bool manager_is_missing(const struct lock_manager *m, int node, const struct death *d)
{
	for (size_t i = 0; i < m->space_count; i++) {
		const struct space_member *member =
			missing_member(m->spaces[i], m->config.nodes.ids[node], d->death);

		if (member && member->incarnation <= d->incarnation)
			return true;
	}
	return roster_missing(m, node) != 0 && roster_missing(m, node) <= d->incarnation;
}

/* The newest process of it that is missing anywhere. */
static uint64_t missing_incarnation(const struct lock_manager *m, uint32_t node)
{
	uint64_t newest = roster_missing(m, node_index(&m->config.nodes, node));

	for (size_t i = 0; i < m->space_count; i++) {
		const struct space_member *member = missing_member(m->spaces[i], node, LOCK_DEATH_NODE);

		newest = member ? max_u64(newest, member->incarnation) : newest;
	}
	return newest;
}

int manager_confirm_dead(struct lockspace_engine *engine, uint32_t node,
			 uint64_t incarnation, enum lock_death death, struct err *err)
{
	struct lock_manager *m = manager_of(engine);
	int index = node_index(&m->config.nodes, node);
	struct death *d;

	if (index == TOTEM_NO_INDEX)
		return err_set(err, -EINVAL, "node %u is not among the configured nodes", node);
	d = &m->deaths[index];
	if (incarnation == 0)
		incarnation = missing_incarnation(m, node);
	if (incarnation == 0 || incarnation < d->incarnation)
		return 0;
	*d = (struct death){ .incarnation = incarnation, .death = death };
	if (m->depth == 0 && manager_is_running(m))
		send_deaths(m);
	return 0;
}

/* --- deadlocks ----------------------------------------------------------------------------- */

static void describe(char *to, size_t room, const struct lock_cycle_step *step)
{
	snprintf(to, room, "node %u waits for %.*s (%s), held %s by node %u",
		 step->waits.node, (int)step->name_length, step->name,
		 lock_mode_name(step->wanted), lock_mode_name(step->held),
		 step->blocked_by.node);
}

void manager_tell_deadlock(void *owner, const struct lock_cycle_step *steps, size_t count)
{
	struct space *s = owner;
	struct lock_manager *m = s->manager;
	char text[1024], name[LOCKSPACE_MAX_NAME + 1] = "";
	size_t at = 0;

	m->stats.deadlocks++;
	if (!m->ops.deadlock)
		return;
	memcpy(name, s->name, s->name_length);
	for (size_t i = 0; i < count && at < sizeof(text) - 1; i++) {
		if (i > 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "; ");
		if (at < sizeof(text))
			describe(text + at, sizeof(text) - at, &steps[i]);
		at += strlen(text + at);
	}
	m->ops.deadlock(m->owner, name, text);
}

void manager_tell_diverged(struct lock_manager *m, int node, const struct space_head *head)
{
	char name[LOCKSPACE_MAX_NAME + 1] = "";

	memcpy(name, head->name, head->name_length);
	if (m->ops.diverged)
		m->ops.diverged(m->owner, m->config.nodes.ids[node], name);
}

/* --- life ---------------------------------------------------------------------------------- */

struct lock_manager *lock_manager_new(const struct lock_manager_config *config,
				      struct sync *sync, struct group_engine *engine,
				      const struct lock_manager_ops *ops, void *owner,
				      struct err *err)
{
	int self = node_index(&config->nodes, config->self);
	struct lock_manager *m;

	if (self == TOTEM_NO_INDEX) {
		err_set(err, -EINVAL, "node %u is not among the configured nodes",
			config->self);
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (m)
		m->batch = malloc(MANAGER_BATCH_MAX);
	if (!m || !m->batch) {
		free(m);
		err_nomem(err, "locks");
		return NULL;
	}
	m->base.ops = &manager_engine_ops;
	m->config = *config;
	m->ops = *ops;
	m->owner = owner;
	m->self = self;
	m->sync = sync;
	m->roster = config->roster ? *config->roster : roster_blank();
	m->phase.roster = m->kept = m->roster;
	m->config.roster = NULL; /* the caller's */
	m->armed_at = UINT64_MAX;
	qb_list_init(&m->handles);
	qb_list_init(&m->timers);
	if (group_join(engine, LOCK_MANAGER_GROUP, strlen(LOCK_MANAGER_GROUP), &handlers, m,
		       &m->group, err) < 0) {
		err_prefix(err, "locks");
		free(m->batch);
		free(m);
		return NULL;
	}
	sync_register(sync, SYNC_LOCKS, "locks", &manager_service_ops, m);
	return m;
}

void lock_manager_free(struct lock_manager *m)
{
	if (!m)
		return;
	if (m->group)
		group_abandon(m->group);
	manager_sync_drop(m);
	m->is_broken = true; /* nothing is sent or told any more */
	while (!qb_list_empty(&m->handles))
		handle_free(qb_list_first_entry(&m->handles, struct handle, link));
	while (m->space_count > 0)
		space_free(m->spaces[--m->space_count]);
	for (size_t i = 0; i < m->notice_count; i++)
		free(m->notices[i].members);
	free(m->notices);
	free(m->batch);
	free(m);
}

struct lockspace_engine *lock_manager_engine(struct lock_manager *m)
{
	return &m->base;
}

void lock_manager_leave(struct lock_manager *m)
{
	if (m->is_leaving)
		return;
	m->is_leaving = true;
	group_leave(m->group);
}

/* --- looking ------------------------------------------------------------------------------- */

const struct lock_manager_stats *lock_manager_stats(const struct lock_manager *m)
{
	return &m->stats;
}

bool lock_manager_look(const struct lock_manager *m, size_t index,
		       struct lockspace_look *look)
{
	const struct space *s;

	if (index >= m->space_count)
		return false;
	s = m->spaces[index];
	*look = (struct lockspace_look){
		.name = s->name,
		.name_length = s->name_length,
		.lvb_bytes = s->lvb_bytes,
		.made_on = s->id.ring_seq,
		.made_by = s->id.node,
		.made_as = s->id.opening,
		.generation = s->generation,
		.epoch = s->version.epoch,
		.operations = s->version.operations,
		.freeze = space_freeze(s),
		.member_count = s->member_count,
		.table = s->table,
	};
	for (size_t i = 0; i < s->member_count; i++)
		look->members[i] = (struct lockspace_member_look){
			.node = s->members[i].node,
			.slot = s->members[i].slot,
			.is_missing = s->members[i].is_missing,
			.is_proven = s->members[i].is_proven,
			.incarnation = s->members[i].incarnation,
		};
	return true;
}
