#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The rules of the house that a machine can check: arrows point down, bytes
# become numbers in one place, and what ARCHITECTURE.md promises is there.
. "$(dirname "$0")/functions.sh"
cd "$srcdir"

# --- arrows: a room includes itself and rooms below it -----------------------
allowed() { # ROOM -> rooms it may include
  case $1 in
    base) echo "base" ;;
    bitmap) echo "base bitmap" ;;
    totem) echo "base totem" ;;
    lockres) echo "base totem lockres" ;;
    msg) echo "base lockres msg" ;;
    mdclusterd) echo "base mdclusterd" ;;
    mdclusterd/mirror) echo "base bitmap mdclusterd mdclusterd/mirror" ;;
    mdclusterd/nbd) echo "base mdclusterd mdclusterd/nbd" ;;
    mdclusterd/array) echo "base bitmap lockres msg mdclusterd mdclusterd/array" ;;
    mdclusterd/record) echo "base bitmap lockres mdclusterd/array mdclusterd/record" ;;
    mdclusterd/quorum) echo "base totem mdclusterd/quorum" ;;
    mdclusterd/control) echo "base mdclusterd/control" ;;
    mdclusterd/fence) echo "base mdclusterd/fence" ;;
    mdclusterd/daemon) echo "base bitmap totem lockres msg mdclusterd mdclusterd/mirror \
      mdclusterd/nbd mdclusterd/array mdclusterd/record mdclusterd/quorum \
      mdclusterd/control mdclusterd/fence mdclusterd/daemon" ;;
    tools) echo "base bitmap totem lockres msg mdclusterd/array mdclusterd/record \
      mdclusterd/quorum mdclusterd/control tools" ;;
    *) fail "room $1 has no line in house-rules.sh" ;;
  esac
}
rooms="base bitmap totem lockres msg mdclusterd mdclusterd/mirror mdclusterd/nbd \
  mdclusterd/array mdclusterd/record mdclusterd/quorum mdclusterd/control \
  mdclusterd/fence mdclusterd/daemon tools"
for room in $rooms; do
  [ -d "$room" ] || continue
  for included in $(cat "$room"/*.[ch] 2>/dev/null | grep -hoE '^#include "[^"]+/' |
    sed 's/.*"//; s,/$,,' | sort -u); do
    case " $(allowed "$room") " in
      *" $included "*) ;;
      *) fail "$room/ includes $included/: arrows point down only" ;;
    esac
  done
done

# --- formats pass through the cursors of base/codec.h ------------------------
elsewhere=$(grep -lE '\b(le|be)(16|32|64)toh|hto(le|be)(16|32|64)\b' -- */*.[ch] mdclusterd/*/*.[ch] |
  grep -vE '^(base/codec\.c|bitmap/bits.*)$' || true)
[ -z "$elsewhere" ] || fail "endianness outside of base/codec.c: $elsewhere"

# --- every source says whose it is -------------------------------------------
for f in */*.[ch] mdclusterd/*/*.[ch] tests/*/*.[ch]; do
  case $f in build*) continue ;; esac
  head -n 1 "$f" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' ||
    fail "$f does not begin with its licence"
done
for f in */*.h mdclusterd/*/*.h; do
  case $f in build*) continue ;; esac
  grep -q '^#pragma once' "$f" || fail "$f has no #pragma once"
done

# --- a message id means one thing ----------------------------------------------
twice=$(grep -hoE '"MDC[0-9]{4}"' base/*.c bitmap/*.c totem/*.c lockres/*.c msg/*.c mdclusterd/*/*.c tools/*.c | sort | uniq -d)
[ -z "$twice" ] || fail "message ids used twice: $twice"

# --- ARCHITECTURE.md: each test that it names is there --------------------------
while read -r name; do
  grep -qrE "^static void $name\(" tests/unit || fail "ARCHITECTURE.md names the test '$name', which is not there"
done < <(grep -E '^\| ([DB]|A\.14, )' ARCHITECTURE.md | grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u)
[ "$(grep -cE '^\| (D|B)[0-9]' ARCHITECTURE.md)" -ge 10 ] ||
  fail "ARCHITECTURE.md has lost its table of rules and tests"

# --- headers stand alone -----------------------------------------------------
for h in base/*.h bitmap/*.h totem/*.h lockres/*.h msg/*.h mdclusterd/*.h mdclusterd/*/*.h; do
  echo "#include \"$h\"" | ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -I. -fsyntax-only -x c - ||
    fail "$h does not compile on its own"
done

# --- the top level is what the map shows: no leavings of a test ------------------
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  strays=$(git ls-files | grep -v / | grep -vxE \
    '\.(clang-format|editorconfig|gitignore)|ARCHITECTURE\.md|COPYING|HACKING\.md|Makefile\.am|NEWS|README\.md|configure\.ac|packages\.debian|quickstart' || true)
  [ -z "$strays" ] || fail "at the top level, and nobody knows why: $strays"
fi
