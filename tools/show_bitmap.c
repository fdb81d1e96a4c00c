/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "base/printable.h"
#include "base/text.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"
#include "tools/show.h"

static void show_chunk_size(FILE *to, uint32_t bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB" };
	int u = 0;

	while (bytes >> 10) {
		bytes >>= 10;
		u++;
	}
	fprintf(to, "       Chunksize : %u %s\n", bytes, units[u]);
}

static const char *state_text(uint32_t state)
{
	switch (state) {
	case 0:
		return "OK";
	case BITMAP_STATE_STALE:
		return "Out of date";
	default:
		return "Unknown";
	}
}

static uint64_t count_runs(const struct bitmap_slot *slot)
{
	struct bits_run run = BITS_RUN_START;
	uint64_t runs = 0;

	while (bits_next_run(slot->bits, slot->geo.chunks, &run))
		runs++;
	return runs;
}

static void show_events(FILE *to, const struct bitmap_sb *sb)
{
	fprintf(to, "          Events : %" PRIu64 "\n", sb->events);
	fprintf(to, "  Events Cleared : %" PRIu64 "\n", sb->events_cleared);
	fprintf(to, "           State : %s\n", state_text(sb->state));
}

void show_bitmap(FILE *to, const struct md_member *member)
{
	const struct bitmap_sb *sb = &member->bitmap;
	char text[BITMAP_CLUSTER_NAME_BYTES];

	fprintf(to, "        Filename : %s\n", member->disk->name);
	fprintf(to, "           Magic : %08x\n", BITMAP_SB_MAGIC);
	fprintf(to, "         Version : %u\n", sb->version);
	fprintf(to, "            UUID : %s\n", text_uuid(sb->uuid, text));
	if (sb->nodes == 0)
		show_events(to, sb);
	show_chunk_size(to, sb->chunksize);
	fprintf(to, "          Daemon : %us flush period\n", sb->daemon_sleep);
	if (sb->write_behind)
		fprintf(to, "      Write Mode : Allow write behind, max %u\n",
			sb->write_behind);
	else
		fprintf(to, "      Write Mode : Normal\n");
	fprintf(to, "       Sync Size : %" PRIu64 "%s\n", sb->sync_size / 2,
		show_size(sb->sync_size * SECTOR_BYTES, text));
	if (sb->nodes) {
		fprintf(to, "   Cluster nodes : %u\n", sb->nodes);
		fprintf(to, "    Cluster name : %-64s\n",
			text_printable(sb->cluster_name,
				       BITMAP_CLUSTER_NAME_BYTES, text,
				       sizeof(text)));
	}
}

void show_slot(FILE *to, const struct md_member *member,
	       const struct bitmap_slot *slot)
{
	uint64_t dirty = bitmap_slot_dirty_chunks(slot);
	uint64_t runs = count_runs(slot);
	char text[TEXT_SIZE_BYTES];

	if (slot->geo.nodes) {
		fprintf(to, "       Node Slot : %u\n", slot->number);
		show_events(to, &slot->sb);
	}
	fprintf(to,
		"          Bitmap : %" PRIu64 " bits (chunks), %" PRIu64
		" dirty (%2.1f%%)\n",
		slot->geo.chunks, dirty,
		100.0 * (double)dirty / (double)slot->geo.chunks);
	fprintf(to, "     Dirty Bytes : %s in %" PRIu64 " range%s%s\n",
		text_size(bitmap_slot_dirty_bytes(slot), text), runs,
		runs == 1 ? "" : "s",
		dirty && member->sb.resync_offset == MD_MAX_SECTOR ?
			" (do not count: the array is marked in sync)" :
			"");
}
