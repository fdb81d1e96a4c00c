#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# scan finds members among files and block devices; zero makes them nobody's.
. "$(dirname "$0")/functions.sh"
need jq

make_array web a.img b.img
make_array shop c.img d.img --nodes=8
uuid=$(mdcluster -E --json c.img | jq -r .uuid)

mdcluster scan --brief b.img c.img a.img d.img >out
expect_equal "arrays" 2 "$(grep -c '^ARRAY' out)"
grep -q "^ARRAY /dev/md/shop metadata=1.2 UUID=$uuid name=shop$" out || fail "$(cat out)"
mdcluster scan --uuid="$uuid" ./*.img >table
expect_equal "rows of the table" 3 "$(wc -l <table)"
grep -q '^DISK .*NAME .*CLUSTER .*LEVEL .*ROLE' table || fail "$(cat table)"
expect_equal "by name" 2 "$(mdcluster scan --name=web --json ./*.img | jq length)"
expect_fail 1 mdcluster scan --name=nobody ./*.img
expect_fail 2 mdcluster scan --uuid=zzz ./*.img
make_disk empty.img 1M
expect_fail 1 mdcluster scan empty.img

if [ "$(id -u)" -eq 0 ] && command -v losetup >/dev/null; then
  with_loop c.img
  mdcluster scan --uuid="$uuid" --json | jq -e --arg d "$loop" 'any(.disk == $d)' >/dev/null ||
    fail "scan does not find $loop by itself"
  losetup -d "$loop"
  unset 'loops[-1]'
fi

# zero: the superblock goes, the data stays; a disk without one is no failure
printf 'data' | dd of=a.img bs=1 seek=1048576 conv=notrunc status=none
mdcluster zero --quiet a.img || fail "zero"
expect_fail 1 mdcluster examine a.img
expect_equal "data" data "$(dd if=a.img bs=1 skip=1048576 count=4 status=none)"
code=0
mdcluster zero a.img 2>err || code=$?
expect_equal "zero without a superblock, as mdadm" 0 "$code"
grep -q 'a.img: no md superblock' err || fail "it is not told: $(cat err)"
# a damaged one only by force
printf 'x' | dd of=b.img bs=1 seek=$((4096 + 200)) conv=notrunc status=none
expect_fail 1 mdcluster zero b.img
case $error in *b.img*checksum*) ;; *) fail "'$error'" ;; esac
mdcluster zero --force --quiet b.img || fail "zero --force"
expect_fail 1 mdcluster examine b.img
