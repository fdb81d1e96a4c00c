#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What we say of a kernel that runs md-cluster, beside that kernel; and what we say is to be
# typed to take its array over, typed. Two machines resync and write: `mdcluster status` tells
# nodes, slots, windows and progress as they are, on the node that resyncs and on the one that
# waits. Then `mdcluster migrate --check` is obeyed to the letter: the array runs under
# mdclusterd, and is written there; and back, and the kernel's own check finds nothing. No byte is
# lost on the way.
. "$(dirname "$0")/../cli/functions.sh"
. "$srcdir/tests/cli/array-functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab

# --- the kernel's array, which resyncs -----------------------------------------------------------

lab disk a 40M
lab disk b 40M
use_disks a b
boot 2
kernel_cluster 2 1 2
speed() { # KIB-PER-SECOND
  local n
  for n in 1 2; do on "$n" "echo $1 >/proc/sys/dev/raid/speed_limit_max; echo $1 >/proc/sys/dev/raid/speed_limit_min" >/dev/null; done
}
speed 300
on 1 "mdadm --create /dev/md0 --name=web --run --bitmap=clustered --bitmap-chunk=64K --nodes=4 \
  --home-cluster=$home_cluster --metadata=1.2 --level=mirror -n2 $devices" >created
kernel_assemble 2
lab flush
truncate -s "$(data_bytes)" before # the disks were new
kernel_witness 1 2

# --- what is told of it, while it resyncs ----------------------------------------------------------

told() { # N: by mdcluster status, to people and to programs, between two looks of ours at the progress
  try_on "$1" 'exec 2>/tmp/err; cd /sys/block/md0/md; cut -d" " -f1 sync_completed
    mdcluster status --kernel --json | tr -d "\n"; echo; cut -d" " -f1 sync_completed
    mdcluster status --kernel; echo "code $?"' >told || fail "machine $1: mdcluster status: $(cat told)"
  sed -n 1p told >progress.before
  sed -n 2p told >told.json
  sed -n 3p told >progress.after
}
says() { # WORDS...
  local words
  for words; do grep -qE -- "$words" told || fail "'$words' is not in: $(sed 1,3d told)"; done
}
is() { # JQ: true of its array
  jq -e ".arrays | length == 1 and (.[0] | $1)" told.json >/dev/null || fail "$1 is not so: $(cat told.json)"
}

told 1
is '.own_slot == 0 and .nodes == [1, 2] and .cluster == "'$home_cluster'" and (.name | endswith(":web")) and
  .activity == "resync" and .waits == null and .resyncer == 1 and .unseen == []'
is ".done_sectors >= $(cat progress.before) and .done_sectors <= $(cat progress.after) and .total_sectors == .size_bytes / 512"
is '(.slots | length) == 4 and (.slots[0] | .state == "active" and .is_self and .node == 1 and
  .window_low_sectors <= '"$(cat progress.after)"' and .window_high_sectors > '"$(cat progress.before)"')'
says '^md0 +raid1 +active .*run by the kernel' "cluster $home_cluster" 'in use on 2 nodes: +1\* +2' 'resync = +[0-9.]+%' \
  '^ +0 +1\* +resyncs ' 'code 1$'
low=$(jq '.arrays[0].slots[0].window_low_sectors' told.json) high=$(jq '.arrays[0].slots[0].window_high_sectors' told.json)
size=$(jq '.arrays[0].total_sectors' told.json)

# the other machine waits, and is kept from writing into the window, and from nothing else
told 2
is '.own_slot == 1 and .nodes == [1, 2] and .waits == "PENDING" and .activity == "resync" and
  (.slots[1] | .state == "active" and .is_self and .node == 2 and .window_low_sectors == .window_high_sectors)'
is '.slots[0] | .state == "unknown" or (.state == "active" and .node == 1 and .window_high_sectors > 0)'
says 'in use on 2 nodes: +1 +2\*' 'resync waits: another node has its turn' '^ +1 +2\* +active' 'code 1$'
inside=$(((low + high) / 2)) outside=$(((high + size) / 2))
echo "window of node 1: sectors $low to $high, of $size"
on 2 "dd if=/dev/zero of=/dev/md0 bs=4k count=1 seek=$((inside / 8)) oflag=direct 2>/dev/null & echo \$! >/tmp/inside.pid
  dd if=/dev/zero of=/dev/md0 bs=4k count=1 seek=$((outside / 8)) oflag=direct 2>/dev/null"
is_inside_held() { try_on 2 '[ -d /proc/$(cat /tmp/inside.pid) ]' >/dev/null; }
is_inside_held || fail "node 2 writes into the window that status tells of"
told 1
is ".slots[0].window_low_sectors <= $inside and .slots[0].window_high_sectors > $inside"

# --- ... and when it is at rest ----------------------------------------------------------------------

speed 200000
kernel_idle 1
kernel_idle 2
until_on 2 "what was held in the window is never written" '[ ! -d /proc/$(cat /tmp/inside.pid) ]'
kernel_end_witness 1 2
# bits go after a while, so both are asked until nothing went in between
dirty_of_mdadm() { on 1 'mdadm -X /dev/vda' | sed -n 's/.*(chunks), \([0-9]*\) dirty.*/\1/p' | tr '\n' ' '; }
bits_agree() {
  local mdadm
  mdadm=$(dirty_of_mdadm)
  told 1
  [ "$mdadm" = "$(jq -r '.arrays[0].slots[].dirty_chunks' told.json | tr '\n' ' ')" ]
}
for _ in 1 2 3 4 5 6 7 8; do bits_agree && break; done
bits_agree || fail "dirty bits: mdadm says $(dirty_of_mdadm), we: $(cat told.json)"
is '.waits == null and .done_sectors == null and .resyncer == null and .health == "fine"'
says 'code 0$'
told 2
is '.own_slot == 1 and .nodes == [1, 2]'
says 'code 0$'
echo "status: told as it is, on the node that resyncs and on the other (at $SECONDS s)"

# --- what migrate --check says, typed --------------------------------------------------------------

# What a package and its owner's habits have made; and a systemd of few words.
for n in 1 2; do
  on "$n" "mkdir -p /etc/mdcluster /etc/mdadm /run/mdcluster /var/lib/mdcluster /dev/md; echo mdcluster:x:900: >>/etc/group
cat >/bin/systemctl <<'END'
#!/bin/sh
case \"\$*\" in
'enable --now mdclusterd') setsid mdclusterd </dev/null >>/tmp/mdclusterd.log 2>&1 & sleep 1; kill -0 \$! ;;
'enable --now corosync dlm') pidof dlm_controld >/dev/null || cluster-up 2 ;;
*) echo \"systemctl \$*: what is that?\" >&2; exit 1 ;;
esac
END
chmod +x /bin/systemctl" >/dev/null
done

# Of what is to end first there is nothing here; and mdadm is content with what it waited for alone.
may_fail() { # N COMMAND OUTPUT
  case $2 in
    umount\ *) ! try_on "$1" "grep -q '^/dev/md' /proc/mounts" >/dev/null ;;
    "mdcluster detach "*) grep -q 'is not attached' "$3" ;;
    "mdadm --wait "*) [ ! -s "$3" ] ;;
    *) false ;;
  esac
}
typed() { # N COMMAND
  echo "n$1\$ $2"
  try_on "$1" "$2" >"typed.$1" 2>&1 || may_fail "$1" "$2" "typed.$1" ||
    { machine_complains "$1"; echo "machine $1: '$2' fails: $(cat "typed.$1"; try_on "$1" 'tail -n 20 /tmp/mdclusterd.log')"; return 1; }
}
# A file's part, as its step says where it belongs
edited() { # N FILE TEXT WHY
  case $4 in
    *"take out its line ARRAY <ignore>"*) on "$1" "sed -i '/^ARRAY <ignore>/d' $2" >/dev/null ;;
    *"auto = no, in its section; then mdcluster reload"*)
      on "$1" "sed -i '/^array .*{/a auto = no' $2 && mdcluster reload" >/dev/null
      on "$1" "grep -q 'auto = no' $2"
      return ;;
  esac
  on "$1" "cat >>$2 <<'END'
$(sed "s/^this_node = node1$/this_node = node$1/" <<<"$3")
END"
}
nodes_of() { # WHERE
  case $1 in
    "every node") echo 1 2 ;;
    "one node") echo 1 ;;
    "the other nodes") echo 2 ;;
    *) fail "where is '$1'?" ;;
  esac
}
obey() { # WORD...: of migrate --check, on machine 1
  local i n where file text why jobs
  on 1 "mdcluster migrate --check --json $*" >steps.json
  on 1 "mdcluster migrate --check $*" >steps.txt
  jq -e '.is_possible' steps.json >/dev/null || fail "it cannot move: $(cat steps.txt)"
  for ((i = 0; i < $(jq '.steps | length' steps.json); i++)); do
    where=$(jq -r ".steps[$i].where" steps.json) file=$(jq -r ".steps[$i].file // empty" steps.json)
    text=$(jq -r ".steps[$i].text" steps.json) why=$(jq -r ".steps[$i].why" steps.json)
    [ -n "$file" ] || grep -qF -- "\$ $text" steps.txt || fail "people are not told of '$text': $(cat steps.txt)"
    jobs=()
    for n in $(nodes_of "$where"); do
      if [ -n "$file" ]; then
        edited "$n" "$file" "$text" "$why"
      else # on all of them at once, as some wait for the others
        typed "$n" "$text" &
        jobs+=($!)
      fi
    done
    for n in "${jobs[@]}"; do wait "$n" || fail "step $((i + 1)) of: $(cat steps.txt)"; done
    # "then copy it to the others, readable by root alone"
    [ "$text" != "mdcluster keygen" ] ||
      on 2 "echo '$(on 1 'base64 /etc/mdcluster/key')' | base64 -d >/etc/mdcluster/key; chmod 400 /etc/mdcluster/key"
  done
}
nothing_is_lost() { # WHO
  lab flush
  array_image now "$1"
  witnesses_agree before now
  mv now before
  for n in 1 2; do : >"$(journal_vm kernel "$n")"; done
}

! try_on 1 'mdcluster migrate --check --to-kernel md0' >told 2>&1 || fail "the kernel has it, and it may move there: $(cat told)"
obey md0
nothing_is_lost "when it had come to mdclusterd"
for n in 1 2; do
  expect_equal "node $n" active "$(on "$n" 'mdcluster status --json' | jq -r '(.status // .).arrays[0].state')"
  on "$n" "! grep -q '^md' /proc/mdstat"
  on "$n" "[ -c /dev/journal ] || exit 1; setsid vm-witness write /dev/journal nbd:/run/mdcluster/web.nbd:web \
    $(witness_low_vm kernel "$n") $witness_bytes_vm >/tmp/witness.log 2>&1 & echo \$! >/tmp/witness.pid" >/dev/null
done
sleep 2
kernel_end_witness 1 2
! try_on 1 "mdcluster migrate --check $devices" >told 2>&1 || fail "mdclusterd has it, and it may move there: $(cat told)"
echo "migrate: it is ours (at $SECONDS s)"

obey --to-kernel "$devices"
nothing_is_lost "when it was the kernel's again"
for n in 1 2; do md=$(basename "$(on "$n" 'readlink -f /dev/md/web')") kernel_idle "$n"; done
md=$(basename "$(on 1 'readlink -f /dev/md/web')") kernel_check 1
echo "migrate: it is the kernel's again, whose check finds nothing (at $SECONDS s)"
