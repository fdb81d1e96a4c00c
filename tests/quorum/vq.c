/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vq SCRIPT...: stories of quorum, as text, run on the machine that the daemon has.
 *
 *	nodes N                    N nodes with a vote each, 1..32; all else of before is over
 *	votes NODE N               before its node is up, or with reload
 *	option NAME [VALUE...]     two_node, wait_for_all, last_man_standing [WINDOW_MS],
 *	                           auto_tie_breaker lowest|highest|NODE..., allow_downscale,
 *	                           expected_votes N, device VOTES
 *	up|down|leave NODE...|all  start; die; go in order
 *	reboot NODE...|all         the host starts anew; while it is down
 *	split NODE... | NODE...    who hears whom; who is not named hears nobody
 *	join                       all hear all
 *	wait MS                    time passes
 *	expected N on NODE         as mdcluster quorum --expected N
 *	expected N on NODE refused
 *	reload                     votes and expected_votes are read again, everywhere
 *	device fails|works NODE... |all
 *	both                       from here on two parts may be quorate: it is said why
 *	assert quorate NODE...|all|none   these, and no others
 *	assert votes|expected|quorum NODE N
 *	assert why NODE TEXT       stands in what its status says
 *
 * Two quorate parts at once fail a story anywhere, but behind `both`. --trace tells each step.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/quorum/model.h"

enum { MAX_WORDS = 80 };

struct story {
	const char *path;
	int line, count;
	char *words[MAX_WORDS];
	struct model model;
	bool has_model, may_have_both, is_traced;
	int failures;
};

static void fail(struct story *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct story *s, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", s->path, s->line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	s->failures++;
}

static uint64_t number(struct story *s, int word, uint64_t least, uint64_t most)
{
	struct err err = ERR_INIT;
	uint64_t value = least;

	if (word >= s->count)
		fail(s, "a number is missing");
	else if (text_parse_u64(s->words[word], s->words[0], least, most, &value, &err) < 0)
		fail(s, "%s", err.text);
	return value;
}

static int node(struct story *s, int word)
{
	return (int)number(s, word, 1, (uint64_t)s->model.count) - 1;
}

static struct node_set nodes(struct story *s, int word)
{
	struct node_set set = { { 0 } };

	for (; word < s->count; word++) {
		if (strcmp(s->words[word], "all") == 0)
			for (int i = 0; i < s->model.count; i++)
				set_add(&set, i);
		else if (strcmp(s->words[word], "none") != 0)
			set_add(&set, node(s, word));
	}
	return set;
}

/* --- lines ---------------------------------------------------------------------------------- */

static void do_nodes(struct story *s)
{
	int count = (int)number(s, 1, 1, MODEL_MAX_NODES);

	if (s->has_model)
		model_fini(&s->model);
	model_init(&s->model, count);
	s->has_model = true;
	s->may_have_both = false;
}

static void do_tie(struct story *s, struct quorum_options *o)
{
	o->tie = QUORUM_TIE_LIST;
	if (s->count == 2 || strcmp(s->words[2], "lowest") == 0) {
		o->tie = QUORUM_TIE_LOWEST;
	} else if (strcmp(s->words[2], "highest") == 0) {
		o->tie = QUORUM_TIE_HIGHEST;
	} else {
		for (int i = 2; i < s->count; i++)
			o->tie_nodes[o->tie_count++] = (uint32_t)node(s, i) + 1;
	}
}

static void do_option(struct story *s)
{
	struct quorum_options *o = &s->model.options;
	const char *name = s->count > 1 ? s->words[1] : "";

	if (strcmp(name, "two_node") == 0) {
		o->is_two_node = o->waits_for_all = true;
	} else if (strcmp(name, "wait_for_all") == 0) {
		o->waits_for_all = true;
	} else if (strcmp(name, "last_man_standing") == 0) {
		o->is_last_man_standing = true;
		if (s->count > 2)
			o->last_man_standing_window_ns = number(s, 2, 1, 1000000) * MODEL_MS;
	} else if (strcmp(name, "auto_tie_breaker") == 0) {
		do_tie(s, o);
	} else if (strcmp(name, "allow_downscale") == 0) {
		o->allows_downscale = true;
	} else if (strcmp(name, "expected_votes") == 0) {
		o->expected = (uint32_t)number(s, 2, 1, QUORUM_MAX_EXPECTED);
	} else if (strcmp(name, "device") == 0) {
		o->device_votes = (uint32_t)number(s, 2, 1, QUORUM_MAX_VOTES);
	} else {
		fail(s, "option %s: is none", name);
	}
}

static void do_each(struct story *s, void (*what)(struct model *m, int node))
{
	struct node_set set = nodes(s, 1);

	for (int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))
		what(&s->model, i);
}

static void do_split(struct story *s)
{
	int part = s->model.count;

	for (int i = 0; i < s->model.count; i++)
		model_split(&s->model, i, i);
	for (int w = 1; w < s->count; w++) {
		if (strcmp(s->words[w], "|") == 0)
			part++;
		else
			model_split(&s->model, node(s, w), part);
	}
}

static void do_join(struct story *s)
{
	for (int i = 0; i < s->model.count; i++)
		model_split(&s->model, i, 0);
}

static void do_expected(struct story *s)
{
	uint32_t votes = (uint32_t)number(s, 1, 1, QUORUM_MAX_EXPECTED);
	bool is_refused = s->count > 4 && strcmp(s->words[4], "refused") == 0;
	struct err err = ERR_INIT;
	int at = node(s, 3), r;

	if (!s->model.nodes[at].is_up) {
		fail(s, "node %d is down", at + 1);
		return;
	}
	r = quorum_set_expected(s->model.nodes[at].q, votes, &err);
	if ((r < 0) != is_refused)
		fail(s, "%s", r < 0 ? err.text : "it is not refused");
}

static void do_device(struct story *s)
{
	struct node_set set = nodes(s, 2);
	bool works = s->count > 1 && strcmp(s->words[1], "works") == 0;

	for (int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))
		s->model.nodes[i].can_reach_device = works;
}

static void write_set(struct node_set set, char *to, size_t room)
{
	snprintf(to, room, "%s", set_is_empty(set) ? " none" : "");
	for (int i = set_next(set, 0); i != TOTEM_NO_INDEX; i = set_next(set, i + 1))
		snprintf(to + strlen(to), room - strlen(to), " %d", i + 1);
}

static struct node_set quorate(const struct story *s)
{
	struct node_set set = { { 0 } };

	for (int i = 0; i < s->model.count; i++)
		set_put(&set, i, model_is_quorate(&s->model, i));
	return set;
}

static void assert_value(struct story *s, const char *what)
{
	struct quorum_look look;
	uint64_t is, expected = number(s, 3, 0, QUORUM_MAX_EXPECTED);
	int at = node(s, 2);

	if (!s->model.nodes[at].is_up) {
		fail(s, "node %d is down", at + 1);
		return;
	}
	quorum_look(s->model.nodes[at].q, s->model.now, NULL, NULL, &look);
	is = strcmp(what, "votes") == 0 ? look.votes :
	     strcmp(what, "expected") == 0 ? look.expected : look.quorum;
	if (is != expected)
		fail(s, "%s of node %d: %" PRIu64, what, at + 1, is);
}

static void assert_why(struct story *s, const char *rest)
{
	struct quorum_look look;
	int at = node(s, 2);

	if (!s->model.nodes[at].is_up) {
		fail(s, "node %d is down", at + 1);
		return;
	}
	quorum_look(s->model.nodes[at].q, s->model.now, NULL, NULL, &look);
	if (!strstr(look.why, rest))
		fail(s, "node %d says: %s", at + 1, *look.why ? look.why : "it is quorate");
}

/* `rest`: of the line, behind three words. */
static void do_assert(struct story *s, const char *rest)
{
	const char *what = s->count > 1 ? s->words[1] : "";
	char text[256];

	if (strcmp(what, "quorate") == 0) {
		if (set_equal(nodes(s, 2), quorate(s)))
			return;
		write_set(quorate(s), text, sizeof(text));
		fail(s, "quorate are:%s", text);
	} else if (strcmp(what, "why") == 0) {
		assert_why(s, rest);
	} else if (strcmp(what, "votes") == 0 || strcmp(what, "expected") == 0 ||
		   strcmp(what, "quorum") == 0) {
		assert_value(s, what);
	} else {
		fail(s, "assert %s: is none", what);
	}
}

static void do_words(struct story *s, const char *rest)
{
	const char *word = s->words[0];

	if (!s->has_model && strcmp(word, "nodes") != 0)
		fail(s, "'nodes N' comes first");
	else if (strcmp(word, "nodes") == 0)
		do_nodes(s);
	else if (strcmp(word, "votes") == 0)
		s->model.options.votes[node(s, 1)] = (uint32_t)number(s, 2, 0, QUORUM_MAX_VOTES);
	else if (strcmp(word, "option") == 0)
		do_option(s);
	else if (strcmp(word, "up") == 0)
		do_each(s, model_up);
	else if (strcmp(word, "down") == 0)
		do_each(s, model_down);
	else if (strcmp(word, "leave") == 0)
		do_each(s, model_leave);
	else if (strcmp(word, "reboot") == 0)
		do_each(s, model_reboot);
	else if (strcmp(word, "split") == 0)
		do_split(s);
	else if (strcmp(word, "join") == 0)
		do_join(s);
	else if (strcmp(word, "wait") == 0)
		model_wait(&s->model, number(s, 1, 1, 10000000));
	else if (strcmp(word, "expected") == 0)
		do_expected(s);
	else if (strcmp(word, "reload") == 0)
		model_reload(&s->model);
	else if (strcmp(word, "device") == 0)
		do_device(s);
	else if (strcmp(word, "both") == 0)
		s->may_have_both = true;
	else if (strcmp(word, "assert") == 0)
		do_assert(s, rest);
	else
		fail(s, "%s: is no word of this language", word);
}

static void trace(const struct story *s, const char *line)
{
	char text[256];

	write_set(quorate(s), text, sizeof(text));
	printf("%-50s quorate:%s\n", line, text);
}

static void do_line(struct story *s, char *line)
{
	char copy[512], rest[512] = "", *at = copy, *save = NULL;

	line[strcspn(line, "#\n")] = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	for (s->count = 0; s->count < MAX_WORDS; s->count++, at = NULL) {
		s->words[s->count] = strtok_r(at, " \t", &save);
		if (!s->words[s->count])
			break;
		if (s->count == 2 && save)
			snprintf(rest, sizeof(rest), "%s", save);
	}
	if (s->count == 0)
		return;
	do_words(s, rest);
	if (!s->has_model)
		return;
	model_settle(&s->model);
	if (s->model.is_divided && !s->may_have_both)
		fail(s, "two parts are quorate");
	s->model.is_divided = false;
	if (s->is_traced)
		trace(s, line);
}

static int run(const char *path, bool is_traced)
{
	static struct story story;
	char line[512];
	FILE *file = fopen(path, "re");

	story = (struct story){ .path = path, .is_traced = is_traced };
	if (!file) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), file)) {
		story.line++;
		do_line(&story, line);
	}
	fclose(file);
	if (story.has_model)
		model_fini(&story.model);
	return story.failures;
}

int main(int argc, char **argv)
{
	bool is_traced = argc > 1 && strcmp(argv[1], "--trace") == 0;
	int failures = 0;

	if (argc < 2 + is_traced) {
		fprintf(stderr, "usage: vq [--trace] SCRIPT...\n");
		return 2;
	}
	for (int i = 1 + is_traced; i < argc; i++)
		failures += run(argv[i], is_traced);
	return failures > 0;
}
