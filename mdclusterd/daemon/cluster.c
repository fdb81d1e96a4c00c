/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/lease.h"
#include "mdclusterd/daemon/libdlm_locks.h"
#include "mdclusterd/daemon/obituary.h"
#include "mdclusterd/daemon/roster_file.h"
#include "mdclusterd/daemon/voting.h"

LOG_SUBSYSTEM(cluster);

enum { LEASE_PARTS = 8 }; /* so often in a lease it is renewed */

struct cluster {
	const struct config *config;
	struct loop *loop;
	struct cluster_ops ops;
	void *owner;

	struct station *station;
	struct lock_manager *manager;
	struct libdlm_locks *libdlm; /* NULL: the manager's locks are used */
	struct roster_file *roster;
	struct voting *voting;
	struct lease lease;
	struct loop_timer *renewal, *later; /* later: the manager's */
	struct loop_job now;

	struct node_set members;
	bool is_quorate, has_claimed;
	uint64_t configured_at;
	uint64_t since[TOTEM_MAX_NODES];
	uint64_t heard[TOTEM_MAX_NODES];    /* incarnation of the last obituary */
	bool is_dead[TOTEM_MAX_NODES];
};

/* --- the manager's clock ------------------------------------------------------------------ */

static void arm(struct cluster *c);

static void advance(void *owner)
{
	struct cluster *c = owner;

	c->later = NULL;
	lock_manager_advance(c->manager, clock_boot_ns());
	arm(c);
}

static void advance_now(void *owner)
{
	struct cluster *c = owner;

	loop_timer_cancel(c->later);
	advance(c);
}

static void arm(struct cluster *c)
{
	uint64_t at = lock_manager_deadline(c->manager), now = clock_boot_ns();
	struct err err = ERR_INIT;

	loop_timer_cancel(c->later);
	c->later = NULL;
	if (at <= now)
		loop_soon(c->loop, &c->now);
	else if (at != UINT64_MAX)
		c->later = loop_timer_start(c->loop,
					    (uint32_t)min_u64((at - now) / NS_PER_MS + 1, 60000),
					    advance, c, &err);
	if (err.code < 0)
		log_error("MDC5410", "%s: deadlines of locks are late", err.text);
}

static uint64_t op_now(void *owner)
{
	(void)owner;
	return clock_boot_ns();
}

static void op_armed(void *owner)
{
	struct cluster *c = owner;

	if (c->manager) /* not while it is being made */
		arm(c);
}

static void op_deadlock(void *owner, const char *lockspace, const char *cycle)
{
	struct cluster *c = owner;

	c->ops.deadlock(c->owner, lockspace, cycle);
}

static void op_diverged(void *owner, uint32_t node, const char *lockspace)
{
	(void)owner;
	log_error("MDC5411", "node %" PRIu32 " has other locks than we in %s: one of both leaves",
		  node, lockspace);
}

static void op_remember(void *owner, const struct roster *roster, uint64_t version)
{
	struct cluster *c = owner;

	roster_file_save(c->roster, roster, version);
}

static void roster_is_saved(void *owner, uint64_t version)
{
	struct cluster *c = owner;

	lock_manager_remembered(c->manager, version);
}

static void op_left(void *owner)
{
	struct cluster *c = owner;

	c->ops.left(c->owner);
}

/* --- the lease (O2) ------------------------------------------------------------------------- */

static void renew(struct cluster *c)
{
	const struct order_look order = totem_order(station_totem(c->station));
	const struct lease_facts facts = {
		.is_quorate = c->is_quorate && voting_is_quorate(c->voting),
		.is_installed = order.is_installed,
		.is_alone = order.is_sure_alone,
		.now = clock_boot_ns(),
		.previous_token_at = order.sure_at,
		.lease_ns = c->config->lease_ms * NS_PER_MS,
	};

	atomic_store(&c->lease.until_ns, lease_until(atomic_load(&c->lease.until_ns), &facts));
}

static void renew_again(void *owner)
{
	struct cluster *c = owner;
	struct err err = ERR_INIT;

	renew(c);
	c->renewal = loop_timer_start(c->loop, c->config->lease_ms / LEASE_PARTS, renew_again, c, &err);
	if (!c->renewal)
		log_error("MDC5412", "%s: the lease runs out", err.text);
}

/* --- membership --------------------------------------------------------------------------------- */

static void set_quorate(struct cluster *c, bool is_quorate)
{
	if (c->is_quorate == is_quorate)
		return;
	c->is_quorate = is_quorate;
	renew(c);
	c->ops.quorate(c->owner, is_quorate);
}

static void note_change(struct cluster *c, int index, bool is_member)
{
	c->since[index] = clock_boot_ns();
	if (is_member)
		c->is_dead[index] = false;
	c->ops.member(c->owner, c->config->nodes[index].id, is_member);
}

static void op_configured(void *owner, const struct ring_configuration *conf)
{
	struct cluster *c = owner;
	struct node_set before = c->members;

	set_quorate(c, false); /* O1 */
	if (conf->is_transitional)
		return;
	c->members = conf->members;
	c->configured_at = clock_boot_ns();
	for (int i = 0; i < c->config->node_count; i++) {
		if (set_has(&before, i) && (set_has(&conf->left, i) || !set_has(&c->members, i)))
			note_change(c, i, false);
		if (set_has(&c->members, i) &&
		    (set_has(&conf->joined, i) || !set_has(&before, i)))
			note_change(c, i, true);
	}
}

/* Both engines, where there are two: the manager guards the lockspaces of the other. */
static int tell_locks(struct cluster *c, uint32_t node, uint64_t incarnation,
		      enum lock_death death, struct err *err)
{
	int r = c->libdlm ? lockspace_confirm_dead(libdlm_locks_engine(c->libdlm), node,
						   incarnation, death, err) : 0;

	if (r < 0)
		return r;
	return lockspace_confirm_dead(lock_manager_engine(c->manager), node, incarnation, death,
				      err);
}

/* W1: all processes of this node before this one are dead, whoever has heard of it. */
static void claim_own_deaths(struct cluster *c)
{
	struct err err = ERR_INIT;

	if (c->has_claimed || !(c->config->fence.methods & CONFIG_FENCE_OBITUARY))
		return;
	c->has_claimed = true;
	if (tell_locks(c, c->config->nodes[c->config->self].id,
		       station_incarnation(c->station) - 1, LOCK_DEATH_PROCESS, &err) < 0)
		log_error("MDC5413", "that earlier processes of this node are dead is not told: %s",
			  err.text);
}

static void op_synchronised(void *owner)
{
	struct cluster *c = owner;
	bool is_quorate = voting_is_quorate(c->voting);

	if (is_quorate)
		claim_own_deaths(c);
	set_quorate(c, is_quorate);
	c->ops.settled(c->owner, is_quorate);
	voting_settled(c->voting, c->members);
}

static bool op_is_quorate(void *owner, struct node_set members)
{
	struct cluster *c = owner;

	(void)members;
	return voting_is_won(c->voting);
}

static void op_again(void *owner)
{
	struct cluster *c = owner;

	station_again(c->station);
}

/* Within a configuration it can only be lost: what is won comes with the next. */
static void op_votes_changed(void *owner)
{
	struct cluster *c = owner;

	if (c->is_quorate && !voting_is_quorate(c->voting))
		set_quorate(c, false);
}

static void op_corosync_ring(void *owner, uint64_t ring_seq)
{
	struct cluster *c = owner;

	voting_corosync_ring(c->voting, ring_seq);
}

static void op_broken(void *owner)
{
	struct cluster *c = owner;

	set_quorate(c, false);
	c->ops.broken(c->owner);
}

/* --- obituaries (O3) -------------------------------------------------------------------------------- */

static void answer(struct cluster *c, const struct obituary *o)
{
	const struct obituary heard = { OBITUARY_HEARD, o->node, o->incarnation };
	uint8_t bytes[OBITUARY_BYTES];

	obituary_write(&heard, bytes);
	station_send_aside(c->station, o->node, bytes, sizeof(bytes));
}

/*
 * A process speaks for its own node, and of such as were before it. That it opened at all
 * says that no newer one has been heard of: what the ring has is dead.
 */
static void op_aside(void *owner, uint32_t node, uint64_t boot, const uint8_t *bytes,
		     size_t length)
{
	struct cluster *c = owner;
	int index = config_node_by_id(c->config, node);
	struct err err = ERR_INIT;
	struct obituary o;

	if (obituary_read(bytes, length, &o) < 0 || o.kind != OBITUARY_DEATH || o.node != node ||
	    o.incarnation >= boot || index < 0 || index == c->config->self)
		return;
	answer(c, &o);
	if (o.incarnation <= c->heard[index])
		return; /* a copy */
	c->heard[index] = o.incarnation;
	if (!(c->config->fence.methods & CONFIG_FENCE_OBITUARY)) {
		log_notice("MDC5414", "an obituary of node %s is no proof here: fence methods do not name it",
			   c->config->nodes[index].name);
	} else if (cluster_confirm_dead(c, node, o.incarnation, LOCK_DEATH_PROCESS,
					"its supervisor's obituary", &err) < 0) {
		log_error("MDC5415", "an obituary of node %s came to nothing: %s",
			  c->config->nodes[index].name, err.text);
	}
	station_evidence(c->station, node);
}

int cluster_confirm_dead(struct cluster *c, uint32_t node, uint64_t incarnation,
			 enum lock_death death, const char *how, struct err *err)
{
	int index = config_node_by_id(c->config, node);
	int r = tell_locks(c, node, incarnation, death, err);

	if (r < 0 || index < 0)
		return r;
	c->is_dead[index] = true;
	if (incarnation == 0)
		incarnation = cluster_incarnation(c, index);
	c->ops.dead(c->owner, node, incarnation, how);
	return 0;
}

bool cluster_evict(struct cluster *c, uint32_t node, const char *why)
{
	int index = config_node_by_id(c->config, node);

	if (index < 0 || index == c->config->self || !set_has(&c->members, index))
		return false;
	log_error("MDC5416", "node %s is left out of the ring: %s", c->config->nodes[index].name,
		  why);
	station_evict(c->station, node);
	return true;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static int open_station(struct cluster *c, struct err *err)
{
	static const struct station_ops ops = {
		.configured = op_configured,
		.synchronised = op_synchronised,
		.broken = op_broken,
		.is_quorate = op_is_quorate,
		.aside = op_aside,
		.corosync_ring = op_corosync_ring,
	};
	const struct config *config = c->config;
	CLEANUP_FREE char *boot_path = obituary_boot_path(config);
	struct keyfile keys = { .count = 0 };
	struct station_config s = {
		.cluster = config->cluster,
		.self = config->nodes[config->self].id,
		.multicast = config->multicast,
		.multicast_ttl = config->multicast_ttl,
		.boot_path = boot_path,
		.token_ns = config->token_ms * NS_PER_MS,
		.sync_deadline_ns = config->sync_deadline_ms * NS_PER_MS,
		.mtu_bytes = config->mtu_bytes,
		.is_on_corosync = config->engine == CONFIG_ENGINE_COROSYNC,
		.beat_ns = config->lease_ms * NS_PER_MS / LEASE_PARTS,
		/* who stands still is left out before the others' leases are over */
		.silence_ns = config->lease_ms * NS_PER_MS * 2 / 3,
	};

	if (!boot_path)
		return err_nomem(err, "the station");
	config_node_table(config, &s.nodes);
	for (int i = 0; i < config->node_count; i++)
		s.addresses[i] = config->nodes[i].address;
	if (config->key_file && keyfile_read(config->key_file, &keys, err) < 0)
		return err->code;
	s.keys = config->key_file ? &keys : NULL;
	c->station = station_open(&s, &ops, c, c->loop, err);
	keyfile_wipe(&keys);
	return c->station ? 0 : err->code;
}

/* locks = ring: the daemons themselves. */
static int open_manager(struct cluster *c, struct err *err)
{
	static const struct lock_manager_ops ops = {
		.now = op_now, .armed = op_armed, .deadlock = op_deadlock,
		.diverged = op_diverged, .remember = op_remember, .left = op_left,
	};
	struct roster roster;
	struct totem *totem = station_totem(c->station);
	struct lock_manager_config m = {
		.self = c->config->nodes[c->config->self].id,
		.incarnation = station_incarnation(c->station),
		/* corosync's nodes are quorate, whichever of them run a daemon */
		.decides_alone = c->config->quorum.is_two_node ||
				 c->config->engine == CONFIG_ENGINE_COROSYNC,
	};

	config_node_table(c->config, &m.nodes);
	c->roster = roster_file_open(c->config->state_dir, &m.nodes, c->loop, roster_is_saved, c,
				     &roster, err);
	if (!c->roster)
		return err->code;
	m.roster = &roster;
	c->manager = lock_manager_new(&m, totem_sync(totem), totem_groups(totem), &ops, c, err);
	return c->manager ? 0 : err->code;
}

/* All that it does is done: the engines have said it already. */
static void op_dropped(void *owner, uint32_t node)
{
	struct cluster *c = owner;
	int index = config_node_by_id(c->config, node);

	if (index < 0 || c->is_dead[index])
		return;
	c->is_dead[index] = true;
	c->ops.dead(c->owner, node, cluster_incarnation(c, index), "dlm_controld's fencing");
}

/* What grants locks; on the groups, and the sync services, of whatever orders these. */
static int open_locks(struct cluster *c, struct err *err)
{
	struct libdlm_locks_config l = {
		.loop = c->loop,
		.station = c->station,
		.groups = totem_groups(station_totem(c->station)),
		.self = c->config->nodes[c->config->self].id,
		.incarnation = station_incarnation(c->station),
		.drops_are_proofs = c->config->fence.methods & CONFIG_FENCE_DLM,
		.dropped = op_dropped,
		.owner = c,
	};

	if (open_manager(c, err) < 0)
		return err->code;
	if (c->config->locks != CONFIG_LOCKS_LIBDLM)
		return 0;
	l.guards = lock_manager_engine(c->manager);
	c->libdlm = libdlm_locks_open(&l, err);
	return c->libdlm ? 0 : err->code;
}

static int open_voting(struct cluster *c, struct err *err)
{
	static const struct voting_ops ops = { .again = op_again, .changed = op_votes_changed };

	c->voting = voting_open(c->config, station_incarnation(c->station),
				totem_sync(station_totem(c->station)), c->loop, &ops, c, err);
	return c->voting ? 0 : err->code;
}

struct cluster *cluster_open(const struct config *config, struct loop *loop,
			     const struct cluster_ops *ops, void *owner, struct err *err)
{
	struct cluster *c = calloc(1, sizeof(*c));

	if (!c) {
		err_nomem(err, "the cluster");
		return NULL;
	}
	c->config = config;
	c->loop = loop;
	c->ops = *ops;
	c->owner = owner;
	c->now = (struct loop_job){ .fn = advance_now, .owner = c };
	for (int i = 0; i < config->node_count; i++)
		c->since[i] = clock_boot_ns();
	if (open_station(c, err) < 0 || open_voting(c, err) < 0 || open_locks(c, err) < 0) {
		cluster_close(c);
		return NULL;
	}
	return c;
}

void cluster_start(struct cluster *c)
{
	renew_again(c);
	station_start(c->station);
}

void cluster_leave(struct cluster *c)
{
	if (c->is_quorate)
		lock_manager_leave(c->manager);
	else
		c->ops.left(c->owner);
}

void cluster_close(struct cluster *c)
{
	if (!c)
		return;
	atomic_store(&c->lease.until_ns, 0);
	loop_soon_cancel(&c->now);
	loop_timer_cancel(c->later);
	loop_timer_cancel(c->renewal);
	libdlm_locks_close(c->libdlm);
	lock_manager_free(c->manager);
	roster_file_close(c->roster);
	station_close(c->station);
	voting_close(c->voting);
	free(c);
}

void cluster_set_config(struct cluster *c, const struct config *config)
{
	c->config = config;
	voting_set_config(c->voting, config);
}

int cluster_set_expected(struct cluster *c, uint32_t votes, struct err *err)
{
	return voting_set_expected(c->voting, votes, err);
}

bool cluster_say_leaving(struct cluster *c)
{
	return voting_say_leaving(c->voting);
}

void cluster_set_stopped(struct cluster *c)
{
	voting_set_stopped(c->voting);
}

/* --- looking --------------------------------------------------------------------------------------------- */

struct lockspace_engine *cluster_locks(struct cluster *c)
{
	return c->libdlm ? libdlm_locks_engine(c->libdlm) : lock_manager_engine(c->manager);
}

const struct lock_manager *cluster_manager(const struct cluster *c)
{
	return c->manager;
}

struct station *cluster_station(const struct cluster *c)
{
	return c->station;
}

void cluster_look_at_quorum(const struct cluster *c,
			    const char *(*name)(void *owner, uint32_t id), void *owner,
			    struct quorum_look *look)
{
	const struct cpg_order *cpg = totem_cpg(station_totem(c->station));

	voting_look(c->voting, name, owner, look);
	if (!cpg || !cpg_order_is_unheard(cpg))
		return;
	/* what it said before it hung is true no more */
	look->is_quorate = false;
	snprintf(look->why, sizeof(look->why), "%s",
		 "corosync on this host does not answer: it is stopped, or hangs (systemctl status corosync)");
}

const struct quorum_options *cluster_quorum_settings(const struct cluster *c)
{
	return voting_settings(c->voting);
}

const struct lease *cluster_lease(const struct cluster *c)
{
	return &c->lease;
}

bool cluster_is_quorate(const struct cluster *c)
{
	return c->is_quorate;
}

struct node_set cluster_members(const struct cluster *c)
{
	return c->members;
}

uint64_t cluster_since(const struct cluster *c, int index)
{
	return c->since[index];
}

uint64_t cluster_configured_at(const struct cluster *c)
{
	return c->configured_at;
}

uint64_t cluster_incarnation(const struct cluster *c, int index)
{
	return index == c->config->self ? station_incarnation(c->station)
					: station_incarnation_of(c->station,
								 c->config->nodes[index].id);
}

bool cluster_is_dead(const struct cluster *c, int index)
{
	return c->is_dead[index];
}
