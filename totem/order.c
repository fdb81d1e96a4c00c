/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/order.h"

void order_start(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_start(o->ring, now);
	else
		cpg_order_advance(o->cpg, now); /* joining is the owner's */
}

void order_advance(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_advance(o->ring, now);
	else
		cpg_order_advance(o->cpg, now);
}

/* Corosync knows best. */
void order_evidence(const struct order *o, uint64_t now, uint32_t node)
{
	if (o->ring)
		ring_evidence(o->ring, now, node);
}

void order_evict(const struct order *o, uint64_t now, uint32_t node)
{
	if (o->ring)
		ring_evict(o->ring, now, node);
	else
		cpg_order_evict(o->cpg, now, node);
}

void order_again(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_again(o->ring, now);
	else
		cpg_order_again(o->cpg, now);
}

void order_wake(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_wake(o->ring, now);
	else
		cpg_order_wake(o->cpg, now);
}

void order_synchronised(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_synchronised(o->ring, now);
	else
		cpg_order_synchronised(o->cpg, now);
}

void order_seq_saved(const struct order *o, uint64_t now, uint64_t seq)
{
	if (o->ring)
		ring_seq_saved(o->ring, now, seq);
	else
		cpg_order_seq_saved(o->cpg, now, seq);
}

void order_leave(const struct order *o, uint64_t now)
{
	if (o->ring)
		ring_leave(o->ring, now);
	else
		cpg_order_leave(o->cpg);
}

uint64_t order_deadline(const struct order *o)
{
	return o->ring ? ring_deadline(o->ring) : cpg_order_deadline(o->cpg);
}

struct order_look order_look(const struct order *o)
{
	if (o->cpg)
		return (struct order_look){
			.is_installed = cpg_order_is_installed(o->cpg),
			.current = cpg_order_current(o->cpg),
			.members = cpg_order_members(o->cpg),
			.sure_at = cpg_order_sure_at(o->cpg),
		};
	return (struct order_look){
		.is_installed = ring_state(o->ring) == RING_OPERATIONAL,
		.current = ring_current(o->ring),
		.members = ring_members(o->ring),
		.sure_at = ring_timing(o->ring).previous_at,
		.is_sure_alone = set_count(ring_members(o->ring)) == 1,
	};
}

void order_free(struct order *o)
{
	ring_free(o->ring);
	cpg_order_free(o->cpg);
}
