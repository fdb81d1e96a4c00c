/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/unit_grow.h"

#include <errno.h>

#include "base/err.h"
#include "mdclusterd/daemon/unit_private.h"
#include "mdclusterd/record/recorder.h"

static void end(struct unit_grow *g, int result)
{
	qb_list_del(&g->link);
	g->done(g->owner, g, result);
}

static void is_done(void *owner, struct array_grow *grow, int result)
{
	(void)grow;
	end(owner, result);
}

static int begin(struct unit_grow *g, struct err *err)
{
	int r = recorded_grow(g->unit->recorded, &g->grow, err);

	g->is_begun = r == 0;
	return r;
}

static void clients_are_known(void *owner, const struct plane_look *look)
{
	struct unit_grow *g = owner;
	struct err err = ERR_INIT;

	g->clients.done = NULL;
	if (!look || !g->unit->array)
		err_set(&err, -EAGAIN, "%s: is not active here", g->unit->config.name);
	else if (look->clients > 0)
		err_set(&err, -EBUSY, "%s: %u NBD clients use it: end them first",
			g->unit->config.name, look->clients);
	else
		(void)begin(g, &err);
	if (err.code == 0)
		return;
	g->grow.err = err;
	end(g, err.code);
}

bool unit_grow_is_farewell(const struct unit_grow *g)
{
	return g->grow.grow.bitmap == MD_BITMAP_NONE ||
	       g->grow.grow.bitmap == MD_BITMAP_INTERNAL;
}

int unit_grow(struct unit *u, struct unit_grow *g, struct err *err)
{
	int r = 0;

	if (!u->array)
		return err_set(err, -EAGAIN, "%s: is not active here", u->config.name);
	g->unit = u;
	g->is_begun = false;
	g->clients.done = NULL;
	g->grow.done = is_done;
	g->grow.owner = g;
	qb_list_add_tail(&g->link, &u->grows);
	if (unit_grow_is_farewell(g)) {
		g->clients = (struct unit_looker){ .done = clients_are_known, .owner = g };
		unit_look(u, &g->clients);
		return 0;
	}
	r = begin(g, err);
	if (r < 0)
		qb_list_del(&g->link);
	return r;
}

void unit_grow_forget(struct unit_grow *g)
{
	if (g->is_begun)
		array_grow_forget(g->unit->array, &g->grow);
	else if (g->clients.done)
		unit_look_no_more(&g->clients);
	qb_list_del(&g->link);
}

void unit_grows_end(struct unit *u)
{
	while (!qb_list_empty(&u->grows)) {
		struct unit_grow *g = qb_list_first_entry(&u->grows, struct unit_grow, link);

		unit_grow_forget(g);
		err_set(&g->grow.err, -ESHUTDOWN,
			"%s: it runs here no more: look at another node what became of it",
			u->config.name);
		g->done(g->owner, g, -ESHUTDOWN);
	}
}
