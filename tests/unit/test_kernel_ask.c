/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule 8: all nodes are asked whether their kernels run an array; on groups on a bus. */
#include "tests/unit/help.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bitmap/kernel_arrays.h"
#include "mdclusterd/daemon/kernel_ask.h"
#include "mdclusterd/daemon/kernel_look.h"
#include "tests/unit/bus.h"

enum { NODES = 3 };

struct asker {
	struct kernel_ask *k;
	enum kernel_hold hold; /* what its kernel does */
	const char *how;
	bool is_mute;      /* it looks, and never answers */
	int again;
	struct kernel_ask_look looks[8];
	int look_count, answered;
};

struct cluster {
	struct bus *bus;
	struct asker askers[NODES];
	struct kernel_query query;
	int results, result;
};

static void op_look(void *owner, const struct kernel_ask_look *look)
{
	struct asker *a = owner;

	assert_in_range(a->look_count, 0, 7);
	a->looks[a->look_count++] = *look;
}

static const char *op_node_name(void *owner, uint32_t node)
{
	static char name[16];

	(void)owner;
	snprintf(name, sizeof(name), "n%u", node);
	return name;
}

static void op_look_again(void *owner)
{
	((struct asker *)owner)->again++;
}

static const struct kernel_ask_ops ops = { op_look, op_node_name, op_look_again };

static void done(void *owner, struct kernel_query *q, int result)
{
	struct cluster *rig = owner;

	assert_ptr_equal(q, &rig->query);
	rig->results++;
	rig->result = result;
}

/* Looks are answered, and all that follows happens. */
static void settle(struct cluster *rig)
{
	bus_run(rig->bus);
	for (int i = 0; i < NODES; i++) {
		struct asker *a = &rig->askers[i];

		while (a->k && !a->is_mute && a->answered < a->look_count)
			kernel_ask_looked(a->k, &a->looks[a->answered++], a->hold, a->how);
	}
	bus_run(rig->bus);
}

static void start(struct cluster *rig, int node)
{
	struct asker *a = &rig->askers[node - 1];
	struct err err = ERR_INIT;

	*a = (struct asker){ .how = "" };
	a->k = kernel_ask_new(group_ring_engine(rig->bus->nodes[node - 1].g), (uint32_t)node, &ops,
			      a, &err);
	assert_non_null(a->k);
}

static int setup(void **state)
{
	struct cluster *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->bus = bus_new();
	bus_configure(rig->bus, "123");
	bus_run(rig->bus);
	for (int node = 1; node <= NODES; node++)
		start(rig, node);
	settle(rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct cluster *rig = *state;

	for (int i = 0; i < NODES; i++)
		kernel_ask_free(rig->askers[i].k);
	bus_free(rig->bus);
	free(rig);
	return 0;
}

static void runs(struct cluster *rig, int node, const char *how)
{
	rig->askers[node - 1].hold = KERNEL_RUNS_IT;
	rig->askers[node - 1].how = how;
}

static void ask(struct cluster *rig, int node)
{
	rig->results = 0;
	rig->query = (struct kernel_query){ .uuid = { 7, 8, 9 }, .done = done, .owner = rig };
	kernel_ask(rig->askers[node - 1].k, &rig->query);
}

static void an_array_that_no_kernel_runs_may_be_used(void **state)
{
	struct cluster *rig = *state;

	ask(rig, 1);
	assert_int_equal(rig->results, 0); /* not from within */
	settle(rig);
	assert_int_equal(rig->results, 1);
	assert_int_equal(rig->result, 0);
	for (int i = 0; i < NODES; i++) { /* this node's as well */
		assert_int_equal(rig->askers[i].look_count, 1);
		assert_memory_equal(rig->askers[i].looks[0].uuid, rig->query.uuid, 16);
	}
}

static void an_array_that_another_nodes_kernel_runs_is_refused_and_where_is_told(void **state)
{
	struct cluster *rig = *state;

	runs(rig, 2, "runs it as /dev/md127");
	ask(rig, 3);
	settle(rig);
	assert_int_equal(rig->results, 1);
	assert_refused(rig->result, -EBUSY, rig->query.err, "node n2 runs it as /dev/md127",
		       "mdadm --stop");
	assert_true(rig->query.is_run);
}

static void the_own_kernel_is_looked_at_too(void **state)
{
	struct cluster *rig = *state;

	rig->askers[2].hold = KERNEL_HAS_LOCKSPACE;
	rig->askers[2].how = "holds its lockspace (md-cluster)";
	ask(rig, 3);
	settle(rig);
	assert_refused(rig->result, -EBUSY, rig->query.err, "node n3 holds its lockspace");
	assert_false(rig->query.is_run); /* who uses it does not lose it by that */
}

/* W1 */
static void who_has_not_answered_is_waited_for(void **state)
{
	struct cluster *rig = *state;

	rig->askers[1].is_mute = true;
	ask(rig, 1);
	settle(rig);
	assert_int_equal(rig->results, 0);
	rig->askers[1].is_mute = false;
	settle(rig);
	assert_int_equal(rig->result, 0);
	assert_int_equal(rig->results, 1);
}

/* W3 */
static void who_does_not_answer_is_named_and_the_array_is_not_used(void **state)
{
	struct cluster *rig = *state;

	rig->askers[1].is_mute = true;
	ask(rig, 1);
	settle(rig);
	kernel_ask_expire(rig->askers[0].k, &rig->query);
	assert_int_equal(rig->results, 1);
	assert_refused(rig->result, -ETIMEDOUT, rig->query.err, "node n2 does not say");
	rig->askers[1].is_mute = false;
	settle(rig); /* late */
	assert_int_equal(rig->results, 1);
}

static void who_is_gone_is_not_waited_for(void **state)
{
	struct cluster *rig = *state;

	rig->askers[1].is_mute = true;
	ask(rig, 1);
	settle(rig);
	kernel_ask_free(rig->askers[1].k);
	rig->askers[1].k = NULL;
	bus_crash(rig->bus, 1); /* before a word of that is sent */
	bus_configure(rig->bus, "13");
	settle(rig);
	assert_int_equal(rig->results, 1);
	assert_int_equal(rig->result, 0);
}

/* W1: what it runs was not asked about. */
static void who_joins_later_is_told_of(void **state)
{
	struct cluster *rig = *state;
	int before;

	kernel_ask_free(rig->askers[1].k);
	settle(rig);
	before = rig->askers[0].again;
	start(rig, 2);
	settle(rig);
	assert_int_equal(rig->askers[0].again, before + 1);
	runs(rig, 2, "runs it as /dev/md0");
	ask(rig, 1);
	settle(rig);
	assert_refused(rig->result, -EBUSY, rig->query.err, "node n2");
}

/* W4: also who runs it, for its own daemon may use it. */
static void what_a_kernel_runs_from_now_on_is_asked_about_by_all(void **state)
{
	struct cluster *rig = *state;
	int before[NODES];

	for (int i = 0; i < NODES; i++)
		before[i] = rig->askers[i].again;
	kernel_ask_tell_change(rig->askers[1].k);
	settle(rig);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(rig->askers[i].again, before[i] + 1);
}

/* Those who are asked when it is look then. */
static void who_is_in_no_group_yet_tells_nobody(void **state)
{
	struct cluster *rig = *state;
	int before = rig->askers[0].again;

	kernel_ask_free(rig->askers[1].k);
	settle(rig);
	start(rig, 2);
	kernel_ask_tell_change(rig->askers[1].k);
	settle(rig);
	assert_int_equal(rig->askers[0].again, before + 1); /* it has joined */
}

static void two_ask_at_the_same_time_and_each_has_its_answer(void **state)
{
	struct cluster *rig = *state, other = { .results = 0 };

	runs(rig, 1, "runs it as /dev/md1");
	ask(rig, 2);
	other.query = (struct kernel_query){ .uuid = { 1 }, .done = done, .owner = &other };
	kernel_ask(rig->askers[2].k, &other.query);
	settle(rig);
	assert_int_equal(rig->results, 1);
	assert_int_equal(other.results, 1);
	assert_int_equal(rig->askers[0].look_count, 2);
	assert_memory_not_equal(rig->askers[0].looks[0].uuid, rig->askers[0].looks[1].uuid, 16);
}

static void a_query_that_is_forgotten_is_not_answered(void **state)
{
	struct cluster *rig = *state;

	ask(rig, 1);
	bus_run(rig->bus);
	kernel_ask_forget(&rig->query);
	settle(rig);
	assert_int_equal(rig->results, 0);
}

/* --- one host's look ------------------------------------------------------------------------ */

#define UUID_TEXT "6f2b1c9e-0d5a-4a55-9d0e-000000000001"
static const uint8_t uuid[16] = { 0x6f, 0x2b, 0x1c, 0x9e, 0x0d, 0x5a, 0x4a, 0x55, 0x9d, 0x0e,
				  0, 0, 0, 0, 0, 1 };

static void put(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(full, 0700);
		*at = '/';
	}
	if (full[strlen(full) - 1] == '/')
		return; /* a folder alone */
	file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static void assert_look(const char *root, enum kernel_hold expected, const char *words)
{
	char how[KERNEL_ASK_TEXT + 1];
	enum kernel_hold hold;

	assert_int_equal(kernel_look(root, uuid, &hold, how, sizeof(how)), 0);
	assert_int_equal(hold, expected);
	assert_string_equal(how, words);
}

static void a_look_tells_how_this_hosts_kernel_has_it(void **state)
{
	char root[] = "/tmp/test-kernel-ask-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_look(root, KERNEL_HAS_NOTHING, "");
	put(root, "/sys/kernel/dlm/" UUID_TEXT "/", "");
	assert_look(root, KERNEL_HAS_LOCKSPACE, "holds its lockspace (md-cluster)");
	put(root, "/sys/block/md127/md/uuid", UUID_TEXT "\n");
	put(root, "/sys/block/md127/md/array_state", "active\n");
	assert_look(root, KERNEL_RUNS_IT, "runs it as /dev/md127");
	put(root, "/sys/block/md127/md/array_state", "inactive\n"); /* gathered, by udev say */
	assert_look(root, KERNEL_HAS_LOCKSPACE, "holds its lockspace (md-cluster)");
	(void)nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void another_sum_tells_of_other_arrays_and_of_nothing_else(void **state)
{
	char root[] = "/tmp/test-kernel-ask-XXXXXX", one_again[64], again[64];
	uint64_t one, two;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(kernel_arrays_sum(root), 0);
	put(root, "/sys/block/md0/md/array_state", "inactive\n");
	assert_int_equal(kernel_arrays_sum(root), 0); /* not run */
	put(root, "/sys/block/md0/md/array_state", "active\n");
	one = kernel_arrays_sum(root);
	assert_int_not_equal(one, 0);
	put(root, "/sys/block/md0/md/array_state", "clean\n"); /* as it comes and goes */
	put(root, "/sys/block/md0/md/sync_action", "check\n");
	assert_int_equal(kernel_arrays_sum(root), one);
	put(root, "/sys/block/md1/md/array_state", "clean\n");
	two = kernel_arrays_sum(root);
	assert_int_not_equal(two, one);
	/* stopped, and another one under its name: its folder is a new one */
	snprintf(one_again, sizeof(one_again), "%s/sys/block/md1/md", root);
	snprintf(again, sizeof(again), "%s/was", root);
	assert_int_equal(rename(one_again, again), 0);
	put(root, "/sys/block/md1/md/array_state", "clean\n");
	assert_int_not_equal(kernel_arrays_sum(root), two);
	(void)nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define ON_THE_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_THE_RIG(an_array_that_no_kernel_runs_may_be_used),
		ON_THE_RIG(an_array_that_another_nodes_kernel_runs_is_refused_and_where_is_told),
		ON_THE_RIG(the_own_kernel_is_looked_at_too),
		ON_THE_RIG(who_has_not_answered_is_waited_for),
		ON_THE_RIG(who_does_not_answer_is_named_and_the_array_is_not_used),
		ON_THE_RIG(who_is_gone_is_not_waited_for),
		ON_THE_RIG(who_joins_later_is_told_of),
		ON_THE_RIG(what_a_kernel_runs_from_now_on_is_asked_about_by_all),
		ON_THE_RIG(who_is_in_no_group_yet_tells_nobody),
		ON_THE_RIG(two_ask_at_the_same_time_and_each_has_its_answer),
		ON_THE_RIG(a_query_that_is_forgotten_is_not_answered),
		cmocka_unit_test(a_look_tells_how_this_hosts_kernel_has_it),
		cmocka_unit_test(another_sum_tells_of_other_arrays_and_of_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
