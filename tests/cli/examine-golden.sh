#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What real kernels and mdadm made, `mdcluster examine` and `examine-bitmap` show
# as mdadm shows it: every line of mdadm's, in mdadm's order.
. "$(dirname "$0")/functions.sh"
need mdadm zstd
need_root

# in_order WANTED FOUND: each line of WANTED is in FOUND, in the same order
in_order() {
  diff --old-line-format='%L' --new-line-format='' --unchanged-line-format='' \
    "$1" "$2" >missing || true
  [ ! -s missing ] || fail "$3: mdadm says what we do not: $(cat missing)"
}

count=0
for image in "$srcdir"/tests/data/golden/*.img.zst; do
  name=$(basename "$image" .img.zst)
  zstd -q -d --long=27 -f "$image" -o disk
  with_loop disk
  mdadm -E "$loop" >theirs
  mdcluster examine "$loop" >ours
  in_order theirs ours "$name, examine"
  mdadm -X "$loop" >theirs
  mdcluster examine-bitmap "$loop" >ours
  in_order theirs ours "$name, examine-bitmap"
  # and from the plain file, where mdadm -X gives up
  mdcluster -E disk | tail -n +2 >file
  mdcluster -E "$loop" | tail -n +2 >device
  cmp -s file device || fail "$name: the file and the loop device over it differ"
  losetup -d "$loop"
  unset 'loops[-1]'
  count=$((count + 1))
done
[ "$count" -eq 28 ] || fail "$count golden images instead of 28"
