/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/registered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/array/metadata.h"
#include "mdclusterd/daemon/mailbox.h"

LOG_SUBSYSTEM(reserve);

struct registered {
	struct metadata_runner runner;
	struct metadata_runner *below;
	struct registrar to;
	struct qb_list_head held;
	struct { uint32_t number; char path[256]; } known[METADATA_MAX_DISKS]; /* last view */
	uint32_t known_count;
};

/* A request on its way: it has our done(), and what it had is here. */
struct held {
	struct qb_list_head link;
	struct registered *g;
	struct metadata_request *req;
	void (*done)(void *owner, struct metadata_request *req, int result);
	void *owner;
	uint32_t next;                 /* place in its view */
	struct metadata_request undo;  /* UNPREPARE */
	struct err why;
};

static void pass_back(struct held *h, int result)
{
	struct metadata_request *req = h->req;

	req->done = h->done;
	req->owner = h->owner;
	qb_list_del(&h->link);
	free(h);
	req->done(req->owner, req, result);
}

/* --- a new disk ------------------------------------------------------------------------- */

static void is_undone(void *owner, struct metadata_request *undo, int result)
{
	struct held *h = owner;

	(void)undo;
	(void)result; /* it is no member of anything, whatever is written on it */
	h->req->err = h->why;
	pass_back(h, h->why.code);
}

static void give_up(struct held *h, const struct err *why)
{
	h->why = *why;
	h->undo = (struct metadata_request){ .op = METADATA_UNPREPARE, .number = h->req->number,
					     .done = is_undone, .owner = h };
	h->g->below->submit(h->g->below, &h->undo);
}

static void new_is_registered(void *arg, const struct err *result)
{
	struct held *h = arg;

	if (result->code < 0)
		give_up(h, result);
	else
		pass_back(h, 0);
}

static void register_new(struct held *h)
{
	struct registered *g = h->g;
	struct err err = ERR_INIT;

	if (g->to.has(g->to.owner, h->req->path))
		pass_back(h, 0);
	else if (g->to.add(g->to.owner, h->req->path, new_is_registered, h, &err) < 0)
		give_up(h, &err);
}

/* --- those of a view -------------------------------------------------------------------- */

static void note(struct registered *g, const struct metadata_view *v)
{
	g->known_count = 0;
	for (uint32_t i = 0; i < v->disk_count && i < METADATA_MAX_DISKS; i++) {
		g->known[i].number = v->disks[i].dev_number;
		memcpy(g->known[i].path, v->disks[i].path, sizeof(g->known[i].path));
		g->known_count++;
	}
}

static bool is_to_be_registered(const struct registered *g, const struct metadata_disk *d)
{
	return d->path[0] && (d->state == METADATA_DISK_SPARE ||
			      d->state == METADATA_DISK_REBUILD ||
			      d->state == METADATA_DISK_IN_SYNC) &&
	       !g->to.has(g->to.owner, d->path);
}

static void register_next(struct held *h);

static void one_is_registered(void *arg, const struct err *result)
{
	struct held *h = arg;

	if (result->code < 0)
		log_error("MDC5672", "%s: this node is not registered on a disk that has come, which refuses what it writes",
			  result->text);
	register_next(h);
}

static void register_next(struct held *h)
{
	const struct metadata_view *v = h->req->view;
	struct registered *g = h->g;
	struct err err = ERR_INIT;

	while (h->next < v->disk_count) {
		const struct metadata_disk *d = &v->disks[h->next++];

		if (!is_to_be_registered(g, d))
			continue;
		if (g->to.add(g->to.owner, d->path, one_is_registered, h, &err) == 0)
			return;
		one_is_registered(h, &err);
		return;
	}
	pass_back(h, 0);
}

/* --- requests --------------------------------------------------------------------------- */

static bool gives_view(const struct metadata_request *req)
{
	return metadata_gives_view(req->op) && req->view;
}

static void forget(struct registered *g, uint32_t number)
{
	for (uint32_t i = 0; i < g->known_count; i++)
		if (g->known[i].number == number && g->known[i].path[0])
			g->to.drop(g->to.owner, g->known[i].path);
}

static void is_done(void *owner, struct metadata_request *req, int result)
{
	struct held *h = owner;

	if (result == 0 && req->op == METADATA_FORGET)
		forget(h->g, req->number);
	if (result == 0 && gives_view(req))
		note(h->g, req->view);
	if (result == 0 && req->op == METADATA_PREPARE)
		register_new(h);
	else if (result == 0 && gives_view(req))
		register_next(h);
	else
		pass_back(h, result);
}

static void submit(struct metadata_runner *runner, struct metadata_request *req)
{
	struct registered *g = container_of(runner, struct registered, runner);
	struct held *h = letter_alloc(sizeof(*h)); /* submit() cannot refuse */

	h->g = g;
	h->req = req;
	h->done = req->done;
	h->owner = req->owner;
	req->done = is_done;
	req->owner = h;
	qb_list_add_tail(&h->link, &g->held);
	g->below->submit(g->below, req);
}

struct registered *registered_new(struct metadata_runner *below, const struct registrar *to)
{
	struct registered *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->runner.submit = submit;
	g->below = below;
	g->to = *to;
	qb_list_init(&g->held);
	return g;
}

struct metadata_runner *registered_runner(struct registered *g)
{
	return &g->runner;
}

void registered_free(struct registered *g)
{
	if (!g)
		return;
	while (!qb_list_empty(&g->held)) {
		struct held *h = qb_list_first_entry(&g->held, struct held, link);

		qb_list_del(&h->link);
		free(h);
	}
	free(g);
}
