/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The upper face: handles of this node, what they send, and credit (G5). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/arith.h"
#include "base/codec.h"
#include "base/err.h"
#include "totem/group_private.h"

enum { DATA_COST = PACK_MESSAGE_COST + GROUP_HEAD_BYTES };

static struct group_ring *engine_of(const struct group *group)
{
	return container_of(group->engine, struct group_ring, base);
}

static struct group_handle *handle_of(struct group *group)
{
	return container_of(group, struct group_handle, base);
}

static void write_head(uint8_t head[GROUP_HEAD_BYTES], enum group_kind kind,
		       uint32_t handle)
{
	struct wr wr = wr_over(head, GROUP_HEAD_BYTES);

	wr_u8(&wr, (uint8_t)kind);
	wr_u32(&wr, handle);
}

static struct pack_message *message(enum group_kind kind, uint32_t handle,
				    const void *rest, size_t length)
{
	const struct iovec part = { (void *)(uintptr_t)rest, length };
	uint8_t head[GROUP_HEAD_BYTES];

	write_head(head, kind, handle);
	return pack_message_new(head, sizeof(head), &part, 1, false);
}

static void append(struct group_ring *g, struct pack_message *m)
{
	pack_queue_append(&g->queue, m);
	if (g->is_active)
		g->config.wake(g->config.owner);
}

static uint32_t free_number(struct group_ring *g)
{
	const struct group_handle *h;

	do {
		g->last_handle++;
		for (h = g->handles; h && h->base.handle != g->last_handle;)
			h = h->next;
	} while (h || g->last_handle == 0);
	return g->last_handle;
}

static void enlist(struct group_ring *g, struct group_handle *h)
{
	struct group_handle **at = &h->name->handles;

	while (*at)
		at = &(*at)->beside;
	*at = h;
	h->next = g->handles;
	g->handles = h;
	g->handle_count++;
}

static void wait_no_more(struct group_ring *g, struct group_handle *h)
{
	struct group_handle **at = &g->waiters;

	if (h->wanted == 0)
		return;
	while (*at != h)
		at = &(*at)->behind;
	*at = h->behind;
	h->wanted = 0;
}

void group_handle_free(struct group_ring *g, struct group_handle *h)
{
	struct group_handle **at;

	for (at = &h->name->handles; *at != h;)
		at = &(*at)->beside;
	*at = h->beside;
	for (at = &g->handles; *at != h;)
		at = &(*at)->next;
	*at = h->next;
	g->handle_count--;
	wait_no_more(g, h);
	pack_message_free(h->goodbye);
	group_name_put(&g->names, h->name);
	free(h);
}

static int engine_join(struct group_engine *engine, const char *name,
		       size_t name_length, const struct group_handlers *handlers,
		       void *owner, struct group **group, struct err *err)
{
	struct group_ring *g = container_of(engine, struct group_ring, base);
	const uint8_t reason = GROUP_LEAVE;
	struct pack_message *hello;
	struct group_handle *h;

	if (name_length < 1 || name_length > GROUP_MAX_NAME)
		return err_set(err, -EINVAL, "a group's name has 1 to %d bytes, not %zu",
			       GROUP_MAX_NAME, name_length);
	if (group_is_broken(g))
		return err_set(err, -ESHUTDOWN, "group %.*s: this node is leaving the cluster",
			       (int)name_length, name);
	if (g->handle_count >= GROUP_MAX_HANDLES)
		return err_set(err, -EAGAIN, "group %.*s: this node has %d handles, no more can be",
			       (int)name_length, name, GROUP_MAX_HANDLES);
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_nomem(err, "a group handle");
	h->base.engine = engine;
	h->base.handle = free_number(g);
	h->handlers = *handlers;
	h->owner = owner;
	h->name = group_name_get(&g->names, name, name_length);
	h->goodbye = message(GROUP_KIND_LEAVE, h->base.handle, &reason, 1);
	hello = message(GROUP_KIND_JOIN, h->base.handle, name, name_length);
	if (!h->name || !h->goodbye || !hello) {
		if (h->name)
			group_name_put(&g->names, h->name);
		pack_message_free(h->goodbye);
		pack_message_free(hello);
		free(h);
		return err_nomem(err, "a group handle");
	}
	enlist(g, h);
	*group = &h->base;
	/* over the limit, maybe: there are at most GROUP_MAX_HANDLES of these (K2) */
	append(g, hello);
	return 0;
}

static void refuse(struct group_ring *g, struct group_handle *h, size_t cost)
{
	struct group_handle **at = &g->waiters;

	if (h->wanted == 0) {
		while (*at)
			at = &(*at)->behind;
		*at = h;
		h->behind = NULL;
	}
	h->wanted = cost;
	g->stats.refused++;
}

static int engine_multicast(struct group *group, enum group_order order,
			    const struct iovec *parts, int count)
{
	struct group_ring *g = engine_of(group);
	struct group_handle *h = handle_of(group);
	uint8_t head[GROUP_HEAD_BYTES];
	struct pack_message *m;
	size_t length = 0;

	if (h->is_leaving || group_is_broken(g))
		return -ESHUTDOWN;
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > GROUP_MAX_MESSAGE - length)
			return -EMSGSIZE;
		length += parts[i].iov_len;
	}
	/* nobody overtakes who waits, or a large message would wait for ever */
	if (length + DATA_COST > pack_credit(&g->queue) ||
	    (g->waiters && g->served != h)) {
		refuse(g, h, length + DATA_COST);
		return -EAGAIN;
	}
	write_head(head, GROUP_KIND_DATA, h->base.handle);
	m = pack_message_new(head, sizeof(head), parts, count, order == GROUP_SAFE);
	if (!m)
		return -ENOMEM;
	g->stats.sent++;
	append(g, m);
	return 0;
}

static size_t engine_credit(const struct group_engine *engine)
{
	const struct group_ring *g = (const struct group_ring *)engine;
	size_t credit = g->waiters && !g->served ? 0 : pack_credit(&g->queue);

	return credit > DATA_COST ? min_u64(credit - DATA_COST, GROUP_MAX_MESSAGE) : 0;
}

/* Half the queue at least, so that nobody is woken for each message. */
void group_credit_check(struct group_ring *g)
{
	size_t credit = pack_credit(&g->queue);
	struct group_handle *h;

	if (credit < g->queue.limit / 2)
		return;
	while ((h = g->waiters) && h->wanted <= pack_credit(&g->queue)) {
		wait_no_more(g, h);
		g->served = h;
		if (h->handlers.credit_opened)
			h->handlers.credit_opened(h->owner, &h->base);
		g->served = NULL;
	}
}

static void say_goodbye(struct group_ring *g, struct group_handle *h)
{
	struct pack_message *goodbye = h->goodbye;

	wait_no_more(g, h);
	h->goodbye = NULL;
	h->is_leaving = true;
	append(g, goodbye);
}

static void engine_leave(struct group *group)
{
	struct group_handle *h = handle_of(group);

	if (!h->is_leaving)
		say_goodbye(engine_of(group), h);
}

static void engine_abandon(struct group *group)
{
	struct group_handle *h = handle_of(group);

	h->is_abandoned = true;
	if (h->is_leaving)
		return;
	pack_message_set_last(h->goodbye, GROUP_PROCDOWN);
	say_goodbye(engine_of(group), h);
}

const struct group_engine_ops group_ring_engine_ops = {
	.join = engine_join,
	.multicast = engine_multicast,
	.credit = engine_credit,
	.leave = engine_leave,
	.abandon = engine_abandon,
};

const char *group_reason_name(enum group_reason reason)
{
	static const char *const names[] = {
		[GROUP_MEMBER] = "member",
		[GROUP_JOIN] = "join",
		[GROUP_LEAVE] = "leave",
		[GROUP_NODEDOWN] = "nodedown",
		[GROUP_PROCDOWN] = "procdown",
	};

	return (size_t)reason < ARRAY_SIZE(names) ? names[reason] : "unknown";
}
