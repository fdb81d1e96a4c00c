/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a channel was asked to say: sends and compounds in their order, and how they end.
 * None of the calls here makes a callback: what ends, ends in an event of the sender
 * (H4). For that reason a compound's end only gives TOKEN back; the rest follows.
 */
#include "msg/channel_private.h"

#include <errno.h>

#include "base/arith.h"

struct msg_job *job_first(const struct qb_list_head *jobs)
{
	return qb_list_empty(jobs) ? NULL :
				     qb_list_first_entry(jobs, struct msg_job, link);
}

struct msg_compound *job_compound(const struct msg_channel *ch)
{
	struct msg_job *job = job_first(&ch->sender.jobs);
	struct msg_compound *c;

	if (!job || !job->is_compound)
		return NULL;
	c = container_of(job, struct msg_compound, job);
	return c->is_begun ? c : NULL;
}

static void job_add(struct msg_channel *ch, struct qb_list_head *jobs, struct msg_job *job,
		    bool is_compound)
{
	*job = (struct msg_job){ .is_compound = is_compound };
	qb_list_add_tail(&job->link, jobs);
	ch->sender.job_count++;
}

void job_remove(struct msg_channel *ch, struct msg_job *job)
{
	qb_list_del(&job->link);
	ch->sender.job_count--;
}

void job_done(struct msg_channel *ch, struct msg_send *send, const struct msg_result *r)
{
	switch (r->status) {
	case 0:
		ch->stats.sent++;
		break;
	case -EREMOTEIO:
		ch->stats.refused++;
		break;
	case -ETIMEDOUT:
		ch->stats.timed_out++;
		break;
	case -ECANCELED:
		ch->stats.cancelled++;
		break;
	default:
		break;
	}
	send->done(send->owner, send, r);
}

void job_fail_first(struct msg_channel *ch, const struct msg_result *r)
{
	struct msg_job *job = job_first(&ch->sender.jobs);
	struct msg_compound *c;

	if (!job)
		return;
	job_remove(ch, job);
	if (!job->is_compound) {
		job_done(ch, container_of(job, struct msg_send, job), r);
		return;
	}
	c = container_of(job, struct msg_compound, job);
	c->begun(c->owner, c, r);
}

void job_end_compound(struct msg_channel *ch, struct msg_compound *c, int status)
{
	struct msg_result r = { .status = status ? status : -ECANCELED };
	struct msg_job *job;

	err_set(&r.why, r.status, status ? "the lockspace is lost" :
					   "cancelled with its compound");
	while ((job = job_first(&c->sends))) {
		job_remove(ch, job);
		job_done(ch, container_of(job, struct msg_send, job), &r);
	}
	c->ended(c->owner, c, status);
}

/* --- asked for ----------------------------------------------------------------------- */

static int refusal(const struct msg_channel *ch, struct err *err)
{
	if (ch->sender.state == SENDER_STOPPED)
		return err_set(err, -ESHUTDOWN, "messages: this node is out of the lockspace");
	/* 3.4, iv: its sender has TOKEN, and waits for this very handler */
	if (ch->receiver.state == RECEIVER_HANDLE && ch->token.mode != LOCK_EX)
		return err_set(err, -EDEADLK,
			       "messages: a handler cannot take token: %s of slot %u is not "
			       "handled yet, and its sender waits for that",
			       msg_type_name(ch->receiver.m.type), ch->receiver.m.slot);
	return 0;
}

static int check_message(const struct msg_send *send, struct err *err)
{
	struct msg m = send->message;
	enum msg_fault fault;

	m.slot = 0;
	fault = msg_check(&m);
	if (fault == MSG_SOUND && m.generation == 0)
		return 0;
	return err_set(err, -EINVAL, "messages: %s to be sent %s", msg_type_name(m.type),
		       msg_fault_text(fault == MSG_SOUND ? MSG_BAD_FIELD : fault));
}

int msg_send(struct msg_channel *ch, struct msg_send *send, struct err *err)
{
	int r = refusal(ch, err);

	if (r == 0)
		r = check_message(send, err);
	if (r < 0)
		return r;
	job_add(ch, &ch->sender.jobs, &send->job, false);
	sender_go(ch);
	return 0;
}

int msg_cancel(struct msg_channel *ch, struct msg_send *send)
{
	struct msg_sender *s = &ch->sender;

	if (send != s->current) {
		job_remove(ch, &send->job);
		sender_reconsider(ch);
		return 0;
	}
	if (send->job.is_cancelled)
		return -EINPROGRESS;
	send->job.is_cancelled = true;
	if (s->state == SENDER_MESSAGE)
		(void)lockres_unlock(&ch->message, LOCK_CANCEL);
	else if (s->state == SENDER_ACK)
		(void)lockres_unlock(&ch->ack, LOCK_CANCEL);
	return -EINPROGRESS;
}

int msg_compound_begin(struct msg_channel *ch, struct msg_compound *c, struct err *err)
{
	int r = refusal(ch, err);

	if (r < 0)
		return r;
	c->is_begun = c->is_over = false;
	qb_list_init(&c->sends);
	job_add(ch, &ch->sender.jobs, &c->job, true);
	sender_go(ch);
	return 0;
}

int msg_compound_send(struct msg_channel *ch, struct msg_compound *c,
		      struct msg_send *send, struct err *err)
{
	int r;

	if (ch->sender.state == SENDER_STOPPED)
		return refusal(ch, err);
	if (!c->is_begun || c->is_over)
		return err_set(err, -EINVAL, "messages: a compound that %s",
			       c->is_over ? "is over" : "has not begun");
	r = check_message(send, err);
	if (r < 0)
		return r;
	job_add(ch, &c->sends, &send->job, false);
	sender_go(ch);
	return 0;
}

/* TOKEN waits for nothing but its compound; not for what is owed after a death either. */
static bool is_resting(const struct msg_channel *ch, const struct msg_compound *c)
{
	return ch->sender.state == SENDER_HOLD && c->is_over && !ch->sender.is_asking &&
	       !ch->sender.is_answered &&
	       (qb_list_empty(&c->sends) || c->job.is_cancelled);
}

void msg_compound_end(struct msg_channel *ch, struct msg_compound *c)
{
	if (!c->is_begun)
		return;
	c->is_over = true;
	if (is_resting(ch, c))
		sender_release(ch);
}

int msg_compound_cancel(struct msg_channel *ch, struct msg_compound *c)
{
	struct msg_send *current = ch->sender.current;

	if (!c->is_begun) {
		job_remove(ch, &c->job);
		sender_reconsider(ch);
		return 0;
	}
	c->is_over = true;
	c->job.is_cancelled = true;
	if (current && &current->job == job_first(&c->sends))
		(void)msg_cancel(ch, current);
	else if (is_resting(ch, c))
		sender_release(ch);
	return -EINPROGRESS;
}

/* --- the end ------------------------------------------------------------------------- */

void msg_channel_lost(struct msg_channel *ch)
{
	struct msg_sender *s = &ch->sender;
	struct msg_result r = { .status = -ESTALE };
	struct msg_compound *c;
	struct msg_send *current = s->current;

	sender_stop(ch);
	err_set(&r.why, -ESTALE, "the lockspace is lost");
	s->current = NULL;
	if (current && current != &s->recovery) {
		r.sequence = s->result.sequence;
		job_remove(ch, &current->job);
		job_done(ch, current, &r);
		r.sequence = 0;
	}
	while (!qb_list_empty(&s->jobs)) {
		c = job_compound(ch);
		if (!c) {
			job_fail_first(ch, &r);
			continue;
		}
		job_remove(ch, &c->job);
		job_end_compound(ch, c, -ESTALE);
	}
}
