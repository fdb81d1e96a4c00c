# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the tests of daemons share: real mdclusterds on loopback addresses, node I is
# "nodeI" on 127.0.0.I, with c.I (configuration), run.I, state.I and log.I. After
# functions.sh and own_network. What is waited for has a deadline far beyond it.
need jq

daemon=$builddir/mdclusterd/mdclusterd
[ -x "$daemon" ] || fail "mdclusterd is not built"
port=$((10000 + $$ % 20000))
mdcluster keygen --quiet key

declare -A pid_of=() # node -> its supervisor: only these, and their engines, are ever ended

engine_of() { cat "/proc/${pid_of[$1]}/task/${pid_of[$1]}/children" 2>/dev/null | tr -d ' '; }

end_all() {
  local i pid
  for i in "${!pid_of[@]}"; do
    pid=$(engine_of "$i")
    kill -KILL "${pid_of[$i]}" 2>/dev/null || :
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
    wait "${pid_of[$i]}" 2>/dev/null || :
  done
  pid_of=()
}
trap 'end_all; cleanup' EXIT

# configure N [TEXT]: nodes 1..N, with TEXT in each file
configure() {
  local n=$1 text=${2:-} i j
  for ((i = 1; i <= n; i++)); do
    {
      echo "this_node = node$i"
      echo "run_dir = \"$PWD/run.$i\""
      echo "state_dir = \"$PWD/state.$i\""
      echo "cluster { name = alpha key_file = \"$PWD/key\" }"
      for ((j = 1; j <= n; j++)); do echo "node node$j { id = $j address = 127.0.0.$j }"; done
      echo "totem { port = $port token_ms = 1000 }"
      echo "$text"
    } >"c.$i"
  done
}

start() { # I [OPTION...]
  local i=$1
  shift
  "$daemon" --config="c.$i" "$@" >>"log.$i" 2>&1 </dev/null &
  pid_of[$i]=$!
}

# finished I: its exit status, in $code
finished() {
  code=0
  wait "${pid_of[$1]}" 2>/dev/null || code=$?
  unset "pid_of[$1]"
}

await() { # WHAT COMMAND...
  local what=$1 i
  shift
  for ((i = 0; i < 600; i++)); do
    "$@" && return 0
    sleep 0.1
  done
  fail "$what; $(tail -n 8 log.*)"
}

status_of() { mdcluster status --json --run-dir="run.$1" 2>/dev/null || :; } # I
# shows I JQ WANTED
shows() { [ "$(status_of "$1" | jq -r "$2" 2>/dev/null)" = "$3" ]; }
says() { grep -qF -e "$2" "log.$1"; } # I TEXT

# ring_of I...: each of them sees just these, and no one else
ring_of() {
  local i
  for i; do
    await "node$i: no ring of $*" shows "$i" '[.status // . | .nodes[] | select(.is_member) | .id] | join(" ")' "$*"
  done
}
