/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * struct status as JSON and back: mdcluster-json(7), STATUS. "schema" and "health" are
 * written for those who read JSON alone, and not read back.
 */
#include "mdclusterd/control/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/control/json_fields.h"

static const struct json_field status_fields[] = {
	JSON_FIELD(status, cluster, FIELD_TEXT, "cluster"),
	JSON_FIELD(status, version, FIELD_TEXT, "version"),
	JSON_FIELD(status, node, FIELD_U32, "node"),
	JSON_FIELD(status, is_quorate, FIELD_BOOL, "is_quorate"),
	JSON_FIELD(status, votes, FIELD_U32, "votes"),
	JSON_FIELD(status, quorum, FIELD_U32, "quorum"),
	JSON_FIELD(status, expected, FIELD_U32, "expected"),
	JSON_FIELD(status, quorum_waits, FIELD_TEXT, "quorum_waits"),
	JSON_FIELD(status, ring_state, FIELD_TEXT, "ring_state"),
	JSON_FIELD(status, ring_seq, FIELD_U64, "ring_seq"),
	JSON_FIELD(status, ring_rep, FIELD_U32, "ring_rep"),
	JSON_FIELD(status, token_ns, FIELD_U64, "token_ns"),
	JSON_FIELD(status, uptime_ns, FIELD_U64, "uptime_ns"),
	JSON_FIELDS_END
};

static const struct json_field node_fields[] = {
	JSON_FIELD(status_node, id, FIELD_U32, "id"),
	JSON_FIELD(status_node, name, FIELD_TEXT, "name"),
	JSON_FIELD(status_node, address, FIELD_TEXT, "address"),
	JSON_FIELD(status_node, is_self, FIELD_BOOL, "is_self"),
	JSON_FIELD(status_node, is_member, FIELD_BOOL, "is_member"),
	JSON_FIELD(status_node, is_dead, FIELD_BOOL, "is_dead"),
	JSON_FIELD(status_node, incarnation, FIELD_U64, "incarnation"),
	JSON_FIELD(status_node, since_ns, FIELD_U64, "since_ns"),
	JSON_FIELD(status_node, waits, FIELD_TEXT, "waits"),
	JSON_FIELDS_END
};

static const struct json_field disk_fields[] = {
	JSON_FIELD(status_disk, path, FIELD_TEXT, "path"),
	JSON_FIELD(status_disk, state, FIELD_TEXT, "state"),
	JSON_FIELD(status_disk, role, FIELD_U32, "role"),
	JSON_FIELD(status_disk, number, FIELD_U32, "number"),
	JSON_FIELD(status_disk, recovered_sectors, FIELD_U64, "recovered_sectors"),
	JSON_FIELD(status_disk, is_by_bitmap, FIELD_BOOL, "is_by_bitmap"),
	JSON_FIELD(status_disk, reads, FIELD_U64, "reads"),
	JSON_FIELD(status_disk, writes, FIELD_U64, "writes"),
	JSON_FIELD(status_disk, read_bytes, FIELD_U64, "read_bytes"),
	JSON_FIELD(status_disk, written_bytes, FIELD_U64, "written_bytes"),
	JSON_FIELD(status_disk, errors, FIELD_U64, "errors"),
	JSON_FIELD(status_disk, read_errors, FIELD_U64, "read_errors"),
	JSON_FIELD(status_disk, corrected_sectors, FIELD_U64, "corrected_sectors"),
	JSON_FIELD(status_disk, recent_read_errors, FIELD_U64, "recent_read_errors"),
	JSON_FIELD(status_disk, in_flight, FIELD_U32, "in_flight"),
	JSON_FIELDS_END
};

static const struct json_field member_fields[] = {
	JSON_FIELD(status_member, node, FIELD_U32, "node"),
	JSON_FIELD(status_member, slot, FIELD_NUMBER_OR_NONE, "slot"),
	JSON_FIELD(status_member, state, FIELD_TEXT, "state"),
	JSON_FIELD(status_member, owes_resync, FIELD_BOOL, "owes_resync"),
	JSON_FIELD(status_member, low, FIELD_U64, "low_sectors"),
	JSON_FIELD(status_member, high, FIELD_U64, "high_sectors"),
	JSON_FIELD(status_member, dirty_bytes, FIELD_U64, "dirty_bytes"),
	JSON_FIELD(status_member, since_ns, FIELD_U64, "since_ns"),
	JSON_FIELDS_END
};

static const struct json_field array_fields[] = {
	JSON_FIELD(status_array, name, FIELD_TEXT, "name"),
	JSON_FIELD(status_array, uuid, FIELD_TEXT, "uuid"),
	JSON_FIELD(status_array, level, FIELD_TEXT, "level"),
	JSON_FIELD(status_array, state, FIELD_TEXT, "state"),
	JSON_FIELD(status_array, is_stopped, FIELD_BOOL, "is_stopped"),
	JSON_FIELD(status_array, state_since_ns, FIELD_U64, "state_since_ns"),
	JSON_FIELD(status_array, size_bytes, FIELD_U64, "size_bytes"),
	JSON_FIELD(status_array, member_sectors, FIELD_U64, "member_sectors"),
	JSON_FIELD(status_array, raid_disks, FIELD_U32, "raid_disks"),
	JSON_FIELD(status_array, disks_in_sync, FIELD_U32, "disks_in_sync"),
	JSON_FIELD(status_array, degraded_since_ns, FIELD_U64, "degraded_since_ns"),
	JSON_FIELD(status_array, slot, FIELD_NUMBER_OR_NONE, "slot"),
	JSON_FIELD(status_array, is_gate_open, FIELD_BOOL, "is_gate_open"),
	JSON_FIELD(status_array, is_single_source, FIELD_BOOL, "is_single_source"),
	JSON_FIELD(status_array, dirty_bytes, FIELD_U64, "dirty_bytes"),
	JSON_FIELD(status_array, needed_bytes, FIELD_U64, "needed_bytes"),
	JSON_FIELD(status_array, chunk_bytes, FIELD_U64, "chunk_bytes"),
	JSON_FIELD(status_array, activity, FIELD_TEXT, "activity"),
	JSON_FIELD(status_array, done_sectors, FIELD_U64, "done_sectors"),
	JSON_FIELD(status_array, total_sectors, FIELD_U64, "total_sectors"),
	JSON_FIELD(status_array, mismatch_sectors, FIELD_U64, "mismatch_sectors"),
	JSON_FIELD(status_array, speed_bytes, FIELD_U64, "speed_bytes"),
	JSON_FIELD(status_array, eta_ns, FIELD_U64, "eta_ns"),
	JSON_FIELD(status_array, resync_min_bytes, FIELD_U64, "resync_min_bytes"),
	JSON_FIELD(status_array, resync_max_bytes, FIELD_U64, "resync_max_bytes"),
	JSON_FIELD(status_array, intent_budget_bytes, FIELD_U64, "intent_budget_bytes"),
	JSON_FIELD(status_array, max_read_errors, FIELD_U32, "max_read_errors"),
	JSON_FIELD(status_array, clients, FIELD_U32, "clients"),
	JSON_FIELD(status_array, parked, FIELD_U32, "parked"),
	JSON_FIELD(status_array, parked_since_ns, FIELD_U64, "parked_since_ns"),
	JSON_FIELD(status_array, waits, FIELD_TEXT, "waits"),
	JSON_FIELD(status_array, waits_since_ns, FIELD_U64, "waits_since_ns"),
	JSON_FIELD(status_array, needs_disk, FIELD_BOOL, "needs_disk"),
	JSON_FIELD(status_array, export_path, FIELD_TEXT, "export_path"),
	JSON_FIELD(status_array, reservation_key, FIELD_TEXT, "reservation_key"),
	JSON_FIELDS_END
};

/* --- writing ---------------------------------------------------------------------------- */

/* `list` is taken; NULL, as everything here: no memory. */
static int add_list(json_t *object, const char *name, json_t *list)
{
	return list ? json_object_set_new(object, name, list) : -1;
}

static json_t *list_of(const struct json_field *fields, const void *items, size_t size,
		       size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_fields_write(fields, (const char *)items +
								  i * size)) < 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

static json_t *array_to_json(const struct status *s, const struct status_array *a)
{
	json_t *o = json_fields_write(array_fields, a);
	const char *health = status_health_name(status_array_health(s, a));

	if (o && json_object_set_new(o, "health", json_string(health)) == 0 &&
	    add_list(o, "disks", list_of(disk_fields, a->disks, sizeof(a->disks[0]),
					 a->disk_count)) == 0 &&
	    add_list(o, "members", list_of(member_fields, a->members, sizeof(a->members[0]),
					   a->member_count)) == 0)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *arrays_to_json(const struct status *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < s->array_count; i++)
		if (json_array_append_new(list, array_to_json(s, &s->arrays[i])) < 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

json_t *status_to_json(const struct status *s)
{
	json_t *o = json_fields_write(status_fields, s);
	const char *health = status_health_name(status_health(s));

	if (o && json_object_set_new(o, "schema", json_string(STATUS_SCHEMA)) == 0 &&
	    json_object_set_new(o, "health", json_string(health)) == 0 &&
	    add_list(o, "nodes", list_of(node_fields, s->nodes, sizeof(s->nodes[0]),
					 s->node_count)) == 0 &&
	    add_list(o, "arrays", arrays_to_json(s)) == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* --- reading ---------------------------------------------------------------------------- */

/* Where something stands, for a sentence: "arrays[2].disks". */
struct place {
	char text[64];
};

static int list_length(const json_t *object, const char *name, size_t max, size_t *count,
		       struct err *err)
{
	const json_t *list = json_object_get(object, name);

	*count = json_array_size(list); /* 0 of what is none */
	if (list && !json_is_null(list) && !json_is_array(list))
		return err_set(err, -EBADMSG, "%s is not an array", name);
	if (*count > max)
		return err_set(err, -EBADMSG, "%s has %zu entries; %zu can be", name, *count,
			       max);
	return 0;
}

static int read_list(const struct json_field *fields, const json_t *object, const char *name,
		     void *items, size_t size, size_t max, uint32_t *count, struct err *err)
{
	const json_t *list = json_object_get(object, name);
	struct place place;
	size_t found = 0;
	int r = list_length(object, name, max, &found, err);

	for (size_t i = 0; r == 0 && i < found; i++) {
		snprintf(place.text, sizeof(place.text), "%s[%zu]", name, i);
		r = json_fields_read(fields, json_array_get(list, i),
				     (char *)items + i * size, place.text, err);
	}
	*count = r == 0 ? (uint32_t)found : 0;
	return r;
}

static int read_array(const json_t *json, struct status_array *a, size_t number,
		      struct err *err)
{
	struct place place;
	int r;

	snprintf(place.text, sizeof(place.text), "arrays[%zu]", number);
	r = json_fields_read(array_fields, json, a, place.text, err);
	if (r < 0)
		return r;
	r = read_list(disk_fields, json, "disks", a->disks, sizeof(a->disks[0]),
		      STATUS_MAX_DISKS, &a->disk_count, err);
	if (r == 0)
		r = read_list(member_fields, json, "members", a->members,
			      sizeof(a->members[0]), STATUS_MAX_NODES, &a->member_count, err);
	return r < 0 ? err_prefix(err, "%s", place.text) : 0;
}

static int read_arrays(const json_t *json, struct status *s, struct err *err)
{
	const json_t *list = json_object_get(json, "arrays");
	size_t count = 0;
	int r = list_length(json, "arrays", STATUS_MAX_ARRAYS, &count, err);

	if (r < 0 || count == 0)
		return r;
	s->arrays = calloc(count, sizeof(*s->arrays));
	if (!s->arrays)
		return err_nomem(err, "the arrays of a status");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = read_array(json_array_get(list, i), &s->arrays[i], i, err);
	s->array_count = (uint32_t)count;
	return r;
}

int status_from_json(const json_t *json, struct status *s, struct err *err)
{
	int r;

	memset(s, 0, sizeof(*s));
	r = json_fields_read(status_fields, json, s, "status", err);
	if (r == 0)
		r = read_list(node_fields, json, "nodes", s->nodes, sizeof(s->nodes[0]),
			      STATUS_MAX_NODES, &s->node_count, err);
	if (r == 0)
		r = read_arrays(json, s, err);
	if (r < 0)
		status_fini(s);
	return r;
}
