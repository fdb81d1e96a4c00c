/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdadm --detail's lines, letter for letter, and a few of our own between them. */
#pragma once

#include <stdio.h>

#include <jansson.h>

#include "mdclusterd/control/status.h"

/* metadata: as org.mdcluster.Detail gives it; what it lacks is left out. */
void show_detail(FILE *to, const struct status_array *a, const json_t *metadata);
