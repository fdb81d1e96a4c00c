/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens, once each: numbered, kept (the last EVENT_HUB_KEPT, but for those of
 * LOG_DEBUG, which come in thousands), logged, and passed to whoever subscribed, in order. Pure but for the log.
 */
#pragma once

#include <stdint.h>

#include <qb/qblist.h>

#include "mdclusterd/control/status.h"

struct event_hub;

enum { EVENT_HUB_KEPT = 1000 };

/* Its owner's; in the list between event_hub_subscribe() and _unsubscribe(). */
struct event_subscriber {
	/* May unsubscribe itself, nobody else. */
	void (*happened)(void *owner, const struct status_event *event);
	void *owner;
	struct qb_list_head link;
};

/* wall_us: the clock of the events. NULL: no memory. */
struct event_hub *event_hub_new(uint32_t self, uint64_t (*wall_us)(void));
void event_hub_free(struct event_hub *hub);

/* The hub fills in number, time_us and from. The text becomes a line of the log. */
void event_hub_add(struct event_hub *hub, const struct status_event *event);

void event_hub_subscribe(struct event_hub *hub, struct event_subscriber *s);
void event_hub_unsubscribe(struct event_subscriber *s);

/* The oldest that is kept and has at least this number; NULL: none. */
const struct status_event *event_hub_from(const struct event_hub *hub, uint64_t number);
