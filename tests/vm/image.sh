#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes what the lab's machines boot, from Debian packages alone, in a cache folder; `lab
# build` calls it.
#
#	image.sh CACHE base|tools|systemd FILE
#
# CACHE/debs has the packages, as apt offers them on this host; CACHE/vmlinux the kernel,
# unpacked, as the PVH entry wants it. FILE, in CACHE, becomes an archive: base has busybox,
# mdadm, corosync, DLM and modules; tools what few machines need (fio, file systems, RDMA);
# systemd that and udev, whole.
# Their libraries are the packages', or this host's. Needs no root. What is of our own tree
# (guest/, our build) is in neither: the lab puts it behind them.
set -eu
cache=$1 layer=$2 file=$3

base_packages="mdadm corosync dlm-controld libdlm3 libdlmcontrol3 kmod libkmod2 \
  busybox-static dash iproute2 libcpg4 libcfg7 libcmap4 libquorum5 libvotequorum8 libsam4 \
  libcorosync-common4 libknet1 libnozzle1 libqb100 libstatgrab10 libnl-3-200 libnl-route-3-200 \
  libelf1 libbpf1 libmnl0 libcap2 libudev1"
base_programs="mdadm corosync corosync-cfgtool corosync-cmapctl corosync-cpgtool \
  corosync-quorumtool dlm_controld dlm_tool kmod ip tc ss dd cmp"
base_libraries="libcmap.so.4 libdlm_lt.so.3 libdlm.so.3 libcpg.so.4 libcfg.so.7 libquorum.so.5 \
  libcorosync_common.so.4"
base_modules="virtio_pci virtio_console virtio_blk virtio_net virtio_rng configfs dlm md-mod \
  md-cluster raid1 raid10 raid0 nbd loop brd dm-mod dummy softdog target_core_mod tcm_loop sd_mod ext4 crc32c_generic \
  crc32c-intel libcrc32c sctp tcp_diag inet_diag udp_diag netconsole veth bridge nf_tables sch_netem"

tools_packages="fio gfs2-utils ocfs2-tools e2fsprogs xfsprogs strace libunwind8 \
  ibverbs-providers ibverbs-utils libibverbs1 librdmacm1 rdmacm-utils perftest libibumad3"
tools_programs="fio mkfs.gfs2 fsck.gfs2 mkfs.ocfs2 fsck.ocfs2 mount.ocfs2 ocfs2_hb_ctl \
  mkfs.ext4 e2fsck mkfs.xfs strace rdma ibv_devinfo ibv_rc_pingpong rping"
tools_libraries=
tools_modules="gfs2 ocfs2 ocfs2_stack_user ocfs2_stack_o2cb xfs rdma_rxe rdma_ucm rdma_cm \
  ib_uverbs crc32_generic crc32-pclmul"

systemd_packages="systemd udev"
systemd_programs="systemctl journalctl udevadm systemd-tmpfiles systemd-sysusers systemd-run mount umount \
  findmnt blkid"
systemd_libraries=
systemd_modules=

say() { printf 'lab: %s\n' "$*"; }
refuse() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}

mkdir -p "$cache/debs" "$cache/files"
cd "$cache"
image=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
[ -n "$image" ] || refuse "apt knows no linux-image-amd64: is this Debian, and was apt-get update run?"
version=${image#linux-image-}

# --- packages -------------------------------------------------------------------------------

# fetch PACKAGE...: into debs/, and unpacked into files/
fetch() {
  local package missing=() optional=" libbpf1 libelf1 "
  for package; do
    compgen -G "debs/${package}_*.deb" >/dev/null || missing+=("$package")
  done
  for package in ${missing[@]+"${missing[@]}"}; do
    (cd debs && apt-get download -q "$package" >../apt.log 2>&1) && continue
    case $optional in *" $package "*) continue ;; esac
    refuse "apt-get download $package failed: $(tail -n 1 apt.log)"
  done
  for package; do
    [ -e "files/.$package" ] && continue
    compgen -G "debs/${package}_*.deb" >/dev/null || continue
    dpkg -x debs/"$package"_*.deb files
    touch "files/.$package"
  done
}

# kmod_as NAME ARGUMENT...: the packages', which is each of its names
kmod_as() {
  local name=$1
  shift
  (exec -a "$name" files/bin/kmod "$@")
}

# --- the kernel -----------------------------------------------------------------------------

kernel() {
  [ -s vmlinux ] && [ "$(cat kernel-version 2>/dev/null)" = "$version" ] && return 0
  say "kernel $version"
  rm -rf debs/linux-image* files/boot files/lib/modules "files/.linux-image"* ./*.cpio
  fetch "$image"
  # the xz stream within the boot program
  python3 - "files/boot/vmlinuz-$version" vmlinux.new <<'END'
import lzma, sys
data = open(sys.argv[1], 'rb').read()
at = data.find(b'\xfd7zXZ\x00')
while at >= 0:
    try:
        kernel = lzma.LZMADecompressor().decompress(data[at:])
    except lzma.LZMAError:
        kernel = b''
    if kernel[:4] == b'\x7fELF':
        open(sys.argv[2], 'wb').write(kernel)
        sys.exit(0)
    at = data.find(b'\xfd7zXZ\x00', at + 1)
sys.exit('no ELF kernel within ' + sys.argv[1])
END
  fetch kmod
  kmod_as depmod -b files "$version"
  mv vmlinux.new vmlinux
  echo "$version" >kernel-version
}

# --- a layer --------------------------------------------------------------------------------

paths="/usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib /lib"
library_path=
for path in $paths; do library_path=$library_path${library_path:+:}$PWD/files$path; done

# Where a program is: in the packages, or on this host.
find_program() {
  local at
  for at in files/{usr/,}{s,}bin "" /usr/sbin /sbin; do
    [ -n "$at" ] || { command -v "$1" && return 0; continue; }
    [ -x "$at/$1" ] && echo "$at/$1" && return 0
  done
  return 1
}
# add_libraries ROOT FILE: all that it is linked with
add_libraries() {
  local library to
  LD_LIBRARY_PATH=$library_path ldd "$2" 2>/dev/null |
    awk '/=> \// { print $3 } /^\t\/lib64/ { print $1 }' |
    while read -r library; do
      to=$1${library#"$PWD/files"}
      [ -e "$to" ] || { mkdir -p "${to%/*}" && cp -L "$library" "$to"; }
    done
}
add_program() { # ROOT NAME
  local from
  from=$(find_program "$2") || { say "there is no $2: left out"; return 0; }
  rm -f "$1/bin/$2"
  cp -L "$from" "$1/bin/$2"
  add_libraries "$1" "$from"
}
add_module() { # ROOT NAME
  local file
  kmod_as modprobe -d files -S "$version" --show-depends "$2" 2>/dev/null | awk '$1 == "insmod" { print $2 }' |
    while read -r file; do
      file=lib/modules/$version/${file#*"$version/"}
      mkdir -p "$1/${file%/*}"
      [ -e "$1/$file" ] || cp "files/$file" "$1/$file"
    done
}
add_all() { # ROOT LAYER
  local programs=${2}_programs modules=${2}_modules libraries=${2}_libraries name found
  mkdir -p "$1/bin"
  for name in ${!programs}; do add_program "$1" "$name"; done
  for name in ${!modules}; do add_module "$1" "$name"; done
  for name in ${!libraries}; do # what programs load by name
    found=$(for at in $paths; do ls "files$at/$name" "$at/$name" 2>/dev/null || :; done | head -n 1)
    [ -n "$found" ] || refuse "no library $name in the packages"
    mkdir -p "$1/usr/lib/x86_64-linux-gnu"
    cp -L "$found" "$1/usr/lib/x86_64-linux-gnu/$name"
    add_libraries "$1" "$found"
  done
}

base_skeleton() { # ROOT
  local root=$1 applet i
  mkdir -p "$root"/{bin,etc,proc,sys,dev,run,tmp,mnt,root,var/log/cluster,var/lib/corosync,lib/modules/"$version"}
  for i in sbin usr/bin usr/sbin; do
    mkdir -p "$root/usr"
    ln -s /bin "$root/$i"
  done
  ln -s /run "$root/var/run"
  cp files/bin/busybox "$root/bin/"
  for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  # busybox's own shell would prefer its own ip and modprobe
  rm "$root/bin/sh"
  cp "$(find_program dash)" "$root/bin/dash"
  add_libraries "$root" "$root/bin/dash"
  ln -s dash "$root/bin/sh"
  cp files/lib/modules/"$version"/modules.* "$root/lib/modules/$version/"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  for i in 1 2 3 4 5 6 7 8 9; do echo "10.77.0.$i node$i"; done >>"$root/etc/hosts"
  printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
  # corosync loads it for pthread_cancel()
  mkdir -p "$root/lib/x86_64-linux-gnu"
  cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$root/lib/x86_64-linux-gnu/"
}
base_end() { # ROOT
  local name
  for name in modprobe insmod rmmod lsmod modinfo depmod; do ln -sf kmod "$1/bin/$name"; done
}
tools_skeleton() { :; }

# As the packages have it; but below /usr/bin and /sbin, which are /bin here, there is nothing,
# and of what a machine without a console, users and buses has no use nothing is started.
systemd_skeleton() { # ROOT
  local root=$1 at unit
  mkdir -p "$root"/{etc/systemd/system,lib,usr/lib,bin}
  for at in lib/systemd lib/udev lib/modprobe.d usr/lib/systemd usr/lib/udev usr/lib/tmpfiles.d usr/lib/sysusers.d etc/udev; do
    [ ! -e "files/$at" ] || { mkdir -p "$root/${at%/*}" && cp -a "files/$at" "$root/${at%/*}/"; }
  done
  rm -rf "$root"/lib/udev/hwdb.d "$root"/usr/lib/systemd/catalog "$root"/lib/systemd/catalog \
    "$root"/lib/systemd/system/multi-user.target.wants
  ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
  for unit in getty.target serial-getty@ttyS0.service systemd-logind.service systemd-firstboot.service \
    systemd-hwdb-update.service systemd-update-utmp.service systemd-networkd.service systemd-timesyncd.service; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
  done
  printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf"
}
systemd_end() { # ROOT
  local file
  for file in "$1"/lib/systemd/systemd* "$1"/lib/systemd/system-generators/* "$1"/lib/udev/*; do
    [ ! -f "$file" ] || [ ! -x "$file" ] || add_libraries "$1" "$file"
  done
}
tools_end() { # ROOT
  mkdir -p "$1/etc/libibverbs.d" "$1/usr/lib/x86_64-linux-gnu/libibverbs"
  cp files/etc/libibverbs.d/rxe.driver "$1/etc/libibverbs.d/"
  cp files/usr/lib/x86_64-linux-gnu/libibverbs/librxe*.so "$1/usr/lib/x86_64-linux-gnu/libibverbs/"
}

make_layer() { # NAME FILE
  local root=$cache/root.$1 packages=${1}_packages
  # shellcheck disable=SC2086
  fetch ${!packages}
  rm -rf "$root"
  mkdir -p "$root"
  "${1}_skeleton" "$root"
  add_all "$root" "$1"
  "${1}_end" "$root"
  (cd "$root" && find . | cpio --create --format=newc --quiet --owner=0:0) >"$2.new"
  mv "$2.new" "$2"
  rm -rf "$root"
  say "$1: $(($(stat -c %s "$2") >> 20)) MiB"
}

PATH=$PATH:/usr/sbin:/sbin
kernel
make_layer "$layer" "$file"
