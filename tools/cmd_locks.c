/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster locks: who holds what, who waits for whom, and what the lock values say.
 * Of this node's daemon, or of a dump that a node wrote (lockres/dump.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"
#include "base/text.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/show.h"
#include "tools/show_locks.h"

static const struct cli_option options[] = {
	{ "file", 0, "DUMP", "read a dump that a node wrote; - is standard input" },
	DAEMON_OPTIONS,
	{ "all", 'a', NULL, "also what holds NL alone, and the flags of locks" },
	{ "waiting", 0, NULL, "only resources for which somebody waits" },
	{ "history", 0, NULL, "also the last steps of each resource" },
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

/* --- the dump --------------------------------------------------------------------------- */

/* All of it, up to what a dump may have. */
static int read_all(int fd, char **text, size_t *length, struct err *err)
{
	size_t room = 1 << 16;
	ssize_t n = 1;

	*length = 0;
	*text = malloc(room);
	while (*text && n > 0 && *length <= LOCK_DUMP_MAX_BYTES) {
		n = read(fd, *text + *length, room - *length);
		if (n < 0)
			return err_set(err, -errno, "cannot be read: %s", strerror(errno));
		*length += (size_t)n;
		if (*length == room) {
			char *more = realloc(*text, room *= 2);

			if (!more)
				return err_nomem(err, "a dump of lockspaces");
			*text = more;
		}
	}
	if (!*text)
		return err_nomem(err, "a dump of lockspaces");
	if (*length > LOCK_DUMP_MAX_BYTES)
		return err_set(err, -EFBIG, "is longer than the %d MiB that a dump may have",
			       LOCK_DUMP_MAX_BYTES >> 20);
	return 0;
}

static struct lock_dump *read_file(const char *path, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	CLEANUP_FD int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	CLEANUP_FREE char *text = NULL;
	struct lock_dump *dump = NULL;
	size_t length;

	if (!is_stdin && opened < 0)
		err_set(err, -errno, "cannot be opened: %s", strerror(errno));
	else if (read_all(is_stdin ? STDIN_FILENO : opened, &text, &length, err) == 0)
		dump = lock_dump_read(text, length, err);
	if (!dump)
		err_prefix(err, "%s", is_stdin ? "standard input" : path);
	return dump;
}

/* What the daemon of this node knows now. */
static struct lock_dump *ask_daemon(const struct cli_args *args, struct err *err)
{
	json_t *answer = daemon_ask(args, "org.mdcluster.Locks", NULL, err);
	const json_t *dump = json_object_get(answer, "dump");
	CLEANUP_FREE char *text = dump ? json_dumps(dump, JSON_COMPACT) : NULL;
	struct lock_dump *read = NULL;

	if (text)
		read = lock_dump_read(text, strlen(text), err);
	else if (answer)
		err_set(err, -EBADMSG, "the daemon tells nothing of its locks");
	json_decref(answer);
	return read;
}

/* --- the lockspace that is meant ---------------------------------------------------------- */

enum match { MATCH_NONE, MATCH_BEGINNING, MATCH_WHOLE };

/*
 * The name, or how it begins. The lockspace of an array is its uuid; mdadm's spelling
 * of that is taken, too.
 */
static enum match match(const struct lock_dump_space *space, const char *wanted)
{
	struct err ignored = ERR_INIT;
	char name[SHOW_NAME_BYTES];
	uint8_t uuid[16], other[16];

	text_escape(space->name, space->name_length, name, sizeof(name));
	if (strcmp(name, wanted) == 0 ||
	    (text_parse_uuid(name, "", uuid, &ignored) == 0 &&
	     text_parse_uuid(wanted, "", other, &ignored) == 0 &&
	     memcmp(uuid, other, sizeof(uuid)) == 0))
		return MATCH_WHOLE;
	return strncmp(name, wanted, strlen(wanted)) == 0 ? MATCH_BEGINNING : MATCH_NONE;
}

/* "a, b, c": for who asked for another one. */
static void list_names(const struct lock_dump *dump, char *to, size_t size)
{
	char name[SHOW_NAME_BYTES];
	size_t at = 0;

	snprintf(to, size, "none");
	for (size_t i = 0; i < dump->space_count && at < size; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%s", i ? ", " : "",
				       text_escape(dump->spaces[i].name,
						   dump->spaces[i].name_length, name,
						   sizeof(name)));
}

static const struct lock_dump_space *find(const struct lock_dump *dump,
					  const char *wanted, struct err *err)
{
	const struct lock_dump_space *found = NULL;
	char names[256];
	size_t count = 0;

	for (size_t i = 0; i < dump->space_count; i++) {
		enum match m = match(&dump->spaces[i], wanted);

		if (m == MATCH_WHOLE)
			return &dump->spaces[i];
		if (m == MATCH_BEGINNING) {
			found = &dump->spaces[i];
			count++;
		}
	}
	if (count == 1)
		return found;
	list_names(dump, names, sizeof(names));
	if (count > 1)
		err_set(err, -ENOENT, "locks: %zu lockspaces begin with '%s'; there are: %s",
			count, wanted, names);
	else
		err_set(err, -ENOENT, "locks: there is no lockspace '%s'; there are: %s",
			wanted, names);
	return NULL;
}

/* --- printing --------------------------------------------------------------------------- */

static void print_taken(const struct show_locks *show)
{
	time_t seconds = (time_t)show->dump->taken_s;
	char name[SHOW_NAME_BYTES], when[64] = "";
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm) == 0)
		snprintf(when, sizeof(when), "at an unknown time");
	printf("as %s saw it, %s\n", show_node(show, show->dump->self, name), when);
	if (show->dump->space_count == 0)
		printf("no lockspaces\n");
}

static int print_space(const struct show_locks *show, struct err *err)
{
	int r;

	putchar('\n');
	r = show_locks(show, stdout, err);
	if (r == 0 && show->has_history) {
		putchar('\n');
		r = show_lock_history(show, stdout, err);
	}
	return r;
}

/* One that was asked for, or all. */
static int print(struct show_locks *show, const struct lock_dump_space *only, bool is_json,
		 struct err *err)
{
	const struct lock_dump *dump = show->dump;
	json_t *list = is_json ? json_array() : NULL;
	int r = 0;

	if (!is_json)
		print_taken(show);
	for (size_t i = 0; r == 0 && i < dump->space_count; i++) {
		show->space = &dump->spaces[i];
		if (only && only != show->space)
			continue;
		if (is_json)
			json_array_append_new(list, show_locks_json(show));
		else
			r = print_space(show, err);
	}
	if (is_json)
		show_json_list(list, only ? 1 : 0);
	return r;
}

/* What is shown, and wrong. */
static int check(struct show_locks *show, const struct lock_dump_space *only,
		 struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < show->dump->space_count; i++) {
		show->space = &show->dump->spaces[i];
		if (!only || only == show->space)
			r = show_locks_check(show, err);
	}
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	struct show_locks show = {
		.is_all = cli_has(args, "all"),
		.is_waiting = cli_has(args, "waiting"),
		.has_history = cli_has(args, "history"),
		.is_quiet = cli_has(args, "quiet"),
	};
	const char *path = cli_value(args, "file");
	const struct lock_dump_space *only = NULL;
	struct lock_dump *dump;
	struct err err = ERR_INIT;
	char *const *operands;
	size_t count;
	int r;

	setlocale(LC_CTYPE, "");
	operands = cli_operands(args, &count);
	if (count > 1)
		return cli_usage("locks: name one lockspace, or none for all");
	dump = path ? read_file(path, &err) : ask_daemon(args, &err);
	if (!dump)
		return cli_fail(&err);
	show.dump = dump;
	if (count == 1)
		only = find(dump, operands[0], &err);
	r = count == 1 && !only ? err.code : print(&show, only, cli_has(args, "json"), &err);
	if (r == 0)
		r = check(&show, only, &err);
	lock_dump_free(dump);
	return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cmd_locks = {
	.name = "locks",
	.operands = "[LOCKSPACE]",
	.summary = "Show who holds and who waits for the locks of a cluster.",
	.options = options,
	.run = run,
};
