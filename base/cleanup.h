/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound ownership, for tools and parsers: a variable marked CLEANUP_x
 * is released when it leaves its scope, whichever way.
 *
 *	CLEANUP_FREE char *name = strdup(arg);
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *slot)
{
	free(*(void **)slot);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define CLEANUP(fn)  __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD   CLEANUP(cleanup_fd)
