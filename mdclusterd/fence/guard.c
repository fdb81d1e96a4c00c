/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/guard.h"

#include "base/arith.h"
#include "base/clock.h"

uint64_t guard_until(struct guard *g, uint64_t now, uint64_t lease_until, bool is_drained)
{
	if (is_drained || now < lease_until)
		g->safe_at = now;
	return g->safe_at + g->drain_ns;
}

uint32_t guard_period_ms(uint64_t drain_ms, uint64_t timeout_ms)
{
	return (uint32_t)max_u64(1, min_u64(drain_ms / 2, timeout_ms / 8));
}

uint64_t guard_expiry_ns(uint64_t lease_ns, uint64_t drain_ns, uint64_t timeout_ns)
{
	uint64_t sum = lease_ns + drain_ns + timeout_ns;

	return sum + sum / 10 + 2 * NS_PER_S;
}
