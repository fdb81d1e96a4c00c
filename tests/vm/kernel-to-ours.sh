#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrays go from kernel nodes to ours and back. Kernel nodes in machines, and daemons of
# ours on this host, in turn take the same disks over, whatever state the others left them in:
# stopped, one node killed, all killed, killed while a resync was under way, the power cut.
# Each side recovers, all that was acknowledged is there, copies are equal, and the kernel's
# own check finds nothing.
#
#	kernel-to-ours.sh [LEVEL...]                       (default: raid1 raid10)
#	VM_ALTERNATIONS=20 VM_SEED=7 kernel-to-ours.sh     the turns of one seed
. "$(dirname "$0")/../cli/functions.sh"
levels=${*:-${vm_levels:-raid1 raid10}}
export vm_levels=$levels
. "$srcdir/tests/vm/beside.sh"

alternations=${VM_ALTERNATIONS:-2}
seed=${VM_SEED:-$RANDOM}
RANDOM=$seed
pick() { shift $((RANDOM % $#)); echo "$1"; }
# ours are three, so that two have a quorum; two of them write
node_network 3
mdcluster keygen --quiet key

# --- a turn of the kernel's -----------------------------------------------------------------------

declare -A is_up=()
machines_up() {
  local n new=()
  for n in 1 2; do [ -n "${is_up[$n]:-}" ] || new+=("$n"); done
  [ ${#new[@]} != 0 ] || return 0
  start_machine "${new[@]}"
  present=2 kernel_cluster 2 "${new[@]}"
  for n in "${new[@]}"; do is_up[$n]=1; done
}
power_fails() {
  lab power-cut "$1" >/dev/null
  is_up=()
}
die() { # N...
  local n
  lab kill "$@"
  for n; do unset "is_up[$n]"; done
}
slowly() { on "$1" "echo $2 >/proc/sys/dev/raid/speed_limit_max; echo $2 >/proc/sys/dev/raid/speed_limit_min; dmesg -c >/dev/null" >/dev/null; }

# kernel_takes: assembled, recovered, checked; stays assembled
kernel_takes() {
  local n
  for n in 1 2; do on "$n" 'for d in /dev/vd?; do blockdev --flushbufs $d; done' >/dev/null; done
  slowly 1 200000
  slowly 2 200000
  kernel_assemble 1 2
  kernel_idle 1
  kernel_idle 2
  kernel_check 1
}
leave_kernel() { # KIND
  case $1 in
    stopped)
      kernel_end_witness 1 2
      kernel_stop 2 1
      ;;
    one-killed)
      slowly 1 200000
      die 2
      kernel_recovered 1
      kernel_end_witness 1
      kernel_stop 1
      ;;
    killed) die 1 2 ;;
    half-resynced)
      slowly 1 300
      die 2
      until_on 1 "no resync begins" 'grep -q resync /proc/mdstat || dmesg | grep -q "resync done"'
      die 1
      ;;
    power) power_fails "$RANDOM" ;;
  esac
  lab flush
}
kernel_turn() { # KIND
  machines_up
  kernel_takes
  lab flush
  array_image now "seen by the kernel"
  witnesses_agree before now ${power:+--power}
  mv now before
  rm -f journal.ours.*
  kernel_witness 1 2
  sleep 2
  power=
  [ "$1" != power ] || power=1
  leave_kernel "$1"
}

# --- a turn of ours ---------------------------------------------------------------------------------

declare -A our_witness=()
leave_ours() { # KIND
  local n
  case $1 in
    stopped)
      for n in 1 2; do
        kill -TERM "${our_witness[$n]}"
        wait "${our_witness[$n]}" || fail "a write of n$n fails"
      done
      stop_daemon 1 2 3
      ;;
    one-killed)
      kill_node 2
      wait "${our_witness[2]}" || :
      await "n2's slot is not recovered" is_fenced 2
      sleep 1
      kill -TERM "${our_witness[1]}"
      wait "${our_witness[1]}" || fail "a write of n1 fails"
      idle 1 3
      stop_daemon 1 3
      ;;
    engine-killed)
      kill_engine 2
      wait "${our_witness[2]}" || :
      kill_node 1
      wait "${our_witness[1]}" || :
      kill_node 2
      kill_node 3
      ;;
    killed)
      kill_node 1
      kill_node 2
      kill_node 3
      wait "${our_witness[1]}" || :
      wait "${our_witness[2]}" || :
      ;;
  esac
}
our_turn() { # KIND
  local n
  start 1 2 3
  active 1 2 3
  idle 1 2 3
  array_image now "seen by ours"
  witnesses_agree before now ${power:+--power}
  power=
  mv now before
  for n in 1 2; do
    : >"$(journal_vm kernel "$n")"
    : >"$(journal_vm ours "$n")"
    "$vm_witness" write "journal.ours.$n" "nbd:$(socket_of "$n"):$array" "$(witness_low_vm ours "$n")" \
      "$witness_bytes_vm" 2>"witness.$n" &
    our_witness[$n]=$!
  done
  sleep 1.5
  leave_ours "$1"
}

# --- the story ----------------------------------------------------------------------------------------

begin_array() { # LEVEL
  local n
  # journals too: what another array had is not to be found in this one
  rm -rf n[0-9]* before journal.ours.* "$MDC_LAB"/n?.journal "$MDC_LAB"/disk-*
  if [ "$1" = raid1 ]; then
    use_disks a b
    chunk_bytes=0
  else
    use_disks a b c d
    chunk_bytes=65536
  fi
  for n in "${disks[@]}"; do lab disk "$(basename "$n" .img | cut -c6-)" 40M; done
  fence_script
  fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 300"
  for n in 1 2 3; do
    array_config "$n" 3
    sed -i "/disks = /s#{.*}#{ $(printf '"%s", ' "${disks[@]}" | sed 's/, $//') }#" "n$n/conf"
  done
  is_up=()
  machines_up
  slowly 1 "${create_speed:-200000}"
  if [ "$1" = raid1 ]; then
    kernel_create 1 "--level=mirror -n2 $devices"
  else
    kernel_create 1 "--level=10 --layout=n2 --chunk=64 -n4 $devices"
  fi
  kernel_stop 1
  lab flush
  array_image before "as created"
}

story() { # LEVEL
  local i kernel_end our_end
  echo "$1: $alternations alternations of seed $seed"
  begin_array "$1"
  for ((i = 1; i <= alternations; i++)); do
    # the states that are hardest come first, so that a short run has them
    case $i in
      1) kernel_end=half-resynced our_end=killed ;;
      2) kernel_end=power our_end=one-killed ;;
      *) kernel_end=$(pick stopped one-killed killed half-resynced power) our_end=$(pick stopped one-killed engine-killed killed) ;;
    esac
    echo "$1 $i (at $SECONDS s): kernel nodes leave it $kernel_end, ours $our_end"
    kernel_turn "$kernel_end"
    our_turn "$our_end"
  done
  kernel_turn stopped
  our_turn stopped
  slots_are_clear
  machines_up
  kernel_takes
  kernel_stop 1 2
  lab down
  echo "$1: all is there (at $SECONDS s)"
}

for level in $levels; do story "$level"; done
