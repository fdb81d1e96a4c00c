/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays that go into use by themselves: those of the configuration with auto = yes, as soon
 * as there is a quorum; and, where incremental = all, those of this cluster's name whose
 * members udev tells of. A member that appears has its array tried at once; one that
 * vanishes has failed.
 *
 *	O1  Nothing starts without a quorum: what is told before is remembered.
 *	O2  What an operator stopped stays stopped (stopped.h), whatever appears: a stop closes
 *	    disks, which udev tells of as a change of these.
 *	O3  Who belongs to an array is for its assembly to judge, from the disks; what is told
 *	    here only says that it is worth a try. An array that is in no configuration
 *	    never starts degraded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct autostart;
struct config_array;
struct engine;
struct err;

/* A disk as its superblock has it, by who has read that. */
struct autostart_member {
	const char *const *paths; /* its names; the first is the one to open */
	size_t path_count;
	uint8_t uuid[16], device_uuid[16];
	const char *name, *cluster; /* the array's; "host:name" */
};

enum autostart_verdict {
	AUTOSTART_FOREIGN,    /* of no array here */
	AUTOSTART_LEFT_ALONE, /* stopped by an operator, or not for starting by itself */
	AUTOSTART_WAITS,      /* for a quorum */
	AUTOSTART_ASSEMBLES,  /* its array is tried; status says what it waits for */
	AUTOSTART_ACTIVE,     /* its array runs */
	AUTOSTART_RE_ADDS,    /* ... without it, for it had vanished: it is re-added (re_add.h) */
};
const char *autostart_verdict_name(enum autostart_verdict verdict);

struct autostart *autostart_new(struct engine *e, struct err *err);
void autostart_free(struct autostart *a); /* NULL is fine */

/* There is a quorum, and maybe a new configuration. */
void autostart_all(struct autostart *a);
/*
 * `array` (CONFIG_NAME_BYTES) gets its name, "" where FOREIGN. -ENOMEM; -EEXIST: another
 * array has its name, -E2BIG: too many are told of.
 */
int autostart_seen(struct autostart *a, const struct autostart_member *m, char *array,
		   enum autostart_verdict *verdict, struct err *err);
/* Returns how many arrays had it in use, and fail it. */
int autostart_gone(struct autostart *a, const char *const *paths, size_t count,
		   struct err *err);

/* Of those that are in no configuration, by name; NULL. */
const struct config_array *autostart_array(const struct autostart *a, const char *name);
/* The disks told of by now, where `c` is one of those that are in no configuration. */
void autostart_refresh(const struct autostart *a, struct config_array *c);
