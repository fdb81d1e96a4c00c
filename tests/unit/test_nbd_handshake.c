/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a client comes to an export, and how what makes no sense is told it. */
#include "tests/unit/nbd_rig.h"

#include <string.h>

#include "base/codec.h"

struct scene {
	struct nbd_rig rig;
	struct nbd_peer peer;
};

static struct scene scene_begin(void)
{
	return (struct scene){ 0 };
}

static void begin(struct scene *scene)
{
	nbd_rig_init(&scene->rig);
	nbd_peer_init(&scene->peer, &scene->rig);
}

static void finish(struct scene *scene)
{
	nbd_peer_fini(&scene->peer);
	nbd_rig_fini(&scene->rig);
}

/* Met, and at options. */
#define SCENE(s)                            \
	struct scene s = scene_begin();     \
	(void)state;                        \
	begin(&(s));                        \
	nbd_meet(&(s).peer)

static void assert_cut(struct scene *scene)
{
	nbd_run(&scene->peer);
	assert_non_null(nbd_session_fault(scene->peer.session));
	assert_true(nbd_session_is_over(scene->peer.session));
}

static void assert_goes_on(struct scene *scene)
{
	nbd_option(&scene->peer, NBD_OPT_STRUCTURED_REPLY, "", 0);
	assert_int_equal(nbd_hear_answer(&scene->peer, NBD_OPT_STRUCTURED_REPLY,
					 NBD_REP_ACK), 0);
	nbd_hear_nothing(&scene->peer);
	assert_null(nbd_session_fault(scene->peer.session));
	assert_false(nbd_session_is_over(scene->peer.session));
}

static const uint16_t flags_of_all = NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA |
				     NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES | NBD_SEND_DF |
				     NBD_CAN_MULTI_CONN;

static void hear_export(struct nbd_peer *peer, uint32_t option, uint16_t flags)
{
	struct rd rd;

	assert_int_equal(nbd_hear_answer(peer, option, NBD_REP_INFO), 12);
	rd = rd_over(nbd_hear(peer, 12), 12);
	assert_int_equal(rd_be_u16(&rd), NBD_INFO_EXPORT);
	assert_int_equal(rd_be_u64(&rd), NBD_RIG_SIZE);
	assert_int_equal(rd_be_u16(&rd), flags);
}

static void hear_sizes(struct nbd_peer *peer, uint32_t option, uint32_t optimal)
{
	struct rd rd;

	assert_int_equal(nbd_hear_answer(peer, option, NBD_REP_INFO), 14);
	rd = rd_over(nbd_hear(peer, 14), 14);
	assert_int_equal(rd_be_u16(&rd), NBD_INFO_BLOCK_SIZE);
	assert_int_equal(rd_be_u32(&rd), NBD_RIG_BLOCK);
	assert_int_equal(rd_be_u32(&rd), optimal);
	assert_int_equal(rd_be_u32(&rd), 32 << 20);
}

static void hear_text(struct nbd_peer *peer, uint32_t option, uint16_t info, const char *text)
{
	uint32_t length = nbd_hear_answer(peer, option, NBD_REP_INFO);
	struct rd rd = rd_over(nbd_hear(peer, length), length);

	assert_int_equal(length, 2 + strlen(text));
	assert_int_equal(rd_be_u16(&rd), info);
	assert_memory_equal(rd.base + 2, text, strlen(text));
}

/* --- the beginning --------------------------------------------------------------------------- */

static void flags_that_nobody_knows_cut_the_client(void **state)
{
	struct scene s = scene_begin();

	(void)state;
	begin(&s);
	nbd_send(&s.peer, "\0\0\0\7", 4);
	assert_cut(&s);
	finish(&s);
}

static void what_is_no_option_cuts_the_client(void **state)
{
	SCENE(s);
	nbd_send_some(&s.peer, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_cut(&s);
	finish(&s);
}

static void an_unknown_option_is_skipped_and_refused(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, 4711, "some data", 9);
	nbd_hear_refusal(&s.peer, 4711, NBD_REP_ERR_UNSUP);
	nbd_option(&s.peer, NBD_OPT_STARTTLS, "", 0);
	nbd_hear_refusal(&s.peer, NBD_OPT_STARTTLS, NBD_REP_ERR_UNSUP);
	assert_goes_on(&s);
	finish(&s);
}

static void an_option_with_megabytes_is_skipped_and_refused(void **state)
{
	static const uint8_t much[1 << 20];
	SCENE(s);

	nbd_option(&s.peer, NBD_OPT_GO, much, sizeof(much));
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_TOO_BIG);
	nbd_option(&s.peer, NBD_OPT_GO, much, 8193);
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_TOO_BIG);
	nbd_option(&s.peer, NBD_OPT_GO, much, 8192);
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_INVALID);
	assert_goes_on(&s);
	finish(&s);
}

static void abort_is_acknowledged_and_ends_it(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_ABORT, "", 0);
	assert_int_equal(nbd_hear_answer(&s.peer, NBD_OPT_ABORT, NBD_REP_ACK), 0);
	assert_true(nbd_session_is_over(s.peer.session));
	assert_null(nbd_session_fault(s.peer.session));
	finish(&s);
}

static void who_hangs_up_in_the_middle_of_an_option_is_just_gone(void **state)
{
	SCENE(s);
	nbd_send(&s.peer, "IHAVEO", 6);
	nbd_session_end_of_input(s.peer.session);
	nbd_run(&s.peer);
	assert_true(nbd_session_is_over(s.peer.session));
	assert_null(nbd_session_fault(s.peer.session));
	finish(&s);
}

/* Or it could make us keep what it does not read. */
static void the_next_option_waits_until_the_answer_was_taken(void **state)
{
	static const char twice[] = "IHAVEOPT\0\0\0\3\0\0\0\0"
				    "IHAVEOPT\0\0\0\3\0\0\0\0";
	struct iovec room[2];
	SCENE(s);

	s.peer.takes_nothing = true;
	nbd_send(&s.peer, twice, sizeof(twice) - 1);
	assert_int_equal(nbd_session_room(s.peer.session, room), 0);
	s.peer.takes_nothing = false;
	for (int i = 0; i < 2; i++) {
		nbd_hear(&s.peer, nbd_hear_answer(&s.peer, NBD_OPT_LIST, NBD_REP_SERVER));
		nbd_hear_answer(&s.peer, NBD_OPT_LIST, NBD_REP_ACK);
	}
	assert_goes_on(&s);
	finish(&s);
}

/* --- the export ------------------------------------------------------------------------------ */

static void list_names_the_one_export(void **state)
{
	static const char wanted[] = "\0\0\0\4diska disk of tests";
	uint32_t length;
	SCENE(s);

	nbd_option(&s.peer, NBD_OPT_LIST, "", 0);
	length = nbd_hear_answer(&s.peer, NBD_OPT_LIST, NBD_REP_SERVER);
	assert_int_equal(length, sizeof(wanted) - 1);
	assert_memory_equal(nbd_hear(&s.peer, length), wanted, length);
	assert_int_equal(nbd_hear_answer(&s.peer, NBD_OPT_LIST, NBD_REP_ACK), 0);
	nbd_option(&s.peer, NBD_OPT_LIST, "x", 1);
	nbd_hear_refusal(&s.peer, NBD_OPT_LIST, NBD_REP_ERR_INVALID);
	assert_goes_on(&s);
	finish(&s);
}

static void info_tells_size_flags_and_blocks_and_goes_on(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_INFO, "\0\0\0\4disk\0\0", 10);
	hear_export(&s.peer, NBD_OPT_INFO, flags_of_all);
	hear_sizes(&s.peer, NBD_OPT_INFO, 65536);
	nbd_hear_answer(&s.peer, NBD_OPT_INFO, NBD_REP_ACK);
	assert_int_equal(nbd_session_state(s.peer.session), NBD_HAGGLING);
	assert_goes_on(&s);
	finish(&s);
}

static void what_was_asked_for_is_told_and_what_is_unknown_ignored(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_GO, "\0\0\0\0\0\4\0\2\0\77\0\1\0\3", 14);
	hear_export(&s.peer, NBD_OPT_GO, flags_of_all);
	hear_sizes(&s.peer, NBD_OPT_GO, 65536);
	hear_text(&s.peer, NBD_OPT_GO, NBD_INFO_NAME, "disk");
	hear_text(&s.peer, NBD_OPT_GO, NBD_INFO_DESCRIPTION, "a disk of tests");
	nbd_hear_answer(&s.peer, NBD_OPT_GO, NBD_REP_ACK);
	assert_int_equal(nbd_session_state(s.peer.session), NBD_TRANSMITTING);
	assert_int_equal(s.rig.export.counters.clients, 1);
	finish(&s);
}

static void flags_say_what_the_volume_can(void **state)
{
	SCENE(s);
	s.rig.volume.has_trim = false;
	nbd_option(&s.peer, NBD_OPT_INFO, "\0\0\0\0\0\0", 6);
	hear_export(&s.peer, NBD_OPT_INFO, flags_of_all & ~NBD_SEND_TRIM);
	nbd_hear(&s.peer, nbd_hear_answer(&s.peer, NBD_OPT_INFO, NBD_REP_INFO));
	nbd_hear_answer(&s.peer, NBD_OPT_INFO, NBD_REP_ACK);

	s.rig.volume.is_read_only = true;
	nbd_option(&s.peer, NBD_OPT_INFO, "\0\0\0\0\0\0", 6);
	hear_export(&s.peer, NBD_OPT_INFO,
		    (flags_of_all & ~(NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES)) |
			    NBD_READ_ONLY);
	finish(&s);
}

static void another_name_is_unknown(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_GO, "\0\0\0\4disc\0\0", 10);
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN);
	nbd_option(&s.peer, NBD_OPT_INFO, "\0\0\0\5disks\0\0", 11);
	nbd_hear_refusal(&s.peer, NBD_OPT_INFO, NBD_REP_ERR_UNKNOWN);
	nbd_option(&s.peer, NBD_OPT_GO, "\0\0\0\3dis\0\0", 9);
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN);
	assert_goes_on(&s);
	finish(&s);
}

static void data_that_are_not_what_an_option_has_are_refused(void **state)
{
	static const struct {
		const char *data;
		size_t length;
	} bad[] = {
		{ "", 0 },
		{ "\0\0\0\4disk\0", 9 },              /* half a count */
		{ "\0\0\0\5disk\0\0", 10 },           /* a name into the count */
		{ "\377\377\377\377disk\0\0", 10 },   /* a name of 4 GiB */
		{ "\0\0\0\4disk\0\1", 10 },           /* one info, and none there */
		{ "\0\0\0\4disk\0\0\0", 11 },         /* something behind it */
	};
	SCENE(s);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		nbd_option(&s.peer, NBD_OPT_GO, bad[i].data, bad[i].length);
		nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_INVALID);
	}
	nbd_option(&s.peer, NBD_OPT_STRUCTURED_REPLY, "x", 1);
	nbd_hear_refusal(&s.peer, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ERR_INVALID);
	assert_goes_on(&s);
	finish(&s);
}

static void the_old_way_in_has_zeroes_unless_the_client_wants_none(void **state)
{
	static const uint8_t zeroes[NBD_EXPORT_ZEROES];

	(void)state;
	for (char flags = 1; flags <= 3; flags += 2) {
		struct scene s = scene_begin();
		struct rd rd;

		begin(&s);
		nbd_send(&s.peer, (char[]){ 0, 0, 0, flags }, 4);
		nbd_hear(&s.peer, NBD_GREETING_BYTES);
		nbd_option(&s.peer, NBD_OPT_EXPORT_NAME, "disk", 4);
		rd = rd_over(nbd_hear(&s.peer, 10), 10);
		assert_int_equal(rd_be_u64(&rd), NBD_RIG_SIZE);
		assert_int_equal(rd_be_u16(&rd), flags_of_all);
		if (flags == 1)
			assert_memory_equal(nbd_hear(&s.peer, sizeof(zeroes)), zeroes,
					    sizeof(zeroes));
		nbd_hear_nothing(&s.peer);
		nbd_ask(&s.peer, NBD_CMD_FLUSH, 0, 5, 0, 0);
		nbd_end_all(&s.rig);
		nbd_hear_reply(&s.peer, 5, 0);
		finish(&s);
	}
}

static void the_old_way_in_cannot_refuse_a_name_but_by_hanging_up(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_EXPORT_NAME, "tape", 4);
	assert_cut(&s);
	nbd_hear_nothing(&s.peer);
	finish(&s);
}

/* --- contexts --------------------------------------------------------------------------------- */

#define NAME  "\0\0\0\4disk"
#define BASE  "\0\0\0\17base:allocation"
#define BYTES(text) text, sizeof(text) - 1

static void hear_context(struct nbd_peer *peer, uint32_t option, bool has_id)
{
	uint32_t length = nbd_hear_answer(peer, option, NBD_REP_META_CONTEXT);
	struct rd rd = rd_over(nbd_hear(peer, length), length);

	assert_int_equal(length, 4 + 15);
	assert_int_equal(rd_be_u32(&rd) != 0, has_id);
	assert_memory_equal(rd.base + 4, "base:allocation", 15);
}

static void contexts_want_structured_replies_first(void **state)
{
	SCENE(s);
	nbd_option(&s.peer, NBD_OPT_SET_META_CONTEXT, BYTES(NAME "\0\0\0\1" BASE));
	nbd_hear_refusal(&s.peer, NBD_OPT_SET_META_CONTEXT, NBD_REP_ERR_INVALID);
	assert_goes_on(&s);
	finish(&s);
}

static void base_allocation_can_be_set_and_is_found_by_what_means_it(void **state)
{
	const uint32_t set = NBD_OPT_SET_META_CONTEXT, list = NBD_OPT_LIST_META_CONTEXT;
	SCENE(s);

	assert_goes_on(&s); /* structured replies */
	nbd_option(&s.peer, set, BYTES(NAME "\0\0\0\2\0\0\0\6qemu:x" BASE));
	hear_context(&s.peer, set, true);
	nbd_hear_answer(&s.peer, set, NBD_REP_ACK);
	nbd_option(&s.peer, list, BYTES(NAME "\0\0\0\0"));
	hear_context(&s.peer, list, false);
	nbd_hear_answer(&s.peer, list, NBD_REP_ACK);
	nbd_option(&s.peer, list, BYTES("\0\0\0\0\0\0\0\1\0\0\0\5base:"));
	hear_context(&s.peer, list, false);
	nbd_hear_answer(&s.peer, list, NBD_REP_ACK);
	nbd_option(&s.peer, list, BYTES(NAME "\0\0\0\1\0\0\0\6qemu:x"));
	nbd_hear_answer(&s.peer, list, NBD_REP_ACK);
	nbd_hear_nothing(&s.peer);
	finish(&s);
}

static void ask_for_extents(struct scene *scene)
{
	nbd_option(&scene->peer, NBD_OPT_GO, BYTES(NAME "\0\0"));
	hear_export(&scene->peer, NBD_OPT_GO, flags_of_all);
	hear_sizes(&scene->peer, NBD_OPT_GO, 65536);
	nbd_hear_answer(&scene->peer, NBD_OPT_GO, NBD_REP_ACK);
	nbd_ask(&scene->peer, NBD_CMD_BLOCK_STATUS, 0, 1, 0, 4096);
}

/* Whatever the last option said, even if it failed, is what counts. */
static void a_context_is_forgotten_by_the_next_set(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		uint32_t answer;
	} next[] = {
		{ BYTES(NAME "\0\0\0\0"), NBD_REP_ACK },
		{ BYTES(NAME "\0\0\0\1\0\0\0\5base:"), NBD_REP_ACK },
		{ BYTES(NAME "\0\0\0\1\0\0\0\6qemu:x"), NBD_REP_ACK },
		{ BYTES(NAME "\0\0\0\1\0\0\0\20base:allocation"), NBD_REP_ERR_INVALID },
		{ BYTES("\0\0\0\4disc\0\0\0\1" BASE), NBD_REP_ERR_UNKNOWN },
		{ BYTES(NAME "\0\0\0"), NBD_REP_ERR_INVALID },
	};
	const uint32_t set = NBD_OPT_SET_META_CONTEXT;

	for (size_t i = 0; i < sizeof(next) / sizeof(*next); i++) {
		SCENE(s);

		assert_goes_on(&s);
		nbd_option(&s.peer, set, BYTES(NAME "\0\0\0\1" BASE));
		hear_context(&s.peer, set, true);
		nbd_hear_answer(&s.peer, set, NBD_REP_ACK);
		nbd_option(&s.peer, set, next[i].data, next[i].length);
		nbd_hear(&s.peer, nbd_hear_answer(&s.peer, set, next[i].answer));
		ask_for_extents(&s);
		nbd_hear_error(&s.peer, 1, NBD_EINVAL);
		finish(&s);
	}
}

/* --- the end ------------------------------------------------------------------------------------ */

static void an_export_without_a_volume_is_shut_down(void **state)
{
	SCENE(s);
	s.rig.export.volume = NULL;
	nbd_option(&s.peer, NBD_OPT_GO, BYTES(NAME "\0\0"));
	nbd_hear_refusal(&s.peer, NBD_OPT_GO, NBD_REP_ERR_SHUTDOWN);
	nbd_option(&s.peer, NBD_OPT_EXPORT_NAME, "disk", 4);
	assert_cut(&s);
	finish(&s);
}

static void all_of_it_may_come_byte_by_byte(void **state)
{
	struct scene s = scene_begin();

	(void)state;
	begin(&s);
	s.peer.at_a_time = 1;
	nbd_go_structured(&s.peer);
	nbd_ask(&s.peer, NBD_CMD_BLOCK_STATUS, 0, 1, 0, 4096);
	nbd_hear(&s.peer, NBD_CHUNK_STATUS_BYTES);
	nbd_hear_nothing(&s.peer);
	finish(&s);
}

static void all_of_it_may_come_at_once(void **state)
{
	static const char all[] = "\0\0\0\3"
				  "IHAVEOPT\0\0\0\10\0\0\0\0"
				  "IHAVEOPT\0\0\0\7\0\0\0\12" NAME "\0\0"
				  "\x25\x60\x95\x13\0\0\0\3\0\0\0\0\0\0\0\1"
				  "\0\0\0\0\0\0\0\0\0\0\0\0";
	struct scene s = scene_begin();

	(void)state;
	begin(&s);
	s.peer.takes_nothing = true;
	nbd_session_advance(s.peer.session);
	nbd_send(&s.peer, BYTES(all));
	s.peer.takes_nothing = false;
	nbd_hear(&s.peer, NBD_GREETING_BYTES);
	nbd_hear_answer(&s.peer, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK);
	hear_export(&s.peer, NBD_OPT_GO, flags_of_all);
	hear_sizes(&s.peer, NBD_OPT_GO, 65536);
	nbd_hear_answer(&s.peer, NBD_OPT_GO, NBD_REP_ACK);
	nbd_end(&s.rig, 0, 0);
	nbd_hear_reply(&s.peer, 1, 0);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_that_nobody_knows_cut_the_client),
		cmocka_unit_test(what_is_no_option_cuts_the_client),
		cmocka_unit_test(an_unknown_option_is_skipped_and_refused),
		cmocka_unit_test(an_option_with_megabytes_is_skipped_and_refused),
		cmocka_unit_test(abort_is_acknowledged_and_ends_it),
		cmocka_unit_test(who_hangs_up_in_the_middle_of_an_option_is_just_gone),
		cmocka_unit_test(the_next_option_waits_until_the_answer_was_taken),
		cmocka_unit_test(list_names_the_one_export),
		cmocka_unit_test(info_tells_size_flags_and_blocks_and_goes_on),
		cmocka_unit_test(what_was_asked_for_is_told_and_what_is_unknown_ignored),
		cmocka_unit_test(flags_say_what_the_volume_can),
		cmocka_unit_test(another_name_is_unknown),
		cmocka_unit_test(data_that_are_not_what_an_option_has_are_refused),
		cmocka_unit_test(the_old_way_in_has_zeroes_unless_the_client_wants_none),
		cmocka_unit_test(the_old_way_in_cannot_refuse_a_name_but_by_hanging_up),
		cmocka_unit_test(contexts_want_structured_replies_first),
		cmocka_unit_test(base_allocation_can_be_set_and_is_found_by_what_means_it),
		cmocka_unit_test(a_context_is_forgotten_by_the_next_set),
		cmocka_unit_test(an_export_without_a_volume_is_shut_down),
		cmocka_unit_test(all_of_it_may_come_byte_by_byte),
		cmocka_unit_test(all_of_it_may_come_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
