/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/status_scene.h"

#include <stdio.h>
#include <stdlib.h>

#define MIB (1024ull * 1024)
#define SECOND 1000000000ull

static void fill_array(struct status_array *a)
{
	*a = (struct status_array){
		.name = "web", .uuid = "5c0b0c4b:d6ae0359:f266cacf:72232250",
		.level = "raid1", .state = "active", .state_since_ns = 7200 * SECOND,
		.size_bytes = 8192 * MIB, .raid_disks = 2, .disks_in_sync = 2, .slot = 0,
		.is_gate_open = true, .dirty_bytes = 12 * MIB, .chunk_bytes = MIB / 16,
		.clients = 2, .export_path = "/run/mdcluster/web.sock", .disk_count = 2,
		.member_count = 3,
	};
	for (uint32_t i = 0; i < a->disk_count; i++) {
		a->disks[i] = (struct status_disk){
			.state = "in_sync", .role = i, .reads = 100 + i, .writes = 200,
			.read_bytes = 4 * MIB, .written_bytes = 9 * MIB, .in_flight = i,
		};
		snprintf(a->disks[i].path, STATUS_TEXT, "/dev/sd%c", (int)('a' + i));
	}
	for (uint32_t i = 0; i < a->member_count; i++)
		a->members[i] = (struct status_member){
			.node = i + 1, .slot = (int32_t)i, .state = "active",
			.dirty_bytes = i == 0 ? 12 * MIB : 0,
		};
}

struct status status_scene(void)
{
	struct status s = {
		.cluster = "alpha", .version = "0.1.0", .node = 1, .is_quorate = true,
		.votes = 3, .quorum = 2, .expected = 3, .ring_state = "operational",
		.ring_seq = 17, .ring_rep = 1, .token_ns = 210000,
		.uptime_ns = 7300 * SECOND, .node_count = 3, .array_count = 1,
	};

	for (uint32_t i = 0; i < s.node_count; i++) {
		struct status_node *n = &s.nodes[i];

		*n = (struct status_node){
			.id = i + 1, .is_self = i == 0, .is_member = true,
			.incarnation = 4 + i, .since_ns = 7200 * SECOND,
		};
		snprintf(n->name, sizeof(n->name), "node%u", n->id);
		snprintf(n->address, sizeof(n->address), "10.0.0.%u:5405", n->id);
	}
	s.arrays = calloc(1, sizeof(*s.arrays));
	fill_array(&s.arrays[0]);
	return s;
}
