/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proofs of death in the engine: what the lock manager misses goes into proof.h, and what
 * comes of it back to the lock manager.
 *
 * The manager tells nobody but lockspaces when a member is missing; as long as not all
 * nodes are there, or a proof is waited for, it is asked again and again, which costs a look
 * at its members; and before a command is run, for that hits whoever is there by then.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/proof.h"
#include "mdclusterd/daemon/proof_command.h"

LOG_SUBSYSTEM(proof);

enum { LOOK_AGAIN_MS = 200 };

struct engine_proof {
	struct engine *engine;
	struct proof *proof;
	struct loop_timer *look, *deadline;
	struct loop_job unrunnable;  /* commands that could not be started are answered */
	struct { uint32_t node; struct proof_command *command; } running[TOTEM_MAX_NODES];
	size_t running_count;
};

static void arm(struct engine_proof *ep);

/* --- commands ----------------------------------------------------------------------------- */

static const char *forget(struct engine_proof *ep, const struct proof_command *c,
			  uint32_t *node)
{
	for (size_t i = 0; i < ep->running_count; i++)
		if (ep->running[i].command == c) {
			*node = ep->running[i].node;
			ep->running[i] = ep->running[--ep->running_count];
		}
	return engine_node_name(ep->engine, *node);
}

static void command_is_done(void *owner, struct proof_command *c, bool is_dead,
			    const char *why)
{
	struct engine_proof *ep = owner;
	uint32_t node = 0;
	const char *name = forget(ep, c, &node);

	if (!is_dead)
		engine_tell(ep->engine, LOG_WARNING, "fence-failed", node,
			    "the fence command has not proven node %s dead: %s", name, why);
	proof_answered(ep->proof, clock_boot_ns(), node, is_dead, why);
	proof_command_free(c);
	arm(ep);
}

static void answer_later(void *owner)
{
	struct engine_proof *ep = owner;

	for (size_t i = ep->running_count; i > 0; i--)
		if (!ep->running[i - 1].command) {
			uint32_t node = ep->running[i - 1].node;

			ep->running[i - 1] = ep->running[--ep->running_count];
			proof_answered(ep->proof, clock_boot_ns(), node, false,
				       "it cannot be run");
		}
	arm(ep);
}

static void op_run(void *owner, uint32_t node, uint64_t incarnation, uint32_t attempt)
{
	struct engine_proof *ep = owner;
	struct engine *e = ep->engine;
	const char *name = engine_node_name(e, node);
	struct err err = ERR_INIT;
	struct proof_command *c;

	engine_tell(e, LOG_NOTICE, "fence-started", node,
		    "the fence command is asked to prove node %s dead, attempt %" PRIu32, name,
		    attempt);
	c = proof_command_start(e->loop, e->config->fence.command, name, node, incarnation,
				command_is_done, ep, &err);
	ep->running[ep->running_count].node = node;
	ep->running[ep->running_count++].command = c;
	if (c)
		return;
	log_error("MDC5426", "the fence command cannot be run: %s", err.text);
	loop_soon(e->loop, &ep->unrunnable);
}

static void op_stop(void *owner, uint32_t node)
{
	struct engine_proof *ep = owner;

	for (size_t i = 0; i < ep->running_count; i++)
		if (ep->running[i].node == node && ep->running[i].command)
			proof_command_stop(ep->running[i].command);
}

static void op_dead(void *owner, uint32_t node, uint64_t incarnation)
{
	struct engine_proof *ep = owner;
	struct err err = ERR_INIT;

	if (cluster_confirm_dead(ep->engine->cluster, node, incarnation, LOCK_DEATH_NODE,
				 "the fence command", &err) < 0)
		log_error("MDC5427", "the proof of a death is not told: %s", err.text);
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

static size_t note_member(struct proof_missing *all, size_t count,
			  const struct lockspace_member_look *m)
{
	return m->is_missing && !m->is_proven ? note(all, count, m->node, m->incarnation) : count;
}

void engine_proof_look(struct engine *e)
{
	struct engine_proof *ep = e->proof;
	struct proof_missing all[TOTEM_MAX_NODES];
	struct lock_manager_absent absent;
	struct node_set members = cluster_members(e->cluster);
	uint64_t now = clock_boot_ns();
	static struct lockspace_look look; /* large; of this thread */
	size_t count = 0;

	for (size_t i = 0; lock_manager_look(cluster_manager(e->cluster), i, &look); i++)
		for (size_t j = 0; j < look.member_count; j++)
			count = note_member(all, count, &look.members[j]);
	for (size_t i = 0; lock_manager_absent(cluster_manager(e->cluster), i, &absent); i++)
		count = note(all, count, absent.node, absent.incarnation);
	proof_set_duty(ep->proof, now, cluster_is_quorate(e->cluster) &&
					       set_next(members, 0) == e->config->self);
	if (proof_set_missing(ep->proof, now, all, count) < 0)
		log_error("MDC5428", "no memory to ask for proofs of death: it is tried again");
	arm(ep);
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

/* --- life --------------------------------------------------------------------------------------- */

static struct proof_config config_of(const struct config *c)
{
	return (struct proof_config){
		.has_command = (c->fence.methods & CONFIG_FENCE_COMMAND) != 0,
		.delay_ns = c->fence.methods & CONFIG_FENCE_OBITUARY ?
				    c->fence.delay_ms * NS_PER_MS : 0,
		.timeout_ns = c->fence.timeout_ms * NS_PER_MS,
		.retries = c->fence.retries,
	};
}

int engine_proof_open(struct engine *e, struct err *err)
{
	static const struct proof_ops ops = { .run = op_run, .stop = op_stop, .dead = op_dead };
	const struct proof_config c = config_of(e->config);

	e->proof = calloc(1, sizeof(*e->proof));
	if (e->proof)
		e->proof->proof = proof_new(&c, &ops, e->proof);
	if (!e->proof || !e->proof->proof)
		return err_nomem(err, "proofs of death");
	e->proof->engine = e;
	e->proof->unrunnable = (struct loop_job){ .fn = answer_later, .owner = e->proof };
	return 0;
}

void engine_proof_reload(struct engine *e)
{
	const struct proof_config c = config_of(e->config);

	proof_set_config(e->proof->proof, &c);
}

void engine_proof_close(struct engine *e)
{
	struct engine_proof *ep = e->proof;

	if (!ep)
		return;
	loop_timer_cancel(ep->look);
	loop_timer_cancel(ep->deadline);
	loop_soon_cancel(&ep->unrunnable);
	for (size_t i = 0; i < ep->running_count; i++)
		proof_command_free(ep->running[i].command);
	proof_free(ep->proof);
	free(ep);
	e->proof = NULL;
}
