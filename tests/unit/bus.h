/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bus that stands for the ring, under sync services and groups: a list of packets
 * that all read in order, at their own pace, and configurations that the test
 * decides. Nodes are counted from 0; in words ("123") from 1, as their ids.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/group_ring.h"

enum {
	BUS_NODES = 5,
	BUS_ROOM = 1200,
	BUS_MAX_LOGS = 16,
	BUS_MAX_PACKETS = 20000,
};

struct packet {
	uint32_t origin;
	bool is_safe, is_sync;
	size_t length;
	uint8_t *bytes;
};

/* One ring's order. */
struct log {
	struct ring_id id;
	struct node_set members, synced;
	struct packet packets[BUS_MAX_PACKETS];
	size_t count, sync_end;
};

struct node {
	struct bus *bus;
	struct sync *sync;
	struct group_ring *g;
	struct log *log;
	size_t read;
	bool is_unplugged;
	int wakes;
	const char *broken;
	struct node_set late, evicted; /* as this node's sync told */
};

struct bus {
	struct node nodes[BUS_NODES];
	struct log *logs[BUS_MAX_LOGS];
	int log_count;
};

struct bus *bus_new(void);
void bus_free(struct bus *bus); /* and nobody was broken */
void bus_start(struct bus *bus, int i);
void bus_crash(struct bus *bus, int i);

/* "123": nodes 1, 2 and 3 are a ring now. The old rings' orders are as they are. */
void bus_configure(struct bus *bus, const char *nodes);

/* Puts a packet on the bus; false: there is none to send. */
bool bus_send_one(struct node *n);
/* One packet, if there is one, and the end of the sync phase where it is due. */
bool bus_read_one(struct node *n);
bool bus_poll_unplug(struct node *n);
/* A packet of each of the first `count` nodes, read by them: greetings, then state. */
void bus_tell_stage(struct bus *bus, int count);
/* Until nothing more happens; the nodes before `first` are asleep. */
void bus_run_from(struct bus *bus, int first);
void bus_run(struct bus *bus);
