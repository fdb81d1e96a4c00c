#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# mdcluster attach, detach: a block device of what an NBD socket serves, by nbdfuse and a
# loop device here; what is missing is named; nothing is left when it is gone.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
need jq cmp
run=$tmp/run
mkdir run

# --- what is wrong is said in a line -------------------------------------------------
expect_fail 2 mdcluster attach --run-dir="$run"
expect_fail 2 mdcluster attach --run-dir="$run" --via=smoke web
expect_fail 1 mdcluster attach --run-dir="$run" --connections=0 web
expect_fail 2 mdcluster attach --run-dir="$run" ../web
expect_fail 1 mdcluster attach --run-dir="$run" web
case $error in *"web.nbd: "*"not assembled here"*) ;; *) fail "no socket: $error" ;; esac
expect_fail 1 mdcluster detach --run-dir="$run" web
case $error in *"web is not attached"*) ;; *) fail "not attached: $error" ;; esac
echo 'fuse ../../sda' >run/web.attached
expect_fail 1 mdcluster detach --run-dir="$run" web
rm run/web.attached

need_root

# --- by the kernel's nbd: tests/vm/consumers.sh; here there is none, mostly ---------------------
if [ ! -d /sys/module/nbd ] && ! modprobe -n nbd 2>/dev/null; then
  "$builddir/nbd-memory" --socket=run/web.nbd --name=web >server.out 2>&1 &
  server=$!
  trap 'kill -9 "$server" 2>/dev/null || :; cleanup' EXIT
  for _ in $(seq 200); do [ -S run/web.nbd ] || sleep 0.05; done
  expect_fail 1 mdcluster attach --via=nbd --run-dir="$run" web
  case $error in *"the kernel has no nbd"*) ;; *) fail "no nbd: $error" ;; esac
  kill "$server" && wait "$server"
  rm -f run/web.nbd
fi
# what answers there is no NBD, or nobody does
python3 - run/web.nbd <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
s.accept()[0].sendall(b'220 mail.example.org ESMTP\r\n')
END
server=$!
for _ in $(seq 200); do [ -S run/web.nbd ] || sleep 0.05; done
expect_fail 1 mdcluster attach --run-dir="$run" web
case $error in *"no NBD server"*) ;; *) fail "no NBD: $error" ;; esac
wait "$server"
expect_fail 1 mdcluster attach --run-dir="$run" web
case $error in *"Connection refused"*) ;; *) fail "nobody: $error" ;; esac
rm -f run/web.nbd

need nbdfuse losetup
[ -e /dev/fuse ] || skip "no /dev/fuse"
[ -e /dev/loop-control ] || skip "no loop devices"

device=
finish() {
  [ -z "$device" ] || losetup -d "$device" 2>/dev/null || :
  umount -l run/web.fuse 2>/dev/null || :
  kill -9 "$server" 2>/dev/null || :
  cleanup
}
serve() {
  "$builddir/nbd-memory" --socket=run/web.nbd --name=web "$@" >server.out 2>&1 &
  server=$!
  for _ in $(seq 200); do
    [ ! -S run/web.nbd ] || return 0
    sleep 0.05
  done
  fail "the server did not come up: $(cat server.out)"
}
serve
trap finish EXIT

# PATH with all but one program: what is missing is named, with its package
mkdir bin
for program in mdcluster nbdfuse losetup; do
  ln -s "$(command -v "$program")" "bin/$program"
done
rm bin/nbdfuse
if [ "$(command -v nbdfuse)" != /usr/sbin/nbdfuse ]; then
  expect_fail 1 env PATH="$tmp/bin" "$builddir/mdcluster" attach --via=fuse --run-dir="$run" web
  case $error in *"no nbdfuse: install the package nbdfuse"*) ;; *) fail "no nbdfuse: $error" ;; esac
fi

# --- there and back ---------------------------------------------------------------------
mdcluster attach --via=fuse --run-dir="$run" --json web >out.json 2>err.txt || {
  grep -q 'loop' err.txt && skip "no loop device: $(cat err.txt)"
  fail "attach: $(cat err.txt)"
}
device=$(jq -r .device out.json)
[ -b "$device" ] || fail "'$device' is no block device"
expect_equal "the rest of it" "web fuse $run/web.nbd false 512" \
  "$(jq -r '[.array, .way, .socket, .read_only, .block_bytes] | map(tostring) | join(" ")' out.json)"
expect_equal "its size" 67108864 "$(blockdev --getsize64 "$device")"
expect_equal "its blocks" 512 "$(blockdev --getss "$device")"
expect_fail 1 mdcluster attach --via=fuse --run-dir="$run" web
case $error in *"attached already, as $device"*) ;; *) fail "attached twice: $error" ;; esac

head -c 8M /dev/urandom >data
dd if=data of="$device" bs=1M oflag=direct conv=fsync status=none || fail "dd to $device"
dd if="$device" bs=1M count=8 iflag=direct status=none | cmp data - || fail "$device has something else"
nbdcopy "nbd+unix:///web?socket=$run/web.nbd" - | head -c 8M | cmp data - || fail "the export has something else"

exec 9<>"$device" # open, as any reader may have it
mdcluster detach --run-dir="$run" web 2>err.txt && code=0 || code=$?
exec 9>&-
if [ "$code" -ne 0 ]; then mdcluster detach --run-dir="$run" web || fail "detach"; fi
losetup -n -O BACK-FILE | grep -q "$run" && fail "a loop device is left"
device=
expect_equal "what is left" "web.nbd" "$(ls run)"
expect_fail 1 mdcluster detach --run-dir="$run" web

# --- blocks of 4 KiB, and read-only ------------------------------------------------------
kill "$server" && wait "$server"
serve --block=4096 --read-only
device=$(mdcluster attach --via=fuse --run-dir="$run" web)
expect_equal "its blocks" 4096 "$(blockdev --getss "$device")"
expect_equal "read-only" 1 "$(blockdev --getro "$device")"
if dd if=data of="$device" bs=1M count=1 oflag=direct status=none 2>/dev/null; then fail "it was written"; fi
kill -9 "$server"
wait "$server" 2>/dev/null || :
mdcluster detach --run-dir="$run" web || fail "detach, of a server that is gone"
device=
