/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks that come and go: Add, Remove, Fail. Each answers when it is so on all nodes, so that a
 * script may go on with the next one: what has failed can be removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/daemon/disk_words.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/daemon/unit_change.h"

enum { LOOK_MS = 50 };

/* NULL after it was refused. */
static const struct metadata_view *view_of(struct control_call *call, struct unit *u)
{
	struct array_look look = { .state = ARRAY_DOWN };

	if (unit_array(u))
		array_look(unit_array(u), &look);
	if (look.state == ARRAY_ACTIVE && look.view)
		return look.view;
	method_refuse(call, -EAGAIN, "%s: is not active here", unit_name(u));
	return NULL;
}

/* The word and its disks; false after it was refused. */
static bool find_disks(struct control_call *call, struct unit *u, const json_t *parameters,
		       const struct metadata_view **view, uint32_t *places)
{
	const char *word = method_text(parameters, "disk");
	struct err err = ERR_INIT;

	if (!word) {
		control_fail_parameter(call, "disk");
		return false;
	}
	*view = view_of(call, u);
	if (!*view)
		return false;
	if (disk_word_find(*view, word, places, &err) == 0)
		return true;
	err_prefix(&err, "%s", unit_name(u));
	control_fail(call, &err);
	return false;
}

static bool is_in_use(const struct metadata_disk *d)
{
	return d->state == METADATA_DISK_IN_SYNC || d->state == METADATA_DISK_REBUILD;
}

/* --- Add -------------------------------------------------------------------------------- */

struct add_call {
	struct method_call method;
	struct unit_change change;
	char path[];
};

static void drop_add(struct method_call *m)
{
	struct add_call *a = (struct add_call *)m;

	unit_change_forget(&a->change);
	free(a);
}

/* Nodes by their names; who asks does not mind by which message they said so. */
static void explain(const struct add_call *a, struct err *err)
{
	char text[sizeof(err->text)], *message;

	engine_name_nodes(a->method.engine, err->text, text, sizeof(text));
	message = strstr(text, "; NEWDISK");
	if (!message) {
		snprintf(err->text, sizeof(err->text), "%s", text);
		return;
	}
	*message = '\0';
	err_set(err, err->code, "%s: is not added: %s; every node that runs the array must see it",
		a->path, text);
}

/* Of one that is not in the configuration whoever tells of its disks will tell of this one. */
static bool is_configured(const struct add_call *a)
{
	const struct config_array *c =
		config_array(a->method.engine->config, unit_name(a->change.unit));

	return !c || disk_word_is_among(c->disks, c->disk_count, a->path);
}

static void is_added(void *owner, struct unit_change *c, int result)
{
	struct add_call *a = owner;
	struct control_call *call = a->method.call;

	control_set_state(call, NULL);
	if (result < 0 && c->change.err.code == 0)
		err_set(&c->change.err, result, "%s: was not added: %s", a->path,
			strerror(-result));
	explain(a, &c->change.err);
	if (result < 0)
		control_fail(call, &c->change.err);
	else
		control_reply(call, json_pack("{s:I, s:b, s:b}", "number",
					      (json_int_t)c->change.number, "re_added",
					      c->change.is_re_added, "configured",
					      is_configured(a)));
	free(a);
}

static bool kind_of(const char *how, enum array_change_kind *kind)
{
	*kind = ARRAY_ADD;
	if (!how || strcmp(how, "add") == 0)
		return true;
	*kind = strcmp(how, "spare") == 0 ? ARRAY_ADD_SPARE : ARRAY_RE_ADD;
	return *kind == ARRAY_ADD_SPARE || strcmp(how, "re-add") == 0;
}

void method_add(void *owner, struct control_call *call, const json_t *parameters)
{
	struct unit *u = method_unit(owner, call, parameters, "array");
	const char *path = method_text(parameters, "disk");
	enum array_change_kind kind;
	struct err err = ERR_INIT;
	struct add_call *a;

	if (!u)
		return;
	if (!path || *path != '/') {
		control_fail_parameter(call, "disk");
		return;
	}
	if (!kind_of(method_text(parameters, "how"), &kind)) {
		control_fail_parameter(call, "how");
		return;
	}
	if (!view_of(call, u))
		return;
	a = method_new(owner, call, sizeof(*a) + strlen(path) + 1, drop_add);
	if (!a)
		return;
	memcpy(a->path, path, strlen(path) + 1);
	a->change = (struct unit_change){
		.change = { .kind = kind, .path = a->path,
			    .is_forced = method_truth(parameters, "force") },
		.done = is_added,
		.owner = a,
	};
	if (unit_change(u, &a->change, &err) == 0)
		return;
	control_set_state(call, NULL);
	free(a);
	control_fail(call, &err);
}

/* --- Remove: one after the other --------------------------------------------------------- */

struct remove_call {
	struct method_call method;
	struct unit_change change;
	struct unit *unit;
	struct { uint32_t number; char path[256]; } disks[METADATA_MAX_DISKS];
	uint32_t count, removed;
};

static void drop_remove(struct method_call *m)
{
	struct remove_call *r = (struct remove_call *)m;

	unit_change_forget(&r->change);
	free(r);
}

static void end_remove(struct remove_call *r, const struct err *err)
{
	struct control_call *call = r->method.call;
	struct err why = *err;
	uint32_t removed = r->removed;

	control_set_state(call, NULL);
	free(r);
	if (why.code < 0)
		control_fail(call, &why);
	else
		control_reply(call, json_pack("{s:I}", "removed", (json_int_t)removed));
}

static void remove_next(struct remove_call *r);

static void is_removed(void *owner, struct unit_change *c, int result)
{
	struct remove_call *r = owner;

	if (result < 0 && c->change.err.code == 0)
		err_set(&c->change.err, result, "%s: #%" PRIu32 " was not removed: %s",
			unit_name(r->unit), c->change.number, strerror(-result));
	if (result < 0) {
		end_remove(r, &c->change.err);
		return;
	}
	r->removed++;
	remove_next(r);
}

static void remove_next(struct remove_call *r)
{
	struct err err = ERR_INIT;

	if (r->removed < r->count) {
		r->change = (struct unit_change){
			.change = { .kind = ARRAY_REMOVE, .number = r->disks[r->removed].number,
				    .path = r->disks[r->removed].path },
			.done = is_removed,
			.owner = r,
		};
		if (unit_change(r->unit, &r->change, &err) == 0)
			return;
	}
	end_remove(r, &err);
}

void method_remove(void *owner, struct control_call *call, const json_t *parameters)
{
	struct unit *u = method_unit(owner, call, parameters, "array");
	const struct metadata_view *v;
	struct remove_call *r;
	uint32_t places;

	if (!u || !find_disks(call, u, parameters, &v, &places))
		return;
	for (uint32_t i = 0; i < v->disk_count; i++)
		if ((places >> i & 1) && is_in_use(&v->disks[i])) {
			method_refuse(call, -EBUSY, "%s: %s is in use: fail it first",
				      unit_name(u), v->disks[i].path);
			return;
		}
	r = method_new(owner, call, sizeof(*r), drop_remove);
	if (!r)
		return;
	r->unit = u;
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (places >> i & 1) {
			r->disks[r->count].number = v->disks[i].dev_number;
			memcpy(r->disks[r->count++].path, v->disks[i].path, 256);
		}
	remove_next(r);
}

/* --- Fail ------------------------------------------------------------------------------- */

struct fail_call {
	struct method_call method;
	struct loop_timer *timer;
	char array[CONFIG_NAME_BYTES];
	uint32_t numbers[METADATA_MAX_DISKS], count;
};

static void drop_fail(struct method_call *m)
{
	struct fail_call *f = (struct fail_call *)m;

	loop_timer_cancel(f->timer);
	free(f);
}

static void end_fail(struct fail_call *f, const struct err *err)
{
	struct control_call *call = f->method.call;
	uint32_t count = f->count;

	control_set_state(call, NULL);
	drop_fail(&f->method);
	if (err->code < 0)
		control_fail(call, err);
	else
		control_reply(call, json_pack("{s:I}", "failed", (json_int_t)count));
}

static bool is_one_of(const struct fail_call *f, uint32_t number)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (f->numbers[i] == number)
			return true;
	return false;
}

/*
 * None of them is in use here any more: all nodes were told by then. Their roles may be
 * others' already: a spare takes one at once.
 */
static bool have_failed(const struct metadata_view *v, const struct fail_call *f)
{
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (is_in_use(&v->disks[i]) && is_one_of(f, v->disks[i].dev_number))
			return false;
	return true;
}

static void look_again(void *owner)
{
	struct fail_call *f = owner;
	struct unit *u = unit_find(f->method.engine, f->array);
	struct array_look look = { .state = ARRAY_DOWN };
	struct err err = ERR_INIT;

	f->timer = NULL;
	if (u && unit_array(u))
		array_look(unit_array(u), &look);
	if (look.state != ARRAY_ACTIVE || !look.view)
		err_set(&err, -ECANCELED, "%s: is not active here any more", f->array);
	else if (!have_failed(look.view, f))
		f->timer = loop_timer_start(f->method.engine->loop, LOOK_MS, look_again, f,
					    &err);
	if (!f->timer)
		end_fail(f, &err);
}

static int fail_one(struct unit *u, const struct metadata_view *v, uint32_t place,
		    struct fail_call *f, struct err *err)
{
	const struct metadata_disk *d = &v->disks[place];

	if (!is_in_use(d) && d->state == METADATA_DISK_SPARE)
		return err_set(err, -EINVAL, "%s: %s is a spare: remove it", unit_name(u),
			       d->path);
	if (!is_in_use(d))
		return 0; /* as md has it: what failed may fail again */
	if (unit_fail_disk(u, d->role, err) < 0)
		return err->code;
	f->numbers[f->count++] = d->dev_number;
	return 0;
}

void method_fail(void *owner, struct control_call *call, const json_t *parameters)
{
	struct unit *u = method_unit(owner, call, parameters, "array");
	const struct metadata_view *v;
	struct err err = ERR_INIT;
	struct fail_call *f;
	uint32_t places;

	if (!u || !find_disks(call, u, parameters, &v, &places))
		return;
	if (disk_word_kind(method_text(parameters, "disk")) == DISK_FAILED) {
		method_refuse(call, -EINVAL, "%s: what has failed can be removed, or re-added",
			      unit_name(u));
		return;
	}
	f = method_new(owner, call, sizeof(*f), drop_fail);
	if (!f)
		return;
	snprintf(f->array, sizeof(f->array), "%s", unit_name(u));
	for (uint32_t i = 0; err.code == 0 && i < v->disk_count; i++)
		if (places >> i & 1)
			fail_one(u, v, i, f, &err);
	if (err.code < 0)
		end_fail(f, &err);
	else
		look_again(f);
}
