/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster fence: a node is switched off, by what the configuration has for that; or a rehearsal. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/printable.h"
#include "base/text.h"
#include "tools/commands.h"
#include "tools/daemon.h"

static const struct cli_option options[] = {
	{ "level", 'l', "NUMBER", "by that level alone (default: all, in their order)" },
	{ "dry-run", 0, NULL, "only say what would be done" },
	{ "list", 0, NULL, "the levels of all nodes, or of NODE" },
	{ "test", 0, NULL, "ask each device whether it would work; nothing is switched" },
	{ "yes", 'y', NULL, "do not ask before a node is switched off" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static const char *text_of(const json_t *object, const char *name, char *to, size_t room)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text_printable(text, strlen(text), to, room) : "";
}

static json_int_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* --- list, dry run ------------------------------------------------------------------------ */

static void show_device(const json_t *d)
{
	char name[80], type[24], program[160], action[24];

	printf("    %s: %s", text_of(d, "name", name, sizeof(name)),
	       text_of(d, "type", type, sizeof(type)));
	if (*text_of(d, "program", program, sizeof(program)))
		printf(" %s", program);
	if (*text_of(d, "action", action, sizeof(action)))
		printf(", %s", action);
	if (number_of(d, "delay_ms"))
		printf(", after %" PRIu64 " ms", (uint64_t)number_of(d, "delay_ms"));
	printf(", %" PRIu64 " attempts\n", (uint64_t)number_of(d, "retries") + 1);
}

static void show_levels(const json_t *answer)
{
	const json_t *level, *device;
	char node[80];
	size_t i, j;

	json_array_foreach(json_object_get(answer, "levels"), i, level) {
		printf("%s: level %" PRIu64 "\n", text_of(level, "node", node, sizeof(node)),
		       (uint64_t)number_of(level, "level"));
		json_array_foreach(json_object_get(level, "devices"), j, device)
			show_device(device);
	}
}

static enum cli_exit list(const struct cli_args *args, json_t *parameters, const char *node)
{
	struct err err = ERR_INIT;
	json_t *answer = daemon_ask(args, "org.mdcluster.FenceList", parameters, &err);
	bool is_empty;

	if (!answer)
		return cli_fail(&err);
	is_empty = json_array_size(json_object_get(answer, "levels")) == 0;
	if (cli_has(args, "json"))
		print_json(answer);
	else if (!is_empty)
		show_levels(answer);
	else
		printf("no level of fencing%s%s: only a person can say that a node is dead (mdcluster confirm-dead)\n",
		       node ? " is for " : "", node ? node : "");
	json_decref(answer);
	return is_empty && node ? CLI_FAILED : CLI_OK;
}

/* --- test --------------------------------------------------------------------------------------- */

struct test {
	bool is_json;
	json_t *results;
};

static int show_result(void *owner, const json_t *answer)
{
	struct test *t = owner;
	bool is_fine = json_is_true(json_object_get(answer, "is_fine"));
	char node[80], device[80], text[300];
	const char *which = text_of(answer, "device", device, sizeof(device));

	if (t->is_json) {
		json_array_append(t->results, (json_t *)(uintptr_t)answer);
		return 0;
	}
	printf("%s  %s  %s%s%s\n", is_fine ? "fine  " : "FAILED",
	       text_of(answer, "node", node, sizeof(node)),
	       which, *which ? ": " : "",
	       text_of(answer, "text", text, sizeof(text)));
	fflush(stdout);
	return 0;
}

static enum cli_exit test(const struct cli_args *args, json_t *parameters)
{
	struct test t = { cli_has(args, "json"), json_array() };
	struct err err = ERR_INIT;
	struct mdcluster *c = daemon_open(args, &err);
	json_t *last = NULL;
	json_int_t failed = 0;

	if (c)
		last = daemon_follow(c, "org.mdcluster.FenceTest", parameters, show_result, &t, &err);
	else
		json_decref(parameters);
	if (last) {
		failed = number_of(last, "failed");
		if (t.is_json) {
			json_object_set(last, "results", t.results);
			print_json(last);
		}
	}
	json_decref(t.results);
	mdcluster_free(c);
	if (!last)
		return cli_fail(&err);
	json_decref(last);
	return failed ? CLI_FAILED : CLI_OK;
}

/* --- fence ------------------------------------------------------------------------------------------- */

static bool is_sure(const struct cli_args *args, const char *node)
{
	char question[256];

	snprintf(question, sizeof(question), "%.100s will be switched off, with all that runs there. "
		 "Do it? (yes/no) ", node);
	return cli_is_sure(args, question);
}

static enum cli_exit fence(const struct cli_args *args, json_t *parameters, const char *node)
{
	struct err err = ERR_INIT;
	struct mdcluster *c;
	json_t *answer = NULL;

	if (!is_sure(args, node)) {
		json_decref(parameters);
		err_set(&err, -ECANCELED, "fence: nothing was done (--yes does not ask)");
		return cli_fail(&err);
	}
	c = daemon_open(args, &err);
	if (c) /* which takes as long as its devices do */
		answer = daemon_follow(c, "org.mdcluster.Fence", parameters, NULL, NULL, &err);
	else
		json_decref(parameters);
	mdcluster_free(c);
	if (!answer)
		return cli_fail(&err);
	if (cli_has(args, "json"))
		print_json(answer);
	else if (!cli_has(args, "quiet"))
		printf("%s is fenced, by level %" PRIu64 "\n", node,
		       (uint64_t)number_of(answer, "level"));
	json_decref(answer);
	return CLI_OK;
}

/* --- the command ----------------------------------------------------------------------------------------- */

static enum cli_exit run(const struct cli_args *args)
{
	bool is_list = cli_has(args, "list") || cli_has(args, "dry-run");
	const char *level = cli_value(args, "level"), *node;
	struct err err = ERR_INIT;
	json_t *parameters;
	char *const *operands;
	uint64_t number = 0;
	size_t count;

	operands = cli_operands(args, &count);
	node = count > 0 ? operands[0] : NULL;
	if (count > 1)
		return cli_usage("fence: name one node, or its id");
	if (cli_has(args, "list") + cli_has(args, "dry-run") + cli_has(args, "test") > 1)
		return cli_usage("fence: --list, --dry-run, --test: one of them");
	if (!node && !cli_has(args, "list") && !cli_has(args, "test"))
		return cli_usage("fence: name a node, or its id; or say --list or --test");
	if (level && cli_has(args, "test"))
		return cli_usage("fence: --test tests all levels");
	if (level && text_parse_u64(level, "--level", 1, 9, &number, &err) < 0)
		return cli_usage("fence: %s", err.text);
	parameters = json_object();
	if (node)
		json_object_set_new(parameters, "node", json_string(node));
	if (level)
		json_object_set_new(parameters, "level", json_integer((json_int_t)number));
	if (is_list)
		return list(args, parameters, node);
	if (cli_has(args, "test"))
		return test(args, parameters);
	return fence(args, parameters, node);
}

const struct cli_command cmd_fence = {
	.name = "fence",
	.operands = "[NODE]",
	.summary = "Switch a node off, so that the others know it dead; or rehearse that.",
	.options = options,
	.run = run,
};
