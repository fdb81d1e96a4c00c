/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of NBD, as doc/proto.md of the NBD project has them: requests, replies,
 * options. Network order; sizes in bytes. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NBD_GREETING_BYTES = 18,
	NBD_CLIENT_FLAGS_BYTES = 4,
	NBD_OPTION_BYTES = 16,        /* before its data */
	NBD_OPTION_REPLY_BYTES = 20,  /* the same */
	NBD_REQUEST_BYTES = 28,
	NBD_REPLY_BYTES = 16,
	NBD_CHUNK_BYTES = 20,         /* before its payload */
	NBD_CHUNK_DATA_BYTES = NBD_CHUNK_BYTES + 8,
	NBD_CHUNK_ERROR_BYTES = NBD_CHUNK_BYTES + 6,
	NBD_CHUNK_STATUS_BYTES = NBD_CHUNK_BYTES + 12,
	NBD_EXPORT_ZEROES = 124,      /* behind the answer to EXPORT_NAME */
};

enum { /* of both sides of a greeting: the same bits */
	NBD_FLAG_FIXED_NEWSTYLE = 1,
	NBD_FLAG_NO_ZEROES = 2,
};

enum nbd_export_flag {
	NBD_HAS_FLAGS = 1 << 0,
	NBD_READ_ONLY = 1 << 1,
	NBD_SEND_FLUSH = 1 << 2,
	NBD_SEND_FUA = 1 << 3,
	NBD_SEND_TRIM = 1 << 5,
	NBD_SEND_WRITE_ZEROES = 1 << 6,
	NBD_SEND_DF = 1 << 7,
	NBD_CAN_MULTI_CONN = 1 << 8,
};

enum nbd_option_code {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
};

enum nbd_option_answer {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_META_CONTEXT = 4,
};

#define NBD_REP_ERR(n)      (0x80000000u + (n))
#define NBD_REP_ERR_UNSUP   NBD_REP_ERR(1)
#define NBD_REP_ERR_INVALID NBD_REP_ERR(3)
#define NBD_REP_ERR_UNKNOWN NBD_REP_ERR(6)
#define NBD_REP_ERR_SHUTDOWN NBD_REP_ERR(7)
#define NBD_REP_ERR_TOO_BIG NBD_REP_ERR(9)

enum nbd_info {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

enum nbd_command_flag {
	NBD_CMD_FLAG_FUA = 1 << 0,
	NBD_CMD_FLAG_NO_HOLE = 1 << 1,
	NBD_CMD_FLAG_DF = 1 << 2,
	NBD_CMD_FLAG_REQ_ONE = 1 << 3,
};

enum nbd_error {
	NBD_OK = 0,
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_EOVERFLOW = 75,
	NBD_ESHUTDOWN = 108,
};

/* What 0 or a -errno is called on the wire. */
enum nbd_error nbd_error_of(int result);

/* --- the handshake ---------------------------------------------------------------------- */

void nbd_greeting_out(uint8_t to[NBD_GREETING_BYTES]);
/* False: flags that nobody knows, and the client is to be cut. */
bool nbd_client_flags_in(const uint8_t from[NBD_CLIENT_FLAGS_BYTES], uint32_t *flags);

struct nbd_option {
	uint32_t code;
	uint32_t length;
};

/* False: not an option. */
bool nbd_option_in(const uint8_t from[NBD_OPTION_BYTES], struct nbd_option *option);
void nbd_option_reply_out(uint8_t to[NBD_OPTION_REPLY_BYTES], uint32_t option,
			  uint32_t answer, uint32_t length);

/* --- transmission ----------------------------------------------------------------------- */

struct nbd_request_head {
	uint16_t flags;
	uint16_t command;
	uint64_t cookie;
	uint64_t offset;
	uint32_t length;
};

/* False: not a request. */
bool nbd_request_in(const uint8_t from[NBD_REQUEST_BYTES], struct nbd_request_head *head);

/* Each returns its bytes. */
size_t nbd_reply_out(uint8_t to[NBD_REPLY_BYTES], uint64_t cookie, enum nbd_error error);
/* `length` bytes of data follow. */
size_t nbd_chunk_data_out(uint8_t to[NBD_CHUNK_DATA_BYTES], uint64_t cookie, bool is_last,
			  uint64_t offset, uint32_t length);
/* The last; a text of `length` bytes follows. */
size_t nbd_chunk_error_out(uint8_t to[NBD_CHUNK_ERROR_BYTES], uint64_t cookie,
			   enum nbd_error error, uint16_t length);
/* The last; one extent, of which nothing is known. */
size_t nbd_chunk_status_out(uint8_t to[NBD_CHUNK_STATUS_BYTES], uint64_t cookie,
			    uint32_t context, uint32_t length);
