#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What every lockspace must do (tests/locks), on a real kernel's DLM: each story in a lockspace
# of its own; what the kernel does otherwise is left out by name. With `elsewhere`, on demand:
# all stories in one lockspace whose resources have another machine as their master, which
# takes a quarter of an hour.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab
[ -x "$builddir/dlm-conformance" ] || skip "dlm-conformance is not built"
vm_patience_s=3600

# verdict OUTPUT: nothing failed, and as much as ever was played
verdict() {
  ! grep -A 1 '^FAILED' "$1" || fail "the kernel's DLM does something else"
  [ "$(grep -c '^ok ' "$1")" -ge 153 ] || fail "only $(grep -c '^ok ' "$1") stories were played: $(tail -n 3 "$1")"
  grep '^skipped' "$1" | sed 's/^[^:]*: //' | sort | uniq -c
}

boot 2
kernel_cluster 2 1 2
if [ "${1:-}" != elsewhere ]; then
  on 1 'dlm-conformance >/tmp/stories 2>&1 || :; cat /tmp/stories' >stories
  verdict stories
  exit 0
fi

on 2 'setsid sh >/tmp/master 2>&1 <<END &
{
  echo "open conformance"; echo "wait in"
  for i in \$(seq 1 200); do
    for n in r q p a b; do echo "lock \$i\$n \$i/\$n NL"; echo "wait \$i\$n"; done
  done
  echo "say ALL"; echo "sleep 100000000"
} | dlm-program --self 2 --node 1=10.77.0.1:7001 --node 2=10.77.0.2:7001
END
sleep 0.1' >/dev/null
until_on 2 "the other machine takes no locks" 'grep -q "say ALL" /tmp/master'
on 1 'dlm-conformance --quiet 150 --one-life >/tmp/stories 2>&1 || :; cat /tmp/stories' >stories
verdict stories
