#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One owner (rule 8): what the kernel of this host runs, no command writes to, by whatever path
# the disk is named, and whatever is forced; when the kernel has let go of it, they do. That a
# device which something holds is refused by the name of what holds it is shown where there is
# a device-mapper.
# shellcheck source=tests/cli/kernel-functions.sh
. "$(dirname "$0")/kernel-functions.sh"
need sha256sum

# the disks by the names that the kernel has, and by others: a second path to the same LUN
host dirty 1
cp "$root/dev/vda" a.img
cp "$root/dev/vdb" b.img

# refused CMD...: it names the array and how it is stopped, and nothing is written
refused()
{
	sha256sum a.img b.img "$root"/dev/vd? >before
	expect_fail 1 mdcluster "$@"
	case $error in
	*"the kernel of this host runs its array, as /dev/md0"*"mdadm --stop /dev/md0"*) ;;
	*) fail "'$*' does not say who runs it: $error" ;;
	esac
	sha256sum a.img b.img "$root"/dev/vd? >after
	cmp -s before after || fail "'$*' was refused, and wrote"
}

for disks in "a.img b.img" "$root/dev/vda $root/dev/vdb"; do
	# shellcheck disable=SC2086 # two words
	{
		refused update --name=new $disks
		refused update --nodes=2 $disks
		refused update --gather $disks
		refused update --uuid=random $disks
		refused grow --size=max $disks
		refused grow --bitmap=none $disks
		refused zero ${disks% *}
		refused zero --force ${disks% *}
		refused create db --level=1 -n2 --home-cluster=alpha --force $disks
	}
done
# gathered, and not started: it is the kernel's all the same
echo inactive >"$md/array_state"
refused zero a.img
echo active >"$md/array_state"
# an old kernel, which tells no uuid
rm "$md/uuid"
refused zero a.img

# looking is free
mdcluster examine a.img b.img >/dev/null || fail "examine"
mdcluster examine-bitmap --merged a.img b.img >/dev/null || fail "examine-bitmap"

# another array's disks are nobody's
make_disk x.img 64M
make_disk y.img 64M
make_array web x.img y.img
mdcluster update --name=new x.img y.img || fail "update of another array"

# stopped
rm -r "$root/sys/block/md0"
mdcluster update --name=new a.img b.img || fail "update of an array that was stopped"
mdcluster zero --quiet a.img b.img || fail "zero of an array that was stopped"

# --- what holds a device is named ----------------------------------------------------------------
no_host
if [ "$(id -u)" -eq 0 ] && command -v dmsetup >/dev/null && command -v losetup >/dev/null &&
	dmsetup targets 2>/dev/null | grep -q '^linear '; then
	holder=$(basename "$tmp")
	with_loop x.img
	trap 'dmsetup remove "$holder" >/dev/null 2>&1 || :; cleanup' EXIT
	dmsetup create "$holder" --table "0 2048 linear $loop 0" >/dev/null ||
		skip "no device-mapper"
	expect_fail 1 mdcluster zero "$loop"
	case $error in
	*"in use, by dm-"*) ;;
	*) fail "nobody says what holds $loop: $error" ;;
	esac
else
	echo "$test_name: no device-mapper: that part is left out" >&2
fi
