/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fence, FenceList, FenceTest: what people do with proofs of death. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/fence/method.h"
#include "mdclusterd/fence/plan.h"

/* --- Fence -------------------------------------------------------------------------------- */

struct fence_call {
	struct method_call method;
	struct proof_waiter waiter;
	char node[CONFIG_NAME_BYTES];
};

static void drop_fence(struct method_call *m)
{
	struct fence_call *f = (struct fence_call *)m;

	engine_proof_forget(&f->waiter);
	free(f);
}

static void is_fenced(void *owner, uint32_t level, const char *why)
{
	struct fence_call *f = owner;
	struct control_call *call = f->method.call;

	control_set_state(call, NULL);
	if (level)
		control_reply(call, json_pack("{s:s, s:I}", "node", f->node, "level",
					      (json_int_t)level));
	else
		method_refuse(call, -EIO, "%s: nothing has proven it dead: %s", f->node, why);
	free(f);
}

static uint32_t level_of(const json_t *parameters)
{
	json_int_t level = json_integer_value(json_object_get(parameters, "level"));

	return level > 0 && level <= FENCE_MAX_LEVELS ? (uint32_t)level : level ? UINT32_MAX : 0;
}

void method_fence(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	int index = method_node(e, call, parameters, "node");
	struct err err = ERR_INIT;
	struct fence_call *f;

	if (index < 0)
		return;
	if (index == e->config->self) {
		method_refuse(call, -EINVAL, "%s: is this node: ask another one",
			      e->config->nodes[index].name);
		return;
	}
	f = method_new(e, call, sizeof(*f), drop_fence);
	if (!f)
		return;
	snprintf(f->node, sizeof(f->node), "%s", e->config->nodes[index].name);
	f->waiter.done = is_fenced;
	f->waiter.owner = f;
	if (engine_proof_demand(e, index, level_of(parameters), &f->waiter, &err) == 0)
		return;
	control_set_state(call, NULL);
	free(f);
	control_fail(call, &err);
}

/* --- FenceList ------------------------------------------------------------------------------- */

static json_t *device_json(const struct fence_device *d, uint32_t node, bool is_one_of_many)
{
	const char *action = d->type != FENCE_AGENT ? "" :
			     d->is_reboot && !is_one_of_many ? "reboot" :
			     d->is_reboot ? "off, then on" : "off";

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "name", d->name, "type",
			 fence_type_name(d->type), "program", d->program ? d->program : "",
			 "action", action, "delay_ms",
			 (json_int_t)(fence_delay_ns(d, node) / NS_PER_MS), "timeout_ms",
			 (json_int_t)d->timeout_ms, "retries", (json_int_t)d->retries);
}

static void add_levels(const struct engine *e, const struct config_node *n, uint32_t number,
		       json_t *to)
{
	const struct fence_plan *p = &e->config->fence.plan;

	for (size_t i = 0; i < p->level_count; i++) {
		const struct fence_level *l = &p->levels[i];
		json_t *devices;

		if (!fence_level_is_for(p, l, n->id) || (number && number != l->number))
			continue;
		devices = json_array();
		for (uint32_t j = 0; j < l->device_count; j++)
			json_array_append_new(devices,
					      device_json(&p->devices[l->devices[j]], n->id,
							  l->device_count > 1));
		json_array_append_new(to, json_pack("{s:s, s:I, s:o}", "node", n->name, "level",
						    (json_int_t)l->number, "devices", devices));
	}
}

void method_fence_list(void *owner, struct control_call *call, const json_t *parameters)
{
	const struct engine *e = owner;
	bool is_of_one = method_text(parameters, "node") != NULL;
	int index = is_of_one ? method_node(e, call, parameters, "node") : -1;
	json_t *levels;

	if (is_of_one && index < 0)
		return;
	levels = json_array();
	for (int i = 0; i < e->config->node_count; i++)
		if (!is_of_one || i == index)
			add_levels(e, &e->config->nodes[i], level_of(parameters), levels);
	control_reply(call, json_pack("{s:b, s:o}", "obituary",
				      (e->config->fence.methods & CONFIG_FENCE_OBITUARY) != 0,
				      "levels", levels));
}

/* --- FenceTest: one after the other -------------------------------------------------------------- */

struct test_call {
	struct method_call method;
	const struct config *config; /* only compared: it may be another by now */
	struct fence_job *job;
	struct loop_timer *limit;
	struct loop_job go_on;
	int only, node;              /* indices; only: -1: all */
	size_t device;
	int tested, failed;
	bool has_level;              /* the node that is at */
};

static void drop_test(struct method_call *m)
{
	struct test_call *t = (struct test_call *)m;

	loop_timer_cancel(t->limit);
	loop_soon_cancel(&t->go_on);
	if (t->job)
		t->job->method->free(t->job);
	free(t);
}

static void end_test(struct test_call *t, const char *refusal)
{
	struct control_call *call = t->method.call;
	json_t *sums = json_pack("{s:i, s:i}", "tested", t->tested, "failed", t->failed);

	control_set_state(call, NULL);
	drop_test(&t->method);
	if (!refusal) {
		control_reply(call, sums);
		return;
	}
	json_decref(sums);
	method_refuse(call, -ECANCELED, "%s", refusal);
}

static void tell(struct test_call *t, const char *device, bool is_fine, const char *text)
{
	const struct config_node *n = &t->config->nodes[t->node];

	t->tested++;
	t->failed += !is_fine;
	if (control_wants_more(t->method.call))
		control_continue(t->method.call,
				 json_pack("{s:s, s:s, s:b, s:s}", "node", n->name, "device",
					   device, "is_fine", is_fine, "text", text));
}

static void is_tested(void *owner, struct fence_job *job, bool is_done, const char *why)
{
	struct test_call *t = owner;

	loop_timer_cancel(t->limit);
	t->limit = NULL;
	t->job = NULL;
	job->method->free(job);
	if (t->config == t->method.engine->config)
		tell(t, t->config->fence.plan.devices[t->device].name, is_done, why);
	t->device++;
	loop_soon(t->method.engine->loop, &t->go_on);
}

static void takes_too_long(void *owner)
{
	struct test_call *t = owner;

	t->limit = NULL;
	t->job->method->stop(t->job);
}

/* The device may be for the node, and yet in no level that is. */
static bool is_used(const struct fence_plan *p, size_t device, uint32_t node)
{
	for (size_t i = 0; i < p->level_count; i++)
		for (uint32_t j = 0; j < p->levels[i].device_count; j++)
			if (p->levels[i].devices[j] == device &&
			    fence_level_is_for(p, &p->levels[i], node))
				return true;
	return false;
}

static void test_device(struct test_call *t, const struct fence_device *d)
{
	struct engine *e = t->method.engine;
	struct err err = ERR_INIT;

	t->has_level = true;
	t->job = engine_proof_test(e, d, t->node, is_tested, t, &err);
	if (t->job && d->timeout_ms)
		t->limit = loop_timer_start(e->loop, d->timeout_ms, takes_too_long, t, &err);
	if (t->job)
		return;
	tell(t, d->name, false, err.text);
	t->device++;
	loop_soon(e->loop, &t->go_on);
}

static void next_node(struct test_call *t)
{
	t->node++;
	t->device = 0;
	t->has_level = false;
}

static void go_on(void *owner)
{
	struct test_call *t = owner;
	const struct config *c = t->method.engine->config;
	const struct fence_plan *p = &c->fence.plan;

	if (t->config != c) {
		end_test(t, "the configuration was read again meanwhile");
		return;
	}
	for (; t->node < c->node_count; next_node(t)) {
		if (t->only >= 0 && t->node != t->only)
			continue;
		for (; t->device < p->device_count; t->device++)
			if (is_used(p, t->device, c->nodes[t->node].id)) {
				test_device(t, &p->devices[t->device]);
				return;
			}
		if (!t->has_level)
			tell(t, "", false, "no level of fencing is for it");
	}
	end_test(t, NULL);
}

void method_fence_test(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	bool is_of_one = method_text(parameters, "node") != NULL;
	int index = is_of_one ? method_node(e, call, parameters, "node") : -1;
	struct test_call *t;

	if (is_of_one && index < 0)
		return;
	t = method_new(e, call, sizeof(*t), drop_test);
	if (!t)
		return;
	t->config = e->config;
	t->only = index;
	t->go_on = (struct loop_job){ .fn = go_on, .owner = t };
	loop_soon(e->loop, &t->go_on);
}
