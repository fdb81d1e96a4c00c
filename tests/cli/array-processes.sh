#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrays for real: daemons in network namespaces, two disks that are files, clients on
# all nodes at once; engines and whole nodes are killed, stopped, cut off. After each
# story nothing that was acknowledged is lost (nbd-witness knows, whatever became of the
# node that it talked to; fio verifies on the others), all nodes see the same, and after
# a stop both disks are equal, and no bit is set.
#
#	array-processes.sh [STORY...]    (default: all)
#	ARRAY_ROUNDS=200 array-processes.sh random
#	MDC_TEST_ENGINE=corosync array-processes.sh
. "$(dirname "$0")/functions.sh"
stories=${*:-${array_stories:-}}
export array_stories=$stories
need_root
need ip unshare jq flock fio nbdcopy nbdinfo qemu-io cmp losetup
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
[ -x "$builddir/mdclusterd/mdclusterd" ] || fail "mdclusterd is not built"
need_mount() { [ -d /run ] && mkdir -p /run/netns; }
need_mount || skip "no mounts of our own here"
. "$here/array-functions.sh"
. "$here/array-witness.sh"

trap 'kill -KILL ${clients[@]+"${!clients[@]}"} 2>/dev/null || :; no_slow_disk; end_daemons; umount "$tmp"/n2/state 2>/dev/null || :; end_slow_disk; cleanup' EXIT

# --- fio: 8 of the 12 MiB that node I has of its own ------------------------------------------

fio_low() { echo $((32 * mib + ($1 - 1) * 12 * mib)); }

declare -A fio_of=()
# Who loses its server may complain for ever: fio dies of what it has to say (ulimit, KiB).
start_fio() { # I SECONDS
  (
    ulimit -f 10240
    exec fio --name="n$1" --ioengine=nbd --uri="$(uri_of "$1")" --rw=randwrite --bsrange=512-64k \
    --bs_unaligned=0 --blockalign=4k --iodepth=8 --offset="$(fio_low "$1")" --size=8M --verify=crc32c \
    --verify_fatal=1 --verify_backlog=64 --time_based --runtime="$2" --thread \
    --random_generator=lfsr --randseed=$((RANDOM + 1)) >"fio.$1" 2>&1
  ) &
  fio_of[$1]=$!
  clients[${fio_of[$1]}]=1
}
end_fio() { # I...: it must be content
  local i
  for i; do
    wait "${fio_of[$i]}" || { complain; fail "fio on n$i: $(cat "fio.$i")"; }
    unset "clients[${fio_of[$i]}]"
  done
}

# --- stories -------------------------------------------------------------------------------

begin() { # N: nodes that have never run; what is written by all
  local i
  cluster "$1"
  for ((i = 1; i <= $1; i++)); do start "$i"; done
  for ((i = 1; i <= $1; i++)); do active "$i"; done
}
with_fence() {
  fence_script
  fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 300"
}
without_fence() { fencing=; }

# Real data comes in on one node, and is read on the others; all write.
story_quiet() {
  local i
  begin 3
  head -c 20M /dev/urandom >data
  nbdcopy data "$(uri_of 1)" || fail "nbdcopy failed"
  for i in 2 3; do
    nbdcopy "$(uri_of "$i")" copy || fail "nbdcopy from n$i failed"
    cmp --bytes=20971520 data copy || fail "n$i does not see what n1 wrote"
    rm copy
  done
  nbdinfo --can trim "$(uri_of 2)" || fail "TRIM is not offered, on files"
  qemu-io -f raw -d unmap -c 'discard 4M 8M' "$(uri_of 2)" >discarded || fail "a TRIM failed"
  dd if=/dev/zero of=data bs=1M seek=4 count=8 conv=notrunc status=none
  for i in 1 3; do
    nbdcopy "$(uri_of "$i")" copy || fail "nbdcopy from n$i failed"
    cmp --bytes=20971520 data copy || fail "n$i does not see what n2 trimmed"
    rm copy
  done
  start_witness 1 2 3
  for i in 1 2 3; do start_fio "$i" 3; done
  end_fio 1 2 3
  for i in 1 2 3; do end_witness "$i" 0; done
  heard_out 1 1 2 3
  end_well 1 2 3
}

# A cluster of one node: nobody to send it a token, and its gate opens all the same.
story_alone() {
  without_fence
  begin 1
  start_witness 1
  start_fio 1 1
  end_fio 1
  end_witness 1 0
  heard_out 1 1
  end_well 1
}

is_another() { local pid; pid=$(engine_of "$1") && [ -n "$pid" ] && [ "$pid" != "$2" ]; }

# An engine is killed while all write: the others go on, it comes back by itself.
story_engine() {
  local old
  begin 3
  start_witness 1 2 3
  start_fio 1 5
  start_fio 3 5
  sleep 1.5
  old=$(engine_of 2)
  kill_engine 2
  end_witness 2 3
  heard_out 3 2
  await "n2 has no new engine" is_another 2 "$old"
  active 2
  end_fio 1 3
  start_witness 2
  sleep 0.5
  for i in 1 2 3; do end_witness "$i" 0; done
  idle 1 2 3
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  end_well 1 2 3
}

# Engine and supervisor: nobody says that they are dead but the fence command.
story_node() {
  with_fence
  begin 3
  start_witness 1 2 3
  start_fio 1 5
  start_fio 2 5
  sleep 1.5
  kill_node 3
  end_witness 3 3
  await "n3 is not fenced" is_fenced 3
  await "n1 does not know that n3 is dead" knows_dead 1 3
  idle 1 2
  heard_out 1 3
  end_fio 1 2
  start 3
  active 3
  start_witness 3
  sleep 0.5
  for i in 1 2 3; do end_witness "$i" 0; done
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  end_well 1 2 3
}

# Corosync dies under a daemon, on a host that lives: the daemon writes no more, and says why;
# when corosync is back it takes part again, and tells that what was before it is dead.
without_corosync() { says "$1" "$the_array | .is_gate_open" false || ! ask "$1" status >/dev/null 2>&1; }
# shows_votes I "THERE EXPECTED NEEDED"
has_votes() { [ "$(ask "$1" quorum --json 2>/dev/null | jq -r '"\(.votes) \(.expected) \(.quorum)"')" = "$2" ]; }
shows_votes() {
  await "n$1: votes are not $2, but $(ask "$1" quorum --json)" has_votes "$@"
  says "$1" '"\(.votes) \(.expected) \(.quorum)"' "$2" || fail "status of n$1: $(ask "$1" status)"
  ask "$1" quorum | grep -q "^Total votes:  *${2%% *}$" || fail "quorum of n$1: $(ask "$1" quorum)"
}
story_corosync() {
  local i
  if [ "$cluster_engine" != corosync ]; then
    echo "it is without corosync"
    return 0
  fi
  without_fence
  begin 3
  shows_votes 1 "3 3 2"
  on_node 2 corosync-quorumtool -e 5 >/dev/null || fail "corosync-quorumtool: $?"
  for i in 1 3; do shows_votes "$i" "3 5 3"; done
  on_node 2 corosync-quorumtool -e 3 >/dev/null || fail "corosync-quorumtool: $?"
  shows_votes 1 "3 3 2"
  start_witness 1 2
  start_fio 1 5
  sleep 0.5
  corosync_end 3 KILL
  await "n3 does not say that corosync is gone" grep -q MDC5800 n3/log
  await "n3 writes without corosync" without_corosync 3
  await "n1 waits for no proof of n3's death" waits_for_proof 1 3
  shows_votes 1 "2 3 2"
  end_fio 1
  await "n3 does not say what to do" grep -q "corosync does not run on this host: start it" n3/log
  corosync_start 3
  await "corosync of n3" corosync_answers 3
  active 1 2 3
  await "n1 does not know n3 again" has_members 1 1 2 3
  for i in 1 2; do end_witness "$i" 0; done
  idle 1 2 3
  heard_out 3 1 2
  end_well 1 2 3
}

# Corosync hangs under a daemon, on a host that lives: the daemon writes no more when its lease is
# over, answers whoever asks it, and says what is wrong. When corosync goes on so does the daemon.
answers_quickly() { timeout 10 mdcluster status --run-dir="$here_is/n$1/run" >/dev/null 2>&1 || [ $? -lt 4 ]; }
story_hung() {
  local i
  if [ "$cluster_engine" != corosync ]; then
    echo "it is without corosync"
    return 0
  fi
  without_fence
  begin 3
  start_witness 1 2 3
  start_fio 1 5
  sleep 0.5
  corosync_hang 2
  await "n2 writes, and corosync hangs" is_shut 2
  await "n2 does not say that corosync hangs" grep -q MDC5920 n2/log
  ask 2 status | grep -q "NO QUORUM: corosync on this host does not answer" ||
    fail "n2 does not say why it writes nothing: $(ask 2 status)"
  await "n1 waits for no proof of n2's death" waits_for_proof 1 2
  # shellcheck disable=SC2251
  ! timeout 30 mdcluster reload --run-dir="$here_is/n2/run" 2>reloaded || fail "n2 knows corosync's nodes"
  grep -q "nothing is reloaded" reloaded || fail "n2 says: $(cat reloaded)"
  grep -q "daemon: .*corosync runs on this host and does not answer" n2/log || fail "n2 does not say why"
  answers_quickly 2 || fail "n2 does not answer"
  end_fio 1
  corosync_go_on 2
  active 1 2 3
  await "n2 does not say that corosync goes on" grep -q MDC5921 n2/log
  await "n1 does not know n2 again" has_members 1 1 2 3
  for i in 1 2 3; do end_witness "$i" 0; done
  heard_out 3 1 2 3
  end_well 1 2 3
}

# ... and an engine is killed meanwhile: its supervisor does not wait for corosync, nor does the next
# engine without a word; or the daemon is told to stop.
is_alive() { kill -0 "${supervisor[$1]}" 2>/dev/null; }
story_hung_end() {
  local old
  if [ "$cluster_engine" != corosync ]; then
    echo "it is without corosync"
    return 0
  fi
  without_fence
  begin 3
  start_witness 1 2 3
  sleep 0.5
  corosync_hang 3
  old=$(engine_of 3)
  kill_engine 3
  end_witness 3 3
  await "n3 does not say that nobody hears of its death" grep -q "does not answer.*MDC5403" n3/log
  await "n3 has no new engine" is_another 3 "$old"
  await "n3 does not say what its engine waits for" \
    grep -q "daemon: .*corosync runs on this host and does not answer" n3/log
  is_alive 3 || fail "n3 has no supervisor any more"
  corosync_go_on 3
  active 1 2 3
  idle 1 2 3
  corosync_hang 2
  await "n2 writes, and corosync hangs" is_shut 2
  kill -TERM "${supervisor[2]}"
  reap 2 || :
  end_witness 2 3
  start 2
  await "n2 does not wait for corosync" grep -q MDC5922 n2/log
  corosync_go_on 2
  active 1 2 3
  end_witness 1 0
  heard_out 3 1 2 3
  end_well 1 2 3
}

# The switch does not answer: recovery waits, says so, and the survivors write on; all read the
# same, though the disks differ where n3's last writes reached one of them only. Then a
# person says that the node is dead.
waits_for_proof() { ask "$1" status 2>/dev/null | grep -q "n$2 .*waits: proof of death"; }
story_unproven() {
  with_fence
  begin 3
  touch fence-fails
  start_witness 3
  fio --name=last --ioengine=nbd --uri="$(uri_of 3)" --rw=write --bs=64k --offset=24M --size=4M \
    --iodepth=4 >fio.last 2>&1 || fail "fio: $(cat fio.last)"
  kill_node 3
  end_witness 3 3
  head -c 256K /dev/urandom | dd of="${disks[1]}" bs=64K oflag=direct conv=notrunc status=none \
    seek=$((($(data_offset) + 25 * mib) / 65536))
  await "n1 does not say that it waits for a proof" waits_for_proof 1 3
  all_see 1 2
  start_witness 1 2
  start_fio 1 2
  start_fio 2 2
  end_fio 1 2
  ask 2 confirm-dead --yes n3 || fail "confirm-dead failed"
  idle 1 2
  # before n3 is back, which would see to that itself
  cmp --bytes=262144 --ignore-initial=$(($(data_offset) + 25 * mib)) "${disks[@]}" ||
    fail "what n3 wrote last was not resynced by the others"
  heard_out 1 3
  rm fence-fails
  start 3
  active 3
  for i in 1 2; do end_witness "$i" 0; done
  heard_out 3 1 2 3
  end_well 1 2 3
}

assembles() { ask "$1" assemble "$array" 2>/dev/null; }
# Nobody is there who could know that a node stops: it stops, and they learn it later.
story_stop_alone() {
  with_fence
  begin 3
  touch fence-fails
  head -c 4M /dev/urandom >data
  nbdcopy data "$(uri_of 1)" || fail "nbdcopy failed"
  kill_node 3 # whose death nobody proves
  await "n1 does not say that it waits for a proof" waits_for_proof 1 3
  await "the array does not say for whom it waits" \
    says 1 "$the_array | .waits" "proof of death of n3"
  timeout 30 mdcluster stop --run-dir="$here_is/n2/run" "$array" ||
    fail "a stop beside an unproven death ends with $?"
  await "n2 has its array still" says 2 "$the_array | .state" down
  kill_node 2 # and no quorum is left
  await "n1 has a quorum" says 1 .is_quorate false
  timeout 30 mdcluster stop --run-dir="$here_is/n1/run" "$array" ||
    fail "a stop without quorum ends with $?"
  says 1 "$the_array | \"\(.state) \(.waits)\"" "leaving quorum, to leave the lockspace" ||
    fail "n1 says $(tells 1 "$the_array | .state + \" \" + .waits")"
  [ ! -e "$(socket_of 1)" ] || fail "n1 takes clients still"
  if ls -l "/proc/$(engine_of 1)/fd" | grep -qF "${disks[0]}"; then
    fail "n1 has the disks open still"
  fi
  ! ask 1 assemble "$array" 2>refused || fail "n1 assembles what it has not left"
  grep -q "waits for quorum" refused || fail "n1 says: $(cat refused)"
  rm fence-fails
  start 2 3
  active 2 3
  await "n1 does not assemble it again" assembles 1 # when it has left
  active 1
  idle 1 2 3
  nbdcopy "$(uri_of 3)" copy || fail "nbdcopy from n3 failed"
  cmp --bytes=4194304 data copy || fail "n3 does not see what n1 wrote"
  rm copy
  end_well 1 2 3
}

# A node stands still for three tokens, then goes on as if nothing had been.
story_stopped() {
  local engine
  without_fence
  begin 3
  start_witness 1 2 3
  sleep 0.5
  engine=$(engine_of 2)
  kill -STOP "$engine"
  sleep "$((3 * token_ms / 1000))"
  kill -CONT "$engine"
  start_fio 1 2
  start_fio 3 2
  end_fio 1 3
  active 1 2 3
  idle 1 2 3
  start_fio 2 1
  end_fio 2
  for i in 1 2 3; do end_witness "$i" 0; done
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  end_well 1 2 3
}

# A cable is pulled: who is alone must not write; put back, he goes on where he was.
is_shut() { says "$1" "$the_array | .is_gate_open" false; }
story_cut() {
  without_fence
  begin 3
  start_witness 1 2 3
  sleep 0.5
  unplug 3
  await "n3 is alone, and its gate is open" is_shut 3
  await "n1 does not miss n3" knows_gone 1 3
  start_fio 1 2
  start_fio 2 2
  end_fio 1 2
  plug 3
  active 1 2 3
  idle 1 2 3
  for i in 1 2 3; do end_witness "$i" 0; done
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  end_well 1 2 3
}

# Cut off, proven dead, and then there again: what it had in flight must not matter any more.
story_cut_and_fenced() {
  with_fence
  begin 3
  start_witness 1 2 3
  sleep 0.5
  unplug 3
  await "n3 is not fenced" is_fenced 3
  end_witness 3 3
  idle 1 2
  heard_out 2 3
  plug 3
  reap 3 || :
  start 3
  active 3
  for i in 1 2; do end_witness "$i" 0; done
  heard_out 3 1 2 3
  end_well 1 2 3
}

# A machine sleeps under load for longer than its lease, and than a disk may take; and when it
# goes on, the token that waited for it is there, and the others are not. That is no reason to
# write, nor that nobody took what its disks had done one to fail them. What it was about to give
# its disks when it was stopped, at most what they gather, goes there still: no process can help
# that. A lease renewed by that token is good for megabytes.
gathered=$((256 * 1024))
changed() { cmp -l "${disks[$1]}" "before.$1" | head -n $((gathered + 1)) | wc -l || :; }
story_standstill() {
  local engine i
  without_fence
  begin 3
  start_witness 2
  start_fio 2 2
  sleep 1
  engine=$(engine_of 2)
  kill -STOP "${supervisor[2]}" "$engine"
  sleep 0.2 # the token comes, and nothing yet of what they do without us
  unplug 2
  sleep 33
  for i in 0 1; do cp --sparse=always "${disks[$i]}" "before.$i"; done
  kill -CONT "${supervisor[2]}" "$engine"
  await "n2 is alone, and its gate is open" is_shut 2
  sleep 0.5
  for i in 0 1; do
    [ "$(changed "$i")" -le "$gathered" ] ||
      { complain; fail "n2 wrote by what it had heard before it stood still"; }
    rm "before.$i"
  done
  plug 2
  active 1 2 3
  end_fio 2
  end_witness 2 0
  ! grep -q "disk_failed" n?/log || fail "a disk failed: $(grep disk_failed n?/log)"
  heard_out 1 2
  end_well 1 2 3
}

answers() { ask "$1" status --json >/dev/null 2>&1 || [ $? -lt 4 ]; }

waits_for() { # NODE WHOM
  says "$1" "$the_array | .waits | sub(\",.*\"; \"\")" "proof of death of n$2"
}

# The whole cluster dies under load, and comes back in every order. Two of three are a quorum,
# and touch nothing while the third may live: it comes, or somebody says that it is dead.
story_orders() {
  local order i by_word=
  without_fence
  begin 3
  for order in "1 2 3" "1 3 2" "2 1 3" "2 3 1" "3 1 2" "3 2 1"; do
    # shellcheck disable=SC2086
    set -- $order
    start_witness 1 2 3
    sleep 0.7
    for i in 1 2 3; do kill_node "$i"; done
    for i in 1 2 3; do end_witness "$i" 3; done
    start "$1"
    await "n$1 does not answer" answers "$1"
    start "$2"
    await "n$1 does not wait for n$3" waits_for "$1" "$3"
    await "n$2 does not wait for n$3" waits_for "$2" "$3"
    if [ "$by_word" ]; then
      ask "$1" confirm-dead --yes "n$3" || fail "confirm-dead failed"
      active "$1" "$2"
      heard_out "$2" 1 2 3
      by_word=
    else
      by_word=next
    fi
    start "$3"
    active "$1" "$2" "$3"
    idle 1 2 3
    heard_out "$3" 1 2 3
    echo "in the order $order"
  done
  end_well 1 2 3
}

resyncs() { says "$1" "$the_array | .activity" resync; }
one_resyncs() {
  local i
  for i in 1 3; do resyncs "$i" && resyncer=$i && return; done
  return 1
}

# Who resyncs for a dead node leaves: another finishes what is left.
story_handover() {
  local resyncer other
  without_fence
  begin 3
  for i in 1 2 3; do ask "$i" set "$array" resync-max=512K || fail "set failed"; done
  start_witness 2
  sleep 1.5
  kill_node 2
  end_witness 2 3
  start 2
  await "nobody resyncs" one_resyncs
  ask "$resyncer" stop "$array" || fail "n$resyncer does not stop its array"
  other=$((4 - resyncer))
  await "n$other does not go on" resyncs "$other"
  ask "$other" set "$array" resync-max=200M || fail "set failed"
  idle "$other"
  heard_out "$other" 2
  ask "$resyncer" assemble "$array" || fail "n$resyncer does not come back"
  active 1 2 3
  end_well 1 2 3
}

story_eight() {
  local i old
  with_fence
  begin 8
  start_witness 1 2 3 4 5 6 7 8
  for i in 2 4 6; do start_fio "$i" 4; done
  sleep 1
  old=$(engine_of 7)
  kill_engine 7
  kill_node 8
  end_witness 7 3
  end_witness 8 3
  await "n8 is not fenced" is_fenced 8
  await "n7 has no new engine" is_another 7 "$old"
  active 7
  end_fio 2 4 6
  heard_out 1 7 8
  start 8
  active 8
  for i in 1 2 3 4 5 6; do end_witness "$i" 0; done
  for i in 1 8; do heard_out "$i" 1 2 3 4 5 6 7 8; done
  end_well 1 2 3 4 5 6 7 8
}

# No room for the state: that it died is told all the same, and the others go on; it cannot come
# back, says why, and does when there is.
says_full() { grep -qi "no space left" "n2/log"; }
story_full() {
  without_fence
  cluster 3
  mkdir -m 755 n2/state
  mount -t tmpfs -o size=64k,mode=755 tmpfs n2/state
  start 1 2 3
  active 1 2 3
  start_witness 1 2 3
  dd if=/dev/zero of=n2/state/filler bs=4k status=none 2>/dev/null || :
  sleep 0.5
  kill_engine 2
  end_witness 2 3
  await "n1 does not know that n2 is dead" knows_dead 1 2
  await "n2 does not say that there is no room" says_full
  start_fio 1 2
  start_fio 3 2
  end_fio 1 3
  idle 1 3
  heard_out 1 2
  rm n2/state/filler
  active 2
  for i in 1 3; do end_witness "$i" 0; done
  heard_out 2 1 2 3
  end_well 1 2 3
  umount n2/state
}

# slow_disk BYTES: the second disk becomes a loop device that takes as many a second from all
# that is started here from now on. Not everywhere: containers may have no cgroups of their own.
slow_file= no_limit=
slow_disk() {
  local device number file limit
  device=$(losetup --find --show "${disks[1]}" 2>/dev/null) || return 1
  loops+=("$device")
  number=$((0x$(stat -c %t "$device"))):$((0x$(stat -c %T "$device")))
  for file in blkio/NAME/blkio.throttle.write_bps_device NAME/io.max; do
    slow_file=/sys/fs/cgroup/${file/NAME/$(basename "$tmp")}
    limit="$number $1" no_limit="$number 0"
    [ "${file##*/}" != io.max ] || limit="$number wbps=$1" no_limit="$number wbps=max"
    mkdir "${slow_file%/*}" 2>/dev/null || continue
    if { echo "$limit" >"$slow_file"; } 2>/dev/null; then
      echo $$ >"${slow_file%/*}/cgroup.procs"
      disks[1]=$device
      return 0
    fi
    rmdir "${slow_file%/*}"
  done
  slow_file=
  return 1
}
# At full speed, at once; what is in the group goes with its processes.
no_slow_disk() {
  [ -n "$slow_file" ] || return 0
  echo "$no_limit" >"$slow_file"
  echo $$ >"${slow_file%/*/*}/cgroup.procs"
}
end_slow_disk() {
  no_slow_disk
  [ -z "$slow_file" ] || rmdir "${slow_file%/*}" 2>/dev/null || :
  slow_file=
  disks[1]=$here_is/disk-b
}

# One disk takes seconds where the other takes none: an engine is killed, and a node, whose
# writes to it are still to come. Nothing of them lands on what was resynced, the disk is slow
# and no worse, and nothing is lost.
story_slow() {
  local i old
  with_fence
  cluster 3 # at full speed
  slow_disk $((3 * mib)) || { echo "no disk can be made slow here"; return 0; }
  for i in 1 2 3; do array_config "$i" 3; done
  start 1 2 3
  active 1 2 3
  start_witness 1 2 3
  start_fio 1 5
  sleep 2
  old=$(engine_of 2)
  kill_engine 2
  end_witness 2 3
  is_back 2 "$old"
  kill_node 3
  end_witness 3 3
  await "n3 is not fenced" is_fenced 3
  active 1 2
  end_fio 1
  idle 1 2
  heard_out 1 2 3
  heard_out 2 2 3
  start 3
  active 3
  end_witness 1 0
  heard_out 3 1 2 3
  ! grep -q "disk_failed" n?/log || fail "it is slow, and was failed: $(grep disk_failed n?/log)"
  no_slow_disk
  end_well 1 2 3
  end_slow_disk
}

# Two engines at once, one of them that of the node which would fence: they come back in no time,
# and the one that is back must not be fenced for what it was before.
story_not_fenced() {
  local old
  with_fence
  fencing="${fencing/delay_ms = 300/delay_ms = 2000}"
  begin 3
  for _ in 1 2 3; do
    old="$(engine_of 1) $(engine_of 2)"
    kill_engine 2
    kill_engine 1
    await "n1 has no new engine" is_another 1 "${old% *}"
    await "n2 has no new engine" is_another 2 "${old#* }"
    active 1 2 3
    sleep 2.5
    [ ! -e fenced ] || { complain; fail "fenced though all are there: $(cat fenced)"; }
  done
  end_well 1 2 3
}

# --- disks that come and go ---------------------------------------------------------------

# has_disks I N: so many are in sync, as I sees it
has_disks() { says "$1" "$the_array | .disks_in_sync" "$2"; }
# disk_is I DISK STATE: "" where it is none of the array's
disk_is() { says "$1" "$the_array | [.disks[] | select(.path == \"$2\") | .state] | join(\" \")" "$3"; }
# changes I COMMAND...: it is done within a time that a person waits
changes() {
  timeout 60 mdcluster "$2" --run-dir="$here_is/n$1/run" "${@:3}" >changed 2>&1 ||
    { complain; fail "n$1: ${*:2}: $?: $(cat changed)"; }
}
begin_disks() { # [PATTERN of n3 [OPTION...]]: a, b in use; c and d are as large, and empty
  local i
  cluster 3 "${@:2}"
  a=$PWD/disk-a b=$PWD/disk-b c=$PWD/disk-c d=$PWD/disk-d
  rm -f "$c" "$d"
  truncate -s "$array_size" "$c" "$d"
  for i in 1 2; do looks_for "$i" "$PWD/disk-*"; done
  looks_for 3 "${1:-$PWD/disk-*}"
  start 1 2 3
  active 1 2 3
}
end_disks() { # DISK...: these are the array's
  disks=("$@")
  end_well 1 2 3
  rm -f "$c" "$d"
  disks=("$a" "$b")
}

# While all write: one fails, is removed, a new one comes; that fails as well, and comes again.
story_disks() {
  local a b c d i
  begin_disks
  head -c 20M /dev/urandom >data
  nbdcopy data "$(uri_of 1)" || fail "nbdcopy failed"
  start_witness 1 2 3
  changes 2 fail "$array" "$b"
  for i in 1 2 3; do await "n$i does not know that b failed" has_disks "$i" 1; done
  changes 2 remove "$array" failed
  for i in 1 2 3; do await "n$i has b still" disk_is "$i" "$b" ""; done
  changes 3 add --wait "$array" "$c"
  for i in 1 2 3; do await "n$i does not have c" disk_is "$i" "$c" in_sync; done
  for i in 1 2 3; do end_witness "$i" 0; done
  heard_out 2 1 2 3
  idle 1 2 3
  all_see 1 2 3
  start_witness 1 3
  start_fio 2 3
  changes 1 manage "$array" --fail "$c" --remove "$c"
  end_fio 2
  start_fio 1 3
  changes 2 re-add --wait "$array" "$c"
  grep -q "re-added $c" changed || fail "it was not re-added: $(cat changed)"
  for i in 1 2 3; do await "n$i does not have c again" disk_is "$i" "$c" in_sync; done
  end_fio 1
  for i in 1 3; do end_witness "$i" 0; done
  heard_out 2 1 3
  for i in disk_added disk_removed recovery_started recovery_finished; do
    grep -q "($i)" n?/log || fail "no word of $i in the logs"
  done
  # over a new start of all it is as it was, with the old disk there
  idle 1 2 3
  stop_daemon 1 2 3
  start 1 2 3
  active 1 2 3
  for i in 1 2 3; do await "n$i does not have c after a new start" disk_is "$i" "$c" in_sync; done
  end_disks "$a" "$c"
}

# A spare takes over by itself, and goes on if the node that recovers to it dies.
story_spare() {
  local a b c d i victim
  with_fence
  begin_disks
  changes 1 add "$array" "$c"
  for i in 1 2 3; do await "n$i has no spare" disk_is "$i" "$c" spare; done
  start_witness 1 2 3
  changes 1 set "$array" resync-max=8M resync-min=8M
  changes 2 set "$array" resync-max=8M resync-min=8M
  changes 3 set "$array" resync-max=8M resync-min=8M
  changes 2 fail "$array" 1
  await "n1 does not know of a rebuild" disk_is 1 "$c" rebuild
  for ((i = 0; i < 600; i++)); do
    for victim in 1 2 3; do
      [ "$(tells "$victim" "$the_array | .activity")" != recovery ] || break 2
    done
    sleep 0.1
  done
  [ "$i" -lt 600 ] || { complain; fail "nobody recovers"; }
  kill_node "$victim"
  end_witness "$victim" 3
  await "n$victim is not fenced" is_fenced "$victim"
  for i in 1 2 3; do
    [ "$i" = "$victim" ] && continue
    ask "$i" set "$array" resync-max=1000M resync-min=1000M || fail "set on n$i failed"
    await "n$i does not have c" disk_is "$i" "$c" in_sync
  done
  start "$victim"
  active "$victim"
  for i in 1 2 3; do [ "$i" = "$victim" ] || end_witness "$i" 0; done
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  changes 1 remove "$array" failed
  end_disks "$a" "$c"
}

# slowly | fast NODE...: what they rebuild
slowly() { local i; for i; do changes "$i" set "$array" resync-max=8M resync-min=8M; done; }
fast() { local i; for i; do changes "$i" set "$array" resync-max=1000M resync-min=1000M; done; }
# copies_are I N: active disks, as I sees it
copies_are() { says "$1" "$the_array | .raid_disks" "$2"; }
# who_rebuilds VARIABLE NODE...: which of them does
who_rebuilds() {
  local -n who=$1
  local i
  for i in "${@:2}"; do
    [ "$(tells "$i" "$the_array | .activity")" != recovery ] || { who=$i; return 0; }
  done
  return 1
}

# A disk that works is replaced while all write: whoever does it is killed, and so is the node that
# rebuilds. At no time are there fewer than two copies in sync.
story_replace() {
  local a b c d i victim replacing other
  with_fence
  begin_disks
  head -c 20M /dev/urandom >data
  nbdcopy data "$(uri_of 1)" || fail "nbdcopy failed"
  start_witness 1 2 3
  slowly 1 2 3
  mdcluster replace --run-dir="$here_is/n1/run" "$array" "$b" --with "$c" >replaced 2>&1 &
  replacing=$!
  for i in 1 2 3; do await "n$i has no copy more" copies_are "$i" 3; done
  await "nobody recovers" who_rebuilds victim 1 2 3
  kill -KILL $replacing
  wait $replacing || :
  # who does not say what it is about is not believed
  # shellcheck disable=SC2251
  ! ask 2 replace "$array" "$b" 2>why || fail "it goes on with what nobody named"
  grep -q "If it shall replace $b: mdcluster replace" why || fail "how to go on: $(cat why)"
  kill_node "$victim"
  end_witness "$victim" 3
  other=$((victim % 3 + 1))
  mdcluster replace --run-dir="$here_is/n$other/run" "$array" "$b" --with "$c" >replaced 2>&1 &
  replacing=$!
  await "n$victim is not fenced" is_fenced "$victim"
  for i in 1 2 3; do
    [ "$i" = "$victim" ] || has_disks "$i" 2 || { complain; fail "n$i has fewer than two copies"; }
  done
  for i in 1 2 3; do [ "$i" = "$victim" ] || fast "$i"; done
  wait $replacing || { complain; fail "replace ends with $?: $(cat replaced)"; }
  grep -q "$b is replaced by $c" replaced || fail "it says: $(cat replaced)"
  changes "$other" replace "$array" "$b" --with "$c" # once more: it has been done
  start "$victim"
  active "$victim"
  for i in 1 2 3; do
    await "n$i has b still" disk_is "$i" "$b" ""
    await "n$i does not have c" disk_is "$i" "$c" in_sync
    await "n$i has a copy more" copies_are "$i" 2
  done
  for i in 1 2 3; do [ "$i" = "$victim" ] || end_witness "$i" 0; done
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  # the new one fails: it is as it was
  start_witness 1 2 3
  slowly 1 2 3
  mdcluster replace --run-dir="$here_is/n3/run" "$array" "$a" --with "$d" >replaced 2>&1 &
  replacing=$!
  await "nobody recovers" who_rebuilds victim 1 2 3
  changes 1 fail "$array" "$d"
  # shellcheck disable=SC2251
  ! wait $replacing || fail "replace ends well, though the new disk has failed"
  grep -q "$d has failed, and $a is in use as it was" replaced || { complain; fail "it says: $(cat replaced)"; }
  for i in 1 2 3; do
    await "n$i has a copy more" copies_are "$i" 2
    await "n$i does not have a" disk_is "$i" "$a" in_sync
    await "n$i has d still" disk_is "$i" "$d" ""
  done
  # once more, by its spare; the old one fails meanwhile by itself
  changes 3 add --spare "$array" "$d"
  mdcluster replace --run-dir="$here_is/n2/run" "$array" "$a" >replaced 2>&1 &
  replacing=$!
  await "nobody recovers" who_rebuilds victim 1 2 3
  changes 3 fail "$array" "$a"
  fast 1 2 3
  wait $replacing || { complain; fail "replace ends with $?: $(cat replaced)"; }
  for i in 1 2 3; do
    await "n$i has a still" disk_is "$i" "$a" ""
    await "n$i does not have d" disk_is "$i" "$d" in_sync
    copies_are "$i" 2 || { complain; fail "n$i has a copy more"; }
    end_witness "$i" 0
  done
  heard_out 1 1 2 3
  # and by what was there before; each time somebody else begins, who is killed soon
  start_witness 1 2 3
  for ((i = 0; i < 100; i++)); do
    timeout -s KILL "0.$((RANDOM % 8 + 1))" mdcluster replace --run-dir="$here_is/n$((i % 3 + 1))/run" \
      "$array" "$c" --with "$b" >replaced 2>&1 && break
    has_disks 1 1 && fail "there is one copy"
  done
  [ "$i" -lt 100 ] || { complain; fail "replace does not end: $(cat replaced)"; }
  echo "replaced at try $((i + 1))"
  for i in 1 2 3; do
    await "n$i has c still" disk_is "$i" "$c" ""
    await "n$i does not have b" disk_is "$i" "$b" in_sync
    copies_are "$i" 2 || { complain; fail "n$i has a copy more"; }
    end_witness "$i" 0
  done
  heard_out 2 1 2 3
  end_disks "$b" "$d"
}

# A raid10 cannot have a copy more: not without a word, and then by its spare.
story_replace_raid10() {
  local a b c d i
  begin_disks "$PWD/disk-*" --level=10
  start_witness 1 2 3
  # shellcheck disable=SC2251
  ! ask 1 replace "$array" "$b" --with "$c" 2>why || fail "a raid10 is reshaped"
  grep -q "with --force $b is failed first" why || fail "why not: $(cat why)"
  for i in 1 2 3; do has_disks "$i" 2 || fail "n$i has lost a disk"; done
  changes 1 replace --force --yes "$array" "$b" --with "$c"
  for i in 1 2 3; do
    await "n$i has b still" disk_is "$i" "$b" ""
    await "n$i does not have c" disk_is "$i" "$c" in_sync
    end_witness "$i" 0
  done
  heard_out 2 1 2 3
  end_disks "$a" "$c"
}

# Who does not see it is named, and it is added nowhere; a new disk that holds something is refused.
story_unseen() {
  local a b c d i
  begin_disks "$PWD/disk-[abc]*"
  # shellcheck disable=SC2251
  ! timeout 30 mdcluster add --run-dir="$here_is/n1/run" "$array" "$d" 2>why || fail "n3 does not see it"
  grep -q "$d: is not added: n3 .*cannot find the disk; every node" why || fail "who does not see it: $(cat why)"
  for i in 1 2 3; do disk_is "$i" "$d" "" || { complain; fail "n$i has it all the same"; }; done
  mdcluster examine "$d" >/dev/null 2>&1 && fail "it has a superblock"
  # degraded, too: all is as it was, and once its cable is mended it comes
  changes 2 fail "$array" "$b"
  changes 2 remove "$array" failed
  for i in 1 2 3; do await "n$i has b still" disk_is "$i" "$b" ""; done
  mdcluster examine --json "$a" | jq 'del(.update_time)' >before.unseen
  # shellcheck disable=SC2251
  ! timeout 30 mdcluster add --run-dir="$here_is/n2/run" "$array" "$d" 2>why || fail "n3 does not see it still"
  grep -q "$d: is not added: n3 .*cannot find the disk" why || fail "who does not see it: $(cat why)"
  mdcluster examine --json "$a" | jq 'del(.update_time)' | cmp - before.unseen || fail "a refused disk left something in the superblocks"
  for i in 1 2 3; do disk_is "$i" "$d" "" || { complain; fail "n$i has it all the same"; }; done
  ln -s disk-d disk-c.mended
  changes 2 add --wait "$array" "$d"
  has_both() { has_disks "$1" 2; }
  for i in 1 2 3; do await "n$i does not have d" has_both "$i"; done
  changes 1 fail "$array" "$d"
  changes 1 remove "$array" failed
  rm disk-c.mended
  changes 1 re-add --wait "$array" "$b"
  for i in 1 2 3; do await "n$i does not have b" has_both "$i"; done
  mkfs.ext4 -q -F "$c" 2>/dev/null || fail "mkfs.ext4 failed"
  # shellcheck disable=SC2251
  ! ask 2 add "$array" "$c" 2>why || fail "a file system is overwritten"
  grep -q "ext4" why || fail "what it holds: $(cat why)"
  changes 2 add --force "$array" "$c"
  for i in 1 2 3; do await "n$i has no spare" disk_is "$i" "$c" spare; done
  # shellcheck disable=SC2251
  ! ask 2 add "$array" "$c" 2>why || fail "it is added twice"
  # shellcheck disable=SC2251
  ! ask 2 remove "$array" 0 2>why || fail "a disk in use is removed"
  grep -q "fail it first" why || fail "why not: $(cat why)"
  # shellcheck disable=SC2251
  ! ask 2 re-add "$array" "$d" 2>why || fail "what was never a member is re-added"
  changes 1 remove "$array" detached failed # none is, and that is fine
  for i in 1 2 3; do disk_is "$i" "$c" spare || fail "n$i has lost its spare"; done
  rm "$c"
  changes 3 remove "$array" detached
  for i in 1 2 3; do await "n$i has c still" disk_is "$i" "$c" ""; done
  end_disks "$a" "$b"
}

# told I DISK VERDICT: what n I's daemon makes of a disk that is there
told() {
  expect_equal "verdict of n$1 on $2" "$3" \
    "$(mdcluster incremental --json --run-dir="$here_is/n$1/run" "$2" | jq -r .verdict)"
}

# A disk's cable is out, and in again, while all write: it comes back by itself, once. What a person
# has failed does not.
story_back() {
  local a b c d i was=$array_options
  array_options="${array_options:+$array_options; }auto_re_add = yes"
  begin_disks
  array_options=$was
  start_witness 1 2 3
  changes 1 fail "$array" "$b"
  for i in 1 2 3; do
    await "n$i does not know that b failed" has_disks "$i" 1
    told "$i" "$b" active
  done
  changes 1 re-add --wait "$array" "$b"
  for i in 1 2 3; do await "n$i does not have b again" disk_is "$i" "$b" in_sync; done
  mv "$b" "$b.out"
  for i in 1 2; do ask "$i" incremental --fail --quiet "$b" || [ $? = 3 ] || fail "n$i is not told"; done
  for i in 1 2 3; do await "n$i does not know that b is gone" has_disks "$i" 1; done
  told 3 "$a" active
  for i in 1 3; do end_witness "$i" 0; done
  start_witness 1 3 # what is written now b does not have
  mv "$b.out" "$b"
  for i in 1 2; do told "$i" "$b" re-adds; done
  told 3 "$b" active # it was never gone there
  for i in 1 2 3; do await "n$i does not have b by itself" disk_is "$i" "$b" in_sync; done
  expect_equal "it was re-added by itself" 1 "$(cat n?/log | grep -c MDC5891)"
  told 1 "$b" active
  for i in 1 2 3; do end_witness "$i" 0; done
  heard_out 2 1 3
  end_disks "$a" "$b"
}

# is_back I ENGINE: a new engine, by its supervisor; or, where the machine was so slow that it was
# fenced before that, by us.
has_gone_on() { is_another "$1" "$2" || ! kill -0 "${supervisor[$1]}" 2>/dev/null; }
is_back() {
  await "n$1 has no new engine" has_gone_on "$1" "$2"
  kill -0 "${supervisor[$1]}" 2>/dev/null || start "$1"
}

# Engines and nodes at random moments, under witnesses and fio.
story_random() {
  local rounds=${ARRAY_ROUNDS:-5} round i victim second old kind
  with_fence
  fencing="${fencing/delay_ms = 300/delay_ms = 1500}"
  begin 3
  echo "RANDOM=${ARRAY_SEED:=$RANDOM}"
  RANDOM=$ARRAY_SEED
  for ((round = 1; round <= rounds; round++)); do
    rm -f fenced
    victim=$((RANDOM % 3 + 1)) second=0
    kind=$((RANDOM % 4))
    start_witness 1 2 3
    for i in 1 2 3; do [ "$i" = "$victim" ] || [ "$kind" = 3 ] || start_fio "$i" 3; done
    sleep "0.$((RANDOM % 900 + 100))"
    case $kind in
    0 | 1)
      echo "round $round: the engine of n$victim"
      old=$(engine_of "$victim")
      kill_engine "$victim"
      is_back "$victim" "$old"
      ;;
    2)
      echo "round $round: all of n$victim"
      kill_node "$victim"
      await "n$victim is not fenced" is_fenced "$victim"
      start "$victim"
      ;;
    3)
      second=$((victim % 3 + 1))
      echo "round $round: the engines of n$victim and n$second"
      old="$(engine_of "$victim") $(engine_of "$second")"
      kill_engine "$victim"
      sleep "0.0$((RANDOM % 90))"
      kill_engine "$second"
      is_back "$victim" "${old% *}"
      is_back "$second" "${old#* }"
      ;;
    esac
    for i in 1 2 3; do
      if [ "$i" = "$victim" ] || [ "$i" = "$second" ]; then end_witness "$i" 3; fi
    done
    active 1 2 3
    for i in 1 2 3; do
      [ -z "${fio_of[$i]:-}" ] || end_fio "$i"
      unset "fio_of[$i]"
      [ "$i" = "$victim" ] || [ "$i" = "$second" ] || end_witness "$i" 0
    done
    idle 1 2 3
    for i in 1 2 3; do heard_out "$i" 1 2 3; done
  done
  end_well 1 2 3
}

all_stories=(quiet alone engine node corosync hung hung_end unproven stop_alone stopped standstill cut cut_and_fenced orders not_fenced handover disks spare replace replace_raid10 unseen back eight full slow random)
node_network 8
for s in ${stories:-"${all_stories[@]}"}; do
  echo "--- $s (at $SECONDS s)"
  "story_$s"
  rm -f journal.* fio.* witness.* data
done
