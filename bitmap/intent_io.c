/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One write, or one flush, to all disks of the intent log.
 *
 * It is over when every disk answered that still takes part. A disk that is taken out
 * is not waited for; its request may still be with it, so the memory stays until that
 * comes back. Whatever is over is put on a list and handled by intent_run(), so that
 * nobody is called back from within his own call.
 */
#include "bitmap/intent_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"

LOG_SUBSYSTEM(bitmap);

enum { SPARE_MAX = 64 };

static struct intent_io *io_new(struct intent *in, uint32_t pages)
{
	struct intent_io *io = calloc(1, sizeof(*io) +
				      in->role_count * sizeof(io->parts[0]));

	if (!io)
		return NULL;
	io->buffer = disk_buffer_new((size_t)pages * BITMAP_PAGE_BYTES);
	if (!io->buffer) {
		free(io);
		return NULL;
	}
	io->in = in;
	io->room = pages;
	return io;
}

static void io_free(struct intent_io *io)
{
	free(io->buffer);
	free(io);
}

struct intent_io *intent_io_get(struct intent *in, uint32_t pages)
{
	struct intent_io *io;

	if (pages > 1 || qb_list_empty(&in->spare))
		return io_new(in, pages > 1 ? pages : 1);
	io = qb_list_first_entry(&in->spare, struct intent_io, link);
	qb_list_del(&io->link);
	in->spare_count--;
	return io;
}

/* A request that a disk still has keeps the memory. */
void intent_io_put(struct intent *in, struct intent_io *io)
{
	if (io->unreturned > 0)
		return;
	in->ios_count--;
	if (io->room > 1 || in->spare_count >= SPARE_MAX) {
		io_free(io);
		return;
	}
	qb_list_add(&io->link, &in->spare);
	in->spare_count++;
}

void intent_io_fini(struct intent *in)
{
	struct intent_io *io, *next;

	qb_list_for_each_entry_safe(io, next, &in->spare, link)
		io_free(io);
}

bool intent_has_disk(const struct intent *in)
{
	uint32_t i;

	for (i = 0; i < in->role_count; i++)
		if (in->roles[i].disk)
			return true;
	return false;
}

bool intent_has_io(const struct intent *in)
{
	return in->ios_count > 0;
}

bool intent_may_write(struct intent *in)
{
	bool may = intent_has_disk(in) && !in->is_shut &&
		   (in->lease_until == UINT64_MAX ||
		    in->ops.now(in->owner) < in->lease_until);

	in->is_held |= !may;
	return may;
}

static void io_check(struct intent_io *io)
{
	if (io->awaited || io->is_over)
		return;
	io->is_over = true;
	qb_list_del(&io->link);
	qb_list_add_tail(&io->link, &io->in->over);
}

/* The owner may take the disk out from within failed(). */
static void tell(struct intent *in, uint32_t role, int error)
{
	if (!in->roles[role].is_failing)
		log_warning("MDC5000", "%s: the bitmap of slot %u cannot be written: %s",
			    in->roles[role].disk->name, in->slot->number,
			    strerror(error));
	in->roles[role].is_failing = true;
	in->ops.failed(in->owner, role, error);
}

/* The lease is over, until there is another: whoever waits for its page waits on. */
static void cut(struct intent_io *io)
{
	io->is_cut = true;
	io->in->lease_until = 0;
}

static void part_done(struct disk_req *req, int result)
{
	struct intent_part *part = req->owner;
	struct intent_io *io = part->io;
	struct intent *in = io->in;
	uint32_t role = part->role, bit = 1u << role;

	io->unreturned--;
	in->roles[role].in_flight--;
	if (io->awaited & bit) {
		io->awaited &= ~bit;
		if (result == -ESHUTDOWN) {
			cut(io);
		} else if (result < 0) {
			io->failed |= bit;
			tell(in, role, -result);
		}
		io_check(io);
	} else if (io->is_handled) {
		intent_io_put(in, io);
	}
	intent_requests_left(in, role);
	intent_run(in);
}

static uint64_t io_offset(const struct intent *in, const struct intent_io *io,
			  uint32_t role)
{
	return in->roles[role].start_bytes +
	       in->slot->number * in->slot->geo.slot_bytes +
	       (uint64_t)io->first * BITMAP_PAGE_BYTES;
}

static struct disk_req part_request(const struct intent *in, struct intent_part *part)
{
	const struct intent_io *io = part->io;

	if (io->count == 0)
		return (struct disk_req){ .op = DISK_FLUSH, .done = part_done,
					  .owner = part };
	return (struct disk_req){
		.op = DISK_WRITE,
		.is_fua = true,
		.offset_bytes = io_offset(in, io, part->role),
		.length_bytes = (size_t)io->count * BITMAP_PAGE_BYTES,
		.buffer = io->buffer,
		.done = part_done,
		.owner = part,
	};
}

/* What is refused here is told later: not from within the call of somebody else. */
static void part_submit(struct intent *in, struct intent_io *io, uint32_t role)
{
	struct intent_part *part = &io->parts[role];
	struct err err = ERR_INIT;

	*part = (struct intent_part){ .io = io, .role = role };
	part->req = part_request(in, part);
	part->refused = disk_submit(in->roles[role].disk, &part->req, &err);
	if (part->refused == -ESHUTDOWN) {
		cut(io);
		return;
	}
	if (part->refused < 0) {
		io->failed |= 1u << role;
		return;
	}
	io->awaited |= 1u << role;
	io->unreturned++;
	in->roles[role].in_flight++;
}

void intent_io_submit(struct intent *in, struct intent_io *io)
{
	uint32_t role;

	io->number = ++in->number;
	io->began_ns = in->ops.now(in->owner);
	io->awaited = io->failed = io->late = 0;
	io->unreturned = 0;
	io->is_over = io->is_handled = io->is_cut = false;
	in->ios_count++;
	qb_list_add_tail(&io->link, &in->ios);
	for (role = 0; role < in->role_count; role++) {
		io->parts[role].refused = 0;
		if (in->roles[role].disk)
			part_submit(in, io, role);
	}
	io_check(io);
}

void intent_io_tell_refused(struct intent *in, struct intent_io *io)
{
	uint32_t role;

	for (role = 0; role < in->role_count; role++)
		if (io->parts[role].refused < 0 && (io->failed & 1u << role))
			tell(in, role, -io->parts[role].refused);
}

void intent_io_leave(struct intent *in, uint32_t role)
{
	struct intent_io *io, *next;

	qb_list_for_each_entry_safe(io, next, &in->ios, link) {
		io->awaited &= ~(1u << role);
		io->failed &= ~(1u << role);
		io_check(io);
	}
	qb_list_for_each_entry(io, &in->over, link)
		io->failed &= ~(1u << role);
}

static uint64_t hang_of(const struct intent *in, uint32_t role)
{
	return in->roles[role].hang_ns ? in->roles[role].hang_ns : in->hang_ns;
}

/* Roles, as bits, that are waited for, and were not told of. */
static uint32_t roles_due(const struct intent_io *io)
{
	return io->awaited & ~io->late;
}

static uint32_t roles_overdue(const struct intent *in, const struct intent_io *io, uint64_t now)
{
	uint32_t overdue = 0;

	for (uint32_t due = roles_due(io); due != 0; due &= due - 1) {
		uint32_t role = (uint32_t)__builtin_ctz(due);

		if (now >= io->began_ns && now - io->began_ns >= hang_of(in, role))
			overdue |= 1u << role;
	}
	return overdue;
}

static void io_late(struct intent *in, struct intent_io *io, uint32_t roles)
{
	for (; roles != 0; roles &= roles - 1) {
		uint32_t role = (uint32_t)__builtin_ctz(roles);

		if (!(roles_due(io) >> role & 1))
			continue;
		io->late |= 1u << role;
		tell(in, role, ETIMEDOUT);
	}
}

/* From the oldest on; telling may take any of them off the list, so from the start again. */
void intent_io_advance(struct intent *in, uint64_t now)
{
	struct intent_io *io, *late;
	uint32_t roles = 0;

	do {
		late = NULL;
		qb_list_for_each_entry(io, &in->ios, link) {
			roles = roles_overdue(in, io, now);
			if (roles) {
				late = io;
				break;
			}
		}
		if (late)
			io_late(in, late, roles);
	} while (late);
}

void intent_stood_still(struct intent *in, uint64_t ns)
{
	uint64_t now = in->ops.now(in->owner);
	struct intent_io *io;

	qb_list_for_each_entry(io, &in->ios, link)
		io->began_ns = min_u64(io->began_ns + ns, now);
}

uint64_t intent_io_deadline(const struct intent *in)
{
	const struct intent_io *io;
	uint64_t at = UINT64_MAX;

	qb_list_for_each_entry(io, &in->ios, link)
		for (uint32_t due = roles_due(io); due != 0; due &= due - 1)
			at = min_u64(at, io->began_ns + hang_of(in, (uint32_t)__builtin_ctz(due)));
	return at;
}
