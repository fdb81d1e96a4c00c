/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The packets of the ring: bytes <-> structs. Little endian, versioned, every
 * length checked before use; what does not fit is refused with a reason and
 * nothing is believed in part.
 *
 * Header, 16 bytes, then a body a type (sources: Totem paper §4, corosync's
 * totemsrp.c for the roles; the layout is ours):
 *
 *	off  size
 *	0    2     magic 0x4d54
 *	2    1     version 1
 *	3    1     type
 *	4    2     features that the sender understands
 *	6    2     zero
 *	8    4     sender's node id
 *	12   4     hash of the cluster's name
 *
 * Pure: no allocation. Payloads are borrowed from the packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "totem/nodes.h"

enum {
	WIRE_MAGIC = 0x4d54,
	WIRE_VERSION = 1,
	WIRE_HEADER_BYTES = 16,
	WIRE_MAX_RTR = 32,   /* ranges of missing messages in a token */
	WIRE_MAX_HAVE = 6,   /* ranges of held messages in a commit entry */
	/* header + the fixed part of a data body */
	WIRE_DATA_OVERHEAD = WIRE_HEADER_BYTES + 12 + 8 + 8 + 4 + 1 + 12 + 8,
	WIRE_RANGE_BYTES = 8 + 4,
	WIRE_MAX_TOKEN = WIRE_HEADER_BYTES + 12 + 3 * 8 + 3 * 4 + 1 + 16 + 2 +
			 WIRE_MAX_RTR * WIRE_RANGE_BYTES,
	/* then 4 a node in each of its two sets */
	WIRE_JOIN_OVERHEAD = WIRE_HEADER_BYTES + 8 + 8 + 1 + 2 + 2 + 16,
	WIRE_COMMIT_OVERHEAD = WIRE_HEADER_BYTES + 12 + 8 + 2 + 2 + 2,
	/* a member's id, and its entry without ranges */
	WIRE_ENTRY_OVERHEAD = 4 + 1 + 12 + 4 * 8 + 1,
	WIRE_MAX_PACKET = 65536,
};

/*
 * The highest number that is believed of rings, tokens and messages: none gets
 * there by counting, and from there on sums do not wrap.
 */
#define WIRE_MAX_NUMBER ((1ull << 62) - 1)

enum wire_type {
	WIRE_TOKEN = 1,
	WIRE_DATA,
	WIRE_MERGE,
	WIRE_JOIN,
	WIRE_COMMIT,
	WIRE_HOLD_CANCEL,
	WIRE_TYPE_END,
};

/* Total identity of a configuration: both fields count. {0, 0} is none. */
struct ring_id {
	uint32_t rep; /* node id of the representative */
	uint64_t seq;
};

static inline bool ring_id_equal(struct ring_id a, struct ring_id b)
{
	return a.rep == b.rep && a.seq == b.seq;
}

/* Messages [first, first + count). */
struct seq_range {
	uint64_t first;
	uint32_t count;
};

struct wire_token {
	struct ring_id ring;
	uint64_t token_seq;     /* +1 a hop */
	uint64_t seq;           /* highest message assigned */
	uint64_t aru;           /* all received up to here */
	uint32_t aru_node;      /* who lowered it, 0: nobody */
	uint32_t flow_bytes;    /* sent by all in the last rotation */
	uint32_t backlog_bytes; /* waiting at all */
	uint8_t retrans;        /* members with old messages still to send */
	struct node_set plugged;/* by index in the ring's member list: services done */
	uint16_t rtr_count;
	struct seq_range rtr[WIRE_MAX_RTR];
};

enum wire_data_flag {
	WIRE_DATA_SAFE = 1,
	WIRE_DATA_RECOVERED = 2, /* an old ring's message, sent again on a new one */
	WIRE_DATA_SYNC = 4,      /* of the sync phase */
	WIRE_DATA_FLAGS = 7,
};

struct wire_data {
	struct ring_id ring;
	uint64_t seq;
	uint64_t round;     /* of the sender's token, for the accelerated ring */
	uint32_t origin;    /* node id of who first sent it */
	uint8_t flags;
	struct ring_id old_ring; /* with RECOVERED: where it comes from */
	uint64_t old_seq;
	const uint8_t *payload;
	size_t length;
};

struct wire_join {
	uint64_t ring_seq;    /* highest that the sender has seen */
	uint64_t incarnation; /* grows at every start of the sender */
	bool is_leave;
	struct node_set proc;   /* by index in the configuration */
	struct node_set failed;
	struct node_set evicted; /* of these; travels as a bit for each of them */
};

/* What one member says of the ring it comes from. */
struct wire_commit_entry {
	struct ring_id old_ring;
	uint64_t aru;       /* has all up to here */
	uint64_t high;      /* highest received */
	uint64_t delivered; /* highest delivered */
	uint64_t safe;      /* known to be held by all members of the old ring */
	bool is_filled;
	uint8_t have_count;
	struct seq_range have[WIRE_MAX_HAVE]; /* above aru */
};

/*
 * The commit token. What does not fit one packet goes in several, in any order:
 * each is a commit token with the entries of some of the members, and tells how
 * many there are in all, lest the part be taken for the whole.
 */
struct wire_commit {
	struct ring_id ring; /* the new one */
	uint64_t token_seq;
	uint16_t round;      /* 0: collecting, 1: telling, 2: starting */
	uint16_t total;      /* members in all; set by reading */
	struct node_set members; /* by index in the configuration, as ... */
	struct wire_commit_entry entries[TOTEM_MAX_NODES]; /* ... their entries */
};

enum wire_fault {
	WIRE_OK,
	WIRE_SHORT,          /* ends before its fields do */
	WIRE_LONG,           /* goes on behind its last field */
	WIRE_BAD_MAGIC,
	WIRE_BAD_VERSION,
	WIRE_BAD_TYPE,
	WIRE_WRONG_CLUSTER,
	WIRE_UNKNOWN_NODE,   /* sender, or somebody it names, is not configured */
	WIRE_BAD_FIELD,      /* a count or value that cannot be */
	WIRE_FAULT_COUNT,
};

const char *wire_fault_text(enum wire_fault fault);

/* Who speaks, and of what: common to reading and writing. */
struct wire_context {
	const struct node_table *nodes;
	uint32_t self;
	uint32_t cluster; /* wire_cluster_hash() */
};

uint32_t wire_cluster_hash(const char *name);

/* Checks the header. *from is the sender's index in the configuration. */
enum wire_fault wire_open(const struct wire_context *context,
			  const uint8_t *bytes, size_t length,
			  enum wire_type *type, int *from);

/* Bodies; `bytes` is the whole packet, already opened. */
enum wire_fault wire_read_token(const uint8_t *bytes, size_t length,
				struct wire_token *token);
enum wire_fault wire_read_data(const struct wire_context *context,
			       const uint8_t *bytes, size_t length,
			       struct wire_data *data);
enum wire_fault wire_read_ring(const uint8_t *bytes, size_t length,
			       struct ring_id *ring); /* MERGE, HOLD_CANCEL */
enum wire_fault wire_read_join(const struct wire_context *context,
			       const uint8_t *bytes, size_t length,
			       struct wire_join *join);
enum wire_fault wire_read_commit(const struct wire_context *context,
				 const uint8_t *bytes, size_t length,
				 struct wire_commit *commit);

/* Each gives the packet's length; `bytes` holds WIRE_MAX_PACKET. */
size_t wire_write_token(const struct wire_context *context,
			const struct wire_token *token, uint8_t *bytes);
size_t wire_write_data(const struct wire_context *context,
		       const struct wire_data *data, uint8_t *bytes);
size_t wire_write_ring(const struct wire_context *context, enum wire_type type,
		       struct ring_id ring, uint8_t *bytes);
size_t wire_write_join(const struct wire_context *context,
		       const struct wire_join *join, uint8_t *bytes);
/* `part`: of which members; `commit` knows all of them. */
size_t wire_write_commit(const struct wire_context *context,
			 const struct wire_commit *commit, struct node_set part,
			 uint8_t *bytes);
/* What the entry of member `index` takes in a packet, at most. */
size_t wire_entry_bytes(const struct wire_commit *commit, int index);
