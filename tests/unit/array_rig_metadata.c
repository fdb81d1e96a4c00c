/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata as a model: one request after the other; what is done may not be told yet. */
#include "tests/unit/array_rig_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"

void rig_view(const struct array_rig *rig, struct metadata_view *view)
{
	const struct rig_disks *d = &rig->disks;
	struct err err = ERR_INIT;

	memset(view, 0, sizeof(*view));
	memset(view->uuid, 0x5c, 16);
	strcpy(view->name, "host:web");
	strcpy(view->cluster, "alpha");
	view->level = 1;
	view->raid_disks = d->disks;
	view->sync_size = (uint64_t)ARRAY_RIG_CHUNKS * RIG_CHUNK_SECTORS;
	/* larger with each change; the bitmap stays what the model has room for */
	view->member_sectors = view->array_sectors = view->sync_size + d->changes;
	view->events = d->events;
	view->resync_offset = d->resync_offset;
	assert_ok(bitmap_geometry_init(&view->geo, view->sync_size, RIG_CHUNK_BYTES, d->nodes,
				       16, &err), err);
	view->disk_count = d->disks;
	for (uint32_t i = 0; i < d->disks; i++) {
		snprintf(view->disks[i].path, sizeof(view->disks[i].path), "disk%u", i);
		view->disks[i].role = view->disks[i].dev_number = i;
		view->disks[i].state = d->state[i];
		view->degraded += d->state[i] != METADATA_DISK_IN_SYNC;
	}
	rig_disks_view(d, view);
}

static bool fails(int *times)
{
	if (*times == 0)
		return false;
	--*times;
	return true;
}

static uint64_t elsewhere(const struct rig_disks *d, uint32_t slot)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < d->nodes; i++)
		if (i != slot)
			bits |= d->slots[i];
	return bits;
}

/* V2: no owner, and nobody else at it. */
static void check_slot_is_free(struct rig_metadata *m, uint32_t slot)
{
	for (int i = 1; i <= m->rig->count; i++) {
		const struct rig_array *n = &m->rig->nodes[i];
		const struct metadata_request *req = n->metadata.queue[0];

		if (rig_is_out(m->rig, i))
			continue;
		if (n->plane.is_started && n->plane.slot == slot)
			fail_msg("node %d is at slot %u, which node %d serves", m->node, slot,
				 i);
		if (i != m->node && n->metadata.count > 0 &&
		    (req->op == METADATA_READ_SLOT || req->op == METADATA_CLEAR_SLOT) &&
		    req->slot == slot)
			fail_msg("nodes %d and %d are both at slot %u", m->node, i, slot);
	}
}

static int read_slot(struct rig_metadata *m, struct metadata_request *req)
{
	uint64_t bits = m->rig->disks.slots[req->slot];

	check_slot_is_free(m, req->slot);
	if (m->fail_read && m->fails_role)
		req->role = m->fails_role;
	if (fails(&m->fail_read))
		return err_set(&req->err, -EIO, "slot %u cannot be read", req->slot);
	req->bits = calloc(1, bits_bytes(ARRAY_RIG_CHUNKS));
	assert_non_null(req->bits);
	memcpy(req->bits, &bits, sizeof(bits));
	req->dirty = (uint64_t)__builtin_popcountll(bits);
	return 0;
}

static int clear_slot(struct rig_metadata *m, struct metadata_request *req)
{
	struct rig_disks *d = &m->rig->disks;
	uint64_t bits;

	check_slot_is_free(m, req->slot);
	memcpy(&bits, req->bits, sizeof(bits));
	if (d->slots[req->slot] & bits & ~elsewhere(d, req->slot) & ~d->synced) /* D3 */
		fail_msg("bits of slot %u are cleared, and stand nowhere else", req->slot);
	if (fails(&m->fail_clear))
		return err_set(&req->err, -EIO, "slot %u cannot be cleared", req->slot);
	d->slots[req->slot] &= ~bits;
	return 0;
}

static int activate(struct rig_metadata *m, struct metadata_request *req)
{
	struct rig_disks *d = &m->rig->disks;

	if (fails(&m->fail_activate))
		return err_set(&req->err, -EIO, "the superblocks cannot be written");
	if (m->lacks_role && d->state[m->lacks_role] == METADATA_DISK_IN_SYNC) {
		d->state[m->lacks_role] = METADATA_DISK_FAULTY;
		d->events++;
	}
	if (d->resync_offset == 0)
		return 0;
	for (int i = 1; i <= m->rig->count; i++)
		assert_false(m->rig->nodes[i].plane.is_started); /* D11 */
	if (d->resync_offset == UINT64_MAX)
		memset(d->slots, 0, sizeof(d->slots));
	d->resync_offset = 0;
	d->events++;
	return 0;
}

static int fail_disk(struct rig_metadata *m, struct metadata_request *req)
{
	if (fails(&m->fail_fail))
		return err_set(&req->err, -EIO, "the superblocks cannot be written");
	return rig_disk_fail(m->rig, req->role, &req->err);
}

/* What is new is alike nowhere: its bit is in the slot of who changes it. */
static int change(struct rig_metadata *m, struct metadata_request *req)
{
	struct rig_disks *d = &m->rig->disks;
	uint64_t last = UINT64_C(1) << (ARRAY_RIG_CHUNKS - 1);

	for (int i = 1; i <= m->rig->count; i++)
		if (m->rig->nodes[i].plane.is_started && !m->rig->is_fenced[i])
			fail_msg("node %d has a plane, and the slots move", i);
	if (fails(&m->fail_change))
		return err_set(&req->err, -EIO, "disk1: the superblock cannot be written");
	assert_true(req->grow->slot < d->nodes);
	d->changes++;
	d->events++;
	d->slots[req->grow->slot] |= last;
	d->differ |= last;
	d->synced &= ~last;
	/* some disks have it, and whoever activates finishes it */
	if (fails(&m->halve_change))
		return err_set(&req->err, -ESHUTDOWN, "disk1: not now");
	return 0;
}

static int run(struct rig_metadata *m, struct metadata_request *req)
{
	int r = 0;

	if (!m->rig->is_cut[m->node] && req->op == METADATA_ACTIVATE)
		m->rig->is_fenced[m->node] = false; /* a member anew */
	/* its lease is over (D13) */
	if (rig_is_out(m->rig, m->node) &&
	    req->op != METADATA_ASSEMBLE && req->op != METADATA_RELOAD &&
	    req->op != METADATA_READ_SLOT && req->op != METADATA_FIND &&
	    req->op != METADATA_FORGET && req->op != METADATA_CLOSE)
		return err_set(&req->err, -ESHUTDOWN, "the lease is over");
	switch (req->op) {
	case METADATA_ASSEMBLE: /* a new life */
		m->rig->is_fenced[m->node] = false;
		break;
	case METADATA_CLOSE:
		break;
	case METADATA_RELOAD:
		if (fails(&m->fail_reload))
			r = err_set(&req->err, -EIO, "the superblocks cannot be read");
		break;
	case METADATA_ACTIVATE:
		r = activate(m, req);
		break;
	case METADATA_READ_SLOT:
		r = read_slot(m, req);
		break;
	case METADATA_CLEAR_SLOT:
		r = clear_slot(m, req);
		break;
	case METADATA_FAIL:
		r = fail_disk(m, req);
		break;
	case METADATA_CHANGE:
		r = change(m, req);
		break;
	default:
		r = rig_disks_run(m, req);
		break;
	}
	if (r == 0 && req->view)
		rig_view(m->rig, req->view);
	if (r == 0 && req->view && m->unsees)
		rig_disks_unsee(req->view, m->unsees);
	if (r == 0 && req->view && m->is_behind)
		req->view->events--;
	return r;
}

bool rig_metadata_step(struct rig_metadata *m)
{
	struct metadata_request *req = m->queue[0];

	if (m->count == 0)
		return false;
	if (!m->is_run) {
		m->result = run(m, req);
		m->is_run = true;
		return true;
	}
	m->is_run = false;
	m->ops[req->op]++;
	memmove(&m->queue[0], &m->queue[1], --m->count * sizeof(m->queue[0]));
	req->done(req->owner, req, m->result);
	return true;
}

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct rig_metadata *m = container_of(runner, struct rig_metadata, base);

	assert_true(m->count < ARRAY_SIZE(m->queue));
	m->queue[m->count++] = req;
}

void rig_metadata_init(struct rig_metadata *m, struct array_rig *rig, int node)
{
	memset(m, 0, sizeof(*m));
	m->base.submit = submit;
	m->rig = rig;
	m->node = node;
}
