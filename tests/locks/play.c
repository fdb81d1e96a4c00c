/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays stories: does what a line says, lets the ground settle, compares. */
#include "tests/locks/play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

/* --- stories --------------------------------------------------------------------------- */

static int settle(struct conformance_play *play, struct err *err)
{
	play->ground->settle(play->ground->owner);
	if (play->broken.code)
		return err_set(err, play->broken.code, "%s", play->broken.text);
	return play_check(play, err);
}

static int do_line(struct conformance_play *play, const struct script_line *line,
		   struct err *err)
{
	int r = 0;

	play->came_count = 0;
	for (size_t i = 0; r == 0 && i < line->deed_count; i++)
		r = play_deed(play, &line->deeds[i], err);
	return r < 0 ? r : settle(play, err);
}

static int play_line(struct conformance_play *play, const struct script_line *line,
		     struct err *err)
{
	int r = do_line(play, line, err);

	return r < 0 ? r : play_compare(play, line, err);
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
	play_drop_asides(play, &line);
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
		play_cut(play, &play->nodes[i], false);
		play_prove(play, &play->nodes[i]);
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
		r = play_open(play, &(struct script_deed){ .node = i, .slot = -1 }, err);
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
