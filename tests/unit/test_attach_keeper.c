/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The processes that stay with a device (K4): real ones, on a kernel's nbd that is played. What
 * a user would lose: a device that nobody connects again, or two who do.
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/slurp.h"
#include "tools/attach.h"
#include "tools/host.h"
#include "tools/nbd_export.h"
#include "tools/nbd_kernel.h"

enum { PAUSE_MS = 10, TRIES = 3000 };

static char folder[] = "/tmp/test_attach_keeper.XXXXXX";
static char connected[PATH_MAX]; /* this file is there as long as the device is */
static struct attach web;
static int ends[2];              /* the kernel's, and the daemon's */

/* --- the kernel, played -------------------------------------------------------------------- */

const char *host_root(void)
{
	return folder;
}

int attach_nbd_index(const struct attach *a)
{
	(void)a;
	return 0;
}

bool attach_nbd_is_there(const struct attach *a)
{
	(void)a;
	return access(connected, F_OK) == 0;
}

int nbd_kernel_open(struct nbd_kernel *k, struct err *err)
{
	(void)err;
	k->fd = -1;
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

int nbd_export_open(struct nbd_export *e, const char *socket_path, const char *name,
		    struct err *err)
{
	(void)e, (void)socket_path, (void)name;
	return err_set(err, -EAGAIN, "not now");
}

/* --- words --------------------------------------------------------------------------------- */

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000l }, NULL);
}

/* The guardian's child; 0: it has none. */
static pid_t keeper(void)
{
	char line[64];

	(void)slurp_line(line, sizeof(line), "/proc/%d/task/%d/children", web.process,
			 web.process);
	return (pid_t)strtol(line, NULL, 10);
}

static pid_t other_keeper_than(pid_t former)
{
	pid_t pid = 0;

	for (int i = 0; i < TRIES; i++) {
		pid = keeper();
		if (pid && pid != former)
			return pid;
		pause_a_little();
	}
	fail_msg("there is no keeper");
	return 0;
}

static void expect_end(void)
{
	for (int i = 0; i < TRIES && attach_keeper_lives(&web); i++)
		pause_a_little();
	assert_false(attach_keeper_lives(&web));
}

static void start(void)
{
	struct err err = ERR_INIT;
	int sockets[ATTACH_MAX_CONNECTIONS];

	memset(sockets, -1, sizeof(sockets));
	sockets[0] = ends[0];
	assert_ok(attach_keeper_start(&web, sockets, &err), err);
	assert_true(attach_keeper_lives(&web));
	other_keeper_than(0);
}

static int set_up(void **state)
{
	int fd = open(connected, O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	close(fd);
	web = (struct attach){ .name = "web", .connections = 1, .device = "/dev/nbd-of-nobody" };
	snprintf(web.state, sizeof(web.state), "%s/web.attached", folder);
	return fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	attach_keeper_end(&web);
	(void)waitpid(web.process, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	unlink(web.state);
	unlink(connected);
	return 0;
}

/* --- K4 -------------------------------------------------------------------------------------- */

static void K4_a_device_has_one_keeper(void **state)
{
	struct err err = ERR_INIT;
	struct attach other;

	(void)state;
	start();
	other = web;
	assert_refused(attach_keeper_start(&other, NULL, &err), -EEXIST, err, "attached");
}

static void K4_the_keeper_ends_with_the_device(void **state)
{
	(void)state;
	start();
	assert_int_equal(unlink(connected), 0);
	shutdown(ends[0], SHUT_RDWR); /* as the kernel does */
	expect_end();
}

static void K4_a_keeper_that_is_killed_is_replaced(void **state)
{
	pid_t first, second;

	(void)state;
	start();
	first = other_keeper_than(0);
	kill(first, SIGKILL);
	second = other_keeper_than(first);
	assert_true(attach_keeper_lives(&web));
	kill(second, SIGKILL);
	other_keeper_than(second);
}

static void K4_a_keeper_lives_without_its_guardian_and_is_ended_with_the_others(void **state)
{
	(void)state;
	start();
	kill(web.process, SIGKILL);
	(void)waitpid(web.process, NULL, 0);
	assert_true(attach_keeper_lives(&web));
	attach_keeper_end(&web);
	assert_false(attach_keeper_lives(&web));
}

static void K4_where_both_are_killed_the_next_may_keep_it(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	start();
	kill(-web.process, SIGKILL);
	(void)waitpid(web.process, NULL, 0);
	expect_end();
	assert_ok(attach_keeper_start(&web, NULL, &err), err);
	assert_true(attach_keeper_lives(&web));
}

/* A detach would wait for it, and another would keep what is taken away. */
static void K4_who_is_told_to_end_is_not_replaced(void **state)
{
	int status = 0;

	(void)state;
	start();
	attach_keeper_end(&web);
	expect_end();
	assert_int_equal(waitpid(web.process, &status, 0), web.process);
	assert_true(WIFEXITED(status)); /* and nobody had to kill it */
}

#define KEEPER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEEPER_TEST(K4_a_device_has_one_keeper),
		KEEPER_TEST(K4_the_keeper_ends_with_the_device),
		KEEPER_TEST(K4_a_keeper_that_is_killed_is_replaced),
		KEEPER_TEST(K4_a_keeper_lives_without_its_guardian_and_is_ended_with_the_others),
		KEEPER_TEST(K4_where_both_are_killed_the_next_may_keep_it),
		KEEPER_TEST(K4_who_is_told_to_end_is_not_replaced),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(connected, sizeof(connected), "%s/connected", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
