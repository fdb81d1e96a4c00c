# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Clients that know what was acknowledged, for tests of whole clusters, and what has to be true
# when all are content. After array-functions.sh. Node I has 4 MiB of its own for them, whose
# journal is journal.I.
#
#	start_witness I...     writes at random places, until it is told to end
#	end_witness I CODE     0: it was told to; 3: its node is gone
#	heard_out BY I...      what those witnessed is there, seen from node BY
#	all_see I...           these nodes read the same
#	end_well I...          all daemons, which are these, stop; the disks are as they should be

witness=${builddir:?}/nbd-witness
[ -x "$witness" ] || fail "nbd-witness is not built"
mib=1048576
witness_bytes=$((4 * mib))
declare -A clients=() # pid -> 1: who still runs
declare -A witness_of=() # node -> pid

witness_low() { echo $((40 * mib + ($1 - 1) * 12 * mib)); }

start_witness() { # I...
  local i
  for i; do
    "$witness" write "journal.$i" "$(socket_of "$i")" "$array" "$(witness_low "$i")" "$witness_bytes" \
      2>"witness.$i" &
    witness_of[$i]=$!
    clients[${witness_of[$i]}]=1
  done
}
end_witness() {
  local code=0
  [ "$2" = 3 ] || kill -TERM "${witness_of[$1]}"
  wait "${witness_of[$1]}" || code=$?
  unset "clients[${witness_of[$1]}]"
  [ "$code" = "$2" ] || { complain; fail "the witness on n$1 ends with $code: $(cat "witness.$1")"; }
}
heard_out() {
  local by=$1 i
  shift
  for i; do
    "$witness" check "journal.$i" "$(socket_of "$by")" "$array" >verdict 2>&1 ||
      { complain; fail "acknowledged by n$i, seen from n$by: $(tail -n 5 verdict)"; }
    ! grep -q '^0 ack' verdict || fail "n$i has witnessed nothing"
  done
}

all_see() {
  local i
  for i; do
    nbdcopy "$(uri_of "$i")" "copy.$i" || fail "nbdcopy from n$i failed"
    cmp "copy.$1" "copy.$i" || fail "n$1 and n$i see different data"
    [ "$i" = "$1" ] || rm "copy.$i"
  done
  rm "copy.$1"
}

end_well() {
  local i
  idle "$@"
  all_see "$@"
  stop_daemon "$@"
  disks_are_equal
  slots_are_clear
  mdadm_agrees
}
