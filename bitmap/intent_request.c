/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: what waits for pages, each to be written once more since it was asked; and
 * those that make such: disks that come and go, events, degraded or not.
 */
#include "bitmap/intent_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "bitmap/bits.h"

enum { NO_ROLE = INTENT_MAX_DISKS };

void intent_request_finish(struct intent *in, struct intent_request *req, int result)
{
	free(req->pages);
	req->pages = NULL;
	in->settles -= req->kind == REQUEST_SETTLE;
	req->result = result;
	qb_list_del(&req->link);
	qb_list_add_tail(&req->link, &in->finished);
}

void intent_request_add(struct intent *in, struct intent_request *req,
			enum intent_kind kind)
{
	req->kind = (uint8_t)kind;
	req->since = ++in->number;
	req->pages = NULL;
	req->pages_awaited = 0;
	req->role = NO_ROLE;
	req->result = 0;
	in->settles += kind == REQUEST_SETTLE;
	qb_list_add_tail(&req->link, &in->requests);
}

void intent_request_page(struct intent *in, struct intent_request *req, uint32_t page)
{
	if (!req->pages && req->result == 0) {
		req->pages = calloc(1, bits_bytes(in->page_count));
		req->result = req->pages ? 0 : -ENOMEM;
	}
	if (!req->pages)
		return;
	bits_set_range(req->pages, page, page);
	req->pages_awaited++;
	intent_page_want_later(in, page);
}

static bool has_disk(const struct intent *in)
{
	for (uint32_t role = 0; role < in->role_count; role++)
		if (in->roles[role].disk)
			return true;
	return false;
}

/* Without any disk nothing is ever written: whoever waits for that is told. */
void intent_request_ready(struct intent *in, struct intent_request *req)
{
	if (req->pages_awaited == 0)
		intent_request_finish(in, req, req->result);
	else if (!has_disk(in))
		intent_request_finish(in, req, -EIO);
}

static void end_all_writing(struct intent *in)
{
	struct intent_request *req, *next;

	qb_list_for_each_entry_safe(req, next, &in->requests, link)
		if (req->kind == REQUEST_PAGES)
			intent_request_finish(in, req, -EIO);
}

static void page_written(struct intent *in, struct intent_request *req, uint32_t page)
{
	if (!bits_test(req->pages, page))
		return;
	bits_clear_range(req->pages, page, page);
	if (--req->pages_awaited == 0)
		intent_request_finish(in, req, 0);
}

void intent_requests_written(struct intent *in, const struct intent_io *io)
{
	struct intent_request *req, *next;
	uint32_t page;

	qb_list_for_each_entry_safe(req, next, &in->requests, link)
		for (page = io->first; page < io->first + io->count; page++)
			if (req->pages && req->since < io->number)
				page_written(in, req, page);
}

void intent_requests_settled(struct intent *in)
{
	struct intent_request *req, *next;

	qb_list_for_each_entry_safe(req, next, &in->requests, link)
		if (req->kind == REQUEST_SETTLE)
			intent_request_finish(in, req, 0);
}

void intent_requests_left(struct intent *in, uint32_t role)
{
	struct intent_request *req, *next;

	if (in->roles[role].in_flight > 0)
		return;
	qb_list_for_each_entry_safe(req, next, &in->requests, link)
		if (req->kind == REQUEST_LEAVE && req->role == role)
			intent_request_finish(in, req, 0);
}

/* --- disks --------------------------------------------------------------------------- */

/* Requests for a disk that came, and left before it had all. */
static void cancel_coming(struct intent *in, uint32_t role)
{
	struct intent_request *req, *next;

	qb_list_for_each_entry_safe(req, next, &in->requests, link)
		if (req->kind == REQUEST_PAGES && req->role == role)
			intent_request_finish(in, req, -ENODEV);
}

static void leave(struct intent *in, uint32_t role, struct intent_request *req)
{
	if (in->roles[role].disk)
		in->gone |= 1u << role;
	in->roles[role].disk = NULL;
	intent_io_leave(in, role);
	cancel_coming(in, role);
	if (!has_disk(in))
		end_all_writing(in);
	if (!req)
		return;
	intent_request_add(in, req, REQUEST_LEAVE);
	req->role = role;
	intent_requests_left(in, role);
}

static void come(struct intent *in, uint32_t role, struct intent_request *req)
{
	uint32_t page;

	if (req) {
		intent_request_add(in, req, REQUEST_PAGES);
		req->role = role;
	}
	for (page = 0; page < in->page_count; page++)
		if (req)
			intent_request_page(in, req, page);
		else
			intent_page_want_later(in, page);
	if (req)
		intent_request_ready(in, req);
}

void intent_set_disk(struct intent *in, uint32_t role, struct disk *disk,
		     uint64_t start_bytes, struct intent_request *req)
{
	assert(role < in->role_count);
	/* what was chosen to be cleared was flushed on other disks than these */
	intent_clear_dissolve(in);
	in->roles[role].is_failing = false;
	if (disk) {
		assert(!in->roles[role].disk);
		in->gone &= ~(1u << role);
		in->roles[role].disk = disk;
		in->roles[role].start_bytes = start_bytes;
		come(in, role, req);
	} else {
		leave(in, role, req);
	}
	intent_page_retry(in);
}

void intent_set_hang(struct intent *in, uint32_t role, uint64_t hang_ns)
{
	in->roles[role].hang_ns = hang_ns;
}

/* --- the array around it ------------------------------------------------------------- */

bool intent_is_degraded(const struct intent *in)
{
	return in->is_degraded || in->gone != 0;
}

void intent_set_degraded(struct intent *in, bool is_degraded)
{
	if (in->is_degraded == is_degraded)
		return;
	in->is_degraded = is_degraded;
	intent_clear_dissolve(in);
	intent_kick(in);
}

/* Pages that somebody waits for go first. */
void intent_set_gate(struct intent *in, bool is_open, uint64_t lease_until)
{
	uint32_t page;

	in->is_shut = !is_open;
	in->lease_until = lease_until;
	if (!in->is_held || !intent_may_write(in))
		return;
	in->is_held = false;
	for (page = 0; page < in->page_count; page++)
		if (in->pages[page].queued.count > 0 && !in->pages[page].is_stuck)
			intent_page_want(in, page);
	intent_kick(in);
}

void intent_saw_events(struct intent *in, uint64_t events)
{
	if (in->slot->sb.events >= events)
		return;
	in->slot->sb.events = events;
	intent_sb_changed(in);
}

void intent_set_events(struct intent *in, uint64_t events, struct intent_request *req)
{
	struct bitmap_sb *sb = &in->slot->sb;

	sb->events = events;
	if (!intent_is_degraded(in) && sb->events_cleared < events) {
		sb->events_cleared = events;
		in->is_sb_behind = true;
	}
	intent_sb_changed(in);
	if (req) {
		intent_request_add(in, req, REQUEST_PAGES);
		intent_request_page(in, req, 0);
		intent_request_ready(in, req);
	}
	intent_page_want(in, 0);
}
