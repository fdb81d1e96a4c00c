/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses: raid10 near for all disks and copies, against the formula in plain words. */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"
#include "mdclusterd/mirror/map.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/unit/help.h"

enum { CHUNK = 8, ROWS = 13, MEMBER = ROWS * CHUNK + 3 };

static struct map make(uint32_t disks, uint32_t near)
{
	struct mirror_config config = {
		.level = MD_LEVEL_RAID10,
		.layout = near | 0x100,
		.chunk_sectors = CHUNK,
		.member_sectors = MEMBER,
		.raid_disks = disks,
	};
	struct err err = ERR_INIT;
	struct map map;

	assert_ok(map_init(&map, &config, &err), err);
	return map;
}

static void every_copy_is_where_md_has_it(void **state)
{
	uint32_t disks, near, k;
	uint64_t at;

	(void)state;
	for (disks = 1; disks <= 9; disks++) {
		for (near = 1; near <= disks; near++) {
			struct map map = make(disks, near);

			for (at = 0; at < map.sectors; at++) {
				struct map_piece piece;

				map_piece_at(&map, at, map.sectors, &piece);
				assert_int_equal(piece.at, at);
				assert_int_equal(piece.sectors, CHUNK - at % CHUNK);
				for (k = 0; k < near; k++) {
					uint64_t cell = at / CHUNK * near + k;

					assert_int_equal(piece.copy[k].role,
							 cell % disks);
					assert_int_equal(piece.copy[k].sector,
							 cell / disks * CHUNK +
								 at % CHUNK);
					assert_true(piece.copy[k].sector < MEMBER);
					assert_true(map.set_roles[piece.set] >>
							    piece.copy[k].role &
						    1);
				}
				assert_int_equal(__builtin_popcount(
							 map.set_roles[piece.set]),
						 near);
			}
		}
	}
}

static void the_size_is_mds(void **state)
{
	uint32_t disks, near;

	(void)state;
	for (disks = 1; disks <= 9; disks++) {
		for (near = 1; near <= disks; near++) {
			struct map map = make(disks, near);
			struct md_sb sb = { 0 };

			sb.level = MD_LEVEL_RAID10;
			sb.layout = near | 0x100;
			sb.chunksize = CHUNK;
			sb.size = MEMBER;
			sb.raid_disks = disks;
			assert_int_equal(map.sectors, md_sb_sync_size(&sb));
		}
	}
}

/* Sector by sector, for all ranges of a few chunks. */
static void a_span_is_all_that_a_disk_has_of_a_range(void **state)
{
	static const uint32_t shapes[][2] = { { 2, 2 }, { 3, 2 }, { 4, 2 }, { 5, 3 },
					      { 3, 3 }, { 5, 2 }, { 4, 3 }, { 3, 1 } };
	uint32_t shape, role, k;
	uint64_t low, high, at;

	(void)state;
	for (shape = 0; shape < ARRAY_SIZE(shapes); shape++) {
		struct map map = make(shapes[shape][0], shapes[shape][1]);

		for (low = 0; low < 5 * CHUNK; low += 3) {
			for (high = low + 1; high < low + 5 * CHUNK; high += 5) {
				bool has[9][MEMBER] = { 0 };

				for (at = low; at < high; at++) {
					struct map_piece p;

					map_piece_at(&map, at, map.sectors, &p);
					for (k = 0; k < map.copies; k++)
						has[p.copy[k].role][p.copy[k].sector] =
							true;
				}
				for (role = 0; role < map.disks; role++) {
					uint64_t from = 0, to = 0, n;

					if (!map_span(&map, role, low, high, &from, &to))
						from = to = 0;
					for (n = 0; n < MEMBER; n++)
						assert_int_equal(has[role][n],
								 n >= from && n < to);
				}
			}
		}
	}
}

static void the_sets_of_a_range_are_those_of_its_chunks(void **state)
{
	struct map map = make(5, 2);
	uint64_t low, high, at;

	(void)state;
	assert_int_equal(map.sets, 5);
	for (low = 0; low < 12 * CHUNK; low += 3) {
		for (high = low + 1; high < low + 7 * CHUNK; high += 5) {
			uint32_t sets = 0;

			for (at = low; at < high; at++) {
				struct map_piece p;

				map_piece_at(&map, at, map.sectors, &p);
				sets |= 1u << p.set;
			}
			assert_int_equal(map_sets_in(&map, low, high), sets);
		}
	}
	map = make(4, 2);
	assert_int_equal(map.sets, 2);
	assert_int_equal(map.set_roles[0], 3);
	assert_int_equal(map.set_roles[1], 12);
}

static void raid1_is_one_piece_on_all_disks(void **state)
{
	struct mirror_config config = { .level = MD_LEVEL_RAID1,
					.member_sectors = 1000,
					.raid_disks = 3 };
	struct err err = ERR_INIT;
	struct map_piece piece;
	uint64_t from, to;
	struct map map;
	uint32_t k;

	(void)state;
	assert_ok(map_init(&map, &config, &err), err);
	assert_int_equal(map.sectors, 1000);
	map_piece_at(&map, 10, 990, &piece);
	assert_int_equal(piece.sectors, 980);
	for (k = 0; k < 3; k++) {
		assert_int_equal(piece.copy[k].role, k);
		assert_int_equal(piece.copy[k].sector, 10);
	}
	assert_true(map_span(&map, 2, 10, 990, &from, &to));
	assert_int_equal(from, 10);
	assert_int_equal(to, 990);
	assert_int_equal(map.set_roles[0], 7);
}

static void an_array_that_cannot_be_is_refused(void **state)
{
	struct mirror_config config = { .level = MD_LEVEL_RAID10,
					.layout = 0x102,
					.chunk_sectors = 8,
					.member_sectors = 100,
					.raid_disks = 4 };
	struct err err = ERR_INIT;
	struct map map;

	(void)state;
	config.layout = 0x202;
	assert_refused(map_init(&map, &config, &err), -EOPNOTSUPP, err, "near");
	config.layout = 0x10102;
	assert_refused(map_init(&map, &config, &err), -EOPNOTSUPP, err, "near");
	config.layout = 0x105;
	assert_refused(map_init(&map, &config, &err), -EINVAL, err, "5 copies");
	config.layout = 0x100;
	assert_refused(map_init(&map, &config, &err), -EINVAL, err, "0 copies");
	config.layout = 0x102;
	config.chunk_sectors = 0;
	assert_refused(map_init(&map, &config, &err), -EINVAL, err, "chunk");
	config.level = 5;
	assert_refused(map_init(&map, &config, &err), -EOPNOTSUPP, err, "level 5");
	config.level = MD_LEVEL_RAID1;
	config.raid_disks = 33;
	assert_refused(map_init(&map, &config, &err), -EINVAL, err, "33 disks");
	config.raid_disks = 0;
	assert_refused(map_init(&map, &config, &err), -EINVAL, err, "0 disks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_copy_is_where_md_has_it),
		cmocka_unit_test(the_size_is_mds),
		cmocka_unit_test(a_span_is_all_that_a_disk_has_of_a_range),
		cmocka_unit_test(the_sets_of_a_range_are_those_of_its_chunks),
		cmocka_unit_test(raid1_is_one_piece_on_all_disks),
		cmocka_unit_test(an_array_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
