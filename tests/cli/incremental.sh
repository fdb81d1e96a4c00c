#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks come and go, and `mdcluster incremental` says so, as udev does: an array starts when
# all of its disks are there, degraded after a while where it may; what an operator stopped
# stays stopped; a disk that vanishes fails. Keys of --export are mdadm's; no name from a
# disk adds one.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"

array() { echo "[(.status // .) | .arrays[] | select(.name == \"$1\")]"; }
state_is() { shows "$1" "$(array "$2") | .[0].state" "$3"; } # I ARRAY STATE
is_here() { shows "$1" "$(array "$2") | map(select(.state != \"down\" or (.is_stopped | not))) | length" "$3"; } # I ARRAY 0|1
in_sync() { shows "$1" "$(array "$2") | .[0].disks_in_sync" "$3"; } # I ARRAY DISKS
told() { # VERDICT DISK...
  local wanted=$1 code=0 status=0
  shift
  [ "$wanted" != foreign ] || status=3
  mdcluster incremental --json --run-dir=run.1 "$@" >told.json || code=$?
  expect_equal "verdict on $*" "$wanted" "$(jq -r .verdict told.json)"
  expect_equal "exit status of $*" "$status" "$code"
}
end_1() {
  kill -TERM "${pid_of[1]}"
  finished 1
  expect_equal "exit status of node1" 0 "$code"
}
make() { # NAME DISK...
  mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
    --bitmap-chunk=64K --nodes=4 --assume-clean "$@" || fail "create $*"
}

mkdir away
for d in a b c d e f g h i; do make_disk $d.img 64M; done
make web a.img b.img
make logs c.img d.img
make other --home-cluster=beta e.img f.img
mv b.img away

# --- what is wrong is said; what is not ours is left alone ------------------------------------
expect_fail 2 mdcluster incremental
expect_fail 2 mdcluster incremental --json --export a.img
expect_fail 3 mdcluster incremental g.img
expect_fail 1 mdcluster incremental nothing.img
expect_fail 1 mdcluster incremental --run-dir="$PWD/run.1" a.img
case $error in *"mdclusterd"*) ;; *) fail "no daemon: $error" ;; esac

# --- an array of the configuration: by its disks' names, when the last one comes -----------------
configure 1 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } }"
start 1
ring_of 1
await "node1: web does not say what it lacks" eval "status_of 1 | grep -q 'not here'"
told foreign c.img
told foreign e.img
told assembles a.img
sleep 0.2
state_is 1 web active && fail "web starts without a disk"
mv away/b.img .
told assembles b.img
await "node1: web is not active with all its disks" state_is 1 web active
for spelling in "incremental" "--incremental" "-I"; do
  # shellcheck disable=SC2086
  mdcluster $spelling --run-dir=run.1 "$PWD/a.img" >out || fail "$spelling"
  grep -q 'a.img: web is active' out || fail "$spelling: $(cat out)"
done

# --- stopped is stopped, whatever is told, joins or is reloaded ----------------------------------
mdcluster stop web --run-dir=run.1
told left-alone a.img
mdcluster reload --run-dir=run.1 >/dev/null
told left-alone b.img
is_here 1 web 0 || fail "web is back after a stop"
mdcluster assemble web --run-dir=run.1 || fail "assemble"
told active a.img

# --- KEY=VALUE -----------------------------------------------------------------------------------
mdcluster incremental --export --run-dir=run.1 a.img >E
expect_equal "incremental --export" "MD_FOREIGN=no MD_DEVNAME=web MD_STARTED=yes MD_CLUSTER_NAME=alpha MD_CLUSTER_NODES=4" \
  "$(tr '\n' ' ' <E | sed 's/ $//')"
mdcluster detail --export --run-dir=run.1 web >E
slot=$(status_of 1 | jq "$(array web) | .[0].slot")
for line in MD_LEVEL=raid1 MD_DEVICES=2 MD_METADATA=1.2 MD_DEVNAME=web MD_NAME=web \
  "MD_CLUSTER_NAME=alpha" "MD_CLUSTER_NODES=4" "MD_CLUSTER_SLOT=$slot" MD_CLUSTER_STATE=active \
  "MD_UUID=$(mdcluster examine --json a.img | jq -r .uuid)"; do
  grep -qxF "$line" E || fail "detail --export lacks $line: $(cat E)"
done
expect_equal "its disks" 2 "$(grep -cE '^MD_DEVICE_[A-Za-z0-9_]+a_img_(ROLE=0|DEV=/.*/a\.img)$' E)"
expect_fail 2 mdcluster detail --export --json --run-dir=run.1 web

# --- a disk vanishes: it has failed, and the array goes on -------------------------------------------
expect_equal "a disk that nobody uses" 3 \
  "$(mdcluster incremental --fail --run-dir=run.1 sdnothing >/dev/null && echo 0 || echo $?)"
mdcluster -If --path=pci-0 --run-dir=run.1 "$PWD/b.img" >out || fail "-If"
grep -q 'b.img: has failed' out || fail "-If: $(cat out)"
await "node1: b.img is not faulty" in_sync 1 web 1
says 1 MDC5700 || fail "the log does not tell of the disk that vanished"
told active b.img # auto_re_add is no, as md's policy is
expect_fail 1 mdcluster incremental --fail --run-dir=run.1 "$PWD/a.img" # the last one stays
state_is 1 web active || fail "web is gone with its disk"

# --- it comes back by itself where that is wanted; one that was used apart does not -----------------------
sed -i 's/cluster { name = alpha/& auto_re_add = yes/' c.1
mdcluster reload --run-dir=run.1 >out
grep -q 'cluster.auto_re_add' out && grep -q 'array web: auto_re_add' out || fail "reload: $(cat out)"
told re-adds b.img
await "node1: b.img does not come back" in_sync 1 web 2
told active b.img
mdcluster incremental --fail --quiet --run-dir=run.1 "$PWD/b.img" || fail "--fail once more"
await "node1: b.img is not faulty again" in_sync 1 web 1
cp b.img away/b.copy # as if another host had had it
mdcluster update --force --quiet --name=apart away/b.copy || fail "update of b.img"
dd if=away/b.copy of=b.img bs=4096 skip=1 seek=1 count=1 conv=notrunc status=none
rm away/b.copy
told re-adds b.img
is_told() { mdcluster events --json --run-dir=run.1 | jq -e 'select(.kind == "disk_not_re_added") | .array == "web" and (.disk | endswith("/b.img")) and .is_ours' >/dev/null; }
await "node1: that it does not come back is not told" is_told
told active b.img
in_sync 1 web 1 || fail "a disk that was used apart is believed"
end_1

# --- degraded, but not before the others had their time ------------------------------------------------
rm a.img b.img
make_disk a.img 64M
make_disk b.img 64M
make web a.img b.img
mv b.img away
configure 1 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } start_degraded = yes degraded_after_ms = 3600000 }"
start 1
await "node1: web does not say what it lacks" eval "status_of 1 | grep -q 'not here'"
told assembles a.img
sleep 0.2
state_is 1 web active && fail "web is degraded before its time"
mdcluster assemble web --run-dir=run.1 || fail "an operator who wants it now is told to wait"
in_sync 1 web 1 || fail "the disk that is away is not failed: $(status_of 1)"
end_1
rm a.img away/b.img
make_disk a.img 64M
make_disk b.img 64M
make web a.img b.img
mv b.img away
configure 1 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } start_degraded = yes degraded_after_ms = 3000 }"
start 1
await "node1: web does not start degraded when its time has come" state_is 1 web active
in_sync 1 web 1 || fail "not degraded: $(status_of 1)"
end_1
rm away/b.img

# --- incremental = all: arrays of this cluster's name, with no word of configuration ----------------------
configure 1
sed -i 's/cluster { name = alpha/& incremental = all/' c.1
start 1
ring_of 1
told foreign e.img # of another cluster
told assembles c.img
await "node1: logs is not looked at" is_here 1 logs 1
state_is 1 logs active && fail "logs starts without a disk"
told assembles d.img
await "node1: logs is not active with all its disks" state_is 1 logs active
told active c.img
mdcluster stop logs --run-dir=run.1 || fail "stop logs"
told left-alone c.img
told left-alone d.img
is_here 1 logs 0 || fail "logs is back after a stop"
mdcluster assemble logs --run-dir=run.1 || fail "assemble of an array that was told of"
mdcluster stop logs --run-dir=run.1 || fail "stop logs"
make logs h.img i.img # another one of that name
expect_fail 1 mdcluster incremental --run-dir=run.1 h.img
case $error in *"another array here has this name"*) ;; *) fail "two of a name: $error" ;; esac
mdcluster incremental --fail --run-dir=run.1 "$PWD/c.img" >/dev/null || :
mdcluster incremental --fail --run-dir=run.1 "$PWD/d.img" >/dev/null || :
told left-alone h.img
end_1

# --- examine --export: mdadm's lines, and ours behind them ------------------------------------------------
for image in r1-64M-a-created-resynced r10-64M-a-created-resynced; do
  zstd -qdf "$srcdir/tests/data/golden/$image.a.img.zst" -o golden.img
  mdcluster examine --export golden.img >E || fail "examine --export"
  grep -q '^MD_CLUSTER_NAME=mycluster$' E || fail "no cluster's name: $(cat E)"
  grep -qE '^MD_CLUSTER_NODES=[0-9]+$' E || fail "no number of nodes: $(cat E)"
  if [ "$(id -u)" = 0 ] && command -v mdadm >/dev/null && loop=$(losetup --find --show --read-only golden.img 2>/dev/null); then
    mdadm -E --export "$loop" >mdadm.E
    losetup -d "$loop"
    expect_equal "mdadm's lines" "$(cat mdadm.E)" "$(grep -v '^MD_CLUSTER_' E)"
  fi
done
expect_fail 2 mdcluster examine --export --json golden.img
mdcluster update --quiet --name="$(printf 'x\nSYSTEMD_WANTS=evil;$(reboot) y')" h.img i.img 2>/dev/null ||
  mdcluster update --quiet --name='x$(reboot);y "z' h.img i.img || fail "update --name"
mdcluster examine --export h.img >E
grep -vE '^MD_[A-Z_]+=[A-Za-z0-9._:@+,/-]*$' E >bad && fail "a name got through: $(cat bad)"
exit 0
