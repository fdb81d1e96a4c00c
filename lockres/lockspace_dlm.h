/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces on the kernel's DLM, by its device for processes: for sites that run
 * corosync and dlm_controld. What is different from our own ring:
 *
 *  * Values have 32 bytes: LOCK_LARGE_LVB is refused (-EOPNOTSUPP).
 *  * A lockspace is the kernel's "mdcl-NAME" (dlm_dump.h). What the host lacks, and who
 *    has it already, is told by lockspace_open(), by a code and sentence each (dlm_host.h):
 *    an array that the kernel's md-cluster runs, say (B55).
 *  * Slots, and what is missing, come of the ordered group "mdcl:NAME", which every
 *    member joins once it is in the kernel's lockspace. Its engine must see the nodes
 *    that dlm_controld sees, under the same ids: corosync's.
 *  * The kernel regrants what a node held when dlm_controld lets it; nothing of that is
 *    acted upon before the node's death is proven (dlm_gate.h). A proof is
 *    lockspace_confirm_dead(), and, with drops_are_proofs, that the kernel has dropped the
 *    node: dlm_controld has fenced it then. Whether it does is asked at each open
 *    (-EPERM: it does not fence; dlm_host.h). What is set later, by dlm_tool, is not seen.
 *    Who vanished from the group and whose node goes on (GROUP_PROCDOWN) is missing until
 *    it is confirmed in any case. LOCK_DEATH_PROCESS leaves the orphans, LOCK_DEATH_NODE
 *    has every member purge them.
 *  * Who was there before all others began anew is known to `guards` alone.
 *  * Locks of a process that was killed are not adopted by the next one. The kernel unlocks
 *    them at once, which nobody acts upon before the death is proven; from then on the others may
 *    have its slot, and so may the new process. An orphan would save nobody's work: what was in
 *    flight is in the slot on the disks, and has to be copied, by whoever takes it; the new
 *    process knows no more of it than the others do. And it would keep them waiting, reads from a
 *    single source, until there is a new process, for ever where there is none. What is adopted is
 *    the lockspace: this node is a member of it on, and its next process opens it, so that the
 *    kernels recover nothing for a restart. Who does not come back to it before the daemon ends
 *    leaves it then (daemon/libdlm_locks.c).
 *  * PERSISTENT is a word of the last call: a conversion without it makes the lock one
 *    that ends with its process. An adoption brings no value.
 *  * A deadline that is over while the lockspace recovers is told when it has: the
 *    kernel takes no cancel before.
 *  * Deadlocks over several resources are not found; `waiter` has no meaning.
 *  * A dump of the lock manager's shows the guards: who is a member, and no lock. dlm_tool
 *    lockdebug and debugfs have the locks.
 *  * lockres_blockers() reads debugfs, and knows what this node is master of.
 *  * Where dlm_controld ends, or a lockspace recovers, whoever has called the kernel waits in it,
 *    and cannot be killed: a process that has locks there is reaped when that is over, and its
 *    supervisor's obituary comes as late. The gate (D13) does not wait for it.
 *  * After lockspace_close() the kernel keeps the lockspace where orphans of this
 *    node are in it: they would be lost.
 */
#pragma once

#include "lockres/lockspace.h"

struct err;
struct group;
struct group_engine;
struct lockspace_dlm;
struct loop;

struct lockspace_dlm_ops {
	/*
	 * Has the group something that was not delivered? libcpg: its descriptor is
	 * readable. NULL: never, since it is delivered in the order of its coming.
	 */
	bool (*is_pending)(void *owner, struct group *group);
	/*
	 * May this lock have come free by a death alone (a bitmap's)? Its grants then
	 * wait for a round trip of the group. NULL: none.
	 */
	bool (*is_guarded)(void *owner, const void *name, size_t name_length);
	/*
	 * With drops_are_proofs: dead, by dlm_controld's fencing; by each lockspace where it was
	 * missing. For who tells people. May be NULL.
	 */
	void (*dropped)(void *owner, uint32_t node);
};

struct lockspace_dlm_config {
	struct loop *loop;
	struct group_engine *groups;
	/*
	 * Of an engine that remembers who took part (M8 of lock_manager.h): each lockspace has
	 * one there, too, of the same name and members, without a lock. It is taken in the
	 * kernel when that runs, and while that does not run nothing is granted. What is
	 * confirmed dead is to be said to both. NULL: none; then a group that begins anew
	 * knows nothing of who may still live.
	 */
	struct lockspace_engine *guards;
	uint32_t self;        /* id of this node, for group and DLM */
	uint64_t incarnation; /* grows at every start of this node's process */
	bool drops_are_proofs; /* dlm_controld fences: what the kernel drops is dead (D14) */
};

struct lockspace_dlm_stats {
	uint64_t calls, results, blocked;
	uint64_t under_way;    /* now: calls that the kernel has not answered */
	uint64_t again;        /* calls made anew, for a cancel that was under way */
	uint64_t held;         /* results that had to wait for the group */
	uint64_t rounds;       /* round trips */
	uint64_t barriers;
	uint64_t faults;       /* results that make no sense */
};

/* NULL with a sentence: -EINVAL, -ENOMEM. */
struct lockspace_dlm *lockspace_dlm_new(const struct lockspace_dlm_config *config,
					const struct lockspace_dlm_ops *ops, void *owner,
					struct err *err);
/*
 * All lockspaces are given up, without a callback. Waits for the kernel. Before the engine of
 * the guards, and with no event of that in between. NULL is fine.
 */
void lockspace_dlm_free(struct lockspace_dlm *d);

/* No lockspace is open, or closes. */
bool lockspace_dlm_is_idle(const struct lockspace_dlm *d);
struct lockspace_engine *lockspace_dlm_engine(struct lockspace_dlm *d);
const struct lockspace_dlm_stats *lockspace_dlm_stats(const struct lockspace_dlm *d);
