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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libdlm.h>

#include "base/err.h"
#include "lockres/dlm_dump.h"

#define SPACES "/sys/kernel/dlm"
#define MEMBERS "/sys/kernel/config/dlm/cluster/spaces"
#define DUMPS "/sys/kernel/debug/dlm"

enum { PATH_ROOM = 256, DUMP_MAX = 64 << 20 };

/* --- what can be read ------------------------------------------------------------------ */

/* A file of a size that is not known before. */
static char *read_all(const char *path, size_t *length)
{
	size_t room = 1 << 16, at = 0, n;
	FILE *file = fopen(path, "re");
	char *text = malloc(room), *more;

	while (file && text && (n = fread(text + at, 1, room - at, file)) > 0) {
		at += n;
		if (at < room)
			continue;
		more = room < DUMP_MAX ? realloc(text, room * 2) : NULL;
		if (!more)
			break;
		text = more;
		room *= 2;
	}
	if (file)
		fclose(file);
	if (!file) {
		free(text);
		return NULL;
	}
	*length = at;
	return text;
}

char *dlm_kernel_dump(const char *kernel_name, size_t *length)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), DUMPS "/%s_locks", kernel_name);
	return read_all(path, length);
}

uint64_t dlm_kernel_member(const char *kernel_name, uint32_t node)
{
	char path[PATH_ROOM];
	struct stat st;

	snprintf(path, sizeof(path), MEMBERS "/%s/nodes/%u", kernel_name, node);
	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static bool has_space(const char *name)
{
	char path[PATH_ROOM];
	struct stat st;

	snprintf(path, sizeof(path), SPACES "/%s", name);
	return stat(path, &st) == 0;
}

static bool has_device(const char *kernel_name)
{
	size_t length = 0;
	char *text = read_all("/proc/misc", &length);
	bool has = text && dlm_has_device(text, length, kernel_name);

	free(text);
	return has;
}

/* --- who has it --------------------------------------------------------------------------- */

static bool is_path(const char *name, size_t length)
{
	return memchr(name, '/', length) || memchr(name, '\0', length) || name[0] == '.';
}

int dlm_kernel_check(const char *name, size_t name_length, const char *kernel_name,
		     struct err *err)
{
	char bare[DLM_NAME_ROOM];
	struct stat st;

	if (stat(SPACES, &st) < 0)
		return err_set(err, -ENOENT,
			       "the kernel's DLM is not there: load its module (dlm) and start dlm_controld");
	snprintf(bare, sizeof(bare), "%.*s", (int)name_length, name);
	if (!is_path(name, name_length) && has_space(bare))
		return err_set(err, -EBUSY,
			       "%s: %s has a lockspace of this name: an array has one owner, stop it there first",
			       bare, has_device(bare) ? "another program" :
							"the kernel (md-cluster)");
	if (has_space(kernel_name) && !has_device(kernel_name))
		return err_set(err, -EBUSY,
			       "%s: the kernel itself has a lockspace of this name, its values are not ours",
			       kernel_name);
	return 0;
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
	is_left_over = has_space(kernel_name);
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

bool dlm_kernel_close(const char *kernel_name, void *handle)
{
	void *second = dlm_open_lockspace(kernel_name);

	dlm_close_lockspace(handle);
	if (!second)
		return false;
	if (has_orphan(kernel_name)) {
		dlm_close_lockspace(second);
		return false;
	}
	dlm_release_lockspace(kernel_name, second, 1);
	return true;
}
