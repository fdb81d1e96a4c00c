#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Real processes on loopback, sealed: a ring forms, agrees on one order, and
# outlives kills, stops, restarts within a token, leaves and strangers.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/ring-functions.sh"

base=$((10000 + $$ % 20000))
address_of() { echo "127.0.0.1:$((base + $1))"; }

start_all 3
ring_of "they started" 1 2 3

# one order for all, self included
all_talk line 1 2 3

# killed: the survivors go on, with what it left on the board; and it comes back
put_up() { say 3 "/set note by n3"; heard 3 "-- set: is done"; }
await "n3 cannot use the board" put_up
end_node 3 KILL
ring_of "n3 is dead" 1 2
all_talk "after the death" 1 2
start 3 3
ring_of "n3 is risen" 1 2 3
read_note() { say 3 "/get note"; heard 3 "-- note note = by n3"; }
await "n3 has lost what it put up before" read_note

# the lowest is killed and restarted in well under a token: a fresh ring id
rings=$(rings_of 2)
new_ring() { [ "$(rings_of 2)" -gt "$rings" ] && ring_is 2 1 2 3; }
end_node 1 KILL
start 1 3
await "n2: no new ring after the restart of n1" new_ring
say 1 "back at once"
await "n3 hears the restarted n1" heard 3 "1: back at once"

# stopped for longer than the token, then continued: it rejoins clean
kill -STOP "${pid_of[2]}"
ring_of "n2 is stopped" 1 3
all_talk "while 2 slept" 1 3
kill -CONT "${pid_of[2]}"
ring_of "n2 is awake" 1 2 3
! grep -q "while 2 slept" out.2 || fail "n2 heard what was said on a ring that it was not on"
all_talk "good morning" 1 2 3

# a graceful leave
end_node 3 TERM
ring_of "n3 left" 1 2

# another cluster's key, and another cluster's name: refused, the ring unmoved
mdcluster keygen --quiet wrong
stranger() { # OPTION...
  # shellcheck disable=SC2046
  launch /dev/null stranger stranger "$cat" --self=3 $(members 3) "$@"
}
complaints() { [ "$(grep -c MDC4103 err.1)" -ge "$1" ]; }
rings=$(rings_of 1)
stranger --key=wrong --state=wrong.boot
await "n1 does not name the wrong key" complaints 1
finish KILL "$launched"
stranger --key=key --cluster=other --state=other.boot
await "n1 does not name the other cluster" complaints 2
finish KILL "$launched"
all_talk "still here" 1 2
expect_equal "rings that n1 installed meanwhile" "$rings" "$(rings_of 1)"
forget

# sixteen on one machine
start_all 16
# shellcheck disable=SC2046
ring_of "sixteen started" $(seq 16)
say 16 "hello, all fifteen"
for ((i = 1; i <= 16; i++)); do await "n$i hears n16" heard "$i" "16: hello, all fifteen"; done
