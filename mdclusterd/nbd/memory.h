/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of all clients' data, bounded (Z5, Z6). Each client has a share of which
 * NBD_RESERVE_BYTES are its own, whatever others do. Beyond that all take from what is
 * common, and one may have at most as much of it as is left for the others: a single client
 * can have half of it, and the second half of the rest.
 *
 * Buffers are 4 KiB aligned, of a power of two up to NBD_PIECE_BYTES, and recycled: the last
 * one given back is the first one taken, for it is in the processor's cache. What a burst
 * needed goes back to the system when nobody has asked for any for a while: the next burst
 * would have to map and clear it again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NBD_BLOCK_BYTES = 4096,
	NBD_PIECE_BYTES = 1 << 20,  /* the largest buffer */
	NBD_BUFFER_SIZES = 9,       /* 4 KiB .. 1 MiB */
	NBD_KEPT_BYTES = 8 << 20,   /* of what was needed, when nothing has been for a while */
};

struct nbd_free_buffer;

struct nbd_memory {
	uint64_t limit_bytes;   /* of all buffers, used and free */
	uint64_t common_bytes;  /* what is not reserved */
	uint64_t common_used_bytes;
	uint64_t used_bytes, free_bytes;
	struct nbd_free_buffer *free[NBD_BUFFER_SIZES];
};

/* Of one client; zeroed at first. */
struct nbd_share {
	uint64_t bytes;
};

/* limit_bytes: at least `clients` reserves. */
void nbd_memory_init(struct nbd_memory *memory, uint64_t limit_bytes, uint32_t clients);
/* All was given back. */
void nbd_memory_fini(struct nbd_memory *memory);

/*
 * A buffer for `want` bytes, or as many as can be had, but at least for `least`; *bytes is its
 * size, a power of two. NULL: more than this client may have now, or there is none.
 * least <= want; both 1 .. NBD_PIECE_BYTES.
 */
void *nbd_memory_take(struct nbd_memory *memory, struct nbd_share *share, size_t want,
		      size_t least, size_t *bytes);
void nbd_memory_give(struct nbd_memory *memory, struct nbd_share *share, void *buffer,
		     size_t bytes);
/* None is in use, and more are kept than it takes to begin again. */
bool nbd_memory_is_idle(const struct nbd_memory *memory);
/* Free buffers go back to the system. */
void nbd_memory_trim(struct nbd_memory *memory, uint64_t keep_bytes);
