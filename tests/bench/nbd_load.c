/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of bench-array.sh, for any NBD server on a unix socket: so many requests are
 * always under way, and one that is answered makes room for the next.
 *
 *	nbd_load --socket=PATH [--export=NAME] --op=write --fua --size=4096 --depth=16 \
 *		[--sequential] [--low=BYTES] [--length=BYTES] [--seconds=2 | --count=N] \
 *		[--rate=N]
 *
 * "result OPS/S BYTES/S P50_US P99_US MAX_US ALL", after a warm-up of --warm ms; ALL: how many
 * there were, with those of the warm-up. Not fio: that
 * one's nbd engine has no FUA, and its fsync=1 is no DSYNC at depths above 1 but as many
 * flushes as writes, in any order. And it is light: on two cores what it takes, the server
 * lacks. With --rate at most so many a second begin, evenly; a request's time then counts
 * from when it should have begun, so that a server that stalls cannot hide it.
 *
 * Fixed newstyle, simple replies; data that comes is not looked at.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/text.h"

enum {
	MAX_DEPTH = 1024,
	MAX_SIZE_BYTES = 32 << 20,
	MAX_SAMPLES = 8 << 20,
	IN_BYTES = 2 << 20,
	REQUEST_BYTES = 28,
	REPLY_BYTES = 16,
	SEND_AT_ONCE = 64, /* requests */
	OPTION_REPLY_BYTES = 20,
	NAME_BYTES = 256,
};
#define PATIENCE_NS (60 * NS_PER_S)

/* The protocol's own words. */
static const uint64_t nbd_magic = 0x4e42444d41474943, option_magic = 0x49484156454f5054,
		      option_reply_magic = 0x3e889045565a9;
enum {
	FIXED_NEWSTYLE = 1,
	NO_ZEROES = 2,
	OPTION_GO = 7,
	REPLY_ACK = 1,
	REPLY_INFO = 3,
	INFO_EXPORT = 0,
	REQUEST_MAGIC = 0x25609513,
	SIMPLE_REPLY_MAGIC = 0x67446698,
	COMMAND_READ = 0,
	COMMAND_WRITE = 1,
	COMMAND_FUA = 1,
	EXPORT_HAS_FUA = 8,
};

struct load {
	const char *socket_path, *export;
	bool is_write, is_fua, is_sequential;
	uint64_t size, depth, low, length, seconds, warm_ms, rate, count, seed;

	int fd;
	uint64_t export_bytes;
	uint8_t *payload, *in;
	size_t in_length, skip; /* what is left of a reply's data */
	uint64_t next_place;
	uint64_t began_at[MAX_DEPTH];
	uint32_t free_slots[MAX_DEPTH], free_count;

	uint64_t started, measured_from, until, begun, answered;
	uint32_t *samples; /* us */
	uint64_t sample_count;
};

static _Noreturn void fail(const struct load *load, const char *what)
{
	fprintf(stderr, "nbd_load: %s: %s\n", load->socket_path, what);
	exit(EXIT_FAILURE);
}

/* --- bytes -------------------------------------------------------------------------- */

static void send_all(struct load *load, struct iovec *iov, int count)
{
	while (count > 0) {
		ssize_t n = writev(load->fd, iov, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail(load, strerror(errno));
		while (count > 0 && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
}

static void receive_all(struct load *load, void *to, size_t length)
{
	for (size_t have = 0; have < length;) {
		ssize_t n = read(load->fd, (uint8_t *)to + have, length - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail(load, n < 0 ? strerror(errno) : "the server hung up");
		have += (size_t)n;
	}
}

/* --- hello -------------------------------------------------------------------------- */

static void ask_for_export(struct load *load)
{
	uint8_t bytes[4 + 16 + 6 + NAME_BYTES];
	size_t name = strlen(load->export);
	struct wr wr = wr_over(bytes, sizeof(bytes));

	wr_be_u32(&wr, FIXED_NEWSTYLE | NO_ZEROES);
	wr_be_u64(&wr, option_magic);
	wr_be_u32(&wr, OPTION_GO);
	wr_be_u32(&wr, (uint32_t)name + 6);
	wr_be_u32(&wr, (uint32_t)name);
	wr_bytes(&wr, load->export, name);
	wr_be_u16(&wr, 0);
	send_all(load, &(struct iovec){ bytes, wr.at }, 1);
}

/* False: that was the last one. */
static bool hear_option_reply(struct load *load)
{
	uint8_t head[OPTION_REPLY_BYTES], data[4096];
	uint32_t type, length;
	struct rd rd;

	receive_all(load, head, sizeof(head));
	rd = rd_over(head, sizeof(head));
	if (rd_be_u64(&rd) != option_reply_magic)
		fail(load, "the handshake makes no sense");
	rd_be_u32(&rd);
	type = rd_be_u32(&rd);
	length = rd_be_u32(&rd);
	if (length > sizeof(data))
		fail(load, "the handshake is too long");
	receive_all(load, data, length);
	rd = rd_over(data, length);
	if (type == REPLY_INFO && rd_be_u16(&rd) == INFO_EXPORT) {
		load->export_bytes = rd_be_u64(&rd);
		if (load->is_fua && !(rd_be_u16(&rd) & EXPORT_HAS_FUA))
			fail(load, "the server has no FUA");
	}
	if (type != REPLY_INFO && type != REPLY_ACK)
		fail(load, "the server refuses the export");
	return type != REPLY_ACK;
}

static void connect_to(struct load *load)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t hello[18];
	struct rd rd;

	if (strlen(load->socket_path) >= sizeof(address.sun_path))
		fail(load, "the path is too long");
	strcpy(address.sun_path, load->socket_path);
	load->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (load->fd < 0 ||
	    connect(load->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(load, strerror(errno));
	receive_all(load, hello, sizeof(hello));
	rd = rd_over(hello, sizeof(hello));
	if (rd_be_u64(&rd) != nbd_magic || rd_be_u64(&rd) != option_magic)
		fail(load, "this is no newstyle NBD server");
	ask_for_export(load);
	while (hear_option_reply(load))
		;
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
	uint8_t heads[SEND_AT_ONCE][REQUEST_BYTES];
	struct iovec iov[2 * SEND_AT_ONCE];
	uint64_t now = clock_boot_ns();
	int n = 0, parts = 0;

	for (; n < SEND_AT_ONCE && may_begin(load, now); n++) {
		uint32_t slot = load->free_slots[--load->free_count];
		struct wr wr = wr_over(heads[n], REQUEST_BYTES);

		wr_be_u32(&wr, REQUEST_MAGIC);
		wr_be_u16(&wr, load->is_fua ? COMMAND_FUA : 0);
		wr_be_u16(&wr, load->is_write ? COMMAND_WRITE : COMMAND_READ);
		wr_be_u64(&wr, slot);
		wr_be_u64(&wr, place(load));
		wr_be_u32(&wr, (uint32_t)load->size);
		iov[parts++] = (struct iovec){ heads[n], REQUEST_BYTES };
		if (load->is_write)
			iov[parts++] = (struct iovec){ load->payload, load->size };
		load->began_at[slot] = load->rate ? due_at(load, load->begun) : now;
		load->begun++;
	}
	send_all(load, iov, parts);
}

static void is_answered(struct load *load, uint64_t slot, uint64_t now)
{
	if (slot >= load->depth)
		fail(load, "an answer to nothing");
	load->free_slots[load->free_count++] = (uint32_t)slot;
	if (now < load->measured_from)
		return;
	load->answered++;
	if (load->sample_count < MAX_SAMPLES)
		load->samples[load->sample_count++] = (uint32_t)min_u64(
			(now - load->began_at[slot]) / 1000, UINT32_MAX);
}

/* Takes in what has come; whole replies, and the data of reads, which is dropped. */
static void hear(struct load *load)
{
	ssize_t n = read(load->fd, load->in + load->in_length, IN_BYTES - load->in_length);
	uint64_t now = clock_boot_ns();
	size_t at = 0;

	if (n <= 0)
		fail(load, n < 0 ? strerror(errno) : "the server hung up");
	load->in_length += (size_t)n;
	for (;;) {
		size_t skipped = min_u64(load->skip, load->in_length - at);
		struct rd rd;

		at += skipped;
		load->skip -= skipped;
		if (load->in_length - at < REPLY_BYTES)
			break;
		rd = rd_over(load->in + at, REPLY_BYTES);
		if (rd_be_u32(&rd) != SIMPLE_REPLY_MAGIC)
			fail(load, "an answer makes no sense");
		if (rd_be_u32(&rd) != 0)
			fail(load, "the server answers with an error");
		is_answered(load, rd_be_u64(&rd), now);
		at += REPLY_BYTES;
		load->skip = load->is_write ? 0 : load->size;
	}
	memmove(load->in, load->in + at, load->in_length - at);
	load->in_length -= at;
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

/* Not poll(2)'s milliseconds: they are longer than a request. */
static bool wait_for_answer(const struct load *load)
{
	struct pollfd pfd = { .fd = load->fd, .events = POLLIN };
	uint64_t ns = longest_wait_ns(load);
	int r = ppoll(&pfd, 1,
		      &(struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
					  .tv_nsec = (long)(ns % NS_PER_S) },
		      NULL);

	if (r < 0 && errno != EINTR)
		fail(load, strerror(errno));
	if (r == 0 && ns == PATIENCE_NS)
		fail(load, "no answer for a minute");
	return r > 0;
}

static bool is_over(const struct load *load)
{
	return load->free_count == load->depth &&
	       (clock_boot_ns() >= load->until ||
		(load->count && load->begun == load->count));
}

static void run(struct load *load)
{
	for (uint32_t i = 0; i < load->depth; i++)
		load->free_slots[load->free_count++] = i;
	load->started = clock_boot_ns();
	load->measured_from = load->started + load->warm_ms * NS_PER_MS;
	load->until = load->count ? UINT64_MAX
				  : load->measured_from + load->seconds * NS_PER_S;
	do {
		begin_some(load);
		if (wait_for_answer(load))
			hear(load);
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
		fail(load, "nothing was answered");
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
	if (err->code == 0 && strlen(load->export) >= NAME_BYTES)
		err_set(err, -EINVAL, "export: the name is too long");
}

int main(int argc, char **argv)
{
	static struct load load = { .export = "", .size = 4096, .depth = 1, .seconds = 2,
				    .seed = 88172645463325252, .fd = -1 };
	struct err err = ERR_INIT;

	parse(argc, argv, &load, &err);
	if (err.code < 0) {
		fprintf(stderr, "nbd_load: %s\n", err.text);
		return 2;
	}
	connect_to(&load);
	if (load.length == 0)
		load.length = load.export_bytes - min_u64(load.low, load.export_bytes);
	if (load.length < load.size || load.low + load.length > load.export_bytes)
		fail(&load, "the range is not within the export");
	load.payload = malloc(load.size);
	load.in = malloc(IN_BYTES);
	load.samples = calloc(MAX_SAMPLES, sizeof(*load.samples));
	if (!load.payload || !load.in || !load.samples)
		fail(&load, "no memory");
	for (size_t i = 0; i < load.size; i++)
		load.payload[i] = (uint8_t)random_next(&load.seed);
	run(&load);
	report(&load);
	free(load.payload);
	free(load.in);
	free(load.samples);
	close(load.fd);
	return EXIT_SUCCESS;
}
