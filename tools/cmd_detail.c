/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster detail: an array that runs here, as mdadm --detail shows one. */
#include <errno.h>

#include "base/err.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/export.h"
#include "tools/show_detail.h"

static const struct cli_option options[] = {
	{ "test", 't', NULL, "the exit status tells the state: 0, 1, 2, 4 as mdadm's" },
	{ "export", 0, NULL, "KEY=VALUE lines for udev and shells, as mdadm's" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* A status with this array alone: its reader is the one that there is. */
static int read_array(const json_t *answer, struct status *s, struct err *err)
{
	json_t *status = json_pack("{s:b, s:[O]}", "is_quorate", 1, "arrays",
				   json_object_get(answer, "array"));
	int r = status ? status_from_json(status, s, err) :
			 err_set(err, -EBADMSG, "the daemon tells of no array");

	json_decref(status);
	return r;
}

static int show(const struct cli_args *args, const char *array, enum status_health *health,
		struct err *err)
{
	json_t *answer = daemon_ask(args, "org.mdcluster.Detail",
				    json_pack("{s:s}", "array", array), err);
	struct status s;
	int r;

	if (!answer)
		return err->code;
	r = read_array(answer, &s, err);
	if (r == 0 && cli_has(args, "json")) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (r == 0 && cli_has(args, "export")) {
		export_detail(stdout, answer);
	} else if (r == 0) {
		show_detail(stdout, &s.arrays[0], json_object_get(answer, "metadata"));
	}
	if (r == 0) {
		const struct status_array *a = &s.arrays[0];

		*health = a->disks_in_sync == 0 ? STATUS_DOWN :
			  a->disks_in_sync < a->raid_disks ? STATUS_DEGRADED : STATUS_FINE;
		status_fini(&s);
	}
	json_decref(answer);
	return r;
}

/* With --test the worst of them, as mdadm: 4 where something cannot be told. */
static enum cli_exit run(const struct cli_args *args)
{
	enum status_health worst = STATUS_FINE;
	bool is_test = cli_has(args, "test");
	enum cli_exit code = CLI_OK;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("detail: name arrays");
	if (cli_has(args, "json") && cli_has(args, "export"))
		return cli_usage("detail: --json or --export: one of both");
	for (size_t i = 0; i < count; i++) {
		enum status_health health = STATUS_UNKNOWN;
		struct err err = ERR_INIT;

		if (show(args, daemon_array_name(operands[i]), &health, &err) < 0)
			code = cli_fail(&err);
		if (health > worst)
			worst = health;
	}
	return is_test ? (enum cli_exit)worst : code;
}

const struct cli_command cmd_detail = {
	.name = "detail",
	.mdadm_long = "detail",
	.mdadm_letter = 'D',
	.operands = "ARRAY...",
	.summary = "Show an array that runs on this node, in mdadm's words.",
	.options = options,
	.exit_codes = "0 done, 1 it failed, 2 usage; with --test 0 sound, 1 degraded, 2 useless, 4 error",
	.run = run,
};
