/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arith.h"
#include "base/cleanup.h"

enum { DEFAULT_ROUNDS = 9 };

/* The columns of the table, from left to right. */
enum column { CASE, VALUE, UNIT, PEER, PEER_VALUE, RATIO, NOTE, COLUMNS };

static const char *const titles[COLUMNS] = {
	"case", "value", "unit", "peer", "peer value", "ratio", "note",
};

static const bool is_number[COLUMNS] = {
	[VALUE] = true, [PEER_VALUE] = true, [RATIO] = true,
};

/* One row as text, each cell on the heap. */
struct bench_line {
	char *cells[COLUMNS];
};

bool bench_is_brief(void)
{
	const char *brief = getenv("BENCH_BRIEF");

	return brief && strcmp(brief, "1") == 0;
}

double bench_gb_per_s(uint64_t bytes, uint64_t ns)
{
	return (double)bytes / (double)max_u64(ns, 1);
}

void bench_init(struct bench *bench, const char *name)
{
	*bench = (struct bench){ .name = name };
}

static void lose_row(struct bench *bench, const char *name, const char *what,
		     const char *why)
{
	fprintf(stderr, "bench %s: row \"%s\" lost: %s: %s\n", bench->name,
		name, what, why);
	bench->failed = true;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), by_value);
	return n % 2 ? samples[n / 2]
		     : (samples[n / 2 - 1] + samples[n / 2]) / 2;
}

void bench_pair(struct bench *bench, const struct bench_pair *pair)
{
	size_t rounds = pair->rounds ? pair->rounds : DEFAULT_ROUNDS;
	CLEANUP_FREE double *ours = NULL;
	CLEANUP_FREE double *theirs = NULL;

	if (bench_is_brief())
		rounds = 1;
	ours = calloc(rounds, sizeof(*ours));
	theirs = calloc(rounds, sizeof(*theirs));
	if (!ours || !theirs) {
		lose_row(bench, pair->name, "samples", strerror(ENOMEM));
		return;
	}

	for (size_t i = 0; i < rounds; i++) {
		ours[i] = pair->ours(pair->owner);
		if (pair->theirs)
			theirs[i] = pair->theirs(pair->owner);
	}
	bench_row(bench, &(struct bench_row){
		.name = pair->name,
		.unit = pair->unit,
		.peer = pair->theirs ? pair->peer : NULL,
		.note = pair->note,
		.better = pair->better,
		.value = median(ours, rounds),
		.peer_value = median(theirs, rounds),
	});
}

static double ratio_of(const struct bench_row *row)
{
	return row->better == BENCH_MORE_IS_BETTER
		       ? row->value / row->peer_value
		       : row->peer_value / row->value;
}

static json_t *row_to_json(const char *bench, const struct bench_row *row)
{
	bool has_peer = row->peer != NULL;

	/* "o" of NULL makes json_pack fail, as it should: no such number. */
	return json_pack("{ss ss sf ss ss? so so ss?}",
			 "bench", bench, "case", row->name,
			 "value", row->value, "unit", row->unit,
			 "peer", row->peer,
			 "peer_value", has_peer ? json_real(row->peer_value)
						: json_null(),
			 "ratio", has_peer ? json_real(ratio_of(row))
					   : json_null(),
			 "note", row->note);
}

/* NULL, or why the row is not in the file. */
static const char *append_json(const char *path, const char *bench,
			       const struct bench_row *row)
{
	json_t *json = row_to_json(bench, row);
	const char *why = NULL;
	FILE *file;

	if (!json)
		return "no JSON of it (a value that is not finite?)";

	file = fopen(path, "a");
	if (!file) {
		why = strerror(errno);
	} else {
		if (json_dumpf(json, file, JSON_COMPACT | JSON_REAL_PRECISION(6)))
			why = "cannot write";
		fputc('\n', file);
		if (fclose(file) != 0)
			why = strerror(errno);
	}
	json_decref(json);
	return why;
}

/* Three significant digits or so, without exponents. */
static char *number_text(double v)
{
	int decimals = fabs(v) >= 100 ? 0 : fabs(v) >= 10 ? 1 : 2;
	char *text;

	if (fabs(v) < 0.1)
		decimals = 4;
	return asprintf(&text, "%.*f", decimals, v) < 0 ? NULL : text;
}

static bool line_fill(struct bench_line *line, const struct bench_row *row)
{
	line->cells[CASE] = strdup(row->name);
	line->cells[VALUE] = number_text(row->value);
	line->cells[UNIT] = strdup(row->unit);
	line->cells[PEER] = strdup(row->peer ? row->peer : "");
	line->cells[PEER_VALUE] = row->peer ? number_text(row->peer_value)
					    : strdup("");
	line->cells[RATIO] = row->peer ? number_text(ratio_of(row)) : strdup("");
	line->cells[NOTE] = strdup(row->note ? row->note : "");

	for (size_t c = 0; c < COLUMNS; c++)
		if (!line->cells[c])
			return false;
	return true;
}

static void line_fini(struct bench_line *line)
{
	for (size_t c = 0; c < COLUMNS; c++)
		free(line->cells[c]);
}

void bench_row(struct bench *bench, const struct bench_row *row)
{
	const char *path = getenv("BENCH_JSONL");
	struct bench_line *lines;
	const char *why;

	if (!path || !*path)
		path = "bench.jsonl";
	why = append_json(path, bench->name, row);
	if (why)
		lose_row(bench, row->name, path, why);

	lines = reallocarray(bench->lines, bench->count + 1, sizeof(*lines));
	if (!lines) {
		lose_row(bench, row->name, "table", strerror(ENOMEM));
		return;
	}
	bench->lines = lines;
	lines[bench->count] = (struct bench_line){ 0 };
	if (!line_fill(&lines[bench->count], row)) {
		line_fini(&lines[bench->count]);
		lose_row(bench, row->name, "table", strerror(ENOMEM));
		return;
	}
	bench->count++;
}

static void print_cells(const char *const *cells, const int *widths)
{
	for (size_t c = 0; c < COLUMNS; c++) {
		if (c == NOTE) /* the last one needs no filling up */
			printf("  %s", cells[c]);
		else
			printf("  %*s", is_number[c] ? widths[c] : -widths[c],
			       cells[c]);
	}
	putchar('\n');
}

static void print_table(const struct bench *bench)
{
	int widths[COLUMNS];

	for (size_t c = 0; c < COLUMNS; c++) {
		size_t width = strlen(titles[c]);

		for (size_t i = 0; i < bench->count; i++)
			width = max_u64(width, strlen(bench->lines[i].cells[c]));
		widths[c] = (int)width;
	}

	printf("%s%s\n", bench->name,
	       bench_is_brief() ? " (brief: one sample, no measurement)" : "");
	print_cells(titles, widths);
	for (size_t i = 0; i < bench->count; i++)
		print_cells((const char *const *)bench->lines[i].cells, widths);
}

int bench_fini(struct bench *bench)
{
	bool failed = bench->failed;

	print_table(bench);
	for (size_t i = 0; i < bench->count; i++)
		line_fini(&bench->lines[i]);
	free(bench->lines);
	*bench = (struct bench){ 0 };

	if (fflush(stdout) != 0)
		failed = true;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
