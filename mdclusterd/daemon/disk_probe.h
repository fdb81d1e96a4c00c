/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does a disk answer? Asked before it is opened by who must not hang on it: metadata are written
 * with TOKEN, so all nodes would wait for a disk that is only being added.
 */
#pragma once

#include <stdint.h>

struct err;

/*
 * -ETIMEDOUT, with a sentence: `ask` did not return within that time, or one that asked earlier has
 * not yet. 0: it answers, be it with an error, which whoever opens it meets.
 * What hangs is left behind in a thread of its own, one for each path.
 */
int disk_probe(const char *path, void (*ask)(const char *path), uint32_t timeout_ms,
	       struct err *err);
/* `ask` of a disk: opens and reads it. */
void disk_probe_read(const char *path);
