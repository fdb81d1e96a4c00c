/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "msg/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/text.h"

enum form { FORM_NONE, FORM_RANGE, FORM_DISK };

/* Which operands a type has. */
static const struct {
	const char *name;
	enum form form;
	bool has_low, has_high, has_uuid, has_disk, has_generation;
} types[MSG_TYPES] = {
	[MSG_METADATA_UPDATED] = { .name = "METADATA_UPDATED", .form = FORM_DISK,
				   .has_disk = true, .has_generation = true },
	[MSG_RESYNCING] = { .name = "RESYNCING", .form = FORM_RANGE,
			    .has_low = true, .has_high = true },
	[MSG_NEWDISK] = { .name = "NEWDISK", .form = FORM_DISK,
			  .has_uuid = true, .has_disk = true },
	[MSG_REMOVE] = { .name = "REMOVE", .form = FORM_DISK, .has_disk = true },
	[MSG_RE_ADD] = { .name = "RE_ADD", .form = FORM_DISK, .has_disk = true },
	[MSG_BITMAP_NEEDS_SYNC] = { .name = "BITMAP_NEEDS_SYNC" },
	[MSG_CHANGE_CAPACITY] = { .name = "CHANGE_CAPACITY", .form = FORM_RANGE,
				  .has_high = true },
	[MSG_BITMAP_RESIZE] = { .name = "BITMAP_RESIZE", .form = FORM_RANGE,
				.has_high = true },
	[MSG_RESYNCING_START] = { .name = "RESYNCING_START" },
	[MSG_FREEZE] = { .name = "FREEZE" },
	[MSG_DISKS_GONE] = { .name = "DISKS_GONE", .form = FORM_DISK, .has_disk = true },
	[MSG_EVENTS] = { .name = "EVENTS", .form = FORM_RANGE, .has_low = true },
};

static bool is_zero(const uint8_t *bytes, size_t length)
{
	uint8_t all = 0;

	for (size_t i = 0; i < length; i++)
		all |= bytes[i];
	return all == 0;
}

/* --- bytes --------------------------------------------------------------------------- */

/* What the type makes of its operands: those that it does not have are 0. */
static bool is_possible(const struct msg *m, uint64_t flags)
{
	if (m->slot >= MSG_MAX_SLOTS || flags != 0)
		return false;
	if ((!types[m->type].has_low && m->low != 0) ||
	    (!types[m->type].has_high && m->high != 0) ||
	    (!types[m->type].has_disk && m->disk != 0) ||
	    (!types[m->type].has_generation && m->generation != 0))
		return false;
	if (types[m->type].has_uuid == is_zero(m->uuid, sizeof(m->uuid)))
		return false;
	if (m->type == MSG_RESYNCING && m->high == 0)
		return m->low == 0;
	return !types[m->type].has_high || m->low < m->high;
}

enum msg_fault msg_check(const struct msg *m)
{
	if ((uint32_t)m->type >= MSG_TYPES)
		return MSG_BAD_TYPE;
	return is_possible(m, 0) ? MSG_SOUND : MSG_BAD_FIELD;
}

enum msg_fault msg_decode(const uint8_t *bytes, size_t length, struct msg *m)
{
	struct rd rd = rd_over(bytes, length);
	uint64_t flags = 0;
	uint8_t version, type;

	*m = (struct msg){ 0 };
	if (length < MSG_BYTES)
		return MSG_SHORT;
	version = rd_u8(&rd);
	if (version == 0 && is_zero(bytes, MSG_BYTES))
		return MSG_NOTHING;
	type = rd_u8(&rd);
	m->slot = rd_u16(&rd);
	m->sequence = rd_u32(&rd);
	if (version != MSG_VERSION)
		return MSG_BAD_VERSION;
	if (type >= MSG_TYPES)
		return MSG_BAD_TYPE;
	m->type = (enum msg_type)type;
	if (types[type].form == FORM_DISK) {
		rd_bytes(&rd, m->uuid, sizeof(m->uuid));
		m->disk = rd_u32(&rd);
		m->generation = rd_u32(&rd);
	} else {
		m->low = rd_u64(&rd);
		m->high = rd_u64(&rd);
		flags = rd_u64(&rd);
	}
	if (is_possible(m, flags))
		return MSG_SOUND;
	*m = (struct msg){ .slot = m->slot, .sequence = m->sequence };
	return MSG_BAD_FIELD;
}

void msg_encode(const struct msg *m, uint8_t bytes[MSG_BYTES])
{
	static const uint8_t none[16];
	struct wr wr = wr_over(bytes, MSG_BYTES);

	wr_u8(&wr, MSG_VERSION);
	wr_u8(&wr, (uint8_t)m->type);
	wr_u16(&wr, m->slot);
	wr_u32(&wr, m->sequence);
	if (types[m->type].form == FORM_DISK) {
		wr_bytes(&wr, types[m->type].has_uuid ? m->uuid : none, sizeof(m->uuid));
		wr_u32(&wr, m->disk);
		wr_u32(&wr, types[m->type].has_generation ? m->generation : 0);
		return;
	}
	wr_u64(&wr, types[m->type].has_low ? m->low : 0);
	wr_u64(&wr, types[m->type].has_high ? m->high : 0);
	wr_u64(&wr, 0);
}

/* --- words --------------------------------------------------------------------------- */

const char *msg_fault_text(enum msg_fault fault)
{
	static const char *const texts[MSG_FAULTS] = {
		[MSG_SOUND] = "is sound",
		[MSG_NOTHING] = "says nothing yet",
		[MSG_SHORT] = "ends before its fields do",
		[MSG_BAD_VERSION] = "is of another version",
		[MSG_BAD_TYPE] = "is of an unknown type",
		[MSG_BAD_FIELD] = "has a field that cannot be",
	};

	return texts[fault];
}

const char *msg_type_name(uint32_t type)
{
	return type < MSG_TYPES ? types[type].name : "?";
}

char *msg_window_text(uint64_t low_sectors, uint64_t high_sectors,
		      char to[MSG_TEXT_BYTES])
{
	static const struct {
		const char *name;
		double sectors;
	} units[] = {
		{ "TiB", 0x1p31 }, { "GiB", 0x1p21 }, { "MiB", 0x1p11 }, { "KiB", 2 },
	};
	char low[32], high[32];
	int decimals;
	size_t u = 0;

	while (u + 1 < ARRAY_SIZE(units) && (double)high_sectors < units[u].sectors)
		u++;
	for (decimals = 1; decimals <= 9; decimals++) {
		snprintf(low, sizeof(low), "%.*f", decimals,
			 (double)low_sectors / units[u].sectors);
		snprintf(high, sizeof(high), "%.*f", decimals,
			 (double)high_sectors / units[u].sectors);
		if (strcmp(low, high) != 0)
			break;
	}
	snprintf(to, MSG_TEXT_BYTES, "%s–%s %s", low, high, units[u].name);
	return to;
}

char *msg_text(const struct msg *m, char to[MSG_TEXT_BYTES])
{
	char part[MSG_TEXT_BYTES / 2], window[MSG_TEXT_BYTES];

	switch (m->type) {
	case MSG_METADATA_UPDATED:
		snprintf(to, MSG_TEXT_BYTES, "metadata updated, on disk %" PRIu32 "%s", m->disk,
			 m->generation ? ", said again after a node's death" : "");
		break;
	case MSG_RESYNCING:
		if (m->high == 0)
			snprintf(to, MSG_TEXT_BYTES, "resync is over");
		else
			snprintf(to, MSG_TEXT_BYTES, "resync %.100s",
				 msg_window_text(m->low, m->high, window));
		break;
	case MSG_NEWDISK:
		snprintf(to, MSG_TEXT_BYTES, "new disk %" PRIu32 ", %s", m->disk,
			 text_uuid(m->uuid, part));
		break;
	case MSG_REMOVE:
		snprintf(to, MSG_TEXT_BYTES, "disk %" PRIu32 " removed", m->disk);
		break;
	case MSG_RE_ADD:
		snprintf(to, MSG_TEXT_BYTES, "disk %" PRIu32 " is back", m->disk);
		break;
	case MSG_BITMAP_NEEDS_SYNC:
		snprintf(to, MSG_TEXT_BYTES, "bitmap of slot %u needs a resync", m->slot);
		break;
	case MSG_CHANGE_CAPACITY:
		snprintf(to, MSG_TEXT_BYTES, "capacity is %" PRIu64 " sectors", m->high);
		break;
	case MSG_BITMAP_RESIZE:
		snprintf(to, MSG_TEXT_BYTES, "bitmap for %" PRIu64 " sectors", m->high);
		break;
	case MSG_RESYNCING_START:
		snprintf(to, MSG_TEXT_BYTES, "resync begins");
		break;
	case MSG_DISKS_GONE:
		snprintf(to, MSG_TEXT_BYTES, "all do without the disks of roles %#" PRIx32,
			 m->disk);
		break;
	case MSG_EVENTS:
		snprintf(to, MSG_TEXT_BYTES, "goes by superblocks of events %" PRIu64, m->low);
		break;
	case MSG_FREEZE:
		snprintf(to, MSG_TEXT_BYTES, "all stop writing: the array is changed");
		break;
	case MSG_TYPES:
		to[0] = '\0';
		break;
	}
	return to;
}
