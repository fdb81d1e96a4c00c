#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ring against corosync, in one run: three nodes, each in a network namespace
# of its own, on one bridge at MTU 1500. Ours is sealed. Needs root and ip.
#
#   bench-ring.sh FOLDER     FOLDER has ring_load, udp_load and, for corosync,
#                            cpg_load
#
# Beside it stands plain UDP, what the machine carries: how far the ring is from
# that. CPU and memory are those of the node that takes most.
#
# BENCH_BRIEF=1: only ours, one run of a second each; it proves that this works.
# BENCH_SECONDS (2) and BENCH_RUNS (3) are for a case; rows are medians of runs
# and go to $BENCH_JSONL too. A throughput is that of the node which got least.
# BENCH_TALK=1 tells what each node got, and the CPU and memory of its process.
set -euo pipefail

programs=${1:-.}
brief=${BENCH_BRIEF:-0}
seconds=${BENCH_SECONDS:-2}
runs=${BENCH_RUNS:-3}
sides=(ours)
token_ms=1000
latency_node=3      # not the representative, which is the lowest
victim=2
form_tries=1000     # of 20 ms
idle_seconds=10
me=bench-ring
nodes=3

if [ "$brief" = 1 ]; then
  seconds=1 runs=1 idle_seconds=1
elif command -v corosync >/dev/null && [ -x "$programs/cpg_load" ]; then
  sides+=(knet-none knet-aes256 udpu)
fi
# shellcheck source=tests/bench/bench-functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/bench-functions.sh"

# --- the two sides ---------------------------------------------------------------

# load SIDE NODE OUTPUT MODE SIZE OUTSTANDING
load() {
  local side=$1 node=$2 output=$3
  if [ "$side" = ours ]; then
    start "$node" "$output" "$programs/ring_load" --self="$node" \
      --key="$folder/key" --state="$folder/boot$node" --token="$token_ms" \
      --mode="$4" --size="$5" --outstanding="$6" --seconds="$seconds"
  else
    start "$node" "$output" "$programs/cpg_load" "$4" "$5" "$6" "$seconds"
  fi
}

corosync_conf() {
  local side=$1 n
  echo "totem {
  version: 2
  cluster_name: bench
  transport: ${side%%-*}
  token: $token_ms
  token_coefficient: 0
  keyfile: $folder/corosync.key"
  case $side in
    knet-aes256) printf '  crypto_cipher: aes256\n  crypto_hash: sha256\n' ;;
    knet-none) printf '  crypto_cipher: none\n  crypto_hash: none\n' ;;
  esac
  echo "}
system {
  sched_rr: no
  move_to_root_cgroup: no
  allow_knet_handle_fallback: yes
}
logging {
  to_stderr: yes
  to_syslog: no
}
nodelist {"
  for n in 1 2 3; do
    echo "  node { 
    ring0_addr: 10.77.0.$n
    name: n$n
    nodeid: $n
  }"
  done
  echo "}"
}

# Its own /run and /var/lib/corosync: three daemons would lock each other out.
start_daemon() {
  # shellcheck disable=SC2016
  start "$1" "$folder/corosync$1.out" unshare -m sh -c \
    'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/corosync &&
     cd /var/lib/corosync && exec corosync -f -c "$1"' sh "$folder/corosync.conf"
  daemons[$1]=$started
}

declare -A daemons=()
start_side() {
  local n
  [ "$1" != ours ] || return 0
  corosync_conf "$1" >"$folder/corosync.conf"
  for n in 1 2 3; do start_daemon "$n"; done
}

stop_side() {
  [ "$1" != ours ] || return 0
  finish KILL "${daemons[@]}"
  daemons=()
}

# --- cases -----------------------------------------------------------------------

# flood SIDE CASE SIZE OUTSTANDING FIELD SCALE [SENDERS]
flood() {
  local side=$1 case=$2 size=$3 outstanding=$4 field=$5 scale=$6 senders=${7:-123}
  local n pids=() k
  for n in 1 2 3; do
    k=0
    [[ $senders != *$n* ]] || k=$outstanding
    load "$side" "$n" "$folder/out$n" flood "$size" "$k"
    pids+=("$started")
  done
  for n in "${pids[@]}"; do
    wait "$n" || fail "$side, $case: a node failed"
    unset "running[$n]"
  done
  sample "$side" "$case" "$(cat "$folder"/out[123] | awk -v f="$field" -v s="$scale" \
    '$1 == "result" { v = $f / s; if (!n++ || v < m) m = v }
     END { if (n != 3) exit 1; print m }')"
  awk '$1 == "result" { print $5 }' "$folder"/out[123] >>"$folder/rss"
  [ -z "${BENCH_TALK:-}" ] || grep -H result "$folder"/out[123] | sed "s|.*/out|$side $case |" >&2
}

# latency SIDE MODE CASE
latency() {
  local side=$1 mode=$2 case=$3 n pids=() last=
  for n in 1 2 3; do
    if [ "$n" = "$latency_node" ]; then
      load "$side" "$n" "$folder/out$n" "$mode" 1024 1
      last=$started
    else
      load "$side" "$n" "$folder/out$n" flood 1024 0
      pids+=("$started")
    fi
  done
  for n in "$last" "${pids[@]}"; do
    wait "$n" || fail "$side, $case: a node failed"
    unset "running[$n]"
  done
  sample "$side" "$case, p50" "$(awk '$1 == "result" { print $2 }' "$folder/out$latency_node")"
  sample "$side" "$case, p99" "$(awk '$1 == "result" { print $3 }' "$folder/out$latency_node")"
}

# physical: the same namespaces without a ring. A message of 64 KiB is 44.5
# datagrams of 1472 bytes.
physical() {
  "$programs/udp_load" "$seconds" 1400 "$name"-{1,2,3} >"$folder/udp" || fail "udp_load failed"
  sample plain "1400 B, all send" "$(awk '{ print $2 / 1000 }' "$folder/udp")"
  "$programs/udp_load" "$seconds" 1472 "$name"-{1,2,3} >"$folder/udp" || fail "udp_load failed"
  sample plain "64 KiB, all send" "$(awk '{ print $3 / 1000000 }' "$folder/udp")"
}

cpu_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ ns += $1 } END { print ns }'; }

# idle SIDE PID...: a formed ring, and nobody sends
idle() {
  local side=$1 pid us from most=0
  local -A before=()
  shift
  now_us; from=$us
  for pid; do before[$pid]=$(cpu_ns "$pid"); done
  sleep "$idle_seconds"
  now_us
  for pid; do
    most=$(awk -v a="${before[$pid]}" -v b="$(cpu_ns "$pid")" -v us=$((us - from)) -v m="$most" \
      'BEGIN { v = (b - a) / us / 10; print (v > m ? v : m) }')
  done
  sample "$side" "idle: CPU" "$most"
}

# memory SIDE [PID...]: after the floods; of ours ring_load told
memory() {
  local side=$1 pid
  shift
  for pid; do awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status"; done >>"$folder/rss"
  sample "$side" "memory, peak" "$(sort -g "$folder/rss" | tail -n 1 | awk '{ print $1 / 1024 }')"
  rm "$folder/rss"
}

# await MEMBERS SINCE_US NODE...: sets $took to ms until the last of them knew it
await() {
  local members=$1 since=$2 try n at latest
  shift 2
  for ((try = 0; try < form_tries; try++)); do
    latest=$since
    for n; do
      at=$(awk -v m="$members" -v s="$since" \
        '$1 == "configuration" && $3 == m && $2 >= s { print $2; exit }' "$folder/out$n")
      [ -n "$at" ] || break
      ((at <= latest)) || latest=$at
    done
    if [ -n "$at" ]; then
      took=$(awk -v a="$latest" -v s="$since" 'BEGIN { print (a - s) / 1000 }')
      return
    fi
    sleep 0.02
  done
  fail "no configuration of $members at nodes $*"
}

now_us() { us=${EPOCHREALTIME/[.,]/}; }

# Starts what is a member: our process, or the daemon. Sets $member.
start_member() {
  if [ "$1" = ours ]; then
    load ours "$2" "$folder/out$2" watch 1024 0
    member=$started
  else
    start_daemon "$2"
    member=${daemons[$2]}
  fi
}

membership() {
  local side=$1 n member us took watchers=() survivors=()
  for n in 1 2 3; do
    : >"$folder/out$n"
    [ "$n" = "$victim" ] || survivors+=("$n")
    [ "$n" != "$victim" ] || [ "$side" = ours ] || continue
    load "$side" "$n" "$folder/out$n" watch 1024 0
    watchers+=("$started")
    [ "$n" != "$victim" ] || member=$started
  done
  [ "$side" = ours ] || member=${daemons[$victim]}
  await 3 0 "${survivors[@]}"
  sleep 0.5
  if [ "$side" = ours ]; then
    idle "$side" "${watchers[@]}"
  else
    idle "$side" "${daemons[@]}"
  fi

  now_us; kill -KILL "$member"; finish KILL "$member"
  await 2 "$us" "${survivors[@]}"
  sample "$side" "kill -9 of one: new membership" "$took"
  sleep 0.5
  now_us; start_member "$side" "$victim"
  await 3 "$us" "${survivors[@]}"
  sample "$side" "join, from exec" "$took"
  sleep 0.5
  now_us; kill -TERM "$member"
  await 2 "$us" "${survivors[@]}"
  sample "$side" "graceful leave" "$took"
  finish TERM "$member"
  sleep 0.2
  now_us; start_member "$side" "$victim"
  await 3 "$us" "${survivors[@]}"
  sleep 0.5
  now_us; ip -n "$name-bridge" link set "port$victim" down
  await 2 "$us" "${survivors[@]}"
  sample "$side" "cable pulled: new membership" "$took"
  ip -n "$name-bridge" link set "port$victim" up
  finish KILL "${watchers[@]}" "$member"
}

round() {
  local side=$1
  start_side "$side"
  flood "$side" "64 B, all send" 64 200 2 1000
  flood "$side" "1024 B, all send" 1024 200 2 1000
  flood "$side" "1400 B, all send" 1400 200 2 1000
  flood "$side" "1024 B, one sends" 1024 200 2 1000 1
  flood "$side" "64 KiB, all send" 65536 16 3 1000000
  latency "$side" lone "lone 1024 B, every 2 ms"
  [ "$side" = ours ] || : >"$folder/rss" # of clients
  memory "$side" ${daemons[@]+"${daemons[@]}"}
  latency "$side" back "lone 1024 B, back to back"
  membership "$side"
  stop_side "$side"
}

# --- the table -------------------------------------------------------------------

# differs CASE: what is not alike on the two sides
differs() {
  case $1 in
  *send* | lone*) echo "corosync's load pays IPC calls, ours is in the process" ;;
  memory*) echo "corosync's daemon, without its client" ;;
  kill*) echo "ours is told by the dead one's host, corosync waits for the token" ;;
  join*) echo "corosync starts a whole daemon" ;;
  *) echo - ;;
  esac
}

# rows CASE UNIT more|less
rows() {
  local side note
  [ ${#sides[@]} -gt 1 ] || [ "$(median plain "$1")" != - ] ||
    printf '%s\t%s\t-\t-\t%s\t%s\t-\n' "$1" "$2" "$3" "$(median ours "$1")"
  for side in "${sides[@]:1}"; do
    note=$(differs "$1")
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "corosync $side" "$note" "$3" \
      "$(median ours "$1")" "$(median "$side" "$1")"
  done
  [ "$(median plain "$1")" = - ] ||
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "plain UDP" \
      "no seal, no order, nothing sent again" "$3" "$(median ours "$1")" "$(median plain "$1")"
}

network
"$programs/ring_load" --make-key="$folder/key"
(umask 077 && head -c 256 /dev/urandom >"$folder/corosync.key")
for ((run = 1; run <= runs; run++)); do
  physical
  for side in "${sides[@]}"; do
    echo "run $run of $runs: $side (load average $(cut -d ' ' -f 1 /proc/loadavg))" >&2
    round "$side"
  done
done

{
  rows "64 B, all send" "k messages/s" more
  rows "1024 B, all send" "k messages/s" more
  rows "1400 B, all send" "k messages/s" more
  rows "1024 B, one sends" "k messages/s" more
  rows "64 KiB, all send" "MB/s" more
  for n in "every 2 ms" "back to back"; do
    rows "lone 1024 B, $n, p50" "us" less
    rows "lone 1024 B, $n, p99" "us" less
  done
  rows "kill -9 of one: new membership" "ms" less
  rows "cable pulled: new membership" "ms" less
  rows "graceful leave" "ms" less
  rows "join, from exec" "ms" less
  rows "idle: CPU" "% of a core" less
  rows "memory, peak" "MiB" less
} >"$folder/rows"
"$programs/ring_load" --table=ring <"$folder/rows"
