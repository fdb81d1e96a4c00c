#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system of a cluster on an array of ours: two machines have the array attached, and
# the same file system mounted; both write. One dies; the other recovers what that left, of
# the array and of the file system, goes on, and has all that was fsynced.
#
#	shared-fs.sh [ocfs2|gfs2]...        (default: ocfs2, which needs no DLM besides its own)
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
. "$srcdir/tests/vm/ours.sh"
need_lab tools

cluster_up() { # N
  on "$1" "modprobe ocfs2_stack_o2cb; modprobe ocfs2
    grep -q ' /sys/kernel/config ' /proc/mounts || mount -t configfs configfs /sys/kernel/config
    ln -sf /proc/mounts /etc/mtab # where its tools look
    mkdir -p /etc/ocfs2; cat >/etc/ocfs2/cluster.conf <<END
cluster:
	name = lab
	heartbeat_mode = local
	node_count = 2

node:
	cluster = lab
	number = 1
	ip_port = 7777
	ip_address = 10.77.0.1
	name = node1

node:
	cluster = lab
	number = 2
	ip_port = 7777
	ip_address = 10.77.0.2
	name = node2
END
    echo o2cb >/sys/fs/ocfs2/cluster_stack
    at=/sys/kernel/config/cluster/lab; mkdir \$at
    for i in 1 2; do
      mkdir \$at/node/node\$i
      echo 7777 >\$at/node/node\$i/ipv4_port
      echo 10.77.0.\$i >\$at/node/node\$i/ipv4_address
      echo \$i >\$at/node/node\$i/num || exit 1 # after its address
    done
    echo 1 >\$at/node/node$1/local || exit 1
    echo 11 >\$at/heartbeat/dead_threshold" >/dev/null
}

# Some files, each fsynced, of which no byte may be lost; their sums
writes() { # N
  on "$1" "mkdir -p /mnt/of-$1; cd /mnt/of-$1; for i in \$(seq 8); do
      dd if=/dev/urandom of=f\$i bs=4k count=\$i conv=fsync 2>/dev/null || exit 1
    done; md5sum f*"
}
keeps_writing() { # N: in the background, for ever
  on "$1" "cd /mnt; (i=0; while :; do i=\$((i + 1)); dd if=/dev/urandom of=more-$1-\$((i % 8)) bs=4k count=4 conv=fsync 2>/dev/null || exit; sleep 0.1; done) </dev/null >/dev/null 2>&1 &"
}
sums_of() { on "$1" "cd /mnt/of-$2 && md5sum f*"; } # N, of whom

lab disk a 160M
lab disk b 160M
ours_boot
for n in 1 2; do
  cluster_up "$n"
  device=$(ours_ask "$n" attach "$array")
  expect_equal "its device" /dev/nbd0 "$device"
done
on 1 "mkfs.ocfs2 -q -F -N 2 -J size=4M -b 4096 -C 4096 --fs-feature-level=max-compat -T mail $device"
for n in 1 2; do on "$n" "mount.ocfs2 $device /mnt"; done
first=$(writes 1)
second=$(writes 2)
expect_equal "what machine 1 reads of 2" "$second" "$(sums_of 1 2)"
expect_equal "what machine 2 reads of 1" "$first" "$(sums_of 2 1)"
keeps_writing 2
keeps_writing 1
sleep 1
ours_dies 2
until_on 1 "the journal of who died is not replayed" 'dmesg | grep -q "ocfs2: End replay journal (node 2"' 500
expect_equal "what machine 2 had fsynced" "$second" "$(sums_of 1 2)"
expect_equal "what machine 1 had fsynced" "$first" "$(sums_of 1 1)"
writes 1 >/dev/null
ours_idle 1
! try_on 1 'dmesg | grep -E "I/O error|OCFS2: ERROR|now read-only"' >errors || fail "machine 1 sees: $(head -n 5 errors)"
echo "OCFS2: machine 2 died, its journal was replayed, all that was fsynced is there"
