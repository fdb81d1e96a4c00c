/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Field offsets and load rules of the md version-1 superblock.
 *
 * The kernel checks these when it loads a member (super_1_load); we add two
 * that it leaves to chance: dev_number must lie inside roles[], and the data
 * area must not wrap around.
 */
#include "bitmap/md_sb.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/printable.h"

enum {
	AT_PAD0 = 12,
	AT_CHECKSUM = 216,
	AT_PAD3 = 224,
	PAD3_BYTES = MD_SB_HEADER_BYTES - AT_PAD3,
	MIN_DATA_SECTORS = 10,
	OLD_RESERVED_SECTORS = 128,
	PAGE_SECTORS = 8,
};

static_assert(MD_SB_MAX_DEV == 1920, "roles fill the superblock's 4 KiB");
static_assert(AT_PAD3 + PAD3_BYTES == MD_SB_HEADER_BYTES, "header is 256 bytes");

uint64_t md_sb_location(enum md_minor minor, uint64_t disk_sectors)
{
	switch (minor) {
	case MD_MINOR_0:
		return round_down(disk_sectors - 16, 8);
	case MD_MINOR_1:
		return 0;
	default:
		return 8;
	}
}

uint64_t md_sb_old_location(uint64_t disk_sectors)
{
	return disk_sectors < 2 * OLD_RESERVED_SECTORS ?
		       0 :
		       round_down(disk_sectors, OLD_RESERVED_SECTORS) - OLD_RESERVED_SECTORS;
}

bool md_sb_is_old(const uint8_t block[MD_SB_BYTES])
{
	struct rd rd = rd_over(block, MD_SB_BYTES);
	uint32_t magic = rd_u32(&rd), major = rd_u32(&rd), minor = rd_u32(&rd);

	/* 91: it is being reshaped */
	return magic == MD_SB_MAGIC && major == 0 && (minor == 90 || minor == 91);
}

uint32_t md_sb_checksum(const uint8_t block[MD_SB_BYTES], uint32_t max_dev)
{
	size_t length = MD_SB_HEADER_BYTES + 2 * (size_t)max_dev;
	struct rd rd = rd_over(block, length);
	uint64_t sum = 0;

	while (length - rd.at >= 4) {
		bool is_own_field = rd.at == AT_CHECKSUM;
		uint32_t word = rd_u32(&rd);

		if (!is_own_field)
			sum += word;
	}
	if (length - rd.at == 2)
		sum += rd_u16(&rd);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static void read_fields(const uint8_t block[MD_SB_BYTES], struct md_sb *sb)
{
	struct rd rd = rd_over(block, MD_SB_BYTES);
	uint32_t i;

	rd_seek(&rd, 8);
	sb->feature_map = rd_u32(&rd);
	rd_seek(&rd, 16);
	rd_bytes(&rd, sb->set_uuid, sizeof(sb->set_uuid));
	rd_bytes(&rd, sb->set_name, sizeof(sb->set_name));
	sb->ctime = rd_u64(&rd);
	sb->level = (int32_t)rd_u32(&rd);
	sb->layout = rd_u32(&rd);
	sb->size = rd_u64(&rd);
	sb->chunksize = rd_u32(&rd);
	sb->raid_disks = rd_u32(&rd);
	sb->bitmap_offset = (int32_t)rd_u32(&rd);
	sb->new_level = rd_u32(&rd);
	sb->reshape_position = rd_u64(&rd);
	sb->delta_disks = (int32_t)rd_u32(&rd);
	sb->new_layout = rd_u32(&rd);
	sb->new_chunk = rd_u32(&rd);
	sb->new_offset = (int32_t)rd_u32(&rd);
	sb->data_offset = rd_u64(&rd);
	sb->data_size = rd_u64(&rd);
	sb->super_offset = rd_u64(&rd);
	sb->recovery_offset = rd_u64(&rd);
	sb->dev_number = rd_u32(&rd);
	sb->cnt_corrected_read = rd_u32(&rd);
	rd_bytes(&rd, sb->device_uuid, sizeof(sb->device_uuid));
	sb->devflags = rd_u8(&rd);
	sb->bblog_shift = rd_u8(&rd);
	sb->bblog_size = rd_u16(&rd);
	sb->bblog_offset = (int32_t)rd_u32(&rd);
	sb->utime = rd_u64(&rd);
	sb->events = rd_u64(&rd);
	sb->resync_offset = rd_u64(&rd);
	sb->checksum = rd_u32(&rd);
	sb->max_dev = rd_u32(&rd);
	rd_seek(&rd, MD_SB_HEADER_BYTES);
	for (i = 0; i < MD_SB_MAX_DEV; i++)
		sb->roles[i] = rd_u16(&rd);
}

void md_sb_emit(const struct md_sb *sb, uint8_t block[MD_SB_BYTES])
{
	struct wr wr = wr_over(block, MD_SB_BYTES);
	uint32_t i;

	wr_u32(&wr, MD_SB_MAGIC);
	wr_u32(&wr, 1); /* major version */
	wr_u32(&wr, sb->feature_map);
	wr_u32(&wr, 0); /* pad0 */
	wr_bytes(&wr, sb->set_uuid, sizeof(sb->set_uuid));
	wr_bytes(&wr, sb->set_name, sizeof(sb->set_name));
	wr_u64(&wr, sb->ctime);
	wr_u32(&wr, (uint32_t)sb->level);
	wr_u32(&wr, sb->layout);
	wr_u64(&wr, sb->size);
	wr_u32(&wr, sb->chunksize);
	wr_u32(&wr, sb->raid_disks);
	wr_u32(&wr, (uint32_t)sb->bitmap_offset);
	wr_u32(&wr, sb->new_level);
	wr_u64(&wr, sb->reshape_position);
	wr_u32(&wr, (uint32_t)sb->delta_disks);
	wr_u32(&wr, sb->new_layout);
	wr_u32(&wr, sb->new_chunk);
	wr_u32(&wr, (uint32_t)sb->new_offset);
	wr_u64(&wr, sb->data_offset);
	wr_u64(&wr, sb->data_size);
	wr_u64(&wr, sb->super_offset);
	wr_u64(&wr, sb->recovery_offset);
	wr_u32(&wr, sb->dev_number);
	wr_u32(&wr, sb->cnt_corrected_read);
	wr_bytes(&wr, sb->device_uuid, sizeof(sb->device_uuid));
	wr_u8(&wr, sb->devflags);
	wr_u8(&wr, sb->bblog_shift);
	wr_u16(&wr, sb->bblog_size);
	wr_u32(&wr, (uint32_t)sb->bblog_offset);
	wr_u64(&wr, sb->utime);
	wr_u64(&wr, sb->events);
	wr_u64(&wr, sb->resync_offset);
	assert(wr.at == AT_CHECKSUM);
	wr_u32(&wr, 0); /* checksum, below */
	wr_u32(&wr, sb->max_dev);
	wr_zero(&wr, PAD3_BYTES);
	assert(wr.at == MD_SB_HEADER_BYTES);
	for (i = 0; i < sb->max_dev; i++)
		wr_u16(&wr, sb->roles[i]);

	wr_seek(&wr, AT_CHECKSUM);
	wr_u32(&wr, md_sb_checksum(block, sb->max_dev));
}

static bool is_all_zero(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* What must hold before any other field may be believed. */
static int check_envelope(const uint8_t block[MD_SB_BYTES], uint64_t at,
			  const struct md_sb *sb, struct err *err)
{
	uint32_t unknown = sb->feature_map & ~(uint32_t)MD_FEATURE_KNOWN;
	uint32_t expected;

	if (sb->max_dev > MD_SB_MAX_DEV)
		return err_set(err, -EBADMSG, "superblock max_dev %u is larger than %u",
			       sb->max_dev, MD_SB_MAX_DEV);
	expected = md_sb_checksum(block, sb->max_dev);
	if (sb->checksum != expected)
		return err_set(err, -EBADMSG,
			       "superblock checksum is %08x, expected %08x",
			       sb->checksum, expected);
	if (sb->super_offset != at)
		return err_set(err, -EBADMSG,
			       "superblock super_offset says sector %" PRIu64
			       ", but it was found at sector %" PRIu64,
			       sb->super_offset, at);
	if (unknown)
		return err_set(err, -EOPNOTSUPP,
			       "superblock feature_map has unknown bits 0x%x",
			       unknown);
	if (!is_all_zero(block + AT_PAD0, 4))
		return err_set(err, -EOPNOTSUPP, "superblock pad0 is not zero");
	if (!is_all_zero(block + AT_PAD3, PAD3_BYTES))
		return err_set(err, -EOPNOTSUPP,
			       "superblock pad3 is not zero: written by a newer kernel or mdadm");
	return 0;
}

/* Data on the disk, and not over the superblock, wherever that sits. */
static int check_extents(uint64_t at, uint64_t disk_sectors,
			 const struct md_sb *sb, struct err *err)
{
	uint64_t own_end = at + div_round_up(MD_SB_HEADER_BYTES +
						     2 * (uint64_t)sb->max_dev,
					     SECTOR_BYTES);

	if (sb->data_size < MIN_DATA_SECTORS)
		return err_set(err, -EBADMSG,
			       "superblock data_size %" PRIu64 " is less than %d sectors",
			       sb->data_size, MIN_DATA_SECTORS);
	if (sb->data_offset > disk_sectors ||
	    sb->data_size > disk_sectors - sb->data_offset)
		return err_set(err, -EBADMSG,
			       "superblock data_offset + data_size is sector %" PRIu64
			       " + %" PRIu64 ", past the end of the disk (%" PRIu64
			       " sectors)",
			       sb->data_offset, sb->data_size, disk_sectors);
	if (sb->data_offset < own_end && sb->data_offset + sb->data_size > at)
		return err_set(err, -EBADMSG,
			       "superblock data_offset %" PRIu64
			       " and data_size %" PRIu64
			       " put the data over the superblock",
			       sb->data_offset, sb->data_size);
	if (sb->size > sb->data_size)
		return err_set(err, -EBADMSG,
			       "superblock size %" PRIu64
			       " is larger than its data_size %" PRIu64,
			       sb->size, sb->data_size);
	return 0;
}

static int check_fields(const struct md_sb *sb, struct err *err)
{
	if (sb->dev_number >= sb->max_dev)
		return err_set(err, -EBADMSG,
			       "superblock dev_number %u is not below max_dev %u",
			       sb->dev_number, sb->max_dev);
	if (sb->raid_disks == 0 || sb->raid_disks > MD_SB_MAX_DEV)
		return err_set(err, -EBADMSG,
			       "superblock raid_disks %u is outside 1..%d",
			       sb->raid_disks, MD_SB_MAX_DEV);
	if (sb->feature_map & MD_FEATURE_BAD_BLOCKS) {
		if (sb->bblog_offset == 0)
			return err_set(err, -EBADMSG,
				       "superblock bblog_offset is 0 though bad blocks are recorded");
		if (sb->bblog_size > PAGE_SECTORS)
			return err_set(err, -EBADMSG,
				       "superblock bblog_size %u is larger than %d sectors",
				       sb->bblog_size, PAGE_SECTORS);
	}
	return 0;
}

int md_sb_parse(const uint8_t block[MD_SB_BYTES], uint64_t at,
		uint64_t disk_sectors, struct md_sb *sb, struct err *err)
{
	struct rd rd = rd_over(block, MD_SB_BYTES);
	uint32_t magic = rd_u32(&rd);
	uint32_t major = rd_u32(&rd);
	int r;

	memset(sb, 0, sizeof(*sb));
	if (magic != MD_SB_MAGIC)
		return err_set(err, -ENOENT,
			       "no md superblock at sector %" PRIu64
			       " (magic %08x)",
			       at, magic);
	if (major != 1)
		return err_set(err, -EOPNOTSUPP,
			       "superblock major_version is %u, only 1 is known",
			       major);
	read_fields(block, sb);
	r = check_envelope(block, at, sb, err);
	if (r == 0)
		r = check_extents(at, disk_sectors, sb, err);
	if (r == 0)
		r = check_fields(sb, err);
	return r;
}

uint16_t md_sb_role(const struct md_sb *sb)
{
	bool is_in_range = sb->dev_number < sb->max_dev &&
			   sb->dev_number < MD_SB_MAX_DEV;

	return is_in_range ? sb->roles[sb->dev_number] : (uint16_t)MD_ROLE_SPARE;
}

char *md_sb_name(const struct md_sb *sb, char to[MD_NAME_BYTES + 1])
{
	return text_printable(sb->set_name, MD_NAME_BYTES, to,
			      MD_NAME_BYTES + 1);
}

int md_sb_set_name(struct md_sb *sb, const char *name, struct err *err)
{
	size_t length = strlen(name), i;

	if (length == 0)
		return err_set(err, -EINVAL, "name: it is empty");
	if (length > MD_NAME_BYTES)
		return err_set(err, -EINVAL, "name: it has %zu bytes, at most %d fit",
			       length, MD_NAME_BYTES);
	for (i = 0; i < length; i++)
		if (iscntrl((unsigned char)name[i]) || name[i] == '/')
			return err_set(err, -EINVAL,
				       "name: byte %zu is a slash or a control character",
				       i);
	memset(sb->set_name, 0, sizeof(sb->set_name));
	memcpy(sb->set_name, name, length);
	return 0;
}

uint32_t md_sb_near_copies(const struct md_sb *sb)
{
	return sb->layout & 0xff;
}

static uint32_t far_copies(const struct md_sb *sb)
{
	return (sb->layout >> 8) & 0xff;
}

bool md_sb_is_near_layout(const struct md_sb *sb)
{
	return (sb->layout >> 16) == 0 && far_copies(sb) == 1 &&
	       md_sb_near_copies(sb) >= 1;
}

uint64_t md_sb_sync_size(const struct md_sb *sb)
{
	uint64_t chunks;

	if (sb->level != MD_LEVEL_RAID10)
		return sb->size;
	if (sb->chunksize == 0 || md_sb_near_copies(sb) == 0 ||
	    far_copies(sb) == 0 || sb->raid_disks > MD_SB_MAX_DEV)
		return 0;
	/* drivers/md/raid10.c, raid10_size(): whole chunks only */
	chunks = sb->size / sb->chunksize / far_copies(sb);
	return chunks * sb->raid_disks / md_sb_near_copies(sb) * sb->chunksize;
}
