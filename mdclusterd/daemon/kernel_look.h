/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the kernel of this host has an array, in words that follow "the kernel of node n2". */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * "runs it as /dev/md127", "holds its lockspace (md-cluster)", or "": it does not. `root`
 * stands before all paths. One that is only gathered (inactive) is not run. May wait for the
 * kernel.
 */
void kernel_look(const char *root, const uint8_t uuid[16], char *to, size_t size);
