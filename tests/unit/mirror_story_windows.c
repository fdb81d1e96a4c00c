/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of a mirror: gates that shut, ranges that are suspended, resyncs. */
#include "tests/unit/mirror_story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/md_sb.h"
#include "tests/unit/help.h"

/* --- gate --------------------------------------------------------------------------------- */

static void keep_data(struct story *s, uint32_t role, uint8_t *to)
{
	disk_mem_peek(s->disks[role], story_data_bytes(role), to, MEMBER_SECTORS * 512);
}

void story_expect_kept(struct story *s)
{
	uint32_t role;

	for (role = 0; role < s->count; role++) {
		keep_data(s, role, s->scratch);
		assert_memory_equal(s->scratch, s->kept[role], MEMBER_SECTORS * 512);
	}
}

static void drained(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;
	uint32_t role;

	(void)req;
	s->is_draining = false;
	if (result < 0 || s->is_dead)
		return;
	s->is_drained = true;
	for (role = 0; role < s->count; role++)
		keep_data(s, role, s->kept[role]);
}

void story_flip_gate(struct story *s)
{
	if (s->is_open && story_chance(s, 500)) {
		s->is_open = false;
		mirror_set_gate(s->m, false, UINT64_MAX);
	} else if (s->is_open) {
		s->is_open = false;
		s->is_draining = true;
		s->drain = (struct mirror_request){ .done = drained, .owner = s };
		mirror_drain(s->m, &s->drain);
	} else {
		if (s->is_drained)
			story_expect_kept(s);
		s->is_drained = false;
		s->is_open = true;
		mirror_set_gate(s->m, true,
				story_chance(s, 500) ? UINT64_MAX :
						 story_now(s) + 1 + story_draw(s, 5000000));
	}
}

/* --- suspended ranges ----------------------------------------------------------------------- */

static uint8_t *keep_all(struct story *s)
{
	uint8_t *all = malloc((size_t)s->count * MEMBER_SECTORS * 512);
	uint32_t role;

	assert_non_null(all);
	for (role = 0; role < s->count; role++)
		keep_data(s, role, all + (size_t)role * MEMBER_SECTORS * 512);
	return all;
}

uint32_t story_near_of(const struct story *s)
{
	return s->config.level == MD_LEVEL_RAID10 ? s->config.layout & 0xff : s->count;
}

/* Where a copy of a block is, in bytes of a member: the formula, once more. */
uint64_t story_place(const struct story *s, uint32_t block, uint32_t copy, uint32_t *role)
{
	uint64_t at = block * block_sectors, chunk, cell;

	*role = copy;
	if (s->config.level != MD_LEVEL_RAID10)
		return at * 512;
	chunk = at / s->config.chunk_sectors;
	cell = chunk * story_near_of(s) + copy;
	*role = (uint32_t)(cell % s->count);
	return (cell / s->count * s->config.chunk_sectors +
		at % s->config.chunk_sectors) * 512;
}

static void expect_range_kept(struct story *s, uint32_t slot)
{
	uint8_t *kept = s->suspends[slot].kept, *now = keep_all(s);
	uint32_t block, copy, role;

	for (block = 0; kept && block < s->blocks; block++) {
		uint64_t low = block * block_sectors, high = low + block_sectors;

		if (low < s->suspends[slot].low || high > s->suspends[slot].high)
			continue;
		for (copy = 0; copy < story_near_of(s); copy++) {
			uint64_t at = story_place(s, block, copy, &role);

			if ((s->out | s->failed) >> role & 1)
				continue; /* a disk that hung may still write */
			at += (uint64_t)role * MEMBER_SECTORS * 512;
			if (memcmp(now + at, kept + at, ORACLE_BLOCK) != 0)
				fail_msg("block %u of disk %u changed in slot %u's range",
					 block, role, slot);
		}
	}
	free(now);
	free(kept);
	s->suspends[slot].kept = NULL;
}

static void suspended(void *owner, struct mirror_request *req, int result)
{
	struct story *s = owner;
	uint32_t slot;

	for (slot = 0; slot < SLOTS; slot++)
		if (&s->suspends[slot].request == req)
			break;
	s->suspends[slot].is_pending = false;
	if (s->is_dead)
		return;
	assert_true(result == 0 || result == -EBUSY);
	if (result == 0) {
		s->suspends[slot].low = s->suspends[slot].new_low;
		s->suspends[slot].high = s->suspends[slot].new_high;
	}
	s->suspends[slot].kept = keep_all(s);
}

void story_suspend(struct story *s, uint32_t slot, uint64_t low, uint64_t high)
{
	if (s->suspends[slot].is_pending)
		return;
	expect_range_kept(s, slot); /* the old one may go at any time from here on */
	s->suspends[slot].is_pending = true;
	s->suspends[slot].new_low = low;
	s->suspends[slot].new_high = high;
	s->suspends[slot].request =
		(struct mirror_request){ .done = suspended, .owner = s };
	mirror_suspend(s->m, slot, low, high, &s->suspends[slot].request);
}

void story_suspend_something(struct story *s)
{
	uint64_t sectors = s->v->size_bytes / 512;
	uint64_t low = story_draw(s, sectors), high = low + story_draw(s, sectors / 3);

	if (story_chance(s, 400))
		low = high = 0;
	story_suspend(s, (uint32_t)story_draw(s, SLOTS), low, min_u64(high, sectors));
}

/* --- resync ------------------------------------------------------------------------------- */

/* Another disk in its place is being filled. */
static bool is_rebuilt(const struct story *s, uint32_t role)
{
	return s->readd[role].step == COPYING && s->readd[role].is_other &&
	       (s->out >> role & 1) && !(s->failed >> role & 1);
}

static void note_progress(struct story *s)
{
	for (uint32_t role = 0; role < s->count; role++)
		if (is_rebuilt(s, role) && s->sync.low <= s->readd[role].rebuilt_to)
			s->readd[role].rebuilt_to =
				max_u64(s->readd[role].rebuilt_to, s->sync.position);
}

static void sync_done(void *owner, struct mirror_sync *sync, int result)
{
	struct story *s = owner;

	assert_true(result == 0 || result == -ECANCELED || result == -EIO);
	s->is_syncing = false;
	if (sync->kind == MIRROR_SYNC_REBUILD && !s->is_dead)
		note_progress(s);
}

/* From where the one that is the least far is. */
static bool begin_rebuild(struct story *s)
{
	uint64_t end = s->v->size_bytes / 512, low = end;

	for (uint32_t role = 0; role < s->count; role++)
		if (is_rebuilt(s, role))
			low = min_u64(low, s->readd[role].rebuilt_to);
	if (low == end)
		return false;
	s->sync.kind = MIRROR_SYNC_REBUILD;
	s->sync.low = low;
	s->sync.high = min_u64(end, low + 1 + story_draw(s, end / 3));
	return true;
}

static void begin_sync(struct story *s)
{
	uint64_t high, low;

	s->sync = (struct mirror_sync){ .done = sync_done, .owner = s };
	if (story_chance(s, 500) && begin_rebuild(s)) {
		s->is_syncing = mirror_sync_begin(s->m, &s->sync) == 0;
		assert_true(s->is_syncing);
		return;
	}
	if (intent_needed_count(s->in) > 0) {
		low = mirror_window(s->m, 0, (1 + story_draw(s, 8)) * CHUNK,
				    (1 + story_draw(s, 16)) * CHUNK, &high);
		s->sync.kind = story_chance(s, 500) ? MIRROR_SYNC_COPY : MIRROR_SYNC_COMPARE;
	} else {
		low = story_draw(s, s->v->size_bytes / 512);
		high = s->v->size_bytes / 512;
		s->sync.kind = story_chance(s, 500) ? MIRROR_SYNC_CHECK : MIRROR_SYNC_REPAIR;
	}
	s->sync.low = round_down(low, 8);
	s->sync.high = high;
	s->is_syncing = mirror_sync_begin(s->m, &s->sync) == 0;
	assert_true(s->is_syncing);
}

static bool has_all(const struct story *s, uint32_t role)
{
	const struct readd *r = &s->readd[role];

	return r->is_other ? r->rebuilt_to == s->v->size_bytes / 512 :
			     intent_needed_count(s->in) == 0;
}

void story_look_at_sync(struct story *s)
{
	uint64_t begins = intent_needed_count(s->in) > 0 ? 1000 : 20;
	uint32_t role;

	for (role = 0; role < s->count; role++)
		if (is_rebuilt(s, role))
			begins = max_u64(begins, 200);
	if (!s->is_syncing && story_chance(s, begins))
		begin_sync(s);
	for (role = 0; role < s->count; role++)
		if (!s->is_syncing && s->readd[role].step == COPYING &&
		    has_all(s, role) && (s->out >> role & 1))
			story_readd_next(s, role);
}
