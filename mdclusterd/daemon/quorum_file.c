/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/quorum_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/saver.h"

LOG_SUBSYSTEM(quorum);

enum { PATH_BYTES = 4096, AGAIN_MS = 1000 };

struct quorum_file {
	char path[PATH_BYTES + 16];
	struct loop *loop;
	struct saver *saver;
	struct loop_timer *again;
	void (*done)(void *owner);
	void *owner;
	uint8_t bytes[QUORUM_MEMORY_BYTES]; /* of `wanted` */
	uint64_t wanted;
};

int quorum_file_read(const char *state_dir, uint8_t bytes[QUORUM_MEMORY_BYTES],
		     struct err *err)
{
	char path[PATH_BYTES + 16];
	CLEANUP_FD int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/quorum", state_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, bytes, QUORUM_MEMORY_BYTES);
	if (n < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (n != QUORUM_MEMORY_BYTES)
		return err_set(err, -EBADMSG,
			       "%s: has %zd bytes, not %d: look at it; without it the configuration alone says who decides",
			       path, n, QUORUM_MEMORY_BYTES);
	return 1;
}

/* --- writing ------------------------------------------------------------------------------- */

static void try_later(struct quorum_file *f, int code);

static void put(struct quorum_file *f)
{
	int r = saver_put(f->saver, f->bytes, sizeof(f->bytes), f->wanted);

	if (r < 0)
		try_later(f, r);
}

static void put_again(void *owner)
{
	struct quorum_file *f = owner;

	f->again = NULL;
	put(f);
}

static void try_later(struct quorum_file *f, int code)
{
	struct err err = ERR_INIT;

	log_error("MDC5600", "%s: %s: who decides cannot be remembered, and a configuration may wait for that",
		  f->path, strerror(-code));
	if (!f->again)
		f->again = loop_timer_start(f->loop, AGAIN_MS, put_again, f, &err);
}

static void is_saved(void *owner, uint64_t number)
{
	struct quorum_file *f = owner;

	if (number == f->wanted)
		f->done(f->owner);
}

static void is_not_saved(void *owner, uint64_t number, int code)
{
	(void)number;
	try_later(owner, code);
}

void quorum_file_save(struct quorum_file *f, const uint8_t bytes[QUORUM_MEMORY_BYTES])
{
	memcpy(f->bytes, bytes, sizeof(f->bytes));
	f->wanted++;
	put(f);
}

struct quorum_file *quorum_file_open(const char *state_dir, struct loop *loop,
				     void (*done)(void *owner), void *owner, struct err *err)
{
	static const struct saver_ops ops = { is_saved, is_not_saved };
	struct quorum_file *f = calloc(1, sizeof(*f));

	if (!f) {
		err_nomem(err, "the file of the quorum");
		return NULL;
	}
	snprintf(f->path, sizeof(f->path), "%s/quorum", state_dir);
	f->loop = loop;
	f->done = done;
	f->owner = owner;
	f->saver = saver_open(f->path, loop, &ops, f, err);
	if (f->saver)
		return f;
	free(f);
	return NULL;
}

void quorum_file_close(struct quorum_file *f)
{
	if (!f)
		return;
	loop_timer_cancel(f->again);
	saver_close(f->saver);
	free(f);
}
