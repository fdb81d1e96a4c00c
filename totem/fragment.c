/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/fragment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "totem/transport.h"

/* Magic, version and kind as one little-endian word. */
enum { HEADER_WHOLE = 0x0101644d, HEADER_PART = 0x0201644d };

/* A path of 576 bytes, the smallest we go down to, carries the largest message. */
static_assert(FRAGMENTS_MAX * (576 - 28 - FRAGMENT_HEADER_BYTES) >=
	      TRANSPORT_MESSAGE_MAX, "too few fragments");

static bool part_is_sound(const struct fragment *f)
{
	size_t at = (size_t)f->index * f->unit_bytes;

	return f->total_bytes <= TRANSPORT_MESSAGE_MAX && f->unit_bytes > 0 &&
	       f->unit_bytes < f->total_bytes &&
	       div_round_up(f->total_bytes, f->unit_bytes) <= FRAGMENTS_MAX &&
	       at < f->total_bytes &&
	       f->length == min_u64(f->unit_bytes, f->total_bytes - at);
}

bool fragment_parse(const uint8_t *datagram, size_t length, struct fragment *f)
{
	struct rd rd = rd_over(datagram, length);
	uint32_t header = rd_u32(&rd);

	*f = (struct fragment){ .is_whole = header == HEADER_WHOLE };
	if (!f->is_whole) {
		f->message = rd_u32(&rd);
		f->total_bytes = rd_u32(&rd);
		f->unit_bytes = rd_u16(&rd);
		f->index = rd_u16(&rd);
	}
	f->payload = datagram + rd.at;
	f->length = length - rd.at;
	return !rd.failed &&
	       (f->is_whole || (header == HEADER_PART && part_is_sound(f)));
}

void fragment_write_whole(uint8_t header[DATAGRAM_HEADER_BYTES])
{
	struct wr wr = wr_over(header, DATAGRAM_HEADER_BYTES);

	wr_u32(&wr, HEADER_WHOLE);
}

void fragment_write_part(uint8_t header[FRAGMENT_HEADER_BYTES],
			 const struct fragment *f)
{
	struct wr wr = wr_over(header, FRAGMENT_HEADER_BYTES);

	wr_u32(&wr, HEADER_PART);
	wr_u32(&wr, f->message);
	wr_u32(&wr, f->total_bytes);
	wr_u16(&wr, f->unit_bytes);
	wr_u16(&wr, f->index);
}

static bool assembly_begin(struct assembly *a, const struct fragment *f)
{
	*a = (struct assembly){
		.bytes = malloc(f->total_bytes),
		.message = f->message,
		.total_bytes = f->total_bytes,
		.unit_bytes = f->unit_bytes,
		.missing = (uint16_t)div_round_up(f->total_bytes, f->unit_bytes),
	};
	return a->bytes != NULL;
}

enum assembly_result assembly_add(struct assembly *a, const struct fragment *f,
				  bool *replaced)
{
	uint64_t bit = 1ull << (f->index % 64);
	uint64_t *have;

	*replaced = false;
	if (a->bytes && f->message != a->message) {
		/* Numbers wrap: half of them are ahead, half behind. */
		if ((int32_t)(f->message - a->message) < 0)
			return ASSEMBLY_STALE;
		assembly_fini(a);
		*replaced = true;
	}
	if (!a->bytes && !assembly_begin(a, f))
		return ASSEMBLY_NO_MEMORY;
	if (f->total_bytes != a->total_bytes || f->unit_bytes != a->unit_bytes)
		return ASSEMBLY_MISFIT;

	have = &a->have[f->index / 64];
	if (*have & bit)
		return ASSEMBLY_DUPLICATE;
	*have |= bit;
	memcpy(a->bytes + (size_t)f->index * f->unit_bytes, f->payload,
	       f->length);
	return --a->missing == 0 ? ASSEMBLY_COMPLETE : ASSEMBLY_WAITS;
}

bool assembly_expire(struct assembly *a, uint64_t now_ns, uint64_t timeout_ns)
{
	if (!a->bytes)
		return false;
	if (a->since_ns == 0)
		a->since_ns = now_ns;
	if (now_ns - a->since_ns < timeout_ns)
		return false;
	assembly_fini(a);
	return true;
}

void assembly_fini(struct assembly *a)
{
	free(a->bytes);
	*a = (struct assembly){ 0 };
}
