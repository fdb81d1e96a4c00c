/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods that change arrays: Assemble, Stop, Set. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mdclusterd/daemon/autostart.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/daemon/status_fill.h"
#include "mdclusterd/daemon/stopped.h"

enum { LOOK_MS = 1000 };

/* --- several units waited for by one call ------------------------------------------------- */

struct units_call {
	struct method_call method;
	struct event_subscriber subscriber; /* states on the way, of Assemble */
	bool is_subscribed;
	struct loop_timer *look;            /* for what they wait, which is no event */
	struct err why;                     /* the first that went wrong */
	uint32_t room, awaited;
	bool is_beginning, is_stop;
	struct waited {
		struct unit_waiter waiter;
		struct units_call *call;
		char name[CONFIG_NAME_BYTES];
		char waits[STATUS_TEXT];    /* told last */
		bool is_awaited;
	} waited[CONFIG_MAX_ARRAYS];
};

static void drop_units(struct method_call *m)
{
	struct units_call *c = (struct units_call *)m;

	for (uint32_t i = 0; i < c->room; i++)
		if (c->waited[i].is_awaited)
			unit_forget(&c->waited[i].waiter);
	if (c->is_subscribed)
		event_hub_unsubscribe(&c->subscriber);
	loop_timer_cancel(c->look);
	free(c);
}

static void reply_units(struct units_call *c)
{
	struct control_call *call = c->method.call;
	struct err why = c->why;

	control_set_state(call, NULL);
	drop_units(&c->method);
	method_answer(call, &why);
}

static void unit_is_there(void *owner, int result, const struct err *why)
{
	struct waited *w = owner;
	struct units_call *c = w->call;

	w->is_awaited = false;
	if (result < 0 && c->is_stop) /* it goes on */
		stopped_forget(c->method.engine->config->run_dir, w->name);
	if (result < 0 && c->why.code == 0)
		c->why = *why;
	if (--c->awaited == 0 && !c->is_beginning)
		reply_units(c);
}

static struct unit_waiter *wait_for(struct units_call *c, const char *name)
{
	struct waited *w = &c->waited[c->room++];

	*w = (struct waited){ .call = c, .is_awaited = true };
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->waiter = (struct unit_waiter){ .done = unit_is_there, .owner = w };
	c->awaited++;
	return &w->waiter;
}

static void do_not_wait(struct units_call *c)
{
	c->waited[--c->room].is_awaited = false;
	c->awaited--;
}

static void begin_units(struct units_call *c)
{
	c->is_beginning = true;
}

static void all_begun(struct units_call *c)
{
	c->is_beginning = false;
	if (c->awaited == 0)
		reply_units(c);
}

/* --- Assemble --------------------------------------------------------------------------------- */

static struct waited *waited_named(struct units_call *c, const char *name)
{
	for (uint32_t i = 0; i < c->room; i++)
		if (c->waited[i].is_awaited && strcmp(c->waited[i].name, name) == 0)
			return &c->waited[i];
	return NULL;
}

/* Its state, and for what it waits; or only where that is another than was told. */
static void tell(struct units_call *c, struct waited *w, bool is_news)
{
	struct engine *e = c->method.engine;
	struct unit *u = unit_find(e, w->name);
	struct array_look look;
	char waits[STATUS_TEXT];

	if (!u || !unit_array(u))
		return;
	array_look(unit_array(u), &look);
	status_fill_waits(e, &look, waits);
	if (!is_news && strcmp(waits, w->waits) == 0)
		return;
	memcpy(w->waits, waits, sizeof(waits));
	control_continue(c->method.call,
			 json_pack("{s:s, s:s, s:s}", "array", w->name, "state",
				   array_state_name(look.state), "waits", waits));
}

static void happened(void *owner, const struct status_event *event)
{
	struct units_call *c = owner;
	struct waited *w = waited_named(c, event->array);

	if (w && strcmp(event->kind, array_event_name(ARRAY_EVENT_STATE)) == 0)
		tell(c, w, true);
}

static void look_at_all(void *owner)
{
	struct units_call *c = owner;
	struct err err = ERR_INIT;

	for (uint32_t i = 0; i < c->room; i++)
		if (c->waited[i].is_awaited)
			tell(c, &c->waited[i], false);
	c->look = loop_timer_start(c->method.engine->loop, LOOK_MS, look_at_all, c, &err);
}

/* One that is active already is fine. */
static void assemble(struct units_call *c, const struct config_array *a)
{
	struct engine *e = c->method.engine;
	struct unit *u = unit_find(e, a->name);
	struct array_look look = { .state = ARRAY_DOWN };
	struct err err = ERR_INIT;

	if (u && unit_array(u))
		array_look(unit_array(u), &look);
	stopped_forget(e->config->run_dir, a->name);
	if (look.state == ARRAY_ACTIVE)
		return;
	if (!u || (!unit_array(u) && *unit_why(u)))
		u = unit_start(e, a, UNIT_AT_ONCE, &err);
	if (u && !unit_array(u) && *unit_why(u))
		err_set(&err, -EIO, "%s", unit_why(u)); /* it did not even begin */
	else if (u)
		unit_await(u, wait_for(c, a->name));
	if (err.code < 0 && c->why.code == 0)
		c->why = err;
}

static int array_of_disks(const json_t *parameters, struct config_array *a, struct err *err)
{
	const json_t *disks = json_object_get(parameters, "disks"), *disk;
	const char *name = method_text(parameters, "name");
	size_t i;

	*a = (struct config_array){ .is_exported = true, .export_mode = 0600 };
	if (!*name || strlen(name) >= sizeof(a->name) || strchr(name, '/') || *name == '.')
		return err_set(err, -EINVAL, "%s: is no name of an array", name);
	snprintf(a->name, sizeof(a->name), "%s", name);
	if (json_array_size(disks) == 0 || json_array_size(disks) > CONFIG_MAX_DISKS)
		return err_set(err, -EINVAL, "%s: name 1 to %d disks", name, CONFIG_MAX_DISKS);
	json_array_foreach(disks, i, disk) {
		const char *path = json_string_value(disk);

		if (!path || *path != '/')
			return err_set(err, -EINVAL, "%s: disk %zu is no path from the root",
				       name, i + 1);
		a->disks[a->disk_count++] = (char *)(uintptr_t)path; /* copied at the start */
	}
	return 0;
}

void method_assemble(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	const char *name = method_text(parameters, "array");
	const struct config_array *known = name ? config_array(e->config, name) : NULL;
	bool is_scan = method_truth(parameters, "scan");
	struct config_array named;
	struct err err = ERR_INIT;
	struct units_call *c;

	if (name && !known)
		known = autostart_array(e->autostart, name);
	if (name && !known) {
		method_refuse(call, -ENOENT,
			      "%s: the configuration has no such array: name its disks", name);
		return;
	}
	if (!name && !is_scan && !method_text(parameters, "name")) {
		control_fail_parameter(call, "array");
		return;
	}
	if (!name && !is_scan && array_of_disks(parameters, &named, &err) < 0) {
		control_fail(call, &err);
		return;
	}
	c = method_new(e, call, sizeof(*c), drop_units);
	if (!c)
		return;
	if (control_wants_more(call)) {
		c->subscriber = (struct event_subscriber){ .happened = happened, .owner = c };
		event_hub_subscribe(e->events, &c->subscriber);
		c->is_subscribed = true;
		c->look = loop_timer_start(e->loop, LOOK_MS, look_at_all, c, &err);
	}
	begin_units(c);
	for (size_t i = 0; is_scan && i < e->config->array_count; i++)
		assemble(c, &e->config->arrays[i]);
	if (!is_scan)
		assemble(c, known ? known : &named);
	all_begun(c);
}

/* --- Stop ----------------------------------------------------------------------------------------- */

static void stop_one(struct units_call *c, struct unit *u, bool is_forced)
{
	struct unit_waiter *w = wait_for(c, unit_name(u));
	struct err err = ERR_INIT;

	stopped_note(c->method.engine->config->run_dir, unit_name(u));
	if (unit_stop(u, is_forced, w, &err) == 0)
		return;
	stopped_forget(c->method.engine->config->run_dir, unit_name(u));
	do_not_wait(c);
	if (c->why.code == 0)
		c->why = err;
}

void method_stop(void *owner, struct control_call *call, const json_t *parameters)
{
	struct engine *e = owner;
	bool is_scan = method_truth(parameters, "scan");
	bool is_forced = method_truth(parameters, "force");
	struct unit *u = is_scan ? NULL : method_unit(e, call, parameters, "array");
	struct units_call *c;

	if (!is_scan && !u)
		return;
	c = method_new(e, call, sizeof(*c), drop_units);
	if (!c)
		return;
	c->is_stop = true;
	begin_units(c);
	if (u)
		stop_one(c, u, is_forced);
	for (struct unit *v = is_scan ? unit_next(e, NULL) : NULL;
	     v && c->room < CONFIG_MAX_ARRAYS; v = unit_next(e, v))
		stop_one(c, v, is_forced);
	all_begun(c);
}

/* --- Set -------------------------------------------------------------------------------------------- */

static int set_level(const char *value, struct err *err)
{
	static const char *const levels[] = { "error", "warning", "notice", "info", "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i], value) == 0) {
			log_set_level(LOG_ERR + (int)i);
			return 0;
		}
	return err_set(err, -EINVAL,
		       "log-level: there is no '%s', but error, warning, notice, info and debug",
		       value);
}

static int set_of_array(struct unit *u, const char *key, const char *value, struct err *err)
{
	const struct config_array *c = unit_config(u);
	uint64_t sectors;

	if (strcmp(key, "resync-min") != 0 && strcmp(key, "resync-max") != 0 &&
	    strcmp(key, "intent-budget") != 0)
		return err_set(err, -EINVAL,
			       "%s: is none of: resync-min, resync-max, intent-budget, log-level",
			       key);
	if (text_parse_sectors(value, key, &sectors, err) < 0)
		return err->code;
	if (strcmp(key, "intent-budget") == 0)
		unit_set_budget(u, sectors * 512);
	else if (strcmp(key, "resync-min") == 0)
		unit_set_speed(u, sectors * 512, c->resync_max_bytes);
	else
		unit_set_speed(u, c->resync_min_bytes, sectors * 512);
	return 0;
}

void method_set(void *owner, struct control_call *call, const json_t *parameters)
{
	const char *key = method_text(parameters, "key");
	const char *value = method_text(parameters, "value");
	struct err err = ERR_INIT;
	struct unit *u;

	if (!key || !value) {
		control_fail_parameter(call, key ? "value" : "key");
		return;
	}
	if (strcmp(key, "log-level") == 0) {
		set_level(value, &err);
		method_answer(call, &err);
		return;
	}
	u = method_unit(owner, call, parameters, "array");
	if (!u)
		return;
	set_of_array(u, key, value, &err);
	method_answer(call, &err);
}
