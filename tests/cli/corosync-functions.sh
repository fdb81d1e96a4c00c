# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A real corosync on each of some nodes, which are namespaces of network-functions.sh. What can be
# set before: corosync_token, in ms. Whoever uses it ends them all: corosync_end_all.
#
#	corosync_conf N [NAME]   writes corosync.conf, of a cluster of that name
#	corosync_start I         and corosync_end I SIGNAL
#	corosync_hang I          and corosync_go_on I
#
# Each has a /run and /var/lib/corosync of its own, for they lock each other out; what
# talks to it does so by sockets that belong to the network namespace.

# shellcheck source=tests/cli/network-functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/network-functions.sh"
corosync_token=${corosync_token:-1000}
declare -A corosync_of=() # node -> pid: only these are ever ended

corosync_conf() {
  local i
  [ -e corosync.key ] || (umask 077 && head -c 256 /dev/urandom >corosync.key)
  {
    echo "totem {
  version: 2
  cluster_name: ${2:-cat}
  transport: knet
  token: $corosync_token
  token_coefficient: 0
  keyfile: $PWD/corosync.key
  crypto_cipher: aes256
  crypto_hash: sha256
}
system {
  sched_rr: no
  move_to_root_cgroup: no
  allow_knet_handle_fallback: yes
}
quorum {
  provider: corosync_votequorum
  expected_votes: $1
}
logging {
  to_stderr: yes
  to_syslog: no
}
nodelist {"
    for ((i = 1; i <= $1; i++)); do
      echo "  node {
    ring0_addr: $address_prefix.$i
    name: n$i
    nodeid: $i
  }"
    done
    echo "}"
  } >corosync.conf
}

corosync_start() {
  # shellcheck disable=SC2016
  ip netns exec "n$1" unshare -m sh -c \
    'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/corosync &&
     cd /var/lib/corosync && exec corosync -f -c "$1"' sh "$PWD/corosync.conf" \
    >>"corosync.$1" 2>&1 </dev/null &
  corosync_of[$1]=$!
}

corosync_end() { # I SIGNAL
  [ -n "${corosync_of[$1]:-}" ] || return 0
  kill "-$2" "${corosync_of[$1]}" 2>/dev/null || :
  wait "${corosync_of[$1]}" 2>/dev/null || :
  unset "corosync_of[$1]"
}

corosync_hang() { kill -STOP "${corosync_of[$1]}"; }
corosync_go_on() { kill -CONT "${corosync_of[$1]}"; }

corosync_end_all() {
  local i
  for i in "${!corosync_of[@]}"; do corosync_end "$i" KILL; done
}

# Which answers, once it runs.
corosync_answers() { on_node "$1" corosync-cmapctl -g totem.cluster_name >/dev/null 2>&1; }
# corosync_is_whole I N: it sees N nodes, and they have a quorum
corosync_is_whole() {
  on_node "$1" corosync-quorumtool -s 2>/dev/null |
    awk -v n="$2" '/^Nodes:/ { nodes = $2 } /^Quorate:/ { quorate = $2 }
      END { exit !(nodes == n && quorate == "Yes") }'
}
