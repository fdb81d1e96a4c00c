/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The quorum machine with what it needs in the world: its file, the sync service, a timer,
 * the tie-breaker disk.
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

const struct quorum *voting_quorum(const struct voting *v);
bool voting_is_quorate(const struct voting *v);

/* Votes and expected_votes of another configuration of the same nodes. */
void voting_set_config(struct voting *v, const struct config *config);
int voting_set_expected(struct voting *v, uint32_t expected, struct err *err);
/*
 * This node goes, in order: true: wait for the next configuration first, in which the others
 * are told that its votes go, too.
 */
bool voting_say_leaving(struct voting *v);
/* And has gone: wait_for_all waits again, the next time. */
void voting_set_stopped(struct voting *v);
