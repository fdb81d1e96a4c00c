#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Three real daemons that write all the while: the array becomes larger, gets a copy more, and
# the engine that changes it is killed. Clients stay; nothing that was acknowledged is lost.
. "$(dirname "$0")/functions.sh"
need nbdcopy nbdinfo qemu-io jq
own_network "$0" --mount
. "$(dirname "$0")/array-functions.sh"
trap 'end_daemons; cleanup' EXIT
array_size=160M
node_network 3
cluster 3 --size=64M --run
start 1 2 3
active 1 2 3
idle 1 2 3

size_of() { nbdinfo --size "$(uri_of "$1")"; }
write_at() { timeout 100 qemu-io -f raw -c "write -f -P $3 $2 1M" "$(uri_of "$1")" >io.out 2>&1 || fail "write on n$1: $(cat io.out)"; }
expect_at() { # I BYTES PATTERN
	timeout 100 qemu-io -f raw -c "read -P $3 $2 1M" "$(uri_of "$1")" >io.out 2>&1 && ! grep -q "verification failed" io.out ||
		fail "read on n$1 at $2: $(cat io.out)"
}
# has_written N: the client of n2 has written so many times
has_written() { [ "$(grep -c wrote writer.out)" -ge "$1" ]; }

write_at 1 1M 11
expect_equal "size" $((64 << 20)) "$(size_of 2)"
: >writer.out
# one client, connected all the while
for ((i = 0; i < 100000; i++)); do echo "write -f -P $((i % 250 + 1)) 8M 4k"; done |
	qemu-io -f raw "$(uri_of 2)" >writer.out 2>&1 &
writer=$!
await "the client does not write" has_written 20
ask 3 grow "$array" --size=96M
count=$(grep -c wrote writer.out)
await "the client does not go on" has_written $((count + 20))
active 1 2 3
for i in 1 2 3; do expect_equal "size on n$i" $((96 << 20)) "$(size_of "$i")"; done
expect_at 2 1M 11
write_at 3 90M 12
expect_at 1 90M 12
idle 1 2 3

# the engine that changes it is killed in the midst, or just before, or behind it
for delay in 0 0.01 0.03 0.06; do
	before=$(size_of 2)
	(ask 1 grow "$array" --size=$((before + (8 << 20)))s >/dev/null 2>&1 || :) &
	asker=$!
	sleep "$delay"
	kill_engine 1
	wait "$asker" || :
	active 1 2 3
	expect_equal "n2 and n3 agree" "$(size_of 2)" "$(size_of 3)"
	expect_at 3 1M 11
	expect_at 2 90M 12
done
ask 2 grow "$array" --raid-devices=3
# what follows in a script is not refused here because the array is about to go on
ask 2 grow "$array" --size=max
ask 2 update "$array" --name=net
ask 1 update "$array" --nodes=8 2>error && fail "slots are changed under those who have them"
grep -q "web: --nodes is for an array that nobody runs: it is active on n[123], n[123], n[123]: stop it there" error ||
	fail "who has it: $(cat error)"
ask 1 update nothing --name=net 2>error && fail "what is not there gets a name"
grep -q "there is no such array" error || fail "what is not there: $(cat error)"
active 1 2 3
expect_at 1 90M 12
ask 2 grow "$array" --raid-devices=2
active 1 2 3
count=$(grep -c wrote writer.out)
await "the client does not go on at the end" has_written $((count + 20))
kill "$writer" && wait "$writer" || :
grep -q -i error writer.out && fail "the client was told an error: $(grep -i error writer.out | head -n 2)"
ask 1 grow "$array" --bitmap=none 2>error && fail "others have it"
grep -qE "active on n[23], n[23] as well" error || fail "who has it: $(cat error)"
idle 1 2 3
ask 2 stop "$array"
ask 3 stop "$array"
is_alone() { says 1 "$the_array | .members | length" 1; }
await "n1 is not alone" is_alone
idle 1
ask 1 grow "$array" --bitmap=internal >told
grep -q "no cluster" told || fail "farewell: $(cat told)"
mdcluster examine --json "${disks[0]}" | jq -e '.kernel_md_cluster.accepts == false' >/dev/null ||
	fail "it is clustered still"
ask 2 assemble "$array" 2>error && fail "n2 assembles it"
grep -q "not a clustered" error || fail "n2 does not say why: $(cat error)"
host=$(cat /proc/sys/kernel/hostname)
grep -q "is of host $host alone" error || fail "n2 does not say whose it is: $(cat error)"
for disk in "${disks[@]}"; do
	expect_equal "owner of $disk" "$host test" "$(mdcluster examine --json "$disk" | jq -r '.owner | "\(.host) \(.cluster)"')"
done
uuid=$(mdcluster examine --json "${disks[0]}" | jq -r .uuid)
for i in 1 2 3; do
	grep -qx "$uuid" n$i/state/*.slot || fail "n$i does not remember that it ran the array: $(head n$i/state/*.slot)"
done
# B26: nothing is left of it in the engine, however often it leaves and comes back
holds() { local pid; pid=$(engine_of 1); echo "$(ls "/proc/$pid/fd" | wc -l) $(ls "/proc/$pid/task" | wc -l)"; }
holds_less() { [ "$(holds)" = "$1" ]; }
engine=$(engine_of 1)
ask 2 stop "$array" # it would take it as soon as it is clustered: it was told to
for ((i = 0; i < 12; i++)); do
	mdcluster grow --bitmap=clustered --home-cluster=test --nodes=4 "${disks[@]}"
	ask 1 assemble "$array"
	active 1
	ask 1 grow "$array" --bitmap=$((i % 2)) 2>/dev/null && fail "a bitmap of no kind"
	[ $((i % 2)) = 0 ] && kind=none || kind=internal
	ask 1 grow "$array" --bitmap=$kind >/dev/null
	[ $i -gt 1 ] || { sleep 1; held=$(holds); }
	await "n1 has $(holds) descriptors and threads after ${i} times, and had $held" holds_less "$held"
done
expect_equal "the engine" "$engine" "$(engine_of 1)"
stop_daemon 1 2 3
mdcluster grow --bitmap=clustered --home-cluster=test "${disks[@]}"
cmp -i 1048576 -n $((64 << 20)) "${disks[@]}" || fail "the disks differ"
