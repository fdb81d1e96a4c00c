/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mdcluster record: a copy of what an array's flight recorder has, for mdcluster replay. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "tools/commands.h"
#include "tools/daemon.h"

enum { COPY_BYTES = 1 << 16 };

static const struct cli_option options[] = {
	{ "before", 0, NULL, "the one before: of its time until it was assembled last" },
	{ "force", 'f', NULL, "overwrite FILE" },
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

struct copy {
	const char *to;      /* "-": standard output */
	bool may_overwrite;
	uint64_t bytes;
};

/* The daemon writes on meanwhile: what it writes after the end was met is left out. */
static int copy_bytes(int from, int to, struct copy *copy, const char *path, struct err *err)
{
	char bytes[COPY_BYTES];
	ssize_t n, m, at;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		for (at = 0; at < n; at += m, copy->bytes += (uint64_t)m) {
			m = write(to, bytes + at, (size_t)(n - at));
			if (m < 0)
				return err_set(err, -errno, "%s: %s", copy->to, strerror(errno));
		}
	return n < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int open_copy(const struct copy *copy, struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
	int fd = strcmp(copy->to, "-") == 0 ? dup(STDOUT_FILENO) :
		 open(copy->to, flags | (copy->may_overwrite ? O_TRUNC : O_EXCL), 0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(err, -EEXIST, "%s: is there already (--force overwrites it)",
			       copy->to);
	return fd < 0 ? err_set(err, -errno, "%s: %s", copy->to, strerror(errno)) : fd;
}

static int copy_file(const char *path, struct copy *copy, struct err *err)
{
	CLEANUP_FD int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	CLEANUP_FD int to = -1;

	if (from < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	to = open_copy(copy, err);
	return to < 0 ? to : copy_bytes(from, to, copy, path, err);
}

static int record(const struct cli_args *args, const char *array, struct copy *copy,
		  struct err *err)
{
	json_t *answer = daemon_ask(args, "org.mdcluster.Record",
				    json_pack("{s:s, s:b}", "array", array, "before",
					      cli_has(args, "before")), err);
	const char *path = json_string_value(json_object_get(answer, "path"));
	int r = err->code;

	if (answer && !path)
		r = err_set(err, -EBADMSG, "the daemon tells of no recording");
	else if (answer)
		r = copy_file(path, copy, err);
	json_decref(answer);
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct copy copy = { .may_overwrite = cli_has(args, "force") };
	struct err err = ERR_INIT;
	char *const *operands;
	char size[TEXT_SIZE_BYTES];
	size_t count;

	operands = cli_operands(args, &count);
	if (count != 2)
		return cli_usage("record: name an array, and the file to write (- is standard output)");
	copy.to = operands[1];
	if (record(args, daemon_array_name(operands[0]), &copy, &err) < 0)
		return cli_fail(&err);
	if (cli_has(args, "json"))
		fprintf(strcmp(copy.to, "-") == 0 ? stderr : stdout, "{\"bytes\": %" PRIu64 "}\n",
			copy.bytes);
	else if (strcmp(copy.to, "-") != 0 && !cli_has(args, "quiet"))
		printf("%s: %s; mdcluster replay steps through it\n", copy.to,
		       text_size(copy.bytes, size));
	return CLI_OK;
}

const struct cli_command cmd_record = {
	.name = "record",
	.operands = "ARRAY FILE",
	.summary = "Save what an array's flight recorder has written down.",
	.options = options,
	.run = run,
};
