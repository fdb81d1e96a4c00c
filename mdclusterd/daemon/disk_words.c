/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/disk_words.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/text.h"
#include "mdclusterd/array/metadata.h"

/* --- one that is named ------------------------------------------------------------------ */

static bool is_same_disk(const char *path, const struct stat *wanted)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode) || S_ISBLK(wanted->st_mode))
		return S_ISBLK(st.st_mode) && S_ISBLK(wanted->st_mode) &&
		       st.st_rdev == wanted->st_rdev;
	return st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

/* By its letters first, which a device that is gone still has. */
static bool find_path(const struct metadata_view *v, const char *word, uint32_t *places)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s%.240s", strchr(word, '/') ? "" : "/dev/", word);
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (v->disks[i].path[0] && strcmp(v->disks[i].path, path) == 0)
			*places |= 1u << i;
	if (*places || stat(path, &st) < 0)
		return *places != 0;
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (v->disks[i].path[0] && is_same_disk(v->disks[i].path, &st))
			*places |= 1u << i;
	return *places != 0;
}

static bool has_a_disk(const struct metadata_disk *d)
{
	return d->state != METADATA_DISK_MISSING || d->path[0];
}

static int find_role(const struct metadata_view *v, uint64_t role, uint32_t *places,
		     struct err *err)
{
	for (uint32_t i = 0; i < v->disk_count && role < v->raid_disks; i++)
		if (v->disks[i].role == role && has_a_disk(&v->disks[i]))
			*places |= 1u << i;
	return *places ? 0 : err_set(err, -ENOENT, "role %u: no disk has it", (uint32_t)role);
}

static int find_number(const struct metadata_view *v, uint64_t number, uint32_t *places,
		       struct err *err)
{
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (v->disks[i].dev_number == number && has_a_disk(&v->disks[i]))
			*places |= 1u << i;
	return *places ? 0 : err_set(err, -ENOENT, "#%u: no disk here has that number",
				     (uint32_t)number);
}

/* --- all of a kind ---------------------------------------------------------------------- */

static bool has_no_size(dev_t device)
{
	char path[64], text[2] = "";
	FILE *from;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(device), minor(device));
	from = fopen(path, "re");
	if (!from)
		return false; /* no sysfs, maybe */
	if (!fgets(text, sizeof(text), from))
		text[0] = '0';
	fclose(from);
	return text[0] == '0';
}

static bool is_detached(const struct metadata_disk *d)
{
	struct stat st;

	if (!d->path[0])
		return false;
	if (stat(d->path, &st) < 0)
		return errno == ENOENT || errno == ENXIO || errno == ENODEV;
	return S_ISBLK(st.st_mode) && has_no_size(st.st_rdev);
}

enum disk_kind disk_word_kind(const char *word)
{
	if (strcmp(word, "failed") == 0 || strcmp(word, "faulty") == 0)
		return DISK_FAILED;
	return strcmp(word, "detached") == 0 ? DISK_DETACHED : DISK_ONE;
}

int disk_word_find(const struct metadata_view *v, const char *word, uint32_t *places,
		   struct err *err)
{
	enum disk_kind kind = disk_word_kind(word);
	struct err ignored = ERR_INIT;
	uint64_t number;

	*places = 0;
	for (uint32_t i = 0; kind != DISK_ONE && i < v->disk_count; i++)
		if (kind == DISK_FAILED ? v->disks[i].state == METADATA_DISK_FAULTY :
					  is_detached(&v->disks[i]))
			*places |= 1u << i;
	if (kind != DISK_ONE)
		return 0;
	if (word[0] == '#' &&
	    text_parse_u64(word + 1, "disk", 0, UINT16_MAX, &number, &ignored) == 0)
		return find_number(v, number, places, err);
	if (text_parse_u64(word, "disk", 0, UINT16_MAX, &number, &ignored) == 0)
		return find_role(v, number, places, err);
	if (find_path(v, word, places))
		return 0;
	return err_set(err, -ENOENT, "%s: is no disk of this array, no role, and no #number",
		       word);
}

/* --- where disks are looked for ---------------------------------------------------------- */

bool disk_word_is_among(char *const *patterns, size_t count, const char *path)
{
	bool is_among = false;
	struct stat st;

	for (size_t i = 0; i < count; i++)
		if (fnmatch(patterns[i], path, FNM_PATHNAME) == 0)
			return true;
	if (stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < count && !is_among; i++) {
		glob_t found = { 0 };

		if (glob(patterns[i], GLOB_NOSORT | GLOB_NOCHECK, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc && !is_among; k++)
				is_among = is_same_disk(found.gl_pathv[k], &st);
		globfree(&found);
	}
	return is_among;
}
