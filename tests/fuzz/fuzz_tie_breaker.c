/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the sectors of the tie-breaker's disk, as other nodes, or anybody, wrote them.
 *
 *	input:  byte 0   0: a head, 512 bytes at most, follow, for tie_breaker_check()
 *	        else     steps of 3 bytes: what to do, the time that it takes, the other's state
 *
 *	step:   1 wants, 2 does not; else what is asked for is answered: 4 it failed, 8 the other's
 *	        sector is zeroes, 16 has changed, 32 is damaged
 *
 * What must hold, for every input:
 *	F1  a head is taken, or refused with a sentence of one line
 *	F2  the lease is believed no longer than T2 says
 *	F3  who has just seen another one alive with its flag up, does not begin to believe (T1)
 *	F4  nothing outside of the sectors is read (ASan)
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/fnv.h"
#include "mdclusterd/quorum/tie_breaker.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WANTS = 1, GIVES_UP = 2, FAILS = 4, ZEROES = 8, CHANGES = 16, DAMAGED = 32 };
enum { SUMMED_BYTES = 33, TIMEOUT_NS = 1000 };

struct other {
	uint64_t stamp;
	bool is_up; /* in the last read, and it had changed since the one before */
};

static void check_head(const uint8_t *data, size_t size)
{
	uint8_t *sector = calloc(1, TIE_SECTOR_BYTES);
	struct err err = ERR_INIT;
	int r;

	EXPECT(sector != NULL);
	memcpy(sector, data, size < 512 ? size : 512);
	r = tie_breaker_check(sector, "alpha", &err);
	EXPECT(r == 0 || ((r == -ENOENT || r == -EBADMSG) && err.text[0] &&
			  !strchr(err.text, '\n')));
	tie_breaker_format(sector, "alpha");
	EXPECT(tie_breaker_check(sector, "alpha", &err) == 0);
	free(sector);
}

/* Of node 2, as tie_breaker.h says. */
static void put_other(uint8_t *sector, const uint8_t step[3], struct other *o)
{
	struct wr wr = wr_over(sector, 512);

	o->is_up = false;
	if (step[0] & ZEROES)
		return;
	if (step[0] & CHANGES)
		o->stamp++;
	wr_bytes(&wr, "MDCTIENO", 8);
	wr_u32(&wr, 1);
	wr_u32(&wr, 2);
	wr_u64(&wr, 1);
	wr_u64(&wr, o->stamp);
	wr_u8(&wr, step[2] % 4);
	wr_u64(&wr, fnv_add(FNV_START, sector, SUMMED_BYTES));
	if (step[0] & DAMAGED)
		sector[step[1] % 41] ^= 1;
	o->is_up = step[0] & CHANGES && step[2] % 4 != 0;
}

static void do_read(struct tie_breaker *t, uint64_t now, const uint8_t step[3], struct other *o)
{
	uint8_t *sectors = calloc(2, TIE_SECTOR_BYTES);

	EXPECT(sectors != NULL);
	put_other(sectors + TIE_SECTOR_BYTES, step, o);
	tie_breaker_has_read(t, now, step[0] & FAILS ? -EIO : 0, sectors);
	free(sectors);
}

static void do_step(struct tie_breaker *t, uint64_t *now, const uint8_t step[3], struct other *o)
{
	uint8_t sector[TIE_SECTOR_BYTES];
	uint64_t before = tie_breaker_until(t), deadline;

	if (step[0] & (WANTS | GIVES_UP))
		tie_breaker_want(t, *now, step[0] & WANTS);
	deadline = tie_breaker_deadline(t);
	if (deadline != UINT64_MAX && deadline > *now)
		*now = deadline;
	switch (tie_breaker_next(t, *now, sector)) {
	case TIE_READ:
		*now += step[1] * (uint64_t)10;
		do_read(t, *now, step, o);
		break;
	case TIE_WRITE:
		*now += step[1] * (uint64_t)10;
		tie_breaker_has_written(t, *now, step[0] & FAILS ? -EIO : 0);
		break;
	case TIE_NOTHING:
		break;
	}
	EXPECT(tie_breaker_until(t) <= *now + TIE_LEASE_TIMEOUTS * (uint64_t)TIMEOUT_NS);
	EXPECT(before != 0 || tie_breaker_until(t) == 0 || !o->is_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tie_breaker_config c = { .nodes = 2, .self = 0, .id = 1, .generation = 5,
					      .io_timeout_ns = TIMEOUT_NS, .margin_ns = 500 };
	struct other other = { .stamp = 1 };
	uint64_t now = 1000000;
	struct tie_breaker t;

	if (size == 0)
		return 0;
	if (data[0] == 0) {
		check_head(data + 1, size - 1);
		return 0;
	}
	tie_breaker_init(&t, &c);
	for (size_t at = 1; at + 3 <= size; at += 3)
		do_step(&t, &now, data + at, &other);
	return 0;
}
