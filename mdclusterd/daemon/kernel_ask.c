/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/kernel_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "base/printable.h"
#include "totem/group.h"

enum { ASK = 1, ANSWER, CHANGED, MESSAGE_BYTES = 1 + 4 + 4 + 8 + 1 + 1 + KERNEL_ASK_TEXT };

static const char group_name[] = "mdcluster kernel";

/* A message for which there was no credit. */
struct unsent {
	struct qb_list_head link;
	size_t length;
	uint8_t bytes[MESSAGE_BYTES];
};

struct kernel_ask {
	const struct kernel_ask_ops *ops;
	void *owner;
	uint32_t self;
	struct group *group;
	uint64_t serial;
	struct qb_list_head queries, unsent;
	struct { uint32_t node, handle; } members[KERNEL_ASK_MEMBERS]; /* of the group */
	size_t member_count;
};

/* --- messages ------------------------------------------------------------------------------ */

/*
 * What cannot be kept for lack of memory is not sent: who waits for it is told by its own
 * deadline, and asks again.
 */
static void send(struct kernel_ask *k, const uint8_t *bytes, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)bytes, length };
	struct unsent *later;

	if (qb_list_empty(&k->unsent) &&
	    group_multicast(k->group, GROUP_AGREED, &part, 1) != -EAGAIN)
		return;
	later = malloc(sizeof(*later));
	if (!later)
		return;
	later->length = length;
	memcpy(later->bytes, bytes, length);
	qb_list_add_tail(&later->link, &k->unsent);
}

static void credit_opened(void *owner, struct group *group)
{
	struct kernel_ask *k = owner;

	while (!qb_list_empty(&k->unsent)) {
		struct unsent *u = qb_list_first_entry(&k->unsent, struct unsent, link);
		const struct iovec part = { u->bytes, u->length };

		if (group_multicast(group, GROUP_AGREED, &part, 1) == -EAGAIN)
			return;
		qb_list_del(&u->link);
		free(u);
	}
}

void kernel_ask_looked(struct kernel_ask *k, const struct kernel_ask_look *look,
		       enum kernel_hold hold, const char *how)
{
	uint8_t bytes[MESSAGE_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));
	size_t length = hold == KERNEL_HAS_NOTHING ? 0 : strnlen(how, KERNEL_ASK_TEXT);

	wr_u8(&wr, ANSWER);
	wr_u32(&wr, look->node);
	wr_u32(&wr, look->handle);
	wr_u64(&wr, look->serial);
	wr_u8(&wr, (uint8_t)hold);
	wr_u8(&wr, (uint8_t)length);
	wr_bytes(&wr, how, length);
	send(k, bytes, wr.at);
}

void kernel_ask_tell_change(struct kernel_ask *k)
{
	const uint8_t kind = CHANGED;

	if (k->member_count > 0)
		send(k, &kind, sizeof(kind));
}

/* --- queries ---------------------------------------------------------------------------------- */

static void end(struct kernel_query *q, int result)
{
	qb_list_del(&q->link);
	q->done(q->owner, q, result);
}

static bool is_same(const struct kernel_query *q, size_t i, uint32_t node, uint32_t handle)
{
	return q->awaited[i].node == node && q->awaited[i].handle == handle;
}

/* It has answered, or is gone. True: it was waited for. */
static bool strike(struct kernel_query *q, uint32_t node, uint32_t handle)
{
	for (size_t i = 0; i < q->awaited_count; i++)
		if (is_same(q, i, node, handle)) {
			q->awaited[i] = q->awaited[--q->awaited_count];
			return true;
		}
	return false;
}

/* Queries may go from within done(): begin anew after each. */
static void end_those_that_have_all(struct kernel_ask *k)
{
	struct qb_list_head *at;

again:
	qb_list_for_each(at, &k->queries) {
		struct kernel_query *q = qb_list_entry(at, struct kernel_query, link);

		if (q->is_asked && q->awaited_count == 0) {
			end(q, 0);
			goto again;
		}
	}
}

static struct kernel_query *find(struct kernel_ask *k, uint64_t serial)
{
	struct qb_list_head *at;

	qb_list_for_each(at, &k->queries) {
		struct kernel_query *q = qb_list_entry(at, struct kernel_query, link);

		if (q->serial == serial)
			return q;
	}
	return NULL;
}

void kernel_ask(struct kernel_ask *k, struct kernel_query *q)
{
	uint8_t bytes[MESSAGE_BYTES];
	struct wr wr = wr_over(bytes, sizeof(bytes));

	q->serial = ++k->serial;
	q->is_asked = false;
	q->awaited_count = 0;
	q->is_run = false;
	q->err = (struct err)ERR_INIT;
	qb_list_add_tail(&q->link, &k->queries);
	wr_u8(&wr, ASK);
	wr_u64(&wr, q->serial);
	wr_bytes(&wr, q->uuid, sizeof(q->uuid));
	send(k, bytes, wr.at);
}

void kernel_ask_forget(struct kernel_query *q)
{
	qb_list_del(&q->link);
}

void kernel_ask_expire(struct kernel_ask *k, struct kernel_query *q)
{
	if (q->awaited_count)
		err_set(&q->err, -ETIMEDOUT,
			"node %s does not say whether its kernel runs the array: it is not used before that is known",
			k->ops->node_name(k->owner, q->awaited[0].node));
	else
		err_set(&q->err, -ETIMEDOUT,
			"the other nodes cannot be asked whether their kernels run the array: it is not used before that is known");
	end(q, -ETIMEDOUT);
}

/* --- what is delivered -------------------------------------------------------------------------- */

static void asked(struct kernel_ask *k, const struct group_member *by, struct rd *rd)
{
	struct kernel_ask_look look = { .node = by->node, .handle = by->handle };
	struct kernel_query *q;

	look.serial = rd_u64(rd);
	rd_bytes(rd, look.uuid, sizeof(look.uuid));
	if (rd->failed)
		return;
	q = by->node == k->self && by->handle == k->group->handle ? find(k, look.serial) : NULL;
	if (q && !q->is_asked) {
		q->is_asked = true;
		q->awaited_count = k->member_count;
		for (size_t i = 0; i < k->member_count; i++) {
			q->awaited[i].node = k->members[i].node;
			q->awaited[i].handle = k->members[i].handle;
		}
	}
	k->ops->look(k->owner, &look);
}

static void answered(struct kernel_ask *k, const struct group_member *by, struct rd *rd)
{
	uint32_t node = rd_u32(rd), handle = rd_u32(rd);
	uint64_t serial = rd_u64(rd);
	uint8_t hold = rd_u8(rd);
	char bytes[KERNEL_ASK_TEXT], how[KERNEL_ASK_TEXT + 1];
	size_t length = rd_u8(rd);
	struct kernel_query *q;

	if (length > sizeof(bytes) || hold > KERNEL_RUNS_IT)
		return;
	rd_bytes(rd, bytes, length);
	if (rd->failed || node != k->self || handle != k->group->handle)
		return;
	q = find(k, serial);
	if (!q || !q->is_asked || !strike(q, by->node, by->handle))
		return;
	if (hold != KERNEL_HAS_NOTHING) {
		q->is_run = hold == KERNEL_RUNS_IT;
		err_set(&q->err, -EBUSY,
			"the kernel of node %s %s: an array is run by mdclusterd or by kernels, never both; stop it there first (mdadm --stop)",
			k->ops->node_name(k->owner, by->node),
			text_printable(bytes, length, how, sizeof(how)));
		end(q, -EBUSY);
		return;
	}
	end_those_that_have_all(k);
}

static void deliver(void *owner, struct group *group, const struct group_member *sender,
		    const void *message, size_t length)
{
	struct kernel_ask *k = owner;
	struct rd rd = rd_over(message, length);

	(void)group;
	switch (rd_u8(&rd)) {
	case ASK:
		asked(k, sender, &rd);
		break;
	case ANSWER:
		answered(k, sender, &rd);
		break;
	case CHANGED:
		if (length == 1)
			k->ops->look_again(k->owner);
		break;
	}
}

static void changed(void *owner, struct group *group, const struct group_change *c)
{
	struct kernel_ask *k = owner;
	struct qb_list_head *at;

	(void)group;
	qb_list_for_each(at, &k->queries)
		for (size_t i = 0; i < c->left_count; i++)
			(void)strike(qb_list_entry(at, struct kernel_query, link),
				     c->left[i].node, c->left[i].handle);
	k->member_count = 0;
	for (size_t i = 0; i < c->member_count && i < KERNEL_ASK_MEMBERS; i++) {
		k->members[i].node = c->members[i].node;
		k->members[i].handle = c->members[i].handle;
		k->member_count++;
	}
	end_those_that_have_all(k);
	for (size_t i = 0; i < c->joined_count; i++)
		if (c->joined[i].node != k->self) {
			k->ops->look_again(k->owner);
			return;
		}
}

/* --- life ------------------------------------------------------------------------------------------ */

static const struct group_handlers handlers = {
	.deliver = deliver,
	.changed = changed,
	.credit_opened = credit_opened,
};

struct kernel_ask *kernel_ask_new(struct group_engine *groups, uint32_t self,
				  const struct kernel_ask_ops *ops, void *owner,
				  struct err *err)
{
	struct kernel_ask *k = calloc(1, sizeof(*k));

	if (!k) {
		err_nomem(err, "a group to ask about kernels");
		return NULL;
	}
	k->ops = ops;
	k->owner = owner;
	k->self = self;
	qb_list_init(&k->queries);
	qb_list_init(&k->unsent);
	if (group_join(groups, group_name, sizeof(group_name) - 1, &handlers, k, &k->group,
		       err) < 0) {
		free(k);
		return NULL;
	}
	return k;
}

void kernel_ask_free(struct kernel_ask *k)
{
	if (!k)
		return;
	group_abandon(k->group);
	while (!qb_list_empty(&k->unsent)) {
		struct unsent *u = qb_list_first_entry(&k->unsent, struct unsent, link);

		qb_list_del(&u->link);
		free(u);
	}
	free(k);
}
