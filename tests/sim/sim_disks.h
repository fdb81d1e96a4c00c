/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disks that the nodes of a simulated cluster share, on the world's clock. Each process
 * opens its own handles, which are disks as any other (bitmap/disk.h); a completion is an
 * event of its node, so that one that is paused finds it later.
 *
 *	- Of what a process has in flight when it dies, chance lets each change take effect
 *	  later, in part (of whole sectors), or not at all. Its done() never comes in the
 *	  world's time: the dead one's handles answer -ENODEV, so that what it was can be
 *	  taken apart.
 *	- A fiber that waits in disk_pump() yields to the world.
 *	- The power of all fails at once; a disk fails, hangs, or is slow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct disk_req;
struct err;
struct sim_disks;
struct sim_world;

enum { SIM_MAX_DISKS = 8 };

enum sim_disk_user { SIM_DISK_METADATA, SIM_DISK_PLANE };

struct sim_disks_ops {
	/* A living node's change goes out, before it has any effect. */
	void (*submitted)(void *owner, int node, enum sim_disk_user user, int disk,
			  const struct disk_req *req);
	/* Nothing of this node's dead processes is in flight any more. */
	void (*drained)(void *owner, int node);
};

struct sim_disks *sim_disks_new(struct sim_world *w, int count, uint64_t size_bytes,
				const struct sim_disks_ops *ops, void *owner);
void sim_disks_free(struct sim_disks *d);

/* Its name is "disk0", ... */
struct disk *sim_disks_open(struct sim_disks *d, int node, enum sim_disk_user user,
			    const char *path, struct err *err);
/* The disk itself, to look at, or to make an array on before the world begins. */
struct disk *sim_disks_store(const struct sim_disks *d, int disk);
/* What a reader would see. */
void sim_disks_peek(const struct sim_disks *d, int disk, uint64_t offset_bytes, void *to,
		    size_t length_bytes);
int sim_disks_count(const struct sim_disks *d);

void sim_disks_node_ended(struct sim_disks *d, int node);
/* Nothing that a dead process of the node had in flight can take effect any more. */
bool sim_disks_is_drained(const struct sim_disks *d, int node);

/* Its processes end by themselves: sim_crash() of all first. And it is back at once. */
void sim_disks_cut_power(struct sim_disks *d);
/* sim_crash() of the node, while its n-th change from now (1: the next) is in flight. */
void sim_disks_crash_at(struct sim_disks *d, int node, unsigned int n);

/* enum disk_mem_fault, or'ed; of all of it. */
void sim_disks_fail(struct sim_disks *d, int disk, unsigned int faults);
/* What is submitted from now on stays in flight until it hangs no more. */
/* It cannot be read until it is written. */
void sim_disks_spoil(struct sim_disks *d, int disk, uint64_t offset_bytes,
		     uint64_t length_bytes);
uint64_t sim_disks_spoilt_bytes(const struct sim_disks *d, int disk, uint64_t offset_bytes,
				uint64_t length_bytes);
void sim_disks_hang(struct sim_disks *d, int disk, bool is_hung);
/* The node cannot open it any more; who has it open keeps it. */
void sim_disks_hide(struct sim_disks *d, int disk, int node, bool is_hidden);
/* "disk3" is 3; -1: none. */
int sim_disks_index(const struct sim_disks *d, const char *path);
/* So many times slower than others; 1: no more. */
void sim_disks_slow(struct sim_disks *d, int disk, unsigned int times);
