/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a node must remember over its starts: the ring sequence number that no
 * ring of ours may use again, and the boot number that keeps sealing nonces
 * from coming twice. One small text file, written by tmp + fsync + rename.
 *
 * A start advances both and makes them durable before anything is sent. It takes
 * two boot numbers: its own, and the one behind it, by which whoever outlives it
 * may tell its end, once, and needs no disk for that.
 *
 * While the ring runs, a higher sequence number is saved by a thread of its own, so
 * that a slow disk never delays the token.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct boot;
struct err;
struct loop;

/* Called on the loop's thread when `seq` is durable. */
typedef void (*boot_saved_fn)(void *owner, uint64_t seq);

/*
 * Reads `path` (none yet: all begins anew), advances and writes it back. `now_us`
 * is the wall clock: a boot number is never below it, so that a disk that was
 * rolled back does not repeat one. NULL with a sentence naming the file.
 */
struct boot *boot_open(const char *path, uint64_t now_us, struct loop *loop,
		       boot_saved_fn saved, void *owner, struct err *err);
void boot_close(struct boot *boot); /* waits for the thread; NULL is fine */

enum { BOOT_NUMBERS = 2 }; /* of a start */

uint64_t boot_number(const struct boot *boot);
uint64_t boot_first_ring_seq(const struct boot *boot);

/* Asks for seq to be saved; saved() follows. A newer wish replaces an older. */
void boot_save(struct boot *boot, uint64_t seq);

/* --- the text of the file: pure -------------------------------------------------- */

enum { BOOT_RECORD_BYTES = 64 }; /* the longest is shorter */

struct boot_record {
	uint64_t ring_seq;
	uint64_t number;
};

/* Its length; text is terminated. */
size_t boot_record_write(const struct boot_record *record,
			 char text[BOOT_RECORD_BYTES]);

/*
 * -EBADMSG unless it is, byte for byte, what boot_record_write() makes, and both
 * numbers leave room for a start. No sentence: the caller knows the file.
 */
int boot_record_parse(const char *text, size_t length, struct boot_record *record);
