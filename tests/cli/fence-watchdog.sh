#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Nodes guarded by watchdogs, which are files here: who has said so is dead when its time is
# over, who has not is not; an engine that stands still is not petted for; a stop ends it.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
if nm -D "$daemon" 2>/dev/null | grep -q __asan_init; then skip "nothing can be preloaded into this build"; fi
${CC:-cc} -shared -fPIC -D_GNU_SOURCE -o fake.so "$srcdir/tests/fence/fake_watchdog.c" -ldl ||
  fail "no fake watchdog"

for d in d1 d2; do truncate -s 32M $d; done
mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 --assume-clean web d1 d2
configure 3 "fence { delay_ms = 100 methods = { obituary }
  device dog { type = watchdog } level 1 { devices = { dog } } }
watchdog { device = \"$PWD/DOG\" timeout_s = 2 drain_ms = 500 }
array web { disks = { \"$PWD/d1\", \"$PWD/d2\" } }"
for i in 1 2 3; do
  sed -i "s,/DOG,/dog.$i," "c.$i"
  : >"dog.$i"
done

# --- a device that is no watchdog: it does not start ------------------------------------------
code=0
"$daemon" --config=c.1 >out 2>&1 || code=$?
expect_equal "a file is no watchdog" 1 "$code"
grep -q "dog.1: is no watchdog" out || fail "$(cat out)"
: >dog.1

# --- three that are guarded -----------------------------------------------------------------------
export LD_PRELOAD=$PWD/fake.so
for i in 1 2 3; do start "$i"; done
unset LD_PRELOAD
ring_of 1 2 3
is_active() { shows "$1" '.status // . | .arrays[0].state' active; }
for i in 1 2 3; do await "node$i: no array" is_active "$i"; done
mdcluster fence --test --run-dir=run.1 >out || fail "--test: $(cat out)"
expect_equal "what it says" 3 "$(grep -c '^fine    node[123]  dog: its watchdog resets it within 6 s$' out)"
petted() { [ "$(tr -cd P <"dog.$1" | wc -c)" -gt "$2" ]; }
for i in 1 2 3; do await "node$i is not petted" petted "$i" 3; done

# --- a person cannot hurry it, nor shoot who is there --------------------------------------------------
expect_fail 1 mdcluster fence --yes --run-dir=run.1 node3

# --- a node dies: it is waited for its reset ---------------------------------------------------------
engine=$(engine_of 3)
kill -KILL "${pid_of[3]}"
kill -KILL "$engine"
finished 3
await "node1 does not say what it waits for" \
  eval "status_of 1 | jq -r '.status // . | .nodes[2].waits' | grep -q '^proof of death, .*: its watchdog, attempt 1'"
await "it is never proven" says 1 "node node3, incarnation"
says 1 "is proven dead by its watchdog" || fail "$(cat log.1)"
expect_equal "magic closes of one that died" "" "$(tr -cd V <dog.3)"

# --- an engine stands still: nobody knows whether it writes, and it is not petted for ------------------
engine=$(engine_of 2)
kill -STOP "$engine"
await "it is petted for" says 2 "the watchdog is not petted, and will reset this host"
kill -CONT "$engine"
ring_of 1 2

# --- an engine dies: it was reaped, and its supervisor goes on petting -------------------------------------
was=$(tr -cd P <dog.2 | wc -c)
kill -KILL "$engine"
await "nobody pets between two engines" petted 2 $((was + 4))
ring_of 1 2

# --- a stop ends it ------------------------------------------------------------------------------------------
for i in 1 2; do
  kill -TERM "${pid_of[$i]}"
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
  expect_equal "node$i: magic close" V "$(tail -c 1 "dog.$i")"
done
