/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Persistent reservations: bytes as SPC-4 has them, and R1..R4 of pr.h on a disk in memory. */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/pr_target.h"

#define KEY1 0x1111111100000001u
#define KEY2 0x1111111100000002u
#define KEY3 0x1111111100000003u

/* --- bytes -------------------------------------------------------------------------------- */

static void commands_have_their_bytes(void **state)
{
	static const uint8_t read_keys[] = { 0x5e, 0, 0, 0, 0, 0, 0, 0x10, 0x08, 0 };
	static const uint8_t preempt[] = { 0x5f, 5, 0x05, 0, 0, 0, 0, 0, 24, 0 };
	static const uint8_t reg[] = { 0x5f, 6, 0x00, 0, 0, 0, 0, 0, 24, 0 };
	static const uint8_t list[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
					0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01, 0x02,
					0, 0, 0, 0, 1, 0, 0, 0 };
	uint8_t cdb[PR_CDB_BYTES], parameters[PR_OUT_BYTES];

	(void)state;
	pr_in_cdb(PR_READ_KEYS, 0x1008, cdb);
	assert_memory_equal(cdb, read_keys, sizeof(cdb));
	pr_out_cdb(PR_PREEMPT_AND_ABORT, cdb);
	assert_memory_equal(cdb, preempt, sizeof(cdb));
	pr_out_cdb(PR_REGISTER_IGNORE, cdb); /* which has no type: it is reserved there */
	assert_memory_equal(cdb, reg, sizeof(cdb));
	pr_out_parameters(0x1122334455667788, 0xaabbccddeeff0102, true, parameters);
	assert_memory_equal(parameters, list, sizeof(parameters));
}

static void answers_are_read_as_they_are_written(void **state)
{
	static const uint8_t keys[] = { 0, 0, 0, 9, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8,
					0, 0, 0, 0, 0, 0, 0, 7 };
	static const uint8_t held[] = { 0, 0, 0, 3, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8,
					0, 0, 0, 0, 0, 0x05, 0, 0 };
	static const uint8_t can[] = { 0, 8, 0x01, 0x80, 0x20, 0, 0, 0 };
	static const uint8_t cannot[] = { 0, 8, 0x00, 0x80, 0x8a, 1, 0, 0 };
	struct pr_keys k;
	struct pr_reservation r;
	struct pr_capabilities c;

	(void)state;
	assert_int_equal(pr_read_keys(keys, sizeof(keys), &k), 0);
	assert_int_equal(k.generation, 9);
	assert_int_equal(k.count, 2);
	assert_int_equal(k.keys[0], 0x0102030405060708);
	assert_int_equal(pr_read_keys(keys, 23, &k), -EBADMSG);
	assert_int_equal(pr_read_reservation(held, sizeof(held), &r), 0);
	assert_true(r.is_held);
	assert_int_equal(r.key, 0x0102030405060708);
	assert_int_equal(r.type, PR_WRITE_EXCLUSIVE_REGISTRANTS);
	assert_int_equal(pr_read_reservation(held, 20, &r), -EBADMSG);
	assert_int_equal(pr_read_reservation((const uint8_t[8]){ 0 }, 8, &r), 0);
	assert_false(r.is_held);
	assert_int_equal(pr_read_capabilities(can, sizeof(can), &c), 0);
	assert_true(c.persists && c.has_type);
	assert_int_equal(pr_read_capabilities(cannot, sizeof(cannot), &c), 0);
	assert_false(c.persists || c.has_type);
}

static void sense_comes_in_two_forms(void **state)
{
	static const uint8_t fixed[18] = { 0x70, 0, 0x06, [12] = 0x2a, [13] = 0x05 };
	static const uint8_t descriptors[8] = { 0x72, 0x05, 0x24, 0x01 };
	struct pr_sense s = pr_read_sense(fixed, sizeof(fixed));

	(void)state;
	assert_int_equal(s.key, 6);
	assert_int_equal(s.asc << 8 | s.ascq, 0x2a05);
	s = pr_read_sense(descriptors, sizeof(descriptors));
	assert_int_equal(s.key, 5);
	assert_int_equal(s.asc << 8 | s.ascq, 0x2401);
	s = pr_read_sense(fixed, 10);
	assert_int_equal(s.key, 0);
}

static void a_key_is_of_cluster_and_node(void **state)
{
	(void)state;
	assert_int_equal(pr_key("alpha", 7) & 0xffffffff, 7);
	assert_int_equal(pr_key("alpha", 7) >> 32, pr_key("alpha", 8) >> 32);
	assert_int_not_equal(pr_key("alpha", 7), pr_key("beta", 7));
}

/* --- a disk ----------------------------------------------------------------------------------- */

struct scene {
	struct pr_target target;
	struct pr_initiator node[3];
	struct err err;
};

static const uint64_t keys[] = { KEY1, KEY2, KEY3 };

static void begin(struct scene *s, int registered)
{
	memset(s, 0, sizeof(*s));
	pr_target_init(&s->target);
	for (int i = 0; i < 3; i++)
		pr_initiator_init(&s->node[i], &s->target, i);
	for (int i = 0; i < registered; i++)
		assert_int_equal(pr_register(&s->node[i].disk, keys[i], &s->err), 0);
}

static void who_is_registered_may_write_and_nobody_else(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	assert_true(pr_target_may_write(&s.target, 0));
	assert_true(pr_target_may_write(&s.target, 1));
	assert_false(pr_target_may_write(&s.target, 2));
	assert_true(s.target.persists);
	assert_int_equal(pr_register(&s.node[0].disk, KEY1, &s.err), 0); /* a restart */
	assert_int_equal(s.target.holder, 0);
}

static void a_preempted_node_writes_no_more_and_its_tasks_are_aborted(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 3);
	assert_int_equal(pr_preempt(&s.node[1].disk, KEY2, KEY1, true, &s.err), 0); /* the holder */
	assert_false(pr_target_may_write(&s.target, 0));
	assert_true(pr_target_may_write(&s.target, 2));
	assert_int_equal(s.target.aborted, 1u << 0);
	assert_int_equal(s.target.holder, 1);
	assert_int_equal(pr_preempt(&s.node[1].disk, KEY2, KEY3, false, &s.err), 0);
	assert_false(pr_target_may_write(&s.target, 2));
	assert_int_equal(s.target.aborted, 1u << 0); /* which was not asked for */
}

static void who_was_preempted_finds_out_and_does_not_register_again(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	assert_int_equal(pr_watch(&s.node[0].disk, KEY1, &s.err), 0);
	assert_int_equal(pr_preempt(&s.node[1].disk, KEY2, KEY1, true, &s.err), 0);
	assert_int_equal(pr_watch(&s.node[0].disk, KEY1, &s.err), -EKEYREVOKED);
	assert_non_null(strstr(s.err.text, "was fenced"));
	assert_int_equal(pr_watch(&s.node[0].disk, KEY1, &s.err), -EKEYREVOKED);
	assert_int_equal(pr_preempt(&s.node[0].disk, KEY1, KEY2, true, &s.err), -EKEYREVOKED);
	assert_true(pr_target_may_write(&s.target, 1));
	assert_false(pr_target_may_write(&s.target, 0));
}

/* Two that miss each other: exactly one is left. */
static void of_two_that_preempt_each_other_one_is_left(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	assert_int_equal(pr_preempt(&s.node[0].disk, KEY1, KEY2, true, &s.err), 0);
	assert_int_equal(pr_preempt(&s.node[1].disk, KEY2, KEY1, true, &s.err), -EKEYREVOKED);
}

static void a_victim_that_is_gone_already_is_proven_by_the_reservation(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1);
	assert_int_equal(pr_preempt(&s.node[0].disk, KEY1, KEY3, true, &s.err), 0);
	assert_false(pr_target_may_write(&s.target, 2));
}

static void what_the_disk_only_claims_to_have_done_is_no_proof(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	s.target.forgets_to_preempt = true;
	assert_int_equal(pr_preempt(&s.node[0].disk, KEY1, KEY2, true, &s.err), -EIO);
	assert_non_null(strstr(s.err.text, "still registered"));
}

static void the_reservation_stands_as_long_as_anybody_is_there(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	assert_int_equal(pr_leave(&s.node[0].disk, KEY1, false, &s.err), 0); /* the holder */
	assert_false(pr_target_may_write(&s.target, 2));
	assert_int_equal(pr_leave(&s.node[1].disk, KEY2, false, &s.err), 0);
	assert_false(pr_target_may_write(&s.target, 2)); /* node 0's key is there */
	assert_int_equal(pr_register(&s.node[0].disk, KEY1, &s.err), 0);
	assert_int_equal(pr_leave(&s.node[0].disk, KEY1, false, &s.err), 0); /* alone */
	assert_true(pr_target_may_write(&s.target, 2));
	assert_int_equal(pr_leave(&s.node[0].disk, KEY1, false, &s.err), 0); /* it is not there */
}

static void the_last_leaver_clears_what_others_left_behind(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	assert_int_equal(pr_leave(&s.node[0].disk, KEY1, false, &s.err), 0);
	assert_int_equal(pr_leave(&s.node[1].disk, KEY2, true, &s.err), 0);
	assert_true(pr_target_may_write(&s.target, 2));
	assert_int_equal(s.target.keys[0], 0);
}

static void one_that_lapsed_is_reserved_again(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	s.target.holder = -1;
	assert_true(pr_target_may_write(&s.target, 2));
	assert_int_equal(pr_watch(&s.node[1].disk, KEY2, &s.err), 0);
	assert_false(pr_target_may_write(&s.target, 2));
}

static void a_reservation_of_somebody_else_is_respected(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 0);
	s.target.keys[2] = 0xabc;
	s.target.holder = 2;
	s.target.type = 3;
	assert_int_equal(pr_register(&s.node[0].disk, KEY1, &s.err), -EBUSY);
	assert_non_null(strstr(s.err.text, "0x0000000000000abc holds a reservation of type 3"));
}

static void a_target_that_cannot_keep_a_registration_is_told_of_with_the_remedy(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 0);
	s.target.cannot_persist = true;
	assert_int_equal(pr_register(&s.node[0].disk, KEY1, &s.err), -EIO);
	assert_non_null(strstr(s.err.text, "cannot keep it over a power cut"));
	assert_non_null(strstr(s.err.text, "mkdir -p /var/target/pr"));
}

static void what_the_disk_has_to_tell_first_does_not_count_as_an_answer(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 2);
	s.target.attention[1] = 0x2900; /* power on */
	s.target.busy = 3;
	assert_int_equal(pr_watch(&s.node[1].disk, KEY2, &s.err), 0);
	s.target.busy = 100;
	assert_int_equal(pr_watch(&s.node[1].disk, KEY2, &s.err), -EIO);
}

static void a_disk_without_reservations_says_so(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 0);
	assert_int_equal(pr_check(&s.node[0].disk, &s.err), 0);
	s.target.lacks_reservations = true;
	assert_int_equal(pr_check(&s.node[0].disk, &s.err), -EOPNOTSUPP);
	assert_int_equal(pr_register(&s.node[0].disk, KEY1, &s.err), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_have_their_bytes),
		cmocka_unit_test(answers_are_read_as_they_are_written),
		cmocka_unit_test(sense_comes_in_two_forms),
		cmocka_unit_test(a_key_is_of_cluster_and_node),
		cmocka_unit_test(who_is_registered_may_write_and_nobody_else),
		cmocka_unit_test(a_preempted_node_writes_no_more_and_its_tasks_are_aborted),
		cmocka_unit_test(who_was_preempted_finds_out_and_does_not_register_again),
		cmocka_unit_test(of_two_that_preempt_each_other_one_is_left),
		cmocka_unit_test(a_victim_that_is_gone_already_is_proven_by_the_reservation),
		cmocka_unit_test(what_the_disk_only_claims_to_have_done_is_no_proof),
		cmocka_unit_test(the_reservation_stands_as_long_as_anybody_is_there),
		cmocka_unit_test(the_last_leaver_clears_what_others_left_behind),
		cmocka_unit_test(one_that_lapsed_is_reserved_again),
		cmocka_unit_test(a_reservation_of_somebody_else_is_respected),
		cmocka_unit_test(a_target_that_cannot_keep_a_registration_is_told_of_with_the_remedy),
		cmocka_unit_test(what_the_disk_has_to_tell_first_does_not_count_as_an_answer),
		cmocka_unit_test(a_disk_without_reservations_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
