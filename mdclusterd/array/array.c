/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of an array. The states are those of array.h:
 *
 *	DOWN --> ASSEMBLING --> JOINING --> OWNING --> ACTIVATING --> STARTING
 *	              ^                                                   |
 *	              |            (FROZEN <--)     ACTIVE <-- GATHERING <+
 *	              +---- LOST <--- from each but DOWN, FAILED, LEAVING
 *	      DOWN, FAILED <--- LEAVING <--- from each
 */
#include "mdclusterd/array/array_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

/* --- states -------------------------------------------------------------------------- */

#define TO(state) (1u << ARRAY_##state)

static const uint32_t moves[ARRAY_STATES] = {
	[ARRAY_DOWN] = TO(ASSEMBLING),
	[ARRAY_ASSEMBLING] = TO(JOINING) | TO(LEAVING) | TO(LOST),
	[ARRAY_JOINING] = TO(OWNING) | TO(LEAVING) | TO(LOST),
	[ARRAY_OWNING] = TO(ACTIVATING) | TO(LEAVING) | TO(LOST),
	[ARRAY_ACTIVATING] = TO(STARTING) | TO(LEAVING) | TO(LOST),
	[ARRAY_STARTING] = TO(GATHERING) | TO(LEAVING) | TO(LOST),
	[ARRAY_GATHERING] = TO(ACTIVE) | TO(LEAVING) | TO(LOST),
	[ARRAY_ACTIVE] = TO(FROZEN) | TO(LEAVING) | TO(LOST),
	[ARRAY_FROZEN] = TO(ACTIVATING) | TO(LEAVING) | TO(LOST),
	[ARRAY_LEAVING] = TO(DOWN) | TO(FAILED),
	[ARRAY_LOST] = TO(ASSEMBLING) | TO(LEAVING),
	[ARRAY_FAILED] = TO(ASSEMBLING) | TO(LEAVING),
};

void array_move(struct array *a, enum array_state to)
{
	assert(moves[a->state] >> to & 1);
	a->state = to;
	a->state_since_ns = array_now(a);
	a->must_go = true;
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_STATE,
		.text = array_state_name(to),
	});
}

/* --- ASSEMBLE -------------------------------------------------------------------------- */

void array_cannot(struct array *a, const struct err *why)
{
	if (a->ending)
		return;
	a->why = *why;
	if (a->was_active) {
		a->ending = END_LOST;
		retry_later(a, &a->life_retry);
	} else {
		a->ending = END_FAIL;
	}
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_RETRY,
		.text = why->text,
	});
	array_move(a, a->was_active ? ARRAY_LOST : ARRAY_LEAVING);
}

static int judge(const struct metadata_view *view, struct err *err)
{
	if (view->geo.nodes < 1 || view->geo.nodes > ARRAY_MAX_NODES)
		return err_set(err, -EOPNOTSUPP, "the bitmap has %u slots: 1 to %d are served",
			       view->geo.nodes, ARRAY_MAX_NODES);
	return 0;
}

static void assembled(struct array *a, struct metadata_request *req, int result)
{
	if (a->ending)
		return;
	if (result < 0) {
		array_cannot(a, &req->err);
		return;
	}
	if (judge(req->view, &req->err) < 0) {
		array_cannot(a, &req->err);
		return;
	}
	a->has_view = true;
	disks_take_view(a, req->view);
	if (!join_open(a))
		return;
	array_move(a, ARRAY_JOINING);
}

static void assemble_go(struct array *a)
{
	struct metadata_request *req = &a->life_work.req;

	if (a->life_work.is_out || !retry_may(a, &a->life_retry))
		return;
	*req = (struct metadata_request){
		.paths = a->config.paths,
		.path_count = a->config.path_count,
		.cluster = a->cluster,
		.may_start_degraded = a->config.may_start_degraded,
		.view = &a->life_work.view,
	};
	array_work(a, &a->life_work, METADATA_ASSEMBLE, assembled);
}

/* --- START, GATHER, ACTIVE --------------------------------------------------------------- */

static void started(struct array *a, struct plane_request *req, int result)
{
	if (result < 0) {
		array_cannot(a, &req->err);
		return;
	}
	a->is_plane_started = true;
	disks_started(a);
	resync_set_needed(a, req->needed_chunks);
	a->plane->ops->set_speed(a->plane, a->max_speed_bytes);
	if (a->ending)
		return;
	for (uint32_t i = 0; i < a->view.geo.nodes; i++) {
		struct array_slot *s = &a->slots[i];

		if ((int)i == a->our_slot)
			continue;
		s->must_read = s->is_member;
		s->is_mapped = !s->is_member;
	}
	array_move(a, ARRAY_GATHERING);
}

static void start_go(struct array *a)
{
	struct plane_request *req = &a->life_ask.req;

	if (a->life_ask.is_out)
		return;
	a->plane_view = a->view;
	a->plane->handlers = &array_plane_handlers;
	a->plane->owner = a;
	*req = (struct plane_request){
		.view = &a->plane_view,
		.slot = (uint32_t)a->our_slot,
	};
	array_ask(a, &a->life_ask, PLANE_START, started);
}

static void gather_go(struct array *a)
{
	if (!members_all_recovered(a) || !slots_are_settled(a) || a->is_reload_owed ||
	    !tell_is_stored(a) || a->recovery.step != RECOVERY_NONE || !fail_is_known(a) ||
	    a->reload.must_tell)
		return;
	a->was_active = true;
	retry_fine(&a->life_retry);
	a->why = (struct err)ERR_INIT;
	array_move(a, ARRAY_ACTIVE);
}

static void serving(struct array *a, struct plane_request *req, int result)
{
	if (a->ending)
		return;
	if (result < 0)
		array_cannot(a, &req->err);
}

static void serve_go(struct array *a)
{
	if (a->is_serving)
		return;
	a->is_serving = true;
	a->life_ask.req = (struct plane_request){ 0 };
	array_ask(a, &a->life_ask, PLANE_SERVE, serving);
}

static void life_go(struct array *a)
{
	if (a->ending) {
		leave_go(a);
		return;
	}
	if (a->is_lost || a->is_broken) {
		a->ending = END_LOST;
		retry_later(a, &a->life_retry);
		array_move(a, ARRAY_LOST);
		return;
	}
	switch (a->state) {
	case ARRAY_ASSEMBLING:
		assemble_go(a);
		break;
	case ARRAY_JOINING:
	case ARRAY_OWNING:
		join_go(a);
		break;
	case ARRAY_ACTIVATING:
		activate_go(a);
		break;
	case ARRAY_STARTING:
		start_go(a);
		break;
	case ARRAY_GATHERING:
		gather_go(a);
		break;
	case ARRAY_ACTIVE:
		serve_go(a);
		break;
	case ARRAY_FROZEN:
		freeze_go(a);
		break;
	case ARRAY_DOWN:
	case ARRAY_LEAVING:
	case ARRAY_LOST:
	case ARRAY_FAILED:
	case ARRAY_STATES:
		break;
	}
}

/* --- what the plane is told without an answer ---------------------------------------------- */

static void gate_go(struct array *a)
{
	bool is_open = a->state == ARRAY_ACTIVE && !a->ending && a->is_quorate &&
		       !a->is_lost && !a->is_broken;

	if (is_open == a->is_gate_open)
		return;
	a->is_gate_open = is_open;
	if (array_has_plane(a))
		a->plane->ops->set_gate(a->plane, is_open);
	array_tell_event(a, (struct array_event){
		.kind = ARRAY_EVENT_GATE,
		.text = is_open ? "open" : "shut",
	});
}

static void single_source_go(struct array *a)
{
	bool is_on = members_want_single_source(a);

	if (!array_has_plane(a) || is_on == a->is_single_source)
		return;
	a->is_single_source = is_on;
	a->plane->ops->set_single_source(a->plane, is_on);
}

/* --- what can be done now ---------------------------------------------------------------- */

void array_go(struct array *a)
{
	a->must_go = true;
	if (a->is_going)
		return;
	a->is_going = true;
	while (a->must_go) {
		a->must_go = false;
		gate_go(a); /* the first of all (V8, D13) */
		life_go(a);
		reload_go(a);
		slots_go(a);
		recovery_go(a);
		messages_go(a);
		fail_go(a);
		change_go(a);
		grow_go(a);
		rebuild_go(a);
		scrub_go(a);
		resync_go(a);
		tell_go(a);
		single_source_go(a);
		gate_go(a);
	}
	a->is_going = false;
	look_note_wait(a);
	array_set_deadline(a);
}

/* --- life ------------------------------------------------------------------------------ */

struct array *array_new(const struct array_config *config, struct lockspace_engine *locks,
			struct metadata_runner *metadata, struct plane *plane,
			const struct array_ops *ops, void *owner, struct err *err)
{
	struct array *a = calloc(1, sizeof(*a));

	if (a) {
		a->name = strdup(config->name);
		a->cluster = config->cluster ? strdup(config->cluster) : NULL;
	}
	if (!a || !a->name || (config->cluster && !a->cluster)) {
		array_free(a);
		err_nomem(err, "an array");
		return NULL;
	}
	a->config = *config;
	a->config.name = a->name;
	a->config.cluster = a->cluster;
	a->locks = locks;
	a->metadata = metadata;
	a->plane = plane;
	a->ops = *ops;
	a->owner = owner;
	a->our_slot = -1;
	a->deadline_ns = UINT64_MAX;
	a->reload.setting = ARRAY_NO_ROLE;
	change_init(a);
	a->state_since_ns = array_now(a);
	array_set_speed(a, config->resync_min_bytes, config->resync_max_bytes);
	for (int i = 0; i < ARRAY_MAX_NODES; i++) {
		a->slots[i].array = a;
		a->slots[i].number = i;
	}
	return a;
}

void array_free(struct array *a)
{
	if (!a)
		return;
	join_forget(a);
	free(a->name);
	free(a->cluster);
	free(a);
}

void array_start(struct array *a)
{
	if (a->state != ARRAY_DOWN && a->state != ARRAY_FAILED)
		return;
	a->why = (struct err)ERR_INIT;
	a->was_active = false;
	retry_fine(&a->life_retry);
	array_move(a, ARRAY_ASSEMBLING);
	array_go(a);
}

void array_give_up(struct array *a, const struct err *why)
{
	if (a->ending || a->state == ARRAY_DOWN || a->state == ARRAY_FAILED ||
	    a->state == ARRAY_ASSEMBLING)
		return;
	array_cannot(a, why);
	array_go(a);
}

void array_set_quorate(struct array *a, bool is_quorate)
{
	a->is_quorate = is_quorate;
	array_go(a);
}

void array_set_speed(struct array *a, uint64_t min_bytes, uint64_t max_bytes)
{
	a->min_speed_bytes = min_bytes ? min_bytes : ARRAY_RESYNC_MIN_BYTES;
	a->max_speed_bytes = max_bytes ? max_bytes : ARRAY_RESYNC_MAX_BYTES;
	if (array_has_plane(a))
		a->plane->ops->set_speed(a->plane,
					 a->max_speed_bytes);
}
