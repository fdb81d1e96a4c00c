/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packing: what goes into packets comes out of them, whatever the sizes, and what
 * never went in does not. K1 to K5 are the promises of totem/pack.h; rows are
 * those of corosync's bugs (spec/totem.md A.14).
 */
#include "tests/unit/help.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "totem/pack.h"

enum { ROOM = 1400, MANY = 40 };

/* What came out: each message is its number (u32), then bytes made of it. */
struct sink {
	uint32_t next;     /* number expected */
	uint32_t received;
	size_t last_length;
	bool is_any;       /* hostile: nothing is known of what comes */
};

static uint8_t buffer[PACK_MAX_MESSAGE + 1];

static void append(struct pack_queue *q, uint32_t number, size_t length, bool is_safe)
{
	struct iovec parts[3];
	struct pack_message *m;

	for (size_t i = 0; i < length; i++)
		buffer[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
	memcpy(buffer, &number, min_u64(length, 4));
	parts[0] = (struct iovec){ buffer, length / 3 };
	parts[1] = (struct iovec){ buffer + length / 3, 0 };
	parts[2] = (struct iovec){ buffer + length / 3, length - length / 3 };
	m = pack_message_new(NULL, 0, parts, 3, is_safe);
	assert_non_null(m);
	pack_queue_append(q, m);
}

static void take(void *owner, const uint8_t *message, size_t length)
{
	struct sink *s = owner;
	uint32_t number = s->next;

	s->last_length = length;
	s->received++;
	if (s->is_any)
		return;
	if (length >= 4)
		memcpy(&number, message, 4);
	assert_int_equal(number, s->next);
	for (size_t i = 4; i < length; i++)
		if (message[i] != (uint8_t)(number * 31 + i * 7 + (i >> 8)))
			fail_msg("byte %zu of message %u of %zu bytes", i, number, length);
	s->next++;
}

/* On a heap block of its own size, so that ASan sees what looks behind its end. */
static enum pack_fault receive(struct pack_assembly *a, const uint8_t *packet,
			       size_t length, struct pack_stats *stats, struct sink *s)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum pack_fault fault;

	assert_non_null(copy);
	memcpy(copy, packet, length);
	fault = pack_receive(a, copy, length, stats, take, s);
	free(copy);
	return fault;
}

/* All that waits goes over; returns the number of packets. */
static int drain(struct pack_queue *q, struct pack_assembly *a, size_t room,
		 struct sink *s)
{
	struct pack_stats stats = { 0 };
	uint8_t *packet = malloc(room);
	int packets = 0;
	bool is_safe;
	size_t n;

	assert_non_null(packet);
	while ((n = pack_queue_fill(q, packet, room, &is_safe)) > 0) {
		assert_true(n <= room);
		assert_int_equal(receive(a, packet, n, &stats, s), PACK_OK);
		packets++;
	}
	free(packet);
	return packets;
}

/* Row 18, K1. */
static void every_size_around_the_packets_comes_back(void **state)
{
	static const size_t rooms[] = { PACK_MIN_ROOM, 191, 1400 };
	struct pack_assembly a = { 0 };
	struct pack_queue q;

	(void)state;
	pack_queue_init(&q, 0);
	for (size_t r = 0; r < ARRAY_SIZE(rooms); r++) {
		for (size_t k = 0; k <= 4; k++) {
			for (size_t d = 0; d <= 48; d++) {
				size_t length = k * rooms[r] + d;
				struct sink s = { 0 };
				uint32_t n;

				length = length > 40 ? length - 40 : 0;
				for (n = 0; n < MANY; n++)
					append(&q, n, length, false);
				(void)drain(&q, &a, rooms[r], &s);
				assert_int_equal(s.received, MANY);
				assert_null(a.bytes);
				assert_int_equal(q.cost, 0);
				assert_int_equal(q.unsent, 0);
			}
		}
	}
}

static void mixed_sizes_keep_their_order(void **state)
{
	struct pack_assembly a = { 0 };
	struct sink s = { 0 };
	struct pack_queue q;
	uint32_t n, random = 1;

	(void)state;
	pack_queue_init(&q, 0);
	for (n = 0; n < 3000; n++) {
		random = random * 1664525 + 1013904223;
		append(&q, n, (random >> 8) % (n % 50 == 0 ? 9000 : 300), n % 7 == 0);
		if (n % 100 == 99)
			(void)drain(&q, &a, 200 + random % 2000, &s);
	}
	(void)drain(&q, &a, ROOM, &s);
	assert_int_equal(s.received, 3000);
}

static void small_messages_share_a_packet(void **state)
{
	struct pack_assembly a = { 0 };
	struct sink s = { 0 };
	struct pack_queue q;

	(void)state;
	pack_queue_init(&q, 0);
	for (uint32_t n = 0; n < 20; n++)
		append(&q, n, 64, false);
	/* 1 + 20 x (4 + 64) */
	assert_int_equal(drain(&q, &a, 1361, &s), 1);
	assert_int_equal(s.received, 20);
}

/* K1 */
static void safe_and_agreed_never_share_a_packet(void **state)
{
	struct pack_stats stats = { 0 };
	struct pack_assembly a = { 0 };
	struct sink s = { 0 };
	struct pack_queue q;
	uint8_t packet[ROOM];
	bool is_safe, expected = false;
	uint32_t n;
	size_t length;

	(void)state;
	pack_queue_init(&q, 0);
	for (n = 0; n < 12; n++)
		append(&q, n, 10, n / 3 % 2 == 1);
	for (n = 0; n < 4; n++, expected = !expected) {
		length = pack_queue_fill(&q, packet, ROOM, &is_safe);
		assert_int_equal(is_safe, expected);
		(void)receive(&a, packet, length, &stats, &s);
		assert_int_equal(s.received, 3 * (n + 1));
	}
	assert_int_equal(pack_queue_fill(&q, packet, ROOM, &is_safe), 0);
}

static void the_largest_goes_and_one_more_byte_does_not(void **state)
{
	struct iovec part = { buffer, PACK_MAX_MESSAGE + 1 };
	struct pack_assembly a = { 0 };
	struct sink s = { 0 };
	struct pack_queue q;

	(void)state;
	pack_queue_init(&q, 0);
	append(&q, 0, PACK_MAX_MESSAGE, true);
	assert_int_equal(pack_credit(&q), 0);
	(void)drain(&q, &a, ROOM, &s);
	assert_int_equal(s.last_length, PACK_MAX_MESSAGE);
	assert_int_equal(pack_credit(&q), q.limit);
	assert_null(pack_message_new(NULL, 0, &part, 1, false));
	part.iov_len--;
	assert_null(pack_message_new("x", 1, &part, 1, false));
}

/* K2: empty messages cost, too. */
static void credit_counts_every_message(void **state)
{
	struct pack_queue q;
	uint32_t n = 0;

	(void)state;
	pack_queue_init(&q, PACK_MIN_LIMIT);
	while (pack_credit(&q) >= pack_cost(0))
		append(&q, n++, 0, false);
	assert_int_equal(n, PACK_MIN_LIMIT / PACK_MESSAGE_COST);
	append(&q, n, 100, false); /* over it, on purpose */
	assert_int_equal(pack_credit(&q), 0);
	pack_queue_fini(&q);
	assert_int_equal(pack_credit(&q), PACK_MIN_LIMIT);
}

/* Sends `packets` of what waits. */
static void send_some(struct pack_queue *q, struct pack_assembly *a, int packets,
		      struct pack_stats *stats, struct sink *s)
{
	uint8_t packet[ROOM];
	bool is_safe;

	while (packets-- > 0) {
		size_t n = pack_queue_fill(q, packet, ROOM, &is_safe);

		assert_true(n > 0);
		(void)receive(a, packet, n, stats, s);
	}
}

/* K3, rows 2 and 3: whatever was out when the configuration changed. */
static void a_half_sent_message_goes_again_from_its_start(void **state)
{
	(void)state;
	for (int out = 1; out < 8; out++) {
		struct pack_assembly stays = { 0 }, keeps = { 0 };
		struct pack_stats stats = { 0 };
		struct sink s = { 0 }, late = { .is_any = true };
		struct pack_queue q, copy;

		pack_queue_init(&q, 0);
		append(&q, 0, 10000, false);
		append(&q, 1, 10, false);
		send_some(&q, &stays, out, &stats, &s);
		assert_int_equal(s.received, 0);
		pack_queue_restart(&q);
		assert_int_equal(q.unsent, 10010 + 2 * PACK_WHOLE_BYTES);
		pack_assembly_drop(&stays);
		(void)drain(&q, &stays, ROOM, &s);
		assert_int_equal(s.received, 2);

		/* one that forgot to drop takes no mixture of both: a new number */
		pack_queue_init(&copy, 0);
		append(&copy, 0, 10000, false);
		send_some(&copy, &keeps, out, &stats, &late);
		pack_queue_restart(&copy);
		{
			uint8_t packet[ROOM];
			bool is_safe;

			for (int i = 0; i < out; i++) /* these are lost */
				(void)pack_queue_fill(&copy, packet, ROOM, &is_safe);
			send_some(&copy, &keeps, 1, &stats, &late);
		}
		assert_null(keeps.bytes);
		assert_int_equal(stats.faults[PACK_ORPHAN], 1);
		assert_int_equal(late.received, 0);
		pack_queue_fini(&copy);
	}
}

/* K4 */
static void who_comes_in_the_middle_waits_for_a_boundary(void **state)
{
	struct pack_assembly old = { 0 }, joiner = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { 0 }, j = { .next = 1 };
	struct pack_queue q;

	(void)state;
	pack_queue_init(&q, 0);
	append(&q, 0, 5000, false);
	append(&q, 1, 5000, false);
	send_some(&q, &old, 2, &stats, &s);
	send_some(&q, &joiner, 6, &stats, &j);
	assert_int_equal(j.received, 1);
	assert_true(stats.faults[PACK_ORPHAN] >= 1);
	assert_null(joiner.bytes);
	pack_assembly_drop(&old);
}

/* K4: what came after the lost part is not taken for it */
static void a_lost_part_ends_its_message(void **state)
{
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { .next = 1 };
	struct pack_queue q;
	uint8_t lost[ROOM];
	bool is_safe;

	(void)state;
	pack_queue_init(&q, 0);
	append(&q, 0, 10000, false);
	append(&q, 1, 10, false);
	send_some(&q, &a, 2, &stats, &s);
	(void)pack_queue_fill(&q, lost, ROOM, &is_safe);
	send_some(&q, &a, 1, &stats, &s);
	assert_null(a.bytes);
	assert_int_equal(stats.faults[PACK_ORPHAN], 1);
	while (q.unsent > 0)
		send_some(&q, &a, 1, &stats, &s);
	assert_int_equal(s.received, 1);
	assert_null(a.bytes);
	pack_queue_fini(&q);
}

static void a_message_that_is_cut_off_is_counted(void **state)
{
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { .next = 1 };
	struct pack_queue q, other;

	(void)state;
	pack_queue_init(&q, 0);
	pack_queue_init(&other, 0);
	append(&q, 0, 5000, false);
	append(&other, 1, 50, false);
	send_some(&q, &a, 1, &stats, &s);
	send_some(&other, &a, 1, &stats, &s);
	assert_int_equal(stats.faults[PACK_CUT], 1);
	assert_int_equal(s.received, 1);
	assert_null(a.bytes);
	pack_queue_fini(&q);
}

/* K5: what it holds before the wrong byte is not believed either. */
static void hostile_bytes_are_counted_and_dropped(void **state)
{
	static const struct {
		enum pack_fault fault;
		size_t length;
		uint8_t bytes[32];
	} cases[] = {
		{ PACK_BAD_VERSION, 0, { 0 } },
		{ PACK_BAD_VERSION, 5, { 0x52, 1, 0, 0, 0 } },
		{ PACK_BAD_KIND, 10, { 0x51, 5, 0, 0, 0, 'x', 0, 0, 0, 0 } },
		{ PACK_SHORT, 4, { 0x51, 1, 0, 0 } },
		{ PACK_SHORT, 9, { 0x51, 5, 0, 0, 0, 'x', 9, 0, 0 } },
		{ PACK_SHORT, 6, { 0x51, 9, 0, 0, 0, 'x' } },
		{ PACK_SHORT, 6, { 0x51, 0xfd, 0xff, 0xff, 0xff, 'x' } },
		{ PACK_SHORT, 9, { 0x51, 6, 0, 0, 0, 7, 0, 0, 0 } },
		/* first part of nothing, as long as the message, of too large a one */
		{ PACK_BAD_LENGTH, 13, { 0x51, 2, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0 } },
		{ PACK_BAD_LENGTH, 14, { 0x51, 6, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 'x' } },
		{ PACK_BAD_LENGTH, 14, { 0x51, 6, 0, 0, 0, 7, 0, 0, 0, 1, 1, 16, 0, 'x' } },
		/* a next part at the start, of nothing, far beyond */
		{ PACK_BAD_LENGTH, 14, { 0x51, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 'x' } },
		{ PACK_BAD_LENGTH, 13, { 0x51, 3, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0 } },
		{ PACK_BAD_LENGTH, 14, { 0x51, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0xff, 'x' } },
		{ PACK_ORPHAN, 14, { 0x51, 7, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 'x' } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pack_assembly a = { 0 };
		struct pack_stats stats = { 0 };
		struct sink s = { .is_any = true };

		assert_int_equal(receive(&a, cases[i].bytes, cases[i].length, &stats, &s),
				 cases[i].fault);
		assert_int_equal(stats.faults[cases[i].fault], 1);
		assert_int_equal(s.received, 0);
		assert_null(a.bytes);
		assert_true(strlen(pack_fault_text(cases[i].fault)) > 4);
	}
}

/* K5: a part that runs over the end of what was promised. */
static void a_part_beyond_its_message_ends_it(void **state)
{
	static const uint8_t first[] = { 0x51, 6, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 'a' };
	static const uint8_t next[] = { 0x51, 15, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0,
					'b', 'c', 'd' };
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { .is_any = true };

	(void)state;
	assert_int_equal(receive(&a, first, sizeof(first), &stats, &s), PACK_OK);
	assert_int_equal(receive(&a, next, sizeof(next), &stats, &s), PACK_BAD_LENGTH);
	assert_null(a.bytes);
	assert_int_equal(s.received, 0);
}

/* K5 */
static void a_claimed_size_costs_nothing(void **state)
{
	static const uint8_t first[] = { 0x51, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 16, 0, 'a' };
	struct pack_assembly a = { 0 };
	struct pack_stats stats = { 0 };
	struct sink s = { .is_any = true };

	(void)state;
	assert_int_equal(receive(&a, first, sizeof(first), &stats, &s), PACK_OK);
	assert_true(a.room <= 4096 && a.total == 1 << 20);
	pack_assembly_drop(&a);
}

static void flipped_bits_never_crash(void **state)
{
	struct pack_stats stats = { 0 };
	struct pack_assembly a = { 0 };
	struct sink s = { .is_any = true };
	struct pack_queue q;
	uint8_t packet[300];
	uint32_t random = 7;
	bool is_safe;

	(void)state;
	pack_queue_init(&q, 0);
	for (uint32_t n = 0; n < 20000; n++) {
		size_t length;

		if (!q.first)
			append(&q, n, n % 700, false);
		length = pack_queue_fill(&q, packet, sizeof(packet), &is_safe);
		for (int i = 0; i < 2; i++) {
			random = random * 1664525 + 1013904223;
			packet[(random >> 8) % min_u64(length, 24)] ^=
				(uint8_t)(1 << (random >> 29));
		}
		(void)receive(&a, packet, length, &stats, &s);
	}
	for (int i = PACK_BAD_VERSION; i <= PACK_CUT; i++)
		assert_true(stats.faults[i] > 0);
	pack_assembly_drop(&a);
	pack_queue_fini(&q);
}

static void too_little_room_gives_nothing(void **state)
{
	struct pack_queue q;
	uint8_t packet[PACK_MIN_ROOM];
	bool is_safe;

	(void)state;
	pack_queue_init(&q, 0);
	append(&q, 0, 100, false);
	assert_int_equal(pack_queue_fill(&q, packet, PACK_MIN_ROOM - 1, &is_safe), 0);
	assert_true(pack_queue_fill(&q, packet, PACK_MIN_ROOM, &is_safe) > 0);
	pack_queue_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_around_the_packets_comes_back),
		cmocka_unit_test(mixed_sizes_keep_their_order),
		cmocka_unit_test(small_messages_share_a_packet),
		cmocka_unit_test(safe_and_agreed_never_share_a_packet),
		cmocka_unit_test(the_largest_goes_and_one_more_byte_does_not),
		cmocka_unit_test(credit_counts_every_message),
		cmocka_unit_test(a_half_sent_message_goes_again_from_its_start),
		cmocka_unit_test(who_comes_in_the_middle_waits_for_a_boundary),
		cmocka_unit_test(a_lost_part_ends_its_message),
		cmocka_unit_test(a_message_that_is_cut_off_is_counted),
		cmocka_unit_test(hostile_bytes_are_counted_and_dropped),
		cmocka_unit_test(a_part_beyond_its_message_ends_it),
		cmocka_unit_test(a_claimed_size_costs_nothing),
		cmocka_unit_test(flipped_bits_never_crash),
		cmocka_unit_test(too_little_room_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
