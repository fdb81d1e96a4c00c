/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metadata and data plane, heard: each request that goes through gets a number, and our done()
 * for its own; the answer is written down, and handed on.
 */
#include <stdlib.h>
#include <string.h>

#include "mdclusterd/record/recorder_private.h"

static struct tapped *tap(struct recorded *r, uint64_t number, void *owner)
{
	struct tapped *t = malloc(sizeof(*t));

	if (!t) {
		recorder_end(r, "no memory");
		return NULL;
	}
	*t = (struct tapped){ .recorded = r, .number = number, .owner = owner };
	qb_list_add_tail(&t->link, &r->tapped);
	return t;
}

/* --- metadata ---------------------------------------------------------------------------- */

static void metadata_done(void *owner, struct metadata_request *req, int result)
{
	struct tapped *t = owner;
	struct recorded *r = t->recorded;
	struct record record = { .kind = RECORD_METADATA, .number = t->number,
				 .op = (uint8_t)req->op, .result = result,
				 .slot = (int32_t)req->role, .dirty = req->dirty };

	req->done = t->metadata_done;
	req->owner = t->owner;
	qb_list_del(&t->link);
	free(t);
	memcpy(record.text, req->err.text, sizeof(req->err.text));
	record.disk.number = req->number;
	record.disk.is_re_add = req->is_re_add;
	memcpy(record.disk.device_uuid, req->device_uuid, sizeof(req->device_uuid));
	if (result == 0 && metadata_gives_view(req->op)) {
		record.view = req->view;
		r->chunks = req->view->geo.chunks;
	}
	if (result == 0 && req->op == METADATA_READ_SLOT) {
		record.bits = req->bits;
		record.bit_count = r->chunks;
	}
	recorder_put(r, &record);
	req->done(req->owner, req, result);
}

static void metadata_submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct recorded *r = qb_list_entry(runner, struct recorded, metadata);
	struct record record = record_of_metadata(r->metadata_requests, req);
	struct tapped *t = tap(r, r->metadata_requests++, req->owner);

	if (t) {
		t->metadata_done = req->done;
		req->done = metadata_done;
		req->owner = t;
	}
	recorder_put(r, &record);
	r->real_metadata->submit(r->real_metadata, req);
}

/* --- the plane --------------------------------------------------------------------------- */

static void plane_done(void *owner, struct plane_request *req, int result)
{
	struct tapped *t = owner;
	struct recorded *r = t->recorded;
	struct record record = { .kind = RECORD_PLANE, .number = t->number,
				 .op = (uint8_t)req->op, .result = result };

	req->done = t->plane_done;
	req->owner = t->owner;
	qb_list_del(&t->link);
	free(t);
	memcpy(record.text, req->err.text, sizeof(req->err.text));
	record.plane = (struct record_plane){
		.low = req->low, .high = req->high, .position = req->position,
		.copied_sectors = req->copied_sectors,
		.mismatch_sectors = req->mismatch_sectors,
		.took_ns = req->took_ns, .write_p99_ns = req->write_p99_ns,
		.needed_chunks = req->needed_chunks, .was_busy = req->was_busy,
	};
	recorder_put(r, &record);
	req->done(req->owner, req, result);
}

static void plane_submit(struct plane *plane, struct plane_request *req)
{
	struct recorded *r = qb_list_entry(plane, struct recorded, plane);
	struct record record = record_of_plane(r->plane_requests, req);
	struct tapped *t = tap(r, r->plane_requests++, req->owner);

	if (t) {
		t->plane_done = req->done;
		req->done = plane_done;
		req->owner = t;
	}
	recorder_put(r, &record);
	r->real_plane->ops->submit(r->real_plane, req);
}

static struct plane *behind(struct plane *plane)
{
	return qb_list_entry(plane, struct recorded, plane)->real_plane;
}

static void plane_set_gate(struct plane *plane, bool is_open)
{
	behind(plane)->ops->set_gate(behind(plane), is_open);
}

static void plane_set_single_source(struct plane *plane, bool is_on)
{
	behind(plane)->ops->set_single_source(behind(plane), is_on);
}

static void plane_failure_known(struct plane *plane, uint32_t role)
{
	behind(plane)->ops->failure_known(behind(plane), role);
}

static void plane_set_speed(struct plane *plane, uint64_t max_bytes)
{
	behind(plane)->ops->set_speed(behind(plane), max_bytes);
}

static void plane_cancel_sync(struct plane *plane)
{
	behind(plane)->ops->cancel_sync(behind(plane));
}

static const struct plane_ops plane_ops = {
	.submit = plane_submit, .set_gate = plane_set_gate,
	.set_single_source = plane_set_single_source,
	.failure_known = plane_failure_known, .set_speed = plane_set_speed,
	.cancel_sync = plane_cancel_sync,
};

static void on_disk_failed(void *owner, uint32_t role, const struct err *why)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_DISK_FAILED, .number = role,
				 .result = why->code };

	memcpy(record.text, why->text, sizeof(why->text));
	recorder_put(r, &record);
	r->plane.handlers->disk_failed(r->plane.owner, role, why);
}

static void on_differs(void *owner, uint64_t sector, uint64_t sectors)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_DIFFERS, .low = sector, .high = sectors };

	recorder_put(r, &record);
	r->plane.handlers->differs(r->plane.owner, sector, sectors);
}

static void on_needs(void *owner, uint64_t needed_chunks)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_NEEDS, .number = needed_chunks };

	recorder_put(r, &record);
	r->plane.handlers->needs(r->plane.owner, needed_chunks);
}

static void on_corrected(void *owner, uint32_t role, uint64_t low, uint64_t high,
			 uint64_t sectors)
{
	struct recorded *r = owner;
	struct record record = { .kind = RECORD_CORRECTED, .slot = (int32_t)role, .low = low,
				 .high = high, .number = sectors };

	recorder_put(r, &record);
	r->plane.handlers->corrected(r->plane.owner, role, low, high, sectors);
}

static const struct plane_handlers hearing = {
	.disk_failed = on_disk_failed, .differs = on_differs,
	.needs = on_needs, .corrected = on_corrected,
};

void recorder_tap_disks(struct recorded *r)
{
	r->metadata.submit = metadata_submit;
	r->plane.ops = &plane_ops;
	r->real_plane->handlers = &hearing;
	r->real_plane->owner = r;
}

void recorder_untap(struct recorded *r)
{
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &r->tapped)
		free(qb_list_entry(at, struct tapped, link));
}
