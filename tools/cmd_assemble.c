/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster assemble, stop: arrays go into use on this node, and out of it. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/show_status.h"

/* --- assemble --------------------------------------------------------------------------- */

enum { PAUSE_MS = 200 };

static const struct cli_option assemble_options[] = {
	{ "scan", 's', NULL, "all arrays of the daemon's configuration" },
	{ "wait", 0, NULL, "wait for the daemon, too, where none answers (yet)" },
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* States on the way, where somebody watches. */
static int tell_state(void *owner, const json_t *answer)
{
	const char *array = json_string_value(json_object_get(answer, "array"));
	const char *state = json_string_value(json_object_get(answer, "state"));
	const char *waits = json_string_value(json_object_get(answer, "waits"));
	char text[SHOW_WAITS_BYTES];

	if (*(const bool *)owner || !state)
		return 0;
	if (waits && strcmp(waits, state) == 0)
		waits = NULL; /* nothing but that */
	fprintf(stderr, "mdcluster: %s%s%s%s%s\n", array ? array : "", array ? ": " : "", state,
		waits && *waits ? ", " : "", waits ? show_waits(waits, 0, text) : "");
	return 0;
}

static json_t *try_assemble(const struct cli_args *args, json_t *parameters, bool *is_absent,
			    struct err *err)
{
	/* tells nothing where nobody would read it */
	bool is_quiet = cli_has(args, "quiet") || !isatty(STDERR_FILENO);
	struct mdcluster *c = daemon_open(args, err);
	json_t *answer;

	*is_absent = !c && (err->code == -ENOENT || err->code == -ECONNREFUSED);
	if (!c)
		return NULL;
	answer = daemon_follow(c, "org.mdcluster.Assemble", json_incref(parameters), tell_state,
			       &is_quiet, err);
	*is_absent = !answer && err->code == -ECONNRESET;
	mdcluster_free(c);
	return answer;
}

static enum cli_exit assemble_one(const struct cli_args *args, json_t *parameters)
{
	bool is_patient = cli_has(args, "wait"), is_absent;
	struct err err = ERR_INIT;
	json_t *answer = try_assemble(args, parameters, &is_absent, &err);

	while (!answer && is_patient && is_absent) {
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000l }, NULL);
		err = (struct err)ERR_INIT;
		answer = try_assemble(args, parameters, &is_absent, &err);
	}
	json_decref(answer);
	json_decref(parameters);
	return answer ? CLI_OK : cli_fail(&err);
}

static json_t *disk_list(char *const *paths, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		char *path = realpath(paths[i], NULL); /* the daemon is elsewhere */

		json_array_append_new(list, json_string(path ? path : paths[i]));
		free(path);
	}
	return list;
}

static enum cli_exit run_assemble(const struct cli_args *args)
{
	bool is_scan = cli_has(args, "scan");
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count == 0 && !is_scan)
		return cli_usage("assemble: name an array, and its disks where the configuration does not; or --scan");
	if (count > 0 && is_scan)
		return cli_usage("assemble: --scan means all arrays: name none");
	if (is_scan)
		return assemble_one(args, json_pack("{s:b}", "scan", 1));
	if (count == 1)
		return assemble_one(args, json_pack("{s:s}", "array",
						    daemon_array_name(operands[0])));
	return assemble_one(args, json_pack("{s:s, s:o}", "name", daemon_array_name(operands[0]),
					    "disks", disk_list(operands + 1, count - 1)));
}

const struct cli_command cmd_assemble = {
	.name = "assemble",
	.mdadm_long = "assemble",
	.mdadm_letter = 'A',
	.operands = "[ARRAY [DISK...]]",
	.summary = "Put an array into use on this node; returns when it is active.",
	.options = assemble_options,
	.run = run_assemble,
};

/* --- stop ------------------------------------------------------------------------------- */

static const struct cli_option stop_options[] = {
	{ "scan", 's', NULL, "all arrays that run here" },
	{ "force", 'f', NULL, "even if clients use it: their requests fail" },
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit stop_one(const struct cli_args *args, const char *array)
{
	struct err err = ERR_INIT;
	json_t *parameters = array ? json_pack("{s:s}", "array", daemon_array_name(array)) :
				     json_pack("{s:b}", "scan", 1);
	json_t *answer;

	if (cli_has(args, "force"))
		json_object_set_new(parameters, "force", json_true());
	answer = daemon_ask(args, "org.mdcluster.Stop", parameters, &err);
	json_decref(answer);
	return answer ? CLI_OK : cli_fail(&err);
}

static enum cli_exit run_stop(const struct cli_args *args)
{
	enum cli_exit code = CLI_OK;
	bool is_scan = cli_has(args, "scan");
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if ((count == 0) == !is_scan)
		return cli_usage("stop: name arrays, or give --scan for all");
	if (is_scan)
		return stop_one(args, NULL);
	for (size_t i = 0; i < count; i++) {
		enum cli_exit one = stop_one(args, operands[i]);

		code = one != CLI_OK ? one : code;
	}
	return code;
}

const struct cli_command cmd_stop = {
	.name = "stop",
	.mdadm_long = "stop",
	.mdadm_letter = 'S',
	.operands = "[ARRAY...]",
	.summary = "Take arrays out of use on this node; other nodes go on.",
	.options = stop_options,
	.run = run_stop,
};
