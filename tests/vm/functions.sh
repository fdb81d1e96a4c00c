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
#	kernel_cluster COUNT N...   machines N, of a cluster of COUNT, run corosync and DLM;
#	                            cluster_token_ms: corosync's token
#	kernel_create N OPTION...   a clustered array of all disks (mdadm)
#	kernel_assemble N...
#	kernel_idle N               nothing resyncs there, or waits to; of md0, or $md
#	kernel_check N              no place where copies differ, as md's own check sees it
#	dlm_fences N                dlm_controld fences there, and waits for us to say so
#
# MDC_VM_KEEP=1 leaves the machines of a test that failed.

vm_here=$srcdir/tests/vm
export MDC_LAB=$tmp/lab builddir
home_cluster=lab # as guest/cluster-up calls it

lab() { "$vm_here/lab" "$@" </dev/null; }

end_lab() {
  local code=${1:-$?}
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
  lab exec "$n" -t "${vm_patience_s:-400}" "$*"
}
on() {
  local code=0 said
  said=$(try_on "$@" 2>&1) || code=$?
  [ "$code" = 0 ] || { machine_complains "$1"; fail "machine $1: '$2' ended with $code: $(tail -n 5 <<<"$said")"; }
  [ -z "$said" ] || echo "$said"
}
until_on() {
  try_on "$1" "i=0; until $3; do i=\$((i + 1)); [ \$i -lt ${4:-1000} ] || exit 1; sleep 0.2; done" >said 2>&1 ||
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
    { try_on "$n" "cluster-up $count ${present:-$#} ${cluster_token_ms:-}" || { echo "code $?" && false; }; } >"cluster.$n" 2>&1 &
    jobs+=($!)
  done
  for n in "${jobs[@]}"; do wait "$n" || failed=1; done
  [ -z "$failed" ] || fail "corosync or the DLM do not start: $(cat cluster.*)"
}

kernel_create() { # N OPTION...
  local n=$1
  shift
  on "$n" "mdadm --create /dev/md0 --run --bitmap=clustered --bitmap-chunk=64K --nodes=4 \
    --home-cluster=$home_cluster --metadata=1.2 $*" >created
  kernel_idle "$n"
}
# mdadm reads one disk after the other, and so does the kernel, which kicks those that look older
# than others and runs without them: no other node knows (B58). Another node may just write
# superblocks: so it is done again until all are there.
kernel_assemble() { # N...
  local n
  for n; do
    on "$n" "kicked() { dmesg | grep -c 'kicking non-fresh'; }; i=0
    until k=\$(kicked); mdadm --assemble /dev/md0 ${devices:-/dev/vda /dev/vdb} && [ \$(kicked) = \$k ]; do
      i=\$((i + 1)); [ \$i -lt 4 ] || exit 1; mdadm --stop /dev/md0; sleep 1
    done" >assembled
  done
}
kernel_md() { echo "/sys/block/${md:-md0}/md"; }
kernel_idle() {
  until_on "$1" "it does not come to rest" \
    '{ ! grep -qE "resync|recovery|reshape" /proc/mdstat && [ "$(cat '"$(kernel_md)"'/sync_action)" = idle ]; }' 1500
}
kernel_stop() { # N...
  local n
  for n; do on "$n" 'mdadm --stop /dev/md0' >stopped; done
}
kernel_check() {
  local count
  on "$1" "echo check >$(kernel_md)/sync_action; sleep 0.5" >/dev/null
  kernel_idle "$1"
  count=$(on "$1" "cat $(kernel_md)/mismatch_cnt")
  [ "$count" = 0 ] || fail "md's check finds $count sectors that differ"
}
kernel_recovered() { # N: ... who died, and is at rest
  until_on "$1" "it does not recover who died" 'dmesg | grep -q "Initiating recovery"' 1500
  kernel_idle "$1"
}

# --- what is on the disks -------------------------------------------------------------------------

# use_disks NAME...: files of the lab; $pairs are those that mirror each other
use_disks() {
  disks=()
  devices=
  local name letters=abcdefgh i=0
  for name; do
    disks+=("$MDC_LAB/disk-$name.img")
    devices+=" /dev/vd${letters:$i:1}"
    i=$((i + 1))
  done
}

# array_image FILE: what the array holds, from the disks, all of them at rest. Copies must be
# equal; raid10 (near 2) is put together from its first copies, chunk by chunk.
array_image() {
  python3 - "$1" "${chunk_bytes:-0}" "$(data_offset)" "$(data_bytes)" "${disks[@]}" <<'END' || fail "copies differ (${2:-})"
import sys
out, chunk, offset, size, disks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
legs = []
for name in disks:
    with open(name, 'rb') as f:
        f.seek(offset)
        legs.append(f.read(size))
step = 65536
wrong = 0
for i in range(0, len(legs), 2):
    if legs[i] == legs[i + 1]:
        continue
    for at in range(0, size, step):
        if legs[i][at:at + step] != legs[i + 1][at:at + step]:
            wrong += 1
            if wrong <= 5:
                print('%s, %s: differ in chunk %d of 64 KiB' % (disks[i], disks[i + 1], at // step))
with open(out, 'wb') as f:
    if len(legs) == 2:
        f.write(legs[0])
    else:
        for at in range(0, size - chunk + 1, chunk):
            for i in range(0, len(legs), 2):
                f.write(legs[i][at:at + chunk])
sys.exit(1 if wrong else 0)
END
}

# --- witnesses (witness.c): 4 MiB for each node of the kernel, and of ours --------------------------

vm_witness=$builddir/vm-witness
witness_bytes_vm=$((4 << 20))
witness_low_vm() { # kernel|ours N
  local base=1
  [ "$1" = kernel ] || base=17
  echo $(((base + ($2 - 1) * 4) << 20))
}
journal_vm() {
  if [ "$1" = kernel ]; then echo "$MDC_LAB/n$2.journal"; else echo "$tmp/journal.ours.$2"; fi
}
kernel_witness() { # N...
  local n
  for n; do
    : >"$(journal_vm kernel "$n")"
    on "$n" "[ -c /dev/journal ] || exit 1; setsid vm-witness write /dev/journal /dev/md0 $(witness_low_vm kernel "$n") $witness_bytes_vm \
      >/tmp/witness.log 2>&1 & echo \$! >/tmp/witness.pid" >/dev/null
  done
}
kernel_end_witness() { # N...
  local n
  for n; do
    on "$n" 'p=$(cat /tmp/witness.pid); kill $p; while [ -d /proc/$p ]; do sleep 0.1; done; cat /tmp/witness.log; [ ! -s /tmp/witness.log ]' >/dev/null
  done
}
# witnesses_agree BEFORE AFTER [--power]: all of them, with two images of the array
witnesses_agree() {
  local who n journal before=$1 after=$2
  shift 2
  for who in kernel ours; do
    for n in 1 2; do
      journal=$(journal_vm $who $n)
      [ -s "$journal" ] || : >"$journal"
      "$vm_witness" check "$@" --before="$before" "$journal" "$after" "$(witness_low_vm $who $n)" \
        "$witness_bytes_vm" >verdict 2>&1 || fail "what $who node $n wrote is lost: $(head -n 3 verdict; tail -n 1 verdict)"
    done
  done
}

# --- the kernel's DLM --------------------------------------------------------------------------------

# dlm_fences N: dlm_controld is one that fences, by asking us; before there is any lockspace
dlm_fences() {
  on "$1" "cat >/etc/dlm/dlm.conf <<'END'
enable_fencing=1
enable_startup_fencing=1
fence_all /bin/lab-fence
protocol=tcp
END
cat >/bin/lab-fence <<'END'
#!/bin/sh
# somebody switches it off, and says so
node=\$(sed -n 's/^node=//p')
echo \"\$node\" >/tmp/to-be-fenced
until [ -e \"/tmp/is-off.\$node\" ]; do sleep 0.2; done
END
chmod +x /bin/lab-fence
# it forgets a signal that comes while it is not waiting, say for the end of its helper
while p=\$(pidof dlm_controld); do kill \$p; sleep 0.3; done
dlm_controld" >/dev/null
}
