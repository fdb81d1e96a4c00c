/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which slot an array had here last, so that this node asks for it again: state_dir/NAME.slot,
 * a number, and on a line of its own the array's uuid. Only a wish: the lockspace decides, and a
 * file that is lost or wrong costs nothing but another number.
 *
 * The uuid is for tools/guard.c: a disk that says it is of no cluster, while its array ran here
 * with one, is kept from mdadm.
 */
#pragma once

#include <stdint.h>

/* -1: none is known. */
int slot_memory_read(const char *state_dir, const char *array);
/* By a thread of its own, for the file system may be slow; failing is logged. */
void slot_memory_save(const char *state_dir, const char *array, const uint8_t uuid[16], int slot);
