/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the text of a dump of lockspaces, as a person may hand it to
 * `mdcluster locks --file`.
 *
 * What must hold, for every input:
 *	F1  what is refused is so with a sentence of one line
 *	F2  what is read is written, and read again, and written byte by byte the same
 *	    (P1 of lockres/dump.h)
 *	F3  what is shown of it has only printable ASCII: nothing moves a cursor; and
 *	    the JSON is whole
 *	F4  nothing outside of the text is read (ASan)
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lockres/dump.h"
#include "tests/fuzz/expect.h"
#include "tools/show_locks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *written(const struct lock_dump *dump, size_t *length)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, length);

	EXPECT(to != NULL && lock_dump_write(dump, to) == 0 && fclose(to) == 0);
	return text;
}

/* F2 */
static void check_round_trip(const struct lock_dump *dump)
{
	struct err err = ERR_INIT;
	size_t length, again_length;
	char *text = written(dump, &length);
	struct lock_dump *again = lock_dump_read(text, length, &err);
	char *again_text;

	EXPECT(again != NULL);
	again_text = written(again, &again_length);
	EXPECT(length == again_length && memcmp(text, again_text, length) == 0);
	lock_dump_free(again);
	free(again_text);
	free(text);
}

/* F3 */
static void check_shown(const struct show_locks *show)
{
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);
	json_t *o = show_locks_json(show);

	EXPECT(to != NULL && o != NULL);
	EXPECT(show_locks(show, to, &err) == 0 && show_lock_history(show, to, &err) == 0);
	EXPECT(fclose(to) == 0);
	for (size_t i = 0; i < length; i++)
		EXPECT(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
	free(text);
	text = json_dumps(o, 0);
	EXPECT(text != NULL);
	free(text);
	json_decref(o);
	(void)show_locks_check(show, &err);
	EXPECT(!strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct show_locks show = { .is_all = true, .has_history = true };
	struct err err = ERR_INIT;
	char *text = malloc(size ? size : 1); /* so that F4 is seen */
	struct lock_dump *dump;

	EXPECT(text != NULL);
	memcpy(text, data, size);
	dump = lock_dump_read(text, size, &err);
	free(text);
	if (!dump) {
		EXPECT(err.code == -EBADMSG || err.code == -EOPNOTSUPP);
		EXPECT(err.text[0] != '\0' && !strchr(err.text, '\n'));
		return 0;
	}
	check_round_trip(dump);
	show.dump = dump;
	for (size_t i = 0; i < dump->space_count; i++) {
		show.space = &dump->spaces[i];
		check_shown(&show);
	}
	lock_dump_free(dump);
	return 0;
}
