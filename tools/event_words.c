/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/event_words.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arith.h"

static void dashed(const struct status_event *e, char to[sizeof(e->kind)])
{
	memcpy(to, e->kind, sizeof(e->kind));
	for (char *c = to; *c; c++)
		if (*c == '_')
			*c = '-';
}

char *event_line(const struct status_event *e, char to[EVENT_LINE_BYTES])
{
	time_t seconds = (time_t)(e->time_us / 1000000);
	char when[32] = "?", kind[sizeof(e->kind)];
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	dashed(e, kind);
	snprintf(to, EVENT_LINE_BYTES, "%s  %-16s  %s%s%s", when, kind, e->array,
		 e->array[0] ? ": " : "", e->text);
	return to;
}

/* "is active": a state is the last word. */
static const char *last_word(const char *text)
{
	const char *blank = strrchr(text, ' ');

	return blank ? blank + 1 : text;
}

const char *event_mdadm_name(const struct status_event *e, char to[sizeof(e->kind)])
{
	static const struct { const char *kind, *state, *mdadm; } names[] = {
		{ "disk-failed", NULL, "Fail" },
		{ "degraded", NULL, "DegradedArray" },
		{ "resync-started", NULL, "RebuildStarted" },
		{ "resync-finished", NULL, "RebuildFinished" },
		{ "check-started", NULL, "RebuildStarted" },
		{ "check-finished", NULL, "RebuildFinished" },
		{ "recovery-started", NULL, "RebuildStarted" },
		{ "recovery-finished", "sync", "SpareActive" },
		{ "recovery-finished", NULL, "RebuildFinished" },
		{ "state", "active", "NewArray" },
		{ "state", "down", "DeviceDisappeared" },
	};

	dashed(e, to);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(to, names[i].kind) == 0 &&
		    (!names[i].state || strcmp(last_word(e->text), names[i].state) == 0))
			return names[i].mdadm;
	return to;
}
