/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/printable.h"
#include "base/text.h"
#include "bitmap/disk.h"
#include "tools/guard.h"
#include "tools/show.h"

const char *show_level(int32_t level)
{
	static const struct {
		int32_t level;
		const char *name;
	} names[] = {
		{ -4, "multipath" }, { -1, "linear" }, { 0, "raid0" },
		{ 1, "raid1" },      { 4, "raid4" },   { 5, "raid5" },
		{ 6, "raid6" },      { 10, "raid10" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].level == level)
			return names[i].name;
	return "-unknown-";
}

const char *show_role(uint16_t role, char to[16])
{
	switch (role) {
	case MD_ROLE_SPARE:
		return "spare";
	case MD_ROLE_FAULTY:
		return "faulty";
	case MD_ROLE_JOURNAL:
		return "journal";
	default:
		snprintf(to, 16, "%u", role);
		return to;
	}
}

/* Half a hundredth is rounded up, as mdadm does. */
static void hundredths(uint64_t bytes, double unit, char to[24])
{
	snprintf(to, 24, "%.2f", (double)(uint64_t)((double)bytes / unit * 100 + 0.5) / 100);
}

static const struct scale {
	uint64_t below;
	double binary, decimal;
	char letter;
} scales[] = {
	{ 2ull << 30, 1 << 20, 1e6, 'M' },
	{ 2ull << 40, 1 << 30, 1e9, 'G' },
	{ UINT64_MAX, (double)(1ull << 40), 1e12, 'T' },
};

/* NULL: too small for mdadm to say it in words. */
static const struct scale *scale_of(uint64_t bytes)
{
	const struct scale *s = scales;

	while (bytes >= s->below)
		s++;
	return bytes < 5000 * 1024 ? NULL : s;
}

const char *show_size(uint64_t bytes, char to[64])
{
	const struct scale *s = scale_of(bytes);
	char binary[24], decimal[24];

	to[0] = '\0';
	if (!s)
		return to;
	hundredths(bytes, s->binary, binary);
	hundredths(bytes, s->decimal, decimal);
	snprintf(to, 64, " (%s %ciB %s %cB)", binary, s->letter, decimal, s->letter);
	return to;
}

const char *show_size_brief(uint64_t bytes, char to[64])
{
	const struct scale *s = scale_of(bytes);
	char decimal[24];

	to[0] = '\0';
	if (!s)
		return to;
	hundredths(bytes, s->decimal, decimal);
	snprintf(to, 64, "%s%cB", decimal, s->letter);
	return to;
}

uint64_t show_array_bytes(const struct md_sb *sb)
{
	uint64_t bytes = sb->size * SECTOR_BYTES;

	if (sb->level == MD_LEVEL_RAID10 && md_sb_near_copies(sb))
		return bytes * sb->raid_disks / md_sb_near_copies(sb);
	return bytes;
}

static void show_time(FILE *to, const char *label, uint64_t stamp)
{
	time_t seconds = (time_t)(stamp & MD_SB_SECONDS);
	char text[32] = "-";

	if (ctime_r(&seconds, text))
		text[24] = '\0';
	fprintf(to, "%s : %s\n", label, text);
}

const char *show_local_host(const char *name, char to[SHOW_HOST_BYTES])
{
	char host[65] = "";
	size_t length;

	gethostname(host, sizeof(host) - 1);
	length = strlen(host);
	to[0] = '\0';
	if (length > 0 && length < MD_NAME_BYTES && strncmp(name, host, length) == 0 &&
	    name[length] == ':')
		snprintf(to, SHOW_HOST_BYTES, "  (local to host %s)", host);
	return to;
}

static void show_name(FILE *to, const struct md_sb *sb)
{
	char name[MD_NAME_BYTES + 1], host[SHOW_HOST_BYTES];

	md_sb_name(sb, name);
	fprintf(to, "           Name : %s%s\n", name, show_local_host(name, host));
}

static void show_sizes(FILE *to, const struct md_sb *sb)
{
	uint64_t array_bytes = show_array_bytes(sb);
	char text[64];

	fprintf(to, " Avail Dev Size : %" PRIu64 " sectors%s\n", sb->data_size,
		show_size(sb->data_size * SECTOR_BYTES, text));
	if (sb->level == MD_LEVEL_RAID10 || sb->level == MD_LEVEL_RAID1)
		fprintf(to, "     Array Size : %" PRIu64 " KiB%s\n",
			array_bytes >> 10, show_size(array_bytes, text));
	if (sb->size != sb->data_size)
		fprintf(to, "  Used Dev Size : %" PRIu64 " sectors%s\n", sb->size,
			show_size(sb->size * SECTOR_BYTES, text));
}

/*
 * Sectors before the data that mdadm calls unused, to the letter: it keeps
 * 32 KiB for the superblock, counts one slot of the bitmap whatever the number
 * of nodes, and takes the ends of bitmap and bad block log, which are relative
 * to the superblock, for sectors of the disk.
 */
static uint64_t unused_before(const struct md_member *m)
{
	uint64_t used = m->sb.super_offset + 72;

	if (m->has_bitmap && m->sb.bitmap_offset > 0)
		used = max_u64(used, (uint32_t)m->sb.bitmap_offset +
					     m->geo.slot_bytes / SECTOR_BYTES);
	if (m->sb.bblog_size && m->sb.bblog_offset > 0)
		used = max_u64(used, (uint32_t)m->sb.bblog_offset +
					     m->sb.bblog_size);
	return m->sb.data_offset > used ? m->sb.data_offset - used : 0;
}

static void show_places(FILE *to, const struct md_member *m)
{
	const struct md_sb *sb = &m->sb;

	if (sb->data_offset)
		fprintf(to, "    Data Offset : %" PRIu64 " sectors\n",
			sb->data_offset);
	fprintf(to, "   Super Offset : %" PRIu64 " sectors\n", sb->super_offset);
	if (sb->feature_map & MD_FEATURE_RECOVERY_OFFSET)
		fprintf(to, "Recovery Offset : %" PRIu64 " sectors\n",
			sb->recovery_offset);
	fprintf(to,
		"   Unused Space : before=%" PRIu64 " sectors, after=%" PRIu64
		" sectors\n",
		unused_before(m),
		sb->data_size > sb->size ? sb->data_size - sb->size : 0);
}

static void show_state(FILE *to, const struct md_sb *sb)
{
	bool is_clean = sb->resync_offset == MD_MAX_SECTOR;
	char uuid[TEXT_UUID_BYTES];

	fprintf(to, "          State : %s\n", is_clean ? "clean" : "active");
	if (is_clean)
		fprintf(to, "  Resync Offset : max (in sync; bits in the slots do not count)\n");
	else
		fprintf(to,
			"  Resync Offset : %" PRIu64
			" sectors (the slots say what is dirty)\n",
			sb->resync_offset);
	fprintf(to, "    Device UUID : %s\n\n", text_uuid(sb->device_uuid, uuid));
}

static void show_updates(FILE *to, const struct md_member *m)
{
	const struct md_sb *sb = &m->sb;
	uint32_t expected = md_sb_checksum(m->block, sb->max_dev);

	if (sb->feature_map & MD_FEATURE_BITMAP_OFFSET)
		fprintf(to, "Internal Bitmap : %d sectors from superblock\n",
			sb->bitmap_offset);
	if (sb->devflags)
		fprintf(to, "          Flags :%s%s\n",
			sb->devflags & 1 ? " write-mostly" : "",
			sb->devflags & 2 ? " failfast" : "");
	show_time(to, "    Update Time", sb->utime);
	if (sb->bblog_size && sb->bblog_offset)
		fprintf(to,
			"  Bad Block Log : %d entries available at offset %d sectors%s\n",
			sb->bblog_size * SECTOR_BYTES / 8, sb->bblog_offset,
			sb->feature_map & MD_FEATURE_BAD_BLOCKS ?
				" - bad blocks present." :
				"");
	if (expected == sb->checksum)
		fprintf(to, "       Checksum : %x - correct\n", sb->checksum);
	else
		fprintf(to, "       Checksum : %x - expected %x\n", sb->checksum,
			expected);
	fprintf(to, "         Events : %" PRIu64 "\n\n", sb->events);
}

static void show_geometry(FILE *to, const struct md_sb *sb)
{
	if (sb->level == MD_LEVEL_RAID10)
		fprintf(to, "         Layout : near=%u%s\n     Chunk Size : %uK\n",
			md_sb_near_copies(sb),
			md_sb_is_near_layout(sb) ? "" : " (and far or offset)",
			sb->chunksize / 2);
	fputc('\n', to);
}

static char array_letter(const struct md_sb *sb, uint32_t role)
{
	uint32_t dev, holders = 0;

	for (dev = 0; dev < sb->max_dev; dev++)
		holders += sb->roles[dev] == role;
	return holders == 0 ? '.' : holders == 1 ? 'A' : holders == 2 ? 'R' : '?';
}

static void show_roles(FILE *to, const struct md_sb *sb)
{
	uint32_t role = md_sb_role(sb), i;

	if (role == MD_ROLE_JOURNAL)
		fprintf(to, "   Device Role : Journal\n");
	else if (role >= MD_ROLE_MAX)
		fprintf(to, "   Device Role : spare\n");
	else if (sb->feature_map & MD_FEATURE_REPLACEMENT)
		fprintf(to, "   Device Role : Replacement device %u\n", role);
	else
		fprintf(to, "   Device Role : Active device %u\n", role);
	fprintf(to, "   Array State : ");
	for (i = 0; i < sb->raid_disks && i < MD_SB_MAX_DEV; i++)
		fputc(array_letter(sb, i), to);
	fprintf(to, " ('A' == active, '.' == missing, 'R' == replacing)\n");
}

static void show_kernel_verdict(FILE *to, const struct md_member *m,
				const char *fault)
{
	const char *refusal = fault ? fault : md_member_kernel_refusal(m);

	if (refusal)
		fprintf(to, " Kernel Cluster : would refuse: %s\n", refusal);
	else
		fprintf(to, " Kernel Cluster : md-cluster would accept it\n");
	/* what else mdclusterd needs */
	if (!refusal && md_member_our_refusal(m))
		fprintf(to, "     mdclusterd : would refuse: %s\n", md_member_our_refusal(m));
}

static void show_owner(FILE *to, const struct md_member *m)
{
	struct guard guard;
	bool is_hidden = guard_hides(m, &guard);

	if (guard.has_owner)
		fprintf(to, "          Owner : %s%s%s%s\n", guard.owner.host,
			guard.owner.cluster[0] ? " (left cluster " : "", guard.owner.cluster,
			guard.owner.cluster[0] ? ")" : "");
	if (is_hidden)
		fprintf(to, "      Not For : %s\n", guard.why);
}

void show_member(FILE *to, const struct md_member *m, const char *fault)
{
	const struct md_sb *sb = &m->sb;
	char uuid[TEXT_UUID_BYTES], cluster[BITMAP_CLUSTER_NAME_BYTES];

	fprintf(to, "%s:\n", m->disk->name);
	fprintf(to, "          Magic : %08x\n", MD_SB_MAGIC);
	fprintf(to, "        Version : 1.%d\n", (int)m->minor);
	fprintf(to, "    Feature Map : 0x%x\n", sb->feature_map);
	fprintf(to, "     Array UUID : %s\n", text_uuid(sb->set_uuid, uuid));
	show_name(to, sb);
	if (m->has_bitmap && m->bitmap.nodes > 0) {
		fprintf(to, "   Cluster Name : %-64s\n",
			text_printable(m->bitmap.cluster_name,
				       BITMAP_CLUSTER_NAME_BYTES, cluster,
				       sizeof(cluster)));
		fprintf(to, "  Cluster Nodes : %u (room for %" PRIu64 ")\n",
			m->bitmap.nodes,
			bitmap_max_nodes(&m->geo, md_member_room_end_bytes(m)));
	}
	show_time(to, "  Creation Time", sb->ctime);
	fprintf(to, "     Raid Level : %s\n", show_level(sb->level));
	fprintf(to, "   Raid Devices : %u\n\n", sb->raid_disks);
	show_sizes(to, sb);
	show_places(to, m);
	show_state(to, sb);
	show_updates(to, m);
	show_geometry(to, sb);
	show_roles(to, sb);
	show_kernel_verdict(to, m, fault);
	if (!fault)
		show_owner(to, m);
}
