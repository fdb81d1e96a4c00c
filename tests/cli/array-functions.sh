# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What tests, the benchmark and the curious share who run whole clusters on one machine: N
# daemons, each in a network namespace of its own on one bridge, with its own folder nI
# (configuration, run, state, log), on two disks that are files. Sourced with the working
# folder, and a function fail(), of whoever uses it; as root, with mounts of its own.
#
#	node_network N         of network-functions.sh: hosts, for all that follows
#	cluster N              key, disks, configurations
#	start I...             daemons; they assemble what is configured
#	active I...            until the array is active there, and its gate open
#	idle I...              until nothing resyncs, is recovered, or waits there either
#	ask I COMMAND...       mdcluster, of node I's daemon
#	kill_engine I          SIGKILL, to the engine alone
#	kill_node I            ... and to its supervisor, and corosync: no obituary
#
# With cluster_engine=corosync (MDC_TEST_ENGINE) each node has a corosync beside its daemon, new with
# each cluster, which ends with the daemons.
#
# What can be set before `cluster`: array, array_size, bitmap_chunk, token_ms, slots;
# array_options and fencing, which go into these sections.

array=${array:-web}
array_size=${array_size:-192M}
bitmap_chunk=${bitmap_chunk:-64K}
token_ms=${token_ms:-1000}
slots=${slots:-8}
cluster_name=${cluster_name:-test}
array_options=${array_options:-}
fencing=${fencing:-}
cluster_engine=${cluster_engine:-${MDC_TEST_ENGINE:-totem}}
here_is=$PWD
disks=("$PWD/disk-a" "$PWD/disk-b")
corosync_token=$token_ms
# shellcheck source=tests/cli/corosync-functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/corosync-functions.sh"
declare -A supervisor=() # node -> pid; only these, and their children, are ever ended
declare -A ended=()

# --- disks and configurations ---------------------------------------------------------------

# array_disks [OPTION...]: of `mdcluster create`
array_disks() {
  rm -f "${disks[@]}"
  truncate -s "$array_size" "${disks[@]}"
  mdcluster create "$array" "${disks[@]}" --quiet --level=mirror --raid-devices=2 \
    --nodes="$slots" --home-cluster="$cluster_name" --homehost=none --bitmap-chunk="$bitmap_chunk" \
    --assume-clean "$@" || fail "mdcluster create failed"
}

# array_config I N: of node I, of N
array_config() {
  local i=$1 n=$2 k
  mkdir -p "n$i"
  {
    [ "$cluster_engine" = corosync ] || echo "this_node = n$i"
    echo "run_dir = $here_is/n$i/run"
    echo "state_dir = $here_is/n$i/state"
    if [ "$cluster_engine" = corosync ]; then
      section cluster "engine = corosync"
    else
      section cluster "name = $cluster_name; key_file = $here_is/key"
      for ((k = 1; k <= n; k++)); do section "node n$k" "id = $k; address = $address_prefix.$k"; done
      section totem "token_ms = $token_ms"
    fi
    section "array $array" "disks = {\"${disks[0]}\", \"${disks[1]}\"}; $array_options"
    [ -z "$fencing" ] || section fence "$fencing"
  } >"n$i/conf"
}
# looks_for I PATTERN: where node I looks for the array's disks, by its uuid
looks_for() {
  sed -i "s|^  disks = .*|  disks = {\"$2\"}\n  uuid = $(mdcluster examine --json "${disks[0]}" | jq -r .uuid)|" "n$1/conf"
}
# section NAME "OPTION; OPTION..."
section() {
  echo "$1 {"
  tr ';' '\n' <<<"$2" | sed -n 's/^ *\(..*\)/  \1/p'
  echo "}"
}

# cluster N [OPTION...]: new disks, and N nodes that have never run; OPTIONs of `mdcluster create`
cluster() {
  local n=$1 i
  shift
  [ -e key ] || mdcluster keygen --quiet key
  array_disks "$@"
  rm -rf n[0-9]* fenced
  for ((i = 1; i <= n; i++)); do array_config "$i" "$n"; done
  [ "$cluster_engine" != corosync ] || new_corosync "$n"
}

# One of N nodes; whatever was there before is gone, and knows nothing any more.
new_corosync() {
  local i
  corosync_end_all
  corosync_conf "$1" "$cluster_name"
  for ((i = 1; i <= $1; i++)); do corosync_start "$i"; done
  for ((i = 1; i <= $1; i++)); do await "corosync of n$i" corosync_is_whole "$i" "$1"; done
}

# --- daemons -----------------------------------------------------------------------------------

mdclusterd=${mdclusterd:-${builddir:?}/mdclusterd/mdclusterd}

# launch I: nothing of ours is left open in it
launch() {
  if [ "$cluster_engine" = corosync ] && [ -z "${corosync_of[$1]:-}" ]; then
    corosync_start "$1"
    await "corosync of n$1" corosync_answers "$1"
  fi
  ip netns exec "n$1" "$mdclusterd" --config="$here_is/n$1/conf" </dev/null >>"n$1/log" 2>&1 &
  supervisor[$1]=$!
}

start() {
  local i
  for i; do launch "$i"; done
}

ask() { # I COMMAND...
  local i=$1
  shift
  MDCLUSTER_RUN_DIR=$here_is/n$i/run mdcluster "$@"
}

# tells I JQ: of its status
tells() { ask "$1" status --json 2>/dev/null | jq -r "$2" 2>/dev/null; }
says() { [ "$(tells "$1" "$2")" = "$3" ]; } # I JQ WANTED
socket_of() { echo "$here_is/n$1/run/$array.nbd"; }
uri_of() { echo "nbd+unix:///$array?socket=$(socket_of "$1")"; }

# The engine: the supervisor's child. `return` says 0: in a trap it would say what went before.
engine_of() {
  local stat line words
  for stat in /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    read -ra words <<<"${line##*) }"
    [ "${words[1]}" = "${supervisor[$1]}" ] || continue
    stat=${stat#/proc/}
    echo "${stat%/stat}"
    return 0
  done
}

# is_gone I: both its processes are, and all that they wrote is over
is_gone() { flock --nonblock "n$1/state/lock" true; }

reap() { # I
  wait "${supervisor[$1]}" 2>/dev/null
  ended[$1]=$?
  unset "supervisor[$1]"
}

kill_engine() {
  local pid
  pid=$(engine_of "$1")
  [ -n "$pid" ] || fail "n$1 has no engine to kill"
  kill -KILL "$pid"
}

# The supervisor goes first: it would tell.
kill_node() {
  local pid
  pid=$(engine_of "$1")
  corosync_end "$1" KILL # first: it would tell as well
  kill -KILL "${supervisor[$1]}" ${pid:+"$pid"} 2>/dev/null || :
  reap "$1" || :
  await "n$1 is killed, and somebody holds its lock" is_gone "$1"
}

# stop_daemon I...: in order; they must end well
stop_daemon() {
  local i
  for i; do kill -TERM "${supervisor[$i]}"; done
  for i; do
    reap "$i" || :
    [ "${ended[$i]}" = 0 ] || fail "n$i ended with ${ended[$i]}: $(tail -n 5 "n$i/log")"
  done
}

end_daemons() {
  local i pid
  for i in "${!supervisor[@]}"; do
    pid=$(engine_of "$i")
    kill -KILL "${supervisor[$i]}" ${pid:+"$pid"} 2>/dev/null || :
    reap "$i" || :
    flock --timeout 10 "n$i/state/lock" true 2>/dev/null || :
  done
  corosync_end_all
}

# --- waiting: deadlines are far beyond what it takes ---------------------------------------------

patience_s=${patience_s:-90}

# await WHAT COMMAND...: until it is true
await() {
  local what=$1 until=$((SECONDS + patience_s))
  shift
  while ! "$@"; do
    [ "$SECONDS" -lt "$until" ] || { complain; fail "$what"; }
    sleep 0.05
  done
}

# What a person would look at.
complain() {
  local i
  for i in "${!supervisor[@]}"; do
    echo "--- n$i:"
    timeout 5 mdcluster status --run-dir="$here_is/n$i/run" 2>&1 | head -n 30 || :
    grep -E ": (error|warning|notice): (engine|supervisor):" "n$i/log" | tail -n 12
    tail -n 15 "n$i/log"
  done >&2
}

the_array=".arrays[] | select(.name == \"$array\")"
is_active() { says "$1" "$the_array | \"\\(.state) \\(.is_gate_open)\"" "active true"; }
is_idle() { timeout 2 mdcluster status --run-dir="$here_is/n$1/run" --wait=idle "$array" >/dev/null 2>&1; }
active() {
  local i
  for i; do await "n$i: the array does not become active" is_active "$i"; done
}
# All of these, at one time.
idle() {
  local i
  for i; do await "n$i: the array does not become idle" is_idle "$i"; done
}
# members I NODE...: these are the array's members, as I sees it
has_members() {
  local i=$1
  shift
  says "$i" "$the_array | [.members[] | select(.state == \"active\") | .node] | sort | map(tostring) | join(\" \")" "$*"
}
is_fenced() { grep -q "^n$1 " fenced 2>/dev/null; }
knows_dead() { says "$1" ".nodes[] | select(.id == $2) | .is_dead" true; } # I DEAD
knows_gone() { says "$1" ".nodes[] | select(.id == $2) | .is_member" false; }

# --- fencing -------------------------------------------------------------------------------------

# fence_script: as a machine's power switch does, it ends the node whatever state that is in
fence_script() {
  cat >fence <<END
#!/bin/bash
cd "$here_is" || exit 1
[ ! -e fence-fails ] || { echo "the switch does not answer"; exit 1; }
for process in /proc/[0-9]*; do
  tr '\\0' ' ' 2>/dev/null <"\$process/cmdline" | grep -q "mdclusterd .*config[ =]$here_is/\$1/conf" &&
    kill -KILL "\${process#/proc/}"
done
flock --timeout 30 "\$1/state/lock" true || exit 1
echo "\$1 \$2 \$3" >>fenced
END
  chmod +x fence
}

# --- what is on the disks --------------------------------------------------------------------------

data_offset() { mdcluster examine --json "${disks[0]}" | jq '.data_offset_sectors * 512'; }
data_bytes() { mdcluster examine --json "${disks[0]}" | jq '.size_sectors * 512'; }

# Nobody runs it: both disks have the same data, ...
disks_are_equal() {
  cmp --bytes="$(data_bytes)" --ignore-initial="$(data_offset)" "${disks[@]}" ||
    fail "the disks differ"
}
# ... no bit is set, ...
slots_are_clear() {
  local disk
  for disk in "${disks[@]}"; do
    mdcluster examine-bitmap --json "$disk" >bitmap.json || fail "$disk: examine-bitmap failed"
    [ "$(jq '[.slots[].dirty] | "\(length) \(add)"' bitmap.json)" = "\"$slots 0\"" ] ||
      fail "$disk: dirty bits by slot: $(jq -c '[.slots[].dirty]' bitmap.json)"
  done
}
# ... and mdadm, where it is, and can be asked (it wants block devices), says so as well.
mdadm_agrees() {
  local disk loop said=0
  command -v mdadm >/dev/null || { echo "there is no mdadm to ask"; return 0; }
  for disk in "${disks[@]}"; do
    loop=$(losetup --find --show --read-only "$disk" 2>/dev/null) ||
      { echo "no loop device is to be had: mdadm is not asked"; return 0; }
    mdadm -E "$loop" >mdadm.E 2>&1 || said=1
    mdadm -X "$loop" >mdadm.X 2>&1 || said=1
    losetup -d "$loop"
    grep -q 'Checksum : .* - correct' mdadm.E || said=1
    grep -q "Cluster name : $cluster_name" mdadm.X || said=1
    [ "$(grep -c 'Bitmap : .* 0 dirty' mdadm.X)" = "$slots" ] || said=1
    [ $said = 0 ] || fail "$disk: mdadm does not agree: $(cat mdadm.E mdadm.X)"
  done
}
