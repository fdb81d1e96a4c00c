/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/parking.h"

#include <errno.h>

#include "base/arith.h"

/* Behind what the one below uses of an io's memory: whose it was. */
struct tail {
	struct parking *parking;
	void (*done)(struct volume_io *io, int result);
};

static struct tail *tail_of(struct volume_io *io, const struct parking *p)
{
	return (struct tail *)((char *)io + p->below_bytes);
}

static void park(struct parking *p, struct volume_io *io)
{
	qb_list_add_tail(&io->link, &p->parked);
	p->count++;
}

/*
 * Only an io knows nothing of its parking when it comes back; the size of the memory
 * below is the same for all of one server, hence one variable a thread.
 */
static __thread struct parking *parking_here;

static void done(struct volume_io *io, int result)
{
	struct parking *p = parking_here;
	struct tail *tail = tail_of(io, p);

	io->done = tail->done;
	if (result == -ESHUTDOWN && p->is_losing && !p->is_over && !io->is_held)
		park(p, io);
	else
		io->done(io, result);
}

static int pass_down(struct parking *p, struct volume_io *io)
{
	struct tail *tail = tail_of(io, p);
	int r;

	*tail = (struct tail){ p, io->done };
	io->done = done;
	parking_here = p;
	r = volume_submit(p->below, io);
	if (r < 0)
		io->done = tail->done;
	return r;
}

static int submit(struct volume *volume, struct volume_io *io)
{
	struct parking *p = container_of(volume, struct parking, volume);

	p->kick(p->owner);
	if (p->is_over) {
		io->is_held = false;
		qb_list_add_tail(&io->link, &p->refused);
		return 0;
	}
	if (p->below && !p->is_losing)
		return pass_down(p, io);
	park(p, io);
	return 0;
}

static const struct volume_ops ops = { .submit = submit };

void parking_init(struct parking *p, const struct volume *below, void (*kick)(void *owner),
		  void *owner)
{
	*p = (struct parking){ .volume = *below,
			       .kick = kick,
			       .owner = owner,
			       .below_bytes = round_up(below->io_bytes, _Alignof(struct tail)) };
	p->volume.ops = &ops;
	p->volume.io_bytes = p->below_bytes + sizeof(struct tail);
	qb_list_init(&p->parked);
	qb_list_init(&p->refused);
}

int parking_put(struct parking *p, struct volume *below)
{
	struct qb_list_head again;

	if (below->io_bytes > p->below_bytes || below->size_bytes < p->volume.size_bytes ||
	    below->block_bytes != p->volume.block_bytes)
		return -EINVAL;
	p->volume.size_bytes = below->size_bytes; /* who connects from here on is told so */
	p->below = below;
	p->is_losing = false;
	qb_list_init(&again);
	qb_list_splice_tail(&p->parked, &again);
	qb_list_init(&p->parked);
	p->count = 0;
	while (!qb_list_empty(&again)) {
		struct volume_io *io = qb_list_first_entry(&again, struct volume_io, link);

		qb_list_del(&io->link);
		if (pass_down(p, io) < 0)
			qb_list_add_tail(&io->link, &p->refused);
	}
	return 0;
}

void parking_lose(struct parking *p)
{
	p->is_losing = true;
}

void parking_take(struct parking *p)
{
	p->below = NULL;
}

void parking_end(struct parking *p)
{
	p->is_over = true;
	qb_list_splice_tail(&p->parked, &p->refused);
	qb_list_init(&p->parked);
	p->count = 0;
}

void parking_tell(struct parking *p)
{
	while (!qb_list_empty(&p->refused)) {
		struct volume_io *io = qb_list_first_entry(&p->refused, struct volume_io, link);

		qb_list_del(&io->link);
		io->done(io, -ESHUTDOWN);
	}
}
