/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know of this daemon, as control/status.h has it. */
#pragma once

#include "mdclusterd/control/status.h"

struct array_look;
struct config_array;
struct engine;
struct plane_look;
struct status;
struct status_array;
struct unit;

/* All but the arrays. */
void status_fill(const struct engine *e, struct status *s);
/* For what the array waits: what it says itself, or that it may not begin anew (M8). */
void status_fill_waits(const struct engine *e, const struct array_look *l, char to[STATUS_TEXT]);
/* Of one in the configuration that is no unit. */
void status_fill_down(const struct engine *e, const struct config_array *c,
		      struct status_array *a);
/* look: NULL: it has no plane. */
void status_fill_array(const struct engine *e, const struct unit *u,
		       const struct plane_look *look, struct status_array *a);
