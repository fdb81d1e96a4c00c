/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The md version-1 superblock: bytes <-> struct, and the rules for loading it.
 *
 * Source: linux uapi raid/md_p.h and drivers/md/md.c (super_1_load), mdadm
 * super1.c. It sits on a 4 KiB boundary: 256 bytes of header, then one u16 role
 * per device number. With up to 128 roles (all arrays of up to 128 disks) it
 * fits one 512-byte sector, so that a torn write leaves the old or the new.
 *
 * Pure: no I/O, no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

enum {
	SECTOR_BYTES = 512,
	MD_SB_BYTES = 4096, /* read and written whole (D12) */
	MD_SB_HEADER_BYTES = 256,
	MD_SB_MAX_DEV = (MD_SB_BYTES - MD_SB_HEADER_BYTES) / 2, /* 1920 */
	MD_MIN_DISK_SECTORS = 24, /* smaller disks cannot hold any v1 superblock */
	MD_NAME_BYTES = 32,
};

#define MD_SB_MAGIC       0xa92b4efcu
#define MD_MAX_SECTOR     UINT64_MAX /* resync_offset: fully in sync */
#define MD_SB_SECONDS     ((UINT64_C(1) << 40) - 1) /* of ctime, utime: microseconds above */
#define MD_LEVEL_RAID1    1
#define MD_LEVEL_RAID10   10

enum md_feature {
	MD_FEATURE_BITMAP_OFFSET = 1,
	MD_FEATURE_RECOVERY_OFFSET = 2,
	MD_FEATURE_RESHAPE_ACTIVE = 4,
	MD_FEATURE_BAD_BLOCKS = 8,
	MD_FEATURE_REPLACEMENT = 16,
	MD_FEATURE_RESHAPE_BACKWARDS = 32,
	MD_FEATURE_NEW_OFFSET = 64,
	MD_FEATURE_RECOVERY_BITMAP = 128,
	MD_FEATURE_CLUSTERED = 256,
	MD_FEATURE_JOURNAL = 512,
	MD_FEATURE_PPL = 1024,
	MD_FEATURE_MULTIPLE_PPLS = 2048,
	MD_FEATURE_RAID0_LAYOUT = 4096,
	MD_FEATURE_KNOWN = 8191,
};

enum md_role {
	MD_ROLE_MAX = 0xff00, /* real roles are below */
	MD_ROLE_JOURNAL = 0xfffd,
	MD_ROLE_FAULTY = 0xfffe,
	MD_ROLE_SPARE = 0xffff,
};

/* The place of the superblock: metadata 1.minor. */
enum md_minor {
	MD_MINOR_0 = 0, /* 8..12 KiB before the end of the disk */
	MD_MINOR_1 = 1, /* at the start */
	MD_MINOR_2 = 2, /* 4 KiB from the start; the only one that is created */
	MD_MINOR_COUNT,
};

/* All offsets and sizes are in 512-byte sectors unless the name says otherwise. */
struct md_sb {
	uint32_t feature_map;
	uint8_t set_uuid[16];
	uint8_t set_name[MD_NAME_BYTES]; /* "host:name", NUL padded, maybe full */
	uint64_t ctime;                  /* MD_SB_SECONDS */
	int32_t level;
	uint32_t layout;
	uint64_t size;       /* sectors of each member that carry data */
	uint32_t chunksize;  /* 0 for raid1 */
	uint32_t raid_disks;
	int32_t bitmap_offset; /* from the superblock; a PPL's fields with PPL set */
	uint32_t new_level;
	uint64_t reshape_position;
	int32_t delta_disks;
	uint32_t new_layout;
	uint32_t new_chunk;
	int32_t new_offset;
	uint64_t data_offset;
	uint64_t data_size;
	uint64_t super_offset;
	uint64_t recovery_offset; /* a journal's tail with JOURNAL set */
	uint32_t dev_number;      /* index into roles[], stable for life */
	uint32_t cnt_corrected_read;
	uint8_t device_uuid[16];
	uint8_t devflags; /* 1 write-mostly, 2 failfast */
	uint8_t bblog_shift;
	uint16_t bblog_size;
	int32_t bblog_offset;
	uint64_t utime; /* as ctime */
	uint64_t events;
	uint64_t resync_offset; /* MD_MAX_SECTOR: in sync */
	uint32_t checksum;      /* as found; md_sb_emit() computes afresh */
	uint32_t max_dev;       /* entries of roles[], <= MD_SB_MAX_DEV */
	uint16_t roles[MD_SB_MAX_DEV];
};

/*
 * Where a superblock of this minor sits on a disk of disk_sectors, in sectors.
 * disk_sectors >= MD_MIN_DISK_SECTORS.
 */
uint64_t md_sb_location(enum md_minor minor, uint64_t disk_sectors);

/*
 * The superblock of before version 1 (0.90, md_p.h): where it would be, 64 to 128 KiB before
 * the end, and whether it is there; it is only told of. Of a disk that is too small: 0.
 */
uint64_t md_sb_old_location(uint64_t disk_sectors);
bool md_sb_is_old(const uint8_t block[MD_SB_BYTES]);

/*
 * Reads MD_SB_BYTES found at sector `at` of a disk of disk_sectors and applies
 * every load rule of the kernel: -ENOENT if there is no md magic, -EOPNOTSUPP
 * for an unknown feature bit or version, -EBADMSG for anything damaged; the
 * sentence names the field. On error *sb holds what could be read so that it
 * may be shown, never used.
 */
int md_sb_parse(const uint8_t block[MD_SB_BYTES], uint64_t at,
		uint64_t disk_sectors, struct md_sb *sb, struct err *err);

/*
 * Writes the superblock over `block`, with a fresh checksum. Only the bytes
 * that belong to it are touched, so that an image that was parsed comes back
 * to the last byte.
 */
void md_sb_emit(const struct md_sb *sb, uint8_t block[MD_SB_BYTES]);

/* The checksum of the superblock in `block`, its own field taken as zero. */
uint32_t md_sb_checksum(const uint8_t block[MD_SB_BYTES], uint32_t max_dev);

/* Role of this member as its own superblock says: roles[dev_number]. */
uint16_t md_sb_role(const struct md_sb *sb);

/* The name as printable text, NUL terminated. Returns `to`. */
char *md_sb_name(const struct md_sb *sb, char to[MD_NAME_BYTES + 1]);

/* Sets the name: 1..32 bytes, no control characters, no slash. */
int md_sb_set_name(struct md_sb *sb, const char *name, struct err *err);

/* raid10 layout word: near copies, far copies (1 for near layouts), offset. */
uint32_t md_sb_near_copies(const struct md_sb *sb);
bool md_sb_is_near_layout(const struct md_sb *sb);

/*
 * Sectors that a write-intent bitmap of this array covers: the component size
 * for raid1, the array size for raid10, as the kernel computes it. 0 if the
 * geometry makes no sense.
 */
uint64_t md_sb_sync_size(const struct md_sb *sb);
