/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers and identifiers as people write them: sizes in mdadm's notation,
 * md array uuids, plain integers with a range. Each parser names the option in
 * its error and refuses trailing rubbish.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

/*
 * mdadm's size notation: a number, then K (the default), M, G, T, or s for
 * sectors; gives 512-byte sectors. `what` names the option in errors.
 */
int text_parse_sectors(const char *text, const char *what, uint64_t *sectors,
		       struct err *err);

int text_parse_u64(const char *text, const char *what, uint64_t min,
		   uint64_t max, uint64_t *value, struct err *err);

/*
 * 16 raw bytes; accepts mdadm's four groups of eight hex digits with colons,
 * the dashed RFC 4122 form, or 32 digits without separators.
 */
int text_parse_uuid(const char *text, const char *what, uint8_t uuid[16],
		    struct err *err);

enum { TEXT_UUID_BYTES = 37, TEXT_SIZE_BYTES = 32 };

/* mdadm's form, "5c0b0c4b:d6ae0359:f266cacf:72232250". Returns `to`. */
char *text_uuid(const uint8_t uuid[16], char to[TEXT_UUID_BYTES]);

/* "63.00 MiB", "512 B": binary units, two decimals. Returns `to`. */
char *text_size(uint64_t bytes, char to[TEXT_SIZE_BYTES]);
