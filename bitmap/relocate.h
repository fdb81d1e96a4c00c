/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moving the whole bitmap of an array to another place before its data, as one
 * atomic step on each disk.
 *
 * The superblock says where the bitmap is (bitmap_offset). So a new bitmap is
 * written beside the old one and made durable; then the one write of the
 * superblock, which fits a sector, changes over. A disk is at every instant
 * wholly old or wholly new. This is how the uuid, which stands in the
 * superblock and in every slot and must agree, can be changed safely at all.
 */
#pragma once

#include <stdint.h>

struct err;
struct md_array;

/*
 * Gives the array a new uuid (NULL: keeps it) and puts the bitmap where create
 * puts it, 4 KiB behind the superblock. Dirty bits are kept. A member that has
 * the new uuid already is left as it is. -ENOSPC, with nothing written, if the
 * room before the data does not hold two bitmaps. Members are up to date
 * afterwards; after another error the array must be loaded again.
 */
int md_relocate(struct md_array *array, const uint8_t *new_uuid,
		struct err *err);

/*
 * Is there room for it? -ENOSPC, naming the member, if not. Members that have
 * the uuid already need none.
 */
int md_relocate_check(const struct md_array *array, const uint8_t *new_uuid,
		      struct err *err);

/*
 * First byte of a place for `bytes` bytes, in [from, limit) and clear of
 * [busy_start, busy_end): `from` itself, or one that leaves [from, from + bytes)
 * free, so that the bitmap can come home from there. UINT64_MAX if there is
 * none. `from` is 4 KiB aligned, and so is the result.
 */
uint64_t md_relocate_find_room(uint64_t from, uint64_t limit,
			       uint64_t busy_start, uint64_t busy_end,
			       uint64_t bytes);
