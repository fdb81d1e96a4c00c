/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/quorum/external.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "totem/sync.h"

struct external_quorum {
	struct sync *sync;
	bool (*is_quorate)(void *owner);
	void *owner;
	struct node_set members, told, yes;
	bool has_told, is_active;
	bool has_denied;        /* X2, X3: in this configuration, by word or since */
	bool wants_again;
};

/* False: the queue is full. */
static bool tell(struct external_quorum *x)
{
	uint8_t word = x->is_quorate(x->owner);
	const struct iovec part = { &word, sizeof(word) };
	int r = sync_tell(x->sync, SYNC_QUORUM, &part, 1);

	if (r == -ENOMEM)
		sync_break(x->sync, "has no memory to tell its quorum");
	if (r == 0)
		x->has_denied |= word == 0;
	return r == 0;
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct external_quorum *x = owner;

	x->members = c->members;
	x->told = x->yes = (struct node_set){ { 0 } };
	x->has_told = x->is_active = x->has_denied = x->wants_again = false;
}

static enum sync_progress on_process(void *owner)
{
	struct external_quorum *x = owner;

	if (!x->has_told)
		x->has_told = tell(x);
	return x->has_told ? SYNC_DONE : SYNC_AGAIN;
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct external_quorum *x = owner;

	if (length == 0)
		return;
	set_add(&x->told, from);
	set_put(&x->yes, from, bytes[0] == 1);
}

static void end(void *owner)
{
	((struct external_quorum *)owner)->is_active = false;
}

static void on_activate(void *owner)
{
	((struct external_quorum *)owner)->is_active = true;
}

struct external_quorum *external_quorum_new(struct sync *sync, bool (*is_quorate)(void *owner),
					    void *owner)
{
	static const struct sync_service_ops service = {
		.init = on_init, .process = on_process, .deliver = on_deliver,
		.abort = end, .activate = on_activate, .ending = end,
	};
	struct external_quorum *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->sync = sync;
	x->is_quorate = is_quorate;
	x->owner = owner;
	sync_register(sync, SYNC_QUORUM, "quorum", &service, x);
	return x;
}

void external_quorum_free(struct external_quorum *x)
{
	free(x);
}

void external_quorum_set(struct external_quorum *x, bool is_quorate)
{
	if (!is_quorate)
		x->has_denied = true;
	x->wants_again = is_quorate && x->has_denied;
}

bool external_quorum_wants_again(struct external_quorum *x)
{
	bool wants = x->wants_again && x->is_active;

	if (wants)
		x->wants_again = false;
	return wants;
}

bool external_quorum_is_won(const struct external_quorum *x)
{
	return !set_is_empty(x->members) && set_is_subset(x->members, x->yes);
}

bool external_quorum_is_quorate(const struct external_quorum *x)
{
	return x->is_active && !x->has_denied && external_quorum_is_won(x);
}
