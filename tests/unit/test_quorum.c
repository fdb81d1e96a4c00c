/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What quorum tells and remembers, as bytes; what it does not take. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/quorum/quorum.h"

static const uint8_t boot[QUORUM_BOOT_BYTES] = { 7 };

static struct quorum_options three(int self)
{
	struct quorum_options o = { .nodes = { { 1, 2, 3 }, 3 }, .self = self,
				    .votes = { 1, 1, 1 }, .is_last_man_standing = true,
				    .last_man_standing_window_ns = 10 };

	return o;
}

static struct quorum *new_one(int self, const uint8_t *memory)
{
	struct quorum_options o = three(self);
	struct err err = ERR_INIT;
	struct quorum *q = quorum_new(&o, boot, memory, &err);

	assert_non_null(q);
	return q;
}

/* The nodes of `members` in one configuration, and whether the first one won. */
static bool meet(struct quorum **all, struct node_set members, uint64_t now)
{
	uint8_t bytes[QUORUM_MEMORY_BYTES];

	for (int i = 0; i < 3; i++)
		if (set_has(&members, i))
			quorum_begin(all[i], now, members);
	for (int from = 0; from < 3; from++) {
		size_t length;

		if (!set_has(&members, from))
			continue;
		length = quorum_tell(all[from], now, bytes);
		for (int to = 0; to < 3; to++)
			if (set_has(&members, to))
				assert_int_equal(quorum_hear(all[to], now, from, bytes, length), 0);
	}
	for (int i = 0; i < 3; i++) {
		if (!set_has(&members, i))
			continue;
		quorum_decide(all[i], now);
		quorum_activate(all[i], now);
	}
	return quorum_is_quorate(all[set_next(members, 0)], now);
}

/* Nodes 1 and 2, who expect two votes: after a loss and its window. */
static void shrink(struct quorum **all)
{
	const struct node_set everybody = { { 7 } }, two = { { 3 } };

	for (int i = 0; i < 3; i++)
		all[i] = new_one(i, NULL);
	assert_true(meet(all, everybody, 100));
	assert_true(meet(all, two, 200));
	assert_int_equal(quorum_deadline(all[0]), 210);
	quorum_advance(all[0], 210);
	assert_true(quorum_wants_again(all[0]));
	assert_true(meet(all, two, 211));
}

static void free_all(struct quorum **all)
{
	for (int i = 0; i < 3; i++)
		quorum_free(all[i]);
}

static void what_is_remembered_is_read_as_written(void **state)
{
	uint8_t memory[QUORUM_MEMORY_BYTES], again[QUORUM_MEMORY_BYTES];
	struct quorum_look look;
	struct quorum *all[3], *q;

	(void)state;
	shrink(all);
	quorum_memory(all[1], memory);
	q = new_one(1, memory);
	quorum_memory(q, again);
	assert_memory_equal(memory, again, sizeof(memory));
	quorum_look(q, 0, NULL, NULL, &look);
	assert_int_equal(look.expected, 2);
	assert_false(set_has(&look.in_basis, 2));
	quorum_free(q);
	free_all(all);
}

static void memory_that_is_damaged_anywhere_is_refused(void **state)
{
	uint8_t memory[QUORUM_MEMORY_BYTES];
	struct quorum_options o = three(0);
	struct quorum *all[3];
	size_t end = 0;

	(void)state;
	shrink(all);
	quorum_memory(all[0], memory);
	for (size_t i = 0; i < sizeof(memory); i++)
		end = memory[i] ? i + 1 : end;
	assert_true(end > 60);
	for (size_t i = 0; i < end; i++) {
		struct err err = ERR_INIT;

		memory[i] ^= 0x10;
		assert_null(quorum_new(&o, boot, memory, &err));
		assert_int_equal(err.code, -EBADMSG);
		memory[i] ^= 0x10;
	}
	free_all(all);
}

static void what_is_told_in_part_or_by_a_stranger_counts_as_nothing(void **state)
{
	const struct node_set two = { { 3 } };
	uint8_t bytes[QUORUM_MEMORY_BYTES];
	struct quorum *all[3];
	size_t length;

	(void)state;
	shrink(all);
	quorum_begin(all[0], 300, two);
	length = quorum_tell(all[1], 300, bytes);
	for (size_t n = 0; n < length; n++)
		assert_int_equal(quorum_hear(all[0], 300, 1, bytes, n), -EBADMSG);
	assert_int_equal(quorum_hear(all[0], 300, 2, bytes, length), -EBADMSG);
	assert_false(quorum_has_heard_all(all[0]));
	assert_int_equal(quorum_hear(all[0], 300, 1, bytes, length), 0);
	assert_false(quorum_has_heard_all(all[0])); /* it has not heard itself */
	free_all(all);
}

/* Q5 */
static void a_basis_that_was_broken_off_counts_with_the_one_before(void **state)
{
	const struct node_set two = { { 3 } }, others = { { 6 } }, everybody = { { 7 } };
	uint8_t bytes[QUORUM_MEMORY_BYTES];
	struct quorum *all[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		all[i] = new_one(i, NULL);
	assert_true(meet(all, everybody, 100));
	assert_true(meet(all, two, 200));
	quorum_advance(all[0], 210);
	for (int i = 0; i < 2; i++)
		quorum_begin(all[i], 211, two);
	for (int from = 0; from < 2; from++) {
		size_t length = quorum_tell(all[from], 211, bytes);

		for (int to = 0; to < 2; to++)
			quorum_hear(all[to], 211, from, bytes, length);
	}
	assert_true(quorum_decide(all[0], 211)); /* {1, 2} may be formed: node 2 kept it */
	assert_true(quorum_decide(all[1], 211));
	quorum_activate(all[0], 211);
	assert_true(quorum_is_quorate(all[0], 211));
	assert_false(meet(all, others, 300)); /* two of three, and one of two */
	free_all(all);
}

static void the_devices_votes_count_as_long_as_its_lease(void **state)
{
	const struct node_set one = { { 1 } };
	struct quorum *all[3];
	struct quorum_options o = three(0);
	struct err err = ERR_INIT;

	(void)state;
	o.is_last_man_standing = false;
	o.device_votes = 2;
	all[0] = quorum_new(&o, boot, NULL, &err);
	quorum_set_device_usable(all[0], true);
	assert_false(meet(all, one, 100));
	assert_true(quorum_wants_device(all[0]));
	quorum_set_device(all[0], 100, 500);
	assert_true(quorum_wants_again(all[0]));
	assert_true(meet(all, one, 110));
	quorum_set_device(all[0], 120, 600);
	assert_true(quorum_is_quorate(all[0], 599));
	assert_false(quorum_is_quorate(all[0], 600)); /* Q7: whatever else happens */
	assert_int_equal(quorum_deadline(all[0]), 600);
	quorum_advance(all[0], 600);
	assert_true(quorum_wants_again(all[0]));
	quorum_free(all[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_remembered_is_read_as_written),
		cmocka_unit_test(memory_that_is_damaged_anywhere_is_refused),
		cmocka_unit_test(what_is_told_in_part_or_by_a_stranger_counts_as_nothing),
		cmocka_unit_test(a_basis_that_was_broken_off_counts_with_the_one_before),
		cmocka_unit_test(the_devices_votes_count_as_long_as_its_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
