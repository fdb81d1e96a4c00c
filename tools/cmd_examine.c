/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster examine: the superblock of each disk. */
#include <errno.h>

#include "base/err.h"
#include "tools/commands.h"
#include "tools/disks.h"
#include "tools/export.h"
#include "tools/show.h"

static const struct cli_option options[] = {
	CLI_JSON_OPTION,
	{ "export", 0, NULL, "KEY=VALUE lines for udev and shells, as mdadm's" },
	{ "scan", 's', NULL, "what 'mdcluster scan' does" },
	CLI_COMMON_OPTIONS
};

/*
 * A damaged superblock is shown as far as its own bounds can be believed, with
 * the fault; one that is not there gives only the error.
 */
static int examine_disk(struct disk *disk, json_t *list, bool is_export, struct err *err)
{
	struct md_member member;
	struct err bitmap_err = ERR_INIT;
	int r = md_member_load(&member, disk, err);
	bool is_shown = r == 0 || (r != -ENOENT && member.sb.max_dev != 0 &&
				   member.sb.max_dev <= MD_SB_MAX_DEV);

	if (r == 0) {
		r = md_member_load_bitmap(&member, &bitmap_err);
		if (r == -ENOENT)
			r = 0; /* no bitmap: not clustered, but no fault */
		else if (r < 0)
			*err = bitmap_err;
	}
	if (is_export) {
		if (r == 0) /* of a damaged one nothing is passed on to programs */
			export_member(stdout, &member);
	} else if (is_shown && list) {
		json_array_append_new(list, show_member_json(&member,
							     r < 0 ? err->text :
								     NULL));
	} else if (is_shown) {
		show_member(stdout, &member, r < 0 ? err->text : NULL);
	}
	md_member_fini(&member);
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	bool is_json = cli_has(args, "json"), is_export = cli_has(args, "export");
	enum cli_exit code = CLI_OK;
	json_t *list;
	char *const *paths;
	size_t count, i;

	if (is_json && is_export)
		return cli_usage("examine: --json or --export: one of both");
	if (cli_has(args, "scan"))
		return cmd_scan.run(args);
	paths = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("examine: name at least one disk");
	list = is_json ? json_array() : NULL;
	for (i = 0; i < count; i++) {
		struct err err = ERR_INIT;
		struct disk *disk = disk_aio_open(paths[i], DISK_RDONLY, &err);

		if (!disk || examine_disk(disk, list, is_export, &err) < 0)
			code = cli_fail(&err);
		disk_close(disk);
	}
	if (is_json)
		show_json_list(list, count);
	return code;
}

const struct cli_command cmd_examine = {
	.name = "examine",
	.mdadm_long = "examine",
	.mdadm_letter = 'E',
	.operands = "DISK...",
	.summary = "Show the md superblock of each disk.",
	.options = options,
	.run = run,
};
