/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/printable.h"

enum { MAX_OPTIONS = 48, OPERAND = 1, LONG_ONLY = 256 };

struct given {
	const struct cli_option *option; /* NULL: an operand */
	const char *value;
};

struct cli_args {
	struct given *given;
	size_t given_count;
	char **operands;
	size_t operand_count;
};

/* Builds what getopt_long() wants; val is an index, offset by LONG_ONLY. */
static void make_tables(const struct cli_option *options,
			struct option longs[MAX_OPTIONS + 1],
			char letters[2 * MAX_OPTIONS + 3])
{
	char *l = letters;
	int i;

	*l++ = '-'; /* operands come where they stand, as option 1 */
	*l++ = ':';
	memset(longs, 0, sizeof(*longs) * (MAX_OPTIONS + 1));
	for (i = 0; options[i].name; i++) {
		longs[i] = (struct option){
			.name = options[i].name,
			.has_arg = options[i].value ? required_argument :
						      no_argument,
			.val = LONG_ONLY + i,
		};
		if (options[i].letter) {
			*l++ = options[i].letter;
			if (options[i].value)
				*l++ = ':';
		}
	}
	*l = '\0';
}

static const struct cli_option *find_option(const struct cli_option *options,
					    int c)
{
	int i;

	if (c >= LONG_ONLY)
		return &options[c - LONG_ONLY];
	for (i = 0; options[i].name; i++)
		if (options[i].letter == c)
			return &options[i];
	return NULL;
}

/* getopt says '?' for options it does not know and ':' for missing values. */
static void complain(const struct cli_command *command, int c, char **argv,
		     int at)
{
	const char *word = at > 0 ? argv[at - 1] : "";

	if (c == ':')
		cli_usage("%s: option '%s' needs a value", command->name, word);
	else if (optopt >= LONG_ONLY)
		cli_usage("%s: option '%s' takes no value", command->name, word);
	else if (optopt)
		cli_usage("%s: unknown option '-%c' (mdcluster %s --help lists them)",
			  command->name, optopt, command->name);
	else
		cli_usage("%s: unknown or ambiguous option '%s' (mdcluster %s --help lists them)",
			  command->name, word, command->name);
}

static void take_operand(struct cli_args *args, char *word)
{
	args->operands[args->operand_count++] = word;
	args->given[args->given_count++].value = word;
}

struct cli_args *cli_parse(const struct cli_command *command, int argc,
			   char **argv)
{
	struct option longs[MAX_OPTIONS + 1];
	char letters[2 * MAX_OPTIONS + 3];
	struct cli_args *args = calloc(1, sizeof(*args));
	/* getopt starts at 1; it gets a vector with the command's name in 0 */
	char **vector = calloc((size_t)argc + 2, sizeof(*vector));
	int c, i;

	if (args) {
		args->given = calloc((size_t)argc * 2 + 1, sizeof(*args->given));
		args->operands = calloc((size_t)argc + 1, sizeof(char *));
	}
	if (!args || !vector || !args->given || !args->operands) {
		fprintf(stderr, "mdcluster: out of memory\n");
		exit(CLI_FAILED);
	}
	vector[0] = (char *)(uintptr_t)command->name;
	for (i = 0; i < argc; i++)
		vector[i + 1] = argv[i];
	make_tables(command->options, longs, letters);
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc + 1, vector, letters, longs, NULL)) != -1) {
		if (c == '?' || c == ':') {
			complain(command, c, vector, optind);
			cli_free(args);
			free(vector);
			return NULL;
		}
		if (c == OPERAND)
			take_operand(args, optarg);
		else
			args->given[args->given_count++] = (struct given){
				find_option(command->options, c), optarg
			};
	}
	for (i = optind; i < argc + 1; i++)
		take_operand(args, vector[i]);
	free(vector);
	return args;
}

void cli_free(struct cli_args *args)
{
	if (!args)
		return;
	free(args->given);
	free(args->operands);
	free(args);
}

static bool is_option(const struct given *g, const char *name)
{
	return g->option && strcmp(g->option->name, name) == 0;
}

static const struct given *last_given(const struct cli_args *args,
				      const char *option)
{
	size_t i = args->given_count;

	while (i-- > 0)
		if (is_option(&args->given[i], option))
			return &args->given[i];
	return NULL;
}

bool cli_is_sure(const struct cli_args *args, const char *question)
{
	char answer[8];

	if (cli_has(args, "yes"))
		return true;
	if (!isatty(STDIN_FILENO))
		return false;
	fputs(question, stderr);
	return fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0;
}

bool cli_has(const struct cli_args *args, const char *option)
{
	return last_given(args, option) != NULL;
}

const char *cli_value(const struct cli_args *args, const char *option)
{
	const struct given *g = last_given(args, option);

	return g ? g->value : NULL;
}

const char *cli_next_value(const struct cli_args *args, const char *option,
			   size_t *cursor)
{
	while (*cursor < args->given_count) {
		const struct given *g = &args->given[(*cursor)++];

		if (is_option(g, option))
			return g->value;
	}
	return NULL;
}

bool cli_next(const struct cli_args *args, size_t *cursor, const char **option,
	      const char **value)
{
	const struct given *g = &args->given[*cursor];

	if (*cursor == args->given_count)
		return false;
	*option = g->option ? g->option->name : NULL;
	*value = g->value;
	(*cursor)++;
	return true;
}

char *const *cli_operands(const struct cli_args *args, size_t *count)
{
	*count = args->operand_count;
	return args->operands;
}

void cli_print_help(const struct cli_command *command)
{
	const struct cli_option *o;

	const char *blank = command->operands[0] ? " " : "";

	printf("Usage: mdcluster %s [OPTION]...%s%s\n%s\n\n", command->name, blank,
	       command->operands, command->summary);
	if (command->mdadm_long)
		printf("mdadm's spelling works too: --%s%.*s%.*s [OPTION]...%s%s\n\n",
		       command->mdadm_long, command->mdadm_letter ? 5 : 0,
		       " or -", command->mdadm_letter ? 1 : 0,
		       &command->mdadm_letter, blank, command->operands);
	for (o = command->options; o->name; o++) {
		char left[64], letter[8] = "";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c,", o->letter);
		snprintf(left, sizeof(left), "%3s --%s%s%s", letter, o->name,
			 o->value ? "=" : "", o->value ? o->value : "");
		printf("  %-30s %s\n", left, o->help);
	}
	printf("\nExit codes: %s. See mdcluster(8).\n",
	       command->exit_codes ? command->exit_codes : "0 done, 1 it failed, 2 usage");
}

enum cli_exit cli_fail(const struct err *err)
{
	fflush(stdout); /* what went well stands before what did not */
	fprintf(stderr, "mdcluster: %s\n", err->text);
	return err->code == -EINVAL ? CLI_USAGE : CLI_FAILED;
}

enum cli_exit cli_usage(const char *fmt, ...)
{
	va_list ap;

	char text[512], line[512];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_printable(text, sizeof(text), line, sizeof(line));
	fprintf(stderr, "mdcluster: %s\n", line);
	return CLI_USAGE;
}
