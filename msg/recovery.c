/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is owed after a death (H7, D7): a dead node may have written the superblocks, and
 * have told nobody, or some. Each member wants TOKEN then; the first one that gets it
 * asks its owner, and speaks; the others hear that, and want it no more. So nothing
 * is said before, whoever waited for TOKEN, and the death of the one who does it is one
 * more death. The message names the generation of the recovery that it is for, else one
 * that was on its way would count for a later death. What is given up is tried again, but
 * others, and one message of this node's own, have a turn before.
 */
#include "msg/channel_private.h"

#include <errno.h>

void msg_channel_recover_slot(struct msg_channel *ch, uint32_t node, int slot)
{
	(void)node;
	(void)slot;
	if (!ch->ops.recover || ch->sender.state == SENDER_NEW)
		return;
	ch->sender.is_owed = true;
	ch->sender.is_owed_since_known = false;
}

void recovery_changed(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;

	if (s->is_owed && !s->is_owed_since_known) {
		s->is_owed_since_known = true;
		s->owed_since = ch->generation;
	}
	s->is_declined = false;
}

bool recovery_is_wanted(const struct msg_channel *ch)
{
	return ch->sender.is_owed && !ch->sender.is_declined;
}

void recovery_ask(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;

	s->is_asking = true;
	s->is_put_off = false;
	s->recovery = (struct msg_send){
		.message = { .type = MSG_METADATA_UPDATED, .generation = ch->generation },
	};
	ch->ops.recover(ch->owner);
}

void msg_recovered(struct msg_channel *ch, uint32_t disk)
{
	struct msg_sender *s = &ch->sender;

	if (!s->is_asking || s->state == SENDER_STOPPED)
		return;
	s->is_asking = false;
	s->is_answered = true;
	s->recovery.message.disk = disk;
	sender_go(ch);
}

void msg_not_recovered(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;

	if (!s->is_asking || s->state == SENDER_STOPPED)
		return;
	s->is_asking = false;
	s->is_declined = true;
	sender_release(ch);
}

void msg_can_recover(struct msg_channel *ch)
{
	ch->sender.is_declined = false;
	sender_go(ch);
}

/* Is what was said for this generation for all that is owed? */
static bool is_for_all(const struct msg_sender *s, uint32_t generation)
{
	return s->is_owed_since_known &&
	       msg_sequence_lead(generation, s->owed_since) >= 0;
}

void recovery_is_over(struct msg_channel *ch, int status)
{
	struct msg_sender *s = &ch->sender;

	s->is_answered = false;
	if (status != 0 && status != -EREMOTEIO) {
		s->is_put_off = true;
		return;
	}
	ch->stats.recovered++;
	if (is_for_all(s, s->recovery.message.generation))
		s->is_owed = false;
}

void recovery_heard(struct msg_channel *ch, const struct msg *m)
{
	struct msg_sender *s = &ch->sender;

	if (m->type != MSG_METADATA_UPDATED || m->generation == 0 || !s->is_owed ||
	    !is_for_all(s, m->generation))
		return;
	s->is_owed = false;
	sender_reconsider(ch);
}
