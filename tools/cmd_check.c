/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster check, repair: the disks of an array are compared, all of it; Ctrl-C ends that. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/terminal.h"

enum { SECTOR = 512 };

static const struct cli_option options[] = {
	{ "cancel", 0, NULL, "end the one that runs on this node" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal_number)
{
	(void)signal_number;
	is_interrupted = 1;
}

struct scrub {
	const struct cli_args *args;
	const char *array;
	bool is_repair, is_shown, is_cancelled;
	uint64_t done, total, mismatches; /* sectors */
};

static uint64_t number(const json_t *answer, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(answer, name));

	return v > 0 ? (uint64_t)v : 0;
}

static void take(struct scrub *scrub, const char *text)
{
	json_t *answer = json_loads(text, 0, NULL);

	if (json_object_get(answer, "total")) {
		scrub->done = number(answer, "done");
		scrub->total = number(answer, "total");
		scrub->mismatches = number(answer, "mismatches");
	}
	json_decref(answer);
}

static void show(const struct scrub *scrub)
{
	unsigned int per_mille = terminal_per_mille(scrub->done, scrub->total);
	char bar[TERMINAL_BAR_BYTES], size[TEXT_SIZE_BYTES];

	if (scrub->is_shown && scrub->total)
		printf("\r%s  %s = %u.%u%%  %s differ%s\033[K",
		       terminal_bar(scrub->done, scrub->total, bar),
		       scrub->is_repair ? "repair" : "check", per_mille / 10, per_mille % 10,
		       text_size(scrub->mismatches * SECTOR, size),
		       scrub->is_repair ? "ed" : "");
	fflush(stdout);
}

static json_t *of_array(const struct scrub *scrub)
{
	return json_pack("{s:s}", "array", scrub->array);
}

/* Asks for its end, once; what comes of it is the last answer of the call that runs. */
static int cancel(struct scrub *scrub, struct err *err)
{
	json_t *answer;

	is_interrupted = 0;
	if (scrub->is_cancelled)
		return err_set(err, -EINTR, "%s: not waited for any more", scrub->array);
	scrub->is_cancelled = true;
	answer = daemon_ask(scrub->args, "org.mdcluster.CheckCancel", of_array(scrub), err);
	json_decref(answer);
	return answer ? 0 : err->code;
}

/* With SIGINT blocked but for the wait itself, so that none is missed. */
static int follow(struct mdcluster *c, struct scrub *scrub, struct err *err)
{
	sigset_t unblocked;
	char *text = NULL;
	int r;

	sigprocmask(SIG_SETMASK, NULL, &unblocked);
	sigdelset(&unblocked, SIGINT);
	while ((r = mdcluster_next(c, &text)) != 0) {
		struct pollfd fd = { .fd = mdcluster_fd(c), .events = mdcluster_poll_events(c) };

		if (r == 1) {
			take(scrub, text);
			free(text);
			show(scrub);
		} else if (r != -EAGAIN) {
			return err_set(err, r, "%s", mdcluster_error_text(c));
		} else if (ppoll(&fd, 1, NULL, &unblocked) < 0 && is_interrupted) {
			r = cancel(scrub, err);
			if (r < 0)
				return r;
		}
	}
	take(scrub, text);
	free(text);
	return 0;
}

static int scrub_array(struct scrub *scrub, struct err *err)
{
	const struct sigaction on_interrupt = { .sa_handler = interrupt };
	struct mdcluster *c = daemon_open(scrub->args, err);
	json_t *parameters = of_array(scrub);
	CLEANUP_FREE char *text = NULL;
	sigset_t blocked;
	int r = c ? 0 : err->code;

	json_object_set_new(parameters, "repair", json_boolean(scrub->is_repair));
	text = json_dumps(parameters, JSON_COMPACT);
	json_decref(parameters);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGINT, &on_interrupt, NULL);
	if (r == 0 && mdcluster_begin(c, "org.mdcluster.Check", text, 1) < 0)
		r = err_set(err, -EIO, "%s", mdcluster_error_text(c));
	if (r == 0)
		r = follow(c, scrub, err);
	if (scrub->is_shown && scrub->total)
		printf("\r\033[K");
	mdcluster_free(c);
	return r;
}

static void print_json(const struct scrub *scrub)
{
	json_t *json = json_pack("{s:s, s:b, s:I, s:I, s:I, s:b}", "array", scrub->array,
				 "repair", scrub->is_repair,
				 "done_sectors", (json_int_t)scrub->done,
				 "total_sectors", (json_int_t)scrub->total,
				 "mismatch_sectors", (json_int_t)scrub->mismatches,
				 "is_complete", scrub->done >= scrub->total);

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static void print(const struct scrub *scrub, bool is_early)
{
	char done[TEXT_SIZE_BYTES], total[TEXT_SIZE_BYTES], differ[TEXT_SIZE_BYTES];

	text_size(scrub->done * SECTOR, done);
	text_size(scrub->total * SECTOR, total);
	text_size(scrub->mismatches * SECTOR, differ);
	if (is_early)
		printf("%s: ended early, %s of %s compared", scrub->array, done, total);
	else
		printf("%s: %s compared", scrub->array, done);
	if (scrub->mismatches == 0)
		printf(is_early ? ", no difference so far\n" : ", all equal\n");
	else
		printf(scrub->is_repair ? ", %s differed and are equal now\n" :
					  ", %s differ\n", differ);
}

/*
 * What differed is what a script wants to know. Of one that ended early, whoever ended it,
 * nobody knows about the rest.
 */
static enum cli_exit tell(const struct scrub *scrub)
{
	bool is_early = scrub->done < scrub->total;

	if (cli_has(scrub->args, "json"))
		print_json(scrub);
	else
		print(scrub, is_early);
	return is_early || (scrub->mismatches && !scrub->is_repair) ? CLI_FAILED : CLI_OK;
}

static enum cli_exit run(const struct cli_args *args, const char *name, bool is_repair)
{
	struct scrub scrub = { .args = args, .is_repair = is_repair,
			       .is_shown = isatty(STDOUT_FILENO) && !cli_has(args, "quiet") &&
					  !cli_has(args, "json") };
	struct err err = ERR_INIT;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count != 1)
		return cli_usage("%s: name one array", name);
	scrub.array = daemon_array_name(operands[0]);
	if (cli_has(args, "cancel"))
		return cancel(&scrub, &err) < 0 ? cli_fail(&err) : CLI_OK;
	if (scrub_array(&scrub, &err) == 0 ||
	    (scrub.is_cancelled && err.code == -ECANCELED))
		return tell(&scrub);
	return cli_fail(&err);
}

static enum cli_exit run_check(const struct cli_args *args)
{
	return run(args, "check", false);
}

static enum cli_exit run_repair(const struct cli_args *args)
{
	return run(args, "repair", true);
}

const struct cli_command cmd_check = {
	.name = "check",
	.operands = "ARRAY",
	.summary = "Compare the disks of an array while it runs.",
	.options = options,
	.exit_codes = "0 all equal, 1 something differs, it ended early, or it failed, 2 usage",
	.run = run_check,
};

const struct cli_command cmd_repair = {
	.name = "repair",
	.operands = "ARRAY",
	.summary = "Compare the disks of an array, and make equal what differs.",
	.options = options,
	.run = run_repair,
};
