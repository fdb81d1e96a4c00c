/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock manager of totem-cat: its life and its clock. */
#include "tests/cat/locks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "tests/cat/locks_private.h"

/* --- the manager's clock ------------------------------------------------------------------ */

static void arm(struct cat_locks *l);

static void advance(void *owner)
{
	struct cat_locks *l = owner;

	l->later = NULL;
	lock_manager_advance(l->manager, clock_boot_ns());
	arm(l);
}

static void advance_now(void *owner)
{
	struct cat_locks *l = owner;

	loop_timer_cancel(l->later);
	advance(l);
}

static void arm(struct cat_locks *l)
{
	uint64_t at = lock_manager_deadline(l->manager), now = clock_boot_ns();
	struct err err = ERR_INIT;

	loop_timer_cancel(l->later);
	l->later = NULL;
	if (at <= now)
		loop_soon(l->loop, &l->now);
	else if (at != UINT64_MAX)
		l->later = loop_timer_start(l->loop,
					    (uint32_t)min_u64((at - now) / 1000000 + 1,
							      60000),
					    advance, l, &err);
	if (err.code < 0)
		fprintf(stderr, "totem-cat: locks: %s\n", err.text);
}

static uint64_t op_now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void op_armed(void *owner)
{
	arm(owner);
}

static void op_deadlock(void *owner, const char *lockspace, const char *cycle)
{
	(void)owner;
	printf("-- deadlock in %s: %s\n", lockspace, cycle);
	fflush(stdout);
}

static void op_diverged(void *owner, uint32_t node, const char *lockspace)
{
	(void)owner;
	printf("-- node %u has other locks in %s\n", node, lockspace);
	fflush(stdout);
}

/* --- life ----------------------------------------------------------------------------------- */

int cat_locks_open(struct cat_locks *l, struct station *station,
		   const struct station_config *config, struct loop *loop, struct err *err)
{
	static const struct lock_manager_ops ops = {
		.now = op_now, .armed = op_armed, .deadlock = op_deadlock,
		.diverged = op_diverged,
	};
	const struct lock_manager_config c = {
		.nodes = config->nodes,
		.self = config->self,
		.incarnation = station_incarnation(station),
	};
	struct totem *totem = station_totem(station);

	*l = (struct cat_locks){ .config = *config, .loop = loop };
	l->now = (struct loop_job){ .fn = advance_now, .owner = l };
	qb_list_init(&l->spaces);
	l->manager = lock_manager_new(&c, totem_sync(totem), totem_groups(totem), &ops, l,
				      err);
	return l->manager ? 0 : err->code;
}

void cat_locks_close(struct cat_locks *l)
{
	struct cat_space *s, *next_space;
	struct cat_lock *k, *next;

	if (!l->manager)
		return;
	loop_soon_cancel(&l->now);
	loop_timer_cancel(l->later);
	lock_manager_free(l->manager);
	qb_list_for_each_entry_safe(s, next_space, &l->spaces, link) {
		qb_list_for_each_entry_safe(k, next, &s->all, link)
			free(k);
		free(s);
	}
}
