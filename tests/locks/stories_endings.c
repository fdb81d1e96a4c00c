/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How requests and locks end: cancels, deadlines, force, orphans, leaving; and deadlocks
 * over resources. */
#include "tests/locks/stories.h"

static const struct conformance_story endings[] = {
	{ "request_that_waits_is_cancelled", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "2 cancel                     -> 2 cancelled\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 lock EX r\n" },
	{ "who_waits_behind_a_cancelled_request_is_granted", 0,
	  "1 lock PR r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "2 cancel                     -> 2 cancelled, 3 granted PR\n" },
	{ "conversion_that_is_cancelled_keeps_what_was_held", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "2 cancel                     -> 2 cancelled PR, 3 granted PR\n"
	  "4 lock EX r                  -> 2 blocked EX, 3 blocked EX\n" },
	{ "cancel_that_comes_too_late_changes_nothing", 0,
	  "1 lock PR r; 1 cancel        -> 1 granted PR\n"
	  "1 convert EX; 1 cancel       -> 1 granted EX\n"
	  "2 lock EX r noqueue; 2 cancel  -> 2 again\n"
	  "1 unlock; 1 cancel           -> 1 unlocked\n" },
	{ "cancel_of_nothing_says_nothing", 0,
	  "1 lock PR r\n"
	  "1 cancel                     -> nothing\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "1 cancel                     -> nothing\n"
	  "2 lock EX r\n" },
	{ "request_is_busy_until_its_cancel_is_over", 0, /* B47 */
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "2 cancel; 2 lock EX r        -> 2 refused EBUSY, 2 cancelled\n"
	  "2 lock PR r                  -> nothing\n"
	  "2 cancel; 2 cancel           -> 2 cancelled\n"
	  "2 lock PR r                  -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 2 granted PR\n" },
	{ "conversion_is_busy_until_its_cancel_is_over", 0, /* B47 */
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "2 cancel; 2 convert NL       -> 2 refused EBUSY, 2 cancelled PR\n"
	  "2 convert NL                 -> 2 granted NL\n" },
	{ "request_that_is_late_leaves_nothing_in_the_queue", 0, /* B30 */
	  "1 lock EX r\n"
	  "2 lock EX r timeout=10s      -> 1 blocked EX\n"
	  "3 lock PR r                  -> nothing\n"
	  "time 6s                      -> nothing\n"
	  "time 5s                      -> 2 late\n"
	  "1 unlock                     -> 1 unlocked, 3 granted PR\n"
	  "2 lock PR r\n" },
	{ "conversion_that_is_late_leaves_nothing_in_the_queue", 0, /* B30 */
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX timeout=10s     -> 1 blocked EX\n"
	  "3 lock CR r                  -> nothing\n"
	  "time 11s                     -> 2 late PR, 3 granted CR\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "3 unlock                     -> 3 unlocked\n"
	  "2 convert NL                 -> 2 granted NL\n"
	  "1 lock EX r\n" },
	{ "who_was_in_the_way_is_known_when_a_conversion_is_late", LACKS_BLOCKERS,
	  "1 lock PR r\n"
	  "3 lock PR r\n"
	  "4 lock CR r\n"
	  "2 lock NL r\n"
	  "2 convert PW timeout=10s     -> 1 blocked PW, 3 blocked PW\n"
	  "3 unlock                     -> 3 unlocked\n"
	  "time 11s                     -> 2 late NL, 2 waited for 1\n" },
	{ "who_was_in_the_way_is_known_when_a_request_is_late", LACKS_BLOCKERS,
	  "1 lock PR r\n"
	  "3 lock PR r\n"
	  "4 lock CR r\n"
	  "2 lock PW r timeout=10s      -> 1 blocked PW, 3 blocked PW\n"
	  "time 11s                     -> 2 late, 2 waited for 1 3\n" },
	{ "request_that_is_granted_in_time_is_never_late", 0,
	  "1 lock EX r\n"
	  "2 lock EX r timeout=10s      -> 1 blocked EX\n"
	  "time 6s                      -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX\n"
	  "time 14s                     -> nothing\n" },
	{ "deadline_is_of_one_request_only", 0, /* B30 */
	  "1 lock EX r\n"
	  "2 lock EX r timeout=10s      -> 1 blocked EX\n"
	  "2 cancel                     -> 2 cancelled\n"
	  "2 lock EX r                  -> nothing\n"
	  "time 14s                     -> nothing\n"
	  "2 cancel                     -> 2 cancelled\n"
	  "2 lock EX r timeout=10s      -> nothing\n"
	  "time 11s                     -> 2 late\n"
	  "2 lock EX r                  -> nothing\n"
	  "2 cancel                     -> 2 cancelled\n"
	  "2 lock EX r timeout=10s      -> nothing\n"
	  "time 6s                      -> nothing\n"
	  "1 unlock                     -> 1 unlocked, 2 granted EX\n" },
	{ "earlier_deadline_ends_earlier", 0,
	  "1 lock EX r\n"
	  "2 lock EX r timeout=40s      -> 1 blocked EX\n"
	  "3 lock EX r timeout=10s      -> nothing\n"
	  "time 11s                     -> 3 late\n"
	  "time 18s                     -> nothing\n"
	  "time 12s                     -> 2 late\n" },
	{ "force_ends_a_request_that_waits", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "3 lock EX r                  -> nothing\n"
	  "2 unlock forceunlock         -> 2 unlocked\n"
	  "1 unlock                     -> 1 unlocked, 3 granted EX\n" },
	{ "force_ends_a_conversion_and_what_was_held", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "3 lock CW r                  -> ?1 blocked CW, ?2 blocked CW\n"
	  "1 unlock forceunlock         -> 1 unlocked, 2 granted EX, 2 blocked CW\n"
	  "2 convert PR                 -> 2 granted PR, 2 blocked CW\n"
	  "2 unlock forceunlock         -> 2 unlocked, 3 granted CW\n" },
	{ "force_ends_a_waiting_conversion", 0,
	  "1 lock PR r\n"
	  "2 lock PR r\n"
	  "2 convert EX                 -> 1 blocked EX\n"
	  "3 lock CR r                  -> nothing\n"
	  "2 unlock forceunlock         -> 2 unlocked, 3 granted CR\n"
	  "1 convert PW                 -> 1 granted PW\n" },
	{ "force_and_what_it_ends_are_one_completion", 0,
	  "1 lock EX r; 1 unlock forceunlock      -> 1 unlocked\n"
	  "1 lock PR r\n"
	  "1 convert EX; 1 unlock forceunlock     -> 1 unlocked\n"
	  "2 lock EX r\n"
	  "1 lock EX r noqueue; 1 unlock forceunlock -> 1 unlocked\n"
	  "1 lock EX r; 1 cancel; 1 unlock forceunlock -> ?2 blocked EX, 1 unlocked\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 lock EX r\n"
	  "1 unlock; 1 unlock forceunlock -> 1 unlocked\n"
	  "1 lock EX r\n"
	  "1 unlock forceunlock; 1 unlock forceunlock -> 1 unlocked\n"
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "2 unlock forceunlock; 2 unlock forceunlock; 2 cancel -> 2 unlocked\n" },
	{ "force_sends_its_value_whatever_came_before_it", 0,
	  "1 lock NL r\n"
	  "2 lock EX r; 2 unlock forceunlock value=one -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=one\n"
	  "2 lock CR r\n"
	  "2 convert PW; 2 unlock forceunlock value=two -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=two\n"
	  "2 lock CR r; 2 unlock forceunlock value=three -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=two\n" },
	{ "who_closes_gives_up_what_it_holds", 0,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock EX r valblk           -> 2 granted EX value=old\n"
	  "2b lock PR q\n"
	  "3 lock EX q                  -> 2b blocked EX\n"
	  "1 convert EX valblk          -> 2 blocked EX\n"
	  "2 closes                     -> 3 granted EX, 1 granted EX invalid value=old\n"
	  "2 opens                      -> nothing\n"
	  "2 lock CR r                  -> 1 blocked CR\n" },
	{ "who_closes_is_told_that_its_requests_are_over", 0,
	  "1 lock EX r\n"
	  "2 lock EX r                  -> 1 blocked EX\n"
	  "2b lock EX q\n"
	  "2c lock EX q                 -> 2b blocked EX\n"
	  "2 closes                     -> 2 stale, 2c stale\n"
	  "2 opens                      -> nothing\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 lock EX r\n" },
	{ "who_closes_is_heard_behind_what_it_asked_for", 0,
	  "1 lock NL r\n"
	  "2 lock EX r; 2 convert CR    -> 2 refused EBUSY, 2 granted EX\n"
	  "2 unlock value=last; 2 closes -> 2 unlocked\n"
	  "1 convert CR valblk          -> 1 granted CR value=last\n" },
	{ "who_closes_may_ask_for_nothing_more", 0,
	  "2 lock PR r\n"
	  "2 closes; 2 convert NL       -> 2 refused ESHUTDOWN\n" },
};

const struct story_table stories_of_endings = STORY_TABLE(endings);

static const struct conformance_story orphans[] = {
	{ "persistent_lock_outlives_its_process", LACKS_DEATH,
	  "2 lock EX r persistent\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 lock PR r                  -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX r orphan           -> 2 granted EX, ?2 blocked PR\n"
	  "2 convert PR                 -> 2 granted PR, 1 granted PR\n"
	  "2 unlock                     -> 2 unlocked\n"
	  "1 convert EX                 -> 1 granted EX\n" },
	{ "orphan_is_adopted_in_its_own_mode_only", LACKS_DEATH,
	  "2 lock PR r persistent\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX r orphan           -> 2 again\n"
	  "2 lock PR q orphan           -> 2 none\n"
	  "2 lock PR r orphan           -> 2 granted PR\n"
	  "2b lock PR r orphan          -> 2b none\n" },
	{ "orphan_is_adopted_by_its_node_only", LACKS_DEATH | LACKS_OWN_ORPHANS,
	  "2 lock PR r persistent\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 lock PR r orphan           -> 1 none\n"
	  "2 opens                      -> nothing\n"
	  "2 lock PR r orphan           -> 2 granted PR\n" },
	{ "orphan_is_no_lock_that_lives", 0,
	  "2 lock PR r persistent\n"
	  "2b lock PR r orphan          -> 2b none\n" },
	{ "only_persistent_locks_become_orphans", LACKS_DEATH,
	  "2 lock PR r persistent\n"
	  "2b lock PR r\n"
	  "2c lock EX q\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 lock EX q\n"
	  "2 opens                      -> nothing\n"
	  "2b lock PR r orphan          -> 2b granted PR\n"
	  "2 lock PR r orphan           -> 2 none\n"
	  "2c lock EX q orphan          -> 2c none\n" },
	{ "nothing_persists_over_the_death_of_its_node", LACKS_DEATH | LACKS_NODE_DEATH,
	  "2 lock EX r persistent\n"
	  "1 lock EX r                  -> 2 blocked EX\n"
	  "2 dies node; 2 proven        -> 1 granted EX\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX r orphan           -> 2 none\n" },
	{ "orphans_go_with_their_node", LACKS_DEATH | LACKS_NODE_DEATH,
	  "2 lock EX r persistent\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 lock EX r                  -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 dies node; 2 proven        -> 1 granted EX\n" },
	{ "orphan_keeps_its_value_until_it_is_purged", LACKS_DEATH | LACKS_OWN_ORPHANS,
	  "1 lock EX r\n"
	  "1 convert NL value=old\n"
	  "2 lock PW r persistent valblk -> 2 granted PW value=old\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 convert CR valblk          -> 1 granted CR value=old\n"
	  "1 convert EX valblk          -> nothing\n"
	  "3 purges 2                   -> 1 granted EX invalid value=old\n"
	  "2 opens                      -> nothing\n"
	  "2 lock PW r orphan           -> 2 none\n" },
	{ "purge_takes_the_orphans_of_one_node", LACKS_DEATH | LACKS_OWN_ORPHANS,
	  "2 lock EX r persistent\n"
	  "3 lock EX q persistent\n"
	  "4 lock EX p persistent\n"
	  "2 dies process; 3 dies process; 2 proven; 3 proven -> nothing\n"
	  "1 lock EX r; 1b lock EX q; 1c lock EX p -> 4 blocked EX\n"
	  "1 purges 4                   -> nothing\n"
	  "1 purges 2                   -> 1 granted EX\n"
	  "3 opens                      -> nothing\n"
	  "3 lock EX q orphan           -> 3 granted EX, ?3 blocked EX\n"
	  "1 purges 3                   -> nothing\n" },
	{ "who_closes_leaves_orphans", 0,
	  "2 lock PR r persistent\n"
	  "2 closes                     -> nothing\n"
	  "1 lock EX r                  -> nothing\n"
	  "2 opens                      -> nothing\n"
	  "2 lock PR r orphan           -> 2 granted PR, ?2 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1 granted EX\n" },
	/* The kernel cancels what a process had under way before it makes it an orphan. */
	{ "conversion_under_way_is_no_part_of_an_orphan", LACKS_DEATH,
	  "1 lock PR r\n"
	  "2 lock PR r persistent\n"
	  "2 convert EX persistent      -> 1 blocked EX\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "3 lock PR r\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 opens                      -> nothing\n"
	  "2 lock PR r orphan           -> 2 granted PR\n" },
	{ "request_that_waits_is_no_orphan", LACKS_DEATH,
	  "1 lock EX r\n"
	  "2 lock EX r persistent       -> 1 blocked EX\n"
	  "2 dies process; 2 proven     -> nothing\n"
	  "1 unlock                     -> 1 unlocked\n"
	  "2 opens                      -> nothing\n"
	  "2 lock EX r orphan           -> 2 none\n"
	  "3 lock EX r\n" },
};

const struct story_table stories_of_orphans = STORY_TABLE(orphans);

static const struct conformance_story cycles[] = {
	{ "cycle_over_two_resources_is_refused", LACKS_CYCLES,
	  "1 lock EX a waiter=1\n"
	  "2 lock EX b waiter=1\n"
	  "1b lock EX b waiter=1        -> 2 blocked EX\n"
	  "2b lock EX a waiter=1        -> 2b deadlock, ?1 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1b granted EX\n" },
	{ "cycle_of_three_nodes_is_refused", LACKS_CYCLES,
	  "1 lock EX a waiter=7\n"
	  "2 lock PR b waiter=7\n"
	  "3 lock PW c waiter=7\n"
	  "1b lock EX b waiter=7        -> 2 blocked EX\n"
	  "2b lock PR c waiter=7        -> 3 blocked PR\n"
	  "3b lock CR a waiter=7        -> 3b deadlock, ?1 blocked CR\n"
	  "3 unlock                     -> 3 unlocked, 2b granted PR\n" },
	{ "conversion_that_closes_a_cycle_keeps_what_it_holds", LACKS_CYCLES,
	  "1 lock PR a waiter=1\n"
	  "2 lock PR b waiter=1\n"
	  "2b lock PR a waiter=1\n"
	  "1b lock EX b waiter=1        -> 2 blocked EX\n"
	  "2b convert EX                -> 2b deadlock PR, ?1 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1b granted EX\n" },
	{ "who_has_no_waiter_waits", 0,
	  "1 lock EX a\n"
	  "2 lock EX b\n"
	  "1b lock EX b                 -> 2 blocked EX\n"
	  "2b lock EX a                 -> 1 blocked EX\n"
	  "2b cancel                    -> 2b cancelled\n" },
	{ "different_waiters_of_a_node_do_not_close_a_cycle", 0,
	  "1 lock EX a waiter=1\n"
	  "2 lock EX b waiter=1\n"
	  "1b lock EX b waiter=2        -> 2 blocked EX\n"
	  "2b lock EX a waiter=1        -> 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 2b granted EX\n" },
	{ "nodlckwt_takes_no_part_in_cycles", 0,
	  "1 lock EX a waiter=1\n"
	  "2 lock EX b waiter=1\n"
	  "1b lock EX b waiter=1        -> 2 blocked EX\n"
	  "2b lock EX a waiter=1 nodlckwt -> 1 blocked EX\n"
	  "2b cancel                    -> 2b cancelled\n" },
	{ "who_has_to_wait_for_its_turn_is_in_the_cycle_too", LACKS_CYCLES,
	  "1 lock PR a waiter=1\n"
	  "2 lock EX b waiter=1\n"
	  "3 lock EX a waiter=1         -> 1 blocked EX\n"
	  "1b lock PR b waiter=1        -> 2 blocked PR\n"
	  "2b lock PR a waiter=1        -> 2b deadlock\n"
	  "2 unlock                     -> 2 unlocked, 1b granted PR\n" },
	{ "locks_of_another_waiter_do_not_close_a_cycle", 0,
	  "1 lock EX a waiter=1\n"
	  "2 lock EX b waiter=2\n"
	  "1b lock EX b waiter=1        -> 2 blocked EX\n"
	  "2b lock EX a waiter=1        -> 1 blocked EX\n"
	  "2 unlock                     -> 2 unlocked, 1b granted EX\n" },
	{ "waiter_that_goes_on_breaks_the_cycle", LACKS_CYCLES,
	  "1 lock EX a waiter=1\n"
	  "2 lock EX b waiter=1\n"
	  "1b lock EX b waiter=1        -> 2 blocked EX\n"
	  "1b cancel                    -> 1b cancelled\n"
	  "2b lock EX a waiter=1        -> 1 blocked EX\n"
	  "1 unlock                     -> 1 unlocked, 2b granted EX\n" },
};

const struct story_table stories_of_cycles = STORY_TABLE(cycles);
