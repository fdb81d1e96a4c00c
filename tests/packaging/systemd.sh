#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The units under a real systemd, the first process of a copy of this host (an overlay, with
# devices, network and cgroup of its own): with all of its sandbox the daemon runs an array on
# block devices, starts an engine anew, reloads, and leaves in order; an attached device stays
# over a restart of it, and goes before it where both go. Half a minute; called by .ci/run, not by make check.
. "$(dirname "$0")/../cli/functions.sh"
need_root
need unshare losetup qemu-io jq
[ -x /lib/systemd/systemd ] || skip "there is no systemd"
[ -e /dev/loop-control ] || skip "there are no loop devices"

# --- a cgroup below ours, which is all that it sees ----------------------------------------------
group=
for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -e $root/cgroup.procs ] && [ "$(stat -f -c %T $root)" = cgroup2fs ] || continue
  mkdir "$root/mdcluster-test-$$" 2>/dev/null && group=$root/mdcluster-test-$$ && break
done
[ -n "$group" ] || skip "no cgroup of our own here"
boot=
end_systemd() {
  [ -z "$boot" ] || { kill -KILL "$boot" 2>/dev/null && wait "$boot" 2>/dev/null; } || :
  for device in $(cat shared/loops 2>/dev/null); do losetup -d "$device" 2>/dev/null || :; done
  for _ in $(seq 100); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
    [ -e "$group" ] || break
    sleep 0.1
  done
}
trap 'end_systemd; cleanup' EXIT

# --- what is installed there ------------------------------------------------------------------------
mkdir shared mnt units
# shellcheck disable=SC2154 # functions.sh
for unit in mdclusterd.service mdcluster-attach@.service; do
  sed 's,@sbindir@,/usr/sbin,g' "$srcdir/tools/system/$unit.in" >"units/$unit"
done
cat >units/mdtest.service <<'END'
[Unit]
IgnoreOnIsolate=yes
[Service]
Type=oneshot
ExecStart=/bin/bash /run/shared/story
END
cat >units/mdtest.target <<'END'
[Unit]
Requires=basic.target mdtest.service
After=basic.target
END

# as a host's own end: all that it does not want stops, in one go
cat >units/mdend.target <<'END'
[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
END

cat >shared/story <<'END'
exec >/run/shared/said 2>&1
set -eu
cd /root
end() { echo "$1" >/run/shared/verdict.new; mv /run/shared/verdict.new /run/shared/verdict; exit 0; }
trap 'end "line $LINENO failed"' ERR
until_true() { # WHAT COMMAND...
  local what=$1
  shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  journalctl -u mdclusterd -u mdcluster-attach@web --no-pager -o cat | tail -n 40
  end "$what"
}
property() { systemctl show -P "$1" "${2:-mdclusterd}"; }
is() { [ "$(property "$1" "${3:-mdclusterd}")" = "$2" ]; }
engine() { tr -d ' ' <"/proc/$(property MainPID)/task/$(property MainPID)/children"; }
active() { mdcluster detail --export web | grep -qx MD_CLUSTER_STATE=active; }

# not configured: it is not started, and nobody complains
systemctl start mdclusterd
is ActiveState inactive || end "it runs without a configuration"

systemd-sysusers /run/shared/mdcluster.conf
mdcluster keygen --quiet
truncate -s 64M a.img b.img
one=$(losetup --find --show a.img)
echo "$one" >/run/shared/loops
two=$(losetup --find --show b.img)
echo "$two" >>/run/shared/loops
mdcluster create --quiet --level=mirror -n 2 --nodes=4 --assume-clean --home-cluster=alpha --homehost=none web "$one" "$two"
cat >/etc/mdcluster/mdclusterd.conf <<CONF
this_node = one
lock_memory = yes
cluster { name = alpha }
node one { id = 1 address = 127.0.0.1 }
fence { methods = { obituary, command } command = /bin/true }
array web { disks = { $one, $two } export_group = daemon export_mode = 0660 }
CONF
systemctl start mdclusterd
until_true "web is not active" active
grep -q '^Seccomp:.*2' "/proc/$(engine)/status" || end "its system calls are not filtered"
grep -q '^NoNewPrivs:.*1' "/proc/$(engine)/status" || end "it may gain privileges"
[ "$(stat -c '%a %G' /run/mdcluster/control.sock)" = "660 mdcluster" ] || end "the group cannot look"
[ "$(stat -c '%a %G' /run/mdcluster/web.nbd)" = "660 daemon" ] || end "export_group is not taken"
! journalctl -u mdclusterd --no-pager -o cat | grep -iE 'not permitted|cannot be locked|read-only' ||
  end "the sandbox is in its way"
qemu-io -f raw -c "write -P 7 0 1M" "nbd+unix:///web?socket=/run/mdcluster/web.nbd"

# an engine dies: systemd has nothing to do
main=$(property MainPID) engine=$(engine)
kill -KILL "$engine"
new_engine() { [ -n "$(engine)" ] && [ "$(engine)" != "$engine" ] && active; }
until_true "no new engine" new_engine
is MainPID "$main" || end "systemd started it anew for an engine"
is NRestarts 0 || end "systemd counts a restart"
systemctl reload mdclusterd

# what the dead engine left is resynced first: a stop amid that would hand its bits over
idle() { until_true "web is resynced for ever" mdcluster status --wait=idle web; }
idle
# a device of it, which has the daemon started
attach=
if [ -e /dev/fuse ] && command -v nbdfuse nbdinfo >/dev/null; then
  attach=mdcluster-attach@web
  systemctl stop mdclusterd
  systemctl start $attach
  is ActiveState active || end "the daemon is not started for its device"
  [ -e /run/mdcluster/web.attached ] || end "it is not attached"
  device=$(awk '{ print $2 }' /run/mdcluster/web.attached)
  cmp -n 1048576 "$device" <(head -c 1M /dev/zero | tr '\0' '\7') || end "the device has other data"
  # an upgrade: whatever is mounted stays where it is
  systemctl restart mdclusterd
  is ActiveState active $attach || end "$attach went with the daemon"
  [ -e /run/mdcluster/web.attached ] || end "a restart of the daemon takes the device away"
  until_true "web is not active anew" active
  idle
fi

systemctl isolate mdend.target
is Result success || end "it did not end well: $(property Result)"
[ ! -e /run/mdcluster/web.attached ] || end "the device is still attached"
if [ -n "$attach" ]; then
  is ActiveState inactive $attach || end "$attach still runs"
  journalctl --no-pager -o cat _PID=1 >journal
  [[ $(grep -E '^Stopp(ed mdcluster-attach@web|ing mdclusterd)' journal | tail -n 2) = Stopped*Stopping* ]] ||
    end "the daemon stops before its device has gone: $(tail -n 20 journal)"
fi
[ "$(mdcluster examine-bitmap --json "$one" | jq '[.slots[].dirty] | add')" = 0 ] ||
  end "it left bits: the array was not left in order"

# a configuration with mistakes: once is enough
echo 'cluster {' >>/etc/mdcluster/mdclusterd.conf
! systemctl start mdclusterd || end "it starts with mistakes"
sleep 2
is NRestarts 0 || end "it is started again and again"
end fine
END
cp "$srcdir/tools/system/sysusers.d/mdcluster.conf" shared/

# --- the copy of this host ------------------------------------------------------------------------------
cat >first <<'END'
set -eu
echo $$ >"$1/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --net --cgroup --ipc --uts bash second "$2" "$3"
END
cat >second <<'END'
set -eu
root=$PWD/mnt/root
mount --make-rprivate /
mount -t tmpfs tmpfs mnt
mkdir mnt/upper mnt/work "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/mnt/upper,workdir=$PWD/mnt/work" "$root" || { echo "no overlay here" >shared/verdict; exit 0; }
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
# udev of the copy, if it starts, shall not touch this host's devices
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom tty loop-control fuse /dev/loop[0-9] /dev/loop[0-9][0-9]; do
  [ ! -e "/dev/${node#/dev/}" ] || cp -a "/dev/${node#/dev/}" "$root/dev/"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir "$root/run/shared"
mount --bind shared "$root/run/shared"
cp "$1" "$2" "$root/usr/sbin/"
cp units/* "$root/etc/systemd/system/"
mkdir -p "$root/etc/mdcluster"
rm -rf "$root"/etc/mdcluster/* "$root/var/lib/mdcluster"
ip link set lo up
exec chroot "$root" env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=mdtest.target --show-status=0
END
bash first "$group" "$builddir/mdcluster" "$builddir/mdclusterd/mdclusterd" >boot.log 2>&1 &
boot=$!
for _ in $(seq 1200); do
  [ ! -e shared/verdict ] || break
  kill -0 "$boot" 2>/dev/null || break
  sleep 0.1
done
[ -e shared/verdict ] || { [ -e shared/said ] || skip "systemd does not start here: $(tail -n 3 boot.log)"; }
case $(cat shared/verdict 2>/dev/null) in
fine) ;;
"no overlay here") skip "no overlay here" ;;
*) fail "$(cat shared/verdict 2>/dev/null): $(tail -n 60 shared/said)" ;;
esac
