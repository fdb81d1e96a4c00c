/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which device an attach makes, or takes over, on a kernel's nbd that is played: its sysfs is a
 * folder. What a user would lose: the device under a file system; or data, to somebody else's.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slurp.h"
#include "tools/attach.h"
#include "tools/host.h"
#include "tools/nbd_export.h"
#include "tools/nbd_kernel.h"
#include "tools/run.h"

enum { DEVICES = 3, SIZE = 1 << 20, BLOCK = 4096 };

static char folder[] = "/tmp/test_attach.XXXXXX";
static bool is_served;
static struct attach web;

/* --- the kernel and the daemon, played ------------------------------------------------------ */

const char *host_root(void)
{
	return folder;
}

static void file_of(char path[PATH_MAX], int index, const char *file)
{
	snprintf(path, PATH_MAX, "%s/sys/block/nbd%d/%s", folder, index, file);
}

static void write_file(int index, const char *file, const char *text)
{
	char path[PATH_MAX];
	FILE *to;

	file_of(path, index, file);
	to = fopen(path, "we");
	assert_non_null(to);
	fprintf(to, "%s\n", text);
	fclose(to);
}

static void connected(int index, const char *backend, uint64_t size_bytes, bool is_read_only)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)size_bytes / 512);
	write_file(index, "size", text);
	write_file(index, "queue/logical_block_size", "4096");
	write_file(index, "ro", is_read_only ? "1" : "0");
	if (backend)
		write_file(index, "backend", backend);
	write_file(index, "pid", "1234");
}

static void disconnected(int index)
{
	static const char *const files[] = { "pid", "backend" };
	char path[PATH_MAX];

	for (size_t i = 0; i < 2; i++) {
		file_of(path, index, files[i]);
		unlink(path);
	}
}

int nbd_kernel_open(struct nbd_kernel *k, struct err *err)
{
	(void)err;
	k->fd = -1;
	return 0;
}

void nbd_kernel_close(struct nbd_kernel *k)
{
	(void)k;
}

int nbd_kernel_connect(struct nbd_kernel *k, const struct nbd_kernel_device *d, struct err *err)
{
	(void)k, (void)err;
	connected(d->index, d->backend, d->size_bytes, d->flags & NBD_FLAG_READ_ONLY);
	return 0;
}

int nbd_kernel_add(struct nbd_kernel *k, const struct nbd_kernel_device *d,
		   unsigned int timeout_s, struct err *err)
{
	(void)k, (void)d, (void)timeout_s;
	return err_set(err, -ENOSPC, "none is dead");
}

int nbd_kernel_set_timeout(struct nbd_kernel *k, const struct nbd_kernel_device *d,
			   uint64_t timeout_s, struct err *err)
{
	(void)k, (void)d, (void)timeout_s, (void)err;
	return 0;
}

int nbd_kernel_disconnect(struct nbd_kernel *k, int index, struct err *err)
{
	(void)k, (void)err;
	disconnected(index);
	return 0;
}

int nbd_export_open(struct nbd_export *e, const char *socket_path, const char *name,
		    struct err *err)
{
	(void)socket_path, (void)name;
	if (!is_served)
		return err_set(err, -ECONNREFUSED, "nobody serves it");
	*e = (struct nbd_export){ .size_bytes = SIZE, .block_bytes = BLOCK,
				  .flags = NBD_FLAG_CAN_MULTI_CONN };
	e->fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* which hangs up never */
	return 0;
}

int attach_fuse(struct attach *a, struct err *err)
{
	(void)a;
	return err_set(err, -ENODEV, "no FUSE here");
}

int detach_fuse(struct attach *a, struct err *err)
{
	(void)a;
	return err_set(err, -ENODEV, "no FUSE here");
}

int run_program(const char *const argv[], const char *package, char *output, size_t size,
		struct err *err)
{
	(void)package, (void)output, (void)size;
	return err_set(err, -ENOENT, "there is no %s", argv[0]);
}

/* --- words ---------------------------------------------------------------------------------- */

/* As another `mdcluster attach` would begin */
static void begin(enum attach_way way)
{
	struct err err = ERR_INIT;

	assert_ok(attach_init(&web, folder, "web", NULL, &err), err);
	web.way = way;
}

static void attach(void)
{
	struct err err = ERR_INIT;

	begin(ATTACH_ANY);
	assert_ok(attach_device(&web, &err), err);
	assert_true(attach_keeper_lives(&web));
}

static void kill_all_keepers(void)
{
	for (int i = 0; i < 3000 && attach_keeper_lives(&web); i++) {
		kill(-web.process, SIGKILL); /* which it may not be the leader of yet */
		usleep(10000);
	}
	(void)waitpid(web.process, NULL, 0);
	assert_false(attach_keeper_lives(&web));
}

static void expect_device(const char *device)
{
	struct err err = ERR_INIT;
	struct attach told;

	assert_string_equal(web.device, device);
	assert_true(attach_nbd_is_there(&web));
	assert_true(attach_keeper_lives(&web));
	assert_ok(attach_init(&told, folder, "web", NULL, &err), err);
	assert_ok(attach_read_state(&told, &err), err);
	assert_string_equal(told.device, device);
	assert_int_equal(told.process, web.process);
}

static int set_up(void **state)
{
	(void)state;
	is_served = true;
	for (int i = 0; i < DEVICES; i++)
		disconnected(i);
	begin(ATTACH_ANY);
	return close(open(web.socket, O_CREAT | O_CLOEXEC, 0600));
}

static int tear_down(void **state)
{
	(void)state;
	attach_keeper_end(&web);
	if (web.process > 0)
		(void)waitpid(web.process, NULL, 0);
	unlink(web.state);
	unlink(web.socket);
	return 0;
}

/* --- anew ------------------------------------------------------------------------------------- */

static void the_first_free_device_is_taken(void **state)
{
	(void)state;
	connected(0, "/somebody/elses", SIZE, false);
	attach();
	expect_device("/dev/nbd1");
}

static void what_is_attached_and_kept_is_not_attached_again(void **state)
{
	struct err err = ERR_INIT;
	struct attach kept;

	(void)state;
	attach();
	kept = web;
	begin(ATTACH_ANY);
	assert_refused(attach_device(&web, &err), -EEXIST, err, "already", "/dev/nbd0");
	web = kept;
	expect_device("/dev/nbd0");
}

static void what_somebody_detached_by_hand_is_attached_anew(void **state)
{
	(void)state;
	attach();
	kill_all_keepers();
	disconnected(0);
	attach();
	expect_device("/dev/nbd0");
}

/* --- taken over --------------------------------------------------------------------------------- */

static void a_device_that_nobody_keeps_is_taken_over(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	begin(ATTACH_NBD);
	web.connections = 3;
	assert_ok(attach_device(&web, &err), err);
	kill_all_keepers();
	is_served = false; /* not even the daemon is there */
	attach();
	expect_device("/dev/nbd0");
	assert_int_equal(web.connections, 3);
	assert_int_equal(web.size_bytes, SIZE);
	assert_int_equal(web.block_bytes, BLOCK);
	assert_false(web.is_read_only);
	/* and is a device like any other */
	assert_ok(detach_device(&web, &err), err);
	assert_false(attach_nbd_is_there(&web));
}

/* Who attached it was killed before it wrote that down. */
static void a_device_of_which_nothing_is_written_is_found_by_its_backend(void **state)
{
	(void)state;
	connected(0, "/somebody/elses", SIZE, false);
	connected(1, web.socket, SIZE, true);
	attach();
	expect_device("/dev/nbd1");
	assert_true(web.is_read_only);
}

/* The number is written down, and another has it now. */
static void a_device_of_somebody_else_is_left_alone(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	attach();
	kill_all_keepers();
	connected(0, "/somebody/elses", SIZE, false);
	begin(ATTACH_ANY);
	assert_refused(attach_device(&web, &err), -EBUSY, err, "/dev/nbd0", "/somebody/elses",
		       "not ours");
	assert_false(attach_keeper_lives(&web));
}

static void what_can_be_written_is_not_taken_over_as_read_only(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	attach();
	kill_all_keepers();
	begin(ATTACH_ANY);
	web.is_read_only = true;
	assert_refused(attach_device(&web, &err), -EEXIST, err, "can be written", "detach");
}

#define ATTACH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ATTACH_TEST(the_first_free_device_is_taken),
		ATTACH_TEST(what_is_attached_and_kept_is_not_attached_again),
		ATTACH_TEST(what_somebody_detached_by_hand_is_attached_anew),
		ATTACH_TEST(a_device_that_nobody_keeps_is_taken_over),
		ATTACH_TEST(a_device_of_which_nothing_is_written_is_found_by_its_backend),
		ATTACH_TEST(a_device_of_somebody_else_is_left_alone),
		ATTACH_TEST(what_can_be_written_is_not_taken_over_as_read_only),
	};
	char path[PATH_MAX];
	int failed;

	if (!mkdtemp(folder))
		return 1;
	for (int i = 0; i < DEVICES; i++) {
		snprintf(path, sizeof(path), "mkdir -p %s/sys/block/nbd%d/queue", folder, i);
		if (system(path) != 0)
			return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "rm -r %s", folder);
	return system(path) != 0 || failed;
}
