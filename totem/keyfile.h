/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cluster key on disk: a small text file, the same on every node, mode 0400.
 *
 *	# Cluster key of mdclusterd: ...
 *	kB1ZvLUnUKlxnX2G7HGMxnkJ2mRxkXcMhUCI2ZJkWVA=
 *	1jtHj1vq8uCkmoW8gGyBu5CbnVv8WP2xZrJ9cQ0TZ2w=
 *
 * A line a key, 32 bytes in base64 as wireguard's are (`wg genkey` and `openssl
 * rand -base64 32` make such, too). The first seals what is sent; what came
 * sealed with either is opened. Two there are only while keys change, see
 * mdcluster(8), keygen. Text, and not corosync's raw bytes, since it has to hold
 * two, and since a person can see what it is, and paste it.
 *
 * Reading refuses what others could have read or written: any mode bit for group
 * or others, an owner that is neither root nor we, symbolic links, anything that
 * is not a regular file. Each sentence says what to do.
 *
 * Writing is atomic and durable: at every instant the path has the old file, or
 * the whole new one.
 *
 * Keys pass through the caller's struct keyfile: keyfile_wipe() it soon.
 */
#pragma once

#include <stddef.h>

#include "totem/seal.h"

struct err;

#define KEYFILE_DEFAULT_PATH "/etc/mdcluster/key"

enum { KEYFILE_MAX_BYTES = 4096 };

struct keyfile {
	struct seal_key keys[SEAL_MAX_KEYS];
	size_t count; /* 1 or 2; 0 when empty */
};

/* The text of a file. Pure. -EBADMSG names the line; nothing of a key is quoted. */
int keyfile_parse(const char *text, size_t length, struct keyfile *file,
		  struct err *err);

/*
 * Reads the file at `path`. -ENOENT if there is none, -EACCES if others could
 * get at it, -EBADMSG for its contents. On an error *file is empty.
 */
int keyfile_read(const char *path, struct keyfile *file, struct err *err);

enum keyfile_write_mode {
	KEYFILE_CREATE,  /* -EEXIST if anything is there */
	KEYFILE_REPLACE, /* a regular file that is there is replaced */
};

/* Mode 0400, owned by the caller, whatever the umask. */
int keyfile_write(const char *path, const struct keyfile *file,
		  enum keyfile_write_mode mode, struct err *err);

/*
 * The steps of a change of keys, in memory. -EEXIST or -ENOENT, and nothing is
 * changed, when it is not the turn of that step.
 */
int keyfile_add_key(struct keyfile *file, struct err *err); /* random, the last */
int keyfile_promote(struct keyfile *file, struct err *err); /* swaps the two */
int keyfile_drop(struct keyfile *file, struct err *err);    /* the second goes */

void keyfile_wipe(struct keyfile *file);
