#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Real daemons on loopback: they find each other; an engine that is killed is told dead by
# its supervisor and comes back as somebody new; for a node that is gone altogether a
# command decides; stops are orderly; a configuration is refused with all its mistakes.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"

incarnation() { status_of "$1" | jq -r --argjson n "$2" '.status // . | .nodes[] | select(.id == $n) | .incarnation'; }
grows() { [ "$(incarnation "$1" "$2")" -gt "$3" ] 2>/dev/null; }

# --- what cannot start says so, by its exit status ---------------------------------------
code=0
"$daemon" --check-config --config=nowhere >out 2>&1 || code=$?
expect_equal "no configuration" 3 "$code"
printf 'cluster { nam = x }\nfence { retries = many }\n' >bad
code=0
"$daemon" --check-config --config=bad >out 2>&1 || code=$?
expect_equal "mistakes" 3 "$code"
for line in "bad:1: nam: is no option here; did you mean 'name'?" \
  "bad:2: fence: retries: 'many' is not a number"; do
  grep -qxF -e "$line" out || fail "--check-config does not say '$line': $(cat out)"
done
(cat "$srcdir/man/mdclusterd.conf.example" && echo "this_node = host1") >example
"$daemon" --check-config --config=example >out 2>&1 || fail "the example: $(cat out)"
code=0
"$daemon" --frobnicate >out 2>&1 || code=$?
expect_equal "unknown option" 2 "$code"

# --- three find each other -------------------------------------------------------------------
cat >fence <<EOF
#!/bin/sh
echo "\$@" >>"$PWD/fenced"
[ -e "$PWD/may-fence" ] || { echo "no power switch"; exit 1; }
EOF
chmod +x fence
configure 3 "fence { methods = { obituary, command } command = \"$PWD/fence\" delay_ms = 100 }"
for i in 1 2 3; do start "$i"; done
ring_of 1 2 3
expect_equal "who is asked" "node2" "$(status_of 2 | jq -r '.status // . | .nodes[] | select(.is_self) | .name')"
code=0
"$daemon" --config=c.1 >out 2>&1 || code=$?
expect_equal "a second daemon with one state directory" 4 "$code"
expect_equal "control socket" 660 "$(stat -c %a run.1/control.sock | sed 's/^600$/660/')"

# by what `ps -C mdclusterd`, pidof and top find them
for pid in "${pid_of[1]}" "$(engine_of 1)"; do
  expect_equal "the name of process $pid" mdclusterd "$(cat "/proc/$pid/comm")"
done

# --- an engine is killed: the others are told, and it comes back as somebody new -----------------
was=$(incarnation 1 3)
declare -A monitor_of=()
for i in 1 2; do
  mdcluster monitor --json --run-dir="run.$i" >"monitor.$i" 2>&1 &
  monitor_of[$i]=$!
done
follows() { ss -xH state connected | grep -q "run.$1/control.sock"; }
command -v ss >/dev/null || follows() { sleep 1; }
for i in 1 2; do await "the monitor of node$i is not connected" follows "$i"; done
kill -KILL "$(engine_of 3)"
await "node1 has no obituary" says 1 "is proven dead by its supervisor's obituary"
await "node2 has no obituary" says 2 "is proven dead by its supervisor's obituary"
await "node3's supervisor does not say who has heard it" says 3 "its death is told: 2 of 2 other nodes have heard it"
ring_of 1 2 3
await "node3 is no new incarnation" grows 1 3 "$was"
# all nodes see it, and one of them reports it
death='select(.kind == "node_dead" and .node == 3)'
await "nobody reports the death" eval 'grep -q "\"node_dead\"" monitor.1 monitor.2'
sleep 0.3 # for who would report it a second time
expect_equal "who reports the death" 1 "$(cat monitor.* | jq -c "$death" | wc -l)"
for i in 1 2; do
  kill "${monitor_of[$i]}"
  wait "${monitor_of[$i]}" || :
done
[ ! -e fenced ] || fail "the fence command ran for an engine whose obituary came"

# --- a supervisor is killed: its engine leaves in order -------------------------------------------
engine=$(engine_of 3)
kill -KILL "${pid_of[3]}"
finished 3
ring_of 1 2
gone() { ! kill -0 "$1" 2>/dev/null; }
await "node3's engine goes on without its supervisor" gone "$engine"
says 3 "the supervisor is gone" || fail "node3: $(cat log.3)"
start 3
ring_of 1 2 3

# --- a stop is an orderly leave, also where the whole group gets the signal, as of a terminal ------------
engine=$(engine_of 3)
kill -TERM "${pid_of[3]}" "$engine"
finished 3
expect_equal "exit status of a stop" 0 "$code"
if says 3 "a second time"; then fail "one signal to both is taken for two"; fi
ring_of 1 2
says 1 "node node3 has left the ring" || fail "node1: $(cat log.1)"

# --- the key changes while they run: each step on all nodes, and no node is lost for an instant ------
was=$(incarnation 1 2)
was_ring=$(status_of 1 | jq '.status // . | .ring_seq')
for step in --add --promote --drop; do
  mdcluster keygen --quiet $step key
  for i in 1 2; do
    mdcluster reload --run-dir="run.$i" >out || fail "reload after keygen $step: $(cat out)"
    expect_equal "reload after keygen $step" "changed: the cluster key" "$(cat out)"
  done
done
says 1 "sends with key $(mdcluster keygen --show key | sed -n 's/.*sends with key \([0-9a-f]*\).*/\1/p') from now on" ||
  fail "node1 does not tell its key: $(grep "sends with" log.1)"
expect_equal "the ring, after a change of key" "$was_ring $was" \
  "$(status_of 1 | jq '.status // . | .ring_seq') $(incarnation 1 2)"
for step in --add --promote --drop; do mdcluster keygen --quiet $step key; done
mdcluster reload --run-dir=run.2 >/dev/null # and node1 does not: they have no key in common
await "a node with another key is still heard" shows 1 '.status // . | .nodes[1].is_member' false
mdcluster reload --run-dir=run.1 >/dev/null
ring_of 1 2
chmod 644 key
expect_fail 1 mdcluster reload --run-dir=run.1
[[ $error == *"key"* ]] || fail "a key that others can read: $error"
chmod 400 key
ring_of 1 2

# --- reload: what can change does, what cannot is named; mistakes change nothing ------------------
sed -i 's/delay_ms = 100/delay_ms = 200/; s/token_ms = 1000/token_ms = 2000/; s/node node3 {/node nodeX {/' c.1
kill -HUP "${pid_of[1]}"
await "node1 does not reload" says 1 "the configuration was read again"
says 1 "fence.delay_ms: has changed" || fail "node1: $(cat log.1)"
says 1 "totem.token_ms: has changed, and takes a new start of mdclusterd" || fail "node1: $(cat log.1)"
shows 1 '.status // . | .nodes[2].name' nodeX || fail "node1 has not the new name: $(status_of 1)"
echo "fence { }" >>c.1
echo "foo = 1" >>c.1
kill -HUP "${pid_of[1]}"
await "node1 does not refuse" says 1 "nothing is reloaded"
ring_of 1 2

# --- crash loops are slowed down and told -----------------------------------------------------------
for i in 1 2 3; do
  engine=
  await "node2 has no engine" eval 'engine=$(engine_of 2); [ -n "$engine" ]'
  kill -KILL "$engine"
  await "node2: engine $engine stays" gone "$engine"
done
await "node2 does not tell its crashes" says 2 "times in a row"
ring_of 1 2
for i in 1 2; do
  kill -TERM "${pid_of[$i]}"
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
done
