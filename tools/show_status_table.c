/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of a status: the nodes of an array, its disks, the nodes of the cluster. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "base/err.h"
#include "base/text.h"
#include "tools/show_status.h"

enum { MIB_SECTORS = 2048 };

/* --- a table ----------------------------------------------------------------------------- */

struct column {
	const char *name;
	int flags;
	bool may_go; /* where the terminal is too narrow for all */
};

/* A table, two blanks in; columns that no row has anything in are left out. */
static struct libscols_table *new_table(const struct column *columns, const struct terminal *t)
{
	struct libscols_table *table = scols_new_table();

	for (; table && columns->name; columns++)
		if (!scols_table_new_column(table, columns->name, 0, columns->flags)) {
			scols_unref_table(table);
			table = NULL;
		}
	if (table) {
		scols_table_enable_noencoding(table, 1); /* all of it is printable */
		if (t->width) {
			scols_table_set_termwidth(table, t->width - 2);
			scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
		}
	}
	return table;
}

static void hide_empty_columns(struct libscols_table *table)
{
	for (size_t c = 0; c < scols_table_get_ncols(table); c++) {
		struct libscols_column *column = scols_table_get_column(table, c);
		bool is_empty = true;

		for (size_t l = 0; l < scols_table_get_nlines(table); l++) {
			struct libscols_line *line = scols_table_get_line(table, l);
			const char *text = scols_cell_get_data(scols_line_get_cell(line, c));

			is_empty = is_empty && (!text || !*text);
		}
		if (is_empty)
			scols_column_set_flags(column, scols_column_get_flags(column) |
						       SCOLS_FL_HIDDEN);
	}
}

static void put_indented(char *text, struct terminal *t)
{
	char *line;

	while ((line = strsep(&text, "\n")) && (*line || text)) {
		size_t length = strlen(line);

		while (length > 0 && line[length - 1] == ' ')
			line[--length] = '\0';
		fprintf(t->to, "%s%s\n", *line ? "  " : "", line);
	}
}

static size_t longest_line(const char *text)
{
	size_t longest = 0;

	for (size_t length; *text; text += length + (text[length] != '\0')) {
		length = strcspn(text, "\n");
		if (length > longest)
			longest = length;
	}
	return longest;
}

/* The first column that may go, goes. */
static bool hide_one(struct libscols_table *table, const struct column *columns)
{
	for (size_t c = 0; columns[c].name; c++) {
		struct libscols_column *column = scols_table_get_column(table, c);

		if (!columns[c].may_go || scols_column_is_hidden(column))
			continue;
		scols_column_set_flags(column, scols_column_get_flags(column) | SCOLS_FL_HIDDEN);
		return true;
	}
	return false;
}

/* Without colours it is as long as it looks: how many columns fit is tried so. */
static int print_table(struct libscols_table *table, const struct column *columns,
		       struct terminal *t, struct err *err)
{
	bool is_too_wide = true;
	char *text = NULL;
	int r = 0;

	hide_empty_columns(table);
	scols_table_enable_colors(table, 0);
	while (t->width && is_too_wide && r == 0) {
		r = scols_print_table_to_string(table, &text);
		is_too_wide = r == 0 && longest_line(text) + 2 > t->width &&
			      hide_one(table, columns);
		free(text);
		text = NULL;
	}
	scols_table_enable_colors(table, t->has_colours);
	if (r == 0)
		r = scols_print_table_to_string(table, &text);
	if (r < 0)
		return err_set(err, r, "cannot print the table: %s", strerror(-r));
	put_indented(text, t);
	free(text);
	return 0;
}

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
	static const struct column columns[] = {
		{ "SLOT", SCOLS_FL_RIGHT, false }, { "NODE", 0, false },
		{ "STATE", 0, false }, { "INCARNATION", SCOLS_FL_RIGHT, true },
		{ "SINCE", SCOLS_FL_RIGHT, false }, { "RESYNCS", SCOLS_FL_RIGHT, true },
		{ "DIRTY", SCOLS_FL_RIGHT, true }, { NULL, 0, false },
	};
	struct libscols_table *table;
	int r = 0;

	if (a->member_count == 0)
		return 0;
	table = new_table(columns, t);
	for (uint32_t i = 0; table && r == 0 && i < a->member_count; i++)
		r = add_member(table, s, &a->members[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : print_table(table, columns, t, err);
	scols_unref_table(table);
	return r;
}

/* --- disks ------------------------------------------------------------------------------ */

enum { DISK_ROLE, DISK_PATH, DISK_STATE, DISK_READS, DISK_READ, DISK_WRITES, DISK_WRITTEN,
       DISK_FLIGHT, DISK_ERRORS };

static int set_number(struct libscols_line *line, size_t column, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return scols_line_set_data(line, column, text);
}

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
		failed |= set_number(line, DISK_ROLE, d->role);
	failed |= scols_line_set_data(line, DISK_PATH, d->path[0] ? d->path : "-");
	failed |= scols_line_set_data(line, DISK_STATE, disk_state(a, d, state));
	if (d->path[0]) {
		failed |= set_number(line, DISK_READS, d->reads);
		failed |= scols_line_set_data(line, DISK_READ, text_size(d->read_bytes, size));
		failed |= set_number(line, DISK_WRITES, d->writes);
		failed |= scols_line_set_data(line, DISK_WRITTEN,
					      text_size(d->written_bytes, size));
		failed |= set_number(line, DISK_FLIGHT, d->in_flight);
	}
	if (d->errors)
		failed |= set_number(line, DISK_ERRORS, d->errors);
	return failed ? -ENOMEM : 0;
}

int show_disks_table(const struct status_array *a, struct terminal *t, struct err *err)
{
	static const struct column columns[] = {
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
	table = new_table(columns, t);
	for (uint32_t i = 0; table && r == 0 && i < a->disk_count; i++)
		r = add_disk(table, a, &a->disks[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : print_table(table, columns, t, err);
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
	failed |= set_number(line, NODE_ID, n->id);
	snprintf(text, sizeof(text), "%s%s", n->name[0] ? n->name : "-", n->is_self ? "*" : "");
	failed |= scols_line_set_data(line, NODE_NAME, text);
	failed |= scols_line_set_data(line, NODE_STATE,
				      n->is_member ? "member" : n->is_dead ? "dead" : "missing");
	if (n->since_ns)
		failed |= scols_line_set_data(line, NODE_SINCE, terminal_age(n->since_ns, age));
	if (n->incarnation)
		failed |= set_number(line, NODE_INCARNATION, n->incarnation);
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
	static const struct column columns[] = {
		{ "ID", SCOLS_FL_RIGHT, false }, { "NODE", 0, false }, { "STATE", 0, false },
		{ "SINCE", SCOLS_FL_RIGHT, false }, { "INCARNATION", SCOLS_FL_RIGHT, true },
		{ "ADDRESS", 0, true }, { NULL, 0, false },
	};
	struct libscols_table *table = new_table(columns, t);
	int r = 0;

	for (uint32_t i = 0; table && r == 0 && i < s->node_count; i++)
		r = add_node(table, &s->nodes[i]);
	r = !table || r < 0 ? err_nomem(err, "a table") : print_table(table, columns, t, err);
	scols_unref_table(table);
	if (r == 0)
		show_what_waits(s, t);
	return r;
}
