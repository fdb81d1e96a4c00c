/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages of the group. Little endian, a kind byte, then
 *
 *	1 open    incarnation u64, opening u32, LVB bytes u8, slots u8, wanted slot
 *	          u16 (0xffff: any), name                          (safe)
 *	2 close   id (ring seq u64, count u32, node u32, opening u32), ticket u32
 *	          (safe)
 *	3 dead    node u32, incarnation u64, death u8
 *	4 batch   id, ticket u32, thaw u32, serial u64, operations
 *
 * An operation: a byte (low 4 bits: which, 0x10: a value comes with it), then
 *
 *	1 request  number u32, mode u8, flags u32, waiter u32, length u8, name
 *	2 convert  number u32, mode u8, flags u32
 *	3 unlock   number u32, flags u32
 *	4 purge    node u32
 *
 * and the value, of as many bytes as the lockspace has.
 */
#include "base/codec.h"
#include "lockres/manager_private.h"

enum { OP_KIND_MASK = 0x0f, OP_HAS_VALUE = 0x10, ANY_SLOT = 0xffff };

void space_id_write(struct wr *to, struct space_id id)
{
	wr_u64(to, id.ring_seq);
	wr_u32(to, id.count);
	wr_u32(to, id.node);
	wr_u32(to, id.opening);
}

struct space_id space_id_read(struct rd *from)
{
	struct space_id id;

	id.ring_seq = rd_u64(from);
	id.count = rd_u32(from);
	id.node = rd_u32(from);
	id.opening = rd_u32(from);
	return id;
}

static void write_open(struct wr *wr, const struct manager_order *o)
{
	wr_u64(wr, o->incarnation);
	wr_u32(wr, o->opening);
	wr_u8(wr, (uint8_t)o->lvb_bytes);
	wr_u8(wr, (uint8_t)o->slots);
	wr_u16(wr, o->wanted_slot < 0 ? ANY_SLOT : (uint16_t)o->wanted_slot);
	wr_bytes(wr, o->name, o->name_length);
}

size_t manager_order_write(const struct manager_order *o, uint8_t *to, size_t room)
{
	struct wr wr = wr_over(to, room);

	wr_u8(&wr, (uint8_t)o->kind);
	switch (o->kind) {
	case MANAGER_OPEN:
		write_open(&wr, o);
		break;
	case MANAGER_CLOSE:
		space_id_write(&wr, o->id);
		wr_u32(&wr, o->ticket);
		break;
	case MANAGER_DEAD:
		wr_u32(&wr, o->node);
		wr_u64(&wr, o->incarnation);
		wr_u8(&wr, (uint8_t)o->death);
		break;
	case MANAGER_BATCH:
		space_id_write(&wr, o->id);
		wr_u32(&wr, o->ticket);
		wr_u32(&wr, o->thaw);
		wr_u64(&wr, o->serial);
		break;
	}
	return wr.at;
}

static bool read_open(struct rd *rd, struct manager_order *o)
{
	uint16_t wanted;

	o->incarnation = rd_u64(rd);
	o->opening = rd_u32(rd);
	o->lvb_bytes = rd_u8(rd);
	o->slots = rd_u8(rd);
	wanted = rd_u16(rd);
	o->wanted_slot = wanted == ANY_SLOT ? -1 : wanted;
	o->name = (const char *)rd->base + rd->at;
	o->name_length = rd->length - rd->at;
	return !rd->failed && o->name_length >= 1 && o->name_length <= LOCKSPACE_MAX_NAME &&
	       (o->lvb_bytes == LOCK_SMALL_LVB || o->lvb_bytes == LOCK_LARGE_LVB) &&
	       o->slots >= 1 && o->slots <= LOCKSPACE_MAX_SLOTS;
}

bool manager_order_read(struct manager_order *o, const void *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t kind = rd_u8(&rd), death;

	*o = (struct manager_order){ .kind = (enum manager_message)kind };
	switch (kind) {
	case MANAGER_OPEN:
		return read_open(&rd, o);
	case MANAGER_CLOSE:
		o->id = space_id_read(&rd);
		o->ticket = rd_u32(&rd);
		return !rd.failed && rd.at == length;
	case MANAGER_DEAD:
		o->node = rd_u32(&rd);
		o->incarnation = rd_u64(&rd);
		death = rd_u8(&rd);
		o->death = (enum lock_death)death;
		return !rd.failed && rd.at == length && death <= LOCK_DEATH_NODE;
	case MANAGER_BATCH:
		o->id = space_id_read(&rd);
		o->ticket = rd_u32(&rd);
		o->thaw = rd_u32(&rd);
		o->serial = rd_u64(&rd);
		o->operations = rd.base + rd.at;
		o->length = length - rd.at;
		return !rd.failed && o->length > 0;
	default:
		return false;
	}
}

void manager_op_write(struct wr *to, const struct manager_op *op, uint32_t lvb_bytes)
{
	wr_u8(to, (uint8_t)((unsigned)op->op | (op->value ? OP_HAS_VALUE : 0)));
	if (op->op == LOCK_OP_PURGE) {
		wr_u32(to, op->node);
		return;
	}
	wr_u32(to, op->number);
	if (op->op != LOCK_OP_UNLOCK)
		wr_u8(to, (uint8_t)op->mode);
	wr_u32(to, op->flags);
	if (op->op == LOCK_OP_REQUEST) {
		wr_u32(to, op->waiter);
		wr_u8(to, (uint8_t)op->name_length);
		wr_bytes(to, op->name, op->name_length);
	}
	if (op->value)
		wr_bytes(to, op->value, lvb_bytes);
}

/* Borrows n bytes; NULL, and the cursor has failed: there are not so many. */
static const uint8_t *borrow(struct rd *rd, size_t n)
{
	const uint8_t *at = rd->base + rd->at;

	if (n > rd->length - rd->at) {
		rd->failed = true;
		return NULL;
	}
	rd_seek(rd, rd->at + n);
	return at;
}

static void read_request(struct rd *rd, struct manager_op *op)
{
	op->waiter = rd_u32(rd);
	op->name_length = rd_u8(rd);
	op->name = (const char *)borrow(rd, op->name_length);
	if (op->name_length < 1 || op->name_length > LOCK_MAX_NAME)
		rd->failed = true;
}

bool manager_op_read(struct rd *from, struct manager_op *op, uint32_t lvb_bytes)
{
	uint8_t kind = rd_u8(from), mode;

	*op = (struct manager_op){ .op = kind & OP_KIND_MASK, .mode = LOCK_NONE };
	if (kind == LOCK_OP_PURGE) {
		op->node = rd_u32(from);
		return !from->failed;
	}
	if (op->op < LOCK_OP_REQUEST || op->op > LOCK_OP_UNLOCK ||
	    kind & ~(OP_KIND_MASK | OP_HAS_VALUE))
		return false;
	op->number = rd_u32(from);
	if (op->op != LOCK_OP_UNLOCK) {
		mode = rd_u8(from);
		if (mode >= LOCK_MODES)
			return false;
		op->mode = (enum lock_mode)mode;
	}
	op->flags = rd_u32(from);
	if (op->op == LOCK_OP_REQUEST)
		read_request(from, op);
	if (kind & OP_HAS_VALUE)
		op->value = borrow(from, lvb_bytes);
	return !from->failed;
}
