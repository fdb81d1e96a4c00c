/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Size, number of disks and kind of bitmap, changed while nobody runs the array: results,
 * refusals, and the power cut before, within and after every single write. What must hold
 * then, on each disk taken alone and on all together:
 *
 *	- superblock and slots are sound, of the old array or of the new one
 *	- every chunk that was dirty is dirty in some slot, or all of the disk is
 *	- what is beyond the old end is dirty where it is part of the array
 *	- where it is plain, a mark says which host may have it (owner.h, P3)
 *	- the same command, given again, finishes the job
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"
#include "bitmap/grow.h"
#include "bitmap/owner.h"

enum {
	SEEDS = 5,
	SECTORS = 16384,
	DATA_OFFSET = 2048,
	SMALL = 8192,          /* sectors of data at first */
	LARGE = 12288,
	CHUNK_SECTORS = 8,
};
#define HOST "node1.example.org"

struct scenario {
	const char *name;
	size_t disks;
	bool is_raid10;
	bool is_in_sync;             /* resync_offset all-ones: the bits mean nothing */
	enum md_bitmap_kind begins;  /* AS_IS: clustered */
	bool has_log;                /* of bad blocks, empty, where the slots shall be */
	struct md_grow grow;
	uint64_t new_size;
	uint32_t new_disks;
	uint64_t wanted_dirty;       /* chunks, at the end */
};

/* Chunks [10 + 40 n, + n] of slot n: 1 + 2 + 3 + 4 */
static uint64_t planted_first(uint32_t slot)
{
	return 10 + 40ull * slot;
}

enum { PLANTED = 10, SLOTS = 4 };

static int grow(struct rig *rig, const struct md_grow *g, struct err *err)
{
	struct md_array array;
	int r = md_array_load_halves(&array, rig->disks, rig->count, err);

	if (r == 0 && array.is_halved)
		r = md_grow_finish(&array, err);
	if (r == 0)
		r = md_grow_apply(&array, g, err);
	if (array.members)
		md_array_fini(&array);
	return r;
}

static void clear_bits(struct rig *rig)
{
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i;

	assert_ok(md_array_load(&array, rig->disks, rig->count, NULL, &err), err);
	for (i = 0; i < rig->count; i++) {
		const struct bitmap_geometry *geo = &array.members[i].geo;
		uint8_t *zero = calloc(1, geo->slot_bytes);

		disk_mem_poke(rig->disks[i], geo->start_bytes + BITMAP_SB_BYTES, zero,
			      geo->slot_bytes - BITMAP_SB_BYTES);
		free(zero);
	}
	md_array_fini(&array);
}

static void make(struct rig *rig, uint64_t seed, size_t disks, bool is_raid10,
		 bool is_in_sync)
{
	struct md_create_params p;
	uint32_t slot;

	rig_init(rig, seed, disks, SECTORS);
	p = rig_params(rig);
	p.bitmap_chunk_bytes = CHUNK_SECTORS * SECTOR_BYTES;
	p.size_sectors = SMALL;
	p.data_offset_sectors = DATA_OFFSET;
	p.is_assume_clean = is_in_sync;
	if (is_raid10) {
		p.level = MD_LEVEL_RAID10;
		p.chunk_sectors = 128;
	}
	rig_create(rig, &p);
	if (is_in_sync) {
		rig_plant(rig, 0, 0, 100); /* as mdadm leaves them: they mean nothing */
		return;
	}
	clear_bits(rig);
	for (slot = 0; slot < SLOTS; slot++)
		rig_plant(rig, slot, planted_first(slot), planted_first(slot) + slot);
}

enum { LOG_SECTORS = 8, LOG_BYTES = LOG_SECTORS * SECTOR_BYTES, LOG_OFFSET = 56 };

/* As mdadm leaves it: named by the superblock, no feature, all ones. */
static void make_log(struct disk *disk)
{
	struct err err = ERR_INIT;
	uint8_t ones[LOG_BYTES];
	struct md_member m;

	assert_ok(md_member_load(&m, disk, &err), err);
	m.sb.bblog_size = LOG_SECTORS;
	m.sb.bblog_offset = LOG_OFFSET;
	assert_ok(md_member_store(&m, &err), err);
	memset(ones, 0xff, sizeof(ones));
	disk_mem_poke(disk, (m.sb.super_offset + LOG_OFFSET) * SECTOR_BYTES, ones, sizeof(ones));
	md_member_fini(&m);
}

static void set_up(const struct scenario *s, struct rig *rig, uint64_t seed)
{
	const struct md_grow first = { .bitmap = s->begins, .host = HOST };
	struct err err = ERR_INIT;
	size_t i;

	make(rig, seed, s->disks, s->is_raid10, s->is_in_sync);
	if (s->begins != MD_BITMAP_AS_IS)
		assert_ok(grow(rig, &first, &err), err);
	for (i = 0; s->has_log && i < rig->count; i++)
		make_log(rig->disks[i]);
	for (i = 0; i < rig->count; i++)
		disk_mem_settle(rig->disks[i]);
}

/* --- what one disk says ---------------------------------------------------------- */

static void check_bits(const uint8_t *dirty, const struct md_member *m, const char *where)
{
	uint64_t chunk_sectors = m->geo.chunk_bytes / SECTOR_BYTES;
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++)
		for (uint64_t c = planted_first(slot); c <= planted_first(slot) + slot; c++)
			if (!bits_test(dirty, c * CHUNK_SECTORS / chunk_sectors))
				fail_msg("%s: %s: dirty chunk %llu of slot %u is lost", where,
					 m->disk->name, (unsigned long long)c, slot);
}

static void check_new_part(const struct scenario *s, const uint8_t *dirty,
			   const struct md_member *m, const char *where)
{
	uint64_t per = m->geo.chunk_bytes / SECTOR_BYTES, c;
	uint64_t was = SMALL * (s->is_raid10 ? s->disks / 2 : 1);

	if (s->grow.is_assume_clean)
		return;
	for (c = was / per; c < m->geo.chunks; c++)
		if (!bits_test(dirty, c))
			fail_msg("%s: %s: chunk %llu is new, and called clean", where,
				 m->disk->name, (unsigned long long)c);
}

/* Bits of all slots of this disk alone; NULL: it has none. */
static uint8_t *gather(struct md_member *m, const char *where)
{
	struct bitmap_copy copy = md_member_copy(m);
	uint8_t *dirty = calloc(1, m->geo.slot_bytes);
	struct bitmap_slot slot;
	struct err err = ERR_INIT;
	uint32_t n;

	for (n = 0; n < bitmap_slots(&m->geo); n++) {
		assert_ok(bitmap_slot_init(&slot, &m->geo, n, &err), err);
		if (bitmap_slot_load(&slot, &copy, 1, false, &err) < 0)
			fail_msg("%s: a slot is lost: %s", where, err.text);
		bits_or(dirty, slot.bits, slot.geo.chunks);
		bitmap_slot_fini(&slot);
	}
	return dirty;
}

static void check_owner(const struct scenario *s, const struct md_member *m, const char *where)
{
	char name[MD_NAME_BYTES + 1];
	struct md_owner owner;

	md_sb_name(&m->sb, name);
	if (m->sb.feature_map & MD_FEATURE_CLUSTERED)
		return;
	if (!md_owner_read(&m->sb, m->block, &owner))
		fail_msg("%s: %s is plain, and nothing says whose", where, m->disk->name);
	if (s->grow.host && strcmp(name, "node1:web") != 0)
		fail_msg("%s: %s is called %s", where, m->disk->name, name);
	assert_string_equal(owner.host, HOST);
	assert_string_equal(owner.cluster, "alpha");
}

/* What a superblock calls a log is one: bits there would be taken for bad blocks. */
static void check_log(const struct md_member *m, const char *where)
{
	uint8_t found[LOG_BYTES], ones[LOG_BYTES];

	if (!m->sb.bblog_size)
		return;
	memset(ones, 0xff, sizeof(ones));
	disk_mem_peek(m->disk, (m->sb.super_offset + LOG_OFFSET) * SECTOR_BYTES, found,
		      sizeof(found));
	if (memcmp(found, ones, sizeof(ones)) != 0)
		fail_msg("%s: %s: the bad block log was written to", where, m->disk->name);
}

/* Returns the dirty chunks it speaks of. */
static uint64_t check_disk(const struct scenario *s, struct disk *disk, const char *where)
{
	struct md_member m;
	struct err err = ERR_INIT;
	uint64_t count = 0;
	uint8_t *dirty;
	int r;

	if (md_member_load(&m, disk, &err) < 0)
		fail_msg("%s: %s", where, err.text);
	if (m.sb.size != SMALL && m.sb.size != s->new_size)
		fail_msg("%s: %s: size %llu", where, disk->name,
			 (unsigned long long)m.sb.size);
	if (m.sb.raid_disks != s->disks && m.sb.raid_disks != s->new_disks)
		fail_msg("%s: %s: %u disks", where, disk->name, m.sb.raid_disks);
	check_owner(s, &m, where);
	check_log(&m, where);
	r = md_member_load_bitmap(&m, &err);
	if (r < 0 && r != -ENOENT)
		fail_msg("%s: %s", where, err.text);
	if (r == -ENOENT && s->grow.bitmap != MD_BITMAP_NONE && s->begins != MD_BITMAP_NONE)
		fail_msg("%s: %s has lost its bitmap", where, disk->name);
	if (m.sb.resync_offset == MD_MAX_SECTOR && !s->is_in_sync)
		fail_msg("%s: %s is called in sync", where, disk->name);
	if (r == 0) {
		dirty = gather(&m, where);
		if (!s->is_in_sync)
			check_bits(dirty, &m, where);
		if (m.sb.resync_offset != MD_MAX_SECTOR)
			check_new_part(s, dirty, &m, where);
		else if (m.sb.size > SMALL && !s->grow.is_assume_clean)
			fail_msg("%s: %s: the new part is called in sync", where, disk->name);
		count = bits_count(dirty, m.geo.chunks);
		free(dirty);
	}
	md_member_fini(&m);
	return count;
}

static void check_all(const struct scenario *s, struct rig *rig, const char *where)
{
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < rig->count; i++)
		check_disk(s, rig->disks[i], where);
	if (md_array_load_halves(&array, rig->disks, rig->count, &err) < 0)
		fail_msg("%s: no array any more: %s", where, err.text);
	md_array_fini(&array);
}

static void check_done(const struct scenario *s, struct rig *rig, const char *where)
{
	struct md_array array;
	struct err err = ERR_INIT;
	size_t i;

	if (md_array_load_halves(&array, rig->disks, rig->count, &err) < 0)
		fail_msg("%s: not finished: %s", where, err.text);
	assert_false(array.is_halved);
	for (i = 0; i < array.count; i++) {
		const struct md_member *m = &array.members[i];

		assert_int_equal(m->sb.size, s->new_size);
		assert_int_equal(m->sb.raid_disks, s->new_disks);
		assert_int_equal(m->sb.events, array.members[0].sb.events);
		assert_int_equal(m->has_bitmap, s->grow.bitmap != MD_BITMAP_NONE);
		if (m->has_bitmap)
			assert_int_equal(m->sb.bitmap_offset, BITMAP_OFFSET_SECTORS);
		assert_int_equal(m->sb.bblog_size, 0);
		assert_int_equal(m->sb.bblog_offset, 0);
		if (m->has_bitmap && s->grow.bitmap != MD_BITMAP_INTERNAL)
			assert_null(md_member_kernel_refusal(m));
		if (check_disk(s, rig->disks[i], where) != s->wanted_dirty)
			fail_msg("%s: %llu chunks are dirty, not %llu", where,
				 (unsigned long long)check_disk(s, rig->disks[i], where),
				 (unsigned long long)s->wanted_dirty);
	}
	md_array_fini(&array);
}

static bool has_mark(struct disk *disk)
{
	static const uint8_t none[SECTOR_BYTES];
	struct err err = ERR_INIT;
	struct md_member m;
	bool has;

	assert_ok(md_member_load(&m, disk, &err), err);
	has = memcmp(m.block + MD_SB_BYTES - SECTOR_BYTES, none, sizeof(none)) != 0;
	md_member_fini(&m);
	return has;
}

/* --- the power ---------------------------------------------------------------------- */

static void cut_at(const struct scenario *s, uint64_t write, uint64_t seed)
{
	struct rig rig;
	struct err err = ERR_INIT;
	char where[128];

	snprintf(where, sizeof(where), "%s, power cut at write %llu, seed %llu", s->name,
		 (unsigned long long)write, (unsigned long long)seed);
	set_up(s, &rig, seed);
	disk_world_cut_power_after(rig.world, write);
	if (grow(&rig, &s->grow, &err) == 0 && !disk_world_has_power(rig.world))
		fail_msg("%s: success was reported without power", where);
	disk_world_cut_power(rig.world);
	disk_world_restore_power(rig.world);
	check_all(s, &rig, where);
	/* and once more, in the middle of the rest */
	disk_world_cut_power_after(rig.world, 1 + write % 7);
	(void)grow(&rig, &s->grow, &err);
	disk_world_cut_power(rig.world);
	disk_world_restore_power(rig.world);
	check_all(s, &rig, where);
	if (grow(&rig, &s->grow, &err) < 0)
		fail_msg("%s: cannot be finished: %s", where, err.text);
	check_done(s, &rig, where);
	rig_fini(&rig);
}

static void fail_at(const struct scenario *s, size_t disk, uint64_t write)
{
	struct rig rig;
	struct err err = ERR_INIT;
	char where[128];
	int r;

	snprintf(where, sizeof(where), "%s, write %llu of disk %zu fails", s->name,
		 (unsigned long long)write, disk);
	set_up(s, &rig, 1);
	disk_mem_fail_nth_write(rig.disks[disk], write);
	r = grow(&rig, &s->grow, &err);
	if (r < 0 && !strstr(err.text, rig.disks[disk]->name))
		fail_msg("%s: '%s' does not name the disk", where, err.text);
	check_all(s, &rig, where);
	if (r < 0 && grow(&rig, &s->grow, &err) < 0)
		fail_msg("%s: cannot be finished: %s", where, err.text);
	check_done(s, &rig, where);
	rig_fini(&rig);
}

static void survives(const struct scenario *s)
{
	struct err err = ERR_INIT;
	uint64_t writes, w, seed;
	struct rig rig;
	size_t disk;

	set_up(s, &rig, 1);
	writes = disk_world_writes(rig.world);
	assert_ok(grow(&rig, &s->grow, &err), err);
	writes = disk_world_writes(rig.world) - writes;
	check_done(s, &rig, s->name);
	for (disk = 0; disk < s->disks; disk++)
		assert_int_equal(has_mark(rig.disks[disk]), s->grow.host != NULL);
	/* once is enough */
	w = disk_world_writes(rig.world);
	assert_ok(grow(&rig, &s->grow, &err), err);
	assert_int_equal(disk_world_writes(rig.world), w);
	rig_fini(&rig);
	for (w = 0; w <= writes; w++)
		for (seed = 1; seed <= SEEDS; seed++)
			cut_at(s, w, seed);
	for (disk = 0; disk < s->disks; disk++)
		for (w = 1; w <= writes / s->disks + 1; w++)
			fail_at(s, disk, w);
	print_message("%s: %llu writes\n", s->name, (unsigned long long)writes);
}

#define STORY(test, ...)                                                        \
	static void test(void **state)                                          \
	{                                                                       \
		const struct scenario s = { .name = #test, __VA_ARGS__ };       \
										\
		(void)state;                                                    \
		survives(&s);                                                   \
	}

STORY(larger_raid1, .disks = 2, .grow = { .size = LARGE, .slot = 1 }, .new_size = LARGE,
      .new_disks = 2, .wanted_dirty = PLANTED + (LARGE - SMALL) / CHUNK_SECTORS)
STORY(larger_raid10, .disks = 4, .is_raid10 = true, .grow = { .size = LARGE },
      .new_size = LARGE, .new_disks = 4,
      .wanted_dirty = PLANTED + 2 * (LARGE - SMALL) / CHUNK_SECTORS)
STORY(larger_raid10_of_an_odd_number, .disks = 3, .is_raid10 = true,
      .grow = { .size = LARGE, .is_assume_clean = true }, .new_size = LARGE, .new_disks = 3,
      .wanted_dirty = PLANTED)
STORY(larger_and_vouched_for, .disks = 2,
      .grow = { .size = LARGE, .is_assume_clean = true }, .new_size = LARGE,
      .new_disks = 2, .wanted_dirty = PLANTED)
STORY(larger_than_what_was_in_sync, .disks = 2, .is_in_sync = true,
      .grow = { .size = LARGE }, .new_size = LARGE, .new_disks = 2,
      .wanted_dirty = (LARGE - SMALL) / CHUNK_SECTORS)
STORY(smaller, .disks = 2, .grow = { .size = 4096, .is_forced = true }, .new_size = 4096,
      .new_disks = 2, .wanted_dirty = PLANTED)
STORY(more_copies, .disks = 2, .grow = { .raid_disks = 4 }, .new_size = SMALL,
      .new_disks = 4, .wanted_dirty = PLANTED)
STORY(larger_with_more_copies, .disks = 2, .grow = { .raid_disks = 3, .size = MD_GROW_MAX },
      .new_size = SECTORS - DATA_OFFSET, .new_disks = 3,
      .wanted_dirty = PLANTED + (SECTORS - DATA_OFFSET - SMALL) / CHUNK_SECTORS)
STORY(clustered_to_internal, .disks = 2, .grow = { .bitmap = MD_BITMAP_INTERNAL, .host = HOST },
      .new_size = SMALL, .new_disks = 2, .wanted_dirty = PLANTED)
STORY(clustered_to_none, .disks = 2, .grow = { .bitmap = MD_BITMAP_NONE, .host = HOST },
      .new_size = SMALL, .new_disks = 2)
STORY(internal_to_clustered, .disks = 2, .begins = MD_BITMAP_INTERNAL,
      .grow = { .bitmap = MD_BITMAP_CLUSTERED, .nodes = 3, .cluster_name = "beta" },
      .new_size = SMALL, .new_disks = 2, .wanted_dirty = PLANTED)
STORY(internal_with_an_empty_bad_block_log_to_clustered, .disks = 2,
      .begins = MD_BITMAP_INTERNAL, .has_log = true,
      .grow = { .bitmap = MD_BITMAP_CLUSTERED, .nodes = 4, .cluster_name = "beta" },
      .new_size = SMALL, .new_disks = 2, .wanted_dirty = PLANTED)
STORY(none_to_clustered, .disks = 2, .begins = MD_BITMAP_NONE,
      .grow = { .bitmap = MD_BITMAP_CLUSTERED, .nodes = 3, .cluster_name = "beta" },
      .new_size = SMALL, .new_disks = 2, .wanted_dirty = 1)
STORY(none_in_sync_to_clustered, .disks = 2, .begins = MD_BITMAP_NONE, .is_in_sync = true,
      .grow = { .bitmap = MD_BITMAP_CLUSTERED, .cluster_name = "beta" },
      .new_size = SMALL, .new_disks = 2)

/* --- refusals and details -------------------------------------------------------------- */

static void refused(struct rig *rig, const struct md_grow *g, int code, const char *word,
		    const char *other)
{
	uint64_t writes = disk_world_writes(rig->world);
	struct err err = ERR_INIT;

	assert_refused(grow(rig, g, &err), code, err, word, other);
	assert_true(disk_world_writes(rig->world) == writes);
}

#define REFUSED(code, word, other, ...)                                         \
	refused(&rig, &(struct md_grow){ __VA_ARGS__ }, code, word, other)

static void what_cannot_be_is_refused_before_any_write(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig, 1, 2, false, false);
	REFUSED(-ENOSPC, "a: ", "14336", .size = SECTORS);
	REFUSED(-EINVAL, "lost", "--force", .size = 4096);
	REFUSED(-EINVAL, "multiple", "2", .size = LARGE + 1);
	REFUSED(-EINVAL, "raid-devices", "2..", .raid_disks = 1);
	REFUSED(-EINVAL, "raid-devices", "2..", .raid_disks = 2000);
	REFUSED(-EINVAL, "slot 4", "0..3", .size = LARGE, .slot = 4);
	REFUSED(-EINVAL, "change of its own", "bitmap", .size = LARGE,
		.bitmap = MD_BITMAP_NONE);
	rig_fini(&rig);
	make(&rig, 1, 4, true, false);
	REFUSED(-EOPNOTSUPP, "reshape", "6 disks", .raid_disks = 6);
	REFUSED(-EINVAL, "multiple", "128", .size = LARGE + 8);
	rig_fini(&rig);
}

static struct md_sb superblock(struct disk *disk)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, disk, &err), err);
	md_member_fini(&m);
	return m.sb;
}

static void edit(struct disk *disk, uint32_t dev, uint16_t role, uint32_t features)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, disk, &err), err);
	m.sb.roles[dev] = role;
	m.sb.feature_map |= features;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

/* Three copies, the first has failed: those that are left become 0 and 1. */
static void fewer_copies_close_the_ranks(void **state)
{
	struct rig rig;
	struct err err = ERR_INIT;
	struct disk *gone;
	struct md_sb sb;

	(void)state;
	make(&rig, 1, 3, false, false);
	REFUSED(-EBUSY, "more than 2", "fail and remove", .raid_disks = 2);
	edit(rig.disks[1], 0, MD_ROLE_FAULTY, 0);
	edit(rig.disks[2], 0, MD_ROLE_FAULTY, 0);
	gone = rig.disks[0];
	rig.disks[0] = rig.disks[2];
	rig.count = 2;
	assert_ok(grow(&rig, &(struct md_grow){ .raid_disks = 2 }, &err), err);
	sb = superblock(rig.disks[0]);
	assert_int_equal(sb.raid_disks, 2);
	assert_int_equal(sb.roles[2], 0);
	assert_int_equal(sb.roles[1], 1);
	assert_int_equal(superblock(rig.disks[1]).roles[2], 0);
	rig.disks[2] = gone;
	rig.count = 3;
	rig_fini(&rig);
}

static void member_that_is_rebuilt_waits_for_that(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig, 1, 2, false, false);
	edit(rig.disks[1], 1, 1, MD_FEATURE_RECOVERY_OFFSET);
	REFUSED(-EBUSY, "b: ", "rebuilt", .size = LARGE);
	rig_fini(&rig);
}

/* Two events apart is no interrupted change: one of them went on without the other. */
static void member_of_another_size_that_is_out_of_date_is_not_taken(void **state)
{
	struct rig rig;
	struct md_array array;
	struct err err = ERR_INIT;
	struct md_member m;

	(void)state;
	make(&rig, 1, 2, false, false);
	rig.count = 1;
	edit(rig.disks[0], 1, MD_ROLE_FAULTY, 0);
	assert_ok(grow(&rig, &(struct md_grow){ .size = LARGE }, &err), err);
	rig.count = 2;
	assert_ok(md_array_load_halves(&array, rig.disks, 2, &err), err);
	assert_true(array.is_halved);
	md_array_fini(&array);
	assert_ok(md_member_load(&m, rig.disks[0], &err), err);
	m.sb.events++;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
	assert_refused(md_array_load_halves(&array, rig.disks, 2, &err), -EBADMSG, err,
		       "b: ", "size");
	rig_fini(&rig);
}

/* Cut short before: else a cut in the midst of this one would make it two events, and stale. */
static void member_one_event_behind_is_brought_level_first(void **state)
{
	const struct md_grow g = { .size = LARGE, .is_assume_clean = true };

	(void)state;
	for (uint64_t write = 0; write < 26; write++) {
		struct rig rig;
		struct md_array array;
		struct err err = ERR_INIT;
		struct md_member m;

		make(&rig, write + 1, 3, false, false);
		assert_ok(md_member_load(&m, rig.disks[0], &err), err);
		m.sb.events++;
		assert_ok(md_member_store(&m, &err), err);
		md_member_fini(&m);
		disk_world_cut_power_after(rig.world, write);
		(void)grow(&rig, &g, &err);
		disk_world_cut_power(rig.world);
		disk_world_restore_power(rig.world);
		assert_ok(md_array_load_halves(&array, rig.disks, 3, &err), err);
		for (size_t i = 0; i < 3; i++)
			assert_false(md_array_is_stale(&array, &array.members[i]));
		md_array_fini(&array);
		assert_ok(grow(&rig, &g, &err), err);
		rig_fini(&rig);
	}
}

/* A bitmap that would need two pages a slot, and has room for one: a larger chunk. */
static void chunk_grows_where_the_bitmap_would_not_fit(void **state)
{
	enum { WAS = 30000 * 8, BECOMES = 60000 * 8 };
	struct rig rig;
	struct md_create_params p;
	struct err err = ERR_INIT;
	struct md_member m;

	(void)state;
	rig_init(&rig, 1, 2, 88 + BECOMES);
	p = rig_params(&rig);
	p.bitmap_chunk_bytes = 4096;
	p.size_sectors = WAS;
	p.data_offset_sectors = 88; /* nine pages behind the superblock: two times four */
	rig_create(&rig, &p);
	clear_bits(&rig);
	rig_plant(&rig, 2, 29999, 29999);
	rig_plant(&rig, 2, 7, 8);
	assert_ok(grow(&rig, &(struct md_grow){ .size = BECOMES, .is_assume_clean = true },
		       &err), err);
	assert_ok(md_member_load(&m, rig.disks[1], &err), err);
	assert_ok(md_member_load_bitmap(&m, &err), err);
	assert_int_equal(m.geo.chunk_bytes, 8192);
	assert_int_equal(m.geo.slot_bytes, 4096);
	md_member_fini(&m);
	assert_int_equal(rig_dirty(&rig, 2), 3);
	rig_fini(&rig);
}

static void bitmap_for_which_there_is_no_room_is_refused(void **state)
{
	struct rig rig;
	struct md_create_params p;

	(void)state;
	rig_init(&rig, 1, 2, SECTORS);
	p = rig_params(&rig);
	p.size_sectors = SMALL;
	p.data_offset_sectors = 72; /* seven slots of room, four are used */
	rig_create(&rig, &p);
	REFUSED(-ENOSPC, "a: ", "beside", .size = LARGE);
	rig_fini(&rig);
}

/* md forces a full resync on a plain bitmap whose events are behind the array's. */
static void internal_bitmap_is_up_to_date_for_md(void **state)
{
	struct rig rig;
	struct err err = ERR_INIT;
	struct md_member m;

	(void)state;
	make(&rig, 1, 2, false, false);
	assert_ok(grow(&rig, &(struct md_grow){ .bitmap = MD_BITMAP_INTERNAL }, &err), err);
	assert_ok(md_member_load(&m, rig.disks[0], &err), err);
	assert_ok(md_member_load_bitmap(&m, &err), err);
	assert_int_equal(m.bitmap.events, m.sb.events);
	assert_int_equal(m.bitmap.version, BITMAP_VERSION_PLAIN);
	assert_int_equal(m.bitmap.nodes, 0);
	assert_int_equal(m.bitmap.cluster_name[0], 0);
	assert_int_equal(m.sb.feature_map & MD_FEATURE_CLUSTERED, 0);
	assert_int_equal(m.sb.resync_offset, 0);
	md_member_fini(&m);
	rig_fini(&rig);
}

static void plain_array_without_dirty_bits_is_in_sync(void **state)
{
	const struct md_grow kinds[] = { { .bitmap = MD_BITMAP_INTERNAL },
					 { .bitmap = MD_BITMAP_NONE } };
	struct rig rig;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		make(&rig, 1, 2, false, false);
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			for (size_t d = 0; d < 2; d++) {
				uint8_t zero[512] = { 0 };

				disk_mem_poke(rig.disks[d],
					      8192 + slot * 4096 + BITMAP_SB_BYTES, zero,
					      sizeof(zero));
			}
		assert_ok(grow(&rig, &kinds[i], &err), err);
		assert_true(superblock(rig.disks[1]).resync_offset == MD_MAX_SECTOR);
		rig_fini(&rig);
	}
}

/* What must not wander when an array comes and goes. */
static void check_same(const struct md_sb *was, struct disk *disk, const char *what)
{
	struct md_sb is = superblock(disk);

	if (is.feature_map != was->feature_map || is.bitmap_offset != was->bitmap_offset ||
	    is.resync_offset != was->resync_offset || is.size != was->size ||
	    is.data_offset != was->data_offset || is.data_size != was->data_size ||
	    is.max_dev != was->max_dev || is.raid_disks != was->raid_disks ||
	    memcmp(is.roles, was->roles, sizeof(is.roles)) != 0 ||
	    memcmp(is.set_uuid, was->set_uuid, sizeof(is.set_uuid)) != 0)
		fail_msg("%s: %s is another one", what, disk->name);
}

/* B26: Linux before 5.9 lost a module's count at each conversion, and a delay. */
static void B26_a_hundred_times_to_and_fro_it_is_the_same_array(void **state)
{
	static const enum md_bitmap_kind kinds[] = { MD_BITMAP_INTERNAL, MD_BITMAP_NONE };
	const struct md_grow back = { .bitmap = MD_BITMAP_CLUSTERED, .nodes = SLOTS,
				      .cluster_name = "alpha" };
	struct err err = ERR_INIT;
	struct md_sb was;
	struct rig rig;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct md_grow there = { .bitmap = kinds[k], .host = HOST };
		bool is_in_sync = kinds[k] == MD_BITMAP_NONE; /* what was dirty is all of it then */

		make(&rig, 1, 2, false, is_in_sync);
		assert_ok(grow(&rig, &there, &err), err);
		assert_ok(grow(&rig, &back, &err), err);
		was = superblock(rig.disks[0]);
		for (int i = 0; i < 100; i++) {
			assert_ok(grow(&rig, &there, &err), err);
			assert_ok(grow(&rig, &back, &err), err);
			check_same(&was, rig.disks[0], "to and fro");
			assert_int_equal(rig_dirty(&rig, 0), is_in_sync ? 0 : PLANTED);
		}
		assert_int_equal(superblock(rig.disks[1]).events, was.events + 200);
		rig_fini(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(larger_raid1),
		cmocka_unit_test(larger_raid10),
		cmocka_unit_test(larger_raid10_of_an_odd_number),
		cmocka_unit_test(larger_and_vouched_for),
		cmocka_unit_test(larger_than_what_was_in_sync),
		cmocka_unit_test(smaller),
		cmocka_unit_test(more_copies),
		cmocka_unit_test(larger_with_more_copies),
		cmocka_unit_test(clustered_to_internal),
		cmocka_unit_test(clustered_to_none),
		cmocka_unit_test(internal_to_clustered),
		cmocka_unit_test(internal_with_an_empty_bad_block_log_to_clustered),
		cmocka_unit_test(none_to_clustered),
		cmocka_unit_test(none_in_sync_to_clustered),
		cmocka_unit_test(what_cannot_be_is_refused_before_any_write),
		cmocka_unit_test(fewer_copies_close_the_ranks),
		cmocka_unit_test(member_that_is_rebuilt_waits_for_that),
		cmocka_unit_test(member_of_another_size_that_is_out_of_date_is_not_taken),
		cmocka_unit_test(member_one_event_behind_is_brought_level_first),
		cmocka_unit_test(chunk_grows_where_the_bitmap_would_not_fit),
		cmocka_unit_test(bitmap_for_which_there_is_no_room_is_refused),
		cmocka_unit_test(internal_bitmap_is_up_to_date_for_md),
		cmocka_unit_test(plain_array_without_dirty_bits_is_in_sync),
		cmocka_unit_test(B26_a_hundred_times_to_and_fro_it_is_the_same_array),
	};

	return cmocka_run_group_tests_name("grow", tests, NULL, NULL);
}
