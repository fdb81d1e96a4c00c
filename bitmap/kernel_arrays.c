/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Source: Documentation/admin-guide/md.rst, drivers/md/md.c (md_status, md_default_attrs).
 * What one kernel has and another lacks is left out rather than guessed.
 */
#include "bitmap/kernel_arrays.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fnv.h"
#include "base/printable.h"
#include "base/slurp.h"
#include "base/text.h"
#include "bitmap/disk.h"
#include "bitmap/member.h"

enum { MDSTAT_MOST = 1 << 20 };

/* --- fields -------------------------------------------------------------------------------- */

static void get_text(char *to, size_t size, const char *folder, const char *field)
{
	char line[256];

	(void)slurp_line(line, sizeof(line), "%s/%s", folder, field);
	(void)text_printable(line, strlen(line), to, size);
}

/* A number; `none` for words. */
static uint64_t get_number(const char *folder, const char *field, uint64_t none)
{
	char line[64], *end;
	uint64_t n;

	(void)slurp_line(line, sizeof(line), "%s/%s", folder, field);
	errno = 0;
	n = strtoull(line, &end, 10);
	return errno || end == line || line[0] == '-' ? none : n;
}

static bool get_uuid(const char *folder, uint8_t uuid[16])
{
	struct err ignored = ERR_INIT;
	char line[64];

	return slurp_line(line, sizeof(line), "%s/uuid", folder) &&
	       text_parse_uuid(line, "uuid", uuid, &ignored) == 0;
}

/* "20480 / 129024"; "none", "delayed". */
static void get_progress(const char *folder, struct kernel_array *a)
{
	char line[64];

	(void)slurp_line(line, sizeof(line), "%s/sync_completed", folder);
	if (sscanf(line, "%" SCNu64 " / %" SCNu64, &a->done_sectors, &a->total_sectors) != 2)
		a->done_sectors = a->total_sectors = 0;
}

/* --- disks --------------------------------------------------------------------------------- */

/* sysfs has '!' for the '/' of a name. */
static void device_path(const char *root, const char *name, char to[PATH_MAX])
{
	size_t at = (size_t)snprintf(to, PATH_MAX, "%s/dev/", root);

	snprintf(to + at, PATH_MAX - at, "%s", name);
	for (char *c = to + at; *c; c++)
		if (*c == '!')
			*c = '/';
}

static int add_disk(struct kernel_array *a, const char *folder, const char *name,
		    struct err *err)
{
	struct kernel_disk *more = reallocarray(a->disks, a->disk_count + 1, sizeof(*more));
	struct kernel_disk *d;

	if (!more)
		return err_nomem(err, "the kernel's disks");
	a->disks = more;
	d = &more[a->disk_count++];
	memset(d, 0, sizeof(*d));
	(void)text_printable(name, strlen(name), d->name, sizeof(d->name));
	get_text(d->state, sizeof(d->state), folder, "state");
	d->role = (int32_t)get_number(folder, "slot", UINT32_MAX);
	d->errors = get_number(folder, "errors", 0);
	d->recovered_sectors = get_number(folder, "recovery_start", KERNEL_NOWHERE);
	d->is_recovering = d->role >= 0 && d->recovered_sectors != KERNEL_NOWHERE;
	if (!d->is_recovering)
		d->recovered_sectors = 0;
	return 0;
}

static int by_role(const void *a, const void *b)
{
	const struct kernel_disk *x = a, *y = b;

	if (x->role != y->role)
		return (uint32_t)x->role > (uint32_t)y->role ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int read_disks(struct kernel_array *a, const char *folder, struct err *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	char below[PATH_MAX + 256];
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, "dev-", 4) != 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", folder, e->d_name);
		r = add_disk(a, below, e->d_name + 4, err);
	}
	if (dir)
		closedir(dir);
	if (a->disk_count)
		qsort(a->disks, a->disk_count, sizeof(*a->disks), by_role);
	return r;
}

/* Of an old kernel: what the superblock of a disk says. */
static bool ask_a_disk(const struct kernel_array *a, const char *root, uint8_t uuid[16])
{
	bool is_told = false;

	for (size_t i = 0; i < a->disk_count && !is_told; i++) {
		struct err ignored = ERR_INIT;
		struct md_member m = { 0 };
		char path[PATH_MAX];
		struct disk *disk;

		device_path(root, a->disks[i].name, path);
		disk = disk_aio_open(path, DISK_RDONLY, &ignored);
		is_told = disk && md_member_load(&m, disk, &ignored) == 0;
		if (is_told)
			memcpy(uuid, m.sb.set_uuid, 16);
		md_member_fini(&m);
		disk_close(disk);
	}
	return is_told;
}

/* --- arrays -------------------------------------------------------------------------------- */

static int read_array(struct kernel_array *a, const char *root, const char *name,
		      struct err *err)
{
	char block[PATH_MAX - 4], md[PATH_MAX], kind[32];
	int r;

	memset(a, 0, sizeof(*a));
	snprintf(block, sizeof(block), "%s/sys/block/%s", root, name);
	snprintf(md, sizeof(md), "%s/md", block);
	(void)text_printable(name, strlen(name), a->name, sizeof(a->name));
	get_text(a->level, sizeof(a->level), md, "level");
	get_text(a->state, sizeof(a->state), md, "array_state");
	get_text(a->metadata, sizeof(a->metadata), md, "metadata_version");
	get_text(a->bitmap, sizeof(a->bitmap), md, "bitmap/location");
	get_text(kind, sizeof(kind), md, "bitmap/metadata");
	a->is_clustered = strcmp(kind, "clustered") == 0;
	a->raid_disks = (uint32_t)get_number(md, "raid_disks", 0);
	a->degraded = (uint32_t)get_number(md, "degraded", 0);
	a->size_bytes = get_number(block, "size", 0) * SECTOR_BYTES;
	a->member_sectors = get_number(md, "component_size", 0) * 2;
	get_text(a->activity, sizeof(a->activity), md, "sync_action");
	get_progress(md, a);
	a->speed_bytes = get_number(md, "sync_speed", 0) * 1024;
	a->mismatch_sectors = get_number(md, "mismatch_cnt", 0);
	a->resync_start = get_number(md, "resync_start", KERNEL_NOWHERE);
	a->suspend_low = get_number(md, "suspend_lo", 0);
	a->suspend_high = get_number(md, "suspend_hi", 0);
	r = read_disks(a, md, err);
	a->has_uuid = r == 0 && (get_uuid(md, a->uuid) || ask_a_disk(a, root, a->uuid));
	return r;
}

static int add_array(struct kernel_arrays *to, const char *root, const char *name,
		     struct err *err)
{
	struct kernel_array *more = reallocarray(to->arrays, to->count + 1, sizeof(*more));

	if (!more)
		return err_nomem(err, "the kernel's arrays");
	to->arrays = more;
	to->count++;
	return read_array(&more[to->count - 1], root, name, err);
}

/* "resync=PENDING" and the like, in the lines below "md0 : ...". */
static void note_holdup(struct kernel_array *a, const char *mdstat)
{
	static const char *const words[] = { "PENDING", "DELAYED", "REMOTE" };
	char head[sizeof(a->name) + 4];
	size_t length = (size_t)snprintf(head, sizeof(head), "%s : ", a->name);
	const char *at = mdstat, *end, *found;

	while (at && strncmp(at, head, length) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	end = at ? strstr(at, "\n\n") : NULL;
	for (size_t i = 0; at && i < sizeof(words) / sizeof(words[0]); i++) {
		char word[16];

		snprintf(word, sizeof(word), "=%s", words[i]);
		found = strstr(at, word);
		if (found && (!end || found < end))
			snprintf(a->holdup, sizeof(a->holdup), "%s", words[i]);
	}
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct kernel_array *)a)->name,
			  ((const struct kernel_array *)b)->name);
}

int kernel_arrays_read(const char *root, struct kernel_arrays *to, struct err *err)
{
	char path[PATH_MAX];
	CLEANUP_FREE char *mdstat = NULL;
	const struct dirent *e;
	struct stat st;
	size_t length;
	DIR *dir;
	int r = 0;

	*to = (struct kernel_arrays){ 0 };
	snprintf(path, sizeof(path), "%s/sys/block", root);
	dir = opendir(path);
	while (dir && r == 0 && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/sys/block/%s/md", root, e->d_name);
		if (e->d_name[0] != '.' && stat(path, &st) == 0)
			r = add_array(to, root, e->d_name, err);
	}
	if (dir)
		closedir(dir);
	if (r < 0) {
		kernel_arrays_fini(to);
		return r;
	}
	if (to->count)
		qsort(to->arrays, to->count, sizeof(*to->arrays), by_name);
	snprintf(path, sizeof(path), "%s/proc/mdstat", root);
	mdstat = slurp(path, MDSTAT_MOST, &length);
	for (size_t i = 0; mdstat && i < to->count; i++)
		note_holdup(&to->arrays[i], mdstat);
	return 0;
}

void kernel_arrays_fini(struct kernel_arrays *arrays)
{
	for (size_t i = 0; i < arrays->count; i++)
		free(arrays->arrays[i].disks);
	free(arrays->arrays);
	*arrays = (struct kernel_arrays){ 0 };
}

bool kernel_array_is_run(const char *state)
{
	return strcmp(state, "inactive") != 0 && strcmp(state, "clear") != 0;
}

/* One that is stopped and comes again under its name has another inode in sysfs. */
uint64_t kernel_arrays_sum(const char *root)
{
	char path[PATH_MAX], state[24];
	const struct dirent *e;
	uint64_t sum = 0, hash;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/block", root);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/sys/block/%s/md", root, e->d_name);
		if (e->d_name[0] == '.' || stat(path, &st) < 0)
			continue;
		get_text(state, sizeof(state), path, "array_state");
		if (!kernel_array_is_run(state))
			continue;
		hash = fnv_add(FNV_START, e->d_name, strlen(e->d_name));
		sum += fnv_add(hash, &st.st_ino, sizeof(st.st_ino));
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* --- whose is it --------------------------------------------------------------------------- */

const struct kernel_array *kernel_arrays_find(const struct kernel_arrays *arrays,
					      const uint8_t uuid[16])
{
	for (size_t i = 0; i < arrays->count; i++) {
		const struct kernel_array *a = &arrays->arrays[i];

		/* "clear" is a name without an array */
		if (a->has_uuid && strcmp(a->state, "clear") != 0 &&
		    memcmp(a->uuid, uuid, sizeof(a->uuid)) == 0)
			return a;
	}
	return NULL;
}

bool kernel_array_uses(const struct kernel_array *array, const char *root, const char *path)
{
	struct stat ours, its;
	char device[PATH_MAX];

	if (stat(path, &ours) < 0)
		return false;
	for (size_t i = 0; i < array->disk_count; i++) {
		device_path(root, array->disks[i].name, device);
		if (stat(device, &its) < 0)
			continue;
		if (S_ISBLK(ours.st_mode) && S_ISBLK(its.st_mode) ?
			    ours.st_rdev == its.st_rdev :
			    ours.st_dev == its.st_dev && ours.st_ino == its.st_ino)
			return true;
	}
	return false;
}

int kernel_arrays_refuse(const char *root, const uint8_t uuid[16], const char *path,
			 struct err *err)
{
	const struct kernel_array *array;
	struct kernel_arrays arrays;
	int r = kernel_arrays_read(root, &arrays, err);

	if (r < 0)
		return r;
	array = kernel_arrays_find(&arrays, uuid);
	if (array)
		r = err_set(err, -EBUSY,
			    "%s: the kernel of this host runs its array, as /dev/%s: stop it on all nodes first (mdadm --stop /dev/%s)",
			    path, array->name, array->name);
	kernel_arrays_fini(&arrays);
	return r;
}
