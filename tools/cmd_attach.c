/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster attach, detach: an array as a block device, and no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "tools/attach.h"
#include "tools/commands.h"
#include "tools/daemon.h"

#define DEFAULT_RUN_DIR "/run/mdcluster"

static const char *run_dir(const struct cli_args *args)
{
	const char *named = cli_value(args, "run-dir");

	if (!named)
		named = secure_getenv("MDCLUSTER_RUN_DIR");
	return named ? named : DEFAULT_RUN_DIR;
}

static void print(const struct attach *a, bool is_json)
{
	json_t *json;

	if (!is_json) {
		printf("%s\n", a->device);
		return;
	}
	json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "array", a->name, "device",
			 a->device, "way", attach_way_name(a->way), "socket", a->socket,
			 "read_only", a->is_read_only, "block_bytes", (int)a->block_bytes);
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

/* --- attach ----------------------------------------------------------------------------- */

static const struct cli_option attach_options[] = {
	{ "via", 0, "WAY", "nbd: the kernel's; fuse: nbdfuse and a loop device (default: nbd where there is one)" },
	{ "read-only", 'r', NULL, "a device that cannot be written" },
	{ "connections", 0, "N", "of the kernel's nbd to the daemon (default 1)" },
	{ "socket", 0, "PATH", "the array's NBD socket (default: ARRAY.nbd in the run directory)" },
	DAEMON_OPTIONS,
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

static bool set_way(struct attach *a, const char *way)
{
	if (!way)
		a->way = ATTACH_ANY;
	else if (strcmp(way, "nbd") == 0)
		a->way = ATTACH_NBD;
	else if (strcmp(way, "fuse") == 0)
		a->way = ATTACH_FUSE;
	else
		return false;
	return true;
}

static int set_options(struct attach *a, const struct cli_args *args, struct err *err)
{
	const char *connections = cli_value(args, "connections");
	uint64_t n = 1;
	int r = 0;

	if (connections)
		r = text_parse_u64(connections, "--connections", 1, 16, &n, err);
	a->connections = (uint32_t)n;
	a->is_read_only = cli_has(args, "read-only");
	return r;
}

static enum cli_exit run_attach(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	char *const *operands;
	struct attach a;
	const char *name;
	size_t count;
	int r;

	operands = cli_operands(args, &count);
	if (count != 1)
		return cli_usage("attach: name one array");
	name = daemon_array_name(operands[0]);
	r = attach_init(&a, run_dir(args), name, cli_value(args, "socket"), &err);
	if (r == 0)
		r = set_options(&a, args, &err);
	if (r == 0 && !set_way(&a, cli_value(args, "via")))
		return cli_usage("attach: --via=%s: nbd or fuse", cli_value(args, "via"));
	if (r == 0)
		r = attach_device(&a, &err);
	if (r < 0) {
		err_prefix(&err, "attach: %s", name);
		return cli_fail(&err);
	}
	print(&a, cli_has(args, "json"));
	return CLI_OK;
}

const struct cli_command cmd_attach = {
	.name = "attach",
	.operands = "ARRAY",
	.summary = "Make a block device of an array that runs on this node.",
	.options = attach_options,
	.run = run_attach,
};

/* --- detach ----------------------------------------------------------------------------- */

static const struct cli_option detach_options[] = {
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit run_detach(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	char *const *operands;
	struct attach a;
	const char *name;
	size_t count;
	int r;

	operands = cli_operands(args, &count);
	if (count != 1)
		return cli_usage("detach: name one array");
	name = daemon_array_name(operands[0]);
	r = attach_init(&a, run_dir(args), name, NULL, &err);
	if (r == 0)
		r = detach_device(&a, &err);
	if (r < 0) {
		err_prefix(&err, "detach: %s", name);
		return cli_fail(&err);
	}
	return CLI_OK;
}

const struct cli_command cmd_detach = {
	.name = "detach",
	.operands = "ARRAY",
	.summary = "Take away the block device that attach made.",
	.options = detach_options,
	.run = run_detach,
};
