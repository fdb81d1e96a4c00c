/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong, in plain words: from a status alone (pure). What is worst comes first;
 * the cause of a thing before the thing.
 */
#pragma once

#include <stddef.h>

#include "mdclusterd/control/status.h"

struct doctor_finding {
	enum status_health health;  /* FINE: nothing to do, but worth a word */
	char what[640];             /* what is stuck, and why */
	char next[512];             /* what to do, as a sentence; "": wait */
	char command[256];          /* to be typed; "": there is none */
};

enum { DOCTOR_MAX_FINDINGS = 64 };

/* How many; more than fit are not told. */
size_t doctor_examine(const struct status *s,
		      struct doctor_finding findings[DOCTOR_MAX_FINDINGS]);
