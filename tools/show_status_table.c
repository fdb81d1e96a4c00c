/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of a status: the nodes of an array, its disks, the nodes of the cluster. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "tools/show_status.h"
#include "tools/table.h"

enum { MIB_SECTORS = 2048 };

/* --- the nodes of an array -------------------------------------------------------------- */

enum { MEMBER_SLOT, MEMBER_NODE, MEMBER_STATE, MEMBER_INCARNATION, MEMBER_SINCE,
       MEMBER_RESYNCS, MEMBER_DIRTY };

static const char *member_state(const struct status_member *m)
{
	if (m->high > m->low)
		return "resyncs";
	return m->owes_resync ? "owes a resync" : m->state;
}

static int add_member(struct libscols_table *table, const struct status *s,
		      const struct status_member *m)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const struct status_node *n = show_find_node(s, m->node);
	char name[SHOW_NODE_BYTES], text[128], age[TERMINAL_AGE_BYTES], size[TEXT_SIZE_BYTES];
	int failed = 0;

	if (!line)
		return -ENOMEM;
	if (strcmp(m->state, "active") != 0 || m->owes_resync || m->high > m->low)
		scols_line_set_color(line, "yellow");
	if (m->slot >= 0) {
		snprintf(text, sizeof(text), "%d", m->slot);
		failed |= scols_line_set_data(line, MEMBER_SLOT, text);
	}
	snprintf(text, sizeof(text), "%s%s", show_status_node(s, m->node, name),
		 m->node == s->node ? "*" : "");
	failed |= scols_line_set_data(line, MEMBER_NODE, text);
	failed |= scols_line_set_data(line, MEMBER_STATE, member_state(m));
	if (n && n->incarnation) {
		snprintf(text, sizeof(text), "%" PRIu64, n->incarnation);
		failed |= scols_line_set_data(line, MEMBER_INCARNATION, text);
	}
	if (strcmp(m->state, "active") != 0 && m->since_ns)
		failed |= scols_line_set_data(line, MEMBER_SINCE, terminal_age(m->since_ns, age));
	if (m->high > m->low) {
		snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64 " MiB",
			 m->low / MIB_SECTORS, m->high / MIB_SECTORS);
		failed |= scols_line_set_data(line, MEMBER_RESYNCS, text);
	}
	if (m->dirty_bytes)
		failed |= scols_line_set_data(line, MEMBER_DIRTY, text_size(m->dirty_bytes, size));
	return failed ? -ENOMEM : 0;
}

int show_members_table(const struct status *s, const struct status_array *a,
		       struct terminal *t, struct err *err)
{
	static const struct table_column columns[] = {
		{ "SLOT", SCOLS_FL_RIGHT, false }, { "NODE", 0, false },
		{ "STATE", 0, false }, { "INCARNATION", SCOLS_FL_RIGHT, true },
		{ "SINCE", SCOLS_FL_RIGHT, false }, { "RESYNCS", SCOLS_FL_RIGHT, true },
		{ "DIRTY", SCOLS_FL_RIGHT, true }, { NULL, 0, false },
	};
	struct libscols_table *table;
	int r = 0;

	if (a->member_count == 0)
		return 0;
	table = table_new(columns, t);
	for (uint32_t i = 0; table && r == 0 && i < a->member_count; i++)
		r = add_member(table, s, &a->members[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : table_print(table, columns, t, err);
	scols_unref_table(table);
	return r;
}

/* --- disks ------------------------------------------------------------------------------ */

enum { DISK_ROLE, DISK_PATH, DISK_STATE, DISK_READS, DISK_READ, DISK_WRITES, DISK_WRITTEN,
       DISK_FLIGHT, DISK_ERRORS };

/* "rebuild 42.0%" */
static const char *disk_state(const struct status_array *a, const struct status_disk *d,
			      char to[32])
{
	unsigned int per_mille = terminal_per_mille(d->recovered_sectors, a->member_sectors);

	if (strcmp(d->state, "rebuild") != 0 || d->is_by_bitmap || !a->member_sectors)
		return d->state;
	snprintf(to, 32, "rebuild %u.%u%%", per_mille / 10, per_mille % 10);
	return to;
}

static int add_disk(struct libscols_table *table, const struct status_array *a,
		    const struct status_disk *d)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char size[TEXT_SIZE_BYTES], state[32];
	int failed = 0;

	if (!line)
		return -ENOMEM;
	if (strcmp(d->state, "in_sync") != 0)
		scols_line_set_color(line, "red");
	if (d->role < a->raid_disks)
		failed |= table_number(line, DISK_ROLE, d->role);
	failed |= scols_line_set_data(line, DISK_PATH, d->path[0] ? d->path : "-");
	failed |= scols_line_set_data(line, DISK_STATE, disk_state(a, d, state));
	if (d->path[0]) {
		failed |= table_number(line, DISK_READS, d->reads);
		failed |= scols_line_set_data(line, DISK_READ, text_size(d->read_bytes, size));
		failed |= table_number(line, DISK_WRITES, d->writes);
		failed |= scols_line_set_data(line, DISK_WRITTEN,
					      text_size(d->written_bytes, size));
		failed |= table_number(line, DISK_FLIGHT, d->in_flight);
	}
	if (d->errors)
		failed |= table_number(line, DISK_ERRORS, d->errors);
	return failed ? -ENOMEM : 0;
}

int show_disks_table(const struct status_array *a, struct terminal *t, struct err *err)
{
	static const struct table_column columns[] = {
		{ "ROLE", SCOLS_FL_RIGHT, false }, { "DISK", 0, false },
		{ "STATE", 0, false }, { "READS", SCOLS_FL_RIGHT, true },
		{ "READ", SCOLS_FL_RIGHT, true }, { "WRITES", SCOLS_FL_RIGHT, true },
		{ "WRITTEN", SCOLS_FL_RIGHT, true }, { "IN FLIGHT", SCOLS_FL_RIGHT, true },
		{ "ERRORS", SCOLS_FL_RIGHT, false }, { NULL, 0, false },
	};
	struct libscols_table *table;
	int r = 0;

	if (a->disk_count == 0)
		return 0;
	table = table_new(columns, t);
	for (uint32_t i = 0; table && r == 0 && i < a->disk_count; i++)
		r = add_disk(table, a, &a->disks[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : table_print(table, columns, t, err);
	scols_unref_table(table);
	return r;
}

/* --- nodes ------------------------------------------------------------------------------ */

enum { NODE_ID, NODE_NAME, NODE_STATE, NODE_SINCE, NODE_INCARNATION, NODE_ADDRESS };

static int add_node(struct libscols_table *table, const struct status_node *n)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[SHOW_NODE_BYTES], age[TERMINAL_AGE_BYTES];
	int failed = 0;

	if (!line)
		return -ENOMEM;
	if (!n->is_member)
		scols_line_set_color(line, "yellow");
	failed |= table_number(line, NODE_ID, n->id);
	snprintf(text, sizeof(text), "%s%s", n->name[0] ? n->name : "-", n->is_self ? "*" : "");
	failed |= scols_line_set_data(line, NODE_NAME, text);
	failed |= scols_line_set_data(line, NODE_STATE,
				      n->is_member ? "member" : n->is_dead ? "dead" : "missing");
	if (n->since_ns)
		failed |= scols_line_set_data(line, NODE_SINCE, terminal_age(n->since_ns, age));
	if (n->incarnation)
		failed |= table_number(line, NODE_INCARNATION, n->incarnation);
	failed |= scols_line_set_data(line, NODE_ADDRESS, n->address);
	return failed ? -ENOMEM : 0;
}

static void show_what_waits(const struct status *s, struct terminal *t)
{
	char name[SHOW_NODE_BYTES], waits[SHOW_WAITS_BYTES];

	for (uint32_t i = 0; i < s->node_count; i++) {
		const struct status_node *n = &s->nodes[i];

		if (!n->waits[0])
			continue;
		terminal_begin(t, 2);
		terminal_word(t, TERMINAL_BOLD, "%s", show_status_node(s, n->id, name));
		terminal_sentence(t, TERMINAL_YELLOW, show_waits(n->waits, 0, waits));
		terminal_end(t);
	}
}

int show_nodes(const struct status *s, struct terminal *t, struct err *err)
{
	static const struct table_column columns[] = {
		{ "ID", SCOLS_FL_RIGHT, false }, { "NODE", 0, false }, { "STATE", 0, false },
		{ "SINCE", SCOLS_FL_RIGHT, false }, { "INCARNATION", SCOLS_FL_RIGHT, true },
		{ "ADDRESS", 0, true }, { NULL, 0, false },
	};
	struct libscols_table *table = table_new(columns, t);
	int r = 0;

	for (uint32_t i = 0; table && r == 0 && i < s->node_count; i++)
		r = add_node(table, &s->nodes[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : table_print(table, columns, t, err);
	scols_unref_table(table);
	if (r == 0)
		show_what_waits(s, t);
	return r;
}
