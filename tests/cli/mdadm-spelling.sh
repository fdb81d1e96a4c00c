#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whoever types mdadm's words gets mdadm's results, exit codes included.
. "$(dirname "$0")/functions.sh"

make_disk a.img 64M
make_disk b.img 64M
make_disk c.img 64M
make_disk s.img 64M

mdcluster --create /dev/md/web --level=mirror --raid-devices=2 --bitmap=clustered --nodes=4 \
  --home-cluster=alpha --homehost=none --assume-clean --bitmap-chunk=64K --delay=7 --data-offset=2M \
  --size=32M --spare-devices=1 --run --metadata=1.2 a.img b.img s.img >out ||
  fail "--create"
grep -q 'array web created' out || fail "the name is not 'web': $(cat out)"
mdcluster --examine a.img >E
mdcluster -E a.img | cmp -s - E || fail "-E and --examine differ"
mdcluster examine a.img | cmp -s - E || fail "examine and --examine differ"
mdcluster --examine-bitmap a.img >X
mdcluster -X a.img | cmp -s - X || fail "-X and --examine-bitmap differ"
grep -q 'Data Offset : 4096 sectors' E || fail "--data-offset=2M"
grep -q 'Used Dev Size : 65536 sectors' E || fail "--size=32M"
grep -q 'State : clean' E || fail "--assume-clean"
grep -q 'Daemon : 7s' X || fail "--delay=7"
grep -q 'Cluster nodes : 4' X || fail "--nodes=4"
mdcluster -E s.img | grep -q 'Device Role : spare' || fail "--spare-devices=1"

# short letters, operands first or last
mdcluster -C md0 -l 10 -p n2 -c 64 -n 2 -b clustered --home-cluster=alpha --homehost=none -f -R a.img b.img >out ||
  fail "-C: $(cat out)"
mdcluster -E a.img | grep -q 'Layout : near=2' || fail "-p n2"
mdcluster -E a.img | grep -q 'Chunk Size : 64K' || fail "-c 64"
mdcluster -E a.img | grep -q 'Name : 0$' || fail "md0 becomes the name 0"
mdcluster -Es a.img | grep -q '^ARRAY /dev/md/0 metadata=1.2 UUID=.* name=0$' || fail "-Es"

# exit codes
expect_fail 1 mdcluster -E c.img
expect_fail 1 mdcluster -X c.img
expect_fail 2 mdcluster --create web a.img b.img --level=5 --raid-devices=2 --home-cluster=c
expect_fail 2 mdcluster --create web a.img b.img --no-such-option
expect_fail 1 mdcluster --assemble --run-dir="$tmp" /dev/md0
expect_fail 2 mdcluster --assemble
expect_fail 2 mdcluster /dev/md0 --frobnicate /dev/sdb
expect_fail 2 mdcluster frobnicate
# what is done to the disks of an array needs its daemon (manage.sh has all the words)
for words in "--manage /dev/md0 --add a.img" "/dev/md0 -a a.img" "/dev/md0 --fail a.img --remove a.img" "--wait /dev/md0"; do
	expect_fail 1 mdcluster --run-dir="$tmp" $words
	expect_equal "$words" 1 "$(grep -c 'control.sock: is it started' <<<"$error")"
done
expect_fail 2 mdcluster --manage /dev/md0 --run-dir="$tmp"
expect_fail 2 mdcluster /dev/md0 --add
code=0
mdcluster >/dev/null 2>&1 || code=$?
expect_equal "no command at all" 2 "$code"

mdcluster --zero-superblock a.img || fail "--zero-superblock"
expect_fail 1 mdcluster -E a.img
