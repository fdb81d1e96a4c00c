/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks, does what replace.h says, and looks again: nothing is kept but what a look can tell.
 * A step that was answered is not asked for again before its effect is seen. What is refused
 * because the array is just at something else is asked for again for a while, and all else
 * once: whoever was interrupted may have asked for it just before.
 */
#include "tools/replace_array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/printable.h"
#include "base/text.h"
#include "mdclusterd/control/status.h"
#include "tools/daemon.h"
#include "tools/manage.h"
#include "tools/replace.h"
#include "tools/show_status.h"
#include "tools/wait_array.h"

enum {
	LOOK_MS = 200,
	MOST_LOOKS = 300, /* a minute, for what takes milliseconds */
};

struct run {
	const struct cli_args *args;
	struct replace r;
	char *old, *new;           /* words; owned */
	char new_path[STATUS_TEXT];
	bool is_told, is_shown;    /* to people; a bar */
	bool is_sure, has_hinted;
	enum replace_step done;    /* was answered, and cannot be seen yet */
	enum replace_step refused; /* once */
	uint32_t tries;
	struct err *err;
};

/* --- words ------------------------------------------------------------------------------ */

static bool is_role(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

/* As a daemon elsewhere knows it: a file of here by its full name, else one of /dev. */
static char *word_of(const char *word)
{
	char *path = NULL;

	if (word[0] == '/' || word[0] == '#' || is_role(word))
		return strdup(word);
	path = realpath(word, NULL);
	if (!path && !strchr(word, '/') && asprintf(&path, "/dev/%s", word) < 0)
		path = NULL;
	return path ? path : strdup(word);
}

static bool is_same_disk(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, b) == 0)
		return true;
	if (!*a || stat(a, &sa) < 0 || stat(b, &sb) < 0)
		return false;
	if (S_ISBLK(sa.st_mode) && S_ISBLK(sb.st_mode))
		return sa.st_rdev == sb.st_rdev;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool is_meant(const char *word, const struct status_array *a, const struct status_disk *d)
{
	struct err ignored = ERR_INIT;
	uint64_t number;

	if (!d->path[0] && strcmp(d->state, "missing") == 0)
		return false;
	if (word[0] == '#')
		return text_parse_u64(word + 1, "disk", 0, UINT16_MAX, &number, &ignored) == 0 &&
		       d->number == number;
	if (is_role(word))
		return text_parse_u64(word, "disk", 0, UINT16_MAX, &number, &ignored) == 0 &&
		       number < a->raid_disks && d->role == number;
	return is_same_disk(d->path, word);
}

/* Once it is found it stays the one, whatever role it gets. */
static void find(struct replace_disk *disk, const struct status_array *a)
{
	for (uint32_t i = 0; !disk->is_known && disk->word && i < a->disk_count; i++)
		if (is_meant(disk->word, a, &a->disks[i])) {
			disk->is_known = true;
			disk->number = a->disks[i].number;
		}
}

/* --- steps ------------------------------------------------------------------------------ */

static const char *clean(const char *word, char to[STATUS_TEXT])
{
	return text_printable(word, strlen(word), to, STATUS_TEXT);
}

static int ask(struct run *run, const char *method, json_t *parameters)
{
	json_t *answer = manage_ask(run->args, run->r.array, method, parameters, run->err);

	json_decref(answer);
	return answer ? 0 : run->err->code;
}

static int ask_of(struct run *run, const char *method, uint32_t number)
{
	char word[16];

	snprintf(word, sizeof(word), "#%u", number);
	return ask(run, method, json_pack("{s:s}", "disk", word));
}

static int add(struct run *run)
{
	json_t *answer;

	if (run->new[0] != '/')
		return err_set(run->err, -ENOENT, "%s: %s is no disk of this array, and no path",
			       run->r.array, run->new);
	answer = manage_ask(run->args, run->r.array, "org.mdcluster.Add",
			    json_pack("{s:s, s:s}", "disk", run->new, "how", "spare"), run->err);
	if (!answer)
		return run->err->code;
	manage_note_unconfigured(run->r.array, run->new, answer);
	json_decref(answer);
	return 0;
}

static int grow(struct run *run, uint32_t copies)
{
	char old[STATUS_TEXT], new[STATUS_TEXT];

	if (copies > run->r.copies && run->is_told && !run->has_hinted) {
		printf("%s: %s is to have what %s has; if this ends early, go on with: mdcluster replace %s %s --with %s\n",
		       run->r.array, clean(run->new_path, new), clean(run->old, old),
		       run->r.array, old, new);
		fflush(stdout);
		run->has_hinted = true;
	}
	return ask(run, "org.mdcluster.Grow", json_pack("{s:I}", "raid_devices",
							(json_int_t)copies));
}

static int act(struct run *run, enum replace_step step)
{
	const struct replace *r = &run->r;

	switch (step) {
	case REPLACE_ADD:
		return add(run);
	case REPLACE_GROW:
		return grow(run, r->copies + 1);
	case REPLACE_FAIL:
		return ask_of(run, "org.mdcluster.Fail", r->old.number);
	case REPLACE_SHRINK:
		return grow(run, r->copies);
	case REPLACE_REMOVE:
		return ask_of(run, "org.mdcluster.Remove", r->old.number);
	case REPLACE_REMOVE_NEW:
		return ask_of(run, "org.mdcluster.Remove", r->new.number);
	case REPLACE_WAIT:
	case REPLACE_DONE:
		break;
	}
	return 0;
}

/* --- between them ----------------------------------------------------------------------- */

/* Of a raid10 the old one goes before the new one has anything. */
static int be_sure(struct run *run, const struct status_array *a, enum replace_step step)
{
	const struct status_disk *old = replace_find(a, run->r.old.number);
	char question[768];

	if (run->is_sure || strcmp(a->level, "raid1") == 0 ||
	    (step != REPLACE_ADD && step != REPLACE_FAIL) || !old ||
	    strcmp(old->state, "in_sync") != 0)
		return 0;
	snprintf(question, sizeof(question),
		 "What %.200s of %.64s holds has no other copy than its mirror's until the new one is in sync.\nFail it now? (yes/no) ",
		 run->old, a->name);
	run->is_sure = cli_is_sure(run->args, question);
	return run->is_sure ? 0 : err_set(run->err, -ECANCELED,
					  "%s: nothing was done (--yes says that %s may fail first)",
					  a->name, run->old);
}

/* Not active for the moment, or for good? */
static int check_state(const struct status_array *a, bool *is_active, struct err *err)
{
	*is_active = strcmp(a->state, "active") == 0;
	if (strcmp(a->state, "down") == 0 || strcmp(a->state, "failed") == 0)
		return err_set(err, -EAGAIN, "%s: is not active here", a->name);
	return 0;
}

static int decide(struct run *run, const struct status_array *a, enum replace_step *step)
{
	const struct status_disk *new;
	bool is_active;
	int r = check_state(a, &is_active, run->err);

	*step = REPLACE_WAIT;
	if (r < 0 || !is_active)
		return r;
	find(&run->r.old, a);
	find(&run->r.new, a);
	r = replace_next(&run->r, a, wait_is_busy(a), step, run->err);
	new = run->r.new.is_known ? replace_find(a, run->r.new.number) : NULL;
	if (new)
		snprintf(run->new_path, sizeof(run->new_path), "%s", new->path);
	if (!run->new && run->r.new.word) { /* the spare: `a` goes, the word stays */
		run->new = strdup(run->new_path);
		run->r.new.word = run->new ? run->new : "the spare";
	}
	return r < 0 ? r : be_sure(run, a, *step);
}

static int look(struct run *run, enum replace_step *step)
{
	const struct status_array *a;
	struct status s;
	int r = daemon_status(run->args, &s, run->err);

	if (r < 0)
		return r;
	a = show_find_array(&s, run->r.array, run->err);
	r = a ? decide(run, a, step) : run->err->code;
	if (r == 0 && *step == REPLACE_WAIT && run->is_shown)
		wait_show(a);
	status_fini(&s);
	return r;
}

static bool is_for_now(enum replace_step step, int result)
{
	return (step == REPLACE_GROW || step == REPLACE_SHRINK) &&
	       (result == -EBUSY || result == -EAGAIN);
}

/* Does it, unless that was answered already; 0 too where it is to be tried again. */
static int take_step(struct run *run, enum replace_step step)
{
	bool is_done = step == run->done;
	int r = is_done ? 0 : act(run, step);

	if (r == 0)
		run->done = step;
	else if (!is_for_now(step, r) && run->refused == step)
		return r;
	run->refused = r == 0 ? REPLACE_WAIT : step;
	if (r == 0 && !is_done) {
		run->tries = 0;
		return 0;
	}
	if (++run->tries < MOST_LOOKS)
		return 0;
	return r < 0 ? r : err_set(run->err, -ETIMEDOUT, "%s: what was done cannot be seen: look what has become of it, then again",
				   run->r.array);
}

static int go(struct run *run)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * (long)NS_PER_MS };
	enum replace_step step;
	int r;

	while ((r = look(run, &step)) == 0 && step != REPLACE_DONE) {
		bool may_be_seen = step != REPLACE_WAIT && step != run->done;

		if (step == REPLACE_WAIT)
			run->done = REPLACE_WAIT;
		else
			r = take_step(run, step);
		if (r < 0)
			break;
		if (!may_be_seen || run->tries > 0)
			nanosleep(&pause, NULL);
	}
	if (run->is_shown)
		printf("\r\033[K");
	return r;
}

static json_t *told(const struct run *run)
{
	char old[STATUS_TEXT], new[STATUS_TEXT];

	clean(run->old, old);
	clean(run->new_path, new);
	if (run->is_told && !run->r.old.is_known)
		printf("%s: %s is none of its disks, and %s is in sync: nothing is left to do\n",
		       run->r.array, old, new);
	else if (run->is_told)
		printf("%s: %s is replaced by %s, which is #%u\n", run->r.array, old, new,
		       run->r.new.number);
	fflush(stdout);
	return json_pack("{s:s, s:s, s:s, s:i, s:b, s:i}", "array", run->r.array, "action",
			 "replace", "disk", run->old, "number", (int)run->r.new.number,
			 "is_re_added", 0, "disks", 1);
}

json_t *replace_array(const struct cli_args *args, const char *array, const char *old,
		      const char *new, struct err *err)
{
	struct run run = {
		.args = args,
		.r = { .array = array, .is_forced = cli_has(args, "force") },
		.old = word_of(old),
		.new = new ? word_of(new) : NULL,
		.is_told = !cli_has(args, "quiet") && !cli_has(args, "json"),
		.is_shown = wait_is_shown(args),
		.done = REPLACE_WAIT,
		.refused = REPLACE_WAIT,
		.err = err,
	};
	json_t *change = NULL;

	run.r.old.word = run.old;
	run.r.new.word = run.new;
	if (!run.old || (new && !run.new))
		err_nomem(err, "the names of the disks");
	else if (go(&run) == 0)
		change = told(&run);
	free(run.old);
	free(run.new);
	return change;
}
