/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/pr_bytes.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/fnv.h"

enum { OPCODE_IN = 0x5e, OPCODE_OUT = 0x5f, APTPL = 0x01, PTPL_C = 0x01, TMV = 0x80,
       WR_EX_RO = 0x20 };

void pr_in_cdb(enum pr_in action, uint16_t length, uint8_t cdb[PR_CDB_BYTES])
{
	struct wr wr = wr_over(cdb, PR_CDB_BYTES);

	wr_u8(&wr, OPCODE_IN);
	wr_u8(&wr, (uint8_t)action);
	wr_zero(&wr, 5);
	wr_be_u16(&wr, length);
	wr_u8(&wr, 0);
}

void pr_out_cdb(enum pr_out action, uint8_t cdb[PR_CDB_BYTES])
{
	bool has_type = action == PR_RESERVE || action == PR_RELEASE || action == PR_PREEMPT ||
			action == PR_PREEMPT_AND_ABORT;
	struct wr wr = wr_over(cdb, PR_CDB_BYTES);

	wr_u8(&wr, OPCODE_OUT);
	wr_u8(&wr, (uint8_t)action);
	wr_u8(&wr, has_type ? PR_WRITE_EXCLUSIVE_REGISTRANTS : 0);
	wr_zero(&wr, 2);
	wr_be_u32(&wr, PR_OUT_BYTES);
	wr_u8(&wr, 0);
}

void pr_out_parameters(uint64_t key, uint64_t action_key, bool aptpl, uint8_t to[PR_OUT_BYTES])
{
	struct wr wr = wr_over(to, PR_OUT_BYTES);

	wr_be_u64(&wr, key);
	wr_be_u64(&wr, action_key);
	wr_zero(&wr, 4);
	wr_u8(&wr, aptpl ? APTPL : 0);
	wr_zero(&wr, 3);
}

int pr_read_keys(const uint8_t *bytes, size_t length, struct pr_keys *keys)
{
	struct rd rd = rd_over(bytes, length);
	uint32_t all;

	keys->generation = rd_be_u32(&rd);
	all = rd_be_u32(&rd) / 8;
	keys->is_cut = all > PR_MAX_KEYS;
	keys->count = keys->is_cut ? PR_MAX_KEYS : all;
	for (size_t i = 0; i < keys->count; i++)
		keys->keys[i] = rd_be_u64(&rd);
	return rd.failed ? -EBADMSG : 0;
}

int pr_read_reservation(const uint8_t *bytes, size_t length, struct pr_reservation *r)
{
	struct rd rd = rd_over(bytes, length);

	*r = (struct pr_reservation){ .generation = rd_be_u32(&rd) };
	r->is_held = rd_be_u32(&rd) >= 16;
	if (r->is_held) {
		r->key = rd_be_u64(&rd);
		rd_seek(&rd, 21);
		r->type = rd_u8(&rd) & 0x0f;
	}
	return rd.failed ? -EBADMSG : 0;
}

int pr_read_capabilities(const uint8_t *bytes, size_t length, struct pr_capabilities *c)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t flags, more, types;

	if (rd_be_u16(&rd) < PR_CAPABILITIES_BYTES)
		return -EBADMSG;
	flags = rd_u8(&rd);
	more = rd_u8(&rd);
	types = rd_u8(&rd);
	c->persists = (flags & PTPL_C) != 0;
	c->has_type = !(more & TMV) || (types & WR_EX_RO); /* without TMV it says nothing */
	return rd.failed ? -EBADMSG : 0;
}

struct pr_sense pr_read_sense(const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t code = rd_u8(&rd) & 0x7f;
	struct pr_sense s = { 0 };

	if (code == 0x72 || code == 0x73) { /* descriptors */
		s.key = rd_u8(&rd) & 0x0f;
		s.asc = rd_u8(&rd);
		s.ascq = rd_u8(&rd);
	} else if (code == 0x70 || code == 0x71) {
		rd_seek(&rd, 2);
		s.key = rd_u8(&rd) & 0x0f;
		rd_seek(&rd, 12);
		s.asc = rd_u8(&rd);
		s.ascq = rd_u8(&rd);
	}
	return rd.failed ? (struct pr_sense){ 0 } : s;
}

/* FNV-1a, folded: clusters on one array of disks shall not have the same. */
uint64_t pr_key(const char *cluster, uint32_t node)
{
	uint64_t hash = fnv_add(FNV_START, cluster, strlen(cluster));

	return ((hash ^ hash >> 32) << 32) | node;
}
