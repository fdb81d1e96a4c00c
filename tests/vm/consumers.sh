#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An array as a block device of a real kernel: a file system on it, while the engine behind
# it is killed, and the other machine dies. No write fails, and nothing is lost; the device
# is taken away and made again, read-only too, over a restart of the daemon.
#
#	consumers.sh [STORY...]      (default: those of CI)
#	    engine      the engine is killed while files are written; then the other machine
#	    again       detach, a new daemon, attach; --read-only; two connections
#	    keeper      who keeps the device connected is killed, alone and with all its processes
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
. "$srcdir/tests/vm/ours.sh"
need_lab tools

# --- a file system, and who writes on it -----------------------------------------------------------

device=
attached() { # N OPTION...
  local n=$1
  shift
  device=$(ours_ask "$n" attach "$@" "$array")
  case $device in /dev/nbd*) ;; *) fail "attach says '$device'" ;; esac
}
make_fs() { # N
  attached "$1"
  on "$1" "modprobe ext4; mkfs.ext4 -q -E nodiscard $device && mount -o errors=remount-ro $device /mnt"
}
# fio writes, and reads what it wrote, until it is told to end; errors of the device are its own.
fio_begins() { # N
  on "$1" 'cd /mnt; cat >/tmp/job <<END
[global]
size=4M
verify=crc32c
verify_backlog=32
verify_fatal=1
time_based
runtime=600
ioengine=psync
thinktime=10000
randseed='$RANDOM'
[synchronous]
rw=randwrite
bs=4k
fsync=1
[whole]
rw=write
bs=64k
fsync=8
END
    setsid fio --output=/tmp/fio.out /tmp/job </dev/null >/tmp/fio.err 2>&1 & echo $! >/tmp/fio.pid'
  until_on "$1" "fio does not begin" '[ "$(stat -c %s /mnt/synchronous.0.0 /mnt/whole.0.0 2>/dev/null | wc -l)" = 2 ]'
}
fio_goes_on() { # N: since it was asked; a file of its own tells
  on "$1" 'f=/mnt/whole.0.0; was=$(stat -c %y $f); i=0
    until [ "$(stat -c %y $f)" != "$was" ]; do i=$((i + 1)); [ $i -lt 600 ] || { dmesg | tail; exit 1; }; sleep 0.1; done'
}
fio_is_content() { # N
  on "$1" 'kill -INT $(cat /tmp/fio.pid); while [ -d /proc/$(cat /tmp/fio.pid) ]; do sleep 0.1; done
    cat /tmp/fio.err; ! grep -E "err= *[1-9]|verify: bad|Input/output" /tmp/fio.out /tmp/fio.err'
}
no_error_seen() { # N: by the kernel
  ! try_on "$1" 'dmesg | grep -E "I/O error|EXT4-fs error|Aborting journal|Remounting|ocfs2.*ERROR"' >errors ||
    fail "machine $1 sees: $(head -n 5 errors)"
}
# Of all that is there.
sums() { on "$1" 'cd /mnt && find . -type f | sort | xargs md5sum'; }

# --- stories ------------------------------------------------------------------------------------------

# What is under way in a killed engine is done by the next one.
story_engine() {
  local before
  make_fs 1
  fio_begins 1
  for _ in 1 2; do
    ours_kill_engine 1
    ours_active 1
    fio_goes_on 1
  done
  no_error_seen 1
  ours_dies 2
  fio_goes_on 1
  fio_is_content 1
  no_error_seen 1
  on 1 'touch /mnt/still && sync'
  ours_idle 1
  before=$(sums 1)
  on 1 'umount /mnt && e2fsck -fn '"$device" >fsck
  ours_ask 1 detach "$array"
  ! try_on 1 "test -e /sys/block/${device#/dev/}/pid" >/dev/null || fail "$device is still connected"
  attached 1 --read-only
  on 1 "mount -r $device /mnt" >/dev/null
  expect_equal "the files" "$before" "$(sums 1)"
  on 1 "umount /mnt"
  ours_ask 1 detach "$array"
  echo "engine: killed twice below ext4, and the other machine once: no error, all files as they were written"
}

# Nobody who can be killed stands between a file system and its array for good.
guardian() { on "$1" "awk '{ print \$3 }' /run/mdcluster/$array.attached"; }
orphan() { on "$1" "kill -s KILL -- -$(guardian "$1")"; } # N: nobody is left
take_over() { expect_equal "the device that is taken over" "$device" "$(ours_ask "$1" attach "$array" | tail -n 1)"; }
next_engine() { # N: and what is written below it
  ours_kill_engine "$1"
  ours_active "$1"
}
story_keeper() {
  local guardian
  make_fs 1
  fio_begins 1
  guardian=$(guardian 1)
  on 1 "kill -KILL \$(cat /proc/$guardian/task/$guardian/children)"
  next_engine 1
  fio_goes_on 1
  # of a connection that lives: the spare one tells
  orphan 1
  take_over 1
  next_engine 1
  fio_goes_on 1
  # of one that died since
  orphan 1
  next_engine 1
  take_over 1
  fio_goes_on 1
  fio_is_content 1
  no_error_seen 1
  on 1 'umount /mnt && e2fsck -fn '"$device" >fsck
  ours_ask 1 detach "$array"
  ! try_on 1 "test -e /sys/block/${device#/dev/}/pid" >/dev/null || fail "$device is still connected"
  echo "keeper: killed alone, with its guardian, and before the engine: the same device goes on each time"
}

# What is written while no daemon runs is written by the next one.
fills() { # CHARACTER MIB-FROM
  echo "head -c 2097152 /dev/zero | tr '\\0' $1 | dd of=$device bs=64k seek=$(($2 * 16)) iflag=fullblock oflag=direct conv=fsync"
}
holds() { # CHARACTER MIB-FROM
  echo "[ \$(dd if=$device bs=64k skip=$(($2 * 16)) count=32 iflag=direct 2>/dev/null | tr -d $1 | wc -c) = 0 ]"
}
story_again() {
  attached 1 --connections=2
  on 1 "$(fills x 0) 2>/dev/null"
  on 1 "($(fills y 2)) >/tmp/dd.err 2>&1 & echo \$! >/tmp/dd.pid"
  ours_stop 1
  ours_start 1
  ours_active 1
  until_on 1 "a write over the restart does not end" '[ ! -d /proc/$(cat /tmp/dd.pid) ]' 500
  on 1 "! grep -i error /tmp/dd.err"
  on 1 "$(holds x 0)"
  on 1 "$(holds y 2)"
  no_error_seen 1
  ours_ask 1 detach "$array"
  attached 1 --read-only
  ! try_on 1 "dd if=/dev/zero of=$device bs=64k count=1 oflag=direct" >said 2>&1 || fail "a read-only device is written to"
  expect_equal "read-only" 1 "$(on 1 "blockdev --getro $device")"
  on 1 "$(holds x 0)"
  ours_ask 1 detach "$array"
  echo "again: a write went on over a restart of the daemon, on two connections; read-only is read-only"
}

lab disk a 160M
lab disk b 160M
ours_boot
[ $# != 0 ] || set -- again keeper engine
for story; do "story_$story"; done
