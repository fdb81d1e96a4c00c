/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/methods.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"

/* --- what methods share -------------------------------------------------------------------- */

void *method_new(struct engine *e, struct control_call *call, size_t bytes,
		 void (*drop)(struct method_call *m))
{
	struct method_call *m = calloc(1, bytes);

	if (!m) {
		method_refuse(call, -ENOMEM, "the daemon has no memory for it");
		return NULL;
	}
	m->engine = e;
	m->call = call;
	m->drop = drop;
	control_set_state(call, m);
	return m;
}

static void method_gone(void *owner, struct control_call *call)
{
	struct method_call *m = control_state(call);

	(void)owner;
	if (m)
		m->drop(m);
}

void method_refuse(struct control_call *call, int code, const char *fmt, ...)
{
	struct err err = { .code = code };
	va_list args;

	va_start(args, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, args);
	va_end(args);
	control_fail(call, &err);
}

void method_answer(struct control_call *call, const struct err *err)
{
	if (err && err->code < 0)
		control_fail(call, err);
	else
		control_reply(call, NULL);
}

const char *method_text(const json_t *parameters, const char *key)
{
	return json_string_value(json_object_get(parameters, key));
}

bool method_truth(const json_t *parameters, const char *key)
{
	return json_is_true(json_object_get(parameters, key));
}

struct unit *method_unit(struct engine *e, struct control_call *call,
			 const json_t *parameters, const char *key)
{
	const char *name = method_text(parameters, key);
	struct unit *u;

	if (!name) {
		control_fail_parameter(call, key);
		return NULL;
	}
	u = unit_find(e, name);
	if (!u)
		method_refuse(call, -ENOENT, config_array(e->config, name) ?
			      "%s: is not assembled here" : "%s: there is no such array here",
			      name);
	return u;
}

static int node_of(const struct engine *e, const char *word)
{
	struct err err = ERR_INIT;
	uint64_t id;
	int index = config_node_by_name(e->config, word);

	if (index < 0 && text_parse_u64(word, "node", 1, UINT32_MAX, &id, &err) == 0)
		index = config_node_by_id(e->config, (uint32_t)id);
	return index;
}

int method_node(const struct engine *e, struct control_call *call, const json_t *parameters,
		const char *key)
{
	const char *word = method_text(parameters, key);
	int index = word ? node_of(e, word) : -1;

	if (!word)
		control_fail_parameter(call, key);
	else if (index < 0)
		method_refuse(call, -ENOENT, "%s: there is no such node", word);
	return index;
}

/* --- small ones -------------------------------------------------------------------------------- */

/* Who says so must know: a node that answers is not dead, whatever people think. */
static void method_confirm_dead(void *owner, struct control_call *call,
				const json_t *parameters)
{
	struct engine *e = owner;
	int index = method_node(e, call, parameters, "node");
	struct node_set members = cluster_members(e->cluster);
	struct err err = ERR_INIT;
	const char *word = method_text(parameters, "node");
	char how[64];

	if (index < 0)
		return;
	if (set_has(&members, index)) {
		method_refuse(call, -EBUSY, "%s: is on the ring, and not dead", word);
		return;
	}
	if (!cluster_is_quorate(e->cluster)) {
		method_refuse(call, -EAGAIN,
			      "%s: this part of the cluster has no quorum: say it where there is one",
			      word);
		return;
	}
	snprintf(how, sizeof(how), "user %u", control_uid(call));
	cluster_confirm_dead(e->cluster, e->config->nodes[index].id, 0, LOCK_DEATH_NODE, how,
			     &err);
	engine_proof_look(e);
	method_answer(call, &err);
}

/*
 * They are written as things happen: all that is to be told is where. That of an array which
 * has been stopped is there as well.
 */
static void method_record(void *owner, struct control_call *call, const json_t *parameters)
{
	const struct engine *e = owner;
	const char *array = method_text(parameters, "array");
	bool is_before = method_truth(parameters, "before");
	char path[4096];

	snprintf(path, sizeof(path), "%s/record%s%s%s", e->config->run_dir, array ? "/" : "",
		 array ? array : "", array && is_before ? ".1" : "");
	if (array && (!*array || *array == '.' || strchr(array, '/') || access(path, F_OK) < 0))
		method_refuse(call, -ENOENT, "%s: there is no recording%s", array,
			      is_before ? " of an earlier time" :
					  ": it was never assembled here");
	else
		control_reply(call, json_pack("{s:s}", "path", path));
}

struct changes {
	json_t *changed, *needs_restart;
};

static void note_change(void *owner, const char *name, bool needs_restart)
{
	struct changes *c = owner;

	json_array_append_new(needs_restart ? c->needs_restart : c->changed,
			      json_string(name));
}

static void method_reload(void *owner, struct control_call *call, const json_t *parameters)
{
	struct changes c = { json_array(), json_array() };
	struct err err = ERR_INIT;

	(void)parameters;
	if (engine_reload(owner, note_change, &c, &err) < 0) {
		json_decref(c.changed);
		json_decref(c.needs_restart);
		if (err.code == -EAGAIN)
			err_prefix(&err, "nothing is reloaded");
		if (err.code == -EINVAL) /* the log has them all, with their lines */
			err_set(&err, -EBADMSG, "%s has mistakes, and nothing is reloaded: mdclusterd --check-config tells them",
				((const struct engine *)owner)->options->config_path);
		control_fail(call, &err);
		return;
	}
	control_reply(call, json_pack("{s:o, s:o}", "changed", c.changed, "needs_restart",
				      c.needs_restart));
}

/* --- all ------------------------------------------------------------------------------------------ */

#define READ(name, fn)  { "org.mdcluster." name, CONTROL_READ, fn, method_gone }
#define ADMIN(name, fn) { "org.mdcluster." name, CONTROL_ADMIN, fn, method_gone }

static const struct control_method methods[] = {
	READ("Status", method_status),
	READ("Events", method_events),
	READ("Ring", method_ring),
	READ("Locks", method_locks),
	READ("Detail", method_detail),
	READ("Quorum", method_quorum),
	READ("Record", method_record),
	ADMIN("Assemble", method_assemble),
	ADMIN("Incremental", method_incremental),
	ADMIN("IncrementalGone", method_incremental_gone),
	ADMIN("Stop", method_stop),
	ADMIN("Set", method_set),
	ADMIN("Check", method_check),
	ADMIN("CheckCancel", method_check_cancel),
	ADMIN("Add", method_add),
	ADMIN("Remove", method_remove),
	ADMIN("Grow", method_grow),
	ADMIN("Fail", method_fail),
	ADMIN("ConfirmDead", method_confirm_dead),
	ADMIN("QuorumExpected", method_quorum_expected),
	ADMIN("Fence", method_fence),
	READ("FenceList", method_fence_list),
	ADMIN("FenceTest", method_fence_test),
	ADMIN("Reload", method_reload),
	{ NULL, CONTROL_READ, NULL, NULL },
};

int methods_open(struct engine *e, struct err *err)
{
	struct control_config c = { .group = e->config->control_group };
	char path[4096];

	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, e->config->run_dir);
	c.path = path;
	e->control = control_server_new(e->loop, &c, methods, e, err);
	return e->control ? 0 : err->code;
}

void methods_close(struct engine *e)
{
	control_server_free(e->control);
	e->control = NULL;
}
