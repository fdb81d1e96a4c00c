/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that comes is registered on before the array hears of it. */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/daemon/registered.h"
#include "tests/unit/help.h"

enum { MAX = 8 };

/* Disks below, a registrar beside: both answer when the test says so. */
struct host {
	struct metadata_runner below;
	struct registered *g;
	struct metadata_request *asked;
	char added[MAX][64], dropped[MAX][64];
	size_t added_count, dropped_count;
	char has[MAX][64];
	size_t has_count;
	void (*registering)(void *arg, const struct err *result);
	void *arg;
	struct metadata_view view;
	struct metadata_request req;
	int result;
	bool is_done;
};

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct host *rig = container_of(runner, struct host, below);

	rig->asked = req;
}

static bool has(void *owner, const char *path)
{
	struct host *rig = owner;

	for (size_t i = 0; i < rig->has_count; i++)
		if (strcmp(rig->has[i], path) == 0)
			return true;
	return false;
}

static int add(void *owner, const char *path, void (*done)(void *arg, const struct err *result),
	       void *arg, struct err *err)
{
	struct host *rig = owner;

	(void)err;
	assert_null(rig->registering);
	snprintf(rig->added[rig->added_count++], 64, "%s", path);
	rig->registering = done;
	rig->arg = arg;
	return 0;
}

static void drop(void *owner, const char *path)
{
	struct host *rig = owner;

	snprintf(rig->dropped[rig->dropped_count++], 64, "%s", path);
}

static void done(void *owner, struct metadata_request *req, int result)
{
	struct host *rig = owner;

	assert_ptr_equal(req, &rig->req);
	rig->result = result;
	rig->is_done = true;
}

static void begin(struct host *rig)
{
	const struct registrar to = { .owner = rig, .has = has, .add = add, .drop = drop };

	*rig = (struct host){ .below.submit = submit };
	rig->g = registered_new(&rig->below, &to);
	assert_non_null(rig->g);
}

static void ask(struct host *rig, enum metadata_op op, const char *path, uint32_t number)
{
	rig->is_done = false;
	rig->req = (struct metadata_request){ .op = op, .path = path, .number = number,
					      .view = &rig->view, .done = done, .owner = rig };
	registered_runner(rig->g)->submit(registered_runner(rig->g), &rig->req);
}

static void disk(struct host *rig, uint32_t place, const char *path,
		 enum metadata_disk_state state)
{
	struct metadata_disk *d = &rig->view.disks[place];

	snprintf(d->path, sizeof(d->path), "%s", path);
	d->state = state;
	d->dev_number = place + 10;
	if (rig->view.disk_count <= place)
		rig->view.disk_count = place + 1;
}

static void below_says(struct host *rig, int result)
{
	struct metadata_request *req = rig->asked;

	rig->asked = NULL;
	req->done(req->owner, req, result);
}

static void registrar_says(struct host *rig, int code, const char *why)
{
	struct err err = ERR_INIT;
	void (*told)(void *arg, const struct err *result) = rig->registering;

	if (code < 0)
		err_set(&err, code, "%s", why);
	else
		memcpy(rig->has[rig->has_count++], rig->added[rig->added_count - 1], 64);
	rig->registering = NULL;
	told(rig->arg, &err);
}

static void a_new_disk_is_registered_before_it_is_told_of(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	ask(&rig, METADATA_PREPARE, "/dev/c", 0);
	assert_int_equal(rig.added_count, 0); /* it may hold what is not ours */
	below_says(&rig, 0);
	assert_string_equal(rig.added[0], "/dev/c");
	assert_false(rig.is_done);
	registrar_says(&rig, 0, NULL);
	assert_true(rig.is_done);
	assert_int_equal(rig.result, 0);
	registered_free(rig.g);
}

static void a_disk_that_is_refused_is_not_registered(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	ask(&rig, METADATA_PREPARE, "/dev/c", 0);
	below_says(&rig, -EBUSY);
	assert_true(rig.is_done);
	assert_int_equal(rig.result, -EBUSY);
	assert_int_equal(rig.added_count, 0);
	registered_free(rig.g);
}

static void a_new_disk_without_reservations_is_undone(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	ask(&rig, METADATA_PREPARE, "/dev/c", 0);
	rig.req.number = 3;
	below_says(&rig, 0);
	registrar_says(&rig, -EOPNOTSUPP, "/dev/c: has no reservations");
	assert_false(rig.is_done);
	assert_non_null(rig.asked);
	assert_int_equal(rig.asked->op, METADATA_UNPREPARE);
	assert_int_equal(rig.asked->number, 3);
	below_says(&rig, 0);
	assert_true(rig.is_done);
	assert_int_equal(rig.result, -EOPNOTSUPP);
	assert_string_equal(rig.req.err.text, "/dev/c: has no reservations");
	registered_free(rig.g);
}

static void what_others_brought_is_registered_before_its_view_is_told(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	snprintf(rig.has[rig.has_count++], 64, "/dev/a");
	disk(&rig, 0, "/dev/a", METADATA_DISK_IN_SYNC);
	disk(&rig, 1, "", METADATA_DISK_MISSING);
	disk(&rig, 2, "/dev/c", METADATA_DISK_SPARE);
	disk(&rig, 3, "/dev/d", METADATA_DISK_FAULTY);
	disk(&rig, 4, "/dev/e", METADATA_DISK_REBUILD);
	ask(&rig, METADATA_RELOAD, NULL, 0);
	below_says(&rig, 0);
	assert_string_equal(rig.added[0], "/dev/c");
	assert_false(rig.is_done);
	registrar_says(&rig, 0, NULL);
	assert_string_equal(rig.added[1], "/dev/e");
	assert_false(rig.is_done);
	registrar_says(&rig, -EIO, "/dev/e: i/o error"); /* it will not take our writes, either */
	assert_true(rig.is_done);
	assert_int_equal(rig.result, 0);
	assert_int_equal(rig.added_count, 2);
	ask(&rig, METADATA_RELOAD, NULL, 0);
	below_says(&rig, 0);
	assert_string_equal(rig.added[2], "/dev/e"); /* it is tried again */
	registrar_says(&rig, 0, NULL);
	assert_true(rig.is_done);
	registered_free(rig.g);
}

static void a_disk_that_is_closed_is_left(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	snprintf(rig.has[rig.has_count++], 64, "/dev/a");
	disk(&rig, 0, "/dev/a", METADATA_DISK_IN_SYNC);
	disk(&rig, 1, "/dev/b", METADATA_DISK_FAULTY);
	ask(&rig, METADATA_RELOAD, NULL, 0);
	below_says(&rig, 0);
	ask(&rig, METADATA_FORGET, NULL, 11);
	rig.view.disk_count = 1;
	below_says(&rig, 0);
	assert_true(rig.is_done);
	assert_int_equal(rig.dropped_count, 1);
	assert_string_equal(rig.dropped[0], "/dev/b");
	registered_free(rig.g);
}

static void what_is_under_way_at_the_end_is_not_told(void **state)
{
	struct host rig;

	(void)state;
	begin(&rig);
	ask(&rig, METADATA_PREPARE, "/dev/c", 0);
	below_says(&rig, 0);
	registered_free(rig.g);
	assert_false(rig.is_done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_disk_is_registered_before_it_is_told_of),
		cmocka_unit_test(a_disk_that_is_refused_is_not_registered),
		cmocka_unit_test(a_new_disk_without_reservations_is_undone),
		cmocka_unit_test(what_others_brought_is_registered_before_its_view_is_told),
		cmocka_unit_test(a_disk_that_is_closed_is_left),
		cmocka_unit_test(what_is_under_way_at_the_end_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
