/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/disk_lend.h"

#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/disk.h"
#include "tests/unit/help.h"

struct lent {
	struct disk base;
	struct disk *disk;
};

struct lent_req {
	struct disk_req req;
	struct lent *lent;
	struct disk_req *asked;
};

int disk_lend_depth;

static void on_done(struct disk_req *req, int result)
{
	struct lent_req *r = container_of(req, struct lent_req, req);

	disk_complete(&r->lent->base, r->asked, result);
	free(r);
}

static int submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	struct lent *lent = container_of(disk, struct lent, base);
	struct lent_req *r = malloc(sizeof(*r)); /* calloc() is what tests make fail */
	int result;

	assert_non_null(r);
	r->req = *req;
	r->req.done = on_done;
	r->lent = lent;
	r->asked = req;
	disk_lend_depth++;
	result = disk_submit(lent->disk, &r->req, err);
	disk_lend_depth--;
	if (result < 0)
		free(r);
	return result;
}

static int pump(struct disk *disk, int timeout_ms)
{
	int done;

	disk_lend_depth++;
	done = disk_pump(container_of(disk, struct lent, base)->disk, timeout_ms);
	disk_lend_depth--;
	return done;
}

static int poll_fd(const struct disk *disk)
{
	(void)disk;
	return -1;
}

static void close_it(struct disk *disk)
{
	free(disk->name);
	free(container_of(disk, struct lent, base));
}

static const struct disk_ops ops = {
	.submit = submit,
	.pump = pump,
	.poll_fd = poll_fd,
	.close = close_it,
};

struct disk *disk_lend(struct disk *disk)
{
	struct lent *lent = calloc(1, sizeof(*lent));

	assert_non_null(lent);
	lent->base = *disk;
	lent->base.ops = &ops;
	lent->base.name = strdup(disk->name);
	lent->base.in_flight = 0;
	lent->disk = disk;
	return &lent->base;
}
