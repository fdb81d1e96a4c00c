/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host's kernel, as the commands look at it. */
#pragma once

#include <stdint.h>

struct err;

/*
 * What stands before /sys, /proc and /dev where the kernel is looked at: "", but for tests,
 * which give a recording of another host (MDCLUSTER_TEST_ROOT).
 */
const char *host_root(void);

/* kernel_arrays_refuse() on this host: one owner (rule 8). For who is about to write. */
int host_refuse(const uint8_t uuid[16], const char *path, struct err *err);
