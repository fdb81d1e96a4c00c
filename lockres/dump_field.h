/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fields of JSON objects that anybody may have written, each with what it may be: what
 * else is there is refused in a sentence that begins with the field's name. Private to
 * the reading of dumps.
 *
 * All give 0 or -EBADMSG, and set *to whatever comes; -EBADMSG too where `o` is no
 * object, or has no such field.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lockres/lock.h"

struct err;

/* NULL: it is not there. */
const json_t *dump_field(const json_t *o, const char *key, struct err *err);
int dump_number(const json_t *o, const char *key, uint64_t min, uint64_t max, uint64_t *to,
		struct err *err);
int dump_u32(const json_t *o, const char *key, uint32_t min, uint32_t *to,
	     struct err *err);
int dump_bool(const json_t *o, const char *key, bool *to, struct err *err);
/* Borrowed from o. */
int dump_text(const json_t *o, const char *key, const char **to, struct err *err);
/*
 * A list of at most `max`, and as many structs of that size for its elements, all of
 * them zero; `elements` is a pointer to a pointer. -ENOMEM, too.
 */
int dump_array(const json_t *o, const char *key, size_t max, size_t size,
	       const json_t **list, void *elements, struct err *err);
/* "name": from 1 to `max` bytes, as text_escape() writes them. */
int dump_name(const json_t *o, size_t max, char *to, size_t *length, struct err *err);
/* Null is LOCK_NONE. */
int dump_mode(const json_t *o, const char *key, enum lock_mode *to, struct err *err);
/* A list of words, each a bit as next() (lock_flag_next(), ...) calls it. */
int dump_words(const json_t *o, const char *key,
	       const char *(*next)(uint32_t, unsigned int *), uint32_t *to,
	       struct err *err);
