/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of the third format (fs/dlm/debug_fs.c):
 *
 *	rsb ADDRESS nodeid first_lkid flags root recover count length str NAME (or hex XX XX..)
 *	lvb seq length XX XX ...
 *	lkb lkid nodeid remid pid xid exflags flags status grmode rqmode ...
 *
 * lkids and remids in hex; modes and status as in dlm_dump.c.
 */
#include "lockres/dlm_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/printable.h"

enum { STATUS_WAITING = 1, STATUS_GRANTED, STATUS_CONVERTING };
enum { LINE_ROOM = 1024 };

/* --- words ---------------------------------------------------------------------------------- */

static bool is_kind(const char *line, const char *kind)
{
	return strncmp(line, kind, 3) == 0 && line[3] == ' ';
}

/* The words behind the first; how many there were. */
static size_t split(char *line, char **words, size_t most)
{
	size_t count = 0;
	char *word;

	while (count < most && (word = strsep(&line, " ")) != NULL)
		if (*word)
			words[count++] = word;
	return count;
}

static uint32_t number(const char *word, int base)
{
	return (uint32_t)strtoul(word, NULL, base);
}

static enum lock_mode mode(const char *word)
{
	long n = strtol(word, NULL, 10);

	return n >= LOCK_NL && n < LOCK_MODES ? (enum lock_mode)n : LOCK_NONE;
}

/* --- lines ---------------------------------------------------------------------------------- */

static bool take_resource(char *line, struct dlm_view *to)
{
	char *words[10], *name;
	size_t length;

	/* the name may have blanks: it is all that is behind "str " */
	name = strstr(line, " str ");
	if (name) {
		*name = '\0';
		name += 5;
	}
	if (split(line, words, ARRAY_SIZE(words)) < 9)
		return false;
	memset(to, 0, sizeof(*to));
	to->master = number(words[2], 10);
	length = min_u64(number(words[8], 10), LOCK_MAX_NAME);
	if (!name)
		name = (char *)(uintptr_t)"?"; /* in hex: nobody's whom we look for */
	(void)text_printable(name, length, to->name, sizeof(to->name));
	return true;
}

static void take_value(char *line, struct dlm_view *to)
{
	char *words[3 + LOCK_MAX_LVB];
	size_t count = split(line, words, ARRAY_SIZE(words));

	if (count < 4)
		return;
	to->has_value = true;
	to->value_seq = number(words[1], 10);
	to->value_length = count - 3;
	for (size_t i = 3; i < count; i++)
		to->value[i - 3] = (uint8_t)number(words[i], 16);
}

static void take_lock(char *line, struct dlm_view *to)
{
	struct dlm_view_lock *lock;
	char *words[11];
	uint32_t status;

	if (split(line, words, ARRAY_SIZE(words)) < ARRAY_SIZE(words))
		return;
	if (to->lock_count++ >= DLM_VIEW_LOCKS)
		return;
	lock = &to->locks[to->lock_count - 1];
	status = number(words[8], 10);
	/* of a copy here, the node that a lock names is its master's */
	lock->node = to->master ? 0 : number(words[2], 10);
	lock->granted = status == STATUS_WAITING ? LOCK_NONE : mode(words[9]);
	lock->wanted = status == STATUS_GRANTED ? LOCK_NONE : mode(words[10]);
}

/* A line that is longer than any is cut. False: the text is over. */
static bool next_line(const char **at, const char *end, char line[LINE_ROOM])
{
	const char *newline;
	size_t length;

	if (*at >= end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	length = (size_t)((newline ? newline : end) - *at);
	snprintf(line, LINE_ROOM, "%.*s", (int)min_u64(length, LINE_ROOM - 1), *at);
	*at = newline ? newline + 1 : end;
	return true;
}

bool dlm_view_next(const char **at, const char *end, struct dlm_view *to)
{
	char line[LINE_ROOM];
	bool is_found = false;
	const char *before;

	for (;;) {
		before = *at;
		if (!next_line(at, end, line))
			break;
		if (is_kind(line, "rsb") && is_found) {
			*at = before;
			break;
		}
		if (is_kind(line, "rsb"))
			is_found = take_resource(line, to);
		else if (is_found && is_kind(line, "lvb"))
			take_value(line, to);
		else if (is_found && is_kind(line, "lkb"))
			take_lock(line, to);
	}
	return is_found;
}
