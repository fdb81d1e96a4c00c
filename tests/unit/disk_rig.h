/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of disks share: three disks of one kind, and a few words to
 * read, write and wait.
 *
 * Nothing outlives the process, however it ends: files have no name from the
 * start (they are opened through /proc/self/fd), and the kernel detaches loop
 * devices when the last who has them open is gone.
 */
#pragma once

#include "tests/unit/help.h"

enum {
	DISKS = 3,
	DISK_BYTES = 1 << 20,
	PAGE = 4096,
	MANY = 300,          /* more than the queue depth */
	HANG_SECONDS = 120,  /* for alarm(2): a lost completion ends the test */
	DISK_RIG_PATH_BYTES = 32,
};

enum disk_kind { KIND_MEM, KIND_FILE, KIND_LOOP };

extern enum disk_kind disk_kind; /* of the group that runs */

struct disk_rig {
	struct disk_world *world;
	struct disk *disks[DISKS];
	int fds[DISKS];      /* hold the files or loop devices; or -1 */
	const char *why_not; /* this host cannot */
};

int disk_rig_setup(void **state);
int disk_rig_teardown(void **state);

/* Skips the test if this host cannot. */
struct disk_rig *disk_rig_or_skip(void **state);

/* A nameless file of DISK_BYTES + 100; it is there as `path` until the fd closes. */
int disk_rig_file(char path[DISK_RIG_PATH_BYTES]);

/*
 * A loop device on another such file, there until the fd and all others who have
 * it open are closed; -1 if this host, or this user, has none.
 */
int disk_rig_loop(unsigned int sector_bytes, char path[DISK_RIG_PATH_BYTES]);

/* A buffer of one page of `byte`. */
uint8_t *page_of(int byte);

void write_page(struct disk *disk, uint64_t offset, int byte);
void expect_page(struct disk *disk, uint64_t offset, int byte);
void submit(struct disk *disk, struct disk_req *req);

/* Counts and keeps the last result. The owner of requests with count_done(). */
struct counter {
	int calls;
	int result;
};

void count_done(struct disk_req *req, int result);

/* MANY at once; each completes once, with 0, and none from inside the submit. */
void run_many(struct disk *disk);
