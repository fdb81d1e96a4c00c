/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A unit's disks under persistent reservations (fence/pr.h), where a device of the
 * configuration fences by them: registered before the array starts (R1), looked at every
 * second while it runs (R4), left when it is stopped (R2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct unit;
struct unit_reserve;

/* Does the configuration want them? */
bool unit_reserve_is_wanted(const struct unit *u);

/*
 * Registers on those of the paths that are there. done(): once, in the loop, unless freed; all
 * of the unit may be freed in it. NULL with a sentence.
 */
struct unit_reserve *unit_reserve_new(struct unit *u, char *const *paths, size_t count,
				      void (*done)(struct unit *u, const struct err *result),
				      struct err *err);
/* is_last: no other node has the array. done() as above. False: there is nothing to wait for. */
bool unit_reserve_leave(struct unit_reserve *r, bool is_last,
			void (*done)(struct unit *u, const struct err *result));
void unit_reserve_free(struct unit_reserve *r); /* NULL is fine */

uint64_t unit_reserve_key(const struct unit_reserve *r); /* 0: not registered */
/* The disks that it is registered on. */
char *const *unit_reserve_paths(const struct unit_reserve *r, size_t *count);
