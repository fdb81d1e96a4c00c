/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the members of a group of corosync's say to each other: bytes and structs.
 * Pure. Little endian; each begins with magic u16, version u8, kind u8, then
 *
 *	1 hello   incarnation u64, round u64, highest seq u64, installed rep u32, seq u64,
 *	          view u64, count u16, count x (node u32, pid u32): who is left out
 *	2 ready   promise u64
 *	3 data    configuration (rep u32, seq u64), flags u8 (1 safe, 2 sync), bytes
 *	4 beat    configuration, sent u64: the sender's clock
 *	5 done    configuration
 *	6 ack     configuration, upto u64
 *	7 again   configuration
 *	8 evict   node u32, pid u32
 *
 * Numbers of configurations are below WIRE_MAX_NUMBER. Later versions may add to the end of all
 * but data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/wire.h"

/* A member of a group: the numbers of a node that restarts are others. */
struct cpg_process {
	uint32_t node, pid;
};

enum cpg_kind {
	CPG_HELLO = 1,
	CPG_READY,
	CPG_DATA,
	CPG_BEAT,
	CPG_DONE,
	CPG_ACK,
	CPG_AGAIN,
	CPG_EVICT,
	CPG_KIND_END,
};

enum {
	CPG_MAX_PROCESSES = 128, /* corosync's limit of a group */
	CPG_HEAD_BYTES = 4,
	CPG_DATA_HEAD_BYTES = CPG_HEAD_BYTES + 13,
	CPG_SMALL_BYTES = 64 + 8 * CPG_MAX_PROCESSES, /* the longest that is no data */
};

struct cpg_hello {
	uint64_t incarnation, round, high_seq, view;
	struct ring_id installed;
	struct cpg_process excluded[CPG_MAX_PROCESSES];
	uint16_t excluded_count;
};

struct cpg_packet {
	enum cpg_kind kind;
	struct ring_id config;     /* data, beat, done, ack, again */
	uint64_t number;           /* promise, sent, upto */
	struct cpg_process target; /* evict */
	struct cpg_hello hello;
	bool is_safe, is_sync;
	const uint8_t *payload;    /* borrowed */
	size_t length;
};

/* All but data; its length. */
size_t cpg_wire_write(const struct cpg_packet *p, uint8_t bytes[CPG_SMALL_BYTES]);
/* The head of data, before its payload. */
void cpg_wire_data(const struct cpg_packet *p, uint8_t bytes[CPG_DATA_HEAD_BYTES]);
/* -EBADMSG. What it points to is borrowed from `bytes`. */
int cpg_wire_read(const uint8_t *bytes, size_t length, struct cpg_packet *p);
