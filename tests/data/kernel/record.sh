#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the kernel of this host shows of its clustered arrays, in one text: "== PATH" and the
# contents, "=> PATH TARGET" for a link. As root, with debugfs mounted. The recordings beside
# this file are of Linux 6.1.0-56 (Debian 12) in virtual machines, mdadm 4.2, dlm 4.2.0, a
# mirror of two 64 MiB disks (STATE.a, STATE.b) in a cluster of two nodes:
#
#	resync      node 1 resyncs since the creation, node 2 has assembled it
#	dirty       both have written
#	crashed     node 2 was killed just now; node 1 does not know it
#	recovering  node 1 resyncs what node 2 left
#	degraded    /dev/vdb has failed
f() {
	[ -f "$1" ] && t=$(cat "$1" 2>/dev/null) && printf '== %s\n%s\n' "$1" "$t"
}
l() {
	[ -L "$1" ] && printf '=> %s %s\n' "$1" "$(readlink "$1")"
}
f /proc/sys/kernel/osrelease
f /proc/mdstat
for md in /sys/block/md*/md; do
	[ -d "$md" ] || continue
	block=${md%/md}
	for x in dev size ro; do f "$block/$x"; done
	for x in array_state chunk_size component_size consistency_policy degraded layout level \
		metadata_version mismatch_cnt raid_disks reshape_position resync_start suspend_hi \
		suspend_lo sync_action sync_completed sync_speed uuid bitmap/chunksize \
		bitmap/location bitmap/metadata bitmap/space bitmap/time_base; do
		f "$md/$x"
	done
	for disk in "$md"/dev-*; do
		for x in errors offset recovery_start size slot state block/dev; do f "$disk/$x"; done
	done
	for x in "$md"/rd*; do l "$x"; done
done
for disk in /sys/block/*/holders/*; do
	[ -e "$disk" ] || continue
	block=${disk%/holders/*}
	f "$block/dev"
	f "$block/size"
	l "$disk"
done
for x in /sys/kernel/dlm/*/id /sys/kernel/config/dlm/cluster/cluster_name \
	/sys/kernel/config/dlm/cluster/comms/*/* /sys/kernel/config/dlm/cluster/spaces/*/nodes/*/nodeid \
	/sys/kernel/debug/dlm/*_all /sys/module/md_cluster/initstate /sys/module/dlm/initstate; do
	f "$x"
done
true
