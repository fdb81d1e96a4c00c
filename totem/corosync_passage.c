/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libcpg waits for. Connecting, joining, and leaving are requests that it sends and
 * whose answers it awaits without an end, whatever has become of corosync; sending and
 * dispatching are not.
 */
#include "totem/corosync_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

enum { JOIN_AGAIN_MS = 50 }; /* while corosync forms its own ring */

int corosync_wait(struct errand *errand, uint32_t limit_ms, const char *what, struct err *err)
{
	int r = errand_wait(errand, limit_ms, err);

	if (r != -ETIMEDOUT)
		return r;
	return err_set(err, r,
		       "%s: corosync runs on this host and does not answer: it is stopped, or hangs (systemctl status corosync)",
		       what);
}

void corosync_name_group(struct cpg_name *to, const char *prefix, const char *cluster)
{
	int n = snprintf(to->value, sizeof(to->value), "%s%s", prefix, cluster);

	to->length = n < (int)sizeof(to->value) ? (uint32_t)n : sizeof(to->value);
}

/* --- in the thread ------------------------------------------------------------------------- */

static void close_seat(struct corosync_seat *s)
{
	if (s->is_open)
		(void)cpg_finalize(s->handle);
	s->is_open = s->has_joined = false;
}

static cs_error_t open_seat(struct corosync_seat *s)
{
	cs_error_t e = cpg_model_initialize(&s->handle, CPG_MODEL_V1,
					    (cpg_model_data_t *)&s->model, s->context);

	if (e != CS_OK)
		return e;
	s->is_open = true;
	return cpg_local_get(s->handle, &s->node);
}

/* "Exists" is another connection of this pid, which goes: this one is in no group by that. */
static bool is_to_be_tried_again(cs_error_t e)
{
	return e == CS_ERR_TRY_AGAIN || e == CS_ERR_BUSY || e == CS_ERR_EXIST;
}

static cs_error_t join_seat(struct corosync_passage *p)
{
	cs_error_t e;

	while (is_to_be_tried_again(e = cpg_join(p->seat.handle, &p->seat.name)) &&
	       !atomic_load(&p->is_abandoned))
		(void)poll(NULL, 0, JOIN_AGAIN_MS);
	p->seat.has_joined = e == CS_OK;
	return e;
}

static void pass(struct errand *errand)
{
	struct corosync_passage *p = (struct corosync_passage *)errand;

	if (p->leaves)
		close_seat(&p->seat);
	if (p->opens)
		p->error = open_seat(&p->seat);
	if (p->joins && p->error == CS_OK)
		p->error = join_seat(p);
}

static void drop(struct errand *errand)
{
	struct corosync_passage *p = (struct corosync_passage *)errand;

	close_seat(&p->seat);
	free(p);
}

struct corosync_passage *corosync_passage_new(const struct corosync_seat *seat)
{
	struct corosync_passage *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->errand.work = pass;
	p->errand.drop = drop;
	p->seat = *seat;
	p->error = CS_OK;
	atomic_init(&p->is_abandoned, false);
	return p;
}
