/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The watchdog in the engine: until when the supervisor may pet it (fence/guard.h, T1), and what
 * the nodes say of theirs. The latter is a sync service, so that who is on the ring has
 * said it before anybody could miss it (T3): its incarnation, and after what time it is
 * surely reset; 0: nothing guards it.
 *
 * Of 16 bytes, little endian: incarnation u64, expiry in ns u64.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/array/plane.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"
#include "mdclusterd/fence/guard.h"
#include "mdclusterd/fence/method.h"
#include "totem/sync.h"

LOG_SUBSYSTEM(guard);

enum { WORD_BYTES = 16 };

struct word {
	uint64_t incarnation, expiry_ns;
};

struct engine_guard {
	struct engine *engine;
	struct guard guard;
	struct loop_timer *tick;
	struct word said[TOTEM_MAX_NODES], heard[TOTEM_MAX_NODES]; /* heard: of the next */
	/* planes that are asked whether anything is under way */
	struct asked {
		struct unit_looker looker;
		struct engine_guard *guard;
		bool is_awaited;
	} *asked;
	size_t asked_count, awaited;
	bool is_drained, is_asking;
};

/* --- what nodes say ------------------------------------------------------------------------ */

static struct sync *sync_of(const struct engine *e)
{
	return totem_sync(station_totem(cluster_station(e->cluster)));
}

static uint64_t own_expiry_ns(const struct engine *e)
{
	uint64_t timeout_s = (uint64_t)e->options->guard_s;

	if (timeout_s == 0)
		return 0;
	return guard_expiry_ns(e->config->lease_ms * NS_PER_MS,
			       e->config->watchdog.drain_ms * NS_PER_MS, timeout_s * NS_PER_S);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct engine_guard *g = owner;

	(void)c;
	memset(g->heard, 0, sizeof(g->heard));
}

static enum sync_progress on_process(void *owner)
{
	struct engine_guard *g = owner;
	const struct engine *e = g->engine;
	uint8_t bytes[WORD_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	const struct iovec part = { bytes, sizeof(bytes) };
	int r;

	wr_u64(&wr, station_incarnation(cluster_station(e->cluster)));
	wr_u64(&wr, own_expiry_ns(e));
	r = sync_tell(sync_of(e), SYNC_GUARDS, &part, 1);
	if (r == -EAGAIN)
		return SYNC_AGAIN;
	if (r < 0)
		sync_break(sync_of(e), "has no memory to say what guards it");
	return SYNC_DONE;
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct engine_guard *g = owner;
	struct rd rd = rd_over(bytes, length);
	struct word w = { .incarnation = rd_u64(&rd) };

	w.expiry_ns = rd_u64(&rd);
	if (!rd.failed && from >= 0 && from < TOTEM_MAX_NODES)
		g->heard[from] = w;
}

/* Who is not there has said what it has said. */
static void on_activate(void *owner)
{
	struct engine_guard *g = owner;

	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		if (g->heard[i].incarnation)
			g->said[i] = g->heard[i];
}

static const struct sync_service_ops service = { .init = on_init, .process = on_process,
						 .deliver = on_deliver, .activate = on_activate };

static void look_again(void *owner, uint32_t node, uint64_t incarnation, struct fence_guard *to)
{
	struct engine *e = owner;

	engine_guard_of(e, config_node_by_id(e->config, node), incarnation, to);
}

/*
 * We may have missed it for long, while another of this ring was on one with it, that had a
 * quorum: so nothing before this ring counts. Any two with a quorum share a node.
 */
void engine_guard_of(struct engine *e, int index, uint64_t incarnation, struct fence_guard *to)
{
	struct node_set members = cluster_members(e->cluster);
	const struct word *w = &e->guard->said[index];

	*to = (struct fence_guard){ .is_missing = !set_has(&members, index),
				    .since_ns = cluster_configured_at(e->cluster),
				    .look = look_again, .owner = e };
	if (incarnation && w->incarnation == incarnation)
		to->expiry_ns = w->expiry_ns;
}

/* --- until when it is petted ------------------------------------------------------------------ */

static void say(struct engine_guard *g, bool is_drained)
{
	const struct lease *lease = cluster_lease(g->engine->cluster);

	supervisor_tell(g->engine->options->engine_fd, "guard %" PRIu64,
			guard_until(&g->guard, clock_boot_ns(), atomic_load(&lease->until_ns),
				    is_drained));
}

static void forget_asked(struct engine_guard *g)
{
	for (size_t i = 0; i < g->asked_count; i++)
		if (g->asked[i].is_awaited)
			unit_look_no_more(&g->asked[i].looker);
	free(g->asked);
	g->asked = NULL;
	g->asked_count = g->awaited = 0;
}

static void plane_was_looked_at(void *owner, const struct plane_look *look)
{
	struct asked *a = owner;
	struct engine_guard *g = a->guard;

	a->is_awaited = false;
	g->is_drained &= !look || (look->is_drained && !look->is_gate_open);
	if (--g->awaited > 0 || g->is_asking)
		return;
	say(g, g->is_drained);
}

/* One that does not answer may be writing. */
static void ask_planes(struct engine_guard *g)
{
	size_t i = 0;

	if (g->awaited > 0) {
		say(g, false);
		return;
	}
	forget_asked(g);
	for (struct unit *u = unit_next(g->engine, NULL); u; u = unit_next(g->engine, u))
		g->asked_count++;
	g->asked = calloc(g->asked_count + 1, sizeof(*g->asked));
	if (!g->asked) {
		g->asked_count = 0;
		say(g, false);
		return;
	}
	g->is_drained = g->is_asking = true; /* some answer at once */
	g->awaited = g->asked_count;
	for (struct unit *u = unit_next(g->engine, NULL); u; u = unit_next(g->engine, u)) {
		struct asked *a = &g->asked[i++];

		*a = (struct asked){ { .done = plane_was_looked_at, .owner = a }, g, true };
		g->is_drained &= unit_metadata_is_idle(u);
		unit_look(u, &a->looker);
	}
	g->is_asking = false;
	if (g->awaited == 0)
		say(g, g->is_drained);
}

static void tick(void *owner)
{
	struct engine_guard *g = owner;
	const struct lease *lease = cluster_lease(g->engine->cluster);
	uint32_t period_ms = guard_period_ms(g->engine->config->watchdog.drain_ms,
					     (uint64_t)g->engine->options->guard_s * 1000);
	struct err err = ERR_INIT;

	g->tick = loop_timer_start(g->engine->loop, period_ms, tick, g, &err);
	if (!g->tick)
		log_error("MDC5657", "%s: the watchdog will reset this host", err.text);
	if (clock_boot_ns() < atomic_load(&lease->until_ns))
		say(g, false);
	else
		ask_planes(g);
}

/* --- life ---------------------------------------------------------------------------------------- */

int engine_guard_open(struct engine *e, struct err *err)
{
	e->guard = calloc(1, sizeof(*e->guard));
	if (!e->guard)
		return err_nomem(err, "what guards the nodes");
	e->guard->engine = e;
	e->guard->guard.drain_ns = e->config->watchdog.drain_ms * NS_PER_MS;
	sync_register(sync_of(e), SYNC_GUARDS, "guards", &service, e->guard);
	if (e->options->guard_s > 0)
		tick(e->guard);
	return 0;
}

void engine_guard_close(struct engine *e)
{
	if (!e->guard)
		return;
	loop_timer_cancel(e->guard->tick);
	forget_asked(e->guard);
}

void engine_guard_free(struct engine *e)
{
	free(e->guard);
	e->guard = NULL;
}
