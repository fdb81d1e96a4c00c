/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster: finds the command that the words ask for, in our spelling
 * (`mdcluster examine DISK`) or in mdadm's (`mdcluster --examine DISK`).
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "config.h"
#include "tools/commands.h"

static const struct cli_command *const commands[] = {
	&cmd_status, &cmd_doctor, &cmd_assemble, &cmd_incremental, &cmd_stop,
	&cmd_attach, &cmd_detach,
	&cmd_detail, &cmd_nodes, &cmd_quorum, &cmd_ring, &cmd_locks,
	&cmd_events, &cmd_monitor, &cmd_record, &cmd_replay, &cmd_set, &cmd_reload, &cmd_check,
	&cmd_repair, &cmd_add, &cmd_re_add, &cmd_remove, &cmd_fail, &cmd_replace, &cmd_manage,
	&cmd_wait,
	&cmd_grow,
	&cmd_fence, &cmd_confirm_dead,
	&cmd_create, &cmd_examine, &cmd_examine_bitmap,
	&cmd_migrate, &cmd_update, &cmd_zero, &cmd_scan, &cmd_keygen,
};

static void print_overview(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: mdcluster COMMAND [OPTION]... [OPERAND]...\n"
		    "Clustered md arrays (RAID1, RAID10): run them, look at them, make them.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-16s %s\n", commands[i]->name,
			commands[i]->summary);
	fprintf(to,
		"  %-16s %s\n  %-16s %s\n\n"
		"mdcluster COMMAND --help tells more; mdcluster(8) tells all.\n"
		"mdadm's spellings (--assemble or -A, --incremental or -I, --stop or -S, --detail\n"
		"or -D, --monitor, --manage, --wait or -W, --grow or -G, --create, --examine or -E, --examine-bitmap or -X, --zero-superblock)\n"
		"do the same, and mdcluster /dev/md/ARRAY --add DISK --fail DISK --remove DISK, in any order.\n",
		"help", "this text", "version", "version and optional parts");
}

static const struct cli_command *by_name(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, word) == 0)
			return commands[i];
	return NULL;
}

/* mdadm's actions on the disks of an array, where no mode is given; they stay in argv. */
static const struct cli_command *by_mdadm_action(int argc, char **argv)
{
	for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
		const char *word = argv[at];

		if (strcmp(word, "--set-faulty") == 0 || strcmp(word, "--add-spare") == 0 ||
		    strcmp(word, "--cluster-confirm") == 0)
			return &cmd_manage;
		for (size_t c = 0; c < ARRAY_SIZE(commands); c++) {
			const struct cli_command *cmd = commands[c];

			if (cmd->is_action &&
			    ((strncmp(word, "--", 2) == 0 && strcmp(word + 2, cmd->mdadm_long) == 0) ||
			     (word[0] == '-' && cmd->mdadm_letter && word[1] == cmd->mdadm_letter)))
				return &cmd_manage;
		}
	}
	return NULL;
}

/*
 * mdadm takes its mode from an option that may stand anywhere, and its letter
 * may lead a group: -E, -Es. Cuts the mode out of argv when it finds it. --wait is one only
 * where nothing is done to disks: there it is an option.
 */
static const struct cli_command *by_mdadm_mode(int *argc, char **argv)
{
	bool has_action = by_mdadm_action(*argc, argv) != NULL;
	int at, i;

	for (at = 1; at < *argc && strcmp(argv[at], "--") != 0; at++) {
		char *word = argv[at];
		size_t c;

		for (c = 0; c < ARRAY_SIZE(commands); c++) {
			const struct cli_command *cmd = commands[c];
			bool is_mode = !cmd->is_action && !(has_action && cmd == &cmd_wait);
			bool is_long = is_mode && cmd->mdadm_long && strncmp(word, "--", 2) == 0 &&
				       strcmp(word + 2, cmd->mdadm_long) == 0;
			bool is_letter = is_mode && cmd->mdadm_letter && word[0] == '-' &&
					 word[1] == cmd->mdadm_letter;

			if (is_letter && word[2] != '\0') {
				memmove(word + 1, word + 2, strlen(word + 1));
				return cmd;
			}
			if (is_long || is_letter) {
				for (i = at; i + 1 < *argc; i++)
					argv[i] = argv[i + 1];
				(*argc)--;
				return cmd;
			}
		}
	}
	return NULL;
}

static const struct cli_command *by_mdadm(int *argc, char **argv)
{
	const struct cli_command *command = by_mdadm_mode(argc, argv);

	return command ? command : by_mdadm_action(*argc, argv);
}

static enum cli_exit run(const struct cli_command *command, int argc,
			 char **argv)
{
	struct cli_args *args = cli_parse(command, argc, argv);
	struct err err = ERR_INIT;
	enum cli_exit code = CLI_OK;

	if (!args)
		return CLI_USAGE;
	if (log_open("mdcluster", LOG_TO_STDERR,
		     cli_has(args, "quiet") ? LOG_ERR : LOG_NOTICE, &err) < 0)
		code = cli_fail(&err);
	else if (cli_has(args, "help"))
		cli_print_help(command);
	else
		code = command->run(args);
	log_close();
	cli_free(args);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "mdcluster: cannot write to standard output\n");
		code = CLI_FAILED;
	}
	return code;
}

int main(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2) {
		print_overview(stderr);
		return CLI_USAGE;
	}
	if (argv[1][0] != '-') {
		command = by_name(argv[1]);
		if (command)
			return (int)run(command, argc - 2, argv + 2);
		/* mdadm /dev/md0 --fail /dev/sdb: the array comes first */
		if (argv[1][0] == '/' && (command = by_mdadm(&argc, argv)) != NULL)
			return (int)run(command, argc - 1, argv + 1);
		if (strcmp(argv[1], "help") == 0 && argc == 3 && by_name(argv[2])) {
			cli_print_help(by_name(argv[2]));
			return CLI_OK;
		}
		if (strcmp(argv[1], "help") == 0 && argc == 2)
			goto help;
		if (strcmp(argv[1], "version") == 0 && argc == 2)
			goto version;
		if (by_mdadm_action(argc, argv))
			return (int)cli_usage("'%s' is not a command; if it is an array: mdcluster /dev/md/%s ...",
					      argv[1], argv[1]);
		return (int)cli_usage("'%s' is not a command (mdcluster help lists them)",
				      argv[strcmp(argv[1], "help") == 0 && argc > 2 ? 2 : 1]);
	}
	command = by_mdadm(&argc, argv);
	if (command)
		return (int)run(command, argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		goto help;
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		goto version;
	return (int)cli_usage("no command in '%s ...' (mdcluster help lists them)",
			      argv[1]);
help:
	print_overview(stdout);
	return CLI_OK;
version:
	printf("mdcluster %s (%s)\n", PACKAGE_VERSION, MDC_FEATURES);
	return CLI_OK;
}
