#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `mdcluster grow`, of disks that nobody runs: what comes of it, mdadm agrees, and what is
# refused. And what is asked of the daemon for which words.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"
need jq

bits() { mdcluster -X --json --merged a.img b.img | jq -c "$1"; }
of_disk() { mdcluster -E --json "$1" | jq -r "$2"; }

# --- size -------------------------------------------------------------------------------
make_array web a.img b.img --nodes=4 --assume-clean --size=32M --run
mdcluster update --mark=0:5 --mark=2:10-19 a.img b.img
mdcluster grow --size=48M a.img b.img
expect_equal "size" $((48 * 2048)) "$(of_disk b.img .size_sectors)"
# what is new is dirty in slot 0: 16 MiB in chunks of 64 KiB
expect_equal "dirty chunks" '[257,0,10,0]' "$(bits '[.slots[].dirty]')"
expect_equal "where" '[[5,5],[512,767]]' "$(bits '.slots[0].dirty_ranges')"
of_disk a.img .kernel_md_cluster.accepts | grep -q true || fail "the kernel would refuse it"
out=$(mdcluster grow --json --size=max --assume-clean a.img b.img)
size=$(jq .size_sectors <<<"$out")
[ "$size" -gt $((48 * 2048)) ] || fail "max: $out"
expect_equal "vouched for" '[257,0,10,0]' "$(bits '[.slots[].dirty]')"
# the disks themselves become larger
truncate -s 256M a.img b.img
mdcluster grow --size=max --assume-clean a.img b.img
[ "$(of_disk a.img .size_sectors)" -gt $((size + 2048)) ] || fail "a larger disk is not used"
expect_fail 2 mdcluster grow --size=32M a.img b.img
case $error in *lost*--force*) ;; *) fail "smaller: $error" ;; esac
mdcluster grow --size=32M --force a.img b.img
expect_equal "smaller" $((32 * 2048)) "$(of_disk a.img .size_sectors)"
expect_fail 1 mdcluster grow --size=4T a.img b.img

# --- copies -----------------------------------------------------------------------------
mdcluster grow --raid-devices=3 a.img b.img
expect_equal "copies" 3 "$(of_disk b.img .raid_disks)"
mdcluster --grow /dev/null --raid-devices=1 a.img b.img 2>/dev/null && fail "one copy"
mdcluster -G -n 2 a.img b.img
expect_equal "copies" 2 "$(of_disk b.img .raid_disks)"

# --- kinds of bitmap ----------------------------------------------------------------------
mdcluster grow --bitmap=internal a.img b.img
if command -v mdadm >/dev/null; then
	mdadm -E a.img | grep -q "Internal Bitmap" || fail "mdadm sees no bitmap: $(mdadm -E a.img)"
fi
expect_fail 1 mdcluster grow --size=max a.img b.img
case $error in *mdadm*) ;; *) fail "a plain array: $error" ;; esac
expect_fail 2 mdcluster grow --bitmap=clustered a.img b.img
mdcluster grow --bitmap=clustered --nodes=3 --home-cluster=beta a.img b.img
expect_equal "dirty bits are in slot 0" '[11,0,0]' "$(bits '[.slots[].dirty]')"
expect_equal "cluster" '"beta"' "$(bits .cluster_name)"
mdcluster grow --bitmap=none a.img b.img
if command -v mdadm >/dev/null; then
	mdadm -E a.img | grep -q "Internal Bitmap" && fail "mdadm sees a bitmap: $(mdadm -E a.img)"
fi
mdcluster grow --json --bitmap=clustered --home-cluster=beta a.img b.img |
	jq -e '.bitmap == "clustered"' >/dev/null || fail "clustered again"
# without a bitmap nobody knew what was dirty
expect_equal "all is" '[1,0,0,0]' "$(bits '[.slots[].dirty]')"

# --- one member only has the change: the next command finishes it ---------------------------
cp a.img old-a.img
mdcluster grow --size=40M --assume-clean a.img b.img
cp old-a.img a.img
expect_fail 1 mdcluster update --nodes=5 a.img b.img
mdcluster grow --size=40M a.img b.img
expect_equal "finished" $((40 * 2048)) "$(of_disk a.img .size_sectors)"
mdcluster update --nodes=5 a.img b.img

# --- words ----------------------------------------------------------------------------------
expect_fail 2 mdcluster grow a.img b.img
expect_fail 2 mdcluster grow --size=max
expect_fail 2 mdcluster grow --bitmap=yes a.img b.img
expect_fail 2 mdcluster grow --bitmap=clustered web
expect_fail 2 mdcluster grow --name=x a.img b.img

start_daemon healthy
# asks CALL CMD: CMD succeeds with exactly this call
asks()
{
	calls >/dev/null
	ends_with 0 eval "$2"
	expect_equal "calls of: $2" "$1" "$(calls)"
}
answer Grow '{"reply": {"size": 98304, "sectors": 98304, "raid_devices": 2}}'
for command in grow --grow -G; do
	asks '["Grow",{"array":"web","max":true}]' "mdcluster $command /dev/md/web --size=max"
done
asks '["Grow",{"array":"web","assume_clean":true,"size":98304}]' \
	"mdcluster grow web -z 48M --assume-clean"
[ -z "$out" ] || fail "grow tells what nobody reads: $out"
asks '["Grow",{"array":"web","name":"x","raid_devices":3}]' \
	"mdcluster grow web --raid-devices=3 --name=x"
asks '["Grow",{"array":"web","max":true}]' "mdcluster grow web --size=max --json"
jq -e '.array == "web" and .size_sectors == 98304 and .raid_disks == 2' <<<"$out" >/dev/null ||
	fail "json: $out"
asks '["Grow",{"array":"web","bitmap":"none"}]' "mdcluster grow web --bitmap=none"
case $out in *"no cluster any more"*) ;; *) fail "farewell: $out" ;; esac
asks '["Grow",{"array":"web","name":"net"}]' "mdcluster update --name=net /dev/md/web"
answer Grow '{"refuse": "node 3 refuses: it runs a check", "errno": 16}'
expect_fail 1 mdcluster grow web --size=max
expect_equal "why not" "mdcluster: node 3 refuses: it runs a check" "$error"
