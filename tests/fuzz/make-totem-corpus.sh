#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the seeds of the ring's fuzz targets anew, the same each time, from what
# the heads of the targets say of their input. Not part of a build: the seeds are
# committed. Run it after the input format of a target has changed.
#
#	tests/fuzz/make-totem-corpus.sh
set -eu

. "$(dirname "$0")/corpus-functions.sh"

# --- wire: flags, nodes less 1, packet; ids are 1, 4, 7, 10 ... ------------------
folder wire

# packet TYPE: up to the header's end, of four nodes, from node 4
packet()
{
	le 1 0 3
	le 2 0x4d54
	le 1 1 "$1"
	le 2 0 0
	le 4 4 0x1234
}
ring() { le 4 "$1"; le 8 "$2"; }
range() { le 8 "$1"; le 4 "$2"; }
# set ID...
set_of() { le 2 $#; le 4 "$@"; }
# token RING-SEQ SEQ ARU RANGES
token()
{
	packet 1
	ring 1 "$1"
	le 8 5 "$2" "$3"
	le 4 7 1000 2000
	le 1 1
	le 8 9 0
	le 2 "$4"
}
# filled RANGES: an entry of a commit token
filled()
{
	le 1 1
	ring 1 77
	le 8 38 50 36 35
	le 1 "$1"
}
data() # FLAGS OLD-SEQ
{
	packet 2
	ring 1 77
	le 8 41 6
	le 4 7
	le 1 "$1"
	ring 4 70
	le 8 "$2"
}
token 77 40 40 0 >./token
{ token 77 40 38 2; range 39 1; range 40 1; } >token-asks
{ data 0 0; printf hello; } >./data
{ data 3 12; printf 'of old'; } >data-recovered
data 4 0 >data-empty
{ packet 3; ring 1 77; } >merge
{ packet 4; le 8 77 1; le 1 0; set_of 1 4 7 10; set_of 7; le 8 1 0; } >./join
{ packet 4; le 8 77 1; le 1 1; set_of 4; set_of; le 8 0 0; } >leave
{ packet 5; ring 1 78; le 8 1; le 2 0 2; set_of 1 4; le 1 0; filled 0; } >commit-collects
{
	packet 5
	ring 1 78
	le 8 5
	le 2 1 4 # the part of three, of four
	set_of 1 4 10
	filled 0
	filled 1
	range 40 2
	filled 2
	range 40 1
	range 44 7
} >commit-tells
{ packet 6; ring 1 77; } >hold-cancel
{ le 1 3 127; token 77 40 40 0 | tail -c +3; } >repaired

# --- fragment: operations ----------------------------------------------------------
folder fragment

part() { le 1 1 "$1"; le 2 "$2" "$3"; le 1 "$4" "${5:-0}"; }
rest() { le 1 2 "$1"; le 2 "$2" "$3"; le 1 "$4" 0; }
wait_for() { le 1 3 "$1"; }
base() { le 1 4; le 4 "$1"; }
{ part 1 100 64 0; part 1 100 64 1; part 1 100 64 3; part 1 100 64 2; } >in-any-order
{ part 1 100 64 0; part 1 100 64 0; rest 1 100 64 1; } >doubled
{ part 1 100 64 0; rest 2 50 99 0; part 1 100 64 1; } >replaced
{ base 0xffffffff; part 0 100 64 0; rest 1 9 5 0; rest 0 100 64 0; } >number-wraps
{ part 1 100 64 0; part 1 100 32 1; part 1 90 64 1; rest 1 100 64 0; } >misfits
{ part 1 100 64 0; wait_for 60; wait_for 255; part 1 100 64 1; } >ends-with-time
{ rest 1 32832 1400 0; rest 2 32832 513 5; rest 3 32833 1400 0; } >largest
{ part 1 100 64 0 1; part 1 100 64 0 255; part 1 100 64 9; part 1 100 0 0; } >not-sound
{ le 1 0 7; le 4 0x0101644d; printf abc; } >whole
{ le 1 0 18; le 4 0x0201644d 9 4; le 2 2 0; printf ab; } >raw-part

# --- keyfile: steps, text ------------------------------------------------------------
folder keyfile

a=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=
b=ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=
{ le 1 0x39; printf '%s\n' "$a"; } >one
{ le 1 0x2e; printf '# two\n\n%s\n%s' "$a" "$b"; } >two
{ le 1 0; printf ' \t%s \r\n#%s\n' "$a" "$b"; } >blanks
{ le 1 0; printf '%s\n%s\n%s\n' "$a" "$b" "${a/A/B}"; } >three
{ le 1 0; printf '%s\n%s\n' "$a" "$a"; } >same-twice
{ le 1 0; printf 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'; } >guessable
{ le 1 0; printf '%s' "${a%=}"; } >short
{ le 1 0; printf '\277%s' "${a#A}"; } >no-letter
{ le 1 0; printf '\001\002%s' "$a"; } >raw-bytes

# --- boot: flags, text or numbers -----------------------------------------------------
folder boot

{ le 1 0; printf 'ring-seq 65536\nboot 1700000000000000\n'; } >record
{ le 1 0; printf 'ring-seq 0\nboot 0\n'; } >first
{ le 1 0; printf 'ring-seq -1\nboot +1\n'; } >signs
{ le 1 0; printf 'ring-seq 4611686018427387903\nboot 18446744073709551615\n'; } >no-room
{ le 1 1; le 8 65536 1700000000000000; } >built
{ le 1 1; le 8 $(((1 << 62) - 65537)) -2; } >built-last

# --- ring: flags, operations ----------------------------------------------------------
folder ring

DELIVER=0 LOSE=1 TWICE=2 CHANGE=3 ADVANCE=4 SLEEP=5 EVIDENCE=6 WANT=7 SYNCHRONISED=8
SAVED=9 RESTART=10 RAW=11 TOKEN=12 DATA=13 JOIN=14 COMMIT=15

op() { le 1 $(($1 | ${2:-0} << 4)); } # OPERATION [ARG]
# rounds N: the network delivers all, clocks go on
rounds()
{
	local i
	for ((i = 0; i < $1; i++)); do
		op $DELIVER 15
		op $ADVANCE 1
	done
}
want() { op $WANT "$1"; le 1 "$2"; }
same=100 # near(): the number itself
{ le 1 1; rounds 12; } >cold
{ le 1 0; want 0 5; want 1 6; want 2 7; rounds 12; } >traffic
{ le 1 2; want 1 200; op $LOSE; rounds 4; op $LOSE; op $LOSE; rounds 8; } >losses
{ le 1 0; want 0 20; op $TWICE; op $DELIVER 5; op $TWICE; rounds 6; } >doubles
{ le 1 0; want 1 9; rounds 2; op $EVIDENCE 8; rounds 12; } >evidence
{ le 1 0; op $RESTART 1; rounds 8; op $RESTART 1; rounds 12; } >restart
{ le 1 0; want 2 99; op $DELIVER 3; op $SLEEP 15; op $SLEEP 15; rounds 15; } >asleep
{ le 1 12; rounds 4; op $SYNCHRONISED 0; op $SYNCHRONISED 1; rounds 6; op $SAVED 0; } >slow
far=202  # near(): the stride of the disk beyond
{
	le 1 4
	op $JOIN 0
	le 1 1 $far
	op $SLEEP 15
	op $SLEEP 15
	rounds 12
	op $JOIN 0
	le 1 1 $far
	op $SAVED 12
	rounds 6
	op $SAVED 0
	rounds 12
} >slow-asked-again
{ le 1 0; op $CHANGE; le 2 20; le 1 1; rounds 3; op $RAW; le 1 3; printf abc; } >changed
{
	le 1 0
	op $TOKEN 5
	le 1 70 110 105 32
	le 1 2 $same 1 103 2
	rounds 6
} >token
{ le 1 0; op $TOKEN 5; le 1 14 101 201 $same; rounds 6; } >token-far
{ le 1 0; op $DATA 1; le 1 36 101 2 200 9; rounds 6; } >data
{
	le 1 0
	want 0 9
	op $RESTART 2
	rounds 2
	op $DATA 4
	le 1 24 101 3 0 101
	rounds 6
} >data-recovered
{ le 1 0; op $JOIN 0; le 1 13 101 7 4; rounds 12; } >join-fails-one
{ le 1 0; op $JOIN 9; le 1 5 202 24; rounds 12; } >join-far
{ le 1 0; op $JOIN 4; le 1 16; rounds 6; op $JOIN 0; le 1 32 0; rounds 6; } >leave-and-merge
{ le 1 1; rounds 2; op $COMMIT 0; le 1 26 101 0 7; rounds 6; } >commit
{
	le 1 0
	want 1 30
	op $RESTART 2
	rounds 1
	op $ADVANCE 5
	op $DELIVER 2
	op $COMMIT 1
	le 1 40 1 1
	le 1 0 120 110 105 104 1 2 3
	rounds 8
} >commit-entry

# --- group: steps of three nodes --------------------------------------------------
# two of us, one who tells a handle in group "h"; then it says something
folder group
{
	le 1 0 7  8 0  1  2 0  1                       # configure, join, greetings
	le 1 5 0 23  2 31                              # state of node 2
	le 8 0; le 4 0; le 4 1; le 4 9; le 1 1; printf h
	le 1 2 1  3 0  3 1  1  4  1                    # done, unplug
	le 1 6 0 8  1; le 4 9; printf hey
	le 1 10 4  1  9 0  1
} >told_and_heard
{
	le 1 0 3  2 0  1  3 0  4  8 0  8 1  10 2  1    # node 2, both join
	le 1 6 0 6  2; le 4 5; printf h                # node 2 joins
	le 1 11  0 1  1  4  1  0 7                     # it goes; all come
} >joined_and_gone

# --- lock_table: steps --------------------------------------------------------------
folder lock_table
# lock NODE NUMBER NAME MODE FLAGS WAITER; "a" is 4, "b" is 5; NL is 1
lock() { le 1 0 "$1" "$2" "$3" "$4"; le 3 "$5"; le 1 "$6" 118; }
convert() { le 1 1 "$1" "$2" 0 "$3"; le 3 "$4"; le 1 0 119; }
unlock() { le 1 2 "$1" "$2"; le 3 "$3"; le 1 120; }
release() { le 1 3 "$1" "$2" 4; }
reload() { le 1 5; }
# record NAME SEQ GRANTED CONVERTING WAITING; one NODE NUMBER FLAGS WAITER MODES... BITS
record() { le 1 1; printf %s "$1"; le 1 0; le 4 "$2"; le 2 "$3" "$4" "$5"; }
one() { le 4 "$1" "$2" "$3" "$4"; le 1 "$5" "$6" "$7" "$8"; }
{ lock 1 1 4 6 0 0; lock 2 1 4 4 8 0; lock 3 1 4 4 8 0; unlock 1 1 8; reload; } >queue
{ lock 1 1 4 4 0 0; lock 2 1 4 4 0 0; convert 1 1 6 0; convert 2 1 6 0x40; unlock 1 1 0; } >demoted
{ lock 1 1 4 6 0 1; lock 2 1 5 6 0 1; lock 1 2 5 6 0 1; lock 2 2 4 6 0 1; reload; } >cycle
{ lock 1 1 4 5 0x88 0; lock 2 1 4 6 0 0; release 1 0; lock 1 2 4 5 0x4008 0; release 1 1; } >orphan
{ lock 1 1 4 4 0 0; lock 2 1 4 6 0x1000 0; lock 3 1 4 4 0x2000 0; convert 3 1 6 0x1000; } >head
{ lock 1 1 4 4 0 0; lock 2 1 4 6 0x8000 0; unlock 1 1 0x20000; release 2 2; } >other
{
	le 1 6
	le 2 73
	record z 0 1 1 1
	one 1 2 0x80 0 4 0 0 0
	one 2 2 4 1 4 6 0 0
	one 3 3 0 1 0 6 0 0
	reload
	unlock 2 2 2
} >loaded

# --- lock_manager: steps ------------------------------------------------------------
folder lock_manager
# how: 1 node 3 is there, 2 it is quorate
ring() { le 1 7 "$1" 6 8; }
# use NODE WHAT WHICH MODE FLAGS; the lockspace is the lowest bit of which
use() { le 1 11 "$1" "$2" "$3" "$4"; le 4 "$5"; }
open() { use "$1" 0 0 0 0; }
# say SPACE SERIAL OP NUMBER MODE FLAGS, of node 3; op 0 is a request
say() { le 1 5 "$1" "$2" "$3" "$4" "$5"; le 4 "$6"; }
{ ring 3; open 0; open 1; use 0 0 0 0 0; use 1 0 0 0 0; use 0 0 0 5 0; use 1 0 0 5 0; } >excluded
{ ring 3; open 0; open 1; use 0 0 0 0 0; use 0 0 0 5 0x80; ring 0; use 0 1 0 0 0; ring 3; use 0 7 0 0 0; } >frozen
{ ring 3; le 1 2 1 0 1; open 0; say 0 1 0 1 5 0; say 0 2 1 1 3 4; say 0 3 2 1 0 0; le 1 3 0; } >liar
{ ring 3; le 1 2 1 0 1; open 0; say 0 1 0 1 5 0x80; ring 2; le 1 4 2 1 0; use 0 0 0 0 0; use 0 0 0 5 0; } >dead
{ ring 3; open 0; le 1 9; open 1; use 0 7 0 0 0; le 1 10; open 1; ring 3; } >ending
{ ring 3; open 0; use 0 0 0 0 0; use 0 0 0 5 0; use 0 3 0 3 0; le 1 12 9; use 0 2 0 0 0; } >late
{ ring 3; open 0; use 0 0 0 0 0; use 0 0 0 5 0; le 1 7 3 13 0 1 8; open 1; ring 2; open 0; } >grave

# --- cpg_wire: flags, packet --------------------------------------------------------
folder cpg_wire
say() { le 1 0; le 2 0x4743; le 1 1 "$1"; } # KIND
config() { le 4 1; le 8 "$1"; }
# hello EXCLUDED
hello() { say 1; le 8 1700000000000000 3 65540; config 65539; le 8 0x1122334455667788; le 2 "$1"; }
hello 0 >./hello
{ hello 2; le 4 2 4711 3 4712; } >hello-leaves-out
{ hello 0; printf later; } >hello-of-later
{ say 2; le 8 0x99; } >ready
{ say 3; config 65540; le 1 3; printf words; } >data
{ say 3; config 65540; le 1 0; } >data-empty
{ say 4; config 65540; le 8 123456789; } >beat
{ say 5; config 65540; } >done
{ say 6; config 65540; le 8 17; } >ack
{ say 7; config 65540; } >again
{ say 8; le 4 3 4711; } >evict
{ le 1 1; le 4 0; le 8 1 2 3 4 5 6; } >repaired

# --- cpg_order: steps ---------------------------------------------------------------
folder cpg_order
# process 0 is this node's, 1 and 2 of the others, 3 a second one of this node
come() { le 1 0 "$1"; }
go() { le 1 1 "$1"; }
turn() { le 1 3 255; }
greet() { le 1 4 "$1"; }
ready() { le 1 5 "$1"; }
# anything FROM KIND HOW NUMBER; kind less 1; 100: the number itself
anything() { le 1 6 "$1" "$2" "$3" "$4"; }
time_of() { le 1 8 "$1"; }
formed() { come 1; come 2; turn; greet 1; greet 2; turn; ready 1; ready 2; turn; le 1 11; turn; }
data() { anything "$1" 2 0 100; }
ack() { anything "$1" 5 0 "$2"; }
{ turn; le 1 11 10 9; turn; time_of 30; turn; } >alone
{ formed; anything 1 4 0 100; anything 2 4 0 100; data 1; le 1 10 9; turn; ack 1 109; ack 2 109; turn; } >three
{ formed; data 1; data 2; go 2; turn; greet 1; turn; ready 1; turn; } >torn
{ formed; le 1 10 1; turn; time_of 100; turn; time_of 200; turn; time_of 200; turn; } >silent
{ formed; anything 1 7 0 0; turn; greet 2; turn; ready 2; turn; come 0; turn; } >left-out
{ formed; anything 1 0 1 99; anything 2 0 17 100; turn; greet 1; greet 2; turn; } >hello-leaves-out
{ formed; come 3; greet 3; turn; } >replaced
{ le 1 9 1; come 1; turn; le 1 9 0 10 99 8 5 9 255 8 5; turn; } >busy
{ come 1; turn; greet 1; anything 1 0 0 255; turn; ready 1; turn; le 1 14; turn; } >far
{ formed; le 1 2 2; turn; greet 1; greet 2; turn; ready 1; ready 2; turn; } >for-a-moment
{ formed; le 1 7 1 4; le 4 0x01014743; le 1 13 1; turn; time_of 200; turn; } >raw

du -sh "$corpus" | cut -f 1
