/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Create: what is on the disks afterwards, and what is refused before. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

enum { SECTORS = 131072 };

static int plan_for(const struct md_create_params *p, const uint64_t *sectors,
		    size_t count, struct md_create_plan *plan, struct err *err)
{
	static const char *const names[] = { "a", "b", "c", "d" };

	return md_create_make_plan(p, sectors, names, count, plan, err);
}

static struct md_create_params two_disk_params(void)
{
	return (struct md_create_params){
		.level = MD_LEVEL_RAID1,
		.raid_disks = 2,
		.cluster_name = "alpha",
		.name = "host:web",
		.now_s = 1700000000,
	};
}

static void every_slot_of_every_disk_is_as_md_expects_it(void **state)
{
	struct rig rig;
	struct md_create_params p;
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i;
	uint32_t n;

	(void)state;
	rig_init(&rig, 1, 3, SECTORS);
	p = rig_params(&rig);
	p.raid_disks = 2;
	p.spare_disks = 1;
	p.nodes = 5;
	p.daemon_sleep_s = 9;
	rig_create(&rig, &p);
	assert_ok(md_array_load(&array, rig.disks, 3, NULL, &err), err);
	for (i = 0; i < 3; i++) {
		struct md_member *m = &array.members[i];
		struct bitmap_copy copy = md_member_copy(m);

		assert_int_equal(m->minor, MD_MINOR_2);
		assert_int_equal(m->sb.feature_map, 0x101);
		assert_int_equal(m->sb.dev_number, i);
		assert_int_equal(md_sb_role(&m->sb),
				 i < 2 ? i : (size_t)MD_ROLE_SPARE);
		assert_true(m->sb.resync_offset == 0 && m->sb.events == 0);
		assert_string_equal((const char *)m->sb.set_name, "host:web");
		assert_null(md_member_kernel_refusal(m));
		for (n = 0; n < 5; n++) {
			struct bitmap_slot slot;

			assert_ok(bitmap_slot_init(&slot, &m->geo, n, &err), err);
			assert_ok(bitmap_slot_load(&slot, &copy, 1, false, &err), err);
			/* a full resync, from slot 0 only */
			assert_int_equal(bitmap_slot_dirty_chunks(&slot),
					 n ? 0 : slot.geo.chunks);
			assert_int_equal(slot.sb.nodes, 5);
			assert_int_equal(slot.sb.daemon_sleep, 9);
			assert_string_equal(bitmap_sb_cluster_name(&slot.sb),
					    "alpha");
			bitmap_slot_fini(&slot);
		}
	}
	assert_memory_not_equal(array.members[0].sb.device_uuid,
				array.members[1].sb.device_uuid, 16);
	md_array_fini(&array);
	rig_fini(&rig);
}

/* D11: resync_offset is all-ones only while all slots are zero. */
static void assume_clean_leaves_no_bit_set(void **state)
{
	struct rig rig;
	struct md_create_params p;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.is_assume_clean = true;
	rig_create(&rig, &p);
	assert_ok(md_array_load(&array, rig.disks, 2, NULL, &err), err);
	assert_true(array.members[0].sb.resync_offset == MD_MAX_SECTOR);
	assert_int_equal(rig_dirty(&rig, 0), 0);
	md_array_fini(&array);
	rig_fini(&rig);
}

/* Only metadata is written: the data, and what lies between, stays. */
static void nothing_but_metadata_is_written(void **state)
{
	enum { BYTES = SECTORS * SECTOR_BYTES };
	struct rig rig;
	struct md_create_params p;
	uint8_t *fill = malloc(BYTES), *after = malloc(BYTES);

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	memset(fill, 0xaa, BYTES);
	disk_mem_poke(rig.disks[0], 0, fill, BYTES);
	p = rig_params(&rig);
	rig_create(&rig, &p);
	disk_mem_peek(rig.disks[0], 0, after, BYTES);
	assert_memory_equal(after, fill, 4096);
	assert_memory_equal(after + 8192 + 4 * 4096, fill, BYTES - 8192 - 4 * 4096);
	free(fill);
	free(after);
	rig_fini(&rig);
}

/* No room for the new bitmap beside the one that still counts. */
static void old_array_that_leaves_no_room_is_named_and_left_alone(void **state)
{
	struct rig rig;
	struct md_create_params p;
	struct md_create_plan plan;
	const uint64_t sectors[2] = { SECTORS, SECTORS };
	struct err err = ERR_INIT;
	uint64_t writes;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.data_offset_sectors = 64; /* six slots; four are taken */
	rig_create(&rig, &p);
	assert_ok(plan_for(&p, sectors, 2, &plan, &err), err);
	writes = disk_world_writes(rig.world);
	assert_refused(md_create_execute(&plan, rig.disks, 2, NULL, &err), -ENOSPC,
		       err, "a: ", "mdcluster zero");
	assert_true(disk_world_writes(rig.world) == writes);
	rig_fini(&rig);
}

static void missing_disk_leaves_its_place_free(void **state)
{
	const uint64_t sectors[2] = { SECTORS, 0 };
	struct md_create_params p = two_disk_params();
	struct rig rig;
	struct disk *disks[2];
	struct md_create_plan plan;
	struct md_array array;
	struct err err = ERR_INIT;

	(void)state;
	rig_init(&rig, 1, 1, SECTORS);
	disks[0] = rig.disks[0];
	disks[1] = NULL;
	assert_ok(plan_for(&p, sectors, 2, &plan, &err), err);
	assert_ok(md_create_execute(&plan, disks, 2, NULL, &err), err);
	assert_ok(md_array_load(&array, rig.disks, 1, NULL, &err), err);
	assert_int_equal(array.members[0].sb.raid_disks, 2);
	assert_int_equal(array.members[0].sb.roles[1], MD_ROLE_SPARE);
	md_array_fini(&array);
	rig_fini(&rig);
}

static void mirror_set_without_any_disk_is_refused(void **state)
{
	const uint64_t none[4] = { SECTORS, SECTORS, 0, 0 };
	const uint64_t one_each[4] = { SECTORS, 0, 0, SECTORS };
	struct md_create_params p = two_disk_params();
	struct md_create_plan plan;
	struct err err = ERR_INIT;

	(void)state;
	p.level = MD_LEVEL_RAID10;
	p.raid_disks = 4;
	assert_refused(plan_for(&p, none, 4, &plan, &err), -EINVAL, err,
		       "2 to 3", "missing");
	assert_ok(plan_for(&p, one_each, 4, &plan, &err), err);
}

static void impossible_wishes_are_refused_by_name(void **state)
{
	const uint64_t sectors[4] = { SECTORS, SECTORS, SECTORS, SECTORS };
	const uint64_t small[2] = { SECTORS, 2100 };
	struct md_create_params p;
	struct md_create_plan plan;
	struct err err = ERR_INIT;

	(void)state;
#define REFUSED(count, code, ...)                                              \
	assert_refused(plan_for(&p, sectors, count, &plan, &err), code, err,   \
		       __VA_ARGS__)
	p = two_disk_params();
	p.level = 5;
	REFUSED(2, -EOPNOTSUPP, "level");
	p = two_disk_params();
	p.raid_disks = 1;
	REFUSED(1, -EINVAL, "raid-devices");
	p = two_disk_params();
	REFUSED(3, -EINVAL, "disks: 3");
	p.nodes = 1;
	REFUSED(2, -EINVAL, "nodes");
	p.nodes = 65;
	REFUSED(2, -EINVAL, "nodes", "2..64");
	p = two_disk_params();
	p.chunk_sectors = 128;
	REFUSED(2, -EINVAL, "chunk");
	p = two_disk_params();
	p.near_copies = 2;
	REFUSED(2, -EINVAL, "layout");
	p = two_disk_params();
	p.level = MD_LEVEL_RAID10;
	p.near_copies = 3;
	REFUSED(2, -EINVAL, "layout", "n3");
	p.near_copies = 2;
	p.chunk_sectors = 96;
	REFUSED(2, -EINVAL, "chunk");
	p = two_disk_params();
	p.name = "a-name-of-thirty-three-characters";
	REFUSED(2, -EINVAL, "name", "33 bytes");
	p = two_disk_params();
	p.cluster_name = NULL;
	REFUSED(2, -EINVAL, "home-cluster");
	p = two_disk_params();
	p.bitmap_chunk_bytes = 2048;
	REFUSED(2, -EINVAL, "bitmap-chunk");
	p.bitmap_chunk_bytes = 3 << 20;
	REFUSED(2, -EINVAL, "bitmap-chunk");
	p = two_disk_params();
	p.data_offset_sectors = 2049;
	REFUSED(2, -EINVAL, "data-offset", "4 KiB");
	p = two_disk_params();
	p.size_sectors = SECTORS;
	REFUSED(2, -ENOSPC, "a: ", "size", "room for 129024");
	p = two_disk_params();
	assert_refused(plan_for(&p, small, 2, &plan, &err), -ENOSPC, err, "b: ",
		       "too small", "data-offset");
#undef REFUSED
}

/* Names the largest node count that fits; that one fits, one more does not. */
static void room_check_names_the_largest_node_count_that_fits(void **state)
{
	const uint64_t sectors[2] = { 4 << 20, 4 << 20 };
	struct md_create_params p = two_disk_params();
	struct md_create_plan plan;
	struct err err = ERR_INIT;
	unsigned int fit;
	const char *at;

	(void)state;
	p.bitmap_chunk_bytes = 4096; /* half a million chunks: 17 pages */
	p.nodes = 64;
	assert_refused(plan_for(&p, sectors, 2, &plan, &err), -ENOSPC, err,
		       "nodes", "at most");
	at = strstr(err.text, "at most ");
	fit = (unsigned int)atoi(at + strlen("at most "));
	assert_true(fit >= 2 && fit < 64);
	p.nodes = fit;
	assert_ok(plan_for(&p, sectors, 2, &plan, &err), err);
	p.nodes = fit + 1;
	assert_int_equal(plan_for(&p, sectors, 2, &plan, &err), -ENOSPC);
}

/* B19, B31: many pages a slot, every slot number, no slot touches another. */
static void slots_of_up_to_200_pages_stay_apart(void **state)
{
	static const uint32_t pages[] = { 1, 2, 3, 17, 200 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		uint64_t chunks = 30720 + 32768ull * (pages[i] - 1);
		struct rig rig;
		struct md_create_params p;
		uint32_t n;

		/* 8 sectors a chunk; room for 3 slots before the data */
		rig_init(&rig, 1, 2, 8192 + chunks * 8);
		p = rig_params(&rig);
		p.nodes = 3;
		p.bitmap_chunk_bytes = 4096;
		p.data_offset_sectors = 8192;
		p.size_sectors = chunks * 8;
		p.is_assume_clean = true;
		rig_create(&rig, &p);
		for (n = 0; n < 3; n++)
			rig_plant(&rig, n, chunks - 1 - n, chunks - 1 - n);
		for (n = 0; n < 3; n++) {
			uint64_t found;
			uint8_t *bits = rig_slot_bits(&rig, n, &found);

			assert_int_equal(found, chunks);
			assert_int_equal(bits_count(bits, chunks), 1);
			assert_true(bits_test(bits, chunks - 1 - n));
			free(bits);
		}
		rig_fini(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_slot_of_every_disk_is_as_md_expects_it),
		cmocka_unit_test(assume_clean_leaves_no_bit_set),
		cmocka_unit_test(nothing_but_metadata_is_written),
		cmocka_unit_test(old_array_that_leaves_no_room_is_named_and_left_alone),
		cmocka_unit_test(missing_disk_leaves_its_place_free),
		cmocka_unit_test(mirror_set_without_any_disk_is_refused),
		cmocka_unit_test(impossible_wishes_are_refused_by_name),
		cmocka_unit_test(room_check_names_the_largest_node_count_that_fits),
		cmocka_unit_test(slots_of_up_to_200_pages_stay_apart),
	};

	return cmocka_run_group_tests_name("create", tests, NULL, NULL);
}
