/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes at the metadata of one array, on disks of one world: each with handles of its own, and
 * words to ask with. For the tests of disks that come and go.
 */
#pragma once

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

static inline void all_reads(struct node *n, enum disk_mem_fault fault)
{
	for (size_t i = 0; i < n->rig->count; i++)
		disk_mem_set_fault(n->rig->disks[i], fault, 0, SECTORS * 512ull);
}

static inline bool may_change(void *owner)
{
	struct node *n = owner;

	if (n->fails_after > 0 && --n->fails_after == 0)
		all_reads(n, DISK_MEM_FAIL_READS);
	return n->leave < 0 || n->leave-- > 0;
}

static inline struct disk *on_open(void *owner, const char *path, struct err *err)
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
static inline size_t on_find(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
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

static inline int on_claim(void *owner, struct disk *disk, bool is_member, bool is_forced,
		    struct err *err)
{
	struct node *n = owner;

	n->claims++;
	if (n->holds_else && !is_member && !is_forced)
		return err_set(err, -EBUSY, "%s: already holds: ext4", disk->name);
	return 0;
}

static inline void on_random(void *owner, void *to, size_t bytes)
{
	struct node *n = owner;

	memset(to, ++n->random, bytes);
}

static const struct metadata_ops ops = {
	.open = on_open, .find = on_find, .claim = on_claim, .random = on_random,
};

static inline void node_init(struct node *n, struct rig *rig, uint8_t random)
{
	memset(n, 0, sizeof(*n));
	n->rig = rig;
	n->leave = -1;
	n->random = random;
	n->md = metadata_new(&ops, n);
	assert_non_null(n->md);
}

/* --- asking ---------------------------------------------------------------------------------- */

static inline int run(struct node *n, struct metadata_request *req)
{
	bool fails = n->fails_after > 0;
	int r;

	req->view = &n->view;
	r = metadata_run(n->md, req);
	if (fails)
		all_reads(n, DISK_MEM_NO_FAULT);
	return r;
}

static inline int ask(struct node *n, enum metadata_op op, uint32_t role, uint32_t number)
{
	struct metadata_request req = { .op = op, .role = role, .number = number };

	return run(n, &req);
}

static inline void asked(struct node *n, enum metadata_op op, uint32_t role, uint32_t number)
{
	struct metadata_request req = { .op = op, .role = role, .number = number };

	assert_ok(run(n, &req), req.err);
}

/* With the first `count` disks. */
static inline int try_assemble(struct node *n, size_t count, struct err *err)
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

static inline void assemble(struct node *n, size_t count)
{
	struct err err = ERR_INIT;

	assert_ok(try_assemble(n, count, &err), err);
}

static inline struct metadata_request to_prepare(const char *path)
{
	return (struct metadata_request){ .op = METADATA_PREPARE, .path = path,
					  .role = METADATA_NO_ROLE };
}

static inline uint32_t prepared(struct node *n, const char *path, bool is_re_add)
{
	struct metadata_request req = to_prepare(path);

	assert_ok(run(n, &req), req.err);
	assert_int_equal(req.is_re_add, is_re_add);
	return req.number;
}

static inline uint32_t added(struct node *n, const char *path)
{
	uint32_t number = prepared(n, path, false);

	asked(n, METADATA_ADD, 0, number);
	return number;
}

static inline const struct metadata_disk *disk_of(const struct node *n, const char *path)
{
	for (uint32_t i = 0; i < n->view.disk_count; i++)
		if (strcmp(n->view.disks[i].path, path) == 0)
			return &n->view.disks[i];
	return NULL;
}

static inline int state_of(const struct node *n, const char *path)
{
	const struct metadata_disk *d = disk_of(n, path);

	return d ? (int)d->state : -1;
}

static inline uint64_t writes(const struct rig *rig)
{
	return disk_world_writes(rig->world);
}

/* --- the array -------------------------------------------------------------------------------- */

struct bench {
	struct rig rig;
	struct node a, b;
};

/* "a" and "b" are members, in use and in sync; the rest is empty. */
static inline void set_up(struct bench *t, uint64_t seed, size_t disks)
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

static inline void tear_down(struct bench *t)
{
	metadata_free(t->a.md);
	metadata_free(t->b.md);
	rig_fini(&t->rig);
}

static inline struct md_sb sb_of(const struct rig *rig, size_t disk)
{
	struct md_member m;
	struct err err = ERR_INIT;
	struct md_sb sb;

	assert_ok(md_member_load(&m, rig->disks[disk], &err), err);
	sb = m.sb;
	md_member_fini(&m);
	return sb;
}

static inline void store_sb(struct rig *rig, size_t disk, const struct md_sb *sb)
{
	struct md_member m;
	struct err err = ERR_INIT;

	assert_ok(md_member_load(&m, rig->disks[disk], &err), err);
	m.sb = *sb;
	assert_ok(md_member_store(&m, &err), err);
	md_member_fini(&m);
}

/* --- the slots of one disk, by its own copies ------------------------------------------------- */

static inline void slot_of(const struct rig *rig, size_t disk, uint32_t number,
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

static inline uint64_t dirty_on(const struct rig *rig, size_t disk, uint32_t number)
{
	struct bitmap_slot slot;
	uint64_t dirty;

	slot_of(rig, disk, number, &slot);
	dirty = bitmap_slot_dirty_chunks(&slot);
	bitmap_slot_fini(&slot);
	return dirty;
}

/* As the intent of that slot's owner does it, on the disks that the array has. */
static inline void change_slot(struct rig *rig, size_t disks, uint32_t number, uint64_t first,
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
