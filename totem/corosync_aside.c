/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One word to all links of a cluster, by a process that is in no group: an obituary. All of it
 * is an errand, so that it ends in time, whatever corosync does.
 */
#include "totem/corosync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "totem/corosync_private.h"

enum { WORD_BYTES = 256, FAREWELL_MS = 250 };

struct voice {
	struct errand errand;
	struct cpg_name name;
	cpg_handle_t handle;
	uint64_t until;
	cs_error_t error;
	uint8_t bytes[WORD_BYTES];
	size_t length;
	uint32_t node, pid;
	bool is_in, is_heard;
	int others; /* processes on other nodes; of one daemon each */
};

static void voice_message(cpg_handle_t handle, const struct cpg_name *name, uint32_t node,
			  uint32_t pid, void *bytes, size_t length)
{
	void *context = NULL;
	struct voice *v;

	(void)name;
	(void)cpg_context_get(handle, &context);
	v = context;
	if (v && node == v->node && pid == v->pid && length == v->length &&
	    memcmp(bytes, v->bytes, length) == 0)
		v->is_heard = true;
}

static void voice_change(cpg_handle_t handle, const struct cpg_name *name,
			 const struct cpg_address *members, size_t member_count,
			 const struct cpg_address *left, size_t left_count,
			 const struct cpg_address *joined, size_t joined_count)
{
	void *context = NULL;
	struct voice *v;

	(void)name;
	(void)left;
	(void)left_count;
	(void)joined;
	(void)joined_count;
	(void)cpg_context_get(handle, &context);
	v = context;
	if (!v)
		return;
	v->others = 0;
	for (size_t i = 0; i < member_count; i++) {
		v->others += members[i].nodeid != v->node;
		if (members[i].nodeid == v->node && members[i].pid == v->pid)
			v->is_in = true;
	}
}

static uint64_t ms_until(uint64_t until)
{
	uint64_t now = clock_boot_ns();

	return until > now ? (until - now) / NS_PER_MS : 0;
}

/* Dispatches until it has come about, or time is over. */
static cs_error_t wait_for(cpg_handle_t handle, int fd, const bool *what, uint64_t until)
{
	cs_error_t e = CS_OK;

	while (!*what && ms_until(until) > 0 && (e == CS_OK || e == CS_ERR_TRY_AGAIN)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		(void)poll(&p, 1, (int)ms_until(until));
		e = cpg_dispatch(handle, CS_DISPATCH_ALL);
	}
	if (*what)
		return CS_OK;
	return e == CS_OK ? CS_ERR_TIMEOUT : e;
}

static cs_error_t join_and_say(struct voice *v)
{
	struct iovec part = { v->bytes, v->length };
	cs_error_t e;
	int fd;

	e = cpg_local_get(v->handle, &v->node);
	if (e == CS_OK)
		e = cpg_fd_get(v->handle, &fd);
	if (e != CS_OK)
		return e;
	while ((e = cpg_join(v->handle, &v->name)) == CS_ERR_TRY_AGAIN && ms_until(v->until) > 0)
		(void)poll(NULL, 0, 10);
	if (e == CS_OK)
		e = wait_for(v->handle, fd, &v->is_in, v->until);
	if (e != CS_OK)
		return e;
	while ((e = cpg_mcast_joined(v->handle, CPG_TYPE_AGREED, &part, 1)) ==
		       CS_ERR_TRY_AGAIN &&
	       ms_until(v->until) > 0)
		(void)poll(NULL, 0, 10);
	return e == CS_OK ? wait_for(v->handle, fd, &v->is_heard, v->until) : e;
}

static void speak(struct errand *errand)
{
	struct voice *v = (struct voice *)errand;
	cpg_model_v1_data_t model = { .model = CPG_MODEL_V1, .cpg_deliver_fn = voice_message,
				      .cpg_confchg_fn = voice_change };

	v->error = cpg_model_initialize(&v->handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, v);
	if (v->error != CS_OK)
		return;
	v->error = join_and_say(v);
	(void)cpg_finalize(v->handle);
}

static void fall_silent(struct errand *errand)
{
	free(errand);
}

int corosync_say_aside(const char *cluster, const void *bytes, size_t length,
		       uint32_t limit_ms, struct err *err)
{
	static const char what[] = "an obituary";
	struct voice *v;
	int r;

	if (length > WORD_BYTES)
		return err_set(err, -EMSGSIZE, "%s: is longer than %d bytes", what, WORD_BYTES);
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_nomem(err, what);
	v->errand.work = speak;
	v->errand.drop = fall_silent;
	v->until = clock_boot_ns() + limit_ms * NS_PER_MS;
	v->length = length;
	v->pid = (uint32_t)getpid();
	memcpy(v->bytes, bytes, length);
	corosync_name_group(&v->name, "mdclusterd-aside:", cluster);
	if (corosync_wait(&v->errand, limit_ms + FAREWELL_MS, what, err) < 0)
		return err->code;
	r = v->error == CS_OK ? v->others : corosync_refusal((int)v->error, what, err);
	free(v);
	return r;
}
