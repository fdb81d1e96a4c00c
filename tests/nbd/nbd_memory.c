/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our NBD server on a volume in memory, for clients to be tried on it.
 *
 *	nbd-memory --socket=PATH [--name=NAME] [--size=BYTES] [--block=BYTES] ...
 *
 * Runs until SIGTERM, which closes it in order; SIGUSR1 lets go what is parked, SIGUSR2
 * prints a line a client. At its end it prints its counters.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/nbd/nbd.h"
#include "tests/nbd/memory_volume.h"

struct program {
	struct loop *loop;
	struct nbd_server *server;
	struct memory_volume volume;
	struct nbd_config config;
	uint64_t size_bytes, block_bytes, max_bytes;
	uint64_t delay_ms;
	uint64_t bad_low, bad_high, park_low, park_high;
	bool is_read_only, has_no_trim, is_null;
};

static void usage(void)
{
	fprintf(stderr, "usage: nbd-memory --socket=PATH [--name=NAME] [--description=TEXT]\n"
			"  [--size=BYTES] [--block=BYTES] [--max-bytes=BYTES] [--memory=BYTES]\n"
			"  [--clients=N] [--requests=N] [--delay-ms=N] [--drain-ms=N]\n"
			"  [--handshake-ms=N] [--bad=LOW:HIGH] [--park=LOW:HIGH]\n"
			"  [--read-only] [--no-trim] [--null]\n");
	exit(2);
}

static uint64_t number(const char *text, const char **rest)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text)
		usage();
	*rest = end;
	return n;
}

static uint64_t whole_number(const char *text)
{
	const char *rest;
	uint64_t n = number(text, &rest);

	if (*rest)
		usage();
	return n;
}

static void range(const char *text, uint64_t *low, uint64_t *high)
{
	const char *rest;

	*low = number(text, &rest);
	if (*rest != ':')
		usage();
	*high = whole_number(rest + 1);
}

static void set(struct program *p, const char *name, const char *value)
{
	if (strcmp(name, "socket") == 0)
		p->config.socket_path = value;
	else if (strcmp(name, "name") == 0)
		p->config.export_name = value;
	else if (strcmp(name, "description") == 0)
		p->config.description = value;
	else if (strcmp(name, "size") == 0)
		p->size_bytes = whole_number(value);
	else if (strcmp(name, "block") == 0)
		p->block_bytes = whole_number(value);
	else if (strcmp(name, "max-bytes") == 0)
		p->max_bytes = whole_number(value);
	else if (strcmp(name, "memory") == 0)
		p->config.memory_bytes = whole_number(value);
	else if (strcmp(name, "clients") == 0)
		p->config.max_clients = (uint32_t)whole_number(value);
	else if (strcmp(name, "requests") == 0)
		p->config.max_requests = (uint32_t)whole_number(value);
	else if (strcmp(name, "delay-ms") == 0)
		p->delay_ms = whole_number(value);
	else if (strcmp(name, "drain-ms") == 0)
		p->config.drain_ms = (uint32_t)whole_number(value);
	else if (strcmp(name, "handshake-ms") == 0)
		p->config.handshake_ms = (uint32_t)whole_number(value);
	else if (strcmp(name, "bad") == 0)
		range(value, &p->bad_low, &p->bad_high);
	else if (strcmp(name, "park") == 0)
		range(value, &p->park_low, &p->park_high);
	else if (strcmp(name, "read-only") == 0)
		p->is_read_only = true;
	else if (strcmp(name, "no-trim") == 0)
		p->has_no_trim = true;
	else
		p->is_null = true;
}

static void parse(struct program *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 'v' },
		{ "name", required_argument, NULL, 'v' },
		{ "description", required_argument, NULL, 'v' },
		{ "size", required_argument, NULL, 'v' },
		{ "block", required_argument, NULL, 'v' },
		{ "max-bytes", required_argument, NULL, 'v' },
		{ "memory", required_argument, NULL, 'v' },
		{ "clients", required_argument, NULL, 'v' },
		{ "requests", required_argument, NULL, 'v' },
		{ "delay-ms", required_argument, NULL, 'v' },
		{ "drain-ms", required_argument, NULL, 'v' },
		{ "handshake-ms", required_argument, NULL, 'v' },
		{ "bad", required_argument, NULL, 'v' },
		{ "park", required_argument, NULL, 'v' },
		{ "read-only", no_argument, NULL, 'v' },
		{ "no-trim", no_argument, NULL, 'v' },
		{ "null", no_argument, NULL, 'v' },
		{ 0 },
	};
	int c, which;

	while ((c = getopt_long(argc, argv, "", options, &which)) == 'v')
		set(p, options[which].name, optarg);
	if (c != -1 || optind != argc || !p->config.socket_path)
		usage();
}

static void print_client(void *owner, const struct nbd_client_look *look)
{
	(void)owner;
	printf("client %u: pid %d, %u requests, %u in the volume, %" PRIu64 " bytes, waits for %s\n",
	       look->id, (int)look->pid, look->requests, look->in_volume, look->memory_bytes,
	       look->waits_for ? look->waits_for : "nothing");
}

static void print_clients(void *owner)
{
	struct program *p = owner;

	nbd_server_each_client(p->server, print_client, NULL);
	printf("end\n");
	fflush(stdout);
}

static void print_counters(const struct program *p)
{
	struct nbd_server_look look;

	nbd_server_look(p->server, &look);
	printf("reads %" PRIu64 " writes %" PRIu64 " flushes %" PRIu64 " trims %" PRIu64
	       " zeroes %" PRIu64 " refused %" PRIu64 " failed %" PRIu64 " clients %" PRIu64
	       " cut %" PRIu64 " memory %" PRIu64 "\n",
	       look.counters.requests[VOLUME_READ], look.counters.requests[VOLUME_WRITE],
	       look.counters.requests[VOLUME_FLUSH], look.counters.requests[VOLUME_TRIM],
	       look.counters.requests[VOLUME_ZERO], look.counters.refused,
	       look.counters.failed, look.counters.clients, look.counters.cut,
	       look.memory_bytes);
}

static void unpark(void *owner)
{
	memory_volume_unpark(&((struct program *)owner)->volume);
}

static void stop(void *owner)
{
	nbd_server_close(((struct program *)owner)->server);
}

static void closed(void *owner)
{
	loop_stop(((struct program *)owner)->loop);
}

static int start(struct program *p, struct err *err)
{
	static const struct nbd_server_ops ops = { .closed = closed };
	struct memory_volume *v = &p->volume;
	int r;

	p->loop = loop_new(err);
	if (!p->loop)
		return err->code;
	r = memory_volume_init(v, p->loop, p->size_bytes, (uint32_t)p->block_bytes, err);
	if (r < 0)
		return r;
	v->volume.is_read_only = p->is_read_only;
	v->volume.has_trim = !p->has_no_trim;
	v->volume.max_bytes = (uint32_t)p->max_bytes;
	v->is_null = p->is_null;
	v->delay_ms = (uint32_t)p->delay_ms;
	v->bad_low = p->bad_low;
	v->bad_high = p->bad_high;
	v->park_low = p->park_low;
	v->park_high = p->park_high;
	p->server = nbd_server_new(p->loop, &p->config, &v->volume, &ops, p, err);
	if (!p->server)
		return err->code;
	r = loop_signal_add(p->loop, SIGTERM, stop, p, err);
	if (r == 0)
		r = loop_signal_add(p->loop, SIGUSR1, unpark, p, err);
	if (r == 0)
		r = loop_signal_add(p->loop, SIGUSR2, print_clients, p, err);
	return r;
}

int main(int argc, char **argv)
{
	struct program p = {
		.config = { .export_name = "memory" },
		.size_bytes = 64 << 20,
		.block_bytes = 512,
		.max_bytes = 32 << 20,
	};
	struct err err = ERR_INIT;

	parse(&p, argc, argv);
	if (log_open("nbd-memory", LOG_TO_STDERR, LOG_NOTICE, &err) < 0 ||
	    start(&p, &err) < 0) {
		fprintf(stderr, "nbd-memory: %s\n", err.text);
		return 1;
	}
	loop_run(p.loop);
	print_counters(&p);
	nbd_server_free(p.server);
	memory_volume_fini(&p.volume);
	loop_free(p.loop);
	log_close();
	return 0;
}
