/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The flight recorder's format: all that came into an array's state machine, in order, and
 * what it said of it. Read again by replay.h, which steps the same code through it.
 *
 * Little endian. A file: "MDCREC03", then records: length u32 (of what follows), kind u8,
 * now u64 (ns), and the fields of the kind in the order of struct record; strings have a u16
 * before them, lists a u32. The last record may be cut off: a process ended there. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockres/lockspace.h"
#include "mdclusterd/array/array.h"

enum {
	RECORD_MAGIC_BYTES = 8,
	RECORD_MAX_BYTES = 64 << 20, /* of one record */
	RECORD_TEXT = 512,
};
#define RECORD_MAGIC "MDCREC03"

enum record_kind {
	/* inputs: calls */
	RECORD_BEGIN,      /* config: the array is made */
	RECORD_START,
	RECORD_STOP,
	RECORD_GIVE_UP,    /* result, text */
	RECORD_QUORATE,    /* flag */
	RECORD_MISSING,    /* number: node; flag */
	RECORD_ADVANCE,
	RECORD_CHECK,      /* flag: is_repair */
	RECORD_CHECK_CANCEL,
	RECORD_SPEED,      /* low, high: bytes a second */
	RECORD_FAIL_DISK,  /* number: role */
	RECORD_CHANGE,     /* op: kind; number: dev_number; flag: is_forced; text: path */
	RECORD_CHANGE_FORGOTTEN, /* number: of the change, from 1 on */
	/* op: kind of bitmap; number: raid_disks; low: size; flag: is_assume_clean; text: name */
	RECORD_GROW,
	/* inputs: the lockspace */
	RECORD_PREP,
	RECORD_SLOT,       /* number: node; slot */
	RECORD_DONE,       /* members, slot: ours; number: generation */
	RECORD_LOST,       /* result, text */
	RECORD_CLOSED,
	RECORD_LOCK,       /* lock; result, mode, marks, value, blockers */
	RECORD_BLOCKED,    /* lock, mode */
	/* inputs: disks */
	RECORD_METADATA,   /* number: of the request; op, result, slot: role; text, view, bits, disk */
	RECORD_PLANE,      /* number, op, result, text, plane */
	RECORD_DISK_FAILED, /* number: role; result, text */
	RECORD_DIFFERS,    /* low, high: sector, sectors */
	RECORD_NEEDS,      /* number: chunks */
	RECORD_CORRECTED,  /* slot: role; low, high; number: sectors */
	/* answers that came from within an input: asked for before the next one */
	RECORD_OPENED,     /* result, text; flag: is_ordered; number: lvb bytes */
	RECORD_EVICTED,    /* number: node; flag: the answer */
	RECORD_REFUSED,    /* lock, op: enum lockspace_call; result */
	/* what the array said, and asked of its disks */
	RECORD_EVENT,      /* event */
	RECORD_ASKED,      /* number, flag: of the plane; op, slot, result: role or kind, low, high */
	/* the recorder itself */
	RECORD_FULL,       /* nothing more was recorded; text: why */
	RECORD_KINDS,
};

static inline bool record_is_input(enum record_kind kind)
{
	return kind <= RECORD_CORRECTED;
}

/* What of a plane_request is an answer. */
struct record_plane {
	uint64_t low, high, position, copied_sectors, mismatch_sectors;
	uint64_t took_ns, write_p99_ns, needed_chunks;
	bool was_busy;
};

/* What of a metadata_request is an answer about a disk that comes. */
struct record_disk {
	uint32_t number;
	uint8_t device_uuid[16];
	bool is_re_add;
};

/* Pointers are borrowed: of the caller, or of the record that was read. */
struct record {
	enum record_kind kind;
	uint64_t now;
	bool flag;
	uint8_t op;
	int32_t result, slot;
	uint64_t number, low, high;
	char text[RECORD_TEXT];

	const struct array_config *config;

	const struct lockspace_member *members;
	size_t member_count;

	const char *lock_name;
	uint8_t lock_name_length;
	struct lock_result lock;
	const uint8_t *value;       /* NULL: none came back */
	uint8_t value_length;
	uint32_t blockers[8];
	uint32_t blocker_count;

	const struct metadata_view *view; /* NULL: none */
	const uint8_t *bits;        /* of `bit_count`; NULL: none */
	uint64_t bit_count, dirty;
	struct record_plane plane;
	struct record_disk disk;

	struct array_event event;   /* array: not kept; text: text above */
};

/* Bytes that the record takes at most, for record_write(). */
size_t record_room(const struct record *r);
/* Returns its length; 0: `room` is too small. */
size_t record_write(const struct record *r, uint8_t *to, size_t room);

/* A reader over a whole file; what it hands out lives until the next call. */
struct record_reader;
/* NULL with a sentence: -EBADMSG (no recording, or of another version), -ENOMEM. */
struct record_reader *record_reader_new(const void *bytes, size_t length, struct err *err);
void record_reader_free(struct record_reader *rr);
/* 1, 0 (the end; a last record that was cut off is one), -EBADMSG with the offset. */
int record_read(struct record_reader *rr, struct record *r, struct err *err);
/* Goes on where it was then. */
size_t record_place(const struct record_reader *rr);
void record_seek(struct record_reader *rr, size_t place);

/* An output as it is compared: all but the time, and but for their answers. */
bool record_is_same(const struct record *a, const struct record *b);
struct plane_request;
struct metadata_request;
struct record record_of_plane(uint64_t number, const struct plane_request *req);
struct record record_of_metadata(uint64_t number, const struct metadata_request *req);

/* "recover_done": for people. */
const char *record_kind_name(enum record_kind kind);
