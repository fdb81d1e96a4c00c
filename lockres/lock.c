/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which modes go together, what becomes of the value, which conversions may queue
 * behind others; and what nobody may ask. The tables are those of the DLM, row for row.
 *
 * Stricter than Linux in what it ignores: flags that are for unlock alone, ORPHAN with
 * CONVERT, and bits that mean nothing are refused.
 */
#include "lockres/lock.h"

#include <strings.h>

#include "base/arith.h"

enum {
	REQUEST_FLAGS = LOCK_NOQUEUE | LOCK_CONVERT | LOCK_VALBLK | LOCK_QUECVT |
			LOCK_IVVALBLK | LOCK_CONVDEADLK | LOCK_PERSISTENT |
			LOCK_NODLCKWT | LOCK_EXPEDITE | LOCK_NOQUEUEBAST | LOCK_HEADQUE |
			LOCK_NOORDER | LOCK_ORPHAN | LOCK_ALTPR | LOCK_ALTCW,
	UNLOCK_FLAGS = LOCK_CANCEL | LOCK_VALBLK | LOCK_IVVALBLK | LOCK_FORCEUNLOCK,
};

static const char *const mode_names[LOCK_MODES] = { "NL", "CR", "CW", "PR", "PW", "EX" };

static bool is_mode(enum lock_mode mode)
{
	return (int)mode >= 0 && (int)mode < LOCK_MODES;
}

bool lock_modes_compatible(enum lock_mode held, enum lock_mode wanted)
{
	static const bool compatible[LOCK_MODES][LOCK_MODES] = {
		/*             NL CR CW PR PW EX */
		[LOCK_NL] = { 1, 1, 1, 1, 1, 1 },
		[LOCK_CR] = { 1, 1, 1, 1, 1, 0 },
		[LOCK_CW] = { 1, 1, 1, 0, 0, 0 },
		[LOCK_PR] = { 1, 1, 0, 1, 0, 0 },
		[LOCK_PW] = { 1, 1, 0, 0, 0, 0 },
		[LOCK_EX] = { 1, 0, 0, 0, 0, 0 },
	};

	return held == LOCK_NONE || wanted == LOCK_NONE || compatible[held][wanted];
}

enum lock_value lock_value_moves(enum lock_mode from, enum lock_mode to)
{
	enum { S = LOCK_VALUE_STAYS, R = LOCK_VALUE_READ, W = LOCK_VALUE_WRITE };
	static const uint8_t moves[LOCK_MODES + 1][LOCK_MODES + 1] = {
		/*              none NL CR CW PR PW EX */
		[1 + LOCK_NONE] = { S, R, R, R, R, R, R },
		[1 + LOCK_NL] =   { S, R, R, R, R, R, R },
		[1 + LOCK_CR] =   { S, S, R, R, R, R, R },
		[1 + LOCK_CW] =   { S, S, S, R, R, R, R },
		[1 + LOCK_PR] =   { S, S, S, S, R, R, R },
		[1 + LOCK_PW] =   { W, W, W, W, W, W, R },
		[1 + LOCK_EX] =   { W, W, W, W, W, W, W },
	};

	return (enum lock_value)moves[1 + from][1 + to];
}

bool lock_is_down(enum lock_mode from, enum lock_mode to)
{
	for (int m = 0; m < LOCK_MODES; m++)
		if (!lock_modes_compatible(to, (enum lock_mode)m) &&
		    lock_modes_compatible(from, (enum lock_mode)m))
			return false;
	return true;
}

bool lock_may_quecvt(enum lock_mode from, enum lock_mode to)
{
	static const bool may[LOCK_MODES][LOCK_MODES] = {
		/*             NL CR CW PR PW EX */
		[LOCK_NL] = { 0, 1, 1, 1, 1, 1 },
		[LOCK_CR] = { 0, 0, 1, 1, 1, 1 },
		[LOCK_CW] = { 0, 0, 0, 1, 1, 1 },
		[LOCK_PR] = { 0, 0, 1, 0, 1, 1 },
		[LOCK_PW] = { 0, 0, 0, 0, 0, 1 },
		[LOCK_EX] = { 0, 0, 0, 0, 0, 0 },
	};

	return is_mode(from) && is_mode(to) && may[from][to];
}

static const char *convert_fault(enum lock_mode held, enum lock_mode wanted, uint32_t flags)
{
	if (!is_mode(held))
		return "converts what is not held";
	if (flags & LOCK_EXPEDITE)
		return "EXPEDITE is for new locks";
	if (flags & LOCK_ORPHAN)
		return "ORPHAN is for new locks";
	if (flags & LOCK_CONVDEADLK && flags & LOCK_NOQUEUE)
		return "CONVDEADLK and NOQUEUE exclude each other";
	if (flags & LOCK_QUECVT && !lock_may_quecvt(held, wanted))
		return "QUECVT is for conversions that exclude more";
	return NULL;
}

const char *lock_fault(enum lock_mode held, enum lock_mode wanted, uint32_t flags)
{
	if (!is_mode(wanted))
		return "asks for a mode that there is not";
	if (flags & ~(uint32_t)REQUEST_FLAGS)
		return "has flags that are not for this";
	if (flags & LOCK_CONVERT)
		return convert_fault(held, wanted, flags);
	if (flags & LOCK_QUECVT)
		return "QUECVT is for conversions";
	if (flags & LOCK_CONVDEADLK)
		return "CONVDEADLK is for conversions";
	if (flags & LOCK_EXPEDITE && wanted != LOCK_NL)
		return "EXPEDITE is for NL";
	if (flags & LOCK_EXPEDITE && flags & LOCK_NOQUEUE)
		return "EXPEDITE and NOQUEUE exclude each other";
	return NULL;
}

const char *unlock_fault(uint32_t flags)
{
	if (flags & ~(uint32_t)UNLOCK_FLAGS)
		return "has flags that are not for this";
	if (flags & LOCK_CANCEL && flags & LOCK_FORCEUNLOCK)
		return "CANCEL and FORCEUNLOCK exclude each other";
	return NULL;
}

const char *lock_mode_name(enum lock_mode mode)
{
	if (mode == LOCK_NONE)
		return "none";
	return is_mode(mode) ? mode_names[mode] : "?";
}

bool lock_mode_parse(const char *name, enum lock_mode *mode)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (strcasecmp(name, mode_names[i]) != 0)
			continue;
		*mode = (enum lock_mode)i;
		return true;
	}
	return false;
}
