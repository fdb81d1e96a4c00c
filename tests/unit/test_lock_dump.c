/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dumps of lockspaces: what is written is read back equal (P1), any text is read or
 * refused by name (P2), a table that is wrong is shown as it is (P3).
 */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "lockres/dump.h"

enum { MAX_TEXT = 1 << 16 };

/* Of tests/data/locks, with its end. free() it. */
static char *load(const char *name, size_t *length)
{
	char path[64];

	snprintf(path, sizeof(path), "locks/%s", name);
	return (char *)help_read_data(path, MAX_TEXT, length);
}

static char *written(const struct lock_dump *dump, size_t *length)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, length);

	assert_non_null(to);
	assert_int_equal(lock_dump_write(dump, to), 0);
	assert_int_equal(fclose(to), 0);
	return text;
}

/* What is read from the text is written as the same bytes. */
static void assert_written_as_read(const char *text, size_t length)
{
	struct err err = ERR_INIT;
	struct lock_dump *dump = lock_dump_read(text, length, &err);
	size_t again_length;
	char *again;

	if (!dump)
		fail_msg("%s", err.text);
	again = written(dump, &again_length);
	assert_int_equal(again_length, length);
	assert_memory_equal(again, text, length);
	free(again);
	lock_dump_free(dump);
}

static void what_is_read_is_written_byte_by_byte(void **state)
{
	static const char *const names[] = { "broadcast.json", "frozen.json", "rare.json",
					     "empty.json", "killed.json" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t length;
		char *text = load(names[i], &length);

		assert_written_as_read(text, length);
		free(text);
	}
}

/* --- structs ---------------------------------------------------------------------------- */

static void assert_equal_locks(const struct lock_view *a, const struct lock_view *b)
{
	assert_int_equal(a->key.node, b->key.node);
	assert_int_equal(a->key.number, b->key.number);
	assert_int_equal(a->granted, b->granted);
	assert_int_equal(a->wanted, b->wanted);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->marks, b->marks);
	assert_int_equal(a->waiter, b->waiter);
	assert_int_equal(a->is_orphan, b->is_orphan);
}

static void assert_equal_steps(const struct lock_history_entry *a,
			       const struct lock_history_entry *b)
{
	assert_true(a->at_ns == b->at_ns);
	assert_int_equal(a->key.node, b->key.node);
	assert_int_equal(a->key.number, b->key.number);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->from, b->from);
	assert_int_equal(a->to, b->to);
	assert_int_equal(a->status, b->status);
}

static void every_value_of_every_field_is_read_back(void **state)
{
	struct lock_view locks[LOCK_MODES + 2] = { 0 };
	struct lock_history_entry history[LOCK_STEP_RELEASE + 1] = { 0 };
	struct lock_dump_resource resource = {
		.name_length = LOCK_MAX_NAME, .value_seq = UINT32_MAX, .locks = locks,
		.lock_count = ARRAY_SIZE(locks), .history = history,
		.history_count = ARRAY_SIZE(history),
	};
	struct lockspace_member_look member = { .node = UINT32_MAX,
		.slot = LOCKSPACE_MAX_SLOTS - 1, .is_missing = true };
	struct lock_dump_node node = { .id = 1, .name_length = LOCK_DUMP_NODE_NAME };
	struct lock_dump_space space = {
		.name = "\0", .name_length = 1, .lvb_bytes = LOCK_LARGE_LVB,
		.generation = UINT32_MAX, .epoch = { 128, INT64_MAX }, .operations = INT64_MAX, .members = &member,
		.member_count = 1, .resources = &resource, .resource_count = 1,
	};
	struct lock_dump dump = {
		.taken_s = INT64_MAX, .clock_ns = INT64_MAX, .self = UINT32_MAX,
		.nodes = &node, .node_count = 1, .spaces = &space, .space_count = 1,
	};

	(void)state;
	memset(node.name, 0xff, sizeof(node.name));
	for (int i = 0; i < (int)ARRAY_SIZE(locks); i++)
		locks[i] = (struct lock_view){
			.key = { UINT32_MAX, UINT32_MAX - (uint32_t)i },
			.granted = (enum lock_mode)(i < LOCK_MODES ? i : LOCK_NONE),
			.wanted = (enum lock_mode)(i < LOCK_MODES ? i - 1 : LOCK_EX),
			.flags = i & 1 ? 0x3ffff & ~0x200u : 1u << 2 * i,
			.marks = (uint32_t)i, .waiter = UINT32_MAX, .is_orphan = i & 1,
		};
	locks[4].flags = LOCK_FORCEUNLOCK;
	for (int i = 0; i < (int)ARRAY_SIZE(history); i++)
		history[i] = (struct lock_history_entry){
			.at_ns = (uint64_t)INT64_MAX - (uint64_t)i, .key = { 3, 0 },
			.step = (enum lock_step)i, .from = LOCK_NONE, .to = LOCK_PW,
			.status = -i * 500,
		};
	for (int freeze = LOCKSPACE_RUNS; freeze <= LOCKSPACE_UNPROVEN; freeze++) {
		struct err err = ERR_INIT;
		struct lock_dump *read;
		size_t length;
		char *text;

		space.freeze = (enum lockspace_freeze)freeze;
		resource.is_value_valid = freeze & 1;
		for (int k = 0; k < LOCK_MAX_NAME; k++) {
			resource.name[k] = (char)(freeze * LOCK_MAX_NAME + k);
			resource.value[k] = (uint8_t)(k * 7);
		}
		text = written(&dump, &length);
		read = lock_dump_read(text, length, &err);
		if (!read)
			fail_msg("%s", err.text);
		assert_true(read->taken_s == dump.taken_s && read->clock_ns == dump.clock_ns);
		assert_int_equal(read->self, dump.self);
		assert_int_equal(read->node_count, 1);
		assert_memory_equal(read->nodes, &node, sizeof(node));
		assert_int_equal(read->space_count, 1);
		assert_int_equal(read->spaces->name_length, 1);
		assert_int_equal(read->spaces->name[0], 0);
		assert_int_equal(read->spaces->lvb_bytes, space.lvb_bytes);
		assert_int_equal(read->spaces->generation, space.generation);
		assert_true(ring_id_equal(read->spaces->epoch, space.epoch));
		assert_true(read->spaces->operations == space.operations);
		assert_int_equal(read->spaces->freeze, freeze);
		assert_int_equal(read->spaces->member_count, 1);
		assert_int_equal(read->spaces->members->node, member.node);
		assert_int_equal(read->spaces->members->slot, member.slot);
		assert_true(read->spaces->members->is_missing);
		assert_int_equal(read->spaces->resource_count, 1);
		const struct lock_dump_resource *r = read->spaces->resources;

		assert_int_equal(r->name_length, LOCK_MAX_NAME);
		assert_memory_equal(r->name, resource.name, LOCK_MAX_NAME);
		assert_memory_equal(r->value, resource.value, LOCK_MAX_LVB);
		assert_int_equal(r->value_seq, UINT32_MAX);
		assert_int_equal(r->is_value_valid, freeze & 1);
		assert_int_equal(r->lock_count, resource.lock_count);
		for (size_t i = 0; i < r->lock_count; i++)
			assert_equal_locks(&r->locks[i], &locks[i]);
		assert_int_equal(r->history_count, resource.history_count);
		for (size_t i = 0; i < r->history_count; i++)
			assert_equal_steps(&r->history[i], &history[i]);
		lock_dump_free(read);
		free(text);
	}
}

/* --- of a manager ------------------------------------------------------------------------- */

static const struct lock_table_ops quiet; /* nobody is told */
static const struct lockspace_look *looks;
static size_t look_count;

bool __wrap_lock_manager_look(const struct lock_manager *m, size_t index,
			      struct lockspace_look *look);

bool __wrap_lock_manager_look(const struct lock_manager *m, size_t index,
			      struct lockspace_look *look)
{
	(void)m;
	if (index < look_count)
		*look = looks[index];
	return index < look_count;
}

static void lock_it(struct lock_table *t, uint32_t node, const char *name,
		    enum lock_mode mode, uint32_t flags)
{
	uint8_t value[LOCK_LARGE_LVB] = { (uint8_t)(0xa0 + node) };
	const struct lock_order order = {
		.key = { node, 7 }, .mode = mode, .flags = flags, .waiter = node,
		.name = name, .name_length = strlen(name), .value = value,
	};

	assert_int_equal(lock_table_lock(t, &order), 0);
}

/* EX by 1, who writes it and goes down to PR; 2 has NL; 3 waits. On another, a PR. */
static struct lock_table *some_table(void)
{
	struct lock_table *t = lock_table_new(LOCK_LARGE_LVB, &quiet, NULL);

	assert_non_null(t);
	lock_table_clock(t, 1000);
	lock_it(t, 1, "water", LOCK_EX, LOCK_VALBLK);
	lock_table_clock(t, 2000);
	lock_it(t, 1, "water", LOCK_PR, LOCK_CONVERT | LOCK_VALBLK);
	lock_it(t, 2, "water", LOCK_NL, LOCK_EXPEDITE);
	lock_it(t, 3, "water", LOCK_EX, LOCK_NOQUEUEBAST | LOCK_PERSISTENT);
	lock_it(t, 4, "air", LOCK_PR, 0);
	return t;
}

static void what_a_manager_knows_is_in_the_dump(void **state)
{
	struct lock_table *t = some_table(), *none = lock_table_new(LOCK_SMALL_LVB, &quiet, NULL);
	const struct lockspace_look both[] = {
		{ .name = "a", .name_length = 1, .lvb_bytes = LOCK_SMALL_LVB,
		  .freeze = LOCKSPACE_NO_QUORUM, .table = none },
		{ .name = "bb", .name_length = 2, .lvb_bytes = LOCK_LARGE_LVB,
		  .generation = 4, .epoch = { 1, 12 }, .operations = 5,
		  .members = { { .node = 1 },
			       { .node = 3, .slot = 2, .is_missing = true } },
		  .member_count = 2,
		  .table = t },
	};
	struct lock_dump_node node = { .id = 3, .name = "c", .name_length = 1 };
	const struct lock_dump about = { .taken_s = 5, .clock_ns = 3000, .self = 3,
					 .nodes = &node, .node_count = 1 };
	const struct lock_dump_resource *r;
	struct lock_dump *dump;
	size_t length;
	char *text;

	(void)state;
	looks = both;
	look_count = 2;
	dump = lock_dump_take(NULL, &about);
	assert_non_null(dump);
	assert_true(dump->taken_s == 5 && dump->clock_ns == 3000 && dump->self == 3);
	assert_string_equal(lock_dump_node(dump, 3)->name, "c");
	assert_int_equal(dump->space_count, 2);
	assert_int_equal(dump->spaces[0].resource_count, 0);
	assert_int_equal(dump->spaces[0].freeze, LOCKSPACE_NO_QUORUM);
	assert_int_equal(dump->spaces[1].generation, 4);
	assert_int_equal(dump->spaces[1].epoch.seq, 12);
	assert_int_equal(dump->spaces[1].operations, 5);
	assert_true(lock_dump_member(&dump->spaces[1], 3)->is_missing);
	assert_null(lock_dump_member(&dump->spaces[1], 2));
	assert_int_equal(dump->spaces[1].resource_count, 2);
	r = &dump->spaces[1].resources[1];
	assert_memory_equal(r->name, "water", 5);
	assert_int_equal(r->value[0], 0xa1);
	assert_int_equal(r->value_seq, 1);
	assert_true(r->is_value_valid);
	assert_int_equal(r->lock_count, 3);
	assert_int_equal(r->locks[2].key.node, 3);
	assert_int_equal(r->locks[2].wanted, LOCK_EX);
	assert_int_equal(r->locks[2].flags, LOCK_NOQUEUEBAST | LOCK_PERSISTENT);
	assert_int_equal(r->history[0].step, LOCK_STEP_REQUEST);
	assert_true(r->history[0].at_ns == 1000);
	assert_int_equal(r->history[r->history_count - 1].step, LOCK_STEP_BLOCKED);
	assert_int_equal(r->history[r->history_count - 1].key.node, 1);
	text = written(dump, &length);
	assert_written_as_read(text, length);
	free(text);
	lock_dump_free(dump);
	lock_table_free(t);
	lock_table_free(none);
}

/* --- text that is wrong ----------------------------------------------------------------- */

/* Read, or refused with a sentence of one line; what is read is read alike again. */
static void assert_read_or_refused(const char *text, size_t length)
{
	struct err err = ERR_INIT;
	struct lock_dump *dump = lock_dump_read(text, length, &err);
	size_t again_length;
	char *again;

	if (!dump) {
		assert_true(err.code == -EBADMSG || err.code == -EOPNOTSUPP);
		assert_true(err.text[0] != '\0' && !strchr(err.text, '\n'));
		return;
	}
	again = written(dump, &again_length);
	assert_written_as_read(again, again_length);
	free(again);
	lock_dump_free(dump);
}

static void a_dump_that_is_cut_off_is_refused_wherever(void **state)
{
	struct err err = ERR_INIT;
	size_t length;
	char *text = load("rare.json", &length);

	(void)state;
	assert_int_equal(text[length - 1], '\n');
	for (size_t cut = 0; cut < length - 1; cut++) {
		char *part = malloc(cut + 1); /* so that ASan sees who reads on */

		memcpy(part, text, cut);
		assert_null(lock_dump_read(part, cut, &err));
		assert_int_equal(err.code, -EBADMSG);
		assert_non_null(strstr(err.text, "is no JSON"));
		free(part);
	}
	free(text);
}

static void a_dump_with_any_byte_changed_is_read_or_refused(void **state)
{
	static const char instead[] = "\0 \"\\{}[],:019-ez\xff";
	size_t length;
	char *text = load("rare.json", &length);

	(void)state;
	for (size_t at = 0; at < length; at++)
		for (size_t i = 0; i < 3; i++) {
			char was = text[at];

			text[at] = instead[(3 * at + i) % (sizeof(instead) - 1)];
			assert_read_or_refused(text, length);
			text[at] = was;
		}
	free(text);
}

/* The first `from` in broadcast.json becomes `to`. */
static char *changed(const char *from, const char *to)
{
	size_t length;
	char *text = load("broadcast.json", &length), *at = strstr(text, from), *all;

	if (!at)
		fail_msg("broadcast.json has no '%s'", from);
	*at = '\0';
	assert_true(asprintf(&all, "%s%s%s", text, to, at + strlen(from)) > 0);
	free(text);
	return all;
}

struct bad {
	const char *from, *to;
	const char *words[4];
};

static const struct bad bad[] = {
	{ "mdclusterd-locks", "gfs2-locks", { "no dump", "mdclusterd-locks" } },
	{ "\"format\"", "\"Format\"", { "no dump" } },
	{ "\"version\": 1", "\"version\": 0", { "version", "0" } },
	{ "\"version\": 1", "\"version\": \"1\"", { "version", "whole number" } },
	{ "\"taken_s\": ", "\"taken_s\": -", { "taken_s", "-17" } },
	{ "\"clock_ns\"", "\"clock\"", { "clock_ns", "missing" } },
	{ "\"clock_ns\": ", "\"clock_ns\": 99999999", { "no JSON", "line 1" } },
	{ "\"self\": 1", "\"self\": 0", { "self", "0" } },
	{ "\"self\": 1", "\"self\": 4294967296", { "self", "4294967296" } },
	{ "\"id\": 2", "\"id\": 1", { "node 2", "id", "twice" } },
	{ "\"nodes\": [", "\"nodes\": [7, ", { "node 1", "no object" } },
	{ "\"name\": \"node3\"", "\"name\": \"\"", { "node 3", "name", "1 to 64" } },
	{ "\"lockspaces\": [", "\"lockspaces\": {}, \"x\": [", { "lockspaces", "no list" } },
	{ "58b0fcf4-", "58b0fcf4-58b0fcf4-58b0fcf4-58b0fcf4---", { "lockspace 1", "1 to 64" } },
	{ "58b0fcf4-", "\\\\x41", { "lockspace 1", "name", "x41" } },
	{ "58b0fcf4-", "\\\\xFF", { "lockspace 1", "name", "xFF" } },
	{ "58b0fcf4-", "\\u00e9", { "lockspace 1", "name", "printable" } },
	{ "58b0fcf4-", "\\u0000", { "no JSON" } },
	{ "\"lvb_bytes\": 64", "\"lvb_bytes\": 48", { "lockspace '58b0", "lvb_bytes", "48" } },
	{ "\"lvb_bytes\": 64", "\"lvb_bytes\": 32", { "resource 'ack'", "value", "32 bytes" } },
	{ "\"generation\": 3", "\"generation\": 3.5", { "58b0", "generation" } },
	{ "\"epoch_node\": 1", "\"epoch_node\": -1", { "58b0", "epoch_node" } },
	{ "\"epoch_seq\": 11, ", "", { "58b0", "epoch_seq", "missing" } },
	{ "\"operations\": 5120", "\"operations\": null", { "58b0", "operations" } },
	{ "\"runs\"", "\"walks\"", { "58b0", "state", "walks" } },
	{ "\"runs\"", "0", { "58b0", "state", "no string" } },
	{ "\"slot\": 1", "\"slot\": 128", { "58b0", "member 2", "slot" } },
	{ "\"slot\": 1", "\"slot\": 0", { "58b0", "member 2", "twice" } },
	{ "\"node\": 2, \"slot\"", "\"node\": 1, \"slot\"", { "member 2", "twice" } },
	{ "\"is_missing\": false", "\"is_missing\": 0", { "member 1", "is_missing" } },
	{ "\"name\": \"ack\"", "\"name\": \"\"", { "58b0", "resource 1", "1 to 64" } },
	{ "\"name\": \"ack\", ", "", { "58b0", "resource 1", "name", "missing" } },
	{ "\"value\": \"0", "\"value\": \"x", { "resource 'ack'", "value" } },
	{ "\"value\": \"00", "\"value\": \"", { "resource 'ack'", "value", "64" } },
	{ "\"value\": \"00", "\"value\": \"0000", { "resource 'ack'", "value", "64" } },
	{ "\"value_seq\": 0", "\"value_seq\": -1", { "resource 'ack'", "value_seq" } },
	{ "\"is_value_valid\": false", "\"is_value_valid\": \"no\"", { "is_value_valid" } },
	{ "\"locks\": [", "\"locks\": [null, ", { "58b0", "'ack'", "lock 1", "no object" } },
	{ "\"node\": 1, \"number\"", "\"node\": 0, \"number\"", { "'ack'", "lock 1", "node" } },
	{ "\"number\": 3", "\"number\": 4294967296", { "lock 1", "number" } },
	{ "\"granted\": \"NL\"", "\"granted\": \"XX\"", { "lock 1", "granted", "XX" } },
	{ "\"granted\": \"NL\"", "\"granted\": 9", { "lock 1", "granted" } },
	{ "\"granted\": \"NL\"", "\"granted\": null", { "lock 1", "both" } },
	{ "\"wanted\": null", "\"wanted\": \"none\"", { "lock 1", "wanted", "none" } },
	{ "[\"CONVERT\"]", "[\"CONVERSE\"]", { "'ack'", "lock 1", "flags", "CONVERSE" } },
	{ "[\"CONVERT\"]", "[\"CONVERT\", \"CONVERT\"]", { "lock 1", "flags", "twice" } },
	{ "[\"CONVERT\"]", "[4]", { "lock 1", "flags", "no string" } },
	{ "[\"CONVERT\"]", "\"CONVERT\"", { "lock 1", "flags", "no list" } },
	{ "\"marks\": []", "\"marks\": [\"CONVERT\"]", { "lock 1", "marks", "CONVERT" } },
	{ "\"waiter\": 0", "\"waiter\": true", { "lock 1", "waiter" } },
	{ "\"is_orphan\": false", "\"is_orphan\": null", { "lock 1", "is_orphan" } },
	{ "\"at_ns\": ", "\"at_ns\": -", { "'ack'", "step 1 of its history", "at_ns" } },
	{ "\"step\": \"convert\"", "\"step\": \"leap\"", { "step 1", "leap" } },
	{ "\"from\": \"CR\"", "\"from\": \"CR \"", { "step 1", "from" } },
	{ "\"status\": 0", "\"status\": 1", { "step 1", "status" } },
	{ "\"status\": 0", "\"status\": -4096", { "step 1", "status" } },
	{ "\"status\": 0", "\"status\": 0, \"status\": 0", { "no JSON", "status" } },
};

static void what_is_wrong_is_told_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text = changed(bad[i].from, bad[i].to);
		struct err err = ERR_INIT;

		if (lock_dump_read(text, strlen(text), &err))
			fail_msg("'%s' is taken for '%s'", bad[i].to, bad[i].from);
		assert_int_equal(err.code, -EBADMSG);
		for (size_t w = 0; w < 4 && bad[i].words[w]; w++)
			if (!strstr(err.text, bad[i].words[w]))
				fail_msg("'%s' for '%s': '%s' is not in: %s", bad[i].to,
					 bad[i].from, bad[i].words[w], err.text);
		free(text);
	}
}

static void a_later_version_is_refused_as_one(void **state)
{
	char *text = changed("\"version\": 1", "\"version\": 2");
	struct err err = ERR_INIT;

	(void)state;
	assert_null(lock_dump_read(text, strlen(text), &err));
	assert_int_equal(err.code, -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "2"));
	free(text);
}

static void fields_that_are_not_known_are_passed_over(void **state)
{
	char *text = changed("\"self\": 1", "\"self\": 1, \"weather\": {\"rain\": [1, 2]}");
	struct err err = ERR_INIT;
	struct lock_dump *dump = lock_dump_read(text, strlen(text), &err);

	(void)state;
	assert_non_null(dump);
	lock_dump_free(dump);
	free(text);
}

static void a_table_that_is_wrong_is_read_as_it_is(void **state)
{
	/* node1 and node2 hold EX of one resource */
	char *text = changed("\"granted\": \"NL\"", "\"granted\": \"EX\"");
	struct err err = ERR_INIT;
	struct lock_dump *dump = lock_dump_read(text, strlen(text), &err);

	(void)state;
	assert_non_null(dump);
	lock_dump_free(dump);
	free(text);
}

static void a_full_disk_is_told(void **state)
{
	struct lock_dump dump = { .self = 1 };
	FILE *to = fopen("/dev/full", "w");

	(void)state;
	if (!to)
		skip();
	assert_int_equal(lock_dump_write(&dump, to), -EIO);
	fclose(to);
}

/* --- looking ---------------------------------------------------------------------------- */

static void who_is_in_the_way_is_who_excludes_what_is_wanted(void **state)
{
	const struct lock_view holds = { .granted = LOCK_CR, .wanted = LOCK_NONE };
	const struct lock_view converts = { .granted = LOCK_PR, .wanted = LOCK_EX };
	const struct lock_view waits = { .granted = LOCK_NONE, .wanted = LOCK_CW };

	(void)state;
	assert_int_equal(lock_view_place(&holds), LOCK_PLACE_GRANTED);
	assert_int_equal(lock_view_place(&converts), LOCK_PLACE_CONVERTING);
	assert_int_equal(lock_view_place(&waits), LOCK_PLACE_WAITING);
	assert_true(lock_view_is_blocked_by(&converts, &holds));
	assert_false(lock_view_is_blocked_by(&converts, &converts));
	assert_false(lock_view_is_blocked_by(&converts, &waits)); /* it has nothing yet */
	assert_true(lock_view_is_blocked_by(&waits, &converts));  /* it keeps what it has */
	assert_false(lock_view_is_blocked_by(&waits, &holds));
	assert_false(lock_view_is_blocked_by(&holds, &converts)); /* it waits for nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_written_byte_by_byte),
		cmocka_unit_test(every_value_of_every_field_is_read_back),
		cmocka_unit_test(what_a_manager_knows_is_in_the_dump),
		cmocka_unit_test(a_dump_that_is_cut_off_is_refused_wherever),
		cmocka_unit_test(a_dump_with_any_byte_changed_is_read_or_refused),
		cmocka_unit_test(what_is_wrong_is_told_by_its_name),
		cmocka_unit_test(a_later_version_is_refused_as_one),
		cmocka_unit_test(fields_that_are_not_known_are_passed_over),
		cmocka_unit_test(a_table_that_is_wrong_is_read_as_it_is),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(who_is_in_the_way_is_who_excludes_what_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
