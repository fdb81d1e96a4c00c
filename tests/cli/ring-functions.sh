# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the tests of rings share: nodes are processes of totem-cat, sealed, with
# input from a pipe in.I and output in out.I and err.I. After functions.sh. The
# test says where a node is:
#
#	address_of I    ADDRESS:PORT of node I
#	place_of I      sets place=(COMMAND...), in front of the node's own command
#
# With ring_engine=corosync each node has a real corosync for its ring, which the test has
# started (corosync-functions.sh); address_of and place_of are not asked then.
#
# What is waited for has a deadline far beyond it; how fast it is, `make
# bench-ring` says.
need mkfifo

cat=$builddir/totem-cat
[ -x "$cat" ] || fail "totem-cat is not built"
mdcluster keygen --quiet key

declare -A running=() # pid -> 1: only these are ever ended
declare -A pid_of=()  # node -> pid
place=()

place_of() { place=(); }

# finish SIGNAL PID...: and waits, so that its address is free; bash keeps quiet
finish() {
  local signal=$1 pid
  shift
  for pid; do
    [ -n "${running[$pid]:-}" ] || continue
    kill "-$signal" "$pid" 2>/dev/null || :
    [ "$signal" != TERM ] || kill -CONT "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
    unset "running[$pid]"
  done
}

finish_all() { finish KILL ${running[@]+"${!running[@]}"}; }
trap 'finish_all; cleanup' EXIT

# members N: --node words for nodes 1..N
members() {
  local i
  for ((i = 1; i <= $1; i++)); do echo "--node=$i=$(address_of "$i")"; done
}

# launch IN OUT ERR COMMAND...: sets $launched. IN is held open for both ends, so
# that the node never sees the end of its input.
launch() {
  local in=$1 out=$2 err=$3
  shift 3
  "$@" <>"$in" >>"$out" 2>>"$err" &
  launched=$!
  running[$launched]=1
}

# start I N [OPTION...]: node I of N
start() {
  local i=$1 n=$2 place=() who=()
  shift 2
  [ -p "in.$i" ] || mkfifo "in.$i"
  if [ "${ring_engine:-totem}" = corosync ]; then
    place=(ip netns exec "n$i")
    who=(--corosync --state="boot.$i")
  else
    place_of "$i"
    # shellcheck disable=SC2207
    who=(--self="$i" $(members "$n") --key=key)
  fi
  launch "in.$i" "out.$i" "err.$i" ${place[@]+"${place[@]}"} "$cat" "${who[@]}" --token=1000 "$@"
  pid_of[$i]=$launched
}

start_all() { # N [OPTION...]
  local i n=$1
  shift
  for ((i = 1; i <= n; i++)); do start "$i" "$n" "$@"; done
}

end_node() { finish "$2" "${pid_of[$1]}"; } # I SIGNAL

# forget: all nodes end, and nothing is left of what they said
forget() {
  finish_all
  rm -f out.* err.* ./*.boot
}

# say I TEXT; for both ends, too: a node that is gone does not hold us up
say() { echo "$2" 1<>"in.$1"; }

# await WHAT COMMAND...: until it is true; 60 s are far beyond any of it
await() {
  local what=$1 i
  shift
  for ((i = 0; i < 600; i++)); do
    "$@" && return 0
    sleep 0.1
  done
  fail "$what; $(tail -n 4 out.* err.*)"
}

# ring_is I MEMBER...: the last ring that I installed has just these
ring_is() {
  local i=$1 have want
  shift
  have=$(grep '^-- ring' "out.$i" | tail -n 1 |
    sed 's/.*: //; s/#[0-9]* (left)//g; s/ (joined)//g' | tr -s ' ' | sed 's/ *$//')
  want=$(printf '#%s ' "$@")
  [ "$have" = "${want% }" ]
}

# ring_of WHY MEMBER...: each of them comes to know that it is with just these
ring_of() {
  local why=$1 i
  shift
  for i; do await "n$i: no ring of $*: $why" ring_is "$i" "$@"; done
}

rings_of() { grep -h '^-- ring' "out.$1" | awk '{ print $3 }' | sort -u | wc -l; }

heard() { grep -qx -e "$2" "out.$1"; }
order_of() { grep -E "^[0-9]+:.*$2" "out.$1"; } # I WORD

# all_talk WORD MEMBER...: each says some lines with it; all hear all, in one order
all_talk() {
  local word=$1 i from k
  shift
  for k in 1 2 3 4 5; do for i; do say "$i" "$word $k of $i"; done; done
  for i; do
    for from; do
      for k in 1 2 3 4 5; do
        await "n$i hears n$from: $word" heard "$i" "$from: $word $k of $from"
      done
    done
  done
  for i; do expect_equal "$word: order at $1 and $i" "$(order_of "$1" "$word")" "$(order_of "$i" "$word")"; done
}
