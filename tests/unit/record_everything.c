/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linked into tests of arrays (by the linker's --wrap): each array has a flight recorder, and
 * when it is freed what was recorded is replayed, and must come out the same. So all that
 * these tests do is a test of the recorder, too.
 */
#include <stdlib.h>
#include <string.h>

#include "mdclusterd/record/recorder.h"
#include "mdclusterd/record/replay.h"
#include "tests/unit/help.h"

enum { MANY = 256 };

struct life {
	struct recorded *recorded;
	struct array *array;
	uint8_t *bytes;
	size_t length, room;
};

static struct life lives[MANY];
static bool is_within; /* the recorder, or a replay: the real ones are meant */

struct array *__real_array_new(const struct array_config *config,
			       struct lockspace_engine *locks,
			       struct metadata_runner *metadata, struct plane *plane,
			       const struct array_ops *ops, void *owner, struct err *err);
struct array *__wrap_array_new(const struct array_config *config,
			       struct lockspace_engine *locks,
			       struct metadata_runner *metadata, struct plane *plane,
			       const struct array_ops *ops, void *owner, struct err *err);

static struct life *life_of(const struct array *a)
{
	for (size_t i = 0; i < MANY; i++)
		if (lives[i].recorded && lives[i].array == a)
			return &lives[i];
	return NULL;
}

static struct life *free_life(void)
{
	for (size_t i = 0; i < MANY; i++)
		if (!lives[i].recorded)
			return &lives[i];
	return NULL;
}

static int take(void *owner, const void *bytes, size_t length)
{
	struct life *life = owner;

	if (life->length + length > life->room) {
		life->room = 2 * (life->length + length);
		life->bytes = realloc(life->bytes, life->room);
		assert_non_null(life->bytes);
	}
	memcpy(life->bytes + life->length, bytes, length);
	life->length += length;
	return 0;
}

struct array *__wrap_array_new(const struct array_config *config,
			       struct lockspace_engine *locks,
			       struct metadata_runner *metadata, struct plane *plane,
			       const struct array_ops *ops, void *owner, struct err *err)
{
	struct life *life = is_within ? NULL : free_life();
	const struct recorder_config recorder = { .write = take, .owner = life,
						  .max_bytes = UINT64_MAX / 2 };

	if (!life)
		return __real_array_new(config, locks, metadata, plane, ops, owner, err);
	*life = (struct life){ 0 };
	is_within = true;
	life->recorded = recorded_new(&recorder, config, locks, metadata, plane, ops, owner,
				      err);
	is_within = false;
	life->array = life->recorded ? recorded_array(life->recorded) : NULL;
	return life->array;
}

static void differs(void *owner, uint64_t now, const char *what)
{
	(void)owner;
	print_error("replay, at %llu ns: %s\n", (unsigned long long)now, what);
}

static void replay(const struct life *life)
{
	static const struct replay_handlers handlers = { .differs = differs };
	struct err err = ERR_INIT;
	struct replay *p = replay_new(life->bytes, life->length, &handlers, NULL, &err);
	struct array_look then, now;
	int r = 1;

	assert_non_null(p);
	while (r == 1)
		r = replay_step(p, &err);
	if (r < 0)
		fail_msg("replay: %s", err.text);
	assert_int_equal(replay_differences(p), 0);
	array_look(life->array, &then);
	array_look(replay_array(p), &now);
	assert_int_equal(then.state, now.state);
	assert_int_equal(then.slot, now.slot);
	assert_int_equal(then.recovery_map, now.recovery_map);
	assert_string_equal(then.waits, now.waits);
	replay_free(p);
}

/* Calls that go by the recorder, unless they come from there. */
#define WRAP(result, name, parameters, arguments)                                           \
	result __real_##name parameters;                                                    \
	result __wrap_##name parameters;                                                    \
	result __wrap_##name parameters                                                     \
	{                                                                                   \
		struct life *life = is_within ? NULL : life_of(a);                          \
                                                                                            \
		if (!life)                                                                  \
			return __real_##name arguments;                                     \
		is_within = true;

#define WRAP_VOID(name, parameters, arguments, call)                                        \
	WRAP(void, name, parameters, arguments)                                             \
		call;                                                                       \
		is_within = false;                                                          \
	}

#define WRAP_INT(name, parameters, arguments, call)                                         \
	WRAP(int, name, parameters, arguments)                                              \
		int r = call;                                                               \
                                                                                            \
		is_within = false;                                                          \
		return r;                                                                   \
	}

static void end_life(struct life *life)
{
	replay(life);
	recorded_free(life->recorded);
	free(life->bytes);
	*life = (struct life){ 0 };
}

WRAP_VOID(array_free, (struct array *a), (a), end_life(life))
WRAP_VOID(array_start, (struct array *a), (a), recorded_start(life->recorded))
WRAP_VOID(array_give_up, (struct array *a, const struct err *why), (a, why),
	  recorded_give_up(life->recorded, why))
WRAP_VOID(array_set_quorate, (struct array *a, bool is_quorate), (a, is_quorate),
	  recorded_set_quorate(life->recorded, is_quorate))
WRAP_VOID(array_set_missing, (struct array *a, uint32_t node, bool is_missing),
	  (a, node, is_missing), recorded_set_missing(life->recorded, node, is_missing))
WRAP_VOID(array_advance, (struct array *a, uint64_t now), (a, now),
	  recorded_advance(life->recorded, now))
WRAP_VOID(array_check_cancel, (struct array *a), (a), recorded_check_cancel(life->recorded))
WRAP_VOID(array_set_speed, (struct array *a, uint64_t min_bytes, uint64_t max_bytes),
	  (a, min_bytes, max_bytes),
	  recorded_set_speed(life->recorded, min_bytes, max_bytes))
WRAP_INT(array_stop, (struct array *a, struct err *err), (a, err),
	 recorded_stop(life->recorded, err))
WRAP_INT(array_check, (struct array *a, bool is_repair, struct err *err),
	 (a, is_repair, err), recorded_check(life->recorded, is_repair, err))
WRAP_INT(array_fail_disk, (struct array *a, uint32_t role, struct err *err),
	 (a, role, err), recorded_fail_disk(life->recorded, role, err))
WRAP_INT(array_grow, (struct array *a, struct array_grow *g, struct err *err),
	 (a, g, err), recorded_grow(life->recorded, g, err))
WRAP_VOID(array_change_forget, (struct array *a, struct array_change *c), (a, c),
	  recorded_change_forget(life->recorded, c))
WRAP_INT(array_change, (struct array *a, struct array_change *c, struct err *err),
	 (a, c, err), recorded_change(life->recorded, c, err))
