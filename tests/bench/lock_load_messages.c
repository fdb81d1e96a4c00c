/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to all members, as md-cluster's: one node sends, the others hear. */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "tests/bench/lock_load.h"

/* --- the channel ----------------------------------------------------------------------- */

static void handle(void *owner, const struct msg *m)
{
	struct load *load = owner;

	(void)m;
	load->events++;
	msg_handled(load->channel, MSG_ACCEPTED, NULL);
}

static void recover(void *owner)
{
	msg_recovered(((struct load *)owner)->channel, 0);
}

static void missed(void *owner, uint32_t count)
{
	(void)count;
	load_fail(owner, "messages went by unheard");
}

static void broken(void *owner, const struct err *why)
{
	load_fail(owner, why->text);
}

static int open_channel(struct load *load, struct err *err)
{
	static const struct msg_channel_config config;
	static const struct msg_channel_ops ops = {
		.handle = handle, .recover = recover, .missed = missed, .broken = broken,
	};

	load->channel = msg_channel_new(load->space, &config, &ops, load, err);
	return load->channel ? 0 : err->code;
}

static void close_channel(struct load *load)
{
	msg_channel_free(load->channel);
}

static void members_are(struct load *load, const struct lockspace_member *members,
			size_t count, int our_slot, uint32_t generation)
{
	msg_channel_recover_done(load->channel, members, count, our_slot, generation);
}

/* --- sending --------------------------------------------------------------------------- */

static void send_one(struct job *job)
{
	struct err err = ERR_INIT;

	job->asked_at = clock_boot_ns();
	if (msg_send(job->load->channel, &job->send, &err) < 0)
		load_fail(job->load, err.text);
}

static void send_first(struct load *load)
{
	send_one(&load->jobs[0]);
}

static void send_done(void *owner, struct msg_send *send, const struct msg_result *result)
{
	struct job *job = owner;

	(void)send;
	if (result->status < 0) {
		load_fail(job->load, result->why.text);
		return;
	}
	load_sample(job->load, job->asked_at);
	if (job->load->resources == 1)
		load_next(job->load, send_first);
	else
		send_one(job);
}

static void begin_send(struct load *load)
{
	for (uint64_t i = 0; i < load->resources; i++) {
		struct job *job = &load->jobs[i];

		job->load = load;
		job->send.message = (struct msg){ .type = MSG_METADATA_UPDATED };
		job->send.done = send_done;
		job->send.owner = job;
		send_one(job);
	}
}

const struct load_mode load_modes_of_messages[] = {
	{ .name = "send", .open = open_channel, .begin = begin_send,
	  .members = members_are, .close = close_channel },
	{ .name = "hear", .open = open_channel, .members = members_are,
	  .close = close_channel },
	{ .name = NULL },
};
