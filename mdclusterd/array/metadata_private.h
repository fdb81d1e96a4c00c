/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the metadata's files share.
 *
 *	metadata.c           the requests
 *	metadata_assemble.c  disks opened, judged; read anew
 *	metadata_view.c      what the superblocks say, as plain data; are there enough
 *	metadata_write.c     a change written to all superblocks
 *	metadata_roles.c     ACTIVATE, FAIL
 *	metadata_find.c      FIND; disks that others took in meanwhile
 *	metadata_come.c      PREPARE, ADD, UNPREPARE: a disk that comes
 *	metadata_newcomer.c  what a new member is like, and how it gets that
 *	metadata_return.c    may a former member come back as what it was
 *	metadata_rebuild.c   REBUILD, PROGRESS, IN_SYNC
 *	metadata_go.c        REMOVE, FORGET
 *	metadata_slots.c     slots read and cleared
 *	metadata_change.c    size, number of disks, kind of bitmap; what was interrupted of it
 */
#pragma once

#include "bitmap/array.h"
#include "mdclusterd/array/metadata.h"

struct metadata_member {
	char path[256];
	struct disk *disk;    /* owned */
	bool is_read;         /* it is in `array`, as `member` */
	size_t member;        /* index there */
	bool is_candidate;    /* no superblock but its own knows of it yet; in no view */
	bool is_new;          /* PREPARE wrote it */
	/* As it was read last. */
	uint8_t set_uuid[16];
	uint32_t dev_number;
	uint16_t own_role;    /* by its own superblock */
	uint64_t own_events, own_size;
	uint32_t own_raid_disks;
	struct metadata_disk last;
};

struct metadata {
	const struct metadata_ops *ops;
	void *owner;
	struct metadata_member members[METADATA_MAX_DISKS];
	size_t count;
	struct md_array array; /* of those that were read */
	bool is_loaded;        /* array is there */
	uint64_t known_events; /* of the freshest superblock that was ever read */
	uint64_t assembled_events; /* ASSEMBLE's, until ACTIVATE is done; else 0 */
};

/* A disk's, and not for want of memory, of power, or of the leave to write (D13). */
bool metadata_is_disk_fault(int error);

int metadata_assemble(struct metadata *md, struct metadata_request *req);
/* Superblocks as they are, of the disks that count; what cannot be read keeps what was
 * known of it, and so does skip_role, which is not asked. */
int metadata_reload(struct metadata *md, uint32_t skip_role, struct err *err);
void metadata_close(struct metadata *md);
/* array is given back. */
void metadata_forget(struct metadata *md);
/* Opens one more, as the last of members; it is not in `array` before a reload. */
int metadata_open(struct metadata *md, const char *path, struct err *err);
/* Closed, and gone from members; `array` with it where it knows the disk: a reload is due. */
void metadata_drop(struct metadata *md, size_t index);
/* Reads who it is, and that its bitmap is sound. */
int metadata_try(struct metadata_member *m, struct err *err);
/* Does it fit into the array, by all fields that members have in common? */
int metadata_check_alike(const struct metadata *md, struct disk *disk, struct err *err);
/* members' index; md->count: nobody. */
size_t metadata_with_number(const struct metadata *md, uint32_t number);
size_t metadata_with_uuid(const struct metadata *md, const uint8_t device_uuid[16]);
struct md_member *metadata_member_of(struct metadata *md, uint32_t number);

void metadata_make_view(struct metadata *md, struct metadata_view *view);
/* What each member is, by the superblocks that were read last. */
void metadata_note_states(struct metadata *md);
/* The freshest superblock's role of a device; faulty where it has none. */
uint16_t metadata_role_of(const struct metadata *md, uint32_t dev_number);
/* It takes part: its superblock and slots are written. */
bool metadata_is_written(const struct metadata *md, const struct md_member *m);

#define METADATA_NO_NUMBER UINT32_MAX

/* What superblocks shall say. */
struct metadata_change {
	struct md_sb wanted;      /* roles, resync_offset, events: of all */
	/* Who gets a state of its own, and is written whatever it was; METADATA_NO_NUMBER. */
	uint32_t number;
	bool is_first;            /* before all others; else behind them */
	uint32_t features;        /* of MD_FEATURE_RECOVERY_OFFSET, RECOVERY_BITMAP */
	uint64_t recovery_offset;
};

/*
 * As the freshest superblock says. Roles whose disk is not here, could not be read, or is stale
 * become faulty, for they miss what comes -> is_left.
 */
void metadata_change_init(struct metadata *md, struct metadata_change *c, bool *is_left);
/* Role `without` aside, are there enough with these roles? */
bool metadata_is_enough_with(struct metadata *md, const struct md_sb *wanted,
			     uint32_t without);
/* All that take part say what is wanted already. */
bool metadata_is_so(const struct metadata *md, const struct metadata_change *c);
/* events + 1. Who does not take it is faulty in c->wanted. */
int metadata_store(struct metadata *md, struct metadata_change *c, struct err *err);
/* The superblock that one member gets of it. */
struct md_sb metadata_make(const struct md_member *m, const struct metadata_change *c);

int metadata_activate(struct metadata *md, struct err *err);
int metadata_fail(struct metadata *md, struct metadata_request *req);

int metadata_change(struct metadata *md, struct metadata_request *req);
/* Members that an interrupted change left behind are brought after, or are not used. */
int metadata_finish_change(struct metadata *md, struct err *err);

int metadata_prepare(struct metadata *md, struct metadata_request *req);
int metadata_find(struct metadata *md, struct metadata_request *req);
/* Candidates are closed; so is that device, where it is faulty. */
void metadata_drop_idle(struct metadata *md, const uint8_t device_uuid[16]);
/* What this node knows of the device at this path, but for `device_uuid`, and does not use. */
void metadata_drop_former(struct metadata *md, const char *path, const uint8_t device_uuid[16]);
/* The number is free for who comes: -EEXIST. */
int metadata_take_number(struct metadata *md, uint32_t number, struct err *err);
int metadata_add(struct metadata *md, struct metadata_request *req);
int metadata_unprepare(struct metadata *md, struct metadata_request *req);
/* A new member's superblock and empty slots, written to the disk. is_member: it was one. */
int metadata_write_newcomer(struct metadata *md, struct metadata_request *req,
			    struct disk *disk, bool is_member);
int metadata_erase_newcomer(struct disk *disk, struct err *err);
/* -ESTALE with the reason: it may not come back as what it was. */
int metadata_check_return(struct metadata *md, struct disk *disk, struct err *err);

int metadata_rebuild(struct metadata *md, struct metadata_request *req);
int metadata_progress(struct metadata *md, struct metadata_request *req);
int metadata_in_sync(struct metadata *md, struct metadata_request *req);

int metadata_remove(struct metadata *md, struct metadata_request *req);
int metadata_forget_disk(struct metadata *md, struct metadata_request *req);

/* Active numbers that no open disk has, looked for among this node's; true: some are open now. */
bool metadata_look_around(struct metadata *md, uint32_t skip_role);

/* A slot as all in sync have it; bitmap_slot_fini() also after an error. -EIO: -> *role */
int metadata_load_slot(struct metadata *md, uint32_t number, struct bitmap_slot *slot,
		       uint32_t *role, struct err *err);
int metadata_read_slot(struct metadata *md, struct metadata_request *req);
int metadata_clear_slot(struct metadata *md, struct metadata_request *req);
/* All slots are emptied, durably. */
int metadata_clear_all(struct metadata *md, struct err *err);
