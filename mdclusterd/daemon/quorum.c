/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/quorum.h"

uint32_t quorum_expected(const struct quorum *q)
{
	uint32_t all = 0;

	for (int i = 0; i < q->count; i++)
		all += q->votes[i];
	return all;
}

uint32_t quorum_needed(const struct quorum *q)
{
	return quorum_expected(q) / 2 + 1;
}

uint32_t quorum_votes(const struct quorum *q, struct node_set members)
{
	uint32_t votes = 0;

	for (int i = 0; i < q->count; i++)
		if (set_has(&members, i))
			votes += q->votes[i];
	return votes;
}

bool quorum_holds(const struct quorum *q, struct node_set members)
{
	return quorum_votes(q, members) >= quorum_needed(q);
}
