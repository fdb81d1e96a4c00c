#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mdcluster migrate --check: what can move between the kernel's md-cluster and mdclusterd, and by
# which commands; and what cannot, by name, with what to do. Arrays of other kinds, which mdadm
# 4.2 made on Linux 6.1 (tests/data/foreign), are refused by the other commands, too.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"
# shellcheck source=tests/cli/kernel-functions.sh
. "$srcdir/tests/cli/kernel-functions.sh"
need sha256sum python3

# check CODE ARGUMENT...: its JSON in `answer`; the text ends alike, and nothing is written
check()
{
	local code=$1
	shift
	sha256sum ./*.img >before 2>/dev/null || :
	ends_with "$code" mdcluster migrate --check --json "$@"
	printf '%s\n' "$out" >answer
	ends_with "$code" mdcluster migrate --check "$@"
	sha256sum ./*.img >after 2>/dev/null || :
	cmp -s before after || fail "migrate --check $*: wrote"
	jq -e '.is_possible == (.steps != [])' answer >/dev/null || fail "$*: steps of what cannot move"
}

# is JQ: true of the answer
is()
{
	jq -e "$1" answer >/dev/null || fail "$1 is not so: $(cat answer)"
}

# blocks KIND [WORDS]: a finding of that kind keeps it where it is, and has a remedy
blocks()
{
	is "any(.findings[]; .weight == \"blocks\" and .kind == \"$1\" and .remedy != \"\" and
		(.what + .remedy | contains(\"${2:-}\")))"
}

# --- an array that the kernel runs ------------------------------------------------------------
host dirty 1
for word in md0 /dev/md0 0 "$root/dev/vda $root/dev/vdb"; do
	# shellcheck disable=SC2086 # two disks
	check 0 $word
	is '.to == "mdclusterd" and .cluster == "mycluster" and .name == "0" and
		any(.findings[]; .kind == "owner" and .weight == "first" and
			(.what | contains("/dev/md0, on nodes 1, 2"))) and
		any(.findings[]; .kind == "dirty" and (.what | contains("0 (53.00 MiB), 1 (2.50 MiB)")))'
	# what corosync and the DLM did for the kernel is not done for us by itself
	is 'any(.findings[]; .kind == "fencing" and .weight == "note") and
		any(.findings[]; .kind == "quorum" and (.remedy | contains("two_node = yes")))'
	# who has it lets go of it, everywhere, before the other begins
	is '[.steps[] | select(.file == null) | .text | split(" ")[:2] | join(" ")] ==
		["umount /dev/md0", "mdadm --stop", "mdcluster keygen", "systemctl enable",
		 "mdcluster assemble", "mdcluster status"] and
		(.steps[] | select(.text | startswith("mdadm --stop")) | .where == "every node")'
done
says "0  raid1  2 disks  4 slots  cluster mycluster  can move to mdclusterd" \
	'$ mdadm --stop /dev/md0' 'node node2 { id = 2  address = "10.77.0.2" }'
# what it says belongs in the file is a file that the daemon takes
jq -r '.steps[] | select(.file == "/etc/mdcluster/mdclusterd.conf").text' answer >daemon.conf
if [ -x "$builddir/mdclusterd/mdclusterd" ]; then
	ends_with 0 "$builddir/mdclusterd/mdclusterd" --check-config --config=daemon.conf
fi
check 1 --to-kernel md0
blocks owner "already"
host degraded 1
check 0 md0
is 'any(.findings[]; .kind == "degraded" and .weight == "note")'
host resync 1
check 0 md0
is 'any(.findings[]; .kind == "activity" and (.what | startswith("resync goes on")))'
echo reshape >"$md/sync_action"
check 1 md0
blocks reshape
host dirty 1
echo file >"$md/bitmap/location"
check 1 md0
blocks bitmap-file
host dirty 1
rm -rf "$md/dev-vdb" "$md/rd1"
check 1 md0
blocks kicked "mdadm /dev/md0 --fail"
no_host

# --- and one that is ours, to the kernel ----------------------------------------------------------
make_disk a.img 16M
make_disk b.img 16M
make_array web --assume-clean --uuid=01020304:05060708:090a0b0c:0d0e0f10 a.img b.img
check 0 --to-kernel a.img b.img
is '.to == "kernel" and all(.steps[]; .text | contains("--gather") | not) and
	(.steps[-1] | .where == "the other nodes" and .text == "mdadm --assemble /dev/md/web a.img b.img")'
mdcluster update --mark=0:7 a.img b.img
check 0 --to-kernel a.img b.img
is 'all(.steps[]; .text | contains("--gather") | not)'
mdcluster update --mark=1:3-5 a.img b.img
check 0 --to-kernel a.img b.img
is 'any(.findings[]; .kind == "dirty" and .weight == "first")'
# the command that it says is the one that is due
bash -c "$(jq -r '.steps[] | select(.text | contains("--gather")).text' answer)" || fail "--gather"
check 0 --to-kernel a.img b.img
is 'all(.steps[]; .text | contains("--gather") | not)'
check 0 a.img b.img

# one disk of two is named: the other one has not failed
check 1 a.img
blocks members
# a slot that is missing on a disk, as Linux 6.1 leaves it on one that was added
cp b.img whole
dd if=/dev/zero of=b.img bs=4096 count=1 seek=5 conv=notrunc status=none
check 1 --to-kernel a.img b.img
blocks slot "b.img: slot 3"
check 0 a.img b.img
is 'any(.findings[]; .kind == "slot" and .weight == "note")'
cp whole b.img

# a kernel that has no md-cluster, and one that has
MDCLUSTER_TEST_ROOT=$tmp/none check 0 --to-kernel a.img b.img
is 'any(.findings[]; .kind == "modules")'
mkdir -p with/proc/sys/kernel with/lib/modules/6.1.0
echo 6.1.0 >with/proc/sys/kernel/osrelease
echo "kernel/drivers/md/md-cluster.ko: kernel/fs/dlm/dlm.ko" >with/lib/modules/6.1.0/modules.dep
echo "kernel/fs/dlm/dlm.ko:" >>with/lib/modules/6.1.0/modules.dep
MDCLUSTER_TEST_ROOT=$tmp/with check 0 --to-kernel a.img b.img
is 'all(.findings[]; .kind != "modules")'

# --- a daemon on this host ----------------------------------------------------------------------
start_daemon healthy
status_is healthy '.cluster = "alpha" | .arrays[0].uuid = "01020304:05060708:090a0b0c:0d0e0f10"'
name=$(jq -r '.[0].reply.status.arrays[0].name' "$answers/Status.json")
check 0 --to-kernel a.img b.img
is 'any(.findings[]; .kind == "owner" and .weight == "first") and
	[.steps[].text][:2] == ["mdcluster detach '"$name"'", "mdcluster stop '"$name"'"]'
check 1 a.img b.img
blocks owner "already"
status_is healthy '.cluster = "beta"'
check 1 a.img b.img
blocks cluster "--home-cluster=beta"
status_is healthy '.cluster = "alpha"'
check 0 a.img b.img
is 'all(.findings[]; .kind != "fencing" and .kind != "quorum")' # it is configured
is 'any(.steps[]; .text == "mdcluster reload") and all(.steps[]; .text | contains("keygen") | not) and
	all(.steps[]; .text | contains("cluster {") | not)'
stop_daemon

# --- what is no clustered array ----------------------------------------------------------------
# foreign NAME DISKS KIND WORDS: named by migrate; by what would write; and left alone
foreign()
{
	local name=$1 kind=$3 words=$4 disk disks=()

	rm -f ./*.img
	for disk in $2; do
		zstd -qd "$srcdir/tests/data/foreign/$name.$disk.img.zst" -o "$disk.img"
		disks+=("$disk.img")
	done
	sha256sum ./*.img >before.foreign
	check 1 "${disks[@]}"
	blocks "$kind" "$words" || is "any(.findings[]; .kind == \"$kind\" and (.what | contains(\"$words\")))"
	for command in "update --name=new" "grow --bitmap=clustered --home-cluster=alpha" "grow --size=max"; do
		# plain arrays become clustered ones
		[[ $name = plain && $command = *clustered* ]] && continue
		# shellcheck disable=SC2086 # words
		expect_fail 1 mdcluster $command "${disks[@]}"
		[[ $command = *clustered* && $name != reshape ]] || continue
		[[ $error = *"$words"* ]] || fail "$name: $command: '$words' is not in: $error"
	done
	ends_with 3 mdcluster incremental "${disks[0]}"
	sha256sum ./*.img >after.foreign
	cmp -s before.foreign after.foreign || fail "$name: something was written"
}
foreign v10 "a b" metadata "1.0"
foreign v11 "a b" metadata "1.1"
foreign plain "a b" bitmap "not a clustered one"
foreign far "a b" layout "far"
foreign offset "a b" layout "offset"
foreign mostly "a b" write-mostly "write-mostly"
foreign raid5 "a b c" level "neither raid1 nor raid10"
foreign ppl "a b c" level "neither raid1 nor raid10"
blocks ppl PPL
foreign journal "a b c" level "neither raid1 nor raid10"
blocks journal journal
foreign reshape "a b c d" level "neither raid1 nor raid10"
blocks reshape "under way"
foreign replacement "a b c" replacement "being replaced"
foreign badblocks "a b" bad-blocks "bad blocks"

# 0.90 is at the end of a disk, where nobody looks: it is named, and not called "no superblock"
rm -f ./*.img
zstd -qd "$srcdir/tests/data/foreign/v090.a.img.zst" -o a.img
zstd -qd "$srcdir/tests/data/foreign/v090.b.img.zst" -o b.img
ends_with 1 mdcluster migrate --check a.img b.img
says "version 0.90" "create a new array"
for command in examine examine-bitmap "update --name=new" "grow --size=max" zero "zero --force"; do
	# shellcheck disable=SC2086 # words
	expect_fail 1 mdcluster $command a.img
	[[ $error = *"version 0.90"* ]] || fail "$command: $error"
done
ends_with 3 mdcluster incremental a.img
says "version 0.90"
expect_fail 1 mdcluster create web --level=1 -n2 --home-cluster=alpha a.img b.img

# an array of the kernel's that becomes a clustered one, by what the finding says
rm -f ./*.img
zstd -qd "$srcdir/tests/data/foreign/plain.a.img.zst" -o a.img
zstd -qd "$srcdir/tests/data/foreign/plain.b.img.zst" -o b.img
check 1 a.img b.img
blocks bitmap "mdcluster grow --bitmap=clustered"
# the place that mdadm keeps for bad blocks is given up where none is recorded, as by its own
# --assemble --update=no-bbl, which here is done to a copy
mkdir no-bbl
cp a.img b.img no-bbl
python3 - <<'PYTHON'
import struct
for name in "no-bbl/a.img", "no-bbl/b.img":
    with open(name, "r+b") as f:
        f.seek(4096)
        b = bytearray(f.read(4096))
        b[185:192] = bytes(7) # bblog_shift, _size, _offset
        b[216:220] = bytes(4)
        n = 256 + 2 * struct.unpack_from("<I", b, 220)[0]
        total = sum(struct.unpack("<%dI" % (n // 4), b[:n]))
        struct.pack_into("<I", b, 216, (total + (total >> 32)) & 0xffffffff)
        f.seek(4096)
        f.write(b)
PYTHON
if command -v mdadm >/dev/null; then
	mdadm -E a.img | grep -q "Bad Block Log" || fail "there is no log to give up"
fi
mdcluster grow --bitmap=clustered --home-cluster=alpha a.img b.img || fail "grow --bitmap=clustered"
mdcluster grow --bitmap=clustered --home-cluster=alpha no-bbl/a.img no-bbl/b.img
for disk in a b; do
	cmp $disk.img no-bbl/$disk.img || fail "$disk.img: it is not what comes of --update=no-bbl"
	! command -v mdadm >/dev/null || ! mdadm -E $disk.img | grep "Bad Block Log" || fail "$disk.img has a log still"
done
check 0 a.img b.img
check 0 --to-kernel a.img b.img

# failfast is not heeded, and that is said
rm -f ./*.img
zstd -qd "$srcdir/tests/data/foreign/failfast.a.img.zst" -o a.img
zstd -qd "$srcdir/tests/data/foreign/failfast.b.img.zst" -o b.img
check 1 a.img b.img
is 'any(.findings[]; .kind == "failfast" and .weight == "note")'

# --- llbitmap, which Linux 6.1 cannot make: the version alone tells ----------------------------
rm -f ./*.img
make_disk a.img 16M
make_disk b.img 16M
make_array web --assume-clean a.img b.img
for disk in a b; do
	printf '\6' | dd of=$disk.img bs=1 seek=8196 conv=notrunc status=none
done
check 1 a.img b.img
says "llbitmap" "mdadm --grow --bitmap=none"

# --- words ---------------------------------------------------------------------------------------
expect_fail 2 mdcluster migrate a.img b.img
expect_fail 2 mdcluster migrate --check
expect_fail 1 mdcluster migrate --check nowhere.img
