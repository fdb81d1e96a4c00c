/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/codec.h"

#include <endian.h>
#include <string.h>

/* Claims the next n bytes; NULL, and the sticky error, if they are not there. */
static const uint8_t *rd_claim(struct rd *rd, size_t n)
{
	const uint8_t *p = rd->base + rd->at;

	if (rd->failed || n > rd->length - rd->at) {
		rd->failed = true;
		return NULL;
	}
	rd->at += n;
	return p;
}

struct rd rd_over(const void *base, size_t length)
{
	return (struct rd){ .base = base, .length = length };
}

void rd_bytes(struct rd *rd, void *to, size_t n)
{
	const uint8_t *p = rd_claim(rd, n);

	if (p)
		memcpy(to, p, n);
	else
		memset(to, 0, n);
}

uint8_t rd_u8(struct rd *rd)
{
	uint8_t v;

	rd_bytes(rd, &v, sizeof(v));
	return v;
}

uint16_t rd_u16(struct rd *rd)
{
	uint16_t v;

	rd_bytes(rd, &v, sizeof(v));
	return le16toh(v);
}

uint32_t rd_u32(struct rd *rd)
{
	uint32_t v;

	rd_bytes(rd, &v, sizeof(v));
	return le32toh(v);
}

uint64_t rd_u64(struct rd *rd)
{
	uint64_t v;

	rd_bytes(rd, &v, sizeof(v));
	return le64toh(v);
}

uint16_t rd_be_u16(struct rd *rd)
{
	uint16_t v;

	rd_bytes(rd, &v, sizeof(v));
	return be16toh(v);
}

uint32_t rd_be_u32(struct rd *rd)
{
	uint32_t v;

	rd_bytes(rd, &v, sizeof(v));
	return be32toh(v);
}

uint64_t rd_be_u64(struct rd *rd)
{
	uint64_t v;

	rd_bytes(rd, &v, sizeof(v));
	return be64toh(v);
}

void rd_seek(struct rd *rd, size_t at)
{
	if (at > rd->length)
		rd->failed = true;
	else
		rd->at = at;
}

static uint8_t *wr_claim(struct wr *wr, size_t n)
{
	uint8_t *p = wr->base + wr->at;

	if (wr->failed || n > wr->length - wr->at) {
		wr->failed = true;
		return NULL;
	}
	wr->at += n;
	return p;
}

struct wr wr_over(void *base, size_t length)
{
	return (struct wr){ .base = base, .length = length };
}

void wr_bytes(struct wr *wr, const void *from, size_t n)
{
	uint8_t *p = wr_claim(wr, n);

	if (p)
		memcpy(p, from, n);
}

void wr_u8(struct wr *wr, uint8_t v)
{
	wr_bytes(wr, &v, sizeof(v));
}

void wr_u16(struct wr *wr, uint16_t v)
{
	v = htole16(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_u32(struct wr *wr, uint32_t v)
{
	v = htole32(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_u64(struct wr *wr, uint64_t v)
{
	v = htole64(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_be_u16(struct wr *wr, uint16_t v)
{
	v = htobe16(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_be_u32(struct wr *wr, uint32_t v)
{
	v = htobe32(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_be_u64(struct wr *wr, uint64_t v)
{
	v = htobe64(v);
	wr_bytes(wr, &v, sizeof(v));
}

void wr_zero(struct wr *wr, size_t n)
{
	uint8_t *p = wr_claim(wr, n);

	if (p)
		memset(p, 0, n);
}

void wr_seek(struct wr *wr, size_t at)
{
	if (at > wr->length)
		wr->failed = true;
	else
		wr->at = at;
}
