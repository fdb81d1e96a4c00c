#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is damaged, contradictory or no disk at all is refused with one line that
# names the disk and the field, with the right exit code (1: it failed, 2: the
# command line makes no sense), and nothing is written.
#
# All cases run, also after one that fails; the last line says how many did not
# do as they should.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
need python3 sha256sum

cases=0
wrong=0

# A case runs in a shell of its own, so that its fail() does not end the test.
attempt()
{
	cases=$((cases + 1))
	("$@") || wrong=$((wrong + 1))
}

# --- disks ----------------------------------------------------------------------

# edit.py IMAGE FIELD=VALUE...: writes fields of the md superblock, "slotN.FIELD"
# of a bitmap superblock; VALUE is a number or the bytes of "hex:...". Ends with
# a right checksum, unless one was written.
cat >edit.py <<'PYTHON'
import struct, sys

MD = dict(magic=(0, 4), major_version=(4, 4), feature_map=(8, 4), pad0=(12, 4),
          set_uuid=(16, 16), set_name=(32, 32), level=(72, 4), size=(80, 8),
          raid_disks=(92, 4), bitmap_offset=(96, 4), data_offset=(128, 8),
          data_size=(136, 8), super_offset=(144, 8), dev_number=(160, 4),
          bblog_size=(186, 2), bblog_offset=(188, 4), events=(200, 8),
          layout=(76, 4), devflags=(184, 1), checksum=(216, 4), max_dev=(220, 4), pad3=(224, 4))
SLOT = dict(magic=(0, 4), version=(4, 4), uuid=(8, 16), sync_size=(40, 8),
            state=(48, 4), chunksize=(52, 4), daemon_sleep=(56, 4),
            write_behind=(60, 4), nodes=(68, 4), cluster_name=(72, 64),
            pad=(136, 4), bits=(256, 8))
SB, SLOTS, SLOT_BYTES = 4096, 8192, 4096

def checksum(b):
    n = 256 + 2 * min(struct.unpack_from("<I", b, 220)[0], 1920)
    b = b[:216] + bytes(4) + b[220:n] + bytes(-n % 4)
    total = sum(struct.unpack("<%dI" % (len(b) // 4), b))
    return (total + (total >> 32)) & 0xffffffff

with open(sys.argv[1], "r+b") as f:
    has_checksum = False
    for word in sys.argv[2:]:
        field, value = word.split("=")
        base, table = SB, MD
        if field.startswith("slot"):
            slot, field = field[4:].split(".")
            base, table = SLOTS + int(slot) * SLOT_BYTES, SLOT
        at, length = table[field]
        has_checksum |= field == "checksum"
        if value.startswith("hex:"):
            raw = bytes.fromhex(value[4:])
        else:
            raw = (int(value, 0) % (1 << 8 * length)).to_bytes(length, "little")
        f.seek(base + at)
        f.write(raw)
    f.seek(SB)
    block = f.read(4096)
    if not has_checksum and len(block) == 4096:
        f.seek(SB + 216)
        f.write(struct.pack("<I", checksum(block)))
PYTHON

edit()
{
	python3 edit.py "$@"
}

make_disk sound-a.img 1M
make_disk sound-b.img 1M
make_array web --data-offset=128K --nodes=4 sound-a.img sound-b.img
make_disk other-a.img 1M
make_disk other-b.img 1M
make_array db --data-offset=128K --nodes=4 other-a.img other-b.img
make_disk blank.img 1M

fresh()
{
	cp sound-a.img a.img
	cp sound-b.img b.img
}

# A line a file, with its contents, size and time of change: what a write alters.
state()
{
	paste -d ' ' <(stat -c '%n %s %y' -- *.img) <(sha256sum -- *.img)
}

# refuse CODE WORDS CMD...: as expect_fail, and the error holds every WORD (apart
# by blanks), and nothing was written.
refuse()
{
	local code=$1 words=$2 word
	shift 2

	state >state.before
	expect_fail "$code" mdcluster "$@"
	for word in $words; do
		case $error in
		*"$word"*) ;;
		*) fail "'$*' does not say '$word': $error" ;;
		esac
	done
	state >state.after
	cmp -s state.before state.after ||
		fail "'$*' failed as it should, but wrote to" \
			"$(comm -13 state.before state.after | cut -d ' ' -f 1 | xargs)"
}

# damaged WORDS EDIT...: a.img, edited so, is refused by everything that reads it
damaged()
{
	local words=$1
	shift

	fresh
	[ $# -eq 0 ] || edit a.img "$@"
	attempt refuse 1 "a.img $words" examine a.img
	attempt refuse 1 "a.img $words" examine --json a.img
	attempt refuse 1 "a.img $words" examine-bitmap a.img
	attempt refuse 1 "a.img $words" examine-bitmap --merged a.img b.img
	attempt refuse 1 "a.img $words" update --name=new a.img b.img
	attempt refuse 1 "a.img $words" update --nodes=8 --force a.img
}

# --- the md superblock ----------------------------------------------------------

damaged checksum checksum=0x12345678
damaged max_dev max_dev=65535
damaged max_dev max_dev=1921
damaged super_offset super_offset=16
damaged super_offset super_offset=0
damaged major_version major_version=2
damaged feature_map feature_map=0x2101
damaged feature_map feature_map=0x80000101
damaged pad0 pad0=1
damaged pad3 pad3=512
damaged data_size data_size=9
damaged data_size data_size=0xffffffffffffffff
damaged data_offset data_offset=8
damaged data_offset data_offset=0xffffffffffffff00
damaged size size=1793
damaged dev_number dev_number=128
damaged raid_disks raid_disks=0
damaged raid_disks raid_disks=0xffffffff
damaged bblog_offset feature_map=0x109
damaged bblog_offset bblog_offset=8 bblog_size=8
damaged bblog_size feature_map=0x109 bblog_offset=16 bblog_size=9
damaged bitmap_offset bitmap_offset=-9
damaged bitmap_offset bitmap_offset=0x7fffffff
damaged bitmap_offset bitmap_offset=0x80000000
damaged "no md superblock" magic=0

# one whose end is gone
truncated()
{
	fresh
	truncate -s "$1" a.img
	attempt refuse 1 "a.img $2" examine a.img
	attempt refuse 1 "a.img $2" examine-bitmap a.img
	attempt refuse 1 "a.img $2" update --name=new a.img b.img
}
truncated 512K data_size
truncated 16K data_size
truncated 8K "sectors"
truncated 4608 "sectors"
truncated 511 "block"

# --- the bitmap superblock ------------------------------------------------------

no_nul=hex:$(printf '61%.0s' {1..64})

damaged magic slot0.magic=0
damaged "version 3" slot0.version=3
damaged "version 6 llbitmap" slot0.version=6
damaged "version 7" slot0.version=7
damaged uuid slot0.uuid=0
damaged sync_size slot0.sync_size=8192
damaged sync_size slot0.sync_size=0xffffffffffffffff
damaged sync_size slot0.sync_size=0
damaged chunksize slot0.chunksize=0
damaged chunksize slot0.chunksize=65535
damaged chunksize slot0.chunksize=256
damaged daemon_sleep slot0.daemon_sleep=0
damaged write_behind slot0.write_behind=16384
damaged nodes slot0.nodes=0
damaged nodes slot0.nodes=1000000
damaged nodes slot0.nodes=4000
damaged "nodes data_offset" slot0.nodes=40
damaged cluster_name "slot0.cluster_name=$no_nul"
damaged pad slot0.pad=1

# A slot behind slot 0, damaged on all members: the rest is shown, nothing that
# needs it is begun.
damaged_slot()
{
	local words=$1 change
	shift

	edit_both()
	{
		fresh
		edit a.img slot0.bits=0 slot1.bits=7 slot2.bits=7 "$@"
		edit b.img slot0.bits=0 slot1.bits=7 slot2.bits=7 "$@"
	}
	edit_both "$@"
	attempt refuse 1 "a.img $words" examine-bitmap a.img
	attempt refuse 1 "$words" examine-bitmap --merged a.img b.img
	for change in --gather --nodes=2 --nodes=8 --home-cluster=new --uuid=random; do
		edit_both "$@"
		attempt refuse 1 "$words" update "$change" a.img b.img
	done
	edit_both "$@"
	attempt refuse 1 "a.img $words" update --nodes=8 --force a.img
}
damaged_slot "slot 3 magic" slot3.magic=0
damaged_slot "slot 3 uuid" slot3.uuid=0
damaged_slot "slot 3 chunksize" slot3.chunksize=0
damaged_slot "slot 3 chunksize" slot3.chunksize=131072
damaged_slot "slot 3 sync_size" slot3.sync_size=0x1000000
damaged_slot "slot 1 magic" slot1.magic=0

# Sound, but of a kind that is never clustered: shown, and left as it is.
foreign()
{
	local words=$1
	shift

	fresh
	edit a.img "$@"
	edit b.img "$@"
	attempt refuse 1 "$words" update --name=new a.img b.img
}
foreign level level=5
foreign "a.img PPL" feature_map=0x501
foreign "a.img version" slot0.version=4

# Sound and clustered, but of a kind that mdclusterd does not serve: examine and migrate name it,
# with what to do.
names()
{
	local words=$1 word got=0
	shift
	out=$(mdcluster "$@" 2>&1) || got=$?
	for word in $words; do
		[[ $out = *"$word"* ]] || fail "'$*' does not say '$word': $out"
	done
	[ "$1" = examine ] || [ "$got" -eq 1 ] || fail "'$*' ended with $got"
}
unserved()
{
	local words=$1
	shift

	fresh
	edit a.img "$@"
	edit b.img "$@"
	attempt names "$words" examine a.img
	attempt names "$words" migrate --check --run-dir=nowhere a.img b.img
}
unserved "write-mostly echo" devflags=1
unserved "reshape finish" feature_map=0x105
unserved "reshape" feature_map=0x141
unserved "replaced finish" feature_map=0x111
unserved "bad blocks record no-bbl" feature_map=0x109 bblog_offset=72 bblog_size=8
unserved "journal consistency-policy" feature_map=0x301
unserved "PPL consistency-policy" feature_map=0x501
unserved "far near" level=10 layout=0x201
unserved "offset near" level=10 layout=0x10201
unserved "llbitmap mdadm --grow" slot0.version=6
unserved "level create a new" level=5

# --- members that do not belong together ------------------------------------------

mixed()
{
	local words=$1
	shift
	attempt refuse 1 "$words" examine-bitmap --merged "$@"
	attempt refuse 1 "$words" update --name=new "$@"
}

# One disk by two words: that can never be right, so it is a matter of usage.
twice()
{
	attempt refuse 2 "$* same" examine-bitmap --merged "$@"
	attempt refuse 2 "$* same" update --name=new "$@"
	attempt refuse 2 "$* same" create t --level=1 -n2 \
		--home-cluster=alpha --force "$@"
}

fresh
mixed "other-b.img set_uuid a.img" a.img other-b.img
edit b.img raid_disks=3
mixed "b.img raid_disks a.img" a.img b.img
fresh
edit b.img size=128
mixed "b.img size a.img" a.img b.img
fresh
edit b.img dev_number=0
mixed "b.img dev_number a.img" a.img b.img
fresh
cp a.img copy.img
mixed "copy.img same a.img" a.img copy.img
rm copy.img

# Bitmaps that are laid out differently: slots as the one has them would run
# into the data of the other.
fresh
edit b.img slot0.chunksize=512
mixed "b.img chunksize" a.img b.img
mixed "a.img chunksize" b.img a.img
make_disk wide-a.img 1M
make_disk wide-b.img 1M
make_array wide --data-offset=128K --nodes=16 wide-a.img wide-b.img
edit wide-b.img slot0.nodes=2 data_offset=40
mixed "nodes wide-b.img" wide-a.img wide-b.img
attempt refuse 1 "nodes wide-b.img" update --nodes=2 wide-a.img wide-b.img
attempt refuse 1 "nodes wide-b.img" update --gather wide-b.img wide-a.img
rm wide-a.img wide-b.img

fresh
edit a.img events=10
edit b.img events=8
attempt refuse 1 "b.img events" update --name=new a.img b.img
attempt refuse 1 "b.img events" update --nodes=8 b.img a.img
attempt refuse 1 "b.img events" update --mark=0:0 --force a.img b.img

fresh
ln -s a.img link
twice a.img a.img
twice a.img link
twice link a.img
rm link
ln a.img hard.img
twice a.img hard.img
rm hard.img

# --- no disks at all --------------------------------------------------------------

fresh
mkdir folder
mkfifo pipe
: >empty.img
for disk in folder pipe empty.img missing.img /dev/null; do
	attempt refuse 1 "$disk" examine "$disk"
	attempt refuse 1 "$disk" examine-bitmap "$disk"
	attempt refuse 1 "$disk" examine-bitmap --merged a.img "$disk"
	attempt refuse 1 "$disk" update --name=new a.img "$disk"
	attempt refuse 1 "$disk" create t --level=1 -n2 \
		--home-cluster=alpha blank.img "$disk"
done
rm empty.img
attempt refuse 1 "blank.img superblock" examine blank.img
attempt refuse 1 "blank.img superblock" examine-bitmap blank.img
attempt refuse 1 "blank.img superblock" update --name=new a.img blank.img

# --- a disk that does not read everywhere -------------------------------------------

# Makes $broken: $1, with errors in the sectors from $2 to $3.
broken=
with_errors()
{
	local end

	with_loop "$1"
	end=$(($(stat -c %s "$1") / 512))
	broken=/dev/mapper/$(basename "$tmp")
	printf '%s\n' "0 $2 linear $loop 0" "$2 $(($3 - $2)) error" \
		"$3 $((end - $3)) linear $loop $3" |
		dmsetup create "$(basename "$tmp")" >/dev/null 2>&1 ||
		return 1
	[ -b "$broken" ]
}

without_errors()
{
	dmsetup remove "$(basename "$tmp")" >/dev/null 2>&1 || :
}

if [ "$(id -u)" -eq 0 ] && command -v dmsetup >/dev/null && command -v losetup >/dev/null &&
	dmsetup targets 2>/dev/null | grep -q '^error ' &&
	(trap without_errors EXIT; with_errors blank.img 8 16; losetup -d "$loop") \
		>/dev/null 2>&1; then
	fresh
	with_errors a.img 8 16
	attempt refuse 1 "$broken read 4096" examine "$broken"
	attempt refuse 1 "$broken read 4096" update --name=new "$broken" b.img
	without_errors
	with_errors a.img 24 32
	attempt refuse 1 "$broken read 12288" examine-bitmap "$broken"
	without_errors
else
	echo "$test_name: no device-mapper error target: that part is left out" >&2
fi

# --- options ------------------------------------------------------------------------

n33=$(printf 'n%.0s' {1..33})
n64=$(printf 'n%.0s' {1..64})
tab=$(printf 'a\tb')
feed=$(printf 'a\nb')

make_disk x.img 1M
make_disk y.img 1M

# bad_create CODE WORDS OPTION...
bad_create()
{
	local code=$1 words=$2
	shift 2
	attempt refuse "$code" "$words" create new --level=1 -n2 \
		--home-cluster=alpha --data-offset=128K "$@" x.img y.img
}

# bad_both CODE WORDS OPTION: create and update have it
bad_both()
{
	bad_create "$@"
	attempt refuse "$1" "$2" update "$3" a.img b.img
}

fresh
bad_both 2 nodes --nodes=1
bad_both 2 nodes --nodes=65
bad_both 2 "nodes abc" --nodes=abc
bad_both 2 nodes --nodes=
bad_both 2 nodes --nodes=-4
bad_both 2 nodes --nodes=4x
bad_both 2 nodes --nodes=99999999999999999999
bad_both 2 "home-cluster 63" --home-cluster="$n64"
bad_both 2 "home-cluster control" --home-cluster="$tab"
bad_both 2 "home-cluster control" --home-cluster="$feed"
bad_both 2 "home-cluster empty" --home-cluster=
bad_both 2 "name 32" --name="$n33"
bad_both 2 "name" --name=
bad_both 2 "name control" --name="$tab"
bad_both 2 "name control" --name="$feed"
bad_both 2 uuid --uuid=1234
bad_both 2 unknown --no-such-option
bad_create 2 bitmap-chunk --bitmap-chunk=100K
bad_create 2 bitmap-chunk --bitmap-chunk=2K
bad_create 2 bitmap-chunk --bitmap-chunk=0
bad_create 2 bitmap-chunk --bitmap-chunk=4G
bad_create 2 bitmap-chunk --bitmap-chunk=1X
bad_create 2 "chunk raid1" --chunk=64K
bad_create 2 chunk --level=10 --chunk=3K
bad_create 2 layout --layout=n2
bad_create 2 "layout f2 near" --level=10 --layout=f2
bad_create 2 "layout o2 near" --level=10 --layout=o2
bad_create 2 layout --level=10 --layout=n1
bad_create 2 layout --level=10 --layout=n3
bad_create 2 "level 5" --level=5
bad_create 2 level --level=linear
bad_create 2 raid-devices --raid-devices=1
bad_create 2 raid-devices --raid-devices=3
bad_create 2 size --size=0
bad_create 2 size --size=99999999999999999999
bad_create 2 data-offset --data-offset=5s
bad_create 2 "data-offset out of range" --data-offset=0
bad_create 2 metadata --metadata=1.1
bad_create 2 bitmap --bitmap=internal
bad_create 2 delay --delay=0

# right words, wrong disks: no usage, but failure
bad_create 1 "x.img size" --size=1G
bad_create 1 "x.img data-offset" --data-offset=8M
bad_create 1 "nodes 30" --nodes=64
bad_create 1 "nodes 1" --nodes=4 --data-offset=12K
bad_create 1 "nodes 0" --nodes=2 --data-offset=8K
attempt refuse 1 "a.img nodes 30" update --nodes=64 a.img b.img
attempt refuse 2 "mark slot 3" update --mark=4:0 a.img b.img
attempt refuse 2 "mark chunks" update --mark=0:0-100000 a.img b.img
attempt refuse 1 "members" update --nodes=8 a.img

# and these name no disk or no change
attempt refuse 2 disk examine
attempt refuse 2 disk examine-bitmap
attempt refuse 2 members update --nodes=8
attempt refuse 2 nothing update a.img b.img
attempt refuse 2 disks create new --level=1 -n2 --home-cluster=alpha
attempt refuse 2 raid-devices create new --level=1 --home-cluster=alpha x.img y.img
attempt refuse 2 home-cluster create new --level=1 -n2 x.img y.img
attempt refuse 2 level create new -n2 --home-cluster=alpha x.img y.img
attempt refuse 2 mark update --mark=1 a.img b.img
attempt refuse 2 mark update --mark=0:1-x a.img b.img

# --- locks ----------------------------------------------------------------------
attempt refuse 1 "mdclusterd answers control.sock" locks --run-dir=nowhere
attempt refuse 2 "locks: one" locks a b --file=x
attempt refuse 1 "none.json opened" locks --file=none.json
attempt refuse 1 "standard input JSON" locks --file=-
attempt refuse 1 "a.img JSON" locks --file=a.img
echo '{"format": "other"}' >other.json
attempt refuse 1 "other.json format mdclusterd-locks" locks --file=other.json
attempt refuse 1 "folder read" locks --file=folder
sed 's/"version": 1/"version": 2/' "$srcdir/tests/data/locks/rare.json" >later.json
attempt refuse 1 "later.json version 2" locks --file=later.json
sed 's/"PR"/"XX"/' "$srcdir/tests/data/locks/rare.json" >mode.json
attempt refuse 1 "mode.json lvm_global VGLK lock granted XX" locks --json --file=mode.json
attempt refuse 1 "nowhere lvm_global" locks nowhere --file="$srcdir/tests/data/locks/rare.json"

[ "$wrong" -eq 0 ] || fail "$wrong of $cases cases"
