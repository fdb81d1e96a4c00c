/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one client may cost (Z4 to Z7): requests and memory are bounded, a neighbour that does
 * not read or is gone takes nothing that is another's.
 */
#include "tests/unit/nbd_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

static bool takes_input(struct nbd_peer *peer)
{
	struct iovec room[2];

	nbd_run(peer);
	return nbd_session_room(peer->session, room) > 0;
}

static const char *waits_for(const struct nbd_peer *peer)
{
	struct nbd_client_look look = { 0 };

	nbd_session_look(peer->session, &look);
	return look.waits_for;
}

/* Asks until no more is taken, or `most` times; returns how often. */
static uint32_t ask_all(struct nbd_peer *peer, uint16_t command, uint32_t length,
			uint32_t most)
{
	uint32_t n = 0;

	while (n < most && takes_input(peer))
		nbd_ask(peer, command, 0, n++, 0, length);
	return n;
}

/* --- requests ------------------------------------------------------------------------------- */

static void requests_are_taken_up_to_the_limit_and_then_as_others_end(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	assert_int_equal(ask_all(&peer, NBD_CMD_READ, 512, 1000), NBD_RIG_REQUESTS);
	assert_int_equal(rig.pending_count, NBD_RIG_REQUESTS);
	assert_non_null(strstr(waits_for(&peer), "requests"));
	nbd_end(&rig, 5, 0);
	nbd_hear_reply(&peer, 5, 0);
	nbd_hear_data(&peer, 0, 512);
	assert_true(takes_input(&peer));
	assert_null(waits_for(&peer));
	assert_int_equal(ask_all(&peer, NBD_CMD_READ, 512, 1000), 1);
	nbd_session_abandon(peer.session);
	nbd_end_all(&rig);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* Replies count until they are taken: the queue of what is to be said is bounded. */
static void who_takes_no_replies_is_not_heard_any_more(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	peer.takes_nothing = true;
	for (int i = 0; i < 3; i++) {
		ask_all(&peer, NBD_CMD_FLUSH, 0, 1000);
		nbd_end_all(&rig);
	}
	assert_int_equal(rig.submits, NBD_RIG_REQUESTS);
	assert_false(takes_input(&peer));
	peer.takes_nothing = false;
	for (uint32_t i = 0; i < NBD_RIG_REQUESTS; i++)
		nbd_hear_reply(&peer, i, 0);
	assert_true(takes_input(&peer));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* Z4: as a range that a resync has suspended does. */
static void a_request_that_waits_holds_up_no_other(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go_structured(&peer);
	nbd_ask_write(&peer, 1, 0, 65536, 1);
	for (uint64_t i = 2; i < 100; i++) {
		nbd_ask_write(&peer, i, 1 << 20, 65536, (uint8_t)i);
		nbd_end(&rig, 1, 0);
		nbd_hear_reply(&peer, i, 0);
	}
	nbd_end(&rig, 0, 0);
	nbd_hear_reply(&peer, 1, 0);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Nobody reads, everybody wants as much as can be had: it is no more than there is. */
static void all_clients_together_have_no_more_than_the_limit(void **state)
{
	struct nbd_peer peers[NBD_RIG_CLIENTS];
	struct nbd_rig rig;

	(void)state;
	nbd_rig_init(&rig);
	for (int i = 0; i < NBD_RIG_CLIENTS; i++) {
		nbd_peer_init(&peers[i], &rig);
		if (i % 2)
			nbd_go(&peers[i]);
		else
			nbd_go_structured(&peers[i]);
		peers[i].takes_nothing = true;
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < NBD_RIG_CLIENTS; i++)
			ask_all(&peers[i], NBD_CMD_READ, 32 << 20, 1000);
		assert_in_range(rig.export.memory.used_bytes, 1, NBD_RIG_MEMORY);
		nbd_end_all(&rig);
		assert_in_range(rig.export.memory.used_bytes + rig.export.memory.free_bytes,
				1, NBD_RIG_MEMORY);
	}
	for (int i = 0; i < NBD_RIG_CLIENTS; i++) {
		nbd_session_abandon(peers[i].session);
		nbd_end_all(&rig);
		nbd_peer_fini(&peers[i]);
	}
	nbd_rig_fini(&rig);
}

/* Z5: its neighbours are as greedy as they can be, and dead to the world. */
static void who_behaves_goes_on_beside_stalled_neighbours(void **state)
{
	struct nbd_peer peers[NBD_RIG_CLIENTS];
	struct nbd_peer *good = &peers[NBD_RIG_CLIENTS - 1];
	struct nbd_rig rig;
	uint64_t offset;
	uint32_t length;
	uint64_t heard = 0;
	bool is_last;

	(void)state;
	nbd_rig_init(&rig);
	for (int i = 0; i < NBD_RIG_CLIENTS; i++) {
		nbd_peer_init(&peers[i], &rig);
		nbd_go_structured(&peers[i]);
	}
	for (int i = 0; i < NBD_RIG_CLIENTS - 1; i++) {
		peers[i].takes_nothing = true;
		ask_all(&peers[i], NBD_CMD_READ, 1 << 20, 1000);
		ask_all(&peers[i], NBD_CMD_READ, 4096, 1000);
		nbd_end_all(&rig);
		ask_all(&peers[i], NBD_CMD_READ, 4096, 1000);
		nbd_end_all(&rig);
	}

	/* small ones, side by side */
	assert_int_equal(ask_all(good, NBD_CMD_READ, 4096, NBD_RIG_REQUESTS),
			 NBD_RIG_REQUESTS);
	nbd_end_all(&rig);
	for (uint32_t i = 0; i < NBD_RIG_REQUESTS; i++)
		assert_true(nbd_hear_chunk(good, i, &offset, &length));

	/* and the longest there are */
	nbd_ask(good, NBD_CMD_READ, 0, 7, 0, 32 << 20);
	do {
		assert_true(rig.pending_count > 0);
		nbd_end_all(&rig);
		do {
			is_last = nbd_hear_chunk(good, 7, &offset, &length);
			heard += length;
		} while (good->got_end > good->got_at);
	} while (!is_last);
	assert_int_equal(heard, 32 << 20);

	for (int i = 0; i < NBD_RIG_CLIENTS; i++) {
		nbd_session_abandon(peers[i].session);
		nbd_end_all(&rig);
		nbd_peer_fini(&peers[i]);
	}
	nbd_rig_fini(&rig);
}

/* Who waits for memory is told when another gives some back, and goes on by that. */
static void memory_that_comes_back_goes_to_who_waits(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer greedy, other;
	uint32_t before;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&greedy, &rig);
	nbd_peer_init(&other, &rig);
	nbd_go_structured(&greedy);
	nbd_go_structured(&other);
	nbd_ask(&greedy, NBD_CMD_READ, 0, 1, 0, 32 << 20);
	nbd_run(&greedy);
	nbd_ask(&other, NBD_CMD_READ, 0, 1, 0, 32 << 20);
	nbd_run(&other);
	assert_true(nbd_session_is_starved(greedy.session));
	assert_true(nbd_session_is_starved(other.session));
	assert_string_equal(waits_for(&other), "memory");
	assert_int_equal(rig.export.starved, 2);
	assert_int_equal(rig.export.counters.memory_waits, 2);

	before = rig.pending_count;
	nbd_session_abandon(greedy.session);
	for (uint32_t i = 0; i < before; i++) /* those of `other` come behind */
		if (greedy.memory_freed == 0)
			nbd_end(&rig, 0, 0);
	assert_true(greedy.memory_freed > 0);
	while (nbd_pending(&rig, 0)->offset_bytes > 0)
		nbd_end(&rig, 0, 0);
	before = rig.pending_count;
	nbd_run(&other);
	assert_true(rig.pending_count > before);

	nbd_session_abandon(other.session);
	nbd_end_all(&rig);
	nbd_peer_fini(&greedy);
	nbd_peer_fini(&other);
	nbd_rig_fini(&rig);
}

/* Z6: what was enough once is enough again. */
static void the_steady_state_allocates_nothing(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;
	uint64_t kept = 0;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	for (int round = 0; round < 100; round++) {
		for (uint64_t i = 0; i < 8; i++)
			nbd_ask_write(&peer, i, i * 4096, 4096, 0);
		nbd_end_all(&rig);
		for (uint64_t i = 0; i < 8; i++)
			nbd_hear_reply(&peer, i, 0);
		if (round == 0)
			kept = rig.export.memory.free_bytes;
	}
	assert_int_equal(kept, 8 * 4096);
	assert_int_equal(rig.export.memory.free_bytes, kept);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* --- who is gone (Z7) ------------------------------------------------------------------------ */

static void ios_of_who_is_gone_end_into_the_void(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask_write(&peer, 1, 0, 512, 7);
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 0, 65536);
	nbd_ask(&peer, NBD_CMD_FLUSH, 0, 3, 0, 0);
	nbd_ask(&peer, NBD_CMD_READ, 0, 4, 0, 1 << 20);
	nbd_ask(&peer, NBD_CMD_WRITE, 0, 5, 0, 4096);
	nbd_send(&peer, "half of a payload", 17);
	peer.takes_nothing = true;
	nbd_end(&rig, 1, 0); /* to be sent */
	nbd_session_abandon(peer.session);
	assert_true(nbd_session_is_over(peer.session));
	assert_false(nbd_session_is_idle(peer.session));
	assert_int_equal(rig.pending_count, 3);
	peer.wakes = 0;
	nbd_end(&rig, 0, -EIO);
	nbd_end(&rig, 0, 0);
	assert_false(nbd_session_is_idle(peer.session));
	nbd_end(&rig, 0, 0);
	assert_int_equal(peer.wakes, 3);
	assert_true(nbd_session_is_idle(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* A write that a hung disk may still read is answered; its memory stays. */
static void memory_that_the_kernel_holds_stays(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;
	struct volume_io *write, *read;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask_write(&peer, 1, 0, 4096, 7);
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 0, 4096);
	write = nbd_pending(&rig, 0);
	read = nbd_pending(&rig, 1);
	write->is_held = true;
	nbd_end(&rig, 0, 0);
	nbd_hear_reply(&peer, 1, 0);
	read->is_held = true;
	nbd_end(&rig, 0, -EIO);
	nbd_hear_reply(&peer, 2, NBD_EIO);
	assert_int_equal(rig.export.memory.used_bytes, 8192);

	/* others go on, in memory of their own */
	nbd_ask_write(&peer, 3, 0, 4096, 8);
	assert_true(nbd_pending(&rig, 0)->buffer != write->buffer);
	assert_true(nbd_pending(&rig, 0)->buffer != read->buffer);
	nbd_end(&rig, 0, 0);
	nbd_hear_reply(&peer, 3, 0);

	nbd_session_abandon(peer.session);
	assert_false(nbd_session_is_idle(peer.session));
	write->released(write);
	assert_int_equal(rig.export.memory.used_bytes, 4096);
	read->released(read);
	assert_true(nbd_session_is_idle(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* Its data are right, from another disk; they are sent, and the memory stays all the same. */
static void a_read_that_is_held_is_sent_and_its_memory_stays(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;
	struct volume_io *read;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	peer.takes_nothing = true;
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 0, 4096);
	read = nbd_pending(&rig, 0);
	read->is_held = true;
	nbd_end(&rig, 0, 0);
	peer.takes_nothing = false;
	nbd_hear_reply(&peer, 2, 0);
	nbd_hear_data(&peer, 0, 4096);
	assert_int_equal(rig.export.memory.used_bytes, 4096);
	read->released(read);
	assert_int_equal(rig.export.memory.used_bytes, 0);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

static void a_held_read_released_before_it_is_sent_is_sent(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;
	struct volume_io *read;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	peer.takes_nothing = true;
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 8192, 4096);
	read = nbd_pending(&rig, 0);
	read->is_held = true;
	nbd_end(&rig, 0, 0);
	read->released(read);
	nbd_ask(&peer, NBD_CMD_READ, 0, 3, 0, 4096); /* not in the memory of what is to be sent */
	nbd_end_all(&rig);
	peer.takes_nothing = false;
	nbd_hear_reply(&peer, 2, 0);
	nbd_hear_data(&peer, 8192, 4096);
	nbd_hear_reply(&peer, 3, 0);
	nbd_hear_data(&peer, 0, 4096);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* It may be rewritten by the kernel at any time: nothing new is read into it. */
static void a_stream_does_not_go_on_in_memory_that_is_held(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;
	struct volume_io *read;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 0, 4 << 20);
	read = nbd_pending(&rig, 0);
	read->is_held = true;
	nbd_end(&rig, 0, 0);
	nbd_run(&peer);
	assert_int_equal(rig.pending_count, 0);
	assert_true(nbd_session_is_over(peer.session));
	assert_non_null(nbd_session_fault(peer.session));
	nbd_session_abandon(peer.session);
	read->released(read);
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* --- the end -------------------------------------------------------------------------------- */

/* Who shuts its side down still reads; what it had asked for is answered. */
static void who_sends_no_more_hears_its_replies(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask(&peer, NBD_CMD_READ, 0, 1, 0, 512);
	nbd_ask(&peer, NBD_CMD_WRITE, 0, 2, 0, 3 << 20);
	nbd_send(&peer, rig.bytes, (1 << 20) + 5);
	nbd_session_end_of_input(peer.session);
	nbd_run(&peer);
	assert_false(nbd_session_is_over(peer.session));
	nbd_end_all(&rig);
	nbd_hear_reply(&peer, 1, 0);
	nbd_hear_data(&peer, 0, 512);
	nbd_hear_reply(&peer, 2, NBD_EINVAL);
	assert_true(nbd_session_is_over(peer.session));
	assert_null(nbd_session_fault(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

/* What was read ahead of who is gone was asked for, too. */
static void what_came_before_the_end_is_done_as_others_end(void **state)
{
	uint8_t many[3 * NBD_RIG_REQUESTS * NBD_REQUEST_BYTES];
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	for (size_t i = 0; i < sizeof(many); i += NBD_REQUEST_BYTES)
		memcpy(many + i, "\x25\x60\x95\x13\0\0\0\3\0\0\0\0\0\0\0\7"
				 "\0\0\0\0\0\0\0\0\0\0\0\0", NBD_REQUEST_BYTES);
	nbd_send(&peer, many, sizeof(many));
	nbd_session_end_of_input(peer.session);
	nbd_run(&peer);
	for (uint32_t i = 0; i < 3 * NBD_RIG_REQUESTS; i++) {
		assert_false(nbd_session_is_over(peer.session));
		nbd_end(&rig, 0, 0);
		nbd_hear_reply(&peer, 7, 0);
	}
	assert_true(nbd_session_is_over(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

static void a_payload_that_is_skipped_may_end_early_too(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask(&peer, NBD_CMD_WRITE, 0, 2, 100, 3 << 20);
	nbd_send(&peer, rig.bytes, 50000);
	nbd_session_end_of_input(peer.session);
	nbd_hear_reply(&peer, 2, NBD_EINVAL);
	assert_true(nbd_session_is_over(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

static void draining_ends_what_was_asked_and_leaves_the_rest_unanswered(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask(&peer, NBD_CMD_READ, 0, 1, 0, 512);
	nbd_session_drain(peer.session);
	nbd_ask(&peer, NBD_CMD_READ, 0, 2, 0, 512);
	nbd_ask_write(&peer, 3, 0, 512, 0);
	assert_false(nbd_session_is_over(peer.session));
	nbd_end_all(&rig);
	nbd_hear_reply(&peer, 1, 0);
	nbd_hear_data(&peer, 0, 512);
	nbd_hear_nothing(&peer);
	assert_true(nbd_session_is_over(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

static void what_the_array_does_not_do_any_more_is_left_unanswered(void **state)
{
	struct nbd_rig rig;
	struct nbd_peer peer;

	(void)state;
	nbd_rig_init(&rig);
	nbd_peer_init(&peer, &rig);
	nbd_go(&peer);
	nbd_ask_write(&peer, 1, 0, 512, 0);
	nbd_ask_write(&peer, 2, 512, 512, 0);
	nbd_session_drain(peer.session);
	nbd_end(&rig, 1, -EIO);
	nbd_hear_reply(&peer, 2, NBD_EIO);
	nbd_end(&rig, 0, -ESHUTDOWN);
	nbd_hear_nothing(&peer);
	assert_true(nbd_session_is_over(peer.session));
	nbd_peer_fini(&peer);
	nbd_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_array_does_not_do_any_more_is_left_unanswered),
		cmocka_unit_test(requests_are_taken_up_to_the_limit_and_then_as_others_end),
		cmocka_unit_test(who_takes_no_replies_is_not_heard_any_more),
		cmocka_unit_test(a_request_that_waits_holds_up_no_other),
		cmocka_unit_test(all_clients_together_have_no_more_than_the_limit),
		cmocka_unit_test(who_behaves_goes_on_beside_stalled_neighbours),
		cmocka_unit_test(memory_that_comes_back_goes_to_who_waits),
		cmocka_unit_test(the_steady_state_allocates_nothing),
		cmocka_unit_test(ios_of_who_is_gone_end_into_the_void),
		cmocka_unit_test(memory_that_the_kernel_holds_stays),
		cmocka_unit_test(a_read_that_is_held_is_sent_and_its_memory_stays),
		cmocka_unit_test(a_held_read_released_before_it_is_sent_is_sent),
		cmocka_unit_test(a_stream_does_not_go_on_in_memory_that_is_held),
		cmocka_unit_test(who_sends_no_more_hears_its_replies),
		cmocka_unit_test(what_came_before_the_end_is_done_as_others_end),
		cmocka_unit_test(a_payload_that_is_skipped_may_end_early_too),
		cmocka_unit_test(draining_ends_what_was_asked_and_leaves_the_rest_unanswered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
