/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages of an array, as the lock value of `message` carries them: 32 bytes, which
 * fit every engine. Little endian:
 *
 *	0  version   u8   1
 *	1  type      u8   the kernel's numbers; ours begin at MSG_KERNEL_TYPES
 *	2  slot      u16  of the sender
 *	4  sequence  u32  of serial arithmetic: D8
 *	8  operands       24 bytes, of one of two forms; what a type does not use is 0
 *
 *	range: low u64, high u64, flags u64 (none is defined: 0)
 *	disk:  uuid 16 bytes, disk u32, generation u32
 *
 * A value of zeroes is no message: nobody has said anything yet. What is sound has
 * one encoding. Slot and sequence keep their places in versions to come. Pure.
 *
 * Source: md-cluster's struct cluster_msg, packed into the size that libdlm has; the
 * version, the sequence, the generation and the capacity are ours.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	MSG_BYTES = 32,
	MSG_VERSION = 1,
	MSG_MAX_SLOTS = 128,
	MSG_TEXT_BYTES = 128,
};

enum msg_type {
	MSG_METADATA_UPDATED,  /* disk: a good one to read from; generation */
	MSG_RESYNCING,         /* low, high: the window; both 0: it is over */
	MSG_NEWDISK,           /* uuid of the device, disk: its number to be */
	MSG_REMOVE,            /* disk */
	MSG_RE_ADD,            /* disk */
	MSG_BITMAP_NEEDS_SYNC, /* the sender's slot is unfinished work */
	MSG_CHANGE_CAPACITY,   /* high: sectors of the array */
	MSG_BITMAP_RESIZE,     /* high: sectors that the bitmap is to cover */
	MSG_RESYNCING_START,   /* the sender is the one that resyncs now */
	MSG_KERNEL_TYPES,      /* those above are the kernel's, too */
	/* disk: roles, bits: all nodes do without these disks */
	MSG_DISKS_GONE = MSG_KERNEL_TYPES,
	/* low: events of the superblocks that the sender goes by; refused where later are known */
	MSG_EVENTS,
	MSG_FREEZE,            /* no plane anywhere until the next message: the array is changed */
	MSG_TYPES,
};

struct msg {
	enum msg_type type;
	uint16_t slot;
	uint32_t sequence;
	uint64_t low, high;  /* sectors; high is the first behind */
	uint8_t uuid[16];
	uint32_t disk;       /* dev_number; DISKS_GONE: roles, bits */
	/*
	 * METADATA_UPDATED: not 0 where it says again what a dead node may have said,
	 * for the recovery of this generation (D7).
	 */
	uint32_t generation;
};

enum msg_fault {
	MSG_SOUND,
	MSG_NOTHING,     /* zeroes: nobody has said anything yet */
	MSG_SHORT,
	MSG_BAD_VERSION,
	MSG_BAD_TYPE,
	MSG_BAD_FIELD,   /* one that cannot be, or that the type does not have */
	MSG_FAULTS,
};

/*
 * Of a lock value: `length` may be more than MSG_BYTES, what is behind is ignored. Slot
 * and sequence are set whatever else is wrong, but for MSG_SHORT; all else only where
 * the message is sound.
 */
enum msg_fault msg_decode(const uint8_t *bytes, size_t length, struct msg *m);
/* What m's type does not use is written as 0. */
void msg_encode(const struct msg *m, uint8_t bytes[MSG_BYTES]);
/* MSG_SOUND: what is encoded is read as it is. Else BAD_TYPE or BAD_FIELD. */
enum msg_fault msg_check(const struct msg *m);

/* A clause without subject: "is of an unknown type". */
const char *msg_fault_text(enum msg_fault fault);
/* "RESYNCING"; "?" for what is no type. */
const char *msg_type_name(uint32_t type);

/* For people: "resync 12.00–12.03 GiB", "disk 3 removed". Returns `to`. */
char *msg_text(const struct msg *m, char to[MSG_TEXT_BYTES]);
/* "12.0–12.5 GiB": as many decimals as the two ends need to differ. Returns `to`. */
char *msg_window_text(uint64_t low_sectors, uint64_t high_sectors,
		      char to[MSG_TEXT_BYTES]);

/* How far a is ahead of b: below 0 if it is behind. Half the numbers are either. */
static inline int32_t msg_sequence_lead(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}
