/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "tests/sim/world.h"
#include "totem/totem.h"

enum { MAX_TOLD = 5 };

/* A number that no true service has. */
static const enum sync_service_id PROBE_SERVICE = (enum sync_service_id)7;

/* What it tells. */
struct told {
	struct ring_id id; /* of the configuration it is told in */
	uint64_t number;
};

struct activation {
	struct ring_id id;
	uint64_t digest;
	struct activation *next;
};

struct sim_probes {
	struct activation *activations;
};

struct sim_probes *probes_new(void)
{
	struct sim_probes *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	return p;
}

void probes_free(struct sim_probes *p)
{
	while (p->activations) {
		struct activation *a = p->activations;

		p->activations = a->next;
		free(a);
	}
	free(p);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct probe *p = owner;

	if (p->state == PROBE_BEGUN)
		sim_fail(p->node->world, "Y2: n%d: init, and neither abort nor activate before",
			 p->node->index + 1);
	p->state = PROBE_BEGUN;
	p->c = *c;
	p->left = (unsigned)sim_below(p->node->world, MAX_TOLD);
	p->digest = 0;
	p->is_waiting = false;
}

static void check_greetings(const struct probe *p)
{
	for (int i = set_next(p->c.members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(p->c.members, i + 1))
		if (!sync_has_greeted(p->sync, i))
			sim_fail(p->node->world, "Y6: n%d tells before n%d has greeted",
				 p->node->index + 1, i + 1);
}

static enum sync_progress on_process(void *owner)
{
	struct probe *p = owner;
	struct sim_world *w = p->node->world;
	struct told told = { p->c.id, sim_random(w) };
	const struct iovec part = { &told, sizeof(told) };

	check_greetings(p);
	if (p->hangs)
		return SYNC_AGAIN;
	while (p->left > 0 && !p->is_waiting) {
		if (sync_tell(p->sync, PROBE_SERVICE, &part, 1) < 0)
			return SYNC_AGAIN;
		p->left--;
		if (sim_below(w, 4) == 0) {
			p->is_waiting = true;
			sim_poke(w, p->node->index, sim_below(w, 20 * SIM_MS));
		}
	}
	return p->is_waiting ? SYNC_AGAIN : SYNC_DONE;
}

void probe_go_on(struct probe *p)
{
	p->is_waiting = false;
	sync_go_on(p->sync);
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct probe *p = owner;
	struct told told;

	memcpy(&told, bytes, sizeof(told));
	if (p->state != PROBE_BEGUN || !set_has(&p->c.members, from) ||
	    length != sizeof(told) || !ring_id_equal(told.id, p->c.id)) {
		sim_fail(p->node->world, "Y1, Y4: n%d: state of another time",
			 p->node->index + 1);
		return;
	}
	p->digest = (p->digest ^ told.number ^ (uint64_t)from) * 0x9e3779b97f4a7c15u;
}

static void on_abort(void *owner)
{
	struct probe *p = owner;

	if (p->state != PROBE_BEGUN)
		sim_fail(p->node->world, "Y2: n%d: abort of nothing", p->node->index + 1);
	p->state = PROBE_IDLE;
}

/* Y3: whoever activates a configuration has been told the same. */
static void on_activate(void *owner)
{
	struct probe *p = owner;
	struct sim_world *w = p->node->world;
	struct activation *a = w->probes->activations;

	if (p->state != PROBE_BEGUN)
		sim_fail(w, "Y2: n%d: activate of nothing", p->node->index + 1);
	p->state = PROBE_ACTIVE;
	while (a && !ring_id_equal(a->id, p->c.id))
		a = a->next;
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			abort();
		*a = (struct activation){ p->c.id, p->digest, w->probes->activations };
		w->probes->activations = a;
	} else if (a->digest != p->digest) {
		sim_fail(w, "Y3: n%d activates %" PRIu32 ".%" PRIu64 " with other state than others",
			 p->node->index + 1, a->id.rep, a->id.seq);
	}
}

void probe_start(struct probe *p, struct sim_node *n)
{
	static const struct sync_service_ops ops = {
		.init = on_init,
		.process = on_process,
		.deliver = on_deliver,
		.abort = on_abort,
		.activate = on_activate,
	};

	*p = (struct probe){ .node = n, .sync = totem_sync(n->totem) };
	sync_register(p->sync, PROBE_SERVICE, "probe", &ops, p);
}
