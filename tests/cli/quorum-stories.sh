#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The stories of quorum, tests/quorum/stories/*.vq; and that a story that is wrong fails.
. "$(dirname "$0")/functions.sh"

"$builddir/vq" "$srcdir"/tests/quorum/stories/*.vq || fail "a story does not hold"

wrong() { # TEXT WANTED
  printf '%b' "$1" > wrong.vq
  if "$builddir/vq" wrong.vq 2> told; then fail "holds, and should not: $1"; fi
  grep -qF "$2" told || fail "says $(cat told), not: $2"
}
wrong 'nodes 3\nup 1 2\nassert quorate none\n' 'wrong.vq:3: quorate are: 1 2'
wrong 'nodes 2\noption two_node\nup all\nsplit 1 | 2\n' 'wrong.vq:4: two parts are quorate'
wrong 'nodes 3\nup all\nassert expected 1 4\n' 'expected of node 1: 3'
wrong 'nodes 3\nup 1\nassert why 1 rain\n' 'node 1 says: 1 of 3 votes'
wrong 'nodes 3\nupp 1\n' 'upp: is no word of this language'
