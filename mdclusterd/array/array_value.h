/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock value of bitmapNNNN: bytes and fields, as array.h has them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARRAY_VALUE_BYTES = 32 };

struct array_value {
	uint64_t low, high;   /* 0, 0: no window */
	bool owes;            /* chunks in it are needed */
	bool is_owner;        /* of who owns the slot, and has loaded it */
	uint32_t takers, generation;
};

/* False: it is none of ours, or says what cannot be; *v is all 0 then. */
bool array_value_decode(const uint8_t *bytes, size_t length, struct array_value *v);
void array_value_encode(const struct array_value *v, uint8_t bytes[ARRAY_VALUE_BYTES]);
