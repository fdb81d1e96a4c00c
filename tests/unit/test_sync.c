/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sync services: Y1 to Y6 are the promises of totem/sync.h. Whole clusters of them,
 * on rings that break, are in the simulator (groups, hang).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/clock.h"
#include "tests/unit/bus.h"

/* Numbers that no true service has. */
#define NOTES ((enum sync_service_id)5)
#define JOURNAL ((enum sync_service_id)6)

/* A service that writes down what it is asked: "i" init, "2:x" state, "a!" ... */
struct service {
	struct node *node;
	enum sync_service_id id;
	const char *tells;  /* a message a letter */
	size_t told;
	size_t bytes;       /* of each message; 0: one */
	bool is_stuck;
	bool waits; /* for what node 3 has to tell */
	char trace[256];
};

static void note(struct service *s, const char *text)
{
	assert_true(strlen(s->trace) + strlen(text) < sizeof(s->trace));
	strcat(s->trace, text);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct service *s = owner;

	assert_true(set_has(&c->members, (int)(s->node - s->node->bus->nodes)));
	s->told = 0;
	note(s, "i ");
}

static enum sync_progress on_process(void *owner)
{
	static char large[SYNC_MAX_MESSAGE];
	struct service *s = owner;

	while (s->tells[s->told]) {
		struct iovec part = { large, s->bytes ? s->bytes : 1 };
		int r;

		large[0] = s->tells[s->told];
		r = sync_tell(s->node->sync, s->id, &part, 1);
		if (r == -EAGAIN) {
			note(s, "full ");
			return SYNC_AGAIN;
		}
		assert_int_equal(r, 0);
		s->told++;
	}
	if (s->waits && !strstr(s->trace, "3:"))
		return SYNC_WAITS;
	return s->is_stuck ? SYNC_AGAIN : SYNC_DONE;
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct service *s = owner;
	char text[16];

	assert_int_equal(length, s->bytes ? s->bytes : 1);
	(void)snprintf(text, sizeof(text), "%d:%c ", from + 1, bytes[0]);
	note(s, text);
	if (s->waits)
		sync_go_on(s->node->sync);
}

static void on_abort(void *owner)
{
	note(owner, "abort ");
}

static void on_activate(void *owner)
{
	note(owner, "active ");
}

static void enlist(struct service *s, struct bus *bus, int node, enum sync_service_id id,
		   const char *tells)
{
	static const struct sync_service_ops ops = {
		.init = on_init,
		.process = on_process,
		.deliver = on_deliver,
		.abort = on_abort,
		.activate = on_activate,
	};

	*s = (struct service){ .node = &bus->nodes[node], .id = id, .tells = tells };
	sync_register(s->node->sync, id, id == NOTES ? "notes" : "journal", &ops, s);
}

static void saw(struct service *s, const char *expected)
{
	assert_string_equal(s->trace, expected);
	s->trace[0] = '\0';
}

static void all_tell_all_and_activate_together(void **state)
{
	struct bus *bus = bus_new();
	struct service s[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		enlist(&s[i], bus, i, NOTES, i == 1 ? "bc" : "a");
	bus_configure(bus, "123");
	bus_run(bus);
	for (int i = 0; i < 3; i++) {
		assert_true(strstr(s[i].trace, "1:a ") && strstr(s[i].trace, "2:b 2:c ") &&
			    strstr(s[i].trace, "3:a "));
		assert_string_equal(s[i].trace, s[0].trace);
		assert_string_equal(s[i].trace + strlen(s[i].trace) - 7, "active ");
		assert_true(sync_is_active(bus->nodes[i].sync));
		assert_true(sync_is_quorate(bus->nodes[i].sync));
	}
	bus_free(bus);
}

/* Y1, row 15: nobody hears before it has begun, though another began long ago. */
static void all_services_begin_before_any_hears(void **state)
{
	struct bus *bus = bus_new();
	struct service notes[2], journal[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		enlist(&journal[i], bus, i, JOURNAL, "j");
		enlist(&notes[i], bus, i, NOTES, "n");
	}
	bus_configure(bus, "12");
	for (int i = 0; i < 2; i++) {
		saw(&notes[i], "i ");
		saw(&journal[i], "i ");
	}
	bus_run(bus);
	saw(&notes[0], "2:n 1:n active ");
	saw(&journal[0], "2:j 1:j active ");
	bus_free(bus);
}

/* Y2, row 1: at every point of the phase, and who was done is aborted as well. */
static void an_attempt_that_ends_early_is_aborted_everywhere(void **state)
{
	(void)state;
	for (int packets = 0; packets < 4; packets++) {
		struct bus *bus = bus_new();
		struct service s[3];

		for (int i = 0; i < 3; i++)
			enlist(&s[i], bus, i, NOTES, "x");
		bus_configure(bus, "123");
		for (int k = 0; k < packets; k++)
			bus_tell_stage(bus, 3);
		bus_crash(bus, 2);
		for (int i = 0; i < 2; i++)
			s[i].trace[0] = '\0';
		bus_configure(bus, "12");
		saw(&s[0], "abort i ");
		saw(&s[1], "abort i ");
		bus_run(bus);
		saw(&s[0], "2:x 1:x active ");
		saw(&s[1], "2:x 1:x active ");
		assert_int_equal(sync_stats(bus->nodes[0].sync)->aborts, 1);
		/* what was activated is not aborted by the next */
		bus_configure(bus, "1");
		saw(&s[0], "i ");
		bus_free(bus);
	}
}

/* One that keeps nothing of an attempt has nothing to forget. */
static void a_service_without_an_abort_begins_anew(void **state)
{
	static const struct sync_service_ops ops = {
		.init = on_init,
		.process = on_process,
		.deliver = on_deliver,
		.activate = on_activate,
	};
	struct bus *bus = bus_new();
	struct service s;

	(void)state;
	s = (struct service){ .node = &bus->nodes[0], .id = NOTES, .tells = "x" };
	sync_register(s.node->sync, NOTES, "notes", &ops, &s);
	bus_configure(bus, "12");
	bus_crash(bus, 1);
	bus_configure(bus, "1");
	bus_run(bus);
	saw(&s, "i i 1:x active ");
	bus_free(bus);
}

static void a_full_queue_is_filled_again(void **state)
{
	struct bus *bus = bus_new();
	struct service s[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		enlist(&s[i], bus, i, NOTES, i ? "" : "abcd");
		s[i].bytes = 500000;
	}
	bus_configure(bus, "12");
	bus_run(bus);
	saw(&s[0], "i full 1:a full 1:b 1:c 1:d active ");
	saw(&s[1], "i 1:a 1:b 1:c 1:d active ");
	bus_free(bus);
}

/* Refused for a little that is still in the queue: it is asked for again. */
static void a_message_that_needs_the_whole_queue_is_sent(void **state)
{
	struct bus *bus = bus_new();
	struct service notes, journal;
	uint8_t packet[BUS_ROOM];
	bool is_safe;
	struct node *n = &bus->nodes[0];

	(void)state;
	enlist(&notes, bus, 0, NOTES, "x");
	enlist(&journal, bus, 0, JOURNAL, "j");
	notes.bytes = 300; /* unsent, while journal asks */
	journal.bytes = SYNC_MAX_MESSAGE;
	bus_configure(bus, "1");
	bus_tell_stage(bus, 1);
	assert_non_null(strstr(journal.trace, "full "));
	/* one packet takes all that is queued: there is still something to send */
	assert_true(sync_fill(n->sync, packet, BUS_ROOM, &is_safe) > 0);
	assert_true(sync_backlog(n->sync) > 0);
	bus_free(bus);
}

static void who_is_broken_is_neither_active_nor_quorate(void **state)
{
	struct bus *bus = bus_new();
	struct service s[3];
	struct sync *y = bus->nodes[0].sync;

	(void)state;
	for (int i = 0; i < 3; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	bus_configure(bus, "123");
	bus_run(bus);
	assert_true(sync_is_active(y) && sync_is_quorate(y));
	sync_break(y, "has no memory");
	assert_false(sync_is_active(y) || sync_is_quorate(y));
	bus->nodes[0].broken = NULL;
	bus_free(bus);
}

static void who_waits_for_something_goes_on_later(void **state)
{
	struct bus *bus = bus_new();
	struct service s[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	s[1].is_stuck = true;
	bus_configure(bus, "12");
	bus_run(bus);
	assert_int_equal(set_count(sync_waiting_for(bus->nodes[0].sync)), 1);
	assert_true(sync_unfinished(bus->nodes[0].sync, 1) == 1u << NOTES);
	assert_string_equal(sync_service_name(bus->nodes[0].sync, NOTES), "notes");
	s[1].is_stuck = false;
	sync_go_on(bus->nodes[1].sync);
	bus_run(bus);
	assert_true(sync_is_active(bus->nodes[0].sync));
	bus_free(bus);
}

/* Y5: named after half of the time, gone after all of it; or left out. */
static void who_does_not_finish_is_named_then_leaves_then_is_evicted(void **state)
{
	const uint64_t half = 15 * NS_PER_S;
	struct bus *bus = bus_new();
	struct service s[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	s[1].is_stuck = true;
	bus_configure(bus, "12");
	bus_run(bus);
	for (int i = 0; i < 2; i++) {
		struct node *n = &bus->nodes[i];

		assert_true(sync_deadline(n->sync) == half);
		sync_advance(n->sync, half - 1);
		assert_true(set_is_empty(n->late));
		sync_advance(n->sync, half);
		assert_true(set_equal(n->late, set_of(1)));
		assert_null(n->broken);
		sync_advance(n->sync, 2 * half);
		assert_true(set_is_empty(n->evicted));
	}
	assert_non_null(bus->nodes[1].broken);
	assert_true(sync_deadline(bus->nodes[1].sync) == UINT64_MAX);
	assert_null(bus->nodes[0].broken);
	sync_advance(bus->nodes[0].sync, 3 * half);
	assert_true(set_equal(bus->nodes[0].evicted, set_of(1)));
	bus->nodes[1].broken = NULL;
	bus_free(bus);
}

/* Y5: one that does not even greet holds up the others, and they are not to blame. */
static void who_does_not_greet_is_evicted(void **state)
{
	const uint64_t half = 15 * NS_PER_S;
	struct bus *bus = bus_new();
	struct node *n = &bus->nodes[0];
	struct service s[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	bus_configure(bus, "12");
	bus_send_one(n);
	while (bus_read_one(n))
		;
	assert_true(set_equal(sync_waiting_for(n->sync), set_of(1)));
	sync_advance(n->sync, half);
	assert_true(set_equal(n->late, set_of(1)));
	sync_advance(n->sync, 2 * half);
	assert_null(n->broken);
	sync_advance(n->sync, 3 * half);
	assert_true(set_equal(n->evicted, set_of(1)));
	bus_free(bus);
}

/* Y5: who waits for another's state is not to blame; the other is named, and goes. */
static void who_waits_for_the_culprit_stays(void **state)
{
	const uint64_t half = 15 * NS_PER_S;
	struct bus *bus = bus_new();
	struct service s[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		enlist(&s[i], bus, i, NOTES, i == 2 ? "" : "x");
		s[i].waits = i < 2;
	}
	s[2].is_stuck = true;
	bus_configure(bus, "123");
	bus_run(bus);
	for (uint64_t k = 1; k <= 3; k++)
		for (int i = 0; i < 3; i++)
			sync_advance(bus->nodes[i].sync, k * half);
	assert_non_null(bus->nodes[2].broken);
	for (int i = 0; i < 2; i++) {
		assert_null(bus->nodes[i].broken);
		assert_true(set_equal(bus->nodes[i].late, set_of(2)));
		assert_true(set_equal(bus->nodes[i].evicted, set_of(2)));
	}
	bus->nodes[2].broken = NULL;
	bus_free(bus);
}

/* What it waited for has come: from then on it is itself who holds up the others. */
static void who_waited_and_is_stuck_then_is_to_blame(void **state)
{
	const uint64_t half = 15 * NS_PER_S;
	struct bus *bus = bus_new();
	struct service s[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		enlist(&s[i], bus, i, NOTES, i == 2 ? "y" : "x");
		s[i].waits = i < 2;
	}
	s[1].is_stuck = true;
	bus_configure(bus, "123");
	bus_run(bus);
	for (uint64_t k = 1; k <= 2; k++)
		sync_advance(bus->nodes[0].sync, k * half);
	assert_true(set_equal(bus->nodes[0].late, set_of(1)));
	assert_null(bus->nodes[0].broken);
	s[1].is_stuck = false;
	sync_go_on(bus->nodes[1].sync);
	bus_run(bus);
	assert_true(sync_is_active(bus->nodes[0].sync));
	bus_free(bus);
}

/* Y5: where all are late, as with a storage that stalls, nobody holds up anybody. */
static void nobody_leaves_where_all_are_late(void **state)
{
	const uint64_t half = 15 * NS_PER_S;
	struct bus *bus = bus_new();
	struct service s[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		enlist(&s[i], bus, i, NOTES, "x");
		s[i].is_stuck = true;
	}
	bus_configure(bus, "12");
	bus_run(bus);
	for (uint64_t k = 1; k < 9; k++)
		for (int i = 0; i < 2; i++)
			sync_advance(bus->nodes[i].sync, k * half);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(set_count(bus->nodes[i].late), 2);
		assert_null(bus->nodes[i].broken);
		assert_true(set_is_empty(bus->nodes[i].evicted));
	}
	/* one is done: now the other one holds it up */
	s[0].is_stuck = false;
	sync_go_on(bus->nodes[0].sync);
	bus_run(bus);
	sync_advance(bus->nodes[1].sync, 9 * half);
	assert_non_null(bus->nodes[1].broken);
	bus->nodes[1].broken = NULL;
	bus_free(bus);
}

/* Y6: the majority's last configuration wins over a newer one of a minority. */
static void the_epoch_is_the_last_quorate_configuration(void **state)
{
	struct bus *bus = bus_new();
	struct service s[5];
	struct ring_id epoch;

	(void)state;
	for (int i = 0; i < 5; i++)
		enlist(&s[i], bus, i, NOTES, "");
	bus_configure(bus, "12345");
	bus_run(bus);
	bus_configure(bus, "123");
	bus_run(bus);
	epoch = bus->nodes[0].log->id;
	bus_configure(bus, "45"); /* of a higher number */
	bus_run(bus);
	assert_false(sync_is_quorate(bus->nodes[3].sync));
	assert_true(ring_id_equal(sync_epoch(bus->nodes[0].sync), epoch));
	assert_true(ring_id_equal(sync_epoch(bus->nodes[4].sync), bus->logs[0]->id));
	bus_configure(bus, "12345");
	bus_run_from(bus, 0);
	for (int i = 0; i < 5; i++) {
		const struct sync *y = bus->nodes[i].sync;
		struct node_set winners = sync_winners(y);

		assert_int_equal(winners.bits[0], 7);
		assert_true(ring_id_equal(sync_epoch_of(y, 2), epoch));
		assert_true(ring_id_equal(sync_epoch(y), bus->nodes[0].log->id));
	}
	bus_free(bus);
}

/* Nodes of different versions: what one does not know does not hold it back. */
static void a_service_that_only_some_have(void **state)
{
	struct bus *bus = bus_new();
	struct service s[2], more;

	(void)state;
	for (int i = 0; i < 2; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	enlist(&more, bus, 1, JOURNAL, "new");
	bus_configure(bus, "12");
	bus_run(bus);
	saw(&more, "i 2:n 2:e 2:w active ");
	assert_true(sync_is_active(bus->nodes[0].sync));
	assert_int_equal(sync_stats(bus->nodes[0].sync)->faults[SYNC_FAULT_SERVICE], 3);
	bus_free(bus);
}

/* Rule 5 of the design: from a member that has the key, and is out of its mind. */
static void hostile_messages_are_counted_and_dropped(void **state)
{
	static const struct {
		enum sync_fault fault;
		size_t length;
		uint8_t bytes[20];
	} cases[] = {
		{ SYNC_FAULT_MESSAGE, 0, { 0 } },
		{ SYNC_FAULT_MESSAGE, 1, { 9 } },
		{ SYNC_FAULT_MESSAGE, 1, { 1 } },
		{ SYNC_FAULT_MESSAGE, 13, { 1 } },
		{ SYNC_FAULT_MESSAGE, 14, { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ SYNC_FAULT_MESSAGE, 15, { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 32 } },
		{ SYNC_FAULT_MESSAGE, 16, { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5 } },
		{ SYNC_FAULT_ORDER, 15, { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5 } },
		{ SYNC_FAULT_MESSAGE, 1, { 2 } },
		{ SYNC_FAULT_ORDER, 3, { 2, JOURNAL, 'x' } },
		{ SYNC_FAULT_ORDER, 3, { 2, 200, 'x' } },
		{ SYNC_FAULT_MESSAGE, 1, { 3 } },
		{ SYNC_FAULT_MESSAGE, 3, { 3, NOTES, 0 } },
		{ SYNC_FAULT_ORDER, 2, { 3, 200 } },
		{ SYNC_FAULT_ORDER, 2, { 3, JOURNAL } },
		{ SYNC_FAULT_MESSAGE, 2, { 4, NOTES } },
		{ SYNC_FAULT_MESSAGE, 3, { 4, NOTES, 2 } },
		{ SYNC_FAULT_ORDER, 3, { 4, JOURNAL, 1 } },
	};
	struct bus *bus = bus_new();
	struct service s[2];
	struct node *n = &bus->nodes[0];

	(void)state;
	for (int i = 0; i < 2; i++)
		enlist(&s[i], bus, i, NOTES, "x");
	bus_configure(bus, "12");
	bus_tell_stage(bus, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint64_t *faults = sync_stats(n->sync)->faults;
		uint8_t packet[32] = { 0x51, (uint8_t)(cases[i].length << 2 | 1) };
		size_t length = 5 + cases[i].length;
		uint64_t before = faults[cases[i].fault];

		memcpy(packet + 5, cases[i].bytes, cases[i].length);
		sync_deliver(n->sync, n->log->id, 1, packet, length);
		assert_int_equal(faults[cases[i].fault], before + 1);
		before = faults[SYNC_FAULT_STRANGER];
		/* not in the ring, not configured, of another ring */
		sync_deliver(n->sync, n->log->id, 2, packet, length);
		sync_deliver(n->sync, n->log->id, TOTEM_NO_INDEX, packet, length);
		sync_deliver(n->sync, (struct ring_id){ 1, 1 }, 1, packet, length);
		assert_int_equal(faults[SYNC_FAULT_STRANGER], before + 3);
	}
	saw(&s[0], "i ");
	bus_run(bus);
	saw(&s[0], "1:x 2:x active ");
	/* and nothing more is state now */
	sync_deliver(n->sync, n->log->id, 1, (const uint8_t *)"\x51", 1);
	assert_int_equal(sync_stats(n->sync)->faults[SYNC_FAULT_ORDER], 7);
	saw(&s[0], "");
	bus_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_tell_all_and_activate_together),
		cmocka_unit_test(all_services_begin_before_any_hears),
		cmocka_unit_test(an_attempt_that_ends_early_is_aborted_everywhere),
		cmocka_unit_test(a_service_without_an_abort_begins_anew),
		cmocka_unit_test(a_full_queue_is_filled_again),
		cmocka_unit_test(who_waits_for_something_goes_on_later),
		cmocka_unit_test(who_does_not_finish_is_named_then_leaves_then_is_evicted),
		cmocka_unit_test(who_does_not_greet_is_evicted),
		cmocka_unit_test(a_message_that_needs_the_whole_queue_is_sent),
		cmocka_unit_test(who_is_broken_is_neither_active_nor_quorate),
		cmocka_unit_test(who_waits_for_the_culprit_stays),
		cmocka_unit_test(who_waited_and_is_stuck_then_is_to_blame),
		cmocka_unit_test(nobody_leaves_where_all_are_late),
		cmocka_unit_test(the_epoch_is_the_last_quorate_configuration),
		cmocka_unit_test(a_service_that_only_some_have),
		cmocka_unit_test(hostile_messages_are_counted_and_dropped),
	};

	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
