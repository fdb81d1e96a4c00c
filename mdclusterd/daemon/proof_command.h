/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence command: an external program that makes sure that a node is dead, as a child
 * process. Called as COMMAND NAME ID INCARNATION, with nothing to read; it says so by ending
 * with 0. The last line that it writes is kept, for who asks why it failed.
 *
 * It may be any agent: one that resets a machine by IPMI, that takes its path to the disks
 * away, or that asks a hypervisor. It must not say 0 before the node cannot write any more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct proof_command;

/* done(): once, unless freed; frees nothing. NULL with a sentence. */
struct proof_command *proof_command_start(struct loop *loop, const char *command,
					  const char *name, uint32_t id, uint64_t incarnation,
					  void (*done)(void *owner, struct proof_command *c,
						       bool is_dead, const char *why),
					  void *owner, struct err *err);
/* Its process group is killed; done() comes. */
void proof_command_stop(struct proof_command *c);
/* Killed where it still runs. NULL is fine. */
void proof_command_free(struct proof_command *c);
