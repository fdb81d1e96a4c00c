/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what comes from the kernel's DLM, and the slot table of other members.
 *
 *	input:  byte 0  enum part
 *	        then    DUMP: text of debugfs; RESULT: bytes of a read(); TABLE: a table
 *
 * What must hold, for every input:
 *	F1  a line that is taken has modes that are some, and its name within it
 *	F2  blockers: none is told twice, none of a lock that is not there
 *	F3  a result that is taken has a cookie and a mode or a status
 *	F4  a table that is taken, written again, is the same bytes; no two members
 *	    have one slot
 *	F5  nothing outside of the input is read (ASan)
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/codec.h"
#include "lockres/dlm_device.h"
#include "lockres/dlm_dump.h"
#include "lockres/dlm_slots.h"
#include "lockres/dlm_view.h"
#include "tests/fuzz/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum part { DUMP, RESULT, TABLE, PARTS };

static void check_blockers(const char *text, size_t length, uint32_t lkid)
{
	uint32_t nodes[8];
	size_t count = dlm_dump_blockers(text, length, 1, lkid, nodes, 8), i, k;

	for (i = 0; i < min_u64(count, 8); i++)
		for (k = 0; k < i; k++)
			EXPECT(nodes[k] != nodes[i]);
}

static void view(const char *text, size_t length)
{
	static struct dlm_view v;
	const char *at = text;

	while (dlm_view_next(&at, text + length, &v)) {
		EXPECT(at <= text + length);
		EXPECT(v.value_length <= LOCK_MAX_LVB);
		for (size_t i = 0; i < min_u64(v.lock_count, DLM_VIEW_LOCKS); i++)
			EXPECT(v.locks[i].granted < LOCK_MODES && v.locks[i].wanted < LOCK_MODES);
	}
}

static void dump(const char *text, size_t length)
{
	struct dlm_dump_line line;
	const char *at = text, *end = text + length;

	(void)dlm_dump_has_orphan(text, length);
	(void)dlm_has_device(text, length, "mdcl-x");
	view(text, length);
	EXPECT(dlm_dump_blockers("", 0, 1, 2, NULL, 0) == 0);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((newline ? newline : end) - at);

		if (dlm_dump_take(at, n, &line) == 0) {
			EXPECT(line.granted >= LOCK_NONE && line.granted < LOCK_MODES);
			EXPECT(line.wanted >= LOCK_NONE && line.wanted < LOCK_MODES);
			EXPECT(line.name_length <= LOCK_MAX_NAME);
			EXPECT(line.name > at && line.name + line.name_length < at + n);
			check_blockers(text, length, line.lkid);
		}
		at += n + 1;
	}
}

static void result(const uint8_t *bytes, size_t length)
{
	struct dlm_result r;

	if (dlm_result_take(bytes, length, &r) < 0)
		return;
	EXPECT(r.cookie != 0);
	EXPECT(r.is_blocked ? r.wanted < LOCK_MODES : r.status <= 0);
}

static void table(const uint8_t *bytes, size_t length)
{
	static struct dlm_slots s;
	struct lockspace_member members[LOCKSPACE_MAX_SLOTS];
	uint8_t again[DLM_SLOTS_MESSAGE_MAX];
	struct rd rd = rd_over(bytes, length);
	struct wr wr = wr_over(again, sizeof(again));
	size_t count, i;
	int our_slot;

	if (dlm_slots_take(&s, &rd) < 0)
		return;
	dlm_slots_put(&s, &wr);
	EXPECT(!wr.failed && wr.at == rd.at && memcmp(again, bytes, wr.at) == 0);
	count = dlm_slots_members(&s, members, &our_slot);
	for (i = 1; i < count; i++)
		EXPECT(members[i - 1].slot < members[i].slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy that ends where it ends: F5. */
	uint8_t *copy = malloc(max_u64(size, 2) - 1);

	EXPECT(copy != NULL);
	if (size > 0) {
		memcpy(copy, data + 1, size - 1);
		if (data[0] % PARTS == DUMP)
			dump((const char *)copy, size - 1);
		else if (data[0] % PARTS == RESULT)
			result(copy, size - 1);
		else
			table(copy, size - 1);
	}
	free(copy);
	return 0;
}
