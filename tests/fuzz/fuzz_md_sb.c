/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the md superblock, from any 4 KiB on any disk.
 *
 *	input:  byte 0     what to repair first, and where the block was found
 *	        byte 1..8  size of the disk in sectors
 *	        then       the block; what is missing of its 4096 bytes is zero
 *
 * A block with a wrong checksum never gets past the first checks, and a fuzzer
 * does not guess checksums: with the flags set the target repairs it, and so
 * comes to the rules behind.
 *
 * What must hold, for every input:
 *	F1  md_sb_emit() over an accepted block gives back its bytes, all of them
 *	F2  over any other bytes it gives a superblock that parses to the same
 *	F3  the checksum is the one of the specification, computed here once more
 *	F4  an accepted superblock keeps the promises of md_sb.h: the data lies on
 *	    the disk and clear of the superblock, the indices inside roles[]
 *	F5  the sync size is what exact arithmetic says
 *	F6  a refusal is one sentence with a code that has a meaning here
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
#include "bitmap/md_sb.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	REPAIR_CHECKSUM = 1,
	REPAIR_ENVELOPE = 2, /* magic, version, super_offset, pads, features */
	MINOR_SHIFT = 2,     /* two bits: 0, 1, 2; 3 is a place of no minor */
	INPUT_HEAD_BYTES = 9,
	AT_MAX_DEV = 220,
	AT_CHECKSUM = 216,
};

/*
 * 2 EiB, the largest size that the product of size and raid_disks bears; the
 * kernel's block devices end at 8 EiB.
 */
#define MAX_DISK_SECTORS (1ull << 52)

static uint32_t u32_at(const uint8_t *block, size_t at)
{
	struct rd rd = rd_over(block, MD_SB_BYTES);

	rd_seek(&rd, at);
	return rd_u32(&rd);
}

/* Section 1.4 of the format, as plainly as it can be said. */
static uint32_t plain_checksum(const uint8_t *block, uint32_t max_dev)
{
	size_t length = MD_SB_HEADER_BYTES + 2 * (size_t)max_dev, i;
	uint64_t sum = 0;

	for (i = 0; i < length; i++)
		if (i < AT_CHECKSUM || i >= AT_CHECKSUM + 4)
			sum += (uint64_t)block[i] << 8 * (i % 4);
	return (uint32_t)((sum & UINT32_MAX) + (sum >> 32));
}

static void repair(uint8_t *block, unsigned int flags, uint64_t at)
{
	struct wr wr = wr_over(block, MD_SB_BYTES);

	if (flags & REPAIR_ENVELOPE) {
		wr_u32(&wr, MD_SB_MAGIC);
		wr_u32(&wr, 1);
		wr_u32(&wr, u32_at(block, 8) & MD_FEATURE_KNOWN);
		wr_u32(&wr, 0);
		wr_seek(&wr, 144);
		wr_u64(&wr, at);
		wr_seek(&wr, AT_MAX_DEV);
		wr_u32(&wr, u32_at(block, AT_MAX_DEV) % (MD_SB_MAX_DEV + 1));
		wr_zero(&wr, 32);
	}
	if ((flags & REPAIR_CHECKSUM) && u32_at(block, AT_MAX_DEV) <= MD_SB_MAX_DEV) {
		wr_seek(&wr, AT_CHECKSUM);
		wr_u32(&wr, plain_checksum(block, u32_at(block, AT_MAX_DEV)));
	}
}

static uint64_t place(unsigned int flags, uint64_t disk_sectors)
{
	switch (flags >> MINOR_SHIFT & 3) {
	case 0:
		return md_sb_location(MD_MINOR_2, disk_sectors);
	case 1:
		return md_sb_location(MD_MINOR_1, disk_sectors);
	case 2:
		return md_sb_location(MD_MINOR_0, disk_sectors);
	default:
		return 16;
	}
}

/* F4 */
static void check_promises(const struct md_sb *sb, uint64_t at,
			   uint64_t disk_sectors)
{
	uint64_t own = div_round_up(MD_SB_HEADER_BYTES + 2 * sb->max_dev,
				    SECTOR_BYTES);

	EXPECT(sb->max_dev <= MD_SB_MAX_DEV);
	EXPECT(sb->dev_number < sb->max_dev);
	EXPECT(md_sb_role(sb) == sb->roles[sb->dev_number]);
	EXPECT(sb->super_offset == at);
	EXPECT((sb->feature_map & ~(uint32_t)MD_FEATURE_KNOWN) == 0);
	EXPECT(sb->data_offset <= disk_sectors);
	EXPECT(sb->data_size <= disk_sectors - sb->data_offset);
	EXPECT(sb->size <= sb->data_size);
	EXPECT(sb->data_offset >= at + own ||
	       sb->data_offset + sb->data_size <= at);
}

/* F5 */
static void check_sync_size(const struct md_sb *sb)
{
	uint32_t near = sb->layout & 0xff, far = sb->layout >> 8 & 0xff;
	unsigned __int128 exact;

	EXPECT(md_sb_near_copies(sb) == near);
	EXPECT(!md_sb_is_near_layout(sb) || (near > 0 && far == 1));
	if (sb->level != MD_LEVEL_RAID10) {
		EXPECT(md_sb_sync_size(sb) == sb->size);
		return;
	}
	if (!near || !far || !sb->chunksize || sb->raid_disks > MD_SB_MAX_DEV) {
		EXPECT(md_sb_sync_size(sb) == 0);
		return;
	}
	exact = sb->size / sb->chunksize / far;
	exact = exact * sb->raid_disks / near * sb->chunksize;
	EXPECT(md_sb_sync_size(sb) == exact);
}

static void check_accepted(const uint8_t *block, const struct md_sb *sb,
			   uint64_t at, uint64_t disk_sectors)
{
	size_t own = MD_SB_HEADER_BYTES + 2 * (size_t)sb->max_dev;
	uint8_t copy[MD_SB_BYTES];
	struct err err = ERR_INIT;
	struct md_sb again;

	memcpy(copy, block, sizeof(copy));
	md_sb_emit(sb, copy);
	EXPECT(memcmp(copy, block, sizeof(copy)) == 0); /* F1 */
	EXPECT(md_sb_parse(copy, at, disk_sectors, &again, &err) == 0);
	EXPECT(memcmp(&again, sb, sizeof(again)) == 0);

	memset(copy, 0xff, sizeof(copy));
	md_sb_emit(sb, copy);
	EXPECT(memcmp(copy, block, own) == 0); /* F2 */
	for (; own < sizeof(copy); own++)
		EXPECT(copy[own] == 0xff);
	EXPECT(md_sb_parse(copy, at, disk_sectors, &again, &err) == 0);
	EXPECT(again.checksum == sb->checksum && again.events == sb->events);

	EXPECT(sb->checksum == plain_checksum(block, sb->max_dev)); /* F3 */
	check_promises(sb, at, disk_sectors);
	check_sync_size(sb);
}

/* F6 */
static void check_refused(int r, const struct err *err)
{
	EXPECT(r == -ENOENT || r == -EOPNOTSUPP || r == -EBADMSG);
	EXPECT(err->code == r);
	EXPECT(err->text[0] != '\0' && !strchr(err->text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd rd = rd_over(data, size);
	unsigned int flags = rd_u8(&rd);
	uint64_t disk_sectors = rd_u64(&rd) % MAX_DISK_SECTORS;
	uint8_t block[MD_SB_BYTES] = { 0 };
	struct err err = ERR_INIT;
	struct md_sb sb;
	uint64_t at;
	int r;

	if (size < INPUT_HEAD_BYTES)
		return 0;
	if (disk_sectors < MD_MIN_DISK_SECTORS)
		disk_sectors += MD_MIN_DISK_SECTORS;
	rd_bytes(&rd, block, min_u64(size - INPUT_HEAD_BYTES, MD_SB_BYTES));
	at = place(flags, disk_sectors);
	repair(block, flags, at);

	r = md_sb_parse(block, at, disk_sectors, &sb, &err);
	if (r == 0) {
		check_accepted(block, &sb, at, disk_sectors);
	} else {
		check_refused(r, &err);
		/* what examine shows of a damaged one must be safe to ask for */
		(void)md_sb_role(&sb);
		(void)md_sb_sync_size(&sb);
		(void)md_sb_is_near_layout(&sb);
	}
	return 0;
}
