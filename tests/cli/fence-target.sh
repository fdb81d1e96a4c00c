#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Persistent reservations against a real target: tgt on loopback, initiators by libiscsi in user
# space. Who is preempted writes no more, whatever it does; the others do.
. "$(dirname "$0")/functions.sh"
own_network "$0"
[ -x "$builddir/pr-iscsi" ] || skip "built without libiscsi"
tgtd=$(PATH=$PATH:/usr/sbin command -v tgtd) || skip "no tgtd"

control=$((1000 + $$ % 30000)) # its socket is the machine's, not the namespace's
truncate -s 16M lun
"$tgtd" -f -C $control --iscsi portal=127.0.0.1:3260 >tgtd.log 2>&1 </dev/null &
pid=$!
end_target() { # which ignores SIGTERM as long as it has targets
  kill -KILL $pid 2>/dev/null || :
  wait $pid 2>/dev/null || :
  rm -f /var/run/tgtd/socket.$control*
}
trap 'end_target; cleanup' EXIT
admin() { timeout 20 tgtadm -C $control --lld iscsi "$@"; }
for ((i = 0; i < 100; i++)); do
  admin --op new --mode target --tid 1 -T iqn.2026-11.org.mdcluster:t >tgtadm.log 2>&1 && break
  sleep 0.1
done
admin --op new --mode logicalunit --tid 1 --lun 1 -b "$PWD/lun" || fail "no logical unit: $(cat tgtd.log)"
admin --op bind --mode target --tid 1 -I ALL || fail "nobody is let in"

url=iscsi://127.0.0.1:3260/iqn.2026-11.org.mdcluster:t/1
key1=aaaa000000000001 key2=aaaa000000000002
name=iqn.2026-11.org.mdcluster:node

# What is to come of each, in turn; all in one process, so that sessions stay.
cat >story <<EOF
fine     1 check
fine     3 write
fine     1 register $key1
fine     2 register $key2
fine     1 write
fine     2 write
conflict 3 write
fine     1 watch $key1
failed   2 preempt-abort $key2 $key1
fine     1 write
fine     2 preempt $key2 $key1
conflict 1 write
fine     2 write
fenced   1 watch $key1
fenced   1 preempt $key1 $key2
conflict 1 write
fine     2 preempt $key2 $key1
fine     1 register $key1
fine     1 write
fine     2 leave $key2
conflict 3 write
fine     1 leave-last $key1
fine     3 write
EOF
awk '{ print $1 }' story >wanted
sed -E "s/^[a-z]+ +/$name/" story | timeout 100 "$builddir/pr-iscsi" "$url" >found || fail "pr-iscsi: $(cat found)"
sed -E 's/^([a-z]+).*/\1/' found >in_short
# tgt knows no PREEMPT AND ABORT: it is refused, and proves nothing
grep -q "^failed: .*: does not know how to: preempt and abort (24/00)" found || fail "$(cat found)"
expect_equal "what came of it: $(cat found)" "" "$(paste -d ' ' story in_short | awk '$1 != $NF')"
expect_equal "all of it" "$(grep -c . wanted)" "$(grep -c . found)"
