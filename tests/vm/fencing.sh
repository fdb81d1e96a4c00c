#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Fencing with the real things, which no test on a host has: persistent reservations through
# the kernel's SG_IO on SCSI disks (LIO's, with a nexus for each node), and a watchdog that
# resets its host. Who was fenced writes nothing; who is waited for is surely gone first.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab
lab disk a 32M
lab disk b 32M
mdcluster keygen --quiet key
machine() { # N...
  local n
  start_machine "$@"
  for n; do
    lab put "$n" key /root/key
    on "$n" 'chmod 400 /root/key'
  done
}
machine 1

# --- nodes ---------------------------------------------------------------------------------------

# first node1 and node2 are on machine 1, then each is on its own
machine_of() { [ -n "${each_its_own:-}" ] && echo "$1" || echo 1; }
configure_node() { # I COUNT DISKS TEXT
  local address=(- 10.77.0.1 10.77.0.11) j
  [ -z "${each_its_own:-}" ] || address=(- 10.77.0.1 10.77.0.2 10.77.0.3)
  {
    echo "this_node = node$1"
    echo "run_dir = /run/node$1"
    echo "state_dir = /root/state.$1"
    echo "cluster { name = alpha key_file = /root/key }"
    for ((j = 1; j <= $2; j++)); do echo "node node$j { id = $j address = ${address[j]} }"; done
    echo "totem { port = 7400 token_ms = 3000 }"
    echo "array web { disks = { $3 } }"
    echo "$4"
  } >"c.$1"
  lab put "$(machine_of "$1")" "c.$1" "/root/c.$1"
}
# its own supervisor's pid, to end it by
start_node() { # I
  on "$(machine_of "$1")" "mdclusterd --config=/root/c.$1 >>/root/log.$1 2>&1 </dev/null & echo \$! >/root/pid.$1"
}
says() { # I TEXT
  until_on "$(machine_of "$1")" "node$1 does not say '$2': $(log_of "$1")" \
    "grep -q '$2' /root/log.$1"
}
log_of() { lab exec "$(machine_of "$1")" "tail -n 8 /root/log.$1"; }
active() { # I
  until_on "$(machine_of "$1")" "the array is not active on node$1" \
    "mdcluster status --json --run-dir=/run/node$1 | grep -q '\"state\": \"active\"'"
}
kill_node() { # I: supervisor and engine: nobody says anything
  on "$(machine_of "$1")" "p=\$(cat /root/pid.$1); kill -KILL \$p \$(cat /proc/\$p/task/\$p/children)"
}
stop_node() { # I
  on "$(machine_of "$1")" "p=\$(cat /root/pid.$1); kill -TERM \$p; while kill -0 \$p 2>/dev/null; do sleep 0.1; done"
}

# --- reservations: disks sda, sdb for node1; the same as sdc, sdd for node2 ---------------------------

on 1 'ip addr add 10.77.0.11/24 dev eth0
set -e
for m in target_core_mod tcm_loop sd_mod; do modprobe $m; done
mount -t configfs configfs /sys/kernel/config 2>/dev/null || :
cd /sys/kernel/config/target
for d in 0 1; do
  mkdir -p core/rd_mcp_$d/disk
  echo rd_pages=8192 >core/rd_mcp_$d/disk/control
  echo 1 >core/rd_mcp_$d/disk/enable
  echo disk$d >core/rd_mcp_$d/disk/wwn/vpd_unit_serial
done
for i in 1 2; do
  t=loopback/naa.600140500000000$i/tpgt_1
  mkdir -p $t
  echo naa.60014050000000a$i >$t/nexus
  for d in 0 1; do
    mkdir -p $t/lun/lun_$d
    ln -s /sys/kernel/config/target/core/rd_mcp_$d/disk $t/lun/lun_$d/
  done
done
i=0
until [ -b /dev/sdd ]; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.1; done' >/dev/null
# Linux 6.1's loop fabric waits for itself in PREEMPT AND ABORT (core_tmr_lun_reset() flushes the
# work that it runs in), so that it is asked for without
by_reservation="fence { delay_ms = 100
  device pr { type = reservation abort = no } level 1 { devices = { pr } } }
quorum { two_node = yes }"
configure_node 1 2 '/dev/sda, /dev/sdb' "$by_reservation"
configure_node 2 2 '/dev/sdc, /dev/sdd' "$by_reservation"
on 1 'mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 --assume-clean web /dev/sda /dev/sdb' >/dev/null
writes() { try_on 1 "echo mine | dd of=$1 bs=512 seek=60000 conv=sync,notrunc oflag=direct status=none" >/dev/null 2>&1; }
writes /dev/sdc || fail "node2 cannot write to a disk that nobody has reserved"
start_node 1
start_node 2
for i in 1 2; do says $i 'the target cannot keep it over a power cut'; done # LIO has no folder for that
on 1 'mkdir -p /var/target/pr'
for i in 1 2; do
  on 1 "mdcluster assemble --run-dir=/run/node$i web" >/dev/null
  active $i
done
writes /dev/sdc || fail "node2 is registered, and cannot write"
kill_node 2
says 1 'node node2, .* is proven dead by its disks'
! writes /dev/sdc || fail "node2 was fenced, and writes to the first disk"
! writes /dev/sdd || fail "node2 was fenced, and writes to the second disk"
writes /dev/sda || fail "node1 has fenced, and cannot write"
active 1
start_node 2
active 2
writes /dev/sdc || fail "node2 is back, and cannot write"
stop_node 2
stop_node 1
writes /dev/sdc || fail "all have stopped, and a reservation is left"

# --- a watchdog: node3 stands still, its host is reset, then it is counted dead ---------------------

by_watchdog="fence { delay_ms = 100 device dog { type = watchdog } level 1 { devices = { dog } } }
watchdog { device = /dev/watchdog timeout_s = 30 drain_ms = 2000 software = yes }"
on 1 'rm -rf /root/state.* /root/log.*; ip addr del 10.77.0.11/24 dev eth0'
each_its_own=1
machine 2 3
for i in 1 2 3; do
  on $i 'modprobe softdog'
  configure_node $i 3 '/dev/vda, /dev/vdb' "$by_watchdog"
done
on 1 'mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 --assume-clean web /dev/vda /dev/vdb' >/dev/null
for i in 1 2 3; do start_node $i; done
for i in 1 2 3; do active $i; done
# the supervisor, too: with a timeout as long as this one it would end the engine first, and say so
on 3 'p=$(cat /root/pid.3); kill -STOP $p $(cat /proc/$p/task/$p/children)'
says 1 'node node3, .* is proven dead by its watchdog'
lab status | grep -q 'machines 1 2,' || fail "node3 was counted dead, and its host lives: $(lab status)"
active 1
active 2
stop_node 2
stop_node 1
