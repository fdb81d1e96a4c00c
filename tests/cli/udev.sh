#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The udev rules, beside mdadm's: what udev would run for a member of a clustered array, for
# one of an ordinary array, for a disk that goes; and that what it runs assembles the array.
. "$(dirname "$0")/functions.sh"
need_root
need udevadm losetup mount unshare
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no namespaces here"
. "$(dirname "$0")/daemon-functions.sh"
mkdir sbin
ln -s "$builddir/mdcluster" sbin/

# udev's own folders are ours from here on: nothing that is tried here is left on this host
{ mount --make-rprivate / && mount -t tmpfs tmpfs /run; } || skip "no mounts of our own here"
for folder in /dev/disk /dev/block; do
  [ ! -d $folder ] || mount -t tmpfs tmpfs $folder
done
mkdir -p /run/udev/rules.d /run/udev/data
sed "s,@sbindir@,$PWD/sbin,g; s,/run/mdcluster/,$PWD/run.1/,g" \
  "$srcdir/tools/system/66-mdcluster.rules.in" >/run/udev/rules.d/66-mdcluster.rules

# would ACTION DEVICE [KEY=VALUE...]: what udev does with that event, in `said`; what it would
# run at the end, in `runs`
would() {
  local action=$1 device=$2
  udevadm test --action="$action" "/sys/class/block/${device#/dev/}" >said 2>&1 || fail "udevadm test: $(tail -n 3 said)"
  sed -n "s/^run: '\(.*\)'$/\1/p" said | grep mdcluster >runs || :
}

# --- the file itself -----------------------------------------------------------------------------
make_array web a.img b.img --nodes=4 --assume-clean
with_loop a.img
one=$loop
would add "$one"
grep -q 'Reading rules file: /run/udev/rules.d/66-mdcluster.rules' said || grep -q '66-mdcluster.rules' said ||
  fail "the rules are not read: $(grep -i rules said | head -n 5)"
! grep -E '66-mdcluster.rules:[0-9]+.*(nvalid|nknown|gnoring|ailed)' said || fail "udev does not like the rules"

# --- a clustered member: known by its cluster; nobody is told where no daemon runs ---------------
for line in MD_CLUSTER_NAME=alpha MD_CLUSTER_NODES=4; do
  grep -qxF "$line" said || fail "udev does not know $line"
done
[ ! -s runs ] || fail "without a daemon udev runs $(cat runs)"
if [ -e /usr/lib/udev/rules.d/64-md-raid-assembly.rules ]; then
  # mdadm is asked as well, before us, and leaves it alone; it keeps it from us in no way
  grep -n 'rules.d/6[46]-md.* Importing' said >order || fail "mdadm's rule is not there"
  sed -n 1p order | grep -q 64-md-raid-assembly || fail "mdadm's rule comes later: $(cat order)"
  ! grep -qE '^MD_(STARTED|FOREIGN)=' said || fail "mdadm has done something with it"
  ! grep -q 'mdadm-last-resort' said || fail "mdadm would start it degraded"
fi

# --- with a daemon: what udev would run assembles the array --------------------------------------
with_loop b.img
two=$loop
configure 1 "array web { uuid = $(mdcluster examine --json a.img | jq -r .uuid) scan = { \"$one\", \"$two\" } auto = yes }"
losetup -d "$two"
start 1
ring_of 1
losetup "$two" b.img || skip "$two is somebody else's by now"
would add "$two"
expect_equal "commands" 1 "$(wc -l <runs)"
case $(cat runs) in
"$PWD/sbin/mdcluster incremental --quiet $two "*) ;;
*) fail "udev would run $(cat runs)" ;;
esac
MDCLUSTER_RUN_DIR=$PWD/run.1 sh -c "$(cat runs)" || fail "$(cat runs)"
await "what udev runs does not assemble the array" shows 1 '.status // . | .arrays[0].state' active

# --- it changes while it is in use, as each closing of it says: that is no news --------------------
would change "$two"
MDCLUSTER_RUN_DIR=$PWD/run.1 sh -c "$(cat runs)" || fail "$(cat runs)"

# --- it goes -------------------------------------------------------------------------------------------
would remove "$two"
case $(cat runs) in
"$PWD/sbin/mdcluster incremental --quiet --fail $two"*) ;;
*) fail "when it goes udev would run '$(cat runs)'" ;;
esac
MDCLUSTER_RUN_DIR=$PWD/run.1 sh -c "$(cat runs)" || fail "$(cat runs)"
await "a disk that went is in sync" shows 1 '.status // . | .arrays[0].disks_in_sync' 1

# --- an ordinary array's member is mdadm's alone ---------------------------------------------------------
make_disk plain.img 64M
make_array plain plain.img p.img --nodes=4 --assume-clean
# the clustered bit is what decides: bytes 8..11 of the superblock, and its sum
python3 - plain.img <<'END' || fail "no ordinary member could be made"
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(4096)
    sb = bytearray(f.read(256 + 2 * 128))
    struct.pack_into("<I", sb, 8, struct.unpack_from("<I", sb, 8)[0] & ~(0x100 | 1))
    max_dev = struct.unpack_from("<I", sb, 220)[0]
    struct.pack_into("<I", sb, 216, 0)
    size = 256 + 2 * max_dev
    total = sum(struct.unpack_from("<%dI" % (size // 4), sb, 0))
    if size & 2:
        total += struct.unpack_from("<H", sb, size - 2)[0]
    struct.pack_into("<I", sb, 216, ((total & 0xffffffff) + (total >> 32)) & 0xffffffff)
    f.seek(4096)
    f.write(sb)
END
mdcluster examine --export plain.img >plain || fail "the ordinary member is damaged"
! grep -q CLUSTER plain || fail "it is clustered"
with_loop plain.img
would add "$loop"
! grep -q '^MD_CLUSTER' said || fail "an ordinary member is taken for a clustered one"
[ ! -s runs ] || fail "for an ordinary member udev would run $(cat runs)"
would remove "$loop"
[ ! -s runs ] || fail "for an ordinary member that goes udev would run $(cat runs)"
