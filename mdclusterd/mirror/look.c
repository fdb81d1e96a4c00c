/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers: what is in flight, what waits, and how slow writes are. The latencies of the
 * last seconds are counted in buckets of an eighth of a doubling, in two turns of two
 * seconds each: an estimate within 9 %, with no sample kept.
 */
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/mirror/mirror_private.h"

static const uint64_t turn_ns = 2 * NS_PER_S;

enum { STEPS = 8 }; /* a doubling */

/* ns in 1/8 doublings: the bits below the highest one tell the eighth. */
static uint32_t bucket_of(uint64_t ns)
{
	uint32_t top, eighth;

	if (ns < STEPS)
		return (uint32_t)ns;
	top = 63 - (uint32_t)__builtin_clzll(ns);
	eighth = (uint32_t)(ns >> (top - 3)) & 7;
	return (uint32_t)min_u64((top - 2) * STEPS + eighth, LATENCY_BUCKETS - 1);
}

/* The upper end of a bucket. */
static uint64_t bucket_ns(uint32_t bucket)
{
	uint32_t top = bucket / STEPS + 2, eighth = bucket % STEPS;

	if (bucket < STEPS)
		return bucket;
	return ((uint64_t)(STEPS + eighth + 1) << (top - 3)) - 1;
}

static void turn(struct latency *l, uint64_t now)
{
	if (now - l->since_ns < turn_ns)
		return;
	l->now ^= 1;
	memset(l->counts[l->now], 0, sizeof(l->counts[0]));
	if (now - l->since_ns >= 2 * turn_ns)
		memset(l->counts[l->now ^ 1], 0, sizeof(l->counts[0]));
	l->since_ns = now;
}

void latency_add(struct latency *l, uint64_t now, uint64_t ns)
{
	turn(l, now);
	l->counts[l->now][bucket_of(ns)]++;
}

uint64_t latency_p99_ns(const struct latency *l, uint64_t now)
{
	uint64_t age = now - l->since_ns, total = 0, above = 0;
	bool has_now = age < 2 * turn_ns, has_last = age < turn_ns;
	uint32_t i;

	for (i = 0; i < LATENCY_BUCKETS; i++)
		total += (has_now ? l->counts[l->now][i] : 0) +
			 (has_last ? l->counts[l->now ^ 1][i] : 0);
	if (total == 0)
		return 0;
	for (i = LATENCY_BUCKETS; i-- > 0;) {
		above += (has_now ? l->counts[l->now][i] : 0) +
			 (has_last ? l->counts[l->now ^ 1][i] : 0);
		if (above * 100 > total)
			return bucket_ns(i);
	}
	return 0;
}

static uint32_t length(const struct qb_list_head *list)
{
	return (uint32_t)qb_list_length((struct qb_list_head *)list);
}

static void look_at_disk(const struct mirror *m, uint32_t role,
			 struct mirror_disk_look *look)
{
	const struct mirror_disk *d = &m->disks[role];

	look->state = d->state;
	look->is_failing = m->unknown >> role & 1;
	look->reads = d->reads;
	look->writes = d->writes;
	look->read_bytes = d->read_bytes;
	look->written_bytes = d->written_bytes;
	look->errors = d->errors;
	look->read_errors = d->read_errors;
	look->corrected_sectors = d->corrected_sectors;
	look->recent_errors = d->recent_errors;
	look->in_flight = d->busy + d->lost;
	if (!qb_list_empty(&d->in_flight))
		look->oldest_ns = m->now_ns - qb_list_first_entry(&d->in_flight,
								  struct transfer, link)
						      ->since_ns;
}

void mirror_look(const struct mirror *m, struct mirror_look *look)
{
	uint64_t now = m->ops.now(m->owner);
	uint32_t role;

	*look = (struct mirror_look){
		.failed = (uint32_t)m->ios_failed,
		.in_flight = m->reports,
		.is_drained = gate_is_drained(m),
		.parked_gate = length(&m->parked_gate),
		.parked_suspended = length(&m->parked_suspended),
		.held_by_failure = length(&m->held),
		.write_p99_ns = latency_p99_ns(&m->latency, now),
		.resync_bytes = m->resync_bytes,
		.sync_sectors = sync_untold_sectors(m),
		.is_gate_open = m->is_open && (m->lease_until_ns == UINT64_MAX ||
					       now < m->lease_until_ns),
		.is_single_source = m->is_single_source,
		.is_busy = sync_is_busy(m, now),
	};
	if (!qb_list_empty(&m->parked_gate))
		look->parked_since_ns = now - m->parked_since_ns;
	memcpy(look->ios, m->ios_done, sizeof(look->ios));
	memcpy(look->bytes, m->bytes_done, sizeof(look->bytes));
	for (role = 0; role < m->map.disks; role++)
		look_at_disk(m, role, &look->disks[role]);
}

void mirror_set_single_source(struct mirror *m, bool is_on)
{
	m->is_single_source = is_on;
}
