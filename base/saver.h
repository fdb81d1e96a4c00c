/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small file that is kept up to date by a thread of its own, so that a slow disk
 * delays nobody. What is at the path is whole at every instant: tmp + fsync + rename.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;
struct saver;

/* In the loop's thread. */
struct saver_ops {
	void (*saved)(void *owner, uint64_t version);
	/* What was there before is there still. Nothing is tried again by itself. */
	void (*failed)(void *owner, uint64_t version, int code);
};

/* The path is copied. NULL with a sentence. */
struct saver *saver_open(const char *path, struct loop *loop, const struct saver_ops *ops,
			 void *owner, struct err *err);
/* Waits for the thread, and what was asked for is done; nobody is told. NULL is fine. */
void saver_close(struct saver *s);

/*
 * These bytes are to be the file; NULL: no file is to be there. A newer wish replaces one
 * that was not begun. Copied; -ENOMEM.
 */
int saver_put(struct saver *s, const void *bytes, size_t length, uint64_t version);

/* The same, waited for. 0 or -errno. */
int file_replace(const char *path, const void *bytes, size_t length);
