/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/array_rig_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "mdclusterd/array/array_private.h"

enum { MANY_STEPS = 2000000 };

uint64_t array_rig_random(struct array_rig *rig)
{
	uint64_t x = rig->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* --- what an array's owner does ------------------------------------------------------------- */

static uint64_t on_now(void *owner)
{
	struct rig_array *n = owner;

	return lock_rig_now_ns(n->rig->locks);
}

static void on_event(void *owner, const struct array_event *event)
{
	struct rig_array *n = owner;

	n->events[event->kind]++;
	if (event->kind == ARRAY_EVENT_SLOT_RECOVERED)
		n->recovered_bytes += event->bytes;
	if (event->text[0])
		snprintf(n->last_text, sizeof(n->last_text), "%s", event->text);
	if (getenv("LOCK_RIG_TRACE"))
		fprintf(stderr, "     node %d: %s slot %d %s [%llu, %llu)\n", n->id,
			array_event_name(event->kind), event->slot, event->text,
			(unsigned long long)(event->low / RIG_CHUNK_SECTORS),
			(unsigned long long)(event->high / RIG_CHUNK_SECTORS));
}

static bool on_evict(void *owner, uint32_t node, const char *why)
{
	struct rig_array *n = owner;

	(void)why;
	n->evicted = node;
	return n->evicts;
}

static void on_stopped(void *owner)
{
	struct rig_array *n = owner;

	n->is_stopped = true;
}

static void on_closed_here(void *owner)
{
	struct rig_array *n = owner;

	n->is_closed_here = true;
}

static void on_slot_known(void *owner, int slot)
{
	struct rig_array *n = owner;

	n->known_slot = slot;
}

static const struct array_ops array_ops = {
	.now = on_now,
	.event = on_event,
	.evict = on_evict,
	.closed_here = on_closed_here,
	.stopped = on_stopped,
	.slot_known = on_slot_known,
};

/* --- the rules ---------------------------------------------------------------------------------- */

uint64_t array_rig_dirty(const struct array_rig *rig)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < rig->disks.nodes; i++)
		bits |= rig->disks.slots[i];
	return bits;
}

bool rig_is_out(const struct array_rig *rig, int node)
{
	return rig->is_cut[node] || rig->is_fenced[node];
}

void rig_check(struct array_rig *rig)
{
	uint64_t owned = 0;

	if (rig->disks.differ & ~array_rig_dirty(rig) && !rig->is_rotten)
		fail_msg("chunks %llx differ, and no slot says so",
			 (unsigned long long)(rig->disks.differ & ~array_rig_dirty(rig)));
	for (int i = 1; i <= rig->count; i++) {
		const struct rig_plane *p = &rig->nodes[i].plane;

		if (!p->is_started || rig_is_out(rig, i))
			continue;
		if (p->changes != rig->disks.changes)
			fail_msg("node %d serves an array of another size", i);
		if (owned >> p->slot & 1)
			fail_msg("two nodes serve slot %u", p->slot);
		owned |= UINT64_C(1) << p->slot;
		rig_plane_check(&rig->nodes[i].plane);
		if (p->is_gate_open && rig->disks.differ && !p->is_single && !rig->is_rotten)
			fail_msg("node %d balances reads, and copies differ", i);
		if (p->is_gate_open)
			assert_int_equal(rig->disks.resync_offset, 0); /* D11 */
	}
}

/* --- steps ----------------------------------------------------------------------------------- */

static bool is_stepped(struct array_rig *rig, uint64_t which)
{
	uint64_t kind = which / (uint64_t)rig->count;
	struct rig_array *n = &rig->nodes[1 + which % (uint64_t)rig->count];

	if (kind == 0)
		return lock_rig_step(rig->locks);
	if (!n->array)
		return false;
	return kind == 1 ? rig_metadata_step(&n->metadata) : rig_plane_step(&n->plane);
}

bool array_rig_step(struct array_rig *rig)
{
	uint64_t kinds = 3 * (uint64_t)rig->count;
	uint64_t first = array_rig_random(rig) % kinds;

	for (uint64_t i = 0; i < kinds; i++)
		if (is_stepped(rig, (first + i) % kinds)) {
			rig->steps++;
			rig_check(rig);
			return true;
		}
	return false;
}

void array_rig_settle(struct array_rig *rig)
{
	for (int i = 0; array_rig_step(rig); i++)
		if (i > MANY_STEPS)
			fail_msg("it never comes to rest");
}

static uint64_t next_deadline(struct array_rig *rig)
{
	uint64_t at = lock_rig_deadline_ns(rig->locks);

	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array)
			at = min_u64(at, array_deadline(rig->nodes[i].array));
	return at;
}

static void jump(struct array_rig *rig, uint64_t at)
{
	uint64_t now = lock_rig_now_ns(rig->locks);

	rig->jumped_ns += at > now ? at - now : 0;
	if (at > now)
		lock_rig_advance_ns(rig->locks, at - now);
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array)
			array_advance(rig->nodes[i].array, lock_rig_now_ns(rig->locks));
	rig_check(rig);
}

void array_rig_run_seconds(struct array_rig *rig, uint64_t seconds)
{
	uint64_t end = lock_rig_now_ns(rig->locks) + RIG_SECONDS(seconds), at;

	array_rig_settle(rig);
	while ((at = next_deadline(rig)) <= end) {
		jump(rig, at);
		array_rig_settle(rig);
	}
}

void array_rig_run_next(struct array_rig *rig)
{
	array_rig_settle(rig);
	if (next_deadline(rig) != UINT64_MAX)
		jump(rig, next_deadline(rig));
}

void array_rig_run(struct array_rig *rig)
{
	array_rig_run_seconds(rig, 60);
}

bool array_rig_until(struct array_rig *rig, int node, enum array_state state)
{
	for (int i = 0; i < MANY_STEPS; i++) {
		struct array_look look = array_rig_look(rig, node);

		if (look.state == state)
			return true;
		if (array_rig_step(rig))
			continue;
		if (next_deadline(rig) == UINT64_MAX)
			return false;
		jump(rig, next_deadline(rig));
	}
	return false;
}

/* --- life ------------------------------------------------------------------------------------- */

void array_rig_start(struct array_rig *rig, int node)
{
	static const char *const paths[] = { "disk0", "disk1", "disk2" };
	struct rig_array *n = &rig->nodes[node];
	char name[] = "web";
	const struct array_config config = {
		.name = name,
		.paths = paths,
		.path_count = rig->disks.disks,
		.cluster = "alpha",
		.self = (uint32_t)node,
		.wanted_slot = n->wanted_slot,
	};
	struct err err = ERR_INIT;

	if (!n->array)
		n->array = array_new(&config, lock_rig_engine(rig->locks, node),
				     &n->metadata.base, &n->plane.base, &array_ops, n, &err);
	assert_non_null(n->array);
	n->is_stopped = n->is_closed_here = false;
	array_set_quorate(n->array, true);
	array_start(n->array);
}

void array_rig_start_all(struct array_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		array_rig_start(rig, i);
	array_rig_run(rig);
	for (int i = 1; i <= rig->count; i++)
		assert_true(array_rig_is_active(rig, i));
}

static void forget(struct array_rig *rig, int node)
{
	struct rig_array *n = &rig->nodes[node];

	array_free(n->array);
	n->array = NULL;
	rig_plane_die(&n->plane);
	n->metadata.count = 0;
	n->metadata.is_run = false;
}

void array_rig_stop(struct array_rig *rig, int node)
{
	struct rig_array *n = &rig->nodes[node];
	struct err err = ERR_INIT;

	assert_ok(array_stop(n->array, &err), err);
}

void array_rig_kill(struct array_rig *rig, int node)
{
	struct rig_array *n = &rig->nodes[node];

	/* what was read, or run, and was not told is lost with it */
	for (size_t i = 0; i < n->metadata.count; i++)
		if (n->metadata.is_run && i == 0 &&
		    n->metadata.queue[0]->op == METADATA_READ_SLOT) {
			free(n->metadata.queue[0]->bits);
			n->metadata.queue[0]->bits = NULL;
		}
	lock_rig_kill(rig->locks, node, LOCK_DEATH_NODE);
	forget(rig, node);
	rig_check(rig);
}

void array_rig_prove(struct array_rig *rig, int node)
{
	rig->is_fenced[node] = rig->is_cut[node];
	lock_rig_prove(rig->locks, node);
}

void array_rig_revive(struct array_rig *rig, int node)
{
	struct rig_array *n = &rig->nodes[node];

	lock_rig_revive(rig->locks, node);
	rig->is_fenced[node] = false;
	rig_plane_init(&n->plane, rig, node);
	rig_metadata_init(&n->metadata, rig, node);
}

void array_rig_bury(struct array_rig *rig, int node)
{
	array_rig_kill(rig, node);
	array_rig_prove(rig, node);
	array_rig_run(rig);
}

void array_rig_cut(struct array_rig *rig, int node)
{
	struct rig_plane *p = &rig->nodes[node].plane;

	rig->is_cut[node] = true;
	array_set_quorate(rig->nodes[node].array, false);
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		p->writing[c] = 0; /* they end, or the fence ends them */
	lock_rig_cut(rig->locks, node);
}

void array_rig_heal(struct array_rig *rig, int node)
{
	rig->is_cut[node] = false;
	lock_rig_heal(rig->locks, node);
	if (rig->nodes[node].array)
		array_set_quorate(rig->nodes[node].array, true);
}

struct array_rig *array_rig_new(int nodes, uint64_t seed)
{
	struct array_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_true(nodes <= ARRAY_RIG_NODES);
	rig->count = nodes;
	rig->random = seed;
	rig->locks = lock_rig_new(nodes);
	rig->disks.disks = 2;
	rig->disks.nodes = (uint32_t)nodes;
	rig->disks.events = 10;
	rig->disks.resync_offset = UINT64_MAX;
	for (uint32_t i = 0; i < ARRAY_RIG_DISKS; i++) {
		rig->disks.state[i] = METADATA_DISK_IN_SYNC;
		rig->disks.number[i] = i;
	}
	rig->disks.next_number = ARRAY_RIG_DISKS;
	for (int i = 1; i <= nodes; i++) {
		struct rig_array *n = &rig->nodes[i];

		n->rig = rig;
		n->id = i;
		n->wanted_slot = n->known_slot = -1;
		rig_plane_init(&n->plane, rig, i);
		rig_metadata_init(&n->metadata, rig, i);
	}
	return rig;
}

void array_rig_free(struct array_rig *rig)
{
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array)
			array_rig_kill(rig, i);
	lock_rig_free(rig->locks);
	free(rig);
}

/* --- looking ------------------------------------------------------------------------------------ */

uint64_t array_rig_said(struct array_rig *rig, int node)
{
	return msg_channel_stats(rig->nodes[node].array->channel)->sent;
}

struct array_look array_rig_look(struct array_rig *rig, int node)
{
	struct array_look look;

	assert_non_null(rig->nodes[node].array);
	array_look(rig->nodes[node].array, &look);
	return look;
}

bool array_rig_is_active(struct array_rig *rig, int node)
{
	return rig->nodes[node].array && array_rig_look(rig, node).state == ARRAY_ACTIVE;
}

void array_rig_check_healthy(struct array_rig *rig)
{
	bool is_degraded = false;

	for (uint32_t i = 0; i < rig->disks.disks; i++)
		is_degraded |= rig->disks.state[i] != METADATA_DISK_IN_SYNC;
	for (int i = 1; i <= rig->count; i++) {
		const struct rig_plane *p = &rig->nodes[i].plane;
		struct array_look look;

		if (!rig->nodes[i].array)
			continue;
		look = array_rig_look(rig, i);
		if (look.state != ARRAY_ACTIVE)
			fail_msg("node %d is %s: %s %s", i, array_state_name(look.state),
				 look.why.text, look.waits);
		if (look.recovery_map)
			fail_msg("node %d: slots %llx are to be recovered: %s", i,
				 (unsigned long long)look.recovery_map, look.waits);
		if (look.is_single_source)
			fail_msg("node %d reads from a single source", i);
		assert_true(look.is_gate_open && p->is_gate_open && p->is_serving);
		assert_false(p->is_single);
		assert_int_equal(p->needed, 0);
		assert_int_equal(p->failing, 0);
		assert_string_equal(look.waits, "");
		for (int j = 0; j < ARRAY_MAX_NODES; j++)
			if (p->suspended[j].high)
				fail_msg("node %d: the range of slot %d is suspended", i, j);
		array_rig_clear(rig, i);
	}
	assert_int_equal(rig->disks.differ, 0);
	if (!is_degraded) /* else they stay (D2) */
		assert_int_equal(array_rig_dirty(rig), 0);
}
