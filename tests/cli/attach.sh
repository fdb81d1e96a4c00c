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

need nbdinfo
need_root

# --- by the kernel's nbd: there is none here, but what nbd-client would be told can be seen -----
if unshare --mount true 2>/dev/null; then
  mkdir fake
  cat >fake/nbd-client <<'END'
#!/bin/bash
# As that of Debian 12: 0 at once, and a process that connects a little later and stays.
echo "$*" >>"$tmp/nbd-client.calls"
[ ! -e "$tmp/nbd-fails" ] || { echo "E: the server said no" >&2; exit 1; }
case $* in
*-d*) rm -f /sys/block/nbd1/pid; kill "$(cat "$tmp/nbd.pid")" ;;
*)
  cp "$(command -v sleep)" "$tmp/fake/nbd-sleep/nbd-client"
  (sleep 0.3; cp "$tmp/nbd.pid" /sys/block/nbd1/pid) </dev/null >/dev/null 2>&1 &
  setsid "$tmp/fake/nbd-sleep/nbd-client" 300 </dev/null >/dev/null 2>&1 &
  echo $! >"$tmp/nbd.pid"
  ;;
esac
END
  chmod +x fake/nbd-client
  mkdir fake/nbd-sleep
  cat >by-nbd.sh <<'END'
set -eu
mount -t tmpfs tmpfs /sys/block
export PATH=$tmp/fake:$PATH
at() { mdcluster "$@" --run-dir=run; }
no() { # TEXT COMMAND...
  local text=$1
  shift
  if at "$@" >said 2>&1; then echo "$* succeeds"; exit 1; fi
  grep -qF -e "$text" said || { echo "$*: $(cat said)"; exit 1; }
}
if [ ! -d /sys/module/nbd ]; then no "the kernel has no nbd" attach --via=nbd web; fi
mkdir /sys/block/nbd0 /sys/block/nbd1
echo 1 >/sys/block/nbd0/pid # somebody else's
touch nbd-fails
no "attach: web: nbd-client: E: the server said no" attach web
rm nbd-fails nbd-client.calls
[ "$(at attach --connections=2 web)" = /dev/nbd1 ] || { echo "not on the free one"; exit 1; }
grep -qxF -e "-unix run/web.nbd /dev/nbd1 -name web -block-size 512 -connections 2 -nonetlink -persist" nbd-client.calls ||
  { echo "it is called with: $(cat nbd-client.calls)"; exit 1; }
no "attached already, as /dev/nbd1" attach web
at detach web
grep -qxF -e "-nonetlink -d /dev/nbd1" nbd-client.calls || { echo "$(cat nbd-client.calls)"; exit 1; }
[ ! -e run/web.attached ] || { echo "it is remembered"; exit 1; }
# the daemon is away, and nbd-client tries to connect: that ends, too
at attach --read-only web >/dev/null
tail -n 1 nbd-client.calls | grep -q -- "-persist -readonly$" || { echo "not read-only"; exit 1; }
rm /sys/block/nbd1/pid
no "attached already" attach web
at detach web
for _ in $(seq 100); do
  [ -e "/proc/$(cat nbd.pid)" ] || exit 0
  sleep 0.05
done
echo "nbd-client goes on"
exit 1
END
  "$builddir/nbd-memory" --socket=run/web.nbd --name=web >server.out 2>&1 &
  server=$!
  trap 'kill -9 "$server" 2>/dev/null || :; cleanup' EXIT
  for _ in $(seq 200); do [ -S run/web.nbd ] || sleep 0.05; done
  tmp=$tmp unshare --mount bash by-nbd.sh >said.nbd 2>&1 || fail "by the kernel's nbd: $(cat said.nbd)"
  kill "$server" && wait "$server"
  rm -rf run/web.nbd fake
fi

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
for program in mdcluster nbdinfo nbdfuse losetup; do
  ln -s "$(command -v "$program")" "bin/$program"
done
rm bin/nbdinfo
if [ "$(command -v nbdinfo)" != /usr/sbin/nbdinfo ]; then
  expect_fail 1 env PATH="$tmp/bin" "$builddir/mdcluster" attach --via=fuse --run-dir="$run" web
  case $error in *"no nbdinfo: install the package libnbd-bin"*) ;; *) fail "no nbdinfo: $error" ;; esac
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
