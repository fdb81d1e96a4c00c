# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What people do with the disks of an array that runs, for tests that interrupt it. After
# array-functions.sh. An array is whole where each of its roles has a disk in sync, and there
# is no other one. From there an OPERATION has
#
#	prepare_OPERATION     brings the array where it makes sense, with nothing interrupted
#	command_OPERATION     what the driver is asked, in `command`
#	outcome_OPERATION     when the cluster is quiet again: `done`, `undone`, or what it is else
#	mend_OPERATION        ... and what a person does to have a whole array again
#
# In between, these say on which disks: `old` is in use, `new` is no member. What a person does
# is asked of node `hand`, and what has come of it is seen by node `seer`: one that has lived on.
# (A node that starts shows a disk that was removed before as faulty, if that is there: nothing on
# the disks tells these two from each other. So faulty disks are left out where nodes are compared.)
#
#	look I                what node I sees of the array's disks, in one line
#	sees I DISK           in_sync, rebuild, spare, faulty; "" of no member

array_level=${array_level:-raid1}
disk_pool=${disk_pool:-}
hand=1 seer=1 old='' new='' old_size='' command=()

look() {
  tells "$1" "$the_array"' | "\(.raid_disks) of \(.member_sectors) sectors:" + ([.disks[] |
    select(.path != "" and .state != "faulty") | " \(.path | sub(".*/disk-"; ""))=\(.state)\(if .state == "in_sync" or
    .state == "rebuild" then "@\(.role)" else "" end)"] | sort | join(""))'
}
sees() { tells "$1" "$the_array | [.disks[] | select(.path == \"$2\") | .state] | join(\" \")"; }
disk_is() { [ "$(sees "$1" "$2")" = "$3" ]; }
roles() { tells "$1" "$the_array | .raid_disks"; }
size_is() { tells "$1" "$the_array | .member_sectors"; }
# in_use I: disks in sync, by role
in_use() { tells "$1" "$the_array"' | [.disks[] | select(.state == "in_sync")] | sort_by(.role)[].path'; }
is_out() { [ "$(sees "$1" "$2" | sed 's/^faulty$//')" = "" ]; }
is_whole() {
  says "$1" "$the_array"' | "\(.disks_in_sync - .raid_disks) \([.disks[] |
    select(.state == "spare" or .state == "rebuild")] | length)"' "0 0"
}
all_are() { # COMMAND...: of every node; I is put behind its first word
  local i
  for i in 1 2 3; do "$1" "$i" "${@:2}" || return 1; done
}
all_agree() { local l; l=$(look 1) && [ "$l" ] && [ "$(look 2)" = "$l" ] && [ "$(look 3)" = "$l" ]; }

# by_hand COMMAND...: it is done, within a time that a person waits
by_hand() {
  timeout 100 mdcluster "$1" --run-dir="$here_is/n$hand/run" "${@:2}" >by_hand 2>&1 ||
    { complain; fail "n$hand: $*: $?: $(cat by_hand)"; }
}
pick() { # VARIABLE WORD...
  local -n to=$1
  local at=$((RANDOM % ($# - 1) + 2))
  # shellcheck disable=SC2034
  to=${!at}
}
pick_disks() {
  local used disk free=()
  used=$(in_use "$hand")
  for disk in $disk_pool; do
    grep -qxF "$disk" <<<"$used" || free+=("$disk")
  done
  # shellcheck disable=SC2086
  pick old $used
  pick new "${free[@]}"
}
fail_and_remove() {
  by_hand fail "$array" "$1"
  by_hand remove "$array" "$1"
  await "$1 is there still" all_are is_out "$1"
}
# What may hold anything becomes what holds nothing.
blank() {
  local i
  for i in 1 2 3; do
    [ "$(sees "$i" "$1")" != faulty ] || ask "$i" remove "$array" "$1" || fail "$1: remove failed"
  done
  ! mdcluster examine "$1" >/dev/null 2>&1 || mdcluster zero --quiet "$1" || fail "$1: zero failed"
}
back() {
  by_hand add --wait "$array" "$1"
  await "$1 is not in sync" all_are disk_is "$1" in_sync
}
# is_now DISK: as sees(), of the seer; what is no member may have been one, once
is_now() { sees "$seer" "$1" | sed 's/^faulty$//'; }
# as_one DISK STATE_DONE STATE_UNDONE: what has become of it
as_one() {
  case "$(is_now "$1")" in
  "$2") echo "done" ;;
  "$3") echo "undone" ;;
  *) look "$seer" ;;
  esac
}

# --- a spare -------------------------------------------------------------------------------

prepare_spare() { blank "$new"; }
command_spare() { command=(add --spare "$array" "$new"); }
outcome_spare() { as_one "$new" spare ""; }
mend_spare() { [ "$(is_now "$new")" = "" ] || by_hand remove "$array" "$new"; }

# --- a role without a disk gets a new one -----------------------------------------------------

prepare_add() {
  fail_and_remove "$old"
  [ $((RANDOM % 2)) = 0 ] || blank "$new" # it may have been a member once
}
command_add() { command=(add --wait "$array" "$new"); }
outcome_add() { as_one "$new" in_sync ""; }
mend_add() { [ "$(sees "$seer" "$new")" = in_sync ] || back "$new"; }

# --- ... or what it had -----------------------------------------------------------------------

prepare_re_add() {
  fail_and_remove "$old"
  sleep 0.3 # it misses something
}
command_re_add() { command=(re-add --wait "$array" "$old"); }
outcome_re_add() { as_one "$old" in_sync ""; }
mend_re_add() {
  [ "$(sees "$seer" "$old")" != faulty ] || by_hand remove "$array" "$old"
  [ "$(sees "$seer" "$old")" = in_sync ] || by_hand re-add --wait "$array" "$old"
}

# --- a disk fails -------------------------------------------------------------------------------

prepare_fail() { :; }
command_fail() { command=(fail "$array" "$old"); }
outcome_fail() { as_one "$old" "" in_sync; }
mend_fail() {
  [ "$(sees "$seer" "$old")" != in_sync ] || by_hand fail "$array" "$old"
  by_hand remove "$array" "$old"
  back "$old"
}

# --- ... and a spare has its role ---------------------------------------------------------------

prepare_fail_over() {
  blank "$new"
  by_hand add --spare "$array" "$new"
}
command_fail_over() { command=(fail "$array" "$old"); }
outcome_fail_over() {
  case "$(is_now "$old") $(is_now "$new")" in
  " in_sync") echo "done" ;;
  "in_sync spare") echo "undone" ;;
  *) look "$seer" ;;
  esac
}
mend_fail_over() {
  if [ "$(sees "$seer" "$old")" = in_sync ]; then
    by_hand remove "$array" "$new"
  else
    by_hand remove "$array" "$old"
  fi
}

# --- a disk that failed goes --------------------------------------------------------------------

prepare_remove() { by_hand fail "$array" "$old"; }
command_remove() { command=(remove "$array" "$old"); }
outcome_remove() {
  case "$(sees "$seer" "$old")" in
  "") echo "done" ;;
  faulty) echo "undone" ;;
  *) look "$seer" ;;
  esac
}
mend_remove() {
  [ "$(sees "$seer" "$old")" = "" ] || by_hand remove "$array" "$old"
  back "$old"
}

# --- another one in place of one that works --------------------------------------------------

prepare_replace() { blank "$new"; }
command_replace() {
  command=(replace "$array" "$old" --with "$new")
  [ "$array_level" = raid1 ] || command+=(--force --yes)
}
# What it is else: it goes on from there.
outcome_replace() {
  case "$(sees "$seer" "$old") $(is_now "$new") $(roles "$seer")" in
  " in_sync $old_roles") echo "done" ;;
  "in_sync  $old_roles") echo "undone" ;;
  *) echo "halfway: $(look "$seer")" ;;
  esac
}
mend_replace() {
  [ "$(outcome_replace)" != undone ] || return 0
  command_replace
  by_hand "${command[@]}"
}

# --- a larger array ---------------------------------------------------------------------------

prepare_size() { old_size=$(size_is "$hand"); }
command_size() { command=(grow "$array" --size="$((old_size + 4096))s"); }
outcome_size() {
  case $(size_is "$seer") in
  "$old_size") echo "undone" ;;
  *) # in whole chunks where it has some
    if [ "$(size_is "$seer")" -gt "$old_size" ]; then echo "done"; else look "$seer"; fi
    ;;
  esac
}
mend_size() { :; }

# --- a copy more, and a copy less ---------------------------------------------------------------

prepare_copies() {
  blank "$new"
  by_hand add --spare "$array" "$new"
}
command_copies() { command=(grow "$array" --raid-devices=$((old_roles + 1))); }
outcome_copies() {
  case "$(roles "$seer") $(sees "$seer" "$new")" in
  "$old_roles spare") echo "undone" ;;
  "$((old_roles + 1)) in_sync") echo "done" ;;
  *) look "$seer" ;;
  esac
}
mend_copies() {
  [ "$(sees "$seer" "$new")" != in_sync ] || by_hand fail "$array" "$new"
  by_hand remove "$array" "$new"
  [ "$(roles "$seer")" = "$old_roles" ] || by_hand grow "$array" --raid-devices="$old_roles"
}

prepare_fewer() {
  prepare_copies
  by_hand grow "$array" --raid-devices=$((old_roles + 1))
  await "$new is not in sync" all_are disk_is "$new" in_sync
  idle 1 2 3
  fail_and_remove "$new"
}
command_fewer() { command=(grow "$array" --raid-devices="$old_roles"); }
outcome_fewer() {
  case "$(roles "$seer")" in
  "$old_roles") echo "done" ;;
  "$((old_roles + 1))") echo "undone" ;;
  *) look "$seer" ;;
  esac
}
mend_fewer() { [ "$(roles "$seer")" = "$old_roles" ] || by_hand grow "$array" --raid-devices="$old_roles"; }

# --- all of it is compared --------------------------------------------------------------------

prepare_scrub() { :; }
command_scrub() { command=("$1" "$array"); }
# It leaves nothing behind, whatever came of it.
outcome_scrub() { echo either; }
mend_scrub() { :; }
prepare_check() { prepare_scrub; }
command_check() { command_scrub check; }
outcome_check() { outcome_scrub; }
mend_check() { mend_scrub; }
prepare_repair() { prepare_scrub; }
command_repair() { command_scrub repair; }
outcome_repair() { outcome_scrub; }
mend_repair() { mend_scrub; }
