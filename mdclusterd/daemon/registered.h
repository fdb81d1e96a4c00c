/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An array's metadata where its disks are under persistent reservations: a disk that comes is
 * registered on before the array hears of it, so before anything is written to it as a member
 * (fence/pr.h, R1). A new one is when it is prepared: then the reservation stands, and whoever
 * is not registered cannot write. One that others have brought is with the first view that has
 * it; where that fails it is told all the same, for the disk refuses us, and fails.
 */
#pragma once

#include <stdbool.h>

struct err;
struct metadata_runner;
struct registered;

struct registrar {
	void *owner;
	bool (*has)(void *owner, const char *path);
	/* done(): once, not from within; `path` is copied. */
	int (*add)(void *owner, const char *path,
		   void (*done)(void *arg, const struct err *result), void *arg, struct err *err);
	void (*drop)(void *owner, const char *path); /* it is open here no more */
};

/* All is borrowed. NULL: no memory. */
struct registered *registered_new(struct metadata_runner *below, const struct registrar *to);
struct metadata_runner *registered_runner(struct registered *g);
/* Behind `below` and the registrar, which call nothing any more. NULL is fine. */
void registered_free(struct registered *g);
