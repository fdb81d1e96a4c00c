#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The kernel's md-cluster against mdclusterd: in one run, in the same two machines, on the same
# disks, with the same fio jobs and the same kill. Prints a table, as README may have it.
# Emulation slows both: only ratios say something, and even those of the data path compare two
# ways through an emulated processor. BENCH_SECONDS=10: of a fio job. BENCH_ROUNDS=3: medians.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
. "$srcdir/tests/vm/ours.sh"
need_lab tools
seconds=${BENCH_SECONDS:-10}
rounds=${BENCH_ROUNDS:-3}
patience_s=600
token_ms=1500 # as cluster-up gives corosync
declare -A found=()
say() { echo "$*" >&2; }

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# --- the same for both -----------------------------------------------------------------------------

# fio_json N OPTION...: what fio says of one job on the device
fio_json() {
  local n=$1
  shift
  on "$n" "fio --name=job --filename=$device --direct=1 --size=48M --output-format=json --randseed=7 $*" |
    sed -n '/^{/,$p'
}
data_path() { # WHO
  say "$1: fio"
  found[$1.rand]=$(fio_json 1 --rw=randwrite --bs=4k --ioengine=psync --sync=1 --time_based --runtime="$seconds" | jq '.jobs[0].write.iops')
  found[$1.seq]=$(fio_json 1 --rw=write --bs=1M --ioengine=libaio --iodepth=4 --time_based --runtime="$seconds" | jq '.jobs[0].write.bw_bytes / 1048576')
  found[$1.read]=$(fio_json 1 --rw=randread --bs=4k --ioengine=psync --time_based --runtime="$seconds" | jq '.jobs[0].read.iops')
}
# ms that a command took on machine 1, to 10
took_ms() {
  on 1 "read a _ </proc/uptime; { $1; } >/dev/null 2>&1 || exit 1; read b _ </proc/uptime; echo \$a \$b" |
    awk 'END { printf "%.0f\n", ($2 - $1) * 1000 }'
}
# What machine 2 was writing when it died: 4 KiB at 100 places; machine 1 goes on all the time.
crash() { # WHO
  local shot=shot.$1
  say "$1: machine 2 is killed"
  on 1 "fio --name=job --filename=$device --direct=1 --offset=64M --size=8M --rw=randwrite --bs=4k --ioengine=psync \
    --sync=1 --rate_iops=50 --time_based --runtime=20 --output-format=json --output=/tmp/steady.json >/dev/null 2>&1 &
    echo \$! >/tmp/steady.pid" >/dev/null
  fio_json 2 --rw=randwrite --bs=4k --ioengine=psync --sync=1 --number_ios=100 >/dev/null
  if [ "$1" = ours ]; then ours_dies 2; else lab kill 2; fi
  lab snapshot "$shot"
  found[$1.dirty]=$(mdcluster examine-bitmap --json "$shot/disk-a.img" | jq "[.slots[].dirty] | add * 64")
  on 1 'while [ -d /proc/$(cat /tmp/steady.pid) ]; do sleep 0.2; done' >/dev/null
  found[$1.stall]=$(on 1 'cat /tmp/steady.json' | sed -n '/^{/,$p' | jq '.jobs[0].write.clat_ns.max / 1e6')
}

# --- the kernel ---------------------------------------------------------------------------------------

lab disk a 128M
lab disk b 128M
lab boot 2 --tools >boot.log 2>&1 || fail "the machines do not boot: $(tail -n 3 boot.log)"
kernel_cluster 2 1 2
kernel_create 1 --level=mirror --raid-devices=2 /dev/vda /dev/vdb
kernel_assemble 2
kernel_idle 2
device=/dev/md0
data_path kernel
for ((i = 0; i < rounds; i++)); do
  took_ms 'mdadm /dev/md0 --fail /dev/vdb' >>kernel.fail
  on 1 'mdadm /dev/md0 --remove /dev/vdb && mdadm /dev/md0 --re-add /dev/vdb' >/dev/null
  kernel_idle 1
done
found[kernel.fail]=$(median <kernel.fail)
found[kernel.resync]=$(took_ms 'echo repair >/sys/block/md0/md/sync_action; while [ "$(cat /sys/block/md0/md/sync_action)" != idle ]; do sleep 0.05; done')
crash kernel
lab down

# --- ours ---------------------------------------------------------------------------------------------

lab disk a 128M
lab disk b 128M
ours_boot
device=$(ours_ask 1 attach "$array")
ours_ask 2 attach "$array" >/dev/null
data_path ours
for ((i = 0; i < rounds; i++)); do
  took_ms "mdcluster fail $array /dev/vdb" >>ours.fail
  ours_ask 1 "remove $array /dev/vdb" >/dev/null
  ours_ask 1 "re-add $array /dev/vdb" >/dev/null
  ours_idle 1
done
found[ours.fail]=$(median <ours.fail)
found[ours.resync]=$(took_ms "mdcluster repair --quiet $array")
crash ours
ours_idle 1

# --- the table ------------------------------------------------------------------------------------------

row() { # KEY WHAT UNIT
  [ -n "${found[kernel.$1]}" ] && [ -n "${found[ours.$1]}" ] || fail "$2: not measured"
  awk -v k="${found[kernel.$1]}" -v o="${found[ours.$1]}" -v what="$2" -v unit="$3" \
    'BEGIN { printf "| %s | %.0f %s | %.0f %s | %.2f |\n", what, k, unit, o, unit, k ? o / k : 0 }'
}
echo "| $(date -u +%F), $(on 1 'uname -r'), emulated | kernel md-cluster | mdclusterd | ours / kernel |"
echo "|---|---|---|---|"
row rand "4 KiB random writes, O_SYNC" "/s"
row seq "1 MiB writes in sequence" MiB/s
row read "4 KiB random reads" "/s"
row fail "a disk is failed, on both nodes" ms
row resync "a whole repair" ms
row stall "longest write of the survivor when the other dies" ms
row dirty "marked in all slots then, 100 places written by the other" KiB
cat <<END

The kernel's md is in the kernel; ours is reached by its nbd, each request a visit of user space. Times of
commands have the start of the command in them. The kernel's DLM recovers without fencing here, and ours is
told of the death by hand, at once. What is marked is what is resynced after a crash: ours marks neighbours
with the page that is written anyway, as far as intent_budget lets it (I8), and on disks this small that
is nearly all of the 48 MiB.
END
