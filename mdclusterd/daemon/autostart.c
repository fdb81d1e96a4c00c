/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/autostart.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qb/qblist.h>

#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/engine_private.h"
#include "mdclusterd/daemon/re_add.h"
#include "mdclusterd/daemon/stopped.h"
#include "mdclusterd/daemon/unit.h"

LOG_SUBSYSTEM(autostart);

/* An array that is in no configuration, and those of its disks that are here. */
struct told {
	struct qb_list_head link;
	struct config_array array;
	uint8_t devices[CONFIG_MAX_DISKS][16]; /* of array.disks */
};

struct autostart {
	struct engine *engine;
	struct qb_list_head told;
};

const char *autostart_verdict_name(enum autostart_verdict verdict)
{
	static const char *const names[] = {
		[AUTOSTART_FOREIGN] = "foreign",       [AUTOSTART_LEFT_ALONE] = "left-alone",
		[AUTOSTART_WAITS] = "waits",           [AUTOSTART_ASSEMBLES] = "assembles",
		[AUTOSTART_ACTIVE] = "active",	       [AUTOSTART_RE_ADDS] = "re-adds",
	};

	return names[verdict];
}

struct autostart *autostart_new(struct engine *e, struct err *err)
{
	struct autostart *a = calloc(1, sizeof(*a));

	if (!a) {
		err_nomem(err, "what starts by itself");
		return NULL;
	}
	a->engine = e;
	qb_list_init(&a->told);
	return a;
}

static void forget(struct told *t)
{
	qb_list_del(&t->link);
	config_array_fini(&t->array);
	free(t);
}

void autostart_free(struct autostart *a)
{
	if (!a)
		return;
	while (!qb_list_empty(&a->told))
		forget(qb_list_first_entry(&a->told, struct told, link));
	free(a);
}

/* --- starting -------------------------------------------------------------------------------- */

/* O2 */
static bool is_stopped(const struct autostart *a, const struct config_array *c)
{
	return stopped_is(a->engine->config->run_dir, c->name);
}

static void start(struct autostart *a, const struct config_array *c)
{
	struct err err = ERR_INIT;

	if (!c->is_auto || is_stopped(a, c) || unit_find(a->engine, c->name))
		return;
	if (!unit_start(a->engine, c, UNIT_PATIENTLY, &err))
		log_error("MDC5446", "an array is not assembled: %s", err.text);
}

void autostart_all(struct autostart *a)
{
	const struct config *c = a->engine->config;
	struct told *t;

	for (size_t i = 0; i < c->array_count; i++)
		start(a, &c->arrays[i]);
	qb_list_for_each_entry(t, &a->told, link)
		start(a, &t->array);
}

/* --- whose is it? ------------------------------------------------------------------------------ */

static bool is_named(const char *path, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(path, paths[i]) == 0)
			return true;
	return false;
}

/* Links below /dev are followed: nothing there keeps anybody waiting. */
static bool is_same_disk(const char *configured, const char *const *paths, size_t count)
{
	char real[PATH_MAX];

	if (is_named(configured, paths, count))
		return true;
	return strncmp(configured, "/dev/", 5) == 0 && realpath(configured, real) &&
	       is_named(real, paths, count);
}

static bool has_member(const struct config_array *c, const struct autostart_member *m)
{
	if (c->has_uuid)
		return memcmp(c->uuid, m->uuid, sizeof(c->uuid)) == 0;
	for (size_t i = 0; i < c->disk_count; i++)
		if (is_same_disk(c->disks[i], m->paths, m->path_count))
			return true;
	return false;
}

static const struct config_array *known(const struct autostart *a,
					const struct autostart_member *m)
{
	const struct config *c = a->engine->config;

	for (const struct unit *u = unit_next(a->engine, NULL); u; u = unit_next(a->engine, u)) {
		struct array_look look = { .state = ARRAY_DOWN };

		if (unit_array(u))
			array_look(unit_array(u), &look);
		if (look.view && memcmp(look.view->uuid, m->uuid, sizeof(m->uuid)) == 0)
			return unit_config(u);
	}
	for (size_t i = 0; i < c->array_count; i++)
		if (has_member(&c->arrays[i], m))
			return &c->arrays[i];
	return NULL;
}

/* --- arrays that are in no configuration --------------------------------------------------------- */

/* "host:web" is web: the name that the file of its socket has, too. */
static int name_it(struct config_array *c, const struct autostart_member *m, struct err *err)
{
	const char *colon = strchr(m->name, ':'), *name = colon ? colon + 1 : m->name;

	if (!*name || strlen(name) >= sizeof(c->name) || strchr(name, '/') || *name == '.')
		return err_set(err, -EINVAL, "%s: is no name by which an array can be served: give it one in the configuration",
			       m->name);
	snprintf(c->name, sizeof(c->name), "%s", name);
	return 0;
}

static struct told *find_told(const struct autostart *a, const uint8_t uuid[16])
{
	struct told *t;

	qb_list_for_each_entry(t, &a->told, link)
		if (memcmp(t->array.uuid, uuid, 16) == 0)
			return t;
	return NULL;
}

const struct config_array *autostart_array(const struct autostart *a, const char *name)
{
	const struct told *t;

	qb_list_for_each_entry(t, &a->told, link)
		if (strcmp(t->array.name, name) == 0)
			return &t->array;
	return NULL;
}

static struct told *new_told(struct autostart *a, const struct autostart_member *m,
			     struct err *err)
{
	struct told *t = calloc(1, sizeof(*t));
	const struct told *o;
	size_t count = 0;

	if (!t) {
		err_nomem(err, m->name);
		return NULL;
	}
	t->array = (struct config_array){ .is_auto = true, .is_exported = true,
					  .re_adds = a->engine->config->re_adds,
					  .export_mode = 0600 };
	memcpy(t->array.uuid, m->uuid, sizeof(t->array.uuid));
	qb_list_for_each_entry(o, &a->told, link)
		count++;
	if (name_it(&t->array, m, err) < 0) {
		free(t);
		return NULL;
	}
	if (autostart_array(a, t->array.name) || unit_find(a->engine, t->array.name) ||
	    config_array(a->engine->config, t->array.name))
		err_set(err, -EEXIST, "%s: another array here has this name: give one of them its own in the configuration",
			t->array.name);
	else if (count >= CONFIG_MAX_ARRAYS)
		err_set(err, -E2BIG, "%s: %d arrays were told of already", t->array.name,
			CONFIG_MAX_ARRAYS);
	if (err->code < 0) {
		free(t);
		return NULL;
	}
	qb_list_add_tail(&t->link, &a->told);
	return t;
}

/* A disk that has another name than before has it from now on. */
static int add_disk(struct told *t, const struct autostart_member *m, struct err *err)
{
	char *path = strdup(m->paths[0]);
	size_t i = 0;

	while (i < t->array.disk_count && memcmp(t->devices[i], m->device_uuid, 16) != 0)
		i++;
	if (!path)
		return err_nomem(err, m->paths[0]);
	if (i == CONFIG_MAX_DISKS) {
		free(path);
		return err_set(err, -E2BIG, "%s: has more than %d disks", t->array.name,
			       CONFIG_MAX_DISKS);
	}
	if (i == t->array.disk_count)
		t->array.disk_count++;
	else
		free(t->array.disks[i]);
	t->array.disks[i] = path;
	memcpy(t->devices[i], m->device_uuid, 16);
	return 0;
}

static const struct config_array *tell_of(struct autostart *a, const struct autostart_member *m,
					  struct err *err)
{
	struct told *t = find_told(a, m->uuid);

	if (!t)
		t = new_told(a, m, err);
	return t && add_disk(t, m, err) == 0 ? &t->array : NULL;
}

void autostart_refresh(const struct autostart *a, struct config_array *c)
{
	struct config_array fresh;
	struct told *t;

	qb_list_for_each_entry(t, &a->told, link) {
		if (c->has_uuid || memcmp(t->array.uuid, c->uuid, sizeof(c->uuid)) != 0 ||
		    config_array_copy(&fresh, &t->array) < 0)
			continue;
		config_array_fini(c);
		*c = fresh;
	}
}

/* --- a member appears --------------------------------------------------------------------------------- */

static bool is_active(const struct unit *u)
{
	struct array_look look = { .state = ARRAY_DOWN };

	if (u && unit_array(u))
		array_look(unit_array(u), &look);
	return look.state == ARRAY_ACTIVE;
}

static enum autostart_verdict try(struct autostart *a, const struct config_array *c)
{
	struct unit *u = unit_find(a->engine, c->name);

	if (is_active(u))
		return AUTOSTART_ACTIVE;
	if (!c->is_auto || is_stopped(a, c))
		return AUTOSTART_LEFT_ALONE;
	if (!cluster_is_quorate(a->engine->cluster))
		return AUTOSTART_WAITS;
	if (u)
		unit_again(u);
	else
		start(a, c);
	return AUTOSTART_ASSEMBLES;
}

int autostart_seen(struct autostart *a, const struct autostart_member *m, char *array,
		   enum autostart_verdict *verdict, struct err *err)
{
	const struct config_array *c = known(a, m);
	const struct unit *u;

	*array = '\0';
	*verdict = AUTOSTART_FOREIGN;
	if (a->engine->is_stopping)
		return err_set(err, -ESHUTDOWN, "the daemon is being stopped");
	if (!c && a->engine->config->takes_all &&
	    strcmp(m->cluster, a->engine->config->cluster) == 0) {
		c = tell_of(a, m, err);
		if (!c)
			return err->code;
	}
	if (!c)
		return 0;
	snprintf(array, CONFIG_NAME_BYTES, "%s", c->name);
	*verdict = try(a, c);
	u = unit_find(a->engine, c->name);
	if (*verdict == AUTOSTART_ACTIVE &&
	    re_add_came(a->engine->re_add, u, m->device_uuid, m->paths[0]))
		*verdict = AUTOSTART_RE_ADDS;
	return 0;
}

/* --- a member vanishes ---------------------------------------------------------------------------------- */

static int fail_in(struct autostart *a, struct unit *u, const char *const *paths, size_t count,
		   struct err *err)
{
	struct array_look look = { .state = ARRAY_DOWN };
	int failed = 0;

	if (unit_array(u))
		array_look(unit_array(u), &look);
	for (uint32_t i = 0; look.view && i < look.view->disk_count; i++) {
		const struct metadata_disk *d = &look.view->disks[i];

		if (!is_named(d->path, paths, count))
			continue;
		re_add_gone(a->engine->re_add, u, d);
		if (d->role >= look.view->raid_disks || d->state == METADATA_DISK_MISSING ||
		    d->state == METADATA_DISK_FAULTY)
			continue;
		log_warning("MDC5700", "%s: its disk %s has vanished from this host",
			    unit_name(u), d->path);
		if (unit_fail_disk(u, d->role, err) == 0)
			failed++;
	}
	return failed;
}

static void forget_disk(struct told *t, const char *const *paths, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->array.disk_count; i++) {
		if (is_named(t->array.disks[i], paths, count)) {
			free(t->array.disks[i]);
			continue;
		}
		t->array.disks[kept] = t->array.disks[i];
		memmove(t->devices[kept++], t->devices[i], 16);
	}
	t->array.disk_count = kept;
}

int autostart_gone(struct autostart *a, const char *const *paths, size_t count, struct err *err)
{
	struct told *t, *next;
	int failed = 0;

	for (struct unit *u = unit_next(a->engine, NULL); u; u = unit_next(a->engine, u))
		failed += fail_in(a, u, paths, count, err);
	qb_list_for_each_entry_safe(t, next, &a->told, link) {
		forget_disk(t, paths, count);
		if (t->array.disk_count == 0 && !unit_find(a->engine, t->array.name))
			forget(t);
	}
	return failed;
}
