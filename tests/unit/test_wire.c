/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring's packets: what is written is read, and nothing else is. */
#include "tests/unit/help.h"

#include <string.h>

#include "base/arith.h"
#include "totem/wire.h"

static const struct node_table nodes = { .ids = { 1, 2, 5, 9 }, .count = 4 };
static const struct wire_context context = { .nodes = &nodes, .self = 5,
					     .cluster = 0x1234 };
static uint8_t packet[WIRE_MAX_PACKET];

static struct node_set set(int a, int b)
{
	return set_union(set_of(a), set_of(b));
}

/* Opens and reads, whatever it is. */
static enum wire_fault take(const uint8_t *bytes, size_t length)
{
	static struct wire_commit commit;
	struct wire_token token;
	struct wire_data data;
	struct wire_join join;
	struct ring_id id;
	enum wire_type type;
	enum wire_fault fault;
	int from;

	fault = wire_open(&context, bytes, length, &type, &from);
	if (fault != WIRE_OK)
		return fault;
	assert_int_equal(from, 2);
	switch (type) {
	case WIRE_TOKEN:
		return wire_read_token(bytes, length, &token);
	case WIRE_DATA:
		return wire_read_data(&context, bytes, length, &data);
	case WIRE_JOIN:
		return wire_read_join(&context, bytes, length, &join);
	case WIRE_COMMIT:
		return wire_read_commit(&context, bytes, length, &commit);
	default:
		return wire_read_ring(bytes, length, &id);
	}
}

/* Exact memory, so that a sanitizer sees a read behind the end. */
static enum wire_fault take_copy(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = test_malloc(length ? length : 1);
	enum wire_fault fault;

	memcpy(copy, bytes, length);
	fault = take(copy, length);
	test_free(copy);
	return fault;
}

static void check_length(size_t length)
{
	size_t n;

	assert_int_equal(take_copy(packet, length), WIRE_OK);
	for (n = 0; n < length; n++)
		assert_int_equal(take_copy(packet, n), WIRE_SHORT);
	packet[length] = 0;
	assert_int_equal(take_copy(packet, length + 1), WIRE_LONG);
}

static struct wire_token some_token(void)
{
	return (struct wire_token){
		.ring = { 2, 77 }, .token_seq = 5, .seq = 40, .aru = 38,
		.aru_node = 9, .flow_bytes = 1000, .backlog_bytes = 2000,
		.retrans = 1, .plugged = set(0, 3), .rtr_count = 2,
		.rtr = { { 39, 1 }, { 1ull << 40, 7 } },
	};
}

static void a_token_is_read_as_written_and_refused_in_part(void **state)
{
	struct wire_token t = some_token(), back;
	size_t length = wire_write_token(&context, &t, packet);

	(void)state;
	assert_int_equal(wire_read_token(packet, length, &back), WIRE_OK);
	assert_true(ring_id_equal(back.ring, t.ring));
	assert_int_equal(back.token_seq, 5);
	assert_int_equal(back.seq, 40);
	assert_int_equal(back.aru, 38);
	assert_int_equal(back.aru_node, 9);
	assert_int_equal(back.flow_bytes, 1000);
	assert_int_equal(back.backlog_bytes, 2000);
	assert_int_equal(back.retrans, 1);
	assert_true(set_equal(back.plugged, t.plugged));
	assert_int_equal(back.rtr_count, 2);
	assert_int_equal(back.rtr[1].first, 1ull << 40);
	assert_int_equal(back.rtr[1].count, 7);
	check_length(length);
}

static enum wire_fault token_with(const struct wire_token *t)
{
	return take_copy(packet, wire_write_token(&context, t, packet));
}

static void a_token_that_cannot_be_is_refused(void **state)
{
	struct wire_token t = some_token();
	size_t length;

	(void)state;
	t.aru = 41; /* above seq */
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.retrans = TOTEM_MAX_NODES + 1;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.rtr[0].count = 0;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.rtr[0].first = UINT64_MAX; /* its end wraps */
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.rtr_count = WIRE_MAX_RTR;
	memset(t.rtr, 1, sizeof(t.rtr));
	length = wire_write_token(&context, &t, packet);
	assert_int_equal(take_copy(packet, length), WIRE_OK);
	packet[length - WIRE_MAX_RTR * WIRE_RANGE_BYTES - 2]++;
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
}

static void data_is_read_as_written_and_refused_in_part(void **state)
{
	const struct wire_data d = {
		.ring = { 1, 3 }, .seq = 9, .round = 4, .origin = 9,
		.flags = WIRE_DATA_RECOVERED | WIRE_DATA_SAFE,
		.old_ring = { 2, 2 }, .old_seq = 11,
		.payload = (const uint8_t *)"hello", .length = 5,
	};
	size_t length = wire_write_data(&context, &d, packet), n;
	struct wire_data back;

	(void)state;
	assert_int_equal(length, WIRE_DATA_OVERHEAD + 5);
	assert_int_equal(wire_read_data(&context, packet, length, &back), WIRE_OK);
	assert_true(ring_id_equal(back.ring, d.ring));
	assert_true(ring_id_equal(back.old_ring, d.old_ring));
	assert_int_equal(back.seq, 9);
	assert_int_equal(back.round, 4);
	assert_int_equal(back.origin, 9);
	assert_int_equal(back.flags, d.flags);
	assert_int_equal(back.old_seq, 11);
	assert_int_equal(back.length, 5);
	assert_memory_equal(back.payload, "hello", 5);
	for (n = 0; n < WIRE_DATA_OVERHEAD; n++)
		assert_int_equal(take_copy(packet, n), WIRE_SHORT);
}

static void data_that_cannot_be_is_refused(void **state)
{
	struct wire_data d = { .seq = 1, .origin = 3 };

	(void)state;
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_UNKNOWN_NODE);
	d.origin = 1;
	d.seq = 0;
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_BAD_FIELD);
	d.seq = 1;
	d.flags = WIRE_DATA_FLAGS + 1;
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_BAD_FIELD);
	d.flags = WIRE_DATA_RECOVERED; /* of old_seq 0 */
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_BAD_FIELD);
}

static void a_join_is_read_as_written_and_refused_in_part(void **state)
{
	const struct wire_join j = { .ring_seq = 8, .incarnation = 6,
				     .is_leave = true, .proc = set(0, 2),
				     .failed = set(1, 3),
				     .evicted = set_of(3) };
	size_t length = wire_write_join(&context, &j, packet);
	struct wire_join back;

	(void)state;
	assert_int_equal(wire_read_join(&context, packet, length, &back), WIRE_OK);
	assert_int_equal(back.ring_seq, 8);
	assert_int_equal(back.incarnation, 6);
	assert_true(back.is_leave);
	assert_true(set_equal(back.proc, j.proc));
	assert_true(set_equal(back.failed, j.failed));
	assert_true(set_equal(back.evicted, j.evicted));
	check_length(length);
}

static void a_join_that_cannot_be_is_refused(void **state)
{
	const struct wire_join j = { .proc = set(0, 2) };
	size_t length = wire_write_join(&context, &j, packet);
	size_t leave = WIRE_HEADER_BYTES + 16, list = leave + 3;
	uint8_t good[256];

	(void)state;
	memcpy(good, packet, length);
	packet[leave] = 2;
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	memcpy(packet, good, length);
	packet[list] = 4; /* there is no node 4 */
	assert_int_equal(take_copy(packet, length), WIRE_UNKNOWN_NODE);
	packet[list] = 5; /* twice */
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	packet[list] = 9; /* not ascending */
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	memcpy(packet, good, length);
	packet[leave + 2] = 1; /* 258 nodes */
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	memcpy(packet, good, length);
	packet[length - 16] = 1; /* nobody failed, and the first of them is evicted */
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
}

static struct wire_commit some_commit(void)
{
	return (struct wire_commit){
		.ring = { 1, 9 }, .token_seq = 4, .members = set(0, 2),
		.entries = { { .is_filled = true, .old_ring = { 1, 5 }, .aru = 4,
			       .high = 9, .delivered = 5, .safe = 3,
			       .have_count = 2, .have = { { 6, 2 }, { 9, 1 } } } },
	};
}

static enum wire_fault commit_with(const struct wire_commit *c)
{
	return take_copy(packet, wire_write_commit(&context, c, c->members, packet));
}

static void a_commit_token_is_read_as_written_and_refused_in_part(void **state)
{
	struct wire_commit c = some_commit(), back;
	size_t length = wire_write_commit(&context, &c, c.members, packet);
	const struct wire_commit_entry *e = &back.entries[0];

	(void)state;
	assert_int_equal(wire_read_commit(&context, packet, length, &back), WIRE_OK);
	assert_true(ring_id_equal(back.ring, c.ring));
	assert_int_equal(back.token_seq, 4);
	assert_int_equal(back.total, 2);
	assert_true(set_equal(back.members, c.members));
	assert_true(ring_id_equal(e->old_ring, c.entries[0].old_ring));
	assert_int_equal(e->aru, 4);
	assert_int_equal(e->high, 9);
	assert_int_equal(e->delivered, 5);
	assert_int_equal(e->safe, 3);
	assert_int_equal(e->have_count, 2);
	assert_int_equal(e->have[0].first, 6);
	assert_int_equal(e->have[0].count, 2);
	assert_false(back.entries[2].is_filled);
	check_length(length);
}

static void a_commit_token_that_cannot_be_is_refused(void **state)
{
	struct wire_commit c = some_commit();
	size_t length;

	(void)state;
	c.members = (struct node_set){ { 0 } };
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c.members = set_of(0); /* told to be all, and there are more */
	length = wire_write_commit(&context, &c, set(0, 2), packet);
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	packet[WIRE_HEADER_BYTES + 12 + 8 + 2] = TOTEM_MAX_NODES;
	assert_int_equal(take_copy(packet, length), WIRE_OK);
	packet[WIRE_HEADER_BYTES + 12 + 8 + 2]++;
	assert_int_equal(take_copy(packet, length), WIRE_BAD_FIELD);
	c = some_commit();
	c.round = 1; /* and one has not filled in */
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c.round = 3;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].aru = 10;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].delivered = 10;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].safe = 5;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].have[0].first = 4; /* not above aru */
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].have[1].count = 2; /* above high */
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].have[0].count = 0;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
}

/* Numbers never wrap: near their end nothing is believed, nor looped up to. */
static void numbers_that_could_wrap_are_refused(void **state)
{
	const uint64_t end = WIRE_MAX_NUMBER + 1;
	struct wire_token t = some_token();
	struct wire_data d = { .seq = end, .origin = 9 };
	struct wire_join j = { .ring_seq = end, .proc = set(0, 2) };
	struct wire_commit c = some_commit();
	struct ring_id id = { 1, end };

	(void)state;
	assert_int_equal(take_copy(packet,
				   wire_write_ring(&context, WIRE_MERGE, id, packet)),
			 WIRE_BAD_FIELD);
	assert_int_equal(take_copy(packet, wire_write_join(&context, &j, packet)),
			 WIRE_BAD_FIELD);
	t.seq = WIRE_MAX_NUMBER;
	assert_int_equal(token_with(&t), WIRE_OK);
	t.seq = end;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.token_seq = UINT64_MAX;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.rtr[1].first = end;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	t = some_token();
	t.ring.seq = end;
	assert_int_equal(token_with(&t), WIRE_BAD_FIELD);
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_BAD_FIELD);
	d.seq = 1;
	d.old_seq = end;
	assert_int_equal(take_copy(packet, wire_write_data(&context, &d, packet)),
			 WIRE_BAD_FIELD);
	c.entries[0].high = end;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.entries[0].old_ring.seq = end;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
	c = some_commit();
	c.token_seq = end;
	assert_int_equal(commit_with(&c), WIRE_BAD_FIELD);
}

static void merge_and_hold_cancel_name_a_ring(void **state)
{
	const enum wire_type types[] = { WIRE_MERGE, WIRE_HOLD_CANCEL };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		const struct ring_id id = { 9, 1ull << 50 };
		size_t length = wire_write_ring(&context, types[i], id, packet);
		struct ring_id back;

		assert_int_equal(wire_read_ring(packet, length, &back), WIRE_OK);
		assert_true(ring_id_equal(back, id));
		check_length(length);
	}
}

/* Bad input, by name: magic, version, type, cluster, node. */
static void a_foreign_header_is_refused_by_what_is_wrong_with_it(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum wire_fault fault;
	} rows[] = {
		{ 0, 0, WIRE_BAD_MAGIC },      { 1, 0, WIRE_BAD_MAGIC },
		{ 2, 2, WIRE_BAD_VERSION },    { 3, 0, WIRE_BAD_TYPE },
		{ 3, WIRE_TYPE_END, WIRE_BAD_TYPE },
		{ 8, 3, WIRE_UNKNOWN_NODE },   { 12, 0, WIRE_WRONG_CLUSTER },
	};
	const struct ring_id id = { 1, 1 };
	size_t length, i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		length = wire_write_ring(&context, WIRE_MERGE, id, packet);
		packet[rows[i].at] = rows[i].value;
		assert_int_equal(take_copy(packet, length), rows[i].fault);
		assert_non_null(wire_fault_text(rows[i].fault));
	}
	/* features that are not known yet do not hurt */
	length = wire_write_ring(&context, WIRE_MERGE, id, packet);
	packet[4] = 0xff;
	assert_int_equal(take_copy(packet, length), WIRE_OK);
}

static void cluster_names_differ_in_their_hash(void **state)
{
	(void)state;
	assert_int_equal(wire_cluster_hash("alpha"), wire_cluster_hash("alpha"));
	assert_int_not_equal(wire_cluster_hash("alpha"), wire_cluster_hash("alphb"));
	assert_int_not_equal(wire_cluster_hash(""), wire_cluster_hash("a"));
}

static void the_overheads_are_what_is_written(void **state)
{
	const struct wire_token t = { .rtr_count = WIRE_MAX_RTR };
	const struct wire_join j = { .proc = set(0, 2), .failed = set_of(1) };
	struct wire_commit c = some_commit();
	size_t length = wire_write_commit(&context, &c, c.members, packet), more;

	(void)state;
	assert_int_equal(wire_write_token(&context, &t, packet), WIRE_MAX_TOKEN);
	assert_int_equal(wire_write_join(&context, &j, packet),
			 WIRE_JOIN_OVERHEAD + 3 * 4);
	c.entries[0].have_count = 1;
	more = length - wire_write_commit(&context, &c, c.members, packet);
	assert_int_equal(more, WIRE_RANGE_BYTES);
	c.entries[0].have_count = 0;
	c.entries[2].is_filled = true;
	assert_int_equal(wire_write_commit(&context, &c, c.members, packet),
			 WIRE_COMMIT_OVERHEAD + wire_entry_bytes(&c, 0) +
				 wire_entry_bytes(&c, 2));
	assert_int_equal(wire_entry_bytes(&c, 2), WIRE_ENTRY_OVERHEAD);
	c.entries[2].have_count = WIRE_MAX_HAVE;
	assert_int_equal(wire_write_commit(&context, &c, set_of(2), packet),
			 WIRE_COMMIT_OVERHEAD + wire_entry_bytes(&c, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_read_as_written_and_refused_in_part),
		cmocka_unit_test(a_token_that_cannot_be_is_refused),
		cmocka_unit_test(data_is_read_as_written_and_refused_in_part),
		cmocka_unit_test(data_that_cannot_be_is_refused),
		cmocka_unit_test(a_join_is_read_as_written_and_refused_in_part),
		cmocka_unit_test(a_join_that_cannot_be_is_refused),
		cmocka_unit_test(a_commit_token_is_read_as_written_and_refused_in_part),
		cmocka_unit_test(a_commit_token_that_cannot_be_is_refused),
		cmocka_unit_test(numbers_that_could_wrap_are_refused),
		cmocka_unit_test(merge_and_hold_cancel_name_a_ring),
		cmocka_unit_test(a_foreign_header_is_refused_by_what_is_wrong_with_it),
		cmocka_unit_test(cluster_names_differ_in_their_hash),
		cmocka_unit_test(the_overheads_are_what_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
