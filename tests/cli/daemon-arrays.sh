#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An array on three real daemons and two disks: all write; one engine is killed, then a
# whole node; what was acknowledged is there, the survivors go on, the disks are equal in
# the end, and no bit is left.
. "$(dirname "$0")/functions.sh"
need nbdcopy nbdinfo qemu-io cmp
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"

uri() { echo "nbd+unix:///web?socket=$PWD/run.$1/web.nbd"; }
array='.status // . | .arrays[0]'
is_active() { shows "$1" "$array | .state" active; }
# idle I: nothing is recovered or resynced any more, as node I sees it
idle() {
  shows "$1" "$array | [.state, .activity, .is_single_source, .needed_bytes, ([.members[].state] | unique | join(\" \"))] | join(\"/\")" \
    "active//false/0/active"
}
all_idle() {
  local i
  for i; do await "node$i: the array is not idle: $(status_of "$i" | jq -c "$array")" idle "$i"; done
}
# write_at I BYTES PATTERN: 1 MiB, durable when this returns
write_at() { timeout 100 qemu-io -f raw -c "write -f -P $3 $2 1M" "$(uri "$1")" >io.out 2>&1 || fail "write on node$1: $(cat io.out)"; }
expect_at() { # I BYTES PATTERN
  timeout 100 qemu-io -f raw -c "read -P $3 $2 1M" "$(uri "$1")" >io.out 2>&1 && ! grep -q "verification failed" io.out ||
    fail "read on node$1 at $2: $(cat io.out)"
}
dirty() { mdcluster examine-bitmap --json --merged a.img b.img | jq '[.slots[].dirty] | add'; }

make_disk a.img 128M
make_disk b.img 128M
mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 web a.img b.img

# --- a cluster of one, which finds the disks by their uuid: it has no token, and writes ---------
uuid=$(mdcluster examine --json a.img | jq -r .uuid)
configure 1 "array web { uuid = $uuid scan = { \"$PWD/*.img\" } }"
start 1
await "node1: web is not active" is_active 1
write_at 1 1M 8
expect_at 1 1M 8
kill -TERM "${pid_of[1]}"
finished 1
expect_equal "exit status of node1" 0 "$code"
rm -r state.1

# --- its disks are not there yet: it is tried at once when somebody asks, or when they come -------
mkdir away
for how in assemble incremental; do
  mv a.img b.img away
  : >log.1
  start 1
  await "node1 does not say that it finds none" shows 1 "$array | .waits | test(\"no disk with its uuid\")" true
  mv away/*.img .
  if [ $how = assemble ]; then
    mdcluster assemble --quiet --run-dir=run.1 web || fail "assemble, when the search had failed"
  else
    for disk in a b; do mdcluster incremental --quiet --run-dir=run.1 "$PWD/$disk.img" || :; done
  fi
  await "node1: web is not active after $how" is_active 1
  kill -TERM "${pid_of[1]}"
  finished 1
  rm -r state.1
done

cat >fence <<EOF
#!/bin/sh
# the test has ended it: nothing is left to be done
[ -e "$PWD/dead.\$2" ] || { echo "it runs"; exit 1; }
EOF
chmod +x fence
configure 3 "fence { methods = { obituary, command } command = \"$PWD/fence\" delay_ms = 500 }
array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } }"
for i in 1 2 3; do start "$i"; done
ring_of 1 2 3
for i in 1 2 3; do await "node$i: web is not active" is_active "$i"; done
all_idle 1 2 3 # the first resync is done

# --- who runs it keeps others away; what one writes all read --------------------------------
expect_fail 1 mdcluster update --nodes=3 a.img b.img
case $error in *mdclusterd*) ;; *) fail "update of an array in use: $error" ;; esac
size=$(nbdinfo --size "$(uri 1)")
head -c $((size / 2)) /dev/urandom >data
truncate -s "$size" data
nbdcopy --flush data "$(uri 1)"
nbdcopy "$(uri 2)" back
cmp data back || fail "what node1 wrote is not what node2 reads"
for i in 1 2 3; do write_at "$i" $((i * 2))M "$i"; done
for i in 1 2 3; do for j in 1 2 3; do expect_at "$i" $((j * 2))M "$j"; done; done

# --- an engine is killed while it writes: the others recover it, and write all the while ---------
(while timeout 100 qemu-io -f raw -c "write -P 9 20M 4M" "$(uri 3)"; do :; done) >/dev/null 2>&1 &
writer=$!
write_at 3 20M 9
kill -KILL "$(engine_of 3)"
write_at 1 30M 41
write_at 2 31M 42
wait "$writer" || :
await "node1 has no obituary" says 1 "is proven dead by its supervisor's obituary"
for i in 1 2 3; do await "node$i: web is not active again" is_active "$i"; done
all_idle 1 2 3
for i in 1 2 3; do
  expect_at "$i" 20M 9
  expect_at "$i" 30M 41
  expect_at "$i" 31M 42
done

# --- a whole node dies: writes go on, recovery waits for the proof, and says for what ------------
write_at 3 40M 51
engine=$(engine_of 3)
kill -KILL "${pid_of[3]}"
kill -KILL "$engine"
finished 3
ring_of 1 2
write_at 1 41M 52
write_at 2 42M 53
await "node1 does not say what it waits for" \
  eval "status_of 1 | jq -r '.status // . | .nodes[2].waits' | grep -q '^proof of death.*attempt.*it runs'"
expect_equal "for what web waits" "proof of death of node3" "$(status_of 1 | jq -r "$array | .waits")"
expect_equal "health, while a death is unproven" 1 "$(mdcluster status --run-dir=run.1 >/dev/null && echo 0 || echo $?)"
of_3="$array | .members[] | select(.node == 3)"
await "node1 does not know what node3 has left" shows 1 "$of_3 | .dirty_bytes >= 1048576" true
expect_equal "who is missing" "missing true" "$(status_of 1 | jq -r "$of_3 | \"\(.state) \(.since_ns > 0)\"")"
touch dead.3
await "the command does not prove it" says 1 "is proven dead by the fence command"
all_idle 1 2
expect_at 1 40M 51
expect_at 2 41M 52
rm dead.3

# --- it comes back; a stop that clients are in the way of; then all stop ----------------------------
start 3
ring_of 1 2 3
await "node3: web is not active" is_active 3
all_idle 1 2 3
for p in 20:9 30:41 31:42 40:51 41:52 42:53; do expect_at 3 "${p%:*}M" "${p#*:}"; done
mdcluster stop web --run-dir=run.3 || fail "stop on node3"
all_idle 1 2
mdcluster assemble web --run-dir=run.3 || fail "assemble on node3"
is_active 3 || fail "assemble returns before it is active: $(status_of 3)"
nbdcopy "$(uri 3)" before
for i in 1 2 3; do mdcluster stop web --run-dir="run.$i" || fail "stop on node$i"; done
for i in 3 2 1; do
  kill -TERM "${pid_of[$i]}"
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
done

# --- what is on the disks -------------------------------------------------------------------------------
offset=$(mdcluster examine --json a.img | jq '.data_offset_sectors * 512')
cmp -i "$offset:0" a.img before || fail "disk a is not what clients read"
cmp -i "$offset" a.img b.img || fail "the disks differ"
expect_equal "dirty chunks" 0 "$(dirty)"
expect_equal "in sync" null "$(mdcluster examine --json a.img | jq '.fault')"

# --- all nodes end at once, arrays in use: the last ones have no quorum to leave in -----------------------
for i in 1 2 3; do start "$i"; done
for i in 1 2 3; do await "node$i: web is not active" is_active "$i"; done
write_at 2 50M 61
kill -TERM "${pid_of[@]}"
for i in 1 2 3; do
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
done
cmp -i "$offset" a.img b.img || fail "the disks differ"

# --- two begin anew: nothing of the third is touched until it is known to be dead ---------------------------
start 1
start 2
is_begun() { is_active 1 || status_of 1 | grep -q 'proof of death of node3'; }
await "node1 neither begins nor says for whom it waits" is_begun
if ! is_active 1; then
  script -qc "mdcluster assemble web --run-dir=run.1" /dev/null >assembling 2>&1 &
  teller=$!
  await "assemble does not say for whom it waits" grep -q "waits: proof of death of node3" assembling
  mdcluster confirm-dead --yes node3 --run-dir=run.1 || fail "confirm-dead"
  wait "$teller" || fail "assemble, when it waits no longer: $(cat assembling)"
fi
for i in 1 2; do await "node$i: web is not active" is_active "$i"; done
all_idle 1 2
expect_at 1 50M 61

# --- what the flight recorders hold can be stepped through, by the code that ran -----------------------
mdcluster replay run.1/record/web >replay.out 2>&1 || fail "replay of node1's array: $(tail -n 3 replay.out)"
[ -s run.1/record/web.1 ] || fail "the record of the start before is not kept"
