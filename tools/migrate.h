/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can an array move between the kernel's md-cluster and mdclusterd, what stands in the way, and
 * how is it done. Judged from what is on the disks and what this host tells; nothing is done.
 * Pure: migrate.c and migrate_steps.c see facts alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bitmap/array.h"
#include "tools/kernel_view.h"

enum {
	MIGRATE_FINDINGS = 32,
	MIGRATE_STEPS = 16,
	MIGRATE_NODES = 64,
	MIGRATE_TEXT = 512,
	MIGRATE_FILE_TEXT = 8192,
};

enum migrate_weight {
	MIGRATE_BLOCKS, /* it cannot move as it is */
	MIGRATE_FIRST,  /* the steps deal with it */
	MIGRATE_NOTE,   /* to know */
};

struct migrate_finding {
	enum migrate_weight weight;
	const char *kind;            /* one word, for programs */
	char what[MIGRATE_TEXT];
	char remedy[MIGRATE_TEXT];   /* "": none is needed */
};

struct migrate_step {
	const char *where;           /* "every node", "one node", "the other nodes" */
	char why[MIGRATE_TEXT];
	const char *file;            /* NULL: `text` is a command; else what belongs in this file */
	char text[MIGRATE_FILE_TEXT];
};

struct migrate_node {
	uint32_t id;
	char address[64];
};

struct migrate_facts {
	bool is_to_kernel;
	const struct md_array *array;  /* NULL: load_err says why */
	struct err load_err;
	char *const *paths;            /* of the disks, as people are told them */
	size_t path_count;
	const struct kernel_view *kernel;
	const struct kernel_view_array *running; /* this host's kernel runs it; NULL: it does not */
	bool has_daemon;               /* one answers on this host, and these are known */
	char daemon_cluster[64];
	char daemon_array[64];         /* what it calls the array; "": it has none of its uuid */
	bool is_daemons;               /* it runs it */
	char release[64];              /* of this host's kernel */
	bool has_modules;              /* md-cluster and dlm are there */
	struct migrate_node nodes[MIGRATE_NODES]; /* of the kernel's cluster, where it tells */
	size_t node_count;
};

struct migration {
	bool is_to_kernel;
	bool is_possible;              /* nothing blocks it */
	bool is_known;                 /* the next five, from the superblocks */
	char name[MD_NAME_BYTES + 1];  /* without its host */
	uint8_t uuid[16];
	char cluster[BITMAP_CLUSTER_NAME_BYTES + 1];
	int32_t level;
	uint32_t raid_disks, slots;
	struct migrate_finding findings[MIGRATE_FINDINGS];
	size_t finding_count;
	struct migrate_step steps[MIGRATE_STEPS]; /* none where it is blocked */
	size_t step_count;
	bool is_gather_due;            /* to the kernel: others than slot 0 are dirty */
};

void migrate_judge(const struct migrate_facts *facts, struct migration *to);
/* Of migrate_judge(), which calls it. */
void migrate_make_steps(const struct migrate_facts *facts, struct migration *to);
