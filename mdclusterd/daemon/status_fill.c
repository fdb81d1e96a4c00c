/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h> /* the build's: there is one beside us */

#include "mdclusterd/daemon/status_fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/text.h"
#include "mdclusterd/control/status.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/stopped.h"
#include "mdclusterd/daemon/unit.h"
#include "mdclusterd/daemon/unit_reserve.h"
#include "mdclusterd/fence/proof.h"

static uint64_t age(uint64_t since_ns, uint64_t now)
{
	return since_ns && now > since_ns ? now - since_ns : 0;
}

/* --- the cluster --------------------------------------------------------------------------- */

static void fill_node(const struct engine *e, int i, uint64_t now, struct status_node *n)
{
	const struct config_node *c = &e->config->nodes[i];
	struct node_set members = cluster_members(e->cluster);
	char waits[PROOF_TEXT_BYTES];

	n->id = c->id;
	memcpy(n->name, c->name, sizeof(n->name));
	transport_address_text(&c->address, n->address);
	n->is_self = i == e->config->self;
	n->is_member = set_has(&members, i);
	n->is_dead = !n->is_member && cluster_is_dead(e->cluster, i);
	n->incarnation = cluster_incarnation(e->cluster, i);
	n->since_ns = age(cluster_since(e->cluster, i), now);
	engine_proof_waits(e, c->id, waits);
	memcpy(n->waits, waits, sizeof(n->waits));
}

static const char *name_of(void *owner, uint32_t id)
{
	return engine_node_name(owner, id);
}

static void fill_quorum(const struct engine *e, struct status *s)
{
	struct quorum_look look;

	cluster_look_at_quorum(e->cluster, name_of, (void *)(uintptr_t)e, &look);
	s->votes = look.votes;
	s->quorum = look.quorum;
	s->expected = look.expected;
	s->is_quorate = s->is_quorate && look.is_quorate;
	if (!s->is_quorate)
		snprintf(s->quorum_waits, sizeof(s->quorum_waits), "%s", look.why);
}

void status_fill(const struct engine *e, struct status *s)
{
	uint64_t now = clock_boot_ns();
	struct totem_view view;

	totem_look(station_totem(cluster_station(e->cluster)), now, &view);
	memcpy(s->cluster, e->config->cluster, sizeof(s->cluster));
	snprintf(s->version, sizeof(s->version), "%s", PACKAGE_VERSION);
	s->node = e->config->nodes[e->config->self].id;
	s->is_quorate = cluster_is_quorate(e->cluster);
	fill_quorum(e, s);
	snprintf(s->ring_state, sizeof(s->ring_state), "%s", ring_state_name(view.state));
	s->ring_seq = view.ring.seq;
	s->ring_rep = view.ring.rep;
	s->token_ns = view.token_interval_ns;
	s->uptime_ns = now - e->started_ns;
	s->node_count = (uint32_t)e->config->node_count;
	for (int i = 0; i < e->config->node_count; i++)
		fill_node(e, i, now, &s->nodes[i]);
}

/* --- an array --------------------------------------------------------------------------------- */

static const char *disk_state(const struct metadata_disk *d)
{
	static const char *const names[] = {
		[METADATA_DISK_MISSING] = "missing", [METADATA_DISK_FAULTY] = "faulty",
		[METADATA_DISK_SPARE] = "spare", [METADATA_DISK_REBUILD] = "rebuild",
		[METADATA_DISK_IN_SYNC] = "in_sync", [METADATA_DISK_STALE] = "stale",
	};

	return names[d->state];
}

static void fill_disks(const struct metadata_view *v, const struct plane_look *look,
		       struct status_array *a)
{
	for (uint32_t i = 0; i < v->disk_count && i < STATUS_MAX_DISKS; i++) {
		const struct metadata_disk *m = &v->disks[i];
		struct status_disk *d = &a->disks[a->disk_count++];

		snprintf(d->path, sizeof(d->path), "%s", m->path);
		snprintf(d->state, sizeof(d->state), "%s", disk_state(m));
		d->role = m->role;
		d->number = m->dev_number;
		if (m->state == METADATA_DISK_REBUILD) {
			d->recovered_sectors = min_u64(m->recovery_offset, v->member_sectors);
			d->is_by_bitmap = m->is_by_bitmap;
		}
		a->disks_in_sync += m->state == METADATA_DISK_IN_SYNC;
		if (!look || m->role >= METADATA_MAX_DISKS)
			continue;
		d->reads = look->disks[m->role].reads;
		d->writes = look->disks[m->role].writes;
		d->read_bytes = look->disks[m->role].read_bytes;
		d->written_bytes = look->disks[m->role].written_bytes;
		d->errors = look->disks[m->role].errors;
		d->read_errors = look->disks[m->role].read_errors;
		d->corrected_sectors = look->disks[m->role].corrected_sectors;
		d->recent_read_errors = look->disks[m->role].recent_errors;
		d->in_flight = look->disks[m->role].in_flight;
	}
}

static void fill_members(const struct engine *e, const struct unit *u,
			 const struct array_look *l, const struct plane_look *look,
			 uint64_t now, struct status_array *a)
{
	uint32_t self = e->config->nodes[e->config->self].id;

	for (size_t i = 0; i < l->member_count && i < STATUS_MAX_NODES; i++) {
		const struct array_member_look *m = &l->members[i];
		struct status_member *to = &a->members[a->member_count++];
		bool is_mapped = m->slot >= 0 && m->slot < 64 && l->recovery_map >> m->slot & 1;

		to->node = m->node;
		to->slot = m->slot;
		snprintf(to->state, sizeof(to->state), "%s",
			 m->is_missing ? "missing" : is_mapped ? "recovering" : "active");
		to->owes_resync = m->owes_resync;
		to->low = m->low;
		to->high = m->high;
		to->since_ns = age(m->since_ns, now);
		if (m->node == self && look)
			to->dirty_bytes = look->dirty_bytes;
		else
			(void)unit_slot_dirty(u, m->slot, &to->dirty_bytes);
	}
}

static void fill_view(const struct metadata_view *v, struct status_array *a)
{
	text_uuid(v->uuid, a->uuid);
	snprintf(a->level, sizeof(a->level), "raid%d", v->level);
	a->size_bytes = v->array_sectors * 512;
	a->member_sectors = v->member_sectors;
	a->raid_disks = v->raid_disks;
	a->chunk_bytes = v->geo.chunk_bytes;
}

static void fill_plane(const struct plane_look *look, struct status_array *a)
{
	a->is_gate_open = look->is_gate_open;
	a->is_single_source = look->is_single_source;
	a->dirty_bytes = look->dirty_bytes;
	a->needed_bytes = look->needed_bytes;
	a->clients = look->clients;
	a->parked = look->parked_gate + look->parked_suspended;
	a->parked_since_ns = look->parked_since_ns;
}

static void fill_limits(const struct config_array *c, struct status_array *a)
{
	a->resync_min_bytes = c->resync_min_bytes ? c->resync_min_bytes : ARRAY_RESYNC_MIN_BYTES;
	a->resync_max_bytes = c->resync_max_bytes ? c->resync_max_bytes : ARRAY_RESYNC_MAX_BYTES;
	a->intent_budget_bytes = c->intent_budget_bytes;
	a->max_read_errors = c->max_read_errors;
}

/*
 * The array counts whole windows, and a slow one may take minutes: of the one under way the
 * plane knows more. What it does not need any more is done.
 */
static uint64_t done_sectors(const struct array_look *l, const struct plane_look *look)
{
	uint64_t left;

	if (!look)
		return l->done_sectors;
	if (strcmp(l->kind_text, "resync") != 0)
		return min_u64(l->total_sectors, l->done_sectors + look->sync_sectors);
	left = look->needed_bytes / 512;
	left -= min_u64(left, look->sync_sectors);
	return max_u64(l->done_sectors, l->total_sectors - min_u64(left, l->total_sectors));
}

static void fill_activity(const struct array_look *l, const struct plane_look *look,
			  struct status_array *a)
{
	uint64_t left;

	if (!l->kind_text)
		return;
	snprintf(a->activity, sizeof(a->activity), "%s", l->kind_text);
	a->done_sectors = done_sectors(l, look);
	left = l->total_sectors - min_u64(a->done_sectors, l->total_sectors);
	a->total_sectors = l->total_sectors;
	a->mismatch_sectors = l->mismatch_sectors;
	a->speed_bytes = l->speed_bytes;
	if (l->speed_bytes)
		a->eta_ns = left * 512 / max_u64(l->speed_bytes / 1000, 1) * NS_PER_MS;
}

/* M8: what no array can know, for it is in no lockspace yet. */
static bool say_absent(const struct engine *e, char to[STATUS_TEXT])
{
	struct lock_manager_absent absent;
	int at;

	if (!lock_manager_absent(cluster_manager(e->cluster), 0, &absent))
		return false;
	at = snprintf(to, STATUS_TEXT, "proof of death of ");
	for (size_t i = 0; at < STATUS_TEXT &&
			   lock_manager_absent(cluster_manager(e->cluster), i, &absent); i++)
		at += snprintf(to + at, STATUS_TEXT - (size_t)at, "%s%s", i ? ", " : "",
			       engine_node_name(e, absent.node));
	if (at < STATUS_TEXT)
		snprintf(to + at, STATUS_TEXT - (size_t)at, ", which may have it in use");
	return true;
}

static void say_waits(const struct engine *e, const char *waits, char to[STATUS_TEXT])
{
	static const char word[] = "waits: "; /* whoever shows it says so */

	if (strncmp(waits, word, strlen(word)) == 0)
		waits += strlen(word);
	(void)engine_name_nodes(e, waits, to, STATUS_TEXT);
}

void status_fill_waits(const struct engine *e, const struct array_look *l, char to[STATUS_TEXT])
{
	if (l->state != ARRAY_JOINING || !say_absent(e, to))
		say_waits(e, l->waits, to);
}

/* It could not start: why, and when that is tried again. */
static void fill_why(const struct engine *e, const struct unit *u, uint64_t now,
		     struct status_array *a)
{
	uint64_t at = unit_retry_at_ns(u);
	size_t length;

	say_waits(e, unit_why(u), a->waits);
	length = strlen(a->waits);
	if (at > now && length > 0)
		snprintf(a->waits + length, sizeof(a->waits) - length,
			 "; it is tried again in %" PRIu64 " s",
			 (uint64_t)((at - now) / NS_PER_S + 1));
}

void status_fill_down(const struct engine *e, const struct config_array *c,
		      struct status_array *a)
{
	*a = (struct status_array){ .slot = -1 };
	snprintf(a->name, sizeof(a->name), "%s", c->name);
	snprintf(a->state, sizeof(a->state), "%s", array_state_name(ARRAY_DOWN));
	a->is_stopped = !c->is_auto || stopped_is(e->config->run_dir, c->name);
	if (!a->is_stopped && !cluster_is_quorate(e->cluster))
		snprintf(a->waits, sizeof(a->waits), "quorum");
}

void status_fill_array(const struct engine *e, const struct unit *u,
		       const struct plane_look *look, struct status_array *a)
{
	uint64_t now = clock_boot_ns();
	struct array_look l;

	*a = (struct status_array){ .slot = -1 };
	snprintf(a->name, sizeof(a->name), "%s", unit_name(u));
	snprintf(a->state, sizeof(a->state), "%s", array_state_name(ARRAY_DOWN));
	fill_limits(unit_config(u), a);
	if (!unit_array(u)) {
		fill_why(e, u, now, a);
		return;
	}
	array_look(unit_array(u), &l);
	snprintf(a->state, sizeof(a->state), "%s", array_state_name(l.state));
	a->state_since_ns = age(l.state_since_ns, now);
	a->slot = l.slot;
	a->degraded_since_ns = age(l.degraded_since_ns, now);
	status_fill_waits(e, &l, a->waits);
	a->needs_disk = l.needs_disk;
	a->waits_since_ns = age(l.waits_since_ns, now);
	if (l.state == ARRAY_ACTIVE)
		snprintf(a->export_path, sizeof(a->export_path), "%.255s", unit_socket_path(u));
	if (unit_reserve_key(unit_reserve(u)))
		snprintf(a->reservation_key, sizeof(a->reservation_key), "0x%016" PRIx64,
			 unit_reserve_key(unit_reserve(u)));
	if (l.view) {
		fill_view(l.view, a);
		fill_disks(l.view, look, a);
	}
	fill_members(e, u, &l, look, now, a);
	if (look)
		fill_plane(look, a);
	fill_activity(&l, look, a);
}
