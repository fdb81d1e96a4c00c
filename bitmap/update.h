/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing an array while nobody runs it: nodes, cluster name, array name, host,
 * uuid, chunks marked dirty.
 *
 * Dirty bits are kept and no resync is forced (mdadm rewrites slot 0 as all
 * ones each time). All checks come before the first write. A power cut between
 * any two writes leaves members that md assembles, with every dirty bit, and
 * each with the old or the new value; the same command, given again, finishes
 * the job. (In the middle of a change of uuid the members are of two arrays, as
 * md sees it: finish before starting either.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct md_array;

/* Chunks [first, last] of a slot that shall be resynced at the next start. */
struct md_mark {
	uint32_t slot;
	uint64_t first;
	uint64_t last;
};

struct md_update {
	uint32_t nodes;            /* 0: as it is */
	const char *cluster_name;  /* NULL: as it is, and so on */
	const char *name;
	/*
	 * Before the colon of the name, or of `name`; and of a plain array the host that alone may
	 * have it (owner.h). The one change that a plain array takes.
	 */
	const char *host;
	const uint8_t *uuid;
	/*
	 * Gather the dirty bits of all slots in slot 0. The kernel's md-cluster
	 * (6.1) loses those of its own slot when it assembles an array in which
	 * another slot is dirty as well; with all of them in slot 0, and that
	 * node the first to join, it does not.
	 */
	bool is_gathered;
	const struct md_mark *marks;
	size_t mark_count;
	/*
	 * Go on without all members: those left out are marked faulty in the
	 * superblocks of the others, which get two events more. And go on with
	 * slots that cannot be read: all their chunks count as dirty.
	 */
	bool is_forced;
};

struct disk;
/* md_array_load() for an update: one of the host takes an array without a bitmap as well. */
int md_update_load(struct md_array *array, struct disk *const *disks, size_t count,
		   const struct md_update *update, struct err *err);

/* Could the update be applied? Reads all slots, by array->policy; no write. */
int md_update_check(const struct md_array *array, const struct md_update *update,
		    struct err *err);

/*
 * Applies the changes. The array was loaded with md_update_load(), and is up to
 * date afterwards; after an error it must be loaded again.
 */
int md_update_apply(struct md_array *array, const struct md_update *update,
		    struct err *err);

/*
 * What each change in place asks of the members: none out of date, none missing but by
 * force; and of the slots: one that no member can give would stop it half way.
 */
int md_update_check_members(const struct md_array *array, bool is_forced,
			    struct err *err);
int md_update_check_slots(const struct md_array *array, struct err *err);
