#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# assemble, stop, detail, ring, locks, set, check, repair, fail, confirm-dead: what the
# daemon is asked for which words, mdadm's too, and what comes of its answers.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"

start_daemon healthy
done_='{"reply": {}}'

# asks CALL... CMD: CMD, the last word, succeeds with exactly these calls
asks()
{
	local wanted=("${@:1:$#-1}") command=${!#}
	calls >/dev/null
	ends_with 0 eval "$command"
	expect_equal "calls of: $command" "$(printf '%s\n' "${wanted[@]}")" "$(calls)"
}

# --- assemble, stop ------------------------------------------------------------------
answer Assemble '{"continue": {"array": "web", "state": "joining", "waits": ""}}' \
	'{"continue": {"array": "web", "state": "starting", "waits": "starting"}}' \
	'{"continue": {"array": "web", "state": "gathering", "waits": "waits: slot 2 of node3"}}' "$done_"
answer Stop "$done_"
touch a.img b.img
for word in assemble --assemble -A; do
	asks '["Assemble",{"array":"web"}]' "mdcluster $word web"
	asks '["Assemble",{"array":"web"}]' "mdcluster $word /dev/md/web"
	asks '["Assemble",{"array":"0"}]' "mdcluster $word /dev/md0"
	asks '["Assemble",{"scan":true}]' "mdcluster $word --scan"
	asks "[\"Assemble\",{\"disks\":[\"$PWD/a.img\",\"$PWD/b.img\"],\"name\":\"web\"}]" \
		"mdcluster $word web a.img ./b.img"
done
asks '["Assemble",{"scan":true}]' "mdcluster -As"
[ -z "$out" ] || fail "assemble tells what nobody reads: $out"
asks '["Stop",{"array":"web"}]' '["Stop",{"array":"logs"}]' "mdcluster stop web /dev/md/logs"
asks '["Stop",{"array":"0","force":true}]' "mdcluster --stop --force /dev/md0"
asks '["Stop",{"scan":true}]' "mdcluster -S --scan"
expect_fail 2 mdcluster assemble
expect_fail 2 mdcluster assemble --scan web
expect_fail 2 mdcluster stop
expect_fail 2 mdcluster stop --scan web
need script
out=$(script -qec "mdcluster assemble web" /dev/null </dev/null | tr -d '\r')
expect_equal "on a terminal" "mdcluster: web: joining
mdcluster: web: starting
mdcluster: web: gathering, waits: slot 2 of node3" "$out"
answer Assemble '{"refuse": "web: no disks are there: /dev/sda, /dev/sdb", "errno": 2}'
expect_fail 1 mdcluster assemble web
says_error="mdcluster: web: no disks are there: /dev/sda, /dev/sdb"
expect_equal "why not" "$says_error" "$error"
# whoever is patient waits for the daemon, and not for what that refuses
ends_with 1 mdcluster assemble --wait web
mdcluster assemble --wait --run-dir="$tmp/later" web >waited 2>&1 &
waiting=$!
sleep 0.5
[ -d /proc/$waiting ] || fail "assemble --wait: $(cat waited)"
ln -s "$MDCLUSTER_RUN_DIR" later
wait "$waiting" && fail "assemble --wait: the refusal is lost"
expect_equal "who waited is told" "$says_error" "$(cat waited)"
# one that cannot be stopped does not keep the next one
answer Stop '{"refuse": "2 clients use it", "errno": 16}'
calls >/dev/null
ends_with 1 mdcluster stop web logs
expect_equal "both are tried" 2 "$(calls | wc -l)"

# --- set, fail, confirm-dead ------------------------------------------------------------
answer Set "$done_"
answer Fail "$done_"
answer ConfirmDead "$done_"
asks '["Set",{"array":"web","key":"resync-max","value":"200M"}]' \
	'["Set",{"array":"web","key":"resync-min","value":"1M"}]' \
	"mdcluster set web resync-max=200M resync-min=1M"
asks '["Set",{"key":"log-level","value":"debug"}]' "mdcluster set log-level=debug"
expect_fail 2 mdcluster set web
expect_fail 2 mdcluster set resync-max=1M
expect_fail 2 mdcluster set web colour=blue
expect_fail 2 mdcluster set web resync-max=1M shop
for command in "fail web" "--fail /dev/md/web" "/dev/md/web --fail" "/dev/md/web -f" "--manage web --set-faulty"; do
	asks '["Fail",{"array":"web","disk":"/dev/sdb"}]' "mdcluster $command /dev/sdb"
done
asks '["Fail",{"array":"web","disk":"0"}]' '["Fail",{"array":"web","disk":"1"}]' \
	"mdcluster fail web 0 1"
asks "[\"Fail\",{\"array\":\"web\",\"disk\":\"$PWD/b.img\"}]" "mdcluster fail web ./b.img"
asks '["Fail",{"array":"web","disk":"detached"}]' '["Fail",{"array":"web","disk":"#3"}]' \
	"mdcluster fail web detached '#3'"
expect_fail 2 mdcluster fail web
answer Reload '{"reply": {"changed": ["array web: resync_max", "log_level"], "needs_restart": ["totem.mtu"]}}'
asks '["Reload",{}]' "mdcluster reload"
expect_equal "reload" "changed: array web: resync_max
changed: log_level
only with a new start of mdclusterd: totem.mtu" "$out"
answer Reload '{"reply": {"changed": [], "needs_restart": []}}'
expect_equal "reload" "nothing has changed" "$(mdcluster reload)"
answer Reload '{"refuse": "mdclusterd.conf has mistakes", "errno": 22}'
expect_fail 2 mdcluster reload
asks '["ConfirmDead",{"node":"node3"}]' "mdcluster confirm-dead --yes node3"
calls >/dev/null
expect_fail 1 mdcluster confirm-dead node3
expect_fail 2 mdcluster confirm-dead --yes node3 node2
expect_equal "nothing was confirmed" "" "$(calls)"
out=$(echo no | script -qec "mdcluster confirm-dead node3" /dev/null) || :
expect_equal "not for a no" "" "$(calls)"
out=$(echo yes | script -qec "mdcluster confirm-dead node3" /dev/null) || fail "yes: $out"
expect_equal "for a yes" '["ConfirmDead",{"node":"node3"}]' "$(calls)"
[[ $out == *"If node3 still runs"*"data"*"lost"* ]] || fail "it asks: $out"

# --- disks that come and go -------------------------------------------------------------
answer Add '{"reply": {"number": 3, "re_added": false}}'
answer Remove '{"reply": {"removed": 1}}'
for command in "add web" "--add /dev/md/web" "/dev/md/web --add" "/dev/md/web -a" "--manage /dev/md/web --add" \
	"-a /dev/md/web"; do
	asks '["Add",{"array":"web","disk":"/dev/sdx","how":"add"}]' "mdcluster $command /dev/sdx"
	expect_equal "$command" "web: added /dev/sdx as #3" "$out"
done
asks '["Add",{"array":"0","disk":"/dev/sdx","force":true,"how":"add"}]' \
	"mdcluster /dev/md0 --force --add /dev/sdx"
asks "[\"Add\",{\"array\":\"web\",\"disk\":\"$PWD/a.img\",\"force\":true,\"how\":\"spare\"}]" \
	"mdcluster add -q -f --spare web a.img"
expect_equal "quietly" "" "$out"
expect_fail 2 mdcluster web --add /dev/sdx
case $error in *"'web' is not a command"*"mdcluster /dev/md/web"*) ;; *) fail "an array's bare name: $error" ;; esac
asks '["Add",{"array":"web","disk":"/dev/sdx","how":"spare"}]' \
	"mdcluster /dev/md/web --add-spare /dev/sdx"
answer Add '{"reply": {"number": 3, "re_added": false, "configured": false}}'
ends_with 0 mdcluster add web /dev/sdx
says "web: added /dev/sdx as #3" "/dev/sdx is not among its disks in mdclusterd.conf: name it there, on every node"
calls >/dev/null
answer Add '{"reply": {"number": 1, "re_added": true, "configured": true}}'
for command in "re-add web" "/dev/md/web --re-add" "--re-add web"; do
	asks '["Add",{"array":"web","disk":"/dev/sdb","how":"re-add"}]' "mdcluster $command /dev/sdb"
	expect_equal "$command" "web: re-added /dev/sdb as #1: what was written meanwhile is recovered" "$out"
done
for word in failed faulty detached /dev/sdb 1 '#3' sdb; do
	for command in "remove web" "--remove /dev/md/web" "/dev/md/web -r" "-r web"; do
		asks "[\"Remove\",{\"array\":\"web\",\"disk\":\"$word\"}]" "mdcluster $command '$word'"
		expect_equal "as asked" "" "$out"
	done
done
# several in one line, in its order
asks '["Add",{"array":"web","disk":"/dev/sdx","how":"add"}]' '["Fail",{"array":"web","disk":"/dev/sdy"}]' \
	'["Fail",{"array":"web","disk":"/dev/sdz"}]' '["Remove",{"array":"web","disk":"failed"}]' \
	"mdcluster --manage /dev/md/web --add /dev/sdx --fail /dev/sdy /dev/sdz --remove failed"
asks '["Fail",{"array":"web","disk":"1"}]' '["Remove",{"array":"web","disk":"1"}]' \
	'["Add",{"array":"web","disk":"/dev/sdb","how":"re-add"}]' \
	"mdcluster manage web -f 1 -r 1 --re-add /dev/sdb"
expect_equal "JSON" '[["fail","1",null,false,0],["remove","1",null,false,1],["re-add","/dev/sdb",1,true,1]]' \
	"$(mdcluster manage web --json -f 1 -r 1 --re-add /dev/sdb |
	jq -c '[.[] | [.action, .disk, .number, .is_re_added, .disks]]')"
# what fails ends it, and says so
answer Fail '{"refuse": "web: disk 0 is the last one in sync", "errno": 16}'
calls >/dev/null
ends_with 1 mdcluster /dev/md/web --remove failed --fail 0 --add /dev/sdx
expect_equal "why" "mdcluster: web: disk 0 is the last one in sync" "$out"
expect_equal "the rest is not done" '["Remove",{"array":"web","disk":"failed"}]
["Fail",{"array":"web","disk":"0"}]' "$(calls)"
# what makes no sense is said before anything is done
for words in "--remove failed --fail faulty" "--remove failed --add missing" "--remove failed --fail missing" \
	"--remove failed --add detached" "/dev/sdx --remove failed" "--remove failed --frobnicate"; do
	expect_fail 2 mdcluster --manage /dev/md/web $words
done
for command in "add web" "re-add web" "remove web" "manage web" "manage" "--manage /dev/md/web --add" "/dev/md/web -r"; do
	expect_fail 2 mdcluster $command
done
expect_equal "nothing was done" "" "$(calls)"
# the modes have their own -f, -r, --fail
answer Stop "$done_"
asks '["Stop",{"array":"0","force":true}]' "mdcluster --stop -f /dev/md0"
asks '["Stop",{"array":"0","force":true}]' "mdcluster -f --stop /dev/md0"
# those that failed are removed, and come again; the host's other disks are asked for
answer Detail '{"reply": {"array": {}, "metadata": {"uuid": "5c0b0c4b:d6ae0359:f266cacf:72232250", "disks": [
	{"number": 0, "state": "in_sync", "path": "/dev/sda"}, {"number": 1, "state": "faulty", "path": "/dev/sdb"},
	{"number": 3, "state": "faulty", "path": "/dev/sdc"}, {"number": 4, "state": "faulty", "path": ""}]}}}'
calls >/dev/null
ends_with 0 mdcluster re-add web faulty
expect_equal "calls" '["Detail",{"array":"web"}]
["Remove",{"array":"web","disk":"/dev/sdb"}]
["Add",{"array":"web","disk":"/dev/sdb","how":"re-add"}]
["Remove",{"array":"web","disk":"/dev/sdc"}]
["Add",{"array":"web","disk":"/dev/sdc","how":"re-add"}]' "$(calls)"
ends_with 0 mdcluster /dev/md/web --re-add missing
says "web: no disk is missing here"
expect_equal "calls" '["Detail",{"array":"web"}]' "$(calls)"
# block devices of this array that it does not have, whatever else the host has
make_disk members-a.img 64M
make_disk members-b.img 64M
mdcluster create web members-a.img members-b.img -q --level=mirror --raid-devices=2 --nodes=2 \
	--home-cluster=alpha --homehost=none --assume-clean
if here_=$(losetup --find --show members-a.img 2>/dev/null); then
	loops+=("$here_")
	missing=$(losetup --find --show members-b.img)
	loops+=("$missing")
	mdcluster examine --json members-a.img >examined
	answer Detail "$(jq --arg path "$here_" '{reply: {array: {}, metadata: {uuid, disks: [
		{number: 0, path: $path, device_uuid}, {number: 1, path: "", device_uuid: ""}]}}}' examined)"
	asks '["Detail",{"array":"web"}]' "[\"Add\",{\"array\":\"web\",\"disk\":\"$missing\",\"how\":\"re-add\"}]" \
		"mdcluster /dev/md/web --re-add missing"
fi
# scripts made for the kernel's md-cluster go on
ends_with 0 mdcluster /dev/md/web --cluster-confirm 1:/dev/sdx
says "--cluster-confirm is not needed: each node looks for the disk itself"
expect_equal "calls" "" "$(calls)"

# has_asked N: for its status, so often at least
has_asked()
{
	[ "$(cat "$answers/calls" 2>/dev/null | grep -c '^\["Status"')" -ge "$1" ]
}

# --- replace ------------------------------------------------------------------------------
# disks_are RAID_DISKS PATH:STATE:ROLE:NUMBER...: of web, from now on; $level is its level
level=raid1
disks_are()
{
	local disks
	disks=$(printf '%s\n' "${@:2}" | jq -Rc 'split(":") |
		{path: .[0], state: .[1], role: (.[2] | tonumber), number: (.[3] | tonumber)}' | jq -sc .)
	status_is healthy ".arrays[0] |= (.raid_disks = $1 | .level = \"$level\" | .disks = $disks)"
}
has_called() { grep -qF "$1" "$answers/calls" 2>/dev/null; }
a=/dev/sda:in_sync:0:0 b=/dev/sdb:in_sync:1:1
old_failed=/dev/sdb:faulty:3:1
answer Add '{"reply": {"number": 2, "re_added": false}}'
answer Grow "$done_"
answer Fail "$done_"
grown='["Grow",{"array":"web","raid_devices":3}]'
shrunk='["Grow",{"array":"web","raid_devices":2}]'
added='["Add",{"array":"web","disk":"/dev/sdc","how":"spare"}]'
failed='["Fail",{"array":"web","disk":"#1"}]'
removed='["Remove",{"array":"web","disk":"#1"}]'

# to_step N: the array is as it is behind step N
to_step()
{
	case $1 in
	0) disks_are 2 $a $b ;;
	1) disks_are 2 $a $b /dev/sdc:spare:2:2 ;;
	2) disks_are 3 $a $b /dev/sdc:rebuild:2:2 ;;
	3) disks_are 3 $a $b /dev/sdc:in_sync:2:2 ;;
	4) disks_are 3 $a $old_failed /dev/sdc:in_sync:2:2 ;;
	5) disks_are 2 $a /dev/sdb:faulty:2:1 /dev/sdc:in_sync:1:2 ;;
	6) disks_are 2 $a /dev/sdc:in_sync:1:2 ;;
	esac
}
all_steps=("$added" "$grown" "" "$failed" "$shrunk" "$removed")
# replaces FROM COMMAND: it does all that is left of it from that step, each thing once
replaces()
{
	local step=$1 from=$1
	to_step "$step"
	rm -f "$answers/calls"
	timeout 60 $2 >replaced 2>&1 &
	replacing=$!
	for ((; step < 6; step++)); do
		if [ -n "${all_steps[step]}" ]; then
			eventually has_called "${all_steps[step]}"
		else
			before=$(grep -c Status "$answers/calls" 2>/dev/null) || :
			eventually has_asked $((before + 2))
		fi
		to_step $((step + 1))
	done
	code=0
	wait $replacing || code=$?
	[ $code -eq 0 ] || fail "$2, from step $from, ended with $code: $(cat replaced)"
	expect_equal "calls of $2, from step $from" "$(printf '%s\n' "${all_steps[@]:from}" | grep . || :)" "$(calls)"
}
for step in 0 1 2 3 4 5 6; do
	replaces $step "mdcluster replace web /dev/sdb --with /dev/sdc"
	said="web: /dev/sdb is replaced by /dev/sdc, which is #2"
	[ $step -lt 6 ] || said="web: /dev/sdb is none of its disks, and /dev/sdc is in sync: nothing is left to do"
	tail -n 1 replaced | grep -qx "$said" || fail "it says: $(cat replaced)"
done
replaces 0 "mdcluster /dev/md/web --replace /dev/sdb --with /dev/sdc"
replaces 0 "mdcluster --manage /dev/md/web --replace sdb --with sdc"
grep -q "go on with: mdcluster replace web /dev/sdb --with /dev/sdc" replaced || fail "how to go on: $(cat replaced)"
replaces 0 "mdcluster replace --json web #1 --with /dev/sdc"
expect_equal "JSON" '["web","replace","#1",2,false,1]' \
	"$(jq -c '.[0] | [.array, .action, .disk, .number, .is_re_added, .disks]' replaced)"
replaces 1 "mdcluster replace -q web 1" # its one spare
expect_equal "quietly" "" "$(cat replaced)"
# refuses CODE WORDS COMMAND: it says that, and nothing is done
refuses()
{
	rm -f "$answers/calls"
	ends_with "$1" timeout 20 mdcluster $3
	says "$2"
	expect_equal "$3 does nothing" "" "$(calls)"
}
# the one in use is never taken away for one that is not in sync, or not known to be for it
to_step 0
refuses 1 "it has no spare that could replace /dev/sdb: mdcluster add one first" "replace web /dev/sdb"
refuses 1 "/dev/sdx is no disk of this array" "replace web /dev/sdx --with /dev/sdc"
refuses 1 "the only two it has" "replace web /dev/sdb --with /dev/sda"
refuses 2 "the same disk" "replace web /dev/sdb --with /dev/sdb"
to_step 2
refuses 1 "If it shall replace /dev/sdb: mdcluster replace web /dev/sdb --with /dev/sdc" "replace web /dev/sdb"
to_step 3
refuses 1 "it has no spare" "replace web /dev/sdb"
refuses 1 "is in use as disk 0, where no replacement comes" "replace web /dev/sdb --with /dev/sda"
disks_are 3 $a $b
refuses 1 "3 roles, and disks for 2. To fill them: mdcluster add web DISK; to have fewer: mdcluster grow web --raid-devices=2" \
	"replace web /dev/sdb --with /dev/sdc"
disks_are 2 $a $b /dev/sdc:spare:2:2 /dev/sdd:spare:3:3
refuses 1 "its spare /dev/sdd would take the place that /dev/sdb leaves: mdcluster remove web /dev/sdd first" \
	"replace web /dev/sdb --with /dev/sdc"
disks_are 8 $a $b $(for i in 2 3 4 5 6 7; do echo "/dev/s$i:in_sync:$i:$i"; done) /dev/sdc:spare:8:8
refuses 2 "it has 8 copies, and one more cannot be while it runs" "replace web /dev/sdb --with /dev/sdc"
for words in "replace web" "replace web /dev/sdb /dev/sdc" "manage web --with /dev/sdc" \
	"manage web --replace /dev/sdb --with /dev/sdc /dev/sdd" "manage web --replace missing"; do
	refuses 2 "" "$words"
done
# the new one fails: it becomes what it was
to_step 1
timeout 60 mdcluster replace web /dev/sdb --with /dev/sdc >replaced 2>&1 &
replacing=$!
eventually has_called "$grown"
to_step 2
before=$(grep -c Status "$answers/calls")
eventually has_asked $((before + 2))
disks_are 3 $a $b /dev/sdc:faulty:3:2
eventually has_called "$shrunk"
disks_are 2 $a $b /dev/sdc:faulty:2:2
eventually has_called '["Remove",{"array":"web","disk":"#2"}]'
to_step 0
code=0
wait $replacing || code=$?
expect_equal "exit status where the new one fails" 1 $code
grep -q "/dev/sdc has failed, and /dev/sdb is in use as it was" replaced || fail "it says: $(cat replaced)"
expect_equal "calls where the new one fails" "$grown
$shrunk
[\"Remove\",{\"array\":\"web\",\"disk\":\"#2\"}]" "$(calls)"
# refused: it looks once more, for who was killed before may have asked just now; then it says so
to_step 0
answer Add '{"refuse": "/dev/sdc holds an ext4 file system", "errno": 17}'
calls >/dev/null
ends_with 1 timeout 60 mdcluster replace web /dev/sdb --with /dev/sdc
expect_equal "why" "mdcluster: /dev/sdc holds an ext4 file system" "$out"
expect_equal "it is asked for twice" "$added
$added" "$(calls)"
answer Add '{"reply": {"number": 2, "re_added": false}}'
# another one fails: the old one stays
to_step 2
timeout 60 mdcluster replace web /dev/sdb --with /dev/sdc >replaced 2>&1 &
replacing=$!
eventually has_asked 2
disks_are 3 /dev/sda:faulty:3:0 $b /dev/sdc:in_sync:2:2
code=0
wait $replacing || code=$?
expect_equal "exit status where another one fails" 1 $code
grep -q "another disk has failed meanwhile: /dev/sdb stays" replaced || fail "it says: $(cat replaced)"
expect_equal "calls where another one fails" "" "$(calls)"
# raid10: not without a word, and only from a person who is sure
level=raid10
to_step 1
refuses 1 "with --force /dev/sdb is failed first" "replace web /dev/sdb --with /dev/sdc"
refuses 1 "nothing was done (--yes says that /dev/sdb may fail first)" "replace --force web /dev/sdb"
rm -f "$answers/calls"
timeout 60 mdcluster replace --force --yes web /dev/sdb --with /dev/sdc >replaced 2>&1 &
replacing=$!
eventually has_called "$failed"
disks_are 2 $a $old_failed /dev/sdc:rebuild:1:2
before=$(grep -c Status "$answers/calls")
eventually has_asked $((before + 2))
to_step 5
eventually has_called "$removed"
to_step 6
wait $replacing || fail "raid10: $(cat replaced)"
expect_equal "calls of a raid10" "$failed
$removed" "$(calls)"
level=raid1
status_is healthy

# --- wait -------------------------------------------------------------------------------
for command in "wait web" "--wait /dev/md/web" "-W /dev/md/web"; do
	ends_with 1 mdcluster $command
	expect_equal "nothing to wait for" "" "$out"
done
for command in "wait web" "-W web" "add --wait web /dev/sdx" "/dev/md/web --add /dev/sdx --wait"; do
	status_is healthy '.arrays[0].disks[1] |= (.state = "rebuild" | .recovered_sectors = 1024)'
	calls >/dev/null
	mdcluster $command >waited &
	waiting=$!
	eventually has_asked 2
	kill -0 $waiting || fail "$command does not wait"
	status_is healthy
	code=0
	wait $waiting || code=$?
	expect_equal "exit status of $command" 0 $code
done
status_is healthy '.arrays[0] |= (.member_sectors = 4096 | .size_bytes = 2097152 | .disks_in_sync = 1 |
	.disks[1] |= (.state = "rebuild" | .recovered_sectors = 1024))'
script -qec "stty cols 80; mdcluster wait web" waited </dev/null >/dev/null &
waiting=$!
eventually grep -q '\[=====>...............\]  recovery = 25.0%' waited
status_is healthy
wait $waiting || fail "the bar: $(cat waited)"
answer Add '{"reply": {"number": 2, "re_added": false}}'
status_is healthy '.arrays[0].disks[1] |= (.state = "faulty" | .number = 2)'
expect_fail 1 mdcluster add --wait web /dev/sdb
expect_equal "one that failed" "mdcluster: web: /dev/sdb has failed meanwhile" "$error"
expect_fail 2 mdcluster wait
expect_fail 1 mdcluster wait wbe
status_is healthy

# --- check, repair ------------------------------------------------------------------------
answer Check '{"continue": {"done": 4096, "total": 131072, "mismatches": 0}}' \
	'{"reply": {"done": 131072, "total": 131072, "mismatches": 0}}'
asks '["Check",{"array":"web","repair":false}]' "mdcluster check web"
expect_equal "check" "web: 64.00 MiB compared, all equal" "$out"
answer Check '{"reply": {"done": 131072, "total": 131072, "mismatches": 8}}'
ends_with 1 mdcluster check web
expect_equal "check" "web: 64.00 MiB compared, 4.00 KiB differ" "$out"
expect_equal "check, JSON" '["web",false,131072,131072,8,true]' "$(mdcluster check --json web |
	jq -c '[.array, .repair, .done_sectors, .total_sectors, .mismatch_sectors, .is_complete]')"
asks '["Check",{"array":"web","repair":true}]' "mdcluster repair /dev/md/web"
expect_equal "repair" "web: 64.00 MiB compared, 4.00 KiB differed and are equal now" "$out"
answer CheckCancel "$done_"
asks '["CheckCancel",{"array":"web"}]' "mdcluster check --cancel web"
# Ctrl-C: the daemon is told, and its last word is waited for
answer Check '{"continue": {"done": 65536, "total": 131072, "mismatches": 0}}' '{"hold": true}'
answer CheckCancel '{"release": "Check"}' "$done_"
calls >/dev/null
set -m # jobs of an interactive shell do not ignore SIGINT
mdcluster check web >checked &
checking=$!
set +m
eventually [ -s "$answers/calls" ]
kill -INT $checking
code=0
wait $checking || code=$?
expect_equal "exit status of a check that is interrupted" 1 $code
expect_equal "calls of a check that is interrupted" '["Check",{"array":"web","repair":false}]
["CheckCancel",{"array":"web"}]' "$(calls)"
expect_equal "interrupted" "web: ended early, 32.00 MiB of 64.00 MiB compared, no difference so far" "$(cat checked)"
out=$(answer Check '{"continue": {"done": 65536, "total": 131072, "mismatches": 8}}' "$done_"
	script -qec "stty cols 80; mdcluster repair web" /dev/null </dev/null) || :
[[ $out == *"[==========>..........]  repair = 50.0%  4.00 KiB differed"* ]] || fail "the bar: $out"

# "not now" is an answer, and not waited for
for method in Check:check Detail:detail; do
	answer ${method%:*} '{"refuse": "web: is not active here", "errno": 11}'
	ends_with 1 timeout 8 mdcluster ${method#*:} web
	expect_equal "not now" "mdcluster: web: is not active here" "$out"
done

# --- detail -------------------------------------------------------------------------------
detail()
{
	answer Detail "$(jq "{reply: {array: .[0].reply.status.arrays[0], metadata: {version: \"1.2\",
		name: \"node1:web\", cluster: \"alpha\", size_sectors: 16777216, events: 17,
		created_s: 1763713284, updated_s: 1763720000,
		disks: [{number: 0, path: \"/dev/sda\"}, {number: 3, path: \"/dev/sdb\"}]}}}" \
		"$canned/$1.json")"
}
detail degraded
asks '["Detail",{"array":"web"}]' "mdcluster detail web"
expect_equal "detail" "web:
           Version : 1.2
     Creation Time : Fri Nov 21 08:21:24 2025
        Raid Level : raid1
        Array Size : 8388608 (8.00 GiB 8.59 GB)
     Used Dev Size : 8388608 (8.00 GiB 8.59 GB)
      Raid Devices : 2
     Total Devices : 2
       Persistence : Superblock is persistent

     Intent Bitmap : Internal(Clustered)

       Update Time : Fri Nov 21 10:14:40 2025
             State : active, degraded 
    Active Devices : 1
   Working Devices : 1
    Failed Devices : 1
     Spare Devices : 0

Consistency Policy : bitmap

              Name : node1:web
      Cluster Name : alpha
              UUID : 5c0b0c4b:d6ae0359:f266cacf:72232250
            Events : 17
      Cluster Slot : 0
         Served At : /run/mdcluster/web.sock

    Number   Major   Minor   RaidDevice State
       0       0        0        0      active sync   /dev/sda
       3       0        0        -      faulty   /dev/sdb" \
	"$(sed -E 's/^( +[0-9]+) +[0-9]+ +[0-9]+ /\1       0        0 /; s/10:1[0-9]:[0-9]+/10:14:40/' <<<"$out")"
answer Detail "$(jq '{reply: {array: (.[0].reply.status.arrays[0] | .level = "raid10"), metadata: {
	layout: 258, chunk_sectors: 1024}}}' "$canned/healthy.json")"
ends_with 0 mdcluster detail web
says "            Layout : near=2
        Chunk Size : 512K"
answer Detail "$(jq '{reply: {array: (.[0].reply.status.arrays[0] | .member_sectors = 4096 | .disks[1] |=
	(.state = "rebuild" | .path = "/dev/sdc" | .recovered_sectors = 1024) | .disks +=
	[{path: "/dev/sdd", state: "spare", role: 2}]), metadata: {}}}' "$canned/degraded.json")"
ends_with 0 mdcluster detail web
says "State : active, degraded, recovering" "Rebuild Status : 25% complete" "Spare Devices : 2" \
	"1      spare rebuilding   /dev/sdc" "-      spare   /dev/sdd"
for word in "detail -t" "--detail --test" "-Dt"; do
	detail healthy
	ends_with 0 mdcluster $word web
	detail degraded
	ends_with 1 mdcluster $word /dev/md/web
	answer Detail '{"refuse": "no array", "errno": 2}'
	ends_with 4 mdcluster $word web
done
answer Detail '{"reply": {"array": {"raid_disks": 2}, "metadata": {}}}'
ends_with 2 mdcluster detail --test web
answer Detail '{"reply": {}}'
ends_with 1 mdcluster detail web
detail healthy
expect_equal "JSON" "web node1:web" "$(mdcluster detail -J web | jq -r '"\(.array.name) \(.metadata.name)"')"

# --- ring, locks --------------------------------------------------------------------------
answer Ring '{"reply": {"view": {"state": "operational", "members": [1, 3], "waiting_for": [],
	"is_quorate": true, "token_age_ns": 42743521, "timings": {"token_ms": 1000}},
	"counters": {"tx": 7, "rx": 0}}}'
asks '["Ring",{}]' "mdcluster ring"
expect_equal "ring" "state : operational
members : 1 3
waiting_for : -
quorate : yes
token_age : 42.74 ms
timings.token_ms : 1000

tx : 7
left out: 1 counters that are 0 (--all shows all)" "$(sed 's/^ *//' <<<"$out")"
ends_with 0 mdcluster ring --all
says "rx : 0"
expect_equal "JSON" 7 "$(mdcluster ring --json | jq .counters.tx)"
dump=$srcdir/tests/data/locks/frozen.json
answer Locks "{\"reply\": {\"dump\": $(cat "$dump")}}"
asks '["Locks",{}]' "mdcluster locks --all"
expect_equal "locks of the daemon, and of a file" "$(mdcluster locks --all --file "$dump")" "$out"
answer Locks '{"reply": {"dump": {}}}'
expect_fail 1 mdcluster locks
