/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must have come of a line, and what must hold behind every line. */
#include "tests/locks/play.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

void play_drop_asides(struct conformance_play *play, const struct script_line *line)
{
	drop_unless_expected(play, line, "@");
	drop_unless_expected(play, line, " waited for ");
}

int play_compare(struct conformance_play *play, const struct script_line *line,
		 struct err *err)
{
	bool is_equal_so_far = true;
	char wanted[200], came[200];

	play_drop_asides(play, line);
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

/* L5: who is in, and hears, knows of the same members. */
static int check_members(const struct conformance_play *play, struct err *err)
{
	const struct play_node *first = NULL;

	for (int i = 1; i <= CONFORMANCE_NODES; i++) {
		const struct play_node *n = &play->nodes[i];

		if (!n->space || !n->is_in || n->is_frozen || n->is_cut || n->is_lost)
			continue;
		if (!first)
			first = n;
		if (n->generation != first->generation)
			return err_set(err, -EPROTO, "L5: node %d has heard of generation "
				       "%u, node %d of %u", n->node, n->generation,
				       first->node, first->generation);
	}
	return 0;
}

int play_check(const struct conformance_play *play, struct err *err)
{
	int r = check_grants(play, err);

	return r < 0 ? r : check_members(play, err);
}
