/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/export.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "bitmap/member.h"
#include "tools/guard.h"
#include "tools/show.h"

static bool passes(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._:@+-/,", c));
}

void export_line(FILE *to, const char *key, const char *format, ...)
{
	char value[512];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	for (char *c = value; *c; c++)
		if (!passes(*c))
			*c = '_';
	fprintf(to, "%s=%s\n", key, value);
}

static void cluster_lines(FILE *to, const char *cluster, uint32_t nodes)
{
	export_line(to, "MD_CLUSTER_NAME", "%s", cluster);
	if (nodes > 0)
		export_line(to, "MD_CLUSTER_NODES", "%" PRIu32, nodes);
}

static void owner_lines(FILE *to, const struct md_member *m)
{
	struct guard guard;
	bool is_hidden = guard_hides(m, &guard);

	if (guard.has_owner)
		export_line(to, "MD_CLUSTER_OWNER", "%s", guard.owner.host);
	if (is_hidden)
		export_line(to, "MD_CLUSTER_GUARD", "yes");
}

void export_member(FILE *to, const struct md_member *m)
{
	const struct md_sb *sb = &m->sb;
	char name[MD_NAME_BYTES + 1], uuid[TEXT_UUID_BYTES], size[64];

	export_line(to, "MD_LEVEL", "%s", show_level(sb->level));
	export_line(to, "MD_DEVICES", "%" PRIu32, sb->raid_disks);
	if (*md_sb_name(sb, name))
		export_line(to, "MD_NAME", "%s", name);
	if (sb->level == MD_LEVEL_RAID1 || sb->level == MD_LEVEL_RAID10)
		export_line(to, "MD_ARRAY_SIZE", "%s",
			    show_size_brief(show_array_bytes(sb), size));
	export_line(to, "MD_UUID", "%s", text_uuid(sb->set_uuid, uuid));
	export_line(to, "MD_UPDATE_TIME", "%" PRIu64,
		    sb->utime & (((uint64_t)1 << 40) - 1));
	export_line(to, "MD_DEV_UUID", "%s", text_uuid(sb->device_uuid, uuid));
	export_line(to, "MD_EVENTS", "%" PRIu64, sb->events);
	if (m->has_bitmap && m->bitmap.nodes > 0) {
		char cluster[BITMAP_CLUSTER_NAME_BYTES + 1] = "";

		memcpy(cluster, bitmap_sb_cluster_name(&m->bitmap), BITMAP_CLUSTER_NAME_BYTES);
		cluster_lines(to, cluster, m->bitmap.nodes);
	}
	owner_lines(to, m);
}

/* --- detail ------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static uint32_t number_of(const json_t *object, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(object, key));
}

/* "/dev/sda" is MD_DEVICE_dev_sda_... */
static void disk_lines(FILE *to, const json_t *disk, uint32_t raid_disks)
{
	const char *path = text_of(disk, "path"), *state = text_of(disk, "state");
	uint32_t role = number_of(disk, "role");
	bool is_active = role < raid_disks && strcmp(state, "faulty") != 0;
	char key[256], *end = key;

	if (*path != '/')
		return; /* missing */
	for (const char *c = path + 1; *c && end < key + sizeof(key) - 1; c++)
		*end++ = isalnum((unsigned char)*c) ? *c : '_';
	*end = '\0';
	fprintf(to, "MD_DEVICE_%s_ROLE=", key);
	if (is_active)
		fprintf(to, "%" PRIu32 "\n", role);
	else
		fprintf(to, "%s\n", strcmp(state, "faulty") == 0 ? "faulty" : "spare");
	fprintf(to, "MD_DEVICE_%s_", key);
	export_line(to, "DEV", "%s", path);
}

void export_detail(FILE *to, const json_t *answer)
{
	const json_t *array = json_object_get(answer, "array");
	const json_t *metadata = json_object_get(answer, "metadata");
	json_t *disks = json_object_get(metadata, "disks"), *disk;
	const json_t *slot = json_object_get(array, "slot");
	size_t i;

	export_line(to, "MD_LEVEL", "%s", text_of(metadata, "level"));
	export_line(to, "MD_DEVICES", "%" PRIu32, number_of(metadata, "raid_disks"));
	export_line(to, "MD_METADATA", "%s", text_of(metadata, "version"));
	export_line(to, "MD_UUID", "%s", text_of(metadata, "uuid"));
	export_line(to, "MD_DEVNAME", "%s", text_of(array, "name"));
	export_line(to, "MD_NAME", "%s", text_of(metadata, "name"));
	json_array_foreach(disks, i, disk)
		disk_lines(to, disk, number_of(metadata, "raid_disks"));
	cluster_lines(to, text_of(metadata, "cluster"), number_of(metadata, "nodes"));
	export_line(to, "MD_CLUSTER_STATE", "%s", text_of(array, "state"));
	if (json_is_integer(slot) && json_integer_value(slot) >= 0)
		export_line(to, "MD_CLUSTER_SLOT", "%" PRIu32, number_of(array, "slot"));
}
