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

/* Room that is always enough for `n` bytes escaped, and the end. */
#define TEXT_ESCAPED_BYTES(n) (4 * (n) + 1)

/*
 * Bytes as text that tells each of them: printable ASCII as it is, all else, and the
 * backslash, as \xHH. Cut to fit `size` (at least 1), never within a byte. Returns
 * `to`.
 */
char *text_escape(const void *bytes, size_t n, char *to, size_t size);
/*
 * The way back: how many bytes there are. -EMSGSIZE: more than `room`; -EBADMSG: not
 * as text_escape() writes it, of which there is one way for any bytes.
 */
int text_unescape(const char *text, void *to, size_t room);
