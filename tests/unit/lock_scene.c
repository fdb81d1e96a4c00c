/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/lock_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

__attribute__((format(printf, 2, 3)))
static void say(struct lock_scene *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	s->length += (size_t)vsnprintf(s->said + s->length, sizeof(s->said) - s->length,
				       fmt, args);
	va_end(args);
	assert_true(s->length < sizeof(s->said));
}

static const char *error_name(int status)
{
	switch (status) {
	case -EAGAIN: return "EAGAIN";
	case -EDEADLK: return "EDEADLK";
	case -ECANCELED: return "ECANCELED";
	case -ENOENT: return "ENOENT";
	case -ENOSPC: return "ENOSPC";
	default: return "?";
	}
}

static const char *apart(const struct lock_scene *s)
{
	return s->length ? " " : "";
}

static void on_completed(void *owner, struct lock_key key,
			 const struct lock_outcome *outcome)
{
	struct lock_scene *s = owner;

	say(s, "%s%u.%u=%s", apart(s), key.node, key.number, lock_mode_name(outcome->mode));
	if (outcome->status)
		say(s, "!%s", error_name(outcome->status));
	if (outcome->value)
		say(s, "\"%.*s\"", (int)s->lvb_bytes, (const char *)outcome->value);
	say(s, "%s%s%s", outcome->marks & LOCK_VALNOTVALID ? "+invalid" : "",
	    outcome->marks & LOCK_ALTMODE ? "+alt" : "",
	    outcome->marks & LOCK_DEMOTED ? "+demoted" : "");
}

static void on_blocked(void *owner, struct lock_key key, enum lock_mode wanted)
{
	struct lock_scene *s = owner;

	say(s, "%s%u.%u?%s", apart(s), key.node, key.number, lock_mode_name(wanted));
}

static void on_deadlock(void *owner, const struct lock_cycle_step *steps, size_t count)
{
	struct lock_scene *s = owner;

	say(s, "%scycle(", apart(s));
	for (size_t i = 0; i < count; i++)
		say(s, "%s%u.%u wants %s on %.*s of %u.%u %s", i ? ", " : "",
		    steps[i].waits.node, steps[i].waits.number,
		    lock_mode_name(steps[i].wanted), (int)steps[i].name_length,
		    steps[i].name, steps[i].blocked_by.node, steps[i].blocked_by.number,
		    lock_mode_name(steps[i].held));
	say(s, ")");
}

const struct lock_table_ops lock_scene_ops = { on_completed, on_blocked, on_deadlock };

struct lock_scene *lock_scene_new(void)
{
	struct lock_scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->lvb_bytes = LOCK_LARGE_LVB;
	s->value = "";
	s->table = lock_table_new(s->lvb_bytes, &lock_scene_ops, s);
	assert_non_null(s->table);
	return s;
}

void lock_scene_free(struct lock_scene *s)
{
	lock_table_free(s->table);
	free(s);
}

/* --- operations ------------------------------------------------------------------ */

int try_ask(struct lock_scene *s, uint32_t node, uint32_t number, const char *name,
	    enum lock_mode mode, uint32_t flags)
{
	uint8_t value[LOCK_MAX_LVB] = { 0 };
	struct lock_order order = {
		.key = { node, number }, .mode = mode, .flags = flags,
		.waiter = s->waiter, .name = name, .name_length = name ? strlen(name) : 0,
		.value = flags & LOCK_VALBLK ? value : NULL,
	};

	memcpy(value, s->value, strlen(s->value));
	return lock_table_lock(s->table, &order);
}

void ask(struct lock_scene *s, uint32_t node, uint32_t number, const char *name,
	 enum lock_mode mode, uint32_t flags)
{
	assert_int_equal(try_ask(s, node, number, name, mode, flags), 0);
}

void turn(struct lock_scene *s, uint32_t node, uint32_t number, enum lock_mode mode,
	  uint32_t flags)
{
	assert_int_equal(try_ask(s, node, number, NULL, mode, flags | LOCK_CONVERT), 0);
}

int try_drop(struct lock_scene *s, uint32_t node, uint32_t number, uint32_t flags)
{
	uint8_t value[LOCK_MAX_LVB] = { 0 };

	memcpy(value, s->value, strlen(s->value));
	return lock_table_unlock(s->table, (struct lock_key){ node, number }, flags,
				 flags & LOCK_VALBLK ? value : NULL);
}

void drop(struct lock_scene *s, uint32_t node, uint32_t number, uint32_t flags)
{
	assert_int_equal(try_drop(s, node, number, flags), 0);
}

void release(struct lock_scene *s, uint32_t node, enum lock_release release)
{
	assert_int_equal(lock_table_release(s->table, node, release), 0);
}

/* --- what came of it ------------------------------------------------------------- */

static void check_text(const char *got, const char *wanted, int line)
{
	if (strcmp(got, wanted) != 0)
		fail_msg("line %d: \"%s\", wanted \"%s\"", line, got, wanted);
}

void given(struct lock_scene *s)
{
	s->length = 0;
	s->said[0] = '\0';
}

void check_said(struct lock_scene *s, const char *wanted, int line)
{
	check_text(s->said, wanted, line);
	given(s);
}

struct queues {
	char text[1 << 14];
	size_t length;
	size_t left[3];
};

static void write_lock(void *owner, const struct lock_view *lock)
{
	struct queues *q = owner;
	int at = 0;
	bool is_behind = q->length && q->text[q->length - 1] != '|';

	/* Queues come one behind the other; how long they are says the resource. */
	while (at < 3 && q->left[at] == 0)
		at++;
	assert_true(at < 3);
	q->left[at]--;
	assert_int_equal(lock->wanted != LOCK_NONE, at > 0);
	assert_int_equal(lock->granted != LOCK_NONE, at < 2);
	q->length += (size_t)sprintf(q->text + q->length, "%s%u.%u%s%s%s%s%s",
				     is_behind ? " " : "", lock->key.node,
				     lock->key.number,
				     at < 2 ? "=" : "", at < 2 ? lock_mode_name(lock->granted) : "",
				     at > 0 ? ">" : "", at > 0 ? lock_mode_name(lock->wanted) : "",
				     lock->is_orphan ? "~" : "");
	for (; at < 2 && q->left[at] == 0; at++)
		q->length += (size_t)sprintf(q->text + q->length, "|");
}

static void begin_queues(void *owner, const struct lock_resource_view *r)
{
	struct queues *q = owner;

	q->left[0] = r->granted;
	q->left[1] = r->converting;
	q->left[2] = r->waiting;
	for (int at = 0; at < 2 && q->left[at] == 0; at++)
		q->length += (size_t)sprintf(q->text + q->length, "|");
}

void lock_scene_stands(const struct lock_scene *s, const char *name, char *to, size_t room)
{
	struct queues q = { .length = 0 };

	lock_table_look(s->table, name, strlen(name), begin_queues, &q);
	lock_table_look_locks(s->table, name, strlen(name), write_lock, &q);
	snprintf(to, room, "%s", q.text);
}

void check_stands(const struct lock_scene *s, const char *name, const char *wanted,
		  int line)
{
	char text[1 << 13];

	lock_scene_stands(s, name, text, sizeof(text));
	check_text(text, wanted, line);
}

struct kept {
	char text[128];
	const struct lock_scene *scene;
};

static void write_kept(void *owner, const struct lock_resource_view *r)
{
	struct kept *kept = owner;

	snprintf(kept->text, sizeof(kept->text), "%.*s %u%s", (int)kept->scene->lvb_bytes,
		 (const char *)r->value, r->value_seq, r->is_value_valid ? "" : " invalid");
}

void lock_scene_keeps(const struct lock_scene *s, const char *name, char *to, size_t room)
{
	struct kept kept = { .scene = s };

	lock_table_look(s->table, name, strlen(name), write_kept, &kept);
	snprintf(to, room, "%s", kept.text);
}

void check_keeps(const struct lock_scene *s, const char *name, const char *wanted,
		 int line)
{
	char text[128];

	lock_scene_keeps(s, name, text, sizeof(text));
	check_text(text, wanted, line);
}

/* --- save and load --------------------------------------------------------------- */

void reload(struct lock_scene *s)
{
	struct lock_table *fresh = lock_table_new(s->lvb_bytes, &lock_scene_ops, s);
	size_t room = LOCK_TABLE_RECORD_MAX, said = s->length;
	uint8_t *bytes = malloc(room);
	uint64_t cursor = 0;
	bool is_more = true;

	assert_non_null(fresh);
	assert_non_null(bytes);
	while (is_more) {
		struct wr to = wr_over(bytes, room);
		struct rd from;

		is_more = lock_table_save(s->table, &cursor, &to);
		assert_false(to.failed);
		assert_true(to.at > 0 || !is_more);
		from = rd_over(bytes, to.at);
		assert_int_equal(lock_table_load(fresh, &from), 0);
	}
	assert_int_equal(lock_table_digest(fresh), lock_table_digest(s->table));
	assert_int_equal(lock_table_locks(fresh), lock_table_locks(s->table));
	assert_int_equal(s->length, said);
	lock_table_free(s->table);
	s->table = fresh;
	free(bytes);
}
