#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrays made by us are read by the real mdadm -E and -X with the same numbers:
# both levels, 2..64 nodes, sizes around a whole number of chunks (B27), 1 to
# 200 pages a slot (B19, B31), with dirty chunks in the first and last slot.
. "$(dirname "$0")/functions.sh"
need mdadm
need_root

field() { sed -n "s/^ *$1 : \(.*[^ ]\) *$/\1/p" "$2" | head -n 1; }
dirty() { sed -n 's/^          Bitmap : \([0-9]*\) bits (chunks), \([0-9]*\) dirty.*/\1:\2/p' "$1"; }

# agree LABEL DISK: mdadm accepts it and reads what we read
agree() {
  local f
  with_loop "$2"
  mdadm -E "$loop" >E.theirs 2>E.err || fail "$1: mdadm -E refuses it: $(cat E.err)"
  mdadm -X "$loop" >X.theirs 2>X.err || fail "$1: mdadm -X refuses it: $(cat X.err)"
  [ ! -s X.err ] || fail "$1: mdadm -X complains: $(cat X.err)"
  grep -q 'Checksum : [0-9a-f]* - correct' E.theirs || fail "$1: mdadm finds the checksum wrong"
  mdcluster -E "$loop" >E.ours
  mdcluster -X "$loop" >X.ours
  for f in 'Array UUID' 'Name' 'Raid Level' 'Raid Devices' 'Avail Dev Size' 'Array Size' \
    'Data Offset' 'Unused Space' 'State' 'Checksum' 'Device Role' 'Array State' 'Chunk Size'; do
    expect_equal "$1: $f" "$(field "$f" E.theirs)" "$(field "$f" E.ours)"
    [ "$f" = 'Chunk Size' ] || [ -n "$(field "$f" E.ours)" ] || fail "$1: no $f"
  done
  expect_equal "$1: Cluster nodes" "$(field 'Cluster nodes' X.theirs)" "$(field 'Cluster nodes' X.ours)"
  expect_equal "$1: Chunksize" "$(field 'Chunksize' X.theirs)" "$(field 'Chunksize' X.ours)"
  expect_equal "$1: dirty chunks" "$(dirty X.theirs)" "$(dirty X.ours)"
  [ -n "$(dirty X.theirs)" ] || fail "$1: mdadm shows no slot"
  losetup -d "$loop"
  unset 'loops[-1]'
}

# array LABEL SECTORS NODES CHUNK [OPTION...]: makes it, dirties its ends, compares
array() {
  local label=$1 sectors=$2 nodes=$3 chunk=$4 last
  shift 4
  rm -f a.img b.img c.img d.img
  truncate -s $((sectors * 512)) a.img b.img
  case " $* " in *" raid10 "*) truncate -s $((sectors * 512)) c.img d.img ;; esac
  # shellcheck disable=SC2046
  mdcluster create -q t $(ls ./*.img) --raid-devices="$(ls ./*.img | wc -l)" --run \
    --nodes="$nodes" --bitmap-chunk="$chunk" --home-cluster=alpha --assume-clean "$@" ||
    fail "$label: create"
  last=$(($(mdcluster -X --json a.img | jq '.slots[0].chunks') - 1))
  mdcluster update --mark=0:0 --mark=$((nodes - 1)):$((last / 2))-"$last" ./*.img ||
    fail "$label: update --mark"
  agree "$label" a.img
  agree "$label, second disk" b.img
}

need jq
for nodes in 2 3 4 7 16 33 64; do
  array "raid1, $nodes nodes" 131072 "$nodes" 64K --level raid1
done
for nodes in 2 5 64; do
  array "raid10, $nodes nodes" 131072 "$nodes" 64K --level raid10 --chunk 64
done

# k chunks of 128 sectors of data behind 2048 sectors of metadata, +- 1 sector
for k in 100 1008; do
  for d in -1 0 1; do
    sectors=$((k * 128 + d))
    array "$k chunks $d sectors" $((2048 + sectors + 16)) 4 64K --level raid1 --size "${sectors}s"
  done
done

# raid10 on four disks: chunks of 128 sectors, k bitmap chunks +- one raid chunk
for k in 100 1008; do
  for d in -1 0 1; do
    size=$(((k + d) * 128))
    array "raid10, $k chunks $d" $((4096 + size + 16)) 4 64K --level raid10 --chunk 64 \
      --data-offset 2M --size "${size}s"
  done
done

# pages a slot: 30720 bits in the first, 32768 in each more; 4 KiB a bit
for pages in 1 2 3 4 200; do
  bits=$((30720 + 32768 * (pages - 1)))
  for d in 0 1; do
    sectors=$(((bits + d) * 8))
    array "$bits + $d bits, about $pages pages" $((16384 + sectors)) 4 4K --level raid1 \
      --size "${sectors}s" --data-offset 8M
  done
done
for pages in 2 17; do
  bits=$((30720 + 32768 * (pages - 1)))
  array "raid10, $pages pages" $((16384 + bits * 4)) 4 4K --level raid10 --chunk 4 \
    --size "$((bits * 4))s" --data-offset 8M
done

# the default choices, on disks from tiny to large
for size in 20M 300M 1G 9G 201G; do
  rm -f ./*.img
  truncate -s "$size" a.img b.img
  mdcluster create -q t a.img b.img -l raid1 -n 2 --home-cluster=alpha || fail "$size: create"
  agree "$size" a.img
done
