/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is granted when: the three queues, and the flags that change their order. */
#include "tests/locks/stories.h"

static const struct conformance_story queues[] = {
	{ "requests_are_granted_in_the_order_in_which_they_came", 0,
	  "1 lock EX r\n"
	  "2 lock PR r                  -> 1 blocked PR\n"
	  "3 lock EX r                  -> 1 blocked EX\n"
	  "1b lock PR r                 -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 2 granted PR, 2 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 3 granted EX, 3 blocked PR\n"
	  "3 unlock                     -> 3 unlocked, 1b granted PR\n" },
	{ "all_who_can_go_together_from_the_head_do", 0,
	  "1 lock EX r\n"
	  "2 lock PR r                  -> 1 blocked PR\n"
	  "3 lock CR r                  -> nothing\n"
	  "4 lock PR r                  -> nothing\n"
	  "1 convert PR                 -> 1 granted PR, 2 granted PR, 3 granted CR, "
					  "4 granted PR\n" },
	{ "new_request_waits_behind_those_that_wait", 0,
	  "1 lock PR r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "4 lock NL r                  -> nothing\n"
	  "2 cancel                     -> 2 cancelled, 3 granted PR, 4 granted NL\n" },
	{ "new_request_waits_while_a_conversion_does", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 lock CR r                  -> nothing\n"
	  "2 convert NL                 -> 2 granted NL, 1 granted EX, 1 blocked CR\n"
	  "1 unlock                     -> 1 unlocked, 3 granted CR\n" },
	{ "conversions_go_ahead_of_requests", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "3 lock EX r                  -> 1 blocked EX, 2 blocked EX\n"
	  "1 convert EX                 -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX, 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 3 granted EX\n" },
	{ "request_waits_for_what_a_converting_lock_still_holds", LACKS_TOLD_CONVERTERS,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 lock EX r                  -> 1 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX, 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 3 granted EX\n" },
	{ "expedite_waits_for_nobody", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock NL r                  -> nothing\n"
	  "4 lock NL r expedite         -> 4 granted NL\n"
	  "1 convert CR                 -> 1 granted CR, 1 blocked EX\n"
	  "1 convert EX                 -> 1 granted EX, 1 blocked EX\n"
	  "3b lock NL r expedite        -> 3b granted NL\n" },
	{ "expedite_passes_waiting_conversions", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 lock NL r expedite         -> 3 granted NL\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX\n" },
	{ "noorder_passes_those_that_wait", 0,
	  "1 lock PR r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r noorder          -> 3 granted PR, ?3 blocked EX\n"
	  "4 lock PR r                  -> nothing\n"
	  "3 unlock                     -> 3 unlocked\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX, 2 blocked PR\n"
	  "2 unlock                     -> 2 unlocked, 4 granted PR\n" },
	{ "noorder_goes_as_soon_as_it_is_compatible", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r noorder          -> nothing\n"
	  "1 convert PR                 -> 1 granted PR, 3 granted PR, 1 blocked EX, "
					  "3 blocked EX\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "3 unlock                     -> 3 unlocked, 2 granted EX\n" },
	{ "noorder_opens_the_way_for_itself_alone", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r noorder          -> nothing\n"
	  "4 lock PR r                  -> nothing\n"
	  "1 convert PR                 -> 1 granted PR, 3 granted PR, 1 blocked EX, "
					  "3 blocked EX\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "3 unlock                     -> 3 unlocked, 2 granted EX, 2 blocked PR\n"
	  "2 unlock                     -> 2 unlocked, 4 granted PR\n" },
	{ "noorder_is_no_pass_through_conflicts", 0,
	  "1 lock PR r\n"
	  "2 lock CW r noorder          -> 1 blocked CW\n"
	  "1 unlock                     -> 1 unlocked, 2 granted CW\n" },
	{ "noorder_conversion_goes_ahead_of_the_head", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "2b lock CR r\n"
	  "3 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX, 2b blocked EX\n"
	  "3 convert PW noorder         -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 3 granted PW, 3 blocked EX\n"
	  "3 unlock                     -> 3 unlocked\n"
	  "2b unlock                    -> 2b unlocked, 1 granted EX\n" },
	{ "noorder_conversion_opens_the_way_for_itself_alone", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "2b lock CR r\n"
	  "3 lock NL r\n"
	  "4 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX, 2b blocked EX\n"
	  "3 convert CW noorder         -> nothing\n"
	  "4 convert CW                 -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 3 granted CW, 3 blocked EX\n"
	  "2b unlock                    -> 2b unlocked\n"
	  "3 convert NL                 -> 3 granted NL, 1 granted EX, 1 blocked CW\n"
	  "1 convert CR                 -> 1 granted CR, 4 granted CW\n" },
	{ "headque_is_ahead_of_requests_that_wait", 0,
	  "1 lock EX r\n"
	  "2 lock PW r                  -> 1 blocked PW\n"
	  "3 lock PW r headque          -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 3 granted PW, 3 blocked PW\n"
	  "3 unlock                     -> 3 unlocked, 2 granted PW\n" },
	{ "headque_is_ahead_of_conversions_that_wait", 0,
	  "1 lock CR r\n"
	  "2 lock CR r\n"
	  "3 lock PR r\n"
	  "1 convert PW                 -> 3 blocked PW\n"
	  "2 convert PW headque         -> nothing\n"
	  "3 unlock                     -> 3 unlocked, 2 granted PW, 2 blocked PW\n"
	  "2 unlock                     -> 2 unlocked, 1 granted PW\n" },
	{ "headque_request_is_behind_conversions", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 lock PR r headque          -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX, 1 blocked PR\n"
	  "1 convert PR                 -> 1 granted PR, 3 granted PR\n" },
	{ "lock_that_is_freed_lets_the_next_one_in", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock EX r                  -> nothing\n"
	  "2 frees                      -> nothing\n"
	  "1 frees                      -> 3 granted EX\n" },
	{ "locks_of_one_node_exclude_each_other_too", 0,
	  "1 lock EX r\n"
	  "1b lock PR r                 -> 1 blocked PR\n"
	  "1c lock PR r noqueue         -> 1c again\n"
	  "1 unlock                     -> 1 unlocked, 1b granted PR\n" },
	{ "resources_have_nothing_to_do_with_each_other", 0,
	  "1 lock EX r\n"
	  "2 lock EX q\n"
	  "3 lock PR r                  -> 1 blocked PR\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 unlock                     -> 1 unlocked, 3 granted PR\n" },
	{ "what_is_asked_for_in_one_go_takes_effect_in_its_order", LACKS_ORDER,
	  "1 begins; 1 lock EX r; 1b lock EX q; 1 ends "
					"-> 1 granted EX, 1b granted EX\n"
	  "1 begins; 1 convert NL; 1b convert NL; 1c lock EX r; 1d lock EX q; 1 ends "
					"-> 1 granted NL, 1b granted NL, 1c granted EX, "
					  "1d granted EX\n"
	  "1c unlock; 1 convert PR      -> 1c unlocked, 1 granted PR\n" },
};

const struct story_table stories_of_queues = STORY_TABLE(queues);

static const struct conformance_story conversions[] = {
	{ "fresh_conversion_overtakes_those_that_wait", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "3 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 convert CR                 -> 3 granted CR, 3 blocked EX\n"
	  "3 convert NL                 -> 3 granted NL\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX\n" },
	{ "fresh_conversion_overtakes_requests_that_wait", 0,
	  "1 lock PR r\n"
	  "2 lock NL r\n"
	  "3 lock EX r                  -> 1 blocked EX\n"
	  "2 convert PR                 -> 2 granted PR, 2 blocked EX\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 unlock                     -> 2 unlocked, 3 granted EX\n" },
	{ "quecvt_does_not_overtake_conversions", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "3 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "3 convert CR quecvt          -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX, 1 blocked CR\n"
	  "1 convert NL                 -> 1 granted NL, 3 granted CR\n" },
	{ "quecvt_overtakes_requests", 0,
	  "1 lock PR r\n"
	  "2 lock NL r\n"
	  "3 lock EX r                  -> 1 blocked EX\n"
	  "2 convert PR quecvt          -> 2 granted PR, 2 blocked EX\n" },
	{ "conversions_are_granted_from_the_head_only", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "2b lock CR r\n"
	  "3 lock NL r\n"
	  "1 convert EX                 -> 2 blocked EX, 2b blocked EX\n"
	  "3 convert PW                 -> nothing\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "2b unlock                    -> 2b unlocked, 1 granted EX, 1 blocked PW\n"
	  "1 convert CR                 -> 1 granted CR, 3 granted PW\n" },
	{ "conversion_down_is_granted_whatever_waits", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "1 convert PW                 -> 1 granted PW, 1 blocked EX\n"
	  "1 convert PR                 -> 1 granted PR, 1 blocked EX\n"
	  "1 convert CR                 -> 1 granted CR, 1 blocked EX\n"
	  "1 convert NL                 -> 1 granted NL, 2 granted EX\n" },
	{ "conversion_to_the_same_mode_is_granted", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "1 convert EX                 -> 1 granted EX, 1 blocked EX\n" },
	{ "two_that_convert_up_are_a_deadlock", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "2 convert EX                 -> 2 deadlock PR\n"
	  "2 convert NL                 -> 2 granted NL, 1 granted EX\n" },
	{ "who_is_refused_for_a_deadlock_may_try_again", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "2 convert EX                 -> 2 deadlock PR\n"
	  "1 cancel                     -> 1 cancelled PR\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX\n" },
	{ "what_is_held_in_the_way_of_one_that_waits_before_is_a_deadlock", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "3 lock CR r\n"
	  "1 convert EX                 -> 2 blocked EX, 3 blocked EX\n"
	  "3 convert PW                 -> 3 deadlock CR\n"
	  "3 convert NL                 -> 3 granted NL\n"
	  "2 convert NL                 -> 2 granted NL, 1 granted EX\n" },
	{ "conversion_behind_one_that_it_does_not_hinder_waits", 0,
	  "1 lock CR r\n"
	  "2 lock PR r\n"
	  "3 lock CR r\n"
	  "1 convert PW                 -> 2 blocked PW\n"
	  "3 convert PW                 -> nothing\n"
	  "2 unlock                     -> 2 unlocked, 1 granted PW, 1 blocked PW\n"
	  "1 convert CR                 -> 1 granted CR, 3 granted PW\n" },
	{ "noqueue_is_refused_before_a_deadlock_is_looked_for", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "2 convert EX noqueue         -> 2 again PR\n" },
	{ "convdeadlk_gives_up_what_is_held", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX\n"
	  "2 convert EX convdeadlk      -> 1 granted EX, 1 blocked EX\n"
	  "1 convert NL                 -> 1 granted NL, 2 granted EX demoted\n" },
	{ "convdeadlk_is_not_demoted_without_a_deadlock", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX convdeadlk      -> 2 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX\n" },
	{ "convdeadlk_of_three", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "3 lock PR r\n"
	  "1 convert EX                 -> 2 blocked EX, 3 blocked EX\n"
	  "2 convert EX convdeadlk      -> ?1 blocked EX\n"
	  "3 convert EX convdeadlk      -> 1 granted EX, 1 blocked EX\n"
	  "1 convert NL                 -> 1 granted NL, 2 granted EX demoted, "
					  "2 blocked EX\n"
	  "2 convert NL                 -> 2 granted NL, 3 granted EX demoted\n" },
};

const struct story_table stories_of_conversions = STORY_TABLE(conversions);
