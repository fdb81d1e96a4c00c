/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dump as text. A resource is made and written at a time: what is in memory of it
 * twice is never more than that.
 */
#include <errno.h>
#include <stdlib.h>

#include <jansson.h>
#include <sodium.h>

#include "base/printable.h"
#include "lockres/dump.h"

/* Of all names here, the longest. */
enum { NAME_TEXT = TEXT_ESCAPED_BYTES(LOCK_MAX_NAME) };
_Static_assert((int)LOCKSPACE_MAX_NAME <= (int)LOCK_MAX_NAME &&
		       (int)LOCK_DUMP_NODE_NAME <= (int)LOCK_MAX_NAME,
	       "NAME_TEXT is of the longest");

static json_t *name_json(const char *name, size_t length)
{
	char text[NAME_TEXT];

	return json_string(text_escape(name, length, text, sizeof(text)));
}

static json_t *mode_json(enum lock_mode mode)
{
	return mode == LOCK_NONE ? json_null() : json_string(lock_mode_name(mode));
}

static json_t *words_json(const char *(*next)(uint32_t, unsigned int *), uint32_t word)
{
	json_t *list = json_array();
	unsigned int at = 0;
	const char *name;

	while (list && (name = next(word, &at)) != NULL)
		if (json_array_append_new(list, json_string(name)) < 0) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

static json_t *lock_json(const struct lock_view *lock)
{
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:b}",
			 "node", (json_int_t)lock->key.node,
			 "number", (json_int_t)lock->key.number,
			 "granted", mode_json(lock->granted),
			 "wanted", mode_json(lock->wanted),
			 "flags", words_json(lock_flag_next, lock->flags),
			 "marks", words_json(lock_mark_next, lock->marks),
			 "waiter", (json_int_t)lock->waiter,
			 "is_orphan", (int)lock->is_orphan);
}

static json_t *step_json(const struct lock_history_entry *e)
{
	return json_pack("{s:I, s:I, s:I, s:s, s:o, s:o, s:i}",
			 "at_ns", (json_int_t)e->at_ns,
			 "node", (json_int_t)e->key.node,
			 "number", (json_int_t)e->key.number,
			 "step", lock_step_name(e->step),
			 "from", mode_json(e->from), "to", mode_json(e->to),
			 "status", e->status);
}

static json_t *resource_json(const struct lock_dump_resource *r, uint32_t lvb_bytes)
{
	json_t *locks = json_array(), *history = json_array(), *o;
	char value[2 * LOCK_MAX_LVB + 1];
	bool is_whole = true;

	for (size_t i = 0; i < r->lock_count; i++)
		is_whole &= json_array_append_new(locks, lock_json(&r->locks[i])) == 0;
	for (size_t i = 0; i < r->history_count; i++)
		is_whole &= json_array_append_new(history,
						  step_json(&r->history[i])) == 0;
	sodium_bin2hex(value, sizeof(value), r->value, lvb_bytes);
	o = json_pack("{s:o, s:s, s:b, s:I, s:o, s:o}", "name",
		      name_json(r->name, r->name_length), "value", value,
		      "is_value_valid", (int)r->is_value_valid, "value_seq",
		      (json_int_t)r->value_seq, "locks", locks, "history", history);
	if (!is_whole) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static json_t *members_json(const struct lock_dump_space *space)
{
	json_t *list = json_array();

	for (size_t i = 0; i < space->member_count; i++) {
		const struct lockspace_member_look *m = &space->members[i];

		json_array_append_new(list,
				      json_pack("{s:I, s:i, s:b}", "node",
						(json_int_t)m->node, "slot", m->slot,
						"is_missing", (int)m->is_missing));
	}
	return list;
}

static json_t *space_json(const struct lock_dump_space *space)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "name",
			 name_json(space->name, space->name_length), "lvb_bytes",
			 (json_int_t)space->lvb_bytes, "generation",
			 (json_int_t)space->generation, "epoch_node",
			 (json_int_t)space->epoch.rep, "epoch_seq",
			 (json_int_t)space->epoch.seq, "operations",
			 (json_int_t)space->operations, "state",
			 lockspace_freeze_name(space->freeze), "members",
			 members_json(space));
}

static json_t *head_json(const struct lock_dump *dump)
{
	json_t *nodes = json_array();

	for (size_t i = 0; i < dump->node_count; i++)
		json_array_append_new(nodes,
				      json_pack("{s:I, s:o}", "id",
						(json_int_t)dump->nodes[i].id, "name",
						name_json(dump->nodes[i].name,
							  dump->nodes[i].name_length)));
	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o}", "format", LOCK_DUMP_FORMAT,
			 "version", LOCK_DUMP_VERSION, "taken_s",
			 (json_int_t)dump->taken_s, "clock_ns",
			 (json_int_t)dump->clock_ns, "self", (json_int_t)dump->self,
			 "nodes", nodes);
}

/* An object without its end, and the beginning of one list more in it. Takes it. */
static int open_object(json_t *o, const char *list, FILE *to)
{
	int r = o ? 0 : -ENOMEM;

	if (o && (fputc('{', to) == EOF || json_dumpf(o, to, JSON_EMBED) < 0 ||
		  fprintf(to, ", \"%s\": [", list) < 0))
		r = -EIO;
	json_decref(o);
	return r;
}

static int write_resource(const struct lock_dump_resource *resource, uint32_t lvb_bytes,
			  bool is_first, FILE *to)
{
	json_t *o = resource_json(resource, lvb_bytes);
	int r = o ? 0 : -ENOMEM;

	if (o && (fputs(is_first ? "\n" : ",\n", to) == EOF ||
		  json_dumpf(o, to, 0) < 0))
		r = -EIO;
	json_decref(o);
	return r;
}

static int write_space(const struct lock_dump_space *space, bool is_first, FILE *to)
{
	int r;

	if (fputs(is_first ? "\n" : ",\n", to) == EOF)
		return -EIO;
	r = open_object(space_json(space), "resources", to);
	for (size_t i = 0; r == 0 && i < space->resource_count; i++)
		r = write_resource(&space->resources[i], space->lvb_bytes, i == 0, to);
	return r == 0 && fputs("]}", to) == EOF ? -EIO : r;
}

int lock_dump_write(const struct lock_dump *dump, FILE *to)
{
	int r = open_object(head_json(dump), "lockspaces", to);

	for (size_t i = 0; r == 0 && i < dump->space_count; i++)
		r = write_space(&dump->spaces[i], i == 0, to);
	if (r == 0 && (fputs("]}\n", to) == EOF || fflush(to) != 0))
		r = -EIO;
	return r;
}
