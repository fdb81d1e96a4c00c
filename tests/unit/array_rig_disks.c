/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of the rig that come and go, as metadata do it; a path is "disk1", or of a new one. */
#include "tests/unit/array_rig_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"

static uint64_t all_writing(const struct array_rig *rig)
{
	uint64_t mask = 0;

	for (int i = 1; i <= rig->count; i++)
		for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
			if (rig->nodes[i].plane.writing[c])
				mask |= UINT64_C(1) << c;
	return mask;
}

int rig_disk_fail(struct array_rig *rig, uint32_t role, struct err *err)
{
	struct rig_disks *d = &rig->disks;
	uint32_t left = 0;

	for (uint32_t i = 0; i < d->disks; i++)
		left += i != role && d->state[i] == METADATA_DISK_IN_SYNC;
	if (left == 0)
		return err_set(err, -EBUSY, "the last one");
	if (d->state[role] != METADATA_DISK_FAULTY)
		d->events++;
	d->state[role] = METADATA_DISK_FAULTY;
	d->missing[role] |= all_writing(rig); /* some of it may not be there */
	return 0;
}

static uint32_t role_of_number(const struct rig_disks *d, uint32_t number)
{
	for (uint32_t i = 0; i < d->disks; i++)
		if (d->number[i] == number)
			return i;
	return METADATA_NO_ROLE;
}

static void set_uuid(uint8_t uuid[16], uint32_t number)
{
	memset(uuid, 0xd0, 16);
	uuid[15] = (uint8_t)number;
}

static int prepare(struct rig_disks *d, struct metadata_request *req)
{
	uint32_t role;

	if (sscanf(req->path, "disk%u", &role) == 1) {
		if (d->state[role] != METADATA_DISK_FAULTY)
			return err_set(&req->err, -EEXIST, "%s: is a member", req->path);
		req->is_re_add = !req->is_spare && !d->has_cleared;
		req->number = d->number[role];
		set_uuid(req->device_uuid, req->number);
		if (req->is_re_add)
			return 0;
	} else if (req->is_re_add) {
		return err_set(&req->err, -ESTALE, "%s: was no member", req->path);
	}
	req->is_re_add = false;
	req->number = d->next_number++;
	set_uuid(req->device_uuid, req->number);
	return 0;
}

static int add(struct rig_disks *d, struct metadata_request *req)
{
	for (int i = 0; i < ARRAY_RIG_SPARES; i++)
		if (!d->spares[i].is_member) {
			d->spares[i].is_member = true;
			d->spares[i].number = req->number;
			d->events++;
			return 0;
		}
	return err_set(&req->err, -ENOSPC, "too many spares for this rig");
}

static bool take_spare(struct rig_disks *d, uint32_t number)
{
	for (int i = 0; i < ARRAY_RIG_SPARES; i++)
		if (d->spares[i].is_member && d->spares[i].number == number) {
			d->spares[i].is_member = false;
			return true;
		}
	return false;
}

static int rebuild(struct rig_disks *d, struct metadata_request *req)
{
	if (req->is_re_add)
		req->role = role_of_number(d, req->number);
	assert_true(req->role < d->disks);
	if (d->state[req->role] != METADATA_DISK_FAULTY)
		return err_set(&req->err, -EALREADY, "role %u has a disk", req->role);
	if (!req->is_re_add) {
		assert_true(take_spare(d, req->number));
		d->missing[req->role] = UINT64_MAX;
	}
	d->state[req->role] = METADATA_DISK_REBUILD;
	d->number[req->role] = req->number;
	d->by_bitmap[req->role] = req->is_re_add;
	d->recovery_offset[req->role] = 0;
	d->events++;
	return 0;
}

static int progress(struct rig_disks *d, struct metadata_request *req)
{
	if (d->state[req->role] != METADATA_DISK_REBUILD)
		return err_set(&req->err, -EINVAL, "role %u is not rebuilt", req->role);
	assert_false(d->by_bitmap[req->role]);
	if (d->missing[req->role] & rig_chunks(0, req->position))
		fail_msg("chunks %llx are not on the disk, and its superblock says so",
			 (unsigned long long)d->missing[req->role]);
	d->recovery_offset[req->role] = req->position;
	return 0;
}

static int in_sync(struct rig_metadata *m, struct metadata_request *req)
{
	struct rig_disks *d = &m->rig->disks;

	if (d->state[req->role] != METADATA_DISK_REBUILD)
		return err_set(&req->err, -EINVAL, "role %u is not rebuilt", req->role);
	if (d->missing[req->role])
		fail_msg("disk %u is in sync, and does not have chunks %llx", req->role,
			 (unsigned long long)d->missing[req->role]);
	for (int i = 1; i <= m->rig->count; i++)
		if (m->rig->nodes[i].plane.is_started && !rig_is_out(m->rig, i) &&
		    req->slots >> m->rig->nodes[i].plane.slot & 1)
			fail_msg("slot %u of node %d is overwritten",
				 m->rig->nodes[i].plane.slot, i);
	d->state[req->role] = METADATA_DISK_IN_SYNC;
	d->events++;
	return 0;
}

static int remove_disk(struct rig_disks *d, struct metadata_request *req)
{
	uint32_t role = role_of_number(d, req->number);

	if (role != METADATA_NO_ROLE && d->state[role] != METADATA_DISK_FAULTY)
		return err_set(&req->err, -EBUSY, "disk %u is in use: fail it first",
			       req->number);
	(void)take_spare(d, req->number);
	d->events++;
	return 0;
}

/* The freshest superblock has it, and who writes next brings the others after. */
static int halved(struct rig_metadata *m, struct metadata_request *req, int result)
{
	if (result < 0 || m->halve_come == 0)
		return result;
	m->halve_come--;
	return err_set(&req->err, -ESHUTDOWN, "disk1: not now");
}

int rig_disks_run(struct rig_metadata *m, struct metadata_request *req)
{
	struct rig_disks *d = &m->rig->disks;

	switch (req->op) {
	case METADATA_PREPARE:
		return prepare(d, req);
	case METADATA_FIND:
		return d->unseen >> m->node & 1 ?
			       err_set(&req->err, -ENODEV, "it is not seen here") : 0;
	case METADATA_ADD:
		return halved(m, req, add(d, req));
	case METADATA_REBUILD:
		if (m->fail_rebuild > 0) {
			m->fail_rebuild--;
			return err_set(&req->err, -EAGAIN, "not now");
		}
		return halved(m, req, rebuild(d, req));
	case METADATA_PROGRESS:
		return progress(d, req);
	case METADATA_IN_SYNC:
		return in_sync(m, req);
	case METADATA_REMOVE:
		return remove_disk(d, req);
	default:
		return 0;
	}
}

void rig_disks_view(const struct rig_disks *d, struct metadata_view *view)
{
	for (uint32_t i = 0; i < d->disks; i++) {
		view->disks[i].dev_number = d->number[i];
		set_uuid(view->disks[i].device_uuid, d->number[i]);
		view->disks[i].is_by_bitmap = d->by_bitmap[i] &&
					      d->state[i] == METADATA_DISK_REBUILD;
		view->disks[i].recovery_offset = d->recovery_offset[i];
	}
	for (int i = 0; i < ARRAY_RIG_SPARES; i++) {
		struct metadata_disk *m = &view->disks[view->disk_count];

		if (!d->spares[i].is_member)
			continue;
		snprintf(m->path, sizeof(m->path), "new%u", d->spares[i].number);
		m->role = view->disk_count++;
		m->dev_number = d->spares[i].number;
		set_uuid(m->device_uuid, m->dev_number);
		m->state = METADATA_DISK_SPARE;
	}
}

void rig_disks_unsee(struct metadata_view *view, uint32_t number)
{
	for (uint32_t i = 0; i < view->raid_disks; i++) {
		struct metadata_disk *d = &view->disks[i];

		if (d->dev_number != number || d->state == METADATA_DISK_FAULTY)
			continue;
		d->state = METADATA_DISK_MISSING;
		d->is_elsewhere = true;
	}
}

/* What a node writes is on those disks alone that it writes to. */
void rig_disks_written(struct rig_plane *p, uint64_t mask)
{
	struct rig_disks *d = &p->rig->disks;

	for (uint32_t i = 0; i < d->disks; i++)
		if (p->told[i] != METADATA_DISK_IN_SYNC && p->told[i] != METADATA_DISK_REBUILD)
			d->missing[i] |= mask;
}

/* A window is copied to the disks that are rebuilt here. */
void rig_disks_copied(struct rig_plane *p, uint64_t mask)
{
	struct rig_disks *d = &p->rig->disks;

	for (uint32_t i = 0; i < d->disks; i++)
		if (p->told[i] == METADATA_DISK_REBUILD)
			d->missing[i] &= ~mask;
}

/* Of who died: it may be on some disks, and not on others. */
void rig_disks_torn(struct rig_plane *p, uint64_t mask)
{
	struct rig_disks *d = &p->rig->disks;

	for (uint32_t i = 0; i < d->disks; i++)
		if (d->state[i] != METADATA_DISK_IN_SYNC)
			d->missing[i] |= mask;
}
