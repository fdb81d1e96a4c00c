/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/event_hub.h"

#include <stdlib.h>

#include "base/log.h"

LOG_SUBSYSTEM(event);

struct event_hub {
	uint32_t self;
	uint64_t (*wall_us)(void);
	uint64_t next; /* number */
	struct qb_list_head subscribers;
	struct status_event kept[EVENT_HUB_KEPT]; /* the k-th at k modulo that */
	uint64_t kept_count;
};

struct event_hub *event_hub_new(uint32_t self, uint64_t (*wall_us)(void))
{
	struct event_hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return NULL;
	log_here.level = LOG_DEBUG; /* all that the log wants */
	hub->self = self;
	hub->wall_us = wall_us;
	hub->next = 1;
	qb_list_init(&hub->subscribers);
	return hub;
}

void event_hub_free(struct event_hub *hub)
{
	free(hub);
}

/* By what it is called; an id a level, since an event's words are of its kind. */
static void tell_log(const struct status_event *e)
{
	const char *array = e->array, *colon = *array ? ": " : "";

	if (e->priority <= LOG_ERR)
		log_error("MDC5450", "%s%s%s (%s)", array, colon, e->text, e->kind);
	else if (e->priority == LOG_WARNING)
		log_warning("MDC5451", "%s%s%s (%s)", array, colon, e->text, e->kind);
	else if (e->priority == LOG_NOTICE)
		log_notice("MDC5452", "%s%s%s (%s)", array, colon, e->text, e->kind);
	else
		log_write(&log_here, LOG_DEBUG, NULL, "%s%s%s (%s)", array, colon, e->text, e->kind);
}

void event_hub_add(struct event_hub *hub, const struct status_event *event)
{
	struct event_subscriber *s, *following;
	struct status_event e = *event;

	e.number = hub->next++;
	e.time_us = hub->wall_us();
	e.from = hub->self;
	tell_log(&e);
	/* thousands of windows of one resync would leave nothing else */
	if (e.priority < LOG_DEBUG)
		hub->kept[hub->kept_count++ % EVENT_HUB_KEPT] = e;
	qb_list_for_each_entry_safe(s, following, &hub->subscribers, link)
		s->happened(s->owner, &e);
}

void event_hub_subscribe(struct event_hub *hub, struct event_subscriber *s)
{
	qb_list_add_tail(&s->link, &hub->subscribers);
}

void event_hub_unsubscribe(struct event_subscriber *s)
{
	qb_list_del(&s->link);
}

const struct status_event *event_hub_from(const struct event_hub *hub, uint64_t number)
{
	uint64_t first = hub->kept_count > EVENT_HUB_KEPT ? hub->kept_count - EVENT_HUB_KEPT : 0;
	uint64_t end = hub->kept_count;

	while (first < end) {
		uint64_t middle = first + (end - first) / 2;

		if (hub->kept[middle % EVENT_HUB_KEPT].number < number)
			first = middle + 1;
		else
			end = middle;
	}
	return first < hub->kept_count ? &hub->kept[first % EVENT_HUB_KEPT] : NULL;
}
