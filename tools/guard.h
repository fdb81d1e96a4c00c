/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * May mdadm on this host have a plain array? Nothing of md keeps two kernels from assembling one
 * on shared disks, so what was a cluster's is for one host alone:
 *
 *	- by the mark that it left its cluster with (bitmap/owner.h): for the host of that
 *	- without a mark (mdadm has made it plain, or the mark is lost) where this node ran it with
 *	  its cluster: for nobody, until a person says whose it is
 *
 * All other arrays, clustered ones too, are none of its business.
 */
#pragma once

#include <stdbool.h>

#include "bitmap/owner.h"

struct md_member;

enum { GUARD_WORDS_BYTES = 512 };

struct guard {
	bool has_owner;
	struct md_owner owner;
	char why[GUARD_WORDS_BYTES]; /* where it is not for this host: what to tell a person */
};

/* True: mdadm on this host shall leave it alone. `guard` is valid in any case. */
bool guard_hides(const struct md_member *member, struct guard *guard);
