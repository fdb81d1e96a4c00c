/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process and the kernel's DLM say to each other through the device of a
 * lockspace: one write() a call, one read() a result; structs of this host, from
 * <linux/dlm_device.h>. Pure.
 *
 * Why not libdlm's calls for this: its dispatcher drops the mode of a bast, and its
 * unlock sends 32 bytes of stack as the value, which the kernel stores where the
 * lock was PW or EX and its last call had VALBLK.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lock.h"

enum {
	DLM_CALL_MAX = 256,   /* bytes of a call */
	DLM_RESULT_MAX = 256, /* and room for a result */
};

enum dlm_call_kind {
	DLM_CALL_LOCK,   /* a request, a conversion, an adoption: as the flags say */
	DLM_CALL_UNLOCK,
	DLM_CALL_CANCEL,
	DLM_CALL_PURGE,
};

struct dlm_call {
	enum dlm_call_kind kind;
	enum lock_mode mode;
	uint32_t flags;   /* enum lock_flag: the kernel's own numbers */
	uint32_t lkid;    /* the kernel's number of the lock; 0: it has none yet */
	uint32_t cookie;  /* comes back in the results, never 0 */
	uint32_t node;    /* of a purge */
	const void *name; /* of a request */
	size_t name_length;
	uint8_t value[LOCK_SMALL_LVB]; /* always sent, as the kernel takes it */
};

/* Bytes to write. The name has at most LOCK_MAX_NAME. */
size_t dlm_call_put(const struct dlm_call *call, uint8_t bytes[DLM_CALL_MAX]);

struct dlm_result {
	uint32_t cookie;
	bool is_blocked;       /* a bast: only wanted counts */
	enum lock_mode wanted;
	int status;            /* 0, -errno; DLM_RESULT_... */
	uint32_t lkid;
	uint32_t marks;        /* enum lock_mark */
	bool has_value;
	uint8_t value[LOCK_SMALL_LVB];
};

enum {
	DLM_RESULT_CANCELLED = -0x10001, /* DLM_ECANCEL */
	DLM_RESULT_UNLOCKED = -0x10002,  /* DLM_EUNLOCK */
};

/* -EBADMSG: nothing that this kernel interface would say. */
int dlm_result_take(const void *bytes, size_t length, struct dlm_result *result);
