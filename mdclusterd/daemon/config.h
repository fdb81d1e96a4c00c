/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration, mdclusterd.conf(5), as structs. The file is the same on all nodes but
 * for paths: who is meant by it is `this_node`, or the host's name.
 *
 * Each mistake is told, with its line, all of them at once: what libconfuse stops at (an
 * unknown option, say) is blanked out and the rest is read on; only where the braces and
 * quotes make no sense is that the last word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mdclusterd/fence/plan.h"
#include "mdclusterd/quorum/quorum.h"
#include "totem/nodes.h"
#include "totem/transport_udp.h"

struct err;

#define CONFIG_DEFAULT_PATH "/etc/mdcluster/mdclusterd.conf"

enum {
	CONFIG_NAME_BYTES = 64,
	CONFIG_MAX_ARRAYS = 256,
	CONFIG_MAX_DISKS = 32,
	CONFIG_DEGRADED_AFTER_MS = 30000, /* as mdadm's last resort */
	CONFIG_MAX_READ_ERRORS = 20,      /* as md's */
};

struct config_node {
	char name[CONFIG_NAME_BYTES];
	uint32_t id, votes;
	union transport_address address;
	bool has_port;             /* of its own, not totem's */
	int line;
};

struct config_array {
	char name[CONFIG_NAME_BYTES];
	/* Of the members; or, with a uuid, patterns of where to look for them. */
	char *disks[CONFIG_MAX_DISKS];
	size_t disk_count;
	uint8_t uuid[16];
	bool has_uuid;
	bool may_start_degraded, fails_without_quorum, is_exported, is_auto, re_adds;
	uint32_t degraded_after_ms; /* how long one that starts by itself waits for members */
	uint64_t resync_min_bytes, resync_max_bytes; /* a second; 0: array.h's */
	uint64_t intent_budget_bytes;                /* 0: 30 s of resync */
	uint32_t max_read_errors;                    /* of a disk, lately */
	uint32_t export_mode;
	char export_group[CONFIG_NAME_BYTES];        /* "": root's alone */
};

/* What orders the daemons' messages, and what grants their locks. */
enum config_engine { CONFIG_ENGINE_TOTEM, CONFIG_ENGINE_COROSYNC };
enum config_locks { CONFIG_LOCKS_RING, CONFIG_LOCKS_LIBDLM };

enum config_fence_method {
	CONFIG_FENCE_OBITUARY = 1,
	CONFIG_FENCE_COMMAND = 2,
	CONFIG_FENCE_DLM = 4, /* what dlm_controld has fenced; with CONFIG_LOCKS_LIBDLM */
};


struct config {
	enum config_engine engine; /* corosync: nodes and name of the cluster are its own */
	enum config_locks locks;
	char cluster[CONFIG_NAME_BYTES];
	char *key_file;            /* NULL: crypto = none */
	bool takes_all;            /* incremental = all: also arrays that are not below */
	bool re_adds;              /* those; and these where nothing else is said */
	struct config_node nodes[TOTEM_MAX_NODES]; /* by id */
	int node_count, self;      /* self: index */

	uint32_t token_ms, sync_deadline_ms, lease_ms;
	struct quorum_options quorum;
	char *tie_breaker;         /* a disk; NULL: none */
	uint32_t tie_breaker_io_timeout_ms;
	uint32_t mtu_bytes;
	union transport_address multicast; /* AF_UNSPEC: none */
	uint8_t multicast_ttl;

	struct config_array *arrays;
	size_t array_count;

	struct {
		uint32_t methods;       /* bits */
		struct fence_plan plan; /* a command that methods name is its level */
	} fence;

	struct {
		char *device;           /* NULL: none */
		uint32_t timeout_s, drain_ms;
		bool takes_software;
	} watchdog;

	char *run_dir, *state_dir;
	char control_group[CONFIG_NAME_BYTES];
	bool locks_memory;
	int log_target, log_level; /* enum log_target, LOG_*; -1: not said */
};

/* Once a mistake, by line; line 0: of the file as a whole. */
typedef void (*config_mistake_fn)(void *owner, int line, const char *sentence);

/*
 * NULL: -EINVAL, there was any mistake; -EAGAIN: none but that corosync does not run, or does
 * not answer, which may pass; and others where the file cannot be read.
 * Keys are not looked at here.
 */
struct config *config_read(const char *path, config_mistake_fn mistake, void *owner,
			   struct err *err);
/*
 * The same from text in memory, which ends with a NUL byte; host: this machine's name. With
 * `engine = corosync` its nodes come from `ask`, which returns 0 or -errno with a sentence.
 */
struct corosync_map;
typedef int (*config_ask_fn)(struct corosync_map *map, struct err *err);
struct config *config_parse(const char *text, const char *host, config_ask_fn ask,
			    config_mistake_fn mistake, void *owner, struct err *err);
void config_free(struct config *c); /* NULL is fine */
/*
 * Asks each fence agent what it can be told, which takes a moment for each, and compares.
 * Returns whether there was no mistake.
 */
bool config_check_agents(const struct config *c, config_mistake_fn mistake, void *owner);

/* Index in nodes, or -1. */
int config_node_by_name(const struct config *c, const char *name);
int config_node_by_id(const struct config *c, uint32_t id);
void config_node_table(const struct config *c, struct node_table *table);
const struct config_array *config_array(const struct config *c, const char *name);
/* Owned strings and all. -ENOMEM. */
int config_array_copy(struct config_array *to, const struct config_array *from);
void config_array_fini(struct config_array *a);
