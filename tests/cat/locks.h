/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The locks of totem-cat: lockspaces and locks by hand, on the ring's lock manager,
 * what comes of them as lines, and dumps for `mdcluster locks --file`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"
#include "lockres/lock_manager.h"
#include "totem/station.h"

struct err;

struct cat_locks {
	struct lock_manager *manager;
	struct station_config config; /* who there is */
	struct loop *loop;
	struct loop_job now;
	struct loop_timer *later;
	struct qb_list_head spaces;
};

/* Between station_open() and station_start(). 0, -ENOMEM, ... */
int cat_locks_open(struct cat_locks *l, struct station *station,
		   const struct station_config *config, struct loop *loop,
		   struct err *err);
/* Before station_close(); of one that was never opened, too. */
void cat_locks_close(struct cat_locks *l);

/*
 * A line without its '/': open, close, lock, convert, unlock, dead, orphans, locks. False:
 * it is for somebody else.
 */
bool cat_locks_command(struct cat_locks *l, const char *line, size_t length);
