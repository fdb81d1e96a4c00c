/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: everything that examine, examine-bitmap and update do with what
 * stands on one or two disks.
 *
 *	input:  byte 0  enum flag
 *	        byte 1  bits 0-1: metadata minor (3: as 2); the rest: how many
 *	                sectors the disk lacks to a round size
 *	        byte 2  a number: columns, read fault, what update shall do
 *	        byte 3  two disks: how many 512-byte pieces are the first one's;
 *	                a copy: what is different there
 *	        then    what the disks hold, from the superblock on (1.0: from
 *	                PAGES_BEFORE pages before it); the rest of the disk is 0
 *
 * Compact input puts each of its 512-byte pieces at the head of a 4 KiB page:
 * there the superblocks are, and a seed with four slots has 2.5 KiB, not 20.
 *
 * Repair makes right what a fuzzer will not guess (checksum, place, uuids), so
 * that it gets to what is behind. Nothing may crash, leak or take memory by the
 * gigabyte, and beyond that:
 *
 *	F1  bits that are reported dirty lie inside the map, and add up
 *	F2  every JSON object is complete and can be dumped
 *	F3  update never writes where an accepted superblock says data is
 *	F4  what update leaves behind is accepted again
 *	F5  a refusal is one sentence that names the disk
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "bitmap/array.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem.h"
#include "bitmap/update.h"
#include "tests/fuzz/expect.h"
#include "tools/heatmap.h"
#include "tools/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	REPAIR_SB = 1,
	REPAIR_BITMAP = 2,
	TWO_DISKS = 4,
	SECOND_IS_COPY = 8, /* with TWO_DISKS: the same but for what must differ */
	COMPACT = 16,
	READ_FAULT = 32,    /* on the first disk */
	UPDATE = 64,
	BIG = 128,          /* 64 MiB, as the golden images, instead of 4 */
};

enum {
	INPUT_HEAD_BYTES = 4,
	MAX_DISKS = 2,
	PIECE_BYTES = 512,
	PAGE_BYTES = BITMAP_PAGE_BYTES,
	PAGES_BEFORE = 4,
	REPAIRED_SLOTS = 16,
	SMALL_DISK_BYTES = 4 << 20,
	BIG_DISK_BYTES = 64 << 20,
};

struct input {
	unsigned int flags;
	enum md_minor minor;
	unsigned int lacking_sectors;
	unsigned int knob;
	size_t first_pieces;
	const uint8_t *body;
	size_t body_bytes;
};

struct rig {
	struct disk_world *world;
	struct disk *disks[MAX_DISKS];
	size_t count;
};

static FILE *devnull(void)
{
	static FILE *file;

	if (!file)
		file = fopen("/dev/null", "w");
	EXPECT(file != NULL);
	return file;
}

/* F5 */
static void check_refused(int r, const struct err *err)
{
	EXPECT(r < 0 && err->code == r);
	EXPECT(err->text[0] != '\0' && !strchr(err->text, '\n'));
	EXPECT(strstr(err->text, "disk-") != NULL);
}

/* Putting the input on the disks */

static uint64_t sb_start(const struct input *in, const struct disk *disk)
{
	return md_sb_location(in->minor, disk_sectors(disk)) * SECTOR_BYTES;
}

static void fill(const struct input *in, struct disk *disk, const uint8_t *from,
		 size_t bytes)
{
	size_t step = in->flags & COMPACT ? PAGE_BYTES : PIECE_BYTES, n;
	uint64_t at = sb_start(in, disk);

	if (in->minor == MD_MINOR_0)
		at -= (uint64_t)PAGES_BEFORE * PAGE_BYTES;
	for (; bytes > 0 && at < disk->size_bytes; at += step) {
		n = min_u64(min_u64(bytes, PIECE_BYTES), disk->size_bytes - at);
		disk_mem_poke(disk, at, from, n);
		from += n;
		bytes -= n;
	}
}

/*
 * The superblock as it would have to be to be accepted here. It reads and
 * writes with the code under test; fuzz_md_sb does without.
 */
static void repair_sb(const struct input *in, struct disk *disk, struct md_sb *sb)
{
	uint64_t start = sb_start(in, disk), sectors = disk_sectors(disk);
	uint8_t block[MD_SB_BYTES];
	struct wr wr = wr_over(block, sizeof(block));
	struct err ignored = ERR_INIT;

	disk_mem_peek(disk, start, block, sizeof(block));
	wr_u32(&wr, MD_SB_MAGIC);
	wr_u32(&wr, 1);
	md_sb_parse(block, 0, 0, sb, &ignored);
	sb->feature_map &= MD_FEATURE_KNOWN;
	sb->feature_map |= MD_FEATURE_BITMAP_OFFSET;
	if (sb->bblog_offset == 0 || sb->bblog_size > 8)
		sb->feature_map &= ~(uint32_t)MD_FEATURE_BAD_BLOCKS;
	sb->super_offset = start / SECTOR_BYTES;
	if (sb->max_dev == 0 || sb->max_dev > MD_SB_MAX_DEV)
		sb->max_dev = 128;
	sb->dev_number %= sb->max_dev;
	if (sb->data_offset >= sectors)
		sb->data_offset %= sectors;
	if (sb->data_size > sectors - sb->data_offset)
		sb->data_size = sectors - sb->data_offset;
	if (sb->size > sb->data_size)
		sb->size = sb->data_size;
	md_sb_emit(sb, block);
	disk_mem_poke(disk, start, block, sizeof(block));
}

static void repair_slot(struct bitmap_sb *bm, const struct md_sb *sb,
			const struct bitmap_sb *zero)
{
	bm->version = bm->version == BITMAP_VERSION_PLAIN ?
			      BITMAP_VERSION_PLAIN :
			      BITMAP_VERSION_CLUSTERED;
	memcpy(bm->uuid, sb->set_uuid, sizeof(bm->uuid));
	bm->chunksize = 512u << bm->chunksize % 23;
	bm->nodes = bm->nodes % (BITMAP_MAX_NODES + 2) + 1;
	bm->sync_size = min_u64(bm->sync_size, sb->size);
	bm->daemon_sleep |= 1;
	bm->write_behind %= BITMAP_MAX_WRITE_BEHIND + 1;
	bm->cluster_name[BITMAP_CLUSTER_NAME_BYTES - 1] = '\0';
	if (zero) {
		bm->chunksize = zero->chunksize;
		bm->sync_size = zero->sync_size;
		bm->nodes = zero->nodes;
	}
}

static void repair_bitmap(struct disk *disk, const struct md_sb *sb)
{
	int64_t start = (int64_t)sb->super_offset + sb->bitmap_offset;
	struct bitmap_geometry geo = { .slot_bytes = PAGE_BYTES };
	struct bitmap_sb zero, bm;
	struct err ignored = ERR_INIT;
	uint64_t at = (uint64_t)start * SECTOR_BYTES;
	uint32_t number;

	for (number = 0; number < REPAIRED_SLOTS; number++) {
		uint8_t bytes[BITMAP_SB_BYTES];
		struct wr wr = wr_over(bytes, sizeof(bytes));

		if (start < 0 || at > disk->size_bytes - PAGE_BYTES)
			return;
		disk_mem_peek(disk, at, bytes, sizeof(bytes));
		wr_u32(&wr, BITMAP_SB_MAGIC);
		bitmap_sb_parse(bytes, &bm, &ignored);
		repair_slot(&bm, sb, number ? &zero : NULL);
		bitmap_sb_emit(&bm, bytes);
		disk_mem_poke(disk, at, bytes, sizeof(bytes));
		if (number == 0) {
			zero = bm;
			if (bitmap_geometry_init(&geo, bm.sync_size, bm.chunksize,
						 bm.nodes, 0, &ignored) < 0)
				return;
		}
		at += geo.slot_bytes;
	}
}

static void repair(const struct input *in, struct disk *disk)
{
	struct md_sb sb;

	if (!(in->flags & REPAIR_SB))
		return;
	repair_sb(in, disk, &sb);
	if (in->flags & REPAIR_BITMAP)
		repair_bitmap(disk, &sb);
}

/* Slot 0 with other numbers than on the first disk: damage, or two arrays. */
static void alter_bitmap(struct disk *disk, const struct md_sb *sb,
			 unsigned int different)
{
	uint64_t at = (sb->super_offset + (uint64_t)(int64_t)sb->bitmap_offset) *
		      SECTOR_BYTES;
	uint8_t bytes[BITMAP_SB_BYTES];
	struct err ignored = ERR_INIT;
	struct bitmap_sb bm;

	if (at > disk->size_bytes - PAGE_BYTES)
		return;
	disk_mem_peek(disk, at, bytes, sizeof(bytes));
	if (bitmap_sb_parse(bytes, &bm, &ignored) < 0)
		return;
	if (different & 4)
		bm.chunksize <<= 4;
	if (different & 8)
		bm.nodes = bm.nodes / 4 + 1;
	bitmap_sb_emit(&bm, bytes);
	disk_mem_poke(disk, at, bytes, sizeof(bytes));
}

/* The other mirror: what the first one is, under another number. */
static void make_partner(const struct input *in, struct disk *disk)
{
	unsigned int different = (unsigned int)in->first_pieces;
	uint64_t start = sb_start(in, disk);
	uint8_t block[MD_SB_BYTES];
	struct err ignored = ERR_INIT;
	struct md_sb sb;

	disk_mem_peek(disk, start, block, sizeof(block));
	if (md_sb_parse(block, start / SECTOR_BYTES, disk_sectors(disk), &sb,
			&ignored) < 0)
		return;
	sb.dev_number = (sb.dev_number + 1) % sb.max_dev;
	sb.device_uuid[0] ^= 1;
	sb.events += different % 4;
	sb.data_offset -= min_u64(sb.data_offset,
				  (different >> 4) * (PAGE_BYTES / SECTOR_BYTES));
	md_sb_emit(&sb, block);
	disk_mem_poke(disk, start, block, sizeof(block));
	alter_bitmap(disk, &sb, different);
}

static void rig_init(struct rig *rig, const struct input *in)
{
	uint64_t bytes = (in->flags & BIG ? BIG_DISK_BYTES : SMALL_DISK_BYTES) -
			 (uint64_t)in->lacking_sectors * SECTOR_BYTES;
	bool is_copied = in->flags & SECOND_IS_COPY;
	size_t first = in->flags & TWO_DISKS && !is_copied ?
			       min_u64(in->first_pieces * PIECE_BYTES,
				       in->body_bytes) :
			       in->body_bytes;
	size_t i;

	rig->world = disk_world_new(1);
	disk_world_set_latency(rig->world, 0, 0);
	rig->count = in->flags & TWO_DISKS ? 2 : 1;
	for (i = 0; i < rig->count; i++) {
		struct disk *disk = disk_mem_new(rig->world,
						 i ? "disk-b" : "disk-a", bytes);

		rig->disks[i] = disk;
		if (i == 0 || is_copied)
			fill(in, disk, in->body, first);
		else
			fill(in, disk, in->body + first, in->body_bytes - first);
		repair(in, disk);
		if (i > 0 && is_copied)
			make_partner(in, disk);
	}
	if (in->flags & READ_FAULT)
		disk_mem_set_fault(rig->disks[0], DISK_MEM_FAIL_READS,
				   in->knob * (uint64_t)PIECE_BYTES, PIECE_BYTES);
}

static void rig_fini(struct rig *rig)
{
	size_t i;

	for (i = 0; i < rig->count; i++)
		disk_close(rig->disks[i]);
	disk_world_free(rig->world);
}

/* Looking at them */

/* F2. Takes the object. */
static void check_json(json_t *object, const char *const *keys)
{
	EXPECT(object != NULL);
	for (; *keys; keys++)
		EXPECT(json_object_get(object, *keys) != NULL);
	EXPECT(json_dumpf(object, devnull(), JSON_INDENT(2)) == 0);
	json_decref(object);
}

static void look_at_member(const struct md_member *m, const char *fault)
{
	static const char *const keys[] = { "uuid", "name", "cluster", "roles",
					    "kernel_md_cluster", "fault", NULL };

	show_member(devnull(), m, fault);
	check_json(show_member_json(m, fault), keys);
}

/* F1 */
static void look_at_slot(const struct input *in, const struct md_member *m,
			 const struct bitmap_slot *slot)
{
	static const char *const keys[] = { "slot", "state", "chunks", "dirty",
					    "dirty_ranges", NULL };
	uint64_t dirty = bitmap_slot_dirty_chunks(slot), in_runs = 0, end = 0;
	struct bits_run run = BITS_RUN_START;

	while (bits_next_run(slot->bits, slot->geo.chunks, &run)) {
		EXPECT(run.first >= end && run.last >= run.first);
		in_runs += run.last - run.first + 1;
		end = run.last + 1;
	}
	EXPECT(end <= slot->geo.chunks && in_runs == dirty);
	EXPECT(bitmap_slot_dirty_bytes(slot) <= slot->geo.sync_size * SECTOR_BYTES);
	EXPECT(!bitmap_sb_is_stale(&slot->sb) || dirty == slot->geo.chunks);
	show_slot(devnull(), m, slot);
	check_json(show_slot_json(slot), keys);
	heatmap_draw(devnull(), slot, in->knob, (enum heatmap_style)(in->knob % 3));
}

static void look_at_slots(const struct input *in, const struct md_member *m,
			  const struct bitmap_copy *copies, size_t count)
{
	static const char *const keys[] = { "uuid", "nodes", "cluster_name",
					    "slots", NULL };
	uint32_t slots = m->geo.nodes ? m->geo.nodes : 1, number;

	show_bitmap(devnull(), m);
	check_json(show_bitmap_json(m), keys);
	heatmap_legend(devnull(), &m->geo, in->knob);
	for (number = 0; number < slots; number++) {
		struct err err = ERR_INIT;
		struct bitmap_slot slot;
		int r = bitmap_slot_init(&slot, &m->geo, number, &err);

		EXPECT(r == 0);
		r = bitmap_slot_load(&slot, copies, count, false, &err);
		if (r == 0)
			look_at_slot(in, m, &slot);
		else if (count > 0)
			check_refused(r, &err);
		bitmap_slot_fini(&slot);
	}
}

/* As examine and examine-bitmap do. */
static void look_at_disk(const struct input *in, struct disk *disk)
{
	struct md_member m;
	struct err err = ERR_INIT;
	int r = md_member_load(&m, disk, &err);

	if (r < 0) {
		check_refused(r, &err);
		if (r != -ENOENT && m.sb.max_dev && m.sb.max_dev <= MD_SB_MAX_DEV)
			look_at_member(&m, err.text);
		md_member_fini(&m);
		return;
	}
	r = md_member_load_bitmap(&m, &err);
	look_at_member(&m, r < 0 ? err.text : NULL);
	if (r < 0) {
		check_refused(r, &err);
	} else {
		struct bitmap_copy copy = md_member_copy(&m);

		look_at_slots(in, &m, &copy, 1);
	}
	md_member_fini(&m);
	md_member_fini(&m);
}

/* Changing them */

static void forbid_data(const struct md_array *array)
{
	size_t i;

	for (i = 0; i < array->count; i++) {
		const struct md_member *m = &array->members[i];

		disk_mem_set_fault(m->disk, DISK_MEM_FAIL_WRITES,
				   m->sb.data_offset * SECTOR_BYTES,
				   m->sb.data_size * SECTOR_BYTES);
	}
}

/* F3: no write fails but one into the data. F4. */
static void change(const struct input *in, struct rig *rig,
		   struct md_array *array)
{
	static const uint8_t uuid[16] = "another uuid...";
	const struct bitmap_geometry *geo = &md_array_freshest(array)->geo;
	struct md_mark mark = { 0, geo->chunks / 2, geo->chunks - 1 };
	struct md_update update = {
		.nodes = in->knob & 1 ? 2 + in->knob / 8 : 0,
		.cluster_name = in->knob & 2 ? "other" : NULL,
		.name = in->knob & 2 ? "host:other" : NULL,
		.uuid = in->knob & 4 ? uuid : NULL,
		.is_gathered = in->knob & 8,
		.is_forced = true,
		.marks = &mark,
		.mark_count = 1,
	};
	struct err err = ERR_INIT;
	int r;

	forbid_data(array);
	r = md_update_apply(array, &update, &err);
	md_array_fini(array);
	EXPECT(r != -EIO);
	if (r == 0) {
		r = md_array_load(array, rig->disks, rig->count, NULL, &err);
		EXPECT(r == 0);
		md_array_fini(array);
	} else {
		EXPECT(err.code == r && err.text[0] && !strchr(err.text, '\n'));
	}
}

/* As examine-bitmap --merged and update do. */
static void look_at_array(const struct input *in, struct rig *rig)
{
	struct bitmap_copy copies[MAX_DISKS];
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i, n;
	int r = md_array_load(&array, rig->disks, rig->count, NULL, &err);

	if (r < 0) {
		check_refused(r, &err);
		md_array_fini(&array);
		return;
	}
	for (i = 0; i < array.count; i++) {
		(void)md_array_role(&array, &array.members[i]);
		EXPECT(!md_array_is_stale(&array, md_array_freshest(&array)));
	}
	(void)md_array_missing(&array);
	n = md_array_copies(&array, true, copies);
	EXPECT(n <= array.count);
	look_at_slots(in, md_array_freshest(&array), copies, n);
	if ((in->flags & UPDATE) && !(in->flags & READ_FAULT))
		change(in, rig, &array);
	md_array_fini(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;
	struct rig rig;
	size_t i;

	if (size < INPUT_HEAD_BYTES)
		return 0;
	in = (struct input){
		.flags = data[0],
		.minor = (enum md_minor)min_u64(data[1] & 3, MD_MINOR_2),
		.lacking_sectors = data[1] >> 2,
		.knob = data[2],
		.first_pieces = data[3],
		.body = data + INPUT_HEAD_BYTES,
		.body_bytes = size - INPUT_HEAD_BYTES,
	};
	rig_init(&rig, &in);
	for (i = 0; i < rig.count; i++)
		look_at_disk(&in, rig.disks[i]);
	look_at_array(&in, &rig);
	rig_fini(&rig);
	return 0;
}
