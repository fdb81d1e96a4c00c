/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knows what was written to the simulated array, by whom and when, and so what each
 * sector may say. A sector is a register: a read returns what some write put there that no
 * write which was acknowledged has replaced since, the first one ended before the second
 * began. Writes that crossed are not in any order; what died on its way may be there, or
 * not. A power cut makes acknowledged writes uncertain that were not durable.
 *
 * What ends never (a dead node's write that may be on its way yet) replaces until it is said
 * to be over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle;

enum oracle_kind { ORACLE_WRITE, ORACLE_ZERO, ORACLE_TRIM };

struct oracle *oracle_new(uint64_t sectors);
void oracle_free(struct oracle *o);

/* Its number: of a WRITE, each sector of it says so. */
uint64_t oracle_begin(struct oracle *o, int node, enum oracle_kind kind, uint64_t sector,
		      uint64_t count);
void oracle_fill(void *buffer, uint64_t number, uint64_t sector, uint64_t count);
void oracle_acknowledged(struct oracle *o, uint64_t number, bool is_durable);
/* It failed, and may have been done, in part; is_on_its_way: or may be yet. */
void oracle_failed(struct oracle *o, uint64_t number, bool is_on_its_way);

/* All that the node has not ended yet is uncertain, and on its way. */
void oracle_node_ended(struct oracle *o, int node);
/* What was on its way is over. */
void oracle_node_drained(struct oracle *o, int node);

/* A moment: of the begin of a flush, or of a read. */
uint64_t oracle_moment(struct oracle *o);
/* No read that is under way began before this one; at first, or UINT64_MAX: there is none. */
void oracle_oldest_read(struct oracle *o, uint64_t began);
/* A flush that began then was acknowledged. */
void oracle_flushed(struct oracle *o, uint64_t began);
/* All is in the caches of the disks no more; what was on its way is over. */
void oracle_power_cut(struct oracle *o);

/*
 * What a read that began then has found, or what is on a disk now. False: `why` says what
 * it is, and what it should be.
 */
bool oracle_check(const struct oracle *o, uint64_t began, const void *bytes, uint64_t sector,
		  uint64_t count, char *why, size_t room);
/*
 * One truth (B37): what was read while all reads had one source, all read until somebody
 * writes there. `since`: the moment from which this reader has one. Other sources: a disk
 * fails, or the power did.
 */
bool oracle_saw(struct oracle *o, uint64_t since, uint64_t began, const void *bytes,
		uint64_t sector, uint64_t count, char *why, size_t room);
void oracle_other_sources(struct oracle *o);
/* Somebody ever began to write there. */
bool oracle_is_touched(const struct oracle *o, uint64_t sector, uint64_t count);
uint64_t oracle_acknowledged_count(const struct oracle *o);
