/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mirror costs: 4 KiB on two disks, against the same requests handed to the
 * disks by hand. On disks that do nothing, which leaves the CPU time of the mirror and
 * its intent alone; and on files in /dev/shm through libaio, which is what a core can do.
 *
 *	bench_mirror
 *
 * "hits" are writes to chunks that are dirty already; the working set is 64 MiB at random.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "bitmap/intent.h"
#include "bitmap/md_sb.h"
#include "mdclusterd/mirror/mirror.h"
#include "tests/bench/bench.h"

enum {
	DEPTH = 16,
	BLOCK = 4096,
	DATA_BYTES = 64 << 20,
	DATA_OFFSET = 2048,
	BITMAP_BYTES = 8192,
	CHUNK_BYTES = 65536,
	NULL_OPS = 400000,
	FILE_OPS = 60000,
};

/* --- a disk that does nothing --------------------------------------------------------------- */

struct null_disk {
	struct disk disk;
	struct qb_list_head done;
};

static int null_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	struct null_disk *null = (struct null_disk *)disk;

	(void)err;
	qb_list_add_tail(&req->link, &null->done);
	return 0;
}

static int null_pump(struct disk *disk, int timeout_ms)
{
	struct null_disk *null = (struct null_disk *)disk;
	int n = qb_list_length(&null->done), ran;

	(void)timeout_ms;
	for (ran = 0; ran < n; ran++) {
		struct disk_req *req =
			qb_list_first_entry(&null->done, struct disk_req, link);

		qb_list_del(&req->link);
		disk_complete(disk, req, 0);
	}
	return n;
}

static int null_poll_fd(const struct disk *disk)
{
	(void)disk;
	return -1;
}

static void null_close(struct disk *disk)
{
	free(disk);
}

static const struct disk_ops null_ops = {
	.submit = null_submit,
	.pump = null_pump,
	.poll_fd = null_poll_fd,
	.close = null_close,
};

static struct disk *null_disk_new(void)
{
	struct null_disk *null = calloc(1, sizeof(*null));

	if (!null)
		abort();
	null->disk.ops = &null_ops;
	null->disk.name = (char *)"null"; /* as of files: nobody changes it */
	null->disk.size_bytes = DATA_OFFSET * 512ull + DATA_BYTES;
	null->disk.topology.logical_block_bytes = 512;
	QB_INIT_LIST_HEAD(&null->done);
	return &null->disk;
}

static struct disk *file_disk_new(char name)
{
	char path[] = "/dev/shm/bench-mirror-X";
	struct err err = ERR_INIT;
	struct disk *disk;
	int fd;

	path[sizeof(path) - 2] = name;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, DATA_OFFSET * 512 + DATA_BYTES) != 0)
		return NULL;
	disk = disk_aio_open(path, DISK_RDWR, &err);
	unlink(path);
	close(fd);
	if (!disk)
		fprintf(stderr, "%s\n", err.text);
	return disk;
}

/* --- a mirror, and the same by hand ---------------------------------------------------------- */

struct work {
	struct disk *disks[2];
	struct bitmap_slot slot;
	struct intent *in;
	struct mirror *m;
	struct volume *v;
	struct volume_io *ios[DEPTH];
	void *buffers[DEPTH];
	struct pair { struct work *w; struct disk_req req[2]; int left; } pairs[DEPTH];
	uint64_t random, left, under_way, ops;
	enum volume_op op;
};

static uint64_t now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void disk_failed(void *owner, uint32_t role, const struct err *why)
{
	(void)owner;
	fprintf(stderr, "disk %u: %s\n", role, why->text);
	abort();
}

static void intent_failed(void *owner, uint32_t role, int error)
{
	(void)owner;
	(void)role;
	(void)error;
	abort();
}

static uint64_t place(struct work *w)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (w->random >> 33) % (DATA_BYTES / BLOCK) * BLOCK;
}

static void next(struct work *w, struct volume_io *io)
{
	if (w->left == 0)
		return;
	w->left--;
	w->under_way++;
	io->offset_bytes = place(w);
	if (volume_submit(w->v, io) < 0)
		abort();
}

static void io_done(struct volume_io *io, int result)
{
	struct work *w = io->owner;

	if (result < 0)
		abort();
	w->under_way--;
	next(w, io);
}

static double ops_per_s(const struct work *w, uint64_t began)
{
	return (double)w->ops * 1e9 / (double)(clock_boot_ns() - began);
}

static void run(struct work *w)
{
	while (w->under_way > 0) {
		disk_pump(w->disks[0], -1);
		disk_pump(w->disks[1], 0);
		if (w->m && mirror_deadline(w->m) == 0)
			mirror_advance(w->m, clock_boot_ns());
	}
}

static double by_mirror(void *owner)
{
	struct work *w = owner;
	uint64_t began = clock_boot_ns();
	int i;

	w->left = w->ops;
	for (i = 0; i < DEPTH; i++) {
		w->ios[i]->op = w->op;
		next(w, w->ios[i]);
	}
	run(w);
	return ops_per_s(w, began);
}

static void next_pair(struct work *w, struct pair *p);

static void req_done(struct disk_req *req, int result)
{
	struct pair *p = req->owner;

	if (result < 0)
		abort();
	if (--p->left > 0)
		return;
	p->w->under_way--;
	next_pair(p->w, p);
}

static void next_pair(struct work *w, struct pair *p)
{
	uint64_t at = DATA_OFFSET * 512 + place(w);
	struct err err = ERR_INIT;
	int i, disks = w->op == VOLUME_READ ? 1 : 2;

	if (w->left == 0)
		return;
	w->left--;
	w->under_way++;
	p->left = disks;
	for (i = 0; i < disks; i++) {
		p->req[i] = (struct disk_req){
			.op = w->op == VOLUME_READ ? DISK_READ : DISK_WRITE,
			.offset_bytes = at,
			.length_bytes = BLOCK,
			.buffer = w->buffers[p - w->pairs],
			.done = req_done,
			.owner = p,
		};
		if (disk_submit(w->disks[disks == 2 ? i : (int)(w->left & 1)], &p->req[i],
				&err) < 0)
			abort();
	}
}

static double by_hand(void *owner)
{
	struct work *w = owner;
	uint64_t began = clock_boot_ns();
	int i;

	w->left = w->ops;
	for (i = 0; i < DEPTH; i++)
		next_pair(w, &w->pairs[i]);
	run(w);
	return ops_per_s(w, began);
}

static void make_intent(struct work *w)
{
	static const struct intent_ops ops = { .now = now, .failed = intent_failed };
	struct intent_config config = { .slot = &w->slot,
					.count = 2,
					.budget_bytes = 2 * DATA_BYTES };
	struct bitmap_geometry geo;
	struct err err = ERR_INIT;
	int i;

	if (bitmap_geometry_init(&geo, DATA_BYTES / 512, CHUNK_BYTES, 1, 0, &err) < 0 ||
	    bitmap_slot_init(&w->slot, &geo, 0, &err) < 0)
		abort();
	for (i = 0; i < 2; i++) {
		config.copies[i].disk = w->disks[i];
		config.copies[i].start_bytes = BITMAP_BYTES;
	}
	w->in = intent_new(&config, &ops, NULL, &err);
	if (!w->in)
		abort();
}

static void make(struct work *w, struct disk *a, struct disk *b, bool has_intent,
		 uint64_t ops)
{
	static const struct mirror_ops mirror_ops = { .now = now,
						      .disk_failed = disk_failed };
	struct mirror_config config = { .level = MD_LEVEL_RAID1,
					.member_sectors = DATA_BYTES / 512,
					.raid_disks = 2,
					.bitmap_chunk_sectors = CHUNK_BYTES / 512 };
	struct err err = ERR_INIT;
	int i;

	*w = (struct work){ .disks = { a, b }, .ops = bench_is_brief() ? 2000 : ops };
	if (has_intent)
		make_intent(w);
	config.intent = w->in;
	for (i = 0; i < 2; i++) {
		config.disks[i].disk = w->disks[i];
		config.disks[i].data_offset = DATA_OFFSET;
	}
	w->m = mirror_new(&config, &mirror_ops, w, &err);
	if (!w->m)
		abort();
	w->v = mirror_volume(w->m);
	mirror_set_gate(w->m, true, clock_boot_ns() + 3600000000000ull);
	for (i = 0; i < DEPTH; i++) {
		w->buffers[i] = disk_buffer_new(BLOCK);
		w->ios[i] = calloc(1, w->v->io_bytes);
		if (!w->buffers[i] || !w->ios[i])
			abort();
		*w->ios[i] = (struct volume_io){ .length_bytes = BLOCK,
						 .buffer = w->buffers[i],
						 .done = io_done,
						 .owner = w };
		w->pairs[i].w = w;
	}
}

static void unmake(struct work *w)
{
	int i;

	mirror_free(w->m);
	intent_free(w->in);
	if (w->in)
		bitmap_slot_fini(&w->slot);
	for (i = 0; i < DEPTH; i++) {
		free(w->buffers[i]);
		free(w->ios[i]);
	}
	disk_close(w->disks[0]);
	disk_close(w->disks[1]);
}

static void compare(struct bench *bench, struct work *w, enum volume_op op,
		    const char *name, const char *note)
{
	w->op = op;
	(void)by_mirror(w); /* bits are set, pages are there */
	bench_pair(bench, &(struct bench_pair){ .name = name,
						.unit = "ops/s",
						.peer = "by hand",
						.note = note,
						.better = BENCH_MORE_IS_BETTER,
						.ours = by_mirror,
						.theirs = by_hand,
						.owner = w });
}

int main(void)
{
	struct disk *a, *b;
	struct bench bench;
	struct work w;

	bench_init(&bench, "mirror");
	make(&w, null_disk_new(), null_disk_new(), false, NULL_OPS);
	compare(&bench, &w, VOLUME_WRITE, "write 4k, null disks, no intent", "CPU alone");
	compare(&bench, &w, VOLUME_READ, "read 4k, null disks", "CPU alone");
	unmake(&w);
	make(&w, null_disk_new(), null_disk_new(), true, NULL_OPS);
	compare(&bench, &w, VOLUME_WRITE, "write 4k, null disks, hits", "CPU alone");
	unmake(&w);
	a = file_disk_new('a');
	b = file_disk_new('b');
	if (a && b) {
		make(&w, a, b, true, FILE_OPS);
		compare(&bench, &w, VOLUME_WRITE, "write 4k, /dev/shm, hits", "libaio, qd 16");
		compare(&bench, &w, VOLUME_READ, "read 4k, /dev/shm", "libaio, qd 16");
		unmake(&w);
	}
	return bench_fini(&bench);
}
