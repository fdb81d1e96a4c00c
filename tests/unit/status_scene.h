/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cluster that is well: three nodes, the array web on all of them. */
#pragma once

#include "mdclusterd/control/status.h"

/* status_fini() it. */
struct status status_scene(void);
