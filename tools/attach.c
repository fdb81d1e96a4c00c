/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/nbd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "tools/nbd_export.h"

const char *attach_way_name(enum attach_way way)
{
	return way == ATTACH_NBD ? "nbd" : "fuse";
}

/* A name is a part of paths. */
static int check_name(const char *name, struct err *err)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, -EINVAL, "'%s' is not the name of an array", name);
	return 0;
}

static int path_of(char to[PATH_MAX], const char *run_dir, const char *name,
		   const char *suffix, struct err *err)
{
	if (snprintf(to, PATH_MAX, "%s/%s.%s", run_dir, name, suffix) >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "%s: longer than a path may be", run_dir);
	return 0;
}

/* The keeper is in no folder, and the kernel compares it letter by letter. */
static int make_absolute(char path[PATH_MAX], struct err *err)
{
	CLEANUP_FREE char *folder = *path == '/' ? NULL : getcwd(NULL, 0);
	CLEANUP_FREE char *rest = strdup(path);

	if (*path == '/')
		return 0;
	if (!folder || !rest)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (snprintf(path, PATH_MAX, "%s/%s", folder, rest) >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "%s: longer than a path may be", rest);
	return 0;
}

int attach_init(struct attach *a, const char *run_dir, const char *name, const char *socket,
		struct err *err)
{
	int r = check_name(name, err);

	*a = (struct attach){ .name = name, .connections = 1 };
	if (r == 0)
		r = path_of(a->socket, run_dir, name, "nbd", err);
	if (r == 0)
		r = path_of(a->folder, run_dir, name, "fuse", err);
	if (r == 0)
		r = path_of(a->state, run_dir, name, "attached", err);
	if (r == 0 && socket && snprintf(a->socket, PATH_MAX, "%s", socket) >= PATH_MAX)
		r = err_set(err, -ENAMETOOLONG, "--socket: longer than a path may be");
	return r < 0 ? r : make_absolute(a->socket, err);
}

/* --- what is remembered --------------------------------------------------------------- */

/* "fuse /dev/loop0 0 1" or "nbd /dev/nbd0 1234 1": the guardian, and how many connections */
int attach_read_state(struct attach *a, struct err *err)
{
	FILE *file = fopen(a->state, "re");
	char way[8] = "";
	unsigned int connections;
	int n;

	if (!file)
		return err_set(err, errno == ENOENT ? -ENOENT : -errno,
			       errno == ENOENT ? "%s is not attached" : "%s: its device is not known",
			       a->name);
	n = fscanf(file, "%7s %63s %d %u", way, a->device, &a->process, &connections);
	fclose(file);
	if (n == 4 && connections >= 1 && connections <= ATTACH_MAX_CONNECTIONS)
		a->connections = connections;
	if (n < 2 || (strcmp(way, "nbd") != 0 && strcmp(way, "fuse") != 0) ||
	    strncmp(a->device, "/dev/", 5) != 0)
		return err_set(err, -EBADMSG, "%s: it does not say what is attached", a->state);
	a->way = strcmp(way, "nbd") == 0 ? ATTACH_NBD : ATTACH_FUSE;
	return 0;
}

static int write_state(const struct attach *a, struct err *err)
{
	FILE *file = fopen(a->state, "we");
	bool is_written;

	if (!file)
		return err_set(err, -errno, "%s: %s", a->state, strerror(errno));
	is_written = fprintf(file, "%s %s %d %u\n", attach_way_name(a->way), a->device,
			     a->process, a->connections) > 0;
	if (fclose(file) != 0 || !is_written)
		return err_set(err, -EIO, "%s: it cannot be written", a->state);
	return 0;
}

/* Somebody may have detached it by hand. */
static bool is_there(const struct attach *a)
{
	char file[PATH_MAX];

	if (a->way == ATTACH_NBD)
		return attach_nbd_is_there(a);
	snprintf(file, sizeof(file), "/sys/block/%s/loop/backing_file",
		 a->device + strlen("/dev/"));
	return access(file, F_OK) == 0;
}

/* --- attach --------------------------------------------------------------------------- */

/* That it answers, its blocks, and whether it may be written. */
static int look_at_export(struct attach *a, struct err *err)
{
	struct nbd_export export;
	struct stat st;
	int r;

	if (stat(a->socket, &st) < 0)
		return err_set(err, -errno, "%s: %s: the array is not assembled here, or has another run directory",
			       a->socket, strerror(errno));
	r = nbd_export_open(&export, a->socket, a->name, err);
	if (r < 0)
		return r;
	close(export.fd);
	a->size_bytes = export.size_bytes;
	a->block_bytes = export.block_bytes;
	a->flags = export.flags;
	if (export.flags & NBD_FLAG_READ_ONLY)
		a->is_read_only = true;
	return 0;
}

/*
 * Nobody keeps it: who did was killed. Found by its state, or, if whoever attached it did not
 * come to write that, by what the kernel knows of it.
 */
static bool is_orphan(struct attach *a)
{
	struct err none = ERR_INIT;

	if (a->way == ATTACH_FUSE || attach_keeper_lives(a))
		return false;
	if (attach_read_state(a, &none) == 0)
		return a->way == ATTACH_NBD && is_there(a);
	a->way = ATTACH_NBD;
	return attach_nbd_find(a);
}

static int check_not_attached(const struct attach *a, struct err *err)
{
	struct attach other = *a;
	struct err none = ERR_INIT;

	if (attach_read_state(&other, &none) == 0 && is_there(&other))
		return err_set(err, -EEXIST, "it is attached already, as %s", other.device);
	return 0;
}

static int attach_anew(struct attach *a, struct err *err)
{
	int r = check_not_attached(a, err);

	if (r == 0)
		r = look_at_export(a, err);
	if (r < 0)
		return r;
	if (a->way == ATTACH_ANY)
		a->way = attach_has_nbd() ? ATTACH_NBD : ATTACH_FUSE;
	return a->way == ATTACH_NBD ? attach_nbd(a, err) : attach_fuse(a, err);
}

int attach_device(struct attach *a, struct err *err)
{
	struct attach orphan = *a;
	int r;

	if (is_orphan(&orphan)) {
		*a = orphan;
		r = attach_nbd_take_over(a, err);
	} else {
		r = attach_anew(a, err);
	}
	return r < 0 ? r : write_state(a, err);
}

/* --- detach --------------------------------------------------------------------------- */

/* A device that is mounted, or a member of something, is nobody else's to take away. */
static int check_unused(const struct attach *a, struct err *err)
{
	CLEANUP_FD int fd = open(a->device, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY)
		return err_set(err, -EBUSY, "%s is in use: unmount it first", a->device);
	return 0;
}

int detach_device(struct attach *a, struct err *err)
{
	int r = attach_read_state(a, err);

	if (r == 0 && is_there(a))
		r = check_unused(a, err);
	if (r == 0)
		r = a->way == ATTACH_NBD ? detach_nbd(a, err) : detach_fuse(a, err);
	if (r == 0 && unlink(a->state) < 0)
		r = err_set(err, -errno, "%s: %s", a->state, strerror(errno));
	return r;
}
