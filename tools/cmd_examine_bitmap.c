/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster examine-bitmap: the slots, disk by disk, or merged over members. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/text.h"
#include "bitmap/array.h"
#include "tools/commands.h"
#include "tools/disks.h"
#include "tools/heatmap.h"
#include "tools/show.h"

static const struct cli_option options[] = {
	CLI_JSON_OPTION,
	{ "map", 'm', NULL, "draw a heat map of the dirty chunks of each slot" },
	{ "merged", 0, NULL,
	  "one report: the disks are members of one array, bits are ORed" },
	{ "watch", 'w', "SECONDS", "show again every SECONDS, until Ctrl-C" },
	CLI_COMMON_OPTIONS
};

/* One run of the command. */
struct view {
	struct disk_set set;
	bool is_json;
	bool is_map;
	bool is_merged;
	uint32_t watch_s;
	struct loop *loop; /* with watch_s */
	enum cli_exit code;
};

/* Where the slots of one report come from: one member, or all in sync. */
struct source {
	const struct md_member *head;
	struct bitmap_copy *copies;
	size_t count;
};

static int load_slot(const struct source *source, uint32_t number,
		     struct bitmap_slot *slot, struct err *err)
{
	int r = bitmap_slot_init(slot, &source->head->geo, number, err);

	return r < 0 ? r :
		       bitmap_slot_load(slot, source->copies, source->count, false, err);
}

static void report_head(const struct view *view, const struct source *source)
{
	if (!view->is_map) {
		show_bitmap(stdout, source->head);
		return;
	}
	printf("%s\n", source->head->disk->name);
	heatmap_legend(stdout, &source->head->geo, heatmap_columns(stdout));
}

static void report_slot(const struct view *view, const struct source *source,
			const struct bitmap_slot *slot, json_t *object)
{
	if (object)
		json_array_append_new(json_object_get(object, "slots"),
				      show_slot_json(slot));
	else if (view->is_map)
		heatmap_draw(stdout, slot, heatmap_columns(stdout),
			     heatmap_best_style(stdout));
	else
		show_slot(stdout, source->head, slot);
}

/* A slot that cannot be read is an error, and the others are still shown. */
static void report(struct view *view, const struct source *source, json_t *list)
{
	uint32_t nodes = source->head->geo.nodes, number;
	json_t *object = list ? show_bitmap_json(source->head) : NULL;

	if (!list)
		report_head(view, source);
	for (number = 0; number < (nodes ? nodes : 1); number++) {
		struct bitmap_slot slot;
		struct err err = ERR_INIT;

		if (load_slot(source, number, &slot, &err) == 0)
			report_slot(view, source, &slot, object);
		else
			view->code = cli_fail(&err);
		bitmap_slot_fini(&slot);
	}
	if (object)
		json_array_append_new(list, object);
}

static void report_disk(struct view *view, struct disk *disk, json_t *list)
{
	struct md_member member;
	struct err err = ERR_INIT;
	int r = md_member_load(&member, disk, &err);

	if (r == 0)
		r = md_member_load_bitmap(&member, &err);
	if (r == 0) {
		struct bitmap_copy copy = md_member_copy(&member);
		struct source source = { &member, &copy, 1 };

		report(view, &source, list);
	} else {
		view->code = cli_fail(&err);
	}
	md_member_fini(&member);
}

static void report_merged(struct view *view, json_t *list)
{
	CLEANUP_FREE struct bitmap_copy *copies =
		calloc(view->set.count, sizeof(*copies));
	struct md_array array;
	struct err err = ERR_INIT;

	if (!copies || md_array_load(&array, view->set.disks, view->set.count,
				     NULL, &err) < 0) {
		view->code = cli_fail(&err);
		return;
	}
	struct source source = { md_array_freshest(&array), copies,
				 md_array_copies(&array, true, copies) };

	report(view, &source, list);
	md_array_fini(&array);
}

static void report_all(struct view *view)
{
	json_t *list = view->is_json ? json_array() : NULL;
	size_t i;

	if (view->is_merged)
		report_merged(view, list);
	else
		for (i = 0; i < view->set.count; i++)
			if (view->set.disks[i])
				report_disk(view, view->set.disks[i], list);
	if (list)
		show_json_list(list, view->is_merged ? 1 : view->set.count);
	fflush(stdout);
}

static void watch_tick(void *owner)
{
	struct view *view = owner;
	struct err err = ERR_INIT;

	if (!view->is_json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	report_all(view);
	if (!loop_timer_start(view->loop, view->watch_s * 1000, watch_tick, view,
			      &err)) {
		view->code = cli_fail(&err);
		loop_stop(view->loop);
	}
}

static void watch_stop(void *owner)
{
	loop_stop(((struct view *)owner)->loop);
}

static int watch(struct view *view, struct err *err)
{
	int r = 0;

	view->loop = loop_new(err);
	if (!view->loop)
		return err->code;
	r = loop_signal_add(view->loop, SIGINT, watch_stop, view, err);
	if (r == 0)
		r = loop_signal_add(view->loop, SIGTERM, watch_stop, view, err);
	if (r == 0) {
		watch_tick(view);
		loop_run(view->loop);
	}
	loop_free(view->loop);
	return r;
}

/* Merged, all must open; else each that does not is an error of its own. */
static int open_disks(struct view *view, char *const *paths, size_t count,
		      struct err *err)
{
	size_t i;

	if (view->is_merged)
		return disk_set_open(&view->set, paths, count, DISK_RDONLY, false,
				     err);
	view->set.disks = calloc(count, sizeof(struct disk *));
	if (!view->set.disks)
		return err_nomem(err, "the list of disks");
	view->set.count = count;
	for (i = 0; i < count; i++) {
		view->set.disks[i] = disk_aio_open(paths[i], DISK_RDONLY, err);
		if (!view->set.disks[i])
			view->code = cli_fail(err);
	}
	return 0;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct view view = {
		.is_json = cli_has(args, "json"),
		.is_map = cli_has(args, "map"),
		.is_merged = cli_has(args, "merged"),
	};
	const char *seconds = cli_value(args, "watch");
	struct err err = ERR_INIT;
	uint64_t watch_s = 0;
	char *const *paths;
	size_t count;

	setlocale(LC_CTYPE, "");
	paths = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("examine-bitmap: name at least one disk");
	if (view.is_json && view.is_map)
		return cli_usage("examine-bitmap: --json and --map exclude each other");
	if (seconds &&
	    text_parse_u64(seconds, "watch", 1, 86400, &watch_s, &err) < 0)
		return cli_usage("%s", err.text);
	view.watch_s = (uint32_t)watch_s;
	if (open_disks(&view, paths, count, &err) < 0)
		return cli_fail(&err);
	if (view.watch_s == 0)
		report_all(&view);
	else if (watch(&view, &err) < 0)
		view.code = cli_fail(&err);
	disk_set_close(&view.set);
	return view.code;
}

const struct cli_command cmd_examine_bitmap = {
	.name = "examine-bitmap",
	.mdadm_long = "examine-bitmap",
	.mdadm_letter = 'X',
	.operands = "DISK...",
	.summary = "Show the bitmap of each disk, slot by slot.",
	.options = options,
	.run = run,
};
