/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lockspaces that all have left: each is remembered by its last version, so that a node
 * that was away does not bring an older one back (M4). Of a name there is either a
 * lockspace or a grave.
 */
#include <string.h>

#include "lockres/manager_private.h"

static struct space_head *oldest(struct lock_manager *m)
{
	struct space_head *g = &m->graves[0];

	for (size_t i = 1; i < m->grave_count; i++)
		if (space_version_compare(&m->graves[i].version, &g->version) < 0)
			g = &m->graves[i];
	return g;
}

void grave_dig(const struct space *s)
{
	struct lock_manager *m = s->manager;
	struct space_head *g = m->grave_count < LOCK_MANAGER_MAX_GRAVES ?
				       &m->graves[m->grave_count++] :
				       oldest(m);

	*g = (struct space_head){ .id = s->id, .version = s->version, .is_over = true,
				  .name_length = s->name_length };
	g->version.epoch = m->ring; /* where it may have thawed only to go */
	memcpy(g->name, s->name, s->name_length);
}

/* Its index; or the count: there is none. */
static size_t find(const struct lock_manager *m, const void *name, size_t length)
{
	size_t i = 0;

	while (i < m->grave_count &&
	       space_compare_names(m->graves[i].name, m->graves[i].name_length, name,
				   length) != 0)
		i++;
	return i;
}

bool grave_is_there(const struct lock_manager *m, const void *name, size_t length)
{
	return find(m, name, length) < m->grave_count;
}

void grave_level(struct lock_manager *m, const void *name, size_t length)
{
	size_t i = find(m, name, length);

	if (i < m->grave_count)
		m->graves[i] = m->graves[--m->grave_count];
}
