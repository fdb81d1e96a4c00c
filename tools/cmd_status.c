/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster status: how it goes; its exit status tells that too. Of the daemon, and of the
 * kernel's md-cluster, which needs none.
 */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/host.h"
#include "tools/show_kernel.h"
#include "tools/show_status.h"
#include "tools/wait_array.h"

LOG_SUBSYSTEM(status);

enum { WATCH_MS = 1000, WAIT_MS = 200 };

static const struct cli_option options[] = {
	{ "watch", 'w', NULL, "show it again every second, in place, until Ctrl-C" },
	{ "wait", 0, "STATE", "wait until arrays are idle, or active; then show it" },
	{ "kernel", 0, NULL, "arrays that the kernel's md-cluster runs here; asks no daemon" },
	{ "no-color", 0, NULL, "no colours on a terminal (NO_COLOR does the same)" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* --- waiting ---------------------------------------------------------------------------- */

static bool owes(const struct status_array *a)
{
	return wait_can_resync(a) && (a->needed_bytes || a->is_single_source);
}

/*
 * Nothing resyncs, is recovered, or waits; what a failed disk leaves undone is not that: it
 * begins when a person adds one.
 */
static bool is_idle(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->member_count; i++)
		if (strcmp(a->members[i].state, "active") != 0)
			return false;
	return !wait_is_busy(a) && !owes(a) && (!a->waits[0] || a->needs_disk) &&
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

/* One look: of the daemon, of the kernel, or both. */
struct picture {
	const struct status *status;          /* NULL: no daemon was asked, or none answered */
	const struct status_array *only;      /* that one; NULL: all */
	const struct kernel_view *kernel;     /* NULL: it runs none, or it was not asked for */
	const struct kernel_view_array *only_kernel;
};

static json_t *status_json(const struct picture *p)
{
	struct status one = *p->status;

	if (p->only) {
		one.arrays = (struct status_array *)(uintptr_t)p->only; /* not written */
		one.array_count = 1;
	}
	return status_to_json(&one);
}

/* Only the array that was asked for, if one was; where both run some, the daemon's. */
static int print_json(const struct picture *p, FILE *to, struct err *err)
{
	json_t *json = p->status ? status_json(p) : show_kernel_json(p->kernel, p->only_kernel);

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

static int print_text(const struct picture *p, struct terminal *t, struct err *err)
{
	const struct show_status what = { .status = p->status, .only = p->only };
	int r = p->status ? show_status(&what, t, err) : 0;

	if (p->status && p->kernel)
		fputc('\n', t->to);
	if (r == 0 && p->kernel)
		r = show_kernel(p->kernel, p->only_kernel, t, err);
	return r;
}

static int show(const struct cli_args *args, const struct picture *what, struct err *err)
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
	r = cli_has(args, "json") ? print_json(what, memory, err) : print_text(what, &t, err);
	if (fclose(memory) != 0)
		return err_nomem(err, "the text");
	if (r == 0 && cli_has(args, "watch") && out.width && !cli_has(args, "json"))
		put_in_place(text, &out);
	else if (r == 0)
		fputs(text, stdout);
	return r;
}

static enum status_health health_of(const struct picture *p)
{
	enum status_health health = STATUS_FINE, kernel;

	if (p->status)
		health = p->only ? status_array_health(p->status, p->only) :
				   status_health(p->status);
	kernel = p->kernel ? show_kernel_health(p->kernel, p->only_kernel) : STATUS_FINE;
	return kernel > health ? kernel : health;
}

/* --- looking ---------------------------------------------------------------------------- */

/* Is what nobody of ours serves an array of the kernel's? Says so once. */
static bool may_be_the_kernels(const struct cli_args *args, const struct kernel_view *view,
			       const struct err *err)
{
	static bool is_said;

	if (cli_has(args, "wait") || view->count == 0 ||
	    (err->code != -ENOENT && err->code != -ECONNREFUSED))
		return false;
	if (!is_said)
		log_notice("MDC5860", "no mdclusterd answers: this is what the kernel's md-cluster runs here");
	is_said = true;
	return true;
}

static int choose(const char *array, struct picture *p, struct err *err)
{
	if (p->status)
		p->only = show_find_array(p->status, array, err);
	if (!p->only && p->kernel)
		p->only_kernel = kernel_view_find(p->kernel, array);
	if (p->only) {
		p->kernel = NULL;
	} else if (p->only_kernel) {
		p->status = NULL;
		*err = (struct err)ERR_INIT;
	} else if (!p->status) {
		err_set(err, -ENOENT, "the kernel of this host runs no clustered array '%s'", array);
	}
	return err->code;
}

/* The daemon, unless it is not to be asked; and the kernel, where it has something to show. */
static int take(const struct cli_args *args, struct status *s, struct kernel_view *view,
		struct picture *p, struct err *err)
{
	bool is_kernel = cli_has(args, "kernel"), is_wait = cli_has(args, "wait");
	int r = is_kernel ? 0 : daemon_status(args, s, err);
	struct err why = ERR_INIT;

	if (r == 0 && !is_kernel)
		p->status = s;
	if (!is_wait && kernel_view_take(host_root(), view, &why) < 0)
		return err_set(err, why.code, "%s", why.text);
	if (is_kernel || view->count)
		p->kernel = view;
	if (r < 0 && may_be_the_kernels(args, view, err)) {
		*err = (struct err)ERR_INIT;
		r = 0;
	}
	return r;
}

/* STATUS_UNKNOWN where it cannot be told, with a sentence. */
static enum status_health look(const struct cli_args *args, const char *array,
			       bool *is_done, struct err *err)
{
	const char *wanted = cli_value(args, "wait");
	enum status_health health = STATUS_UNKNOWN;
	struct kernel_view view = { .count = 0 };
	struct picture p = { .status = NULL };
	struct status s = { .array_count = 0 };
	int r = take(args, &s, &view, &p, err);

	if (r == 0 && array)
		r = choose(array, &p, err);
	if (r == 0) {
		*is_done = !wanted || is_reached(p.status, p.only, wanted);
		if (!*is_done || show(args, &p, err) == 0)
			health = health_of(&p);
	}
	status_fini(&s);
	kernel_view_fini(&view);
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
	if (wanted && cli_has(args, "kernel"))
		return cli_usage("status: --wait asks a daemon, --kernel none: one of both");
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
