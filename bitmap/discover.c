/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bitmap/discover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkid/blkid.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bitmap/disk.h"

enum { ERASE_UNIT_BYTES = 4096 };

static void free_probe(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

static const char *probe_value(blkid_probe probe, const char *key)
{
	const char *value = NULL;

	if (blkid_probe_lookup_value(probe, key, &value, NULL) != 0)
		return NULL;
	return value;
}

/* libblkid keeps the two families of signatures under different keys. */
static bool describe_filesystem(blkid_probe probe, struct md_signature *sig)
{
	const char *type = probe_value(probe, "TYPE");
	const char *offset = probe_value(probe, "SBMAGIC_OFFSET");
	const char *usage = probe_value(probe, "USAGE");
	const char *label = probe_value(probe, "LABEL");
	size_t length = 0;

	if (!type || !offset ||
	    blkid_probe_lookup_value(probe, "SBMAGIC", NULL, &length) != 0)
		return false;
	snprintf(sig->what, sizeof(sig->what), "%.32s%s", type,
		 usage && strcmp(usage, "filesystem") == 0 ? " file system" : "");
	snprintf(sig->label, sizeof(sig->label), "%.63s", label ? label : "");
	sig->offset_bytes = strtoull(offset, NULL, 10);
	sig->length_bytes = (uint32_t)min_u64(length, 64);
	return true;
}

static bool describe_table(blkid_probe probe, struct md_signature *sig)
{
	const char *type = probe_value(probe, "PTTYPE");
	const char *offset = probe_value(probe, "PTMAGIC_OFFSET");
	size_t length = 0;

	if (!type || !offset ||
	    blkid_probe_lookup_value(probe, "PTMAGIC", NULL, &length) != 0)
		return false;
	snprintf(sig->what, sizeof(sig->what), "%.32s partition table", type);
	sig->label[0] = '\0';
	sig->offset_bytes = strtoull(offset, NULL, 10);
	sig->length_bytes = (uint32_t)min_u64(length, 64);
	return true;
}

int md_discover_contents(const char *path, struct md_signature *found,
			 struct err *err)
{
	CLEANUP(free_probe) blkid_probe probe =
		blkid_new_probe_from_filename(path);
	int count = 0, r = 0;

	if (!probe)
		return err_set(err, errno ? -errno : -EIO,
			       "%s: cannot look for what it holds: %s", path,
			       strerror(errno ? errno : EIO));
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(
		probe, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_TYPE |
			       BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
			       BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC |
							BLKID_PARTS_FORCE_GPT);
	while (count < MD_MAX_SIGNATURES && (r = blkid_do_probe(probe)) == 0) {
		struct md_signature *sig = &found[count];

		count++;
		if (!describe_filesystem(probe, sig) &&
		    !describe_table(probe, sig)) {
			*sig = (struct md_signature){ .what = "unknown signature" };
			break;
		}
		/*
		 * Looked at again as if it were gone, so that what hides behind
		 * it shows as well: the backup GPT, an older superblock.
		 */
		if (blkid_probe_hide_range(probe, sig->offset_bytes,
					   sig->length_bytes) != 0 ||
		    blkid_probe_step_back(probe) != 0)
			break;
	}
	/* 1 is "nothing more"; a disk that could not be read is not empty */
	if (r < 0)
		return err_set(err, -EIO,
			       "%s: cannot look for what it holds: it cannot be read",
			       path);
	return count;
}

static int erase_one(struct disk *disk, const struct md_signature *sig,
		     struct err *err)
{
	uint64_t start = round_down(sig->offset_bytes, ERASE_UNIT_BYTES);
	uint64_t end = round_up(sig->offset_bytes + sig->length_bytes,
				ERASE_UNIT_BYTES);
	CLEANUP_FREE uint8_t *block = NULL;
	int r;

	end = min_u64(end, disk->size_bytes);
	if (start >= end || sig->offset_bytes + sig->length_bytes > end)
		return 0;
	block = disk_buffer_new(end - start);
	if (!block)
		return err_nomem(err, "a block to erase");
	r = disk_read_wait(disk, start, block, end - start, err);
	if (r < 0)
		return r;
	memset(block + (sig->offset_bytes - start), 0, sig->length_bytes);
	return disk_write_wait(disk, start, block, end - start, true, err);
}

int md_discover_erase(struct disk *disk, const struct md_signature *found,
		      int count, uint64_t keep_start, uint64_t keep_end,
		      struct err *err)
{
	int i, r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		uint64_t at = found[i].offset_bytes;

		if (at + found[i].length_bytes <= keep_start || at >= keep_end)
			r = erase_one(disk, &found[i], err);
	}
	return r;
}

static int append(char ***paths, int count, const char *name, struct err *err)
{
	char **more = reallocarray(*paths, (size_t)count + 1, sizeof(**paths));

	if (more)
		*paths = more;
	if (!more || !(more[count] = strdup(name)))
		return err_nomem(err, "the list of disks");
	return count + 1;
}

int md_discover_members(char ***paths, struct err *err)
{
	blkid_dev_iterate it;
	blkid_cache cache;
	blkid_dev dev;
	int count = 0, r;

	*paths = NULL;
	/* no cache file: what counts is what is on the disks now */
	if (blkid_get_cache(&cache, "/dev/null") != 0)
		return err_nomem(err, "the device cache of libblkid");
	blkid_probe_all(cache);
	it = blkid_dev_iterate_begin(cache);
	blkid_dev_set_search(it, "TYPE", "linux_raid_member");
	while (count >= 0 && blkid_dev_next(it, &dev) == 0) {
		r = append(paths, count, blkid_dev_devname(dev), err);
		if (r < 0) {
			md_discover_free(*paths, count);
			*paths = NULL;
		}
		count = r;
	}
	blkid_dev_iterate_end(it);
	blkid_put_cache(cache);
	return count;
}

void md_discover_free(char **paths, int count)
{
	int i;

	for (i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}
