/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/lock_oracle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of Linux's dlm. */
enum { NONE = -1, NL, CR, CW, PR, PW, EX };
enum {
	NOQUEUE = 0x1, CANCEL = 0x2, CONVERT = 0x4, VALBLK = 0x8, QUECVT = 0x10,
	IVVALBLK = 0x20, CONVDEADLK = 0x40, PERSISTENT = 0x80, NODLCKWT = 0x100,
	EXPEDITE = 0x400, NOQUEUEBAST = 0x800, HEADQUE = 0x1000, NOORDER = 0x2000,
	ORPHAN = 0x4000, ALTPR = 0x8000, ALTCW = 0x10000, FORCEUNLOCK = 0x20000,
};
enum { GRANTED, CONVERTING, WAITING };
enum { PROCESS, NODE, ORPHANS };
enum { MAX_LOCKS = 64, MAX_RESOURCES = 8 };

struct lock {
	bool is_used;
	uint32_t node, number, flags, waiter;
	int resource, queue, granted, wanted, told;
	bool is_demoted, is_alt, is_invalid, is_orphan;
	long place; /* in its queue: the lower the earlier */
};

struct resource {
	char value;
	unsigned int stored;
	bool is_invalid;
};

struct lock_oracle {
	struct lock locks[MAX_LOCKS];
	struct resource resources[MAX_RESOURCES];
	long first, last; /* places */
	char said[1 << 15], text[1 << 13];
	size_t length;
	bool is_read;
};

static const char *const names[] = { "none", "NL", "CR", "CW", "PR", "PW", "EX" };

static bool goes_with(int a, int b)
{
	/* NL goes with all, CR with all but EX, CW and PR with themselves. */
	if (a == NONE || b == NONE || a == NL || b == NL)
		return true;
	if (a == CR || b == CR)
		return a != EX && b != EX;
	return a == b && (a == CW || a == PR);
}

/* --- what is said ---------------------------------------------------------------- */

__attribute__((format(printf, 2, 3)))
static void say(struct lock_oracle *o, const char *fmt, ...)
{
	va_list args;

	if (o->is_read) {
		o->length = 0;
		o->is_read = false;
	}
	if (o->length)
		o->said[o->length++] = ' ';
	va_start(args, fmt);
	o->length += (size_t)vsnprintf(o->said + o->length, sizeof(o->said) - o->length,
				       fmt, args);
	va_end(args);
	if (o->length >= sizeof(o->said) - 1)
		abort();
}

const char *lock_oracle_said(struct lock_oracle *o)
{
	if (o->is_read)
		o->length = 0;
	o->said[o->length] = '\0';
	o->is_read = true;
	return o->said;
}

static void complete(struct lock_oracle *o, const struct lock *l, const char *error,
		     int value)
{
	char text[8] = "";

	if (value >= 0)
		snprintf(text, sizeof(text), value ? "\"%c\"" : "\"\"", value);
	say(o, "%u.%u=%s%s%s%s%s%s", l->node, l->number, names[1 + l->granted], error, text,
	    l->is_invalid ? "+invalid" : "", l->is_alt ? "+alt" : "",
	    l->is_demoted ? "+demoted" : "");
}

static void block(struct lock_oracle *o, struct lock *l, int wanted)
{
	l->told = wanted;
	say(o, "%u.%u?%s", l->node, l->number, names[1 + wanted]);
}

/* --- queues ---------------------------------------------------------------------- */

/* By place; how many there are. */
static int collect(struct lock_oracle *o, int resource, int queue, struct lock **locks)
{
	int count = 0;

	for (int i = 0; i < MAX_LOCKS; i++) {
		struct lock *l = &o->locks[i];
		int k = count;

		if (!l->is_used || l->resource != resource || l->queue != queue)
			continue;
		for (; k > 0 && locks[k - 1]->place > l->place; k--)
			locks[k] = locks[k - 1];
		locks[k] = l;
		count++;
	}
	return count;
}

/* The index-th of a queue. */
static struct lock *at(struct lock_oracle *o, int resource, int queue, int index)
{
	struct lock *locks[MAX_LOCKS];

	return index < collect(o, resource, queue, locks) ? locks[index] : NULL;
}

static void to_tail(struct lock_oracle *o, struct lock *l, int queue)
{
	l->queue = queue;
	l->place = ++o->last;
}

static void to_head(struct lock_oracle *o, struct lock *l, int queue)
{
	l->queue = queue;
	l->place = --o->first;
}

static struct lock *find(struct lock_oracle *o, uint32_t node, uint32_t number)
{
	for (int i = 0; i < MAX_LOCKS; i++)
		if (o->locks[i].is_used && !o->locks[i].is_orphan &&
		    o->locks[i].node == node && o->locks[i].number == number)
			return &o->locks[i];
	return NULL;
}

static void gone(struct lock_oracle *o, struct lock *l)
{
	int resource = l->resource;

	l->is_used = false;
	for (int i = 0; i < MAX_LOCKS; i++)
		if (o->locks[i].is_used && o->locks[i].resource == resource)
			return;
	o->resources[resource] = (struct resource){ 0 };
}

/* --- may it be granted? ---------------------------------------------------------- */

static bool conflicts(struct lock_oracle *o, struct lock *l, int wanted)
{
	for (int i = 0; i < MAX_LOCKS; i++) {
		const struct lock *other = &o->locks[i];

		if (other->is_used && other != l && other->resource == l->resource &&
		    (other->queue == GRANTED || other->queue == CONVERTING) &&
		    !goes_with(other->granted, wanted))
			return true;
	}
	return false;
}

static bool may(struct lock_oracle *o, struct lock *l, int wanted, bool is_now,
		bool is_recovery)
{
	bool is_conversion = l->granted != NONE;
	struct lock *converting = at(o, l->resource, CONVERTING, 0);
	struct lock *waiting = at(o, l->resource, WAITING, 0);

	if (is_now && waiting == l)
		waiting = at(o, l->resource, WAITING, 1);
	if (l->flags & EXPEDITE)
		return true;
	if (conflicts(o, l, wanted))
		return false;
	if (is_conversion && is_recovery)
		return true;
	if (is_now && is_conversion && !(l->flags & QUECVT))
		return true;
	if (is_now && is_conversion && l->flags & QUECVT)
		return converting == NULL;
	if (l->flags & NOORDER)
		return true;
	if (!is_now && is_conversion && converting == l)
		return true;
	if (is_now && !is_conversion && !converting && !waiting)
		return true;
	if (!is_now && !is_conversion && !converting && waiting == l)
		return true;
	return false;
}

/* The mode, or NONE. */
static int which(struct lock_oracle *o, struct lock *l, bool is_now, bool is_recovery)
{
	int other = NONE;

	if (may(o, l, l->wanted, is_now, is_recovery))
		return l->wanted;
	if (l->wanted != PR && l->flags & ALTPR)
		other = PR;
	else if (l->wanted != CW && l->flags & ALTCW)
		other = CW;
	if (other == NONE)
		return NONE;
	/* Of one that waits, not below what it holds. */
	if (!is_now && (l->granted == PW || l->granted == EX || l->granted == other))
		return NONE;
	return may(o, l, other, is_now, false) ? other : NONE;
}

static bool is_deadlock(struct lock_oracle *o, struct lock *l)
{
	bool is_behind = false;
	struct lock *other;

	for (int i = 0; (other = at(o, l->resource, CONVERTING, i)) != NULL; i++) {
		if (other == l) {
			is_behind = true;
			continue;
		}
		if (goes_with(l->granted, other->wanted))
			continue;
		if (!is_behind || !goes_with(other->granted, l->wanted))
			return true;
	}
	return false;
}

/* --- values ---------------------------------------------------------------------- */

static void put_value(struct lock_oracle *o, struct lock *l, uint32_t flags, char value)
{
	struct resource *r = &o->resources[l->resource];

	if (flags & IVVALBLK) {
		r->is_invalid = true;
	} else if (flags & VALBLK) {
		r->value = value;
		r->stored++;
		r->is_invalid = false;
	}
}

/* What comes back, or -1. */
static int move_value(struct lock_oracle *o, struct lock *l, int from, int to, char value)
{
	static const char *const table[] = { /* none, NL, CR, CW, PR, PW, EX to NL .. EX */
		"RRRRRR", "RRRRRR", ".RRRRR", "..RRRR", "...RRR", "WWWWWR", "WWWWWW" };
	struct resource *r = &o->resources[l->resource];

	if (table[1 + from][to] == 'W')
		put_value(o, l, l->flags, value);
	if (table[1 + from][to] != 'R' || !(l->flags & VALBLK))
		return -1;
	l->is_invalid = r->is_invalid;
	return r->value;
}

/* --- grants ---------------------------------------------------------------------- */

static void grant(struct lock_oracle *o, struct lock *l, int mode, bool is_in_place,
		  char value)
{
	int got;

	l->is_alt = mode != l->wanted;
	got = move_value(o, l, l->granted, mode, value);
	l->granted = mode;
	l->wanted = NONE;
	l->told = NONE;
	if (!is_in_place)
		to_tail(o, l, GRANTED);
	complete(o, l, "", got);
}

static void refuse(struct lock_oracle *o, struct lock *l, const char *error)
{
	l->wanted = NONE;
	if (l->granted == NONE) {
		complete(o, l, error, -1);
		gone(o, l);
		return;
	}
	if (l->queue != GRANTED)
		to_tail(o, l, GRANTED);
	complete(o, l, error, -1);
}

static void walk_conversions(struct lock_oracle *o, int resource, bool is_recovery)
{
	bool is_moved = true;

	while (is_moved) {
		struct lock *queue[MAX_LOCKS];
		int count = collect(o, resource, CONVERTING, queue);

		is_moved = false;
		for (int i = 0; i < count; i++) {
			int mode = which(o, queue[i], false, is_recovery);

			if (mode != NONE) {
				grant(o, queue[i], mode, false, 0);
				is_moved = true;
			} else if (is_deadlock(o, queue[i])) {
				is_moved = true;
				if (!(queue[i]->flags & CONVDEADLK)) {
					refuse(o, queue[i], "!EDEADLK");
				} else {
					queue[i]->granted = NL;
					queue[i]->is_demoted = true;
				}
			}
		}
	}
}

static void walk_requests(struct lock_oracle *o, int resource)
{
	struct lock *queue[MAX_LOCKS];
	int count = collect(o, resource, WAITING, queue);

	for (int i = 0; i < count; i++) {
		int mode = which(o, queue[i], false, false);

		if (mode != NONE)
			grant(o, queue[i], mode, false, 0);
	}
}

static void tell_holders(struct lock_oracle *o, int resource)
{
	struct lock *holder;

	for (int q = GRANTED; q <= CONVERTING; q++) {
		for (int i = 0; (holder = at(o, resource, q, i)) != NULL; i++) {
			int highest = NONE;

			for (int k = 0; k < MAX_LOCKS; k++) {
				const struct lock *l = &o->locks[k];

				if (l->is_used && l != holder && l->resource == resource &&
				    l->queue != GRANTED && l->wanted > highest &&
				    !goes_with(holder->granted, l->wanted))
					highest = l->wanted;
			}
			if (highest > holder->told && !holder->is_orphan)
				block(o, holder, highest);
		}
	}
}

static void settle(struct lock_oracle *o, int resource, bool is_recovery)
{
	walk_conversions(o, resource, is_recovery);
	walk_requests(o, resource);
	tell_holders(o, resource);
}

/* --- Q9 -------------------------------------------------------------------------- */

static bool is_part(const struct lock *l)
{
	return l->is_used && l->queue != GRANTED && l->waiter && !(l->flags & NODLCKWT);
}

static bool has_same_waiter(const struct lock *a, const struct lock *b)
{
	return a->node == b->node && a->waiter == b->waiter && a->waiter;
}

/* By the order of the queues, b goes before a. */
static bool goes_before(const struct lock *b, const struct lock *a)
{
	if (b == a || a->resource != b->resource || b->queue == GRANTED ||
	    a->flags & NOORDER)
		return false;
	if (b->queue == CONVERTING && a->queue == WAITING)
		return true;
	return b->queue == a->queue && b->place < a->place;
}

/*
 * a cannot go on before b does. Either b itself is to be granted first; or a lock of
 * b's waiter has to go away, which it will not before b was granted.
 */
static bool waits_for(struct lock_oracle *o, const struct lock *a, const struct lock *b)
{
	if (goes_before(b, a) && b->waiter)
		return true;
	for (int i = 0; i < MAX_LOCKS; i++) {
		const struct lock *l = &o->locks[i];

		if (!l->is_used || l == a || l->resource != a->resource ||
		    !has_same_waiter(l, b) || l->is_orphan)
			continue;
		if (l->queue != WAITING && !goes_with(l->granted, a->wanted))
			return true;
		if (goes_before(l, a) && !goes_with(l->wanted, a->wanted))
			return true;
	}
	return false;
}

static bool closes_cycle(struct lock_oracle *o, struct lock *l)
{
	bool reached[MAX_LOCKS] = { false };
	int self = (int)(l - o->locks);
	bool is_moved = true;

	if (!is_part(l))
		return false;
	for (int i = 0; i < MAX_LOCKS; i++)
		reached[i] = is_part(&o->locks[i]) && waits_for(o, l, &o->locks[i]);
	while (is_moved) {
		is_moved = false;
		for (int i = 0; i < MAX_LOCKS; i++) {
			for (int k = 0; k < MAX_LOCKS; k++) {
				if (!reached[i] || reached[k] || !is_part(&o->locks[k]) ||
				    !waits_for(o, &o->locks[i], &o->locks[k]))
					continue;
				reached[k] = is_moved = true;
			}
		}
	}
	return reached[self];
}

/* --- operations ------------------------------------------------------------------ */

static void wait_in_queue(struct lock_oracle *o, struct lock *l)
{
	long place = l->place;
	int queue = l->granted == NONE ? WAITING : CONVERTING;

	if (l->flags & HEADQUE)
		to_head(o, l, queue);
	else
		to_tail(o, l, queue);
	if (!closes_cycle(o, l))
		return;
	say(o, "cycle");
	if (l->granted != NONE) {
		l->queue = GRANTED;
		l->place = place;
	}
	refuse(o, l, "!EDEADLK");
}

static void tell_in_the_way(struct lock_oracle *o, int resource, const struct lock *except,
			    int wanted)
{
	struct lock *l;

	for (int q = GRANTED; q <= CONVERTING; q++)
		for (int i = 0; (l = at(o, resource, q, i)) != NULL; i++)
			if (l != except && !goes_with(l->granted, wanted) &&
			    wanted > l->told && !l->is_orphan)
				block(o, l, wanted);
}

static void turn_away(struct lock_oracle *o, struct lock *l)
{
	int resource = l->resource, wanted = l->wanted;
	bool is_told = l->flags & NOQUEUEBAST;
	const struct lock *except = l->granted == NONE ? NULL : l;

	refuse(o, l, "!EAGAIN");
	if (is_told)
		tell_in_the_way(o, resource, except, wanted);
}

static struct lock *new_lock(struct lock_oracle *o, const struct oracle_order *order)
{
	struct lock *l = o->locks;

	while (l->is_used)
		l++;
	if (l >= o->locks + MAX_LOCKS)
		abort();
	*l = (struct lock){
		.is_used = true, .node = order->node, .number = order->number,
		.flags = order->flags, .waiter = order->waiter,
		.resource = order->resource, .queue = WAITING, .granted = NONE,
		.wanted = order->mode, .told = NONE, .place = o->last + 1,
	};
	return l;
}

static void adopt(struct lock_oracle *o, const struct oracle_order *order)
{
	struct lock nobody = { .node = order->node, .number = order->number,
			       .granted = NONE };
	bool is_other = false;
	struct lock *l;

	for (int i = 0; (l = at(o, order->resource, GRANTED, i)) != NULL; i++) {
		if (!l->is_orphan || l->node != order->node)
			continue;
		is_other = true;
		if (l->granted == order->mode)
			break;
	}
	if (!l) {
		complete(o, &nobody, is_other ? "!EAGAIN" : "!ENOENT", -1);
		return;
	}
	l->is_orphan = false;
	l->number = order->number;
	l->flags = order->flags;
	l->waiter = order->waiter;
	l->told = NONE;
	l->is_alt = l->is_demoted = false;
	l->is_invalid = l->flags & VALBLK && o->resources[l->resource].is_invalid;
	complete(o, l, "", l->flags & VALBLK ? o->resources[l->resource].value : -1);
	settle(o, l->resource, false);
}

static void request(struct lock_oracle *o, const struct oracle_order *order)
{
	struct lock *l;
	int mode;

	if (order->flags & ORPHAN) {
		adopt(o, order);
		return;
	}
	l = new_lock(o, order);
	mode = which(o, l, true, false);
	if (mode != NONE)
		grant(o, l, mode, false, order->value);
	else if (order->flags & NOQUEUE)
		turn_away(o, l);
	else
		wait_in_queue(o, l);
	settle(o, order->resource, false);
}

static void convert(struct lock_oracle *o, struct lock *l, const struct oracle_order *order)
{
	int mode;

	l->flags = order->flags;
	l->wanted = order->mode;
	l->is_alt = l->is_demoted = l->is_invalid = false;
	if (!may(o, l, l->wanted, true, false) && !(l->flags & NOQUEUE) &&
	    is_deadlock(o, l)) {
		if (!(l->flags & CONVDEADLK)) {
			refuse(o, l, "!EDEADLK");
			settle(o, l->resource, false);
			return;
		}
		l->granted = NL;
		l->is_demoted = true;
		walk_conversions(o, l->resource, false);
		mode = may(o, l, l->wanted, true, false) ? l->wanted : NONE;
	} else {
		mode = which(o, l, true, false);
	}
	if (mode != NONE)
		grant(o, l, mode, true, order->value);
	else if (l->flags & NOQUEUE)
		turn_away(o, l);
	else
		wait_in_queue(o, l);
	settle(o, l->resource, false);
}

static bool is_foolish(const struct lock *held, const struct oracle_order *order)
{
	static const char *const quecvt[] = { "011111", "001111", "000111", "001011",
					      "000001", "000000" };
	uint32_t f = order->flags;

	if (order->mode < NL || order->mode > EX)
		return true;
	if (f & ~(uint32_t)(NOQUEUE | CONVERT | VALBLK | QUECVT | IVVALBLK | CONVDEADLK |
			    PERSISTENT | NODLCKWT | EXPEDITE | NOQUEUEBAST | HEADQUE |
			    NOORDER | ORPHAN | ALTPR | ALTCW))
		return true;
	if (!(f & CONVERT))
		return held || f & (QUECVT | CONVDEADLK) ||
		       (f & EXPEDITE && (f & NOQUEUE || order->mode != NL));
	if (!held || held->queue != GRANTED || f & (EXPEDITE | ORPHAN))
		return true;
	return (f & CONVDEADLK && f & NOQUEUE) ||
	       (f & QUECVT && quecvt[held->granted][order->mode] == '0');
}

int lock_oracle_lock(struct lock_oracle *o, const struct oracle_order *order)
{
	struct lock *held = find(o, order->node, order->number);

	if (is_foolish(held, order))
		return -EBADMSG;
	if (order->flags & CONVERT)
		convert(o, held, order);
	else
		request(o, order);
	return 0;
}

int lock_oracle_unlock(struct lock_oracle *o, uint32_t node, uint32_t number,
		       uint32_t flags, char value)
{
	struct lock *l = find(o, node, number);
	int resource;

	if (!l || flags & ~(uint32_t)(CANCEL | VALBLK | IVVALBLK | FORCEUNLOCK) ||
	    (flags & CANCEL && flags & FORCEUNLOCK))
		return -EBADMSG;
	resource = l->resource;
	if (flags & CANCEL) {
		if (l->queue == GRANTED)
			return 0;
		refuse(o, l, "!ECANCELED");
		settle(o, resource, false);
		return 0;
	}
	if (l->queue != GRANTED && !(flags & FORCEUNLOCK))
		return -EBADMSG;
	if (l->granted == PW || l->granted == EX)
		put_value(o, l, flags, value);
	say(o, "%u.%u=none", node, number);
	gone(o, l);
	settle(o, resource, false);
	return 0;
}

void lock_oracle_release(struct lock_oracle *o, uint32_t node, int release)
{
	for (int i = 0; i < MAX_RESOURCES * 3; i++) {
		struct lock *queue[MAX_LOCKS];
		int count = collect(o, i / 3, i % 3, queue);

		for (int k = 0; k < count; k++) {
			struct lock *l = queue[k];

			if (l->node != node || (release == PROCESS && l->is_orphan) ||
			    (release == ORPHANS && !l->is_orphan))
				continue;
			if (release == PROCESS && l->flags & PERSISTENT &&
			    l->granted != NONE) {
				l->is_orphan = true;
				l->wanted = NONE;
				l->waiter = 0;
				if (l->queue != GRANTED)
					to_tail(o, l, GRANTED);
				continue;
			}
			if (l->flags & VALBLK && l->granted >= PW)
				o->resources[l->resource].is_invalid = true;
			gone(o, l);
		}
	}
}

void lock_oracle_settle(struct lock_oracle *o)
{
	for (int i = 0; i < MAX_RESOURCES; i++)
		settle(o, i, true);
}

void lock_oracle_forget_told(struct lock_oracle *o)
{
	for (int i = 0; i < MAX_LOCKS; i++)
		o->locks[i].told = NONE;
}

/* --- looking --------------------------------------------------------------------- */

const char *lock_oracle_stands(struct lock_oracle *o, int resource)
{
	size_t n = 0;
	int locks = 0;
	struct lock *l;

	o->text[0] = '\0';
	for (int q = GRANTED; q <= WAITING; q++) {
		if (q > GRANTED)
			n += (size_t)sprintf(o->text + n, "|");
		for (int i = 0; (l = at(o, resource, q, i)) != NULL; i++, locks++) {
			n += (size_t)sprintf(o->text + n, "%s%u.%u", i ? " " : "", l->node,
					     l->number);
			if (l->granted != NONE)
				n += (size_t)sprintf(o->text + n, "=%s",
						     names[1 + l->granted]);
			if (l->wanted != NONE)
				n += (size_t)sprintf(o->text + n, ">%s",
						     names[1 + l->wanted]);
			n += (size_t)sprintf(o->text + n, "%s", l->is_orphan ? "~" : "");
		}
	}
	return locks ? o->text : "";
}

const char *lock_oracle_keeps(struct lock_oracle *o, int resource)
{
	const struct resource *r = &o->resources[resource];

	if (!at(o, resource, GRANTED, 0) && !at(o, resource, CONVERTING, 0) &&
	    !at(o, resource, WAITING, 0))
		return "";
	snprintf(o->text, sizeof(o->text), "%.*s %u%s", r->value ? 1 : 0, &r->value,
		 r->stored, r->is_invalid ? " invalid" : "");
	return o->text;
}

struct lock_oracle *lock_oracle_new(void)
{
	return calloc(1, sizeof(struct lock_oracle));
}

void lock_oracle_free(struct lock_oracle *o)
{
	free(o);
}
