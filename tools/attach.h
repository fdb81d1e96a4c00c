/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An array's NBD socket as a block device: by the kernel's nbd where there is one, which is
 * connected again when the daemon crashed; else by nbdfuse and a loop device on the file that
 * it shows. Which one it is stands in RUN_DIR/NAME.attached, so that it is found again to be
 * detached.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/keeper.h"

struct err;

enum { ATTACH_MAX_CONNECTIONS = KEEPER_MAX_SOCKETS };

enum attach_way { ATTACH_ANY, ATTACH_NBD, ATTACH_FUSE };

struct attach {
	const char *name;
	char socket[PATH_MAX];
	char folder[PATH_MAX];      /* NAME.fuse, where nbdfuse is mounted */
	char state[PATH_MAX];       /* NAME.attached */
	enum attach_way way;
	bool is_read_only;
	uint32_t connections;       /* of the kernel's nbd */
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint16_t flags;             /* of the export, as the server says them */
	char device[64];
	int process;                /* the guardian of the kernel's nbd; 0: none */
};

/* Paths; `socket` may be NULL. -EINVAL for a name that is none. */
int attach_init(struct attach *a, const char *run_dir, const char *name, const char *socket,
		struct err *err);

/*
 * Sets way and device. -EEXIST if it is attached already; but a device of the kernel's nbd that
 * nobody keeps connected any more is taken over, and stays the one that it was.
 */
int attach_device(struct attach *a, struct err *err);
/* -ENOENT if it is not attached; -EBUSY if somebody has it open for itself, as a mount does. */
int detach_device(struct attach *a, struct err *err);

/* What stands in RUN_DIR; -ENOENT. */
int attach_read_state(struct attach *a, struct err *err);
const char *attach_way_name(enum attach_way way);

/* attach_fuse.c: on an array that is there and whose block_bytes are known. */
int attach_fuse(struct attach *a, struct err *err);
int detach_fuse(struct attach *a, struct err *err);
/* attach_nbd.c: the same */
bool attach_has_nbd(void);
int attach_nbd_index(const struct attach *a);
bool attach_nbd_is_there(const struct attach *a);
int attach_nbd(struct attach *a, struct err *err);
/* Sets `device`: one whose backend is our socket, whoever made it. */
bool attach_nbd_find(struct attach *a);
/* Of a device that is there: what the kernel says of it, and a new keeper. */
int attach_nbd_take_over(struct attach *a, struct err *err);
int detach_nbd(struct attach *a, struct err *err);

/*
 * attach_keeper.c: sets `process`, which has the sockets from then on, the caller's stay open;
 * NULL: they are somebody else's, who is gone. -EEXIST: there is a keeper. The last one waits
 * for its end.
 */
int attach_keeper_start(struct attach *a, const int *sockets, struct err *err);
bool attach_keeper_lives(const struct attach *a);
void attach_keeper_end(const struct attach *a);
