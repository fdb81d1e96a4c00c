/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoint stores of five nodes on a bus that stands for ring, groups and sync:
 * a list of messages a configuration, that all read in order at their own pace,
 * and configurations that the test decides, with what extended virtual synchrony
 * leaves open: what was not safe yet is delivered by the partition that sent it.
 */
#pragma once

#include "tests/unit/help.h"

#include "totem/checkpoint.h"
#include "totem/group.h"
#include "totem/sync.h"

enum { BUS_NODES = 5, BUS_MAX_LOGS = 64 };

enum bus_kind { BUS_SYNC, BUS_JOIN, BUS_DATA };

struct bus_entry {
	struct bus_entry *next; /* in a node's queue */
	enum bus_kind kind;
	int from;
	size_t length;
	uint8_t bytes[];
};

/* The order of one configuration. */
struct bus_log {
	struct ring_id id;
	struct node_set members, winners, in_group, done;
	struct ring_id epochs[BUS_NODES];
	struct bus_entry **entries; /* owned */
	size_t count, room;
	size_t stable; /* entries that all members hold */
};

/* What the real one does for a store, and no more. */
struct sync {
	const struct sync_service_ops *ops;
	void *owner;
	bool is_telling; /* from init to activate or abort */
	bool is_done, has_more;
	bool is_active;  /* once */
	bool is_quorate; /* the active configuration */
	int told;        /* in this call of process() */
	bool was_refused;
	const char *broken;
};

struct bus_node {
	struct bus *bus;
	int index;
	struct sync sync;
	struct group_engine engine;
	struct group group;
	struct group_handlers handlers;
	struct checkpoint_store *store; /* NULL: it is down */
	struct bus_log *log;            /* NULL: alone, in no configuration */
	size_t read;
	bool is_joined;
	struct node_set view;
	struct bus_entry *queue, **queue_end; /* owned; not sent yet */
	size_t queued;
	bool wants_credit;
	struct ring_id epoch;           /* outlives a crash */
	uint64_t incarnation;
	int opened, activated, replaced;
	bool starves;                   /* its allocations are counted */
};

struct bus {
	struct bus_node nodes[BUS_NODES];
	struct bus_log *logs[BUS_MAX_LOGS];
	int log_count;
	int first;          /* who acts first in a round */
	long budget;        /* actions until run() stops; below 0: no end */
	int tells;          /* of one process(); 0: no end */
	size_t credit;      /* messages a node may have queued */
	bool has_no_hook;   /* checkpoint_transitional() is not called */
};

struct bus *bus_new(void);
/* Nobody must be broken. */
void bus_free(struct bus *bus);
void bus_crash(struct bus *bus, int i);
void bus_start(struct bus *bus, int i);
/* "123": these are a configuration now. */
void bus_configure(struct bus *bus, const char *nodes);
/* These send what they have queued, and nobody else holds it yet. */
void bus_send(struct bus *bus, const char *nodes);
/* Somebody says this in the sync phase. */
void bus_inject(struct bus *bus, int from, const void *bytes, size_t length);
/* Until nothing more happens, or the budget is spent: then false. */
bool bus_run(struct bus *bus);
/* All five, joined, with the same state. */
struct bus *bus_of_five(void);
/* All of these nodes hold the same. */
void bus_check_equal(const struct bus *bus, const char *nodes);

/* The n-th allocation from here (0: the next) in a node that starves, and all later
 * ones, fail; below 0: none does. */
extern long bus_allocations;
/* Every allocation fails, in whatever the test calls by itself. */
void bus_starve(bool is_starving);

/* --- users ---------------------------------------------------------------------- */

enum { PENDING = 1 };

/* Of a request. */
struct answer {
	int result; /* PENDING */
	int count;
};

struct user {
	struct checkpoint_handle *handle;
	int result; /* of its open; PENDING */
	int opened, lost;
};

void on_answer(void *answer, int result);
extern const struct checkpoint_handlers user_handlers;

/* Asks, and does not run. What was said at once. */
int ask_open(struct bus *bus, int node, const char *name, unsigned int flags,
	     struct user *u);
int ask_write(struct user *u, const char *section, const char *data,
	      struct answer *a);
int ask_delete(struct user *u, const char *section, struct answer *a);
int ask_unlink(struct bus *bus, int node, const char *name, struct answer *a);

/* Asks, runs, and gives the answer. */
int now_open(struct bus *bus, int node, const char *name, unsigned int flags,
	     struct user *u);
int now_write(struct bus *bus, struct user *u, const char *section, const char *data);
int now_delete(struct bus *bus, struct user *u, const char *section);
int now_unlink(struct bus *bus, int node, const char *name);
void now_close(struct bus *bus, struct user *u);

/* What is there, or fails. */
void check_section(struct user *u, const char *section, const char *data);
/* "a#1:2 b#2:0 a#3:1!": name, number, references, and whether it is unlinked. */
void check_store(const struct bus *bus, int node, const char *wanted);
/* "x=1 y=2": the sections of a checkpoint. */
void check_sections(const struct bus *bus, int node, uint64_t number,
		    const char *wanted);
