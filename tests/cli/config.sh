#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each option of mdclusterd.conf(5), on a daemon that runs: what it says happens; what can be
# reloaded is, what cannot is named. (What is wrong with a file: test_daemon_config, daemon.sh.)
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"
need stat

# all of them are looked at here, or where it is said
page=$srcdir/man/mdclusterd.conf.5
elsewhere="name id address port votes token_ms sync_deadline_ms multicast multicast_ttl" # daemon.sh, ring-network.sh
elsewhere+=" methods command timeout_ms retries delay_ms" # daemon.sh, test_daemon_proof
elsewhere+=" expected_votes two_node wait_for_all auto_tie_breaker auto_tie_breaker_node last_man_standing \
  last_man_standing_window allow_downscale tie_breaker tie_breaker_votes tie_breaker_io_timeout" # daemon-quorum.sh, quorum-stories.sh
elsewhere+=" type agent action user abort options devices nodes" # fence.sh, test_daemon_config
elsewhere+=" engine locks" # test_daemon_config, corosync.sh, tests/vm/dlm-arrays.sh
elsewhere+=" incremental degraded_after_ms auto_re_add" # incremental.sh, array-processes.sh
elsewhere+=" device timeout_s drain_ms software" # watchdog: test_daemon_config, test_fence_watchdog, fence-watchdog.sh
here="this_node run_dir state_dir key_file lock_memory crypto mtu lease_ms disks uuid scan auto \
  start_degraded no_quorum resync_min resync_max intent_budget max_read_errors export export_mode export_group \
  target level group"
sed -n '/^.SH "OPTIONS OUTSIDE/,/^.SH EXAMPLE/p' "$page" | sed -nE 's/^\.BI ([a-z_]+)=.*/\1/p' | sort -u >documented
tr -s ' ' '\n' <<<"$elsewhere $here" | sort -u >looked_at
comm -3 documented looked_at >differ
[ "$(grep -c . differ)" -eq 0 ] || fail "options that no test looks at, or that there are not: $(xargs <differ)"

of_web() { status_of 1 | jq -c ".arrays[] | select(.name == \"$1\") | $2"; }
is() { [ "$(of_web "$1" "$2")" = "$3" ]; } # ARRAY JQ WANTED
active() { await "$1 is not active: $(of_web "$1" .)" is "$1" '[.state, .is_gate_open]' '["active",true]'; }
end() {
  kill -TERM "${pid_of[1]}"
  finished 1
  expect_equal "exit status" 0 "$code"
  rm -f log.1
}

for name in a b c d; do make_disk $name.img 64M; done
for name in one two; do
  disks=(a.img b.img)
  [ $name = one ] || disks=(c.img d.img)
  mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
    --bitmap-chunk=64K --nodes=2 --assume-clean $name "${disks[@]}"
done
uuid=$(mdcluster examine --json c.img | jq -r .uuid)
group=$(getent group 1 | cut -d: -f1)

# --- what stands in the file is what happens -------------------------------------------------
configure 1 "lock_memory = yes
totem { mtu = 1400 }
quorum { lease_ms = 900 }
log { target = stderr level = debug }
control { group = $group }
array one { disks = { \"$PWD/a.img\", \"$PWD/b.img\" }
  resync_min = 10M resync_max = 20M intent_budget = 8M export_mode = 0660 export_group = $group
  max_read_errors = 7 }
array two { uuid = $uuid scan = { \"$PWD/*.img\" } auto = no export = no }"
sed -i 's/^totem { port = \([0-9]*\) token_ms = 1000 }$//; s/^totem { mtu = 1400 }/totem { mtu = 1400 port = '"$port"' token_ms = 1000 }/' c.1
"$daemon" --check-config --config=c.1 >checked 2>&1 || fail "--check-config: $(cat checked)"
expect_equal "--check-config" "c.1: node node1 of cluster alpha, 1 nodes, 2 arrays" "$(cat checked)"
start 1
active one
expect_equal "limits" '[10485760,20971520,8388608]' \
  "$(of_web one '[.resync_min_bytes, .resync_max_bytes, .intent_budget_bytes]')"
expect_equal "max_read_errors" 7 "$(of_web one .max_read_errors)"
expect_equal "auto = no" '["down",true]' "$(of_web two '[.state, .is_stopped]')"
[ -f state.1/boot ] && [ -f state.1/one.slot ] || fail "state_dir: $(ls state.1)"
grep -q "^mdclusterd: debug" log.1 || fail "log level: $(head -n 3 log.1)"
expect_equal "mtu" true "$(mdcluster ring --json --run-dir=run.1 | jq '.counters["udp.payload_bytes"] < 1400')"
if [ "$(id -u)" -eq 0 ]; then
  expect_equal "export_mode, export_group" "660 $group" "$(stat -c '%a %G' run.1/one.nbd)"
  expect_equal "control.group" "660 $group" "$(stat -c '%a %G' run.1/control.sock)"
  locked=$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(engine_of 1)/status")
  # the sanitizers do not let anybody
  grep -q fsanitize "$builddir/Makefile" || says 1 "the memory cannot be locked" || [ "$locked" -gt 1000 ] || fail "lock_memory: $locked kB are"
fi
mdcluster assemble two --run-dir=run.1 || fail "assemble of the one that is found by its uuid"
active two
expect_equal "export = no" "" "$(ls run.1/two.nbd 2>/dev/null)"
expect_equal "export = no" '""' "$(of_web two .export_path)"

# --- a reload: what can change does, and is seen; what cannot is named ---------------------------
sed -i 's/resync_max = 20M/resync_max = 30M/; s/intent_budget = 8M/intent_budget = 16M/; s/level = debug/level = notice/
  s/mtu = 1400/mtu = 1500/; s/export_mode = 0660/export_mode = 0600/; s/lease_ms = 900/lease_ms = 950/
  s/lock_memory = yes/lock_memory = no/; s/auto = no/auto = yes/; s/target = stderr/target = syslog/' c.1
mdcluster reload --run-dir=run.1 >reloaded || fail "reload: $(cat reloaded)"
expect_equal "what has changed" "array one: intent_budget
array one: resync_max
array two: auto
log.level" "$(sed -n 's/^changed: //p' reloaded | sort)"
expect_equal "what takes a new start" "array one: export_mode, or when it is stopped and assembled
lock_memory
log.target
quorum.lease_ms
totem.mtu" "$(sed -n 's/^only with a new start of mdclusterd: //p' reloaded | sort)"
expect_equal "limits" '[10485760,31457280,16777216]' \
  "$(of_web one '[.resync_min_bytes, .resync_max_bytes, .intent_budget_bytes]')"
mdcluster set one resync-max=40M --run-dir=run.1
expect_equal "set" 41943040 "$(of_web one .resync_max_bytes)"
# what was set is as it stands in the file again; what takes a new start is named again
mdcluster reload --run-dir=run.1 >again
expect_equal "reload of the same" "changed: array one: resync_max" "$(grep ^changed again)"
expect_equal "reload of the same" "$(grep ^only reloaded | sort)" "$(grep ^only again | sort)"
expect_equal "limits" 31457280 "$(of_web one .resync_max_bytes)"
mdcluster stop one --run-dir=run.1 && mdcluster assemble one --run-dir=run.1 || fail "stop and assemble"
[ "$(id -u)" -ne 0 ] || expect_equal "export_mode, of the new file" 600 "$(stat -c %a run.1/one.nbd)"
# an array that comes with a reload
{ grep -v '^array two' c.1; } >c.new
cp c.1 c.with-two
cp c.new c.1
mdcluster reload --run-dir=run.1 >reloaded
grep -qx "only with a new start of mdclusterd: array two: goes on until it is stopped" reloaded ||
  fail "an array that is taken out: $(cat reloaded)"
mdcluster stop two --run-dir=run.1
expect_equal "taken out, and stopped" "one" "$(status_of 1 | jq -r '[.arrays[].name] | join(" ")')"
cp c.with-two c.1
mdcluster reload --run-dir=run.1 >reloaded
grep -qx "changed: array two" reloaded || fail "an array more: $(cat reloaded)"
# mistakes: all stays as it is, and the answer says where to look
echo "nonsense = 1" >>c.1
expect_fail 1 mdcluster reload --run-dir=run.1
[[ $error == *"has mistakes"*"--check-config"* ]] || fail "a reload of mistakes: $error"
says 1 "nonsense: is no option here" || fail "the log does not tell the mistake"
end

# --- start_degraded, no_quorum, crypto ------------------------------------------------------------
configure 1 "array one { disks = { \"$PWD/a.img\" } }"
start 1
await "it does not say what is missing" is one '.waits | test("missing|degraded|not there")' true
end
configure 1 "array one { disks = { \"$PWD/a.img\" } start_degraded = yes }"
start 1
active one
expect_equal "start_degraded" '[2,1]' "$(of_web one '[.raid_disks, .disks_in_sync]')"
end
configure 2 "array two { disks = { \"$PWD/c.img\", \"$PWD/d.img\" } no_quorum = fail }"
sed -i 's/cluster { name = alpha key_file = .* }/cluster { name = alpha crypto = none }/' c.1 c.2
chmod 644 key # nobody reads it
start 1
start 2
ring_of 1 2
active two
kill -KILL "${pid_of[2]}" "$(engine_of 2)"
finished 2
await "the gate stays open" is two .is_gate_open false
if command -v qemu-io >/dev/null; then
  timeout 60 qemu-io -f raw -c "write -P 7 1M 4k" "nbd+unix:///two?socket=$PWD/run.1/two.nbd" >io.out 2>&1 || :
  grep -q "write failed" io.out || fail "no_quorum = fail: a write without a quorum: $(cat io.out)"
fi
kill -TERM "${pid_of[1]}"
finished 1
