/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/config_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/arith.h"

enum { MAX_DEPTH = 64, MAX_WORD = 64 };

/* One step through the text: what is neither comment nor quoted. */
struct walk {
	const char *at;
	int line;
	char quote;      /* 0: not within quotes */
	bool is_in_word;
};

static const char *skip_comment(struct walk *w)
{
	const char *at = w->at;
	bool is_long = at[0] == '/' && at[1] == '*';

	if (*at == '#' || (!w->is_in_word && at[0] == '/' && at[1] == '/'))
		return at + strcspn(at, "\n");
	if (w->is_in_word || !is_long)
		return at;
	for (at += 2; *at && !(at[0] == '*' && at[1] == '/'); at++)
		w->line += *at == '\n';
	return *at ? at + 2 : at;
}

/* The next letter that is neither quoted nor of a comment, in w->line; 0 at the end. */
static char next_plain(struct walk *w)
{
	while (*w->at) {
		const char *behind = w->quote ? w->at : skip_comment(w);
		char c = *w->at;

		if (behind != w->at) {
			w->at = behind;
			continue;
		}
		w->at++;
		if (c == '\n')
			w->line++;
		if (w->quote) {
			if (c == '\\' && *w->at)
				w->line += *w->at++ == '\n';
			else if (c == w->quote)
				w->quote = 0;
			continue;
		}
		if (c == '"' || c == '\'')
			w->quote = c;
		w->is_in_word = !strchr(" \t\r\n={}(),\"'", c);
		return c;
	}
	return 0;
}

/* The next brace, whose line is w->line then; 0 at the end. */
static char next_brace(struct walk *w)
{
	char c;

	while ((c = next_plain(w)) != 0 && c != '{' && c != '}')
		;
	return c;
}

int config_text_stray_star(const char *text, int line)
{
	struct walk w = { .at = text, .line = 1 };
	char c;

	while ((c = next_plain(&w)) != 0)
		if (c == '*' && w.line > line)
			return w.line;
	return 0;
}

int config_text_opening(const char *text, int closing_line)
{
	struct walk w = { .at = text, .line = 1 };
	int opened[MAX_DEPTH], depth = 0;
	char brace;

	while ((brace = next_brace(&w)) != 0 && depth < MAX_DEPTH) {
		if (brace == '{')
			opened[depth++] = w.line;
		else if (depth > 0 && --depth >= 0 && w.line == closing_line)
			return opened[depth];
	}
	return closing_line;
}

static char *line_start(char *text, int line)
{
	while (--line > 0 && *text) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return text;
}

/* Behind the brace that closes the first one from here on. */
static const char *behind_braces(const char *from)
{
	struct walk w = { .at = from };
	int depth = 0;
	char brace;

	while ((brace = next_brace(&w)) != 0) {
		depth += brace == '{' ? 1 : -1;
		if (depth <= 0)
			break;
	}
	return w.at;
}

static const char *behind_word(const char *at)
{
	char quote = *at;

	if (quote != '"' && quote != '\'')
		return at + strcspn(at, " \t\r\n={}(),\"'#");
	for (at++; *at && *at != quote; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

static const char *behind_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* NAME = VALUE, NAME += { VALUES }, NAME { ... }, NAME TITLE { ... } */
static const char *behind_option(const char *name)
{
	const char *at = behind_blanks(behind_word(name));

	if (*at == '+' || *at == '=') {
		at = behind_blanks(at + strspn(at, "+="));
		return *at == '{' ? behind_braces(at) : behind_word(at);
	}
	if (*at != '{')
		at = behind_blanks(behind_word(at));
	return *at == '{' ? behind_braces(at) : behind_word(name);
}

static bool is_bounded(const char *line, const char *at, size_t length)
{
	const char *bounds = " \t\r\n={}+";

	return (at == line || strchr(bounds, at[-1])) &&
	       (!at[length] || strchr(bounds, at[length]));
}

bool config_text_blank(char *text, int line, const char *word)
{
	char *from = line_start(text, line);
	const char *start = from, *end = from + strcspn(from, "\n"), *behind;

	while (word && (from = strstr(from, word)) != NULL && from < end &&
	       !is_bounded(start, from, strlen(word)))
		from++;
	if (!from || from >= end)
		return false;
	behind = word ? behind_option(from) : end;
	if (!word && memchr(start, '{', (size_t)(end - start)))
		behind = behind_braces(start);
	for (; from < behind; from++)
		if (*from != '\n')
			*from = ' ';
	return true;
}

unsigned int config_text_distance(const char *a, const char *b)
{
	size_t row[MAX_WORD + 1], length = strlen(b);

	if (length > MAX_WORD)
		return MAX_WORD;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t above = row[j];
			size_t swap = corner + (a[i - 1] != b[j - 1]);

			row[j] = min_u64(swap, min_u64(above, row[j - 1]) + 1);
			corner = above;
		}
	}
	return (unsigned int)row[length];
}
