/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "totem/view.h"

#include <assert.h>
#include <stddef.h>

#include "base/arith.h"

static void look_at_ring(const struct ring *ring, uint64_t now, struct totem_view *view)
{
	const struct ring_config *c = ring_settings(ring);
	const struct ring_timing timing = ring_timing(ring);

	view->state = ring_state(ring);
	view->token_age_ns = timing.token_at && now > timing.token_at ?
				     now - timing.token_at : 0;
	view->token_interval_ns = timing.interval_ns;
	view->backlog_bytes = timing.backlog_bytes;
	view->continuous_gather = timing.continuous_gather;
	view->token_timeout_ns = c->token_ns;
	view->consensus_ns = c->consensus_ns;
	view->join_ns = c->join_ns;
	view->merge_ns = c->merge_ns;
	view->hold_ns = c->hold_ns;
}

/* The token is corosync's; a beat that all have acknowledged stands for it. */
static void look_at_cpg(const struct cpg_order *cpg, uint64_t now, struct totem_view *view)
{
	static const enum ring_state states[] = {
		[CPG_ORDER_JOINING] = RING_GATHER, [CPG_ORDER_FORMING] = RING_COMMIT,
		[CPG_ORDER_INSTALLED] = RING_OPERATIONAL, [CPG_ORDER_LEFT] = RING_STOPPED,
	};
	uint64_t sure_at = cpg_order_sure_at(cpg);

	view->state = states[cpg_order_state(cpg)];
	view->token_age_ns = sure_at && now > sure_at ? now - sure_at : 0;
}

void totem_look(const struct totem *t, uint64_t now, struct totem_view *view)
{
	const struct sync *sync = totem_sync_view(t);
	const struct order_look order = totem_order(t);

	*view = (struct totem_view){
		.ring = order.current,
		.members = order.members,
		.is_synchronised = sync_is_active(sync),
		.is_quorate = sync_is_quorate(sync),
		.epoch = sync_epoch(sync),
		.waiting_for = sync_waiting_for(sync),
	};
	if (totem_cpg(t))
		look_at_cpg(totem_cpg(t), now, view);
	else
		look_at_ring(totem_ring(t), now, view);
}

/* --- counters: a uint64_t each, at an offset of its struct ----------------------------- */

struct counter {
	const char *name;
	size_t at;
};

static void tell(const struct counter *counters, size_t count, const void *base,
		 counter_fn fn, void *owner)
{
	for (size_t i = 0; i < count; i++)
		fn(owner, counters[i].name,
		   *(const uint64_t *)((const char *)base + counters[i].at));
}

#define RING(field) { "srp." #field, offsetof(struct ring_stats, field) }
#define RING_FAULT(name, fault) \
	{ "srp.fault." name, offsetof(struct ring_stats, faults[fault]) }

static const struct counter ring_counters[] = {
	RING(orf_token_tx), RING(orf_token_rx),
	RING(mcast_tx), RING(mcast_rx), RING(mcast_retx),
	RING(memb_join_tx), RING(memb_join_rx),
	RING(memb_merge_detect_tx), RING(memb_merge_detect_rx),
	RING(memb_commit_token_tx), RING(memb_commit_token_rx),
	RING(token_hold_cancel_tx), RING(token_hold_cancel_rx),
	RING(gather_entered), RING(commit_entered), RING(recovery_entered),
	RING(operational_entered),
	RING(gather_token_lost), RING(commit_token_lost), RING(recovery_token_lost),
	RING(operational_token_lost),
	RING(consensus_timeouts), RING(failed_to_receive), RING(rx_msg_dropped),
	RING(evidence_rx), RING(leave_rx), RING(quarantined_rx), RING(evicted),
	RING(recovered_tx), RING(own_id_rx), RING(old_incarnation_rx),
	RING_FAULT("short", WIRE_SHORT), RING_FAULT("long", WIRE_LONG),
	RING_FAULT("bad_magic", WIRE_BAD_MAGIC),
	RING_FAULT("bad_version", WIRE_BAD_VERSION),
	RING_FAULT("bad_type", WIRE_BAD_TYPE),
	RING_FAULT("wrong_cluster", WIRE_WRONG_CLUSTER),
	RING_FAULT("unknown_node", WIRE_UNKNOWN_NODE),
	RING_FAULT("bad_field", WIRE_BAD_FIELD),
};

/* One that is added and not named here does not compile; [WIRE_OK] is no fault. */
#define ALL_BUT(left_out, counters, type) \
	static_assert(ARRAY_SIZE(counters) * sizeof(uint64_t) + (left_out) == \
		      sizeof(type), "a counter has no name")
ALL_BUT(sizeof(uint64_t), ring_counters, struct ring_stats);

#define CPG(field) { "cpg." #field, offsetof(struct cpg_order_stats, field) }

static const struct counter cpg_counters[] = {
	CPG(data_tx), CPG(data_rx), CPG(ack_tx), CPG(ack_rx), CPG(beat_tx), CPG(hello_tx),
	CPG(ready_tx), CPG(busy), CPG(installed), CPG(changes), CPG(evicted), CPG(outcast), CPG(foreign),
	CPG(excluded_rx), CPG(malformed), CPG(stranger),
};
ALL_BUT(0, cpg_counters, struct cpg_order_stats);

#define SYNC(field) { "sync." #field, offsetof(struct sync_stats, field) }
#define SYNC_FAULT(name, fault) \
	{ "sync.fault." name, offsetof(struct sync_stats, faults[fault]) }

static const struct counter sync_counters[] = {
	SYNC(activations), SYNC(aborts), SYNC(late), SYNC(evicted),
	SYNC_FAULT("message", SYNC_FAULT_MESSAGE),
	SYNC_FAULT("stranger", SYNC_FAULT_STRANGER),
	SYNC_FAULT("order", SYNC_FAULT_ORDER),
	SYNC_FAULT("service", SYNC_FAULT_SERVICE),
};
ALL_BUT(sizeof(struct pack_stats), sync_counters, struct sync_stats);

#define GROUP(field) { "pg." #field, offsetof(struct group_ring_stats, field) }
#define GROUP_FAULT(name, fault) \
	{ "pg.fault." name, offsetof(struct group_ring_stats, faults[fault]) }

static const struct counter group_counters[] = {
	GROUP(sent), GROUP(refused), GROUP(delivered), GROUP(changes),
	GROUP_FAULT("message", GROUP_FAULT_MESSAGE),
	GROUP_FAULT("phase", GROUP_FAULT_PHASE),
	GROUP_FAULT("stranger", GROUP_FAULT_STRANGER),
	GROUP_FAULT("handle", GROUP_FAULT_HANDLE),
	GROUP_FAULT("limit", GROUP_FAULT_LIMIT),
};
ALL_BUT(sizeof(struct pack_stats), group_counters, struct group_ring_stats);

#define PACK(prefix) \
	{ prefix "messages", offsetof(struct pack_stats, messages) }, \
	{ prefix "bad_version", offsetof(struct pack_stats, faults[PACK_BAD_VERSION]) }, \
	{ prefix "bad_kind", offsetof(struct pack_stats, faults[PACK_BAD_KIND]) }, \
	{ prefix "short", offsetof(struct pack_stats, faults[PACK_SHORT]) }, \
	{ prefix "bad_length", offsetof(struct pack_stats, faults[PACK_BAD_LENGTH]) }, \
	{ prefix "orphan", offsetof(struct pack_stats, faults[PACK_ORPHAN]) }, \
	{ prefix "cut", offsetof(struct pack_stats, faults[PACK_CUT]) }, \
	{ prefix "no_memory", offsetof(struct pack_stats, faults[PACK_NO_MEMORY]) }

static const struct counter pg_pack_counters[] = { PACK("pg.pack.") };
static const struct counter sync_pack_counters[] = { PACK("sync.pack.") };
ALL_BUT(sizeof(uint64_t), pg_pack_counters, struct pack_stats);

void totem_counters(const struct totem *t, counter_fn fn, void *owner)
{
	const struct group_ring_stats *groups = totem_group_stats(t);
	const struct sync_stats *sync = sync_stats(totem_sync_view(t));

	if (totem_cpg(t))
		tell(cpg_counters, ARRAY_SIZE(cpg_counters), cpg_order_stats(totem_cpg(t)),
		     fn, owner);
	else
		tell(ring_counters, ARRAY_SIZE(ring_counters), ring_stats(totem_ring(t)),
		     fn, owner);
	tell(sync_counters, ARRAY_SIZE(sync_counters), sync, fn, owner);
	tell(sync_pack_counters, ARRAY_SIZE(sync_pack_counters), &sync->pack, fn, owner);
	tell(group_counters, ARRAY_SIZE(group_counters), groups, fn, owner);
	tell(pg_pack_counters, ARRAY_SIZE(pg_pack_counters), &groups->pack, fn, owner);
}

#define SEAL(name, refusal) \
	{ "seal.refused." name, offsetof(struct seal_stats, refused[refusal]) }

static const struct counter sealing[] = {
	{ "seal.sealed", offsetof(struct seal_stats, sealed) },
	{ "seal.opened", offsetof(struct seal_stats, opened) },
	SEAL("too_short", SEAL_TOO_SHORT), SEAL("too_long", SEAL_TOO_LONG),
	SEAL("bad_magic", SEAL_BAD_MAGIC), SEAL("bad_version", SEAL_BAD_VERSION),
	SEAL("is_plain", SEAL_IS_PLAIN), SEAL("is_sealed", SEAL_IS_SEALED),
	SEAL("bad_cipher", SEAL_BAD_CIPHER), SEAL("wrong_cluster", SEAL_WRONG_CLUSTER),
	SEAL("wrong_key", SEAL_WRONG_KEY), SEAL("unknown_sender", SEAL_UNKNOWN_SENDER),
	SEAL("echo", SEAL_ECHO), SEAL("old_boot", SEAL_OLD_BOOT),
	SEAL("replay", SEAL_REPLAY), SEAL("late", SEAL_LATE),
	SEAL("bad_tag", SEAL_BAD_TAG), SEAL("own_id", SEAL_OWN_ID),
};
ALL_BUT(sizeof(uint64_t), sealing, struct seal_stats);

void seal_counters(const struct seal *seal, counter_fn fn, void *owner)
{
	tell(sealing, ARRAY_SIZE(sealing), seal_stats(seal), fn, owner);
}

#define UDP(field) { "udp." #field, offsetof(struct transport_counters, field) }

static const struct counter datagrams[] = {
	UDP(sent_datagrams), UDP(sent_bytes), UDP(send_calls), UDP(sent_batches),
	UDP(sent_fragments), UDP(send_errors), UDP(blocked), UDP(queue_dropped),
	UDP(too_big), UDP(mtu_lowered), UDP(gso_refused),
	UDP(received_datagrams), UDP(received_bytes), UDP(receive_calls),
	UDP(received_batches), UDP(received_messages), UDP(overflows), UDP(own_copies),
	UDP(unknown_sender), UDP(bad_datagrams), UDP(received_fragments),
	UDP(duplicate_fragments), UDP(stale_fragments), UDP(bad_fragments),
	UDP(messages_replaced), UDP(messages_expired), UDP(no_memory),
	{ "udp.evidence.refused",
	  offsetof(struct transport_counters, evidence[TRANSPORT_REFUSED]) },
	{ "udp.evidence.unreachable",
	  offsetof(struct transport_counters, evidence[TRANSPORT_UNREACHABLE]) },
	{ "udp.evidence.link_down",
	  offsetof(struct transport_counters, evidence[TRANSPORT_LINK_DOWN]) },
	UDP(queued_bytes), UDP(payload_bytes),
};
ALL_BUT(0, datagrams, struct transport_counters);

void transport_tell_counters(const struct transport *transport, counter_fn fn,
			     void *owner)
{
	struct transport_counters c;

	transport_counters(transport, &c);
	tell(datagrams, ARRAY_SIZE(datagrams), &c, fn, owner);
}
