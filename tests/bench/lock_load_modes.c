/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a node of bench-locks.sh does; lock_load.c says which there are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "tests/bench/lock_load.h"
#include "totem/group.h"

static void check(struct load *load, int r)
{
	if (r < 0)
		load_fail(load, strerror(-r));
}

/* --- a message: the floor -------------------------------------------------------------- */

static void send_message(struct load *load)
{
	static const uint8_t message[64];
	const struct iovec part = { (void *)message, sizeof(message) };

	load->asked_at = clock_boot_ns();
	check(load, group_multicast(load->group, GROUP_AGREED, &part, 1));
}

static void message_came(void *owner, struct group *group,
			 const struct group_member *sender, const void *message,
			 size_t length)
{
	struct load *load = owner;

	(void)group;
	(void)message;
	(void)length;
	if (sender->node != load->self)
		return;
	load_sample(load, load->asked_at);
	load_next(load, send_message);
}

static int join_group(struct load *load, struct err *err)
{
	static const struct group_handlers handlers = { .deliver = message_came };

	return group_join(totem_groups(station_totem(load->station)), "load", 4, &handlers,
			  load, &load->group, err);
}

/* --- locks ----------------------------------------------------------------------------- */

static void ask(struct job *job, enum lock_mode mode, uint32_t flags)
{
	job->asked_at = clock_boot_ns();
	if (mode == LOCK_NONE)
		check(job->load, lockres_unlock(&job->lock, flags));
	else
		check(job->load, lockres_lock(&job->lock, mode, flags, 0));
}

static void add_jobs(struct load *load, const char *stem,
		     const struct lockres_handlers *handlers)
{
	char name[32];

	for (uint32_t i = 0; i < load->resources; i++) {
		struct job *job = &load->jobs[i];
		int n = snprintf(name, sizeof(name), "%s %u", stem, i);

		job->load = load;
		check(load, lockres_init(&job->lock, load->space, name, (size_t)n, handlers,
					 job));
	}
}

static void ask_all(struct load *load, enum lock_mode mode, uint32_t flags)
{
	lockspace_begin(load->space);
	for (uint64_t i = 0; i < load->resources; i++)
		ask(&load->jobs[i], mode, flags);
	lockspace_end(load->space);
}

/* Each node has its own. */
static void add_own_jobs(struct load *load, const struct lockres_handlers *handlers)
{
	char stem[16];

	snprintf(stem, sizeof(stem), "node %u", load->self);
	add_jobs(load, stem, handlers);
}

static bool is_good(struct job *job, const struct lock_result *result)
{
	if (result->status < 0)
		load_fail(job->load, strerror(-result->status));
	return result->status == 0;
}

static void toggle(struct job *job)
{
	ask(job, job->lock.mode == LOCK_NONE ? LOCK_EX : LOCK_NONE, 0);
}

static void flip(struct job *job)
{
	ask(job, job->lock.mode == LOCK_NL ? LOCK_EX : LOCK_NL, LOCK_CONVERT);
}

static void toggle_first(struct load *load)
{
	toggle(&load->jobs[0]);
}

static void flip_first(struct load *load)
{
	flip(&load->jobs[0]);
}

static void lock_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct job *job = owner;

	(void)lock;
	if (!is_good(job, result))
		return;
	load_sample(job->load, job->asked_at);
	load_next(job->load, toggle_first);
}

static void convert_done(void *owner, struct lockres *lock,
			 const struct lock_result *result)
{
	struct job *job = owner;

	(void)lock;
	if (!is_good(job, result))
		return;
	load_sample(job->load, job->asked_at);
	load_next(job->load, flip_first);
}

static void flood_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct job *job = owner;

	(void)lock;
	if (!is_good(job, result))
		return;
	load_sample(job->load, job->asked_at);
	toggle(job);
}

static void flip_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct job *job = owner;

	(void)lock;
	if (!is_good(job, result))
		return;
	load_sample(job->load, job->asked_at);
	flip(job);
}

static void begin_lock(struct load *load)
{
	static const struct lockres_handlers handlers = { .done = lock_done };

	add_own_jobs(load, &handlers);
	toggle_first(load);
}

static void begin_convert(struct load *load)
{
	static const struct lockres_handlers handlers = { .done = convert_done };

	add_own_jobs(load, &handlers);
	ask_all(load, LOCK_NL, 0);
}

static void begin_flood(struct load *load)
{
	static const struct lockres_handlers handlers = { .done = flood_done };

	add_own_jobs(load, &handlers);
	ask_all(load, LOCK_EX, 0);
}

static void begin_flip(struct load *load)
{
	static const struct lockres_handlers handlers = { .done = flip_done };

	add_own_jobs(load, &handlers);
	ask_all(load, LOCK_NL, 0);
}

/* --- one that two want ----------------------------------------------------------------- */

/* Given up as soon as the other one waits; and wanted again. */
static void pass_on(struct job *job)
{
	if (!job->is_wanted || job->lock.is_pending || job->lock.mode != LOCK_EX)
		return;
	job->is_wanted = false;
	check(job->load, lockres_lock(&job->lock, LOCK_NL, LOCK_CONVERT, 0));
}

static void pass_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct job *job = owner;

	if (!is_good(job, result))
		return;
	if (lock->mode == LOCK_NL) {
		ask(job, LOCK_EX, LOCK_CONVERT);
		return;
	}
	load_sample(job->load, job->asked_at);
	pass_on(job);
}

static void pass_blocked(void *owner, struct lockres *lock, enum lock_mode wanted)
{
	struct job *job = owner;

	(void)lock;
	(void)wanted;
	job->is_wanted = true;
	pass_on(job);
}

static void begin_pass(struct load *load)
{
	static const struct lockres_handlers handlers = {
		.done = pass_done, .blocked = pass_blocked,
	};

	add_jobs(load, "one for all", &handlers);
	ask_all(load, LOCK_NL, 0);
}

/* --- many that are held ---------------------------------------------------------------- */

static void hold_done(void *owner, struct lockres *lock, const struct lock_result *result)
{
	struct job *job = owner;

	if (!is_good(job, result))
		return;
	if (lock->mode == LOCK_EX) {
		memcpy(lock->value, lock->name, lock->name_length);
		ask(job, LOCK_PR, LOCK_CONVERT | LOCK_VALBLK);
		return;
	}
	job->load->events++;
	if (job->load->events == job->load->resources)
		load_tell("held", (double)job->load->resources);
}

static void begin_hold(struct load *load)
{
	static const struct lockres_handlers handlers = { .done = hold_done };

	load->seconds = 0;
	add_own_jobs(load, &handlers);
	ask_all(load, LOCK_EX, 0);
}

static const struct load_mode modes[] = {
	{ .name = "message", .open = join_group, .begin = send_message },
	{ .name = "lock", .begin = begin_lock },
	{ .name = "convert", .begin = begin_convert },
	{ .name = "pass", .begin = begin_pass },
	{ .name = "flood", .begin = begin_flood },
	{ .name = "flip", .begin = begin_flip },
	{ .name = "hold", .begin = begin_hold },
	{ .name = "listen" },
	{ .name = NULL },
};

static const struct load_mode *find(const struct load_mode *in, const char *name)
{
	while (in->name && strcmp(in->name, name) != 0)
		in++;
	return in->name ? in : NULL;
}

const struct load_mode *load_mode_named(const char *name)
{
	const struct load_mode *mode = find(modes, name);

	return mode ? mode : find(load_modes_of_messages, name);
}
