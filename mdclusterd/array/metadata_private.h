/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the metadata's files share.
 *
 *	metadata.c           the requests
 *	metadata_assemble.c  disks opened, judged; read anew
 *	metadata_view.c      what the superblocks say, as plain data; are there enough
 *	metadata_roles.c     superblocks written: ACTIVATE, FAIL
 *	metadata_slots.c     slots read and cleared
 */
#pragma once

#include "bitmap/array.h"
#include "mdclusterd/array/metadata.h"

struct metadata_member {
	char path[256];
	struct disk *disk;    /* owned */
	bool is_read;         /* it is in `array`, as `member` */
	size_t member;        /* index there */
	/* As it was read last. */
	uint32_t dev_number;
	struct metadata_disk last;
};

struct metadata {
	struct disk *(*open)(void *owner, const char *path, struct err *err);
	void *owner;
	struct metadata_member members[METADATA_MAX_DISKS];
	size_t count;
	struct md_array array; /* of those that were read */
	bool is_loaded;        /* array is there */
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

void metadata_make_view(struct metadata *md, struct metadata_view *view);
/* Is each place of the array on one of the disks that are in sync? But for `without`. */
bool metadata_is_enough(const struct metadata_view *view, uint32_t without);
/* The freshest superblock's role of a device; faulty where it has none. */
uint16_t metadata_role_of(const struct metadata *md, uint32_t dev_number);
/* It takes part: its superblock and slots are written. */
bool metadata_is_written(const struct metadata *md, const struct md_member *m);

int metadata_activate(struct metadata *md, struct err *err);
int metadata_fail(struct metadata *md, struct metadata_request *req);

int metadata_read_slot(struct metadata *md, struct metadata_request *req);
int metadata_clear_slot(struct metadata *md, struct metadata_request *req);
/* All slots are emptied, durably. */
int metadata_clear_all(struct metadata *md, struct err *err);
