/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Time. Protocols never call these: `now` comes to them in events. Edges
 * (tools, the daemon's loop, benchmarks) read the clock here and pass it on.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/*
 * Nanoseconds since boot, counting time asleep (CLOCK_BOOTTIME): a lease must
 * not outlive a suspend. Monotonic, comparable within one boot of one host.
 */
uint64_t clock_boot_ns(void);

/* So long from now, of CLOCK_MONOTONIC: for pthread_cond_timedwait() on that clock. */
struct timespec clock_deadline(uint32_t timeout_ms);

/* Microseconds since the epoch: for timestamps that people and disks see. */
uint64_t clock_wall_us(void);

static inline uint64_t clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}
