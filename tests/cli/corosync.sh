#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The order of a real corosync: three nodes in network namespaces. Processes and
# corosync itself are killed, stopped, cut off, and come back.
. "$(dirname "$0")/functions.sh"
need_root
need ip bridge unshare corosync corosync-cmapctl
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
. "$(dirname "$0")/ring-functions.sh"
. "$(dirname "$0")/corosync-functions.sh"
"$cat" --corosync --help >/dev/null
if "$cat" --corosync 2>&1 </dev/null | grep -q 'built without corosync'; then
  skip "built without corosync"
fi

trap 'finish_all; corosync_end_all; cleanup' EXIT
ring_engine=corosync

# group_is I MEMBER...: the processes of just these are in the group, as I knows. One is so a
# little later than its node is on the ring; what is said between is not for it.
group_is() {
  local i=$1 have
  shift
  have=$(grep '^-- group' "out.$i" | tail -n 1 | sed 's/^-- group: //; s/, .*//; s/\.[0-9]*//g')
  [ "$have" = "$*" ]
}
together() { # WHY MEMBER...
  local why=$1 i
  shift
  ring_of "$why" "$@"
  for i; do await "n$i: no group of $*: $why" group_is "$i" "$@"; done
}

# --- corosync is not there -----------------------------------------------------------------

node_network 3
corosync_conf 3
if on_node 1 "$cat" --corosync --state=boot.1 2>err </dev/null; then
  fail "a node began without corosync"
fi
grep -q 'corosync does not run on this host: start it' err || fail "no remedy: $(cat err)"

# --- it is ----------------------------------------------------------------------------------

for i in 1 2 3; do corosync_start "$i"; done
for i in 1 2 3; do await "corosync $i answers" corosync_answers "$i"; done
start_all 3
together "they started" 1 2 3
all_talk "first words" 1 2 3
say 1 "/set colour blue"

end_node 3 KILL
together "n3 was killed" 1 2
all_talk "for two" 1 2
start 3 3
together "n3 is back" 1 2 3
all_talk "for three" 1 2 3
! grep -q "for two" out.3 || fail "n3 heard what was said without it"
say 3 "/list"
await "n3 has the board" grep -q "colour" out.3

end_node 2 TERM
together "n2 left" 1 3
start 2 3
together "n2 is back" 1 2 3

# who stands still holds all up, is left out, and finds that when it wakes
kill -STOP "${pid_of[2]}"
together "n2 stands still" 1 3
all_talk "without the sleeper" 1 3
kill -CONT "${pid_of[2]}"
await "n2 finds out" grep -q MDC5802 err.2
together "n2 is back" 1 2 3
all_talk "with the sleeper" 1 2 3
! grep -q "without the sleeper" out.2 || fail "n2 heard what was said without it"

# a corosync that hangs takes some hundred packets, then libqb would wait for it: the node does not
corosync_hang 2
together "corosync of n2 hangs" 1 3
for k in {1..400}; do
  say 2 "in vain $k"
  sleep 0.005
done
await "n2 does not say that corosync hangs" grep -q MDC5920 err.2
kill -USR1 "${pid_of[2]}"
await "n2 hangs with its corosync" grep -q '^-- view' out.2
corosync_go_on 2
together "corosync of n2 goes on" 1 2 3
all_talk "with the one that hung" 1 2 3

# a cable
unplug 3
together "n3 is cut off" 1 2
together "n3 is alone" 3
all_talk "on one side" 1 2
all_talk "on the other" 3
plug 3
together "healed" 1 2 3
all_talk "healed" 1 2 3
! grep -q "on one side" out.3 || fail "n3 heard what was said on the other side"

# corosync itself, under a node
corosync_end 1 KILL
await "n1 says that corosync is gone" grep -q "MDC5800" err.1
together "corosync of n1 was killed" 2 3
end_node 1 TERM
corosync_start 1
await "corosync 1 answers" corosync_answers 1
start 1 3
together "corosync of n1 is back" 1 2 3
all_talk "at the end" 1 2 3
