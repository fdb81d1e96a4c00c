/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: one table per command, from which parsing, --help and the
 * check against the man page are made. Exit codes are mdadm's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* it could not be done; one line on stderr says why */
	CLI_USAGE = 2,  /* the command line makes no sense */
};

struct cli_option {
	const char *name;   /* long name without dashes: its identity */
	char letter;        /* short name, 0 for none */
	const char *value;  /* "NAME" of its value in --help; NULL: a flag */
	const char *help;   /* one line */
};

struct cli_args;

struct cli_command {
	const char *name;         /* "create" */
	const char *mdadm_long;   /* mdadm's word for it, "create"; NULL for none */
	char mdadm_letter;        /* 'C'; 0 for none */
	bool is_action;           /* mdadm's word is no mode, but an action of its manage mode */
	const char *operands;     /* "NAME DISK..." */
	const char *summary;      /* one line */
	const struct cli_option *options; /* ends with name == NULL */
	const char *exit_codes;   /* NULL: CLI_OK and so on; else what --help says */
	enum cli_exit (*run)(const struct cli_args *args);
};

/* What every command understands. */
#define CLI_COMMON_OPTIONS                                                   \
	{ "quiet", 'q', NULL, "no notes and warnings, only errors" },        \
	{ "help", 'h', NULL, "this text" },                                  \
	{ NULL, 0, NULL, NULL }
#define CLI_JSON_OPTION                                                      \
	{ "json", 'J', NULL, "print JSON (mdcluster-json(7))" }

/*
 * Parses argv[0..argc) (without the command itself). On a usage error one line
 * has been printed and NULL is returned. Free with cli_free().
 */
struct cli_args *cli_parse(const struct cli_command *command, int argc,
			   char **argv);
void cli_free(struct cli_args *args);

bool cli_has(const struct cli_args *args, const char *option);
/*
 * What nobody does by accident: --yes, or a person at a terminal who answers yes in full;
 * `question` ends with a blank.
 */
bool cli_is_sure(const struct cli_args *args, const char *question);
/* Last value given, or NULL. Borrowed from argv. */
const char *cli_value(const struct cli_args *args, const char *option);
/* All values of an option that may be repeated: start with *cursor = 0. */
const char *cli_next_value(const struct cli_args *args, const char *option,
			   size_t *cursor);
/*
 * All that was given, in its order: the option, or NULL and its operand as *value. False: that
 * was all. Starts with *cursor = 0.
 */
bool cli_next(const struct cli_args *args, size_t *cursor, const char **option,
	      const char **value);
/* Operands that are not options, in order. */
char *const *cli_operands(const struct cli_args *args, size_t *count);

void cli_print_help(const struct cli_command *command);

/*
 * "mdcluster: <text>" on stderr; returns the code, to be returned in turn:
 * CLI_USAGE for -EINVAL (what was asked for can never be), else CLI_FAILED.
 */
enum cli_exit cli_fail(const struct err *err);
enum cli_exit cli_usage(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
