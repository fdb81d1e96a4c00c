/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster set, reload, confirm-dead: what an operator tells a daemon. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/printable.h"
#include "tools/commands.h"
#include "tools/daemon.h"

static enum cli_exit tell(const struct cli_args *args, const char *method, json_t *parameters)
{
	struct err err = ERR_INIT;
	json_t *answer = daemon_ask(args, method, parameters, &err);

	json_decref(answer);
	return answer ? CLI_OK : cli_fail(&err);
}

/* --- set -------------------------------------------------------------------------------- */

static const struct cli_option set_options[] = {
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static const char *const keys[] = { "resync-min", "resync-max", "intent-budget", "log-level",
				    NULL };

static bool is_known(const char *word, size_t length)
{
	for (const char *const *key = keys; *key; key++)
		if (strlen(*key) == length && strncmp(*key, word, length) == 0)
			return true;
	return false;
}

static enum cli_exit set_one(const struct cli_args *args, const char *array, const char *word)
{
	const char *value = strchr(word, '=');
	json_t *parameters = json_pack("{s:s%, s:s}", "key", word, (size_t)(value - word),
				       "value", value + 1);

	if (array)
		json_object_set_new(parameters, "array", json_string(daemon_array_name(array)));
	return tell(args, "org.mdcluster.Set", parameters);
}

static enum cli_exit run_set(const struct cli_args *args)
{
	enum cli_exit code = CLI_OK;
	const char *array = NULL;
	char *const *operands;
	size_t count, first;

	operands = cli_operands(args, &count);
	if (count > 0 && !strchr(operands[0], '='))
		array = operands[0];
	first = array ? 1 : 0;
	if (first == count)
		return cli_usage("set: name what to set, as resync-max=200M");
	for (size_t i = first; i < count; i++) {
		const char *value = strchr(operands[i], '=');

		if (!value || !is_known(operands[i], (size_t)(value - operands[i])))
			return cli_usage("set: '%s': resync-min=, resync-max=, intent-budget= or log-level= are known",
					 operands[i]);
		if (!array && strncmp(operands[i], "log-level=", 10) != 0)
			return cli_usage("set: '%s' is of an array: name that first", operands[i]);
	}
	for (size_t i = first; code == CLI_OK && i < count; i++)
		code = set_one(args, array, operands[i]);
	return code;
}

const struct cli_command cmd_set = {
	.name = "set",
	.operands = "[ARRAY] KEY=VALUE...",
	.summary = "Change speed limits, intent budget or log level while it runs.",
	.options = set_options,
	.run = run_set,
};

/* --- reload ----------------------------------------------------------------------------- */

static const struct cli_option reload_options[] = {
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static void print_names(const char *what, const json_t *names)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		char clean[128];

		if (name)
			printf("%s%s\n", what, text_printable(name, strlen(name), clean,
							      sizeof(clean)));
	}
}

static enum cli_exit run_reload(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	const json_t *changed, *later;
	json_t *answer;
	size_t count;

	cli_operands(args, &count);
	if (count > 0)
		return cli_usage("reload: takes no operand");
	answer = daemon_ask(args, "org.mdcluster.Reload", NULL, &err);
	if (!answer)
		return cli_fail(&err);
	if (cli_has(args, "json")) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(answer);
		return CLI_OK;
	}
	changed = json_object_get(answer, "changed");
	later = json_object_get(answer, "needs_restart");
	print_names("changed: ", changed);
	print_names("only with a new start of mdclusterd: ", later);
	if (json_array_size(changed) + json_array_size(later) == 0)
		printf("nothing has changed\n");
	json_decref(answer);
	return CLI_OK;
}

const struct cli_command cmd_reload = {
	.name = "reload",
	.operands = "",
	.summary = "Have the daemon read its configuration again.",
	.options = reload_options,
	.run = run_reload,
};

/* --- confirm-dead ----------------------------------------------------------------------- */

static const struct cli_option confirm_options[] = {
	{ "yes", 'y', NULL, "do not ask: the node is off, I have seen to it" },
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* The one command by which an operator can lose data: it is not given by accident. */
static bool is_sure(const struct cli_args *args, const char *node)
{
	char question[512];

	snprintf(question, sizeof(question), "If %.100s still runs, it and the others will write over "
		 "each other, and data is lost.\nIs it off, or cut from the disks? (yes/no) ", node);
	return cli_is_sure(args, question);
}

static enum cli_exit run_confirm(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count != 1)
		return cli_usage("confirm-dead: name one node, or its id");
	if (!is_sure(args, operands[0])) {
		err_set(&err, -ECANCELED, "confirm-dead: nothing was confirmed (--yes says that %s is off)",
			operands[0]);
		return cli_fail(&err);
	}
	return tell(args, "org.mdcluster.ConfirmDead", json_pack("{s:s}", "node", operands[0]));
}

const struct cli_command cmd_confirm_dead = {
	.name = "confirm-dead",
	.operands = "NODE",
	.summary = "Say that a node is off, so that the others may recover what it left.",
	.options = confirm_options,
	.run = run_confirm,
};
