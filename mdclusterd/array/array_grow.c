/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another size, number of disks, name, or kind of bitmap, with TOKEN from the first step to the
 * last:
 *
 *	FREEZE said, all others frozen -> this node frozen -> METADATA CHANGE
 *	-> METADATA_UPDATED, all have read it, and thaw -> TOKEN goes -> this node thaws
 *
 * So no node serves the new size before all know of it (B53), and none has a bit in a place
 * where another looks for something else (B13, B22). Who refuses to freeze is named, and
 * all thaw. This node's death thaws the others (array_freeze.c).
 *
 * An array that gets a plain bitmap, or none, is no array of a cluster any more: only who is
 * alone may do that (B25), and it is stopped behind it.
 *
 * One that failed while it was written, or said, may be on some disks: then who activates next
 * finishes it. So what has come of it is told by what the array is when it is active again.
 */
#include "mdclusterd/array/array_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"

/* As many copies as an io of the mirror has room for, whatever it began with. */
enum { LIVE_COPIES = 8 };

static bool is_farewell(const struct array_growing *g)
{
	return g->grow.bitmap == MD_BITMAP_NONE || g->grow.bitmap == MD_BITMAP_INTERNAL;
}

/* --- the end of it ---------------------------------------------------------------------- */

static void answer(struct array *a, int result, const struct err *why)
{
	struct array_grow *who = a->grow.who;

	a->grow.step = GROW_NONE;
	a->grow.is_running = false;
	a->grow.who = NULL;
	if (!who)
		return;
	who->err = *why;
	who->done(who->owner, who, result);
}

static bool has_it(const struct array *a)
{
	const struct array_growing *g = &a->grow;

	if (is_farewell(g))
		return false;
	return (g->grow.size == 0 || a->view.member_sectors == g->grow.size ||
		a->view.member_sectors > g->sectors_before) &&
	       (g->grow.raid_disks == 0 || a->view.raid_disks == g->grow.raid_disks) &&
	       (g->name[0] == '\0' || strcmp(a->view.name, g->name) == 0);
}

static void judge(struct array *a)
{
	const struct err why = a->grow.why, fine = ERR_INIT;

	if (has_it(a))
		answer(a, 0, &fine);
	else
		answer(a, a->grow.result, &why);
}

static void ended(struct array *a, struct array_deed *d)
{
	struct array_growing *g = &a->grow;
	struct err why = g->step == GROW_TOKEN ? d->why : g->why;
	int result = g->step == GROW_TOKEN ? d->why.code : g->result;
	bool is_over = result == 0 && is_farewell(g) && g->is_written;
	struct err ignored = ERR_INIT;

	if (g->step == GROW_AGAIN) {
		g->step = GROW_NONE;
		a->must_go = true;
		return;
	}
	if (a->state == ARRAY_FROZEN)
		freeze_thaw(a);
	if (result < 0 && g->is_begun) {
		g->step = GROW_JUDGE;
		return;
	}
	answer(a, result, &why);
	if (is_over)
		(void)array_stop(a, &ignored);
}

static void end(struct array *a, int result, const struct err *why)
{
	struct array_growing *g = &a->grow;

	if (g->result == 0) {
		g->result = result;
		if (result < 0)
			g->why = *why;
	}
	deed_end(a, &g->deed);
}

/* --- steps -------------------------------------------------------------------------------- */

static void say_freeze(struct array *a)
{
	const struct msg m = { .type = MSG_FREEZE };

	a->grow.step = GROW_SAY;
	deed_say(a, &a->grow.deed, &m);
}

static void say_updated(struct array *a)
{
	a->grow.step = GROW_TELL;
	deed_say_updated(a, &a->grow.deed);
}

static void frozen(struct array *a, int result, const struct err *why)
{
	struct array_growing *g = &a->grow;
	const char *refused = freeze_refusal(a);

	if (result == 0 && refused)
		result = err_set(&g->why, -EBUSY, "%s: %s", a->name, refused);
	else if (result < 0)
		g->why = *why;
	if (result < 0) {
		g->result = result == -EREMOTEIO ? -EBUSY : result;
		say_updated(a); /* some are frozen */
		return;
	}
	g->step = GROW_FREEZE;
	freeze_begin(a, a->our_slot);
}

static void write(struct array *a)
{
	struct array_growing *g = &a->grow;

	g->step = GROW_WRITE;
	g->is_begun = true;
	g->sectors_before = a->view.member_sectors;
	g->grow.slot = (uint32_t)a->our_slot;
	g->deed.work.req = (struct metadata_request){
		.grow = &g->grow,
		.name = g->name[0] ? g->name : NULL,
	};
	deed_work(a, &g->deed, METADATA_CHANGE);
}

static void next(struct array *a, struct array_deed *d, int result)
{
	struct array_growing *g = &a->grow;
	const struct err why = d->why;

	switch (g->step) {
	case GROW_TOKEN:
		if (a->state == ARRAY_ACTIVE) {
			say_freeze(a);
		} else { /* another node's change came first: once more behind that */
			g->step = GROW_AGAIN;
			deed_end(a, d);
		}
		break;
	case GROW_SAY:
		frozen(a, result, &why);
		break;
	case GROW_WRITE:
		g->is_written = result == 0;
		if (result < 0) {
			g->result = result;
			g->why = why;
		}
		if (g->is_written && is_farewell(g))
			end(a, 0, NULL); /* nobody is there to hear it */
		else
			say_updated(a);
		break;
	case GROW_TELL: /* who refused has heard it, and thaws */
		end(a, result == -EREMOTEIO ? 0 : result, &why);
		break;
	case GROW_NONE:
	case GROW_FREEZE:
	case GROW_AGAIN:
	case GROW_JUDGE:
		break;
	}
}

void grow_go(struct array *a)
{
	struct array_growing *g = &a->grow;

	if (g->step == GROW_FREEZE && freeze_is_done(a) && !a->ending)
		write(a);
	if (g->step == GROW_JUDGE && a->state == ARRAY_ACTIVE)
		judge(a);
	if (!g->is_running || g->step != GROW_NONE || a->state != ARRAY_ACTIVE ||
	    !deed_is_idle(&g->deed))
		return;
	g->deed.next = next;
	g->deed.ended = ended;
	if (deed_begin(a, &g->deed))
		g->step = GROW_TOKEN;
}

/* The array is not active any more. */
void grow_fini(struct array *a)
{
	struct array_growing *g = &a->grow;
	struct err why = ERR_INIT;

	if (g->is_running) {
		err_set(&why, -ESHUTDOWN, "%s: it was stopped meanwhile: look what has become of it",
			a->name);
		answer(a, -ESHUTDOWN, &why);
	}
	memset(g, 0, sizeof(*g));
}

/* --- from outside ------------------------------------------------------------------------- */

static int check_alone(const struct array *a, struct err *err)
{
	char nodes[128] = "";
	int at = 0;

	for (int i = 0; i < ARRAY_MAX_NODES && (size_t)at < sizeof(nodes) - 16; i++)
		if (i != a->our_slot && a->slots[i].is_member)
			at += snprintf(nodes + at, sizeof(nodes) - (size_t)at, "%s%" PRIu32,
				       at ? ", node " : "", a->slots[i].node);
	if (at == 0)
		return 0;
	return err_set(err, -EBUSY,
		       "%s: it is active on node %s as well: stop it there first", a->name,
		       nodes);
}

static int check(const struct array *a, const struct array_grow *g, struct err *err)
{
	const struct md_grow *grow = &g->grow;
	const char *busy;

	if (a->state != ARRAY_ACTIVE || a->ending)
		return err_set(err, -EAGAIN, "%s: it is not active here", a->name);
	if (a->grow.is_running)
		return err_set(err, -EBUSY, "%s: another change of it runs", a->name);
	busy = freeze_refusal(a);
	if (busy)
		return err_set(err, -EBUSY, "%s: %s", a->name, busy);
	if (grow->size && grow->size != MD_GROW_MAX && grow->size < a->view.member_sectors)
		return err_set(err, -EINVAL,
			       "%s: it cannot become smaller while it runs: stop it on all nodes, and name its disks",
			       a->name);
	if (grow->raid_disks > max_u64(LIVE_COPIES, a->view.raid_disks) ||
	    grow->raid_disks > METADATA_MAX_DISKS)
		return err_set(err, -EINVAL,
			       "%s: more than %d copies: not while it runs: stop it on all nodes, and name its disks",
			       a->name, LIVE_COPIES);
	if (grow->bitmap == MD_BITMAP_NONE || grow->bitmap == MD_BITMAP_INTERNAL)
		return check_alone(a, err);
	return 0;
}

int array_grow(struct array *a, struct array_grow *who, struct err *err)
{
	struct array_growing *g = &a->grow;
	int r = check(a, who, err);

	if (r < 0)
		return r;
	g->grow = who->grow;
	snprintf(g->name, sizeof(g->name), "%s", who->name);
	g->who = who;
	g->result = 0;
	g->why = who->err = (struct err)ERR_INIT;
	g->is_written = g->is_begun = false;
	g->is_running = true;
	array_go(a);
	return 0;
}

void array_grow_forget(struct array *a, struct array_grow *who)
{
	if (a->grow.who == who)
		a->grow.who = NULL;
}
