/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives of a few nodes, as dice write them: writes, deaths, proofs that come late, cuts, stops
 * and starts, disks and memory that fail now and then. The rig checks the rules after each step;
 * at the end all trouble is over, and all must be well. STORIES=100000 runs more;
 * STORY=4711 one.
 */
#include "tests/unit/array_rig.h"
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>

enum { STORIES = 300, MOVES = 120 };

static bool is_up(struct array_rig *rig, int node)
{
	return rig->nodes[node].array && !rig->is_cut[node];
}

/* What somebody asked a node for. */
struct wish {
	struct array_change change;
	bool is_out;
};

struct story {
	struct array_rig *rig;
	bool has_bad_disk, has_members;
	struct wish wishes[ARRAY_RIG_NODES + 1];
	bool is_dead[ARRAY_RIG_NODES + 1], is_proven[ARRAY_RIG_NODES + 1];
};

static uint64_t draw(struct story *s, uint64_t n)
{
	return array_rig_random(s->rig) % n;
}

static void start(struct story *s, int node)
{
	struct rig_array *n = &s->rig->nodes[node];

	if (s->is_dead[node] && s->is_proven[node]) {
		array_rig_settle(s->rig);
		array_rig_revive(s->rig, node);
		s->is_dead[node] = s->is_proven[node] = false;
	}
	if (!s->is_dead[node] && (!n->array || n->is_stopped))
		array_rig_start(s->rig, node);
}

static void stop(struct story *s, int node)
{
	struct err err = ERR_INIT;

	if (is_up(s->rig, node))
		(void)array_stop(s->rig->nodes[node].array, &err);
}

static void kill_it(struct story *s, int node)
{
	if (s->is_dead[node] || !s->rig->nodes[node].array)
		return;
	s->rig->is_cut[node] = false;
	array_rig_kill(s->rig, node);
	s->is_dead[node] = true;
}

static void prove(struct story *s, int node)
{
	if (!s->is_dead[node] || s->is_proven[node])
		return;
	array_rig_prove(s->rig, node);
	s->is_proven[node] = true;
}

static void write_some(struct story *s, int node)
{
	int chunk = (int)draw(s, ARRAY_RIG_CHUNKS);

	if (is_up(s->rig, node))
		(void)array_rig_write(s->rig, node, chunk);
}

static void end_writes(struct story *s, int node)
{
	for (int c = 0; c < ARRAY_RIG_CHUNKS; c++)
		while (s->rig->nodes[node].plane.writing[c])
			array_rig_written(s->rig, node, c);
}

static void trip(struct story *s, int node)
{
	struct rig_array *n = &s->rig->nodes[node];
	int times = 1 + (int)draw(s, 3);
	int *const faults[] = {
		&n->metadata.fail_read, &n->metadata.fail_clear, &n->metadata.fail_reload,
		&n->metadata.fail_activate, &n->plane.fail_need, &n->plane.fail_suspend,
		&n->plane.fail_sync, &n->metadata.fail_fail, &n->metadata.fail_change,
	};

	*faults[draw(s, sizeof(faults) / sizeof(faults[0]))] = times;
}

static void cut(struct story *s, int node)
{
	if (is_up(s->rig, node) && !s->is_dead[node])
		array_rig_cut(s->rig, node);
}

static void heal(struct story *s, int node)
{
	if (s->rig->is_cut[node] && !s->is_dead[node]) {
		if (draw(s, 2) == 0) {
			array_rig_prove(s->rig, node);
			array_rig_settle(s->rig);
		}
		array_rig_heal(s->rig, node);
	}
}

static void check_some(struct story *s, int node)
{
	struct err err = ERR_INIT;

	if (draw(s, 4) == 0)
		array_check_cancel(s->rig->nodes[node].array);
	else
		(void)array_check(s->rig->nodes[node].array, draw(s, 2), &err);
}

/* On one disk, and now and then on all. */
static void cannot_read(struct story *s, int node)
{
	int chunk = (int)draw(s, ARRAY_RIG_CHUNKS);

	if (draw(s, 4) == 0)
		s->rig->nodes[node].plane.unread |= UINT64_C(1) << chunk;
	array_rig_cannot_read(s->rig, node, chunk);
}

/* Nobody waits for what becomes of it. */
static void grow(struct story *s, int node)
{
	static struct array_grow unheard[ARRAY_RIG_NODES + 1];
	struct array_grow *g = &unheard[node];
	struct err err = ERR_INIT;

	*g = (struct array_grow){ .grow = { .size = MD_GROW_MAX } };
	if (is_up(s->rig, node) && array_grow(s->rig->nodes[node].array, g, &err) == 0)
		array_grow_forget(s->rig->nodes[node].array, g);
}

static void on_changed(void *owner, struct array_change *c, int result)
{
	struct wish *wish = owner;

	(void)c;
	(void)result;
	wish->is_out = false;
}

/* Some are there already, some never come: that is for the array to find out. */
static void change(struct story *s, int node)
{
	static const char *const paths[] = { "disk1", "new" };
	struct wish *wish = &s->wishes[node];
	struct err err = ERR_INIT;

	if (wish->is_out && draw(s, 4) == 0) {
		array_change_forget(s->rig->nodes[node].array, &wish->change);
		wish->is_out = false;
	}
	if (wish->is_out || !is_up(s->rig, node))
		return;
	wish->change = (struct array_change){
		.kind = (enum array_change_kind)draw(s, 4),
		.path = paths[draw(s, 2)],
		.number = 1 + (uint32_t)draw(s, 4),
		.done = on_changed,
		.owner = wish,
	};
	wish->is_out = array_change(s->rig->nodes[node].array, &wish->change, &err) == 0;
}

/* Disks come and go. */
static void manage(struct story *s, int node)
{
	struct err err = ERR_INIT;

	if (draw(s, 4) == 0)
		s->rig->disks.unseen ^= 1u << node;
	else if (draw(s, 3) != 0)
		change(s, node);
	else if (is_up(s->rig, node))
		(void)array_fail_disk(s->rig->nodes[node].array, 1, &err);
}

static void move(struct story *s)
{
	int node = 1 + (int)draw(s, (uint64_t)s->rig->count);

	switch (draw(s, 28)) {
	case 0: case 1: case 2:
		start(s, node);
		break;
	case 3:
		stop(s, node);
		break;
	case 4:
		kill_it(s, node);
		break;
	case 5: case 6:
		prove(s, node);
		break;
	case 7:
		trip(s, node);
		break;
	case 8:
		cut(s, node);
		break;
	case 9: case 10:
		heal(s, node);
		break;
	case 11: case 12:
		end_writes(s, node);
		break;
	case 13:
		array_rig_clear(s->rig, node);
		break;
	case 14:
		array_rig_run_seconds(s->rig, draw(s, 3));
		break;
	case 16:
		if (is_up(s->rig, node) && s->rig->nodes[node].plane.is_started)
			check_some(s, node);
		break;
	case 17:
		lock_rig_refuse(s->rig->locks, node, draw(s, 4) ? 0 : -ENOMEM);
		break;
	case 18:
		if (is_up(s->rig, node))
			cannot_read(s, node);
		break;
	case 27:
		grow(s, node);
		break;
	case 19: case 20: case 21:
		if (s->has_members)
			manage(s, node);
		else
			write_some(s, node);
		break;
	case 15:
		if (s->has_bad_disk && is_up(s->rig, node))
			array_rig_disk_fails(s->rig, node, 1);
		break;
	default:
		write_some(s, node);
		break;
	}
	for (uint64_t i = draw(s, 60); i > 0 && array_rig_step(s->rig); i--)
		;
}

static void end_all_trouble(struct story *s)
{
	struct array_rig *rig = s->rig;

	rig->disks.unseen = 0;
	for (int i = 1; i <= rig->count; i++) {
		struct rig_array *n = &rig->nodes[i];

		n->metadata.fail_read = n->metadata.fail_clear = 0;
		n->metadata.fail_reload = n->metadata.fail_activate = 0;
		n->metadata.fail_fail = n->metadata.fail_change = 0;
		n->plane.fail_need = n->plane.fail_suspend = n->plane.fail_sync = 0;
		n->plane.unread = 0;
		lock_rig_refuse(rig->locks, i, 0);
		end_writes(s, i);
		prove(s, i);
		if (rig->is_cut[i])
			array_rig_heal(rig, i);
	}
	array_rig_run(rig);
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array && !rig->nodes[i].is_stopped) {
			struct array_look look = array_rig_look(rig, i);

			if (look.state == ARRAY_FAILED)
				array_start(rig->nodes[i].array);
		}
	array_rig_run(rig);
}

static void tell(uint64_t seed)
{
	struct story s = { .rig = array_rig_new(2 + (int)(seed % 4), seed) };
	struct array_rig *rig = s.rig;
	bool is_any = false;

	if (seed % 3 == 0)
		lock_rig_shuffle(rig->locks, seed);
	s.has_bad_disk = seed % 5 == 0;
	s.has_members = seed % 5 < 2;
	rig->disks.disks = 2 + (s.has_bad_disk || s.has_members);
	for (int i = 0; i < MOVES; i++)
		move(&s);
	end_all_trouble(&s);
	for (int i = 1; i <= rig->count; i++)
		if (rig->nodes[i].array && rig->nodes[i].is_stopped) {
			array_free(rig->nodes[i].array);
			rig->nodes[i].array = NULL;
		} else if (rig->nodes[i].array) {
			is_any = true;
		}
	if (is_any)
		array_rig_check_healthy(rig);
	array_rig_free(rig);
}

static void any_story_ends_well(void **state)
{
	const char *one = getenv("STORY"), *many = getenv("STORIES");
	const char *from = getenv("FIRST");
	uint64_t first = one ? strtoull(one, NULL, 0) : from ? strtoull(from, NULL, 0) : 1;
	uint64_t count = one ? 1 : many ? strtoull(many, NULL, 0) : STORIES;

	(void)state;
	for (uint64_t seed = first; seed < first + count; seed++) {
		if (!one && count > STORIES)
			fprintf(stderr, "\rstory %llu", (unsigned long long)seed);
		tell(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_story_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
