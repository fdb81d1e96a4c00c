/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection to an NBD export on a unix socket, past the handshake. */
#pragma once

#include <stdint.h>

struct err;

struct nbd_export {
	int fd;
	uint64_t size_bytes;
	uint32_t block_bytes; /* the smallest: 512 or more */
	uint16_t flags;       /* NBD_FLAG_... of <linux/nbd.h> */
};

/*
 * Blocks, 10 s for each answer. -ENOENT, -ECONNREFUSED: nobody serves it; -EBADMSG: that is
 * no NBD. From here on the socket belongs to whom it is given to.
 */
int nbd_export_open(struct nbd_export *e, const char *socket, const char *name,
		    struct err *err);
