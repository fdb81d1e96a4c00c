/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/nbd/wire.h"

#include <errno.h>

#include "base/codec.h"

#define MAGIC_SERVER       0x4e42444d41474943ull /* NBDMAGIC */
#define MAGIC_OPTION       0x49484156454f5054ull /* IHAVEOPT */
#define MAGIC_OPTION_REPLY 0x0003e889045565a9ull
#define MAGIC_REQUEST      0x25609513u
#define MAGIC_REPLY        0x67446698u
#define MAGIC_CHUNK        0x668e33efu

enum {
	CHUNK_IS_LAST = 1,
	CHUNK_OFFSET_DATA = 1,
	CHUNK_BLOCK_STATUS = 5,
	CHUNK_ERROR = 0x8001,
};

enum nbd_error nbd_error_of(int result)
{
	switch (-result) {
	case 0:
		return NBD_OK;
	case EPERM:
	case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case ESHUTDOWN:
		return NBD_ESHUTDOWN;
	default:
		return NBD_EIO;
	}
}

void nbd_greeting_out(uint8_t to[NBD_GREETING_BYTES])
{
	struct wr wr = wr_over(to, NBD_GREETING_BYTES);

	wr_be_u64(&wr, MAGIC_SERVER);
	wr_be_u64(&wr, MAGIC_OPTION);
	wr_be_u16(&wr, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
}

bool nbd_client_flags_in(const uint8_t from[NBD_CLIENT_FLAGS_BYTES], uint32_t *flags)
{
	struct rd rd = rd_over(from, NBD_CLIENT_FLAGS_BYTES);

	*flags = rd_be_u32(&rd);
	return (*flags & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) == 0;
}

bool nbd_option_in(const uint8_t from[NBD_OPTION_BYTES], struct nbd_option *option)
{
	struct rd rd = rd_over(from, NBD_OPTION_BYTES);
	uint64_t magic = rd_be_u64(&rd);

	option->code = rd_be_u32(&rd);
	option->length = rd_be_u32(&rd);
	return magic == MAGIC_OPTION;
}

void nbd_option_reply_out(uint8_t to[NBD_OPTION_REPLY_BYTES], uint32_t option,
			  uint32_t answer, uint32_t length)
{
	struct wr wr = wr_over(to, NBD_OPTION_REPLY_BYTES);

	wr_be_u64(&wr, MAGIC_OPTION_REPLY);
	wr_be_u32(&wr, option);
	wr_be_u32(&wr, answer);
	wr_be_u32(&wr, length);
}

bool nbd_request_in(const uint8_t from[NBD_REQUEST_BYTES], struct nbd_request_head *head)
{
	struct rd rd = rd_over(from, NBD_REQUEST_BYTES);
	uint32_t magic = rd_be_u32(&rd);

	head->flags = rd_be_u16(&rd);
	head->command = rd_be_u16(&rd);
	head->cookie = rd_be_u64(&rd);
	head->offset = rd_be_u64(&rd);
	head->length = rd_be_u32(&rd);
	return magic == MAGIC_REQUEST;
}

size_t nbd_reply_out(uint8_t to[NBD_REPLY_BYTES], uint64_t cookie, enum nbd_error error)
{
	struct wr wr = wr_over(to, NBD_REPLY_BYTES);

	wr_be_u32(&wr, MAGIC_REPLY);
	wr_be_u32(&wr, (uint32_t)error);
	wr_be_u64(&wr, cookie);
	return wr.at;
}

static void chunk_out(struct wr *wr, bool is_last, uint16_t type, uint64_t cookie,
		      uint32_t payload)
{
	wr_be_u32(wr, MAGIC_CHUNK);
	wr_be_u16(wr, is_last ? CHUNK_IS_LAST : 0);
	wr_be_u16(wr, type);
	wr_be_u64(wr, cookie);
	wr_be_u32(wr, payload);
}

size_t nbd_chunk_data_out(uint8_t to[NBD_CHUNK_DATA_BYTES], uint64_t cookie, bool is_last,
			  uint64_t offset, uint32_t length)
{
	struct wr wr = wr_over(to, NBD_CHUNK_DATA_BYTES);

	chunk_out(&wr, is_last, CHUNK_OFFSET_DATA, cookie, 8 + length);
	wr_be_u64(&wr, offset);
	return wr.at;
}

size_t nbd_chunk_error_out(uint8_t to[NBD_CHUNK_ERROR_BYTES], uint64_t cookie,
			   enum nbd_error error, uint16_t length)
{
	struct wr wr = wr_over(to, NBD_CHUNK_ERROR_BYTES);

	chunk_out(&wr, true, CHUNK_ERROR, cookie, 6 + (uint32_t)length);
	wr_be_u32(&wr, (uint32_t)error);
	wr_be_u16(&wr, length);
	return wr.at;
}

size_t nbd_chunk_status_out(uint8_t to[NBD_CHUNK_STATUS_BYTES], uint64_t cookie,
			    uint32_t context, uint32_t length)
{
	struct wr wr = wr_over(to, NBD_CHUNK_STATUS_BYTES);

	chunk_out(&wr, true, CHUNK_BLOCK_STATUS, cookie, 12);
	wr_be_u32(&wr, context);
	wr_be_u32(&wr, length);
	wr_be_u32(&wr, 0); /* allocated, contents not known */
	return wr.at;
}
