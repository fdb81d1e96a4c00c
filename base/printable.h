/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that was not written by us, made fit for a terminal and a log. */
#pragma once

#include <stddef.h>

/*
 * Bytes from a disk as text for people: up to the first NUL or `max` bytes, with
 * control characters shown as '?', so that no name can move a cursor or forge a
 * line. Cut to fit `size` (at least 1). Returns `to`.
 */
char *text_printable(const void *bytes, size_t max, char *to, size_t size);
