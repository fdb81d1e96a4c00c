/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/show_detail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/printable.h"
#include "tools/show.h"
#include "tools/terminal.h"

enum { SECTOR = 512 };

static void line(FILE *to, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *to, const char *label, const char *fmt, ...)
{
	va_list ap;

	fprintf(to, "%18s : ", label);
	va_start(ap, fmt);
	(void)vfprintf(to, fmt, ap);
	va_end(ap);
	fputc('\n', to);
}

static void text_line(FILE *to, const char *label, const json_t *metadata, const char *name)
{
	const char *text = json_string_value(json_object_get(metadata, name));
	char clean[STATUS_TEXT];

	if (text)
		line(to, label, "%s", text_printable(text, strlen(text), clean, sizeof(clean)));
}

static void name_line(FILE *to, const json_t *metadata)
{
	const char *name = json_string_value(json_object_get(metadata, "name"));
	char clean[STATUS_TEXT], host[SHOW_HOST_BYTES];

	if (!name)
		return;
	text_printable(name, strlen(name), clean, sizeof(clean));
	line(to, "Name", "%s%s", clean, show_local_host(clean, host));
}

static bool has_number(const json_t *metadata, const char *name, uint64_t *number)
{
	const json_t *value = json_object_get(metadata, name);

	*number = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
	return json_is_integer(value);
}

static void time_line(FILE *to, const char *label, const json_t *metadata, const char *name)
{
	uint64_t seconds;
	char when[64];
	time_t t;
	struct tm tm;

	if (!has_number(metadata, name, &seconds))
		return;
	t = (time_t)seconds;
	if (localtime_r(&t, &tm) && strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm))
		line(to, label, "%s", when);
}

static void size_line(FILE *to, const char *label, uint64_t sectors)
{
	char text[64];

	line(to, label, "%" PRIu64 "%s", sectors / 2, show_size(sectors * SECTOR, text));
}

/* --- counts and states ------------------------------------------------------------------ */

struct counts {
	uint32_t in_sync, failed, spare, total;
};

static struct counts count_disks(const struct status_array *a)
{
	struct counts n = { 0 };

	for (uint32_t i = 0; i < a->disk_count; i++) {
		const char *state = a->disks[i].state;

		n.in_sync += strcmp(state, "in_sync") == 0;
		n.failed += strcmp(state, "faulty") == 0;
		n.spare += strcmp(state, "spare") == 0 || strcmp(state, "rebuild") == 0;
		n.total += strcmp(state, "missing") != 0;
	}
	return n;
}

static const struct status_disk *rebuilt_disk(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (strcmp(a->disks[i].state, "rebuild") == 0)
			return &a->disks[i];
	return NULL;
}

static bool is_rebuilt(const struct status_array *a)
{
	return rebuilt_disk(a) != NULL;
}

static void state_line(FILE *to, const struct status_array *a)
{
	bool is_active = strcmp(a->state, "active") == 0;
	const char *what = is_active ? (a->dirty_bytes ? "active" : "clean") : a->state;

	line(to, "State", "%s%s%s%s%s%s ", what,
	     a->disks_in_sync < a->raid_disks ? ", degraded" : "",
	     is_rebuilt(a) ? ", recovering" : "",
	     strcmp(a->activity, "resync") == 0 && !is_rebuilt(a) ? ", resyncing" : "",
	     strcmp(a->activity, "check") == 0 ? ", checking" : "",
	     is_active && !a->is_gate_open ? ", suspended" : "");
}

static void progress_line(FILE *to, const struct status_array *a)
{
	const struct status_disk *d = rebuilt_disk(a);

	if (d && !d->is_by_bitmap && strcmp(a->activity, "recovery") != 0)
		line(to, "Rebuild Status", "%u%% complete", /* by another node */
		     terminal_per_mille(d->recovered_sectors, a->member_sectors) / 10);
	else if (d && a->activity[0])
		line(to, "Rebuild Status", "%u%% complete",
		     terminal_per_mille(a->done_sectors, a->total_sectors) / 10);
	else if (a->activity[0])
		line(to, strcmp(a->activity, "resync") == 0 ? "Resync Status" : "Check Status",
		     "%u%% complete",
		     terminal_per_mille(a->done_sectors, a->total_sectors) / 10);
}

/* --- the table -------------------------------------------------------------------------- */

static const char *state_words(const char *state)
{
	if (strcmp(state, "in_sync") == 0)
		return "active sync";
	if (strcmp(state, "rebuild") == 0)
		return "spare rebuilding";
	if (strcmp(state, "missing") == 0)
		return "removed";
	return state;
}

/* The number that a disk keeps as long as it is a member. */
static int64_t number_of(const struct status_disk *disk, const json_t *metadata)
{
	const json_t *list = json_object_get(metadata, "disks"), *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one) { /* not written */
		const char *path = json_string_value(json_object_get(one, "path"));

		if (path && strcmp(path, disk->path) == 0)
			return json_integer_value(json_object_get(one, "number"));
	}
	return disk->role;
}

static void disk_line(FILE *to, const struct status_array *a, const struct status_disk *disk,
		      const json_t *metadata)
{
	unsigned int major_number = 0, minor_number = 0;
	char number[24] = "-", role[24] = "-";
	struct stat st;

	if (disk->path[0] && stat(disk->path, &st) == 0 && S_ISBLK(st.st_mode)) {
		major_number = major(st.st_rdev);
		minor_number = minor(st.st_rdev);
	}
	if (strcmp(disk->state, "missing") != 0)
		snprintf(number, sizeof(number), "%" PRId64, number_of(disk, metadata));
	if (disk->role < a->raid_disks && strcmp(disk->state, "faulty") != 0)
		snprintf(role, sizeof(role), "%u", disk->role);
	fprintf(to, "   %5s   %5u    %5u    %5s      %s%s%s\n", number, major_number,
		minor_number, role, state_words(disk->state), disk->path[0] ? "   " : "",
		disk->path);
}

void show_detail(FILE *to, const struct status_array *a, const json_t *metadata)
{
	struct counts n = count_disks(a);
	uint64_t v;

	fprintf(to, "%s:\n", a->name);
	text_line(to, "Version", metadata, "version");
	time_line(to, "Creation Time", metadata, "created_s");
	line(to, "Raid Level", "%s", a->level);
	size_line(to, "Array Size", a->size_bytes / SECTOR);
	if (has_number(metadata, "size_sectors", &v))
		size_line(to, "Used Dev Size", v);
	line(to, "Raid Devices", "%u", a->raid_disks);
	line(to, "Total Devices", "%u", n.total);
	line(to, "Persistence", "Superblock is persistent");
	fputc('\n', to);
	line(to, "Intent Bitmap", "Internal(Clustered)");
	fputc('\n', to);
	time_line(to, "Update Time", metadata, "updated_s");
	state_line(to, a);
	line(to, "Active Devices", "%u", n.in_sync);
	line(to, "Working Devices", "%u", n.total - n.failed);
	line(to, "Failed Devices", "%u", n.failed);
	line(to, "Spare Devices", "%u", n.spare);
	fputc('\n', to);
	if (strcmp(a->level, "raid10") == 0 && has_number(metadata, "layout", &v))
		line(to, "Layout", "near=%" PRIu64, v & 0xff); /* no other is served */
	if (has_number(metadata, "chunk_sectors", &v) && v)
		line(to, "Chunk Size", "%" PRIu64 "K", v / 2);
	line(to, "Consistency Policy", "bitmap");
	fputc('\n', to);
	progress_line(to, a);
	name_line(to, metadata);
	text_line(to, "Cluster Name", metadata, "cluster");
	line(to, "UUID", "%s", a->uuid);
	if (has_number(metadata, "events", &v))
		line(to, "Events", "%" PRIu64, v);
	if (a->slot >= 0)
		line(to, "Cluster Slot", "%d", a->slot);
	if (a->export_path[0])
		line(to, "Served At", "%s", a->export_path);
	fprintf(to, "\n    Number   Major   Minor   RaidDevice State\n");
	for (uint32_t i = 0; i < a->disk_count; i++)
		disk_line(to, a, &a->disks[i], metadata);
}
