#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ring over a network: three nodes, each in a network namespace of its own, on
# one bridge, which stands in ours. Cables are pulled and put back, or carry one
# way only; nodes are killed and restarted; a path is narrow. Over IPv4 and IPv6,
# and with what is for many by multicast. All of it, names of namespaces included,
# goes with the last of our processes.
. "$(dirname "$0")/functions.sh"
need_root
need ip bridge unshare
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
. "$(dirname "$0")/ring-functions.sh"

declare -A addresses=()
address_of() { echo "${addresses[$1]}:5405"; }
place_of() { place=(ip netns exec "node$1"); }
in_node() { ip netns exec "node$1" "${@:2}"; }

network() {
  local i
  mkdir -p /run/netns
  mount -t tmpfs tmpfs /run/netns
  ip link add bridge type bridge
  ip link set bridge up
  for i in 1 2 3; do
    ip netns add "node$i"
    # the first card leads nowhere: left to itself, the kernel takes it for multicast
    ip -n "node$i" link add other type veth peer name end
    ip -n "node$i" link set other up
    ip -n "node$i" link set end up
    ip link add "port$i" type veth peer name eth0 netns "node$i"
    ip link set "port$i" master bridge up
    ip -n "node$i" link set lo up
    ip -n "node$i" link set eth0 up
    ip -n "node$i" address add "10.78.0.$i/24" dev eth0
    ip -n "node$i" address add "fd00:78::$i/64" dev eth0 nodad
  done
}

# The cable of node I, at the bridge: cut, ...
unplug() { ip link set "port$1" down; }
# ... or nothing reaches I, or nothing comes from I, if this bridge can do that, ...
port_has() { bridge -d link show dev "port$1" | grep -qw "$2"; }
forget_where() { ip link set "port$1" type bridge_slave fdb_flush; }
deafen() {
  bridge link set dev "port$1" learning off flood off mcast_flood off bcast_flood off 2>/dev/null &&
    port_has "$1" "bcast_flood off" && forget_where "$1"
}
silence() {
  bridge link set dev "port$1" learning off locked on 2>/dev/null &&
    port_has "$1" "locked on" && forget_where "$1"
}
# ... and as it was.
heal() {
  ip link set "port$1" up
  bridge link set dev "port$1" learning on flood on mcast_flood on bcast_flood on 2>/dev/null || :
  bridge link set dev "port$1" locked off 2>/dev/null || :
}

# cut_and_heal HOW: node 3, as long as it takes all to see it
cut_and_heal() {
  if ! "$1" 3; then
    echo "this bridge cannot $1"
  else
    ring_of "$1" 1 2
    ring_of "$1" 3
    all_talk "$1 for two" 1 2
    all_talk "$1 for one" 3
  fi
  heal 3
  ring_of "healed after $1" 1 2 3
  all_talk "healed after $1" 1 2 3
  ! grep -q "$1 for two" out.3 || fail "n3 heard what was said on a ring that it was not on"
}

short_story() { # [OPTION...]
  start_all 3 "$@"
  ring_of "they started" 1 2 3
  all_talk "first words" 1 2 3
  cut_and_heal unplug
  end_node 2 KILL
  ring_of "n2 is dead" 1 3
  start 2 3 "$@"
  ring_of "n2 is risen" 1 2 3
  all_talk "last words" 1 2 3
}

new_ring() { [ "$(rings_of 2)" -gt "$rings" ] && ring_is 2 1 2 3; }
one_way_and_restart() {
  cut_and_heal deafen
  cut_and_heal silence
  rings=$(rings_of 2)
  end_node 1 KILL
  start 1 3
  await "n2: no new ring after the restart of n1" new_ring
  ring_of "n1 was restarted in under a token" 1 2 3
  all_talk "after the restart" 1 2 3
}

# Bytes that the node's IP sent by multicast, whatever they were.
multicast_bytes_of() { # I
  # shellcheck disable=SC2016
  in_node "$1" awk '
    $1 == "IpExt:" && !column { for (i = 2; i <= NF; i++) if ($i == "OutMcastOctets") column = i; next }
    $1 == "IpExt:" { sum += $column }
    $1 == "Ip6OutMcastOctets" { sum += $2 }
    END { print sum }' /proc/net/netstat /proc/net/snmp6
}

by_multicast() { # GROUP
  local before long
  long=$(printf '%0300d' 0)
  short_story --multicast="$1"
  before=$(multicast_bytes_of 2)
  all_talk "$long" 1 2 3
  [ "$(multicast_bytes_of 2)" -ge $((before + 5 * 300)) ] || fail "n2 said five lines, and not by multicast"
}

# The path to node 3 leads through a router (we) and a link of MTU 800.
narrow_path() {
  local i
  ip link add far mtu 800 type veth peer name far mtu 800 netns node3
  ip link set far up
  ip -n node3 link set far up
  ip address add 10.79.0.1/24 dev far
  ip -n node3 address add 10.79.0.3/24 dev far
  ip address add 10.78.0.254/24 dev bridge
  unplug 3
  ip -n node3 address delete 10.78.0.3/24 dev eth0
  ip -n node3 route add default via 10.79.0.1
  for i in 1 2; do ip -n "node$i" route add default via 10.78.0.254; done
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

# Of a namespace's IP: datagrams that it cut, and pieces that it got.
pieces() {
  awk '$1 == "Ip:" && !n++ { for (i = 2; i <= NF; i++) name[i] = $i; next }
    $1 == "Ip:" { for (i = 2; i <= NF; i++) if (name[i] ~ /^(FragCreates|ReasmReqds)$/) sum += $i }
    END { print sum }' /proc/net/snmp
}

through_a_narrow_path() {
  local i long
  long=$(printf '%01000d' 0)
  start_all 3
  ring_of "they started" 1 2 3
  all_talk "$long" 1 2 3
  for i in 1 3; do
    grep -q 'carries packets of 800 bytes' "err.$i" || fail "n$i does not tell of the narrow path: $(cat "err.$i")"
  done
  export -f pieces
  for i in 1 2 3; do expect_equal "IP fragments at n$i" 0 "$(in_node "$i" bash -c pieces)"; done
  expect_equal "IP fragments at the router" 0 "$(pieces)"
}

# A switch that drops what is too large for it, and tells nobody.
tells_of_the_hole() { grep -q MDC4113 err.3; }
through_a_narrow_switch() {
  start_all 3
  ring_of "they started" 1 2 3
  ip link set port3 mtu 800
  say 1 "$(printf '%01000d' 0)"
  await "n3 does not tell that it gets no large packets" tells_of_the_hole
  ip link set port3 mtu 1500
  ring_of "the switch is wide again" 1 2 3
  all_talk "$(printf '%01000d' 1)" 1 2 3
}

network
for i in 1 2 3; do addresses[$i]="10.78.0.$i"; done
short_story
one_way_and_restart
forget
through_a_narrow_switch
forget
by_multicast 239.192.78.1:5406
forget
for i in 1 2 3; do addresses[$i]="[fd00:78::$i]"; done
short_story
forget
by_multicast '[ff15::78]:5406'
forget

narrow_path
addresses=([1]=10.78.0.1 [2]=10.78.0.2 [3]=10.79.0.3)
through_a_narrow_path
