/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words that the tables and the JSON of `locks` have in common. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/printable.h"
#include "tools/show_locks.h"

char *show_node(const struct show_locks *show, uint32_t node, char to[SHOW_NAME_BYTES])
{
	const struct lock_dump_node *n = lock_dump_node(show->dump, node);

	if (n)
		return text_escape(n->name, n->name_length, to, SHOW_NAME_BYTES);
	snprintf(to, SHOW_NAME_BYTES, "#%u", node);
	return to;
}

char *show_resource(const struct lock_dump_resource *r, char to[SHOW_NAME_BYTES])
{
	return text_escape(r->name, r->name_length, to, SHOW_NAME_BYTES);
}

/* "node2, node3": who of the members is missing. */
static void missing_names(const struct show_locks *show, char to[SHOW_WHY_BYTES])
{
	char name[SHOW_NAME_BYTES];
	size_t at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < show->space->member_count; i++) {
		const struct lockspace_member_look *m = &show->space->members[i];

		if (!m->is_missing)
			continue;
		show_node(show, m->node, name);
		if (at + strlen(name) + sizeof(", ...") > SHOW_WHY_BYTES / 4) {
			strcat(to, ", ...");
			return;
		}
		at += (size_t)snprintf(to + at, SHOW_WHY_BYTES - at, "%s%s",
				       at ? ", " : "", name);
	}
}

char *show_frozen_why(const struct show_locks *show, char to[SHOW_WHY_BYTES])
{
	char names[SHOW_WHY_BYTES];

	missing_names(show, names);
	to[0] = '\0';
	switch (show->space->freeze) {
	case LOCKSPACE_RUNS:
		break;
	case LOCKSPACE_SYNCING:
		snprintf(to, SHOW_WHY_BYTES,
			 "the ring has changed, and its nodes tell each other what they hold");
		break;
	case LOCKSPACE_NO_QUORUM:
		snprintf(to, SHOW_WHY_BYTES, "this node's part of the cluster has no quorum%s%.200s",
			 names[0] ? "; missing: " : "", names);
		break;
	case LOCKSPACE_JOINING:
		snprintf(to, SHOW_WHY_BYTES,
			 "a node of the ring takes no part in locking yet");
		break;
	case LOCKSPACE_UNPROVEN:
		snprintf(to, SHOW_WHY_BYTES,
			 "%.200s: missing, and nobody has said that it is dead",
			 names[0] ? names : "a member");
		break;
	}
	return to;
}

char *show_frozen_until(const struct show_locks *show, char to[SHOW_WHY_BYTES])
{
	char names[SHOW_WHY_BYTES];

	missing_names(show, names);
	to[0] = '\0';
	switch (show->space->freeze) {
	case LOCKSPACE_RUNS:
		break;
	case LOCKSPACE_SYNCING:
		snprintf(to, SHOW_WHY_BYTES, "by itself, when they are done");
		break;
	case LOCKSPACE_NO_QUORUM:
		snprintf(to, SHOW_WHY_BYTES, "when enough nodes are back");
		break;
	case LOCKSPACE_JOINING:
		snprintf(to, SHOW_WHY_BYTES, "by itself, when it does, or leaves the ring");
		break;
	case LOCKSPACE_UNPROVEN:
		snprintf(to, SHOW_WHY_BYTES,
			 "when %.200s is back, or proven dead: by a fence agent, or by an operator's confirm-dead",
			 names[0] ? names : "it");
		break;
	}
	return to;
}

bool show_is_waited_for(const struct lock_dump_resource *r)
{
	for (size_t i = 0; i < r->lock_count; i++)
		if (r->locks[i].wanted != LOCK_NONE)
			return true;
	return false;
}

const struct lock_view *show_ahead(const struct lock_dump_resource *r,
				   const struct lock_view *lock)
{
	enum lock_place place = lock_view_place(lock);

	for (size_t i = 0; i < r->lock_count && place != LOCK_PLACE_GRANTED; i++) {
		const struct lock_view *other = &r->locks[i];
		enum lock_place others = lock_view_place(other);

		if (other == lock)
			break;
		if (others != LOCK_PLACE_GRANTED && others <= place)
			return other;
	}
	return NULL;
}

static int check_resource(const struct show_locks *show,
			  const struct lock_dump_resource *r, struct err *err)
{
	char name[SHOW_NAME_BYTES], one[SHOW_NAME_BYTES], other[SHOW_NAME_BYTES];
	const struct lock_view *first[LOCK_MODES] = { NULL };

	for (size_t i = 0; i < r->lock_count; i++) {
		const struct lock_view *l = &r->locks[i];

		for (int m = LOCK_NL; m < LOCK_MODES; m++)
			if (first[m] && !lock_modes_compatible(l->granted, (enum lock_mode)m))
				return err_set(err, -EBADMSG,
					       "resource '%.80s': %.80s holds %s and %.80s %s, which exclude each other: a fault of the lock manager",
					       show_resource(r, name),
					       show_node(show, first[m]->key.node, one),
					       lock_mode_name((enum lock_mode)m),
					       show_node(show, l->key.node, other),
					       lock_mode_name(l->granted));
		if (l->granted != LOCK_NONE && !first[l->granted])
			first[l->granted] = l;
	}
	return 0;
}

int show_locks_check(const struct show_locks *show, struct err *err)
{
	char name[SHOW_NAME_BYTES];

	for (size_t i = 0; i < show->space->resource_count; i++)
		if (check_resource(show, &show->space->resources[i], err) < 0)
			return err_prefix(err, "lockspace '%s'",
					  text_escape(show->space->name,
						      show->space->name_length, name,
						      sizeof(name)));
	return 0;
}
