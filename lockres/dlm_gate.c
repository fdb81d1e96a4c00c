/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Four flags and two numbers: the order of what may happen is in the header. */
#include "lockres/dlm_gate.h"

void dlm_gate_init(struct dlm_gate *gate)
{
	*gate = (struct dlm_gate){ .is_stale = true };
}

bool dlm_gate_missing(struct dlm_gate *gate)
{
	bool is_first = gate->is_in && !gate->is_frozen;

	gate->is_stale = true;
	if (is_first)
		gate->is_frozen = true;
	return is_first;
}

void dlm_gate_changed(struct dlm_gate *gate)
{
	gate->is_stale = true;
}

bool dlm_gate_bar(struct dlm_gate *gate, bool is_missing, bool lingers)
{
	if (!gate->is_stale || gate->is_barred || is_missing || lingers)
		return false;
	gate->is_stale = false;
	gate->is_barred = true;
	return true;
}

bool dlm_gate_unbar(struct dlm_gate *gate)
{
	gate->is_barred = false;
	if (gate->is_stale)
		return false; /* V4 */
	gate->is_in = true;
	gate->is_frozen = false;
	return true;
}

uint64_t dlm_gate_round(struct dlm_gate *gate)
{
	return ++gate->rounds_sent;
}

void dlm_gate_round_back(struct dlm_gate *gate, uint64_t number)
{
	if (number > gate->rounds_back && number <= gate->rounds_sent)
		gate->rounds_back = number;
}

bool dlm_gate_passes(const struct dlm_gate *gate, bool is_group_pending, uint64_t round)
{
	return gate->is_in && !gate->is_frozen && !is_group_pending &&
	       round <= gate->rounds_back;
}
