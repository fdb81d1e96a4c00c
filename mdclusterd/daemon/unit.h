/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A unit: one array in the engine, with its threads, its clock, and who waits for it.
 *
 *	found (a uuid is looked for) -> array_start ... ACTIVE ... array_stop -> gone
 *
 * One that could not start stays, and says why, until it is stopped or told again; one that
 * is to be there by itself (auto) is tried again, ever more rarely; one that the configuration
 * does not know, and that never was active, is gone then.
 */
#pragma once

#include <stdbool.h>

#include <qb/qblist.h>

#include "mdclusterd/array/array.h"
#include "mdclusterd/daemon/config.h"

struct engine;
struct err;
struct plane_look;
struct unit;
struct unit_reserve;

/* Who waits; in its owner's memory until done(). */
struct unit_waiter {
	struct qb_list_head link;
	/*
	 * result 0: it is active; stopped. The unit may be gone; or it waits for quorum to leave
	 * its lockspace in, with nothing open here.
	 */
	void (*done)(void *owner, int result, const struct err *why);
	void *owner;
};

/*
 * One that may start degraded does so at once where a person wants it, or gives members
 * that are missing config.degraded_after_ms to come.
 */
enum unit_patience { UNIT_AT_ONCE, UNIT_PATIENTLY };
/* c: copied. -EEXIST where there is one of this name that runs; NULL with a sentence. */
struct unit *unit_start(struct engine *e, const struct config_array *c,
			enum unit_patience patience, struct err *err);
/* A disk has come: what failed for lack of it is tried now. Nothing where it runs. */
void unit_again(struct unit *u);
/* Active, or failed. */
void unit_await(struct unit *u, struct unit_waiter *w);
/* Leaves; gone soon after. -EBUSY: clients, unless is_forced. `w` may be NULL. */
int unit_stop(struct unit *u, bool is_forced, struct unit_waiter *w, struct err *err);
void unit_forget(struct unit_waiter *w); /* does not wait any more */

struct unit *unit_find(const struct engine *e, const char *name);
struct unit *unit_next(const struct engine *e, const struct unit *u); /* NULL: the first */
const char *unit_name(const struct unit *u);
const struct config_array *unit_config(const struct unit *u);
/*
 * To look at; what changes it goes by the calls below. NULL: its disks are being looked
 * for, or it could not be made.
 */
struct array *unit_array(const struct unit *u);
struct plane *unit_plane(const struct unit *u);
bool unit_metadata_is_idle(const struct unit *u);
/* NULL: its disks are under none. */
const struct unit_reserve *unit_reserve(const struct unit *u);
/* "" while it has an array that tells. */
const char *unit_why(const struct unit *u);
/* When it is tried again; 0: not by itself. */
uint64_t unit_retry_at_ns(const struct unit *u);
/* "" where it is not exported. */
const char *unit_socket_path(const struct unit *u);

/* Who wants to know how its plane is; in its owner's memory until done(). */
struct unit_looker {
	struct qb_list_head link;
	/* NULL: there is no plane to ask. May come from within unit_look(). */
	void (*done)(void *owner, const struct plane_look *look);
	void *owner;
};
void unit_look(struct unit *u, struct unit_looker *l);
/*
 * Before unit_look(): whoever looks then waits for the slots of other nodes as well, a quarter
 * of a second at most.
 */
void unit_read_slots(struct unit *u);
bool unit_slot_dirty(const struct unit *u, int slot, uint64_t *bytes); /* false: not known */
void unit_look_no_more(struct unit_looker *l); /* not from done() on */

/* As those of array.h; -EAGAIN: it does not run. */
int unit_check(struct unit *u, bool is_repair, struct err *err);
void unit_check_cancel(struct unit *u);
int unit_fail_disk(struct unit *u, uint32_t role, struct err *err);
void unit_set_speed(struct unit *u, uint64_t min_bytes, uint64_t max_bytes);
void unit_set_auto(struct unit *u, bool is_auto, bool re_adds);
void unit_set_budget(struct unit *u, uint64_t budget_bytes);

/* All: */
void units_set_quorate(struct engine *e, bool is_quorate);
void units_set_missing(struct engine *e, uint32_t node, bool is_missing);
void units_look_at_kernels(struct engine *e); /* anew: kernel_watch.h */
/* Without a word to anybody: at the end, when all are stopped or nothing helps. */
void units_free(struct engine *e);
