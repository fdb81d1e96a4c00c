/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/re_add.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/comeback.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/unit.h"
#include "mdclusterd/daemon/unit_change.h"

LOG_SUBSYSTEM(re_add);

#define NS_PER_MS 1000000ull

struct re_add {
	struct engine *engine;
	struct comeback comeback;
	struct loop_timer *timer;
	struct comeback_disk *disk; /* that is being re-added; NULL: none */
	struct unit_change change;
	char array[CONFIG_NAME_BYTES], path[256];
};

static void schedule(struct re_add *r);

/* --- the end of one ------------------------------------------------------------------------ */

static enum comeback_end end_of(int result)
{
	switch (result) {
	case 0:
	case -EEXIST: /* another node came first */
		return COMEBACK_RE_ADDED;
	case -ESTALE:
	case -EINVAL:
	case -ENOSPC:
		return COMEBACK_REFUSED_FOR_GOOD;
	default:
		return COMEBACK_REFUSED;
	}
}

static void tell_left(struct re_add *r, const char *array, const char *path, const char *why)
{
	engine_tell_disk(r->engine, LOG_WARNING, "disk_not_re_added", array, path,
			 "%s is back, and is not re-added by itself: %s", path, why);
}

static void is_done(void *owner, struct unit_change *change, int result)
{
	struct re_add *r = owner;
	struct comeback_disk *d = r->disk;
	struct err why = change->change.err;

	if (result < 0 && why.code == 0)
		err_set(&why, result, "%s", strerror(-result));
	r->disk = NULL;
	if (result == 0)
		log_notice("MDC5891", "%s: %s has come back, and is re-added", r->array, r->path);
	else if (result != -EEXIST)
		log_notice("MDC5892", "%s: %s has come back, and is not re-added yet: %s",
			   r->array, r->path, why.text);
	if (comeback_ended(&r->comeback, d, end_of(result), clock_boot_ns()))
		tell_left(r, r->array, r->path, why.text);
	schedule(r);
}

/* --- one after the other ----------------------------------------------------------------------- */

static const struct metadata_view *view_of(const struct unit *u)
{
	struct array_look look = { .state = ARRAY_DOWN };

	if (unit_array(u))
		array_look(unit_array(u), &look);
	return look.state == ARRAY_ACTIVE ? look.view : NULL;
}

static struct unit *find_unit(const struct re_add *r, const uint8_t uuid[16])
{
	for (struct unit *u = unit_next(r->engine, NULL); u; u = unit_next(r->engine, u)) {
		const struct metadata_view *v = view_of(u);

		if (v && memcmp(v->uuid, uuid, 16) == 0)
			return u;
	}
	return NULL;
}

static const struct metadata_disk *find_disk(const struct metadata_view *v,
					     const uint8_t device[16])
{
	for (uint32_t i = 0; i < v->disk_count; i++)
		if (memcmp(v->disks[i].device_uuid, device, 16) == 0)
			return &v->disks[i];
	return NULL;
}

/* Its end without a word: it is in, or a person has removed it, or the array is not here now. */
static bool needs_nothing(struct re_add *r, struct unit *u, struct comeback_disk *d)
{
	const struct metadata_disk *m = u ? find_disk(view_of(u), d->device) : NULL;
	bool is_in = m && (m->state == METADATA_DISK_IN_SYNC || m->state == METADATA_DISK_REBUILD);

	if (m && !is_in && unit_config(u)->re_adds)
		return false;
	(void)comeback_ended(&r->comeback, d,
			     is_in ? COMEBACK_RE_ADDED : COMEBACK_REFUSED_FOR_GOOD,
			     clock_boot_ns());
	return true;
}

static void begin(struct re_add *r, struct comeback_disk *d)
{
	struct unit *u = find_unit(r, d->array);
	struct err err = ERR_INIT;

	if (needs_nothing(r, u, d))
		return;
	r->disk = d;
	snprintf(r->array, sizeof(r->array), "%s", unit_name(u));
	snprintf(r->path, sizeof(r->path), "%s", d->path);
	r->change = (struct unit_change){
		.change = { .kind = ARRAY_RE_ADD, .path = r->path }, .done = is_done, .owner = r,
	};
	if (unit_change(u, &r->change, &err) < 0) {
		r->change.change.err = err;
		is_done(r, &r->change, err.code);
	}
}

static void go(void *owner)
{
	struct re_add *r = owner;
	struct comeback_disk *d;

	r->timer = NULL;
	while (!r->disk && (d = comeback_next(&r->comeback, clock_boot_ns())) != NULL)
		begin(r, d);
	schedule(r);
}

static void schedule(struct re_add *r)
{
	uint64_t when = comeback_when_ns(&r->comeback), now = clock_boot_ns();
	struct err err = ERR_INIT;

	loop_timer_cancel(r->timer);
	r->timer = NULL;
	if (r->disk || r->engine->is_stopping || when == UINT64_MAX)
		return;
	r->timer = loop_timer_start(r->engine->loop,
				    when > now ? (uint32_t)((when - now) / NS_PER_MS) + 1 : 1, go,
				    r, &err);
	if (!r->timer)
		log_warning("MDC5893", "disks that come back are not re-added: %s", err.text);
}

/* --- from outside --------------------------------------------------------------------------------- */

struct re_add *re_add_new(struct engine *e, struct err *err)
{
	struct re_add *r = calloc(1, sizeof(*r));

	if (!r) {
		err_nomem(err, "disks that come back");
		return NULL;
	}
	r->engine = e;
	return r;
}

void re_add_free(struct re_add *r)
{
	if (!r)
		return;
	loop_timer_cancel(r->timer);
	free(r);
}

void re_add_gone(struct re_add *r, const struct unit *u, const struct metadata_disk *disk)
{
	const struct metadata_view *v = view_of(u);

	if (!v)
		return;
	comeback_gone(&r->comeback, v->uuid, disk->device_uuid);
	schedule(r);
}

bool re_add_came(struct re_add *r, const struct unit *u, const uint8_t device_uuid[16],
		 const char *path)
{
	const struct metadata_view *v = view_of(u);
	enum comeback_verdict verdict;

	if (!v || !unit_config(u)->re_adds)
		return false;
	verdict = comeback_came(&r->comeback, v->uuid, device_uuid, path, clock_boot_ns());
	if (verdict == COMEBACK_TOO_OFTEN)
		tell_left(r, unit_name(u), path,
			  "it has come back three times within an hour already; look at its path, then: mdcluster re-add");
	schedule(r);
	return verdict == COMEBACK_SOON;
}
