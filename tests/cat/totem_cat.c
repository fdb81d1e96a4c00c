/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * totem-cat: a ring by hand. Each line typed is multicast to a process group in
 * which all are, and printed by all in one order; changes of membership are
 * printed as they come.
 *
 *	totem-cat --self 1 --node 1=127.0.0.1:7001 --node 2=127.0.0.1:7002
 *
 * HACKING.md tells how to try it in two terminals.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/printable.h"
#include "tests/cat/board.h"
#include "tests/cat/locks.h"
#include "tests/cat/options.h"

enum { LINE_BYTES = 1024 };

static const char group_name[] = "totem-cat";

struct cat {
	struct loop *loop;
	struct station *station;
	struct group *group;
	struct board board;
	struct cat_locks locks;
	bool is_safe;
	bool is_waiting; /* for credit; what is typed meanwhile stays where it is */
	char typed[LINE_BYTES];
	size_t typed_bytes;
};

static void deliver(void *owner, struct group *group, const struct group_member *sender,
		    const void *message, size_t length)
{
	char text[LINE_BYTES];

	(void)owner;
	(void)group;
	printf("%" PRIu32 ": %s\n", sender->node,
	       text_printable(message, length, text, sizeof(text)));
	fflush(stdout);
}

static void print_members(const char *what, const struct group_member *members,
			  size_t count, bool has_reasons)
{
	for (size_t i = 0; i < count; i++)
		printf("%s%" PRIu32 ".%" PRIu32 "%s%s", i ? " " : what, members[i].node,
		       members[i].handle, has_reasons ? "/" : "",
		       has_reasons ? group_reason_name(members[i].reason) : "");
}

static void changed(void *owner, struct group *group, const struct group_change *c)
{
	(void)owner;
	(void)group;
	print_members("-- group: ", c->members, c->member_count, false);
	print_members(", joined: ", c->joined, c->joined_count, false);
	print_members(", left: ", c->left, c->left_count, true);
	putchar('\n');
	fflush(stdout);
}

static void configured(void *owner, const struct ring_configuration *c)
{
	int i;

	(void)owner;
	printf("-- %s n%" PRIu32 ".%" PRIu64 ":",
	       c->is_transitional ? "transitional" : "ring", c->ring.rep,
	       c->ring.seq);
	for (i = set_next(c->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(c->members, i + 1))
		printf(" #%d%s", i + 1, set_has(&c->joined, i) ? " (joined)" : "");
	for (i = set_next(c->left, 0); i != TOTEM_NO_INDEX;
	     i = set_next(c->left, i + 1))
		printf(" #%d (left)", i + 1);
	putchar('\n');
	fflush(stdout);
}

static void trace(void *owner, const char *line)
{
	(void)owner;
	fprintf(stderr, "   %s\n", line);
}

static void typed(void *owner, int fd, uint32_t events);

/* False: there is no credit for it. */
static bool send_line(struct cat *cat, char *line, size_t length)
{
	const struct iovec part = { line, length };
	int r;

	if (length == 0)
		return true;
	if (*line == '/') {
		if (!cat_locks_command(&cat->locks, line + 1, length - 1))
			board_command(&cat->board, line + 1, length - 1);
		return true;
	}
	r = group_multicast(cat->group, cat->is_safe ? GROUP_SAFE : GROUP_AGREED, &part,
			    1);
	if (r < 0 && r != -EAGAIN)
		fprintf(stderr, "totem-cat: a line is not sent: %s\n", strerror(-r));
	return r != -EAGAIN;
}

/* All lines that are whole, or as long as a line may be. */
static void send_lines(struct cat *cat)
{
	size_t at = 0;

	while (at < cat->typed_bytes && !cat->is_waiting) {
		size_t rest = cat->typed_bytes - at;
		char *line = cat->typed + at, *end = memchr(line, '\n', rest);

		if (!end && rest < LINE_BYTES)
			break;
		if (!send_line(cat, line, end ? (size_t)(end - line) : rest))
			cat->is_waiting = true;
		else
			at += end ? (size_t)(end - line) + 1 : rest;
	}
	cat->typed_bytes -= at;
	memmove(cat->typed, cat->typed + at, cat->typed_bytes);
}

static int listen_to_keyboard(struct cat *cat, struct err *err)
{
	return loop_fd_add(cat->loop, STDIN_FILENO, POLLIN, typed, cat, err);
}

static void typed(void *owner, int fd, uint32_t events)
{
	struct cat *cat = owner;
	ssize_t n = read(fd, cat->typed + cat->typed_bytes,
			 sizeof(cat->typed) - cat->typed_bytes);

	(void)events;
	if (n > 0)
		cat->typed_bytes += (size_t)n;
	send_lines(cat);
	if (n <= 0 || cat->is_waiting)
		loop_fd_remove(cat->loop, fd); /* stays on the ring, and listens */
}

static void credit_opened(void *owner, struct group *group)
{
	struct cat *cat = owner;
	struct err err = ERR_INIT;

	(void)group;
	cat->is_waiting = false;
	send_lines(cat);
	if (!cat->is_waiting && listen_to_keyboard(cat, &err) < 0)
		fprintf(stderr, "totem-cat: %s\n", err.text);
}

static void stop(void *owner)
{
	loop_stop(((struct cat *)owner)->loop);
}

static void print_counter(void *owner, const char *name, uint64_t value)
{
	(void)owner;
	printf("  %s = %" PRIu64 "\n", name, value);
}

/* SIGUSR1 */
static void look(void *owner)
{
	struct cat *cat = owner;
	struct totem_view v;

	totem_look(station_totem(cat->station), clock_boot_ns(), &v);
	printf("-- view: %s, ring n%" PRIu32 ".%" PRIu64 " of %d, %s, %s, token %.1f ms ago, every %.3f ms\n",
	       ring_state_name(v.state), v.ring.rep, v.ring.seq, set_count(v.members),
	       v.is_synchronised ? "synchronised" : "synchronising",
	       v.is_quorate ? "quorate" : "not quorate", (double)v.token_age_ns / 1e6,
	       (double)v.token_interval_ns / 1e6);
	station_counters(cat->station, print_counter, NULL);
	fflush(stdout);
}

static void checkpoints_opened(void *owner)
{
	board_opened(&((struct cat *)owner)->board);
}

static void checkpoints_activated(void *owner, bool is_replaced)
{
	(void)is_replaced;
	board_opened(&((struct cat *)owner)->board);
}

static int open_station(struct cat *cat, const struct cat_options *options,
			struct err *err)
{
	static const struct group_handlers handlers = { deliver, changed, credit_opened };
	const struct station_ops ops = {
		.configured = configured,
		.checkpoints_opened = checkpoints_opened,
		.checkpoints_activated = checkpoints_activated,
		.broken = stop,
		.trace = options->is_traced ? trace : NULL,
	};
	struct totem *totem;
	int r;

	cat->station = station_open(&options->station, &ops, cat, cat->loop, err);
	if (!cat->station)
		return err->code;
	totem = station_totem(cat->station);
	board_init(&cat->board, totem_checkpoints(totem));
	r = group_join(totem_groups(totem), group_name, sizeof(group_name) - 1, &handlers,
		       cat, &cat->group, err);
	if (r == 0)
		r = cat_locks_open(&cat->locks, cat->station, &options->station, cat->loop,
				   err);
	if (r == 0)
		station_start(cat->station);
	return r;
}

static int run(struct cat *cat, const struct cat_options *options, struct err *err)
{
	int r;

	cat->loop = loop_new(err);
	if (!cat->loop)
		return err->code;
	r = loop_signal_add(cat->loop, SIGINT, stop, cat, err);
	if (r == 0)
		r = loop_signal_add(cat->loop, SIGTERM, stop, cat, err);
	if (r == 0)
		r = loop_signal_add(cat->loop, SIGUSR1, look, cat, err);
	if (r == 0)
		r = open_station(cat, options, err);
	if (r == 0)
		r = listen_to_keyboard(cat, err);
	if (r == -EPERM)
		r = 0; /* /dev/null, a file: nobody types there; listen only */
	if (r == 0)
		loop_run(cat->loop);
	cat_locks_close(&cat->locks);
	station_close(cat->station);
	loop_free(cat->loop);
	return r;
}

int main(int argc, char **argv)
{
	struct cat_options options = { .station.cluster = "cat" };
	struct cat cat = { 0 };
	struct err err = ERR_INIT;
	int r = cat_options_parse(argc, argv, &options, &err);

	cat.is_safe = options.is_safe;
	if (r == 0)
		r = log_open("totem-cat", LOG_TO_STDERR, LOG_NOTICE, &err);
	if (r == 0)
		r = run(&cat, &options, &err);
	keyfile_wipe(&options.keys);
	log_close();
	if (r < 0)
		fprintf(stderr, "totem-cat: %s\n", err.text);
	return r < 0 ? 1 : 0;
}
