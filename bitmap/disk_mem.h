/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks in memory that fail as real ones do, for tests and simulation.
 *
 * All disks of a world share one virtual clock and one seeded random source,
 * so a run is repeated exactly by its seed. Nothing here reads the real clock.
 *
 * Model of a disk: writes land in a volatile cache; a flush, or FUA for that
 * one write, makes them durable. A power cut takes the whole world: what is
 * durable stays; of each change that is not, the seed decides whether all of it
 * is lost, all survives, or every 512-byte sector fares by itself (so that it is
 * torn). Requests in flight at the cut count as not durable, FUA or not; their
 * done() is called with -ENODEV by the next disk_pump() of their disk. After the
 * cut every request fails so until power comes back.
 *
 * Time is virtual and moves only by disk_pump(), whatever its timeout, also 0:
 * to the next completion of that disk, unless one is there already. What other
 * disks complete earlier happens on the way; their done() waits for their own
 * disk_pump(). A simulation with a clock of its own uses disk_world_next() and
 * disk_world_advance(), and then nothing is ever late.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct disk_req;
struct disk_world;

struct disk_world *disk_world_new(uint64_t seed);
void disk_world_free(struct disk_world *world); /* after all its disks */

/* Virtual nanoseconds since the world began. */
uint64_t disk_world_now_ns(const struct disk_world *world);

/*
 * The disk whose done() is due first, and when (not before now); NULL if nothing
 * is in flight anywhere.
 */
struct disk *disk_world_next(const struct disk_world *world, uint64_t *at_ns);

/* Lets time pass until to_ns; runs no done(). Never goes back. */
void disk_world_advance(struct disk_world *world, uint64_t to_ns);

/*
 * Each request takes a time drawn evenly from [min_ns, max_ns]; 20..200 us if
 * this is not called.
 */
void disk_world_set_latency(struct disk_world *world, uint64_t min_ns,
			    uint64_t max_ns);

/*
 * Cuts the power as soon as `writes` more changes (DISK_WRITE, DISK_ZERO,
 * DISK_DISCARD), on whatever disks, have been submitted. The last of them is
 * then in flight, so it may be lost, torn or whole. 0 cuts when the next one is
 * submitted, before it does anything. A test that cuts after 0, 1, ... up to and
 * including disk_world_writes() has met every step whole, torn and not at all.
 */
void disk_world_cut_power_after(struct disk_world *world, uint64_t writes);
void disk_world_cut_power(struct disk_world *world);
bool disk_world_has_power(const struct disk_world *world);
void disk_world_restore_power(struct disk_world *world);

/* Changes submitted since the world began: how often a test must cut. */
uint64_t disk_world_writes(const struct disk_world *world);

/* A disk of zeroes. Sparse: costs memory only where it was written. */
struct disk *disk_mem_new(struct disk_world *world, const char *name,
			  uint64_t size_bytes);

/* Makes durable whatever has completed, as a flush would. */
void disk_mem_settle(struct disk *disk);

/*
 * The request, submitted and not over, is gone without effect, as if its host had lost it:
 * true, and done() does not come. False: it took effect already.
 */
bool disk_mem_withdraw(struct disk *disk, struct disk_req *req);

enum disk_mem_fault {
	DISK_MEM_NO_FAULT,
	DISK_MEM_FAIL_READS = 1,
	DISK_MEM_FAIL_WRITES = 2,
};

/*
 * Requests submitted from now on that touch [offset, offset + length) fail with
 * -EIO and change nothing. One range a disk, both kinds or'ed together; WRITES
 * are all changes.
 */
void disk_mem_set_fault(struct disk *disk, enum disk_mem_fault fault,
			uint64_t offset_bytes, uint64_t length_bytes);

/*
 * Whole physical blocks there cannot be read, -EIO, until a change of such a whole block took
 * effect: as a drive's pending sectors. Besides what was so before.
 */
void disk_mem_set_unreadable(struct disk *disk, uint64_t offset_bytes,
			     uint64_t length_bytes);
/* How much of the range is so. */
uint64_t disk_mem_unreadable_bytes(const struct disk *disk, uint64_t offset_bytes,
				   uint64_t length_bytes);

/* The n-th change from now on (1 is the next) fails with -EIO, once. 0: none. */
void disk_mem_fail_nth_write(struct disk *disk, uint64_t n);

/*
 * Direct access to what a reader would see, for expectations: any offset and
 * length within the disk, no time passes. What is poked is durable, and so is
 * the rest of the sectors that it touches.
 */
void disk_mem_peek(const struct disk *disk, uint64_t offset_bytes, void *to,
		   size_t length_bytes);
void disk_mem_poke(struct disk *disk, uint64_t offset_bytes, const void *from,
		   size_t length_bytes);

/*
 * A second disk, in `world`, with the same name and the same contents (of what a
 * reader would see), all durable.
 */
struct disk *disk_mem_clone(const struct disk *disk, struct disk_world *world);
