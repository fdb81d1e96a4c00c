/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of checkpoint stores that dice tell: thousands of partitions, a seed each.
 * C1 to C9 are the promises of totem/checkpoint.h; the bus is that of checkpoint_rig.h.
 */
#include "tests/unit/checkpoint_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "totem/checkpoint_private.h"

enum { STORY_USERS = 12, STORY_WRITES = 200 };

struct story_user {
	struct user u;
	int node;
	bool is_pending, is_open;
};

struct story_write {
	struct answer a;
	char section[16];
	bool is_of_the_dead; /* nobody is left to be answered */
	int node;
};

struct story {
	struct bus *bus;
	uint64_t random;
	struct user base[BUS_NODES]; /* never unlinked: what is answered stays */
	bool is_base[BUS_NODES];
	struct story_user users[STORY_USERS];
	struct story_write writes[STORY_WRITES];
	int write_count;
	bool is_whole; /* all five are one configuration, and quiet */
	int dead;      /* was restarted since; -1 */
};

static unsigned int dice(struct story *t, unsigned int sides)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(t->random >> 33) % sides;
}

static void story_opened(void *owner, int result)
{
	struct story_user *u = owner;

	assert_true(u->is_pending); /* C3 */
	u->is_pending = false;
	u->is_open = result == 0;
}

static void story_lost(void *owner)
{
	struct story_user *u = owner;

	assert_true(u->is_open);
	u->is_open = false;
}

static void story_use(struct story *t)
{
	static const struct checkpoint_handlers handlers = { story_opened, story_lost };
	struct story_user *u = &t->users[dice(t, STORY_USERS)];
	char name[2] = { (char)('a' + dice(t, 3)), 0 };

	if (u->is_pending)
		return;
	if (u->is_open && dice(t, 2)) {
		u->is_open = false;
		checkpoint_close(u->u.handle);
	} else if (u->is_open) {
		(void)checkpoint_write(u->u.handle, name, 1, name, dice(t, 2), NULL, NULL);
	} else if (dice(t, 4) == 0) {
		(void)checkpoint_unlink(t->bus->nodes[u->node].store, name, 1, NULL, NULL);
	} else {
		u->is_pending = checkpoint_open(t->bus->nodes[u->node].store, name, 1,
						dice(t, 4) ? CHECKPOINT_CREATE :
							     CHECKPOINT_CREATE |
							     CHECKPOINT_EXCLUSIVE,
						&handlers, u, &u->u.handle) == 0;
	}
}

static void story_write(struct story *t)
{
	struct story_write *w = &t->writes[t->write_count];
	int node = (int)dice(t, BUS_NODES);

	if (t->write_count == STORY_WRITES || !t->is_base[node])
		return;
	(void)snprintf(w->section, sizeof(w->section), "w%d", t->write_count);
	w->node = node;
	if (ask_write(&t->base[node], w->section, w->section, &w->a) == 0)
		t->write_count++;
}

static void story_open_base(struct story *t, int node)
{
	t->is_base[node] = now_open(t->bus, node, "base", CHECKPOINT_CREATE,
				    &t->base[node]) == 0;
	assert_true(t->is_base[node]);
}

static void story_die(struct story *t, int node)
{
	int i;

	for (i = 0; i < t->write_count; i++)
		if (t->writes[i].node == node && t->writes[i].a.count == 0)
			t->writes[i].is_of_the_dead = true;
	for (i = 0; i < STORY_USERS; i++)
		if (t->users[i].node == node)
			t->users[i].is_pending = t->users[i].is_open = false;
	t->is_base[node] = false;
	bus_crash(t->bus, node);
}

/* Some of the five apart from the others; the dead one may be back among them. */
static void story_part(struct story *t)
{
	char sides[2][BUS_NODES + 1] = { "", "" };
	bool is_merge = dice(t, 3) == 0;

	for (int i = 0; i < BUS_NODES; i++) {
		char *side = sides[is_merge ? 0 : dice(t, 2)];

		side[strlen(side)] = (char)('1' + i);
	}
	for (int i = 0; i < 2; i++)
		if (*sides[i])
			bus_configure(t->bus, sides[i]);
	t->is_whole = false;
}

static void story_restart(struct story *t)
{
	int node = (int)dice(t, BUS_NODES);
	char others[BUS_NODES + 1] = "";

	if (!t->is_whole)
		return; /* C4: one memory at a time */
	story_die(t, node);
	for (int i = 0; i < BUS_NODES; i++)
		if (i != node)
			others[strlen(others)] = (char)('1' + i);
	if (dice(t, 2)) {
		bus_configure(t->bus, others);
		t->bus->budget = dice(t, 200);
		(void)bus_run(t->bus);
	}
	bus_start(t->bus, node);
	t->is_whole = false;
	story_part(t);
}

static void story_settle(struct story *t)
{
	t->bus->budget = -1;
	bus_configure(t->bus, "12345");
	(void)bus_run(t->bus);
	bus_check_equal(t->bus, "12345"); /* C1 */
	t->is_whole = true;
	for (int i = 0; i < BUS_NODES; i++)
		if (!t->is_base[i])
			story_open_base(t, i);
}

static void story_step(struct story *t)
{
	unsigned int what = dice(t, 100);

	if (what < 35) {
		story_use(t);
	} else if (what < 65) {
		story_write(t);
	} else if (what < 80) {
		t->bus->first = (int)dice(t, BUS_NODES);
		t->bus->budget = dice(t, 120);
		(void)bus_run(t->bus);
	} else if (what < 90) {
		char who[2] = { (char)('1' + dice(t, BUS_NODES)), 0 };

		bus_send(t->bus, who);
	} else if (what < 96) {
		story_part(t);
	} else if (what < 98) {
		story_restart(t);
	} else {
		story_settle(t);
	}
}

/* C3, C4, C5. */
static void story_check(struct story *t)
{
	const void *data;
	struct checkpoint_info info;
	uint32_t wanted = BUS_NODES, found = 0;
	size_t length;

	for (int i = 0; i < t->write_count; i++) {
		struct story_write *w = &t->writes[i];

		assert_int_equal(w->a.count, w->is_of_the_dead ? 0 : 1);
		if (w->is_of_the_dead || w->a.result != 0)
			continue;
		assert_int_equal(checkpoint_read(t->base[2].handle, w->section,
						 strlen(w->section), &data, &length), 0);
	}
	for (int i = 0; i < STORY_USERS; i++) {
		assert_false(t->users[i].is_pending);
		wanted += t->users[i].is_open;
	}
	for (size_t i = 0; checkpoint_at(t->bus->nodes[1].store, i, &info); i++) {
		found += info.references;
		assert_true(info.references > 0 || !info.is_unlinked);
	}
	assert_int_equal(found, wanted);
}

static void tell_story(uint64_t seed)
{
	static struct story story;
	struct story *t = &story;
	int i;

	*t = (struct story){ .random = seed * 0x9e3779b97f4a7c15u };
	t->bus = bus_of_five();
	t->bus->tells = 1 + (int)dice(t, 4);
	for (i = 0; i < STORY_USERS; i++)
		t->users[i].node = (int)dice(t, BUS_NODES);
	for (i = 0; i < BUS_NODES; i++)
		story_open_base(t, i);
	t->is_whole = true;
	for (i = 0; i < 300 && t->bus->log_count < BUS_MAX_LOGS - 4; i++)
		story_step(t);
	story_settle(t);
	for (i = 0; i < BUS_NODES; i++)
		assert_int_equal(t->base[i].lost, 0);
	story_check(t);
	bus_free(t->bus);
}

static uint64_t story_seed; /* of the story under way */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* STORY is the first seed, STORIES how many: for a soak, or for one that failed. */
static void stories_end_well(void **state)
{
	uint64_t first = from_environment("STORY", 1);
	uint64_t end = first + from_environment("STORIES", 400);

	(void)state;
	for (story_seed = first; story_seed < end; story_seed++)
		tell_story(story_seed);
	story_seed = 0;
}

static int name_the_seed(void **state)
{
	(void)state;
	if (story_seed > 0)
		print_error("again with: STORY=%llu STORIES=1\n",
			    (unsigned long long)story_seed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(stories_end_well, name_the_seed),
	};

	return cmocka_run_group_tests_name("checkpoint_stories", tests, NULL, NULL);
}
