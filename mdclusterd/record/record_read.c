/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A recording read back. It may come from anybody: every length is checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "bitmap/bits.h"
#include "mdclusterd/record/record.h"
#include "mdclusterd/record/record_fields.h"

struct record_reader {
	const uint8_t *bytes;
	size_t length, at;

	/* what the last record points to */
	struct array_config config;
	char *config_text;         /* all strings of the config */
	const char **paths;
	struct lockspace_member members[ARRAY_MAX_NODES];
	char lock_name[LOCK_MAX_NAME];
	uint8_t value[LOCK_MAX_LVB];
	struct metadata_view view;
	uint8_t *bits;
};

struct record_reader *record_reader_new(const void *bytes, size_t length, struct err *err)
{
	struct record_reader *rr;

	if (length < RECORD_MAGIC_BYTES || memcmp(bytes, RECORD_MAGIC, RECORD_MAGIC_BYTES) != 0) {
		err_set(err, -EBADMSG, "is no recording of mdclusterd, or of another version");
		return NULL;
	}
	rr = calloc(1, sizeof(*rr));
	if (!rr) {
		err_nomem(err, "a recording");
		return NULL;
	}
	rr->bytes = bytes;
	rr->length = length;
	rr->at = RECORD_MAGIC_BYTES;
	return rr;
}

void record_reader_free(struct record_reader *rr)
{
	if (!rr)
		return;
	free(rr->config_text);
	free(rr->paths);
	free(rr->bits);
	free(rr);
}

size_t record_place(const struct record_reader *rr)
{
	return rr->at;
}

void record_seek(struct record_reader *rr, size_t place)
{
	rr->at = place;
}

/* Always terminated; what does not fit has failed. */
static void take_text(struct rd *rd, char *to, size_t size)
{
	size_t length = rd_u16(rd);

	if (length >= size) {
		rd->failed = true;
		length = 0;
	}
	rd_bytes(rd, to, length);
	to[length] = '\0';
}

/* The same, of any length, at *room. */
static const char *take_string(struct rd *rd, char **room)
{
	size_t length = rd_u16(rd);
	char *to = *room;

	if (length > rd->length - rd->at) {
		rd->failed = true;
		length = 0;
	}
	rd_bytes(rd, to, length);
	to[length] = '\0';
	*room += length + 1;
	return to;
}

static int take_config(struct record_reader *rr, struct rd *rd, struct err *err)
{
	struct array_config *c = &rr->config;
	/* each string has two bytes before it, so there is room for the NULs */
	char *text = realloc(rr->config_text, rd->length + 2), *at = text;

	if (!text)
		return err_nomem(err, "a recording");
	rr->config_text = text;
	c->name = take_string(rd, &at);
	c->cluster = take_string(rd, &at);
	c->self = rd_u32(rd);
	c->wanted_slot = (int)rd_u32(rd);
	c->may_start_degraded = rd_u8(rd);
	c->resync_min_bytes = rd_u64(rd);
	c->resync_max_bytes = rd_u64(rd);
	c->path_count = rd_u32(rd);
	if (c->path_count > METADATA_MAX_DISKS)
		rd->failed = true;
	if (rd->failed)
		return 0;
	free(rr->paths);
	rr->paths = calloc(c->path_count + 1, sizeof(*rr->paths));
	if (!rr->paths)
		return err_nomem(err, "a recording");
	for (size_t i = 0; i < c->path_count; i++)
		rr->paths[i] = take_string(rd, &at);
	c->paths = rr->paths;
	return 0;
}

static void take_members(struct record_reader *rr, struct rd *rd, struct record *r)
{
	r->member_count = rd_u32(rd);
	if (r->member_count > ARRAY_MAX_NODES) {
		rd->failed = true;
		return;
	}
	for (size_t i = 0; i < r->member_count; i++) {
		rr->members[i].node = rd_u32(rd);
		rr->members[i].slot = (int)rd_u32(rd);
	}
	r->members = rr->members;
}

static void take_lock_name(struct record_reader *rr, struct rd *rd, struct record *r)
{
	r->lock_name_length = rd_u8(rd);
	if (r->lock_name_length > sizeof(rr->lock_name)) {
		rd->failed = true;
		return;
	}
	rd_bytes(rd, rr->lock_name, r->lock_name_length);
	r->lock_name = rr->lock_name;
}

static void take_lock_result(struct record_reader *rr, struct rd *rd, struct record *r)
{
	r->lock.status = (int)rd_u32(rd);
	r->lock.mode = (enum lock_mode)(int8_t)rd_u8(rd);
	r->lock.marks = rd_u32(rd);
	r->value_length = rd_u8(rd);
	if (r->value_length > sizeof(rr->value) || r->lock.mode < LOCK_NONE ||
	    r->lock.mode >= LOCK_MODES) {
		rd->failed = true;
		return;
	}
	rd_bytes(rd, rr->value, r->value_length);
	r->value = r->value_length ? rr->value : NULL;
	r->blocker_count = rd_u32(rd);
	if (r->blocker_count > 8) {
		rd->failed = true;
		return;
	}
	for (uint32_t i = 0; i < r->blocker_count; i++)
		r->blockers[i] = rd_u32(rd);
}

static void take_disk(struct rd *rd, struct metadata_disk *d)
{
	take_text(rd, d->path, sizeof(d->path));
	d->state = rd_u8(rd);
	d->role = rd_u32(rd);
	d->dev_number = rd_u32(rd);
	rd_bytes(rd, d->device_uuid, sizeof(d->device_uuid));
	d->data_offset = rd_u64(rd);
	d->recovery_offset = rd_u64(rd);
	d->is_by_bitmap = rd_u8(rd);
	d->is_elsewhere = rd_u8(rd);
	d->bitmap_start_bytes = rd_u64(rd);
	if (d->state > METADATA_DISK_STALE)
		rd->failed = true;
}

static void take_view(struct record_reader *rr, struct rd *rd, struct record *r)
{
	struct metadata_view *v = &rr->view;
	struct err ignored = ERR_INIT;
	uint32_t chunk_bytes, nodes;
	uint64_t start_bytes;

	if (!rd_u8(rd))
		return;
	*v = (struct metadata_view){ 0 };
	rd_bytes(rd, v->uuid, sizeof(v->uuid));
	take_text(rd, v->name, sizeof(v->name));
	take_text(rd, v->cluster, sizeof(v->cluster));
	v->level = (int32_t)rd_u32(rd);
	v->layout = rd_u32(rd);
	v->chunk_sectors = rd_u32(rd);
	v->raid_disks = rd_u32(rd);
	v->member_sectors = rd_u64(rd);
	v->sync_size = rd_u64(rd);
	v->array_sectors = rd_u64(rd);
	v->events = rd_u64(rd);
	v->resync_offset = rd_u64(rd);
	v->degraded = rd_u32(rd);
	chunk_bytes = rd_u32(rd);
	nodes = rd_u32(rd);
	start_bytes = rd_u64(rd);
	v->disk_count = rd_u32(rd);
	if (v->disk_count > METADATA_MAX_DISKS || v->raid_disks > METADATA_MAX_DISKS ||
	    bitmap_geometry_init(&v->geo, v->sync_size, chunk_bytes, nodes,
				 start_bytes / SECTOR_BYTES, &ignored) < 0) {
		rd->failed = true;
		return;
	}
	for (uint32_t i = 0; i < v->disk_count; i++)
		take_disk(rd, &v->disks[i]);
	r->view = v;
}

static int take_bits(struct record_reader *rr, struct rd *rd, struct record *r,
		     struct err *err)
{
	uint32_t runs;

	r->dirty = rd_u64(rd);
	r->bit_count = rd_u64(rd);
	runs = rd_u32(rd);
	/* what no bitmap can have, and more than the record has room for */
	if (r->bit_count > BITMAP_MAX_CHUNKS || runs > (rd->length - rd->at) / 16)
		rd->failed = true;
	if (rd->failed || r->bit_count == 0)
		return 0;
	free(rr->bits);
	rr->bits = calloc(1, bits_bytes(r->bit_count));
	if (!rr->bits)
		return err_nomem(err, "a recording");
	for (uint32_t i = 0; i < runs; i++) {
		uint64_t first = rd_u64(rd), last = rd_u64(rd);

		if (first > last || last >= r->bit_count) {
			rd->failed = true;
			return 0;
		}
		bits_set_range(rr->bits, first, last);
	}
	r->bits = rr->bits;
	return 0;
}

static void take_plane(struct rd *rd, struct record_plane *p)
{
	p->low = rd_u64(rd);
	p->high = rd_u64(rd);
	p->position = rd_u64(rd);
	p->copied_sectors = rd_u64(rd);
	p->mismatch_sectors = rd_u64(rd);
	p->took_ns = rd_u64(rd);
	p->write_p99_ns = rd_u64(rd);
	p->needed_chunks = rd_u64(rd);
	p->was_busy = rd_u8(rd);
}

static void take_answer_disk(struct rd *rd, struct record_disk *d)
{
	d->number = rd_u32(rd);
	rd_bytes(rd, d->device_uuid, sizeof(d->device_uuid));
	d->is_re_add = rd_u8(rd);
}

static void take_event(struct rd *rd, struct record *r)
{
	struct array_event *e = &r->event;

	e->kind = rd_u8(rd);
	e->is_ours = rd_u8(rd);
	e->node = rd_u32(rd);
	e->slot = (int)rd_u32(rd);
	e->role = rd_u32(rd);
	e->low = rd_u64(rd);
	e->high = rd_u64(rd);
	e->bytes = rd_u64(rd);
	e->at_ns = r->now;
	e->text = r->text;
	if (e->kind >= ARRAY_EVENT_KINDS)
		rd->failed = true;
}

static int take_fields(struct record_reader *rr, struct rd *rd, struct record *r,
		       struct err *err)
{
	uint32_t fields = record_fields(r->kind);
	int code = 0;

	r->now = rd_u64(rd);
	if (fields & HAS_FLAG)
		r->flag = rd_u8(rd);
	if (fields & HAS_OP)
		r->op = rd_u8(rd);
	if (fields & HAS_RESULT)
		r->result = (int32_t)rd_u32(rd);
	if (fields & HAS_SLOT)
		r->slot = (int32_t)rd_u32(rd);
	if (fields & HAS_NUMBER)
		r->number = rd_u64(rd);
	if (fields & HAS_RANGE) {
		r->low = rd_u64(rd);
		r->high = rd_u64(rd);
	}
	if (fields & HAS_TEXT)
		take_text(rd, r->text, sizeof(r->text));
	if (fields & HAS_CONFIG) {
		code = take_config(rr, rd, err);
		r->config = &rr->config;
	}
	if (fields & HAS_MEMBERS)
		take_members(rr, rd, r);
	if (fields & HAS_LOCK)
		take_lock_name(rr, rd, r);
	if (fields & HAS_LOCK_RESULT)
		take_lock_result(rr, rd, r);
	if (fields & HAS_VIEW)
		take_view(rr, rd, r);
	if (code == 0 && fields & HAS_BITS)
		code = take_bits(rr, rd, r, err);
	if (fields & HAS_PLANE)
		take_plane(rd, &r->plane);
	if (fields & HAS_DISK)
		take_answer_disk(rd, &r->disk);
	if (fields & HAS_EVENT)
		take_event(rd, r);
	return code;
}

int record_read(struct record_reader *rr, struct record *r, struct err *err)
{
	struct rd head = rd_over(rr->bytes + rr->at, rr->length - rr->at), rd;
	uint32_t length = rd_u32(&head);
	uint8_t kind = rd_u8(&head);
	int code;

	if (head.failed || length > rr->length - rr->at - 4)
		return 0; /* the end, or where the process ended */
	*r = (struct record){ .kind = kind };
	if (kind >= RECORD_KINDS || length < 1 || length > RECORD_MAX_BYTES)
		return err_set(err, -EBADMSG, "at byte %zu: a record of kind %u, %u bytes long",
			       rr->at, kind, length);
	rd = rd_over(rr->bytes + rr->at + 5, length - 1);
	code = take_fields(rr, &rd, r, err);
	if (code < 0)
		return code;
	if (rd.failed || rd.at != rd.length)
		return err_set(err, -EBADMSG, "at byte %zu: a damaged record (%s)", rr->at,
			       record_kind_name(r->kind));
	rr->at += 4 + (size_t)length;
	return 1;
}
