/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disk box of a lab: files as disks, by NBD on unix sockets, to all its machines.
 *
 *	vm-disks FOLDER NAME...
 *
 * In FOLDER: disk-NAME.img is a disk's medium, disk-NAME.nbd its socket; disks.ctl takes
 * commands, a line each, answered by one line that begins with "ok" or "error":
 *
 *	flush               all that was written is on the media
 *	power-cut SEED      ... or as much of it as the seed says; the box is gone
 *	save FOLDER         copies of all disks at one moment: as they are,
 *	save FOLDER SEED    ... or as a power cut would have left them
 *	load FOLDER         such copies become the disks
 *	hang NAME | fail NAME | go NAME
 *	dirty               bytes that are not durable
 *
 * Ends with SIGTERM; then all is durable. Whoever kills it cuts the power, and nothing is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/nbd/nbd.h"
#include "tests/vm/cached_disk.h"
#include "tests/vm/control.h"

enum { MAX_DISKS = 16 };

struct box {
	struct loop *loop;
	struct vm_control *control;
	struct cached_disk *disks[MAX_DISKS];
	struct nbd_server *servers[MAX_DISKS];
	unsigned int count;
};

/* All, most, few, or none of what is not durable: each is a power cut of its kind. */
static unsigned int keep_percent(uint64_t *random)
{
	static const unsigned int kinds[] = { 0, 10, 50, 90, 100 };

	return kinds[cached_random(random) % (sizeof(kinds) / sizeof(kinds[0]))];
}

static int flush(struct box *box, struct err *err)
{
	for (unsigned int i = 0; i < box->count; i++) {
		int r = cached_disk_flush(box->disks[i]);

		if (r < 0)
			return err_set(err, r, "disk %s: %s", box->disks[i]->name, strerror(-r));
	}
	return 0;
}

static int power_cut(struct box *box, uint64_t seed, struct err *err)
{
	for (unsigned int i = 0; i < box->count; i++) {
		int r = cached_disk_cut(box->disks[i], &seed, keep_percent(&seed), err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int save(struct box *box, const char *folder, const char *seed_text, struct err *err)
{
	uint64_t random = seed_text ? strtoull(seed_text, NULL, 0) : 0;
	char path[4096];
	int r = 0;

	for (unsigned int i = 0; i < box->count && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/disk-%s.img", folder, box->disks[i]->name);
		r = cached_disk_save(box->disks[i], path, &random,
				     seed_text ? keep_percent(&random) : 100, err);
	}
	return r;
}

static int load(struct box *box, const char *folder, struct err *err)
{
	char path[4096];
	int r = 0;

	for (unsigned int i = 0; i < box->count && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/disk-%s.img", folder, box->disks[i]->name);
		r = cached_disk_load(box->disks[i], path, err);
	}
	return r;
}

static int trouble(struct box *box, const char *what, const char *name, struct err *err)
{
	for (unsigned int i = 0; i < box->count; i++) {
		struct cached_disk *disk = box->disks[i];

		if (strcmp(disk->name, name) != 0)
			continue;
		if (strcmp(what, "go") == 0)
			cached_disk_go(disk);
		else
			*(strcmp(what, "hang") == 0 ? &disk->is_hanging : &disk->is_failing) = true;
		return 0;
	}
	return err_set(err, -ENOENT, "there is no disk %s", name);
}

static uint64_t dirty_bytes(const struct box *box)
{
	uint64_t pages = 0;

	for (unsigned int i = 0; i < box->count; i++)
		pages += box->disks[i]->dirty_pages;
	return pages * CACHED_PAGE_BYTES;
}

static int obey(void *owner, char *words[], unsigned int count, char *answer, struct err *err)
{
	struct box *box = owner;

	if (count == 1 && strcmp(words[0], "flush") == 0)
		return flush(box, err);
	if (count == 2 && strcmp(words[0], "power-cut") == 0) {
		int r = power_cut(box, strtoull(words[1], NULL, 0), err);

		_exit(r < 0);
	}
	if ((count == 2 || count == 3) && strcmp(words[0], "save") == 0)
		return save(box, words[1], count == 3 ? words[2] : NULL, err);
	if (count == 2 && strcmp(words[0], "load") == 0)
		return load(box, words[1], err);
	if (count == 2 && (strcmp(words[0], "hang") == 0 || strcmp(words[0], "fail") == 0 ||
			   strcmp(words[0], "go") == 0))
		return trouble(box, words[0], words[1], err);
	if (count == 1 && strcmp(words[0], "dirty") == 0) {
		snprintf(answer, VM_CONTROL_BYTES, "%" PRIu64, dirty_bytes(box));
		return 0;
	}
	return err_set(err, -EINVAL, "what is %s?", words[0]);
}

static void stop(void *owner)
{
	loop_stop(((struct box *)owner)->loop);
}

static int serve(struct box *box, const char *name, struct err *err)
{
	static const struct nbd_server_ops ops = { 0 };
	char path[256], socket[256];
	struct nbd_config config = { .socket_path = socket, .export_name = name };

	snprintf(path, sizeof(path), "disk-%s.img", name);
	snprintf(socket, sizeof(socket), "disk-%s.nbd", name);
	if (box->count == MAX_DISKS)
		return err_set(err, -E2BIG, "more than %d disks", MAX_DISKS);
	box->disks[box->count] = cached_disk_open(box->loop, name, path, err);
	if (!box->disks[box->count])
		return err->code;
	box->servers[box->count] = nbd_server_new(box->loop, &config,
						  &box->disks[box->count]->volume, &ops, box, err);
	if (!box->servers[box->count])
		return err->code;
	box->count++;
	return 0;
}

static int start(struct box *box, int argc, char **argv, struct err *err)
{
	int r = 0;

	if (chdir(argv[1]) < 0)
		return err_set(err, -errno, "%s: %s", argv[1], strerror(errno));
	box->loop = loop_new(err);
	if (!box->loop)
		return err->code;
	for (int i = 2; i < argc && r == 0; i++)
		r = serve(box, argv[i], err);
	if (r < 0)
		return r;
	box->control = vm_control_new(box->loop, "disks.ctl", obey, box, err);
	if (!box->control)
		return err->code;
	return loop_signal_add(box->loop, SIGTERM, stop, box, err);
}

int main(int argc, char **argv)
{
	struct box box = { 0 };
	struct err err = ERR_INIT;

	if (argc < 3) {
		fprintf(stderr, "usage: vm-disks FOLDER NAME...\n");
		return 2;
	}
	if (log_open("vm-disks", LOG_TO_STDERR, LOG_NOTICE, &err) < 0 ||
	    start(&box, argc, argv, &err) < 0) {
		fprintf(stderr, "vm-disks: %s\n", err.text);
		return 1;
	}
	loop_run(box.loop);
	/* clients that are left are machines, which end with the lab */
	if (flush(&box, &err) < 0) {
		fprintf(stderr, "vm-disks: %s\n", err.text);
		return 1;
	}
	return 0;
}
