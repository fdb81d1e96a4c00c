/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A member: a disk with an md superblock on it, and perhaps a bitmap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/geometry.h"
#include "bitmap/md_sb.h"
#include "bitmap/slot.h"

struct disk;
struct err;

struct md_member {
	struct disk *disk;       /* borrowed */
	uint8_t *block;          /* the superblock's 4 KiB as found; owned */
	enum md_minor minor;
	struct md_sb sb;
	bool has_bitmap;         /* the three below are valid */
	struct bitmap_sb bitmap; /* slot 0's, on this disk */
	struct bitmap_geometry geo;
};

/*
 * Finds and checks the superblock: 1.2, 1.1 and 1.0 are looked for, and if a
 * disk has several sound ones the youngest (ctime) counts, as mdadm does.
 * -ENOENT if there is none at all, -EOPNOTSUPP for one of before version 1. Every error names the disk. On an error
 * member->sb may hold what could be read of a damaged one (sb.max_dev != 0).
 */
int md_member_load(struct md_member *member, struct disk *disk, struct err *err);
void md_member_fini(struct md_member *member); /* twice is fine */

/*
 * Reads slot 0's superblock and checks that the slots lie where they may: on
 * the disk, outside superblock and data. -ENOENT if the array has no bitmap.
 */
int md_member_load_bitmap(struct md_member *member, struct err *err);

/* Would `nodes` slots lie where they may? Part of md_member_load_bitmap(). */
int md_member_check_area(const struct md_member *member, uint32_t nodes,
			 struct err *err);

struct bitmap_copy md_member_copy(const struct md_member *member);

/* Writes member->sb; returns when it is durable. One 4 KiB write. */
int md_member_store(struct md_member *member, struct err *err);

/* Bytes from the start of the disk that metadata before the data may use. */
uint64_t md_member_room_end_bytes(const struct md_member *member);

/* Who would run it. */
enum md_taker {
	MD_TAKER_ANY,    /* whoever: what clustered arrays have in common */
	MD_TAKER_KERNEL, /* the kernel's md-cluster */
	MD_TAKER_US,     /* mdclusterd, which serves nothing that the kernel would not take back */
	MD_TAKER_MADE,   /* it gets a clustered bitmap now: as US, but for what is of slots */
};

/* Something that keeps it from being run: sentences without a full stop. */
struct md_obstacle {
	const char *kind;     /* "level", for programs */
	const char *what;     /* "its level is neither raid1 nor raid10" */
	const char *remedy;   /* what to do about it */
	const char *sentence; /* both */
};

/*
 * The obstacles of this member, one by one, the gravest first; NULL: there is no other. Starts
 * with *cursor = 0. Judges what is on the disk; whether a host has the modules is another
 * question.
 */
const struct md_obstacle *md_member_obstacle(const struct md_member *member,
					     enum md_taker taker, size_t *cursor);

/* The first of them, as a sentence; NULL: there is none. Of ANY, of the KERNEL, of US. */
const char *md_member_kind_refusal(const struct md_member *member);
const char *md_member_kernel_refusal(const struct md_member *member);
const char *md_member_our_refusal(const struct md_member *member);
