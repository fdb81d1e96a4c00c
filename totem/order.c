/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our ring, and corosync's groups, as struct order_ops. */
#include "totem/order.h"

/* --- the ring ----------------------------------------------------------------------- */

static void on_ring_start(void *ring, uint64_t now)
{
	ring_start(ring, now);
}

static void on_ring_advance(void *ring, uint64_t now)
{
	ring_advance(ring, now);
}

static void on_ring_evidence(void *ring, uint64_t now, uint32_t node)
{
	ring_evidence(ring, now, node);
}

static void on_ring_evict(void *ring, uint64_t now, uint32_t node)
{
	ring_evict(ring, now, node);
}

static void on_ring_again(void *ring, uint64_t now)
{
	ring_again(ring, now);
}

static void on_ring_wake(void *ring, uint64_t now)
{
	ring_wake(ring, now);
}

static void on_ring_synchronised(void *ring, uint64_t now)
{
	ring_synchronised(ring, now);
}

static void on_ring_seq_saved(void *ring, uint64_t now, uint64_t seq)
{
	ring_seq_saved(ring, now, seq);
}

static void on_ring_leave(void *ring, uint64_t now)
{
	ring_leave(ring, now);
}

static uint64_t on_ring_deadline(const void *ring)
{
	return ring_deadline(ring);
}

static struct order_look on_ring_look(const void *ring)
{
	return (struct order_look){
		.is_installed = ring_state(ring) == RING_OPERATIONAL,
		.current = ring_current(ring),
		.members = ring_members(ring),
		.sure_at = ring_timing(ring).previous_at,
		.is_sure_alone = set_count(ring_members(ring)) == 1,
	};
}

static void on_ring_free(void *ring)
{
	ring_free(ring);
}

const struct order_ops order_on_ring = {
	.start = on_ring_start, .advance = on_ring_advance, .evidence = on_ring_evidence,
	.evict = on_ring_evict, .again = on_ring_again, .wake = on_ring_wake,
	.synchronised = on_ring_synchronised, .seq_saved = on_ring_seq_saved,
	.leave = on_ring_leave, .deadline = on_ring_deadline, .look = on_ring_look,
	.free = on_ring_free,
};

/* --- a group of corosync's ------------------------------------------------------------ */

/* Joining is the owner's. */
static void on_cpg_start(void *cpg, uint64_t now)
{
	cpg_order_advance(cpg, now);
}

static void on_cpg_advance(void *cpg, uint64_t now)
{
	cpg_order_advance(cpg, now);
}

/* Corosync knows best. */
static void on_cpg_evidence(void *cpg, uint64_t now, uint32_t node)
{
	(void)cpg;
	(void)now;
	(void)node;
}

static void on_cpg_evict(void *cpg, uint64_t now, uint32_t node)
{
	cpg_order_evict(cpg, now, node);
}

static void on_cpg_again(void *cpg, uint64_t now)
{
	cpg_order_again(cpg, now);
}

static void on_cpg_wake(void *cpg, uint64_t now)
{
	cpg_order_wake(cpg, now);
}

static void on_cpg_synchronised(void *cpg, uint64_t now)
{
	cpg_order_synchronised(cpg, now);
}

static void on_cpg_seq_saved(void *cpg, uint64_t now, uint64_t seq)
{
	cpg_order_seq_saved(cpg, now, seq);
}

static void on_cpg_leave(void *cpg, uint64_t now)
{
	(void)now;
	cpg_order_leave(cpg);
}

static uint64_t on_cpg_deadline(const void *cpg)
{
	return cpg_order_deadline(cpg);
}

static struct order_look on_cpg_look(const void *cpg)
{
	return (struct order_look){
		.is_installed = cpg_order_is_installed(cpg),
		.current = cpg_order_current(cpg),
		.members = cpg_order_members(cpg),
		.sure_at = cpg_order_sure_at(cpg),
	};
}

static void on_cpg_free(void *cpg)
{
	cpg_order_free(cpg);
}

const struct order_ops order_on_cpg = {
	.start = on_cpg_start, .advance = on_cpg_advance, .evidence = on_cpg_evidence,
	.evict = on_cpg_evict, .again = on_cpg_again, .wake = on_cpg_wake,
	.synchronised = on_cpg_synchronised, .seq_saved = on_cpg_seq_saved,
	.leave = on_cpg_leave, .deadline = on_cpg_deadline, .look = on_cpg_look,
	.free = on_cpg_free,
};
