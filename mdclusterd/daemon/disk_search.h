/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This node's disks that are members of an array, for who can wait a little: several are asked
 * at a time, and what hangs is left behind in a thread of its own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * patterns: as of glob(7); /dev/disk/by-id is looked through besides, after them. Returns how many
 * of `paths` (malloc'd) it found, within `timeout_ms`.
 */
size_t disk_search(char *const *patterns, size_t count, const uint8_t uuid[16],
		   uint32_t timeout_ms, char **paths, size_t room);
