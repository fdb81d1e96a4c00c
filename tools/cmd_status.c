/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster status: how it goes; its exit status tells that too. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/show_status.h"

enum { WATCH_MS = 1000, WAIT_MS = 200 };

static const struct cli_option options[] = {
	{ "watch", 'w', NULL, "show it again every second, in place, until Ctrl-C" },
	{ "wait", 0, "STATE", "wait until arrays are idle, or active; then show it" },
	{ "no-color", 0, NULL, "no colours on a terminal (NO_COLOR does the same)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* --- waiting ---------------------------------------------------------------------------- */

static bool is_member_calm(const struct status_member *m)
{
	return strcmp(m->state, "active") == 0 && !m->owes_resync && m->low == m->high;
}

/* Nothing resyncs, is recovered, or waits; what a failed disk leaves undone is not that. */
static bool is_idle(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->member_count; i++)
		if (!is_member_calm(&a->members[i]))
			return false;
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (strcmp(a->disks[i].state, "rebuild") == 0)
			return false;
	return !a->activity[0] && !a->needed_bytes && !a->is_single_source && !a->waits[0] &&
	       (strcmp(a->state, "active") == 0 || strcmp(a->state, "failed") == 0 ||
		strcmp(a->state, "down") == 0);
}

static bool is_active(const struct status_array *a)
{
	return strcmp(a->state, "active") == 0 && a->is_gate_open;
}

static bool is_reached(const struct status *s, const struct status_array *only,
		       const char *wanted)
{
	bool (*is_it)(const struct status_array *a) =
		strcmp(wanted, "idle") == 0 ? is_idle : is_active;

	if (only)
		return is_it(only);
	for (uint32_t i = 0; i < s->array_count; i++)
		if (!s->arrays[i].is_stopped && !is_it(&s->arrays[i]))
			return false;
	return true;
}

static void pause_ms(unsigned int ms)
{
	const struct timespec time = { .tv_sec = ms / 1000,
				       .tv_nsec = ms % 1000 * (long)NS_PER_MS };

	nanosleep(&time, NULL);
}

/* --- showing ---------------------------------------------------------------------------- */

/* Only the array that was asked for, if one was. */
static int print_json(const struct show_status *show, FILE *to, struct err *err)
{
	struct status one = *show->status;
	json_t *json;

	if (show->only) {
		one.arrays = (struct status_array *)(uintptr_t)show->only; /* not written */
		one.array_count = 1;
	}
	json = status_to_json(&one);
	if (!json)
		return err_nomem(err, "JSON");
	json_dumpf(json, to, JSON_INDENT(2));
	fputc('\n', to);
	json_decref(json);
	return 0;
}

static unsigned int count_lines(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/*
 * Lines are ended by "clear to the end": what was longer before is gone without a flicker. As
 * many of them as there is room for, since a terminal that scrolls has no place any more.
 */
static void put_in_place(const char *text, const struct terminal *out)
{
	unsigned int left = count_lines(text);
	unsigned int room = left < out->height ? left : out->height - 2;

	fputs("\033[H", out->to);
	for (; *text && room > 0; text++) {
		if (*text == '\n') {
			fputs("\033[K", out->to);
			room--;
			left--;
		}
		fputc(*text, out->to);
	}
	if (left > 0)
		fprintf(out->to, "(%u lines more)\033[K\n", left);
	fputs("\033[J", out->to);
	fflush(out->to);
}

static int show(const struct cli_args *args, const struct show_status *what, struct err *err)
{
	struct terminal out = terminal_of(stdout, cli_has(args, "no-color"));
	CLEANUP_FREE char *text = NULL;
	size_t length;
	FILE *memory = open_memstream(&text, &length);
	struct terminal t;
	int r;

	if (!memory)
		return err_nomem(err, "the text");
	t = terminal_like(&out, memory);
	r = cli_has(args, "json") ? print_json(what, memory, err) : show_status(what, &t, err);
	if (fclose(memory) != 0)
		return err_nomem(err, "the text");
	if (r == 0 && cli_has(args, "watch") && out.width && !cli_has(args, "json"))
		put_in_place(text, &out);
	else if (r == 0)
		fputs(text, stdout);
	return r;
}

static enum status_health health_of(const struct show_status *what)
{
	return what->only ? status_array_health(what->status, what->only) :
			    status_health(what->status);
}

/* STATUS_UNKNOWN where it cannot be told, with a sentence. */
static enum status_health look(const struct cli_args *args, const char *array,
			       bool *is_done, struct err *err)
{
	const char *wanted = cli_value(args, "wait");
	enum status_health health = STATUS_UNKNOWN;
	struct status s;
	struct show_status what = { .status = &s };

	if (daemon_status(args, &s, err) < 0)
		return STATUS_UNKNOWN;
	if (array)
		what.only = show_find_array(&s, array, err);
	if (!array || what.only) {
		*is_done = !wanted || is_reached(&s, what.only, wanted);
		if (!*is_done || show(args, &what, err) == 0)
			health = health_of(&what);
	}
	status_fini(&s);
	return health;
}

/* Of a daemon that was there: it restarts, hangs, or was stopped, and who watches waits for it. */
static bool may_come_back(const struct err *err)
{
	return err->code == -ENOENT || err->code == -ECONNREFUSED || err->code == -ECONNRESET ||
	       err->code == -ETIMEDOUT;
}

static void show_absence(const struct cli_args *args, const struct err *err)
{
	struct terminal out = terminal_of(stdout, true);
	char text[sizeof(err->text) + 64];

	snprintf(text, sizeof(text), "%s\nwaiting for it ...\n", err->text);
	if (out.width && !cli_has(args, "json"))
		put_in_place(text, &out);
	else
		fprintf(stderr, "mdcluster: %s\n", err->text);
}

static enum cli_exit run(const struct cli_args *args)
{
	const char *wanted = cli_value(args, "wait");
	bool is_watch = cli_has(args, "watch"), is_done = false, is_seen = false;
	enum status_health health;
	struct err err = ERR_INIT;
	char *const *operands;
	size_t count;

	setlocale(LC_CTYPE, "");
	operands = cli_operands(args, &count);
	if (count > 1)
		return cli_usage("status: name one array, or none for all");
	if (wanted && strcmp(wanted, "idle") != 0 && strcmp(wanted, "active") != 0)
		return cli_usage("status: --wait=%s: wait for 'idle' or 'active'", wanted);
	if (is_watch && isatty(STDOUT_FILENO))
		fputs("\033[2J", stdout);
	for (;;) {
		err = (struct err)ERR_INIT;
		health = look(args, count ? operands[0] : NULL, &is_done, &err);
		if (health == STATUS_UNKNOWN && !(is_watch && is_seen && may_come_back(&err)))
			break;
		if (health == STATUS_UNKNOWN)
			show_absence(args, &err);
		is_seen = true;
		if (is_done && !is_watch)
			return (enum cli_exit)health;
		pause_ms(is_done ? WATCH_MS : WAIT_MS);
	}
	cli_fail(&err);
	return (enum cli_exit)STATUS_UNKNOWN;
}

const struct cli_command cmd_status = {
	.name = "status",
	.operands = "[ARRAY]",
	.summary = "Show how nodes and arrays are, as this node's daemon sees them.",
	.options = options,
	.exit_codes = "0 all is well, 1 degraded, 2 down (or usage), 4 nobody can tell",
	.run = run,
};
