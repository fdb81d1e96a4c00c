#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the seeds of quorum's fuzz targets anew, the same each time, from what the heads of the
# targets, quorum_wire.c and tie_breaker.h say. Not part of a build: the seeds are committed.
#
#	tests/fuzz/make-quorum-corpus.sh
set -eu

. "$(dirname "$0")/corpus-functions.sh"

# --- quorum: flags, length of memory, memory, what node 2 tells ---------------------------
folder quorum

# basis NUMBER ID...: a vote each
basis()
{
	local number=$1 id
	shift
	le 8 "$number" 99
	le 4 $# 0
	le 1 0 $#
	for id; do le 4 "$id"; le 1 1; done
}
record_of_none() { le 1 0 0; }
record() { le 1 1; basis 4 1 2; le 1 1; basis 5 1 2 3; }
rules() { le 1 "$1" 0; le 4 3; le 1 0 0 1 1 1; }
# told FLAGS RECORD
told()
{
	le 1 1 "$1"
	le 4 0
	le 8 0 99 99
	rules 0
	rules "$1"
	"$2"
}
boot() { le 8 7 0; }
# input FLAGS MEMORY-FILE TOLD-FILE
input() { le 1 "$1"; le 2 "$(stat -c %s "$2")"; cat "$2" "$3"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/empty"
{ boot; le 1 1; record_of_none; } >"$work/plain"
{ boot; le 1 1; record; } >"$work/lowered"
told 0 record_of_none >"$work/told"
told 2 record >"$work/told-lowered"
input 0 "$work/empty" "$work/told" >fresh
input 4 "$work/empty" "$work/told-lowered" >fresh-meets-lowered
input 3 "$work/plain" "$work/told" >remembers
input 7 "$work/lowered" "$work/told-lowered" >lowered
input 35 "$work/lowered" "$work/told" >waits
input 27 "$work/plain" "$work/told" >tie-and-device

# --- tie_breaker: steps of what, time, the other's state ------------------------------------
folder tie_breaker
{ le 1 0; printf MDCTIEBR; le 4 1 4096 128; printf alpha; } >head
steps() { local i; for ((i = 0; i < $1; i++)); do le 1 "${@:2}"; done; }
{ le 1 1 1 5 0; steps 40 0 5 0; } >taken
{ le 1 1 1 5 0; steps 20 16 5 2; steps 40 0 5 2; } >taken-over
{ le 1 1 1 5 0; steps 40 8 5 0; le 1 2 5 0; steps 20 8 5 0; } >given-up
{ le 1 1 1 5 0; steps 30 8 5 0; steps 5 4 5 0; steps 5 32 5 1; steps 30 8 200 0; } >trouble
