#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# `mdcluster update` as a person uses it: dirty bits stay, mdadm agrees.
. "$(dirname "$0")/functions.sh"
need jq

bits() { mdcluster -X --json --merged a.img b.img | jq -c "$1"; }

make_array web a.img b.img --nodes=6 --assume-clean
mdcluster update --mark=0:5 --mark=2:10-19 --mark=5:1007 a.img b.img
expect_equal "dirty chunks" '[1,0,10,0,0,1]' "$(bits '[.slots[].dirty]')"

mdcluster update --nodes=9 a.img b.img
expect_equal "more nodes" '[1,0,10,0,0,1,0,0,0]' "$(bits '[.slots[].dirty]')"
mdcluster update --home-cluster=beta --name=box:shop a.img b.img
expect_equal "cluster name" '"beta"' "$(bits .cluster_name)"
mdcluster -E b.img | grep -q 'Name : box:shop' || fail "the name of b.img"
expect_equal "name changes keep bits" '[1,0,10,0,0,1,0,0,0]' "$(bits '[.slots[].dirty]')"
mdcluster update --nodes=2 a.img b.img
expect_equal "fewer nodes" '[12,0]' "$(bits '[.slots[].dirty]')"
expect_equal "where they went" '[[5,5],[10,19],[1007,1007]]' "$(bits '.slots[0].dirty_ranges')"
mdcluster update --mark=1:100-101 a.img b.img
mdcluster update --gather a.img b.img
expect_equal "gathered" '[14,0]' "$(bits '[.slots[].dirty]')"

uuid=01234567:89abcdef:01234567:89abcdef
mdcluster update --uuid=$uuid a.img b.img | grep -q "new uuid: $uuid" || fail "the new uuid is not told"
expect_equal "uuid" "\"$uuid\"" "$(bits .uuid)"
expect_equal "a new uuid keeps bits" '[14,0]' "$(bits '[.slots[].dirty]')"
mdcluster update --uuid=random --quiet a.img b.img
[ "$(bits .uuid)" != "\"$uuid\"" ] || fail "--uuid=random"
mdcluster -E --json a.img | jq -e '.kernel_md_cluster.accepts' >/dev/null || fail "the kernel would refuse it"

# an interrupted change of uuid: b has the new one, a still the old
mdcluster update --uuid=$uuid --quiet a.img b.img
cp a.img old-a.img
other=fedcba98:76543210:fedcba98:76543210
mdcluster update --uuid=$other --quiet a.img b.img
cp old-a.img a.img
expect_fail 1 mdcluster update --nodes=4 a.img b.img
case $error in *set_uuid*"--uuid"*) ;; *) fail "'$error' does not tell how to go on" ;; esac
mdcluster update --uuid=$other --quiet a.img b.img
expect_equal "finished" "\"$other\"" "$(bits .uuid)"

# a member is left out
expect_fail 1 mdcluster update --nodes=8 a.img
expect_equal "nothing happened" 2 "$(bits .nodes)"
mdcluster update --nodes=8 --force a.img
expect_fail 1 mdcluster update --nodes=9 a.img b.img
case $error in *b.img*faulty*"leave it out"*) ;; *) fail "'$error' does not say that b.img was left out" ;; esac

if command -v mdadm >/dev/null && [ "$(id -u)" -eq 0 ]; then
  with_loop a.img
  mdadm -X "$loop" >X 2>err || fail "mdadm -X: $(cat err)"
  grep -q 'Cluster nodes : 8' X || fail "mdadm does not see 8 nodes"
  grep -q 'Cluster name : beta' X || fail "mdadm does not see the cluster name"
  expect_equal "mdadm's dirty chunks" "14 0 0 0 0 0 0 0" \
    "$(sed -n 's/.*(chunks), \([0-9]*\) dirty.*/\1/p' X | tr '\n' ' ' | sed 's/ $//')"
fi

expect_fail 2 mdcluster update a.img b.img
expect_fail 2 mdcluster update --nodes=4
expect_fail 2 mdcluster update --mark=1 a.img
expect_fail 2 mdcluster update --mark=1:x a.img
expect_fail 2 mdcluster update --uuid=short a.img
