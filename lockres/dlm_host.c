/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sources: fs/dlm/lockspace.c, user.c and config.c of Linux 6.1; dlm_controld of dlm 4.2:
 * it makes /sys/kernel/config/dlm/cluster, listens on an abstract socket, opens dlm-monitor;
 * when that is closed without its having left, the kernel stops all lockspaces, and a new
 * dlm_controld that finds one ("uncontrolled") leaves the cluster.
 */
#include "lockres/dlm_host.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/slurp.h"
#include "lockres/dlm_dump.h"

#define SPACES   "/sys/kernel/dlm"
#define CONFIGFS "/sys/kernel/config"
#define CLUSTER  CONFIGFS "/dlm/cluster"
#define CONTROL  "/dev/misc/dlm-control"
#define DAEMON   "@dlmc_query_sock"

enum { PATH_ROOM = 512, READ_MAX = 16 << 20 };

/* --- files ------------------------------------------------------------------------------ */

static char *read_below(const char *root, const char *path, size_t *length)
{
	char full[PATH_ROOM];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return slurp(full, READ_MAX, length);
}

static bool exists(const char *root, const char *path)
{
	char full[PATH_ROOM];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", root, path);
	return stat(full, &st) == 0;
}

/* --- lockspaces ----------------------------------------------------------------------------- */

bool dlm_host_has_space(const char *root, const char *kernel_name)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), SPACES "/%s", kernel_name);
	return exists(root, path);
}

static bool has_device(const char *root, const char *kernel_name)
{
	size_t length = 0;
	char *text = read_below(root, "/proc/misc", &length);
	bool has = text && dlm_has_device(text, length, kernel_name);

	free(text);
	return has;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "mdcl-", 5) == 0 || strncmp(name, "mdclx-", 6) == 0;
}

size_t dlm_host_our_spaces(const char *root, char (*names)[DLM_NAME_ROOM], size_t room)
{
	const struct dirent *e;
	char path[PATH_ROOM];
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" SPACES, root);
	dir = opendir(path);
	while (dir && count < room && (e = readdir(dir)) != NULL)
		if (is_ours(e->d_name) && strlen(e->d_name) < DLM_NAME_ROOM &&
		    has_device(root, e->d_name))
			strcpy(names[count++], e->d_name);
	if (dir)
		(void)closedir(dir);
	return count;
}

static bool is_path(const char *name, size_t length)
{
	return memchr(name, '/', length) || memchr(name, '\0', length) || name[0] == '.';
}

enum dlm_owner dlm_host_owner(const char *root, const char *name, size_t name_length)
{
	char bare[DLM_NAME_ROOM];

	if (is_path(name, name_length) || name_length >= sizeof(bare))
		return DLM_OWNER_NONE;
	snprintf(bare, sizeof(bare), "%.*s", (int)name_length, name);
	if (!dlm_host_has_space(root, bare))
		return DLM_OWNER_NONE;
	return has_device(root, bare) ? DLM_OWNER_PROCESS : DLM_OWNER_KERNEL;
}

static int check_owner(const char *root, const char *name, size_t name_length,
		       const char *kernel_name, struct err *err)
{
	enum dlm_owner owner = dlm_host_owner(root, name, name_length);

	if (owner == DLM_OWNER_KERNEL)
		return err_set(err, -EBUSY,
			       "%.*s: the kernel (md-cluster) of this node has a lockspace of this name: an array has one owner, stop it there first (mdadm --stop, on all nodes)",
			       (int)name_length, name);
	if (owner == DLM_OWNER_PROCESS)
		return err_set(err, -EBUSY,
			       "%.*s: another program of this node has a lockspace of this name: end it first, and release the lockspace (dlm_tool leave %.*s)",
			       (int)name_length, name, (int)name_length, name);
	if (dlm_host_has_space(root, kernel_name) && !has_device(root, kernel_name))
		return err_set(err, -EBUSY,
			       "%s: the kernel itself has a lockspace of this name, its values are not ours",
			       kernel_name);
	return 0;
}

/* --- dlm_controld --------------------------------------------------------------------------- */

/* Its socket is there. The last word of a line is the name. */
bool dlm_host_has_daemon(const char *root)
{
	size_t length = 0, want = sizeof(DAEMON) - 1;
	char *text = read_below(root, "/proc/net/unix", &length);
	const char *at = text, *end = text ? text + length : NULL;
	bool has = false;

	while (at && at < end && !has) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		while (stop > at && stop[-1] == ' ')
			stop--;
		has = (size_t)(stop - at) > want && stop[-(ptrdiff_t)want - 1] == ' ' &&
		      memcmp(stop - want, DAEMON, want) == 0;
		at = newline ? newline + 1 : end;
	}
	free(text);
	return has;
}

/* One that there is, of whomever. */
static bool find_space(const char *root, char name[DLM_NAME_ROOM])
{
	char path[PATH_ROOM];
	const struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" SPACES, root);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			break;
	if (!dir)
		return false;
	if (e)
		snprintf(name, DLM_NAME_ROOM, "%.*s", DLM_NAME_ROOM - 1, e->d_name);
	(void)closedir(dir);
	return e != NULL;
}

static int check_daemon(const char *root, struct err *err)
{
	char left[DLM_NAME_ROOM];

	if (dlm_host_has_daemon(root))
		return 0;
	if (find_space(root, left))
		return err_set(err, -ESTALE,
			       "lockspace %s is left over in the kernel, and dlm_controld does not run: nothing in it can be locked any more, and a new dlm_controld would leave the cluster because of it: restart this node",
			       left);
	return err_set(err, -ESRCH,
		       "dlm_controld does not run: the kernel would wait for it for ever; start it (systemctl start dlm)");
}

static unsigned int control_minor(const char *root)
{
	size_t length = 0;
	char *text = read_below(root, "/proc/misc", &length);
	const char *at = text;
	unsigned int minor = 0;

	while (at && at < text + length) {
		const char *newline = memchr(at, '\n', (size_t)(text + length - at));
		char name[32] = "";
		unsigned int number;
		char line[64];

		snprintf(line, sizeof(line), "%.*s",
			 (int)((newline ? newline : text + length) - at), at);
		if (sscanf(line, "%u %31s", &number, name) == 2 &&
		    strcmp(name, "dlm-control") == 0)
			minor = number;
		at = newline ? newline + 1 : NULL;
	}
	free(text);
	return minor;
}

static int check_device(const char *root, struct err *err)
{
	unsigned int minor;

	if (exists(root, CONTROL))
		return 0;
	minor = control_minor(root);
	if (!minor)
		return err_set(err, -ENODEV,
			       "the kernel's DLM takes no locks of processes: /proc/misc has no dlm-control");
	return err_set(err, -ENODEV,
		       CONTROL " is missing: udev makes it, by the rules that come with libdlm (udevadm trigger --subsystem-match=misc); without udev: mkdir -p /dev/misc && mknod -m 600 " CONTROL " c 10 %u",
		       minor);
}

/* --- all of it -------------------------------------------------------------------------------- */

int dlm_host_check(const char *root, const char *name, size_t name_length,
		   const char *kernel_name, struct err *err)
{
	int r;

	if (!exists(root, SPACES))
		return err_set(err, -ENOENT,
			       "the kernel's DLM is not there: load its module (modprobe dlm; some distributions have it in a package of more modules), and start dlm_controld");
	r = check_owner(root, name, name_length, kernel_name, err);
	if (r == 0)
		r = check_daemon(root, err);
	if (r == 0 && !exists(root, CLUSTER))
		r = err_set(err, -ENODEV,
			    CLUSTER " is not there: nobody could see who is in a lockspace; mount configfs (mount -t configfs configfs " CONFIGFS ")");
	return r < 0 ? r : check_device(root, err);
}

/* --- fencing ---------------------------------------------------------------------------------- */

/* "enable_fencing=0 (dlm.conf)"; -1: the text does not say. */
static int setting(const char *text, size_t length, const char *name)
{
	size_t want = strlen(name);
	const char *at = text, *end = text + length;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		if ((size_t)(stop - at) > want + 1 && memcmp(at, name, want) == 0 &&
		    at[want] == '=' && (at[want + 1] == '0' || at[want + 1] == '1'))
			return at[want + 1] - '0';
		at = newline ? newline + 1 : end;
	}
	return -1;
}

int dlm_host_check_fencing(const char *text, size_t length, struct err *err)
{
	static const struct { const char *name, *means; } needed[] = {
		{ "enable_fencing",
		  "who is gone is taken for dead at once, be it only cut off or asleep" },
		{ "enable_startup_fencing",
		  "who is not there when dlm_controld starts is taken for dead" },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		int is_on = setting(text, length, needed[i].name);

		if (is_on < 0)
			return err_set(err, -EBADMSG,
				       "dlm_controld does not say what its %s is", needed[i].name);
		if (!is_on)
			return err_set(err, -EPERM,
				       "dlm_controld runs with %s=0: %s, which is no proof (D14). Have it fence (dlm.conf(5)), or take \"dlm\" out of the fence methods, so that proofs of ours are waited for",
				       needed[i].name, needed[i].means);
	}
	return 0;
}
