/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A configuration that has changed: each option is either taken over or named as one
 * that takes a new start. What runs goes on with the old value of these.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"
#include "totem/keyfile.h"

LOG_SUBSYSTEM(reload);

struct reload {
	const struct engine *engine;
	const struct config *old, *new;
	void (*changed)(void *owner, const char *name, bool needs_restart);
	void *owner;
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void note(const struct reload *r, const char *name, bool is_same, bool needs_restart)
{
	if (!is_same)
		r->changed(r->owner, name, needs_restart);
}

#define NOTE(r, field, name, needs_restart) \
	note(r, name, (r)->old->field == (r)->new->field, needs_restart)
#define NOTE_TEXT(r, field, name, needs_restart) \
	note(r, name, same_text((r)->old->field, (r)->new->field), needs_restart)

static bool same_node(const struct config_node *a, const struct config_node *b)
{
	return a->id == b->id &&
	       memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

/* Names may change, all else of the nodes is woven into the ring. */
static bool same_nodes(const struct config *a, const struct config *b)
{
	bool is_same = a->node_count == b->node_count && a->self == b->self;

	for (int i = 0; is_same && i < a->node_count; i++)
		is_same = same_node(&a->nodes[i], &b->nodes[i]);
	return is_same;
}

static void note_names(const struct reload *r)
{
	note(r, "votes", memcmp(r->old->quorum.votes, r->new->quorum.votes,
				sizeof(r->old->quorum.votes)) == 0, false);
	for (int i = 0; i < r->old->node_count && i < r->new->node_count; i++)
		note(r, "node names",
		     strcmp(r->old->nodes[i].name, r->new->nodes[i].name) == 0, false);
}

static void compare_quorum(const struct reload *r)
{
	const struct quorum_options *a = &r->old->quorum, *b = &r->new->quorum;

	NOTE(r, quorum.expected, "quorum.expected_votes", false);
	NOTE(r, quorum.is_two_node, "quorum.two_node", true);
	NOTE(r, quorum.waits_for_all, "quorum.wait_for_all", true);
	NOTE(r, quorum.is_last_man_standing, "quorum.last_man_standing", true);
	NOTE(r, quorum.last_man_standing_window_ns, "quorum.last_man_standing_window", true);
	NOTE(r, quorum.allows_downscale, "quorum.allow_downscale", true);
	NOTE(r, quorum.tie, "quorum.auto_tie_breaker", true);
	note(r, "quorum.auto_tie_breaker_node",
	     a->tie_count == b->tie_count &&
		     memcmp(a->tie_nodes, b->tie_nodes, sizeof(a->tie_nodes)) == 0, true);
	NOTE_TEXT(r, tie_breaker, "quorum.tie_breaker", true);
	NOTE(r, quorum.device_votes, "quorum.tie_breaker_votes", true);
	NOTE(r, tie_breaker_io_timeout_ms, "quorum.tie_breaker_io_timeout", true);
}

static void compare(const struct reload *r)
{
	NOTE_TEXT(r, cluster, "cluster.name", true);
	NOTE(r, engine, "cluster.engine", true);
	NOTE(r, locks, "cluster.locks", true);
	NOTE_TEXT(r, key_file, "cluster.key_file", true);
	NOTE(r, takes_all, "cluster.incremental", false);
	NOTE(r, re_adds, "cluster.auto_re_add", false);
	note(r, "nodes", same_nodes(r->old, r->new), true);
	if (same_nodes(r->old, r->new))
		note_names(r);
	NOTE(r, token_ms, "totem.token_ms", true);
	NOTE(r, sync_deadline_ms, "totem.sync_deadline_ms", true);
	NOTE(r, mtu_bytes, "totem.mtu", true);
	NOTE(r, multicast_ttl, "totem.multicast_ttl", true);
	note(r, "totem.multicast", memcmp(&r->old->multicast, &r->new->multicast,
					  sizeof(r->old->multicast)) == 0, true);
	NOTE(r, lease_ms, "quorum.lease_ms", true);
	compare_quorum(r);
	NOTE_TEXT(r, run_dir, "run_dir", true);
	NOTE_TEXT(r, state_dir, "state_dir", true);
	NOTE_TEXT(r, control_group, "control.group", true);
	NOTE(r, locks_memory, "lock_memory", true);
	NOTE_TEXT(r, watchdog.device, "watchdog.device", true);
	NOTE(r, watchdog.timeout_s, "watchdog.timeout_s", true);
	NOTE(r, watchdog.drain_ms, "watchdog.drain_ms", true);
	NOTE(r, watchdog.takes_software, "watchdog.software", true);
	NOTE(r, fence.methods, "fence.methods", false);
	NOTE(r, fence.plan.delay_ms, "fence.delay_ms", false);
	note(r, "fence: devices and levels",
	     fence_plan_is_same(&r->old->fence.plan, &r->new->fence.plan), false);
	NOTE(r, log_level, "log.level", false);
	NOTE(r, log_target, "log.target", true);
}

/* --- arrays ------------------------------------------------------------------------------- */

static bool same_disks(const struct config_array *a, const struct config_array *b)
{
	bool is_same = a->disk_count == b->disk_count && a->has_uuid == b->has_uuid &&
		       memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0;

	for (size_t i = 0; is_same && i < a->disk_count; i++)
		is_same = strcmp(a->disks[i], b->disks[i]) == 0;
	return is_same;
}

static void note_array(const struct reload *r, const char *array, const char *option,
		       bool is_same, bool needs_restart)
{
	char name[3 * CONFIG_NAME_BYTES];

	snprintf(name, sizeof(name), "array %s%s%s%s", array, *option ? ": " : "", option,
		 needs_restart && *option ? ", or when it is stopped and assembled" : "");
	note(r, name, is_same, needs_restart);
}

static void compare_array(const struct reload *r, const struct config_array *a,
			  const struct config_array *b)
{
	const char *name = a->name;

	note_array(r, name, "disks", same_disks(a, b), true);
	note_array(r, name, "start_degraded", a->may_start_degraded == b->may_start_degraded,
		   true);
	note_array(r, name, "degraded_after_ms", a->degraded_after_ms == b->degraded_after_ms,
		   true);
	note_array(r, name, "no_quorum", a->fails_without_quorum == b->fails_without_quorum,
		   true);
	note_array(r, name, "max_read_errors", a->max_read_errors == b->max_read_errors, true);
	note_array(r, name, "export", a->is_exported == b->is_exported, true);
	note_array(r, name, "export_mode", a->export_mode == b->export_mode, true);
	note_array(r, name, "export_group", strcmp(a->export_group, b->export_group) == 0,
		   true);
	note_array(r, name, "auto", a->is_auto == b->is_auto, false);
	note_array(r, name, "auto_re_add", a->re_adds == b->re_adds, false);
	note_array(r, name, "resync_min", a->resync_min_bytes == b->resync_min_bytes, false);
	note_array(r, name, "resync_max", a->resync_max_bytes == b->resync_max_bytes, false);
	note_array(r, name, "intent_budget", a->intent_budget_bytes == b->intent_budget_bytes,
		   false);
}

static const char *gone_name(const char *array, char to[2 * CONFIG_NAME_BYTES])
{
	snprintf(to, 2 * CONFIG_NAME_BYTES, "array %s: goes on until it is stopped", array);
	return to;
}

static void compare_arrays(const struct reload *r)
{
	char text[2 * CONFIG_NAME_BYTES];

	for (size_t i = 0; i < r->new->array_count; i++) {
		const struct config_array *b = &r->new->arrays[i];
		const struct config_array *a = config_array(r->old, b->name);
		const struct unit *u = unit_find(r->engine, b->name);

		/* what runs is what counts: it may be of a file before the last one, or set */
		a = u ? unit_config(u) : a;
		if (a)
			compare_array(r, a, b);
		else
			note_array(r, b->name, "", false, false);
	}
	for (size_t i = 0; i < r->old->array_count; i++)
		if (!config_array(r->new, r->old->arrays[i].name))
			note(r, gone_name(r->old->arrays[i].name, text), false, true);
}

static void apply_arrays(struct engine *e)
{
	for (size_t i = 0; i < e->config->array_count; i++) {
		const struct config_array *c = &e->config->arrays[i];
		struct unit *u = unit_find(e, c->name);

		if (!u)
			continue;
		unit_set_speed(u, c->resync_min_bytes, c->resync_max_bytes);
		unit_set_budget(u, c->intent_budget_bytes);
		unit_set_auto(u, c->is_auto, c->re_adds);
	}
	if (cluster_is_quorate(e->cluster))
		autostart_all(e->autostart);
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Votes and how many are expected alone. */
static void keep_quorum(struct config *c, struct config *old)
{
	struct quorum_options o = old->quorum;
	char *swap = c->tie_breaker;

	if (same_nodes(c, old)) {
		memcpy(o.votes, c->quorum.votes, sizeof(o.votes));
		o.expected = c->quorum.expected;
	}
	c->quorum = o;
	c->tie_breaker = old->tie_breaker;
	old->tie_breaker = swap;
	c->tie_breaker_io_timeout_ms = old->tie_breaker_io_timeout_ms;
}

/* What takes a new start stays as it is: `c` gets it from the one that runs. */
static void keep_what_stays(struct config *c, struct config *old)
{
	struct config_node nodes[TOTEM_MAX_NODES];
	bool has_names = same_nodes(c, old);
	char *swap;

	keep_quorum(c, old);
	memcpy(nodes, has_names ? c->nodes : old->nodes, sizeof(nodes));
	memcpy(c->nodes, nodes, sizeof(nodes));
	c->node_count = old->node_count;
	c->self = old->self;
	memcpy(c->cluster, old->cluster, sizeof(c->cluster));
	c->engine = old->engine;
	c->locks = old->locks;
	memcpy(c->control_group, old->control_group, sizeof(c->control_group));
	c->token_ms = old->token_ms;
	c->sync_deadline_ms = old->sync_deadline_ms;
	c->lease_ms = old->lease_ms;
	c->mtu_bytes = old->mtu_bytes;
	c->multicast = old->multicast;
	c->multicast_ttl = old->multicast_ttl;
	c->locks_memory = old->locks_memory;
	c->watchdog.timeout_s = old->watchdog.timeout_s;
	c->watchdog.drain_ms = old->watchdog.drain_ms;
	c->watchdog.takes_software = old->watchdog.takes_software;
	swap = c->watchdog.device, c->watchdog.device = old->watchdog.device;
	old->watchdog.device = swap;
	c->log_target = old->log_target;
	swap = c->key_file, c->key_file = old->key_file, old->key_file = swap;
	swap = c->run_dir, c->run_dir = old->run_dir, old->run_dir = swap;
	swap = c->state_dir, c->state_dir = old->state_dir, old->state_dir = swap;
}

/* The file may have another key, or one more (mdcluster keygen --add, --promote, --drop). */
static int reload_keys(const struct engine *e, const struct reload *r, struct err *err)
{
	struct keyfile keys = { .count = 0 };
	char first[16];
	int changed = r->old->key_file ? keyfile_read(r->old->key_file, &keys, err) : 0;

	if (changed == 0 && r->old->key_file)
		changed = station_set_keys(cluster_station(e->cluster), &keys, err);
	snprintf(first, sizeof(first), "%08" PRIx32, seal_key_fingerprint(&keys.keys[0]));
	if (changed > 0)
		log_notice("MDC5520", "sends with key %s%s from now on", first,
			   keys.count > 1 ? ", and accepts another one," : "");
	keyfile_wipe(&keys);
	note(r, "the cluster key", changed <= 0, false);
	return changed < 0 ? changed : 0;
}

int engine_reload(struct engine *e,
		  void (*changed)(void *owner, const char *name, bool needs_restart),
		  void *owner, struct err *err)
{
	struct config *c = daemon_config_read(e->options->config_path, err);
	struct reload r = { e, e->config, c, changed, owner };
	struct config *old = e->config;

	if (!c)
		return err->code;
	if (reload_keys(e, &r, err) < 0) {
		config_free(c);
		return err->code;
	}
	compare(&r);
	compare_arrays(&r);
	keep_what_stays(c, old);
	e->config = c;
	cluster_set_config(e->cluster, c);
	if (old->log_level != c->log_level && e->options->log_level < 0)
		log_set_level(c->log_level < 0 ? LOG_NOTICE : c->log_level);
	engine_proof_reload(e);
	apply_arrays(e);
	config_free(old);
	log_notice("MDC5434", "the configuration was read again");
	return 0;
}
