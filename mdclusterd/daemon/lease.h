/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Until when this node may write (D13), as the ring lets it. Pure.
 *
 *	- without a quorum: not at all
 *	- while a next ring is made nothing is renewed: its tokens say nothing of the
 *	  configuration whose quorum is known
 *	- else it counts from the token before the last one: the last may have waited for us,
 *	  while we stood still and others went on without us
 *	- a ring of one has no token: that it runs is all there is to know
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct lease_facts {
	bool is_quorate, is_installed, is_alone;
	uint64_t now, previous_token_at, lease_ns;
};

/* The new end, in ns of the clock of boot; 0: none. `until` is the one so far. */
uint64_t lease_until(uint64_t until, const struct lease_facts *f);
