/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode pair by mode pair: the stories that follow from the matrices of the DLM's books,
 * which stand here as they stand there, and nowhere else in the tests.
 */
#include "tests/locks/stories.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/locks/play.h"

static const char *const mode[LOCK_MODES] = { "NL", "CR", "CW", "PR", "PW", "EX" };

/* Compatibility: held, by row; wanted, NL to EX. */
static const char compatible[LOCK_MODES][LOCK_MODES + 1] = {
	"++++++",
	"+++++-",
	"+++---",
	"++-+--",
	"++----",
	"+-----",
};

/* The value block: from (none first), by row; to none, NL to EX. */
static const char moves[LOCK_MODES + 1][LOCK_MODES + 2] = {
	" RRRRRR",
	".RRRRRR",
	"..RRRRR",
	"...RRRR",
	"....RRR",
	"WWWWWWR",
	"WWWWWWW",
};

/* QUECVT: from, by row; to, NL to EX. */
static const char quecvt[LOCK_MODES][LOCK_MODES + 1] = {
	"-+++++",
	"--++++",
	"---+++",
	"--+-++",
	"-----+",
	"------",
};

enum { MAX_STORIES = 64 };

static struct conformance_story made[MAX_STORIES];
static struct story_table table = { made, 0 };

bool spec_compatible(int held, int wanted)
{
	return held == LOCK_NONE || wanted == LOCK_NONE ||
	       compatible[held][wanted] == '+';
}

/* --- writing ---------------------------------------------------------------------------- */

struct pen {
	FILE *to;
	char *text;
	size_t size;
};

static void pen_open(struct pen *p)
{
	p->to = open_memstream(&p->text, &p->size);
	assert(p->to);
}

static char *pen_close(struct pen *p)
{
	int r = fclose(p->to);

	assert(r == 0);
	return p->text;
}

static void add(uint32_t needs, struct pen *lines, const char *name, const char *arg)
{
	struct pen p;

	assert(table.count < MAX_STORIES);
	pen_open(&p);
	fprintf(p.to, name, arg);
	made[table.count++] = (struct conformance_story){
		.name = pen_close(&p),
		.needs = needs,
		.lines = pen_close(lines),
	};
}

/* --- who goes with whom ------------------------------------------------------------------- */

static void write_request(FILE *to, int held, int wanted)
{
	const char *h = mode[held], *w = mode[wanted];

	fprintf(to, "1 lock %s r%s\n", h, w);
	if (spec_compatible(held, wanted)) {
		fprintf(to, "2 lock %s r%s noqueue\n", w, w);
		fprintf(to, "2 unlock\n");
		fprintf(to, "2 lock %s r%s\n", w, w);
		return;
	}
	fprintf(to, "2 lock %s r%s noqueue -> 2 again\n", w, w);
	fprintf(to, "2 lock %s r%s -> 1 blocked %s\n", w, w, w);
	fprintf(to, "1 unlock -> 1 unlocked, 2 granted %s\n", w);
}

static void write_conversion(FILE *to, int from, int wanted, int other)
{
	const char *f = mode[from], *w = mode[wanted], *o = mode[other];

	fprintf(to, "1 lock %s r%s%s\n", f, w, o);
	fprintf(to, "2 lock %s r%s%s\n", o, w, o);
	if (spec_compatible(other, wanted)) {
		fprintf(to, "1 convert %s noqueue\n", w);
		fprintf(to, "1 lock %s q%s%s\n", f, w, o);
		fprintf(to, "2 lock %s q%s%s\n", o, w, o);
		fprintf(to, "1 convert %s\n", w);
		return;
	}
	fprintf(to, "1 convert %s noqueue -> 1 again %s\n", w, f);
	fprintf(to, "1 convert %s -> 2 blocked %s\n", w, w);
	fprintf(to, "2 unlock -> 2 unlocked, 1 granted %s\n", w);
}

static void add_matrix(void)
{
	struct pen p;

	for (int held = 0; held < LOCK_MODES; held++) {
		pen_open(&p);
		for (int wanted = 0; wanted < LOCK_MODES; wanted++)
			write_request(p.to, held, wanted);
		add(0, &p, "requests_while_%s_is_held", mode[held]);
	}
	for (int from = 0; from < LOCK_MODES; from++) {
		pen_open(&p);
		for (int wanted = 0; wanted < LOCK_MODES; wanted++)
			for (int other = 0; other < LOCK_MODES; other++)
				if (spec_compatible(from, other))
					write_conversion(p.to, from, wanted, other);
		add(0, &p, "conversions_from_%s", mode[from]);
	}
}

static void add_quecvt(void)
{
	struct pen p;

	for (int from = 0; from < LOCK_MODES; from++) {
		pen_open(&p);
		for (int to = 0; to < LOCK_MODES; to++) {
			fprintf(p.to, "1 lock %s r%s\n", mode[from], mode[to]);
			fprintf(p.to, "1 convert %s quecvt -> 1 %s %s\n", mode[to],
				quecvt[from][to] == '+' ? "granted" : "refused",
				quecvt[from][to] == '+' ? mode[to] : "EINVAL");
		}
		add(0, &p, "quecvt_from_%s", mode[from]);
	}
}

/* --- the value block ----------------------------------------------------------------------- */

static void write_move(FILE *to, int from, int wanted)
{
	char move = moves[1 + from][1 + wanted];
	const char *read = move == 'R' ? " value=old" : "";
	const char *kept = move == 'W' ? "new" : "old";

	fprintf(to, "3 lock EX r%d\n", 1 + wanted);
	fprintf(to, "3 convert NL value=old\n");
	if (from == LOCK_NONE) {
		fprintf(to, "2 lock %s r%d value=new -> 2 granted %s%s\n", mode[wanted],
			1 + wanted, mode[wanted], read);
	} else {
		fprintf(to, "2 lock %s r%d\n", mode[from], 1 + wanted);
		if (wanted == LOCK_NONE)
			fprintf(to, "2 unlock value=new\n");
		else
			fprintf(to, "2 convert %s value=new -> 2 granted %s%s\n",
				mode[wanted], mode[wanted], read);
	}
	if (wanted != LOCK_NONE)
		fprintf(to, "2 unlock\n");
	fprintf(to, "3 convert CR valblk -> 3 granted CR value=%s\n", kept);
	/* And without VALBLK nothing moves. */
	fprintf(to, "3 convert NL\n");
	fprintf(to, "2 lock %s r%d\n", mode[from == LOCK_NONE ? wanted : from], 1 + wanted);
	if (wanted != LOCK_NONE)
		fprintf(to, "2 convert %s\n", mode[wanted]);
	fprintf(to, "2 unlock\n");
	fprintf(to, "3 convert CR valblk -> 3 granted CR value=%s\n", kept);
}

static void add_values(void)
{
	struct pen p;

	for (int from = LOCK_NONE; from < LOCK_MODES; from++) {
		pen_open(&p);
		for (int to = LOCK_NONE; to < LOCK_MODES; to++)
			if (from != LOCK_NONE || to != LOCK_NONE)
				write_move(p.to, from, to);
		add(0, &p, "value_on_the_way_from_%s",
		    from == LOCK_NONE ? "none" : mode[from]);
	}
}

/* --- death --------------------------------------------------------------------------------- */

static void write_death(FILE *to, int held, bool has_value, const char *death)
{
	bool is_spoilt = held >= LOCK_PW && has_value;
	const char *invalid = is_spoilt ? " invalid" : "";

	fprintf(to, "1 lock EX r\n1 convert NL value=old\n3 lock NL r\n");
	fprintf(to, "2 lock %s r%s", mode[held], has_value ? " valblk" : "");
	fprintf(to, " -> 2 granted %s%s\n", mode[held], has_value ? " value=old" : "");
	fprintf(to, "2 dies %s; 2 proven -> nothing\n", death);
	fprintf(to, "1 convert CR valblk -> 1 granted CR%s value=old\n", invalid);
	fprintf(to, "3 convert CR valblk -> 3 granted CR%s value=old\n", invalid);
	fprintf(to, "1 convert PW valblk -> 1 granted PW%s value=old\n", invalid);
	fprintf(to, "1 convert PW value=new\n");
	fprintf(to, "3 convert CR valblk -> 3 granted CR value=new\n");
}

static void add_deaths(void)
{
	for (int held = 0; held < LOCK_MODES; held++)
		for (int i = 0; i < 4; i++) {
			bool is_node = i & 1, has_value = i & 2;
			uint32_t needs = LACKS_DEATH;
			struct pen p;

			if (is_node)
				needs |= LACKS_NODE_DEATH;
			else if (!has_value)
				needs |= LACKS_HONEST_EXIT;
			pen_open(&p);
			write_death(p.to, held, has_value, is_node ? "node" : "process");
			add(needs, &p,
			    is_node ? has_value ? "death_of_a_node_that_held_%s_with_value" :
						  "death_of_a_node_that_held_%s" :
			    has_value ? "death_of_a_process_that_held_%s_with_value" :
					"death_of_a_process_that_held_%s",
			    mode[held]);
		}
}

const struct story_table *stories_of_modes(void)
{
	if (table.count == 0) {
		add_matrix();
		add_quecvt();
		add_values();
		add_deaths();
	}
	return &table;
}
