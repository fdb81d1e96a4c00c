/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"

/* strtoull without its habit of accepting blanks and a minus sign. */
static int parse_digits(const char *text, char **end, uint64_t *value)
{
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, end, 10);
	return errno ? -ERANGE : 0;
}

int text_parse_u64(const char *text, const char *what, uint64_t min,
		   uint64_t max, uint64_t *value, struct err *err)
{
	char *end;
	uint64_t v;
	int r = parse_digits(text, &end, &v);

	if (r == -EINVAL || (r == 0 && *end != '\0'))
		return err_set(err, -EINVAL, "%s: '%s' is not a number", what,
			       text);
	if (r < 0 || v < min || v > max)
		return err_set(err, -ERANGE,
			       "%s: %s is outside %" PRIu64 "..%" PRIu64, what,
			       text, min, max);
	*value = v;
	return 0;
}

int text_parse_sectors(const char *text, const char *what, uint64_t *sectors,
		       struct err *err)
{
	static const struct {
		char suffix;
		uint64_t sectors;
	} units[] = {
		{ 's', 1 },          { 'K', 2 },          { 'M', 2ull << 10 },
		{ 'G', 2ull << 20 }, { 'T', 2ull << 30 },
	};
	uint64_t v, unit = 2;
	char *end;
	size_t i;
	int r = parse_digits(text, &end, &v);

	if (r == 0 && *end != '\0') {
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (units[i].suffix == *end)
				break;
		if (i == ARRAY_SIZE(units) || end[1] != '\0')
			r = -EINVAL;
		else
			unit = units[i].sectors;
	}
	if (r == -EINVAL)
		return err_set(err, -EINVAL,
			       "%s: '%s' is not a size (a number, then K, M, G, T, or s for sectors)",
			       what, text);
	if (r < 0 || v > UINT64_MAX / 512 / unit)
		return err_set(err, -ERANGE, "%s: %s is too large", what, text);
	*sectors = v * unit;
	return 0;
}

int text_parse_uuid(const char *text, const char *what, uint8_t uuid[16],
		    struct err *err)
{
	unsigned int digits = 0;
	const char *p;

	memset(uuid, 0, 16);
	for (p = text; *p && digits <= 32; p++) {
		unsigned int c = (unsigned char)*p;
		unsigned int nibble;

		if (c == ':' || c == '-')
			continue;
		if (!isxdigit((int)c))
			break;
		if (digits == 32)
			break;
		nibble = isdigit((int)c) ? c - '0' :
					   (unsigned int)tolower((int)c) - 'a' + 10;
		uuid[digits / 2] |= (uint8_t)(digits % 2 ? nibble : nibble << 4);
		digits++;
	}
	if (*p || digits != 32)
		return err_set(err, -EINVAL,
			       "%s: '%s' is not a uuid (32 hex digits, as xxxxxxxx:xxxxxxxx:xxxxxxxx:xxxxxxxx)",
			       what, text);
	return 0;
}

char *text_uuid(const uint8_t uuid[16], char to[TEXT_UUID_BYTES])
{
	char *p = to;
	int i;

	for (i = 0; i < 16; i++) {
		if (i && i % 4 == 0)
			*p++ = ':';
		p += sprintf(p, "%02x", uuid[i]);
	}
	return to;
}

char *text_size(uint64_t bytes, char to[TEXT_SIZE_BYTES])
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(to, TEXT_SIZE_BYTES, "%" PRIu64 " B", bytes);
	else
		snprintf(to, TEXT_SIZE_BYTES, "%.2f %s", v, units[u]);
	return to;
}
