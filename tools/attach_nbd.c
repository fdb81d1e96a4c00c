/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's nbd, by nbd-client.
 *
 * -nonetlink, since over netlink nbd-client (3.24, say) hands the socket to the kernel and is
 * gone: then nobody connects again when an engine was killed and the next one is up, and all
 * I/O fails for ever; -persist has no effect there. By ioctl a process of it stays, connects
 * again, and ends when the device is taken away. It says 0 before the device is there: that
 * is waited for. No -timeout: requests that are parked take as long as they take.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "tools/attach.h"
#include "tools/run.h"

enum {
	MAX_DEVICES = 256,
	LARGEST_BLOCK = 4096, /* of the kernel's, a page */
	PAUSE_MS = 20,
	TRIES = 500,          /* 10 s */
};

/* The module may be there and not be loaded; nbd-client must be, too. */
static int need_nbd(struct err *err)
{
	struct err why = ERR_INIT;
	int r = run_find("nbd-client", "nbd-client", err);

	if (r < 0 || access("/sys/block/nbd0", F_OK) == 0)
		return r;
	run_program((const char *[]){ "modprobe", "nbd", NULL }, "kmod", NULL, 0, &why);
	if (access("/sys/block/nbd0", F_OK) == 0)
		return 0;
	return err_set(err, -ENODEV, "the kernel has no nbd (%.120s): --via=fuse does without",
		       why.code ? why.text : "its module is there, but no /dev/nbd0");
}

bool attach_has_nbd(void)
{
	struct err ignored = ERR_INIT;

	return need_nbd(&ignored) == 0;
}

/* "/sys/block/nbd0/pid": there as long as it is connected. */
static bool is_connected(const char *device)
{
	char file[128];

	snprintf(file, sizeof(file), "/sys/block/%s/pid", device + strlen("/dev/"));
	return access(file, F_OK) == 0;
}

static void read_process(struct attach *a)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/pid", a->device + strlen("/dev/"));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &a->process) != 1)
		a->process = 0;
	if (file)
		fclose(file);
}

/* The one that we started; another process may have its number by now. */
static bool is_running(const struct attach *a)
{
	char path[64], name[32] = "";
	FILE *file;

	if (a->process <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", a->process);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(name, sizeof(name), file))
			name[0] = '\0';
		fclose(file);
	}
	return strcmp(name, "nbd-client\n") == 0;
}

/* While the daemon is away nothing is connected, and nbd-client tries again and again. */
bool attach_nbd_is_there(const struct attach *a)
{
	return is_connected(a->device) || is_running(a);
}

static int wait_until(const struct attach *a, bool is_wanted, const char *what, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		if (is_connected(a->device) == is_wanted)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000l }, NULL);
	}
	return err_set(err, -ETIMEDOUT, "%s %s within 10 s (the kernel's log may tell why)",
		       a->device, what);
}

static int find_free(struct attach *a, struct err *err)
{
	char file[64];

	for (int i = 0; i < MAX_DEVICES; i++) {
		snprintf(file, sizeof(file), "/sys/block/nbd%d", i);
		if (access(file, F_OK) < 0)
			break;
		snprintf(a->device, sizeof(a->device), "/dev/nbd%d", i);
		if (!is_connected(a->device))
			return 0;
	}
	return err_set(err, -EBUSY, "no /dev/nbd* is free (the module's nbds_max= says how many there are)");
}

int attach_nbd(struct attach *a, struct err *err)
{
	char block[16], connections[16];
	const char *argv[] = { "nbd-client", "-unix", a->socket, a->device, "-name", a->name,
			       "-block-size", block, "-connections", connections,
			       "-nonetlink", "-persist", a->is_read_only ? "-readonly" : NULL,
			       NULL };
	int r = need_nbd(err);

	if (r == 0 && a->block_bytes > LARGEST_BLOCK)
		r = err_set(err, -EINVAL, "its blocks have %u bytes, those of the kernel's nbd at most %d: --via=fuse does with them",
			    a->block_bytes, LARGEST_BLOCK);
	if (r == 0)
		r = find_free(a, err);
	if (r < 0)
		return r;
	snprintf(block, sizeof(block), "%u", a->block_bytes);
	snprintf(connections, sizeof(connections), "%u", a->connections);
	r = run_program(argv, "nbd-client", NULL, 0, err);
	if (r < 0)
		return err_prefix(err, "nbd-client");
	r = wait_until(a, true, "is not connected", err);
	if (r == 0)
		read_process(a);
	return r;
}

int detach_nbd(struct attach *a, struct err *err)
{
	int r;

	if (!is_connected(a->device)) {
		if (is_running(a))
			kill(a->process, SIGTERM);
		return 0;
	}
	r = run_program((const char *[]){ "nbd-client", "-nonetlink", "-d", a->device, NULL },
			"nbd-client", NULL, 0, err);
	if (r < 0)
		return err_prefix(err, "nbd-client");
	return wait_until(a, false, "is not free", err);
}
