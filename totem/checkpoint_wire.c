/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stores say to each other: bytes and structs, the layout is in checkpoint.h.
 * Pure; a message is read to its end, or not believed at all.
 */
#include <assert.h>
#include <string.h>

#include "base/codec.h"
#include "totem/checkpoint_private.h"

static void write_id(struct wr *wr, const struct checkpoint_id *id)
{
	wr_u64(wr, id->number);
	wr_u32(wr, id->birth.node);
	wr_u64(wr, id->birth.incarnation);
	wr_u64(wr, id->birth.serial);
}

static struct checkpoint_id read_id(struct rd *rd)
{
	struct checkpoint_id id = { .number = rd_u64(rd) };

	id.birth.node = rd_u32(rd);
	id.birth.incarnation = rd_u64(rd);
	id.birth.serial = rd_u64(rd);
	return id;
}

static const uint8_t *rest(struct rd *rd, size_t *length)
{
	const uint8_t *bytes = rd->base + rd->at;

	*length = rd->length - rd->at;
	rd_seek(rd, rd->length);
	return bytes;
}

/* A name up to the end of the message. */
static bool read_last_name(struct rd *rd, const uint8_t **name, size_t *length)
{
	*name = rest(rd, length);
	return !rd->failed && *length >= 1 && *length <= CHECKPOINT_MAX_NAME;
}

/* A section's name, and its data up to the end. */
static bool read_section(struct rd *rd, const uint8_t **name, size_t *name_length,
			 const uint8_t **data, size_t *length)
{
	*name_length = rd_u8(rd);
	if (rd->failed || *name_length < 1 || *name_length > CHECKPOINT_MAX_NAME ||
	    *name_length > rd->length - rd->at)
		return false;
	*name = rd->base + rd->at;
	rd_seek(rd, rd->at + *name_length);
	*data = rest(rd, length);
	return *length <= CHECKPOINT_MAX_DATA;
}

/* --- operations ----------------------------------------------------------------- */

size_t checkpoint_operation_write(const struct checkpoint_operation *o,
				  uint8_t head[CHECKPOINT_HEAD_BYTES])
{
	struct wr wr = wr_over(head, CHECKPOINT_HEAD_BYTES);

	wr_u8(&wr, (uint8_t)o->kind);
	wr_u64(&wr, o->incarnation);
	wr_u64(&wr, o->serial);
	if (o->kind == CHECKPOINT_OPEN)
		wr_u8(&wr, (uint8_t)o->flags);
	else if (o->kind != CHECKPOINT_UNLINK && o->kind != CHECKPOINT_MARK)
		write_id(&wr, &o->id);
	if (o->kind == CHECKPOINT_WRITE)
		wr_u8(&wr, (uint8_t)o->name_length);
	if (o->kind != CHECKPOINT_CLOSE && o->kind != CHECKPOINT_MARK)
		wr_bytes(&wr, o->name, o->name_length);
	assert(!wr.failed);
	return wr.at;
}

static bool read_open(struct checkpoint_operation *o, struct rd *rd)
{
	o->flags = rd_u8(rd);
	return (o->flags & ~(unsigned int)(CHECKPOINT_CREATE | CHECKPOINT_EXCLUSIVE)) == 0 &&
	       read_last_name(rd, &o->name, &o->name_length);
}

bool checkpoint_operation_read(struct checkpoint_operation *o, const uint8_t *bytes,
			       size_t length)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t kind = rd_u8(&rd);

	*o = (struct checkpoint_operation){ .kind = (enum checkpoint_kind)kind };
	o->incarnation = rd_u64(&rd);
	o->serial = rd_u64(&rd);
	switch (kind) {
	case CHECKPOINT_OPEN:
		return read_open(o, &rd);
	case CHECKPOINT_UNLINK:
		return read_last_name(&rd, &o->name, &o->name_length);
	case CHECKPOINT_CLOSE:
		o->id = read_id(&rd);
		return !rd.failed && rd.at == rd.length;
	case CHECKPOINT_WRITE:
		o->id = read_id(&rd);
		return read_section(&rd, &o->name, &o->name_length, &o->data, &o->length);
	case CHECKPOINT_DELETE:
		o->id = read_id(&rd);
		return read_last_name(&rd, &o->name, &o->name_length);
	case CHECKPOINT_MARK:
		return !rd.failed && rd.at == rd.length;
	default:
		return false;
	}
}

/* --- the sync phase ------------------------------------------------------------- */

enum {
	FLAG_UNLINKED = 1,
	/* far from where it wraps, and farther than anybody gets */
	MAX_NUMBER_BIT = 62,
};

size_t checkpoint_told_write(const struct checkpoint_told *m,
			     uint8_t head[CHECKPOINT_HEAD_BYTES])
{
	struct wr wr = wr_over(head, CHECKPOINT_HEAD_BYTES);

	wr_u8(&wr, (uint8_t)m->kind);
	switch (m->kind) {
	case CHECKPOINT_TELL_HEAD:
		wr_u32(&wr, m->head.epoch.rep);
		wr_u64(&wr, m->head.epoch.seq);
		wr_u64(&wr, m->head.operations);
		wr_u64(&wr, m->head.history);
		wr_u64(&wr, m->head.next);
		break;
	case CHECKPOINT_TELL_CHECKPOINT:
		write_id(&wr, &m->id);
		wr_u8(&wr, m->is_unlinked ? FLAG_UNLINKED : 0);
		wr_bytes(&wr, m->name, m->name_length);
		break;
	case CHECKPOINT_TELL_SECTION:
		wr_u64(&wr, m->id.number);
		wr_u8(&wr, (uint8_t)m->name_length);
		wr_bytes(&wr, m->name, m->name_length);
		break;
	case CHECKPOINT_TELL_END:
		wr_u32(&wr, m->checkpoints);
		wr_u32(&wr, m->sections);
		break;
	case CHECKPOINT_TELL_COUNTS:
		wr_u32(&wr, (uint32_t)(m->length / CHECKPOINT_COUNT_BYTES));
		break;
	}
	assert(!wr.failed);
	return wr.at;
}

void checkpoint_count_write(const struct checkpoint_count *c,
			    uint8_t entry[CHECKPOINT_COUNT_BYTES])
{
	struct wr wr = wr_over(entry, CHECKPOINT_COUNT_BYTES);

	write_id(&wr, &c->id);
	wr_u32(&wr, c->opens);
	assert(!wr.failed);
}

struct checkpoint_count checkpoint_count_read(const uint8_t entry[CHECKPOINT_COUNT_BYTES])
{
	struct rd rd = rd_over(entry, CHECKPOINT_COUNT_BYTES);
	struct checkpoint_count c = { .id = read_id(&rd) };

	c.opens = rd_u32(&rd);
	return c;
}

static bool read_head(struct checkpoint_told *m, struct rd *rd)
{
	m->head.epoch.rep = rd_u32(rd);
	m->head.epoch.seq = rd_u64(rd);
	m->head.operations = rd_u64(rd);
	m->head.history = rd_u64(rd);
	m->head.next = rd_u64(rd);
	return !rd->failed && rd->at == rd->length && m->head.next >= 1 &&
	       m->head.next >> MAX_NUMBER_BIT == 0;
}

static bool read_checkpoint(struct checkpoint_told *m, struct rd *rd)
{
	uint8_t flags;

	m->id = read_id(rd);
	flags = rd_u8(rd);
	m->is_unlinked = flags & FLAG_UNLINKED;
	return (flags & ~FLAG_UNLINKED) == 0 &&
	       read_last_name(rd, &m->name, &m->name_length);
}

static bool read_end(struct checkpoint_told *m, struct rd *rd)
{
	m->checkpoints = rd_u32(rd);
	m->sections = rd_u32(rd);
	return !rd->failed && rd->at == rd->length;
}

static bool read_counts(struct checkpoint_told *m, struct rd *rd)
{
	uint32_t count = rd_u32(rd), left = CHECKPOINT_MAX_OPENS;
	uint64_t last = 0;

	m->data = rest(rd, &m->length);
	if (rd->failed || count > CHECKPOINT_MAX_COUNT ||
	    m->length != (size_t)count * CHECKPOINT_COUNT_BYTES)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct checkpoint_count c =
			checkpoint_count_read(m->data + (size_t)i * CHECKPOINT_COUNT_BYTES);

		if (c.id.number <= last || c.opens < 1 || c.opens > left)
			return false;
		last = c.id.number;
		left -= c.opens;
	}
	return true;
}

bool checkpoint_told_read(struct checkpoint_told *m, const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);
	uint8_t kind = rd_u8(&rd);

	*m = (struct checkpoint_told){ .kind = (enum checkpoint_telling)kind };
	switch (kind) {
	case CHECKPOINT_TELL_HEAD:
		return read_head(m, &rd);
	case CHECKPOINT_TELL_CHECKPOINT:
		return read_checkpoint(m, &rd);
	case CHECKPOINT_TELL_SECTION:
		m->id.number = rd_u64(&rd);
		return read_section(&rd, &m->name, &m->name_length, &m->data, &m->length);
	case CHECKPOINT_TELL_END:
		return read_end(m, &rd);
	case CHECKPOINT_TELL_COUNTS:
		return read_counts(m, &rd);
	default:
		return false;
	}
}
