/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects of mdcluster-json(7). Numbers are in the units their names say. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "tools/guard.h"
#include "tools/show.h"

/* JSON integers end at 2^63 here; what is beyond can only be damage. */
static json_t *number(uint64_t v)
{
	return v <= INT64_MAX ? json_integer((json_int_t)v) :
				json_real((double)v);
}

json_t *show_json_text(const char *bytes, size_t max)
{
	size_t length = strnlen(bytes, max), i;
	json_t *s = json_stringn(bytes, length);
	char *copy;

	if (s)
		return s;
	copy = strndup(bytes, length);
	for (i = 0; copy && i < length; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	s = json_string(copy ? copy : "");
	free(copy);
	return s;
}

static json_t *role(uint16_t value)
{
	char to[16];

	return value < MD_ROLE_MAX ? number(value) :
				     json_string(show_role(value, to));
}

/* Without the unused tail of spares behind the last member. */
static json_t *roles(const struct md_sb *sb)
{
	json_t *list = json_array();
	uint32_t dev, used = sb->max_dev;

	while (used > 0 && used > sb->raid_disks &&
	       sb->roles[used - 1] == MD_ROLE_SPARE)
		used--;
	for (dev = 0; dev < used && dev < MD_SB_MAX_DEV; dev++)
		json_array_append_new(list, role(sb->roles[dev]));
	return list;
}

/* refusal: why who would run it does not; NULL: it does. */
static json_t *verdict(const char *refusal)
{
	return json_pack("{s:b, s:o}", "accepts", refusal == NULL, "reason",
			 refusal ? show_json_text(refusal, SIZE_MAX) : json_null());
}

static json_t *cluster(const struct md_member *m)
{
	if (!m->has_bitmap || m->bitmap.nodes == 0)
		return json_null();
	return json_pack("{s:o, s:i}", "name",
			 show_json_text(bitmap_sb_cluster_name(&m->bitmap),
			      BITMAP_CLUSTER_NAME_BYTES),
			 "nodes", (int)m->bitmap.nodes);
}

static json_t *owner(const struct md_member *m, const char *fault)
{
	struct guard guard;
	bool is_hidden = !fault && guard_hides(m, &guard);

	if (fault || (!guard.has_owner && !is_hidden))
		return json_null();
	return json_pack("{s:o, s:o, s:b}", "host", show_json_text(guard.owner.host, SIZE_MAX),
			 "cluster", show_json_text(guard.owner.cluster, SIZE_MAX),
			 "is_kept_from_here", is_hidden);
}

json_t *show_member_json(const struct md_member *m, const char *fault)
{
	const struct md_sb *sb = &m->sb;
	char uuid[TEXT_UUID_BYTES], device_uuid[TEXT_UUID_BYTES];
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_string(SHOW_JSON_SCHEMA));
	json_object_set_new(o, "disk", show_json_text(m->disk->name, SIZE_MAX));
	json_object_set_new(o, "metadata",
			    json_sprintf("1.%d", (int)m->minor));
	json_object_set_new(o, "uuid",
			    json_string(text_uuid(sb->set_uuid, uuid)));
	json_object_set_new(o, "name",
			    show_json_text((const char *)sb->set_name, MD_NAME_BYTES));
	json_object_set_new(o, "cluster", cluster(m));
	json_object_set_new(o, "level", json_integer(sb->level));
	json_object_set_new(o, "level_name", json_string(show_level(sb->level)));
	json_object_set_new(o, "layout", number(sb->layout));
	json_object_set_new(o, "chunk_sectors", number(sb->chunksize));
	json_object_set_new(o, "raid_disks", number(sb->raid_disks));
	json_object_set_new(o, "size_sectors", number(sb->size));
	json_object_set_new(o, "data_offset_sectors", number(sb->data_offset));
	json_object_set_new(o, "data_size_sectors", number(sb->data_size));
	json_object_set_new(o, "super_offset_sectors", number(sb->super_offset));
	json_object_set_new(o, "bitmap_offset_sectors",
			    sb->feature_map & MD_FEATURE_BITMAP_OFFSET ?
				    json_integer(sb->bitmap_offset) :
				    json_null());
	json_object_set_new(o, "feature_map", number(sb->feature_map));
	json_object_set_new(o, "events", number(sb->events));
	json_object_set_new(o, "resync_offset",
			    sb->resync_offset == MD_MAX_SECTOR ?
				    json_string("max") :
				    number(sb->resync_offset));
	json_object_set_new(o, "recovery_offset_sectors",
			    sb->feature_map & MD_FEATURE_RECOVERY_OFFSET ?
				    number(sb->recovery_offset) :
				    json_null());
	json_object_set_new(o, "dev_number", number(sb->dev_number));
	json_object_set_new(o, "device_uuid",
			    json_string(text_uuid(sb->device_uuid, device_uuid)));
	json_object_set_new(o, "role", role(md_sb_role(sb)));
	json_object_set_new(o, "roles", roles(sb));
	json_object_set_new(o, "created_s", number(sb->ctime & MD_SB_SECONDS));
	json_object_set_new(o, "updated_s", number(sb->utime & MD_SB_SECONDS));
	json_object_set_new(o, "checksum_ok",
			    json_boolean(md_sb_checksum(m->block, sb->max_dev) ==
					 sb->checksum));
	json_object_set_new(o, "kernel_md_cluster",
			    verdict(fault ? fault : md_member_kernel_refusal(m)));
	json_object_set_new(o, "mdclusterd", verdict(fault ? fault : md_member_our_refusal(m)));
	json_object_set_new(o, "owner", owner(m, fault));
	json_object_set_new(o, "fault",
			    fault ? show_json_text(fault, SIZE_MAX) : json_null());
	return o;
}

json_t *show_bitmap_json(const struct md_member *m)
{
	const struct bitmap_sb *sb = &m->bitmap;
	char uuid[TEXT_UUID_BYTES];
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_string(SHOW_JSON_SCHEMA));
	json_object_set_new(o, "disk", show_json_text(m->disk->name, SIZE_MAX));
	json_object_set_new(o, "uuid", json_string(text_uuid(sb->uuid, uuid)));
	json_object_set_new(o, "version", number(sb->version));
	json_object_set_new(o, "chunk_bytes", number(sb->chunksize));
	json_object_set_new(o, "sync_size_sectors", number(sb->sync_size));
	json_object_set_new(o, "daemon_sleep_s", number(sb->daemon_sleep));
	json_object_set_new(o, "write_behind", number(sb->write_behind));
	json_object_set_new(o, "nodes", number(sb->nodes));
	json_object_set_new(o, "cluster_name",
			    show_json_text(bitmap_sb_cluster_name(sb),
				 BITMAP_CLUSTER_NAME_BYTES));
	json_object_set_new(o, "slot_bytes", number(m->geo.slot_bytes));
	json_object_set_new(o, "is_ignored",
			    json_boolean(m->sb.resync_offset == MD_MAX_SECTOR));
	json_object_set_new(o, "slots", json_array());
	return o;
}

static json_t *state_words(uint32_t state)
{
	if (state & BITMAP_STATE_STALE)
		return json_string("stale");
	if (state & BITMAP_STATE_WRITE_ERROR)
		return json_string("write-error");
	return state ? json_sprintf("0x%x", state) : json_string("ok");
}

/* A slot can have 2^31 ranges: as a tree they would not fit any memory. */
enum { MAX_RANGES = 100000 };

/* Returns whether they are all there. */
static bool list_ranges(const struct bitmap_slot *slot, json_t *ranges)
{
	struct bits_run run = BITS_RUN_START;

	while (bits_next_run(slot->bits, slot->geo.chunks, &run)) {
		if (json_array_size(ranges) == MAX_RANGES)
			return false;
		json_array_append_new(ranges,
				      json_pack("[I, I]", (json_int_t)run.first,
						(json_int_t)run.last));
	}
	return true;
}

json_t *show_slot_json(const struct bitmap_slot *slot)
{
	json_t *o = json_object(), *ranges = json_array();
	bool is_complete = list_ranges(slot, ranges);

	json_object_set_new(o, "slot", number(slot->number));
	json_object_set_new(o, "events", number(slot->sb.events));
	json_object_set_new(o, "events_cleared",
			    number(slot->sb.events_cleared));
	json_object_set_new(o, "state", state_words(slot->sb.state));
	json_object_set_new(o, "chunks", number(slot->geo.chunks));
	json_object_set_new(o, "dirty", number(bitmap_slot_dirty_chunks(slot)));
	json_object_set_new(o, "dirty_bytes",
			    number(bitmap_slot_dirty_bytes(slot)));
	json_object_set_new(o, "dirty_ranges", ranges);
	json_object_set_new(o, "dirty_ranges_complete",
			    json_boolean(is_complete));
	return o;
}

void show_json_list(json_t *list, size_t asked)
{
	const json_t *top = asked == 1 ? json_array_get(list, 0) : list;

	if (top) {
		json_dumpf(top, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
}
