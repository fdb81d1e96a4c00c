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
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/printable.h"
#include "base/text.h"
#include "totem/station.h"

enum { LINE_BYTES = 1024 };

static const char group_name[] = "totem-cat";

struct cat {
	struct loop *loop;
	struct station *station;
	struct group *group;
	bool is_safe;
	bool is_traced;
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

/* "ADDRESS:PORT", IPv6 as [::1]:7001; `what` has it, for the sentence. */
static int parse_address(const char *text, const char *what,
			 union transport_address *a, struct err *err)
{
	char copy[128], *host = copy, *port;
	uint64_t number;
	bool is_six;

	snprintf(copy, sizeof(copy), "%s", text);
	port = strrchr(copy, ':');
	if (!port || port == copy || strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "%s: '%s' is not ADDRESS:PORT", what,
			       text);
	is_six = *host == '[' && port[-1] == ']';
	*port++ = '\0';
	if (text_parse_u64(port, "port", 1, 65535, &number, err) < 0)
		return err_prefix(err, "%s", what);
	if (is_six) {
		host++;
		port[-2] = '\0';
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)number);
	} else {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons((uint16_t)number);
	}
	if (inet_pton(a->any.sa_family, host,
		      is_six ? (void *)&a->in6.sin6_addr
			     : (void *)&a->in4.sin_addr) != 1)
		return err_set(err, -EINVAL, "%s: '%s' has no IP address", what,
			       text);
	return 0;
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

/* "ID=ADDRESS:PORT"; ascending ids. */
static int parse_node(const char *text, struct station_config *c, struct err *err)
{
	int i = c->nodes.count;
	const char *address = strchr(text, '=');
	char copy[32];
	uint64_t id;

	if (!address || i == TOTEM_MAX_NODES)
		return err_set(err, -EINVAL,
			       "node: '%s' is not ID=ADDRESS:PORT, or one too many",
			       text);
	snprintf(copy, sizeof(copy), "%.*s", (int)(address - text), text);
	if (text_parse_u64(copy, "node: id", 1, UINT32_MAX, &id, err) < 0)
		return err->code;
	if (i > 0 && id <= c->nodes.ids[i - 1])
		return err_set(err, -EINVAL, "node: ids must ascend");
	if (parse_address(address + 1, "node", &c->addresses[i], err) < 0)
		return err->code;
	c->nodes.ids[c->nodes.count++] = (uint32_t)id;
	return 0;
}

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: totem-cat --self ID --node ID=ADDRESS:PORT... [OPTION]...\n"
		"A ring by hand: lines typed here are printed by all nodes, in one order.\n\n"
		"  --cluster=NAME   all nodes say the same (default: cat)\n"
		"  --key=FILE       seal with this key (mdcluster keygen makes one)\n"
		"  --state=FILE     boot record (default: totem-cat-ID.boot here)\n"
		"  --token=MS       token timeout (default 1000)\n"
		"  --multicast=ADDRESS:PORT  what is for many goes to this group, once\n"
		"  --multicast-ttl=N  routers it may pass, plus 1 (default 1)\n"
		"  --safe           lines are delivered when every node holds them\n"
		"  --trace          the ring's own steps, on standard error\n\n"
		"SIGUSR1 prints where the ring stands, and its counters.\n");
}

static int parse(int argc, char **argv, struct station_config *c, struct cat *cat,
		 struct keyfile *keys, struct err *err)
{
	static const struct option longs[] = {
		{ "self", required_argument, NULL, 's' },
		{ "node", required_argument, NULL, 'n' },
		{ "cluster", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "state", required_argument, NULL, 'b' },
		{ "token", required_argument, NULL, 't' },
		{ "multicast", required_argument, NULL, 'm' },
		{ "multicast-ttl", required_argument, NULL, 'l' },
		{ "safe", no_argument, NULL, 'S' },
		{ "trace", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	uint64_t v = 0;
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (o) {
		case 's':
			r = text_parse_u64(optarg, "self", 1, UINT32_MAX, &v, err);
			c->self = (uint32_t)v;
			break;
		case 'n':
			r = parse_node(optarg, c, err);
			break;
		case 'c':
			c->cluster = optarg;
			break;
		case 'k':
			r = keyfile_read(optarg, keys, err);
			c->keys = keys;
			break;
		case 'b':
			c->boot_path = optarg;
			break;
		case 't':
			r = text_parse_u64(optarg, "token", 50, 60000, &v, err);
			c->token_ns = v * 1000000;
			break;
		case 'm':
			r = parse_address(optarg, "multicast", &c->multicast, err);
			break;
		case 'l':
			r = text_parse_u64(optarg, "multicast-ttl", 1, 255, &v, err);
			c->multicast_ttl = (uint8_t)v;
			break;
		case 'S':
			cat->is_safe = true;
			break;
		case 'T':
			cat->is_traced = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (r == 0 && node_index(&c->nodes, c->self) == TOTEM_NO_INDEX)
		r = err_set(err, -EINVAL, "self: no --node has that id");
	return r;
}

static int open_station(struct cat *cat, const struct station_config *c, struct err *err)
{
	static const struct group_handlers handlers = { deliver, changed, credit_opened };
	struct station_ops ops = { .configured = configured, .broken = stop };
	int r;

	if (cat->is_traced)
		ops.trace = trace;
	cat->station = station_open(c, &ops, cat, cat->loop, err);
	if (!cat->station)
		return err->code;
	r = group_join(totem_groups(station_totem(cat->station)), group_name,
		       sizeof(group_name) - 1, &handlers, cat, &cat->group, err);
	if (r == 0)
		station_start(cat->station);
	return r;
}

static int run(struct cat *cat, const struct station_config *c, struct err *err)
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
		r = open_station(cat, c, err);
	if (r == 0)
		r = listen_to_keyboard(cat, err);
	if (r == -EPERM)
		r = 0; /* /dev/null, a file: nobody types there; listen only */
	if (r == 0)
		loop_run(cat->loop);
	station_close(cat->station);
	loop_free(cat->loop);
	return r;
}

int main(int argc, char **argv)
{
	struct station_config c = { .cluster = "cat" };
	struct cat cat = { 0 };
	struct keyfile keys = { .count = 0 };
	struct err err = ERR_INIT;
	char path[64];
	int r = parse(argc, argv, &c, &cat, &keys, &err);

	if (r == 0 && !c.boot_path) {
		snprintf(path, sizeof(path), "totem-cat-%u.boot", c.self);
		c.boot_path = path;
	}
	if (r == 0)
		r = log_open("totem-cat", LOG_TO_STDERR, LOG_NOTICE, &err);
	if (r == 0)
		r = run(&cat, &c, &err);
	keyfile_wipe(&keys);
	log_close();
	if (r < 0)
		fprintf(stderr, "totem-cat: %s\n", err.text);
	return r < 0 ? 1 : 0;
}
