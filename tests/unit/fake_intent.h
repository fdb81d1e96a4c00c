/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A write intent (bitmap/intent.h) without a disk, in the hands of the test: what it
 * answers, when bits become durable, and what the mirror told it.
 */
#pragma once

#include "bitmap/intent.h"

enum { FAKE_CHUNKS = 4096 };

struct intent {
	bool waits;               /* answers INTENT_WAIT; fake_intent_release() */
	struct qb_list_head waiting;
	uint32_t writing[FAKE_CHUNKS]; /* begun and not ended */
	bool is_durable[FAKE_CHUNKS];  /* a write may go on there */
	bool is_dirty[FAKE_CHUNKS];
	bool is_needed[FAKE_CHUNKS];
	uint32_t begun, ended, ended_durable, synced;
	bool is_degraded, is_gate_open;
	uint64_t events, whole_events; /* seen; when it was told that the array is whole */
	uint64_t lease_until;
	bool has_io;
	uint32_t gone;            /* roles that were taken out */
	/* fake_intent_answer() */
	struct intent_request *coming, *needing;
	int coming_result;
	bool has_no_memory;
};

struct intent *fake_intent_new(void);
void fake_intent_release(struct intent *in);
/* The slot is on a disk that comes; then what is needed is durable. */
void fake_intent_answer(struct intent *in);
