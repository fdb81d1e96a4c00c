/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tools/terminal.h"

struct libscols_table *table_new(const struct table_column *columns, const struct terminal *t)
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
static bool hide_one(struct libscols_table *table, const struct table_column *columns)
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
int table_print(struct libscols_table *table, const struct table_column *columns,
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

int table_number(struct libscols_line *line, size_t column, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return scols_line_set_data(line, column, text);
}
