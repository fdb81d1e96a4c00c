/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people see: states, events, and for what it waits (V6). */
#include "mdclusterd/array/array_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bitmap/md_sb.h"

const char *array_state_name(enum array_state state)
{
	static const char *const names[ARRAY_STATES] = {
		[ARRAY_DOWN] = "down",
		[ARRAY_ASSEMBLING] = "assembling",
		[ARRAY_JOINING] = "joining",
		[ARRAY_OWNING] = "owning",
		[ARRAY_ACTIVATING] = "activating",
		[ARRAY_STARTING] = "starting",
		[ARRAY_GATHERING] = "gathering",
		[ARRAY_ACTIVE] = "active",
		[ARRAY_FROZEN] = "frozen",
		[ARRAY_LEAVING] = "leaving",
		[ARRAY_LOST] = "lost",
		[ARRAY_FAILED] = "failed",
	};

	return (uint32_t)state < ARRAY_STATES ? names[state] : "?";
}

const char *array_event_name(enum array_event_kind kind)
{
	static const char *const names[ARRAY_EVENT_KINDS] = {
		[ARRAY_EVENT_STATE] = "state",
		[ARRAY_EVENT_MEMBER_JOINED] = "member_joined",
		[ARRAY_EVENT_MEMBER_LEFT] = "member_left",
		[ARRAY_EVENT_MEMBER_MISSING] = "member_missing",
		[ARRAY_EVENT_MEMBER_DEAD] = "member_dead",
		[ARRAY_EVENT_SLOT_RECOVERING] = "slot_recovering",
		[ARRAY_EVENT_SLOT_RECOVERED] = "slot_recovered",
		[ARRAY_EVENT_SUSPENDED] = "suspended",
		[ARRAY_EVENT_RESYNC_STARTED] = "resync_started",
		[ARRAY_EVENT_RESYNC_FINISHED] = "resync_finished",
		[ARRAY_EVENT_CHECK_STARTED] = "check_started",
		[ARRAY_EVENT_CHECK_FINISHED] = "check_finished",
		[ARRAY_EVENT_MISMATCH] = "mismatch",
		[ARRAY_EVENT_DISK_FAILED] = "disk_failed",
		[ARRAY_EVENT_DEGRADED] = "degraded",
		[ARRAY_EVENT_DISK_CORRECTED] = "disk_corrected",
		[ARRAY_EVENT_GATE] = "gate",
		[ARRAY_EVENT_RETRY] = "retry",
		[ARRAY_EVENT_DISK_ADDED] = "disk_added",
		[ARRAY_EVENT_DISK_REMOVED] = "disk_removed",
		[ARRAY_EVENT_RECOVERY_STARTED] = "recovery_started",
		[ARRAY_EVENT_RECOVERY_FINISHED] = "recovery_finished",
	};

	return (uint32_t)kind < ARRAY_EVENT_KINDS ? names[kind] : "?";
}

static bool is_of_a_slot(enum array_event_kind kind)
{
	return kind == ARRAY_EVENT_MEMBER_JOINED || kind == ARRAY_EVENT_MEMBER_LEFT ||
	       kind == ARRAY_EVENT_MEMBER_MISSING || kind == ARRAY_EVENT_MEMBER_DEAD ||
	       kind == ARRAY_EVENT_SLOT_RECOVERING || kind == ARRAY_EVENT_SLOT_RECOVERED ||
	       kind == ARRAY_EVENT_SUSPENDED;
}

/* What is of no slot is of this node, and so is its to report; but for what all see. */
void array_tell_event(struct array *a, struct array_event event)
{
	if (!is_of_a_slot(event.kind)) {
		event.node = a->config.self;
		event.slot = a->our_slot;
		event.is_ours |= event.kind != ARRAY_EVENT_DEGRADED;
	}
	event.at_ns = array_now(a);
	event.array = a->name;
	if (!event.text)
		event.text = "";
	if (a->ops.event)
		a->ops.event(a->owner, &event);
}

/* --- for what it waits ----------------------------------------------------------------------- */

static void say_holders(const struct lockres *lock, const char *what, char *to, size_t room)
{
	uint32_t nodes[4];
	size_t count = lockres_blockers(lock, nodes, 4);
	int at = snprintf(to, room, "waits: %s", what);

	for (size_t i = 0; i < count && i < 4 && at > 0 && (size_t)at < room; i++)
		at += snprintf(to + at, room - (size_t)at, "%snode %" PRIu32,
			       i ? ", " : ", that it is done by ", nodes[i]);
}

static const struct array_slot *missing(const struct array *a)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (a->slots[i].is_missing)
			return &a->slots[i];
	return NULL;
}

static void say_member(const struct array *a, struct array_look *look)
{
	const struct array_slot *s = missing(a);

	if (s) {
		look->waits_since_ns = s->since_ns;
		snprintf(look->waits, sizeof(look->waits), "waits: proof of death of node %" PRIu32,
			 s->node);
	} else {
		snprintf(look->waits, sizeof(look->waits),
			 "waits: the lockspace, where a member is missing");
	}
}

static void say_slot(const struct array *a, struct array_look *look)
{
	char what[64];

	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		const struct array_slot *s = &a->slots[i];

		if (!s->is_mapped)
			continue;
		snprintf(what, sizeof(what), "recovery of slot %d", i);
		if (s->lock_state == SLOT_LOCK_WANTED)
			say_holders(&s->lock, what, look->waits, sizeof(look->waits));
		else
			snprintf(look->waits, sizeof(look->waits), "waits: %s", what);
		return;
	}
}

static enum array_wait wait_of(const struct array *a)
{
	if (a->state == ARRAY_DOWN || a->state == ARRAY_FAILED)
		return ARRAY_WAIT_NONE;
	if (a->leave.step == LEAVE_CLOSE)
		return ARRAY_WAIT_LEAVE;
	if (a->is_member && !a->is_thawed && !a->is_lost)
		return ARRAY_WAIT_MEMBER;
	if (a->state == ARRAY_JOINING)
		return ARRAY_WAIT_JOIN;
	if (a->state == ARRAY_OWNING)
		return ARRAY_WAIT_SLOT;
	if (!members_all_recovered(a))
		return ARRAY_WAIT_RECOVERY;
	if (a->state == ARRAY_ACTIVE && !a->is_quorate)
		return ARRAY_WAIT_QUORUM;
	if (a->fail.waiting | a->fail.gone)
		return ARRAY_WAIT_FAILURE;
	if (a->state != ARRAY_ACTIVE)
		return ARRAY_WAIT_RETRY;
	if (a->needed_chunks && disks_in_sync(a) < 2)
		return ARRAY_WAIT_DISK;
	return retry_may(a, &a->resync.retry) && retry_may(a, &a->tell.retry) ? ARRAY_WAIT_NONE :
										ARRAY_WAIT_RETRY;
}

void look_note_wait(struct array *a)
{
	enum array_wait wait = wait_of(a);

	if (wait != a->wait)
		a->wait_since_ns = array_now(a);
	a->wait = wait;
}

static void say(struct array_look *look, const char *what)
{
	snprintf(look->waits, sizeof(look->waits), "waits: %.240s", what);
}

static void say_waits(const struct array *a, struct array_look *look)
{
	enum array_wait wait = wait_of(a);
	char what[64];

	look->waits_since_ns = wait == a->wait ? a->wait_since_ns : array_now(a);
	switch (wait) {
	case ARRAY_WAIT_NONE:
		break;
	case ARRAY_WAIT_LEAVE:
		say(look, a->is_quorate ? "the other nodes, to leave the lockspace" :
					  "quorum, to leave the lockspace");
		break;
	case ARRAY_WAIT_MEMBER:
		say_member(a, look);
		break;
	case ARRAY_WAIT_JOIN:
		say(look, a->is_member ? "token" : "the lockspace takes it in");
		break;
	case ARRAY_WAIT_SLOT:
		say_holders(&a->slots[a->our_slot].lock, "its slot", look->waits,
			    sizeof(look->waits));
		break;
	case ARRAY_WAIT_RECOVERY:
		say_slot(a, look);
		break;
	case ARRAY_WAIT_QUORUM:
		say(look, "quorum");
		break;
	case ARRAY_WAIT_FAILURE:
		snprintf(what, sizeof(what), "that all nodes know of the failed disk %d",
			 __builtin_ctz(a->fail.waiting | a->fail.gone));
		say(look, what);
		break;
	case ARRAY_WAIT_DISK:
		say(look, "a disk to resync to: what is needed stays needed");
		break;
	case ARRAY_WAIT_RETRY:
		say(look, a->why.code ? a->why.text : array_state_name(a->state));
	}
}

/* --- looking ------------------------------------------------------------------------------------ */

static void look_members(const struct array *a, struct array_look *look)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		const struct array_slot *s = &a->slots[i];
		bool is_us = i == a->our_slot;

		if (s->is_mapped || s->is_leaving)
			look->recovery_map |= UINT64_C(1) << i;
		if (!s->is_member)
			continue;
		look->members[look->member_count++] = (struct array_member_look){
			.node = s->node,
			.slot = i,
			.is_missing = s->is_missing,
			.owes_resync = is_us ? a->needed_chunks > 0 : s->owes || s->must_read,
			.low = is_us ? a->tell.heard.low : s->window.low,
			.high = is_us ? a->tell.heard.high : s->window.high,
			.since_ns = s->since_ns,
		};
	}
}

static void look_resync(const struct array *a, struct array_look *look)
{
	const struct array_resync *r = &a->resync;
	uint64_t chunk = a->view.geo.chunk_bytes / SECTOR_BYTES;

	look->speed_bytes = r->speed_bytes;
	look->mismatch_sectors = a->sweep.mismatch_sectors;
	if (r->is_running && disks_in_sync(a) >= 2) {
		look->kind_text = "resync";
		look->done_sectors = r->done_chunks * chunk;
		look->total_sectors = look->done_sectors + a->needed_chunks * chunk;
		look->began_ns = r->began_ns;
	} else if (a->sweep.step == SWEEP_RUNS && a->sweep.is_on) {
		look->kind_text = a->sweep.kind == PLANE_REBUILD ? "recovery" :
				  a->sweep.kind == PLANE_REPAIR	 ? "repair" :
								   "check";
		look->done_sectors = a->sweep.position;
		look->total_sectors = a->view.sync_size;
		look->began_ns = a->sweep.began_ns;
	}
}

void array_look(const struct array *a, struct array_look *look)
{
	*look = (struct array_look){
		.name = a->name,
		.state = a->state,
		.state_since_ns = a->state_since_ns,
		.why = a->why,
		.slot = a->our_slot,
		.is_quorate = a->is_quorate,
		.is_gate_open = a->is_gate_open,
		.is_single_source = a->is_single_source,
		.view = a->has_view ? &a->view : NULL,
		.degraded_since_ns = a->degraded_since_ns,
	};
	look_members(a, look);
	look_resync(a, look);
	say_waits(a, look);
	look->needs_disk = wait_of(a) == ARRAY_WAIT_DISK;
}

void array_set_missing(struct array *a, uint32_t node, bool is_missing)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		struct array_slot *s = &a->slots[i];

		if (!s->is_member || s->node != node || s->is_missing == is_missing)
			continue;
		s->is_missing = is_missing;
		s->since_ns = array_now(a);
		if (is_missing)
			array_tell_event(a, (struct array_event){
				.kind = ARRAY_EVENT_MEMBER_MISSING,
				.node = node,
				.slot = i,
				.is_ours = members_is_reporter(a),
			});
	}
}
