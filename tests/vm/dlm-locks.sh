#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lockspaces on the kernel's DLM, between two machines: what a machine lacks is told by name;
# what a lost machine held is given to nobody before its death is proven, by us, or by
# dlm_controld's fencing; and nothing is taken of an array that the kernel runs.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab
[ -x "$builddir/dlm-program" ] || skip "dlm-program is not built"

port=7001
# dlm N SCRIPT: behind it, all that it tells is in /tmp/told; [fenced=1]
dlm() {
  on "$1" "printf '%s\n' '$2' | ${fenced:+DLM_FENCED=1 }timeout 60 dlm-program --self $1 \
    --node 1=10.77.0.1:$port --node 2=10.77.0.2:$port >/tmp/told 2>&1; cat /tmp/told"
}
# ... in the background
dlm_start() {
  on "$1" "printf '%s\n' '$2' >/tmp/script; ${fenced:+DLM_FENCED=1 }setsid dlm-program --self $1 \
    --node 1=10.77.0.1:7001 --node 2=10.77.0.2:7001 </tmp/script >/tmp/told 2>&1 & sleep 0.1"
}
told() { on "$1" 'cat /tmp/told'; }
until_told() { until_on "$1" "never told: $2" "grep -qF -e '$2' /tmp/told" "${3:-300}"; }
# refuses N WORDS...: to open a lockspace
refuses() {
  local n=$1 word said
  shift
  said=$(dlm "$n" 'open space')
  for word; do
    case $said in *"$word"*) ;; *) fail "a refusal without '$word': $said" ;; esac
  done
}

cluster_token_ms=8000 # outlasts a busy host: who is only slow must not be fenced

boot 2

# --- what a machine lacks -----------------------------------------------------------------------
refuses 1 "refused: ENOENT" "modprobe dlm"
on 1 'modprobe configfs; modprobe dlm' >/dev/null
refuses 1 "refused: ESRCH" "dlm_controld does not run"
kernel_cluster 2 1 2
on 1 'rm /dev/dlm-control' >/dev/null
refuses 1 "refused: ENODEV" "/dev/misc/dlm-control is missing" "mknod"
# the remedy is one
on 1 "eval \"\$(grep -o 'mknod -m 600 /dev/misc/dlm-control c 10 [0-9]*' /tmp/told)\"" >/dev/null
dlm 1 'open space
wait in
close
wait closed' >/dev/null

# --- dlm_controld that does not fence is no proof -----------------------------------------------
fenced=1
said=$(dlm 1 'open space
wait lost')
fenced=
case $said in *"lost: dlm_controld runs with enable_fencing=0"*"no proof"*) ;; *) fail "$said" ;; esac

# --- a machine dies; the kernel recovers without a proof, and nothing of that is acted upon --------
dlm_start 2 'open space
wait in
lock a bitmap0001 EX valblk
wait a
say HOLDS
sleep 600000'
until_told 2 HOLDS
dlm_start 1 'open space
wait in
lock b bitmap0001 EX valblk
wait prep
until /tmp/kernel-has-recovered
sleep 2000
say UNPROVEN
dead 2 node
wait b
expect b 0 EX
wait done
say GOES-ON
close
wait closed'
until_told 1 'lock b bitmap0001'
on 1 'dmesg -c' >/dev/null
lab kill 2
until_on 1 "the kernel does not recover" \
  "dmesg | grep -qE 'mdcl-space: dlm_recover [0-9]+ generation [0-9]+ done'" 600
on 1 'touch /tmp/kernel-has-recovered' >/dev/null
until_told 1 UNPROVEN
until_told 1 closed
# the order: unproven, proven, granted
said=$(told 1 | grep -oE 'UNPROVEN|node 2 is dead|b: 0, EX' | tr '\n' ';')
expect_equal "what happens, and in which order" "UNPROVEN;node 2 is dead;b: 0, EX;" "$said"
! told 1 | grep -q 'NOT AS EXPECTED' || fail "$(told 1)"

# --- of an array that the kernel runs nothing is taken (B55) -------------------------------------
kernel_create 1 --level=mirror --assume-clean -n2 /dev/vda /dev/vdb
uuid=$(on 1 "ls /sys/kernel/dlm | grep -E '^[0-9a-f]{8}-'")
said=$(dlm 1 "open $uuid")
case $said in *"refused: EBUSY"*md-cluster*"mdadm --stop"*) ;; *) fail "a lockspace of md-cluster's: $said" ;; esac
kernel_stop 1

# --- left over where dlm_controld crashed ----------------------------------------------------------
dlm_start 1 'open space
wait in
say IN
sleep 600000'
until_told 1 'say IN'
on 1 'kill -9 $(pidof dlm_controld)' >/dev/null
until_on 1 "dlm_controld does not end" '! pidof dlm_controld'
port=7002 # who has it cannot be killed any more
refuses 1 "refused: ESTALE" "mdcl-space is left over" "restart this node"

# --- dlm_controld that fences: what it drops is dead, not before -------------------------------------
lab kill 1
boot 2
kernel_cluster 2 1 2
for n in 1 2; do dlm_fences "$n"; done
for n in 1 2; do until_on "$n" "dlm_controld does not begin" 'dlm_tool status >/tmp/dlm 2>&1 && ! grep -q fence_init /tmp/dlm'; done
fenced=1
dlm_start 2 'open space
wait in
lock a bitmap0001 EX
wait a
say HOLDS
sleep 600000'
until_told 2 HOLDS
dlm_start 1 'open space
wait in
lock b bitmap0001 EX
wait prep
say MISSING
wait b
expect b 0 EX
wait done
say GOES-ON
close
wait closed'
until_told 1 'lock b bitmap0001'
lab kill 2
until_told 1 MISSING
until_on 1 "nobody is asked to fence" '[ -e /tmp/to-be-fenced ]' 600
on 1 'sleep 3' >/dev/null
! told 1 | grep -q 'b: 0, EX' || fail "granted before it was fenced: $(told 1)"
on 1 'touch /tmp/is-off.2' >/dev/null
until_told 1 closed
! told 1 | grep -q 'NOT AS EXPECTED' || fail "$(told 1)"
