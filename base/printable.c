/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/printable.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *text_printable(const void *bytes, size_t max, char *to, size_t size)
{
	const char *from = bytes;
	size_t i;

	for (i = 0; i < max && i + 1 < size && from[i]; i++)
		to[i] = iscntrl((unsigned char)from[i]) ? '?' : from[i];
	to[i] = '\0';
	return to;
}

/* Whatever the locale says. */
static bool stands_for_itself(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

char *text_escape(const void *bytes, size_t n, char *to, size_t size)
{
	const unsigned char *from = bytes;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		size_t length = stands_for_itself(from[i]) ? 1 : 4;

		if (length >= size - at)
			break;
		if (length == 1)
			to[at] = (char)from[i];
		else
			snprintf(to + at, size - at, "\\x%02x", from[i]);
		at += length;
	}
	to[at] = '\0';
	return to;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int text_unescape(const char *text, void *to, size_t room)
{
	unsigned char *bytes = to;
	size_t n = 0;

	for (const char *p = text; *p; n++) {
		unsigned char c = (unsigned char)*p++;

		if (c == '\\') {
			int high = *p == 'x' ? hex_digit(p[1]) : -1;
			int low = high >= 0 ? hex_digit(p[2]) : -1;

			if (low < 0)
				return -EBADMSG;
			c = (unsigned char)(high << 4 | low);
			p += 3;
			if (stands_for_itself(c))
				return -EBADMSG;
		} else if (!stands_for_itself(c)) {
			return -EBADMSG;
		}
		if (n == room)
			return -EMSGSIZE;
		bytes[n] = c;
	}
	return (int)n;
}
