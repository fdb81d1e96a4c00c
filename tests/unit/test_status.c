/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon tells: structs and JSON tell the same, and how well it goes. */
#include "tests/unit/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mdclusterd/control/status.h"
#include "tests/unit/status_scene.h"

static void read_as(const struct status *from, struct status *to)
{
	json_t *json = status_to_json(from);
	char *text = json_dumps(json, 0);
	json_t *again = json_loads(text, 0, NULL);
	struct err err = ERR_INIT;

	assert_non_null(again);
	assert_ok(status_from_json(again, to, &err), err);
	free(text);
	json_decref(json);
	json_decref(again);
}

static void assert_same(const struct status *a, const struct status *b)
{
	struct status x = *a, y = *b;

	assert_int_equal(a->array_count, b->array_count);
	x.arrays = y.arrays = NULL;
	assert_memory_equal(&x, &y, sizeof(x));
	for (uint32_t i = 0; i < a->array_count; i++)
		assert_memory_equal(&a->arrays[i], &b->arrays[i], sizeof(a->arrays[i]));
}

static void every_field_is_read_as_it_was_written(void **state)
{
	struct status s = status_scene(), found;
	struct status_array *a = &s.arrays[0];

	(void)state;
	a->activity[0] = '\0';
	read_as(&s, &found);
	assert_same(&s, &found);
	status_fini(&found);
	strcpy(a->activity, "resync");
	strcpy(a->waits, "waits: proof of death of node 3");
	a->state_since_ns = 1;
	a->degraded_since_ns = 2;
	a->is_single_source = true;
	a->needed_bytes = 3;
	a->done_sectors = 4;
	a->total_sectors = 5;
	a->mismatch_sectors = 6;
	a->speed_bytes = 7;
	a->eta_ns = 8;
	a->parked = 9;
	a->parked_since_ns = 10;
	a->waits_since_ns = 11;
	strcpy(a->reservation_key, "0xaaaa000000000001");
	a->slot = -1;
	a->disks[1].errors = 12;
	a->disks[1].reads = INT64_MAX;
	a->members[1].owes_resync = true;
	a->members[1].low = 13;
	a->members[1].high = 14;
	a->members[2].since_ns = 15;
	a->members[2].slot = -1;
	s.nodes[2].is_member = false;
	s.nodes[2].is_dead = true;
	strcpy(s.nodes[2].waits, "proof of death, 12 s: fence agent, attempt 2");
	read_as(&s, &found);
	assert_same(&s, &found);
	status_fini(&found);
	status_fini(&s);
	status_fini(&s);
}

/* JSON's integers have 63 bits: more than that is that. */
static void what_is_too_large_for_json_is_the_largest(void **state)
{
	struct status s = status_scene(), found;

	(void)state;
	s.arrays[0].eta_ns = UINT64_MAX;
	read_as(&s, &found);
	assert_int_equal(found.arrays[0].eta_ns, INT64_MAX);
	status_fini(&found);
	status_fini(&s);
}

static void names_that_are_no_utf8_are_told_anyway(void **state)
{
	struct status s = status_scene(), found;

	(void)state;
	strcpy(s.arrays[0].name, "b\xff\x1b[31m");
	read_as(&s, &found);
	assert_string_equal(found.arrays[0].name, "b??[31m"); /* and no terminal obeys */
	status_fini(&found);
	status_fini(&s);
}

/* Reads the scene with the value at `path` ("arrays.0.slot") being this. */
static int read_with(const char *path, json_t *value, struct status *s, struct err *err)
{
	struct status scene = status_scene();
	json_t *json = status_to_json(&scene), *at = json;
	char copy[64], *word, *next;
	int r;

	snprintf(copy, sizeof(copy), "%s", path);
	for (word = strtok(copy, "."); (next = strtok(NULL, ".")); word = next)
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(word)) :
					 json_object_get(at, word);
	if (value)
		json_object_set_new(at, word, value);
	else
		json_object_del(at, word);
	r = status_from_json(json, s, err);
	json_decref(json);
	status_fini(&scene);
	return r;
}

static void what_is_missing_is_0_and_what_is_unknown_is_skipped(void **state)
{
	struct err err = ERR_INIT;
	struct status s;

	(void)state;
	assert_ok(read_with("arrays.0.size_bytes", NULL, &s, &err), err);
	assert_int_equal(s.arrays[0].size_bytes, 0);
	status_fini(&s);
	assert_ok(read_with("arrays.0.slot", NULL, &s, &err), err);
	assert_int_equal(s.arrays[0].slot, -1);
	status_fini(&s);
	assert_ok(read_with("arrays.0.members", NULL, &s, &err), err);
	assert_int_equal(s.arrays[0].member_count, 0);
	status_fini(&s);
	assert_ok(read_with("arrays.0.name", json_null(), &s, &err), err);
	assert_string_equal(s.arrays[0].name, "");
	status_fini(&s);
	assert_ok(read_with("arrays.0.colour", json_string("blue"), &s, &err), err);
	status_fini(&s);
}

static json_t *a_list_of(size_t count)
{
	json_t *list = json_array();

	while (count--)
		json_array_append_new(list, json_object());
	return list;
}

static void what_is_wrong_is_refused_by_name(void **state)
{
	static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123";
	struct err err = ERR_INIT;
	struct status s;

	(void)state;
	assert_refused(read_with("cluster", json_integer(1), &s, &err), -EBADMSG, err,
		       "status.cluster", "not a string");
	assert_refused(read_with("arrays.0.name", json_string(long_name), &s, &err), -EBADMSG,
		       err, "arrays[0].name", "longer than 63 bytes");
	assert_refused(read_with("arrays.0.raid_disks", json_integer(-1), &s, &err), -EBADMSG,
		       err, "arrays[0].raid_disks", "range");
	assert_refused(read_with("arrays.0.clients", json_integer(1ll << 32), &s, &err),
		       -EBADMSG, err, "arrays[0].clients", "range");
	assert_refused(read_with("arrays.0.slot", json_integer(1ll << 31), &s, &err), -EBADMSG,
		       err, "arrays[0].slot", "range");
	assert_refused(read_with("arrays.0.slot", json_integer(-1), &s, &err), -EBADMSG, err,
		       "arrays[0].slot", "range");
	assert_refused(read_with("arrays.0.size_bytes", json_real(1.5), &s, &err), -EBADMSG,
		       err, "arrays[0].size_bytes", "not an integer");
	assert_refused(read_with("nodes.1.is_member", json_integer(1), &s, &err), -EBADMSG,
		       err, "nodes[1].is_member", "true or false");
	assert_refused(read_with("nodes", json_string("x"), &s, &err), -EBADMSG, err,
		       "nodes is not an array");
	assert_refused(read_with("arrays.0.members", a_list_of(STATUS_MAX_NODES + 1), &s, &err),
		       -EBADMSG, err, "arrays[0]", "members has 129 entries");
	assert_refused(read_with("arrays.0.disks", a_list_of(STATUS_MAX_DISKS + 1), &s, &err),
		       -EBADMSG, err, "arrays[0]", "disks has 33 entries");
	assert_refused(read_with("nodes", a_list_of(STATUS_MAX_NODES + 1), &s, &err), -EBADMSG,
		       err, "nodes has 129 entries");
	assert_refused(read_with("arrays", a_list_of(STATUS_MAX_ARRAYS + 1), &s, &err),
		       -EBADMSG, err, "arrays has 1025 entries");
	assert_refused(read_with("arrays.0.disks.1.state", json_true(), &s, &err), -EBADMSG,
		       err, "arrays[0]", "disks[1].state");
	assert_null(s.arrays); /* nothing to be freed */
	assert_ok(read_with("nodes", a_list_of(STATUS_MAX_NODES), &s, &err), err);
	assert_int_equal(s.node_count, STATUS_MAX_NODES);
	status_fini(&s);
}

static void an_event_is_read_as_it_was_written(void **state)
{
	struct status_event e = {
		.number = 1, .time_us = 2, .kind = "disk-failed", .array = "web", .node = 3,
		.from = 4, .is_ours = true, .slot = 5, .role = 6, .low = 7, .high = 8,
		.bytes = 9, .disk = "/dev/sda", .text = "web: /dev/sda failed", .priority = 3,
	}, found;
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	for (int round = 0; round < 2; round++) {
		json = status_event_to_json(&e);
		assert_ok(status_event_from_json(json, &found, &err), err);
		assert_memory_equal(&e, &found, sizeof(e));
		json_decref(json);
		e.slot = e.role = -1;
		e.priority = -1;
	}
	json = json_pack("{s:s}", "kind", "0123456789012345678901234567890123456789");
	assert_refused(status_event_from_json(json, &found, &err), -EBADMSG, err, "event.kind");
	json_decref(json);
}

/* --- health ----------------------------------------------------------------------------- */

static enum status_health health_of(void (*change)(struct status *s))
{
	struct status s = status_scene();
	enum status_health h;

	change(&s);
	h = status_health(&s);
	status_fini(&s);
	return h;
}

#define CHANGE(name, what) \
	static void name(struct status *s) { struct status_array *a = s->arrays; (void)a; what; }
CHANGE(nothing, )
CHANGE(no_arrays, s->array_count = 0)
CHANGE(check, strcpy(a->activity, "check"))
CHANGE(disk_gone, a->disks_in_sync = 1)
CHANGE(resync, strcpy(a->activity, "resync"))
CHANGE(repair, strcpy(a->activity, "repair"))
CHANGE(resync_owed, a->needed_bytes = 1)
CHANGE(member_owes, a->members[1].owes_resync = true)
CHANGE(member_missing, strcpy(a->members[2].state, "missing"))
CHANGE(single_source, a->is_single_source = true)
CHANGE(waits, strcpy(a->waits, "waits: token"))
CHANGE(node_missing, s->nodes[2].is_member = false)
CHANGE(ring_forms, strcpy(s->ring_state, "gather"))
CHANGE(gate_shut, a->is_gate_open = false)
CHANGE(joining, strcpy(a->state, "joining"))
CHANGE(no_quorum, s->is_quorate = false)

static void health_is_the_worst_that_is_told(void **state)
{
	(void)state;
	assert_int_equal(health_of(nothing), STATUS_FINE);
	assert_int_equal(health_of(no_arrays), STATUS_FINE);
	assert_int_equal(health_of(check), STATUS_FINE);
	assert_int_equal(health_of(disk_gone), STATUS_DEGRADED);
	assert_int_equal(health_of(resync), STATUS_DEGRADED);
	assert_int_equal(health_of(repair), STATUS_DEGRADED);
	assert_int_equal(health_of(resync_owed), STATUS_DEGRADED);
	assert_int_equal(health_of(member_owes), STATUS_DEGRADED);
	assert_int_equal(health_of(member_missing), STATUS_DEGRADED);
	assert_int_equal(health_of(single_source), STATUS_DEGRADED);
	assert_int_equal(health_of(waits), STATUS_DEGRADED);
	assert_int_equal(health_of(node_missing), STATUS_DEGRADED);
	assert_int_equal(health_of(ring_forms), STATUS_DEGRADED);
	assert_int_equal(health_of(gate_shut), STATUS_DOWN);
	assert_int_equal(health_of(joining), STATUS_DOWN);
	assert_int_equal(health_of(no_quorum), STATUS_DOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read_as_it_was_written),
		cmocka_unit_test(what_is_too_large_for_json_is_the_largest),
		cmocka_unit_test(names_that_are_no_utf8_are_told_anyway),
		cmocka_unit_test(what_is_missing_is_0_and_what_is_unknown_is_skipped),
		cmocka_unit_test(what_is_wrong_is_refused_by_name),
		cmocka_unit_test(an_event_is_read_as_it_was_written),
		cmocka_unit_test(health_is_the_worst_that_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
