/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events: a stream is fed as things happen; what a slow reader does not take is lost to it,
 * and it is told how much with the next one that it takes.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "mdclusterd/daemon/methods.h"

struct events_call {
	struct method_call method;
	struct event_subscriber subscriber;
	uint64_t lost;
};

static void drop_events(struct method_call *m)
{
	struct events_call *c = (struct events_call *)m;

	event_hub_unsubscribe(&c->subscriber);
	free(c);
}

static void tell(struct events_call *c, const struct status_event *event)
{
	json_t *json = status_event_to_json(event);
	json_t *answer = json ? json_pack("{s:o}", "event", json) : NULL;

	if (answer && c->lost)
		json_object_set_new(answer, "lost", json_integer((json_int_t)c->lost));
	if (answer && control_continue(c->method.call, answer))
		c->lost = 0;
	else
		c->lost++;
}

static void happened(void *owner, const struct status_event *event)
{
	tell(owner, event);
}

static void list_events(const struct engine *e, struct control_call *call)
{
	const struct status_event *event;
	json_t *events = json_array();
	uint64_t number = 0;

	while ((event = event_hub_from(e->events, number)) != NULL) {
		json_array_append_new(events, status_event_to_json(event));
		number = event->number + 1;
	}
	control_reply(call, json_pack("{s:o}", "events", events));
}

void method_events(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const struct status_event *event;
	struct events_call *c;
	uint64_t number = 0;

	if (!control_wants_more(call)) {
		list_events(e, call);
		return;
	}
	c = method_new(e, call, sizeof(*c), drop_events);
	if (!c)
		return;
	c->subscriber = (struct event_subscriber){ .happened = happened, .owner = c };
	event_hub_subscribe(e->events, &c->subscriber);
	while (method_truth(parameters, "history") &&
	       (event = event_hub_from(e->events, number)) != NULL) {
		tell(c, event);
		number = event->number + 1;
	}
}
