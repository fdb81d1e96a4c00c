#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What somebody meets at a terminal, of a real daemon: what detail says is what the
# superblocks say; what the recorder saved can be replayed.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
export MDCLUSTER_RUN_DIR=$PWD/run.1

array='.arrays[] | select(.name == "web")'
active() { await "web is not active" shows 1 "$array | \"\\(.state) \\(.is_gate_open) \\(.activity)\"" "active true "; }
# field NAME FILE: of mdadm's lines
field() { sed -n "s/^ *$1 : //p" "$2"; }

make_disk a.img 64M
make_disk b.img 64M
mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha \
  --bitmap-chunk=64K --nodes=4 --assume-clean web a.img b.img
configure 1 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } }"
start 1
active

# --- detail: what the superblocks say -------------------------------------------------------
mdcluster detail web >detail
mdcluster examine a.img >examine
for name in "Creation Time" "Update Time" "Raid Level" "Raid Devices" "Name" "Events"; do
  expect_equal "detail: $name" "$(field "$name" examine)" "$(field "$name" detail)"
  [ -n "$(field "$name" detail)" ] || fail "detail has no $name: $(cat detail)"
done

# --- record, replay: of a daemon that runs, and of one that died ------------------------------
mdcluster record web flight || fail "record"
mdcluster replay --json flight >replayed || fail "replay: $(cat replayed)"
expect_equal "replayed" "web active 0" "$(jq -r '"\(.array) \(.state) \(.differences)"' replayed)"
mdcluster record web - | cmp -n "$(stat -c %s flight)" - flight || fail "record to standard output"
expect_fail 1 mdcluster record web flight
case $error in *"is there already"*) ;; *) fail "a file that is there: $error" ;; esac
mdcluster record --quiet --force web flight
expect_fail 1 mdcluster record --before web flight2
case $error in *"no recording of an earlier time"*) ;; *) fail "none before: $error" ;; esac
expect_fail 1 mdcluster record nosuch flight2
expect_fail 1 mdcluster record ../lock flight2
[ ! -e flight2 ] || fail "an empty file is left"
kill -KILL "$(engine_of 1)"
active
mdcluster record --before web before >/dev/null || fail "record of the engine that was killed"
mdcluster replay --events before >replayed || fail "replay of it: $(cat replayed)"
grep -q "is active\|active" replayed || fail "the engine that was killed: $(cat replayed)"

# --- what is stopped by hand stays so, and is no trouble ----------------------------------------
mdcluster stop web || fail "stop"
stopped() { mdcluster status | grep -qx "web  down  stopped here: mdcluster assemble web"; }
stopped || fail "status does not show it: $(mdcluster status)"
expect_equal "doctor" "nothing is wrong" "$(mdcluster doctor)"
code=0
mdcluster status web >out || code=$?
expect_equal "status of a stopped array" 2 "$code"
kill -KILL "$(engine_of 1)"
await "the next engine is not up" says 1 "its death is told"
await "no quorum" shows 1 .is_quorate true
stopped || fail "the next engine assembles it: $(mdcluster status)"
mdcluster reload >/dev/null
stopped || fail "a reload assembles it: $(mdcluster status)"
mdcluster assemble web || fail "assemble"
active
kill -KILL "$(engine_of 1)"
active

# --- a slip of the hand leaves nothing behind ------------------------------------------------------
expect_fail 1 mdcluster assemble wbe "$PWD/c.img"
[[ $error == *"$PWD/c.img"* ]] || fail "assemble: $error"
expect_equal "arrays" web "$(mdcluster status --json | jq -r '[.arrays[].name] | join(" ")')"

# --- disks that are not there: it says so, and when it looks again; and then it is there ----------
mdcluster stop web || fail "stop"
mv a.img a.away
expect_fail 1 mdcluster assemble web
await "it does not say when it is tried again" \
  eval 'mdcluster status | grep -qE "waits: .*$PWD/a.img: No such file or directory.*; it is tried again in [0-9]+ s$"'
expect_fail 1 timeout 8 mdcluster detail web
[[ $error == *"its disks are not read yet"* ]] || fail "detail: $error"
code=0
mdcluster doctor >out || code=$?
expect_equal "doctor" 2 "$code"
grep -q "web could not be started: .*$PWD/a.img: No such file" out || fail "doctor: $(cat out)"
mv a.away a.img
active

kill -TERM "${pid_of[1]}"
finished 1
start 1
active # stopped by hand is not stopped for ever
mdcluster stop web
kill -TERM "${pid_of[1]}"
finished 1
start 1
active
kill -TERM "${pid_of[1]}"
finished 1
expect_equal "exit status" 0 "$code"
