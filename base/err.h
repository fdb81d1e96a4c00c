/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors: the one convention of this project.
 *
 * A function that can fail returns 0 or a negative errno, and takes a
 * `struct err *` as its last parameter. The sentence is made where the
 * knowledge is: it names the object, the field or operation, and what is
 * wrong with it. Callers may prefix context; nobody guesses from errno.
 *
 *	if (chunk_bytes & (chunk_bytes - 1))
 *		return err_set(err, -EBADMSG, "chunksize %u is not a power of two",
 *			       chunk_bytes);
 *	...
 *	r = bitmap_sb_parse(block, &bsb, err);
 *	if (r < 0)
 *		return err_prefix(err, "%s: slot %u", disk->name, slot);
 *
 * Codes with a fixed meaning here:
 *	-ENOENT      the thing asked for is not there (no superblock at all)
 *	-EBADMSG     it is there but damaged or inconsistent
 *	-EOPNOTSUPP  it is sound but of a kind that is not ours to touch
 *	-EIO ...     what the kernel said about an I/O
 *	-EINVAL      the caller (or the person) asked for something impossible
 *
 * Whatever a sentence quotes, it stays one line: control characters become '?'.
 * An err is never NULL and owns no memory. The text of an err may be an
 * argument of a new sentence for the same err.
 */
#pragma once

#include <stdbool.h>

struct err {
	int code;       /* 0 or a negative errno */
	char text[512]; /* one sentence without newline; "" when code is 0 */
};

#define ERR_INIT { 0, "" }

/* Records code and sentence (cut at 511 bytes); returns code. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence; returns the code already there. */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* -ENOMEM with a sentence that names what was wanted. */
int err_nomem(struct err *err, const char *what);
