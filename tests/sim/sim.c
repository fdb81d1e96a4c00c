/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim --scenario NAME --first SEED --count N [--jobs J] [--trace]
 *
 * Runs scenarios, a seed each; exits 0 when every promise held in all of them,
 * else prints the seed and the command that shows the run in full.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

struct options {
	const struct scenario *scenario;
	uint64_t first, count;
	unsigned int jobs;
	bool is_traced;
	bool is_on_corosync;
	bool is_soak; /* count after count, until something fails */
};

static bool run_seed(const struct options *o, uint64_t seed, uint64_t *events)
{
	struct sim_world *w = sim_new(seed, o->scenario->nodes,
				      o->is_traced ? stdout : NULL);
	bool ok;

	if (o->is_on_corosync)
		sim_use_corosync(w);
	o->scenario->run(w);
	ok = !w->failure[0];
	if (!ok)
		printf("FAILED %s seed %" PRIu64 " at %.3f ms: %s\n"
		       "  replay: sim%s --scenario %s --first %" PRIu64
		       " --count 1 --trace\n",
		       o->scenario->name, seed, (double)w->failed_at / SIM_MS,
		       w->failure, o->is_on_corosync ? " --engine corosync" : "",
		       o->scenario->name, seed);
	*events += w->events;
	sim_free(w);
	return ok;
}

/* Seeds first + job, first + job + jobs, ... */
static int run_job(const struct options *o, unsigned int job)
{
	uint64_t i, events = 0, failed = 0;

	for (i = job; i < o->count; i += o->jobs) {
		if (!run_seed(o, o->first + i, &events))
			failed++;
		if (failed >= 5)
			break;
	}
	fflush(stdout);
	return failed ? 1 : 0;
}

static int run_all(const struct options *o)
{
	unsigned int job;
	int status, worst = 0;

	if (o->jobs == 1)
		return run_job(o, 0);
	for (job = 0; job < o->jobs; job++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(run_job(o, job));
		if (pid < 0)
			return 1;
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			worst = 1;
	return worst;
}

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: sim --scenario NAME|all --first SEED --count N [--jobs J] [--trace]\n"
		    "       sim --scenario NAME|all --soak [--first SEED] [--count N] [--jobs J]\n\n"
		    "  --engine corosync  totems are on a played corosync, not on rings\n"
		    "  --soak           N seeds of each after N of the last, until one fails\n\n");
	for (i = 0; scenarios[i].name; i++)
		fprintf(to, "  %-16s %s\n", scenarios[i].name,
			scenarios[i].summary);
}

static int parse(int argc, char **argv, struct options *o, const char **name,
		 struct err *err)
{
	static const struct option longs[] = {
		{ "scenario", required_argument, NULL, 's' },
		{ "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "engine", required_argument, NULL, 'e' },
		{ "trace", no_argument, NULL, 't' },
		{ "soak", no_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	uint64_t jobs = 1;
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 's')
			*name = optarg;
		else if (c == 'f')
			r = text_parse_u64(optarg, "first", 0, UINT64_MAX, &o->first, err);
		else if (c == 'c')
			r = text_parse_u64(optarg, "count", 1, UINT64_MAX, &o->count, err);
		else if (c == 'j')
			r = text_parse_u64(optarg, "jobs", 1, 1024, &jobs, err);
		else if (c == 'e' && strcmp(optarg, "corosync") == 0)
			o->is_on_corosync = true;
		else if (c == 't')
			o->is_traced = true;
		else if (c == 'S')
			o->is_soak = true;
		else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	o->jobs = (unsigned int)jobs;
	if (r == 0 && !*name)
		r = err_set(err, -EINVAL, "no --scenario, see --help");
	return r;
}

/* The scenarios of that name, once; -1: there is none. */
static int run_scenarios(struct options *o, const char *name)
{
	int failed = -1;

	for (size_t i = 0; scenarios[i].name; i++) {
		if ((strcmp(name, "all") != 0 && strcmp(name, scenarios[i].name) != 0) ||
		    (o->is_on_corosync && scenarios[i].is_bare))
			continue;
		o->scenario = &scenarios[i];
		failed = (failed > 0) | run_all(o);
	}
	if (failed == 0) {
		printf("%" PRIu64 " seeds from %" PRIu64 ", %s: all promises held\n",
		       o->count, o->first, name);
		fflush(stdout);
	}
	return failed;
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .count = 1 };
	struct err err = ERR_INIT;
	const char *name = NULL;
	int failed;

	if (parse(argc, argv, &o, &name, &err) < 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		return 2;
	}
	if (o.is_soak && o.count == 1)
		o.count = 1000;
	do {
		failed = run_scenarios(&o, name);
		o.first += o.count;
	} while (o.is_soak && failed == 0);
	if (failed < 0) {
		fprintf(stderr, "sim: no scenario '%s', see --help\n", name);
		return 2;
	}
	return failed;
}
