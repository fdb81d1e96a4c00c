/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flags one by one, what is refused at once, names; and who is told what (BASTs). */
#include "tests/locks/stories.h"

static const struct conformance_story flags[] = {
	{ "noqueue_is_refused_where_it_would_wait", 0,
	  "1 lock PR r noqueue\n"
	  "2 lock PR r noqueue\n"
	  "3 lock EX r noqueue          -> 3 again\n"
	  "2 convert EX noqueue         -> 2 again PR\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 convert EX noqueue         -> 2 granted EX\n" },
	{ "noqueue_is_refused_behind_those_that_wait", 0,
	  "1 lock PR r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r noqueue          -> 3 again\n"
	  "2 cancel                     -> 2 cancelled\n"
	  "3 lock PR r noqueue\n" },
	{ "noqueue_leaves_nothing_behind", 0,
	  "1 lock EX r\n"
	  "2 lock EX r noqueue          -> 2 again\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "3 lock EX r noqueue\n" },
	{ "noqueue_is_quiet", 0,
	  "1 lock EX r\n"
	  "2 lock PR r noqueue          -> 2 again\n"
	  "2 lock PR r                  -> 1 blocked PR\n" },
	{ "noqueuebast_tells_who_is_in_the_way", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "3 lock NL r\n"
	  "4 lock EX r noqueue noqueuebast  -> 4 again, 1 blocked EX, 2 blocked EX\n" },
	{ "noqueuebast_of_a_conversion", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX noqueue noqueuebast -> 1 again PR, 2 blocked EX\n"
	  "2 convert NL                     -> 2 granted NL\n"
	  "1 convert EX noqueue noqueuebast -> 1 granted EX\n" },
	{ "noqueuebast_tells_who_converts_and_nobody_twice", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "1 convert EX                     -> 2 blocked EX\n"
	  "3 lock EX r noqueue noqueuebast  -> 3 again, 1 blocked EX\n"
	  "3 lock EX r noqueue noqueuebast  -> 3 again\n"
	  "2 unlock                         -> 2 unlocked, 1 granted EX\n"
	  "3 lock PR r noqueue noqueuebast  -> 3 again, 1 blocked PR\n"
	  "3 lock CR r noqueue noqueuebast  -> 3 again\n"
	  "3 lock EX r noqueue noqueuebast  -> 3 again, 1 blocked EX\n" },
	{ "altpr_is_granted_where_the_mode_is_not", 0,
	  "1 lock PR r\n"
	  "2 lock EX r altpr            -> 2 granted PR altmode\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 lock EX r altpr            -> 2 granted EX\n" },
	{ "altcw_is_granted_where_the_mode_is_not", 0,
	  "1 lock CW r\n"
	  "2 lock EX r altcw            -> 2 granted CW altmode\n"
	  "3 lock PW r altcw noqueue    -> 3 granted CW altmode\n"
	  "4 lock EX r altpr noqueue    -> 4 again\n" },
	{ "altpr_waits_in_the_mode_that_was_asked_for", 0,
	  "1 lock EX r\n"
	  "2 lock EX r altpr            -> 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX\n" },
	{ "altpr_of_a_conversion", 0,
	  "1 lock PR r\n"
	  "2 lock CR r\n"
	  "2 convert EX altpr           -> 2 granted PR altmode\n" },
	{ "flags_that_exclude_each_other_are_refused", 0,
	  "1 lock 9 r                        -> 1 refused EINVAL\n"
	  "1 lock 6 r                        -> 1 refused EINVAL\n"
	  "1 lock none r                     -> 1 refused EINVAL\n"
	  "1 lock EX r quecvt                -> 1 refused EINVAL\n"
	  "1 lock EX r convdeadlk            -> 1 refused EINVAL\n"
	  "1 lock EX r convdeadlk noqueue    -> 1 refused EINVAL\n"
	  "1 lock NL r expedite noqueue      -> 1 refused EINVAL\n"
	  "1 lock NL r expedite quecvt       -> 1 refused EINVAL\n"
	  "1 lock CR r expedite              -> 1 refused EINVAL\n"
	  "1 lock EX r expedite              -> 1 refused EINVAL\n"
	  "1 lock EX r cancel                -> 1 refused EINVAL\n"
	  "1 lock PR r\n"
	  "1 convert 9                       -> 1 refused EINVAL\n"
	  "1 convert none                    -> 1 refused EINVAL\n"
	  "1 convert EX convdeadlk noqueue   -> 1 refused EINVAL\n"
	  "1 convert NL expedite             -> 1 refused EINVAL\n"
	  "1 convert EX cancel               -> 1 refused EINVAL\n"
	  "1 unlock cancel forceunlock       -> 1 refused EINVAL\n"
	  "1 unlock noqueue                  -> 1 refused EINVAL\n"
	  "1 unlock persistent               -> 1 refused EINVAL\n"
	  "1 convert EX                      -> 1 granted EX\n" },
	{ "what_is_refused_at_once_changes_nothing", 0,
	  "1 lock PR r\n"
	  "2 lock EX r                       -> 1 blocked EX\n"
	  "2 convert EX noqueue              -> 2 refused EBUSY\n"
	  "1 convert EX cancel               -> 1 refused EINVAL\n"
	  "1 unlock                          -> 1 unlocked, 2 granted EX\n" },
	{ "lock_under_way_is_busy", 0,
	  "1 lock EX r\n"
	  "1 lock EX r                       -> 1 refused EBUSY\n"
	  "2 lock PR r                       -> 1 blocked PR\n"
	  "2 lock PR r                       -> 2 refused EBUSY\n"
	  "2 convert EX                      -> 2 refused EBUSY\n"
	  "2 unlock                          -> 2 refused EBUSY\n"
	  "1 unlock                          -> 1 unlocked, 2 granted PR\n"
	  "1 unlock                          -> 1 refused EINVAL\n"
	  "1 convert EX                      -> 1 refused EBUSY\n" },
	{ "names_are_any_64_bytes", 0,
	  "1 lock EX long:a\n"
	  "2 lock EX long:b\n"
	  "3 lock EX long:a noqueue          -> 3 again\n"
	  "4 lock EX r\n"
	  "3 lock EX zero:r noqueue\n"
	  "2b lock EX zero:r noqueue         -> 2b again\n"
	  "1b lock EX toolong                -> 1b refused EINVAL\n"
	  "1c lock EX empty                  -> 1c refused EINVAL\n" },
};

const struct story_table stories_of_flags = STORY_TABLE(flags);

static const struct conformance_story blocking[] = {
	{ "who_is_in_the_way_is_told_once_for_each_higher_mode", 0,
	  "1 lock EX r\n"
	  "2 lock CR r                  -> 1 blocked CR\n"
	  "3 lock CR r                  -> nothing\n"
	  "2b lock PR r                 -> 1 blocked PR\n"
	  "3b lock CR r                 -> nothing\n"
	  "2c lock PR r                 -> nothing\n"
	  "4 lock EX r                  -> 1 blocked EX\n"
	  "4b lock PW r                 -> nothing\n" },
	{ "who_is_not_in_the_way_is_not_told", 0,
	  "1 lock NL r\n"
	  "2 lock CR r\n"
	  "3 lock PR r\n"
	  "4 lock PW r                  -> 3 blocked PW\n"
	  "3 unlock                     -> 3 unlocked, 4 granted PW\n" },
	{ "who_waits_is_not_told", 0,
	  "1 lock EX r\n"
	  "2 lock PR r                  -> 1 blocked PR\n"
	  "3 lock EX r                  -> 1 blocked EX\n" },
	{ "after_a_grant_it_is_told_anew", 0,
	  "1 lock EX r\n"
	  "2 lock PR r                  -> 1 blocked PR\n"
	  "1 convert PR                 -> 1 granted PR, 2 granted PR\n"
	  "3 lock EX r                  -> 1 blocked EX, 2 blocked EX\n"
	  "1 convert CR                 -> 1 granted CR, 1 blocked EX\n" },
	{ "who_is_granted_while_others_wait_is_told", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX, 2 blocked PR\n"
	  "2 convert PR                 -> 2 granted PR, 3 granted PR\n" },
	{ "shared_readers_are_all_told", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "3 lock CR r\n"
	  "4 lock CW r                  -> 1 blocked CW, 2 blocked CW\n"
	  "4 cancel                     -> 4 cancelled\n"
	  "4 lock EX r                  -> 1 blocked EX, 2 blocked EX, 3 blocked EX\n" },
	{ "blocked_and_granted_come_in_order", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock EX r                  -> nothing\n"
	  "1 convert NL                 -> 1 granted NL, 2 granted EX, 2 blocked EX\n"
	  "1 convert EX                 -> nothing\n"
	  "2 convert NL                 -> 2 granted NL, 1 granted EX, 1 blocked EX\n"
	  "1 convert NL                 -> 1 granted NL, 3 granted EX\n" },
	{ "blockers_are_told_by_node", LACKS_BLOCKERS,
	  "1 lock PR r\n"
	  "3 lock PR r\n"
	  "3b lock PR r\n"
	  "4 lock CR r\n"
	  "2 lock PW r                  -> 1 blocked PW, 3 blocked PW, 3b blocked PW\n"
	  "2 asks                       -> 2 waits for 1 3\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 asks                       -> 2 waits for 3\n"
	  "3 unlock; 3b unlock          -> 3 unlocked, 3b unlocked, 2 granted PW\n"
	  "2 asks                       -> 2 waits for nobody\n" },
};

const struct story_table stories_of_blocking = STORY_TABLE(blocking);
