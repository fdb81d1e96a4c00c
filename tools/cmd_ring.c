/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster ring: where the ring of this node stands, and what it has counted. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/printable.h"
#include "tools/commands.h"
#include "tools/daemon.h"

static const struct cli_option options[] = {
	{ "all", 'a', NULL, "also counters that are 0" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

enum { NAME_BYTES = 128 };

static void print_line(const char *name, const char *text)
{
	char line[512];

	printf("%36s : %s\n", name, text_printable(text, strlen(text), line, sizeof(line)));
}

static void print_value(const char *name, const json_t *value);

/* What is in it, as name.inner. */
static void print_fields(const char *name, const json_t *object)
{
	char inner[NAME_BYTES];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) { /* not written */
		snprintf(inner, sizeof(inner), "%s%s%s", name, *name ? "." : "", key);
		print_value(inner, value);
	}
}

/* "token_age_ns" is "token_age", in milliseconds, for people. */
static bool print_time(const char *name, const json_t *value)
{
	size_t length = strlen(name);
	char label[NAME_BYTES], text[48];

	if (!json_is_integer(value) || length < 4 || strcmp(name + length - 3, "_ns") != 0)
		return false;
	snprintf(label, sizeof(label), "%.*s", (int)length - 3, name);
	snprintf(text, sizeof(text), "%.2f ms",
		 (double)json_integer_value(value) / (double)NS_PER_MS);
	print_line(label, text);
	return true;
}

/* Of integers: "1 2 3". */
static bool print_list(const char *name, const json_t *value)
{
	char text[1024] = "-";
	size_t at = 0, i;
	json_t *one;

	if (!json_is_array(value))
		return false;
	json_array_foreach((json_t *)(uintptr_t)value, i, one) { /* not written */
		if (!json_is_integer(one))
			return false;
		if (at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%" JSON_INTEGER_FORMAT,
					       i ? " " : "", json_integer_value(one));
	}
	print_line(name, text);
	return true;
}

static void print_value(const char *name, const json_t *value)
{
	CLEANUP_FREE char *text = NULL;

	if (print_time(name, value) || print_list(name, value))
		return;
	if (json_is_object(value) && strlen(name) < NAME_BYTES / 2) {
		print_fields(name, value);
	} else if (json_is_boolean(value)) {
		print_line(strncmp(name, "is_", 3) == 0 ? name + 3 : name,
			   json_is_true(value) ? "yes" : "no");
	} else if (json_is_string(value)) {
		print_line(name, json_string_value(value));
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		print_line(name, text ? text : "?");
	}
}

static void print_counters(const json_t *counters, bool is_all)
{
	const char *name;
	json_t *value;
	size_t left_out = 0;

	json_object_foreach((json_t *)(uintptr_t)counters, name, value) {
		if (is_all || !json_is_integer(value) || json_integer_value(value) != 0)
			print_value(name, value);
		else
			left_out++;
	}
	if (left_out)
		printf("left out: %zu counters that are 0 (--all shows all)\n", left_out);
}

static enum cli_exit run(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	json_t *answer;
	size_t count;

	cli_operands(args, &count);
	if (count > 0)
		return cli_usage("ring: takes no operand");
	answer = daemon_ask(args, "org.mdcluster.Ring", NULL, &err);
	if (!answer)
		return cli_fail(&err);
	if (cli_has(args, "json")) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_fields("", json_object_get(answer, "view"));
		putchar('\n');
		print_counters(json_object_get(answer, "counters"), cli_has(args, "all"));
	}
	json_decref(answer);
	return CLI_OK;
}

const struct cli_command cmd_ring = {
	.name = "ring",
	.operands = "",
	.summary = "Show where the ring stands, and its counters.",
	.options = options,
	.run = run,
};
