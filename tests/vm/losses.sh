#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Three ways in which Linux md-cluster is known to lose data, or a node its array, and what
# mdclusterd makes of the same: each goes the same way on kernel nodes, in machines, and on
# nodes of ours, on this host. A table, for the README, says what became of the copies. Ours
# must be equal; the kernel's are told as they are.
#
#	losses.sh [--table]     with --table nothing but the table
. "$(dirname "$0")/../cli/functions.sh"
export vm_table=${vm_table:-${1:-}}
need nbdcopy
. "$srcdir/tests/vm/beside.sh"
node_network 3
mdcluster keygen --quiet key
tell() { [ "$vm_table" = --table ] || echo "$* (at $SECONDS s)"; }

# --- both sides, in the same words -------------------------------------------------------------
#
# SIDE_begin [alone]     a mirror of a and b, on nodes 1 and 2; alone: node 2 is away
# SIDE_write N CHUNK COUNT LETTER
# SIDE_lose b            it fails, and is taken out
# SIDE_back b            it is re-added, and all that needs it is resynced
# SIDE_add c | SIDE_out a     a new disk; and an old one that goes
# SIDE_die 2             node 2 is killed; what the survivors do is held up until ...
# SIDE_heal              ... now; and at rest
# SIDE_join 2            true, if it can; its complaint in `why`
# SIDE_end

chunk=65536
write_words() { # DEVICE CHUNK COUNT LETTER
  echo "tr '\\0' $4 </dev/zero 2>/dev/null | dd of=$1 bs=$chunk seek=$2 count=$3 iflag=fullblock \
    oflag=direct conv=notrunc status=none"
}

# disks go by their letters; a machine has them as vda, vdb, vdc
kernel_begin() {
  lab remove
  for n in a b c; do lab disk $n 64M; done
  use_disks a b
  boot 2
  kernel_cluster 2 1 2
  kernel_create 1 "--level=mirror -n2 /dev/vda /dev/vdb"
  [ "${1:-}" = alone ] || kernel_assemble 2
  bits_are_cleared 1
}
# the kernel clears a bit some seconds after the write; all that are set must be the story's
bits_are_cleared() {
  until_on "$1" "bits are not cleared" '! mdadm -X /dev/vda | grep " dirty" | grep -qv " 0 dirty"' 200
}
kernel_write() { local n=$1; shift; on "$n" "$(write_words /dev/md0 "$@")" >/dev/null; }
kernel_lose() {
  on 1 "mdadm /dev/md0 --fail /dev/vd$1 && sleep 1 && mdadm /dev/md0 --remove /dev/vd$1" >/dev/null
}
kernel_back() {
  on 1 "mdadm /dev/md0 --re-add /dev/vd$1 && sleep 1" >/dev/null
  kernel_idle 1
}
kernel_add() { on 1 "mdadm /dev/md0 --add /dev/vd$1" >/dev/null; }
kernel_out() {
  kernel_lose "$1"
  kernel_idle 1
}
kernel_die() {
  on 1 'dmesg -c >/dev/null' >/dev/null
  lab kill "$1"
  lab flush
}
kernel_heal() {
  kernel_recovered 1
  on 1 'sleep 1' >/dev/null
}
kernel_join() {
  use_disks b c
  try_on "$1" 'mdadm --assemble /dev/md0 /dev/vdb /dev/vdc; code=$?; dmesg | grep -i "bitmap\|md0" | tail -n 2; exit $code' >why 2>&1
}
kernel_end() { lab down; }

ours_begin() {
  local n name
  lab remove
  mkdir -p "$MDC_LAB"
  for name in a b c; do truncate -s 64M "$MDC_LAB/disk-$name.img"; done
  use_disks a b
  rm -rf n[0-9]* fenced
  fence_script
  fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 300"
  mdcluster create "$array" "${disks[@]}" --quiet --level=mirror --raid-devices=2 --nodes=$slots \
    --home-cluster=$cluster_name --homehost=none --bitmap-chunk=64K --assume-clean || fail "create failed"
  for n in 1 2 3; do
    array_config "$n" 3
    sed -i "s|^  disks = .*|  disks = {\"$MDC_LAB/disk-*.img\"}\n  uuid = $(mdcluster examine --json "${disks[0]}" | jq -r .uuid)|" "n$n/conf"
  done
  start 1 2 3
  active 1 2 3
  [ "${1:-}" != alone ] || stop_daemon 2
}
ours_write() {
  local n=$1
  shift
  tr '\0' "$3" </dev/zero 2>/dev/null | head -c $(($2 * chunk)) >data
  qemu-io -f raw -c "write -s $PWD/data $(($1 * chunk)) $(($2 * chunk))" "$(uri_of "$n")" >written 2>&1 ||
    fail "a write on n$n failed: $(cat written)"
}
disk_file() { echo "$MDC_LAB/disk-$1.img"; }
ask_for() { ask "$@" >asked 2>&1 || { complain; fail "mdcluster ${*:2}: $(cat asked)"; }; }
ours_lose() {
  ask_for 1 fail "$array" "$(disk_file "$1")"
  ask_for 1 remove "$array" "$(disk_file "$1")"
}
ours_back() {
  ask_for 1 re-add --wait "$array" "$(disk_file "$1")"
  idle 1 3
}
ours_add() { ask_for 1 add "$array" "$(disk_file "$1")"; }
ours_out() {
  ours_lose "$1"
  idle 1 3
}
ours_die() {
  touch fence-fails
  kill_node "$1"
}
ours_heal() {
  rm fence-fails
  await "n2 is not fenced" is_fenced 2
  idle 1 3
}
ours_join() {
  use_disks b c
  start "$1"
  active "$1" >why 2>&1
}
ours_end() {
  stop_daemon "${!supervisor[@]}"
  # files are left for the comparison
}

# --- the stories ------------------------------------------------------------------------------------

# differ: how many chunks of the two copies, while all is at rest
differ() {
  [ "$1" = ours ] || lab flush
  python3 - "$(data_offset)" "$(data_bytes)" "$chunk" "${disks[@]}" <<'END'
import sys
offset, size, chunk = map(int, sys.argv[1:4])
legs = []
for name in sys.argv[4:6]:
    with open(name, 'rb') as f:
        f.seek(offset)
        legs.append(f.read(size))
print(sum(legs[0][at:at + chunk] != legs[1][at:at + chunk] for at in range(0, size, chunk)))
END
}
verdict_of() { # CHUNKS
  case $1 in
    0) echo "copies are equal" ;;
    1) echo "**1 chunk differs**, no error" ;;
    *) echo "**$1 chunks differ**, no error" ;;
  esac
}

readd() { # SIDE -> $said_
  "$1_begin"
  "$1_lose" b
  "$1_write" 1 100 20 A
  "$1_write" 2 400 30 B
  "$1_back" b
  result=$(differ "$1")
  verdict=$(verdict_of "$result")
  "$1_end"
}
chunk_0() {
  "$1_begin"
  "$1_write" 2 0 1 A
  "$1_die" 2
  # what the write had reached on one disk alone: a sector of it
  printf 'TORN' | dd of="$(disk_file b)" bs=1 seek=$(($(data_offset) + 4096)) conv=notrunc status=none
  "$1_heal"
  result=$(differ "$1")
  verdict=$(verdict_of "$result")
  "$1_end"
}
absent() {
  "$1_begin" alone
  "$1_add" c
  "$1_out" a
  "$1_write" 1 10 5 A
  result=0
  if "$1_join" 2; then
    verdict="it joins"
  else
    result=1
    verdict="**it cannot join**: $(grep -oE 'bad magic' why || grep -oE 'Invalid argument' why | head -n 1)"
  fi
  "$1_end"
}

declare -A table=()
for loss in readd chunk_0 absent; do
  for side in ours kernel; do
    tell "$loss: $side"
    $loss $side
    table[$loss-$side]=$verdict
    [ $side = kernel ] || [ "$result" = 0 ] || fail "$loss: ours: $verdict"
    tell "$loss: $side: $verdict"
  done
done
row() { echo "| $2 | ${table[$1-kernel]} | ${table[$1-ours]} |"; }
echo "| | Linux $(cut -d- -f1,2 "${MDC_VM_CACHE:-$HOME/.cache/mdcluster-vm}/kernel-version") md-cluster | mdclusterd |"
echo "|---|---|---|"
row readd "A disk is taken out, two nodes write, it is re-added (mdadm --re-add)"
row chunk_0 "A node dies while it writes to the first chunk, and to no other"
row absent "A disk is added while a node is away, and the node comes"
