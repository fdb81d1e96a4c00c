/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster wait: until nothing is resynced, recovered or checked any more, as mdadm --wait. */
#include "base/err.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/wait_array.h"

static const struct cli_option options[] = {
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit run(const struct cli_args *args)
{
	enum cli_exit code = CLI_FAILED;
	struct err err = ERR_INIT;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("wait: name at least one array");
	for (size_t i = 0; i < count; i++) {
		bool was_busy;

		if (wait_array(args, operands[i], &was_busy, &err) < 0)
			return cli_fail(&err);
		if (was_busy)
			code = CLI_OK;
	}
	return code;
}

const struct cli_command cmd_wait = {
	.name = "wait",
	.mdadm_long = "wait",
	.mdadm_letter = 'W',
	.operands = "ARRAY...",
	.summary = "Wait until nothing of an array is resynced, recovered or checked.",
	.options = options,
	.exit_codes = "0 there was something to wait for, 1 there was nothing, or it failed, 2 usage",
	.run = run,
};
