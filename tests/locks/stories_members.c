/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is in, and in which slot; who is cut off, comes back, or comes too late. */
#include "tests/locks/stories.h"

#define ALL_CLOSE "1 closes; 2 closes; 3 closes; 4 closes -> nothing\n"

static const struct conformance_story members[] = {
	{ "slot_is_the_lowest_that_is_free", LACKS_SLOTS,
	  ALL_CLOSE
	  "3 opens                      -> nothing\n"
	  "1 opens                      -> nothing\n"
	  "3 looks                      -> 3 sees 3:0 1:1\n"
	  "4 opens                      -> nothing\n"
	  "1 closes                     -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "4 looks                      -> 4 sees 3:0 2:1 4:2\n"
	  "1 opens                      -> nothing\n"
	  "1 looks                      -> 1 sees 3:0 2:1 4:2 1:3\n" },
	{ "who_comes_back_has_its_old_slot", LACKS_SLOTS,
	  ALL_CLOSE
	  "1 opens                      -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "3 opens                      -> nothing\n"
	  "4 opens                      -> nothing\n"
	  "2 closes                     -> nothing\n"
	  "3 closes                     -> nothing\n"
	  "3 opens                      -> nothing\n"
	  "3 looks                      -> 3 sees 1:0 3:2 4:3\n"
	  "2 opens                      -> nothing\n"
	  "4 looks                      -> 4 sees 1:0 2:1 3:2 4:3\n" },
	{ "who_died_has_its_old_slot", LACKS_SLOTS | LACKS_DEATH,
	  ALL_CLOSE
	  "1 opens                      -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "3 opens                      -> nothing\n"
	  "4 opens                      -> nothing\n"
	  "2 dies node                  -> nothing\n"
	  "1 looks                      -> 1 sees 1:0 2:1 3:2 4:3\n"
	  "2 proven                     -> nothing\n"
	  "1 looks                      -> 1 sees 1:0 3:2 4:3\n"
	  "2 opens                      -> nothing\n"
	  "1 looks                      -> 1 sees 1:0 2:1 3:2 4:3\n" },
	{ "slot_that_is_wanted_is_given_if_it_is_free", LACKS_SLOTS,
	  ALL_CLOSE
	  "1 opens slot=3               -> nothing\n"
	  "2 opens slot=3               -> nothing\n"
	  "2 looks                      -> 2 sees 2:0 1:3\n" },
	{ "lockspace_without_a_free_slot_is_lost", LACKS_SLOTS,
	  ALL_CLOSE
	  "1 opens slots=2              -> nothing\n"
	  "2 opens slots=2              -> nothing\n"
	  "3 opens slots=2; 3 lock NL r -> 3 stale, @3 lost ENOSPC\n"
	  "3 lock NL r                  -> 3 refused ESHUTDOWN\n"
	  "3 closes                     -> @3 closed\n"
	  "2 closes                     -> @2 closed, @1 on\n"
	  "3 opens slots=2              -> @3 on, @1 on\n"
	  "3 looks                      -> 3 sees 1:0 3:1\n" },
	{ "lockspace_with_values_of_another_size_is_lost", LACKS_LARGE_VALUES,
	  "3 closes                     -> nothing\n"
	  "3 opens othersize            -> @3 lost EBADR\n"
	  "3 closes                     -> @3 closed\n"
	  "3 opens                      -> @3 on, @1 on, @2 on, @4 on\n" },
	{ "who_was_cut_off_goes_on_with_all_that_it_held", LACKS_CUT,
	  "1 lock EX q\n"
	  "2 lock EX r\n"
	  "2 cut                        -> @1 prep, @2 prep, @3 prep, @4 prep\n"
	  "1b lock EX r                 -> nothing\n"
	  "2b lock EX q                 -> nothing\n"
	  "3 lock NL p                  -> nothing\n"
	  "2 back                       -> @1 on, @2 on, @3 on, @4 on, 1 blocked EX, "
					  "2 blocked EX, 3 granted NL\n"
	  "2 unlock                     -> 2 unlocked, 1b granted EX\n"
	  "1 unlock                     -> 1 unlocked, 2b granted EX\n" },
	{ "what_is_asked_for_as_the_net_breaks_happens_once", LACKS_CUT,
	  "2 lock EX r; 1 lock EX q; 2 cut -> ?2 granted EX, ?1 granted EX\n"
	  "3 lock EX p                  -> nothing\n"
	  "2 back                       -> ?2 granted EX, ?1 granted EX, 3 granted EX\n"
	  "1b lock PR r                 -> 2 blocked PR\n"
	  "2b lock PR q                 -> 1 blocked PR\n"
	  "2c lock PR p                 -> 3 blocked PR\n" },
	{ "who_is_restarted_at_once_was_missing_all_the_same", LACKS_DEATH | LACKS_FREEZE,
	  "2 lock EX r\n"
	  "1 lock EX r                  -> 2 blocked EX\n"
	  "2 dies process; 2 opens      -> @1 prep, @3 prep, @4 prep\n"
	  "3 lock NL q                  -> nothing\n"
	  "2 proven                     -> @1 slot 2, @1 on, ?@1 on, @2 on, @3 slot 2, @3 on, "
					  "?@3 on, @4 slot 2, @4 on, ?@4 on, "
					  "1 granted EX, 3 granted NL\n" },
	{ "who_closes_while_all_stands_still_does_not_wait", LACKS_DEATH | LACKS_FREEZE,
	  "3 lock EX r\n"
	  "1 lock EX r                  -> 3 blocked EX\n"
	  "2 dies process               -> nothing\n"
	  "3b lock NL q                 -> nothing\n"
	  "3 closes                     -> 3b stale, @3 closed\n"
	  "4 lock NL q                  -> nothing\n"
	  "2 proven                     -> @1 slot 2, @1 on, @4 slot 2, @4 on, "
					  "1 granted EX, 4 granted NL\n" },
	{ "who_closes_while_all_stands_still_leaves_orphans", LACKS_DEATH | LACKS_FREEZE,
	  "3 lock EX r persistent\n"
	  "2 dies node                  -> nothing\n"
	  "3 closes                     -> @3 closed\n"
	  "2 proven                     -> nothing\n"
	  "3 opens                      -> nothing\n"
	  "3 lock EX r orphan           -> 3 granted EX\n" },
	{ "who_closes_while_it_is_cut_off_is_gone_when_it_is_back", LACKS_CUT,
	  "2 lock EX r\n"
	  "1 lock EX r                  -> 2 blocked EX\n"
	  "2 cut                        -> nothing\n"
	  "2 closes                     -> nothing\n"
	  "3 lock NL q                  -> nothing\n"
	  "2 back                       -> ?@2 on, @2 closed, @1 on, ?@1 on, @3 on, ?@3 on, "
					  "@4 on, ?@4 on, 1 granted EX, 3 granted NL\n" },
	{ "who_was_taken_for_dead_has_lost_the_lockspace", LACKS_CUT | LACKS_DEATH,
	  "2 lock EX r\n"
	  "2b lock PR q\n"
	  "1 lock EX r                  -> 2 blocked EX\n"
	  "2 cut                        -> nothing\n"
	  "2b convert EX                -> nothing\n"
	  "2 proven                     -> 1 granted EX\n"
	  "3 lock PR q\n"
	  "2 back                       -> 2b stale, @2 lost ESTALE\n"
	  "2 closes                     -> @2 closed\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX q                  -> 3 blocked EX\n" },
	{ "persistent_lock_of_who_was_taken_for_dead_is_an_orphan", LACKS_CUT | LACKS_DEATH,
	  "2 lock EX r persistent\n"
	  "2 cut                        -> nothing\n"
	  "2 proven                     -> nothing\n"
	  "1 lock EX r                  -> nothing\n"
	  "2 back                       -> @2 lost ESTALE\n"
	  "2 closes                     -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX r orphan           -> 2 granted EX, ?2 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX\n" },
};

const struct story_table stories_of_members = STORY_TABLE(members);
