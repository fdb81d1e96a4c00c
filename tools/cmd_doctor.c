/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster doctor: what is stuck, why, and the next command. */
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "base/err.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/doctor.h"
#include "tools/terminal.h"

static const struct cli_option options[] = {
	{ "no-color", 0, NULL, "no colours on a terminal (NO_COLOR does the same)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static void print(const struct doctor_finding *f, size_t number, struct terminal *t)
{
	terminal_begin(t, 0);
	terminal_word(t, f->health == STATUS_DOWN ? TERMINAL_RED : TERMINAL_YELLOW, "%zu.",
		      number);
	terminal_sentence(t, TERMINAL_PLAIN, f->what);
	terminal_end(t);
	if (f->next[0]) {
		terminal_begin(t, 4);
		terminal_sentence(t, TERMINAL_PLAIN, f->next);
		terminal_end(t);
	}
	if (f->command[0]) {
		terminal_begin(t, 4);
		terminal_word(t, TERMINAL_BOLD, "$ %s", f->command);
		terminal_end(t);
	}
}

static void print_json(const struct doctor_finding *findings, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:s, s:s}", "schema", STATUS_SCHEMA, "health",
			status_health_name(findings[i].health), "what", findings[i].what,
			"next", findings[i].next, "command", findings[i].command));
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
}

/* Nobody answers: that is the finding. */
static size_t no_daemon(const struct err *err, struct doctor_finding *f)
{
	const char *hint = strstr(err->text, DAEMON_HINT); /* it is the next sentence here */

	*f = (struct doctor_finding){ .health = STATUS_UNKNOWN };
	snprintf(f->what, sizeof(f->what), "Nobody can tell: %.*s.",
		 hint ? (int)(hint - err->text) : (int)strlen(err->text), err->text);
	if (err->code == -ENOENT || err->code == -ECONNREFUSED) {
		snprintf(f->next, sizeof(f->next),
			 "The daemon does not run, or has another run directory (--run-dir).");
		snprintf(f->command, sizeof(f->command), "systemctl status mdclusterd");
	} else if (err->code == -ETIMEDOUT) {
		snprintf(f->next, sizeof(f->next),
			 "It is stopped, or hangs: its state tells (T: stopped, D: in the kernel).");
		snprintf(f->command, sizeof(f->command), "ps -C mdclusterd -o pid,stat,wchan,args");
	} else if (err->code == -EACCES) {
		snprintf(f->next, sizeof(f->next), "Ask as root.");
	}
	return 1;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct terminal t = terminal_of(stdout, cli_has(args, "no-color"));
	struct doctor_finding findings[DOCTOR_MAX_FINDINGS];
	enum status_health health = STATUS_UNKNOWN;
	struct err err = ERR_INIT;
	struct status s;
	size_t found;

	setlocale(LC_CTYPE, "");
	cli_operands(args, &found);
	if (found > 0)
		return cli_usage("doctor: takes no operand");
	if (daemon_status(args, &s, &err) < 0) {
		found = no_daemon(&err, findings);
	} else {
		found = doctor_examine(&s, findings);
		health = status_health(&s);
		status_fini(&s);
	}
	if (cli_has(args, "json"))
		print_json(findings, found);
	for (size_t i = 0; !cli_has(args, "json") && i < found; i++)
		print(&findings[i], i + 1, &t);
	if (found == 0 && !cli_has(args, "json"))
		printf("nothing is wrong\n");
	return (enum cli_exit)health;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "Say in plain words what is stuck, why, and what to do next.",
	.options = options,
	.exit_codes = "0 all is well, 1 degraded, 2 down (or usage), 4 nobody can tell",
	.run = run,
};
