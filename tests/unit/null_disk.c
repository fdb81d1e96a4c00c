/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/null_disk.h"

#include <stddef.h>

#include "base/arith.h"

static char name[] = "null";

static int null_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	(void)err;
	qb_list_add_tail(&req->link, &container_of(disk, struct null_disk, disk)->pending);
	return 0;
}

/* Those that are there now: what they bring is for the next call. */
static int null_pump(struct disk *disk, int timeout_ms)
{
	struct null_disk *null = container_of(disk, struct null_disk, disk);
	struct disk_req *req;
	unsigned int n, count = disk->in_flight;

	(void)timeout_ms;
	for (n = 0; n < count; n++) {
		req = qb_list_first_entry(&null->pending, struct disk_req, link);
		qb_list_del(&req->link);
		disk_complete(disk, req, 0);
	}
	return (int)n;
}

static const struct disk_ops null_ops = { .submit = null_submit, .pump = null_pump };

void null_disk_init(struct null_disk *null)
{
	*null = (struct null_disk){
		.disk = {
			.ops = &null_ops,
			.name = name,
			.size_bytes = (uint64_t)1 << 60,
			.topology = { .logical_block_bytes = 512,
				      .physical_block_bytes = 4096 },
		},
	};
	QB_INIT_LIST_HEAD(&null->pending);
}
