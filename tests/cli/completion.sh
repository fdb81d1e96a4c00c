#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion, as bash calls it: arrays come from the daemon, disks from the folder; what
# takes neither is offered neither. (Commands and options: help-and-man-agree.sh.)
# shellcheck source=tests/cli/control-functions.sh
. "$(dirname "$0")/control-functions.sh"
# shellcheck source=/dev/null
. "$srcdir/tools/completion/mdcluster"
compopt() { :; } # for who is called by readline alone
start_daemon healthy
mkdir disks
touch disks/a.img disks/b.img
cd disks

# offers WORDS COMMAND-LINE...: the last word is the one that is completed
offers() {
  local wanted=$1
  shift
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  COMPREPLY=()
  _mdcluster
  expect_equal "after '$*'" "$wanted" "$(printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | tr '\n' ' ' | sed 's/^ *//; s/ $//')"
}

names=$(jq -r '.[0].reply.status.arrays[].name' "$canned/healthy.json" | sort | tr '\n' ' ' | sed 's/ $//')
[ -n "$names" ] || fail "the canned daemon has no arrays"
first=${names%% *}
for command in status stop attach detach detail monitor check repair assemble add re-add remove fail replace manage wait --add --fail -r -W --stop -D -S; do
  offers "$names" mdcluster $command ""
done
offers "$first" mdcluster stop "${first:0:2}"
offers "$names" mdcluster events --array ""
offers "$names" mdcluster events --array = ""
offers "a.img b.img" mdcluster add "$first" ""
offers "a.img b.img" mdcluster replace "$first" a.img --with ""
offers "a.img b.img detached" mdcluster fail "$first" ""
offers "a.img b.img faulty missing" mdcluster re-add "$first" ""
offers "failed faulty" mdcluster remove "$first" fa
offers "a.img b.img" mdcluster examine ""
offers "a.img b.img" mdcluster incremental ""
offers "a.img b.img" mdcluster -I ""
offers "b.img" mdcluster examine a.img b
offers "a.img b.img missing" mdcluster create web ""
offers "" mdcluster create ""
offers "" mdcluster reload ""
offers "incremental" mdcluster inc
offers "--incremental" mdcluster --inc
offers "raid1 raid10" mdcluster create -l rai
offers "nbd" mdcluster attach --via = n
# a daemon that is not there keeps nobody waiting, and says nothing
stop_daemon
offers "" mdcluster stop "" 2>said
[ ! -s said ] || fail "completion talks: $(cat said)"
