/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other people's programs, found in PATH. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct err;

/*
 * Runs argv[0] to its end. What it prints goes to `output` (a terminated string, cut at
 * `size`, without the last newline; NULL: nowhere). 0; -ENOENT, with the Debian package to
 * install, if it is not there; -EIO with what it complained of if it failed.
 */
int run_program(const char *const argv[], const char *package, char *output, size_t size,
		struct err *err);

/* 0 if it is in PATH, else -ENOENT as above; package: NULL: not one that we know. */
int run_find(const char *program, const char *package, struct err *err);

/* Starts argv[0] in a session of its own; what it complains of goes to the file `log`. */
int run_background(const char *const argv[], const char *log, pid_t *pid, struct err *err);
