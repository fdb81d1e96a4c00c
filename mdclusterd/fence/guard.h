/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hardware watchdog that guards a node's writes (design 7(e)): until when it may be petted,
 * and from when on its expiry is proof. Pure; times on the clock of boot, in ns.
 *
 *	T1  It is petted only as long as the lease is valid, or nothing is under way on any
 *	    disk and nothing can begin; and for drain_ns after either was so the last time.
 *	T2  So a node that writes without a lease is reset at the latest at
 *	    lease + drain + timeout from the last token that it had. Who misses it adds a
 *	    margin, for clocks differ and a reset takes its time: guard_expiry_ns(), from when
 *	    the ring was made that misses it: which was later than that token, for any two
 *	    rings with a quorum share a node. When this node missed it first says nothing:
 *	    others may have been with it since.
 *	    What the engine says of that holds for drain_ms; so it says it at least twice in
 *	    that time, however long the timeout is: guard_period_ms(). A supervisor that comes
 *	    too late for a word looks again after as long, not after its next period.
 *	T3  That is proof only of a process that has said itself that it is guarded, before
 *	    anybody could miss it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct guard {
	uint64_t drain_ns;
	uint64_t safe_at; /* the last time that it was */
};

/* T1: until when it may be petted. lease_until: 0: there is none. */
uint64_t guard_until(struct guard *g, uint64_t now, uint64_t lease_until, bool is_drained);
/* How often the engine says it. */
uint32_t guard_period_ms(uint64_t drain_ms, uint64_t timeout_ms);
/* T2 */
uint64_t guard_expiry_ns(uint64_t lease_ns, uint64_t drain_ns, uint64_t timeout_ns);
