#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What --json prints is what mdcluster-json(7) promises: the same fields, no more
# and no fewer, of the types that it names; and each type that it names does
# occur. The values agree with the text of the same command and with what is
# known of the arrays made here.
# shellcheck disable=SC2016 # jq has variables of its own
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/control-functions.sh"
need od truncate

page=$srcdir/man/mdcluster-json.7

# --- the promise: "object field type[,type]..." --------------------------------
sed -e 's/\\f[BIRP]//g' -e 's/\\-/-/g' "$page" | awk '
	/^\.SH/ {
		object = tolower($2)
		is_object = object ~ /^(examine|examine-bitmap|slot|create|update|grow|zero|keygen|locks|member|resource|lock|step|status|status-node|status-array|status-disk|status-member|kernel-status|kernel-array|kernel-disk|kernel-slot|migration|migration-finding|migration-step|quorum|quorum-node|change|event|finding)$/
	}
	/^\.TP/ { is_tag = 1; next }
	is_tag && is_object && /^\.BR [a-z_.]+ "? ?\(/ {
		types = $0
		sub(/^[^(]*\(/, "", types)
		sub(/[,)].*/, "", types)
		gsub(/ or /, ",", types)
		print object, $2, types
	}
	{ is_tag = 0 }' | sort >promise
for object in examine examine-bitmap slot create update grow zero keygen locks member \
	resource lock step status status-node status-array status-disk status-member \
	kernel-status kernel-array kernel-disk kernel-slot \
	migration migration-finding migration-step quorum quorum-node change event finding; do
	grep -q "^$object " promise ||
		fail "mdcluster-json.7 describes no field of the object $object"
done
expect_equal "fields described twice" "" "$(cut -d' ' -f1,2 promise | uniq -d)"

# --- what is found ---------------------------------------------------------------
: >seen

# check OBJECT WHAT <one such object: its fields and types are the promised ones
check()
{
	jq -r 'def kind:
			if type != "number" then type
			elif . == floor then "integer"
			else "fraction" end;
		def fields(outer): to_entries[] | (outer + .key) as $name |
			"\($name) \(.value | kind)",
			(.value | objects | fields($name + "."));
		fields("")' | sed "s/^/$1 /" | sort >found
	cut -d' ' -f1,2 found >found.names
	# the fields of an object that is null are not there
	sed -nE 's/^([^ ]+ [^ ]+) null$/^\1\\./p' found >nulls
	grep "^$1 " promise | cut -d' ' -f1,2 | grep -v -f nulls >wanted.names || :
	expect_equal "$2: fields that mdcluster-json.7 has and the output lacks" \
		"" "$(comm -23 wanted.names found.names)"
	expect_equal "$2: fields that the output has and mdcluster-json.7 lacks" \
		"" "$(comm -13 wanted.names found.names)"
	while read -r object field kind; do
		types=$(sed -n "s/^$object $field //p" promise)
		case ,$types, in
		*",$kind,"*) ;;
		*) fail "$2: $field is $kind, the page says $types" ;;
		esac
	done <found
	cat found >>seen
}

# check_bitmap WHAT FILE: an examine-bitmap object and its slots
check_bitmap()
{
	local i slots

	check examine-bitmap "$1" <"$2"
	slots=$(jq '.slots | length' "$2")
	[ "$slots" -gt 0 ] || fail "$1: no slots"
	for ((i = 0; i < slots; i++)); do
		jq ".slots[$i]" "$2" | check slot "$1, slot $i"
	done
	expect 'all(.slots[]; . as $s | (.dirty_ranges | all(
		length == 2 and .[0] <= .[1] and .[1] < $s.chunks)))' "$2" \
		"$1: ranges lie within the slot"
	expect 'all(.slots[]; .dirty == ([.dirty_ranges[] | .[1] - .[0] + 1] |
		add // 0))' "$2" "$1: dirty is the sum of the ranges"
	expect 'all(.slots[]; [.dirty_ranges[][]] | . == sort)' "$2" \
		"$1: ranges ascend"
}

# expect JQ FILE WHAT: the jq expression is true
expect()
{
	jq -e "$1" "$2" >/dev/null || fail "$3 ($1 is false of $(jq -c . "$2"))"
}

# line LABEL FILE: what stands behind "LABEL :" in the text, its first word
line()
{
	sed -nE "s/^ *$1 : *([^ ]*).*/\1/p" "$2" | head -n 1
}

# agrees JQ JSON LABEL TEXT
agrees()
{
	expect_equal "'$3' of the text, $1 of the JSON" "$(line "$3" "$4")" \
		"$(jq -r "$1" "$2")"
}

# --- to make what no command makes -------------------------------------------

# u32 FILE OFFSET; poke FILE OFFSET VALUE: little endian words
u32()
{
	od -An -tu4 --endian=little -j "$2" -N 4 "$1" | tr -d ' '
}

poke()
{
	local v=$3

	# shellcheck disable=SC2059 # the format is made here
	printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((v & 255)) \
		$((v >> 8 & 255)) $((v >> 16 & 255)) $((v >> 24 & 255)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# The sum over the words of the superblock grows by as much as one of them.
poke_superblock()
{
	local at=$((4096 + $2)) sum=$((4096 + 216)) old

	old=$(u32 "$1" $at)
	poke "$1" $at "$3"
	poke "$1" $sum $(($(u32 "$1" $sum) + $3 - old))
}

# --- create ----------------------------------------------------------------------
make_disk a.img 64M
make_disk b.img 64M
mdcluster create web a.img b.img -l mirror -n 2 --home-cluster=alpha \
	--homehost=node1 --bitmap-chunk=64K --json >create.json
check create "create" <create.json
expect '.schema == "mdcluster/1" and .name == "node1:web" and
	.cluster_name == "alpha" and .nodes == 4 and .array_bytes == 66060288 and
	.size_sectors == 129024 and .data_offset_sectors == 2048 and
	.chunk_bytes == 65536 and .slot_bytes == 4096' create.json "a mirror of 64M"

make_disk q.img 64M
make_disk r.img 64M
mdcluster create --quiet quiet q.img r.img -l1 -n2 --home-cluster=x --json >quiet.json
check create "create --quiet" <quiet.json

# --- examine -----------------------------------------------------------------------
mdcluster examine --json a.img >a
mdcluster examine --json b.img >b
mdcluster examine --json a.img b.img >both
expect 'type == "object"' a "one disk is an object"
expect 'type == "array" and length == 2' both "two disks are an array"
check examine "examine a" <a
check examine "examine b" <b
mdcluster grow --bitmap=none q.img r.img
mdcluster examine --json q.img | check examine "examine of what left its cluster"
expect_equal "the same disk, alone and among others" "$(jq -S . a b)" \
	"$(jq -S '.[]' both)"

uuid=$(jq -r .uuid create.json)
expect ".schema == \"mdcluster/1\" and .uuid == \"$uuid\" and
	.disk == \"a.img\" and .metadata == \"1.2\" and .name == \"node1:web\" and
	.cluster == { name: \"alpha\", nodes: 4 } and .level == 1 and
	.level_name == \"raid1\" and .layout == 0 and .chunk_sectors == 0 and
	.raid_disks == 2 and .size_sectors == 129024 and
	.data_offset_sectors == 2048 and .data_size_sectors == 129024 and
	.super_offset_sectors == 8 and .bitmap_offset_sectors == 8 and
	.feature_map == 257 and .resync_offset == 0 and
	.recovery_offset_sectors == null and .dev_number == 0 and .role == 0 and
	.roles == [0, 1] and .checksum_ok and .kernel_md_cluster.accepts and
	.kernel_md_cluster.reason == null and .fault == null" a "examine a"
expect '.dev_number == 1 and .role == 1' b "examine b"
expect ".created_s >= $(date +%s) - 600 and .created_s <= $(date +%s) + 600" a \
	"created just now"

mdcluster examine a.img >a.text
agrees .metadata a 'Version' a.text
agrees .uuid a 'Array UUID' a.text
agrees .name a 'Name' a.text
agrees .cluster.name a 'Cluster Name' a.text
agrees .cluster.nodes a 'Cluster Nodes' a.text
agrees .level_name a 'Raid Level' a.text
agrees .raid_disks a 'Raid Devices' a.text
agrees .data_size_sectors a 'Avail Dev Size' a.text
agrees '.size_sectors / 2' a 'Array Size' a.text
agrees .data_offset_sectors a 'Data Offset' a.text
agrees .super_offset_sectors a 'Super Offset' a.text
agrees .resync_offset a 'Resync Offset' a.text
agrees .device_uuid a 'Device UUID' a.text
agrees .bitmap_offset_sectors a 'Internal Bitmap' a.text
agrees .events a 'Events' a.text
expect_equal "feature map" "$(line 'Feature Map' a.text)" \
	"$(printf '0x%x' "$(jq .feature_map a)")"
expect_equal "creation time" \
	"$(sed -n 's/^ *Creation Time : //p' a.text)" \
	"$(date -d "@$(jq .created_s a)" '+%a %b %e %T %Y')"

# --- examine-bitmap ------------------------------------------------------------
mdcluster examine-bitmap --json a.img >a
expect 'type == "object"' a "one disk is an object"
check_bitmap "examine-bitmap a" a
expect ".schema == \"mdcluster/1\" and .uuid == \"$uuid\" and .version == 5 and
	.chunk_bytes == 65536 and .sync_size_sectors == 129024 and
	.daemon_sleep_s == 5 and .write_behind == 0 and .nodes == 4 and
	.cluster_name == \"alpha\" and .slot_bytes == 4096 and
	.is_ignored == false and [.slots[].slot] == [0, 1, 2, 3] and
	[.slots[].chunks] == [1008, 1008, 1008, 1008] and
	[.slots[].dirty] == [1008, 0, 0, 0]" a "a new array is dirty in slot 0"
expect '.slots[0].dirty_ranges == [[0, 1007]] and
	.slots[0].dirty_bytes == 66060288' a "all of it is one range"

mdcluster update --mark=1:3-7 a.img b.img
mdcluster examine-bitmap --json a.img >a
mdcluster examine-bitmap --json b.img a.img >both
mdcluster examine-bitmap --json --merged b.img a.img >merged
expect 'type == "array" and length == 2 and .[1].disk == "a.img"' both \
	"two disks are an array, in the order given"
expect 'type == "object"' merged "--merged is one object"
check_bitmap "examine-bitmap a, marked" a
jq '.[0]' both >one
check_bitmap "examine-bitmap b" one
check_bitmap "examine-bitmap --merged" merged
expect '.slots[1].dirty == 5 and .slots[1].dirty_ranges == [[3, 7]] and
	.slots[1].dirty_bytes == 5 * 65536' a "update --mark=1:3-7"
expect '.[0].slots[1] == .[1].slots[1]' both "the mark is on both disks"

mdcluster examine-bitmap a.img >a.text
agrees .uuid a 'UUID' a.text
agrees .version a 'Version' a.text
agrees '.chunk_bytes / 1024' a 'Chunksize' a.text
agrees '.daemon_sleep_s | "\(.)s"' a 'Daemon' a.text
agrees '.sync_size_sectors / 2' a 'Sync Size' a.text
agrees .nodes a 'Cluster nodes' a.text
agrees .cluster_name a 'Cluster name' a.text
expect_equal "bits and dirty ones, slot by slot" \
	"$(sed -nE 's/^ *Bitmap : ([0-9]+) bits \(chunks\), ([0-9]+) dirty .*/\1 \2/p' a.text)" \
	"$(jq -r '.slots[] | "\(.chunks) \(.dirty)"' a)"
expect_equal "ranges, slot by slot" \
	"$(sed -nE 's/^ *Dirty Bytes : .* in ([0-9]+) ranges?.*/\1/p' a.text)" \
	"$(jq -r '.slots[].dirty_ranges | length' a)"

# --- scan, and what -Es makes of it --------------------------------------------
# asked for by uuid, since the host may have arrays of its own
mdcluster scan --json --uuid="$uuid" b.img a.img >scan.json
expect 'type == "array" and [.[].disk] == ["a.img", "b.img"]' scan.json \
	"scan is an array, by dev_number"
jq '.[0]' scan.json | check examine "scan"
expect_equal "scan and examine" "$(mdcluster examine --json a.img b.img | jq -S .)" \
	"$(jq -S . scan.json)"
mdcluster scan --json --uuid="$uuid" a.img >scan.json
expect 'type == "array" and length == 1' scan.json "one member is an array, too"
mdcluster examine --scan --json a.img >scan.json
expect 'type == "array" and any(.[]; .disk == "a.img")' scan.json "examine --scan"

# --- update, grow, zero ----------------------------------------------------------------
cp a.img a2.img
cp b.img b2.img
mdcluster update --nodes=5 --name=node1:shop --json a2.img b2.img >update.json
check update "update" <update.json
expect '.nodes == 5 and .name == "node1:shop" and .disks == 2' update.json "update"
mdcluster grow --json --raid-devices=3 a2.img b2.img >grow.json
check grow "grow" <grow.json
expect '.raid_disks == 3 and .array == null and .bitmap == "clustered"' grow.json "grow"
mdcluster zero --json --quiet a2.img >zero.json
check zero "zero" <zero.json
expect '.disk == "a2.img" and .erased == 1' zero.json "zero"
mdcluster zero --json --quiet a2.img b2.img >zero.json
expect '[.[].erased] == [0, 1]' zero.json "zero of two"

# --- keygen ----------------------------------------------------------------------
mdcluster keygen --json --quiet key >keygen.json
check keygen "keygen" <keygen.json
expect '.file == "key" and .did == "create" and .accepts_too == null' keygen.json \
	"keygen"
first=$(jq -r .sends_with keygen.json)
mdcluster keygen --json --add key >keygen.json
check keygen "keygen --add" <keygen.json
second=$(jq -r .accepts_too keygen.json)
expect ".did == \"add\" and .sends_with == \"$first\"" keygen.json "keygen --add"
mdcluster keygen --promote --json key >keygen.json
expect ".sends_with == \"$second\" and .accepts_too == \"$first\"" keygen.json \
	"keygen --promote"
mdcluster keygen --drop --json key >keygen.json
check keygen "keygen --drop" <keygen.json
expect ".sends_with == \"$second\" and .accepts_too == null" keygen.json \
	"keygen --drop"

# --- locks -----------------------------------------------------------------------
# check_each OBJECT WHAT JQ <json: each object that JQ finds
check_each()
{
	local one n=0

	while IFS= read -r one; do
		check "$1" "$2, $1 $n" <<<"$one"
		n=$((n + 1))
	done < <(jq -c "$3")
	[ "$n" -gt 0 ] || fail "$2: no $1"
}

for dump in "$srcdir"/tests/data/locks/{broadcast,frozen,rare}.json; do
	name=$(basename "$dump")
	mdcluster locks --json --history --file "$dump" >locks.json
	expect 'type == "array" and length > 0' locks.json "$name: all is an array"
	check_each locks "$name" '.[]' <locks.json
	check_each member "$name" '.[].members[]' <locks.json
	check_each resource "$name" '.[].resources[]' <locks.json
	check_each lock "$name" '.[].resources[].locks[]' <locks.json
	[ "$name" = frozen.json ] ||
		check_each step "$name" '.[].resources[].history[]' <locks.json
	mdcluster locks --json --file "$dump" >locks.json
	check_each resource "$name" '.[].resources[]' <locks.json
	space=$(jq -r '.[0].lockspace' locks.json)
	mdcluster locks --json --file="$dump" "$space" >one.json
	expect_equal "$name: one lockspace is an object" "$(jq -S '.[0]' locks.json)" \
		"$(jq -S . one.json)"
done
mdcluster locks --json --file "$srcdir/tests/data/locks/empty.json" >locks.json
expect '. == []' locks.json "no lockspaces"

# --- status, events, doctor: a daemon's --------------------------------------------
start_daemon healthy
for name in healthy degraded resyncing no-quorum proof joining; do
	status_is $name
	mdcluster status --json >status.json || :
	check status "status, $name" <status.json
	check_each status-node "$name" '.nodes[]' <status.json
	check_each status-array "$name" '.arrays[]' <status.json
	check_each status-disk "$name" '.arrays[].disks[]' <status.json
	[ $name = joining ] ||
		check_each status-member "$name" '.arrays[].members[]' <status.json
	mdcluster nodes --json >nodes.json
	expect_equal "$name: nodes and status" "$(jq -S .nodes status.json)" "$(jq -S . nodes.json)"
	[ $name = healthy ] || mdcluster doctor --json | check_each finding "$name" '.[]'
done

# the kernel's arrays, as recorded from hosts that run some
# shellcheck source=tests/cli/kernel-functions.sh
. "$srcdir/tests/cli/kernel-functions.sh"
kernel_status()
{
	mdcluster status --kernel --json >status.json || :
	check kernel-status "$1" <status.json
	check_each kernel-array "$1" '.arrays[]' <status.json
	check_each kernel-disk "$1" '.arrays[].disks[]' <status.json
	[ "$(jq '.arrays[0].slots | length' status.json)" -eq 0 ] ||
		check_each kernel-slot "$1" '.arrays[].slots[]' <status.json
}
for name in "resync 1" "resync 2" "dirty 1" "dirty 2" "crashed 1" "recovering 1" "degraded 1"; do
	# shellcheck disable=SC2086 # two words
	host $name
	kernel_status "$name"
done
# a rebuild, a message under way, a slot that cannot be read
host dirty 1
echo 2048 >"$md/dev-vdb/recovery_start"
echo spare >"$md/dev-vdb/state"
sed -i 's/^lkb 2 0 0 185 0 4 0 2 0/lkb 2 0 0 185 0 4 0 2 5/' "$(locks_file)"
poke "$root/dev/vda" $((8192 + 4096)) 0
poke "$root/dev/vdb" $((8192 + 4096)) 0
kernel_status "rebuild"
# an old kernel, and disks that cannot be read
host dirty 1
rm -r "$md/uuid" "$root/sys/kernel/config"
truncate -s 4096 "$root/dev/vda" "$root/dev/vdb"
kernel_status "nothing to read"
mdcluster migrate --check --json "$root/dev/vda" "$root/dev/vdb" >migration.json && fail "it cannot move"
check migration "no superblocks" <migration.json
check_each migration-finding "no superblocks" '.findings[]' <migration.json
host dirty 1
mdcluster migrate --run-dir=nowhere --check --json md0 >migration.json || fail "migrate: it can move"
check migration "md0" <migration.json
check_each migration-finding "md0" '.findings[]' <migration.json
check_each migration-step "md0" '.steps[]' <migration.json
no_host

answer Quorum "$(cat "$srcdir/tests/data/control/quorum.json")"
mdcluster quorum --json >quorum.json || :
check quorum "quorum" <quorum.json
check_each quorum-node "quorum" '.nodes[]' <quorum.json
status_is proof '.arrays[0].members[2].slot = null'
mdcluster status --json | check_each status-member "no slot" '.arrays[].members[]' || :
answer Add '{"reply": {"number": 3, "re_added": true}}'
answer Remove '{"reply": {"removed": 2}}'
answer Grow '{"reply": {"size": 98304, "sectors": 98304, "raid_devices": 2}}'
mdcluster grow web --json --size=max | check grow "grow of an array"
mdcluster manage web --json --add /dev/sdx --remove failed | check_each change "disks" '.[]'
for slot in 1 null; do
	answer Events "{\"reply\": {\"events\": [{\"kind\": \"x\", \"slot\": $slot, \"role\": $slot}]}}"
	mdcluster events --json | check event "an event, slot $slot"
done

# --- raid10 on three disks with a spare, in sync ------------------------------
for disk in c d e s; do
	make_disk $disk.img 64M
done
mdcluster create ten c.img d.img e.img s.img -l raid10 -n 3 -x 1 -c 64 \
	--home-cluster=beta --homehost=none --nodes=2 --assume-clean -J >create.json
check create "create, raid10" <create.json
mdcluster examine -J c.img >c
mdcluster examine -J s.img >s
check examine "raid10" <c
check examine "spare" <s
expect '.level == 10 and .level_name == "raid10" and .layout == 258 and
	.chunk_sectors == 128 and .raid_disks == 3 and .resync_offset == "max" and
	.name == "ten" and .cluster == { name: "beta", nodes: 2 }' c "raid10"
expect '.role == "spare" and .dev_number == 3 and .roles == [0, 1, 2]' s "spare"
expect ".array_bytes == ($(jq .size_sectors c) / 128 * 3 / 2 | floor) * 65536" \
	create.json "the kernel's size of a raid10 of three"
mdcluster examine-bitmap -J c.img >c.bitmap
check_bitmap "raid10, bitmap" c.bitmap
expect ".is_ignored and [.slots[].dirty] == [0, 0] and
	.sync_size_sectors == $(jq '.array_bytes / 512' create.json)" c.bitmap \
	"--assume-clean leaves slot 0 empty"

# --- a disk that is being rebuilt: recovery offset 4096 ------------------------
cp b.img rebuilt.img
poke_superblock rebuilt.img 8 $((0x103))
poke_superblock rebuilt.img 152 4096
mdcluster examine --json rebuilt.img >rebuilt
check examine "being rebuilt" <rebuilt
expect '.recovery_offset_sectors == 4096 and .fault == null' rebuilt \
	"being rebuilt"
mdcluster examine rebuilt.img >rebuilt.text
agrees .recovery_offset_sectors rebuilt 'Recovery Offset' rebuilt.text

# --- no bitmap -----------------------------------------------------------------
cp b.img bare.img
poke_superblock bare.img 8 0
mdcluster examine --json bare.img >bare
check examine "without a bitmap" <bare
expect '.bitmap_offset_sectors == null and .cluster == null and
	.fault == null and .kernel_md_cluster.accepts == false and
	(.kernel_md_cluster.reason | startswith("it has no bitmap on its disks: ")) and
	.mdclusterd == .kernel_md_cluster' bare "without a bitmap"

# --- a plain bitmap: version 4, no nodes, no name ------------------------------
cp b.img plain.img
poke_superblock plain.img 8 1
poke plain.img $((8192 + 4)) 4
poke plain.img $((8192 + 68)) 0
dd if=/dev/zero of=plain.img bs=1 seek=$((8192 + 72)) count=64 conv=notrunc \
	status=none
mdcluster examine --json plain.img | check examine "plain bitmap"
mdcluster examine-bitmap --json plain.img >plain
check_bitmap "plain bitmap" plain
expect '.version == 4 and .nodes == 0 and .cluster_name == "" and
	(.slots | length) == 1' plain "plain bitmap"

# --- states of slots -------------------------------------------------------------
cp b.img states.img
poke states.img $((8192 + 4096 + 48)) 2
poke states.img $((8192 + 2 * 4096 + 48)) 4
poke states.img $((8192 + 3 * 4096 + 48)) 8
mdcluster examine-bitmap --json states.img >states
check_bitmap "states" states
expect '[.slots[].state] == ["ok", "stale", "write-error", "0x8"]' states "states"
expect '[.slots[1, 2, 3].dirty] == [1008, 1008, 1008]' states \
	"stale slots count as dirty"

# --- damage: shown, with the fault; the exit status tells ----------------------
cp b.img damaged.img
poke damaged.img $((4096 + 32)) 0
expect_fail 1 mdcluster examine --json damaged.img
printf '%s\n' "$out" >damaged
check examine "damaged" <damaged
expect '.checksum_ok == false and (.fault | test("checksum")) and
	.kernel_md_cluster.accepts == false and
	.kernel_md_cluster.reason == .fault' damaged "damaged"
expect_equal "the fault, and standard error" "mdcluster: $(jq -r .fault damaged)" \
	"$error"

# a slot that cannot be read is left out, the others are not
cp b.img slot.img
poke slot.img $((8192 + 4096)) 0
expect_fail 1 mdcluster examine-bitmap --json slot.img
printf '%s\n' "$out" >slot
check_bitmap "a slot is damaged" slot
expect '[.slots[].slot] == [0, 2, 3]' slot "slot 1 is damaged"

# --- nothing to show -------------------------------------------------------------
make_disk empty.img 64M
for command in examine examine-bitmap; do
	expect_fail 1 mdcluster $command --json empty.img
	expect_equal "$command of an empty disk" "" "$out"
done

# --- the page names no type that never occurs ----------------------------------
sort -u -o seen seen
while read -r object field types; do
	for kind in ${types//,/ }; do
		grep -qxF "$object $field $kind" seen ||
			fail "mdcluster-json.7: $object: $field is never $kind here"
	done
done <promise
