/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slots of others, read as the OR over all members in sync (D12), and cleared (D3). A copy
 * that cannot be read is never written over: its role is told, so that the disk can
 * be failed, and then counts no more. Only where the array cannot do without that disk do
 * all chunks count as dirty instead.
 */
#include "mdclusterd/array/metadata_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bitmap/bits.h"
#include "bitmap/disk.h"

LOG_SUBSYSTEM(metadata);

static bool may_be_failed(struct metadata *md, uint32_t role)
{
	struct metadata_view view;

	metadata_make_view(md, &view);
	return metadata_is_enough(&view, role);
}

/* A member in sync, that was not read the last time. */
static int check_all_read(struct metadata *md, struct metadata_request *req)
{
	for (size_t i = 0; i < md->count; i++) {
		const struct metadata_member *m = &md->members[i];

		if (m->is_read || m->last.state != METADATA_DISK_IN_SYNC ||
		    metadata_role_of(md, m->dev_number) >= MD_ROLE_MAX)
			continue;
		req->role = m->last.role;
		return err_set(&req->err, -EIO, "%s: its superblock could not be read",
			       m->path);
	}
	return 0;
}

/* The caller ends it with bitmap_slot_fini(), also after an error. */
static int load(struct metadata *md, struct metadata_request *req, struct bitmap_slot *slot)
{
	const struct md_member *f = md_array_freshest(&md->array);
	bool is_first = true;
	int r = bitmap_slot_init(slot, &f->geo, req->slot, &req->err);

	for (size_t i = 0; r == 0 && i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];
		struct bitmap_copy copy = md_member_copy(m);

		if (!md_array_is_in_sync(&md->array, m))
			continue;
		r = is_first ? bitmap_slot_load(slot, &copy, 1, true, &req->err) :
			       bitmap_slot_add(slot, &copy, &req->err);
		if (metadata_is_disk_fault(r)) {
			uint32_t role = md_array_role(&md->array, m);

			if (may_be_failed(md, role)) {
				req->role = role;
				r = -EIO;
				continue;
			}
			log_warning("MDC5302", "%s; all of slot %u counts as dirty",
				    req->err.text, req->slot);
			if (is_first)
				slot->sb = f->bitmap;
			bitmap_slot_fill(slot, true);
			slot->sb.state |= BITMAP_STATE_STALE;
			r = 0;
		}
		is_first = false;
	}
	return r;
}

/* Of all that are in sync; the same. */
static int load_all(struct metadata *md, struct metadata_request *req,
		    struct bitmap_slot *slot)
{
	int r = check_all_read(md, req);

	if (r < 0) {
		*slot = (struct bitmap_slot){ 0 };
		return r;
	}
	return load(md, req, slot);
}

int metadata_load_slot(struct metadata *md, uint32_t number, struct bitmap_slot *slot,
		       uint32_t *role, struct err *err)
{
	struct metadata_request req = { .slot = number, .role = METADATA_NO_ROLE };
	int r = load_all(md, &req, slot);

	*role = req.role;
	if (r < 0)
		*err = req.err;
	return r;
}

int metadata_read_slot(struct metadata *md, struct metadata_request *req)
{
	uint64_t chunks = md_array_freshest(&md->array)->geo.chunks;
	struct bitmap_slot slot;
	int r = load_all(md, req, &slot);

	req->bits = r == 0 ? calloc(1, bits_bytes(chunks)) : NULL;
	if (r == 0 && !req->bits)
		r = err_nomem(&req->err, "the bits of a slot");
	if (r == 0) {
		/* of a large slot with few bits, or none, hardly any memory is touched */
		(void)bits_or(req->bits, slot.bits, chunks);
		req->dirty = bits_count(slot.bits, chunks);
	}
	bitmap_slot_fini(&slot);
	return r;
}

/* --- clearing ----------------------------------------------------------------------------- */

struct span {
	uint32_t first, last; /* pages */
	bool is_any;
};

static struct span clear_bits(struct bitmap_slot *slot, const uint8_t *bits)
{
	struct bits_run run = BITS_RUN_START;
	struct span span = { 0, 0, false };

	while (bits_next_run(bits, slot->geo.chunks, &run)) {
		bits_clear_range(slot->bits, run.first, run.last);
		if (!span.is_any)
			span.first = bitmap_page_of_chunk(run.first);
		span.last = bitmap_page_of_chunk(run.last);
		span.is_any = true;
	}
	/* what STALE said is in the bits now */
	if (slot->sb.state & BITMAP_STATE_KNOWN)
		span = (struct span){ 0, slot->geo.slot_pages - 1, true };
	slot->sb.state &= ~(uint32_t)BITMAP_STATE_KNOWN;
	return span;
}

/* Who did not take it: one by one, for the batch does not tell. */
static int find_failed(struct metadata *md, struct metadata_request *req,
		       struct bitmap_slot *slot, struct span span)
{
	int r;

	for (size_t i = 0; i < md->array.count; i++) {
		const struct md_member *m = &md->array.members[i];
		struct bitmap_copy copy = md_member_copy(m);

		if (!metadata_is_written(md, m))
			continue;
		r = bitmap_slot_store_pages(slot, span.first, span.last - span.first + 1, &copy,
					    1, &req->err);
		if (r == 0)
			continue;
		if (!metadata_is_disk_fault(r))
			return r;
		req->role = md_array_role(&md->array, m);
		return -EIO;
	}
	return 0;
}

static int store(struct metadata *md, struct metadata_request *req, struct bitmap_slot *slot,
		 struct span span)
{
	struct bitmap_copy copies[METADATA_MAX_DISKS];
	size_t count = 0;
	int r;

	for (size_t i = 0; i < md->array.count; i++)
		if (metadata_is_written(md, &md->array.members[i]))
			copies[count++] = md_member_copy(&md->array.members[i]);
	r = bitmap_slot_store_pages(slot, span.first, span.last - span.first + 1, copies, count,
				    &req->err);
	return metadata_is_disk_fault(r) ? find_failed(md, req, slot, span) : r;
}

int metadata_clear_slot(struct metadata *md, struct metadata_request *req)
{
	struct bitmap_slot slot;
	struct span span;
	int r = load_all(md, req, &slot);

	if (r == 0) {
		span = clear_bits(&slot, req->bits);
		if (span.is_any)
			r = store(md, req, &slot, span);
	}
	bitmap_slot_fini(&slot);
	return r;
}

int metadata_clear_all(struct metadata *md, struct err *err)
{
	uint32_t nodes = md_array_freshest(&md->array)->geo.nodes;
	struct metadata_request req = { .role = METADATA_NO_ROLE };
	int r = 0;

	for (req.slot = 0; r == 0 && req.slot < nodes; req.slot++) {
		struct bitmap_slot slot;

		r = load(md, &req, &slot);
		if (r == 0 && (bitmap_slot_dirty_chunks(&slot) || slot.sb.state)) {
			const struct span all = { 0, slot.geo.slot_pages - 1, true };

			bitmap_slot_fill(&slot, false);
			slot.sb.state &= ~(uint32_t)BITMAP_STATE_KNOWN;
			r = store(md, &req, &slot, all);
		}
		bitmap_slot_fini(&slot);
	}
	if (r < 0)
		*err = req.err;
	return r;
}
