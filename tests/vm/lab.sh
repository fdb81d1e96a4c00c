#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab itself: what the other stories rely on. Machines boot and obey; a cut network is
# cut, and heals; a machine that is paused does not answer, and goes on; what was flushed
# outlives a power cut, and what was not may be lost; a snapshot is a moment's.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab

lab disk a 16M
lab disk b 16M
boot 2
expect_equal "output of a command" "Linux node2" "$(on 2 'uname -sn')"
code=0
try_on 1 'exit 7' || code=$?
expect_equal "code of a command" 7 "$code"
echo "some input" >file
lab put 1 file /tmp/file
expect_equal "a file that was put there" "some input" "$(on 1 'cat /tmp/file')"

hears() { try_on "$1" "ping -c 1 -w 2 10.77.0.$2" >/dev/null 2>&1; }
hears 1 2 || fail "the machines are not on one network"
lab cut 1 2
! hears 1 2 || fail "a cut network is not cut"
lab heal
hears 2 1 || fail "the network does not heal"

lab pause 2
code=0
lab exec 2 -t 1 'echo I am here' >said || code=$?
expect_equal "a machine that is paused" 126 "$code"
lab resume 2
expect_equal "a machine that goes on" "here" "$(on 2 'echo here')"

# 1 MiB of A, flushed; then of B, not flushed; the first sector of C, with FUA
pattern() { on 1 "tr '\\0' $1 </dev/zero 2>/dev/null | dd of=/dev/vda bs=${2:-1M} count=1 iflag=fullblock conv=notrunc status=none $3"; }
pattern A 1M oflag=direct
on 1 'blockdev --flushbufs /dev/vda; sync /dev/vda' >/dev/null
pattern B 1M oflag=direct
pattern C 512 oflag=direct,dsync
expect_equal "what the other machine reads" "CB" "$(on 2 'dd if=/dev/vda bs=512 count=2 iflag=direct 2>/dev/null | tr -s "BC"')"
lab snapshot now
expect_equal "a snapshot as it is" "CB" "$(head -c 1M now/disk-a.img | tr -s 'ABC')"
seed=$RANDOM
lab snapshot cut "$seed"
lab snapshot again "$seed"
cmp cut/disk-a.img again/disk-a.img || fail "one seed, two power cuts"
lab fail b
! try_on 1 'dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct status=none' >/dev/null 2>&1 || fail "a failed disk is read"
lab go b
lab hang b
on 2 'dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct status=none; echo done' >hung &
reader=$!
expect_equal "a disk beside one that hangs" "CB" "$(on 2 'dd if=/dev/vda bs=512 count=2 iflag=direct 2>/dev/null | tr -s "BC"')"
[ ! -s hung ] || fail "a disk that hangs is read"
lab go b
wait $reader
expect_equal "what waited for a disk" "done" "$(cat hung)"
lab power-cut "$seed" >/dev/null
lab status | grep -q 'machines none,' || fail "machines run without power: $(lab status)"
cmp cut/disk-a.img lab/disk-a.img || fail "a snapshot is not what a power cut leaves (seed $seed)"
expect_equal "the sector that was written with FUA" C "$(head -c 512 lab/disk-a.img | tr -s C)"
! head -c 1M lab/disk-a.img | LC_ALL=C grep -q '[^ABC]' || fail "the disk holds what nobody wrote"

start_machine 1
lab kill 1
code=0
lab exec 1 true >/dev/null || code=$?
expect_equal "a machine that was killed" 126 "$code"
lab down
lab status | grep -q 'machines none, disks a b (off)' || fail "not all is down: $(lab status)"
