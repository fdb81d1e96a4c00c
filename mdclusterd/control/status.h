/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a daemon tells of itself: structs, and the same as JSON (mdcluster-json(7),
 * "status" and "event"). The daemon fills the structs and writes, tools read and print: so
 * both sides have one description. What is read comes from anybody: every length is checked,
 * unknown fields are skipped, missing ones are 0.
 *
 * Ages are in ns at the moment of the answer; sizes in bytes; places in 512-byte sectors.
 * Strings are the struct's own memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct err;

enum {
	STATUS_MAX_NODES = 128,
	STATUS_MAX_DISKS = 32,
	STATUS_MAX_ARRAYS = 1024,
	STATUS_TEXT = 256,
};

#define STATUS_SCHEMA "mdcluster/1" /* "schema" of what is written */

/* The exit status of `mdcluster status`: the worst of what is told. */
enum status_health {
	STATUS_FINE = 0,
	STATUS_DEGRADED = 1, /* data is served, something is missing or being mended */
	STATUS_DOWN = 2,     /* data is not served here */
	STATUS_UNKNOWN = 4,  /* nobody answers */
};

struct status_node {
	uint32_t id;
	char name[64];
	char address[64];
	bool is_self, is_member;     /* of the ring's configuration */
	bool is_dead;                /* proven, and not back */
	uint64_t incarnation;        /* 0: not known */
	uint64_t since_ns;           /* member, or missing, since */
	char waits[STATUS_TEXT];     /* "": nothing; "proof of death, 12 s: fence agent, attempt 2" */
};

struct status_disk {
	char path[STATUS_TEXT];
	char state[16];              /* in_sync faulty spare rebuild missing stale */
	uint32_t role, number;       /* number: kept as long as it is a member */
	uint64_t recovered_sectors;  /* rebuild: below it holds everything; of member_sectors */
	bool is_by_bitmap;           /* rebuild: only what was written without it is missing */
	uint64_t reads, writes, read_bytes, written_bytes, errors;
	uint64_t read_errors;        /* of them */
	uint64_t corrected_sectors;  /* could not be read, were written anew, and can be */
	uint64_t recent_read_errors; /* places, halved each hour: max_read_errors is about them */
	uint32_t in_flight;
};

struct status_member {               /* a node of an array */
	uint32_t node;
	int32_t slot;
	char state[16];              /* active missing recovering */
	bool owes_resync;
	uint64_t low, high;          /* its window; equal: none */
	uint64_t dirty_bytes;        /* of its slot, where known: this node's */
	uint64_t since_ns;
};

struct status_array {
	char name[64];
	char uuid[37];
	char level[16];              /* raid1 raid10 */
	char state[16];              /* array_state_name() */
	bool is_stopped;             /* down on purpose: by hand, or nobody has assembled it */
	uint64_t state_since_ns;
	uint64_t size_bytes;
	uint64_t member_sectors;     /* of each disk */
	uint32_t raid_disks, disks_in_sync;
	uint64_t degraded_since_ns;  /* age; 0: it is not */
	int32_t slot;
	bool is_gate_open, is_single_source;
	uint64_t dirty_bytes, needed_bytes, chunk_bytes;
	char activity[16];           /* "" resync check repair recovery */
	uint64_t done_sectors, total_sectors, mismatch_sectors, speed_bytes, eta_ns;
	/* a second; and how much may be dirty, 0: as much as is resynced in 30 s */
	uint64_t resync_min_bytes, resync_max_bytes, intent_budget_bytes;
	uint32_t max_read_errors;
	uint32_t clients;
	uint32_t parked;             /* ios that wait */
	uint64_t parked_since_ns;
	char waits[STATUS_TEXT];
	uint64_t waits_since_ns;
	bool needs_disk;             /* that is what it waits for, to resync to */
	char export_path[STATUS_TEXT]; /* the NBD socket; "" before it serves */
	char reservation_key[24];    /* "0xaaaa000000000001": ours on its disks; "": none */
	struct status_disk disks[STATUS_MAX_DISKS];
	uint32_t disk_count;
	struct status_member members[STATUS_MAX_NODES];
	uint32_t member_count;
};

struct status {
	char cluster[64];
	char version[32];
	uint32_t node;
	bool is_quorate;
	uint32_t votes, quorum, expected;
	char quorum_waits[STATUS_TEXT]; /* why there is none; "" where there is */
	char ring_state[16];         /* gather commit recovery operational */
	uint64_t ring_seq;
	uint32_t ring_rep;
	uint64_t token_ns;           /* mean rotation */
	uint64_t uptime_ns;
	struct status_node nodes[STATUS_MAX_NODES];
	uint32_t node_count;
	struct status_array *arrays; /* owned: status_fini() */
	uint32_t array_count;
};

void status_fini(struct status *s); /* twice is fine */
enum status_health status_health(const struct status *s);
enum status_health status_array_health(const struct status *s, const struct status_array *a);
const char *status_health_name(enum status_health health); /* "fine" */
/* New reference, or NULL: no memory. */
json_t *status_to_json(const struct status *s);
/* -EBADMSG names the field, and nothing is owned then. Initialises *s. */
int status_from_json(const json_t *json, struct status *s, struct err *err);

/* Something that happened, once. */
struct status_event {
	uint64_t number;             /* grows by one, of this daemon's life */
	uint64_t time_us;            /* wall clock, since 1970 */
	char kind[40];               /* array_event_name(), or "node_joined", "quorum_lost", ... */
	char array[64];              /* "" where it is of the cluster */
	uint32_t node;               /* whom it is about; 0: nobody */
	uint32_t from;               /* the node that tells */
	bool is_ours;                /* this node reports it for the whole cluster */
	int32_t slot;                /* -1: none */
	int32_t role;                /* -1: none */
	char disk[STATUS_TEXT];      /* path of the one that it is about; "": of none, or unknown */
	uint64_t low, high, bytes;
	char text[STATUS_TEXT];      /* a sentence for people */
	int32_t priority;            /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO */
};
json_t *status_event_to_json(const struct status_event *e);
int status_event_from_json(const json_t *json, struct status_event *e, struct err *err);
