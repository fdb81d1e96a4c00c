#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A disk that holds something is not overwritten, unless forced; what it holds
# is named; and after a forced create nobody finds the old thing any more.
. "$(dirname "$0")/functions.sh"
need mkfs.ext4 sfdisk blkid

create() { mdcluster create web a.img b.img -l mirror -n 2 --home-cluster=alpha "$@"; }

# refuses WHAT: as it is, and nothing changes; --force takes it
refuses() {
  sha256sum a.img b.img >before
  expect_fail 1 create
  case $error in
    *b.img*"$1"*--force*) ;;
    *) fail "'$error' does not name b.img, '$1' and --force" ;;
  esac
  sha256sum --quiet -c before || fail "$1: something was written"
  create --force >/dev/null || fail "$1: --force"
  expect_equal "$1: what blkid finds" linux_raid_member "$(blkid -p -o value -s TYPE b.img)"
  rm -f a.img b.img
  make_disk a.img 64M
  make_disk b.img 64M
}

make_disk a.img 64M
make_disk b.img 64M
mkfs.ext4 -q -F -L backup b.img
refuses "ext4 file system 'backup'"
printf 'label: gpt\n,,L\n' | sfdisk -q b.img
refuses "gpt partition table"
printf 'label: dos\n,,L\n' | sfdisk -q b.img
refuses "dos partition table"
rm -f b.img
make_array old b.img c.img
refuses "linux_raid_member 'old'"

# two at once: an old array and, behind it, a file system's signature
mkfs.ext4 -q -F b.img
make_array old b.img c.img --force
create --force >/dev/null || fail "--force over an array"
mdcluster -E b.img | grep -q 'Name : .*web' || fail "the new array is not there"

# a disk much larger than the other: asked, or told with --run
make_disk a.img 64M
make_disk b.img 128M
expect_fail 1 create --force
case $error in *--run*) ;; *) fail "'$error' does not name --run" ;; esac
create --force --run --quiet || fail "--run"

# one that is in use as a whole
if [ "$(id -u)" -eq 0 ] && command -v mkfs.ext4 >/dev/null; then
  make_disk fs.img 64M
  mkfs.ext4 -q -F fs.img
  with_loop fs.img
  mkdir mnt
  if mount "$loop" mnt 2>/dev/null; then
    expect_fail 1 mdcluster create web "$loop" missing -l mirror -n 2 --home-cluster=alpha --force
    umount mnt
    case $error in *"in use"*) ;; *) fail "'$error' does not say that it is in use" ;; esac
  fi
fi
