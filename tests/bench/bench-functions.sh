# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What benchmarks between network namespaces share: the namespaces, one a node on one
# bridge at MTU 1500, node N at 10.77.0.N; processes in them; samples and their
# medians. Sourced, with `me` set to the benchmark's name and `nodes` to how many.

: "${me:?}" "${nodes:?}"
[ "$(id -u)" = 0 ] || { echo "$me: needs root" >&2; exit 77; }
command -v ip >/dev/null || { echo "$me: needs ip" >&2; exit 77; }

# Mounts of our own: what is left in /dev/shm, and the names of the namespaces, go
# with the last of our processes, however that ends.
if [ -z "${BENCH_MOUNTS:-}" ]; then
  BENCH_MOUNTS=1 exec unshare -m bash "$0" "$@"
fi
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs /dev/shm

name=mdcb$$
folder=$(mktemp -d)
declare -A running=()   # pid -> what it is; only these are ever killed

# finish SIGNAL PID...
finish() {
  local signal=$1 pid
  shift
  for pid; do
    [ -n "${running[$pid]:-}" ] || continue
    kill "-$signal" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    unset "running[$pid]"
  done
}

cleanup() {
  local n
  trap '' INT TERM
  finish KILL "${!running[@]}"
  for n in $(seq "$nodes") bridge; do
    ip netns delete "$name-$n" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

network() {
  local n
  ip netns add "$name-bridge"
  ip -n "$name-bridge" link add bridge type bridge
  ip -n "$name-bridge" link set bridge mtu 1500 up
  for n in $(seq "$nodes"); do
    ip netns add "$name-$n"
    ip -n "$name-$n" link set lo up
    ip -n "$name-bridge" link add "port$n" mtu 1500 type veth \
      peer name eth0 mtu 1500 netns "$name-$n"
    ip -n "$name-bridge" link set "port$n" master bridge up
    ip -n "$name-$n" address add "10.77.0.$n/24" dev eth0
    ip -n "$name-$n" link set eth0 up
  done
}

# start NODE OUTPUT COMMAND...: sets $started. ip and unshare become the command.
start() {
  local node=$1 output=$2
  shift 2
  ip netns exec "$name-$node" "$@" >"$output" 2>"$output.err" </dev/null &
  started=$!
  running[$started]="$*"
}

fail() {
  echo "$me: $*" >&2
  tail -n 3 "$folder"/*.err >&2 || true
  exit 1
}

# sample SIDE CASE VALUE
sample() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$folder/samples"; }

# median SIDE CASE
median() {
  awk -F '\t' -v s="$1" -v c="$2" '$1 == s && $2 == c { print $3 }' "$folder/samples" |
    sort -g | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; else print "-" }'
}
