#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# events and monitor: lines, JSON, programs with mdadm's words, each event by one node only;
# a daemon that goes and comes back.
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"

# event NUMBER KIND ARRAY TEXT [MORE]: as the daemon tells it
event()
{
	echo "{\"number\": $1, \"time_us\": $((1763720000 + $1))000000, \"kind\": \"$2\", \"array\": \"$3\",
		\"from\": 1, \"is_ours\": true, \"priority\": 5, \"text\": \"$4\"${5:+, $5}}"
}
events=(
	"$(event 1 node_dead "" "node node3 is proven dead" '"node": 3')"
	"$(event 2 resync-started web "resync of 12.00 MiB" '"bytes": 12582912, "slot": 2')"
	"$(event 3 disk_failed web "disk 1, /dev/sdb: Input/output error" '"role": 1, "disk": "/dev/sdb"')"
	"$(event 4 degraded web "told elsewhere" '"role": 1, "is_ours": false' | jq -c .)"
	"$(event 5 resync_finished logs "is in sync")"
)
start_daemon degraded

# --- what was ---------------------------------------------------------------------------
answer Events "{\"reply\": {\"events\": [$(IFS=,; echo "${events[*]}")]}}"
ends_with 0 mdcluster events
expect_equal "lines" "2025-11-21 10:13:21  node-dead         node node3 is proven dead
2025-11-21 10:13:22  resync-started    web: resync of 12.00 MiB
2025-11-21 10:13:23  disk-failed       web: disk 1, /dev/sdb: Input/output error
2025-11-21 10:13:24  degraded          web: told elsewhere
2025-11-21 10:13:25  resync-finished   logs: is in sync" "$out"
ends_with 0 mdcluster events --json
expect_equal "one object a line" "5" "$(wc -l <<<"$out")"
expect_equal "as the daemon told them" "1 2 3 4 5" "$(jq -r .number <<<"$out" | xargs)"
ends_with 0 mdcluster events --array=/dev/md/logs
expect_equal "of one array" "2025-11-21 10:13:25  resync-finished   logs: is in sync" "$out"
expect_fail 2 mdcluster events --exec true
expect_fail 2 mdcluster events web

# --- what happens --------------------------------------------------------------------------
items=()
for e in "${events[@]}"; do items+=("{\"continue\": {\"event\": $e}}"); done
answer Events "${items[@]}" '{"continue": {"lost": 3}}' '{"hold": true}'

# follow LINES COMMAND: until its output, in `followed`, has so many lines
follow()
{
	local lines=$1 following
	shift
	: >followed
	"$@" >followed 2>followed.err &
	following=$!
	eventually has_lines "$lines" followed
	kill -0 $following || fail "'$*' has ended: $(cat followed.err)"
	kill $following
	wait $following || :
}
follow 5 mdcluster events --follow
expect_equal "lines" "node-dead resync-started disk-failed degraded resync-finished" \
	"$(sed -E 's/^[^ ]+ [^ ]+  ([a-z-]+) .*/\1/' followed | xargs)"
follow 6 mdcluster events --follow --json
expect_equal "what was lost is told" '{"lost":3}' "$(tail -n 1 followed)"

cat >program <<'EOF'
#!/bin/sh
echo "$# $1 $2 $3 | $MDCLUSTER_EVENT $MDCLUSTER_ARRAY node=$MDCLUSTER_NODE slot=$MDCLUSTER_SLOT $MDCLUSTER_BYTES $MDCLUSTER_NUMBER"
exit 7
EOF
chmod +x program
for command in "mdcluster monitor --program=./program" "mdcluster --monitor --scan --program ./program" \
	"mdcluster -F --alert=./program"; do
	follow 4 $command
	expect_equal "$command" "2 node-dead - | node_dead node=3 slot= 0 1
2 RebuildStarted web | resync-started web node=0 slot=2 12582912 2
3 Fail web /dev/sdb | disk_failed web node=0 slot= 0 3
2 RebuildFinished logs | resync_finished logs node=0 slot= 0 5" "$(sed 's/ *|/ |/; s/  / /g' followed)"
done
# a disk that failed has no role any more, as md has it
status_is degraded '.arrays[0].disks += [.arrays[0].disks[1] | .role = 2] |
	.arrays[0].disks[1] |= (.state = "missing" | .path = "")'
follow 2 mdcluster --monitor --program=./program web
grep -q '^3 Fail web /dev/sdb' followed || fail "the disk that failed: $(cat followed)"
grep -q logs followed && fail "events of another array"
follow 4 mdcluster monitor
grep -q "told elsewhere" followed && fail "monitor tells what another node does"
follow 9 mdcluster events --follow --exec=./program
expect_equal "lines and calls" 9 "$(wc -l <followed)"
printf '#!/no/such/interpreter\n' >bad-program
chmod +x bad-program
follow 5 mdcluster events --follow --exec=./bad-program
grep -q 'warning: events: ./bad-program cannot be run: .*\[MDC3010\]' followed.err ||
	fail "a program that is not there: $(cat followed.err)"
grep -q '3 events were lost.*\[MDC3011\]' followed.err || fail "lost: $(cat followed.err)"

# a slip is told at once, and not when something has happened
expect_fail 1 mdcluster monitor --program=./no-such-program
expect_equal "a program that is not there" "mdcluster: ./no-such-program: No such file or directory" "$error"
expect_fail 1 mdcluster events --follow --exec=no-such-program
: >no-program
expect_fail 1 mdcluster monitor --alert=./no-program
mdcluster monitor wbe >followed 2>followed.err &
following=$!
eventually grep -q "there is no array 'wbe' on this node; there are: web.*\[MDC5522\]" followed.err
kill $following
wait $following || :

# --- the daemon comes and goes ----------------------------------------------------------------
answer Events "${items[0]}" '{"hold": true}'
calls >/dev/null
: >followed
mdcluster events --follow >followed 2>followed.err &
following=$!
eventually [ -s followed ]
stop_daemon
eventually grep -q '; waiting for it \[MDC3012\]' followed.err
kill -0 $following || fail "it does not wait for the daemon"
start_daemon healthy
eventually has_lines 2 followed
kill $following
wait $following || :
expect_equal "what it had told it asks for once" 'true false' \
	"$(calls | sed -nE 's/.*"history":([a-z]*).*/\1/p' | xargs)"
stop_daemon
expect_fail 1 mdcluster events --follow
expect_fail 1 mdcluster events
