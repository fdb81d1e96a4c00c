#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file system of a cluster on an array of ours: two machines have the array attached, and
# the same file system mounted; both write. One dies; the other recovers what that left, of
# the array and of the file system, goes on, and has all that was fsynced; and fsck finds nothing.
#
#	shared-fs.sh [ocfs2|gfs2]...        (default: both)
#	    ocfs2      with a cluster of its own, in the kernel
#	    gfs2       on corosync and the kernel's DLM, which run beside our ring and locks
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
. "$srcdir/tests/vm/ours.sh"
need_lab tools

# --- file systems: FS_cluster, FS_make DEVICE, FS_mount N DEVICE, FS_fence_2, FS_check DEVICE ------

ocfs2_cluster() { # both
  local n
  for n in 1 2; do ocfs2_node $n; done
}
ocfs2_node() { # N
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
ocfs2_make() { on 1 "mkfs.ocfs2 -q -F -N 2 -J size=4M -b 4096 -C 4096 --fs-feature-level=max-compat -T mail $1"; }
ocfs2_mount() { on "$1" "mount.ocfs2 $2 /mnt"; }
ocfs2_fence_2() { :; } # who does not beat on the disk is dead to it
ocfs2_replayed="ocfs2: End replay journal (node 2"
ocfs2_check() { on 1 "fsck.ocfs2 -fn $1"; }

gfs2_cluster() {
  local n
  kernel_cluster 2 1 2
  for n in 1 2; do
    dlm_fences "$n"
    on "$n" "modprobe gfs2"
  done
  for n in 1 2; do until_on "$n" "dlm_controld does not begin anew" 'dlm_tool status 2>/dev/null | grep -q "^node '"$n"' M" && ! dlm_tool status | grep -q fence_init'; done
}
gfs2_make() { on 1 "mkfs.gfs2 -q -O -p lock_dlm -t $home_cluster:mail -j 2 -J 8 $1"; }
gfs2_mount() { on "$1" "mount -t gfs2 $2 /mnt"; }
gfs2_fence_2() {
  until_on 1 "dlm_controld does not ask for its fencing" 'grep -qx 2 /tmp/to-be-fenced'
  ! try_on 1 "dmesg | grep '$gfs2_replayed'" >said || fail "a journal is replayed of who may still write: $(cat said)"
  on 1 'touch /tmp/is-off.2'
}
gfs2_replayed="gfs2: fsid=$home_cluster:mail.*jid=[01]: Journal replayed in"
gfs2_check() { on 1 "fsck.gfs2 -n $1"; }

# --- who writes --------------------------------------------------------------------------------------

# Some files, each fsynced, of which no byte may be lost; their sums
writes() { # N
  on "$1" "mkdir -p /mnt/of-$1; cd /mnt/of-$1; for i in \$(seq 8); do
      dd if=/dev/urandom of=f\$i bs=4k count=\$i conv=fsync 2>/dev/null || exit 1
    done; md5sum f*"
}
keeps_writing() { # N: in the background, for ever
  on "$1" "cd /mnt; (i=0; while :; do i=\$((i + 1)); dd if=/dev/urandom of=more-$1-\$((i % 8)) bs=4k count=4 conv=fsync 2>/dev/null || exit; sleep 0.1; done) </dev/null >/dev/null 2>&1 & echo \$! >/tmp/writer.pid"
}
sums_of() { on "$1" "cd /mnt/of-$2 && md5sum f*"; } # N, of whom

# --- the story ---------------------------------------------------------------------------------------

story() { # FS
  local fs=$1 n device first second replayed=${1}_replayed
  rm -rf "$MDC_LAB"/disk-*
  lab disk a 160M
  lab disk b 160M
  ours_boot
  "${fs}_cluster"
  for n in 1 2; do
    device=$(ours_ask "$n" attach "$array")
    expect_equal "its device" /dev/nbd0 "$device"
  done
  "${fs}_make" "$device" >made
  for n in 1 2; do "${fs}_mount" "$n" "$device"; done
  first=$(writes 1)
  second=$(writes 2)
  expect_equal "what machine 1 reads of 2" "$second" "$(sums_of 1 2)"
  expect_equal "what machine 2 reads of 1" "$first" "$(sums_of 2 1)"
  on 1 'dmesg -c' >/dev/null
  keeps_writing 2
  keeps_writing 1
  sleep 1
  ours_dies 2
  "${fs}_fence_2"
  until_on 1 "the journal of who died is not replayed" "dmesg | grep -q '${!replayed}'" 500
  expect_equal "what machine 2 had fsynced" "$second" "$(sums_of 1 2)"
  expect_equal "what machine 1 had fsynced" "$first" "$(sums_of 1 1)"
  writes 1 >/dev/null
  ours_idle 1
  ! try_on 1 'dmesg | grep -E "I/O error|OCFS2: ERROR|now read-only|withdraw|fatal:"' >errors || fail "machine 1 sees: $(head -n 5 errors)"
  on 1 'kill $(cat /tmp/writer.pid); while [ -d /proc/$(cat /tmp/writer.pid) ]; do sleep 0.1; done; umount /mnt'
  "${fs}_check" "$device" >checked
  ours_ask 1 detach "$array"
  lab down
  echo "$fs: machine 2 died, its journal was replayed, all that was fsynced is there (at $SECONDS s)"
}

[ $# != 0 ] || set -- ocfs2 gfs2
for fs; do story "$fs"; done
