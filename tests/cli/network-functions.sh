# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Hosts, as far as the network goes: network namespaces n1..nN, each with eth0 on a bridge that
# stands in ours. After functions.sh and own_network --mount: names of namespaces go with the
# last of our processes.
#
#	node_network N           for all that follows; nI has $address_prefix.I
#	on_node I COMMAND...     there; what is to be signalled begins with `ip netns exec nI`
#	unplug I, plug I         its cable

address_prefix=${address_prefix:-10.80.0}

node_network() {
  local i
  mkdir -p /run/netns
  mount -t tmpfs tmpfs /run/netns
  ip link add bridge type bridge
  ip link set bridge up
  for ((i = 1; i <= $1; i++)); do
    ip netns add "n$i"
    ip link add "port$i" type veth peer name eth0 netns "n$i"
    ip link set "port$i" master bridge up
    ip -n "n$i" link set lo up
    ip -n "n$i" link set eth0 up
    ip -n "n$i" address add "$address_prefix.$i/24" dev eth0
  done
}

on_node() { ip netns exec "n$1" "${@:2}"; }
unplug() { ip link set "port$1" down; }
plug() { ip link set "port$1" up; }
