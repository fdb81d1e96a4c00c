/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A witness of what was acknowledged: writes blocks at random places, each time with a
 * larger stamp, and keeps for each block the stamp that was acknowledged last, and the one
 * that was sent last. Whatever became of the server, anybody who reads the block later must
 * find a stamp that is one of these, or between them, whole.
 *
 *	nbd-witness write JOURNAL SOCKET EXPORT LOW LENGTH [DEPTH]
 *		until SIGTERM (ends with 0), or until the server is gone (with 3); goes on
 *		with JOURNAL where there is one
 *	nbd-witness check JOURNAL SOCKET EXPORT
 *		reads all; ends with 1 and a line for each block that is wrong
 *
 * Two writes of a block are never under way together. A flush is not asked for: what a
 * process has acknowledged must outlive its kill -9; FUA=1 in the environment asks for
 * that, so that it outlives the machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/nbd/nbd_caller.h"

enum { BLOCK_BYTES = 4096, MAX_DEPTH = NBD_CALLER_AT_ONCE, READ_BLOCKS = 16, IS_GONE = 3 };

struct block {
	uint64_t acknowledged, sent; /* stamps; 0: never */
};

struct journal {
	uint64_t low, length, stamp; /* the last one; bytes of the export */
	uint64_t written;            /* acknowledged writes, of all times */
};

struct under_way {
	uint64_t block, stamp; /* stamp 0: free */
	uint64_t data[BLOCK_BYTES / sizeof(uint64_t)];
};

struct witness {
	struct nbd_caller caller;
	struct journal journal;
	struct block *blocks;
	uint64_t count, seed;
	struct under_way slots[MAX_DEPTH];
	uint64_t depth, running;
	bool is_fua, is_refused;
};

static volatile sig_atomic_t is_told_to_stop;

static void told_to_stop(int signal_number)
{
	(void)signal_number;
	is_told_to_stop = 1;
}

/* A block knows where it belongs, so that one that went elsewhere is seen. */
static uint64_t word_of(uint64_t stamp, uint64_t offset)
{
	return stamp ^ (offset * 0x9e3779b97f4a7c15);
}

/* --- the journal ---------------------------------------------------------------------- */

static int read_journal(struct witness *w, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	bool is_whole;

	if (!file)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	is_whole = fread(&w->journal, sizeof(w->journal), 1, file) == 1;
	w->count = w->journal.length / BLOCK_BYTES;
	w->blocks = is_whole ? calloc(w->count + 1, sizeof(*w->blocks)) : NULL;
	is_whole = w->blocks && fread(w->blocks, sizeof(*w->blocks), w->count, file) == w->count;
	(void)fclose(file);
	return is_whole ? 0 : err_set(err, -EBADMSG, "%s: it is not whole", path);
}

static int write_journal(const struct witness *w, const char *path, struct err *err)
{
	FILE *file = fopen(path, "we");
	bool is_whole;

	if (!file)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	is_whole = fwrite(&w->journal, sizeof(w->journal), 1, file) == 1 &&
		   fwrite(w->blocks, sizeof(*w->blocks), w->count, file) == w->count;
	if (fclose(file) != 0 || !is_whole)
		return err_set(err, -EIO, "%s: cannot be written", path);
	return 0;
}

/* --- writing ----------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static bool is_busy(const struct witness *w, uint64_t block)
{
	for (uint64_t i = 0; i < w->depth; i++)
		if (w->slots[i].stamp && w->slots[i].block == block)
			return true;
	return false;
}

static struct nbd_ask next_write(struct witness *w, uint64_t slot)
{
	struct under_way *u = &w->slots[slot];
	uint64_t offset;

	do {
		u->block = random_next(&w->seed) % w->count;
	} while (is_busy(w, u->block));
	u->stamp = ++w->journal.stamp;
	offset = w->journal.low + u->block * BLOCK_BYTES;
	for (size_t i = 0; i < ARRAY_SIZE(u->data); i++)
		u->data[i] = word_of(u->stamp, offset);
	w->blocks[u->block].sent = u->stamp;
	w->running++;
	return (struct nbd_ask){ .is_write = true, .is_fua = w->is_fua, .cookie = slot,
				 .offset = offset, .length = BLOCK_BYTES, .data = u->data };
}

static int fill_up(struct witness *w, struct err *err)
{
	struct nbd_ask asks[MAX_DEPTH];
	int count = 0;

	if (is_told_to_stop || w->is_refused)
		return 0;
	for (uint64_t i = 0; i < w->depth; i++)
		if (!w->slots[i].stamp)
			asks[count++] = next_write(w, i);
	return nbd_caller_ask(&w->caller, asks, count, err);
}

static void answered(void *owner, const struct nbd_answer *answer)
{
	struct witness *w = owner;
	struct under_way *u;

	if (answer->cookie >= w->depth || !w->slots[answer->cookie].stamp)
		return;
	u = &w->slots[answer->cookie];
	if (answer->error) {
		w->is_refused = true;
	} else {
		w->blocks[u->block].acknowledged = u->stamp;
		w->journal.written++;
	}
	u->stamp = 0;
	w->running--;
}

/* 0, or the server is gone. */
static int run(struct witness *w, struct err *err)
{
	int r;

	do {
		r = fill_up(w, err);
		if (r == 0)
			r = nbd_caller_hear(&w->caller, NS_PER_S, answered, w, err);
	} while (r == 0 && (w->running > 0 || !(is_told_to_stop || w->is_refused)));
	if (r == 0 && w->is_refused)
		r = err_set(err, -ESHUTDOWN, "%s: the server refuses a write", w->caller.path);
	return r;
}

static int begin_journal(struct witness *w, char **words, struct err *err)
{
	int r = read_journal(w, words[0], err);

	if (r != -ENOENT)
		return r;
	*err = (struct err)ERR_INIT;
	if (text_parse_u64(words[3], "LOW", 0, INT64_MAX, &w->journal.low, err) < 0 ||
	    text_parse_u64(words[4], "LENGTH", (uint64_t)2 * MAX_DEPTH * BLOCK_BYTES, INT64_MAX,
			   &w->journal.length, err) < 0)
		return err->code;
	w->count = w->journal.length / BLOCK_BYTES;
	w->blocks = calloc(w->count + 1, sizeof(*w->blocks));
	return w->blocks ? 0 : err_nomem(err, "blocks");
}

static int do_write(struct witness *w, int count, char **words, struct err *err)
{
	struct err gone = ERR_INIT;
	int r;

	w->depth = 8;
	if (count == 6 && text_parse_u64(words[5], "DEPTH", 1, MAX_DEPTH, &w->depth, err) < 0)
		return err->code;
	r = begin_journal(w, words, err);
	if (r < 0)
		return r;
	w->seed = (w->journal.stamp + 1) * 88172645463325253 ^ w->journal.low;
	w->is_fua = getenv("FUA") != NULL;
	signal(SIGTERM, told_to_stop);
	r = nbd_caller_open(&w->caller, words[1], words[2], &gone);
	if (r == 0)
		r = run(w, &gone);
	if (write_journal(w, words[0], err) < 0)
		return err->code;
	if (r < 0)
		fprintf(stderr, "nbd-witness: %s\n", gone.text);
	return r < 0 ? IS_GONE : 0;
}

/* --- checking ------------------------------------------------------------------------------ */

/* Never written: whatever was there. Written, never acknowledged: the same, or a stamp. */
static bool is_right(const struct block *b, const uint64_t *words, uint64_t offset)
{
	uint64_t stamp = words[0] ^ word_of(0, offset);

	if (b->acknowledged == 0)
		return true;
	for (size_t i = 1; i < BLOCK_BYTES / sizeof(*words); i++)
		if (words[i] != words[0])
			return false;
	return stamp >= b->acknowledged && stamp <= b->sent;
}

static void tell_wrong(const struct block *b, const uint64_t *words, uint64_t offset)
{
	bool is_torn = false;

	for (size_t i = 1; i < BLOCK_BYTES / sizeof(*words); i++)
		is_torn = is_torn || words[i] != words[0];
	printf("LOST: at %" PRIu64 ": stamp %" PRIu64 "%s, acknowledged %" PRIu64
	       ", sent %" PRIu64 "\n",
	       offset, words[0] ^ word_of(0, offset), is_torn ? " (torn)" : "", b->acknowledged,
	       b->sent);
}

static int do_check(struct witness *w, char **words, struct err *err)
{
	static uint64_t data[READ_BLOCKS][BLOCK_BYTES / sizeof(uint64_t)];
	uint64_t wrong = 0;

	if (read_journal(w, words[0], err) < 0 ||
	    nbd_caller_open(&w->caller, words[1], words[2], err) < 0)
		return err->code;
	for (uint64_t at = 0; at < w->count; at += READ_BLOCKS) {
		uint64_t n = min_u64(READ_BLOCKS, w->count - at);
		uint64_t offset = w->journal.low + at * BLOCK_BYTES;

		if (nbd_caller_read(&w->caller, offset, data, (uint32_t)(n * BLOCK_BYTES),
				    err) < 0)
			return err->code;
		for (uint64_t i = 0; i < n; i++) {
			if (is_right(&w->blocks[at + i], data[i], offset + i * BLOCK_BYTES))
				continue;
			tell_wrong(&w->blocks[at + i], data[i], offset + i * BLOCK_BYTES);
			wrong++;
		}
	}
	printf("%" PRIu64 " acknowledged writes, %" PRIu64 " blocks wrong\n", w->journal.written,
	       wrong);
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct witness w = { .caller = { .fd = -1 } };
	struct err err = ERR_INIT;
	int code;

	if (argc >= 7 && argc <= 8 && strcmp(argv[1], "write") == 0) {
		code = do_write(&w, argc - 2, argv + 2, &err);
	} else if (argc == 5 && strcmp(argv[1], "check") == 0) {
		code = do_check(&w, argv + 2, &err);
	} else {
		fprintf(stderr, "usage: nbd-witness write JOURNAL SOCKET EXPORT LOW LENGTH [DEPTH]\n"
				"       nbd-witness check JOURNAL SOCKET EXPORT\n");
		return 2;
	}
	if (code < 0)
		fprintf(stderr, "nbd-witness: %s\n", err.text);
	nbd_caller_close(&w.caller);
	free(w.blocks);
	return code < 0 ? 2 : code;
}
