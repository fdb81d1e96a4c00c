#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The NBD server alone against its peers, in one run: ours on a volume in memory, nbdkit
# memory, and qemu-nbd on tmpfs. All get the same client, nbd_load, one connection, by
# turns. qemu-nbd's reads and writes of tmpfs cost it a system call each, which the
# others' do not have: the fair peer is nbdkit.
#
#   bench-nbd.sh FOLDER BUILD       FOLDER has nbd_load and ring_load (for the table),
#                                   BUILD nbd-memory
#
# BENCH_BRIEF=1: one run of a second each. BENCH_SECONDS (2) and BENCH_RUNS (3) are for a
# case; rows are medians of runs and go to $BENCH_JSONL too.
set -euo pipefail

programs=$(cd "${1:-.}" && pwd)
build=$(cd "${2:-.}" && pwd)
seconds=${BENCH_SECONDS:-2}
runs=${BENCH_RUNS:-3}
warm_ms=300
cases=("read 4096 1" "write 4096 1" "read 4096 16" "write 4096 16" "read 4096 64" "write 4096 64"
  "read 65536 16" "write 65536 16" "read 1048576 4" "write 1048576 4")
me=bench-nbd
if [ "${BENCH_BRIEF:-0}" = 1 ]; then
  seconds=1 runs=1 warm_ms=100 cases=("write 4096 16" "read 1048576 4")
fi
mib=1048576 size=$((256 << 20))
folder=$(mktemp -d /dev/shm/$me.XXXXXX)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "$me: $*" >&2
  exit 1
}

sides=(ours)
! command -v nbdkit >/dev/null || sides+=(nbdkit)
! command -v qemu-nbd >/dev/null || sides+=(qemu)

# serve SIDE: sets $server
serve() {
  local try
  rm -f "$folder/socket"
  case $1 in
  ours) exec "$build/nbd-memory" --socket="$folder/socket" --size=$size ;;
  nbdkit) exec nbdkit --foreground --unix "$folder/socket" memory $size ;;
  qemu)
    truncate -s $size "$folder/disk"
    exec qemu-nbd --persistent --socket="$folder/socket" --format=raw "$folder/disk"
    ;;
  esac >"$folder/server" 2>&1 </dev/null &
  server=$!
  for ((try = 0; try < 500; try++)); do
    [ ! -S "$folder/socket" ] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.02
  done
  fail "$1 does not serve: $(cat "$folder/server")"
}

# load OPTION...: "OPS/S BYTES/S P50 P99 MAX ALL"
load() {
  "$programs/nbd_load" --socket="$folder/socket" --length=$size "$@" >"$folder/load" \
    2>"$folder/load.err" || fail "nbd_load: $(cat "$folder/load.err")"
  sed 's/^result //' "$folder/load"
}

cpu_us() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1e6 / hz }' "/proc/$1/stat"; }

sample() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$folder/samples"; }

median() {
  awk -F '\t' -v s="$1" -v c="$2" '$1 == s && $2 == c { print $3 }' "$folder/samples" |
    sort -g | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; else print "-" }'
}

name_of() { echo "$(($2 >= mib ? $2 / mib : $2 / 1024)) $([ "$2" -ge $mib ] && echo MiB || echo KiB) $1s, qd $3"; }

# measure SIDE OPERATION BYTES DEPTH
measure() {
  local case before result
  case=$(name_of "$2" "$3" "$4")
  before=$(cpu_us "$server")
  result=$(load --op="$2" --size="$3" --depth="$4" --seconds="$seconds" --warm=$warm_ms)
  sample "$1" "$case" "${result%% *}"
  sample "$1" "$case, CPU" "$(echo "$result" | awk -v a="$before" -v b="$(cpu_us "$server")" \
    '{ print (b - a) / $6 }')"
}

# row CASE UNIT more|less SIDE PEER-NAME NOTE
row() {
  [ "$(median "$4" "$1")" != - ] || return 0
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$5" "$6" "$3" "$(median ours "$1")" "$(median "$4" "$1")"
}

for ((run = 1; run <= runs; run++)); do
  echo "run $run of $runs (load average $(cut -d ' ' -f 1 /proc/loadavg))" >&2
  for side in "${sides[@]}"; do
    serve "$side"
    load --op=write --size=$mib --depth=4 --sequential --count=$((size / mib)) --warm=0 >/dev/null
    for case in "${cases[@]}"; do
      # shellcheck disable=SC2086
      measure "$side" $case
    done
    kill "$server"
    wait "$server" 2>/dev/null || :
    server=
  done
done

for case in "${cases[@]}"; do
  # shellcheck disable=SC2086
  name=$(name_of $case)
  for peer in nbdkit qemu; do
    note="memory to memory"
    [ $peer = nbdkit ] || note="on tmpfs"
    row "$name" "requests/s" more $peer $peer "$note"
    row "$name, CPU" "us/request" less $peer $peer "$note"
  done
done >"$folder/rows"
"$programs/ring_load" --table=nbd <"$folder/rows"
