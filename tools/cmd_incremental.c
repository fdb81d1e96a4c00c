/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster incremental: a disk has appeared, or vanished; udev says so. The superblock is
 * read here, so that a disk which hangs keeps nobody waiting but who has named it; the
 * daemon is told, decides, and answers at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/text.h"
#include "bitmap/disk.h"
#include "bitmap/member.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/export.h"
#include "tools/guard.h"

LOG_SUBSYSTEM(guard);

enum { INCREMENTAL_NOT_OURS = 3 };

static const struct cli_option options[] = {
	{ "fail", 'f', NULL, "it has vanished: arrays that use it fail it (mdadm's -If)" },
	{ "export", 0, NULL, "KEY=VALUE lines for udev" },
	{ "syslog", 'y', NULL, "a disk that is kept from this host is told of in the system's log" },
	{ "path", 0, "ID", "taken for mdadm's sake, and not looked at" },
	{ "offroot", 0, NULL, "taken for mdadm's sake, and not looked at" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* As given, whatever of that is a path, and what it leads to; a name is one below /dev. */
static json_t *names_of(char *const *words, size_t count)
{
	json_t *names = json_array();

	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *real = realpath(words[i], NULL);

		if (words[i][0] == '/')
			json_array_append_new(names, json_string(words[i]));
		else if (!real && !strchr(words[i], '/'))
			json_array_append_new(names, json_sprintf("/dev/%s", words[i]));
		if (real && strcmp(real, words[i]) != 0)
			json_array_append_new(names, json_string(real));
	}
	return names;
}

/* --- it appears ------------------------------------------------------------------------- */

struct seen {
	struct md_member member;
	char cluster[BITMAP_CLUSTER_NAME_BYTES + 1];
};

/* 0: a member of a clustered array; -EMEDIUMTYPE: it is none; -EXDEV: nor mdadm's here. */
static int read_member(const char *path, struct seen *s, struct err *err)
{
	struct disk *disk = disk_aio_open(path, DISK_RDONLY, err);
	struct md_member *m = &s->member;
	struct guard guard;
	int r = disk ? md_member_load(m, disk, err) : err->code;

	if (disk && (r == -ENOENT || (r == -EOPNOTSUPP &&
				      !(m->sb.feature_map & MD_FEATURE_CLUSTERED))))
		r = err->code = -EMEDIUMTYPE; /* of a kind that is mdadm's */
	if (r == 0 && !(m->sb.feature_map & MD_FEATURE_CLUSTERED))
		r = guard_hides(m, &guard) ?
			    err_set(err, -EXDEV, "%s: %s", path, guard.why) :
			    err_set(err, -EMEDIUMTYPE,
				    "%s: its array is not clustered: that is mdadm's", path);
	if (r == 0)
		r = md_member_load_bitmap(m, err);
	if (r == 0)
		memcpy(s->cluster, bitmap_sb_cluster_name(&m->bitmap),
		       BITMAP_CLUSTER_NAME_BYTES);
	disk_close(disk);
	return r;
}

static json_t *describe(struct seen *s, char *const *words, size_t count)
{
	char uuid[TEXT_UUID_BYTES], device[TEXT_UUID_BYTES], name[MD_NAME_BYTES + 1];
	const struct md_sb *sb = &s->member.sb;

	md_sb_name(sb, name);
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "disks", names_of(words, count),
			 "uuid", text_uuid(sb->set_uuid, uuid),
			 "device_uuid", text_uuid(sb->device_uuid, device),
			 "name", json_string(text_printable(name, strlen(name), name, sizeof(name))),
			 "cluster", json_string(text_printable(s->cluster, strlen(s->cluster),
							       s->cluster, sizeof(s->cluster))));
}

static const char *sentence_of(const char *verdict)
{
	static const struct {
		const char *verdict, *sentence;
	} known[] = {
		{ "foreign", "belongs to no array of this configuration" },
		{ "left-alone", "was stopped, or does not start by itself" },
		{ "waits", "waits for a quorum" },
		{ "assembles", "is being assembled, if enough of its disks are here" },
		{ "active", "is active" },
		{ "re-adds", "is active, and this disk is re-added" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].verdict, verdict) == 0)
			return known[i].sentence;
	return verdict;
}

static void print_export(const struct seen *s, const char *array, const char *verdict)
{
	export_line(stdout, "MD_FOREIGN", "%s", *array ? "no" : "yes");
	if (*array)
		export_line(stdout, "MD_DEVNAME", "%s", array);
	export_line(stdout, "MD_STARTED", "%s", strcmp(verdict, "active") == 0 || strcmp(verdict, "re-adds") == 0 ?
							  "yes" :
							  "no");
	export_line(stdout, "MD_CLUSTER_NAME", "%s", s->cluster);
	export_line(stdout, "MD_CLUSTER_NODES", "%u", s->member.bitmap.nodes);
}

static enum cli_exit print_verdict(const struct cli_args *args, const struct seen *s,
				   const char *disk, const json_t *answer)
{
	const char *array = json_string_value(json_object_get(answer, "array"));
	const char *verdict = json_string_value(json_object_get(answer, "verdict"));
	char clean[128];

	array = array ? array : "";
	verdict = verdict ? verdict : "foreign";
	if (cli_has(args, "json")) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (cli_has(args, "export")) {
		print_export(s, array, verdict);
	} else if (!cli_has(args, "quiet")) {
		printf("%s: %s%s%s\n", disk, text_printable(array, strlen(array), clean,
							    sizeof(clean)),
		       *array ? " " : "", sentence_of(verdict));
	}
	return *array ? CLI_OK : (enum cli_exit)INCREMENTAL_NOT_OURS;
}

/* Nobody reads what udev's programs print. */
static enum cli_exit tell_system(const struct err *why)
{
	struct err err = ERR_INIT;

	log_close();
	if (log_open("mdcluster", LOG_TO_SYSLOG, LOG_NOTICE, &err) < 0)
		return cli_fail(why);
	log_warning("MDC5890", "%s", why->text);
	return CLI_FAILED;
}

static enum cli_exit appeared(const struct cli_args *args, char *const *words, size_t count)
{
	struct err err = ERR_INIT;
	struct seen s = { 0 };
	json_t *answer = NULL;
	enum cli_exit code;

	if (read_member(words[0], &s, &err) == 0)
		answer = daemon_ask(args, "org.mdcluster.Incremental",
				    describe(&s, words, count), &err);
	if (answer)
		code = print_verdict(args, &s, words[0], answer);
	else if (err.code == -EXDEV && cli_has(args, "syslog"))
		code = tell_system(&err);
	else
		code = cli_fail(&err);
	if (err.code == -EMEDIUMTYPE || err.code == -EXDEV)
		code = (enum cli_exit)INCREMENTAL_NOT_OURS;
	json_decref(answer);
	md_member_fini(&s.member);
	return code;
}

/* --- it vanishes ------------------------------------------------------------------------ */

static enum cli_exit vanished(const struct cli_args *args, char *const *words, size_t count)
{
	struct err err = ERR_INIT;
	json_t *answer = daemon_ask(args, "org.mdcluster.IncrementalGone",
				    json_pack("{s:o}", "disks", names_of(words, count)), &err);
	json_int_t failed;

	if (!answer)
		return cli_fail(&err);
	failed = json_integer_value(json_object_get(answer, "failed"));
	if (cli_has(args, "json")) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (failed > 0 && !cli_has(args, "quiet")) {
		printf("%s: has failed in its array\n", words[0]);
	}
	json_decref(answer);
	return failed > 0 ? CLI_OK : (enum cli_exit)INCREMENTAL_NOT_OURS;
}

static enum cli_exit run(const struct cli_args *args)
{
	char *const *words;
	size_t count;

	words = cli_operands(args, &count);
	if (count == 0)
		return cli_usage("incremental: name a disk, and maybe other names of it");
	if (cli_has(args, "json") && cli_has(args, "export"))
		return cli_usage("incremental: --json or --export: one of both");
	return cli_has(args, "fail") ? vanished(args, words, count) :
				       appeared(args, words, count);
}

const struct cli_command cmd_incremental = {
	.name = "incremental",
	.mdadm_long = "incremental",
	.mdadm_letter = 'I',
	.operands = "DISK [NAME...]",
	.summary = "Tell the daemon of a disk that has come, or gone; udev does.",
	.options = options,
	.exit_codes = "0 it is of an array here, 1 it failed, 2 usage, 3 it is of none",
	.run = run,
};
