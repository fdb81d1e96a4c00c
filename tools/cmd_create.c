/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster create: words into a plan, a look at the disks, and the writes. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "bitmap/create.h"
#include "bitmap/discover.h"
#include "bitmap/member.h"
#include "tools/commands.h"
#include "tools/disks.h"
#include "tools/host.h"
#include "tools/show.h"

LOG_SUBSYSTEM(create);

static const struct cli_option options[] = {
	{ "level", 'l', "LEVEL", "raid1 (mirror, 1) or raid10 (10)" },
	{ "raid-devices", 'n', "N", "active disks; 'missing' may stand for one" },
	{ "spare-devices", 'x', "N", "spare disks, behind the active ones" },
	{ "nodes", 0, "N", "nodes that can run it at once, 2..64 (default 4)" },
	{ "home-cluster", 0, "NAME", "name of the cluster (required), at most 63 bytes" },
	{ "name", 'N', "NAME", "name of the array (default: from NAME)" },
	{ "homehost", 0, "HOST", "host part of the name, or 'none' (default: this host)" },
	{ "uuid", 'u', "UUID", "uuid of the array (default: random)" },
	{ "layout", 'p', "nN", "raid10: number of near copies (default n2)" },
	{ "chunk", 'c', "SIZE", "raid10: chunk size (default 512K)" },
	{ "size", 'z', "SIZE", "data on each disk, or 'max' (default)" },
	{ "data-offset", 0, "SIZE", "where data starts on each disk (default as mdadm)" },
	{ "bitmap-chunk", 0, "SIZE", "array bytes a bitmap bit covers (default 64M or more)" },
	{ "delay", 'd', "SECONDS", "idle time before bits are cleared (default 5)" },
	{ "assume-clean", 0, NULL, "the disks are equal already: no first resync" },
	{ "bitmap", 'b', "clustered", "accepted for mdadm's sake; the only kind there is" },
	{ "metadata", 'e', "1.2", "accepted for mdadm's sake; the only kind there is" },
	{ "run", 'R', NULL, "do not ask when one disk is much larger than the others" },
	{ "force", 'f', NULL, "overwrite disks that hold something" },
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

static int parse_level(const char *text, int *level, struct err *err)
{
	static const char *const raid1[] = { "raid1", "mirror", "1" };
	static const char *const raid10[] = { "raid10", "10" };
	size_t i;

	if (!text)
		return err_set(err, -EINVAL, "create: --level is required");
	for (i = 0; i < ARRAY_SIZE(raid1); i++)
		if (strcmp(text, raid1[i]) == 0)
			*level = MD_LEVEL_RAID1;
	for (i = 0; i < ARRAY_SIZE(raid10); i++)
		if (strcmp(text, raid10[i]) == 0)
			*level = MD_LEVEL_RAID10;
	return *level ? 0 :
			err_set(err, -EINVAL,
				"level: '%s': only raid1 and raid10 can be clustered",
				text);
}

/* "n2"; far and offset layouts have other letters, and are refused by name. */
static int parse_layout(const char *text, uint32_t *copies, struct err *err)
{
	uint64_t n = 0;

	if (!text)
		return 0;
	if (text[0] == 'f' || text[0] == 'o')
		return err_set(err, -EINVAL,
			       "layout: '%s': only near layouts (n2, n3) can be clustered",
			       text);
	if (text[0] != 'n' ||
	    text_parse_u64(text + 1, "layout", 2, 255, &n, err) < 0)
		return err_set(err, -EINVAL, "layout: '%s' is not n2, n3, ...",
			       text);
	*copies = (uint32_t)n;
	return 0;
}

static int parse_number(const struct cli_args *args, const char *option,
			uint64_t min, uint64_t max, uint32_t *value,
			struct err *err)
{
	const char *text = cli_value(args, option);
	uint64_t v = 0;
	int r = 0;

	if (text) {
		r = text_parse_u64(text, option, min, max, &v, err);
		*value = (uint32_t)v;
	}
	return r;
}

static int parse_size(const struct cli_args *args, const char *option,
		      uint64_t max_sectors, uint64_t *sectors, struct err *err)
{
	const char *text = cli_value(args, option);
	int r = 0;

	if (!text || (strcmp(option, "size") == 0 && strcmp(text, "max") == 0))
		return 0;
	r = text_parse_sectors(text, option, sectors, err);
	if (r == 0 && (*sectors == 0 || *sectors > max_sectors))
		r = err_set(err, -ERANGE, "%s: %s is out of range", option, text);
	return r;
}

/* The words that can have one value only. */
static int check_fixed(const struct cli_args *args, struct err *err)
{
	const char *bitmap = cli_value(args, "bitmap");
	const char *metadata = cli_value(args, "metadata");

	if (bitmap && strcmp(bitmap, "clustered") != 0)
		return err_set(err, -EINVAL,
			       "bitmap: '%s': only 'clustered' arrays are created here",
			       bitmap);
	if (metadata && strcmp(metadata, "1.2") != 0)
		return err_set(err, -EINVAL,
			       "metadata: '%s': clustered arrays need 1.2",
			       metadata);
	return 0;
}

/*
 * mdadm's names: "/dev/md/web" and "web" are "web", "/dev/md0" is "0"; the
 * host stands before it unless that makes it too long or it is 'none'.
 */
static int make_name(const struct cli_args *args, const char *operand,
		     char to[MD_NAME_BYTES + 1], struct err *err)
{
	const char *given = cli_value(args, "name");
	const char *homehost = cli_value(args, "homehost");
	const char *name = given ? given : operand;
	struct md_sb scratch;
	char host[65] = "";

	if (!given && strncmp(name, "/dev/", 5) == 0)
		name += 5;
	if (!given && strncmp(name, "md/", 3) == 0)
		name += 3;
	else if (!given && strncmp(name, "md", 2) == 0 &&
		 isdigit((unsigned char)name[2]))
		name += 2;
	if (md_sb_set_name(&scratch, name, err) < 0)
		return err->code;
	if (!homehost)
		gethostname(host, sizeof(host) - 1);
	else if (strcmp(homehost, "none") != 0)
		snprintf(host, sizeof(host), "%s", homehost);
	host[strcspn(host, ".")] = '\0';
	if (!host[0] || strchr(name, ':') ||
	    snprintf(to, MD_NAME_BYTES + 1, "%s:%s", host, name) > MD_NAME_BYTES)
		snprintf(to, MD_NAME_BYTES + 1, "%s", name);
	return 0;
}

static int parse(const struct cli_args *args, struct md_create_params *p,
		 uint8_t uuid[16], struct err *err)
{
	const char *uuid_text = cli_value(args, "uuid");
	uint64_t chunk = 0, bitmap_chunk = 0, now_us = clock_wall_us();
	int r = check_fixed(args, err);

	if (r == 0)
		r = parse_level(cli_value(args, "level"), &p->level, err);
	if (r == 0 && !cli_has(args, "raid-devices"))
		r = err_set(err, -EINVAL, "create: --raid-devices is required");
	if (r == 0 && !cli_has(args, "home-cluster"))
		r = err_set(err, -EINVAL, "create: --home-cluster is required");
	if (r == 0)
		r = parse_number(args, "raid-devices", 2, MD_SB_MAX_DEV,
				 &p->raid_disks, err);
	if (r == 0)
		r = parse_number(args, "spare-devices", 0, MD_SB_MAX_DEV,
				 &p->spare_disks, err);
	if (r == 0)
		r = parse_number(args, "nodes", BITMAP_MIN_NODES,
				 BITMAP_MAX_NODES, &p->nodes, err);
	if (r == 0)
		r = parse_number(args, "delay", 1, 86400, &p->daemon_sleep_s,
				 err);
	if (r == 0)
		r = parse_layout(cli_value(args, "layout"), &p->near_copies, err);
	if (r == 0)
		r = parse_size(args, "chunk", 1u << 31, &chunk, err);
	if (r == 0)
		r = parse_size(args, "bitmap-chunk", 1u << 22, &bitmap_chunk,
			       err);
	if (r == 0)
		r = parse_size(args, "size", UINT64_MAX / SECTOR_BYTES,
			       &p->size_sectors, err);
	if (r == 0)
		r = parse_size(args, "data-offset", UINT64_MAX / SECTOR_BYTES,
			       &p->data_offset_sectors, err);
	if (r == 0 && uuid_text) {
		p->uuid = uuid;
		r = text_parse_uuid(uuid_text, "uuid", uuid, err);
	}
	p->chunk_sectors = (uint32_t)chunk;
	p->bitmap_chunk_bytes = (uint32_t)(bitmap_chunk * SECTOR_BYTES);
	p->cluster_name = cli_value(args, "home-cluster");
	p->is_assume_clean = cli_has(args, "assume-clean");
	p->now_s = now_us / 1000000;
	p->now_us = (uint32_t)(now_us % 1000000);
	return r;
}

/* What stands on the disks before we write. */
struct holdings {
	struct md_signature (*found)[MD_MAX_SIGNATURES];
	int *count;
};

/* By another path, say, than the one that is given: --force does not help there. */
static int check_owner(struct disk *disk, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct md_member old;
	int r = 0;

	if (md_member_load(&old, disk, &ignored) == 0)
		r = host_refuse(old.sb.set_uuid, disk->name, err);
	md_member_fini(&old);
	return r;
}

static int look_at_disks(const struct disk_set *set, bool is_forced,
			 struct holdings *holdings, struct err *err)
{
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct md_signature *first = holdings->found[i];

		if (!set->disks[i])
			continue;
		if (check_owner(set->disks[i], err) < 0)
			return err->code;
		holdings->count[i] = md_discover_contents(
			set->disks[i]->name, holdings->found[i], err);
		if (holdings->count[i] < 0)
			return holdings->count[i];
		if (holdings->count[i] > 0 && !is_forced)
			return err_set(err, -EEXIST,
				       "%s: already holds: %s%s%s%s; nothing was written (--force overwrites it)",
				       set->disks[i]->name, first->what,
				       first->label[0] ? " '" : "", first->label,
				       first->label[0] ? "'" : "");
	}
	return 0;
}

/*
 * What the disk held must not be found any more. With assume_clean what lies in
 * the data is left: it is the array's, as when one is created again to get at
 * its data.
 */
static int erase_signatures(struct disk *disk, const struct md_create_plan *plan,
			    const struct md_signature *found, int count,
			    struct err *err)
{
	uint64_t metadata_start = plan->sb.super_offset * SECTOR_BYTES;
	uint64_t metadata_end = bitmap_end_bytes(&plan->geo);
	uint64_t data_start = plan->sb.data_offset * SECTOR_BYTES;
	uint64_t data_end = data_start + plan->sb.size * SECTOR_BYTES;
	bool is_data_kept = plan->sb.resync_offset == MD_MAX_SECTOR;
	int i, r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		uint64_t at = found[i].offset_bytes;

		if (is_data_kept && at >= data_start && at < data_end)
			continue;
		r = md_discover_erase(disk, &found[i], 1, metadata_start,
				      metadata_end, err);
	}
	return r;
}

/*
 * A 1.2 array on the disk stays whole until the new one takes its place: what
 * else there is goes afterwards. Anything else is broken by the first write of
 * ours, so its signatures go first: a disk that holds nothing is better than
 * one that looks mountable.
 */
static int erase_old(const struct disk_set *set,
		     const struct md_create_plan *plan,
		     const struct holdings *holdings, bool is_before,
		     struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < set->count; i++) {
		struct md_member old;
		struct err ignored = ERR_INIT;
		bool has_array;

		if (!set->disks[i] || holdings->count[i] == 0)
			continue;
		has_array = md_member_load(&old, set->disks[i], &ignored) == 0 &&
			    old.minor == MD_MINOR_2;
		md_member_fini(&old);
		if (is_before != has_array)
			r = erase_signatures(set->disks[i], plan,
					     holdings->found[i],
					     holdings->count[i], err);
	}
	return r;
}

/* mdadm's question, when more than 1 % of a disk would lie idle. */
static int ask_about_sizes(const struct md_create_plan *plan, bool is_run,
			   struct err *err)
{
	uint64_t idle = plan->largest_sectors - plan->sb.size;
	char size[TEXT_SIZE_BYTES], largest[TEXT_SIZE_BYTES], answer[8];

	if (idle * 100 <= plan->largest_sectors)
		return 0;
	log_warning("MDC3003", "the largest disk has room for %s, the array uses %s of each",
		    text_size(plan->largest_sectors * SECTOR_BYTES, largest),
		    text_size(plan->sb.size * SECTOR_BYTES, size));
	if (is_run)
		return 0;
	if (!isatty(STDIN_FILENO))
		return err_set(err, -ECANCELED,
			       "create: give --run to leave that much of a disk unused; nothing was written");
	fprintf(stderr, "Continue creating array? ");
	if (!fgets(answer, sizeof(answer), stdin) ||
	    (answer[0] != 'y' && answer[0] != 'Y'))
		return err_set(err, -ECANCELED,
			       "create: aborted; nothing was written");
	return 0;
}

/* A bar on a terminal, for bitmaps that take a while. */
struct bar {
	struct md_progress progress;
	uint64_t started_ns;
};

static void draw_bar(struct md_progress *progress, uint64_t done, uint64_t total)
{
	struct bar *bar = container_of(progress, struct bar, progress);
	char line[] = "....................";
	uint64_t filled = done * (sizeof(line) - 1) / total;

	if (!isatty(STDERR_FILENO) ||
	    clock_boot_ns() - bar->started_ns < NS_PER_S / 2)
		return;
	memset(line, '=', filled);
	fprintf(stderr, "\r[%s] slot %" PRIu64 " of %" PRIu64 "%s", line, done,
		total, done == total ? "\n" : "");
}

static void say_done(const struct md_create_plan *plan, const char *name,
		     bool is_json)
{
	char uuid[TEXT_UUID_BYTES], size[TEXT_SIZE_BYTES];
	uint64_t bytes = plan->bitmap.sync_size * SECTOR_BYTES;

	text_uuid(plan->sb.set_uuid, uuid);
	if (is_json) {
		json_t *o = json_pack(
			"{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
			"schema", SHOW_JSON_SCHEMA, "uuid", uuid, "name",
			show_json_text(name, SIZE_MAX), "cluster_name",
			show_json_text(bitmap_sb_cluster_name(&plan->bitmap),
				       SIZE_MAX),
			"nodes", (json_int_t)plan->bitmap.nodes, "array_bytes",
			(json_int_t)bytes, "size_sectors",
			(json_int_t)plan->sb.size, "data_offset_sectors",
			(json_int_t)plan->sb.data_offset, "chunk_bytes",
			(json_int_t)plan->bitmap.chunksize, "slot_bytes",
			(json_int_t)plan->geo.slot_bytes);

		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
		return;
	}
	printf("array %s created: %s, %s, %s, %u nodes of cluster %s\n", name,
	       uuid, show_level(plan->sb.level), text_size(bytes, size),
	       plan->bitmap.nodes, bitmap_sb_cluster_name(&plan->bitmap));
}

static int make_plan(const struct md_create_params *p,
		     const struct disk_set *set, char *const *paths,
		     struct md_create_plan *plan, struct err *err)
{
	CLEANUP_FREE uint64_t *sectors = calloc(set->count + 1, sizeof(*sectors));
	size_t i;

	if (!sectors)
		return err_nomem(err, "the sizes of the disks");
	for (i = 0; i < set->count; i++)
		sectors[i] = set->disks[i] ? disk_sectors(set->disks[i]) : 0;
	return md_create_make_plan(p, sectors, (const char *const *)paths,
				   set->count, plan, err);
}

static int create(const struct cli_args *args, const struct md_create_params *p,
		  char *const *paths, size_t count, struct err *err)
{
	struct holdings holdings = {
		.found = calloc(count + 1, sizeof(*holdings.found)),
		.count = calloc(count + 1, sizeof(*holdings.count)),
	};
	struct bar bar = { { draw_bar }, clock_boot_ns() };
	struct md_create_plan plan;
	struct disk_set set = { 0 };
	int r = 0;

	if (!holdings.found || !holdings.count)
		r = err_nomem(err, "what the disks hold");
	if (r == 0)
		r = disk_set_open(&set, paths, count, DISK_RDWR, true, err);
	if (r == 0)
		r = make_plan(p, &set, paths, &plan, err);
	if (r == 0)
		r = look_at_disks(&set, cli_has(args, "force"), &holdings, err);
	if (r == 0)
		r = ask_about_sizes(&plan, cli_has(args, "run"), err);
	if (r == 0)
		r = erase_old(&set, &plan, &holdings, true, err);
	if (r == 0)
		r = md_create_execute(&plan, set.disks, set.count,
				      cli_has(args, "quiet") ? NULL :
							       &bar.progress,
				      err);
	if (r == 0)
		r = erase_old(&set, &plan, &holdings, false, err);
	if (r == 0 && (cli_has(args, "json") || !cli_has(args, "quiet")))
		say_done(&plan, p->name, cli_has(args, "json"));
	disk_set_close(&set);
	free(holdings.found);
	free(holdings.count);
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct md_create_params params = { 0 };
	struct err err = ERR_INIT;
	char name[MD_NAME_BYTES + 1];
	char *const *operands;
	uint8_t uuid[16];
	size_t count;

	operands = cli_operands(args, &count);
	if (count < 2)
		return cli_usage("create: give the name of the array, then its disks");
	if (parse(args, &params, uuid, &err) < 0 ||
	    make_name(args, operands[0], name, &err) < 0)
		return cli_usage("%s", err.text);
	params.name = name;
	if (create(args, &params, operands + 1, count - 1, &err) < 0)
		return cli_fail(&err);
	return CLI_OK;
}

const struct cli_command cmd_create = {
	.name = "create",
	.mdadm_long = "create",
	.mdadm_letter = 'C',
	.operands = "NAME DISK...",
	.summary = "Create a clustered array on disks.",
	.options = options,
	.run = run,
};
