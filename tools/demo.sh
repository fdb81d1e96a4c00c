#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What this project does, as a story in under two minutes: three nodes in network
# namespaces, two disks that are files, one mirror. All nodes write; an engine is killed,
# then a whole node; nothing that was acknowledged is lost, and mdadm agrees in the end.
#
#	sudo ./quickstart demo [--keep]
#
# Nothing of this machine is touched but a folder in TMPDIR, which goes away at the end.
# --keep leaves the cluster running, and says how to talk to it and how to end it. The exit
# status is 0 only if all was as it should be.
set -euo pipefail

# no WHAT HINT: cannot be shown here
no() {
  printf 'demo: %s: %s\n' "$1" "$2" >&2
  exit 1
}

keep=
case ${1-} in
'') ;;
--keep) keep=1 ;;
*) no "'$1'" "the one option is --keep" ;;
esac
[ "$(id -u)" = 0 ] || no "you are not root" "network namespaces want that: sudo ./quickstart demo"
for tool in ip unshare setpriv fio nbdcopy jq flock losetup; do
  command -v "$tool" >/dev/null || no "there is no $tool" "sudo ./quickstart demo installs it"
done
command -v mdadm >/dev/null || no "there is no mdadm" "it shall have the last word: apt-get install mdadm"

srcdir=${srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
builddir=${builddir:-$srcdir/build}
[ -x "$builddir/mdclusterd/mdclusterd" ] || no "mdclusterd is not built" "./quickstart build"
export srcdir builddir PATH="$builddir:$PATH:/usr/sbin:/sbin"

if [ -z "${DEMO_INSIDE:-}" ]; then
  unshare --net --mount true 2>/dev/null ||
    no "no network namespaces are to be had" "in a container, start it with --privileged"
  DEMO_INSIDE=1 exec unshare --net --mount bash "${BASH_SOURCE[0]}" "$@"
fi
ip link set lo up

folder=$(mktemp -d "${TMPDIR:-/tmp}/mdcluster-demo.XXXXXX")
cd "$folder"
array=web array_size=256M slots=4
cluster_name=demo
array_options="resync_min = 12M; resync_max = 12M"
fencing="methods = {\"obituary\", \"command\"}; command = $folder/fence; delay_ms = 1500"
patience_s=60
# shellcheck source=tests/cli/array-functions.sh
. "$srcdir/tests/cli/array-functions.sh"

clients=()
keeper=
cleanup() {
  trap '' INT TERM
  [ ${#clients[@]} = 0 ] || kill -KILL "${clients[@]}" 2>/dev/null || :
  [ -z "$keeper" ] || kill -KILL "$keeper" 2>/dev/null || :
  end_daemons
  cd /
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
fail() {
  printf '\ndemo: this is not as it should be: %s\n' "$*" >&2
  exit 1
}

# --- telling -------------------------------------------------------------------------------

bold='' plain='' dim=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi
act() { printf '\n%s=== %s %s(%d s)%s\n' "$bold" "$1" "$dim" "$SECONDS" "$plain"; }
say() { printf '\n'; printf '# %s\n' "$@"; }
typed() { printf '%s%s%s\n' "$bold" "${*//$folder\//}" "$plain"; }
show() { # COMMAND...: here
  typed "\$ $*"
  "$@"
}
on() { # I COMMAND...: mdcluster, on node I; it may tell its news by its exit status
  local i=$1
  shift
  typed "n$i\$ $*"
  MDCLUSTER_RUN_DIR=$folder/n$i/run "$@" | sed "s|$folder/||g" || :
}

# clock: now, in us, as events have it
clock() { now=${EPOCHREALTIME/[.,]/}; }

# since US I...: what these nodes tell since then, in milliseconds; what all see is told once
since() {
  local from=$1 i
  shift
  for i; do
    MDCLUSTER_RUN_DIR=$folder/n$i/run mdcluster events --json | jq -r --argjson from "$from" \
      --arg by "n$i" --arg first "$1" 'if type == "array" then .[] else . end |
        select(.time_us >= $from and (.kind | test("gate|suspended|state") | not)) |
        select("n\(.from)" == $by and (("n" + $first == $by) or (.kind | test("slot|resync")))) |
        "\((.time_us - $from) / 1000 | floor)\t\($by)\t\(.text)"'
  done | sort -n | awk -F '\t' '{ printf "  +%5d ms  %s: %s\n", $1, $2, $3 }'
}

# --- clients -----------------------------------------------------------------------------------

mib=1048576
declare -A fio_of=() witness_of=()
# Who loses its server may complain for ever: fio dies of what it has to say (ulimit, KiB), and
# the shell around it, which goes with nobody's word, keeps that to itself.
start_fio() { # I SECONDS
  (
    ulimit -f 10240
    setpriv --pdeathsig KILL fio --name="n$1" --ioengine=nbd --uri="$(uri_of "$1")" --rw=randwrite --bs=4k --iodepth=8 \
      --offset=$((96 + ($1 - 1) * 40))M --size=24M --verify=crc32c --verify_fatal=1 \
      --verify_backlog=64 --time_based --runtime="$2" --thread --rate_iops=1500 \
      --output="fio.$1" >/dev/null 2>&1
    exit $?
  ) 2>/dev/null &
  fio_of[$1]=$!
  clients+=("${fio_of[$1]}")
}
# Its server is gone: fio may fail, or not find out.
end_fio() {
  kill -KILL "${fio_of[$1]}" 2>/dev/null || :
  wait "${fio_of[$1]}" 2>/dev/null || :
}
start_witness() { # I
  "$builddir/nbd-witness" write "journal.$1" "$(socket_of "$1")" "$array" \
    $(((120 + ($1 - 1) * 40) * mib)) $((8 * mib)) 1 2>"witness.$1" &
  witness_of[$1]=$!
  clients+=("${witness_of[$1]}")
}
end_witness() { # I SIGNAL-OR-NOTHING CODE
  local code=0
  [ -z "$2" ] || kill "-$2" "${witness_of[$1]}"
  wait "${witness_of[$1]}" || code=$?
  [ "$code" = "$3" ] || fail "the witness on n$1 ended with $code: $(cat "witness.$1")"
}
heard_on() { # BY I: what I's witness was promised, read on BY
  typed "n$1\$ nbd-witness check journal.$2 n$1/run/web.nbd web"
  "$builddir/nbd-witness" check "journal.$2" "$(socket_of "$1")" "$array" ||
    fail "what was acknowledged on n$2 is lost"
}

# recovery_on I: its status every now and then, until all is well again
recovery_on() {
  local shots=0
  while ! is_idle "$1"; do
    if [ $((shots++ % 3)) = 0 ] && [ "$shots" -lt 12 ]; then on "$1" mdcluster status; fi
    sleep 0.2
    [ "$shots" -lt 300 ] || fail "the recovery does not end"
  done
  on "$1" mdcluster status
}

# leave_running: with a process that keeps the namespaces, and scripts that enter and end them
leave_running() {
  local i
  setsid sleep infinity </dev/null >/dev/null 2>&1 &
  keeper=$!
  cat >start <<END
#!/bin/bash
# start I: the daemon of node I, again
exec nsenter --target=$keeper --net --mount ip netns exec "n\$1" \\
  "$mdclusterd" --config="$folder/n\$1/conf" </dev/null >>"$folder/n\$1/log" 2>&1 &
END
  cat >end <<END
#!/bin/bash
# ends what belongs to this folder, and removes it
for process in /proc/[0-9]*; do
  tr '\\0' ' ' 2>/dev/null <"\$process/cmdline" | grep -q "mdclusterd .*config[ =]$folder/n" &&
    kill -KILL "\${process#/proc/}"
done
kill $keeper
rm -rf "$folder"
END
  chmod +x start end
  act "It runs on"
  cat <<END

  export PATH=$builddir:\$PATH
  mdcluster status --watch --run-dir=$folder/n1/run
      (n2, n3; nodes, doctor, locks, detail web, events --follow)
  nbdinfo '$(uri_of 2)'
      (nbdcopy, fio, qemu-io, nbdfuse: the same address)
  ls $folder/n1
      (conf, log, run, state)
  kill -9 $(engine_of 1)
      (n1's engine; it comes back. $folder/start 1 starts a node that you killed as a whole)
  nsenter --target=$keeper --net --mount
      (where the nodes' network is: ip netns exec n1 ..., ip link set port3 down)
  $folder/end
      (ends it, and removes all)
END
  trap - EXIT
  for i in "${!supervisor[@]}"; do disown "${supervisor[$i]}"; done
  disown "$keeper"
  exit 0
}

# --- 1 -------------------------------------------------------------------------------------------

act "1. A mirror that three nodes share"
say "Two disks that all nodes see. Here they are files; else a SAN's, iSCSI's, NVMe-oF's."
node_network 3
fence_script
mdcluster keygen --quiet key
show truncate -s 256M disk-a disk-b
show mdcluster create web disk-a disk-b --level=mirror --raid-devices=2 --nodes=4 \
  --home-cluster=demo --bitmap-chunk=64K --assume-clean --homehost=none
say "Each node has a daemon. Its configuration is the same on all, but for the paths:"
for i in 1 2 3; do array_config "$i" 3; done
typed "\$ cat n1/conf"
sed "s|$folder/||g" n1/conf
say "Three machines, as far as the network goes. A daemon assembles what is configured."
for i in 1 2 3; do typed "n$i\$ mdclusterd --config=n$i/conf &"; done
start 1 2 3
active 1 2 3
for i in 1 2 3; do on "$i" mdcluster assemble web; done
on 1 mdcluster status

# --- 2 ---------------------------------------------------------------------------------------------

act "2. Data comes in on one node, and is there on the others"
tar -cf data --ignore-failed-read -C / usr/include 2>/dev/null || :
truncate -s "$((($(stat -c %s data) < 64 * mib ? $(stat -c %s data) : 64 * mib) / 4096 * 4096))" data
say "Clients use NBD: qemu, nbdfuse, nbd-client, nbdcopy. This one copies a tar file in, on n1."
show nbdcopy data "$(uri_of 1)" || fail "nbdcopy failed"
say "And n3 has it: there is one array, and no copy of it."
typed "n3\$ nbdcopy $(uri_of 3) - | cmp data -"
nbdcopy "$(uri_of 3)" copy || fail "nbdcopy failed"
cmp --bytes="$(stat -c %s data)" data copy || fail "n3 reads something else"
rm copy
echo "equal: $(stat -c %s data) bytes, sha256 $(sha256sum data | cut -c 1-16)..."

# --- 3 ---------------------------------------------------------------------------------------------

act "3. All three write at once"
say "fio on each node, in a part of its own, reads back and verifies what it writes." \
  "Beside it a witness writes down each write that was acknowledged: for who dies."
for i in 1 2 3; do
  typed "n$i\$ fio --ioengine=nbd --uri=$(uri_of "$i") --rw=randwrite --bs=4k --verify=crc32c ... &"
  start_witness "$i"
done
for i in 1 2 3; do start_fio "$i" 25; done
sleep 2
say "Before a chunk of 64 KiB is written its bit is set, in the writer's own slot on both disks." \
  "DIRTY is what would have to be resynced if that node died now; no more than that."
on 1 mdcluster status

# --- 4 ----------------------------------------------------------------------------------------------

act "4. kill -9 of n2's engine"
say "Its supervisor sees it end when its last write to the disks is over, and says so to the" \
  "others. They take over its bits and resync these chunks: at most 12 MiB/s here, so that" \
  "there is something to see. Meanwhile n1 and n3 write on, and a new engine comes up on n2."
old=$(engine_of 2)
typed "n2\$ kill -9 $old"
clock
killed=$now
kill -KILL "$old"
sleep 0.1
recovery_on 1
active 2
end_witness 2 '' 3
say "How it went, in milliseconds since the kill:"
since "$killed" 1 3
say "What n2 had acknowledged before it died, read on n3:"
heard_on 3 2
end_fio 2
start_witness 2
idle 1 2 3

# --- 5 ----------------------------------------------------------------------------------------------

act "5. All of n3 dies: supervisor, engine"
say "Now nobody is left to tell. It may as well be alive, and cut off: so the others wait for a" \
  "proof, and say for what. They write on meanwhile; only its bits stay where they are."
typed "n3\$ kill -9 ${supervisor[3]} $(engine_of 3)"
clock
killed=$now
kill_node 3
end_witness 3 '' 3
await "n1 does not miss n3" knows_gone 1 3
on 1 mdcluster status
say "The proof: our fence command, which is asked by one node. A real one cuts a machine's power;" \
  "this one kills all processes of the node, and succeeds when their last write is over."
await "n3 is not fenced" is_fenced 3
typed "n1\$ ./fence n3 $(cut -d ' ' -f 2- fenced)"
recovery_on 1
idle 1 2
since "$killed" 1 2
say "What n3 had acknowledged, read on n2:"
heard_on 2 3
end_fio 3

# --- 6 ----------------------------------------------------------------------------------------------

act "6. n3 comes back"
typed "n3\$ mdclusterd --config=n3/conf &"
start 3
active 3
start_witness 3
idle 1 2 3
on 3 mdcluster status
say "fio on n1 has written and verified through all of that. It was never told anything."
wait "${fio_of[1]}" || fail "fio on n1: $(cat fio.1)"
grep -E 'write: |err=' fio.1
for i in 1 2 3; do end_witness "$i" TERM 0; done

[ -z "$keep" ] || leave_running

# --- 7 ----------------------------------------------------------------------------------------------

act "7. Stop, and look at the disks"
for i in 1 2 3; do on "$i" mdcluster stop web; done
stop_daemon 1 2 3
say "Both disks, byte by byte: all of the array's data."
typed "\$ cmp --ignore-initial=$(data_offset) --bytes=$(data_bytes) disk-a disk-b && echo equal"
disks_are_equal
echo equal
say "No bit is left in any slot; and mdadm, which wrote this format, sees what we see."
for disk in disk-a disk-b; do
  loop=$(losetup --find --show --read-only "$disk") ||
    no "no loop device is to be had" "mdadm -E and -X want block devices"
  typed "\$ mdadm -E $loop; mdadm -X $loop        # $disk"
  mdadm -E "$loop" | grep -E 'Magic|Array UUID|Raid Level|Array State|Checksum' || :
  mdadm -X "$loop" | grep -E 'Cluster name|Node Slot|Bitmap :' || :
  losetup -d "$loop"
done
slots_are_clear
mdadm_agrees

act "All was as it should be"
cat <<END

An engine and a whole node were killed under load. Nothing acknowledged was lost, both disks
are equal, mdadm agrees. sudo ./quickstart demo --keep leaves such a cluster running to play with.
END
