/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/nbd/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/nbd/nbd.h"

/* At the beginning of a buffer that nobody uses. */
struct nbd_free_buffer {
	struct nbd_free_buffer *next;
};

static_assert((NBD_BLOCK_BYTES << (NBD_BUFFER_SIZES - 1)) == NBD_PIECE_BYTES, "sizes");

static size_t size_of(size_t nth)
{
	return (size_t)NBD_BLOCK_BYTES << nth;
}

/* The smallest size that holds so many. */
static size_t nth_size(size_t bytes)
{
	size_t nth = 0;

	while (size_of(nth) < bytes)
		nth++;
	return nth;
}

void nbd_memory_init(struct nbd_memory *memory, uint64_t limit_bytes, uint32_t clients)
{
	memset(memory, 0, sizeof(*memory));
	memory->limit_bytes = limit_bytes;
	memory->common_bytes = limit_bytes - (uint64_t)clients * NBD_RESERVE_BYTES;
}

void nbd_memory_fini(struct nbd_memory *memory)
{
	nbd_memory_trim(memory, 0);
}

static void *pop(struct nbd_memory *memory, size_t nth)
{
	struct nbd_free_buffer *buffer = memory->free[nth];

	memory->free[nth] = buffer->next;
	memory->free_bytes -= size_of(nth);
	return buffer;
}

/* The largest ones first: they are the fewest, and dearest. */
void nbd_memory_trim(struct nbd_memory *memory, uint64_t keep_bytes)
{
	for (size_t nth = NBD_BUFFER_SIZES; nth-- > 0;)
		while (memory->free_bytes > keep_bytes && memory->free[nth])
			free(pop(memory, nth));
}

static uint64_t beyond_reserve(uint64_t bytes)
{
	return bytes > NBD_RESERVE_BYTES ? bytes - NBD_RESERVE_BYTES : 0;
}

/* Z5: its reserve, and no more of what is common than it leaves. */
static bool may_have(const struct nbd_memory *memory, const struct nbd_share *share,
		     size_t bytes)
{
	uint64_t had = beyond_reserve(share->bytes);
	uint64_t has = beyond_reserve(share->bytes + bytes);
	uint64_t used = memory->common_used_bytes - had + has;

	return has == 0 || (used <= memory->common_bytes &&
			    has <= memory->common_bytes - used);
}

static void *get(struct nbd_memory *memory, size_t nth)
{
	uint64_t room = memory->limit_bytes - memory->used_bytes - size_of(nth);
	void *buffer;

	if (memory->free[nth])
		return pop(memory, nth);
	nbd_memory_trim(memory, room);
	return posix_memalign(&buffer, NBD_BLOCK_BYTES, size_of(nth)) == 0 ? buffer : NULL;
}

static void account(struct nbd_memory *memory, struct nbd_share *share, uint64_t bytes)
{
	uint64_t had = beyond_reserve(share->bytes);

	memory->used_bytes += bytes - share->bytes;
	share->bytes = bytes;
	memory->common_used_bytes += beyond_reserve(bytes) - had;
}

void *nbd_memory_take(struct nbd_memory *memory, struct nbd_share *share, size_t want,
		      size_t least, size_t *bytes)
{
	size_t nth = nth_size(want), last = nth_size(least);
	void *buffer;

	while (!may_have(memory, share, size_of(nth)))
		if (nth-- == last)
			return NULL;
	buffer = get(memory, nth);
	if (!buffer)
		return NULL;
	*bytes = size_of(nth);
	account(memory, share, share->bytes + *bytes);
	return buffer;
}

void nbd_memory_give(struct nbd_memory *memory, struct nbd_share *share, void *buffer,
		     size_t bytes)
{
	struct nbd_free_buffer *at = buffer;
	size_t nth = nth_size(bytes);

	account(memory, share, share->bytes - bytes);
	at->next = memory->free[nth];
	memory->free[nth] = at;
	memory->free_bytes += bytes;
}

bool nbd_memory_is_idle(const struct nbd_memory *memory)
{
	return memory->used_bytes == 0 && memory->free_bytes > NBD_KEPT_BYTES;
}
