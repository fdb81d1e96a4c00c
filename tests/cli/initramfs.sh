#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guard of arrays that left a cluster is in the initramfs, too, where mdadm assembles before
# anything else runs: of Debian's initramfs-tools, and of dracut. Made in a copy of this host
# (nothing here changes), unpacked, and asked there. Where no array of mdadm's is assembled, and
# on a host without a name, it is left out.
. "$(dirname "$0")/functions.sh"
need_root
need unshare chroot cpio mdadm
if ! command -v mkinitramfs >/dev/null && ! command -v dracut >/dev/null; then skip "neither mkinitramfs nor dracut"; fi
! nm -D "$builddir/mdcluster" 2>/dev/null | grep -q __asan_init || skip "of this build nothing runs in an initramfs"

mkdir mnt in
system=$srcdir/tools/system
for file in 63-mdcluster-guard.rules initramfs/mdclusterd dracut/module-setup.sh; do
	sed 's,@sbindir@,/usr/sbin,g' "$system/$file.in" >"in/${file##*/}"
done
cp "$builddir/mdcluster" in/
make_array web in/a.img in/b.img --nodes=4 --assume-clean

cat >in/inside <<'END'
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/in
cd /in
say() { echo "FAILED: $*"; exit 1; }
install mdcluster /usr/sbin/
install -m 644 63-mdcluster-guard.rules /usr/lib/udev/rules.d/
version=0-test
mkdir -p /lib/modules/$version /var/lib/mdcluster /boot
echo CONFIG_RD_GZIP=y >/boot/config-$version
for file in dep builtin order; do : >/lib/modules/$version/modules.$file; done
echo node1 >/etc/hostname
hostname node1
mdcluster grow --bitmap=none a.img b.img || say "grow"
printf '2\n00000000-0000-4000-8000-000000000000\n' >/var/lib/mdcluster/web.slot

# guards ROOT: the rule, and what it asks, are there; on the host of this name, and on another one
guards() {
	[ -n "$(find "$1" -name 63-mdcluster-guard.rules)" ] || say "$1: no rule"
	[ -n "$(find "$1" -name '64-md-raid-assembly.rules')" ] || say "$1: mdadm's rule is not there: what is guarded?"
	cmp /var/lib/mdcluster/web.slot "$1/var/lib/mdcluster/web.slot" || say "$1: what ran here is not known"
	cp a.img "$1/"
	hostname localhost # as it is before anybody has set it
	chroot "$1" /usr/sbin/mdcluster examine --quiet --export /a.img >said || say "$1: mdcluster does not run there"
	! grep MD_CLUSTER_GUARD said || say "$1: its own array is kept from it"
	echo node2 >"$1/etc/hostname"
	chroot "$1" /usr/sbin/mdcluster examine --quiet --export /a.img >said
	grep -qx MD_CLUSTER_GUARD=yes said || say "$1: an array of another host is not kept from it"
	hostname node1
}
lacks_guard() { # ROOT WHY
	[ -z "$(find "$1" -name '*mdcluster*' -not -path '*/dracut*')" ] || say "$2: $(find "$1" -name '*mdcluster*')"
}

if command -v mkinitramfs >/dev/null; then
	install mdclusterd /usr/share/initramfs-tools/hooks/
	mkdir -p /etc/initramfs-tools/conf.d
	printf 'MODULES=list\nCOMPRESS=gzip\nBUSYBOX=n\n' >/etc/initramfs-tools/conf.d/test
	make() { # ROOT
		mkinitramfs -o "$1.img" $version >"$1.log" 2>&1 || say "mkinitramfs: $(tail -n 5 "$1.log")"
		mkdir "$1"
		(cd "$1" && gzip -dc "../$1.img" | cpio --extract --quiet --make-directories)
	}
	make debian
	guards debian
	echo localhost >/etc/hostname
	hostname localhost
	make nameless
	grep -q 'mdclusterd: this host has no name' nameless.log || say "nobody is told: $(cat nameless.log)"
	lacks_guard nameless "a host without a name"
	echo node1 >/etc/hostname
	hostname node1
	rm /usr/share/initramfs-tools/hooks/mdadm
	make without
	lacks_guard without "without mdadm"
	echo "initramfs-tools: fine"
fi
if command -v dracut >/dev/null; then
	mkdir -p /usr/lib/dracut/modules.d/91mdcluster-guard
	install module-setup.sh /usr/lib/dracut/modules.d/91mdcluster-guard/
	make() { # ROOT MODULES
		dracut --kver $version --no-kernel --no-hostonly --gzip --force --modules "$2" "$1.img" >"$1.log" 2>&1 ||
			say "dracut: $(tail -n 5 "$1.log")"
		mkdir "$1"
		(cd "$1" && gzip -dc "../$1.img" | cpio --extract --quiet --make-directories)
	}
	make dracut "base udev-rules mdraid mdcluster-guard"
	guards dracut
	make dracut-without "base udev-rules mdcluster-guard"
	lacks_guard dracut-without "without mdadm"
	echo "dracut: fine"
fi
END
cat >outside <<'END'
set -eu
mount -t tmpfs tmpfs mnt
mkdir mnt/upper mnt/work mnt/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/mnt/upper,workdir=$PWD/mnt/work" mnt/root || exit 77
cp -r in mnt/root/in
mount -t proc proc mnt/root/proc
mount --rbind /dev mnt/root/dev
mount -t tmpfs tmpfs mnt/root/run
chroot mnt/root bash /in/inside
END
code=0
unshare --mount --uts --pid --fork --net bash outside >said 2>&1 || code=$?
[ "$code" != 77 ] || skip "no overlay here"
[ "$code" = 0 ] || fail "in a copy of this host: $(tail -n 20 said)"
cat said
