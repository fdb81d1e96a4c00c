/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Superblocks of md and of its bitmaps: every load rule, by name. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { DISK_SECTORS = 131072 };

static struct md_sb sound_sb(void)
{
	struct md_sb sb = {
		.feature_map = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED,
		.set_name = "host:web",
		.ctime = 1700000000,
		.level = MD_LEVEL_RAID1,
		.size = 129024,
		.raid_disks = 2,
		.bitmap_offset = 8,
		.data_offset = 2048,
		.data_size = 129024,
		.super_offset = 8,
		.dev_number = 1,
		.events = 22,
		.max_dev = 128,
	};
	uint32_t i;

	memset(sb.set_uuid, 0x5c, sizeof(sb.set_uuid));
	memset(sb.device_uuid, 0x40, sizeof(sb.device_uuid));
	for (i = 0; i < sb.max_dev; i++)
		sb.roles[i] = i < 2 ? (uint16_t)i : (uint16_t)MD_ROLE_SPARE;
	return sb;
}

static void emitted_superblock_parses_to_the_same_fields(void **state)
{
	struct md_sb sb = sound_sb(), back;
	uint8_t block[MD_SB_BYTES] = { 0 }, again[MD_SB_BYTES] = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	md_sb_emit(&sb, block);
	assert_ok(md_sb_parse(block, 8, DISK_SECTORS, &back, &err), err);
	md_sb_emit(&back, again);
	assert_memory_equal(block, again, sizeof(block));
	assert_int_equal(md_sb_role(&back), 1);
	assert_true(back.events == 22 && back.data_offset == 2048);
}

static void emit_touches_only_the_bytes_of_the_superblock(void **state)
{
	struct md_sb sb = sound_sb();
	uint8_t block[MD_SB_BYTES];
	size_t i;

	(void)state;
	memset(block, 0xaa, sizeof(block));
	md_sb_emit(&sb, block);
	for (i = MD_SB_HEADER_BYTES + 2 * 128; i < sizeof(block); i++)
		assert_int_equal(block[i], 0xaa);
}

/* One way to spoil a sound superblock, and what must be said about it. */
struct spoil {
	const char *field;
	size_t at;
	uint64_t value;
	size_t width;
	bool repair_checksum;
	int code;
};

static void repair(uint8_t block[MD_SB_BYTES], uint32_t max_dev)
{
	struct wr wr = wr_over(block, MD_SB_BYTES);
	uint32_t sum = md_sb_checksum(block, max_dev);

	wr_seek(&wr, 216);
	wr_u32(&wr, sum);
}

static void patch(uint8_t *bytes, size_t length, const struct spoil *s)
{
	struct wr wr = wr_over(bytes, length);

	wr_seek(&wr, s->at);
	if (s->width == 1)
		wr_u8(&wr, (uint8_t)s->value);
	else if (s->width == 4)
		wr_u32(&wr, (uint32_t)s->value);
	else
		wr_u64(&wr, s->value);
}

static void each_broken_field_is_refused_by_name(void **state)
{
	static const struct spoil spoils[] = {
		{ "magic", 0, 0, 4, true, -ENOENT },
		{ "major_version", 4, 2, 4, true, -EOPNOTSUPP },
		{ "unknown bits 0x2000", 8, 0x2101, 4, true, -EOPNOTSUPP },
		{ "pad0", 12, 1, 4, true, -EOPNOTSUPP },
		{ "checksum", 200, 23, 8, false, -EBADMSG },
		{ "size", 80, 129025, 8, true, -EBADMSG },
		{ "data_offset", 128, 8, 8, true, -EBADMSG },
		{ "data_offset", 128, UINT64_MAX - 5, 8, true, -EBADMSG },
		{ "data_size", 136, 9, 8, true, -EBADMSG },
		{ "data_size", 136, 129025, 8, true, -EBADMSG },
		{ "data_size", 136, UINT64_MAX, 8, true, -EBADMSG },
		{ "super_offset", 144, 0, 8, true, -EBADMSG },
		{ "dev_number", 160, 128, 4, true, -EBADMSG },
		{ "raid_disks", 92, 0, 4, true, -EBADMSG },
		{ "raid_disks", 92, UINT32_MAX, 4, true, -EBADMSG },
		{ "bblog_offset", 8, 0x109, 4, true, -EBADMSG },
		{ "max_dev", 220, 65535, 4, false, -EBADMSG },
		{ "max_dev", 220, 1921, 4, false, -EBADMSG },
		{ "pad3", 224, 1, 1, true, -EOPNOTSUPP },
		{ "pad3", 255, 1, 1, true, -EOPNOTSUPP },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
		struct md_sb sb = sound_sb(), back;
		uint8_t block[MD_SB_BYTES] = { 0 };
		struct err err = ERR_INIT;

		md_sb_emit(&sb, block);
		patch(block, sizeof(block), &spoils[i]);
		if (spoils[i].repair_checksum)
			repair(block, sb.max_dev);
		assert_refused(md_sb_parse(block, 8, DISK_SECTORS, &back, &err),
			       spoils[i].code, err, spoils[i].field);
	}
}

/* Metadata 1.0 stands behind its data, never inside. */
static void data_over_the_superblock_is_refused_at_any_place(void **state)
{
	struct md_sb sb = sound_sb(), back;
	uint8_t block[MD_SB_BYTES] = { 0 };
	uint64_t at = md_sb_location(MD_MINOR_0, DISK_SECTORS);
	struct err err = ERR_INIT;

	(void)state;
	sb.super_offset = at;
	sb.data_offset = 0;
	sb.size = 1024;
	sb.data_size = at;
	md_sb_emit(&sb, block);
	assert_ok(md_sb_parse(block, at, DISK_SECTORS, &back, &err), err);
	sb.data_size = at + 1;
	md_sb_emit(&sb, block);
	assert_refused(md_sb_parse(block, at, DISK_SECTORS, &back, &err),
		       -EBADMSG, err, "data_size", "superblock");
}

/* What a refused superblock left in the struct may be shown: no wild reads. */
static void role_of_a_damaged_superblock_is_spare(void **state)
{
	struct md_sb sb = sound_sb();

	(void)state;
	sb.max_dev = 65535;
	sb.dev_number = 60000;
	assert_int_equal(md_sb_role(&sb), MD_ROLE_SPARE);
}

static void truncated_disk_is_refused(void **state)
{
	struct md_sb sb = sound_sb(), back;
	uint8_t block[MD_SB_BYTES] = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	md_sb_emit(&sb, block);
	assert_ok(md_sb_parse(block, 8, DISK_SECTORS, &back, &err), err);
	assert_refused(md_sb_parse(block, 8, DISK_SECTORS - 1, &back, &err),
		       -EBADMSG, err, "data_offset", "end of the disk");
}

static void odd_number_of_roles_counts_its_last_half_word(void **state)
{
	struct md_sb sb = sound_sb(), back;
	uint8_t block[MD_SB_BYTES] = { 0 };
	struct err err = ERR_INIT;
	uint32_t sum;

	(void)state;
	sb.max_dev = 3;
	md_sb_emit(&sb, block);
	assert_ok(md_sb_parse(block, 8, DISK_SECTORS, &back, &err), err);
	sum = back.checksum;
	sb.roles[2] = MD_ROLE_FAULTY;
	md_sb_emit(&sb, block);
	assert_ok(md_sb_parse(block, 8, DISK_SECTORS, &back, &err), err);
	assert_int_equal(back.checksum, sum - 1);
}

static void superblock_sits_where_its_minor_version_says(void **state)
{
	(void)state;
	assert_int_equal(md_sb_location(MD_MINOR_1, 1000), 0);
	assert_int_equal(md_sb_location(MD_MINOR_2, 1000), 8);
	assert_int_equal(md_sb_location(MD_MINOR_0, 1000), 984);
	assert_int_equal(md_sb_location(MD_MINOR_0, 1007), 984);
	assert_int_equal(md_sb_location(MD_MINOR_0, 1008), 992);
}

static void sync_size_of_raid10_counts_whole_chunks(void **state)
{
	struct md_sb sb = sound_sb();

	(void)state;
	assert_int_equal(md_sb_sync_size(&sb), 129024);
	sb.level = MD_LEVEL_RAID10;
	sb.layout = 0x102;
	sb.chunksize = 1024;
	sb.raid_disks = 3;
	sb.size = 5 * 1024;
	/* 15 chunks on 2 copies: 7 whole chunks, as raid10_size() has it */
	assert_int_equal(md_sb_sync_size(&sb), 7 * 1024);
	assert_true(md_sb_is_near_layout(&sb));
	sb.layout = 0x201; /* f2 */
	assert_false(md_sb_is_near_layout(&sb));
	sb.layout = 0x10201; /* o2 */
	assert_false(md_sb_is_near_layout(&sb));
	sb.layout = 0;
	assert_int_equal(md_sb_sync_size(&sb), 0);
}

static void name_of_32_bytes_fits_and_worse_ones_are_refused(void **state)
{
	const char *full = "0123456789abcdef0123456789abcdef";
	struct md_sb sb = sound_sb();
	char name[MD_NAME_BYTES + 1];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(md_sb_set_name(&sb, full, &err), err);
	assert_string_equal(md_sb_name(&sb, name), full);
	assert_refused(md_sb_set_name(&sb, "0123456789abcdef0123456789abcdef0",
				      &err), -EINVAL, err, "name", "33");
	assert_refused(md_sb_set_name(&sb, "", &err), -EINVAL, err, "name");
	assert_refused(md_sb_set_name(&sb, "a/b", &err), -EINVAL, err, "slash");
	assert_refused(md_sb_set_name(&sb, "w\nARRAY", &err), -EINVAL, err,
		       "control");
	assert_string_equal(md_sb_name(&sb, name), full);
}

/* --- bitmap superblock ------------------------------------------------------ */

static struct bitmap_sb sound_bitmap(void)
{
	struct bitmap_sb sb = {
		.version = BITMAP_VERSION_CLUSTERED,
		.events = 19,
		.events_cleared = 7,
		.sync_size = 129024,
		.chunksize = 65536,
		.daemon_sleep = 5,
		.nodes = 4,
		.cluster_name = "alpha",
	};

	memset(sb.uuid, 0x5c, sizeof(sb.uuid));
	return sb;
}

static void emitted_bitmap_superblock_parses_to_the_same_fields(void **state)
{
	struct bitmap_sb sb = sound_bitmap(), back;
	uint8_t bytes[BITMAP_SB_BYTES], again[BITMAP_SB_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	bitmap_sb_emit(&sb, bytes);
	assert_ok(bitmap_sb_parse(bytes, &back, &err), err);
	bitmap_sb_emit(&back, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
	assert_memory_equal(&sb, &back, sizeof(sb));
}

static void each_broken_bitmap_field_is_refused_by_name(void **state)
{
	static const struct spoil spoils[] = {
		{ "magic", 0, 0, 4, false, -ENOENT },
		{ "version 3", 4, 3, 4, false, -EOPNOTSUPP },
		{ "llbitmap", 4, 6, 4, false, -EOPNOTSUPP },
		{ "version 7", 4, 7, 4, false, -EOPNOTSUPP },
		{ "sync_size", 40, 0, 8, false, -EBADMSG },
		{ "chunksize", 52, 0, 4, false, -EBADMSG },
		{ "chunksize", 52, 65537, 4, false, -EBADMSG },
		{ "chunksize", 52, 256, 4, false, -EBADMSG },
		{ "daemon_sleep", 56, 0, 4, false, -EBADMSG },
		{ "write_behind", 60, 16384, 4, false, -EBADMSG },
		{ "nodes", 68, 0, 4, false, -EBADMSG },
		{ "nodes", 68, 1000000, 4, false, -EBADMSG },
		{ "pad", 255, 1, 1, false, -EOPNOTSUPP },
	};
	struct bitmap_sb sb = sound_bitmap(), back;
	uint8_t bytes[BITMAP_SB_BYTES];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
		bitmap_sb_emit(&sb, bytes);
		patch(bytes, sizeof(bytes), &spoils[i]);
		assert_refused(bitmap_sb_parse(bytes, &back, &err),
			       spoils[i].code, err, spoils[i].field);
	}
	memset(sb.cluster_name, 'x', sizeof(sb.cluster_name));
	bitmap_sb_emit(&sb, bytes);
	assert_refused(bitmap_sb_parse(bytes, &back, &err), -EBADMSG, err,
		       "cluster_name", "NUL");
}

static void plain_bitmap_of_version_4_is_read(void **state)
{
	struct bitmap_sb sb = sound_bitmap(), back;
	uint8_t bytes[BITMAP_SB_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	sb.version = BITMAP_VERSION_PLAIN;
	sb.nodes = 0;
	memset(sb.cluster_name, 0, sizeof(sb.cluster_name));
	bitmap_sb_emit(&sb, bytes);
	assert_ok(bitmap_sb_parse(bytes, &back, &err), err);
}

static void cluster_name_of_63_bytes_fits_and_64_is_refused(void **state)
{
	struct bitmap_sb sb = sound_bitmap();
	char name[65];
	struct err err = ERR_INIT;

	(void)state;
	memset(name, 'n', 64);
	name[64] = '\0';
	assert_refused(bitmap_sb_set_cluster_name(&sb, name, &err), -EINVAL, err,
		       "home-cluster", "64", "63");
	name[63] = '\0';
	assert_ok(bitmap_sb_set_cluster_name(&sb, name, &err), err);
	assert_string_equal(bitmap_sb_cluster_name(&sb), name);
	assert_refused(bitmap_sb_set_cluster_name(&sb, "", &err), -EINVAL, err,
		       "home-cluster");
	assert_refused(bitmap_sb_set_cluster_name(&sb, "a\tb", &err), -EINVAL,
		       err, "home-cluster", "control");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emitted_superblock_parses_to_the_same_fields),
		cmocka_unit_test(emit_touches_only_the_bytes_of_the_superblock),
		cmocka_unit_test(each_broken_field_is_refused_by_name),
		cmocka_unit_test(data_over_the_superblock_is_refused_at_any_place),
		cmocka_unit_test(role_of_a_damaged_superblock_is_spare),
		cmocka_unit_test(truncated_disk_is_refused),
		cmocka_unit_test(odd_number_of_roles_counts_its_last_half_word),
		cmocka_unit_test(superblock_sits_where_its_minor_version_says),
		cmocka_unit_test(sync_size_of_raid10_counts_whole_chunks),
		cmocka_unit_test(name_of_32_bytes_fits_and_worse_ones_are_refused),
		cmocka_unit_test(emitted_bitmap_superblock_parses_to_the_same_fields),
		cmocka_unit_test(each_broken_bitmap_field_is_refused_by_name),
		cmocka_unit_test(plain_bitmap_of_version_4_is_read),
		cmocka_unit_test(cluster_name_of_63_bytes_fits_and_64_is_refused),
	};

	return cmocka_run_group_tests_name("superblocks", tests, NULL, NULL);
}
