/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster nodes: who is in the cluster, since when, and whom it waits for. */
#include <locale.h>

#include "base/err.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/show_status.h"

static const struct cli_option options[] = {
	{ "no-color", 0, NULL, "no colours on a terminal (NO_COLOR does the same)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static int print_json(const struct status *s, struct err *err)
{
	json_t *json = status_to_json(s);

	if (!json)
		return err_nomem(err, "JSON");
	json_dumpf(json_object_get(json, "nodes"), stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return 0;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct terminal t = terminal_of(stdout, cli_has(args, "no-color"));
	struct err err = ERR_INIT;
	struct status s;
	size_t count;
	int r;

	setlocale(LC_CTYPE, "");
	cli_operands(args, &count);
	if (count > 0)
		return cli_usage("nodes: takes no operand");
	if (daemon_status(args, &s, &err) < 0)
		return cli_fail(&err);
	r = cli_has(args, "json") ? print_json(&s, &err) : show_nodes(&s, &t, &err);
	status_fini(&s);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cmd_nodes = {
	.name = "nodes",
	.operands = "",
	.summary = "Show the nodes of the cluster.",
	.options = options,
	.run = run,
};
