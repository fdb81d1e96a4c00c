# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What stories of virtual machines share; after tests/cli/functions.sh, in a test's own
# folder, where the lab lives, too. A story without qemu, or without a Debian to take packages
# from, is skipped.
#
#	need_lab [tools]            or the test is skipped
#	lab WORD...                 tests/vm/lab, of this test's lab
#	on N COMMAND                machine N does it, or the test fails
#	try_on N COMMAND            ... or not; its output and code
#	until_on N WHAT COMMAND     ... until it can
#	kernel_cluster COUNT N...   machines N, of a cluster of COUNT, run corosync and DLM
#	kernel_create N OPTION...   a clustered array of all disks (mdadm)
#	kernel_assemble N...
#	kernel_idle N               nothing resyncs there, or waits to
#	kernel_check N              no place where copies differ, as md's own check sees it
#
# MDC_VM_KEEP=1 leaves the machines of a test that failed.

vm_here=$srcdir/tests/vm
export MDC_LAB=$tmp/lab builddir
home_cluster=lab # as guest/cluster-up calls it

lab() { "$vm_here/lab" "$@" </dev/null; }

end_lab() {
  local code=$?
  if [ "$code" != 0 ] && [ "$code" != 77 ] && [ -n "${MDC_VM_KEEP:-}" ]; then
    echo "the lab is left: MDC_LAB=$MDC_LAB" >&2
    trap - EXIT
    exit "$code"
  fi
  [ ! -d "$MDC_LAB" ] || lab remove || :
  cleanup
}

need_lab() {
  local program
  need qemu-system-x86_64 cpio apt-get dpkg python3 jq cmp
  for program in mdclusterd/mdclusterd vm-disks vm-switch vm-agent vm-witness; do
    [ -x "$builddir/$program" ] || skip "$program is not built"
  done
  "$vm_here/lab" build "$@" >build.log 2>&1 || skip "no image: $(tail -n 1 build.log)"
  trap end_lab EXIT
}

try_on() {
  local n=$1
  shift
  lab exec "$n" -t "${patience_s:-90}" "$*"
}
on() {
  local code=0
  try_on "$@" >said 2>&1 || code=$?
  [ "$code" = 0 ] || { machine_complains "$1"; fail "machine $1: '$2' ended with $code: $(tail -n 5 said)"; }
  cat said
}
until_on() {
  try_on "$1" "i=0; until $3; do i=\$((i + 1)); [ \$i -lt ${4:-300} ] || exit 1; sleep 0.2; done" >said 2>&1 ||
    { machine_complains "$1"; fail "machine $1: $2: $(tail -n 5 said)"; }
}
machine_complains() {
  {
    echo "--- machine $1:"
    try_on "$1" 'cat /proc/mdstat; dmesg | tail -n 25; for d in /dev/vd?; do mdadm -X $d | grep -iE "bitmap|node|dirty"; done' || :
  } >&2
}

boot() { # COUNT
  lab boot "$1" >boot.log 2>&1 || fail "the machines do not boot: $(tail -n 3 boot.log)"
}
start_machine() { # N...
  lab start "$@" >boot.log 2>&1 || fail "machine $* does not boot: $(tail -n 3 boot.log)"
}

# --- kernel nodes -------------------------------------------------------------------------------

kernel_cluster() { # COUNT N...
  local count=$1 n jobs=() failed=
  shift
  for n; do
    try_on "$n" "cluster-up $count ${present:-$#}" >"cluster.$n" 2>&1 &
    jobs+=($!)
  done
  for n in "${jobs[@]}"; do wait "$n" || failed=1; done
  [ -z "$failed" ] || fail "corosync or the DLM do not start: $(tail -n 3 cluster.*)"
}

kernel_create() { # N OPTION...
  local n=$1
  shift
  on "$n" "mdadm --create /dev/md0 --run --bitmap=clustered --bitmap-chunk=64K --nodes=4 \
    --home-cluster=$home_cluster --metadata=1.2 $*" >created
  kernel_idle "$n"
}
kernel_assemble() { # N...
  local n
  for n; do on "$n" "mdadm --assemble /dev/md0 ${devices:-/dev/vda /dev/vdb}" >assembled; done
}
kernel_idle() {
  until_on "$1" "it does not come to rest" \
    '{ ! grep -qE "resync|recovery|reshape" /proc/mdstat && [ "$(cat /sys/block/md0/md/sync_action)" = idle ]; }' 400
}
kernel_stop() { # N...
  local n
  for n; do on "$n" 'mdadm --stop /dev/md0' >stopped; done
}
kernel_check() {
  local count
  on "$1" 'echo check >/sys/block/md0/md/sync_action; sleep 0.5' >/dev/null
  kernel_idle "$1"
  count=$(on "$1" 'cat /sys/block/md0/md/mismatch_cnt')
  [ "$count" = 0 ] || fail "md's check finds $count sectors that differ"
}
