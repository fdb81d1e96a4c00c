/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `locks = libdlm`: the engine on the kernel's DLM (lockres/lockspace_dlm.h) as a daemon has
 * it, on a station that is on corosync. The lock manager runs beside it: it guards each
 * lockspace (M8), and it is where people see who is missing. Values, deadlocks and locks
 * themselves are the kernel's: dlm_tool lockdebug shows them.
 *
 * Where the build has no libdlm it is refused with -EOPNOTSUPP and a sentence.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct libdlm_locks;
struct lockspace_engine;
struct loop;
struct station;

struct libdlm_locks_config {
	struct loop *loop;
	const struct station *station;
	struct group_engine *groups;
	struct lockspace_engine *guards; /* the lock manager's */
	uint32_t self;
	uint64_t incarnation;
	bool drops_are_proofs; /* the fence methods name "dlm" */
	/* Dead by dlm_controld's fencing: maybe more than once. */
	void (*dropped)(void *owner, uint32_t node);
	void *owner;
};

bool libdlm_is_built_in(void);
struct libdlm_locks *libdlm_locks_open(const struct libdlm_locks_config *config,
				       struct err *err);
/*
 * Before the lock manager, with no event in between. Lockspaces that are open are left to
 * the end of the process: the kernel gives up what they hold behind its last write, and no
 * sooner. NULL is fine.
 */
void libdlm_locks_close(struct libdlm_locks *l);
struct lockspace_engine *libdlm_locks_engine(struct libdlm_locks *l);
