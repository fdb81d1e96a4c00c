/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/quorum/quorum_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "totem/sync.h"

struct quorum_sync {
	struct quorum *q;
	struct sync *sync;
	struct quorum_sync_ops ops;
	void *owner;
	struct node_set members;
	bool has_told, is_decided, must_keep, is_kept;
	uint8_t bytes[QUORUM_MEMORY_BYTES];
};

static uint64_t now(const struct quorum_sync *s)
{
	return s->ops.now(s->owner);
}

static void keep(struct quorum_sync *s, bool is_awaited)
{
	quorum_memory(s->q, s->bytes);
	s->ops.keep(s->owner, s->bytes, is_awaited);
}

void quorum_sync_save(struct quorum_sync *s)
{
	if (quorum_memory_has_changed(s->q))
		keep(s, false);
}

static void on_init(void *owner, const struct sync_configuration *c)
{
	struct quorum_sync *s = owner;

	s->has_told = s->is_decided = s->must_keep = s->is_kept = false;
	s->members = c->members;
	quorum_begin(s->q, now(s), c->members);
}

static bool all_take_part(const struct quorum_sync *s)
{
	for (int i = set_next(s->members, 0); i != TOTEM_NO_INDEX;
	     i = set_next(s->members, i + 1))
		if (!sync_has_service(s->sync, i, SYNC_QUORUM))
			return false;
	return true;
}

/* True: told, or nothing can be. */
static bool tell(struct quorum_sync *s)
{
	struct iovec part = { .iov_base = s->bytes };
	int r;

	part.iov_len = quorum_tell(s->q, now(s), s->bytes);
	r = sync_tell(s->sync, SYNC_QUORUM, &part, 1);
	if (r == -ENOMEM)
		sync_break(s->sync, "has no memory to tell its votes");
	return r == 0;
}

static enum sync_progress on_process(void *owner)
{
	struct quorum_sync *s = owner;

	if (!all_take_part(s)) /* nothing is decided in this one */
		return SYNC_DONE;
	if (!s->has_told)
		s->has_told = tell(s);
	if (!s->has_told)
		return SYNC_AGAIN;
	if (!s->is_decided)
		return SYNC_WAITS;
	return !s->must_keep || s->is_kept ? SYNC_DONE : SYNC_AGAIN;
}

static void on_deliver(void *owner, int from, const uint8_t *bytes, size_t length)
{
	struct quorum_sync *s = owner;

	if (quorum_hear(s->q, now(s), from, bytes, length) < 0 || !quorum_has_heard_all(s->q))
		return;
	s->must_keep = quorum_decide(s->q, now(s));
	s->is_decided = true;
	if (s->must_keep)
		keep(s, true);
	sync_go_on(s->sync);
}

void quorum_sync_kept(struct quorum_sync *s)
{
	if (!s->must_keep || s->is_kept)
		return;
	s->is_kept = true;
	sync_go_on(s->sync);
}

static void on_abort(void *owner)
{
	struct quorum_sync *s = owner;

	s->is_decided = s->must_keep = false;
	quorum_end(s->q);
}

static void on_activate(void *owner)
{
	struct quorum_sync *s = owner;

	s->must_keep = false;
	if (!s->is_decided)
		return;
	quorum_activate(s->q, now(s));
	quorum_sync_save(s);
	s->ops.changed(s->owner);
}

static void on_ending(void *owner)
{
	struct quorum_sync *s = owner;

	quorum_end(s->q);
}

struct quorum_sync *quorum_sync_new(struct quorum *q, struct sync *sync,
				    const struct quorum_sync_ops *ops, void *owner)
{
	static const struct sync_service_ops service = {
		.init = on_init,
		.process = on_process,
		.deliver = on_deliver,
		.abort = on_abort,
		.activate = on_activate,
		.ending = on_ending,
	};
	struct quorum_sync *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->q = q;
	s->sync = sync;
	s->ops = *ops;
	s->owner = owner;
	sync_register(sync, SYNC_QUORUM, "quorum", &service, s);
	return s;
}

void quorum_sync_free(struct quorum_sync *s)
{
	free(s);
}
