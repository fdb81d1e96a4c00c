/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, and which handles are in them. Pure tables. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "totem/group_private.h"

/* FNV-1a */
static struct group_name **bucket_of(struct group_names *names, const void *bytes,
				     size_t length)
{
	const uint8_t *b = bytes;
	uint32_t hash = 2166136261u;

	while (length-- > 0)
		hash = (hash ^ *b++) * 16777619u;
	return &names->buckets[(hash ^ hash >> 16) % GROUP_BUCKETS];
}

struct group_name *group_name_get(struct group_names *names, const void *bytes,
				  size_t length)
{
	struct group_name **bucket = bucket_of(names, bytes, length), *n;

	assert(length >= 1 && length <= GROUP_MAX_NAME);
	for (n = *bucket; n; n = n->next)
		if (n->length == length && memcmp(n->bytes, bytes, length) == 0)
			return group_name_ref(n);
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->refs = 1;
	n->length = (uint8_t)length;
	memcpy(n->bytes, bytes, length);
	n->next = *bucket;
	*bucket = n;
	return n;
}

struct group_name *group_name_ref(struct group_name *name)
{
	name->refs++;
	return name;
}

void group_name_put(struct group_names *names, struct group_name *name)
{
	struct group_name **at = bucket_of(names, name->bytes, name->length);

	if (--name->refs > 0)
		return;
	assert(!name->handles);
	while (*at != name)
		at = &(*at)->next;
	*at = name->next;
	free(name);
}

/* Where the handle is, or belongs. */
static size_t place_of(const struct roster *r, uint32_t handle)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->entries[mid].handle < handle)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct roster_entry *roster_find(const struct roster *r, uint32_t handle)
{
	size_t i = place_of(r, handle);

	return i < r->count && r->entries[i].handle == handle ? &r->entries[i] :
								NULL;
}

bool roster_add(struct roster *r, uint32_t handle, struct group_name *name)
{
	size_t i = place_of(r, handle);

	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 8;
		struct roster_entry *entries =
			reallocarray(r->entries, room, sizeof(*entries));

		if (!entries)
			return false;
		r->entries = entries;
		r->room = room;
	}
	memmove(&r->entries[i + 1], &r->entries[i],
		(r->count - i) * sizeof(*r->entries));
	r->entries[i] = (struct roster_entry){ handle, name };
	r->count++;
	return true;
}

struct group_name *roster_remove(struct roster *r, uint32_t handle)
{
	size_t i = place_of(r, handle);
	struct group_name *name = r->entries[i].name;

	assert(i < r->count && r->entries[i].handle == handle);
	r->count--;
	memmove(&r->entries[i], &r->entries[i + 1],
		(r->count - i) * sizeof(*r->entries));
	return name;
}

void roster_clear(struct roster *r, struct group_names *names)
{
	while (r->count > 0)
		group_name_put(names, r->entries[--r->count].name);
	free(r->entries);
	*r = (struct roster){ 0 };
}

void proposal_clear(struct group_proposal *p, struct group_names *names)
{
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		roster_clear(&p->rosters[i], names);
	memset(p, 0, sizeof(*p));
}
