#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Locks and messages on the ring: nodes as in bench-ring.sh, sealed, each a process with
# a lock manager. Needs root and ip.
#
#   bench-locks.sh FOLDER    FOLDER has lock_load and ring_load
#
# The floor is a message of 64 bytes on the same ring, in the same run: what an
# operation on a lock cannot be faster than. A kernel's DLM is not at hand: one that is
# mastered elsewhere takes a message to there and one back.
#
# An operation is a request, a conversion or an unlock, each completed; or a message
# that all have handled. A rotation is a visit of the token at the node that asks, in a
# time in which the token never rests. Pipelined, the operations of all nodes are
# counted, at one that applies them all.
#
# BENCH_BRIEF=1: one run of a second a case, few locks; it proves that this works.
# BENCH_SECONDS (2) and BENCH_RUNS (3) are for a case; rows are medians of runs
# and go to $BENCH_JSONL too. BENCH_TALK=1 tells what each node said.
set -euo pipefail

programs=${1:-.}
brief=${BENCH_BRIEF:-0}
seconds=${BENCH_SECONDS:-2}
runs=${BENCH_RUNS:-3}
held=50000
asker=3 # not the representative, which is the lowest
other=2 # who wants the same
[ "$brief" != 1 ] || { seconds=1 runs=1 held=1000; }

me=bench-locks
nodes=8
# shellcheck source=tests/bench/bench-functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/bench-functions.sh"

# --- a load ----------------------------------------------------------------------

# load NODE NODES MODE [OPTION...]
load() {
  local node=$1 count=$2 mode=$3
  shift 3
  rm -f "$folder/out$node" # what was told before is not for await_line()
  start "$node" "$folder/out$node" "$programs/lock_load" --self="$node" --nodes="$count" \
    --await="$count" --key="$folder/key" --state="$folder/boot$node" --mode="$mode" \
    --seconds="$seconds" "$@"
}

# measure NODES OTHERS MODE ASKERS [OPTION...]: the askers have the mode
measure() {
  local count=$1 others=$2 mode=$3 askers=$4 n asking=() rest=()
  shift 4
  for n in $(seq "$count"); do
    if [[ $askers = *$n* ]]; then
      load "$n" "$count" "$mode" "$@"
      asking+=("$started")
    else
      load "$n" "$count" "$others"
      rest+=("$started")
    fi
  done
  for n in "${asking[@]}"; do
    wait "$n" || fail "$mode: a node failed"
    unset "running[$n]"
  done
  [ ${#rest[@]} = 0 ] || finish TERM "${rest[@]}"
  [ -z "${BENCH_TALK:-}" ] ||
    for n in $(seq "$count"); do echo "$mode, node $n: $(paste -sd ' ' "$folder/out$n")"; done >&2
}

# told NODE NAME: the last that it said of it
told() {
  awk -v n="$2" '$1 == n { v = $2 } END { if (v == "") exit 1; print v }' "$folder/out$1" ||
    fail "node $1 did not tell its $2"
}

# ratio CASE NODE ABOVE BELOW [SCALE]: of two numbers that the node told
ratio() {
  sample ours "$1" "$(awk -v a="$(told "$2" "$3")" -v b="$(told "$2" "$4")" -v s="${5:-1}" \
    'BEGIN { print a / b * s }')"
}

# latency CASE: of the asker
latency() {
  sample ours "$1, p50" "$(told $asker p50)"
  sample ours "$1, p99" "$(told $asker p99)"
}

# one_by_one CASE NODES OTHERS MODE: an operation when the last is over
one_by_one() {
  measure "$2" "$3" "$4" $asker
  latency "$1"
  ratio "$1: rate" $asker operations seconds
  ratio "$1: rotations" $asker rotations operations
  ratio "$1: CPU" $asker cpu_us operations
}

# pipelined CASE MODE ASKERS RESOURCES
pipelined() {
  measure 3 listen "$2" "$3" --resources="$4"
  ratio "$1" $asker applied seconds 0.001
  ratio "$1: CPU" $asker cpu_us applied
  ratio "$1: in a message" $asker sent batches
}

# --- cases -----------------------------------------------------------------------

# Each wants it as soon as it has given it up; both take part in all that is applied.
handover() {
  measure 3 listen pass "$other$asker"
  latency "pass EX between two"
  sample ours "pass EX between two: rate" "$(awk -v a="$(told $asker operations)" \
    -v b="$(told $other operations)" -v s="$(told $asker seconds)" 'BEGIN { print (a + b) / s }')"
  ratio "pass EX between two: rotations an operation" $asker rotations applied
}

# await_line NODE NAME
await_line() {
  local try
  for ((try = 0; try < 1000; try++)); do
    ! grep -qs "^$2 " "$folder/out$1" || return 0
    sleep 0.02
  done
  fail "node $1 never told $2"
}

# before_formed NAME: what the joiner told of the sync phase that let it in
before_formed() { awk -v n="$1" '$1 == n { v = $2 } $1 == "formed" { print v; exit }' "$folder/out3"; }

# A node comes to two that hold many; or one, for what the ring takes.
join() {
  local count=$1 case=$2
  load 1 3 hold --await=2 --resources="$count"
  load 2 3 listen --await=2
  await_line 1 held
  load 3 3 listen
  await_line 3 formed
  finish TERM "${!running[@]}"
  sample ours "$case" "$(before_formed joined_ms)"
  if [ "$count" = 1 ]; then
    empty_kib=$(told 2 rss_kib)
    return
  fi
  sample ours "$case: told" "$(before_formed joined_bytes | awk '{ print $1 / 1000000 }')"
  ratio "memory of a resource and its lock: table" 2 table_bytes resources
  sample ours "memory of a resource and its lock: RSS" "$(awk -v kib="$(told 2 rss_kib)" \
    -v empty="$empty_kib" -v n="$(told 2 resources)" 'BEGIN { print (kib - empty) * 1024 / n }')"
}

round() {
  one_by_one "message" 3 listen message
  one_by_one "lock, unlock" 3 listen lock
  one_by_one "convert NL-EX-NL" 3 listen convert
  measure 3 listen message $asker --gap=2
  latency "message every 2 ms"
  measure 3 listen lock $asker --gap=2
  latency "lock, unlock every 2 ms"
  handover
  pipelined "lock, unlock, 100 at a time, one node" flood $asker 100
  pipelined "lock, unlock, 100 at a time, all nodes" flood 123 100
  pipelined "convert, 1000 at a time, all nodes" flip 123 1000
  join 1 "join, 1 resource"
  join $held "join, $held resources"
  one_by_one "METADATA_UPDATED to 2" 3 hear send
  one_by_one "message, 8 nodes" 8 listen message
  one_by_one "METADATA_UPDATED to 7" 8 hear send
  measure 3 hear send $asker --resources=16
  ratio "METADATA_UPDATED to 2, 16 at a time: rate" $asker operations seconds
  ratio "METADATA_UPDATED to 2, 16 at a time: rotations" $asker rotations operations
}

# --- the table -------------------------------------------------------------------

# row CASE UNIT more|less [FLOOR PEER NOTE]
row() {
  local floor=-
  [ -z "${4:-}" ] || floor=$(median ours "$4")
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "${5:--}" "${6:--}" "$3" \
    "$(median ours "$1")" "$floor"
}

floor="a message of 64 B"
differs="the ring alone: one message, back at its sender"

# rows CASE FLOOR
rows() {
  row "$1, p50" us less "$2, p50" "$floor" "$differs"
  row "$1, p99" us less "$2, p99" "$floor" "$differs"
}

# rows_one_by_one CASE FLOOR
rows_one_by_one() {
  rows "$1" "$2"
  row "$1: rate" "/s" more "$2: rate" "$floor" "$differs"
  row "$1: rotations" "an operation" less "$2: rotations" "$floor" "$differs"
  row "$1: CPU" "us an operation" less "$2: CPU" "$floor" "$differs"
}

# rows_pipelined CASE
rows_pipelined() {
  row "$1" "k operations/s" more
  row "$1: CPU" "us an operation" less
  row "$1: in a message" operations more
}

network
"$programs/ring_load" --make-key="$folder/key"
for ((run = 1; run <= runs; run++)); do
  echo "run $run of $runs (load average $(cut -d ' ' -f 1 /proc/loadavg))" >&2
  round
done

{
  rows_one_by_one "lock, unlock" "message"
  rows "lock, unlock every 2 ms" "message every 2 ms"
  rows_one_by_one "convert NL-EX-NL" "message"
  rows "pass EX between two" "message"
  row "pass EX between two: rate" "/s" more
  row "pass EX between two: rotations an operation" rotations less
  rows_pipelined "lock, unlock, 100 at a time, one node"
  rows_pipelined "lock, unlock, 100 at a time, all nodes"
  rows_pipelined "convert, 1000 at a time, all nodes"
  row "join, $held resources" ms less "join, 1 resource" "1 resource" "what the ring takes"
  row "join, $held resources: told" MB less
  row "memory of a resource and its lock: table" bytes less
  row "memory of a resource and its lock: RSS" bytes less
  rows_one_by_one "METADATA_UPDATED to 2" "message"
  rows_one_by_one "METADATA_UPDATED to 7" "message, 8 nodes"
  row "METADATA_UPDATED to 2, 16 at a time: rate" "/s" more
  row "METADATA_UPDATED to 2, 16 at a time: rotations" "an operation" less
} >"$folder/rows"
"$programs/ring_load" --table=locks <"$folder/rows"
