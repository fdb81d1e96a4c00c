/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where an array's flight recorder (record/recorder.h) writes: run_dir/record/NAME, anew with
 * each start of the array; that of the start before is NAME.1. The run directory is
 * memory: what is written there waits for no disk, and outlives a crash of the engine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct flight;

enum { FLIGHT_MAX_BYTES = 32 << 20 };

/* NULL, with a word in the log: nothing is recorded. */
struct flight *flight_open(const char *run_dir, const char *array);
void flight_close(struct flight *f); /* NULL is fine */

/* For struct recorder_config, whose owner it is; NULL is fine: -EBADF. */
int flight_write(void *flight, const void *bytes, size_t length);
