/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/slot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(bitmap);

enum { PIECE_BYTES = 1 << 20 };

int bitmap_slot_init(struct bitmap_slot *slot, const struct bitmap_geometry *geo,
		     uint32_t number, struct err *err)
{
	memset(slot, 0, sizeof(*slot));
	slot->number = number;
	slot->geo = *geo;
	slot->image = disk_buffer_new(geo->slot_bytes);
	if (!slot->image)
		return err_nomem(err, "a bitmap slot");
	slot->bits = slot->image + BITMAP_SB_BYTES;
	return 0;
}

void bitmap_slot_fini(struct bitmap_slot *slot)
{
	free(slot->image);
	slot->image = NULL;
	slot->bits = NULL;
}

static uint64_t copy_offset(const struct bitmap_slot *slot,
			    const struct bitmap_copy *copy)
{
	return copy->start_bytes + slot->number * slot->geo.slot_bytes;
}

/*
 * Is this the slot that the array says is here? sync_size may differ by less
 * than it takes to move a slot: for raid10 on an odd number of disks mdadm
 * rounds it otherwise than the kernel, which corrects only its own slot.
 */
static int check_copy(const struct bitmap_slot *slot, const struct bitmap_sb *sb,
		      const struct bitmap_copy *copy, struct err *err)
{
	struct bitmap_geometry own;

	if (memcmp(sb->uuid, copy->set_uuid, sizeof(sb->uuid)) != 0)
		return err_set(err, -EBADMSG,
			       "bitmap uuid is not the array's");
	if (sb->chunksize != slot->geo.chunk_bytes)
		return err_set(err, -EBADMSG,
			       "bitmap chunksize is %u, slot 0 says %u",
			       sb->chunksize, slot->geo.chunk_bytes);
	if (bitmap_geometry_init(&own, sb->sync_size, sb->chunksize, sb->nodes, 0,
				 err) < 0)
		return err->code;
	if (own.slot_bytes != slot->geo.slot_bytes)
		return err_set(err, -EBADMSG,
			       "bitmap sync_size is %" PRIu64
			       ", slot 0 says %" PRIu64,
			       sb->sync_size, slot->geo.sync_size);
	return 0;
}

/* Adds what the bytes of a copy say, which stand at `at` of the slot; a multiple of 4 KiB. */
static void add_piece(struct bitmap_slot *slot, uint64_t at, const uint8_t *bytes,
		      size_t length, bool is_first)
{
	uint64_t head = at == 0 ? BITMAP_SB_BYTES : 0;
	uint64_t bit = (at + head - BITMAP_SB_BYTES) * 8;

	if (is_first)
		memcpy(slot->image + at, bytes, length);
	else if (bit < slot->geo.chunks)
		bits_or(slot->bits + bit / 8, bytes + head,
			min_u64((length - head) * 8, slot->geo.chunks - bit));
}

/*
 * Adds what one copy says, by pieces, for a slot may be large; none before the superblock
 * was found sound. What a copy said that cannot be read to its end may stay: it is more.
 */
static int load_copy(struct bitmap_slot *slot, const struct bitmap_copy *copy,
		     uint8_t *piece, bool is_first, struct err *err)
{
	struct bitmap_sb sb;
	uint64_t at;
	int r;

	for (at = 0; at < slot->geo.slot_bytes; at += PIECE_BYTES) {
		size_t length = min_u64(PIECE_BYTES, slot->geo.slot_bytes - at);

		r = disk_read_wait(copy->disk, copy_offset(slot, copy) + at, piece, length,
				   err);
		if (r < 0)
			return r;
		if (at == 0)
			r = bitmap_sb_parse(piece, &sb, err);
		if (at == 0 && r == 0)
			r = check_copy(slot, &sb, copy, err);
		if (r < 0)
			return err_prefix(err, "%s: slot %u", copy->disk->name,
					  slot->number);
		add_piece(slot, at, piece, length, is_first);
	}
	if (bitmap_sb_is_stale(&sb))
		bits_set_range(slot->bits, 0, slot->geo.chunks - 1);
	if (!is_first) {
		/* one stale copy makes the slot stale; the strictest bound counts */
		sb.state |= slot->sb.state;
		sb.events_cleared =
			max_u64(sb.events_cleared, slot->sb.events_cleared);
	}
	if (is_first || sb.events > slot->sb.events) {
		slot->sb = sb;
	} else {
		slot->sb.state = sb.state;
		slot->sb.events_cleared = sb.events_cleared;
	}
	return 0;
}

static uint8_t *piece_new(const struct bitmap_slot *slot)
{
	return disk_buffer_new(min_u64(PIECE_BYTES, slot->geo.slot_bytes));
}

int bitmap_slot_add(struct bitmap_slot *slot, const struct bitmap_copy *copy,
		    struct err *err)
{
	uint8_t *piece = piece_new(slot);
	int r = piece ? load_copy(slot, copy, piece, false, err)
		      : err_nomem(err, "a bitmap slot");

	free(piece);
	return r;
}

int bitmap_slot_load(struct bitmap_slot *slot, const struct bitmap_copy *copies,
		     size_t count, bool is_strict, struct err *err)
{
	uint8_t *piece = piece_new(slot);
	size_t loaded = 0, i;
	int r = -ENOENT;

	if (!piece)
		return err_nomem(err, "a bitmap slot");
	for (i = 0; i < count; i++) {
		r = load_copy(slot, &copies[i], piece, loaded == 0, err);
		if (r == 0) {
			loaded++;
			continue;
		}
		if (is_strict)
			break;
		if (count > 1)
			log_warning("MDC2001", "%s; the other copies are used",
				    err->text);
	}
	free(piece);
	if (is_strict && r < 0 && count > 0)
		return r;
	if (count == 0)
		return err_set(err, -ENOENT,
			       "slot %u: there is no member to read it from",
			       slot->number);
	return loaded ? 0 : r;
}

uint64_t bitmap_slot_dirty_chunks(const struct bitmap_slot *slot)
{
	return bits_count(slot->bits, slot->geo.chunks);
}

uint64_t bitmap_slot_dirty_bytes(const struct bitmap_slot *slot)
{
	return bitmap_dirty_bytes(&slot->geo, bitmap_slot_dirty_chunks(slot),
				  bits_test(slot->bits, slot->geo.chunks - 1));
}

void bitmap_slot_fill(struct bitmap_slot *slot, bool is_dirty)
{
	memset(slot->bits, is_dirty ? 0xff : 0,
	       slot->geo.slot_bytes - BITMAP_SB_BYTES);
}

int bitmap_slot_store_pages(struct bitmap_slot *slot, uint32_t first,
			    uint32_t count, const struct bitmap_copy *copies,
			    size_t copies_count, struct err *err)
{
	struct disk_batch batch = DISK_BATCH_INIT;
	uint64_t offset = (uint64_t)first * BITMAP_PAGE_BYTES;
	size_t i;
	int r;

	for (i = 0; i < copies_count; i++)
		if (memcmp(copies[i].set_uuid, slot->sb.uuid, 16) != 0)
			return err_set(err, -EBADMSG,
				       "%s: slot %u: its uuid is not that of the array there",
				       copies[i].disk->name, slot->number);
	bitmap_sb_emit(&slot->sb, slot->image);
	for (i = 0; i < copies_count; i++)
		disk_batch_write(&batch, copies[i].disk,
				 copy_offset(slot, &copies[i]) + offset,
				 slot->image + offset,
				 (size_t)count * BITMAP_PAGE_BYTES, false);
	r = disk_batch_wait(&batch, NULL, err);
	if (r < 0)
		return r;
	for (i = 0; i < copies_count; i++)
		disk_batch_flush(&batch, copies[i].disk);
	return disk_batch_wait(&batch, NULL, err);
}

int bitmap_slot_store(struct bitmap_slot *slot, const struct bitmap_copy *copies,
		      size_t copies_count, struct err *err)
{
	return bitmap_slot_store_pages(slot, 0, slot->geo.slot_pages, copies,
				       copies_count, err);
}

int bitmap_slot_merge(struct bitmap_slot *from, struct bitmap_slot *into,
		      const struct bitmap_copy *copies, size_t copies_count,
		      struct err *err)
{
	int r;

	if (bitmap_slot_dirty_chunks(from) == 0 && from->sb.state == 0)
		return 0;
	bits_or(into->bits, from->bits, into->geo.chunks);
	into->sb.events_cleared =
		max_u64(into->sb.events_cleared, from->sb.events_cleared);
	/*
	 * Stored even if that set no new bit: `into` is the OR over its copies,
	 * and a bit may stand in one of them only, cut short by an earlier try.
	 */
	r = bitmap_slot_store(into, copies, copies_count, err);
	if (r < 0)
		return r;
	/* D3: only now, with the bits durable in `into`, may they go here */
	bitmap_slot_fill(from, false);
	from->sb.state &= ~(uint32_t)BITMAP_STATE_KNOWN;
	return bitmap_slot_store(from, copies, copies_count, err);
}
