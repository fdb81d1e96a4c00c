#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mdcluster status, nodes and doctor: what is well in few words, what is not by name, with
# what it waits for; exit statuses; terminals; waiting; daemons that are not there.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"

# is STATUS CODE WANTED [COMMAND...]: the very text
is()
{
	local name=$1 code=$2 wanted=$3
	shift 3
	[ $# -gt 0 ] || set -- status
	status_is "$name"
	ends_with "$code" mdcluster "$@"
	[ "$out" = "$wanted" ] || {
		diff <(printf '%s\n' "$wanted") <(printf '%s\n' "$out") >&2 || :
		fail "$name: $*"
	}
}

start_daemon healthy

# --- text -------------------------------------------------------------------------
is healthy 0 'cluster alpha  3/3 nodes  quorate  ring 1.17  token 0.21 ms

web  raid1  active  8.00 GiB  [2/2] [UU]  dirty 12.00 MiB  2 clients
  SLOT NODE   STATE  INCARNATION     DIRTY
     0 node1* active           4 12.00 MiB
     1 node2  active           5
     2 node3  active           6'

is degraded 1 'cluster alpha  3/3 nodes  quorate  ring 1.17  token 0.21 ms

web  raid1  active  8.00 GiB  [2/1] [U_]  degraded for 3 min 5 s  dirty 12.00 MiB  2 clients
  disk 1 faulty  /dev/sdb  14 errors
  SLOT NODE   STATE  INCARNATION     DIRTY
     0 node1* active           4 12.00 MiB
     1 node2  active           5
     2 node3  active           6'

is resyncing 1 'cluster alpha  3/3 nodes  quorate  ring 1.17  token 0.21 ms

web  raid1  active  8.00 GiB  [2/2] [UU]  dirty 12.00 MiB  2 clients
  [========>............]  resync = 42.7% (3503/8192 MiB)  finish=16s  speed=311.5MiB/s
  [===============>.....]  resync by node2  at 75.0% (6144/8192 MiB)
  SLOT NODE   STATE   INCARNATION       RESYNCS     DIRTY
     0 node1* resyncs           4 3503-3535 MiB 12.00 MiB
     1 node2  resyncs           5 6144-6176 MiB
     2 node3  active            6'

is no-quorum 2 'cluster alpha  1/3 nodes  NO QUORUM: 1 of 3 votes, 2 are needed  ring 1.19  token 0.21 ms
  node2  missing for 34 s
  node3  missing for 34 s

web  raid1  active  8.00 GiB  [2/2] [UU]  dirty 12.00 MiB  2 clients
  7 requests parked for 33 s  (the gate is shut)
  waits: a quorum: 1 of 3 votes, 2 are needed, 34 s
  SLOT NODE   STATE   INCARNATION SINCE     DIRTY
     0 node1* active            4       12.00 MiB
     1 node2  missing           5  34 s
     2 node3  missing           6  34 s'

is proof 1 'cluster alpha  2/3 nodes  quorate  ring 1.18  token 0.21 ms
  node3  missing for 12 s  waits: proof of death, 12 s: fence agent ipmi, attempt 2

web  raid1  active  8.00 GiB  [2/2] [UU]  dirty 12.00 MiB  2 clients
  all reads come from one disk: others may still differ
  waits: proof of death of node3, 12 s
  SLOT NODE   STATE   INCARNATION SINCE     DIRTY
     0 node1* active            4       12.00 MiB
     1 node2  active            5
     2 node3  missing           6  12 s

logs  raid10  active  8.00 GiB  [4/4] [UUUU]
  all reads come from one disk: others may still differ
  waits: proof of death of node3, 12 s
  SLOT NODE   STATE   INCARNATION SINCE
     0 node1* active            4
     2 node3  missing           6  12 s'

is joining 2 'cluster alpha  3/3 nodes  quorate  ring 1.17  token 0.21 ms

web  raid1  joining  8.00 GiB  [2/2] [UU]
  waits: the lockspace: node2 recovers locks, 3 s'

is no-arrays 0 'cluster alpha  3/3 nodes  quorate  ring 1.17  token 0.21 ms
no arrays on this node'

# one array, with its disks; others do not count
is proof 1 'cluster alpha  2/3 nodes  quorate  ring 1.18  token 0.21 ms
  node3  missing for 12 s  waits: proof of death, 12 s: fence agent ipmi, attempt 2

logs  raid10  active  8.00 GiB  [4/4] [UUUU]
  all reads come from one disk: others may still differ
  waits: proof of death of node3, 12 s
  SLOT NODE   STATE   INCARNATION SINCE
     0 node1* active            4
     2 node3  missing           6  12 s
  ROLE DISK     STATE   READS      READ WRITES   WRITTEN IN FLIGHT
     0 /dev/sdc in_sync  1200 40.00 MiB    800 25.00 MiB         0
     1 /dev/sdd in_sync  1201 40.00 MiB    800 25.00 MiB         1
     2 /dev/sde in_sync  1202 40.00 MiB    800 25.00 MiB         2
     3 /dev/sdf in_sync  1203 40.00 MiB    800 25.00 MiB         3
  served at /run/mdcluster/logs.sock' status logs

is proof 0 '  ID NODE   STATE   SINCE INCARNATION ADDRESS
   1 node1* member    2 h           4 10.0.0.1:5405
   2 node2  member    2 h           5 10.0.0.2:5405
   3 node3  missing  12 s           6 10.0.0.3:5405
  node3  waits: proof of death, 12 s: fence agent ipmi, attempt 2' nodes

for name in /dev/md/web md/web 5c0b0c4b:d6ae0359:f266cacf:72232250; do
	ends_with 1 mdcluster status $name
	says "web  raid1"
done
ends_with 4 mdcluster status shop
says "there is no array 'shop' on this node; there are: web, logs"
status_is degraded '.arrays += [.arrays[0] | .name = "sound" | .disks_in_sync = 2]'
ends_with 0 mdcluster status sound
ends_with 1 mdcluster status

# as md has it: the place of a disk that failed is empty, and the disk has none
status_is degraded '.arrays[0].disks += [.arrays[0].disks[1] | .role = 2] |
	.arrays[0].disks[1] |= (.state = "missing" | .path = "")'
ends_with 1 mdcluster status
says "
  disk faulty  /dev/sdb  14 errors
"
[[ $out != *missing* ]] || fail "one disk is told of twice: $out"

# --- a disk that has come is recovered to -------------------------------------------------
rebuilt='.arrays[0] |= (.member_sectors = 16777216 | .dirty_bytes = 0 |
	.disks[1] |= (.path = "/dev/sdc" | .state = "rebuild" | .errors = 0 | .number = 2 | .recovered_sectors = 4194304))'
status_is degraded "$rebuilt"
ends_with 1 mdcluster status web
says "[2/1] [U_]" "1 /dev/sdc rebuild 25.0%"
ends_with 1 mdcluster status
says "
  disk 1 rebuild  /dev/sdc  recovered up to 25.0%
"
ends_with 1 mdcluster doctor
says "web: /dev/sdc is recovered up to 25.0 %. Nothing to do but wait."
status_is degraded "$rebuilt | .arrays[0].disks[1].is_by_bitmap = true"
ends_with 1 mdcluster status
says "
  disk 1 rebuild  /dev/sdc  gets what it missed
"
ends_with 1 mdcluster doctor
says "web: /dev/sdc gets what it missed. Nothing to do but wait."
# ... here, and by another node
status_is degraded "$rebuilt | .arrays[0] |= (.activity = \"recovery\" | .done_sectors = 8388608 | .total_sectors = 16777216)"
ends_with 1 mdcluster status
says "recovery = 50.0% (4096/8192 MiB)"
status_is degraded "$rebuilt | .arrays[0].members[1] |= (.low_sectors = 4194304 | .high_sectors = 4259840)"
ends_with 1 mdcluster status
says "recovery by node2  at 25.0% (2048/8192 MiB)"
status_is degraded "$rebuilt"
timeout 3 mdcluster status --wait=idle web && fail "it is idle, while a disk is recovered to"

# --- JSON ---------------------------------------------------------------------------
status_is proof
ends_with 1 mdcluster status --json
expect_equal "JSON" "mdcluster/1 degraded web,logs degraded,degraded" "$(jq -r '[.schema, .health,
	([.arrays[].name] | join(",")), ([.arrays[].health] | join(","))] | join(" ")' <<<"$out")"
expect_equal "one array" '["logs"]' "$(mdcluster status -J logs | jq -c '[.arrays[].name]')"
expect_equal "nodes" '[1,2,3]' "$(mdcluster nodes --json | jq -c '[.[].id]')"

# --- doctor -------------------------------------------------------------------------
status_is healthy
ends_with 0 mdcluster doctor
expect_equal "nothing" "nothing is wrong" "$out"
status_is no-quorum
ends_with 2 mdcluster doctor
says "1.  No quorum: this node's part of the cluster has 1 of 3 votes and needs 2" \
	"Not here: node2, node3" "\$ mdcluster quorum"
status_is proof
ends_with 1 mdcluster doctor
says "1.  node3 has not been heard of for 12 s" "\$ mdcluster confirm-dead node3" "Never say it of a node that may write"
status_is degraded
ends_with 1 mdcluster doctor --json
expect_equal "doctor's JSON" "1 smartctl -a /dev/sdb" "$(jq -r '"\(length) \(.[0].command)"' <<<"$out")"

# --- waiting --------------------------------------------------------------------------
status_is healthy
ends_with 0 mdcluster status --wait=idle
ends_with 0 mdcluster status --wait=active web
status_is degraded
ends_with 1 mdcluster status --wait=idle # a failed disk is nothing that ends by itself
# waits_until STATE STATUS [JQ]: not done with STATUS, changed by JQ, and done when it is well
waits_until()
{
	local waiting
	status_is "$2" "${3:-.}"
	mdcluster status --wait="$1" >waited 2>&1 &
	waiting=$!
	# it has looked more than once
	: >"$answers/calls"
	eventually has_lines 3 "$answers/calls"
	[ ! -s waited ] || fail "--wait=$1: shown before it is so: $(cat waited)"
	kill -0 $waiting || fail "--wait=$1 does not wait for the end of: $2"
	status_is healthy
	wait $waiting || fail "--wait=$1: $(cat waited)"
	grep -q "raid1  active" waited || fail "--wait=$1 shows nothing: $(cat waited)"
}
waits_until idle resyncing
waits_until idle proof
for trouble in '.needed_bytes = 4096' '.is_single_source = true' '.waits = "waits: token"' \
	'.activity = "check"' '.members[1].owes_resync = true' '.members[2].state = "recovering"' \
	'.members[2].high_sectors = 8'; do
	waits_until idle healthy ".arrays[0]$trouble"
done
# ... and a spare that will be recovered to
waits_until idle degraded '.arrays[0].disks += [{"path": "/dev/sdc", "state": "spare", "role": 2, "number": 2}]'
# what is owed to a disk that is not there ends when a person adds one: mdadm --wait ends, too
status_is degraded '.arrays[0] |= (.needed_bytes = 4096 | .is_single_source = true | .members[1].owes_resync = true |
	.needs_disk = true | .waits = "waits: a disk to resync to: what is needed stays needed")'
ends_with 1 timeout 3 mdcluster status --wait=idle web
ends_with 1 timeout 3 mdcluster wait web # there was nothing to wait for
waits_until idle degraded '.arrays[0] |= (.members[1].owes_resync = true | .members[2].high_sectors = 8)'
waits_until active joining
waits_until active no-quorum
ends_with 2 mdcluster status --wait=busy
says "wait for 'idle' or 'active'"

# --- terminals --------------------------------------------------------------------------
need script
# on_terminal COLUMNS COMMAND: what a terminal gets; in $out
on_terminal()
{
	local columns=$1
	shift
	out=$(script -qec "stty cols $columns rows 50; $*" /dev/null </dev/null | tr -d '\r') || :
}
escape=$(printf '\033')
status_is proof
on_terminal 60 mdcluster status --no-color
says "cluster alpha  2/3 nodes  quorate  ring 1.18  token 0.21 ms"
[ -z "$(tr -d '\n -~' <<<"$out")" ] || fail "--no-color: $out"
[ "$(wc -L <<<"$out")" -le 60 ] || fail "a line is longer than the terminal: $out"
says "
    fence agent ipmi, attempt 2
" # broken at a blank, indented
on_terminal 200 mdcluster status
says "${escape}[32mquorate${escape}[0m" "${escape}[33m2/3 nodes${escape}[0m"
on_terminal 200 NO_COLOR=1 mdcluster status
[[ $out != *"$escape"* ]] || fail "colours in spite of NO_COLOR"
for width in 40 61 83; do
	for name in healthy degraded resyncing no-quorum proof joining; do
		status_is $name
		on_terminal $width mdcluster status --no-color
		[ "$(wc -L <<<"$out")" -le $width ] || fail "$name at $width columns: $out"
	done
done
# two paths that differ at their ends are told apart, whatever else has no room
status_is healthy '.arrays[0].disks[0].path = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4" |
	.arrays[0].disks[1].path = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5"'
on_terminal 60 mdcluster status --no-color web
says "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4 in_sync" "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5 in_sync"
ends_with 0 env LC_ALL=C mdcluster nodes
[[ $out != *"$escape"* ]] || fail "colours where no terminal is"

# in place: home, and no line is left of what was there before
out=$(script -qec "stty cols 80; timeout 1.5 mdcluster status -w --no-color" /dev/null </dev/null) || :
[ "$(grep -o "$escape\[H" <<<"$out" | wc -l)" -ge 2 ] || fail "--watch: $out"

# no more lines than the terminal has, which would scroll
out=$(script -qec "stty cols 80 rows 6; timeout 1.5 mdcluster status -w --no-color" /dev/null </dev/null | tr -d '\r') || :
says "(3 lines more)"
# a daemon that restarts is waited for
: >watched
mdcluster status --watch >watched 2>watched.err &
watching=$!
eventually has_lines 3 watched
stop_daemon
eventually grep -q "no mdclusterd answers" watched.err
: >watched
start_daemon healthy
eventually has_lines 3 watched
kill $watching
wait $watching || :

# --- no daemon, none that answers, none that may be asked -----------------------------------
ends_with 4 mdcluster status --run-dir="$tmp/elsewhere"
says "mdcluster: no mdclusterd answers at $tmp/elsewhere/control.sock"
printf '[]' >"$answers/Status.json"
ends_with 4 mdcluster status
says "no answer to Status"
echo '[{"reply": {"status": {"cluster": 7}}}]' >"$answers/Status.json"
ends_with 4 mdcluster status
says "status.cluster is not a string"
stop_daemon
ends_with 4 mdcluster status
says "no mdclusterd answers at $run/control.sock"
ends_with 4 mdcluster doctor
says "Nobody can tell: no mdclusterd answers" "\$ systemctl status mdclusterd"
if [ "$(id -u)" -eq 0 ]; then
	need setpriv
	chmod 755 "$tmp" "$run"
	as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
	start_daemon healthy
	ends_with 4 $as_nobody mdcluster status
	says "$run/control.sock: permission denied: root may ask, and who is in the group"
	ends_with 4 $as_nobody mdcluster doctor
	says "Ask as root."
	start_daemon healthy "$(getent group 1 | cut -d: -f1)"
	ends_with 0 setpriv --reuid 65534 --regid 1 --clear-groups mdcluster status
	ends_with 1 setpriv --reuid 65534 --regid 1 --clear-groups mdcluster stop web
	says "only root may do that"
fi
