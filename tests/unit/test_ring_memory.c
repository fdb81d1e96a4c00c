/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is short for a while delays messages of a ring, and loses none. */
#include "tests/unit/ring_rig.h"

#include <stdlib.h>

#include "totem/queue.h"
#include "totem/wire.h"

enum { BYTES = 777 }; /* of each message: nothing else has this size */

static int every; /* so many allocations for a message: one fails; 0: none */
static int asked, refused;

void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);

/* The linker leads all of malloc() here. */
void *__wrap_malloc(size_t size)
{
	bool is_message = size == sizeof(struct queued) + BYTES ||
			  size == sizeof(struct queued) + 1400 -
					  WIRE_DATA_OVERHEAD;

	if (every && is_message && ++asked % every == 0) {
		refused++;
		return NULL;
	}
	return __real_malloc(size);
}

static void fail_every(int n)
{
	every = n;
	asked = refused = 0;
}

static void what_is_to_be_sent_waits_for_memory(void **state)
{
	int n, i;

	(void)state;
	for (n = 1; n <= 5; n++) {
		struct sim_world *w = ring_rig_new(3);

		fail_every(n);
		ring_rig_load(w, 20, BYTES);
		ring_rig_run(w, 300);
		assert_true(refused > 0);
		fail_every(0);
		ring_rig_run(w, 300);
		for (i = 0; i < 3; i++)
			assert_int_equal(checker_deliveries(w->checker, i), 60);
		ring_rig_free(w);
	}
}

static bool drop_first_hand_to_n3(const struct sim_world *w, int from, int to,
				  const uint8_t *bytes, size_t length)
{
	(void)from;
	(void)length;
	return to == 2 && bytes[3] == WIRE_DATA && w->nodes[4].ring;
}

/* A message in a message: both find their place, or it comes again (E3). */
static void what_is_recovered_waits_for_memory(void **state)
{
	int n;

	(void)state;
	for (n = 2; n <= 5; n++) {
		struct sim_world *w = ring_rig_new(5);

		w->is_dropped = drop_first_hand_to_n3;
		sim_send(w, 4, 20, BYTES, false);
		ring_rig_run(w, 3);
		assert_int_equal(checker_deliveries(w->checker, 2), 0);
		assert_int_equal(checker_deliveries(w->checker, 3), 20);
		fail_every(n);
		sim_crash(w, 4);
		ring_rig_ms_to_ring(w, 0xf, 1500);
		assert_true(refused > 0);
		fail_every(0);
		assert_int_equal(checker_deliveries(w->checker, 2), 20);
		ring_rig_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_to_be_sent_waits_for_memory),
		cmocka_unit_test(what_is_recovered_waits_for_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
