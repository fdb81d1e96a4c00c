/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays that the kernel's md-cluster runs on this host, seen from four sides: sysfs, the
 * slots on the disks, the lockspace's members in configfs, and its locks and values in
 * debugfs. All of it is read; no lock is taken, no daemon asked. What could not be seen is
 * said, with what would help.
 *
 * The kernel shows a slot's node and resync window on the node that masters that lock,
 * which mostly is the slot's own: on the others the slot is `unknown`, but for its bits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/kernel_arrays.h"
#include "bitmap/md_sb.h"
#include "mdclusterd/control/status.h"
#include "msg/kernel_message.h"

struct err;

enum { KERNEL_VIEW_NODES = 128, KERNEL_VIEW_UNSEEN = 4, KERNEL_VIEW_TEXT = 320 };

enum kernel_slot_use {
	KERNEL_SLOT_UNKNOWN, /* of another node, or of none: nothing here tells */
	KERNEL_SLOT_HELD,
	KERNEL_SLOT_VACANT,
};

struct kernel_slot {
	enum kernel_slot_use use;
	bool is_self;
	uint32_t node;          /* 0: not known */
	bool has_window;        /* low, high are known; equal: none */
	uint64_t low, high;     /* sectors in which others may not write now */
	bool has_bits;          /* the rest is known */
	bool is_stale;          /* all of it counts as dirty */
	uint64_t dirty_chunks, dirty_bytes;
};

struct kernel_view_array {
	const struct kernel_array *array; /* of the view's */
	bool has_superblock;    /* the next four */
	char name[MD_NAME_BYTES + 1];
	char cluster[BITMAP_CLUSTER_NAME_BYTES + 1];
	/*
	 * Roles that are in sync by the superblocks, and that this kernel runs without (B58): it
	 * kicked disks as it assembled the array while another node wrote superblocks, and tells
	 * nobody. What this node writes is not on them.
	 */
	uint64_t unused_roles;
	uint32_t slot_count;    /* 0: the bitmap could not be read */
	uint32_t chunk_bytes;
	struct kernel_slot slots[BITMAP_MAX_NODES];
	int32_t own_slot;       /* -1: not known */
	bool has_nodes;         /* who is in the lockspace, is known */
	uint32_t nodes[KERNEL_VIEW_NODES];
	size_t node_count;
	bool has_locks;         /* debugfs has been read */
	uint32_t resyncer;      /* node that holds the lock `resync`; 0: none, or not known */
	uint32_t speaker;       /* node that holds the lock `token`: it sends a message */
	bool has_message;
	struct kernel_message message; /* the last one */
	/* sentences: what is missing, why, and how to have it */
	char unseen[KERNEL_VIEW_UNSEEN][KERNEL_VIEW_TEXT];
	size_t unseen_count;
};

struct kernel_view {
	struct kernel_arrays kernel;
	uint32_t node;          /* this one's id of the DLM; 0: not known */
	struct kernel_view_array *arrays; /* the clustered ones */
	size_t count;
};

/* -ENOMEM alone: what cannot be read is told in the view. */
int kernel_view_take(const char *root, struct kernel_view *view, struct err *err);
void kernel_view_fini(struct kernel_view *view); /* twice is fine */

/* By "md0", "/dev/md0", its name (with or without host), or its uuid; NULL: none. */
const struct kernel_view_array *kernel_view_find(const struct kernel_view *view,
						 const char *word);

/* "1, 2": of unused_roles. */
const char *kernel_view_roles(uint64_t roles, char to[KERNEL_VIEW_TEXT]);
/* Bits in slots that are known to be nobody's: a recovery is due. */
uint64_t kernel_view_orphaned_bytes(const struct kernel_view_array *a);
enum status_health kernel_view_health(const struct kernel_view_array *a);
