/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays stories: does what a line says, lets the ground settle, compares. */
#include "tests/locks/play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

#define LOCKSPACE_NAME "conformance"

/* --- locks --------------------------------------------------------------------------- */

static struct play_lock *find_lock(struct conformance_play *play, const char *subject)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++)
		if (strcmp(play->locks[i].subject, subject) == 0)
			return &play->locks[i];
	return NULL;
}

static void forget(struct play_lock *l, bool with_fini)
{
	if (with_fini)
		lockres_fini(&l->lock);
	*l = (struct play_lock){ 0 };
}

void play_forget_locks(struct conformance_play *play, int node, bool with_fini)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++)
		if (play->locks[i].subject[0] && play->locks[i].node == node)
			forget(&play->locks[i], with_fini);
}

/* The lock of a deed, bound to the resource that it names. NULL: *r says why. */
static struct play_lock *bind(struct conformance_play *play, const struct script_deed *d,
			      int *r)
{
	struct play_lock *l = find_lock(play, d->subject);
	uint8_t name[LOCK_MAX_NAME + 1];
	char prefix[16];
	size_t length;

	snprintf(prefix, sizeof(prefix), "%u/", play->stories);
	length = script_name(d->name, prefix, name);
	if (l && l->lock.name_length == length && !memcmp(l->lock.name, name, length))
		return l;
	if (l)
		forget(l, true);
	l = find_lock(play, "");
	*r = l ? lockres_init(&l->lock, play->nodes[d->node].space, name, length,
			      &play_lock_handlers, l) : -E2BIG;
	if (*r < 0)
		return NULL;
	l->play = play;
	strcpy(l->subject, d->subject);
	l->node = d->node;
	return l;
}

static void put_value(struct conformance_play *play, struct play_lock *l,
		      const struct script_deed *d)
{
	play_fill(play, l->before, d->value[0] ? d->value : "poison");
	memcpy(l->lock.value, l->before, LOCK_MAX_LVB);
}

static void request(struct conformance_play *play, struct play_lock *l,
		    const struct script_deed *d)
{
	uint8_t value[LOCK_MAX_LVB], before[LOCK_MAX_LVB];
	int r;

	memcpy(value, l->lock.value, sizeof(value));
	memcpy(before, l->before, sizeof(before));
	put_value(play, l, d);
	if (d->verb == SCRIPT_LOCK || d->verb == SCRIPT_CONVERT) {
		if (d->waiter)
			l->lock.waiter = d->waiter;
		r = lockres_lock(&l->lock, (enum lock_mode)d->mode, d->flags, d->ns);
	} else {
		r = lockres_unlock(&l->lock, d->flags);
	}
	if (r < 0 || d->verb == SCRIPT_CANCEL) {
		/* What is under way goes on as it was. */
		memcpy(l->lock.value, value, sizeof(value));
		memcpy(l->before, before, sizeof(before));
	}
	if (r < 0) {
		play_note(play, "%s refused %s", d->subject, play_errno(r));
		return;
	}
	if (d->verb == SCRIPT_CANCEL)
		return;
	l->is_awaited = true;
	l->may_be_demoted = d->flags & LOCK_CONVDEADLK;
}

static int lock_deed(struct conformance_play *play, const struct script_deed *d,
		     struct err *err)
{
	struct play_lock *l = find_lock(play, d->subject);
	int r = 0;

	if (!play->nodes[d->node].space)
		return err_set(err, -EINVAL, "node %d is not there", d->node);
	if (d->verb == SCRIPT_LOCK) {
		l = bind(play, d, &r);
		if (!l) {
			play_note(play, "%s refused %s", d->subject, play_errno(r));
			return 0;
		}
	}
	if (!l)
		return err_set(err, -EINVAL, "'%s' was never locked", d->subject);
	if (d->verb == SCRIPT_FREES)
		forget(l, true);
	else if (d->verb == SCRIPT_ASKS)
		play_note_blockers(l, "waits");
	else
		request(play, l, d);
	return 0;
}

/* --- nodes --------------------------------------------------------------------------- */

static int open_node(struct conformance_play *play, const struct script_deed *d,
		     struct err *err)
{
	const struct conformance_ground *g = play->ground;
	uint32_t other_size = LOCK_SMALL_LVB + LOCK_LARGE_LVB - g->lvb_bytes;
	const struct lockspace_config config = {
		.name = LOCKSPACE_NAME,
		.name_length = strlen(LOCKSPACE_NAME),
		.lvb_bytes = d->has_other_size ? other_size : g->lvb_bytes,
		.slots = d->slots,
		.wanted_slot = d->slot,
	};
	struct play_node *n = &play->nodes[d->node];

	if (n->space)
		return 0;
	if (n->is_dead)
		g->revive(g->owner, d->node);
	*n = (struct play_node){
		.play = play,
		.node = d->node,
		.is_unproven = n->is_unproven,
		.death = n->death,
		.is_special = d->has_other_size || d->slots || d->slot >= 0,
	};
	return lockspace_open(g->engine(g->owner, d->node), &config, &play_space_handlers,
			      n, &n->space, err);
}

static void look_at_members(struct conformance_play *play, const struct play_node *n)
{
	char text[SCRIPT_MAX_EVENT] = "";

	for (size_t i = 0; i < n->member_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u:%d",
			 n->members[i].node, n->members[i].slot);
	play_note(play, "%d sees%.80s", n->node, text);
}

static void cut(struct conformance_play *play, struct play_node *n, bool is_cut)
{
	if (n->is_cut == is_cut)
		return;
	n->is_cut = is_cut;
	n->is_special = true;
	n->is_unproven = is_cut;
	n->death = LOCK_DEATH_PROCESS;
	play->ground->cut(play->ground->owner, n->node, is_cut);
}

static void kill_node(struct conformance_play *play, const struct script_deed *d)
{
	const struct conformance_ground *g = play->ground;
	struct play_node *n = &play->nodes[d->node];

	*n = (struct play_node){
		.play = play,
		.node = d->node,
		.is_dead = true,
		.is_unproven = true,
		.death = d->is_node_death ? LOCK_DEATH_NODE : LOCK_DEATH_PROCESS,
	};
	g->kill(g->owner, d->node, n->death);
	play_forget_locks(play, d->node, false);
}

static void prove(struct conformance_play *play, struct play_node *n)
{
	if (!n->is_unproven)
		return;
	n->is_unproven = false;
	if (play->ground->prove)
		play->ground->prove(play->ground->owner, n->node, n->death);
}

static int node_deed(struct conformance_play *play, const struct script_deed *d,
		     struct err *err)
{
	struct play_node *n = &play->nodes[d->node];

	switch (d->verb) {
	case SCRIPT_OPENS:
		return open_node(play, d, err);
	case SCRIPT_PROVEN:
		prove(play, n);
		return 0;
	case SCRIPT_CUT:
	case SCRIPT_BACK:
		cut(play, n, d->verb == SCRIPT_CUT);
		return 0;
	default:
		break;
	}
	if (!n->space)
		return err_set(err, -EINVAL, "node %d is not there", d->node);
	switch (d->verb) {
	case SCRIPT_DIES:
		kill_node(play, d);
		return 0;
	case SCRIPT_LOOKS:
		look_at_members(play, n);
		return 0;
	case SCRIPT_CLOSES:
		lockspace_close(n->space);
		return 0;
	case SCRIPT_PURGES:
		return lockspace_purge_orphans(n->space, (uint32_t)d->other, err);
	case SCRIPT_BEGINS:
		lockspace_begin(n->space);
		return 0;
	default:
		lockspace_end(n->space);
		return 0;
	}
}

static int do_deed(struct conformance_play *play, const struct script_deed *d,
		   struct err *err)
{
	if (d->verb == SCRIPT_TIME) {
		play->ground->advance(play->ground->owner, d->ns);
		return 0;
	}
	if (d->node > CONFORMANCE_NODES)
		return err_set(err, -EINVAL, "there is no node %d", d->node);
	return d->verb <= SCRIPT_ASKS ? lock_deed(play, d, err) : node_deed(play, d, err);
}

/* --- what must have come ----------------------------------------------------------------- */

static bool is_about(const struct script_event *e, const char *subject, size_t length)
{
	return script_subject_length(e->text) == length &&
	       memcmp(e->text, subject, length) == 0;
}

static bool is_equal(const struct conformance_play *play, const struct script_event *came,
		     const struct script_event *wanted)
{
	const char *value = strstr(came->text, " value=");

	if (strcmp(came->text, wanted->text) == 0)
		return true;
	return play->ground->lacks & LACKS_KEPT_VALUES && value &&
	       strlen(wanted->text) == (size_t)(value - came->text) &&
	       strncmp(came->text, wanted->text, strlen(wanted->text)) == 0;
}

/* What came of one lock, or one node, is what was expected, in that order. */
static bool is_as_expected(const struct conformance_play *play,
			   const struct script_line *line, const char *subject)
{
	size_t length = script_subject_length(subject), i = 0;

	for (size_t j = 0; j < play->came_count; j++) {
		const struct script_event *came = &play->came[j];

		if (!is_about(came, subject, length))
			continue;
		while (i < line->event_count &&
		       (!is_about(&line->events[i], subject, length) ||
			(line->events[i].is_optional &&
			 !is_equal(play, came, &line->events[i]))))
			i++;
		if (i == line->event_count || !is_equal(play, came, &line->events[i]))
			return false;
		i++;
	}
	for (; i < line->event_count; i++)
		if (is_about(&line->events[i], subject, length) &&
		    !line->events[i].is_optional)
			return false;
	return true;
}

static void list_events(const struct script_event *events, size_t count, char *to,
			size_t size)
{
	size_t at = 0;

	snprintf(to, size, "%s", count ? "" : "nothing");
	for (size_t i = 0; i < count && at < size; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%s%s", i ? ", " : "",
				       events[i].is_optional ? "?" : "", events[i].text);
}

/* What is looked at only where a line speaks of it. */
static bool is_aside(const struct script_event *e, const char *mark)
{
	return strstr(e->text, mark) != NULL;
}

static void drop_unless_expected(struct conformance_play *play,
				 const struct script_line *line, const char *mark)
{
	size_t kept = 0;

	for (size_t i = 0; i < line->event_count; i++)
		if (is_aside(&line->events[i], mark))
			return;
	for (size_t i = 0; i < play->came_count; i++)
		if (!is_aside(&play->came[i], mark))
			play->came[kept++] = play->came[i];
	play->came_count = kept;
}

static int compare(struct conformance_play *play, const struct script_line *line,
		   struct err *err)
{
	bool is_equal_so_far = true;
	char wanted[200], came[200];

	drop_unless_expected(play, line, "@");
	drop_unless_expected(play, line, " waited for ");
	for (size_t i = 0; i < line->event_count; i++)
		is_equal_so_far &= is_as_expected(play, line, line->events[i].text);
	for (size_t i = 0; i < play->came_count; i++)
		is_equal_so_far &= is_as_expected(play, line, play->came[i].text);
	if (is_equal_so_far)
		return 0;
	list_events(line->events, line->event_count, wanted, sizeof(wanted));
	list_events(play->came, play->came_count, came, sizeof(came));
	return err_set(err, -EPROTO, "expected %s; came %s", wanted, came);
}

/* What who was taken for dead believes to hold is held by nobody. */
static bool counts(const struct conformance_play *play, const struct play_lock *l)
{
	const struct play_node *n = &play->nodes[l->node];

	return l->subject[0] && l->lock.mode != LOCK_NONE &&
	       !(l->is_awaited && l->may_be_demoted) && !(n->is_cut && !n->is_unproven);
}

/* L1, as owners see it when all is quiet. */
static int check_grants(const struct conformance_play *play, struct err *err)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++)
		for (size_t j = 0; j < i; j++) {
			const struct play_lock *a = &play->locks[i], *b = &play->locks[j];

			if (counts(play, a) && counts(play, b) &&
			    a->lock.name_length == b->lock.name_length &&
			    !memcmp(a->lock.name, b->lock.name, a->lock.name_length) &&
			    !spec_compatible(a->lock.mode, b->lock.mode))
				return err_set(err, -EPROTO, "L1: %s holds %s and %s %s",
					       a->subject, lock_mode_name(a->lock.mode),
					       b->subject, lock_mode_name(b->lock.mode));
		}
	return 0;
}

/* --- stories --------------------------------------------------------------------------- */

static int settle(struct conformance_play *play, struct err *err)
{
	play->ground->settle(play->ground->owner);
	if (play->broken.code)
		return err_set(err, play->broken.code, "%s", play->broken.text);
	return check_grants(play, err);
}

static int do_line(struct conformance_play *play, const struct script_line *line,
		   struct err *err)
{
	int r = 0;

	play->came_count = 0;
	for (size_t i = 0; r == 0 && i < line->deed_count; i++)
		r = do_deed(play, &line->deeds[i], err);
	return r < 0 ? r : settle(play, err);
}

static int play_line(struct conformance_play *play, const struct script_line *line,
		     struct err *err)
{
	int r = do_line(play, line, err);

	return r < 0 ? r : compare(play, line, err);
}

int conformance_record(struct conformance_play *play, const char *deeds, FILE *to,
		       struct err *err)
{
	struct script_line line;
	int r = script_read(&deeds, &line, err);

	if (r < 0)
		return r;
	line.event_count = 0;
	r = do_line(play, &line, err);
	drop_unless_expected(play, &line, "@");
	drop_unless_expected(play, &line, " waited for ");
	fprintf(to, "%s", play->came_count ? "" : "nothing");
	for (size_t i = 0; i < play->came_count; i++)
		fprintf(to, "%s%s", i ? ", " : "", play->came[i].text);
	fprintf(to, "\n");
	return r;
}

/* Who is cut off is back, who died is proven dead. */
static void end_trouble(struct conformance_play *play)
{
	for (int i = 1; i <= CONFORMANCE_NODES; i++) {
		cut(play, &play->nodes[i], false);
		prove(play, &play->nodes[i]);
	}
}

/* All nodes are there, opened as usual, and nobody waits for a proof. */
static int gather(struct conformance_play *play, struct err *err)
{
	int r;

	end_trouble(play);
	r = settle(play, err);
	for (int i = 1; i <= CONFORMANCE_NODES; i++)
		if (play->nodes[i].space && play->nodes[i].is_special)
			lockspace_close(play->nodes[i].space);
	if (r == 0)
		r = settle(play, err);
	for (int i = 1; r == 0 && i <= CONFORMANCE_NODES; i++)
		r = open_node(play, &(struct script_deed){ .node = i, .slot = -1 }, err);
	if (r == 0)
		r = settle(play, err);
	for (int i = 1; r == 0 && i <= CONFORMANCE_NODES; i++)
		if (!play->nodes[i].is_in || play->nodes[i].is_frozen)
			r = err_set(err, -EPROTO, "node %d does not become a member", i);
	return r;
}

/* L2: whatever waits is completed, once, when it is unlocked by force. */
static int end_story(struct conformance_play *play, struct err *err)
{
	int r;

	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++) {
		struct play_lock *l = &play->locks[i];

		if (!l->subject[0] || play->nodes[l->node].is_lost ||
		    (!l->is_awaited && l->lock.mode == LOCK_NONE))
			continue;
		r = lockres_unlock(&l->lock, LOCK_FORCEUNLOCK);
		if (r < 0)
			return err_set(err, r, "%s cannot be unlocked by force", l->subject);
		l->is_awaited = true;
	}
	end_trouble(play);
	r = settle(play, err);
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++) {
		struct play_lock *l = &play->locks[i];

		if (r == 0 && l->subject[0] && l->is_awaited)
			r = err_set(err, -EPROTO, "L2: %s is never completed", l->subject);
	}
	for (int i = 1; i <= CONFORMANCE_NODES; i++)
		play_forget_locks(play, i, true);
	return r;
}

static uint32_t lacks(const struct conformance_play *play)
{
	const struct conformance_ground *g = play->ground;

	return g->lacks | (g->kill ? 0 : LACKS_DEATH) | (g->cut ? 0 : LACKS_CUT) |
	       (play->is_ordered ? 0 : LACKS_ORDER);
}

int conformance_play(struct conformance_play *play, const struct conformance_story *story,
		     struct err *err)
{
	const char *at = story->lines;
	struct script_line line;
	int r, number = 0;

	if (story->needs & lacks(play))
		return 1;
	play->stories++;
	r = gather(play, err);
	if (r < 0)
		return err_prefix(err, "%s: before it begins", story->name);
	while (*at) {
		const char *text = at;
		char shown[SCRIPT_MAX_EVENT];

		number++;
		r = script_read(&at, &line, err);
		if (r == 0 && line.deed_count > 0)
			r = play_line(play, &line, err);
		if (r == 0)
			continue;
		text_printable(text, strcspn(text, "\n"), shown, sizeof(shown));
		return err_prefix(err, "%s: line %d '%s'", story->name, number, shown);
	}
	r = end_story(play, err);
	if (r == 0)
		r = settle(play, err);
	return r < 0 ? err_prefix(err, "%s: at its end", story->name) : 0;
}

/* --- life ------------------------------------------------------------------------------- */

struct conformance_play *conformance_open(const struct conformance_ground *ground,
					  struct err *err)
{
	struct conformance_play *play = calloc(1, sizeof(*play));

	if (!play) {
		err_nomem(err, "the stage");
		return NULL;
	}
	play->ground = ground;
	for (int i = 1; i <= CONFORMANCE_NODES; i++)
		play->nodes[i] = (struct play_node){ .play = play, .node = i };
	if (gather(play, err) < 0) {
		free(play);
		return NULL;
	}
	play->is_ordered = play->nodes[1].space->is_ordered;
	return play;
}

void conformance_close(struct conformance_play *play)
{
	for (int i = 1; i <= CONFORMANCE_NODES; i++)
		if (play->nodes[i].space)
			lockspace_close(play->nodes[i].space);
	play->ground->settle(play->ground->owner);
	free(play);
}

int conformance_main(const struct conformance_ground *ground, const char *only, FILE *to)
{
	struct err err = ERR_INIT;
	struct conformance_play *play = conformance_open(ground, &err);
	const struct conformance_story *stories;
	size_t count;
	int r = play ? 0 : err.code;

	stories = conformance_stories(&count);
	for (size_t i = 0; r >= 0 && i < count; i++) {
		if (only && !strstr(stories[i].name, only))
			continue;
		r = conformance_play(play, &stories[i], &err);
		fprintf(to, "%s %s: %s\n", r < 0 ? "FAILED " : r ? "skipped" : "ok     ",
			ground->name, stories[i].name);
	}
	if (r < 0)
		fprintf(to, "%s\n", err.text);
	else
		conformance_close(play);
	return r < 0;
}
