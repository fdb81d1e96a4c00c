/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/talkers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lockres/lock_manager.h"
#include "msg/channel.h"
#include "tests/sim/world.h"

enum { SENDS = 3, ID_LIFE_SHIFT = 24, ID_NODE_SHIFT = 40 };

struct talker;

struct saying {
	struct talker *talker;
	struct msg_send send;
	bool is_busy;
	uint64_t asked_at;
};

struct talker {
	struct sim_talkers *all;
	struct sim_node *node;
	struct lockspace *space;
	struct msg_channel *channel;
	bool is_ready, is_closing;
	uint64_t ready_at;
	bool is_handling;           /* answers later */
	uint64_t handling;
	uint32_t last_sequence;
	uint64_t heard[SIM_MAX_NODES]; /* the last id of each node, in this life of ours */
	uint32_t owed, paid;        /* generations: of a death, of what was said again */
	uint64_t said;              /* ids */
	struct saying sayings[SENDS];
};

struct sim_talkers {
	struct sim_world *world;
	struct talker talkers[SIM_MAX_NODES];
	uint64_t died[SIM_MAX_NODES]; /* incarnation */
	uint64_t done;
};

static const struct sim_world *world_of(const struct talker *t)
{
	return t->all->world;
}

struct sim_talkers *talkers_new(struct sim_world *w)
{
	struct sim_talkers *all = calloc(1, sizeof(*all));

	if (!all)
		abort();
	all->world = w;
	for (int i = 0; i < w->count; i++) {
		all->talkers[i].all = all;
		all->talkers[i].node = &w->nodes[i];
		for (int k = 0; k < SENDS; k++)
			all->talkers[i].sayings[k].talker = &all->talkers[i];
	}
	return all;
}

void talkers_free(struct sim_talkers *all)
{
	free(all);
}

/* Its channel is gone, and what it heard. */
static void forget(struct talker *t)
{
	msg_channel_free(t->channel);
	t->channel = NULL;
	t->is_ready = t->is_handling = false;
	t->owed = t->paid = t->last_sequence = 0;
	memset(t->heard, 0, sizeof(t->heard));
	for (int k = 0; k < SENDS; k++)
		t->sayings[k].is_busy = false;
}

void talkers_node_ended(struct sim_talkers *all, struct sim_node *n)
{
	struct talker *t = &all->talkers[n->index];

	forget(t);
	t->space = NULL;
	t->is_closing = false;
	t->said = 0;
	all->died[n->index] = n->incarnation;
}

/* --- what is said: node, its life, and a number ------------------------------------------ */

static int speaker_of(uint64_t id)
{
	return (int)(id >> ID_NODE_SHIFT) - 1;
}

static void answer(struct talker *t)
{
	struct sim_world *w = t->all->world;

	t->is_handling = false;
	if (t->handling != 0)
		t->heard[speaker_of(t->handling)] = t->handling;
	msg_handled(t->channel,
		    t->handling != 0 && sim_below(w, 20) == 0 ? MSG_REFUSED_BUSY :
								MSG_ACCEPTED,
		    NULL);
}

static void on_handle(void *owner, const struct msg *m)
{
	struct talker *t = owner;
	struct sim_world *w = t->all->world;

	if (t->is_handling)
		sim_fail(w, "H3: n%d is told of two messages at once", t->node->index + 1);
	if (t->last_sequence != 0 && msg_sequence_lead(m->sequence, t->last_sequence) <= 0)
		sim_fail(w, "H3: n%d is told message %u after %u", t->node->index + 1,
			 m->sequence, t->last_sequence);
	t->last_sequence = m->sequence;
	t->is_handling = true;
	t->handling = 0;
	if (m->type == MSG_METADATA_UPDATED) {
		t->paid = m->generation > t->paid ? m->generation : t->paid;
		answer(t);
		return;
	}
	t->handling = m->low;
	sim_say(w, t->node->index, "hears %" PRIx64 " from n%d, sequence %u", m->low,
		speaker_of(m->low) + 1, m->sequence);
	if (m->low <= t->heard[speaker_of(m->low)])
		sim_fail(w, "H1: n%d hears %" PRIx64 " after %" PRIx64, t->node->index + 1,
			 m->low, t->heard[speaker_of(m->low)]);
	if (sim_below(w, 6))
		answer(t);
}

/* H2 */
static void expect_heard(const struct saying *s)
{
	struct sim_talkers *all = s->talker->all;
	uint64_t id = s->send.message.low;

	for (int i = 0; i < all->world->count; i++) {
		const struct talker *t = &all->talkers[i];

		if (t == s->talker || !t->is_ready || t->is_closing ||
		    t->ready_at > s->asked_at)
			continue;
		if (t->heard[s->talker->node->index] < id)
			sim_fail(all->world, "H2: n%d is told that all have handled %" PRIx64 ", n%d has not",
				 s->talker->node->index + 1, id, i + 1);
	}
}

static void on_done(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct saying *s = owner;

	sim_say(s->talker->all->world, s->talker->node->index, "%" PRIx64 " is said: %s%s%s",
		send->message.low, strerror(-result->status), result->status ? ", " : "",
		result->why.text);
	s->is_busy = false;
	if (result->status != 0 && result->status != -EREMOTEIO)
		return;
	s->talker->all->done++;
	expect_heard(s);
}

static void say(struct saying *s)
{
	struct talker *t = s->talker;
	struct sim_world *w = t->all->world;
	struct err err = ERR_INIT;
	int r;

	memset(&s->send, 0, sizeof(s->send));
	s->send.message.type = MSG_RESYNCING;
	s->send.message.low = (uint64_t)(t->node->index + 1) << ID_NODE_SHIFT |
			      t->node->incarnation << ID_LIFE_SHIFT | ++t->said;
	s->send.message.high = s->send.message.low + 1;
	s->send.done = on_done;
	s->send.owner = s;
	s->asked_at = w->now;
	r = msg_send(t->channel, &s->send, &err);
	s->is_busy = r == 0;
	if (r < 0 && (r != -EDEADLK || !t->is_handling))
		sim_fail(w, "n%d cannot say: %s", t->node->index + 1, err.text);
}

/* --- the channel ---------------------------------------------------------------------------- */

static void on_ready(void *owner)
{
	struct talker *t = owner;

	t->is_ready = true;
	t->ready_at = world_of(t)->now;
	sim_say(t->all->world, t->node->index, "hears and speaks");
}

static void on_recover(void *owner)
{
	struct talker *t = owner;
	struct sim_world *w = t->all->world;

	sim_say(w, t->node->index, "says again what the dead may have said");
	t->paid = t->owed;
	msg_recovered(t->channel, 0);
}

static bool on_evict(void *owner, uint32_t node, const char *why)
{
	struct talker *t = owner;

	sim_say(t->all->world, t->node->index, "would evict n%u: %s", node, why);
	return sim_below(t->all->world, 2);
}

static void on_broken(void *owner, const struct err *why)
{
	struct talker *t = owner;

	sim_fail(t->all->world, "the channel of n%d breaks: %s", t->node->index + 1, why->text);
}

/* --- the lockspace --------------------------------------------------------------------------- */

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct talker *t = owner;

	(void)space;
	sim_say(t->all->world, t->node->index, "hears that n%u is dead", node);
	t->owed = UINT32_MAX; /* of the generation that comes */
	msg_channel_recover_slot(t->channel, node, slot);
}

static void on_members(void *owner, struct lockspace *space,
		       const struct lockspace_member *members, size_t count, int our_slot,
		       uint32_t generation)
{
	struct talker *t = owner;

	(void)space;
	if (t->owed == UINT32_MAX)
		t->owed = t->is_ready ? generation : 0;
	msg_channel_recover_done(t->channel, members, count, our_slot, generation);
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct talker *t = owner;

	(void)space;
	sim_fail(t->all->world, "n%d lost its lockspace: it %s", t->node->index + 1, why->text);
}

static void on_closed(void *owner)
{
	struct talker *t = owner;

	sim_say(t->all->world, t->node->index, "has left");
	t->space = NULL;
	t->is_closing = false;
}

static void join(struct talker *t)
{
	static const struct lockspace_handlers handlers = { .recover_slot = on_slot,
							    .recover_done = on_members,
							    .lost = on_lost,
							    .closed = on_closed };
	static const struct msg_channel_ops ops = { .ready = on_ready,
						    .handle = on_handle,
						    .recover = on_recover,
						    .evict = on_evict,
						    .broken = on_broken };
	const struct msg_channel_config config = { .step_timeout_ns = 1500ull * SIM_MS };
	const struct lockspace_config space = { .name = "array",
						.name_length = 5,
						.lvb_bytes = LOCK_SMALL_LVB,
						.slots = world_of(t)->count,
						.wanted_slot = -1 };
	struct err err = ERR_INIT;

	if (lockspace_open(lock_manager_engine(t->node->locks), &space, &handlers, t,
			   &t->space, &err) == 0)
		t->channel = msg_channel_new(t->space, &config, &ops, t, &err);
	if (!t->channel)
		sim_fail(t->all->world, "n%d: %s", t->node->index + 1, err.text);
}

static void leave(struct talker *t)
{
	forget(t);
	t->is_closing = true;
	lockspace_close(t->space);
}

/* --- moves ------------------------------------------------------------------------------------ */

static bool is_at_work(const struct sim_node *n)
{
	return n->locks && n->paused_until <= n->world->now;
}

static void stir(struct talker *t)
{
	struct sim_world *w = t->all->world;

	if (!t->space) {
		join(t);
		return;
	}
	if (t->is_closing)
		return;
	if (t->is_handling && sim_below(w, 2))
		answer(t);
	if (sim_below(w, 50) == 0) {
		leave(t);
		return;
	}
	for (int k = 0; k < SENDS; k++) {
		struct saying *s = &t->sayings[k];

		if (!s->is_busy && sim_below(w, 4) == 0)
			say(s);
		else if (s->is_busy && sim_below(w, 30) == 0 &&
			 msg_cancel(t->channel, &s->send) == 0)
			s->is_busy = false;
	}
}

void talkers_stir(struct sim_talkers *all)
{
	for (int i = 0; i < all->world->count; i++)
		if (is_at_work(&all->world->nodes[i]))
			stir(&all->talkers[i]);
}

void talkers_prove(struct sim_talkers *all)
{
	struct sim_world *w = all->world;
	struct sim_node *teller = &w->nodes[sim_below(w, (uint64_t)w->count)];
	struct err err = ERR_INIT;

	for (int i = 0; i < w->count && is_at_work(teller); i++)
		if (all->died[i] != 0 &&
		    lockspace_confirm_dead(lock_manager_engine(teller->locks),
					   (uint32_t)i + 1, all->died[i],
					   LOCK_DEATH_PROCESS, &err) < 0)
			sim_fail(w, "%s", err.text);
}

/* --- in peace ---------------------------------------------------------------------------------- */

static bool is_idle(const struct talker *t)
{
	struct msg_channel_look look;

	if (!t->is_ready || t->is_handling)
		return false;
	msg_channel_look(t->channel, &look);
	return look.queued == 0 && look.sending == MSG_STEP_NONE && !look.is_recovery_owed;
}

static void tidy(struct talker *t)
{
	if (!t->space)
		join(t);
	else if (!t->is_closing && t->is_handling)
		answer(t);
}

static bool settle(struct sim_talkers *all)
{
	struct sim_world *w = all->world;
	bool is_over = false;

	for (int round = 0; round < 300 && !is_over && !w->failure[0]; round++) {
		talkers_prove(all);
		is_over = true;
		for (int i = 0; i < w->count; i++) {
			tidy(&all->talkers[i]);
			is_over &= is_idle(&all->talkers[i]);
		}
		sim_run(w, w->now + 200ull * SIM_MS);
	}
	return is_over;
}

static void expect_quiet(struct sim_talkers *all)
{
	struct sim_world *w = all->world;

	if (!settle(all))
		for (int i = 0; i < w->count; i++)
			if (!is_idle(&all->talkers[i]))
				sim_fail(w, "n%d waits without end", i + 1);
	for (int i = 0; i < w->count; i++) {
		const struct talker *t = &all->talkers[i];

		if (t->paid < t->owed)
			sim_fail(w, "H7: n%d was not told again after the death of generation %u",
				 i + 1, t->owed);
	}
}

void talkers_expect_end(struct sim_talkers *all)
{
	struct sim_world *w = all->world;
	uint64_t done;

	expect_quiet(all);
	done = all->done;
	for (int i = 0; i < w->count && !w->failure[0]; i++)
		say(&all->talkers[i].sayings[0]);
	expect_quiet(all);
	if (!w->failure[0] && all->done != done + (uint64_t)w->count)
		sim_fail(w, "H2: in peace, somebody is not heard");
}
