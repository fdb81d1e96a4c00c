#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Quorum of real daemons: who is expected shrinks and grows, outlives all of them, changes by
# reload and by hand; and what is waited for is said.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"

# quorum_of I: as JSON; whatever it comes to
quorum_of() { mdcluster quorum --json --run-dir="run.$1" 2>/dev/null || :; }
# quorum_is I JQ: true of it
quorum_is() { [ "$(quorum_of "$1" | jq "$2" 2>/dev/null)" = true ]; }
gone() { ! kill -0 "$1" 2>/dev/null; }
kill_node() {
  local engine
  engine=$(engine_of "$1")
  kill -KILL "${pid_of[$1]}"
  kill -KILL "$engine" 2>/dev/null || :
  finished "$1"
  await "its engine answers yet" gone "$engine"
}

configure 3 "quorum { last_man_standing = yes last_man_standing_window = 500 }"
sed -i 's/token_ms = 1000/token_ms = 300/' c.1 c.2 c.3
for i in 1 2 3; do start "$i"; done
for i in 1 2 3; do await "no quorum of three" quorum_is $i '.is_quorate and .votes == 3 and .expected == 3 and .quorum == 2'; done
mdcluster quorum --run-dir=run.1 >out || fail "exit status of a quorum: $?"
grep -qx 'Flags:            Quorate LastManStanding' out || fail "$(cat out)"

# --- one dies: behind the window two are expected, and that outlives them ----------------------
kill_node 3
await "node3 is expected for ever" quorum_is 1 '.is_quorate and .expected == 2 and .basis > 0 and
  (.nodes[2].is_expected | not)'
expect_equal "what is remembered" 8192 "$(stat -c %s state.2/quorum)"
kill_node 1
kill_node 2
start 2
start 3
await "two of three, without the other of the last two, do not say what they wait for" \
  quorum_is 2 '(.is_quorate | not) and (.waits | contains("last quorum; missing: node1"))'
code=0
mdcluster quorum --run-dir=run.2 >/dev/null || code=$?
expect_equal "exit status without a quorum" 2 "$code"
start 1
await "all are here, and not all expected" quorum_is 1 '.is_quorate and .expected == 3'

# --- reload: votes, once all have read them -------------------------------------------------------
for i in 1 2 3; do sed -i 's/node node1 {/node node1 { votes = 3/' "c.$i"; done
kill -HUP "${pid_of[1]}" "${pid_of[2]}"
await "node2 does not reload" says 2 "votes: has changed"
quorum_is 1 '.expected == 3' || fail "votes that one node does not know count"
kill -HUP "${pid_of[3]}"
await "new votes do not count" quorum_is 3 '.is_quorate and .expected == 5 and .votes == 5'

# --- a node that is left alone, and a person who knows ----------------------------------------------
code=0
mdcluster quorum --expected=11 --run-dir=run.1 2>told || code=$?
expect_equal "more than a quorum of those who are here" 2 "$code"
grep -q "would have no quorum" told || fail "$(cat told)"
kill_node 1
await "two votes of five are a quorum" quorum_is 2 '.is_quorate | not'
code=0
mdcluster quorum --expected=2 --run-dir=run.2 </dev/null 2>told || code=$?
expect_equal "without --yes" 1 "$code"
mdcluster quorum --expected=2 --yes --run-dir=run.2
await "no quorum by hand" quorum_is 3 '.is_quorate and .expected == 2'
start 1
await "who comes back is not expected" quorum_is 1 '.is_quorate and .expected == 5'

# --- what is damaged is no configuration ---------------------------------------------------------------
kill_node 3
printf x | dd of=state.3/quorum bs=1 seek=60 conv=notrunc status=none
start 3
finished 3
[ "$code" -ne 0 ] || fail "a damaged state_dir/quorum is taken"
says 3 "state.3/quorum: is damaged" || fail "$(tail -3 log.3)"

# --- two nodes and a disk: exactly one of them goes on ------------------------------------------------
end_all
rm -rf state.* run.* log.*
truncate -s 1M tie
mdcluster quorum --format=tie --home-cluster=alpha
configure 2 "quorum { tie_breaker = \"$PWD/tie\" tie_breaker_io_timeout = 100 lease_ms = 300 }"
sed -i 's/token_ms = 1000/token_ms = 300/' c.1 c.2
start 1
await "one with the disk is no quorum" quorum_is 1 '.is_quorate and .votes == 2 and .has_device'
start 2
for i in 1 2; do
  await "two are no quorum" quorum_is "$i" '.is_quorate and .expected == 3 and
    ([.nodes[] | select(.is_member)] | length == 2)'
done
await "the lease is kept for nothing" quorum_is 1 '.has_device | not'

# node1 stands still, all of it: node2 takes the disk; when node1 goes on they are two again
stopped=$(engine_of 1)
kill -STOP "${pid_of[1]}" "$stopped"
await "node2 does not go on alone" quorum_is 2 '.is_quorate and .has_device and .votes == 2'
kill -CONT "${pid_of[1]}" "$stopped"
await "node1 is not back" quorum_is 1 '.is_quorate and .votes >= 2 and
  ([.nodes[] | select(.is_member)] | length == 2)'

# node2 has the disk and dies with it: node1 waits until its lease is surely over
kill -STOP "${pid_of[1]}" "$stopped"
await "node2 does not go on alone again" quorum_is 2 '.is_quorate and .has_device'
kill_node 2
kill -CONT "${pid_of[1]}" "$stopped"
await "node1 never goes on" quorum_is 1 '.is_quorate and .has_device'
says 1 "the tie-breaker disk's votes are ours" || fail "node1: $(cat log.1)"

# a disk that is not ours is told, and is worth nothing
kill_node 1
await "the disk is in use for ever" mdcluster quorum --format=tie --home-cluster=beta --force
start 2
await "a foreign disk is not told" says 2 "is that of another cluster, 'beta'"
await "why" quorum_is 2 '(.is_quorate | not) and (.waits | contains("no node here can use the tie-breaker disk"))'
