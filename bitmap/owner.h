/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose a plain array is that was one of a cluster. Nothing of md keeps a second host from
 * assembling a plain array on shared disks. So a conversion leaves two words on each member:
 *
 *	the name     becomes "HOST:name", mdadm's own way to say whose it is: elsewhere mdadm
 *	             takes it for foreign, and never starts it degraded by itself
 *	the mark     in the last sector of the superblock's 4 KiB, which md does not look at and
 *	             which no array of fewer than 1664 devices has roles in: it came from a
 *	             cluster, and that host alone may have it. udev's rule reads it and keeps the
 *	             disk from mdadm on any other (tools/system/63-mdcluster-guard.rules)
 *
 *	P1  A mark counts only beside a sound superblock of its own array uuid that is not
 *	    clustered: left over on a clustered one, or behind a new array, it is nothing.
 *	P2  The name's host goes before the mark's: so mdadm's --update=homehost changes the owner
 *	    as well as ours. "any" is everybody.
 *	P3  The mark is durable on all members before one of them is plain (grow.c).
 *
 * Lost (a member that mdadm adds has none), it leaves the name. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bitmap/bitmap_sb.h"
#include "bitmap/md_sb.h"

struct err;

enum { MD_OWNER_HOST_BYTES = 64, MD_OWNER_WORDS_BYTES = 320 };

struct md_owner {
	char host[MD_OWNER_HOST_BYTES + 1];
	char cluster[BITMAP_CLUSTER_NAME_BYTES + 1]; /* that it has left; "" where it is not known */
};

/* False: there is none that counts. `block` as `sb` was parsed from; what is told is printable. */
bool md_owner_read(const struct md_sb *sb, const uint8_t block[MD_SB_BYTES],
		   struct md_owner *owner);
/* Into the block alone. False: roles are there, and the name has to do. */
bool md_owner_mark(const struct md_sb *sb, uint8_t block[MD_SB_BYTES],
		   const struct md_owner *owner);
/* The same. False: nothing of ours is there. */
bool md_owner_erase(const struct md_sb *sb, uint8_t block[MD_SB_BYTES]);

/*
 * "HOST:name", the host without its domain; what stood before a colon goes. Where that is too
 * long, "name" alone. -EINVAL: it is no name of a host.
 */
int md_owner_rename(struct md_sb *sb, const char *host, struct err *err);
/* A domain counts where both have one. */
bool md_owner_is(const struct md_owner *owner, const char *host);
/* "it left cluster 'alpha', and is node1's alone since: ..." and the commands. Returns `to`. */
const char *md_owner_words(const struct md_owner *owner, char to[MD_OWNER_WORDS_BYTES]);
