/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cluster as one daemon's engine takes part in it: station, lock manager, quorum, lease,
 * and what is known of deaths.
 *
 *	O1  Who is told anything is told first that nothing may be decided any more:
 *	    quorate(false) comes before all else that a change brings, and true only
 *	    when all services of all members are done.
 *	O2  The lease is renewed as lease.h says, and is over lease_ms later, whatever this
 *	    thread does (D13).
 *	O3  A death counts by proof alone (D14): an obituary, where the configuration allows
 *	    it; what a fence agent or a person said; with locks = libdlm, and where the
 *	    configuration allows it, dlm_controld's fencing. Nothing here guesses.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lockres/lock_manager.h"
#include "mdclusterd/quorum/quorum.h"
#include "totem/station.h"

struct cluster;
struct config;
struct err;
struct loop;

/* On the clock of boot; read from any thread. 0: no lease. */
struct lease {
	_Atomic uint64_t until_ns;
};

struct cluster_ops {
	void (*quorate)(void *owner, bool is_quorate);
	/* A configuration stands, its services done. */
	void (*settled)(void *owner, bool is_quorate);
	void (*member)(void *owner, uint32_t node, bool is_member);
	/* By an obituary, "the fence command", "root": `how`. */
	void (*dead)(void *owner, uint32_t node, uint64_t incarnation, const char *how);
	void (*deadlock)(void *owner, const char *lockspace, const char *cycle);
	/* cluster_leave() is done. Close it, not from within. */
	void (*left)(void *owner);
	/* Close it. */
	void (*broken)(void *owner);
};

/* config: borrowed until cluster_close(). NULL with a sentence. */
struct cluster *cluster_open(const struct config *config, struct loop *loop,
			     const struct cluster_ops *ops, void *owner, struct err *err);
void cluster_start(struct cluster *c);
/*
 * All lockspaces are closed: tells the others that this process is over. left() follows, also
 * from within; or, where that is on its way as the others vanish, it does not.
 */
void cluster_leave(struct cluster *c);
/* Leaves the ring. Lockspaces are closed before. NULL is fine. */
void cluster_close(struct cluster *c);
/* Another configuration of the same nodes: names, fencing, votes. */
void cluster_set_config(struct cluster *c, const struct config *config);
/* As quorum_set_expected(). */
int cluster_set_expected(struct cluster *c, uint32_t votes, struct err *err);
/* This node goes: true: the others learn of it in the next configuration, which comes. */
bool cluster_say_leaving(struct cluster *c);
/* In order, and behind it nothing but cluster_close(). */
void cluster_set_stopped(struct cluster *c);

/* The one place where it is chosen: config.locks. */
struct lockspace_engine *cluster_locks(struct cluster *c);
/* Also where locks are the kernel's: it has their lockspaces' members then. */
const struct lock_manager *cluster_manager(const struct cluster *c);
struct station *cluster_station(const struct cluster *c);
/* As quorum_look(), quorum_settings(). */
void cluster_look_at_quorum(const struct cluster *c,
			    const char *(*name)(void *owner, uint32_t id), void *owner,
			    struct quorum_look *look);
const struct quorum_options *cluster_quorum_settings(const struct cluster *c);
const struct lease *cluster_lease(const struct cluster *c);
bool cluster_is_quorate(const struct cluster *c);
struct node_set cluster_members(const struct cluster *c);
/* Member, or missing, since; of the clock of boot. */
uint64_t cluster_since(const struct cluster *c, int index);
/* The ring is as it is since; of the clock of boot. */
uint64_t cluster_configured_at(const struct cluster *c);
/* Of the process that was heard last, 0: none was. */
uint64_t cluster_incarnation(const struct cluster *c, int index);
bool cluster_is_dead(const struct cluster *c, int index); /* proven, and not back */

/* It keeps all waiting: left out of the ring for a while. False: it is no member. */
bool cluster_evict(struct cluster *c, uint32_t node, const char *why);

/* incarnation 0: what is missing now. */
int cluster_confirm_dead(struct cluster *c, uint32_t node, uint64_t incarnation,
			 enum lock_death death, const char *how, struct err *err);
