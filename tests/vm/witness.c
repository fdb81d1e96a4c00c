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
 *	vm-witness check [--power] [--low=LOW] [--known=BYTES] [--sent=BYTES]
 *	           JOURNAL FILE [OFFSET]
 *		FILE holds the target's bytes from OFFSET on. Of JOURNAL the first `known`
 *		bytes were there before FILE was, and all beyond `sent` came later. With
 *		--power only what was written with FUA must be there. Ends with 1 and a line
 *		for each block that is wrong.
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
	uint64_t known, sent; /* bytes of the journal */
	bool is_power;
};

static int grow(struct checker *c, uint64_t block, struct err *err)
{
	uint64_t count = block + 1024;
	struct block *more;

	if (block < c->count)
		return 0;
	more = block > UINT32_MAX ? NULL : realloc(c->blocks, count * sizeof(*more));
	if (!more)
		return err_set(err, -ENOMEM, "no memory for block %" PRIu64, block);
	memset(more + c->count, 0, (count - c->count) * sizeof(*more));
	c->blocks = more;
	c->count = count;
	return 0;
}

static int read_journal(struct checker *c, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	char line[128], what;
	uint64_t at = 0, block, stamp;
	int r = 0;

	if (!file)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && fgets(line, sizeof(line), file)) {
		bool is_whole = strchr(line, '\n') != NULL;

		at += strlen(line);
		if (!is_whole || sscanf(line, "%c %" SCNu64 " %" SCNu64, &what, &block, &stamp) != 3)
			continue;
		r = grow(c, block, err);
		if (r < 0)
			break;
		if (what == 's' && at <= c->sent)
			c->blocks[block].most = stamp;
		else if ((what == 'd' || (what == 'a' && !c->is_power)) && at <= c->known)
			c->blocks[block].least = stamp;
	}
	(void)fclose(file);
	return r;
}

static void judge(struct checker *c, uint64_t block, const uint64_t *words)
{
	const struct block *b = &c->blocks[block];
	uint64_t offset = c->low + block * BLOCK_BYTES;

	c->judged++;
	for (unsigned int s = 0; s < BLOCK_BYTES / SECTOR_BYTES; s++) {
		const uint64_t *at = words + (size_t)s * SECTOR_WORDS;
		uint64_t stamp = at[0] ^ word_of(0, offset + (uint64_t)s * SECTOR_BYTES);
		bool is_right = stamp >= b->least && stamp <= b->most;

		for (unsigned int i = 1; i < SECTOR_WORDS; i++)
			is_right = is_right && at[i] == at[0];
		if (is_right)
			continue;
		printf("LOST: block %" PRIu64 " sector %u: stamp %" PRIu64 ", wanted %" PRIu64
		       " to %" PRIu64 "\n", block, s, stamp, b->least, b->most);
		c->wrong++;
		return;
	}
}

static int check_file(struct checker *c, const char *path, uint64_t from, struct err *err)
{
	static uint64_t words[BLOCK_BYTES / sizeof(uint64_t)];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	for (uint64_t i = 0; i < c->count; i++) {
		if (c->blocks[i].least == 0)
			continue; /* it may hold what was there before */
		if (pread(fd, words, BLOCK_BYTES, (off_t)(from + c->low + i * BLOCK_BYTES)) !=
		    BLOCK_BYTES) {
			close(fd);
			return err_set(err, -EIO, "%s: it cannot be read", path);
		}
		judge(c, i, words);
	}
	close(fd);
	return 0;
}

static int do_check(int argc, char **argv, struct err *err)
{
	static const struct option options[] = {
		{ "power", no_argument, NULL, 'p' },
		{ "known", required_argument, NULL, 'k' },
		{ "sent", required_argument, NULL, 's' },
		{ "low", required_argument, NULL, 'l' },
		{ 0 },
	};
	struct checker c = { .known = UINT64_MAX, .sent = UINT64_MAX };
	int o, r;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'p')
			c.is_power = true;
		else if (o == 'k')
			c.known = strtoull(optarg, NULL, 0);
		else if (o == 's')
			c.sent = strtoull(optarg, NULL, 0);
		else if (o == 'l')
			c.low = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (argc - optind < 2)
		return err_set(err, -EINVAL, "check what?");
	r = read_journal(&c, argv[optind], err);
	if (r == 0)
		r = check_file(&c, argv[optind + 1],
			       argc - optind > 2 ? strtoull(argv[optind + 2], NULL, 0) : 0, err);
	free(c.blocks);
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
