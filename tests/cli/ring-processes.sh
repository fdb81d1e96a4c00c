#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Real processes on loopback, sealed: a ring forms, agrees on one order, and
# outlives kills, stops, restarts within a token, leaves and strangers. What is
# waited for has a generous deadline; how fast it is, `make bench` says.
. "$(dirname "$0")/functions.sh"
need mkfifo
own_network "$0"

cat=$builddir/totem-cat
[ -x "$cat" ] || fail "totem-cat is not built"
mdcluster keygen --quiet key
base=$((10000 + $$ % 20000))
pids=()

end_all() {
  local p
  for p in ${pids[@]+"${pids[@]}"}; do kill -9 "$p" 2>/dev/null || :; done
}
trap 'end_all; cleanup' EXIT

# members N: --node words for nodes 1..N
members() {
  local i
  for ((i = 1; i <= $1; i++)); do echo "--node=$i=127.0.0.1:$((base + i))"; done
}

# start I N [OPTION...]: node I of N; its pid in pid_I, its output in out.I
start() {
  local i=$1 n=$2
  shift 2
  [ -p "in.$i" ] || mkfifo "in.$i"
  # held open for both ends, so that the node never sees the end of its input
  # shellcheck disable=SC2046
  "$cat" --self="$i" $(members "$n") --key=key --token=1000 "$@" <>"in.$i" >>"out.$i" 2>>"err.$i" &
  eval "pid_$i=$!"
  pids+=($!)
}

pid_of() { eval "echo \$pid_$1"; }

# say I TEXT
say() { echo "$2" >"in.$1"; }

# await WHAT COMMAND...: until it is true; 60 s are far beyond any of it
await() {
  local what=$1 i
  shift
  for ((i = 0; i < 600; i++)); do
    "$@" && return 0
    sleep 0.1
  done
  fail "$what; $(tail -n 4 out.* err.*)"
}

# ring_is I MEMBER...: the last ring that I installed has just these
ring_is() {
  local i=$1 have
  shift
  have=$(grep '^-- ring' "out.$i" | tail -n 1 | sed 's/.*: //; s/#[0-9]* (left)//g; s/ (joined)//g' | tr -s ' ' | sed 's/ *$//')
  [ "$have" = "$*" ]
}
heard() { grep -qx "$2" "out.$1"; }
order_of() { grep -E '^[0-9]+:' "out.$1"; }

for i in 1 2 3; do start $i 3; done
for i in 1 2 3; do await "n$i: no ring of three" ring_is $i '#1' '#2' '#3'; done

# one order for all, self included
for k in 1 2 3 4 5; do for i in 1 2 3; do say $i "line $k of $i"; done; done
for i in 1 2 3; do for from in 1 2 3; do await "n$i hears n$from" heard $i "$from: line 5 of $from"; done; done
expect_equal "order at 1 and 2" "$(order_of 1)" "$(order_of 2)"
expect_equal "order at 1 and 3" "$(order_of 1)" "$(order_of 3)"

# killed: the survivors go on; and it comes back
kill -9 "$(pid_of 3)"
for i in 1 2; do await "n$i: the dead is still there" ring_is $i '#1' '#2'; done
say 2 "after the death"
await "n1 hears n2 after the death" heard 1 "2: after the death"
start 3 3
for i in 1 2 3; do await "n$i: the risen is not there" ring_is $i '#1' '#2' '#3'; done

# the lowest is killed and restarted in well under a token: a fresh ring id
ids_before=$(grep -h '^-- ring' out.2 | awk '{print $3}' | sort -u | wc -l)
kill -9 "$(pid_of 1)"
start 1 3
await "n2: no new ring after the restart of n1" eval \
  '[ "$(grep -h "^-- ring" out.2 | awk "{print \$3}" | sort -u | wc -l)" -gt "$ids_before" ] && ring_is 2 "#1" "#2" "#3"'
say 1 "back at once"
await "n3 hears the restarted n1" heard 3 "1: back at once"

# stopped for longer than the token, then continued: it rejoins clean
kill -STOP "$(pid_of 2)"
for i in 1 3; do await "n$i: the stopped is still there" ring_is $i '#1' '#3'; done
say 3 "while 2 slept"
await "n1 hears n3" heard 1 "3: while 2 slept"
kill -CONT "$(pid_of 2)"
for i in 1 2 3; do await "n$i: the woken is not there" ring_is $i '#1' '#2' '#3'; done
! heard 2 "3: while 2 slept" || fail "n2 heard what was said on a ring that it was not on"
say 2 "good morning"
await "n3 hears the woken" heard 3 "2: good morning"

# a graceful leave
kill -TERM "$(pid_of 3)"
for i in 1 2; do await "n$i: the leaver is still there" ring_is $i '#1' '#2'; done

# another cluster's key, and another cluster's name: refused, the ring unmoved
mdcluster keygen --quiet wrong
rings=$(grep -c '^-- ring' out.1)
# shellcheck disable=SC2046
"$cat" --self=3 $(members 3) --key=wrong --state=wrong.boot </dev/null >stranger.1 2>&1 &
pids+=($!)
stranger=$!
await "n1 does not name the wrong key" grep -q 'MDC4103' err.1
kill -9 "$stranger"
# shellcheck disable=SC2046
"$cat" --self=3 $(members 3) --key=key --cluster=other --state=other.boot </dev/null >stranger.2 2>&1 &
pids+=($!)
stranger=$!
await "n1 does not name the other cluster" eval '[ "$(grep -c MDC4103 err.1)" -ge 2 ]'
kill -9 "$stranger"
say 1 "still here"
await "n2 hears n1" heard 2 "1: still here"
expect_equal "rings that n1 installed meanwhile" "$rings" "$(grep -c '^-- ring' out.1)"
for i in 1 2; do kill -TERM "$(pid_of $i)"; done

# sixteen on one machine
base=$((base + 100))
rm -f out.* err.* ./*.boot
for ((i = 1; i <= 16; i++)); do start $i 16; done
# shellcheck disable=SC2046
all=$(for ((i = 1; i <= 16; i++)); do printf '#%d ' $i; done)
for ((i = 1; i <= 16; i++)); do await "n$i: no ring of sixteen" eval "ring_is $i $(printf "'%s' " $all)"; done
say 16 "hello, all fifteen"
for ((i = 1; i <= 16; i++)); do await "n$i hears n16" heard $i "16: hello, all fifteen"; done
