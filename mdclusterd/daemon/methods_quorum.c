/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quorum, QuorumExpected: who decides, and a person's word on that. */
#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/methods.h"
#include "totem/view.h"

LOG_SUBSYSTEM(quorum);

static json_t *node_json(const struct engine *e, int i, const struct quorum_look *look)
{
	const struct config_node *n = &e->config->nodes[i];

	return json_pack("{s:I, s:s, s:I, s:b, s:b, s:b}", "id", (json_int_t)n->id, "name", n->name,
			 "votes", (json_int_t)look->node_votes[i], "is_self",
			 i == e->config->self, "is_member", set_has(&look->members, i),
			 "is_expected", set_has(&look->in_basis, i));
}

/* corosync-quorumtool's words. */
static json_t *flags_of(const struct quorum_options *o, const struct quorum_look *look)
{
	const struct { bool is_set; const char *name; } flags[] = {
		{ o->is_two_node, "2Node" },
		{ look->is_quorate, "Quorate" },
		{ o->waits_for_all, "WaitForAll" },
		{ o->is_last_man_standing, "LastManStanding" },
		{ o->tie != QUORUM_TIE_NONE, "AutoTieBreaker" },
		{ o->allows_downscale, "AllowDownscale" },
		{ o->device_votes > 0, "Qdevice" },
	};
	json_t *all = json_array();

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].is_set)
			json_array_append_new(all, json_string(flags[i].name));
	return all;
}

void method_quorum(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const struct quorum_options *o = cluster_quorum_settings(e->cluster);
	json_t *nodes = json_array();
	struct quorum_look look;
	struct totem_view view;

	(void)parameters;
	engine_look_at_quorum(e, &look);
	totem_look(station_totem(cluster_station(e->cluster)), clock_boot_ns(), &view);
	for (int i = 0; i < e->config->node_count; i++)
		json_array_append_new(nodes, node_json(e, i, &look));
	control_reply(call, json_pack(
		"{s:{s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:o, s:s, s:o}}",
		"quorum", "node", (json_int_t)e->config->nodes[e->config->self].id,
		"ring_rep", (json_int_t)view.ring.rep, "ring_seq", (json_int_t)view.ring.seq,
		"is_quorate", look.is_quorate, "votes", (json_int_t)look.votes,
		"expected", (json_int_t)look.expected,
		"highest_expected", (json_int_t)look.highest_expected,
		"quorum", (json_int_t)look.quorum, "basis", (json_int_t)look.basis,
		"waits_for_all", look.waits_for_all, "has_device", look.has_device,
		"device_votes", (json_int_t)o->device_votes, "flags", flags_of(o, &look),
		"waits", look.why, "nodes", nodes));
}

void method_quorum_expected(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const json_t *votes = json_object_get(parameters, "votes");
	struct err err = ERR_INIT;
	json_int_t n = json_integer_value(votes);

	if (!json_is_integer(votes) || n < 1 || n > QUORUM_MAX_EXPECTED) {
		control_fail_parameter(call, "votes");
		return;
	}
	if (!cluster_is_quorate(e->cluster) && !method_truth(parameters, "sure")) {
		method_refuse(call, -EAGAIN,
			      "this part of the cluster has no quorum, and another may have: say that it has not");
		return;
	}
	if (cluster_set_expected(e->cluster, (uint32_t)n, &err) == 0)
		log_warning("MDC5602", "by hand: %u votes are expected from now on, says user %u",
			    (unsigned int)n, (unsigned int)control_uid(call));
	method_answer(call, &err);
}
