/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Members that vanished from this host and appear again are re-added, where the configuration
 * wants that (auto_re_add): comeback.h says which and when, array_change() does it, as if a
 * person had asked. Every node that lost a disk tries; TOKEN lets one come first, and the others
 * find it in use.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct err;
struct metadata_disk;
struct re_add;
struct unit;

struct re_add *re_add_new(struct engine *e, struct err *err);
/* Behind the units. NULL is fine. */
void re_add_free(struct re_add *r);

/* A disk of `u` has vanished from this host. */
void re_add_gone(struct re_add *r, const struct unit *u, const struct metadata_disk *disk);
/* One of `u`, which is active, is there. True: it is re-added, soon. */
bool re_add_came(struct re_add *r, const struct unit *u, const uint8_t device_uuid[16],
		 const char *path);
