/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units as others see them: looking at one, telling it something, and all of them. */
#include "mdclusterd/daemon/unit.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/metadata_thread.h"
#include "mdclusterd/daemon/metadata_thread.h"
#include "mdclusterd/daemon/plane_thread.h"
#include "mdclusterd/daemon/unit_private.h"
#include "mdclusterd/record/recorder.h"

/* --- its plane's numbers --------------------------------------------------------------------------- */

void unit_tell_lookers(struct unit *u, const struct plane_look *look)
{
	struct qb_list_head lookers;

	qb_list_init(&lookers);
	qb_list_splice_tail(&u->lookers, &lookers);
	qb_list_init(&u->lookers);
	while (!qb_list_empty(&lookers)) {
		struct unit_looker *l = qb_list_first_entry(&lookers, struct unit_looker, link);

		qb_list_del(&l->link);
		l->done(l->owner, look);
	}
}

/* When the plane has answered, and the disks have, or their time is over. */
static void tell_what_is_known(struct unit *u)
{
	if (!u->is_looking || !u->has_looked || u->slots_limit)
		return;
	u->is_looking = false;
	unit_tell_lookers(u, u->has_look ? &u->look : NULL);
}

static void plane_has_looked(void *owner, struct plane_request *req, int result)
{
	struct unit *u = owner;

	(void)req;
	u->has_looked = true;
	u->has_look = result == 0;
	tell_what_is_known(u);
}

static void slots_limit_is_over(void *owner)
{
	struct unit *u = owner;

	u->slots_limit = NULL;
	tell_what_is_known(u);
}

static void slots_are_known(void *owner)
{
	struct unit *u = owner;

	loop_timer_cancel(u->slots_limit);
	u->slots_limit = NULL;
	tell_what_is_known(u);
}

void unit_read_slots(struct unit *u)
{
	struct err err = ERR_INIT;
	struct array_look look;

	if (!u->array || u->slots.is_reading)
		return;
	array_look(u->array, &look);
	if (slots_look_begin(&u->slots, &look, metadata_thread_runner(u->metadata),
			     clock_boot_ns(), slots_are_known, u) && u->slots.is_reading)
		u->slots_limit = loop_timer_start(u->engine->loop, SLOTS_WAIT_MS,
						  slots_limit_is_over, u, &err);
}

bool unit_slot_dirty(const struct unit *u, int slot, uint64_t *bytes)
{
	if (slot < 0 || slot >= SLOTS_LOOK_MAX || !(u->slots.known >> slot & 1))
		return false;
	*bytes = u->slots.dirty_bytes[slot];
	return true;
}

void unit_look(struct unit *u, struct unit_looker *l)
{
	struct plane *plane = u->plane ? unit_plane(u) : NULL;

	if (!plane) {
		l->done(l->owner, NULL);
		return;
	}
	qb_list_add_tail(&l->link, &u->lookers);
	if (u->is_looking)
		return; /* a moment old, then */
	u->is_looking = true;
	u->has_looked = false;
	u->asking = (struct plane_request){ .op = PLANE_LOOK, .look = &u->look,
					    .done = plane_has_looked, .owner = u };
	plane->ops->submit(plane, &u->asking);
}

void unit_look_no_more(struct unit_looker *l)
{
	qb_list_del(&l->link);
}

/* --- all ------------------------------------------------------------------------------------------- */

void units_set_quorate(struct engine *e, bool is_quorate)
{
	struct unit *u;

	qb_list_for_each_entry(u, &e->units, link)
		if (u->array)
			recorded_set_quorate(u->recorded, is_quorate);
}

void units_set_missing(struct engine *e, uint32_t node, bool is_missing)
{
	struct unit *u;

	qb_list_for_each_entry(u, &e->units, link)
		if (u->array)
			recorded_set_missing(u->recorded, node, is_missing);
}

/* --- looking ------------------------------------------------------------------------------------------- */

struct unit *unit_find(const struct engine *e, const char *name)
{
	struct unit *u;

	qb_list_for_each_entry(u, &e->units, link)
		if (strcmp(u->config.name, name) == 0)
			return u;
	return NULL;
}

struct unit *unit_next(const struct engine *e, const struct unit *u)
{
	const struct qb_list_head *next = u ? u->link.next : e->units.next;

	return next == &e->units ? NULL : qb_list_entry(next, struct unit, link);
}

const char *unit_name(const struct unit *u)
{
	return u->config.name;
}

const struct config_array *unit_config(const struct unit *u)
{
	return &u->config;
}

struct array *unit_array(const struct unit *u)
{
	return u->array;
}

struct plane *unit_plane(const struct unit *u)
{
	return plane_thread_plane(u->plane);
}

bool unit_metadata_is_idle(const struct unit *u)
{
	return !u->metadata || metadata_thread_is_idle(u->metadata);
}

const struct unit_reserve *unit_reserve(const struct unit *u)
{
	return u->reserve;
}

const char *unit_why(const struct unit *u)
{
	return u->array ? "" : u->why.text;
}

uint64_t unit_retry_at_ns(const struct unit *u)
{
	return u->retry ? u->retry_at_ns : 0;
}

const char *unit_socket_path(const struct unit *u)
{
	return u->config.is_exported ? u->socket_path : "";
}

void unit_set_speed(struct unit *u, uint64_t min_bytes, uint64_t max_bytes)
{
	u->config.resync_min_bytes = min_bytes;
	u->config.resync_max_bytes = max_bytes;
	if (u->array)
		recorded_set_speed(u->recorded, min_bytes, max_bytes);
}

int unit_check(struct unit *u, bool is_repair, struct err *err)
{
	if (!u->array)
		return err_set(err, -EAGAIN, "%s: is not active here", u->config.name);
	return recorded_check(u->recorded, is_repair, err);
}

void unit_check_cancel(struct unit *u)
{
	if (u->array)
		recorded_check_cancel(u->recorded);
}

int unit_fail_disk(struct unit *u, uint32_t role, struct err *err)
{
	if (!u->array)
		return err_set(err, -EAGAIN, "%s: is not active here", u->config.name);
	return recorded_fail_disk(u->recorded, role, err);
}

void unit_set_auto(struct unit *u, bool is_auto, bool re_adds)
{
	u->config.is_auto = is_auto;
	u->config.re_adds = re_adds;
}

void unit_set_budget(struct unit *u, uint64_t budget_bytes)
{
	u->config.intent_budget_bytes = budget_bytes;
	if (u->plane)
		plane_thread_set_budget(u->plane, budget_bytes);
}
