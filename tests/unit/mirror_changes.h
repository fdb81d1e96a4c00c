/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that come to a mirror and go, and windows of it, as tests ask for them. */
#pragma once

#include "tests/unit/mirror_rig.h"

#define K 1024ull
#define M (1024 * K)
#define SECTORS(bytes) ((bytes) / 512)

/* --- one that comes ------------------------------------------------------------------------ */

struct change {
	struct mirror_change c;
	int calls, result;
};

static inline void change_done(void *owner, struct mirror_change *c, int result)
{
	struct change *change = owner;

	assert_ptr_equal(c, &change->c);
	change->calls++;
	change->result = result;
}

static inline void change_begin_at(struct mirror_rig *rig, struct change *change, uint32_t role,
			    enum mirror_disk_state state, bool is_by_bitmap,
			    uint64_t events)
{
	bool is_coming = mr_look(rig).disks[role].state == MIRROR_DISK_MISSING;

	*change = (struct change){ .c = { .role = role,
					  .state = state,
					  .events = events,
					  .disk = is_coming ? rig->disks[role] : NULL,
					  .data_offset = MR_DATA_OFFSET,
					  .is_by_bitmap = is_by_bitmap,
					  .done = change_done,
					  .owner = change } };
	mirror_change_disk(rig->m, &change->c);
	assert_int_equal(change->calls, 0);
}

static inline void change_begin(struct mirror_rig *rig, struct change *change, uint32_t role,
			 enum mirror_disk_state state, bool is_by_bitmap)
{
	change_begin_at(rig, change, role, state, is_by_bitmap, 0);
}

static inline void answer_intent(struct mirror_rig *rig)
{
	mr_run(rig);
	while (rig->intent->coming || rig->intent->needing) {
		fake_intent_answer(rig->intent);
		mr_run(rig);
	}
}

static inline void change(struct mirror_rig *rig, uint32_t role, enum mirror_disk_state state)
{
	struct change it;

	change_begin(rig, &it, role, state, false);
	answer_intent(rig);
	assert_int_equal(it.calls, 1);
	assert_int_equal(it.result, 0);
}

/* All know that it went. */
static inline void take_out(struct mirror_rig *rig, uint32_t role)
{
	change(rig, role, MIRROR_DISK_MISSING);
	mirror_failure_known(rig->m, role);
}

static inline void replace(struct mirror_rig *rig, uint32_t role)
{
	take_out(rig, role);
	mr_poke(rig, role, 0, MR_MEMBER_BYTES, 0xee);
	change(rig, role, MIRROR_DISK_REBUILD);
}

/* --- windows ------------------------------------------------------------------------------- */

struct window {
	struct mirror_sync sync;
	int calls, result;
	uint32_t told;
};

static inline void window_done(void *owner, struct mirror_sync *sync, int result)
{
	struct window *w = owner;

	assert_ptr_equal(sync, &w->sync);
	w->calls++;
	w->result = result;
}

static inline void window_differs(void *owner, struct mirror_sync *sync, uint64_t sector,
			   uint64_t sectors)
{
	struct window *w = owner;

	(void)sync, (void)sector, (void)sectors;
	w->told++;
}

static inline void window_begin(struct mirror_rig *rig, struct window *w, enum mirror_sync_kind kind,
			 uint64_t low, uint64_t high)
{
	*w = (struct window){ .sync = { .kind = kind,
					.low = SECTORS(low),
					.high = SECTORS(high),
					.done = window_done,
					.differs = window_differs,
					.owner = w } };
	assert_int_equal(mirror_sync_begin(rig->m, &w->sync), 0);
}

static inline int window_wait(struct mirror_rig *rig, struct window *w)
{
	while (w->calls == 0)
		assert_true(mr_step(rig));
	return w->result;
}

static inline int rebuild(struct mirror_rig *rig, struct window *w, uint64_t low, uint64_t high)
{
	window_begin(rig, w, MIRROR_SYNC_REBUILD, low, high);
	return window_wait(rig, w);
}
