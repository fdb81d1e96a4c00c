#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages: they build from what is in git, lintian is content, and in a copy of
# this host (a chroot on an overlay: nothing here changes) they install, serve an array,
# go, and leave nothing behind. The RPM spec is at least one that rpm can read. Takes two
# minutes or so; called by .ci/run, not by make check.
. "$(dirname "$0")/../cli/functions.sh"
need git dpkg-buildpackage dh lintian
need_root

# shellcheck disable=SC2154 # functions.sh
git -C "$srcdir" rev-parse --is-inside-work-tree >/dev/null 2>&1 || skip "no git: what belongs to the source?"
mkdir src
git -C "$srcdir" ls-files -z --cached --others --exclude-standard |
  tar -C "$srcdir" --null --ignore-failed-read -cf - -T - | tar -C src -xf -

if command -v rpmspec >/dev/null; then
  rpmspec --query src/tools/system/mdclusterd.spec >names || fail "rpm cannot read the spec"
  for name in mdclusterd libmdcluster libmdcluster-devel; do
    grep -q "^$name-[0-9]" names || fail "the spec makes no $name"
  done
fi

version=$(sed -n 's/^AC_INIT(\[mdclusterd\], \[\([^]]*\)\].*/\1/p' src/configure.ac)
expect_equal "version of the package" "$version" \
  "$(dpkg-parsechangelog -l src/debian/changelog -S Version | sed 's/-[^-]*$//')"
expect_equal "version of the spec" "$version" "$(sed -n 's/^Version: *//p' src/tools/system/mdclusterd.spec)"

# --- build, and lintian ------------------------------------------------------------------------
(cd src && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b >../build.log 2>&1) ||
  fail "dpkg-buildpackage: $(tail -n 30 build.log)"
# (no bug of Debian's waits for this package, as one would for an upload to it)
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs \
  ./*.changes >lintian.out 2>&1 || fail "lintian: $(cat lintian.out)"

# --- all that make install has is in one of them -------------------------------------------------
(cd src/debian/tmp && find . -type f -o -type l) | sort >installed
for package in mdclusterd libmdcluster0 libmdcluster-dev; do
  dpkg-deb -c ./"${package}"_*.deb | awk '{ print $6 }' | grep -v '/$' | sed 's/\.gz$//'
done | sort >packed
left=$(sort packed | comm -23 installed - || :)
[ -z "$left" ] || fail "in no package: $left"

# --- a copy of this host: install, run, remove, purge ------------------------------------------------
cat >inside <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /debs
say() { echo "FAILED: $*"; exit 1; }
dpkg -i ./mdclusterd_*.deb ./libmdcluster0_*.deb ./libmdcluster-dev_*.deb >dpkg.log 2>&1 || say "install: $(cat dpkg.log)"
getent group mdcluster >/dev/null || say "there is no group mdcluster"
mdcluster version && mdclusterd --version
for part in libdlm corosync systemd; do
  mdcluster version | grep -q "+$part" || say "a site with $part cannot use the package"
done
mdclusterd --check-config 2>/dev/null && say "it is configured already"
for page in mdclusterd.8 mdcluster.8 mdclusterd.conf.5 mdcluster-events.7 mdclusterd-protocol.7; do
  [ -e /usr/share/man/man${page##*.}/$page.gz ] || say "no manual page $page"
done
[ -x /usr/lib/ocf/resource.d/mdcluster/mdcluster ] || say "no resource agent"
udevadm --version >/dev/null 2>&1 && [ ! -e /usr/lib/udev/rules.d/66-mdcluster.rules ] && say "no udev rules"
pkg-config --libs mdcluster >/dev/null 2>&1 || say "pkg-config does not know libmdcluster"

# it runs as it was installed
mdcluster keygen --quiet
truncate -s 64M a.img b.img
mdcluster create --quiet --level=mirror -n 2 --nodes=4 --assume-clean --home-cluster=alpha --homehost=none web a.img b.img
cat >/etc/mdcluster/mdclusterd.conf <<CONF
this_node = one
cluster { name = alpha }
node one { id = 1 address = 127.0.0.1 }
array web { disks = { /debs/a.img, /debs/b.img } }
CONF
mdclusterd --check-config
mdclusterd >daemon.log 2>&1 &
daemon=$!
mdcluster_up=
for _ in $(seq 300); do
  mdcluster status --wait=active web >/dev/null 2>&1 && { mdcluster_up=1; break; }
  sleep 0.1
done
[ -n "$mdcluster_up" ] || say "web does not start: $(cat daemon.log)"
mdcluster detail --export web | grep -x MD_CLUSTER_STATE=active
kill -TERM $daemon
wait $daemon || say "the daemon ends with $?: $(cat daemon.log)"

# an upgrade to itself, and away
dpkg -i ./mdclusterd_*.deb >dpkg.log 2>&1 || say "install over itself: $(cat dpkg.log)"
[ -e /var/lib/mdcluster/boot ] || say "an upgrade has lost the boot record"
dpkg -r mdclusterd libmdcluster-dev libmdcluster0 >dpkg.log 2>&1 || say "remove: $(cat dpkg.log)"
[ ! -e /usr/sbin/mdclusterd ] || say "it is still there"
[ -e /etc/mdcluster/key ] || say "the key is gone with the package"
[ -e /var/lib/mdcluster/boot ] || say "the boot record is gone with the package"
rm -r /etc/mdcluster
dpkg -P mdclusterd >dpkg.log 2>&1 || say "purge: $(cat dpkg.log)"
grep -iE 'warning|error' dpkg.log && say "purge complains"
rm -r /debs
END
cat >outside <<'END'
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" || exit 77
mkdir "$1/root/debs"
cp "$2"/*.deb "$2/inside" "$1/root/debs/"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
ip link set lo up 2>/dev/null || :
chroot "$1/root" bash /debs/inside
umount -l "$1/root"
# caches and logs of others are not the package's
find "$1/upper" -type f -o -type l | sed "s,^$1/upper,," |
  grep -vE '^/(var/(lib/(dpkg|systemd|ucf)|log|cache)|etc/(g?shadow|passwd|group|subgid|subuid|ld.so.cache|.pwd.lock)-?$)' >"$2/left" || :
END
mkdir mnt
code=0
unshare --mount --pid --fork --net bash outside "$PWD/mnt" "$PWD" >chroot.log 2>&1 || code=$?
[ "$code" != 77 ] || skip "no overlay here: the packages build, and are not installed"
[ "$code" = 0 ] || fail "in a copy of this host: $(cat chroot.log)"
[ ! -s left ] || fail "after a purge is left: $(cat left)"
