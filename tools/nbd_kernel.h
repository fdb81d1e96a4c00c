/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's nbd, by generic netlink: devices that belong to no process, so that one can
 * be given a new socket when the server behind the old one died.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

struct nbd_kernel {
	int fd; /* -1 */
	uint16_t family;
	uint32_t sequence;
};

struct nbd_kernel_device {
	int index;              /* /dev/nbdINDEX */
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint16_t flags;         /* the server's */
	const char *backend;    /* whose it is: who changes it must know */
	const int *sockets;     /* -1: none */
	unsigned int count;
};

/* -ENOENT: the kernel has no nbd, or its module is not loaded. */
int nbd_kernel_open(struct nbd_kernel *k, struct err *err);
void nbd_kernel_close(struct nbd_kernel *k);

/*
 * Requests wait without a limit while no socket lives; none times out. -EBUSY: it is in
 * use. Needs CAP_SYS_ADMIN. The sockets stay the caller's, too.
 */
int nbd_kernel_connect(struct nbd_kernel *k, const struct nbd_kernel_device *d,
		       struct err *err);
/*
 * The one socket takes the place of one that died; -ENOSPC: all are alive, as far as the
 * kernel knows. In any case the device's timeout is `timeout_s` then, which is not 0.
 */
int nbd_kernel_add(struct nbd_kernel *k, const struct nbd_kernel_device *d,
		   unsigned int timeout_s, struct err *err);
/* What is under way for so long is sent again; 0: it is waited for. */
int nbd_kernel_set_timeout(struct nbd_kernel *k, const struct nbd_kernel_device *d,
			   uint64_t timeout_s, struct err *err);
int nbd_kernel_disconnect(struct nbd_kernel *k, int index, struct err *err);
