/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events: numbered, kept, told to whoever subscribed, in order. */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mdclusterd/daemon/event_hub.h"

static uint64_t wall_us(void)
{
	return 77;
}

static const struct status_event something = { .kind = "state", .array = "web", .slot = -1,
					       .text = "is active", .priority = LOG_NOTICE };

struct reader {
	struct event_subscriber subscriber;
	uint64_t numbers[8];
	int count, leaves_after;
};

static void happened(void *owner, const struct status_event *event)
{
	struct reader *r = owner;

	r->numbers[r->count++] = event->number;
	if (r->count == r->leaves_after)
		event_hub_unsubscribe(&r->subscriber);
}

static void subscribe(struct event_hub *hub, struct reader *r)
{
	r->subscriber = (struct event_subscriber){ .happened = happened, .owner = r };
	event_hub_subscribe(hub, &r->subscriber);
}

static void subscribers_are_told_until_they_leave(void **state)
{
	struct event_hub *hub = event_hub_new(3, wall_us);
	struct reader once = { .leaves_after = 1 }, always = { 0 };

	(void)state;
	assert_non_null(hub);
	event_hub_add(hub, &something);
	subscribe(hub, &once);
	subscribe(hub, &always);
	event_hub_add(hub, &something);
	event_hub_add(hub, &something);
	assert_int_equal(once.count, 1);
	assert_int_equal(always.count, 2);
	assert_int_equal(always.numbers[0], 2);
	assert_int_equal(always.numbers[1], 3);
	event_hub_unsubscribe(&always.subscriber);
	event_hub_free(hub);
}

static void an_event_has_its_number_time_and_teller(void **state)
{
	struct event_hub *hub = event_hub_new(3, wall_us);
	const struct status_event *e;

	(void)state;
	assert_null(event_hub_from(hub, 0));
	event_hub_add(hub, &something);
	e = event_hub_from(hub, 0);
	assert_int_equal(e->number, 1);
	assert_int_equal(e->time_us, 77);
	assert_int_equal(e->from, 3);
	assert_string_equal(e->text, "is active");
	assert_null(event_hub_from(hub, 2));
	event_hub_free(hub);
}

static void the_last_thousand_are_kept(void **state)
{
	struct event_hub *hub = event_hub_new(3, wall_us);
	uint64_t number = 0;
	int count = 0;
	const struct status_event *e;

	(void)state;
	for (int i = 0; i < EVENT_HUB_KEPT + 5; i++)
		event_hub_add(hub, &something);
	assert_int_equal(event_hub_from(hub, 0)->number, 6);
	while ((e = event_hub_from(hub, number)) != NULL) {
		number = e->number + 1;
		count++;
	}
	assert_int_equal(count, EVENT_HUB_KEPT);
	assert_int_equal(number, EVENT_HUB_KEPT + 6);
	event_hub_free(hub);
}

static void windows_of_a_resync_push_nothing_out(void **state)
{
	struct event_hub *hub = event_hub_new(3, wall_us);
	struct status_event window = something;
	struct reader reader = { 0 };

	(void)state;
	window.priority = LOG_DEBUG;
	event_hub_add(hub, &something);
	for (int i = 0; i < 2 * EVENT_HUB_KEPT; i++)
		event_hub_add(hub, &window);
	subscribe(hub, &reader);
	event_hub_add(hub, &window);
	assert_int_equal(reader.count, 1); /* who follows is told */
	event_hub_unsubscribe(&reader.subscriber);
	event_hub_add(hub, &something);
	assert_int_equal(event_hub_from(hub, 0)->number, 1);
	assert_int_equal(event_hub_from(hub, 2)->number, 2 * EVENT_HUB_KEPT + 3);
	assert_null(event_hub_from(hub, 2 * EVENT_HUB_KEPT + 4));
	event_hub_free(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscribers_are_told_until_they_leave),
		cmocka_unit_test(an_event_has_its_number_time_and_teller),
		cmocka_unit_test(the_last_thousand_are_kept),
		cmocka_unit_test(windows_of_a_resync_push_nothing_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
