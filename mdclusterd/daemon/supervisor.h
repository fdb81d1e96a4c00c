/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The supervisor: the small parent that outlives its engine. It starts it, reaps it, and
 * where it died without a goodbye tells the other nodes so (obituary.h) before it starts
 * the next one. It touches no disk and holds no key, so that hardly anything can end it.
 *
 *	W1  There is one daemon a state directory: a lock on it is held by the supervisor
 *	    and by its engine, so that it is free only when both are gone, and all that the
 *	    engine wrote is over. Hence, when a daemon starts, all earlier ones are dead.
 *	W2  An obituary is said only of an engine that was reaped.
 *	W3  An engine whose supervisor is gone stops by itself, gate first: nobody would
 *	    say that it is dead.
 *	W4  Engines that die one after the other are started ever more slowly, and that is told.
 *	W5  An engine that does not say for supervisor_patience_ms() that it is alive hangs: it
 *	    is killed, reaped, and told dead as any other. systemd, where it watches, watches
 *	    the supervisor: if it ended both, nobody would say so.
 *
 * The engine is this program executed anew (/proc/self/exe, so that an upgrade meanwhile
 * changes nothing) and not merely forked: it begins with memory, descriptors and
 * signal handlers of its own making, and nothing of it can linger here.
 *
 * They talk by a socket pair, a word a datagram: the engine says "incarnation N" before it
 * sends anything to anybody, "ready", "status TEXT", "alive" (W5), "guard NS" (until when, on
 * the clock of boot, a watchdog may be petted: fence/guard.h), "goodbye"; the
 * supervisor "stop", "now", "reload", which are not signals, since a terminal or systemd
 * sends these to both, and twice means "at once". That it breaks off tells each of the
 * other's death.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;

/* How the program ends, for scripts. */
enum exit_code {
	EXIT_FINE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_CONFIG = 3,  /* the configuration has mistakes */
	EXIT_RUNNING = 4, /* another daemon has this state directory */
};

struct options {
	const char *config_path;
	int log_target, log_level; /* -1: as configured */
	int engine_fd;             /* -1: this is the supervisor */
	int guard_s;               /* the engine's: timeout of the watchdog that runs; 0: none */
};

/* Runs until it is told to stop. Returns an exit_code. */
int supervisor_run(const struct options *options);

/* --- both ends ------------------------------------------------------------------- */

/* Of the supervisor with its engine, and of systemd with it: WatchdogSec=, or 30 s. */
uint64_t supervisor_patience_ms(void);
/* One of the words above. Never waits: what the supervisor does not read is lost. */
void supervisor_tell(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Both: the log as it is said on the command line, else configured, else standard error. */
struct config;
int daemon_log_open(const struct options *options, const struct config *config,
		    struct err *err);
const char *daemon_log_target_name(int target);
const char *daemon_log_level_name(int level);
/* Reads it; mistakes go to the log. */
struct config *daemon_config_read(const char *path, struct err *err);
/* How to end when it cannot be used: corosync may come, mistakes stay. */
int daemon_config_exit(const struct err *err);
