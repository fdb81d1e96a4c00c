#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# mdcluster locks, of dumps: what an admin sees of a broadcast under way, of a node
# that is gone, of what is rare; and that no dump can make a terminal do anything.
. "$(dirname "$0")/functions.sh"
need jq

dumps=$srcdir/tests/data/locks
show() { mdcluster locks --file="$dumps/$1.json" "${@:2}"; }

# is WHAT WANTED COMMAND...: its output, blanks at the ends of lines aside
is() {
  local what=$1 wanted=$2
  shift 2
  expect_equal "$what" "$wanted" "$("$@" | sed 's/ *$//')"
}

# --- whole pages -----------------------------------------------------------------
is "a broadcast under way" \
  'as node1 saw it, Sat Nov 21 14:30:05 2026

lockspace 58b0fcf4-fe50-446f-800b-17ae4f8f8cc2: generation 3, epoch n1.11, 5120 operations
  members: node1 (slot 0), node2 (slot 1), node3 (slot 2)
RESOURCE   NODE  SLOT HELD WANTS QUEUE      WAITS FOR VALUE
ack        node3    2 CR   -     granted
ack        node2    1 CR   EX    converting node3
bitmap0000 node1    0 PW   -     granted              no resync
bitmap0001 node2    1 PW   -     granted              resync 12.0-12.5 GiB by node2
bitmap0002 node3    2 PW   -     granted
message    node2    1 CW   -     granted              resync 12.0-12.5 GiB by node2 (message 412)
message    node3    2 CR   -     granted
message    node1    0 CR   PR    converting node2
no-new-dev node1    0 CR   -     granted
no-new-dev node2    1 CR   -     granted
no-new-dev node3    2 CR   -     granted
resync     node2    1 EX   -     granted
resync     node1    0 NL   EX    converting node2
token      node2    1 EX   -     granted
left out: 4 locks that hold NL and want no more (--all shows all)' \
  show broadcast

is "a node is gone, and its death not proven" \
  'as node2 saw it, Sat Nov 21 14:30:05 2026

lockspace 58b0fcf4-fe50-446f-800b-17ae4f8f8cc2: generation 4, epoch n1.12, 77 operations
  FROZEN, nothing is granted: node3: missing, and nobody has said that it is dead
  goes on: when node3 is back, or proven dead: by a fence agent, or by an operator'\''s confirm-dead
  members: node1 (slot 0), node2 (slot 1), node3 (slot 2, missing)
RESOURCE   NODE            SLOT HELD WANTS QUEUE      WAITS FOR    VALUE
bitmap0002 node3 (missing)    2 PW   -     granted                 resync 1.0-33.0 MiB by node3
bitmap0002 node1              0 -    PW    waiting    node3
bitmap0002 node2              1 -    PW    waiting    node3
no-new-dev node1              0 CR   -     granted
no-new-dev node3 (missing)    2 CR   -     granted
no-new-dev node1              0 -    EX    waiting    node1, node3
no-new-dev node2              1 -    CR    waiting    behind node1
token      node3 (missing)    2 EX   -     granted
token      node1              0 NL   EX    converting node3
left out: 2 resources that nobody waits for
left out: 1 lock that holds NL and wants no more (--all shows all)' \
  show frozen --waiting

is "no lockspaces" 'as #1 saw it, Sat Nov 21 14:30:05 2026
no lockspaces' show empty

is "the last steps, of all resources, by time" \
  '       AGO RESOURCE NODE  LOCK STEP    FROM TO RESULT
9.000000 s token    node1    1 request -    NL
9.000000 s token    node1    1 grant   -    NL
0.061000 s token    node2    1 convert NL   EX
0.060000 s token    node2    1 grant   NL   EX
0.055000 s message  node2    2 grant   EX   CW
0.050000 s ack      node2    3 convert CR   EX
0.050000 s ack      node1    3 blocked CR   EX
0.050000 s ack      node3    3 blocked CR   EX
0.031000 s ack      node1    3 convert CR   NL
0.031000 s ack      node1    3 grant   CR   NL
0.030000 s message  node1    2 convert CR   PR' \
  bash -c 'mdcluster locks --history --file="$0" | sed -n "/AGO/,\$p"' "$dumps/broadcast.json"

# --- lines ------------------------------------------------------------------------
# has WHAT LINE COMMAND...: one line that begins so, runs of blanks as one
has() {
  local what=$1 line=$2
  shift 2
  "$@" | tr -s ' ' | grep -qF -- "$line" || fail "$what: no line '$line' in: $("$@")"
}
has "an orphan" "VGLK node7 (orphan) 0 PR - granted 000102feff..." show rare lvm_global
has "a node without a name or slot" "VGLK #9 - CR - granted" show rare lvm_global
has "a name of bytes" '\x00\x01\x80\xff node7 0 EX' show rare lvm_global
has "a value of nobody's slot, whose writer died" \
  "bitmap0031 - not valid: resync 1.0-33.0 MiB by slot 31" show rare lvm_global
has "flags" "VALBLK, PERSISTENT" show rare lvm_global --all
has "what was refused" "4.000000 s VGLK b\\x1b[31mox 3 refuse - - EDEADLK" \
  show rare lvm_global --history
has "who refused a message" \
  'nack - message 411 refused: node3 cannot find the disk: no /dev/sdc \xc3\xa4, and 1 more' show frozen
has "NL with --all" "message b\\x1b[31mox - NL - granted" show rare lvm_global --all
has "no quorum" "FROZEN, nothing is granted: this node's part of the cluster has no quorum; missing: b\\x1b[31mox" \
  show rare
[ "$(show rare lvm_global -q | grep -c '^left out')" -eq 0 ] || fail "--quiet says what is left out"
[ "$(show rare lvm_global --all | grep -c '^left out')" -eq 0 ] || fail "--all leaves something out"
LC_ALL=C.UTF-8 show broadcast | grep -q 'resync 12.0–12.5 GiB by node2' ||
  fail "no real dash where there is one"
[ -z "$(show rare --all --history | tr -d '\n\040-\176')" ] ||
  fail "the table has bytes that are no printable ASCII"

# what totem-cat wrote of three processes, one killed
has "a real one" "ack node3 (missing) 2 CR EX converting node2" show killed
has "a real one" "message node1 0 CR PR converting node3" show killed
has "a real one" 'FROZEN, nothing is granted: node3: missing' show killed
has "a real one" 'token node2 2097152 refuse NL EX ECANCELED' show killed --history

# --- which lockspace ----------------------------------------------------------------
uuid=58b0fcf4-fe50-446f-800b-17ae4f8f8cc2
for name in "$uuid" 58b0fcf4:fe50446f:800b17ae:4f8f8cc2 58b0 5; do
  expect_equal "as $name" "$uuid" "$(show broadcast --json "$name" | jq -r .lockspace)"
done
expect_equal "by its spelling" '\x00\xff\x5c' "$(show rare -J '\x00\xff\x5c' | jq -r .lockspace)"
jq -c '.lockspaces += [.lockspaces[0] | .name += "-old"]' "$dumps/broadcast.json" >two.json
expect_equal "one that is whole, though another begins so" "$uuid" \
  "$(mdcluster locks --file two.json -J $uuid | jq -r .lockspace)"
expect_fail 1 mdcluster locks --file two.json 58b0
[[ $error == *"2 lockspaces begin with '58b0'"* ]] || fail "two are meant: $error"
expect_fail 1 mdcluster locks --file two.json md0
[[ $error == *"no lockspace 'md0'"*"$uuid-old"* ]] || fail "none is meant: $error"

# --- standard input; JSON and table tell the same ---------------------------------------
expect_equal "from standard input" "$(show frozen --all)" \
  "$(mdcluster locks --file - --all <"$dumps/frozen.json")"
expect_equal "locks that wait" "$(show frozen | grep -cE ' (waiting|converting) ')" \
  "$(show frozen -J | jq '[.[].resources[].locks[] | select(.wants)] | length')"
expect_equal "all locks" "$(show frozen --all | grep -cE '(granted|waiting|converting) ')" \
  "$(show frozen -J | jq '[.[].resources[].locks[]] | length')"
expect_equal "who waits for whom" "node1 node1 node3" \
  "$(show frozen -J | jq -r '.[].resources[].locks[] | select(.wants == "EX" and .held == null) |
    [.node] + .waits_for | join(" ")')"
expect_equal "a message of the kernel" '["NEWDISK",1,null,4,"c424e86d:883f45c1:a33a040c:3a9f001a"]' \
  "$(show frozen -J | jq -c '.[].resources[].message | values | [.type, .slot, .sequence, .disk, .uuid]')"
expect_equal "a refusal" '[2,411,2,"no /dev/sdc \\xc3\\xa4"]' \
  "$(show frozen -J | jq -c '.[].resources[].nack | values | [.slot, .sequence, .count, .text]')"
expect_equal "a window in sectors" '[25165824,26214400]' \
  "$(show broadcast -J | jq -c '.[].resources[] | select(.resource == "bitmap0001") | .window |
    [.low_sectors, .high_sectors]')"

# --- a table that is wrong is shown, and told ---------------------------------------------
jq -c '(.lockspaces[0].resources[] | select(.name == "token") | .locks[0].granted) = "CR"' \
  "$dumps/broadcast.json" >wrong.json
expect_fail 1 mdcluster locks --file wrong.json
[[ $error == *"lockspace '$uuid': resource 'token': "*"node1 holds CR and node2 EX, which exclude"* ]] ||
  fail "two that exclude each other: $error"
[[ $out == *"token      node1    0 CR "* ]] || fail "what is wrong is not shown: $out"
