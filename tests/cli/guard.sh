#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An array that has left its cluster is one host's alone: on any other udev does not show its
# disks to mdadm, and who asks is told whose they are. Linux 6.1 and mdadm 4.2 let two hosts
# assemble it at once.
. "$(dirname "$0")/functions.sh"
need_root
need udevadm losetup mount unshare jq
own_network "$0" --mount --uts
[ -n "${in_own_network:-}" ] || skip "no namespaces here"
mkdir sbin state
ln -s "$builddir/mdcluster" sbin/
export MDCLUSTER_STATE_DIR=$PWD/state
mdadm_rule=/usr/lib/udev/rules.d/64-md-raid-assembly.rules

# udev's own folders are ours from here on: nothing that is tried here is left on this host
{ mount --make-rprivate / && mount -t tmpfs tmpfs /run; } || skip "no mounts of our own here"
for folder in /dev/disk /dev/block; do
	[ ! -d $folder ] || mount -t tmpfs tmpfs $folder
done
mkdir -p /run/udev/rules.d /run/udev/data
for rules in 63-mdcluster-guard.rules 66-mdcluster.rules; do
	sed "s,@sbindir@,$PWD/sbin,g; s,/run/mdcluster/,$PWD/run.1/,g" \
		"$srcdir/tools/system/$rules.in" >/run/udev/rules.d/$rules
done

echo "ENV{MDCLUSTER_STATE_DIR}=\"$PWD/state\"" >/run/udev/rules.d/62-test.rules
# mdadm's rule as it is, but no mdadm: it would assemble
[ ! -e $mdadm_rule ] || sed "s,/sbin/mdadm,$PWD/sbin/mdadm,g" $mdadm_rule >/run/udev/rules.d/${mdadm_rule##*/}
ln -s /bin/true sbin/mdadm

be() { echo "$1" >/proc/sys/kernel/hostname; } # HOST: that we are from here on
key_of() { mdcluster examine --export a.img | sed -n "s/^$1=//p"; }
# would ACTION DEVICE: what udev does with that event, in `said`
would() {
	udevadm test --action="$1" "/sys/class/block/${2#/dev/}" >said 2>&1 || fail "udevadm test: $(tail -n 3 said)"
	! grep -E '6[36]-mdcluster[a-z-]*.rules:[0-9]+.*(nvalid|nknown|gnoring|ailed)' said || fail "udev does not like the rules"
}
is_shown() { # to mdadm
	would add "$1"
	grep -qx 'ID_FS_TYPE=linux_raid_member' said && ! grep -q "incremental --quiet --syslog" said || return 1
	[ ! -e $mdadm_rule ] || grep -q '64-md-raid-assembly.rules:[0-9]* Importing' said
}
is_hidden() { # from mdadm, and the log will tell
	would add "$1"
	grep -qx 'ID_FS_TYPE=mdcluster_guarded_member' said && ! grep -q '64-md-raid-assembly.rules:[0-9]* Importing' said &&
		grep -q "^run: '$PWD/sbin/mdcluster incremental --quiet --syslog $1'" said
}
expect_hidden() { is_hidden "$1" || fail "$2: mdadm gets it: $(grep -E 'ID_FS_TYPE|mdadm|MD_' said)"; }
expect_shown() { is_shown "$1" || fail "$2: mdadm does not get it: $(grep -E 'ID_FS_TYPE|mdadm|MD_' said)"; }

# --- clustered: none of the guard's business -------------------------------------------------------
be node1
make_array web a.img b.img --nodes=4 --assume-clean
with_loop a.img
one=$loop
with_loop b.img
two=$loop
expect_shown "$one" "a clustered member"

# --- made plain on node1: node1's alone -----------------------------------------------------------
mdcluster grow --bitmap=none "$one" "$two" || fail "grow"
expect_equal "name" node1:web "$(key_of MD_NAME)"
expect_equal "owner" node1 "$(key_of MD_CLUSTER_OWNER)"
expect_equal "guarded" "" "$(key_of MD_CLUSTER_GUARD)"
expect_equal "as JSON" '{"host":"node1","cluster":"alpha","is_kept_from_here":false}' \
	"$(mdcluster examine --json a.img | jq -c .owner)"
expect_shown "$one" "its host"
expect_fail 3 mdcluster incremental "$one"
case $error in *"that is mdadm's"*) ;; *) fail "its host: $error" ;; esac
if command -v mdadm >/dev/null; then
	mdadm -E "$one" >E || fail "mdadm does not take it"
	grep -q 'Name : node1:web  (local to host node1)' E || fail "mdadm does not know whose it is: $(grep Name E)"
	grep -q 'Checksum : [0-9a-f]* - correct' E || fail "mdadm: $(grep Checksum E)"
fi

mdcluster update --homehost=node7 "$one" "$two" || fail "update --homehost without a bitmap"
expect_hidden "$one" "who gave it away"
mdcluster update --homehost=node1 "$one" "$two" || fail "update --homehost, back"

# --- on any other host, with no daemon and nothing remembered ------------------------------------
for host in node2 node10 node1x "(none)" localhost; do
	[ "$host" != "(none)" ] || mount --bind /dev/null /etc/hostname
	be "$host"
	expect_hidden "$one" "$host"
	expect_hidden "$two" "$host"
done
would change "$one"
grep -qx 'ID_FS_TYPE=mdcluster_guarded_member' said || fail "a change shows it"
be node2
expect_fail 3 mdcluster incremental "$one"
for word in node1 node2 "'alpha'" "update --homehost" "grow --bitmap=clustered"; do
	case $error in *"$word"*) ;; *) fail "who asks is not told '$word': $error" ;; esac
done
mdcluster examine "$one" | grep -q 'Owner : node1 (left cluster alpha)' || fail "examine does not tell"
mdcluster examine "$one" | grep -q 'Not For : this host, node2' || fail "examine does not tell whose it is not"
mdcluster examine --json "$one" | jq -e .owner.is_kept_from_here >/dev/null || fail "nor as JSON"
expect_equal "what is for the log alone is not printed" "" \
	"$(mdcluster incremental --quiet --syslog "$one" 2>&1 || :)"

# --- the first member, of an order that was cut short, is as safe as all ----------------------------
be localhost
mdcluster grow --bitmap=clustered --home-cluster=alpha "$one" "$two" || fail "back"
expect_equal "owner" "" "$(key_of MD_CLUSTER_OWNER)"
expect_shown "$one" "a clustered member, anywhere"
expect_fail 1 mdcluster grow --bitmap=none "$one" "$two"
case $error in *"no name of its own"*) ;; *) fail "a host without a name: $error" ;; esac
expect_equal "cluster" alpha "$(key_of MD_CLUSTER_NAME)"

# --- to another host, by our words and by mdadm's convention ----------------------------------------
be node1
mdcluster grow --bitmap=internal "$one" "$two" || fail "grow --bitmap=internal"
mdcluster update --homehost=node2 "$one" "$two" || fail "update --homehost"
expect_equal "name" node2:web "$(key_of MD_NAME)"
expect_hidden "$one" "who gave it away"
be node2.example.org
expect_shown "$one" "who got it"
mdcluster update --homehost=any "$one" "$two" || fail "update --homehost=any"
be node3
expect_shown "$one" "anybody"
expect_fail 2 mdcluster update --homehost=a:b "$one" "$two"
case $error in *"no name of a host"*) ;; *) fail "a:b: $error" ;; esac
expect_fail 1 mdcluster update --homehost=node3 --nodes=5 "$one" "$two"
expect_fail 1 mdcluster update --name=other "$one" "$two"

# --- no mark, as mdadm would have made it plain: who ran it with its cluster remembers ---------------
for disk in "$one" "$two"; do
	dd if=/dev/zero of="$disk" bs=512 seek=15 count=1 conv=notrunc,fsync status=none
done
expect_equal "owner" "" "$(key_of MD_CLUSTER_OWNER)"
expect_shown "$one" "a plain array, and nothing is known of it"
printf '2\n%s\n' 00000000-0000-4000-8000-000000000000 >state/other.slot
printf '1\n' >state/old.slot
expect_shown "$one" "another array ran here"
printf '3\n%s\n' "$(mdcluster examine --json a.img | jq -r .uuid)" >state/web.slot
expect_hidden "$one" "it ran here with its cluster"
expect_fail 3 mdcluster incremental "$one"
case $error in *"ran here with its cluster"*"update --homehost"*) ;; *) fail "ran here: $error" ;; esac
expect_equal "as JSON" '{"host":"","cluster":"","is_kept_from_here":true}' \
	"$(mdcluster examine --json a.img | jq -c .owner)"
mdcluster update --homehost=node3 "$one" "$two" || fail "update --homehost without a mark"
expect_shown "$one" "it was said whose it is"
be node2
expect_hidden "$one" "it was said whose it is not"

# --- an ordinary array, whoever's it is, is mdadm's -----------------------------------------------------
rm state/web.slot
mdcluster update --homehost=node1 "$one" "$two"
for disk in "$one" "$two"; do
	dd if=/dev/zero of="$disk" bs=512 seek=15 count=1 conv=notrunc,fsync status=none
done
expect_equal "name" node1:web "$(key_of MD_NAME)"
expect_shown "$one" "an ordinary array of another host"
