/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * raid1, of N copies:
 *
 *	add the new one as a spare -> N + 1 copies, the spare takes the new role by itself
 *	-> it is in sync -> the old one fails -> N copies, ranks are closed -> it is removed
 *
 * The old one is removed last: as long as it is there, faulty, the array itself tells that it
 * is the one to go. raid10 has no N + 1: the old one fails, and a spare takes its place.
 *
 * Nothing on the disks tells an interrupted replacement from a larger mirror that somebody
 * wants. These rules decide it, at the first look; each later step rests on that:
 *
 *	P1  Begun anew only where every role has its disk: the old one is in use, and the new
 *	    one a spare, or no member. N is what the array has.
 *	P2  Gone on where both are named, and the new one has the last role, which is where
 *	    growing puts it, or the old one has failed and one role is empty. N is one less. Who
 *	    names a disk in use as the new one says that it is there for that. At worst, where
 *	    it was not, the array ends with as many copies as it had without it.
 *	P3  Without --with nothing is gone on with: a spare, alone, is taken, or it is refused.
 *	P4  The old one is failed only where N others are in sync. Nothing is shrunk but a role
 *	    that no disk has, and never below 2.
 *	P5  No other spare may be there: it would take the place that the old one leaves.
 *	P6  Sizes are absolute: to grow twice is to grow once.
 */
#include "tools/replace.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "mdclusterd/control/status.h"

/* What counts of an array. */
struct look {
	const struct status_array *a;
	const struct status_disk *old, *new; /* NULL: no member */
	const struct status_disk *spare, *rebuilt; /* any; a spare that is not `new` */
	uint32_t spares;     /* without `new` */
	uint32_t active;     /* disks that have a role */
	uint32_t in_sync;    /* of them, without `old` */
};

static bool is(const struct status_disk *d, const char *state)
{
	return d && strcmp(d->state, state) == 0;
}

static bool is_active(const struct status_disk *d)
{
	return is(d, "in_sync") || is(d, "rebuild");
}

const struct status_disk *replace_find(const struct status_array *a, uint32_t number)
{
	for (uint32_t i = 0; i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		if (d->number == number && (d->path[0] || !is(d, "missing")))
			return d;
	}
	return NULL;
}

static struct look look_at(const struct replace *r, const struct status_array *a)
{
	struct look l = { .a = a };

	l.old = r->old.is_known ? replace_find(a, r->old.number) : NULL;
	l.new = r->new.is_known ? replace_find(a, r->new.number) : NULL;
	for (uint32_t i = 0; i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		l.active += is_active(d);
		l.in_sync += is(d, "in_sync") && d != l.old;
		if (is(d, "rebuild"))
			l.rebuilt = d;
		if (is(d, "spare") && d != l.new) {
			l.spare = d;
			l.spares++;
		}
	}
	return l;
}

static uint32_t holes(const struct look *l)
{
	return l->a->raid_disks > l->active ? l->a->raid_disks - l->active : 0;
}

static bool is_mirror(const struct look *l)
{
	return strcmp(l->a->level, "raid1") == 0;
}

/* --- the first look: what is it about ------------------------------------------------------ */

/* P3 */
static int take_spare(struct replace *r, struct look *l, struct err *err)
{
	if (!is_active(l->old))
		return err_set(err, -EBUSY,
			       "%s: %s is not in use any more: a spare takes its place by itself (mdcluster add %s DISK), then mdcluster remove %s %s",
			       r->array, r->old.word, r->array, r->array, r->old.word);
	if (l->rebuilt && l->rebuilt != l->old)
		return err_set(err, -EBUSY,
			       "%s: %s is being recovered to. If it shall replace %s: mdcluster replace %s %s --with %s; if not: mdcluster add another one first",
			       r->array, l->rebuilt->path, r->old.word, r->array, r->old.word,
			       l->rebuilt->path);
	if (l->spares == 0)
		return err_set(err, -ENOENT,
			       "%s: it has no spare that could replace %s: mdcluster add one first, or name the disk: --with DISK",
			       r->array, r->old.word);
	if (l->spares > 1)
		return err_set(err, -EBUSY,
			       "%s: it has %u spares, and another one would take the place that %s leaves: mdcluster remove all but one first, and add them again behind it",
			       r->array, l->spares, r->old.word);
	r->new = (struct replace_disk){ l->spare->path, true, l->spare->number };
	l->new = l->spare;
	l->spare = NULL;
	l->spares = 0;
	return 0;
}

static int refuse_holes(const struct replace *r, const struct look *l, struct err *err)
{
	if (is_mirror(l) && l->a->raid_disks > 2)
		return err_set(err, -EBUSY,
			       "%s: it has %u roles, and disks for %u. To fill them: mdcluster add %s DISK; to have fewer: mdcluster grow %s --raid-devices=%u; then again",
			       r->array, l->a->raid_disks, l->active, r->array, r->array,
			       l->a->raid_disks - 1);
	return err_set(err, -EBUSY,
		       "%s: it has %u roles, and disks for %u: mdcluster add %s DISK first",
		       r->array, l->a->raid_disks, l->active, r->array);
}

/* Both are in use. P2 */
static int decide_both(struct replace *r, const struct look *l, struct err *err)
{
	uint32_t last = l->a->raid_disks - 1;

	if (!is_mirror(l))
		return err_set(err, -EBUSY, "%s: %s and %s are both in use: mdcluster add another one",
			       r->array, r->old.word, r->new.word);
	if (holes(l) > 0)
		return refuse_holes(r, l, err);
	if (last < 2)
		return err_set(err, -EBUSY,
			       "%s: %s and %s are the only two it has: mdcluster add another one, and name that",
			       r->array, r->old.word, r->new.word);
	if (l->new->role != last)
		return err_set(err, -EBUSY,
			       "%s: %s is in use as disk %u, where no replacement comes. To have one copy less nevertheless: mdcluster manage %s --fail %s --remove %s, then mdcluster grow %s --raid-devices=%u",
			       r->array, r->new.word, l->new->role, r->array, r->old.word,
			       r->old.word, r->array, last);
	r->copies = last;
	return 0;
}

/* The old one works. P1 */
static int decide_in_use(struct replace *r, const struct look *l, struct err *err)
{
	if (is_active(l->new))
		return decide_both(r, l, err);
	if (is(l->new, "spare") && holes(l) > 0)
		return 0; /* it is about to take a role: which one? */
	if (l->new && !is(l->new, "spare"))
		return err_set(err, -EBUSY,
			       "%s: %s has failed, and %s is in use still: mdcluster remove %s %s, then another one, or this one, again",
			       r->array, r->new.word, r->old.word, r->array, r->new.word);
	if (holes(l) > 0)
		return refuse_holes(r, l, err);
	r->copies = l->a->raid_disks;
	return 0;
}

/* The old one has failed, maybe by itself, maybe by an earlier try. */
static int decide_failed(struct replace *r, const struct look *l, struct err *err)
{
	uint32_t empty = holes(l);

	if (is(l->new, "spare") && empty > 0)
		return 0;
	if (is_active(l->new) && empty == 1 && is_mirror(l) && l->a->raid_disks > 2)
		r->copies = l->a->raid_disks - 1; /* P2 */
	else if (is_active(l->new) ? empty == 0 : !l->new && empty > 0)
		r->copies = l->a->raid_disks; /* its own role is, or will be, the new one's */
	else if (empty > 0)
		return refuse_holes(r, l, err);
	else
		return err_set(err, -EBUSY,
			       "%s: another disk has the place of %s already: mdcluster remove %s %s",
			       r->array, r->old.word, r->array, r->old.word);
	return 0;
}

static int decide(struct replace *r, struct look *l, struct err *err)
{
	if (!is_mirror(l) && !r->is_forced)
		return err_set(err, -EOPNOTSUPP,
			       "%s: a %s cannot have one disk more for a while (a reshape): with --force %s is failed first, and its data is without redundancy until the new one is in sync",
			       r->array, l->a->level, r->old.word);
	if (!l->old && !is_active(l->new))
		return err_set(err, -ENOENT, "%s: %s is no disk of this array", r->array,
			       r->old.word);
	if (l->old && l->old == l->new)
		return err_set(err, -EINVAL, "%s: %s and %s are the same disk", r->array,
			       r->old.word, r->new.word);
	if (!r->new.word && take_spare(r, l, err) < 0)
		return err->code;
	if (is_active(l->old))
		return decide_in_use(r, l, err);
	if (l->old)
		return decide_failed(r, l, err);
	if (holes(l) > 0)
		return refuse_holes(r, l, err);
	r->copies = l->a->raid_disks; /* it has been done */
	return 0;
}

/* --- step by step ---------------------------------------------------------------------------- */

/* P5 */
static int check_spares(const struct replace *r, const struct look *l, struct err *err)
{
	if (l->spares == 0)
		return 0;
	return err_set(err, -EBUSY,
		       "%s: its spare %s would take the place that %s leaves: mdcluster remove %s %s first, and add it again behind this",
		       r->array, l->spare->path, r->old.word, r->array, l->spare->path);
}

static int begin(const struct replace *r, const struct look *l, bool is_busy,
		 enum replace_step *step, struct err *err)
{
	if (check_spares(r, l, err) < 0)
		return err->code;
	if (is_mirror(l) && is_active(l->old) && r->copies >= REPLACE_MAX_COPIES)
		return err_set(err, -EINVAL,
			       "%s: it has %u copies, and one more cannot be while it runs: mdcluster manage %s --fail %s --remove %s --add DISK (%u copies are left meanwhile)",
			       r->array, r->copies, r->array, r->old.word, r->old.word,
			       r->copies - 1);
	if (!r->new.is_known)
		*step = REPLACE_ADD;
	else if (is_active(l->old) && !is_mirror(l))
		*step = REPLACE_FAIL;
	else if (is_active(l->old) && !is_busy)
		*step = REPLACE_GROW;
	return 0;
}

/* P4 */
static int check_copies(const struct replace *r, const struct look *l, struct err *err)
{
	if (l->in_sync >= r->copies)
		return 0;
	return err_set(err, -EIO,
		       "%s: %s is in sync, but another disk has failed meanwhile: %s stays. mdcluster add another one, then again",
		       r->array, r->new.word, r->old.word);
}

/* The new one is in sync. */
static int finish(const struct replace *r, const struct look *l, bool is_busy,
		  enum replace_step *step, struct err *err)
{
	bool is_larger = l->a->raid_disks > r->copies;

	if (is(l->old, "rebuild") || (l->rebuilt && is_larger))
		return 0;
	if (is_active(l->old)) {
		if (!is_larger)
			return err_set(err, -EBUSY, "%s: %s has taken the place of another disk that failed, not of %s: mdcluster add another one, then replace that by it",
				       r->array, r->new.word, r->old.word);
		*step = REPLACE_FAIL;
		return check_copies(r, l, err) < 0 || check_spares(r, l, err) < 0 ? err->code : 0;
	}
	if (is_larger && holes(l) == 0)
		return err_set(err, -EBUSY,
			       "%s: another disk has taken the place that %s left, so there are %u copies: mdcluster remove %s %s if that is fine",
			       r->array, r->old.word, l->a->raid_disks, r->array, r->old.word);
	if (!is_larger)
		*step = l->old ? REPLACE_REMOVE : REPLACE_DONE;
	else if (!is_busy)
		*step = REPLACE_SHRINK;
	return 0;
}

/* The new one was there, and is not any more: the array becomes what it was. */
static int undo(const struct replace *r, const struct look *l, bool is_busy,
		enum replace_step *step, struct err *err)
{
	if (l->a->raid_disks > r->copies && holes(l) > 0) {
		*step = is_busy ? REPLACE_WAIT : REPLACE_SHRINK;
		return 0;
	}
	if (l->new) {
		*step = REPLACE_REMOVE_NEW;
		return 0;
	}
	return err_set(err, -EIO, "%s: %s has failed, and %s %s: try another disk", r->array,
		       r->new.word, r->old.word,
		       is_active(l->old) ? "is in use as it was" : "has failed as well");
}

int replace_next(struct replace *r, const struct status_array *a, bool is_busy,
		 enum replace_step *step, struct err *err)
{
	struct look l = look_at(r, a);

	*step = REPLACE_WAIT;
	if (r->copies == 0 && decide(r, &l, err) < 0)
		return err->code;
	if (r->copies == 0)
		return 0;
	if (a->raid_disks != r->copies && a->raid_disks != r->copies + 1)
		return err_set(err, -EBUSY, "%s: it has %u roles now: did somebody else grow it?",
			       r->array, a->raid_disks);
	if (is(l.new, "in_sync"))
		return finish(r, &l, is_busy, step, err);
	if (is(l.new, "rebuild") || (is(l.new, "spare") && holes(&l) > 0))
		return 0;
	if (is(l.new, "spare") && a->raid_disks > r->copies)
		return err_set(err, -EBUSY, "%s: another disk has become its copy number %u, %s is a spare still",
			       r->array, a->raid_disks, r->new.word);
	if (!r->new.is_known || is(l.new, "spare"))
		return begin(r, &l, is_busy, step, err);
	return undo(r, &l, is_busy, step, err);
}
