/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdlm serves for making, opening and releasing lockspaces: the devices' names,
 * links and waiting for udev are its business.
 *
 * Its release leaves a lockspace by force, or not at all where any lock is mastered
 * here, be it another node's. So we force, and look for orphans first; that is why
 * the lockspace is opened once more before the locks are given up: the release
 * wants a handle.
 */
#include "lockres/dlm_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libdlm.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/slurp.h"
#include "lockres/dlm_dump.h"
#include "lockres/dlm_host.h"

#define MEMBERS "/sys/kernel/config/dlm/cluster/spaces"
#define DUMPS "/sys/kernel/debug/dlm"

enum { PATH_ROOM = 256, TOOL_ROOM = 1 << 16, DUMP_MAX = 64 << 20 };
#define TOOL_NS (30 * NS_PER_S)

/* --- what can be read ------------------------------------------------------------------ */

char *dlm_kernel_dump(const char *kernel_name, size_t *length)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), DUMPS "/%s_locks", kernel_name);
	return slurp(path, DUMP_MAX, length);
}

uint64_t dlm_kernel_member(const char *kernel_name, uint32_t node)
{
	char path[PATH_ROOM];
	struct stat st;

	snprintf(path, sizeof(path), MEMBERS "/%s/nodes/%u", kernel_name, node);
	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

int dlm_kernel_check(const char *name, size_t name_length, const char *kernel_name,
		     struct err *err)
{
	return dlm_host_check("", name, name_length, kernel_name, err);
}

/* --- fencing --------------------------------------------------------------------------------- */

/* libdlmcontrol, which could ask as well, is not under a license that fits ours. */
static int start_tool(pid_t *pid, int *fd)
{
	char name[] = "dlm_tool", what[] = "dump_config";
	char *const argv[] = { name, what, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (r)
		close(ends[0]);
	*fd = ends[0];
	return -r;
}

/* All that it says, to its end. */
static ssize_t hear_tool(int fd, char *text, size_t room)
{
	uint64_t until = clock_boot_ns() + TOOL_NS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t at = 0;

	while (at < room) {
		uint64_t now = clock_boot_ns();
		ssize_t n;

		if (now >= until || poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1) == 0)
			return -ETIMEDOUT;
		n = read(fd, text + at, room - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : (ssize_t)at;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

int dlm_kernel_check_fencing(struct err *err)
{
	char text[TOOL_ROOM];
	ssize_t n;
	pid_t pid;
	int fd = -1, r = start_tool(&pid, &fd);

	if (r < 0)
		return err_set(err, r, "dlm_tool, which says whether dlm_controld fences, cannot be run: %s",
			       strerror(-r));
	n = hear_tool(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n < 0)
		return err_set(err, (int)n, "dlm_controld does not say whether it fences: %s",
			       strerror((int)-n));
	return dlm_host_check_fencing(text, (size_t)n, err);
}

/* --- taking and giving up ------------------------------------------------------------------- */

/* libdlm opens its control device at first use, without a lock. */
static int ready(struct err *err)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	uint32_t major = 0, minor, patch;
	int r;

	pthread_mutex_lock(&once);
	r = dlm_kernel_version(&major, &minor, &patch);
	pthread_mutex_unlock(&once);
	if (r < 0)
		return err_set(err, -ENOENT,
			       "the DLM's control device (/dev/misc/dlm-control) cannot be opened");
	if (major != 6)
		return err_set(err, -EOPNOTSUPP,
			       "the DLM's device interface has version %u, we know 6", major);
	return 0;
}

int dlm_kernel_open(const char *kernel_name, void **handle, struct err *err)
{
	bool is_left_over;
	int r = ready(err);

	if (r < 0)
		return r;
	is_left_over = dlm_host_has_space("", kernel_name);
	errno = 0;
	*handle = is_left_over ? dlm_open_lockspace(kernel_name) :
				 dlm_new_lockspace(kernel_name, 0600, DLM_LSFL_NEWEXCL);
	if (!*handle)
		return err_set(err, errno ? -errno : -ENODEV,
			       "lockspace %s: the DLM does not %s it: %s", kernel_name,
			       is_left_over ? "open" : "make",
			       errno ? strerror(errno) : "its device does not appear");
	return 0;
}

int dlm_kernel_fd(void *handle)
{
	return dlm_ls_get_fd(handle);
}

static bool has_orphan(const char *kernel_name)
{
	size_t length = 0;
	char *text = dlm_kernel_dump(kernel_name, &length);
	/* What cannot be seen may be there. */
	bool has = !text || dlm_dump_has_orphan(text, length);

	free(text);
	return has;
}

static bool leave(const char *kernel_name, void *handle)
{
	if (!handle)
		return false;
	if (has_orphan(kernel_name)) {
		dlm_close_lockspace(handle);
		return false;
	}
	return dlm_release_lockspace(kernel_name, handle, 1) == 0;
}

bool dlm_kernel_close(const char *kernel_name, void *handle)
{
	void *second = dlm_open_lockspace(kernel_name);

	dlm_close_lockspace(handle);
	return leave(kernel_name, second);
}

bool dlm_kernel_leave(const char *kernel_name)
{
	struct err err = ERR_INIT;

	return ready(&err) == 0 && leave(kernel_name, dlm_open_lockspace(kernel_name));
}
