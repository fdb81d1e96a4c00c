#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One owner: three real daemons, each on a made up host whose kernel runs the array, or does
# not. Who is about to use it hears from the others where it runs; a node that joins with a
# kernel that runs an array in use is told of loudly.
. "$(dirname "$0")/functions.sh"
own_network "$0"
. "$(dirname "$0")/daemon-functions.sh"

array='.status // . | .arrays[0]'
is_active() { shows "$1" "$array | .state" active; }
# start_on I: on the made up host host.I
start_on() { MDCLUSTER_TEST_ROOT=$PWD/host.$1 start "$1"; }
# kernel_runs I DEVICE: on that host
kernel_runs() {
  mkdir -p "host.$1/sys/block/$2/md"
  echo "$dashed" >"host.$1/sys/block/$2/md/uuid"
  echo active >"host.$1/sys/block/$2/md/array_state"
}
refused() { mdcluster assemble --run-dir="run.$1" web >out 2>&1 && fail "node$1: web is used beside a kernel"; cat out; }

make_disk a.img 64M
make_disk b.img 64M
mdcluster create --quiet --level=mirror --raid-devices=2 --home-cluster=alpha --homehost=none \
  --bitmap-chunk=64K --nodes=4 --assume-clean web a.img b.img
uuid=$(mdcluster examine --json a.img | jq -r .uuid)
dashed=$(tr -d :- <<<"$uuid" | sed -E 's/(.{8})(.{4})(.{4})(.{4})/\1-\2-\3-\4-/')

configure 3 "array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } auto = no }"
mkdir host.1 host.2 host.3
for i in 1 2 3; do start_on "$i"; done
ring_of 1 2 3

# --- another node's kernel, by its device and by its lockspace ------------------------------
kernel_runs 2 md127
case $(refused 1) in *"node node2 runs it as /dev/md127"*"mdadm --stop"*) ;; *) fail "not told where: $(cat out)" ;; esac
rm -r host.2/sys
mkdir -p "host.3/sys/kernel/dlm/$dashed"
case $(refused 2) in *"node node3 holds its lockspace"*) ;; *) fail "not told of a lockspace: $(cat out)" ;; esac

# --- nobody's: it is used; then a node joins whose kernel has it -------------------------------
rm -r host.3/sys
mdcluster assemble --run-dir=run.1 web
await "node1: web is not active" is_active 1
kill -TERM "${pid_of[3]}"
finished 3
kernel_runs 3 md5
start_on 3
loud() { says 1 "the kernel of node node3 runs it as /dev/md5"; }
await "node1: the kernel of a node that joined is not told of" loud
case $(refused 2) in *"node node3 runs it as /dev/md5"*) ;; *) fail "node2: $(cat out)" ;; esac
for i in 1 2 3; do
  kill -TERM "${pid_of[$i]}"
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
done
