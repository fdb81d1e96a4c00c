#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrays of ours are the kernel's, whatever the instant at which all power goes: `mdcluster
# create` made them, daemons of ours write to them from three nodes, are killed, come back,
# recover each other and stop; the disks have a volatile cache. At random moments the disk box
# tells what a power cut would leave. In each of these images a bit is set on every disk for
# whatever differs between copies. Each kernel md-cluster assembles, on two machines: with all its
# disks, and after it has recovered all slots the copies are equal, its own check finds nothing,
# and what was written with FUA is there (rule 4 of the design: no dirty bit is lost). In the end
# all nodes are killed, and the kernel takes what they left.
#
# Before that the bits are put into one slot, as `mdcluster migrate --check --to-kernel` says:
# Linux 6.1 forgets bits of the slot of its own where another one is dirty, too (B56).
#
#	ours-to-kernel.sh [LEVEL...]                  (default: raid1 raid10)
#	VM_CUTS=200 VM_SEED=7 ours-to-kernel.sh       so many power cuts a level
. "$(dirname "$0")/../cli/functions.sh"
levels=${*:-${vm_levels:-raid1 raid10}}
export vm_levels=$levels
need nbdfuse losetup
[ -c /dev/fuse ] || skip "there is no /dev/fuse"
. "$srcdir/tests/vm/beside.sh"
beside_end() { disks_off; }

cuts=${VM_CUTS:-5}
seed=${VM_SEED:-$RANDOM}
RANDOM=$seed
node_network 3
mdcluster keygen --quiet key

# --- the disk box, as block devices of this host ------------------------------------------------------
#
# A loop device on a file that nbdfuse serves. The file alone would not do: FUSE forgets that an
# asynchronous write has to be durable (RWF_DSYNC); the loop device asks for a flush instead.

declare -A fuse=() loop_of=()
disks_on() { # NAME...
  local name
  lab power-on
  disks=()
  for name; do
    : >"disk-$name"
    nbdfuse "disk-$name" "nbd+unix:///$name?socket=$MDC_LAB/disk-$name.nbd" 2>"fuse.$name" &
    fuse[$name]=$!
    await "disk $name does not come" is_disk "$name"
    loop_of[$name]=$(losetup --find --show --direct-io=on "disk-$name") || skip "no loop device is to be had"
    disks+=("${loop_of[$name]}")
  done
}
is_disk() { [ -s "disk-$1" ]; }
disks_off() {
  local name
  for name in "${!fuse[@]}"; do
    [ -z "${loop_of[$name]:-}" ] || losetup -d "${loop_of[$name]}" || :
    unset "loop_of[$name]"
    for _ in 1 2 3 4 5 6 7 8 9 10; do umount "disk-$name" 2>/dev/null && break || sleep 0.2; done
    wait "${fuse[$name]}" || :
    unset "fuse[$name]"
  done
}

# --- ours ---------------------------------------------------------------------------------------------

declare -A our_witness=()
witness_begins() { # N
  "$vm_witness" write "journal.ours.$1" "nbd:$(socket_of "$1"):$array" "$(witness_low_vm ours "$1")" \
    "$witness_bytes_vm" 2>"witness.$1" &
  our_witness[$1]=$!
}
journal_sizes() { stat -c %s journal.ours.1 journal.ours.2 | tr '\n' ' '; }

# cut N: what would be left, and what was known then
cut() {
  local known
  known=$(journal_sizes)
  lab snapshot "cuts/$1" "$((seed * 1000 + $1))"
  echo "$known $(journal_sizes)" >"cuts/$1/journals"
}
nap() { sleep "$(printf '0.%03d' $((RANDOM % 700)))"; }

# Nodes 1 and 2 write; now and then one of them is killed, in part or as a whole, and comes back.
trouble() { # N
  local victim=$((RANDOM % 2 + 1))
  case $((RANDOM % 3)) in
    0) kill_engine $victim ;;
    1)
      kill_node $victim
      nap
      start $victim
      ;;
    2) return 0 ;;
  esac
  again=$victim
}
ours_write() {
  local i again=
  : >journal.ours.1
  : >journal.ours.2
  start 1 2 3
  cut 1 # before anything was written: they start
  active 1 2 3
  witness_begins 1
  witness_begins 2
  for ((i = 2; i < cuts; i++)); do
    nap
    cut "$i"
    if [ -n "$again" ]; then
      wait "${our_witness[$again]}" || :
      active "$again"
      witness_begins "$again"
      again=
    elif [ $((i % 2)) = 0 ]; then
      trouble
    fi
  done
  nap
  cut "$cuts"
  for i in 1 2 3; do kill_node "$i"; done
  wait "${our_witness[1]}" || :
  wait "${our_witness[2]}" || :
  mkdir -p cuts/killed
  lab snapshot cuts/killed
  echo "$(journal_sizes) $(journal_sizes)" >cuts/killed/journals
}

# --- the kernel -----------------------------------------------------------------------------------------

# bits_cover FOLDER: whatever differs between copies has a bit in some slot, on each disk
bits_cover() {
  local disk
  for disk in "$1"/disk-*.img; do mdcluster examine-bitmap --json "$disk" >"$disk.bits" || return 1; done
  python3 - "$1" <<'END'
import glob, json, sys
CHUNK, DATA = 65536, 1 << 20
disks = sorted(glob.glob(sys.argv[1] + '/disk-*.img'))
legs = [open(d, 'rb').read()[DATA:] for d in disks]
marked = []
for d in disks:
    told = json.load(open(d + '.bits'))
    marked.append({c for s in told['slots'] for low, high in s['dirty_ranges'] for c in range(low, high + 1)})
sets, wrong = len(legs) // 2, 0
for s in range(sets):
    a, b = legs[2 * s], legs[2 * s + 1]
    for k in range(min(len(a), len(b)) // CHUNK):
        chunk = k * sets + s
        if a[k * CHUNK:(k + 1) * CHUNK] == b[k * CHUNK:(k + 1) * CHUNK]:
            continue
        bare = [d for d, m in zip(disks, marked) if chunk not in m]
        if bare:
            wrong += 1
            print('chunk %d differs, and has no bit on %s' % (chunk, ', '.join(bare)))
sys.exit(1 if wrong else 0)
END
}

kernel_takes() { # CUT
  local known1 known2 sent1 sent2 n power=--power
  echo "power cut $1 (at $SECONDS s)"
  bits_cover "cuts/$1" || fail "power cut $1 of seed $seed: copies differ where no bit is set"
  mdcluster update --quiet --gather "cuts/$1"/disk-*.img || fail "power cut $1 of seed $seed: no gathering"
  lab load "cuts/$1"
  for n in 1 2; do on "$n" 'for d in /dev/vd?; do blockdev --flushbufs $d; done' >/dev/null; done
  kernel_assemble 1 2
  on 1 'grep -q "\[U*\]$" /proc/mdstat' >/dev/null # all disks
  kernel_idle 1
  kernel_idle 2
  kernel_check 1
  kernel_stop 2 1
  lab flush
  array_image now "power cut $1 of seed $seed"
  [ "$1" != killed ] || power=
  read -r known1 known2 sent1 sent2 <"cuts/$1/journals"
  for n in 1 2; do
    [ $n = 1 ] || known1=$known2 sent1=$sent2
    "$vm_witness" check $power --known="$known1" --sent="$sent1" --before=before "journal.ours.$n" now \
      "$(witness_low_vm ours $n)" "$witness_bytes_vm" >verdict 2>&1 ||
      fail "power cut $1 of seed $seed: what n$n wrote is lost: $(head -n 3 verdict; tail -n 1 verdict)"
  done
}

story() { # LEVEL
  local names=(a b) name i options=(--level=mirror --raid-devices=2)
  chunk_bytes=0
  if [ "$1" = raid10 ]; then
    names=(a b c d)
    options=(--level=10 --layout=n2 --chunk=64 --raid-devices=4)
    chunk_bytes=65536
  fi
  echo "$1: $cuts power cuts of seed $seed (at $SECONDS s)"
  lab remove
  for name in "${names[@]}"; do lab disk "$name" 40M; done
  disks_on "${names[@]}"
  rm -rf n[0-9]* cuts fenced
  mkdir cuts
  mdcluster create "$array" "${disks[@]}" --quiet "${options[@]}" --nodes=$slots --assume-clean \
    --home-cluster=$cluster_name --homehost=none --bitmap-chunk=64K || fail "create failed"
  truncate -s 80M before
  fence_script
  fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 300"
  for i in 1 2 3; do
    array_config $i 3
    sed -i "/disks = /s#{.*}#{ $(printf '"%s", ' "${disks[@]}" | sed 's/, $//') }#" "n$i/conf"
  done
  ours_write
  disks_off
  echo "$1: dirty slots of all three (at $SECONDS s)"
  use_disks "${names[@]}"
  boot 2
  kernel_cluster 2 1 2
  for ((i = 1; i <= cuts; i++)); do kernel_takes $i; done
  kernel_takes killed
  lab down
  echo "$1: the kernel has taken all (at $SECONDS s)"
}

for level in $levels; do story "$level"; done
