/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a resync is measured by, for bench-array.sh: a plain copy of a range from one disk
 * to another by libaio, read and write, many blocks at a time.
 *
 *	copy_load FROM TO OFFSET LENGTH [BLOCK [DEPTH]]    in bytes
 *
 * "copy BYTES NS" when all is written, and durable.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "bitmap/disk.h"

enum { MAX_DEPTH = 64, MAX_BLOCK_BYTES = 32 << 20 };

struct copy {
	struct disk *from, *to;
	uint64_t next, end, block;
	unsigned int under_way;
};

struct piece {
	struct copy *copy;
	struct disk_req req;
	void *buffer;
};

static _Noreturn void fail(const struct err *err)
{
	fprintf(stderr, "copy_load: %s\n", err->text);
	exit(EXIT_FAILURE);
}

static void next(struct piece *p);

static void submit(struct piece *p, struct disk *disk)
{
	struct err err = ERR_INIT;

	if (disk_submit(disk, &p->req, &err) < 0)
		fail(&err);
}

static void is_done(struct disk_req *req, int result)
{
	struct piece *p = req->owner;

	if (result < 0)
		fail(&(struct err){ .text = "an I/O failed" });
	if (req->op == DISK_READ) {
		req->op = DISK_WRITE;
		submit(p, p->copy->to);
	} else {
		next(p);
	}
}

static void next(struct piece *p)
{
	struct copy *c = p->copy;
	uint64_t length = min_u64(c->block, c->end - c->next);

	if (length == 0) {
		c->under_way--;
		return;
	}
	p->req = (struct disk_req){ .op = DISK_READ, .offset_bytes = c->next,
				    .length_bytes = length, .buffer = p->buffer,
				    .done = is_done, .owner = p };
	c->next += length;
	submit(p, c->from);
}

static void run(struct copy *c, uint64_t depth)
{
	static struct piece pieces[MAX_DEPTH];
	struct err err = ERR_INIT;

	for (uint64_t i = 0; i < depth; i++) {
		pieces[i] = (struct piece){ .copy = c, .buffer = disk_buffer_new(c->block) };
		if (!pieces[i].buffer)
			fail(&(struct err){ .text = "no memory" });
		c->under_way++;
		next(&pieces[i]);
	}
	while (c->under_way > 0) {
		struct pollfd fds[] = { { .fd = disk_poll_fd(c->from), .events = POLLIN },
					{ .fd = disk_poll_fd(c->to), .events = POLLIN } };

		poll(fds, ARRAY_SIZE(fds), -1);
		disk_pump(c->from, 0);
		disk_pump(c->to, 0);
	}
	if (disk_flush_wait(c->to, &err) < 0)
		fail(&err);
	for (uint64_t i = 0; i < depth; i++)
		free(pieces[i].buffer);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct copy c = { .block = 1 << 20 };
	uint64_t offset = 0, length = 0, depth = 8, began;

	if (argc < 5) {
		fprintf(stderr, "usage: copy_load FROM TO OFFSET LENGTH [BLOCK [DEPTH]]\n");
		return 2;
	}
	if (text_parse_u64(argv[3], "OFFSET", 0, INT64_MAX, &offset, &err) < 0 ||
	    text_parse_u64(argv[4], "LENGTH", 1, INT64_MAX, &length, &err) < 0 ||
	    (argc > 5 && text_parse_u64(argv[5], "BLOCK", 4096, MAX_BLOCK_BYTES, &c.block,
					&err) < 0) ||
	    (argc > 6 && text_parse_u64(argv[6], "DEPTH", 1, MAX_DEPTH, &depth, &err) < 0))
		fail(&err);
	c.from = disk_aio_open(argv[1], DISK_RDONLY, &err);
	c.to = disk_aio_open(argv[2], DISK_RDWR, &err);
	if (!c.from || !c.to)
		fail(&err);
	c.next = offset;
	c.end = offset + length;
	began = clock_boot_ns();
	run(&c, depth);
	printf("copy %" PRIu64 " %" PRIu64 "\n", length, clock_boot_ns() - began);
	disk_close(c.from);
	disk_close(c.to);
	return EXIT_SUCCESS;
}
