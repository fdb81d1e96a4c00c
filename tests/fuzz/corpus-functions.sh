# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the scripts that make seeds share: little-endian numbers, and a folder of seeds begun anew.

corpus=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/corpus

# le BYTES NUMBER...: little-endian
le()
{
	local bytes=$1 i n
	shift
	for n; do
		for ((i = 0; i < bytes; i++)); do
			# shellcheck disable=SC2059 # the escape is the format
			printf "\\x$(printf %02x $((n >> 8 * i & 255)))"
		done
	done
}

# folder NAME: its old seeds go; those that follow are written there
folder()
{
	rm -rf "${corpus:?}/$1"
	mkdir -p "$corpus/$1"
	cd "$corpus/$1"
}
