/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata and a data plane that answer as the recording says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap/bits.h"
#include "mdclusterd/record/replay_private.h"

/* The request's number is its place among all that were ever submitted. */
struct asked {
	struct qb_list_head link;
	uint64_t number;
	void *request;
};

static void ask(struct replay *p, struct qb_list_head *list, uint64_t number, void *request)
{
	struct asked *a = malloc(sizeof(*a));

	if (!a) {
		replay_differs(p, "no memory for what the array asks");
		return;
	}
	*a = (struct asked){ .number = number, .request = request };
	qb_list_add_tail(&a->link, list);
}

/* Taken out; NULL: the array has not asked that. */
static void *answered(struct qb_list_head *list, uint64_t number)
{
	struct qb_list_head *at;

	qb_list_for_each(at, list) {
		struct asked *a = qb_list_entry(at, struct asked, link);
		void *request = a->request;

		if (a->number != number)
			continue;
		qb_list_del(at);
		free(a);
		return request;
	}
	return NULL;
}

static void metadata_submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct replay *p = qb_list_entry(runner, struct replay, metadata);

	struct record record = record_of_metadata(p->metadata_count, req);

	ask(p, &p->metadata_requests, p->metadata_count++, req);
	replay_say(p, &record);
}

static void plane_submit(struct plane *plane, struct plane_request *req)
{
	struct replay *p = qb_list_entry(plane, struct replay, plane);

	struct record record = record_of_plane(p->plane_count, req);

	ask(p, &p->plane_requests, p->plane_count++, req);
	replay_say(p, &record);
}

static void post_flag(struct plane *plane, bool is_on)
{
	(void)plane, (void)is_on;
}

static void post_role(struct plane *plane, uint32_t role)
{
	(void)plane, (void)role;
}

static void post_speed(struct plane *plane, uint64_t max_bytes)
{
	(void)plane, (void)max_bytes;
}

static void post(struct plane *plane)
{
	(void)plane;
}

static const struct plane_ops plane_ops = {
	.submit = plane_submit, .set_gate = post_flag, .set_single_source = post_flag,
	.failure_known = post_role, .set_speed = post_speed, .cancel_sync = post,
};

void replay_disks_init(struct replay *p)
{
	p->metadata.submit = metadata_submit;
	p->plane.ops = &plane_ops;
	qb_list_init(&p->metadata_requests);
	qb_list_init(&p->plane_requests);
}

static void fini(struct qb_list_head *list)
{
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, list)
		free(qb_list_entry(at, struct asked, link));
}

void replay_disks_fini(struct replay *p)
{
	fini(&p->metadata_requests);
	fini(&p->plane_requests);
}

/* The bits become the asker's, as those of a real answer do. */
static int copy_bits(const struct record *r, struct metadata_request *req, struct err *err)
{
	req->bits = malloc(bits_bytes(r->bit_count));
	if (!req->bits)
		return err_nomem(err, "a slot");
	memcpy(req->bits, r->bits, bits_bytes(r->bit_count));
	return 0;
}

static int feed_metadata(struct replay *p, const struct record *r, struct err *err)
{
	struct metadata_request *req = answered(&p->metadata_requests, r->number);
	int code = 0;

	if (!req || req->op != r->op) {
		replay_differs(p, "has not asked for metadata (%u, number %llu), and did then",
			       r->op, (unsigned long long)r->number);
		return 0;
	}
	if (r->view && req->view)
		*req->view = *r->view;
	if (r->bits && req->op == METADATA_READ_SLOT)
		code = copy_bits(r, req, err);
	if (code < 0)
		return code;
	req->dirty = r->dirty;
	req->role = (uint32_t)r->slot;
	req->number = r->disk.number;
	req->is_re_add = r->disk.is_re_add;
	memcpy(req->device_uuid, r->disk.device_uuid, sizeof(req->device_uuid));
	req->err = (struct err)ERR_INIT;
	if (r->result < 0)
		err_set(&req->err, r->result, "%s", r->text);
	req->done(req->owner, req, r->result);
	return 0;
}

static void feed_plane(struct replay *p, const struct record *r)
{
	struct plane_request *req = answered(&p->plane_requests, r->number);

	if (!req || req->op != r->op) {
		replay_differs(p, "has not asked the plane (%u, number %llu), and did then",
			       r->op, (unsigned long long)r->number);
		return;
	}
	req->low = r->plane.low;
	req->high = r->plane.high;
	req->position = r->plane.position;
	req->copied_sectors = r->plane.copied_sectors;
	req->mismatch_sectors = r->plane.mismatch_sectors;
	req->took_ns = r->plane.took_ns;
	req->write_p99_ns = r->plane.write_p99_ns;
	req->needed_chunks = r->plane.needed_chunks;
	req->was_busy = r->plane.was_busy;
	req->err = (struct err)ERR_INIT;
	if (r->result < 0)
		err_set(&req->err, r->result, "%s", r->text);
	req->done(req->owner, req, r->result);
}

int replay_feed_disk(struct replay *p, const struct record *r, struct err *err)
{
	struct err why = ERR_INIT;

	if (r->kind == RECORD_METADATA)
		return feed_metadata(p, r, err);
	if (r->kind == RECORD_PLANE) {
		feed_plane(p, r);
		return 0;
	}
	if (!p->plane.handlers)
		return err_set(err, -EBADMSG, "the plane speaks before it has a listener");
	if (r->kind == RECORD_DISK_FAILED) {
		err_set(&why, r->result, "%s", r->text);
		p->plane.handlers->disk_failed(p->plane.owner, (uint32_t)r->number, &why);
	} else if (r->kind == RECORD_NEEDS) {
		p->plane.handlers->needs(p->plane.owner, r->number);
	} else if (r->kind == RECORD_CORRECTED) {
		p->plane.handlers->corrected(p->plane.owner, (uint32_t)r->slot, r->low, r->high,
					     r->number);
	} else {
		p->plane.handlers->differs(p->plane.owner, r->low, r->high);
	}
	return 0;
}
