#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Fencing by real daemons with fence agents: levels in their order, both power supplies or
# nothing, what people demand, rehearse and list; and the package's own dummy where it is.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
chmod 711 . # agents are nobody, and look in here

# --- agents of our own: they hear lines, write them down, and do as files say -----------------
mkdir -m 777 heard
cat >agent <<EOF
#!/bin/sh
lines=\$(cat)
case \$lines in *action=metadata*)
  echo '<resource-agent name="agent">'
  for name in ip plug password; do echo "<parameter name=\"\$name\">"; done
  for name in on off reboot status monitor; do echo "<action name=\"\$name\"/>"; done
  exit 0 ;;
esac
plug=\$(echo "\$lines" | sed -n 's/^plug=//p')
{ echo "\$# words"; echo "\$lines"; } >>"$PWD/heard/\$plug"
[ ! -e "$PWD/broken.\$plug" ] || { echo "no answer from \$plug" >&2; exit 1; }
case \$lines in *action=status*) exit 0 ;; esac
[ ! -e "$PWD/kills.\$plug" ] || kill -KILL \$(cat "$PWD/kills.\$plug")
EOF
chmod 755 agent
echo "hush" >secret
chmod 600 secret
agent_of() { echo "agent = \"$PWD/agent\" $([ "$(id -u)" = 0 ] && echo "user = root")"; }
fencing="fence { methods = { obituary } delay_ms = 100 retries = 0
  device ipmi { $(agent_of) options = { \"password=@$PWD/secret\" }
    node node3 { options = { \"plug=ipmi3\" } } node node2 { options = { \"plug=ipmi2\" } } }
  device pdu-a { agent = \"$PWD/agent\" node node3 { options = { \"plug=a3\" } } }
  device pdu-b { agent = \"$PWD/agent\" node node3 { options = { \"plug=b3\" } } }
  level 2 { devices = { pdu-a, pdu-b } }
  level 1 { devices = { ipmi } } }"

actions() { grep -h '^action=' "heard/$1" 2>/dev/null | tr '\n' ' '; }
ask() { # NODE COMMAND...
  local i=$1
  shift
  mdcluster "$@" --run-dir="run.$i"
}

# --- the configuration is compared with what agents say of themselves --------------------------
configure 3 "$fencing"
"$daemon" --check-config --config=c.1 >out 2>&1 || fail "what is fine is refused: $(cat out)"
sed 's/"plug=a3"/"plugg=a3"/; s,device pdu-b { agent = "[^"]*",device pdu-b { agent = /bin/true,' c.1 >bad
code=0
"$daemon" --check-config --config=bad >out 2>&1 || code=$?
expect_equal "an option that the agent does not know" 3 "$code"
grep -qE "^bad:[0-9]+: device pdu-a: options: $PWD/agent knows no 'plugg'$" out || fail "$(cat out)"
grep -qE "^bad:[0-9]+: device pdu-b: /bin/true: its metadata is none of a fence agent$" out ||
  fail "$(cat out)"

# --- three with an array, which is what a death is to be proven for -------------------------------
for d in d1 d2; do truncate -s 32M $d; done
mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 --assume-clean web d1 d2
array="array web { disks = { \"$PWD/d1\", \"$PWD/d2\" } }"
# --- disks without reservations: what is configured is not left out without a word ---------------------
configure 1 "fence { device disks { type = reservation } level 1 { devices = { disks } } }
$array"
start 1
ring_of 1
refused() { status_of 1 | jq -r '.status // . | .arrays[0].waits' | grep -qF "$PWD/d1: is no SCSI disk: it has no reservations"; }
await "the array does not say why it does not start" refused
expect_equal "its key" "" "$(status_of 1 | jq -r '.status // . | .arrays[0].reservation_key')"
kill -TERM "${pid_of[1]}"
finished 1
rm -r state.1 log.1

configure 3 "$fencing
$array"
for i in 1 2 3; do start "$i"; done
ring_of 1 2 3
is_active() { shows "$1" '.status // . | .arrays[0].state' active; }
for i in 1 2 3; do await "node$i: no array" is_active "$i"; done

# --- what there is, and a rehearsal: nothing is switched ------------------------------------------------
ask 1 fence --list >out
expect_equal "levels" "$(printf 'node2: level 1\nnode3: level 1\nnode3: level 2')" "$(grep -v '^ ' out)"
grep -qxF "    pdu-a: agent $PWD/agent, off, then on, 1 attempts" out || fail "list: $(cat out)"
expect_equal "of one, as JSON" "2 pdu-a,pdu-b" \
  "$(ask 1 fence --list --json --level=2 node3 | jq -r '.levels[0] | "\(.level) \([.devices[].name] | join(","))"')"
ask 1 fence --dry-run node2 >out || fail "dry run"
expect_equal "nothing is switched by that" "" "$(ls heard)"
touch broken.ipmi3 broken.b3
code=0
ask 1 fence --test >out || code=$?
expect_equal "a rehearsal in which some fail" 1 "$code"
for line in "FAILED  node1  no level of fencing is for it" "fine    node2  ipmi: it is on" \
  "FAILED  node3  ipmi: code 1: no answer from ipmi3" "fine    node3  pdu-a: it is on" \
  "FAILED  node3  pdu-b: code 1: no answer from b3"; do
  grep -qxF -e "$line" out || fail "--test does not say '$line': $(cat out)"
done
expect_equal "a rehearsal switches nothing" "action=status " "$(actions a3)"
ask 1 fence --test --json node2 >out || fail "--test --json: $(cat out)"
jq -e '.tested == 1 and .failed == 0 and .results[0].device == "ipmi"' out >/dev/null ||
  fail "--test --json: $(cat out)"
rm heard/*

# --- one is missing: level 1 fails, of level 2 one supply is off and one is not: no proof ------------------
engine=$(engine_of 3)
kill -KILL "${pid_of[3]}"
kill -KILL "$engine"
finished 3
await "no word of what is waited for" \
  eval "status_of 1 | jq -r '.status // . | .nodes[2].waits' | grep -q '^proof of death, .*: fence agent agent (pdu-b), attempt 1 failed: code 1: no answer from b3'"
says 1 "its death is to be proven by level 2" || fail "no event of the level"
says 1 "node node3: no level could prove its death" || fail "no event of the end"
if says 1 "is proven dead"; then fail "one power supply of two is taken for a proof"; fi
expect_equal "what the one that works was told" "action=off " "$(actions a3)"
grep -qxF "password=hush" heard/ipmi3 || fail "no password: $(cat heard/ipmi3)"
grep -qxF "0 words" heard/ipmi3 || fail "it is on the command line: $(cat heard/ipmi3)"

# --- a person has the second mended, and does not wait: both off is a proof; then both on -------------------
rm broken.b3
ask 1 fence --yes --level=2 node3 >out || fail "fence: $(cat out)"
expect_equal "what it says" "node3 is fenced, by level 2" "$(cat out)"
await "node1 does not know" says 1 \
  "is proven dead by the fence agent agent (pdu-a) and the fence agent agent (pdu-b)"
on_again() { [ "$(actions a3)$(actions b3)" = "action=off action=off action=on action=off action=off action=on " ]; }
await "both are not switched on again: $(actions a3)$(actions b3)" on_again

# --- one that is alive: it is switched off first, and recovered as soon as it is missing ---------------------
start 3
ring_of 1 2 3
await "node3: no array" is_active 3
rm -f broken.* heard/*
echo "${pid_of[3]} $(engine_of 3)" >kills.ipmi3
expect_fail 1 ask 1 fence node3
expect_fail 2 ask 1 fence --yes node1
expect_equal "nobody was switched off" "" "$(ls heard)"
ask 1 fence --yes --quiet 3 || fail "fence of one that runs"
expect_equal "what was done" "action=reboot " "$(actions ipmi3)"
finished 3
await "it is not known dead" says 1 "is proven dead by the fence agent agent (ipmi)"
ring_of 1 2

# --- who has no level is told what would settle it -------------------------------------------------------------
expect_fail 1 ask 1 fence --yes --level=2 node2
expect_fail 2 ask 1 fence
expect_fail 2 ask 1 fence --list --test
code=0
ask 1 fence --dry-run node1 >out || code=$?
expect_equal "nothing would be done" 1 "$code"
grep -q "no level of fencing is for node1: only a person" out || fail "$(cat out)"

# --- the package's dummy, where it is ----------------------------------------------------------------------------
if [ -x /usr/sbin/fence_dummy ]; then
  configure 3 "fence { device dummy { agent = fence_dummy
    options = { \"status_file=$PWD/heard/dummy\" } } level 1 { devices = { dummy } } }
$array"
  "$daemon" --check-config --config=c.1 >out 2>&1 || fail "fence_dummy: $(cat out)"
  printf on >heard/dummy
  chmod 666 heard/dummy
  kill -HUP "${pid_of[2]}"
  await "no reload" says 2 "the configuration was read again"
  ask 2 fence --test node3 >out || fail "fence_dummy: $(cat out)"
  expect_equal "its status" "fine    node3  dummy: it is on" "$(cat out)"
fi
