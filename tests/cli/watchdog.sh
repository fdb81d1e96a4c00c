#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What systemd hears, and an engine that hangs: it is killed by its supervisor, which systemd
# hears of all the while, told dead, and followed by another one; one that was only slow goes on.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
need python3
"$daemon" --version | grep -q '+systemd' || skip "a build without libsystemd"

# a socket as systemd's, and each word that comes there a line of `heard`
cat >listen.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = os.open("heard", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while True:
    os.write(out, s.recv(4096) + b"\n")
END
python3 listen.py "$PWD/notify" &
listener=$!
trap 'kill "$listener" 2>/dev/null || :; end_all; cleanup' EXIT
await "nobody listens" [ -S notify ]
heard() { grep -c "^$1" heard 2>/dev/null || :; }
heard_more() { [ "$(heard "$1")" -gt "$2" ]; } # WORD THAN

configure 2
export NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=5000000
start 1
unset NOTIFY_SOCKET WATCHDOG_USEC
start 2
ring_of 1 2
await "systemd does not hear that it is ready" heard_more READY=1 0
await "systemd does not hear that it is alive" heard_more WATCHDOG=1 2
await "systemd does not hear how it is" eval "grep -q '^STATUS=2 of 2 nodes, quorate' heard"

# --- it hangs ------------------------------------------------------------------------------------
engine=$(engine_of 1)
alive=$(heard WATCHDOG=1)
kill -STOP "$engine"
await "an engine that hangs is not killed" says 1 MDC5701
heard_more WATCHDOG=1 "$((alive + 5))" || fail "systemd would have ended the supervisor meanwhile, too"
await "its death is not told" says 2 "is proven dead by its supervisor's obituary"
ring_of 1 2
[ "$(engine_of 1)" != "$engine" ] || fail "it is the same engine"

# --- it was slow: a token is lost, no engine ---------------------------------------------------------
engine=$(engine_of 1)
kill -STOP "$engine"
sleep 2
kill -CONT "$engine"
alive=$(heard WATCHDOG=1)
await "systemd does not hear any more that it is alive" heard_more WATCHDOG=1 "$((alive + 12))"
expect_equal "the engine" "$engine" "$(engine_of 1)"

kill -TERM "${pid_of[1]}"
finished 1
expect_equal "exit status" 0 "$code"
await "systemd does not hear that it stops" heard_more STOPPING=1 0
