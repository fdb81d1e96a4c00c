#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A disk that comes to an array is read by the real mdadm -E and -X at each step as what it is:
# a spare with sound, empty slots of all nodes; a member that is rebuilt, with every slot's
# bits (B27, B45, the kernel's loss of vm-lab 4.3); in sync; and one that came back.
. "$(dirname "$0")/functions.sh"
need mdadm
need_root

words() { "$builddir/metadata-words" "$@" || fail "metadata-words $*"; }
field() { sed -n "s/^ *$1 : \(.*[^ ]\) *$/\1/p" "$2" | head -n 1; }
# of each slot: bits:dirty
dirty() { sed -n 's/^          Bitmap : \([0-9]*\) bits (chunks), \([0-9]*\) dirty.*/\2/p' "$1" | tr '\n' ' '; }

# look DISK: E, X: what mdadm says of it
look() {
  with_loop "$1"
  mdadm -E "$loop" >E 2>E.err || fail "mdadm -E refuses $1: $(cat E.err)"
  mdadm -X "$loop" >X 2>X.err || fail "mdadm -X refuses $1: $(cat X.err)"
  [ ! -s X.err ] || fail "mdadm -X complains of $1: $(cat X.err)"
  grep -q 'Checksum : [0-9a-f]* - correct' E || fail "$1: mdadm finds the checksum wrong"
  losetup -d "$loop"
  unset 'loops[-1]'
}

# expect LABEL ROLE FEATURES DIRTY
expect() {
  expect_equal "$1: role" "$2" "$(field 'Device Role' E)"
  expect_equal "$1: features" "$3" "$(field 'Feature Map' E)"
  expect_equal "$1: dirty chunks" "$4" "$(dirty X)"
}

# story LABEL CHUNK SIZE-OF-C DATA-OFFSET [OPTION...]: b.img goes, c.img comes, and b.img returns
story() {
  local label=$1 chunk=$2 size=$3 offset=$4
  shift 4
  rm -f ./*.img
  truncate -s 64M a.img b.img
  truncate -s "$size" c.img
  mdcluster create -q t a.img b.img --raid-devices=2 --level=1 --run --nodes=3 \
    --bitmap-chunk="$chunk" --home-cluster=alpha --assume-clean "$@" || fail "$label: create"
  look a.img
  offset=${offset:-$(field 'Data Offset' E)}
  words a.img b.img -- activate
  mdcluster update --mark=0:0 --mark=2:3-5 a.img b.img
  words a.img b.img -- fail 1 prepare c.img >said
  expect_equal "$label: number" 2 "$(cat said)"

  look c.img
  expect "$label, prepared" spare 0x101 '0 0 0 '
  expect_equal "$label: data offset" "$offset" "$(field 'Data Offset' E)"
  for f in 'Array UUID' Name 'Raid Level' 'Array Size' 'Internal Bitmap'; do
    a=$(field "$f" E)
    look a.img
    expect_equal "$label: $f" "$(field "$f" E)" "$a"
    look c.img
  done
  words a.img b.img c.img -- prepare c.img add 2 >/dev/null
  look c.img
  expect "$label, added" spare 0x101 '0 0 0 '
  expect_equal "$label: state" 'A. ' "$(field 'Array State' E | cut -c1-3)"

  words a.img b.img c.img -- rebuild 1 2 progress 1 4096
  look c.img
  expect "$label, rebuilt" 'Active device 1' 0x103 '1 0 3 '
  expect_equal "$label: offset" '4096 sectors' "$(field 'Recovery Offset' E)"
  words a.img b.img c.img -- in-sync 1
  look c.img
  expect "$label, in sync" 'Active device 1' 0x101 '1 0 3 '
  expect_equal "$label: state" AA "$(field 'Array State' E | cut -c1-2)"

  # and that one fails, and comes back by what the bits say
  words a.img c.img -- fail 1 remove 2 forget 2 re-add c.img return 2 >said
  expect_equal "$label: returns" '2 again' "$(cat said)"
  look c.img
  expect "$label, returned" 'Active device 1' 0x183 '1 0 3 '
  words a.img c.img -- in-sync 1
  look c.img
  expect "$label, in sync again" 'Active device 1' 0x101 '1 0 3 '
  words a.img c.img -- fail 1 remove 2
  words a.img c.img -- reload
}

story 'like the others' 64K 64M ''
story 'larger' 64K 80M ''
story 'some pages a slot' 4K 64M '' --data-offset 4M
story 'smaller' 64K 63M '1024 sectors' --data-offset 1536K
