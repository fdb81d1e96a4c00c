/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proofs of death in the engine: what the lock manager misses goes into proof.h, and what
 * comes of it back to the lock manager.
 *
 * The manager tells nobody but lockspaces when a member is missing; as long as not all
 * nodes are there, or a proof is waited for, it is asked again and again, which costs a look
 * at its members; and before a command is run, for that hits whoever is there by then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/proof.h"

LOG_SUBSYSTEM(proof);

enum {
	LOOK_AGAIN_MS = 200,
	MAX_ATTEMPTS = 2 * TOTEM_MAX_NODES, /* one a node, and a few that switch on again */
};

struct engine_proof {
	struct engine *engine;
	struct proof *proof;
	struct loop_timer *look, *deadline;
	struct loop_job unrunnable;  /* what could not be started is answered */
	struct attempt {
		uint32_t node;
		const struct fence_device *device;
		enum fence_action action;
		struct fence_job *job; /* NULL: it could not be started: why */
		char why[160];
	} attempts[MAX_ATTEMPTS];
	size_t attempt_count;
	struct qb_list_head waiters; /* proof_waiter.link */
};

static void arm(struct engine_proof *ep);

/* F2 */
static void take_duty(struct engine_proof *ep, uint64_t now)
{
	const struct engine *e = ep->engine;
	struct node_set members = cluster_members(e->cluster);
	int lowest = set_next(members, 0), self = e->config->self;
	enum proof_duty duty = PROOF_ANY;

	if (lowest == self)
		duty = PROOF_LOWEST;
	else if (lowest >= 0 && set_next(members, lowest + 1) == self)
		duty = PROOF_SECOND;
	proof_set_duty(ep->proof, now, cluster_is_quorate(e->cluster), duty,
		       lowest < 0 ? 0 : e->config->nodes[lowest].id);
}

/* --- attempts ----------------------------------------------------------------------------- */

static const struct fence_method *method_of(enum fence_type type)
{
	static const struct fence_method *const methods[] = {
		[FENCE_COMMAND] = &fence_method_command,
		[FENCE_AGENT] = &fence_method_agent,
		[FENCE_RESERVATION] = &fence_method_reservation,
		[FENCE_WATCHDOG] = &fence_method_watchdog,
	};

	return methods[type];
}

enum { MAX_PATHS = 4096 };

/* With what the method has to know besides. */
static struct fence_job *start_job(struct engine *e, const struct fence_request *req,
				   fence_done_fn done, void *owner, struct err *err)
{
	struct fence_reservation reservation;
	struct fence_request whole = *req;
	struct fence_guard guard;
	char **paths = NULL;
	struct fence_job *job;

	if (req->device->type == FENCE_RESERVATION) {
		paths = calloc(MAX_PATHS, sizeof(*paths));
		if (!paths) {
			err_nomem(err, "reservations");
			return NULL;
		}
		engine_reservation(e, req->node, &reservation, paths, MAX_PATHS);
		whole.reservation = &reservation;
	}
	if (req->device->type == FENCE_WATCHDOG) {
		engine_guard_of(e, config_node_by_id(e->config, req->node), req->incarnation,
				&guard);
		whole.guard = &guard;
	}
	job = method_of(req->device->type)->start(e->loop, &whole, done, owner, err);
	free(paths);
	return job;
}

static struct attempt *attempt_of(struct engine_proof *ep, const struct fence_job *job)
{
	for (size_t i = 0; i < ep->attempt_count; i++)
		if (ep->attempts[i].job == job)
			return &ep->attempts[i];
	return NULL;
}

static void forget(struct engine_proof *ep, struct attempt *a)
{
	*a = ep->attempts[--ep->attempt_count];
}

static void attempt_is_over(struct engine_proof *ep, const struct attempt *a, bool is_done,
			    const char *why)
{
	const char *name = engine_node_name(ep->engine, a->node);
	char words[FENCE_WORDS_BYTES];

	if (a->action == FENCE_REVIVE) {
		engine_tell(ep->engine, is_done ? LOG_NOTICE : LOG_WARNING, "fence_revived", a->node,
			    "%s %s node %s on again: %s", fence_device_words(a->device, words),
			    is_done ? "has switched" : "could not switch", name, why);
		return;
	}
	if (!is_done)
		engine_tell(ep->engine, LOG_WARNING, "fence_failed", a->node,
			    "%s has not proven node %s dead: %s",
			    fence_device_words(a->device, words), name, why);
	/* what is next is not begun by who has lost its quorum since the last look (F2) */
	take_duty(ep, clock_boot_ns());
	proof_answered(ep->proof, clock_boot_ns(), a->node, is_done, why);
}

static void job_is_done(void *owner, struct fence_job *job, bool is_done, const char *why)
{
	struct engine_proof *ep = owner;
	struct attempt *a = attempt_of(ep, job);
	const struct attempt was = *a;

	forget(ep, a);
	attempt_is_over(ep, &was, is_done, why);
	job->method->free(job);
	arm(ep);
}

static void answer_later(void *owner)
{
	struct engine_proof *ep = owner;

	for (size_t i = ep->attempt_count; i > 0; i--)
		if (!ep->attempts[i - 1].job) {
			const struct attempt was = ep->attempts[i - 1];

			forget(ep, &ep->attempts[i - 1]);
			attempt_is_over(ep, &was, false, was.why);
		}
	arm(ep);
}

static void op_level(void *owner, uint32_t node, uint32_t number)
{
	struct engine_proof *ep = owner;

	engine_tell(ep->engine, LOG_NOTICE, "fence_level", node,
		    "node %s: its death is to be proven by level %" PRIu32,
		    engine_node_name(ep->engine, node), number);
}

static const struct fence_level *level_of(const struct engine *e, uint32_t number)
{
	const struct fence_plan *plan = &e->config->fence.plan;
	int index = fence_level_by_number(plan, number);

	return index < 0 ? NULL : &plan->levels[index];
}

static void begin_attempt(struct engine_proof *ep, const struct fence_request *req)
{
	struct attempt *a = &ep->attempts[ep->attempt_count++];
	char words[FENCE_WORDS_BYTES];
	struct err err = ERR_INIT;

	*a = (struct attempt){ .node = req->node, .device = req->device, .action = req->action };
	a->job = start_job(ep->engine, req, job_is_done, ep, &err);
	if (a->job)
		return;
	log_error("MDC5426", "%s cannot be used: %s", fence_device_words(req->device, words),
		  err.text);
	snprintf(a->why, sizeof(a->why), "%.150s", err.text);
	loop_soon(ep->engine->loop, &ep->unrunnable);
}

static void op_run(void *owner, uint32_t node, uint64_t incarnation, uint32_t number,
		   uint32_t device, uint32_t attempt)
{
	struct engine_proof *ep = owner;
	struct engine *e = ep->engine;
	const struct fence_request req = {
		.device = &e->config->fence.plan.devices[device],
		.action = FENCE_KILL,
		.name = engine_node_name(e, node),
		.node = node,
		.incarnation = incarnation,
		.is_one_of_many = level_of(e, number)->device_count > 1,
	};
	char words[FENCE_WORDS_BYTES];

	engine_tell(e, LOG_NOTICE, "fence_started", node,
		    "%s is asked to prove node %s dead, attempt %" PRIu32,
		    fence_device_words(req.device, words), req.name, attempt);
	begin_attempt(ep, &req);
}

/* Of several power supplies each was switched off: together they are a reboot. */
static void revive(struct engine_proof *ep, uint32_t node, const struct fence_level *l)
{
	struct engine *e = ep->engine;
	struct fence_request req = { .action = FENCE_REVIVE, .node = node,
				     .name = engine_node_name(e, node) };

	for (uint32_t i = 0; l && l->device_count > 1 && i < l->device_count; i++) {
		req.device = &e->config->fence.plan.devices[l->devices[i]];
		if (req.device->type == FENCE_AGENT && req.device->is_reboot &&
		    ep->attempt_count < MAX_ATTEMPTS - TOTEM_MAX_NODES)
			begin_attempt(ep, &req);
	}
}

static void op_stop(void *owner, uint32_t node)
{
	struct engine_proof *ep = owner;

	for (size_t i = 0; i < ep->attempt_count; i++)
		if (ep->attempts[i].node == node && ep->attempts[i].job &&
		    ep->attempts[i].action == FENCE_KILL)
			ep->attempts[i].job->method->stop(ep->attempts[i].job);
}

/* "fence agent fence_apc (pdu-a) and fence agent fence_apc (pdu-b)" */
static void words_of_level(const struct engine *e, uint32_t number, char *to, size_t room)
{
	const struct fence_level *l = level_of(e, number);
	char words[FENCE_WORDS_BYTES];

	snprintf(to, room, "%s", l ? "" : "what was fencing");
	for (uint32_t i = 0; l && i < l->device_count; i++) {
		const struct fence_device *d = &e->config->fence.plan.devices[l->devices[i]];

		snprintf(to + strlen(to), room - strlen(to), "%s%s%s", i ? " and " : "",
			 d->type == FENCE_AGENT || d->type == FENCE_COMMAND ? "the " : "",
			 fence_device_words(d, words));
	}
}

static void op_dead(void *owner, uint32_t node, uint64_t incarnation, uint32_t number)
{
	struct engine_proof *ep = owner;
	struct engine *e = ep->engine;
	struct err err = ERR_INIT;
	char how[256];

	words_of_level(e, number, how, sizeof(how));
	if (cluster_confirm_dead(e->cluster, node, incarnation, LOCK_DEATH_NODE, how, &err) < 0)
		log_error("MDC5427", "the proof of a death is not told: %s", err.text);
}

static void op_over(void *owner, uint32_t node, uint32_t number, const char *why)
{
	struct engine_proof *ep = owner;
	struct proof_waiter *w, *next;

	qb_list_for_each_entry_safe(w, next, &ep->waiters, link)
		if (w->node == node) {
			qb_list_del(&w->link);
			w->done(w->owner, number, why);
		}
	if (number != 0)
		revive(ep, node, level_of(ep->engine, number));
	else
		engine_tell(ep->engine, LOG_ERR, "fence_exhausted", node,
			    "node %s: no level could prove its death (%s): it is tried again; `mdcluster confirm-dead %s` once you are certain that it is off",
			    engine_node_name(ep->engine, node), why,
			    engine_node_name(ep->engine, node));
}

/* --- who is missing ------------------------------------------------------------------------- */

static size_t note(struct proof_missing *all, size_t count, uint32_t node, uint64_t incarnation)
{
	size_t i;

	for (i = 0; i < count && all[i].node != node; i++)
		;
	if (i == count)
		all[count++] = (struct proof_missing){ node, 0 };
	all[i].incarnation = max_u64(all[i].incarnation, incarnation);
	return count;
}

/* A node that is back says itself that its earlier processes are dead: W1. It is not shot. */
static bool speaks_for_itself(const struct engine *e, uint32_t node)
{
	struct node_set members = cluster_members(e->cluster);
	int index = config_node_by_id(e->config, node);

	return e->config->fence.methods & CONFIG_FENCE_OBITUARY && index >= 0 &&
	       set_has(&members, index);
}

static size_t note_member(const struct engine *e, struct proof_missing *all, size_t count,
			  const struct lockspace_member_look *m)
{
	if (!m->is_missing || m->is_proven || speaks_for_itself(e, m->node))
		return count;
	return note(all, count, m->node, m->incarnation);
}

void engine_proof_look(struct engine *e)
{
	struct engine_proof *ep = e->proof;
	struct proof_missing all[TOTEM_MAX_NODES];
	struct lock_manager_absent absent;
	uint64_t now = clock_boot_ns();
	static struct lockspace_look look; /* large; of this thread */
	size_t count = 0;

	for (size_t i = 0; lock_manager_look(cluster_manager(e->cluster), i, &look); i++)
		for (size_t j = 0; j < look.member_count; j++)
			count = note_member(e, all, count, &look.members[j]);
	for (size_t i = 0; lock_manager_absent(cluster_manager(e->cluster), i, &absent); i++)
		count = note(all, count, absent.node, absent.incarnation);
	take_duty(ep, now);
	if (proof_set_missing(ep->proof, now, all, count) < 0)
		log_error("MDC5428", "no memory to ask for proofs of death: it is tried again");
	arm(ep);
}

void engine_proof_is_back(struct engine *e, int index)
{
	if (e->proof)
		proof_is_back(e->proof->proof, e->config->nodes[index].id,
			      cluster_incarnation(e->cluster, index));
}

static void look_again(void *owner)
{
	struct engine_proof *ep = owner;

	ep->look = NULL;
	engine_proof_look(ep->engine);
}

static void time_has_come(void *owner)
{
	struct engine_proof *ep = owner;

	ep->deadline = NULL;
	engine_proof_look(ep->engine); /* who was missing may be back, or proven, by now */
}

static void arm(struct engine_proof *ep)
{
	struct engine *e = ep->engine;
	uint64_t at = proof_deadline(ep->proof), now = clock_boot_ns();
	uint64_t ms = at > now ? div_round_up(at - now, NS_PER_MS) : 1;
	struct err err = ERR_INIT;

	loop_timer_cancel(ep->deadline);
	ep->deadline = at == UINT64_MAX ? NULL :
		       loop_timer_start(e->loop, (uint32_t)min_u64(ms, 60000), time_has_come, ep,
					&err);
	if (!ep->look && (proof_is_asking(ep->proof) ||
			  set_count(cluster_members(e->cluster)) < e->config->node_count))
		ep->look = loop_timer_start(e->loop, LOOK_AGAIN_MS, look_again, ep, &err);
	if (err.code < 0)
		log_error("MDC5429", "%s: proofs of death are late", err.text);
}

char *engine_proof_waits(const struct engine *e, uint32_t node, char *to)
{
	return proof_waits(e->proof->proof, clock_boot_ns(), node, engine_node_name(e, node),
			   to);
}

/* --- what people want ----------------------------------------------------------------------- */

int engine_proof_demand(struct engine *e, int index, uint32_t level, struct proof_waiter *w,
			struct err *err)
{
	const struct config_node *n = &e->config->nodes[index];
	struct engine_proof *ep = e->proof;
	int r;

	engine_proof_look(e);
	w->node = n->id;
	qb_list_add_tail(&w->link, &ep->waiters);
	r = proof_demand(ep->proof, clock_boot_ns(), n->id,
			 cluster_incarnation(e->cluster, index), level);
	arm(ep);
	if (r == 0)
		return 0;
	qb_list_del(&w->link);
	if (r == -ENOENT && level)
		return err_set(err, r, "%s: level %" PRIu32 " of the configuration is not for it, or not there",
			       n->name, level);
	if (r == -ENOENT)
		return err_set(err, r, "%s: the configuration has no level of fencing for it",
			       n->name);
	if (r == -EAGAIN)
		return err_set(err, r, "%s: this part of the cluster has no quorum: say it where there is one",
			       n->name);
	if (r == -EALREADY)
		return err_set(err, -EBUSY, "%s: is being fenced already", n->name);
	return err_nomem(err, n->name);
}

void engine_proof_forget(struct proof_waiter *w)
{
	qb_list_del(&w->link);
}

struct fence_job *engine_proof_test(struct engine *e, const struct fence_device *d, int index,
				    fence_done_fn done, void *owner, struct err *err)
{
	const struct fence_request req = {
		.device = d,
		.action = FENCE_TEST,
		.name = e->config->nodes[index].name,
		.node = e->config->nodes[index].id,
		.incarnation = cluster_incarnation(e->cluster, index),
	};

	return start_job(e, &req, done, owner, err);
}

/* --- life --------------------------------------------------------------------------------------- */

int engine_proof_open(struct engine *e, struct err *err)
{
	static const struct proof_ops ops = { .level = op_level, .run = op_run, .stop = op_stop,
					      .dead = op_dead, .over = op_over };

	e->proof = calloc(1, sizeof(*e->proof));
	if (e->proof)
		e->proof->proof = proof_new(&e->config->fence.plan, &ops, e->proof);
	if (!e->proof || !e->proof->proof)
		return err_nomem(err, "proofs of death");
	e->proof->engine = e;
	qb_list_init(&e->proof->waiters);
	e->proof->unrunnable = (struct loop_job){ .fn = answer_later, .owner = e->proof };
	return 0;
}

static void end_attempts(struct engine_proof *ep)
{
	loop_soon_cancel(&ep->unrunnable);
	for (size_t i = 0; i < ep->attempt_count; i++)
		if (ep->attempts[i].job)
			ep->attempts[i].job->method->free(ep->attempts[i].job);
	ep->attempt_count = 0;
}

void engine_proof_reload(struct engine *e)
{
	end_attempts(e->proof);
	proof_set_plan(e->proof->proof, clock_boot_ns(), &e->config->fence.plan);
	arm(e->proof);
}

void engine_proof_close(struct engine *e)
{
	struct engine_proof *ep = e->proof;

	if (!ep)
		return;
	loop_timer_cancel(ep->look);
	loop_timer_cancel(ep->deadline);
	end_attempts(ep);
	proof_free(ep->proof);
	free(ep);
	e->proof = NULL;
}
