/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/help.h"

static void on_wake(void *owner)
{
	((struct node *)owner)->wakes++;
}

static void on_synchronised(void *owner)
{
	struct node *n = owner;
	struct log *l = n->log;

	set_add(&l->synced, (int)(n - n->bus->nodes));
	if (set_equal(l->synced, l->members))
		l->sync_end = l->count;
}

static void on_broken(void *owner, const char *why)
{
	((struct node *)owner)->broken = why;
}

static void on_late(void *owner, int node, const char *service)
{
	assert_true(strlen(service) > 0);
	set_add(&((struct node *)owner)->late, node);
}

static void on_evict(void *owner, int node, const char *service)
{
	assert_true(strlen(service) > 0);
	set_add(&((struct node *)owner)->evicted, node);
}

static bool on_is_quorate(void *owner, struct node_set members)
{
	(void)owner;
	return 2 * set_count(members) > BUS_NODES;
}

void bus_start(struct bus *bus, int i)
{
	static const struct sync_ops ops = {
		on_wake, on_synchronised, on_broken, on_late, on_evict, on_is_quorate,
	};
	struct node *n = &bus->nodes[i];
	struct sync_config sync = { .self = (uint32_t)i + 1 };
	struct group_ring_config config = {
		.self = (uint32_t)i + 1, .wake = on_wake, .owner = n,
	};
	struct err err = ERR_INIT;

	for (int k = 0; k < BUS_NODES; k++)
		config.nodes.ids[k] = (uint32_t)k + 1;
	config.nodes.count = BUS_NODES;
	sync.nodes = config.nodes;
	*n = (struct node){ .bus = bus };
	n->sync = config.sync = sync_new(&sync, &ops, n, &err);
	if (!n->sync)
		fail_msg("%s", err.text);
	n->g = group_ring_new(&config, &err);
	if (!n->g)
		fail_msg("%s", err.text);
}

void bus_crash(struct bus *bus, int i)
{
	group_ring_free(bus->nodes[i].g);
	sync_free(bus->nodes[i].sync);
	bus->nodes[i] = (struct node){ .bus = bus };
}

struct bus *bus_new(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	assert_non_null(bus);
	for (int i = 0; i < BUS_NODES; i++)
		bus_start(bus, i);
	return bus;
}

void bus_free(struct bus *bus)
{
	for (int i = 0; i < BUS_NODES; i++) {
		assert_null(bus->nodes[i].broken);
		bus_crash(bus, i);
	}
	while (bus->log_count > 0) {
		struct log *l = bus->logs[--bus->log_count];

		while (l->count > 0)
			free(l->packets[--l->count].bytes);
		free(l);
	}
	free(bus);
}

static void unplug(struct node *n)
{
	if (n->is_unplugged)
		return;
	n->is_unplugged = true;
	sync_unplugged(n->sync);
}

bool bus_read_one(struct node *n)
{
	struct log *l = n->log;
	bool any = n->read < l->count;

	if (any) {
		const struct packet *p = &l->packets[n->read++];
		int from = (int)p->origin - 1;

		if (p->is_sync) {
			sync_deliver(n->sync, l->id, from, p->bytes, p->length);
		} else {
			unplug(n);
			group_ring_deliver(n->g, l->id, from, p->bytes, p->length);
		}
	}
	return any;
}

bool bus_poll_unplug(struct node *n)
{
	if (n->is_unplugged || !set_equal(n->log->synced, n->log->members) ||
	    n->read < n->log->sync_end)
		return false;
	unplug(n);
	return true;
}

bool bus_send_one(struct node *n)
{
	struct log *l = n->log;
	uint8_t bytes[BUS_ROOM];
	struct packet p = { .origin = (uint32_t)(n - n->bus->nodes) + 1,
			    .is_sync = !n->is_unplugged };

	p.length = p.is_sync ? sync_fill(n->sync, bytes, BUS_ROOM, &p.is_safe) :
			       group_ring_fill(n->g, bytes, BUS_ROOM, &p.is_safe);
	if (p.length == 0)
		return false;
	p.bytes = malloc(p.length);
	assert_non_null(p.bytes);
	memcpy(p.bytes, bytes, p.length);
	assert_true(l->count < BUS_MAX_PACKETS);
	l->packets[l->count++] = p;
	return true;
}

void bus_tell_stage(struct bus *bus, int count)
{
	for (int i = 0; i < count; i++)
		bus_send_one(&bus->nodes[i]);
	for (int i = 0; i < count; i++)
		while (bus_read_one(&bus->nodes[i]))
			;
}

void bus_run_from(struct bus *bus, int first)
{
	bool any = true;

	while (any) {
		any = false;
		for (int i = first; i < BUS_NODES; i++) {
			struct node *n = &bus->nodes[i];

			if (!n->log)
				continue;
			any |= bus_send_one(n);
			for (int k = 0; k < BUS_NODES + 1; k++)
				any |= bus_read_one(n);
			any |= bus_poll_unplug(n);
		}
	}
}

void bus_run(struct bus *bus)
{
	bus_run_from(bus, 0);
}

static struct node_set set_from(const char *digits)
{
	struct node_set s = { { 0 } };

	while (*digits)
		set_add(&s, *digits++ - '1');
	return s;
}

/* The old order to its end, as extended virtual synchrony has it; then the new. */
static void go_over(struct node *n, struct log *l, struct node_set trans)
{
	struct log *old = n->log;
	struct node_set left = { { 0 } };

	if (old) {
		size_t half = n->read + (old->count - n->read) / 2;

		left = set_minus(old->members, trans);
		while (n->read < half)
			(void)bus_read_one(n);
		sync_ending(n->sync);
		while (bus_read_one(n))
			;
	}
	n->log = l;
	n->read = 0;
	n->is_unplugged = false;
	n->wakes = 0;
	sync_configured(n->sync, 0, &(struct sync_configuration){
		.id = l->id, .members = l->members,
		.joined = set_minus(l->members, trans), .left = left });
	assert_true(n->wakes > 0);
}

void bus_configure(struct bus *bus, const char *nodes)
{
	struct log *l = calloc(1, sizeof(*l)), *old[BUS_NODES];
	int i, k;

	assert_non_null(l);
	assert_true(bus->log_count < BUS_MAX_LOGS);
	bus->logs[bus->log_count++] = l;
	l->members = set_from(nodes);
	l->id = (struct ring_id){ (uint32_t)set_next(l->members, 0) + 1,
				  (uint64_t)bus->log_count * 4 };
	for (i = 0; i < BUS_NODES; i++)
		old[i] = bus->nodes[i].log;
	for (i = 0; i < BUS_NODES; i++) {
		struct node_set trans = set_of(i);

		if (!set_has(&l->members, i))
			continue;
		for (k = 0; k < BUS_NODES; k++)
			if (set_has(&l->members, k) && old[i] && old[k] == old[i])
				set_add(&trans, k);
		go_over(&bus->nodes[i], l, trans);
	}
}
