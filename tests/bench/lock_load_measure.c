/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lock_load counts, and tells the script. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/bench/lock_load.h"

void load_tell(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
	fflush(stdout);
}

void load_sample(struct load *load, uint64_t asked_at)
{
	load->events++;
	if (load->is_measuring && load->latency_count < LOAD_MAX_LATENCIES)
		load->latencies[load->latency_count++] =
			(uint32_t)(clock_boot_ns() - asked_at);
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct load_counts count(const struct load *load)
{
	const struct ring *ring = totem_ring(station_totem(load->station));
	const struct lock_manager_stats *s = lock_manager_stats(load->locks);

	return (struct load_counts){
		.at = clock_boot_ns(),
		.cpu_us = cpu_us(),
		.tokens = ring_stats(ring)->orf_token_rx,
		.applied = s->applied,
		.sent = s->sent,
		.batches = s->batches,
		.events = load->events,
	};
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void tell_latencies(struct load *load)
{
	size_t n = load->latency_count;

	if (n == 0)
		return;
	qsort(load->latencies, n, sizeof(*load->latencies), by_size);
	load_tell("p50", load->latencies[n / 2] / 1e3);
	load_tell("p99", load->latencies[n * 99 / 100] / 1e3);
}

void load_tell_memory(const struct load *load)
{
	struct lockspace_look look;
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	load_tell("rss_kib", (double)u.ru_maxrss);
	if (!lock_manager_look(load->locks, 0, &look))
		return;
	load_tell("resources", (double)lock_table_resources(look.table));
	load_tell("table_bytes", (double)lock_table_bytes(look.table));
}

void load_measure_begin(struct load *load)
{
	load->is_measuring = true;
	load->began = count(load);
}

void load_measure_end(struct load *load)
{
	const struct load_counts c = count(load), *b = &load->began;

	load->is_measuring = false;
	load->is_measured = true;
	load_tell("seconds", (double)(c.at - b->at) / NS_PER_S);
	load_tell("operations", (double)(c.events - b->events));
	load_tell("rotations", (double)(c.tokens - b->tokens));
	load_tell("applied", (double)(c.applied - b->applied));
	load_tell("sent", (double)(c.sent - b->sent));
	load_tell("batches", (double)(c.batches - b->batches));
	load_tell("cpu_us", (double)(c.cpu_us - b->cpu_us));
	tell_latencies(load);
	load_tell_memory(load);
}
