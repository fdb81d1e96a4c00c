/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the blocks of an array may hold, by what was written and what was promised: a write
 * counts from its submission, and takes the place of all that were over before that when it
 * is done; after a power cut, of all that were over before that only if it was durable.
 * Writes that overlap in time may come in either order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ORACLE_BLOCK = 4096 };

struct oracle;

struct oracle *oracle_new(uint32_t blocks);
void oracle_free(struct oracle *o);

/* Its moment, for what began then. */
uint64_t oracle_now(struct oracle *o);

/* A write of new contents to [first, first + count), or of zeroes. Returns its number. */
uint64_t oracle_begin(struct oracle *o, uint32_t first, uint32_t count, bool is_zero);
/* What the write has for this block. */
void oracle_fill(uint64_t write, uint32_t block, uint8_t to[ORACLE_BLOCK]);
/* is_ok: it is what will be read. Else it may be, or not, until something else is. */
void oracle_end(struct oracle *o, uint64_t write, uint32_t first, uint32_t count,
		bool is_ok, bool is_durable);
/* All that was over and well before `began` is durable. */
void oracle_flushed(struct oracle *o, uint64_t began);

/* For a read of the block that began at `began`. */
bool oracle_may_read(struct oracle *o, uint32_t block, uint64_t began,
		     const uint8_t *data);
/* Behind a power cut, on a disk: sector by sector. */
bool oracle_may_survive(struct oracle *o, uint32_t block, const uint8_t *data);
/* This is what is there: nothing else counts any more. */
void oracle_settle(struct oracle *o, uint32_t block, const uint8_t *data);
