/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks in memory, on virtual time, with power cuts: worlds, time and requests.
 *
 * Order. A request draws its completion time when it is submitted. All requests
 * of all disks stand in one list, world->pending, ordered by that time and, among
 * equals, by submission. The only way for time to pass is run_until(), which
 * takes them from its head one by one, and each takes effect on its disk at that
 * moment: so every change of state in a world has its place in one global order.
 * done() runs later, when the disk's own pump comes by; until then the request
 * stands in disk->ready, and its effect is visible to all. A power cut is one
 * point in that order: what took effect before it was in the cache of its disk,
 * what is still pending was in flight.
 *
 * Contents, and what a cut leaves of them, are in disk_mem_store.c, with the
 * invariants M1 to M4.
 *
 * All randomness comes from one source in the order of these events, so a run is
 * repeated by its seed. Out of memory ends the process: this is for tests.
 */
#include "bitmap/disk_mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem_store.h"

enum {
	DEFAULT_MIN_NS = 20000,
	DEFAULT_MAX_NS = 200000,
};

#define NEVER UINT64_MAX

struct disk_world {
	struct mem_chance chance;
	uint64_t now_ns;
	uint64_t min_ns, max_ns;
	uint64_t effects;   /* that took place so far: stamps their order */
	uint64_t changes;   /* submitted so far */
	uint64_t cut_after; /* so many more; or NEVER */
	bool has_power;
	struct qb_list_head disks;
	struct qb_list_head pending;
};

struct mem_disk {
	struct disk disk;
	struct disk_world *world;
	struct mem_store store;
	struct qb_list_head link;  /* in world->disks */
	struct qb_list_head ready; /* mem_req: over, done() not yet called */
	unsigned int fault;        /* enum disk_mem_fault, or'ed */
	uint64_t fault_offset, fault_length;
	uint64_t fail_in; /* changes until one fails; 0: none does */
	uint64_t *unreadable; /* pages, in no order */
	size_t unreadable_count;
};

struct mem_req {
	struct qb_list_head link; /* in world->pending, then disk->ready */
	struct mem_disk *disk;
	struct disk_req *req;
	uint64_t complete_ns;
	uint64_t submitted_at_effect; /* world->effects then, for a flush */
	int result;
};

static struct mem_disk *mem_of(struct disk *disk)
{
	return container_of(disk, struct mem_disk, disk);
}

static const struct mem_disk *mem_of_const(const struct disk *disk)
{
	return container_of(disk, const struct mem_disk, disk);
}

static bool is_change(const struct disk_req *req)
{
	return req->op == DISK_WRITE || req->op == DISK_ZERO ||
	       req->op == DISK_DISCARD;
}

static uint64_t world_latency_ns(struct disk_world *world)
{
	uint64_t span = world->max_ns - world->min_ns;
	uint64_t draw = mem_chance_draw(&world->chance);

	return world->min_ns + (span == UINT64_MAX ? draw : draw % (span + 1));
}

/* Time */

static void req_finish(struct mem_req *mr, int result)
{
	mr->result = result;
	qb_list_add_tail(&mr->link, &mr->disk->ready);
}

/* Of a part alone a drive could not know what to make of the rest. */
static void make_readable(struct mem_disk *mem, uint64_t offset_bytes, uint64_t length_bytes)
{
	for (size_t i = 0; i < mem->unreadable_count;) {
		uint64_t at = mem->unreadable[i] * MEM_PAGE_BYTES;

		if (at >= offset_bytes && at + MEM_PAGE_BYTES <= offset_bytes + length_bytes)
			mem->unreadable[i] = mem->unreadable[--mem->unreadable_count];
		else
			i++;
	}
}

static void change(struct mem_disk *mem, const struct disk_req *req,
		   bool is_durable)
{
	struct disk_world *world = mem->world;

	make_readable(mem, req->offset_bytes, req->length_bytes);
	if (req->op == DISK_WRITE)
		mem_store_write(&mem->store, world->effects, req->offset_bytes,
				req->buffer, req->length_bytes, is_durable);
	else
		mem_store_zero(&mem->store, world->effects, req->offset_bytes,
			       req->length_bytes);
	world->effects++;
}

static void take_effect(struct mem_req *mr)
{
	struct mem_disk *mem = mr->disk;
	const struct disk_req *req = mr->req;

	if (is_change(req))
		change(mem, req, req->is_fua);
	else if (req->op == DISK_FLUSH)
		mem_store_make_durable(&mem->store, mr->submitted_at_effect);
	else if (disk_mem_unreadable_bytes(&mem->disk, req->offset_bytes,
					   req->length_bytes) > 0)
		mr->result = -EIO;
	else
		mem_store_read(&mem->store, req->offset_bytes, req->buffer,
			       req->length_bytes);
}

/* The only place where time passes. */
static void run_until(struct disk_world *world, uint64_t to_ns)
{
	struct mem_req *mr, *next;

	qb_list_for_each_entry_safe(mr, next, &world->pending, link) {
		if (mr->complete_ns > to_ns)
			break;
		world->now_ns = mr->complete_ns;
		qb_list_del(&mr->link);
		if (mr->result == 0)
			take_effect(mr);
		req_finish(mr, mr->result);
	}
	world->now_ns = max_u64(world->now_ns, to_ns);
}

/* After those that complete earlier or, submitted earlier, at the same time. */
static void enqueue(struct disk_world *world, struct mem_req *mr)
{
	struct qb_list_head *at = world->pending.prev;

	while (at != &world->pending &&
	       qb_list_entry(at, struct mem_req, link)->complete_ns >
		       mr->complete_ns)
		at = at->prev;
	qb_list_add(&mr->link, at);
}

static bool is_in_fault(const struct mem_disk *mem, const struct disk_req *req)
{
	unsigned int kind = is_change(req) ? DISK_MEM_FAIL_WRITES :
					     DISK_MEM_FAIL_READS;

	if (req->op == DISK_FLUSH || !(mem->fault & kind))
		return false;
	if (req->offset_bytes < mem->fault_offset)
		return mem->fault_offset - req->offset_bytes < req->length_bytes;
	return req->offset_bytes - mem->fault_offset < mem->fault_length;
}

static bool is_nth_write(struct mem_disk *mem, const struct disk_req *req)
{
	if (!is_change(req) || mem->fail_in == 0)
		return false;
	return --mem->fail_in == 0;
}

static void count_change(struct disk_world *world)
{
	if (!world->has_power)
		return;
	world->changes++;
	if (world->cut_after == 0)
		disk_world_cut_power(world);
}

static int mem_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	struct mem_disk *mem = mem_of(disk);
	struct disk_world *world = mem->world;
	struct mem_req *mr = mem_alloc(sizeof(*mr));

	(void)err;
	mr->disk = mem;
	mr->req = req;
	mr->submitted_at_effect = world->effects; /* M3 */
	if (is_change(req))
		count_change(world);
	if (!world->has_power) {
		req_finish(mr, -ENODEV);
		return 0;
	}
	if (is_in_fault(mem, req))
		mr->result = -EIO;
	if (is_nth_write(mem, req))
		mr->result = -EIO;
	mr->complete_ns = world->now_ns + world_latency_ns(world);
	enqueue(world, mr);
	if (is_change(req) && world->cut_after != NEVER &&
	    --world->cut_after == 0)
		disk_world_cut_power(world);
	return 0;
}

/* What done() submits is for the next time. */
static int deliver(struct mem_disk *mem)
{
	int ran = 0, n = qb_list_length(&mem->ready);

	/* done() may pump as well, and take some away */
	while (ran < n && !qb_list_empty(&mem->ready)) {
		struct mem_req *mr = qb_list_first_entry(
			&mem->ready, struct mem_req, link);
		struct disk_req *req = mr->req;
		int result = mr->result;

		qb_list_del(&mr->link);
		free(mr);
		disk_complete(&mem->disk, req, result);
		ran++;
	}
	return ran;
}

static const struct mem_req *first_pending(const struct mem_disk *mem)
{
	const struct mem_req *mr;

	qb_list_for_each_entry(mr, &mem->world->pending, link)
		if (mr->disk == mem)
			return mr;
	return NULL;
}

static int mem_pump(struct disk *disk, int timeout_ms)
{
	struct mem_disk *mem = mem_of(disk);
	const struct mem_req *mr = first_pending(mem);

	(void)timeout_ms; /* waiting costs nothing here */
	if (qb_list_empty(&mem->ready) && mr)
		run_until(mem->world, mr->complete_ns);
	return deliver(mem);
}

static int mem_poll_fd(const struct disk *disk)
{
	(void)disk;
	return -1;
}

bool disk_mem_withdraw(struct disk *disk, struct disk_req *req)
{
	struct mem_req *mr;

	qb_list_for_each_entry(mr, &mem_of(disk)->world->pending, link) {
		if (mr->req != req)
			continue;
		qb_list_del(&mr->link);
		free(mr);
		disk->in_flight--;
		return true;
	}
	return false;
}

/* Power */

void disk_world_cut_power(struct disk_world *world)
{
	struct mem_req *mr, *next_mr;
	struct mem_disk *mem;
	uint64_t salt;

	if (!world->has_power)
		return;
	world->has_power = false;
	world->cut_after = NEVER;
	qb_list_for_each_entry_safe(mr, next_mr, &world->pending, link) {
		qb_list_del(&mr->link);
		if (mr->result == 0 && is_change(mr->req))
			change(mr->disk, mr->req, false);
		req_finish(mr, -ENODEV);
	}
	salt = mem_chance_draw(&world->chance);
	qb_list_for_each_entry(mem, &world->disks, link)
		mem_store_lose_cache(&mem->store, salt, &world->chance);
}

bool disk_world_has_power(const struct disk_world *world)
{
	return world->has_power;
}

void disk_world_restore_power(struct disk_world *world)
{
	world->has_power = true;
}

void disk_world_cut_power_after(struct disk_world *world, uint64_t writes)
{
	world->cut_after = writes;
}

uint64_t disk_world_writes(const struct disk_world *world)
{
	return world->changes;
}

/* Worlds and disks */

struct disk_world *disk_world_new(uint64_t seed)
{
	struct disk_world *world = mem_alloc(sizeof(*world));

	world->chance.state = seed;
	world->min_ns = DEFAULT_MIN_NS;
	world->max_ns = DEFAULT_MAX_NS;
	world->cut_after = NEVER;
	world->has_power = true;
	QB_INIT_LIST_HEAD(&world->disks);
	QB_INIT_LIST_HEAD(&world->pending);
	return world;
}

void disk_world_free(struct disk_world *world)
{
	if (!world)
		return;
	assert(qb_list_empty(&world->disks));
	free(world);
}

uint64_t disk_world_now_ns(const struct disk_world *world)
{
	return world->now_ns;
}

void disk_world_set_latency(struct disk_world *world, uint64_t min_ns,
			    uint64_t max_ns)
{
	assert(min_ns <= max_ns);
	world->min_ns = min_ns;
	world->max_ns = max_ns;
}

struct disk *disk_world_next(const struct disk_world *world, uint64_t *at_ns)
{
	struct mem_req *mr;
	struct mem_disk *mem;

	*at_ns = world->now_ns;
	qb_list_for_each_entry(mem, &world->disks, link)
		if (!qb_list_empty(&mem->ready))
			return &mem->disk;
	if (qb_list_empty(&world->pending))
		return NULL;
	mr = qb_list_first_entry(&world->pending, struct mem_req, link);
	*at_ns = mr->complete_ns;
	return &mr->disk->disk;
}

void disk_world_advance(struct disk_world *world, uint64_t to_ns)
{
	assert(to_ns >= world->now_ns);
	run_until(world, to_ns);
}

/* disk_close() has seen to it that nothing is in flight. */
static void mem_close(struct disk *disk)
{
	struct mem_disk *mem = mem_of(disk);

	assert(disk->in_flight == 0);
	mem_store_fini(&mem->store);
	free(mem->unreadable);
	qb_list_del(&mem->link);
	free(disk->name);
	free(mem);
}

static const struct disk_ops mem_ops = {
	.submit = mem_submit,
	.pump = mem_pump,
	.poll_fd = mem_poll_fd,
	.close = mem_close,
};

struct disk *disk_mem_new(struct disk_world *world, const char *name,
			  uint64_t size_bytes)
{
	struct mem_disk *mem = mem_alloc(sizeof(*mem));
	size_t name_bytes = strlen(name) + 1;

	mem->disk.ops = &mem_ops;
	mem->disk.name = memcpy(mem_alloc(name_bytes), name, name_bytes);
	mem->disk.size_bytes = round_down(size_bytes, MEM_SECTOR_BYTES);
	mem->disk.topology = (struct disk_topology){
		.logical_block_bytes = MEM_SECTOR_BYTES,
		.physical_block_bytes = MEM_PAGE_BYTES,
		.has_volatile_cache = true,
		.has_discard = true,
		.is_direct = true,
	};
	mem->world = world;
	mem_store_init(&mem->store);
	QB_INIT_LIST_HEAD(&mem->ready);
	qb_list_add_tail(&mem->link, &world->disks);
	return &mem->disk;
}

struct disk *disk_mem_clone(const struct disk *disk, struct disk_world *world)
{
	struct disk *clone = disk_mem_new(world, disk->name, disk->size_bytes);

	mem_store_copy(&mem_of(clone)->store, &mem_of_const(disk)->store);
	return clone;
}

/* Faults and direct access */

void disk_mem_set_fault(struct disk *disk, enum disk_mem_fault fault,
			uint64_t offset_bytes, uint64_t length_bytes)
{
	struct mem_disk *mem = mem_of(disk);

	mem->fault = fault;
	mem->fault_offset = offset_bytes;
	mem->fault_length = length_bytes;
}

void disk_mem_set_unreadable(struct disk *disk, uint64_t offset_bytes,
			     uint64_t length_bytes)
{
	struct mem_disk *mem = mem_of(disk);
	uint64_t low = offset_bytes / MEM_PAGE_BYTES;
	uint64_t high = div_round_up(offset_bytes + length_bytes, MEM_PAGE_BYTES);
	uint64_t *all;

	assert(length_bytes > 0);
	/* each is there once */
	make_readable(mem, low * MEM_PAGE_BYTES, (high - low) * MEM_PAGE_BYTES);
	all = mem_alloc((mem->unreadable_count + (high - low)) * sizeof(*all));
	if (mem->unreadable_count > 0)
		memcpy(all, mem->unreadable, mem->unreadable_count * sizeof(*all));
	free(mem->unreadable);
	mem->unreadable = all;
	for (; low < high; low++)
		all[mem->unreadable_count++] = low;
}

uint64_t disk_mem_unreadable_bytes(const struct disk *disk, uint64_t offset_bytes,
				   uint64_t length_bytes)
{
	const struct mem_disk *mem = mem_of_const(disk);
	uint64_t bytes = 0;

	for (size_t i = 0; i < mem->unreadable_count; i++) {
		uint64_t at = mem->unreadable[i] * MEM_PAGE_BYTES;

		if (at < offset_bytes + length_bytes && offset_bytes < at + MEM_PAGE_BYTES)
			bytes += MEM_PAGE_BYTES;
	}
	return bytes;
}

void disk_mem_fail_nth_write(struct disk *disk, uint64_t n)
{
	mem_of(disk)->fail_in = n;
}

void disk_mem_peek(const struct disk *disk, uint64_t offset_bytes, void *to,
		   size_t length_bytes)
{
	assert(offset_bytes <= disk->size_bytes);
	assert(length_bytes <= disk->size_bytes - offset_bytes);
	mem_store_read(&mem_of_const(disk)->store, offset_bytes, to,
		       length_bytes);
}

void disk_mem_poke(struct disk *disk, uint64_t offset_bytes, const void *from,
		   size_t length_bytes)
{
	struct mem_disk *mem = mem_of(disk);

	assert(offset_bytes <= disk->size_bytes);
	assert(length_bytes <= disk->size_bytes - offset_bytes);
	mem_store_write(&mem->store, mem->world->effects, offset_bytes, from,
			length_bytes, true);
}

void disk_mem_settle(struct disk *disk)
{
	mem_store_make_durable(&mem_of(disk)->store, NEVER);
}
