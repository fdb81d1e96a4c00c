#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Other people's NBD clients on our server: what they read is what they wrote, they see
# what the export can do, and none that is killed or stalls troubles another.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
need nbdinfo nbdcopy qemu-img qemu-io jq cmp

servers=()
stop_servers() {
  for server in ${servers[@]+"${servers[@]}"}; do
    kill -9 "$server" 2>/dev/null || :
    wait "$server" 2>/dev/null || :
  done
}
trap 'stop_servers; cleanup' EXIT

# serve NAME OPTION...: sets $socket, $uri and $server; its output is NAME.out
serve() {
  local name=$1
  shift
  socket=$tmp/$name.nbd uri="nbd+unix:///$name?socket=$tmp/$name.nbd"
  "$builddir/nbd-memory" --socket="$socket" --name="$name" "$@" >"$name.out" 2>"$name.err" &
  server=$!
  servers+=("$server")
  for _ in $(seq 200); do
    [ ! -S "$socket" ] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  fail "the server did not come up: $(cat "$name.err")"
}

# stop NAME: in order; the last line of what it said is in $counters
stop() {
  kill "$server"
  wait "$server" || fail "the server ended with $?: $(cat "$1.err")"
  [ ! -e "$socket" ] || fail "the server left its socket behind"
  counters=$(tail -n 1 "$1.out")
}

# count WHAT: of $counters
count() { sed -E "s/.*\b$1 ([0-9]+).*/\1/" <<<"$counters"; }

qio() { qemu-io -f raw "$@" "nbd:unix:$socket:exportname=$name" >qio.out 2>&1 || fail "qemu-io $*: $(cat qio.out)"; }

# 64 MiB of what nobody guesses, with holes
openssl enc -aes-128-ctr -K 0123456789abcdef0123456789abcdef -iv 0 -in /dev/zero 2>/dev/null |
  head -c 40M >data
truncate -s 64M data

# --- what clients see ---------------------------------------------------------------
serve look --size=67108864 --description='a disk of tests'
nbdinfo --json "$uri" | jq -e '.exports[0] |
  .["export-size"] == 67108864 and .description == "a disk of tests" and
  .can_flush and .can_fua and .can_multi_conn and .can_trim and .can_zero and .can_df and
  (.can_cache | not) and (.can_fast_zero | not) and (.is_read_only | not) and
  .block_size_minimum == 512 and .block_size_preferred == 65536 and
  .block_size_maximum == 33554432' >/dev/null || fail "nbdinfo: $(nbdinfo --json "$uri")"
expect_equal "nbdinfo --list" look "$(nbdinfo --list --json "$uri" | jq -r '.exports[]."export-name"')"
expect_equal "nbdinfo --map" "0 67108864 0 data" "$(nbdinfo --map "$uri" | xargs)"
if nbdinfo "nbd+unix:///other?socket=$socket" >/dev/null 2>refusal; then fail "an export that is not there"; fi
grep -q 'No such file' refusal || fail "another export: $(cat refusal)"
expect_equal "qemu-img info" 67108864 "$(qemu-img info --output=json "$uri" | jq '."virtual-size"')"
stop look

serve lock --read-only
nbdinfo --json "$uri" | jq -e '.exports[0].is_read_only' >/dev/null || fail "read-only is not told"
if qemu-io -f raw -c 'write 0 4k' "$uri" >/dev/null 2>&1; then fail "a read-only export was written"; fi
stop lock
expect_equal "writes of a read-only export" 0 "$(count writes)"

# --- whole disks there and back -------------------------------------------------------
name=copy
serve copy
nbdcopy --flush data "$uri" || fail "nbdcopy to the export"
nbdcopy "$uri" back || fail "nbdcopy from the export"
cmp data back
nbdcopy --connections=4 --requests=64 --request-size=33554432 "$uri" - | cmp data - ||
  fail "nbdcopy by the longest requests"
nbdcopy --connections=1 --request-size=8192 --synchronous "$uri" - | cmp data - || fail "nbdcopy, one by one"
qemu-img compare -f raw -F raw data "$uri" >/dev/null || fail "qemu-img compare"
qemu-img convert -f raw -O raw "$uri" back && cmp data back
truncate -s 64M zero
qemu-img convert -n -f raw -O raw zero "$uri"
qemu-img compare -f raw -F raw zero "$uri" >/dev/null ||
  fail "qemu-img convert of zeroes"
qemu-img convert -n -m 16 -W -f raw -O raw data "$uri"
qemu-img compare -f raw -F raw data "$uri" >/dev/null ||
  fail "qemu-img convert, out of order"
stop copy
expect_equal "bad requests of good clients" 0 "$(count refused)"
expect_equal "clients that were cut" 0 "$(count cut)"
[ "$(count zeroes)" -gt 0 ] || fail "nobody wrote zeroes as zeroes: $counters"
[ "$(count flushes)" -gt 0 ] || fail "nobody flushed: $counters"

# --- patterns, block by block ---------------------------------------------------------
name=patterns
for options in '' '--max-bytes=65536' '--block=4096' '--memory=1048576 --clients=2 --requests=4'; do
  # shellcheck disable=SC2086
  serve patterns $options
  qio -c 'write -P 0x11 0 32m' -c 'write -P 0x22 4k 4k' -c 'write -f -P 0x33 1m 1m' -c flush \
    -c 'write -z 2m 1m' -c 'write -z -u 3m 64k' -c 'discard 4m 1m' \
    -c 'read -P 0x11 0 4k' -c 'read -P 0x22 4k 4k' -c 'read -P 0x11 8k 8k' -c 'read -P 0x33 1m 1m' \
    -c 'read -P 0 2m 1m' -c 'read -P 0 3m 64k' -c 'read -P 0x11 5m 27m'
  if grep -q 'Pattern verification failed' qio.out; then fail "patterns with $options: $(cat qio.out)"; fi
  qio -c 'aio_write -P 0x44 0 16m' -c 'aio_write -P 0x55 16m 16m' -c 'aio_read 32m 16m' -c aio_flush \
    -c 'read -P 0x44 0 16m' -c 'read -P 0x55 16m 16m'
  if grep -q 'Pattern verification failed' qio.out; then fail "patterns with $options: $(cat qio.out)"; fi
  stop patterns
  expect_equal "bad requests with '$options'" 0 "$(count refused)"
done

# --- errors reach who asked, and nobody else --------------------------------------------
name=errors
serve errors --bad=1048576:1052672
if qemu-io -f raw -c 'read 1m 4k' "$uri" >out 2>&1; then fail "a bad block was read"; fi
grep -q 'Input/output error' out || fail "a bad block: $(cat out)"
if qemu-io -f raw -c 'write 0 32m' "$uri" >out 2>&1; then fail "a bad block was written"; fi
qio -c 'write -P 1 0 1m' -c 'read -P 1 0 1m' -c 'write 1028k 4k'
stop errors
expect_equal "clients that were cut for an error of the disk" 0 "$(count cut)"

# --- many at once, verified ---------------------------------------------------------------
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -q '\bnbd\b'; then
  serve fio --size=134217728
  for size in 4k-4k 4k-1m; do
    fio --name=verify --ioengine=nbd --uri="$uri" --rw=randrw --bsrange="$size" --iodepth=32 \
      --numjobs=4 --size=8m --offset_increment=32m --verify=crc32c --verify_state_save=0 \
      --fsync=16 >verify.out 2>&1 || fail "fio: $(cat verify.out)"
  done
  stop fio
  expect_equal "bad requests of fio" 0 "$(count refused)"
fi

# --- who is killed, or does not read, is nobody's trouble --------------------------------
serve trouble --size=134217728
for _ in 1 2 3; do
  # shellcheck disable=SC2216 # it reads nothing: that is the point
  nbdcopy --request-size=33554432 "$uri" - 2>/dev/null | sleep 3 &
  reader=$!
  { head -c 60M data; exec sleep 3; } | nbdcopy - "$uri" >/dev/null 2>&1 &
  writer=$!
  sleep 0.2
  kill -9 "$writer" "$reader"
  wait "$writer" "$reader" 2>/dev/null || :
done
# one that asks for 20 GiB and reads none of it, another that stops amid a payload
python=$(command -v python3 || :)
stalled=()
if [ -n "$python" ]; then
  cat >stall.py <<'PY'
import socket, struct, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.recv(18, socket.MSG_WAITALL)
s.sendall(struct.pack('>I8sII', 3, b'IHAVEOPT', 1, 0))
s.recv(10, socket.MSG_WAITALL)
if sys.argv[2] == 'reads':
    s.setblocking(False)
    try:
        for i in range(640):
            s.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 0, i, 0, 32 << 20))
    except BlockingIOError:
        pass
else:
    s.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 1, 1, 64 << 20, 32 << 20) + b'x' * 3000000)
print('stalled', flush=True)
time.sleep(600)
PY
  for what in reads writes reads writes reads writes; do
    "$python" stall.py "$socket" "$what" >"stall.$what" &
    stalled+=($!)
  done
  for _ in $(seq 200); do
    ! { [ -s stall.reads ] && [ -s stall.writes ]; } || break
    sleep 0.05
  done
fi
nbdcopy --flush data "$uri" || fail "nbdcopy beside stalled clients"
nbdcopy "$uri" - | head -c 64M | cmp data - || fail "nbdcopy back, beside stalled clients"
kill ${stalled[@]+"${stalled[@]}"} 2>/dev/null || :
wait ${stalled[@]+"${stalled[@]}"} 2>/dev/null || :
stop trouble
[ "$(count memory)" -eq 0 ] || fail "memory is left: $counters"

# --- one range is suspended: what is elsewhere goes on, and nothing is lost ---------------
name=parked
serve parked --park=0:1048576
: >parked.log
stdbuf -oL qemu-io -f raw -c 'aio_write -P 7 0 64k' -c 'write -P 8 2m 64k' -c 'read -P 8 2m 64k' -c 'aio_flush' \
  -c 'read -P 7 0 64k' "$uri" >parked.log 2>&1 &
client=$!
for _ in $(seq 400); do
  ! grep -q '^read 65536' parked.log || break
  sleep 0.05
done
grep -q '^read 65536' parked.log || fail "a write that waits held up a read of the same client"
! grep -q '^wrote 65536.* 0$' parked.log || fail "a write of the suspended range was acknowledged"
kill -USR1 "$server"
wait "$client" || fail "the parked write: $(cat parked.log)"
! grep -q 'verification failed' parked.log || fail "the parked write: $(cat parked.log)"
stop parked

# --- a block device, as far as this machine has one -----------------------------------------
name=fuse
if command -v nbdfuse >/dev/null && [ "$(id -u)" -eq 0 ] && [ -e /dev/fuse ]; then
  serve fuse
  mkdir mnt
  nbdfuse --pidfile fuse.pid mnt/disk "$uri" &
  fuse=$!
  for _ in $(seq 200); do
    ! [ -s fuse.pid ] || break
    sleep 0.05
  done
  if [ -s fuse.pid ]; then
    dd if=data of=mnt/disk bs=1M conv=notrunc,fsync status=none || fail "dd to nbdfuse"
    cmp data mnt/disk || fail "what nbdfuse shows is something else"
    umount mnt
    wait "$fuse" || :
  fi
  stop fuse
fi
