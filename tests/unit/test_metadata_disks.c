/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that come and go: what two nodes see of it, who may come back as what it was, numbers,
 * and what a cut between any two writes leaves.
 */
#include "tests/unit/disk_lend.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "mdclusterd/array/metadata.h"

enum { SECTORS = 32768, NODES = 3, SEEDS = 4 };

/* A node: its handles on the disks of a world that all share. */
struct node {
	struct rig *rig;
	struct metadata *md;
	struct metadata_view view;
	bool is_gone[RIG_MAX_DISKS];
	bool holds_else;      /* what claim() finds */
	bool hides;           /* find() finds nothing */
	unsigned int claims, finds;
	uint8_t random;
	int leave;            /* so many changes more; -1: any number */
	int fails_after;      /* behind that change nothing can be read, until the next request */
};

static void all_reads(struct node *n, enum disk_mem_fault fault)
{
	for (size_t i = 0; i < n->rig->count; i++)
		disk_mem_set_fault(n->rig->disks[i], fault, 0, SECTORS * 512ull);
}

static bool may_change(void *owner)
{
	struct node *n = owner;

	if (n->fails_after > 0 && --n->fails_after == 0)
		all_reads(n, DISK_MEM_FAIL_READS);
	return n->leave < 0 || n->leave-- > 0;
}

static struct disk *on_open(void *owner, const char *path, struct err *err)
{
	struct node *n = owner;

	for (size_t i = 0; i < n->rig->count; i++)
		if (strcmp(n->rig->disks[i]->name, path) == 0 && !n->is_gone[i]) {
			struct disk *disk = disk_lend(n->rig->disks[i]);

			disk_guard(disk, may_change, n);
			return disk;
		}
	err_set(err, -ENOENT, "%s: no such disk", path);
	return NULL;
}

/* All there are: who asks must look at what is on them. */
static size_t on_find(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	struct node *n = owner;
	size_t count = 0;

	(void)set_uuid;
	n->finds++;
	for (size_t i = 0; i < n->rig->count && count < room && !n->hides; i++)
		if (!n->is_gone[i])
			paths[count++] = strdup(n->rig->disks[i]->name);
	return count;
}

static int on_claim(void *owner, struct disk *disk, bool is_member, bool is_forced,
		    struct err *err)
{
	struct node *n = owner;

	n->claims++;
	if (n->holds_else && !is_member && !is_forced)
		return err_set(err, -EBUSY, "%s: already holds: ext4", disk->name);
	return 0;
}

static void on_random(void *owner, void *to, size_t bytes)
{
	struct node *n = owner;

	memset(to, ++n->random, bytes);
}

static const struct metadata_ops ops = {
	.open = on_open, .find = on_find, .claim = on_claim, .random = on_random,
};

static void node_init(struct node *n, struct rig *rig, uint8_t random)
{
	memset(n, 0, sizeof(*n));
	n->rig = rig;
	n->leave = -1;
	n->random = random;
	n->md = metadata_new(&ops, n);
	assert_non_null(n->md);
}

/* --- asking ---------------------------------------------------------------------------------- */

static int run(struct node *n, struct metadata_request *req)
{
	bool fails = n->fails_after > 0;
	int r;

	req->view = &n->view;
	r = metadata_run(n->md, req);
	if (fails)
		all_reads(n, DISK_MEM_NO_FAULT);
	return r;
}

static int ask(struct node *n, enum metadata_op op, uint32_t role, uint32_t number)
{
	struct metadata_request req = { .op = op, .role = role, .number = number };

	return run(n, &req);
}

static void asked(struct node *n, enum metadata_op op, uint32_t role, uint32_t number)
{
	struct metadata_request req = { .op = op, .role = role, .number = number };

	assert_ok(run(n, &req), req.err);
}

/* With the first `count` disks. */
static int try_assemble(struct node *n, size_t count, struct err *err)
{
	const char *paths[RIG_MAX_DISKS];
	struct metadata_request req = { .op = METADATA_ASSEMBLE, .paths = paths,
					.may_start_degraded = true, .path_count = count };
	int r;

	for (size_t i = 0; i < count; i++)
		paths[i] = n->rig->disks[i]->name;
	r = run(n, &req);
	*err = req.err;
	return r;
}

static void assemble(struct node *n, size_t count)
{
	struct err err = ERR_INIT;

	assert_ok(try_assemble(n, count, &err), err);
}

static struct metadata_request to_prepare(const char *path)
{
	return (struct metadata_request){ .op = METADATA_PREPARE, .path = path,
					  .role = METADATA_NO_ROLE };
}

static uint32_t prepared(struct node *n, const char *path, bool is_re_add)
{
	struct metadata_request req = to_prepare(path);

	assert_ok(run(n, &req), req.err);
	assert_int_equal(req.is_re_add, is_re_add);
	return req.number;
}

static uint32_t added(struct node *n, const char *path)
{
	uint32_t number = prepared(n, path, false);

	asked(n, METADATA_ADD, 0, number);
	return number;
}

static const struct metadata_disk *disk_of(const struct node *n, const char *path)
{
	for (uint32_t i = 0; i < n->view.disk_count; i++)
		if (strcmp(n->view.disks[i].path, path) == 0)
			return &n->view.disks[i];
	return NULL;
}

static int state_of(const struct node *n, const char *path)
{
	const struct metadata_disk *d = disk_of(n, path);

	return d ? (int)d->state : -1;
}

static uint64_t writes(const struct rig *rig)
{
	return disk_world_writes(rig->world);
}

/* --- the array -------------------------------------------------------------------------------- */

struct bench {
	struct rig rig;
	struct node a, b;
};

/* "a" and "b" are members, in use and in sync; the rest is empty. */
static void set_up(struct bench *t, uint64_t seed, size_t disks)
{
	struct md_create_params p;

	memset(t, 0, sizeof(*t));
	rig_init(&t->rig, seed, disks, SECTORS);
	t->rig.count = 2;
	p = rig_params(&t->rig);
	p.nodes = NODES;
	p.is_assume_clean = true;
	rig_create(&t->rig, &p);
	t->rig.count = disks;
	node_init(&t->a, &t->rig, 0x10);
	node_init(&t->b, &t->rig, 0x90);
	assemble(&t->a, 2);
	asked(&t->a, METADATA_ACTIVATE, 0, 0);
	assemble(&t->b, 2);
}

static void tear_down(struct bench *t)
{
	metadata_free(t->a.md);
	metadata_free(t->b.md);
	rig_fini(&t->rig);
}

static struct md_sb sb_of(const struct rig *rig, size_t disk)
{
	struct md_member m;
	struct err err = ERR_INIT;
	struct md_sb sb;

	assert_ok(md_member_load(&m, rig->disks[disk], &err), err);
	sb = m.sb;
	md_member_fini(&m);
	return sb;
}

static void store_sb(struct rig *rig, size_t disk, const struct md_sb *sb)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, rig->disks[disk], &err), err);
	m.sb = *sb;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

/* --- the slots of one disk, by its own copies ------------------------------------------------- */

static void slot_of(const struct rig *rig, size_t disk, uint32_t number,
		    struct bitmap_slot *slot)
{
	struct err err = ERR_INIT;
	struct md_member m;
	struct bitmap_copy copy;

	assert_ok(md_member_load(&m, rig->disks[disk], &err), err);
	assert_ok(md_member_load_bitmap(&m, &err), err);
	copy = md_member_copy(&m);
	assert_ok(bitmap_slot_init(slot, &m.geo, number, &err), err);
	assert_ok(bitmap_slot_load(slot, &copy, 1, true, &err), err);
	md_member_fini(&m);
}

static uint64_t dirty_on(const struct rig *rig, size_t disk, uint32_t number)
{
	struct bitmap_slot slot;
	uint64_t dirty;

	slot_of(rig, disk, number, &slot);
	dirty = bitmap_slot_dirty_chunks(&slot);
	bitmap_slot_fini(&slot);
	return dirty;
}

/* As the intent of that slot's owner does it, on the disks that the array has. */
static void change_slot(struct rig *rig, size_t disks, uint32_t number, uint64_t first,
			uint64_t last, uint64_t events_cleared)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < disks; i++) {
		struct bitmap_copy copy;
		struct bitmap_slot slot;
		struct md_member m;

		slot_of(rig, i, number, &slot);
		bits_set_range(slot.bits, first, last);
		if (events_cleared > slot.sb.events_cleared)
			slot.sb.events_cleared = slot.sb.events = events_cleared;
		assert_ok(md_member_load(&m, rig->disks[i], &err), err);
		assert_ok(md_member_load_bitmap(&m, &err), err);
		copy = md_member_copy(&m);
		assert_ok(bitmap_slot_store(&slot, &copy, 1, &err), err);
		md_member_fini(&m);
		bitmap_slot_fini(&slot);
	}
}

/* --- stories ----------------------------------------------------------------------------------- */

static void a_disk_comes_as_a_spare_and_ends_in_sync_on_all_nodes(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_false(t.a.view.disks[1].is_elsewhere);
	req = to_prepare("c");
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.number, 2);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), -1); /* a candidate is in no view */
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_ok(run(&t.b, &find), find.err);
	assert_int_equal(find.number, 2);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), -1);

	asked(&t.a, METADATA_ADD, 0, 2);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_SPARE);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(t.b.view.events, t.a.view.events);

	change_slot(&t.rig, 1, 1, 5, 6, 0);
	asked(&t.b, METADATA_REBUILD, 1, 2);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(disk_of(&t.a, "c")->role, 1);
	assert_int_equal(disk_of(&t.a, "c")->recovery_offset, 0);
	assert_false(disk_of(&t.a, "c")->is_by_bitmap);
	assert_int_equal(t.a.view.degraded, 1);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 2);

	req = (struct metadata_request){ .op = METADATA_PROGRESS, .role = 1, .position = 4096 };
	assert_ok(run(&t.b, &req), req.err);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(disk_of(&t.a, "c")->recovery_offset, 4096);
	asked(&t.b, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_IN_SYNC);
	assert_int_equal(t.a.view.degraded, 0);
	assert_int_equal(sb_of(&t.rig, 2).feature_map,
			 MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED);
	tear_down(&t);
}

/* D10, and a kernel's loss: what an absent node left is on a disk that came meanwhile. */
static void an_absent_nodes_slot_is_intact_on_a_disk_that_came_meanwhile(void **state)
{
	struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = 2 };
	struct bench t;
	uint32_t number;

	(void)state;
	set_up(&t, 1, 3);
	change_slot(&t.rig, 2, 2, 0, 0, 0);
	change_slot(&t.rig, 1, 2, 7, 9, 0); /* on one copy alone */
	asked(&t.a, METADATA_FAIL, 1, 0);
	number = added(&t.a, "c");
	for (uint32_t slot = 0; slot < NODES; slot++)
		assert_int_equal(dirty_on(&t.rig, 2, slot), 0); /* sound, and empty */
	asked(&t.a, METADATA_REBUILD, 1, number);
	asked(&t.a, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_FAIL, 0, 0);
	t.b.is_gone[0] = t.b.is_gone[1] = true;
	assemble(&t.b, 3);
	assert_ok(run(&t.b, &req), req.err);
	assert_int_equal(req.dirty, 4);
	assert_true(bits_test(req.bits, 0) && bits_test(req.bits, 8));
	free(req.bits);
	tear_down(&t);
}

static void what_changed_in_a_slot_of_nobody_meanwhile_is_copied_at_the_end(void **state)
{
	struct metadata_request req = { .op = METADATA_IN_SYNC, .role = 1, .slots = 1u << 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	change_slot(&t.rig, 1, 1, 3, 3, 0); /* it has an owner: its affair */
	change_slot(&t.rig, 1, 2, 4, 5, 0);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(dirty_on(&t.rig, 2, 2), 2);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 0);
	tear_down(&t);
}

static void a_disk_that_is_rebuilt_is_written_and_not_believed(void **state)
{
	struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = 1 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	rig_plant(&t.rig, 1, 3, 3);
	{
		struct bitmap_slot slot;
		struct err err = ERR_INIT;
		struct bitmap_copy copy;

		slot_of(&t.rig, 2, 1, &slot); /* a bit too many, on it alone */
		bits_set_range(slot.bits, 20, 20);
		copy = (struct bitmap_copy){ t.rig.disks[2],
					     disk_of(&t.a, "c")->bitmap_start_bytes,
					     t.a.view.uuid };
		assert_ok(bitmap_slot_store(&slot, &copy, 1, &err), err);
		bitmap_slot_fini(&slot);
	}
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.dirty, 1);
	req.op = METADATA_CLEAR_SLOT;
	assert_ok(run(&t.a, &req), req.err);
	free(req.bits);
	assert_int_equal(dirty_on(&t.rig, 2, 1), 0); /* the page is written there, too */
	/* it is no disk to live on */
	assert_int_equal(ask(&t.a, METADATA_FAIL, 0, 0), -EBUSY);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_FAULTY);
	tear_down(&t);
}

static void a_start_keeps_what_is_rebuilt_and_gives_up_what_is_not_here(void **state)
{
	struct metadata_request req = { .op = METADATA_PROGRESS, .role = 1, .position = 2048 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	assert_ok(run(&t.a, &req), req.err);
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(disk_of(&t.b, "c")->recovery_offset, 2048);
	t.b.is_gone[2] = true;
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	tear_down(&t);
}

static void progress_never_goes_back(void **state)
{
	struct metadata_request req = { .op = METADATA_PROGRESS, .role = 1, .position = 4096 };
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	before = sb_of(&t.rig, 2).events;
	assert_ok(run(&t.a, &req), req.err);
	req.position = 1024;
	assert_ok(run(&t.b, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).recovery_offset, 4096);
	assert_int_equal(sb_of(&t.rig, 2).events, before);
	req.role = 0; /* in sync */
	req.position = 8192;
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 0).recovery_offset, 0);
	tear_down(&t);
}

/* A kernel's update that was cut: others gave it a role, and it does not know. */
static void a_spare_that_does_not_know_of_its_role_is_not_in_sync(void **state)
{
	struct err err = ERR_INIT;
	struct md_array array;
	struct bench t;
	struct md_sb sb;
	uint32_t number;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	number = added(&t.a, "c");
	sb = sb_of(&t.rig, 0);
	sb.roles[number] = 1;
	sb.events++;
	store_sb(&t.rig, 0, &sb);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(t.b.view.degraded, 1);
	assert_ok(md_array_load(&array, t.rig.disks, 3, NULL, &err), err);
	assert_false(md_array_is_in_sync(&array, &array.members[2]));
	md_array_fini(&array);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	assert_int_equal(sb_of(&t.rig, 0).roles[number], MD_ROLE_SPARE);
	asked(&t.b, METADATA_REBUILD, 1, number);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	tear_down(&t);
}

static void a_role_gets_one_disk(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 3 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(added(&t.a, "d"), 3);
	assemble(&t.b, 4);
	asked(&t.b, METADATA_REBUILD, 1, 2);
	assert_int_equal(run(&t.a, &req), -EALREADY);
	req.number = 2;
	assert_int_equal(run(&t.a, &req), -EALREADY);
	assert_int_equal(ask(&t.a, METADATA_REBUILD, 0, 3), -EALREADY);
	assert_int_equal(ask(&t.a, METADATA_REBUILD, 1, 7), -ENODEV);
	tear_down(&t);
}

/* --- coming back ------------------------------------------------------------------------------- */

/* "b" failed, was removed, and its node writes: bits stand, or are cleared since. */
static void lose_b(struct bench *t, bool is_cleared, uint32_t slot)
{
	asked(&t->a, METADATA_FAIL, 1, 0);
	asked(&t->a, METADATA_REMOVE, 0, 1);
	asked(&t->a, METADATA_FORGET, 0, 1);
	asked(&t->b, METADATA_FORGET, 0, 1);
	change_slot(&t->rig, 1, slot, 4, 5, is_cleared ? t->a.view.events : 0);
}

static void a_former_disk_comes_back_with_what_the_bits_say(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req = to_prepare("b");
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 2);
	assert_int_equal(state_of(&t.a, "b"), -1);
	before = writes(&t.rig);
	assert_ok(run(&t.a, &req), req.err);
	assert_true(req.is_re_add);
	assert_int_equal(req.number, 1);
	assert_int_equal(writes(&t.rig), before);
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_ok(run(&t.b, &find), find.err);

	req.op = METADATA_REBUILD;
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(req.role, 1);
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_REBUILD);
	assert_true(disk_of(&t.b, "b")->is_by_bitmap);
	assert_int_equal(disk_of(&t.b, "b")->recovery_offset, 0);
	assert_int_equal(dirty_on(&t.rig, 1, 2), 2);
	asked(&t.b, METADATA_IN_SYNC, 1, 0);
	assert_int_equal(t.b.view.degraded, 0);
	assert_int_equal(sb_of(&t.rig, 1).feature_map,
			 MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_CLUSTERED);
	tear_down(&t);
}

/* The kernel asks its own slot alone (vm-lab 4.1): any slot counts. */
static void a_former_disk_comes_as_a_new_one_where_any_node_cleared_bits_since(void **state)
{
	(void)state;
	for (uint32_t slot = 0; slot < NODES; slot++) {
		struct metadata_request req = to_prepare("b");
		struct bench t;

		set_up(&t, 1, 2);
		lose_b(&t, true, slot);
		req.is_re_add = true;
		assert_refused(run(&t.a, &req), -ESTALE, req.err, "b", "cleared");
		req = to_prepare("b");
		assert_ok(run(&t.a, &req), req.err);
		assert_false(req.is_re_add);
		assert_int_equal(req.number, 2);
		tear_down(&t);
	}
}

/* Between PREPARE and REBUILD others are asked; nothing is believed that is old by then. */
static void bits_that_are_cleared_before_it_is_back_keep_it_away(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct bench t;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 1);
	assert_ok(run(&t.a, &req), req.err);
	change_slot(&t.rig, 1, 1, 6, 6, t.a.view.events);
	req.op = METADATA_REBUILD;
	assert_refused(run(&t.a, &req), -ESTALE, req.err, "b", "cleared");
	assert_int_equal(sb_of(&t.rig, 0).roles[1], MD_ROLE_FAULTY);
	tear_down(&t);
}

static void refuse_return(struct bench *t, const char *path, const char *why)
{
	struct metadata_request req = to_prepare(path);

	req.is_re_add = true;
	assert_refused(run(&t->a, &req), -ESTALE, req.err, path, why);
}

static void who_was_rebuilt_or_replaced_or_used_apart_comes_back_as_a_new_one(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	lose_b(&t, false, 1);
	refuse_return(&t, "c", "no former");
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	refuse_return(&t, "b", "place");
	asked(&t.a, METADATA_FAIL, 1, 0);
	refuse_return(&t, "c", "rebuilt");
	sb = sb_of(&t.rig, 1);
	sb.roles[0] = MD_ROLE_FAULTY;
	sb.events++;
	store_sb(&t.rig, 1, &sb);
	refuse_return(&t, "b", "without the others");
	sb.roles[0] = 0;
	store_sb(&t.rig, 1, &sb);
	req.is_spare = true; /* it could, and is not wanted so */
	assert_ok(run(&t.a, &req), req.err);
	assert_false(req.is_re_add);
	tear_down(&t);
}

/* Interrupted, and failed: by the bitmap it may come once more, else not. */
static void a_return_by_the_bitmap_that_failed_may_be_tried_again(void **state)
{
	struct metadata_request req = to_prepare("b");
	struct bench t;

	(void)state;
	set_up(&t, 1, 2);
	lose_b(&t, false, 2);
	assert_ok(run(&t.a, &req), req.err);
	req.op = METADATA_REBUILD;
	assert_ok(run(&t.a, &req), req.err);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(prepared(&t.a, "b", true), 1);
	tear_down(&t);
}

/* --- going --------------------------------------------------------------------------------------- */

static void removed_stays_removed_over_an_assembly(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(ask(&t.a, METADATA_REMOVE, 0, 1), -EBUSY);
	assert_int_equal(ask(&t.a, METADATA_FORGET, 0, 1), -EBUSY);
	assert_int_equal(ask(&t.a, METADATA_REMOVE, 0, 9), -ENODEV);
	assert_int_equal(added(&t.a, "c"), 2);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_SPARE);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	assert_int_equal(sb_of(&t.rig, 1).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.a, "c"), -1);
	asked(&t.b, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.b, "c"), -1);
	assemble(&t.b, 3);
	assert_int_equal(state_of(&t.b, "c"), -1);
	assert_int_equal(ask(&t.b, METADATA_REBUILD, 1, 2), -ENODEV);
	/* a failed one stays away as well */
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REMOVE, 0, 1);
	assemble(&t.b, 3);
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(t.b.view.degraded, 1);
	assert_int_equal(state_of(&t.b, "b"), METADATA_DISK_FAULTY);
	tear_down(&t);
}

static void a_spare_that_cannot_be_read_any_more_can_be_removed(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES, 0,
			   SECTORS * 512ull);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(state_of(&t.a, "c"), -1);
	tear_down(&t);
}

/* --- who may come ---------------------------------------------------------------------------------- */

static void what_was_prepared_and_not_added_is_nobodys(void **state)
{
	struct err err = ERR_INIT;
	struct md_member m;
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(prepared(&t.a, "c", false), 2);
	assemble(&t.b, 3); /* the adder died */
	assert_int_equal(state_of(&t.b, "c"), -1);
	asked(&t.a, METADATA_UNPREPARE, 0, 2);
	assert_int_equal(md_member_load(&m, t.rig.disks[2], &err), -ENOENT);
	md_member_fini(&m);
	asked(&t.a, METADATA_UNPREPARE, 0, 2);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(ask(&t.a, METADATA_UNPREPARE, 0, 2), -EBUSY);
	tear_down(&t);
}

static void a_disk_in_use_and_one_that_holds_something_else_are_refused(void **state)
{
	struct metadata_request req = to_prepare("a");
	struct bench t;
	uint64_t before;

	(void)state;
	set_up(&t, 1, 3);
	before = writes(&t.rig);
	assert_refused(run(&t.a, &req), -EEXIST, req.err, "a", "number 0");
	t.a.holds_else = true;
	req = to_prepare("c");
	assert_refused(run(&t.a, &req), -EBUSY, req.err, "c", "ext4");
	t.a.is_gone[2] = true;
	assert_refused(run(&t.a, &req), -ENOENT, req.err, "c");
	t.a.is_gone[2] = false;
	assert_int_equal(writes(&t.rig), before);
	req.is_forced = true;
	assert_ok(run(&t.a, &req), req.err);
	tear_down(&t);
}

/* It has the array's data, and others write to it: it must not be made anew. */
static void a_disk_that_is_in_use_elsewhere_is_refused_though_it_is_not_open_here(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct metadata_request req = to_prepare("c");
		struct bench t;
		uint64_t before;

		set_up(&t, 1, 3);
		asked(&t.a, METADATA_FAIL, 1, 0);
		asked(&t.b, METADATA_RELOAD, 0, 0);
		t.b.hides = i & 1;
		assert_int_equal(added(&t.a, "c"), 2);
		if (i & 2)
			asked(&t.a, METADATA_REBUILD, 1, 2);
		before = writes(&t.rig);
		req.is_forced = true;
		assert_refused(run(&t.b, &req), -EEXIST, req.err, "c", "number 2");
		assert_int_equal(writes(&t.rig), before);
		tear_down(&t);
	}
}

static struct disk *resize(struct bench *t, size_t disk, uint64_t sectors)
{
	const char name[2] = { (char)('a' + disk), '\0' };

	disk_close(t->rig.disks[disk]);
	t->rig.disks[disk] = disk_mem_new(t->rig.world, name, sectors * 512);
	return t->rig.disks[disk];
}

static void a_smaller_disk_has_its_data_nearer_to_the_bitmap_or_is_refused(void **state)
{
	struct metadata_request req = to_prepare("c");
	uint64_t room, before;
	struct bench t;
	struct md_sb sb;

	(void)state;
	set_up(&t, 1, 3);
	sb = sb_of(&t.rig, 0);
	room = (8 + 8 + 8 * NODES); /* 4 KiB in front, superblock, slots of a page each */
	before = writes(&t.rig);
	(void)resize(&t, 2, sb.size + room - 8);
	assert_refused(run(&t.a, &req), -ENOSPC, req.err, "c", "too few");
	assert_int_equal(writes(&t.rig), before);
	(void)resize(&t, 2, sb.size + room);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).data_offset, room);
	assert_int_equal(sb_of(&t.rig, 2).data_size, sb.size);
	asked(&t.a, METADATA_UNPREPARE, 0, req.number);
	(void)resize(&t, 2, 2 * SECTORS);
	assert_ok(run(&t.a, &req), req.err);
	assert_int_equal(sb_of(&t.rig, 2).data_offset, sb.data_offset);
	assert_int_equal(sb_of(&t.rig, 2).data_size, 2 * SECTORS - sb.data_offset);
	assert_int_equal(sb_of(&t.rig, 2).bitmap_offset, sb.bitmap_offset);
	tear_down(&t);
}

static void larger_blocks_than_clients_were_told_are_refused(void **state)
{
	struct metadata_request req = to_prepare("c");
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	t.rig.disks[2]->topology.logical_block_bytes = 4096;
	assert_refused(run(&t.a, &req), -EINVAL, req.err, "c", "4096", "512");
	tear_down(&t);
}

static void a_node_that_does_not_see_the_disk_or_has_its_number_says_so(void **state)
{
	struct metadata_request find = { .op = METADATA_FIND };
	struct metadata_request req = to_prepare("c");
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	assert_ok(run(&t.a, &req), req.err);
	memcpy(find.device_uuid, req.device_uuid, 16);
	t.b.is_gone[2] = true;
	assert_refused(run(&t.b, &find), -ENODEV, find.err, "uuid");
	asked(&t.b, METADATA_RELOAD, 0, 0);
	/* another spare with that number, which the adder does not see */
	asked(&t.a, METADATA_UNPREPARE, 0, req.number);
	assert_int_equal(added(&t.b, "d"), req.number);
	t.a.is_gone[3] = true;
	t.b.is_gone[2] = false;
	assert_ok(run(&t.a, &req), req.err);
	memcpy(find.device_uuid, req.device_uuid, 16);
	assert_refused(run(&t.b, &find), -EEXIST, find.err, "d", "number 2");
	tear_down(&t);
}

static void numbers_of_removed_disks_come_last(void **state)
{
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	assert_int_equal(added(&t.a, "c"), 2);
	assert_int_equal(added(&t.a, "d"), 3);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	asked(&t.a, METADATA_FORGET, 0, 2);
	assert_int_equal(added(&t.a, "c"), 4);
	asked(&t.a, METADATA_REMOVE, 0, 4);
	asked(&t.a, METADATA_FORGET, 0, 4);
	for (size_t i = 0; i < 2; i++) { /* none is left that nobody had */
		sb = sb_of(&t.rig, i);
		for (uint32_t n = 5; n < sb.max_dev; n++)
			sb.roles[n] = MD_ROLE_FAULTY;
		store_sb(&t.rig, i, &sb);
	}
	assert_int_equal(added(&t.a, "c"), 2);
	tear_down(&t);
}

/* "c" was number 2 and is away; "d" has that number since. */
static void of_two_that_claim_a_number_the_current_one_counts(void **state)
{
	struct md_sb sb;
	struct bench t;

	(void)state;
	set_up(&t, 1, 4);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	asked(&t.a, METADATA_IN_SYNC, 1, 0);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REMOVE, 0, 2);
	asked(&t.a, METADATA_FORGET, 0, 2);
	sb = sb_of(&t.rig, 0);
	for (uint32_t n = 3; n < sb.max_dev; n++)
		sb.roles[n] = MD_ROLE_FAULTY;
	store_sb(&t.rig, 0, &sb);
	assert_int_equal(added(&t.a, "d"), 2);
	assemble(&t.b, 4);
	assert_int_equal(state_of(&t.b, "d"), METADATA_DISK_SPARE);
	assert_int_equal(state_of(&t.b, "c"), -1);
	asked(&t.a, METADATA_REBUILD, 1, 2);
	assemble(&t.b, 4);
	assert_int_equal(state_of(&t.b, "d"), METADATA_DISK_REBUILD);
	assert_int_equal(state_of(&t.b, "c"), -1);
	tear_down(&t);
}

static void a_disk_that_others_took_in_is_looked_for_before_it_is_made_faulty(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	asked(&t.a, METADATA_REBUILD, 1, added(&t.a, "c"));
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assemble(&t.b, 2); /* its paths are old ones */
	assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
	t.b.is_gone[2] = true;
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
	assert_true(t.b.view.disks[1].is_elsewhere); /* it is told */
	assert_int_equal(t.b.view.disks[1].dev_number, 2);
	t.b.is_gone[2] = false;
	asked(&t.b, METADATA_ACTIVATE, 0, 0);
	assert_int_equal(state_of(&t.b, "c"), METADATA_DISK_REBUILD);
	assert_int_equal(sb_of(&t.rig, 0).roles[2], 1);
	t.b.finds = 0;
	asked(&t.b, METADATA_RELOAD, 0, 0);
	assert_int_equal(t.b.finds, 0);
	tear_down(&t);
}

/* --- disks that do not take it ------------------------------------------------------------------------ */

static void a_spare_that_cannot_be_written_is_one_no_more(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_WRITES, 8192, SECTORS * 512ull - 8192);
	assert_refused(run(&t.a, &req), -EIO, req.err, "c");
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_FAULTY);
	tear_down(&t);
}

static void a_spare_that_cannot_be_read_is_one_no_more(void **state)
{
	struct metadata_request req = { .op = METADATA_REBUILD, .role = 1, .number = 2 };
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	asked(&t.a, METADATA_FAIL, 1, 0);
	assert_int_equal(added(&t.a, "c"), 2);
	disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_READS, 0, SECTORS * 512ull);
	assert_refused(run(&t.a, &req), -EIO, req.err, "c");
	assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
	tear_down(&t);
}

/* It was ADDed, and the reading behind that failed: others have it for a spare by now. */
static void what_was_added_is_not_taken_back_for_want_of_a_reading(void **state)
{
	struct bench t;

	(void)state;
	set_up(&t, 1, 3);
	assert_int_equal(prepared(&t.a, "c", false), 2);
	t.a.fails_after = 3; /* superblocks that ADD writes; what it reads behind them lacks */
	assert_int_not_equal(ask(&t.a, METADATA_ADD, 0, 2), 0);
	assert_int_equal(ask(&t.a, METADATA_UNPREPARE, 0, 2), -EBUSY);
	assert_int_equal(sb_of(&t.rig, 2).roles[2], MD_ROLE_SPARE);
	asked(&t.a, METADATA_RELOAD, 0, 0);
	assert_int_equal(state_of(&t.a, "c"), METADATA_DISK_SPARE);
	tear_down(&t);
}

static void a_disk_that_does_not_take_its_role_has_none(void **state)
{
	static const enum metadata_op steps[] = { METADATA_ADD, METADATA_REBUILD,
						  METADATA_IN_SYNC };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct metadata_request req = { .op = steps[i], .role = 1, .number = 2 };
		struct bench t;

		set_up(&t, 1, 3);
		asked(&t.a, METADATA_FAIL, 1, 0);
		assert_int_equal(prepared(&t.a, "c", false), 2);
		for (size_t j = 0; j < i; j++)
			asked(&t.a, steps[j], 1, 2);
		disk_mem_set_fault(t.rig.disks[2], DISK_MEM_FAIL_WRITES, 4096, 4096);
		assert_refused(run(&t.a, &req), -EIO, req.err, "c");
		assert_int_equal(sb_of(&t.rig, 0).roles[2], MD_ROLE_FAULTY);
		assert_int_equal(sb_of(&t.rig, 0).roles[0], 0);
		tear_down(&t);
	}
}

/* --- cuts ------------------------------------------------------------------------------------------- */

/* "b" failed, "c" comes in its place; or "b" comes back. */
enum cut_op {
	CUT_PREPARE, CUT_UNPREPARE, CUT_ADD, CUT_REBUILD, CUT_PROGRESS, CUT_IN_SYNC, CUT_FAIL,
	CUT_REMOVE, CUT_RETURN, CUT_RETURNED, CUT_OPS
};

enum { POSITION = 4096 };

static const char *comer(enum cut_op op)
{
	return op == CUT_RETURN || op == CUT_RETURNED ? "b" : "c";
}

static void begin(struct bench *t, enum cut_op op, uint64_t seed)
{
	struct metadata_request req = to_prepare(comer(op));
	struct metadata_request find = { .op = METADATA_FIND };

	set_up(t, seed, 3);
	change_slot(&t->rig, 2, 0, 0, 1, 0);
	asked(&t->a, METADATA_FAIL, 1, 0);
	asked(&t->b, METADATA_RELOAD, 0, 0);
	change_slot(&t->rig, 1, 1, 3, 3, 0);
	change_slot(&t->rig, 1, 2, 7, 9, 0); /* nobody's */
	if (op != CUT_PREPARE) {
		assert_ok(run(&t->a, &req), req.err);
		memcpy(find.device_uuid, req.device_uuid, 16);
		assert_ok(run(&t->b, &find), find.err);
	}
	if (op == CUT_RETURNED) {
		req.op = METADATA_REBUILD;
		assert_ok(run(&t->a, &req), req.err);
	} else if (op != CUT_PREPARE && op != CUT_UNPREPARE && op != CUT_ADD &&
		   op != CUT_RETURN) {
		asked(&t->a, METADATA_ADD, 0, 2);
		if (op != CUT_REBUILD && op != CUT_REMOVE)
			asked(&t->a, METADATA_REBUILD, 1, 2);
	}
	if (op == CUT_IN_SYNC || op == CUT_RETURNED)
		change_slot(&t->rig, 1, 2, 12, 12, 0); /* the comer has not this one */
	asked(&t->b, METADATA_RELOAD, 0, 0);
	for (size_t i = 0; i < t->rig.count; i++)
		disk_mem_settle(t->rig.disks[i]);
}

static int do_it(struct node *n, enum cut_op op)
{
	struct metadata_request req = to_prepare(comer(op));

	switch (op) {
	case CUT_PREPARE:
		return run(n, &req);
	case CUT_UNPREPARE:
		return ask(n, METADATA_UNPREPARE, 0, 2);
	case CUT_ADD:
		return ask(n, METADATA_ADD, 0, 2);
	case CUT_REBUILD:
		return ask(n, METADATA_REBUILD, 1, 2);
	case CUT_RETURN:
		req.op = METADATA_REBUILD;
		req.is_re_add = true;
		req.number = 1;
		return run(n, &req);
	case CUT_PROGRESS:
		req.op = METADATA_PROGRESS;
		req.role = 1;
		req.position = POSITION;
		return run(n, &req);
	case CUT_IN_SYNC:
	case CUT_RETURNED:
		req.op = METADATA_IN_SYNC;
		req.role = 1;
		req.slots = UINT64_MAX;
		return run(n, &req);
	case CUT_FAIL:
		return ask(n, METADATA_FAIL, 1, 0);
	case CUT_REMOVE:
		return ask(n, METADATA_REMOVE, 0, 2);
	case CUT_OPS:
		break;
	}
	return -EINVAL;
}

/* Bits in each slot, and where the comer counts: on its own copies alone, too. */
static void check_bits(struct bench *t, struct node *n, enum cut_op op)
{
	bool is_late = op == CUT_IN_SYNC || op == CUT_RETURNED;
	const uint64_t wanted[NODES] = { 2, 1, is_late ? 4 : 3 };
	size_t disk = (size_t)(comer(op)[0] - 'a');

	for (uint32_t slot = 0; slot < NODES; slot++) {
		struct metadata_request req = { .op = METADATA_READ_SLOT, .slot = slot };

		assert_ok(run(n, &req), req.err);
		assert_int_equal(req.dirty, wanted[slot]);
		free(req.bits);
		if (state_of(n, comer(op)) == METADATA_DISK_IN_SYNC)
			assert_int_equal(dirty_on(&t->rig, disk, slot), wanted[slot]);
	}
}

static void check_comer(const struct node *n, enum cut_op op)
{
	const struct metadata_disk *d = disk_of(n, comer(op));
	int state = state_of(n, comer(op));

	assert_int_equal(n->view.disks[0].state, METADATA_DISK_IN_SYNC);
	if (state == METADATA_DISK_IN_SYNC) {
		assert_true(op == CUT_IN_SYNC || op == CUT_RETURNED);
	} else if (state == METADATA_DISK_REBUILD) {
		assert_true(op != CUT_PREPARE && op != CUT_UNPREPARE && op != CUT_ADD &&
			    op != CUT_REMOVE);
		assert_int_equal(d->is_by_bitmap, op == CUT_RETURN || op == CUT_RETURNED);
		assert_true(d->recovery_offset <= (op == CUT_PROGRESS ? POSITION : 0));
	} else if (state == METADATA_DISK_SPARE) {
		assert_true(op == CUT_ADD || op == CUT_REBUILD || op == CUT_REMOVE);
	} else { /* what was there before is there still */
		assert_true(op != CUT_REBUILD && op != CUT_PROGRESS && op != CUT_IN_SYNC &&
			    op != CUT_RETURNED);
	}
}

/* As the kernel reads them: no superblock says that it is active before its own says how far. */
static void check_superblocks(const struct bench *t, enum cut_op op)
{
	uint32_t number = op == CUT_RETURN ? 1 : 2;
	struct md_sb own;

	if ((op != CUT_REBUILD && op != CUT_RETURN) || sb_of(&t->rig, 0).roles[number] != 1)
		return;
	own = sb_of(&t->rig, number);
	assert_int_equal(own.roles[number], 1);
	assert_true(own.feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

/* The same again, from its beginning where it had not begun. */
static void finish(struct bench *t, struct node *n, enum cut_op op)
{
	int state = state_of(n, comer(op)), r;

	if (op == CUT_ADD && state != METADATA_DISK_SPARE)
		assert_int_equal(prepared(n, "c", false), 2);
	if (op == CUT_RETURN && state != METADATA_DISK_REBUILD)
		assert_int_equal(prepared(n, "b", true), 1);
	if (op == CUT_REMOVE && state == -1)
		return; /* it knows itself */
	r = do_it(n, op);
	if (r != 0 && (r != -EALREADY || (op != CUT_REBUILD && op != CUT_RETURN)))
		fail_msg("operation %d again: %d", (int)op, r);
	asked(n, METADATA_RELOAD, 0, 0);
	state = state_of(n, comer(op));
	assert_true(op != CUT_ADD || state == METADATA_DISK_SPARE);
	assert_true((op != CUT_REBUILD && op != CUT_RETURN && op != CUT_PROGRESS) ||
		    state == METADATA_DISK_REBUILD);
	assert_true(op != CUT_PROGRESS || disk_of(n, "c")->recovery_offset == POSITION);
	assert_true((op != CUT_IN_SYNC && op != CUT_RETURNED) || n->view.degraded == 0);
	assert_true(op != CUT_FAIL || sb_of(&t->rig, 0).roles[2] == MD_ROLE_FAULTY);
	assert_true(op != CUT_REMOVE || sb_of(&t->rig, 0).roles[2] == MD_ROLE_FAULTY);
}

static void power_fails(struct bench *t)
{
	metadata_free(t->a.md);
	metadata_free(t->b.md);
	disk_world_cut_power(t->rig.world);
	disk_world_restore_power(t->rig.world);
	node_init(&t->a, &t->rig, 0x30);
	node_init(&t->b, &t->rig, 0xb0);
}

/* True: it was over before the power went. */
static bool cut(struct bench *t, enum cut_op op, uint64_t at)
{
	uint64_t before = writes(&t->rig);
	bool is_over;

	disk_world_cut_power_after(t->rig.world, at);
	is_over = do_it(&t->a, op) == 0 && writes(&t->rig) - before < at;
	power_fails(t);
	assemble(&t->a, 3);
	return is_over;
}

static void a_power_cut_at_any_write_loses_nothing_and_trusts_nobody(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			for (uint64_t at = 0;; at++) {
				struct bench t;
				bool is_over;

				begin(&t, op, seed);
				is_over = cut(&t, op, at);
				check_superblocks(&t, op);
				check_comer(&t.a, op);
				check_bits(&t, &t.a, op);
				asked(&t.a, METADATA_ACTIVATE, 0, 0);
				check_comer(&t.a, op);
				check_bits(&t, &t.a, op);
				finish(&t, &t.a, op);
				check_bits(&t, &t.a, op);
				tear_down(&t);
				if (is_over)
					break;
			}
}

/* Each cut leaves some one event behind; two events behind would be stale, and lost. */
static void two_cuts_leave_no_disk_behind(void **state)
{
	static const enum cut_op ops_cut[] = { CUT_REBUILD, CUT_RETURNED, CUT_FAIL };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (uint64_t first = 0; first < 12; first++)
			for (uint64_t second = 0; second < 8; second++) {
				enum cut_op op = ops_cut[i];
				struct bench t;

				begin(&t, op, first + second);
				(void)cut(&t, op, first);
				(void)cut(&t, CUT_FAIL, second);
				assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
				asked(&t.a, METADATA_ACTIVATE, 0, 0);
				assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
				check_bits(&t, &t.a, op);
				tear_down(&t);
			}
}

/*
 * Who does it dies, or its lease ends (D13): the other one reads superblocks anew, and finishes
 * it. No disk is to blame.
 */
static void a_node_that_dies_at_any_write_leaves_what_another_can_finish(void **state)
{
	(void)state;
	for (enum cut_op op = 0; op < CUT_OPS; op++)
		for (int leave = 0;; leave++) {
			struct bench t;
			int r;

			begin(&t, op, 1);
			t.a.leave = leave;
			r = do_it(&t.a, op);
			assert_true(r == 0 || r == -ESHUTDOWN);
			asked(&t.b, METADATA_RELOAD, 0, 0);
			check_comer(&t.b, op);
			check_bits(&t, &t.b, op);
			finish(&t, &t.b, op);
			check_bits(&t, &t.b, op);
			tear_down(&t);
			if (r == 0)
				break;
		}
}

/*
 * "c" has it, "d" does not take it, and "a", the only one in sync, is last: it must not be left
 * two events behind.
 */
static void a_disk_that_fails_amid_a_change_leaves_no_other_behind(void **state)
{
	static const char *const paths[] = { "d", "c", "a" };

	(void)state;
	for (uint64_t at = 0; at < 12; at++) {
		struct metadata_request req = { .op = METADATA_ASSEMBLE, .paths = paths,
						.path_count = 3, .may_start_degraded = true };
		struct bench t;

		set_up(&t, at + 1, 4);
		asked(&t.a, METADATA_FAIL, 1, 0);
		assert_int_equal(added(&t.a, "c"), 2);
		assert_int_equal(added(&t.a, "d"), 3);
		assert_ok(run(&t.b, &req), req.err);
		for (size_t i = 0; i < t.rig.count; i++)
			disk_mem_settle(t.rig.disks[i]);
		disk_mem_set_fault(t.rig.disks[3], DISK_MEM_FAIL_WRITES, 0, SECTORS * 512ull);
		disk_world_cut_power_after(t.rig.world, at);
		(void)ask(&t.b, METADATA_REBUILD, 1, 2);
		power_fails(&t);
		assemble(&t.a, 4);
		assert_int_equal(t.a.view.disks[0].state, METADATA_DISK_IN_SYNC);
		tear_down(&t);
	}
}

/*
 * Its last superblock is of one who died amid a change, and newer than all others'. It fails: what
 * that superblock says must never count again, whoever is read first.
 */
static void what_failed_stays_failed_though_its_superblock_was_the_newest(void **state)
{
	static const enum cut_op cuts[] = { CUT_REBUILD, CUT_IN_SYNC, CUT_RETURN, CUT_RETURNED };
	const struct metadata_request all = { .op = METADATA_ASSEMBLE, .path_count = 3,
					      .may_start_degraded = true };
	const char *const orders[][3] = { { "a", "b", "c" }, { "c", "b", "a" } };

	(void)state;
	for (int i = 0; i < 4 * 12 * 2; i++) {
		struct metadata_request req = all;
		enum cut_op op = cuts[i % 4];
		struct md_sb own;
		struct bench t;
		size_t disk;

		begin(&t, op, 1);
		disk = (size_t)(comer(op)[0] - 'a');
		t.a.leave = i / 4 % 12;
		(void)do_it(&t.a, op);
		if (i < 4 * 12)
			asked(&t.b, METADATA_RELOAD, 0, 0);
		disk_mem_set_fault(t.rig.disks[disk], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES,
				   0, SECTORS * 512ull);
		asked(&t.b, METADATA_FAIL, 1, 0);
		disk_mem_set_fault(t.rig.disks[disk], DISK_MEM_NO_FAULT, 0, 0);
		own = sb_of(&t.rig, disk);
		if (i < 4 * 12 && md_sb_role(&own) == 1) /* so that whoever reads them sees it */
			assert_true(sb_of(&t.rig, 0).events > own.events);
		for (int order = 0; order < 2; order++) {
			req.paths = orders[order];
			assert_ok(run(&t.b, &req), req.err);
			assert_int_equal(t.b.view.disks[0].state, METADATA_DISK_IN_SYNC);
			/* who did not know of it has nothing to fail: from its beginning, then */
			if (i >= 4 * 12 && state_of(&t.b, comer(op)) == METADATA_DISK_REBUILD)
				assert_int_equal(disk_of(&t.b, comer(op))->recovery_offset, 0);
			else
				assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
		}
		tear_down(&t);
	}
}

/* The same, where the one who fails it has not read what the dead one wrote: their events are equal. */
static void of_two_with_equal_events_who_says_that_the_other_failed_counts(void **state)
{
	const char *const orders[][2] = { { "a", "b" }, { "b", "a" } };

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct metadata_request req = { .op = METADATA_ASSEMBLE, .path_count = 2,
						.may_start_degraded = true,
						.paths = orders[1] };
		struct bench t;

		set_up(&t, 1, 3);
		assert_ok(run(&t.a, &req), req.err);
		assert_int_equal(prepared(&t.a, "c", false), 2);
		t.a.leave = i;
		(void)ask(&t.a, METADATA_ADD, 0, 2);
		disk_mem_set_fault(t.rig.disks[1], DISK_MEM_FAIL_READS | DISK_MEM_FAIL_WRITES,
				   0, SECTORS * 512ull);
		asked(&t.b, METADATA_FAIL, 1, 0);
		disk_mem_set_fault(t.rig.disks[1], DISK_MEM_NO_FAULT, 0, 0);
		for (int order = 0; order < 2; order++) {
			req.paths = orders[order];
			assert_ok(run(&t.b, &req), req.err);
			assert_int_equal(t.b.view.disks[0].state, METADATA_DISK_IN_SYNC);
			assert_int_equal(t.b.view.disks[1].state, METADATA_DISK_MISSING);
		}
		tear_down(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_comes_as_a_spare_and_ends_in_sync_on_all_nodes),
		cmocka_unit_test(an_absent_nodes_slot_is_intact_on_a_disk_that_came_meanwhile),
		cmocka_unit_test(
			what_changed_in_a_slot_of_nobody_meanwhile_is_copied_at_the_end),
		cmocka_unit_test(a_disk_that_is_rebuilt_is_written_and_not_believed),
		cmocka_unit_test(a_start_keeps_what_is_rebuilt_and_gives_up_what_is_not_here),
		cmocka_unit_test(progress_never_goes_back),
		cmocka_unit_test(a_spare_that_does_not_know_of_its_role_is_not_in_sync),
		cmocka_unit_test(a_role_gets_one_disk),
		cmocka_unit_test(a_former_disk_comes_back_with_what_the_bits_say),
		cmocka_unit_test(
			a_former_disk_comes_as_a_new_one_where_any_node_cleared_bits_since),
		cmocka_unit_test(bits_that_are_cleared_before_it_is_back_keep_it_away),
		cmocka_unit_test(
			who_was_rebuilt_or_replaced_or_used_apart_comes_back_as_a_new_one),
		cmocka_unit_test(a_return_by_the_bitmap_that_failed_may_be_tried_again),
		cmocka_unit_test(removed_stays_removed_over_an_assembly),
		cmocka_unit_test(a_spare_that_cannot_be_read_any_more_can_be_removed),
		cmocka_unit_test(what_was_prepared_and_not_added_is_nobodys),
		cmocka_unit_test(a_disk_in_use_and_one_that_holds_something_else_are_refused),
		cmocka_unit_test(
			a_disk_that_is_in_use_elsewhere_is_refused_though_it_is_not_open_here),
		cmocka_unit_test(
			a_smaller_disk_has_its_data_nearer_to_the_bitmap_or_is_refused),
		cmocka_unit_test(larger_blocks_than_clients_were_told_are_refused),
		cmocka_unit_test(a_node_that_does_not_see_the_disk_or_has_its_number_says_so),
		cmocka_unit_test(numbers_of_removed_disks_come_last),
		cmocka_unit_test(of_two_that_claim_a_number_the_current_one_counts),
		cmocka_unit_test(
			a_disk_that_others_took_in_is_looked_for_before_it_is_made_faulty),
		cmocka_unit_test(a_spare_that_cannot_be_written_is_one_no_more),
		cmocka_unit_test(a_spare_that_cannot_be_read_is_one_no_more),
		cmocka_unit_test(what_was_added_is_not_taken_back_for_want_of_a_reading),
		cmocka_unit_test(a_disk_that_does_not_take_its_role_has_none),
		cmocka_unit_test(a_power_cut_at_any_write_loses_nothing_and_trusts_nobody),
		cmocka_unit_test(two_cuts_leave_no_disk_behind),
		cmocka_unit_test(a_node_that_dies_at_any_write_leaves_what_another_can_finish),
		cmocka_unit_test(a_disk_that_fails_amid_a_change_leaves_no_other_behind),
		cmocka_unit_test(
			what_failed_stays_failed_though_its_superblock_was_the_newest),
		cmocka_unit_test(
			of_two_with_equal_events_who_says_that_the_other_failed_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
