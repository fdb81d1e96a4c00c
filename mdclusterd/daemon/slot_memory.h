/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which slot an array had here last, so that this node asks for it again: state_dir/NAME.slot,
 * a number. Only a wish: the lockspace decides, and a file that is lost or wrong costs
 * nothing but another number.
 */
#pragma once

/* -1: none is known. */
int slot_memory_read(const char *state_dir, const char *array);
/* By a thread of its own, for the file system may be slow; failing is logged. */
void slot_memory_save(const char *state_dir, const char *array, int slot);
