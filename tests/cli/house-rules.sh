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
    tools) echo "base bitmap totem lockres msg tools" ;;
    *) fail "room $1 has no line in house-rules.sh" ;;
  esac
}
for room in base bitmap totem lockres msg tools; do
  [ -d "$room" ] || continue
  for included in $(grep -hoE '^#include "[a-z]+/' "$room"/*.[ch] |
    sed 's/.*"//; s,/,,' | sort -u); do
    case " $(allowed "$room") " in
      *" $included "*) ;;
      *) fail "$room/ includes $included/: arrows point down only" ;;
    esac
  done
done

# --- formats pass through the cursors of base/codec.h ------------------------
elsewhere=$(grep -lE '\b(le|be)(16|32|64)toh|hto(le|be)(16|32|64)\b' -- */*.[ch] |
  grep -vE '^(base/codec\.c|bitmap/bits.*)$' || true)
[ -z "$elsewhere" ] || fail "endianness outside of base/codec.c: $elsewhere"

# --- every source says whose it is -------------------------------------------
for f in base/*.[ch] bitmap/*.[ch] totem/*.[ch] lockres/*.[ch] msg/*.[ch] tools/*.[ch] tests/*/*.[ch]; do
  head -n 1 "$f" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' ||
    fail "$f does not begin with its licence"
done
for f in base/*.h bitmap/*.h totem/*.h lockres/*.h msg/*.h tools/*.h; do
  grep -q '^#pragma once' "$f" || fail "$f has no #pragma once"
done

# --- a message id means one thing ----------------------------------------------
twice=$(grep -hoE '"MDC[0-9]{4}"' base/*.c bitmap/*.c totem/*.c lockres/*.c msg/*.c tools/*.c | sort | uniq -d)
[ -z "$twice" ] || fail "message ids used twice: $twice"

# --- ARCHITECTURE.md: each test that it names is there --------------------------
while read -r name; do
  grep -qrE "cmocka_unit_test[a-z_]*\($name\b" tests/unit || fail "ARCHITECTURE.md names the test '$name', which is not there"
done < <(grep -E '^\| ([DB]|A\.14, )' ARCHITECTURE.md | grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u)
[ "$(grep -cE '^\| (D|B)[0-9]' ARCHITECTURE.md)" -ge 10 ] ||
  fail "ARCHITECTURE.md has lost its table of rules and tests"

# --- headers stand alone -----------------------------------------------------
for h in base/*.h bitmap/*.h totem/*.h lockres/*.h msg/*.h; do
  echo "#include \"$h\"" | ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -I. -fsyntax-only -x c - ||
    fail "$h does not compile on its own"
done
