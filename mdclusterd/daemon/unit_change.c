/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/unit_change.h"

#include <errno.h>

#include "base/err.h"
#include "mdclusterd/daemon/unit_private.h"
#include "mdclusterd/record/recorder.h"

static void is_done(void *owner, struct array_change *change, int result)
{
	struct unit_change *c = owner;

	(void)change;
	qb_list_del(&c->link);
	c->done(c->owner, c, result);
}

int unit_change(struct unit *u, struct unit_change *c, struct err *err)
{
	int r;

	if (!u->array)
		return err_set(err, -EAGAIN, "%s: is not active here", u->config.name);
	c->unit = u;
	c->change.done = is_done;
	c->change.owner = c;
	qb_list_add_tail(&c->link, &u->changes);
	r = recorded_change(u->recorded, &c->change, err);
	if (r < 0)
		qb_list_del(&c->link);
	return r;
}

void unit_change_forget(struct unit_change *c)
{
	recorded_change_forget(c->unit->recorded, &c->change);
	qb_list_del(&c->link);
}

void unit_changes_end(struct unit *u)
{
	while (!qb_list_empty(&u->changes)) {
		struct unit_change *c =
			qb_list_first_entry(&u->changes, struct unit_change, link);

		unit_change_forget(c);
		err_set(&c->change.err, -ESHUTDOWN,
			"%s: it runs here no more: look at another node what became of it",
			u->config.name);
		c->done(c->owner, c, -ESHUTDOWN);
	}
}
