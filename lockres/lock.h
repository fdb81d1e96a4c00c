/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of the DLM: modes, flags, and the three tables that everything else
 * follows from. Pure.
 *
 * Sources: the VMS lock manager's manual, as Linux's dlm and libdlm took it over; the
 * numbers are Linux's, so that they can go to libdlm as they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>

/*
 * flock()'s LOCK_EX is 2, which is CW here, and any file that includes <fcntl.h> has it.
 * Both headers that say so are read above, and will not say it again: who calls flock()
 * does that in a file without this one.
 */
#undef LOCK_EX

enum {
	LOCK_MAX_NAME = 64,  /* bytes of a resource's name, any, from 1 */
	LOCK_SMALL_LVB = 32, /* what libdlm has */
	LOCK_LARGE_LVB = 64, /* what md-cluster has */
	LOCK_MAX_LVB = LOCK_LARGE_LVB,
};

enum lock_mode {
	LOCK_NONE = -1,
	LOCK_NL, /* null: keeps the resource and its value */
	LOCK_CR, /* concurrent read */
	LOCK_CW, /* concurrent write */
	LOCK_PR, /* protected read: shared */
	LOCK_PW, /* protected write: one writer, concurrent readers */
	LOCK_EX, /* exclusive */
	LOCK_MODES,
};

enum lock_flag {
	LOCK_NOQUEUE = 0x1,      /* not at once: -EAGAIN */
	LOCK_CANCEL = 0x2,       /* in unlock: the request under way */
	LOCK_CONVERT = 0x4,
	LOCK_VALBLK = 0x8,       /* the value travels with this call */
	LOCK_QUECVT = 0x10,      /* behind conversions that wait */
	LOCK_IVVALBLK = 0x20,    /* what would store the value makes it invalid */
	LOCK_CONVDEADLK = 0x40,  /* rather than -EDEADLK: give up what is held */
	LOCK_PERSISTENT = 0x80,  /* outlives its process, as an orphan */
	LOCK_NODLCKWT = 0x100,   /* no part in cycles over resources */
	LOCK_EXPEDITE = 0x400,   /* NL, whatever waits */
	LOCK_NOQUEUEBAST = 0x800,/* with NOQUEUE: who is in the way is told */
	LOCK_HEADQUE = 0x1000,   /* ahead of what waits in its queue */
	LOCK_NOORDER = 0x2000,   /* as soon as it is compatible, whatever waits */
	LOCK_ORPHAN = 0x4000,    /* adopt a lock of this node's process before */
	LOCK_ALTPR = 0x8000,     /* or PR, if that can be had at once */
	LOCK_ALTCW = 0x10000,
	LOCK_FORCEUNLOCK = 0x20000, /* also while a request is under way */
};

/* What comes with a completion, beside its status. */
enum lock_mark {
	LOCK_DEMOTED = 0x1,     /* CONVDEADLK took what was held */
	LOCK_VALNOTVALID = 0x2, /* the last writer died, or said so: do not believe it */
	LOCK_ALTMODE = 0x4,     /* granted in the other mode */
};

/* May one be granted while another holds? NONE goes with everything. */
bool lock_modes_compatible(enum lock_mode held, enum lock_mode wanted);

/*
 * What VALBLK does when a lock goes from what was granted (NONE: new) to what is
 * granted then (NONE: unlocked).
 */
enum lock_value {
	LOCK_VALUE_STAYS,  /* nothing */
	LOCK_VALUE_READ,   /* the resource's value to the caller */
	LOCK_VALUE_WRITE,  /* the caller's to the resource */
};

enum lock_value lock_value_moves(enum lock_mode from, enum lock_mode to);

/* A conversion from a to b is never in anybody's way: all that b excludes, a did. */
bool lock_is_down(enum lock_mode from, enum lock_mode to);

/* Pairs for which a conversion may queue behind others (QUECVT). */
bool lock_may_quecvt(enum lock_mode from, enum lock_mode to);

/*
 * Arguments of a request (held is NONE), a conversion (CONVERT is in flags), an
 * unlock. NULL: sound; else what is wrong, as a sentence without subject.
 */
const char *lock_fault(enum lock_mode held, enum lock_mode wanted, uint32_t flags);
const char *unlock_fault(uint32_t flags);

/* "EX", "none"; "?" for what is no mode. */
const char *lock_mode_name(enum lock_mode mode);
/* By its name in any case; false: there is none. */
bool lock_mode_parse(const char *name, enum lock_mode *mode);
