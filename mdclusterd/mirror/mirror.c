/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mirror's life, and that of an io from volume_submit() to done(). What lies between
 * is told at the head of mirror_private.h.
 */
#include "mdclusterd/mirror/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/err.h"
#include "mdclusterd/mirror/mirror_private.h"

enum {
	OWN_TRANSFERS_MIN = 8,
	OWN_TRANSFERS_MAX = 32,
	OPTIMAL_BYTES = 4096,
	MOST_BLOCK_BYTES = 64 << 10,
};

static const uint64_t default_hang_ns = 30 * NS_PER_S;

uint64_t mirror_now(struct mirror *m)
{
	m->now_ns = m->ops.now(m->owner);
	return m->now_ns;
}

uint64_t mirror_block_sectors(const struct mirror *m)
{
	uint32_t role, bytes = m->volume.block_bytes;

	for (role = 0; role < m->map.disks; role++)
		if (m->disks[role].disk)
			bytes = (uint32_t)max_u64(
				bytes, m->disks[role].disk->topology.physical_block_bytes);
	return min_u64(bytes, MOST_BLOCK_BYTES) >> SECTOR_SHIFT;
}

/* --- an io ------------------------------------------------------------------------------ */

uint64_t io_end(const struct mirror_io *mi)
{
	return (mi->io.offset_bytes + mi->io.length_bytes) >> SECTOR_SHIFT;
}

/* Of what is in hand at once, from `low` on. */
uint64_t io_slice_end(const struct mirror_io *mi, uint64_t low)
{
	if (mi->io.op != VOLUME_ZERO && mi->io.op != VOLUME_TRIM)
		return io_end(mi);
	return min_u64(io_end(mi), round_down(low, ZERO_SLICE_SECTORS) +
					   ZERO_SLICE_SECTORS);
}

struct transfer *io_transfer(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	struct transfer *t;

	if (mi->own_free != 0) {
		t = &mi->own[__builtin_ctz(mi->own_free)];
		mi->own_free &= mi->own_free - 1;
		t->is_pooled = false;
	} else {
		if (qb_list_empty(&m->pool))
			return NULL;
		t = qb_list_first_entry(&m->pool, struct transfer, link);
		qb_list_del(&t->link);
		t->is_pooled = true;
	}
	t->owner = mi;
	t->back = io_transfer_back;
	return t;
}

void io_transfer_free(struct mirror_io *mi, struct transfer *t)
{
	if (t->is_pooled)
		qb_list_add(&t->link, &mi->m->pool);
	else
		mi->own_free |= 1u << (t - mi->own);
}

/* The last thing that the mirror does with it. */
static void let_go(struct mirror_io *mi)
{
	struct mirror *m = mi->m;

	m->ios--;
	if (mi->io.is_held)
		mi->io.released(&mi->io);
	mirror_check_stop(m);
}

void io_transfer_back(struct transfer *t)
{
	struct mirror_io *mi = t->owner;

	io_transfer_free(mi, t);
	mi->lost--;
	if (mi->lost > 0)
		return;
	write_all_back(mi);
	if (mi->state == IO_FINISHED && mi->io.is_held)
		let_go(mi);
}

void io_report(struct mirror_io *mi)
{
	struct mirror *m = mi->m;
	bool is_held = mi->lost > 0;
	enum volume_op op = mi->io.op;

	mi->state = IO_FINISHED;
	m->ios_done[op]++;
	m->bytes_done[op] += mi->io.length_bytes;
	if (mi->result < 0)
		m->ios_failed++;
	if (op == VOLUME_WRITE)
		latency_add(&m->latency, m->now_ns, m->now_ns - mi->began_ns);
	mi->io.is_held = is_held;
	m->reports--;
	if (!is_held)
		m->ios--;
	mi->io.done(&mi->io, mi->result);
	mirror_check_stop(m);
}

void io_finish_later(struct mirror_io *mi, int result)
{
	mi->result = result;
	mi->state = IO_FINISHED;
	qb_list_add_tail(&mi->io.link, &mi->m->finished);
}

static int check_io(const struct volume *v, const struct volume_io *io)
{
	if ((unsigned int)io->op >= VOLUME_OPS)
		return -EINVAL;
	if (io->op == VOLUME_FLUSH)
		return io->length_bytes == 0 ? 0 : -EINVAL;
	if (io->length_bytes == 0 || io->offset_bytes % v->block_bytes != 0 ||
	    io->length_bytes % v->block_bytes != 0)
		return -EINVAL;
	if (io->offset_bytes > v->size_bytes ||
	    io->length_bytes > v->size_bytes - io->offset_bytes)
		return -EINVAL;
	if (io->op == VOLUME_TRIM || io->op == VOLUME_ZERO)
		return 0;
	return io->buffer && io->length_bytes <= v->max_bytes ? 0 : -EINVAL;
}

/* Field by field: its transfers are set up when they are taken. */
static void io_init(struct mirror *m, struct mirror_io *mi)
{
	mi->m = m;
	mi->state = IO_NEW;
	mi->seq = m->io_seq++;
	mi->began_ns = mirror_now(m);
	mi->job.is_on = false;
	mi->change = (struct change){ 0 };
	mi->change.range.low = mi->io.offset_bytes >> SECTOR_SHIFT;
	mi->change.range.high = io_slice_end(mi, mi->change.range.low);
	mi->has_intent = false;
	mi->has_written = mi->is_cut = false;
	mi->next = mi->change.range.low;
	mi->awaited = 0;
	mi->lost = 0;
	mi->bad = 0;
	mi->failed = 0;
	mi->keeps_region = false;
	mi->is_flushed = false;
	mi->is_out_of_space = false;
	mi->result = 0;
	mi->own_free = UINT32_MAX >> (32 - m->own_transfers);
	mi->io.is_held = false;
}

static int submit(struct volume *volume, struct volume_io *io)
{
	struct mirror *m = (struct mirror *)volume;
	struct mirror_io *mi = mirror_io_of(io);

	if (check_io(volume, io) < 0)
		return -EINVAL;
	io_init(m, mi);
	m->ios++;
	m->reports++;
	m->last_io_ns = m->now_ns;
	if (m->is_stopping)
		io_finish_later(mi, -ESHUTDOWN);
	else if (io->op == VOLUME_FLUSH)
		flush_join(mi);
	else if (io->op == VOLUME_READ)
		read_begin(mi);
	else if (volume->is_read_only)
		io_finish_later(mi, -EPERM);
	else if (zero_is_nothing(mi))
		io_finish_later(mi, 0);
	else
		change_admit(mi);
	return 0;
}

static const struct volume_ops volume_ops = { .submit = submit };

/* --- jobs: what goes by the disks' states ------------------------------------------------ */

void job_begin(struct mirror *m, struct job *job)
{
	job->seq = m->job_seq++;
	job->is_on = true;
	qb_list_add_tail(&job->link, &m->jobs);
}

void job_end(struct mirror *m, struct job *job)
{
	uint32_t role;

	if (!job->is_on)
		return;
	job->is_on = false;
	qb_list_del(&job->link);
	for (role = 0; role < m->map.disks; role++)
		disk_check_request(m, role);
}

void mirror_answer(struct mirror *m, struct mirror_request *req, int result)
{
	if (!req)
		return;
	req->result = result;
	qb_list_add_tail(&req->link, &m->answers);
}

static void deliver_answers(struct mirror *m)
{
	while (!qb_list_empty(&m->answers)) {
		struct mirror_request *req = qb_list_first_entry(
			&m->answers, struct mirror_request, link);

		qb_list_del(&req->link);
		req->done(req->owner, req, req->result);
	}
}

static void deliver_finished(struct mirror *m)
{
	while (!qb_list_empty(&m->finished)) {
		struct volume_io *io = qb_list_first_entry(
			&m->finished, struct volume_io, link);

		qb_list_del(&io->link);
		io_report(mirror_io_of(io));
	}
}

/* --- time --------------------------------------------------------------------------------- */

void mirror_advance(struct mirror *m, uint64_t now)
{
	m->now_ns = max_u64(m->now_ns, now);
	failure_check_hangs(m);
	transfer_deliver_refused(m);
	failure_tell(m);
	unreadable_tell(m);
	gate_check_drains(m);
	sync_run(m);
	mirror_sync_deliver(m);
	deliver_finished(m);
	mirror_check_stop(m);
	deliver_answers(m);
}

static bool is_something_due(const struct mirror *m)
{
	return !qb_list_empty(&m->finished) || !qb_list_empty(&m->refused) ||
	       !qb_list_empty(&m->answers) || m->untold != 0;
}

uint64_t mirror_deadline(const struct mirror *m)
{
	uint64_t at = min_u64(mirror_sync_deadline(m), unreadable_deadline(m));
	uint32_t role;

	if (is_something_due(m))
		return 0;
	for (role = 0; role < m->map.disks; role++) {
		const struct qb_list_head *list = &m->disks[role].in_flight;

		if (!qb_list_empty(list))
			at = min_u64(at, qb_list_first_entry(list, struct transfer,
							     link)->since_ns +
						 failure_hang_ns(m, m->disks[role].state));
	}
	if (!qb_list_empty(&m->drains))
		at = min_u64(at, m->now_ns + NS_PER_S / 1000);
	return at;
}

/* --- the end ------------------------------------------------------------------------------ */

static void end_parked(struct qb_list_head *list)
{
	while (!qb_list_empty(list)) {
		struct volume_io *io =
			qb_list_first_entry(list, struct volume_io, link);

		qb_list_del(&io->link);
		io_finish_later(mirror_io_of(io), -ESHUTDOWN);
	}
}

/* Its memory is ours. */
static bool has_hung_flush(const struct mirror *m)
{
	for (uint32_t role = 0; role < m->map.disks; role++)
		if (m->disks[role].is_flush_out)
			return true;
	return m->left_flushes > 0;
}

void mirror_check_stop(struct mirror *m)
{
	struct mirror_request *req = m->stop_request;

	if (!req || m->ios > 0 || m->sync || m->is_flushing || m->changes_on_disks > 0 ||
	    !qb_list_empty(&m->left_pieces) || m->left_syncs > 0 || has_hung_flush(m))
		return;
	m->stop_request = NULL;
	mirror_answer(m, req, 0);
}

void mirror_stop(struct mirror *m, struct mirror_request *req)
{
	mirror_now(m);
	m->is_stopping = true;
	m->stop_request = req;
	sync_stop(m);
	write_fail_waiting(m, -ESHUTDOWN); /* nothing of them is on a disk */
	end_parked(&m->parked_gate);
	end_parked(&m->parked_suspended);
	failure_end_held(m);
	mirror_check_stop(m);
}

/* --- the beginning ------------------------------------------------------------------------ */

static int check_disk(const struct mirror_config *config, uint32_t role, struct err *err)
{
	const struct disk *disk = config->disks[role].disk;
	uint64_t sectors;

	if (!disk)
		return 0;
	sectors = disk_sectors(disk);
	if (config->disks[role].data_offset > sectors ||
	    config->member_sectors > sectors - config->disks[role].data_offset)
		return err_set(err, -EINVAL,
			       "%s: %" PRIu64 " sectors of data at %" PRIu64
			       " do not fit in %" PRIu64,
			       disk->name, config->member_sectors,
			       config->disks[role].data_offset, sectors);
	return 0;
}

static void init_volume(struct mirror *m)
{
	uint32_t role;

	m->volume.ops = &volume_ops;
	m->volume.block_bytes = 1u << SECTOR_SHIFT;
	for (role = 0; role < m->map.disks; role++)
		if (m->disks[role].disk &&
		    m->disks[role].disk->topology.logical_block_bytes >
			    m->volume.block_bytes)
			m->volume.block_bytes =
				m->disks[role].disk->topology.logical_block_bytes;
	m->volume.size_bytes = round_down(m->map.sectors << SECTOR_SHIFT,
					  m->volume.block_bytes);
	m->volume.has_trim = true;
	for (role = 0; role < m->map.disks; role++)
		if (m->disks[role].disk &&
		    !m->disks[role].disk->topology.has_discard)
			m->volume.has_trim = false;
	m->volume.optimal_bytes = OPTIMAL_BYTES;
	if (m->map.is_striped)
		m->volume.optimal_bytes =
			(uint32_t)max_u64(OPTIMAL_BYTES, m->map.chunk_sectors
								 << SECTOR_SHIFT);
	m->volume.max_bytes = MIRROR_MAX_IO_BYTES;
	m->volume.io_bytes = sizeof(struct mirror_io) +
			     m->own_transfers * sizeof(struct transfer);
}

static void init_disks(struct mirror *m, const struct mirror_config *config)
{
	uint32_t role;

	for (role = 0; role < MIRROR_MAX_DISKS; role++) {
		struct mirror_disk *d = &m->disks[role];

		QB_INIT_LIST_HEAD(&d->in_flight);
		if (role >= m->map.disks || !config->disks[role].disk)
			continue;
		d->disk = config->disks[role].disk;
		d->start_bytes = config->disks[role].data_offset << SECTOR_SHIFT;
		d->is_rotational = config->disks[role].is_rotational;
		d->state = MIRROR_DISK_IN_SYNC;
	}
	disks_changed(m);
}

static void init_lists(struct mirror *m)
{
	QB_INIT_LIST_HEAD(&m->turns);
	QB_INIT_LIST_HEAD(&m->jobs);
	QB_INIT_LIST_HEAD(&m->parked_gate);
	QB_INIT_LIST_HEAD(&m->parked_suspended);
	QB_INIT_LIST_HEAD(&m->waiting_intent);
	QB_INIT_LIST_HEAD(&m->held);
	QB_INIT_LIST_HEAD(&m->finished);
	QB_INIT_LIST_HEAD(&m->refused);
	QB_INIT_LIST_HEAD(&m->answers);
	QB_INIT_LIST_HEAD(&m->drains);
	QB_INIT_LIST_HEAD(&m->flush_next);
	QB_INIT_LIST_HEAD(&m->flush_now);
	QB_INIT_LIST_HEAD(&m->pool);
	QB_INIT_LIST_HEAD(&m->spare_pieces);
	QB_INIT_LIST_HEAD(&m->left_pieces);
}

static bool init_pool(struct mirror *m)
{
	size_t i;

	m->pool_memory = calloc(POOL_TRANSFERS, sizeof(*m->pool_memory));
	if (!m->pool_memory)
		return false;
	for (i = 0; i < POOL_TRANSFERS; i++)
		qb_list_add_tail(&m->pool_memory[i].link, &m->pool);
	for (i = 0; i < m->map.disks; i++) {
		m->disks[i].flush = calloc(1, sizeof(*m->disks[i].flush));
		if (!m->disks[i].flush)
			return false;
	}
	return true;
}

struct mirror *mirror_new(const struct mirror_config *config,
			  const struct mirror_ops *ops, void *owner, struct err *err)
{
	struct mirror *m = calloc(1, sizeof(*m));
	uint32_t role;

	if (!m) {
		err_nomem(err, "a mirror");
		return NULL;
	}
	init_lists(m);
	if (map_init(&m->map, config, err) < 0)
		goto fail;
	for (role = 0; role < m->map.disks; role++)
		if (check_disk(config, role, err) < 0)
			goto fail;
	if (!init_pool(m)) {
		err_nomem(err, "a mirror's requests");
		goto fail;
	}
	m->ops = *ops;
	m->owner = owner;
	m->intent = config->intent;
	m->bitmap_chunk_sectors = config->bitmap_chunk_sectors;
	m->hang_ns = config->hang_ns ? config->hang_ns : default_hang_ns;
	m->fails_when_shut = config->fails_when_shut;
	m->max_read_errors = config->max_read_errors;
	m->own_transfers = (uint32_t)min_u64(
		max_u64(m->map.disks, OWN_TRANSFERS_MIN), OWN_TRANSFERS_MAX);
	init_disks(m, config);
	init_volume(m);
	return m;
fail:
	mirror_free(m);
	return NULL;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	mirror_sync_free(m);
	for (uint32_t role = 0; role < m->map.disks; role++)
		free(m->disks[role].flush);
	free(m->pool_memory);
	free(m);
}

struct volume *mirror_volume(struct mirror *m)
{
	return &m->volume;
}
