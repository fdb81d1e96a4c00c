/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/control/json_fields.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/printable.h"

json_t *json_from_text(const char *text)
{
	json_t *s = json_string(text);
	char *copy;

	if (s)
		return s;
	copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	s = copy ? json_string(copy) : NULL;
	free(copy);
	return s;
}

/* --- writing ---------------------------------------------------------------------------- */

static json_t *from_u64(uint64_t v)
{
	return json_integer(v <= INT64_MAX ? (json_int_t)v : INT64_MAX);
}

static json_t *write_one(const struct json_field *f, const void *at)
{
	switch (f->kind) {
	case FIELD_TEXT:
		return json_from_text(at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_U32:
		return json_integer(*(const uint32_t *)at);
	case FIELD_U64:
		return from_u64(*(const uint64_t *)at);
	case FIELD_I32:
		return json_integer(*(const int32_t *)at);
	case FIELD_NUMBER_OR_NONE:
		return *(const int32_t *)at < 0 ? json_null() :
						  json_integer(*(const int32_t *)at);
	}
	return NULL;
}

json_t *json_fields_write(const struct json_field *fields, const void *from)
{
	json_t *object = json_object();
	const struct json_field *f;

	for (f = fields; object && f->name; f++)
		if (json_object_set_new(object, f->name,
					write_one(f, (const char *)from + f->offset)) < 0) {
			json_decref(object);
			object = NULL;
		}
	return object;
}

/* --- reading ---------------------------------------------------------------------------- */

static int read_text(const struct json_field *f, const json_t *value, char *to,
		     const char *where, struct err *err)
{
	if (!json_is_string(value))
		return err_set(err, -EBADMSG, "%s.%s is not a string", where, f->name);
	if (json_string_length(value) >= f->size)
		return err_set(err, -EBADMSG, "%s.%s is longer than %zu bytes", where,
			       f->name, f->size - 1);
	text_printable(json_string_value(value), f->size, to, f->size);
	return 0;
}

static int read_number(const struct json_field *f, const json_t *value, json_int_t min,
		       json_int_t max, json_int_t *to, const char *where, struct err *err)
{
	if (!json_is_integer(value))
		return err_set(err, -EBADMSG, "%s.%s is not an integer", where, f->name);
	*to = json_integer_value(value);
	if (*to < min || *to > max)
		return err_set(err, -EBADMSG, "%s.%s is %" JSON_INTEGER_FORMAT
			       ", out of its range", where, f->name, *to);
	return 0;
}

static int read_one(const struct json_field *f, const json_t *value, void *at,
		    const char *where, struct err *err)
{
	json_int_t number = 0;
	int r = 0;

	switch (f->kind) {
	case FIELD_TEXT:
		return read_text(f, value, at, where, err);
	case FIELD_BOOL:
		if (!json_is_boolean(value))
			return err_set(err, -EBADMSG, "%s.%s is not true or false", where,
				       f->name);
		*(bool *)at = json_is_true(value);
		return 0;
	case FIELD_U32:
		r = read_number(f, value, 0, UINT32_MAX, &number, where, err);
		*(uint32_t *)at = (uint32_t)number;
		return r;
	case FIELD_U64:
		r = read_number(f, value, 0, INT64_MAX, &number, where, err);
		*(uint64_t *)at = (uint64_t)number;
		return r;
	case FIELD_I32:
		r = read_number(f, value, INT32_MIN, INT32_MAX, &number, where, err);
		break;
	case FIELD_NUMBER_OR_NONE:
		r = read_number(f, value, 0, INT32_MAX, &number, where, err);
		break;
	}
	*(int32_t *)at = (int32_t)number;
	return r;
}

int json_fields_read(const struct json_field *fields, const json_t *object, void *to,
		     const char *where, struct err *err)
{
	const struct json_field *f;
	int r = 0;

	if (!json_is_object(object))
		return err_set(err, -EBADMSG, "%s is not an object", where);
	for (f = fields; r == 0 && f->name; f++) {
		const json_t *value = json_object_get(object, f->name);
		void *at = (char *)to + f->offset;

		if (value && !json_is_null(value))
			r = read_one(f, value, at, where, err);
		else if (f->kind == FIELD_NUMBER_OR_NONE)
			*(int32_t *)at = -1;
	}
	return r;
}
