# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the tests of commands that ask a daemon share: one with canned answers
# (tests/control/fake_daemon.c). MDCLUSTER_RUN_DIR is its run directory, $run.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
need jq

# shellcheck disable=SC2154 # functions.sh
canned=$srcdir/tests/data/control
run=$tmp/run answers=$tmp/answers daemon=
mkdir "$run" "$answers"
export MDCLUSTER_RUN_DIR=$run

stop_daemon()
{
	[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon" || :; }
	daemon=
}
trap 'stop_daemon; cleanup' EXIT

# eventually CMD...: until it succeeds; a test that would hang fails after a minute or more
eventually()
{
	local times=0
	until "$@"; do
		times=$((times + 1))
		[ $times -lt 3000 ] || fail "never: $*"
		sleep 0.02
	done
}

# has_lines N FILE: at least
has_lines()
{
	[ "$(wc -l <"$2")" -ge "$1" ]
}

# start_daemon [STATUS [GROUP]]: STATUS as in tests/data/control; it listens on return
start_daemon()
{
	stop_daemon
	[ $# -eq 0 ] || status_is "$1"
	"$builddir/fake-daemon" "$run" "$answers" ${2:+"$2"} 2>"$tmp/daemon.err" &
	daemon=$!
	eventually [ -S "$run/control.sock" ]
}

# status_is STATUS [JQ]: from now on, changed by JQ (of the object "status")
status_is()
{
	jq "[{reply: {status: (.[0].reply.status | ${2:-.})}}]" "$canned/$1.json" \
		>"$answers/Status.new"
	mv "$answers/Status.new" "$answers/Status.json"
}

# answer METHOD JSON...: the items that fake_daemon.c knows
answer()
{
	local method=$1
	shift
	printf '%s\n' "$@" | jq -s . >"$answers/$method.json"
}

# The calls since the last time, without those for a status.
calls()
{
	grep -v '^\["Status"' "$answers/calls" 2>/dev/null || :
	rm -f "$answers/calls"
}

# ends_with CODE CMD...: its output in $out (both streams)
ends_with()
{
	local want=$1 got=0
	shift
	out=$("$@" 2>&1 </dev/null) || got=$?
	[ "$got" -eq "$want" ] || fail "'$*' ended with $got instead of $want; it said: $out"
	export out
}

# says WORDS...: each of them is in $out
says()
{
	local words
	for words; do
		case $out in
		*"$words"*) ;;
		*) fail "'$words' is not in: $out" ;;
		esac
	done
}
