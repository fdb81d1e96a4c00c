/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/array/array_value.h"

#include "base/codec.h"

enum { FLAG_OWES = 1, FLAG_OWNER = 2, FLAGS_KNOWN = 3 };

bool array_value_decode(const uint8_t *bytes, size_t length, struct array_value *v)
{
	struct rd rd = rd_over(bytes, length < ARRAY_VALUE_BYTES ? length : ARRAY_VALUE_BYTES);
	uint32_t flags, rest;

	*v = (struct array_value){ 0 };
	v->low = rd_u64(&rd);
	v->high = rd_u64(&rd);
	flags = rd_u32(&rd);
	v->takers = rd_u32(&rd);
	v->generation = rd_u32(&rd);
	rest = rd_u32(&rd);
	v->owes = flags & FLAG_OWES;
	v->is_owner = flags & FLAG_OWNER;
	if (!rd.failed && rest == 0 && (flags & ~(uint32_t)FLAGS_KNOWN) == 0 &&
	    (v->low < v->high || v->high == 0) && (v->high != 0 || v->low == 0))
		return true;
	*v = (struct array_value){ 0 };
	return false;
}

void array_value_encode(const struct array_value *v, uint8_t bytes[ARRAY_VALUE_BYTES])
{
	struct wr wr = wr_over(bytes, ARRAY_VALUE_BYTES);

	wr_u64(&wr, v->low);
	wr_u64(&wr, v->high);
	wr_u32(&wr, (v->owes ? FLAG_OWES : 0) | (v->is_owner ? FLAG_OWNER : 0));
	wr_u32(&wr, v->takers);
	wr_u32(&wr, v->generation);
	wr_u32(&wr, 0);
}
