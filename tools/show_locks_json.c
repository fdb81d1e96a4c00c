/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The object "locks" of mdcluster-json(7). */
#include <string.h>

#include <sodium.h>

#include "base/printable.h"
#include "tools/show.h"
#include "tools/show_locks.h"

static json_t *node_json(const struct show_locks *show, uint32_t node)
{
	char name[SHOW_NAME_BYTES];

	return json_string(show_node(show, node, name));
}

static json_t *slot_json(const struct show_locks *show, uint32_t node)
{
	const struct lockspace_member_look *m = lock_dump_member(show->space, node);

	return m ? json_integer(m->slot) : json_null();
}

static json_t *mode_json(enum lock_mode mode)
{
	return mode == LOCK_NONE ? json_null() : json_string(lock_mode_name(mode));
}

/* Null rather than an empty text. */
static json_t *text_json(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *words_json(const char *(*next)(uint32_t, unsigned int *), uint32_t word)
{
	json_t *list = json_array();
	unsigned int at = 0;
	const char *name;

	while ((name = next(word, &at)) != NULL)
		json_array_append_new(list, json_string(name));
	return list;
}

static json_t *lock_json(const struct show_locks *show,
			 const struct lock_dump_resource *r, const struct lock_view *lock)
{
	const struct lock_view *ahead = show_ahead(r, lock);
	json_t *waits_for = json_array(), *o = json_object();

	for (size_t i = 0; i < r->lock_count; i++)
		if (lock_view_is_blocked_by(lock, &r->locks[i]))
			json_array_append_new(waits_for,
					      node_json(show, r->locks[i].key.node));
	json_object_set_new(o, "node", node_json(show, lock->key.node));
	json_object_set_new(o, "node_id", json_integer((json_int_t)lock->key.node));
	json_object_set_new(o, "number", json_integer((json_int_t)lock->key.number));
	json_object_set_new(o, "slot", slot_json(show, lock->key.node));
	json_object_set_new(o, "held", mode_json(lock->granted));
	json_object_set_new(o, "wants", mode_json(lock->wanted));
	json_object_set_new(o, "queue",
			    json_string(lock_place_name(lock_view_place(lock))));
	json_object_set_new(o, "waits_for", waits_for);
	json_object_set_new(o, "behind",
			    ahead ? node_json(show, ahead->key.node) : json_null());
	json_object_set_new(o, "flags", words_json(lock_flag_next, lock->flags));
	json_object_set_new(o, "marks", words_json(lock_mark_next, lock->marks));
	json_object_set_new(o, "waiter", json_integer((json_int_t)lock->waiter));
	json_object_set_new(o, "is_orphan", json_boolean(lock->is_orphan));
	return o;
}

static json_t *step_json(const struct show_locks *show,
			 const struct lock_history_entry *e)
{
	uint64_t now_ns = show->dump->clock_ns;
	const char *error = e->status ? strerrorname_np(-e->status) : "";

	return json_pack("{s:I, s:o, s:I, s:I, s:s, s:o, s:o, s:o}", "ago_us",
			 (json_int_t)((now_ns > e->at_ns ? now_ns - e->at_ns : 0) / 1000),
			 "node", node_json(show, e->key.node),
			 "node_id", (json_int_t)e->key.node,
			 "number", (json_int_t)e->key.number,
			 "step", lock_step_name(e->step), "from", mode_json(e->from),
			 "to", mode_json(e->to), "error", text_json(error ? error : "?"));
}

static json_t *history_json(const struct show_locks *show,
			    const struct lock_dump_resource *r)
{
	json_t *list = show->has_history ? json_array() : json_null();

	for (size_t i = 0; show->has_history && i < r->history_count; i++)
		json_array_append_new(list, step_json(show, &r->history[i]));
	return list;
}

static json_t *resource_json(const struct show_locks *show,
			     const struct lock_dump_resource *r)
{
	char name[SHOW_NAME_BYTES], value[2 * LOCK_MAX_LVB + 1];
	json_t *o = json_object(), *locks = json_array();

	for (size_t i = 0; i < r->lock_count; i++)
		json_array_append_new(locks, lock_json(show, r, &r->locks[i]));
	sodium_bin2hex(value, sizeof(value), r->value, show->space->lvb_bytes);
	json_object_set_new(o, "resource", json_string(show_resource(r, name)));
	json_object_set_new(o, "value", json_string(value));
	json_object_set_new(o, "value_seq", json_integer((json_int_t)r->value_seq));
	json_object_set_new(o, "is_value_valid", json_boolean(r->is_value_valid));
	show_value_json(show, r, o);
	json_object_set_new(o, "locks", locks);
	json_object_set_new(o, "history", history_json(show, r));
	return o;
}

static json_t *members_json(const struct show_locks *show)
{
	json_t *list = json_array();

	for (size_t i = 0; i < show->space->member_count; i++) {
		const struct lockspace_member_look *m = &show->space->members[i];

		json_array_append_new(list,
				      json_pack("{s:o, s:I, s:i, s:b}", "node",
						node_json(show, m->node), "node_id",
						(json_int_t)m->node, "slot", m->slot,
						"is_missing", (int)m->is_missing));
	}
	return list;
}

json_t *show_locks_json(const struct show_locks *show)
{
	const struct lock_dump_space *space = show->space;
	json_t *o = json_object(), *resources = json_array();
	char text[SHOW_WHY_BYTES], name[SHOW_NAME_BYTES];

	for (size_t i = 0; i < space->resource_count; i++) {
		if (show->is_waiting && !show_is_waited_for(&space->resources[i]))
			continue;
		json_array_append_new(resources, resource_json(show, &space->resources[i]));
	}
	text_escape(space->name, space->name_length, name, sizeof(name));
	json_object_set_new(o, "schema", json_string(SHOW_JSON_SCHEMA));
	json_object_set_new(o, "lockspace", json_string(name));
	json_object_set_new(o, "node", node_json(show, show->dump->self));
	json_object_set_new(o, "node_id", json_integer((json_int_t)show->dump->self));
	json_object_set_new(o, "taken_s", json_integer((json_int_t)show->dump->taken_s));
	json_object_set_new(o, "generation", json_integer((json_int_t)space->generation));
	json_object_set_new(o, "epoch", json_sprintf("n%u.%llu", space->epoch.rep,
						     (unsigned long long)space->epoch.seq));
	json_object_set_new(o, "operations", json_integer((json_int_t)space->operations));
	json_object_set_new(o, "value_bytes", json_integer((json_int_t)space->lvb_bytes));
	json_object_set_new(o, "state", json_string(lockspace_freeze_name(space->freeze)));
	json_object_set_new(o, "frozen_because", text_json(show_frozen_why(show, text)));
	json_object_set_new(o, "goes_on", text_json(show_frozen_until(show, text)));
	json_object_set_new(o, "members", members_json(show));
	json_object_set_new(o, "resources", resources);
	return o;
}
