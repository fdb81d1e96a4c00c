/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster zero: erases md superblocks, so that a disk is nobody's member. */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "bitmap/array.h"
#include "tools/commands.h"
#include "tools/disks.h"
#include "tools/host.h"
#include "tools/show.h"

LOG_SUBSYSTEM(zero);

static const struct cli_option options[] = {
	{ "force", 'f', NULL, "also one that is damaged or of an unknown kind" },
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

/*
 * One whose super_offset names another place belongs to another view of the
 * disk, the last partition say: not even force erases that from here.
 *
 * Erases the superblock's 4 KiB. A disk may carry several (mdadm looks for the
 * youngest); each run of the loop uncovers the next.
 */
static int zero_disk(struct disk *disk, bool is_forced, int *erased,
		     struct err *err)
{
	struct md_member member;
	bool is_unfit;
	int r;

	for (;;) {
		r = md_member_load(&member, disk, err);
		md_member_fini(&member);
		if (r == -ENOENT) {
			if (*erased == 0) /* mdadm too calls this no failure */
				log_notice("MDC3004", "%s", err->text);
			return 0;
		}
		is_unfit = (r == -EBADMSG || r == -EOPNOTSUPP) &&
			   member.sb.super_offset ==
				   md_sb_location(member.minor, disk_sectors(disk));
		if (r < 0 && !(is_unfit && is_forced))
			return r;
		r = host_refuse(member.sb.set_uuid, disk->name, err);
		if (r < 0)
			return r;
		r = disk_zero_wait(disk,
				   md_sb_location(member.minor,
						  disk_sectors(disk)) * SECTOR_BYTES,
				   MD_SB_BYTES, err);
		if (r == 0)
			r = disk_flush_wait(disk, err);
		if (r < 0)
			return r;
		(*erased)++;
		log_notice("MDC3002", "%s: erased the md superblock (metadata 1.%d)",
			   disk->name, (int)member.minor);
	}
}

static enum cli_exit run(const struct cli_args *args)
{
	enum cli_exit code = CLI_OK;
	char *const *paths;
	json_t *list;
	size_t count, i;

	paths = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("zero: name at least one disk");
	list = json_array();
	for (i = 0; i < count; i++) {
		struct err err = ERR_INIT;
		struct disk *disk = disk_aio_open(paths[i], DISK_RDWR, &err);
		int erased = 0;

		if (!disk || zero_disk(disk, cli_has(args, "force"), &erased,
				       &err) < 0)
			code = cli_fail(&err);
		json_array_append_new(list, json_pack("{s:s, s:o, s:i}", "schema",
						      SHOW_JSON_SCHEMA, "disk",
						      show_json_text(paths[i],
								     SIZE_MAX),
						      "erased", erased));
		disk_close(disk);
	}
	if (cli_has(args, "json"))
		show_json_list(list, count);
	else
		json_decref(list);
	return code;
}

const struct cli_command cmd_zero = {
	.name = "zero",
	.mdadm_long = "zero-superblock",
	.operands = "DISK...",
	.summary = "Erase the md superblocks of disks.",
	.options = options,
	.run = run,
};
