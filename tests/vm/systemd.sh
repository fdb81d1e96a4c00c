#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two machines whose first process is systemd, with the units and rules as they are installed: udev tells of
# disks that appear, the daemon with all of its sandbox assembles them, a file system of
# /etc/fstab waits for the attached device; a poweroff leaves the cluster in order, so that the
# other has nobody to recover; and who boots again is back, with no person there.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need mkfs.ext4
need_lab systemd
array=web

# --- what is installed ---------------------------------------------------------------------------

mkdir -p overlay/{etc/mdcluster,etc/systemd/system/multi-user.target.wants,srv}
mkdir -p overlay/usr/lib/{systemd/system,udev/rules.d,sysusers.d,tmpfiles.d}
from=$srcdir/tools/system
install_as() { # FOLDER NAME...
  local folder=overlay/usr/lib/$1 name
  shift
  for name; do sed 's,@sbindir@,/usr/sbin,g' "$from/$name.in" >"$folder/$name"; done
}
install_as systemd/system mdclusterd.service mdcluster-attach@.service
install_as udev/rules.d 63-mdcluster-guard.rules 66-mdcluster.rules
cp "$from"/sysusers.d/* overlay/usr/lib/sysusers.d/
cp "$from"/tmpfiles.d/* overlay/usr/lib/tmpfiles.d/
# as `systemctl enable` does; the target of _netdev mounts is enabled on every Debian
ln -s /usr/lib/systemd/system/mdclusterd.service /lib/systemd/system/remote-fs.target \
  overlay/etc/systemd/system/multi-user.target.wants/
mdcluster keygen --quiet overlay/etc/mdcluster/key
# what a host remembers over a boot is on a disk of its own; the file system in the array, which
# is not one for several nodes, is node1's
uuid=5c0b0c4b-d6ae-0359-f266-cacf72232250
fstab() { # N
  echo "LABEL=state-node$1  /var/lib/mdcluster  ext4  defaults  0 0"
  [ "$1" != 1 ] || echo "UUID=$uuid  /srv  ext4  _netdev,x-systemd.requires=mdcluster-attach@$array.service,x-systemd.device-timeout=10min  0 0"
}

# --- disks: a and b are shared, c and d each one's own -------------------------------------------

for disk in a b; do lab disk $disk 64M; done
use_disks c d
lab disk c 16M
lab disk d 16M
for n in 1 2; do mkfs.ext4 -q -F -L state-node$n "${disks[n - 1]}"; done
use_disks a b
mdcluster create "$array" "${disks[@]}" --quiet --level=mirror --raid-devices=2 --nodes=4 \
  --home-cluster="$home_cluster" --homehost=none --bitmap-chunk=64K --assume-clean
cat >overlay/etc/mdcluster/mdclusterd.conf <<END
cluster { name = $home_cluster }
node node1 { id = 1  address = 10.77.0.1 }
node node2 { id = 2  address = 10.77.0.2 }
totem { token_ms = 3000 }
quorum { two_node = yes }
array $array { uuid = $(mdcluster examine --json "${disks[0]}" | jq -r .uuid)  scan = { "/dev/vd*" } }
END
truncate -s "$(($(mdcluster examine --json "${disks[0]}" | jq .size_sectors) * 512))" fs.img
mkfs.ext4 -q -F -U $uuid fs.img
start=$(mdcluster examine --json "${disks[0]}" | jq .data_offset_sectors)
for disk in "${disks[@]}"; do dd if=fs.img of="$disk" bs=64k seek=$((start * 512)) oflag=seek_bytes conv=notrunc status=none; done

boot_up() { # N
  fstab "$1" >overlay/etc/fstab
  MDC_VM_OVERLAY=$PWD/overlay lab start --systemd "$1" >boot.log 2>&1 ||
    fail "machine $1 does not boot: $(tail -n 3 boot.log)"
}
said() { try_on "$1" "journalctl -u mdclusterd -u 'mdcluster-attach@*' --no-pager -o cat | tail -n ${2:-30}"; }
waits_for() { # N WHAT COMMAND
  try_on "$1" "i=0; until $3; do i=\$((i + 1)); [ \$i -lt 600 ] || exit 1; sleep 0.2; done" >/dev/null 2>&1 ||
    fail "machine $1: $2: $(said "$1")"
}
is_up() { # N: and nobody typed anything
  waits_for "$1" "mdclusterd does not start" 'systemctl is-active --quiet mdclusterd'
  waits_for "$1" "the array is not assembled" "mdcluster status --wait=active $array >/dev/null 2>&1"
}

# --- it boots ------------------------------------------------------------------------------------------

for n in 1 2; do boot_up $n; done
for n in 1 2; do is_up $n; done
for n in 1 2; do
  on $n 'set -e
    show() { systemctl show -P "$1" mdclusterd; }
    [ "$(cat /proc/1/comm)" = systemd ]
    [ "$(show Type) $(show WatchdogUSec) $(show NRestarts)" = "notify 30s 0" ] || { show WatchdogUSec; show NRestarts; exit 1; }
    engine=$(cat /proc/$(show MainPID)/task/$(show MainPID)/children)
    grep -q "^Seccomp:.*2" /proc/${engine% }/status
    grep -q "^NoNewPrivs:.*1" /proc/${engine% }/status
    [ "$(stat -c "%a %G" /run/mdcluster/control.sock)" = "660 mdcluster" ]
    ! journalctl -u mdclusterd --no-pager -o cat | grep -iE "not permitted|read-only|watchdog timeout"
    udevadm info /dev/vda | grep -q MD_CLUSTER_NAME=lab'
done

# --- a file system of /etc/fstab: its device was attached first ---------------------------------------

has_srv() {
  waits_for 1 "/srv is not mounted" 'findmnt -n -o SOURCE /srv | grep -q "^/dev/nbd"'
  on 1 'systemctl is-active --quiet mdcluster-attach@web remote-fs.target'
}
has_srv
on 1 'echo told >/srv/file && sync'

# --- poweroff: in order ----------------------------------------------------------------------------------

try_on 1 'systemctl poweroff --no-block' >/dev/null
for _ in $(seq 600); do
  lab status | grep -q 'machines 2,' && break
  sleep 0.2
done
lab status | grep -q 'machines 2,' || fail "machine 1 does not go: $(lab console 1 | tail -n 20)"
waits_for 2 "node1 is not known to have left" \
  '[ "$(mdcluster nodes --json | grep -c "\"is_member\": true")" = 1 ]'
said 2 400 >journal.2
grep -q 'node1.*(member_left)' journal.2 || fail "node1 has not left: $(tail -n 20 journal.2)"
! grep -E 'is proven dead|\(member_dead\)|\(member_missing\)|proof of death|\(resync_started\)' journal.2 ||
  fail "node1 powered off, and is recovered like a dead one"
waits_for 2 "the array does not come to rest" "mdcluster status --wait=idle $array >/dev/null 2>&1"
lab flush >/dev/null
for disk in "${disks[@]}"; do
  [ "$(mdcluster examine-bitmap --json "$disk" | jq '[.slots[].dirty] | add')" = 0 ] || fail "it has left bits"
done

# --- a boot: it is back, and so is what was written --------------------------------------------------------

boot_up 1
is_up 1
has_srv
on 1 'grep -q told /srv/file'
on 1 'systemctl stop srv.mount && systemctl stop mdcluster-attach@web && [ ! -e /run/mdcluster/web.attached ] &&
  systemctl stop mdclusterd && [ "$(systemctl show -P Result mdclusterd)" = success ]'
