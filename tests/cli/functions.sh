# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the shell tests share. A test begins with
#
#	. "$(dirname "$0")/functions.sh"
#
# and finds itself in an empty folder, $tmp, that goes away at the end, with
# mdcluster in the PATH. It ends with 0 (passed), 77 (skipped) or another code.
#
# $srcdir and $builddir come from `make check`; a test that is run by hand finds
# them beside itself: the source, and its folder build/ if mdcluster is there.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
srcdir=$(cd "${srcdir:-$here/../..}" && pwd)
if [ -z "${builddir:-}" ]; then
	builddir=$srcdir
	[ ! -x "$srcdir/build/mdcluster" ] || builddir=$srcdir/build
fi
builddir=$(cd "$builddir" && pwd)
PATH=$builddir:$PATH:/usr/sbin:/sbin
export srcdir builddir PATH

# the same words and times for everybody; UTF-8 only where a test asks for it
export LC_ALL=C TZ=UTC0
unset NO_COLOR

test_name=$(basename "$0")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mdcluster.XXXXXX")
loops=()

cleanup()
{
	local device

	for device in ${loops[@]+"${loops[@]}"}; do
		losetup -d "$device" || :
	done
	cd /
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$tmp"

# fail MESSAGE: ends the test
fail()
{
	printf '%s: FAILED: %s\n' "$test_name" "$*" >&2
	exit 1
}

# skip REASON: ends the test; automake calls it skipped
skip()
{
	printf '%s: skipped: %s\n' "$test_name" "$*" >&2
	exit 77
}

# need PROG...: all of them, or the test is skipped
need()
{
	local prog

	for prog; do
		command -v "$prog" >/dev/null || skip "there is no $prog"
	done
}

# own_network SCRIPT [OPTION...]: runs SCRIPT again in a network namespace of its
# own, where loopback is up and every port is free; call it as `own_network "$0"`.
# OPTIONs are more of unshare(1). Where that is forbidden, SCRIPT goes on in the
# machine's network: it then picks ports below 32768, which no client's socket
# takes by itself.
own_network()
{
	local as_root= script=$1
	shift

	[ -z "${in_own_network:-}" ] || return 0
	[ "$(id -u)" -eq 0 ] || as_root=--map-root-user
	unshare --net $as_root ip link set lo up 2>/dev/null || return 0
	cleanup
	# shellcheck disable=SC2016
	in_own_network=1 exec unshare --net $as_root "$@" \
		bash -c 'ip link set lo up && exec bash "$0"' "$here/$(basename "$script")"
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || skip "not root"
}

# expect_equal WHAT WANTED FOUND
expect_equal()
{
	[ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# expect_fail CODE CMD...
# CMD must end with CODE and say why in one line, "mdcluster: ...". Warnings and
# notices may stand beside it. Leaves standard error in $err, the error alone in
# $error, and standard output in $out.
expect_fail()
{
	local want=$1 got=0 count
	shift

	"$@" >"$tmp/.out" 2>"$tmp/.err" </dev/null || got=$?
	out=$(cat "$tmp/.out")
	err=$(cat "$tmp/.err")
	error=$(grep -vE '^mdcluster: (warning|notice): ' "$tmp/.err" || :)
	[ "$got" -eq "$want" ] ||
		fail "'$*' ended with $got instead of $want; it said: $err"
	count=$(printf '%s' "$error" | grep -c '' || :)
	[ "$count" -eq 1 ] ||
		fail "'$*' said $count lines of error instead of 1: $err"
	case $error in
	"mdcluster: "?*) ;;
	*) fail "'$*' said '$error' instead of 'mdcluster: ...'" ;;
	esac
	export out err error
}

# make_disk NAME SIZE: an empty sparse file; SIZE as truncate(1) takes it
make_disk()
{
	rm -f "$1"
	truncate -s "$2" "$1"
}

# make_array NAME DISK... [OPTION]...
# A mirror of 2 disks, 64 KiB a bitmap chunk, cluster alpha, no host in its name,
# unless OPTIONs (and -n) say otherwise. Words ending in .img that are no file
# yet become disks of 64M.
make_array()
{
	local word

	for word; do
		case $word in
		-*) ;;
		*.img) [ -e "$word" ] || make_disk "$word" 64M ;;
		esac
	done
	mdcluster create --quiet --level=mirror --raid-devices=2 \
		--home-cluster=alpha --homehost=none --bitmap-chunk=64K "$@" ||
		fail "make_array $*: mdcluster create failed"
}

# with_loop FILE: sets $loop to a loop device over it, detached at the end
with_loop()
{
	need_root
	need losetup
	loop=$(losetup --find --show "$1") || skip "no loop device for $1"
	loops+=("$loop")
	export loop
}

command -v mdcluster >/dev/null || fail "mdcluster is not built in $builddir"
