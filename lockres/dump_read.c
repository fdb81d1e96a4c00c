/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dump from its text, which anybody may have written (P2). A field that is wrong is
 * told by whoever reads it; what it is a field of, by those who called, each a word
 * in front.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "base/err.h"
#include "base/printable.h"
#include "lockres/dump.h"
#include "lockres/dump_field.h"

/* --- resources ------------------------------------------------------------------------ */

static int get_key(const json_t *o, struct lock_key *key, struct err *err)
{
	int r = dump_u32(o, "node", 1, &key->node, err);

	return r == 0 ? dump_u32(o, "number", 0, &key->number, err) : r;
}

static int read_lock(const json_t *o, struct lock_view *lock, struct err *err)
{
	int r = get_key(o, &lock->key, err);

	if (r == 0)
		r = dump_mode(o, "granted", &lock->granted, err);
	if (r == 0)
		r = dump_mode(o, "wanted", &lock->wanted, err);
	if (r == 0 && lock->granted == LOCK_NONE && lock->wanted == LOCK_NONE)
		r = err_set(err, -EBADMSG, "granted, wanted: both are null");
	if (r == 0)
		r = dump_words(o, "flags", lock_flag_next, &lock->flags, err);
	if (r == 0)
		r = dump_words(o, "marks", lock_mark_next, &lock->marks, err);
	if (r == 0)
		r = dump_u32(o, "waiter", 0, &lock->waiter, err);
	if (r == 0)
		r = dump_bool(o, "is_orphan", &lock->is_orphan, err);
	return r;
}

static int get_step(const json_t *o, enum lock_step *to, struct err *err)
{
	const char *word;
	int r = dump_text(o, "step", &word, err);

	if (r < 0)
		return r;
	for (int step = LOCK_STEP_REQUEST; step <= LOCK_STEP_RELEASE; step++)
		if (strcmp(lock_step_name((enum lock_step)step), word) == 0) {
			*to = (enum lock_step)step;
			return 0;
		}
	return err_set(err, -EBADMSG, "step: '%s' is none", word);
}

/* A status is 0 or what errno.h has, negative. */
static int get_status(const json_t *o, int *to, struct err *err)
{
	const json_t *v = dump_field(o, "status", err);
	json_int_t i = json_integer_value(v);

	if (!v)
		return err->code;
	if (!json_is_integer(v) || i > 0 || i < -4095)
		return err_set(err, -EBADMSG, "status: is not from -4095 to 0");
	*to = (int)i;
	return 0;
}

static int read_step(const json_t *o, struct lock_history_entry *e, struct err *err)
{
	int r = dump_number(o, "at_ns", 0, INT64_MAX, &e->at_ns, err);

	if (r == 0)
		r = get_key(o, &e->key, err);
	if (r == 0)
		r = get_step(o, &e->step, err);
	if (r == 0)
		r = dump_mode(o, "from", &e->from, err);
	if (r == 0)
		r = dump_mode(o, "to", &e->to, err);
	if (r == 0)
		r = get_status(o, &e->status, err);
	return r;
}

static int read_value(const json_t *o, uint32_t lvb_bytes, uint8_t *value,
		      struct err *err)
{
	size_t length = 0;
	const char *text;
	int r = dump_text(o, "value", &text, err);

	if (r < 0)
		return r;
	if (sodium_hex2bin(value, LOCK_MAX_LVB, text, strlen(text), NULL, &length,
			   NULL) < 0 || length != lvb_bytes)
		return err_set(err, -EBADMSG, "value: is not %u bytes in hexadecimal",
			       lvb_bytes);
	return 0;
}

static int read_locks(const json_t *o, struct lock_dump_resource *r, struct err *err)
{
	const json_t *list;

	if (dump_array(o, "locks", LOCK_TABLE_MAX_LOCKS, sizeof(*r->locks), &list,
		      &r->locks, err) < 0)
		return err->code;
	for (; r->lock_count < json_array_size(list); r->lock_count++)
		if (read_lock(json_array_get(list, r->lock_count),
			      &r->locks[r->lock_count], err) < 0)
			return err_prefix(err, "lock %zu", r->lock_count + 1);
	return 0;
}

static int read_history(const json_t *o, struct lock_dump_resource *r, struct err *err)
{
	const json_t *list;

	if (dump_array(o, "history", LOCK_HISTORY_MAX, sizeof(*r->history), &list,
		      &r->history, err) < 0)
		return err->code;
	for (; r->history_count < json_array_size(list); r->history_count++)
		if (read_step(json_array_get(list, r->history_count),
			      &r->history[r->history_count], err) < 0)
			return err_prefix(err, "step %zu of its history",
					  r->history_count + 1);
	return 0;
}

static int read_resource(const json_t *o, uint32_t lvb_bytes,
			 struct lock_dump_resource *resource, struct err *err)
{
	int r = read_value(o, lvb_bytes, resource->value, err);

	if (r == 0)
		r = dump_bool(o, "is_value_valid", &resource->is_value_valid, err);
	if (r == 0)
		r = dump_u32(o, "value_seq", 0, &resource->value_seq, err);
	if (r == 0)
		r = read_locks(o, resource, err);
	if (r == 0)
		r = read_history(o, resource, err);
	return r;
}

/* Named by its name, or by its number where the name is what is wrong. */
static int read_named_resource(const json_t *o, struct lock_dump_space *space,
			       struct err *err)
{
	struct lock_dump_resource *r = &space->resources[space->resource_count++];
	char name[TEXT_ESCAPED_BYTES(LOCK_MAX_NAME)];

	if (dump_name(o, LOCK_MAX_NAME, r->name, &r->name_length, err) < 0)
		return err_prefix(err, "resource %zu", space->resource_count);
	if (read_resource(o, space->lvb_bytes, r, err) < 0)
		return err_prefix(err, "resource '%s'",
				  text_escape(r->name, r->name_length, name,
					      sizeof(name)));
	return 0;
}

/* --- lockspaces ----------------------------------------------------------------------- */

static int get_state(const json_t *o, enum lockspace_freeze *to, struct err *err)
{
	const char *word;
	int r = dump_text(o, "state", &word, err);

	if (r < 0)
		return r;
	for (int state = LOCKSPACE_RUNS; state <= LOCKSPACE_UNPROVEN; state++)
		if (strcmp(lockspace_freeze_name((enum lockspace_freeze)state), word) ==
		    0) {
			*to = (enum lockspace_freeze)state;
			return 0;
		}
	return err_set(err, -EBADMSG, "state: '%s' is none", word);
}

static int read_member(const json_t *o, struct lockspace_member_look *m,
		       struct err *err)
{
	uint64_t slot = 0;
	int r = dump_u32(o, "node", 1, &m->node, err);

	if (r == 0)
		r = dump_number(o, "slot", 0, LOCKSPACE_MAX_SLOTS - 1, &slot, err);
	if (r == 0)
		r = dump_bool(o, "is_missing", &m->is_missing, err);
	m->slot = (int)slot;
	return r;
}

/* So that a node has one slot, and a slot one node. */
static int check_member(const struct lock_dump_space *space,
			const struct lockspace_member_look *m, struct err *err)
{
	for (size_t i = 0; i < space->member_count; i++)
		if (space->members[i].node == m->node ||
		    space->members[i].slot == m->slot)
			return err_set(err, -EBADMSG, "node %u, slot %d: is there twice",
				       m->node, m->slot);
	return 0;
}

static int read_members(const json_t *o, struct lock_dump_space *space, struct err *err)
{
	const json_t *list;
	int r = dump_array(o, "members", LOCKSPACE_MAX_SLOTS, sizeof(*space->members),
			  &list, &space->members, err);

	while (r == 0 && space->member_count < json_array_size(list)) {
		struct lockspace_member_look *m = &space->members[space->member_count];

		r = read_member(json_array_get(list, space->member_count), m, err);
		if (r == 0)
			r = check_member(space, m, err);
		if (r < 0)
			return err_prefix(err, "member %zu", space->member_count + 1);
		space->member_count++;
	}
	return r;
}

static int read_space(const json_t *o, struct lock_dump_space *space, struct err *err)
{
	const json_t *list;
	int r = dump_u32(o, "lvb_bytes", 0, &space->lvb_bytes, err);

	if (r == 0 && space->lvb_bytes != LOCK_SMALL_LVB &&
	    space->lvb_bytes != LOCK_LARGE_LVB)
		r = err_set(err, -EBADMSG, "lvb_bytes: %u is neither %d nor %d",
			    space->lvb_bytes, LOCK_SMALL_LVB, LOCK_LARGE_LVB);
	if (r == 0)
		r = dump_u32(o, "generation", 0, &space->generation, err);
	if (r == 0)
		r = dump_u32(o, "epoch_node", 0, &space->epoch.rep, err);
	if (r == 0)
		r = dump_number(o, "epoch_seq", 0, INT64_MAX, &space->epoch.seq, err);
	if (r == 0)
		r = dump_number(o, "operations", 0, INT64_MAX, &space->operations, err);
	if (r == 0)
		r = get_state(o, &space->freeze, err);
	if (r == 0)
		r = read_members(o, space, err);
	if (r == 0)
		r = dump_array(o, "resources", LOCK_TABLE_MAX_RESOURCES,
			      sizeof(*space->resources), &list, &space->resources, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = read_named_resource(json_array_get(list, i), space, err);
	return r;
}

static int read_named_space(const json_t *o, struct lock_dump *dump, struct err *err)
{
	struct lock_dump_space *space = &dump->spaces[dump->space_count++];
	char name[TEXT_ESCAPED_BYTES(LOCKSPACE_MAX_NAME)];

	if (dump_name(o, LOCKSPACE_MAX_NAME, space->name, &space->name_length, err) < 0)
		return err_prefix(err, "lockspace %zu", dump->space_count);
	if (read_space(o, space, err) < 0)
		return err_prefix(err, "lockspace '%s'",
				  text_escape(space->name, space->name_length, name,
					      sizeof(name)));
	return 0;
}

/* --- the dump ------------------------------------------------------------------------- */

static int read_node(const json_t *o, struct lock_dump *dump, struct err *err)
{
	struct lock_dump_node *node = &dump->nodes[dump->node_count];
	int r = dump_u32(o, "id", 1, &node->id, err);

	if (r == 0)
		r = dump_name(o, LOCK_DUMP_NODE_NAME, node->name, &node->name_length, err);
	if (r == 0 && lock_dump_node(dump, node->id))
		r = err_set(err, -EBADMSG, "id: %u is there twice", node->id);
	if (r < 0)
		return err_prefix(err, "node %zu", dump->node_count + 1);
	dump->node_count++;
	return 0;
}

static int check_format(const json_t *top, struct err *err)
{
	const char *format = json_string_value(json_object_get(top, "format"));
	uint64_t version = 0;

	if (!format || strcmp(format, LOCK_DUMP_FORMAT) != 0)
		return err_set(err, -EBADMSG,
			       "is no dump of lockspaces (its \"format\" is not \"%s\")",
			       LOCK_DUMP_FORMAT);
	if (dump_number(top, "version", 1, INT64_MAX, &version, err) < 0)
		return err->code;
	if (version > LOCK_DUMP_VERSION)
		return err_set(err, -EOPNOTSUPP,
			       "version: it is %" PRIu64 ", and %d is the latest known here",
			       version, LOCK_DUMP_VERSION);
	return 0;
}

static int read_dump(const json_t *top, struct lock_dump *dump, struct err *err)
{
	const json_t *list;
	int r = check_format(top, err);

	if (r == 0)
		r = dump_number(top, "taken_s", 0, INT64_MAX, &dump->taken_s, err);
	if (r == 0)
		r = dump_number(top, "clock_ns", 0, INT64_MAX, &dump->clock_ns, err);
	if (r == 0)
		r = dump_u32(top, "self", 1, &dump->self, err);
	if (r == 0)
		r = dump_array(top, "nodes", LOCK_DUMP_MAX_NODES, sizeof(*dump->nodes),
			      &list, &dump->nodes, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = read_node(json_array_get(list, i), dump, err);
	if (r == 0)
		r = dump_array(top, "lockspaces", LOCK_MANAGER_MAX_SPACES,
			      sizeof(*dump->spaces), &list, &dump->spaces, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = read_named_space(json_array_get(list, i), dump, err);
	return r;
}

struct lock_dump *lock_dump_read(const char *text, size_t length, struct err *err)
{
	struct lock_dump *dump = calloc(1, sizeof(*dump));
	json_error_t why;
	json_t *top;

	if (!dump) {
		err_nomem(err, "a dump of lockspaces");
		return NULL;
	}
	top = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
	if (!top)
		err_set(err, -EBADMSG, "is no JSON: line %d, column %d: %s", why.line,
			why.column, why.text);
	if (!top || read_dump(top, dump, err) < 0) {
		lock_dump_free(dump);
		dump = NULL;
	}
	json_decref(top);
	return dump;
}
