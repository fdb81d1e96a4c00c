/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <qb/qbdefs.h>
#include <qb/qblog.h>

#include "base/err.h"

enum { LINE_MAX_BYTES = 1024 };

static bool log_is_open;
static int32_t log_id; /* libqb's target */

static int use_target(enum log_target target, int level, struct err *err)
{
	int32_t id = target == LOG_TO_STDERR ? QB_LOG_STDERR : QB_LOG_SYSLOG;
	int32_t r = 0;

	if (target == LOG_TO_JOURNAL)
		r = qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_USE_JOURNAL, QB_TRUE);
	if (r < 0)
		return err_set(err, -EOPNOTSUPP,
			       "log: this libqb was built without journal support");
	qb_log_filter_ctl(id, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*",
			  (uint8_t)level);
	log_id = id;
	qb_log_format_set(id, id == QB_LOG_STDERR ? "%N: %p: %b" : "%b");
	r = qb_log_ctl(id, QB_LOG_CONF_ENABLED, QB_TRUE);
	if (r < 0)
		return err_set(err, r, "log: cannot enable the %s target",
			       id == QB_LOG_STDERR ? "stderr" : "syslog");
	if (id != QB_LOG_SYSLOG)
		qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, QB_FALSE);
	return 0;
}

int log_open(const char *program, enum log_target target, int level,
	     struct err *err)
{
	int r;

	qb_log_init(program, LOG_DAEMON, (uint8_t)level);
	r = use_target(target, level, err);
	if (r < 0)
		qb_log_fini();
	else
		log_is_open = true;
	return r;
}

void log_set_level(int level)
{
	if (!log_is_open)
		return;
	qb_log_filter_ctl(log_id, QB_LOG_FILTER_CLEAR_ALL, QB_LOG_FILTER_FILE, "*", LOG_DEBUG);
	qb_log_filter_ctl(log_id, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", (uint8_t)level);
}

void log_close(void)
{
	if (log_is_open)
		qb_log_fini();
	log_is_open = false;
}

void log_write(const struct log_subsystem *sub, int level, const char *id,
	       const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (!log_is_open || level > sub->level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (id)
		qb_log_from_external_source(sub->name, sub->name, "%s: %s [%s]",
					    (uint8_t)level, 0, 0, sub->name,
					    text, id);
	else
		qb_log_from_external_source(sub->name, sub->name, "%s: %s",
					    (uint8_t)level, 0, 0, sub->name,
					    text);
}
