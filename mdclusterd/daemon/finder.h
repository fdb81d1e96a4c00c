/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks for an array's members among paths, by its uuid, in a thread of its own: a disk
 * that hangs keeps nobody waiting but who looks for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct finder;
struct loop;

/*
 * patterns: as of glob(7). done() is called once on the loop, with allocated paths which are
 * its own (finder_free_paths()); 0 where nothing was found. finder_free() may be called from it.
 */
struct finder *finder_start(struct loop *loop, char *const *patterns, size_t count,
			    const uint8_t uuid[16],
			    void (*done)(void *owner, char **paths, size_t count),
			    void *owner, struct err *err);
/* done() is not called any more; a thread that still looks ends by itself. NULL is fine. */
void finder_free(struct finder *f);
/* Reads the disk: it may hang. */
bool finder_is_member(const char *path, const uint8_t uuid[16]);
void finder_free_paths(char **paths, size_t count);
