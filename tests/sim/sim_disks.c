/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A handle's request travels as a flight: a copy, with memory of its own, on the disk that
 * all share. So the process may die, and its memory go, while the disk still has it.
 */
#include "tests/sim/sim_disks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "bitmap/disk.h"
#include "bitmap/disk_mem.h"
#include "tests/sim/fiber.h"
#include "tests/sim/world.h"

enum {
	SECTOR = 512,
	MIN_LATENCY_NS = 30000,
	MAX_LATENCY_NS = 400000,
	NAME_BYTES = 16,
};

struct store {
	struct disk *mem;
	char name[NAME_BYTES];
	bool is_hung;
	unsigned int times_slower;
	struct qb_list_head held; /* flights, while it hangs */
};

struct sim_disks {
	struct sim_world *world;
	const struct sim_disks_ops *ops;
	void *owner;
	struct disk_world *time;
	struct store stores[SIM_MAX_DISKS];
	int count;
	struct qb_list_head handles;
	uint64_t armed_at;
	unsigned int left_behind[SIM_MAX_NODES]; /* flights of dead processes */
	unsigned int crash_in[SIM_MAX_NODES];    /* changes; 0: does not */
	bool is_hidden[SIM_MAX_DISKS][SIM_MAX_NODES];
	struct on_node { struct sim_disks *disks; int node; } on_nodes[SIM_MAX_NODES];
};

struct handle {
	struct disk disk;
	struct sim_disks *disks;
	struct store *store;
	int node;
	enum sim_disk_user user;
	bool is_dead;               /* its process is */
	struct fiber *waiter;       /* in pump */
	struct qb_list_head link;   /* in disks->handles */
	struct qb_list_head flights; /* not told yet */
};

struct flight {
	struct disk_req req;   /* the copy; owner: this */
	struct handle *handle; /* NULL: nobody waits for it any more */
	struct sim_disks *disks;
	int node;
	struct disk_req *asked;
	bool is_out;  /* on the disk, not over */
	bool is_over; /* its done() may be called */
	int result;
	struct qb_list_head link;      /* in handle->flights */
	struct qb_list_head held_link; /* in store->held */
	bool is_held;
};

static struct handle *handle_of(struct disk *disk)
{
	return container_of(disk, struct handle, disk);
}

static bool is_change(const struct disk_req *req)
{
	return req->op == DISK_WRITE || req->op == DISK_ZERO || req->op == DISK_DISCARD;
}

/* --- flights ------------------------------------------------------------------------- */

static void flight_free(struct flight *f)
{
	struct sim_disks *d = f->disks;
	int node = f->node;
	bool is_left = !f->handle && f->is_out;

	free(f->req.buffer);
	free(f);
	if (is_left && --d->left_behind[node] == 0)
		d->ops->drained(d->owner, node);
}

static struct flight *first_over(const struct handle *h);

static struct handle *first_with_news(const struct sim_disks *d, int node)
{
	struct handle *h;

	qb_list_for_each_entry(h, &d->handles, link)
		if (h->node == node && !h->is_dead && first_over(h))
			return h;
	return NULL;
}

/* In the node's time: who waits is told. What was pumped meanwhile is no news. */
static void tell(void *owner)
{
	const struct on_node *on = owner;
	struct handle *h;

	while ((h = first_with_news(on->disks, on->node))) {
		if (h->waiter)
			fiber_resume(h->waiter);
		else
			(void)disk_pump(&h->disk, 0);
	}
}

/* In the world's time. */
static void on_over(struct disk_req *req, int result)
{
	struct flight *f = req->owner;

	f->result = result;
	if (!f->handle) {
		flight_free(f);
		return;
	}
	f->is_out = false;
	f->is_over = true;
	sim_call(f->disks->world, f->node, 0, tell, &f->disks->on_nodes[f->node]);
}

static void arm(struct sim_disks *d);

static void tick(void *owner)
{
	struct sim_disks *d = owner;
	struct disk *disk;
	uint64_t at;

	if (d->armed_at > d->world->now)
		return; /* an earlier one was set since, and did it all */
	d->armed_at = UINT64_MAX;
	disk_world_advance(d->time, d->world->now);
	while ((disk = disk_world_next(d->time, &at)) && at <= d->world->now)
		(void)disk_pump(disk, 0);
	arm(d);
}

static void arm(struct sim_disks *d)
{
	uint64_t at;

	if (!disk_world_next(d->time, &at) || at >= d->armed_at)
		return;
	d->armed_at = at;
	sim_call(d->world, -1, at - min_u64(at, d->world->now), tick, d);
}

/* To the disk itself. */
static void launch(struct store *s, struct flight *f)
{
	struct sim_disks *d = f->disks;
	uint64_t latency = MIN_LATENCY_NS +
			   sim_below(d->world, MAX_LATENCY_NS - MIN_LATENCY_NS);
	struct err err = ERR_INIT;

	latency *= s->times_slower;
	disk_world_advance(d->time, d->world->now);
	disk_world_set_latency(d->time, latency, latency);
	f->is_out = true;
	if (disk_submit(s->mem, &f->req, &err) < 0)
		abort();
	arm(d);
}

static void *copy_of(const struct disk_req *req)
{
	void *copy;

	if (req->op != DISK_READ && req->op != DISK_WRITE)
		return NULL;
	copy = disk_buffer_new(req->length_bytes);
	if (!copy)
		abort();
	if (req->op == DISK_WRITE)
		memcpy(copy, req->buffer, req->length_bytes);
	return copy;
}

static struct flight *flight_new(struct handle *h, struct disk_req *asked)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->req = *asked;
	f->req.buffer = copy_of(asked);
	f->req.done = on_over;
	f->req.owner = f;
	f->handle = h;
	f->disks = h->disks;
	f->node = h->node;
	f->asked = asked;
	qb_list_add_tail(&f->link, &h->flights);
	return f;
}

/* --- handles ------------------------------------------------------------------------- */

static void crash_now(void *owner)
{
	const struct on_node *on = owner;

	sim_crash(on->disks->world, on->node);
}

static void count_towards_crash(struct sim_disks *d, int node)
{
	if (d->crash_in[node] > 0 && --d->crash_in[node] == 0)
		sim_call(d->world, -1, sim_below(d->world, MAX_LATENCY_NS), crash_now,
			 &d->on_nodes[node]);
}

static int op_submit(struct disk *disk, struct disk_req *req, struct err *err)
{
	struct handle *h = handle_of(disk);
	struct flight *f;

	(void)err;
	if (is_change(req) && !h->is_dead) {
		h->disks->ops->submitted(h->disks->owner, h->node, h->user,
					 (int)(h->store - h->disks->stores), req);
		count_towards_crash(h->disks, h->node);
	}
	f = flight_new(h, req);
	if (h->is_dead) {
		f->result = -ENODEV;
		f->is_over = true;
	} else if (h->store->is_hung) {
		f->is_held = true;
		qb_list_add_tail(&f->held_link, &h->store->held);
	} else {
		launch(h->store, f);
	}
	return 0;
}

static struct flight *first_over(const struct handle *h)
{
	struct flight *f;

	qb_list_for_each_entry(f, &h->flights, link)
		if (f->is_over)
			return f;
	return NULL;
}

static int deliver(struct handle *h)
{
	struct flight *f;
	int ran = 0, over = 0;

	/* what done() submits is for the next time */
	qb_list_for_each_entry(f, &h->flights, link)
		over += f->is_over;
	while (ran < over && (f = first_over(h))) {
		struct disk_req *asked = f->asked;
		int result = f->result;

		qb_list_del(&f->link);
		if (asked->op == DISK_READ && result == 0)
			memcpy(asked->buffer, f->req.buffer, asked->length_bytes);
		flight_free(f);
		disk_complete(&h->disk, asked, result);
		ran++;
	}
	return ran;
}

static int op_pump(struct disk *disk, int timeout_ms)
{
	struct handle *h = handle_of(disk);

	while (timeout_ms != 0 && !first_over(h) && fiber_self()) {
		h->waiter = fiber_self();
		fiber_yield();
		h->waiter = NULL;
	}
	if (timeout_ms < 0 && !first_over(h)) {
		fprintf(stderr, "sim: %s: somebody waits outside of a fiber\n", disk->name);
		abort();
	}
	return deliver(h);
}

static int op_poll_fd(const struct disk *disk)
{
	(void)disk;
	return -1;
}

static void op_close(struct disk *disk)
{
	struct handle *h = handle_of(disk);

	assert(disk->in_flight == 0);
	qb_list_del(&h->link);
	free(disk->name);
	free(h);
}

static const struct disk_ops handle_ops = {
	.submit = op_submit,
	.pump = op_pump,
	.poll_fd = op_poll_fd,
	.close = op_close,
};

static struct store *store_by_name(struct sim_disks *d, const char *name)
{
	for (int i = 0; i < d->count; i++)
		if (strcmp(d->stores[i].name, name) == 0)
			return &d->stores[i];
	return NULL;
}

struct disk *sim_disks_open(struct sim_disks *d, int node, enum sim_disk_user user,
			    const char *path, struct err *err)
{
	struct store *s = store_by_name(d, path);
	struct handle *h;

	if (!s || d->is_hidden[s - d->stores][node]) {
		err_set(err, -ENOENT, "%s: no such disk", path);
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		abort();
	h->disk = (struct disk){ .ops = &handle_ops,
				 .name = strdup(path),
				 .size_bytes = s->mem->size_bytes,
				 .topology = s->mem->topology };
	h->disks = d;
	h->store = s;
	h->node = node;
	h->user = user;
	QB_INIT_LIST_HEAD(&h->flights);
	qb_list_add_tail(&h->link, &d->handles);
	return &h->disk;
}

int sim_disks_index(const struct sim_disks *d, const char *path)
{
	for (int i = 0; i < d->count; i++)
		if (strcmp(d->stores[i].name, path) == 0)
			return i;
	return -1;
}

void sim_disks_hide(struct sim_disks *d, int disk, int node, bool is_hidden)
{
	if (d->is_hidden[disk][node] != is_hidden)
		sim_say(d->world, node, "disk%d is %s", disk, is_hidden ? "hidden" : "seen");
	d->is_hidden[disk][node] = is_hidden;
}

/* --- a process dies -------------------------------------------------------------------- */

/* A part of a change lives on: of whole sectors. */
static void tear(struct flight *f)
{
	uint64_t sectors = f->req.length_bytes / SECTOR;
	uint64_t from = sim_below(f->disks->world, sectors);
	uint64_t count = 1 + sim_below(f->disks->world, sectors - from);

	if (f->req.buffer)
		memmove(f->req.buffer, (uint8_t *)f->req.buffer + from * SECTOR,
			count * SECTOR);
	f->req.offset_bytes += from * SECTOR;
	f->req.length_bytes = count * SECTOR;
}

static void leave_behind(struct handle *h, struct flight *f)
{
	struct sim_disks *d = h->disks;
	uint64_t fate = sim_below(d->world, 4);

	f->handle = NULL;
	d->left_behind[f->node]++;
	if (!is_change(&f->req) || fate < 2 || !disk_mem_withdraw(h->store->mem, &f->req))
		return;
	if (fate == 2) {
		tear(f);
		launch(h->store, f);
	} else {
		flight_free(f);
	}
}

/* What was asked is told to have failed, by a flight that goes nowhere. */
static void fail_asked(struct handle *h, struct disk_req *asked)
{
	struct flight *f = flight_new(h, asked);

	f->result = -ENODEV;
	f->is_over = true;
}

static void handle_dies(struct handle *h)
{
	int count = qb_list_length(&h->flights);

	h->is_dead = true;
	for (int i = 0; i < count; i++) {
		struct flight *f = qb_list_first_entry(&h->flights, struct flight, link);

		qb_list_del(&f->link);
		fail_asked(h, f->asked);
		if (f->is_held)
			qb_list_del(&f->held_link);
		if (f->is_out)
			leave_behind(h, f);
		else
			flight_free(f);
	}
}

void sim_disks_node_ended(struct sim_disks *d, int node)
{
	struct handle *h;

	d->crash_in[node] = 0;
	d->left_behind[node]++; /* none is the last one yet */
	qb_list_for_each_entry(h, &d->handles, link)
		if (h->node == node && !h->is_dead)
			handle_dies(h);
	if (--d->left_behind[node] == 0)
		d->ops->drained(d->owner, node);
}

bool sim_disks_is_drained(const struct sim_disks *d, int node)
{
	return d->left_behind[node] == 0;
}

/* --- what goes wrong ------------------------------------------------------------------- */

void sim_disks_cut_power(struct sim_disks *d)
{
	disk_world_advance(d->time, d->world->now);
	disk_world_cut_power(d->time);
	for (int i = 0; i < d->count; i++)
		(void)disk_pump(d->stores[i].mem, 0);
	disk_world_restore_power(d->time);
}

void sim_disks_crash_at(struct sim_disks *d, int node, unsigned int n)
{
	d->crash_in[node] = n;
}

void sim_disks_fail(struct sim_disks *d, int disk, unsigned int faults)
{
	sim_say(d->world, -1, "%s: faults %u", d->stores[disk].name, faults);
	disk_mem_set_fault(d->stores[disk].mem, faults, 0, UINT64_MAX);
}

void sim_disks_spoil(struct sim_disks *d, int disk, uint64_t offset_bytes,
		     uint64_t length_bytes)
{
	sim_say(d->world, -1, "%s: bytes %lu+%lu cannot be read", d->stores[disk].name,
		(unsigned long)offset_bytes, (unsigned long)length_bytes);
	disk_mem_set_unreadable(d->stores[disk].mem, offset_bytes, length_bytes);
}

uint64_t sim_disks_spoilt_bytes(const struct sim_disks *d, int disk, uint64_t offset_bytes,
				uint64_t length_bytes)
{
	return disk_mem_unreadable_bytes(d->stores[disk].mem, offset_bytes, length_bytes);
}

void sim_disks_hang(struct sim_disks *d, int disk, bool is_hung)
{
	struct store *s = &d->stores[disk];

	if (s->is_hung == is_hung)
		return;
	sim_say(d->world, -1, "%s: %s", s->name, is_hung ? "hangs" : "hangs no more");
	s->is_hung = is_hung;
	while (!is_hung && !qb_list_empty(&s->held)) {
		struct flight *f = qb_list_first_entry(&s->held, struct flight, held_link);

		qb_list_del(&f->held_link);
		f->is_held = false;
		launch(s, f);
	}
}

void sim_disks_slow(struct sim_disks *d, int disk, unsigned int times)
{
	sim_say(d->world, -1, "%s: %u times slower", d->stores[disk].name, times);
	d->stores[disk].times_slower = times;
}

/* --- all of them ------------------------------------------------------------------------- */

struct sim_disks *sim_disks_new(struct sim_world *w, int count, uint64_t size_bytes,
				const struct sim_disks_ops *ops, void *owner)
{
	struct sim_disks *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	d->world = w;
	d->ops = ops;
	d->owner = owner;
	d->time = disk_world_new(sim_random(w));
	disk_world_set_latency(d->time, 0, 0); /* until the world begins */
	d->count = count;
	d->armed_at = UINT64_MAX;
	QB_INIT_LIST_HEAD(&d->handles);
	for (int i = 0; i < count; i++) {
		struct store *s = &d->stores[i];

		(void)snprintf(s->name, sizeof(s->name), "disk%d", i);
		s->mem = disk_mem_new(d->time, s->name, size_bytes);
		s->times_slower = 1;
		QB_INIT_LIST_HEAD(&s->held);
	}
	for (int i = 0; i < SIM_MAX_NODES; i++)
		d->on_nodes[i] = (struct on_node){ d, i };
	return d;
}

/* All nodes have ended. */
void sim_disks_free(struct sim_disks *d)
{
	sim_disks_cut_power(d);
	for (int i = 0; i < d->count; i++)
		disk_close(d->stores[i].mem);
	disk_world_free(d->time);
	free(d);
}

struct disk *sim_disks_store(const struct sim_disks *d, int disk)
{
	return d->stores[disk].mem;
}

void sim_disks_peek(const struct sim_disks *d, int disk, uint64_t offset_bytes, void *to,
		    size_t length_bytes)
{
	disk_mem_peek(d->stores[disk].mem, offset_bytes, to, length_bytes);
}

int sim_disks_count(const struct sim_disks *d)
{
	return d->count;
}
