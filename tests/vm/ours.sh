# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# mdclusterd in the lab's machines, on its own ring and locks, for stories of those who use
# an array there; after functions.sh.
#
#	ours_boot              machines 1 and 2, with tools, and daemons; a new array on two disks
#	ours_start N...        a daemon there
#	ours_ask N COMMAND...  mdcluster there, or the test fails
#	ours_tells N JQ        ... of its status
#	ours_active N...       until the array is active there, and its gate open
#	ours_idle N...         until nothing resyncs, is recovered, or waits there either
#	ours_kill_engine N     SIGKILL to the engine, while its supervisor lives
#	ours_stop N...         a daemon ends in order
#	ours_dies N            SIGKILL to the machine; the other one is told
#
# Nobody fences: who is killed here is dead, and confirm-dead says so.

array=${array:-web}
array_options=${array_options:-}
patience_s=${patience_s:-300}

ours_config() { # N
  cat <<END
this_node = n$1
cluster { name = $home_cluster }
node n1 { id = 1  address = 10.77.0.1 }
node n2 { id = 2  address = 10.77.0.2 }
totem { token_ms = ${token_ms:-2000} }
quorum { two_node = yes }
log { level = info }
array $array {
  disks = { /dev/vda, /dev/vdb }
  $array_options
}
END
}

ours_boot() {
  lab boot 2 --tools >boot.log 2>&1 || fail "the machines do not boot: $(tail -n 3 boot.log)"
  ours_ask 1 create "$array" /dev/vda /dev/vdb --quiet --level=mirror --raid-devices=2 --nodes=4 \
    --home-cluster="$home_cluster" --homehost=none --bitmap-chunk=64K --assume-clean
  ours_start 1 2
  ours_active 1 2
}
ours_start() { # N...
  local n
  [ -e key ] || mdcluster keygen --quiet key
  for n; do
    ours_config "$n" >conf
    on "$n" 'mkdir -p /etc/mdcluster /run/mdcluster /var/lib/mdcluster'
    lab_put "$n" conf /etc/mdcluster/mdclusterd.conf
    lab_put "$n" key /etc/mdcluster/key
    on "$n" 'chmod 600 /etc/mdcluster/key; grep -q "^mdcluster:" /etc/group || echo mdcluster:x:900: >>/etc/group
      setsid mdclusterd </dev/null >>/tmp/mdclusterd.log 2>&1 & echo $! >/tmp/mdclusterd.pid'
  done
}
lab_put() { "$vm_here/lab" put "$@" || fail "machine $1 does not take $2"; }
ours_ask() {
  local n=$1
  shift
  on "$n" "mdcluster $*"
}
ours_tells() { try_on "$1" 'mdcluster status --json' 2>/dev/null | jq -r "$2" 2>/dev/null; }
ours_active() {
  local n
  for n; do until_on "$n" "the array does not become active" "mdcluster status --wait=active $array >/dev/null 2>&1"; done
}
ours_idle() {
  local n
  for n; do until_on "$n" "the array does not become idle" "mdcluster status --wait=idle $array >/dev/null 2>&1"; done
}
# The supervisor's child.
ours_engine='awk -v s="$(cat /tmp/mdclusterd.pid)" '"'"'$4 == s { print $1 }'"'"' /proc/[0-9]*/stat 2>/dev/null'
ours_kill_engine() { on "$1" "kill -KILL \$($ours_engine)"; }
ours_stop() {
  local n
  for n; do on "$n" 'p=$(cat /tmp/mdclusterd.pid); kill $p; while [ -d /proc/$p ]; do sleep 0.1; done'; done
}
ours_dies() { # N
  lab kill "$1"
  until_on $((3 - $1)) "it is not believed that the other is dead" "mdcluster confirm-dead --yes n$1"
}
