/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/lease.h"

uint64_t lease_until(uint64_t until, const struct lease_facts *f)
{
	if (!f->is_quorate)
		return 0;
	if (!f->is_installed)
		return until;
	if (f->is_alone)
		return f->now + f->lease_ns;
	return f->previous_token_at ? f->previous_token_at + f->lease_ns : 0;
}
