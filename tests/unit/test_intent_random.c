/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write-intent log under random writers, with data on the same disks and the power
 * cut at a random moment. The oracle is what is on the disks then: a chunk whose data
 * differ among them must be set in the slot, on every one of them (D1, D2, D12).
 *
 * Then the power comes back, the log is started on what was left, all that is needed is
 * resynced while writers go on, and everything is settled: no bit stays, data are equal,
 * and nobody else's bytes changed. Several lives a seed.
 *
 * A disk may fail: what it missed is set on those that are left, and when it comes back
 * gets what is set, no more, and is equal then.
 *
 *	INTENT_SEEDS=100000 build/tests/unit/test_intent_random
 *	INTENT_SEED=4711 ...: that one
 */
#include "tests/unit/intent_rig.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "bitmap/bits.h"

enum {
	CHUNKS = 70001,
	PAGE_1 = 30720,
	PAGE_2 = PAGE_1 + 32768,
	SECTOR = 512,
	PLACES = 60,
	SPAN_MOST = 3,
	WRITERS = 6,
	LIVES = 3,
	SEEDS = 3000,
};

/* Chunks that are used: groups within, across and at the end of pages. */
static const uint64_t groups[] = { 0, 200, PAGE_1 - 5, PAGE_2 - 3, PAGE_2 + 700, CHUNKS - 10 };
enum { GROUP = 10 };
static_assert(ARRAY_SIZE(groups) * GROUP == PLACES, "a place for each chunk");

struct writer {
	struct scene *scene;
	struct intent_write w;
	bool is_active, is_ready, is_sent, is_fua, is_sync;
	uint32_t place, span, pending;
	uint8_t *buffer;
	struct disk_req reqs[INTENT_DISKS];
};

struct scene {
	struct intent_rig rig;
	uint64_t random, seed;
	struct writer writers[WRITERS];
	bool is_busy[PLACES];      /* its data are being written: A3 */
	uint8_t value;
	uint64_t events;
	struct rig_request request, come;
	bool is_asked;
	uint8_t *map;
	uint32_t differing;        /* chunks that were found so */
	uint32_t readded;
	bool has_fault;            /* one disk fails at most */
};

static uint64_t draw(struct scene *s, uint64_t below)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

static uint64_t chunk_of(uint32_t place)
{
	return groups[place / GROUP] + place % GROUP;
}

static uint64_t data_of(const struct scene *s, uint32_t place)
{
	return data_bytes(&s->rig) + (uint64_t)place * SECTOR;
}

/* --- writers ------------------------------------------------------------------------- */

static bool is_free(const struct scene *s, uint32_t place, uint32_t span)
{
	uint32_t i;

	for (i = 0; i < span; i++)
		if (s->is_busy[place + i])
			return false;
	return true;
}

static void set_busy(struct scene *s, const struct writer *w, bool is_busy)
{
	memset(s->is_busy + w->place, is_busy, w->span);
}

static void writer_over(struct writer *w)
{
	struct scene *s = w->scene;

	set_busy(s, w, false);
	w->is_active = false;
	if (!w->is_sync)
		intent_end(s->rig.in, &w->w, w->is_fua);
	else if (disk_world_has_power(s->rig.world))
		intent_synced(s->rig.in, w->w.first, w->w.last);
}

static uint32_t role_of(const struct writer *w, const struct disk_req *req)
{
	return (uint32_t)(req - w->reqs);
}

static void data_done(struct disk_req *req, int result)
{
	struct writer *w = req->owner;
	struct scene *s = w->scene;
	uint32_t role = role_of(w, req);

	/* after the cut nobody looks */
	if (result == -EIO && !s->rig.is_out[role])
		rig_take_out(&s->rig, role);
	if (--w->pending == 0)
		writer_over(w);
}

static void send_data(struct scene *s, struct writer *w)
{
	struct err err = ERR_INIT;
	uint32_t i;

	w->is_sent = true;
	set_busy(s, w, true);
	w->pending = 0;
	for (i = 0; i < s->rig.count; i++) {
		if (s->rig.is_out[i])
			continue;
		w->pending++;
		w->reqs[i] = (struct disk_req){
			.op = DISK_WRITE,
			.is_fua = w->is_fua,
			.offset_bytes = data_of(s, w->place),
			.length_bytes = (size_t)w->span * SECTOR,
			.buffer = w->buffer,
			.done = data_done,
			.owner = w,
		};
		assert_ok(disk_submit(s->rig.disks[i], &w->reqs[i], &err), err);
	}
}

static void ready(void *owner, struct intent_write *iw)
{
	struct writer *w = owner;

	(void)iw;
	w->is_ready = true;
}

static void send_ready(struct scene *s)
{
	uint32_t i;

	for (i = 0; i < WRITERS; i++) {
		struct writer *w = &s->writers[i];

		if (w->is_active && w->is_ready && !w->is_sent &&
		    is_free(s, w->place, w->span))
			send_data(s, w);
	}
}

static struct writer *idle_writer(struct scene *s)
{
	uint32_t i;

	for (i = 0; i < WRITERS; i++)
		if (!s->writers[i].is_active)
			return &s->writers[i];
	return NULL;
}

static void begin_write(struct scene *s)
{
	struct writer *w = idle_writer(s);
	int r;

	if (!w)
		return;
	w->place = (uint32_t)draw(s, PLACES);
	w->span = 1 + (uint32_t)min_u64(draw(s, SPAN_MOST),
					GROUP - 1 - w->place % GROUP);
	w->is_active = true;
	w->is_sent = w->is_ready = w->is_sync = false;
	w->is_fua = draw(s, 3) == 0;
	memset(w->buffer, ++s->value, (size_t)w->span * SECTOR);
	w->w = (struct intent_write){ .first = chunk_of(w->place),
				      .last = chunk_of(w->place) + w->span - 1,
				      .ready = ready, .owner = w };
	r = intent_begin(s->rig.in, &w->w);
	assert_true(r >= 0);
	w->is_ready = r == INTENT_READY;
}

/* One that waits goes away before it was told; or one that did not write after all. */
static void abandon(struct scene *s)
{
	struct writer *w = &s->writers[draw(s, WRITERS)];

	if (!w->is_active || w->is_sent || w->is_sync)
		return;
	w->is_active = false;
	intent_end(s->rig.in, &w->w, draw(s, 2));
}

/* --- resync: the data of disk 0 are written to all ----------------------------------- */

static void resync(struct scene *s)
{
	uint64_t chunk = intent_next_needed(s->rig.in, chunk_of((uint32_t)draw(s, PLACES)));
	struct writer *w = idle_writer(s);
	uint32_t place;

	for (place = 0; place < PLACES && chunk_of(place) != chunk; place++)
		;
	if (place == PLACES || !w || s->is_busy[place])
		return;
	w->place = place;
	w->span = 1;
	w->is_active = w->is_sync = true;
	w->is_fua = false;
	w->w.first = w->w.last = chunk;
	disk_mem_peek(s->rig.disks[0], data_of(s, place), w->buffer, SECTOR);
	send_data(s, w);
}

static void sync_others(struct scene *s)
{
	uint64_t chunk = 0;
	uint32_t place;

	/* needed ones that carry no data here: by stale slots, and neighbours marked ahead */
	while ((chunk = intent_next_needed(s->rig.in, chunk)) != BITS_NONE) {
		for (place = 0; place < PLACES && chunk_of(place) != chunk; place++)
			;
		if (place == PLACES)
			intent_synced(s->rig.in, chunk, chunk);
		chunk++;
	}
}

/* --- the rest of life ---------------------------------------------------------------- */

static void need_some(struct scene *s)
{
	uint64_t chunk;
	uint32_t i;

	if (s->is_asked && s->request.calls == 0)
		return;
	memset(s->map, 0, bits_bytes(CHUNKS));
	for (i = 0; i < 4; i++) {
		chunk = chunk_of((uint32_t)draw(s, PLACES));
		bits_set_range(s->map, chunk, chunk);
	}
	intent_need(s->rig.in, s->map, rig_request(&s->request));
	s->is_asked = true;
}

static void set_events(struct scene *s)
{
	if (s->is_asked && s->request.calls == 0)
		return;
	intent_set_events(s->rig.in, ++s->events, rig_request(&s->request));
	s->is_asked = true;
}

static void settle(struct scene *s)
{
	if (s->is_asked && s->request.calls == 0)
		return;
	intent_settle(s->rig.in, rig_request(&s->request));
	s->is_asked = true;
}

static bool is_quiet(const struct scene *s)
{
	uint32_t i;

	for (i = 0; i < WRITERS; i++)
		if (s->writers[i].is_active)
			return false;
	return !s->is_asked || s->request.calls > 0;
}

static bool differs(const struct scene *s, uint32_t place)
{
	uint8_t first[SECTOR], other[SECTOR];
	uint32_t i;

	disk_mem_peek(s->rig.disks[0], data_of(s, place), first, SECTOR);
	for (i = 1; i < s->rig.count; i++) {
		disk_mem_peek(s->rig.disks[i], data_of(s, place), other, SECTOR);
		if (memcmp(first, other, SECTOR) != 0)
			return true;
	}
	return false;
}

/* In what is not needed, nobody writes, and after disks were brought back. */
static void expect_equal(struct scene *s)
{
	uint32_t place;

	for (place = 0; place < PLACES; place++)
		if (!intent_is_needed(s->rig.in, chunk_of(place)) && differs(s, place))
			fail_msg("seed %ju: chunk %ju differs, and nobody knows",
				 (uintmax_t)s->seed, (uintmax_t)chunk_of(place));
}

static uint32_t lost_disk(const struct scene *s)
{
	uint32_t role;

	for (role = 0; role < s->rig.count && !s->rig.is_out[role]; role++)
		;
	return role;
}

/* Not disk 0, from which all is resynced. */
static void lose_disk(struct scene *s)
{
	uint32_t role = 1 + (uint32_t)draw(s, s->rig.count - 1);

	if (s->has_fault || draw(s, 4) > 0)
		return;
	s->has_fault = true;
	disk_mem_set_fault(s->rig.disks[role], DISK_MEM_FAIL_WRITES,
			   draw(s, 2) ? 0 : data_bytes(&s->rig), UINT64_MAX);
}

/* What is set is copied, no more: as md does for a disk that was there before. */
static void copy_what_is_set(struct scene *s, uint32_t role)
{
	uint8_t *buffer = disk_buffer_new(SECTOR);
	struct err err = ERR_INIT;
	uint32_t place;

	for (place = 0; place < PLACES; place++) {
		if (!rig_bit(&s->rig, 0, chunk_of(place)))
			continue;
		disk_mem_peek(s->rig.disks[0], data_of(s, place), buffer, SECTOR);
		(void)disk_write_wait(s->rig.disks[role], data_of(s, place), buffer,
				      SECTOR, false, &err);
	}
	(void)disk_flush_wait(s->rig.disks[role], &err);
	free(buffer);
}

static void bring_back(struct scene *s)
{
	uint32_t role = lost_disk(s);

	if (role == s->rig.count || !is_quiet(s))
		return;
	intent_set_gate(s->rig.in, true, UINT64_MAX);
	intent_rig_drain(&s->rig);
	disk_mem_set_fault(s->rig.disks[role], DISK_MEM_NO_FAULT, 0, 0);
	copy_what_is_set(s, role);
	intent_set_disk(s->rig.in, role, s->rig.disks[role], start_bytes(role),
			rig_request(&s->come));
	intent_rig_drain(&s->rig);
	if (!disk_world_has_power(s->rig.world))
		return;
	assert_int_equal(s->come.calls, 1);
	assert_int_equal(s->come.result, 0);
	s->rig.is_out[role] = s->rig.is_degraded = s->has_fault = false;
	intent_set_degraded(s->rig.in, false);
	s->readded++;
	if (disk_world_has_power(s->rig.world))
		expect_equal(s);
}

/* With no page on its way all that is set is dirty, or needed. */
static void expect_counts(struct scene *s)
{
	struct intent_stats stats = rig_look(&s->rig);

	assert_int_equal(stats.dirty_chunks + stats.needed_chunks,
			 bits_count(s->rig.slot.bits, CHUNKS));
}

static void act(struct scene *s)
{
	switch (draw(s, 40)) {
	case 0:
		abandon(s);
		break;
	case 1:
		need_some(s);
		break;
	case 2:
		set_events(s);
		break;
	case 3:
		settle(s);
		break;
	case 4:
		if (lost_disk(s) == s->rig.count)
			intent_set_degraded(s->rig.in, draw(s, 3) == 0);
		break;
	case 9:
		lose_disk(s);
		break;
	case 10:
		bring_back(s);
		break;
	case 11:
		intent_set_gate(s->rig.in, draw(s, 2),
				disk_world_now_ns(s->rig.world) + draw(s, 1000000));
		break;
	case 12:
		intent_set_budget(s->rig.in, (1 + draw(s, 40)) * CHUNK);
		break;
	case 5:
		intent_rig_pass(&s->rig, draw(s, 1500) * 1000000);
		intent_set_gate(s->rig.in, true, UINT64_MAX);
		break;
	case 6:
	case 7:
	case 8:
		resync(s);
		break;
	default:
		if (draw(s, 3) == 0)
			begin_write(s);
		else
			intent_rig_step(&s->rig);
	}
	send_ready(s);
	if (intent_is_idle(s->rig.in))
		expect_counts(s);
}

static void peace_step(struct scene *s)
{
	sync_others(s);
	resync(s);
	send_ready(s);
	intent_rig_pass(&s->rig, 1000000);
}

/* Everybody comes to an end; then the slot is empty and the disks are equal. */
static void end_in_peace(struct scene *s)
{
	uint32_t place, i;

	intent_set_gate(s->rig.in, true, UINT64_MAX);
	while (!is_quiet(s))
		peace_step(s);
	bring_back(s);
	for (i = 0; i < s->rig.count; i++)
		disk_mem_set_fault(s->rig.disks[i], DISK_MEM_NO_FAULT, 0, 0);
	s->has_fault = false;
	intent_set_degraded(s->rig.in, false);
	while (!is_quiet(s) || intent_needed_count(s->rig.in) > 0)
		peace_step(s);
	settle(s);
	intent_rig_drain(&s->rig);
	assert_int_equal(s->request.calls, 1);
	assert_true(intent_is_idle(s->rig.in));
	assert_int_equal(rig_look(&s->rig).dirty_chunks, 0);
	assert_int_equal(bits_count(s->rig.slot.bits, CHUNKS), 0);
	for (place = 0; place < PLACES; place++)
		assert_false(rig_bit_anywhere(&s->rig, chunk_of(place)));
	for (i = 0; i < s->rig.count; i++)
		assert_int_equal(rig_sb(&s->rig, i).state, 0);
}

static void check_disks(struct scene *s)
{
	uint32_t place;

	for (place = 0; place < PLACES; place++) {
		if (!differs(s, place))
			continue;
		s->differing++;
		if (!rig_bit_everywhere(&s->rig, chunk_of(place)))
			fail_msg("seed %ju: chunk %ju differs, and is clear on a disk",
				 (uintmax_t)s->seed, (uintmax_t)chunk_of(place));
	}
	rig_expect_others_untouched(&s->rig);
}

static void one_life(struct scene *s)
{
	uint64_t left = draw(s, 400);

	disk_world_cut_power_after(s->rig.world, draw(s, 150));
	while (left-- > 0 && disk_world_has_power(s->rig.world))
		act(s);
	if (disk_world_has_power(s->rig.world) && draw(s, 4) == 0) {
		disk_world_cut_power_after(s->rig.world, UINT64_MAX);
		end_in_peace(s);
	}
	disk_world_cut_power(s->rig.world);
	check_disks(s);
	intent_rig_drain(&s->rig);
	disk_world_restore_power(s->rig.world);
}

static void one_seed(uint64_t seed, uint32_t *differing, uint32_t *readded)
{
	struct scene s = { .random = seed, .seed = seed };
	uint32_t i, life;

	intent_rig_init(&s.rig, seed, 2 + (uint32_t)(seed % 2), CHUNKS);
	s.rig.takes_out = true;
	s.rig.budget = 1 + draw(&s, 40);
	s.map = calloc(1, bits_bytes(CHUNKS));
	for (i = 0; i < WRITERS; i++) {
		s.writers[i].scene = &s;
		s.writers[i].buffer = disk_buffer_new(SPAN_MOST * SECTOR);
	}
	intent_rig_start(&s.rig);
	for (life = 0; life < LIVES; life++) {
		one_life(&s);
		s.is_asked = false;
		for (i = 0; i < WRITERS; i++)
			s.writers[i].is_active = false;
		memset(s.is_busy, 0, sizeof(s.is_busy));
		intent_rig_restart(&s.rig);
	}
	disk_world_cut_power_after(s.rig.world, UINT64_MAX);
	end_in_peace(&s);
	check_disks(&s);
	expect_equal(&s);
	*differing += s.differing;
	*readded += s.readded;
	for (i = 0; i < WRITERS; i++)
		free(s.writers[i].buffer);
	free(s.map);
	intent_rig_fini(&s.rig);
}

static void what_differs_after_a_power_cut_is_set_on_every_disk(void **state)
{
	const char *one = getenv("INTENT_SEED"), *many = getenv("INTENT_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t count = one ? 1 : many ? strtoull(many, NULL, 0) : SEEDS;
	uint32_t differing = 0, readded = 0;
	uint64_t i;

	(void)state;
	for (i = 0; i < count; i++)
		one_seed(first + i, &differing, &readded);
	/* the test would prove nothing if cuts left no trace */
	if (!one)
		assert_true(differing > count && readded > count / 10);
	print_message("%ju seeds, %u chunks differed, %u disks came back\n",
		      (uintmax_t)count, differing, readded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_after_a_power_cut_is_set_on_every_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
