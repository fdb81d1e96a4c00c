/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the text of a key file, and the steps of a change of keys.
 *
 *	input:  byte 0  the steps, two bits each, lowest first (enum step)
 *	        then    the text
 *
 * What must hold, for every input:
 *	F1  each key that is taken stands in the text as its base64, in order;
 *	    there are one or two, no two alike, none of one byte repeated
 *	F2  a refusal is one sentence, quotes nothing, and leaves no key behind
 *	F3  keys written as lines are the keys that are read
 *	F4  a step that is not due says so and changes nothing
 *	F5  nothing outside of the text is read (ASan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arith.h"
#include "base/err.h"
#include "tests/fuzz/expect.h"
#include "totem/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step { NOTHING, ADD, PROMOTE, DROP };

enum { STEPS = 4, STEP_BITS = 2, LINE_BYTES = 45 }; /* base64 and its end */

static void write_line(const struct seal_key *key, char line[LINE_BYTES])
{
	sodium_bin2base64(line, LINE_BYTES, key->bytes, SEAL_KEY_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
}

static bool is_empty(const struct keyfile *file)
{
	const struct keyfile empty = { .count = 0 };

	return memcmp(file, &empty, sizeof(empty)) == 0;
}

/* F2 */
static void check_refused(int r, const struct err *err, const struct keyfile *file)
{
	EXPECT(r == -EBADMSG && err->code == r && is_empty(file));
	EXPECT(err->text[0] != '\0' && !strchr(err->text, '\n'));
}

static void check_keys(const struct keyfile *file)
{
	EXPECT(file->count == 1 || file->count == SEAL_MAX_KEYS);
	EXPECT(file->count == 1 ||
	       memcmp(&file->keys[0], &file->keys[1], sizeof(file->keys[0])) != 0);
	for (size_t i = 0; i < file->count; i++) {
		const uint8_t *key = file->keys[i].bytes;

		EXPECT(memcmp(key, key + 1, SEAL_KEY_BYTES - 1) != 0);
	}
}

/* F1 */
static void check_text(const struct keyfile *file, const char *text, size_t length)
{
	const char *at = text, *end = text + length;

	for (size_t i = 0; i < file->count; i++) {
		char line[LINE_BYTES];

		write_line(&file->keys[i], line);
		at = memmem(at, (size_t)(end - at), line, LINE_BYTES - 1);
		EXPECT(at != NULL);
		at += LINE_BYTES - 1;
	}
}

/* F3 */
static void check_written(const struct keyfile *file)
{
	char text[16 + SEAL_MAX_KEYS * (LINE_BYTES + 4)] = "# two lines\n\n";
	struct err err = ERR_INIT;
	struct keyfile again;

	for (size_t i = 0; i < file->count; i++) {
		char line[LINE_BYTES];

		write_line(&file->keys[i], line);
		strcat(text, i ? "\t" : " ");
		strcat(text, line);
		strcat(text, i ? " " : "\r\n");
	}
	EXPECT(keyfile_parse(text, strlen(text), &again, &err) == 0);
	EXPECT(memcmp(&again, file, sizeof(again)) == 0);
}

/* F4 */
static void take_step(struct keyfile *file, enum step step)
{
	const struct keyfile was = *file;
	struct err err = ERR_INIT;
	bool is_due = (was.count == SEAL_MAX_KEYS) == (step != ADD);
	int r = step == ADD     ? keyfile_add_key(file, &err) :
		step == PROMOTE ? keyfile_promote(file, &err) :
				  keyfile_drop(file, &err);

	EXPECT((r == 0) == is_due);
	if (r < 0) {
		EXPECT(r == (step == ADD ? -EEXIST : -ENOENT) && err.code == r);
		EXPECT(memcmp(&was, file, sizeof(was)) == 0);
		return;
	}
	EXPECT(file->count == (step == DROP ? 1 : SEAL_MAX_KEYS));
	EXPECT(memcmp(&file->keys[step == PROMOTE], &was.keys[0],
		      sizeof(was.keys[0])) == 0);
	check_keys(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct keyfile file;
	size_t length = size - 1;
	char *text;
	int r, n;

	if (size < 1)
		return 0;
	text = malloc(max_u64(length, 1));
	EXPECT(text != NULL);
	memcpy(text, data + 1, length);
	r = keyfile_parse(text, length, &file, &err);
	if (r < 0) {
		check_refused(r, &err, &file);
		free(text);
		return 0;
	}
	check_keys(&file);
	check_text(&file, text, length);
	free(text);
	check_written(&file);
	for (n = 0; n < STEPS; n++) {
		enum step step = data[0] >> (n * STEP_BITS) & 3;

		if (step != NOTHING)
			take_step(&file, step);
	}
	check_written(&file);
	return 0;
}
