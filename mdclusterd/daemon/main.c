/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mdclusterd: words in, then supervisor or engine. It stays in the foreground: that is
 * what systemd, containers and people at a terminal want.
 */
#include <config.h> /* the build's: there is one beside us */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/engine.h"
#include "mdclusterd/daemon/supervisor.h"

LOG_SUBSYSTEM(daemon);

enum { COROSYNC_PATIENCE_S = 16 }; /* pauses of 1, 2, 4, 8 */

static const char *const targets[] = { "stderr", "syslog", "journal" };
static const char *const levels[] = { "error", "warning", "notice", "info", "debug" };

const char *daemon_log_target_name(int target)
{
	return targets[target];
}

const char *daemon_log_level_name(int level)
{
	return levels[level - LOG_ERR];
}

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: mdclusterd [OPTION]...\n"
		"Clustered raid1 and raid10 arrays, written to by many nodes at once.\n\n"
		"  --config=FILE     (default: " CONFIG_DEFAULT_PATH ")\n"
		"  --check-config    say what is wrong with it, and end\n"
		"  --log=TARGET      stderr, syslog or journal (default: as configured, or stderr)\n"
		"  --log-level=LEVEL error, warning, notice, info or debug\n"
		"  --version\n"
		"  --help\n\n"
		"Stays in the foreground. SIGTERM stops it, and a second one at once; SIGHUP has it\n"
		"read its configuration again. Exit status: 0 stopped as it was told, 1 failed,\n"
		"2 bad usage, 3 bad configuration, 4 runs already. See mdclusterd(8).\n");
}

static void tell_mistake(void *owner, int line, const char *sentence)
{
	const char *path = owner;

	if (line)
		log_error("MDC5430", "%s:%d: %s", path, line, sentence);
	else
		log_error("MDC5431", "%s: %s", path, sentence);
}

struct config *daemon_config_read(const char *path, struct err *err)
{
	return config_read(path, tell_mistake, (void *)(uintptr_t)path, err);
}

int daemon_config_exit(const struct err *err)
{
	return err->code == -EAGAIN ? EXIT_FAILED : EXIT_CONFIG;
}

int daemon_log_open(const struct options *options, const struct config *config,
		    struct err *err)
{
	int target = options->log_target, level = options->log_level;

	if (target < 0 && config)
		target = config->log_target;
	if (level < 0 && config)
		level = config->log_level;
	log_close();
	return log_open("mdclusterd", target < 0 ? LOG_TO_STDERR : (enum log_target)target,
			level < 0 ? LOG_NOTICE : level, err);
}

/* A mistake is told on standard error, whoever reads the log later. */
static void print_mistake(void *owner, int line, const char *sentence)
{
	const char *path = owner;

	if (line)
		fprintf(stderr, "%s:%d: %s\n", path, line, sentence);
	else
		fprintf(stderr, "%s: %s\n", path, sentence);
}

static int check_config(const char *path)
{
	struct err err = ERR_INIT;
	struct config *c = config_read(path, print_mistake, (void *)(uintptr_t)path, &err);

	if (!c) {
		fprintf(stderr, "mdclusterd: %s\n", err.text);
		return EXIT_CONFIG;
	}
	if (!config_check_agents(c, print_mistake, (void *)(uintptr_t)path)) {
		config_free(c);
		return EXIT_CONFIG;
	}
	printf("%s: node %s of cluster %s, %d nodes, %zu arrays\n", path, c->nodes[c->self].name,
	       c->cluster, c->node_count, c->array_count);
	config_free(c);
	return EXIT_FINE;
}

static int word_of(const char *word, const char *what, const char *const *words, size_t count,
		   struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	return err_set(err, -EINVAL, "%s: there is no '%s'", what, word);
}

/* What the supervisor's fork and the kernel's killer shall know of us. */
static void harden(const struct config *c)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *oom = fopen("/proc/self/oom_score_adj", "we");

	/* of an engine it would be "exe": it was started as /proc/self/exe */
	(void)prctl(PR_SET_NAME, "mdclusterd");
	umask(077);
	(void)setrlimit(RLIMIT_MEMLOCK, &none); /* keys; where we may */
	if (oom) {
		fputs("-900", oom);
		(void)fclose(oom); /* where we may not, so be it */
	}
	if (c->locks_memory && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_warning("MDC5432", "lock_memory: the memory cannot be locked: %s",
			    strerror(errno));
}

/*
 * Where corosync alone is missing we wait for it a while, and then fail in a way that has systemd
 * start us again: seldom enough that it does not lose its patience.
 */
static struct config *read_config(const struct options *options, struct err *err)
{
	const uint64_t until = clock_boot_ns() + COROSYNC_PATIENCE_S * NS_PER_S;

	for (unsigned int pause_s = 1;; pause_s *= 2) {
		struct config *c;

		*err = (struct err)ERR_INIT;
		c = daemon_config_read(options->config_path, err);
		if (c || err->code != -EAGAIN || options->engine_fd >= 0 ||
		    clock_boot_ns() + pause_s * NS_PER_S > until)
			return c;
		log_notice("MDC5922", "waits for corosync, and looks again in %u s", pause_s);
		(void)sleep(pause_s);
	}
}

static int run(const struct options *options)
{
	struct err err = ERR_INIT;
	struct config *c;
	int code;

	if (daemon_log_open(options, NULL, &err) < 0) {
		fprintf(stderr, "mdclusterd: %s\n", err.text);
		return EXIT_FAILED;
	}
	c = read_config(options, &err);
	if (c && daemon_log_open(options, c, &err) < 0) {
		fprintf(stderr, "mdclusterd: %s\n", err.text);
		config_free(c);
		return EXIT_FAILED;
	}
	if (!c) {
		fprintf(stderr, "mdclusterd: %s\n", err.text);
		log_close();
		return daemon_config_exit(&err);
	}
	harden(c);
	config_free(c);
	code = options->engine_fd >= 0 ? engine_run(options) : supervisor_run(options);
	log_close();
	return code;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "log", required_argument, NULL, 'l' },
		{ "log-level", required_argument, NULL, 'L' },
		{ "engine", required_argument, NULL, 'e' }, /* of the supervisor's making */
		{ "guard", required_argument, NULL, 'g' },  /* the same */
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options options = { CONFIG_DEFAULT_PATH, -1, -1, -1, 0 };
	struct err err = ERR_INIT;
	bool is_check = false;
	uint64_t fd;
	int o;

	while (err.code == 0 && (o = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
		switch (o) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'C':
			is_check = true;
			break;
		case 'l':
			options.log_target = word_of(optarg, "--log", targets,
						     ARRAY_SIZE(targets), &err);
			break;
		case 'L':
			options.log_level = word_of(optarg, "--log-level", levels,
						    ARRAY_SIZE(levels), &err) + LOG_ERR;
			break;
		case 'e':
			if (text_parse_u64(optarg, "--engine", 3, INT_MAX, &fd, &err) == 0)
				options.engine_fd = (int)fd;
			break;
		case 'g':
			if (text_parse_u64(optarg, "--guard", 1, 600, &fd, &err) == 0)
				options.guard_s = (int)fd;
			break;
		case 'V':
			printf("mdclusterd %s (%s)\n", PACKAGE_VERSION, MDC_FEATURES);
			return EXIT_FINE;
		case 'h':
			usage(stdout);
			return EXIT_FINE;
		default:
			return EXIT_USAGE;
		}
	}
	if (err.code == 0 && optind < argc)
		err_set(&err, -EINVAL, "'%s': there are options only", argv[optind]);
	if (err.code < 0) {
		fprintf(stderr, "mdclusterd: %s\n", err.text);
		return EXIT_USAGE;
	}
	return is_check ? check_config(options.config_path) : run(&options);
}
