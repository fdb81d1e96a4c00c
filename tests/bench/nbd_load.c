/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load of bench-array.sh, on any NBD server with a unix socket: so many requests are
 * always under way, and one that is answered makes room for the next.
 *
 *	nbd_load --socket=PATH [--export=NAME] --op=write --fua --size=4096 --depth=16 \
 *		[--sequential] [--low=BYTES] [--length=BYTES] [--seconds=2 | --count=N] \
 *		[--warm=MS] [--rate=N]
 *
 * "result OPS/S BYTES/S P50_US P99_US MAX_US ALL", after a warm-up of --warm ms; ALL: how
 * many there were, with those of the warm-up. With --rate so many a second begin, evenly; a
 * request's time then counts from when it should have begun, so that a server that stalls
 * cannot hide it.
 *
 * Not fio: its nbd engine has no FUA, and its fsync=1 is no DSYNC at depths above 1, but as
 * many flushes as writes, in any order. And this is light: on two cores what the client
 * takes, the server lacks.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/nbd/nbd_caller.h"

enum {
	MAX_DEPTH = 1024,
	MAX_SIZE_BYTES = 32 << 20,
	MAX_SAMPLES = 8 << 20,
};
#define PATIENCE_NS (60 * NS_PER_S)

struct load {
	const char *socket_path, *export;
	bool is_write, is_fua, is_sequential;
	uint64_t size, depth, low, length, seconds, warm_ms, rate, count, seed;

	struct nbd_caller caller;
	uint8_t *payload;
	uint64_t next_place;
	uint64_t began_at[MAX_DEPTH];
	uint32_t free_slots[MAX_DEPTH], free_count;

	uint64_t started, measured_from, until, begun, answered, last_answer;
	uint32_t *samples; /* us */
	uint64_t sample_count;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "nbd_load: %s\n", what);
	exit(EXIT_FAILURE);
}

/* --- load ---------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t place(struct load *load)
{
	uint64_t places = load->length / load->size;
	uint64_t n = load->is_sequential ? load->next_place++
					 : random_next(&load->seed) >> 16;

	return load->low + n % places * load->size;
}

/* When request n is due, or 0: as soon as there is room. */
static uint64_t due_at(const struct load *load, uint64_t n)
{
	return load->rate ? load->started + n * NS_PER_S / load->rate : 0;
}

static bool may_begin(const struct load *load, uint64_t now)
{
	return load->free_count > 0 && now < load->until && due_at(load, load->begun) <= now &&
	       (load->count == 0 || load->begun < load->count);
}

static void begin_some(struct load *load)
{
	struct nbd_ask asks[NBD_CALLER_AT_ONCE];
	uint64_t now = clock_boot_ns();
	struct err err = ERR_INIT;
	int n = 0;

	for (; n < NBD_CALLER_AT_ONCE && may_begin(load, now); n++) {
		uint32_t slot = load->free_slots[--load->free_count];

		asks[n] = (struct nbd_ask){ .is_write = load->is_write, .is_fua = load->is_fua,
					    .cookie = slot, .offset = place(load),
					    .length = (uint32_t)load->size,
					    .data = load->payload };
		load->began_at[slot] = load->rate ? due_at(load, load->begun) : now;
		load->begun++;
	}
	if (n > 0 && nbd_caller_ask(&load->caller, asks, n, &err) < 0)
		fail(err.text);
}

static void answered(void *owner, const struct nbd_answer *answer)
{
	struct load *load = owner;
	uint64_t now = clock_boot_ns(), slot = answer->cookie;

	if (slot >= load->depth)
		fail("an answer to nothing");
	if (answer->error)
		fail("the server answers with an error");
	load->free_slots[load->free_count++] = (uint32_t)slot;
	load->last_answer = now;
	if (now < load->measured_from)
		return;
	load->answered++;
	if (load->sample_count < MAX_SAMPLES)
		load->samples[load->sample_count++] = (uint32_t)min_u64(
			(now - load->began_at[slot]) / 1000, UINT32_MAX);
}

/* Until the next request is due, or only an answer matters. */
static uint64_t longest_wait_ns(const struct load *load)
{
	uint64_t now = clock_boot_ns(), due = due_at(load, load->begun);

	if (!load->rate || load->free_count == 0 || now >= load->until ||
	    (load->count && load->begun == load->count))
		return PATIENCE_NS;
	return due > now ? due - now : 0;
}

static bool is_over(const struct load *load)
{
	return load->free_count == load->depth &&
	       (clock_boot_ns() >= load->until ||
		(load->count && load->begun == load->count));
}

static void run(struct load *load)
{
	struct err err = ERR_INIT;

	for (uint32_t i = 0; i < load->depth; i++)
		load->free_slots[load->free_count++] = i;
	load->started = load->last_answer = clock_boot_ns();
	load->measured_from = load->started + load->warm_ms * NS_PER_MS;
	load->until = load->count ? UINT64_MAX
				  : load->measured_from + load->seconds * NS_PER_S;
	do {
		begin_some(load);
		if (nbd_caller_hear(&load->caller, longest_wait_ns(load), answered, load,
				    &err) < 0)
			fail(err.text);
		if (load->free_count < load->depth &&
		    clock_boot_ns() - load->last_answer > PATIENCE_NS)
			fail("no answer for a minute");
	} while (!is_over(load));
}

/* --- the result ------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct load *load)
{
	uint64_t ns = max_u64(clock_boot_ns() - load->measured_from, 1), n = load->sample_count;
	double rate = (double)load->answered * (double)NS_PER_S / (double)ns;

	if (n == 0)
		fail("nothing was answered");
	qsort(load->samples, n, sizeof(*load->samples), by_value);
	printf("result %.1f %.0f %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", rate,
	       rate * (double)load->size, load->samples[n / 2], load->samples[n * 99 / 100],
	       load->samples[n - 1], load->begun);
}

/* --- the command line -------------------------------------------------------------------- */

static const struct option longs[] = {
	{ "socket", required_argument, NULL, 's' }, { "export", required_argument, NULL, 'e' },
	{ "op", required_argument, NULL, 'o' },     { "fua", no_argument, NULL, 'f' },
	{ "sequential", no_argument, NULL, 'q' },   { "size", required_argument, NULL, 'z' },
	{ "depth", required_argument, NULL, 'd' },  { "low", required_argument, NULL, 'l' },
	{ "length", required_argument, NULL, 'n' }, { "seconds", required_argument, NULL, 't' },
	{ "warm", required_argument, NULL, 'w' },   { "rate", required_argument, NULL, 'r' },
	{ "count", required_argument, NULL, 'c' },  { "seed", required_argument, NULL, 'S' },
	{ 0 },
};

static void parse(int argc, char **argv, struct load *load, struct err *err)
{
	int o;

	while (err->code == 0 && (o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o == 's')
			load->socket_path = optarg;
		else if (o == 'e')
			load->export = optarg;
		else if (o == 'o')
			load->is_write = strcmp(optarg, "write") == 0;
		else if (o == 'f')
			load->is_fua = true;
		else if (o == 'q')
			load->is_sequential = true;
		else if (o == 'z')
			text_parse_u64(optarg, "size", 512, MAX_SIZE_BYTES, &load->size, err);
		else if (o == 'd')
			text_parse_u64(optarg, "depth", 1, MAX_DEPTH, &load->depth, err);
		else if (o == 'l')
			text_parse_u64(optarg, "low", 0, INT64_MAX, &load->low, err);
		else if (o == 'n')
			text_parse_u64(optarg, "length", 512, INT64_MAX, &load->length, err);
		else if (o == 't')
			text_parse_u64(optarg, "seconds", 1, 3600, &load->seconds, err);
		else if (o == 'w')
			text_parse_u64(optarg, "warm", 0, 60000, &load->warm_ms, err);
		else if (o == 'r')
			text_parse_u64(optarg, "rate", 1, 10000000, &load->rate, err);
		else if (o == 'c')
			text_parse_u64(optarg, "count", 1, UINT32_MAX, &load->count, err);
		else if (o == 'S')
			text_parse_u64(optarg, "seed", 1, UINT64_MAX, &load->seed, err);
		else
			exit(2);
	}
	if (err->code == 0 && !load->socket_path)
		err_set(err, -EINVAL, "--socket is needed");
}

int main(int argc, char **argv)
{
	static struct load load = { .export = "", .size = 4096, .depth = 1, .seconds = 2,
				    .seed = 88172645463325252 };
	struct err err = ERR_INIT;

	parse(argc, argv, &load, &err);
	if (err.code < 0 ||
	    nbd_caller_open(&load.caller, load.socket_path, load.export, &err) < 0)
		fail(err.text);
	if (load.is_fua && !load.caller.has_fua)
		fail("the server has no FUA");
	if (load.length == 0)
		load.length = load.caller.export_bytes - min_u64(load.low, load.caller.export_bytes);
	if (load.length < load.size || load.low + load.length > load.caller.export_bytes)
		fail("the range is not within the export");
	load.caller.answer_bytes = load.is_write ? 0 : load.size;
	load.payload = malloc(load.size);
	load.samples = calloc(MAX_SAMPLES, sizeof(*load.samples));
	if (!load.payload || !load.samples)
		fail("no memory");
	for (size_t i = 0; i < load.size; i++)
		load.payload[i] = (uint8_t)random_next(&load.seed);
	run(&load);
	report(&load);
	nbd_caller_close(&load.caller);
	free(load.payload);
	free(load.samples);
	return EXIT_SUCCESS;
}
