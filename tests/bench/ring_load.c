/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One node of bench-ring.sh: a station in its network namespace, under a load
 * that clocks itself: a fixed number of own messages is outstanding, and one
 * that comes back makes room for the next. Alone or with others:
 *
 *	ring_load --self=2 --key=FILE --mode=flood --size=1024 --outstanding=200
 *
 *	flood  when all nodes are there, and --settle later: counts for --seconds;
 *	       "result MESSAGES/S BYTES/S CPU% RSS_KIB". --outstanding=0 listens
 *	lone   one message, when the last has come back, and 2 ms later
 *	back   one message, when the last has come back, at once;
 *	       "result P50_US P99_US COUNT"
 *	watch  until SIGTERM; then it leaves the ring and goes
 *
 * All print "configuration MICROSECONDS MEMBERS" (since the epoch) when a
 * regular configuration comes. Two more do not open a station:
 *
 *	ring_load --make-key=FILE
 *	ring_load --table=NAME   rows from standard input, through bench.h
 *
 * All nodes are in one process group; the messages pass through it. As in the
 * real thing small ones share a packet and large ones take several; a message's
 * number is checked when it comes.
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
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "tests/bench/bench.h"
#include "totem/station.h"

enum {
	NODES = 3,
	MAX_MESSAGE_BYTES = 1 << 20,
	MAX_LATENCIES = 1 << 20,
	FORM_MS = 15000, /* all nodes are there by then */
	GAP_MS = 2,
	TAIL_MS = 700, /* the others may still count */
};

enum mode { FLOOD, LONE, BACK, WATCH };

struct load {
	struct loop *loop;
	struct station *station;
	struct group *group;
	enum mode mode;
	uint32_t self;
	uint64_t size, outstanding, seconds, settle_ms;
	uint64_t under_way, next_number;
	uint64_t sent_at; /* lone and back: the one under way */
	int gap_fd; /* not a timer of the loop: it spins in the last millisecond */
	uint8_t *message;
	uint64_t arrived[NODES + 1]; /* number of the next, by id */
	uint64_t delivered, delivered_bytes;
	bool is_scheduled, is_started, is_measured, has_failed;
	uint64_t began, began_cpu, began_delivered, began_bytes;
	uint32_t *latencies; /* ns */
	size_t latency_count;
};

static void fail(struct load *load, const char *why)
{
	fprintf(stderr, "ring_load %" PRIu32 ": %s\n", load->self, why);
	load->has_failed = true;
	loop_stop(load->loop);
}

/* --- messages ------------------------------------------------------------------ */

/* What is missing to the number that shall be outstanding. */
static void send_more(struct load *load)
{
	const struct iovec part = { load->message, load->size };

	while (load->is_started && load->under_way < load->outstanding) {
		int r;

		memcpy(load->message, &load->next_number, sizeof(load->next_number));
		r = group_multicast(load->group, GROUP_AGREED, &part, 1);
		if (r == -EAGAIN)
			return; /* credit_opened() */
		if (r < 0) {
			fail(load, strerror(-r));
			return;
		}
		load->next_number++;
		load->under_way++;
	}
}

static void credit_opened(void *owner, struct group *group)
{
	(void)group;
	send_more(owner);
}

static void send_lone(struct load *load)
{
	load->outstanding = 1;
	load->sent_at = clock_boot_ns();
	send_more(load);
}

static void gap_is_over(void *owner, int fd, uint32_t events)
{
	uint64_t times;

	(void)events;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		send_lone(owner);
}

static void lone_came_back(struct load *load)
{
	static const struct itimerspec gap = {
		.it_value.tv_nsec = GAP_MS * NS_PER_MS,
	};

	if (load->latency_count < MAX_LATENCIES && !load->is_measured)
		load->latencies[load->latency_count++] =
			(uint32_t)(clock_boot_ns() - load->sent_at);
	load->outstanding = 0;
	if (load->mode == BACK)
		send_lone(load);
	else if (timerfd_settime(load->gap_fd, 0, &gap, NULL) < 0)
		fail(load, strerror(errno));
}

static void deliver(void *owner, struct group *group, const struct group_member *sender,
		    const void *message, size_t length)
{
	struct load *load = owner;
	uint64_t number;

	(void)group;
	memcpy(&number, message, sizeof(number));
	if (length != load->size || number != load->arrived[sender->node]) {
		fail(load, "a message is not the next of its sender");
		return;
	}
	load->arrived[sender->node]++;
	load->delivered++;
	load->delivered_bytes += length;
	if (sender->node != load->self)
		return;
	load->under_way--;
	if (load->mode == LONE || load->mode == BACK)
		lone_came_back(load);
	else
		send_more(load);
}

/* --- measuring ----------------------------------------------------------------- */

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_latencies(struct load *load)
{
	size_t n = load->latency_count;

	if (n == 0) {
		fail(load, "no message came back");
		return;
	}
	qsort(load->latencies, n, sizeof(*load->latencies), by_size);
	printf("result %.1f %.1f %zu\n", load->latencies[n / 2] / 1e3,
	       load->latencies[n * 99 / 100] / 1e3, n);
}

static void print_flood(const struct load *load)
{
	double seconds = (double)(clock_boot_ns() - load->began) / NS_PER_S;
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("result %.0f %.0f %.0f %ld\n",
	       (double)(load->delivered - load->began_delivered) / seconds,
	       (double)(load->delivered_bytes - load->began_bytes) / seconds,
	       (double)(cpu_us() - load->began_cpu) / seconds / 1e4, u.ru_maxrss);
}

static void stop(void *owner)
{
	loop_stop(((struct load *)owner)->loop);
}

static void after(struct load *load, uint64_t ms, loop_fn fn)
{
	struct err err = ERR_INIT;

	if (!loop_timer_start(load->loop, (uint32_t)ms, fn, load, &err))
		fail(load, err.text);
}

static void measure_ends(void *owner)
{
	struct load *load = owner;

	if (load->mode == FLOOD)
		print_flood(load);
	else
		print_latencies(load);
	fflush(stdout);
	load->is_measured = true;
	after(load, TAIL_MS, stop);
}

static void measure_begins(void *owner)
{
	struct load *load = owner;

	load->began = clock_boot_ns();
	load->began_cpu = cpu_us();
	load->began_delivered = load->delivered;
	load->began_bytes = load->delivered_bytes;
	load->latency_count = 0;
	after(load, load->seconds * 1000, measure_ends);
}

static void load_begins(void *owner)
{
	struct load *load = owner;

	load->is_started = true;
	if (load->mode == FLOOD)
		send_more(load);
	else
		send_lone(load);
	after(load, load->settle_ms, measure_begins);
}

static void form_ends(void *owner)
{
	struct load *load = owner;

	if (!load->is_scheduled)
		fail(load, "not all nodes came");
}

/* --- the ring ------------------------------------------------------------------ */

static void configured(void *owner, const struct ring_configuration *c)
{
	struct load *load = owner;

	if (c->is_transitional)
		return;
	printf("configuration %" PRIu64 " %d\n", clock_wall_us(),
	       set_count(c->members));
	fflush(stdout);
	if (load->is_scheduled && load->mode != WATCH && !load->is_measured)
		fail(load, "the ring broke while it was measured");
	if (set_count(c->members) < NODES || load->is_scheduled)
		return;
	load->is_scheduled = true;
	if (load->mode != WATCH)
		after(load, load->settle_ms, load_begins);
}

static int open_station(struct load *load, const struct station_config *c,
			struct err *err)
{
	static const struct station_ops ops = { .configured = configured, .broken = stop };
	static const struct group_handlers handlers = {
		.deliver = deliver, .credit_opened = credit_opened,
	};
	int r;

	load->station = station_open(c, &ops, load, load->loop, err);
	if (!load->station)
		return err->code;
	r = group_join(totem_groups(station_totem(load->station)), "load", 4, &handlers,
		       load, &load->group, err);
	if (r == 0)
		station_start(load->station);
	return r;
}

static int run(struct load *load, const struct station_config *c, struct err *err)
{
	int r;

	load->loop = loop_new(err);
	if (!load->loop)
		return err->code;
	r = loop_signal_add(load->loop, SIGTERM, stop, load, err);
	if (r == 0)
		r = loop_signal_add(load->loop, SIGINT, stop, load, err);
	if (r == 0)
		r = open_station(load, c, err);
	load->gap_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (r == 0 && load->gap_fd < 0)
		r = err_set(err, -errno, "no timer: %s", strerror(errno));
	if (r == 0)
		r = loop_fd_add(load->loop, load->gap_fd, POLLIN, gap_is_over, load,
				err);
	if (r == 0) {
		after(load, FORM_MS, form_ends);
		loop_run(load->loop);
	}
	station_close(load->station);
	loop_free(load->loop);
	if (load->gap_fd >= 0)
		close(load->gap_fd);
	return r;
}

static int prepare(struct load *load, struct err *err)
{
	load->message = calloc(1, load->size);
	load->latencies = calloc(MAX_LATENCIES, sizeof(*load->latencies));
	return load->message && load->latencies ? 0 : err_nomem(err, "messages");
}

static void release(struct load *load)
{
	free(load->message);
	free(load->latencies);
}

/* --- the table, and the key ---------------------------------------------------- */

/* name, unit, peer, note, more|less, value, peer value; by tabs; "-": none */
static bool read_row(char *line, struct bench_row *row)
{
	char *cells[7];
	size_t i;

	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < 7; i++) {
		cells[i] = strsep(&line, "\t");
		if (!cells[i])
			return false;
		if (strcmp(cells[i], "-") == 0)
			cells[i] = NULL;
	}
	if (!cells[0] || !cells[1] || !cells[4] || !cells[5])
		return false;
	*row = (struct bench_row){
		.name = cells[0],
		.unit = cells[1],
		.peer = cells[6] ? cells[2] : NULL,
		.note = cells[3],
		.better = strcmp(cells[4], "less") == 0 ? BENCH_LESS_IS_BETTER :
							  BENCH_MORE_IS_BETTER,
		.value = strtod(cells[5], NULL),
		.peer_value = cells[6] ? strtod(cells[6], NULL) : 0,
	};
	return true;
}

static int table(const char *name)
{
	struct bench_row row;
	struct bench bench;
	char line[1024];

	bench_init(&bench, name);
	while (fgets(line, sizeof(line), stdin)) {
		if (!read_row(line, &row)) {
			fprintf(stderr, "ring_load: not a row: %s\n", line);
			bench.failed = true;
			continue;
		}
		bench_row(&bench, &row);
	}
	return bench_fini(&bench);
}

static int make_key(const char *path)
{
	struct keyfile keys = { .count = 0 };
	struct err err = ERR_INIT;
	int r = keyfile_add_key(&keys, &err);

	if (r == 0)
		r = keyfile_write(path, &keys, KEYFILE_CREATE, &err);
	keyfile_wipe(&keys);
	if (r < 0)
		fprintf(stderr, "ring_load: %s\n", err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- the command line ---------------------------------------------------------- */

static int parse_mode(const char *text, enum mode *mode, struct err *err)
{
	static const char *const names[] = { "flood", "lone", "back", "watch" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*mode = (enum mode)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "mode: '%s' is none", text);
}

static int parse(int argc, char **argv, struct station_config *c,
		 struct load *load, struct keyfile *keys, struct err *err)
{
	static const struct option longs[] = {
		{ "self", required_argument, NULL, 's' },
		{ "key", required_argument, NULL, 'k' },
		{ "state", required_argument, NULL, 'b' },
		{ "mode", required_argument, NULL, 'm' },
		{ "size", required_argument, NULL, 'z' },
		{ "outstanding", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 'w' },
		{ "settle", required_argument, NULL, 'l' },
		{ "token", required_argument, NULL, 't' },
		{ "make-key", required_argument, NULL, 'K' },
		{ "table", required_argument, NULL, 'T' },
		{ 0 },
	};
	uint64_t v = 0;
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 's':
			r = text_parse_u64(optarg, "self", 1, NODES, &v, err);
			c->self = load->self = (uint32_t)v;
			break;
		case 'k':
			r = keyfile_read(optarg, keys, err);
			c->keys = keys;
			break;
		case 'b':
			c->boot_path = optarg;
			break;
		case 'm':
			r = parse_mode(optarg, &load->mode, err);
			break;
		case 'z':
			r = text_parse_u64(optarg, "size", 8, MAX_MESSAGE_BYTES,
					   &load->size, err);
			break;
		case 'o':
			r = text_parse_u64(optarg, "outstanding", 0, 100000,
					   &load->outstanding, err);
			break;
		case 'w':
			r = text_parse_u64(optarg, "seconds", 1, 3600,
					   &load->seconds, err);
			break;
		case 'l':
			r = text_parse_u64(optarg, "settle", 1, 60000,
					   &load->settle_ms, err);
			break;
		case 't':
			r = text_parse_u64(optarg, "token", 50, 60000, &v, err);
			c->token_ns = v * NS_PER_MS;
			break;
		case 'K':
			exit(make_key(optarg));
		case 'T':
			exit(table(optarg));
		default:
			exit(2);
		}
	}
	if (r == 0 && (!c->self || !c->boot_path))
		r = err_set(err, -EINVAL, "--self and --state are needed");
	return r;
}

/* As bench-ring.sh lays them out: 10.77.0.ID, one port. */
static void lay_out(struct station_config *c)
{
	int i;

	c->nodes.count = NODES;
	for (i = 0; i < NODES; i++) {
		c->nodes.ids[i] = (uint32_t)i + 1;
		c->addresses[i].in4.sin_family = AF_INET;
		c->addresses[i].in4.sin_port = htons(7001);
		c->addresses[i].in4.sin_addr.s_addr =
			htonl(0x0a4d0000 | ((uint32_t)i + 1));
	}
}

int main(int argc, char **argv)
{
	struct station_config c = { .cluster = "bench" };
	struct load load = { .size = 1024, .seconds = 2, .settle_ms = 300 };
	struct keyfile keys = { .count = 0 };
	struct err err = ERR_INIT;
	int r;

	lay_out(&c);
	r = parse(argc, argv, &c, &load, &keys, &err);
	if (r == 0)
		r = log_open("ring_load", LOG_TO_STDERR, LOG_WARNING, &err);
	if (r == 0)
		r = prepare(&load, &err);
	if (r == 0)
		r = run(&load, &c, &err);
	release(&load);
	keyfile_wipe(&keys);
	log_close();
	if (r < 0)
		fprintf(stderr, "ring_load: %s\n", err.text);
	return r < 0 || load.has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
