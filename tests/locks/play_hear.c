/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What comes, in the words of the script; and what must hold whatever the story is:
 * a completion was awaited (L2), nothing is granted between recover_prep() and
 * recover_done(), generations grow and all see the same slots (L5), which stay (L6).
 */
#include "tests/locks/play.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void play_note(struct conformance_play *play, const char *fmt, ...)
{
	va_list ap;

	if (play->came_count == PLAY_MAX_CAME) {
		err_set(&play->broken, -E2BIG, "more came than any line may expect");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(play->came[play->came_count++].text, SCRIPT_MAX_EVENT, fmt, ap);
	va_end(ap);
}

/* --- values -------------------------------------------------------------------------- */

void play_fill(const struct conformance_play *play, uint8_t to[LOCK_MAX_LVB],
	       const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i < play->ground->lvb_bytes; i++) {
		size_t at = i % (length + 1);

		to[i] = at < length ? (uint8_t)word[at] : '.';
	}
}

/* Its word; "zeros", as long as nobody stored one; "?": it is nobody's. */
static void read_value(const struct conformance_play *play, const uint8_t *value,
		       char word[SCRIPT_MAX_WORD])
{
	uint8_t whole[LOCK_MAX_LVB];
	static const uint8_t zeros[LOCK_MAX_LVB];
	size_t length = 0;

	if (memcmp(value, zeros, play->ground->lvb_bytes) == 0) {
		strcpy(word, "zeros");
		return;
	}
	while (length < SCRIPT_MAX_WORD - 1 && value[length] != '.')
		length++;
	memcpy(word, value, length);
	word[length] = '\0';
	play_fill(play, whole, word);
	if (memcmp(whole, value, play->ground->lvb_bytes) != 0)
		strcpy(word, "?");
}

/* --- locks --------------------------------------------------------------------------- */

static const char *status_word(const struct lock_result *result)
{
	switch (result->status) {
	case 0: return result->mode == LOCK_NONE ? "unlocked" : "granted";
	case -EAGAIN: return "again";
	case -EDEADLK: return "deadlock";
	case -ECANCELED: return "cancelled";
	case -ETIMEDOUT: return "late";
	case -ENOENT: return "none";
	case -ESTALE: return "stale";
	case -ENOSPC: return "full";
	default: return "unheard-of";
	}
}

/* Who excludes what was last asked for. */
void play_note_blockers(struct play_lock *l, const char *verb)
{
	uint32_t nodes[CONFORMANCE_NODES];
	size_t count = lockres_blockers(&l->lock, nodes, CONFORMANCE_NODES);
	char text[SCRIPT_MAX_EVENT] = "nobody";

	if (count)
		text[0] = '\0';
	for (size_t i = 0; i < count && i < CONFORMANCE_NODES; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u",
			 i ? " " : "", nodes[i]);
	play_note(l->play, "%s %s for %.40s", l->subject, verb, text);
}

static void on_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct play_lock *l = owner;
	struct conformance_play *play = l->play;
	char value[SCRIPT_MAX_WORD + 8] = "";

	if (!l->is_awaited)
		err_set(&play->broken, -EPROTO, "L2: %s was completed twice", l->subject);
	if (lock->mode != result->mode || lock->is_pending)
		err_set(&play->broken, -EPROTO, "%s: the lock says other than its result",
			l->subject);
	if (play->nodes[l->node].is_frozen && result->status == 0 &&
	    result->mode != LOCK_NONE)
		err_set(&play->broken, -EPROTO, "L5: %s was granted before recover_done()",
			l->subject);
	l->is_awaited = false;
	l->may_be_demoted = false;
	if (memcmp(lock->value, l->before, play->ground->lvb_bytes) != 0) {
		strcpy(value, " value=");
		read_value(play, lock->value, value + strlen(value));
	}
	play_note(play, "%s %s%s%s%s%s%s%s", l->subject, status_word(result),
		  result->mode == LOCK_NONE ? "" : " ",
		  result->mode == LOCK_NONE ? "" : lock_mode_name(result->mode),
		  result->marks & LOCK_DEMOTED ? " demoted" : "",
		  result->marks & LOCK_VALNOTVALID ? " invalid" : "",
		  result->marks & LOCK_ALTMODE ? " altmode" : "", value);
	if (result->status == -ETIMEDOUT)
		play_note_blockers(l, "waited");
}

static void on_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct play_lock *l = owner;

	if (spec_compatible(lock->mode, wanted))
		err_set(&l->play->broken, -EPROTO, "L4: %s is not in the way of %s",
			l->subject, lock_mode_name(wanted));
	play_note(l->play, "%s blocked %s", l->subject, lock_mode_name(wanted));
}

const struct lockres_handlers play_lock_handlers = {
	.done = on_done,
	.blocked = on_blocked,
};

/* --- members ------------------------------------------------------------------------- */

static void on_prep(void *owner, struct lockspace *space)
{
	struct play_node *n = owner;

	(void)space;
	n->is_frozen = true;
	play_note(n->play, "@%d prep", n->node);
}

static void on_slot(void *owner, struct lockspace *space, uint32_t node, int slot)
{
	struct play_node *n = owner;
	bool is_known = false;

	(void)space;
	for (size_t i = 0; i < n->member_count; i++)
		is_known |= n->members[i].node == node && n->members[i].slot == slot;
	if (!is_known)
		err_set(&n->play->broken, -EPROTO,
			"L5: node %d hears that node %" PRIu32 " died in slot %d, which "
			"was not its", n->node, node, slot);
	play_note(n->play, "@%d slot %" PRIu32, n->node, node);
}

static bool is_same(const struct lockspace_member *a, const struct lockspace_member *b,
		    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a[i].node != b[i].node || a[i].slot != b[i].slot)
			return false;
	return true;
}

static void check_slots(struct play_node *n, const struct lockspace_member *members,
			size_t count, int our_slot, uint32_t generation)
{
	struct err *broken = &n->play->broken;
	bool is_here = false;

	if (n->is_in && (generation < n->generation ||
			 (generation == n->generation &&
			  (count != n->member_count ||
			   !is_same(members, n->members, count)))))
		err_set(broken, -EPROTO, "L5: node %d: the generation does not grow",
			n->node);
	for (size_t i = 0; i < count; i++) {
		is_here |= members[i].node == (uint32_t)n->node &&
			   members[i].slot == our_slot;
		if (i > 0 && members[i].slot <= members[i - 1].slot)
			err_set(broken, -EPROTO, "L6: node %d: slots are not ascending",
				n->node);
		for (size_t j = 0; j < n->member_count; j++)
			if (n->members[j].node == members[i].node &&
			    n->members[j].slot != members[i].slot)
				err_set(broken, -EPROTO, "L6: node %" PRIu32 " has another "
					"slot than before", members[i].node);
	}
	if (!is_here)
		err_set(broken, -EPROTO, "L6: node %d is not in its slot", n->node);
	for (int i = 1; i <= CONFORMANCE_NODES; i++) {
		const struct play_node *other = &n->play->nodes[i];

		if (other != n && other->is_in && other->generation == generation &&
		    (other->member_count != count ||
		     !is_same(other->members, members, count)))
			err_set(broken, -EPROTO, "L5: nodes %d and %d see other slots in generation %u",
				n->node, other->node, generation);
	}
}

static void on_recovered(void *owner, struct lockspace *space,
			 const struct lockspace_member *members, size_t count,
			 int our_slot, uint32_t generation)
{
	struct play_node *n = owner;

	(void)space;
	check_slots(n, members, count, our_slot, generation);
	n->is_in = true;
	n->is_frozen = false;
	n->generation = generation;
	n->member_count = count;
	memcpy(n->members, members, count * sizeof(*members));
	play_note(n->play, "@%d on", n->node);
}

const char *play_errno(int r)
{
	switch (r) {
	case -EINVAL: return "EINVAL";
	case -EBUSY: return "EBUSY";
	case -ESHUTDOWN: return "ESHUTDOWN";
	case -ENOSPC: return "ENOSPC";
	case -EBADR: return "EBADR";
	case -ESTALE: return "ESTALE";
	default: return strerror(-r);
	}
}

/* L2: requests are over first; and nothing is held. */
static void check_lost(struct conformance_play *play, int node)
{
	for (size_t i = 0; i < PLAY_MAX_LOCKS; i++) {
		const struct play_lock *l = &play->locks[i];

		if (l->subject[0] && l->node == node &&
		    (l->is_awaited || l->lock.mode != LOCK_NONE))
			err_set(&play->broken, -EPROTO, "L2: node %d has lost the lockspace, "
				"and %s hopes", node, l->subject);
	}
}

static void on_lost(void *owner, struct lockspace *space, const struct err *why)
{
	struct play_node *n = owner;

	(void)space;
	n->is_lost = true;
	check_lost(n->play, n->node);
	if (!n->is_special)
		err_set(&n->play->broken, why->code, "node %d has lost the lockspace: it %s",
			n->node, why->text);
	play_note(n->play, "@%d lost %s", n->node, play_errno(why->code));
}

static void on_closed(void *owner)
{
	struct play_node *n = owner;

	play_note(n->play, "@%d closed", n->node);
	play_forget_locks(n->play, n->node, true);
	*n = (struct play_node){ .play = n->play, .node = n->node };
}

const struct lockspace_handlers play_space_handlers = {
	.recover_prep = on_prep,
	.recover_slot = on_slot,
	.recover_done = on_recovered,
	.lost = on_lost,
	.closed = on_closed,
};
