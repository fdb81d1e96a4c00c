/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The value block beyond the table of mode pairs (stories_modes.c), and what death does
 * to it. 1 and 3 keep the resource with NL, and look into it; 2 is who meddles.
 */
#include "tests/locks/stories.h"

static const struct conformance_story values[] = {
	{ "value_lives_as_long_as_a_null_lock", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock EX r valblk           -> 2 granted EX value=old\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "2 lock NL r valblk           -> 2 granted NL value=old\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 convert PR valblk          -> 1 granted PR value=old\n" },
	{ "value_is_as_it_was_when_it_was_asked_for", 0,
	  "1 lock EX r\n"
	  "2 lock EX r valblk           -> 1 blocked EX\n"
	  "1 convert NL value=first     -> 1 granted NL, 2 granted EX value=first\n"
	  "2 convert CR value=second    -> 2 granted CR\n"
	  "1 convert CR valblk          -> 1 granted CR value=second\n" },
	{ "from_pw_to_ex_it_is_read_and_what_was_not_saved_is_lost", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock PW r valblk           -> 2 granted PW value=old\n"
	  "2 convert EX value=mine      -> 2 granted EX value=old\n"
	  "2 convert NL                 -> 2 granted NL\n"
	  "1 convert CR valblk          -> 1 granted CR value=old\n" },
	{ "from_pw_to_pw_it_is_written_while_others_read", 0,
	  "1 lock PW r\n"
	  "2 lock NL r\n"
	  "1 convert PW value=w1\n"
	  "2 convert CR valblk          -> 2 granted CR value=w1\n"
	  "1 convert PW value=w2\n"
	  "2 convert CR valblk          -> 2 granted CR value=w2\n"
	  "1 convert PW value=w3\n"
	  "2 convert NL valblk          -> 2 granted NL\n"
	  "2 convert NL valblk          -> 2 granted NL value=w3\n" },
	{ "what_is_refused_returns_no_value", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "1 convert EX\n"
	  "2 lock NL r\n"
	  "2 convert PR noqueue valblk  -> 2 again NL\n"
	  "3 lock PR r noqueue valblk   -> 3 again\n" },
	{ "who_waits_sends_its_value_when_it_is_granted", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock PW r\n"
	  "1 convert CR valblk          -> 1 granted CR value=old\n"
	  "2 convert EX value=mine      -> 1 blocked EX\n"
	  "1 convert CR valblk          -> 1 granted CR value=old, 1 blocked EX\n"
	  "1 convert NL                 -> 1 granted NL, 2 granted EX value=old\n" },
	{ "unlock_by_force_sends_the_value_of_what_is_held", 0,
	  "1 lock CR r\n"
	  "2 lock PW r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "2 unlock forceunlock value=end  -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=end\n" },
	{ "ivvalblk_spoils_the_value_on_the_way_down", 0,
	  "1 lock NL r\n"
	  "1b lock EX r\n"
	  "1b convert NL value=old\n"
	  "2 lock EX r\n"
	  "2 convert NL ivvalblk        -> 2 granted NL\n"
	  "1 convert CR valblk          -> 1 granted CR invalid value=old\n"
	  "3 lock PR r valblk           -> 3 granted PR invalid value=old\n" },
	{ "ivvalblk_spoils_the_value_in_unlock", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock PW r\n"
	  "2 unlock ivvalblk            -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR invalid value=old\n" },
	{ "ivvalblk_below_pw_does_nothing", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock PR r\n"
	  "2 convert CR ivvalblk        -> 2 granted CR\n"
	  "2 convert PR ivvalblk        -> 2 granted PR\n"
	  "2 unlock ivvalblk            -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=old\n" },
	{ "ivvalblk_wins_over_valblk", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock EX r\n"
	  "2 convert NL ivvalblk value=new -> 2 granted NL\n"
	  "1 convert CR valblk          -> 1 granted CR invalid value=old\n" },
	{ "who_reads_does_not_make_it_valid", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "1 convert EX\n"
	  "1 convert NL ivvalblk\n"
	  "2 lock EX r valblk           -> 2 granted EX invalid value=old\n"
	  "2 convert NL                 -> 2 granted NL\n"
	  "3 lock CR r valblk           -> 3 granted CR invalid value=old\n" },
	{ "who_writes_in_going_down_makes_it_valid", 0,
	  "1 lock EX r\n"
	  "1 convert NL ivvalblk\n"
	  "2 lock PW r\n"
	  "2 convert NL value=new\n"
	  "1 convert CR valblk          -> 1 granted CR value=new\n" },
	{ "who_writes_in_staying_makes_it_valid", 0,
	  "1 lock PW r\n"
	  "1 convert NL ivvalblk\n"
	  "1 convert PW\n"
	  "1 convert PW value=new\n"
	  "2 lock CR r valblk           -> 2 granted CR value=new\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 convert EX\n"
	  "1 convert EX ivvalblk\n"
	  "1 convert EX value=newer\n"
	  "1 convert CR\n"
	  "2 lock CR r valblk           -> 2 granted CR value=newer\n" },
	{ "who_writes_in_unlocking_makes_it_valid", 0,
	  "1 lock NL r\n"
	  "2 lock EX r\n"
	  "2 convert EX ivvalblk        -> 2 granted EX\n"
	  "2 unlock value=new           -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=new\n" },
	{ "going_down_without_valblk_neither_writes_nor_makes_valid", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "1 convert EX\n"
	  "1 convert NL ivvalblk\n"
	  "2 lock EX r\n"
	  "2 convert NL                 -> 2 granted NL\n"
	  "2 convert EX                 -> 2 granted EX\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR invalid value=old\n" },
};

const struct story_table stories_of_values = STORY_TABLE(values);

static const struct conformance_story deaths[] = {
	{ "who_waits_for_a_dead_node_is_granted_and_told_that_the_value_is_invalid",
	  LACKS_DEATH,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock EX r valblk           -> 2 granted EX value=old\n"
	  "3 lock EX r valblk           -> 2 blocked EX\n"
	  "2 dies process; 2 proven     -> 3 granted EX invalid value=old\n"
	  "3 convert NL value=new       -> 3 granted NL\n"
	  "1 convert CR valblk          -> 1 granted CR value=new\n" },
	{ "all_that_a_dead_node_held_is_free", LACKS_DEATH | LACKS_NODE_DEATH,
	  "1 lock EX q\n"
	  "2 lock EX r\n"
	  "2b lock PR p\n"
	  "2c lock EX q                 -> 1 blocked EX\n"
	  "3 lock PR r                  -> 2 blocked PR\n"
	  "4 lock EX p                  -> 2b blocked EX\n"
	  "4b lock PR q                 -> nothing\n"
	  "2 dies node; 2 proven        -> 3 granted PR, 4 granted EX\n"
	  "1 unlock                     -> 1 unlocked, 4b granted PR\n" },
	{ "who_dies_waiting_leaves_the_queue", LACKS_DEATH,
	  "1 lock PR r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "2 dies process; 2 proven     -> 3 granted PR\n" },
	{ "who_dies_converting_leaves_both_queues", LACKS_DEATH,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "3 lock CW r                  -> ?1 blocked CW, ?2 blocked CW\n"
	  "1 convert NL; 2 dies process; 2 proven -> 1 granted NL, 3 granted CW\n" },
	{ "after_a_node_death_conversions_are_granted_in_any_order",
	  LACKS_DEATH | LACKS_NODE_DEATH,
	  "1 lock CR r\n"
	  "3 lock CR r\n"
	  "2 lock PR r\n"
	  "4 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX, 3 blocked EX\n"
	  "4 convert PW                 -> nothing\n"
	  "2 dies node; 2 proven        -> 4 granted PW, 4 blocked EX\n" },
	{ "two_that_die_are_both_gone", LACKS_DEATH,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "3 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX, 3 blocked EX\n"
	  "2 dies process; 3 dies process; 3 proven; 2 proven -> 1 granted EX\n" },
	{ "nothing_is_granted_until_a_death_is_proven", LACKS_DEATH | LACKS_FREEZE,
	  "2 lock PR r\n"
	  "3 lock NL q\n"
	  "2 dies process               -> nothing\n"
	  "1 lock PR r                  -> nothing\n"
	  "3 convert PR                 -> nothing\n"
	  "4 lock EX p                  -> nothing\n"
	  "2 proven                     -> 1 granted PR, 3 granted PR, 4 granted EX\n" },
	{ "nothing_is_given_up_until_a_death_is_proven", LACKS_DEATH | LACKS_FREEZE,
	  "1 lock EX r\n"
	  "3 lock EX r                  -> 1 blocked EX\n"
	  "2 dies node                  -> nothing\n"
	  "1 unlock                     -> nothing\n"
	  "2 proven                     -> 1 unlocked, 3 granted EX\n" },
	{ "all_deaths_must_be_proven", LACKS_DEATH | LACKS_FREEZE,
	  "1 lock EX r\n"
	  "2 dies node                  -> nothing\n"
	  "3 dies process               -> nothing\n"
	  "4 lock EX q                  -> nothing\n"
	  "3 proven                     -> nothing\n"
	  "2 proven                     -> 4 granted EX\n" },
	{ "members_hear_of_a_death_then_of_its_proof_then_that_all_goes_on",
	  LACKS_DEATH | LACKS_FREEZE | LACKS_RECOVERY,
	  "2 dies node                  -> @1 prep, @3 prep, @4 prep\n"
	  "2 proven                     -> @1 slot 2, @1 on, @3 slot 2, @3 on, @4 slot 2, "
					  "@4 on\n"
	  "2 opens                      -> @1 on, @2 on, @3 on, @4 on\n" },
	{ "members_hear_of_leaving_without_a_death", LACKS_RECOVERY,
	  "2 closes                     -> @2 closed, @1 on, @3 on, @4 on\n"
	  "2 opens                      -> @1 on, @2 on, @3 on, @4 on\n" },
	{ "who_is_restarted_is_in_when_its_past_is_proven_dead",
	  LACKS_DEATH | LACKS_FREEZE,
	  "2 lock EX r\n"
	  "1 lock EX r                  -> 2 blocked EX\n"
	  "2 dies process               -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 lock PR q                  -> nothing\n"
	  "2 proven                     -> 1 granted EX, 2 granted PR\n" },
};

const struct story_table stories_of_deaths = STORY_TABLE(deaths);
