/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/printable.h"

#include <ctype.h>

char *text_printable(const void *bytes, size_t max, char *to, size_t size)
{
	const char *from = bytes;
	size_t i;

	for (i = 0; i < max && i + 1 < size && from[i]; i++)
		to[i] = iscntrl((unsigned char)from[i]) ? '?' : from[i];
	to[i] = '\0';
	return to;
}
