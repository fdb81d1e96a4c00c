/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One node of bench-locks.sh: a station and a lock manager in a network namespace,
 * under a load that clocks itself: what comes back makes room for the next.
 *
 *	lock_load --self=3 --nodes=3 --key=FILE --state=FILE --mode=lock
 *
 *	message  a message of 64 bytes to the group: what the ring takes for it
 *	lock     one resource: EX, and unlocked
 *	convert  one resource: NL to EX, and back
 *	pass     one resource that others want, too: NL to EX, and back when
 *	         somebody waits
 *	flood    --resources of them at a time: EX, and unlocked
 *	flip     the same: NL to EX, and back
 *	hold     --resources in PR, with a value each; "held" when it is so
 *	send     METADATA_UPDATED to all others, who hear; --resources at a time
 *	hear     handles what is sent, at once
 *	listen   is there
 *
 * All but hold, hear and listen measure for --seconds, when --await members are in and
 * --settle later, then go; with --gap milliseconds between two. They tell lines of a
 * name and a number: p50 and p99 in us; of the time measured seconds, operations,
 * rotations of the token; sent, batches, applied, and CPU in us.
 *
 * All tell what a sync phase took: "joined_ms", "joined_bytes" that came meanwhile;
 * and what is held: "resources", "table_bytes" of the lock table, "rss_kib".
 */
#include "tests/bench/lock_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"

enum {
	MAX_NODES = 8,
	MAX_RESOURCES = 100000,
	FORM_MS = 20000, /* all members are in by then */
	TAIL_MS = 500,   /* the others may still count */
};

void load_fail(struct load *load, const char *why)
{
	fprintf(stderr, "lock_load %u: %s\n", load->self, why);
	load->has_failed = true;
	loop_stop(load->loop);
}

/* --- time ------------------------------------------------------------------------------ */

static void after(struct load *load, uint64_t ms, loop_fn fn)
{
	struct err err = ERR_INIT;

	if (!loop_timer_start(load->loop, (uint32_t)ms, fn, load, &err))
		load_fail(load, err.text);
}

static void gap_is_over(void *owner, int fd, uint32_t events)
{
	struct load *load = owner;
	uint64_t times;

	(void)events;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		load->after_gap(load);
}

void load_next(struct load *load, void (*next)(struct load *load))
{
	const struct itimerspec gap = {
		.it_value.tv_nsec = (long)(load->gap_ms * NS_PER_MS),
	};

	load->after_gap = next;
	if (load->gap_ms == 0)
		next(load);
	else if (timerfd_settime(load->gap_fd, 0, &gap, NULL) < 0)
		load_fail(load, strerror(errno));
}

static void stop(void *owner)
{
	loop_stop(((struct load *)owner)->loop);
}

/* --- the course of it ------------------------------------------------------------------ */

static void measure_ends(void *owner)
{
	struct load *load = owner;

	load_measure_end(load);
	after(load, TAIL_MS, stop);
}

static void measure_begins(void *owner)
{
	struct load *load = owner;

	load_measure_begin(load);
	after(load, load->seconds * 1000, measure_ends);
}

static void load_begins(void *owner)
{
	struct load *load = owner;

	load->mode->begin(load);
	if (load->seconds > 0)
		after(load, load->settle_ms, measure_begins);
}

static void form_ends(void *owner)
{
	struct load *load = owner;

	if (!load->is_formed)
		load_fail(load, "not all members came");
}

/* --- the lockspace --------------------------------------------------------------------- */

static void recover_prep(void *owner, struct lockspace *space)
{
	struct load *load = owner;

	(void)space;
	if (load->is_measuring)
		load_fail(load, "a member went while it was measured");
}

static void recover_done(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t member_count,
			 int our_slot, uint32_t generation)
{
	struct load *load = owner;

	(void)space;
	if (load->mode->members)
		load->mode->members(load, members, member_count, our_slot, generation);
	if (member_count < load->await || load->is_formed)
		return;
	load->is_formed = true;
	load_tell("formed", (double)member_count);
	if (load->mode->begin)
		after(load, load->settle_ms, load_begins);
}

static void lost(void *owner, struct lockspace *space, const struct err *why)
{
	(void)space;
	load_fail(owner, why->text);
}

static uint64_t now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void armed(void *owner);

static void time_has_come(void *owner)
{
	struct load *load = owner;

	load->timer = NULL;
	load->timer_at = UINT64_MAX;
	lock_manager_advance(load->locks, clock_boot_ns());
	armed(load);
}

static void armed(void *owner)
{
	struct load *load = owner;
	uint64_t at = lock_manager_deadline(load->locks), t = clock_boot_ns();
	uint64_t ms = at > t ? (at - t) / NS_PER_MS + 1 : 1;
	struct err err = ERR_INIT;

	if (at >= load->timer_at)
		return;
	loop_timer_cancel(load->timer);
	load->timer_at = at;
	load->timer = loop_timer_start(load->loop, (uint32_t)min_u64(ms, 60000),
				       time_has_come, load, &err);
	if (!load->timer)
		load_fail(load, err.text);
}

static int open_lockspace(struct load *load, const struct station_config *c,
			  struct err *err)
{
	static const struct lock_manager_ops ops = { .now = now, .armed = armed };
	static const struct lockspace_handlers handlers = {
		.recover_prep = recover_prep, .recover_done = recover_done, .lost = lost,
	};
	static const struct lockspace_config space = {
		.name = "bench", .name_length = 5, .lvb_bytes = LOCK_LARGE_LVB,
		.wanted_slot = -1,
	};
	static const uint8_t nobody[] = { 0 }; /* was ever met: those to come are not waited for */
	struct rd rd = rd_over(nobody, sizeof(nobody));
	struct roster roster;
	const struct lock_manager_config config = {
		.nodes = c->nodes, .self = c->self, .incarnation = clock_wall_us(),
		.roster = &roster,
	};
	struct totem *totem = station_totem(load->station);

	if (!roster_read(&rd, &roster, &c->nodes))
		return err_set(err, -EBADMSG, "no roster");
	load->locks = lock_manager_new(&config, totem_sync(totem), totem_groups(totem),
				       &ops, load, err);
	if (!load->locks)
		return err->code;
	return lockspace_open(lock_manager_engine(load->locks), &space, &handlers, load,
			      &load->space, err);
}

/* --- the ring -------------------------------------------------------------------------- */

static void add_bytes(void *owner, const char *name, uint64_t value)
{
	if (strcmp(name, "udp.received_bytes") == 0)
		*(uint64_t *)owner = value;
}

static uint64_t received_bytes(const struct load *load)
{
	uint64_t bytes = 0;

	station_counters(load->station, add_bytes, &bytes);
	return bytes;
}

/* The sync phase begins. */
static void configured(void *owner, const struct ring_configuration *c)
{
	struct load *load = owner;

	if (c->is_transitional)
		return;
	load->synced_from = clock_boot_ns();
	load->synced_bytes = received_bytes(load);
}

static void synchronised(void *owner)
{
	struct load *load = owner;

	load_tell("joined_ms", (double)(clock_boot_ns() - load->synced_from) / NS_PER_MS);
	load_tell("joined_bytes", (double)(received_bytes(load) - load->synced_bytes));
}

static int open_station(struct load *load, const struct station_config *c, struct err *err)
{
	static const struct station_ops ops = {
		.configured = configured, .synchronised = synchronised, .broken = stop,
	};
	int r;

	load->station = station_open(c, &ops, load, load->loop, err);
	if (!load->station)
		return err->code;
	r = open_lockspace(load, c, err);
	if (r == 0 && load->mode->open)
		r = load->mode->open(load, err);
	if (r == 0)
		station_start(load->station);
	return r;
}

/* The manager goes when the sync runs no more, and before the group's engine. */
static void close_station(struct load *load)
{
	if (load->station)
		totem_leave(station_totem(load->station), clock_boot_ns());
	if (load->mode->close)
		load->mode->close(load);
	loop_timer_cancel(load->timer);
	lock_manager_free(load->locks);
	station_close(load->station);
}

static int run(struct load *load, const struct station_config *c, struct err *err)
{
	int r;

	load->loop = loop_new(err);
	if (!load->loop)
		return err->code;
	r = loop_signal_add(load->loop, SIGTERM, stop, load, err);
	load->gap_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (r == 0 && load->gap_fd < 0)
		r = err_set(err, -errno, "no timer: %s", strerror(errno));
	if (r == 0)
		r = loop_fd_add(load->loop, load->gap_fd, POLLIN, gap_is_over, load, err);
	if (r == 0)
		r = open_station(load, c, err);
	if (r == 0) {
		after(load, FORM_MS, form_ends);
		loop_run(load->loop);
		if (!load->is_measured)
			load_tell_memory(load);
	}
	close_station(load);
	loop_free(load->loop);
	if (load->gap_fd >= 0)
		close(load->gap_fd);
	return r;
}

static int prepare(struct load *load, struct err *err)
{
	load->jobs = calloc(load->resources, sizeof(*load->jobs));
	load->latencies = calloc(LOAD_MAX_LATENCIES, sizeof(*load->latencies));
	return load->jobs && load->latencies ? 0 : err_nomem(err, "locks");
}

/* --- the command line ------------------------------------------------------------------ */

static int parse_number(int option, struct load *load, struct err *err)
{
	switch (option) {
	case 's': {
		uint64_t v = 0;
		int r = text_parse_u64(optarg, "self", 1, MAX_NODES, &v, err);

		load->self = (uint32_t)v;
		return r;
	}
	case 'n':
		return text_parse_u64(optarg, "nodes", 1, MAX_NODES, &load->nodes, err);
	case 'a':
		return text_parse_u64(optarg, "await", 1, MAX_NODES, &load->await, err);
	case 'w':
		return text_parse_u64(optarg, "seconds", 1, 3600, &load->seconds, err);
	case 'l':
		return text_parse_u64(optarg, "settle", 1, 60000, &load->settle_ms, err);
	case 'g':
		return text_parse_u64(optarg, "gap", 0, 999, &load->gap_ms, err);
	default:
		return text_parse_u64(optarg, "resources", 1, MAX_RESOURCES,
				      &load->resources, err);
	}
}

static int parse(int argc, char **argv, struct station_config *c, struct load *load,
		 struct keyfile *keys, struct err *err)
{
	static const struct option longs[] = {
		{ "self", required_argument, NULL, 's' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "await", required_argument, NULL, 'a' },
		{ "key", required_argument, NULL, 'k' },
		{ "state", required_argument, NULL, 'b' },
		{ "mode", required_argument, NULL, 'm' },
		{ "seconds", required_argument, NULL, 'w' },
		{ "settle", required_argument, NULL, 'l' },
		{ "gap", required_argument, NULL, 'g' },
		{ "resources", required_argument, NULL, 'r' },
		{ 0 },
	};
	int o, r = 0;

	while (r == 0 && (o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == '?') {
			r = err_set(err, -EINVAL, "an unknown option");
		} else if (o == 'k') {
			r = keyfile_read(optarg, keys, err);
			c->keys = keys;
		} else if (o == 'b') {
			c->boot_path = optarg;
		} else if (o == 'm') {
			load->mode = load_mode_named(optarg);
		} else {
			r = parse_number(o, load, err);
		}
	}
	if (r == 0 && (!load->self || !c->boot_path || !load->mode))
		r = err_set(err, -EINVAL, "--self, --state and --mode are needed");
	return r;
}

/* As bench-functions.sh lays them out: 10.77.0.ID, one port. */
static void lay_out(struct station_config *c, const struct load *load)
{
	c->self = load->self;
	c->nodes.count = (int)load->nodes;
	for (uint32_t i = 0; i < load->nodes; i++) {
		c->nodes.ids[i] = i + 1;
		c->addresses[i].in4.sin_family = AF_INET;
		c->addresses[i].in4.sin_port = htons(7001);
		c->addresses[i].in4.sin_addr.s_addr = htonl(0x0a4d0000 | (i + 1));
	}
}

int main(int argc, char **argv)
{
	struct station_config c = { .cluster = "bench", .token_ns = NS_PER_S };
	struct load load = { .nodes = 3, .await = 3, .settle_ms = 300, .resources = 1,
			     .seconds = 2, .timer_at = UINT64_MAX, .gap_fd = -1 };
	struct keyfile keys = { .count = 0 };
	struct err err = ERR_INIT;
	int r = parse(argc, argv, &c, &load, &keys, &err);

	if (r == 0)
		r = log_open("lock_load", LOG_TO_STDERR, LOG_WARNING, &err);
	if (r == 0)
		r = prepare(&load, &err);
	if (r == 0) {
		lay_out(&c, &load);
		r = run(&load, &c, &err);
	}
	free(load.jobs);
	free(load.latencies);
	keyfile_wipe(&keys);
	log_close();
	if (r < 0)
		fprintf(stderr, "lock_load: %s\n", err.text);
	return r < 0 || load.has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
