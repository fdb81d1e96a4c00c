# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Stories with daemons of ours on this host, in namespaces, on disks that the lab's machines have
# as well: the head that they share, and the words of array-functions.sh and functions.sh.
# Sourced behind tests/cli/functions.sh, and what the script was called with is in the
# environment by then: it starts anew, with a network and mounts of its own. Skipped where that,
# or the lab, cannot be had.
#
#	beside_end             what else is to be ended with the daemons; the story's own
#
# Disks and names are the lab's, so that both sides take the array for theirs.

here=$srcdir/tests/vm
need_root
need ip unshare flock
own_network "$0" --mount
[ -n "${in_own_network:-}" ] || skip "no network namespaces here"
cluster_name=${cluster_name:-lab}
array=${array:-md}
slots=${slots:-4}
. "$srcdir/tests/cli/array-functions.sh"
. "$srcdir/tests/vm/functions.sh"
need_lab
beside_end() { :; }
trap 'code=$?; end_daemons; beside_end; end_lab $code' EXIT
