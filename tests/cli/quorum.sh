#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mdcluster quorum: what is shown, exit statuses, and that a person's word is not taken
# by accident; then real daemons: who is expected, by hand and after one has left.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"

start_daemon healthy
answer Quorum "$(cat "$srcdir/tests/data/control/quorum.json")"
ends_with 2 mdcluster quorum
expect_equal "no quorum" 'Nodes:            3
Node ID:          1
Ring ID:          1.17
Quorate:          No
Waits:            1 of 3 votes, 2 are needed; missing: node2, node3

Expected votes:   3
Highest expected: 3
Total votes:      1
Quorum:           2
Flags:            WaitForAll

    Nodeid      Votes  State      Name
         1          1  member     node1 (local)
         2          1  missing    node2
         3          1  not asked  no?de3' "$out"
ends_with 2 mdcluster quorum --json
expect_equal "JSON" false "$(jq .is_quorate <<<"$out")"

answer QuorumExpected '{"reply": {}}'
expect_fail 1 mdcluster quorum --expected=1
expect_fail 2 mdcluster quorum --expected=many
expect_fail 2 mdcluster quorum now
mdcluster quorum --expected=1 --yes
out=$(echo yes | script -qec "mdcluster quorum -e 1" /dev/null) || fail "yes: $out"
[[ $out == *"data is lost"* ]] || fail "it asks: $out"

answer Quorum "$(jq '.reply.quorum.is_quorate = true' "$srcdir/tests/data/control/quorum.json")"
ends_with 0 mdcluster quorum
mdcluster quorum --expected=3
answer QuorumExpected '{"refuse": "7 expected votes: they would have no quorum", "errno": 22}'
expect_fail 2 mdcluster quorum --expected=7

# --- the tie-breaker disk ---------------------------------------------------------------
truncate -s 600K tie
expect_fail 2 mdcluster quorum --format=tie
mdcluster quorum --format=tie --home-cluster=alpha
expect_equal "its head" MDCTIEBR "$(head -c 8 tie)"
expect_fail 1 mdcluster quorum --format=tie --home-cluster=beta
mdcluster quorum --format=tie --home-cluster=beta --force
truncate -s 500K small
expect_fail 2 mdcluster quorum --format=small --home-cluster=alpha
