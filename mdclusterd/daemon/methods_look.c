/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods that tell: Status, Ring, Locks, Detail. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "lockres/dump.h"
#include "mdclusterd/control/status.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/daemon/status_fill.h"

/* --- Status: each plane is asked, and the last answer completes it -------------------------- */

struct status_call {
	struct method_call method;
	struct status status;
	uint32_t room, awaited;
	bool is_beginning;
	struct asked {
		struct unit_looker looker;
		struct status_call *call;
		struct unit *unit;
		bool is_awaited;
	} asked[];
};

static void drop_status(struct method_call *m)
{
	struct status_call *s = (struct status_call *)m;

	for (uint32_t i = 0; i < s->room; i++)
		if (s->asked[i].is_awaited)
			unit_look_no_more(&s->asked[i].looker);
	status_fini(&s->status);
	free(s);
}

static void reply_status(struct status_call *s)
{
	struct control_call *call = s->method.call;
	json_t *json = status_to_json(&s->status);

	control_set_state(call, NULL);
	drop_status(&s->method);
	if (json)
		control_reply(call, json_pack("{s:o}", "status", json));
	else
		method_refuse(call, -ENOMEM, "the daemon has no memory for it");
}

static void plane_was_looked_at(void *owner, const struct plane_look *look)
{
	struct asked *a = owner;
	struct status_call *s = a->call;

	a->is_awaited = false;
	status_fill_array(s->method.engine, a->unit, look,
			  &s->status.arrays[s->status.array_count++]);
	if (--s->awaited == 0 && !s->is_beginning)
		reply_status(s);
}

/* What is configured, and not in use here: people look for it. */
static void add_the_others(struct status_call *s)
{
	const struct engine *e = s->method.engine;

	for (size_t i = 0; i < e->config->array_count; i++)
		if (!unit_find(e, e->config->arrays[i].name))
			status_fill_down(e, &e->config->arrays[i],
					 &s->status.arrays[s->status.array_count++]);
}

static uint32_t count_units(const struct engine *e)
{
	uint32_t count = 0;

	for (struct unit *u = unit_next(e, NULL); u; u = unit_next(e, u))
		count++;
	return count;
}

void method_status(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	uint32_t count = count_units(e), i = 0;
	struct status_call *s = method_new(e, call, sizeof(*s) + count * sizeof(s->asked[0]),
					   drop_status);

	(void)parameters;
	if (!s)
		return;
	s->status.arrays = calloc(count + e->config->array_count + 1, sizeof(*s->status.arrays));
	if (!s->status.arrays) {
		control_set_state(call, NULL);
		drop_status(&s->method);
		method_refuse(call, -ENOMEM, "the daemon has no memory for it");
		return;
	}
	status_fill(e, &s->status);
	add_the_others(s);
	s->room = s->awaited = count;
	s->is_beginning = true; /* some answer at once */
	for (struct unit *u = unit_next(e, NULL); u; u = unit_next(e, u), i++) {
		s->asked[i] = (struct asked){ { .done = plane_was_looked_at,
						.owner = &s->asked[i] }, s, u, true };
		unit_read_slots(u);
		unit_look(u, &s->asked[i].looker);
	}
	s->is_beginning = false;
	if (s->awaited == 0)
		reply_status(s);
}

/* --- Ring ------------------------------------------------------------------------------------- */

static void add_counter(void *owner, const char *name, uint64_t value)
{
	json_object_set_new(owner, name, json_integer((json_int_t)value));
}

static json_t *ids_of(const struct engine *e, struct node_set set)
{
	json_t *ids = json_array();

	for (int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))
		json_array_append_new(ids, json_integer(e->config->nodes[i].id));
	return ids;
}

static json_t *view_of(const struct engine *e, const struct totem_view *v)
{
	return json_pack("{s:s, s:I, s:I, s:o, s:b, s:b, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "state", ring_state_name(v->state),
			 "ring_rep", (json_int_t)v->ring.rep, "ring_seq", (json_int_t)v->ring.seq,
			 "members", ids_of(e, v->members),
			 "is_synchronised", v->is_synchronised, "is_quorate", v->is_quorate,
			 "epoch_rep", (json_int_t)v->epoch.rep,
			 "epoch_seq", (json_int_t)v->epoch.seq,
			 "waiting_for", ids_of(e, v->waiting_for),
			 "token_age_ns", (json_int_t)v->token_age_ns,
			 "token_interval_ns", (json_int_t)v->token_interval_ns,
			 "backlog_bytes", (json_int_t)v->backlog_bytes,
			 "continuous_gather", (json_int_t)v->continuous_gather,
			 "token_timeout_ns", (json_int_t)v->token_timeout_ns,
			 "consensus_ns", (json_int_t)v->consensus_ns,
			 "join_ns", (json_int_t)v->join_ns,
			 "merge_ns", (json_int_t)v->merge_ns,
			 "hold_ns", (json_int_t)v->hold_ns);
}

void method_ring(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	struct station *station = cluster_station(e->cluster);
	json_t *counters = json_object();
	struct totem_view view;

	(void)parameters;
	totem_look(station_totem(station), clock_boot_ns(), &view);
	station_counters(station, add_counter, counters);
	control_reply(call, json_pack("{s:o, s:o}", "view", view_of(e, &view), "counters",
				      counters));
}

/* --- Locks -------------------------------------------------------------------------------------- */

static struct lock_dump *take_dump(const struct engine *e)
{
	struct lock_dump_node names[TOTEM_MAX_NODES] = { 0 };
	const struct lock_dump about = {
		.taken_s = clock_wall_s(),
		.clock_ns = clock_boot_ns(),
		.self = e->config->nodes[e->config->self].id,
		.nodes = names,
		.node_count = (size_t)e->config->node_count,
	};

	for (int i = 0; i < e->config->node_count; i++) {
		names[i].id = e->config->nodes[i].id;
		names[i].name_length = (size_t)snprintf(names[i].name, sizeof(names[i].name),
							"%s", e->config->nodes[i].name);
	}
	return lock_dump_take(cluster_manager(e->cluster), &about);
}

void method_locks(void *owner, struct control_call *call, const json_t *parameters)
{
	struct lock_dump *dump = take_dump(owner);
	json_t *json = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);
	int r = file && dump ? lock_dump_write(dump, file) : -ENOMEM;

	(void)parameters;
	if (file && fclose(file) != 0)
		r = -ENOMEM;
	if (r == 0)
		json = json_loadb(text, length, 0, NULL);
	lock_dump_free(dump);
	free(text);
	if (json)
		control_reply(call, json_pack("{s:o}", "dump", json));
	else
		method_refuse(call, -ENOMEM, "the daemon has no memory for it");
}

/* --- Detail --------------------------------------------------------------------------------------- */

struct detail_call {
	struct method_call method;
	struct unit_looker looker;
	struct unit *unit;
	bool is_awaited;
};

static void drop_detail(struct method_call *m)
{
	struct detail_call *d = (struct detail_call *)m;

	if (d->is_awaited)
		unit_look_no_more(&d->looker);
	free(d);
}

static json_t *disks_of(const struct metadata_view *v)
{
	static const char *const states[] = {
		[METADATA_DISK_MISSING] = "missing", [METADATA_DISK_FAULTY] = "faulty",
		[METADATA_DISK_SPARE] = "spare", [METADATA_DISK_REBUILD] = "rebuild",
		[METADATA_DISK_IN_SYNC] = "in_sync", [METADATA_DISK_STALE] = "stale",
	};
	json_t *disks = json_array();
	char uuid[TEXT_UUID_BYTES];

	for (uint32_t i = 0; i < v->disk_count; i++)
		json_array_append_new(disks, json_pack("{s:I, s:I, s:s, s:s, s:s}",
			"number", (json_int_t)v->disks[i].dev_number,
			"role", (json_int_t)v->disks[i].role,
			"state", states[v->disks[i].state], "path", v->disks[i].path,
			"device_uuid", text_uuid(v->disks[i].device_uuid, uuid)));
	return disks;
}

static json_t *metadata_of(const struct metadata_view *v)
{
	char uuid[TEXT_UUID_BYTES], level[16];

	snprintf(level, sizeof(level), "raid%d", v->level);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			 "version", "1.2", "name", v->name, "cluster", v->cluster,
			 "uuid", text_uuid(v->uuid, uuid), "level", level,
			 "layout", (json_int_t)v->layout,
			 "chunk_sectors", (json_int_t)v->chunk_sectors,
			 "raid_disks", (json_int_t)v->raid_disks,
			 "size_sectors", (json_int_t)v->member_sectors,
			 "array_sectors", (json_int_t)v->array_sectors,
			 "events", (json_int_t)v->events,
			 "resync_offset", (json_int_t)v->resync_offset,
			 "created_s", (json_int_t)v->created_s,
			 "updated_s", (json_int_t)v->updated_s,
			 "nodes", (json_int_t)v->geo.nodes, "disks", disks_of(v));
}

static json_t *array_json(const struct engine *e, const struct unit *u,
			  const struct plane_look *look)
{
	struct status s = { 0 };
	json_t *all, *one = NULL;

	s.arrays = calloc(1, sizeof(*s.arrays));
	if (!s.arrays)
		return NULL;
	status_fill(e, &s);
	status_fill_array(e, u, look, &s.arrays[0]);
	s.array_count = 1;
	all = status_to_json(&s);
	one = json_incref(json_array_get(json_object_get(all, "arrays"), 0));
	json_decref(all);
	status_fini(&s);
	return one;
}

static void detail_is_known(void *owner, const struct plane_look *look)
{
	struct detail_call *d = owner;
	struct control_call *call = d->method.call;
	struct engine *e = d->method.engine;
	struct unit *u = d->unit;
	struct array_look l = { 0 };
	json_t *array = array_json(e, u, look);

	d->is_awaited = false;
	control_set_state(call, NULL);
	free(d);
	if (unit_array(u))
		array_look(unit_array(u), &l);
	if (!l.view)
		method_refuse(call, -EAGAIN, "%s: its disks are not read yet", unit_name(u));
	else if (!array)
		method_refuse(call, -ENOMEM, "the daemon has no memory for it");
	else
		control_reply(call, json_pack("{s:O, s:o}", "array", array, "metadata",
					      metadata_of(l.view)));
	json_decref(array);
}

void method_detail(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	struct unit *u = method_unit(e, call, parameters, "array");
	struct detail_call *d = u ? method_new(e, call, sizeof(*d), drop_detail) : NULL;

	if (!d)
		return;
	d->unit = u;
	d->is_awaited = true;
	d->looker = (struct unit_looker){ .done = detail_is_known, .owner = d };
	unit_look(u, &d->looker);
}
