/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables in what people read: libsmartcols, as wide as the terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <libsmartcols/libsmartcols.h>

struct err;
struct terminal;

struct table_column {
	const char *name; /* NULL: the end of the list */
	int flags;
	bool may_go;      /* where the terminal is too narrow for all */
};

/* A table, two blanks in. NULL: no memory. scols_unref_table() it. */
struct libscols_table *table_new(const struct table_column *columns, const struct terminal *t);
/* Columns that no row has anything in are left out. */
int table_print(struct libscols_table *table, const struct table_column *columns,
		struct terminal *t, struct err *err);
int table_number(struct libscols_line *line, size_t column, uint64_t number);
