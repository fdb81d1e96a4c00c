/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects kernel-status, kernel-array, kernel-slot, kernel-disk of mdcluster-json(7). */
#include <string.h>

#include "base/arith.h"
#include "base/text.h"
#include "tools/show.h"
#include "tools/show_kernel.h"

static json_t *integer(uint64_t n)
{
	return json_integer((json_int_t)min_u64(n, INT64_MAX));
}

/* Null for what is not known. */
static json_t *maybe(bool is_known, uint64_t n)
{
	return is_known ? integer(n) : json_null();
}

static json_t *disk_json(const struct kernel_disk *d)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", show_json_text(d->name, SIZE_MAX),
			 "state", show_json_text(d->state, SIZE_MAX),
			 "role", maybe(d->role >= 0, (uint64_t)d->role),
			 "errors", integer(d->errors),
			 "recovered_sectors", maybe(d->is_recovering, d->recovered_sectors));
}

static json_t *slot_json(uint32_t number, const struct kernel_slot *s)
{
	static const char *const uses[] = { [KERNEL_SLOT_UNKNOWN] = "unknown",
					    [KERNEL_SLOT_HELD] = "active",
					    [KERNEL_SLOT_VACANT] = "vacant" };

	return json_pack("{s:o, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}",
			 "slot", integer(number), "state", uses[s->use],
			 "node", maybe(s->node != 0, s->node), "is_self", s->is_self,
			 "window_low_sectors", maybe(s->has_window, s->low),
			 "window_high_sectors", maybe(s->has_window, s->high),
			 "is_stale", s->has_bits ? json_boolean(s->is_stale) : json_null(),
			 "dirty_chunks", maybe(s->has_bits, s->dirty_chunks),
			 "dirty_bytes", maybe(s->has_bits, s->dirty_bytes));
}

static json_t *message_text(const struct kernel_view_array *v)
{
	char text[MSG_TEXT_BYTES];

	return v->has_message ? show_json_text(kernel_message_text(&v->message, text), SIZE_MAX) :
				json_null();
}

static json_t *lists_of(json_t *o, const struct kernel_view_array *v)
{
	json_t *disks = json_array(), *slots = json_array(), *nodes = json_array();
	json_t *unseen = json_array(), *unused = json_array();

	for (size_t i = 0; i < v->array->disk_count; i++)
		json_array_append_new(disks, disk_json(&v->array->disks[i]));
	for (uint32_t i = 0; i < v->slot_count; i++)
		json_array_append_new(slots, slot_json(i, &v->slots[i]));
	for (size_t i = 0; i < v->node_count; i++)
		json_array_append_new(nodes, integer(v->nodes[i]));
	for (size_t i = 0; i < v->unseen_count; i++)
		json_array_append_new(unseen, show_json_text(v->unseen[i], SIZE_MAX));
	for (unsigned int i = 0; i < 64; i++)
		if (v->unused_roles >> i & 1)
			json_array_append_new(unused, integer(i));
	json_object_set_new(o, "disks", disks);
	json_object_set_new(o, "unused_roles", v->has_superblock ? json_incref(unused) : json_null());
	json_decref(unused);
	json_object_set_new(o, "slots", slots);
	json_object_set_new(o, "nodes", v->has_nodes ? json_incref(nodes) : json_null());
	json_decref(nodes);
	json_object_set_new(o, "unseen", unseen);
	return o;
}

static json_t *array_json(const struct kernel_view_array *v)
{
	const struct kernel_array *a = v->array;
	char uuid[TEXT_UUID_BYTES];
	bool is_busy = a->total_sectors != 0;
	json_t *o = json_pack(
		"{s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"device", show_json_text(a->name, SIZE_MAX),
		"uuid", a->has_uuid ? json_string(text_uuid(a->uuid, uuid)) : json_null(),
		"name", v->has_superblock ? show_json_text(v->name, SIZE_MAX) : json_null(),
		"health", status_health_name(kernel_view_health(v)), "level", a->level,
		"state", a->state, "activity", a->activity,
		"waits", a->holdup[0] ? json_string(a->holdup) : json_null(),
		"done_sectors", maybe(is_busy, a->done_sectors),
		"total_sectors", maybe(is_busy, a->total_sectors),
		"speed_bytes", maybe(is_busy, a->speed_bytes),
		"size_bytes", integer(a->size_bytes), "raid_disks", integer(a->raid_disks),
		"degraded", integer(a->degraded), "mismatch_sectors", integer(a->mismatch_sectors),
		"chunk_bytes", maybe(v->slot_count, v->chunk_bytes));

	json_object_set_new(o, "cluster", v->cluster[0] ? show_json_text(v->cluster, SIZE_MAX) :
							  json_null());
	json_object_set_new(o, "own_slot", maybe(v->own_slot >= 0, (uint64_t)v->own_slot));
	json_object_set_new(o, "resyncer", maybe(v->resyncer, v->resyncer));
	json_object_set_new(o, "speaker", maybe(v->speaker, v->speaker));
	json_object_set_new(o, "message", message_text(v));
	return lists_of(o, v);
}

json_t *show_kernel_json(const struct kernel_view *view, const struct kernel_view_array *only)
{
	json_t *arrays = json_array();

	for (size_t i = 0; i < view->count; i++)
		if (!only || only == &view->arrays[i])
			json_array_append_new(arrays, array_json(&view->arrays[i]));
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "schema", SHOW_JSON_SCHEMA, "run_by", "kernel",
			 "health", status_health_name(show_kernel_health(view, only)),
			 "node", maybe(view->node, view->node), "arrays", arrays);
}
