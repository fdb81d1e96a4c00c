#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What systemd is given: units that it can read and that are shut in, a group, folders; and
# a daemon for whose arrays the capabilities of its unit are enough.
. "$(dirname "$0")/functions.sh"
own_network "$0"
system=$srcdir/tools/system
mkdir sbin
ln -s "$builddir/mdcluster" "$builddir/mdclusterd/mdclusterd" sbin/
render() { sed "s,@sbindir@,$PWD/sbin,g" "$system/$1.in" >"$1"; }
render mdclusterd.service
render mdcluster-attach@.service
ln -s mdcluster-attach@.service mdcluster-attach@web.service

# values KEY: of the daemon's unit
values() { sed -n "s/^$1=//p" mdclusterd.service; }

# --- whatever is here: what the files say of each other ----------------------------------------
! grep -E '^(BindsTo|Requires|PartOf)=.*mdclusterd' mdcluster-attach@.service ||
  fail "a restart of the daemon takes the device from under what is mounted"
grep -q '^Wants=mdclusterd.service' mdcluster-attach@.service || fail "attach@ does not start the daemon"
! grep '^Restart=' mdcluster-attach@.service || fail "systemd restarts what requires attach@ with it"
grep -q '^After=mdclusterd.service' mdcluster-attach@.service || fail "attach@ does not stop before the daemon"
for unit in mdclusterd.service mdcluster-attach@.service; do
  grep -q '^Before=remote-fs-pre.target' $unit || fail "$unit: mounts do not wait for it"
done
values After | grep -q 'network-online.target' || fail "the ring does not wait for the network"
for engine in corosync.service dlm.service; do
  values After | grep -qw "$engine" || fail "$engine may start behind us, and stop before us"
  ! grep -E '^(Wants|Requires|BindsTo)=' mdclusterd.service | grep -w "$engine" ||
    fail "$engine is started where nobody needs it"
done
expect_equal "KillMode" mixed "$(values KillMode)"
for code in 2 3 4; do
  values RestartPreventExitStatus | grep -qw $code || fail "exit status $code is tried again for ever"
done
patience=$(sed -n 's/^enum { COROSYNC_PATIENCE_S = \([0-9]*\) }.*/\1/p' "$srcdir/mdclusterd/daemon/main.c")
[ $(((patience - 1) * $(values StartLimitBurst))) -gt "$(values StartLimitIntervalSec)" ] ||
  fail "systemd gives up on a daemon that waits for corosync"
! grep -q '^ExecStartPre=' mdclusterd.service || fail "ExecStartPre: its exit status is no reason not to restart"
stop_ms=$(sed -n 's/^\tSTOP_MS = \([0-9]*\),.*/\1/p' "$srcdir/mdclusterd/daemon/supervisor.c")
[ "$(values TimeoutStopSec | tr -d s)000" -gt "$stop_ms" ] ||
  fail "systemd is less patient than the supervisor, who speaks the obituary"

# --- systemd's own opinion ------------------------------------------------------------------------
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify --man=no ./mdclusterd.service ./mdcluster-attach@web.service >verify 2>&1 ||
    fail "systemd-analyze verify: $(cat verify)"
  ! grep -E 'mdcluster(d|-attach@)' verify || fail "systemd-analyze verify has something to say"
  systemd-analyze security --offline=true --threshold=36 ./mdclusterd.service >security 2>&1 ||
    fail "the daemon is less shut in than it was: $(tail -n 1 security)"
else
  echo "there is no systemd-analyze: the units are not verified"
fi
if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
  mkdir -p root/etc
  touch root/etc/passwd root/etc/group
  systemd-sysusers --root="$PWD/root" "$system/sysusers.d/mdcluster.conf" >users 2>&1 || fail "sysusers: $(cat users)"
  grep -q '^mdcluster:' root/etc/group || fail "sysusers makes no group mdcluster"
  if [ "$(id -u)" = 0 ]; then
    echo 'root:x:0:0::/root:/bin/sh' >>root/etc/passwd
    echo 'root:x:0:' >>root/etc/group
    systemd-tmpfiles --root="$PWD/root" --create "$system/tmpfiles.d/mdcluster.conf" >files 2>&1 || fail "tmpfiles: $(cat files)"
    expect_equal "run directory" "755 700" "$(stat -c %a root/run/mdcluster root/var/lib/mdcluster | tr '\n' ' ' | sed 's/ $//')"
  fi
else
  echo "there is no systemd-sysusers: group and folders are not made"
fi

# --- the powers that its unit leaves to root are enough for an array ---------------------------------
need_root
need setpriv
. "$(dirname "$0")/daemon-functions.sh"
kept=" $(values CapabilityBoundingSet | tr '[:upper:]\n' '[:lower:] ') "
dropped=
for power in $(setpriv --list-caps); do
  case $kept in *" cap_$power "*) ;; *) dropped+=,-$power ;; esac
done
make_array web a.img b.img --nodes=4 --assume-clean
configure 1 "lock_memory = yes
array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } export_group = daemon export_mode = 0660 }"
setpriv --bounding-set="${dropped#,}" --no-new-privs "$daemon" --config=c.1 >log.1 2>&1 &
pid_of[1]=$!
await "web is not active with the capabilities of the unit" \
  shows 1 '.status // . | .arrays[0].state' active
! grep -E 'cannot be locked|not permitted' log.1 || fail "a power is missing"
expect_equal "group of the export" daemon "$(stat -c %G run.1/web.nbd)"
kill -TERM "${pid_of[1]}"
finished 1
expect_equal "exit status" 0 "$code"
