/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster replay: what happened to an array, from its flight recorder, by the code that it
 * ran (record/replay.h). Needs no daemon, no disks and no privileges.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"
#include "mdclusterd/record/replay.h"
#include "tools/commands.h"
#include "tools/show.h"

static const struct cli_option options[] = {
	{ "events", 0, NULL, "only what the array said, not what it was told" },
	{ "at", 0, "SECONDS", "stop at that time since the recording began" },
	CLI_JSON_OPTION,
	CLI_COMMON_OPTIONS
};

struct show_replay {
	bool has_inputs;
	json_t *list;        /* NULL: text */
	uint64_t began_ns;
	bool is_begun;
};

static double seconds(const struct show_replay *show, uint64_t now)
{
	return (double)(now - show->began_ns) / 1e9;
}

/* --- an input, in words ------------------------------------------------------------------ */

static const char *const metadata_ops[METADATA_OPS] = {
	[METADATA_ASSEMBLE] = "assemble", [METADATA_RELOAD] = "reload",
	[METADATA_ACTIVATE] = "activate", [METADATA_READ_SLOT] = "read slot",
	[METADATA_CLEAR_SLOT] = "clear slot", [METADATA_FAIL] = "fail disk",
	[METADATA_PREPARE] = "prepare", [METADATA_FIND] = "find", [METADATA_ADD] = "add",
	[METADATA_UNPREPARE] = "unprepare", [METADATA_REBUILD] = "rebuild",
	[METADATA_PROGRESS] = "progress", [METADATA_IN_SYNC] = "in sync",
	[METADATA_REMOVE] = "remove", [METADATA_FORGET] = "forget",
	[METADATA_CLOSE] = "close",
};

static const char *const plane_ops[PLANE_OPS] = {
	[PLANE_START] = "start", [PLANE_SERVE] = "serve", [PLANE_NEED] = "need",
	[PLANE_SUSPEND] = "suspend", [PLANE_SET_DISK] = "set disk",
	[PLANE_EVENTS] = "events", [PLANE_WINDOW] = "window", [PLANE_SYNC] = "sync",
	[PLANE_DRAIN] = "drain", [PLANE_STOP] = "stop", [PLANE_LOOK] = "look",
};

static const char *op_name(const char *const *names, unsigned int count, unsigned int op)
{
	return op < count && names[op] ? names[op] : "?";
}

static const char *outcome(const struct record *r)
{
	return r->result == 0 ? "done" : r->text[0] ? r->text : strerror(-r->result);
}

static void input_words(const struct record *r, char *to, size_t size)
{
	char name[4 * LOCK_MAX_NAME + 1];

	switch (r->kind) {
	case RECORD_LOCK:
		text_escape(r->lock_name, r->lock_name_length, name, sizeof(name));
		snprintf(to, size, "lock %s: %s%s%s", name, lock_mode_name(r->lock.mode),
			 r->lock.status ? ", " : "",
			 r->lock.status ? strerror(-r->lock.status) : "");
		break;
	case RECORD_BLOCKED:
		text_escape(r->lock_name, r->lock_name_length, name, sizeof(name));
		snprintf(to, size, "lock %s: somebody wants %s", name,
			 lock_mode_name((enum lock_mode)r->number));
		break;
	case RECORD_METADATA:
		snprintf(to, size, "metadata, %s: %s",
			 op_name(metadata_ops, METADATA_OPS, r->op), outcome(r));
		break;
	case RECORD_PLANE:
		snprintf(to, size, "plane, %s: %s", op_name(plane_ops, PLANE_OPS, r->op),
			 outcome(r));
		break;
	case RECORD_SLOT:
		snprintf(to, size, "node %" PRIu64 " is dead, slot %d", r->number, r->slot);
		break;
	case RECORD_DONE:
		snprintf(to, size, "%zu members, our slot is %d, generation %" PRIu64,
			 r->member_count, r->slot, r->number);
		break;
	case RECORD_MISSING:
		snprintf(to, size, "node %" PRIu64 " is %s", r->number,
			 r->flag ? "missing" : "not missing");
		break;
	case RECORD_QUORATE:
		snprintf(to, size, r->flag ? "quorate" : "not quorate");
		break;
	case RECORD_NEEDS:
		snprintf(to, size, "needs: %" PRIu64 " chunks", r->number);
		break;
	case RECORD_CORRECTED:
		snprintf(to, size, "corrected: disk %d, sectors %" PRIu64 " to %" PRIu64, r->slot,
			 r->low, r->high);
		break;
	case RECORD_DISK_FAILED:
	case RECORD_GIVE_UP:
	case RECORD_LOST:
		snprintf(to, size, "%s: %s", record_kind_name(r->kind), r->text);
		break;
	default:
		snprintf(to, size, "%s", record_kind_name(r->kind));
	}
}

/* --- lines --------------------------------------------------------------------------------- */

static void say(struct show_replay *show, uint64_t now, const char *kind, const char *text)
{
	if (!show->list) {
		printf("%12.6f %c %s\n", seconds(show, now),
		       strcmp(kind, "input") == 0 ? '<' : strcmp(kind, "event") == 0 ? '>' : '!',
		       text);
		return;
	}
	json_array_append_new(show->list, json_pack("{s:f, s:s, s:o}", "time_s",
						    seconds(show, now), "kind", kind, "text",
						    show_json_text(text, SIZE_MAX)));
}

static void on_input(void *owner, const struct record *r)
{
	struct show_replay *show = owner;
	char text[RECORD_TEXT + 256], safe[RECORD_TEXT + 256];

	if (!show->is_begun)
		show->began_ns = r->now;
	show->is_begun = true;
	if (!show->has_inputs)
		return;
	input_words(r, text, sizeof(text));
	say(show, r->now, "input", text_printable(text, SIZE_MAX, safe, sizeof(safe)));
}

static void on_event(void *owner, const struct array_event *e)
{
	struct show_replay *show = owner;
	char text[RECORD_TEXT + 128];
	int at = snprintf(text, sizeof(text), "%s", array_event_name(e->kind));
	const size_t size = sizeof(text);

	if (e->node)
		at += snprintf(text + at, size - (size_t)at, ", node %u", e->node);
	if (e->slot >= 0)
		at += snprintf(text + at, size - (size_t)at, ", slot %d", e->slot);
	if (e->high > e->low)
		at += snprintf(text + at, size - (size_t)at, ", sectors %" PRIu64 "-%" PRIu64,
			       e->low, e->high);
	if (e->text[0])
		snprintf(text + at, size - (size_t)at, ": %s", e->text);
	say(show, e->at_ns, "event", text);
}

static void on_differs(void *owner, uint64_t now, const char *what)
{
	say(owner, now, "differs", what);
}

/* --- where it stands ----------------------------------------------------------------------- */

static json_t *state_json(const struct show_replay *show, const struct array_look *look,
			  uint64_t differences)
{
	json_t *members = json_array();

	for (size_t i = 0; i < look->member_count; i++)
		json_array_append_new(members, json_pack("{s:I, s:i, s:b}", "node",
			(json_int_t)look->members[i].node, "slot", look->members[i].slot,
			"is_missing", look->members[i].is_missing));
	return json_pack("{s:s, s:O, s:o, s:s, s:i, s:o, s:I, s:o, s:I}", "schema",
			 SHOW_JSON_SCHEMA, "steps", show->list, "array",
			 show_json_text(look->name, SIZE_MAX), "state",
			 array_state_name(look->state), "slot", look->slot, "waits",
			 show_json_text(look->waits, SIZE_MAX), "recovery_map",
			 (json_int_t)look->recovery_map, "members", members,
			 "differences", (json_int_t)differences);
}

static void print_state(const struct array_look *look, uint64_t differences)
{
	printf("\narray %s: %s, slot %d, %zu members", look->name,
	       array_state_name(look->state), look->slot, look->member_count);
	if (look->recovery_map)
		printf(", slots to recover 0x%" PRIx64, look->recovery_map);
	if (look->waits[0])
		printf("; %s", look->waits);
	putchar('\n');
	if (differences)
		printf("%" PRIu64 " differences: another version recorded this, or it is damaged\n",
		       differences);
}

static int finish(const struct show_replay *show, const struct replay *replay)
{
	struct array_look look;

	if (!replay_array(replay))
		return 0;
	array_look(replay_array(replay), &look);
	if (show->list)
		show_json_list(json_pack("[o]", state_json(show, &look,
							   replay_differences(replay))), 1);
	else
		print_state(&look, replay_differences(replay));
	return replay_differences(replay) ? 1 : 0;
}

/* --- the file ------------------------------------------------------------------------------ */

struct mapping {
	void *bytes;
	size_t length;
};

static void unmap(struct mapping *m)
{
	if (m->bytes)
		munmap(m->bytes, m->length);
}

static int map(const char *path, struct mapping *m, struct err *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, -EBADMSG, "%s: is no recording", path);
	m->length = (size_t)st.st_size;
	m->bytes = mmap(NULL, m->length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m->bytes == MAP_FAILED) {
		m->bytes = NULL;
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

static int parse_at(const char *text, double *at, struct err *err)
{
	char *end;

	*at = HUGE_VAL;
	if (!text)
		return 0;
	*at = strtod(text, &end);
	if (end == text || *end || !isfinite(*at) || *at < 0)
		return err_set(err, -EINVAL, "--at=%s: is no number of seconds", text);
	return 0;
}

static int play(const struct mapping *m, struct show_replay *show, double until,
		struct err *err)
{
	static const struct replay_handlers handlers = {
		.input = on_input, .event = on_event, .differs = on_differs,
	};
	struct replay *replay = replay_new(m->bytes, m->length, &handlers, show, err);
	int r;

	if (!replay)
		return err->code;
	do
		r = replay_step(replay, err);
	while (r == 1 && seconds(show, replay_now(replay)) < until);
	if (r >= 0)
		r = finish(show, replay);
	replay_free(replay);
	return r;
}

static enum cli_exit run(const struct cli_args *args)
{
	__attribute__((cleanup(unmap))) struct mapping m = { 0 };
	struct show_replay show = { .has_inputs = !cli_has(args, "events") };
	struct err err = ERR_INIT;
	size_t count;
	char *const *files = cli_operands(args, &count);
	double until;
	int r;

	if (count != 1)
		return cli_usage("replay: name one recording");
	if (parse_at(cli_value(args, "at"), &until, &err) < 0 ||
	    map(files[0], &m, &err) < 0)
		return cli_fail(&err);
	if (cli_has(args, "json"))
		show.list = json_array();
	r = play(&m, &show, until, &err);
	json_decref(show.list);
	if (r < 0) {
		err_prefix(&err, "%s", files[0]);
		return cli_fail(&err);
	}
	return r ? CLI_FAILED : CLI_OK;
}

const struct cli_command cmd_replay = {
	.name = "replay",
	.operands = "FILE",
	.summary = "Step through what an array's flight recorder wrote down.",
	.options = options,
	.run = run,
};
