/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/slots_look.h"

#include <stdlib.h>

#include "base/clock.h"
#include "bitmap/bits.h"
#include "mdclusterd/array/array.h"

static void read_next(struct slots_look *s);

/* One that cannot be read is not known: whether its disk failed is not for us to say. */
static void slot_is_read(void *owner, struct metadata_request *req, int result)
{
	struct slots_look *s = owner;
	uint64_t bit = UINT64_C(1) << req->slot;

	s->known &= ~bit;
	if (result == 0) {
		s->known |= bit;
		s->dirty_bytes[req->slot] = bitmap_dirty_bytes(
			&s->geo, req->dirty, bits_test(req->bits, s->geo.chunks - 1));
		free(req->bits);
	}
	req->bits = NULL;
	s->wanted &= ~bit;
	read_next(s);
}

static void read_next(struct slots_look *s)
{
	if (s->wanted == 0) {
		s->is_reading = false;
		s->done(s->owner);
		return;
	}
	s->req = (struct metadata_request){
		.op = METADATA_READ_SLOT, .slot = (uint32_t)__builtin_ctzll(s->wanted),
		.done = slot_is_read, .owner = s,
	};
	s->runner->submit(s->runner, &s->req);
}

static uint64_t slots_of_others(const struct array_look *look)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < look->member_count; i++)
		if (look->members[i].slot >= 0 && look->members[i].slot != look->slot &&
		    look->members[i].slot < SLOTS_LOOK_MAX)
			slots |= UINT64_C(1) << look->members[i].slot;
	return slots;
}

bool slots_look_begin(struct slots_look *s, const struct array_look *look,
		      struct metadata_runner *runner, uint64_t now_ns,
		      void (*done)(void *owner), void *owner)
{
	uint64_t slots = slots_of_others(look);

	if (s->is_reading || look->state != ARRAY_ACTIVE || !look->view)
		return false;
	if (s->read_at_ns && now_ns - s->read_at_ns < NS_PER_S && (slots & ~s->known) == 0)
		return false;
	s->wanted = slots;
	s->known &= slots;
	s->read_at_ns = now_ns;
	s->geo = look->view->geo;
	s->runner = runner;
	s->done = done;
	s->owner = owner;
	s->is_reading = true;
	read_next(s);
	return true;
}

void slots_look_end(struct slots_look *s)
{
	free(s->req.bits); /* of an answer that nobody took */
	*s = (struct slots_look){ 0 };
}
