/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The treap of range.h: split and join, depth O(log n) on average. */
#include "mdclusterd/mirror/range.h"

#include <stddef.h>

#include "base/arith.h"

static uint64_t hash(uint64_t n)
{
	n = (n + 1) * 0x9e3779b97f4a7c15;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
	n = (n ^ n >> 27) * 0x94d049bb133111eb;
	return n ^ n >> 31;
}

static bool is_before(const struct range *a, const struct range *b)
{
	return a->low != b->low ? a->low < b->low : a->seq < b->seq;
}

static void update(struct range *r)
{
	r->max_high = r->high;
	if (r->left)
		r->max_high = max_u64(r->max_high, r->left->max_high);
	if (r->right)
		r->max_high = max_u64(r->max_high, r->right->max_high);
}

/* Those of `tree` before `at`, and the others. */
static void split(struct range *tree, const struct range *at, struct range **before,
		  struct range **after)
{
	if (!tree) {
		*before = NULL;
		*after = NULL;
	} else if (is_before(tree, at)) {
		split(tree->right, at, &tree->right, after);
		*before = tree;
		update(tree);
	} else {
		split(tree->left, at, before, &tree->left);
		*after = tree;
		update(tree);
	}
}

static struct range *join(struct range *before, struct range *after)
{
	if (!before)
		return after;
	if (!after)
		return before;
	if (before->priority > after->priority) {
		before->right = join(before->right, after);
		update(before);
		return before;
	}
	after->left = join(before, after->left);
	update(after);
	return after;
}

static struct range *insert(struct range *tree, struct range *r)
{
	if (!tree || r->priority > tree->priority) {
		split(tree, r, &r->left, &r->right);
		update(r);
		return r;
	}
	if (is_before(r, tree))
		tree->left = insert(tree->left, r);
	else
		tree->right = insert(tree->right, r);
	update(tree);
	return tree;
}

static struct range *take_out(struct range *tree, struct range *r)
{
	if (tree == r)
		return join(r->left, r->right);
	if (is_before(r, tree))
		tree->left = take_out(tree->left, r);
	else
		tree->right = take_out(tree->right, r);
	update(tree);
	return tree;
}

static bool find(struct range *tree, uint64_t low, uint64_t high,
		 bool (*is_it)(struct range *range, void *context), void *context)
{
	if (!tree || tree->max_high <= low)
		return false;
	if (find(tree->left, low, high, is_it, context))
		return true;
	if (tree->low >= high)
		return false;
	if (tree->high > low && is_it(tree, context))
		return true;
	return find(tree->right, low, high, is_it, context);
}

bool ranges_find(const struct ranges *ranges, uint64_t low, uint64_t high,
		 bool (*is_it)(struct range *range, void *context), void *context)
{
	return find(ranges->root, low, high, is_it, context);
}

static bool count_one(struct range *range, void *context)
{
	uint32_t *count = context;

	(void)range;
	(*count)++;
	return false;
}

bool ranges_add(struct ranges *ranges, struct range *range)
{
	range->seq = ranges->seq++;
	range->priority = hash(range->seq);
	range->left = NULL;
	range->right = NULL;
	range->blocked = 0;
	range->is_in = true;
	find(ranges->root, range->low, range->high, count_one, &range->blocked);
	ranges->root = insert(ranges->root, range);
	ranges->count++;
	return range->blocked == 0;
}

struct freeing {
	uint64_t seq;
	struct qb_list_head *freed;
};

/* Kept in the order of adding, for whoever goes first takes the region. */
static void add_in_order(struct range *range, struct qb_list_head *freed)
{
	struct qb_list_head *at = freed->prev;

	while (at != freed && qb_list_entry(at, struct range, link)->seq > range->seq)
		at = at->prev;
	qb_list_add(&range->link, at);
}

static bool unblock(struct range *range, void *context)
{
	struct freeing *freeing = context;

	if (range->seq > freeing->seq && --range->blocked == 0)
		add_in_order(range, freeing->freed);
	return false;
}

void ranges_remove(struct ranges *ranges, struct range *range,
		   struct qb_list_head *freed)
{
	struct freeing freeing = { .seq = range->seq, .freed = freed };

	ranges->root = take_out(ranges->root, range);
	ranges->count--;
	range->is_in = false;
	find(ranges->root, range->low, range->high, unblock, &freeing);
}
