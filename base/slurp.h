/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files of the kernel (sysfs, procfs, debugfs), read whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * All of the file, NUL terminated; free() it. NULL with errno: it cannot be read, or has more
 * than `most` bytes (EFBIG).
 */
char *slurp(const char *path, size_t most, size_t *length);

/*
 * The first line of ROOT/the rest, without its end, cut to fit `size` (from 1). False, and
 * "": it cannot be read.
 */
bool slurp_line(char *to, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
