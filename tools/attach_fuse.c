/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdfuse shows the export as a file, losetup makes that a device; with direct I/O, since
 * other nodes write the same array, and pages kept of it would be old ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "tools/attach.h"
#include "tools/run.h"

enum {
	PAUSE_MS = 20,
	START_TRIES = 500,  /* 10 s */
	UMOUNT_TRIES = 250, /* 5 s: the loop device lets go of its file a little later */
	TEXT_BYTES = 300,
};

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000l }, NULL);
}

static void beside(const struct attach *a, const char *suffix, char to[PATH_MAX + 8])
{
	snprintf(to, PATH_MAX + 8, "%s%s", a->folder, suffix);
}

static void complaint(const char *log, char *text, size_t size)
{
	CLEANUP_FD int fd = open(log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* Its pid file is written when the file is there. */
static int wait_for_file(pid_t pid, const char *pid_file, const char *log, struct err *err)
{
	char text[TEXT_BYTES];
	struct stat st;

	for (int i = 0; i < START_TRIES; i++) {
		if (stat(pid_file, &st) == 0 && st.st_size > 0)
			return 0;
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			complaint(log, text, sizeof(text));
			return err_set(err, -EIO, "%s", *text ? text : "nbdfuse ended");
		}
		pause_a_little();
	}
	kill(pid, SIGTERM);
	return err_set(err, -ETIMEDOUT, "nbdfuse did not come up within 10 s");
}

static int mount_export(const struct attach *a, const char *file, struct err *err)
{
	char pid_file[PATH_MAX + 8], log[PATH_MAX + 8];
	const char *argv[8] = { "nbdfuse", "-P", pid_file, file, "--unix", a->socket };
	pid_t pid;
	int r;

	beside(a, ".pid", pid_file);
	beside(a, ".log", log);
	unlink(pid_file);
	if (a->is_read_only)
		memcpy(argv, ((const char *[]){ "nbdfuse", "-r", "-P", pid_file, file, "--unix",
						a->socket }), 7 * sizeof(*argv));
	if (mkdir(a->folder, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", a->folder, strerror(errno));
	r = run_background(argv, log, &pid, err);
	return r < 0 ? r : wait_for_file(pid, pid_file, log, err);
}

static int make_loop(struct attach *a, const char *file, struct err *err)
{
	char block[16];
	const char *argv[10] = { "losetup", "--find", "--show", "--direct-io=on",
				 "--sector-size", block, file };

	snprintf(block, sizeof(block), "%u", a->block_bytes);
	if (a->is_read_only) {
		argv[6] = "--read-only";
		argv[7] = file;
	}
	return run_program(argv, "util-linux", a->device, sizeof(a->device), err);
}

static int unmount(const struct attach *a, struct err *err)
{
	char path[PATH_MAX + 8];

	for (int i = 0; umount2(a->folder, 0) < 0; i++) {
		if (errno == EINVAL || errno == ENOENT)
			break; /* nothing is mounted */
		if (errno != EBUSY || i == UMOUNT_TRIES)
			return err_set(err, -errno, "%s: it cannot be unmounted: %s", a->folder,
				       strerror(errno));
		pause_a_little();
	}
	beside(a, ".pid", path);
	unlink(path);
	beside(a, ".log", path);
	unlink(path);
	rmdir(a->folder);
	return 0;
}

int attach_fuse(struct attach *a, struct err *err)
{
	struct err ignored = ERR_INIT;
	char file[PATH_MAX + 300];
	int r = run_find("nbdfuse", "nbdfuse", err);

	if (r == 0)
		r = run_find("losetup", "util-linux", err);
	if (r < 0)
		return r;
	if (access("/dev/fuse", F_OK) < 0)
		return err_set(err, -ENODEV, "the kernel has neither nbd nor FUSE (/dev/fuse)");
	snprintf(file, sizeof(file), "%s/%s", a->folder, a->name);
	r = mount_export(a, file, err);
	if (r == 0)
		r = make_loop(a, file, err);
	if (r < 0)
		unmount(a, &ignored);
	return r;
}

/* Of one that was detached by hand only the rest is taken away. */
int detach_fuse(struct attach *a, struct err *err)
{
	char file[PATH_MAX];
	int r = 0;

	snprintf(file, sizeof(file), "/sys/block/%s/loop/backing_file",
		 a->device + strlen("/dev/"));
	if (access(file, F_OK) == 0)
		r = run_program((const char *[]){ "losetup", "-d", a->device, NULL },
				"util-linux", NULL, 0, err);
	return r < 0 ? r : unmount(a, err);
}
