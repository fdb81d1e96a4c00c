/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster update: changes an array that nobody runs; of one that runs its name alone, by the
 * daemons that run it. All else is on the disks at places that whoever runs it relies on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/err.h"
#include "base/text.h"
#include "bitmap/array.h"
#include "bitmap/update.h"
#include "mdclusterd/control/status.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/disks.h"
#include "tools/host.h"
#include "tools/show.h"
#include "tools/show_status.h"

static const struct cli_option options[] = {
	{ "nodes", 0, "N", "number of slots (nodes), 2..64; dirty bits are kept" },
	{ "home-cluster", 0, "NAME", "name of the cluster, at most 63 bytes" },
	{ "name", 'N', "NAME", "name of the array, at most 32 bytes" },
	{ "homehost", 0, "HOST", "before the colon of the name; a plain array is that host's alone, or any's" },
	{ "uuid", 'u', "UUID", "uuid of the array, or the word 'random'" },
	{ "gather", 0, NULL,
	  "move the dirty bits of all slots to slot 0 (before the kernel takes over)" },
	{ "mark", 0, "SLOT:A-B",
	  "mark chunks A to B dirty: resynced at the next start; repeatable" },
	{ "force", 'f', NULL, "go on though members are missing: they fall behind" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* "SLOT:FIRST-LAST" or "SLOT:CHUNK" */
static int parse_mark(const char *text, struct md_mark *mark, struct err *err)
{
	char copy[64], *colon, *dash;
	uint64_t slot;
	int r;

	if (strlen(text) >= sizeof(copy) || !strchr(text, ':'))
		return err_set(err, -EINVAL,
			       "mark: '%s' is not SLOT:FIRST-LAST", text);
	strcpy(copy, text);
	colon = strchr(copy, ':');
	*colon++ = '\0';
	dash = strchr(colon, '-');
	if (dash)
		*dash++ = '\0';
	r = text_parse_u64(copy, "mark: slot", 0, BITMAP_MAX_NODES - 1, &slot,
			   err);
	if (r == 0)
		r = text_parse_u64(colon, "mark: first chunk", 0, UINT64_MAX,
				   &mark->first, err);
	if (r == 0)
		r = text_parse_u64(dash ? dash : colon, "mark: last chunk", 0,
				   UINT64_MAX, &mark->last, err);
	mark->slot = (uint32_t)slot;
	return r;
}

static int parse_marks(const struct cli_args *args, struct md_mark **marks,
		       size_t *count, struct err *err)
{
	const char *text;
	size_t cursor = 0;
	int r = 0;

	*count = 0;
	*marks = NULL;
	while (r == 0 && (text = cli_next_value(args, "mark", &cursor))) {
		struct md_mark *more =
			reallocarray(*marks, *count + 1, sizeof(**marks));

		if (!more)
			return err_nomem(err, "the marks");
		*marks = more;
		r = parse_mark(text, &more[(*count)++], err);
	}
	return r;
}

static int parse(const struct cli_args *args, struct md_update *update,
		 uint8_t uuid[16], struct err *err)
{
	const char *nodes = cli_value(args, "nodes");
	const char *uuid_text = cli_value(args, "uuid");
	uint64_t n = 0;
	int r = 0;

	if (nodes)
		r = text_parse_u64(nodes, "nodes", BITMAP_MIN_NODES,
				   BITMAP_MAX_NODES, &n, err);
	update->nodes = (uint32_t)n;
	update->cluster_name = cli_value(args, "home-cluster");
	update->name = cli_value(args, "name");
	update->host = cli_value(args, "homehost");
	update->is_gathered = cli_has(args, "gather");
	update->is_forced = cli_has(args, "force");
	if (r == 0 && uuid_text) {
		update->uuid = uuid;
		if (strcmp(uuid_text, "random") == 0)
			uuid_generate_random(uuid);
		else
			r = text_parse_uuid(uuid_text, "uuid", uuid, err);
	}
	return r;
}

static bool asks_for_something(const struct md_update *u)
{
	return u->nodes || u->cluster_name || u->name || u->host || u->uuid ||
	       u->is_gathered || u->mark_count;
}

/* What the array is called afterwards. */
static void print_json(const struct md_array *array)
{
	const struct md_member *m = md_array_freshest(array);
	char uuid[TEXT_UUID_BYTES], name[MD_NAME_BYTES + 1];
	json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:i, s:i}", "schema",
			      SHOW_JSON_SCHEMA, "uuid",
			      text_uuid(m->sb.set_uuid, uuid), "name",
			      show_json_text(md_sb_name(&m->sb, name), SIZE_MAX),
			      "cluster_name",
			      show_json_text(bitmap_sb_cluster_name(&m->bitmap),
					     SIZE_MAX),
			      "nodes",
			      (int)m->bitmap.nodes, "disks", (int)array->count);

	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static int apply(const struct cli_args *args, const struct md_update *update,
		 char *const *paths, size_t count, struct err *err)
{
	bool is_silent = cli_has(args, "quiet") || cli_has(args, "json");
	char text[TEXT_UUID_BYTES];
	struct disk_set set;
	struct md_array array;
	int r = disk_set_open(&set, paths, count, DISK_RDWR, false, err);

	if (r < 0)
		return r;
	r = md_update_load(&array, set.disks, set.count, update, err);
	if (r == 0) {
		r = host_refuse(md_array_freshest(&array)->sb.set_uuid, paths[0], err);
		if (r == 0)
			r = md_update_check(&array, update, err);
		if (r == 0 && update->uuid && !is_silent)
			printf("new uuid: %s (if this is interrupted, give the same --uuid again)\n",
			       text_uuid(update->uuid, text));
		fflush(stdout);
		if (r == 0)
			r = md_update_apply(&array, update, err);
		if (r == 0 && cli_has(args, "json"))
			print_json(&array);
		md_array_fini(&array);
	}
	disk_set_close(&set);
	return r;
}

/* --- an array that runs ------------------------------------------------------------------- */

static const char *beyond_the_name(const struct md_update *u)
{
	return u->nodes	       ? "nodes" :
	       u->cluster_name ? "home-cluster" :
	       u->host	       ? "homehost" :
	       u->uuid	       ? "uuid" :
	       u->is_gathered  ? "gather" :
	       u->mark_count   ? "mark" :
				 NULL;
}

/* Who must stop it first, by name. */
static int refuse(const struct cli_args *args, const char *array, const char *option,
		  struct err *err)
{
	char nodes[256] = "", name[STATUS_TEXT];
	struct status s;
	int at = 0, r = daemon_status(args, &s, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < s.array_count; i++)
		for (uint32_t k = 0; strcmp(s.arrays[i].name, array) == 0 &&
				     k < s.arrays[i].member_count; k++)
			if ((size_t)at < sizeof(nodes))
				at += snprintf(nodes + at, sizeof(nodes) - (size_t)at, "%s%s",
					       at ? ", " : "",
					       show_status_node(&s, s.arrays[i].members[k].node,
								name));
	status_fini(&s);
	if (!*nodes)
		return err_set(err, -ENOENT,
			       "update: '%s' is no disk, and no array that runs here: name all disks of the array",
			       array);
	return err_set(err, -EBUSY,
		       "%s: --%s is for an array that nobody runs: it is active on %s: stop it there, then name its disks",
		       array, option, nodes);
}

static int update_array(const struct cli_args *args, const struct md_update *update,
			const char *word, struct err *err)
{
	const char *array = daemon_array_name(word), *beyond = beyond_the_name(update);
	struct mdcluster *c;
	json_t *answer;

	if (beyond)
		return refuse(args, array, beyond, err);
	c = daemon_open(args, err);
	if (!c)
		return err->code;
	answer = daemon_follow(c, "org.mdcluster.Grow",
			       json_pack("{s:s, s:s}", "array", array, "name", update->name), NULL,
			       NULL, err);
	mdcluster_free(c);
	json_decref(answer);
	return answer ? 0 : err->code;
}

static bool is_array(char *const *words, size_t count)
{
	return count == 1 && !disk_is_named(words[0]) &&
	       (!strchr(words[0], '/') || strncmp(words[0], "/dev/md", 7) == 0);
}

static enum cli_exit run(const struct cli_args *args)
{
	struct md_update update = { 0 };
	struct md_mark *marks = NULL;
	struct err err = ERR_INIT;
	enum cli_exit code = CLI_OK;
	uint8_t uuid[16];
	char *const *paths = NULL;
	size_t count = 0;

	if (parse(args, &update, uuid, &err) < 0 ||
	    parse_marks(args, &marks, &update.mark_count, &err) < 0) {
		free(marks);
		return cli_usage("%s", err.text);
	}
	update.marks = marks;
	paths = cli_operands(args, &count);
	if (!asks_for_something(&update))
		code = cli_usage("update: nothing to change is given (mdcluster update --help)");
	else if (count == 0)
		code = cli_usage("update: name all members of the array");
	else if (is_array(paths, count) && cli_has(args, "json"))
		code = cli_usage("update: --json tells of disks: of an array that runs, mdcluster status --json");
	else if (is_array(paths, count))
		code = update_array(args, &update, paths[0], &err) < 0 ? cli_fail(&err) : CLI_OK;
	else if (apply(args, &update, paths, count, &err) < 0)
		code = cli_fail(&err);
	free(marks);
	return code;
}

const struct cli_command cmd_update = {
	.name = "update",
	.operands = "ARRAY|DISK...",
	.summary = "Change an array that no node runs, or the name of one that runs.",
	.options = options,
	.run = run,
};
