/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel of this host has of an array, in words that follow "the kernel of node n2". */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mdclusterd/daemon/kernel_ask.h"

/*
 * "runs it as /dev/md127", "holds its lockspace (md-cluster)", or "". `root` stands before all
 * paths. One that is only gathered (inactive) is not run. -ENOMEM: not known. May wait for
 * the kernel.
 */
int kernel_look(const char *root, const uint8_t uuid[16], enum kernel_hold *hold, char *to,
		size_t size);
