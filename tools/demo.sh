#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What this project does today, on two disks that are files: creates a clustered
# array, dirties chunks in three nodes' slots, and shows that mdadm, where it is
# installed, reads the very same from the disks.
set -euo pipefail

folder=$(mktemp -d)
loop=
cleanup() {
  [ -z "$loop" ] || losetup -d "$loop" || true
  rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

say() { printf '\n# %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

say "Two disks of 256 MiB that both nodes could see."
show truncate -s 256M disk-a disk-b

say "A clustered mirror for four nodes of the cluster 'alpha'."
show mdcluster create web disk-a disk-b --level=mirror --raid-devices=2 \
  --nodes=4 --home-cluster=alpha --bitmap-chunk=256K --assume-clean

say "Nodes 0, 1 and 3 were writing when the lights went out: their chunks are dirty."
show mdcluster update --mark=0:10-25 --mark=1:300-419 --mark=3:1000 disk-a disk-b

say "Where the dirty chunks are, slot by slot."
show mdcluster examine-bitmap --map disk-a

say "The cluster gets two more nodes and a new name; no dirty bit is lost, no resync forced."
show mdcluster update --nodes=6 --home-cluster=beta disk-a disk-b
show mdcluster examine disk-a

dirty() { sed -n 's/^          Bitmap : .*(chunks), \([0-9]*\) dirty.*/\1/p' | tr '\n' ' '; }
ours=$(mdcluster examine-bitmap disk-a | dirty)
say "Dirty chunks of slots 0 to 5, as we read them:   $ours"
[ "$ours" = "16 120 0 1 0 0 " ] || { echo "demo: that is not what was written" >&2; exit 1; }

if ! command -v mdadm >/dev/null; then
  say "mdadm is not installed: it cannot be asked."
elif ! loop=$(losetup -f --show -r disk-b 2>/dev/null); then
  loop=
  say "No loop device is to be had (are you root?): mdadm -X needs one, so it cannot be asked."
else
  theirs=$(mdadm -X "$loop" | dirty)
  say "... and as mdadm reads them from the other disk:  $theirs"
  [ "$ours" = "$theirs" ] || { echo "demo: mdadm does not agree" >&2; exit 1; }
  mdadm -E "$loop" | grep -q 'Checksum : .* - correct' ||
    { echo "demo: mdadm finds the checksum wrong" >&2; exit 1; }
  say "mdadm agrees."
fi
