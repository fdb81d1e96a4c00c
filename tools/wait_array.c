/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/wait_array.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "mdclusterd/control/status.h"
#include "tools/cli.h"
#include "tools/daemon.h"
#include "tools/show_status.h"
#include "tools/terminal.h"

enum { LOOK_MS = 200, SECTOR = 512 };

static uint32_t count(const struct status_array *a, const char *state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->disk_count; i++)
		n += strcmp(a->disks[i].state, state) == 0;
	return n;
}

/* What is owed of a disk that is not there is nobody's work before one is. */
bool wait_can_resync(const struct status_array *a)
{
	return a->disks_in_sync + count(a, "rebuild") >= 2;
}

static bool is_at_work(const struct status_array *a, const struct status_member *m)
{
	return (m->owes_resync && wait_can_resync(a)) || m->high > m->low ||
	       strcmp(m->state, "recovering") == 0;
}

bool wait_is_busy(const struct status_array *a)
{
	uint32_t rebuilt = count(a, "rebuild");

	if (a->activity[0] || rebuilt > 0)
		return true;
	for (uint32_t i = 0; i < a->member_count; i++)
		if (is_at_work(a, &a->members[i]))
			return true;
	return strcmp(a->state, "active") == 0 && count(a, "spare") > 0 &&
	       a->disks_in_sync + rebuilt < a->raid_disks;
}

static const struct status_disk *rebuilt_disk(const struct status_array *a)
{
	for (uint32_t i = 0; i < a->disk_count; i++)
		if (strcmp(a->disks[i].state, "rebuild") == 0)
			return &a->disks[i];
	return NULL;
}

const char *wait_progress(const struct status_array *a, uint64_t *done, uint64_t *total)
{
	const struct status_disk *d = rebuilt_disk(a);

	*done = a->done_sectors;
	*total = a->total_sectors;
	if (a->activity[0])
		return a->activity;
	*total = a->size_bytes / SECTOR;
	for (uint32_t i = 0; i < a->member_count; i++) {
		*done = a->members[i].low;
		if (a->members[i].high > a->members[i].low)
			return d ? "recovery" : "resync";
	}
	*done = d ? d->recovered_sectors : 0;
	*total = d ? a->member_sectors : 0;
	return d ? "recovery" : "resync";
}

void wait_show(const struct status_array *a)
{
	char bar[TERMINAL_BAR_BYTES], waits[SHOW_WAITS_BYTES];
	uint64_t done, total;
	const char *what = wait_progress(a, &done, &total);
	unsigned int per_mille = terminal_per_mille(done, total);

	show_waits(a->waits, a->waits_since_ns, waits);
	if (total)
		printf("\r%s  %s = %u.%u%%%s%s\033[K", terminal_bar(done, total, bar), what,
		       per_mille / 10, per_mille % 10, waits[0] ? "  " : "", waits);
	else
		printf("\r%s begins%s%s\033[K", what, waits[0] ? "  " : "", waits);
	fflush(stdout);
}

bool wait_is_shown(const struct cli_args *args)
{
	return isatty(STDOUT_FILENO) && !cli_has(args, "quiet") && !cli_has(args, "json");
}

static int look(const struct cli_args *args, const char *array, bool is_shown, bool *is_busy,
		struct err *err)
{
	const struct status_array *a;
	struct status s;
	int r = daemon_status(args, &s, err);

	if (r < 0)
		return r;
	a = show_find_array(&s, array, err);
	*is_busy = a && wait_is_busy(a);
	if (*is_busy && is_shown)
		wait_show(a);
	r = a ? 0 : err->code;
	status_fini(&s);
	return r;
}

int wait_array(const struct cli_args *args, const char *array, bool *was_busy, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * (long)NS_PER_MS };
	bool is_shown = wait_is_shown(args);
	bool is_busy;
	int r;

	*was_busy = false;
	while ((r = look(args, array, is_shown, &is_busy, err)) == 0 && is_busy) {
		*was_busy = true;
		nanosleep(&pause, NULL);
	}
	if (*was_busy && is_shown)
		printf("\r\033[K");
	return r;
}
