/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two files of the slot table hold together by this. */
#pragma once

#include <assert.h>

#include "lockres/dlm_slots.h"

struct dlm_seat *dlm_seat_of(struct dlm_slots *s, uint32_t node);
/* Behind a missing one of its node it waits; where there is no slot nothing happens. */
void dlm_seat_take(struct dlm_slots *s, const struct dlm_peer *peer);
/* The slot is free, and remembered; who waited for it has it. */
void dlm_seat_leave(struct dlm_slots *s, struct dlm_seat *seat);
