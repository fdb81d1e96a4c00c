/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions in turn (range.h): R1 and R2 against a list that looks at everything. */
#include <stdlib.h>

#include "base/arith.h"
#include "mdclusterd/mirror/range.h"
#include "tests/unit/help.h"

enum { RANGES = 64, STEPS = 20000, SPACE = 200 };

struct model {
	struct ranges ranges;
	struct range range[RANGES];
	bool is_in[RANGES], may_go[RANGES];
	uint64_t order[RANGES], next;
	uint64_t random;
};

static uint64_t draw(struct model *m, uint64_t below)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (m->random >> 33) % below;
}

static bool is_free_to_go(const struct model *m, uint32_t i)
{
	uint32_t k;

	for (k = 0; k < RANGES; k++)
		if (k != i && m->is_in[k] && m->order[k] < m->order[i] &&
		    m->range[k].low < m->range[i].high &&
		    m->range[i].low < m->range[k].high)
			return false;
	return true;
}

static void add(struct model *m, uint32_t i)
{
	m->range[i].low = draw(m, SPACE);
	m->range[i].high = m->range[i].low + 1 + draw(m, draw(m, 10) ? 8 : SPACE);
	m->is_in[i] = true;
	m->order[i] = m->next++;
	m->may_go[i] = ranges_add(&m->ranges, &m->range[i]);
	assert_int_equal(m->may_go[i], is_free_to_go(m, i));
}

/* Also one that waits still: it was parked. */
static void take_away(struct model *m, uint32_t i)
{
	struct qb_list_head freed;
	uint64_t last = 0;
	uint32_t k;

	QB_INIT_LIST_HEAD(&freed);
	ranges_remove(&m->ranges, &m->range[i], &freed);
	m->is_in[i] = false;
	while (!qb_list_empty(&freed)) {
		struct range *r = qb_list_first_entry(&freed, struct range, link);

		k = (uint32_t)(r - m->range);
		qb_list_del(&r->link);
		assert_false(m->may_go[k]);
		assert_true(m->order[k] >= last); /* in order */
		last = m->order[k];
		m->may_go[k] = true;
	}
	for (k = 0; k < RANGES; k++)
		if (m->is_in[k])
			assert_int_equal(m->may_go[k], is_free_to_go(m, k));
}

static bool count(struct range *range, void *context)
{
	uint32_t *n = context;

	(void)range;
	(*n)++;
	return false;
}

static void expect_all_found(struct model *m)
{
	uint64_t low = draw(m, SPACE), high = low + 1 + draw(m, 50);
	uint32_t i, wanted = 0, found = 0;

	for (i = 0; i < RANGES; i++)
		wanted += m->is_in[i] && m->range[i].low < high && low < m->range[i].high;
	ranges_find(&m->ranges, low, high, count, &found);
	assert_int_equal(found, wanted);
}

static void who_overlaps_goes_in_order_and_nobody_else_waits(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t step, i;

	(void)state;
	assert_non_null(m);
	for (step = 0; step < STEPS; step++) {
		i = (uint32_t)draw(m, RANGES);
		if (m->is_in[i])
			take_away(m, i);
		else
			add(m, i);
		expect_all_found(m);
	}
	for (i = 0; i < RANGES; i++)
		if (m->is_in[i])
			take_away(m, i);
	assert_null(m->ranges.root);
	assert_int_equal(m->ranges.count, 0);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_overlaps_goes_in_order_and_nobody_else_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
