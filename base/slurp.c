/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that tell no size and are made as they are read. What a file of debugfs says is
 * one look only where it is read by one open, to its end.
 */
#include "base/slurp.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(FILE *file, size_t most, size_t *length)
{
	size_t room = 4096, at = 0, n;
	char *text = malloc(room + 1), *more;

	while (text && (n = fread(text + at, 1, room - at, file)) > 0) {
		at += n;
		if (at < room)
			continue;
		more = room < most ? realloc(text, 2 * room + 1) : NULL;
		if (!more) {
			free(text);
			errno = room < most ? ENOMEM : EFBIG;
			return NULL;
		}
		text = more;
		room *= 2;
	}
	if (text && ferror(file)) {
		free(text);
		return NULL;
	}
	if (text)
		text[at] = '\0';
	*length = at;
	return text;
}

char *slurp(const char *path, size_t most, size_t *length)
{
	FILE *file = fopen(path, "re");
	char *text = file ? read_all(file, most, length) : NULL;
	int error = errno;

	if (file)
		(void)fclose(file);
	errno = error;
	return text;
}

bool slurp_line(char *to, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *file;
	bool is_read;
	int n;

	to[0] = '\0';
	va_start(args, fmt);
	n = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	file = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	is_read = fgets(to, (int)size, file) != NULL;
	(void)fclose(file);
	if (!is_read)
		to[0] = '\0';
	to[strcspn(to, "\n")] = '\0';
	return is_read;
}
