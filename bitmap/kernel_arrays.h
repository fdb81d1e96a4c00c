/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays that the kernel of this host runs, as sysfs and /proc/mdstat show them: to look at,
 * and so that nobody writes to their disks (design, rule 8: one owner).
 *
 * `root` stands before every path: "" for the host, a folder for a recording of one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define KERNEL_NOWHERE UINT64_MAX /* resync_start: none */

struct kernel_disk {
	char name[64];          /* below /dev; "/" as in sysfs: "cciss!c0d0" */
	char state[96];         /* md's words, "in_sync,write_mostly" */
	int32_t role;           /* -1: none */
	uint64_t errors;
	bool is_recovering;     /* below recovered_sectors it holds everything */
	uint64_t recovered_sectors;
};

struct kernel_array {
	char name[32];          /* "md0" */
	uint8_t uuid[16];
	bool has_uuid;          /* else nobody could tell it */
	bool is_clustered;
	char level[24];         /* "raid1" */
	char state[24];         /* array_state: "active", "inactive", ... */
	char metadata[32];      /* "1.2" */
	char bitmap[32];        /* its location: "+8", "none", "file" */
	uint32_t raid_disks, degraded;
	uint64_t size_bytes, member_sectors;
	char activity[24];      /* "idle", "resync", "recover", "check", ... */
	char holdup[16];        /* "PENDING", "DELAYED", "REMOTE": it waits; else "" */
	uint64_t done_sectors, total_sectors; /* of the activity; total 0: none goes on */
	uint64_t speed_bytes;   /* a second */
	uint64_t mismatch_sectors;
	uint64_t resync_start;  /* sectors, or KERNEL_NOWHERE */
	uint64_t suspend_low, suspend_high; /* of this node's users, in sectors */
	struct kernel_disk *disks;
	size_t disk_count;
};

struct kernel_arrays {
	struct kernel_array *arrays; /* by name */
	size_t count;
};

/*
 * All that are there, run or only gathered; none where the kernel has no md. The error is
 * a lack of memory: what cannot be read is "" or 0. A disk is opened where the kernel does
 * not tell the uuid (before Linux 5.8).
 */
int kernel_arrays_read(const char *root, struct kernel_arrays *to, struct err *err);
void kernel_arrays_fini(struct kernel_arrays *arrays); /* twice is fine */

/*
 * By its state: not only gathered (inactive), or a name (clear). One whose state cannot be read
 * may be.
 */
bool kernel_array_is_run(const char *state);

/*
 * Another number where other arrays are run than before; 0: none. Cheap, for who looks often: no
 * disk is opened.
 */
uint64_t kernel_arrays_sum(const char *root);

/* NULL: it runs none of this uuid. */
const struct kernel_array *kernel_arrays_find(const struct kernel_arrays *arrays,
					      const uint8_t uuid[16]);

/* Does the array use the disk? By its path: "/dev/vda", a link to it, or the same below root. */
bool kernel_array_uses(const struct kernel_array *array, const char *root, const char *path);

/*
 * Rule 8 for who is about to write to `path`, a member of the array of this uuid: -EBUSY,
 * which names the array and says how it is stopped, while this host's kernel runs it;
 * by whatever path.
 */
int kernel_arrays_refuse(const char *root, const uint8_t uuid[16], const char *path,
			 struct err *err);
