/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a set of nodes may decide for the cluster: more than half of all votes that are
 * configured, whoever is there. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "totem/nodes.h"

struct quorum {
	uint32_t votes[TOTEM_MAX_NODES]; /* by index */
	int count;
};

uint32_t quorum_expected(const struct quorum *q); /* all votes */
uint32_t quorum_needed(const struct quorum *q);
uint32_t quorum_votes(const struct quorum *q, struct node_set members);
bool quorum_holds(const struct quorum *q, struct node_set members);
