/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Geometry: our plans against what real mdadm chose for the same disks (317
 * arrays and 78 refusals, tests/data/geometry-mdadm.tsv), and the arithmetic of slots.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

enum { MAX_COLUMNS = 32, MAX_DISKS = 16 };

struct row {
	char *names[MAX_COLUMNS];
	char *cells[MAX_COLUMNS];
	size_t columns;
};

static size_t split(char *line, char **cells)
{
	size_t n = 0;
	char *cell;

	line[strcspn(line, "\n")] = '\0';
	while ((cell = strsep(&line, "\t")) != NULL && n < MAX_COLUMNS)
		cells[n++] = cell;
	return n;
}

static const char *cell(const struct row *row, const char *name)
{
	size_t i;

	for (i = 0; i < row->columns; i++)
		if (strcmp(row->names[i], name) == 0)
			return row->cells[i];
	fail_msg("no column '%s'", name);
	return NULL;
}

/* "-" is 0: not given */
static uint64_t value(const struct row *row, const char *name)
{
	const char *text = cell(row, name);

	return strcmp(text, "-") == 0 ? 0 : strtoull(text, NULL, 0);
}

static size_t list(const struct row *row, const char *name, uint64_t *values)
{
	const char *p = cell(row, name);
	char *end;
	size_t n = 0;

	while (n < MAX_DISKS) {
		values[n++] = strtoull(p, &end, 0);
		if (*end != ',')
			break;
		p = end + 1;
	}
	return n;
}

static void plan_row(const struct row *row, struct md_create_plan *plan,
		     int *result, struct err *err)
{
	static const char *const names[MAX_DISKS] = {
		"a", "b", "c", "d", "e", "f", "g", "h",
		"i", "j", "k", "l", "m", "n", "o", "p"
	};
	const char *layout = cell(row, "layout_arg");
	uint64_t sectors[MAX_DISKS];
	size_t count = list(row, "device_sectors_all", sectors);
	struct md_create_params p = {
		.level = (int)value(row, "level"),
		.near_copies = layout[0] == 'n' ?
				       (uint32_t)strtoul(layout + 1, NULL, 10) :
				       0,
		.raid_disks = (uint32_t)value(row, "raid_disks"),
		.spare_disks = (uint32_t)value(row, "spare_disks"),
		.chunk_sectors = (uint32_t)value(row, "chunk_arg_kib") * 2,
		.size_sectors = value(row, "size_arg_kib") * 2,
		.data_offset_sectors = value(row, "data_offset_arg"),
		.bitmap_chunk_bytes = (uint32_t)value(row, "bitmap_chunk_arg"),
		.nodes = (uint32_t)value(row, "nodes"),
		.cluster_name = "mycluster",
		.name = "node1:0",
		.is_assume_clean = true,
		.now_s = 1,
	};

	*result = md_create_make_plan(&p, sectors, names, count, plan, err);
}

static void check_accepted(const struct row *row)
{
	const char *name = row->cells[0];
	struct md_create_plan plan;
	struct err err = ERR_INIT;
	int r;

	plan_row(row, &plan, &r, &err);
	if (r < 0)
		fail_msg("%s: mdadm creates it, we say: %s", name, err.text);
#define SAME(ours, column)                                                     \
	if ((uint64_t)(ours) != value(row, column))                            \
	fail_msg("%s: " column " is %llu, mdadm has %llu", name,               \
		 (unsigned long long)(ours),                                   \
		 (unsigned long long)value(row, column))
	SAME(plan.sb.data_offset, "data_offset");
	SAME(plan.sb.size, "size");
	SAME(plan.sb.chunksize, "chunksize_sectors");
	SAME(plan.sb.layout, "layout");
	SAME(plan.sb.max_dev, "max_dev");
	SAME(plan.bitmap.chunksize, "bm_chunk_bytes");
	SAME(plan.geo.slot_bytes, "slot_bytes");
	/* as the kernel corrects it: mdadm is off for raid10 on odd disks */
	SAME(plan.bitmap.sync_size, "sync_size_post_slot0");
#undef SAME
}

/*
 * What mdadm refuses we refuse, but for bitmap chunks below its own limit: we
 * take them as long as the slots fit.
 */
static void check_refused(const struct row *row, int *refused, int *taken)
{
	const char *message = cell(row, "message");
	const char *count = strstr(message, "can't_exceed_");
	struct md_create_plan plan;
	struct err err = ERR_INIT;
	char wanted[64];
	int r;

	plan_row(row, &plan, &r, &err);
	if (r == 0) {
		if (!strstr(message, "bitmap_chunk_size_not_supported"))
			fail_msg("%s: mdadm says '%s', we create it",
				 row->cells[0], message);
		(*taken)++;
		return;
	}
	(*refused)++;
	if (!count || value(row, "nodes") > BITMAP_MAX_NODES)
		return;
	snprintf(wanted, sizeof(wanted), "at most %d nodes",
		 atoi(count + strlen("can't_exceed_")));
	if (!strstr(err.text, wanted))
		fail_msg("%s: '%s' does not say '%s'", row->cells[0], err.text,
			 wanted);
}

static void plans_agree_with_mdadm(void **state)
{
	size_t length;
	char *data = (char *)help_read_data("geometry-mdadm.tsv", 1 << 20,
					    &length);
	char *rest = data, *line;
	struct row row = { .columns = 0 };
	int accepted = 0, refused = 0, taken = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL) {
		uint64_t offset;

		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (row.columns == 0) {
			row.columns = split(line, row.names);
			continue;
		}
		assert_int_equal(split(line, row.cells), row.columns);
		offset = value(&row, "data_offset_arg");
		if (offset % 8) /* we keep 4 KiB alignment (D12) */
			continue;
		if (strchr("fo", cell(&row, "layout_arg")[0]))
			continue; /* a plan cannot even say far or offset */
		if (strcmp(cell(&row, "result"), "ok") == 0) {
			check_accepted(&row);
			accepted++;
		} else {
			check_refused(&row, &refused, &taken);
		}
	}
	free(data);
	print_message("%d arrays as mdadm made them, %d refused as there, %d with smaller chunks\n",
		      accepted, refused, taken);
	assert_true(accepted > 300 && refused > 20 && taken > 20);
}

/* B27: a size one sector past a whole chunk needs one more bit. */
static void partial_last_chunk_has_a_bit_of_its_own(void **state)
{
	struct bitmap_geometry geo;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(bitmap_geometry_init(&geo, 128 * 100, 65536, 4, 16, &err), err);
	assert_int_equal(geo.chunks, 100);
	assert_ok(bitmap_geometry_init(&geo, 128 * 100 + 1, 65536, 4, 16, &err),
		  err);
	assert_int_equal(geo.chunks, 101);
	assert_ok(bitmap_geometry_init(&geo, 128 * 100 - 1, 65536, 4, 16, &err),
		  err);
	assert_int_equal(geo.chunks, 100);
	/* 99 chunks and 127 sectors */
	assert_int_equal(bitmap_dirty_bytes(&geo, 100, 1), (12800 - 1) * 512);
	assert_int_equal(bitmap_dirty_bytes(&geo, 99, 0), 99 * 65536);
}

/* B19: the superblock takes 2048 bits of the first page, of no other. */
static void first_page_holds_30720_bits(void **state)
{
	struct bitmap_geometry geo;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(bitmap_geometry_init(&geo, 30720 * 8, 4096, 4, 16, &err), err);
	assert_int_equal(geo.slot_bytes, 4096);
	assert_ok(bitmap_geometry_init(&geo, 30720 * 8 + 1, 4096, 4, 16, &err),
		  err);
	assert_int_equal(geo.slot_bytes, 8192);
	assert_int_equal(bitmap_page_of_chunk(0), 0);
	assert_int_equal(bitmap_page_of_chunk(30719), 0);
	assert_int_equal(bitmap_page_of_chunk(30720), 1);
	assert_int_equal(bitmap_page_of_chunk(30720 + 32767), 1);
	assert_int_equal(bitmap_page_of_chunk(30720 + 32768), 2);
}

static void slots_lie_one_stride_apart(void **state)
{
	struct bitmap_geometry geo;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(bitmap_geometry_init(&geo, 76544 * 8, 4096, 4, 16, &err), err);
	assert_int_equal(geo.slot_bytes, 3 * 4096);
	assert_int_equal(bitmap_slot_offset_bytes(&geo, 0), 8192);
	assert_int_equal(bitmap_slot_offset_bytes(&geo, 3), 8192 + 3 * 12288);
	assert_int_equal(bitmap_end_bytes(&geo), 8192 + 4 * 12288);
	assert_int_equal(bitmap_max_nodes(&geo, 2048 * 512),
			 (2048 * 512 - 8192) / 12288);
	assert_int_equal(bitmap_max_nodes(&geo, 100), 0);
}

static void impossible_bitmaps_are_refused_by_name(void **state)
{
	struct bitmap_geometry geo;
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(bitmap_geometry_init(&geo, 1000, 0, 4, 16, &err), -EBADMSG,
		       err, "chunksize 0");
	assert_refused(bitmap_geometry_init(&geo, 1000, 3000, 4, 16, &err),
		       -EBADMSG, err, "chunksize 3000");
	assert_refused(bitmap_geometry_init(&geo, 0, 4096, 4, 16, &err), -EBADMSG,
		       err, "sync_size 0");
	assert_refused(bitmap_geometry_init(&geo, UINT64_MAX, 512, 4, 16, &err),
		       -EBADMSG, err, "sync_size");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_agree_with_mdadm),
		cmocka_unit_test(partial_last_chunk_has_a_bit_of_its_own),
		cmocka_unit_test(first_page_holds_30720_bits),
		cmocka_unit_test(slots_lie_one_stride_apart),
		cmocka_unit_test(impossible_bitmaps_are_refused_by_name),
	};

	return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
