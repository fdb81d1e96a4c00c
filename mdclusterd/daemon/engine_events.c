/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cluster tells the engine, as events. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "mdclusterd/array/array.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"

const char *engine_node_name(const struct engine *e, uint32_t node)
{
	int index = config_node_by_id(e->config, node);

	return index < 0 ? "?" : e->config->nodes[index].name;
}

/* One of those who see it tells it for all: the lowest member. */
static bool is_ours(const struct engine *e)
{
	struct node_set members = cluster_members(e->cluster);

	return set_next(members, 0) == e->config->self;
}

void engine_tell(struct engine *e, int priority, const char *kind, uint32_t node,
		 const char *fmt, ...)
{
	struct status_event event = { .node = node, .slot = -1, .role = -1,
				      .priority = priority };
	va_list args;

	event.is_ours = e->cluster && is_ours(e);
	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	va_start(args, fmt);
	vsnprintf(event.text, sizeof(event.text), fmt, args);
	va_end(args);
	event_hub_add(e->events, &event);
}

void engine_tell_disk(struct engine *e, int priority, const char *kind, const char *array,
		      const char *disk, const char *fmt, ...)
{
	struct status_event event = { .is_ours = true, .slot = -1, .role = -1,
				      .priority = priority };
	va_list args;

	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	snprintf(event.array, sizeof(event.array), "%s", array);
	snprintf(event.disk, sizeof(event.disk), "%s", disk);
	va_start(args, fmt);
	vsnprintf(event.text, sizeof(event.text), fmt, args);
	va_end(args);
	event_hub_add(e->events, &event);
}

void engine_tell_status(const struct engine *e)
{
	int count = set_count(cluster_members(e->cluster));

	supervisor_tell(e->options->engine_fd, "status %d of %d nodes, %s", count,
			e->config->node_count,
			cluster_is_quorate(e->cluster) ? "quorate" : "no quorum");
}

/* The gates, at once; what people are told waits until it stands. */
static void on_quorate(void *owner, bool is_quorate)
{
	units_set_quorate(owner, is_quorate);
}

static const char *name_of(void *owner, uint32_t id)
{
	return engine_node_name(owner, id);
}

void engine_look_at_quorum(struct engine *e, struct quorum_look *look)
{
	cluster_look_at_quorum(e->cluster, name_of, e, look);
}

static void on_settled(void *owner, bool is_quorate)
{
	struct engine *e = owner;
	struct quorum_look look;

	engine_tell_status(e);
	engine_proof_look(e);
	if (e->is_stopping && e->is_clean)
		cluster_leave(e->cluster);
	else if (e->is_stopping)
		engine_set_last_word(e);
	else if (is_quorate)
		autostart_all(e->autostart);
	if (is_quorate == e->was_quorate)
		return;
	e->was_quorate = is_quorate;
	engine_look_at_quorum(e, &look);
	if (is_quorate)
		engine_tell(e, LOG_NOTICE, "quorum_gained", 0,
			    "quorum: %" PRIu32 " of %" PRIu32 " votes", look.votes, look.expected);
	else
		engine_tell(e, LOG_ERR, "quorum_lost", 0, "no quorum: %s: no array is written to",
			    look.why);
}

static void on_member(void *owner, uint32_t node, bool is_member)
{
	struct engine *e = owner;

	engine_tell(e, LOG_NOTICE, is_member ? "node_joined" : "node_left", node,
		    "node %s %s the ring", engine_node_name(e, node),
		    is_member ? "is on" : "has left");
	units_set_missing(e, node, !is_member);
	if (is_member)
		engine_proof_is_back(e, config_node_by_id(e->config, node));
}

static void on_dead(void *owner, uint32_t node, uint64_t incarnation, const char *how)
{
	struct engine *e = owner;

	engine_tell(e, LOG_NOTICE, "node_dead", node,
		    "node %s, incarnation %" PRIu64 ", is proven dead by %s",
		    engine_node_name(e, node), incarnation, how);
}

static void on_deadlock(void *owner, const char *lockspace, const char *cycle)
{
	engine_tell(owner, LOG_WARNING, "deadlock", 0, "lockspace %s: %s", lockspace, cycle);
}

/* --- names ------------------------------------------------------------------------------- */

/* The id behind "node ", and where the text goes on behind it; NULL: it is none of ours. */
static const char *name_at(const struct engine *e, const char *text, const char **end)
{
	static const char word[] = "node ";
	char *behind;
	unsigned long id;
	int index;

	if (strncmp(text, word, strlen(word)) != 0 || !isdigit((unsigned char)text[strlen(word)]))
		return NULL;
	id = strtoul(text + strlen(word), &behind, 10);
	*end = behind;
	index = id <= UINT32_MAX ? config_node_by_id(e->config, (uint32_t)id) : -1;
	return index < 0 ? NULL : e->config->nodes[index].name;
}

char *engine_name_nodes(const struct engine *e, const char *text, char *to, size_t room)
{
	size_t at = 0;

	while (*text && at + 1 < room) {
		const char *end, *name = name_at(e, text, &end);

		if (!name) {
			to[at++] = *text++;
			continue;
		}
		at += (size_t)snprintf(to + at, room - at, "%s", name);
		text = end;
	}
	to[at < room ? at : room - 1] = '\0';
	return to;
}

/* --- arrays ------------------------------------------------------------------------------ */

static const struct {
	int priority;
	const char *text; /* NULL: the event's own */
} array_words[ARRAY_EVENT_KINDS] = {
	[ARRAY_EVENT_STATE] = { LOG_NOTICE, "is" },
	[ARRAY_EVENT_MEMBER_JOINED] = { LOG_NOTICE, "has a member more" },
	[ARRAY_EVENT_MEMBER_LEFT] = { LOG_NOTICE, "has a member less" },
	[ARRAY_EVENT_MEMBER_MISSING] = { LOG_WARNING, "misses a member: its death is not proven" },
	[ARRAY_EVENT_MEMBER_DEAD] = { LOG_WARNING, "a member is dead: it is recovered" },
	[ARRAY_EVENT_SLOT_RECOVERING] = { LOG_NOTICE, "recovers a slot" },
	[ARRAY_EVENT_SLOT_RECOVERED] = { LOG_NOTICE, "has recovered a slot" },
	[ARRAY_EVENT_SUSPENDED] = { LOG_DEBUG, "writes are suspended" },
	[ARRAY_EVENT_RESYNC_STARTED] = { LOG_NOTICE, "resync begins" },
	[ARRAY_EVENT_RESYNC_FINISHED] = { LOG_NOTICE, "resync is done" },
	[ARRAY_EVENT_CHECK_STARTED] = { LOG_NOTICE, "a scrub begins" },
	[ARRAY_EVENT_CHECK_FINISHED] = { LOG_NOTICE, "the scrub is done" },
	[ARRAY_EVENT_MISMATCH] = { LOG_WARNING, "disks differ" },
	[ARRAY_EVENT_DISK_FAILED] = { LOG_ERR, "a disk failed" },
	[ARRAY_EVENT_DEGRADED] = { LOG_ERR, "is degraded" },
	[ARRAY_EVENT_DISK_CORRECTED] = { LOG_WARNING,
					 "a disk had sectors that cannot be read: written anew" },
	[ARRAY_EVENT_GATE] = { LOG_DEBUG, "gate" },
	[ARRAY_EVENT_RETRY] = { LOG_WARNING, "is tried again" },
	[ARRAY_EVENT_DISK_ADDED] = { LOG_NOTICE, "has a disk more" },
	[ARRAY_EVENT_DISK_REMOVED] = { LOG_NOTICE, "has a disk less" },
	[ARRAY_EVENT_RECOVERY_STARTED] = { LOG_NOTICE, "recovery begins" },
	[ARRAY_EVENT_RECOVERY_FINISHED] = { LOG_NOTICE, "recovery is over" },
};

static bool has_role(enum array_event_kind kind)
{
	return kind == ARRAY_EVENT_DISK_FAILED || kind == ARRAY_EVENT_DEGRADED ||
	       kind == ARRAY_EVENT_DISK_CORRECTED || kind == ARRAY_EVENT_RECOVERY_STARTED ||
	       kind == ARRAY_EVENT_RECOVERY_FINISHED;
}

static bool has_a_path(enum array_event_kind kind)
{
	return kind == ARRAY_EVENT_DEGRADED || kind == ARRAY_EVENT_DISK_ADDED ||
	       kind == ARRAY_EVENT_DISK_REMOVED;
}

/* Of the disk that it is about, as far as it is known; "" */
static void find_disk(const struct engine *e, const struct array_event *event,
		      char to[STATUS_TEXT])
{
	const struct unit *u = unit_find(e, event->array);
	struct array_look look = { 0 };

	to[0] = '\0';
	if (has_a_path(event->kind)) {
		snprintf(to, STATUS_TEXT, "%s", event->text);
		return;
	}
	if (!has_role(event->kind) || !u || !unit_array(u))
		return;
	array_look(unit_array(u), &look);
	for (uint32_t i = 0; look.view && i < look.view->disk_count; i++)
		if (look.view->disks[i].role == event->role)
			snprintf(to, STATUS_TEXT, "%s", look.view->disks[i].path);
}

static void add(char *to, size_t room, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void add(char *to, size_t room, const char *fmt, ...)
{
	size_t at = strlen(to);
	va_list args;

	va_start(args, fmt);
	vsnprintf(to + at, room - at, fmt, args);
	va_end(args);
}

/* "has recovered a slot: node node3, slot 2, 64.00 MiB": what the event has of all that. */
static void describe(const struct engine *e, const struct array_event *event, char *to,
		     size_t room)
{
	const char *separator = ": ";
	char size[TEXT_SIZE_BYTES], named[STATUS_TEXT];

	snprintf(to, room, "%s", array_words[event->kind].text);
	if (event->kind == ARRAY_EVENT_STATE || event->kind == ARRAY_EVENT_GATE) {
		add(to, room, " %s", event->text);
		return;
	}
	if (event->node) {
		add(to, room, "%snode %s", separator, engine_node_name(e, event->node));
		separator = ", ";
	}
	if (has_role(event->kind)) {
		add(to, room, "%srole %" PRIu32, separator, event->role);
		separator = ", ";
	} else if (has_a_path(event->kind)) {
		add(to, room, "%snumber %" PRIu32, separator, event->role);
		separator = ", ";
	} else if (event->slot >= 0 && event->kind <= ARRAY_EVENT_SUSPENDED) {
		add(to, room, "%sslot %d", separator, event->slot);
		separator = ", ";
	}
	if (event->high > event->low) {
		add(to, room, "%ssectors %" PRIu64 " to %" PRIu64, separator, event->low,
		    event->high);
		separator = ", ";
	}
	if (event->bytes) {
		add(to, room, "%s%s", separator, text_size(event->bytes, size));
		separator = ", ";
	}
	if (event->kind == ARRAY_EVENT_RECOVERY_FINISHED && !*event->text)
		add(to, room, "%sin sync", separator);
	if (*event->text)
		add(to, room, "%s%s", separator,
		    engine_name_nodes(e, event->text, named, sizeof(named)));
}

void engine_tell_array(struct engine *e, const struct array_event *event)
{
	struct status_event s = {
		.node = event->node,
		.is_ours = event->is_ours,
		.slot = event->slot,
		.role = has_role(event->kind) ? (int32_t)event->role : -1,
		.low = event->low,
		.high = event->high,
		.bytes = event->bytes,
		.priority = array_words[event->kind].priority,
	};

	snprintf(s.kind, sizeof(s.kind), "%s", array_event_name(event->kind));
	snprintf(s.array, sizeof(s.array), "%s", event->array);
	find_disk(e, event, s.disk);
	describe(e, event, s.text, sizeof(s.text));
	event_hub_add(e->events, &s);
}

static void on_left(void *owner)
{
	struct engine *e = owner;

	loop_stop(e->loop);
}

static void on_broken(void *owner)
{
	struct engine *e = owner;

	e->is_broken = true;
	engine_stop(e);
}

const struct cluster_ops *engine_cluster_ops(void)
{
	static const struct cluster_ops ops = {
		.quorate = on_quorate,
		.settled = on_settled,
		.member = on_member,
		.dead = on_dead,
		.deadlock = on_deadlock,
		.left = on_left,
		.broken = on_broken,
	};

	return &ops;
}
