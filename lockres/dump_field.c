/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockres/dump_field.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/printable.h"

const json_t *dump_field(const json_t *o, const char *key, struct err *err)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_object(o))
		err_set(err, -EBADMSG, "is no object");
	else if (!v)
		err_set(err, -EBADMSG, "%s: is missing", key);
	return v;
}

int dump_number(const json_t *o, const char *key, uint64_t min, uint64_t max, uint64_t *to,
		struct err *err)
{
	const json_t *v = dump_field(o, key, err);
	json_int_t i = json_integer_value(v);

	if (!v)
		return err->code;
	if (!json_is_integer(v))
		return err_set(err, -EBADMSG, "%s: is no whole number", key);
	if (i < 0 || (uint64_t)i < min || (uint64_t)i > max)
		return err_set(err, -EBADMSG,
			       "%s: %" JSON_INTEGER_FORMAT " is not from %" PRIu64
			       " to %" PRIu64, key, i, min, max);
	*to = (uint64_t)i;
	return 0;
}

int dump_u32(const json_t *o, const char *key, uint32_t min, uint32_t *to,
	     struct err *err)
{
	uint64_t v = 0;
	int r = dump_number(o, key, min, UINT32_MAX, &v, err);

	*to = (uint32_t)v;
	return r;
}

int dump_bool(const json_t *o, const char *key, bool *to, struct err *err)
{
	const json_t *v = dump_field(o, key, err);

	if (v && !json_is_boolean(v))
		return err_set(err, -EBADMSG, "%s: is neither true nor false", key);
	*to = json_is_true(v);
	return v ? 0 : err->code;
}

int dump_text(const json_t *o, const char *key, const char **to, struct err *err)
{
	const json_t *v = dump_field(o, key, err);

	if (v && !json_is_string(v))
		return err_set(err, -EBADMSG, "%s: is no string", key);
	*to = json_string_value(v);
	return v ? 0 : err->code;
}

static int get_list(const json_t *o, const char *key, const json_t **to, struct err *err)
{
	*to = dump_field(o, key, err);
	if (*to && !json_is_array(*to))
		return err_set(err, -EBADMSG, "%s: is no list", key);
	return *to ? 0 : err->code;
}

int dump_array(const json_t *o, const char *key, size_t max, size_t size,
	       const json_t **list, void *elements, struct err *err)
{
	int r = get_list(o, key, list, err);

	if (r < 0)
		return r;
	if (json_array_size(*list) > max)
		return err_set(err, -EBADMSG, "%s: %zu of them, there are at most %zu",
			       key, json_array_size(*list), max);
	*(void **)elements = calloc(json_array_size(*list) + 1, size);
	return *(void **)elements ? 0 : err_nomem(err, key);
}

int dump_name(const json_t *o, size_t max, char *to, size_t *length, struct err *err)
{
	const char *text;
	int r = dump_text(o, "name", &text, err);

	if (r < 0)
		return r;
	r = text_unescape(text, to, max);
	if (r == -EBADMSG)
		return err_set(err, r,
			       "name: '%s' is not as names are written (printable ASCII, all else as \\xHH)",
			       text);
	if (r <= 0)
		return err_set(err, -EBADMSG, "name: has not 1 to %zu bytes", max);
	*length = (size_t)r;
	return 0;
}

int dump_mode(const json_t *o, const char *key, enum lock_mode *to, struct err *err)
{
	const json_t *v = dump_field(o, key, err);

	*to = LOCK_NONE;
	if (!v)
		return err->code;
	if (json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(err, -EBADMSG, "%s: is neither a mode nor null", key);
	for (int mode = LOCK_NL; mode < LOCK_MODES; mode++)
		if (strcmp(lock_mode_name((enum lock_mode)mode),
			   json_string_value(v)) == 0)
			*to = (enum lock_mode)mode;
	if (*to == LOCK_NONE)
		return err_set(err, -EBADMSG, "%s: '%s' is no mode (NL, CR, CW, PR, PW, EX, or null)",
			       key, json_string_value(v));
	return 0;
}

/* The bit that has this name; 0: none has. */
static uint32_t bit_of(const char *(*next)(uint32_t, unsigned int *), const char *word)
{
	for (uint32_t bit = 1; bit; bit <<= 1) {
		unsigned int at = 0;
		const char *name = next(bit, &at);

		if (name && strcmp(name, word) == 0)
			return bit;
	}
	return 0;
}

int dump_words(const json_t *o, const char *key,
	       const char *(*next)(uint32_t, unsigned int *), uint32_t *to,
	       struct err *err)
{
	const json_t *list;
	int r = get_list(o, key, &list, err);

	*to = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		uint32_t bit = word ? bit_of(next, word) : 0;

		if (bit == 0 || *to & bit)
			r = err_set(err, -EBADMSG, "%s: '%s' is none, or is there twice",
				    key, word ? word : "what is no string");
		*to |= bit;
	}
	return r;
}
