#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the seeds in tests/fuzz/corpus anew, from the golden images and from
# arrays that mdcluster creates. Not part of a build: the seeds are committed.
# Run it after the input format of a target has changed. Seeds of created arrays
# come out different each time (device uuids, time).
#
#	PATH=build:$PATH tests/fuzz/make-corpus.sh
set -eu

here=$(cd "$(dirname "$0")" && pwd)
golden=$here/../data/golden
corpus=$here/corpus
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v mdcluster >/dev/null || { echo "mdcluster is not in PATH" >&2; exit 1; }

# The flags of fuzz_examine.c
REPAIR_SB=1 REPAIR_BITMAP=2 TWO=4 COPY=8 COMPACT=16 FAULT=32 UPDATE=64 BIG=128
REPAIR=$((REPAIR_SB | REPAIR_BITMAP))

# byte N...: those bytes
byte()
{
	local b
	# shellcheck disable=SC2059 # the escape is the format
	for b; do printf "\\x$(printf %02x "$b")"; done
}

# le64 N: eight bytes, little-endian
le64()
{
	local i
	for ((i = 0; i < 64; i += 8)); do byte $(($1 >> i & 255)); done
}

# part IMAGE FROM BYTES
part()
{
	dd if="$1" bs=512 skip=$(($2 / 512)) count=$(($3 / 512)) status=none
}

# pieces IMAGE PAGES: the first 512 bytes of each 4 KiB page from the superblock
pieces()
{
	local i
	for ((i = 1; i <= $2; i++)); do part "$1" $((i * 4096)) 512; done
}

trim()
{
	perl -0777 -pe 's/\0+\z//'
}

# image NAME: the unpacked golden image
image()
{
	[ -f "$work/$1" ] || zstd -dqf --long=27 "$golden/$1.img.zst" -o "$work/$1"
	echo "$work/$1"
}

# created NAME SIZE ARG...: disks NAME.0 and NAME.1 of a new array
created()
{
	local name=$1 size=$2
	shift 2
	truncate -s "$size" "$work/$name.0" "$work/$name.1"
	mdcluster create -q "$name" --homehost=none --home-cluster=alpha \
		--uuid=00112233:44556677:8899aabb:ccddeeff "$@" \
		"$work/$name.0" "$work/$name.1"
}

created raid1 4M --level=1 -n2 --data-offset=64K --bitmap-chunk=4K --nodes=2
created raid10 4M --level=10 -n2 --data-offset=256K --bitmap-chunk=64K \
	--chunk=64K --nodes=16
created pages 64M --level=1 -n2 --data-offset=1M --bitmap-chunk=4K --nodes=64 \
	--assume-clean
created eight 4M --level=1 -n2 --data-offset=64K --nodes=8
created degraded 4M --level=1 -n3 --data-offset=64K missing

rm -rf "$corpus/md_sb" "$corpus/bitmap_sb" "$corpus/examine" # the others: make-totem-corpus.sh
mkdir -p "$corpus/md_sb" "$corpus/bitmap_sb" "$corpus/examine"

# --- md_sb: flags, disk sectors, block ------------------------------------------
md_sb() # SEED IMAGE FLAGS
{
	{
		byte "$3"
		le64 $(($(stat -c %s "$2") / 512))
		part "$2" 4096 512
	} >"$corpus/md_sb/$1"
}
md_sb golden-raid1 "$(image r1-64M-a-created-resynced.a)" 0
md_sb golden-raid10 "$(image r10-64M-c-after-recovery.b)" 0
md_sb golden-midresync "$(image r1-64M-e-midresync.a)" 0
md_sb golden-degraded "$(image r1-mgmt-i-degraded-b-removed-dirty.a)" 0
md_sb created-raid1 "$work/raid1.0" 0
md_sb created-raid10 "$work/raid10.1" 0
md_sb repaired "$(image r1-64M-h-clean-stopped.a)" 3
md_sb repaired-minor-0 "$(image r1-64M-h-clean-stopped.b)" 11
md_sb repaired-minor-1 "$(image r1-64M-h-clean-stopped.a)" 7

# --- bitmap_sb: flags, start, limit, superblock ------------------------------------
bitmap_sb() # SEED IMAGE SLOT FLAGS
{
	{
		byte "$4"
		le64 16
		le64 $((2048 * 512))
		part "$2" $((8192 + $3 * 4096)) 512 | head -c 256
	} >"$corpus/bitmap_sb/$1"
}
bitmap_sb golden-raid1 "$(image r1-64M-a-created-resynced.a)" 0 0
bitmap_sb golden-slot-1 "$(image r1-64M-b-after-crash-node2-before-recovery.a)" 1 0
bitmap_sb golden-raid10 "$(image r10-64M-a-created-resynced.a)" 3 1
bitmap_sb created-raid10 "$work/raid10.0" 15 0
bitmap_sb created-pages "$work/pages.0" 0 1

# --- examine: flags, place, number, split, contents --------------------------------
one() # SEED FLAGS KNOB IMAGE PAGES [DIFFERENT]
{
	{
		byte $(($2 | COMPACT)) 2 "$3" "${6:-0}"
		pieces "$4" "$5"
	} >"$corpus/examine/$1"
}
pair() # SEED FLAGS KNOB IMAGE IMAGE PAGES
{
	{
		byte $(($2 | COMPACT | TWO)) 2 "$3" "$6"
		pieces "$4" "$6"
		pieces "$5" "$6"
	} >"$corpus/examine/$1"
}
golden_pair() # SEED FLAGS KNOB SET
{
	pair "$1" $(($2 | BIG)) "$3" "$(image "$4.a")" "$(image "$4.b")" 5
}
golden_pair golden-crash 0 80 r1-64M-b-after-crash-node2-before-recovery
golden_pair golden-crash-raid10 0 81 r10-64M-b-after-crash-node2-before-recovery
golden_pair golden-degraded 0 82 r1-mgmt-i-degraded-b-removed-dirty
golden_pair golden-torn $UPDATE 13 r1-chunk0-1-crash-torn
golden_pair golden-update $UPDATE 47 r1-64M-c-after-recovery
pair created-raid1 $UPDATE 14 "$work/raid1.0" "$work/raid1.1" 3
pair created-raid10 $UPDATE 61 "$work/raid10.0" "$work/raid10.1" 17
pair mixed 0 80 "$work/raid1.0" "$work/raid10.1" 5
one copy $((REPAIR | TWO | COPY)) 1 "$work/raid1.0" 3 1
one copy-update $((TWO | COPY | UPDATE)) 12 "$work/raid1.0" 3 1
one copy-differs $((TWO | COPY | UPDATE)) 9 "$work/eight.0" 9 $((8 | 8 << 4))
one pages $BIG 80 "$work/pages.0" 9
one degraded $REPAIR 80 "$work/degraded.0" 3
one read-fault $FAULT 16 "$work/raid1.0" 3
one plain $REPAIR 80 "$work/raid1.0" 2
{
	byte $((BIG)) 2 80 0
	part "$(image r1-64M-c-after-recovery.a)" 4096 20480 | trim
} >"$corpus/examine/golden-whole"
{
	byte $((COMPACT | REPAIR)) 0 80 0
	pieces "$work/raid1.0" 3
	pieces "$work/raid1.0" 3
} >"$corpus/examine/minor-0"

du -sh "$corpus" | cut -f 1
