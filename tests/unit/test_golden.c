/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images made by real kernels (tests/data/golden): each parses to the facts
 * that its makers wrote down, and comes back byte for byte.
 */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arith.h"
#include "base/text.h"
#include "bitmap/bits.h"

/* metadata lies in the first MiB or two */
enum { IMAGE_HEAD_BYTES = 4 << 20 };

struct image {
	struct disk_world *world;
	struct disk *disk;
	struct md_member member;
};

static void image_open(struct image *image, const char *set, const char *member,
		       uint64_t bytes)
{
	char name[256];
	uint8_t *head;
	size_t length;
	struct err err = ERR_INIT;

	snprintf(name, sizeof(name), "golden/%s.%s.img.zst", set, member);
	head = help_read_data(name, IMAGE_HEAD_BYTES, &length);
	image->world = disk_world_new(1);
	image->disk = disk_mem_new(image->world, name, bytes);
	disk_mem_poke(image->disk, 0, head, length);
	free(head);
	assert_ok(md_member_load(&image->member, image->disk, &err), err);
	assert_ok(md_member_load_bitmap(&image->member, &err), err);
}

static void image_close(struct image *image)
{
	md_member_fini(&image->member);
	disk_close(image->disk);
	disk_world_free(image->world);
}

static uint64_t fact(const json_t *facts, const char *key)
{
	const json_t *v = json_object_get(facts, key);

	if (json_is_string(v)) /* "0x101", "0xffff" */
		return strtoull(json_string_value(v), NULL, 0);
	assert_true(json_is_integer(v));
	return (uint64_t)json_integer_value(v);
}

static void check_superblock(const struct md_sb *sb, const json_t *facts)
{
	const json_t *roles = json_object_get(facts, "roles");
	uint8_t uuid[16];
	struct err err = ERR_INIT;
	size_t i;

	assert_true(sb->feature_map == fact(facts, "feature_map"));
	assert_true((uint64_t)sb->level == fact(facts, "level"));
	assert_true(sb->raid_disks == fact(facts, "raid_disks"));
	assert_true(sb->data_offset == fact(facts, "data_offset"));
	assert_true(sb->data_size == fact(facts, "data_size"));
	assert_true(sb->bitmap_offset == (int64_t)fact(facts, "bitmap_offset"));
	assert_true(sb->events == fact(facts, "events"));
	assert_true(sb->resync_offset == fact(facts, "resync_offset"));
	assert_true(sb->dev_number == fact(facts, "dev_number"));
	assert_ok(text_parse_uuid(json_string_value(json_object_get(facts, "set_uuid")),
				  "uuid", uuid, &err), err);
	assert_memory_equal(sb->set_uuid, uuid, 16);
	assert_ok(text_parse_uuid(json_string_value(json_object_get(facts, "dev_uuid")),
				  "uuid", uuid, &err), err);
	assert_memory_equal(sb->device_uuid, uuid, 16);
	for (i = 0; i < json_array_size(roles); i++) {
		const json_t *r = json_array_get(roles, i);
		uint64_t role = json_is_string(r) ?
					strtoull(json_string_value(r), NULL, 0) :
					(uint64_t)json_integer_value(r);

		assert_true(sb->roles[i] == role);
	}
}

/* "178-1007", or "0" for a single chunk */
static void check_ranges(const struct bitmap_slot *slot, const json_t *ranges)
{
	struct bits_run run = BITS_RUN_START;
	size_t n = 0;
	char text[64];

	while (bits_next_run(slot->bits, slot->geo.chunks, &run)) {
		const char *wanted = json_string_value(json_array_get(ranges, n++));

		assert_non_null(wanted);
		if (run.first == run.last)
			snprintf(text, sizeof(text), "%llu",
				 (unsigned long long)run.first);
		else
			snprintf(text, sizeof(text), "%llu-%llu",
				 (unsigned long long)run.first,
				 (unsigned long long)run.last);
		assert_string_equal(text, wanted);
	}
	assert_int_equal(n, json_array_size(ranges));
}

/* A slot written back is the slot that was there, padding bits included. */
static void check_comes_back(struct bitmap_slot *slot,
			     const struct bitmap_copy *copy)
{
	uint64_t at = copy->start_bytes + slot->number * slot->geo.slot_bytes;
	uint8_t *before = malloc(slot->geo.slot_bytes);
	uint8_t *after = malloc(slot->geo.slot_bytes);
	struct err err = ERR_INIT;

	disk_mem_peek(copy->disk, at, before, slot->geo.slot_bytes);
	assert_ok(bitmap_slot_store(slot, copy, 1, &err), err);
	disk_mem_peek(copy->disk, at, after, slot->geo.slot_bytes);
	assert_memory_equal(before, after, slot->geo.slot_bytes);
	free(before);
	free(after);
}

static void check_slots(const struct md_member *m, const json_t *slots)
{
	struct bitmap_copy copy = md_member_copy(m);
	struct err err = ERR_INIT;
	uint32_t i;

	assert_int_equal(m->geo.nodes, json_array_size(slots));
	for (i = 0; i < m->geo.nodes; i++) {
		const json_t *facts = json_array_get(slots, i);
		struct bitmap_slot slot;

		assert_ok(bitmap_slot_init(&slot, &m->geo, i, &err), err);
		assert_ok(bitmap_slot_load(&slot, &copy, 1, false, &err), err);
		assert_true(bitmap_slot_offset_bytes(&m->geo, i) ==
			    fact(facts, "offset"));
		assert_true(slot.sb.version == fact(facts, "version"));
		assert_true(slot.sb.events == fact(facts, "events"));
		assert_true(slot.sb.events_cleared ==
			    fact(facts, "events_cleared"));
		assert_true(slot.sb.state == fact(facts, "state"));
		assert_true(slot.sb.chunksize == fact(facts, "chunksize"));
		assert_true(slot.sb.nodes == fact(facts, "nodes"));
		assert_true(slot.geo.chunks == fact(facts, "nbits"));
		assert_true(bitmap_slot_dirty_chunks(&slot) == fact(facts, "set"));
		check_ranges(&slot, json_object_get(facts, "ranges"));
		check_comes_back(&slot, &copy);
		bitmap_slot_fini(&slot);
	}
}

static void check_superblock_comes_back(const struct md_member *m)
{
	uint8_t block[MD_SB_BYTES];

	memcpy(block, m->block, sizeof(block));
	memset(block, 0, MD_SB_HEADER_BYTES + 2 * m->sb.max_dev);
	md_sb_emit(&m->sb, block);
	assert_memory_equal(block, m->block, sizeof(block));
}

static json_t *read_facts(void)
{
	size_t length;
	char *text = (char *)help_read_data("golden/facts.json", 1 << 20, &length);
	json_t *facts = json_loadb(text, length, 0, NULL);

	free(text);
	assert_non_null(facts);
	return facts;
}

static void every_image_parses_to_its_facts_and_comes_back(void **state)
{
	json_t *facts = read_facts(), *members, *member;
	const char *set, *name;
	int images = 0;

	(void)state;
	json_object_foreach(facts, set, members) {
		json_object_foreach(members, name, member) {
			struct image image;

			if (!json_is_object(member) ||
			    !json_object_get(member, "set_uuid"))
				continue;
			image_open(&image, set, name, fact(member, "bytes"));
			check_superblock(&image.member.sb, member);
			check_superblock_comes_back(&image.member);
			check_slots(&image.member, json_object_get(member, "slots"));
			assert_null(md_member_kernel_refusal(&image.member));
			image_close(&image);
			images++;
		}
	}
	json_decref(facts);
	print_message("%d images\n", images);
	assert_int_equal(images, 28);
}

/*
 * The image with the re-add defect: member b is five events behind, so its
 * slots, all clean of node 2's writes, must not be believed (D12).
 */
static void stale_member_is_not_believed(void **state)
{
	struct image a, b;
	struct disk *disks[2];
	struct md_array array;
	struct bitmap_slot slot;
	struct err err = ERR_INIT;

	(void)state;
	image_open(&a, "r1-mgmt-i-degraded-b-removed-dirty", "a", 64 << 20);
	image_open(&b, "r1-mgmt-i-degraded-b-removed-dirty", "b", 64 << 20);
	disks[0] = b.disk;
	disks[1] = a.disk;
	assert_ok(md_array_load(&array, disks, 2, NULL, &err), err);
	assert_true(md_array_is_stale(&array, &array.members[0]));
	assert_false(md_array_is_stale(&array, &array.members[1]));
	assert_ok(md_array_load_slot(&array, 1, &slot, &err), err);
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 30);
	bitmap_slot_fini(&slot);
	assert_ok(md_array_load_slot(&array, 0, &slot, &err), err);
	assert_int_equal(bitmap_slot_dirty_chunks(&slot), 20);
	bitmap_slot_fini(&slot);
	md_array_fini(&array);
	image_close(&a);
	image_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_image_parses_to_its_facts_and_comes_back),
		cmocka_unit_test(stale_member_is_not_believed),
	};

	return cmocka_run_group_tests_name("golden images", tests, NULL, NULL);
}
