/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scrubs: Check goes on until it is over, and tells how far it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/daemon/methods.h"

enum { PROGRESS_MS = 500 };

struct check_call {
	struct method_call method;
	struct event_subscriber subscriber;
	struct loop_timer *timer;
	char array[CONFIG_NAME_BYTES];
	uint64_t done, total, mismatches;
};

static void drop_check(struct method_call *m)
{
	struct check_call *c = (struct check_call *)m;

	event_hub_unsubscribe(&c->subscriber);
	loop_timer_cancel(c->timer);
	free(c);
}

static json_t *progress(const struct check_call *c)
{
	return json_pack("{s:I, s:I, s:I}", "done", (json_int_t)c->done, "total",
			 (json_int_t)c->total, "mismatches", (json_int_t)c->mismatches);
}

static void look(struct check_call *c)
{
	struct unit *u = unit_find(c->method.engine, c->array);
	struct array_look l;

	if (!u || !unit_array(u))
		return;
	array_look(unit_array(u), &l);
	if (!l.kind_text || strcmp(l.kind_text, "resync") == 0)
		return;
	c->done = l.done_sectors;
	c->total = l.total_sectors;
	c->mismatches = l.mismatch_sectors;
}

static void tell_progress(void *owner)
{
	struct check_call *c = owner;
	struct err err = ERR_INIT;

	c->timer = loop_timer_start(c->method.engine->loop, PROGRESS_MS, tell_progress, c, &err);
	look(c);
	if (control_wants_more(c->method.call))
		control_continue(c->method.call, progress(c));
}

static void end(struct check_call *c, const struct status_event *event)
{
	struct control_call *call = c->method.call;
	json_t *last;

	look(c);
	c->mismatches = event->bytes / 512;
	last = progress(c);
	control_set_state(call, NULL);
	if (c->total == 0)
		method_refuse(call, -EBUSY, "%s: %s", c->array, event->text);
	else
		control_reply(call, last);
	drop_check(&c->method);
}

static void lost(struct check_call *c)
{
	struct control_call *call = c->method.call;

	control_set_state(call, NULL);
	drop_check(&c->method);
	method_refuse(call, -ECANCELED, "the array is not active here any more");
}

static void happened(void *owner, const struct status_event *event)
{
	struct check_call *c = owner;
	struct unit *u = unit_find(c->method.engine, c->array);
	struct array_look l = { .state = ARRAY_DOWN };

	if (strcmp(event->array, c->array) != 0)
		return;
	if (strcmp(event->kind, array_event_name(ARRAY_EVENT_CHECK_FINISHED)) == 0 &&
	    event->from == c->method.engine->config->nodes[c->method.engine->config->self].id) {
		end(c, event);
		return;
	}
	if (strcmp(event->kind, array_event_name(ARRAY_EVENT_STATE)) != 0)
		return;
	if (u && unit_array(u))
		array_look(unit_array(u), &l);
	if (l.state != ARRAY_ACTIVE)
		lost(c);
}

void method_check(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	struct unit *u = method_unit(e, call, parameters, "array");
	struct err err = ERR_INIT;
	struct check_call *c;

	if (!u)
		return;
	c = method_new(e, call, sizeof(*c), drop_check);
	if (!c)
		return;
	snprintf(c->array, sizeof(c->array), "%s", unit_name(u));
	c->subscriber = (struct event_subscriber){ .happened = happened, .owner = c };
	event_hub_subscribe(e->events, &c->subscriber);
	if (unit_check(u, method_truth(parameters, "repair"), &err) < 0) {
		control_set_state(call, NULL);
		drop_check(&c->method);
		control_fail(call, &err);
		return;
	}
	tell_progress(c);
}

void method_check_cancel(void *owner, struct control_call *call, const json_t *parameters)
{
	struct unit *u = method_unit(owner, call, parameters, "array");

	if (!u)
		return;
	unit_check_cancel(u);
	control_reply(call, NULL);
}
