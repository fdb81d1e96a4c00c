/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is in the lockspace, by the group; and what the kernel does not tell: prep, slot
 * and done. Where dlm_controld fences, a member that vanished with its node is dead when
 * the kernel's configuration has dropped it (dlm_controld does that between stopping and
 * starting the lockspace, behind fencing); else when that is confirmed, and it has. Then,
 * and when all the missing are dead or back, a conversion of this node's own lock "barrier.NODE" waits for as long as the
 * lockspace recovers: what is granted behind it is granted by a recovered lockspace.
 *
 * Message of the round trip: ROUND u8, number u64.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "lockres/dlm_kernel.h"
#include "lockres/dlm_space.h"
#include "totem/group.h"

enum { ROUND = 16 }; /* what is below is dlm_slots.h's */

/* A message for which there was no credit. */
struct letter {
	struct qb_list_head link;
	size_t length;
	uint8_t bytes[];
};

bool dlm_group_is_pending(const struct dlm_space *space)
{
	const struct lockspace_dlm *d = space->d;

	return space->group && d->ops.is_pending &&
	       d->ops.is_pending(d->owner, space->group);
}

/* --- messages -------------------------------------------------------------------- */

static int send_now(struct dlm_space *space, const void *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };

	return group_multicast(space->group, GROUP_AGREED, &part, 1);
}

static void lose_memory(struct dlm_space *space)
{
	struct err err = ERR_INIT;

	err_nomem(&err, "a message to the group");
	dlm_space_lose(space, &err);
}

static void send(void *owner, const void *bytes, size_t length)
{
	struct dlm_space *space = owner;
	struct letter *letter;
	int r;

	if (!space->group)
		return;
	r = qb_list_empty(&space->outbox) ? send_now(space, bytes, length) : -EAGAIN;
	if (r == 0 || r == -ESHUTDOWN)
		return;
	letter = r == -EAGAIN ? malloc(sizeof(*letter) + length) : NULL;
	if (!letter) {
		lose_memory(space);
		return;
	}
	letter->length = length;
	memcpy(letter->bytes, bytes, length);
	qb_list_add_tail(&letter->link, &space->outbox);
}

static void letter_free(struct letter *letter)
{
	qb_list_del(&letter->link);
	free(letter);
}

static void credit_opened(void *owner, struct group *group)
{
	struct dlm_space *space = owner;

	(void)group;
	while (!qb_list_empty(&space->outbox)) {
		struct letter *letter = qb_list_first_entry(&space->outbox, struct letter,
							    link);
		int r = send_now(space, letter->bytes, letter->length);

		if (r == -EAGAIN)
			return;
		letter_free(letter);
		if (r == -ENOMEM)
			lose_memory(space);
	}
}

uint64_t dlm_members_round(struct dlm_space *space)
{
	uint64_t number = dlm_gate_round(&space->gate);
	uint8_t bytes[16];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	space->d->stats.rounds++;
	wr_u8(&wr, ROUND);
	wr_u64(&wr, number);
	send(space, bytes, wr.at);
	return number;
}

/* --- the kernel's members ------------------------------------------------------------------- */

static uint64_t member_now(const struct dlm_space *space, uint32_t node)
{
	return dlm_kernel_member(space->kernel_name, node);
}

static struct dlm_kernel_member *kernel_member(struct dlm_space *space, uint32_t node)
{
	struct dlm_kernel_member *m = space->kernel_members;
	size_t i;

	for (i = 0; i < space->kernel_member_count; i++)
		if (m[i].node == node)
			return &m[i];
	if (space->kernel_member_count == DLM_SPACE_LINGERERS)
		return NULL;
	m += space->kernel_member_count++;
	*m = (struct dlm_kernel_member){ .node = node, .number = member_now(space, node) };
	return m;
}

static void remember_members(struct dlm_space *space,
			     const struct lockspace_member *members, size_t count)
{
	size_t i;

	space->kernel_member_count = 0;
	for (i = 0; i < count; i++)
		(void)kernel_member(space, members[i].node);
}

/* Whose death the kernel has seen; said once, and again after each change. */
static void look_at(struct dlm_space *space, struct dlm_kernel_member *m)
{
	const struct dlm_seat *seat = dlm_slots_find(&space->slots, m->node);
	bool is_missing = seat && seat->is_missing;

	if (!is_missing && !m->is_lingering)
		return;
	if (member_now(space, m->node) == m->number && m->number) {
		if (seat && seat->is_member && !is_missing)
			m->is_lingering = false; /* it was not dead */
		return;
	}
	m->is_lingering = false;
	if (is_missing && !m->is_told && space->d->config.drops_are_proofs &&
	    dlm_guard_dead(space, m->node)) {
		m->is_told = true;
		dlm_slots_confirm(&space->slots, m->node, 0, LOCK_DEATH_NODE);
		if (space->d->ops.dropped)
			space->d->ops.dropped(space->d->owner, m->node);
	}
}

static bool lingers(const struct dlm_space *space)
{
	size_t i;

	for (i = 0; i < space->kernel_member_count; i++)
		if (space->kernel_members[i].is_lingering)
			return true;
	return false;
}

bool dlm_members_watch(const struct dlm_space *space)
{
	return lingers(space) || dlm_slots_is_missing(&space->slots);
}

/* --- what the slots tell -------------------------------------------------------------------- */

static void changed(void *owner)
{
	struct dlm_space *space = owner;

	dlm_gate_changed(&space->gate);
}

static void missing(void *owner, uint32_t node, bool is_process)
{
	struct dlm_space *space = owner;
	struct dlm_kernel_member *m = kernel_member(space, node);

	if (m)
		m->is_lingering = !is_process;
	dlm_members_hold(space);
}

void dlm_members_hold(struct dlm_space *space)
{
	if (dlm_gate_missing(&space->gate) && space->handlers.recover_prep)
		space->handlers.recover_prep(space->owner, &space->base);
}

static void dead(void *owner, uint32_t node, int slot, enum lock_death death)
{
	struct dlm_space *space = owner;
	struct dlm_kernel_member *m = kernel_member(space, node);

	/* Its node's kernel goes on, and with it what its process left. */
	if (m && death == LOCK_DEATH_PROCESS)
		m->is_lingering = false;
	if (death == LOCK_DEATH_NODE && m && !m->is_lingering && member_now(space, node) &&
	    dlm_purge_post(space, node) < 0)
		lose_memory(space);
	if (space->gate.is_in && space->handlers.recover_slot)
		space->handlers.recover_slot(space->owner, &space->base, node, slot);
}

static void lost(void *owner, int why)
{
	struct dlm_space *space = owner;
	struct err err = ERR_INIT;

	err_set(&err, why, "%s",
		why == -ENOSPC ? "the lockspace has no slot left" :
		why == -EEXIST ? "another process of this node is in the lockspace" :
		why == -ESTALE ? "the others took this node for dead, and went on without it" :
				 "the table of slots that came from another member makes no sense");
	dlm_space_lose(space, &err);
}

static const struct dlm_slots_ops slots_ops = { send, changed, missing, dead, lost };

/* --- the group -------------------------------------------------------------------- */

static void deliver(void *owner, struct group *group, const struct group_member *sender,
		    const void *message, size_t length)
{
	struct dlm_space *space = owner;
	struct rd rd = rd_over(message, length);

	if (!dlm_slots_message(&space->slots, sender, message, length) &&
	    rd_u8(&rd) == ROUND && sender->node == space->d->config.self &&
	    sender->handle == group->handle)
		dlm_gate_round_back(&space->gate, rd_u64(&rd));
	dlm_space_settle(space);
}

static bool has_left(const struct dlm_space *space, const struct group_change *change)
{
	size_t i;

	for (i = 0; i < change->left_count; i++)
		if (change->left[i].node == space->d->config.self &&
		    change->left[i].handle == space->group->handle &&
		    change->left[i].reason == GROUP_LEAVE)
			return true;
	return false;
}

static void view_changed(void *owner, struct group *group,
			 const struct group_change *change)
{
	struct dlm_space *space = owner;
	size_t i;

	if (has_left(space, change)) {
		space->group = NULL;
		dlm_space_release(space);
		return;
	}
	for (i = 0; i < space->kernel_member_count; i++)
		space->kernel_members[i].is_told = false;
	if (dlm_slots_changed(&space->slots, group->handle, change) < 0)
		lose_memory(space);
	dlm_space_settle(space);
}

static const struct group_handlers group_handlers = {
	.deliver = deliver,
	.changed = view_changed,
	.credit_opened = credit_opened,
};

/* --- the barrier -------------------------------------------------------------------- */

static void barrier_ask(struct dlm_space *space, enum lock_mode mode, uint32_t flags)
{
	struct dlm_claim *claim = space->barrier;
	char name[LOCK_MAX_NAME];
	struct dlm_call call;

	dlm_lock_ask(&claim->state, mode, flags, &call);
	call.name = name;
	call.name_length = (size_t)snprintf(name, sizeof(name), "barrier.%u",
					    space->d->config.self);
	if (dlm_call_post(claim, &call) == -ENOMEM)
		lose_memory(space);
}

static void barrier_go(struct dlm_space *space)
{
	if (space->gate.is_barred && !space->is_barrier_back &&
	    space->barrier->state.wish == DLM_WISH_NONE &&
	    space->barrier->state.held == LOCK_NL)
		barrier_ask(space, LOCK_CR, LOCK_CONVERT);
}

/* NL is there, CR is: the way is open, back to NL. */
void dlm_members_barrier_over(struct dlm_space *space)
{
	const struct dlm_end *end = &space->barrier->state.end;
	struct err err = ERR_INIT;

	if (end->status) {
		err_set(&err, end->status, "lockspace %s: the DLM refuses a lock: %s",
			space->kernel_name, strerror(-end->status));
		dlm_space_lose(space, &err);
		return;
	}
	if (end->mode == LOCK_CR) {
		space->is_barrier_back = true;
		barrier_ask(space, LOCK_NL, LOCK_CONVERT);
	}
	barrier_go(space);
}

static void tell_done(struct dlm_space *space)
{
	struct lockspace_member members[LOCKSPACE_MAX_SLOTS];
	int our_slot;
	size_t count = dlm_slots_members(&space->slots, members, &our_slot);

	space->state = DLM_SPACE_IN;
	remember_members(space, members, count);
	dlm_waiting_submit(space);
	if (space->handlers.recover_done)
		space->handlers.recover_done(space->owner, &space->base, members, count,
					     our_slot, dlm_slots_generation(&space->slots));
}

static bool is_seated(const struct dlm_space *space)
{
	const struct dlm_seat *seat = dlm_slots_find(&space->slots, space->d->config.self);

	return space->slots.has_table && seat && seat->is_member && !seat->is_missing &&
	       seat->handle == space->slots.handle;
}

/* Who was missing before we came is watched as well. */
static void watch_missing(struct dlm_space *space)
{
	int i;

	for (i = 0; i < space->slots.seat_count; i++) {
		const struct dlm_seat *seat = &space->slots.seats[i];
		size_t count = space->kernel_member_count;
		struct dlm_kernel_member *m =
			seat->is_missing ? kernel_member(space, seat->node) : NULL;

		if (m && space->kernel_member_count > count)
			m->is_lingering = !seat->is_process;
	}
}

void dlm_members_settle(struct dlm_space *space)
{
	size_t i;

	watch_missing(space);
	for (i = 0; i < space->kernel_member_count; i++)
		look_at(space, &space->kernel_members[i]);
	if (space->is_barrier_back && !dlm_group_is_pending(space)) {
		space->is_barrier_back = false;
		if (dlm_gate_unbar(&space->gate))
			tell_done(space);
	}
	if (is_seated(space) &&
	    dlm_gate_bar(&space->gate,
			 dlm_slots_is_missing(&space->slots) || dlm_guard_holds(space),
			 lingers(space)))
		space->d->stats.barriers++;
	barrier_go(space);
}

/* --- beginning and end -------------------------------------------------------------------- */

void dlm_members_init(struct dlm_space *space, const struct lockspace_config *config)
{
	dlm_slots_init(&space->slots, space->d->config.self, space->d->config.incarnation,
		       config, &slots_ops, space);
}

/* The kernel has the lockspace: results come, the barrier is laid, the others told. */
int dlm_members_join(struct dlm_space *space, int fd, struct err *err)
{
	char name[DLM_NAME_ROOM];
	int yes = 1, r;

	if (ioctl(fd, FIONBIO, &yes) < 0)
		return err_set(err, -errno, "lockspace %s: %s", space->kernel_name,
			       strerror(errno));
	if (!member_now(space, space->d->config.self))
		return err_set(err, -ENOENT,
			       "lockspace %s: configfs does not show node %u as a member: is it mounted, and the node's id dlm_controld's?",
			       space->kernel_name, space->d->config.self);
	r = loop_fd_add(space->d->config.loop, fd, POLLIN, dlm_space_readable, space, err);
	if (r < 0)
		return r;
	space->fd = fd;
	space->state = DLM_SPACE_JOINING;
	barrier_ask(space, LOCK_NL, 0);
	memcpy(name, space->kernel_name, sizeof(name));
	*strchr(name, '-') = ':';
	return group_join(space->d->config.groups, name, strlen(name), &group_handlers,
			  space, &space->group, err);
}

void dlm_members_free(struct dlm_space *space)
{
	loop_timer_cancel(space->tick);
	if (space->group)
		group_abandon(space->group);
	while (!qb_list_empty(&space->outbox))
		letter_free(qb_list_first_entry(&space->outbox, struct letter, link));
	dlm_slots_fini(&space->slots);
}
