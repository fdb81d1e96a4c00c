#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Locks among real processes on loopback: who holds and who waits, as `mdcluster
# locks` shows it; one dies by kill -9 and its locks count until its death is said.
#
#	MDC_TEST_ENGINE=corosync ring-locks.sh    each with a real corosync (root)
. "$(dirname "$0")/functions.sh"
ring_engine=${MDC_TEST_ENGINE:-totem}
need jq
if [ "$ring_engine" = corosync ]; then
  need_root
  need ip bridge unshare corosync corosync-cmapctl
  own_network "$0" --mount
  [ -n "${in_own_network:-}" ] || skip "no network namespaces here"
  . "$(dirname "$0")/ring-functions.sh"
  . "$(dirname "$0")/corosync-functions.sh"
  trap 'finish_all; corosync_end_all; cleanup' EXIT
  node_network 3
  corosync_conf 3
  for i in 1 2 3; do corosync_start "$i"; done
  for i in 1 2 3; do await "corosync $i is not whole" corosync_is_whole "$i" 3; done
else
  own_network "$0"
  . "$(dirname "$0")/ring-functions.sh"
fi

base=$((10000 + $$ % 20000))
address_of() { echo "127.0.0.1:$((base + $1))"; }

# told I TEXT: a line of it begins so
told() { grep -qF -e "-- $2" "out.$1"; }
asks() { # I COMMAND ANSWER: and waits for it
  say "$1" "$2"
  await "n$1: $2" told "$1" "$3"
}

# members_are I LIST: those with whom its lockspace runs, as NODE/SLOT
members_are() {
  [[ "$(grep '^-- space web: runs' "out.$1" | tail -n 1)" == *"members: $2" ]]
}
whole() { mdcluster locks --file "locks.$1" >/dev/null 2>&1; }

# dump I: what I knows, in locks.I
dump() {
  rm -f "locks.$1"
  say "$1" "/locks locks.$1"
  await "n$1 writes no dump" test -s "locks.$1"
  await "the dump of n$1 is not whole" whole "$1"
}
# of I JQ: what it says in the dump of I
of() { mdcluster locks --json --history --file "locks.$1" web | jq -r "$2"; }
# eventually I JQ WANTED: a dump of I says so, once
eventually() {
  is_so() { dump "$1" && [ "$(of "$1" "$2")" = "$3" ]; }
  await "n$1: $2 is not '$3'" is_so "$@"
}

holders='[.resources[] | .resource as $r | .locks[] | "\($r) \(.node) \(.held) \(.wants)"] | sort | join(", ")'
tables='{generation, epoch, operations, state, members, resources: [.resources[] | del(.history)]}'

start_all 3
ring_of "they started" 1 2 3
for i in 1 2 3; do asks "$i" "/open web" "space web: runs"; done
for i in 1 2 3; do await "n$i: not all are members" members_are "$i" "1/0 2/1 3/2"; done

# --- held, converting, waiting; alike everywhere ---------------------------------------
asks 3 "/lock web bitmap0002 PW value=window" "lock web bitmap0002: done, holds PW"
asks 3 "/lock web token EX" "lock web token: done, holds EX"
asks 1 "/lock web token NL EXPEDITE" "lock web token: done, holds NL"
say 1 "/convert web token EX"
await "n3 is not told that it is in the way" told 3 "lock web token: EX is in the way of EX"
say 2 "/lock web token PR"
eventually 2 "$holders" \
  "bitmap0002 node3 PW null, token node1 NL EX, token node2 null PR, token node3 EX null"
expect_equal "who waits for whom" "node1: node3, node2: node3" \
  "$(of 2 '[.resources[].locks[] | select(.wants) | "\(.node): \(.waits_for | join(" "))"] | join(", ")')"
for i in 1 2 3; do eventually "$i" ".operations" "$(of 2 .operations)"; done
for i in 1 3; do expect_equal "tables of n2 and n$i" "$(of 2 "$tables")" "$(of "$i" "$tables")"; done
expect_equal "how the token came to be waited for" \
  "request EX node3, grant EX node3, request NL node1, grant NL node1, convert EX node1, blocked EX node3, request PR node2" \
  "$(of 2 '[.resources[] | select(.resource == "token") | .history[] | "\(.step) \(.to) \(.node)"] | join(", ")')"
asks 2 "/unlock web token CANCEL" "lock web token: ECANCELED, holds none"
asks 2 "/lock web token EX NOQUEUE" "lock web token: EAGAIN, holds none"
asks 2 "/lock web token EX timeout=100" "lock web token: ETIMEDOUT, holds none"

# --- n3 is killed: what it holds counts until its death is said -------------------------------
end_node 3 KILL
ring_of "n3 is dead" 1 2
await "n1 is not told" told 1 "space web: frozen"
eventually 1 .state unproven
mdcluster locks --file locks.1 >table
grep -q 'FROZEN, nothing is granted: node3: missing' table || fail "the table: $(cat table)"
grep -q '^token  *node3 (missing)  *2 EX ' table || fail "the table: $(cat table)"
say 2 "/lock web other EX"
dump 2
expect_equal "nothing is granted" "bitmap0002 node3 PW null, token node1 NL EX, token node3 EX null" \
  "$(of 2 "$holders")"
say 2 "/dead 3"
await "n1: the death is not told" told 1 "space web: node 3 is dead, slot 2"
await "n1: the token does not come" told 1 "lock web token: done, holds EX"
await "n2: what was asked meanwhile is not done" told 2 "lock web other: done, holds EX"
eventually 1 "$holders" "other node2 EX null, token node1 EX null"

# --- it comes back as somebody new, with its slot; a close gives all up ---------------------
start 3 3
ring_of "n3 is risen" 1 2 3
say 3 "/open web"
await "n3 has not its slot" members_are 3 "1/0 2/1 3/2"
say 3 "/lock web token CR"
asks 1 "/close web" "space web: closed"
await "n3 has no token" told 3 "lock web token: done, holds CR"
for i in 2 3; do eventually "$i" "$holders" "other node2 EX null, token node3 CR null"; done

# --- PERSISTENT: what outlives a process, until it is purged ------------------------------------
asks 3 "/lock web kept PR PERSISTENT" "lock web kept: done, holds PR"
end_node 3 KILL
ring_of "n3 is dead again" 1 2
say 2 "/dead 3 process"
eventually 2 '[.resources[].locks[] | "\(.node) \(.held) \(.is_orphan)"] | join(", ")' \
  "node3 PR true, node2 EX false"
say 2 "/orphans web 3"
eventually 2 "$holders" "other node2 EX null"
start 3 3
ring_of "n3 is there once more" 1 2 3
say 3 "/open web"
await "n3 is no member" members_are 3 "2/1 3/2"

# --- two who wait for each other ----------------------------------------------------------------
say 2 "/lock web a EX waiter=1"
say 3 "/lock web b EX waiter=1"
await "n2 has no a" told 2 "lock web a: done, holds EX"
await "n3 has no b" told 3 "lock web b: done, holds EX"
say 2 "/lock web b EX waiter=1"
eventually 3 '[.resources[] | select(.resource == "b") | .locks[] | .node] | join(" ")' "node3 node2"
asks 3 "/lock web a EX waiter=1" "lock web a: EDEADLK, holds none"
await "nobody names the cycle" told 2 "deadlock in web: node 3 waits for a"
