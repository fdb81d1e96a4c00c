#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs each fuzz target given as argument for FUZZ_SECONDS (default 10), from a
# copy of its corpus, and prints one line for it. What makes one crash, leak,
# hang or swell is kept in the current folder as NAME-crash-..., with the way
# to replay it, and printed, so that a log alone is enough to have it again; then
# the exit code is 1.
#
#	FUZZ_SECONDS=180 tests/fuzz/run.sh tests/fuzz/fuzz_md_sb
#	FUZZ_KEEP=DIR    also keeps in DIR/NAME what the run learned
set -u

srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
seconds=${FUZZ_SECONDS:-10}
max_printed=8192 # characters
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# ASan holds back freed memory, by default as much as half our limit.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}

max_len()
{
	case $1 in
	md_sb) echo 4105 ;;    # 9 bytes before the block
	bitmap_sb) echo 273 ;; # 17 bytes before the superblock
	boot) echo 65 ;;
	quorum) echo 1500 ;;
	tie_breaker) echo 600 ;;
	keyfile | fragment) echo 1000 ;;
	wire | ring | cpg_wire) echo 2000 ;;
	lock_dump | control) echo 5000 ;;
	seal | pack | checkpoint | lock_table | lock_manager | dlm | kernel_ask | nbd | cpg_order) echo 600 ;;
	*) echo 49156 ;;       # two disks of 24 KiB
	esac
}

# The last word after "key: " in libFuzzer's lines.
last()
{
	grep -o "$1: [0-9]*" "$log" | tail -n 1 | grep -o '[0-9]*$'
}

# print_input NAME FILE: as a command that makes the file; disks shrink much
print_input()
{
	local file text
	file=$(basename "$2")
	text=$(gzip -9n <"$2" | base64)
	if [ ${#text} -gt $max_printed ]; then
		printf '%s: %s is too large to be printed\n' "$1" "$file"
		return
	fi
	printf "%s: or, elsewhere, make it first:\n" "$1"
	printf "base64 -d <<'END' | gunzip >%s\n%s\nEND\n" "$file" "$text"
}

failed=0
for target in "$@"; do
	name=$(basename "$target")
	corpus=$work/${name#fuzz_}
	log=$work/$name.log
	mkdir -p "$corpus"
	cp "$srcdir/tests/fuzz/corpus/${name#fuzz_}/"* "$corpus/" 2>/dev/null
	case $target in */*) ;; *) target=./$target ;; esac

	if "$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=512 \
		-max_len="$(max_len "${name#fuzz_}")" -print_final_stats=1 \
		-artifact_prefix="$work/$name-" "$corpus" >"$log" 2>&1; then
		printf '%s: ok, %s runs, coverage %s, %s features, corpus of %s\n' \
			"$name" "$(last stat::number_of_executed_units)" \
			"$(last cov)" "$(last ft)" \
			"$(find "$corpus" -type f | wc -l)"
	else
		failed=1
		why=$(grep -m 1 -E 'does not hold|runtime error|ERROR: |SUMMARY: ' "$log")
		printf '%s: FAILED: %s\n' "$name" "${why:-$(tail -n 1 "$log")}"
		for input in "$work/$name-"*; do
			[ -f "$input" ] || continue
			cp "$input" .
			printf '%s: replay with: %s %s\n' "$name" "$target" \
				"$PWD/$(basename "$input")"
			print_input "$name" "$input"
		done
		cp "$log" "./$name-log.txt"
	fi
	if [ -n "${FUZZ_KEEP:-}" ]; then
		mkdir -p "$FUZZ_KEEP/${name#fuzz_}"
		"$target" -merge=1 "$FUZZ_KEEP/${name#fuzz_}" "$corpus" \
			>/dev/null 2>&1
	fi
done
exit $failed
