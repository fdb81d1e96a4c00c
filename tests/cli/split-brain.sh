#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Split brains for real: clusters of 2 to 5 daemons in network namespaces are cut into parts, with
# each option of quorum and each level of fencing, while clients write on all nodes. At most one
# part goes on, as the bytes on the disk say; what was fenced comes back amid the cut, and stays
# away; healed, all write again without anybody's help; what was acknowledged is there, and the
# disks are equal.
#
#	split-brain.sh                               some telling cells
#	SPLIT_CELLS="3:1,2|3:majority:none ..."      these (split-brain-functions.sh says how)
#	SPLIT_CELLS=all                              each: hours
#	SPLIT_CHANCE=20 SPLIT_SEED=7                 20 of them; without a seed one is made, and told
#
# With two_node both nodes go on until one of them is fenced: that is what it says (Q1).
. "$(dirname "$0")/functions.sh"
need_root
need ip unshare jq flock nbdcopy cmp
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
[ -x "$builddir/mdclusterd/mdclusterd" ] || fail "mdclusterd is not built"
mkdir -p /run/netns 2>/dev/null || skip "no mounts of our own here"
token_ms=300
array_size=128M
slots=6
. "$here/array-functions.sh"
. "$here/array-witness.sh"
. "$here/split-brain-functions.sh"
dogs_owner=
trap 'kill -KILL ${clients[@]+"${!clients[@]}"} $dogs_owner 2>/dev/null || :; end_daemons; cleanup' EXIT

# Alike but in what they tell: both mirrors go on until one has shot; a majority that moves, so that
# those who had it must not be believed to be dead; who was last is remembered; a tie, by a node and
# by a disk; a node that hears and is not heard.
telling="2:1|2:two_node:command 2:1|2:disk:none 3:1|2,3:majority:none 3:1,2|3/1,2,3/1,2|3:wait_for_all:watchdog
  3:1<2,3:majority:command 4:1,2|3,4:tie_list:agent 5:1,2,3|4,5/1,2|3,4,5:last_man:command
  4:1,2|3,4:majority:none"

# --- the cut -----------------------------------------------------------------------------------

# deaf FROM TO: TO hears nothing of FROM, whose frames go to a card that nobody has
deaf() { ip -n "n$1" neigh replace "$address_prefix.$2" lladdr 02:00:00:00:00:fe dev eth0 nud permanent; }
hears() { ip -n "n$1" neigh delete "$address_prefix.$2" dev eth0 2>/dev/null || :; }
heal() {
  local i
  for ((i = 1; i <= n; i++)); do ip -n "n$i" neigh flush dev eth0 nud permanent; done
}
# is_cut CUT FROM TO
is_cut() {
  local parts
  parts=$(parts_of "$1")
  [ "$(part_of "$parts" "$2")" != "$(part_of "$parts" "$3")" ] || return 1
  case $1 in
  *'>'*) has_word "${parts%%|*}" "$3" ;;
  *'<'*) has_word "${parts%%|*}" "$2" ;;
  esac
}
# What is to be cut is, before anything else is healed.
cut_into() { # CUT
  local i k links=()
  for ((i = 1; i <= n; i++)); do
    for ((k = 1; k <= n; k++)); do
      [ "$i" != "$k" ] || continue
      if is_cut "$1" "$i" "$k"; then deaf "$i" "$k"; else links+=("$i $k"); fi
    done
  done
  # shellcheck disable=SC2086
  for i in "${links[@]}"; do hears $i; done
}

# --- fencing: the switch of array-functions.sh, an agent in front of it, watchdogs -------------------

fence_agent() {
  cat >agent <<END
#!/bin/bash
lines=\$(cat)
case \$lines in
*action=metadata*)
  echo '<resource-agent name="agent">'
  for name in on off reboot status monitor; do echo "<action name=\"\$name\"/>"; done
  exit 0 ;;
*action=status*) exit 0 ;;
*action=on*) exit 0 ;;
esac
exec "$here_is/fence" "\$(echo "\$lines" | sed -n 's/^nodename=//p')" - -
END
  chmod 755 agent
}

# A file is each node's watchdog: one that is not petted for its timeout resets its node, as fencing
# does, and is not told to anybody.
dog_timeout_s=2
release_dogs() {
  ${CC:-cc} -shared -fPIC -D_GNU_SOURCE -o fake.so "$srcdir/tests/fence/fake_watchdog.c" -ldl ||
    fail "no fake watchdog"
  for ((i = 1; i <= n; i++)); do : >"dog.$i"; done
}
watch_dogs() {
  local i
  while sleep 0.2; do
    for ((i = 1; i <= n; i++)); do
      [ -s "dog.$i" ] && [ "$(tail -c 1 "dog.$i")" != V ] || continue
      [ $(($(date +%s%3N) - $(date +%s%3N -r "dog.$i"))) -gt $((dog_timeout_s * 1000)) ] || continue
      ./fence "n$i" - - && : >"dog.$i"
    done
  done
}

# --- nodes -------------------------------------------------------------------------------------------

lives() { [ -n "${supervisor[$1]:-}" ] && kill -0 "${supervisor[$1]}" 2>/dev/null; }
run_node() { # I
  [ "$fencing_name" != watchdog ] || export LD_PRELOAD=$PWD/fake.so
  start "$1"
  unset LD_PRELOAD
}
# revive: who was reset boots
revive() {
  local i
  for ((i = 1; i <= n; i++)); do
    lives "$i" && continue
    reap "$i" || :
    [ -z "${witness_of[$i]:-}" ] || end_witness "$i" 3
    unset "witness_of[$i]"
    echo "n$i boots"
    run_node "$i"
  done
}

# ends_whatever I: its node may have been lost to it
ends_whatever() {
  local code=0
  kill -TERM "${witness_of[$1]}" 2>/dev/null || :
  wait "${witness_of[$1]}" || code=$?
  unset "clients[${witness_of[$1]}]" "witness_of[$1]"
  [ "$code" = 0 ] || [ "$code" = 3 ] || { complain; fail "the witness on n$1 ends with $code: $(cat "witness.$1")"; }
}
is_writing() { [ -n "${witness_of[$1]:-}" ] && kill -0 "${witness_of[$1]}" 2>/dev/null; }

# Who was reset writes nothing, and tells nothing.
is_shut() { ! lives "$1" || says "$1" "$the_array | .is_gate_open" false; }
is_open() { says "$1" "$the_array | .is_gate_open" true; }
is_quorate() { says "$1" .is_quorate true; }
has_no_quorum() { says "$1" .is_quorate false; }

# --- what was written ------------------------------------------------------------------------------------

# sum_of I: of what its clients write to, on the disk that a resync copies from: nobody else writes there
sum_of() {
  dd if="${disks[0]}" bs=64K iflag=skip_bytes,count_bytes skip=$((first_byte + $(witness_low "$1"))) \
    count="$witness_bytes" status=none | cksum
}
first_byte=0 # of the data
declare -A sum=()
note() { # I...
  local i
  for i; do sum[$i]=$(sum_of "$i"); done
}
has_written() { [ "$(sum_of "$1")" != "${sum[$1]}" ]; }

# one_goes_on NODE...: one of them has written since the last note()
one_goes_on() {
  local i
  for i; do has_written "$i" && return; done
  return 1
}
# go_on NODE...: and writes on
go_on() {
  local i writers=
  for i; do ! is_writing "$i" || writers+=" $i"; done
  for _ in 1 2; do
    # shellcheck disable=SC2086
    note $writers
    # shellcheck disable=SC2086
    await "nobody of$writers goes on" one_goes_on $writers
  done
}

# --- a cell -------------------------------------------------------------------------------------------------

rings() {
  local i
  for ((i = 1; i <= n; i++)); do
    tells "$i" '"\(.ring_state) \(.ring_rep).\(.ring_seq) \([.nodes[] | select(.is_member) | .id | tostring] | join(" "))"'
  done
}
# rings_are_whole: of a cut that carries one way: somebody is missing, and each ring has agreed; sets
# $parts
rings_are_whole() {
  local told ids
  revive # who was fenced by now, and is alone
  told=$(rings)
  [ "$(grep -c '^operational ' <<<"$told")" = "$n" ] || return 1
  ids=$(cut -d ' ' -f 2- <<<"$told" | sort | uniq -c)
  [ "$(wc -l <<<"$ids")" -gt 1 ] || return 1
  parts=$(sed 's/^ *[0-9]* [^ ]* //' <<<"$ids" | sort -u | paste -sd '|')
  # each node is in one part, and as many told of it as there are in it
  [ "$(tr '|' '\n' <<<"$parts" | tr ' ' '\n' | sort -n | paste -sd ' ')" = "$(seq -s ' ' 1 "$n")" ]
}

# settle: sets $winner, the part that goes on, or ""; all others, $losers, have shut their gates
settle() {
  local part i chance maybe=()
  winner='' losers=()
  while read -rd '|' part; do
    chance=$(chance_of "$part" "$basis" "$n" "$quorum")
    case $chance in
    yes) winner=$part ;;
    no) losers+=("$part") ;;
    maybe) maybe+=("$part") ;;
    esac
  done <<<"$parts|"
  for part in "${losers[@]}"; do
    for i in $part; do await "n$i has no quorum, and its gate is open" is_shut "$i"; done
  done
  [ ${#maybe[@]} -gt 0 ] || return 0
  await "of ${maybe[*]} not one goes on" just_one "${maybe[@]}"
}
# just_one PART...: has a quorum, and the others have none; of one part alone that is to be, too
just_one() {
  local part i on=() off=()
  for part; do
    # shellcheck disable=SC2086
    set -- $part
    if is_quorate "$1"; then on+=("$part"); else off+=("$part"); fi
  done
  [ ${#on[@]} = 1 ] || return 1
  for part in ${off[@]+"${off[@]}"}; do
    for i in $part; do is_shut "$i" || return 1; done
  done
  winner=${on[0]}
  losers+=(${off[@]+"${off[@]}"})
}

is_settled_with() { # WINNER LOSER: proven as far as can be
  case $fencing_name in
  none) has_no_quorum "$2" || is_in_doubt "$1" "$2" ;;
  watchdog) knows_dead "$1" "$2" ;;
  *) is_fenced "$2" ;;
  esac
}
is_in_doubt() { ask "$1" status 2>/dev/null | grep -q "n$2 .*waits: proof of death"; }

# prove: who is missing from the winner's part is dead, if anybody can say so
prove() {
  local part i by=${winner%% *}
  if [ "$quorum" = two_node ]; then
    prove_one_of_two
    return
  fi
  [ "$winner" ] || return 0
  for part in "${losers[@]}"; do
    for i in $part; do
      has_word "$dead" "$i" || await "n$i is not settled" is_settled_with "$by" "$i"
    done
  done
}
one_of_two_is_fenced() { is_fenced 1 || is_fenced 2; }
prove_one_of_two() {
  winner="1 2"
  [ "$fencing_name" != none ] || return 0
  await "neither of two is fenced" one_of_two_is_fenced
  winner=2 losers=(1)
  if ! is_fenced 1; then winner=1 losers=(2); fi
}

# stay_away: nobody but the winner has written since note()
stay_away() {
  local part i
  for part in ${losers[@]+"${losers[@]}"}; do
    for i in $part; do
      ! has_written "$i" || { complain; fail "both sides write: '$winner', and n$i of '$part'"; }
      ! is_open "$i" || { complain; fail "n$i of '$part' opens its gate beside '$winner'"; }
    done
  done
}

go_through() { # CUT
  local all before
  echo "cut into $1"
  cut_into "$1"
  parts=$(parts_of "$1")
  all=$(seq -s ' ' 1 "$n")
  case $1 in *[\<\>]*) await "the rings do not settle" rings_are_whole ;; esac
  settle
  echo "'${winner:-nobody}' goes on"
  prove
  revive
  before=$(rings)
  # shellcheck disable=SC2086
  note $all
  # shellcheck disable=SC2086
  [ -z "$winner" ] || go_on $winner
  [ "$winner" ] || sleep 0.5
  # a ring that was made again amid that may have had others in it, where one way is open
  case $1 in *[\<\>]*) [ "$(rings)" = "$before" ] || return 0 ;; esac
  stay_away
  [ "$quorum" != last_man ] || [ -z "$winner" ] || shrink
}
# Behind the window the rest are all that there are.
is_basis() { [ "$(ask "$1" quorum --json | jq .expected)" = "$2" ]; }
shrink() {
  # shellcheck disable=SC2086
  set -- $winner
  [ $# -gt 1 ] || return 0
  await "all are expected for ever" is_basis "$1" $#
  basis=$winner
}

run_cell() { # CELL
  local n cuts quorum fencing_name i all c
  IFS=: read -r n cuts quorum fencing_name <<<"$1"
  local winner='' losers=() parts='' dead='' basis
  basis=$(seq -s ' ' 1 "$n") all=$basis
  rm -rf dog.* fenced journal.* witness.[0-9]*
  witness_of=()
  fence_script
  fence_agent
  fencing=$(fencing_of_cell "$fencing_name")
  if [ "$fencing_name" = command ] || [ "$fencing_name" = agent ]; then
    for ((i = 2; i <= n; i++)); do fencing+="; node n$i {; }"; done
    fencing+="; }; level 1 {; devices = { switch }; }"
  elif [ "$fencing_name" = watchdog ]; then
    fencing+="; level 1 {; devices = { dog }; }"
    release_dogs
  fi
  cluster "$n"
  first_byte=$(data_offset)
  if [ "$quorum" = disk ]; then
    truncate -s 1M tie
    mdcluster quorum --format=tie --home-cluster="$cluster_name" --force || fail "the tie-breaker is not made"
  fi
  for ((i = 1; i <= n; i++)); do
    section quorum "$(quorum_of_cell "$n" "$quorum")" >>"n$i/conf"
    [ "$fencing_name" != watchdog ] ||
      section watchdog "device = \"$PWD/dog.$i\"; timeout_s = $dog_timeout_s; drain_ms = 300" >>"n$i/conf"
  done
  "$mdclusterd" --check-config --config="$PWD/n1/conf" >check 2>&1 || fail "$1: $(cat check)"
  for i in $all; do run_node "$i"; done
  # shellcheck disable=SC2086
  active $all
  dogs_owner=
  if [ "$fencing_name" = watchdog ]; then
    watch_dogs >dogs.log 2>&1 &
    dogs_owner=$!
  fi
  # shellcheck disable=SC2086
  start_witness $all
  # shellcheck disable=SC2086
  go_on $all
  while read -rd / c; do go_through "$c"; done <<<"$cuts/"
  finish_cell
}

finish_cell() {
  local i
  echo "healed"
  heal
  revive
  # shellcheck disable=SC2086
  active $all
  for i in $all; do
    is_writing "$i" && continue
    [ -z "${witness_of[$i]:-}" ] || ends_whatever "$i"
    start_witness "$i"
  done
  for i in $all; do go_on "$i"; done
  for i in $all; do ends_whatever "$i"; done
  if [ "$dogs_owner" ]; then
    kill "$dogs_owner"
    wait "$dogs_owner" 2>/dev/null || :
    dogs_owner=
  fi
  # shellcheck disable=SC2086
  idle $all
  # shellcheck disable=SC2086
  for i in $all; do heard_out "$i" $all; done
  # shellcheck disable=SC2086
  end_well $all
}

case ${SPLIT_CELLS:-} in
all) cells=$(cells_of_all) ;;
'') cells=$telling ;;
*) cells=$SPLIT_CELLS ;;
esac
if [ -n "${SPLIT_CHANCE:-}" ]; then
  echo "SPLIT_SEED=${SPLIT_SEED:=$RANDOM}"
  cells=$(cells_by_chance "$SPLIT_CHANCE" "$SPLIT_SEED")
fi
node_network 5
for cell in $cells; do
  case $cell in
  *:watchdog)
    ! nm -D "$mdclusterd" 2>/dev/null | grep -q __asan_init ||
      { echo "--- $cell: nothing can be preloaded into this build"; continue; }
    ;;
  esac
  echo "--- $cell (at $SECONDS s)"
  run_cell "$cell"
done
