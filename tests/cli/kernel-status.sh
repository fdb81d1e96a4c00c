#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mdcluster status on hosts whose kernel runs md-cluster: what recordings of Linux 6.1 have
# (a resync, writes on two nodes, a crash, its recovery, a failed disk) is told as it was, and
# what cannot be seen is said. Nothing is written.
# shellcheck source=tests/cli/kernel-functions.sh
. "$(dirname "$0")/kernel-functions.sh"
export MDCLUSTER_RUN_DIR=$tmp/nowhere

# ends_with CODE CMD...: its output in $out
ends_with()
{
	local want=$1 got=0
	shift
	out=$("$@" 2>"$tmp/err" </dev/null) || got=$?
	[ "$got" -eq "$want" ] || fail "'$*' ended with $got instead of $want: $out $(cat "$tmp/err")"
}

says()
{
	local words
	for words; do
		case $out in
		*"$words"*) ;;
		*) fail "'$words' is not in: $out" ;;
		esac
	done
}

# is JQ: true of the last status as JSON
is()
{
	ends_with "$1" mdcluster status --kernel --json
	jq -e "$2" >/dev/null <<<"$out" || fail "$2 is not so: $out"
}

# --- who resyncs sees how far, and what others may not write; who waits, that it waits ---------
host resync 1
ends_with 1 mdcluster status
says "md0  raid1  active  63.00 MiB  [2/2] [UU]  run by the kernel" "name node1:0" \
	"cluster mycluster" "in use on 2 nodes:  1*  2" "resync = 15.8% (10/63 MiB)"
grep -q MDC5860 err || fail "nobody says that no daemon answers"
is 1 '.arrays[0] | .own_slot == 0 and .resyncer == 1 and .done_sectors == 20480 and
	(.slots[0] | .state == "active" and .window_low_sectors == 0 and
		.window_high_sectors == 65536 and .dirty_chunks == 880) and .unseen == []'
host resync 2
ends_with 1 mdcluster status --kernel
says "resync waits: another node has its turn" "not shown here"
is 1 '.arrays[0] | .own_slot == 1 and .waits == "PENDING" and .resyncer == null and
	.slots[0].state == "unknown" and .slots[0].dirty_chunks == 880'

# --- what two nodes have dirty ------------------------------------------------------------------
host dirty 1
is 0 '.node == 1 and (.arrays[0] | .nodes == [1, 2] and .message != null and
	(.slots | map(.dirty_chunks)) == [848, 40, 0, 0])'
host dirty 2
is 0 '.node == 2 and .arrays[0].own_slot == 1'

# --- a node dies: its slot waits, then its bits are the survivor's ------------------------------
host crashed 1
is 0 '.arrays[0].slots[1] | .state == "unknown" and .dirty_chunks == 600'
rm -r "$root/sys/kernel/config/dlm/cluster/spaces/$(space)/nodes/2"
is 1 '.arrays[0].slots[1].state == "vacant"'
ends_with 1 mdcluster status --kernel
says "37.50 MiB are dirty in slots of nodes that are gone: they wait for a recovery"
host recovering 1
is 1 '.arrays[0] | .nodes == [1] and (.slots[0] | .window_low_sectors == 1280 and
	.window_high_sectors == 66816 and .dirty_chunks == 600) and .slots[1].dirty_chunks == 0'

# --- disks, messages ------------------------------------------------------------------------------
host degraded 1
ends_with 1 mdcluster status --kernel
says "[2/1] [U_]" "disk faulty  /dev/vdb"
sed -i 's/^lkb 8 2 2 170 0 4 10000 2 0/lkb 8 2 2 170 0 4 10000 2 5/' "$(locks_file)"
ends_with 1 mdcluster status --kernel
says "node 2 tells the others: "
is 1 '.arrays[0].speaker == 2'
# a kernel that kicked a disk as it assembled, while another wrote superblocks: B58
host dirty 1
rm -rf "$md/dev-vdb" "$md/rd1"
echo 1 >"$md/degraded"
is 1 '.arrays[0].unused_roles == [1]'
ends_with 1 mdcluster status --kernel
says "it runs without what the superblocks have in role 1"
host dirty 1
is 0 '.arrays[0].unused_roles == []'
host degraded 1 # that disk has failed for all
is 1 '.arrays[0].unused_roles == []'
echo inactive >"$md/array_state"
is 2 '.health == "down"'

# --- one of several, by any name of it --------------------------------------------------------------
for word in md0 /dev/md0 node1:0 0 5cc387be:9514be2f:c309f268:a6b91996 \
	5cc387be-9514-be2f-c309-f268a6b91996; do
	host dirty 1
	ends_with 0 mdcluster status --kernel "$word"
	says "md0  raid1"
done
expect_fail 4 mdcluster status --kernel db
expect_fail 2 mdcluster status --kernel --wait=idle

# --- what cannot be seen is said, and the rest is shown ---------------------------------------------
host dirty 1
rm -r "$root/sys/kernel/debug"
ends_with 0 mdcluster status --kernel
says "53.00 MiB" "not seen: locks, resync windows and messages: debugfs shows no DLM; mount -t debugfs debugfs /sys/kernel/debug"
rm -r "$root/sys/kernel/config"
ends_with 0 mdcluster status --kernel
says "not seen: which nodes have it in use"
rm -r "$root/dev"
ends_with 0 mdcluster status --kernel
says "md0  raid1  active" "not seen: what the slots on the disks hold" "vdb: No such file or directory"

# --- an old kernel tells no uuid: the disks do --------------------------------------------------------
host dirty 1
rm "$md/uuid"
is 0 '.arrays[0].uuid == "5cc387be:9514be2f:c309f268:a6b91996" and .arrays[0].own_slot == 0'

# --- a kernel that runs none --------------------------------------------------------------------------
rm -r "$root/sys/block/md0"
ends_with 0 mdcluster status --kernel
says "the kernel of this host runs no clustered array"
expect_fail 4 mdcluster status

# --- one that is no cluster's is not shown ------------------------------------------------------------
host dirty 1
echo internal >"$md/bitmap/metadata"
is 0 '.arrays == []'

# --- debugfs of any kind ----------------------------------------------------------------------------
host dirty 1
{
	echo "rsb"
	echo "rsb 0 0 0 0 0 0 0 99 str bitmap0099"
	echo "rsb 0 0 0 0 0 0 0 10 str bitmapXXXX"
	echo "lvb 1 64 zz"
	echo "lkb"
	printf 'rsb 0 0 0 0 0 0 0 4 hex 00 01'
	head -c 9000 /dev/zero | tr '\0' ' '
} >"$(locks_file)"
ends_with 0 mdcluster status --kernel
