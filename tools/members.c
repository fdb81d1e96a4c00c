/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/members.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "bitmap/discover.h"
#include "bitmap/disk.h"
#include "bitmap/member.h"

/* One that failed, or was removed, is open in it no more, or not in use. */
static bool is_in_use(const json_t *metadata, const struct md_sb *sb)
{
	const json_t *disks = json_object_get(metadata, "disks"), *disk;
	char uuid[TEXT_UUID_BYTES];
	size_t i;

	text_uuid(sb->device_uuid, uuid);
	json_array_foreach((json_t *)(uintptr_t)disks, i, disk) { /* not written */
		const char *its = json_string_value(json_object_get(disk, "device_uuid"));
		const char *path = json_string_value(json_object_get(disk, "path"));

		if (its && path && *path && strcmp(its, uuid) == 0)
			return true;
	}
	return false;
}

static bool is_missing(const json_t *metadata, const uint8_t uuid[16], const char *path)
{
	struct err ignored = ERR_INIT;
	struct disk *disk = disk_aio_open(path, DISK_RDONLY, &ignored);
	struct md_member m = { 0 };
	bool is_it = false;

	if (!disk)
		return false;
	if (md_member_load(&m, disk, &ignored) == 0)
		is_it = memcmp(m.sb.set_uuid, uuid, 16) == 0 && !is_in_use(metadata, &m.sb);
	md_member_fini(&m);
	disk_close(disk);
	return is_it;
}

int members_missing(const json_t *metadata, int (*each)(void *owner, const char *path),
		    void *owner, struct err *err)
{
	const char *text = json_string_value(json_object_get(metadata, "uuid"));
	uint8_t uuid[16];
	char **paths;
	int count, r = 0;

	if (!text || text_parse_uuid(text, "uuid", uuid, err) < 0)
		return err_set(err, -EBADMSG, "the daemon does not tell the array's uuid");
	count = md_discover_members(&paths, err);
	if (count < 0)
		return count;
	for (int i = 0; r == 0 && i < count; i++)
		if (is_missing(metadata, uuid, paths[i]))
			r = each(owner, paths[i]);
	md_discover_free(paths, count);
	return r;
}
