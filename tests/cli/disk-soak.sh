#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks come and go while three real nodes write, and in the midst of it, at a random instant,
# one of them dies or stands still: the one that was asked (driver), the one that has the lock
# `resync` and rebuilds (rebuilder), or another (bystander). Then all are active again; it was
# done wholly, or not at all, or it went on to its end by itself; what the command said of that
# was true; nothing that was acknowledged is lost, on any node; nobody rebuilt together; the
# disks are equal, and in the end no bit is set.
#
#	disk-soak.sh
#	DISK_SOAK_ROUNDS=100 disk-soak.sh       so many for each of the three (default: 5)
#	DISK_SOAK_SEED=4711 disk-soak.sh        what one that failed has named
#	DISK_SOAK_OPERATIONS="add replace"      of these alone; DISK_SOAK_LEVEL=raid10
#
# Nine rounds are on one cluster, with one seed, which decides all but when things happen: the
# next nine have the next one.
. "$(dirname "$0")/functions.sh"
need_root
need ip unshare jq flock nbdcopy cmp
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
[ -x "$builddir/mdclusterd/mdclusterd" ] || fail "mdclusterd is not built"
need_mount() { [ -d /run ] && mkdir -p /run/netns; }
need_mount || skip "no mounts of our own here"
. "$here/array-functions.sh"
. "$here/array-witness.sh"
. "$here/disk-operations.sh"

rounds=$((3 * ${DISK_SOAK_ROUNDS:-5}))
seed=${DISK_SOAK_SEED:-$((RANDOM * 32768 + RANDOM))}
rounds_of_a_cluster=9
classes=(driver rebuilder bystander)
operations=(spare add re_add fail fail_over remove replace size copies fewer check repair)
rebuilding=(add re_add fail_over replace copies check repair)
asking='' # the command that is under way
stopped=() # processes that stand still

# shellcheck disable=SC2329
at_the_end() {
  local code=$?
  [ ${#stopped[@]} = 0 ] || kill -CONT "${stopped[@]}" 2>/dev/null || :
  kill -KILL ${asking:+"$asking"} ${clients[@]+"${!clients[@]}"} 2>/dev/null || :
  end_daemons
  [ $code = 0 ] || [ $code = 77 ] || echo "once more: DISK_SOAK_SEED=$seed $0 (round $round)" >&2
  cleanup
}
trap at_the_end EXIT
round=0

# --- a cluster ------------------------------------------------------------------------------------

array_size=128M
array_options="resync_min = 40M; resync_max = 40M" # what is rebuilt takes a second
fencing="methods = {\"obituary\", \"command\"}; command = $PWD/fence; delay_ms = 1000"
witness_low() { echo $((($1 - 1) * 16 * mib)); }

begin() {
  local i
  fence_script
  rm -f journal.* "$PWD"/disk-?
  disk_pool=$(echo "$PWD"/disk-{a,b,c,d,e})
  disks=("$PWD/disk-a" "$PWD/disk-b")
  array_level=${DISK_SOAK_LEVEL:-}
  [ "$array_level" ] || pick array_level raid1 raid10
  # shellcheck disable=SC2086
  truncate -s "$array_size" $disk_pool
  if [ "$array_level" = raid1 ]; then
    cluster 3 --size=48M --run
  else
    disks+=("$PWD/disk-c")
    cluster 3 --level=10 --raid-devices=3 --size=32M --run
  fi
  # shellcheck disable=SC2086
  truncate -s "$array_size" $disk_pool
  for i in 1 2 3; do looks_for "$i" "$PWD/disk-?"; done
  start 1 2 3
  active 1 2 3
}

# --- nodes that die ---------------------------------------------------------------------------------

lives() { kill -0 "${supervisor[$1]:-0}" 2>/dev/null; }
# Who is dead, for it was killed, or switched off, is started.
come_back() {
  local i
  for i in 1 2 3; do
    if [ "${supervisor[$i]:-}" ] && ! lives "$i"; then
      reap "$i" || :
      await "n$i has ended, and somebody holds its lock" is_gone "$i"
    fi
    [ "${supervisor[$i]:-}" ] || start "$i"
  done
}
all_active() { come_back; all_are is_active; }

rebuilder() {
  local asked
  for asked; do
    timeout 2 mdcluster locks --json --run-dir="$here_is/n$asked/run" 2>/dev/null |
      jq -r '[.[].resources[] | select(.resource == "resync") | .locks[] |
        select(.held == "EX") | .node_id][0] // empty' && return
  done
}
find_rebuilder() {
  local until=$((SECONDS + 2))
  victim=
  while [ -z "$victim" ] && [ "$SECONDS" -lt "$until" ]; do victim=$(rebuilder 1 2 3); done
  [ "$victim" ] || { pick victim 1 2 3; kind+=" (nobody rebuilds)"; }
}

find_victim() {
  case $class in
  driver) victim=$driver ;;
  rebuilder) find_rebuilder ;;
  bystander)
    sleep "$1"
    victim=$(rebuilder 1 2 3)
    pick other 0 1
    # shellcheck disable=SC2046
    set -- $(for i in 1 2 3; do [ "$i" = "$driver" ] || [ "$i" = "$victim" ] || echo "$i"; done)
    victim=$1
    [ $# = 1 ] || [ "$other" = 0 ] || victim=$2
    return
    ;;
  esac
  sleep "$1"
}

strike() {
  case $kind in
  engine*) kill_engine "$victim" ;;
  node*) kill_node "$victim" ;;
  pause*)
    stopped=("${supervisor[$victim]}" "$(engine_of "$victim")")
    kill -STOP "${stopped[@]}"
    sleep "$pause_s"
    kill -CONT "${stopped[@]}" 2>/dev/null || : # it may have been switched off
    stopped=()
    ;;
  esac
}

# --- what has to be true ------------------------------------------------------------------------------

engines() { local i; for i in 1 2 3; do echo "$(engine_of "$i") "; done; }

# All that lived on have written on. Who is another process now has left its client alone.
end_witnesses() { # ENGINE...: as it began
  local i code
  for i in 1 2 3; do
    if [ "$(engine_of "$i")" = "${!i}" ]; then
      end_witness "$i" 0
      continue
    fi
    kill -TERM "${witness_of[$i]}" 2>/dev/null || :
    code=0
    wait "${witness_of[$i]}" || code=$?
    unset "clients[${witness_of[$i]}]"
    [ "$code" = 0 ] || [ "$code" = 3 ] || fail "the witness on n$i ends with $code: $(cat "witness.$i")"
  done
}

# Who rebuilds before and behind the same of another does so at the same time (B29).
who_rebuilds() {
  local i
  for i in 1 2 3; do
    [ "$i" != "${1:-}" ] && [ ${#stopped[@]} = 0 ] || continue
    says "$i" "$the_array | \"\\(.activity) \\(.is_gate_open)\"" "recovery true" && echo "$i"
  done
  return 0
}
one_rebuilds() {
  local before now
  before=$(who_rebuilds)
  [ "$(wc -l <<<"$before")" -gt 1 ] || return 0
  now=$(who_rebuilds)
  [ "$(comm -12 <(echo "$before") <(echo "$now") | wc -l)" -le 1 ] ||
    { complain; fail "they rebuild together: n$(echo "$now" | paste -sd ' ')"; }
}

# What has no disk to be resynced to is owed until there is one.
is_at_rest() {
  says "$1" "$the_array"' | (.disks_in_sync < .raid_disks) as $lacks | .activity == "" and
    all(.members[]; .state == "active" and .low == .high and (.owes_resync | not or $lacks)) and
    ((.waits == "" and .needed_bytes == 0 and (.is_single_source | not)) or $lacks)' true
}
# comes_to_rest: or what each of them sees
comes_to_rest() {
  local until=$((SECONDS + patience_s)) i
  while ! is_quiet; do
    [ "$SECONDS" -ge "$until" ] || { sleep 0.05; continue; }
    complain
    for i in 1 2 3; do echo "n$i sees $(look "$i"); $(tells "$i" "$the_array | .waits")" >&2; done
    fail "the cluster does not come to rest"
  done
}
is_quiet() {
  one_rebuilds
  all_active && all_agree && ! is_rebuilt && ! has_spare_to_use && all_are is_at_rest
}
is_rebuilt() { says 1 "$the_array"' | any(.disks[]; .state == "rebuild")' true; }
has_spare_to_use() {
  says 1 "$the_array"' | ([.disks[] | select(.state == "spare")] | length > 0) and
    ([.disks[] | select(.state == "in_sync" or .state == "rebuild")] | length) < .raid_disks' true
}

# What it ended with, and said, against what has become of it: that nobody knows is fine, and so
# is that it was done, and only the wait for what comes behind it was in vain.
is_uncertain="any node tells|no mdclusterd answers|was stopped meanwhile: look|^$array: (re-)?added"
check_truth() {
  local said
  said=$(tail -n 1 told)
  case $code in
  0) [ "$outcome" = "done" ] || [ "$outcome" = either ] ||
      { complain; fail "$operation: it says that it was done, and it is: $outcome"; } ;;
  1)
    grep -q '^mdcluster: ' told || fail "$operation ends with 1 and no word of why: $(cat told)"
    case $outcome in
    undone | either | halfway*) ;;
    done)
      grep -qE "$is_uncertain" told ||
        { complain; fail "$operation: it was done, and it says that it was not: $said"; }
      ;;
    *)
      [ "$operation $(sees "$seer" "$old")" = "re_add faulty" ] ||
        { complain; fail "$operation: neither done nor undone: $outcome; it says: $said"; }
      ;;
    esac
    ;;
  *) complain; fail "$operation ends with $code: $(cat told)" ;;
  esac
}

# Of a raid10 of near copies: unit K is on disk 2K % N, row 2K / N, and on the next one.
offset_of() { mdcluster examine --json "$1" | jq '.data_offset_sectors * 512'; }
are_equal() {
  local -a disk offset
  local unit=$((512 * 1024)) n rows k one two
  mapfile -t disk < <(in_use 1)
  n=${#disk[@]}
  for k in "${!disk[@]}"; do offset[k]=$(offset_of "${disk[$k]}"); done
  if [ "$array_level" = raid1 ]; then
    for ((k = 1; k < n; k++)); do
      cmp -n "$(($(size_is 1) * 512))" -i "${offset[0]}:${offset[$k]}" "${disk[0]}" "${disk[$k]}" ||
        { complain; fail "the disks differ"; }
    done
    return
  fi
  rows=$(($(size_is 1) * 512 / unit))
  for ((k = 0; 2 * k + 1 < n * rows; k++)); do
    one=$((2 * k)) two=$((2 * k + 1))
    cmp -n $unit -i "$((offset[one % n] + one / n * unit)):$((offset[two % n] + two / n * unit))" \
      "${disk[$((one % n))]}" "${disk[$((two % n))]}" || { complain; fail "the disks differ"; }
  done
}

# --- a round ---------------------------------------------------------------------------------------------

play() {
  local class=$1 operation driver victim='' kind other pause_s delay_ms code outcome old_roles restart i
  local -a before
  if [ "$class" = rebuilder ]; then
    pick operation "${rebuilding[@]}"
  else
    pick operation "${operations[@]}"
  fi
  pick driver 1 2 3
  pick hand 1 2 3
  pick kind engine node pause
  pick pause_s 0.3 0.9 1.5 3
  pick delay_ms 15 60 250 1000
  pick restart soon late
  delay_ms=$((RANDOM % delay_ms))
  [ "$class" != rebuilder ] || delay_ms=$((RANDOM % 800))
  # shellcheck disable=SC2086
  [ -z "${DISK_SOAK_OPERATIONS:-}" ] || pick operation $DISK_SOAK_OPERATIONS
  [ "$array_level" = raid1 ] || case $operation in copies) operation=add ;; fewer) operation=remove ;; esac
  [ "$kind" != pause ] || kind+=" of $pause_s s"
  pick_disks
  old_roles=$(roles "$hand")
  rm -f fenced
  start_witness 1 2 3
  sleep 0.1
  "prepare_$operation"
  mapfile -t before < <(engines)
  "command_$operation"
  timeout 100 mdcluster "${command[0]}" --run-dir="$here_is/n$driver/run" "${command[@]:1}" >told 2>&1 &
  asking=$!
  find_victim "$(printf '0.%03d' "$delay_ms")"
  printf '%3d %-9s %-9s n%s: %s of n%s after %d ms\n' "$round" "$class" "$operation" "$driver" \
    "$kind" "$victim" "$delay_ms"
  seer=$((victim % 3 + 1)) hand=$seer
  strike
  [ "$restart" = late ] || come_back
  code=0
  wait "$asking" || code=$?
  asking=
  comes_to_rest
  outcome=$("outcome_$operation")
  echo "    $code, $outcome$([ "$code" = 0 ] || echo ": $(tail -n 1 told)")"
  check_truth
  end_witnesses "${before[@]% }"
  for i in 1 2 3; do heard_out "$i" 1 2 3; done
  "mend_$operation"
  await "it is not whole again: $(look 1)" all_are is_whole
  comes_to_rest
  are_equal
}

end_cluster() {
  mapfile -t disks < <(in_use 1)
  idle 1 2 3
  all_see 1 2 3
  stop_daemon 1 2 3
  slots_are_clear
  mdadm_agrees
}

node_network 3
echo "DISK_SOAK_SEED=$seed"
while [ "$round" -lt "$rounds" ]; do
  RANDOM=$((seed % 32768))
  begin
  echo "--- $array_level, seed $seed (at $SECONDS s)"
  for ((k = 0; k < rounds_of_a_cluster && round < rounds; k++)); do
    round=$((round + 1))
    play "${classes[$((round % 3))]}"
  done
  end_cluster
  seed=$((seed + 1))
done
