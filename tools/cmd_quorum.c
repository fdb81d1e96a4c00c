/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster quorum: who decides, as corosync-quorumtool -s shows it; and by whose word. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"
#include "base/text.h"
#include "bitmap/disk.h"
#include "mdclusterd/quorum/tie_breaker.h"
#include "tools/commands.h"
#include "tools/daemon.h"

enum { NOT_QUORATE = 2, MOST_VOTES = 65535 };

static const struct cli_option options[] = {
	{ "expected", 'e', "VOTES", "expect so many votes from now on, of the nodes that are here" },
	{ "yes", 'y', NULL, "do not ask: no other part of the cluster has a quorum" },
	{ "format", 0, "DISK", "make it the tie-breaker disk of a cluster" },
	{ "home-cluster", 0, "CLUSTER", "with --format: its name" },
	{ "force", 'f', NULL, "with --format: whatever is on it" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

/* --- showing ------------------------------------------------------------------------------ */

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static bool truth(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void print_text(const char *label, const char *text)
{
	char line[512];

	text = text ? text : "";
	printf("%-18s%s\n", label, text_printable(text, strlen(text), line, sizeof(line)));
}

static void print_flags(const json_t *flags)
{
	char text[256] = "";
	size_t at = 0, i;
	json_t *flag;

	json_array_foreach((json_t *)(uintptr_t)flags, i, flag) /* not written */
		if (json_is_string(flag) && at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", at ? " " : "",
					       json_string_value(flag));
	print_text("Flags:", text);
}

static void print_node(const json_t *node)
{
	const char *name = json_string_value(json_object_get(node, "name"));
	char text[256];

	name = name ? name : "?";
	printf("%10lld %10lld  %-10s %s%s\n", number(node, "id"), number(node, "votes"),
	       truth(node, "is_member") ? "member" :
	       truth(node, "is_expected") ? "missing" : "not asked",
	       text_printable(name, strlen(name), text, sizeof(text)),
	       truth(node, "is_self") ? " (local)" : "");
}

static void print_device(const json_t *q)
{
	if (number(q, "device_votes") > 0)
		printf("%10d %10lld  %-10s tie-breaker disk\n", 0, number(q, "device_votes"),
		       truth(q, "has_device") ? "held here" : "not held");
}

static void print_quorum(const json_t *q)
{
	const char *waits = json_string_value(json_object_get(q, "waits"));
	json_t *nodes = json_object_get(q, "nodes"), *node;
	size_t i;

	printf("%-18s%zu\n", "Nodes:", json_array_size(nodes));
	printf("%-18s%lld\n", "Node ID:", number(q, "node"));
	printf("%-18s%lld.%lld\n", "Ring ID:", number(q, "ring_rep"), number(q, "ring_seq"));
	print_text("Quorate:", truth(q, "is_quorate") ? "Yes" : "No");
	if (waits && *waits)
		print_text("Waits:", waits);
	printf("\n%-18s%lld\n", "Expected votes:", number(q, "expected"));
	printf("%-18s%lld\n", "Highest expected:", number(q, "highest_expected"));
	printf("%-18s%lld\n", "Total votes:", number(q, "votes"));
	printf("%-18s%lld\n", "Quorum:", number(q, "quorum"));
	print_flags(json_object_get(q, "flags"));
	printf("\n%10s %10s  %-10s %s\n", "Nodeid", "Votes", "State", "Name");
	json_array_foreach(nodes, i, node)
		print_node(node);
	print_device(q);
}

static enum cli_exit show(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	json_t *answer = daemon_ask(args, "org.mdcluster.Quorum", NULL, &err);
	const json_t *q = json_object_get(answer, "quorum");
	bool is_quorate = truth(q, "is_quorate");

	if (!answer)
		return cli_fail(&err);
	if (cli_has(args, "json")) {
		json_dumpf(q, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_quorum(q);
	}
	json_decref(answer);
	return is_quorate ? CLI_OK : (enum cli_exit)NOT_QUORATE;
}

/* --- by hand ---------------------------------------------------------------------------------- */

/* Two parts that both write destroy what is on the disks: nobody says so by accident. */
static bool is_sure(const struct cli_args *args)
{
	return cli_is_sure(args, "If other nodes of the cluster run, and have a quorum, they and this "
			   "part will write over each other, and data is lost.\n"
			   "Are all others off, or cut from the disks? (yes/no) ");
}

/* 1: yes. 0: no. -1: it cannot be asked. */
static int is_quorate(const struct cli_args *args, struct err *err)
{
	json_t *answer = daemon_ask(args, "org.mdcluster.Quorum", NULL, err);
	int is_it = truth(json_object_get(answer, "quorum"), "is_quorate");

	if (!answer)
		return -1;
	json_decref(answer);
	return is_it;
}

static enum cli_exit set_expected(const struct cli_args *args)
{
	struct err err = ERR_INIT;
	bool sure = false;
	json_t *answer;
	uint64_t votes;
	int r;

	if (text_parse_u64(cli_value(args, "expected"), "--expected", 1, MOST_VOTES, &votes,
			   &err) < 0)
		return cli_fail(&err);
	r = is_quorate(args, &err);
	if (r < 0)
		return cli_fail(&err);
	if (r == 0) {
		sure = is_sure(args);
		if (!sure) {
			err_set(&err, -ECANCELED,
				"quorum: nothing was changed (--yes says that no other part of the cluster has a quorum)");
			return cli_fail(&err);
		}
	}
	answer = daemon_ask(args, "org.mdcluster.QuorumExpected",
			    json_pack("{s:I, s:b}", "votes", (json_int_t)votes, "sure", sure),
			    &err);
	if (!answer)
		return cli_fail(&err);
	json_decref(answer);
	return CLI_OK;
}

/* --- the disk ----------------------------------------------------------------------------------- */

static bool is_blank(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

static int format_disk(struct disk *disk, const char *cluster, bool is_forced, struct err *err)
{
	const size_t bytes = (size_t)TIE_SECTORS * TIE_SECTOR_BYTES;
	CLEANUP_FREE uint8_t *all = disk_buffer_new(bytes);
	struct err ignored = ERR_INIT;
	int r;

	if (!all)
		return err_nomem(err, "sectors");
	if (disk->size_bytes < bytes)
		return err_set(err, -EINVAL, "%s: is smaller than %zu bytes", disk->name, bytes);
	r = disk_read_wait(disk, 0, all, bytes, err);
	if (r < 0)
		return r;
	if (!is_forced && !is_blank(all, bytes))
		return err_set(err, -EEXIST, tie_breaker_check(all, NULL, &ignored) == 0 ?
			       "%s: is a tie-breaker disk already (--force makes it one anew: no node may use it)" :
			       "%s: is not blank (--force takes it whatever is on it)", disk->name);
	memset(all, 0, bytes);
	tie_breaker_format(all, cluster);
	r = disk_write_wait(disk, TIE_SECTOR_BYTES, all + TIE_SECTOR_BYTES,
			    bytes - TIE_SECTOR_BYTES, true, err);
	return r < 0 ? r : disk_write_wait(disk, 0, all, TIE_SECTOR_BYTES, true, err);
}

static enum cli_exit format(const struct cli_args *args)
{
	const char *cluster = cli_value(args, "home-cluster");
	CLEANUP(disk_close_ptr) struct disk *disk = NULL;
	struct err err = ERR_INIT;

	if (!cluster || !*cluster || strlen(cluster) >= TIE_NAME_BYTES)
		return cli_usage("quorum: --format: --home-cluster=CLUSTER says whose disk it is");
	disk = disk_aio_open(cli_value(args, "format"), DISK_RDWR, &err);
	if (!disk || format_disk(disk, cluster, cli_has(args, "force"), &err) < 0)
		return cli_fail(&err);
	return CLI_OK;
}

static enum cli_exit run(const struct cli_args *args)
{
	size_t count;

	cli_operands(args, &count);
	if (count > 0)
		return cli_usage("quorum: takes no operand");
	if (cli_has(args, "format"))
		return format(args);
	return cli_has(args, "expected") ? set_expected(args) : show(args);
}

const struct cli_command cmd_quorum = {
	.name = "quorum",
	.operands = "",
	.summary = "Show who decides, and whom that waits for.",
	.options = options,
	.exit_codes = "0 quorate, 1 failed, 2 not quorate, or wrong usage",
	.run = run,
};
