/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdcluster add, re-add, remove, fail, and manage, which is all of them, and replace, in one
 * line, as mdadm has it: what is asked is looked at first, then done in order, up to what fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/printable.h"
#include "tools/commands.h"
#include "tools/daemon.h"
#include "tools/manage.h"
#include "tools/members.h"
#include "tools/replace_array.h"
#include "tools/show_status.h"
#include "tools/wait_array.h"

LOG_SUBSYSTEM(manage);

enum action { ADD, ADD_SPARE, RE_ADD, REMOVE, FAIL, CONFIRM, REPLACE, WITH, NO_ACTION };

enum { MOST_REPLACED = 32 }; /* in one row */

static const struct {
	const char *option; /* of manage */
	const char *name, *method, *how;
} actions[] = {
	[ADD] = { "add", "add", "org.mdcluster.Add", "add" },
	[ADD_SPARE] = { "add-spare", "add-spare", "org.mdcluster.Add", "spare" },
	[RE_ADD] = { "re-add", "re-add", "org.mdcluster.Add", "re-add" },
	[REMOVE] = { "remove", "remove", "org.mdcluster.Remove", NULL },
	[FAIL] = { "fail", "fail", "org.mdcluster.Fail", NULL },
	[CONFIRM] = { "cluster-confirm", NULL, NULL, NULL },
	[REPLACE] = { "replace", NULL, NULL, NULL },
	[WITH] = { "with", NULL, NULL, NULL },
};

struct manage {
	const struct cli_args *args;
	const char *array;
	bool is_json;
	json_t *told;      /* JSON: an object an action */
	size_t found;      /* of a word that stands for several */
	uint64_t added;    /* numbers below 64, a bit each */
	struct {
		const char *old[MOST_REPLACED], *new[MOST_REPLACED];
		size_t olds, news;
	} replaced;        /* in pairs, when all of them are known */
	struct err err;
};

/* As the daemon knows it, which is elsewhere; what is no file stays what it is. */
static json_t *disk_of(const char *word)
{
	CLEANUP_FREE char *path = word[0] != '/' && word[strspn(word, "0123456789")] ?
					  realpath(word, NULL) : NULL;

	return json_string(path ? path : word);
}

/* --- what has become of it -------------------------------------------------------------- */

static int number_in(const json_t *answer, const char *key)
{
	return (int)json_integer_value(json_object_get(answer, key));
}

static void tell_json(struct manage *m, enum action action, const char *word,
		      const json_t *answer)
{
	const json_t *number = json_object_get(answer, "number");
	const char *counted = action == REMOVE ? "removed" : "failed";

	json_array_append_new(m->told, json_pack("{s:s, s:s, s:s, s:O?, s:b, s:i}",
		"array", m->array, "action", actions[action].name, "disk", word,
		"number", number, "is_re_added",
		json_is_true(json_object_get(answer, "re_added")),
		"disks", number ? 1 : number_in(answer, counted)));
}

static void tell(struct manage *m, enum action action, const char *word, const json_t *answer)
{
	char clean[256];

	text_printable(word, strlen(word), clean, sizeof(clean));
	if (m->is_json)
		tell_json(m, action, word, answer);
	else if (action > RE_ADD || cli_has(m->args, "quiet"))
		return; /* as asked */
	else if (json_is_true(json_object_get(answer, "re_added")))
		printf("%s: re-added %s as #%d: what was written meanwhile is recovered\n",
		       m->array, clean, number_in(answer, "number"));
	else
		printf("%s: added %s as #%d\n", m->array, clean, number_in(answer, "number"));
	fflush(stdout);
}

/* --- one disk --------------------------------------------------------------------------- */

static json_t *ask(struct manage *m, const char *method, json_t *parameters)
{
	return manage_ask(m->args, m->array, method, parameters, &m->err);
}

static int act(struct manage *m, enum action action, const char *word)
{
	json_t *parameters = json_pack("{s:o}", "disk", disk_of(word));
	json_t *answer;

	if (actions[action].how)
		json_object_set_new(parameters, "how", json_string(actions[action].how));
	if (actions[action].how && cli_has(m->args, "force"))
		json_object_set_new(parameters, "force", json_true());
	answer = ask(m, actions[action].method, parameters);
	if (!answer)
		return m->err.code;
	tell(m, action, word, answer);
	manage_note_unconfigured(m->array, word, answer);
	if (actions[action].how && number_in(answer, "number") < 64)
		m->added |= UINT64_C(1) << number_in(answer, "number");
	json_decref(answer);
	return 0;
}

/* --- re-add: those that failed, those that are missing ---------------------------------- */

static int re_add(void *owner, const char *path)
{
	struct manage *m = owner;

	m->found++;
	return act(m, RE_ADD, path);
}

static int re_add_faulty(struct manage *m, const json_t *metadata)
{
	const json_t *disks = json_object_get(metadata, "disks"), *disk;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)(uintptr_t)disks, i, disk) { /* not written */
		const char *state = json_string_value(json_object_get(disk, "state"));
		const char *path = json_string_value(json_object_get(disk, "path"));

		if (!state || strcmp(state, "faulty") != 0 || !path || !*path)
			continue;
		r = act(m, REMOVE, path);
		if (r == 0)
			r = re_add(m, path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int re_add_word(struct manage *m, const char *word)
{
	json_t *answer = daemon_ask(m->args, "org.mdcluster.Detail",
				    json_pack("{s:s}", "array", m->array), &m->err);
	const json_t *metadata = json_object_get(answer, "metadata");
	int r = answer ? 0 : m->err.code;

	m->found = 0;
	if (r == 0 && strcmp(word, "missing") == 0)
		r = members_missing(metadata, re_add, m, &m->err);
	else if (r == 0)
		r = re_add_faulty(m, metadata);
	if (r == 0 && m->found == 0)
		log_notice("MDC3020", "%s: no disk is %s here", m->array, word);
	json_decref(answer);
	return r;
}

/* --- words ------------------------------------------------------------------------------ */

static bool is_failed(const char *word)
{
	return strcmp(word, "failed") == 0 || strcmp(word, "faulty") == 0;
}

/* mdadm's words for several disks, where mdadm has them. */
static bool is_meaningful(enum action action, const char *word)
{
	if (strcmp(word, "missing") == 0)
		return action == RE_ADD;
	if (strcmp(word, "detached") == 0)
		return action == REMOVE || action == FAIL;
	return !is_failed(word) || action == REMOVE || action == RE_ADD;
}

static enum cli_exit check(enum action action, const char *word)
{
	if (action == NO_ACTION)
		return cli_usage("%s: what shall be done with it? (--add, --remove, --fail ...)",
				 word);
	if (!is_meaningful(action, word))
		return cli_usage("'%s' is a word for %s alone", word,
				 strcmp(word, "missing") == 0  ? "--re-add" :
				 strcmp(word, "detached") == 0 ? "--fail and --remove" :
								 "--remove and --re-add");
	return CLI_OK;
}

static int do_one(struct manage *m, enum action action, const char *word)
{
	if (action == CONFIRM) {
		log_notice("MDC3021", "%s: --cluster-confirm is not needed: each node looks for the disk itself",
			   word);
		return 0;
	}
	if (action == RE_ADD && (is_failed(word) || strcmp(word, "missing") == 0))
		return re_add_word(m, word);
	return act(m, action, word);
}

/* --- replace: mdadm's --replace OLD... --with NEW... ------------------------------------- */

static bool is_pair(enum action action)
{
	return action == REPLACE || action == WITH;
}

static enum cli_exit take_pair(struct manage *m, enum action action, const char *word)
{
	size_t *count = action == WITH ? &m->replaced.news : &m->replaced.olds;

	if (is_failed(word) || strcmp(word, "missing") == 0 || strcmp(word, "detached") == 0)
		return cli_usage("'%s': name each disk that is to be replaced", word);
	if (*count == MOST_REPLACED)
		return cli_usage("%s: too many disks in one row", word);
	if (action == WITH && m->replaced.news == m->replaced.olds)
		return cli_usage("--with %s: what shall it replace? (--replace DISK --with DISK)",
				 word);
	(action == WITH ? m->replaced.new : m->replaced.old)[(*count)++] = word;
	return CLI_OK;
}

static int replace_pairs(struct manage *m, bool is_trial)
{
	int r = 0;

	for (size_t i = 0; r == 0 && !is_trial && i < m->replaced.olds; i++) {
		const char *new = i < m->replaced.news ? m->replaced.new[i] : NULL;
		json_t *change = replace_array(m->args, m->array, m->replaced.old[i], new,
					       &m->err);

		if (change)
			json_array_append_new(m->told, change);
		r = change ? 0 : m->err.code;
	}
	m->replaced.olds = m->replaced.news = 0;
	return r;
}

/* --- all that was asked ----------------------------------------------------------------- */

static enum action action_of(const char *option, enum action before)
{
	if (strcmp(option, "set-faulty") == 0)
		return FAIL;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(option, actions[i].option) == 0)
			return (enum action)i;
	return before; /* it is about something else */
}

/*
 * The first operand is the array; each other one is a disk for the action that stands before
 * it. is_trial: only looks whether that makes sense.
 */
static enum cli_exit walk(struct manage *m, enum action action, bool is_trial)
{
	const char *option, *word;
	bool has_array = false;
	size_t cursor = 0;

	while (cli_next(m->args, &cursor, &option, &word)) {
		if (option) {
			action = action_of(option, action);
			if (!is_pair(action) && replace_pairs(m, is_trial) < 0)
				return cli_fail(&m->err);
		} else if (!has_array) {
			has_array = true;
		} else if (is_pair(action)) {
			if (take_pair(m, action, word) != CLI_OK)
				return CLI_USAGE;
		} else if (is_trial) {
			if (check(action, word) != CLI_OK)
				return CLI_USAGE;
		} else if (do_one(m, action, word) < 0) {
			return cli_fail(&m->err);
		}
	}
	return replace_pairs(m, is_trial) < 0 ? cli_fail(&m->err) : CLI_OK;
}

/* Did those that came fail in the meantime? */
static int look_at_added(struct manage *m)
{
	const struct status_array *a;
	struct status s;
	int r = daemon_status(m->args, &s, &m->err);

	if (r < 0)
		return r;
	a = show_find_array(&s, m->array, &m->err);
	r = a ? 0 : m->err.code;
	for (uint32_t i = 0; r == 0 && i < a->disk_count; i++) {
		const struct status_disk *d = &a->disks[i];

		if (d->number < 64 && (m->added >> d->number & 1) &&
		    strcmp(d->state, "faulty") == 0)
			r = err_set(&m->err, -EIO, "%s: %s has failed meanwhile", m->array,
				    d->path);
	}
	status_fini(&s);
	return r;
}

static enum cli_exit wait_for_it(struct manage *m)
{
	bool was_busy;

	if (wait_array(m->args, m->array, &was_busy, &m->err) < 0 || look_at_added(m) < 0)
		return cli_fail(&m->err);
	return CLI_OK;
}

static enum cli_exit run(const struct cli_args *args, const char *name, enum action action)
{
	struct manage m = { .args = args, .is_json = cli_has(args, "json"), .err = ERR_INIT };
	enum cli_exit code;
	char *const *operands;
	size_t count;

	operands = cli_operands(args, &count);
	if (count < 2)
		return cli_usage("%s: name the array, then its disks", name);
	m.array = daemon_array_name(operands[0]);
	code = walk(&m, action, true);
	if (code != CLI_OK)
		return code;
	m.told = json_array();
	code = walk(&m, action, false);
	if (code == CLI_OK && cli_has(args, "wait"))
		code = wait_for_it(&m);
	if (m.is_json) {
		json_dumpf(m.told, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(m.told);
	return code;
}

static enum cli_exit run_add(const struct cli_args *args)
{
	return run(args, "add", cli_has(args, "spare") ? ADD_SPARE : ADD);
}

static enum cli_exit run_re_add(const struct cli_args *args)
{
	return run(args, "re-add", RE_ADD);
}

static enum cli_exit run_remove(const struct cli_args *args)
{
	return run(args, "remove", REMOVE);
}

static enum cli_exit run_fail(const struct cli_args *args)
{
	return run(args, "fail", FAIL);
}

static enum cli_exit run_manage(const struct cli_args *args)
{
	return run(args, "manage", NO_ACTION);
}

/* --- the commands ----------------------------------------------------------------------- */

#define FORCE_OPTION { "force", 0, NULL, "whatever else the disk holds is lost" }
#define WAIT_OPTION { "wait", 'w', NULL, "until what is recovered then is recovered" }

static const struct cli_option add_options[] = {
	{ "spare", 0, NULL, "as a spare, even if it was something else before" },
	{ "force", 'f', NULL, "whatever else the disk holds is lost" },
	WAIT_OPTION,
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static const struct cli_option re_add_options[] = {
	WAIT_OPTION,
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static const struct cli_option options[] = {
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

static const struct cli_option manage_options[] = {
	{ "add", 'a', NULL, "the disks behind it are added" },
	{ "add-spare", 0, NULL, "the same, as spares" },
	{ "re-add", 0, NULL, "become again what they were" },
	{ "remove", 'r', NULL, "do not belong to it any more" },
	{ "fail", 'f', NULL, "are failed" },
	{ "set-faulty", 0, NULL, "are failed" },
	{ "replace", 0, NULL, "another disk takes their place, with no copy less meanwhile" },
	{ "with", 0, NULL, "behind --replace: the disks that do, in the same order" },
	{ "cluster-confirm", 0, NULL, "accepted, and not needed: nodes look for disks themselves" },
	FORCE_OPTION,
	{ "yes", 'y', NULL, "replace, raid10: do not ask" },
	WAIT_OPTION,
	CLI_JSON_OPTION,
	DAEMON_OPTIONS,
	CLI_COMMON_OPTIONS
};

const struct cli_command cmd_add = {
	.name = "add",
	.mdadm_long = "add",
	.mdadm_letter = 'a',
	.is_action = true,
	.operands = "ARRAY DISK...",
	.summary = "Give disks to an array, on all nodes: a role without a disk gets one by itself.",
	.options = add_options,
	.run = run_add,
};

const struct cli_command cmd_re_add = {
	.name = "re-add",
	.mdadm_long = "re-add",
	.is_action = true,
	.operands = "ARRAY DISK...",
	.summary = "Give disks back to an array, and recover only what they missed.",
	.options = re_add_options,
	.run = run_re_add,
};

const struct cli_command cmd_remove = {
	.name = "remove",
	.mdadm_long = "remove",
	.mdadm_letter = 'r',
	.is_action = true,
	.operands = "ARRAY DISK...",
	.summary = "Take disks that have failed, or spares, from an array, on all nodes.",
	.options = options,
	.run = run_remove,
};

const struct cli_command cmd_fail = {
	.name = "fail",
	.mdadm_long = "fail",
	.mdadm_letter = 'f',
	.is_action = true,
	.operands = "ARRAY DISK...",
	.summary = "Take disks out of an array on all nodes, as if they had failed.",
	.options = options,
	.run = run_fail,
};

const struct cli_command cmd_manage = {
	.name = "manage",
	.mdadm_long = "manage",
	.operands = "ARRAY [--ACTION DISK...]...",
	.summary = "Several of these in one line and in its order, as mdadm has them.",
	.options = manage_options,
	.run = run_manage,
};
