/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCSI-3 persistent reservations as bytes: commands, their parameters, and what comes back.
 * SPC-4 (T10/1731-D): PERSISTENT RESERVE IN 6.15, OUT 6.16, fixed and descriptor sense 4.5.
 * Big-endian. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PR_CDB_BYTES = 10,
	PR_OUT_BYTES = 24,        /* the parameter list without transport ids */
	PR_MAX_KEYS = 512,
	PR_KEYS_BYTES = 8 + 8 * PR_MAX_KEYS,
	PR_RESERVATION_BYTES = 24,
	PR_CAPABILITIES_BYTES = 8,
	PR_SENSE_BYTES = 96,
};

enum pr_in { PR_READ_KEYS = 0, PR_READ_RESERVATION = 1, PR_REPORT_CAPABILITIES = 2 };
enum pr_out {
	PR_REGISTER = 0, PR_RESERVE = 1, PR_RELEASE = 2, PR_CLEAR = 3, PR_PREEMPT = 4,
	PR_PREEMPT_AND_ABORT = 5, PR_REGISTER_IGNORE = 6,
};
enum { PR_WRITE_EXCLUSIVE_REGISTRANTS = 5 }; /* the type; scope 0: the logical unit */

enum pr_status {
	PR_GOOD = 0x00, PR_CHECK_CONDITION = 0x02, PR_BUSY = 0x08,
	PR_RESERVATION_CONFLICT = 0x18, PR_TASK_SET_FULL = 0x28,
};

struct pr_keys {
	uint32_t generation;
	size_t count;      /* of keys; those past PR_MAX_KEYS were not told */
	bool is_cut;
	uint64_t keys[PR_MAX_KEYS];
};

struct pr_reservation {
	uint32_t generation;
	bool is_held;
	uint64_t key;      /* of the holder */
	uint8_t type;
};

struct pr_capabilities {
	bool persists;     /* PTPL_C: registrations can outlive a loss of power */
	bool has_type;     /* WRITE EXCLUSIVE - REGISTRANTS ONLY, as far as it says */
};

struct pr_sense {
	uint8_t key, asc, ascq;
};

void pr_in_cdb(enum pr_in action, uint16_t length, uint8_t cdb[PR_CDB_BYTES]);
void pr_out_cdb(enum pr_out action, uint8_t cdb[PR_CDB_BYTES]);
/* key: ours; action_key: the new one, or the victim's. aptpl: it shall persist. */
void pr_out_parameters(uint64_t key, uint64_t action_key, bool aptpl, uint8_t to[PR_OUT_BYTES]);

/* -EBADMSG: shorter than it says. */
int pr_read_keys(const uint8_t *bytes, size_t length, struct pr_keys *keys);
int pr_read_reservation(const uint8_t *bytes, size_t length, struct pr_reservation *r);
int pr_read_capabilities(const uint8_t *bytes, size_t length, struct pr_capabilities *c);
/* What is not understood is all zero. */
struct pr_sense pr_read_sense(const uint8_t *bytes, size_t length);

/* Upper half: of the cluster's name; lower half: the node's id, which is not 0. */
uint64_t pr_key(const char *cluster, uint32_t node);
