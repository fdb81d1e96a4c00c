/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was seen of a resource, and the table for those who look. */
#include "tests/unit/lock_scene.h"

#include <string.h>

#include "base/arith.h"

struct text {
	char text[1 << 13];
	size_t length;
};

static void write_step(void *owner, const struct lock_history_entry *e)
{
	struct text *t = owner;

	t->length += (size_t)sprintf(t->text + t->length, "%s%llu:%s:%u.%u:%s>%s:%d",
				     t->length ? " " : "", (unsigned long long)e->at_ns,
				     lock_step_name(e->step), e->key.node, e->key.number,
				     lock_mode_name(e->from), lock_mode_name(e->to),
				     e->status);
}

static void history(struct lock_scene *s, const char *name, struct text *t)
{
	*t = (struct text){ .length = 0 };
	lock_table_history(s->table, name, strlen(name), write_step, t);
}

static void steps_of_a_resource_are_kept_with_their_time(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct text t;

	(void)state;
	lock_table_clock(s->table, 5);
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	lock_table_clock(s->table, 6);
	drop(s, 2, 1, LOCK_CANCEL);
	turn(s, 1, 1, LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	drop(s, 3, 1, 0);
	release(s, 1, LOCK_RELEASE_NODE);
	history(s, "r", &t);
	assert_string_equal(t.text, ""); /* it went with the last lock */
	lock_scene_free(s);

	s = lock_scene_new();
	lock_table_clock(s->table, 5);
	ask(s, 1, 1, "r", LOCK_PR, 0);
	ask(s, 2, 1, "r", LOCK_EX, 0);
	lock_table_clock(s->table, 6);
	drop(s, 2, 1, LOCK_CANCEL);
	turn(s, 1, 1, LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_NL, 0);
	drop(s, 3, 1, 0);
	ask(s, 3, 1, "r", LOCK_EX, LOCK_ORPHAN);
	ask(s, 4, 1, "r", LOCK_NL, 0);
	lock_table_clock(s->table, 7);
	release(s, 4, LOCK_RELEASE_NODE);
	history(s, "r", &t);
	assert_string_equal(t.text,
		"5:request:1.1:none>PR:0 5:grant:1.1:none>PR:0 "
		"5:request:2.1:none>EX:0 5:blocked:1.1:PR>EX:0 "
		"6:cancel:2.1:none>EX:0 6:refuse:2.1:none>EX:-125 "
		"6:convert:1.1:PR>CR:0 6:grant:1.1:PR>CR:0 "
		"6:request:3.1:none>NL:0 6:grant:3.1:none>NL:0 6:unlock:3.1:NL>none:0 "
		"6:request:3.1:none>EX:0 6:refuse:3.1:none>EX:-2 "
		"6:request:4.1:none>NL:0 6:grant:4.1:none>NL:0 7:release:4.1:NL>none:0");
	history(s, "q", &t);
	assert_string_equal(t.text, "");
	lock_scene_free(s);
}

static void newest_steps_are_kept(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct text t;
	char wanted[1 << 13];
	size_t length = 0, bytes;

	(void)state;
	ask(s, 1, 1, "r", LOCK_NL, 0);
	for (uint64_t i = 1; i <= 100; i++) {
		lock_table_clock(s->table, i);
		turn(s, 1, 1, LOCK_CR, 0);
	}
	for (unsigned int i = 85; i <= 100; i++)
		length += (size_t)sprintf(wanted + length, "%s%u:convert:1.1:CR>CR:0 "
					  "%u:grant:1.1:CR>CR:0", i > 85 ? " " : "", i, i);
	history(s, "r", &t);
	assert_string_equal(t.text, wanted);
	bytes = lock_table_bytes(s->table);
	turn(s, 1, 1, LOCK_CR, 0);
	assert_int_equal(lock_table_bytes(s->table), bytes);
	reload(s); /* it is no part of the state */
	history(s, "r", &t);
	assert_string_equal(t.text, "");
	lock_scene_free(s);
}

static void steps_have_names(void **state)
{
	static const char *const names[] = { "request", "convert", "unlock", "cancel",
					     "grant", "refuse", "blocked", "release" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(lock_step_name((enum lock_step)i), names[i]);
	assert_string_equal(lock_step_name((enum lock_step)ARRAY_SIZE(names)), "?");
	assert_string_equal(lock_step_name((enum lock_step)-1), "?");
}

/* --- looking --------------------------------------------------------------------- */

static void write_name(void *owner, const struct lock_resource_view *r)
{
	struct text *t = owner;

	t->length += (size_t)sprintf(t->text + t->length, "%s%.*s:%zu/%zu/%zu",
				     t->length ? " " : "", (int)r->name_length, r->name,
				     r->granted, r->converting, r->waiting);
}

static void resources_come_by_name(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct text t = { .length = 0 };

	(void)state;
	ask(s, 1, 1, "b", LOCK_NL, 0);
	ask(s, 1, 2, "ab", LOCK_PR, 0);
	ask(s, 1, 3, "a", LOCK_NL, 0);
	ask(s, 1, 4, "ac", LOCK_NL, 0);
	ask(s, 2, 2, "ab", LOCK_PR, 0);
	turn(s, 2, 2, LOCK_EX, 0);
	ask(s, 2, 3, "ab", LOCK_PR, 0);
	lock_table_look(s->table, NULL, 0, write_name, &t);
	assert_string_equal(t.text, "a:1/0/0 ab:1/1/1 ac:1/0/0 b:1/0/0");
	drop(s, 1, 3, 0);
	ask(s, 1, 3, "aa", LOCK_NL, 0);
	t = (struct text){ .length = 0 };
	lock_table_look(s->table, NULL, 0, write_name, &t);
	assert_string_equal(t.text, "aa:1/0/0 ab:1/1/1 ac:1/0/0 b:1/0/0");
	t = (struct text){ .length = 0 };
	lock_table_look(s->table, "ac", 2, write_name, &t);
	lock_table_look(s->table, "ad", 2, write_name, &t);
	assert_string_equal(t.text, "ac:1/0/0");
	assert_int_equal(lock_table_resources(s->table), 4);
	assert_int_equal(lock_table_locks(s->table), 6);
	lock_scene_free(s);
}

static void lock_is_found_by_its_key(void **state)
{
	struct lock_scene *s = lock_scene_new();
	struct lock_resource_view r;
	struct lock_view view;

	(void)state;
	s->waiter = 3;
	ask(s, 1, 1, "r", LOCK_PR, LOCK_PERSISTENT);
	ask(s, 2, 1, "r", LOCK_PR, 0);
	turn(s, 2, 1, LOCK_EX, LOCK_NODLCKWT);
	assert_true(lock_table_find(s->table, (struct lock_key){ 2, 1 }, &view, &r));
	assert_int_equal(view.key.node, 2);
	assert_int_equal(view.key.number, 1);
	assert_int_equal(view.granted, LOCK_PR);
	assert_int_equal(view.wanted, LOCK_EX);
	assert_int_equal(view.flags, LOCK_NODLCKWT | LOCK_CONVERT);
	assert_int_equal(view.waiter, 3);
	assert_int_equal(view.marks, 0);
	assert_false(view.is_orphan);
	assert_memory_equal(r.name, "r", 1);
	assert_int_equal(r.name_length, 1);
	assert_true(lock_table_find(s->table, (struct lock_key){ 1, 1 }, &view, NULL));
	assert_int_equal(view.wanted, LOCK_NONE);
	assert_int_equal(view.flags, LOCK_PERSISTENT);
	turn(s, 1, 1, LOCK_EX, LOCK_ALTPR);
	assert_true(lock_table_find(s->table, (struct lock_key){ 1, 1 }, &view, NULL));
	assert_int_equal(view.marks, 0);
	assert_false(lock_table_find(s->table, (struct lock_key){ 1, 2 }, &view, NULL));
	lock_scene_free(s);
}

static void blockers_are_the_nodes_that_hold(void **state)
{
	struct lock_scene *s = lock_scene_new();
	uint32_t nodes[3] = { 99, 99, 99 };

	(void)state;
	ask(s, 7, 1, "r", LOCK_CR, 0);
	ask(s, 3, 1, "r", LOCK_CR, 0);
	ask(s, 0, 1, "r", LOCK_CR, 0);
	ask(s, 3, 2, "r", LOCK_CR, 0);
	ask(s, 5, 1, "r", LOCK_NL, 0);
	ask(s, 7, 2, "r", LOCK_PW, 0);
	ask(s, 4, 1, "r", LOCK_CR, 0);
	turn(s, 7, 1, LOCK_PR, 0);
	turn(s, 4, 1, LOCK_EX, 0);
	ask(s, 8, 1, "r", LOCK_EX, 0);
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 8, 1 }, nodes, 2),
			 4);
	assert_int_equal(nodes[0], 0);
	assert_int_equal(nodes[1], 3);
	assert_int_equal(nodes[2], 99);
	/* Its own lock is not in its way, another of its node is. */
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 7, 1 }, nodes, 3),
			 1);
	assert_int_equal(nodes[0], 7);
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 4, 1 }, nodes, 3),
			 3);
	assert_int_equal(nodes[2], 7);
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 3, 1 }, NULL, 0),
			 0);
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 9, 1 }, NULL, 0),
			 0);
	lock_scene_free(s);
}

static size_t excluders(struct lock_scene *s, const char *name, uint32_t node,
			uint32_t number, enum lock_mode mode, uint32_t *nodes)
{
	return lock_table_excluders(s->table, name, strlen(name),
				    (struct lock_key){ node, number }, mode, nodes, 3);
}

/* Of a lock that does not wait, or is not there any more. */
static void excluders_are_the_nodes_that_would_block(void **state)
{
	struct lock_scene *s = lock_scene_new();
	uint32_t nodes[3] = { 99, 99, 99 };

	(void)state;
	ask(s, 3, 1, "r", LOCK_CR, 0);
	ask(s, 7, 1, "r", LOCK_PW, LOCK_PERSISTENT);
	assert_int_equal(excluders(s, "r", 3, 1, LOCK_PR, nodes), 1);
	assert_int_equal(nodes[0], 7);
	assert_int_equal(excluders(s, "r", 3, 1, LOCK_CR, nodes), 0);
	assert_int_equal(excluders(s, "r", 3, 1, LOCK_EX, nodes), 1);
	assert_int_equal(excluders(s, "r", 3, 9, LOCK_EX, nodes), 2);
	assert_int_equal(nodes[0], 3);
	assert_int_equal(excluders(s, "q", 3, 9, LOCK_EX, nodes), 0);
	assert_int_equal(excluders(s, "r", 7, 1, LOCK_PW, nodes), 0);
	/* The orphan has the number that 7's next process uses, but is no lock of it. */
	release(s, 7, LOCK_RELEASE_PROCESS);
	assert_int_equal(excluders(s, "r", 7, 1, LOCK_PW, nodes), 1);
	ask(s, 7, 1, "r", LOCK_PW, 0);
	assert_int_equal(lock_table_blockers(s->table, (struct lock_key){ 7, 1 }, nodes, 3),
			 1);
	assert_int_equal(nodes[0], 7);
	lock_scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_of_a_resource_are_kept_with_their_time),
		cmocka_unit_test(newest_steps_are_kept),
		cmocka_unit_test(steps_have_names),
		cmocka_unit_test(resources_come_by_name),
		cmocka_unit_test(lock_is_found_by_its_key),
		cmocka_unit_test(blockers_are_the_nodes_that_hold),
		cmocka_unit_test(excluders_are_the_nodes_that_would_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
