/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plane as a model: what mirror and intent promise of one node's writes. */
#include "tests/unit/array_rig_private.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"

uint64_t rig_chunks(uint64_t low, uint64_t high)
{
	uint64_t first = low / RIG_CHUNK_SECTORS;
	uint64_t end = div_round_up(high, RIG_CHUNK_SECTORS);
	uint64_t mask = 0;

	for (uint64_t c = first; c < end && c < ARRAY_RIG_CHUNKS; c++)
		mask |= UINT64_C(1) << c;
	return mask;
}

static uint64_t *own_slot(struct rig_plane *p)
{
	return &p->rig->disks.slots[p->slot];
}

static uint64_t writing_mask(const struct rig_plane *p)
{
	uint64_t mask = 0;

	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		if (p->writing[c])
			mask |= UINT64_C(1) << c;
	return mask;
}

static bool is_degraded(const struct rig_plane *p)
{
	for (uint32_t i = 0; i < p->rig->disks.disks; i++)
		if (p->told[i] != METADATA_DISK_IN_SYNC)
			return true;
	return false;
}

/* --- posts -------------------------------------------------------------------------------- */

static void set_gate(struct plane *plane, bool is_open)
{
	container_of(plane, struct rig_plane, base)->is_gate_open = is_open;
}

static void set_single_source(struct plane *plane, bool is_on)
{
	container_of(plane, struct rig_plane, base)->is_single = is_on;
}

/* It stays in use: its errors are its clients'. */
static bool is_last(const struct array_rig *rig, uint32_t role)
{
	for (uint32_t i = 0; i < rig->disks.disks; i++)
		if ((rig->disks.state[i] == METADATA_DISK_IN_SYNC) != (i == role))
			return false;
	return true;
}

static void failure_known(struct plane *plane, uint32_t role)
{
	struct rig_plane *p = container_of(plane, struct rig_plane, base);

	for (int i = 1; i <= p->rig->count && !is_last(p->rig, role); i++) {
		const struct rig_plane *other = &p->rig->nodes[i].plane;

		/* who stops has drained: it writes no more data */
		if (other->is_started && !rig_is_out(p->rig, i) &&
		    !array_rig_asked(p->rig, i, PLANE_STOP) &&
		    other->told[role] == METADATA_DISK_IN_SYNC)
			fail_msg("node %d lets writes go, node %d uses disk %u", p->node, i,
				 role); /* D9 */
	}
	p->known |= 1u << role;
	if (p->failing >> role & 1)
		p->told[role] = METADATA_DISK_MISSING;
	p->failing &= ~(1u << role);
}

static void set_speed(struct plane *plane, uint64_t max_bytes)
{
	struct rig_plane *p = container_of(plane, struct rig_plane, base);

	p->max_speed = max_bytes;
}

static void cancel_sync(struct plane *plane)
{
	struct rig_plane *p = container_of(plane, struct rig_plane, base);

	for (size_t i = 0; i < p->count; i++)
		p->is_cancelled |= p->asks[i].req->op == PLANE_SYNC;
}

static void submit(struct plane *plane, struct plane_request *req)
{
	struct rig_plane *p = container_of(plane, struct rig_plane, base);

	assert_true(p->count < ARRAY_RIG_ASKS);
	assert_non_null(req->done);
	if (req->op == PLANE_SYNC)
		for (size_t i = 0; i < p->count; i++)
			assert_int_not_equal(p->asks[i].req->op, PLANE_SYNC);
	p->asks[p->count++] = (struct rig_ask){ req, false };
}

static const struct plane_ops ops = {
	.submit = submit,
	.set_gate = set_gate,
	.set_single_source = set_single_source,
	.failure_known = failure_known,
	.set_speed = set_speed,
	.cancel_sync = cancel_sync,
};

/* --- V5: what one copies no other writes ---------------------------------------------------- */

static void check_sync_alone(struct rig_plane *p, const struct plane_request *req)
{
	uint64_t mask = rig_chunks(req->low, req->high);

	for (int i = 1; i <= p->rig->count; i++) {
		struct rig_plane *other = &p->rig->nodes[i].plane;

		if (i == p->node || !other->is_started || rig_is_out(p->rig, i))
			continue;
		if (writing_mask(other) & mask)
			fail_msg("node %d copies what node %d writes", p->node, i);
		if (!other->is_gate_open)
			continue;
		if (other->suspended[p->slot].low > req->low ||
		    other->suspended[p->slot].high < req->high)
			fail_msg("node %d copies what node %d has not suspended", p->node, i);
	}
}

/* --- D9: what one does without no other reads -------------------------------------------------- */

static bool serves(const struct rig_plane *p)
{
	return p->is_started && p->is_gate_open && !rig_is_out(p->rig, p->node);
}

/* Who has no disk has no writes that are done. */
static bool has_disk(const struct rig_plane *p)
{
	for (uint32_t i = 0; i < p->rig->disks.disks; i++)
		if (p->told[i] == METADATA_DISK_IN_SYNC)
			return true;
	return false;
}

static void check_disks(const struct rig_plane *p)
{
	for (uint32_t role = 0; role < p->rig->disks.disks && serves(p) && has_disk(p); role++) {
		if (p->told[role] == METADATA_DISK_IN_SYNC ||
		    p->told[role] == METADATA_DISK_REBUILD || p->failing >> role & 1)
			continue;
		for (int i = 1; i <= p->rig->count; i++) {
			const struct rig_plane *other = &p->rig->nodes[i].plane;

			if (serves(other) && other->told[role] == METADATA_DISK_IN_SYNC &&
			    !(other->failing >> role & 1))
				fail_msg("node %d lets writes go without disk %u, node %d reads "
					 "from it", p->node, role, i);
		}
	}
}

void rig_plane_check(struct rig_plane *p)
{
	check_disks(p);
	for (size_t i = 0; i < p->count; i++)
		if (p->asks[i].is_taken && p->asks[i].req->op == PLANE_SYNC &&
		    p->is_gate_open)
			check_sync_alone(p, p->asks[i].req);
}

static void check_write_alone(struct rig_plane *p, int chunk)
{
	for (int i = 1; i <= p->rig->count; i++) {
		struct rig_plane *other = &p->rig->nodes[i].plane;

		if (i == p->node || !other->is_started || rig_is_out(p->rig, i))
			continue;
		for (size_t j = 0; j < other->count; j++) {
			const struct plane_request *req = other->asks[j].req;

			if (req->op == PLANE_SYNC && other->asks[j].is_taken &&
			    rig_chunks(req->low, req->high) >> chunk & 1)
				fail_msg("node %d writes what node %d copies", p->node, i);
		}
	}
}

/* --- requests: taken in order, done in any --------------------------------------------------- */

static void take_need(struct rig_plane *p, const struct plane_request *req)
{
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		if (req->bits[c / 8] >> c % 8 & 1)
			*own_slot(p) |= UINT64_C(1) << c;
}

static void take(struct rig_plane *p, struct plane_request *req)
{
	switch (req->op) {
	case PLANE_SUSPEND:
		p->suspended[req->slot].low = req->low;
		p->suspended[req->slot].high = req->high;
		p->biggest_suspended = max_u64(p->biggest_suspended, req->high - req->low);
		break;
	case PLANE_DRAIN:
		p->is_gate_open = false;
		break;
	case PLANE_SYNC:
		assert_true(p->is_started && req->low < req->high);
		p->syncs++;
		check_sync_alone(p, req);
		break;
	case PLANE_NEED:
		if (p->fail_need == 0 && !rig_is_out(p->rig, p->node))
			take_need(p, req);
		break;
	case PLANE_SET_DISK:
		if (p->told[req->role] == METADATA_DISK_IN_SYNC &&
		    req->view->disks[req->role].state != METADATA_DISK_IN_SYNC)
			p->failing |= 1u << req->role;
		break;
	default:
		break;
	}
}

/* Its pieces there wait until that range is gone. */
static bool is_under_others(const struct rig_plane *p, const struct plane_request *req)
{
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (p->suspended[i].low < req->high && req->low < p->suspended[i].high)
			return true;
	return false;
}

static bool can_finish(const struct rig_plane *p, const struct plane_request *req)
{
	uint64_t writing = writing_mask(p);

	switch (req->op) {
	case PLANE_SUSPEND:
		return req->high == 0 || !(writing & rig_chunks(req->low, req->high));
	case PLANE_DRAIN:
		return writing == 0;
	case PLANE_SYNC:
		return (p->is_gate_open && !p->holds_sync && !is_under_others(p, req)) ||
		       p->is_cancelled;
	case PLANE_STOP:
		return p->count == 1;
	case PLANE_SET_DISK:
		return !p->holds_set_disk;
	case PLANE_START:
		return !p->holds_start;
	default:
		return true;
	}
}

static int start(struct rig_plane *p, struct plane_request *req)
{
	if (p->fail_start > 0) {
		p->fail_start--;
		return err_set(&req->err, -ENOMEM, "no memory to start");
	}
	p->is_started = true;
	p->slot = req->slot;
	p->changes = req->view->member_sectors - req->view->sync_size;
	for (uint32_t i = 0; i < p->rig->disks.disks; i++)
		p->told[i] = req->view->disks[i].state == METADATA_DISK_IN_SYNC ?
				     METADATA_DISK_IN_SYNC : METADATA_DISK_MISSING;
	p->needed = *own_slot(p);
	memset(p->suspended, 0, sizeof(p->suspended));
	req->needed_chunks = (uint64_t)__builtin_popcountll(p->needed);
	return 0;
}

static int need(struct rig_plane *p, struct plane_request *req)
{
	if (p->fail_need > 0) {
		p->fail_need--;
		return err_set(&req->err, -ENOMEM, "no memory for what is needed");
	}
	if (rig_is_out(p->rig, p->node))
		return err_set(&req->err, -ESHUTDOWN, "the lease is over");
	take_need(p, req);
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		if (req->bits[c / 8] >> c % 8 & 1)
			p->needed |= UINT64_C(1) << c;
	return 0;
}

static int window(struct rig_plane *p, struct plane_request *req)
{
	uint64_t most = max_u64(1, req->bytes / RIG_CHUNK_BYTES), low, end;
	uint64_t from = div_round_up(req->low, RIG_CHUNK_SECTORS);

	for (low = from; low < ARRAY_RIG_CHUNKS && !(p->needed >> low & 1); low++)
		;
	for (end = low; end < ARRAY_RIG_CHUNKS && end < low + most && p->needed >> end & 1;)
		end++;
	req->low = low * RIG_CHUNK_SECTORS;
	req->high = end * RIG_CHUNK_SECTORS;
	req->was_busy = p->is_busy;
	if (end == low)
		req->low = req->high = 0;
	return 0;
}

static int finish_sync(struct rig_plane *p, struct plane_request *req)
{
	uint64_t mask = rig_chunks(req->low, req->high);
	int r = 0;

	if (p->is_cancelled) {
		p->is_cancelled = false;
		return err_set(&req->err, -ECANCELED, "cancelled");
	}
	if (p->fail_sync > 0) {
		p->fail_sync--;
		return err_set(&req->err, -EIO, "cannot be read");
	}
	check_sync_alone(p, req);
	req->took_ns = p->sync_ns ? p->sync_ns : 1000000;
	req->write_p99_ns = p->write_p99_ns;
	req->was_busy = p->is_busy;
	req->position = req->high;
	p->last_sync = req->high - req->low;
	p->biggest_sync = max_u64(p->biggest_sync, p->last_sync);
	if (req->kind == PLANE_CHECK || req->kind == PLANE_REPAIR)
		p->rig->nodes[p->node].checked |= mask;
	if (req->kind == PLANE_CHECK) {
		req->mismatch_sectors = (uint64_t)__builtin_popcountll(
			p->rig->disks.differ & mask);
		return 0;
	}
	if (req->kind == PLANE_REBUILD && mask & p->unread)
		return err_set(&req->err, -ENODATA, "8 sectors, from sector 4711 on, can be read on no disk");
	if (req->kind != PLANE_REBUILD) {
		if (p->needed & mask & p->unread)
			r = err_set(&req->err, -EIO, "no disk can read it");
		mask &= ~p->unread;
	}
	p->synced_chunks += req->kind == PLANE_REBUILD ? 0 :
			    (uint64_t)__builtin_popcountll(p->needed & mask);
	p->copies += req->kind == PLANE_COPY;
	p->compares += req->kind == PLANE_COMPARE;
	if (req->kind == PLANE_REBUILD) {
		rig_disks_copied(p, mask);
		p->rebuilt |= mask;
		req->copied_sectors = req->high - req->low;
		return 0;
	}
	if (req->kind != PLANE_REPAIR)
		mask &= p->needed;
	rig_disks_copied(p, mask);
	req->copied_sectors = RIG_CHUNK_SECTORS *
			      (uint64_t)__builtin_popcountll(
				      req->kind == PLANE_COPY ? mask : p->rig->disks.differ & mask);
	p->rig->disks.differ &= ~mask;
	p->rig->disks.synced |= mask & ~writing_mask(p);
	p->needed &= ~mask;
	if (!is_degraded(p))
		*own_slot(p) &= ~(mask & ~writing_mask(p));
	return r;
}

static int stop(struct rig_plane *p, const struct plane_request *req)
{
	p->is_stopped_lost = req->is_lost;
	if (!req->is_lost && !is_degraded(p) && !rig_is_out(p->rig, p->node))
		*own_slot(p) &= p->needed;
	p->is_started = p->is_serving = false;
	p->needed = p->failing = 0;
	return 0;
}

static int set_disk(struct rig_plane *p, struct plane_request *req)
{
	const struct metadata_disk *d = &req->view->disks[req->role];
	bool comes = d->state == METADATA_DISK_REBUILD &&
		     p->told[req->role] != METADATA_DISK_IN_SYNC &&
		     p->told[req->role] != METADATA_DISK_REBUILD;

	if (comes && p->fail_set_disk > 0) {
		p->fail_set_disk--;
		return err_set(&req->err, -EIO, "the disk cannot be opened");
	}
	p->told[req->role] = d->state;
	if (comes && d->is_by_bitmap)
		p->needed |= *own_slot(p);
	return 0;
}

static int finish(struct rig_plane *p, struct plane_request *req)
{
	int r = 0;

	switch (req->op) {
	case PLANE_START:
		return start(p, req);
	case PLANE_SERVE:
		p->is_serving = true;
		break;
	case PLANE_NEED:
		r = need(p, req);
		break;
	case PLANE_SUSPEND:
		if (p->fail_suspend > 0) {
			p->fail_suspend--;
			r = err_set(&req->err, -ENOMEM, "no memory to suspend");
		}
		break;
	case PLANE_SET_DISK:
		r = set_disk(p, req);
		break;
	case PLANE_WINDOW:
		r = window(p, req);
		break;
	case PLANE_SYNC:
		r = finish_sync(p, req);
		break;
	case PLANE_STOP:
		return stop(p, req);
	case PLANE_EVENTS:
	case PLANE_DRAIN:
	case PLANE_LOOK:
	case PLANE_OPS:
		break;
	}
	req->needed_chunks = (uint64_t)__builtin_popcountll(p->needed);
	return r;
}

/* The one that a draw chooses: what can be finished, or -1: the oldest is taken; -2: none. */
static int choose(const struct rig_plane *p)
{
	uint64_t n = 0;
	int chosen = -2;

	for (size_t i = 0; i < p->count; i++) {
		if (!p->asks[i].is_taken) {
			if (array_rig_random(p->rig) % ++n == 0)
				chosen = -1;
			break;
		}
		if (can_finish(p, p->asks[i].req) && array_rig_random(p->rig) % ++n == 0)
			chosen = (int)i;
	}
	return chosen;
}

bool rig_plane_can_step(const struct rig_plane *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!p->asks[i].is_taken || can_finish(p, p->asks[i].req))
			return true;
	return false;
}

bool rig_plane_step(struct rig_plane *p)
{
	int chosen = choose(p);
	struct plane_request *req;
	int r;

	if (chosen == -2)
		return false;
	if (chosen == -1) {
		for (size_t i = 0; i < p->count; i++)
			if (!p->asks[i].is_taken) {
				p->asks[i].is_taken = true;
				take(p, p->asks[i].req);
				break;
			}
		return true;
	}
	req = p->asks[chosen].req;
	memmove(&p->asks[chosen], &p->asks[chosen + 1],
		(p->count - (size_t)chosen - 1) * sizeof(p->asks[0]));
	p->count--;
	r = finish(p, req);
	req->done(req->owner, req, r);
	return true;
}

struct plane_request *array_rig_asked(struct array_rig *rig, int node, enum plane_op op)
{
	struct rig_plane *p = &rig->nodes[node].plane;

	for (size_t i = 0; i < p->count; i++)
		if (p->asks[i].req->op == op)
			return p->asks[i].req;
	return NULL;
}

void array_rig_cannot_read(struct array_rig *rig, int node, int chunk)
{
	struct rig_plane *p = &rig->nodes[node].plane;

	if (!p->is_started || rig_is_out(rig, node))
		return;
	*own_slot(p) |= UINT64_C(1) << chunk;
	p->needed |= UINT64_C(1) << chunk;
	p->base.handlers->needs(p->base.owner, (uint64_t)__builtin_popcountll(p->needed));
}

void array_rig_disk_fails(struct array_rig *rig, int node, uint32_t role)
{
	struct rig_plane *p = &rig->nodes[node].plane;
	struct err err = ERR_INIT;

	if (!p->is_started || p->told[role] != METADATA_DISK_IN_SYNC || p->failing >> role & 1)
		return;
	p->failing |= 1u << role;
	err_set(&err, -EIO, "disk%u: write at sector 8: Input/output error", role);
	p->base.handlers->disk_failed(p->base.owner, role, &err);
}

/* --- writes of applications ------------------------------------------------------------------- */

bool array_rig_write(struct array_rig *rig, int node, int chunk)
{
	struct rig_plane *p = &rig->nodes[node].plane;
	uint64_t at = (uint64_t)chunk * RIG_CHUNK_SECTORS;

	if (!p->is_started || !p->is_serving || !p->is_gate_open)
		return false;
	for (int i = 0; i < ARRAY_MAX_NODES; i++)
		if (p->suspended[i].low < at + RIG_CHUNK_SECTORS && at < p->suspended[i].high)
			return false;
	check_write_alone(p, chunk);
	*own_slot(p) |= UINT64_C(1) << chunk;
	rig_disks_written(p, UINT64_C(1) << chunk);
	p->writing[chunk]++;
	return true;
}

void array_rig_written(struct array_rig *rig, int node, int chunk)
{
	struct rig_plane *p = &rig->nodes[node].plane;

	assert_true(p->writing[chunk] > 0);
	p->writing[chunk]--;
}

void array_rig_clear(struct array_rig *rig, int node)
{
	struct rig_plane *p = &rig->nodes[node].plane;

	if (p->is_started && !is_degraded(p))
		*own_slot(p) &= p->needed | writing_mask(p);
}

/* --- life --------------------------------------------------------------------------------------- */

void rig_plane_die(struct rig_plane *p)
{
	p->rig->disks.differ |= writing_mask(p);
	p->rig->disks.synced &= ~writing_mask(p);
	rig_disks_torn(p, writing_mask(p));
	memset(p->writing, 0, sizeof(p->writing));
	p->count = 0;
	p->failing = 0;
	p->is_started = p->is_serving = p->is_gate_open = p->is_single = false;
	p->needed = 0;
}

void rig_plane_init(struct rig_plane *p, struct array_rig *rig, int node)
{
	memset(p, 0, sizeof(*p));
	p->base.ops = &ops;
	p->rig = rig;
	p->node = node;
}
