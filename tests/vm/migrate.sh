#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest whose disk is an array of ours moves between nodes while it writes. Two daemons in
# namespaces of this host, a qemu on each one's export, and a guest that writes a counter,
# sector by sector, each one durable before it is told. It migrates from node 1 to node 2;
# node 1 is killed, and comes back. No number is missing, no write of the guest fails, and the
# array holds every one that was told.
. "$(dirname "$0")/../cli/functions.sh"
need jq nbdcopy
array=web
. "$srcdir/tests/vm/beside.sh"
cache=${MDC_VM_CACHE:-$HOME/.cache/mdcluster-vm}
declare -A guest=() # node -> pid of its qemu
end_guests() {
  local n
  for n in "${!guest[@]}"; do kill -KILL "${guest[$n]}" 2>/dev/null || :; done
}
beside_end() { end_guests; }
array_size=64M
patience_s=300

# --- the guest ---------------------------------------------------------------------------------------

mkdir -p root
cat >root/init <<'END'
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
modprobe virtio_pci
modprobe virtio_blk
until [ -b /dev/vda ]; do sleep 0.1; done
i=0
while :; do
  i=$((i + 1))
  printf '%511d\n' $i | dd of=/dev/vda bs=512 seek=$i count=1 conv=notrunc oflag=direct,dsync 2>/dev/null ||
    echo "FAILED $i"
  echo "TOLD $i"
  sleep 0.1
done
END
chmod +x root/init
(cd root && find . | cpio --create --format=newc --quiet --owner=0:0) >init.cpio
cat "$cache/base.cpio" init.cpio >initrd

# qemu_on N WORD...: on node N's export; each has a console of its own
lives=0
qemu_on() {
  local n=$1
  shift
  lives=$((lives + 1))
  : >"console.$lives"
  qemu-system-x86_64 -machine q35,accel=tcg,vmport=off -cpu max -m 192 -nodefaults -no-user-config \
    -display none -no-reboot -kernel "$cache/vmlinux" -initrd initrd \
    -append "console=ttyS0 nokaslr mitigations=off random.trust_cpu=on panic=1 tsc=unstable clocksource=hpet \
rootfstype=ramfs no_timer_check cryptomgr.notests pti=off loglevel=3" \
    -serial "file:console.$lives" -qmp "unix:qmp.$n,server=on,wait=off" \
    -blockdev "driver=nbd,node-name=web,server.type=unix,server.path=$(socket_of "$n"),export=$array,reconnect-delay=60" \
    -device virtio-blk-pci,drive=web,share-rw=on "$@" </dev/null >"qemu.$n" 2>&1 &
  guest[$n]=$!
}
# qmp N COMMAND [ARGUMENTS]: what it returns
qmp() {
  python3 - "qmp.$1" "$2" "${3:-null}" <<'END'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile('rw')
def ask(command, arguments):
    f.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
    f.flush()
    while True:
        answer = json.loads(f.readline())
        if 'return' in answer or 'error' in answer:
            return answer
f.readline()
ask('qmp_capabilities', {})
answer = ask(sys.argv[2], json.loads(sys.argv[3]) or {})
print(json.dumps(answer.get('return', answer)))
sys.exit('error' in answer)
END
}
told() { cat console.* | tr -d '\r' | sed -n 's/^TOLD //p' | sort -n | tail -n 1; }
has_told() { [ "$(told)" -ge "$1" ] 2>/dev/null; }
counts_on() { # WHERE: 20 more
  local from
  from=$(told)
  await "the guest does not go on $1, after $from" has_told $((${from:-0} + 20))
}
has_moved() { [ "$(qmp "$1" query-migrate | jq -r .status)" = completed ]; }

# moves FROM TO: live
moves() {
  qemu_on "$2" -incoming "unix:$PWD/moving.$2"
  await "qemu on n$2 does not start" test -S "moving.$2"
  qmp "$1" migrate "{\"uri\": \"unix:$PWD/moving.$2\"}" >/dev/null || fail "it does not migrate"
  await "the guest does not move" has_moved "$1"
  qmp "$1" quit >/dev/null 2>&1 || :
  wait "${guest[$1]}" || :
  unset "guest[$1]"
}

# --- the story ----------------------------------------------------------------------------------------

node_network 2
fence_script
fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 300"
cluster 2
for i in 1 2; do sed -i '/^totem {/i quorum {\n  two_node = yes\n}' "n$i/conf"; done
start 1 2
active 1 2
qemu_on 1
counts_on "on n1"
moves 1 2
counts_on "on n2"
kill_node 1
counts_on "on n2, when n1 was killed"
await "n1 is not fenced" is_fenced 1
start 1
active 1
idle 1 2
counts_on "on n2, when n1 is back"

qmp 2 stop >/dev/null
last=$(told)
qmp 2 quit >/dev/null || :
wait "${guest[2]}" || :
unset "guest[2]"
! grep -h FAILED console.* || fail "a write of the guest fails"
cat console.* | tr -d '\r' | sed -n 's/^TOLD //p' | sort -n | uniq >numbers
expect_equal "numbers that were told" "$last" "$(wc -l <numbers)"
nbdcopy "$(uri_of 1)" image
python3 - "$last" <<'END' || fail "the array does not hold what was told"
import sys
with open('image', 'rb') as f:
    for i in range(1, int(sys.argv[1]) + 1):
        f.seek(512 * i)
        if f.read(512) != b'%511d\n' % i:
            sys.exit('sector %d is not %d' % (i, i))
END
stop_daemon 1 2
disks_are_equal
slots_are_clear
echo "$last numbers, none missing: n1, moved to n2, n1 killed, n1 back"
