/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Grow: another size, number of disks, name, or kind of bitmap, on all nodes. The answer comes when
 * the array goes on here, so that a script may go on with the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/daemon/unit_grow.h"

struct grow_call {
	struct method_call method;
	struct unit_grow grow;
	struct unit_waiter thaw;
	bool is_thawing;
	char array[CONFIG_NAME_BYTES];
};

static void drop(struct method_call *m)
{
	struct grow_call *g = (struct grow_call *)m;

	if (g->is_thawing)
		unit_forget(&g->thaw);
	else
		unit_grow_forget(&g->grow);
	free(g);
}

/* What the array is now; of one that is no array of a cluster any more, nothing. */
static json_t *outcome(const struct unit *u)
{
	struct array_look look = { .state = ARRAY_DOWN };

	if (unit_array(u))
		array_look(unit_array(u), &look);
	if (!look.view)
		return json_object();
	return json_pack("{s:I, s:I, s:I}", "size", (json_int_t)look.view->member_sectors,
			 "sectors", (json_int_t)look.view->array_sectors, "raid_devices",
			 (json_int_t)look.view->raid_disks);
}

/* Nodes by their names; who asks does not mind by which message they said so. */
static void explain(const struct engine *e, struct err *err)
{
	char text[sizeof(err->text)], *message;

	engine_name_nodes(e, err->text, text, sizeof(text));
	message = strstr(text, "; FREEZE");
	if (message)
		*message = '\0';
	snprintf(err->text, sizeof(err->text), "%s", text);
}

static void end(struct grow_call *g, const struct err *err)
{
	struct control_call *call = g->method.call;
	const struct unit *u = unit_find(g->method.engine, g->array);
	struct err why = *err;

	control_set_state(call, NULL);
	free(g);
	if (why.code < 0)
		control_fail(call, &why);
	else
		control_reply(call, u ? outcome(u) : json_object());
}

/* What was asked for is done, whatever became of the array since. */
static void is_thawed(void *owner, int result, const struct err *why)
{
	const struct err fine = ERR_INIT;

	(void)result;
	(void)why;
	end(owner, &fine);
}

static bool is_frozen(const struct unit *u)
{
	struct array_look look = { .state = ARRAY_DOWN };

	if (unit_array(u))
		array_look(unit_array(u), &look);
	return look.state != ARRAY_DOWN && look.state != ARRAY_ACTIVE;
}

static void is_grown(void *owner, struct unit_grow *grow, int result)
{
	struct grow_call *g = owner;

	if (result < 0 && grow->grow.err.code == 0)
		err_set(&grow->grow.err, result, "%s: was not changed: %s", g->array,
			strerror(-result));
	if (result < 0) {
		explain(g->method.engine, &grow->grow.err);
	} else if (!unit_grow_is_farewell(grow) && is_frozen(grow->unit)) {
		g->is_thawing = true;
		g->thaw = (struct unit_waiter){ .done = is_thawed, .owner = g };
		unit_await(grow->unit, &g->thaw);
		return;
	}
	end(g, &grow->grow.err);
}

/* 0 where it is not there; false: it is no such number. */
static bool take_number(const json_t *parameters, const char *key, uint64_t most,
			uint64_t *number)
{
	const json_t *v = json_object_get(parameters, key);
	json_int_t n = json_integer_value(v);

	*number = 0;
	if (!v || json_is_null(v))
		return true;
	if (!json_is_integer(v) || n <= 0 || (uint64_t)n > most)
		return false;
	*number = (uint64_t)n;
	return true;
}

static bool take_kind(const char *word, enum md_bitmap_kind *kind)
{
	*kind = MD_BITMAP_AS_IS;
	if (!word || strcmp(word, "clustered") == 0)
		return true;
	*kind = strcmp(word, "none") == 0 ? MD_BITMAP_NONE : MD_BITMAP_INTERNAL;
	return *kind == MD_BITMAP_NONE || strcmp(word, "internal") == 0;
}

/* NULL, or the parameter that is wrong. */
static const char *take(const json_t *parameters, struct array_grow *to)
{
	const char *name = method_text(parameters, "name");
	struct md_sb scratch;
	struct err ignored = ERR_INIT;
	uint64_t disks;

	if (!take_number(parameters, "size", INT64_MAX, &to->grow.size))
		return "size";
	if (method_truth(parameters, "max"))
		to->grow.size = MD_GROW_MAX;
	if (!take_number(parameters, "raid_devices", METADATA_MAX_DISKS, &disks))
		return "raid_devices";
	to->grow.raid_disks = (uint32_t)disks;
	if (!take_kind(method_text(parameters, "bitmap"), &to->grow.bitmap))
		return "bitmap";
	if (name && md_sb_set_name(&scratch, name, &ignored) < 0)
		return "name";
	if (name)
		memcpy(to->name, name, strlen(name) + 1);
	to->grow.is_assume_clean = method_truth(parameters, "assume_clean");
	return NULL;
}

void method_grow(void *owner, struct control_call *call, const json_t *parameters)
{
	struct unit *u = method_unit(owner, call, parameters, "array");
	struct array_grow asked = { .grow = { .size = 0 } };
	struct err err = ERR_INIT;
	const char *wrong;
	struct grow_call *g;

	if (!u)
		return;
	wrong = take(parameters, &asked);
	if (wrong) {
		control_fail_parameter(call, wrong);
		return;
	}
	g = method_new(owner, call, sizeof(*g), drop);
	if (!g)
		return;
	snprintf(g->array, sizeof(g->array), "%s", unit_name(u));
	g->grow = (struct unit_grow){ .grow = asked, .done = is_grown, .owner = g };
	if (unit_grow(u, &g->grow, &err) == 0)
		return;
	explain(owner, &err);
	end(g, &err);
}
