#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One owner: three real daemons, each on a made up host whose kernel runs the array, or does
# not. Who is about to use it hears from the others where it runs. Where a kernel runs it that
# did not when it was asked, of a node that joins or of any other, it is given up: nothing is
# written to its disks, clients wait, and it is back when the kernel has stopped it.
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

# --- nobody's: it is used; then another node's kernel starts it ----------------------------------
rm -r host.3/sys
for i in 1 2; do mdcluster assemble --run-dir="run.$i" web; done
for i in 1 2; do await "node$i: web is not active" is_active "$i"; done
sum() { cat a.img b.img | sha256sum; }
before=$(sum)
is_written() { [ "$(sum)" != "$before" ]; }
"$builddir/nbd-witness" write journal "$PWD/run.1/web.nbd" web 1048576 4194304 >witness.log 2>&1 &
witness=$!
await "nothing is written" is_written
kernel_runs 3 md5
gave_up() { says "$1" "the kernel of node node3 runs it as /dev/md5"; }
waits() { shows "$1" "$array | .state" assembling || shows "$1" "$array | .state" lost; }
for i in 1 2; do
  await "node$i: web is used beside a kernel" gave_up "$i"
  await "node$i: web is used beside a kernel" waits "$i"
done
says 1 "MDC5930" || fail "without a message: $(tail log.1)"
tells_why() {
  mdcluster status --run-dir=run.1 >out || :
  grep -q "waits: the kernel of node node3 runs it as /dev/md5.*mdadm --stop" out
}
await "status does not say why" tells_why
# nothing of what the witness asks for is written
before=$(sum)
sleep 2
expect_equal "disks that a kernel has" "$before" "$(sum)"
kill -0 "$witness" || fail "its client was cut off: $(cat witness.log)"

# --- stopped there: it is back, and nobody has lost what was acknowledged --------------------------
rm -r host.3/sys
for i in 1 2; do await "node$i: web is not back" is_active "$i"; done
kill -TERM "$witness"
finished_code=0
wait "$witness" || finished_code=$?
expect_equal "the witness ends with" 0 "$finished_code"
"$builddir/nbd-witness" check journal "$PWD/run.2/web.nbd" web >verdict 2>&1 ||
  fail "acknowledged, and not there: $(tail -n 5 verdict)"

# --- a node joins whose kernel has it --------------------------------------------------------------
kill -TERM "${pid_of[3]}"
finished 3
kernel_runs 3 md6
start_on 3
loud() { says 1 "the kernel of node node3 runs it as /dev/md6"; }
await "node1: the kernel of a node that joined is not told of" loud
await "node1: web is used beside the kernel of a node that joined" waits 1
await "node2: web is used beside the kernel of a node that joined" waits 2
for i in 1 2 3; do
  kill -TERM "${pid_of[$i]}"
  finished "$i"
  expect_equal "exit status of node$i" 0 "$code"
done

# --- nothing is reserved of disks that a kernel writes to: it would fail them ----------------------
rm -r state.1 log.1
configure 1 "fence { device disks { type = reservation } level 1 { devices = { disks } } }
array web { disks = { \"$PWD/a.img\", \"$PWD/b.img\" } auto = no }"
kernel_runs 1 md7
start_on 1
ring_of 1
case $(refused 1) in *"node node1 runs it as /dev/md7"*) ;; *) fail "what comes first: $(cat out)" ;; esac
rm -r host.1/sys
case $(refused 1) in *"a.img: is no SCSI disk: it has no reservations"*) ;; *) fail "used without reservations: $(cat out)" ;; esac
kill -TERM "${pid_of[1]}"
finished 1
expect_equal "exit status of node1" 0 "$code"
