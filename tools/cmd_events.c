/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster events, monitor: what happens, as lines, as JSON, and as calls of a program. */
#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/event_words.h"
#include "tools/run.h"
#include "tools/show_status.h"

LOG_SUBSYSTEM(events);

enum { RECONNECT_S = 1 };

struct watcher {
	const struct cli_args *args;
	const char *array;       /* only of this one; NULL: all */
	const char *program;     /* NULL: none */
	bool is_json, is_ours_only, is_silent, is_all;
	bool is_seen;            /* anything, since it was connected */
	bool has_printed;        /* an event */
};

/* --- programs --------------------------------------------------------------------------- */

static void put_number(const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	setenv(name, text, 1);
}

static void put_environment(const struct status_event *e)
{
	setenv("MDCLUSTER_EVENT", e->kind, 1);
	setenv("MDCLUSTER_ARRAY", e->array, 1);
	setenv("MDCLUSTER_TEXT", e->text, 1);
	setenv("MDCLUSTER_DISK", e->disk, 1);
	put_number("MDCLUSTER_NUMBER", e->number);
	put_number("MDCLUSTER_TIME", e->time_us / 1000000);
	put_number("MDCLUSTER_NODE", e->node);
	put_number("MDCLUSTER_FROM", e->from);
	put_number("MDCLUSTER_PRIORITY", (uint64_t)e->priority);
	put_number("MDCLUSTER_BYTES", e->bytes);
	if (e->slot >= 0)
		put_number("MDCLUSTER_SLOT", (uint64_t)e->slot);
	else
		unsetenv("MDCLUSTER_SLOT");
}

/* The disk that has this role; or, if it lost it by failing, the only one that did. */
static const char *disk_of_role(const struct status_array *a, uint32_t role)
{
	const char *outcast = "";
	size_t outcasts = 0;

	for (uint32_t i = 0; i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		if (d->role == role && d->path[0])
			return d->path;
		if (d->role >= a->raid_disks && strcmp(d->state, "faulty") == 0) {
			outcast = d->path;
			outcasts++;
		}
	}
	return outcasts == 1 ? outcast : "";
}

/* mdadm's third word: the path of the disk that it is about, as far as it is known. */
static bool find_component(const struct watcher *w, const struct status_event *e,
			   char to[STATUS_TEXT])
{
	struct err ignored = ERR_INIT;
	const struct status_array *a;
	struct status s;

	snprintf(to, STATUS_TEXT, "%s", e->disk);
	if (to[0])
		return true;
	if (e->role < 0 || daemon_status(w->args, &s, &ignored) < 0)
		return false;
	a = show_find_array(&s, e->array, &ignored);
	if (a)
		snprintf(to, STATUS_TEXT, "%s", disk_of_role(a, (uint32_t)e->role));
	status_fini(&s);
	return to[0] != '\0';
}

/* One after the other, as mdadm does; what it returns is its own affair. */
static void call_program(const struct watcher *w, const struct status_event *e)
{
	char kind[sizeof(e->kind)], component[STATUS_TEXT], name[STATUS_TEXT];
	char event[sizeof(e->kind)], *argv[5] = { NULL };
	extern char **environ;
	int status, r;
	pid_t pid;

	snprintf(event, sizeof(event), "%s", event_mdadm_name(e, kind));
	snprintf(name, sizeof(name), "%s", w->program);
	argv[0] = name;
	argv[1] = event;
	argv[2] = e->array[0] ? (char *)(uintptr_t)e->array : (char *)(uintptr_t)"-";
	argv[3] = find_component(w, e, component) ? component : NULL;
	put_environment(e);
	fflush(stdout);
	r = posix_spawnp(&pid, name, NULL, NULL, argv, environ);
	if (r != 0) {
		log_warning("MDC3010", "%s cannot be run: %s", name, strerror(r));
		return;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* --- events ----------------------------------------------------------------------------- */

/* As mdcluster-json(7) has it, whatever the daemon left out. */
static void print_json(const struct status_event *e)
{
	json_t *json = status_event_to_json(e);

	if (json) {
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(json);
}

static void print(struct watcher *w, const struct status_event *e)
{
	char line[EVENT_LINE_BYTES];

	w->has_printed = true;
	if (w->is_silent)
		return;
	if (w->is_json)
		print_json(e);
	else
		puts(event_line(e, line));
	fflush(stdout);
}

static int take_event(struct watcher *w, const json_t *json)
{
	struct err err = ERR_INIT;
	struct status_event e;
	int r = status_event_from_json(json, &e, &err);

	if (r < 0)
		return cli_fail(&err), r;
	if ((w->array && strcmp(w->array, e.array) != 0) ||
	    (e.priority >= LOG_DEBUG && !w->is_all))
		return 0;
	if (!w->is_ours_only || e.is_ours)
		print(w, &e);
	if (w->program && e.is_ours)
		call_program(w, &e);
	return ferror(stdout) ? -EPIPE : 0;
}

static int take(void *owner, const json_t *answer)
{
	const json_t *event = json_object_get(answer, "event");
	json_int_t lost = json_integer_value(json_object_get(answer, "lost"));
	struct watcher *w = owner;

	w->is_seen = true;
	if (lost > 0 && w->is_json) {
		printf("{\"lost\":%" JSON_INTEGER_FORMAT "}\n", lost);
		fflush(stdout);
	} else if (lost > 0) {
		log_warning("MDC3011", "%" JSON_INTEGER_FORMAT " events were lost: they came faster than they were taken",
			    lost);
	}
	return event ? take_event(w, event) : 0;
}

/* -errno, when the stream ends. */
static int follow(struct watcher *w, bool with_history, struct err *err)
{
	struct mdcluster *c = daemon_open(w->args, err);
	json_t *answer;

	if (!c)
		return err->code;
	answer = daemon_follow(c, "org.mdcluster.Events",
			       json_pack("{s:b}", "history", with_history), take, w, err);
	mdcluster_free(c);
	if (!answer)
		return err->code;
	json_decref(answer);
	return err_set(err, -ECONNRESET, "the daemon ended the stream of events");
}

static bool is_gone(int error)
{
	return error == -ECONNRESET || error == -ECONNREFUSED || error == -ENOENT;
}

/* It may come later, or have been: worth a word, not an error. */
static void warn_of_array(const struct watcher *w)
{
	struct err err = ERR_INIT;
	struct status s;

	if (!w->array || daemon_status(w->args, &s, &err) < 0)
		return; /* that is told with the events */
	if (!show_find_array(&s, w->array, &err))
		log_warning("MDC5522", "%s", err.text);
	status_fini(&s);
}

/* A daemon that restarts comes back: what it told before is not told again. */
static enum cli_exit follow_for_ever(struct watcher *w, bool with_history)
{
	const struct timespec pause = { .tv_sec = RECONNECT_S };
	struct err err = ERR_INIT;
	bool is_connected_once = false;

	warn_of_array(w);
	for (;;) {
		err = (struct err)ERR_INIT;
		w->is_seen = false;
		if (!is_gone(follow(w, with_history, &err)) ||
		    (!is_connected_once && err.code != -ECONNRESET))
			return cli_fail(&err);
		if (!is_connected_once || w->is_seen)
			log_warning("MDC3012", "%s; waiting for it", err.text);
		is_connected_once = true;
		with_history = false;
		nanosleep(&pause, NULL);
	}
}

static enum cli_exit show_history(struct watcher *w)
{
	struct err err = ERR_INIT;
	json_t *answer = daemon_ask(w->args, "org.mdcluster.Events",
				    json_pack("{s:b}", "history", 1), &err);
	const json_t *list = json_object_get(answer, "events");
	int r = 0;

	if (!answer)
		return cli_fail(&err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = take_event(w, json_array_get(list, i));
	json_decref(answer);
	if (r == 0 && !w->has_printed)
		warn_of_array(w);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

/* Now, and not at night with the first event. */
static int set_program(struct watcher *w, const char *program, struct err *err)
{
	w->program = program;
	if (!program)
		return 0;
	if (!strchr(program, '/'))
		return run_find(program, NULL, err);
	if (access(program, X_OK) < 0)
		return err_set(err, -errno, "%s: %s", program, strerror(errno));
	return 0;
}

/* --- events: the command ---------------------------------------------------------------- */

static const struct cli_option events_options[] = {
	{ "follow", 0, NULL, "also what happens from now on, until Ctrl-C" },
	{ "all", 'a', NULL, "also each window of a resync, and gates (with --follow)" },
	{ "array", 0, "ARRAY", "only events of this array" },
	{ "exec", 0, "PROGRAM", "call it for each event that this node reports (with --follow)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit run_events(const struct cli_args *args)
{
	struct watcher w = { .args = args, .is_json = cli_has(args, "json"),
			     .is_all = cli_has(args, "all") };
	struct err err = ERR_INIT;
	size_t count;

	cli_operands(args, &count);
	if (count > 0)
		return cli_usage("events: takes no operand (--array=ARRAY for one array)");
	if (cli_has(args, "exec") && !cli_has(args, "follow"))
		return cli_usage("events: --exec is for what happens from now on: give --follow");
	if (set_program(&w, cli_value(args, "exec"), &err) < 0)
		return cli_fail(&err);
	if (cli_has(args, "array"))
		w.array = daemon_array_name(cli_value(args, "array"));
	if (!cli_has(args, "follow"))
		return show_history(&w);
	return follow_for_ever(&w, !w.program);
}

const struct cli_command cmd_events = {
	.name = "events",
	.operands = "",
	.summary = "Show what has happened, and what happens.",
	.options = events_options,
	.run = run_events,
};

/* --- monitor: mdadm's words ------------------------------------------------------------- */

static const struct cli_option monitor_options[] = {
	{ "program", 'p', "PROGRAM", "call it for each event that this node reports" },
	{ "alert", 0, "PROGRAM", "the same" },
	{ "scan", 's', NULL, "all arrays; that is so unless one is named" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static enum cli_exit run_monitor(const struct cli_args *args)
{
	struct watcher w = { .args = args, .is_ours_only = true,
			     .is_json = cli_has(args, "json") };
	struct err err = ERR_INIT;
	const char *program;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count > 1)
		return cli_usage("monitor: name one array, or none for all");
	program = cli_value(args, "program");
	if (set_program(&w, program ? program : cli_value(args, "alert"), &err) < 0)
		return cli_fail(&err);
	w.is_silent = w.program != NULL;
	if (count > 0)
		w.array = daemon_array_name(operands[0]);
	return follow_for_ever(&w, false);
}

const struct cli_command cmd_monitor = {
	.name = "monitor",
	.mdadm_long = "monitor",
	.mdadm_letter = 'F',
	.operands = "[ARRAY]",
	.summary = "Report what happens as mdadm does: a program is called, once in the cluster.",
	.options = monitor_options,
	.run = run_monitor,
};
