/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"

void help_check_refusal(const char *expr, int r, int wanted,
			const struct err *err, const char *const *words,
			size_t count)
{
	size_t i;

	if (r != wanted)
		fail_msg("%s gave %d, not %d (%s)", expr, r, wanted, err->text);
	if (strchr(err->text, '\n'))
		fail_msg("%s: more than one line: %s", expr, err->text);
	for (i = 0; i < count; i++)
		if (!strstr(err->text, words[i]))
			fail_msg("%s: '%s' does not name '%s'", expr, err->text,
				 words[i]);
}

void rig_init(struct rig *rig, uint64_t seed, size_t count, uint64_t sectors)
{
	size_t i;

	rig->world = disk_world_new(seed);
	rig->count = count;
	for (i = 0; i < count; i++) {
		const char name[2] = { (char)('a' + i), '\0' };

		rig->disks[i] = disk_mem_new(rig->world, name,
					     sectors * SECTOR_BYTES);
		assert_non_null(rig->disks[i]);
	}
}

void rig_fini(struct rig *rig)
{
	size_t i;

	for (i = 0; i < rig->count; i++)
		disk_close(rig->disks[i]);
	disk_world_free(rig->world);
}

struct md_create_params rig_params(const struct rig *rig)
{
	return (struct md_create_params){
		.level = MD_LEVEL_RAID1,
		.raid_disks = (uint32_t)rig->count,
		.bitmap_chunk_bytes = 64 << 10,
		.nodes = 4,
		.cluster_name = "alpha",
		.name = "host:web",
		.now_s = 1700000000,
	};
}

void rig_create(struct rig *rig, const struct md_create_params *params)
{
	uint64_t sectors[RIG_MAX_DISKS];
	const char *names[RIG_MAX_DISKS];
	struct md_create_plan plan;
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < rig->count; i++) {
		sectors[i] = disk_sectors(rig->disks[i]);
		names[i] = rig->disks[i]->name;
	}
	assert_ok(md_create_make_plan(params, sectors, names, rig->count, &plan,
				      &err), err);
	assert_ok(md_create_execute(&plan, rig->disks, rig->count, NULL, &err), err);
}

uint8_t *rig_slot_bits(struct rig *rig, uint32_t slot, uint64_t *chunks)
{
	struct md_array array;
	struct bitmap_slot s;
	struct err err = ERR_INIT;
	uint8_t *bits;

	assert_ok(md_array_load(&array, rig->disks, rig->count, NULL, &err), err);
	assert_ok(md_array_load_slot(&array, slot, &s, &err), err);
	*chunks = s.geo.chunks;
	bits = calloc(1, bits_bytes(*chunks));
	bits_or(bits, s.bits, *chunks);
	bitmap_slot_fini(&s);
	md_array_fini(&array);
	return bits;
}

uint64_t rig_dirty(struct rig *rig, uint32_t slot)
{
	uint64_t chunks, dirty;
	uint8_t *bits = rig_slot_bits(rig, slot, &chunks);

	dirty = bits_count(bits, chunks);
	free(bits);
	return dirty;
}

void rig_plant(struct rig *rig, uint32_t slot, uint64_t first, uint64_t last)
{
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i;

	assert_ok(md_array_load(&array, rig->disks, rig->count, NULL, &err), err);
	for (i = 0; i < rig->count; i++) {
		const struct bitmap_geometry *geo = &array.members[i].geo;
		uint64_t at = bitmap_slot_offset_bytes(geo, slot) +
			      BITMAP_SB_BYTES;
		size_t length = geo->slot_bytes - BITMAP_SB_BYTES;
		uint8_t *bits = calloc(1, length);

		disk_mem_peek(rig->disks[i], at, bits, length);
		bits_set_range(bits, first, last);
		disk_mem_poke(rig->disks[i], at, bits, length);
		free(bits);
	}
	md_array_fini(&array);
}

uint8_t *help_read_data(const char *name, size_t max, size_t *length)
{
	const char *srcdir = getenv("srcdir");
	size_t n = strlen(name);
	uint8_t *bytes = calloc(1, max);
	char command[1024];
	FILE *from;

	/* zstd grumbles when head stops reading; that is not news */
	snprintf(command, sizeof(command),
		 n > 4 && strcmp(name + n - 4, ".zst") == 0 ?
			 "zstd -dc --long=27 '%s/tests/data/%s' 2>/dev/null" :
			 "cat '%s/tests/data/%s'",
		 srcdir ? srcdir : ".", name);
	from = popen(command, "r");
	assert_non_null(bytes);
	assert_non_null(from);
	*length = fread(bytes, 1, max, from);
	pclose(from);
	if (*length == 0)
		fail_msg("tests/data/%s cannot be read (is srcdir set, zstd installed?)",
			 name);
	return bytes;
}
