/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/cpg_wire.h"

#include <errno.h>

#include "base/codec.h"

enum { MAGIC = 0x4743, VERSION = 1, FLAG_SAFE = 1, FLAG_SYNC = 2 };

static void write_config(struct wr *wr, struct ring_id id)
{
	wr_u32(wr, id.rep);
	wr_u64(wr, id.seq);
}

/* One that no node comes to, so that those behind it do not begin at 0 again. */
static uint64_t read_seq(struct rd *rd)
{
	uint64_t seq = rd_u64(rd);

	rd->failed |= seq >= WIRE_MAX_NUMBER;
	return seq;
}

static struct ring_id read_config(struct rd *rd)
{
	struct ring_id id = { .rep = rd_u32(rd) };

	id.seq = read_seq(rd);
	return id;
}

static void write_process(struct wr *wr, struct cpg_process p)
{
	wr_u32(wr, p.node);
	wr_u32(wr, p.pid);
}

static struct cpg_process read_process(struct rd *rd)
{
	struct cpg_process p = { .node = rd_u32(rd) };

	p.pid = rd_u32(rd);
	return p;
}

static void write_head(struct wr *wr, enum cpg_kind kind)
{
	wr_u16(wr, MAGIC);
	wr_u8(wr, VERSION);
	wr_u8(wr, (uint8_t)kind);
}

static void write_hello(struct wr *wr, const struct cpg_hello *h)
{
	wr_u64(wr, h->incarnation);
	wr_u64(wr, h->round);
	wr_u64(wr, h->high_seq);
	write_config(wr, h->installed);
	wr_u64(wr, h->view);
	wr_u16(wr, h->excluded_count);
	for (int i = 0; i < h->excluded_count; i++)
		write_process(wr, h->excluded[i]);
}

static void read_hello(struct rd *rd, struct cpg_hello *h)
{
	h->incarnation = rd_u64(rd);
	h->round = rd_u64(rd);
	h->high_seq = read_seq(rd);
	h->installed = read_config(rd);
	h->view = rd_u64(rd);
	h->excluded_count = rd_u16(rd);
	if (h->excluded_count > CPG_MAX_PROCESSES) {
		rd->failed = true;
		return;
	}
	for (int i = 0; i < h->excluded_count; i++)
		h->excluded[i] = read_process(rd);
}

size_t cpg_wire_write(const struct cpg_packet *p, uint8_t bytes[CPG_SMALL_BYTES])
{
	struct wr wr = wr_over(bytes, CPG_SMALL_BYTES);

	write_head(&wr, p->kind);
	if (p->kind == CPG_HELLO) {
		write_hello(&wr, &p->hello);
	} else if (p->kind == CPG_EVICT) {
		write_process(&wr, p->target);
	} else if (p->kind == CPG_READY) {
		wr_u64(&wr, p->number);
	} else {
		write_config(&wr, p->config);
		if (p->kind == CPG_BEAT || p->kind == CPG_ACK)
			wr_u64(&wr, p->number);
	}
	return wr.at;
}

void cpg_wire_data(const struct cpg_packet *p, uint8_t bytes[CPG_DATA_HEAD_BYTES])
{
	struct wr wr = wr_over(bytes, CPG_DATA_HEAD_BYTES);

	write_head(&wr, CPG_DATA);
	write_config(&wr, p->config);
	wr_u8(&wr, (uint8_t)((p->is_safe ? FLAG_SAFE : 0) | (p->is_sync ? FLAG_SYNC : 0)));
}

static void read_data(struct rd *rd, struct cpg_packet *p)
{
	uint8_t flags;

	p->config = read_config(rd);
	flags = rd_u8(rd);
	p->is_safe = flags & FLAG_SAFE;
	p->is_sync = flags & FLAG_SYNC;
	p->payload = rd->base + rd->at;
	p->length = rd->failed ? 0 : rd->length - rd->at;
}

int cpg_wire_read(const uint8_t *bytes, size_t length, struct cpg_packet *p)
{
	struct rd rd = rd_over(bytes, length);
	uint16_t magic = rd_u16(&rd);
	uint8_t version = rd_u8(&rd), kind = rd_u8(&rd);

	if (rd.failed || magic != MAGIC || version < VERSION || kind == 0 ||
	    kind >= CPG_KIND_END)
		return -EBADMSG;
	p->kind = kind;
	if (kind == CPG_HELLO) {
		read_hello(&rd, &p->hello);
	} else if (kind == CPG_EVICT) {
		p->target = read_process(&rd);
	} else if (kind == CPG_READY) {
		p->number = rd_u64(&rd);
	} else if (kind == CPG_DATA) {
		read_data(&rd, p);
	} else {
		p->config = read_config(&rd);
		if (kind == CPG_BEAT || kind == CPG_ACK)
			p->number = rd_u64(&rd);
	}
	return rd.failed ? -EBADMSG : 0;
}
