/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots: read as the OR over copies, written whole, merged in the safe order. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum {
	SECTORS = 16384,
	LARGE_SECTORS = 83886080, /* 40 GiB: 1.25 MiB of bits */
	MIB = 1 << 20,
};

struct pair {
	struct rig rig;
	struct md_array array;
	struct bitmap_copy copies[2];
};

/* Two disks, two slots, slot 0 emptied of the first resync. */
static void pair_init_of(struct pair *p, uint64_t sectors)
{
	struct md_create_params params;
	struct err err = ERR_INIT;

	rig_init(&p->rig, 1, 2, sectors);
	params = rig_params(&p->rig);
	params.nodes = 2;
	params.bitmap_chunk_bytes = 4096;
	params.is_assume_clean = true;
	rig_create(&p->rig, &params);
	assert_ok(md_array_load(&p->array, p->rig.disks, 2, NULL, &err), err);
	assert_int_equal(md_array_copies(&p->array, false, p->copies), 2);
}

static void pair_init(struct pair *p)
{
	pair_init_of(p, SECTORS);
}

static void pair_fini(struct pair *p)
{
	md_array_fini(&p->array);
	rig_fini(&p->rig);
}

/* Overwrites bytes of one slot on one disk. */
static void poke_slot(struct pair *p, size_t disk, uint32_t slot, size_t at,
		      const void *bytes, size_t length)
{
	const struct bitmap_geometry *geo = &p->array.members[disk].geo;

	disk_mem_poke(p->rig.disks[disk],
		      bitmap_slot_offset_bytes(geo, slot) + at, bytes, length);
}

static void load(struct pair *p, uint32_t number, struct bitmap_slot *slot)
{
	struct err err = ERR_INIT;

	assert_ok(md_array_load_slot(&p->array, number, slot, &err), err);
}

/* D12, B45: a bit that only one of the copies has stays set. */
static void slot_is_read_as_the_or_over_disks(void **state)
{
	struct pair p;
	struct bitmap_slot slot;

	(void)state;
	pair_init(&p);
	poke_slot(&p, 0, 1, 256 + 3, "\x01", 1);  /* chunk 24 */
	poke_slot(&p, 1, 1, 256 + 10, "\x80", 1); /* chunk 87 */
	load(&p, 1, &slot);
	assert_true(bits_test(slot.bits, 24));
	assert_true(bits_test(slot.bits, 87));
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 2);
	assert_int_equal(bitmap_slot_dirty_bytes(&slot), 2 * 4096);
	bitmap_slot_fini(&slot);
	pair_fini(&p);
}

/* The same of a slot that is read in pieces: on both sides of their border, and at the end. */
static void large_slot_is_read_as_the_or_over_disks(void **state)
{
	struct pair p;
	struct bitmap_slot slot;
	uint64_t last;

	(void)state;
	pair_init_of(&p, LARGE_SECTORS);
	last = p.array.members[0].geo.chunks - 1;
	poke_slot(&p, 0, 1, 256, "\x01", 1);              /* chunk 0 */
	poke_slot(&p, 0, 1, MIB, "\x01", 1);
	poke_slot(&p, 1, 1, MIB - 1, "\x80", 1);
	poke_slot(&p, 1, 1, MIB, "\x02", 1);
	poke_slot(&p, 1, 1, 256 + last / 8, &(uint8_t){ (uint8_t)(1u << last % 8) }, 1);
	load(&p, 1, &slot);
	assert_true(bits_test(slot.bits, 0));
	assert_true(bits_test(slot.bits, (MIB - 256) * 8 - 1));
	assert_true(bits_test(slot.bits, (MIB - 256) * 8));
	assert_true(bits_test(slot.bits, (MIB - 256) * 8 + 1));
	assert_true(bits_test(slot.bits, last));
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 5);
	bitmap_slot_fini(&slot);
	pair_fini(&p);
}

/* mdadm leaves ones behind the last chunk; they are no chunks. */
static void padding_behind_the_last_chunk_is_not_dirty(void **state)
{
	struct pair p;
	struct bitmap_slot slot;
	uint8_t ones[4096 - 256];

	(void)state;
	pair_init(&p);
	memset(ones, 0xff, sizeof(ones));
	poke_slot(&p, 0, 0, 256, ones, sizeof(ones));
	load(&p, 0, &slot);
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), slot.geo.chunks);
	assert_true(bitmap_slot_dirty_bytes(&slot) ==
		    slot.geo.sync_size * SECTOR_BYTES);
	bitmap_slot_fini(&slot);
	pair_fini(&p);
}

static void copy_with_a_damaged_superblock_is_passed_over(void **state)
{
	struct pair p;
	struct bitmap_slot slot;
	struct err err = ERR_INIT;

	(void)state;
	pair_init(&p);
	poke_slot(&p, 0, 1, 256, "\x04", 1);
	poke_slot(&p, 1, 1, 256, "\x08", 1);
	poke_slot(&p, 0, 1, 0, "none", 4);
	load(&p, 1, &slot);
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 1);
	assert_true(bits_test(slot.bits, 3));
	bitmap_slot_fini(&slot);
	/* with no copy left there is no slot, and never an empty one */
	poke_slot(&p, 1, 1, 0, "none", 4);
	assert_refused(md_array_load_slot(&p.array, 1, &slot, &err), -ENOENT,
		       err, "b", "slot 1", "magic");
	bitmap_slot_fini(&slot);
	pair_fini(&p);
}

static void disk_that_cannot_be_read_is_passed_over(void **state)
{
	struct pair p;
	struct bitmap_slot slot;
	struct err err = ERR_INIT;
	const struct bitmap_geometry *geo;

	(void)state;
	pair_init(&p);
	geo = &p.array.members[0].geo;
	poke_slot(&p, 1, 1, 256, "\x08", 1);
	disk_mem_set_fault(p.rig.disks[0], DISK_MEM_FAIL_READS,
			   bitmap_slot_offset_bytes(geo, 1), 512);
	load(&p, 1, &slot);
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 1);
	bitmap_slot_fini(&slot);
	disk_mem_set_fault(p.rig.disks[1], DISK_MEM_FAIL_READS,
			   bitmap_slot_offset_bytes(geo, 1), 512);
	assert_refused(md_array_load_slot(&p.array, 1, &slot, &err), -EIO, err,
		       "b", "read");
	bitmap_slot_fini(&slot);
	pair_fini(&p);
}

static void set_state(struct pair *p, size_t disk, uint32_t slot,
		      uint32_t state)
{
	uint8_t le[4] = { (uint8_t)state, 0, 0, 0 };

	poke_slot(p, disk, slot, 48, le, sizeof(le));
}

/* B41: opening a stale slot of somebody else must not scribble over it. */
static void stale_slot_reads_as_all_dirty_and_is_not_written(void **state)
{
	static const uint32_t states[] = { BITMAP_STATE_STALE,
					   BITMAP_STATE_WRITE_ERROR, 1 << 4 };
	struct pair p;
	struct bitmap_slot slot;
	uint64_t writes;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		pair_init(&p);
		set_state(&p, 1, 1, states[i]); /* on one of the disks only */
		writes = disk_world_writes(p.rig.world);
		load(&p, 1, &slot);
		assert_int_equal(bitmap_slot_dirty_chunks(&slot),
				 slot.geo.chunks);
		assert_int_equal(slot.sb.state, states[i]);
		assert_true(disk_world_writes(p.rig.world) == writes);
		bitmap_slot_fini(&slot);
		pair_fini(&p);
	}
}

/* D3 (B39): after every write of a merge each bit is in one slot or the other. */
static void merge_moves_bits_and_never_drops_one(void **state)
{
	uint64_t cut, writes = UINT64_MAX;

	(void)state;
	for (cut = 0; cut <= writes; cut++) {
		struct pair p;
		struct bitmap_slot from, into;
		struct err err = ERR_INIT;
		uint64_t before;
		int r;

		pair_init(&p);
		rig_plant(&p.rig, 0, 5, 5);
		rig_plant(&p.rig, 1, 70, 79);
		load(&p, 0, &into);
		load(&p, 1, &from);
		before = disk_world_writes(p.rig.world);
		if (writes != UINT64_MAX)
			disk_world_cut_power_after(p.rig.world, cut);
		r = bitmap_slot_merge(&from, &into, p.copies, 2, &err);
		if (writes == UINT64_MAX) {
			assert_ok(r, err);
			writes = disk_world_writes(p.rig.world) - before;
			assert_int_equal(rig_dirty(&p.rig, 0), 11);
			assert_int_equal(rig_dirty(&p.rig, 1), 0);
		}
		disk_world_cut_power(p.rig.world);
		disk_world_restore_power(p.rig.world);
		assert_true(rig_dirty(&p.rig, 0) == 11 ||
			    rig_dirty(&p.rig, 1) == 10);
		bitmap_slot_fini(&from);
		bitmap_slot_fini(&into);
		pair_fini(&p);
	}
	assert_int_equal(writes, 4);
}

/*
 * An earlier merge was cut short: the bit stands in slot 0 on one disk only, so
 * the OR has it already. It must be stored all the same before slot 1 is
 * cleared, for md will read the other disk.
 */
static void merge_stores_what_only_one_copy_has(void **state)
{
	struct pair p;
	struct bitmap_slot from, into;
	struct err err = ERR_INIT;
	uint8_t byte;

	(void)state;
	pair_init(&p);
	rig_plant(&p.rig, 1, 9, 9);
	poke_slot(&p, 0, 0, 256 + 1, "\x02", 1); /* chunk 9, on disk a alone */
	load(&p, 0, &into);
	load(&p, 1, &from);
	assert_ok(bitmap_slot_merge(&from, &into, p.copies, 2, &err), err);
	disk_mem_peek(p.rig.disks[1], 8192 + 256 + 1, &byte, 1);
	assert_int_equal(byte, 2);
	bitmap_slot_fini(&from);
	bitmap_slot_fini(&into);
	pair_fini(&p);
}

/* A re-added member missed what any slot says: the highest bound counts. */
static void events_cleared_is_the_highest_of_all(void **state)
{
	struct pair p;
	struct bitmap_slot from, into;
	struct err err = ERR_INIT;

	(void)state;
	pair_init(&p);
	poke_slot(&p, 1, 1, 32, "\x63", 1); /* 99, on disk b alone */
	rig_plant(&p.rig, 1, 9, 9);
	load(&p, 0, &into);
	load(&p, 1, &from);
	assert_int_equal(from.sb.events_cleared, 99);
	assert_ok(bitmap_slot_merge(&from, &into, p.copies, 2, &err), err);
	bitmap_slot_fini(&into);
	load(&p, 0, &into);
	assert_int_equal(into.sb.events_cleared, 99);
	bitmap_slot_fini(&from);
	bitmap_slot_fini(&into);
	pair_fini(&p);
}

/* B40: "found any" is a count; chunk 0 alone is something. */
static void merge_of_chunk_0_alone_is_a_merge(void **state)
{
	struct pair p;
	struct bitmap_slot from, into;
	struct err err = ERR_INIT;

	(void)state;
	pair_init(&p);
	rig_plant(&p.rig, 1, 0, 0);
	load(&p, 0, &into);
	load(&p, 1, &from);
	assert_ok(bitmap_slot_merge(&from, &into, p.copies, 2, &err), err);
	assert_int_equal(rig_dirty(&p.rig, 0), 1);
	assert_int_equal(rig_dirty(&p.rig, 1), 0);
	bitmap_slot_fini(&from);
	bitmap_slot_fini(&into);
	pair_fini(&p);
}

static void merge_of_a_clean_slot_writes_nothing(void **state)
{
	struct pair p;
	struct bitmap_slot from, into;
	struct err err = ERR_INIT;
	uint64_t writes;

	(void)state;
	pair_init(&p);
	load(&p, 0, &into);
	load(&p, 1, &from);
	writes = disk_world_writes(p.rig.world);
	assert_ok(bitmap_slot_merge(&from, &into, p.copies, 2, &err), err);
	assert_true(disk_world_writes(p.rig.world) == writes);
	bitmap_slot_fini(&from);
	bitmap_slot_fini(&into);
	pair_fini(&p);
}

static void merge_of_a_stale_slot_dirties_everything_once(void **state)
{
	struct pair p;
	struct bitmap_slot from, into;
	struct err err = ERR_INIT;

	(void)state;
	pair_init(&p);
	set_state(&p, 0, 1, BITMAP_STATE_STALE);
	load(&p, 0, &into);
	load(&p, 1, &from);
	assert_ok(bitmap_slot_merge(&from, &into, p.copies, 2, &err), err);
	bitmap_slot_fini(&from);
	load(&p, 1, &from);
	assert_int_equal(from.sb.state, 0);
	assert_int_equal(bitmap_slot_dirty_chunks(&from), 0);
	assert_int_equal(rig_dirty(&p.rig, 0), from.geo.chunks);
	bitmap_slot_fini(&from);
	bitmap_slot_fini(&into);
	pair_fini(&p);
}

/* B19: writing page 1 of slot 1 leaves every other byte of the disk alone. */
static void page_write_touches_only_its_page(void **state)
{
	struct rig rig;
	struct md_create_params params;
	struct md_array array;
	struct bitmap_copy copies[2];
	struct bitmap_slot slot;
	struct err err = ERR_INIT;
	enum { BYTES = 1 << 20 };
	uint8_t *before = malloc(BYTES), *after = malloc(BYTES);
	uint64_t page;

	(void)state;
	rig_init(&rig, 1, 2, 1 << 20);
	params = rig_params(&rig);
	params.bitmap_chunk_bytes = 8192; /* 65536 chunks: three pages */
	rig_create(&rig, &params);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	md_array_copies(&array, false, copies);
	assert_ok(md_array_load_slot(&array, 1, &slot, &err), err);
	assert_int_equal(slot.geo.slot_pages, 3);
	disk_mem_peek(rig.disks[0], 0, before, BYTES);
	bits_set_range(slot.bits, 30720, 30720);
	assert_ok(bitmap_slot_store_pages(&slot, 1, 1, copies, 2, &err), err);
	disk_mem_peek(rig.disks[0], 0, after, BYTES);
	page = bitmap_slot_offset_bytes(&array.members[0].geo, 1) + 4096;
	assert_int_equal(after[page], 1);
	after[page] = 0;
	assert_memory_equal(before, after, BYTES);
	free(before);
	free(after);
	bitmap_slot_fini(&slot);
	md_array_fini(&array);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slot_is_read_as_the_or_over_disks),
		cmocka_unit_test(large_slot_is_read_as_the_or_over_disks),
		cmocka_unit_test(padding_behind_the_last_chunk_is_not_dirty),
		cmocka_unit_test(copy_with_a_damaged_superblock_is_passed_over),
		cmocka_unit_test(disk_that_cannot_be_read_is_passed_over),
		cmocka_unit_test(stale_slot_reads_as_all_dirty_and_is_not_written),
		cmocka_unit_test(merge_moves_bits_and_never_drops_one),
		cmocka_unit_test(merge_stores_what_only_one_copy_has),
		cmocka_unit_test(events_cleared_is_the_highest_of_all),
		cmocka_unit_test(merge_of_chunk_0_alone_is_a_merge),
		cmocka_unit_test(merge_of_a_clean_slot_writes_nothing),
		cmocka_unit_test(merge_of_a_stale_slot_dirties_everything_once),
		cmocka_unit_test(page_write_touches_only_its_page),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
