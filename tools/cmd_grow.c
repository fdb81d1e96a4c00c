/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster grow: another size, number of disks, or kind of bitmap. Of an array by its name, by
 * the daemons that run it; of the disks of one that nobody runs, here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/host.h"
#include "base/text.h"
#include "bitmap/array.h"
#include "bitmap/grow.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/disks.h"
#include "tools/host.h"
#include "tools/show.h"

static const struct cli_option options[] = {
	{ "size", 'z', "SIZE", "data on each disk, or 'max': all there is" },
	{ "raid-devices", 'n', "N", "raid1: number of copies; a spare takes a new one" },
	{ "bitmap", 'b', "KIND", "none, internal (of one node, plain md), or clustered" },
	{ "nodes", 0, "N", "clustered: number of slots (default 4)" },
	{ "home-cluster", 0, "NAME", "clustered: name of the cluster" },
	{ "name", 'N', "NAME", "name of an array that runs, at most 32 bytes" },
	{ "assume-clean", 0, NULL, "what is new is equal on all disks: no resync of it" },
	{ "force", 'f', NULL, "a smaller size: what lies beyond is lost" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static int parse_bitmap(const char *word, enum md_bitmap_kind *kind, struct err *err)
{
	*kind = MD_BITMAP_AS_IS;
	if (!word)
		return 0;
	if (strcmp(word, "none") == 0)
		*kind = MD_BITMAP_NONE;
	else if (strcmp(word, "internal") == 0)
		*kind = MD_BITMAP_INTERNAL;
	else if (strcmp(word, "clustered") == 0)
		*kind = MD_BITMAP_CLUSTERED;
	else
		return err_set(err, -EINVAL,
			       "bitmap: '%s' is none of none, internal, clustered", word);
	return 0;
}

static int parse(const struct cli_args *args, struct md_grow *grow, struct err *err)
{
	const char *size = cli_value(args, "size");
	const char *disks = cli_value(args, "raid-devices");
	const char *nodes = cli_value(args, "nodes");
	uint64_t n = 0;
	int r = parse_bitmap(cli_value(args, "bitmap"), &grow->bitmap, err);

	if (r == 0 && size && strcmp(size, "max") == 0)
		grow->size = MD_GROW_MAX;
	else if (r == 0 && size)
		r = text_parse_sectors(size, "size", &grow->size, err);
	if (r == 0 && size && (grow->size == 0 || (grow->size > INT64_MAX &&
						   grow->size != MD_GROW_MAX)))
		r = err_set(err, -ERANGE, "size: %s is out of range", size);
	if (r == 0 && disks)
		r = text_parse_u64(disks, "raid-devices", 2, MD_SB_MAX_DEV, &n, err);
	grow->raid_disks = (uint32_t)n;
	n = 0;
	if (r == 0 && nodes)
		r = text_parse_u64(nodes, "nodes", BITMAP_MIN_NODES, BITMAP_MAX_NODES, &n, err);
	grow->nodes = (uint32_t)n;
	grow->cluster_name = cli_value(args, "home-cluster");
	grow->is_assume_clean = cli_has(args, "assume-clean");
	grow->is_forced = cli_has(args, "force");
	return r;
}

static bool is_plain_kind(enum md_bitmap_kind kind)
{
	return kind == MD_BITMAP_NONE || kind == MD_BITMAP_INTERNAL;
}

/* The numbers are its own from here on. */
static void print_json(const char *array, json_t *size, json_t *sectors, json_t *disks,
		       const char *bitmap)
{
	json_t *o = json_pack("{s:s, s:s?, s:o?, s:o?, s:o?, s:s}", "schema", SHOW_JSON_SCHEMA,
			      "array", array, "size_sectors", size, "array_sectors", sectors,
			      "raid_disks", disks, "bitmap", bitmap);

	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

/* --- disks that nobody runs -------------------------------------------------------------- */

static void tell(const struct cli_args *args, const struct md_array *array)
{
	const struct md_member *m = md_array_freshest(array);

	if (!cli_has(args, "json"))
		return; /* as asked */
	print_json(NULL, json_integer((json_int_t)m->sb.size),
		   json_integer((json_int_t)md_sb_sync_size(&m->sb)),
		   json_integer((json_int_t)m->sb.raid_disks),
		   !m->has_bitmap			       ? "none" :
		   m->bitmap.version == BITMAP_VERSION_PLAIN ? "internal" :
							       "clustered");
}

/* Whose what becomes plain is: this host's. */
static int take_host(struct md_grow *grow, char host[HOST_NAME_BYTES], struct err *err)
{
	if (!is_plain_kind(grow->bitmap))
		return 0;
	grow->host = host;
	return host_name(host, err);
}

static int grow_disks(const struct cli_args *args, struct md_grow *grow,
		      char *const *paths, size_t count, struct err *err)
{
	char host[HOST_NAME_BYTES];
	struct disk_set set;
	struct md_array array;
	int r = take_host(grow, host, err);

	if (r == 0)
		r = disk_set_open(&set, paths, count, DISK_RDWR, false, err);

	if (r < 0)
		return r;
	r = md_array_load_halves(&array, set.disks, set.count, err);
	if (r == 0) {
		r = host_refuse(md_array_freshest(&array)->sb.set_uuid, paths[0], err);
		if (r == 0 && array.is_halved)
			r = md_grow_finish(&array, err);
		if (r == 0)
			r = md_grow_apply(&array, grow, err);
		if (r == 0)
			tell(args, &array);
		md_array_fini(&array);
	}
	disk_set_close(&set);
	return r;
}

/* --- an array that runs --------------------------------------------------------------------- */

static json_t *parameters_of(const struct cli_args *args, const struct md_grow *grow,
			     const char *array)
{
	json_t *o = json_pack("{s:s}", "array", array);

	if (grow->size == MD_GROW_MAX)
		json_object_set_new(o, "max", json_true());
	else if (grow->size)
		json_object_set_new(o, "size", json_integer((json_int_t)grow->size));
	if (grow->raid_disks)
		json_object_set_new(o, "raid_devices", json_integer(grow->raid_disks));
	if (grow->bitmap != MD_BITMAP_AS_IS)
		json_object_set_new(o, "bitmap", json_string(cli_value(args, "bitmap")));
	if (cli_has(args, "name"))
		json_object_set_new(o, "name", json_string(cli_value(args, "name")));
	if (grow->is_assume_clean)
		json_object_set_new(o, "assume_clean", json_true());
	return o;
}

static json_t *member_of(const json_t *answer, const char *key)
{
	json_t *value = json_object_get(answer, key);

	return value ? json_incref(value) : json_null();
}

static void tell_answer(const struct cli_args *args, const struct md_grow *grow,
			const char *array, const json_t *answer)
{
	bool is_farewell = is_plain_kind(grow->bitmap);

	if (cli_has(args, "json"))
		print_json(array, member_of(answer, "size"), member_of(answer, "sectors"),
			   member_of(answer, "raid_devices"),
			   is_farewell ? cli_value(args, "bitmap") : "clustered");
	else if (is_farewell && !cli_has(args, "quiet"))
		printf("%s: is stopped, and an array of no cluster any more: "
		       "this host's alone, for mdadm to run (update --homehost gives it to another)\n",
		       array);
}

/* Waits as long as it takes: all nodes stop their I/O for it. */
static int grow_array(const struct cli_args *args, const struct md_grow *grow,
		      const char *word, struct err *err)
{
	const char *array = daemon_array_name(word);
	struct mdcluster *c = daemon_open(args, err);
	json_t *answer;

	if (!c)
		return err->code;
	answer = daemon_follow(c, "org.mdcluster.Grow", parameters_of(args, grow, array), NULL,
			       NULL, err);
	mdcluster_free(c);
	if (!answer) {
		daemon_doubt(err);
		return err->code;
	}
	tell_answer(args, grow, array, answer);
	json_decref(answer);
	return 0;
}

/* --- which of the two ------------------------------------------------------------------------ */

static bool asks_for_something(const struct cli_args *args, const struct md_grow *grow)
{
	return grow->size || grow->raid_disks || grow->bitmap != MD_BITMAP_AS_IS ||
	       cli_has(args, "name");
}

static enum cli_exit run(const struct cli_args *args)
{
	struct md_grow grow = { .size = 0 };
	struct err err = ERR_INIT;
	char *const *words;
	size_t count = 0;
	bool is_live;
	int r;

	if (parse(args, &grow, &err) < 0)
		return cli_usage("%s", err.text);
	words = cli_operands(args, &count);
	if (!asks_for_something(args, &grow))
		return cli_usage("grow: nothing to change is given (mdcluster grow --help)");
	if (count == 0)
		return cli_usage("grow: name the array that runs, or all disks of one that nobody runs");
	is_live = count == 1 && !disk_is_named(words[0]);
	if (is_live && grow.bitmap == MD_BITMAP_CLUSTERED)
		return cli_usage("grow: an array that the daemon runs is clustered: name the disks of one that is not");
	if (!is_live && cli_has(args, "name"))
		return cli_usage("grow: the name is changed by mdcluster update where nobody runs the array");
	r = is_live ? grow_array(args, &grow, words[0], &err) :
		      grow_disks(args, &grow, words, count, &err);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cmd_grow = {
	.name = "grow",
	.mdadm_long = "grow",
	.mdadm_letter = 'G',
	.operands = "ARRAY|DISK...",
	.summary = "Another size, number of disks, or kind of bitmap.",
	.options = options,
	.run = run,
};
