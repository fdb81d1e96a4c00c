#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the seeds of fuzz_nbd anew, from what its head says of its input. Not part of a
# build: the seeds are committed. Run it after that has changed.
#
#	tests/fuzz/make-nbd-corpus.sh
set -eu

corpus=$(cd "$(dirname "$0")" && pwd)/corpus/nbd
rm -rf "$corpus"
mkdir -p "$corpus"
cd "$corpus"

# --- what a client says, in bytes: the first byte has bit 0 ------------------------
meet='\x00\x00\x00\x03'
structured='IHAVEOPT\x00\x00\x00\x08\x00\x00\x00\x00'
context='IHAVEOPT\x00\x00\x00\x0a\x00\x00\x00\x1b\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0fbase:allocation'
list='IHAVEOPT\x00\x00\x00\x03\x00\x00\x00\x00'
go='IHAVEOPT\x00\x00\x00\x07\x00\x00\x00\x0d\x00\x00\x00\x01x\x00\x03\x00\x01\x00\x02\x00\x03'
old='IHAVEOPT\x00\x00\x00\x01\x00\x00\x00\x01x'
abort='IHAVEOPT\x00\x00\x00\x02\x00\x00\x00\x00'
tls='IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00'

# request COMMAND LENGTH: at byte 512
request()
{
	printf '\\x25\\x60\\x95\\x13\\x00\\x00\\x00\\x%02x\\0\\0\\0\\0\\0\\0\\0\\1' "$1"
	printf '\\0\\0\\0\\0\\0\\0\\x02\\0\\0\\0\\x%02x\\0' $(($2 / 256))
}

# shellcheck disable=SC2059 # the escapes are the formats
{
	printf "\x01$meet$list$abort" >list
	printf "\x01$meet$tls$structured$context$go$(request 7 512)$(request 2 0)" >status
	printf "\x01$meet$old$(request 0 512)$(request 3 0)" >old
	printf "\x01$meet$go$(request 1 512)$(printf '%0512d' 0)$(request 6 512)" >"write"
	printf "\x01$meet$structured${go}nonsense that is no request, long" >nonsense
}

# --- deeds: see enum deed ------------------------------------------------------------
# u16 NUMBER: as an escape
u16() { printf '\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8)); }
# ask COMMAND FLAGS OFFSET LENGTH: blocks; COMMAND counts 0 READ, 1 WRITE, FLUSH, TRIM, CACHE, ZEROES, STATUS
ask() { printf '\\x00\\x%02x\\x%02x%s%s\\x00' "$1" "$2" "$(u16 "$3")" "$(u16 "$4")"; }
send="\x01$(u16 65535)"
take="\x02$(u16 65535)"
end='\x03\x00\x00'
fail='\x03\x00\x01'
hold='\x03\x00\x02'
release='\x04\x00'
on='\x05'

# shellcheck disable=SC2059 # the escapes are the formats
{
	printf "\x02$(ask 0 0 0 8)$(ask 1 1 8 8)$(ask 2 0 0 0)$send$send$send$send$end$end$end$take" >short
	printf "\x02$(ask 0 0 0 6000)$send$end$take$fail$end$end$take" >long-read
	printf "\x10$(ask 0 0 0 200)$send$end$take$on$end$take" >stream
	printf "\x02$(ask 1 0 0 4000)$send$send$send$send$send$send$fail$send$send$send" >long-write
	printf "\x22$(ask 0 0 0 1024)$(ask 0 0 0 1024)$send$send$hold$on$take$release$on" >starved
	printf "\x00$(ask 0 0 0 8)$(ask 5 2 8 8)$send$send$hold\x06\x07$take$release\x08" >endings
	printf "\x44$(ask 3 0 0 8)$(ask 6 8 0 8)$(ask 4 0 0 8)$(ask 1 0 0 8)$send$send$send$send$send" >refused
}
