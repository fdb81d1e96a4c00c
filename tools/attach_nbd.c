/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's nbd. Not by nbd-client: by ioctl what is under way when the engine dies fails,
 * and the file system above is read-only from then on; by netlink that leaves nobody behind
 * to connect again. So we ask the kernel ourselves, and leave a keeper (attach_keeper.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/nbd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/slurp.h"
#include "tools/attach.h"
#include "tools/host.h"
#include "tools/nbd_export.h"
#include "tools/nbd_kernel.h"
#include "tools/run.h"

LOG_SUBSYSTEM(attach);

enum {
	MAX_DEVICES = 256,
	LARGEST_BLOCK = 4096, /* of the kernel's, a page */
	PAUSE_MS = 20,
	TRIES = 500,          /* 10 s */
};

/* "/sys/block/nbd0/FILE"; "": the device itself */
static bool has_file(const char *name, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/block/%s/%s", host_root(), name, file);
	return access(path, F_OK) == 0;
}

/* The module may be there and not be loaded. */
static int need_nbd(struct err *err)
{
	struct err why = ERR_INIT;

	if (has_file("nbd0", ""))
		return 0;
	run_program((const char *[]){ "modprobe", "nbd", NULL }, "kmod", NULL, 0, &why);
	if (has_file("nbd0", ""))
		return 0;
	return err_set(err, -ENODEV, "the kernel has no nbd (%.120s): --via=fuse does without",
		       why.code ? why.text : "its module is there, but no /dev/nbd0");
}

bool attach_has_nbd(void)
{
	struct err ignored = ERR_INIT;

	return need_nbd(&ignored) == 0;
}

int attach_nbd_index(const struct attach *a)
{
	return atoi(a->device + strlen("/dev/nbd"));
}

/* Its pid is there as long as it is connected, or waits to be again. */
bool attach_nbd_is_there(const struct attach *a)
{
	return has_file(a->device + strlen("/dev/"), "pid");
}

static int wait_until_gone(const struct attach *a, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		if (!attach_nbd_is_there(a))
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000l }, NULL);
	}
	return err_set(err, -ETIMEDOUT, "%s is not free within 10 s (the kernel's log may tell why)",
		       a->device);
}

/* --- attach ----------------------------------------------------------------------------- */

static struct nbd_kernel_device device_of(const struct attach *a, const int *sockets)
{
	return (struct nbd_kernel_device){
		.index = attach_nbd_index(a),
		.size_bytes = a->size_bytes,
		.block_bytes = a->block_bytes,
		.flags = (uint16_t)(a->flags | (a->is_read_only ? NBD_FLAG_READ_ONLY : 0)),
		.backend = a->socket,
		.sockets = sockets,
		.count = a->connections,
	};
}

/* Somebody else may take the one that we found free. */
static int connect_free(struct attach *a, struct nbd_kernel *k, const int *sockets,
			struct err *err)
{
	struct nbd_kernel_device device;
	int r;

	for (int i = 0; i < MAX_DEVICES; i++) {
		snprintf(a->device, sizeof(a->device), "/dev/nbd%d", i);
		if (!has_file(a->device + strlen("/dev/"), ""))
			break;
		if (attach_nbd_is_there(a))
			continue;
		device = device_of(a, sockets);
		r = nbd_kernel_connect(k, &device, err);
		if (r != -EBUSY)
			return r;
	}
	return err_set(err, -EBUSY, "no /dev/nbd* is free (the module's nbds_max= says how many there are)");
}

static void close_all(int *sockets)
{
	for (int i = 0; i < ATTACH_MAX_CONNECTIONS; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
}

static int connect_all(const struct attach *a, int *sockets, struct err *err)
{
	struct nbd_export export;
	int r;

	for (uint32_t i = 0; i < a->connections; i++) {
		r = nbd_export_open(&export, a->socket, a->name, err);
		if (r < 0)
			return r;
		sockets[i] = export.fd;
	}
	return 0;
}

static int check(const struct attach *a, struct err *err)
{
	if (a->block_bytes > LARGEST_BLOCK)
		return err_set(err, -EINVAL, "its blocks have %u bytes, those of the kernel's nbd at most %d: --via=fuse does with them",
			       a->block_bytes, LARGEST_BLOCK);
	if (a->connections > 1 && !(a->flags & NBD_FLAG_CAN_MULTI_CONN))
		return err_set(err, -EINVAL, "its server does not take several connections");
	return need_nbd(err);
}

int attach_nbd(struct attach *a, struct err *err)
{
	struct err ignored = ERR_INIT;
	int sockets[ATTACH_MAX_CONNECTIONS];
	struct nbd_kernel k;
	int r = check(a, err);

	if (r == 0)
		r = nbd_kernel_open(&k, err);
	if (r < 0)
		return r;
	memset(sockets, -1, sizeof(sockets));
	r = connect_all(a, sockets, err);
	if (r == 0)
		r = connect_free(a, &k, sockets, err);
	if (r == 0) {
		r = attach_keeper_start(a, sockets, err);
		if (r < 0)
			nbd_kernel_disconnect(&k, attach_nbd_index(a), &ignored);
	}
	close_all(sockets);
	nbd_kernel_close(&k);
	return r;
}

/* --- a device that is there --------------------------------------------------------------- */

/* The kernel's blocks of 512 bytes, whatever the device's are. */
enum { SYSFS_SECTOR = 512 };

/* "": a kernel before 5.14, which does not say */
static void read_backend(const char *name, char to[PATH_MAX])
{
	(void)slurp_line(to, PATH_MAX, "%s/sys/block/%s/backend", host_root(), name);
}

bool attach_nbd_find(struct attach *a)
{
	char backend[PATH_MAX];

	for (int i = 0; i < MAX_DEVICES; i++) {
		snprintf(a->device, sizeof(a->device), "/dev/nbd%d", i);
		read_backend(a->device + strlen("/dev/"), backend);
		if (strcmp(backend, a->socket) == 0 && attach_nbd_is_there(a))
			return true;
	}
	a->device[0] = '\0';
	return false;
}

static uint64_t sysfs_number(const char *name, const char *file)
{
	char line[32];

	(void)slurp_line(line, sizeof(line), "%s/sys/block/%s/%s", host_root(), name, file);
	return strtoull(line, NULL, 10);
}

static int look_at_device(struct attach *a, struct err *err)
{
	const char *name = a->device + strlen("/dev/");
	bool is_read_only = sysfs_number(name, "ro");
	char backend[PATH_MAX];

	read_backend(name, backend);
	if (backend[0] && strcmp(backend, a->socket) != 0)
		return err_set(err, -EBUSY, "%s is connected to %.200s: it is not ours", a->device,
			       backend);
	if (a->is_read_only && !is_read_only)
		return err_set(err, -EEXIST, "it is attached already, as %s, which can be written: detach it first",
			       a->device);
	a->is_read_only = is_read_only;
	a->size_bytes = sysfs_number(name, "size") * SYSFS_SECTOR;
	a->block_bytes = (uint32_t)sysfs_number(name, "queue/logical_block_size");
	return 0;
}

int attach_nbd_take_over(struct attach *a, struct err *err)
{
	int r = look_at_device(a, err);

	if (r == 0)
		r = attach_keeper_start(a, NULL, err);
	if (r == 0)
		log_notice("MDC5941", "%s: nobody kept %s connected: that is done again", a->name,
			   a->device);
	return r;
}

/* --- detach ----------------------------------------------------------------------------- */

/* The keeper first, or it would connect again. */
int detach_nbd(struct attach *a, struct err *err)
{
	struct nbd_kernel k;
	int r;

	attach_keeper_end(a);
	if (!attach_nbd_is_there(a))
		return 0;
	r = nbd_kernel_open(&k, err);
	if (r < 0)
		return r;
	r = nbd_kernel_disconnect(&k, attach_nbd_index(a), err);
	nbd_kernel_close(&k);
	return r < 0 ? r : wait_until_gone(a, err);
}
