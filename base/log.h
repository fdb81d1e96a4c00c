/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logging: levels, a tag per subsystem, a stable id per message.
 *
 * Every line that an administrator may search for carries an id ("MDC2001")
 * that never changes its meaning; mdcluster-messages(7) gives cause and action
 * for each, and a test compares that page with the sources. Debug lines have
 * no id (NULL).
 *
 * libqb does the formatting and the targets; syslog and the journal see the
 * same text. Safe from any thread once log_open() has returned.
 */
#pragma once

#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

struct err;

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_JOURNAL, /* with MESSAGE fields; needs a libqb built with it */
};

/* One a file or room, static; the level may be changed at run time. */
struct log_subsystem {
	const char *name;
	int level; /* the most detailed syslog level that is let through */
};

#define LOG_SUBSYSTEM(tag) \
	static struct log_subsystem log_here = { #tag, LOG_INFO }

/*
 * Opens the log as `program`. Lines above `level` are dropped whatever their
 * subsystem allows. -EOPNOTSUPP, with a sentence, when this build or host has
 * no such target.
 */
int log_open(const char *program, enum log_target target, int level,
	     struct err *err);
/* Another level from here on. */
void log_set_level(int level);
void log_close(void);

void log_write(const struct log_subsystem *sub, int level, const char *id,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_error(id, ...)   log_write(&log_here, LOG_ERR, id, __VA_ARGS__)
#define log_warning(id, ...) log_write(&log_here, LOG_WARNING, id, __VA_ARGS__)
#define log_notice(id, ...)  log_write(&log_here, LOG_NOTICE, id, __VA_ARGS__)
