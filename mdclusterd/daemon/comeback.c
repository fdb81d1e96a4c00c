/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/comeback.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull

static struct comeback_disk *find(struct comeback *c, const uint8_t array[16],
				  const uint8_t device[16])
{
	for (int i = 0; i < COMEBACK_DISKS; i++) {
		struct comeback_disk *d = &c->disks[i];

		if (d->state != COMEBACK_FREE && memcmp(d->array, array, 16) == 0 &&
		    memcmp(d->device, device, 16) == 0)
			return d;
	}
	return NULL;
}

/* NULL: all are being re-added. */
static struct comeback_disk *oldest(struct comeback *c)
{
	struct comeback_disk *best = NULL;

	for (int i = 0; i < COMEBACK_DISKS; i++) {
		struct comeback_disk *d = &c->disks[i];

		if (d->state == COMEBACK_FREE)
			return d;
		if (d->state != COMEBACK_BUSY && (!best || d->touched < best->touched))
			best = d;
	}
	return best;
}

static struct comeback_disk *make(struct comeback *c, const uint8_t array[16],
				  const uint8_t device[16])
{
	struct comeback_disk *d = oldest(c);

	if (!d)
		return NULL;
	memset(d, 0, sizeof(*d));
	memcpy(d->array, array, 16);
	memcpy(d->device, device, 16);
	return d;
}

void comeback_gone(struct comeback *c, const uint8_t array[16], const uint8_t device[16])
{
	struct comeback_disk *d = find(c, array, device);

	if (!d)
		d = make(c, array, device);
	if (!d)
		return;
	d->state = COMEBACK_GONE;
	d->tries = 0;
	d->touched = ++c->serial;
}

static uint32_t lately(const struct comeback_disk *d, uint64_t now_ns)
{
	uint32_t count = 0;

	for (int i = 0; i < COMEBACK_MOST; i++)
		count += d->times_ns[i] && now_ns - d->times_ns[i] < COMEBACK_WINDOW_NS;
	return count;
}

enum comeback_verdict comeback_came(struct comeback *c, const uint8_t array[16],
				    const uint8_t device[16], const char *path,
				    uint64_t now_ns)
{
	struct comeback_disk *d = find(c, array, device);
	uint64_t pause_ms = COMEBACK_FIRST_MS;
	uint32_t count;

	if (!d || d->state == COMEBACK_IS_IN || d->state == COMEBACK_LEFT)
		return COMEBACK_NOT_OURS;
	d->touched = ++c->serial;
	if (d->state != COMEBACK_BUSY)
		snprintf(d->path, sizeof(d->path), "%s", path);
	if (d->state != COMEBACK_GONE)
		return COMEBACK_SOON;
	count = lately(d, now_ns);
	if (count == COMEBACK_MOST) {
		d->state = COMEBACK_LEFT;
		return COMEBACK_TOO_OFTEN;
	}
	while (count-- > 0)
		pause_ms *= 10;
	d->state = COMEBACK_DUE;
	d->due_ns = now_ns + pause_ms * NS_PER_MS;
	return COMEBACK_SOON;
}

static const struct comeback_disk *first_due(const struct comeback *c)
{
	const struct comeback_disk *best = NULL;

	for (int i = 0; i < COMEBACK_DISKS; i++) {
		const struct comeback_disk *d = &c->disks[i];

		if (d->state == COMEBACK_DUE && (!best || d->due_ns < best->due_ns))
			best = d;
	}
	return best;
}

uint64_t comeback_when_ns(const struct comeback *c)
{
	const struct comeback_disk *d = first_due(c);

	return d ? d->due_ns : UINT64_MAX;
}

struct comeback_disk *comeback_next(struct comeback *c, uint64_t now_ns)
{
	const struct comeback_disk *first = first_due(c);
	struct comeback_disk *d = first ? &c->disks[first - c->disks] : NULL;

	if (!d || d->due_ns > now_ns)
		return NULL;
	d->state = COMEBACK_BUSY;
	return d;
}

static void remember(struct comeback_disk *d, uint64_t now_ns)
{
	memmove(d->times_ns + 1, d->times_ns, sizeof(d->times_ns) - sizeof(d->times_ns[0]));
	d->times_ns[0] = now_ns;
}

bool comeback_ended(struct comeback *c, struct comeback_disk *d, enum comeback_end how,
		    uint64_t now_ns)
{
	if (how == COMEBACK_RE_ADDED)
		remember(d, now_ns);
	if (d->state != COMEBACK_BUSY)
		return false;
	d->touched = ++c->serial;
	if (how == COMEBACK_RE_ADDED) {
		d->state = COMEBACK_IS_IN;
		return false;
	}
	if (how == COMEBACK_REFUSED && ++d->tries < COMEBACK_TRIES) {
		d->state = COMEBACK_DUE;
		d->due_ns = now_ns + ((uint64_t)COMEBACK_RETRY_MS << (d->tries - 1)) * NS_PER_MS;
		return false;
	}
	d->state = COMEBACK_LEFT;
	return true;
}
