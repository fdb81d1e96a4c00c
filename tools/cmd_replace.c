/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster replace: a disk that still works gives its place to another one. */
#include "base/err.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/replace_array.h"

static const struct cli_option options[] = {
	{ "with", 0, "DISK", "by this one (default: the one spare that it has)" },
	{ "force", 'f', NULL, "raid10: without redundancy meanwhile" },
	{ "yes", 'y', NULL, "do not ask: it may be without meanwhile" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit run(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	char *const *operands;
	json_t *change, *all;
	size_t count;

	operands = cli_operands(args, &count);
	if (count != 2)
		return cli_usage("replace: name the array, then the one disk that is to go");
	change = replace_array(args, daemon_array_name(operands[0]), operands[1],
			       cli_value(args, "with"), &err);
	if (!change)
		return cli_fail(&err);
	all = json_pack("[o]", change);
	if (cli_has(args, "json")) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(all);
	return CLI_OK;
}

const struct cli_command cmd_replace = {
	.name = "replace",
	.mdadm_long = "replace",
	.is_action = true,
	.operands = "ARRAY DISK",
	.summary = "Have another disk in place of one that works, with no copy less meanwhile.",
	.options = options,
	.run = run,
};
