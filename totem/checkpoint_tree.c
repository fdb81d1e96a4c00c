/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state: checkpoints by number and by name, their sections by name. What it
 * becomes depends on the operations alone, and its limits on what is in it (C1).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "totem/checkpoint_private.h"

void checkpoint_tree_init(struct checkpoint_tree *t)
{
	memset(t, 0, sizeof(*t));
	t->next = 1;
}

static void free_one(struct checkpoint *c)
{
	while (c->count > 0)
		free(c->sections[--c->count]);
	free(c->sections);
	free(c);
}

void checkpoint_tree_fini(struct checkpoint_tree *t)
{
	while (t->count > 0)
		free_one(t->numbered[--t->count]);
	checkpoint_tree_init(t);
}

/* --- names and numbers ---------------------------------------------------------- */

/* The shorter is the lower where it is the beginning of the other. */
static int compare_names(const void *a, size_t a_length, const void *b, size_t b_length)
{
	int order = memcmp(a, b, min_u64(a_length, b_length));

	return order ? order : (a_length > b_length) - (a_length < b_length);
}

/* The first whose number is not below this one. */
static size_t number_place(const struct checkpoint_tree *t, uint64_t number)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->numbered[mid]->id.number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t name_place(const struct checkpoint_tree *t, const void *name, size_t length,
			 bool *is_there)
{
	size_t low = 0, high = t->named_count;

	*is_there = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct checkpoint *c = t->named[mid];
		int order = compare_names(c->name, c->name_length, name, length);

		if (order == 0)
			*is_there = true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct checkpoint *checkpoint_tree_numbered(const struct checkpoint_tree *t,
					    uint64_t number)
{
	size_t at = number_place(t, number);

	return at < t->count && t->numbered[at]->id.number == number ? t->numbered[at] :
								       NULL;
}

struct checkpoint *checkpoint_tree_named(const struct checkpoint_tree *t,
					 const void *name, size_t length)
{
	bool is_there;
	size_t at = name_place(t, name, length, &is_there);

	return is_there ? t->named[at] : NULL;
}

static bool is_same_birth(const struct checkpoint_birth *a,
			  const struct checkpoint_birth *b)
{
	return a->node == b->node && a->incarnation == b->incarnation &&
	       a->serial == b->serial;
}

struct checkpoint *checkpoint_tree_find(const struct checkpoint_tree *t,
					const struct checkpoint_id *id)
{
	struct checkpoint *c = checkpoint_tree_numbered(t, id->number);

	return c && is_same_birth(&c->id.birth, &id->birth) ? c : NULL;
}

static void insert(struct checkpoint **list, size_t *count, size_t at,
		   struct checkpoint *c)
{
	memmove(list + at + 1, list + at, (*count - at) * sizeof(struct checkpoint *));
	list[at] = c;
	(*count)++;
}

static void cut(struct checkpoint **list, size_t *count, size_t at)
{
	(*count)--;
	memmove(list + at, list + at + 1, (*count - at) * sizeof(struct checkpoint *));
}

int checkpoint_tree_add(struct checkpoint_tree *t, const struct checkpoint_id *id,
			const void *name, size_t length, bool is_unlinked)
{
	struct checkpoint *c;
	bool is_there;
	size_t at = name_place(t, name, length, &is_there);

	assert(is_unlinked || !is_there);
	assert(t->count == 0 || t->numbered[t->count - 1]->id.number < id->number);
	if (t->count >= CHECKPOINT_MAX_COUNT)
		return -ENOSPC;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->id = *id;
	c->is_unlinked = is_unlinked;
	c->name_length = (uint8_t)length;
	memcpy(c->name, name, length);
	insert(t->numbered, &t->count, t->count, c);
	if (!is_unlinked)
		insert(t->named, &t->named_count, at, c);
	return 0;
}

void checkpoint_tree_unlink(struct checkpoint_tree *t, struct checkpoint *c)
{
	bool is_there;
	size_t at = name_place(t, c->name, c->name_length, &is_there);

	assert(is_there && t->named[at] == c);
	cut(t->named, &t->named_count, at);
	c->is_unlinked = true;
}

static size_t cost(const struct checkpoint_section *section)
{
	return CHECKPOINT_SECTION_COST + section->name_length + section->length;
}

void checkpoint_tree_remove(struct checkpoint_tree *t, struct checkpoint *c)
{
	size_t i;

	assert(c->is_unlinked && c->references == 0);
	for (i = 0; i < c->count; i++)
		t->bytes -= cost(c->sections[i]);
	cut(t->numbered, &t->count, number_place(t, c->id.number));
	free_one(c);
}

void checkpoint_tree_reap(struct checkpoint_tree *t, struct checkpoint *c)
{
	if (c->is_unlinked && c->references == 0)
		checkpoint_tree_remove(t, c);
}

void checkpoint_tree_reap_all(struct checkpoint_tree *t)
{
	for (size_t i = t->count; i > 0; i--)
		checkpoint_tree_reap(t, t->numbered[i - 1]);
}

/* --- references ----------------------------------------------------------------- */

void checkpoint_tree_refer(struct checkpoint_tree *t, struct checkpoint *c, int node,
			   uint32_t opens)
{
	assert(opens <= CHECKPOINT_MAX_OPENS - t->opens[node]);
	c->opens[node] += opens;
	c->references += opens;
	t->opens[node] += opens;
}

void checkpoint_tree_forget(struct checkpoint_tree *t, struct checkpoint *c, int node)
{
	assert(c->opens[node] > 0);
	c->opens[node]--;
	c->references--;
	t->opens[node]--;
}

/* --- sections ------------------------------------------------------------------- */

static size_t section_place(const struct checkpoint *c, const void *name, size_t length,
			    bool *is_there)
{
	size_t low = 0, high = c->count;

	*is_there = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct checkpoint_section *s = c->sections[mid];
		int order = compare_names(s->bytes, s->name_length, name, length);

		if (order == 0)
			*is_there = true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct checkpoint_section *checkpoint_section(const struct checkpoint *c,
						    const void *name, size_t length)
{
	bool is_there;
	size_t at = section_place(c, name, length, &is_there);

	return is_there ? c->sections[at] : NULL;
}

static bool reserve(struct checkpoint *c)
{
	struct checkpoint_section **larger;
	size_t room = c->room ? 2 * c->room : 4;

	if (c->count < c->room)
		return true;
	larger = reallocarray(c->sections, room, sizeof(struct checkpoint_section *));
	if (!larger)
		return false;
	c->sections = larger;
	c->room = room;
	return true;
}

static struct checkpoint_section *section_new(const void *name, size_t name_length,
					      const void *data, size_t length)
{
	struct checkpoint_section *s = malloc(sizeof(*s) + name_length + length);

	if (!s)
		return NULL;
	s->length = (uint32_t)length;
	s->name_length = (uint8_t)name_length;
	memcpy(s->bytes, name, name_length);
	if (length > 0)
		memcpy(s->bytes + name_length, data, length);
	return s;
}

int checkpoint_section_put(struct checkpoint_tree *t, struct checkpoint *c,
			   const void *name, size_t name_length, const void *data,
			   size_t length)
{
	bool is_there;
	size_t at = section_place(c, name, name_length, &is_there);
	size_t others = t->bytes - (is_there ? cost(c->sections[at]) : 0);
	size_t own = CHECKPOINT_SECTION_COST + name_length + length;
	struct checkpoint_section *s;

	if ((!is_there && c->count >= CHECKPOINT_MAX_SECTIONS) ||
	    own > CHECKPOINT_MAX_BYTES - others)
		return -ENOSPC;
	s = section_new(name, name_length, data, length);
	if (!s || (!is_there && !reserve(c))) {
		free(s);
		return -ENOMEM;
	}
	if (is_there) {
		free(c->sections[at]);
	} else {
		memmove(c->sections + at + 1, c->sections + at,
			(c->count - at) * sizeof(struct checkpoint_section *));
		c->count++;
	}
	c->sections[at] = s;
	t->bytes = others + own;
	return 0;
}

int checkpoint_section_delete(struct checkpoint_tree *t, struct checkpoint *c,
			      const void *name, size_t length)
{
	bool is_there;
	size_t at = section_place(c, name, length, &is_there);

	if (!is_there)
		return -ENOENT;
	t->bytes -= cost(c->sections[at]);
	free(c->sections[at]);
	c->count--;
	memmove(c->sections + at, c->sections + at + 1,
		(c->count - at) * sizeof(struct checkpoint_section *));
	return 0;
}

/* --- sums ----------------------------------------------------------------------- */

/* FNV-1a: against mistakes, not against an enemy; those do not get past the seal. */
static uint64_t sum_bytes(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ b[i]) * 1099511628211u;
	return sum;
}

static uint64_t sum_number(uint64_t sum, uint64_t n)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(n >> (8 * i)); /* the same on any machine */
	return sum_bytes(sum, bytes, sizeof(bytes));
}

static uint64_t sum_birth(uint64_t sum, const struct checkpoint_birth *b)
{
	sum = sum_number(sum, b->node);
	sum = sum_number(sum, b->incarnation);
	return sum_number(sum, b->serial);
}

void checkpoint_tree_count(struct checkpoint_tree *t, const struct checkpoint_birth *b)
{
	t->operations++;
	t->history = sum_birth(t->history ^ 14695981039346656037u, b);
}

static uint64_t sum_checkpoint(uint64_t sum, const struct checkpoint *c)
{
	size_t i;
	int node;

	sum = sum_birth(sum_number(sum, c->id.number), &c->id.birth);
	sum = sum_number(sum, c->is_unlinked);
	sum = sum_bytes(sum_number(sum, c->name_length), c->name, c->name_length);
	for (node = 0; node < TOTEM_MAX_NODES; node++)
		sum = sum_number(sum, c->opens[node]);
	sum = sum_number(sum, c->count);
	for (i = 0; i < c->count; i++) {
		const struct checkpoint_section *s = c->sections[i];

		sum = sum_number(sum_number(sum, s->name_length), s->length);
		sum = sum_bytes(sum, s->bytes, (size_t)s->name_length + s->length);
	}
	return sum;
}

uint64_t checkpoint_tree_digest(const struct checkpoint_tree *t)
{
	uint64_t sum = 14695981039346656037u;

	sum = sum_number(sum, t->next);
	sum = sum_number(sum, t->operations);
	sum = sum_number(sum, t->history);
	sum = sum_number(sum, t->bytes);
	for (size_t i = 0; i < t->count; i++)
		sum = sum_checkpoint(sum, t->numbered[i]);
	return sum;
}
