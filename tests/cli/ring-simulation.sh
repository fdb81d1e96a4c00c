#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ring in the simulator: seeds that once failed, then fresh ones. All
# promises of totem/ring.h hold in each, or the seed is named.
#
#	SIM_SEEDS=100000 bash tests/cli/ring-simulation.sh    a longer run
. "$(dirname "$0")/functions.sh"

if [ -f "$srcdir/tests/sim/seeds.txt" ]; then
  while read -r scenario seed _; do
    case $scenario in '' | '#'*) continue ;; esac
    "$builddir/sim" --scenario "$scenario" --first "$seed" --count 1 >out ||
      fail "$(cat out)"
  done <"$srcdir/tests/sim/seeds.txt"
fi

seeds=${SIM_SEEDS:-600}

simulate() # SCENARIO COUNT [OPTION...]
{
  "$builddir/sim" "${@:3}" --scenario "$1" --first 1 --count "$2" --jobs "$(nproc)" >out ||
    fail "$(cat out)"
}
for scenario in calm lossy chaos; do
  simulate "$scenario" "$seeds"
done
for scenario in storm drizzle death leaps flap oneway evict tardy big multicast lawless groups \
                store hang; do
  simulate "$scenario" $((seeds / 10))
done
# lockspaces: 10 000 where the ring has 6000
simulate locks $((seeds * 5 / 3))
simulate quorum $((seeds / 2))
simulate talk $((seeds * 5 / 6))
simulate hundred $((seeds / 30))
# and on a played corosync
for scenario in groups store hang locks quorum talk; do
  simulate "$scenario" $((seeds / 20)) --engine corosync
done
for scenario in arrays arrays-disks arrays-power arrays-leave arrays-members arrays-fence; do
  simulate "$scenario" $((seeds / 60)) --engine corosync
done
# arrays: 6500 in all where the ring has 6000
simulate arrays $((seeds * 5 / 12))
for scenario in arrays-fence arrays-elsewhere arrays-torn; do
  simulate "$scenario" $((seeds / 20))
done
for scenario in arrays-disks arrays-sectors arrays-power arrays-leave arrays-members arrays-grow; do
  simulate "$scenario" $((seeds * 5 / 48))
done
