/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a replay: an input is fed, and what the array says is compared. */
#include "mdclusterd/record/replay.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdclusterd/record/replay_private.h"

void replay_differs(struct replay *p, const char *fmt, ...)
{
	char what[RECORD_TEXT + 256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	p->differences++;
	if (p->handlers.differs)
		p->handlers.differs(p->owner, p->now, what);
}

bool replay_answer(struct replay *p, enum record_kind kind, struct record *answer)
{
	struct err ignored = ERR_INIT;
	bool is_found = false;

	record_seek(p->ahead, record_place(p->reader));
	while (!is_found && record_read(p->ahead, answer, &ignored) == 1 &&
	       !record_is_input(answer->kind))
		is_found = answer->kind == kind;
	return is_found;
}

int replay_refusal(struct replay *p, const struct lockres *lock, enum lockspace_call call)
{
	struct err ignored = ERR_INIT;
	struct record r;
	int result = 0;

	record_seek(p->ahead, record_place(p->reader));
	while (result == 0 && record_read(p->ahead, &r, &ignored) == 1 &&
	       !record_is_input(r.kind))
		if (r.kind == RECORD_REFUSED && r.op == call && r.result < 0 &&
		    record_place(p->ahead) > p->refused_at &&
		    r.lock_name_length == lock->name_length &&
		    memcmp(r.lock_name, lock->name, r.lock_name_length) == 0) {
			result = r.result;
			p->refused_at = record_place(p->ahead);
		}
	return result;
}

/* --- what the array says --------------------------------------------------------------- */

static uint64_t now(void *owner)
{
	const struct replay *p = owner;

	return p->now;
}

void replay_say(struct replay *p, const struct record *record)
{
	struct replay_said *said = calloc(1, sizeof(*said));

	if (!said) {
		replay_differs(p, "no memory for what the array says");
		return;
	}
	said->record = *record;
	qb_list_add_tail(&said->link, &p->said);
}

static void on_event(void *owner, const struct array_event *event)
{
	struct record record = { .kind = RECORD_EVENT, .event = *event };

	snprintf(record.text, sizeof(record.text), "%s", event->text ? event->text : "");
	replay_say(owner, &record);
}

static bool on_evict(void *owner, uint32_t node, const char *why)
{
	struct replay *p = owner;
	struct record answer;

	(void)why;
	if (replay_answer(p, RECORD_EVICTED, &answer) && answer.number == node)
		return answer.flag;
	replay_differs(p, "asks for the eviction of node %u, and did not then", node);
	return false;
}

static void nothing(void *owner)
{
	(void)owner;
}

static void on_slot_known(void *owner, int slot)
{
	(void)owner, (void)slot;
}

static const struct array_ops ops = {
	.now = now, .armed = nothing, .event = on_event, .evict = on_evict,
	.stopped = nothing, .slot_known = on_slot_known,
};

/* "slot-recovered (text)", "asks for 3 (number 17)". */
static const char *words(const struct record *r, char *to, size_t size)
{
	if (r->kind == RECORD_EVENT)
		snprintf(to, size, "'%s' (%s)", array_event_name(r->event.kind), r->text);
	else
		snprintf(to, size, "asks the %s for %u: slot %d, %d, [%llu, %llu)",
			 r->flag ? "plane" : "metadata", r->op, r->slot, r->result,
			 (unsigned long long)r->low, (unsigned long long)r->high);
	return to;
}

static void compare(struct replay *p, const struct record *then)
{
	char left[RECORD_TEXT + 128], right[RECORD_TEXT + 128];
	struct replay_said *said;

	if (qb_list_empty(&p->said)) {
		replay_differs(p, "silent; then: %s", words(then, right, sizeof(right)));
		return;
	}
	said = qb_list_first_entry(&p->said, struct replay_said, link);
	qb_list_del(&said->link);
	said->record.event.text = said->record.text;
	said->record.event.at_ns = p->now;
	if (!record_is_same(&said->record, then))
		replay_differs(p, "%s; then: %s", words(&said->record, left, sizeof(left)),
			       words(then, right, sizeof(right)));
	else if (then->kind == RECORD_EVENT && p->handlers.event)
		p->handlers.event(p->owner, &said->record.event);
	free(said);
}

/* What was said beyond what is recorded. */
static void drop_said(struct replay *p, bool is_told)
{
	char text[RECORD_TEXT + 128];
	struct qb_list_head *at, *next;

	qb_list_for_each_safe(at, next, &p->said) {
		struct replay_said *said = qb_list_entry(at, struct replay_said, link);

		if (is_told)
			replay_differs(p, "%s; then: silent",
				       words(&said->record, text, sizeof(text)));
		qb_list_del(at);
		free(said);
	}
}

/* --- inputs ------------------------------------------------------------------------------ */

static int feed_begin(struct replay *p, const struct record *r, struct err *err)
{
	if (p->array)
		return err_set(err, -EBADMSG, "an array begins twice");
	p->array = array_new(r->config, &p->locks, &p->metadata, &p->plane, &ops, p, err);
	return p->array ? 0 : err->code;
}

/* Freed when the array is done with it. */
struct replayed_change {
	struct qb_list_head link;
	struct array_change change;
	char path[RECORD_TEXT];
};

static void on_changed(void *owner, struct array_change *change, int result)
{
	struct replayed_change *c = owner;

	(void)change;
	(void)result;
	qb_list_del(&c->link);
	free(c);
}

static int feed_change(struct replay *p, const struct record *r, struct err *err)
{
	struct replayed_change *c = calloc(1, sizeof(*c));
	struct err refused = ERR_INIT;

	if (!c)
		return err_nomem(err, "a change of the disks");
	if (r->op > ARRAY_REMOVE) {
		free(c);
		return err_set(err, -EBADMSG, "a change of the disks that there is not: %u", r->op);
	}
	snprintf(c->path, sizeof(c->path), "%s", r->text);
	c->change = (struct array_change){
		.kind = (enum array_change_kind)r->op,
		.path = c->path,
		.is_forced = r->flag,
		.number = (uint32_t)r->number,
		.done = on_changed,
		.owner = c,
	};
	c->change.serial = ++p->change_count;
	qb_list_add_tail(&c->link, &p->changes);
	if (array_change(p->array, &c->change, &refused) < 0)
		on_changed(c, NULL, 0);
	return 0;
}

static void feed_forgotten(struct replay *p, const struct record *r)
{
	struct replayed_change *c, *next;

	qb_list_for_each_entry_safe(c, next, &p->changes, link) {
		if (c->change.serial != r->number)
			continue;
		array_change_forget(p->array, &c->change);
		on_changed(c, NULL, 0);
	}
}

/* Freed when the array is done with it. */
static void on_grown(void *owner, struct array_grow *g, int result)
{
	(void)g;
	(void)result;
	free(owner);
}

static int feed_grow(struct replay *p, const struct record *r, struct err *err)
{
	struct array_grow *g = calloc(1, sizeof(*g));
	struct err refused = ERR_INIT;

	if (!g)
		return err_nomem(err, "a change of the array");
	if (r->op > MD_BITMAP_CLUSTERED) {
		free(g);
		return err_set(err, -EBADMSG, "a bitmap that there is not: %u", r->op);
	}
	*g = (struct array_grow){
		.grow = { .size = r->low, .raid_disks = (uint32_t)r->number,
			  .bitmap = (enum md_bitmap_kind)r->op,
			  .is_assume_clean = r->flag },
		.done = on_grown,
		.owner = g,
	};
	snprintf(g->name, sizeof(g->name), "%.*s", MD_NAME_BYTES, r->text);
	if (array_grow(p->array, g, &refused) < 0)
		free(g);
	return 0;
}

static int feed(struct replay *p, const struct record *r, struct err *err)
{
	struct err refused = ERR_INIT; /* was refused then, too */

	if (r->kind != RECORD_BEGIN && !p->array)
		return err_set(err, -EBADMSG, "begins in the middle");
	switch (r->kind) {
	case RECORD_BEGIN:
		return feed_begin(p, r, err);
	case RECORD_START:
		array_start(p->array);
		return 0;
	case RECORD_STOP:
		array_stop(p->array, &refused);
		return 0;
	case RECORD_GIVE_UP:
		err_set(&refused, r->result, "%s", r->text);
		array_give_up(p->array, &refused);
		return 0;
	case RECORD_QUORATE:
		array_set_quorate(p->array, r->flag);
		return 0;
	case RECORD_MISSING:
		array_set_missing(p->array, (uint32_t)r->number, r->flag);
		return 0;
	case RECORD_ADVANCE:
		array_advance(p->array, p->now);
		return 0;
	case RECORD_CHECK:
		array_check(p->array, r->flag, &refused);
		return 0;
	case RECORD_CHECK_CANCEL:
		array_check_cancel(p->array);
		return 0;
	case RECORD_SPEED:
		array_set_speed(p->array, r->low, r->high);
		return 0;
	case RECORD_FAIL_DISK:
		array_fail_disk(p->array, (uint32_t)r->number, &refused);
		return 0;
	case RECORD_CHANGE:
		return feed_change(p, r, err);
	case RECORD_CHANGE_FORGOTTEN:
		feed_forgotten(p, r);
		return 0;
	case RECORD_GROW:
		return feed_grow(p, r, err);
	case RECORD_METADATA:
	case RECORD_PLANE:
	case RECORD_DISK_FAILED:
	case RECORD_DIFFERS:
	case RECORD_NEEDS:
	case RECORD_CORRECTED:
		return replay_feed_disk(p, r, err);
	default:
		replay_feed_lock(p, r);
		return 0;
	}
}

/* All that was recorded behind an input, up to the next one. */
static int settle(struct replay *p, struct err *err)
{
	struct record r;
	size_t place = record_place(p->reader);
	int code;

	while ((code = record_read(p->reader, &r, err)) == 1 && !record_is_input(r.kind)) {
		if (r.kind == RECORD_EVENT || r.kind == RECORD_ASKED)
			compare(p, &r);
		else if (r.kind == RECORD_FULL)
			replay_differs(p, "recording ended here: %s", r.text);
		place = record_place(p->reader);
	}
	if (code < 0)
		return code;
	record_seek(p->reader, place);
	drop_said(p, true);
	return 0;
}

int replay_step(struct replay *p, struct err *err)
{
	struct record r;
	int code = record_read(p->reader, &r, err);

	if (code <= 0)
		return code;
	if (!record_is_input(r.kind))
		return err_set(err, -EBADMSG, "does not begin with an input");
	p->now = r.now;
	if (p->handlers.input)
		p->handlers.input(p->owner, &r);
	code = feed(p, &r, err);
	if (code == 0)
		code = settle(p, err);
	if (code < 0)
		return code;
	if (p->handlers.stepped)
		p->handlers.stepped(p->owner, p->now);
	return 1;
}

/* --- life -------------------------------------------------------------------------------- */

struct replay *replay_new(const void *bytes, size_t length,
			  const struct replay_handlers *handlers, void *owner,
			  struct err *err)
{
	struct replay *p = calloc(1, sizeof(*p));

	if (!p) {
		err_nomem(err, "a replay");
		return NULL;
	}
	qb_list_init(&p->said);
	qb_list_init(&p->changes);
	replay_locks_init(p);
	replay_disks_init(p);
	p->handlers = *handlers;
	p->owner = owner;
	p->reader = record_reader_new(bytes, length, err);
	p->ahead = p->reader ? record_reader_new(bytes, length, err) : NULL;
	if (!p->ahead) {
		replay_free(p);
		return NULL;
	}
	return p;
}

void replay_free(struct replay *p)
{
	if (!p)
		return;
	array_free(p->array);
	replay_locks_fini(p);
	replay_disks_fini(p);
	drop_said(p, false);
	record_reader_free(p->reader);
	record_reader_free(p->ahead);
	free(p);
}

const struct array *replay_array(const struct replay *p)
{
	return p->array;
}

uint64_t replay_differences(const struct replay *p)
{
	return p->differences;
}

uint64_t replay_now(const struct replay *p)
{
	return p->now;
}
