/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim --scenario NAME --first SEED --count N [--jobs J] [--trace]
 *
 * Runs scenarios, a seed each; exits 0 when every promise held in all of them,
 * else prints the seed and the command that shows the run in full.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

struct options {
	const struct scenario *scenario;
	uint64_t first, count;
	unsigned int jobs;
	bool is_traced;
};

static bool run_seed(const struct options *o, uint64_t seed, uint64_t *events)
{
	struct sim_world *w = sim_new(seed, o->scenario->nodes,
				      o->is_traced ? stdout : NULL);
	bool ok;

	o->scenario->run(w);
	ok = !w->failure[0];
	if (!ok)
		printf("FAILED %s seed %" PRIu64 " at %.3f ms: %s\n"
		       "  replay: sim --scenario %s --first %" PRIu64
		       " --count 1 --trace\n",
		       o->scenario->name, seed, (double)w->failed_at / SIM_MS,
		       w->failure, o->scenario->name, seed);
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

	fprintf(to, "Usage: sim --scenario NAME|all --first SEED --count N [--jobs J] [--trace]\n");
	for (i = 0; scenarios[i].name; i++)
		fprintf(to, "  %-16s %s\n", scenarios[i].name,
			scenarios[i].summary);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "scenario", required_argument, NULL, 's' },
		{ "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "trace", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options o = { .first = 1, .count = 1, .jobs = 1 };
	const char *name = NULL;
	int c, failed = 0;
	size_t i;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 's')
			name = optarg;
		else if (c == 'f')
			o.first = strtoull(optarg, NULL, 10);
		else if (c == 'c')
			o.count = strtoull(optarg, NULL, 10);
		else if (c == 'j')
			o.jobs = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 't')
			o.is_traced = true;
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (!name || o.jobs == 0) {
		usage(stderr);
		return 2;
	}
	for (i = 0; scenarios[i].name; i++)
		if (strcmp(name, "all") == 0 || strcmp(name, scenarios[i].name) == 0) {
			o.scenario = &scenarios[i];
			failed |= run_all(&o);
		}
	if (!o.scenario) {
		fprintf(stderr, "sim: no scenario '%s'\n", name);
		return 2;
	}
	if (!failed)
		printf("%" PRIu64 " seeds from %" PRIu64 ", %s: all promises held\n",
		       o.count, o.first, name);
	return failed;
}
