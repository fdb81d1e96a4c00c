/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A witness of single writes, whose journal is of use at any moment: a line before each
 * write, and one when it was acknowledged. So a copy of the disks that was taken at some
 * moment can be held against what was known before, and sent until after, that moment.
 *
 *	vm-witness write JOURNAL TARGET LOW LENGTH [COUNT]
 *		blocks of LENGTH bytes from LOW on, at random places, half of them with FUA;
 *		until SIGTERM or COUNT writes (ends with 0) or an error (3). TARGET: a block
 *		device or file, or nbd:SOCKET:EXPORT. JOURNAL is appended to.
 *	vm-witness check [OPTION...] JOURNAL FILE LOW LENGTH
 *		The same place, in FILE. Ends with 1 and a line for each block that is wrong.
 *		--power         the power went: what was written without FUA may be gone
 *		--known=BYTES   so much of the journal was there before FILE was
 *		--sent=BYTES    what lies behind came later
 *		--before=FILE   what there was before the first write
 *
 * Lines: "s BLOCK STAMP" (sent), "a BLOCK STAMP" (acknowledged), "d BLOCK STAMP"
 * (durable). Stamps grow. Each sector is judged by itself: a block is no unit of any disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "tests/nbd/nbd_caller.h"

enum { BLOCK_BYTES = 4096, SECTOR_BYTES = 512, IS_GONE = 3 };
enum { SECTOR_WORDS = SECTOR_BYTES / sizeof(uint64_t) };

static volatile sig_atomic_t is_told_to_stop;

static void told_to_stop(int signal_number)
{
	(void)signal_number;
	is_told_to_stop = 1;
}

/* A sector knows where it belongs, so that one that went elsewhere is seen. */
static uint64_t word_of(uint64_t stamp, uint64_t offset)
{
	return stamp ^ (offset * 0x9e3779b97f4a7c15);
}

/* --- writing ---------------------------------------------------------------------------- */

struct writer {
	struct nbd_caller caller; /* fd -1: it is a device */
	int fd, journal;
	uint64_t low, blocks, stamp, random;
	uint64_t *data;
	bool is_answered, is_failed;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void answered(void *owner, const struct nbd_answer *answer)
{
	struct writer *w = owner;

	w->is_answered = true;
	w->is_failed = answer->error != 0;
}

static int write_nbd(struct writer *w, uint64_t offset, bool is_fua, struct err *err)
{
	struct nbd_ask ask = { .is_write = true, .is_fua = is_fua, .length = BLOCK_BYTES,
			       .offset = offset, .data = w->data };
	int r = nbd_caller_ask(&w->caller, &ask, 1, err);

	w->is_answered = false;
	while (r == 0 && !w->is_answered)
		r = nbd_caller_hear(&w->caller, NS_PER_S, answered, w, err);
	if (r == 0 && w->is_failed)
		r = err_set(err, -EIO, "the server refuses a write");
	return r;
}

static int write_device(struct writer *w, uint64_t offset, bool is_fua, struct err *err)
{
	struct iovec v = { .iov_base = w->data, .iov_len = BLOCK_BYTES };

	if (pwritev2(w->fd, &v, 1, (off_t)offset, is_fua ? RWF_DSYNC : 0) != BLOCK_BYTES)
		return err_set(err, -EIO, "a write fails: %s", strerror(errno));
	return 0;
}

static int tell(const struct writer *w, char what, uint64_t block, struct err *err)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%c %" PRIu64 " %" PRIu64 "\n", what, block,
			 w->stamp);

	if (write(w->journal, line, (size_t)n) != n)
		return err_set(err, -EIO, "the journal cannot be written: %s", strerror(errno));
	return 0;
}

static int one_write(struct writer *w, struct err *err)
{
	uint64_t block = next_random(&w->random) % w->blocks;
	uint64_t offset = w->low + block * BLOCK_BYTES;
	bool is_fua = next_random(&w->random) % 2;
	int r;

	w->stamp++;
	for (size_t i = 0; i < BLOCK_BYTES / sizeof(*w->data); i++)
		w->data[i] = word_of(w->stamp, offset + i / SECTOR_WORDS * SECTOR_BYTES);
	r = tell(w, 's', block, err);
	if (r == 0)
		r = w->fd < 0 ? write_nbd(w, offset, is_fua, err) :
				write_device(w, offset, is_fua, err);
	return r < 0 ? r : tell(w, is_fua ? 'd' : 'a', block, err);
}

static int open_target(struct writer *w, char *target, struct err *err)
{
	char *rest = target, *socket;

	if (strncmp(target, "nbd:", 4) != 0) {
		w->fd = open(target, O_RDWR | O_DIRECT | O_CLOEXEC);
		return w->fd < 0 ? err_set(err, -errno, "%s: %s", target, strerror(errno)) : 0;
	}
	(void)strsep(&rest, ":");
	socket = strsep(&rest, ":");
	if (!socket || !rest)
		return err_set(err, -EINVAL, "what is a target without an export?");
	return nbd_caller_open(&w->caller, socket, rest, err);
}

static int do_write(int count, char **words, struct err *err)
{
	struct writer w = { .caller = { .fd = -1 }, .fd = -1 };
	uint64_t left = count == 5 ? strtoull(words[4], NULL, 0) : UINT64_MAX;
	struct timespec now;
	int r;

	signal(SIGTERM, told_to_stop);
	clock_gettime(CLOCK_REALTIME, &now);
	w.stamp = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	w.random = w.stamp * 0x2545f4914f6cdd1d + (uint64_t)getpid();
	w.low = strtoull(words[2], NULL, 0);
	w.blocks = strtoull(words[3], NULL, 0) / BLOCK_BYTES;
	w.journal = open(words[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (w.journal < 0)
		return err_set(err, -errno, "%s: %s", words[0], strerror(errno));
	if (w.blocks == 0 || posix_memalign((void **)&w.data, BLOCK_BYTES, BLOCK_BYTES) != 0)
		return err_set(err, -EINVAL, "no blocks");
	r = open_target(&w, words[1], err);
	if (r < 0)
		return r;
	while (r == 0 && left-- > 0 && !is_told_to_stop)
		r = one_write(&w, err);
	if (r < 0)
		fprintf(stderr, "vm-witness: %s\n", err->text);
	free(w.data);
	return r < 0 ? IS_GONE : 0;
}

/* --- checking --------------------------------------------------------------------------- */

struct block {
	uint64_t least, most; /* stamps; most 0: never sent */
};

struct checker {
	struct block *blocks;
	uint64_t count, low, wrong, judged;
	int before; /* -1: unknown */
	uint64_t known, sent; /* bytes of the journal */
	bool is_power;
};

static int read_journal(struct checker *c, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	char line[128], what;
	uint64_t at = 0, block, stamp;

	if (!file)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		bool is_whole = strchr(line, '\n') != NULL;

		at += strlen(line);
		if (!is_whole || sscanf(line, "%c %" SCNu64 " %" SCNu64, &what, &block, &stamp) != 3 ||
		    block >= c->count)
			continue;
		if (what == 's' && at <= c->sent)
			c->blocks[block].most = stamp;
		else if ((what == 'd' || (what == 'a' && !c->is_power)) && at <= c->known)
			c->blocks[block].least = stamp;
	}
	(void)fclose(file);
	return 0;
}

static void tell_wrong(struct checker *c, uint64_t block, unsigned int sector, uint64_t stamp)
{
	printf("LOST: block %" PRIu64 " sector %u: stamp %" PRIu64 ", wanted %" PRIu64
	       " to %" PRIu64 "\n", block, sector, stamp, c->blocks[block].least,
	       c->blocks[block].most);
	c->wrong++;
}

static bool is_stamp(const struct block *b, const uint64_t *at, uint64_t stamp)
{
	for (unsigned int i = 1; i < SECTOR_WORDS; i++)
		if (at[i] != at[0])
			return false;
	return b->most > 0 && stamp >= b->least && stamp <= b->most;
}

/* `old` is what a sector that no write was acknowledged for may also be; NULL: anything. */
static void judge(struct checker *c, uint64_t block, const uint64_t *words, const uint64_t *old)
{
	const struct block *b = &c->blocks[block];
	uint64_t offset = c->low + block * BLOCK_BYTES;

	c->judged++;
	for (unsigned int s = 0; s < BLOCK_BYTES / SECTOR_BYTES; s++) {
		const uint64_t *at = words + (size_t)s * SECTOR_WORDS;
		uint64_t stamp = at[0] ^ word_of(0, offset + (uint64_t)s * SECTOR_BYTES);

		if (is_stamp(b, at, stamp))
			continue;
		if (b->least == 0 &&
		    (!old || memcmp(at, old + (size_t)s * SECTOR_WORDS, SECTOR_BYTES) == 0))
			continue;
		tell_wrong(c, block, s, stamp);
		return;
	}
}

static int check_file(struct checker *c, const char *path, struct err *err)
{
	static uint64_t words[BLOCK_BYTES / sizeof(uint64_t)], old[BLOCK_BYTES / sizeof(uint64_t)];
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	for (uint64_t i = 0; i < c->count && r == 0; i++) {
		off_t at = (off_t)(c->low + i * BLOCK_BYTES);

		if (pread(fd, words, BLOCK_BYTES, at) != BLOCK_BYTES ||
		    (c->before >= 0 && pread(c->before, old, BLOCK_BYTES, at) != BLOCK_BYTES))
			r = err_set(err, -EIO, "%s: it cannot be read", path);
		else
			judge(c, i, words, c->before < 0 ? NULL : old);
	}
	close(fd);
	return r;
}

static int parse_check(struct checker *c, int argc, char **argv, struct err *err)
{
	static const struct option options[] = {
		{ "power", no_argument, NULL, 'p' },
		{ "known", required_argument, NULL, 'k' },
		{ "sent", required_argument, NULL, 's' },
		{ "before", required_argument, NULL, 'b' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'p')
			c->is_power = true;
		else if (o == 'k')
			c->known = strtoull(optarg, NULL, 0);
		else if (o == 's')
			c->sent = strtoull(optarg, NULL, 0);
		else if (o == 'b')
			c->before = open(optarg, O_RDONLY | O_CLOEXEC);
		if (o == '?' || (o == 'b' && c->before < 0))
			return err_set(err, -EINVAL, "check how?");
	}
	if (argc - optind != 4)
		return err_set(err, -EINVAL, "check what?");
	c->low = strtoull(argv[optind + 2], NULL, 0);
	c->count = strtoull(argv[optind + 3], NULL, 0) / BLOCK_BYTES;
	c->blocks = calloc(c->count + 1, sizeof(*c->blocks));
	return c->blocks ? 0 : err_set(err, -ENOMEM, "no memory for the blocks");
}

static int do_check(int argc, char **argv, struct err *err)
{
	struct checker c = { .known = UINT64_MAX, .sent = UINT64_MAX, .before = -1 };
	int r = parse_check(&c, argc, argv, err);

	if (r == 0)
		r = read_journal(&c, argv[optind], err);
	if (r == 0)
		r = check_file(&c, argv[optind + 1], err);
	free(c.blocks);
	if (c.before >= 0)
		close(c.before);
	if (r < 0)
		return r;
	printf("%" PRIu64 " blocks, %" PRIu64 " wrong\n", c.judged, c.wrong);
	return c.wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int code = -EINVAL;

	if (argc >= 6 && strcmp(argv[1], "write") == 0)
		code = do_write(argc - 2, argv + 2, &err);
	else if (argc >= 4 && strcmp(argv[1], "check") == 0)
		code = do_check(argc - 1, argv + 1, &err);
	else
		err_set(&err, -EINVAL, "usage: see the head of tests/vm/witness.c");
	if (code < 0)
		fprintf(stderr, "vm-witness: %s\n", err.text);
	return code < 0 ? 2 : code;
}
