# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The cells of the split-brain matrix: how they are written, which there are, and which part of
# a cluster may go on by the rules of votequorum(5), said here once more, in a few lines that
# know nothing of ours. After array-witness.sh.
#
#	N:CUT[/CUT...]:QUORUM:FENCING
#
#	CUT      1,2|3    parts that hear nothing of each other, any number of them; one cut is
#	                  over where the next begins
#	         1,2>3    what 1 and 2 say reaches 3, and nothing comes back
#	         1,2<3    the other way round
#	QUORUM   majority two_node wait_for_all tie_lowest tie_list last_man disk
#	FENCING  none command agent watchdog

quorums="majority two_node wait_for_all tie_lowest tie_list last_man disk"
fencings="none command agent watchdog"

# cells_of_all: one a line. Nodes are alike but for the lowest, and, of a list, the highest.
cells_of_all() {
  local n k way quorum fencing low high
  for n in 2 3 4 5; do
    for ((k = 1; k < n; k++)); do
      low=$(seq -s, 1 "$k") high=$(seq -s, $((k + 1)) "$n")
      for way in '|' '>' '<'; do
        for quorum in $quorums; do
          [ "$quorum" != two_node ] || [ "$n" = 2 ] || continue
          for fencing in $fencings; do
            [ "$quorum.$fencing" = two_node.watchdog ] || echo "$n:$low$way$high:$quorum:$fencing"
          done
        done
      done
    done
  done
}

# cells_by_chance COUNT SEED: the same for the same
cells_by_chance() {
  cells_of_all | awk -v seed="$2" 'BEGIN { srand(seed) } { print rand() "\t" $0 }' | sort | head -n "$1" | cut -f 2
}

# --- what is configured --------------------------------------------------------------------

quorum_of_cell() { # N QUORUM
  case $2 in
  majority) echo ;;
  two_node) echo "two_node = yes" ;;
  wait_for_all) echo "wait_for_all = yes" ;;
  tie_lowest) echo "auto_tie_breaker = yes" ;;
  tie_list) echo "auto_tie_breaker = yes; auto_tie_breaker_node = \"n$1 n1\"" ;;
  last_man) echo "last_man_standing = yes; last_man_standing_window = 500" ;;
  disk) echo "tie_breaker = \"$PWD/tie\"; tie_breaker_io_timeout = 100" ;;
  *) fail "there is no quorum '$2'" ;;
  esac
}

# The lowest of two nodes that shoot each other lives: it is given more time.
fencing_of_cell() { # FENCING
  local user="user = root"
  case $1 in
  none) echo ;;
  command) echo "delay_ms = 300; device switch {; command = $PWD/fence; node n1 {; delay_ms = 4000; }" ;;
  agent) echo "delay_ms = 300; device switch {; agent = $PWD/agent; $user; node n1 {; delay_ms = 4000; }" ;;
  watchdog) echo "delay_ms = 300; device dog {; type = watchdog; }" ;;
  *) fail "there is no fencing '$1'" ;;
  esac
}

# --- parts ----------------------------------------------------------------------------------------

# parts_of CUT: "1 2|3" for each way that it is written in
parts_of() { tr ',<>' ' ||' <<<"$1"; }
has_word() { case " $1 " in *" $2 "*) ;; *) return 1 ;; esac; }

# part_of PARTS NODE: the part that has it
part_of() {
  local part
  while read -rd '|' part; do
    if has_word "$part" "$2"; then echo "$part" && return; fi
  done <<<"$1|"
}

# chance_of PART BASIS N QUORUM: "yes", "no", or "maybe": of such parts exactly one
chance_of() {
  local part=$1 basis=$2 n=$3 quorum=$4 i votes=0 expected=0 first=
  for i in $basis; do
    expected=$((expected + 1))
    ! has_word "$part" "$i" || votes=$((votes + 1))
  done
  case $quorum in
  tie_lowest) first=${basis%% *} ;;
  tie_list) first=$n ;;
  esac
  if [ "$quorum" = disk ] && [ $((2 * votes)) -le $((expected + 1)) ]; then
    # with the disk's vote, of one more that is expected
    [ $((2 * (votes + 1))) -gt $((expected + 1)) ] && echo maybe || echo no
  elif [ "$quorum" = two_node ]; then
    echo yes
  elif [ $((2 * votes)) -gt "$expected" ]; then
    echo yes
  elif [ $((2 * votes)) = "$expected" ] && [ "$first" ] && has_word "$part" "$first"; then
    echo yes
  else
    echo no
  fi
}
