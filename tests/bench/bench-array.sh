#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The data path against its peers, in one run, on the same two files. Needs root.
#
#   bench-array.sh FOLDER BUILD     FOLDER has plane_server, nbd_load, copy_load and
#                                   ring_load (for the table), BUILD mdcluster and
#                                   mdclusterd/mdclusterd
#
# Random writes of 4 KiB, each durable when it is answered (NBD's FUA: what O_DSYNC
# is to a file, and all servers here have it): the mirror with its write intent, the
# same without, qemu-nbd on a quorum of the two files (O_DIRECT, native AIO), nbdkit
# on one of them (page cache). All of them get the same client, nbd_load, and the
# same place of the files. Bitmap chunks are of 4 KiB, so that an array of some GiB
# has as many pages of them as one of TiB has of the usual ones. Streams and the idle
# resync have mdadm's chunks: nobody's array has 256 chunks a MiB.
#
# What the disks themselves cost is the last row of each CPU: fio with libaio, O_DSYNC, one
# write to each file for one of ours. No server can take less than that.
#
# BENCH_BRIEF=1: one run of a second each; it proves that this works.
# BENCH_SECONDS (1) and BENCH_RUNS (3) are for a case; rows are medians of runs and go
# to $BENCH_JSONL too. BENCH_FILES: where the files are made (default: TMPDIR), on a
# file system with O_DIRECT; BENCH_GIB: how large they are (2).
set -euo pipefail

programs=$(cd "${1:-.}" && pwd)
build=$(cd "${2:-.}" && pwd)
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
brief=${BENCH_BRIEF:-0}
seconds=${BENCH_SECONDS:-1}
runs=${BENCH_RUNS:-3}
turns=3
gib=${BENCH_GIB:-2}
warm_ms=500
depths=(1 16 64)
budget_mib=64
inside_mib=48       # of the budget
kills=10
me=bench-array
nodes=0             # of bench-functions.sh: the daemons' are array-functions.sh's
if [ "$brief" = 1 ]; then
  seconds=1 runs=1 turns=1 gib=0.25 warm_ms=100 depths=(16) budget_mib=16 inside_mib=12 kills=1
fi
# A network of its own, too: the daemons' bridge stands in ours.
if [ "$(id -u)" = 0 ] && [ -z "${BENCH_MOUNTS:-}" ]; then
  BENCH_MOUNTS=1 exec unshare --net --mount bash "$0" "$@"
fi
# shellcheck source=tests/bench/bench-functions.sh
. "$source_folder/tests/bench/bench-functions.sh"
PATH=$build:$PATH
BENCH_JSONL=$(realpath "${BENCH_JSONL:-bench.jsonl}")
export BENCH_JSONL
files=$(mktemp -d "${BENCH_FILES:-${TMPDIR:-/tmp}}/$me.XXXXXX")
cd "$files"
export builddir=$build
# shellcheck source=tests/cli/array-functions.sh
. "$source_folder/tests/cli/array-functions.sh"
trap 'cleanup; end_daemons; cd /; rm -rf "$files"' EXIT

mib=1048576
sides=(ours bare)
! command -v qemu-nbd >/dev/null || sides+=(qemu)
! command -v nbdkit >/dev/null || sides+=(nbdkit)

# here OUTPUT COMMAND...: a process of ours, in no namespace; sets $started
here() {
  local output=$1
  shift
  "$@" >"$output" 2>"$output.err" </dev/null &
  started=$!
  running[$started]="$*"
}

# --- the array, and who serves it --------------------------------------------------

make_files() {
  local f
  for f in a b; do
    # written, so that no write has to allocate
    dd if=/dev/zero of="$files/$f" bs=1M count="$(awk "BEGIN { print $gib * 1024 }")" \
      oflag=direct status=none
  done
}

# make_array [CHUNK]: clean, whatever was before; sets what peers need to know of it
make_array() {
  mdcluster zero --quiet "$files/a" "$files/b" 2>/dev/null || :
  mdcluster create bench "$files/a" "$files/b" --quiet --level=mirror --raid-devices=2 \
    --nodes=4 --home-cluster=bench --homehost=none ${1:+"--bitmap-chunk=$1"} --assume-clean
  mdcluster examine --json "$files/a" >"$folder/examine"
  data_offset=$(jq '.data_offset_sectors * 512' "$folder/examine")
  array_bytes=$(jq '.size_sectors * 512' "$folder/examine")
  chunk_bytes=$(mdcluster examine-bitmap --json "$files/a" | jq '.chunk_bytes')
}

declare -A options=([ours]="--budget=${budget_mib}M" [bare]="--no-intent")

qemu_child() {
  echo "children.$1.driver=raw,children.$1.offset=$data_offset,children.$1.size=$array_bytes,\
children.$1.file.driver=file,children.$1.file.filename=$files/$2,\
children.$1.file.aio=native,children.$1.file.cache.direct=on"
}

declare -A servers=()

# serve SIDE: sets $server, and where it listens, $socket
serve() {
  local try
  socket=$folder/socket.$1
  rm -f "$socket"
  case $1 in
  ours | bare)
    # shellcheck disable=SC2086
    here "$folder/server.$1" "$programs/plane_server" --socket="$socket" ${options[$1]} \
      "$files/a" "$files/b"
    ;;
  qemu)
    here "$folder/server.$1" qemu-nbd --persistent --shared=8 --socket="$socket" --image-opts \
      "driver=quorum,vote-threshold=2,read-pattern=fifo,$(qemu_child 0 a),$(qemu_child 1 b)"
    ;;
  nbdkit)
    here "$folder/server.$1" nbdkit --foreground --unix "$socket" --filter=offset \
      file "$files/a" offset="$data_offset" range="$array_bytes"
    ;;
  esac
  server=$started
  servers[$1]=$server
  for ((try = 0; try < 500; try++)); do
    [ ! -S "$socket" ] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.02
  done
  fail "$1 does not serve"
}

# load OPTION...: "OPS/S BYTES/S P50 P99 MAX ALL"
load() {
  "$programs/nbd_load" --socket="$socket" --warm="$warm_ms" "$@" >"$folder/load" \
    2>"$folder/load.err" || fail "nbd_load failed"
  sed 's/^result //' "$folder/load"
}

# With threads that are gone: nbdkit has one a connection.
cpu_us() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1e6 / hz }' "/proc/$1/stat"; }

# --- cases ---------------------------------------------------------------------------

# writes SIDE SET DEPTH [OPTION...]
writes() {
  local side=$1 case="4 KiB FUA writes, $2, qd $3" depth=$3 server=${servers[$1]} before result
  local socket=$folder/socket.$1
  shift 3
  before=$(cpu_us "$server")
  result=$(load --op=write --fua --depth="$depth" --seconds="$seconds" "$@")
  sample "$side" "$case" "${result%% *}"
  sample "$side" "$case, p99" "$(echo "$result" | awk '{ print $4 }')"
  sample "$side" "$case, CPU" "$(echo "$result" | awk -v a="$before" -v b="$(cpu_us "$server")" \
    '{ print (b - a) / $6 }')"
}

# raw_writes SET DEPTH LENGTH: what a write to each of both files costs by itself
raw_writes() {
  fio --ioengine=libaio --direct=1 --sync=dsync --rw=randwrite --bs=4k --iodepth="$2" \
    --offset="$data_offset" --size="$3" --time_based --runtime="$seconds" \
    --output-format=json --name=a --filename="$files/a" --name=b --filename="$files/b" \
    >"$folder/fio" 2>"$folder/fio.err" || fail "fio failed"
  sample raw "4 KiB FUA writes, $1, qd $2, CPU" "$(jq '([.jobs[] |
    (.usr_cpu + .sys_cpu) / 100 * .job_runtime * 1000] | add) /
    ([.jobs[].write.total_ios] | add) * 2' "$folder/fio")"
}

# All servers stand on the same files; one of them is loaded at a time, in turn, so that
# whatever else the machine does meets them all alike.
random_writes() {
  local side depth turn
  for side in "${sides[@]}"; do serve "$side"; done
  for depth in "${depths[@]}"; do
    # the working set is dirty already
    socket=$folder/socket.ours
    load --op=write --size=65536 --depth=16 --sequential --length=$((inside_mib * mib)) \
      --count=$((inside_mib * 16)) --warm=0 >/dev/null
    for ((turn = 0; turn < turns; turn++)); do
      for side in "${sides[@]}"; do
        writes "$side" "inside the budget" "$depth" --length=$((inside_mib * mib))
      done
      raw_writes "inside the budget" "$depth" $((inside_mib * mib))
    done
  done
  for depth in "${depths[@]}"; do
    for ((turn = 0; turn < turns; turn++)); do
      for side in "${sides[@]}"; do writes "$side" "far beyond" "$depth"; done
      raw_writes "far beyond" "$depth" "$array_bytes"
    done
  done
  for side in "${sides[@]}"; do finish TERM "${servers[$side]}"; done
}

# raw OPERATION DEPTH: MB/s of both files together, by fio and libaio
raw() {
  fio --ioengine=libaio --direct=1 --rw="$1" --bs=1M --iodepth="$2" --offset="$data_offset" \
    --size="$array_bytes" --time_based --runtime="$seconds" --ramp_time="${warm_ms}ms" \
    --group_reporting --output-format=json --name=a --filename="$files/a" \
    --name=b --filename="$files/b" >"$folder/fio" 2>"$folder/fio.err" || fail "fio failed"
  jq '.jobs[0] | (.read.bw_bytes + .write.bw_bytes) / 1e6' "$folder/fio"
}

# In turn, as the writes are. The raw disks do both files at once: of writes half is ours.
streams() {
  local op turn
  for ((turn = 0; turn < turns; turn++)); do
    for op in write read; do
      serve ours
      sample ours "1 MiB sequential ${op}s" "$(load --op=$op --size=$mib --depth=16 --sequential \
        --seconds="$seconds" | awk '{ print $2 / 1e6 }')"
      finish TERM "$server"
    done
    sample raw "1 MiB sequential writes" "$(raw write 16 | awk '{ print $1 / 2 }')"
    sample raw "1 MiB sequential reads" "$(raw read 8)"
  done
}

# mark FROM-TO: these chunks are dirty in slot 0, as a crash leaves them
mark() {
  mdcluster update --quiet --mark="0:$1" "$files/a" "$files/b"
}

# resynced: until the server says how much in which time; sets $result to "BYTES NS"
resynced() {
  local try
  for ((try = 0; try < 6000; try++)); do
    result=$(sed -n 's/^resync //p' "$folder/server.ours")
    [ -z "$result" ] || return 0
    sleep 0.02
  done
  fail "the resync does not end"
}

dirty_bytes() {
  local try count
  count=$(grep -c '^stats' "$folder/server.ours" || :)
  kill -USR2 "$server"
  for ((try = 0; try < 500; try++)); do
    [ "$(grep -c '^stats' "$folder/server.ours" || :)" = "$count" ] || break
    sleep 0.01
  done
  sed -n 's/^stats //p' "$folder/server.ours" | tail -n 1 | awk '{ print $6 }'
}

resync() {
  local half=$((array_bytes / 2 / chunk_bytes)) result
  mark "0-$((half - 1))"
  serve ours
  kill -USR1 "$server"
  resynced
  sample ours "resync" "$(echo "$result" | awk '{ print $1 / $2 * 1000 }')"
  [ "${result% *}" = $((half * chunk_bytes)) ] || fail "the resync copied ${result% *} bytes"
  finish TERM "$server"
  "$programs/copy_load" "$files/a" "$files/b" "$data_offset" $((half * chunk_bytes)) >"$folder/copy" ||
    fail "copy_load failed"
  sample copy "resync" "$(awk '{ print $2 / $3 * 1000 }' "$folder/copy")"
}

# What clients feel of it: the same load with nothing to resync, and with it.
resync_under_load() {
  local all=$((array_bytes / 4096)) before after
  serve ours
  sample idle "4 KiB FUA writes meanwhile, p99" "$(load --op=write --fua --depth=4 \
    --length=$((array_bytes / 2)) --seconds="$seconds" | awk '{ print $4 }')"
  finish TERM "$server"
  mark "0-$((all - 1))"
  serve ours
  kill -USR1 "$server"
  before=$(dirty_bytes)
  sample ours "4 KiB FUA writes meanwhile, p99" "$(load --op=write --fua --depth=4 \
    --length=$((array_bytes / 2)) --seconds="$seconds" | awk '{ print $4 }')"
  after=$(dirty_bytes)
  sample ours "resync under load" "$(awk -v a="$before" -v b="$after" \
    -v s="$seconds" -v w="$warm_ms" 'BEGIN { print (a - b) / 1e6 / (s + w / 1000) }')"
  [ "$after" -gt 0 ] || echo "$me: the resync was over before the load: take larger files" >&2
  finish KILL "$server"
}

# --- daemons ---------------------------------------------------------------------------

# with_daemons N SIZE SLOTS: a new cluster of N nodes, all active; in $files
with_daemons() {
  local i
  array_size=$2 slots=$3
  [ -n "${has_network:-}" ] || node_network 3
  has_network=1
  cluster "$1"
  for ((i = 1; i <= $1; i++)); do start "$i"; done
  for ((i = 1; i <= $1; i++)); do active "$i"; done
}

# nodes_load I OPTION...: in the background; sets $started
nodes_load() {
  local i=$1
  shift
  here "$folder/load$i" "$programs/nbd_load" --socket="$(socket_of "$i")" --export="$array" "$@"
}

now_us() { us=${EPOCHREALTIME/[.,]/}; }
# events_of I: as JSON, one a line
events_of() { ask "$1" events --json | jq -c 'if type == "array" then .[] else . end'; }

# The others write all the while where it was writing; each write's time counts from when it was
# due. What they wait for: the ring, the proof, the merge, and windows of the resync.
failover() {
  local i kill pids old
  with_daemons 3 512M 4
  for ((kill = 1; kill <= kills; kill++)); do
    nodes_load 2 --op=write --fua --depth=16 --length=$((64 * mib)) --seconds=60
    pids=("$started")
    sleep 0.7
    for i in 1 3; do
      nodes_load "$i" --op=write --fua --depth=64 --rate=300 --length=$((64 * mib)) --seconds=2
      pids+=("$started")
    done
    sleep 0.5
    old=$(engine_of 2)
    now_us
    kill -KILL "$old"
    finish KILL "${pids[0]}"
    for i in 1 2; do
      wait "${pids[$i]}" || fail "a survivor's load failed"
      unset "running[${pids[$i]}]"
    done
    for i in 1 3; do
      sample ours "longest wait of a survivor's write" "$(awk '{ print $6 / 1000 }' "$folder/load$i")"
    done
    sample ours "slot taken over" "$({ events_of 1; events_of 3; } | jq -s --argjson from "$us" \
      '[.[] | select(.kind == "slot_recovered" and .time_us > $from) | .time_us] | (max - $from) / 1000')"
    is_another() { local pid; pid=$(engine_of 2) && [ -n "$pid" ] && [ "$pid" != "$old" ]; }
    await "no new engine" is_another
    active 2
    idle 1 2 3
  done
  end_daemons
}

# 8 M chunks are 1 MiB of bits: 257 pages, and about all of them have some.
merge() {
  with_daemons 3 513G 3
  nodes_load 2 --op=write --depth=16 --count=1500
  wait "$started" || fail "the load failed"
  unset "running[$started]"
  now_us
  kill_engine 2
  # of who had a share
  recovered() {
    took=$(for i in 1 3; do events_of "$i" | jq -s --argjson from "$us" \
      '[.[] | select(.time_us > $from)] |
       (map(select(.kind == "slot_recovered" and .bytes > 0)) | first | .time_us) as $over |
       (map(select(.kind == "slot_recovering")) | first | .time_us) as $began |
       if $over then ($over - $began) / 1000 else empty end'; done | head -n 1)
    [ -n "$took" ]
  }
  await "the slot is not recovered" recovered
  sample ours "merge of a slot of 1 MiB" "$took"
  end_daemons
}

memory() {
  local engine i
  with_daemons 2 10T 3
  nodes_load 1 --op=write --depth=16 --count=20000
  wait "$started" || fail "the load failed"
  unset "running[$started]"
  engine=$(engine_of 1)
  for i in HWM RSS; do
    sample ours "memory, 10 TiB by 64 KiB, Vm$i" \
      "$(awk -v f="Vm$i:" '$1 == f { print $2 / 1024 }' "/proc/$engine/status")"
  done
  end_daemons
}

# --- the table ------------------------------------------------------------------------

# row CASE UNIT more|less SIDE PEER-NAME NOTE
row() {
  [ "$(median "$4" "$1")" != - ] || return 0
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$5" "$6" "$3" "$(median ours "$1")" "$(median "$4" "$1")"
}

# peers CASE UNIT more|less
peers() {
  row "$1" "$2" "$3" bare "no intent" "the same engine"
  row "$1" "$2" "$3" qemu "qemu-nbd" "quorum of both files, O_DIRECT"
  row "$1" "$2" "$3" nbdkit "nbdkit file" "one file, page cache"
}

# alone CASE UNIT: nobody to compare with
alone() {
  [ "$(median ours "$1")" = - ] || printf '%s\t%s\t-\t-\tless\t%s\t-\n' "$1" "$2" "$(median ours "$1")"
}
# worst CASE: its 99th percentile, of few samples the largest
worst() {
  awk -F '\t' -v c="$1" '$2 == c { print $3 }' "$folder/samples" | sort -g |
    awk '{ v[NR] = $1 } END { n = int(NR * 0.99 + 0.5); print v[n < 1 ? 1 : n] }'
}

if [ -z "${BENCH_ONLY_DAEMONS:-}" ]; then
make_files
for ((run = 1; run <= runs; run++)); do
  echo "run $run of $runs (load average $(cut -d ' ' -f 1 /proc/loadavg))" >&2
  make_array 4K
  random_writes
  make_array
  streams
  for ((turn = 0; turn < turns; turn++)); do resync; done
  make_array 4K
  resync_under_load
done
fi
rm -f "$files/a" "$files/b"
failover
merge
memory

{
  for set in "inside the budget" "far beyond"; do
    for depth in "${depths[@]}"; do
      peers "4 KiB FUA writes, $set, qd $depth" "writes/s" more
      peers "4 KiB FUA writes, $set, qd $depth, p99" us less
      peers "4 KiB FUA writes, $set, qd $depth, CPU" "us/write" less
      row "4 KiB FUA writes, $set, qd $depth, CPU" "us/write" less raw "fio libaio" \
        "O_DSYNC, one write to each file"
    done
  done
  row "1 MiB sequential writes" MB/s more raw "fio libaio" "both files at once, half of the sum"
  row "1 MiB sequential reads" MB/s more raw "fio libaio" "both files at once, the sum"
  row "resync" MB/s more copy "plain copy" "read and write, libaio, 8 x 1 MiB"
  row "4 KiB FUA writes meanwhile, p99" us less idle "no resync" "qd 4"
  alone "resync under load" MB/s
  for case in "longest wait of a survivor's write" "slot taken over"; do
    printf 'kill -9 of an engine: %s, p50\tms\t-\t-\tless\t%s\t-\n' "$case" "$(median ours "$case")"
    printf 'kill -9 of an engine: %s, p99\tms\t-\t-\tless\t%s\t-\n' "$case" "$(worst "$case")"
  done
  alone "merge of a slot of 1 MiB" ms
  alone "memory, 10 TiB by 64 KiB, VmHWM" MiB
  alone "memory, 10 TiB by 64 KiB, VmRSS" MiB
} >"$folder/rows"
"$programs/ring_load" --table=array <"$folder/rows"
