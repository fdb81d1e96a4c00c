# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Recordings of hosts whose kernel runs md-cluster (tests/data/kernel, made by its record.sh),
# as folders that MDCLUSTER_TEST_ROOT points to.
if [ -z "${test_name:-}" ]; then # else the caller has it
	# shellcheck source=tests/cli/functions.sh
	. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
fi
need zstd awk jq

# shellcheck disable=SC2154 # functions.sh
recordings=$srcdir/tests/data/kernel
root=$tmp/root

# host STATE NODE: from now on this host is that one
host()
{
	rm -rf "$root"
	mkdir -p "$root/dev"
	awk -v root="$root" '
		function make(path) {
			folder = path
			sub(/\/[^\/]*$/, "", folder)
			if (!(folder in made))
				system("mkdir -p \"" folder "\"")
			made[folder] = 1
		}
		/^== / { if (file) close(file); file = root $2; make(file); printf "" >file; next }
		/^=> / { make(root $2); system("ln -s \"" $3 "\" \"" root $2 "\""); next }
		{ print >file }' "$recordings/$1.node$2.txt"
	zstd -qdf "$recordings/$1.a.img.zst" -o "$root/dev/vda"
	zstd -qdf "$recordings/$1.b.img.zst" -o "$root/dev/vdb"
	export MDCLUSTER_TEST_ROOT=$root
}

# no_host: the real one
no_host()
{
	unset MDCLUSTER_TEST_ROOT
}

# The lockspace of the array, and what debugfs and sysfs have of it
md=$root/sys/block/md0/md
space()
{
	basename "$(echo "$root"/sys/kernel/dlm/*)"
}
locks_file()
{
	echo "$root/sys/kernel/debug/dlm/$(space)_all"
}
