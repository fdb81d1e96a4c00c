/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster scan: the arrays that block devices, and given paths, belong to. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "bitmap/discover.h"
#include "bitmap/disk.h"
#include "tools/commands.h"
#include "tools/disks.h"
#include "tools/show.h"

LOG_SUBSYSTEM(scan);

static const struct cli_option options[] = {
	CLI_JSON_OPTION,
	{ "brief", 'b', NULL, "one ARRAY line an array, as for mdadm.conf" },
	{ "uuid", 'u', "UUID", "only the array with this uuid" },
	{ "name", 'N', "NAME", "only arrays of this name, with or without host" },
	CLI_COMMON_OPTIONS
};

struct scan {
	bool has_uuid;
	uint8_t uuid[16];
	const char *name;
	struct md_member *members;
	size_t count;
	struct disk **disks; /* owned; the members' */
};

/* The name without its host: what stands behind "/dev/md/". */
static const char *short_name(const struct md_sb *sb, char to[MD_NAME_BYTES + 1])
{
	const char *colon = strchr(md_sb_name(sb, to), ':');

	return colon ? colon + 1 : to;
}

static bool is_name(const struct md_sb *sb, const char *wanted)
{
	char name[MD_NAME_BYTES + 1];

	return strcmp(short_name(sb, name), wanted) == 0 ||
	       strcmp(name, wanted) == 0;
}

static bool is_wanted(const struct scan *scan, const struct md_sb *sb)
{
	if (scan->has_uuid && memcmp(scan->uuid, sb->set_uuid, 16) != 0)
		return false;
	return !scan->name || is_name(sb, scan->name);
}

static bool is_known(const struct scan *scan, const char *path)
{
	size_t i;

	for (i = 0; i < scan->count; i++)
		if (disk_is_same(scan->disks[i]->name, path))
			return true;
	return false;
}

/* Takes the disk if it is a member that is asked for. */
static int look_at(struct scan *scan, const char *path, struct err *err)
{
	struct md_member *m = &scan->members[scan->count];
	struct err ignored = ERR_INIT;
	struct disk *disk;
	int r;

	if (is_known(scan, path))
		return 0;
	disk = disk_aio_open(path, DISK_RDONLY, err);
	if (!disk)
		return err->code;
	r = md_member_load(m, disk, err);
	if (r < 0 || !is_wanted(scan, &m->sb)) {
		md_member_fini(m);
		disk_close(disk);
		return r;
	}
	md_member_load_bitmap(m, &ignored);
	scan->disks[scan->count++] = disk;
	return 0;
}

/* Members of one array stand together, in order of their numbers. */
static int by_array(const void *a, const void *b)
{
	const struct md_member *x = a, *y = b;
	int order = memcmp(x->sb.set_uuid, y->sb.set_uuid, 16);

	if (order)
		return order;
	return (x->sb.dev_number > y->sb.dev_number) -
	       (x->sb.dev_number < y->sb.dev_number);
}

/* The disks are only kept to be closed: their order does not matter. */
static void sort(struct scan *scan)
{
	qsort(scan->members, scan->count, sizeof(*scan->members), by_array);
}

static void print_brief(const struct scan *scan)
{
	char name[MD_NAME_BYTES + 1], full[MD_NAME_BYTES + 1];
	char uuid[TEXT_UUID_BYTES];
	size_t i;

	for (i = 0; i < scan->count; i++) {
		const struct md_member *m = &scan->members[i];

		if (i > 0 && memcmp(m->sb.set_uuid, m[-1].sb.set_uuid, 16) == 0)
			continue;
		/* only words that mdadm.conf knows */
		printf("ARRAY /dev/md/%s metadata=1.%d UUID=%s name=%s\n",
		       short_name(&m->sb, name), (int)m->minor,
		       text_uuid(m->sb.set_uuid, uuid),
		       md_sb_name(&m->sb, full));
	}
}

static void print_json(const struct scan *scan)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < scan->count; i++)
		json_array_append_new(list, show_member_json(&scan->members[i],
							     NULL));
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
}

enum column { COL_DISK, COL_NAME, COL_CLUSTER, COL_LEVEL, COL_ROLE, COL_EVENTS, COL_UUID };

static int add_row(struct libscols_table *table, const struct md_member *m)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[64], role[16];

	if (!line)
		return -ENOMEM;
	scols_line_set_data(line, COL_DISK, m->disk->name);
	scols_line_set_data(line, COL_NAME, md_sb_name(&m->sb, text));
	scols_line_set_data(line, COL_CLUSTER,
			    m->has_bitmap && m->bitmap.nodes ?
				    bitmap_sb_cluster_name(&m->bitmap) :
				    "-");
	scols_line_set_data(line, COL_LEVEL, show_level(m->sb.level));
	scols_line_set_data(line, COL_ROLE, show_role(md_sb_role(&m->sb), role));
	snprintf(text, sizeof(text), "%" PRIu64, m->sb.events);
	scols_line_set_data(line, COL_EVENTS, text);
	return scols_line_set_data(line, COL_UUID,
				   text_uuid(m->sb.set_uuid, text));
}

static int print_table(const struct scan *scan, struct err *err)
{
	struct libscols_table *table = scols_new_table();
	size_t i;
	int r = table ? 0 : -ENOMEM;

	if (table) {
		scols_table_new_column(table, "DISK", 0, 0);
		scols_table_new_column(table, "NAME", 0, 0);
		scols_table_new_column(table, "CLUSTER", 0, 0);
		scols_table_new_column(table, "LEVEL", 0, 0);
		scols_table_new_column(table, "ROLE", 0, SCOLS_FL_RIGHT);
		scols_table_new_column(table, "EVENTS", 0, SCOLS_FL_RIGHT);
		scols_table_new_column(table, "UUID", 0, 0);
	}
	for (i = 0; r == 0 && i < scan->count; i++)
		r = add_row(table, &scan->members[i]);
	if (r == 0)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r < 0 ? err_set(err, r, "cannot print the table: %s",
			       strerror(-r)) :
		       0;
}

static int print(const struct scan *scan, const struct cli_args *args,
		 struct err *err)
{
	if (cli_has(args, "json"))
		print_json(scan);
	else if (cli_has(args, "brief") || cli_has(args, "scan"))
		print_brief(scan);
	else if (scan->count > 0)
		return print_table(scan, err);
	return 0;
}

/*
 * What the host has is looked at as it comes; a path that was given and is no
 * member is an error, and the others are still shown. Returns how many such.
 */
static int collect(struct scan *scan, char *const *paths, size_t count,
		   struct err *err)
{
	char **found = NULL;
	int members = md_discover_members(&found, err), i, failed = 0;
	size_t all, p;

	if (members < 0)
		return members;
	all = (size_t)members + count;
	scan->members = calloc(all + 1, sizeof(*scan->members));
	scan->disks = calloc(all + 1, sizeof(struct disk *));
	if (!scan->members || !scan->disks) {
		md_discover_free(found, members);
		return err_nomem(err, "the list of members");
	}
	for (i = 0; i < members; i++) {
		struct err one = ERR_INIT;

		if (look_at(scan, found[i], &one) < 0 && one.code != -ENOENT)
			log_warning("MDC3001", "%s", one.text);
	}
	for (p = 0; p < count; p++)
		if (look_at(scan, paths[p], err) < 0) {
			cli_fail(err);
			failed++;
		}
	md_discover_free(found, members);
	return failed;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct scan scan = { .name = cli_value(args, "name") };
	const char *uuid = cli_value(args, "uuid");
	struct err err = ERR_INIT;
	char *const *paths;
	size_t count, i;
	int failed, r;

	if (uuid && text_parse_uuid(uuid, "uuid", scan.uuid, &err) < 0)
		return cli_usage("%s", err.text);
	scan.has_uuid = uuid != NULL;
	paths = cli_operands(args, &count);
	failed = collect(&scan, paths, count, &err);
	r = failed < 0 ? failed : 0;
	if (r == 0)
		sort(&scan);
	if (r == 0)
		r = print(&scan, args, &err);
	if (r == 0 && failed == 0 && scan.count == 0 && (scan.has_uuid || scan.name))
		r = err_set(&err, -ENOENT, "scan: no member of such an array found");
	for (i = 0; i < scan.count; i++) {
		md_member_fini(&scan.members[i]);
		disk_close(scan.disks[i]);
	}
	free(scan.members);
	free(scan.disks);
	if (r < 0)
		return cli_fail(&err);
	return failed ? CLI_FAILED : CLI_OK;
}

const struct cli_command cmd_scan = {
	.name = "scan",
	.operands = "[DISK...]",
	.summary = "List the members of md arrays among all block devices and the given disks.",
	.options = options,
	.run = run,
};
