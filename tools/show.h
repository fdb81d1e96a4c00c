/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `examine` and `examine-bitmap` print. The human form has mdadm's lines,
 * letter for letter and in its order, so that eyes and scripts find them, with
 * lines of our own between them. JSON: mdcluster-json(7).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "bitmap/member.h"
#include "bitmap/slot.h"

#define SHOW_JSON_SCHEMA "mdcluster/1"

/* fault: why the superblock must not be used, or NULL if it is sound. */
void show_member(FILE *to, const struct md_member *member, const char *fault);
json_t *show_member_json(const struct md_member *member, const char *fault);

/* The head of a bitmap, then each of its slots. */
void show_bitmap(FILE *to, const struct md_member *member);
void show_slot(FILE *to, const struct md_member *member,
	       const struct bitmap_slot *slot);
json_t *show_bitmap_json(const struct md_member *member); /* with empty "slots" */
json_t *show_slot_json(const struct bitmap_slot *slot);

/* Bytes up to a NUL, or `max`, as a JSON string; what is not UTF-8 becomes '?'. */
json_t *show_json_text(const char *bytes, size_t max);

/*
 * Prints a list of such objects: the one itself if only one disk was asked for,
 * an array if several were. Takes the list.
 */
void show_json_list(json_t *list, size_t asked);

/* "raid1": static storage. "0", "spare": static, or in `to`. */
const char *show_level(int32_t level);
const char *show_role(uint16_t role, char to[16]);

/* "  (local to host web1)" if the name is of this host's, else "". Returns `to`. */
enum { SHOW_HOST_BYTES = 96 };
const char *show_local_host(const char *name, char to[SHOW_HOST_BYTES]);

/* mdadm's human_size(): "" below 5 MB, else " (63.00 MiB 66.06 MB)". */
const char *show_size(uint64_t bytes, char to[64]);
/* mdadm's human_size_brief(): "66.06MB". */
const char *show_size_brief(uint64_t bytes, char to[64]);
/* Of a raid1 or raid10: what its users see. */
uint64_t show_array_bytes(const struct md_sb *sb);
