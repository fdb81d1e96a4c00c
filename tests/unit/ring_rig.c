/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/ring_rig.h"

#include <stdlib.h>

struct sim_world *ring_rig_cold(int count)
{
	struct sim_world *w = sim_new(1, count, getenv("RING_TRACE") ? stdout : NULL);

	w->config.token_ns = 1000ull * SIM_MS;
	w->faults.delay_min_ns = SIM_MS / 5;
	w->faults.delay_max_ns = 2 * SIM_MS / 5;
	w->faults.evidence_ppm = 1000000;
	return w;
}

static struct sim_world *started(struct sim_world *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, (1ull << w->count) - 1, 500);
	ring_rig_run(w, 200);
	return w;
}

struct sim_world *ring_rig_new(int count)
{
	return started(ring_rig_cold(count));
}

struct sim_world *ring_rig_wide(int count)
{
	struct sim_world *w = ring_rig_cold(count);

	w->config.window_bytes = 100 << 10;
	w->config.visit_bytes = 1 << 20;
	return started(w);
}

struct sim_world *ring_rig_three_of_four(void)
{
	struct sim_world *w = ring_rig_cold(4);
	int i;

	for (i = 0; i < 3; i++)
		sim_start(w, i);
	ring_rig_ms_to_ring(w, 7, 500);
	ring_rig_run(w, 200);
	return w;
}

void ring_rig_free(struct sim_world *w)
{
	assert_string_equal(w->failure, "");
	sim_free(w);
}

void ring_rig_run(struct sim_world *w, uint64_t ms)
{
	if (!sim_run(w, w->now + ms * SIM_MS))
		fail_msg("%s", w->failure);
}

static bool is_ring(const struct sim_world *w, uint64_t members)
{
	int i;

	for (i = 0; i < w->count; i++) {
		const struct ring *r = w->nodes[i].ring;

		if (!(members >> i & 1))
			continue;
		if (!r || ring_state(r) != RING_OPERATIONAL ||
		    ring_members(r).bits[0] != members)
			return false;
	}
	return true;
}

uint64_t ring_rig_ms_to_ring(struct sim_world *w, uint64_t members,
			     uint64_t limit_ms)
{
	uint64_t ms;

	for (ms = 0; !is_ring(w, members); ms++) {
		if (ms == limit_ms)
			fail_msg("no ring of %llx within %llu ms",
				 (unsigned long long)members,
				 (unsigned long long)limit_ms);
		ring_rig_run(w, 1);
	}
	return ms;
}

void ring_rig_load(struct sim_world *w, uint32_t messages, uint32_t bytes)
{
	int i;

	for (i = 0; i < w->count; i++)
		sim_send(w, i, messages, bytes, i % 2);
}

enum wire_type ring_rig_type(const uint8_t *bytes)
{
	return (enum wire_type)bytes[3];
}

uint64_t ring_rig_deliveries(const struct sim_world *w, int node)
{
	return checker_deliveries(w->checker, node);
}

const struct ring_stats *ring_rig_stats(const struct sim_world *w, int node)
{
	return ring_stats(w->nodes[node].ring);
}
