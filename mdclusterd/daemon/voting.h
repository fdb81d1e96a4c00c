/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The quorum machine with what it needs in the world: its file, the sync service, a timer,
 * the tie-breaker disk. Or, with engine = corosync, what corosync says (external.h).
 */
#pragma once

#include "mdclusterd/quorum/quorum.h"

struct config;
struct err;
struct loop;
struct sync;
struct voting;

struct voting_ops {
	/* The same members are to make another ring. Within events of the sync, too. */
	void (*again)(void *owner);
	/* Look whether it is still quorate: the device's lease may be over. */
	void (*changed)(void *owner);
};

/* Before the sync's first configuration; sync and loop outlive it. NULL with a sentence. */
struct voting *voting_open(const struct config *config, uint64_t incarnation, struct sync *sync,
			   struct loop *loop, const struct voting_ops *ops, void *owner,
			   struct err *err);
/* When the sync runs no more. NULL is fine. */
void voting_close(struct voting *v);

/* As in struct corosync_link_ops. */
void voting_corosync_ring(struct voting *v, uint64_t ring_seq);
/* A configuration of these stands, all services are done; or is about to end. */
void voting_settled(struct voting *v, struct node_set members);
/* As quorum_look(), quorum_settings(), quorum_is_won(). */
void voting_look(const struct voting *v, const char *(*name)(void *owner, uint32_t id),
		 void *owner, struct quorum_look *look);
const struct quorum_options *voting_settings(const struct voting *v);
bool voting_is_won(const struct voting *v);
bool voting_is_quorate(const struct voting *v);

/* Votes and expected_votes of another configuration of the same nodes. */
void voting_set_config(struct voting *v, const struct config *config);
/* -EOPNOTSUPP: others decide. */
int voting_set_expected(struct voting *v, uint32_t expected, struct err *err);
/*
 * This node goes, in order: true: wait for the next configuration first, in which the others
 * are told that its votes go, too.
 */
bool voting_say_leaving(struct voting *v);
/* And has gone: wait_for_all waits again, the next time. */
void voting_set_stopped(struct voting *v);
