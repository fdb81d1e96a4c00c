#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libmdcluster as others use it: the header alone, the shared object, from C and C++;
# header, versions of symbols and manual page have the same functions; the program of the
# manual page works.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/control-functions.sh"
need "${CC:=cc}" nm readelf

header=$srcdir/mdclusterd/control/mdcluster.h
so=$builddir/libmdcluster.so.0.1.0

# --- one list of functions --------------------------------------------------------
grep -oE '^[a-z].*\bmdcluster_[a-z_]+\(' "$header" | grep -oE 'mdcluster_[a-z_]+\(' | tr -d '(' |
  sort -u >in.header
[ "$(wc -l <in.header)" -ge 10 ] || fail "no functions found in mdcluster.h"
nm -D --defined-only "$so" | sed -nE 's/.* T ([a-z_]+)@@MDCLUSTER_.*/\1/p' | sort >in.so
sed -nE 's/^\t\t([a-z_]+);$/\1/p' "$srcdir/mdclusterd/control/mdcluster.map" | sort >in.map
sed -n '/^.SH SYNOPSIS/,/^.SH DESCRIPTION/p' "$srcdir/man/libmdcluster.3" |
  grep -oE '\bmdcluster_[a-z_]+\(' | tr -d '(' | sort -u >in.page
for list in in.so in.map in.page; do
  expect_equal "functions in $list and in mdcluster.h" "" "$(diff in.header $list)"
done
expect_equal "what the library gives besides" "" \
  "$(nm -D --defined-only "$so" | grep -vE ' (mdcluster_[a-z_]+@@)?MDCLUSTER_0\.1$' || :)"
readelf -d "$so" | grep -q 'SONAME.*\[libmdcluster\.so\.0\]' || fail "the name of the library"

# --- programs -----------------------------------------------------------------------
mkdir lib include
cp "$header" include/
cp "$so" lib/libmdcluster.so.0
ln -s libmdcluster.so.0 lib/libmdcluster.so
# the sanitizers of the build, if any, for the library wants them
sanitize=$(sed -nE 's/^MDC_LDFLAGS = .*(-fsanitize=[a-z,]+).*/\1/p' "$builddir/Makefile")
sed -n '/^.SH EXAMPLES/,/^\.fi/p' "$srcdir/man/libmdcluster.3" | grep -v '^\.' |
  sed 's/\\-/-/g' >example.c
# shellcheck disable=SC2086 # options, or none
$CC -Wall -Wextra -Werror -std=c99 -D_DEFAULT_SOURCE $sanitize -Iinclude example.c -o example \
  -Llib -lmdcluster -Wl,-rpath,"$PWD/lib" || fail "the program of libmdcluster(3) does not build"
printf '#include <mdcluster.h>\nint main() { mdcluster_free(nullptr); }\n' >example.cc
if command -v "${CXX:=c++}" >/dev/null; then
  # shellcheck disable=SC2086
  $CXX $sanitize -Iinclude example.cc -o example-cc -Llib -lmdcluster -Wl,-rpath,"$PWD/lib" &&
    ./example-cc || fail "mdcluster.h in C++"
fi

code=0
MDCLUSTER_RUN_DIR=$tmp ./example >out 2>&1 || code=$?
expect_equal "without a daemon" 1 $code
grep -q "no mdclusterd answers at $tmp/control.sock" out || fail "it said: $(cat out)"
start_daemon healthy
./example | jq -e '.status.cluster == "alpha"' >/dev/null || fail "with a daemon: $(./example 2>&1)"

# --- a program that has nothing but what is installed ----------------------------------
command -v pkg-config >/dev/null || exit 0
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -C "$builddir" install-sharedlibPROGRAMS install-includeHEADERS install-pkgconfigDATA \
  install-data-hook \
  DESTDIR="$PWD/dest" >made 2>&1 || fail "it cannot be installed: $(cat made)"
libdir=$(dirname "$(find dest -name libmdcluster.so.0.1.0)")
ls "$libdir/libmdcluster.so" "$libdir/libmdcluster.so.0" >/dev/null || fail "its other names are not installed"
export PKG_CONFIG_SYSROOT_DIR=$PWD/dest PKG_CONFIG_LIBDIR=$PWD/$libdir/pkgconfig
flags=$(pkg-config --cflags --libs mdcluster) || fail "pkg-config does not know it"
cp "$srcdir/tests/control/outside.c" .
# shellcheck disable=SC2086
$CC -Wall -Wextra -Werror -std=c99 -D_DEFAULT_SOURCE $sanitize outside.c -o outside $flags ||
  fail "a program outside of the tree does not build with $flags"
answer Events '{"continue": {"event": {"kind": "a"}}}' '{"continue": {"event": {"kind": "b"}}}' '{"hold": true}'
answer Check '{"continue": {"done": 1, "total": 2, "mismatches": 0}}' '{"hold": true}'
answer CheckCancel '{"release": "Check"}' '{"reply": {}}'
calls >/dev/null
LD_LIBRARY_PATH=$libdir timeout 100 ./outside >out 2>&1 || fail "a program outside of the tree: $(cat out)"
expect_equal "what it says" 'status: it has a cluster
event: {"event":{"kind":"a"}}
event: {"event":{"kind":"b"}}
progress: {"done":1,"total":2,"mismatches":0}
cancelled: {}
given up: cancelled' "$(cat out)"
