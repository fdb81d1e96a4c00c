/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: what daemons say to each other about their kernels, on a group that a played
 * engine serves.
 *
 *	input:  steps, each a byte: what (modulo STEPS), and what that takes
 *		DELIVER   sender u8, length u8, that many bytes
 *		OWN       the oldest message that was sent, to its sender
 *		CHANGE    members u8 (a bit a node), those that left u8
 *		ASK, FORGET, EXPIRE, LOOKED (hold u8, length u8, text), TELL
 *		CREDIT    messages u8 that may be sent from now on
 *
 * What must hold, for every input:
 *	F1  a query ends once, with 0 only if all that were in the group when it was delivered
 *	    have answered or are gone, and with a sentence of one line otherwise
 *	F2  what is sent is no longer than a message may be, and is taken by who hears it
 *	F3  nothing outside of a message is read (ASan)
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "mdclusterd/daemon/kernel_ask.h"
#include "tests/fuzz/expect.h"
#include "totem/group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, NODES = 8, SENT = 64, SENT_BYTES = 256, ASKED = 4 };
enum step { DELIVER, OWN, CHANGE, ASK, FORGET, EXPIRE, LOOKED, TELL, CREDIT, STEPS };

struct scene {
	struct group_engine engine;
	struct group group;
	const struct group_handlers *handlers;
	void *owner;
	struct { size_t length; uint8_t bytes[SENT_BYTES]; } sent[SENT];
	size_t sent_count, credit;
	struct kernel_ask *k;
	struct kernel_query queries[ASKED];
	bool is_open[ASKED];
	struct kernel_ask_look look; /* the last */
	bool has_look;
	const uint8_t *at, *end;
};

static struct scene *scene; /* of this input */

static uint8_t next(void)
{
	return scene->at < scene->end ? *scene->at++ : 0;
}

/* --- the group ------------------------------------------------------------------------------ */

static int join(struct group_engine *engine, const char *name, size_t name_length,
		const struct group_handlers *handlers, void *owner, struct group **group,
		struct err *err)
{
	(void)name;
	(void)name_length;
	(void)err;
	scene->handlers = handlers;
	scene->owner = owner;
	scene->group = (struct group){ .engine = engine, .handle = 1 };
	*group = &scene->group;
	return 0;
}

static int multicast(struct group *group, enum group_order order, const struct iovec *parts,
		     int count)
{
	(void)group;
	(void)order;
	EXPECT(count == 1 && parts->iov_len > 0 && parts->iov_len <= SENT_BYTES); /* F2 */
	if (scene->credit == 0 || scene->sent_count == SENT)
		return -EAGAIN;
	scene->credit--;
	scene->sent[scene->sent_count].length = parts->iov_len;
	memcpy(scene->sent[scene->sent_count++].bytes, parts->iov_base, parts->iov_len);
	return 0;
}

static size_t credit(const struct group_engine *engine)
{
	(void)engine;
	return scene->credit * SENT_BYTES;
}

static void go(struct group *group)
{
	(void)group;
}

static const struct group_engine_ops engine_ops = { join, multicast, credit, go, go };

/* A copy that ends where it ends: F3. */
static void deliver(uint32_t node, const uint8_t *bytes, size_t length)
{
	const struct group_member by = { .node = node, .handle = 1 };
	uint8_t *copy = malloc(length ? length : 1);

	EXPECT(copy != NULL);
	if (length)
		memcpy(copy, bytes, length);
	scene->handlers->deliver(scene->owner, &scene->group, &by, copy, length);
	free(copy);
}

static void deliver_own(void)
{
	if (scene->sent_count == 0)
		return;
	deliver(SELF, scene->sent[0].bytes, scene->sent[0].length);
	scene->sent_count--;
	memmove(&scene->sent[0], &scene->sent[1], scene->sent_count * sizeof(scene->sent[0]));
}

static size_t members(uint8_t bits, struct group_member *to)
{
	size_t count = 0;

	for (uint32_t node = 1; node <= NODES; node++)
		if (bits >> (node - 1) & 1)
			to[count++] = (struct group_member){ .node = node, .handle = 1 };
	return count;
}

static void change(void)
{
	struct group_member in[NODES], left[NODES];
	struct group_change c = { .members = in, .left = left, .joined = in };

	c.member_count = c.joined_count = members(next() | SELF, in);
	c.left_count = members(next() & ~SELF, left);
	scene->handlers->changed(scene->owner, &scene->group, &c);
}

/* --- its owner ------------------------------------------------------------------------------- */

static void op_look(void *owner, const struct kernel_ask_look *look)
{
	(void)owner;
	scene->look = *look;
	scene->has_look = true;
}

static const char *op_node_name(void *owner, uint32_t node)
{
	static const char *const names[] = { "?", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8" };

	(void)owner;
	return names[node <= NODES ? node : 0];
}

static void op_look_again(void *owner)
{
	(void)owner;
}

static const struct kernel_ask_ops ops = { op_look, op_node_name, op_look_again };

static void done(void *owner, struct kernel_query *q, int result)
{
	bool *is_open = owner;

	EXPECT(*is_open); /* F1 */
	*is_open = false;
	EXPECT(result == 0 || result == -EBUSY || result == -ETIMEDOUT);
	EXPECT(result == q->err.code);
	if (result == 0)
		EXPECT(q->is_asked && q->awaited_count == 0);
	for (const char *at = q->err.text; *at; at++)
		EXPECT(!iscntrl((unsigned char)*at));
	EXPECT(!q->is_run || result == -EBUSY);
}

static int find(bool is_open)
{
	for (int i = 0; i < ASKED; i++)
		if (scene->is_open[i] == is_open)
			return i;
	return -1;
}

static void ask(void)
{
	int i = find(false);

	if (i < 0)
		return;
	scene->is_open[i] = true;
	scene->queries[i] = (struct kernel_query){ .done = done, .owner = &scene->is_open[i] };
	kernel_ask(scene->k, &scene->queries[i]);
}

static void forget_or_expire(enum step step)
{
	int i = find(true);

	if (i < 0)
		return;
	if (step == EXPIRE) {
		kernel_ask_expire(scene->k, &scene->queries[i]);
		EXPECT(!scene->is_open[i]);
	} else {
		kernel_ask_forget(&scene->queries[i]);
		scene->is_open[i] = false;
	}
}

static void looked(void)
{
	char how[256] = "";
	enum kernel_hold hold = next() % (KERNEL_RUNS_IT + 1);
	size_t length = next();

	for (size_t i = 0; i < length; i++)
		how[i] = (char)next();
	if (scene->has_look)
		kernel_ask_looked(scene->k, &scene->look, hold, how);
}

static void foreign(void)
{
	uint32_t node = next() % NODES + 1;
	size_t length = next();

	if (length > (size_t)(scene->end - scene->at))
		length = (size_t)(scene->end - scene->at);
	deliver(node, scene->at, length);
	scene->at += length;
}

static void step(enum step step)
{
	switch (step) {
	case DELIVER:
		foreign();
		break;
	case OWN:
		deliver_own();
		break;
	case CHANGE:
		change();
		break;
	case ASK:
		ask();
		break;
	case FORGET:
	case EXPIRE:
		forget_or_expire(step);
		break;
	case LOOKED:
		looked();
		break;
	case TELL:
		kernel_ask_tell_change(scene->k);
		break;
	case CREDIT:
		scene->credit = next();
		scene->handlers->credit_opened(scene->owner, &scene->group);
		break;
	case STEPS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;

	scene = calloc(1, sizeof(*scene));
	EXPECT(scene != NULL);
	scene->engine.ops = &engine_ops;
	scene->credit = SENT;
	scene->at = data;
	scene->end = data + size;
	scene->k = kernel_ask_new(&scene->engine, SELF, &ops, NULL, &err);
	EXPECT(scene->k != NULL);
	while (scene->at < scene->end)
		step(next() % STEPS);
	kernel_ask_free(scene->k);
	free(scene);
	return 0;
}
