/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bounds-checked cursors: the only way in which bytes of a disk or a wire become
 * numbers here, and back. Little-endian, as md and our own formats are; _be_ is for
 * protocols of others that are not.
 *
 * The error is sticky: after the first access past the end every read gives
 * zero, every write is dropped, and `failed` stays true, so that a codec is a
 * straight list of fields with one check at its end. Cursors own nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *base;
	size_t length;
	size_t at;   /* next byte to read, <= length */
	bool failed;
};

struct wr {
	uint8_t *base;
	size_t length;
	size_t at;
	bool failed;
};

struct rd rd_over(const void *base, size_t length);
uint8_t rd_u8(struct rd *rd);
uint16_t rd_u16(struct rd *rd);
uint32_t rd_u32(struct rd *rd);
uint64_t rd_u64(struct rd *rd);
uint16_t rd_be_u16(struct rd *rd);
uint32_t rd_be_u32(struct rd *rd);
uint64_t rd_be_u64(struct rd *rd);
void rd_bytes(struct rd *rd, void *to, size_t n); /* zeroes `to` on failure */
void rd_seek(struct rd *rd, size_t at);

struct wr wr_over(void *base, size_t length);
void wr_u8(struct wr *wr, uint8_t v);
void wr_u16(struct wr *wr, uint16_t v);
void wr_u32(struct wr *wr, uint32_t v);
void wr_u64(struct wr *wr, uint64_t v);
void wr_be_u16(struct wr *wr, uint16_t v);
void wr_be_u32(struct wr *wr, uint32_t v);
void wr_be_u64(struct wr *wr, uint64_t v);
void wr_bytes(struct wr *wr, const void *from, size_t n);
void wr_zero(struct wr *wr, size_t n);
void wr_seek(struct wr *wr, size_t at);
