/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A unit's disks under persistent reservations (fence/pr.h), where a device of the
 * configuration fences by them: registered when no kernel runs the array, and before it starts
 * (R1), looked at every second while it runs (R4), left when it is stopped (R2); and so are
 * those that come later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct metadata_view;
struct unit;
struct unit_reserve;

/* Does the configuration want them? */
bool unit_reserve_is_wanted(const struct unit *u);

/* Of those of the paths that are there; nothing is done yet. NULL with a sentence. */
struct unit_reserve *unit_reserve_new(struct unit *u, char *const *paths, size_t count,
				      struct err *err);
/*
 * Registers. done(): once, in the loop, unless freed; all of the unit may be freed in it. What
 * failed may be begun again.
 */
int unit_reserve_begin(struct unit_reserve *r,
		       void (*done)(struct unit *u, const struct err *result), struct err *err);
/* is_last: no other node has the array. done() as above. False: there is nothing to wait for. */
bool unit_reserve_leave(struct unit_reserve *r, bool is_last,
			void (*done)(struct unit *u, const struct err *result));
void unit_reserve_free(struct unit_reserve *r); /* NULL is fine */

struct registrar;
/* For disks that come later, and go (daemon/registered.h); r outlives who uses it. */
struct registrar unit_reserve_registrar(struct unit_reserve *r);
/* No node has the disk in its array any more: no key of the array stays on it. */
void unit_reserve_clear(struct unit_reserve *r, const char *path); /* NULL is fine */

/* What the array has given up may be written by anybody: nobody reads it. */
bool unit_reserve_is_given_up(const struct metadata_view *v, const char *path);
/* A disk that is in use, and that it is not registered on; NULL: none. */
const char *unit_reserve_lacks(const struct unit_reserve *r, const struct metadata_view *v);

uint64_t unit_reserve_key(const struct unit_reserve *r); /* 0: not registered */
/* The disks that it is registered on. */
char *const *unit_reserve_paths(const struct unit_reserve *r, size_t *count);
