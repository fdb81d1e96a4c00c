/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bitmap superblock (bitmap_super_t): bytes <-> struct, load rules.
 *
 * Source: drivers/md/md-bitmap.h, mdadm bitmap.h. 256 bytes at the head of
 * every slot, on every member; the slot's bits follow in the same page.
 * Version 4 is a plain array's bitmap (read only here), version 5 a clustered
 * one. Pure: no I/O, no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

#define BITMAP_SB_MAGIC 0x6d746962u /* "bitm" */

enum {
	BITMAP_SB_BYTES = 256,
	BITMAP_VERSION_PLAIN = 4,
	BITMAP_VERSION_CLUSTERED = 5,
	BITMAP_VERSION_LOCKLESS = 6,
	BITMAP_CLUSTER_NAME_BYTES = 64, /* with its NUL */
	BITMAP_MAX_WRITE_BEHIND = 16383,
	/* the kernel's recovery_map is one 64-bit word (B52) */
	BITMAP_MAX_NODES = 64,
	BITMAP_MIN_NODES = 2,
	/* what a node count on a disk may be before it is taken for damage */
	BITMAP_SANE_NODES = 4096,
};

/* Bits of `state`; md names them by number (1, 2). */
enum bitmap_state {
	BITMAP_STATE_STALE = 1 << 1,       /* all chunks count as dirty */
	BITMAP_STATE_WRITE_ERROR = 1 << 2, /* updates stopped: as STALE */
	BITMAP_STATE_KNOWN = BITMAP_STATE_STALE | BITMAP_STATE_WRITE_ERROR,
};

struct bitmap_sb {
	uint32_t version;
	uint8_t uuid[16];            /* equals the array's set_uuid */
	uint64_t events;             /* array events when last written */
	uint64_t events_cleared;     /* array events when clearing was last allowed */
	uint64_t sync_size;          /* sectors that the bits cover */
	uint32_t state;              /* enum bitmap_state */
	uint32_t chunksize;          /* bytes a bit, power of two, >= 512 */
	uint32_t daemon_sleep;       /* seconds, >= 1 */
	uint32_t write_behind;
	uint32_t sectors_reserved;   /* unreliable: the stride never comes from it */
	uint32_t nodes;              /* slots; 0 in a version 4 bitmap */
	uint8_t cluster_name[BITMAP_CLUSTER_NAME_BYTES]; /* has a NUL */
};

/*
 * -ENOENT without the magic, -EOPNOTSUPP for a version that is not ours,
 * -EBADMSG for damage; the sentence names the field.
 */
int bitmap_sb_parse(const uint8_t bytes[BITMAP_SB_BYTES], struct bitmap_sb *sb,
		    struct err *err);
void bitmap_sb_emit(const struct bitmap_sb *sb, uint8_t bytes[BITMAP_SB_BYTES]);

/*
 * Must every chunk of the slot be taken for dirty? STALE and WRITE_ERROR say so;
 * a bit that we do not know may, and is taken for it.
 */
bool bitmap_sb_is_stale(const struct bitmap_sb *sb);
const char *bitmap_sb_cluster_name(const struct bitmap_sb *sb);

/* Sets the name, zero padded; 1..63 bytes, no control characters. */
int bitmap_sb_set_cluster_name(struct bitmap_sb *sb, const char *name,
			       struct err *err);
