/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose state of a lockspace goes on (M4), and who has another one (M6). */
#include "tests/unit/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lockres/manager_sync.h"

static int broken, gone_on;

void __wrap_sync_break(struct sync *s, const char *why);
void __wrap_sync_go_on(struct sync *s);

/* The linker leads all calls here. */
void __wrap_sync_break(struct sync *s, const char *why)
{
	(void)s;
	(void)why;
	broken++;
}

void __wrap_sync_go_on(struct sync *s)
{
	(void)s;
	gone_on++;
}

static struct node_set deviants;

static void on_diverged(void *owner, uint32_t node, const char *lockspace)
{
	(void)owner;
	assert_string_equal(lockspace, "x");
	set_add(&deviants, (int)node - 1);
}

/* Nodes 1.. with indices 0.., all of them partners. */
static struct lock_manager *manager_of_nodes(int nodes)
{
	struct lock_manager *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->ops.diverged = on_diverged;
	m->config.nodes.count = nodes;
	for (int i = 0; i < nodes; i++) {
		m->config.nodes.ids[i] = (uint32_t)i + 1;
		set_add(&m->phase.members, i);
	}
	m->phase.partners = m->phase.members;
	deviants = (struct node_set){ { 0 } };
	broken = gone_on = 0;
	return m;
}

static void manager_gone(struct lock_manager *m)
{
	manager_sync_drop(m);
	free(m);
}

static struct space_head *add_head(struct lock_manager *m, int node, const char *name)
{
	struct manager_heads *heads = &m->phase.heads[node];
	struct space_head *head;

	heads->spaces = realloc(heads->spaces, (heads->count + 1) * sizeof(*head));
	assert_non_null(heads->spaces);
	head = &heads->spaces[heads->count++];
	*head = (struct space_head){ .id = { 4, 1, 1, 1 }, .digest = 7 };
	head->version.epoch = (struct ring_id){ 1, 8 };
	head->version.operations = 5;
	head->name_length = (uint8_t)strlen(name);
	memcpy(head->name, name, head->name_length);
	return head;
}

static struct space_head *add_grave(struct lock_manager *m, int node, const char *name)
{
	struct manager_heads *heads = &m->phase.heads[node];
	struct space_head *head;

	heads->graves = realloc(heads->graves, (heads->grave_count + 1) * sizeof(*head));
	assert_non_null(heads->graves);
	head = &heads->graves[heads->grave_count++];
	*head = *add_head(m, node, name);
	m->phase.heads[node].count--;
	head->is_over = true;
	return head;
}

static int provider_of(struct lock_manager *m)
{
	manager_choose(m);
	assert_int_equal(m->phase.candidate_count, 1);
	return m->phase.candidates[0].provider;
}

static void the_later_epoch_wins_then_the_later_made_then_the_farther(void **state)
{
	struct lock_manager *m;

	(void)state;
	m = manager_of_nodes(2);
	add_head(m, 0, "x")->version.operations = 99;
	add_head(m, 1, "x")->version.epoch.seq = 12;
	assert_int_equal(provider_of(m), 1);
	manager_gone(m);
	m = manager_of_nodes(2);
	add_head(m, 0, "x")->id.ring_seq = 99;
	add_head(m, 1, "x")->version.epoch.seq = 12;
	assert_int_equal(provider_of(m), 1);
	manager_gone(m);
	m = manager_of_nodes(2);
	add_head(m, 0, "x")->version.operations = 99;
	add_head(m, 1, "x")->id.ring_seq = 8;
	assert_int_equal(provider_of(m), 1);
	manager_gone(m);
	m = manager_of_nodes(2);
	add_head(m, 0, "x")->version.operations = 99;
	add_head(m, 1, "x")->id.count = 2;
	assert_int_equal(provider_of(m), 1);
	manager_gone(m);
	m = manager_of_nodes(2);
	add_head(m, 0, "x");
	add_head(m, 1, "x")->version.operations = 6;
	assert_int_equal(provider_of(m), 1);
	assert_true(m->phase.candidates[0].needs_table);
	manager_gone(m);
}

static void of_equal_states_the_lowest_node_tells_and_no_locks(void **state)
{
	struct lock_manager *m = manager_of_nodes(3);

	(void)state;
	for (int i = 0; i < 3; i++)
		add_head(m, i, "x");
	assert_int_equal(provider_of(m), 0);
	assert_false(m->phase.candidates[0].needs_table);
	assert_true(set_is_empty(deviants));
	manager_gone(m);
}

static void who_lacks_a_lockspace_needs_its_locks(void **state)
{
	struct lock_manager *m = manager_of_nodes(3);

	(void)state;
	add_head(m, 1, "x");
	add_head(m, 2, "x");
	assert_int_equal(provider_of(m), 1);
	assert_true(m->phase.candidates[0].needs_table);
	manager_gone(m);
}

static void that_all_have_left_it_is_a_state_like_others(void **state)
{
	struct lock_manager *m;

	(void)state;
	m = manager_of_nodes(3); /* it was left behind what node 3 has */
	add_grave(m, 1, "x")->version.operations = 6;
	add_head(m, 2, "x");
	manager_choose(m);
	assert_int_equal(m->phase.candidate_count, 0);
	assert_true(set_is_empty(m->phase.providers));
	assert_int_equal(m->phase.grave_count, 1);
	assert_int_equal(m->phase.graves[0].version.operations, 6);
	manager_gone(m);
	m = manager_of_nodes(3); /* it was made again */
	add_grave(m, 1, "x")->version.operations = 6;
	add_head(m, 2, "x")->id.count = 2;
	assert_int_equal(provider_of(m), 2);
	assert_int_equal(m->phase.grave_count, 0);
	manager_gone(m);
	m = manager_of_nodes(3); /* it went on where the end of it was not heard */
	add_grave(m, 1, "x")->version.operations = 6;
	add_head(m, 2, "x")->version.epoch.seq = 12;
	assert_int_equal(provider_of(m), 2);
	assert_int_equal(m->phase.grave_count, 0);
	manager_gone(m);
}

static size_t graves_kept(struct lock_manager *m)
{
	size_t kept;

	manager_choose(m);
	assert_int_equal(m->phase.candidate_count, 0);
	kept = m->phase.grave_count;
	manager_gone(m);
	return kept;
}

static void what_nobody_has_any_more_is_forgotten(void **state)
{
	struct lock_manager *m = manager_of_nodes(3);

	(void)state;
	add_grave(m, 0, "x");
	add_grave(m, 1, "x");
	assert_int_equal(graves_kept(m), 0);
	m = manager_of_nodes(3);
	set_put(&m->phase.partners, 2, false); /* who knows */
	add_grave(m, 0, "x");
	add_grave(m, 1, "x");
	assert_int_equal(graves_kept(m), 1);
	m = manager_of_nodes(3);
	add_grave(m, 0, "x");
	add_head(m, 2, "x")->version.operations = 1; /* and may go with it now */
	assert_int_equal(graves_kept(m), 1);
}

/* M6 */
static void what_most_have_goes_on_and_the_others_are_named(void **state)
{
	struct lock_manager *m = manager_of_nodes(4);

	(void)state;
	m->self = 1;
	add_head(m, 0, "x")->digest = 1;
	for (int i = 1; i < 3; i++)
		add_head(m, i, "x");
	add_head(m, 3, "x")->digest = 2;
	assert_int_equal(provider_of(m), 1);
	assert_int_equal(m->phase.candidates[0].head.digest, 7);
	assert_int_equal(deviants.bits[0], 9);
	assert_int_equal(m->stats.diverged, 2);
	assert_int_equal(broken, 0);
	manager_gone(m);
}

static void without_a_most_the_lowest_is_right_and_the_other_leaves(void **state)
{
	for (int self = 0; self < 2; self++) {
		struct lock_manager *m = manager_of_nodes(2);

		(void)state;
		m->self = self;
		add_head(m, 0, "x");
		add_head(m, 1, "x")->digest = 2;
		assert_int_equal(provider_of(m), 0);
		assert_int_equal(deviants.bits[0], 2);
		assert_int_equal(broken, self);
		manager_gone(m);
	}
}

/* It takes a tenth of a second; where each is looked for among all, minutes. */
static void all_lockspaces_of_all_nodes_are_chosen_at_once(void **state)
{
	struct lock_manager *m = manager_of_nodes(TOTEM_MAX_NODES);
	char name[24];

	(void)state;
	for (int i = 0; i < TOTEM_MAX_NODES; i++)
		for (int k = 0; k < LOCK_MANAGER_MAX_SPACES; k++) {
			snprintf(name, sizeof(name), "space %4d", k);
			add_head(m, i, name)->id.count = (uint32_t)k;
		}
	manager_choose(m);
	assert_int_equal(m->phase.candidate_count, LOCK_MANAGER_MAX_SPACES);
	for (int k = 0; k < LOCK_MANAGER_MAX_SPACES; k++) {
		assert_int_equal(m->phase.candidates[k].head.id.count, k);
		assert_false(m->phase.candidates[k].needs_table);
	}
	manager_gone(m);
}

/* One node has as many of both as there can be, one of a name, and another has others. */
static void graves_take_no_room_from_lockspaces(void **state)
{
	struct lock_manager *m = manager_of_nodes(3);
	char name[24];

	(void)state;
	set_put(&m->phase.partners, 2, false);
	for (int k = 0; k < 2 * LOCK_MANAGER_MAX_GRAVES; k++) {
		snprintf(name, sizeof(name), k > 0 ? "grave %4d" : "space %4d", k);
		add_grave(m, k / LOCK_MANAGER_MAX_GRAVES, name)->version.operations = 1;
	}
	for (int k = 0; k < LOCK_MANAGER_MAX_SPACES; k++) {
		snprintf(name, sizeof(name), "space %4d", k);
		add_head(m, 0, name);
	}
	add_head(m, 1, "grave    1");
	add_head(m, 1, "y");
	manager_choose(m);
	assert_int_equal(m->phase.candidate_count, LOCK_MANAGER_MAX_SPACES);
	assert_int_equal(m->phase.grave_count, LOCK_MANAGER_MAX_GRAVES - 1);
	assert_int_equal(m->stats.faults[LOCK_FAULT_LIMIT], LOCK_MANAGER_MAX_GRAVES + 2);
	manager_gone(m);
}

static bool has_grave(const struct lock_manager *m, uint32_t count)
{
	for (size_t i = 0; i < m->grave_count; i++)
		if (m->graves[i].id.count == count)
			return true;
	return false;
}

static void of_too_many_graves_the_oldest_is_forgotten(void **state)
{
	struct lock_manager *m = manager_of_nodes(1);
	struct space s = { .manager = m, .name_length = 2 };

	(void)state;
	for (uint32_t i = 0; i <= LOCK_MANAGER_MAX_GRAVES; i++) {
		m->ring.seq = i == 7 ? 1 : 8;
		s.id.count = i;
		memcpy(s.name, &i, s.name_length);
		grave_dig(&s);
	}
	assert_int_equal(m->grave_count, LOCK_MANAGER_MAX_GRAVES);
	assert_false(has_grave(m, 7));
	assert_true(has_grave(m, 0));
	assert_true(has_grave(m, LOCK_MANAGER_MAX_GRAVES));
	grave_level(m, "\0\0", 2);
	assert_false(has_grave(m, 0));
	assert_int_equal(m->grave_count, LOCK_MANAGER_MAX_GRAVES - 1);
	manager_gone(m);
}

static void hear(struct lock_manager *m, int from, const uint8_t *bytes, size_t length)
{
	struct rd rd = rd_over(bytes, length);

	manager_hear(m, from, &rd);
}

/* Y5: or the others would wait for it for ever, and none of them is to blame. */
static void who_does_not_say_what_it_has_has_nothing(void **state)
{
	struct lock_manager *m = manager_of_nodes(2);
	uint8_t bytes[128];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	(void)state;
	told_heads_write(&wr, m);
	hear(m, 0, bytes, wr.at);
	hear(m, 1, bytes, wr.at - 1);
	assert_int_equal(m->stats.faults[LOCK_FAULT_MESSAGE], 1);
	assert_true(set_equal(m->phase.heads_of, m->phase.partners));
	assert_int_equal(gone_on, 1);
	manager_gone(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_later_epoch_wins_then_the_later_made_then_the_farther),
		cmocka_unit_test(of_equal_states_the_lowest_node_tells_and_no_locks),
		cmocka_unit_test(who_lacks_a_lockspace_needs_its_locks),
		cmocka_unit_test(that_all_have_left_it_is_a_state_like_others),
		cmocka_unit_test(what_nobody_has_any_more_is_forgotten),
		cmocka_unit_test(what_most_have_goes_on_and_the_others_are_named),
		cmocka_unit_test(without_a_most_the_lowest_is_right_and_the_other_leaves),
		cmocka_unit_test(all_lockspaces_of_all_nodes_are_chosen_at_once),
		cmocka_unit_test(graves_take_no_room_from_lockspaces),
		cmocka_unit_test(of_too_many_graves_the_oldest_is_forgotten),
		cmocka_unit_test(who_does_not_say_what_it_has_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
