/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A struct and a JSON object, field by field, by one table: so that what is written is what
 * is read. Read from anybody: texts that are too long and numbers out of range are refused by
 * name, control characters become '?', unknown fields are skipped; missing or null
 * ones are 0, or -1 in a FIELD_NUMBER_OR_NONE.
 */
#pragma once

#include <stddef.h>

#include <jansson.h>

struct err;

enum json_field_kind {
	FIELD_TEXT,           /* char[] */
	FIELD_BOOL,
	FIELD_U32,
	FIELD_U64,            /* up to INT64_MAX, which stands for more */
	FIELD_I32,
	FIELD_NUMBER_OR_NONE, /* int32_t; -1 is null */
};

struct json_field {
	const char *name;     /* NULL ends a table */
	enum json_field_kind kind;
	size_t offset, size;
};

#define JSON_FIELD(type, member, kind, name) \
	{ name, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define JSON_FIELDS_END { NULL, FIELD_TEXT, 0, 0 }

/* A new object, or NULL: no memory. */
json_t *json_fields_write(const struct json_field *fields, const void *from);
/* -EBADMSG: "WHERE.NAME is ...". *to is zero before; texts end. */
int json_fields_read(const struct json_field *fields, const json_t *object, void *to,
		     const char *where, struct err *err);

/* Any bytes as a JSON string: where they are not UTF-8, '?' for what is not ASCII. */
json_t *json_from_text(const char *text);
