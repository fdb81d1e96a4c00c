/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grow: another size, number of disks, name, or kind of bitmap, on all nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/daemon/methods.h"
#include "mdclusterd/daemon/unit_grow.h"

struct grow_call {
	struct method_call method;
	struct unit_grow grow;
	char array[CONFIG_NAME_BYTES];
};

static void drop(struct method_call *m)
{
	struct grow_call *g = (struct grow_call *)m;

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

static void is_grown(void *owner, struct unit_grow *grow, int result)
{
	struct grow_call *g = owner;
	struct control_call *call = g->method.call;

	control_set_state(call, NULL);
	if (result < 0 && grow->grow.err.code == 0)
		err_set(&grow->grow.err, result, "%s: was not changed: %s", g->array,
			strerror(-result));
	if (result < 0)
		control_fail(call, &grow->grow.err);
	else
		control_reply(call, outcome(grow->unit));
	free(g);
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
	control_set_state(call, NULL);
	free(g);
	control_fail(call, &err);
}
