/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the stories' lines; the language is in script.h. */
#include "tests/locks/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- words -------------------------------------------------------------------------- */

struct words {
	const char *at, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next one; false: there is none, or it is too long ("" then). */
static bool next_word(struct words *w, char to[SCRIPT_MAX_WORD])
{
	size_t length = 0;

	to[0] = '\0';
	while (w->at < w->end && is_blank(*w->at))
		w->at++;
	while (w->at + length < w->end && !is_blank(w->at[length]))
		length++;
	if (length == 0 || length >= SCRIPT_MAX_WORD)
		return false;
	memcpy(to, w->at, length);
	to[length] = '\0';
	w->at += length;
	return true;
}

static const char *find(const char *from, const char *end, const char *what)
{
	size_t n = strlen(what);

	for (; from + n <= end; from++)
		if (memcmp(from, what, n) == 0)
			return from;
	return end;
}

/* --- deeds ---------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum script_verb verb;
} verbs[] = {
	{ "lock", SCRIPT_LOCK }, { "convert", SCRIPT_CONVERT },
	{ "unlock", SCRIPT_UNLOCK }, { "cancel", SCRIPT_CANCEL },
	{ "frees", SCRIPT_FREES }, { "asks", SCRIPT_ASKS },
	{ "begins", SCRIPT_BEGINS }, { "ends", SCRIPT_ENDS },
	{ "opens", SCRIPT_OPENS }, { "closes", SCRIPT_CLOSES },
	{ "purges", SCRIPT_PURGES }, { "dies", SCRIPT_DIES },
	{ "proven", SCRIPT_PROVEN }, { "looks", SCRIPT_LOOKS },
	{ "cut", SCRIPT_CUT }, { "back", SCRIPT_BACK },
};

static const struct {
	const char *word;
	uint32_t flag;
} flags[] = {
	{ "noqueue", LOCK_NOQUEUE }, { "cancel", LOCK_CANCEL },
	{ "converting", LOCK_CONVERT }, { "valblk", LOCK_VALBLK },
	{ "quecvt", LOCK_QUECVT }, { "ivvalblk", LOCK_IVVALBLK },
	{ "convdeadlk", LOCK_CONVDEADLK }, { "persistent", LOCK_PERSISTENT },
	{ "nodlckwt", LOCK_NODLCKWT }, { "expedite", LOCK_EXPEDITE },
	{ "noqueuebast", LOCK_NOQUEUEBAST }, { "headque", LOCK_HEADQUE },
	{ "noorder", LOCK_NOORDER }, { "orphan", LOCK_ORPHAN },
	{ "altpr", LOCK_ALTPR }, { "altcw", LOCK_ALTCW },
	{ "forceunlock", LOCK_FORCEUNLOCK },
};

static bool read_mode(const char *word, int *mode)
{
	enum lock_mode m;

	if (strcmp(word, "none") == 0)
		*mode = LOCK_NONE;
	else if (isdigit((unsigned char)word[0]))
		*mode = atoi(word);
	else if (lock_mode_parse(word, &m))
		*mode = m;
	else
		return false;
	return true;
}

static bool read_seconds(const char *word, uint64_t *ns)
{
	char *end;
	unsigned long s = strtoul(word, &end, 10);

	*ns = s * 1000000000ull;
	return end > word && strcmp(end, "s") == 0;
}

static bool read_extra(const char *word, struct script_deed *d)
{
	if (strncmp(word, "value=", 6) == 0) {
		strcpy(d->value, word + 6);
		d->flags |= LOCK_VALBLK;
		return true;
	}
	if (strncmp(word, "timeout=", 8) == 0)
		return read_seconds(word + 8, &d->ns);
	if (strncmp(word, "waiter=", 7) == 0) {
		d->waiter = (uint32_t)atoi(word + 7);
		return true;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (strcmp(word, flags[i].word) == 0) {
			d->flags |= flags[i].flag;
			return true;
		}
	return false;
}

static bool read_opening(const char *word, struct script_deed *d)
{
	if (strncmp(word, "slots=", 6) == 0)
		d->slots = atoi(word + 6);
	else if (strncmp(word, "slot=", 5) == 0)
		d->slot = atoi(word + 5);
	else if (strcmp(word, "othersize") == 0)
		d->has_other_size = true;
	else
		return false;
	return true;
}

static bool read_verb(const char *word, enum script_verb *verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(word, verbs[i].word) == 0) {
			*verb = verbs[i].verb;
			return true;
		}
	return false;
}

/* What a verb needs before its free words. */
static bool read_operands(struct words *w, struct script_deed *d)
{
	char word[SCRIPT_MAX_WORD];

	switch (d->verb) {
	case SCRIPT_LOCK:
		return next_word(w, word) && read_mode(word, &d->mode) &&
		       next_word(w, d->name);
	case SCRIPT_CONVERT:
		d->flags |= LOCK_CONVERT;
		return next_word(w, word) && read_mode(word, &d->mode);
	case SCRIPT_CANCEL:
		d->flags |= LOCK_CANCEL;
		return true;
	case SCRIPT_PURGES:
		d->other = next_word(w, word) ? atoi(word) : 0;
		return d->other > 0;
	case SCRIPT_DIES:
		if (!next_word(w, word))
			return false;
		d->is_node_death = strcmp(word, "node") == 0;
		return d->is_node_death || strcmp(word, "process") == 0;
	default:
		return true;
	}
}

static int read_deed(const char *from, const char *end, struct script_deed *d,
		     struct err *err)
{
	struct words w = { from, end };
	char word[SCRIPT_MAX_WORD];

	*d = (struct script_deed){ .mode = LOCK_NONE, .slot = -1 };
	if (!next_word(&w, d->subject))
		return err_set(err, -EINVAL, "a deed is missing");
	if (strcmp(d->subject, "time") == 0) {
		d->verb = SCRIPT_TIME;
		if (next_word(&w, word) && read_seconds(word, &d->ns))
			return 0;
		return err_set(err, -EINVAL, "'%s' is no time", word);
	}
	d->node = atoi(d->subject);
	if (d->node < 1)
		return err_set(err, -EINVAL, "'%s' is no lock and no node", d->subject);
	if (!next_word(&w, word) || !read_verb(word, &d->verb))
		return err_set(err, -EINVAL, "'%s' is no deed", word);
	if (!read_operands(&w, d))
		return err_set(err, -EINVAL, "'%s' needs more than it has", word);
	while (next_word(&w, word))
		if (d->verb == SCRIPT_OPENS ? !read_opening(word, d) : !read_extra(word, d))
			return err_set(err, -EINVAL, "'%s' is no word of a deed", word);
	return *w.at && w.at < w.end ?
		err_set(err, -EINVAL, "a word is too long") : 0;
}

/* --- events ----------------------------------------------------------------------------- */

/* Words with one blank between; "?" and "nothing" are not part of it. */
static int read_event(const char *from, const char *end, struct script_line *line,
		      struct err *err)
{
	struct script_event *e = &line->events[line->event_count];
	struct words w = { from, end };
	char word[SCRIPT_MAX_WORD];
	size_t length = 0;

	*e = (struct script_event){ .text = "" };
	while (next_word(&w, word)) {
		const char *text = word;

		if (length == 0 && word[0] == '?') {
			e->is_optional = true;
			text++;
		}
		if (length + strlen(text) + 2 > sizeof(e->text))
			return err_set(err, -EINVAL, "an event is too long");
		if (length)
			e->text[length++] = ' ';
		strcpy(e->text + length, text);
		length += strlen(text);
	}
	if (length == 0)
		return err_set(err, -EINVAL, "an event is missing");
	line->event_count += strcmp(e->text, "nothing") != 0;
	return 0;
}

static void add_event(struct script_line *line, const struct script_deed *d,
		      const char *what, const char *mode)
{
	struct script_event *e = &line->events[line->event_count++];

	*e = (struct script_event){ .text = "" };
	strcpy(e->text, d->subject);
	strcat(strcat(e->text, " "), what);
	if (mode)
		strcat(strcat(e->text, " "), mode);
}

/* Without an arrow. */
static void expect_success(struct script_line *line)
{
	for (size_t i = 0; i < line->deed_count; i++) {
		const struct script_deed *d = &line->deeds[i];

		if (d->verb == SCRIPT_LOCK || d->verb == SCRIPT_CONVERT)
			add_event(line, d, "granted", lock_mode_name(d->mode));
		else if (d->verb == SCRIPT_UNLOCK)
			add_event(line, d, "unlocked", NULL);
	}
}

size_t script_subject_length(const char *text)
{
	return strcspn(text, " ");
}

/* --- lines ------------------------------------------------------------------------------ */

static int read_deeds(const char *from, const char *end, struct script_line *line,
		      struct err *err)
{
	for (;;) {
		const char *stop = find(from, end, ";");
		int r;

		if (line->deed_count == SCRIPT_MAX_DEEDS)
			return err_set(err, -EINVAL, "too many deeds in a line");
		r = read_deed(from, stop, &line->deeds[line->deed_count], err);
		if (r < 0)
			return r;
		line->deed_count++;
		if (stop == end)
			return 0;
		from = stop + 1;
	}
}

static int read_events(const char *from, const char *end, struct script_line *line,
		       struct err *err)
{
	for (;;) {
		const char *stop = find(from, end, ",");
		int r;

		if (line->event_count == SCRIPT_MAX_EVENTS)
			return err_set(err, -EINVAL, "too many events in a line");
		r = read_event(from, stop, line, err);
		if (r < 0)
			return r;
		if (stop == end)
			return 0;
		from = stop + 1;
	}
}

int script_read(const char **at, struct script_line *line, struct err *err)
{
	const char *from = *at, *end = from + strcspn(from, "\n");
	const char *arrow = find(from, end, "->");
	int r;

	line->deed_count = line->event_count = 0;
	*at = *end ? end + 1 : end;
	while (from < end && is_blank(*from))
		from++;
	if (from == end)
		return 0;
	r = read_deeds(from, arrow, line, err);
	if (r < 0)
		return r;
	if (arrow < end)
		return read_events(arrow + 2, end, line, err);
	expect_success(line);
	return 0;
}

/* --- names ------------------------------------------------------------------------------ */

size_t script_name(const char *name, const char *prefix, uint8_t to[LOCK_MAX_NAME + 1])
{
	size_t length = strlen(prefix);

	memset(to, 0, LOCK_MAX_NAME + 1);
	if (strcmp(name, "empty") == 0)
		return 0;
	memcpy(to, prefix, length);
	if (strcmp(name, "toolong") == 0)
		return LOCK_MAX_NAME + 1;
	if (strncmp(name, "long:", 5) == 0) {
		to[LOCK_MAX_NAME - 2] = 0xff;
		to[LOCK_MAX_NAME - 1] = (uint8_t)name[5];
		return LOCK_MAX_NAME;
	}
	if (strncmp(name, "zero:", 5) == 0) {
		memcpy(to + length, name + 5, strlen(name + 5));
		return length + strlen(name + 5) + 1;
	}
	memcpy(to + length, name, strlen(name));
	return length + strlen(name);
}
