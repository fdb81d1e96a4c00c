/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that runs out at each allocation of each request: it is told, and the next one works. */
#include "tests/unit/disk_lend.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "mdclusterd/array/metadata.h"

enum { SECTORS = 32768 };

static int fail_in; /* 1: the next one; 0: none */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_disk_buffer_new(size_t length_bytes);
void *__wrap_disk_buffer_new(size_t length_bytes);

static bool fails(void)
{
	return disk_lend_depth == 0 && fail_in > 0 && --fail_in == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_disk_buffer_new(size_t length_bytes)
{
	return fails() ? NULL : __real_disk_buffer_new(length_bytes);
}

static struct disk *on_open(void *owner, const char *path, struct err *err)
{
	struct rig *rig = owner;
	int left = fail_in;
	struct disk *disk;

	(void)err;
	fail_in = 0; /* the disk's own memory is not meant */
	disk = disk_lend(rig->disks[path[0] - 'a']);
	fail_in = left;
	return disk;
}

static size_t on_find(void *owner, const uint8_t set_uuid[16], char **paths, size_t room)
{
	(void)owner, (void)set_uuid, (void)room;
	paths[0] = strdup("d");
	return 1;
}

static int on_claim(void *owner, struct disk *disk, bool is_member, bool is_forced,
		    struct err *err)
{
	(void)owner, (void)disk, (void)is_member, (void)is_forced, (void)err;
	return 0;
}

static void on_random(void *owner, void *to, size_t bytes)
{
	(void)owner;
	memset(to, 0x77, bytes);
}

static const struct metadata_ops ops = {
	.open = on_open, .find = on_find, .claim = on_claim, .random = on_random,
};

static int ask(struct metadata *md, struct metadata_request *req)
{
	static const char *const paths[] = { "a", "b", "c" };
	static struct metadata_view view;

	req->paths = paths;
	req->path_count = 3;
	req->view = &view;
	req->role = req->op == METADATA_FAIL ? 2 : METADATA_NO_ROLE;
	req->slot = 1;
	return metadata_run(md, req);
}

static void at_each_allocation_it_is_told_and_the_next_one_works(void **state)
{
	static const enum metadata_op asked[] = {
		METADATA_ASSEMBLE, METADATA_RELOAD, METADATA_ACTIVATE,
		METADATA_READ_SLOT, METADATA_CLEAR_SLOT, METADATA_FAIL,
	};
	unsigned int failures = 0;

	(void)state;
	for (size_t o = 0; o < sizeof(asked) / sizeof(asked[0]); o++)
		for (int n = 1;; n++) {
			struct metadata_request first = { .op = METADATA_ASSEMBLE };
			struct metadata_request req = { .op = asked[o] };
			struct md_create_params p;
			struct metadata *md;
			struct rig rig;
			bool was_hit;
			int r;

			rig_init(&rig, 1, 3, SECTORS);
			p = rig_params(&rig);
			p.is_assume_clean = asked[o] == METADATA_ACTIVATE;
			rig_create(&rig, &p);
			md = metadata_new(&ops, &rig);
			assert_int_equal(ask(md, &first), 0);
			rig_plant(&rig, 1, 3, 9);
			if (asked[o] == METADATA_CLEAR_SLOT) {
				req.bits = calloc(1, bits_bytes(first.view->geo.chunks));
				bits_set_range(req.bits, 3, 5);
			}
			fail_in = n;
			r = ask(md, &req);
			was_hit = fail_in == 0;
			fail_in = 0;
			if (was_hit && r != 0) {
				failures++;
				assert_true(req.err.text[0] != '\0');
				if (asked[o] == METADATA_READ_SLOT)
					assert_null(req.bits);
			}
			if (r != 0)
				assert_int_equal(ask(md, &req), 0);
			if (asked[o] == METADATA_READ_SLOT) {
				assert_int_equal(req.dirty, 7);
				free(req.bits);
			}
			if (asked[o] == METADATA_CLEAR_SLOT) {
				assert_int_equal(rig_dirty(&rig, 1), 4);
				free(req.bits);
			}
			metadata_free(md);
			rig_fini(&rig);
			if (!was_hit)
				break;
		}
	assert_true(failures > 20);
}

/* "c" failed, "d" comes: steps before the one that is meant are done as ever. */
static int step(struct metadata *md, enum metadata_op op, struct metadata_view *view)
{
	struct metadata_request req = { .op = op, .path = "d", .role = 2, .number = 3,
					.position = 8, .view = view, .slots = UINT64_MAX };
	int r;

	memset(req.device_uuid, 0x77, 16);
	r = metadata_run(md, &req);
	assert_true(r == 0 || req.err.text[0] != '\0');
	return r;
}

/* It may have been, but for the reading afterwards. */
static void expect_done(int r, enum metadata_op op)
{
	if (r != -EALREADY || op != METADATA_REBUILD)
		assert_int_equal(r, 0);
}

static void a_disk_that_comes_while_memory_runs_out_comes_at_the_next_try(void **state)
{
	static const enum metadata_op steps[] = {
		METADATA_FAIL, METADATA_PREPARE, METADATA_UNPREPARE, METADATA_PREPARE,
		METADATA_FIND, METADATA_ADD, METADATA_REBUILD, METADATA_PROGRESS,
		METADATA_IN_SYNC, METADATA_FAIL, METADATA_REMOVE, METADATA_FORGET,
	};
	static struct metadata_view view;
	unsigned int failures = 0;

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
		for (int n = 1;; n++) {
			struct metadata_request first = { .op = METADATA_ASSEMBLE };
			struct md_create_params p;
			struct metadata *md;
			struct rig rig;
			bool was_hit;

			rig_init(&rig, 1, 4, SECTORS);
			rig.count = 3;
			p = rig_params(&rig);
			rig_create(&rig, &p);
			rig.count = 4;
			md = metadata_new(&ops, &rig);
			assert_int_equal(ask(md, &first), 0);
			for (size_t i = 0; i < s; i++)
				assert_int_equal(step(md, steps[i], &view), 0);
			fail_in = n;
			if (step(md, steps[s], &view) != 0)
				failures++;
			was_hit = fail_in == 0;
			fail_in = 0;
			/* it may have been added, but for the reading afterwards */
			if (was_hit && (steps[s] != METADATA_ADD ||
					step(md, METADATA_PREPARE, &view) != -EEXIST))
				expect_done(step(md, steps[s], &view), steps[s]);
			metadata_free(md);
			rig_fini(&rig);
			if (!was_hit)
				break;
		}
	assert_true(failures > 40);
}

static void without_memory_there_are_no_metadata(void **state)
{
	(void)state;
	fail_in = 1;
	assert_null(metadata_new(&ops, NULL));
	fail_in = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_each_allocation_it_is_told_and_the_next_one_works),
		cmocka_unit_test(
			a_disk_that_comes_while_memory_runs_out_comes_at_the_next_try),
		cmocka_unit_test(without_memory_there_are_no_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
