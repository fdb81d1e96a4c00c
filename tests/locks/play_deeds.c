/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What locks and nodes do in a story. */
#include "tests/locks/play.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOCKSPACE_NAME "conformance"

/* --- locks --------------------------------------------------------------------------- */

static struct play_lock *find_lock(struct conformance_play *play, const char *subject)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++)
		if (strcmp(play->locks[i].subject, subject) == 0)
			return &play->locks[i];
	return NULL;
}

static void forget(struct play_lock *l, bool with_fini)
{
	if (with_fini)
		lockres_fini(&l->lock);
	*l = (struct play_lock){ 0 };
}

void play_forget_locks(struct conformance_play *play, int node, bool with_fini)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++)
		if (play->locks[i].subject[0] && play->locks[i].node == node)
			forget(&play->locks[i], with_fini);
}

/* The lock of a deed, bound to the resource that it names. NULL: *r says why. */
static struct play_lock *bind(struct conformance_play *play, const struct script_deed *d,
			      int *r)
{
	struct play_lock *l = find_lock(play, d->subject);
	uint8_t name[LOCK_MAX_NAME + 1];
	char prefix[16];
	size_t length;

	snprintf(prefix, sizeof(prefix), "%u/", play->stories);
	length = script_name(d->name, prefix, name);
	if (l && l->lock.name_length == length && !memcmp(l->lock.name, name, length))
		return l;
	if (l)
		forget(l, true);
	l = find_lock(play, "");
	*r = l ? lockres_init(&l->lock, play->nodes[d->node].space, name, length,
			      &play_lock_handlers, l) : -E2BIG;
	if (*r < 0)
		return NULL;
	l->play = play;
	strcpy(l->subject, d->subject);
	l->node = d->node;
	return l;
}

static void put_value(struct conformance_play *play, struct play_lock *l,
		      const struct script_deed *d)
{
	play_fill(play, l->before, d->value[0] ? d->value : "poison");
	memcpy(l->lock.value, l->before, LOCK_MAX_LVB);
}

static void request(struct conformance_play *play, struct play_lock *l,
		    const struct script_deed *d)
{
	uint8_t value[LOCK_MAX_LVB], before[LOCK_MAX_LVB];
	int r;

	memcpy(value, l->lock.value, sizeof(value));
	memcpy(before, l->before, sizeof(before));
	put_value(play, l, d);
	if (d->verb == SCRIPT_LOCK || d->verb == SCRIPT_CONVERT) {
		if (d->waiter)
			l->lock.waiter = d->waiter;
		r = lockres_lock(&l->lock, (enum lock_mode)d->mode, d->flags, d->ns);
	} else {
		r = lockres_unlock(&l->lock, d->flags);
	}
	if (r < 0 || d->verb == SCRIPT_CANCEL) {
		/* What is under way goes on as it was. */
		memcpy(l->lock.value, value, sizeof(value));
		memcpy(l->before, before, sizeof(before));
	}
	if (r < 0) {
		play_note(play, "%s refused %s", d->subject, play_errno(r));
		return;
	}
	if (d->verb == SCRIPT_CANCEL)
		return;
	l->is_awaited = true;
	l->may_be_demoted = d->flags & LOCK_CONVDEADLK;
}

static int lock_deed(struct conformance_play *play, const struct script_deed *d,
		     struct err *err)
{
	struct play_lock *l = find_lock(play, d->subject);
	int r = 0;

	if (!play->nodes[d->node].space)
		return err_set(err, -EINVAL, "node %d is not there", d->node);
	if (d->verb == SCRIPT_LOCK) {
		l = bind(play, d, &r);
		if (!l) {
			play_note(play, "%s refused %s", d->subject, play_errno(r));
			return 0;
		}
	}
	if (!l)
		return err_set(err, -EINVAL, "'%s' was never locked", d->subject);
	if (d->verb == SCRIPT_FREES)
		forget(l, true);
	else if (d->verb == SCRIPT_ASKS)
		play_note_blockers(l, "waits");
	else
		request(play, l, d);
	return 0;
}

/* --- nodes --------------------------------------------------------------------------- */

int play_open(struct conformance_play *play, const struct script_deed *d, struct err *err)
{
	const struct conformance_ground *g = play->ground;
	uint32_t other_size = LOCK_SMALL_LVB + LOCK_LARGE_LVB - g->lvb_bytes;
	const struct lockspace_config config = {
		.name = LOCKSPACE_NAME,
		.name_length = strlen(LOCKSPACE_NAME),
		.lvb_bytes = d->has_other_size ? other_size : g->lvb_bytes,
		.slots = d->slots,
		.wanted_slot = d->slot,
	};
	struct play_node *n = &play->nodes[d->node];

	if (n->space)
		return 0;
	if (n->is_dead)
		g->revive(g->owner, d->node);
	*n = (struct play_node){
		.play = play,
		.node = d->node,
		.is_unproven = n->is_unproven,
		.death = n->death,
		.is_special = d->has_other_size || d->slots || d->slot >= 0,
	};
	return lockspace_open(g->engine(g->owner, d->node), &config, &play_space_handlers,
			      n, &n->space, err);
}

static void look_at_members(struct conformance_play *play, const struct play_node *n)
{
	char text[SCRIPT_MAX_EVENT] = "";

	for (size_t i = 0; i < n->member_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u:%d",
			 n->members[i].node, n->members[i].slot);
	play_note(play, "%d sees%.80s", n->node, text);
}

void play_cut(struct conformance_play *play, struct play_node *n, bool is_cut)
{
	if (n->is_cut == is_cut)
		return;
	n->is_cut = is_cut;
	n->is_special = true;
	n->is_unproven = is_cut;
	n->death = LOCK_DEATH_PROCESS;
	play->ground->cut(play->ground->owner, n->node, is_cut);
}

static void kill_node(struct conformance_play *play, const struct script_deed *d)
{
	const struct conformance_ground *g = play->ground;
	struct play_node *n = &play->nodes[d->node];

	*n = (struct play_node){
		.play = play,
		.node = d->node,
		.is_dead = true,
		.is_unproven = true,
		.death = d->is_node_death ? LOCK_DEATH_NODE : LOCK_DEATH_PROCESS,
	};
	g->kill(g->owner, d->node, n->death);
	play_forget_locks(play, d->node, false);
}

void play_prove(struct conformance_play *play, struct play_node *n)
{
	if (!n->is_unproven)
		return;
	n->is_unproven = false;
	if (play->ground->prove)
		play->ground->prove(play->ground->owner, n->node, n->death);
}

static int node_deed(struct conformance_play *play, const struct script_deed *d,
		     struct err *err)
{
	struct play_node *n = &play->nodes[d->node];

	switch (d->verb) {
	case SCRIPT_OPENS:
		return play_open(play, d, err);
	case SCRIPT_PROVEN:
		play_prove(play, n);
		return 0;
	case SCRIPT_CUT:
	case SCRIPT_BACK:
		play_cut(play, n, d->verb == SCRIPT_CUT);
		return 0;
	default:
		break;
	}
	if (!n->space)
		return err_set(err, -EINVAL, "node %d is not there", d->node);
	switch (d->verb) {
	case SCRIPT_DIES:
		kill_node(play, d);
		return 0;
	case SCRIPT_LOOKS:
		look_at_members(play, n);
		return 0;
	case SCRIPT_CLOSES:
		lockspace_close(n->space);
		return 0;
	case SCRIPT_PURGES:
		return lockspace_purge_orphans(n->space, (uint32_t)d->other, err);
	case SCRIPT_BEGINS:
		lockspace_begin(n->space);
		return 0;
	default:
		lockspace_end(n->space);
		return 0;
	}
}

int play_deed(struct conformance_play *play, const struct script_deed *d, struct err *err)
{
	if (d->verb == SCRIPT_TIME) {
		play->ground->advance(play->ground->owner, d->ns);
		return 0;
	}
	if (d->node > CONFORMANCE_NODES)
		return err_set(err, -EINVAL, "there is no node %d", d->node);
	return d->verb <= SCRIPT_ASKS ? lock_deed(play, d, err) : node_deed(play, d, err);
}
