#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrays on corosync and the kernel's DLM (engine = corosync, locks = libdlm), two machines:
# both write; an engine is killed and is back; a daemon is, and comes back without the array;
# a kernel starts it, and it is given up until that has stopped it; a machine dies while a
# message to it is under way, and is recovered when dlm_controld has fenced it, and not before.
# What was acknowledged is on both disks.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab
mdcluster version | grep -q libdlm || skip "the build has no libdlm"

low=$((8 << 20)) bytes=$((4 << 20)) # of machine N: N times that

machine() { # N: our daemon's configuration
  on "$1" "mkdir -p /etc/mdcluster /run/mdcluster /var/lib/mdcluster
cat >/etc/mdcluster/mdclusterd.conf <<'END'
run_dir = /run/mdcluster
state_dir = /var/lib/mdcluster
cluster {
  engine = corosync
  locks = libdlm
}
array web {
  disks = { \"/dev/vda\", \"/dev/vdb\" }
  auto = no
}
fence {
  methods = { obituary, dlm }
}
END" >/dev/null
}
daemon() { # N
  on "$1" 'setsid mdclusterd >>/tmp/log 2>&1 & sleep 0.2' >/dev/null
  until_on "$1" "the daemon does not come" 'mdcluster nodes >/tmp/nodes 2>&1'
}
state() { on "$1" "mdcluster status --json" | jq -r '(.status // .).arrays[0] // {} | .state // "down"'; }
until_state() { # N JQ: true of array web
  local i
  for ((i = 0; i < 150; i++)); do
    try_on "$1" 'mdcluster status --json' >status 2>/dev/null || :
    [ "$(jq -r "(.status // .).arrays[0] | $2" status 2>/dev/null)" = true ] && return 0
    sleep 0.5
  done
  try_on "$1" 'tail -n 20 /tmp/log; dlm_tool ls; dmesg | tail -n 8' >&2 || :
  fail "machine $1: never: $2: $(cat status)"
}
active='.state == "active"'
at_rest='.state == "active" and (.activity // "") == "" and .is_single_source == false and .needed_bytes == 0'
# writes N COUNT: so many writes of this machine, all acknowledged
writes() {
  on "$1" "vm-witness write /tmp/journal nbd:/run/mdcluster/web.nbd:web $((low * $1)) $bytes $2" >/dev/null
  on "$1" 'cat /tmp/journal' >"journal.$1"
}

cluster_token_ms=8000 # outlasts a busy host: who is only slow must not be fenced

boot 2
kernel_cluster 2 1 2
for n in 1 2; do machine "$n"; done
on 1 'mdcluster create web /dev/vda /dev/vdb --quiet --level=mirror --raid-devices=2 --nodes=4 \
  --home-cluster=lab --homehost=none --bitmap-chunk=64K --assume-clean' >/dev/null
for n in 1 2; do daemon "$n"; done

# --- dlm_controld does not fence: an array that goes by its fencing is not used ------------------
! try_on 1 'mdcluster assemble web' >said 2>&1 || fail "used where nobody fences"
grep -q 'enable_fencing=0.*no proof' said || fail "not told why: $(cat said)"
on 1 'mdcluster stop web || :' >/dev/null
for n in 1 2; do dlm_fences "$n"; done
for n in 1 2; do until_on "$n" "dlm_controld does not begin" 'dlm_tool status >/tmp/dlm 2>&1 && ! grep -q fence_init /tmp/dlm'; done

# --- formed, and written to by both -----------------------------------------------------------
for n in 1 2; do on "$n" 'mdcluster assemble web' >/dev/null; done
for n in 1 2; do until_state "$n" "$active and (.members | length) == 2"; done
on 1 'dlm_tool ls' | grep -q '^name  *mdcl-' || fail "no lockspace of ours in the kernel"
for n in 1 2; do writes "$n" 40; done

# --- an engine is killed: its locks come free, its slot is recovered, and it is back -----------
for n in 1 2; do on "$n" 'dmesg -c' >/dev/null; done
# the engine is the supervisor's child, and was born behind it
on 2 "kill -9 \$(pidof mdclusterd | tr ' ' '\n' | sort -n | tail -n 1)" >/dev/null
# by its supervisor's word or, where that is slower, by the engine that comes behind it
until_on 1 "the other engine's death is not told" 'grep -q "(member_dead)" /tmp/log'
until_state 1 "$at_rest"
until_on 2 "the daemon is not back" 'mdcluster nodes >/tmp/nodes 2>&1'
try_on 2 'mdcluster assemble web' >/dev/null 2>&1 || :
for n in 1 2; do until_state "$n" "$active and (.members | length) == 2"; done
writes 2 20
# in the lockspace that it had left: the kernels did not notice
for n in 1 2; do ! try_on "$n" 'dmesg | grep "mdcl-.*dlm_recover "' || fail "machine $n: the kernel's DLM recovered"; done

# --- a daemon is killed, and the next one does not use the array: nothing stays behind -----------
on 2 'kill -9 $(pidof mdclusterd)' >/dev/null
until_state 1 'any(.members[]; .state == "missing" or .is_missing == true)'
writes 1 10
daemon 2 # it says that those before it are dead
until_state 1 "$at_rest and (.members | length) == 1"
on 2 'dlm_tool ls' | grep -q '^name  *mdcl-' || fail "the killed daemon's lockspace is gone by itself"
on 2 'kill -TERM $(pidof mdclusterd)' >/dev/null
until_on 2 "the daemon does not end" '! pidof mdclusterd'
! on 2 'dlm_tool ls' | grep '^name  *mdcl-' || fail "a lockspace is left over: $(on 2 'tail -n 3 /tmp/log')"
on 2 'grep -q "MDC5931" /tmp/log' >/dev/null
daemon 2

# --- a kernel starts what we have in use: it is given up, and comes back when that stops it ------
until_state 1 "$at_rest"
on 2 'mdadm --assemble /dev/md0 /dev/vda /dev/vdb' >/dev/null
until_on 1 "it is used beside a kernel" 'grep -q "runs it as /dev/md0.*MDC5930" /tmp/log'
until_state 1 '.state == "lost" or .state == "assembling"'
! try_on 2 'mdcluster assemble web' >said 2>&1 || fail "used beside the kernel of this machine"
grep -q 'md0' said || fail "not told what has it: $(cat said)"
on 2 'mdadm --stop /dev/md0' >/dev/null
until_state 1 "$at_rest"
writes 1 10

on 2 'mdcluster assemble web' >/dev/null
for n in 1 2; do until_state "$n" "$active and (.members | length) == 2"; done
writes 2 10

# --- a machine dies while a message to it is under way -----------------------------------------
lab pause 2
on 1 'setsid mdcluster check web >/tmp/check 2>&1 & sleep 2' >/dev/null
lab kill 2
until_on 1 "nobody is asked to fence" '[ -e /tmp/to-be-fenced ]' 600
until_state 1 'any(.members[]; .state == "missing" or .is_missing == true)'
writes 1 10
! try_on 1 'grep "proven dead by dlm_controld" /tmp/log' || fail "proven dead before it was fenced"
on 1 'touch /tmp/is-off.2' >/dev/null
until_on 1 "dlm_controld's fencing is no proof" 'grep -q "proven dead by dlm_controld" /tmp/log'
until_state 1 "$active and (.members | length) == 1"
writes 1 10

# --- stopped: what both wrote is on both disks -----------------------------------------------------
on 1 'mdcluster stop web' >/dev/null
! on 1 'dlm_tool ls' | grep '^name  *mdcl-' || fail "a lockspace is left over"
lab down
mdcluster examine-bitmap --json --merged "$MDC_LAB/disk-a.img" "$MDC_LAB/disk-b.img" >bitmap
expect_equal "bits that are left" 0 "$(jq '[.slots[].dirty] | add' bitmap)"
offset=$(mdcluster examine --json "$MDC_LAB/disk-a.img" | jq '.data_offset_sectors * 512')
for d in a b; do tail -c +$((offset + 1)) "$MDC_LAB/disk-$d.img" >data.$d; done
size=$(mdcluster examine --json "$MDC_LAB/disk-a.img" | jq '.size_sectors * 512')
truncate -s "$size" data.a data.b
cmp data.a data.b || fail "the disks differ"
truncate -s "$size" nothing
for n in 1 2; do
  "$builddir/vm-witness" check --before=nothing "journal.$n" data.a $((low * n)) "$bytes" >verdict 2>&1 ||
    fail "what machine $n wrote is lost: $(head -n 3 verdict)"
done
