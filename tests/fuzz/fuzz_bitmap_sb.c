/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the bitmap superblock and the geometry that follows from it.
 *
 *	input:  byte 0      1: repair magic, version and pad first
 *	        byte 1..8   sector where slot 0 starts
 *	        byte 9..16  end of the room for slots, in bytes
 *	        then        the superblock; what is missing of 256 bytes is zero
 *
 * What must hold, for every input:
 *	F1  bitmap_sb_emit() over accepted bytes gives them back, and over any
 *	    others what parses to the same
 *	F2  an accepted superblock keeps the promises of bitmap_sb.h
 *	F3  slots lie one behind the other, without gap or overlap, each bit in
 *	    its slot; all of it by exact arithmetic, so nothing wraps around
 *	F4  the largest node count fits, and one more does not
 *	F5  all chunks together are the sync size
 *	F6  a refusal is one sentence with a code that has a meaning here
 *	F7  a cluster name that is taken comes back, and others change nothing
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "bitmap/bitmap_sb.h"
#include "bitmap/geometry.h"
#include "bitmap/md_sb.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	REPAIR = 1,
	INPUT_HEAD_BYTES = 17,
	AT_NAME = 72,
	AT_PAD = AT_NAME + BITMAP_CLUSTER_NAME_BYTES,
};

/* No disk is larger: 8 EiB. */
#define MAX_START_SECTOR (1ull << 54)

typedef unsigned __int128 exact_t; /* wide enough for every product here */

static void repair(uint8_t *bytes)
{
	struct wr wr = wr_over(bytes, BITMAP_SB_BYTES);

	wr_u32(&wr, BITMAP_SB_MAGIC);
	wr_u32(&wr, bytes[4] % 2 ? BITMAP_VERSION_CLUSTERED :
				   BITMAP_VERSION_PLAIN);
	wr_seek(&wr, AT_PAD - 1);
	wr_zero(&wr, BITMAP_SB_BYTES - AT_PAD + 1);
}

/* F6 */
static void check_refused(int r, const struct err *err)
{
	EXPECT(r == -ENOENT || r == -EOPNOTSUPP || r == -EBADMSG || r == -EINVAL);
	EXPECT(err->code == r);
	EXPECT(err->text[0] != '\0' && !strchr(err->text, '\n'));
}

/* F1, F2 */
static void check_accepted(const uint8_t *bytes, const struct bitmap_sb *sb)
{
	uint8_t copy[BITMAP_SB_BYTES];
	struct err err = ERR_INIT;
	struct bitmap_sb again;

	memset(copy, 0xff, sizeof(copy));
	bitmap_sb_emit(sb, copy);
	EXPECT(memcmp(copy, bytes, sizeof(copy)) == 0);
	EXPECT(bitmap_sb_parse(copy, &again, &err) == 0);
	EXPECT(memcmp(&again, sb, sizeof(again)) == 0);

	EXPECT(sb->version == BITMAP_VERSION_PLAIN ||
	       sb->version == BITMAP_VERSION_CLUSTERED);
	EXPECT(is_power_of_two(sb->chunksize) && sb->chunksize >= 512);
	EXPECT(sb->daemon_sleep >= 1);
	EXPECT(sb->write_behind <= BITMAP_MAX_WRITE_BEHIND);
	EXPECT(sb->nodes <= BITMAP_SANE_NODES);
	EXPECT(sb->version != BITMAP_VERSION_CLUSTERED || sb->nodes > 0);
	EXPECT(strlen(bitmap_sb_cluster_name(sb)) < BITMAP_CLUSTER_NAME_BYTES);
	EXPECT(bitmap_sb_is_stale(sb) == (sb->state != 0));
}

/* F3 */
static void check_slots(const struct bitmap_geometry *geo)
{
	uint32_t slots = geo->nodes ? geo->nodes : 1, n;
	exact_t end = (exact_t)geo->start_bytes;

	EXPECT(geo->chunks >= 1 && geo->chunks <= BITMAP_MAX_CHUNKS);
	EXPECT((exact_t)geo->chunks * geo->chunk_bytes >=
	       (exact_t)geo->sync_size * SECTOR_BYTES);
	EXPECT((exact_t)(geo->chunks - 1) * geo->chunk_bytes <
	       (exact_t)geo->sync_size * SECTOR_BYTES);
	EXPECT(geo->slot_bytes % BITMAP_PAGE_BYTES == 0);
	EXPECT(geo->slot_bytes ==
	       (exact_t)geo->slot_pages * BITMAP_PAGE_BYTES);
	EXPECT(geo->slot_bytes >= BITMAP_SB_BYTES + (geo->chunks + 7) / 8);
	EXPECT(geo->slot_bytes <
	       BITMAP_SB_BYTES + (geo->chunks + 7) / 8 + BITMAP_PAGE_BYTES);
	EXPECT(bitmap_page_of_chunk(0) == 0);
	EXPECT(bitmap_page_of_chunk(geo->chunks - 1) == geo->slot_pages - 1);
	for (n = 0; n < slots; n++) {
		EXPECT(bitmap_slot_offset_bytes(geo, n) == end);
		end += geo->slot_bytes;
	}
	EXPECT(bitmap_end_bytes(geo) == end);
}

/* F4 */
static void check_room(const struct bitmap_geometry *geo, uint64_t limit)
{
	uint64_t fit = bitmap_max_nodes(geo, limit);

	if (limit < geo->start_bytes) {
		EXPECT(fit == 0);
		return;
	}
	EXPECT(geo->start_bytes + (exact_t)fit * geo->slot_bytes <= limit);
	EXPECT(geo->start_bytes + ((exact_t)fit + 1) * geo->slot_bytes > limit);
}

/* F5 */
static void check_dirty_bytes(const struct bitmap_geometry *geo)
{
	uint64_t all = geo->sync_size * SECTOR_BYTES;
	uint64_t last = bitmap_dirty_bytes(geo, 1, true);

	EXPECT(bitmap_dirty_bytes(geo, 0, false) == 0);
	EXPECT(bitmap_dirty_bytes(geo, geo->chunks, true) == all);
	EXPECT(last >= 1 && last <= geo->chunk_bytes);
	EXPECT(bitmap_dirty_bytes(geo, geo->chunks - 1, false) + last == all);
}

/* F7 */
static void check_name(const uint8_t *bytes, size_t length)
{
	struct bitmap_sb sb, was;
	struct err err = ERR_INIT;
	char name[2 * BITMAP_CLUSTER_NAME_BYTES] = "";
	int r;

	memset(&sb, 0x5a, sizeof(sb));
	was = sb;
	memcpy(name, bytes, min_u64(length, sizeof(name) - 1));
	r = bitmap_sb_set_cluster_name(&sb, name, &err);
	if (r < 0) {
		check_refused(r, &err);
		EXPECT(memcmp(&sb, &was, sizeof(sb)) == 0);
		return;
	}
	EXPECT(strcmp(bitmap_sb_cluster_name(&sb), name) == 0);
	EXPECT(name[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd);
	uint64_t start = rd_u64(&rd) % MAX_START_SECTOR;
	uint64_t limit = rd_u64(&rd);
	uint8_t bytes[BITMAP_SB_BYTES] = { 0 };
	struct err err = ERR_INIT;
	struct bitmap_geometry geo;
	struct bitmap_sb sb;
	int r;

	if (size < INPUT_HEAD_BYTES)
		return 0;
	rd_bytes(&rd, bytes, min_u64(size - INPUT_HEAD_BYTES, sizeof(bytes)));
	check_name(bytes + AT_NAME, sizeof(bytes) - AT_NAME);
	if (flags & REPAIR)
		repair(bytes);

	r = bitmap_sb_parse(bytes, &sb, &err);
	if (r == 0)
		check_accepted(bytes, &sb);
	else
		check_refused(r, &err);
	/* the geometry checks for itself: ask it in any case */
	r = bitmap_geometry_init(&geo, sb.sync_size, sb.chunksize,
				 sb.nodes % (BITMAP_SANE_NODES + 1), start, &err);
	if (r < 0) {
		check_refused(r, &err);
		return 0;
	}
	check_slots(&geo);
	check_room(&geo, limit);
	check_dirty_bytes(&geo);
	return 0;
}
